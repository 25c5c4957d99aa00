/* One trace as JSON, OTLP/JSON or OTLP protobuf; as columns without attributes; some of its spans. */
#include "api/api_priv.h"

#include "base/map.h"
#include "base/text.h"
#include "insight/trace_tree.h"

static void write_events(struct json_writer *w, const struct batch *b, uint32_t row) {
    uint32_t from = row ? batch_u32(b, SET_ROWS, FIELD_EVENT_END, row - 1) : 0;
    uint32_t to = batch_u32(b, SET_ROWS, FIELD_EVENT_END, row);
    json_key(w, STR("events"));
    json_array(w);
    for (uint32_t i = from; i < to; i++) {
        json_object(w);
        json_member(w, "time", time, (int64_t)batch_u64(b, SET_EVENTS, FIELD_TIME, i));
        json_member(w, "name", str, batch_text(b, SET_EVENTS, FIELD_NAME, i));
        write_attributes(w, b, SET_EVENTS, i);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_trace_state(struct json_writer *w, const struct batch *b, enum set s, uint32_t row) {
    struct str state = batch_text(b, s, FIELD_TRACE_STATE, row);
    uint32_t flags = batch_u32(b, s, FIELD_FLAGS, row);
    if (state.n) json_member(w, "trace_state", str, state);
    if (flags) json_member(w, "flags", u64, flags);
}

static void write_raw_id(struct json_writer *w, uint64_t id) { write_id(w, &id, sizeof id); }

static void write_links(struct json_writer *w, const struct batch *b, uint32_t row) {
    uint32_t from = row ? batch_u32(b, SET_ROWS, FIELD_LINK_END, row - 1) : 0;
    uint32_t to = batch_u32(b, SET_ROWS, FIELD_LINK_END, row);
    json_key(w, STR("links"));
    json_array(w);
    for (uint32_t i = from; i < to; i++) {
        json_object(w);
        json_key(w, STR("trace_id"));
        write_id(w, batch_id16(b, SET_LINKS, FIELD_TRACE_ID, i), 16);
        json_key(w, STR("span_id"));
        write_raw_id(w, batch_u64(b, SET_LINKS, FIELD_SPAN_ID, i));
        write_trace_state(w, b, SET_LINKS, i);
        write_attributes(w, b, SET_LINKS, i);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_span_status(struct json_writer *w, const struct batch *b, uint32_t row) {
    struct str message = batch_text(b, SET_ROWS, FIELD_STATUS_MESSAGE, row);
    json_key(w, STR("status"));
    json_object(w);
    json_key(w, STR("code"));
    write_status(w, batch_u32(b, SET_ROWS, FIELD_STATUS, row));
    if (message.n) json_member(w, "message", str, message);
    json_object_end(w);
}

/* What the row alone says of its place in the trace, and all that comes before its attributes. */
static void write_row_head(struct json_writer *w, const struct batch *b, uint32_t row) {
    json_key(w, STR("kind"));
    write_kind(w, batch_u32(b, SET_ROWS, FIELD_KIND, row));
    json_member(w, "start", time, (int64_t)batch_u64(b, SET_ROWS, FIELD_TIME, row));
    json_member(w, "duration_ns", i64, (int64_t)batch_u64(b, SET_ROWS, FIELD_DURATION, row));
}

static void write_row_tail(struct json_writer *w, const struct batch *b, uint32_t row) {
    uint32_t dropped_events = batch_u32(b, SET_ROWS, FIELD_DROPPED_EVENTS, row);
    uint32_t dropped_links = batch_u32(b, SET_ROWS, FIELD_DROPPED_LINKS, row);
    write_span_status(w, b, row);
    write_correlation(w, b, row);
    write_trace_state(w, b, SET_ROWS, row);
    write_attributes(w, b, SET_ROWS, row);
    write_events(w, b, row);
    if (dropped_events) json_member(w, "dropped_events", u64, dropped_events);
    write_links(w, b, row);
    if (dropped_links) json_member(w, "dropped_links", u64, dropped_links);
}

static void write_ids(struct json_writer *w, const struct batch *b, uint32_t row) {
    json_key(w, STR("span_id"));
    write_raw_id(w, batch_u64(b, SET_ROWS, FIELD_SPAN_ID, row));
    json_key(w, STR("parent_span_id"));
    write_raw_id(w, batch_u64(b, SET_ROWS, FIELD_PARENT_ID, row));
}

static void write_span(struct json_writer *w, const struct batch *b, const struct query_span *s, int64_t skew) {
    json_object(w);
    write_ids(w, b, s->row);
    if (s->parent_missing) json_member(w, "parent_missing", bool, true);
    json_member(w, "depth", u64, s->depth);
    json_member(w, "service", str, s->service);
    json_member(w, "name", str, batch_text(b, SET_ROWS, FIELD_NAME, s->row));
    write_row_head(w, b, s->row);
    if (skew) json_member(w, "skew_ns", i64, skew);
    json_member(w, "self_time_ns", i64, s->self_time);
    json_member(w, "child_count", u64, s->children);
    write_row_tail(w, b, s->row);
    json_member(w, "resource", u64, batch_u32(b, SET_ROWS, FIELD_RESOURCE, s->row));
    json_member(w, "scope", u64, batch_u32(b, SET_ROWS, FIELD_SCOPE, s->row));
    json_object_end(w);
}

static void write_head(struct json_writer *w, const struct query_trace_answer *t) {
    const struct query_trace_summary *s = &t->summary;
    json_member(w, "trace_id", hex, s->trace_id, 16);
    json_key(w, STR("root"));
    json_object(w);
    json_member(w, "service", str, s->root_service);
    json_member(w, "operation", str, s->root_name);
    json_member(w, "missing", bool, s->root_missing);
    json_object_end(w);
    json_member(w, "start", time, s->start);
    json_member(w, "duration_ns", i64, s->duration);
    json_member(w, "span_count", u64, s->spans);
    json_member(w, "error_count", u64, s->errors);
    json_member(w, "duplicate_count", u64, t->duplicates);
    json_member(w, "truncated", bool, t->cut);
    json_key(w, STR("missing_parents"));
    json_array(w);
    for (size_t i = 0; i < t->missing_count; i++) write_raw_id(w, t->missing[i]);
    json_array_end(w);
    write_services(w, s->services, s->service_count);
}

static int64_t skew_of(const struct trace_tree *t, size_t i) { return t->clocks[t->spans[i].service].ahead_ns; }

static err write_tree(struct answer *a, const struct query_trace_answer *t) {
    struct trace_tree tree;
    TRY(trace_tree_make(&a->q->arena, t, &tree));
    write_head(&a->w, t);
    write_clocks(&a->w, &tree);
    write_resources(&a->w, &t->batch, &a->q->arena);
    write_scopes(&a->w, &t->batch);
    json_key(&a->w, STR("spans"));
    json_array(&a->w);
    for (size_t i = 0; i < t->n; i++) {
        write_span(&a->w, &t->batch, &t->spans[i], skew_of(&tree, i));
        if (i % 256 == 0) TRY(answer_settle(a));
    }
    json_array_end(&a->w);
    return answer_settle(a);
}

/* Each span once, in the order they are shown in. */
static err answer_otlp(struct api_call *c, struct query *q, const struct query_trace_answer *t) {
    uint32_t *rows = arena_array(&q->arena, uint32_t, t->n + 1);
    if (!rows) return arena_err(&q->arena);
    for (size_t i = 0; i < t->n; i++) rows[i] = t->spans[i].row;
    return call_answer_otlp(c, q, (enum answer_format)call_number(c, "format", FORMAT_JSON), &t->batch, rows, t->n);
}

/* The at-th value of the path. */
static err path_id(const struct api_call *c, size_t at, const char *what, unsigned char *out, size_t n) {
    err e = parse_hex(c->path_values[at], out, n);
    if (!e) return NULL;
    err_free(e);
    return err_new(ERR_INVALID, "'" STR_FMT "' is not a %s id of %zu hexadecimal digits", STR_ARG(c->path_values[at]),
                   what, 2 * n);
}

err call_trace_id(const struct api_call *c, unsigned char out[16]) { return path_id(c, 0, "trace", out, 16); }

static err find_trace(struct api_call *c, struct query *q, __typeof__(query_trace) *ask,
                      struct query_trace_answer *out) {
    unsigned char id[16];
    TRY(call_trace_id(c, id));
    return err_wrap(ask(q, id, out), "trace " STR_FMT, STR_ARG(c->path_values[0]));
}

void handle_trace(struct api_call *c) {
    struct query q;
    struct answer a;
    struct query_trace_answer t;
    bool otlp = call_number(c, "format", FORMAT_JSON) != FORMAT_JSON;
    call_query_begin(c, &q);
    err e = find_trace(c, &q, query_trace, &t);
    if (!e && otlp) {
        e = answer_otlp(c, &q, &t);
        if (!e) return;
    }
    answer_begin(&a, &q);
    if (!e) e = write_tree(&a, &t);
    answer_end(c, &a, e);
}

/* ---- columns ---------------------------------------------------------------------------------------------------- */

/* What a column says of a span. */
typedef int64_t (*column_fn)(const struct query_trace_answer *t, const struct query_span *s);

static int64_t depth_of(const struct query_trace_answer *t, const struct query_span *s) {
    (void)t;
    return s->depth;
}
static int64_t kind_of(const struct query_trace_answer *t, const struct query_span *s) {
    return batch_u32(&t->batch, SET_ROWS, FIELD_KIND, s->row);
}
static int64_t status_of(const struct query_trace_answer *t, const struct query_span *s) {
    return batch_u32(&t->batch, SET_ROWS, FIELD_STATUS, s->row);
}
static int64_t start_of(const struct query_trace_answer *t, const struct query_span *s) {
    return (int64_t)(batch_u64(&t->batch, SET_ROWS, FIELD_TIME, s->row) - (uint64_t)t->summary.start);
}
static int64_t duration_of(const struct query_trace_answer *t, const struct query_span *s) {
    return (int64_t)batch_u64(&t->batch, SET_ROWS, FIELD_DURATION, s->row);
}
static int64_t self_time_of(const struct query_trace_answer *t, const struct query_span *s) {
    (void)t;
    return s->self_time;
}

/* In the order of the answer; ids, texts and parents that are missing have forms of their own. */
static const struct {
    const char *name;
    column_fn value;
} columns[] = {{"depth", depth_of},          {"kind", kind_of},
               {"status", status_of},        {"start_ns", start_of},
               {"duration_ns", duration_of}, {"self_time_ns", self_time_of}};

static err write_numbers(struct answer *a, const struct query_trace_answer *t, const char *name, column_fn value) {
    json_key(&a->w, str_of(name));
    json_array(&a->w);
    for (size_t i = 0; i < t->n; i++) {
        json_i64(&a->w, value(t, &t->spans[i]));
        if (i % 4096 == 0) TRY(answer_settle(a));
    }
    json_array_end(&a->w);
    return answer_settle(a);
}

/* All ids as one text: a string of its own for each would cost a reader more than all the rest. */
static err write_span_ids(struct answer *a, const struct query_trace_answer *t) {
    uint64_t *ids = arena_array(&a->q->arena, uint64_t, t->n + 1);
    if (!ids) return arena_err(&a->q->arena);
    for (size_t i = 0; i < t->n; i++) ids[i] = batch_u64(&t->batch, SET_ROWS, FIELD_SPAN_ID, t->spans[i].row);
    json_member(&a->w, "span_id", hex, ids, t->n * sizeof *ids);
    return answer_settle(a);
}

static void write_missing(struct json_writer *w, const struct query_trace_answer *t) {
    json_key(w, STR("parent_missing"));
    json_array(w);
    for (size_t i = 0; i < t->n; i++)
        if (t->spans[i].parent_missing) json_u64(w, i);
    json_array_end(w);
}

/* Services are numbers of the answer's `services`, which `names` has already; operations are numbered as they come. */
static err write_texts(struct answer *a, const struct query_trace_answer *t, struct strings *services,
                       struct strings *operations) {
    struct json_writer *w = &a->w;
    uint32_t *codes = arena_array(&a->q->arena, uint32_t, t->n + 1);
    if (!codes) return arena_err(&a->q->arena);
    json_key(w, STR("service"));
    json_array(w);
    for (size_t i = 0; i < t->n; i++) {
        codes[i] = strings_intern(operations, batch_text(&t->batch, SET_ROWS, FIELD_NAME, t->spans[i].row));
        json_u64(w, strings_intern(services, t->spans[i].service));
    }
    json_array_end(w);
    json_key(w, STR("operation"));
    json_array(w);
    for (size_t i = 0; i < t->n; i++) json_u64(w, codes[i]);
    json_array_end(w);
    json_object_end(w); /* of the columns */
    json_key(w, STR("operations"));
    json_array(w);
    for (uint32_t i = 0; i < operations->n; i++) json_str(w, strings_get(operations, i));
    json_array_end(w);
    return answer_settle(a);
}

enum { CORRELATION_IDS_MAX = 8 };

static void write_encoded_or_null(struct json_writer *w, struct str id) {
    AUTO_BUF struct buf escaped;
    buf_init(&escaped, 4 * KIB + 4 * id.n);
    if (utf8_is_valid(id)) {
        json_null(w);
        return;
    }
    put_percent_encoded(&escaped, id);
    json_str(w, buf_str(&escaped));
}

/* Each that a span came with, once. Equal texts of a batch have one number. Where one is no UTF-8 they stand escaped beside, null for the others. */
static void write_correlation_ids(struct json_writer *w, const struct query_trace_answer *t) {
    uint32_t seen[CORRELATION_IDS_MAX], n = 0;
    struct str ids[CORRELATION_IDS_MAX];
    bool odd = false;
    for (size_t i = 0; i < t->n && n < CORRELATION_IDS_MAX; i++) {
        struct str id = batch_text(&t->batch, SET_ROWS, FIELD_CORRELATION, t->spans[i].row);
        uint32_t number = batch_u32(&t->batch, SET_ROWS, FIELD_CORRELATION, t->spans[i].row), k = 0;
        while (k < n && seen[k] != number) k++;
        if (k < n || id.n == 0) continue;
        odd |= !utf8_is_valid(id);
        ids[n] = id;
        seen[n++] = number;
    }
    json_key(w, STR("correlation_ids"));
    json_array(w);
    for (uint32_t i = 0; i < n; i++) json_str(w, ids[i]);
    json_array_end(w);
    if (!odd) return;
    json_key(w, STR("correlation_ids_encoded"));
    json_array(w);
    for (uint32_t i = 0; i < n; i++) write_encoded_or_null(w, ids[i]);
    json_array_end(w);
}

/* Left out where all are 0. */
static err write_skews(struct answer *a, const struct trace_tree *t) {
    if (!t->is_corrected) return NULL;
    json_key(&a->w, STR("skew_ns"));
    json_array(&a->w);
    for (size_t i = 0; i < t->n; i++) json_i64(&a->w, skew_of(t, i));
    json_array_end(&a->w);
    return answer_settle(a);
}

static err write_columns(struct answer *a, const struct query_trace_answer *t) {
    struct strings services, operations;
    struct trace_tree tree;
    TRY(trace_tree_make(&a->q->arena, t, &tree));
    write_head(&a->w, t);
    write_correlation_ids(&a->w, t);
    write_clocks(&a->w, &tree);
    json_key(&a->w, STR("columns"));
    json_object(&a->w);
    TRY(write_span_ids(a, t));
    for (size_t i = 0; i < LENGTH(columns); i++) TRY(write_numbers(a, t, columns[i].name, columns[i].value));
    TRY(write_skews(a, &tree));
    write_missing(&a->w, t);
    strings_init(&services);
    strings_init(&operations);
    for (size_t i = 0; i < t->summary.service_count; i++) strings_intern(&services, t->summary.services[i].service);
    err e = write_texts(a, t, &services, &operations);
    strings_done(&operations);
    strings_done(&services);
    return e;
}

void handle_trace_columns(struct api_call *c) {
    struct query q;
    struct answer a;
    struct query_trace_answer t;
    call_query_begin(c, &q);
    answer_begin(&a, &q);
    err e = find_trace(c, &q, query_trace_bare, &t);
    if (!e) e = write_columns(&a, &t);
    answer_end(c, &a, e);
}

/* ---- some spans ------------------------------------------------------------------------------------------------- */

static err write_found(struct api_call *c, struct answer *a) {
    unsigned char id[16];
    struct query_filter f;
    struct query_span_ids found;
    TRY(call_trace_id(c, id));
    TRY(call_filter(c, a->q, true, &f));
    f.trace_id = id;
    TRY(query_trace_find(a->q, &f, &found));
    json_member(&a->w, "span_count", u64, found.n);
    json_member(&a->w, "truncated", bool, found.cut);
    json_member(&a->w, "span_id", hex, found.ids, found.n * sizeof *found.ids);
    return answer_settle(a);
}

void handle_trace_find(struct api_call *c) {
    struct query q;
    struct answer a;
    call_query_begin(c, &q);
    answer_begin(&a, &q);
    answer_end(c, &a, write_found(c, &a));
}

static void write_whole_span(struct json_writer *w, const struct batch *b, uint32_t row, struct arena *a) {
    json_object(w);
    write_ids(w, b, row);
    json_member(w, "service", str, query_row_service(b, row, a));
    json_member(w, "name", str, batch_text(b, SET_ROWS, FIELD_NAME, row));
    write_row_head(w, b, row);
    write_row_tail(w, b, row);
    json_key(w, STR("resource"));
    write_resource(w, b, batch_u32(b, SET_ROWS, FIELD_RESOURCE, row), a);
    json_key(w, STR("scope"));
    write_scope(w, b, batch_u32(b, SET_ROWS, FIELD_SCOPE, row));
    json_object_end(w);
}

static err write_spans(struct api_call *c, struct answer *a) {
    unsigned char trace_id[16], span_id[8];
    struct query_spans found;
    TRY(call_trace_id(c, trace_id));
    TRY(path_id(c, 1, "span", span_id, sizeof span_id));
    TRY_WRAP(query_trace_span(a->q, trace_id, span_id, &found), "span " STR_FMT, STR_ARG(c->path_values[1]));
    json_key(&a->w, STR("spans"));
    json_array(&a->w);
    for (uint32_t i = 0; i < found.n; i++) write_whole_span(&a->w, &found.batch, found.rows[i], &a->q->arena);
    json_array_end(&a->w);
    json_member(&a->w, "truncated", bool, found.cut);
    return answer_settle(a);
}

void handle_trace_span(struct api_call *c) {
    struct query q;
    struct answer a;
    call_query_begin(c, &q);
    answer_begin(&a, &q);
    answer_end(c, &a, write_spans(c, &a));
}
