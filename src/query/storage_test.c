#include "query/storage.h"
#include "query/world_test_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ALL = 1000 };
static const int64_t base_ns = 1767323045 * (int64_t)1000000000, hour_ns = 3600 * (int64_t)1000000000;

static uint64_t rows_of(const struct world *w, enum signal signal, const char *service) {
    uint64_t n = 0;
    for (size_t i = 0; i < w->rows.n; i++)
        n += w->rows.v[i].signal == signal && (!service || strcmp(sample_service(&w->rows.v[i]), service) == 0);
    return n;
}

/* Sums of what is listed are what the parts take, to the byte. */
static void check_sums(const struct query_storage_signal *s) {
    uint64_t columns = 0, kinds = 0, services = 0, rows = 0, memory = 0;
    struct query_amount days = {0};
    for (size_t i = 0; i < s->column_count; i++) columns += s->columns[i].bytes;
    for (int k = 0; k < SIZE_KINDS; k++) kinds += s->bytes_by_kind[k];
    for (size_t i = 0; i < s->service_count; i++) {
        services += s->services[i].bytes;
        rows += s->services[i].rows;
        memory += s->services[i].memory_rows;
        assert_true(i == 0 || s->services[i - 1].bytes >= s->services[i].bytes);
    }
    for (size_t i = 0; i < s->day_count; i++) {
        days.parts += s->days[i].parts.parts;
        days.rows += s->days[i].parts.rows;
        days.bytes += s->days[i].parts.bytes;
        assert_true(i == 0 || s->days[i - 1].start < s->days[i].start);
    }
    assert_int_equal(columns, s->parts.bytes);
    assert_int_equal(kinds, s->parts.bytes);
    assert_int_equal(services, s->parts.bytes);
    assert_int_equal(days.bytes, s->parts.bytes);
    assert_int_equal(rows, s->parts.rows);
    assert_int_equal(days.rows, s->parts.rows);
    assert_int_equal(days.parts, s->parts.parts);
    assert_int_equal(memory, s->memory_rows);
}

static void check_rows(const struct world *w, enum signal signal, const struct query_storage_signal *s) {
    assert_int_equal(s->parts.rows + s->memory_rows, rows_of(w, signal, NULL));
    for (size_t i = 0; i < s->service_count; i++) {
        AUTO_FREE char *name = str_dup(s->services[i].service);
        assert_int_equal(s->services[i].rows + s->services[i].memory_rows, rows_of(w, signal, name));
    }
}

/* Few values are counted nearly exactly. */
static void check_distinct(const struct query_storage_signal *s) {
    for (size_t i = 0; i < s->column_count; i++) {
        const struct query_storage_column *c = &s->columns[i];
        assert_true(c->distinct <= c->sampled);
        if (c->kind == SIZE_ATTRIBUTE && c->set == SET_ROWS && c->values) assert_true(c->distinct > 0);
        if (c->kind == SIZE_ATTRIBUTE && c->set == SET_ROWS) assert_in_range(c->distinct, 1, 20);
    }
}

static void storage_equals_brute_force(void **state) {
    (void)state;
    uint64_t in_parts = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world w;
        struct query q;
        struct query_storage_signal out[SIGNALS];
        struct store_stats stats;
        uint64_t bytes = 0;
        int64_t older[] = {INT64_MIN, base_ns - hour_ns, INT64_MAX};
        struct query_storage r = {.time_min = INT64_MIN,
                                  .time_max = INT64_MAX,
                                  .signals = {true, true},
                                  .columns_max = ALL,
                                  .services_max = ALL,
                                  .distinct = true,
                                  .older = older,
                                  .older_count = LENGTH(older)};
        world_open(&w, seed);
        for (int i = 0; i < 4; i++) {
            world_fill(&w, (enum signal)(i & 1), 1 + world_below(&w, 150), 20, base_ns - hour_ns * 2, hour_ns);
            world_shake(&w);
        }
        if (seed & 1) ASSERT_OK(store_flush(w.store));
        world_query(&w, &q);
        ASSERT_OK(query_storage(&q, &r, out));
        for (int s = 0; s < SIGNALS; s++) {
            check_sums(&out[s]);
            check_rows(&w, (enum signal)s, &out[s]);
            check_distinct(&out[s]);
            assert_int_equal(out[s].older[0].bytes, 0);
            assert_int_equal(out[s].older[1].parts, out[s].parts.parts); /* all times are before that */
            assert_int_equal(out[s].older[2].bytes, out[s].parts.bytes);
            bytes += out[s].parts.bytes;
        }
        assert_int_equal(q.stats.bad_blocks, 0);
        store_get_stats(w.store, &stats);
        assert_int_equal(bytes, stats.part_bytes);
        in_parts += bytes;
        query_end(&q);
        world_close(&w);
    }
#ifdef WORLD_ENGINE
    assert_true(in_parts > 0);
#else
    assert_int_equal(in_parts, 0);
#endif
}

static void lists_have_limits_and_the_rest_is_counted(void **state) {
    (void)state;
    struct world w;
    struct query q;
    struct query_storage_signal out[SIGNALS];
    struct query_storage r = {
        .time_min = INT64_MIN, .time_max = INT64_MAX, .signals = {true, true}, .columns_max = 2, .services_max = 1};
    world_open(&w, 3);
    world_fill(&w, SIGNAL_SPANS, 200, 20, base_ns, hour_ns);
    ASSERT_OK(store_flush(w.store));
    world_query(&w, &q);
    ASSERT_OK(query_storage(&q, &r, out));
    assert_true(out[SIGNAL_SPANS].column_count <= 2);
    assert_int_equal(out[SIGNAL_SPANS].service_count, 1);
    assert_true(out[SIGNAL_SPANS].services_all > 1);
    assert_int_equal(out[SIGNAL_LOGS].services_all, 0);
    r.time_max = base_ns - hour_ns; /* before all of it */
    ASSERT_OK(query_storage(&q, &r, out));
    assert_int_equal(out[SIGNAL_SPANS].parts.rows + out[SIGNAL_SPANS].memory_rows, 0);
    r.time_min = r.time_max + 1;
    err e = query_storage(&q, &r, out);
    assert_int_equal(err_kind(e), ERR_INVALID);
    err_free(e);
    query_end(&q);
    world_close(&w);
}

static void a_count_can_be_cancelled(void **state) {
    (void)state;
    struct world w;
    struct query q;
    atomic_bool cancel = true;
    struct query_storage_signal out[SIGNALS];
    struct query_storage r = {.time_min = INT64_MIN, .time_max = INT64_MAX, .signals = {true, true}, .columns_max = 1};
    world_open(&w, 5);
    world_fill(&w, SIGNAL_LOGS, 50, 5, base_ns, hour_ns);
    world_query(&w, &q);
    q.options.cancel = &cancel;
    err e = query_storage(&q, &r, out);
    assert_int_equal(err_kind(e), ERR_CANCELLED);
    err_free(e);
    query_end(&q);
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(storage_equals_brute_force),
        cmocka_unit_test(lists_have_limits_and_the_rest_is_counted),
        cmocka_unit_test(a_count_can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
