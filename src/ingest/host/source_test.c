/* Rounds of a source as they are in the store, stale markers among them. */
#include "ingest/points_testing_priv.h"

#include "ingest/host/source_priv.h"

static void send_round(struct bench *b, struct source *s, const char *text, int64_t at_ms) {
    source_send(s, str_of(text), at_ms * 1000000);
    while (store_pump(b->store, 0)) {}
}

#define STALE "bits:7ff0000000000002"
#define LABELS "instance=\"host\",job=\"node\""

static void a_series_that_ends_gets_one_marker(void **state) {
    struct bench b;
    struct source s;
    (void)state;
    bench_open(&b);
    source_init(&s, b.ingest, STR("default"), STR("node"), STR("host"));
    send_round(&b, &s, "# TYPE up gauge\nup{d=\"a\"} 1\nup{d=\"b\"} 2\n", NOW_MS);
    send_round(&b, &s, "# TYPE up gauge\nup{d=\"b\"} 3\n", NOW_MS + 1000);
    send_round(&b, &s, "# TYPE up gauge\nup{d=\"b\"} 4\n", NOW_MS + 2000);
    send_round(&b, &s, "", NOW_MS + 3000);
    send_round(&b, &s, "", NOW_MS + 4000);
    send_round(&b, &s, "up{d=\"a\"} 5\n", NOW_MS + 5000);
    stored(&b, "up{d=\"a\"," LABELS "} 1@1700000000000 " STALE "@1700000001000 5@1700000005000\n"
               "up{d=\"b\"," LABELS "} 2@1700000000000 3@1700000001000 4@1700000002000 " STALE "@1700000003000\n");
    assert_int_equal(s.rounds, 6); /* four texts with samples, two of markers */
    assert_int_equal(s.failed, 0);
    source_done(&s);
    bench_close(&b);
}

static void labels_of_the_source_win(void **state) {
    struct bench b;
    struct source s;
    (void)state;
    bench_open(&b);
    source_init(&s, b.ingest, STR("default"), STR("node"), STR("host"));
    send_round(&b, &s, "x{job=\"forged\",instance=\"forged\"} 1\n", NOW_MS);
    stored(&b, "x{" LABELS "} 1@1700000000000\n");
    source_done(&s);
    bench_close(&b);
}

/* It says nothing that round: what it said before has ended. */
static void a_broken_text_ends_all_series(void **state) {
    struct bench b;
    struct source s;
    (void)state;
    bench_open(&b);
    source_init(&s, b.ingest, STR("default"), STR("node"), STR("host"));
    send_round(&b, &s, "x 1\n", NOW_MS);
    send_round(&b, &s, "x 1\ny{\n", NOW_MS + 1000);
    stored(&b, "x{" LABELS "} 1@1700000000000 " STALE "@1700000001000\n");
    source_done(&s);
    bench_close(&b);
}

static void rules_of_redaction_hold_for_it(void **state) {
    struct bench b;
    struct source s;
    struct redact_rules *rules;
    struct store_options options;
    (void)state;
    assert_null(redact_rules_parse(STR("redact: [{do: mask, key: image}]"), "rules", &rules));
    bench_options(&options);
    open_with(&b, &options, 1 << 30, 0, rules);
    source_init(&s, b.ingest, STR("default"), STR("node"), STR("host"));
    send_round(&b, &s, "x{image=\"secret\"} 1\n", NOW_MS);
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    dump(&b, &text);
    assert_non_null(strstr(text.p, "x{image="));
    assert_null(strstr(text.p, "secret"));
    source_done(&s);
    bench_close(&b);
    redact_rules_free(rules);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_series_that_ends_gets_one_marker),
        cmocka_unit_test(labels_of_the_source_win),
        cmocka_unit_test(a_broken_text_ends_all_series),
        cmocka_unit_test(rules_of_redaction_hold_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
