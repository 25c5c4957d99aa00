/* The whole room against a naive model: samples in order, late, twice, in conflict; native histograms, start times, exemplars; sealed,
 * merged, deleted; asked by random matchers. A seed replays exactly; CLEW_LONG=1 runs many more. */
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/hash.h"
#include "base/vec.h"
#include "os/file.h"
#include "os/sim/sim.h"
#include "store/series/select_priv.h"
#include "store/series/shapes_testing_priv.h"

#define OK(call)                                                                                                       \
    do {                                                                                                               \
        err ok_ = (call);                                                                                              \
        if (ok_) fail_msg("%s", err_text(ok_));                                                                        \
    } while (0)

#define SECOND INT64_C(1000000000)

/* ---- the model ----------------------------------------------------------------------------------------------------- */

struct kept {
    uint32_t series;
    int64_t time_ns, start_ns;
    double value;
    const struct histogram *histogram;
};
typedef VEC(struct kept) kept_list;

enum { SERIES = 40, PARTS_MAX = 6, WINDOW_S = 600 };

struct times_seen {
    uint64_t id, hash;
};

struct world {
    VEC(struct times_seen) times_seen; /* in one reading */
    struct dice dice;
    struct arena arena;
    struct labels labels[SERIES];
    kept_list visible, in_head; /* in_head: what the head knows, visible or not */
    VEC(struct exemplar) exemplars;
    int64_t now, last[SERIES]; /* last: newest in this head; INT64_MIN none */
    struct head *head;
    struct budget budget;
    struct series_part *parts[PARTS_MAX]; /* oldest first */
    uint32_t part_count;
    uint64_t files;
};

static struct kept *find_kept(const kept_list *l, uint32_t series, int64_t time_ns) {
    for (size_t i = 0; i < l->n; i++)
        if (l->v[i].series == series && l->v[i].time_ns == time_ns) return &l->v[i];
    return NULL;
}

static bool same_sample(const struct kept *a, const struct kept *b) {
    if (a->histogram || b->histogram)
        return a->histogram && b->histogram && histogram_equal(a->histogram, b->histogram);
    return bits_of_double(a->value) == bits_of_double(b->value);
}

static enum head_verdict expected_verdict(const struct world *w, const struct kept *k) {
    const struct kept *there = find_kept(&w->in_head, k->series, k->time_ns);
    if (there) return same_sample(there, k) ? SAMPLE_REPEATED : SAMPLE_CONFLICT;
    if (k->time_ns > w->last[k->series]) return SAMPLE_TAKEN;
    return w->last[k->series] - k->time_ns > WINDOW_S * SECOND ? SAMPLE_TOO_LATE : SAMPLE_TAKEN_LATE;
}

/* ---- the world ------------------------------------------------------------------------------------------------------ */

static const char *const names[] = {"__name__", "code", "instance", "job", "le", "pöd", "zone"};
static const char *const values[] = {"a",   "ab", "b",     "200",   "500",
                                     "b.c", "é",  "api-1", "api-2", "long value with spaces\nand lines"};

static struct labels random_labels(struct world *w) {
    struct label *v = arena_array(&w->arena, struct label, LENGTH(names));
    uint32_t n = 0;
    for (size_t i = 0; i < LENGTH(names); i++)
        if (dice_below(&w->dice, 3))
            v[n++] = (struct label){str_of(names[i]), str_of(values[dice_below(&w->dice, LENGTH(values))])};
    if (n == 0) v[n++] = (struct label){str_of(names[0]), str_of(values[0])};
    return (struct labels){v, n};
}

static void new_head(struct world *w) {
    struct head_options o;
    series_head_options_default(&o);
    o.budget = &w->budget;
    o.late_window_ns = WINDOW_S * SECOND;
    w->head = series_head_new(&o);
    vec_clear(&w->in_head);
    for (int i = 0; i < SERIES; i++) w->last[i] = INT64_MIN;
}

static void world_init(struct world *w, uint64_t seed) {
    *w = (struct world){.dice = {seed}, .now = (seed % 3 ? 1790000000 : -5000) * SECOND};
    arena_init(&w->arena, 256 * MIB);
    budget_init(&w->budget, 256 * MIB);
    sim_reset(seed);
    for (int i = 0; i < SERIES; i++) {
        bool is_new = false;
        while (!is_new) {
            w->labels[i] = random_labels(w);
            is_new = true;
            for (int k = 0; k < i; k++) is_new &= !label_set_equal(w->labels[i], w->labels[k]);
        }
    }
    new_head(w);
}

static void world_done(struct world *w) {
    series_head_unref(w->head);
    for (uint32_t i = 0; i < w->part_count; i++) series_part_unref(w->parts[i]);
    vec_done(&w->visible);
    vec_done(&w->in_head);
    vec_done(&w->exemplars);
    vec_done(&w->times_seen);
    arena_done(&w->arena);
    assert_int_equal(budget_used(&w->budget), 0);
}

static const struct histogram *some_histogram(struct world *w) {
    struct histogram *h = arena_new(&w->arena, struct histogram);
    struct histogram_span *s = arena_new(&w->arena, struct histogram_span);
    union histogram_number *b = arena_array(&w->arena, union histogram_number, 8);
    *s = (struct histogram_span){(int32_t)dice_below(&w->dice, 3), 1 + dice_below(&w->dice, 7)};
    *h = (struct histogram){
        .schema = 2, .positive_spans = 1, .buckets = s->length, .spans = s, .bucket = b, .sum = dice_unit(&w->dice)};
    h->is_float = dice_below(&w->dice, 4) == 0;
    for (uint32_t i = 0; i < s->length; i++) b[i].integer = dice_below(&w->dice, 100);
    h->count.integer = 7;
    return h;
}

/* ---- what happens ---------------------------------------------------------------------------------------------------- */

static struct kept random_sample(struct world *w) {
    struct kept k = {.series = dice_below(&w->dice, SERIES)};
    int64_t last = w->last[k.series];
    switch (dice_below(&w->dice, 10)) {
    case 0: k.time_ns = w->now - dice_below(&w->dice, WINDOW_S * 2) * SECOND; break;
    case 1: k.time_ns = last == INT64_MIN ? w->now : last - dice_below(&w->dice, 100) * SECOND; break;
    case 2: k.time_ns = last == INT64_MIN ? w->now : last; break;
    default: k.time_ns = w->now;
    }
    if (dice_below(&w->dice, 20) == 0) k.time_ns += dice_below(&w->dice, 1000);
    k.value = dice_below(&w->dice, 5) ? dice_below(&w->dice, 4)
                                      : double_of_bits(edge_bits[dice_below(&w->dice, LENGTH(edge_bits))]);
    k.start_ns = k.series % 4 == 0 ? w->now - (w->now % (3600 * SECOND)) : 0;
    if (k.series % 5 == 1 && dice_below(&w->dice, 8)) k.histogram = some_histogram(w);
    return k;
}

static uint32_t id_in_head(struct world *w, uint32_t series) {
    uint32_t id;
    OK(series_head_add(w->head, w->labels[series], series % 3, w->now, &id));
    return id;
}

static void append(struct world *w) {
    struct kept k = random_sample(w);
    uint8_t verdict = VERDICTS;
    const struct kept *there = find_kept(&w->in_head, k.series, k.time_ns);
    if (there && dice_below(&w->dice, 2)) k = *there;
    enum head_verdict expected = expected_verdict(w, &k);
    uint32_t id = id_in_head(w, k.series);
    if (k.histogram)
        OK(series_head_append_histogram(w->head, id, k.time_ns, k.histogram, k.start_ns, &verdict));
    else
        OK(series_head_append(w->head, &id, &k.time_ns, &k.value, &k.start_ns, 1, &verdict));
    assert_int_equal(verdict, expected);
    if (verdict != SAMPLE_TAKEN && verdict != SAMPLE_TAKEN_LATE) return;
    *vec_push(&w->in_head) = k;
    w->last[k.series] = MAX(w->last[k.series], k.time_ns);
    if (!find_kept(&w->visible, k.series, k.time_ns)) *vec_push(&w->visible) = k;
    if (dice_below(&w->dice, 10)) return;
    struct label *l = arena_new(&w->arena, struct label);
    *l = (struct label){STR("trace_id"), str_of(values[dice_below(&w->dice, LENGTH(values))])};
    struct exemplar e = {id, k.time_ns, k.value, {l, dice_below(&w->dice, 2)}};
    OK(series_head_append_exemplar(w->head, &e));
    OK(series_head_append_exemplar(w->head, &e)); /* said twice, kept once */
    e.series = k.series;
    *vec_push(&w->exemplars) = e;
}

/* Each label set is found where it is, by one reader, and those that are not there are not. */
static void assert_finds(struct world *w, struct series_part *p) {
    AUTO_ARENA struct arena a;
    struct series_stats stats = {0};
    struct series_reader *r = series_reader_new(p, &stats), *by_row = series_reader_new(p, &stats);
    arena_init(&a, 16 * MIB);
    uint32_t rows = (uint32_t)series_part_info(p)->series, row, all = 0;
    for (uint32_t i = 0; i < SERIES; i++) {
        bool found;
        struct labels there;
        OK(series_reader_find(r, w->labels[i], &row, &found));
        all += found;
        if (found) OK(series_reader_labels(by_row, row, &a, &there));
        if (found) assert_true(label_set_equal(there, w->labels[i]));
    }
    assert_int_equal(all, rows);
    series_reader_free(r);
    series_reader_free(by_row);
}

static struct series_part *write_open(struct world *w, struct series_source *sources, uint32_t n,
                                      const struct series_delete *d, uint32_t deletes) {
    char path[64];
    struct series_info info;
    struct series_part *p = NULL;
    AUTO_BUF struct buf text;
    uint64_t bad = 0;
    buf_init(&text, MIB);
    snprintf(path, sizeof path, "%llu", (unsigned long long)++w->files);
    for (uint32_t i = 0; i < n; i++) {
        sources[i].deletes = d;
        sources[i].delete_count = deletes;
    }
    err e = series_write(path, w->files, sources, n, INT64_MIN, INT64_MAX, &info);
    if (e && err_kind(e) == ERR_NOT_FOUND) {
        err_free(e);
        assert_false(path_exists(path));
        return NULL;
    }
    OK(e);
    OK(series_part_check(path, &text, &bad));
    if (bad) fail_msg("%s", text.p);
    OK(series_part_open(path, &p));
    assert_memory_equal(&info, series_part_info(p), sizeof info);
    assert_finds(w, p);
    return p;
}

static void drop_part(struct world *w, uint32_t i) {
    series_part_doom(w->parts[i]);
    series_part_unref(w->parts[i]);
    w->part_count--;
    memmove(w->parts + i, w->parts + i + 1, (w->part_count - i) * sizeof *w->parts);
}

/* Parts first, first + 1 become one. */
static void merge_two(struct world *w, uint32_t first) {
    struct series_source s[] = {{.part = w->parts[first]}, {.part = w->parts[first + 1]}};
    struct series_part *p = write_open(w, s, 2, NULL, 0);
    drop_part(w, first + 1);
    series_part_doom(w->parts[first]);
    series_part_unref(w->parts[first]);
    w->parts[first] = p;
}

static void seal(struct world *w) {
    struct series_part *p = write_open(w, &(struct series_source){.head = w->head}, 1, NULL, 0);
    if (w->part_count == PARTS_MAX) merge_two(w, dice_below(&w->dice, PARTS_MAX - 1));
    if (p) w->parts[w->part_count++] = p;
    series_head_unref(w->head);
    new_head(w);
}

/* ---- matchers --------------------------------------------------------------------------------------------------------- */

static const char *const patterns[] = {
    "a",         "a.*",    "a.+",    ".*", ".+", "",   "a|b",     "(a|b|nope)", "(?:200|500)", "b\\.c", "b.c", "[ab]+",
    "api-[0-9]", "api-.*", "(a|b)?", "é",  ".",  "..", "2.*|5.*", "long.*",     ".*lines",     "x*",    "a*b", "ab?"};

struct asked {
    struct label_matcher m[4];
    struct str name[4], text[4];
    uint32_t n;
};

static void ask_random(struct world *w, struct arena *a, struct asked *q) {
    q->n = dice_below(&w->dice, 5);
    for (uint32_t i = 0; i < q->n; i++) {
        enum label_matcher_op op = dice_below(&w->dice, 4);
        q->name[i] = dice_below(&w->dice, 12) ? str_of(names[dice_below(&w->dice, LENGTH(names))]) : STR("nobody");
        bool regex = op == MATCHER_REGEX || op == MATCHER_NOT_REGEX;
        q->text[i] = regex                     ? str_of(patterns[dice_below(&w->dice, LENGTH(patterns))])
                     : dice_below(&w->dice, 6) ? str_of(values[dice_below(&w->dice, LENGTH(values))])
                                               : STR("");
        OK(label_matcher_make(a, q->name[i], op, q->text[i], &q->m[i]));
    }
}

static void asked_done(struct asked *q) {
    for (uint32_t i = 0; i < q->n; i++) label_matcher_done(&q->m[i]);
}

/* The other library's dot is a byte: é becomes one. */
static void plain_bytes(char *text) {
    for (char *p; (p = strstr(text, "é"));) {
        *p = 'Q';
        memmove(p + 1, p + 2, strlen(p + 2) + 1);
    }
}

/* By another library, and the wording of Prometheus's documentation. */
static bool matches_by_definition(const struct asked *q, struct labels l) {
    for (uint32_t i = 0; i < q->n; i++) {
        struct str value = label_set_get(l, q->name[i]);
        bool found;
        if (q->m[i].op == MATCHER_REGEX || q->m[i].op == MATCHER_NOT_REGEX) {
            char wrapped[200], text[200];
            regex_t r;
            const char *p = q->text[i].p;
            if (strncmp(p, "(?:", 3) == 0) snprintf(wrapped, sizeof wrapped, "^(%s$", p + 3), wrapped[1] = '(';
            if (strncmp(p, "(?:", 3) != 0) snprintf(wrapped, sizeof wrapped, "^(%s)$", p);
            snprintf(text, sizeof text, "%.*s", (int)value.n, value.p ? value.p : "");
            plain_bytes(wrapped);
            plain_bytes(text);
            assert_int_equal(regcomp(&r, wrapped, REG_EXTENDED | REG_NOSUB), 0);
            found = regexec(&r, text, 0, NULL, 0) == 0;
            regfree(&r);
        } else {
            found = str_equal(value, q->text[i]);
        }
        if (found == q->m[i].is_negative) return false;
    }
    return true;
}

static void delete_some(struct world *w) {
    struct asked q;
    AUTO_ARENA struct arena a;
    arena_init(&a, 16 * MIB);
    seal(w);
    ask_random(w, &a, &q);
    struct series_delete d = {q.m, q.n, w->now - dice_below(&w->dice, 4000) * SECOND,
                              w->now - dice_below(&w->dice, 1000) * SECOND};
    for (uint32_t i = w->part_count; i-- > 0;) {
        struct series_part *p = write_open(w, &(struct series_source){.part = w->parts[i]}, 1, &d, 1);
        if (p) {
            series_part_doom(w->parts[i]);
            series_part_unref(w->parts[i]);
            w->parts[i] = p;
        } else {
            drop_part(w, i);
        }
    }
    size_t n = 0;
    for (size_t i = 0; i < w->visible.n; i++) {
        struct kept k = w->visible.v[i];
        bool gone =
            k.time_ns >= d.time_min && k.time_ns <= d.time_max && matches_by_definition(&q, w->labels[k.series]);
        if (!gone) w->visible.v[n++] = k;
    }
    w->visible.n = n;
    vec_clear(&w->exemplars); /* looked at in worlds without deletes */
    asked_done(&q);
}

/* ---- reading ------------------------------------------------------------------------------------------------------------ */

static int compare_kept(const void *a, const void *b) {
    const struct kept *x = a, *y = b;
    return x->time_ns < y->time_ns ? -1 : x->time_ns > y->time_ns;
}

/* What the reader says it knows is so. */
static void assert_facts(struct world *w, struct samples *got) {
    uint64_t id = samples_times_id(got), hash = hash_bytes(got->times_ns, got->n * sizeof *got->times_ns);
    for (uint32_t i = 0; i < got->n; i++) {
        if (samples_histogram(got, i)) continue;
        double v = got->values[i];
        assert_true(got->may_nan || v == v);
        assert_true(got->may_fall || i == 0 || samples_histogram(got, i - 1) || v >= got->values[i - 1]);
    }
    for (size_t i = 0; i < w->times_seen.n; i++)
        if (w->times_seen.v[i].id == id) assert_true(w->times_seen.v[i].hash == hash);
    *vec_push(&w->times_seen) = (struct times_seen){id, hash};
}

static void assert_series(struct world *w, uint32_t series, int64_t min, int64_t max, const struct samples *got) {
    kept_list want = {0};
    for (size_t i = 0; i < w->visible.n; i++)
        if (w->visible.v[i].series == series && w->visible.v[i].time_ns >= min && w->visible.v[i].time_ns <= max)
            *vec_push(&want) = w->visible.v[i];
    if (want.n) qsort(want.v, want.n, sizeof *want.v, compare_kept);
    assert_int_equal(got->n, want.n);
    for (uint32_t i = 0; i < got->n; i++) {
        struct kept k = {series, got->times_ns[i], samples_start(got, i), got->values[i], samples_histogram(got, i)};
        assert_true(k.time_ns == want.v[i].time_ns);
        assert_true(same_sample(&k, &want.v[i]));
        assert_true(k.start_ns == want.v[i].start_ns);
    }
    vec_done(&want);
}

static uint32_t series_of(const struct world *w, struct labels l) {
    for (uint32_t i = 0; i < SERIES; i++)
        if (label_set_equal(w->labels[i], l)) return i;
    fail_msg("unknown labels");
    return 0;
}

static void assert_exemplars(struct world *w, const struct selection *s, struct selection_reader *r, uint32_t i,
                             struct arena *a) {
    struct exemplar *got;
    uint32_t n, want = 0, series = series_of(w, selection_labels(s, i));
    OK(selection_exemplars(r, i, a, &got, &n));
    for (size_t k = 0; k < w->exemplars.n; k++) {
        const struct exemplar *e = &w->exemplars.v[k];
        if (e->series != series) continue;
        bool found = false;
        want++;
        for (uint32_t g = 0; g < n; g++)
            found |= got[g].time_ns == e->time_ns && bits_of_double(got[g].value) == bits_of_double(e->value) &&
                     label_set_equal(got[g].labels, e->labels);
        assert_true(found);
    }
    assert_int_equal(n, want);
}

static uint32_t sources_of(struct world *w, struct series_source *out) {
    for (uint32_t i = 0; i < w->part_count; i++) out[i] = (struct series_source){.part = w->parts[i]};
    out[w->part_count] = (struct series_source){.head = w->head};
    return w->part_count + 1;
}

static void assert_label_texts(struct world *w, const struct series_source *sources, uint32_t n, struct arena *a) {
    struct str name = str_of(names[dice_below(&w->dice, LENGTH(names))]), *got;
    struct series_stats stats = {0};
    struct asked q;
    uint32_t count;
    ask_random(w, a, &q);
    OK(series_label_texts(sources, n, name, q.m, q.n, INT64_MIN, INT64_MAX, a, &stats, &got, &count));
    for (uint32_t i = 1; i < count; i++) assert_true(str_compare(got[i - 1], got[i]) < 0);
    for (uint32_t i = 0; i < SERIES; i++) {
        struct str value = label_set_get(w->labels[i], name);
        bool there = false, found = false;
        for (size_t k = 0; k < w->visible.n; k++) there |= w->visible.v[k].series == i;
        for (uint32_t k = 0; k < count; k++) found |= str_equal(got[k], value);
        if (there && value.n && matches_by_definition(&q, w->labels[i]) && !found)
            fail_msg("%s: %.*s is missing of %u, %u matchers", name.p, (int)value.n, value.p, count, q.n);
    }
    asked_done(&q);
}

static void read_all(struct world *w, bool exemplars) {
    AUTO_ARENA struct arena a;
    struct series_source sources[PARTS_MAX + 1];
    struct series_stats stats = {0};
    struct selection *s;
    struct samples got;
    struct asked q;
    uint32_t n = sources_of(w, sources);
    arena_init(&a, 64 * MIB);
    ask_random(w, &a, &q);
    bool all = dice_below(&w->dice, 3) == 0;
    int64_t min = all ? INT64_MIN : w->now - dice_below(&w->dice, 8000) * SECOND,
            max = all ? INT64_MAX : w->now - dice_below(&w->dice, 2000) * SECOND;
    OK(series_select(sources, n, q.m, q.n, min, max, &a, &stats, &s));
    struct selection_reader *r = selection_reader_new(s, &stats);
    samples_init(&got, 64 * MIB);
    bool seen[SERIES] = {0};
    vec_clear(&w->times_seen);
    for (uint32_t i = 0; i < selection_count(s); i++) {
        uint32_t series = series_of(w, selection_labels(s, i));
        assert_true(matches_by_definition(&q, w->labels[series]) && !seen[series]);
        seen[series] = true;
        OK(selection_read(r, i, &got));
        if (got.n) assert_facts(w, &got);
        assert_series(w, series, min, max, &got);
        if (exemplars && all) assert_exemplars(w, s, r, i, &a);
    }
    samples_clear(&got);
    for (uint32_t i = 0; i < SERIES; i++)
        if (!seen[i] && matches_by_definition(&q, w->labels[i]))
            assert_series(w, i, min, max, &got); /* has none there */
    assert_int_equal(stats.bad_pages, 0);
    assert_label_texts(w, sources, n, &a);
    samples_done(&got);
    selection_reader_free(r);
    selection_free(s);
    asked_done(&q);
}

static void random_life(uint64_t seed) {
    struct world w;
    world_init(&w, seed);
    uint32_t steps = 800 + dice_below(&w.dice, 800);
    bool deletes = seed % 2;
    for (uint32_t i = 0; i < steps; i++) {
        if (dice_below(&w.dice, 12) == 0) w.now += (1 + dice_below(&w.dice, 90)) * SECOND;
        append(&w);
        if (dice_below(&w.dice, 400) == 0) seal(&w);
        if (w.part_count > 1 && dice_below(&w.dice, 600) == 0) merge_two(&w, dice_below(&w.dice, w.part_count - 1));
        if (deletes && dice_below(&w.dice, 700) == 0) delete_some(&w);
        if (dice_below(&w.dice, 60) == 0) read_all(&w, !deletes);
    }
    read_all(&w, !deletes);
    world_done(&w);
}

static void random_lives_equal_the_model(void **state) {
    (void)state;
    uint64_t seeds = getenv("CLEW_LONG") ? 2000 : 40, only = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 10) : 0;
    for (uint64_t seed = only ? only : 1; seed <= (only ? only : seeds); seed++) {
        if (getenv("CLEW_VERBOSE")) fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
        random_life(seed);
    }
}

/* ---- series that are larger than the memory for one ----------------------------------------------------------------- */

enum { LARGE_BUCKETS = HISTOGRAM_BUCKETS_MAX, LARGE_SAMPLES = 34000, LONG_SAMPLES = 150000 };

static struct head *large_head(struct budget *budget, struct labels l, uint32_t *id) {
    struct head_options o;
    series_head_options_default(&o);
    o.budget = budget;
    o.late_window_ns = 1000000 * SECOND;
    struct head *h = series_head_new(&o);
    OK(series_head_add(h, l, 0, INT64_MIN, id));
    return h;
}

static struct series_info write_sources(const char *path, struct head *h, struct series_part *part) {
    struct series_source sources[] = {{.part = part}, {.head = h}};
    struct series_info info;
    OK(series_write(path, 1, part ? sources : sources + 1, part ? 2 : 1, INT64_MIN, INT64_MAX, &info));
    return info;
}

/* Native histograms that would take 300 MB decoded, in a head and then in a merge. */
static void a_series_of_many_large_histograms_is_written(void **state) {
    (void)state;
    static union histogram_number counts[LARGE_BUCKETS];
    struct label label = {STR("__name__"), STR("large")};
    struct histogram_span span = {0, LARGE_BUCKETS};
    struct histogram h = {.sum = 1, .positive_spans = 1, .spans = &span, .buckets = LARGE_BUCKETS, .bucket = counts};
    struct budget budget;
    struct series_part *part, *merged;
    struct series_stats stats = {0};
    struct samples got;
    uint32_t id;
    uint8_t verdict;
    budget_init(&budget, 512 * MIB);
    sim_reset(1);
    struct head *head = large_head(&budget, (struct labels){&label, 1}, &id);
    for (uint32_t i = 0; i < LARGE_SAMPLES; i++) {
        h.count.integer = counts[i % LARGE_BUCKETS].integer = i;
        OK(series_head_append_histogram(head, id, i * SECOND, &h, 0, &verdict));
        assert_int_equal(verdict, SAMPLE_TAKEN);
    }
    assert_int_equal(write_sources("a", head, NULL).samples, LARGE_SAMPLES);
    OK(series_part_open("a", &part));
    struct series_info info = write_sources("b", head, part);
    assert_int_equal(info.samples, LARGE_SAMPLES);
    assert_int_equal(info.chunks, (LARGE_SAMPLES + 127) / 128);
    AUTO_BUF struct buf text;
    uint64_t bad = 1;
    buf_init(&text, MIB);
    OK(series_part_check("b", &text, &bad));
    assert_int_equal(bad, 0);
    OK(series_part_dump("b", 5, &text));
    assert_non_null(strstr(text.p, "large"));
    OK(series_part_open("b", &merged));
    struct series_reader *r = series_reader_new(merged, &stats);
    samples_init(&got, 64 * MIB);
    OK(series_reader_read(r, 0, (LARGE_SAMPLES - 5) * SECOND, INT64_MAX, &got));
    assert_int_equal(got.n, 5);
    assert_true(histogram_equal(got.histograms[4], &h));
    samples_done(&got);
    series_reader_free(r);
    series_part_unref(merged);
    series_part_unref(part);
    series_head_unref(head);
}

static int64_t long_start(uint32_t i) { return i / 1000 * 1000 * SECOND + 1; }

/* Every third sample is in the file, the others in the head, some of them late; start times change. */
static void append_long(struct head *h, uint32_t id, bool third) {
    for (int late = 0; late <= 1; late++)
        for (uint32_t i = 0; i < LONG_SAMPLES; i++) {
            int64_t time = i * SECOND, start = long_start(i);
            double value = i * 0.5;
            uint8_t verdict;
            if ((i % 3 == 0) != third || (i % 500 == 1) != late) continue;
            OK(series_head_append(h, &id, &time, &value, &start, 1, &verdict));
            assert_int_equal(verdict, late ? SAMPLE_TAKEN_LATE : SAMPLE_TAKEN);
        }
}

static void a_long_series_is_merged_in_pieces(void **state) {
    (void)state;
    struct label label = {STR("__name__"), STR("long")};
    struct labels l = {&label, 1};
    struct budget budget;
    struct series_part *part, *merged;
    struct series_stats stats = {0};
    struct samples got;
    uint32_t id;
    budget_init(&budget, 512 * MIB);
    sim_reset(1);
    struct head *first = large_head(&budget, l, &id);
    append_long(first, id, true);
    write_sources("a", first, NULL);
    OK(series_part_open("a", &part));
    struct head *second = large_head(&budget, l, &id);
    append_long(second, id, false);
    struct series_info info = write_sources("b", second, part);
    assert_int_equal(info.samples, LONG_SAMPLES);
    assert_true(info.chunks < LONG_SAMPLES / 480 * 3 / 2); /* whole ones, across the ends of pieces */
    OK(series_part_open("b", &merged));
    struct series_reader *r = series_reader_new(merged, &stats);
    samples_init(&got, MIB);
    OK(series_reader_read(r, 0, INT64_MIN, INT64_MAX, &got));
    assert_int_equal(got.n, LONG_SAMPLES);
    for (uint32_t i = 0; i < got.n; i++)
        if (got.times_ns[i] != i * SECOND || got.values[i] != i * 0.5 || got.starts_ns[i] != long_start(i))
            fail_msg("sample %u differs", i);
    assert_int_equal(stats.bad_pages, 0);
    samples_done(&got);
    series_reader_free(r);
    series_part_unref(merged);
    series_part_unref(part);
    series_head_unref(first);
    series_head_unref(second);
}

enum { MANY_SERIES = 600, MANY_SAMPLES = 4 };

/* Which start time each sample of series i has: the same for long stretches, none, one that changes within the series. */
static int64_t many_start(uint32_t i, uint32_t k) {
    if (i % 97 == 5) return 0;
    if (i % 89 == 7) return (int64_t)(1 + i + k) * SECOND;
    return (i / 250 + 1) * SECOND;
}

static struct series_info write_many(bool with_starts) {
    struct budget budget;
    struct head_options o;
    budget_init(&budget, 64 * MIB);
    series_head_options_default(&o);
    o.budget = &budget;
    struct head *h = series_head_new(&o);
    for (uint32_t i = 0; i < MANY_SERIES; i++) {
        char name[16];
        uint32_t id;
        snprintf(name, sizeof name, "%04u", i);
        struct label l[] = {{STR("__name__"), STR("many")}, {STR("i"), str_of(name)}};
        OK(series_head_add(h, (struct labels){l, 2}, 0, INT64_MIN, &id));
        for (uint32_t k = 0; k < MANY_SAMPLES; k++) {
            int64_t time = (1000 + k) * SECOND, start = with_starts ? many_start(i, k) : 0;
            double value = i;
            uint8_t verdict;
            OK(series_head_append(h, &id, &time, &value, &start, 1, &verdict));
            assert_int_equal(verdict, SAMPLE_TAKEN);
        }
    }
    struct series_info info = write_sources(with_starts ? "starts" : "none", h, NULL);
    series_head_unref(h);
    return info;
}

static void start_times_that_come_again_take_nothing(void **state) {
    (void)state;
    struct series_part *part;
    struct series_stats stats = {0};
    sim_reset(1);
    uint64_t without = write_many(false).bytes, with = write_many(true).bytes;
    if (with > without + 400) fail_msg("%ju bytes with start times, %ju without", (uintmax_t)with, (uintmax_t)without);
    OK(series_part_open("starts", &part));
    struct series_reader *r = series_reader_new(part, &stats);
    for (uint32_t n = 0; n < 2 * MANY_SERIES; n++) { /* forwards, then back */
        struct samples got;
        uint32_t i = n < MANY_SERIES ? n : 2 * MANY_SERIES - 1 - n;
        samples_init(&got, MIB);
        OK(series_reader_read(r, i, INT64_MIN, INT64_MAX, &got));
        assert_int_equal(got.n, MANY_SAMPLES);
        for (uint32_t k = 0; k < got.n; k++)
            if (got.values[k] != i || samples_start(&got, k) != many_start(i, k))
                fail_msg("series %u, sample %u", i, k);
        samples_done(&got);
    }
    assert_int_equal(stats.bad_pages, 0);
    series_reader_free(r);
    series_part_unref(part);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_lives_equal_the_model),
        cmocka_unit_test(a_series_of_many_large_histograms_is_written),
        cmocka_unit_test(a_long_series_is_merged_in_pieces),
        cmocka_unit_test(start_times_that_come_again_take_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
