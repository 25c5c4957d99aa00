/* What writing and opening a part takes of memory, and the limits of what is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "os/sim/sim.h"
#include "signal/testing_priv.h"
#include "store/part/part_read_priv.h"
#include "store/part/part_write_priv.h"

static void ok_at(err e, int line) {
    if (e) fail_msg("line %d: %s", line, err_text(e));
}
#define OK(call) ok_at((call), __LINE__)

static void check_part(const char *path) {
    AUTO_BUF struct buf findings;
    uint64_t bad = 0;
    buf_init(&findings, MIB);
    OK(part_check(path, &findings, &bad));
    if (bad) fail_msg("%s", findings.p);
}

static err write_one(const char *path, uint64_t id, const struct batch *b, uint64_t memory, struct part_info *out) {
    return part_write(path, b->signal, id, b, 1, INT64_MIN, INT64_MAX, NULL, memory, out);
}

/* Log rows that each have a key of their own. */
static struct batch_blob *rows_of_keys(uint32_t n) {
    struct batch_builder b;
    batch_builder_init(&b, SIGNAL_LOGS);
    batch_builder_row(&b, SET_RESOURCES);
    batch_builder_row(&b, SET_SCOPES);
    for (uint32_t i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "key number %u", i);
        uint32_t key = batch_builder_key(&b, str_of(name), VALUE_INT), row = batch_builder_row(&b, SET_ROWS);
        *vec_push(&b.slots) = i;
        batch_builder_attributes(&b, SET_ROWS, row, &key, 1, i);
        batch_builder_set_u64(&b, SET_ROWS, FIELD_TIME, row, 1000 + i);
    }
    struct batch_blob *blob = batch_builder_finish(&b);
    batch_builder_done(&b);
    return blob;
}

static struct batch_blob *random_rows(uint64_t seed, uint32_t n) {
    struct batch_builder b;
    batch_builder_init(&b, SIGNAL_SPANS);
    random_batch(&(struct chance){seed}, &b, n);
    struct batch_blob *blob = batch_builder_finish(&b);
    batch_builder_done(&b);
    return blob;
}

/* Dictionaries too large to be compressed are read where they are, and say the same; merged, too. */
static void large_dictionaries_are_read_in_place(void **state) {
    (void)state;
    enum { KEYS = 20000 };
    struct batch_blob *blob = rows_of_keys(KEYS);
    struct batch b;
    struct budget budget;
    struct part_info info;
    struct part *p, *merged;
    batch_view(blob, &b);
    sim_reset(1);
    OK(write_one("p", 1, &b, 64 * MIB, &info));
    OK(part_open("p", &p));
    assert_true(!p->sections[SECTION_STRINGS] && !p->ends[SECTION_STRINGS] && p->key_count == KEYS);
    assert_true(!p->sections[SECTION_SHAPES] && !p->ends[SECTION_SHAPES] && p->shape_count == KEYS + 1);
    budget_init(&budget, 64 * MIB);
    part_charge(p, &budget);
    assert_true(budget_used(&budget) > 0 && budget_used(&budget) < 64 * KIB);
    assert_true(part_merge_bytes(p) > KEYS * 256 && part_source_bytes(&b) > KEYS * 256);
    OK(part_merge("m", 2, &p, 1, NULL, 64 * MIB, &info));
    OK(part_open("m", &merged));
    check_part("p");
    check_part("m");
    assert_int_equal(merged->key_count, KEYS);
    assert_int_equal(merged->shape_count, KEYS + 1);
    part_unref(merged);
    part_unref(p);
    assert_int_equal(budget_used(&budget), 0);
    batch_unref(blob);
}

/* What could not be read is not written: no file is left of it. */
static void a_section_over_its_limit_is_not_written(void **state) {
    (void)state;
    struct batch_blob *blob = rows_of_keys(100);
    struct batch b;
    struct part_writer w;
    struct part_info info;
    batch_view(blob, &b);
    sim_reset(1);
    OK(part_writer_init(&w, "p", b.signal, 1, 64 * MIB));
    w.section_bytes_max = 100;
    OK(part_writer_add_batches(&w, &b, 1, INT64_MIN, INT64_MAX, NULL));
    err e = part_writer_finish(&w, &info);
    assert_true(e && err_kind(e) == ERR_LIMIT);
    err_free(e);
    part_writer_done(&w);
    assert_false(path_exists("p"));
    batch_unref(blob);
}

/* With little memory groups are smaller, whatever rows there are. */
static void little_memory_makes_small_groups(void **state) {
    (void)state;
    struct batch_blob *blob = random_rows(10, 2000);
    struct batch b;
    struct part_info large, small;
    batch_view(blob, &b);
    sim_reset(1);
    OK(write_one("p", 1, &b, PART_MEMORY_MAX, &large));
    OK(write_one("q", 2, &b, 0, &small));
    assert_true(small.groups > large.groups);
    assert_int_equal(small.rows, large.rows);
    check_part("q");
    batch_unref(blob);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_dictionaries_are_read_in_place),
        cmocka_unit_test(a_section_over_its_limit_is_not_written),
        cmocka_unit_test(little_memory_makes_small_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
