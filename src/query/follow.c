/* A filter for rows that come later: asked of batches as they become durable. */
#include "query/query_priv.h"

#include "os/clock.h"

struct query_follow {
    struct query *q;
    struct matcher matcher;
};

err query_follow_make(struct query *q, enum signal signal, const struct query_filter *f, struct query_follow **out) {
    *out = arena_new(&q->arena, struct query_follow);
    if (!*out) return arena_err(&q->arena);
    (*out)->q = q;
    return matcher_make(q, signal, f, &(*out)->matcher);
}

err query_follow_pick(struct query_follow *f, const struct batch *b, uint32_t *rows, uint32_t *out_n) {
    AUTO_ARENA struct arena scratch;
    arena_init(&scratch, f->q->options.memory_max_bytes);
    struct matcher *m = &f->matcher;
    f->q->deadline_ns = clock_monotonic_ns() + f->q->options.timeout_ns;
    for (size_t i = 0; i < m->predicate_count; i++) predicate_set_deadline(&m->predicates[i], f->q->deadline_ns);
    *out_n = 0;
    for (uint32_t row = 0; row < b->rows; row++) {
        if (row % 256 == 0) TRY(query_check(f->q));
        if (matcher_matches_row(m, b, row, &scratch)) rows[(*out_n)++] = row;
        arena_clear(&scratch);
    }
    return NULL;
}
