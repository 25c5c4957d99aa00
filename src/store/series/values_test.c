/* Values, timestamps and native histograms of series: every bit comes back, whole and in part, and bad bytes do no harm. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "store/series/histogram_priv.h"
#include "store/series/lanes_priv.h"
#include "store/series/shapes_testing_priv.h"
#include "store/series/times_priv.h"

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        err ok_ = (call);                                                                                              \
        if (ok_) fail_msg("%s", err_text(ok_));                                                                        \
    } while (0)

/* On the heap, exactly as long, so that the sanitizer sees one byte too far. */
static char *exact_copy(const struct buf *b) {
    char *copy = mem_grow(NULL, b->n);
    memcpy(copy, b->p, b->n);
    return copy;
}

/* ---- frames ----------------------------------------------------------------------------------------------------- */

static void lanes_of_every_width_and_size_come_back(void **state) {
    (void)state;
    uint32_t v[LANES_MAX], out[LANES_MAX];
    for (unsigned width = 0; width <= 32; width++)
        for (uint32_t n = 1; n <= LANES_MAX; n += n < 20 || n > 250 ? 1 : 13) {
            struct dice d = {width * 1000 + n};
            for (uint32_t i = 0; i < n; i++) v[i] = (uint32_t)(dice_u64(&d) & bits_mask(width));
            uint32_t bytes = lanes_bytes(n, width);
            unsigned char *packed = mem_grow(NULL, bytes + 1);
            lanes_pack(v, n, width, packed);
            lanes_unpack(packed, n, width, out);
            assert_memory_equal(v, out, n * sizeof *v);
            mem_free(packed);
        }
}

/* Numbers of every size, with steps, outliers and wrap-around. */
static int64_t number_of(uint32_t kind, struct dice *d, int64_t before, uint32_t i) {
    uint64_t r = dice_u64(d);
    switch (kind % 8) {
    case 0: return (int64_t)r;
    case 1: return (int64_t)((uint64_t)before + r % 1000);
    case 2: return (int64_t)(i * 15000 + (i * (uint64_t)i) * 7 + r % 3);
    case 3: return r % 97 == 0 ? (int64_t)r : (int64_t)(r % 5);
    case 4: return (int64_t)((uint64_t)before - r % (1 << 20) + (r % 50 == 0 ? r : 0));
    case 5: return (const int64_t[]){INT64_MIN, INT64_MAX, 0, -1}[r % 4];
    case 6: return (int64_t)(r % UINT64_C(0x1ffffffff));
    default: return 5;
    }
}

static void frames_come_back_whole_and_in_part(void **state) {
    (void)state;
    static const uint32_t sizes[] = {1, 2, 3, 7, 31, 32, 33, 127, 128, 129, 255, 256, 257, 258, 300, 480, 511, 512};
    int64_t v[SERIES_SAMPLES_MAX], out[SERIES_SAMPLES_MAX];
    for (uint32_t kind = 0; kind < 64; kind++)
        for (size_t s = 0; s < LENGTH(sizes); s++) {
            struct dice d = {kind * 31 + s};
            uint32_t n = sizes[s];
            for (uint32_t i = 0; i < n; i++) v[i] = number_of(kind, &d, i ? v[i - 1] : 0, i);
            struct buf b;
            buf_init(&b, MIB);
            frames_encode(v, n, kind & 8 ? EFFORT_CHEAP : EFFORT_FULL, &b);
            AUTO_FREE char *bytes = exact_copy(&b);
            for (int part = 0; part < 6; part++) {
                uint32_t first = part ? dice_below(&d, n) : 0, count = part ? dice_below(&d, n - first + 1) : n;
                struct cursor c = cursor_of(str_span(bytes, b.n));
                frames_decode(&c, n, first, count, out);
                assert_true(!c.bad && c.at == c.end);
                if (count) assert_memory_equal(out, v + first, count * sizeof *v);
            }
            buf_done(&b);
        }
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

static uint8_t flags_by_definition(const double *v, uint32_t n) {
    uint8_t flags = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (v[i] != v[i]) flags |= VALUES_NAN;
        for (uint32_t k = i; k-- > 0 && v[i] == v[i];) {
            if (v[k] != v[k]) continue;
            if (v[i] < v[k]) flags |= VALUES_RESETS;
            break;
        }
    }
    return flags;
}

/* Encodes, decodes whole and in part; returns the bytes. */
static size_t assert_values(const double *v, uint32_t n, enum effort effort, uint64_t seed) {
    double out[SERIES_SAMPLES_MAX];
    struct dice d = {seed};
    struct buf b;
    buf_init(&b, MIB);
    values_encode(v, n, effort, &b);
    AUTO_FREE char *bytes = exact_copy(&b);
    for (int part = 0; part < 4; part++) {
        uint32_t first = part ? dice_below(&d, n) : 0, count = part ? dice_below(&d, n - first + 1) : n;
        OK(values_decode(str_span(bytes, b.n), n, first, count, out));
        assert_true(same_doubles(out, v + first, count));
        struct cursor c = cursor_of(str_span(bytes, b.n));
        values_read(&c, n, first, count, out);
        assert_true(c.at == c.end);
    }
    assert_int_equal(values_flags(str_span(bytes, b.n)), flags_by_definition(v, n));
    buf_done(&b);
    return b.n;
}

static void every_class_of_values_comes_back_bit_for_bit(void **state) {
    (void)state;
    double v[SERIES_SAMPLES_MAX];
    for (int shape = 0; shape < SHAPES_ALL; shape++)
        for (uint64_t seed = 1; seed < 40; seed++) {
            struct dice d = {seed + 5};
            uint32_t n = seed < 4 ? (uint32_t[]){0, 512, 480, 32}[seed] : 1 + dice_below(&d, 512);
            shape_fill((enum shape)shape, seed, v, n);
            assert_values(v, n, seed & 1 ? EFFORT_FULL : EFFORT_CHEAP, seed);
        }
}

/* Every class with every edge put among it. */
static void edges_among_other_values_come_back(void **state) {
    (void)state;
    double v[SERIES_SAMPLES_MAX];
    for (int shape = 0; shape < SHAPES_ALL; shape++)
        for (size_t edge = 0; edge < LENGTH(edge_bits); edge++) {
            struct dice d = {edge};
            uint32_t n = 1 + dice_below(&d, 200);
            shape_fill((enum shape)shape, edge, v, n);
            for (uint32_t i = dice_below(&d, 3); i < n; i += 1 + dice_below(&d, 40))
                v[i] = double_of_bits(edge_bits[edge]);
            assert_values(v, n, edge & 1 ? EFFORT_FULL : EFFORT_CHEAP, edge);
        }
}

/* Bytes of 1,000 samples, by the full encoder in chunks of 480. */
static size_t bytes_of_shape(enum shape shape) {
    double v[480];
    size_t bytes = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        shape_fill(shape, seed, v, 480);
        bytes += assert_values(v, 480, EFFORT_FULL, seed);
    }
    return bytes * 1000 / (20 * 480);
}

static void chunks_stay_small(void **state) {
    (void)state;
    static const struct {
        enum shape shape;
        size_t bytes;
    } limits[] = {{SHAPE_OTLP_COUNTER, 900},  {SHAPE_OTLP_RATIO, 900}, {SHAPE_COUNTER, 460},  {SHAPE_CPU_SECONDS, 1400},
                  {SHAPE_BYTE_COUNTER, 2950}, {SHAPE_PAGES, 1450},     {SHAPE_SPARSE, 320},   {SHAPE_CONSTANT, 20},
                  {SHAPE_NOISE, 6700},        {SHAPE_FEW, 450},        {SHAPE_ANY_BITS, 8100}};
    for (size_t i = 0; i < LENGTH(limits); i++) {
        size_t bytes = bytes_of_shape(limits[i].shape);
        if (bytes > limits[i].bytes)
            fail_msg("%s: %zu bytes a thousand samples, at most %zu", shape_names[limits[i].shape], bytes,
                     limits[i].bytes);
    }
}

static void bad_bytes_of_values_do_no_harm(void **state) {
    (void)state;
    double v[300], out[300];
    for (int shape = 0; shape < SHAPES_ALL; shape++) {
        shape_fill((enum shape)shape, 7, v, 300);
        struct buf b;
        buf_init(&b, MIB);
        values_encode(v, 300, shape & 1 ? EFFORT_CHEAP : EFFORT_FULL, &b);
        for (size_t n = 0; n < b.n; n++) { /* every cut is noticed */
            AUTO_FREE char *cut = memcpy(mem_grow(NULL, n + 1), b.p, n);
            err e = values_decode(str_span(cut, n), 300, 0, 300, out);
            assert_int_equal(err_kind(e), ERR_CORRUPT);
            err_free(e);
        }
        AUTO_FREE char *bytes = exact_copy(&b);
        for (size_t at = 0; at < MIN(b.n, (size_t)200); at++)
            for (int flip = 1; flip < 256; flip = flip * 3 + 1) {
                bytes[at] = (char)(b.p[at] ^ flip);
                err_free(values_decode(str_span(bytes, b.n), 300, 0, 300, out));
                bytes[at] = b.p[at];
            }
        buf_done(&b);
    }
}

/* ---- times ------------------------------------------------------------------------------------------------------ */

static size_t assert_times(const int64_t *t, uint32_t n) {
    int64_t out[SERIES_SAMPLES_MAX];
    uint32_t got = 0;
    struct buf b;
    buf_init(&b, MIB);
    times_encode(t, n, &b);
    AUTO_FREE char *bytes = exact_copy(&b);
    OK(times_decode(str_span(bytes, b.n), out, &got));
    assert_int_equal(got, n);
    assert_memory_equal(out, t, n * sizeof *t);
    for (size_t cut = 0; cut < b.n; cut++) {
        err e = times_decode(str_span(bytes, cut), out, &got);
        assert_int_equal(err_kind(e), ERR_CORRUPT);
        err_free(e);
    }
    buf_done(&b);
    return b.n;
}

static void times_keep_their_nanoseconds(void **state) {
    (void)state;
    int64_t t[SERIES_SAMPLES_MAX];
    shape_times(1, 0, t, 480);
    assert_true(assert_times(t, 480) <= 24);
    shape_times(1, 5, t, 480);
    assert_true(assert_times(t, 480) <= 480 * 68 / 100);
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct dice d = {seed};
        uint32_t n = 1 + dice_below(&d, 512);
        int64_t unit = (const int64_t[]){1, 1000, 1000000, 1000000000}[seed % 4],
                now = seed % 3 ? -5000 * unit : INT64_MIN / unit / 2 * unit;
        for (uint32_t i = 0; i < n; i++) t[i] = now += unit * (1 + dice_below(&d, 1u << seed % 24));
        assert_times(t, n);
    }
    t[0] = INT64_MIN, t[1] = -1, t[2] = 0, t[3] = INT64_MAX;
    assert_times(t, 4);
}

static void times_that_do_not_ascend_are_refused(void **state) {
    (void)state;
    int64_t t[] = {5, 6, 6, 7}, out[SERIES_SAMPLES_MAX];
    uint32_t n;
    AUTO_BUF struct buf b;
    buf_init(&b, MIB);
    times_encode(t, 4, &b);
    err e = times_decode(buf_str(&b), out, &n);
    assert_int_equal(err_kind(e), ERR_CORRUPT);
    err_free(e);
}

/* ---- histograms ------------------------------------------------------------------------------------------------- */

/* One that passes histogram_check: mostly like the one before, now and then of another form. */
static struct histogram random_histogram(struct arena *a, struct dice *d, bool is_float,
                                         const struct histogram *before) {
    struct histogram h = {.is_float = is_float};
    bool same = before && dice_below(d, 6) != 0;
    uint32_t spans = same ? before->positive_spans + before->negative_spans : dice_below(d, 6);
    struct histogram_span *s = arena_array(a, struct histogram_span, spans + 1);
    if (same) {
        h = *before;
        memcpy(s, before->spans, spans * sizeof *s);
    } else {
        h.schema = dice_below(d, 4) ? (int32_t)dice_below(d, 13) - 4 : SCHEMA_CUSTOM;
        h.positive_spans = h.schema == SCHEMA_CUSTOM ? spans : dice_below(d, spans + 1);
        h.negative_spans = spans - h.positive_spans;
        h.zero_threshold = dice_unit(d);
        h.reset_hint = (uint8_t)dice_below(d, RESET_HINTS);
        for (uint32_t i = 0; i < spans; i++) {
            bool first = i == 0 || i == h.positive_spans;
            s[i] = (struct histogram_span){(int32_t)dice_below(d, 5) - (first && h.schema != SCHEMA_CUSTOM ? 9 : 0),
                                           dice_below(d, 7)};
            h.buckets += s[i].length;
        }
        h.custom_bounds = h.schema == SCHEMA_CUSTOM ? 60 : 0;
        double *bounds = arena_array(a, double, h.custom_bounds + 1);
        for (uint32_t i = 0; i < h.custom_bounds; i++) bounds[i] = i * 0.1 + dice_unit(d) / 20;
        h.bounds = bounds;
    }
    h.spans = s;
    union histogram_number *bucket = arena_array(a, union histogram_number, h.buckets + 1);
    for (uint32_t i = 0; i < h.buckets; i++) {
        bucket[i].integer = (before && same ? before->bucket[i].integer : 0) + dice_below(d, 9);
        if (is_float) bucket[i].real = dice_unit(d) * 50;
    }
    h.bucket = bucket;
    h.sum = dice_below(d, 20) ? dice_normal(d) * 100 : double_of_bits(STALE_BITS);
    h.count.integer = h.zero_count.integer = dice_below(d, 1000);
    if (is_float) h.count.real = h.zero_count.real = dice_unit(d);
    return h;
}

static void histograms_come_back_bit_for_bit(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 120; seed++) {
        struct dice d = {seed};
        AUTO_ARENA struct arena a;
        arena_init(&a, 64 * MIB);
        static struct histogram h[HISTOGRAM_SAMPLES_MAX], out[HISTOGRAM_SAMPLES_MAX];
        uint32_t n = 1 + dice_below(&d, HISTOGRAM_SAMPLES_MAX);
        for (uint32_t i = 0; i < n; i++) {
            h[i] = random_histogram(&a, &d, seed & 1, i ? &h[i - 1] : NULL);
            OK(histogram_check(&h[i]));
        }
        AUTO_BUF struct buf b;
        buf_init(&b, 16 * MIB);
        histograms_encode(h, n, EFFORT_FULL, &b);
        AUTO_FREE char *bytes = exact_copy(&b);
        OK(histograms_decode(str_span(bytes, b.n), n, &a, out));
        for (uint32_t i = 0; i < n; i++) assert_true(histogram_equal(&h[i], &out[i]));
        for (size_t at = 0; at < b.n; at += 1 + b.n / 200) {
            bytes[at] = (char)(b.p[at] ^ (1 << dice_below(&d, 8)));
            err_free(histograms_decode(str_span(bytes, b.n), n, &a, out));
            bytes[at] = b.p[at];
            err e = histograms_decode(str_span(b.p, at), n, &a, out);
            assert_int_equal(err_kind(e), ERR_CORRUPT);
            err_free(e);
        }
    }
}

/* What a histogram counts in one bucket of a lower schema, looked for bucket by bucket. */
static uint64_t counted(const struct histogram *h, bool negative, int32_t schema, int64_t index) {
    int64_t at = 0;
    uint64_t sum = 0;
    uint32_t bucket = 0;
    for (uint32_t s = 0; s < h->positive_spans + h->negative_spans; s++) {
        if (s == h->positive_spans) at = 0;
        at += h->spans[s].offset;
        for (uint32_t i = 0; i < h->spans[s].length; i++, at++, bucket++) {
            int64_t coarse = at;
            for (int32_t k = h->schema; k > schema; k--) coarse = coarse > 0 ? (coarse + 1) / 2 : coarse / 2;
            if (coarse == index && (s >= h->positive_spans) == negative) sum += h->bucket[bucket].integer;
        }
    }
    return sum;
}

static uint64_t all_of(const struct histogram *h) {
    uint64_t sum = h->zero_count.integer;
    for (uint32_t i = 0; i < h->buckets; i++) sum += h->bucket[i].integer;
    return sum;
}

static void check_sum(const struct histogram *x, const struct histogram *y, const struct histogram *sum) {
    bool custom = sum->schema == SCHEMA_CUSTOM;
    OK(histogram_check(sum));
    assert_int_equal(sum->schema, MIN(x->schema, y->schema));
    assert_int_equal(all_of(sum), all_of(x) + all_of(y));
    assert_int_equal(sum->count.integer, x->count.integer + y->count.integer);
    assert_true(sum->zero_threshold >= MAX(x->zero_threshold, y->zero_threshold));
    for (int negative = 0; negative < 2; negative++)
        for (int64_t i = -300; i < 300; i++) {
            double lower = exp2((double)(i - 1) * exp2(-sum->schema));
            uint64_t want = counted(x, negative, sum->schema, i) + counted(y, negative, sum->schema, i);
            if (!custom && x->zero_threshold != y->zero_threshold && lower < sum->zero_threshold) want = 0;
            assert_int_equal(counted(sum, negative, sum->schema, i), want);
        }
}

static void histograms_add_up(void **state) {
    (void)state;
    uint32_t added = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct dice d = {seed};
        AUTO_ARENA struct arena a;
        struct histogram sum;
        arena_init(&a, 64 * MIB);
        struct histogram x = random_histogram(&a, &d, false, NULL), y = random_histogram(&a, &d, false, &x);
        if (dice_below(&d, 2)) y.zero_threshold = x.zero_threshold;
        bool same = (x.schema == SCHEMA_CUSTOM) == (y.schema == SCHEMA_CUSTOM);
        if (same && x.schema == SCHEMA_CUSTOM)
            same = memcmp(x.bounds, y.bounds, x.custom_bounds * sizeof *x.bounds) == 0;
        if (x.schema == SCHEMA_CUSTOM) x.zero_threshold = y.zero_threshold = 0;
        assert_int_equal(histogram_add(&x, &y, &a, &sum), same);
        if (!same) continue;
        check_sum(&x, &y, &sum);
        added++;
    }
    assert_true(added > 200);
}

static void sums_of_many_buckets_get_coarser(void **state) {
    (void)state;
    static union histogram_number ones[1000];
    AUTO_ARENA struct arena a;
    struct histogram sum;
    struct histogram_span spans[2] = {{-2000, 1000}, {5000, 1000}};
    arena_init(&a, 64 * MIB);
    for (size_t i = 0; i < LENGTH(ones); i++) ones[i].integer = 1;
    struct histogram x = {.schema = 8, .positive_spans = 1, .buckets = 1000, .spans = &spans[0], .bucket = ones}, y = x;
    y.spans = &spans[1];
    assert_true(histogram_add(&x, &y, &a, &sum));
    assert_int_equal(sum.schema, 7);
    assert_int_equal(all_of(&sum), 2000);
    OK(histogram_check(&sum));
    x.is_float = true;
    assert_false(histogram_add(&x, &y, &a, &sum));
}

static void a_steady_histogram_is_small(void **state) {
    (void)state;
    AUTO_ARENA struct arena a;
    arena_init(&a, 64 * MIB);
    struct histogram h[HISTOGRAM_SAMPLES_MAX];
    struct histogram_span span = {-3, 40};
    struct dice d = {4};
    uint64_t all = 0;
    for (uint32_t i = 0; i < HISTOGRAM_SAMPLES_MAX; i++) {
        union histogram_number *bucket = arena_array(&a, union histogram_number, 40);
        for (uint32_t k = 0; k < 40; k++)
            all += bucket[k].integer = (i ? h[i - 1].bucket[k].integer : 0) + dice_below(&d, 8);
        h[i] = (struct histogram){.schema = 3,
                                  .positive_spans = 1,
                                  .spans = &span,
                                  .buckets = 40,
                                  .bucket = bucket,
                                  .count.integer = all,
                                  .sum = (double)all};
        OK(histogram_check(&h[i]));
    }
    AUTO_BUF struct buf b;
    buf_init(&b, 16 * MIB);
    histograms_encode(h, HISTOGRAM_SAMPLES_MAX, EFFORT_FULL, &b);
    assert_true(b.n < HISTOGRAM_SAMPLES_MAX * 40 * 5 /
                          10); /* 3 bits of chance a bucket and sample; 336 B a sample as it came */
}

static void histograms_that_lie_are_refused(void **state) {
    (void)state;
    union histogram_number bucket[4] = {{1}, {2}, {3}, {4}};
    struct histogram_span good = {0, 4}, back[] = {{0, 2}, {-1, 2}}, far[] = {{INT32_MAX, 4}}, wide = {0, UINT32_MAX};
    double bounds[] = {1, 2, 2, 3};
    struct histogram fine = {.positive_spans = 1, .spans = &good, .buckets = 4, .bucket = bucket}, h = fine;
    OK(histogram_check(&h));
#define LIE(change, text)                                                                                              \
    do {                                                                                                               \
        h = fine;                                                                                                      \
        change;                                                                                                        \
        err e_ = histogram_check(&h);                                                                                  \
        if (!e_ || !strstr(err_text(e_), text)) fail_msg("%s: %s", text, err_text(e_));                                \
        err_free(e_);                                                                                                  \
    } while (0)
    LIE(h.schema = 9, "schema 9");
    LIE(h.schema = -5, "schema -5");
    LIE(h.reset_hint = 4, "reset hint");
    LIE(h.buckets = 3, "3 counts");
    LIE(h.buckets = 5000, "over 1024");
    LIE((h.spans = back, h.positive_spans = 2), "goes back");
    LIE(h.spans = far, "out of range");
    LIE(h.spans = &wide, "out of range");
    LIE(h.zero_threshold = -1, "zero threshold");
    LIE((h.custom_bounds = 2, h.bounds = bounds), "custom bounds with schema");
    LIE((h.schema = SCHEMA_CUSTOM, h.custom_bounds = 4, h.bounds = bounds), "custom bound 2");
    LIE((h.schema = SCHEMA_CUSTOM, h.custom_bounds = 2, h.bounds = bounds), "more buckets");
#undef LIE
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_of_every_width_and_size_come_back),
        cmocka_unit_test(frames_come_back_whole_and_in_part),
        cmocka_unit_test(every_class_of_values_comes_back_bit_for_bit),
        cmocka_unit_test(edges_among_other_values_come_back),
        cmocka_unit_test(chunks_stay_small),
        cmocka_unit_test(bad_bytes_of_values_do_no_harm),
        cmocka_unit_test(times_keep_their_nanoseconds),
        cmocka_unit_test(times_that_do_not_ascend_are_refused),
        cmocka_unit_test(histograms_come_back_bit_for_bit),
        cmocka_unit_test(histograms_add_up),
        cmocka_unit_test(sums_of_many_buckets_get_coarser),
        cmocka_unit_test(a_steady_histogram_is_small),
        cmocka_unit_test(histograms_that_lie_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
