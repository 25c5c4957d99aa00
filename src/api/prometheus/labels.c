/* What there is: series, label names and values, metadata; and deletes. */
#include <stdlib.h>

#include "api/prometheus/prometheus_priv.h"
#include "base/text.h"

static err parse_range_and_matches(struct prometheus *p, struct series_request *r, struct prometheus_matches *m) {
    int64_t min_ms, max_ms;
    TRY(prometheus_range(p, &min_ms, &max_ms));
    *r = (struct series_request){.time_min = series_range_min_ns(min_ms), .time_max = series_range_max_ns(max_ms)};
    return prometheus_matches(p, m);
}

/* ---- names and values ------------------------------------------------------------------------------------------- */

struct texts {
    struct str *v;
    uint32_t n;
};

/* Two ascending lists as one, each text once. */
static err merge_texts(struct arena *a, struct texts *into, const struct texts *more) {
    struct str *v = arena_array(a, struct str, into->n + more->n + 1);
    uint32_t n = 0, i = 0, k = 0;
    if (!v) return arena_err(a);
    while (i < into->n || k < more->n) {
        int order = i == into->n ? 1 : k == more->n ? -1 : str_compare(into->v[i], more->v[k]);
        v[n++] = order <= 0 ? into->v[i] : more->v[k];
        i += order <= 0;
        k += order >= 0;
    }
    *into = (struct texts){v, n};
    return NULL;
}

static err find_texts(struct prometheus *p, struct str name, struct series_request *r,
                      const struct prometheus_matches *m, struct texts *out) {
    struct arena *a = &p->q.arena;
    *out = (struct texts){0};
    for (size_t i = 0; i < MAX(m->n, (size_t)1); i++) {
        struct texts found;
        r->matchers = m->n ? m->sets[i].v : NULL;
        r->matcher_count = m->n ? m->sets[i].n : 0;
        TRY(series_source_check(&p->source));
        TRY(series_texts(&p->source, name, r, a, &found.v, &found.n));
        TRY(label_matchers_err(r->matchers, r->matcher_count));
        if (i == 0)
            *out = found;
        else
            TRY(merge_texts(a, out, &found));
    }
    return series_source_check(&p->source);
}

static err write_texts(struct prometheus *p, struct str name) {
    struct json_writer *w = &p->a.w;
    struct series_request r;
    struct texts found;
    uint64_t limit;
    struct prometheus_matches *m = arena_new(&p->q.arena, struct prometheus_matches);
    if (!m) return arena_err(&p->q.arena);
    TRY(prometheus_limit(p, "limit", &limit));
    TRY(parse_range_and_matches(p, &r, m));
    err e = find_texts(p, name, &r, m, &found);
    prometheus_matches_done(m);
    TRY(e);
    if (limit && found.n > limit) {
        found.n = (uint32_t)limit;
        prometheus_note(p, STR("results truncated due to limit"));
    }
    json_array(w);
    for (uint32_t i = 0; i < found.n; i++) {
        json_str(w, found.v[i]);
        if (i % 256 == 255) TRY(answer_settle(&p->a));
    }
    json_array_end(w);
    return NULL;
}

static err fill_labels(struct prometheus *p) { return write_texts(p, (struct str){NULL, 0}); }
void handle_prometheus_labels(struct api_call *c) { prometheus_answer(c, fill_labels); }

static err fill_label_values(struct prometheus *p) {
    struct str name = prometheus_unescape(&p->q.arena, p->c->path_values[0]);
    if (!name.n || !utf8_is_valid(name))
        return prometheus_bad(p, err_new(ERR_INVALID, "invalid label name: \"" STR_FMT "\"", STR_ARG(name)));
    return write_texts(p, name);
}
void handle_prometheus_label_values(struct api_call *c) { prometheus_answer(c, fill_label_values); }

/* ---- series ----------------------------------------------------------------------------------------------------- */

enum { SORTED_MAX = 10000 };

static int by_labels(const void *x, const void *y) {
    return promql_labels_compare(*(const struct labels *)x, *(const struct labels *)y);
}

/* Series of all sets, ascending, each once, no more than `most` of a set (0: all); labels live as long as the query. */
static err find_series(struct prometheus *p, const struct prometheus_matches *m, int64_t min_ms, int64_t max_ms,
                       uint32_t most, struct labels **out, size_t *out_n) {
    struct labels *all = NULL;
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++) {
        struct series_found *found;
        TRY(prometheus_select(p, m, i, min_ms, max_ms, most, (struct series_wish){SERIES_LABELS, 0}, &found));
        size_t more = series_found_count(found);
        struct labels *v = arena_array(&p->q.arena, struct labels, n + more + 1);
        if (v && n) memcpy(v, all, n * sizeof *v);
        for (size_t k = 0; v && k < more; k++) v[n + k] = series_found_labels(found, (uint32_t)k);
        series_found_free(found);
        if (!v) return arena_err(&p->q.arena);
        all = v;
        n += more;
    }
    if (n) qsort(all, n, sizeof *all, by_labels);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (i == 0 || !label_set_equal(all[i], all[kept - 1])) all[kept++] = all[i];
    *out = all;
    *out_n = kept;
    return NULL;
}

/* A call that needs match[]. */
static err needed_matches(struct prometheus *p, struct prometheus_matches **out) {
    if (!p->c->where_count) return prometheus_bad(p, err_new(ERR_INVALID, "no match[] parameter provided"));
    *out = arena_new(&p->q.arena, struct prometheus_matches);
    return *out ? err_wrap(prometheus_matches(p, *out), "invalid parameter \"match[]\"") : arena_err(&p->q.arena);
}

static err fill_series(struct prometheus *p) {
    struct json_writer *w = &p->a.w;
    struct prometheus_matches *m = NULL;
    struct labels *found = NULL;
    uint64_t limit;
    size_t n = 0;
    int64_t min_ms, max_ms;
    TRY(prometheus_limit(p, "limit", &limit));
    TRY(prometheus_range(p, &min_ms, &max_ms));
    TRY(needed_matches(p, &m));
    /* The first by their labels where there are not too many to look at all, else some; one more tells that there are more. */
    uint32_t most = limit && limit < UINT32_MAX ? MAX((uint32_t)limit + 1, (uint32_t)SORTED_MAX) : 0;
    err e = find_series(p, m, min_ms, max_ms, most, &found, &n);
    prometheus_matches_done(m);
    TRY(e);
    if (limit && n > limit) {
        n = (size_t)limit;
        prometheus_note(p, STR("results truncated due to limit"));
    }
    json_array(w);
    for (size_t i = 0; i < n; i++) {
        prometheus_write_labels(w, found[i]);
        TRY(answer_settle(&p->a));
    }
    json_array_end(w);
    return NULL;
}
void handle_prometheus_series(struct api_call *c) { prometheus_answer(c, fill_series); }

/* ---- metadata --------------------------------------------------------------------------------------------------- */

static const char *const type_names[METRIC_TYPES] = {
    [METRIC_TYPE_UNKNOWN] = "unknown", [METRIC_TYPE_COUNTER] = "counter",
    [METRIC_TYPE_GAUGE] = "gauge",     [METRIC_TYPE_HISTOGRAM] = "histogram",
    [METRIC_TYPE_SUMMARY] = "summary", [METRIC_TYPE_GAUGEHISTOGRAM] = "gaugehistogram",
    [METRIC_TYPE_INFO] = "info",       [METRIC_TYPE_STATESET] = "stateset",
};

const char *prometheus_type_name(enum metric_type type) {
    return type_names[type < METRIC_TYPES ? type : METRIC_TYPE_UNKNOWN];
}

static void write_metadata(struct json_writer *w, const struct series_metadata *v) {
    json_object(w);
    json_member(w, "type", text, prometheus_type_name(v->type));
    json_member(w, "unit", str, v->unit);
    json_member(w, "help", str, v->help);
    json_object_end(w);
}

/* A number, or nothing; negative ones are none. */
static err read_count(struct prometheus *p, const char *name, int64_t *out) {
    *out = -1;
    if (!call_given(p->c, name)) return NULL;
    err e = parse_i64(call_text(p->c, name), out);
    if (!e) return NULL;
    err_free(e);
    return prometheus_bad(p, err_new(ERR_INVALID, "%s must be a number", name));
}

static err fill_metadata(struct prometheus *p) {
    struct json_writer *w = &p->a.w;
    struct series_metadata *v;
    int64_t limit, limit_per_metric;
    uint32_t n;
    TRY(read_count(p, "limit", &limit));
    TRY(read_count(p, "limit_per_metric", &limit_per_metric));
    TRY(series_metadata(&p->source, call_text(p->c, "metric"), &p->q.arena, &v, &n));
    json_object(w);
    for (uint32_t i = 0, names = 0; i < n; names++) {
        uint32_t first = i;
        if (limit >= 0 && names == limit) break;
        json_key(w, v[first].name);
        json_array(w);
        for (; i < n && str_equal(v[i].name, v[first].name); i++)
            if (limit_per_metric <= 0 || i - first < limit_per_metric) write_metadata(w, &v[i]);
        json_array_end(w);
        TRY(answer_settle(&p->a));
    }
    json_object_end(w);
    return NULL;
}
void handle_prometheus_metadata(struct api_call *c) { prometheus_answer(c, fill_metadata); }

/* ---- deletes ---------------------------------------------------------------------------------------------------- */

static err delete_series(struct prometheus *p) {
    struct prometheus_matches *m = NULL;
    int64_t min_ms, max_ms;
    err e = NULL;
    TRY(prometheus_range(p, &min_ms, &max_ms));
    TRY(needed_matches(p, &m));
    for (size_t i = 0; i < m->n && !e; i++) {
        uint64_t id;
        struct series_request r = {.matchers = m->sets[i].v,
                                   .matcher_count = m->sets[i].n,
                                   .time_min = series_range_min_ns(min_ms),
                                   .time_max = series_range_max_ns(max_ms)};
        e = store_delete_series(p->c->api->options.store, call_tenant(p->c), &r, &id);
    }
    prometheus_matches_done(m);
    return e;
}
void handle_prometheus_delete(struct api_call *c) { prometheus_do(c, delete_series); }

/* The bytes of what was deleted go by themselves, within a day: nothing is left to ask for. */
void handle_prometheus_clean(struct api_call *c) { call_reply(c, &(struct api_reply){.status = 204}); }
