/* Labels of metrics on their way in: bad ones, very many, long ones, and limits of series. */
#include "ingest/points_testing_priv.h"

static void bad_labels_cost_only_their_own_series(void **state) {
    (void)state;
    static const struct {
        const char *line, *message;
    } cases[] = {
        {" a=1 9@" NOW " 9@1699999999000", "2: labels that are not allowed; no label __name__, the name of the metric"},
        {"bad a=1 a=2 9@" NOW, "1: labels that are not allowed; a label name twice"},
        {"bad a=1 a=1 9@" NOW, "1: labels that are not allowed; a label name twice"},
        {"bad =1 9@" NOW, "1: labels that are not allowed; a label without a name"},
        {"bad a=\xff 9@" NOW, "1: labels that are not allowed; a label value that is not UTF-8"},
        {"bad a\xc0\x80=1 9@" NOW, "1: labels that are not allowed; a label name that is not UTF-8"},
    };
    for (int version = 1; version <= 2; version++)
        for (size_t i = 0; i < LENGTH(cases); i++) {
            struct bench b;
            AUTO_BUF struct buf lines;
            buf_init(&lines, MIB);
            bench_open(&b);
            buf_add_fmt(&lines, "good x=1 1@" NOW "\n%s\ngood x=2 z= y.\xc3\xa4=\xf0\x9f\x99\x82 2@" NOW "\n",
                        cases[i].line);
            send_write(&b, version, lines.p);
            fared(&b, 2, i == 0 ? 2 : 1, cases[i].message);
            stored(&b, "good{x=\"1\"} 1@" NOW "\ngood{x=\"2\",y.\xc3\xa4=\"\xf0\x9f\x99\x82\"} 2@" NOW "\n");
            bench_close(&b);
        }
}

/* n labels beside the name, in one series, then one that is good. */
static void put_many_labels(struct buf *lines, uint32_t n) {
    buf_add_text(lines, "many");
    for (uint32_t i = 0; i < n; i++) buf_add_fmt(lines, " l%u=v%u", i, i);
    buf_add_text(lines, " 1@" NOW "\ngood 2@" NOW "\n");
}

static void a_hundred_thousand_labels_are_refused(void **state) {
    (void)state;
    static const uint32_t counts[] = {64, 257, 1024, 1025, 100000};
    for (int version = 1; version <= 2; version++)
        for (size_t i = 0; i < LENGTH(counts); i++) {
            struct bench b;
            AUTO_BUF struct buf lines;
            buf_init(&lines, 64 * MIB);
            bench_open(&b);
            put_many_labels(&lines, counts[i]);
            send_write(&b, version, lines.p);
            if (version == 2 && counts[i] == 100000) { /* references say more than a series may */
                assert_true(b.failed ? b.kind == ERR_LIMIT : b.outcome.rejected == 1);
            } else {
                assert_false(b.failed);
                assert_int_equal(b.outcome.taken, 1);
                assert_int_equal(b.outcome.rejected, 1);
                stored(&b, "good 2@" NOW "\n");
            }
            bench_close(&b);
        }
}

static void a_hundred_thousand_attributes_are_refused(void **state) {
    (void)state;
    struct bench b;
    AUTO_BUF struct buf any, entry, point, gauge, metric, scope, all, body;
    struct buf *const parts[] = {&any, &entry, &point, &gauge, &metric, &scope, &all, &body};
    char key[16];
    for (size_t i = 0; i < LENGTH(parts); i++) buf_init(parts[i], 64 * MIB);
    put_wire_fixed64(&point, 3, (uint64_t)NOW_MS * 1000000);
    put_wire_fixed64(&point, 4, 0);
    for (int i = 0; i < 100000; i++) {
        buf_clear(&any);
        buf_clear(&entry);
        snprintf(key, sizeof key, "k%d", i);
        put_wire_bytes(&any, 1, STR("v"));
        put_wire_bytes(&entry, 1, str_of(key));
        put_wire_bytes(&entry, 2, buf_str(&any));
        put_wire_bytes(&point, 7, buf_str(&entry));
    }
    put_wire_bytes(&gauge, 1, buf_str(&point));
    put_wire_bytes(&metric, 1, STR("m"));
    put_wire_bytes(&metric, 5, buf_str(&gauge));
    put_wire_bytes(&scope, 2, buf_str(&metric));
    put_wire_bytes(&all, 2, buf_str(&scope));
    put_wire_bytes(&body, 1, buf_str(&all));
    bench_open(&b);
    send(&b, INGEST_OTLP, "", buf_str(&body));
    fared(&b, 0, 1, "1: too many labels; metric \"m\"");
    stored(&b, "");
    bench_close(&b);
}

static void names_and_values_at_and_over_their_limits(void **state) {
    (void)state;
    static const struct {
        size_t metric, name, value;
        bool taken;
    } cases[] = {
        {LABEL_VALUE_BYTES_MAX, 1, 1, true},
        {LABEL_VALUE_BYTES_MAX + 1, 1, 1, false},
        {1, LABEL_NAME_BYTES_MAX, 1, true},
        {1, LABEL_NAME_BYTES_MAX + 1, 1, false},
        {1, 1, LABEL_VALUE_BYTES_MAX, true},
        {1, 1, LABEL_VALUE_BYTES_MAX + 1, false},
        {1, 1, 17 << 20, false},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct bench b;
        AUTO_BUF struct buf lines;
        buf_init(&lines, 64 * MIB);
        bench_open(&b);
        put_repeated(&lines, 'm', cases[i].metric);
        buf_add_byte(&lines, ' ');
        put_repeated(&lines, 'n', cases[i].name);
        buf_add_byte(&lines, '=');
        put_repeated(&lines, 'v', cases[i].value);
        buf_add_text(&lines, " 1@" NOW "\ngood 2@" NOW "\n");
        send_write(&b, 1, lines.p);
        if (b.failed || b.outcome.taken != 1u + cases[i].taken) fail_msg("case %zu: %s", i, b.text);
        assert_int_equal(b.outcome.rejected, !cases[i].taken);
        uint64_t for_labels = b.outcome.rejected_by[REASON_BAD_LABELS] + b.outcome.rejected_by[REASON_OVER_LIMIT];
        if (for_labels != !cases[i].taken) fail_msg("case %zu: %s", i, b.text);
        if (!cases[i].taken) assert_non_null(strstr(b.text, "label"));
        bench_close(&b);
    }
}

static void limits_of_series_name_the_offender(void **state) {
    (void)state;
    struct bench b;
    struct store_options options;
    AUTO_BUF struct buf lines;
    buf_init(&lines, MIB);
    bench_options(&options);
    options.series.series_max = 50;
    options.series.labels_max = 4;
    open_with(&b, &options, 1 << 30, 0, NULL);
    for (int i = 0; i < 60; i++) buf_add_fmt(&lines, "requests path=p%d 1@" NOW "\n", i);
    send_write(&b, 1, lines.p);
    assert_false(b.failed);
    assert_int_equal(b.outcome.taken, 50);
    assert_int_equal(b.outcome.rejected, 10);
    assert_int_equal(b.outcome.rejected_by[REASON_OVER_LIMIT], 10);
    assert_non_null(strstr(b.text, "requests"));
    assert_non_null(strstr(b.text, "path"));
    send_write(&b, 1, "requests path=p1 2@1700000001000\n"); /* one that is there goes on */
    fared(&b, 1, 0, "");
    bench_close(&b);
}

/* ---- labels that come again --------------------------------------------------------------------------------------------- */

static void send_to(struct bench *b, const char *tenant, const char *lines) {
    AUTO_BUF struct buf plain, packed;
    buf_init(&plain, MIB);
    buf_init(&packed, MIB);
    put_write_request(1, lines, &plain);
    snappy_block_write(buf_str(&plain), &packed);
    struct ingest_request request = {.tenant = str_of(tenant),
                                     .kind = INGEST_METRICS,
                                     .format = INGEST_WRITE_1,
                                     .encoding = STR("snappy"),
                                     .body = buf_str(&packed)};
    ingest_body(b->ingest, &request, on_done, b);
    while (store_pump(b->store, 0)) {}
}

/* Who knows labels from one tenant has told another one nothing of them: each has its own series, and its own limits. */
static void what_one_tenant_said_is_not_said_for_another(void **state) {
    (void)state;
    struct bench b;
    struct store_options options;
    bench_options(&options);
    options.series.series_max = 2;
    open_with(&b, &options, 1 << 30, 0, NULL);
    for (int i = 0; i < 3; i++) { /* from the second time on the decoder knows them */
        send_to(&b, "default", i == 0   ? "m a=1 1@" NOW "\nm a=2 1@" NOW "\n"
                               : i == 1 ? "m a=1 2@1700000001000\nm a=2 2@1700000001000\n"
                                        : "m a=1 3@1700000002000\nm a=2 3@1700000002000\n");
        fared(&b, 2, 0, "");
    }
    send_to(&b, "other", "m a=2 9@" NOW "\nm a=1 9@" NOW "\n");
    fared(&b, 2, 0, "");
    send_to(&b, "third", "m a=3 9@" NOW "\nm a=4 9@" NOW "\n");
    fared(&b, 2, 0, "");
    send_to(&b, "default", "m a=3 9@" NOW "\n"); /* known, but not to this tenant, which is at its limit */
    assert_int_equal(b.outcome.rejected, 1);
    stored(&b, "m{a=\"1\"} 1@" NOW " 2@1700000001000 3@1700000002000\n"
               "m{a=\"2\"} 1@" NOW " 2@1700000001000 3@1700000002000\n");
    bench_close(&b);
}

/* A request that finds no memory has decoders forget what they keep for speed. */
static void labels_are_forgotten_for_memory(void **state) {
    (void)state;
    struct bench b;
    AUTO_BUF struct buf lines;
    buf_init(&lines, MIB);
    bench_open(&b);
    for (int i = 0; i < 2000; i++) buf_add_fmt(&lines, "m a=%d 1@" NOW "\n", i);
    send_write(&b, 1, lines.p);
    fared(&b, 2000, 0, "");
    uint64_t used = budget_used(&b.budget), limit = b.budget.limit_bytes;
    b.budget.limit_bytes = used + KIB;
    send_write(&b, 1, "m a=1 1@" NOW "\n");
    failed(&b, ERR_BUSY, "memory.limit");
    assert_true(budget_used(&b.budget) + 15 * 32 * KIB <= used); /* of 16 pages */
    b.budget.limit_bytes = limit;
    send_write(&b, 1, "m a=1 1@" NOW "\n");
    fared(&b, 1, 0, "");
    bench_close(&b);
}

/* With rules nothing is kept as it came. */
static void rules_reach_labels_that_come_again(void **state) {
    (void)state;
    struct bench b;
    struct store_options options;
    struct redact_rules *rules;
    assert_null(redact_rules_parse(STR("redact:\n  - do: mask\n    key: user\n"), "test", &rules));
    bench_options(&options);
    open_with(&b, &options, 1 << 30, 0, rules);
    send_write(&b, 1, "m user=ann 1@" NOW "\n");
    send_write(&b, 1, "m user=ann 2@1700000001000\n");
    send_write(&b, 1, "m user=ann 3@1700000002000\n");
    fared(&b, 1, 0, "");
    stored(&b, "m{user=\"[redacted]\"} 1@" NOW " 2@1700000001000 3@1700000002000\n");
    struct ingest_stats s;
    ingest_get_stats(b.ingest, &s);
    assert_int_equal(s.redacted.changed[0], 3);
    bench_close(&b);
    redact_rules_free(rules);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_labels_cost_only_their_own_series),
        cmocka_unit_test(a_hundred_thousand_labels_are_refused),
        cmocka_unit_test(a_hundred_thousand_attributes_are_refused),
        cmocka_unit_test(names_and_values_at_and_over_their_limits),
        cmocka_unit_test(limits_of_series_name_the_offender),
        cmocka_unit_test(what_one_tenant_said_is_not_said_for_another),
        cmocka_unit_test(labels_are_forgotten_for_memory),
        cmocka_unit_test(rules_reach_labels_that_come_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
