/* Deleted rows that are still in parts or memory tables, left out of what is read (DESIGN.md §4: "applied to reads at once").
 * Rare and short-lived, since parts are rewritten in the background: plain, not fast. */
#include "store/engine/snapshot_priv.h"

enum { MASK_MEMORY_BYTES = 64 << 20 };

bool snapshot_part_is_masked(const struct engine_snapshot *sn, const struct part_entry *p) {
    for (size_t i = 0; i < sn->delete_count; i++)
        if (delete_touches_part(sn->of_table[i], p)) return true;
    return false;
}

bool snapshot_batch_is_masked(const struct engine_snapshot *sn, const struct memory_batch *m) {
    for (size_t i = 0; i < sn->delete_count; i++)
        if (delete_touches_batch(sn->of_table[i], m)) return true;
    return false;
}

bool snapshot_shows_row(const struct engine_snapshot *sn, const struct memory_batch *m, uint32_t row) {
    uint64_t raw = batch_u64(&m->view, SET_ROWS, FIELD_TIME, row);
    if ((raw > INT64_MAX ? INT64_MAX : (int64_t)raw) < sn->time_floor) return false;
    for (size_t i = 0; i < sn->delete_count; i++)
        if (m->sequence <= sn->of_table[i]->sequence && delete_matches_row(sn->of_table[i], &m->view, row))
            return false;
    return true;
}

static err scan_source(const struct engine_snapshot *sn, uint32_t source, uint32_t group, const struct scan_request *r,
                       struct arena *a, struct chunk *out, struct scan_stats *stats) {
    *out = (struct chunk){0};
    if (source >= sn->parts->n) return batch_scan(&sn->batches[source - sn->parts->n]->view, r, a, out, stats);
    struct part_scan *scan;
    bool may_match;
    TRY(part_scan_open(sn->parts->v[source].part, r, a, &scan, &may_match));
    return may_match ? part_scan_group(scan, group, a, out, stats) : NULL;
}

static bool touches(const struct engine_snapshot *sn, const struct delete_entry *d, uint32_t source) {
    if (source < sn->parts->n) return delete_touches_part(d, &sn->parts->v[source]);
    return delete_touches_batch(d, sn->batches[source - sn->parts->n]);
}

/* Positions of the chunk's rows that are not among `gone` (ascending both). */
static uint32_t keep_rows(const struct chunk *c, const struct chunk *gone, uint32_t *keep) {
    uint32_t n = 0, j = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        while (j < gone->n && gone->rows[j] < c->rows[i]) j++;
        if (j == gone->n || gone->rows[j] != c->rows[i]) keep[n++] = i;
    }
    return n;
}

static err pick_vector(struct arena *a, struct vector *v, const uint32_t *keep, uint32_t n) {
    uint64_t *u64 = v->type == VECTOR_U64 ? arena_alloc(a, 8 * (size_t)n) : NULL;
    uint32_t *codes = v->type == VECTOR_TEXT ? arena_alloc(a, 4 * (size_t)n) : NULL;
    unsigned char *ids = v->type == VECTOR_ID16 ? arena_alloc(a, 16 * (size_t)n) : NULL;
    TRY(arena_err(a));
    for (uint32_t i = 0; i < n; i++) {
        if (u64) u64[i] = v->u64[keep[i]];
        if (codes) codes[i] = v->codes[keep[i]];
        if (ids) memcpy(ids + 16 * (size_t)i, v->id16 + 16 * (size_t)keep[i], 16);
    }
    v->u64 = u64;
    v->codes = codes;
    v->id16 = ids;
    return NULL;
}

static err take_away(struct arena *a, struct chunk *c, size_t columns, const struct chunk *gone) {
    uint32_t *keep = arena_alloc(a, 4 * (size_t)c->n), *rows = arena_alloc(a, 4 * (size_t)c->n);
    struct vector *vectors = arena_array(a, struct vector, columns + 1);
    TRY(arena_err(a));
    uint32_t n = keep_rows(c, gone, keep);
    for (uint32_t i = 0; i < n; i++) rows[i] = c->rows[keep[i]];
    for (size_t i = 0; i < columns && n; i++) {
        vectors[i] = c->columns[i];
        TRY(pick_vector(a, &vectors[i], keep, n));
    }
    c->n = n;
    c->rows = rows;
    c->columns = vectors;
    return NULL;
}

err snapshot_scan_masked(const struct engine_snapshot *sn, uint32_t source, uint32_t group,
                         const struct scan_request *r, struct arena *a, struct chunk *out, struct scan_stats *stats) {
    struct scan_request rows = *r;
    rows.count_only = false;
    if (r->count_only) rows.column_count = 0;
    TRY(scan_source(sn, source, group, &rows, a, out, stats));
    uint32_t before = out->n;
    for (size_t i = 0; i < sn->delete_count && out->n; i++) {
        struct chunk gone;
        struct scan_stats ignored = {0};
        if (!touches(sn, sn->of_table[i], source)) continue;
        TRY(scan_source(sn, source, group, &sn->of_table[i]->request, a, &gone, &ignored));
        if (gone.n) TRY(take_away(a, out, rows.column_count, &gone));
    }
    stats->rows_matched -= before - out->n;
    if (r->count_only) out->rows = NULL;
    return NULL;
}
