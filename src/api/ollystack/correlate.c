/* What an id ties together: /correlate and what is below it. An id may be one that came with rows, or that of a trace. */
#include "api/ollystack/ollystack_priv.h"

#include <stdlib.h>

#include "base/text.h"
#include "insight/correlation.h"

static const int64_t hour_ns = 3600 * (int64_t)1000000000;
enum { LIMIT = 50, LOGS_MAX = 500, DESCRIPTION_MAX = 100, DESCRIPTION_CUT = 97 };
static const char year_one[] = "0001-01-01T00:00:00Z"; /* Go's time that was not set */

/* Of ids that are made of a trace's: only to tell them from those that came, since here they are the trace's own. */
static const struct str prefix = STR("clew");

/* ---- lists ------------------------------------------------------------------------------------------------------ */

struct wish {
    struct str service, start, end;
    bool failed;
    int64_t limit;
};

static void write_names(struct json_writer *w, const struct correlation *v) {
    json_key(w, STR("services"));
    json_array(w);
    for (uint32_t i = 0; i < MIN(v->service_count, (uint32_t)CORRELATION_SERVICES_MAX); i++)
        json_str(w, v->services[i]);
    json_array_end(w);
}

/* A trace without an id is its own id. */
static void write_id_of(struct olly *o, const struct correlation *v) {
    struct str derived = query_derived_id(&o->q, prefix, v->root_trace_id);
    if (str_equal(v->id, derived))
        json_member(o->w, "correlationId", hex, v->root_trace_id, 16);
    else
        write_id_text(o->w, "correlationId", "correlationIdEncoded", v->id);
}

static void write_summary(struct olly *o, const struct correlation *v) {
    struct json_writer *w = o->w;
    json_object(w);
    write_id_of(o, v);
    olly_key_time(w, "firstSeen", v->first_seen);
    olly_key_time(w, "lastSeen", v->last_seen);
    write_names(w, v);
    json_member(w, "spanCount", u64, v->spans);
    json_member(w, "errorCount", u64, v->errors);
    json_member(w, "hasErrors", bool, v->errors > 0);
    json_member(w, "rootService", str, v->root_service);
    json_member(w, "maxDuration", i64, v->longest);
    json_member(w, "duration", i64, v->last_seen - v->first_seen);
    json_object_end(w);
}

static err write_list(struct olly *o, const struct wish *wish, int64_t hours) {
    struct correlations found = {.n = 0};
    struct correlations_request r = {.failed = wish->failed};
    r.ids.time_max = olly_time_or(wish->end, o->c->now_ns);
    r.ids.time_min = olly_time_or(wish->start, o->c->now_ns - hours * hour_ns);
    r.ids.derived = true;
    r.ids.prefix = prefix;
    if (wish->service.n) r.service = wish->service;
    r.limit = (size_t)MIN(wish->limit <= 0 ? LIMIT : wish->limit, (int64_t)CORRELATIONS_MAX);
    if (r.ids.time_min <= r.ids.time_max) TRY(correlations_read(&o->q, &r, &found));
    if (found.cut) olly_cut(o, "there are more ids in this range than are looked at");
    json_key(o->w, STR("correlations"));
    json_array(o->w);
    for (size_t i = 0; i < found.n; i++) {
        write_summary(o, &found.correlations[i]);
        if (i % 64 == 63) TRY(answer_settle(&o->a));
    }
    json_array_end(o->w);
    json_member(o->w, "count", u64, found.n);
    return answer_settle(&o->a);
}

static struct wish wish_of_query(const struct api_call *c) {
    return (struct wish){.service = olly_text(c, "service"),
                         .start = olly_text(c, "start"),
                         .end = olly_text(c, "end"),
                         .failed = str_equal(olly_text(c, "hasErrors"), STR("true")),
                         .limit = olly_integer_or(c, "limit", 0, 0)};
}

static err fill_list(struct olly *o) {
    struct wish wish = wish_of_query(o->c);
    return write_list(o, &wish, 1);
}
void handle_olly_correlations(struct api_call *c) { olly_answer(c, fill_list); }

/* ---- search ----------------------------------------------------------------------------------------------------- */

static bool is_time(struct str text) { return !text.n || olly_time_or(text, INT64_MIN) != INT64_MIN; }

/* What the body asks for; of a body that is not as it should be nothing counts, and the query string does. */
static struct wish wish_of_body(struct api_call *c) {
    struct wish w = {{"", 0}, {"", 0}, {"", 0}, false, 0};
    const struct olly_member members[] = {{"service", OLLY_TEXT, &w.service, NULL},
                                          {"hasErrors", OLLY_BOOLEAN, &w.failed, NULL},
                                          {"limit", OLLY_INTEGER, &w.limit, NULL},
                                          {"start", OLLY_TEXT, &w.start, NULL},
                                          {"end", OLLY_TEXT, &w.end, NULL}};
    err e = olly_body(c, members, LENGTH(members));
    bool good = !e && is_time(w.start) && is_time(w.end);
    err_free(e);
    return good ? w : wish_of_query(c);
}

static void write_param_time(struct json_writer *w, const char *key, struct str text) {
    int64_t ns = olly_time_or(text, INT64_MIN);
    json_key(w, str_of(key));
    if (ns == INT64_MIN)
        json_text(w, year_one);
    else
        olly_time(w, ns);
}

static err fill_search(struct olly *o) {
    struct wish wish = wish_of_body(o->c);
    struct json_writer *w = o->w;
    TRY(write_list(o, &wish, 24));
    json_key(w, STR("params"));
    json_object(w);
    json_member(w, "service", str, wish.service);
    json_member(w, "hasErrors", bool, wish.failed);
    write_param_time(w, "start", wish.start);
    write_param_time(w, "end", wish.end);
    json_member(w, "limit", i64, wish.limit);
    json_object_end(w);
    return NULL;
}
void handle_olly_correlation_search(struct api_call *c) { olly_answer(c, fill_search); }

/* ---- one -------------------------------------------------------------------------------------------------------- */

/* A path cannot hold each: `..` is none of its segments. */
static struct str asked_id(const struct olly *o) {
    struct str id = call_text(o->c, "id");
    return id.p ? id : o->c->path_values[0];
}

static err read_one(struct olly *o, struct correlation_details *out) {
    struct query_correlation r = {.id = asked_id(o), .time_min = INT64_MIN, .time_max = INT64_MAX, .prefix = prefix};
    err e = correlation_read(&o->q, &r, out);
    if (!e && (out->rows.traces_cut || out->rows.spans_cut || out->rows.logs_cut))
        olly_cut(o, "the id ties together more than is looked at");
    if (!e || err_kind(e) != ERR_NOT_FOUND) return e;
    err_free(e);
    return err_new(ERR_NOT_FOUND, "correlation not found");
}

static void write_own_id(struct olly *o) { write_id_text(o->w, "correlationId", "correlationIdEncoded", asked_id(o)); }

static struct str service_of(const struct correlation_details *d, uint32_t span) {
    return d->rows.texts[d->rows.rows[span].service];
}

static int by_bytes(const void *x, const void *y) {
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return a < b ? -1 : a > b;
}

/* Span ids of what is listed: a parent that is not among them is none, so that the page draws what hangs below it. */
struct listed {
    uint64_t *ids; /* ascending */
    size_t n;
};

static err list_ids(struct olly *o, const struct correlation_details *d, struct listed *out) {
    out->n = 0;
    out->ids = arena_array(&o->q.arena, uint64_t, d->rows.span_count + 1);
    if (!out->ids) return arena_err(&o->q.arena);
    for (size_t i = 0; i < d->rows.span_count; i++)
        if (d->rows.span_rows[i].mine) out->ids[out->n++] = d->rows.rows[i].span_id;
    if (out->n) qsort(out->ids, out->n, sizeof *out->ids, by_bytes);
    return NULL;
}

static err write_span(struct olly *o, const struct correlation_details *d, const struct listed *listed, uint32_t i) {
    const struct batch *b = &d->rows.spans;
    const struct query_id_row *s = &d->rows.rows[i];
    uint32_t row = d->rows.span_rows[i].row;
    uint64_t id = batch_u64(b, SET_ROWS, FIELD_SPAN_ID, row), parent = batch_u64(b, SET_ROWS, FIELD_PARENT_ID, row);
    struct str message = batch_text(b, SET_ROWS, FIELD_STATUS_MESSAGE, row);
    bool has_parent = parent && parent != id && bsearch(&parent, listed->ids, listed->n, sizeof parent, by_bytes);
    struct json_writer *w = o->w;
    json_object(w);
    olly_trace_id(w, batch_id16(b, SET_ROWS, FIELD_TRACE_ID, row));
    json_member(w, "spanId", hex, &id, sizeof id);
    json_key(w, STR("parentSpanId"));
    if (has_parent)
        json_hex(w, &parent, sizeof parent);
    else
        json_str(w, STR(""));
    json_member(w, "serviceName", str, service_of(d, i));
    json_member(w, "operationName", str, batch_text(b, SET_ROWS, FIELD_NAME, row));
    json_member(w, "duration", i64, s->duration);
    json_member(w, "statusCode", text, olly_status(batch_u32(b, SET_ROWS, FIELD_STATUS, row)));
    if (message.n) json_member(w, "statusMessage", str, message);
    olly_key_time(w, "timestamp", s->time);
    TRY(olly_attributes(o, b, row, false));
    json_object_end(w);
    return NULL;
}

static err write_spans(struct olly *o, const struct correlation_details *d, uint64_t *out_n) {
    struct listed listed;
    TRY(list_ids(o, d, &listed));
    json_key(o->w, STR("traces"));
    json_array(o->w);
    for (uint32_t i = 0; i < d->rows.span_count; i++) {
        if (!d->rows.span_rows[i].mine) continue;
        TRY(write_span(o, d, &listed, i));
        if (i % 64 == 63) TRY(answer_settle(&o->a));
    }
    json_array_end(o->w);
    *out_n = listed.n;
    return NULL;
}

static err write_olly_log(struct olly *o, const struct correlation_details *d, uint32_t i) {
    static const unsigned char zero[16];
    const struct batch *b = &d->rows.logs;
    uint32_t row = d->rows.log_rows[i].row;
    const unsigned char *trace = batch_id16(b, SET_ROWS, FIELD_TRACE_ID, row);
    uint64_t span = batch_u64(b, SET_ROWS, FIELD_SPAN_ID, row);
    struct olly_log l;
    struct json_writer *w = o->w;
    TRY(olly_log_read(&o->q.arena, b, row, &l));
    json_object(w);
    olly_key_time(w, "timestamp", (int64_t)batch_u64(b, SET_ROWS, FIELD_TIME, row));
    json_member(w, "serviceName", str, l.service);
    json_member(w, "severityText", str, l.severity);
    json_member(w, "body", str, l.body);
    if (memcmp(trace, zero, 16) != 0) olly_trace_id(w, trace);
    if (span) json_member(w, "spanId", hex, &span, sizeof span);
    TRY(olly_attributes(o, b, row, false));
    json_member(w, "level", str, l.severity);
    json_member(w, "message", str, l.message);
    json_member(w, "service", str, l.service);
    json_object_end(w);
    return NULL;
}

static err write_logs(struct olly *o, const struct correlation_details *d, uint64_t *out_n) {
    uint32_t n = (uint32_t)MIN(d->rows.log_count, (size_t)LOGS_MAX);
    json_key(o->w, STR("logs"));
    json_array(o->w);
    for (uint32_t i = 0; i < n; i++) {
        TRY(write_olly_log(o, d, i));
        if (i % 64 == 63) TRY(answer_settle(&o->a));
    }
    json_array_end(o->w);
    *out_n = n;
    return NULL;
}

/* ---- the timeline ------------------------------------------------------------------------------------------------- */

/* Of more than 100 bytes the first 97, whole characters of them, and "...". */
static void write_description(struct json_writer *w, struct str text) {
    AUTO_BUF struct buf cut;
    size_t n = DESCRIPTION_CUT;
    buf_init(&cut, KIB);
    json_key(w, STR("description"));
    if (text.n <= DESCRIPTION_MAX) {
        json_str(w, text);
        return;
    }
    while (n > 0 && ((uint8_t)text.p[n] & 0xc0) == 0x80) n--;
    buf_add(&cut, text.p, n);
    buf_add_text(&cut, "...");
    json_str(w, buf_str(&cut));
}

static void write_span_item(struct olly *o, const struct correlation_details *d, uint32_t i) {
    const struct query_id_row *s = &d->rows.rows[i];
    struct json_writer *w = o->w;
    json_object(w);
    olly_key_time(w, "timestamp", s->time);
    json_member(w, "type", text, "span");
    json_member(w, "serviceName", str, service_of(d, i));
    json_member(w, "description", str, batch_text(&d->rows.spans, SET_ROWS, FIELD_NAME, d->rows.span_rows[i].row));
    json_member(w, "duration", i64, s->duration);
    json_member(w, "isError", bool, s->failed);
    json_object_end(w);
}

static err write_log_item(struct olly *o, const struct correlation_details *d, uint32_t i) {
    struct olly_log l;
    struct json_writer *w = o->w;
    uint32_t row = d->rows.log_rows[i].row;
    TRY(olly_log_read(&o->q.arena, &d->rows.logs, row, &l));
    json_object(w);
    olly_key_time(w, "timestamp", (int64_t)batch_u64(&d->rows.logs, SET_ROWS, FIELD_TIME, row));
    json_member(w, "type", text, "log");
    json_member(w, "serviceName", str, l.service);
    write_description(w, l.body);
    json_member(w, "isError", bool, str_equal(l.severity, STR("ERROR")));
    json_object_end(w);
    return NULL;
}

/* Spans of the id and all logs of its traces, by time; of equal times spans first. */
static err write_timeline(struct olly *o, const struct correlation_details *d, uint64_t *out_n) {
    const struct query_id_row *spans = d->rows.rows, *logs = d->rows.rows + d->rows.span_count;
    uint32_t span = 0, log = 0;
    *out_n = 0;
    json_key(o->w, STR("timeline"));
    json_array(o->w);
    while (span < d->rows.span_count || log < d->rows.log_count) {
        bool is_log = span == d->rows.span_count || (log < d->rows.log_count && logs[log].time < spans[span].time);
        if (!is_log && !d->rows.span_rows[span].mine) {
            span++;
            continue;
        }
        if (is_log)
            TRY(write_log_item(o, d, log++));
        else
            write_span_item(o, d, span++);
        if (++*out_n % 64 == 0) TRY(answer_settle(&o->a));
    }
    json_array_end(o->w);
    return NULL;
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

static err fill_one(struct olly *o) {
    struct correlation_details d;
    struct json_writer *w = o->w;
    uint64_t n;
    o->lost_id = asked_id(o);
    TRY(read_one(o, &d));
    const struct correlation *v = &d.summary;
    write_own_id(o);
    olly_key_time(w, "firstSeen", v->first_seen);
    olly_key_time(w, "lastSeen", v->last_seen);
    json_member(w, "duration", i64, v->last_seen - v->first_seen);
    write_names(w, v);
    json_member(w, "spanCount", u64, v->spans);
    json_member(w, "logCount", u64, d.rows.log_count);
    json_member(w, "errorCount", u64, v->errors);
    json_member(w, "hasErrors", bool, v->errors > 0);
    json_member(w, "rootService", str, v->root_service);
    json_member(w, "rootOperation", str, v->root_operation);
    if (!str_equal(olly_text(o->c, "details"), STR("true"))) return NULL;
    TRY(write_spans(o, &d, &n));
    TRY(write_logs(o, &d, &n));
    return write_timeline(o, &d, &n);
}
void handle_olly_correlation(struct api_call *c) { olly_answer(c, fill_one); }

/* The three lists: of an unknown id they are empty. */
static err fill_part(struct olly *o,
                     err (*list)(struct olly *o, const struct correlation_details *d, uint64_t *out_n)) {
    struct correlation_details d;
    uint64_t n;
    memset(&d, 0, sizeof d);
    err e = read_one(o, &d);
    if (e && err_kind(e) != ERR_NOT_FOUND) return e;
    err_free(e);
    if (e) memset(&d, 0, sizeof d);
    write_own_id(o);
    TRY(list(o, &d, &n));
    json_member(o->w, "count", u64, n);
    return NULL;
}

static err fill_part_traces(struct olly *o) { return fill_part(o, write_spans); }
void handle_olly_correlation_traces(struct api_call *c) { olly_answer(c, fill_part_traces); }
static err fill_part_logs(struct olly *o) { return fill_part(o, write_logs); }
void handle_olly_correlation_logs(struct api_call *c) { olly_answer(c, fill_part_logs); }
static err fill_part_timeline(struct olly *o) { return fill_part(o, write_timeline); }
void handle_olly_correlation_timeline(struct api_call *c) { olly_answer(c, fill_part_timeline); }
