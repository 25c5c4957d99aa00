/* The head by itself: what it refuses and what it says then; row sets of many columns; readers beside the writer. Matchers and labels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "os/clock.h"
#include "os/thread.h"
#include "store/series/head_priv.h"
#include "store/series/shapes_testing_priv.h"

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        err ok_ = (call);                                                                                              \
        if (ok_) fail_msg("%s", err_text(ok_));                                                                        \
    } while (0)
#define REFUSED(call, kind, text)                                                                                      \
    do {                                                                                                               \
        err e_ = (call);                                                                                               \
        assert_non_null(e_);                                                                                           \
        if (err_kind(e_) != ERR_##kind || !strstr(err_text(e_), text)) fail_msg("%s: %s", text, err_text(e_));         \
        err_free(e_);                                                                                                  \
    } while (0)

#define SECOND INT64_C(1000000000)

static struct labels metric(struct label v[2], const char *name, const char *instance) {
    v[0] = (struct label){METRIC_NAME, str_of(name)};
    v[1] = (struct label){STR("instance"), str_of(instance)};
    return (struct labels){v, 2};
}

static uint32_t make_series(struct head *h, const char *name, uint32_t instance, uint64_t set) {
    struct label v[2];
    char text[16];
    uint32_t id;
    snprintf(text, sizeof text, "%u", instance);
    OK(series_head_add(h, metric(v, name, text), set, 0, &id));
    return id;
}

static struct head *new_head(void (*change)(struct head_options *o)) {
    struct head_options o;
    series_head_options_default(&o);
    if (change) change(&o);
    return series_head_new(&o);
}

/* ---- labels and matchers ------------------------------------------------------------------------------------------------- */

static void labels_that_no_series_may_have_are_refused(void **state) {
    (void)state;
    static char large[LABEL_VALUE_BYTES_MAX + 1];
    static struct label many[LABELS_MAX + 1];
    memset(large, 'x', sizeof large);
    struct label good[] = {{STR("a"), STR("1")}, {STR("b"), STR("2")}};
    OK(label_set_check((struct labels){good, 2}, 10));
#define BAD(kind, text, ...)                                                                                           \
    do {                                                                                                               \
        struct label l_[] = {__VA_ARGS__};                                                                             \
        REFUSED(label_set_check((struct labels){l_, LENGTH(l_)}, 3), kind, text);                                      \
    } while (0)
    BAD(INVALID, "without a name", {STR(""), STR("1")});
    BAD(INVALID, "no value", {STR("a"), STR("")});
    BAD(INVALID, "ascending", {STR("b"), STR("1")}, {STR("a"), STR("1")});
    BAD(INVALID, "ascending", {STR("a"), STR("1")}, {STR("a"), STR("1")});
    BAD(INVALID, "not UTF-8", {STR("a\xff"), STR("1")});
    BAD(INVALID, "not UTF-8", {STR("a"), STR("\xc3")});
    BAD(LIMIT, "a name of", {str_span(large, LABEL_NAME_BYTES_MAX + 1), STR("1")});
    BAD(LIMIT, "a value of", {STR("a"), str_span(large, sizeof large)});
    BAD(LIMIT, "4 labels, at most 3", {STR("a"), STR("1")}, {STR("b"), STR("1")}, {STR("c"), STR("1")},
        {STR("d"), STR("1")});
#undef BAD
    REFUSED(label_set_check((struct labels){many, LABELS_MAX + 1}, UINT32_MAX), LIMIT, "257 labels");
    REFUSED(label_set_check((struct labels){0}, 3), INVALID, "without labels");
}

static const struct {
    const char *pattern;
    enum label_matcher_kind kind;
    const char *yes, *no; /* values that match, and not */
} expressions[] = {
    {"a", MATCHER_LITERALS, "a", "ab"},        {"", MATCHER_LITERALS, "", "a"},
    {"a|bc", MATCHER_LITERALS, "bc", "b"},     {"(a|bc)", MATCHER_LITERALS, "a", "abc"},
    {"(?:a|bc)", MATCHER_LITERALS, "bc", "c"}, {"a\\.b", MATCHER_LITERALS, "a.b", "axb"},
    {"a.*", MATCHER_PREFIX, "a", "ba"},        {"a.+", MATCHER_PREFIX, "ab\n", "a"},
    {".*", MATCHER_PREFIX, "", NULL},          {".+", MATCHER_PREFIX, "x", ""},
    {"ab*", MATCHER_PATTERN, "a", "b"},        {"ab?", MATCHER_PATTERN, "ab", "abb"},
    {"a.", MATCHER_PATTERN, "a\n", "a"},       {"é.", MATCHER_PATTERN, "éé", "é"},
    {"aé?", MATCHER_PATTERN, "a", "a\xc3"},    {"(a)|b.*", MATCHER_PATTERN, "bx", "ax"},
    {"a|b.*", MATCHER_PATTERN, "a", "ab"},     {"(?i)AB", MATCHER_PATTERN, "ab", "abc"},
    {"a{2}", MATCHER_PATTERN, "aa", "a"},      {"[a|b]", MATCHER_PATTERN, "|", "ab"},
    {"a$", MATCHER_PATTERN, "a", "a\n"},       {"\\d+", MATCHER_PATTERN, "12", "1a"},
};

static void expressions_match_whole_values(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(expressions); i++) {
        AUTO_ARENA struct arena a;
        struct label_matcher m, n;
        struct str pattern = str_of(expressions[i].pattern), yes = str_of(expressions[i].yes),
                   no = str_of(expressions[i].no);
        arena_init(&a, MIB);
        OK(label_matcher_make(&a, STR("x"), MATCHER_REGEX, pattern, &m));
        OK(label_matcher_make(&a, STR("x"), MATCHER_NOT_REGEX, pattern, &n));
        if (m.kind != expressions[i].kind) fail_msg("%s: kind %d", pattern.p, m.kind);
        if (!label_matcher_matches(&m, yes) || label_matcher_matches(&n, yes))
            fail_msg("%s does not match %s", pattern.p, yes.p);
        if (no.p && (label_matcher_matches(&m, no) || !label_matcher_matches(&n, no)))
            fail_msg("%s matches %s", pattern.p, no.p);
        assert_int_equal(m.matches_empty, label_matcher_matches(&m, STR("")));
        label_matcher_done(&m);
        label_matcher_done(&n);
    }
}

static void bad_expressions_are_refused_with_their_place(void **state) {
    (void)state;
    AUTO_ARENA struct arena a;
    struct label_matcher m;
    static char large[70000];
    memset(large, 'a', sizeof large);
    arena_init(&a, MIB);
    REFUSED(label_matcher_make(&a, STR("x"), MATCHER_REGEX, STR("a(b"), &m), INVALID, "at byte 3");
    REFUSED(label_matcher_make(&a, STR("x"), MATCHER_REGEX, STR("a)|(b"), &m), INVALID, "at byte 1");
    REFUSED(label_matcher_make(&a, STR("x"), MATCHER_REGEX, STR("(a)\\1"), &m), INVALID, "no back-references");
    REFUSED(label_matcher_make(&a, STR("x"), MATCHER_NOT_REGEX, STR("(?=a)"), &m), INVALID, "no look-around");
    OK(label_matcher_make(&a, STR("x"), MATCHER_REGEX, str_span(large, sizeof large),
                          &m)); /* a text: nothing to compile */
    label_matcher_done(&m);
    large[0] = '.';
    REFUSED(label_matcher_make(&a, STR("x"), MATCHER_REGEX, str_span(large, sizeof large), &m), LIMIT, "70000 bytes");
}

/* ---- limits ---------------------------------------------------------------------------------------------------------------- */

static void few_series(struct head_options *o) { o->series_max = 10; }

static void too_many_series_name_the_offender(void **state) {
    (void)state;
    struct head *h = new_head(few_series);
    struct label v[2];
    uint32_t id;
    for (uint32_t i = 0; i < 8; i++) make_series(h, "requests_by_user", i, 1);
    for (uint32_t i = 0; i < 2; i++) make_series(h, "up", i, 1);
    REFUSED(series_head_add(h, metric(v, "up", "new"), 1, 0, &id), LIMIT,
            "over 10 series: most are of metric requests_by_user (8), the label with most values is instance (8)");
    OK(series_head_add(h, metric(v, "up", "1"), 1, 0, &id)); /* known ones go on */
    struct head_cardinality c;
    AUTO_ARENA struct arena a;
    arena_init(&a, MIB);
    OK(series_head_cardinality(h, 1, &a, &c));
    assert_true(c.metric_count == 1 && str_equal(c.metrics[0].name, STR("requests_by_user")) &&
                c.metrics[0].count == 8);
    assert_true(c.label_count == 1 && str_equal(c.labels[0].name, STR("instance")) && c.labels[0].count == 8);
    assert_true(c.pair_count == 1 && str_equal(c.pairs[0].value, STR("requests_by_user")));
    series_head_unref(h);
}

static void three_active(struct head_options *o) { o->series_max = 3, o->active_ns = 600 * SECOND; }

static void append_one(struct head *h, uint32_t id, int64_t seconds) {
    uint8_t verdict;
    series_head_now(h, seconds * SECOND);
    OK(series_head_append(h, &id, (int64_t[]){seconds * SECOND}, (double[]){1}, NULL, 1, &verdict));
    assert_int_equal(verdict, SAMPLE_TAKEN);
}

static void idle_series_leave_room_for_others(void **state) {
    (void)state;
    struct head *h = new_head(three_active);
    struct label v[2];
    uint32_t id, ids[4];
    for (uint32_t i = 0; i < 3; i++) append_one(h, ids[i] = make_series(h, "up", i, 1), 10);
    REFUSED(series_head_add(h, metric(v, "up", "3"), 1, 0, &id), LIMIT, "over 3 series: most are of metric up (3)");
    append_one(h, ids[0], 300);
    REFUSED(series_head_add(h, metric(v, "up", "3"), 1, 0, &id), LIMIT, "over 3 series");
    append_one(h, ids[0], 611); /* the other two are idle now */
    for (uint32_t i = 3; i < 5; i++) append_one(h, make_series(h, "up", i, 1), 611);
    REFUSED(series_head_add(h, metric(v, "up", "5"), 1, 0, &id), LIMIT, "over 3 series: most are of metric up");
    series_head_unref(h);
}

/* What samples say of their time makes nobody else idle, and of those that went idle there is room for so many. */
static void the_series_limit_goes_by_the_time_of_arrival(void **state) {
    (void)state;
    struct head *h = new_head(three_active);
    struct label v[2];
    uint8_t verdict;
    uint32_t id, ids[3], n = 3;
    for (uint32_t i = 0; i < 3; i++) append_one(h, ids[i] = make_series(h, "up", i, 1), 10);
    for (int64_t ahead = 1; ahead < 20; ahead++) {
        OK(series_head_append(h, ids, (int64_t[]){ahead * 4000 * SECOND}, (double[]){1}, NULL, 1, &verdict));
        REFUSED(series_head_add(h, metric(v, "up", "new"), 1, 0, &id), LIMIT, "over 3 series");
    }
    for (int64_t round = 1; round < 20; round++) {
        series_head_now(h, round * 1000 * SECOND);
        for (uint32_t i = 0; i < 3 && n < 3 * HEAD_IDLE_TIMES; i++) make_series(h, "up", n++, 1);
    }
    REFUSED(series_head_add(h, metric(v, "up", "new"), 1, 0, &id), LIMIT, "over 12 series, with those that went idle");
    series_head_unref(h);
}

static void series_without_samples_may_be_left(void **state) {
    (void)state;
    struct head *h = new_head(three_active);
    struct label v[2];
    uint32_t id, ids[3];
    for (uint32_t i = 0; i < 3; i++) ids[i] = make_series(h, "up", i, 1);
    append_one(h, ids[0], 10);
    series_head_leave(h, ids, 3);
    for (uint32_t i = 3; i < 5; i++) make_series(h, "up", i, 1);
    REFUSED(series_head_add(h, metric(v, "up", "5"), 1, 0, &id), LIMIT, "over 3 series");
    series_head_unref(h);
}

static void little_churn(struct head_options *o) { o->new_series_max = 3, o->churn_ns = 60 * SECOND; }

static void churn_is_limited_by_time(void **state) {
    (void)state;
    struct head *h = new_head(little_churn);
    struct label v[2];
    uint32_t id;
    for (uint32_t i = 0; i < 3; i++) make_series(h, "up", i, 1);
    REFUSED(series_head_add(h, metric(v, "up", "3"), 1, 59 * SECOND, &id), LIMIT,
            "over 3 new series in 60 s: most are of metric up (3)");
    OK(series_head_add(h, metric(v, "up", "3"), 1, 61 * SECOND, &id));
    series_head_unref(h);
}

static struct budget small_budget;
static void on_small_budget(struct head_options *o) { o->budget = &small_budget; }

static void a_full_budget_refuses_before_anything_changes(void **state) {
    (void)state;
    budget_init(&small_budget, 4 * MIB);
    struct head *h = new_head(on_small_budget);
    struct label v[2];
    char text[16];
    err e = NULL;
    uint32_t id, n = 0;
    for (; !e; n++) {
        snprintf(text, sizeof text, "%u", n);
        e = series_head_add(h, metric(v, "up", text), n, 0, &id);
    }
    assert_int_equal(err_kind(e), ERR_BUSY);
    err_free(e);
    struct head_stats stats;
    series_head_get_stats(h, &stats);
    assert_int_equal(stats.series, n - 1);
    assert_true(budget_used(&small_budget) <= 4 * MIB && budget_used(&small_budget) >= stats.bytes);
    series_head_unref(h);
    assert_int_equal(budget_used(&small_budget), 0);
}

static void late_samples_get_a_verdict_with_a_reason(void **state) {
    (void)state;
    struct head *h = new_head(NULL); /* 30 minutes */
    uint32_t id = make_series(h, "up", 0, 1);
    static const struct {
        int64_t second;
        double value;
        enum head_verdict verdict;
        const char *text;
    } cases[] = {{10000, 1, SAMPLE_TAKEN, "taken"},         {10000, 1, SAMPLE_REPEATED, "same sample"},
                 {10000, 2, SAMPLE_CONFLICT, "duplicate"},  {9000, 5, SAMPLE_TAKEN_LATE, "taken"},
                 {9000, 5, SAMPLE_REPEATED, "same sample"}, {9000, 6, SAMPLE_CONFLICT, "duplicate"},
                 {8200, 7, SAMPLE_TAKEN_LATE, "taken"},     {8199, 7, SAMPLE_TOO_LATE, "out of order"},
                 {10001, 3, SAMPLE_TAKEN, "taken"}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        int64_t time = cases[i].second * SECOND;
        uint8_t verdict;
        OK(series_head_append(h, &id, &time, &cases[i].value, NULL, 1, &verdict));
        assert_int_equal(verdict, cases[i].verdict);
        assert_non_null(strstr(series_head_verdict_text(verdict), cases[i].text));
    }
    struct samples s;
    samples_init(&s, MIB);
    OK(series_head_read(h, id, INT64_MIN, INT64_MAX, &s));
    assert_int_equal(s.n, 4);
    assert_true(s.times_ns[0] == 8200 * SECOND && s.values[1] == 5 && s.values[3] == 3);
    samples_done(&s);
    series_head_unref(h);
}

static void a_series_takes_so_many_late_samples(void **state) {
    (void)state;
    struct head *h = new_head(NULL);
    uint32_t id = make_series(h, "up", 0, 1);
    int64_t time = 5000 * SECOND;
    double value = 1;
    uint8_t verdict;
    OK(series_head_append(h, &id, &time, &value, NULL, 1, &verdict));
    for (uint32_t i = 0; i <= LATE_MAX; i++) {
        time = 4000 * SECOND + i;
        OK(series_head_append(h, &id, &time, &value, NULL, 1, &verdict));
        assert_int_equal(verdict, i < LATE_MAX ? SAMPLE_TAKEN_LATE : SAMPLE_LATE_FULL);
    }
    series_head_unref(h);
}

/* 200,000 samples in order of two series of one set, one of which is seldom there; then as many late ones, most of them refused. */
static void late_samples_cost_little_however_much_there_is(void **state) {
    (void)state;
    enum { N = 200000, SELDOM = 1000 };
    struct head *h = new_head(NULL);
    uint32_t ids[] = {make_series(h, "up", 0, 1), make_series(h, "up", 1, 1)}, counts[VERDICTS] = {0};
    int64_t *times = mem_new_array(int64_t, N);
    double *values = mem_new_array(double, N);
    uint8_t *verdicts = mem_new_array(uint8_t, N);
    uint32_t *of = mem_new_array(uint32_t, N);
    for (uint32_t i = 0; i < N; i++) {
        of[i] = ids[i % SELDOM == 0];
        times[i] = i * 2000000ll;
        values[i] = i;
    }
    OK(series_head_append(h, of, times, values, NULL, N, verdicts));
    for (uint32_t i = 0; i < N; i++) {
        times[i] = times[N - 1 - i / 2 * 2] + (i % 2) * 500000; /* half are there, half are not */
        values[i] = i % 8 ? (double)(N - 1 - i) : -1;
        of[i] = ids[i % 4 == 2 || i % 4 == 3];
    }
    int64_t start = clock_thread_cpu_ns();
    for (uint32_t i = 0; i < N; i += 1000)
        OK(series_head_append(h, of + i, times + i, values + i, NULL, 1000, verdicts + i));
    double took = (double)(clock_thread_cpu_ns() - start) / 1e9;
    for (uint32_t i = 0; i < N; i++) counts[verdicts[i]]++;
    print_message("%d late samples: %.2f s\n", N, took);
    assert_true(took < 5); /* about 0.1; a minute when each was compared by reading the series */
    assert_int_equal(counts[SAMPLE_TAKEN_LATE], 2 * LATE_MAX);
    assert_true(counts[SAMPLE_CONFLICT] > N / 20 && counts[SAMPLE_LATE_FULL] > N / 4);
    mem_free(times);
    mem_free(values);
    mem_free(verdicts);
    mem_free(of);
    series_head_unref(h);
}

/* ---- row sets -------------------------------------------------------------------------------------------------------------- */

/* 1,300 series of one key: three sets; some miss scrapes, some come later, clocks differ by series. */
static void sets_of_any_size_keep_every_sample(void **state) {
    (void)state;
    enum { N = 1300, SCRAPES = 150 };
    struct head *h = new_head(NULL);
    uint32_t *ids = mem_new_array(uint32_t, N);
    struct samples s;
    samples_init(&s, MIB);
    for (uint32_t k = 0; k < SCRAPES; k++) {
        for (uint32_t i = 0; i < N; i++) {
            if (k < i % 7 * 10 || (i + k) % 11 == 0) continue;
            if (k == i % 7 * 10 || !ids[i]) ids[i] = make_series(h, "x", i, 9) + 1;
            uint32_t id = ids[i] - 1;
            int64_t time = k * SECOND * 15 + (i % 50 == 3 ? i : 0);
            double value = k * i;
            uint8_t verdict;
            OK(series_head_append(h, &id, &time, &value, NULL, 1, &verdict));
            assert_int_equal(verdict, SAMPLE_TAKEN);
        }
    }
    struct head_stats stats;
    series_head_get_stats(h, &stats);
    assert_int_equal(stats.row_sets, 3);
    for (uint32_t i = 0; i < N; i++) {
        uint32_t n = 0;
        samples_clear(&s);
        OK(series_head_read(h, ids[i] - 1, INT64_MIN, INT64_MAX, &s));
        for (uint32_t k = i % 7 * 10; k < SCRAPES; k++) {
            if ((i + k) % 11 == 0) continue;
            assert_true(s.values[n] == k * i && s.times_ns[n] == k * SECOND * 15 + (i % 50 == 3 ? i : 0));
            n++;
        }
        assert_int_equal(n, s.n);
    }
    samples_done(&s);
    mem_free(ids);
    series_head_unref(h);
}

/* ---- readers beside the writer ----------------------------------------------------------------------------------------------- */

struct both {
    struct head *h;
    _Atomic uint32_t written; /* scrapes that are appended */
    _Atomic bool ended;
    uint32_t reads;
    bool wrong;
};
enum { TOGETHER = 64, SCRAPES_TOGETHER = 600 };

static void write_scrapes(void *context) {
    struct both *b = context;
    for (uint32_t k = 0; k < SCRAPES_TOGETHER; k++) {
        for (uint32_t i = 0; i < TOGETHER; i++) {
            uint32_t id = make_series(b->h, k > 300 && i == 5 ? "y" : "x", k > 300 && i == 5 ? k : i, i % 3);
            int64_t time = k * SECOND;
            double value = k;
            uint8_t verdict;
            err_free(series_head_append(b->h, &id, &time, &value, NULL, 1, &verdict));
        }
        atomic_store(&b->written, k + 1);
    }
    atomic_store(&b->ended, true);
}

/* Every series that a reader selects has all scrapes that were written before it asked. */
static void read_scrapes(void *context) {
    struct both *b = context;
    struct samples s;
    samples_init(&s, MIB);
    while (!atomic_load(&b->ended)) {
        AUTO_ARENA struct arena a;
        struct label_matcher m[2];
        struct labels l;
        uint32_t *ids, n, before = atomic_load(&b->written);
        arena_init(&a, 16 * MIB);
        err_free(label_matcher_make(&a, METRIC_NAME, MATCHER_EQUAL, STR("x"), &m[0]));
        err_free(label_matcher_make(&a, STR("instance"), MATCHER_REGEX, STR("[0-9]+"), &m[1]));
        err e = series_head_select(b->h, m, 2, &a, &ids, &n);
        for (uint32_t i = 0; !e && i < n; i++) {
            samples_clear(&s);
            e = series_head_read(b->h, ids[i], INT64_MIN, INT64_MAX, &s);
            if (!series_head_labels(b->h, ids[i], &a, &l) || l.n != 2) b->wrong = true;
            bool complete = s.n >= before || str_equal(label_set_get(l, STR("instance")), STR("5"));
            for (uint32_t k = 0; k < s.n; k++) complete &= s.values[k] == k && s.times_ns[k] == k * SECOND;
            if (!complete) b->wrong = true;
        }
        if (e || (before && n < TOGETHER)) b->wrong = true;
        err_free(e);
        label_matcher_done(&m[0]);
        label_matcher_done(&m[1]);
        b->reads++;
    }
    samples_done(&s);
}

static void readers_see_all_that_came_before_them(void **state) {
    (void)state;
    struct both b = {.h = new_head(NULL)};
    struct thread *writer, *reader;
    OK(thread_start(&reader, "reader", 0, read_scrapes, &b));
    OK(thread_start(&writer, "writer", 0, write_scrapes, &b));
    thread_join(writer);
    thread_join(reader);
    assert_false(b.wrong);
    assert_true(b.reads > 0);
    series_head_unref(b.h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_that_no_series_may_have_are_refused),
        cmocka_unit_test(expressions_match_whole_values),
        cmocka_unit_test(bad_expressions_are_refused_with_their_place),
        cmocka_unit_test(too_many_series_name_the_offender),
        cmocka_unit_test(idle_series_leave_room_for_others),
        cmocka_unit_test(the_series_limit_goes_by_the_time_of_arrival),
        cmocka_unit_test(series_without_samples_may_be_left),
        cmocka_unit_test(churn_is_limited_by_time),
        cmocka_unit_test(a_full_budget_refuses_before_anything_changes),
        cmocka_unit_test(late_samples_get_a_verdict_with_a_reason),
        cmocka_unit_test(a_series_takes_so_many_late_samples),
        cmocka_unit_test(late_samples_cost_little_however_much_there_is),
        cmocka_unit_test(sets_of_any_size_keep_every_sample),
        cmocka_unit_test(readers_see_all_that_came_before_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
