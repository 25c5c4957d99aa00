/* Requests across signals as JSON: GET /api/v1/correlations and what is below it. */
#include <math.h>

#include "api/api_priv.h"
#include "insight/correlation.h"
#include "insight/flow.h"
#include "insight/meanwhile.h"
#include "signal/otlp.h"

enum { DESCRIPTION_BYTES_MAX = 512, SEVERITY_ERROR_FIRST = 17 };

static const char *const from_names[QUERY_ID_FROMS] = {[QUERY_ID_NONE] = "none",
                                                       [QUERY_ID_OWN] = "own",
                                                       [QUERY_ID_ANCESTOR] = "ancestor",
                                                       [QUERY_ID_TRACE] = "trace",
                                                       [QUERY_ID_DERIVED] = "derived"};

/* ---- summaries -------------------------------------------------------------------------------------------------- */

static void write_summary(struct json_writer *w, const struct correlation *c) {
    write_correlation_id(w, c->id);
    json_member(w, "first_seen", time, c->first_seen);
    json_member(w, "last_seen", time, c->last_seen);
    json_member(w, "duration_ns", i64, c->last_seen - c->first_seen);
    json_key(w, STR("services"));
    json_array(w);
    for (uint32_t i = 0; i < MIN(c->service_count, (uint32_t)CORRELATION_SERVICES_MAX); i++)
        json_str(w, c->services[i]);
    json_array_end(w);
    json_member(w, "service_count", u64, c->service_count);
    json_member(w, "trace_count", u64, c->traces);
    json_member(w, "span_count", u64, c->spans);
    json_member(w, "log_count", u64, c->logs);
    json_member(w, "error_count", u64, c->errors);
    json_member(w, "has_errors", bool, c->errors > 0);
    json_member(w, "root_service", str, c->root_service);
    json_member(w, "root_operation", str, c->root_operation);
    json_key(w, STR("root_trace_id"));
    write_id(w, c->root_trace_id, sizeof c->root_trace_id);
    json_member(w, "max_duration_ns", i64, c->longest);
}

static err write_list(struct api_call *c, struct query *q, struct answer *a) {
    struct correlations_request r = {.ids = {.environment = call_text(c, "environment"),
                                             .attribute = call_text(c, "attribute"),
                                             .search = call_text(c, "search"),
                                             .derived = call_number(c, "derived", 0),
                                             .prefix = c->api->options.correlation_prefix},
                                     .service = call_text(c, "service"),
                                     .failed = call_number(c, "errors", 0),
                                     .duration_min = call_number(c, "min_duration", 0),
                                     .limit = (size_t)call_number(c, "limit", 50),
                                     .cursor = call_text(c, "cursor")};
    struct correlations found;
    TRY(call_range(c, true, &r.ids.time_min, &r.ids.time_max));
    if (r.ids.search.n > QUERY_ID_BYTES_MAX)
        return err_new(ERR_INVALID, "search: no id is longer than %d bytes", QUERY_ID_BYTES_MAX);
    TRY(correlations_read(q, &r, &found));
    write_range(&a->w, r.ids.time_min, r.ids.time_max);
    json_member(&a->w, "correlation_count", u64, found.found);
    json_key(&a->w, STR("correlations"));
    json_array(&a->w);
    for (size_t i = 0; i < found.n; i++) {
        json_object(&a->w);
        write_summary(&a->w, &found.correlations[i]);
        if (found.correlations[i].clock_skew) json_member(&a->w, "clock_skew", bool, true);
        json_object_end(&a->w);
        if (i % 64 == 63) TRY(answer_settle(a));
    }
    json_array_end(&a->w);
    json_key(&a->w, STR("next_cursor"));
    if (*found.next_cursor)
        json_text(&a->w, found.next_cursor);
    else
        json_null(&a->w);
    if (found.cut)
        a->partial_reason = "there are more ids or rows in this range than are looked at: the older ones are left out; "
                            "ask for a shorter range";
    return answer_settle(a);
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

static void write_span_id(struct json_writer *w, uint64_t id) { write_id(w, &id, sizeof id); }

static void write_clocks_of(struct json_writer *w, const struct correlation_details *d) {
    json_key(w, STR("clocks"));
    json_array(w);
    for (uint32_t i = 0; i < d->clock_count; i++) {
        const struct correlation_clock *c = &d->clocks[i];
        json_object(w);
        json_member(w, "trace_id", hex, d->traces[c->trace].trace_id, 16);
        json_member(w, "service", str, c->service);
        json_member(w, "ahead_ns", i64, c->ahead_ns);
        json_member(w, "call_count", u64, c->calls);
        json_member(w, "against_count", u64, c->against);
        json_object_end(w);
    }
    json_array_end(w);
    json_member(w, "clocks_left_out", u64, d->clocks_left_out);
}

static void write_skew(struct json_writer *w, int64_t skew) {
    if (skew) json_member(w, "skew_ns", i64, skew);
}

static void write_trace(struct json_writer *w, const struct query_correlated_trace *t) {
    json_object(w);
    json_member(w, "trace_id", hex, t->trace_id, sizeof t->trace_id);
    json_member(w, "start", time, t->start);
    json_member(w, "duration_ns", i64, t->end - t->start);
    json_member(w, "span_count", u64, t->spans);
    json_member(w, "error_count", u64, t->errors);
    json_member(w, "log_count", u64, t->logs);
    json_member(w, "carrying_count", u64, t->carrying);
    json_object_end(w);
}

static void write_whose(struct json_writer *w, const struct query_correlated_row *row) {
    if (row->id.n) write_correlation_id(w, row->id);
    json_member(w, "correlation_from", text, from_names[row->from]);
}

static void write_span(struct json_writer *w, const struct correlation_details *d, size_t i, struct arena *a) {
    const struct query_correlation_answer *rows = &d->rows;
    const struct batch *b = &rows->spans;
    const struct query_correlated_row *r = &rows->span_rows[i];
    struct str message = batch_text(b, SET_ROWS, FIELD_STATUS_MESSAGE, r->row);
    json_object(w);
    json_key(w, STR("trace_id"));
    write_id(w, batch_id16(b, SET_ROWS, FIELD_TRACE_ID, r->row), 16);
    json_key(w, STR("span_id"));
    write_span_id(w, rows->rows[i].span_id);
    json_key(w, STR("parent_span_id"));
    write_span_id(w, rows->rows[i].parent_id);
    json_member(w, "service", str, rows->texts[rows->rows[i].service]);
    json_member(w, "environment", str, query_row_environment(b, r->row, a));
    json_member(w, "operation", str, rows->texts[rows->rows[i].operation]);
    json_key(w, STR("kind"));
    write_kind(w, batch_u32(b, SET_ROWS, FIELD_KIND, r->row));
    json_member(w, "start", time, rows->rows[i].time);
    write_skew(w, correlation_skew(d, i));
    json_member(w, "duration_ns", i64, (int64_t)batch_u64(b, SET_ROWS, FIELD_DURATION, r->row));
    json_key(w, STR("status"));
    json_object(w);
    json_key(w, STR("code"));
    write_status(w, batch_u32(b, SET_ROWS, FIELD_STATUS, r->row));
    if (message.n) json_member(w, "message", str, message);
    json_object_end(w);
    write_whose(w, r);
    write_attributes(w, b, SET_ROWS, r->row);
    json_object_end(w);
}

static err write_traces(struct answer *a, const struct correlation_details *d, bool whole, size_t limit) {
    const struct query_correlation_answer *rows = &d->rows;
    size_t n = 0, left_out = 0;
    json_key(&a->w, STR("traces"));
    json_array(&a->w);
    for (size_t i = 0; i < rows->trace_count; i++) write_trace(&a->w, &d->traces[i]);
    json_array_end(&a->w);
    json_key(&a->w, STR("spans"));
    json_array(&a->w);
    for (size_t i = 0; i < rows->span_count; i++) {
        if (!whole && !rows->span_rows[i].mine) continue;
        if (n++ >= limit) {
            left_out++;
            continue;
        }
        write_span(&a->w, d, i, &a->q->arena);
        if (n % 64 == 0) TRY(answer_settle(a));
    }
    json_array_end(&a->w);
    json_member(&a->w, "spans_left_out", u64, left_out);
    return answer_settle(a);
}

static err write_logs(struct answer *a, const struct correlation_details *d, bool whole, size_t limit) {
    const struct query_correlation_answer *rows = &d->rows;
    size_t n = 0, left_out = 0;
    json_key(&a->w, STR("logs"));
    json_array(&a->w);
    for (size_t i = 0; i < rows->log_count; i++) {
        const struct query_correlated_row *r = &rows->log_rows[i];
        if (!whole && !r->mine) continue;
        if (n++ >= limit) {
            left_out++;
            continue;
        }
        write_log_of(&a->w, &rows->logs, r->row, true, &a->q->arena, r->id, from_names[r->from]);
        if (n % 64 == 0) TRY(answer_settle(a));
    }
    json_array_end(&a->w);
    json_member(&a->w, "logs_left_out", u64, left_out);
    return answer_settle(a);
}

/* ---- timeline --------------------------------------------------------------------------------------------------- */

/* At a character's beginning. */
static struct str cut_text(struct str s) {
    if (s.n <= DESCRIPTION_BYTES_MAX) return s;
    size_t n = DESCRIPTION_BYTES_MAX;
    while (n > DESCRIPTION_BYTES_MAX - 4 && ((unsigned char)s.p[n] & 0xc0) == 0x80) n--;
    return (struct str){s.p, n};
}

static void write_description(struct json_writer *w, const struct batch *b, uint32_t row) {
    AUTO_BUF struct buf text;
    buf_init(&text, 64 * KIB);
    enum value_type type = (enum value_type)batch_u32(b, SET_ROWS, FIELD_BODY_TYPE, row);
    bool is_text = type == VALUE_STRING;
    if (!is_text && type != VALUE_EMPTY) value_write_text(b, type, batch_u32(b, SET_ROWS, FIELD_BODY, row), &text);
    json_member(w, "description", str, cut_text(is_text ? batch_text(b, SET_ROWS, FIELD_BODY, row) : buf_str(&text)));
}

static void write_item(struct json_writer *w, const struct correlation_details *d,
                       const struct correlation_item *item) {
    const struct query_correlation_answer *rows = &d->rows;
    size_t at = item->at + (item->is_log ? rows->span_count : 0);
    const struct batch *b = item->is_log ? &rows->logs : &rows->spans;
    const struct query_correlated_row *r = item->is_log ? &rows->log_rows[item->at] : &rows->span_rows[item->at];
    const struct query_id_row *row = &rows->rows[at];
    json_object(w);
    json_member(w, "time", time, row->time);
    write_skew(w, correlation_skew(d, at));
    json_member(w, "type", text, item->is_log ? "log" : "span");
    json_member(w, "service", str, rows->texts[row->service]);
    if (item->is_log) {
        uint32_t severity = batch_u32(b, SET_ROWS, FIELD_SEVERITY, r->row);
        write_description(w, b, r->row);
        json_member(w, "severity", text, severity_class_names[severity_class(severity)]);
        json_member(w, "is_error", bool, severity >= SEVERITY_ERROR_FIRST);
        write_log_id(w, b, r->row);
    } else {
        json_member(w, "description", str, rows->texts[row->operation]);
        json_member(w, "duration_ns", i64, row->duration);
        json_member(w, "is_error", bool, row->failed);
    }
    json_key(w, STR("trace_id"));
    write_id(w, batch_id16(b, SET_ROWS, FIELD_TRACE_ID, r->row), 16);
    json_key(w, STR("span_id"));
    write_span_id(w, row->span_id);
    json_member(w, "correlation_from", text, from_names[r->from]);
    json_object_end(w);
}

static err write_timeline(struct answer *a, const struct correlation_details *d, size_t limit) {
    size_t n = MIN(d->item_count, limit);
    json_key(&a->w, STR("timeline"));
    json_array(&a->w);
    for (size_t i = 0; i < n; i++) {
        write_item(&a->w, d, &d->timeline[i]);
        if (i % 64 == 63) TRY(answer_settle(a));
    }
    json_array_end(&a->w);
    json_member(&a->w, "items_left_out", u64, d->item_count - n);
    return answer_settle(a);
}

/* ---- flow ------------------------------------------------------------------------------------------------------- */

static void write_flow_durations(struct json_writer *w, uint64_t calls, int64_t sum, int64_t max) {
    json_member(w, "mean_duration_ns", i64, calls ? sum / (int64_t)calls : 0);
    json_member(w, "max_duration_ns", i64, max);
}

static void write_flow_node(struct json_writer *w, const struct flow_node *n) {
    json_object(w);
    json_member(w, "kind", text, topology_kind_names[n->kind]);
    json_member(w, "name", str, n->service);
    if (n->operation.p) json_member(w, "operation", str, n->operation);
    json_member(w, "first_seen", time, n->first_seen);
    json_member(w, "call_count", u64, n->calls);
    json_member(w, "call_error_count", u64, n->call_errors);
    write_flow_durations(w, n->calls, n->duration_sum, n->duration_max);
    json_member(w, "span_count", u64, n->spans);
    json_member(w, "error_count", u64, n->errors);
    json_member(w, "x", f64, (double)n->at.x);
    json_member(w, "y", f64, (double)n->at.y);
    json_object_end(w);
}

static void write_flow_edge(struct json_writer *w, const struct flow_edge *e) {
    json_object(w);
    json_member(w, "client", u64, e->from);
    json_member(w, "server", u64, e->to);
    json_member(w, "join", text, flow_join_names[e->join]);
    json_member(w, "first_seen", time, e->first_seen);
    json_member(w, "call_count", u64, e->calls);
    json_member(w, "error_count", u64, e->errors);
    write_flow_durations(w, e->calls, e->duration_sum, e->duration_max);
    write_bends(w, e->bends, e->bend_count);
    json_object_end(w);
}

static err write_flow(struct api_call *c, struct answer *a, const struct correlation_details *d) {
    struct flow_request r = {.by_operation = call_number(c, "nodes", 0),
                             .nodes_max = (uint32_t)call_number(c, "limit", 100)};
    struct flow f;
    TRY(flow_read(a->q, &r, d, &f));
    json_key(&a->w, STR("nodes"));
    json_array(&a->w);
    for (uint32_t i = 0; i < f.n; i++) write_flow_node(&a->w, &f.nodes[i]);
    json_array_end(&a->w);
    json_key(&a->w, STR("edges"));
    json_array(&a->w);
    for (size_t i = 0; i < f.edge_count; i++) {
        write_flow_edge(&a->w, &f.edges[i]);
        if (i % 64 == 63) TRY(answer_settle(a));
    }
    json_array_end(&a->w);
    json_member(&a->w, "width", f64, (double)f.width);
    json_member(&a->w, "height", f64, (double)f.height);
    json_member(&a->w, "spans_left_out", u64, f.left_out);
    return answer_settle(a);
}

/* ---- metrics ---------------------------------------------------------------------------------------------------- */

static void write_labels(struct json_writer *w, const char *name, struct labels labels) {
    json_key(w, str_of(name));
    json_object(w);
    for (uint32_t i = 0; i < labels.n; i++) {
        json_key(w, labels.v[i].name);
        json_str(w, labels.v[i].value);
    }
    json_object_end(w);
}

static void write_chart(struct json_writer *w, const struct meanwhile_chart *chart, size_t steps) {
    json_object(w);
    json_member(w, "service", str, chart->service);
    json_member(w, "metric", str, chart->metric);
    json_member(w, "query", str, chart->query);
    json_key(w, STR("series"));
    json_array(w);
    for (size_t i = 0; i < chart->n; i++) {
        const struct promql_row *row = &chart->rows[i];
        json_object(w);
        write_labels(w, "labels", row->labels);
        json_key(w, STR("values"));
        json_array(w);
        for (size_t k = 0; k < steps; k++)
            if (row->kinds[k] == PROMQL_FLOAT && isfinite(row->values[k]))
                json_f64(w, row->values[k]);
            else
                json_null(w);
        json_array_end(w);
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
}

static void write_exemplar(struct json_writer *w, const struct meanwhile_exemplar *x) {
    json_object(w);
    json_member(w, "service", str, x->service);
    write_labels(w, "series", x->series);
    write_labels(w, "labels", x->labels);
    json_key(w, STR("value"));
    if (isfinite(x->value))
        json_f64(w, x->value);
    else
        json_null(w);
    json_member(w, "time", time, x->time);
    json_key(w, STR("trace_id"));
    write_id(w, x->trace_id, sizeof x->trace_id);
    json_object_end(w);
}

static err write_meanwhile(struct answer *a, const struct meanwhile *m) {
    write_range(&a->w, m->start, m->end);
    json_member(&a->w, "step_ns", i64, m->step);
    json_key(&a->w, STR("charts"));
    json_array(&a->w);
    for (size_t i = 0; i < m->chart_count; i++) {
        write_chart(&a->w, &m->charts[i], m->step_n);
        TRY(answer_settle(a));
    }
    json_array_end(&a->w);
    json_key(&a->w, STR("exemplars"));
    json_array(&a->w);
    for (size_t i = 0; i < m->exemplar_count; i++) write_exemplar(&a->w, &m->exemplars[i]);
    json_array_end(&a->w);
    if (m->cut && !a->partial_reason)
        a->partial_reason =
            "shown are 10 services, 12 metrics of each, 5 series of each, 100 exemplars: there are more";
    return answer_settle(a);
}

/* ---- one -------------------------------------------------------------------------------------------------------- */

static err read_one(struct api_call *c, struct answer *a, struct correlation_details *out) {
    struct str id = call_text(c, "id"); /* what no path can hold */
    struct query_correlation r = {.id = id.p ? id : c->path_values[0],
                                  .time_min = call_number(c, "start", INT64_MIN),
                                  .time_max = call_number(c, "end", INT64_MAX),
                                  .environment = call_text(c, "environment"),
                                  .attribute = call_text(c, "attribute"),
                                  .prefix = c->api->options.correlation_prefix};
    TRY(correlation_read(a->q, &r, out));
    if (out->rows.spans_cut || out->rows.logs_cut)
        a->partial_reason = "the id ties together more than 500 traces, 10000 spans or 10000 log records: the rest is "
                            "left out, and is in no count";
    else if (out->rows.traces_cut)
        a->partial_reason =
            "the id ties together more than 500 traces: of those beyond, only the rows that carry the id "
            "themselves are counted and shown, without their trace";
    return NULL;
}

static err write_details(struct api_call *c, struct answer *a, const struct correlation_details *d) {
    size_t limit = (size_t)call_number(c, "limit", 1000);
    write_summary(&a->w, &d->summary);
    write_clocks_of(&a->w, d);
    if (!call_number(c, "details", 0)) return answer_settle(a);
    TRY(write_traces(a, d, false, limit));
    TRY(write_logs(a, d, false, limit));
    return write_timeline(a, d, limit);
}

static err write_head(struct api_call *c, struct answer *a, const struct correlation_details *d) {
    (void)c;
    write_correlation_id(&a->w, d->summary.id);
    return answer_settle(a);
}
static err write_its_traces(struct api_call *c, struct answer *a, const struct correlation_details *d) {
    TRY(write_head(c, a, d));
    write_clocks_of(&a->w, d);
    return write_traces(a, d, call_number(c, "whole", 0), (size_t)call_number(c, "limit", 1000));
}
static err write_its_logs(struct api_call *c, struct answer *a, const struct correlation_details *d) {
    TRY(write_head(c, a, d));
    return write_logs(a, d, call_number(c, "whole", 0), (size_t)call_number(c, "limit", 1000));
}
static err write_its_timeline(struct api_call *c, struct answer *a, const struct correlation_details *d) {
    TRY(write_head(c, a, d));
    write_clocks_of(&a->w, d);
    return write_timeline(a, d, (size_t)call_number(c, "limit", 1000));
}
static err write_its_flow(struct api_call *c, struct answer *a, const struct correlation_details *d) {
    TRY(write_head(c, a, d));
    write_clocks_of(&a->w, d);
    return write_flow(c, a, d);
}

static err write_its_metrics(struct api_call *c, struct answer *a, const struct correlation_details *d) {
    struct meanwhile m;
    TRY(write_head(c, a, d));
    err e = meanwhile_read(a->q, d, c->now_ns, &m);
    if (!e) e = write_meanwhile(a, &m);
    meanwhile_done(&m);
    return e;
}

static void answer_one(struct api_call *c,
                       err (*put)(struct api_call *c, struct answer *a, const struct correlation_details *d)) {
    struct query q;
    struct answer a;
    struct correlation_details d;
    call_query_begin(c, &q);
    answer_begin(&a, &q);
    err e = read_one(c, &a, &d);
    if (!e) e = put(c, &a, &d);
    answer_end(c, &a, e);
}

void handle_correlation(struct api_call *c) { answer_one(c, write_details); }
void handle_correlation_traces(struct api_call *c) { answer_one(c, write_its_traces); }
void handle_correlation_logs(struct api_call *c) { answer_one(c, write_its_logs); }
void handle_correlation_timeline(struct api_call *c) { answer_one(c, write_its_timeline); }
void handle_correlation_flow(struct api_call *c) { answer_one(c, write_its_flow); }
void handle_correlation_metrics(struct api_call *c) { answer_one(c, write_its_metrics); }

void handle_correlations(struct api_call *c) {
    struct query q;
    struct answer a;
    call_query_begin(c, &q);
    answer_begin(&a, &q);
    answer_end(c, &a, write_list(c, &q, &a));
}
