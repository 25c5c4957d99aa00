/* query_exemplars: what was measured beside the samples of the series that a query asks for. */
#include <stdlib.h>

#include "api/prometheus/prometheus_priv.h"
#include "query/promql/number.h"

enum { SELECTORS_MAX = 64 };

/* The selections of a query's selectors, and the series of all of them. */
struct found {
    struct series_found *selections[SELECTORS_MAX];
    size_t n;
    struct found_series {
        struct labels labels;
        uint32_t selection, i;
    } * series;
    size_t series_n;
};

static void found_done(struct found *f) {
    for (size_t i = 0; i < f->n; i++) series_found_free(f->selections[i]);
    f->n = 0;
}

static err add_selector(struct prometheus *p, const struct promql_matcher *matchers, size_t n, int64_t min_ms,
                        int64_t max_ms, struct found *f) {
    struct prometheus_matches *m = arena_new(&p->q.arena, struct prometheus_matches);
    if (!m) return arena_err(&p->q.arena);
    if (n > MATCHERS_MAX || f->n == SELECTORS_MAX)
        return prometheus_bad(p, err_new(ERR_INVALID, "a query with more than %d selectors, or %d matchers in one",
                                         SELECTORS_MAX, MATCHERS_MAX));
    TRY(promql_matchers_make(&p->q.arena, matchers, n, &m->sets[0].v));
    m->sets[0].n = (uint32_t)n;
    m->n = 1;
    label_matchers_set_deadline(m->sets[0].v, m->sets[0].n, p->q.deadline_ns);
    err e =
        prometheus_select(p, m, 0, min_ms, max_ms, 0, (struct series_wish){SERIES_EXEMPLARS, 0}, &f->selections[f->n]);
    f->n += !e;
    prometheus_matches_done(m);
    return e;
}

static int by_labels(const void *x, const void *y) {
    return promql_labels_compare(((const struct found_series *)x)->labels, ((const struct found_series *)y)->labels);
}

/* Each series once, in order. */
static err list_series(struct prometheus *p, struct found *f) {
    size_t n = 0, kept = 0;
    for (size_t s = 0; s < f->n; s++) n += series_found_count(f->selections[s]);
    f->series = arena_array(&p->q.arena, struct found_series, n + 1);
    if (!f->series) return arena_err(&p->q.arena);
    n = 0;
    for (uint32_t s = 0; s < f->n; s++)
        for (uint32_t i = 0; i < series_found_count(f->selections[s]); i++)
            f->series[n++] = (struct found_series){series_found_labels(f->selections[s], i), s, i};
    qsort(f->series, n, sizeof *f->series, by_labels);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || !label_set_equal(f->series[i].labels, f->series[kept - 1].labels))
            f->series[kept++] = f->series[i];
    f->series_n = kept;
    return NULL;
}

static void write_exemplar(struct json_writer *w, const struct exemplar *x) {
    AUTO_BUF struct buf number;
    buf_init(&number, 512);
    put_sample_value(&number, x->value);
    json_object(w);
    json_key(w, STR("labels"));
    prometheus_write_labels(w, x->labels);
    json_member(w, "value", str, buf_str(&number));
    json_key(w, STR("timestamp"));
    json_raw(w, STR(""));
    prometheus_put_time(w->out, series_floor_ms(x->time_ns));
    json_object_end(w);
}

static err write_series(struct prometheus *p, struct found *f, const struct found_series *s) {
    struct json_writer *w = &p->a.w;
    struct exemplar *v;
    uint32_t n;
    TRY(series_found_exemplars(f->selections[s->selection], s->i, &p->q.arena, &v, &n));
    if (n == 0) return NULL;
    json_object(w);
    json_key(w, STR("seriesLabels"));
    prometheus_write_labels(w, s->labels);
    json_key(w, STR("exemplars"));
    json_array(w);
    for (uint32_t k = 0; k < n; k++) write_exemplar(w, &v[k]);
    json_array_end(w);
    json_object_end(w);
    return answer_settle(&p->a);
}

static err write_found(struct prometheus *p, struct found *f) {
    TRY(list_series(p, f));
    json_array(&p->a.w);
    for (size_t i = 0; i < f->series_n; i++) {
        TRY(series_source_step(&p->source));
        TRY(write_series(p, f, &f->series[i]));
    }
    json_array_end(&p->a.w);
    return NULL;
}

static err fill_exemplars(struct prometheus *p) {
    const struct promql_node *e;
    const struct promql_matcher *matchers;
    struct found *f = arena_new(&p->q.arena, struct found);
    int64_t min_ms, max_ms;
    size_t n;
    if (!f) return arena_err(&p->q.arena);
    TRY(prometheus_range(p, &min_ms, &max_ms));
    if (max_ms < min_ms)
        return prometheus_bad(p, err_new(ERR_INVALID, "end timestamp must not be before start timestamp"));
    TRY(prometheus_parse_query(p, &e));
    err failed = NULL;
    for (size_t i = 0; !failed && promql_selector_at(e, i, &matchers, &n); i++)
        failed = add_selector(p, matchers, n, min_ms, max_ms, f);
    if (!failed) failed = write_found(p, f);
    found_done(f);
    return failed;
}

void handle_prometheus_exemplars(struct api_call *c) { prometheus_answer(c, fill_exemplars); }
