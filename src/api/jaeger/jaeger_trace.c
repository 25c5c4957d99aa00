/* A trace as Jaeger's v1 JSON: spans with references, typed tags and logs, processes by name. */
#include "api/jaeger/jaeger_priv.h"
#include "signal/otlp.h"

#include <stdio.h>

static void open_tag(struct json_writer *w, struct str key, const char *type) {
    json_object(w);
    json_member(w, "key", str, key);
    json_member(w, "type", text, type);
    json_key(w, STR("value"));
}

static void write_text_tag(struct json_writer *w, const char *key, struct str value) {
    open_tag(w, str_of(key), "string");
    json_str(w, value);
    json_object_end(w);
}

/* Integers that JavaScript cannot hold are text, as Jaeger sends them. */
static void write_integer(struct json_writer *w, int64_t v) {
    const int64_t most = (int64_t)1 << 53;
    char text[32];
    if (v > -most && v < most) {
        json_i64(w, v);
        return;
    }
    snprintf(text, sizeof text, "%lld", (long long)v);
    json_text(w, text);
}

static void write_display(struct json_writer *w, const struct batch *b, enum value_type type, uint64_t value) {
    struct buf text;
    buf_init(&text, 64 * MIB);
    value_write_text(b, type, value, &text);
    json_str(w, buf_str(&text));
    buf_done(&text);
}

static void write_value(struct json_writer *w, const struct batch *b, enum value_type type, uint64_t value) {
    double number;
    struct str bytes;
    switch (type) {
    case VALUE_BOOL: json_bool(w, value != 0); break;
    case VALUE_INT: write_integer(w, (int64_t)value); break;
    case VALUE_DOUBLE:
        memcpy(&number, &value, sizeof number);
        json_f64(w, number);
        break;
    case VALUE_BYTES:
        bytes = batch_string(b, (uint32_t)value);
        json_base64(w, bytes.p, bytes.n);
        break;
    case VALUE_STRING: json_str(w, batch_string(b, (uint32_t)value)); break;
    case VALUE_EMPTY:
    case VALUE_ANY:
    case VALUE_TYPES: write_display(w, b, type, value); break;
    }
}

static const char *type_name(enum value_type type) {
    return type == VALUE_BOOL     ? "bool"
           : type == VALUE_INT    ? "int64"
           : type == VALUE_DOUBLE ? "float64"
           : type == VALUE_BYTES  ? "binary"
                                  : "string";
}

static void write_attribute_tags(struct json_writer *w, const struct batch *b, enum set s, uint32_t row,
                                 struct str without) {
    struct batch_attributes v = batch_attributes(b, s, row);
    for (uint32_t i = 0; i < v.n; i++) {
        const struct batch_key *key = &b->keys[v.keys[i]];
        struct str name = batch_string(b, key->name);
        if (str_equal(name, without)) continue;
        open_tag(w, name, type_name(key->type));
        write_value(w, b, key->type, v.values[i]);
        json_object_end(w);
    }
}

/* ---- spans ------------------------------------------------------------------------------------------------------ */

static void write_span_id(struct json_writer *w, uint64_t id) { json_hex(w, &id, sizeof id); }

static void write_reference(struct json_writer *w, const char *type, const unsigned char *trace, uint64_t span) {
    json_object(w);
    json_member(w, "refType", text, type);
    json_member(w, "traceID", hex, trace, 16);
    json_key(w, STR("spanID"));
    write_span_id(w, span);
    json_object_end(w);
}

static void write_references(struct json_writer *w, const struct batch *b, uint32_t row) {
    uint32_t from = row ? batch_u32(b, SET_ROWS, FIELD_LINK_END, row - 1) : 0;
    uint32_t to = batch_u32(b, SET_ROWS, FIELD_LINK_END, row);
    uint64_t parent = batch_u64(b, SET_ROWS, FIELD_PARENT_ID, row);
    json_key(w, STR("references"));
    json_array(w);
    if (parent) write_reference(w, "CHILD_OF", batch_id16(b, SET_ROWS, FIELD_TRACE_ID, row), parent);
    for (uint32_t i = from; i < to; i++)
        write_reference(w, "FOLLOWS_FROM", batch_id16(b, SET_LINKS, FIELD_TRACE_ID, i),
                        batch_u64(b, SET_LINKS, FIELD_SPAN_ID, i));
    json_array_end(w);
}

static void write_status_tags(struct json_writer *w, const struct batch *b, uint32_t row) {
    uint32_t status = batch_u32(b, SET_ROWS, FIELD_STATUS, row);
    struct str message = batch_text(b, SET_ROWS, FIELD_STATUS_MESSAGE, row);
    if (status == 1 || status == 2) write_text_tag(w, "otel.status_code", status == 1 ? STR("OK") : STR("ERROR"));
    if (message.n) write_text_tag(w, "otel.status_description", message);
    if (status != 2) return;
    open_tag(w, STR("error"), "bool");
    json_bool(w, true);
    json_object_end(w);
}

static void write_field_tags(struct json_writer *w, const struct batch *b, uint32_t row) {
    static const char *const kinds[] = {NULL, "internal", "server", "client", "producer", "consumer"};
    uint32_t scope = batch_u32(b, SET_ROWS, FIELD_SCOPE, row), kind = batch_u32(b, SET_ROWS, FIELD_KIND, row);
    struct str name = batch_text(b, SET_SCOPES, FIELD_NAME, scope),
               version = batch_text(b, SET_SCOPES, FIELD_VERSION, scope),
               state = batch_text(b, SET_ROWS, FIELD_TRACE_STATE, row);
    if (name.n) write_text_tag(w, "otel.scope.name", name);
    if (version.n) write_text_tag(w, "otel.scope.version", version);
    if (kind < LENGTH(kinds) && kinds[kind]) write_text_tag(w, "span.kind", str_of(kinds[kind]));
    write_status_tags(w, b, row);
    if (state.n) write_text_tag(w, "w3c.tracestate", state);
}

static void write_tags(struct json_writer *w, const struct batch *b, uint32_t row) {
    json_key(w, STR("tags"));
    json_array(w);
    write_attribute_tags(w, b, SET_ROWS, row, STR(""));
    write_field_tags(w, b, row);
    json_array_end(w);
}

static void write_logs(struct json_writer *w, const struct batch *b, uint32_t row) {
    uint32_t from = row ? batch_u32(b, SET_ROWS, FIELD_EVENT_END, row - 1) : 0;
    uint32_t to = batch_u32(b, SET_ROWS, FIELD_EVENT_END, row);
    json_key(w, STR("logs"));
    json_array(w);
    for (uint32_t i = from; i < to; i++) {
        struct str name = batch_text(b, SET_EVENTS, FIELD_NAME, i);
        json_object(w);
        json_member(w, "timestamp", u64, batch_u64(b, SET_EVENTS, FIELD_TIME, i) / 1000);
        json_key(w, STR("fields"));
        json_array(w);
        if (name.n) write_text_tag(w, "event", name);
        write_attribute_tags(w, b, SET_EVENTS, i, name.n ? STR("event") : STR(""));
        json_array_end(w);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_process_name(struct json_writer *w, uint32_t resource, bool key) {
    char text[16];
    snprintf(text, sizeof text, "p%u", resource + 1);
    if (key)
        json_key(w, str_of(text));
    else
        json_text(w, text);
}

static void write_span(struct json_writer *w, const struct batch *b, const struct query_span *s) {
    int64_t duration = (int64_t)batch_u64(b, SET_ROWS, FIELD_DURATION, s->row);
    json_object(w);
    json_member(w, "traceID", hex, batch_id16(b, SET_ROWS, FIELD_TRACE_ID, s->row), 16);
    json_key(w, STR("spanID"));
    write_span_id(w, batch_u64(b, SET_ROWS, FIELD_SPAN_ID, s->row));
    json_member(w, "flags", u64, batch_u32(b, SET_ROWS, FIELD_FLAGS, s->row) & 0xff);
    json_member(w, "operationName", str, batch_text(b, SET_ROWS, FIELD_NAME, s->row));
    write_references(w, b, s->row);
    json_member(w, "startTime", u64, batch_u64(b, SET_ROWS, FIELD_TIME, s->row) / 1000);
    json_member(w, "duration", i64, MAX(duration, 0) / 1000);
    write_tags(w, b, s->row);
    write_logs(w, b, s->row);
    json_key(w, STR("processID"));
    write_process_name(w, batch_u32(b, SET_ROWS, FIELD_RESOURCE, s->row), false);
    json_key(w, STR("warnings"));
    if (duration < 0) {
        json_array(w);
        json_text(w, "the span ends before it starts");
        json_array_end(w);
    } else {
        json_null(w);
    }
    json_object_end(w);
}

static struct str resource_service(const struct batch *b, uint32_t resource) {
    struct str name = batch_attribute_text(b, SET_RESOURCES, resource, STR("service.name"));
    return name.n ? name : STR("unknown_service");
}

static void write_processes(struct json_writer *w, const struct batch *b) {
    json_key(w, STR("processes"));
    json_object(w);
    for (uint32_t i = 0; i < b->set_rows[SET_RESOURCES]; i++) {
        write_process_name(w, i, true);
        json_object(w);
        json_member(w, "serviceName", str, resource_service(b, i));
        json_key(w, STR("tags"));
        json_array(w);
        write_attribute_tags(w, b, SET_RESOURCES, i, STR("service.name"));
        json_array_end(w);
        json_object_end(w);
    }
    json_object_end(w);
}

void jaeger_write_trace(struct json_writer *w, const struct query_trace_answer *t) {
    json_object(w);
    json_member(w, "traceID", hex, t->summary.trace_id, 16);
    json_key(w, STR("spans"));
    json_array(w);
    for (size_t i = 0; i < t->n; i++) write_span(w, &t->batch, &t->spans[i]);
    json_array_end(w);
    write_processes(w, &t->batch);
    json_key(w, STR("warnings"));
    if (t->cut) {
        json_array(w);
        json_text(w, "the trace is larger than one answer: spans are left out");
        json_array_end(w);
    } else {
        json_null(w);
    }
    json_object_end(w);
}
