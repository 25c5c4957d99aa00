/* Which rows of the batches go into a part, and in which order: spans by (start of their trace, trace id, start), logs by time.
 *
 * Linear in the rows: traces are numbered by a hash table, sorted by a radix sort, and the rows counted into place.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "store/part/part_write_priv.h"

struct timed {
    uint64_t key;
    struct row_ref row; /* or, of traces, .batch = their number */
};

/* Stable, least significant digits first; digits that all keys share are skipped. */
static void sort_by_key(struct timed *v, size_t n) {
    enum { DIGIT = 11, BUCKETS = 1 << DIGIT };
    uint64_t low = UINT64_MAX, high = 0;
    bool sorted = true;
    for (size_t i = 0; i < n; i++) {
        low = MIN(low, v[i].key);
        high = MAX(high, v[i].key);
        sorted = sorted && (i == 0 || v[i - 1].key <= v[i].key);
    }
    if (sorted) return;
    AUTO_FREE struct timed *spare = mem_new_array(struct timed, n);
    struct timed *from = v, *to = spare;
    for (int shift = 0; shift < 64 && (high - low) >> shift; shift += DIGIT) {
        size_t start[BUCKETS + 1] = {0};
        for (size_t i = 0; i < n; i++) start[((from[i].key - low) >> shift & (BUCKETS - 1)) + 1]++;
        for (int i = 0; i < BUCKETS; i++) start[i + 1] += start[i];
        for (size_t i = 0; i < n; i++) to[start[(from[i].key - low) >> shift & (BUCKETS - 1)]++] = from[i];
        struct timed *swap = from;
        from = to, to = swap;
    }
    if (from != v) memcpy(v, from, n * sizeof *v);
}

typedef VEC(struct timed) timed_rows;

static void select_rows(const struct batch *batches, size_t count, int64_t time_min, int64_t time_max,
                        const struct row_filter *drop, timed_rows *out) {
    for (size_t i = 0; i < count; i++) {
        const struct batch *b = &batches[i];
        if (!b->rows || b->time_max < time_min || b->time_min > time_max) continue;
        vec_reserve(out, b->rows);
        for (uint32_t row = 0; row < b->rows; row++) {
            uint64_t time = batch_u64(b, SET_ROWS, FIELD_TIME, row);
            if (time_clamp(time) < time_min || time_clamp(time) > time_max) continue;
            if (drop && drop->drops(drop->context, b, row)) continue;
            out->v[out->n++] = (struct timed){time, {(uint32_t)i, row}};
        }
    }
}

/* ---- traces ----------------------------------------------------------------------------------------------------- */

struct trace {
    const unsigned char *id;
    uint64_t start;
    uint32_t rows;
};

struct traces {
    VEC(struct trace) all;
    uint32_t *table; /* number + 1 */
    uint32_t mask;
};

static void traces_grow(struct traces *t) {
    uint32_t size = t->table ? (t->mask + 1) * 2 : 1024;
    mem_free(t->table);
    t->table = mem_new_array(uint32_t, size);
    t->mask = size - 1;
    for (uint32_t i = 0; i < t->all.n; i++) {
        const unsigned char *id = t->all.v[i].id;
        uint32_t at = (uint32_t)hash_fast(id, 16) & t->mask;
        while (t->table[at]) at = (at + 1) & t->mask;
        t->table[at] = i + 1;
    }
}

static uint32_t trace_number(struct traces *t, const unsigned char *id) {
    if (!t->table || t->all.n > t->mask / 2) traces_grow(t);
    uint32_t at = (uint32_t)hash_fast(id, 16) & t->mask;
    while (t->table[at] && memcmp(t->all.v[t->table[at] - 1].id, id, 16) != 0) at = (at + 1) & t->mask;
    if (!t->table[at]) {
        *vec_push(&t->all) = (struct trace){id, UINT64_MAX, 0};
        t->table[at] = (uint32_t)t->all.n;
    }
    return t->table[at] - 1;
}

static int by_id(const void *x, const void *y, void *all) {
    const struct trace *traces = all;
    const struct timed *a = x, *b = y;
    return memcmp(traces[a->row.batch].id, traces[b->row.batch].id, 16);
}

/* Traces of equal start by their ids; whoever sends may give all of them one start. */
static void order_ties(const struct traces *t, struct timed *order, size_t n) {
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && order[end].key == order[i].key;) end++;
        if (end - i > 1) qsort_r(order + i, end - i, sizeof *order, by_id, t->all.v);
    }
}

/* A trace's rows by start; most have few. */
static void order_trace(struct timed *v, size_t n) {
    if (n > 64) {
        sort_by_key(v, n);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        struct timed x = v[i];
        size_t j = i;
        for (; j > 0 && v[j - 1].key > x.key; j--) v[j] = v[j - 1];
        v[j] = x;
    }
}

static void order_spans(const struct batch *batches, timed_rows *rows) {
    struct traces t = {0};
    AUTO_FREE uint32_t *number = mem_new_array(uint32_t, rows->n);
    for (size_t i = 0; i < rows->n; i++) {
        const struct timed *r = &rows->v[i];
        number[i] = trace_number(&t, batch_id16(&batches[r->row.batch], SET_ROWS, FIELD_TRACE_ID, r->row.row));
        struct trace *trace = &t.all.v[number[i]];
        trace->start = MIN(trace->start, r->key);
        trace->rows++;
    }
    AUTO_FREE struct timed *order = mem_new_array(struct timed, t.all.n);
    for (uint32_t i = 0; i < t.all.n; i++) order[i] = (struct timed){t.all.v[i].start, {i, 0}};
    sort_by_key(order, t.all.n);
    order_ties(&t, order, t.all.n);
    AUTO_FREE size_t *next = mem_new_array(size_t, t.all.n);
    size_t at = 0;
    for (size_t i = 0; i < t.all.n; i++) {
        next[order[i].row.batch] = at;
        at += t.all.v[order[i].row.batch].rows;
    }
    AUTO_FREE struct timed *placed = mem_new_array(struct timed, rows->n);
    for (size_t i = 0; i < rows->n; i++) placed[next[number[i]]++] = rows->v[i];
    at = 0;
    for (size_t i = 0; i < t.all.n; i++) {
        order_trace(placed + at, t.all.v[order[i].row.batch].rows);
        at += t.all.v[order[i].row.batch].rows;
    }
    memcpy(rows->v, placed, rows->n * sizeof *placed);
    vec_done(&t.all);
    mem_free(t.table);
}

void part_order_rows(const struct batch *batches, size_t count, int64_t time_min, int64_t time_max,
                     const struct row_filter *drop, row_refs *out) {
    timed_rows rows = {0};
    select_rows(batches, count, time_min, time_max, drop, &rows);
    if (rows.n && batches[0].signal == SIGNAL_SPANS)
        order_spans(batches, &rows);
    else
        sort_by_key(rows.v, rows.n);
    vec_reserve(out, rows.n);
    for (size_t i = 0; i < rows.n; i++) out->v[i] = rows.v[i].row;
    out->n = rows.n;
    vec_done(&rows);
}
