#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "os/sim/sim.h"
#include "store/journal/manifest_priv.h"

static struct manifest_part part(uint64_t id) {
    return (struct manifest_part){.tenant = "default",
                                  .signal = SIGNAL_LOGS,
                                  .id = id,
                                  .rows = id * 10,
                                  .bytes = id * 100,
                                  .day = 20000,
                                  .time_min = 5,
                                  .time_max = 9,
                                  .deletes_applied = 3};
}

static err add(struct manifest *m, uint64_t id) {
    AUTO_BUF struct buf edit;
    struct manifest_part p = part(id);
    struct manifest_table t = {.tenant = "default", .signal = SIGNAL_LOGS, .covered = id};
    buf_init(&edit, KIB);
    edit_part_add(&edit, &p);
    edit_covered(&edit, &t);
    return manifest_append(m, buf_str(&edit));
}

/* The state as text, so that two can be compared. */
static void say(const struct manifest_state *s, struct buf *out) {
    AUTO_BUF struct buf edit;
    buf_init(&edit, MIB);
    manifest_state_write(s, &edit);
    edit_dump(buf_str(&edit), out);
}

static void assert_same(const struct manifest_state *a, const struct manifest_state *b) {
    AUTO_BUF struct buf x, y;
    buf_init(&x, MIB);
    buf_init(&y, MIB);
    say(a, &x);
    say(b, &y);
    assert_string_equal(x.p, y.p);
}

static void test_a_state_survives_writing(void **state) {
    (void)state;
    struct manifest_state s, again;
    struct manifest_delete d = {.id = 4, .sequence = 17, .created_ns = 1, .tenant = "other", .request = STR("request")};
    AUTO_BUF struct buf edit, copy;
    buf_init(&edit, MIB);
    buf_init(&copy, MIB);
    manifest_state_init(&s);
    manifest_state_init(&again);
    for (uint64_t id = 1; id < 5; id++) {
        struct manifest_part p = part(id);
        edit_part_add(&edit, &p);
    }
    edit_part_remove(&edit, 2);
    edit_delete(&edit, &d);
    edit_log_from(&edit, 12);
    assert_null(manifest_state_apply(&s, buf_str(&edit)));
    manifest_state_write(&s, &copy);
    assert_null(manifest_state_apply(&again, buf_str(&copy)));
    assert_same(&s, &again);
    assert_int_equal(s.parts.n, 3);
    assert_int_equal(s.next_part, 5);
    assert_int_equal(s.next_delete, 5);
    manifest_state_done(&s);
    manifest_state_done(&again);
}

static void test_cut_edits_are_refused(void **state) {
    (void)state;
    AUTO_BUF struct buf edit;
    struct manifest_part p = part(1);
    buf_init(&edit, KIB);
    edit_part_add(&edit, &p);
    for (size_t n = 1; n < edit.n; n++) {
        struct manifest_state s;
        manifest_state_init(&s);
        err e = manifest_state_apply(&s, str_span(edit.p, n));
        assert_non_null(e);
        assert_int_equal(err_kind(e), ERR_CORRUPT);
        err_free(e);
        manifest_state_done(&s);
    }
}

static void test_opens_what_it_wrote(void **state) {
    (void)state;
    struct manifest m, again;
    sim_reset(1);
    assert_null(path_make_dir("d"));
    assert_null(manifest_open("d", &m));
    for (uint64_t id = 1; id <= 100; id++) assert_null(add(&m, id));
    assert_null(manifest_open("d", &again));
    assert_same(&m.state, &again.state);
    assert_int_equal(again.state.parts.n, 100);
    assert_int_equal(again.state.sequence, 100);
    manifest_close(&m);
    manifest_close(&again);
}

/* Cut at every call: afterwards there is what was said to be durable, or one edit more. */
static void test_power_cut_at_every_call(void **state) {
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct manifest m = {0};
        uint64_t durable = 0;
        sim_reset(n);
        assert_null(path_make_dir("d"));
        assert_null(path_sync_dir("."));
        sim_cut_at(n);
        err e = manifest_open("d", &m);
        for (uint64_t id = 1; id <= 5 && !e; id++) {
            e = add(&m, id);
            if (!e) durable = id;
        }
        bool cut = sim_faults() > 0;
        err_free(e);
        manifest_close(&m);
        sim_reboot();
        e = manifest_open("d", &m);
        if (e) fail_msg("n = %llu: %s", (unsigned long long)n, err_text(e));
        assert_true(m.state.parts.n == durable || m.state.parts.n == durable + 1);
        manifest_close(&m);
        if (!cut) break;
    }
}

static void test_one_failure_is_survived(void **state) {
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct manifest m;
        uint64_t durable = 0;
        sim_reset(n);
        assert_null(path_make_dir("d"));
        assert_null(path_sync_dir("."));
        assert_null(manifest_open("d", &m));
        sim_fail_at(n, n % 2 ? ERR_IO : ERR_UNAVAILABLE);
        for (uint64_t id = 1; id <= 5; id++) {
            err e = add(&m, id);
            if (!e) durable++;
            err_free(e);
        }
        bool failed = sim_faults() > 0;
        assert_true(durable >= 4 || m.broken);
        assert_true(m.broken || m.state.parts.n == durable);
        manifest_close(&m);
        sim_reboot();
        assert_null(manifest_open("d", &m));
        assert_true(m.state.parts.n == durable || m.state.parts.n == durable + 1);
        manifest_close(&m);
        if (!failed) break;
    }
}

static void test_a_full_disk_can_still_be_tidied(void **state) {
    (void)state;
    struct manifest m;
    sim_reset(3);
    assert_null(path_make_dir("d"));
    assert_null(manifest_open("d", &m));
    for (uint64_t id = 1; id <= 10; id++) assert_null(add(&m, id));
    sim_disk_limit(sim_disk_used());
    for (int life = 0; life < 2; life++) {
        AUTO_BUF struct buf edit;
        buf_init(&edit, KIB);
        edit_part_remove(&edit, (uint64_t)life + 1);
        assert_null(manifest_append(&m, buf_str(&edit)));
        manifest_close(&m);
        assert_null(manifest_open("d", &m));
    }
    assert_int_equal(m.state.parts.n, 8);
    manifest_close(&m);
}

static void test_it_grows_and_is_written_anew(void **state) {
    (void)state;
    struct manifest m;
    uint64_t size_max = 0;
    sim_reset(4);
    assert_null(path_make_dir("d"));
    assert_null(manifest_open("d", &m));
    for (uint64_t id = 1; id <= 6000; id++) {
        AUTO_BUF struct buf edit;
        buf_init(&edit, KIB);
        assert_null(add(&m, id));
        edit_part_remove(&edit, id);
        assert_null(manifest_append(&m, buf_str(&edit)));
        size_max = MAX(size_max, m.position);
    }
    assert_true(size_max < 2 * MIB && m.position < size_max);
    manifest_close(&m);
}

static void test_two_damaged_copies_are_refused(void **state) {
    (void)state;
    struct manifest m;
    sim_reset(5);
    assert_null(path_make_dir("d"));
    assert_null(manifest_open("d", &m));
    uint64_t first = m.position;
    assert_null(add(&m, 1));
    uint64_t size = (m.position - first) / 2;
    assert_null(add(&m, 2));
    manifest_close(&m);
    assert_null(sim_flip_bit("d/manifest", first + 20, 1));
    assert_null(manifest_open("d", &m)); /* one copy: mended */
    manifest_close(&m);
    assert_null(manifest_open("d", &m));
    first = m.position;
    assert_null(add(&m, 3));
    assert_null(add(&m, 4));
    manifest_close(&m);
    assert_null(sim_flip_bit("d/manifest", first + 20, 1));
    assert_null(sim_flip_bit("d/manifest", first + size + 20, 1));
    err e = manifest_open("d", &m);
    assert_non_null(e);
    assert_int_equal(err_kind(e), ERR_CORRUPT);
    err_free(e);
}

static void test_a_newer_format_is_refused(void **state) {
    (void)state;
    struct format_head head, out;
    format_head_make(&head, format_magic_manifest, (uint64_t[4]){0});
    assert_null(format_head_read(str_span(&head, sizeof head), format_magic_manifest, "m", &out));
    head.version = 2;
    head.check = 0;
    err e = format_head_read(str_span(&head, sizeof head), format_magic_manifest, "m", &out);
    assert_int_equal(err_kind(e), ERR_CORRUPT); /* the check is asked first */
    err_free(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_state_survives_writing),     cmocka_unit_test(test_cut_edits_are_refused),
        cmocka_unit_test(test_opens_what_it_wrote),          cmocka_unit_test(test_power_cut_at_every_call),
        cmocka_unit_test(test_one_failure_is_survived),      cmocka_unit_test(test_a_full_disk_can_still_be_tidied),
        cmocka_unit_test(test_it_grows_and_is_written_anew), cmocka_unit_test(test_two_damaged_copies_are_refused),
        cmocka_unit_test(test_a_newer_format_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
