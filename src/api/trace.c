/* One trace as JSON, OTLP/JSON or OTLP protobuf. */
#include "api/api_priv.h"

#include "base/text.h"

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

static void write_span(struct json_writer *w, const struct batch *b, const struct query_span *s) {
    uint32_t row = s->row, dropped_events = batch_u32(b, SET_ROWS, FIELD_DROPPED_EVENTS, row);
    uint32_t dropped_links = batch_u32(b, SET_ROWS, FIELD_DROPPED_LINKS, row);
    json_object(w);
    json_key(w, STR("span_id"));
    write_raw_id(w, batch_u64(b, SET_ROWS, FIELD_SPAN_ID, row));
    json_key(w, STR("parent_span_id"));
    write_raw_id(w, batch_u64(b, SET_ROWS, FIELD_PARENT_ID, row));
    if (s->parent_missing) json_member(w, "parent_missing", bool, true);
    json_member(w, "depth", u64, s->depth);
    json_member(w, "service", str, s->service);
    json_member(w, "name", str, batch_text(b, SET_ROWS, FIELD_NAME, row));
    json_key(w, STR("kind"));
    write_kind(w, batch_u32(b, SET_ROWS, FIELD_KIND, row));
    json_member(w, "start", time, (int64_t)batch_u64(b, SET_ROWS, FIELD_TIME, row));
    json_member(w, "duration_ns", i64, (int64_t)batch_u64(b, SET_ROWS, FIELD_DURATION, row));
    json_member(w, "self_time_ns", i64, s->self_time);
    json_member(w, "child_count", u64, s->children);
    write_span_status(w, b, row);
    write_trace_state(w, b, SET_ROWS, row);
    write_attributes(w, b, SET_ROWS, row);
    write_events(w, b, row);
    if (dropped_events) json_member(w, "dropped_events", u64, dropped_events);
    write_links(w, b, row);
    if (dropped_links) json_member(w, "dropped_links", u64, dropped_links);
    json_member(w, "resource", u64, batch_u32(b, SET_ROWS, FIELD_RESOURCE, row));
    json_member(w, "scope", u64, batch_u32(b, SET_ROWS, FIELD_SCOPE, row));
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

static err write_tree(struct answer *a, const struct query_trace_answer *t) {
    write_head(&a->w, t);
    write_resources(&a->w, &t->batch, &a->q->arena);
    write_scopes(&a->w, &t->batch);
    json_key(&a->w, STR("spans"));
    json_array(&a->w);
    for (size_t i = 0; i < t->n; i++) {
        write_span(&a->w, &t->batch, &t->spans[i]);
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

static err find_trace(struct api_call *c, struct query *q, struct query_trace_answer *out) {
    unsigned char id[16];
    err e = parse_hex(c->path_values[0], id, sizeof id);
    if (e) {
        err_free(e);
        return err_new(ERR_INVALID, "'" STR_FMT "' is not a trace id of 32 hexadecimal digits",
                       STR_ARG(c->path_values[0]));
    }
    return err_wrap(query_trace(q, id, out), "trace " STR_FMT, STR_ARG(c->path_values[0]));
}

void handle_trace(struct api_call *c) {
    struct query q;
    struct answer a;
    struct query_trace_answer t;
    bool otlp = call_number(c, "format", FORMAT_JSON) != FORMAT_JSON;
    call_query_begin(c, &q);
    err e = find_trace(c, &q, &t);
    if (!e && otlp) {
        e = answer_otlp(c, &q, &t);
        if (!e) return;
    }
    answer_begin(&a, &q);
    if (!e) e = write_tree(&a, &t);
    answer_end(c, &a, e);
}
