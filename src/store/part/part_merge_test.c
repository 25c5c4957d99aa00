/* Merges: any number of parts in any order hold the union of their rows, without those that a filter drops; a merge that fails
 * leaves its parts as they are and no file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "os/sim/sim.h"
#include "store/part/part_testing_priv.h"

static bool drops_odd(void *context, const struct batch *b, uint32_t row) {
    (void)context;
    return batch_u64(b, SET_ROWS, FIELD_TIME, row) & 1;
}

static bool touches_some(void *context, const struct part *p, uint32_t group) {
    (void)context;
    return (part_info(p)->id + group) % 2 == 0;
}

/* Parts of both kinds of data, merged, and the result merged again, hold the union. */
static void merge_case(uint64_t seed, enum signal signal, int requests, bool filtered) {
    struct chance c = {seed};
    struct batches all = {0}, back = {0};
    struct part *parts[3], *merged = NULL, *again = NULL;
    struct part_info info;
    struct merge_filter filter = {touches_some, NULL, NULL};
    sim_reset(seed);
    for (uint64_t i = 0; i < LENGTH(parts); i++) {
        char path[16];
        struct batches b = {0};
        snprintf(path, sizeof path, "p%d", (int)i);
        batches_add_random(&b, &c, signal, 1 + chance_below(&c, 100));
        batches_add_load(&b, &c, signal, requests);
        OK(part_write(path, signal, i, b.all.v, b.all.n, INT64_MIN, INT64_MAX, NULL, 64 * MIB, &info));
        OK(part_open(path, &parts[i]));
        for (size_t j = 0; j < b.all.n; j++) batches_add_blob(&all, b.all.v[j].blob);
        vec_done(&b.all);
    }
    if (filtered) filter.drops = drops_odd;
    OK(part_merge("m", 9, parts, LENGTH(parts), filtered ? &filter : NULL, 64 * MIB, &info));
    OK(part_open("m", &merged));
    assert_same_info(&info, part_info(merged));
    OK(part_merge("n", 10, &merged, 1, NULL, 64 * MIB, &info));
    OK(part_open("n", &again));
    part_check_clean("n");
    part_fetch_all(again, &back);
    if (!filtered) assert_same_rows(&all, &back);
    for (int i = 0; i < 12; i++) {
        uint32_t group = chance_below(&c, info.groups);
        part_scan_at_random(&c, again, group, &back.all.v[group]);
    }
    for (size_t i = 0; i < LENGTH(parts); i++) part_unref(parts[i]);
    part_unref(merged);
    part_unref(again);
    batches_done(&back);
    batches_done(&all);
}

static void merged_parts_hold_the_union(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++)
        merge_case(seed, seed & 1 ? SIGNAL_LOGS : SIGNAL_SPANS, seed < 2 ? 20 : 1, false);
    merge_case(11, SIGNAL_SPANS, 18, true);
    merge_case(12, SIGNAL_LOGS, 1, true);
}

/* ---- correlation ids ---------------------------------------------------------------------------------------------- */

enum { ID_ROWS = 40000, ROWS_AN_ID = 10 };

/* Where ids come from: nowhere, or an attribute, whose number among the keys of a part differs. */
enum ids { IDS_ALONE, IDS_OF_ATTRIBUTE };

static void put_attributes(struct batch_builder *b, uint32_t row, uint32_t first, uint32_t id) {
    uint32_t keys[] = {batch_builder_key(b, first ? STR("user") : STR("correlation_id"), VALUE_STRING),
                       batch_builder_key(b, first ? STR("correlation_id") : STR("user"), VALUE_STRING)};
    uint32_t slot = (uint32_t)b->slots.n, user = strings_intern(&b->strings, STR("ana"));
    *vec_push(&b->slots) = first ? user : id;
    *vec_push(&b->slots) = first ? id : user;
    batch_builder_attributes(b, SET_ROWS, row, keys, 2, slot);
}

/* Rows in order of time, ten of each id; every hundredth has the same text. */
static struct batch_blob *make_rows_with_ids(enum signal signal, uint32_t first, uint32_t rows, enum ids from) {
    struct batch_builder b;
    char text[32];
    batch_builder_init(&b, signal);
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t row = batch_builder_row(&b, SET_ROWS), id = (first + i) / ROWS_AN_ID;
        uint64_t trace[2] = {id, ~(uint64_t)id};
        int n = snprintf(text, sizeof text, id % 100 ? "order-%u" : "the batch job", id);
        batch_builder_set_u64(&b, SET_ROWS, FIELD_TIME, row, first + i);
        batch_builder_set_id16(&b, SET_ROWS, FIELD_TRACE_ID, row, trace);
        uint32_t string = strings_intern(&b.strings, (struct str){text, (size_t)n});
        batch_builder_set_u32(&b, SET_ROWS, FIELD_CORRELATION, row, string);
        if (from == IDS_OF_ATTRIBUTE) put_attributes(&b, row, first, string);
    }
    struct batch_blob *blob = batch_builder_finish(&b);
    batch_builder_done(&b);
    return blob;
}

/* How many rows have the id, and how many groups were looked at for it. */
static uint32_t count_id(struct part *p, const char *id, uint64_t *out_groups) {
    AUTO_ARENA struct arena a;
    struct scan_stats stats = {0};
    struct predicate predicate;
    struct part_scan *scan;
    struct chunk chunk;
    bool may_match;
    uint32_t found = 0;
    arena_init(&a, 64 * MIB);
    OK(predicate_make(&a, (struct column_ref){.target = TARGET_FIELD, .field = FIELD_CORRELATION}, OP_EQUAL, str_of(id),
                      &predicate));
    struct scan_request r = {
        .time_min = INT64_MIN, .time_max = INT64_MAX, .predicates = &predicate, .predicate_count = 1};
    OK(part_scan_open(p, &r, &a, &scan, &may_match));
    for (uint32_t group = 0; group < part_info(p)->groups && may_match; group++) {
        OK(part_scan_group(scan, group, &a, &chunk, &stats));
        found += chunk.n;
    }
    *out_groups = stats.groups - stats.groups_pruned;
    predicate_done(&predicate);
    return found;
}

static void assert_ids_are_found(struct part *p, uint32_t first, uint32_t rows) {
    uint64_t groups, wrong = 0;
    char id[32];
    for (uint32_t i = first / ROWS_AN_ID; i < (first + rows) / ROWS_AN_ID; i += 397) {
        if (i % 100 == 0) continue;
        snprintf(id, sizeof id, "order-%u", i);
        assert_int_equal(count_id(p, id, &groups), ROWS_AN_ID);
        assert_in_range(groups, 1, 3); /* its own, the next if it lies across both, rarely one for nothing */
    }
    for (uint32_t i = 0; i < 200; i++) {
        snprintf(id, sizeof id, "none-%u", i);
        assert_int_equal(count_id(p, id, &groups), 0);
        wrong += groups;
    }
    assert_true(wrong < 20); /* 1.6 % of look-ups */
    assert_int_equal(count_id(p, "the batch job", &groups), rows / 100);
    assert_int_equal(groups, part_info(p)->groups);
}

/* An id names its groups, of one part and of parts that were merged, whose groups are copied. */
static void ids_are_found_by_the_index(void **state) {
    (void)state;
    for (int which = 0; which < 2 * SIGNALS; which++) {
        struct part *parts[2], *merged;
        struct part_info info;
        enum signal signal = (enum signal)(which / 2);
        sim_reset(1);
        for (uint32_t i = 0; i < 2; i++) {
            struct batches b = {0};
            batches_add_blob(&b, make_rows_with_ids(signal, i * ID_ROWS, ID_ROWS, (enum ids)(which % 2)));
            parts[i] = part_write_open(i ? "q" : "p", signal, &b);
            assert_ids_are_found(parts[i], i * ID_ROWS, ID_ROWS);
            batches_done(&b);
        }
        OK(part_merge("m", 9, parts, 2, NULL, 64 * MIB, &info));
        OK(part_open("m", &merged));
        assert_true(info.groups == 2 * part_info(parts[0])->groups);
        assert_ids_are_found(merged, 0, 2 * ID_ROWS);
        part_check_clean("m");
        for (int i = 0; i < 2; i++) part_unref(parts[i]);
        part_unref(merged);
    }
}

/* Only a part that has ids asks for a build that knows them. */
static void parts_without_ids_are_as_before(void **state) {
    (void)state;
    for (int with = 0; with < 3; with++) {
        struct batches b = {0};
        AUTO_BUF struct buf bytes = {0};
        sim_reset(1);
        struct batch_builder builder;
        batch_builder_init(&builder, SIGNAL_LOGS);
        uint32_t row = batch_builder_row(&builder, SET_ROWS);
        batch_builder_set_u64(&builder, SET_ROWS, FIELD_TIME, row, 5);
        uint32_t id = strings_intern(&builder.strings, STR("x"));
        if (with) batch_builder_set_u32(&builder, SET_ROWS, FIELD_CORRELATION, row, id);
        if (with == 2) put_attributes(&builder, row, 0, id);
        batches_add_blob(&b, batch_builder_finish(&builder));
        batch_builder_done(&builder);
        part_unref(part_write_open("p", SIGNAL_LOGS, &b));
        OK(file_read_all("p", MIB, &bytes));
        uint32_t features = load_u32(bytes.p + offsetof(struct part_header, features));
        uint32_t want[] = {0, PART_FEATURE_CORRELATION, PART_FEATURE_CORRELATION | PART_FEATURE_IDS_OF_ATTRIBUTE};
        assert_int_equal(features, PART_FEATURE_ENDS | want[with]);
        batches_done(&b);
    }
}

/* Rows that stand together are read without the others: the same rows as from the whole group, wherever they begin. */
static void rows_close_together_are_the_same_rows(void **state) {
    (void)state;
    for (int signal = 0; signal < SIGNALS; signal++) {
        struct chance c = {3};
        struct batches b = {0};
        sim_reset(1);
        batches_add_load(&b, &c, (enum signal)signal, 30);
        batches_add_blob(
            &b, make_rows_with_ids((enum signal)signal, 0, 3000, IDS_OF_ATTRIBUTE)); /* some runs are of one trace id */
        struct part *p = part_write_open("p", (enum signal)signal, &b);
        for (uint32_t group = 0; group < part_info(p)->groups; group++) {
            struct batch_blob *blob = part_fetch_group(p, group);
            struct batch all;
            batch_view(blob, &all);
            for (int i = 0; i < 60; i++) {
                uint32_t n = 33 + chance_below(&c, 300), first = chance_below(&c, all.rows - n), rows[400];
                struct scan_stats stats = {0};
                struct batch_builder builder;
                struct batch some;
                for (uint32_t k = 0; k < n; k++) rows[k] = first + (i % 2 ? k : n - 1 - k);
                batch_builder_init(&builder, (enum signal)signal);
                OK(part_fetch(p, group, rows, n, &builder, &stats));
                assert_int_equal(stats.bad_blocks, 0);
                struct batch_blob *fetched = batch_builder_finish(&builder);
                batch_view(fetched, &some);
                for (uint32_t k = 0; k < n; k++) assert_true(batch_rows_equal(&some, k, &all, rows[k]));
                batch_unref(fetched);
                batch_builder_done(&builder);
            }
            batch_unref(blob);
        }
        part_unref(p);
        batches_done(&b);
    }
}

/* ---- sets of parts ------------------------------------------------------------------------------------------------ */

enum { PARTS_MAX = 5 };

struct part_set {
    struct part *v[PARTS_MAX];
    size_t n;
    enum signal signal;
    struct batches rows; /* of all of them */
};

/* Parts p0, p1, … of `rows` random rows each, and of requests of the load. */
static void set_init(struct part_set *s, uint64_t seed, enum signal signal, size_t n, uint32_t rows, int requests) {
    struct chance c = {seed};
    *s = (struct part_set){.n = n, .signal = signal};
    for (size_t i = 0; i < n; i++) {
        struct batches b = {0};
        struct part_info info;
        char path[16];
        snprintf(path, sizeof path, "p%zu", i);
        if (rows) batches_add_random(&b, &c, signal, 1 + chance_below(&c, rows));
        if (requests) batches_add_load(&b, &c, signal, requests);
        OK(part_write(path, signal, i + 1, b.all.v, b.all.n, INT64_MIN, INT64_MAX, NULL, 64 * MIB, &info));
        OK(part_open(path, &s->v[i]));
        for (size_t j = 0; j < b.all.n; j++) batches_add_blob(&s->rows, b.all.v[j].blob);
        vec_done(&b.all);
    }
}

static void set_done(struct part_set *s) {
    for (size_t i = 0; i < s->n; i++) part_unref(s->v[i]);
    batches_done(&s->rows);
}

static struct part *merge_open(const char *path, struct part *const *v, size_t n, const struct merge_filter *filter) {
    struct part_info info;
    struct part *p = NULL;
    OK(part_merge(path, 99, v, n, filter, 64 * MIB, &info));
    OK(part_open(path, &p));
    assert_same_info(&info, part_info(p));
    part_check_clean(path);
    return p;
}

static void assert_part_has(struct part *p, const struct batches *rows) {
    struct batches back = {0};
    part_fetch_all(p, &back);
    assert_int_equal(part_info(p)->rows, rows->rows);
    assert_same_rows(rows, &back);
    assert_ordered(&back);
    batches_done(&back);
}

/* How many rows of a part match, over all its groups. */
static uint64_t count_matches(struct part *p, const struct scan_request *q) {
    uint64_t n = 0;
    for (uint32_t group = 0; group < part_info(p)->groups; group++) {
        AUTO_ARENA struct arena a;
        struct scan_stats stats = {0};
        struct chunk chunk = {0};
        struct part_scan *scan;
        bool may_match;
        arena_init(&a, 64 * MIB);
        OK(part_scan_open(p, q, &a, &scan, &may_match));
        if (may_match) OK(part_scan_group(scan, group, &a, &chunk, &stats));
        assert_int_equal(stats.bad_blocks, 0);
        n += chunk.n;
    }
    return n;
}

static void next_order(struct part **v, size_t n, uint64_t k) { /* k-th permutation, by factorial digits */
    for (size_t i = 0; i + 1 < n; i++) {
        size_t j = i + k % (n - i);
        k /= n - i;
        struct part *x = v[i];
        v[i] = v[j];
        v[j] = x;
    }
}

static void merges_in_any_order_answer_alike(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        struct part_set s;
        sim_reset(seed);
        set_init(&s, seed, seed & 1 ? SIGNAL_LOGS : SIGNAL_SPANS, 3, 60, 0);
        for (uint64_t order = 0; order < 6; order++) {
            struct part *v[3] = {s.v[0], s.v[1], s.v[2]};
            next_order(v, 3, order);
            struct part *merged = merge_open("m", v, 3, NULL);
            assert_part_has(merged, &s.rows);
            for (uint64_t q = 0; q < 8; q++) {
                AUTO_ARENA struct arena a;
                struct chance c = {seed * 100 + q};
                struct predicate p;
                arena_init(&a, MIB);
                random_predicate(&c, &a, &s.rows.all.v[0], &p);
                struct scan_request r = {
                    .time_min = INT64_MIN, .time_max = INT64_MAX, .predicates = &p, .predicate_count = 1};
                uint64_t want = 0;
                for (size_t i = 0; i < s.n; i++) want += count_matches(s.v[i], &r);
                assert_int_equal(count_matches(merged, &r), want);
                predicate_done(&p);
            }
            part_doom(merged);
            part_unref(merged);
        }
        set_done(&s);
    }
}

/* ((a b) (c d)) e, and a part merged with itself: the union counts each row as often as it stood. */
static void merges_of_merges_hold_the_union(void **state) {
    (void)state;
    for (uint64_t seed = 20; seed < 26; seed++) {
        struct part_set s;
        sim_reset(seed);
        set_init(&s, seed, seed & 1 ? SIGNAL_LOGS : SIGNAL_SPANS, 5, 50, 0);
        struct part *left = merge_open("l", s.v, 2, NULL), *right = merge_open("r", s.v + 2, 2, NULL);
        struct part *both = merge_open("b", (struct part *[]){right, left}, 2, NULL);
        struct part *all = merge_open("a", (struct part *[]){s.v[4], both}, 2, NULL);
        assert_part_has(all, &s.rows);
        struct part *twice = merge_open("t", (struct part *[]){s.v[0], s.v[0]}, 2, NULL);
        assert_int_equal(part_info(twice)->rows, 2 * part_info(s.v[0])->rows);
        for (size_t i = 0; i < 5; i++) part_unref((struct part *[]){left, right, both, all, twice}[i]);
        set_done(&s);
    }
}

/* ---- groups that are copied --------------------------------------------------------------------------------------- */

/* Large groups are not decoded: their lists of strings, keys, shapes, skeletons, resources and scopes are rewritten. */
static void copied_groups_keep_their_rows(void **state) {
    (void)state;
    for (int signal = 0; signal < SIGNALS; signal++) {
        struct part_set s;
        sim_reset(3);
        set_init(&s, 40 + (uint64_t)signal, (enum signal)signal, 2, 0, 17); /* 8,500 rows a part */
        assert_int_equal(part_info(s.v[0])->small_groups, 0);
        struct part *merged = merge_open("m", s.v, 2, NULL);
        assert_int_equal(part_info(merged)->groups, 2);
        assert_part_has(merged, &s.rows);
        part_unref(merged);
        set_done(&s);
    }
}

/* ---- filters ------------------------------------------------------------------------------------------------------ */

static bool drops_by_name(void *context, const struct batch *b, uint32_t row) {
    const struct predicate *p = context;
    return predicate_matches_row(p, b, row);
}

static bool touches_all(void *context, const struct part *p, uint32_t group) {
    (void)context, (void)p, (void)group;
    return true;
}

/* The rows that the filter keeps, copied. */
static void keep(const struct batches *all, const struct predicate *p, enum signal signal, struct batches *out) {
    struct batch_builder b;
    batch_builder_init(&b, signal);
    for (size_t i = 0; i < all->all.n; i++) {
        struct batch_copy_cache cache = {0};
        for (uint32_t row = 0; row < all->all.v[i].rows; row++)
            if (!predicate_matches_row(p, &all->all.v[i], row)) batch_builder_copy(&b, &all->all.v[i], row, &cache);
        batch_copy_cache_done(&cache);
    }
    batches_add_blob(out, batch_builder_finish(&b));
    batch_builder_done(&b);
}

static void merge_with_deletes(uint64_t seed, enum signal signal, int requests) {
    AUTO_ARENA struct arena a;
    struct part_set s;
    struct chance c = {seed};
    struct predicate p;
    struct batches kept = {0};
    struct part_info info;
    sim_reset(seed);
    set_init(&s, seed, signal, requests ? 1 : 3, requests ? 0 : 70, requests);
    arena_init(&a, MIB);
    random_predicate(&c, &a, &s.rows.all.v[0], &p);
    keep(&s.rows, &p, signal, &kept);
    struct merge_filter filter = {touches_all, drops_by_name, &p};
    if (kept.rows) {
        struct part *merged = merge_open("m", s.v, s.n, &filter);
        assert_part_has(merged, &kept);
        part_unref(merged);
    } else {
        REFUSED(part_merge("m", 9, s.v, s.n, &filter, 64 * MIB, &info), NOT_FOUND, "no rows");
        assert_false(path_exists("m"));
    }
    predicate_done(&p);
    batches_done(&kept);
    set_done(&s);
}

static void deletes_are_applied_row_by_row(void **state) {
    (void)state;
    uint64_t seeds = getenv("CLEW_LONG") ? 2000 : 50;
    for (uint64_t seed = 0; seed < seeds; seed++) merge_with_deletes(seed, seed & 1 ? SIGNAL_LOGS : SIGNAL_SPANS, 0);
    merge_with_deletes(7, SIGNAL_LOGS, 17); /* a large group is decoded because the filter touches it */
}

static bool drops_all(void *context, const struct batch *b, uint32_t row) {
    (void)context, (void)b, (void)row;
    return true;
}

static void a_merge_that_drops_everything_leaves_no_file(void **state) {
    (void)state;
    struct part_set s;
    struct part_info info;
    struct merge_filter filter = {touches_all, drops_all, NULL};
    sim_reset(1);
    set_init(&s, 1, SIGNAL_SPANS, 3, 30, 0);
    REFUSED(part_merge("m", 9, s.v, s.n, &filter, 64 * MIB, &info), NOT_FOUND, "no rows");
    assert_false(path_exists("m"));
    set_done(&s);
}

/* ---- failures ----------------------------------------------------------------------------------------------------- */

/* Every call to the disk fails once: no file, or a whole one; the parts merged can still be merged. */
static void a_merge_that_fails_leaves_its_parts(void **state) {
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct part_set s;
        struct part_info info;
        sim_reset(2);
        set_init(&s, 2, SIGNAL_LOGS, 2, 40, 0);
        sim_fail_at(n, n % 2 ? ERR_IO : ERR_UNAVAILABLE);
        err e = part_merge("m", 9, s.v, s.n, NULL, 64 * MIB, &info);
        bool failed = sim_faults() > 0;
        assert_true(failed == (e != NULL) || !e); /* only the removal of what failed may fail unseen */
        if (e) assert_non_null(strstr(err_text(e), "merging into part m"));
        err_free(e);
        sim_calm();
        struct part *merged = merge_open("again", s.v, s.n, NULL);
        assert_part_has(merged, &s.rows);
        part_unref(merged);
        set_done(&s);
        if (!failed) break;
    }
}

/* A damaged group is never merged into a good-looking one: refused, or the union is right (the flip hit no byte that counts). */
static void damage_stops_a_merge(void **state) {
    (void)state;
    uint32_t refused = 0;
    for (uint64_t seed = 0; seed < 150; seed++) {
        struct chance c = {seed};
        struct part_set s;
        struct part_info info;
        struct part *damaged = NULL, *merged;
        sim_reset(1);
        set_init(&s, seed, seed & 1 ? SIGNAL_LOGS : SIGNAL_SPANS, 2, 20, 0);
        OK(sim_flip_bit("p1", chance_below(&c, (uint32_t)part_info(s.v[1])->bytes), chance_below(&c, 8)));
        err e = part_open("p1", &damaged);
        if (!e) e = part_merge("m", 9, (struct part *[]){s.v[0], damaged}, 2, NULL, 64 * MIB, &info);
        if (e) {
            assert_true(err_kind(e) == ERR_CORRUPT || err_kind(e) == ERR_INVALID);
            assert_false(path_exists("m"));
            refused++;
        } else {
            OK(part_open("m", &merged));
            assert_part_has(merged, &s.rows);
            part_unref(merged);
        }
        err_free(e);
        part_unref(damaged);
        set_done(&s);
    }
    assert_true(refused > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_found_by_the_index),
        cmocka_unit_test(rows_close_together_are_the_same_rows),
        cmocka_unit_test(parts_without_ids_are_as_before),
        cmocka_unit_test(merged_parts_hold_the_union),
        cmocka_unit_test(merges_in_any_order_answer_alike),
        cmocka_unit_test(merges_of_merges_hold_the_union),
        cmocka_unit_test(copied_groups_keep_their_rows),
        cmocka_unit_test(deletes_are_applied_row_by_row),
        cmocka_unit_test(a_merge_that_drops_everything_leaves_no_file),
        cmocka_unit_test(a_merge_that_fails_leaves_its_parts),
        cmocka_unit_test(damage_stops_a_merge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
