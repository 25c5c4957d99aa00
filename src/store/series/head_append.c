/* Samples into the head: open rows, stripes, late lists, native histograms, exemplars. */
#include "store/series/histogram_priv.h"
#include "store/series/head_parts_priv.h"

#include "base/hash.h"

enum { SETS_FIRST = 64, SAMPLE_BYTES = 64, HISTOGRAM_SLACK = 1024 };

/* ---- row sets ---------------------------------------------------------------------------------------------------- */

static void grow_set_slots(struct head *h) {
    uint32_t old = h->set_slots ? h->set_mask + 1 : 0, n = old ? old * 2 : SETS_FIRST;
    if (h->set_keys < old - old / 4) return;
    __auto_type from = h->set_slots;
    h->set_slots = series_head_grow(h, NULL, 0, n * sizeof *h->set_slots);
    h->set_mask = n - 1;
    for (uint32_t i = 0; i < old; i++) {
        if (!from[i].set) continue;
        uint32_t at = (uint32_t)hash_keyed(from[i].key, 1) & h->set_mask;
        while (h->set_slots[at].set) at = (at + 1) & h->set_mask;
        h->set_slots[at] = from[i];
    }
    series_head_count_free(h, old * sizeof *from);
    mem_free(from);
}

static uint32_t new_set(struct head *h) {
    if (h->set_count == h->set_capacity) {
        uint32_t capacity = h->set_capacity ? h->set_capacity * 2 : SETS_FIRST;
        h->sets = series_head_grow(h, h->sets, h->set_capacity * sizeof *h->sets, capacity * sizeof *h->sets);
        h->set_capacity = capacity;
    }
    h->sets[h->set_count] = series_head_grow(h, NULL, 0, sizeof **h->sets);
    return h->set_count++;
}

void series_head_place(struct head *h, struct head_series *s, uint64_t key) {
    grow_set_slots(h);
    uint32_t at = (uint32_t)hash_keyed(key, 1) & h->set_mask;
    while (h->set_slots[at].set && h->set_slots[at].key != key) at = (at + 1) & h->set_mask;
    uint32_t set = h->set_slots[at].set;
    if (set == 0) h->set_keys++;
    if (set == 0 || h->sets[set - 1]->columns == HEAD_COLUMNS) set = new_set(h) + 1;
    h->set_slots[at].key = key;
    h->set_slots[at].set = set;
    s->set = set - 1;
    s->column = h->sets[s->set]->columns++ & (HEAD_COLUMNS - 1);
}

static bool has(const struct open_row *r, uint32_t column) {
    return column < r->capacity && r->present[column / 64] >> column % 64 & 1;
}

static size_t row_bytes(uint32_t capacity) {
    return capacity * sizeof(double) + (capacity + 63) / 64 * sizeof(uint64_t);
}

/* Makes a row empty, with room for the set's columns. Readers copy rows under the lock, so memory may be given back. */
static void row_start(struct head *h, const struct row_set *set, struct open_row *r, int64_t time_ns) {
    if (r->capacity < set->columns) {
        uint32_t capacity = MIN((set->columns + 3) & ~3u, (uint32_t)HEAD_COLUMNS);
        mem_free(r->v);
        series_head_count_free(h, row_bytes(r->capacity));
        r->v = series_head_grow(h, NULL, 0, row_bytes(capacity));
        r->present = (uint64_t *)(r->v + capacity);
        r->capacity = capacity;
    }
    r->time_ns = time_ns;
    memset(r->present, 0, (r->capacity + 63) / 64 * sizeof *r->present);
}

/* ---- stripes ----------------------------------------------------------------------------------------------------- */

struct stripe_writer {
    uint32_t masks[HEAD_COLUMNS], anchors[HEAD_COLUMNS / 16 + 1];
    uint16_t sizes[HEAD_COLUMNS];
    bool full, misses; /* misses: some column has no row */
};

static uint32_t gather(const struct row_set *set, uint32_t column, double *out, uint32_t *mask) {
    uint32_t n = 0;
    *mask = 0;
    for (uint32_t r = 0; r < set->rows; r++) {
        if (!has(&set->row[r], column)) continue;
        *mask |= 1u << r;
        out[n++] = set->row[r].v[column];
    }
    return n;
}

/* Whether every column has every row. */
static bool rows_are_full(const struct row_set *set) {
    for (uint32_t r = 0; r < set->rows; r++) {
        if (set->row[r].capacity < set->columns) return false;
        for (uint32_t c = 0; c < set->columns; c += 64) {
            uint64_t all = set->columns - c < 64 ? (UINT64_C(1) << (set->columns - c)) - 1 : UINT64_MAX;
            if ((set->row[r].present[c / 64] & all) != all) return false;
        }
    }
    return true;
}

/* The next columns of full rows, each in one piece: of a row they lie in one line of memory. */
enum { TILE = 8 };
static void gather_tile(const struct row_set *set, uint32_t column, double out[TILE][HEAD_ROWS]) {
    uint32_t n = MIN(set->columns - column, (uint32_t)TILE);
    for (uint32_t r = 0; r < set->rows; r++)
        for (uint32_t c = 0; c < n; c++) out[c][r] = set->row[r].v[column + c];
}

static void encode_columns(const struct row_set *set, struct stripe_writer *w, struct buf *out) {
    double tile[TILE][HEAD_ROWS], sparse[HEAD_ROWS];
    bool full = rows_are_full(set);
    w->full = true;
    w->misses = false;
    for (uint32_t c = 0; c < set->columns; c++) {
        size_t start = out->n;
        if (full && c % TILE == 0) gather_tile(set, c, tile);
        uint32_t n = full ? set->rows : gather(set, c, sparse, &w->masks[c]);
        if (full) w->masks[c] = UINT32_MAX >> (HEAD_ROWS - n);
        if (c % 16 == 0) w->anchors[c / 16] = (uint32_t)start;
        if (n) values_encode(full ? tile[c % TILE] : sparse, n, EFFORT_CHEAP, out);
        w->sizes[c] = (uint16_t)(out->n - start);
        w->full &= n == set->rows;
        w->misses |= n == 0;
    }
}

static void *keep(struct head *h, const void *p, size_t n) { return memcpy(arena_alloc(&h->memory, n + 1), p, n); }

/* Most times are whole milliseconds and near each other: 4 bytes a row. */
static void keep_times(struct head *h, const struct row_set *set, struct stripe *s) {
    int64_t times[HEAD_ROWS];
    uint32_t after_ms[HEAD_ROWS];
    bool short_ones = true;
    s->first_ns = INT64_MAX;
    for (uint32_t r = 0; r < set->rows; r++) s->first_ns = MIN(s->first_ns, times[r] = set->row[r].time_ns);
    for (uint32_t r = 0; r < set->rows; r++) {
        uint64_t after = (uint64_t)times[r] - (uint64_t)s->first_ns;
        short_ones &= after % 1000000 == 0 && after / 1000000 <= UINT32_MAX;
        after_ms[r] = (uint32_t)(after / 1000000);
    }
    if (short_ones)
        s->after_ms = keep(h, after_ms, set->rows * sizeof *after_ms);
    else
        s->times_ns = keep(h, times, set->rows * sizeof *times);
}

/* So that a column's stripe of a time is found by bisecting, though it may have no row in most. */
static void keep_newest(struct head *h, const struct row_set *set, const struct stripe_writer *w, struct stripe *s) {
    const struct stripe *before = set->stripe_count ? set->stripes[set->stripe_count - 1] : NULL;
    int64_t *newest = arena_alloc(&h->memory, s->columns * sizeof *newest + 1);
    for (uint32_t c = 0; c < s->columns; c++)
        newest[c] = w->masks[c] ? stripe_time(s, 31 - (uint32_t)__builtin_clz(w->masks[c]))
                                : (before ? stripe_newest(before, c) : INT64_MIN);
    s->newest_ns = newest;
}

/* Turns the open rows into a stripe. Only the writer changes rows, so they are encoded without the lock. */
static void seal_rows(struct head *h, struct row_set *set) {
    static _Thread_local struct stripe_writer w;
    buf_clear(&h->scratch);
    lock_give(&h->lock);
    encode_columns(set, &w, &h->scratch);
    lock_take(&h->lock);
    struct stripe *s = series_head_alloc(h, sizeof *s);
    s->rows = set->rows;
    s->columns = set->columns;
    keep_times(h, set, s);
    if (!w.full) s->masks = keep(h, w.masks, s->columns * sizeof *w.masks);
    if (w.misses) keep_newest(h, set, &w, s);
    s->anchors = keep(h, w.anchors, (s->columns + 15) / 16 * sizeof *w.anchors);
    s->sizes = keep(h, w.sizes, s->columns * sizeof *w.sizes);
    s->bytes = keep(h, h->scratch.p ? h->scratch.p : "", h->scratch.n);
    if (set->stripe_count == set->stripe_capacity) {
        uint32_t capacity = set->stripe_capacity ? set->stripe_capacity * 2 : 8;
        set->stripes = series_head_grow(h, set->stripes, set->stripe_capacity * sizeof s, capacity * sizeof s);
        set->stripe_capacity = capacity;
    }
    set->stripes[set->stripe_count++] = s;
    set->rows = 0;
}

/* The row for a sample that is newer than all of its column: an open one of that time behind the column's newest, or a new one. */
static struct open_row *find_row(struct head *h, struct row_set *set, uint32_t column, int64_t time_ns) {
    for (uint32_t r = set->rows; r-- > 0 && !has(&set->row[r], column);)
        if (set->row[r].time_ns == time_ns && column < set->row[r].capacity) return &set->row[r];
    if (set->rows == HEAD_ROWS) seal_rows(h, set);
    struct open_row *row = &set->row[set->rows];
    row_start(h, set, row, time_ns);
    set->rows++;
    return row;
}

/* ---- one sample -------------------------------------------------------------------------------------------------- */

static void set_start(struct head *h, uint32_t id, int64_t time_ns, int64_t start_ns) {
    if (start_ns == start_of(h, id)) return;
    struct head_extra *x = series_head_extra_of(h, series_at(h, id));
    int64_t **starts = &h->starts[id / TABLE_BLOCK];
    size_t before = x->starts.capacity;
    if (!*starts) *starts = series_head_alloc(h, TABLE_BLOCK * sizeof **starts);
    *vec_push(&x->starts) = (struct start_change){time_ns, start_ns};
    (*starts)[id % TABLE_BLOCK] = start_ns;
    h->bytes += (x->starts.capacity - before) * sizeof *x->starts.v;
}

static void note_time(struct head *h, struct head_series *s, int64_t time_ns) {
    s->time_min = MIN(s->time_min, time_ns);
    s->time_max = MAX(s->time_max, time_ns);
    h->stats.time_min = MIN(h->stats.time_min, time_ns);
    h->stats.time_max = MAX(h->stats.time_max, time_ns);
}

/* Room for one more at its place. */
static struct late *late_place(struct head *h, struct head_extra *x, int64_t time_ns) {
    enum { LATE_FIRST = 8 };
    uint32_t at = series_head_late_at(x, time_ns);
    if (x->late_count == x->late_capacity) {
        uint32_t capacity = x->late_capacity ? x->late_capacity * 2 : LATE_FIRST;
        x->late = series_head_grow(h, x->late, x->late_capacity * sizeof *x->late, capacity * sizeof *x->late);
        x->late_capacity = capacity;
    }
    memmove(&x->late[at + 1], &x->late[at], (x->late_count - at) * sizeof *x->late);
    x->late_count++;
    return &x->late[at];
}

static uint8_t add_late(struct head *h, struct head_series *s, const struct late *late) {
    uint64_t behind = (uint64_t)s->time_max - (uint64_t)late->time_ns;
    uint8_t there = series_head_compare_at(h, s, late->time_ns, late->value, late->histogram);
    if (there != SAMPLE_TAKEN) return there;
    if (behind > (uint64_t)h->options.late_window_ns) return SAMPLE_TOO_LATE;
    struct head_extra *x = series_head_extra_of(h, s);
    if (x->late_count >= LATE_MAX) return SAMPLE_LATE_FULL;
    struct late kept = *late;
    if (late->histogram) {
        struct histogram *copy = series_head_alloc(h, sizeof *copy);
        histogram_copy(&h->memory, late->histogram, copy);
        kept.histogram = copy;
    }
    *late_place(h, x, late->time_ns) = kept;
    h->stats.late++;
    note_time(h, s, late->time_ns);
    return SAMPLE_TAKEN_LATE;
}

static void forget_last_histogram(struct head *h, struct head_series *s) {
    if (!s->ends_in_histogram) return;
    s->ends_in_histogram = false;
    series_head_count_free(h, sizeof *s->extra->last_histogram + histogram_bytes(s->extra->last_histogram));
    mem_free(s->extra->last_histogram);
    s->extra->last_histogram = NULL;
}

static uint8_t append_one(struct head *h, uint32_t id, int64_t time_ns, double value, int64_t start_ns) {
    struct head_series *s = series_at(h, id);
    if (time_ns == s->time_max && s->time_min <= s->time_max)
        return !s->ends_in_histogram && bits_of_double(s->last) == bits_of_double(value) ? SAMPLE_REPEATED
                                                                                         : SAMPLE_CONFLICT;
    if (time_ns < s->time_max) return add_late(h, s, &(struct late){time_ns, start_ns, value, NULL});
    struct row_set *set = h->sets[s->set];
    struct open_row *row = find_row(h, set, s->column, time_ns);
    row->v[s->column] = value;
    row->present[s->column / 64] |= UINT64_C(1) << s->column % 64;
    set_start(h, id, time_ns, start_ns);
    forget_last_histogram(h, s);
    s->last = value;
    note_time(h, s, time_ns);
    h->stats.samples++;
    return SAMPLE_TAKEN;
}

/* Where samples of one set and one time go: its newest row. */
struct newest_row {
    uint32_t set;
    int64_t time_ns;
    struct open_row *row; /* NULL: none is known */
};

static void find_newest_row(struct head *h, const struct head_series *s, struct newest_row *out) {
    const struct row_set *set = h->sets[s->set];
    out->row = set->rows ? &h->sets[s->set]->row[set->rows - 1] : NULL;
    out->set = s->set;
    if (out->row) out->time_ns = out->row->time_ns;
}

/* A sample that is newer than all of its series, of a time that others of its set were of a moment ago, and says nothing else. False: it
 * takes append_one. */
static inline bool append_next(struct head *h, uint32_t id, int64_t time_ns, double value, int64_t start_ns,
                               struct newest_row *at) {
    struct head_series *s = series_at(h, id);
    uint32_t column = s->column;
    if (time_ns <= s->time_max || start_ns != start_of(h, id) || s->ends_in_histogram) return false;
    if (!at->row || at->set != s->set) find_newest_row(h, s, at);
    if (!at->row || at->time_ns != time_ns || column >= at->row->capacity) return false;
    uint64_t *present = &at->row->present[column / 64], bit = UINT64_C(1) << column % 64;
    if (*present & bit) return false;
    *present |= bit;
    at->row->v[column] = value;
    s->last = value;
    s->time_min = MIN(s->time_min, time_ns);
    s->time_max = time_ns;
    h->stats.samples++; /* the row's first one has noted its time */
    return true;
}

/* Series lie anywhere: memory brings them while those before are appended. */
static inline void foresee(const struct head *h, const uint32_t *series, uint32_t i, uint32_t n) {
    enum { FAR = 12 };
    if (i + FAR < n) __builtin_prefetch(series_at(h, series[i + FAR]), 1);
}

err series_head_append(struct head *h, const uint32_t *series, const int64_t *times_ns, const double *values,
                       const int64_t *starts_ns, uint32_t n, uint8_t *verdicts) {
    enum { STRIPE_BYTES = HEAD_COLUMNS * HEAD_ROWS * 9 + HEAD_COLUMNS * 8 };
    lock_take(&h->lock);
    err e = series_head_charge(h, (uint64_t)n * SAMPLE_BYTES + STRIPE_BYTES, "samples");
    struct newest_row at = {0};
    uint32_t seen = seen_now(h);
    for (uint32_t i = 0; i < n && !e; i++) {
        foresee(h, series, i, n);
        int64_t start = starts_ns ? starts_ns[i] : 0;
        *seen_at(h, series[i]) = seen;
        verdicts[i] = SAMPLE_TAKEN;
        if (append_next(h, series[i], times_ns[i], values[i], start, &at)) continue;
        verdicts[i] = append_one(h, series[i], times_ns[i], values[i], start);
        at.row = NULL; /* it may have begun another one */
    }
    lock_give(&h->lock);
    return e;
}

/* ---- native histograms ------------------------------------------------------------------------------------------- */

static struct histogram *heap_copy(struct head *h, const struct histogram *v) {
    h->bytes += sizeof *v + histogram_bytes(v);
    return histogram_on_heap(v);
}

static void seal_histograms(struct head *h, struct head_extra *x) {
    struct histogram rows[HEAD_ROWS];
    buf_clear(&h->scratch);
    for (uint32_t i = 0; i < x->open_count; i++) rows[i] = *x->open[i].h;
    histograms_encode(rows, x->open_count, EFFORT_FULL, &h->scratch);
    struct histogram_chunk *c = series_head_alloc(h, sizeof *c + h->scratch.n);
    c->n = x->open_count;
    c->bytes = (uint32_t)h->scratch.n;
    memcpy(c->data, h->scratch.p, h->scratch.n);
    for (uint32_t i = 0; i < x->open_count; i++) {
        c->times_ns[i] = x->open[i].time_ns;
        c->hashes[i] = histogram_hash(&rows[i]);
        series_head_count_free(h, sizeof rows[i] + histogram_bytes(&rows[i]));
        mem_free(x->open[i].h);
    }
    if (x->chunk_last)
        x->chunk_last->next = c;
    else
        x->chunk_first = c;
    x->chunk_last = c;
    x->chunk_count++;
    size_t before = x->chunks.capacity;
    *vec_push(&x->chunks) = c;
    h->bytes += (x->chunks.capacity - before) * sizeof c;
    x->open_count = 0;
}

static uint8_t append_histogram(struct head *h, uint32_t id, int64_t time_ns, const struct histogram *v,
                                int64_t start_ns) {
    struct head_series *s = series_at(h, id);
    if (time_ns == s->time_max && s->time_min <= s->time_max)
        return s->ends_in_histogram && histogram_equal(s->extra->last_histogram, v) ? SAMPLE_REPEATED : SAMPLE_CONFLICT;
    if (time_ns < s->time_max) return add_late(h, s, &(struct late){time_ns, start_ns, 0, v});
    struct head_extra *x = series_head_extra_of(h, s);
    bool other = x->open_count && x->open[0].h->is_float != v->is_float; /* one chunk is of one kind */
    if (x->open_count == HEAD_ROWS || other) seal_histograms(h, x);
    x->open[x->open_count].time_ns = time_ns;
    x->open[x->open_count++].h = heap_copy(h, v);
    set_start(h, id, time_ns, start_ns);
    forget_last_histogram(h, s);
    x->last_histogram = heap_copy(h, v);
    s->ends_in_histogram = true;
    note_time(h, s, time_ns);
    h->stats.histograms++;
    return SAMPLE_TAKEN;
}

err series_head_append_histogram(struct head *h, uint32_t series, int64_t time_ns, const struct histogram *v,
                                 int64_t start_ns, uint8_t *verdict) {
    TRY(histogram_check(v));
    lock_take(&h->lock);
    err e = series_head_charge(h, 3 * (histogram_bytes(v) + HISTOGRAM_SLACK) + sizeof(struct head_extra),
                               "native histograms");
    if (!e) *seen_at(h, series) = seen_now(h);
    if (!e) *verdict = append_histogram(h, series, time_ns, v, start_ns);
    lock_give(&h->lock);
    return e;
}

/* ---- exemplars --------------------------------------------------------------------------------------------------- */

static void add_exemplar(struct head *h, const struct exemplar *e) {
    struct head_series *s = series_at(h, e->series);
    buf_clear(&h->scratch);
    label_set_write(e->labels, &h->scratch);
    struct str labels = buf_str(&h->scratch);
    for (uint32_t at = s->extra ? s->extra->exemplar : 0, looked = 0; at && looked < 16; looked++) {
        const struct head_exemplar *x = &h->exemplars.v[at - 1];
        if (x->time_ns == e->time_ns && bits_of_double(x->value) == bits_of_double(e->value) &&
            str_equal(x->labels, labels))
            return;
        at = x->before;
    }
    if (h->exemplars.n >= EXEMPLARS_MAX) {
        h->stats.exemplars_dropped++;
        return;
    }
    struct head_extra *extra = series_head_extra_of(h, s);
    size_t before = h->exemplars.capacity;
    *vec_push(&h->exemplars) =
        (struct head_exemplar){e->time_ns, e->value, arena_copy(&h->memory, labels), extra->exemplar};
    extra->exemplar = (uint32_t)h->exemplars.n;
    h->bytes += (h->exemplars.capacity - before) * sizeof *h->exemplars.v;
    h->stats.exemplars++;
}

err series_head_append_exemplar(struct head *h, const struct exemplar *e) {
    if (e->labels.n) TRY_WRAP(label_set_check(e->labels, LABELS_MAX), "exemplar");
    size_t n = 0;
    for (uint32_t i = 0; i < e->labels.n; i++) n += e->labels.v[i].name.n + e->labels.v[i].value.n;
    if (n > EXEMPLAR_BYTES_MAX)
        return err_new(ERR_LIMIT, "exemplar: labels of %zu bytes, at most %d", n, EXEMPLAR_BYTES_MAX);
    lock_take(&h->lock);
    err x = series_head_charge(h, n + sizeof(struct head_extra) + 4 * KIB + h->exemplars.n * sizeof *h->exemplars.v,
                               "exemplars");
    if (!x) add_exemplar(h, e);
    lock_give(&h->lock);
    return x;
}
