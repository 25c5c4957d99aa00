#include "query/query_priv.h"

#include "base/hash.h"
#include "base/text.h"

/* What travels, as hexadecimal digits. The check only tells slips of the hand: a cursor is not a secret. */
struct cursor_bytes {
    uint32_t version, question;
    int64_t time_min, time_max, key, second;
    unsigned char id[16];
    uint64_t check;
};
static_assert(sizeof(struct cursor_bytes) == 64, "no padding: the bytes are hashed");
static_assert(2 * sizeof(struct cursor_bytes) < QUERY_CURSOR_MAX, "fits as text");

static uint64_t mix_text(uint64_t h, struct str s) {
    return hash_bytes_seed(s.p ? s.p : "", s.n, hash_mix(h, hash_u64(2 * (uint64_t)s.n + (s.p != NULL))));
}
static uint64_t mix(uint64_t h, const void *p, size_t n) { return hash_bytes_seed(p, n, h); }

uint32_t cursor_question(enum signal signal, enum query_order order, const struct query_filter *f) {
    uint64_t h = hash_u64((uint64_t)signal << 8 | (uint64_t)order);
    h = mix_text(h, f->service);
    h = mix_text(h, f->environment);
    h = mix_text(h, f->operation);
    h = mix_text(h, f->text);
    h = mix(h, &f->status, sizeof f->status);
    h = mix(h, &f->kind, sizeof f->kind);
    h = mix(h, &f->duration_min, sizeof f->duration_min);
    h = mix(h, &f->duration_max, sizeof f->duration_max);
    h = mix(h, &f->severity_min, sizeof f->severity_min);
    if (f->trace_id) h = mix(h, f->trace_id, 16);
    if (f->span_id) h = mix(h, f->span_id, 8);
    for (size_t i = 0; i < f->where_count; i++) {
        const struct predicate *p = &f->where[i];
        uint32_t head[2] = {(uint32_t)p->column.target, (uint32_t)p->op};
        h = mix(h, head, sizeof head);
        h = mix_text(h, p->column.key);
        h = mix_text(h, p->text);
    }
    return (uint32_t)h;
}

static uint64_t check_of(const struct cursor_bytes *b) { return hash_bytes(b, offsetof(struct cursor_bytes, check)); }

void cursor_write(const struct cursor *c, char out[QUERY_CURSOR_MAX]) {
    struct cursor_bytes b = {.version = 1,
                             .question = c->question,
                             .time_min = c->time_min,
                             .time_max = c->time_max,
                             .key = c->key,
                             .second = c->second};
    memcpy(b.id, c->id, sizeof b.id);
    b.check = check_of(&b);
    struct buf text;
    buf_init(&text, QUERY_CURSOR_MAX);
    put_hex(&text, &b, sizeof b);
    memcpy(out, text.p, text.n);
    out[text.n] = 0;
    buf_done(&text);
}

err cursor_read(struct str text, uint32_t question, struct cursor *out) {
    struct cursor_bytes b;
    err e = parse_hex(text, &b, sizeof b);
    if (e || b.version != 1 || b.check != check_of(&b)) {
        err_free(e);
        return err_new(ERR_INVALID, "the cursor is not one of ours; take next_cursor of an answer as it is");
    }
    if (b.question != question)
        return err_new(ERR_INVALID, "the cursor belongs to another question; keep all other parameters as they were");
    *out = (struct cursor){
        .question = b.question, .time_min = b.time_min, .time_max = b.time_max, .key = b.key, .second = b.second};
    memcpy(out->id, b.id, sizeof b.id);
    return NULL;
}
