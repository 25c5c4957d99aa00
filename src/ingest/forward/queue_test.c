/* The queue on a simulated disk: what was acknowledged is given out again after power cuts, kills and failing calls; what is damaged is named and the rest found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/text.h"
#include "ingest/forward/queue_priv.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/sim/sim.h"

#define SECOND ((int64_t)1000000000)
enum { IDS = 4096, GROUP_MAX = 5 };

static const struct disk_queue_options small = {.dir = "queue", .bytes_max = MIB, .segment_bytes = 2 * KIB};

/* A body says its number and is longer than that. */
static size_t body_of(uint32_t id, char out[400]) {
    int n = snprintf(out, 400, "%08u", id);
    size_t more = (id * 37) % 300;
    memset(out + n, (int)('a' + id % 26), more);
    return (size_t)n + more;
}

static err append(struct disk_queue *q, uint32_t first, size_t n) {
    static char bodies[GROUP_MAX][400];
    struct queue_record records[GROUP_MAX];
    for (size_t i = 0; i < n; i++) {
        uint32_t id = first + (uint32_t)i;
        records[i] =
            (struct queue_record){.time_ns = clock_wall_ns(), .rows = 1 + id % 3, .kind = (uint8_t)(id % QUEUE_KINDS)};
        records[i].body = (struct str){bodies[i], body_of(id, bodies[i])};
    }
    return disk_queue_append(q, records, n);
}

static struct disk_queue *open_queue(const struct disk_queue_options *o) {
    struct disk_queue *q = NULL;
    assert_null(disk_queue_open(o, &q));
    return q;
}

/* Its number; every byte of it is as it was written. */
static err read_id(struct disk_queue *q, const struct queue_record *r, uint32_t bytes, uint32_t *out) {
    char want[400];
    uint64_t id;
    AUTO_BUF struct buf body;
    buf_init(&body, KIB);
    TRY(disk_queue_read(q, r->sequence, &body));
    assert_int_equal(body.n, bytes);
    assert_null(parse_u64((struct str){body.p, 8}, &id));
    assert_int_equal(body.n, body_of((uint32_t)id, want));
    assert_memory_equal(body.p, want, body.n);
    assert_int_equal(r->rows, 1 + id % 3);
    assert_int_equal(r->kind, id % QUEUE_KINDS);
    *out = (uint32_t)id;
    return NULL;
}

/* Gives out all there is, counting in seen; releases those that it could read. */
static void drain(struct disk_queue *q, uint8_t seen[IDS]) {
    for (uint8_t kind = 0; kind < QUEUE_KINDS; kind++) {
        struct queue_record r;
        uint32_t bytes, id;
        while (disk_queue_next(q, kind, clock_wall_ns(), &r, &bytes)) {
            err e = read_id(q, &r, bytes, &id);
            if (!e) seen[id]++;
            disk_queue_release(q, r.sequence);
            err_free(e);
        }
    }
}

static void what_is_released_is_gone_and_the_rest_comes_again(void **state) {
    (void)state;
    uint8_t seen[IDS] = {0};
    struct queue_record r;
    uint32_t bytes, id;
    struct disk_queue_stats stats;
    sim_reset(1);
    struct disk_queue *q = open_queue(&small);
    for (uint32_t i = 0; i < 60; i += 3) assert_null(append(q, i, 3));
    for (int i = 0; i < 5; i++) { /* 0, 3, 6, 9, 12: the last is held by another, too */
        assert_true(disk_queue_next(q, 0, clock_wall_ns(), &r, &bytes));
        assert_null(read_id(q, &r, bytes, &id));
        assert_int_equal(id, 3 * i);
        if (i == 4) disk_queue_hold(q, r.sequence);
        disk_queue_release(q, r.sequence);
    }
    disk_queue_get_stats(q, &stats);
    assert_int_equal(stats.records[0], 16);
    assert_int_equal(stats.records[1], 20);
    disk_queue_close(q);
    sim_restart();
    q = open_queue(&small);
    drain(q, seen);
    assert_int_equal(seen[0], 0); /* all before 1 is done; of 3 nothing says so, as 1 is not */
    for (uint32_t i = 1; i < 60; i++) assert_int_equal(seen[i], 1);
    disk_queue_get_stats(q, &stats);
    assert_int_equal(stats.records[0] + stats.records[1] + stats.records[2], 0);
    assert_int_equal(stats.rows[0] + stats.rows[1] + stats.rows[2], 0);
    assert_int_equal(stats.segments, 0);
    assert_int_equal(stats.bytes, 0);
    disk_queue_close(q);
    q = open_queue(&small);
    memset(seen, 0, sizeof seen);
    drain(q, seen);
    for (uint32_t i = 0; i < 60; i++) assert_int_equal(seen[i], 0);
    disk_queue_close(q);
}

/* ---- full -------------------------------------------------------------------------------------------------------- */

static void a_full_queue_refuses_until_something_is_done(void **state) {
    (void)state;
    struct disk_queue_options o = small;
    uint8_t seen[IDS] = {0};
    struct disk_queue_stats stats;
    uint32_t taken = 0;
    err e = NULL;
    sim_reset(2);
    o.bytes_max = 16 * KIB;
    struct disk_queue *q = open_queue(&o);
    while (!(e = append(q, taken, 1))) taken++;
    assert_int_equal(err_kind(e), ERR_BUSY);
    err_free(e);
    disk_queue_get_stats(q, &stats);
    assert_true(stats.bytes <= o.bytes_max && stats.bytes > o.bytes_max - 2 * KIB);
    assert_true(sim_disk_used() <= o.bytes_max + 8 * KIB);
    drain(q, seen);
    for (uint32_t i = 0; i < taken; i++) assert_int_equal(seen[i], 1);
    assert_null(append(q, taken, 1));
    disk_queue_close(q);
}

static void a_full_queue_may_drop_what_is_oldest_and_counts_it(void **state) {
    (void)state;
    struct disk_queue_options o = small;
    uint8_t seen[IDS] = {0};
    struct disk_queue_stats stats;
    struct queue_record held;
    uint32_t bytes, id;
    uint64_t rows = 0;
    sim_reset(3);
    o.bytes_max = 16 * KIB;
    o.drop_oldest = true;
    struct disk_queue *q = open_queue(&o);
    assert_null(append(q, 0, 1));
    assert_true(disk_queue_next(q, 0, clock_wall_ns(), &held, &bytes));
    for (uint32_t i = 1; i < 500; i++) assert_null(append(q, i, 1));
    err e = read_id(q, &held, bytes, &id); /* dropped while somebody held it */
    assert_int_equal(err_kind(e), ERR_NOT_FOUND);
    err_free(e);
    disk_queue_release(q, held.sequence);
    disk_queue_get_stats(q, &stats);
    assert_true(stats.bytes <= o.bytes_max);
    drain(q, seen);
    uint32_t first = 0;
    while (!seen[first]) rows += 1 + first % 3, first++;
    assert_true(first > 300);
    for (uint32_t i = first; i < 500; i++) assert_int_equal(seen[i], 1);
    assert_int_equal(stats.dropped[0] + stats.dropped[1] + stats.dropped[2], rows);
    disk_queue_close(q);
}

static void what_is_too_old_is_dropped_and_counted(void **state) {
    (void)state;
    struct disk_queue_options o = small;
    uint8_t seen[IDS] = {0};
    struct disk_queue_stats stats;
    sim_reset(4);
    o.age_max_ns = 60 * SECOND;
    struct disk_queue *q = open_queue(&o);
    assert_null(append(q, 0, 3));
    sim_clock_advance(50 * SECOND);
    assert_null(append(q, 3, 3));
    sim_clock_advance(20 * SECOND);
    drain(q, seen);
    for (uint32_t i = 0; i < 6; i++) assert_int_equal(seen[i], i >= 3);
    disk_queue_get_stats(q, &stats);
    assert_int_equal(stats.expired[0] + stats.expired[1] + stats.expired[2], 1 + 2 + 3);
    disk_queue_close(q);
}

/* Segments that hold a record of another kind as well are not kept by one alone. */
static void what_some_kinds_alone_keep_is_told(void **state) {
    (void)state;
    struct queue_record r;
    struct disk_queue_stats stats;
    uint32_t bytes;
    sim_reset(1);
    struct disk_queue *q = open_queue(&small);
    for (uint32_t i = 0; i < 300; i += 3) assert_null(append(q, i, 3));
    disk_queue_get_stats(q, &stats);
    assert_int_equal(disk_queue_kept_bytes(q, 1) + disk_queue_kept_bytes(q, 3), 0);
    assert_in_range(disk_queue_kept_bytes(q, 7), stats.bytes - small.segment_bytes, stats.bytes - 1);
    while (disk_queue_next(q, 0, clock_wall_ns(), &r, &bytes)) disk_queue_release(q, r.sequence);
    assert_int_equal(disk_queue_kept_bytes(q, 4), 0);
    assert_in_range(disk_queue_kept_bytes(q, 6), stats.bytes - small.segment_bytes, stats.bytes - 1);
    while (disk_queue_next(q, 1, clock_wall_ns(), &r, &bytes)) disk_queue_release(q, r.sequence);
    assert_in_range(disk_queue_kept_bytes(q, 4), stats.bytes - small.segment_bytes, stats.bytes - 1);
    disk_queue_close(q);
    q = open_queue(&small);
    assert_true(disk_queue_kept_bytes(q, 7) > 0); /* of an earlier life, too */
    while (disk_queue_next(q, 2, clock_wall_ns(), &r, &bytes)) disk_queue_release(q, r.sequence);
    assert_int_equal(disk_queue_kept_bytes(q, 4), 0);
    disk_queue_close(q);
}

/* A record that nobody takes keeps nobody from coming, however many come and go behind it. */
static void one_that_waits_does_not_fill_the_queue(void **state) {
    (void)state;
    enum { EACH = 4096 };
    static struct queue_record many[EACH];
    struct disk_queue_options o = {.dir = "queue", .bytes_max = 64 * MIB};
    struct queue_record r;
    uint32_t bytes;
    sim_reset(1);
    struct disk_queue *q = open_queue(&o);
    assert_null(append(q, 2, 1)); /* of kind 2 */
    assert_null(append(q, 5, 1));
    assert_true(disk_queue_next(q, 2, clock_wall_ns(), &r, &bytes));
    uint64_t held = r.sequence, last = 0;
    for (uint32_t done = 0; done < QUEUE_RECORDS_MAX + 2 * EACH; done += EACH) {
        for (uint32_t i = 0; i < EACH; i++)
            many[i] = (struct queue_record){.time_ns = clock_wall_ns(), .rows = 1, .body = STR("x")};
        assert_null(disk_queue_append(q, many, EACH));
        for (uint32_t i = 0; i < EACH; i++) {
            assert_true(disk_queue_next(q, 0, clock_wall_ns(), &r, &bytes));
            assert_true(r.sequence > last);
            last = r.sequence;
            disk_queue_release(q, r.sequence);
        }
        assert_false(disk_queue_peek(q, 0, &r, &bytes));
    }
    disk_queue_release(q, held);
    assert_true(disk_queue_next(q, 2, clock_wall_ns(), &r, &bytes)); /* 5, not 2 again */
    assert_true(r.sequence > held);
    disk_queue_close(q);
}

static void a_full_disk_refuses_and_goes_on_afterwards(void **state) {
    (void)state;
    uint8_t seen[IDS] = {0};
    uint32_t taken = 0;
    err e = NULL;
    sim_reset(5);
    struct disk_queue *q = open_queue(&small);
    sim_disk_limit(sim_disk_used() + 9 * KIB);
    while (!(e = append(q, taken, 1))) taken++;
    assert_int_equal(err_kind(e), ERR_UNAVAILABLE);
    err_free(e);
    assert_true(taken > 10);
    sim_disk_limit(0);
    assert_null(append(q, taken++, 1));
    disk_queue_close(q);
    sim_reboot();
    q = open_queue(&small);
    drain(q, seen);
    for (uint32_t i = 0; i < taken; i++) assert_int_equal(seen[i], 1);
    disk_queue_close(q);
}

/* The disk is smaller than a segment: what is done in the one that is written is all there is to be freed. */
static void a_disk_full_of_what_is_done_takes_again(void **state) {
    const struct disk_queue_options wide = {.dir = "queue", .bytes_max = MIB, .segment_bytes = 512 * KIB};
    (void)state;
    uint8_t seen[IDS] = {0};
    uint32_t next = 0;
    struct disk_queue_stats stats;
    sim_reset(6);
    struct disk_queue *q = open_queue(&wide);
    sim_disk_limit(sim_disk_used() + 9 * KIB);
    for (int round = 0; round < 4; round++) {
        uint32_t first = next;
        err e = NULL;
        while (!(e = append(q, next, 1))) next++;
        assert_int_equal(err_kind(e), ERR_UNAVAILABLE);
        err_free(e);
        assert_true(next > first + 10);
        drain(q, seen);
    }
    for (uint32_t i = 0; i < next; i++) assert_int_equal(seen[i], 1);
    assert_null(append(q, next, 1)); /* nothing but this is left of the segment before */
    disk_queue_get_stats(q, &stats);
    assert_int_equal(stats.segments, 1);
    assert_true(stats.bytes < KIB);
    disk_queue_close(q);
}

/* ---- lives ------------------------------------------------------------------------------------------------------- */

enum told { NOT_TOLD, ACKNOWLEDGED, RELEASED };

struct world {
    enum told told[IDS];
    uint32_t next;
    uint64_t dice;
};

static uint64_t dice(struct world *w, uint64_t n) {
    w->dice = w->dice * 6364136223846793005u + 1442695040888963407u;
    return (w->dice >> 33) % n;
}

/* Appends, gives out, releases and marks until the disk fails, or enough was done. */
static void live(struct world *w, const struct disk_queue_options *o) {
    struct disk_queue *q = NULL;
    err e = disk_queue_open(o, &q);
    if (e) {
        err_free(e);
        return;
    }
    for (int step = 0; step < 40 && w->next + GROUP_MAX < IDS; step++) {
        uint64_t what = dice(w, 8);
        if (what < 4) {
            size_t n = 1 + dice(w, GROUP_MAX);
            e = append(q, w->next, n);
            for (size_t i = 0; i < n && !e; i++) w->told[w->next + i] = ACKNOWLEDGED;
            w->next += (uint32_t)n;
            err_free(e);
        } else if (what < 7) {
            struct queue_record r;
            uint32_t bytes, id;
            if (!disk_queue_next(q, (uint8_t)dice(w, 3), clock_wall_ns(), &r, &bytes)) continue;
            e = read_id(q, &r, bytes, &id);
            bool sent = !e && dice(w, 4);
            if (sent) w->told[id] = RELEASED;
            if (sent) disk_queue_release(q, r.sequence); /* else it is held: under way when the life ends */
            err_free(e);
        } else {
            err_free(disk_queue_mark(q));
        }
    }
    disk_queue_close(q);
}

/* What was acknowledged and not released is there, once; nothing is made up. */
static void look(struct world *w, const struct disk_queue_options *o) {
    uint8_t seen[IDS] = {0};
    struct disk_queue_stats stats;
    struct disk_queue *q = open_queue(o);
    disk_queue_get_stats(q, &stats);
    drain(q, seen);
    for (uint32_t i = 0; i < IDS; i++) {
        if (w->told[i] == ACKNOWLEDGED) assert_int_equal(seen[i], 1);
        assert_true(seen[i] <= 1);
        assert_true(!seen[i] || i < w->next);
        if (seen[i]) w->told[i] = RELEASED;
    }
    disk_queue_close(q);
}

static void acknowledged_records_survive_power_cuts_at_every_call(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++)
        for (uint64_t n = 1;; n++) {
            struct world *w = mem_new_of(struct world);
            w->dice = seed;
            sim_reset(seed * 1000 + n);
            live(w, &small);
            sim_cut_at(n);
            live(w, &small);
            bool past = sim_faults() == 0;
            sim_reboot();
            live(w, &small); /* life goes on on what the cut left, and is killed */
            sim_restart();
            look(w, &small);
            mem_free(w);
            if (past) break;
        }
}

static void acknowledged_records_survive_each_failing_call(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++)
        for (uint64_t n = 1;; n++) {
            struct world *w = mem_new_of(struct world);
            w->dice = seed + 77;
            sim_reset(seed * 1000 + n);
            live(w, &small);
            sim_fail_at(n, seed % 2 ? ERR_IO : ERR_UNAVAILABLE);
            live(w, &small);
            bool past = sim_faults() == 0;
            sim_reboot();
            look(w, &small);
            mem_free(w);
            if (past) break;
        }
}

static void many_lives_with_any_end_lose_nothing(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world *w = mem_new_of(struct world);
        w->dice = seed * 31;
        sim_reset(seed);
        for (int l = 0; l < 8; l++) {
            if (dice(w, 3) == 0) sim_fail_sync(1 + dice(w, 12));
            if (dice(w, 2)) sim_cut_at(1 + dice(w, 120));
            live(w, &small);
            if (dice(w, 2))
                sim_reboot();
            else
                sim_restart();
            if (dice(w, 3) == 0) look(w, &small);
        }
        sim_reboot();
        look(w, &small);
        mem_free(w);
    }
}

/* ---- damage ------------------------------------------------------------------------------------------------------ */

enum { RECORDS = 8 };

static void write_and_list(char path[64], uint64_t *out_size) {
    AUTO_BUF struct buf list;
    buf_init(&list, 64 * KIB);
    struct disk_queue_options o = small;
    o.segment_bytes = 64 * KIB;
    sim_reset(9);
    struct disk_queue *q = open_queue(&o);
    for (uint32_t i = 0; i < RECORDS; i += 2) assert_null(append(q, i, 2));
    disk_queue_close(q);
    sim_list(&list);
    const char *at = strstr(list.p, ".seg");
    assert_non_null(at);
    const char *begin = at;
    while (begin > list.p && begin[-1] != '\n') begin--;
    snprintf(path, 64, "%.*s", (int)(at + 4 - begin), begin);
    struct file *f;
    assert_null(file_open(path, FILE_READ, &f));
    assert_null(file_size(f, out_size));
    file_close(f);
}

static void any_flipped_byte_loses_one_record_at_most_and_is_counted(void **state) {
    (void)state;
    char path[64];
    uint64_t size;
    write_and_list(path, &size);
    for (uint64_t at = 0; at < size; at++) {
        uint8_t seen[IDS] = {0};
        struct disk_queue_stats stats;
        struct disk_queue *q = NULL;
        int lost = 0;
        write_and_list(path, &size);
        assert_null(sim_flip_bit(path, at, (unsigned)(at % 8)));
        err e = disk_queue_open(&small, &q);
        assert_null(e);
        drain(q, seen);
        disk_queue_get_stats(q, &stats);
        for (uint32_t i = 0; i < RECORDS; i++) lost += !seen[i];
        if (at < QUEUE_HEAD_BYTES) {
            assert_int_equal(lost, RECORDS);
            assert_true(path_exists("queue/0000000000000001.seg.damaged"));
        } else {
            assert_true(lost <= 1);
        }
        bool tail = !seen[RECORDS - 1]; /* the last one might be half written: cut off, and told in the log */
        assert_int_equal(stats.damaged, at < QUEUE_HEAD_BYTES || (lost && !tail));
        disk_queue_close(q);
    }
}

/* In a life that has it open, a damaged body is named when it is read. */
static void a_body_that_is_damaged_later_is_named_and_skipped(void **state) {
    (void)state;
    uint8_t seen[IDS] = {0};
    struct disk_queue_stats stats;
    struct queue_record r;
    uint32_t bytes, id;
    sim_reset(10);
    struct disk_queue *q = open_queue(&small);
    assert_null(append(q, 0, 3));
    assert_null(sim_flip_bit("queue/0000000000000001.seg", QUEUE_HEAD_BYTES + QUEUE_RECORD_BYTES + 3, 1));
    assert_true(disk_queue_next(q, 0, clock_wall_ns(), &r, &bytes));
    err e = read_id(q, &r, bytes, &id);
    assert_int_equal(err_kind(e), ERR_CORRUPT);
    assert_non_null(strstr(err_text(e), "0000000000000001.seg: the record at byte 64 (sequence 2, 1 rows) is damaged"));
    err_free(e);
    disk_queue_release(q, r.sequence);
    drain(q, seen);
    assert_int_equal(seen[1] + seen[2], 2);
    disk_queue_get_stats(q, &stats);
    assert_int_equal(stats.damaged, 1);
    disk_queue_close(q);
}

static void a_damaged_mark_sends_again_what_is_there(void **state) {
    (void)state;
    for (uint64_t at = 0; at < 32; at++) {
        uint8_t seen[IDS] = {0};
        sim_reset(11);
        struct disk_queue *q = open_queue(&small);
        assert_null(append(q, 0, 3));
        disk_queue_close(q);
        assert_null(sim_flip_bit("queue/done", at, 2));
        q = open_queue(&small);
        drain(q, seen);
        assert_int_equal(seen[0] + seen[1] + seen[2], 3);
        assert_null(append(q, 3, 1));
        disk_queue_close(q);
    }
}

static void a_newer_format_and_a_second_process_are_refused(void **state) {
    (void)state;
    struct queue_segment_head h, read;
    struct disk_queue *q, *other = NULL;
    queue_segment_head_make(&h, 7, 1, 2);
    assert_null(queue_segment_head_read(str_span(&h, sizeof h), "s", &read));
    assert_int_equal(read.first, 7);
    for (int i = 0; i < 2; i++) {
        queue_segment_head_make(&h, 7, 1, 2);
        h.version += i == 0;
        h.features = i == 1;
        h.check = hash_bytes(&h, offsetof(struct queue_segment_head, check));
        err newer = queue_segment_head_read(str_span(&h, sizeof h), "s", &read);
        assert_int_equal(err_kind(newer), ERR_CONFLICT);
        assert_non_null(strstr(err_text(newer), "of a newer clew"));
        err_free(newer);
    }
    sim_reset(12);
    assert_null(path_make_dir("queue"));
    q = open_queue(&small);
    err e = disk_queue_open(&small, &other);
    assert_int_equal(err_kind(e), ERR_CONFLICT);
    err_free(e);
    disk_queue_close(q);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_released_is_gone_and_the_rest_comes_again),
        cmocka_unit_test(a_full_queue_refuses_until_something_is_done),
        cmocka_unit_test(a_full_queue_may_drop_what_is_oldest_and_counts_it),
        cmocka_unit_test(what_is_too_old_is_dropped_and_counted),
        cmocka_unit_test(what_some_kinds_alone_keep_is_told),
        cmocka_unit_test(one_that_waits_does_not_fill_the_queue),
        cmocka_unit_test(a_full_disk_refuses_and_goes_on_afterwards),
        cmocka_unit_test(a_disk_full_of_what_is_done_takes_again),
        cmocka_unit_test(acknowledged_records_survive_power_cuts_at_every_call),
        cmocka_unit_test(acknowledged_records_survive_each_failing_call),
        cmocka_unit_test(many_lives_with_any_end_lose_nothing),
        cmocka_unit_test(any_flipped_byte_loses_one_record_at_most_and_is_counted),
        cmocka_unit_test(a_body_that_is_damaged_later_is_named_and_skipped),
        cmocka_unit_test(a_damaged_mark_sends_again_what_is_there),
        cmocka_unit_test(a_newer_format_and_a_second_process_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
