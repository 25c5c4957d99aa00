/* OTLP/JSON in: equal to protobuf for random batches, in any order of members, refused with a place where it is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "signal/otlp.h"
#include "base/budget.h"
#include "base/json.h"
#include "signal/testing.h"

enum { SEEDS = 300 };
static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};

static struct otlp_result decode_json(enum signal signal, struct str text, struct batch *out) {
    struct otlp_decoder *d = otlp_decoder_new();
    struct otlp_result r = {0};
    struct batch_blob *checked = NULL;
    err e = otlp_decode_json(d, signal, text, &all_times, &r);
    if (e) fail_msg("%s\n%.*s", err_text(e), (int)MIN(text.n, (size_t)4000), text.p);
    if (r.blob) {
        e = batch_open(batch_bytes(r.blob), &checked);
        if (e) fail_msg("%s", err_text(e));
        batch_unref(checked);
        batch_view(r.blob, out);
    }
    otlp_decoder_free(d);
    return r;
}

static void write_json(const struct batch *b, struct buf *out) {
    struct json_writer w;
    buf_clear(out);
    json_writer_init(&w, out);
    otlp_write_json(b, &w);
    assert_false(out->full);
}

/* ---- equal to protobuf -------------------------------------------------------------------------------------------- */

static void check_batch(struct otlp_decoder *d, const struct batch *random) {
    struct batch by_protobuf, by_json, again;
    struct otlp_result p = {0};
    AUTO_BUF struct buf body, text, other;
    buf_init(&body, 16 * MIB);
    buf_init(&text, 16 * MIB);
    buf_init(&other, 16 * MIB);
    otlp_encode(random, &body);
    write_json(random, &text);
    assert_null(otlp_decode(d, random->signal, buf_str(&body), &all_times, &p));
    struct otlp_result j = decode_json(random->signal, buf_str(&text), &by_json);
    assert_int_equal(p.rows, j.rows);
    assert_memory_equal(p.rejected, j.rejected, sizeof p.rejected);
    if (p.blob) {
        /* As JSON: NaNs and texts that are not UTF-8 lose their bits in it. */
        batch_view(p.blob, &by_protobuf);
        write_json(&by_protobuf, &text);
        write_json(&by_json, &other);
        assert_true(str_equal(buf_str(&text), buf_str(&other)));
        /* What came by JSON is whole: protobuf and JSON give it back. */
        struct otlp_result twice = decode_json(random->signal, buf_str(&other), &again);
        assert_batches_equal(&by_json, &again);
        batch_unref(twice.blob);
        buf_clear(&body);
        otlp_encode(&by_json, &body);
        assert_null(otlp_decode(d, random->signal, buf_str(&body), &all_times, &twice));
        batch_view(twice.blob, &again);
        assert_batches_equal(&by_json, &again);
        batch_unref(twice.blob);
    }
    batch_unref(p.blob);
    batch_unref(j.blob);
}

static void random_batches_are_equal_to_protobuf(void **state) {
    (void)state;
    struct otlp_decoder *d = otlp_decoder_new();
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct chance c = {seed};
        struct batch_builder builder;
        struct batch b;
        batch_builder_init(&builder, seed % 2 ? SIGNAL_LOGS : SIGNAL_SPANS);
        random_batch(&c, &builder, 20);
        struct batch_blob *blob = batch_builder_finish(&builder);
        batch_view(blob, &b);
        check_batch(d, &b);
        batch_unref(blob);
        batch_builder_done(&builder);
    }
    otlp_decoder_free(d);
}

/* ---- any order ---------------------------------------------------------------------------------------------------- */

static void shuffle_value(struct chance *c, struct json_reader *r, enum json_token t, struct buf *out);

static void put_blanks(struct chance *c, struct buf *out) {
    if (chance_one_in(c, 4)) buf_add_text(out, chance_one_in(c, 2) ? " " : "\r\n\t");
}

/* A string, now and then with an escape for its first character. */
static void put_string(struct chance *c, struct str s, struct buf *out) {
    struct json_writer w;
    if (s.n && (unsigned char)s.p[0] < 0x80 && chance_one_in(c, 3)) {
        AUTO_BUF struct buf rest;
        buf_init(&rest, MIB);
        json_writer_init(&w, &rest);
        json_str(&w, (struct str){s.p + 1, s.n - 1});
        buf_add_fmt(out, "\"\\u%04X", (unsigned)s.p[0]);
        buf_add(out, rest.p + 1, rest.n - 1);
        return;
    }
    json_writer_init(&w, out);
    json_str(&w, s);
}

static void shuffle_object(struct chance *c, struct json_reader *r, struct buf *out) {
    enum { MEMBERS_MAX = 24 };
    struct buf members[MEMBERS_MAX];
    size_t n = 0;
    static const char *const extra[] = {"\"unknown\":{\"a\":[1,{\"b\":null}]}", "\"snake_case\" : -1.5e3"};
    for (size_t i = 0; i < LENGTH(extra); i++) {
        if (!chance_one_in(c, 4)) continue;
        buf_init(&members[n], MIB);
        buf_add_text(&members[n++], extra[i]);
    }
    for (enum json_token t; (t = json_next(r)) == JSON_KEY;) {
        assert_true(n < MEMBERS_MAX);
        buf_init(&members[n], MIB);
        put_string(c, r->value, &members[n]);
        put_blanks(c, &members[n]);
        buf_add_byte(&members[n], ':');
        shuffle_value(c, r, json_next(r), &members[n++]);
    }
    buf_add_byte(out, '{');
    for (size_t left = n; left > 0; left--) {
        size_t pick = chance_below(c, (uint32_t)left);
        buf_add_str(out, buf_str(&members[pick]));
        if (left > 1) buf_add_byte(out, ',');
        put_blanks(c, out);
        struct buf last = members[left - 1];
        members[left - 1] = members[pick];
        members[pick] = last;
    }
    buf_add_byte(out, '}');
    for (size_t i = 0; i < n; i++) buf_done(&members[i]);
}

static void shuffle_value(struct chance *c, struct json_reader *r, enum json_token t, struct buf *out) {
    put_blanks(c, out);
    if (t == JSON_OBJECT) {
        shuffle_object(c, r, out);
    } else if (t == JSON_ARRAY) {
        buf_add_byte(out, '[');
        for (bool first = true; (t = json_next(r)) != JSON_ARRAY_END; first = false) {
            if (!first) buf_add_byte(out, ',');
            shuffle_value(c, r, t, out);
        }
        buf_add_byte(out, ']');
    } else if (t == JSON_STRING) {
        put_string(c, r->value, out);
    } else if (t == JSON_NUMBER) {
        buf_add_str(out, r->value);
    } else {
        buf_add_text(out, t == JSON_TRUE ? "true" : "false");
    }
    put_blanks(c, out);
}

static void members_in_any_order_say_the_same(void **state) {
    (void)state;
    struct otlp_decoder *d = otlp_decoder_new();
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct chance c = {seed};
        struct batch_builder builder;
        struct batch random, ordered, shuffled;
        struct json_reader r;
        AUTO_BUF struct buf text, other;
        buf_init(&text, 16 * MIB);
        buf_init(&other, 16 * MIB);
        batch_builder_init(&builder, seed % 2 ? SIGNAL_LOGS : SIGNAL_SPANS);
        random_batch(&c, &builder, 12);
        struct batch_blob *blob = batch_builder_finish(&builder);
        batch_view(blob, &random);
        write_json(&random, &text);
        json_reader_init(&r, buf_str(&text), JSON_DEPTH_MAX);
        shuffle_value(&c, &r, json_next(&r), &other);
        json_reader_done(&r);
        struct otlp_result a = decode_json(random.signal, buf_str(&text), &ordered),
                           b = decode_json(random.signal, buf_str(&other), &shuffled);
        assert_int_equal(a.rows, b.rows);
        if (a.blob) assert_batches_equal(&ordered, &shuffled);
        batch_unref(a.blob);
        batch_unref(b.blob);
        batch_unref(blob);
        batch_builder_done(&builder);
    }
    otlp_decoder_free(d);
}

/* ---- forms of values ---------------------------------------------------------------------------------------------- */

#define SPAN(members)                                                                                                  \
    "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":\"5B8EFFF798038103d269b633813fc60c\","              \
    "\"spanId\":\"eee19B7ec3c1b174\"" members "}]}]}]}"
#define LOG(members) "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{" members "}]}]}]}"
#define VALUE(value) SPAN(",\"attributes\":[{\"key\":\"k\",\"value\":" value "}]")

static void values_are_taken_in_every_form(void **state) {
    (void)state;
    const struct {
        const char *json, *plain; /* an AnyValue, and what it reads as */
    } cases[] = {
        {"{\"intValue\":\"-9223372036854775808\"}", "-9223372036854775808"},
        {"{\"intValue\":-9223372036854775808}", "-9223372036854775808"},
        {"{\"intValue\":9223372036854775807}", "9223372036854775807"},
        {"{\"intValue\":9007199254740993}", "9007199254740993"},
        {"{\"intValue\":1.5e1}", "15"},
        {"{\"intValue\":\"120e-1\"}", "12"},
        {"{\"intValue\":-0}", "0"},
        {"{\"intValue\":0e9999999999999}", "0"},
        {"{\"doubleValue\":1}", "1"},
        {"{\"doubleValue\":\"0.5\"}", "0.5"},
        {"{\"doubleValue\":\"NaN\"}", "\"NaN\""},
        {"{\"doubleValue\":\"-Infinity\"}", "\"-Infinity\""},
        {"{\"boolValue\":true}", "true"},
        {"{\"bytesValue\":\"-_8=\"}", "\"+/8=\""},
        {"{\"bytesValue\":\"+/8\"}", "\"+/8=\""},
        {"{\"bytesValue\":\"\"}", "\"\""},
        {"{\"stringValue\":\"\\ud83d\\ude00\\n\"}", "\"\xf0\x9f\x98\x80\\n\""},
        {"{\"stringValue\":\"\"}", "\"\""},
        {"{}", "null"},
        {"null", "null"},
        {"{\"stringValue\":null,\"intValue\":3}", "3"},
        {"{\"other\":[{}],\"intValue\":3}", "3"},
        {"{\"arrayValue\":{}}", "[]"},
        {"{\"arrayValue\":{\"values\":[{},{\"intValue\":\"1\"},{\"bytesValue\":\"AA\"}]}}", "[null,1,\"AA==\"]"},
        {"{\"kvlistValue\":{\"values\":[{\"value\":{\"boolValue\":false},\"key\":\"a\"},{}]}}",
         "{\"a\":false,\"\":null}"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO_BUF struct buf text, out;
        struct json_writer w;
        struct batch b;
        buf_init(&text, MIB);
        buf_init(&out, MIB);
        buf_add_fmt(&text, VALUE("%s"), cases[i].json);
        struct otlp_result r = decode_json(SIGNAL_SPANS, buf_str(&text), &b);
        assert_int_equal(r.rows, 1);
        struct batch_attributes a = batch_attributes(&b, SET_ROWS, 0);
        assert_int_equal(a.n, 1);
        json_writer_init(&w, &out);
        value_write_json(&b, b.keys[a.keys[0]].type, a.values[0], &w);
        assert_string_equal(out.p, cases[i].plain);
        batch_unref(r.blob);
    }
}

static void fields_have_their_ranges(void **state) {
    (void)state;
    struct batch b;
    struct otlp_result r =
        decode_json(SIGNAL_SPANS,
                    STR(SPAN(",\"kind\":-7,\"flags\":\"4294967295\",\"name\":null,\"startTimeUnixNano\":"
                             "18446744073709551615,\"endTimeUnixNano\":\"0\",\"links\":null")),
                    &b);
    static const unsigned char trace[16] = {0x5b, 0x8e, 0xff, 0xf7, 0x98, 0x03, 0x81, 0x03,
                                            0xd2, 0x69, 0xb6, 0x33, 0x81, 0x3f, 0xc6, 0x0c};
    assert_memory_equal(batch_id16(&b, SET_ROWS, FIELD_TRACE_ID, 0), trace, 16);
    assert_int_equal((int32_t)batch_u32(&b, SET_ROWS, FIELD_KIND, 0), -7);
    assert_int_equal(batch_u32(&b, SET_ROWS, FIELD_FLAGS, 0), UINT32_MAX);
    assert_true(batch_u64(&b, SET_ROWS, FIELD_TIME, 0) == UINT64_MAX);
    batch_unref(r.blob);
    r = decode_json(SIGNAL_LOGS, STR(LOG("\"body\":{\"doubleValue\":2},\"severityNumber\":17") " \r\n"), &b);
    assert_int_equal(batch_u32(&b, SET_ROWS, FIELD_BODY_TYPE, 0), VALUE_ANY);
    assert_true(batch_u64(&b, SET_ROWS, FIELD_TIME, 0) == 77);
    batch_unref(r.blob);
}

static void ids_of_a_wrong_length_refuse_their_row(void **state) {
    (void)state;
    struct batch b;
    struct otlp_result r = decode_json(SIGNAL_SPANS,
                                       STR("{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":\"00ff\","
                                           "\"spanId\":\"eee19b7ec3c1b174\"},{}]}]}]}"),
                                       &b);
    assert_null(r.blob);
    assert_int_equal(r.rejected[OTLP_BAD_TRACE_ID], 2);
    r = decode_json(SIGNAL_SPANS, STR(SPAN(",\"parentSpanId\":\"\",\"links\":[{\"spanId\":\"aa\"}]")), &b);
    assert_int_equal(r.rejected[OTLP_BAD_SPAN_ID], 1);
}

/* What the decoder remembers of a key is its name, not how it was written. */
static void a_key_is_its_name(void **state) {
    (void)state;
#define TWICE(first, second)                                                                                           \
    LOG("\"attributes\":[{\"key\":\"" first "\",\"value\":{\"stringValue\":\"x\"}}]},{"                                \
        "\"attributes\":[{\"key\":\"" second "\",\"value\":{\"stringValue\":\"x\"}}]")
    const struct {
        const char *json, *keys[2];
    } cases[] = {
        {TWICE("abc", "abc"), {"abc", "abc"}},
        {TWICE("a\\\\n", "a\\n"), {"a\\n", "a\n"}},
        {TWICE("\xc3\xa4", "\\u00e4"), {"\xc3\xa4", "\xc3\xa4"}},
        {TWICE("a\\\"b", "a\"b"), {NULL}},
    };
#undef TWICE
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct otlp_decoder *d = otlp_decoder_new();
        struct otlp_result r = {0};
        struct batch b;
        err e = otlp_decode_json(d, SIGNAL_LOGS, str_of(cases[i].json), &all_times, &r);
        if ((e == NULL) != (cases[i].keys[0] != NULL)) fail_msg("case %zu: %s", i, err_text(e));
        err_free(e);
        if (r.blob) batch_view(r.blob, &b);
        for (uint32_t row = 0; r.blob && row < 2; row++) {
            struct batch_attributes a = batch_attributes(&b, SET_ROWS, row);
            assert_true(str_equal(batch_string(&b, b.keys[a.keys[0]].name), str_of(cases[i].keys[row])));
        }
        batch_unref(r.blob);
        otlp_decoder_free(d);
    }
}

/* ---- bad input ---------------------------------------------------------------------------------------------------- */

static void faults_name_their_place(void **state) {
    (void)state;
    const struct {
        enum signal signal;
        const char *json, *text;
    } cases[] = {
        {SIGNAL_SPANS, "", "the text ends too early, at byte 0 of 0"},
        {SIGNAL_SPANS, "[]", "expected an object, at byte 0 of 2"},
        {SIGNAL_SPANS, "{} x", "more text after the value, at byte 3 of 4"},
        {SIGNAL_SPANS, "{\"resourceSpans\":{}}", "resourceSpans: expected an array, at byte 17 of 20"},
        {SIGNAL_SPANS, "{\"resourceSpans\":[{},7]}", "resourceSpans[1]: expected an object"},
        {SIGNAL_SPANS, "{\"resourceSpans\":[null]}", "resourceSpans[0]: expected an object"},
        {SIGNAL_SPANS, "{\"resourceSpans\":[],\"resourceSpans\":[]}",
         "resourceSpans: expected one member of that name, not two"},
        {SIGNAL_SPANS,
         "{\"resourceSpans\":[{\"scopeSpans\":[{},{\"spans\":[{},{\"traceId\":\"W47/95gDgQPSabYzgT/GDA==\"}]}]}]}",
         "resourceSpans[0].scopeSpans[1].spans[1].traceId: expected 32 hex digits: OTLP/JSON has ids as hex, not as "
         "base64"},
        {SIGNAL_SPANS, SPAN(",\"parentSpanId\":\"abc\""), "spans[0].parentSpanId: expected 16 hex digits"},
        {SIGNAL_SPANS, SPAN(",\"kind\":\"SPAN_KIND_SERVER\""),
         "spans[0].kind: expected an integer: OTLP/JSON has enumerations"},
        {SIGNAL_SPANS, SPAN(",\"status\":{\"code\":2147483648}"), "spans[0].status.code: expected an integer"},
        {SIGNAL_SPANS, SPAN(",\"startTimeUnixNano\":-1"), "spans[0].startTimeUnixNano: expected nanoseconds"},
        {SIGNAL_SPANS, SPAN(",\"endTimeUnixNano\":18446744073709551616"),
         "spans[0].endTimeUnixNano: expected nanoseconds"},
        {SIGNAL_SPANS, SPAN(",\"endTimeUnixNano\":\" 1\""), "spans[0].endTimeUnixNano: expected nanoseconds"},
        {SIGNAL_SPANS, SPAN(",\"endTimeUnixNano\":\"0x1\""), "spans[0].endTimeUnixNano: expected nanoseconds"},
        {SIGNAL_SPANS, SPAN(",\"flags\":4294967296"), "spans[0].flags: expected an unsigned 32-bit integer"},
        {SIGNAL_SPANS, SPAN(",\"name\":1"), "spans[0].name: expected a string"},
        {SIGNAL_SPANS, SPAN(",\"events\":[{\"attributes\":{}}]"), "spans[0].events[0].attributes: expected an array"},
        {SIGNAL_SPANS, VALUE("{\"intValue\":1.5}"), "attributes[0].value.intValue: expected a signed 64-bit integer"},
        {SIGNAL_SPANS, VALUE("{\"intValue\":9223372036854775808}"), "value.intValue: expected a signed 64-bit integer"},
        {SIGNAL_SPANS, VALUE("{\"intValue\":\"\"}"), "value.intValue: expected a signed 64-bit integer"},
        {SIGNAL_SPANS, VALUE("{\"doubleValue\":1e400}"), "value.doubleValue: expected a number that a double can hold"},
        {SIGNAL_SPANS, VALUE("{\"doubleValue\":\"nan\"}"), "value.doubleValue: expected a number, \"NaN\""},
        {SIGNAL_SPANS, VALUE("{\"boolValue\":\"true\"}"), "value.boolValue: expected true or false"},
        {SIGNAL_SPANS, VALUE("{\"bytesValue\":\"A\"}"), "value.bytesValue: expected base64"},
        {SIGNAL_SPANS, VALUE("{\"bytesValue\":\"AB==C\"}"), "value.bytesValue: expected base64"},
        {SIGNAL_SPANS, VALUE("{\"bytesValue\":\"AB\"}"), "value.bytesValue: expected base64"},
        {SIGNAL_SPANS, VALUE("{\"intValue\":1,\"stringValue\":\"\"}"),
         "value.stringValue: expected one kind of value, not two"},
        {SIGNAL_SPANS, VALUE("{\"arrayValue\":{\"values\":[{\"intValue\":1},null]}}"),
         "attributes[0].value.arrayValue.values[1]: expected an object"},
        {SIGNAL_SPANS, SPAN(",\"a\\u0000\\\"b\":{\"c\":\"\xff\"}"), "spans[0].a\\u0000\\\"b"},
        {SIGNAL_SPANS, SPAN(",\"name\":\"\\ud800\""), "spans[0].name: the first half of a surrogate pair stands alone"},
        {SIGNAL_SPANS, SPAN(",\"name\":nul"), "spans[0].name: not a value"},
        {SIGNAL_LOGS, LOG("\"body\":{\"kvlistValue\":{\"values\":[{\"key\":1}]}}"),
         "resourceLogs[0].scopeLogs[0].logRecords[0].body.kvlistValue.values[0].key: expected a string"},
        {SIGNAL_LOGS, LOG("\"body\":\"text\""), "logRecords[0].body: expected an object"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct otlp_decoder *d = otlp_decoder_new();
        struct otlp_result r = {0};
        err e = otlp_decode_json(d, cases[i].signal, str_of(cases[i].json), &all_times, &r);
        if (!e) fail_msg("taken: %s", cases[i].json);
        if (!strstr(err_text(e), cases[i].text)) fail_msg("\"%s\" is not in \"%s\"", cases[i].text, err_text(e));
        assert_int_equal(err_kind(e), ERR_INVALID);
        assert_null(r.blob);
        err_free(e);
        otlp_decoder_free(d);
    }
}

static void nest(struct buf *out, int depth, const char *open, const char *inner, const char *close) {
    buf_add_text(out, LOG("\"body\":"));
    out->n -= strlen("}]}]}]}");
    for (int i = 0; i < depth; i++) buf_add_text(out, open);
    buf_add_text(out, inner);
    for (int i = 0; i < depth; i++) buf_add_text(out, close);
    buf_add_text(out, "}]}]}]}");
}

static void depth_has_a_limit(void **state) {
    (void)state;
    const struct {
        const char *open, *close;
        int depth;
        bool taken;
        enum err_kind kind;
    } cases[] = {
        {"{\"arrayValue\":{\"values\":[", "]}}", 63, true, 0},
        {"{\"arrayValue\":{\"values\":[", "]}}", 64, false, ERR_LIMIT},
        {"{\"kvlistValue\":{\"values\":[{\"value\":", "}]}}", 63, true, 0},
        {"{\"kvlistValue\":{\"values\":[{\"value\":", "}]}}", 64, false, ERR_LIMIT},
        {"{\"unknown\":", "}", 400, false, ERR_INVALID},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO_BUF struct buf text;
        struct otlp_decoder *d = otlp_decoder_new();
        struct otlp_result r = {0};
        buf_init(&text, MIB);
        nest(&text, cases[i].depth, cases[i].open, "{}", cases[i].close);
        err e = otlp_decode_json(d, SIGNAL_LOGS, buf_str(&text), &all_times, &r);
        if ((e == NULL) != cases[i].taken) fail_msg("case %zu: %s", i, err_text(e));
        if (e) assert_int_equal(err_kind(e), cases[i].kind);
        err_free(e);
        batch_unref(r.blob);
        otlp_decoder_free(d);
    }
}

static void every_prefix_is_refused(void **state) {
    (void)state;
    static const char text[] =
        SPAN(",\"attributes\":[{\"key\":\"k\",\"value\":{\"kvlistValue\":{\"values\":[{\"key\":\"a\","
             "\"value\":{\"doubleValue\":\"NaN\"}}]}}}],\"events\":[{\"name\":\"\\u00e4\"}],\"status\":{}");
    struct otlp_decoder *d = otlp_decoder_new();
    for (size_t n = 0; n < sizeof text - 1; n++) {
        struct otlp_result r = {0};
        err e = otlp_decode_json(d, SIGNAL_SPANS, (struct str){text, n}, &all_times, &r);
        if (!e) fail_msg("taken: %.*s", (int)n, text);
        err_free(e);
    }
    otlp_decoder_free(d);
}

/* Columns that grow past what was granted draw from the budget, and give it back. */
static void a_flood_of_events_is_paid_for(void **state) {
    (void)state;
    AUTO_BUF struct buf text;
    struct budget budget;
    struct otlp_result r = {0};
    buf_init(&text, 16 * MIB);
    buf_add_text(&text, SPAN(",\"events\":[{}"));
    text.n -= strlen("}]}]}]}");
    for (int i = 0; i < 300000; i++) buf_add_text(&text, ",{}");
    buf_add_text(&text, "]}]}]}]}");
    budget_init(&budget, MIB);
    struct otlp_decoder *d = otlp_decoder_new();
    struct otlp_limits limits = {INT64_MIN, INT64_MAX, 77, &budget, 4 * KIB};
    err e = otlp_decode_json(d, SIGNAL_SPANS, buf_str(&text), &limits, &r);
    if (e) assert_int_equal(err_kind(e), ERR_BUSY);
    assert_int_equal(budget_used(&budget), 0);
    err_free(e);
    batch_unref(r.blob);
    otlp_decoder_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_batches_are_equal_to_protobuf),
        cmocka_unit_test(members_in_any_order_say_the_same),
        cmocka_unit_test(values_are_taken_in_every_form),
        cmocka_unit_test(fields_have_their_ranges),
        cmocka_unit_test(ids_of_a_wrong_length_refuse_their_row),
        cmocka_unit_test(a_key_is_its_name),
        cmocka_unit_test(faults_name_their_place),
        cmocka_unit_test(depth_has_a_limit),
        cmocka_unit_test(every_prefix_is_refused),
        cmocka_unit_test(a_flood_of_events_is_paid_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
