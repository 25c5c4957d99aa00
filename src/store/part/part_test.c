/* Rows in and out of a part: what was written comes back, whole, in part, by trace; limits of groups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/hash.h"
#include "os/sim/sim.h"
#include "store/part/part_testing_priv.h"
#include "store/match/words_heap_priv.h"
#include "store/match/words_priv.h"

/* ---- rows come back ----------------------------------------------------------------------------------------------- */

static void random_rows_come_back_equal(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct chance c = {seed};
        struct batches b = {0};
        enum signal signal = seed & 1 ? SIGNAL_LOGS : SIGNAL_SPANS;
        for (uint32_t n = 1 + chance_below(&c, 6); n > 0; n--)
            batches_add_random(&b, &c, signal, 1 + chance_below(&c, 200));
        sim_reset(seed);
        part_roundtrip(signal, &b);
        batches_done(&b);
    }
}

static void rows_of_the_load_come_back_equal(void **state) {
    (void)state;
    for (int signal = 0; signal < SIGNALS; signal++) {
        struct chance c = {77};
        struct batches b = {0};
        batches_add_load(&b, &c, (enum signal)signal, 45);
        sim_reset(1);
        part_roundtrip((enum signal)signal, &b);
        batches_done(&b);
    }
}

/* A builder with n spans, each with the attributes that `fill` gives it. */
static void many_keys_go_to_the_rest_column(void **state) {
    (void)state;
    struct batch_builder builder;
    struct batches b = {0};
    batch_builder_init(&builder, SIGNAL_LOGS);
    for (uint32_t i = 0; i < 3000; i++) {
        char name[32];
        uint32_t row = batch_builder_row(&builder, SET_ROWS), keys[3], slot = (uint32_t)builder.slots.n;
        batch_builder_set_u64(&builder, SET_ROWS, FIELD_TIME, row, i);
        for (uint32_t k = 0; k < 3; k++) {
            snprintf(name, sizeof name, "key%u", k == 0 ? 0 : i / 2 * k);
            keys[k] = batch_builder_key(&builder, str_of(name), k == 2 ? VALUE_INT : VALUE_STRING);
            *vec_push(&builder.slots) = k == 2 ? i : strings_intern(&builder.strings, str_of(name));
        }
        batch_builder_attributes(&builder, SET_ROWS, row, keys, 3, slot);
    }
    batches_add_blob(&b, batch_builder_finish(&builder));
    batch_builder_done(&builder);
    sim_reset(1);
    struct part *p = part_write_open("p", SIGNAL_LOGS, &b);
    assert_true(p->block_count < 300);
    part_unref(p);
    OK(path_remove("p"));
    part_roundtrip(SIGNAL_LOGS, &b);
    batches_done(&b);
}

static bool drops_odd(void *context, const struct batch *b, uint32_t row) {
    (void)context;
    return batch_u64(b, SET_ROWS, FIELD_TIME, row) & 1;
}
static bool drops_all(void *context, const struct batch *b, uint32_t row) {
    (void)context, (void)b, (void)row;
    return true;
}

static void rows_outside_or_dropped_stay_out(void **state) {
    (void)state;
    struct chance c = {5};
    struct batches b = {0}, back = {0};
    struct part_info info;
    struct part *p = NULL;
    struct row_filter odd = {drops_odd, NULL}, all = {drops_all, NULL};
    batches_add_random(&b, &c, SIGNAL_LOGS, 500);
    sim_reset(1);
    int64_t low = b.all.v[0].time_min + 1, high = b.all.v[0].time_max - 1;
    OK(part_write("p", SIGNAL_LOGS, 1, b.all.v, 1, low, high, &odd, 64 * MIB, &info));
    assert_true(info.rows < 500 && info.time_min >= low && info.time_max <= high);
    OK(part_open("p", &p));
    part_fetch_all(p, &back);
    for (uint32_t row = 0; row < back.all.v[0].rows; row++) assert_false(drops_odd(NULL, &back.all.v[0], row));
    err e = part_write("none", SIGNAL_LOGS, 1, b.all.v, 1, low, high, &all, 64 * MIB, &info);
    assert_true(e && err_kind(e) == ERR_NOT_FOUND && !path_exists("none"));
    err_free(e);
    part_doom(p);
    part_unref(p);
    assert_false(path_exists("p"));
    batches_done(&back);
    batches_done(&b);
}

static void any_rows_in_any_order_are_fetched(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct chance c = {seed};
        struct batches b = {0};
        struct scan_stats stats = {0};
        struct batch_builder builder;
        enum signal signal = seed & 1 ? SIGNAL_LOGS : SIGNAL_SPANS;
        if (seed < 4)
            batches_add_load(&b, &c, signal, 8);
        else
            batches_add_random(&b, &c, signal, 300);
        sim_reset(1);
        struct part *p = part_write_open("p", signal, &b);
        struct batch_blob *whole_blob = part_fetch_group(p, 0);
        struct batch whole, some;
        uint32_t rows[40], n = 1 + chance_below(&c, LENGTH(rows));
        batch_view(whole_blob, &whole);
        for (uint32_t i = 0; i < n; i++) rows[i] = chance_below(&c, whole.rows);
        batch_builder_init(&builder, signal);
        random_batch(&c, &builder, 3); /* there may be rows already */
        OK(part_fetch(p, 0, rows, n, &builder, &stats));
        struct batch_blob *some_blob = batch_builder_finish(&builder);
        batch_view(some_blob, &some);
        assert_int_equal(some.rows, n + 3);
        for (uint32_t i = 0; i < n; i++) assert_true(batch_rows_equal(&whole, rows[i], &some, i + 3));
        batch_unref(some_blob);
        batch_unref(whole_blob);
        batch_builder_done(&builder);
        part_unref(p);
        batches_done(&b);
    }
}

/* ---- traces ------------------------------------------------------------------------------------------------------- */

struct found {
    struct batches *groups;
    const unsigned char *id;
    size_t rows;
};

static err count_found(void *context, uint32_t group, const uint32_t *rows, size_t n) {
    struct found *f = context;
    const struct batch *b = &f->groups->all.v[group];
    for (size_t i = 0; i < n; i++) {
        assert_true(i == 0 || rows[i] > rows[i - 1]);
        assert_memory_equal(batch_id16(b, SET_ROWS, FIELD_TRACE_ID, rows[i]), f->id, 16);
    }
    f->rows += n;
    return NULL;
}

static void every_trace_is_found_whole(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct chance c = {seed};
        struct batches b = {0}, back = {0};
        enum signal signal = seed & 1 ? SIGNAL_LOGS : SIGNAL_SPANS;
        AUTO_ARENA struct arena arena;
        struct scan_stats stats = {0};
        arena_init(&arena, 256 * MIB);
        if (seed < 2)
            batches_add_load(&b, &c, signal, 40);
        else
            batches_add_random(&b, &c, signal, 400);
        sim_reset(1);
        struct part *p = part_write_open("p", signal, &b);
        part_fetch_all(p, &back);
        for (int i = 0; i < 100; i++) {
            const struct batch *from = &b.all.v[chance_below(&c, (uint32_t)b.all.n)];
            struct found f = {&back, batch_id16(from, SET_ROWS, FIELD_TRACE_ID, chance_below(&c, from->rows)), 0};
            size_t want = 0;
            for (size_t j = 0; j < b.all.n; j++)
                for (uint32_t row = 0; row < b.all.v[j].rows; row++)
                    want += memcmp(batch_id16(&b.all.v[j], SET_ROWS, FIELD_TRACE_ID, row), f.id, 16) == 0;
            OK(part_find_trace(p, f.id, &arena, count_found, &f, &stats));
            assert_int_equal(f.rows, want);
            arena_clear(&arena);
        }
        part_unref(p);
        batches_done(&back);
        batches_done(&b);
    }
}

/* ---- words of many strings at once -------------------------------------------------------------------------------- */

static void words_of_a_heap_are_those_of_its_strings(void **state) {
    (void)state;
    static const char *const searches[] = {
        "ab", "a*",      "\"b a\"", "ab b* \"a\"", "\"[a\" \"{a\"", "\xc3\xa9* a\xc3\xa9", "ba ab aab", "\"a ab\" aba*",
        "a",  "\"\xc3\""};
    static const char letters[] = "abAB [{\xc3\xa9_1";
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct chance c = {seed};
        AUTO_ARENA struct arena a;
        char heap[2000];
        uint32_t end[60], found[60] = {0}, n = 1 + chance_below(&c, LENGTH(end)), size = 0, any = 0;
        for (uint32_t i = 0; i < n; i++) {
            for (uint32_t k = chance_below(&c, chance_one_in(&c, 9) ? 100 : 9); k > 0 && size < sizeof heap; k--)
                heap[size++] = letters[chance_below(&c, sizeof letters - 1)];
            end[i] = size;
        }
        struct words *w;
        arena_init(&a, MIB);
        OK(words_parse(&a, str_of(searches[chance_below(&c, LENGTH(searches))]), &w));
        char *exact = mem_new(size + 1); /* so that the sanitizer sees one byte too far */
        memcpy(exact, heap, size);
        exact = mem_grow(exact, size ? size : 1);
        uint32_t got = words_find_all(w, exact, end, n, found);
        for (uint32_t i = 0; i < n; i++) {
            struct str text = {exact + (i ? end[i - 1] : 0), end[i] - (i ? end[i - 1] : 0)};
            if (found[i] != words_find(w, text)) fail_msg("seed %d, string %u", (int)seed, i);
            any |= found[i];
        }
        assert_int_equal(got, any);
        mem_free(exact);
    }
}

/* Traces of one start, in descending order, whose ids cancel the constant of an unkeyed hash: where tables turn into lists or ties
 * are sorted by insertion, this takes minutes. */
static void traces_made_to_collide_take_no_longer(void **state) {
    (void)state;
    enum { TRACES = 100000 };
    struct batches b = {0};
    struct batch_builder builder;
    batch_builder_init(&builder, SIGNAL_SPANS);
    for (uint64_t i = 0; i < TRACES; i++) {
        uint64_t id[2] = {__builtin_bswap64(TRACES - i), 0xe7037ed1a0b428dbu};
        uint32_t row = batch_builder_row(&builder, SET_ROWS);
        batch_builder_set_id16(&builder, SET_ROWS, FIELD_TRACE_ID, row, id);
        batch_builder_set_u64(&builder, SET_ROWS, FIELD_SPAN_ID, row, i + 1);
        batch_builder_set_u64(&builder, SET_ROWS, FIELD_TIME, row, 1000);
    }
    batches_add_blob(&b, batch_builder_finish(&builder));
    batch_builder_done(&builder);
    row_refs order = {0};
    part_order_rows(b.all.v, 1, INT64_MIN, INT64_MAX, NULL, &order);
    assert_int_equal(order.n, TRACES);
    for (uint32_t i = 0; i < TRACES; i++) assert_int_equal(order.v[i].row, TRACES - 1 - i);
    vec_done(&order);
    batches_done(&b);
}

/* Spans of half a million events each: a group of all of them could be written, but never opened. */
static void events_of_many_rows_are_spread_over_groups(void **state) {
    (void)state;
    enum { SPANS = 40, EVENTS = 1 << 19 };
    struct batches b = {0};
    struct batch_builder builder;
    batch_builder_init(&builder, SIGNAL_SPANS);
    for (uint32_t i = 0; i < SPANS; i++) {
        if (i % 10 == 0 && i) batches_add_blob(&b, batch_builder_finish(&builder));
        uint32_t row = batch_builder_row(&builder, SET_ROWS);
        batch_builder_set_id16(&builder, SET_ROWS, FIELD_TRACE_ID, row, "0123456789abcdef");
        batch_builder_set_u64(&builder, SET_ROWS, FIELD_TIME, row, i);
        for (uint32_t k = 0; k < EVENTS; k++) batch_builder_row(&builder, SET_EVENTS);
        batch_builder_set_u32(&builder, SET_ROWS, FIELD_EVENT_END, row, builder.sets[SET_EVENTS].n);
    }
    batches_add_blob(&b, batch_builder_finish(&builder));
    batch_builder_done(&builder);
    sim_reset(1);
    struct part *p = part_write_open("p", SIGNAL_SPANS, &b);
    assert_int_equal(part_info(p)->rows, SPANS);
    assert_int_equal(part_info(p)->groups, SPANS); /* with 64 MiB no two fit into one */
    part_unref(p);
    batches_done(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_rows_come_back_equal),
        cmocka_unit_test(rows_of_the_load_come_back_equal),
        cmocka_unit_test(many_keys_go_to_the_rest_column),
        cmocka_unit_test(rows_outside_or_dropped_stay_out),
        cmocka_unit_test(any_rows_in_any_order_are_fetched),
        cmocka_unit_test(every_trace_is_found_whole),
        cmocka_unit_test(words_of_a_heap_are_those_of_its_strings),
        cmocka_unit_test(traces_made_to_collide_take_no_longer),
        cmocka_unit_test(events_of_many_rows_are_spread_over_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
