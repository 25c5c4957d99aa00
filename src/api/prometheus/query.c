/* Questions in PromQL: query, query_range, format_query, parse_query. */
#include "api/prometheus/prometheus_priv.h"
#include "base/text.h"
#include "os/clock.h"
#include "os/process.h"

enum { POINTS_MAX = 11000 };

/* ---- options ---------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    size_t at; /* of the flag in struct api_promql */
} features[] = {
    {"promql-experimental-functions", offsetof(struct api_promql, experimental_functions)},
    {"promql-duration-expr", offsetof(struct api_promql, duration_expressions)},
    {"promql-delayed-name-removal", offsetof(struct api_promql, delayed_name_removal)},
    {"type-and-unit-labels", offsetof(struct api_promql, type_and_unit_labels)},
};

err api_promql_enable(struct api_promql *p, struct str names) {
    struct str rest = names, name;
    for (bool more = true; more;) {
        more = str_cut(rest, ',', &name, &rest);
        size_t i = 0;
        while (i < LENGTH(features) && !str_equal(name, str_of(features[i].name))) i++;
        if (i == LENGTH(features))
            return err_new(ERR_INVALID,
                           "there is no feature \"" STR_FMT "\"; there are promql-experimental-functions, "
                           "promql-duration-expr, promql-delayed-name-removal and type-and-unit-labels",
                           STR_ARG(name));
        *((bool *)((char *)p + features[i].at)) = true;
    }
    return NULL;
}

static struct promql_syntax syntax_of(const struct api_call *c) {
    const struct api_promql *p = &c->api->options.promql;
    return (struct promql_syntax){p->experimental_functions, p->duration_expressions};
}

/* timeout, lookback_delta; what the engine needs beside times. */
static err read_options(struct prometheus *p, struct promql_options *out) {
    const struct api_promql *on = &p->c->api->options.promql;
    int64_t ns;
    *out = (struct promql_options){.count_samples = call_given(p->c, "stats"),
                                   .delayed_name_removal = on->delayed_name_removal,
                                   .type_and_unit_labels = on->type_and_unit_labels,
                                   .check = series_source_step,
                                   .check_work = series_source_check,
                                   .context = &p->source};
    if (call_given(p->c, "timeout")) {
        TRY(prometheus_bad_param(p, "timeout", prometheus_parse_duration(call_text(p->c, "timeout"), &ns)));
        int64_t begun = p->q.deadline_ns - p->q.options.timeout_ns;
        p->q.options.timeout_ns = MIN(p->q.options.timeout_ns, MAX(ns, 0));
        p->q.deadline_ns = begun + p->q.options.timeout_ns;
    }
    if (call_given(p->c, "lookback_delta")) {
        TRY(prometheus_bad(p, err_wrap(prometheus_parse_duration(call_text(p->c, "lookback_delta"), &ns),
                                       "error parsing lookback delta duration")));
        out->lookback_ms = MAX(ns / 1000000, 0);
    }
    return NULL;
}

err prometheus_parse_query(struct prometheus *p, const struct promql_node **out) {
    struct str text = call_text(p->c, "query");
    return prometheus_bad_param(p, "query",
                                promql_parse(&p->q.arena, text.p ? text : STR(""), syntax_of(p->c), out, NULL));
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

static void write_seconds(struct json_writer *w, const char *name, int64_t ns) {
    json_key(w, str_of(name));
    json_f64(w, (double)ns / 1e9);
}

static void write_steps(struct json_writer *w, const struct promql_answer *a) {
    json_key(w, STR("totalQueryableSamplesPerStep"));
    json_array(w);
    for (size_t i = 0; i < a->step_n; i++) {
        json_array(w);
        json_raw(w, STR(""));
        prometheus_put_time(w->out, a->start_ms + (int64_t)i * a->step_ms);
        json_u64(w, a->step_samples ? a->step_samples[i] : 0);
        json_array_end(w);
    }
    json_array_end(w);
}

struct times {
    int64_t begun, evaluated, prepared;
};

static void write_stats(struct prometheus *p, const struct promql_answer *a, const struct times *t) {
    struct json_writer *w = &p->a.w;
    int64_t now = clock_monotonic_ns();
    uint64_t total = 0;
    for (size_t i = 0; i < a->step_n && a->step_samples; i++) total += a->step_samples[i];
    json_key(w, STR("stats"));
    json_object(w);
    json_key(w, STR("timings"));
    json_object(w);
    write_seconds(w, "evalTotalTime", t->evaluated - t->begun);
    write_seconds(w, "resultSortTime", 0);
    write_seconds(w, "queryPreparationTime", t->prepared - t->begun);
    write_seconds(w, "innerEvalTime", t->evaluated - t->prepared);
    write_seconds(w, "execQueueTime", 0);
    write_seconds(w, "execTotalTime", now - t->begun);
    json_object_end(w);
    json_key(w, STR("samples"));
    json_object(w);
    if (str_equal(call_text(p->c, "stats"), STR("all"))) write_steps(w, a);
    json_member(w, "totalQueryableSamples", u64, total);
    json_member(w, "peakSamples", u64, a->samples);
    json_object_end(w);
    json_object_end(w);
}

static err run(struct prometheus *p, const struct promql_options *o, uint64_t limit) {
    struct json_writer *w = &p->a.w;
    const struct promql_node *e;
    struct promql_answer *a = arena_new(&p->q.arena, struct promql_answer);
    struct times t = {.begun = clock_monotonic_ns()};
    if (!a) return arena_err(&p->q.arena);
    TRY(prometheus_parse_query(p, &e));
    enum promql_type type = promql_type_of(e);
    if (o->step_ms && type != PROMQL_SCALAR && type != PROMQL_VECTOR) p->failure = FAILURE_BAD_DATA;
    t.prepared = clock_monotonic_ns();
    err failed = series_run(&p->source, e, call_text(p->c, "query"), o, a);
    if (failed && p->failure == FAILURE_BAD_DATA) return prometheus_bad_param(p, "query", failed);
    if (failed) return failed;
    t.evaluated = clock_monotonic_ns();
    p->warnings = a->warnings, p->warning_n = a->warning_n;
    p->infos = a->infos, p->info_n = a->info_n;
    json_object(w);
    TRY(prometheus_write_result(p, a, limit));
    if (call_given(p->c, "stats")) write_stats(p, a, &t);
    json_object_end(w);
    return NULL;
}

static err fill_query(struct prometheus *p) {
    struct promql_options o;
    uint64_t limit;
    int64_t time;
    TRY(prometheus_limit(p, "limit", &limit));
    TRY(prometheus_time(p, "time", series_floor_ms(p->c->now_ns), &time));
    TRY(read_options(p, &o));
    o.start_ms = o.end_ms = time;
    return run(p, &o, limit);
}

void handle_prometheus_query(struct api_call *c) { prometheus_answer(c, fill_query); }

static err needed_time(struct prometheus *p, const char *name, int64_t *out) {
    struct str text = call_text(p->c, name);
    return prometheus_bad_param(p, name, prometheus_parse_time(text.p ? text : STR(""), out));
}

static err read_steps(struct prometheus *p, struct promql_options *o) {
    struct str text = call_text(p->c, "step");
    int64_t step;
    TRY(needed_time(p, "start", &o->start_ms));
    TRY(needed_time(p, "end", &o->end_ms));
    if (o->end_ms < o->start_ms)
        return prometheus_bad_param(p, "end", err_new(ERR_INVALID, "end timestamp must not be before start time"));
    TRY(prometheus_bad_param(p, "step", prometheus_parse_duration(text.p ? text : STR(""), &step)));
    o->step_ms = step / 1000000;
    if (step > 0 && o->step_ms == 0)
        return prometheus_bad_param(p, "step", err_new(ERR_INVALID, "a step is 1 ms at least"));
    if (o->step_ms <= 0)
        return prometheus_bad_param(p, "step",
                                    err_new(ERR_INVALID, "zero or negative query resolution step widths are not "
                                                         "accepted. Try a positive integer"));
    if ((o->end_ms - o->start_ms) / o->step_ms > POINTS_MAX)
        return prometheus_bad(p, err_new(ERR_INVALID, "exceeded maximum resolution of 11,000 points per timeseries. "
                                                      "Try decreasing the query resolution (?step=XX)"));
    return NULL;
}

static err fill_range(struct prometheus *p) {
    struct promql_options o;
    uint64_t limit;
    TRY(prometheus_limit(p, "limit", &limit));
    TRY(read_options(p, &o));
    TRY(read_steps(p, &o));
    p->source.cores = process_cores;
    return run(p, &o, limit);
}

void handle_prometheus_query_range(struct api_call *c) { prometheus_answer(c, fill_range); }

/* ---- text ------------------------------------------------------------------------------------------------------- */

static err fill_format(struct prometheus *p) {
    const struct promql_node *e;
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    TRY(prometheus_parse_query(p, &e));
    promql_print_pretty(e, &text);
    if (text.full) return err_new(ERR_LIMIT, "the formatted query is longer than 1 MiB");
    json_str(&p->a.w, buf_str(&text));
    return NULL;
}

void handle_prometheus_format(struct api_call *c) { prometheus_answer(c, fill_format); }

static err fill_parse(struct prometheus *p) {
    const struct promql_node *e;
    TRY(prometheus_parse_query(p, &e));
    return promql_print_tree(e, &p->a.w);
}

void handle_prometheus_parse(struct api_call *c) { prometheus_answer(c, fill_parse); }
