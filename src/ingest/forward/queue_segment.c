#include "base/hash.h"
#include "ingest/forward/queue_priv.h"

static const char magic[8] = "clewcq\r\n";

void queue_segment_head_make(struct queue_segment_head *h, uint64_t first, uint64_t nonce, int64_t created_ns) {
    *h =
        (struct queue_segment_head){.version = QUEUE_VERSION, .first = first, .nonce = nonce, .created_ns = created_ns};
    memcpy(h->magic, magic, sizeof magic);
    h->check = hash_bytes(h, offsetof(struct queue_segment_head, check));
}

err queue_segment_head_read(struct str bytes, const char *path, struct queue_segment_head *out) {
    struct queue_segment_head h;
    if (bytes.n < sizeof h) return err_new(ERR_CORRUPT, "%s: %zu bytes are no head of a segment", path, bytes.n);
    memcpy(&h, bytes.p, sizeof h);
    if (memcmp(h.magic, magic, sizeof magic) != 0 ||
        h.check != hash_bytes(&h, offsetof(struct queue_segment_head, check)))
        return err_new(ERR_CORRUPT, "%s: the segment's head is damaged", path);
    if (h.version != QUEUE_VERSION || h.features)
        return err_new(ERR_CONFLICT,
                       "%s is of a newer clew (version %u, features %#x): start that one, or name another folder with "
                       "--data",
                       path, h.version, h.features);
    *out = h;
    return NULL;
}

void queue_record_head_make(struct queue_record_head *h, const struct queue_record *r, uint64_t nonce) {
    *h = (struct queue_record_head){.magic = QUEUE_RECORD_MAGIC,
                                    .body_bytes = (uint32_t)r->body.n,
                                    .sequence = r->sequence,
                                    .time_ns = r->time_ns,
                                    .rows = r->rows,
                                    .kind = r->kind,
                                    .body_check = hash_bytes(r->body.p, r->body.n)};
    h->check = hash_bytes_seed(h, offsetof(struct queue_record_head, check), nonce);
}

/* Whether a record of a sequence over `last` begins at `at`. */
static bool record_at(struct str bytes, uint64_t at, uint64_t nonce, uint64_t last, bool check_body,
                      struct queue_record *out) {
    struct queue_record_head h;
    memcpy(&h, bytes.p + at, sizeof h);
    if (h.magic != QUEUE_RECORD_MAGIC ||
        h.check != hash_bytes_seed(&h, offsetof(struct queue_record_head, check), nonce))
        return false;
    uint64_t left = bytes.n - at - sizeof h;
    if (h.body_bytes > left || h.kind >= QUEUE_KINDS || h.sequence <= last) return false;
    struct str body = {bytes.p + at + sizeof h, h.body_bytes};
    if (check_body && hash_bytes(body.p, body.n) != h.body_check) return false;
    *out = (struct queue_record){h.sequence, h.time_ns, h.rows, h.kind, body};
    return true;
}

void queue_segment_read(struct str bytes, const struct queue_segment_head *head, bool check_bodies, queue_on_record *fn,
                        void *context, struct queue_reading *out) {
    uint64_t at = QUEUE_HEAD_BYTES, last = head->first - 1;
    struct queue_record r;
    *out = (struct queue_reading){.end = at};
    for (; at + QUEUE_RECORD_BYTES <= bytes.n; at += 8) {
        if (!record_at(bytes, at, head->nonce, last, check_bodies, &r)) continue;
        if (at > out->end) { /* what was passed over was something, for there is a record behind it */
            out->damaged++;
            out->damaged_bytes += at - out->end;
        }
        fn(context, &r, at + QUEUE_RECORD_BYTES);
        out->records++;
        last = r.sequence;
        out->end = MIN(at + queue_record_size(r.body.n), (uint64_t)bytes.n);
        at += queue_record_size(r.body.n) - 8;
    }
}
