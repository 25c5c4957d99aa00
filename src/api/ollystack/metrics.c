/* Metrics: /metrics/… : samples of gauges whose name has a text in it, and names. */
#include "api/ollystack/ollystack_priv.h"

#include <math.h>
#include <stdlib.h>

#include "base/text.h"
#include "query/series/series.h"

static const int64_t hour_ns = 3600 * (int64_t)1000000000;
enum { INSTANT_MAX = 100, RANGE_MAX = 1000, NAMES_MAX = 100, SERIES_MAX = 10000, HISTOGRAM_BYTES_MAX = 1 << 20 };

struct sample {
    struct labels labels;
    int64_t time;
    double value;
};
struct gauges {
    struct olly *o;
    struct series_source source;
    struct series_metadata *said; /* by name */
    uint32_t said_n;
    struct sample *v;
    size_t n, most; /* v has room for 2 × most */
};

/* ---- which are gauges ------------------------------------------------------------------------------------------- */

/* By what is said of them; of those that nothing is said of by the end of their names. */
static bool is_gauge(const struct gauges *g, struct str name) {
    static const struct str ends[] = {STR("_total"), STR("_bucket"), STR("_count"), STR("_sum")};
    bool said = false;
    for (uint32_t i = 0; i < g->said_n; i++) {
        if (!str_equal(g->said[i].name, name)) continue;
        if (g->said[i].type == METRIC_TYPE_GAUGE) return true;
        said |= g->said[i].type != METRIC_TYPE_UNKNOWN;
    }
    for (size_t i = 0; i < LENGTH(ends); i++) said |= str_ends_with(name, ends[i]);
    return !said;
}

/* ---- the newest samples ------------------------------------------------------------------------------------------ */

static int newest_first(const void *x, const void *y) {
    const struct sample *a = x, *b = y;
    if (a->time != b->time) return a->time > b->time ? -1 : 1;
    return label_set_compare(a->labels, b->labels);
}

static void keep_newest(struct gauges *g) {
    if (g->n) qsort(g->v, g->n, sizeof *g->v, newest_first);
    g->n = MIN(g->n, g->most);
}

static void add_samples(struct gauges *g, struct labels labels, const struct samples *s) {
    uint32_t from = s->n > g->most ? s->n - (uint32_t)g->most : 0;
    for (uint32_t i = from; i < s->n; i++) {
        if ((s->histograms && s->histograms[i]) || isnan(s->values[i])) continue; /* a marker that it ended */
        if (g->n == 2 * g->most) keep_newest(g);
        g->v[g->n++] = (struct sample){labels, s->times_ns[i], s->values[i]};
    }
}

static err read_found(struct gauges *g, struct series_found *found) {
    struct samples s;
    err e = NULL;
    uint32_t n = series_found_count(found);
    if (n > SERIES_MAX) olly_cut(g->o, "only 10,000 of the series were looked at");
    samples_init(&s, HISTOGRAM_BYTES_MAX);
    for (uint32_t i = 0; !e && i < MIN(n, (uint32_t)SERIES_MAX); i++) {
        struct labels labels = series_found_labels(found, i);
        if (!is_gauge(g, label_set_get(labels, STR("__name__")))) continue;
        e = series_source_step(&g->source);
        samples_clear(&s);
        if (!e) e = series_found_read(found, i, &s);
        if (!e) add_samples(g, labels, &s);
    }
    samples_done(&s);
    return e;
}

/* The text anywhere in the name; a dot also means the _ that names of Prometheus have there. */
static struct str name_pattern(struct arena *a, struct str text) {
    AUTO_BUF struct buf out;
    struct str like = olly_like(a, text), dot = STR("\\x2e"), rest = like;
    buf_init(&out, 64 * KIB);
    if (!like.p) return like;
    buf_add_text(&out, "(?is).*");
    rest = (struct str){like.p + 5, like.n - 5}; /* behind (?is) */
    while (rest.n) {
        bool is_dot = str_starts_with(rest, dot);
        size_t n = is_dot ? dot.n : 1;
        if (is_dot)
            buf_add_text(&out, "[._]");
        else
            buf_add(&out, rest.p, n);
        rest = (struct str){rest.p + n, rest.n - n};
    }
    buf_add_text(&out, ".*");
    return arena_copy(a, buf_str(&out));
}

static err read_gauges(struct gauges *g, struct str query, int64_t min, int64_t max) {
    struct arena *a = &g->o->q.arena;
    struct label_matcher m;
    struct series_found *found;
    struct str pattern = name_pattern(a, query);
    g->v = arena_array(a, struct sample, 2 * g->most);
    if (!g->v || !pattern.p) return g->v ? err_new(ERR_INVALID, "query is too long") : arena_err(a);
    TRY(series_metadata(&g->source, (struct str){NULL, 0}, a, &g->said, &g->said_n));
    TRY(label_matcher_make(a, STR("__name__"), MATCHER_REGEX, pattern, &m));
    label_matchers_set_deadline(&m, 1, g->o->q.deadline_ns);
    struct series_request r = {.matchers = &m,
                               .matcher_count = 1,
                               .time_min = min,
                               .time_max = max,
                               .check = series_source_check,
                               .check_context = &g->source};
    err e = series_find(&g->source, &r, (struct series_wish){SERIES_SAMPLES, 0}, a, &found);
    if (!e) {
        e = read_found(g, found);
        keep_newest(g);
        if (!e) e = label_matchers_err(&m, 1);
        series_found_free(found);
    }
    label_matcher_done(&m);
    return e;
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

static void write_sample(struct json_writer *w, const struct sample *s) {
    json_object(w);
    json_member(w, "metricName", str, label_set_get(s->labels, STR("__name__")));
    json_member(w, "value", f64, s->value);
    olly_key_time(w, "timestamp", s->time);
    json_key(w, STR("attributes"));
    json_object(w);
    for (uint32_t i = 0; i < s->labels.n; i++) {
        if (str_equal(s->labels.v[i].name, STR("__name__"))) continue;
        json_key(w, s->labels.v[i].name);
        json_str(w, s->labels.v[i].value);
    }
    json_object_end(w);
    json_object_end(w);
}

static err write_gauges(struct olly *o, int64_t min, int64_t max, size_t most) {
    struct str query = olly_text(o->c, "query");
    struct gauges g = {.o = o, .most = most};
    if (!query.n) return err_new(ERR_INVALID, "query is required");
    TRY(series_source_open(&o->q, &g.source));
    g.source.now_ns = o->c->now_ns;
    err e = min <= max ? read_gauges(&g, query, min, max) : NULL;
    json_key(o->w, STR("metrics"));
    json_array(o->w);
    for (size_t i = 0; !e && i < g.n; i++) write_sample(o->w, &g.v[i]);
    json_array_end(o->w);
    json_member(o->w, "total", u64, g.n);
    series_source_close(&g.source);
    return e;
}

static err fill_instant(struct olly *o) { return write_gauges(o, o->c->now_ns - hour_ns, o->c->now_ns, INSTANT_MAX); }
void handle_olly_metrics(struct api_call *c) { olly_answer(c, fill_instant); }

static err fill_range(struct olly *o) {
    int64_t end = olly_time_or(olly_text(o->c, "end"), o->c->now_ns);
    return write_gauges(o, olly_time_or(olly_text(o->c, "start"), o->c->now_ns - hour_ns), end, RANGE_MAX);
}
void handle_olly_metrics_range(struct api_call *c) { olly_answer(c, fill_range); }

static err fill_labels(struct olly *o) {
    struct series_source source;
    struct series_request r = {.time_min = INT64_MIN, .time_max = INT64_MAX};
    struct str *names = NULL;
    uint32_t n = 0;
    TRY(series_source_open(&o->q, &source));
    source.now_ns = o->c->now_ns;
    err e = series_texts(&source, STR("__name__"), &r, &o->q.arena, &names, &n);
    json_key(o->w, STR("labels"));
    json_array(o->w);
    for (uint32_t i = 0; !e && i < MIN(n, (uint32_t)NAMES_MAX); i++) json_str(o->w, names[i]);
    json_array_end(o->w);
    series_source_close(&source);
    return e;
}
void handle_olly_metric_labels(struct api_call *c) { olly_answer(c, fill_labels); }

void handle_olly_metric_values(struct api_call *c) { olly_answer_text(c, 200, STR("{\"values\":[]}")); }
void handle_olly_metric_series(struct api_call *c) { olly_answer_text(c, 200, STR("{\"series\":[]}")); }
