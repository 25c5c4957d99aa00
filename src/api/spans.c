/* Trace search, statistics, services and operations as JSON. */
#include "api/api_priv.h"
#include "insight/health.h"
#include "query/rollups.h"

static void write_summary(struct json_writer *w, const struct query_trace_summary *t) {
    json_member(w, "trace_id", hex, t->trace_id, 16);
    json_key(w, STR("root"));
    json_object(w);
    json_member(w, "service", str, t->root_service);
    json_member(w, "operation", str, t->root_name);
    json_member(w, "missing", bool, t->root_missing);
    json_object_end(w);
    json_member(w, "start", time, t->start);
    json_member(w, "duration_ns", i64, t->duration);
    json_member(w, "span_count", u64, t->spans);
    json_member(w, "error_count", u64, t->errors);
    if (t->correlation_id.n) write_correlation_id(w, t->correlation_id);
}

/* Of a trace that is too large to be looked at as a whole, what was not seen is null. */
static void write_match(struct json_writer *w, const struct query_trace_summary *t) {
    json_key(w, STR("matched_start"));
    if (t->matched_time == INT64_MIN)
        json_null(w);
    else
        json_time(w, t->matched_time);
    json_key(w, STR("matched_duration_ns"));
    if (t->matched_duration == INT64_MIN)
        json_null(w);
    else
        json_i64(w, t->matched_duration);
}

static void write_cursor(struct json_writer *w, const char *cursor) {
    json_key(w, STR("next_cursor"));
    if (*cursor)
        json_text(w, cursor);
    else
        json_null(w);
}

static err write_traces(struct api_call *c, struct query *q, struct answer *a) {
    struct query_traces r = {.order = (enum query_order)call_number(c, "order", QUERY_NEWEST),
                             .limit = (size_t)call_number(c, "limit", 20),
                             .cursor = call_text(c, "cursor")};
    struct query_traces_answer found;
    TRY(call_filter(c, q, true, &r.filter));
    r.filter.is_root = call_number(c, "root", 0) != 0;
    TRY(query_traces(q, &r, &found));
    json_key(&a->w, STR("traces"));
    json_array(&a->w);
    for (size_t i = 0; i < found.n; i++) {
        const struct query_trace_summary *t = &found.traces[i];
        json_object(&a->w);
        write_summary(&a->w, t);
        json_member(&a->w, "matched_count", u64, t->matched);
        write_match(&a->w, t);
        write_services(&a->w, t->services, t->service_count);
        json_object_end(&a->w);
    }
    json_array_end(&a->w);
    write_cursor(&a->w, found.next_cursor);
    return answer_settle(a);
}

void handle_traces(struct api_call *c) {
    struct query q;
    struct answer a;
    call_query_begin(c, &q);
    answer_begin(&a, &q);
    answer_end(c, &a, write_traces(c, &q, &a));
}

/* ---- statistics ------------------------------------------------------------------------------------------------- */

static void write_operation(struct json_writer *w, const struct query_operation *o, bool with_service) {
    json_object(w);
    if (with_service) json_member(w, "service", str, o->service);
    json_member(w, "operation", str, o->name);
    json_key(w, STR("kind"));
    write_kind(w, o->kind);
    write_span_stats(w, &o->stats);
    json_object_end(w);
}

static void write_buckets(struct json_writer *w, const struct query_trace_stats_answer *s) {
    json_member(w, "step_ns", i64, s->step);
    json_key(w, STR("buckets"));
    json_array(w);
    for (size_t i = 0; i < s->bucket_count; i++) {
        json_object(w);
        json_member(w, "start", time, s->buckets[i].start);
        write_span_stats(w, &s->buckets[i].stats);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_service_stats(struct json_writer *w, const struct query_trace_stats_answer *s) {
    json_key(w, STR("services"));
    json_array(w);
    for (size_t i = 0; i < s->service_count; i++) {
        json_object(w);
        json_member(w, "service", str, s->services[i].service);
        write_span_stats(w, &s->services[i].stats);
        json_member(w, "error_status", text, health_of_errors(s->services[i].stats.spans, s->services[i].stats.errors));
        write_counts(w, "bucket_span_counts", s->services[i].bucket_spans, s->bucket_count);
        write_counts(w, "bucket_error_counts", s->services[i].bucket_errors, s->bucket_count);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_stats_of(struct json_writer *w, const struct query_trace_stats *r,
                           const struct query_trace_stats_answer *s, bool rolled) {
    write_range(w, r->filter.time_min, r->filter.time_max);
    json_key(w, STR("trace_count"));
    if (rolled)
        json_null(w);
    else
        json_u64(w, s->traces);
    json_member(w, "rollups", bool, rolled);
    if (s->traces_cut) json_member(w, "trace_count_is_least", bool, true);
    double seconds = ((double)r->filter.time_max - (double)r->filter.time_min) / 1e9;
    json_member(w, "spans_per_second", f64, seconds > 0 ? (double)s->total.spans / seconds : 0);
    write_span_stats(w, &s->total);
    write_buckets(w, s);
    json_key(w, STR("operations"));
    json_array(w);
    for (size_t i = 0; i < s->top_count; i++) write_operation(w, &s->top[i], true);
    json_array_end(w);
    if (r->services) write_service_stats(w, s);
}

/* From rollups if that is wanted and can be, else counted. */
static err ask_stats(struct query *q, struct query_trace_stats *r, struct query_trace_stats_answer *out, bool *rolled) {
    if (*rolled) TRY(query_trace_stats_rolled(q, r, out, rolled));
    return *rolled ? NULL : query_trace_stats(q, r, out);
}

/* The same of the period before, as a member: null where there is none. */
static err write_stats_before(struct query *q, struct answer *a, struct query_trace_stats r, int64_t step,
                              bool rolled) {
    struct query_trace_stats_answer s;
    int64_t back;
    json_key(&a->w, STR("before"));
    if (!query_range_before(&r.filter.time_min, &r.filter.time_max, step, &back)) {
        json_null(&a->w);
        return NULL;
    }
    r.step = step;
    TRY(ask_stats(q, &r, &s, &rolled));
    json_object(&a->w);
    json_member(&a->w, "back_ns", i64, back);
    write_stats_of(&a->w, &r, &s, rolled);
    json_object_end(&a->w);
    return answer_settle(a);
}

static err write_trace_stats(struct api_call *c, struct query *q, struct answer *a) {
    struct query_trace_stats r = {.step = call_number(c, "step", 0),
                                  .top = (size_t)call_number(c, "top", 20),
                                  .services = (size_t)call_number(c, "services", 0)};
    struct query_trace_stats_answer s;
    bool rolled = call_number(c, "rollups", 0) != 0 && !call_given(c, "by");
    TRY(call_filter(c, q, false, &r.filter));
    TRY(ask_stats(q, &r, &s, &rolled));
    write_stats_of(&a->w, &r, &s, rolled);
    TRY(write_breakdown(c, a, SIGNAL_SPANS, &r.filter, s.step));
    if (call_number(c, "compare", 0)) TRY(write_stats_before(q, a, r, s.step, rolled));
    return answer_settle(a);
}

void handle_trace_stats(struct api_call *c) {
    struct query q;
    struct answer a;
    call_query_begin(c, &q);
    answer_begin(&a, &q);
    answer_end(c, &a, write_trace_stats(c, &q, &a));
}

/* ---- services and operations ------------------------------------------------------------------------------------ */

static void write_service(struct json_writer *w, const struct query_service *s, bool counts) {
    json_object(w);
    json_member(w, "name", str, s->name);
    json_member(w, "namespace", str, s->space);
    json_member(w, "environment", str, s->environment);
    json_key(w, STR("signals"));
    json_array(w);
    for (size_t i = 0; i < SIGNALS; i++)
        if (s->signals[i]) json_text(w, signal_names[i]);
    json_array_end(w);
    if (counts) {
        write_span_stats(w, &s->spans);
        json_member(w, "log_count", u64, s->logs);
        json_member(w, "last_seen", time, s->last_seen);
    }
    json_object_end(w);
}

static err write_services_of(struct api_call *c, struct query *q, struct answer *a) {
    int64_t start, end;
    bool counts = call_number(c, "counts", 0) != 0;
    struct query_services_answer found;
    TRY(call_range(c, true, &start, &end));
    TRY(query_services(q, start, end, call_text(c, "environment"), counts, &found));
    json_key(&a->w, STR("services"));
    json_array(&a->w);
    for (size_t i = 0; i < found.n; i++) write_service(&a->w, &found.services[i], counts);
    json_array_end(&a->w);
    if (counts) {
        write_range(&a->w, found.time_min, found.time_max);
        json_member(&a->w, "rollups", bool, found.rolled);
        json_member(&a->w, "other_count", u64, found.folded);
    }
    return answer_settle(a);
}

void handle_services(struct api_call *c) {
    struct query q;
    struct answer a;
    call_query_begin(c, &q);
    answer_begin(&a, &q);
    answer_end(c, &a, write_services_of(c, &q, &a));
}

static err write_operations(struct api_call *c, struct query *q, struct answer *a) {
    struct query_filter f;
    struct query_operations_answer found;
    TRY(call_filter(c, q, true, &f));
    f.service = c->path_values[0];
    f.kind = (int)call_number(c, "kind", -1);
    size_t limit = (size_t)call_number(c, "limit", 200);
    bool rolled = call_number(c, "rollups", 0) != 0;
    if (rolled) TRY(query_operations_rolled(q, &f, limit, &found, &rolled));
    if (!rolled) TRY(query_operations(q, &f, limit, &found));
    json_member(&a->w, "service", str, f.service);
    json_member(&a->w, "rollups", bool, rolled);
    json_key(&a->w, STR("operations"));
    json_array(&a->w);
    for (size_t i = 0; i < found.n; i++) write_operation(&a->w, &found.operations[i], false);
    json_array_end(&a->w);
    return answer_settle(a);
}

void handle_operations(struct api_call *c) {
    struct query q;
    struct answer a;
    call_query_begin(c, &q);
    answer_begin(&a, &q);
    answer_end(c, &a, write_operations(c, &q, &a));
}
