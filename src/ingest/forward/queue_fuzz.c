/* Any bytes as a segment of the queue. Checks stop a mutation from getting far, so they are mended first if the input asks for it (its first
 * byte): then lengths, kinds and sequences are the fuzzer's. */
#include "base/hash.h"
#include "ingest/forward/queue_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    struct str all;
    uint64_t last, sum, records;
};

static void see(void *context, const struct queue_record *r, uint64_t body_at) {
    struct seen *s = context;
    if (r->sequence <= s->last || r->kind >= QUEUE_KINDS || r->body.p != s->all.p + body_at) __builtin_trap();
    if (body_at + r->body.n > s->all.n) __builtin_trap();
    for (size_t i = 0; i < r->body.n; i++) s->sum += (unsigned char)r->body.p[i];
    s->last = r->sequence;
    s->records++;
}

static void mend(char *p, size_t n, uint64_t nonce) {
    for (size_t at = QUEUE_HEAD_BYTES; at + QUEUE_RECORD_BYTES <= n; at += 8) {
        struct queue_record_head r;
        memcpy(&r, p + at, sizeof r);
        if (r.magic != QUEUE_RECORD_MAGIC) continue;
        size_t left = n - at - QUEUE_RECORD_BYTES;
        if (r.body_bytes <= left) r.body_check = hash_bytes(p + at + QUEUE_RECORD_BYTES, r.body_bytes);
        r.check = hash_bytes_seed(&r, offsetof(struct queue_record_head, check), nonce);
        memcpy(p + at, &r, sizeof r);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct queue_segment_head head;
    struct queue_reading reading;
    AUTO_BUF struct buf segment;
    buf_init(&segment, 64 * MIB);
    if (size < 1) return 0;
    err_free(queue_segment_head_read(str_span(data + 1, size - 1), "fuzz", &head));
    queue_segment_head_make(&head, 1, 42, 0);
    buf_add(&segment, &head, sizeof head);
    buf_add(&segment, data + 1, size - 1);
    if (segment.full) return 0;
    if (data[0] & 1) mend(segment.p, segment.n, head.nonce);
    struct seen seen = {.all = buf_str(&segment)};
    queue_segment_read(buf_str(&segment), &head, data[0] & 2, see, &seen, &reading);
    if (reading.end > segment.n || reading.records != seen.records) __builtin_trap();
    return 0;
}
