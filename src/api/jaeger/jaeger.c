/* The questions of Jaeger's API: parameters to filters, answers in its envelopes. */
#include "api/jaeger/jaeger_priv.h"

#include "base/json.h"
#include "base/text.h"
#include "query/edges.h"
#include "signal/batch_build.h"
#include "signal/otlp.h"

#include <stdlib.h>

static const int64_t second_ns = 1000000000, day_ns = 86400 * (int64_t)1000000000;
enum { TAGS_DEPTH = 2, SEARCH_DEFAULT = 100 };

/* ---- parameters ------------------------------------------------------------------------------------------------- */

/* A parameter by its name of today, else by its older one; p NULL: neither is given. */
static struct str text_of(const struct api_call *c, const char *name, const char *older) {
    struct str text = call_text(c, name);
    return text.p || !older ? text : call_text(c, older);
}

static int64_t number_of(const struct api_call *c, const char *name, const char *older, int64_t otherwise) {
    return call_number(c, name, older ? call_number(c, older, otherwise) : otherwise);
}

static err add_where(struct query *q, struct query_filter *f, struct column_ref column, enum operator op,
                     struct str value) {
    if (f->where_count == QUERY_WHERE_MAX) return err_new(ERR_INVALID, "more than %d tags", QUERY_WHERE_MAX);
    return predicate_make(&q->arena, column, op, value, &f->where[f->where_count++]);
}

/* The number of a status as tags call it; 3 is one that no span has. */
static int status_of(struct str value) {
    return str_equal_nocase(value, STR("error"))   ? 2
           : str_equal_nocase(value, STR("ok"))    ? 1
           : str_equal_nocase(value, STR("unset")) ? 0
                                                   : 3;
}

static int kind_of(struct str value) {
    static const char *const kinds[] = {"unspecified", "internal", "server", "client", "producer", "consumer"};
    for (size_t i = 0; i < LENGTH(kinds); i++)
        if (str_equal_nocase(value, str_of(kinds[i]))) return (int)i;
    return 1000; /* none has it */
}

static err add_tag(struct query *q, struct query_filter *f, struct str key, struct str value) {
    struct column_ref field = {.target = TARGET_FIELD, .field = FIELD_STATUS};
    if (str_equal(key, STR("error")))
        return add_where(q, f, field, str_equal(value, STR("true")) ? OP_EQUAL : OP_NOT_EQUAL, STR("2"));
    if (str_equal(key, STR("otel.status_code"))) f->status = status_of(value);
    if (str_equal(key, STR("span.kind"))) f->kind = kind_of(value);
    if (str_equal(key, STR("otel.status_code")) || str_equal(key, STR("span.kind"))) return NULL;
    if (str_equal(key, STR("otel.status_description")) || str_equal(key, STR("w3c.tracestate"))) {
        field.field = str_equal(key, STR("w3c.tracestate")) ? FIELD_TRACE_STATE : FIELD_STATUS_MESSAGE;
        return add_where(q, f, field, OP_EQUAL, value);
    }
    bool name = str_equal(key, STR("otel.scope.name")) || str_equal(key, STR("otel.library.name"));
    bool version = str_equal(key, STR("otel.scope.version")) || str_equal(key, STR("otel.library.version"));
    struct column_ref column = {.target = name || version ? TARGET_SCOPE : TARGET_ANY,
                                .key = name      ? STR("name")
                                       : version ? STR("version")
                                                 : key};
    return add_where(q, f, column, OP_EQUAL, value);
}

/* {"key":"value",…} */
static err add_tags(struct query *q, struct query_filter *f, struct str json) {
    struct json_reader r;
    json_reader_init(&r, json, TAGS_DEPTH);
    enum json_token t = json_next(&r);
    err e = t == JSON_OBJECT ? NULL : err_new(ERR_INVALID, "is not an object of texts such as {\"error\":\"true\"}");
    while (!e && (t = json_next(&r)) == JSON_KEY) {
        struct str key = arena_copy(&q->arena, r.value);
        t = json_next(&r);
        if (t != JSON_STRING) e = err_new(ERR_INVALID, "the value of '" STR_FMT "' is not a text", STR_ARG(key));
        if (!e) e = add_tag(q, f, key, arena_copy(&q->arena, r.value));
    }
    if (!e && t == JSON_ERROR) e = json_reader_err(&r);
    if (!e && json_next(&r) != JSON_END) e = err_new(ERR_INVALID, "something follows the object");
    json_reader_done(&r);
    return e;
}

/* tag=key:value, or tag=key for any value. */
static err add_tag_pair(struct query *q, struct query_filter *f, struct str pair) {
    struct str key, value;
    if (str_cut(pair, ':', &key, &value)) return add_tag(q, f, key, value);
    return add_where(q, f, (struct column_ref){.target = TARGET_ANY, .key = pair}, OP_EXISTS, STR(""));
}

/* One to 32 hex digits; fewer are the low end. */
static err read_trace_id(struct str text, unsigned char out[16]) {
    char padded[33];
    memset(padded, '0', sizeof padded);
    bool good = text.n > 0 && text.n <= 32;
    if (good) memcpy(padded + 32 - text.n, text.p, text.n);
    err e = good ? parse_hex((struct str){padded, 32}, out, 16) : NULL;
    if (good && !e) return NULL;
    err_free(e);
    return err_new(ERR_INVALID, "'" STR_FMT "' is not a trace id of 1 to 32 hexadecimal digits", STR_ARG(text));
}

static err check_range(const struct query_filter *f) {
    return f->time_min <= f->time_max ? NULL : err_new(ERR_INVALID, "the range ends before it starts");
}

static err read_search(struct api_call *c, struct query *q, struct query_traces *r) {
    struct query_filter *f = &r->filter;
    *r = (struct query_traces){.order = QUERY_NEWEST, .limit = (size_t)call_number(c, "limit", SEARCH_DEFAULT)};
    query_filter_init(f);
    f->service = call_text(c, "service");
    if (!f->service.p) return err_new(ERR_INVALID, "parameter 'service' is required");
    f->operation = call_text(c, "operation");
    f->time_max = call_given(c, "end") ? call_number(c, "end", 0) * 1000 : c->now_ns;
    f->time_min = call_given(c, "start") ? call_number(c, "start", 0) * 1000 : f->time_max - 2 * day_ns;
    f->duration_min = call_number(c, "minDuration", INT64_MIN);
    f->duration_max = call_number(c, "maxDuration", INT64_MAX);
    if (call_given(c, "tags")) TRY_WRAP(add_tags(q, f, call_text(c, "tags")), "tags");
    for (size_t i = 0; i < c->where_count; i++) TRY_WRAP(add_tag_pair(q, f, c->wheres[i]), "tag");
    return check_range(f);
}

static err read_v3_search(struct api_call *c, struct query *q, struct query_traces *r) {
    struct query_filter *f = &r->filter;
    struct str attributes = call_text(c, "query.attributes");
    *r = (struct query_traces){.order = QUERY_NEWEST};
    r->limit = (size_t)number_of(c, "query.searchDepth", "query.search_depth",
                                 call_number(c, "query.num_traces", SEARCH_DEFAULT));
    if (r->limit == 0) r->limit = SEARCH_DEFAULT; /* as protobuf has a number that is not set */
    query_filter_init(f);
    f->service = text_of(c, "query.serviceName", "query.service_name");
    f->operation = text_of(c, "query.operationName", "query.operation_name");
    if (!text_of(c, "query.startTimeMin", "query.start_time_min").p ||
        !text_of(c, "query.startTimeMax", "query.start_time_max").p)
        return err_new(ERR_INVALID, "query.startTimeMin and query.startTimeMax are required");
    f->time_min = number_of(c, "query.startTimeMin", "query.start_time_min", 0);
    f->time_max = number_of(c, "query.startTimeMax", "query.start_time_max", 0);
    f->duration_min = number_of(c, "query.durationMin", "query.duration_min", INT64_MIN);
    f->duration_max = number_of(c, "query.durationMax", "query.duration_max", INT64_MAX);
    if (attributes.p) TRY_WRAP(add_tags(q, f, attributes), "query.attributes");
    return check_range(f);
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

void jaeger_put_error(struct buf *out, struct str path, int status, struct str message) {
    struct json_writer w;
    json_writer_init(&w, out);
    json_object(&w);
    if (str_starts_with(path, STR("/jaeger/api/v3/"))) {
        json_key(&w, STR("error"));
        json_object(&w);
        json_member(&w, "httpCode", i64, status);
        json_member(&w, "message", str, message);
        json_object_end(&w);
    } else {
        json_key(&w, STR("data"));
        json_null(&w);
        json_member(&w, "total", u64, 0);
        json_member(&w, "limit", u64, 0);
        json_member(&w, "offset", u64, 0);
        json_key(&w, STR("errors"));
        json_array(&w);
        json_object(&w);
        json_member(&w, "code", i64, status);
        json_member(&w, "msg", str, message);
        json_object_end(&w);
        json_array_end(&w);
    }
    json_object_end(&w);
}

/* After "data": what v1 puts around every answer. */
static void write_envelope(struct json_writer *w, size_t total) {
    json_member(w, "total", u64, total);
    json_member(w, "limit", u64, 0);
    json_member(w, "offset", u64, 0);
    json_key(w, STR("errors"));
    json_null(w);
}

/* Opens the answer, lets `fill` write it, ends the call. */
static void answer_by(struct api_call *c, err (*fill)(struct api_call *c, struct query *q, struct answer *a)) {
    struct query q;
    struct answer a;
    call_query_begin(c, &q);
    answer_begin(&a, &q);
    answer_end(c, &a, fill(c, &q, &a));
}

/* ---- services and operations ------------------------------------------------------------------------------------ */

/* Names, each once: services of equal name in other environments and namespaces are one to Jaeger. */
static err write_service_names(struct query *q, struct json_writer *w, size_t *out_n) {
    struct query_services_answer found;
    TRY(query_services(q, 0, INT64_MAX, (struct str){NULL, 0}, false, &found));
    *out_n = 0;
    json_array(w);
    for (size_t i = 0; i < found.n; i++) {
        if (!found.services[i].signals[SIGNAL_SPANS]) continue;
        bool seen = false;
        for (size_t k = i; k > 0 && !seen && str_equal(found.services[k - 1].name, found.services[i].name); k--)
            seen = found.services[k - 1].signals[SIGNAL_SPANS];
        if (seen) continue;
        json_str(w, found.services[i].name);
        ++*out_n;
    }
    json_array_end(w);
    return NULL;
}

static err write_v1_services(struct api_call *c, struct query *q, struct answer *a) {
    size_t n;
    (void)c;
    json_key(&a->w, STR("data"));
    TRY(write_service_names(q, &a->w, &n));
    write_envelope(&a->w, n);
    return answer_settle(a);
}

void handle_jaeger_services(struct api_call *c) { answer_by(c, write_v1_services); }

static err write_v3_services(struct api_call *c, struct query *q, struct answer *a) {
    size_t n;
    (void)c;
    json_key(&a->w, STR("services"));
    TRY(write_service_names(q, &a->w, &n));
    return answer_settle(a);
}

void handle_jaeger_v3_services(struct api_call *c) { answer_by(c, write_v3_services); }

static int by_name(const void *x, const void *y) {
    const struct query_operation *a = x, *b = y;
    int order = str_compare(a->name, b->name);
    return order ? order : a->kind < b->kind ? -1 : a->kind > b->kind;
}

/* Sorted by name, then kind; of the last two days, as Jaeger's stores keep them for a while only. */
static err find_operations(struct api_call *c, struct query *q, struct str service, struct str kind,
                           struct query_operation **out, size_t *out_n) {
    struct query_filter f;
    struct query_operations_answer found;
    if (!service.n) return err_new(ERR_INVALID, "parameter 'service' is required");
    query_filter_init(&f);
    f.service = service;
    f.time_min = c->now_ns - 2 * day_ns;
    if (kind.n) f.kind = kind_of(kind);
    TRY(query_operations(q, &f, 2000, &found));
    *out = arena_array(&q->arena, struct query_operation, found.n + 1);
    if (!*out) return arena_err(&q->arena);
    memcpy(*out, found.operations, found.n * sizeof **out);
    qsort(*out, found.n, sizeof **out, by_name);
    *out_n = found.n;
    return NULL;
}

static err write_operation_names(struct api_call *c, struct query *q, struct answer *a) {
    struct query_operation *v;
    size_t n, written = 0;
    TRY(find_operations(c, q, c->path_values[0], (struct str){NULL, 0}, &v, &n));
    json_key(&a->w, STR("data"));
    json_array(&a->w);
    for (size_t i = 0; i < n; i++) {
        if (i && str_equal(v[i].name, v[i - 1].name)) continue;
        json_str(&a->w, v[i].name);
        written++;
    }
    json_array_end(&a->w);
    write_envelope(&a->w, written);
    return answer_settle(a);
}

void handle_jaeger_service_operations(struct api_call *c) { answer_by(c, write_operation_names); }

static err write_operations(struct api_call *c, struct query *q, struct answer *a) {
    static const char *const kinds[] = {"", "internal", "server", "client", "producer", "consumer"};
    bool v3 = str_starts_with(c->path, STR("/jaeger/api/v3/"));
    struct query_operation *v;
    size_t n;
    TRY(find_operations(c, q, call_text(c, "service"), text_of(c, "spanKind", v3 ? "span_kind" : NULL), &v, &n));
    json_key(&a->w, v3 ? STR("operations") : STR("data"));
    json_array(&a->w);
    for (size_t i = 0; i < n; i++) {
        json_object(&a->w);
        json_member(&a->w, "name", str, v[i].name);
        json_member(&a->w, "spanKind", text, v[i].kind < LENGTH(kinds) ? kinds[v[i].kind] : "");
        json_object_end(&a->w);
    }
    json_array_end(&a->w);
    if (!v3) write_envelope(&a->w, n);
    return answer_settle(a);
}

void handle_jaeger_operations(struct api_call *c) { answer_by(c, write_operations); }
void handle_jaeger_v3_operations(struct api_call *c) { answer_by(c, write_operations); }

/* ---- traces ----------------------------------------------------------------------------------------------------- */

typedef err (*trace_fn)(struct answer *a, struct query *q, const struct query_trace_answer *t, void *context);

/* Loads the traces that were found one after another, each with a query of its own, all before the deadline of q. */
static err each_trace(struct api_call *c, struct answer *a, const struct query_traces_answer *found, trace_fn fn,
                      void *context) {
    err e = NULL;
    for (size_t i = 0; i < found->n && !e; i++) {
        struct query one;
        struct query_trace_answer t;
        call_query_begin(c, &one);
        one.deadline_ns = a->q->deadline_ns;
        e = query_trace(&one, found->traces[i].trace_id, &t);
        if (!e) e = fn(a, &one, &t, context);
        if (!e) a->q->stats.bad_blocks += one.stats.bad_blocks;
        query_end(&one);
        if (e && err_kind(e) == ERR_NOT_FOUND) { /* deleted since */
            err_free(e);
            e = NULL;
        }
    }
    return e;
}

static err write_one_trace(struct answer *a, struct query *q, const struct query_trace_answer *t, void *context) {
    (void)q, (void)context;
    jaeger_write_trace(&a->w, t);
    return answer_settle(a);
}

/* Traces by id, traceID=…&traceID=…; false if none is named. */
static err read_asked(struct api_call *c, struct query *q, struct query_traces_answer *out) {
    struct query_trace_summary *asked = arena_array(&q->arena, struct query_trace_summary, c->where_count + 1);
    if (!asked) return arena_err(&q->arena);
    *out = (struct query_traces_answer){.traces = asked};
    for (size_t i = 0; i < c->where_count; i++)
        if (strcmp(c->route->params[c->where_of[i]].name, "traceID") == 0)
            TRY(read_trace_id(c->wheres[i], asked[out->n++].trace_id));
    return NULL;
}

static err write_traces(struct api_call *c, struct query *q, struct answer *a) {
    struct query_traces r;
    struct query_traces_answer found;
    TRY(read_asked(c, q, &found));
    if (found.n == 0) {
        TRY(read_search(c, q, &r));
        TRY(query_traces(q, &r, &found));
    }
    json_key(&a->w, STR("data"));
    json_array(&a->w);
    TRY(each_trace(c, a, &found, write_one_trace, NULL));
    json_array_end(&a->w);
    write_envelope(&a->w, 0);
    return answer_settle(a);
}

void handle_jaeger_traces(struct api_call *c) { answer_by(c, write_traces); }

static err find_trace(struct api_call *c, struct query *q, struct query_trace_answer *out) {
    unsigned char id[16];
    TRY(read_trace_id(c->path_values[0], id));
    err e = query_trace(q, id, out);
    if (!e || err_kind(e) != ERR_NOT_FOUND) return e;
    err_free(e);
    return err_new(ERR_NOT_FOUND, "trace not found");
}

static err write_trace(struct api_call *c, struct query *q, struct answer *a) {
    struct query_trace_answer t;
    TRY(find_trace(c, q, &t));
    json_key(&a->w, STR("data"));
    json_array(&a->w);
    jaeger_write_trace(&a->w, &t);
    json_array_end(&a->w);
    write_envelope(&a->w, 0);
    return answer_settle(a);
}

void handle_jaeger_trace(struct api_call *c) { answer_by(c, write_trace); }

/* ---- traces as OTLP --------------------------------------------------------------------------------------------- */

static err add_rows(struct answer *a, struct query *q, const struct query_trace_answer *t, void *context) {
    struct batch_builder *b = context;
    struct batch_copy_cache cache = {0};
    (void)q;
    for (size_t i = 0; i < t->n; i++) batch_builder_copy(b, &t->batch, t->spans[i].row, &cache);
    batch_copy_cache_done(&cache);
    size_t bytes = batch_builder_bytes(b);
    if (b->overfull || bytes > a->q->options.memory_max_bytes)
        return err_new(ERR_LIMIT, "the traces are more than %zu MiB; ask for fewer",
                       a->q->options.memory_max_bytes / MIB);
    return bytes > a->charged ? query_charge(a->q, bytes - a->charged) : NULL;
}

/* {"result": TracesData} */
static err write_result(struct answer *a, struct batch_builder *builder) {
    struct batch b;
    struct batch_blob *blob = batch_builder_finish(builder);
    batch_view(blob, &b);
    json_key(&a->w, STR("result"));
    otlp_write_json(&b, &a->w);
    batch_unref(blob);
    return answer_settle(a);
}

static err collect(struct api_call *c, struct query *q, struct answer *a, struct batch_builder *b) {
    struct query_traces r;
    struct query_traces_answer found;
    struct query_trace_answer t;
    if (c->path_values[0].p) {
        TRY(find_trace(c, q, &t));
        return add_rows(a, q, &t, b);
    }
    TRY(read_v3_search(c, q, &r));
    TRY(query_traces(q, &r, &found));
    if (found.n == 0) return err_new(ERR_NOT_FOUND, "No traces found");
    return each_trace(c, a, &found, add_rows, b);
}

static err write_v3_traces(struct api_call *c, struct query *q, struct answer *a) {
    struct batch_builder b;
    batch_builder_init(&b, SIGNAL_SPANS);
    err e = collect(c, q, a, &b);
    if (!e) e = write_result(a, &b);
    batch_builder_done(&b);
    return e;
}

void handle_jaeger_v3_traces(struct api_call *c) { answer_by(c, write_v3_traces); }
void handle_jaeger_v3_trace(struct api_call *c) { answer_by(c, write_v3_traces); }

static void write_summary(struct json_writer *w, const struct query_trace_summary *t) {
    json_object(w);
    json_member(w, "traceId", hex, t->trace_id, 16);
    json_member(w, "rootServiceName", str, t->root_service);
    json_member(w, "rootOperationName", str, t->root_name);
    json_member(w, "minStartTimeUnixNano", u64_text, (uint64_t)t->start);
    json_member(w, "maxEndTimeUnixNano", u64_text, (uint64_t)t->start + (uint64_t)MAX(t->duration, 0));
    json_member(w, "spanCount", u64, t->spans);
    json_member(w, "errorSpanCount", u64, t->errors);
    json_key(w, STR("services"));
    json_array(w);
    for (size_t i = 0; i < t->service_count; i++) {
        json_object(w);
        json_member(w, "name", str, t->services[i].service);
        json_member(w, "spanCount", u64, t->services[i].spans);
        json_member(w, "errorSpanCount", u64, t->services[i].errors);
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
}

static err write_summaries(struct api_call *c, struct query *q, struct answer *a) {
    struct query_traces r;
    struct query_traces_answer found;
    TRY(read_v3_search(c, q, &r));
    TRY(query_traces(q, &r, &found));
    json_key(&a->w, STR("summaries"));
    json_array(&a->w);
    for (size_t i = 0; i < found.n; i++) write_summary(&a->w, &found.traces[i]);
    json_array_end(&a->w);
    return answer_settle(a);
}

void handle_jaeger_v3_summaries(struct api_call *c) { answer_by(c, write_summaries); }

/* ---- dependencies ----------------------------------------------------------------------------------------------- */

static void write_edges(struct json_writer *w, const struct query_edges_answer *found, bool counts_are_text) {
    json_array(w);
    for (size_t i = 0; i < found->n; i++) {
        json_object(w);
        json_member(w, "parent", str, found->edges[i].parent);
        json_member(w, "child", str, found->edges[i].child);
        json_key(w, STR("callCount"));
        if (counts_are_text)
            json_u64_text(w, found->edges[i].calls);
        else
            json_u64(w, found->edges[i].calls);
        json_object_end(w);
    }
    json_array_end(w);
}

static err write_dependencies(struct api_call *c, struct query *q, struct answer *a) {
    struct query_filter f;
    struct query_edges_answer found;
    const int64_t ms = second_ns / 1000;
    query_filter_init(&f);
    f.time_max = call_number(c, "endTs", 0) * ms;
    f.time_min = f.time_max - MIN(call_number(c, "lookback", day_ns / ms) * ms, f.time_max);
    TRY(query_edges(q, &f, &found));
    json_key(&a->w, STR("data"));
    write_edges(&a->w, &found, false);
    write_envelope(&a->w, 0);
    return answer_settle(a);
}

void handle_jaeger_dependencies(struct api_call *c) { answer_by(c, write_dependencies); }

static err write_v3_dependencies(struct api_call *c, struct query *q, struct answer *a) {
    struct query_filter f;
    struct query_edges_answer found;
    query_filter_init(&f);
    f.time_min = call_number(c, "startTime", 0);
    f.time_max = call_number(c, "endTime", 0);
    TRY(check_range(&f));
    TRY(query_edges(q, &f, &found));
    json_key(&a->w, STR("dependencies"));
    write_edges(&a->w, &found, true);
    return answer_settle(a);
}

void handle_jaeger_v3_dependencies(struct api_call *c) { answer_by(c, write_v3_dependencies); }
