/* Metrics that lie on their way in: histograms that contradict themselves, bodies that are no snappy, or far more than they seem. */
#include "ingest/points_testing_priv.h"

/* ---- histograms ------------------------------------------------------------------------------------------------- */

/* A Histogram of remote write: schema, one span of `length` buckets with these deltas, a count. */
static void put_native(struct buf *out, int version, int32_t schema, uint32_t length, const int *deltas, size_t n,
                       uint64_t count) {
    AUTO_BUF struct buf span, histogram, label, series, packed, symbols;
    struct buf *const parts[] = {&span, &histogram, &label, &series, &packed, &symbols};
    for (size_t i = 0; i < LENGTH(parts); i++) buf_init(parts[i], MIB);
    put_wire_varint(&histogram, 1, count);
    put_wire_fixed64(&histogram, 3, 0x4045000000000000);                                /* sum 42 */
    put_wire_varint(&histogram, 4, ((uint32_t)schema << 1 ^ (uint32_t)(schema >> 31))); /* zigzag */
    put_wire_varint(&span, 2, length);
    put_wire_bytes(&histogram, 11, buf_str(&span));
    for (size_t i = 0; i < n; i++)
        buf_add_byte(&packed, (char)((uint32_t)deltas[i] << 1 ^ (uint32_t)(deltas[i] >> 31)));
    put_wire_bytes(&histogram, 12, buf_str(&packed));
    put_wire_varint(&histogram, 15, NOW_MS);
    if (version == 1) {
        put_wire_bytes(&label, 1, STR("__name__"));
        put_wire_bytes(&label, 2, STR("h"));
        put_wire_bytes(&series, 1, buf_str(&label));
        put_wire_bytes(&series, 4, buf_str(&histogram));
        put_wire_bytes(out, 1, buf_str(&series));
        return;
    }
    put_wire_bytes(out, 4, STR(""));
    put_wire_bytes(out, 4, STR("__name__"));
    put_wire_bytes(out, 4, STR("h"));
    put_wire_bytes(&series, 1, STR("\1\2"));
    put_wire_bytes(&series, 3, buf_str(&histogram));
    put_wire_bytes(out, 5, buf_str(&series));
}

static void histograms_that_lie_are_refused(void **state) {
    (void)state;
    static const struct {
        int32_t schema;
        uint32_t length;
        int deltas[3];
        size_t n;
        uint64_t count;
        bool good;
    } cases[] = {
        {3, 3, {1, 1, -1}, 3, 4, true},    {8, 3, {1, 0, 0}, 3, 3, true},    {-4, 1, {2}, 1, 2, true},
        {9, 3, {1, 1, -1}, 3, 4, false},   {-5, 3, {1, 1, -1}, 3, 4, false}, {3, 4, {1, 1, -1}, 3, 4, false},
        {3, 2, {1, 1, -1}, 3, 4, false},   {3, 3, {1, -2, 1}, 3, 1, false},  {3, 3, {1, 1, -1}, 3, 3, false},
        {-53, 3, {1, 1, -1}, 3, 4, false}, {127, 1, {1}, 1, 1, false},       {3, UINT32_MAX, {1}, 1, 1, false},
    };
    for (int version = 1; version <= 2; version++)
        for (size_t i = 0; i < LENGTH(cases); i++) {
            struct bench b;
            AUTO_BUF struct buf plain, packed;
            buf_init(&plain, MIB);
            buf_init(&packed, MIB);
            bench_open(&b);
            put_native(&plain, version, cases[i].schema, cases[i].length, cases[i].deltas, cases[i].n, cases[i].count);
            snappy_block_write(buf_str(&plain), &packed);
            send(&b, version == 1 ? INGEST_WRITE_1 : INGEST_WRITE_2, "snappy", buf_str(&packed));
            if (b.failed) fail_msg("case %zu: %s", i, b.text);
            assert_int_equal(b.outcome.taken, cases[i].good);
            assert_int_equal(b.outcome.histograms, cases[i].good);
            assert_int_equal(b.outcome.samples, 0);
            assert_int_equal(b.outcome.rejected_by[REASON_BAD_HISTOGRAM], !cases[i].good);
            stored(&b, cases[i].good ? "h histogram@" NOW "\n" : "");
            bench_close(&b);
        }
}

/* ---- bodies that lie -------------------------------------------------------------------------------------------- */

static void put_varint(struct buf *b, uint64_t v) {
    for (; v >= 0x80; v >>= 7) buf_add_byte(b, (char)(v | 0x80));
    buf_add_byte(b, (char)v);
}

static void snappy_that_is_none_is_refused(void **state) {
    (void)state;
    struct bench b;
    AUTO_BUF struct buf plain, packed, framed;
    buf_init(&plain, MIB);
    buf_init(&packed, MIB);
    buf_init(&framed, MIB);
    bench_open(&b);
    put_write_request(1, "m a=1 1@" NOW "\nm a=2 2@" NOW "\n", &plain);
    snappy_block_write(buf_str(&plain), &packed);
    struct str whole = buf_str(&packed);
    for (size_t n = 0; n < whole.n; n++) {
        send(&b, INGEST_WRITE_1, "snappy", (struct str){whole.p, n});
        failed(&b, ERR_INVALID, "snappy");
    }
    send(&b, INGEST_WRITE_1, "snappy", buf_str(&plain)); /* not packed at all */
    assert_true(b.failed);
    buf_add(&framed, "\xff\x06\x00\x00sNaPpY\x01", 11); /* the format of streams */
    buf_add_str(&framed, whole);
    send(&b, INGEST_WRITE_1, "snappy", buf_str(&framed));
    failed(&b, ERR_INVALID, "snappy");
    send(&b, INGEST_WRITE_2, "snappy", whole);
    failed(&b, ERR_INVALID, "remote write 1.0");
    stored(&b, "");
    bench_close(&b);
}

static void every_prefix_of_a_request_is_harmless(void **state) {
    (void)state;
    for (int version = 1; version <= 2; version++) {
        struct bench b;
        AUTO_BUF struct buf plain, packed;
        buf_init(&plain, MIB);
        buf_init(&packed, MIB);
        bench_open(&b);
        put_write_request(version, "m a=1 b=c 1@" NOW " 2@1700000001000\n", &plain);
        for (size_t n = 1; n < plain.n; n++) {
            buf_clear(&packed);
            snappy_block_write((struct str){plain.p, n}, &packed);
            send(&b, version == 1 ? INGEST_WRITE_1 : INGEST_WRITE_2, "snappy", buf_str(&packed));
            if (version == 1) failed(&b, ERR_INVALID, "");
        }
        stored(&b, "");
        bench_close(&b);
    }
}

static void snappy_bombs_cost_no_memory(void **state) {
    (void)state;
    static const uint64_t stated[] = {1 << 20, 63 << 20, 65 << 20, UINT32_MAX};
    for (size_t i = 0; i < LENGTH(stated); i++) {
        struct bench b;
        struct store_options options;
        AUTO_BUF struct buf body;
        buf_init(&body, MIB);
        bench_options(&options);
        open_with(&b, &options, 1 << 30, 0, NULL);
        put_varint(&body, stated[i]);
        put_repeated(&body, '\xfe', 1000); /* copies of what is not there */
        send(&b, INGEST_WRITE_1, "snappy", buf_str(&body));
        failed(&b, stated[i] > 64 << 20 ? ERR_LIMIT : ERR_INVALID, "");
        /* no more than the block's bytes can hold, 64 each, and what the whole limit is drawn for if they lie */
        assert_true(atomic_load(&b.budget.peak_bytes) - b.base_bytes <= 64 << 20);
        bench_close(&b);
    }
}

/* A real bomb: 60 MiB of one repeated sample in 3 MiB; what it means is under the limits, what it takes is drawn from the budget. */
static void a_real_bomb_is_over_the_budget(void **state) {
    (void)state;
    struct bench b;
    struct store_options options;
    AUTO_BUF struct buf plain, packed;
    buf_init(&plain, 64 * MIB);
    buf_init(&packed, 128 * MIB);
    buf_reserve(&plain, 60 * MIB);
    memset(plain.p, 0, 60 * MIB);
    plain.n = 60 * MIB;
    snappy_block_write(buf_str(&plain), &packed);
    bench_options(&options);
    open_with(&b, &options, 16 * MIB, 0, NULL);
    send(&b, INGEST_WRITE_1, "snappy", buf_str(&packed));
    failed(&b, ERR_BUSY, "");
    assert_true(atomic_load(&b.budget.peak_bytes) - b.base_bytes <= 16 * MIB);
    bench_close(&b);
    open_with(&b, &options, 1 << 30, MIB, NULL);
    send(&b, INGEST_WRITE_1, "snappy", buf_str(&packed));
    failed(&b, ERR_LIMIT, "the body is larger than 1 MiB");
    bench_close(&b);
}

static void a_block_that_unpacks_to_much_is_not_small(void **state) {
    (void)state;
    struct bench b;
    AUTO_BUF struct buf plain, packed;
    buf_init(&plain, 4 * MIB);
    buf_init(&packed, 4 * MIB);
    while (plain.n < 3 * MIB) buf_add_str(&plain, STR("\x0a\x00"));
    snappy_block_write(buf_str(&plain), &packed);
    bench_open(&b);
    struct ingest_request request = {.tenant = STR("default"),
                                     .kind = INGEST_METRICS,
                                     .format = INGEST_WRITE_1,
                                     .encoding = STR("snappy"),
                                     .body = buf_str(&packed)};
    assert_true(packed.n < MIB);
    assert_false(ingest_body_if_small(b.ingest, &request, on_done, &b));
    assert_int_equal(b.calls, 0);
    assert_int_equal(budget_used(&b.budget), b.base_bytes);
    bench_close(&b);
}

/* What a body takes of the budget is what it states, however large a body may be; so it fits where little is left. */
static void an_honest_block_takes_what_it_states(void **state) {
    (void)state;
    for (int version = 1; version <= 2; version++) {
        struct bench b;
        struct store_options options;
        AUTO_BUF struct buf plain, packed;
        buf_init(&plain, MIB);
        buf_init(&packed, MIB);
        put_write_request(version, "up job=a 1@" NOW "\n", &plain);
        snappy_block_write(buf_str(&plain), &packed);
        bench_options(&options);
        open_with(&b, &options, 1 << 30, 0, NULL);
        struct ingest_request request = {.tenant = STR("default"),
                                         .kind = INGEST_METRICS,
                                         .format = version == 1 ? INGEST_WRITE_1 : INGEST_WRITE_2,
                                         .encoding = STR("snappy"),
                                         .body = buf_str(&packed)};
        assert_true(ingest_body_if_small(b.ingest, &request, on_done, &b));
        while (store_pump(b.store, 0)) {}
        fared(&b, 1, 0, "");
        uint64_t slack = b.budget.limit_bytes / 8; /* that the store asks for beside, for a moment */
        assert_in_range(atomic_load(&b.budget.peak_bytes) - b.base_bytes - slack, 1, 2 * MIB);
        b.budget.limit_bytes = (budget_used(&b.budget) + 2 * MIB) / 7 * 8;
        send_write(&b, version, "up job=a 2@1700000001000\n");
        fared(&b, 1, 0, "");
        stored(&b, "up{job=\"a\"} 1@" NOW " 2@1700000001000\n");
        bench_close(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(histograms_that_lie_are_refused),
        cmocka_unit_test(snappy_that_is_none_is_refused),
        cmocka_unit_test(every_prefix_of_a_request_is_harmless),
        cmocka_unit_test(snappy_bombs_cost_no_memory),
        cmocka_unit_test(a_real_bomb_is_over_the_budget),
        cmocka_unit_test(a_block_that_unpacks_to_much_is_not_small),
        cmocka_unit_test(an_honest_block_takes_what_it_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
