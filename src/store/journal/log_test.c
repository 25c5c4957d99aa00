/* The log's writer against its reader, on the simulated disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "os/sim/sim.h"
#include "store/journal/log_priv.h"

enum { SEGMENT_BYTES = 64 * 1024 };

struct seen {
    uint64_t sequences[512];
    size_t n;
};

static err see(void *context, const struct log_record *r) {
    struct seen *s = context;
    assert_true(s->n < LENGTH(s->sequences));
    assert_true(str_equal(r->tenant, STR("default")));
    for (size_t i = 0; i < r->blob.n; i++) assert_int_equal((unsigned char)r->blob.p[i], (unsigned char)r->sequence);
    s->sequences[s->n++] = r->sequence;
    return NULL;
}

static char bytes_of[256][4096];

static struct log_record record(uint64_t sequence, size_t bytes) {
    char *p = bytes_of[sequence % 256];
    memset(p, (int)sequence & 255, sizeof bytes_of[0]);
    struct str blob = {p, bytes};
    return (struct log_record){sequence, SIGNAL_SPANS, STR("default"), blob, hash_bytes(p, bytes), 0, 0};
}

static void commit(struct record_log *l, uint64_t first, size_t n, size_t bytes) {
    struct log_record records[64];
    err why = NULL;
    for (size_t i = 0; i < n; i++) records[i] = record(first + i, bytes);
    assert_int_equal(record_log_commit(l, records, n, &why), COMMIT_DONE);
}

static void log_begin(struct record_log *l, uint64_t seed) {
    sim_reset(seed);
    assert_null(path_make_dir("log"));
    record_log_init(l, "log", SEGMENT_BYTES);
}

static struct segment_reading read_segment(uint64_t number, struct seen *seen) {
    struct path path = path_segment("log", number);
    struct segment_reading reading = {0};
    struct segment_head head;
    struct file *f;
    struct str map;
    assert_null(segment_map(path.text, &f, &map));
    assert_null(segment_head_read(map, path.text, &head));
    assert_int_equal(head.number, number);
    assert_null(segment_read(map, path.text, &head, see, seen, NULL, &reading));
    segment_unmap(f, map);
    return reading;
}

static void test_what_is_written_is_read(void **state) {
    (void)state;
    struct record_log l;
    struct seen seen = {0};
    log_begin(&l, 1);
    for (uint64_t s = 1; s <= 30; s += 3) commit(&l, s, 3, (size_t)(s * 37 % 500));
    struct segment_reading r = read_segment(1, &seen);
    assert_int_equal(r.records, 30);
    assert_int_equal(r.bad, 0);
    assert_int_equal(r.last_sequence, 30);
    for (uint64_t i = 0; i < 30; i++) assert_int_equal(seen.sequences[i], i + 1);
    record_log_done(&l);
}

static void test_segments_follow_each_other(void **state) {
    (void)state;
    struct record_log l;
    log_begin(&l, 2);
    for (uint64_t s = 1; s <= 100; s++) commit(&l, s, 1, 4000);
    assert_true(l.closed.n >= 5);
    uint64_t expected = 1;
    for (uint64_t number = 1; number <= l.current.number; number++) {
        struct seen seen = {0};
        struct segment_reading r = read_segment(number, &seen);
        for (size_t i = 0; i < seen.n; i++) assert_int_equal(seen.sequences[i], expected++);
        assert_int_equal(r.bad, 0);
    }
    assert_int_equal(expected, 101);
    assert_int_equal(record_log_first_needed(&l, 1), 1);
    assert_int_equal(record_log_first_needed(&l, 101), l.current.number);
    record_log_done(&l);
}

/* Bytes of a recycled segment's earlier life are never records, wherever the new ones end. */
static void test_recycled_bytes_are_not_records(void **state) {
    (void)state;
    struct record_log l;
    log_begin(&l, 3);
    uint64_t sequence = 1;
    for (int life = 0; life < 12; life++) {
        uint64_t number = l.next_number;
        while (l.current.number != number) commit(&l, sequence++, 1, 1000);
        struct seen seen = {0};
        struct segment_reading r = read_segment(number, &seen);
        assert_int_equal(r.records, 1);
        assert_int_equal(r.last_sequence, sequence - 1);
        record_log_retire(&l, number);
        assert_true(l.closed.n == 0 && l.spare.n <= SEGMENTS_SPARE);
    }
    record_log_trim(&l);
    AUTO_BUF struct buf files;
    buf_init(&files, 4 * KIB);
    sim_list(&files);
    assert_true(!files.n || !str_contains(buf_str(&files), STR(".log")));
    record_log_done(&l);
}

static void flip(uint64_t offset) { assert_null(sim_flip_bit("log/00000001.log", offset, 3)); }

static void test_damage_before_a_later_commit_is_named(void **state) {
    (void)state;
    struct record_log l;
    for (uint64_t at = SEGMENT_HEAD_BYTES; at < SEGMENT_HEAD_BYTES + 3 * 628; at += 13) {
        struct seen seen = {0};
        log_begin(&l, at);
        commit(&l, 1, 3, 500); /* 628 bytes each */
        commit(&l, 4, 2, 500);
        flip(at);
        struct segment_reading r = read_segment(1, &seen);
        uint64_t padding = (at - SEGMENT_HEAD_BYTES) % 632;
        if (padding < 628) {
            assert_int_equal(r.bad, 1);
            assert_int_equal(r.records, 4);
        }
        assert_int_equal(r.last_sequence, 5);
        record_log_done(&l);
    }
}

static void test_damage_in_the_last_commit_is_its_end(void **state) {
    (void)state;
    struct record_log l;
    struct seen seen = {0};
    log_begin(&l, 5);
    commit(&l, 1, 2, 500);
    commit(&l, 3, 3, 500);
    flip(SEGMENT_HEAD_BYTES + 2 * 632 + 200); /* in record 3 of a commit that may never have been durable */
    struct segment_reading r = read_segment(1, &seen);
    assert_int_equal(r.bad, 0);
    assert_int_equal(r.records, 2);
    assert_int_equal(r.last_sequence, 2);
    record_log_done(&l);
}

/* With a mark behind it, the last commit was durable: damage in it is named wherever it is. */
static void test_damage_before_a_mark_is_named(void **state) {
    (void)state;
    struct record_log l;
    for (uint64_t at = SEGMENT_HEAD_BYTES; at < SEGMENT_HEAD_BYTES + 3 * 632 + RECORD_HEAD_BYTES; at += 7) {
        struct seen seen = {0};
        log_begin(&l, at);
        commit(&l, 1, 3, 500);
        record_log_mark(&l);
        flip(at);
        struct segment_reading r = read_segment(1, &seen);
        bool in_mark = at >= SEGMENT_HEAD_BYTES + 3 * 632, in_padding = (at - SEGMENT_HEAD_BYTES) % 632 >= 628;
        assert_int_equal(r.bad, !in_mark && !in_padding);
        assert_int_equal(r.records, 3 - r.bad);
        record_log_done(&l);
    }
}

/* A mark that a cut commit has overwritten in part never makes that commit one that was durable. */
static void test_a_torn_commit_over_a_mark_is_no_damage(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct record_log l;
        struct seen seen = {0};
        struct log_record records[3];
        err why = NULL;
        log_begin(&l, seed);
        assert_null(path_sync_dir("."));
        commit(&l, 1, 2, 300 + seed);
        record_log_mark(&l);
        for (uint64_t i = 0; i < 3; i++) records[i] = record(3 + i, 500 + seed % 97 * 8);
        sim_cut_at(1 + seed % 2); /* the write, or the sync */
        record_log_commit(&l, records, 3, &why);
        err_free(why);
        record_log_done(&l);
        sim_reboot();
        struct segment_reading r = read_segment(1, &seen);
        assert_int_equal(r.bad, 0);
        assert_true(r.records >= 2);
    }
}

/* Zeros are written behind what is used and never over it; whatever of them a power cut leaves, the records are those that were durable. */
static void test_zeros_ahead_are_behind_all_records(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct record_log l;
        struct seen seen = {0};
        err why = NULL;
        uint64_t s = 1, writes = 0;
        log_begin(&l, seed);
        assert_null(path_sync_dir("."));
        for (; s <= 1 + seed % 60; s += 2) {
            uint64_t before = l.current.written_bytes;
            commit(&l, s, 2, 100 + seed);
            record_log_mark(&l);
            record_log_write_ahead(&l);
            writes += l.current.written_bytes != before;
            assert_true(l.current.written_bytes >= l.current.used_bytes + sizeof(struct record_head));
            assert_true(l.current.written_bytes <= l.current.size_bytes);
        }
        assert_int_equal(writes, 1); /* the whole of so small a segment */
        struct log_record next = record(s, 500);
        sim_cut_at(1 + seed % 2);
        record_log_commit(&l, &next, 1, &why);
        err_free(why);
        record_log_done(&l);
        sim_reboot();
        struct segment_reading r = read_segment(1, &seen);
        assert_int_equal(r.bad, 0);
        assert_true(r.records == s - 1 || r.records == s);
    }
}

/* Large commits write enough by themselves, and a segment that was in use has been written. */
static void test_zeros_are_written_where_they_help(void **state) {
    (void)state;
    struct record_log l;
    log_begin(&l, 1);
    l.segment_bytes = MIB;
    commit(&l, 1, 32, 4000);
    record_log_write_ahead(&l);
    assert_int_equal(l.current.written_bytes, 0);
    commit(&l, 33, 1, 100);
    record_log_write_ahead(&l);
    uint64_t ahead = l.current.written_bytes - l.current.used_bytes;
    assert_true(ahead > 100 * KIB && ahead < 200 * KIB); /* as much as is used */
    for (uint64_t s = 34; l.current.number == 1; s += 16) commit(&l, s, 16, 3000);
    record_log_retire(&l, 2);
    while (l.current.number == 2) commit(&l, l.current.last_sequence + 1, 1, 4000);
    assert_true(l.current.written_bytes > MIB - 64 * KIB); /* the first one again */
    uint64_t before = l.current.written_bytes;
    commit(&l, l.current.last_sequence + 1, 1, 100);
    record_log_write_ahead(&l);
    assert_int_equal(l.current.written_bytes, before);
    record_log_done(&l);
}

static void test_one_damaged_head_copy_is_no_loss(void **state) {
    (void)state;
    struct record_log l;
    struct seen seen = {0};
    log_begin(&l, 6);
    commit(&l, 1, 3, 500);
    flip(20);
    assert_int_equal(read_segment(1, &seen).records, 3);
    record_log_done(&l);
}

/* A segment restarted after a failure counts only once its records are durable. */
static void test_restart_is_all_or_nothing(void **state) {
    (void)state;
    for (uint64_t cut = 1; cut <= 8; cut++) {
        struct record_log l;
        struct log_record again[3];
        log_begin(&l, 70 + cut);
        assert_null(path_sync_dir("."));
        commit(&l, 1, 5, 500);
        for (uint64_t i = 0; i < 3; i++) again[i] = record(3 + i, 500);
        sim_cut_at(cut);
        err e = record_log_restart(&l, 3, again, 3);
        bool done = !e;
        err_free(e);
        record_log_done(&l);
        sim_reboot();
        struct path path = path_segment("log", 2);
        struct seen old = {0}, seen = {0};
        assert_int_equal(read_segment(1, &old).records, 5);
        bool begun = false;
        struct file *f = NULL;
        struct str map = {0};
        e = segment_map(path.text, &f, &map);
        struct segment_head head;
        if (!e) e = segment_head_read(map, path.text, &head);
        begun = !e;
        err_free(e);
        segment_unmap(f, map);
        assert_true(begun || !done);
        if (begun) assert_int_equal(read_segment(2, &seen).records, 3);
        if (done) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_segments_follow_each_other),
        cmocka_unit_test(test_recycled_bytes_are_not_records),
        cmocka_unit_test(test_damage_before_a_later_commit_is_named),
        cmocka_unit_test(test_damage_in_the_last_commit_is_its_end),
        cmocka_unit_test(test_damage_before_a_mark_is_named),
        cmocka_unit_test(test_a_torn_commit_over_a_mark_is_no_damage),
        cmocka_unit_test(test_zeros_ahead_are_behind_all_records),
        cmocka_unit_test(test_zeros_are_written_where_they_help),
        cmocka_unit_test(test_one_damaged_head_copy_is_no_loss),
        cmocka_unit_test(test_restart_is_all_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
