/* Log queries as JSON: rows, a count, a histogram; or OTLP/JSON. */
#include "api/api_priv.h"

#include "signal/otlp.h"

static void write_body(struct json_writer *w, const struct batch *b, uint32_t row) {
    enum value_type type = (enum value_type)batch_u32(b, SET_ROWS, FIELD_BODY_TYPE, row);
    json_key(w, STR("body"));
    if (type == VALUE_EMPTY)
        json_null(w);
    else
        value_write_json(b, type, batch_u32(b, SET_ROWS, FIELD_BODY, row), w);
}

static void write_times(struct json_writer *w, const struct batch *b, uint32_t row) {
    uint64_t observed = batch_u64(b, SET_ROWS, FIELD_OBSERVED, row);
    json_member(w, "time", time, (int64_t)batch_u64(b, SET_ROWS, FIELD_TIME, row));
    if (batch_u32(b, SET_ROWS, FIELD_TIME_ABSENT, row)) json_member(w, "time_is_observed", bool, true);
    json_key(w, STR("observed_time"));
    if (observed)
        json_time(w, (int64_t)observed);
    else
        json_null(w);
}

void write_log(struct json_writer *w, const struct batch *b, uint32_t row, bool whole, struct arena *arena) {
    uint32_t resource = batch_u32(b, SET_ROWS, FIELD_RESOURCE, row), scope = batch_u32(b, SET_ROWS, FIELD_SCOPE, row);
    uint64_t span_id = batch_u64(b, SET_ROWS, FIELD_SPAN_ID, row);
    uint32_t severity = batch_u32(b, SET_ROWS, FIELD_SEVERITY, row), flags = batch_u32(b, SET_ROWS, FIELD_FLAGS, row);
    struct str event = batch_text(b, SET_ROWS, FIELD_NAME, row);
    json_object(w);
    write_times(w, b, row);
    json_member(w, "severity", text, severity_class_names[severity_class(severity)]);
    json_member(w, "severity_number", u64, severity);
    json_member(w, "severity_text", str, batch_text(b, SET_ROWS, FIELD_SEVERITY_TEXT, row));
    json_member(w, "service", str, query_row_service(b, row, arena));
    if (event.n) json_member(w, "event_name", str, event);
    write_body(w, b, row);
    json_key(w, STR("trace_id"));
    write_id(w, batch_id16(b, SET_ROWS, FIELD_TRACE_ID, row), 16);
    json_key(w, STR("span_id"));
    write_id(w, &span_id, sizeof span_id);
    if (flags) json_member(w, "flags", u64, flags);
    write_attributes(w, b, SET_ROWS, row);
    json_key(w, STR("resource"));
    if (whole)
        write_resource(w, b, resource, arena);
    else
        json_u64(w, resource);
    json_key(w, STR("scope"));
    if (whole)
        write_scope(w, b, scope);
    else
        json_u64(w, scope);
    json_object_end(w);
}

static err write_rows(struct answer *a, const struct query_logs_answer *found) {
    json_key(&a->w, STR("logs"));
    json_array(&a->w);
    for (size_t i = 0; i < found->n; i++) {
        write_log(&a->w, &found->batch, found->rows[i], false, &a->q->arena);
        if (i % 256 == 0) TRY(answer_settle(a));
    }
    json_array_end(&a->w);
    write_resources(&a->w, &found->batch, &a->q->arena);
    write_scopes(&a->w, &found->batch);
    json_key(&a->w, STR("next_cursor"));
    if (*found->next_cursor)
        json_text(&a->w, found->next_cursor);
    else
        json_null(&a->w);
    return answer_settle(a);
}

static err find_rows(struct api_call *c, struct query *q, struct query_logs_answer *out) {
    struct query_logs r = {.order = call_number(c, "order", 0) ? QUERY_OLDEST : QUERY_NEWEST,
                           .limit = (size_t)call_number(c, "limit", 100),
                           .cursor = call_text(c, "cursor")};
    TRY(call_filter(c, q, true, &r.filter));
    return query_logs(q, &r, out);
}

static err write_count(struct api_call *c, struct query *q, struct answer *a) {
    struct query_filter f;
    uint64_t n;
    TRY(call_filter(c, q, true, &f));
    TRY(query_log_count(q, &f, &n));
    write_range(&a->w, f.time_min, f.time_max);
    json_member(&a->w, "count", u64, n);
    return NULL;
}

static err write_histogram(struct api_call *c, struct query *q, struct answer *a) {
    struct query_filter f;
    struct query_log_histogram_answer h;
    TRY(call_filter(c, q, false, &f));
    TRY(query_log_histogram(q, &f, call_number(c, "step", 0), &h));
    write_range(&a->w, f.time_min, f.time_max);
    json_member(&a->w, "count", u64, h.total);
    json_member(&a->w, "step_ns", i64, h.step);
    json_key(&a->w, STR("buckets"));
    json_array(&a->w);
    for (size_t i = 0; i < h.n; i++) {
        json_object(&a->w);
        json_member(&a->w, "start", time, h.buckets[i].start);
        for (size_t k = 0; k < SEVERITY_CLASSES; k++) {
            json_key(&a->w, str_of(severity_class_names[k]));
            json_u64(&a->w, h.buckets[i].counts[k]);
        }
        json_object_end(&a->w);
    }
    json_array_end(&a->w);
    return answer_settle(a);
}

enum { MODE_ROWS, MODE_COUNT, MODE_HISTOGRAM };

void handle_logs(struct api_call *c) {
    struct query q;
    struct answer a;
    struct query_logs_answer found;
    int64_t mode = call_number(c, "mode", MODE_ROWS);
    call_query_begin(c, &q);
    err e = mode == MODE_ROWS ? find_rows(c, &q, &found) : NULL;
    enum answer_format format = (enum answer_format)call_number(c, "format", FORMAT_JSON);
    if (!e && mode == MODE_ROWS && format != FORMAT_JSON) {
        e = call_answer_otlp(c, &q, format, &found.batch, found.rows, found.n);
        if (!e) return;
    }
    answer_begin(&a, &q);
    if (!e && mode == MODE_ROWS) e = write_rows(&a, &found);
    if (!e && mode == MODE_COUNT) e = write_count(c, &q, &a);
    if (!e && mode == MODE_HISTOGRAM) e = write_histogram(c, &q, &a);
    answer_end(c, &a, e);
}
