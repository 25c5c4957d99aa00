/* Following logs over the real handlers: which records come, in which order, what a slow reader loses, and when it ends. */
#include <stdio.h>
#include <stdlib.h>

#include "api/one_stage_testing_priv.h"
#include "os/clock.h"

enum { ROWS = 5 }; /* of stage_put_logs */
static const int64_t second = 1000000000;

static int open_tail(void **state) {
    open_empty(state);
    stage.keeps_streams = true;
    return 0;
}

static void send_logs(void) {
    AUTO_BUF struct buf body;
    buf_init(&body, MIB);
    stage_put_logs(&body);
    assert_int_equal(
        stage_send(&stage, API_PORT_MAIN, "POST /otlp/v1/logs", "application/x-protobuf", NULL, buf_str(&body)), 200);
}

static struct http_stream *follow(const char *query) {
    char request[512];
    snprintf(request, sizeof request, "GET /api/v1/logs/tail%s", query);
    assert_int_equal(stage_ask(&stage, request), 200);
    assert_string_equal(stage.content_type, "text/event-stream");
    return &stage.streams[stage.stream_count - 1];
}

/* Turns until nothing is left to do, `later` ns from now. */
static void run_at(int64_t later) {
    for (int i = 0; i < 10000; i++) {
        int64_t now = clock_monotonic_ns() + later;
        if (tails_run(stage.api->tails, now) > now) return;
    }
    fail_msg("there is always more to do");
}

static size_t count_of(const struct http_stream *s, const char *part) {
    size_t n = 0;
    for (const char *at = s->text.p; at && (at = strstr(at, part)); at++) n++;
    return n;
}

static void assert_in_order(const struct http_stream *s, const char *first, const char *then) {
    const char *a = strstr(s->text.p, first), *b = strstr(s->text.p, then);
    if (!a || !b || a > b) fail_msg("not '%s' and then '%s': %s", first, then, s->text.p);
}

static uint64_t lost_in(const struct http_stream *s) {
    uint64_t sum = 0;
    for (const char *at = s->text.p; (at = strstr(at, "event: lost\ndata: {\"rows\":")); at++)
        sum += strtoull(at + strlen("event: lost\ndata: {\"rows\":"), NULL, 10);
    return sum;
}

static struct tail_counts counts(void) {
    struct tail_counts n;
    tails_get_counts(stage.api->tails, &n);
    return n;
}

/* ---- what comes ------------------------------------------------------------------------------------------------- */

static void each_follower_gets_its_rows_alone(void **state) {
    (void)state;
    static const struct {
        const char *query;
        size_t rows;
    } filters[] = {
        {"", 5},
        {"?service=cart", 5},
        {"?service=web", 0},
        {"?environment=prod&severity=warn", 3},
        {"?severity=fatal", 1},
        {"?text=payment", 2},
        {"?text=%22card+expired%22&where=attempt=3", 1},
        {"?where=attempt+exists", 1},
        {"?where=resource.service.name=cart&where=log.attempt=4", 0},
        {"?trace_id=0af7651916cd43dd8448eb211c80319c", 3},
        {"?span_id=b7ad6b7169203311", 1},
    };
    send_logs(); /* before: nobody hears of these */
    for (size_t i = 0; i < LENGTH(filters); i++) follow(filters[i].query);
    for (int times = 1; times <= 3; times++) {
        send_logs();
        run_at(0);
        for (size_t i = 0; i < LENGTH(filters); i++)
            if (count_of(&stage.streams[i], "event: log\n") != (size_t)times * filters[i].rows)
                fail_msg("%s: %s", filters[i].query, stage.streams[i].text.p);
    }
    assert_int_equal(counts().followers, LENGTH(filters));
    assert_int_equal(counts().lost, 0);
}

static void an_event_is_a_record_with_all_that_it_refers_to(void **state) {
    (void)state;
    struct http_stream *s = follow("?severity=error&text=card");
    send_logs();
    run_at(0);
    assert_string_equal(
        s->text.p,
        ": clew\nretry: 2000\n\n"
        "event: log\nid: 2026-01-02T03:03:55.005Z\n"
        "data: "
        "{\"id\":\"1767323035005000000-2c3038bef216591c\",\"time\":\"2026-01-02T03:03:55.005Z\",\"observed_time\":"
        "\"2026-01-02T03:03:55.005000001Z\","
        "\"severity\":\"error\",\"severity_number\":17,\"severity_text\":\"ERROR\",\"service\":\"cart\","
        "\"body\":\"payment refused: card expired\",\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\","
        "\"span_id\":\"b7ad6b7169203313\",\"attributes\":{\"attempt\":3},"
        "\"resource\":{\"service\":\"cart\",\"environment\":\"prod\",\"attributes\":{\"service.name\":\"cart\","
        "\"service.namespace\":\"shop\",\"deployment.environment.name\":\"prod\",\"host.name\":\"web-1\"}},"
        "\"scope\":{\"name\":\"io.example\",\"version\":\"1.2.3\",\"attributes\":{},"
        "\"schema_url\":\"https://example.com/schema\"}}\n\n");
}

static void the_newest_come_first_and_once(void **state) {
    (void)state;
    send_logs();
    struct http_stream *all = follow("?limit=100"), *two = follow("?limit=2&severity=warn"),
                       *old = follow("?limit=100&start=now-1s");
    send_logs(); /* equal to those of the history: as if they had become durable between the two looks */
    run_at(0);
    assert_int_equal(count_of(all, "event: log\n"), ROWS);
    assert_in_order(all, "checkout started", "payment refused");
    assert_in_order(all, "payment refused", "out of memory");
    assert_int_equal(count_of(two, "event: log\n"), 3); /* two of the history, and the third that is not in it */
    assert_int_equal(count_of(old, "event: log\n"), ROWS);
    send_logs();
    run_at(0);
    assert_int_equal(count_of(all, "event: log\n"), 2 * ROWS);
    run_at(3 * second);
    send_logs();
    run_at(3 * second);
    assert_int_equal(count_of(all, "event: log\n"), 3 * ROWS);
}

/* ---- slow readers ----------------------------------------------------------------------------------------------- */

static void a_slow_reader_is_told_what_it_lost(void **state) {
    (void)state;
    enum { SENT = 400 };
    struct http_stream *slow = follow(""), *quick = follow("");
    run_at(0);
    slow->room = 0;
    quick->room = 64 * MIB;
    for (int i = 0; i < SENT; i++) {
        send_logs();
        run_at(0);
    }
    assert_int_equal(count_of(slow, "event: log\n"), 0);
    assert_int_equal(count_of(quick, "event: log\n"), SENT * ROWS);
    uint64_t held = budget_used(&stage.budget), lost = counts().lost;
    assert_true(lost > 100 * ROWS); /* live holds 256 batches */
    slow->room = 64 * MIB;
    run_at(second);
    assert_true(budget_used(&stage.budget) < held);
    assert_int_equal(count_of(slow, "event: log\n") + lost_in(slow), SENT * ROWS);
    assert_int_equal(lost_in(slow), lost);
    assert_int_equal(lost_in(quick), 0);
    send_logs();
    run_at(second);
    assert_int_equal(count_of(slow, "event: log\n") + lost_in(slow), (SENT + 1) * ROWS);
}

static void a_reader_that_takes_little_gets_all_in_order(void **state) {
    (void)state;
    struct http_stream *s = follow("");
    for (int i = 0; i < 100; i++) send_logs();
    s->room = 0;
    for (int turn = 1; turn < 200; turn++) {
        s->room += 3000;
        run_at(turn * second / 20);
    }
    assert_int_equal(count_of(s, "event: log\n"), 100 * ROWS);
    assert_int_equal(lost_in(s), 0);
}

/* {"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":…,"body":{"stringValue":"xxx…"}}]}]}]} */
static void send_large(size_t bytes) {
    AUTO_BUF struct buf body;
    buf_init(&body, 16 * MIB);
    buf_add_fmt(
        &body,
        "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"timeUnixNano\":\"%lld\",\"body\":{\"stringValue\":\"",
        (long long)STAGE_NOW_NS);
    for (size_t i = 0; i < bytes; i++) buf_add_byte(&body, 'x');
    buf_add_text(&body, "\"}}]}]}]}");
    assert_int_equal(stage_send(&stage, API_PORT_MAIN, "POST /otlp/v1/logs", "application/json", NULL, buf_str(&body)),
                     200);
}

static void a_record_over_the_limit_counts_as_lost(void **state) {
    (void)state;
    struct http_stream *s = follow("");
    send_large(TAIL_EVENT_MAX);
    send_large(TAIL_EVENT_MAX - 2 * KIB);
    send_large(9 * MIB); /* more than live holds */
    send_logs();
    run_at(0);
    assert_int_equal(count_of(s, "event: log\n"), 1 + ROWS);
    assert_int_equal(lost_in(s), 2);
    assert_int_equal(counts().lost, 2);
}

static void over_the_budget_rows_are_lost_and_told(void **state) {
    (void)state;
    struct http_stream *s = follow("");
    run_at(0);
    send_logs();
    stage.budget.limit_bytes = 1;
    run_at(0);
    stage.budget.limit_bytes = 1 << 30;
    assert_int_equal(count_of(s, "event: log\n"), 0);
    assert_int_equal(lost_in(s), ROWS);
    send_logs();
    run_at(0);
    assert_int_equal(count_of(s, "event: log\n"), ROWS);
    stage.budget.limit_bytes = 1;
    assert_int_equal(stage_ask(&stage, "GET /api/v1/logs/tail"), 429);
    stage.budget.limit_bytes = 1 << 30;
}

/* ---- the end ---------------------------------------------------------------------------------------------------- */

static void a_heartbeat_comes_every_fifteen_seconds(void **state) {
    (void)state;
    struct http_stream *s = follow("");
    run_at(14 * second);
    assert_int_equal(count_of(s, ": still here\n\n"), 0);
    run_at(16 * second);
    assert_int_equal(count_of(s, ": still here\n\n"), 1);
    run_at(17 * second);
    run_at(32 * second);
    assert_int_equal(count_of(s, ": still here\n\n"), 2);
    s->gone = true;
    run_at(33 * second);
    assert_true(s->ended);
    assert_int_equal(counts().followers, 0);
}

static void a_drain_says_so_and_refuses_the_next(void **state) {
    (void)state;
    struct http_stream *a = follow(""), *slow = follow("");
    run_at(0);
    slow->room = 0;
    send_logs();
    api_drain(stage.api, false);
    assert_true(a->ended && slow->ended);
    assert_int_equal(count_of(a, "event: end\ndata: {\"reason\":\"clew is stopping\"}\n\n"), 1);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/logs/tail"), 503);
    assert_int_equal(counts().followers, 0);
}

static void there_is_a_most_of_followers(void **state) {
    (void)state;
    char tenant[16];
    for (int i = 0; i < 64; i++) {
        if (i % 16 == 0) snprintf(tenant, sizeof tenant, "t%d", i / 16);
        stage.credentials.org_id = str_of(tenant);
        follow("");
        if (i % 16 != 15) continue;
        assert_int_equal(stage_ask(&stage, "GET /api/v1/logs/tail"), 429);
        assert_non_null(strstr(stage.fields, "Retry-After: "));
        assert_non_null(strstr(stage.body.p, "16 of this tenant"));
    }
    stage.credentials.org_id = STR("other");
    assert_int_equal(stage_ask(&stage, "GET /api/v1/logs/tail"), 429);
    stage.streams[0].gone = true;
    run_at(0);
    follow("");
    assert_int_equal(stage_ask(&stage, "HEAD /api/v1/logs/tail"), 429);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/logs/query"), 200);
    stage.credentials = (struct credentials){0};
}

static void what_is_wrong_is_refused_before_the_stream(void **state) {
    (void)state;
    static const char *const wrong[] = {"where=a~(", "severity=loud", "trace_id=1", "limit=10001",
                                        "limit=-1",  "end=now",       "mode=count", "text=%22a"};
    char request[128];
    for (size_t i = 0; i < LENGTH(wrong); i++) {
        snprintf(request, sizeof request, "GET /api/v1/logs/tail?%s", wrong[i]);
        if (stage_ask(&stage, request) != 400) fail_msg("%s: %d %s", request, stage.status, stage.body.p);
    }
    assert_int_equal(stage_ask(&stage, "HEAD /api/v1/logs/tail"), 200);
    assert_int_equal(counts().followers, 0);
}

/* ---- who may ---------------------------------------------------------------------------------------------------- */

static char text_a[16 + TOKEN_TEXT_BYTES], text_b[16 + TOKEN_TEXT_BYTES], text_ingest[2][16 + TOKEN_TEXT_BYTES];

static void new_token(struct tokens *t, const char *name, enum api_role role, const char *tenant, int64_t expires,
                      char *out) {
    char text[TOKEN_TEXT_BYTES];
    assert_null(token_new(t, str_of(name), role, str_of(tenant), STAGE_NOW_NS, expires, text));
    snprintf(out, 16 + TOKEN_TEXT_BYTES, "Bearer %.*s", (int)sizeof text, text);
}

static int open_with_tokens(void **state) {
    (void)state;
    static char document[4096];
    struct tokens t = {0};
    AUTO_BUF struct buf text;
    new_token(&t, "a", ROLE_READ, "a", 0, text_a);
    new_token(&t, "b", ROLE_READ, "b", STAGE_NOW_NS + 60 * second, text_b);
    new_token(&t, "ia", ROLE_INGEST, "a", 0, text_ingest[0]);
    new_token(&t, "ib", ROLE_INGEST, "b", 0, text_ingest[1]);
    buf_init(&text, sizeof document - 1);
    tokens_write(&t, &text);
    memcpy(document, text.p, text.n + 1);
    tokens_done(&t);
    stage_later_ns = 0;
    stage_open_as(&stage, NULL, document, NULL);
    stage.keeps_streams = true;
    return 0;
}

static void be(const char *authorization) {
    stage.credentials = (struct credentials){
        .host = STR("clew.example"), .peer = STR("10.0.0.1:1"), .authorization = str_of(authorization)};
}

static void only_rows_of_the_own_tenant_come(void **state) {
    (void)state;
    be(text_a);
    struct http_stream *a = follow("?limit=100");
    be(text_b);
    struct http_stream *b = follow("?limit=100");
    be(text_ingest[0]);
    send_logs();
    run_at(0);
    assert_int_equal(count_of(a, "event: log\n"), ROWS);
    assert_int_equal(count_of(b, "event: log\n"), 0);
    be(text_ingest[1]);
    send_logs();
    send_logs();
    run_at(0);
    assert_int_equal(count_of(a, "event: log\n"), ROWS);
    assert_int_equal(count_of(b, "event: log\n"), 2 * ROWS);
    be(text_b);
    stage.credentials.org_id = STR("a");
    assert_int_equal(stage_ask(&stage, "GET /api/v1/logs/tail"), 403);
}

static void a_token_that_expires_ends_its_streams(void **state) {
    (void)state;
    be(text_a);
    struct http_stream *a = follow("");
    be(text_b);
    struct http_stream *b = follow("");
    run_at(16 * second);
    stage_later_ns = 61 * second;
    be(text_ingest[1]);
    send_logs();
    run_at(32 * second);
    assert_true(b->ended && !a->ended);
    assert_int_equal(count_of(b, "event: log\n"), 0);
    assert_int_equal(count_of(b, "event: end\ndata: {\"reason\":\"the token does not allow it any more\"}\n\n"), 1);
    assert_int_equal(counts().followers, 1);
}

#define TAIL_TEST(name) cmocka_unit_test_setup_teardown(name, open_tail, close_stage)
#define TOKEN_TEST(name) cmocka_unit_test_setup_teardown(name, open_with_tokens, close_stage)

int main(void) {
    const struct CMUnitTest tests[] = {
        TAIL_TEST(each_follower_gets_its_rows_alone),
        TAIL_TEST(an_event_is_a_record_with_all_that_it_refers_to),
        TAIL_TEST(the_newest_come_first_and_once),
        TAIL_TEST(a_slow_reader_is_told_what_it_lost),
        TAIL_TEST(a_reader_that_takes_little_gets_all_in_order),
        TAIL_TEST(a_record_over_the_limit_counts_as_lost),
        TAIL_TEST(over_the_budget_rows_are_lost_and_told),
        TAIL_TEST(a_heartbeat_comes_every_fifteen_seconds),
        TAIL_TEST(a_drain_says_so_and_refuses_the_next),
        TAIL_TEST(there_is_a_most_of_followers),
        TAIL_TEST(what_is_wrong_is_refused_before_the_stream),
        TOKEN_TEST(only_rows_of_the_own_tenant_come),
        TOKEN_TEST(a_token_that_expires_ends_its_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
