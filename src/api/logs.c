/* Log queries as JSON: rows, a count, a histogram; or OTLP/JSON. */
#include "api/api_priv.h"

#include <stdio.h>

#include "base/text.h"
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

void write_log_id(struct json_writer *w, const struct batch *b, uint32_t row) {
    char id[48];
    snprintf(id, sizeof id, "%llu-%016llx", (unsigned long long)batch_u64(b, SET_ROWS, FIELD_TIME, row),
             (unsigned long long)query_log_identity(b, row));
    json_member(w, "id", text, id);
}

void write_log_of(struct json_writer *w, const struct batch *b, uint32_t row, bool whole, struct arena *arena,
                  struct str id, const char *from) {
    uint32_t resource = batch_u32(b, SET_ROWS, FIELD_RESOURCE, row), scope = batch_u32(b, SET_ROWS, FIELD_SCOPE, row);
    uint64_t span_id = batch_u64(b, SET_ROWS, FIELD_SPAN_ID, row);
    uint32_t severity = batch_u32(b, SET_ROWS, FIELD_SEVERITY, row), flags = batch_u32(b, SET_ROWS, FIELD_FLAGS, row);
    struct str event = batch_text(b, SET_ROWS, FIELD_NAME, row);
    json_object(w);
    write_log_id(w, b, row);
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
    if (id.n) write_correlation_id(w, id);
    if (from) json_member(w, "correlation_from", text, from);
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

void write_log(struct json_writer *w, const struct batch *b, uint32_t row, bool whole, struct arena *arena) {
    write_log_of(w, b, row, whole, arena, batch_text(b, SET_ROWS, FIELD_CORRELATION, row), NULL);
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

static err read_log_id(struct str id, int64_t *out_time, uint64_t *out_name) {
    struct str time, name;
    unsigned char bytes[8];
    err e = str_cut(id, '-', &time, &name) ? parse_i64(time, out_time) : err_new(ERR_INVALID, "no name");
    if (!e) e = parse_hex(name, bytes, sizeof bytes);
    if (e || *out_time < 0) {
        err_free(e);
        return err_new(ERR_INVALID, "id: '" STR_FMT "' is not the `id` of a record", STR_ARG(id));
    }
    *out_name = 0;
    for (size_t i = 0; i < sizeof bytes; i++) *out_name = *out_name << 8 | bytes[i];
    return NULL;
}

/* The one record of that time that has the name; of equal ones the first. None: it was deleted, or is no longer kept. */
static err find_row(struct query *q, struct query_logs *r, struct str id, struct query_logs_answer *out) {
    uint64_t name;
    TRY(read_log_id(id, &r->filter.time_min, &name));
    r->filter.time_max = r->filter.time_min;
    r->limit = QUERY_LOGS_MAX;
    for (;;) {
        TRY(query_logs(q, r, out));
        for (size_t i = 0; i < out->n; i++) {
            if (query_log_identity(&out->batch, out->rows[i]) != name) continue;
            out->rows += i;
            out->n = 1;
            *out->next_cursor = 0;
            return NULL;
        }
        if (!*out->next_cursor) break;
        r->cursor = arena_copy(&q->arena, str_of(out->next_cursor));
        TRY(arena_err(&q->arena));
    }
    out->n = 0;
    return NULL;
}

static err find_rows(struct api_call *c, struct query *q, struct query_logs_answer *out) {
    struct query_logs r = {.order = call_number(c, "order", 0) ? QUERY_OLDEST : QUERY_NEWEST,
                           .limit = (size_t)call_number(c, "limit", 100),
                           .cursor = call_text(c, "cursor")};
    TRY(call_filter(c, q, true, &r.filter));
    return call_given(c, "id") ? find_row(q, &r, call_text(c, "id"), out) : query_logs(q, &r, out);
}

static err write_count_of(struct query *q, struct json_writer *w, const struct query_filter *f) {
    uint64_t n;
    TRY(query_log_count(q, f, &n));
    write_range(w, f->time_min, f->time_max);
    json_member(w, "count", u64, n);
    return NULL;
}

static err write_histogram_of(struct query *q, struct json_writer *w, const struct query_filter *f, int64_t *step) {
    struct query_log_histogram_answer h;
    TRY(query_log_histogram(q, f, *step, &h));
    *step = h.step;
    write_range(w, f->time_min, f->time_max);
    json_member(w, "count", u64, h.total);
    json_member(w, "step_ns", i64, h.step);
    json_key(w, STR("buckets"));
    json_array(w);
    for (size_t i = 0; i < h.n; i++) {
        json_object(w);
        json_member(w, "start", time, h.buckets[i].start);
        for (size_t k = 0; k < SEVERITY_CLASSES; k++) {
            json_key(w, str_of(severity_class_names[k]));
            json_u64(w, h.buckets[i].counts[k]);
        }
        json_object_end(w);
    }
    json_array_end(w);
    return NULL;
}

/* A count, or a histogram with *step (0: chosen). */
static err write_figures_of(struct query *q, struct json_writer *w, const struct query_filter *f, bool histogram,
                            int64_t *step) {
    return histogram ? write_histogram_of(q, w, f, step) : write_count_of(q, w, f);
}

static err write_figures(struct api_call *c, struct query *q, struct answer *a, bool histogram) {
    struct query_filter f;
    int64_t step = histogram ? call_number(c, "step", 0) : 0, back;
    bool compared = call_number(c, "compare", 0) != 0;
    TRY(call_filter(c, q, !histogram && !compared, &f));
    TRY(write_figures_of(q, &a->w, &f, histogram, &step));
    TRY(write_breakdown(c, a, SIGNAL_LOGS, &f, step));
    if (!compared) return answer_settle(a);
    json_key(&a->w, STR("before"));
    if (!query_range_before(&f.time_min, &f.time_max, MAX(step, 1), &back)) {
        json_null(&a->w);
        return answer_settle(a);
    }
    json_object(&a->w);
    json_member(&a->w, "back_ns", i64, back);
    TRY(write_figures_of(q, &a->w, &f, histogram, &step));
    json_object_end(&a->w);
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
    if (!e && mode != MODE_ROWS) e = write_figures(c, &q, &a, mode == MODE_HISTOGRAM);
    answer_end(c, &a, e);
}
