/* A trace's rows: the index names the groups, the group's ids the rows. */
#include "base/hash.h"
#include "store/part/part_read_priv.h"

/* Number of the id among the column's, from `from` on; count if there is none. */
static uint32_t find_id(const struct column *c, const unsigned char id[16], uint32_t from) {
    uint64_t low = load_u64(id), high = load_u64(id + 8);
    for (uint32_t i = from; i < c->count; i++)
        if (load_u64(c->raw + 16 * (size_t)i) == low && load_u64(c->raw + 16 * (size_t)i + 8) == high) return i;
    return c->count;
}

static err collect_runs(struct group_reader *r, const struct column *c, const unsigned char id[16], uint32_t *rows,
                        uint32_t *out_n) {
    uint32_t n = 0;
    (void)r;
    for (uint32_t run = find_id(c, id, 0); run < c->count; run = find_id(c, id, run + 1))
        for (uint32_t row = run ? c->run_end[run - 1] : 0; row < c->run_end[run]; row++) rows[n++] = row;
    *out_n = n;
    return NULL;
}

static err collect_codes(struct group_reader *r, const struct column *c, const unsigned char id[16], uint32_t *rows,
                         uint32_t *out_n) {
    uint32_t wanted = find_id(c, id, 0), n = 0;
    if (wanted < c->count) {
        uint32_t *codes = ARENA_ARRAY(r->arena, uint32_t, c->n);
        numbers_decode(&c->numbers, c->n, codes);
        for (uint32_t row = 0; row < c->n; row++)
            if (codes[row] == wanted) rows[n++] = row;
    }
    *out_n = n;
    return NULL;
}

static err collect(struct group_reader *r, const unsigned char id[16], uint32_t **out_rows, uint32_t *out_n) {
    static const unsigned char zero[16];
    TRY(group_open_traces(r));
    const struct column *c = &r->traces;
    uint32_t *rows = ARENA_ARRAY(r->arena, uint32_t, c->n);
    *out_rows = rows;
    if (c->encoding == ENCODING_RUNS) return collect_runs(r, c, id, rows, out_n);
    if (c->encoding == ENCODING_IDS) return collect_codes(r, c, id, rows, out_n);
    *out_n = memcmp(id, zero, 16) == 0 ? c->n : 0;
    for (uint32_t i = 0; i < *out_n; i++) rows[i] = i;
    return NULL;
}

err part_find_trace(struct part *p, const unsigned char id[16], struct arena *a,
                    err (*fn)(void *context, uint32_t group, const uint32_t *rows, size_t n), void *context,
                    struct scan_stats *stats) {
    uint32_t few[64], *groups = few;
    uint64_t hash = hash_bytes(id, 16);
    uint32_t count = hash_index_find(&p->traces, hash, few, LENGTH(few));
    if (count > LENGTH(few)) {
        groups = ARENA_ARRAY(a, uint32_t, count);
        count = MIN(count, hash_index_find(&p->traces, hash, groups, count));
    }
    for (uint32_t i = 0; i < count; i++) {
        struct group_reader r;
        uint32_t *rows = NULL, n = 0;
        bool bad;
        if (groups[i] >= p->info.groups) continue;
        group_reader_init(&r, p, groups[i], a, stats);
        TRY(group_reader_end(&r, collect(&r, id, &rows, &n), &bad));
        if (!bad && n) TRY(fn(context, groups[i], rows, n));
    }
    return NULL;
}
