#include "ingest/ingest.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/budget.h"
#include "net/inflate.h"
#include "store/store.h"

/* ---- protobuf by hand ------------------------------------------------------------------------------------------- */

static void put_varint(struct buf *b, uint64_t v) {
    for (; v >= 0x80; v >>= 7) buf_add_byte(b, (char)(v | 0x80));
    buf_add_byte(b, (char)v);
}
static void put_bytes(struct buf *b, uint32_t field, struct str s) {
    put_varint(b, field << 3 | 2);
    put_varint(b, s.n);
    buf_add_str(b, s);
}

/* A request of spans with these trace ids' sizes and times; every span has its own span id. */
struct span_given {
    size_t trace_id_bytes;
    uint64_t time;
    const char *name;
};

static void put_request(struct buf *out, const struct span_given *spans, size_t n) {
    struct buf scope, resource, span;
    buf_init(&scope, 128 * MIB);
    buf_init(&resource, 128 * MIB);
    buf_init(&span, 128 * MIB);
    for (size_t i = 0; i < n; i++) {
        buf_clear(&span);
        put_bytes(&span, 1, str_span("ABCDEFGHIJKLMNOP", spans[i].trace_id_bytes));
        put_bytes(&span, 2, str_span("12345678", 8));
        put_bytes(&span, 5, str_of(spans[i].name));
        buf_add_byte(&span, 7 << 3 | 1);
        buf_add(&span, &spans[i].time, 8);
        put_bytes(&scope, 2, buf_str(&span));
    }
    put_bytes(&resource, 2, buf_str(&scope));
    put_bytes(out, 1, buf_str(&resource));
    buf_done(&scope);
    buf_done(&resource);
    buf_done(&span);
}

/* ---- one way in ------------------------------------------------------------------------------------------------- */

static int64_t fixed_now(void) { return (int64_t)1800000000 * 1000000000; }
enum { NOW_S = 1800000000 };

struct bench {
    struct store *store;
    struct budget budget;
    struct ingest *ingest;
    int calls;
    bool failed;
    enum err_kind kind;
    char text[256];
    struct ingest_outcome outcome;
};

static void bench_open(struct bench *b, uint64_t budget, size_t body_max) {
    struct store_options options;
    store_options_default(&options);
    options.wall_ns = fixed_now;
    *b = (struct bench){.store = store_model_open(&options)};
    budget_init(&b->budget, budget);
    b->ingest = ingest_new(&(struct ingest_options){
        .store = b->store, .budget = &b->budget, .body_max_bytes = body_max, .wall_ns = fixed_now});
}

static void bench_close(struct bench *b) {
    ingest_free(b->ingest);
    err_free(store_close(b->store));
    assert_int_equal(budget_used(&b->budget), 0);
}

static void on_done(void *context, err e, const struct ingest_outcome *outcome) {
    struct bench *b = context;
    b->calls++;
    b->failed = e != NULL;
    b->outcome = (struct ingest_outcome){0};
    if (e) {
        b->kind = err_kind(e);
        memcpy(b->text, err_text(e), MIN(strlen(err_text(e)) + 1, sizeof b->text - 1));
        assert_null(outcome);
    } else {
        b->outcome = *outcome;
    }
    err_free(e);
}

static void send(struct bench *b, const char *encoding, struct str body) {
    int before = b->calls;
    struct ingest_request request = {STR("default"), INGEST_SPANS, INGEST_OTLP, str_of(encoding), body};
    ingest_body(b->ingest, &request, on_done, b);
    assert_int_equal(b->calls, before + 1);
}

static uint64_t stored_rows(struct bench *b) {
    struct store_stats s;
    store_get_stats(b->store, &s);
    return s.rows_appended[SIGNAL_SPANS];
}

static const uint64_t second = 1000000000;

/* ---- tests ------------------------------------------------------------------------------------------------------ */

static void rows_are_taken_and_counted(void **state) {
    (void)state;
    struct bench b;
    struct buf body, zipped;
    static const struct span_given spans[] = {{16, NOW_S * 1000000000ull, "a"}, {16, NOW_S * 1000000000ull, "b"}};
    buf_init(&body, MIB);
    buf_init(&zipped, MIB);
    put_request(&body, spans, 2);
    assert_null(deflate_gzip(buf_str(&body), &zipped));
    bench_open(&b, 1 << 30, 0);
    send(&b, "", buf_str(&body));
    send(&b, "identity", buf_str(&body));
    send(&b, "GZIP", buf_str(&zipped));
    assert_false(b.failed);
    assert_int_equal(b.outcome.taken, 2);
    assert_int_equal(b.outcome.rejected, 0);
    assert_string_equal(b.outcome.message, "");
    assert_int_equal(stored_rows(&b), 6);
    struct ingest_stats s;
    ingest_get_stats(b.ingest, &s);
    assert_int_equal(s.bodies[INGEST_SPANS], 3);
    assert_int_equal(s.rows[INGEST_SPANS], 6);
    assert_int_equal(s.bytes[INGEST_SPANS], 3 * body.n);
    buf_done(&body);
    buf_done(&zipped);
    bench_close(&b);
}

static void an_empty_body_is_full_success(void **state) {
    (void)state;
    struct bench b;
    bench_open(&b, 1 << 30, 0);
    send(&b, "", STR(""));
    assert_false(b.failed);
    assert_int_equal(b.outcome.taken, 0);
    assert_string_equal(b.outcome.message, "");
    bench_close(&b);
}

static void refused_rows_are_told_by_reason(void **state) {
    (void)state;
    struct bench b;
    struct buf body;
    const struct span_given spans[] = {{16, NOW_S * second, "good"},
                                       {15, NOW_S * second, "short id"},
                                       {0, NOW_S * second, "no id"},
                                       {16, (NOW_S - 40 * 86400) * second, "old"},
                                       {16, (NOW_S + 2 * 86400) * second, "new"}};
    buf_init(&body, MIB);
    put_request(&body, spans, LENGTH(spans));
    bench_open(&b, 1 << 30, 0);
    send(&b, "", buf_str(&body));
    assert_false(b.failed);
    assert_int_equal(b.outcome.taken, 1);
    assert_int_equal(b.outcome.rejected, 4);
    assert_int_equal(b.outcome.rejected_by[REASON_BAD_TRACE_ID], 2);
    assert_string_equal(b.outcome.message, "2: trace id is not 16 bytes or is zero; 1: older than the retention; "
                                           "1: too far in the future");
    struct ingest_stats s;
    ingest_get_stats(b.ingest, &s);
    assert_int_equal(s.rejected[INGEST_SPANS][REASON_TOO_OLD], 1);
    buf_done(&body);
    bench_close(&b);
}

static void invalid_utf8_is_taken_with_a_warning(void **state) {
    (void)state;
    struct bench b;
    struct buf body;
    const struct span_given spans[] = {{16, NOW_S * second, "caf\xe9"}};
    buf_init(&body, MIB);
    put_request(&body, spans, 1);
    bench_open(&b, 1 << 30, 0);
    send(&b, "", buf_str(&body));
    assert_int_equal(b.outcome.taken, 1);
    assert_int_equal(b.outcome.rejected, 0);
    assert_string_equal(b.outcome.message, "1 strings are not UTF-8; kept as they are");
    buf_done(&body);
    bench_close(&b);
}

/* A bad body ends in one error of the kind, and nothing of it is stored. */
static void check_refused(const char *encoding, struct str body, uint64_t budget, size_t body_max, enum err_kind kind) {
    struct bench b;
    bench_open(&b, budget, body_max);
    send(&b, encoding, body);
    assert_true(b.failed);
    if (b.kind != kind) fail_msg("%s: %s", err_kind_rows[b.kind].name, b.text);
    assert_int_equal(stored_rows(&b), 0);
    struct ingest_stats s;
    ingest_get_stats(b.ingest, &s);
    assert_int_equal(s.failed[INGEST_SPANS][kind], 1);
    bench_close(&b);
}

static void bad_bodies_are_refused_whole(void **state) {
    (void)state;
    struct buf body, zipped;
    const struct span_given spans[] = {{16, NOW_S * second, "a"}, {16, NOW_S * second, "b"}};
    buf_init(&body, MIB);
    buf_init(&zipped, MIB);
    put_request(&body, spans, 2);
    assert_null(deflate_gzip(buf_str(&body), &zipped));
    struct str plain = buf_str(&body), zip = buf_str(&zipped);
    for (size_t n = 1; n < plain.n; n++) check_refused("", (struct str){plain.p, n}, 1 << 30, 0, ERR_INVALID);
    for (size_t n = 0; n < zip.n; n++) check_refused("gzip", (struct str){zip.p, n}, 1 << 30, 0, ERR_INVALID);
    check_refused("", STR("{\"resourceSpans\":[]}"), 1 << 30, 0, ERR_INVALID);
    check_refused("gzip", plain, 1 << 30, 0, ERR_INVALID);
    check_refused("br", plain, 1 << 30, 0, ERR_INVALID);
    check_refused("", plain, 1 << 30, plain.n - 1, ERR_LIMIT);
    check_refused("gzip", zip, 1 << 30, plain.n - 1, ERR_LIMIT);
    check_refused("", plain, 100, 0, ERR_BUSY);
    check_refused("gzip", zip, 100, 0, ERR_BUSY);
    buf_done(&body);
    buf_done(&zipped);
}

static void a_gzip_bomb_is_refused_at_the_limit(void **state) {
    (void)state;
    struct buf zeros, bomb;
    buf_init(&zeros, 64 * MIB);
    buf_init(&bomb, 64 * MIB);
    buf_reserve(&zeros, 16 * MIB);
    memset(zeros.p, 0, 16 * MIB);
    zeros.n = 16 * MIB;
    assert_null(deflate_gzip(buf_str(&zeros), &bomb));
    check_refused("gzip", buf_str(&bomb), 1 << 30, MIB, ERR_LIMIT);
    memcpy(bomb.p + bomb.n - 4, "\x10\0\0\0", 4); /* says that it is 16 bytes */
    struct bench b;
    bench_open(&b, 8 * MIB, MIB);
    send(&b, "gzip", buf_str(&bomb));
    assert_true(b.failed && (b.kind == ERR_LIMIT || b.kind == ERR_INVALID));
    assert_true(atomic_load(&b.budget.peak_bytes) <= 2 * MIB);
    bench_close(&b);
    buf_done(&zeros);
    buf_done(&bomb);
}

static void members_that_follow_one_another_are_one_body(void **state) {
    (void)state;
    struct bench b;
    struct buf body, zipped;
    const struct span_given spans[] = {
        {16, NOW_S * second, "a name that makes the first member longer than the second"}};
    buf_init(&body, MIB);
    buf_init(&zipped, MIB);
    put_request(&body, spans, 1);
    assert_null(deflate_gzip(buf_str(&body), &zipped));
    struct buf second_member;
    buf_init(&second_member, MIB);
    assert_null(deflate_gzip(STR(""), &second_member));
    buf_add_str(&zipped, buf_str(&second_member)); /* its last four bytes say: nothing */
    bench_open(&b, 1 << 30, 0);
    send(&b, "gzip", buf_str(&zipped));
    assert_false(b.failed);
    assert_int_equal(b.outcome.taken, 1);
    buf_done(&body);
    buf_done(&zipped);
    buf_done(&second_member);
    bench_close(&b);
}

/* 3 MiB in 3 KiB of gzip, which says so or lies. */
static void a_body_that_unpacks_to_much_is_not_small(void **state) {
    (void)state;
    struct bench b;
    struct buf plain, zipped;
    buf_init(&plain, 4 * MIB);
    buf_init(&zipped, 4 * MIB);
    while (plain.n < 3 * MIB) buf_add_str(&plain, STR("\x0a\x00"));
    assert_null(deflate_gzip(buf_str(&plain), &zipped));
    bench_open(&b, 1 << 30, 0);
    for (int lie = 0; lie < 2; lie++) {
        if (lie) memcpy(zipped.p + zipped.n - 4, "\x10\0\0\0", 4);
        struct ingest_request small = {STR("default"), INGEST_SPANS, INGEST_OTLP, STR("gzip"), buf_str(&zipped)};
        assert_false(ingest_body_if_small(b.ingest, &small, on_done, &b));
        assert_int_equal(b.calls, 0);
        assert_int_equal(budget_used(&b.budget), 0);
    }
    struct ingest_request request = {STR("default"), INGEST_SPANS, INGEST_OTLP, STR(""), buf_str(&plain)};
    assert_false(ingest_body_if_small(b.ingest, &request, on_done, &b));
    request.body.n = MIB;
    assert_true(ingest_body_if_small(b.ingest, &request, on_done, &b));
    assert_int_equal(b.calls, 1);
    buf_done(&plain);
    buf_done(&zipped);
    bench_close(&b);
}

/* The ids of all spans, a | behind each. */
static enum scan_next on_ids(void *context, const struct chunk *c) {
    struct buf *ids = context;
    for (uint32_t i = 0; i < c->n; i++) {
        const struct vector *v = &c->columns[0];
        if (v->codes[i] != CODE_ABSENT) buf_add_str(ids, v->texts[v->codes[i]]);
        buf_add_byte(ids, '|');
    }
    return SCAN_GO_ON;
}

static void assert_stored_ids(struct bench *b, const char *expected) {
    static const struct column_ref column = {.target = TARGET_FIELD, .field = FIELD_CORRELATION};
    AUTO_ARENA struct arena a;
    AUTO_BUF struct buf ids;
    struct scan_request r = {.time_min = INT64_MIN, .time_max = INT64_MAX, .columns = &column, .column_count = 1};
    struct scan_stats stats = {0};
    struct snapshot *sn;
    arena_init(&a, 16 * MIB);
    buf_init(&ids, MIB);
    err_free(store_snapshot(b->store, STR("default"), SIGNAL_SPANS, &sn));
    err_free(snapshot_scan(sn, &r, &a, on_ids, &ids, &stats));
    snapshot_free(sn);
    if (!str_equal(buf_str(&ids), str_of(expected))) fail_msg("'%.*s' instead of '%s'", (int)ids.n, ids.p, expected);
}

static const char spans_with_ids[] =
    "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":["
    "{\"traceId\":\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b174\",\"startTimeUnixNano\":"
    "\"1799999999000000000\",\"attributes\":[{\"key\":\"correlation_id\",\"value\":{\"stringValue\":\"kept\"}}]},"
    "{\"traceId\":\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b175\",\"startTimeUnixNano\":"
    "\"1799999999000000000\",\"attributes\":[{\"key\":\"correlation_id\",\"value\":{\"stringValue\":\"card 4111\"}}]},"
    "{\"traceId\":\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b176\",\"startTimeUnixNano\":"
    "\"1799999999000000000\",\"attributes\":[{\"key\":\"baggage\",\"value\":{\"stringValue\":\"correlation_id=b\"}}]}]}"
    "]}]}";

/* After redaction, and counted once it is durable; without rules of correlation there is no id. */
static void ids_are_lifted_of_what_redaction_left(void **state) {
    (void)state;
    static const char *const rules[] = {NULL, "redact: [{do: mask, match: '4[0-9]+'}]",
                                        "redact: [{do: drop, match: '4[0-9]+'}]"};
    static const char *const expected[] = {"kept|card 4111|b|", "kept|card [redacted]|b|", "kept||b|"};
    struct correlate_rules *correlate = correlate_rules_new();
    for (size_t i = 0; i <= LENGTH(rules); i++) {
        bool off = i == LENGTH(rules);
        struct redact_rules *redact = NULL;
        struct ingest_stats stats;
        struct bench b;
        bench_open(&b, (uint64_t)1 << 30, 0);
        ingest_free(b.ingest);
        if (!off && rules[i]) err_free(redact_rules_parse(str_of(rules[i]), "r", &redact));
        b.ingest = ingest_new(&(struct ingest_options){.store = b.store,
                                                       .budget = &b.budget,
                                                       .wall_ns = fixed_now,
                                                       .redact = redact,
                                                       .correlate = off ? NULL : correlate});
        struct ingest_request request = {STR("default"), INGEST_SPANS, INGEST_OTLP_JSON, STR(""),
                                         str_of(spans_with_ids)};
        ingest_body(b.ingest, &request, on_done, &b);
        assert_false(b.failed);
        assert_stored_ids(&b, off ? "|||" : expected[i]);
        ingest_get_stats(b.ingest, &stats);
        assert_int_equal(stats.correlated.lifted[CORRELATE_ATTRIBUTE], off ? 0 : i == 2 ? 1 : 2);
        assert_int_equal(stats.correlated.lifted[CORRELATE_BAGGAGE], off ? 0 : 1);
        bench_close(&b);
        redact_rules_free(redact);
    }
    correlate_rules_free(correlate);
}

static void an_error_of_the_store_reaches_the_sender(void **state) {
    (void)state;
    struct bench b;
    struct buf body;
    const struct span_given spans[] = {{16, NOW_S * second, "a"}};
    buf_init(&body, MIB);
    put_request(&body, spans, 1);
    bench_open(&b, 1 << 30, 0);
    ingest_body(b.ingest, &(struct ingest_request){.tenant = STR("../x"), .body = buf_str(&body)}, on_done, &b);
    assert_int_equal(b.calls, 1);
    assert_true(b.failed);
    assert_int_equal(b.kind, ERR_INVALID);
    buf_done(&body);
    bench_close(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_taken_and_counted),
        cmocka_unit_test(an_empty_body_is_full_success),
        cmocka_unit_test(refused_rows_are_told_by_reason),
        cmocka_unit_test(invalid_utf8_is_taken_with_a_warning),
        cmocka_unit_test(bad_bodies_are_refused_whole),
        cmocka_unit_test(a_gzip_bomb_is_refused_at_the_limit),
        cmocka_unit_test(members_that_follow_one_another_are_one_body),
        cmocka_unit_test(a_body_that_unpacks_to_much_is_not_small),
        cmocka_unit_test(ids_are_lifted_of_what_redaction_left),
        cmocka_unit_test(an_error_of_the_store_reaches_the_sender),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
