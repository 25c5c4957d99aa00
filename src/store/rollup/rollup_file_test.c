/* Keys, tallies and files of rollups by themselves: what goes in comes out, limits on names, and bytes that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "os/sim/sim.h"
#include "signal/testing.h"
#include "store/rollup/file_priv.h"
#include "store/rollup/tally_testing_priv.h"

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        err ok_ = (call);                                                                                              \
        if (ok_) fail_msg("%s", err_text(ok_));                                                                        \
    } while (0)

static struct rollup_key span_key(struct str service, struct str operation) {
    struct rollup_key key = {.view = ROLLUP_SPANS, .kind = 2};
    key.texts[ROLLUP_ENVIRONMENT] = STR("default");
    key.texts[ROLLUP_SERVICE] = service;
    key.texts[ROLLUP_OPERATION] = operation;
    return key;
}

static void add_call(struct tally *t, struct str service, struct str operation, int64_t start_ns,
                     uint64_t duration_ns) {
    struct rollup_key key = span_key(service, operation);
    struct rollup_call call = {
        .start_ns = start_ns, .duration_ns = duration_ns, .failed = duration_ns % 3 == 0, .span_id = duration_ns};
    memcpy(call.trace_id, "0123456789abcdef", 16);
    rollup_sink_add(&t->sink, rollup_sink_key(&t->sink, &key), &call);
}

static void fill(struct tally *t, uint64_t seed, uint32_t calls, int64_t span_ns) {
    struct chance c = {seed};
    for (uint32_t i = 0; i < calls; i++) {
        char name[16];
        snprintf(name, sizeof name, "op %u", chance_below(&c, 9));
        add_call(t, chance_one_in(&c, 2) ? STR("shop") : STR("cart"), str_of(name),
                 first_ns + (int64_t)(chance_next(&c) % (uint64_t)span_ns),
                 chance_next(&c) >> (20 + chance_below(&c, 44)) >> 10);
    }
}

/* ---- keys ------------------------------------------------------------------------------------------------------- */

static int sign(int v) { return (v > 0) - (v < 0); }

static void test_keys_compare_as_their_bytes(void **state) {
    static const struct str texts[] = {STR(""),    STR("\0"),   STR("\0\0"),  STR("\0a"), STR("a"),
                                       STR("a\0"), STR("a\0b"), STR("a\xff"), STR("ab"),  STR("\xff")};
    (void)state;
    struct chance c = {4};
    for (int round = 0; round < 20000; round++) {
        struct rollup_key key[2], back;
        struct buf bytes[2];
        AUTO_ARENA struct arena a;
        arena_init(&a, MIB);
        for (int k = 0; k < 2; k++) {
            key[k] = (struct rollup_key){.view = (uint8_t)chance_below(&c, 2),
                                         .kind = (uint8_t)chance_below(&c, 2),
                                         .status = (uint8_t)chance_below(&c, 2)};
            for (int i = 0; i < ROLLUP_TEXTS; i++) key[k].texts[i] = texts[chance_below(&c, LENGTH(texts))];
            buf_init(&bytes[k], MIB);
            rollup_key_write(&key[k], &bytes[k]);
            assert_true(rollup_key_read(buf_str(&bytes[k]), &a, &back));
            assert_int_equal(rollup_key_compare(&key[k], &back), 0);
            assert_false(rollup_key_read((struct str){bytes[k].p, bytes[k].n - 1}, &a, &back));
        }
        assert_int_equal(sign(str_compare(buf_str(&bytes[0]), buf_str(&bytes[1]))),
                         sign(rollup_key_compare(&key[0], &key[1])));
        for (int k = 0; k < 2; k++) buf_done(&bytes[k]);
    }
}

static void test_buckets(void **state) {
    (void)state;
    assert_int_equal(rollup_bucket_of(0), 0);
    assert_int_equal(rollup_bucket_of(1), 1);
    assert_int_equal(rollup_bucket_of(2), 9);
    struct chance c = {5};
    for (int i = 0; i < 100000; i++) {
        uint64_t ns = chance_next(&c) >> (14 + chance_below(&c, 50));
        uint32_t b = rollup_bucket_of(ns);
        assert_true(b < ROLLUP_BUCKETS);
        if (ns)
            assert_true((double)ns <= rollup_bucket_upper_ns(b) &&
                        (b == 1 || (double)ns > rollup_bucket_upper_ns(b - 1)));
    }
}

/* ---- limits ----------------------------------------------------------------------------------------------------- */

static void test_names_over_the_limits_are_other(void **state) {
    (void)state;
    struct rollup_names names;
    struct tally t;
    char text[32];
    uint64_t other = 0, all = 0;
    rollup_names_init(&names);
    tally_init(&t, &names, rollup_minute_ns);
    for (uint32_t i = 0; i < 3000; i++) {
        snprintf(text, sizeof text, "/order/%u", i);
        add_call(&t, STR("shop"), str_of(text), first_ns, 7);
        snprintf(text, sizeof text, "peer %u", i);
        add_call(&t, STR("cart"), i % 2 ? STR("a") : STR("b"), first_ns, 7);
    }
    assert_int_equal(t.keys.n, ROLLUP_OPERATIONS_MAX + 1 + 2);
    for (size_t i = 0; i < t.rows.n; i++) {
        struct rollup_key key;
        AUTO_ARENA struct arena a;
        arena_init(&a, MIB);
        assert_true(rollup_key_read(strings_get(&t.keys, t.rows.v[i].key), &a, &key));
        all += t.rows.v[i].calls;
        if (str_equal(key.texts[ROLLUP_OPERATION], STR(ROLLUP_OTHER))) other += t.rows.v[i].calls;
    }
    assert_int_equal(all, 6000);
    assert_int_equal(other, 3000 - ROLLUP_OPERATIONS_MAX);
    tally_done(&t);
    tally_init(&t, &names, rollup_minute_ns); /* those that were first stay, whoever asks */
    add_call(&t, STR("shop"), STR("/order/999"), first_ns, 7);
    add_call(&t, STR("shop"), STR("/order/1000"), first_ns, 7);
    add_call(&t, STR("shop"), STR("/order/1001"), first_ns, 7);
    assert_int_equal(t.rows.n, 2);
    tally_done(&t);
    rollup_names_done(&names);
}

static void test_edges_over_the_limit_are_other(void **state) {
    (void)state;
    struct tally t;
    struct rollup_names names;
    char text[32];
    rollup_names_init(&names);
    tally_init(&t, &names, rollup_minute_ns);
    for (uint32_t i = 0; i < ROLLUP_EDGES_MAX + 500; i++) {
        snprintf(text, sizeof text, "s%u", i);
        add_half(&t, false, 1 + i, STR("gateway"));
        add_half(&t, true, 1 + i, str_of(text));
    }
    tally_pair(&t);
    assert_int_equal(t.servers.n, 0);
    assert_int_equal(t.keys.n, 2 * (ROLLUP_EDGES_MAX + 1));
    tally_done(&t);
    rollup_names_done(&names);
}

/* ---- halves that wait ------------------------------------------------------------------------------------------- */

static void test_the_oldest_halves_go_first(void **state) {
    (void)state;
    struct tally t;
    tally_init(&t, NULL, rollup_minute_ns);
    arrive(&t, true, 1000, 50, 10);
    arrive(&t, false, 2000, 5, 20);
    arrive(&t, true, 3000, 5, 30);
    assert_int_equal(tally_expire(&t, 0, 20), 40);
    assert_int_equal(t.clients.n, 5); /* newer than the servers that went, though they stand before them */
    assert_int_equal(t.servers.n, 15);
    assert_int_equal(t.rows.n, 0);
    assert_int_equal(tally_expire(&t, 25, 20),
                     0); /* what has waited long enough goes, too; a client as a call of its peer */
    assert_int_equal(t.clients.n, 0);
    assert_int_equal(t.servers.n, 5);
    assert_int_equal(t.rows.v[0].calls, 5);
    tally_done(&t);
}

/* Those of the time that is given, as many as there is room for; not those that wait already, and not those that found a server. */
static void test_clients_wait_again_while_there_is_room(void **state) {
    (void)state;
    struct tally t, waiting;
    const struct tally_again again = {first_ns + 10, first_ns + 30, 77, 8};
    tally_init(&t, NULL, rollup_minute_ns);
    tally_init(&waiting, NULL, rollup_minute_ns);
    arrive(&waiting, true, 1000, 2, 1);
    add_half(&waiting, false, 12, STR("web"));
    for (uint64_t i = 5; i <= 35; i++) add_half(&t, false, i, STR("shop"));
    for (uint64_t i = 14; i < 16; i++) add_half(&t, true, i, STR("pay"));
    tally_pair(&t);
    tally_clear_rows(&t);
    assert_int_equal(tally_settle(&t, &waiting, &again), 5); /* 10, 11, 13, 16, 17 */
    assert_int_equal(waiting.clients.n, 6);
    assert_true(waiting.clients.v[5].call.start_ns == first_ns + 17 && waiting.clients.v[5].arrived_ns == 77);
    assert_true(str_equal(strings_get(&waiting.parties, waiting.clients.v[5].peer), STR("peer")));
    assert_int_equal(t.rows.n, 1);
    assert_int_equal(t.rows.v[0].calls, 31 - 5 - 1 - 2);
    assert_int_equal(tally_settle(&t, &waiting, &again), 0); /* they are known to wait now */
    tally_done(&t);
    tally_done(&waiting);
}

/* Whichever of them came before the server, and whichever was matched already where it comes from. */
static void test_clients_of_one_span_are_matched_together(void **state) {
    (void)state;
    struct tally t, later;
    tally_init(&t, NULL, rollup_minute_ns);
    tally_init(&later, NULL, rollup_minute_ns);
    for (int i = 0; i < 2; i++) {
        add_half(&t, false, 1, STR("web"));
        add_half(&t, false, 2, STR("web"));
        if (i == 0) add_half(&t, true, 1, STR("shop"));
        tally_pair(&t);
    }
    assert_true(t.clients.v[0].is_matched && t.clients.v[2].is_matched);
    assert_false(t.clients.v[1].is_matched || t.clients.v[3].is_matched);
    t.clients.v[0].is_remembered = true;
    add_half(&later, false, 1, STR("web"));
    tally_pair(&later);
    assert_false(later.clients.v[0].is_matched);
    tally_add_open_halves(&later, &t, 1);
    assert_int_equal(later.clients.n, 1 + 3); /* one that is matched and not remembered stays behind */
    tally_pair(&later);
    assert_true(later.clients.v[0].is_matched);
    tally_count_unmatched(&later, INT64_MAX);
    assert_int_equal(later.rows.v[0].calls, 2);
    tally_done(&t);
    tally_done(&later);
}

/* ---- plain halves and parents ----------------------------------------------------------------------------------- */

static void test_a_parent_of_another_service_is_an_edge(void **state) {
    (void)state;
    struct tally t;
    tally_init(&t, NULL, rollup_minute_ns);
    add_parent(&t, 1, STR("web"));
    add_parent(&t, 2, STR("cart"));
    add_half(&t, true, 1, STR("cart")); /* by a span that is no client: as the server saw it */
    add_half(&t, true, 2, STR("cart")); /* within a service */
    add_half(&t, true, 3, STR("cart")); /* whose parent comes later */
    add_plain(&t, 1, STR("pay"));
    add_plain(&t, 4, STR("web")); /* of a client of its own service, which has called nobody by that */
    add_half(&t, false, 4, STR("web"));
    add_plain(&t, 5, STR("pay")); /* of a client of another: both saw it */
    add_half(&t, false, 5, STR("web"));
    tally_pair(&t);
    tally_pair_parents(&t);
    assert_int_equal(all_calls(&t), 1 + 1 + 2);
    assert_int_equal(t.servers.n, 1);
    assert_false(t.clients.v[0].is_matched);
    assert_true(t.clients.v[1].is_matched);
    add_parent(&t, 3, STR("web"));
    tally_pair(&t);
    tally_pair_parents(&t);
    assert_int_equal(all_calls(&t), 5);
    add_half(&t, true, 1, STR("ship")); /* whose parent came long before */
    tally_pair(&t);
    tally_pair_parents(&t);
    assert_int_equal(all_calls(&t), 6);
    assert_int_equal(t.servers.n, 0);
    tally_done(&t);
}

static void arrive_plain(struct tally *t, uint64_t first, uint64_t n, int64_t arrived_ns) {
    for (uint64_t i = 0; i < n; i++) {
        add_plain(t, first + i, STR("shop"));
        t->servers.v[t->servers.n - 1].arrived_ns = arrived_ns;
        add_parent(t, 1000000 + first + i, STR("shop"));
        t->parents.v[t->parents.n - 1].arrived_ns = arrived_ns;
    }
}

/* Plain halves and parents never take the place of others: they have what is left, and of that so many at most. */
static void test_plain_halves_have_the_room_that_is_left(void **state) {
    (void)state;
    struct tally t;
    tally_init(&t, NULL, rollup_minute_ns);
    arrive_plain(&t, 0, WAITING_PLAIN_MAX + 100, 10);
    arrive(&t, true, 5000000, 50, 10);
    assert_int_equal(tally_expire(&t, 0, 65536), 0);
    assert_int_equal(t.servers.n, 50 + WAITING_PLAIN_MAX);
    assert_int_equal(t.parents.n, WAITING_PLAIN_MAX);
    assert_true(t.servers.v[0].call.start_ns == first_ns + 100); /* the newest are left */
    assert_int_equal(tally_expire(&t, 0, 80), 0);
    assert_int_equal(t.servers.n, 50 + 30);
    assert_int_equal(t.parents.n, 0);
    arrive(&t, false, 6000000, 50, 20);
    arrive_plain(&t, 7000000, 5, 20);
    assert_int_equal(tally_expire(&t, 0, 80), 20); /* of those that are not plain: the oldest, which are servers */
    assert_int_equal(t.clients.n, 50);
    assert_int_equal(t.servers.n, 30);
    assert_false(t.servers.v[0].is_plain);
    assert_int_equal(t.parents.n, 0);
    arrive_plain(&t, 8000000, 5, 30);
    assert_int_equal(tally_expire(&t, 25, 80), 0); /* what has waited long enough goes, too */
    assert_int_equal(t.servers.n, 5);
    assert_int_equal(t.parents.n, 5);
    tally_done(&t);
}

static uint32_t features_written(const struct tally *t, struct tally *out_read) {
    struct rollup_writer *writer;
    struct rollup_info info;
    struct rollup_file *f;
    struct scan_stats stats = {0};
    uint64_t bad = 0;
    AUTO_BUF struct buf said;
    sim_reset(1);
    buf_init(&said, MIB);
    OK(rollup_writer_new("p", 7, &writer));
    OK(rollup_writer_put_halves(writer, t));
    OK(rollup_writer_finish(writer, &info));
    rollup_writer_free(writer);
    OK(rollup_file_check("p", &said, &bad));
    assert_int_equal(bad, 0);
    OK(rollup_file_open("p", &f));
    tally_init(out_read, NULL, rollup_minute_ns);
    OK(rollup_file_read_halves(f, NULL, out_read, &stats));
    assert_int_equal(stats.bad_blocks, 0);
    uint32_t features = ((const struct rollup_header *)(const void *)f->map.p)->features;
    rollup_file_unref(f);
    return features;
}

/* A file with plain halves has a bit that a clew of before does not know, and refuses; one without has not. */
static void test_plain_halves_are_in_files(void **state) {
    (void)state;
    struct tally t, read;
    tally_init(&t, NULL, rollup_minute_ns);
    add_half(&t, true, 1, STR("shop"));
    add_half(&t, false, 2, STR("shop"));
    assert_int_equal(features_written(&t, &read), ROLLUP_BY_SERVICE);
    tally_done(&read);
    add_plain(&t, 3, STR("cart"));
    t.servers.v[1].connection = ROLLUP_MESSAGING;
    add_parent(&t, 4, STR("web"));
    t.parents.v[0].arrived_ns = 77;
    assert_int_equal(features_written(&t, &read), ROLLUP_BY_SERVICE | ROLLUP_PLAIN_HALVES);
    assert_int_equal(read.clients.n, 1);
    assert_int_equal(read.servers.n, 2);
    assert_true(!read.servers.v[0].is_plain && read.servers.v[1].is_plain);
    assert_int_equal(read.servers.v[1].connection, ROLLUP_MESSAGING);
    assert_int_equal(read.parents.n, 1);
    assert_true(read.parents.v[0].key == t.parents.v[0].key && read.parents.v[0].arrived_ns == 77 &&
                read.parents.v[0].start_minute == t.parents.v[0].start_minute);
    tally_done(&read);
    tally_done(&t);
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

struct written {
    struct tally t;
    struct rollup_info info;
    struct buf bytes;
};

static void write_all(struct written *w, uint64_t seed, uint32_t calls, int64_t span_ns) {
    struct rollup_writer *writer;
    sim_reset(seed);
    tally_init(&w->t, NULL, rollup_minute_ns);
    fill(&w->t, seed, calls, span_ns);
    for (uint64_t i = 0; i < 20; i++) add_half(&w->t, i % 3 == 0, 100 + i, i % 2 ? STR("shop") : STR("cart"));
    OK(rollup_writer_new("p", 7, &writer));
    OK(rollup_writer_put(writer, &w->t, INT64_MIN, INT64_MAX, true));
    OK(rollup_writer_put_halves(writer, &w->t));
    OK(rollup_writer_finish(writer, &w->info));
    rollup_writer_free(writer);
    buf_init(&w->bytes, 64 * MIB);
    OK(file_read_all("p", 64 * MIB, &w->bytes));
    assert_int_equal(w->bytes.n, w->info.bytes);
}

static void written_done(struct written *w) {
    tally_done(&w->t);
    buf_done(&w->bytes);
}

static uint64_t read_calls(const struct rollup_file *f, int64_t step_ns, int64_t from, int64_t to,
                           struct scan_stats *stats, size_t *out_rows) {
    struct rollup_request r = {.views = {true, true, true}, .time_min = from, .time_max = to};
    struct tally t;
    uint64_t calls = 0;
    tally_init(&t, NULL, step_ns);
    OK(rollup_file_read(f, &r, &t, stats));
    for (size_t i = 0; i < t.rows.n; i++) calls += t.rows.v[i].calls;
    *out_rows = t.rows.n;
    tally_done(&t);
    return calls;
}

static void test_a_file_has_what_was_written(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct written w;
        struct rollup_file *f;
        struct scan_stats stats = {0};
        struct tally halves;
        size_t rows;
        uint32_t calls = seed == 1 ? 1 : 4000;
        write_all(&w, seed, calls, seed % 2 ? (int64_t)5 * 3600 * 1000000000 : (int64_t)90 * 1000000000);
        OK(rollup_file_open("p", &f));
        assert_int_equal(read_calls(f, rollup_minute_ns, INT64_MIN, INT64_MAX, &stats, &rows), calls);
        assert_int_equal(rows, w.t.rows.n);
        assert_int_equal(read_calls(f, 0, INT64_MIN, INT64_MAX, &stats, &rows), calls);
        uint64_t sum = 0, scanned = stats.rows_scanned;
        for (int64_t hour = 0; hour < 6; hour++)
            sum += read_calls(f, rollup_hour_ns, first_ns + hour * rollup_hour_ns,
                              first_ns + (hour + 1) * rollup_hour_ns - 1, &stats, &rows);
        assert_int_equal(sum, calls);
        assert_true(calls == 1 || stats.rows_scanned - scanned < w.info.rows); /* hours were read as such */
        tally_init(&halves, NULL, rollup_minute_ns);
        OK(rollup_file_read_halves(f, NULL, &halves, &stats));
        assert_int_equal(halves.clients.n + halves.servers.n, 20);
        assert_int_equal(stats.bad_blocks, 0);
        tally_done(&halves);
        rollup_file_unref(f);
        written_done(&w);
    }
}

static uint64_t calls_of(const struct tally *t) {
    uint64_t calls = 0;
    for (size_t i = 0; i < t->rows.n; i++) calls += t->rows.v[i].calls;
    return calls;
}

/* Of a file's halves those are kept that may find one of these in memory, and the others counted: it comes to what all of them come to. */
static void test_halves_that_nobody_waits_for_are_counted_at_once(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct written w;
        struct rollup_file *f;
        struct scan_stats stats = {0};
        struct half_filter filter;
        struct tally memory, some, all;
        int64_t before = seed % 3 ? INT64_MAX : first_ns + 110;
        write_all(&w, seed, 1, rollup_hour_ns);
        OK(rollup_file_open("p", &f));
        tally_init(&memory, NULL, rollup_minute_ns);
        tally_init(&some, NULL, rollup_minute_ns);
        tally_init(&all, NULL, rollup_minute_ns);
        for (uint64_t i = 0; i < seed % 20; i++) add_half(&memory, i % 2, 100 + (i * 7 + seed) % 40, STR("web"));
        half_filter_init(&filter, memory.clients.n + memory.servers.n, before);
        half_filter_add(&filter, &memory);
        OK(rollup_file_read_halves(f, &filter, &some, &stats));
        OK(rollup_file_read_halves(f, NULL, &all, &stats));
        assert_int_equal(all.clients.n + all.servers.n, 20);
        assert_true(some.clients.n + some.servers.n <= memory.clients.n + memory.servers.n + 10);
        struct tally *both[] = {&some, &all};
        for (int i = 0; i < 2; i++) {
            tally_add_open_halves(both[i], &memory, 1);
            tally_pair(both[i]);
            tally_pair_with(both[i], &memory);
            tally_count_unmatched(both[i], before);
        }
        assert_int_equal(calls_of(&some), calls_of(&all));
        assert_int_equal(some.rows.n, all.rows.n);
        assert_int_equal(some.keys.n, all.keys.n);
        half_filter_done(&filter);
        tally_done(&memory);
        tally_done(&some);
        tally_done(&all);
        rollup_file_unref(f);
        written_done(&w);
    }
}

/* Every byte flipped, every length cut: it is refused or named, or the answer is right. */
static void test_damage_is_named(void **state) {
    (void)state;
    struct written w;
    size_t rows;
    write_all(&w, 3, 60, (int64_t)90 * 1000000000);
    AUTO_FREE char *bytes = mem_new(w.bytes.n + 8);
    for (size_t i = 0; i < 2 * w.bytes.n; i++) {
        bool cut = i >= w.bytes.n;
        struct rollup_file *f;
        memcpy(bytes, w.bytes.p, w.bytes.n);
        if (!cut) bytes[i] ^= (char)(1 << i % 8);
        err e = rollup_file_open_bytes((struct str){bytes, cut ? i - w.bytes.n : w.bytes.n}, false, &f);
        if (e) {
            err_free(e);
            continue;
        }
        assert_false(cut);
        struct scan_stats stats = {0};
        struct tally halves;
        tally_init(&halves, NULL, rollup_minute_ns);
        uint64_t calls = read_calls(f, rollup_minute_ns, INT64_MIN, INT64_MAX, &stats, &rows);
        OK(rollup_file_read_halves(f, NULL, &halves, &stats));
        struct rollup_request services = {.views = {true}, .time_max = INT64_MAX, .by_service = true};
        uint64_t by_service = 0;
        struct tally t;
        tally_init(&t, NULL, i % 3 == 0 ? 0 : i % 3 == 1 ? rollup_hour_ns : rollup_minute_ns);
        OK(rollup_file_read(f, &services, &t, &stats));
        for (size_t k = 0; k < t.rows.n; k++) by_service += t.rows.v[k].calls;
        tally_done(&t);
        if (stats.bad_blocks == 0 && (calls != 60 || by_service != 60 || halves.clients.n + halves.servers.n != 20))
            fail_msg("byte %zu", i);
        tally_done(&halves);
        rollup_file_unref(f);
    }
    written_done(&w);
}

/* ---- by service ------------------------------------------------------------------------------------------------- */

/* The file as a clew wrote it that had no rows by service: without those frames, and their bit. */
static struct str without_services(const struct buf *bytes, char *out) {
    struct rollup_header header;
    struct rollup_footer footer;
    memcpy(&header, bytes->p, sizeof header);
    memcpy(&footer, bytes->p + bytes->n - sizeof footer, sizeof footer);
    assert_int_equal(header.features, ROLLUP_BY_SERVICE);
    header.features = 0;
    header.checksum = hash_bytes(&header, offsetof(struct rollup_header, checksum));
    memcpy(out, bytes->p, footer.table_offset);
    memcpy(out, &header, sizeof header);
    const struct rollup_frame *frames = (const void *)(bytes->p + footer.table_offset);
    struct rollup_frame *left = (void *)(out + footer.table_offset);
    uint64_t n = 0;
    for (uint64_t i = 0; i < footer.frames; i++)
        if (frames[i].kind < FRAME_SERVICES) left[n++] = frames[i];
    assert_true(n < footer.frames);
    footer.frames = n;
    footer.table_checksum = hash_bytes(left, n * sizeof *left);
    footer.file_size = footer.table_offset + n * sizeof *left + sizeof footer;
    footer.checksum = hash_bytes(&footer, offsetof(struct rollup_footer, checksum));
    memcpy(left + n, &footer, sizeof footer);
    return (struct str){out, footer.file_size};
}

/* Rows of an hour in three pieces, others as they are. */
static void write_in_pieces(const struct tally *t, struct buf *out) {
    struct rollup_writer *writer;
    struct rollup_info info;
    int64_t third = rollup_hour_ns / 3;
    sim_reset(1);
    OK(rollup_writer_new("p", 7, &writer));
    for (int64_t k = 0; k < 3; k++)
        OK(rollup_writer_put(writer, t, first_ns + k * third, first_ns + (k + 1) * third - 1, false));
    OK(rollup_writer_put(writer, t, first_ns + rollup_hour_ns, INT64_MAX, true));
    OK(rollup_writer_finish(writer, &info));
    rollup_writer_free(writer);
    OK(file_read_all("p", 64 * MIB, out));
    uint64_t bad = 0;
    AUTO_BUF struct buf said;
    buf_init(&said, MIB);
    OK(rollup_file_check("p", &said, &bad));
    assert_int_equal(bad, 0);
}

static void assert_same_row(const struct tally *a, const struct tally_row *x, struct tally *b) {
    const struct tally_row *y = tally_row_at(b, tally_key_of_bytes(b, strings_get(&a->keys, x->key)), x->time_ns);
    assert_int_equal(x->calls, y->calls);
    assert_int_equal(x->errors, y->errors);
    assert_int_equal(x->sum_ns, y->sum_ns);
    assert_int_equal(x->last_ns, y->last_ns);
    assert_int_equal(x->exemplar.duration_ns, y->exemplar.duration_ns);
    assert_int_equal(x->exemplar.start_ns, y->exemplar.start_ns);
    for (uint32_t i = 0; i < ROLLUP_BUCKETS; i++) {
        bool in_x = i >= x->bucket_first && i < x->bucket_first + x->bucket_count;
        bool in_y = i >= y->bucket_first && i < y->bucket_first + y->bucket_count;
        assert_int_equal(in_x ? x->buckets[i - x->bucket_first] : 0, in_y ? y->buckets[i - y->bucket_first] : 0);
    }
}

static void compare_services(const struct rollup_file *f, const struct rollup_file *before, struct chance *c) {
    static const int64_t steps[] = {0, 60000000000, 300000000000, 3600000000000, 7200000000000, 86400000000000};
    struct rollup_request r = {.views = {true}, .time_min = INT64_MIN, .time_max = INT64_MAX, .by_service = true};
    struct scan_stats stats = {0}, stats_before = {0};
    struct tally t, expected;
    int64_t step = steps[chance_below(c, LENGTH(steps))];
    if (chance_one_in(c, 2)) r.time_min = first_ns + (int64_t)chance_below(c, 3 * 1440) * rollup_minute_ns;
    if (chance_one_in(c, 2)) r.time_max = first_ns + (int64_t)chance_below(c, 3 * 1440) * rollup_minute_ns + 17;
    if (chance_one_in(c, 4)) r.service = STR("cart");
    tally_init(&t, NULL, step);
    tally_init(&expected, NULL, step);
    OK(rollup_file_read(f, &r, &t, &stats));
    OK(rollup_file_read(before, &r, &expected, &stats_before));
    assert_int_equal(stats.bad_blocks + stats_before.bad_blocks, 0);
    assert_true(stats.rows_scanned <= stats_before.rows_scanned || stats.rows_scanned < 200);
    assert_int_equal(t.rows.n, expected.rows.n);
    for (size_t i = 0; i < t.rows.n; i++) assert_same_row(&t, &t.rows.v[i], &expected);
    assert_int_equal(t.rows.n, expected.rows.n); /* none was made by looking */
    tally_done(&t);
    tally_done(&expected);
}

/* Rows by service are what those of their operations come to, whatever the range and the step; of files of before they are added up. */
static void test_services_are_their_operations(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct chance c = {seed};
        struct rollup_file *f, *before;
        struct tally t;
        struct buf bytes;
        tally_init(&t, NULL, rollup_minute_ns);
        fill(&t, seed, seed == 1 ? 1 : 5000, (seed % 3 ? 5 : 50) * rollup_hour_ns);
        add_call(&t, STR("cart"), STR(ROLLUP_OTHER), first_ns, 9); /* stays apart */
        buf_init(&bytes, 64 * MIB);
        write_in_pieces(&t, &bytes);
        AUTO_FREE char *old = mem_new(bytes.n + 8);
        OK(rollup_file_open_bytes(buf_str(&bytes), false, &f));
        OK(rollup_file_open_bytes(without_services(&bytes, old), false, &before));
        for (int i = 0; i < 100; i++) compare_services(f, before, &c);
        rollup_file_unref(f);
        rollup_file_unref(before);
        buf_done(&bytes);
        tally_done(&t);
    }
}

/* A day of many operations by service: as many rows as there are services; with an end in an hour, that hour's minutes. */
static void test_a_day_of_services_is_a_few_rows(void **state) {
    (void)state;
    struct written w;
    struct rollup_file *f;
    struct rollup_request r = {.views = {true}, .time_max = INT64_MAX, .by_service = true};
    write_all(&w, 5, 30000, rollup_day_ns);
    OK(rollup_file_open("p", &f));
    for (int k = 0; k < 2; k++) {
        struct scan_stats stats = {0};
        struct tally t;
        if (k) r.time_min = first_ns + 7 * rollup_minute_ns;
        tally_init(&t, NULL, 0);
        OK(rollup_file_read(f, &r, &t, &stats));
        assert_int_equal(t.rows.n, 2);
        assert_true(stats.rows_scanned <= (k ? 2 * 24 + 2 * 60 : 2));
        tally_done(&t);
    }
    rollup_file_unref(f);
    written_done(&w);
}

static void test_nothing_makes_no_file(void **state) {
    (void)state;
    struct rollup_writer *w;
    struct rollup_info info;
    sim_reset(1);
    OK(rollup_writer_new("p", 7, &w));
    err e = rollup_writer_finish(w, &info);
    assert_int_equal(err_kind(e), ERR_NOT_FOUND);
    err_free(e);
    rollup_writer_free(w);
    assert_false(path_exists("p"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_compare_as_their_bytes),
        cmocka_unit_test(test_buckets),
        cmocka_unit_test(test_names_over_the_limits_are_other),
        cmocka_unit_test(test_edges_over_the_limit_are_other),
        cmocka_unit_test(test_halves_that_nobody_waits_for_are_counted_at_once),
        cmocka_unit_test(test_the_oldest_halves_go_first),
        cmocka_unit_test(test_clients_wait_again_while_there_is_room),
        cmocka_unit_test(test_clients_of_one_span_are_matched_together),
        cmocka_unit_test(test_a_parent_of_another_service_is_an_edge),
        cmocka_unit_test(test_plain_halves_have_the_room_that_is_left),
        cmocka_unit_test(test_plain_halves_are_in_files),
        cmocka_unit_test(test_a_file_has_what_was_written),
        cmocka_unit_test(test_damage_is_named),
        cmocka_unit_test(test_services_are_their_operations),
        cmocka_unit_test(test_a_day_of_services_is_a_few_rows),
        cmocka_unit_test(test_nothing_makes_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
