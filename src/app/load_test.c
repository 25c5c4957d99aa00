/* The load keeps its law: figures quoted for it mean what bench/README.md says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <zstd.h>

#include "app/load.h"
#include "app/load_random.h"
#include "base/map.h"
#include "base/vec.h"
#include "os/clock.h"
#include "signal/metrics/points_decode.h"
#include "signal/otlp.h"

enum { REQUESTS = 20, ITEMS = 500, SPANS_A_TRACE = 10 };

static const struct otlp_limits no_limits = {.time_min = INT64_MIN, .time_max = INT64_MAX};

static struct shape_request request(uint64_t seed) {
    return (struct shape_request){.seed = seed,
                                  .time_first = (int64_t)1764032523 * 1000000000 + (int64_t)seed * 50000000,
                                  .time_step = 1000000,
                                  .items = ITEMS};
}

static void make(enum signal signal, uint64_t seed, struct buf *out) {
    struct shape_request r = request(seed);
    (signal == SIGNAL_SPANS ? shape_law_traces : shape_law_logs)(&r, out);
    assert_false(out->full);
}

/* Decodes a body, of which nothing may be refused. */
static struct batch_blob *decode(enum signal signal, struct str body, struct batch *out) {
    struct otlp_decoder *d = otlp_decoder_new();
    struct otlp_result r = {0};
    assert_null(otlp_decode(d, signal, body, &no_limits, &r));
    otlp_decoder_free(d);
    for (int i = 0; i < OTLP_REASONS; i++) assert_int_equal(r.rejected[i], 0);
    assert_int_equal(r.invalid_utf8, 0);
    assert_non_null(r.blob);
    batch_view(r.blob, out);
    return r.blob;
}

static void bodies_have_their_size_and_cannot_be_packed_away(enum signal signal, double least, double most) {
    AUTO_BUF struct buf all;
    buf_init(&all, 64 * MIB);
    for (uint64_t seed = 1; seed <= REQUESTS; seed++) make(signal, seed, &all);
    double items = REQUESTS * ITEMS, bytes = (double)all.n / items;
    size_t room = ZSTD_compressBound(all.n);
    AUTO_FREE char *packed = mem_new(room);
    size_t n = ZSTD_compress(packed, room, all.p, all.n, 3);
    assert_false(ZSTD_isError(n));
    if (bytes < least || bytes > most) fail_msg("%.1f bytes an item, not %.0f to %.0f", bytes, least, most);
    if ((double)n / items < 70) fail_msg("zstd -3 packs an item into %.1f bytes", (double)n / items);
}

static void a_span_takes_about_606_bytes(void **state) {
    (void)state;
    bodies_have_their_size_and_cannot_be_packed_away(SIGNAL_SPANS, 590, 620);
}

static void a_log_takes_about_325_bytes(void **state) {
    (void)state;
    bodies_have_their_size_and_cannot_be_packed_away(SIGNAL_LOGS, 315, 335);
}

static void a_seed_makes_its_body_again_and_no_other(void **state) {
    (void)state;
    for (int signal = 0; signal < SIGNALS; signal++) {
        AUTO_BUF struct buf a, b, c;
        buf_init(&a, 4 * MIB);
        buf_init(&b, 4 * MIB);
        buf_init(&c, 4 * MIB);
        make((enum signal)signal, 7, &a);
        make((enum signal)signal, 7, &b);
        make((enum signal)signal, 8, &c);
        assert_true(str_equal(buf_str(&a), buf_str(&b)));
        assert_false(str_equal(buf_str(&a), buf_str(&c)));
    }
}

static int compare_u64(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void span_ids_are_unique(void **state) {
    (void)state;
    for (int signal = 0; signal < SIGNALS; signal++) {
        VEC(uint64_t) ids = {0};
        for (uint64_t seed = 1; seed <= REQUESTS; seed++) {
            AUTO_BUF struct buf body;
            struct batch b;
            buf_init(&body, 4 * MIB);
            make((enum signal)signal, seed, &body);
            struct batch_blob *blob = decode((enum signal)signal, buf_str(&body), &b);
            for (uint32_t i = 0; i < b.rows; i++) *vec_push(&ids) = batch_u64(&b, SET_ROWS, FIELD_SPAN_ID, i);
            batch_unref(blob);
        }
        assert_int_equal(ids.n, REQUESTS * ITEMS);
        qsort(ids.v, ids.n, sizeof *ids.v, compare_u64);
        for (size_t i = 1; i < ids.n; i++) assert_true(ids.v[i] != ids.v[i - 1]);
        vec_done(&ids);
    }
}

/* How deep span `row` hangs; the root is 1. */
static int depth_of(const struct batch *b, uint32_t row) {
    int depth = 1;
    for (uint64_t parent; (parent = batch_u64(b, SET_ROWS, FIELD_PARENT_ID, row)); depth++) {
        uint32_t i = 0;
        while (i < b->rows && batch_u64(b, SET_ROWS, FIELD_SPAN_ID, i) != parent) i++;
        assert_true(i < b->rows);
        assert_memory_equal(batch_id16(b, SET_ROWS, FIELD_TRACE_ID, i), batch_id16(b, SET_ROWS, FIELD_TRACE_ID, row),
                            16);
        row = i;
    }
    return depth;
}

static void spans_have_their_attributes_depth_and_errors(void **state) {
    (void)state;
    double errors = 0;
    for (uint64_t seed = 1; seed <= REQUESTS; seed++) {
        AUTO_BUF struct buf body;
        struct batch b;
        int deepest = 0, roots = 0;
        buf_init(&body, 4 * MIB);
        make(SIGNAL_SPANS, seed, &body);
        struct batch_blob *blob = decode(SIGNAL_SPANS, buf_str(&body), &b);
        assert_int_equal(b.rows, ITEMS);
        assert_int_equal(b.set_rows[SET_RESOURCES], SPANS_A_TRACE);
        for (uint32_t i = 0; i < b.set_rows[SET_RESOURCES]; i++)
            assert_int_equal(batch_attributes(&b, SET_RESOURCES, i).n, 12);
        for (uint32_t i = 0; i < b.rows; i++) {
            int depth = depth_of(&b, i);
            assert_int_equal(batch_attributes(&b, SET_ROWS, i).n, 11);
            errors += batch_u32(&b, SET_ROWS, FIELD_STATUS, i) == 2;
            deepest = MAX(deepest, depth);
            roots += depth == 1;
        }
        assert_int_equal(deepest, 4);
        assert_int_equal(roots, ITEMS / SPANS_A_TRACE);
        batch_unref(blob);
    }
    errors /= REQUESTS * ITEMS;
    if (errors < 0.042 || errors > 0.058) fail_msg("%.2f %% of spans are errors, not 5", errors * 100); /* 3.7 sigma */
}

static void logs_have_their_attributes(void **state) {
    (void)state;
    AUTO_BUF struct buf body;
    struct batch b;
    buf_init(&body, 4 * MIB);
    make(SIGNAL_LOGS, 1, &body);
    struct batch_blob *blob = decode(SIGNAL_LOGS, buf_str(&body), &b);
    assert_int_equal(b.rows, ITEMS);
    assert_int_equal(b.set_rows[SET_RESOURCES], 10);
    for (uint32_t i = 0; i < b.set_rows[SET_RESOURCES]; i++)
        assert_int_equal(batch_attributes(&b, SET_RESOURCES, i).n, 12);
    for (uint32_t i = 0; i < b.rows; i++) assert_int_equal(batch_attributes(&b, SET_ROWS, i).n, 5);
    batch_unref(blob);
}

static uint32_t rows_with_an_id(const struct batch *b) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->rows; i++) {
        enum value_type type;
        uint64_t value;
        if (!batch_find_attribute(b, SET_ROWS, i, STR("correlation_id"), &type, &value)) continue;
        assert_int_equal(batch_string(b, (uint32_t)value).n, 20);
        n++;
    }
    return n;
}

/* All else is the same, so that what an id costs can be measured. */
static void one_row_of_so_many_has_an_id(void **state) {
    static const struct {
        uint32_t correlated;
        double least, most;
    } cases[] = {{0, 0, 0}, {1, 1, 1}, {10, 0.08, 0.12}};
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++)
        for (int signal = 0; signal < SIGNALS; signal++) {
            double rows = 0, with = 0;
            for (uint64_t seed = 1; seed <= REQUESTS; seed++) {
                struct shape_request r = request(seed);
                AUTO_BUF struct buf body;
                struct batch b;
                buf_init(&body, 4 * MIB);
                r.correlated = cases[i].correlated;
                (signal == SIGNAL_SPANS ? shape_law_traces : shape_law_logs)(&r, &body);
                struct batch_blob *blob = decode((enum signal)signal, buf_str(&body), &b);
                with += rows_with_an_id(&b);
                rows += b.rows;
                batch_unref(blob);
            }
            assert_true(with >= cases[i].least * rows && with <= cases[i].most * rows);
        }
}

/* Spans and logs of a customer: counted right, one trace, and the logs belong to spans of it. */
static void one_customer_is_one_trace(uint64_t seed, uint32_t moment) {
    AUTO_BUF struct buf traces, logs;
    struct batch t, l;
    struct shape_request r = request(seed);
    r.moment = moment;
    buf_init(&traces, MIB);
    buf_init(&logs, MIB);
    struct shape_rows rows = shape_shop(&r, &traces, &logs);
    struct batch_blob *spans = decode(SIGNAL_SPANS, buf_str(&traces), &t),
                      *records = decode(SIGNAL_LOGS, buf_str(&logs), &l);
    assert_int_equal(t.rows, rows.spans);
    assert_int_equal(l.rows, rows.logs);
    const unsigned char *id = batch_id16(&t, SET_ROWS, FIELD_TRACE_ID, 0);
    for (uint32_t i = 0; i < t.rows; i++) {
        assert_memory_equal(batch_id16(&t, SET_ROWS, FIELD_TRACE_ID, i), id, 16);
        assert_true(depth_of(&t, i) <= 10);
    }
    for (uint32_t i = 0; i < l.rows; i++) {
        uint32_t j = 0;
        assert_memory_equal(batch_id16(&l, SET_ROWS, FIELD_TRACE_ID, i), id, 16);
        while (j < t.rows && batch_u64(&t, SET_ROWS, FIELD_SPAN_ID, j) != batch_u64(&l, SET_ROWS, FIELD_SPAN_ID, i))
            j++;
        assert_true(j < t.rows);
    }
    batch_unref(spans);
    batch_unref(records);
}

static void a_shop_story_is_one_trace_with_its_logs(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) one_customer_is_one_trace(seed, 0);
    for (uint64_t seed = 1; seed <= 200; seed++) one_customer_is_one_trace(seed, (uint32_t)seed * (STORY_END / 200));
}

/* ---- stories ---------------------------------------------------------------------------------------------------- */

/* What requests from `from` on, of 2,000 that fill the time of stories, tell. */
struct told {
    uint32_t requests, of[STORIES];
    int64_t shortest_ns[STORIES];
};
static struct told tell(uint32_t from, uint32_t until, const struct load_plan *plan) {
    AUTO_BUF struct buf traces, logs;
    struct told told = {0};
    buf_init(&traces, MIB);
    buf_init(&logs, MIB);
    for (uint64_t number = 0; number < plan->requests; number++) {
        struct shape_request r = load_shape_of(plan, number, load_seed_of(plan, number));
        if (r.moment < from || r.moment >= until) continue;
        buf_clear(&traces);
        buf_clear(&logs);
        struct shape_rows rows = shape_shop(&r, &traces, &logs);
        told.requests++;
        if (rows.story == STORIES) continue;
        int64_t *shortest = &told.shortest_ns[rows.story];
        if (!told.of[rows.story]++ || rows.span_ns < *shortest) *shortest = rows.span_ns;
    }
    return told;
}

static const struct load_plan hour = {.shop = true,
                                      .stories = true,
                                      .seeded = true,
                                      .seed = 7,
                                      .requests = 2000,
                                      .items = 500,
                                      .items_last = 500,
                                      .time_first = (int64_t)1764032523 * 1000000000,
                                      .time_step = 1800000000};

static void each_story_is_told_in_its_time_and_at_no_other(void **state) {
    (void)state;
    static const uint32_t edges[] = {0, 300000, 450000, 570000, 670000, 750000, 900000, STORY_END + 1};
    static const enum story inside[] = {STORIES, STORY_SLOW_QUERY, STORIES, STORY_PAYMENT,
                                        STORIES, STORY_VERSION,    STORIES};
    static const int64_t least_ns[STORIES] = {
        [STORY_SLOW_QUERY] = 500000000, [STORY_PAYMENT] = 1000000, [STORY_VERSION] = 20000000};
    for (size_t i = 0; i < LENGTH(inside); i++) {
        struct told told = tell(edges[i], edges[i + 1], &hour);
        assert_true(told.requests > 100);
        for (int s = 0; s < STORIES; s++) {
            if ((enum story)s != inside[i]) {
                assert_int_equal(told.of[s], 0);
                continue;
            }
            assert_true(told.of[s] > 10);
            assert_true(told.of[s] < told.requests);
            assert_true(told.shortest_ns[s] > least_ns[s]);
        }
    }
    for (int s = 0; s < STORIES; s++) assert_false(story_is_on((enum story)s, 0)); /* without --stories */
    for (int s = 0; s < STORIES; s++) assert_false(story_is_on((enum story)s, STORY_END));
}

static void a_version_is_rolled_out_and_mended(void **state) {
    (void)state;
    assert_string_equal(story_version("recommendation", 0, 0), VERSION_BEFORE);
    assert_string_equal(story_version("recommendation", 0, 750000), VERSION_BAD);
    assert_string_equal(story_version("recommendation", 1, 750000), VERSION_BEFORE);
    assert_string_equal(story_version("recommendation", 1, 760000), VERSION_BAD);
    for (unsigned instance = 0; instance < 2; instance++)
        assert_string_equal(story_version("recommendation", instance, 900000), VERSION_MENDED);
    assert_string_equal(story_version("payment", 0, 1), story_version("payment", 1, STORY_END));
}

/* The same seed tells the same, at whatever time; another one tells it of other traces. */
static void a_seed_tells_its_stories_again(void **state) {
    (void)state;
    struct load_plan later = hour, other = hour;
    later.time_first += (int64_t)86400 * 1000000000;
    other.seed++;
    for (uint64_t number = 0; number < 300; number++) {
        struct shape_rows rows[3];
        const struct load_plan *plans[] = {&hour, &later, &other};
        for (int i = 0; i < 3; i++) {
            AUTO_BUF struct buf traces, logs;
            buf_init(&traces, MIB);
            buf_init(&logs, MIB);
            struct shape_request r = load_shape_of(plans[i], number, load_seed_of(plans[i], number));
            rows[i] = shape_shop(&r, &traces, &logs);
        }
        assert_memory_equal(rows[0].trace, rows[1].trace, 16);
        assert_int_equal(rows[0].spans, rows[1].spans);
        assert_int_equal(rows[0].logs, rows[1].logs);
        assert_int_equal(rows[0].span_ns, rows[1].span_ns);
        assert_memory_not_equal(rows[0].trace, rows[2].trace, 16);
    }
}

/* ---- plans ------------------------------------------------------------------------------------------------------ */

/* Which times and how many rows each request of a plan gets. */
static void a_plan_is_spread_over_its_time(void **state) {
    (void)state;
    static const struct {
        struct load_plan plan;
        uint64_t number;
        int64_t time_first;
        uint32_t items;
    } cases[] = {
        {{.requests = 4, .items = 20, .items_last = 10, .time_first = 1000, .time_step = 7}, 0, 1000, 20},
        {{.requests = 4, .items = 20, .items_last = 10, .time_first = 1000, .time_step = 7}, 1, 1014, 20},
        {{.requests = 4, .items = 20, .items_last = 10, .time_first = 1000, .time_step = 7}, 3, 1042, 10},
        {{.requests = 1, .items = 500, .items_last = 500, .time_first = -5, .time_step = 1}, 0, -5, 500},
        {{.requests = 3, .shop = true, .items = 500, .items_last = 500, .time_first = 0, .time_step = 9}, 2, 18, 500},
        {{.requests = 1000000000, .items = 1000, .items_last = 10, .time_first = 0, .time_step = 36},
         999999999,
         (int64_t)999999999 * 100 * 36,
         10},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct shape_request r = load_shape_of(&cases[i].plan, cases[i].number, 42);
        assert_true(r.time_first == cases[i].time_first);
        assert_int_equal(r.items, cases[i].items);
        assert_int_equal(r.seed, 42);
    }
    struct load_plan live = {.items = 10, .time_step = 1000};
    int64_t before = clock_wall_ns();
    struct shape_request r = load_shape_of(&live, 12345, 1);
    assert_in_range(r.time_first, before, clock_wall_ns());
}

/* A body has the rows it says, and their times lie in the time of their request. */
static void bodies_keep_to_their_plan(void **state) {
    (void)state;
    for (int shop = 0; shop < 2; shop++) {
        struct load_plan plan = {.requests = 20,
                                 .shop = shop,
                                 .items = 50,
                                 .items_last = 10,
                                 .time_first = (int64_t)1764032523 * 1000000000,
                                 .time_step = 100000000};
        for (uint64_t number = 0; number < plan.requests; number++) {
            struct shape_request r = load_shape_of(&plan, number, number + 1);
            for (int signal = 0; signal < SIGNALS; signal++) {
                AUTO_BUF struct buf body;
                struct batch b;
                buf_init(&body, 4 * MIB);
                buf_add_text(&body, "what was there before goes");
                uint32_t rows = load_make_body(&plan, NULL, (enum load_kind)signal, &r, &body);
                if (!rows) continue;
                struct batch_blob *blob = decode((enum signal)signal, buf_str(&body), &b);
                assert_int_equal(b.rows, rows);
                if (!shop) assert_int_equal(rows, number == 19 ? 10 : 50);
                assert_true(b.time_min >= r.time_first);
                assert_true(b.time_max < r.time_first + 5 * plan.time_step + (int64_t)60 * 1000000000);
                batch_unref(blob);
            }
        }
    }
}

/* What a request of metrics says: instance, series, value; from OTLP, then translated, and from remote write. */
struct met {
    uint32_t points, series, integers, doubles;
    int64_t time_min, time_max;
};
static struct met meet(const struct load_plan *plan, struct law_metrics *m, uint64_t number, struct buf *body) {
    struct points_decoder *d = points_decoder_new();
    struct points_result result = {0};
    struct points p;
    struct met met = {0};
    struct shape_request r = load_shape_of(plan, number, 1);
    met.points = load_make_body(plan, m, LOAD_METRICS, &r, body);
    err e = plan->remote_write ? points_decode_write(d, 1, buf_str(body), &no_limits, &result)
                               : points_decode_otlp(d, buf_str(body), &no_limits, &result);
    assert_null(e);
    points_view(result.blob, &p);
    assert_int_equal(p.n, met.points);
    met.series = p.series_count, met.time_min = p.time_min, met.time_max = p.time_max;
    for (uint32_t i = 0; i < p.n; i++) {
        met.integers += point_kind(&p, i) == POINT_INT;
        met.doubles += point_kind(&p, i) == POINT_DOUBLE;
    }
    batch_unref(result.blob);
    points_decoder_free(d);
    return met;
}

static void metrics_are_scraped_instance_by_instance(void **state) {
    (void)state;
    for (int how = 0; how < 5; how++) {
        struct load_plan plan = {.kinds[LOAD_METRICS] = true,
                                 .requests = 10,
                                 .items = 500,
                                 .instances = 10,
                                 .seed = 3,
                                 .profile = how == 4  ? PROFILE_BUCKETS
                                            : how & 1 ? PROFILE_NODE
                                                      : PROFILE_LAW,
                                 .remote_write = how & 6,
                                 .time_first = (int64_t)1764032523 * 1000000000};
        AUTO_BUF struct buf first, again;
        buf_init(&first, 4 * MIB);
        buf_init(&again, 4 * MIB);
        struct law_metrics *m = load_metrics_maker(&plan), *other = load_metrics_maker(&plan);
        assert_int_equal(load_scrape_requests(&plan), 3);
        for (uint64_t number = 0; number < 10; number++) {
            struct met met = meet(&plan, m, number, &first);
            int64_t want = plan.time_first + (int64_t)(number / 3) * LAW_INTERVAL_NS, unit = how & 6 ? 1000000 : 1;
            assert_int_equal(met.points, number % 3 == 2 ? 250 : 500);
            assert_int_equal(met.series, met.points);
            assert_true(met.integers == (how ? 0 : met.points / 125 * 117));
            assert_true(met.time_min >= want / unit && met.time_max <= (want + 10 * 1000000) / unit);
            meet(&plan, other, number ? number - 1 : 0, &again); /* back, then forward */
            meet(&plan, other, number, &again);
            assert_true(str_equal(buf_str(&first), buf_str(&again)));
        }
        law_metrics_free(m);
        law_metrics_free(other);
    }
}

static void counters_grow_and_series_have_names_of_their_own(void **state) {
    (void)state;
    for (int p = PROFILE_LAW; p <= PROFILE_BUCKETS; p++) {
        struct law_metrics *m = law_metrics_new(9, 2, (enum law_profile)p);
        AUTO_BUF struct buf keys;
        struct strings names;
        buf_init(&keys, MIB);
        strings_init(&names);
        for (uint32_t i = 0; i < LAW_SERIES; i++) {
            buf_clear(&keys);
            law_metrics_put_key(i, (enum law_profile)p, &keys);
            assert_int_equal(strings_intern(&names, buf_str(&keys)), i);
            bool counter = str_contains(buf_str(&keys), STR("_total,"));
            double before = law_metrics_value(m, 1, i, 0), begin = before;
            for (uint64_t scrape = 1; scrape < 200; scrape++) {
                double now = law_metrics_value(m, 1, i, scrape);
                if (counter) assert_true(now >= before);
                before = now;
            }
            assert_true(law_metrics_value(m, 1, i, 0) == begin);
            if (counter) assert_true(before > begin);
        }
        strings_done(&names);
        law_metrics_free(m);
    }
}

/* The plan of another seed shares no id with it: what --verify finds is what was sent. */
static void requests_share_no_ids(void **state) {
    (void)state;
    VEC(uint64_t) ids = {0};
    struct load_plan plan = {.shop = true, .items = 10, .time_step = 1};
    for (uint64_t seed = 1; seed <= 500; seed++) {
        AUTO_BUF struct buf body;
        struct batch b;
        struct shape_request r = load_shape_of(&plan, seed, seed);
        uint64_t half;
        buf_init(&body, MIB);
        load_make_body(&plan, NULL, LOAD_TRACES, &r, &body);
        struct batch_blob *blob = decode(SIGNAL_SPANS, buf_str(&body), &b);
        memcpy(&half, batch_id16(&b, SET_ROWS, FIELD_TRACE_ID, 0), 8);
        *vec_push(&ids) = half;
        batch_unref(blob);
    }
    qsort(ids.v, ids.n, sizeof *ids.v, compare_u64);
    for (size_t i = 1; i < ids.n; i++) assert_true(ids.v[i] != ids.v[i - 1]);
    vec_done(&ids);
}

/* xoshiro256** and its seeding, against numbers of the authors' own programs: splitmix64 of 0 begins with e220a8397b1dcdaf. */
static void chance_is_the_generator_it_says(void **state) {
    (void)state;
    struct load_random x;
    load_random_seed(&x, 0);
    assert_true(x.s[0] == 0xe220a8397b1dcdaf);
    double sum = 0, squares = 0;
    enum { DRAWS = 100000 };
    uint64_t below[10] = {0};
    for (int i = 0; i < DRAWS; i++) {
        double v = load_random_normal(&x), unit = load_random_unit(&x);
        assert_true(unit > 0 && unit <= 1);
        sum += v;
        squares += v * v;
        below[load_random_below(&x, 10)]++;
    }
    assert_true(fabs(sum / DRAWS) < 0.02);
    assert_true(fabs(squares / DRAWS - 1) < 0.03);
    double chi = 0;
    for (int i = 0; i < 10; i++)
        chi += ((double)below[i] - DRAWS / 10) * ((double)below[i] - DRAWS / 10) / (DRAWS / 10);
    assert_true(chi < 35); /* 9 degrees: beyond 33.7 once in 10,000 seeds */
    unsigned char bytes[21] = {0};
    load_random_bytes(&x, bytes, 20);
    assert_int_equal(bytes[20], 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_takes_about_606_bytes),
        cmocka_unit_test(a_log_takes_about_325_bytes),
        cmocka_unit_test(a_seed_makes_its_body_again_and_no_other),
        cmocka_unit_test(span_ids_are_unique),
        cmocka_unit_test(spans_have_their_attributes_depth_and_errors),
        cmocka_unit_test(logs_have_their_attributes),
        cmocka_unit_test(one_row_of_so_many_has_an_id),
        cmocka_unit_test(a_shop_story_is_one_trace_with_its_logs),
        cmocka_unit_test(each_story_is_told_in_its_time_and_at_no_other),
        cmocka_unit_test(a_version_is_rolled_out_and_mended),
        cmocka_unit_test(a_seed_tells_its_stories_again),
        cmocka_unit_test(a_plan_is_spread_over_its_time),
        cmocka_unit_test(bodies_keep_to_their_plan),
        cmocka_unit_test(metrics_are_scraped_instance_by_instance),
        cmocka_unit_test(counters_grow_and_series_have_names_of_their_own),
        cmocka_unit_test(requests_share_no_ids),
        cmocka_unit_test(chance_is_the_generator_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
