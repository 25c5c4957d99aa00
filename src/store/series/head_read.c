/* Samples out of the head: pointers and open rows are copied under the lock, decoding goes on without it. */
#include "store/series/histogram_priv.h"
#include "store/series/head_parts_priv.h"

#include <stdlib.h>

enum { VIEW_BYTES_MAX = 256 << 20 };

/* What was copied of one series. */
struct view {
    struct stripe *near[64], **stripes;
    uint32_t stripe_count, column;
    uint32_t rows;
    int64_t row_times[HEAD_ROWS];
    double row_values[HEAD_ROWS];
    const struct histogram_chunk *chunk;
    uint32_t chunk_count, open_count, start_count, late_count;
    struct late *late;
    struct start_change *starts;
    struct {
        int64_t time_ns;
        const struct histogram *h;
    } open[HEAD_ROWS];
};

static bool has(const struct open_row *r, uint32_t column) {
    return column < r->capacity && r->present[column / 64] >> column % 64 & 1;
}

/* Of the start times those that hold somewhere in the range: the last before it, too. */
static bool copy_starts(const struct head_extra *x, int64_t time_min, int64_t time_max, struct view *v,
                        struct arena *a) {
    size_t low = 0, high = x->starts.n;
    while (low < high) { /* how many are not after time_min */
        size_t middle = low + (high - low) / 2;
        if (x->starts.v[middle].time_ns <= time_min)
            low = middle + 1;
        else
            high = middle;
    }
    size_t first = low ? low - 1 : 0, end = first;
    while (end < x->starts.n && x->starts.v[end].time_ns <= time_max) end++;
    v->start_count = (uint32_t)(end - first);
    v->starts = arena_array(a, struct start_change, v->start_count + 1);
    if (v->starts && v->start_count) memcpy(v->starts, x->starts.v + first, v->start_count * sizeof *v->starts);
    return v->starts != NULL;
}

static bool is_in(int64_t time_ns, int64_t time_min, int64_t time_max) {
    return time_ns >= time_min && time_ns <= time_max;
}

static bool copy_extra(const struct head_extra *x, int64_t time_min, int64_t time_max, struct view *v,
                       struct arena *a) {
    v->chunk = x->chunk_first;
    v->chunk_count = x->chunk_count;
    v->late = arena_array(a, struct late, x->late_count + 1);
    if (!v->late || !copy_starts(x, time_min, time_max, v, a)) return false;
    for (uint32_t i = 0; i < x->late_count; i++)
        if (is_in(x->late[i].time_ns, time_min, time_max)) v->late[v->late_count++] = x->late[i];
    for (v->open_count = 0; v->open_count < x->open_count; v->open_count++) {
        struct histogram *copy = arena_new(a, struct histogram);
        if (!copy || !histogram_copy(a, x->open[v->open_count].h, copy)) return false;
        v->open[v->open_count].time_ns = x->open[v->open_count].time_ns;
        v->open[v->open_count].h = copy;
    }
    return true;
}

/* Lock held. */
static bool copy_series(const struct head *h, const struct head_series *s, int64_t time_min, int64_t time_max,
                        struct view *v, struct arena *a) {
    const struct row_set *set = h->sets[s->set];
    v->column = s->column;
    v->stripe_count = set->stripe_count;
    v->stripes = set->stripe_count <= LENGTH(v->near) ? v->near : arena_array(a, struct stripe *, set->stripe_count);
    if (!v->stripes) return false;
    if (set->stripe_count) memcpy(v->stripes, set->stripes, set->stripe_count * sizeof *v->stripes);
    v->rows = 0;
    for (uint32_t r = 0; r < set->rows; r++) {
        if (!has(&set->row[r], s->column)) continue;
        v->row_times[v->rows] = set->row[r].time_ns;
        v->row_values[v->rows++] = set->row[r].v[s->column];
    }
    v->chunk_count = v->open_count = v->start_count = v->late_count = 0;
    return !s->extra || copy_extra(s->extra, time_min, time_max, v, a);
}

/* ---- decoding ---------------------------------------------------------------------------------------------------- */

static struct str stripe_bytes(const struct stripe *s, uint32_t column) {
    uint32_t at = s->anchors[column / 16];
    for (uint32_t c = column & ~15u; c < column; c++) at += s->sizes[c];
    return str_span(s->bytes + at, s->sizes[column]);
}

/* The times and values of a column, appended. */
static err read_stripe(const struct stripe *s, uint32_t column, struct samples *out) {
    uint32_t mask = stripe_mask(s, column), n = 0;
    samples_reserve(out, HEAD_ROWS);
    int64_t *times = out->times_ns + out->n;
    for (uint32_t rest = mask; rest; rest &= rest - 1) times[n++] = stripe_time(s, (uint32_t)__builtin_ctz(rest));
    if (n == 0) return NULL;
    struct str bytes = stripe_bytes(s, column);
    TRY(values_decode(bytes, n, 0, n, out->values + out->n));
    samples_take_rows(out, n, values_flags(bytes));
    return NULL;
}

static err add_floats(const struct view *v, int64_t time_min, int64_t time_max, struct samples *out) {
    for (uint32_t i = 0; i < v->stripe_count; i++) {
        uint32_t mask = stripe_mask(v->stripes[i], v->column);
        if (!mask || stripe_time(v->stripes[i], 31 - (uint32_t)__builtin_clz(mask)) < time_min) continue;
        if (stripe_time(v->stripes[i], (uint32_t)__builtin_ctz(mask)) > time_max) break;
        TRY(read_stripe(v->stripes[i], v->column, out));
    }
    for (uint32_t i = 0; i < v->rows; i++) samples_add(out, v->row_times[i], v->row_values[i], 0);
    return NULL;
}

static err add_chunk(const struct histogram_chunk *c, struct samples *out) {
    struct histogram rows[HEAD_ROWS];
    TRY(histograms_decode(str_span(c->data, c->bytes), c->n, &out->arena, rows));
    for (uint32_t k = 0; k < c->n; k++)
        if (!samples_add_histogram(out, c->times_ns[k], &rows[k], 0)) return arena_err(&out->arena);
    return NULL;
}

static err add_histograms(const struct view *v, int64_t time_min, int64_t time_max, struct samples *out) {
    const struct histogram_chunk *c = v->chunk;
    for (uint32_t i = 0; i < v->chunk_count; i++) {
        if (c->times_ns[c->n - 1] >= time_min && c->times_ns[0] <= time_max) TRY(add_chunk(c, out));
        if (i + 1 < v->chunk_count) c = c->next;
    }
    for (uint32_t i = 0; i < v->open_count; i++)
        if (!samples_add_histogram(out, v->open[i].time_ns, v->open[i].h, 0)) return arena_err(&out->arena);
    return NULL;
}

static bool add_late(const struct view *v, struct samples *out) {
    for (uint32_t i = 0; i < v->late_count; i++) {
        const struct late *l = &v->late[i];
        if (l->histogram && !samples_add_histogram(out, l->time_ns, l->histogram, l->start_ns)) return false;
        if (!l->histogram) samples_add(out, l->time_ns, l->value, l->start_ns);
    }
    return true;
}

static void set_starts(const struct view *v, struct samples *s) {
    uint32_t change = 0;
    int64_t current = 0;
    if (v->start_count == 0) return;
    samples_make_starts(s);
    for (uint32_t i = 0; i < s->n; i++) {
        while (change < v->start_count && v->starts[change].time_ns <= s->times_ns[i])
            current = v->starts[change++].start_ns;
        s->starts_ns[i] = current;
    }
}

/* The rarer kinds are read apart and merged in. */
static err merge_rest(const struct view *v, int64_t time_min, int64_t time_max, struct samples *out) {
    struct samples more, scratch;
    samples_init(&more, out->arena.limit_bytes);
    samples_init(&scratch, out->arena.limit_bytes);
    err e = add_histograms(v, time_min, time_max, &more);
    bool fits = !e && samples_merge(out, &more, &scratch);
    set_starts(v, out);
    samples_clear(&more);
    fits = fits && add_late(v, &more) && samples_merge(out, &more, &scratch);
    if (!e && !fits) e = err_new(ERR_LIMIT, "native histograms of one series: over the memory limit");
    samples_done(&more);
    samples_done(&scratch);
    return e;
}

err series_head_read(struct head *h, uint32_t series, int64_t time_min, int64_t time_max, struct samples *out) {
    AUTO_ARENA struct arena a;
    struct view v;
    arena_init(&a, VIEW_BYTES_MAX);
    lock_take(&h->lock);
    bool copied = copy_series(h, series_at(h, series), time_min, time_max, &v, &a);
    lock_give(&h->lock);
    if (!copied) return arena_err(&a);
    TRY(add_floats(&v, time_min, time_max, out));
    if (v.chunk_count || v.open_count || v.late_count || v.start_count) TRY(merge_rest(&v, time_min, time_max, out));
    samples_trim(out, time_min, time_max);
    return NULL;
}

/* ---- pieces ------------------------------------------------------------------------------------------------------ */

/* Late samples are few, and come in addition. Lock held, as in the next. */
static int64_t end_of_floats(const struct head *h, const struct head_series *s, int64_t from) {
    const struct row_set *set = h->sets[s->set];
    uint32_t n = 0;
    for (uint32_t i = 0; i < set->stripe_count; i++) {
        uint32_t mask = stripe_mask(set->stripes[i], s->column);
        int64_t last = mask ? stripe_time(set->stripes[i], 31 - (uint32_t)__builtin_clz(mask)) : INT64_MIN;
        if (!mask || last < from) continue;
        n += (uint32_t)__builtin_popcount(mask);
        if (n >= PIECE_WEIGHT) return last;
    }
    return INT64_MAX;
}

static int64_t end_of_histograms(const struct head_extra *x, int64_t from) {
    const struct histogram_chunk *c = x ? x->chunk_first : NULL;
    for (uint32_t n = 0; c; c = c->next) {
        if (c->times_ns[c->n - 1] < from) continue;
        n += c->n;
        if (n >= PIECE_WEIGHT / PIECE_HISTOGRAM) return c->times_ns[c->n - 1];
    }
    return INT64_MAX;
}

int64_t series_head_piece(struct head *h, uint32_t series, int64_t from, int64_t time_max) {
    lock_take(&h->lock);
    const struct head_series *s = series_at(h, series);
    int64_t floats = end_of_floats(h, s, from), histograms = end_of_histograms(s->extra, from);
    lock_give(&h->lock);
    return MIN(MIN(floats, histograms), time_max);
}

bool series_head_range(struct head *h, uint32_t series, int64_t *out_min, int64_t *out_max) {
    lock_take(&h->lock);
    const struct head_series *s = series_at(h, series);
    *out_min = s->time_min;
    *out_max = s->time_max;
    lock_give(&h->lock);
    return *out_min <= *out_max;
}

bool series_head_last(struct head *h, uint32_t series, struct head_last *out) {
    lock_take(&h->lock);
    const struct head_series *s = series_at(h, series);
    const struct head_extra *x = s->extra;
    *out = (struct head_last){s->time_max, start_of(h, series), s->last, x ? x->last_histogram : NULL};
    bool there = s->time_min <= s->time_max;
    lock_give(&h->lock);
    return there;
}

/* ---- what is there at a time ------------------------------------------------------------------------------------- */

static uint8_t judge(bool same) { return same ? SAMPLE_REPEATED : SAMPLE_CONFLICT; }

uint32_t series_head_late_at(const struct head_extra *x, int64_t time_ns) {
    uint32_t low = 0, high = x->late_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (x->late[middle].time_ns < time_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The value of a row of a column, which has it. */
static bool value_in_stripe(const struct stripe *s, uint32_t column, uint32_t row, double *out) {
    uint32_t mask = stripe_mask(s, column), before = (uint32_t)__builtin_popcount(mask & ((1u << row) - 1));
    err e = values_decode(stripe_bytes(s, column), (uint32_t)__builtin_popcount(mask), before, 1, out);
    bool good = !e;
    err_free(e);
    return good;
}

static bool find_in_stripes(const struct row_set *set, uint32_t column, int64_t time_ns, double *out) {
    uint32_t low = 0, high = set->stripe_count;
    while (low < high) { /* the first whose newest is not before the time */
        uint32_t middle = low + (high - low) / 2;
        if (stripe_newest(set->stripes[middle], column) < time_ns)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == set->stripe_count) return false;
    const struct stripe *s = set->stripes[low];
    for (uint32_t rest = stripe_mask(s, column); rest; rest &= rest - 1) {
        uint32_t row = (uint32_t)__builtin_ctz(rest);
        if (stripe_time(s, row) == time_ns) return value_in_stripe(s, column, row, out);
    }
    return false;
}

static bool find_float(const struct row_set *set, uint32_t column, int64_t time_ns, double *out) {
    for (uint32_t r = 0; r < set->rows; r++) {
        if (set->row[r].time_ns != time_ns || !has(&set->row[r], column)) continue;
        *out = set->row[r].v[column];
        return true;
    }
    return find_in_stripes(set, column, time_ns, out);
}

static bool find_in_chunks(const struct head_extra *x, int64_t time_ns, uint64_t *out_hash) {
    size_t low = 0, high = x->chunks.n;
    while (low < high) { /* the first whose last is not before the time */
        size_t middle = low + (high - low) / 2;
        if (x->chunks.v[middle]->times_ns[x->chunks.v[middle]->n - 1] < time_ns)
            low = middle + 1;
        else
            high = middle;
    }
    for (uint32_t i = 0; low < x->chunks.n && i < x->chunks.v[low]->n; i++) {
        if (x->chunks.v[low]->times_ns[i] != time_ns) continue;
        *out_hash = x->chunks.v[low]->hashes[i];
        return true;
    }
    return false;
}

/* Histograms that are in order, and whatever came late. */
static uint8_t compare_rest(const struct head_extra *x, int64_t time_ns, double value, const struct histogram *v) {
    uint64_t hash;
    uint32_t late = series_head_late_at(x, time_ns);
    for (uint32_t i = 0; i < x->open_count; i++)
        if (x->open[i].time_ns == time_ns) return judge(v && histogram_equal(x->open[i].h, v));
    if (find_in_chunks(x, time_ns, &hash)) return judge(v && hash == histogram_hash(v));
    if (late == x->late_count || x->late[late].time_ns != time_ns) return SAMPLE_TAKEN;
    const struct late *l = &x->late[late];
    if (l->histogram || v) return judge(l->histogram && v && histogram_equal(l->histogram, v));
    return judge(bits_of_double(l->value) == bits_of_double(value));
}

uint8_t series_head_compare_at(const struct head *h, const struct head_series *s, int64_t time_ns, double value,
                               const struct histogram *v) {
    double there;
    if (find_float(h->sets[s->set], s->column, time_ns, &there))
        return judge(!v && bits_of_double(there) == bits_of_double(value));
    return s->extra ? compare_rest(s->extra, time_ns, value, v) : SAMPLE_TAKEN;
}

/* ---- exemplars --------------------------------------------------------------------------------------------------- */

static int compare_exemplars(const void *a, const void *b) {
    const struct exemplar *x = a, *y = b;
    return x->time_ns < y->time_ns ? -1 : x->time_ns > y->time_ns;
}

err series_head_exemplars(struct head *h, uint32_t series, int64_t time_min, int64_t time_max, struct arena *a,
                          struct exemplar **out, uint32_t *out_n) {
    uint32_t n = 0, count = 0;
    lock_take(&h->lock);
    const struct head_extra *x = series_at(h, series)->extra;
    for (uint32_t at = x ? x->exemplar : 0; at; at = h->exemplars.v[at - 1].before) count++;
    struct exemplar *found = arena_array(a, struct exemplar, count + 1);
    bool fits = found != NULL;
    for (uint32_t at = x ? x->exemplar : 0; fits && at; at = h->exemplars.v[at - 1].before) {
        const struct head_exemplar *e = &h->exemplars.v[at - 1];
        if (e->time_ns < time_min || e->time_ns > time_max) continue;
        found[n] = (struct exemplar){.series = series, .time_ns = e->time_ns, .value = e->value};
        fits = label_set_read(e->labels, a, &found[n++].labels);
    }
    lock_give(&h->lock);
    if (!fits) return err_new(ERR_LIMIT, "exemplars: over the memory limit");
    qsort(found, n, sizeof *found, compare_exemplars);
    *out = found;
    *out_n = n;
    return NULL;
}
