/* OTLP/JSON against the published examples, against itself (a tiny JSON → protobuf translator written for this test), and
 * values as JSON and text. The examples lie outside the tree: CLEW_SHARED, else ../shared beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/text.h"
#include "signal/otlp.h"
#include "signal/testing.h"

static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};

/* ---- JSON → protobuf, driven by a table of the messages ---- */

enum kind { TEXT, HEX, FIXED64, FIXED32, VARINT, DOUBLE, BASE64, MESSAGE };

struct member {
    const char *name;
    uint32_t field;
    enum kind kind;
    const struct member *message;
};

static const struct member any_members[], key_value[];
static const struct member array_value[] = {{"values", 1, MESSAGE, any_members}, {0}};
static const struct member map_value[] = {{"values", 1, MESSAGE, key_value}, {0}};
static const struct member any_members[] = {
    {"stringValue", 1, TEXT, NULL},          {"boolValue", 2, VARINT, NULL},
    {"intValue", 3, VARINT, NULL},           {"doubleValue", 4, DOUBLE, NULL},
    {"arrayValue", 5, MESSAGE, array_value}, {"kvlistValue", 6, MESSAGE, map_value},
    {"bytesValue", 7, BASE64, NULL},         {0}};
static const struct member key_value[] = {{"key", 1, TEXT, NULL}, {"value", 2, MESSAGE, any_members}, {0}};
static const struct member resource[] = {
    {"attributes", 1, MESSAGE, key_value}, {"droppedAttributesCount", 2, VARINT, NULL}, {0}};
static const struct member scope[] = {{"name", 1, TEXT, NULL},
                                      {"version", 2, TEXT, NULL},
                                      {"attributes", 3, MESSAGE, key_value},
                                      {"droppedAttributesCount", 4, VARINT, NULL},
                                      {0}};
static const struct member status[] = {{"message", 2, TEXT, NULL}, {"code", 3, VARINT, NULL}, {0}};
static const struct member event[] = {{"timeUnixNano", 1, FIXED64, NULL},
                                      {"name", 2, TEXT, NULL},
                                      {"attributes", 3, MESSAGE, key_value},
                                      {"droppedAttributesCount", 4, VARINT, NULL},
                                      {0}};
static const struct member link[] = {{"traceId", 1, HEX, NULL},
                                     {"spanId", 2, HEX, NULL},
                                     {"traceState", 3, TEXT, NULL},
                                     {"attributes", 4, MESSAGE, key_value},
                                     {"droppedAttributesCount", 5, VARINT, NULL},
                                     {"flags", 6, FIXED32, NULL},
                                     {0}};
static const struct member span[] = {{"traceId", 1, HEX, NULL},
                                     {"spanId", 2, HEX, NULL},
                                     {"traceState", 3, TEXT, NULL},
                                     {"parentSpanId", 4, HEX, NULL},
                                     {"name", 5, TEXT, NULL},
                                     {"kind", 6, VARINT, NULL},
                                     {"startTimeUnixNano", 7, FIXED64, NULL},
                                     {"endTimeUnixNano", 8, FIXED64, NULL},
                                     {"attributes", 9, MESSAGE, key_value},
                                     {"droppedAttributesCount", 10, VARINT, NULL},
                                     {"events", 11, MESSAGE, event},
                                     {"droppedEventsCount", 12, VARINT, NULL},
                                     {"links", 13, MESSAGE, link},
                                     {"droppedLinksCount", 14, VARINT, NULL},
                                     {"status", 15, MESSAGE, status},
                                     {"flags", 16, FIXED32, NULL},
                                     {0}};
static const struct member record[] = {{"timeUnixNano", 1, FIXED64, NULL},
                                       {"severityNumber", 2, VARINT, NULL},
                                       {"severityText", 3, TEXT, NULL},
                                       {"body", 5, MESSAGE, any_members},
                                       {"attributes", 6, MESSAGE, key_value},
                                       {"droppedAttributesCount", 7, VARINT, NULL},
                                       {"flags", 8, FIXED32, NULL},
                                       {"traceId", 9, HEX, NULL},
                                       {"spanId", 10, HEX, NULL},
                                       {"observedTimeUnixNano", 11, FIXED64, NULL},
                                       {"eventName", 12, TEXT, NULL},
                                       {0}};
static const struct member scope_group[] = {{"scope", 1, MESSAGE, scope},
                                            {"spans", 2, MESSAGE, span},
                                            {"logRecords", 2, MESSAGE, record},
                                            {"schemaUrl", 3, TEXT, NULL},
                                            {0}};
static const struct member resource_group[] = {{"resource", 1, MESSAGE, resource},
                                               {"scopeSpans", 2, MESSAGE, scope_group},
                                               {"scopeLogs", 2, MESSAGE, scope_group},
                                               {"schemaUrl", 3, TEXT, NULL},
                                               {0}};
static const struct member request[] = {
    {"resourceSpans", 1, MESSAGE, resource_group}, {"resourceLogs", 1, MESSAGE, resource_group}, {0}};

static void translate(struct json_reader *r, const struct member *members, struct buf *out);

static size_t from_base64(struct str s, unsigned char *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0, have = 0;
    size_t n = 0;
    for (size_t i = 0; i < s.n && s.p[i] != '='; i++) {
        bits = bits << 6 | (uint32_t)(strchr(digits, s.p[i]) - digits);
        if ((have += 6) >= 8) out[n++] = (unsigned char)(bits >> (have -= 8));
    }
    return n;
}

static uint64_t integer(struct str s) {
    uint64_t v = 0;
    int64_t negative = 0;
    if (s.n && s.p[0] == '-') {
        assert_null(parse_i64(s, &negative));
        return (uint64_t)negative;
    }
    assert_null(parse_u64(s, &v));
    return v;
}

static void translate_scalar(struct json_reader *r, enum json_token t, const struct member *m, struct buf *out) {
    unsigned char bytes[256];
    double number;
    uint64_t bits = t == JSON_TRUE;
    assert_true(r->value.n < sizeof bytes || m->kind == TEXT);
    switch (m->kind) {
    case TEXT: put_wire_bytes(out, m->field, r->value); return;
    case HEX:
        assert_null(parse_hex(r->value, bytes, r->value.n / 2));
        put_wire_bytes(out, m->field, str_span(bytes, r->value.n / 2));
        return;
    case BASE64: put_wire_bytes(out, m->field, str_span(bytes, from_base64(r->value, bytes))); return;
    case FIXED64: put_wire_fixed64(out, m->field, integer(r->value)); return;
    case FIXED32: put_wire_fixed32(out, m->field, (uint32_t)integer(r->value)); return;
    case VARINT:
        put_wire_varint(out, m->field, t == JSON_NUMBER || t == JSON_STRING ? integer(r->value) : bits);
        return;
    case DOUBLE:
        assert_null(parse_f64(r->value, &number));
        memcpy(&bits, &number, 8);
        put_wire_fixed64(out, m->field, bits);
        return;
    case MESSAGE: fail();
    }
}

static void translate_message(struct json_reader *r, const struct member *m, struct buf *out) {
    AUTO_BUF struct buf message;
    buf_init(&message, 16 * MIB);
    translate(r, m->message, &message);
    put_wire_bytes(out, m->field, buf_str(&message));
}

/* The members of an object whose brace has been read. */
static void translate(struct json_reader *r, const struct member *members, struct buf *out) {
    enum json_token t;
    while ((t = json_next(r)) == JSON_KEY) {
        const struct member *m = members;
        while (m->name && !str_equal(str_of(m->name), r->value)) m++;
        if (!m->name) fail_msg("no member %.*s", STR_ARG(r->value));
        t = json_next(r);
        if (t == JSON_ARRAY) {
            while (json_next(r) == JSON_OBJECT) translate_message(r, m, out);
        } else if (t == JSON_OBJECT)
            translate_message(r, m, out);
        else
            translate_scalar(r, t, m, out);
    }
    assert_int_equal(t, JSON_OBJECT_END);
}

/* The decoder of JSON says the same as that of protobuf after the translation. */
static void check_decoder(struct otlp_decoder *d, enum signal signal, struct str json, const struct batch *translated) {
    struct otlp_result result = {0};
    struct batch b;
    err e = otlp_decode_json(d, signal, json, &all_times, &result);
    if (e) fail_msg("%s", err_text(e));
    batch_view(result.blob, &b);
    assert_batches_equal(&b, translated);
    batch_unref(result.blob);
}

static struct batch_blob *from_json(struct otlp_decoder *d, enum signal signal, struct str json, struct batch *out) {
    struct json_reader r;
    struct otlp_result result = {0};
    AUTO_BUF struct buf body;
    buf_init(&body, 16 * MIB);
    json_reader_init(&r, json, 128);
    assert_int_equal(json_next(&r), JSON_OBJECT);
    translate(&r, request, &body);
    assert_int_equal(json_next(&r), JSON_END);
    json_reader_done(&r);
    err e = otlp_decode(d, signal, buf_str(&body), &all_times, &result);
    if (e) fail_msg("%s", err_text(e));
    assert_non_null(result.blob);
    batch_view(result.blob, out);
    check_decoder(d, signal, json, out);
    return result.blob;
}

/* JSON → batch → JSON → batch: the same rows. */
static void json_comes_back(enum signal signal, struct str json) {
    struct otlp_decoder *d = otlp_decoder_new();
    struct batch first, second;
    struct json_writer w;
    AUTO_BUF struct buf again;
    buf_init(&again, 16 * MIB);
    struct batch_blob *one = from_json(d, signal, json, &first);
    json_writer_init(&w, &again);
    otlp_write_json(&first, &w);
    struct batch_blob *two = from_json(d, signal, buf_str(&again), &second);
    assert_batches_equal(&first, &second);
    batch_unref(one);
    batch_unref(two);
    otlp_decoder_free(d);
}

/* ---- the examples ---- */

/* The file's text for `out`; false where the folder is not there. */
static bool read_example(const char *name, struct buf *out) {
    const char *shared = getenv("CLEW_SHARED"), *root = getenv("CLEW_ROOT");
    char path[4096], part[4096];
    if (shared)
        snprintf(path, sizeof path, "%s/data/otlp/%s", shared, name);
    else
        snprintf(path, sizeof path, "%s/../shared/data/otlp/%s", root ? root : ".", name);
    FILE *f = fopen(path, "rb");
    if (!f) return false;
    for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;) buf_add(out, part, n);
    fclose(f);
    return out->n > 0;
}

static void the_published_examples_come_back(void **state) {
    (void)state;
    const struct {
        const char *name;
        enum signal signal;
        const char *has;
    } examples[] = {
        {"trace.json", SIGNAL_SPANS,
         "\"name\":\"I'm a server span\",\"kind\":2,\"startTimeUnixNano\":\"1544712660000000000\""},
        {"logs.json", SIGNAL_LOGS, "\"body\":{\"stringValue\":\"Example log record\"}"},
        {"events.json", SIGNAL_LOGS,
         "\"body\":{\"kvlistValue\":{\"values\":[{\"key\":\"type\",\"value\":{\"intValue\":\"0\"}}"},
    };
    for (size_t i = 0; i < LENGTH(examples); i++) {
        struct batch b;
        struct json_writer w;
        AUTO_BUF struct buf text, out;
        buf_init(&text, MIB);
        buf_init(&out, MIB);
        if (!read_example(examples[i].name, &text)) {
            print_message("SKIPPED: the example %s is not there (CLEW_SHARED)\n", examples[i].name);
            skip();
        }
        struct otlp_decoder *d = otlp_decoder_new();
        struct batch_blob *blob = from_json(d, examples[i].signal, buf_str(&text), &b);
        json_writer_init(&w, &out);
        otlp_write_json(&b, &w);
        if (!strstr(out.p, examples[i].has)) fail_msg("%s is not in %s", examples[i].has, out.p);
        batch_unref(blob);
        otlp_decoder_free(d);
        json_comes_back(examples[i].signal, buf_str(&text));
    }
}

/* ---- our own ---- */

static const char spans_json[] =
    "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"shop\"}}"
    "],"
    "\"droppedAttributesCount\":1},\"scopeSpans\":[{\"scope\":{\"name\":\"lib\",\"version\":\"1\"},\"spans\":[{"
    "\"traceId\":\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b174\",\"traceState\":\"a=b\","
    "\"parentSpanId\":\"eee19b7ec3c1b173\",\"flags\":257,\"name\":\"GET\",\"kind\":2,"
    "\"startTimeUnixNano\":\"1544712660000000000\",\"endTimeUnixNano\":\"18446744073709551615\",\"attributes\":["
    "{\"key\":\"int\",\"value\":{\"intValue\":\"-9223372036854775808\"}},{\"key\":\"double\",\"value\":{"
    "\"doubleValue\":0.1}},"
    "{\"key\":\"bool\",\"value\":{\"boolValue\":false}},{\"key\":\"bytes\",\"value\":{\"bytesValue\":\"AP8=\"}},"
    "{\"key\":\"empty\",\"value\":{}},{\"key\":\"int\",\"value\":{\"stringValue\":\"again\"}},"
    "{\"key\":\"list\",\"value\":{\"arrayValue\":{\"values\":[{\"intValue\":\"1\"},{\"kvlistValue\":{\"values\":[{"
    "\"key\":\"k\","
    "\"value\":{\"stringValue\":\"v\"}}]}}]}}}],\"events\":[{\"timeUnixNano\":\"7\",\"name\":\"e\"},{}],"
    "\"droppedEventsCount\":4,\"links\":[{\"traceId\":\"5b8efff798038103d269b633813fc60c\",\"spanId\":"
    "\"eee19b7ec3c1b174\","
    "\"flags\":1}],\"droppedLinksCount\":5,\"status\":{\"message\":\"bad\",\"code\":2}}],\"schemaUrl\":\"https://s\"}],"
    "\"schemaUrl\":\"https://r\"}]}";
static const char logs_json[] =
    "{\"resourceLogs\":[{\"resource\":{},\"scopeLogs\":[{\"scope\":{},\"logRecords\":[{\"observedTimeUnixNano\":\"9\","
    "\"severityNumber\":17,\"severityText\":\"ERROR\",\"body\":{\"intValue\":\"5\"},\"flags\":1,"
    "\"traceId\":\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b174\",\"eventName\":\"e\"},{}]}]}]}";

static void json_is_written_as_specified(void **state) {
    (void)state;
    static const char *const texts[SIGNALS] = {spans_json, logs_json};
    for (int s = 0; s < SIGNALS; s++) {
        struct batch b;
        struct json_writer w;
        AUTO_BUF struct buf out;
        buf_init(&out, MIB);
        struct otlp_decoder *d = otlp_decoder_new();
        struct batch_blob *blob = from_json(d, (enum signal)s, str_of(texts[s]), &b);
        json_writer_init(&w, &out);
        otlp_write_json(&b, &w);
        assert_string_equal(out.p, texts[s]);
        batch_unref(blob);
        otlp_decoder_free(d);
    }
}

static void a_load_comes_back_through_json(void **state) {
    (void)state;
    for (int s = 0; s < SIGNALS; s++) {
        struct chance c = {3};
        struct batch b;
        struct json_writer w;
        struct otlp_result r;
        AUTO_BUF struct buf body, json;
        buf_init(&body, 16 * MIB);
        buf_init(&json, 16 * MIB);
        load_request(&c, (enum signal)s, &body);
        struct otlp_decoder *d = otlp_decoder_new();
        assert_null(otlp_decode(d, (enum signal)s, buf_str(&body), &all_times, &r));
        batch_view(r.blob, &b);
        json_writer_init(&w, &json);
        otlp_write_json(&b, &w);
        json_comes_back((enum signal)s, buf_str(&json));
        batch_unref(r.blob);
        otlp_decoder_free(d);
    }
}

/* Whatever a batch holds, its JSON parses and its values have a text. */
static void any_batch_is_valid_json(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct chance c = {seed};
        struct batch_builder builder;
        struct batch b;
        struct json_writer w;
        AUTO_BUF struct buf json, value;
        buf_init(&json, 16 * MIB);
        buf_init(&value, 16 * MIB);
        batch_builder_init(&builder, seed % 2 ? SIGNAL_LOGS : SIGNAL_SPANS);
        random_batch(&c, &builder, 20);
        struct batch_blob *blob = batch_builder_finish(&builder);
        batch_view(blob, &b);
        json_writer_init(&w, &json);
        json_array(&w);
        otlp_write_json(&b, &w);
        for (uint32_t row = 0; row < b.rows; row++) {
            struct batch_attributes a = batch_attributes(&b, SET_ROWS, row);
            for (uint32_t i = 0; i < a.n; i++) {
                value_write_json(&b, (enum value_type)b.keys[a.keys[i]].type, a.values[i], &w);
                value_write_text(&b, (enum value_type)b.keys[a.keys[i]].type, a.values[i], &value);
            }
        }
        json_array_end(&w);
        struct json_reader r;
        enum json_token t;
        json_reader_init(&r, buf_str(&json), JSON_DEPTH_MAX);
        while ((t = json_next(&r)) != JSON_END && t != JSON_ERROR) {}
        assert_int_equal(t, JSON_END);
        json_reader_done(&r);
        batch_unref(blob);
        batch_builder_done(&builder);
    }
}

static void values_have_a_text(void **state) {
    (void)state;
    struct batch_builder builder;
    struct batch b;
    batch_builder_init(&builder, SIGNAL_LOGS);
    uint32_t text = strings_intern(&builder.strings, STR("a \"b\""));
    uint32_t list = strings_intern(&builder.strings, STR("\x2a\x05\x0a\x03\x0a\x01x"));
    double tenth = 0.1;
    uint64_t bits;
    memcpy(&bits, &tenth, 8);
    batch_builder_row(&builder, SET_ROWS);
    struct batch_blob *blob = batch_builder_finish(&builder);
    batch_view(blob, &b);
    const struct {
        enum value_type type;
        uint64_t value;
        const char *text, *json;
    } cases[] = {
        {VALUE_STRING, text, "a \"b\"", "\"a \\\"b\\\"\""},
        {VALUE_INT, (uint64_t)-5, "-5", "-5"},
        {VALUE_BOOL, 1, "true", "true"},
        {VALUE_DOUBLE, bits, "0.1", "0.1"},
        {VALUE_BYTES, text, "YSAiYiI=", "\"YSAiYiI=\""},
        {VALUE_ANY, list, "[\"x\"]", "[\"x\"]"},
        {VALUE_EMPTY, 0, "", "null"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct json_writer w;
        AUTO_BUF struct buf out, json;
        buf_init(&out, KIB);
        buf_init(&json, KIB);
        value_write_text(&b, cases[i].type, cases[i].value, &out);
        assert_true(str_equal(buf_str(&out), str_of(cases[i].text)));
        json_writer_init(&w, &json);
        value_write_json(&b, cases[i].type, cases[i].value, &w);
        assert_string_equal(json.p, cases[i].json);
    }
    batch_unref(blob);
    batch_builder_done(&builder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_examples_come_back),
        cmocka_unit_test(json_is_written_as_specified),
        cmocka_unit_test(a_load_comes_back_through_json),
        cmocka_unit_test(any_batch_is_valid_json),
        cmocka_unit_test(values_have_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
