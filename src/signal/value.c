/* Attribute values and bodies for people: plain JSON, and text. */
#include "signal/otlp.h"

#include "base/json.h"
#include "base/text.h"
#include "signal/any_priv.h"

static double bits_to_double(uint64_t bits) {
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static void write_level(struct json_writer *w, const struct any *v);

static void write_message(struct json_writer *w, struct wire message) {
    struct any v = {0};
    if (!any_read(&message, &v)) v = (struct any){0};
    write_level(w, &v);
}

static void write_map(struct json_writer *w, struct wire list) {
    struct wire item, value;
    json_object(w);
    while (any_next(&list, &item)) {
        struct str key;
        if (!any_read_key_value(&item, &key, &value)) break;
        json_key(w, key);
        write_message(w, value);
    }
    json_object_end(w);
}

static void write_array(struct json_writer *w, struct wire list) {
    struct wire item;
    json_array(w);
    while (any_next(&list, &item)) write_message(w, item);
    json_array_end(w);
}

static void write_level(struct json_writer *w, const struct any *v) {
    switch (v->kind) {
    case ANY_EMPTY: json_null(w); return;
    case ANY_STRING: json_str(w, wire_str(&v->bytes)); return;
    case ANY_BOOL: json_bool(w, v->number != 0); return;
    case ANY_INT: json_i64(w, (int64_t)v->number); return;
    case ANY_DOUBLE: json_f64(w, bits_to_double(v->number)); return;
    case ANY_ARRAY: write_array(w, v->bytes); return;
    case ANY_MAP: write_map(w, v->bytes); return;
    case ANY_BYTES: json_base64(w, v->bytes.p, wire_left(&v->bytes)); return;
    }
}

void value_write_json(const struct batch *b, enum value_type type, uint64_t value, struct json_writer *out) {
    switch (type) {
    case VALUE_STRING: json_str(out, batch_string(b, (uint32_t)value)); return;
    case VALUE_BOOL: json_bool(out, value != 0); return;
    case VALUE_INT: json_i64(out, (int64_t)value); return;
    case VALUE_DOUBLE: json_f64(out, bits_to_double(value)); return;
    case VALUE_BYTES: {
        struct str bytes = batch_string(b, (uint32_t)value);
        json_base64(out, bytes.p, bytes.n);
        return;
    }
    case VALUE_ANY: write_message(out, wire_of(batch_string(b, (uint32_t)value))); return;
    case VALUE_EMPTY:
    case VALUE_TYPES: json_null(out); return;
    }
}

void value_write_text(const struct batch *b, enum value_type type, uint64_t value, struct buf *out) {
    struct json_writer w;
    switch (type) {
    case VALUE_STRING: buf_add_str(out, batch_string(b, (uint32_t)value)); return;
    case VALUE_BOOL: buf_add_text(out, value ? "true" : "false"); return;
    case VALUE_INT: put_i64(out, (int64_t)value); return;
    case VALUE_DOUBLE: put_f64(out, bits_to_double(value)); return;
    case VALUE_BYTES: {
        struct str bytes = batch_string(b, (uint32_t)value);
        put_base64(out, bytes.p, bytes.n);
        return;
    }
    case VALUE_ANY:
        json_writer_init(&w, out);
        value_write_json(b, type, value, &w);
        return;
    case VALUE_EMPTY:
    case VALUE_TYPES: return;
    }
}

void value_message_text(struct str message, struct buf *out) {
    struct json_writer w;
    struct wire rest = wire_of(message);
    struct any v;
    if (!any_read(&rest, &v)) return;
    switch (v.kind) {
    case ANY_STRING: buf_add_str(out, wire_str(&v.bytes)); return;
    case ANY_DOUBLE: put_f64(out, bits_to_double(v.number)); return;
    case ANY_BYTES: put_base64(out, v.bytes.p, wire_left(&v.bytes)); return;
    case ANY_EMPTY: return;
    case ANY_BOOL:
    case ANY_INT:
    case ANY_ARRAY:
    case ANY_MAP:
        json_writer_init(&w, out);
        write_level(&w, &v);
        return;
    }
}
