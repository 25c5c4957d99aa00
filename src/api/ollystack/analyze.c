/* What a trace's spans come to, by the formulas of the contract: GET /traces/:id/analyze. */
#include "api/ollystack/ollystack_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/text.h"

enum { LONGEST_MAX = 10, EVIDENCE_MAX = 10, BOTTLENECKS = 3, MANY_SERVICES = 5 };
static const int64_t second_ns = 1000000000;

struct part { /* of one service */
    struct str service;
    uint64_t spans, errors;
    double total;
};
struct analysis {
    const struct query_trace_answer *t;
    size_t *by_duration; /* places of spans, longest first */
    struct part *parts;  /* most time first */
    size_t part_n, errors;
    const struct query_span *root_cause; /* NULL: none failed */
    double total, cv, score;
};

static double duration_of(const struct query_trace_answer *t, size_t i) {
    int64_t d = (int64_t)batch_u64(&t->batch, SET_ROWS, FIELD_DURATION, t->spans[i].row);
    return (double)MAX(d, (int64_t)0);
}
static int64_t start_of(const struct query_trace_answer *t, const struct query_span *s) {
    return (int64_t)batch_u64(&t->batch, SET_ROWS, FIELD_TIME, s->row);
}
static bool failed(const struct query_trace_answer *t, size_t i) {
    return batch_u32(&t->batch, SET_ROWS, FIELD_STATUS, t->spans[i].row) == 2;
}
static struct str name_of(const struct query_trace_answer *t, const struct query_span *s) {
    return batch_text(&t->batch, SET_ROWS, FIELD_NAME, s->row);
}

/* ---- figures ---------------------------------------------------------------------------------------------------- */

static int most_time(const void *x, const void *y) {
    const struct part *a = x, *b = y;
    if (a->total != b->total) return a->total > b->total ? -1 : 1;
    return str_compare(a->service, b->service);
}

static err add_parts(struct olly *o, struct analysis *a) {
    struct strings names;
    a->parts = arena_array(&o->q.arena, struct part, a->t->n + 1);
    if (!a->parts) return arena_err(&o->q.arena);
    strings_init(&names);
    for (size_t i = 0; i < a->t->n; i++) {
        struct part *p = &a->parts[strings_intern(&names, a->t->spans[i].service)];
        p->service = a->t->spans[i].service;
        p->spans++;
        p->errors += failed(a->t, i);
        p->total += duration_of(a->t, i);
    }
    a->part_n = names.n;
    strings_done(&names);
    qsort(a->parts, a->part_n, sizeof *a->parts, most_time);
    return NULL;
}

struct long_span {
    double duration;
    size_t at;
};

static int longest_first(const void *x, const void *y) {
    const struct long_span *a = x, *b = y;
    if (a->duration != b->duration) return a->duration > b->duration ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

static err add_longest(struct olly *o, struct analysis *a) {
    size_t n = a->t->n;
    struct long_span *v = arena_array(&o->q.arena, struct long_span, n + 1);
    a->by_duration = arena_array(&o->q.arena, size_t, n + 1);
    if (!v || !a->by_duration) return arena_err(&o->q.arena);
    for (size_t i = 0; i < n; i++) v[i] = (struct long_span){duration_of(a->t, i), i};
    qsort(v, n, sizeof *v, longest_first);
    for (size_t i = 0; i < n; i++) a->by_duration[i] = v[i].at;
    return NULL;
}

/* The deepest failed span, of several the earliest: what failed above it failed because of it. */
static void add_failures(struct analysis *a) {
    for (size_t i = 0; i < a->t->n; i++) {
        const struct query_span *s = &a->t->spans[i], *best = a->root_cause;
        if (!failed(a->t, i)) continue;
        a->errors++;
        if (!best || s->depth > best->depth || (s->depth == best->depth && start_of(a->t, s) < start_of(a->t, best)))
            a->root_cause = s;
    }
}

static void add_score(struct analysis *a) {
    double n = (double)a->t->n, squares = 0;
    for (size_t i = 0; i < a->t->n; i++) a->total += duration_of(a->t, i);
    double mean = a->total / n;
    for (size_t i = 0; i < a->t->n; i++) squares += (duration_of(a->t, i) - mean) * (duration_of(a->t, i) - mean);
    a->cv = mean > 0 ? sqrt(squares / n) / mean : 0;
    a->score = 0.5 * (double)a->errors / n + (a->cv > 2 ? 0.3 : a->cv > 1 ? 0.2 : 0);
}

static double share(const struct analysis *a, double part) { return a->total > 0 ? part * 100 / a->total : 0; }

/* ---- in words --------------------------------------------------------------------------------------------------- */

static void put_total(struct buf *out, double ns) {
    if (ns >= 1e9)
        buf_add_fmt(out, "%.2fs", ns / 1e9);
    else
        buf_add_fmt(out, "%.2fms", ns / 1e6);
}

static void write_summary(struct json_writer *w, const struct analysis *a) {
    AUTO_BUF struct buf text;
    buf_init(&text, KIB);
    buf_add_fmt(&text, "This %s trace contains %zu spans with total duration of ", a->errors ? "failed" : "successful",
                a->t->n);
    put_total(&text, a->total);
    buf_add_fmt(&text, ". Anomaly score: %.0f%% (%s).", a->score * 100,
                a->score > 0.7   ? "highly anomalous"
                : a->score > 0.4 ? "moderately anomalous"
                                 : "normal");
    json_member(w, "summary", str, buf_str(&text));
}

static void put_failed(struct json_writer *w, const struct analysis *a, const char *what, const struct query_span *s) {
    AUTO_BUF struct buf text;
    buf_init(&text, 64 * KIB);
    buf_add_fmt(&text, "%s " STR_FMT " in service " STR_FMT " failed", what, STR_ARG(name_of(a->t, s)),
                STR_ARG(s->service));
    json_str(w, buf_str(&text));
}

/* The failed span, and those above it that failed with it: in the order of the tree a parent is the nearest span before that is less deep. */
static void write_evidence(struct json_writer *w, const struct analysis *a, const char *key) {
    const struct query_span *cause = a->root_cause;
    uint32_t depth = cause->depth, told = 1;
    json_key(w, str_of(key));
    json_array(w);
    put_failed(w, a, "Span", cause);
    for (const struct query_span *s = cause; s > a->t->spans && told < EVIDENCE_MAX;) {
        s--;
        if (s->depth >= depth) continue;
        depth = s->depth;
        if (!failed(a->t, (size_t)(s - a->t->spans))) continue;
        put_failed(w, a, "Its caller", s);
        told++;
    }
    json_array_end(w);
}

static void write_span_id(struct json_writer *w, const struct analysis *a, const struct query_span *s) {
    uint64_t id = batch_u64(&a->t->batch, SET_ROWS, FIELD_SPAN_ID, s->row);
    json_member(w, "spanId", hex, &id, sizeof id);
}

static void write_root_cause(struct json_writer *w, const struct analysis *a) {
    const struct query_span *s = a->root_cause;
    if (!s) return;
    struct str message = batch_text(&a->t->batch, SET_ROWS, FIELD_STATUS_MESSAGE, s->row);
    json_key(w, STR("rootCause"));
    json_object(w);
    write_span_id(w, a, s);
    json_member(w, "serviceName", str, s->service);
    json_member(w, "operationName", str, name_of(a->t, s));
    json_member(w, "errorType", text, "Error");
    json_member(w, "errorMessage", str, message.n ? message : STR("The span failed without a message"));
    json_member(w, "confidence", f64, 0.85);
    write_evidence(w, a, "evidence");
    write_evidence(w, a, "contributingFactors");
    json_object_end(w);
}

/* ---- insights --------------------------------------------------------------------------------------------------- */

static void write_insight(struct json_writer *w, const char *type, const char *severity, const char *title,
                          const struct buf *description, const char *recommendation) {
    json_object(w);
    json_member(w, "type", text, type);
    json_member(w, "severity", text, severity);
    json_member(w, "title", text, title);
    json_member(w, "description", str, buf_str(description));
    json_member(w, "recommendation", text, recommendation);
    json_object_end(w);
}

static const char look_at_errors[] = "Review the error logs of the failed spans",
                  look_at_service[] = "Profile the slow services",
                  look_at_calls[] = "Consider fewer calls between services, or doing them at once",
                  look_at_time[] = "Look at the longest spans of the critical path",
                  all_is_well[] = "No action is needed: the trace looks healthy";

static bool is_slow(const struct analysis *a, const struct part *p) {
    return p->total / (double)p->spans > 2 * a->total / (double)a->t->n;
}

static void write_insights(struct json_writer *w, const struct analysis *a) {
    AUTO_BUF struct buf text;
    buf_init(&text, 64 * KIB);
    json_key(w, STR("insights"));
    json_array(w);
    if (a->errors) {
        buf_add_fmt(&text, "%zu of %zu spans failed", a->errors, a->t->n);
        write_insight(w, "error", "critical", "Errors in the trace", &text, look_at_errors);
    }
    for (size_t i = 0; i < a->part_n; i++) {
        if (!is_slow(a, &a->parts[i])) continue;
        buf_clear(&text);
        buf_add_fmt(&text, "Spans of " STR_FMT " take more than twice the average of the trace",
                    STR_ARG(a->parts[i].service));
        write_insight(w, "performance", "warning", "Slow service", &text, look_at_service);
    }
    if (a->part_n > MANY_SERVICES) {
        buf_clear(&text);
        buf_add_fmt(&text, "The trace spans %zu services", a->part_n);
        write_insight(w, "pattern", "info", "Many services", &text, look_at_calls);
    }
    if (a->total > (double)second_ns) {
        buf_clear(&text);
        buf_add_text(&text, "The spans take ");
        put_total(&text, a->total);
        buf_add_text(&text, " in sum");
        write_insight(w, "performance", "warning", "High total latency", &text, look_at_time);
    }
    json_array_end(w);
}

static void write_recommendations(struct json_writer *w, const struct analysis *a) {
    bool slow = false;
    for (size_t i = 0; i < a->part_n; i++) slow |= is_slow(a, &a->parts[i]);
    bool late = a->total > (double)second_ns, many = a->part_n > MANY_SERVICES;
    json_key(w, STR("recommendations"));
    json_array(w);
    if (a->errors) json_text(w, look_at_errors);
    if (slow) json_text(w, look_at_service);
    if (many) json_text(w, look_at_calls);
    if (late) json_text(w, look_at_time);
    if (!a->errors && !slow && !many && !late) json_text(w, all_is_well);
    json_array_end(w);
}

/* ---- lists ------------------------------------------------------------------------------------------------------ */

static void write_path(struct json_writer *w, const struct analysis *a) {
    json_key(w, STR("criticalPath"));
    json_array(w);
    for (size_t i = 0; i < MIN(a->t->n, (size_t)LONGEST_MAX); i++) {
        size_t at = a->by_duration[i];
        double d = duration_of(a->t, at);
        json_object(w);
        write_span_id(w, a, &a->t->spans[at]);
        json_member(w, "serviceName", str, a->t->spans[at].service);
        json_member(w, "operationName", str, name_of(a->t, &a->t->spans[at]));
        json_member(w, "duration", i64, (int64_t)d);
        json_member(w, "percentage", f64, share(a, d));
        json_member(w, "percentageOfTrace", f64, share(a, d));
        json_member(w, "isBottleneck", bool, i < BOTTLENECKS);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_parts(struct json_writer *w, const struct analysis *a) {
    json_key(w, STR("serviceBreakdown"));
    json_array(w);
    for (size_t i = 0; i < a->part_n; i++) {
        const struct part *p = &a->parts[i];
        json_object(w);
        json_member(w, "serviceName", str, p->service);
        json_member(w, "spanCount", u64, p->spans);
        json_member(w, "totalTime", i64, (int64_t)p->total);
        json_member(w, "totalDuration", i64, (int64_t)p->total);
        json_member(w, "errorCount", u64, p->errors);
        json_member(w, "avgDuration", i64, (int64_t)(p->total / (double)p->spans));
        json_member(w, "p99Duration", i64, 0);
        json_member(w, "percentage", f64, share(a, p->total));
        json_object_end(w);
    }
    json_array_end(w);
}

static err write_timeline(struct olly *o, const struct analysis *a) {
    AUTO_BUF struct buf text;
    buf_init(&text, 64 * KIB);
    json_key(o->w, STR("timeline"));
    json_array(o->w);
    for (size_t i = 0; i < a->t->n; i++) {
        const struct query_span *s = &a->t->spans[i];
        if (!failed(a->t, i)) continue;
        buf_clear(&text);
        buf_add_fmt(&text, "Error in " STR_FMT, STR_ARG(name_of(a->t, s)));
        json_object(o->w);
        olly_key_time(o->w, "timestamp", start_of(a->t, s));
        json_member(o->w, "type", text, "error");
        write_span_id(o->w, a, s);
        json_member(o->w, "serviceName", str, s->service);
        json_member(o->w, "description", str, buf_str(&text));
        json_member(o->w, "isError", bool, true);
        json_object_end(o->w);
        if (i % 256 == 255) TRY(answer_settle(&o->a));
    }
    json_array_end(o->w);
    return NULL;
}

static err fill_analyze(struct olly *o) {
    struct query_trace_answer t;
    struct analysis a = {.t = &t};
    TRY(olly_find_trace(o, &t));
    add_failures(&a);
    add_score(&a);
    TRY(add_parts(o, &a));
    TRY(add_longest(o, &a));
    olly_trace_id(o->w, t.summary.trace_id);
    write_summary(o->w, &a);
    json_member(o->w, "anomalyScore", f64, a.score);
    write_root_cause(o->w, &a);
    write_insights(o->w, &a);
    write_recommendations(o->w, &a);
    write_path(o->w, &a);
    write_parts(o->w, &a);
    return write_timeline(o, &a);
}
void handle_olly_analyze(struct api_call *c) { olly_answer(c, fill_analyze); }
