/* What the analysis of a trace is made of: the trace, what its calls are usually like, and what its failed spans say. */
#include "insight/analysis.h"

#include "base/map.h"
#include "signal/otlp.h"

#include <stdlib.h>

#define DAY_NS ((int64_t)86400 * 1000000000)

/* ---- what is usual ---------------------------------------------------------------------------------------------- */

struct asked {
    uint32_t service, spans;
    struct str environment;
};

static int most_spans_first(const void *x, const void *y) {
    const struct asked *a = x, *b = y;
    if (a->spans != b->spans) return a->spans > b->spans ? -1 : 1;
    return (a->service > b->service) - (a->service < b->service);
}

/* Each service with the environment of its first span. */
static err list_services(struct query *q, const struct trace_analysis *of, struct asked *v) {
    for (uint32_t i = 0; i < of->tree.n; i++) {
        struct asked *s = &v[of->tree.spans[i].service];
        if (s->spans++ > 0) continue;
        s->service = of->tree.spans[i].service;
        s->environment = query_row_environment(&of->trace.batch, of->trace.spans[i].row, &q->arena);
    }
    qsort(v, of->tree.service_count, sizeof *v, most_spans_first);
    return arena_err(&q->arena);
}

static err read_usual_of(struct query *q, const struct trace_analysis *of, const struct asked *s,
                         const struct strings *calls, struct analysis_usual *out) {
    struct query_aggregate r = {.by_operation = true, .limit = QUERY_GROUPS_MAX, .rollups = true, .only_rollups = true};
    struct query_aggregate_answer found;
    AUTO_BUF struct buf key;
    buf_init(&key, SIZE_MAX / 2); /* of texts that are in memory */
    query_filter_init(&r.filter);
    r.filter.service = of->tree.services[s->service];
    r.filter.environment = s->environment;
    r.filter.time_min = of->usual_min;
    r.filter.time_max = of->usual_max;
    TRY(query_aggregate(q, &r, &found));
    for (size_t i = 0; i < found.n; i++) {
        uint32_t call;
        buf_clear(&key);
        buf_add(&key, &s->service, sizeof s->service);
        buf_add_str(&key, found.rows[i].operation);
        if (!strings_find(calls, buf_str(&key), &call)) continue;
        out[call] = (struct analysis_usual){found.rows[i].stats.spans, found.rows[i].stats.quantiles[QUERY_P95]};
    }
    return NULL;
}

static void name_calls(const struct trace_tree *t, struct strings *out) {
    AUTO_BUF struct buf key;
    buf_init(&key, SIZE_MAX / 2);
    for (uint32_t i = 0; i < t->call_count; i++) {
        buf_clear(&key);
        buf_add(&key, &t->calls[i].service, sizeof t->calls[i].service);
        buf_add_str(&key, t->calls[i].operation);
        strings_intern(out, buf_str(&key));
    }
}

static err read_usual(struct query *q, struct trace_analysis *of, struct analysis_usual *out) {
    struct asked *asked = arena_array(&q->arena, struct asked, of->tree.service_count + 1);
    struct strings calls;
    err e = NULL;
    if (!asked) return arena_err(&q->arena);
    TRY(list_services(q, of, asked));
    uint32_t n = MIN(of->tree.service_count, (uint32_t)ANALYSIS_COMPARED_MAX);
    of->not_compared = of->tree.service_count - n;
    strings_init(&calls);
    name_calls(&of->tree, &calls);
    for (uint32_t i = 0; !e && i < n; i++) e = read_usual_of(q, of, &asked[i], &calls, out);
    strings_done(&calls);
    return e;
}

/* ---- errors ----------------------------------------------------------------------------------------------------- */

/* Of a text attribute without a copy. */
static struct str attribute_text(const struct batch *b, enum set s, uint32_t row, const char *name, struct arena *a) {
    enum value_type type;
    uint64_t value;
    AUTO_BUF struct buf text;
    buf_init(&text, 4 * KIB);
    if (!batch_find_attribute(b, s, row, str_of(name), &type, &value)) return STR("");
    if (type == VALUE_STRING) return batch_string(b, (uint32_t)value);
    value_write_text(b, type, value, &text);
    struct str copy = arena_copy(a, buf_str(&text));
    return copy.p ? copy : STR("");
}

struct analysis_error analysis_exception_of(const struct batch *b, uint32_t row, struct arena *a) {
    uint32_t from = row ? batch_u32(b, SET_ROWS, FIELD_EVENT_END, row - 1) : 0;
    for (uint32_t i = batch_u32(b, SET_ROWS, FIELD_EVENT_END, row); i-- > from;)
        if (str_equal(batch_text(b, SET_EVENTS, FIELD_NAME, i), STR("exception")))
            return (struct analysis_error){attribute_text(b, SET_EVENTS, i, "exception.type", a),
                                           attribute_text(b, SET_EVENTS, i, "exception.message", a)};
    return (struct analysis_error){STR(""), STR("")};
}

struct str analysis_error_name(struct str error, struct str exception) {
    bool is_number = true;
    for (size_t i = 0; i < error.n; i++) is_number = is_number && error.p[i] >= '0' && error.p[i] <= '9';
    return is_number && exception.n ? exception : error;
}

struct analysis_error analysis_error_of(const struct batch *b, uint32_t row, struct arena *a) {
    static const char *const codes[] = {"error.type", "http.response.status_code", "http.status_code",
                                        "rpc.grpc.status_code"};
    struct analysis_error e = analysis_exception_of(b, row, a);
    struct str message = batch_text(b, SET_ROWS, FIELD_STATUS_MESSAGE, row);
    if (message.n) e.message = message;
    struct str error = STR("");
    for (size_t i = 0; i < LENGTH(codes) && !error.n; i++) error = attribute_text(b, SET_ROWS, row, codes[i], a);
    e.type = analysis_error_name(error, e.type);
    return e;
}

/* ---- all together ----------------------------------------------------------------------------------------------- */

err analysis_read(struct query *q, const unsigned char trace_id[16], struct trace_analysis *out) {
    struct trace_analysis made = {.not_compared = 0};
    TRY(query_trace(q, trace_id, &made.trace));
    TRY(trace_tree_make(&q->arena, &made.trace, &made.tree));
    struct analysis_usual *usual = arena_array(&q->arena, struct analysis_usual, made.tree.call_count + 1);
    if (!usual) return arena_err(&q->arena);
    made.usual_max = MAX(made.trace.summary.start, rollup_minute_ns) / rollup_minute_ns * rollup_minute_ns - 1;
    made.usual_min = MAX(made.usual_max - DAY_NS, 0) / rollup_minute_ns * rollup_minute_ns;
    TRY(read_usual(q, &made, usual));
    TRY(analysis_make(&q->arena, &made.tree, usual, &made.of));
    *out = made;
    return NULL;
}
