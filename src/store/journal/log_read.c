#include "store/journal/log_priv.h"

#include "base/hash.h"
#include "base/text.h"

err segment_head_read(struct str segment, const char *path, struct segment_head *out) {
    struct format_head h;
    err e = format_head_read(segment, format_magic_log, path, &h);
    if (e && err_kind(e) == ERR_CORRUPT && segment.n >= SEGMENT_HEAD_BYTES) {
        err_free(e);
        e = format_head_read(str_span(segment.p + SEGMENT_HEAD_COPY, SEGMENT_HEAD_COPY), format_magic_log, path, &h);
    }
    TRY(e);
    *out = (struct segment_head){h.own[0], h.own[1], h.own[2], (int64_t)h.own[3]};
    return NULL;
}

/* A mark is a head alone, whose commit begins at itself. */
static bool is_batch_or_mark(const struct record_head *h, uint64_t offset) {
    if (h->kind == RECORD_KIND_BATCH) return true;
    return h->kind == RECORD_KIND_MARK && h->blob_bytes == 0 && h->commit_offset == offset;
}

/* The head at an offset, if there is a whole one of this segment's present life. */
static bool head_at(struct str segment, uint64_t offset, uint64_t nonce, struct record_head *out) {
    if (segment.n < RECORD_HEAD_BYTES || offset > segment.n - RECORD_HEAD_BYTES) return false;
    memcpy(out, segment.p + offset, RECORD_HEAD_BYTES);
    return out->magic == RECORD_MAGIC &&
           out->check == hash_bytes_seed(out, offsetof(struct record_head, check), nonce) &&
           is_batch_or_mark(out, offset) && out->signal < TABLE_ROLLUPS && out->tenant_bytes < TENANT_BYTES;
}

static uint64_t body_bytes(const struct record_head *h) { return (h->blob_bytes + 7) & ~(uint64_t)7; }

/* The blob of a head, if it is all there. */
static bool blob_at(struct str segment, uint64_t offset, const struct record_head *h, struct str *out) {
    uint64_t room = segment.n - offset - RECORD_HEAD_BYTES;
    if (h->blob_bytes > room || body_bytes(h) > room) return false;
    *out = str_span(segment.p + offset + RECORD_HEAD_BYTES, h->blob_bytes);
    return hash_bytes(out->p, out->n) == h->blob_check;
}

static bool next_head(struct str segment, uint64_t offset, uint64_t nonce, uint64_t *out_offset,
                      struct record_head *out) {
    for (; segment.n >= RECORD_HEAD_BYTES && offset <= segment.n - RECORD_HEAD_BYTES; offset += 8) {
        uint32_t magic;
        memcpy(&magic, segment.p + offset, sizeof magic);
        if (magic == RECORD_MAGIC && head_at(segment, offset, nonce, out)) {
            *out_offset = offset;
            return true;
        }
    }
    return false;
}

/* Something at `bad` is no record. Was it durable? Yes if a later commit began after it. Then *out_resume is where the next
 * record stands. */
static bool was_durable(struct str segment, uint64_t bad, uint64_t from, uint64_t nonce, uint64_t *out_resume) {
    struct record_head h;
    uint64_t at = from, first = 0;
    while (next_head(segment, at, nonce, &at, &h)) {
        if (first == 0) first = at;
        if (h.commit_offset > bad && h.commit_offset <= at) {
            *out_resume = first;
            return true;
        }
        at += 8;
    }
    return false;
}

err segment_read(struct str segment, const char *path, const struct segment_head *head, log_record_fn fn, void *context,
                 struct buf *findings, struct segment_reading *out) {
    struct segment_reading r = {.end = SEGMENT_HEAD_BYTES, .last_sequence = head->first_sequence - 1};
    uint64_t at = SEGMENT_HEAD_BYTES;
    while (segment.n >= RECORD_HEAD_BYTES && at <= segment.n - RECORD_HEAD_BYTES) {
        struct record_head h;
        struct str blob = {0};
        bool whole_head = head_at(segment, at, head->nonce, &h);
        if (whole_head && h.kind == RECORD_KIND_MARK) break; /* whatever follows was never synced */
        if (whole_head && h.sequence > r.last_sequence && blob_at(segment, at, &h, &blob)) {
            struct log_record record = {.sequence = h.sequence,
                                        .signal = (enum signal)h.signal,
                                        .tenant = str_span(h.tenant, h.tenant_bytes),
                                        .blob = blob,
                                        .blob_check = h.blob_check,
                                        .flags = h.flags,
                                        .arrived_ns = h.arrived_ns,
                                        .since = h.since,
                                        .said_before = h.said_before};
            TRY(fn(context, &record));
            r.records++;
            r.last_sequence = h.sequence;
            at += RECORD_HEAD_BYTES + body_bytes(&h);
            r.end = at;
            continue;
        }
        uint64_t resume;
        if (!was_durable(segment, at, at + 8, head->nonce, &resume)) {
            r.torn = whole_head;
            break;
        }
        r.bad++;
        if (findings)
            buf_add_fmt(findings, "%s: bytes %llu to %llu are damaged: a record after sequence %llu is lost\n", path,
                        (unsigned long long)at, (unsigned long long)resume, (unsigned long long)r.last_sequence);
        at = resume;
    }
    *out = r;
    return NULL;
}

struct path path_segment(const char *log_dir, uint64_t number) {
    return path_make("%.3900s/%08llu.log", log_dir, (unsigned long long)number);
}

static err add_number(void *context, const char *name, bool is_dir) {
    segment_numbers *numbers = context;
    struct str head, rest;
    uint64_t number;
    if (is_dir || !str_cut(str_of(name), '.', &head, &rest) || !str_equal(rest, STR("log"))) return NULL;
    err e = parse_u64(head, &number);
    if (!e) *vec_push(numbers) = number;
    err_free(e);
    return NULL;
}

err segment_list(const char *log_dir, segment_numbers *out) {
    err e = path_list(log_dir, add_number, out);
    if (e && err_kind(e) == ERR_NOT_FOUND) {
        err_free(e);
        return NULL;
    }
    for (size_t i = 1; i < out->n; i++) /* path_list is in name order; numbers of more digits come out of it */
        for (size_t j = i; j > 0 && out->v[j - 1] > out->v[j]; j--) {
            uint64_t v = out->v[j];
            out->v[j] = out->v[j - 1];
            out->v[j - 1] = v;
        }
    return e;
}

err segment_map(const char *path, struct file **out_file, struct str *out_map) {
    AUTO_CLOSE struct file *f = NULL;
    TRY(file_open(path, FILE_READ, &f));
    TRY(file_map(f, out_map));
    *out_file = take(&f);
    return NULL;
}

void segment_unmap(struct file *file, struct str map) {
    if (!file) return;
    file_unmap(file, map);
    file_close(file);
}

void segments_unmap(segment_mappings *m) {
    for (size_t i = 0; i < m->n; i++) segment_unmap(m->v[i].file, m->v[i].map);
    vec_done(m);
}
