#include <math.h>

#include "emit/emit_priv.h"
#include "signal/metrics/points_build.h"
#include "signal/otlp.h"

enum instrument_kind { COUNTER, UP_DOWN, GAUGE, HISTOGRAM };

struct emit_series {
    struct emit_instrument *i;
    uint32_t labels;     /* id in the instrument's strings */
    bool touched;        /* there is something to say */
    uint64_t value, sum; /* bits of doubles; value: not of histograms */
    uint64_t counts[];   /* of a histogram: one more than bounds */
};
struct emit_instrument {
    struct emit *e;
    enum instrument_kind kind;
    const char *name, *unit, *help;
    double bounds[EMIT_BOUNDS_MAX];
    size_t bound_n;
    struct lock lock;      /* of the two below */
    struct strings labels; /* the id of a series is its place in v, and one: id 0 is the empty text */
    VEC(struct emit_series *) v;
};

/* ---- attributes as points have them: KeyValue messages, each in field 7 ------------------------------------------ */

static void put_size(struct buf *out, size_t n) {
    for (; n >= 0x80; n >>= 7) buf_add_byte(out, (char)(n | 0x80));
    buf_add_byte(out, (char)n);
}

static void put_message(struct buf *out, char tag, struct str bytes) {
    buf_add_byte(out, tag);
    put_size(out, bytes.n);
    buf_add_str(out, bytes);
}

static void put_any(struct buf *out, const struct log_field *f) {
    AUTO_BUF struct buf any;
    buf_init(&any, 2 * EMIT_TEXT_MAX);
    if (f->type == LOG_FIELD_STR) {
        otlp_put_any_string(&any, (struct str){f->s.p ? f->s.p : "", MIN(f->s.n, (size_t)EMIT_TEXT_MAX)});
    } else if (f->type == LOG_FIELD_F64) {
        buf_add_byte(&any, 0x21);
        buf_add(&any, &f->f, sizeof f->f);
    } else {
        otlp_put_any_int(&any, f->type == LOG_FIELD_U64 ? (int64_t)MIN(f->u, (uint64_t)INT64_MAX) : f->i);
    }
    put_message(out, 0x12, buf_str(&any));
}

void put_key_values(struct buf *out, const struct log_field *f, size_t n) {
    const struct log_field *sorted[EMIT_ATTRIBUTES_MAX];
    n = MIN(n, LENGTH(sorted));
    for (size_t i = 0; i < n; i++) { /* few: by insertion */
        size_t at = i;
        for (; at > 0 && strcmp(sorted[at - 1]->key, f[i].key) > 0; at--) sorted[at] = sorted[at - 1];
        sorted[at] = &f[i];
    }
    for (size_t i = 0; i < n; i++) {
        AUTO_BUF struct buf pair;
        buf_init(&pair, 4 * EMIT_TEXT_MAX);
        put_message(&pair, 0x0a, str_of(sorted[i]->key));
        put_any(&pair, sorted[i]);
        put_message(out, 0x3a, buf_str(&pair));
    }
}

/* ---- instruments ------------------------------------------------------------------------------------------------- */

static struct emit_instrument *instrument_new(struct emit *e, enum instrument_kind kind, const char *name,
                                              const char *unit, const char *help) {
    if (!e) return NULL;
    struct emit_instrument *i = mem_new_of(struct emit_instrument);
    *i = (struct emit_instrument){.e = e, .kind = kind, .name = name, .unit = unit, .help = help};
    lock_init(&i->lock);
    strings_init(&i->labels);
    strings_intern(&i->labels, STR("")); /* 0 */
    lock_take(&e->meters_lock);
    *vec_push(&e->instruments) = i;
    lock_give(&e->meters_lock);
    return i;
}

struct emit_instrument *emit_counter(struct emit *e, const char *name, const char *unit, const char *help) {
    return instrument_new(e, COUNTER, name, unit, help);
}
struct emit_instrument *emit_up_down(struct emit *e, const char *name, const char *unit, const char *help) {
    return instrument_new(e, UP_DOWN, name, unit, help);
}
struct emit_instrument *emit_gauge(struct emit *e, const char *name, const char *unit, const char *help) {
    return instrument_new(e, GAUGE, name, unit, help);
}
struct emit_instrument *emit_histogram(struct emit *e, const char *name, const char *unit, const char *help,
                                       const double *bounds, size_t n) {
    assert(n <= EMIT_BOUNDS_MAX);
    struct emit_instrument *i = instrument_new(e, HISTOGRAM, name, unit, help);
    if (!i) return NULL;
    lock_take(&i->lock);
    if (n) memcpy(i->bounds, bounds, n * sizeof *bounds);
    i->bound_n = n;
    lock_give(&i->lock);
    return i;
}

static struct emit_series *series_at(struct emit_instrument *i, struct str labels) {
    uint32_t id = 0;
    bool known = labels.n ? strings_find(&i->labels, labels, &id) : i->v.n > 0 && i->v.v[0];
    if (known) return i->v.v[id];
    if (labels.n) id = strings_intern(&i->labels, labels);
    while (i->v.n <= id) *vec_push(&i->v) = NULL; /* place 0: no attributes */
    struct emit_series *s = mem_new(sizeof *s + (i->bound_n + 1) * sizeof *s->counts);
    memset(s, 0, sizeof *s + (i->bound_n + 1) * sizeof *s->counts);
    s->i = i;
    s->labels = id;
    i->v.v[id] = s;
    return s;
}

struct emit_series *emit_series_of(struct emit_instrument *i, const struct log_field *attributes, size_t n) {
    AUTO_BUF struct buf labels = {0};
    uint32_t id;
    if (!i) return NULL;
    buf_init(&labels, 64 * KIB);
    put_key_values(&labels, attributes, n);
    lock_take(&i->lock);
    bool known = labels.n && strings_find(&i->labels, buf_str(&labels), &id);
    if (!known && labels.n && i->v.n > EMIT_SERIES_MAX) { /* what is more is one */
        buf_clear(&labels);
        put_key_values(&labels, &F_TEXT("otel.metric.overflow", "true"), 1);
    }
    struct emit_series *s = series_at(i, labels.n ? buf_str(&labels) : STR(""));
    lock_give(&i->lock);
    return s;
}

/* ---- measuring --------------------------------------------------------------------------------------------------- */

static double double_of(uint64_t bits) {
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}
static uint64_t bits_of(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof v);
    return bits;
}

static void add(uint64_t *to, double value) {
    uint64_t old = __atomic_load_n(to, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(to, &old, bits_of(double_of(old) + value), true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {}
}

void emit_measure(struct emit_series *s, double value) {
    if (!s || isnan(value)) return;
    const struct emit_instrument *i = s->i;
    size_t bucket = 0;
    switch (i->kind) {
    case COUNTER:
        if (value < 0) return;
        add(&s->value, value);
        break;
    case UP_DOWN: add(&s->value, value); break;
    case GAUGE: __atomic_store_n(&s->value, bits_of(value), __ATOMIC_RELAXED); break;
    case HISTOGRAM:
        while (bucket < i->bound_n && value > i->bounds[bucket]) bucket++;
        __atomic_fetch_add(&s->counts[bucket], 1, __ATOMIC_RELAXED);
        add(&s->sum, value);
        break;
    }
    __atomic_store_n(&s->touched, true, __ATOMIC_RELAXED);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static void write_histogram(struct points_builder *b, const struct emit_series *s, uint32_t point) {
    const struct emit_instrument *i = s->i;
    struct points_histogram *h = vec_push(&b->histograms);
    *h = (struct points_histogram){
        .flags = HISTOGRAM_HAS_SUM, .sum = __atomic_load_n(&s->sum, __ATOMIC_RELAXED), .first = (uint32_t)b->numbers.n};
    h->n[NUMBERS_POSITIVE] = (uint32_t)i->bound_n + 1;
    h->n[NUMBERS_BOUNDS] = (uint32_t)i->bound_n;
    b->kind[point] = POINT_HISTOGRAM;
    b->value[point] = b->histograms.n - 1;
    for (size_t k = 0; k <= i->bound_n; k++) {
        uint64_t n = __atomic_load_n(&s->counts[k], __ATOMIC_RELAXED);
        *vec_push(&b->numbers) = n;
        b->histograms.v[b->histograms.n - 1].count += n;
    }
    for (size_t k = 0; k < i->bound_n; k++) *vec_push(&b->numbers) = bits_of(i->bounds[k]);
}

static void write_series(struct points_builder *b, const struct emit_series *s, uint32_t metric, uint64_t start_ns,
                         uint64_t now_ns) {
    struct str labels = strings_get(&s->i->labels, s->labels);
    points_builder_series(b, metric, labels.n ? strings_append(&b->strings, labels) : 0);
    uint32_t point = points_builder_point(b);
    b->time[point] = now_ns;
    b->start[point] = s->i->kind == GAUGE ? 0 : start_ns;
    if (s->i->kind == HISTOGRAM) {
        write_histogram(b, s, point);
    } else {
        b->kind[point] = POINT_DOUBLE;
        b->value[point] = __atomic_load_n(&s->value, __ATOMIC_RELAXED);
    }
}

static uint32_t write_metric(struct points_builder *b, const struct emit_instrument *i) {
    static const struct {
        enum metric_kind kind;
        uint32_t temporality, monotonic;
    } kinds[] = {[COUNTER] = {METRIC_SUM, TEMPORALITY_CUMULATIVE, 1},
                 [UP_DOWN] = {METRIC_SUM, TEMPORALITY_CUMULATIVE, 0},
                 [GAUGE] = {METRIC_GAUGE, 0, 0},
                 [HISTOGRAM] = {METRIC_HISTOGRAM, TEMPORALITY_CUMULATIVE, 0}};
    *vec_push(&b->metrics) = (struct points_metric){.name = strings_append(&b->strings, str_of(i->name)),
                                                    .description = strings_append(&b->strings, str_of(i->help)),
                                                    .unit = strings_append(&b->strings, str_of(i->unit)),
                                                    .kind = kinds[i->kind].kind,
                                                    .temporality = kinds[i->kind].temporality,
                                                    .monotonic = kinds[i->kind].monotonic};
    return (uint32_t)b->metrics.n - 1;
}

size_t meters_write(struct emit *e, struct points_builder *b, uint64_t now_ns) {
    size_t n = 0;
    lock_take(&e->meters_lock);
    for (size_t k = 0; k < e->instruments.n; k++) {
        struct emit_instrument *i = e->instruments.v[k];
        uint32_t metric = UINT32_MAX;
        lock_take(&i->lock);
        for (size_t s = 0; s < i->v.n; s++) {
            if (!i->v.v[s] || !__atomic_load_n(&i->v.v[s]->touched, __ATOMIC_RELAXED)) continue;
            if (metric == UINT32_MAX) metric = write_metric(b, i);
            write_series(b, i->v.v[s], metric, e->started_ns, now_ns);
            n++;
        }
        lock_give(&i->lock);
    }
    lock_give(&e->meters_lock);
    return n;
}

void meters_done(struct emit *e) {
    for (size_t k = 0; k < e->instruments.n; k++) {
        struct emit_instrument *i = e->instruments.v[k];
        for (size_t s = 0; s < i->v.n; s++) mem_free(i->v.v[s]);
        vec_done(&i->v);
        strings_done(&i->labels);
        lock_done(&i->lock);
        mem_free(i);
    }
    vec_done(&e->instruments);
}
