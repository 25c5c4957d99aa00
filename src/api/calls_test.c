/* How calls end: each kind of error on each port, answers that are too large or partial, texts that fit nowhere; and the small
 * parts that every call goes through. */
#include "api/one_stage_testing_priv.h"

#include <stdio.h>

#include "base/text.h"

static void assert_says(const char *part) {
    if (!memmem(stage.body.p, stage.body.n, part, strlen(part))) fail_msg("no '%s' in %s", part, stage.body.p);
}

/* ---- a call without a request ----------------------------------------------------------------------------------- */

static bool asker_gone;
static bool has_gone(const void *context) {
    (void)context;
    return asker_gone;
}

static void on_reply(void *context, const struct api_reply *reply) {
    (void)context;
    stage.replies++;
    stage.status = reply->status;
    stage.fields[0] = 0;
    for (size_t i = 0; i < reply->field_count; i++) {
        size_t n = strlen(stage.fields);
        snprintf(stage.fields + n, sizeof stage.fields - n, STR_FMT ": " STR_FMT "\n", STR_ARG(reply->fields[i].name),
                 STR_ARG(reply->fields[i].value));
    }
    snprintf(stage.content_type, sizeof stage.content_type, STR_FMT, STR_ARG(reply->content_type));
    buf_clear(&stage.body);
    buf_add_str(&stage.body, reply->body);
    buf_add_byte(&stage.body, 0);
    stage.body.n--;
}

static struct api_call *new_call(enum api_port port, const char *path) {
    struct api_call *c = mem_new_of(struct api_call);
    c->api = stage.api;
    c->request = (struct api_request){.port = port, .reply = on_reply, .is_abandoned = has_gone};
    c->path = str_of(path);
    arena_init(&c->arena, MIB);
    stage.replies = 0;
    return c;
}

/* ---- each kind of error ----------------------------------------------------------------------------------------- */

static const struct {
    enum err_kind kind;
    int status, grpc;
    const char *name, *fields;
} kinds[] = {
    {ERR_INVALID, 400, 3, "invalid", ""},
    {ERR_NOT_FOUND, 404, 5, "not_found", ""},
    {ERR_DENIED, 403, 7, "denied", ""},
    {ERR_CONFLICT, 409, 10, "conflict", ""},
    {ERR_LIMIT, 413, 8, "limit", ""},
    {ERR_BUSY, 429, 14, "busy", "Retry-After: 2\n"},
    {ERR_CORRUPT, 500, 15, "corrupt", ""},
    {ERR_UNAVAILABLE, 503, 14, "unavailable", "Retry-After: 5\n"},
    {ERR_IO, 500, 13, "io", ""},
    {ERR_CANCELLED, 499, 1, "cancelled", ""},
    {ERR_INTERNAL, 500, 13, "internal", ""},
};

static void each_kind_of_error_has_its_answer(void **state) {
    (void)state;
    assert_int_equal(LENGTH(kinds), ERR_KINDS);
    for (size_t i = 0; i < LENGTH(kinds); i++)
        for (int otlp = 0; otlp < 3; otlp++) { /* the native API; the OTLP port; below /otlp/ */
            struct api_call *c =
                new_call(otlp == 1 ? API_PORT_OTLP : API_PORT_MAIN, otlp == 2 ? "/otlp/v1/logs" : "/x");
            call_fail(c, err_new(kinds[i].kind, "because of %d", 7));
            assert_int_equal(stage.replies, 1);
            assert_int_equal(stage.status, kinds[i].status);
            assert_string_equal(stage.fields, kinds[i].fields);
            if (otlp) {
                char expected[32];
                int n = snprintf(expected, sizeof expected,
                                 "\x08%c\x12\x0c"
                                 "because of 7",
                                 kinds[i].grpc);
                assert_string_equal(stage.content_type, "application/x-protobuf");
                assert_int_equal(stage.body.n, n);
                assert_memory_equal(stage.body.p, expected, (size_t)n);
            } else {
                char expected[96];
                snprintf(expected, sizeof expected, "{\"error\":{\"kind\":\"%s\",\"message\":\"because of 7\"}}",
                         kinds[i].name);
                assert_string_equal(stage.content_type, "application/json");
                assert_string_equal(stage.body.p, expected);
            }
        }
}

static void what_the_server_refuses_has_the_same_bodies(void **state) {
    (void)state;
    static const struct {
        int status, grpc;
        const char *kind;
    } cases[] = {{400, 3, "invalid"},      {408, 3, "invalid"},      {411, 3, "invalid"},     {413, 8, "limit"},
                 {414, 3, "invalid"},      {429, 14, "busy"},        {431, 3, "invalid"},     {500, 15, "corrupt"},
                 {501, 14, "unavailable"}, {503, 14, "unavailable"}, {505, 14, "unavailable"}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct buf out;
        char expected[96];
        buf_init(&out, 4 * KIB);
        struct str type = api_refusal(api_listener(stage.api, API_PORT_MAIN), STR("/api/v1/x"), STR(""),
                                      cases[i].status, STR("why"), &out);
        assert_true(str_equal(type, STR("application/json")));
        snprintf(expected, sizeof expected, "{\"error\":{\"kind\":\"%s\",\"message\":\"why\"}}", cases[i].kind);
        if (!str_equal(buf_str(&out), str_of(expected)))
            fail_msg("%d: " STR_FMT, cases[i].status, STR_ARG(buf_str(&out)));
        buf_clear(&out);
        type = api_refusal(api_listener(stage.api, API_PORT_OTLP), STR(""), STR(""), cases[i].status, STR("why"), &out);
        assert_true(str_equal(type, STR("application/x-protobuf")));
        assert_int_equal(out.p[1], cases[i].grpc);
        buf_done(&out);
    }
}

/* Whatever is quoted in a message, the answer is JSON and UTF-8, and protobuf with a clean text. */
static void hostile_texts_stay_within_their_answer(void **state) {
    (void)state;
    static char long_text[3000];
    memset(long_text, '"', sizeof long_text - 1);
    const char *const texts[] = {"\"},{\"",  "</script>",    "\x01\x1f\x7f", "caf\xe9",
                                 "\xff\xfe", "\xed\xa0\x80", "\\",           long_text};
    for (size_t i = 0; i < LENGTH(texts); i++) {
        call_fail(new_call(API_PORT_MAIN, "/"), err_new(ERR_INVALID, "'%s'", texts[i]));
        assert_json(buf_str(&stage.body));
        for (size_t k = 0; k < stage.body.n; k++) assert_true((unsigned char)stage.body.p[k] >= ' ');
        call_fail(new_call(API_PORT_OTLP, "/"), err_new(ERR_INVALID, "'%s'", texts[i]));
        AUTO_BUF struct buf clean;
        buf_init(&clean, 64 * KIB);
        size_t at = 2; /* after the code: field 2, its length, its text */
        assert_int_equal(stage.body.p[at++], 0x12);
        while (stage.body.p[at++] & 0x80) {}
        struct str text = {stage.body.p + at, stage.body.n - at};
        put_utf8_clean(&clean, text);
        assert_true(str_equal(buf_str(&clean), text));
    }
}

static void an_answer_over_its_limit_is_an_error(void **state) {
    (void)state;
    struct buf body;
    buf_init(&body, 2 * MIB);
    AUTO_FREE char *piece = mem_new(MIB);
    for (int i = 0; i < 3; i++) buf_add(&body, piece, MIB);
    assert_true(body.full);
    call_answer_json(new_call(API_PORT_MAIN, "/"), 200, &body);
    assert_int_equal(stage.status, 413);
    assert_says("the answer is larger than 2 MiB");
    assert_json(buf_str(&stage.body));
    buf_done(&body);
}

/* ---- who has gone ----------------------------------------------------------------------------------------------- */

static void queries_without_an_asker_are_counted(void **state) {
    (void)state;
    static const struct {
        enum err_kind kind;
        bool gone, counted;
    } cases[] = {{ERR_CANCELLED, true, true},
                 {ERR_CANCELLED, false, false},
                 {ERR_INVALID, true, false},
                 {ERR_BUSY, true, false}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        uint64_t before = atomic_load(&stage.api->abandoned);
        asker_gone = cases[i].gone;
        call_fail(new_call(API_PORT_MAIN, "/"), err_new(cases[i].kind, "x"));
        assert_int_equal(atomic_load(&stage.api->abandoned) - before, cases[i].counted);
    }
    asker_gone = false;
    stage_ask(&stage, "GET /metrics");
    assert_says("\nclew_query_abandoned_total 1\n");
}

/* ---- partial answers -------------------------------------------------------------------------------------------- */

static void put_varint(struct buf *out, uint64_t v) {
    for (; v >= 0x80; v >>= 7) buf_add_byte(out, (char)(v | 0x80));
    buf_add_byte(out, (char)v);
}
static void put_bytes(struct buf *out, uint32_t field, struct str s) {
    put_varint(out, field << 3 | 2);
    put_varint(out, s.n);
    buf_add_str(out, s);
}
static void put_fixed64(struct buf *out, uint32_t field, int64_t time) {
    buf_add_byte(out, (char)(field << 3 | 1));
    buf_add(out, &time, 8);
}

/* A trace of `n` spans with names of `name` bytes each. */
static void send_trace(struct stage *s, char trace, uint32_t n, size_t name) {
    struct buf span, spans, scopes, request;
    struct buf *const bufs[] = {&span, &spans, &scopes, &request};
    for (size_t i = 0; i < LENGTH(bufs); i++) buf_init(bufs[i], 64 * MIB);
    AUTO_FREE char *text = mem_new(name);
    memset(text, 'n', name);
    for (uint32_t i = 1; i <= n; i++) {
        char trace_id[16] = {trace}, span_id[8] = {0};
        memcpy(span_id, &i, sizeof i);
        memcpy(text, &i, sizeof i); /* no two alike */
        buf_clear(&span);
        put_bytes(&span, 1, str_span(trace_id, 16));
        put_bytes(&span, 2, str_span(span_id, 8));
        put_bytes(&span, 5, str_span(text, name));
        put_fixed64(&span, 7, STAGE_NOW_NS - 1000000);
        put_fixed64(&span, 8, STAGE_NOW_NS - 500000);
        put_bytes(&spans, 2, buf_str(&span));
    }
    put_bytes(&scopes, 2, buf_str(&spans));
    put_bytes(&request, 1, buf_str(&scopes));
    stage_send(s, API_PORT_OTLP, "POST /v1/traces", "application/x-protobuf", NULL, buf_str(&request));
    if (s->status != 200) fail_msg("%d: %s", s->status, s->body.p);
    for (size_t i = 0; i < LENGTH(bufs); i++) buf_done(bufs[i]);
}

static void a_trace_too_large_is_told_in_the_answer(void **state) {
    (void)state;
    struct api_options options = stage.api->options;
    send_trace(&stage, 7, 128, 60000);
    send_trace(&stage, 8, 3, 100);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/traces?limit=50"), 200);
    assert_says("07000000000000000000000000000000");
    assert_says("\"partial\":false}");
    stage.api->options.query_memory_bytes = 4 * MIB;
    assert_int_equal(stage_ask(&stage, "GET /api/v1/traces?limit=50"), 200);
    assert_json(buf_str(&stage.body));
    assert_says("08000000000000000000000000000000");
    assert_null(strstr(stage.body.p, "07000000000000000000000000000000"));
    assert_says("\"partial\":true,\"partial_reason\":\"");
    assert_says("a trace was too large to look at");
    assert_int_equal(stage_ask(&stage, "GET /api/v1/traces/07000000000000000000000000000000"), 413);
    assert_says("\"kind\":\"limit\"");
    stage.api->options = options;
}

static void an_expression_that_gave_up_is_told_in_the_answer(void **state) {
    (void)state;
    send_trace(&stage, 9, 1, 64);
    struct buf body, record, resource, request;
    struct buf *const bufs[] = {&body, &record, &resource, &request};
    for (size_t i = 0; i < LENGTH(bufs); i++) buf_init(bufs[i], MIB);
    char text[61];
    memset(text, 'a', 60);
    text[60] = 'b';
    put_bytes(&body, 1, str_span(text, 61)); /* AnyValue.string_value */
    struct buf pair;
    buf_init(&pair, KIB);
    put_bytes(&pair, 1, STR("costly"));
    put_bytes(&pair, 2, buf_str(&body));
    put_fixed64(&record, 1, STAGE_NOW_NS - 1000000);
    put_bytes(&record, 6, buf_str(&pair));
    put_bytes(&resource, 2, buf_str(&record));
    buf_clear(&body);
    put_bytes(&body, 2, buf_str(&resource));
    put_bytes(&request, 1, buf_str(&body));
    stage_send(&stage, API_PORT_OTLP, "POST /v1/logs", "application/x-protobuf", NULL, buf_str(&request));
    assert_int_equal(stage.status, 200);
    static const struct {
        const char *request;
        const char *field;
    } cases[] = {
        {"GET /api/v1/logs/query?where=costly~^(a%7B0%2C90%7D)%7B0%2C90%7D$", ""},
        {"GET /api/v1/logs/query?mode=count&where=costly~^(a%7B0%2C90%7D)%7B0%2C90%7D$", ""},
        {"GET /api/v1/logs/query?mode=histogram&where=costly~^(a%7B0%2C90%7D)%7B0%2C90%7D$", ""},
        {"GET /api/v1/logs/query?format=otlp&where=costly~^(a%7B0%2C90%7D)%7B0%2C90%7D$", "X-Clew-Partial: true\n"},
        {"GET /api/v1/logs/query?format=protobuf&where=costly~^(a%7B0%2C90%7D)%7B0%2C90%7D$", "X-Clew-Partial: true\n"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        assert_int_equal(stage_ask(&stage, cases[i].request), 200);
        assert_string_equal(stage.fields, cases[i].field);
        if (*cases[i].field) continue;
        assert_json(buf_str(&stage.body));
        assert_says("\"partial\":true,\"partial_reason\":\"a text took a regular expression too many steps");
    }
    assert_int_equal(stage_ask(&stage, "GET /api/v1/logs/query?format=otlp&where=costly~^a"), 200);
    assert_string_equal(stage.fields, "");
    assert_says("costly");
    for (size_t i = 0; i < LENGTH(bufs); i++) buf_done(bufs[i]);
    buf_done(&pair);
}

/* From far too little memory to enough: refused with 413, never answered half, and what was drawn is given back. */
static void every_question_is_whole_or_refused_for_memory(void **state) {
    (void)state;
    static const char *const requests[] = {
        "GET /api/v1/services?counts=true",       "GET /api/v1/services/web/operations",
        "GET /api/v1/traces/stats?start=now-15s", "GET /api/v1/logs/query",
        "GET /api/v1/logs/query?format=otlp",     "GET /api/v1/logs/query?format=protobuf",
        "GET /api/v1/logs/query?mode=histogram",  "GET /api/v1/logs/query?mode=count",
    };
    struct api_options options = stage.api->options;
    for (size_t i = 0; i < LENGTH(requests); i++) {
        struct buf right;
        bool refused = false, answered = false;
        buf_init(&right, MIB);
        assert_int_equal(stage_ask(&stage, requests[i]), 200);
        buf_add_str(&right, buf_str(&stage.body));
        for (size_t bytes = 64; bytes < 16 * MIB; bytes += bytes / 16 + 1) {
            stage.api->options.query_memory_bytes = bytes;
            int status = stage_ask(&stage, requests[i]);
            if (status == 200)
                assert_true(str_equal(buf_str(&stage.body), buf_str(&right)));
            else if (status != 413)
                fail_msg("%s, %zu bytes: %d %s", requests[i], bytes, status, stage.body.p);
            refused = refused || status == 413;
            answered = status == 200;
            assert_int_equal(budget_used(&stage.budget), 0);
        }
        assert_true(refused && answered);
        stage.api->options = options;
        buf_done(&right);
    }
}

/* ---- small parts ------------------------------------------------------------------------------------------------ */

static void escapes_are_decoded(void **state) {
    (void)state;
    static const struct {
        const char *text, *plus, *path; /* NULL: refused */
    } cases[] = {{"", "", ""},
                 {"abc", "abc", "abc"},
                 {"a+b", "a b", "a+b"},
                 {"a%20b", "a b", "a b"},
                 {"%41%4a%4A", "AJJ", "AJJ"},
                 {"%2B+", "+ ", "++"},
                 {"%25", "%", "%"},
                 {"%2541", "%41", "%41"},
                 {"%e2%82%ac", "€", "€"},
                 {"%", NULL, NULL},
                 {"%4", NULL, NULL},
                 {"a%4", NULL, NULL},
                 {"%4g", NULL, NULL},
                 {"%g4", NULL, NULL},
                 {"%%41", NULL, NULL},
                 {"% 41", NULL, NULL},
                 {"%-1", NULL, NULL},
                 {"%0x", NULL, NULL}};
    for (size_t i = 0; i < LENGTH(cases); i++)
        for (int plus = 0; plus < 2; plus++) {
            const char *expected = plus ? cases[i].plus : cases[i].path;
            struct str out;
            AUTO_ARENA struct arena a;
            arena_init(&a, KIB);
            err e = call_decode(&a, str_of(cases[i].text), plus, &out);
            if ((e == NULL) != (expected != NULL) || (!e && !str_equal(out, str_of(expected))))
                fail_msg("%s", cases[i].text);
            assert_true(!e || err_kind(e) == ERR_INVALID);
            err_free(e);
        }
}

/* Every text, with each byte escaped in either case or not, comes back. */
static void what_is_escaped_is_decoded_again(void **state) {
    (void)state;
    for (uint32_t seed = 0; seed < 300; seed++) {
        char text[64], escaped[3 * sizeof text + 1];
        size_t n = seed % sizeof text, m = 0;
        uint32_t chance = seed * 2654435761u;
        for (size_t i = 0; i < n; i++) {
            chance = chance * 1664525 + 1013904223;
            text[i] = (char)(chance >> 24);
            bool plain = (text[i] >= 'a' && text[i] <= 'z') && chance & 1;
            if (plain)
                escaped[m++] = text[i];
            else
                m += (size_t)snprintf(escaped + m, 4, chance & 2 ? "%%%02x" : "%%%02X", (unsigned char)text[i]);
        }
        struct str out;
        AUTO_ARENA struct arena a;
        arena_init(&a, 4 * KIB);
        assert_null(call_decode(&a, str_span(escaped, m), true, &out));
        assert_true(str_equal(out, str_span(text, n)));
    }
}

static void the_nearest_name_is_near(void **state) {
    (void)state;
    static const char *const names[] = {"service", "status", "start", "limit", "order"};
    static const struct {
        const char *name, *nearest;
    } cases[] = {{"servise", "service"},
                 {"SERVICE", NULL},
                 {"servic", "service"},
                 {"ervice", "service"},
                 {"statsu", "status"},
                 {"stat", "start"},
                 {"lmit", "limit"},
                 {"odrer", "order"},
                 {"", NULL},
                 {"x", NULL},
                 {"zzzzzzz", NULL},
                 {"limit", "limit"}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const char *got = nearest_name(str_of(cases[i].name), names, LENGTH(names));
        if ((got == NULL) != (cases[i].nearest == NULL) || (got && strcmp(got, cases[i].nearest) != 0))
            fail_msg("%s: %s", cases[i].name, got ? got : "none");
    }
    static char long_name[100000];
    memset(long_name, 's', sizeof long_name - 1);
    assert_null(nearest_name(str_of(long_name), names, LENGTH(names)));
    assert_null(nearest_name(STR("service"), names, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STAGE_TEST(each_kind_of_error_has_its_answer),
        STAGE_TEST(what_the_server_refuses_has_the_same_bodies),
        STAGE_TEST(hostile_texts_stay_within_their_answer),
        STAGE_TEST(an_answer_over_its_limit_is_an_error),
        STAGE_TEST(queries_without_an_asker_are_counted),
        STAGE_TEST(a_trace_too_large_is_told_in_the_answer),
        STAGE_TEST(an_expression_that_gave_up_is_told_in_the_answer),
        STAGE_TEST(every_question_is_whole_or_refused_for_memory),
        cmocka_unit_test(escapes_are_decoded),
        cmocka_unit_test(what_is_escaped_is_decoded_again),
        cmocka_unit_test(the_nearest_name_is_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
