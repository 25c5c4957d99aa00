/* Columns → OTLP/JSON (specification 1.11, "JSON Protobuf Encoding"): lowerCamelCase, ids as hex, 64-bit numbers as
 * strings, enumerations as numbers, members that are zero left out. Bytes that are not UTF-8 become U+FFFD in the writer. */
#include "signal/otlp.h"

#include "base/json.h"
#include "base/text.h"
#include "signal/any_priv.h"

/* ---- values ------------------------------------------------------------------------------------------------------- */

static double number_as_double(uint64_t bits) {
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static void write_int_text(struct json_writer *w, int64_t v) {
    AUTO_BUF struct buf text;
    buf_init(&text, 32);
    put_i64(&text, v);
    json_member(w, "intValue", str, buf_str(&text));
}

static void write_any_list(struct json_writer *w, struct wire list, bool map) {
    struct wire item;
    json_object(w);
    json_key(w, STR("values"));
    json_array(w);
    while (any_next(&list, &item)) {
        struct str key;
        struct wire entry = item;
        if (!map) {
            any_write_json(w, item);
            continue;
        }
        any_read_key_value(&entry, &key, &item);
        json_object(w);
        json_member(w, "key", str, key);
        json_key(w, STR("value"));
        any_write_json(w, item);
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
}

/* The members of {"stringValue": …} for one level; an empty value has none. */
static void write_any_member(struct json_writer *w, const struct any *v) {
    switch (v->kind) {
    case ANY_EMPTY: return;
    case ANY_STRING: json_member(w, "stringValue", str, wire_str(&v->bytes)); return;
    case ANY_BOOL: json_member(w, "boolValue", bool, v->number != 0); return;
    case ANY_INT: write_int_text(w, (int64_t)v->number); return;
    case ANY_DOUBLE: json_member(w, "doubleValue", f64, number_as_double(v->number)); return;
    case ANY_ARRAY:
    case ANY_MAP:
        json_key(w, v->kind == ANY_ARRAY ? STR("arrayValue") : STR("kvlistValue"));
        write_any_list(w, v->bytes, v->kind == ANY_MAP);
        return;
    case ANY_BYTES: json_member(w, "bytesValue", base64, v->bytes.p, wire_left(&v->bytes)); return;
    }
}

void any_write_json(struct json_writer *w, struct wire message) {
    struct any v;
    json_object(w);
    if (any_read(&message, &v)) write_any_member(w, &v);
    json_object_end(w);
}

/* A slot of a batch as one level of AnyValue. */
static struct any any_of(const struct batch *b, enum value_type type, uint64_t value) {
    static const uint8_t kinds[] = {[VALUE_EMPTY] = ANY_EMPTY, [VALUE_STRING] = ANY_STRING, [VALUE_BOOL] = ANY_BOOL,
                                    [VALUE_INT] = ANY_INT,     [VALUE_DOUBLE] = ANY_DOUBLE, [VALUE_BYTES] = ANY_BYTES};
    struct any v = {0};
    if (type == VALUE_ANY) {
        struct wire w = wire_of(batch_string(b, (uint32_t)value));
        any_read(&w, &v);
        return v;
    }
    v.kind = (enum any_kind)kinds[type];
    if (type == VALUE_STRING || type == VALUE_BYTES)
        v.bytes = wire_of(batch_string(b, (uint32_t)value));
    else
        v.number = value;
    return v;
}

static void write_value(struct json_writer *w, const struct batch *b, enum value_type type, uint64_t value) {
    struct any v = any_of(b, type, value);
    json_object(w);
    write_any_member(w, &v);
    json_object_end(w);
}

static void write_attributes(struct json_writer *w, const struct batch *b, enum set s, uint32_t row) {
    struct batch_attributes a = batch_attributes(b, s, row);
    if (a.n == 0) return;
    json_key(w, STR("attributes"));
    json_array(w);
    for (uint32_t i = 0; i < a.n; i++) {
        const struct batch_key *key = &b->keys[a.keys[i]];
        json_object(w);
        json_member(w, "key", str, batch_string(b, key->name));
        json_key(w, STR("value"));
        write_value(w, b, (enum value_type)key->type, a.values[i]);
        json_object_end(w);
    }
    json_array_end(w);
}

/* ---- members ------------------------------------------------------------------------------------------------------ */

struct row_writer {
    struct json_writer *w;
    const struct batch *b;
    enum set set;
    uint32_t row;
};

static void write_text(const struct row_writer *r, const char *key, enum field f) {
    struct str text = batch_text(r->b, r->set, f, r->row);
    if (!text.n) return;
    json_key(r->w, str_of(key));
    json_str(r->w, text);
}

static void write_u32(const struct row_writer *r, const char *key, enum field f) {
    uint32_t v = batch_u32(r->b, r->set, f, r->row);
    if (!v) return;
    json_key(r->w, str_of(key));
    json_u64(r->w, v);
}

static void write_enum(const struct row_writer *r, const char *key, enum field f) {
    int32_t v = (int32_t)batch_u32(r->b, r->set, f, r->row);
    if (!v) return;
    json_key(r->w, str_of(key));
    json_i64(r->w, v);
}

static void write_time(const struct row_writer *r, const char *key, uint64_t v) {
    if (!v) return;
    json_key(r->w, str_of(key));
    json_u64_text(r->w, v);
}

static void write_trace_id(const struct row_writer *r) {
    static const unsigned char zero[16];
    const unsigned char *id = batch_id16(r->b, r->set, FIELD_TRACE_ID, r->row);
    if (memcmp(id, zero, 16) != 0) json_member(r->w, "traceId", hex, id, 16);
}

static void write_id8(const struct row_writer *r, const char *key, enum field f) {
    uint64_t id = batch_u64(r->b, r->set, f, r->row);
    if (!id) return;
    json_key(r->w, str_of(key));
    json_hex(r->w, &id, 8);
}

static void write_tail(const struct row_writer *r) {
    write_attributes(r->w, r->b, r->set, r->row);
    write_u32(r, "droppedAttributesCount", FIELD_DROPPED_ATTRIBUTES);
}

/* ---- rows --------------------------------------------------------------------------------------------------------- */

static void write_event(const struct row_writer *r) {
    write_time(r, "timeUnixNano", batch_u64(r->b, r->set, FIELD_TIME, r->row));
    write_text(r, "name", FIELD_NAME);
    write_tail(r);
}

static void write_link(const struct row_writer *r) {
    write_trace_id(r);
    write_id8(r, "spanId", FIELD_SPAN_ID);
    write_text(r, "traceState", FIELD_TRACE_STATE);
    write_tail(r);
    write_u32(r, "flags", FIELD_FLAGS);
}

static void write_children(const struct row_writer *r, const char *key, enum set s, enum field end,
                           void (*write_child)(const struct row_writer *)) {
    uint32_t first = r->row ? batch_u32(r->b, SET_ROWS, end, r->row - 1) : 0;
    uint32_t last = batch_u32(r->b, SET_ROWS, end, r->row);
    if (first == last) return;
    json_key(r->w, str_of(key));
    json_array(r->w);
    for (uint32_t i = first; i < last; i++) {
        struct row_writer child = {r->w, r->b, s, i};
        json_object(r->w);
        write_child(&child);
        json_object_end(r->w);
    }
    json_array_end(r->w);
}

static void write_span(const struct row_writer *r) {
    uint64_t start = batch_u64(r->b, SET_ROWS, FIELD_TIME, r->row);
    write_trace_id(r);
    write_id8(r, "spanId", FIELD_SPAN_ID);
    write_text(r, "traceState", FIELD_TRACE_STATE);
    write_id8(r, "parentSpanId", FIELD_PARENT_ID);
    write_u32(r, "flags", FIELD_FLAGS);
    write_text(r, "name", FIELD_NAME);
    write_enum(r, "kind", FIELD_KIND);
    write_time(r, "startTimeUnixNano", start);
    write_time(r, "endTimeUnixNano", start + batch_u64(r->b, SET_ROWS, FIELD_DURATION, r->row));
    write_tail(r);
    write_children(r, "events", SET_EVENTS, FIELD_EVENT_END, write_event);
    write_u32(r, "droppedEventsCount", FIELD_DROPPED_EVENTS);
    write_children(r, "links", SET_LINKS, FIELD_LINK_END, write_link);
    write_u32(r, "droppedLinksCount", FIELD_DROPPED_LINKS);
    json_key(r->w, STR("status"));
    json_object(r->w);
    write_text(r, "message", FIELD_STATUS_MESSAGE);
    write_enum(r, "code", FIELD_STATUS);
    json_object_end(r->w);
}

static void write_log(const struct row_writer *r) {
    enum value_type body = (enum value_type)batch_u32(r->b, SET_ROWS, FIELD_BODY_TYPE, r->row);
    if (!batch_u32(r->b, SET_ROWS, FIELD_TIME_ABSENT, r->row))
        write_time(r, "timeUnixNano", batch_u64(r->b, SET_ROWS, FIELD_TIME, r->row));
    write_time(r, "observedTimeUnixNano", batch_u64(r->b, SET_ROWS, FIELD_OBSERVED, r->row));
    write_enum(r, "severityNumber", FIELD_SEVERITY);
    write_text(r, "severityText", FIELD_SEVERITY_TEXT);
    if (body != VALUE_EMPTY) {
        json_key(r->w, STR("body"));
        write_value(r->w, r->b, body, batch_u32(r->b, SET_ROWS, FIELD_BODY, r->row));
    }
    write_tail(r);
    write_u32(r, "flags", FIELD_FLAGS);
    write_trace_id(r);
    write_id8(r, "spanId", FIELD_SPAN_ID);
    write_text(r, "eventName", FIELD_NAME);
}

/* ---- groups ------------------------------------------------------------------------------------------------------- */

static uint32_t write_scope_group(struct json_writer *w, const struct batch *b, uint32_t row) {
    bool spans = b->signal == SIGNAL_SPANS;
    uint32_t resource = batch_u32(b, SET_ROWS, FIELD_RESOURCE, row), scope = batch_u32(b, SET_ROWS, FIELD_SCOPE, row);
    struct row_writer r = {w, b, SET_SCOPES, scope};
    json_object(w);
    json_key(w, STR("scope"));
    json_object(w);
    write_text(&r, "name", FIELD_NAME);
    write_text(&r, "version", FIELD_VERSION);
    write_tail(&r);
    json_object_end(w);
    json_key(w, spans ? STR("spans") : STR("logRecords"));
    json_array(w);
    for (; row < b->rows && batch_u32(b, SET_ROWS, FIELD_RESOURCE, row) == resource &&
           batch_u32(b, SET_ROWS, FIELD_SCOPE, row) == scope;
         row++) {
        struct row_writer item = {w, b, SET_ROWS, row};
        json_object(w);
        (spans ? write_span : write_log)(&item);
        json_object_end(w);
    }
    json_array_end(w);
    write_text(&r, "schemaUrl", FIELD_SCHEMA_URL);
    json_object_end(w);
    return row;
}

static uint32_t write_resource_group(struct json_writer *w, const struct batch *b, uint32_t row) {
    struct row_writer r = {w, b, SET_RESOURCES, batch_u32(b, SET_ROWS, FIELD_RESOURCE, row)};
    json_object(w);
    json_key(w, STR("resource"));
    json_object(w);
    write_tail(&r);
    json_object_end(w);
    json_key(w, b->signal == SIGNAL_SPANS ? STR("scopeSpans") : STR("scopeLogs"));
    json_array(w);
    while (row < b->rows && batch_u32(b, SET_ROWS, FIELD_RESOURCE, row) == r.row) row = write_scope_group(w, b, row);
    json_array_end(w);
    write_text(&r, "schemaUrl", FIELD_SCHEMA_URL);
    json_object_end(w);
    return row;
}

void otlp_write_json(const struct batch *b, struct json_writer *out) {
    json_object(out);
    json_key(out, b->signal == SIGNAL_SPANS ? STR("resourceSpans") : STR("resourceLogs"));
    json_array(out);
    for (uint32_t row = 0; row < b->rows;) row = write_resource_group(out, b, row);
    json_array_end(out);
    json_object_end(out);
}

/* ---- answers ------------------------------------------------------------------------------------------------------ */

void otlp_write_partial_json(struct str member, uint64_t rejected, struct str message, struct json_writer *out) {
    json_object(out);
    if (rejected || message.n) {
        json_key(out, STR("partialSuccess"));
        json_object(out);
        json_key(out, member);
        json_u64_text(out, rejected);
        if (message.n) json_member(out, "errorMessage", str, message);
        json_object_end(out);
    }
    json_object_end(out);
}

void otlp_write_response_json(enum signal signal, uint64_t rejected, struct str message, struct json_writer *out) {
    otlp_write_partial_json(signal == SIGNAL_SPANS ? STR("rejectedSpans") : STR("rejectedLogRecords"), rejected,
                            message, out);
}

void otlp_write_status_json(int grpc_code, struct str message, struct json_writer *out) {
    json_object(out);
    json_member(out, "code", i64, grpc_code);
    json_member(out, "message", str, message);
    json_object_end(out);
}
