/* Hostile bytes and a failing disk: every byte of a small file of series flipped, every length cut, structs that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/hash.h"
#include "os/file.h"
#include "os/sim/sim.h"
#include "store/series/part_format_priv.h"
#include "store/series/select_priv.h"
#include "store/series/shapes_testing_priv.h"

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        err ok_ = (call);                                                                                              \
        if (ok_) fail_msg("%s", err_text(ok_));                                                                        \
    } while (0)

enum { SERIES = 12, SAMPLES = 40 };

/* ---- a small file ---------------------------------------------------------------------------------------------------- */

static const struct histogram_span span = {1, 4};
static const union histogram_number buckets[] = {{1}, {2}, {3}, {4}};

static void fill_head(struct head *h) {
    static const char *const codes[] = {"200", "404", "500"};
    for (uint32_t i = 0; i < SERIES; i++) {
        char instance[16];
        uint8_t verdict;
        uint32_t id;
        snprintf(instance, sizeof instance, "host-%u", i);
        struct label l[] = {{METRIC_NAME, i % 2 ? STR("requests_total") : STR("up")},
                            {STR("code"), str_of(codes[i % 3])},
                            {STR("instance"), str_of(instance)}};
        if (i == 5) l[2].name = STR("only_here");
        OK(series_head_add(h, (struct labels){l, 3}, 1, 0, &id));
        double v[SAMPLES];
        shape_fill((enum shape)(i % SHAPES_ALL), i, v, SAMPLES);
        for (uint32_t k = 0; k < SAMPLES; k++) {
            int64_t time = 1000000000 * (int64_t)(1 + k + (i % 4 ? 0 : i)), start = i % 3 ? 0 : 5;
            struct histogram x = {.positive_spans = 1, .spans = &span, .buckets = 4, .bucket = buckets, .sum = k};
            if (i == 7)
                OK(series_head_append_histogram(h, id, time, &x, 0, &verdict));
            else
                OK(series_head_append(h, &id, &time, &v[k], &start, 1, &verdict));
            assert_int_equal(verdict, SAMPLE_TAKEN);
        }
        struct label trace = {STR("trace_id"), str_of(instance)};
        OK(series_head_append_exemplar(h, &(struct exemplar){id, 2000000000, 1.5, {&trace, 1}}));
    }
}

struct small {
    struct head *head; /* what it was written from: the right answers */
    char *good, *bytes;
    size_t n;
};

static void small_init(struct small *s) {
    struct head_options o;
    struct series_info info;
    struct file *f;
    size_t got;
    series_head_options_default(&o);
    s->head = series_head_new(&o);
    fill_head(s->head);
    sim_reset(1);
    OK(series_write("p", 7, &(struct series_source){.head = s->head}, 1, INT64_MIN, INT64_MAX, &info));
    s->n = (size_t)info.bytes;
    s->good = mem_new(s->n + 8);
    s->bytes = mem_new(s->n + 8);
    OK(file_open("p", FILE_READ, &f));
    OK(file_read(f, s->good, s->n, 0, &got));
    assert_int_equal(got, s->n);
    file_close(f);
    memcpy(s->bytes, s->good, s->n);
}

static void small_done(struct small *s) {
    series_head_unref(s->head);
    mem_free(s->good);
    mem_free(s->bytes);
}

/* ---- all that can be asked --------------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *text;
    enum label_matcher_op op;
} questions[] = {{"__name__", "up", MATCHER_EQUAL},
                 {"code", "2..|4.*", MATCHER_REGEX},
                 {"instance", "host-1.*", MATCHER_REGEX},
                 {"code", "404", MATCHER_NOT_EQUAL},
                 {"only_here", "", MATCHER_EQUAL},
                 {"only_here", ".+", MATCHER_REGEX},
                 {"instance", "host-[0-5]", MATCHER_NOT_REGEX},
                 {"nobody", "x", MATCHER_NOT_EQUAL}};

/* Of the series with these labels; where it is not, none. */
static struct samples read_where(const struct selection *s, struct selection_reader *r, struct labels l) {
    struct samples found;
    uint32_t i = 0;
    samples_init(&found, 16 * MIB);
    while (i < selection_count(s) && !label_set_equal(selection_labels(s, i), l)) i++;
    if (i < selection_count(s)) OK(selection_read(r, i, &found));
    return found;
}

static void assert_same(const struct samples *a, const struct samples *b) {
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->times_ns, b->times_ns, a->n * sizeof *a->times_ns);
    for (uint32_t i = 0; i < a->n; i++) {
        const struct histogram *x = samples_histogram(a, i), *y = samples_histogram(b, i);
        assert_int_equal(x != NULL, y != NULL);
        assert_true(x ? histogram_equal(x, y) : bits_of_double(a->values[i]) == bits_of_double(b->values[i]));
        assert_true(samples_start(a, i) == samples_start(b, i));
    }
}

/* What is wanted is where its labels say, or an error tells. */
static void find_all(struct series_part *p, const struct selection *want, bool right) {
    struct series_stats stats = {0};
    struct series_reader *r = series_reader_new(p, &stats);
    for (uint32_t i = 0; i < selection_count(want); i++) {
        uint32_t row = 0;
        bool found;
        err e = series_reader_find(r, selection_labels(want, i), &row, &found);
        if (!e && right) assert_true(found);
        if (!e && found) assert_true(row < series_part_info(p)->series);
        err_free(e);
    }
    series_reader_free(r);
}

static void read_one(const struct selection *got, struct selection_reader *r, uint32_t i, const struct selection *want,
                     struct selection_reader *right_reader, const struct series_stats *stats, bool right) {
    AUTO_ARENA struct arena a;
    struct samples x;
    struct exemplar *e;
    uint32_t n;
    arena_init(&a, 16 * MIB);
    samples_init(&x, 16 * MIB);
    err_free(selection_exemplars(r, i, &a, &e, &n));
    err read = selection_read(r, i, &x);
    if (right) assert_null(read);
    if (right && !stats->bad_pages) {
        struct samples y = read_where(want, right_reader, selection_labels(got, i));
        assert_same(&y, &x);
        samples_done(&y);
    }
    err_free(read);
    samples_done(&x);
}

/* Selected from the head and from the bytes: the same, unless a bad page is named. `right`: wrong answers fail. */
static void ask(struct small *s, struct series_part *p, size_t question, bool right) {
    AUTO_ARENA struct arena a;
    struct series_stats stats = {0}, none = {0};
    struct selection *got = NULL, *want = NULL;
    struct label_matcher m;
    arena_init(&a, 32 * MIB);
    OK(label_matcher_make(&a, str_of(questions[question].name), questions[question].op,
                          str_of(questions[question].text), &m));
    struct series_source part = {.part = p}, head = {.head = s->head};
    OK(series_select(&head, 1, &m, 1, INT64_MIN, INT64_MAX, &a, &none, &want));
    err failed = series_select(&part, 1, &m, 1, INT64_MIN, INT64_MAX, &a, &stats, &got);
    if (right && failed) fail_msg("%s", err_text(failed));
    if (right && !stats.bad_pages) assert_int_equal(selection_count(got), selection_count(want));
    find_all(p, want, right);
    struct selection_reader *right_reader = selection_reader_new(want, &none),
                            *r = got ? selection_reader_new(got, &stats) : NULL;
    for (uint32_t i = 0; got && i < selection_count(got); i++) read_one(got, r, i, want, right_reader, &stats, right);
    err_free(failed);
    selection_reader_free(r);
    selection_reader_free(right_reader);
    selection_free(got);
    selection_free(want);
    label_matcher_done(&m);
}

static bool use(struct small *s, bool trust, size_t turn) {
    struct series_part *p;
    err e = series_part_open_bytes(str_span(s->bytes, s->n), trust, &p);
    if (e) {
        assert_true(err_kind(e) == ERR_CORRUPT || err_kind(e) == ERR_INVALID);
        err_free(e);
        return false;
    }
    if (series_part_info(p)->series <= SERIES) {
        ask(s, p, turn % LENGTH(questions), !trust);
        ask(s, p, turn / 3 % LENGTH(questions), !trust);
    }
    series_part_unref(p);
    return true;
}

static void flip_every_byte(bool trust) {
    struct small s;
    bool all = getenv("CLEW_LONG") != NULL;
    size_t opened = 0, refused = 0;
    small_init(&s);
    for (size_t at = 0; at < s.n; at++)
        for (unsigned bit = 0; bit < (all ? 9u : 1u); bit++) {
            unsigned flip = all ? (bit == 8 ? 0xff : 1u << bit) : 1u << hash_u64(at) % 8;
            s.bytes[at] = (char)(s.good[at] ^ (int)flip);
            *(use(&s, trust, at) ? &opened : &refused) += 1;
            s.bytes[at] = s.good[at];
        }
    assert_true(opened > 100 && refused > 50);
    for (size_t q = 0; q < LENGTH(questions) * 3; q++) assert_true(use(&s, trust, q)); /* unharmed by all this */
    small_done(&s);
}

static void any_flipped_byte_is_no_wrong_answer(void **state) { (void)state, flip_every_byte(false); }
/* With checksums that fit, answers may be wrong; the sanitizers are the judges. */
static void any_byte_may_be_forged(void **state) { (void)state, flip_every_byte(true); }

static void no_cut_file_opens(void **state) {
    (void)state;
    struct small s;
    struct series_part *p;
    small_init(&s);
    for (int trust = 0; trust < 2; trust++)
        for (size_t n = 0; n < s.n; n++) {
            err e = series_part_open_bytes(str_span(s.bytes, n), trust, &p);
            assert_non_null(e);
            assert_int_equal(err_kind(e), ERR_CORRUPT);
            err_free(e);
        }
    small_done(&s);
}

/* What the check passes answers right: every flip that it does not find hit a byte that means nothing. */
static void the_check_finds_every_flip(void **state) {
    (void)state;
    struct small s;
    uint32_t found = 0, harmless = 0;
    small_init(&s);
    for (size_t at = 0; at < s.n; at += 3) {
        AUTO_BUF struct buf text;
        uint64_t bad = 0;
        buf_init(&text, MIB);
        OK(sim_flip_bit("p", at, hash_u64(at) % 8));
        OK(series_part_check("p", &text, &bad));
        assert_int_equal(bad > 0, text.n > 0);
        s.bytes[at] = (char)(s.good[at] ^ 1 << hash_u64(at) % 8);
        if (bad)
            found++;
        else
            harmless++, assert_true(use(&s, false, at));
        s.bytes[at] = s.good[at];
        OK(sim_flip_bit("p", at, hash_u64(at) % 8));
    }
    assert_true(found > 10 * harmless);
    small_done(&s);
}

/* A flush or a merge never loses in silence what it cannot read. */
static void a_damaged_source_is_not_merged(void **state) {
    (void)state;
    struct small s;
    struct series_info info;
    struct series_part *p;
    small_init(&s);
    for (size_t at = sizeof(struct series_header); at < s.n - sizeof(struct series_footer); at += 17) {
        OK(sim_flip_bit("p", at, 1));
        err e = series_part_open("p", &p);
        if (!e) {
            e = series_write("q", 8, &(struct series_source){.part = p}, 1, INT64_MIN, INT64_MAX, &info);
            series_part_unref(p);
        }
        if (e) {
            assert_int_equal(err_kind(e), ERR_CORRUPT);
            assert_false(path_exists("q"));
            err_free(e);
        } else { /* padding, postings, which a merge does not read */
            assert_int_equal(info.samples, SERIES * SAMPLES);
            OK(path_remove("q"));
        }
        OK(sim_flip_bit("p", at, 1));
    }
    small_done(&s);
}

static void a_failed_write_leaves_no_file(void **state) {
    (void)state;
    struct small s;
    struct series_info info;
    small_init(&s);
    for (uint64_t n = 1;; n++) {
        sim_reset(1);
        sim_fail_at(n, ERR_IO);
        err e = series_write("q", 8, &(struct series_source){.head = s.head}, 1, INT64_MIN, INT64_MAX, &info);
        if (!e) {
            assert_int_equal(sim_faults(), 0);
            break;
        }
        err_free(e);
        sim_calm();
        assert_false(path_exists("q"));
    }
    small_done(&s);
}

static void a_newer_format_is_refused_with_advice(void **state) {
    (void)state;
    struct small s;
    struct series_part *p;
    small_init(&s);
    struct series_header *h = (void *)s.bytes;
    h->version = SERIES_VERSION + 1;
    err e = series_part_open_bytes(str_span(s.bytes, s.n), false, &p);
    assert_int_equal(err_kind(e), ERR_CORRUPT); /* a damaged version is not a newer one */
    err_free(e);
    h->checksum = hash_bytes(h, offsetof(struct series_header, checksum));
    e = series_part_open_bytes(str_span(s.bytes, s.n), false, &p);
    assert_int_equal(err_kind(e), ERR_INVALID);
    assert_non_null(strstr(err_text(e), "newer clew"));
    err_free(e);
    small_done(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_flipped_byte_is_no_wrong_answer),
        cmocka_unit_test(any_byte_may_be_forged),
        cmocka_unit_test(no_cut_file_opens),
        cmocka_unit_test(the_check_finds_every_flip),
        cmocka_unit_test(a_damaged_source_is_not_merged),
        cmocka_unit_test(a_failed_write_leaves_no_file),
        cmocka_unit_test(a_newer_format_is_refused_with_advice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
