/* Columns → Export request bytes, in the order that protobuf libraries write: fields by number, scalars only where not
 * zero. */
#include "signal/otlp.h"

#include "signal/batch_priv.h"
#include "signal/wire_write_priv.h"

/* ---- values ------------------------------------------------------------------------------------------------------- */

void otlp_put_any_string(struct buf *out, struct str text) { put_bytes_always(out, 1, text); }

void otlp_put_any_int(struct buf *out, int64_t value) {
    put_tag(out, 3, WIRE_VARINT);
    put_varint(out, (uint64_t)value);
}

/* The content of an AnyValue message: its member is written even if it is zero, as being there is its meaning. */
static void put_any(struct buf *out, const struct batch *b, enum value_type type, uint64_t value) {
    switch (type) {
    case VALUE_EMPTY:
    case VALUE_TYPES: return;
    case VALUE_STRING: otlp_put_any_string(out, batch_string(b, (uint32_t)value)); return;
    case VALUE_BOOL:
        put_tag(out, 2, WIRE_VARINT);
        put_varint(out, value != 0);
        return;
    case VALUE_INT: otlp_put_any_int(out, (int64_t)value); return;
    case VALUE_DOUBLE: put_fixed64_always(out, 4, value); return;
    case VALUE_BYTES: put_bytes_always(out, 7, batch_string(b, (uint32_t)value)); return;
    case VALUE_ANY: buf_add_str(out, batch_string(b, (uint32_t)value)); return;
    }
}

static void put_attributes(struct buf *out, uint32_t field, const struct batch *b, enum set s, uint32_t row) {
    struct batch_attributes a = batch_attributes(b, s, row);
    for (uint32_t i = 0; i < a.n; i++) {
        const struct batch_key *key = &b->keys[a.keys[i]];
        size_t entry = open_message(out, field);
        put_bytes(out, 1, batch_string(b, key->name));
        size_t any = open_message(out, 2);
        put_any(out, b, (enum value_type)key->type, a.values[i]);
        close_message(out, any);
        close_message(out, entry);
    }
}

/* ---- rows --------------------------------------------------------------------------------------------------------- */

static void put_text(struct buf *out, uint32_t field, const struct batch *b, enum set s, enum field f, uint32_t row) {
    put_bytes(out, field, batch_text(b, s, f, row));
}

/* A uint32; an enumeration is an int32, of which protobuf sends negative ones as ten bytes. */
static void put_u32(struct buf *out, uint32_t field, const struct batch *b, enum set s, enum field f, uint32_t row) {
    put_number(out, field, batch_u32(b, s, f, row));
}
static void put_enum(struct buf *out, uint32_t field, const struct batch *b, enum set s, enum field f, uint32_t row) {
    put_number(out, field, (uint64_t)(int64_t)(int32_t)batch_u32(b, s, f, row));
}

static void put_trace_id(struct buf *out, uint32_t field, const struct batch *b, enum set s, uint32_t row) {
    static const unsigned char zero[16];
    const unsigned char *id = batch_id16(b, s, FIELD_TRACE_ID, row);
    if (memcmp(id, zero, 16) != 0) put_bytes(out, field, str_span(id, 16));
}

static void put_id8(struct buf *out, uint32_t field, const struct batch *b, enum set s, enum field f, uint32_t row) {
    uint64_t id = batch_u64(b, s, f, row);
    if (id) put_bytes(out, field, str_span(&id, 8));
}

static void put_event(struct buf *out, const struct batch *b, uint32_t row) {
    size_t start = open_message(out, 11);
    put_fixed64(out, 1, batch_u64(b, SET_EVENTS, FIELD_TIME, row));
    put_text(out, 2, b, SET_EVENTS, FIELD_NAME, row);
    put_attributes(out, 3, b, SET_EVENTS, row);
    put_u32(out, 4, b, SET_EVENTS, FIELD_DROPPED_ATTRIBUTES, row);
    close_message(out, start);
}

static void put_link(struct buf *out, const struct batch *b, uint32_t row) {
    size_t start = open_message(out, 13);
    put_trace_id(out, 1, b, SET_LINKS, row);
    put_id8(out, 2, b, SET_LINKS, FIELD_SPAN_ID, row);
    put_text(out, 3, b, SET_LINKS, FIELD_TRACE_STATE, row);
    put_attributes(out, 4, b, SET_LINKS, row);
    put_u32(out, 5, b, SET_LINKS, FIELD_DROPPED_ATTRIBUTES, row);
    put_fixed32(out, 6, batch_u32(b, SET_LINKS, FIELD_FLAGS, row));
    close_message(out, start);
}

static void put_children(struct buf *out, const struct batch *b, uint32_t row, enum field end,
                         void (*put)(struct buf *, const struct batch *, uint32_t)) {
    uint32_t first = row ? batch_u32(b, SET_ROWS, end, row - 1) : 0, last = batch_u32(b, SET_ROWS, end, row);
    for (uint32_t i = first; i < last; i++) put(out, b, i);
}

static void put_span(struct buf *out, const struct batch *b, uint32_t row) {
    uint64_t start = batch_u64(b, SET_ROWS, FIELD_TIME, row), duration = batch_u64(b, SET_ROWS, FIELD_DURATION, row);
    size_t span = open_message(out, 2);
    put_trace_id(out, 1, b, SET_ROWS, row);
    put_id8(out, 2, b, SET_ROWS, FIELD_SPAN_ID, row);
    put_text(out, 3, b, SET_ROWS, FIELD_TRACE_STATE, row);
    put_id8(out, 4, b, SET_ROWS, FIELD_PARENT_ID, row);
    put_text(out, 5, b, SET_ROWS, FIELD_NAME, row);
    put_enum(out, 6, b, SET_ROWS, FIELD_KIND, row);
    put_fixed64(out, 7, start);
    put_fixed64(out, 8, start + duration);
    put_attributes(out, 9, b, SET_ROWS, row);
    put_u32(out, 10, b, SET_ROWS, FIELD_DROPPED_ATTRIBUTES, row);
    put_children(out, b, row, FIELD_EVENT_END, put_event);
    put_u32(out, 12, b, SET_ROWS, FIELD_DROPPED_EVENTS, row);
    put_children(out, b, row, FIELD_LINK_END, put_link);
    put_u32(out, 14, b, SET_ROWS, FIELD_DROPPED_LINKS, row);
    size_t before = out->n, status = open_message(out, 15);
    put_text(out, 2, b, SET_ROWS, FIELD_STATUS_MESSAGE, row);
    put_enum(out, 3, b, SET_ROWS, FIELD_STATUS, row);
    close_message_if_any(out, status, before);
    put_fixed32(out, 16, batch_u32(b, SET_ROWS, FIELD_FLAGS, row));
    close_message(out, span);
}

static void put_log(struct buf *out, const struct batch *b, uint32_t row) {
    bool untimed = batch_u32(b, SET_ROWS, FIELD_TIME_ABSENT, row) != 0;
    enum value_type body = (enum value_type)batch_u32(b, SET_ROWS, FIELD_BODY_TYPE, row);
    size_t log = open_message(out, 2);
    put_fixed64(out, 1, untimed ? 0 : batch_u64(b, SET_ROWS, FIELD_TIME, row));
    put_enum(out, 2, b, SET_ROWS, FIELD_SEVERITY, row);
    put_text(out, 3, b, SET_ROWS, FIELD_SEVERITY_TEXT, row);
    if (body != VALUE_EMPTY) {
        size_t any = open_message(out, 5);
        put_any(out, b, body, batch_u32(b, SET_ROWS, FIELD_BODY, row));
        close_message(out, any);
    }
    put_attributes(out, 6, b, SET_ROWS, row);
    put_u32(out, 7, b, SET_ROWS, FIELD_DROPPED_ATTRIBUTES, row);
    put_fixed32(out, 8, batch_u32(b, SET_ROWS, FIELD_FLAGS, row));
    put_trace_id(out, 9, b, SET_ROWS, row);
    put_id8(out, 10, b, SET_ROWS, FIELD_SPAN_ID, row);
    put_fixed64(out, 11, batch_u64(b, SET_ROWS, FIELD_OBSERVED, row));
    put_text(out, 12, b, SET_ROWS, FIELD_NAME, row);
    close_message(out, log);
}

/* ---- groups ------------------------------------------------------------------------------------------------------- */

static void put_resource(struct buf *out, const struct batch *b, uint32_t row) {
    size_t before = out->n, start = open_message(out, 1);
    put_attributes(out, 1, b, SET_RESOURCES, row);
    put_u32(out, 2, b, SET_RESOURCES, FIELD_DROPPED_ATTRIBUTES, row);
    close_message_if_any(out, start, before);
}

static void put_scope(struct buf *out, const struct batch *b, uint32_t row) {
    size_t before = out->n, start = open_message(out, 1);
    put_text(out, 1, b, SET_SCOPES, FIELD_NAME, row);
    put_text(out, 2, b, SET_SCOPES, FIELD_VERSION, row);
    put_attributes(out, 3, b, SET_SCOPES, row);
    put_u32(out, 4, b, SET_SCOPES, FIELD_DROPPED_ATTRIBUTES, row);
    close_message_if_any(out, start, before);
}

/* Rows from `row` on that have one scope and one resource; returns the first that does not. */
static uint32_t put_scope_group(struct buf *out, const struct batch *b, uint32_t row) {
    uint32_t resource = batch_u32(b, SET_ROWS, FIELD_RESOURCE, row), scope = batch_u32(b, SET_ROWS, FIELD_SCOPE, row);
    size_t group = open_message(out, 2);
    put_scope(out, b, scope);
    while (row < b->rows && batch_u32(b, SET_ROWS, FIELD_RESOURCE, row) == resource &&
           batch_u32(b, SET_ROWS, FIELD_SCOPE, row) == scope) {
        if (b->signal == SIGNAL_SPANS)
            put_span(out, b, row);
        else
            put_log(out, b, row);
        row++;
    }
    put_text(out, 3, b, SET_SCOPES, FIELD_SCHEMA_URL, scope);
    close_message(out, group);
    return row;
}

void otlp_encode(const struct batch *b, struct buf *out) {
    for (uint32_t row = 0; row < b->rows;) {
        uint32_t resource = batch_u32(b, SET_ROWS, FIELD_RESOURCE, row);
        size_t group = open_message(out, 1);
        put_resource(out, b, resource);
        while (row < b->rows && batch_u32(b, SET_ROWS, FIELD_RESOURCE, row) == resource)
            row = put_scope_group(out, b, row);
        put_text(out, 3, b, SET_RESOURCES, FIELD_SCHEMA_URL, resource);
        close_message(out, group);
    }
}

/* ---- answers ------------------------------------------------------------------------------------------------------ */

void otlp_write_response(enum signal signal, uint64_t rejected, struct str message, struct buf *out) {
    (void)signal; /* ExportTraceServiceResponse and ExportLogsServiceResponse number their fields alike */
    if (!rejected && !message.n) return;
    size_t partial = open_message(out, 1);
    put_number(out, 1, rejected);
    put_bytes(out, 2, message);
    close_message(out, partial);
}

bool otlp_read_response(struct str response, uint64_t *out_rejected, struct str *out_message) {
    struct wire w = wire_of(response), partial, text = wire_of(STR(""));
    uint64_t rejected = 0;
    uint32_t tag;
    while (wire_left(&w)) {
        if (!wire_tag(&w, &tag)) return false;
        if (tag != WIRE_TAG(1, WIRE_BYTES)) {
            if (!wire_skip(&w, tag)) return false;
            continue;
        }
        if (!wire_bytes(&w, &partial)) return false;
        while (wire_left(&partial)) {
            if (!wire_tag(&partial, &tag)) return false;
            bool good = tag == WIRE_TAG(1, WIRE_VARINT)  ? wire_varint(&partial, &rejected)
                        : tag == WIRE_TAG(2, WIRE_BYTES) ? wire_bytes(&partial, &text)
                                                         : wire_skip(&partial, tag);
            if (!good) return false;
        }
    }
    *out_rejected = rejected;
    *out_message = wire_str(&text);
    return true;
}

void otlp_write_status(int grpc_code, struct str message, struct buf *out) {
    put_number(out, 1, (uint64_t)(int64_t)grpc_code);
    put_bytes(out, 2, message);
}
