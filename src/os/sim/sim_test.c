/* Does the simulated disk break what it may break, and never what it may not? Numbers in the tests are the laws of sim.h. */
#include "os/sim/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/thread.h"

enum { SEEDS = 200, SECTOR = 512 };

static void ok(err e) {
    if (e) fail_msg("%s", err_text(e));
}

static void fails(err e, enum err_kind kind) {
    assert_non_null(e);
    if (err_kind(e) != kind) fail_msg("kind %s: %s", err_row(e)->name, err_text(e));
    err_free(e);
}

static struct file *opened(const char *path, enum file_mode mode) {
    struct file *f = NULL;
    ok(file_open(path, mode, &f));
    return f;
}

/* A file whose bytes and entry are durable. */
static void put_durable(const char *path, const char *text) {
    AUTO_CLOSE struct file *f = opened(path, FILE_CREATE_ANY);
    ok(file_write(f, text, strlen(text), 0));
    ok(file_sync(f));
    ok(path_sync_dir("."));
}

static void put(const char *path, const char *text) {
    AUTO_CLOSE struct file *f = opened(path, FILE_CREATE_ANY);
    ok(file_write(f, text, strlen(text), 0));
}

/* The content of a small file, "-" if it is not there. */
static const char *content(const char *path) {
    static char text[4][256];
    static unsigned turn;
    char *out = text[turn++ % 4];
    AUTO_CLOSE struct file *f = NULL;
    size_t n = 0;
    err e = file_open(path, FILE_READ, &f);
    if (e) {
        fails(e, ERR_NOT_FOUND);
        return "-";
    }
    ok(file_read(f, out, sizeof text[0] - 1, 0, &n));
    out[n] = 0;
    return out;
}

static void holds(const char *path, const char *want) { assert_string_equal(content(path), want); }
static bool is(const char *path, const char *want) { return strcmp(content(path), want) == 0; }

/* ---- laws 1 to 4: power cuts ------------------------------------------------------------------------------------ */

static void what_was_synced_survives(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        sim_reset(seed);
        ok(path_make_dir("d"));
        ok(path_sync_dir("/"));
        put("d/a", "kept");
        AUTO_CLOSE struct file *f = opened("d/a", FILE_WRITE);
        ok(file_sync(f));
        ok(path_sync_dir("d"));
        for (int reboots = 0; reboots < 3; reboots++) {
            sim_reboot();
            holds("d/a", "kept");
        }
    }
}

static void a_synced_file_needs_its_entry_synced(void **state) {
    (void)state;
    unsigned there = 0, gone = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        sim_reset(seed);
        put("a", "text");
        AUTO_CLOSE struct file *f = opened("a", FILE_WRITE);
        ok(file_sync(f));
        sim_reboot();
        there += is("a", "text");
        gone += is("a", "-");
    }
    assert_int_equal(there + gone, SEEDS);
    assert_true(there > SEEDS / 10 && gone > SEEDS / 10);
}

static void a_synced_entry_needs_its_bytes_synced(void **state) {
    (void)state;
    unsigned whole = 0, empty = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        sim_reset(seed);
        put("a", "text");
        ok(path_sync_dir("."));
        sim_reboot();
        assert_true(path_exists("a"));
        whole += is("a", "text");
        empty += is("a", "");
    }
    assert_true(whole > SEEDS / 10 && empty > SEEDS / 10);
}

static void a_folder_needs_its_parent_synced(void **state) {
    (void)state;
    unsigned there = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        sim_reset(seed);
        ok(path_make_dir("d"));
        put("d/a", "");
        ok(path_sync_dir("d"));
        sim_reboot();
        there += path_exists("d/a");
        assert_int_equal(path_exists("d"), path_exists("d/a"));
    }
    assert_true(there > SEEDS / 10 && there < SEEDS * 9 / 10);
}

enum { SECTORS = 8 };

static void fill(struct file *f, size_t sector, int value) {
    char bytes[SECTOR];
    memset(bytes, value, sizeof bytes);
    ok(file_write(f, bytes, sizeof bytes, sector * SECTOR));
}

/* Each sector had 1 synced, then 2, then 3: any of them may be there, whole. */
static void sectors_are_lost_one_by_one_and_whole(void **state) {
    (void)state;
    unsigned seen[4] = {0}, mixed = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        unsigned char got[SECTORS * SECTOR];
        size_t n = 0;
        sim_reset(seed);
        struct file *f = opened("a", FILE_CREATE);
        ok(path_sync_dir("."));
        for (int value = 1; value <= 3; value++) {
            for (size_t i = 0; i < SECTORS; i++) fill(f, i, value);
            if (value == 1) ok(file_sync(f));
        }
        sim_reboot();
        file_close(f);
        f = opened("a", FILE_READ);
        ok(file_read(f, got, sizeof got, 0, &n));
        assert_int_equal(n, sizeof got);
        file_close(f);
        for (size_t i = 0; i < sizeof got; i++) {
            assert_in_range(got[i], 1, 3);
            assert_int_equal(got[i], got[i / SECTOR * SECTOR]);
            seen[got[i]]++;
        }
        mixed += got[0] != got[SECTORS * SECTOR - 1];
    }
    for (int value = 1; value <= 3; value++) assert_true(seen[value] > SEEDS * SECTORS * SECTOR / 20);
    assert_true(mixed > SEEDS / 10);
}

/* An append that was not synced: any size between, zeros, the bytes or garbage past the synced size, never before it. */
static void an_append_may_be_lost_in_part(void **state) {
    (void)state;
    unsigned garbage = 0, zeros = 0, whole = 0, sizes_between = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        unsigned char got[4 * SECTOR];
        size_t n = 0;
        sim_reset(seed);
        struct file *f = opened("a", FILE_CREATE);
        ok(path_sync_dir("."));
        fill(f, 0, 'A');
        ok(file_sync(f));
        for (size_t i = 1; i < 4; i++) fill(f, i, 'B');
        sim_reboot();
        file_close(f);
        f = opened("a", FILE_READ);
        ok(file_read(f, got, sizeof got, 0, &n));
        file_close(f);
        assert_in_range(n, SECTOR, sizeof got);
        for (size_t i = 0; i < SECTOR; i++) assert_int_equal(got[i], 'A');
        sizes_between += n > SECTOR && n < sizeof got;
        whole += n == sizeof got && got[SECTOR] == 'B' && got[2 * SECTOR] == 'B' && got[3 * SECTOR] == 'B';
        for (size_t i = SECTOR; i < n; i++) {
            zeros += got[i] == 0;
            garbage += got[i] != 0 && got[i] != 'B';
        }
    }
    assert_true(garbage > 0 && zeros > 0 && whole > 0 && sizes_between > 0);
}

static void a_truncation_may_be_undone(void **state) {
    (void)state;
    unsigned undone = 0, done = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        sim_reset(seed);
        put_durable("a", "0123456789");
        AUTO_CLOSE struct file *f = opened("a", FILE_WRITE);
        ok(file_resize(f, 4));
        sim_reboot();
        undone += is("a", "0123456789");
        done += is("a", "0123");
        assert_memory_equal(content("a"), "0123", 4);
    }
    assert_true(undone > SEEDS / 10 && done > SEEDS / 10);
}

static void a_rename_is_there_whole_or_not_at_all(void **state) {
    (void)state;
    unsigned renamed = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        sim_reset(seed);
        put_durable("new", "new");
        put_durable("f", "old");
        ok(path_rename("new", "f"));
        sim_reboot();
        bool moved = is("f", "new");
        if (!moved) holds("f", "old");
        holds("new", moved ? "-" : "new");
        renamed += moved;
    }
    assert_true(renamed > SEEDS / 10 && renamed < SEEDS * 9 / 10);
}

static void a_removed_file_may_come_back(void **state) {
    (void)state;
    unsigned back = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        sim_reset(seed);
        put_durable("a", "text");
        ok(path_remove("a"));
        if (seed % 2) ok(path_sync_dir("."));
        sim_reboot();
        if (seed % 2)
            holds("a", "-");
        else if (!is("a", "-"))
            holds("a", "text"), back++;
    }
    assert_true(back > SEEDS / 20);
}

/* Creates in one folder come in any subset, but a rename never without the create of what it renamed. */
static void entries_are_reordered_but_not_on_one_name(void **state) {
    (void)state;
    bool second_alone = false, moved_alone = false;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        sim_reset(seed);
        put("a", "");
        put("b", "");
        put("tmp", "");
        ok(path_rename("tmp", "c"));
        sim_reboot();
        bool a = path_exists("a"), b = path_exists("b"), tmp = path_exists("tmp"), c = path_exists("c");
        second_alone |= b && !a;
        moved_alone |= c && !a && !b;
        assert_false(tmp && c);
    }
    assert_true(second_alone && moved_alone);
}

static void syncing_one_folder_brings_the_names_it_took_from_another(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        sim_reset(seed);
        ok(path_make_dir("from"));
        ok(path_make_dir("to"));
        ok(path_sync_dir("."));
        put("from/a", "");
        put("from/other", "");
        ok(path_rename("from/a", "to/a"));
        ok(path_sync_dir("to"));
        sim_reboot();
        assert_true(path_exists("to/a"));
        assert_false(path_exists("from/a"));
    }
}

static void a_link_survives_the_first_name(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        sim_reset(seed);
        put_durable("a", "text");
        ok(path_link("a", "b"));
        ok(path_sync_dir("."));
        ok(path_remove("a"));
        ok(path_sync_dir("."));
        sim_reboot();
        holds("a", "-");
        holds("b", "text");
    }
}

/* ---- law 5: a failed sync --------------------------------------------------------------------------------------- */

static void a_failed_sync_drops_what_it_did_not_write(void **state) {
    (void)state;
    unsigned lost = 0, written = 0, read_new_but_lost = 0, read_old = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        sim_reset(seed);
        put_durable("a", "old");
        struct file *f = opened("a", FILE_WRITE);
        ok(file_write(f, "new", 3, 0));
        sim_fail_sync(1);
        fails(file_sync(f), ERR_IO);
        bool reads_new = is("a", "new");
        read_old += is("a", "old");
        ok(file_sync(f)); /* says yes, and saves nothing */
        sim_reboot();
        file_close(f);
        bool is_lost = is("a", "old");
        lost += is_lost;
        written += is("a", "new");
        read_new_but_lost += reads_new && is_lost;
    }
    assert_int_equal(lost + written, SEEDS);
    assert_true(written > 0 && read_new_but_lost > 0 && read_old > 0);
}

static void writing_again_after_a_failed_sync_is_saved(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        sim_reset(seed);
        put_durable("a", "old");
        AUTO_CLOSE struct file *f = opened("a", FILE_WRITE);
        ok(file_write(f, "new", 3, 0));
        sim_fail_at(1, ERR_IO);
        fails(file_sync(f), ERR_IO);
        ok(file_write(f, "new", 3, 0));
        ok(file_sync(f));
        sim_reboot();
        holds("a", "new");
    }
}

static void the_nth_sync_fails_and_the_next_does_not(void **state) {
    (void)state;
    sim_reset(1);
    AUTO_CLOSE struct file *f = opened("a", FILE_CREATE);
    sim_fail_sync(3);
    ok(file_sync(f));
    ok(file_sync(f));
    assert_int_equal(sim_faults(), 0);
    fails(file_sync(f), ERR_IO);
    ok(file_sync(f));
    assert_int_equal(sim_faults(), 1);
}

/* ---- law 6: the n-th call --------------------------------------------------------------------------------------- */

static err ignore_entry(void *context, const char *name, bool is_dir) {
    (void)context, (void)name, (void)is_dir;
    return NULL;
}

/* Every kind of call once; stops at the first error. path_exists is checked apart. */
static err one_of_each(struct file **f) {
    uint64_t size, total, left;
    size_t n;
    char byte;
    struct str map;
    TRY(path_make_dir("d"));
    TRY(file_open("d/a", FILE_CREATE, f));
    TRY(file_lock(*f));
    TRY(file_allocate(*f, 2 * SECTOR));
    TRY(file_write(*f, "x", 1, 0));
    TRY(file_write_pieces(*f, &(struct file_piece){"y", 1}, 1, 1));
    TRY(file_sync(*f));
    TRY(file_size(*f, &size));
    TRY(file_resize(*f, 1));
    TRY(file_read(*f, &byte, 1, 0, &n));
    TRY(file_map(*f, &map));
    file_unmap(*f, map);
    TRY(path_rename("d/a", "d/b"));
    TRY(path_link("d/b", "d/c"));
    TRY(path_sync_dir("d"));
    TRY(path_list("d", ignore_entry, NULL));
    TRY(path_space("d", &total, &left));
    TRY(path_remove("d/b"));
    TRY(path_remove("d/c"));
    return path_remove_dir("d");
}

enum { KINDS_OF_CALLS = 19 };

static void every_call_fails_at_its_number(void **state) {
    (void)state;
    const enum err_kind kinds[] = {ERR_IO, ERR_UNAVAILABLE};
    for (uint64_t n = 1; n <= KINDS_OF_CALLS + 1; n++) {
        AUTO_CLOSE struct file *f = NULL;
        sim_reset(n);
        sim_fail_at(n, kinds[n % 2]);
        if (n <= KINDS_OF_CALLS)
            fails(one_of_each(&f), kinds[n % 2]);
        else
            ok(one_of_each(&f));
        assert_int_equal(sim_calls(), MIN(n, KINDS_OF_CALLS));
        assert_int_equal(sim_faults(), n <= KINDS_OF_CALLS);
    }
}

static void from_a_call_on_all_fail_until_calm(void **state) {
    (void)state;
    sim_reset(1);
    put("a", "text");
    sim_fail_from(2, ERR_UNAVAILABLE);
    assert_true(path_exists("a"));
    assert_false(path_exists("a"));
    fails(path_remove("a"), ERR_UNAVAILABLE);
    fails(path_sync_dir("."), ERR_UNAVAILABLE);
    sim_calm();
    holds("a", "text");
    assert_int_equal(sim_faults(), 3);
}

static void a_failed_change_of_folders_has_done_nothing(void **state) {
    (void)state;
    sim_reset(1);
    put_durable("a", "text");
    sim_fail_from(1, ERR_IO);
    fails(path_rename("a", "b"), ERR_IO);
    fails(path_link("a", "b"), ERR_IO);
    fails(path_remove("a"), ERR_IO);
    fails(path_make_dir("d"), ERR_IO);
    struct file *f = NULL;
    fails(file_open("c", FILE_CREATE, &f), ERR_IO);
    fails(file_open("a", FILE_CREATE_ANY, &f), ERR_IO);
    assert_null(f);
    sim_calm();
    AUTO_BUF struct buf list;
    buf_init(&list, KIB);
    sim_list(&list);
    assert_string_equal(list.p, "a 4 0\n");
}

static void a_failed_write_leaves_a_beginning(void **state) {
    (void)state;
    bool nothing = false, part = false;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        const struct file_piece pieces[] = {{"01", 2}, {"2345", 4}, {"6789", 4}};
        sim_reset(seed);
        AUTO_CLOSE struct file *f = opened("a", FILE_CREATE);
        if (seed % 2)
            sim_fail_at(1, ERR_IO);
        else
            sim_cut_at(1);
        fails(file_write_pieces(f, pieces, LENGTH(pieces), 0), ERR_IO);
        sim_restart();
        const char *left = content("a");
        assert_memory_equal(left, "0123456789", strlen(left));
        nothing |= left[0] == 0;
        part |= left[0] != 0 && strlen(left) < 10;
    }
    assert_true(nothing && part);
}

static void without_power_everything_fails_until_the_reboot(void **state) {
    (void)state;
    struct file *f = NULL, *again = NULL;
    sim_reset(1);
    put_durable("a", "text");
    f = opened("a", FILE_WRITE);
    ok(file_lock(f));
    sim_cut_at(2);
    ok(file_sync(f));
    for (int i = 0; i < 3; i++) {
        fails(file_sync(f), ERR_IO);
        fails(file_write(f, "lost", 4, 0), ERR_IO);
        fails(file_open("b", FILE_CREATE, &again), ERR_IO);
        assert_false(path_exists("a"));
    }
    sim_calm();
    fails(path_remove("a"), ERR_IO);
    sim_reboot();
    fails(file_sync(f), ERR_IO); /* stale */
    fails(file_write(f, "lost", 4, 0), ERR_IO);
    again = opened("a", FILE_WRITE);
    ok(file_lock(again));
    holds("a", "text");
    file_close(again);
    file_close(f);
}

static void a_killed_process_loses_nothing_written(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        sim_reset(seed);
        put("a", "text");
        struct file *f = opened("a", FILE_WRITE), *next = NULL;
        ok(file_lock(f));
        ok(path_rename("a", "b"));
        sim_restart();
        holds("b", "text");
        fails(file_write(f, "x", 1, 0), ERR_IO);
        next = opened("b", FILE_WRITE);
        ok(file_lock(next));
        file_close(f); /* a stale close must not give away the new lock */
        f = opened("b", FILE_WRITE);
        fails(file_lock(f), ERR_CONFLICT);
        file_close(f);
        file_close(next);
    }
}

/* ---- law 7: space ----------------------------------------------------------------------------------------------- */

static void a_full_disk_stops_a_write_short(void **state) {
    (void)state;
    static char bytes[10 * SECTOR];
    struct file *none = NULL;
    uint64_t size, total, left;
    sim_reset(1);
    struct file *f = opened("a", FILE_CREATE);
    sim_disk_limit(4 * SECTOR);
    fails(file_write(f, bytes, sizeof bytes, 100), ERR_UNAVAILABLE);
    ok(file_size(f, &size));
    assert_int_equal(size, 4 * SECTOR);
    ok(path_space(".", &total, &left));
    assert_int_equal(total, 4 * SECTOR);
    assert_int_equal(left, 0);
    fails(file_open("b", FILE_CREATE, &none), ERR_UNAVAILABLE);
    fails(path_make_dir("d"), ERR_UNAVAILABLE);
    fails(path_link("a", "b"), ERR_UNAVAILABLE);
    ok(file_write(f, "again", 5, 0)); /* over what is there */
    ok(path_rename("a", "c"));
    ok(path_remove("c"));
    assert_int_equal(sim_disk_used(), 4 * SECTOR); /* still open */
    file_close(f);
    assert_int_equal(sim_disk_used(), 0);
    ok(path_make_dir("d"));
}

static void what_is_reserved_can_be_written_on_a_full_disk(void **state) {
    (void)state;
    static char bytes[4 * SECTOR];
    sim_reset(1);
    struct file *f = opened("a", FILE_CREATE);
    sim_disk_limit(4 * SECTOR);
    fails(file_allocate(f, 4 * SECTOR + 1), ERR_UNAVAILABLE);
    assert_int_equal(sim_disk_used(), 0);
    ok(file_allocate(f, 4 * SECTOR));
    ok(file_sync(f));
    ok(path_sync_dir("."));
    ok(file_write(f, bytes, sizeof bytes, 0));
    sim_reboot();
    file_close(f);
    assert_int_equal(sim_disk_used(), 4 * SECTOR);
    f = opened("a", FILE_WRITE);
    ok(file_write(f, bytes, sizeof bytes, 0));
    fails(file_write(f, bytes, 1, sizeof bytes), ERR_UNAVAILABLE);
    ok(file_resize(f, SECTOR));
    assert_int_equal(sim_disk_used(), SECTOR);
    file_close(f);
}

/* After any history the count of used sectors is that of what is there. */
static void space_adds_up_after_power_cuts(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        static char bytes[3 * SECTOR];
        sim_reset(seed);
        for (int i = 0; i < 6; i++) {
            char path[8] = {(char)('a' + i), 0};
            AUTO_CLOSE struct file *f = opened(path, FILE_CREATE);
            memset(bytes, 'x', sizeof bytes);
            ok(file_write(f, bytes, sizeof bytes, 0));
            if (i % 2) ok(file_sync(f));
            if (i == 3) ok(path_sync_dir("."));
            if (i == 4) ok(path_remove("a"));
        }
        sim_reboot();
        for (int i = 0; i < 6; i++) {
            char path[8] = {(char)('a' + i), 0};
            err_free(path_remove(path));
        }
        assert_int_equal(sim_disk_used(), 0);
    }
}

/* ---- tampering, maps, listing ----------------------------------------------------------------------------------- */

static void a_flipped_bit_stays(void **state) {
    (void)state;
    sim_reset(1);
    put_durable("a", "aaa");
    struct file *f = opened("a", FILE_READ);
    struct str map;
    ok(file_map(f, &map));
    ok(sim_flip_bit("a", 1, 1));
    holds("a", "aca");
    assert_memory_equal(map.p, "aca", 3); /* a map is memory that the disk fills */
    sim_reboot();
    holds("a", "aca");
    ok(sim_flip_bit("a", 1, 1));
    holds("a", "aaa");
    fails(sim_flip_bit("a", 3, 0), ERR_INVALID);
    fails(sim_flip_bit("b", 0, 0), ERR_NOT_FOUND);
    file_unmap(f, map);
    file_close(f);
}

static void a_map_stays_as_it_was(void **state) {
    (void)state;
    sim_reset(1);
    put_durable("a", "first");
    struct file *f = opened("a", FILE_WRITE);
    struct str first, second;
    ok(file_map(f, &first));
    ok(file_write(f, "again", 5, 0));
    ok(file_map(f, &second));
    ok(file_write(f, "x", 1, 100000));
    ok(file_resize(f, 0));
    ok(path_remove("a"));
    file_close(f);
    sim_reboot();
    sim_reset(2);
    assert_memory_equal(first.p, "first", 5);
    assert_memory_equal(second.p, "again", 5);
    file_unmap(NULL, first);
    file_unmap(NULL, second);
}

static void the_list_shows_what_is_not_durable(void **state) {
    (void)state;
    AUTO_BUF struct buf list;
    buf_init(&list, KIB);
    sim_reset(1);
    ok(path_make_dir("d"));
    put_durable("z", "12345");
    put("d/new", "x");
    AUTO_CLOSE struct file *f = opened("z", FILE_WRITE);
    ok(file_write(f, "x", 1, 1000));
    sim_list(&list);
    assert_string_equal(list.p, "d/\nd/new 1 512 +\nz 1001 512\n");
}

static void paths_are_checked(void **state) {
    (void)state;
    char name[300];
    struct file *f = NULL;
    sim_reset(1);
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    fails(file_open(name, FILE_CREATE, &f), ERR_IO);
    fails(file_open("", FILE_CREATE, &f), ERR_NOT_FOUND);
    fails(file_open("/", FILE_CREATE, &f), ERR_CONFLICT);
    fails(file_open("../a", FILE_CREATE, &f), ERR_IO);
    put("./a", "x");
    holds("//a", "x");
    fails(file_open("a/b", FILE_READ, &f), ERR_IO);
    ok(path_make_dir("d"));
    fails(path_rename("d", "d/e"), ERR_IO);
    fails(path_rename("a", "d"), ERR_IO);
    fails(path_rename("d", "a"), ERR_IO);
    ok(path_rename("a", "a"));
    ok(path_link("a", "b"));
    ok(path_rename("a", "b")); /* two links of one file stay */
    holds("a", "x");
    f = opened("a", FILE_WRITE);
    fails(file_write(f, "x", 1, UINT64_C(1) << 40), ERR_IO);
    fails(file_resize(f, UINT64_MAX), ERR_IO);
    fails(file_allocate(f, UINT64_MAX), ERR_IO);
    file_close(f);
}

/* ---- protocols: the right one always holds, and each step left out is found out ---------------------------------- */

enum { SKIP_NOTHING, SKIP_FILE_SYNC, SKIP_DIR_SYNC, SKIP_RENAME };

/* Replaces the content of "f": the way every durable file of clew is replaced, or with one step wrong. */
static err replace(const char *text, int skip) {
    AUTO_CLOSE struct file *f = NULL;
    TRY(file_open(skip == SKIP_RENAME ? "f" : "tmp", FILE_CREATE_ANY, &f));
    TRY(file_write(f, text, strlen(text), 0));
    if (skip != SKIP_FILE_SYNC) TRY(file_sync(f));
    if (skip != SKIP_RENAME) TRY(path_rename("tmp", "f"));
    if (skip != SKIP_DIR_SYNC) TRY(path_sync_dir("."));
    return NULL;
}

/* Replaces until the power goes at call n: is what is left what was acknowledged, or the one under way? */
static bool replace_survives(uint64_t seed, uint64_t n, int skip, bool *out_past_end) {
    char acknowledged[200] = "-", tried[200];
    sim_reset(seed);
    sim_cut_at(n);
    err e = NULL;
    for (int round = 0; !e && round < 4; round++) {
        memset(tried, '0' + round, sizeof tried - 1);
        tried[sizeof tried - 1] = 0;
        e = replace(tried, skip);
        if (!e) memcpy(acknowledged, tried, sizeof tried);
    }
    *out_past_end = e == NULL;
    err_free(e);
    sim_reboot();
    return is("f", acknowledged) || is("f", tried);
}

static unsigned replace_failures(int skip) {
    unsigned failures = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        bool past_end = false;
        for (uint64_t n = 1; !past_end; n++) failures += !replace_survives(seed, n, skip, &past_end);
    }
    return failures;
}

static void replacing_by_rename_survives_every_cut(void **state) {
    (void)state;
    assert_int_equal(replace_failures(SKIP_NOTHING), 0);
}

static void a_step_left_out_is_found_out(void **state) {
    (void)state;
    assert_true(replace_failures(SKIP_FILE_SYNC) > 100);
    assert_true(replace_failures(SKIP_DIR_SYNC) > 20);
    assert_true(replace_failures(SKIP_RENAME) > 100);
}

/* ---- a seed replays -------------------------------------------------------------------------------------------- */

static uint64_t run_of(uint64_t seed) {
    static char bytes[5 * SECTOR];
    AUTO_BUF struct buf list;
    buf_init(&list, 64 * KIB);
    sim_reset(seed);
    for (int i = 0; i < 40; i++) {
        char path[3] = {'f', (char)('a' + random_u64() % 5), 0}, other[3] = {'f', (char)('a' + random_u64() % 5), 0};
        AUTO_CLOSE struct file *f = opened(path, FILE_CREATE_ANY);
        random_bytes(bytes, sizeof bytes);
        ok(file_write(f, bytes, random_u64() % sizeof bytes, random_u64() % 10000));
        if (random_u64() % 3 == 0) ok(file_sync(f));
        if (random_u64() % 3 == 0) ok(path_rename(path, other));
        if (random_u64() % 5 == 0) ok(path_sync_dir("."));
    }
    sim_reboot();
    sim_list(&list);
    for (char c = 'a'; c < 'f'; c++) {
        char path[3] = {'f', c, 0};
        AUTO_CLOSE struct file *f = NULL;
        struct str map;
        err e = file_open(path, FILE_READ, &f);
        err_free(e);
        if (e) continue;
        ok(file_map(f, &map));
        buf_add_fmt(&list, "%llx ", (unsigned long long)hash_bytes(map.p, map.n));
        file_unmap(f, map);
    }
    return hash_bytes(list.p, list.n);
}

static void a_seed_replays_exactly(void **state) {
    (void)state;
    unsigned same = 0;
    for (uint64_t seed = 0; seed < 50; seed++) {
        uint64_t once = run_of(seed);
        assert_true(once == run_of(seed));
        same += once == run_of(seed + 1);
    }
    assert_true(same < 5);
}

/* ---- clock, chance, threads ------------------------------------------------------------------------------------- */

static void time_stands_still_until_moved(void **state) {
    (void)state;
    sim_reset(1);
    int64_t wall = clock_wall_ns(), monotonic = clock_monotonic_ns();
    assert_true(wall == INT64_C(1767225600) * 1000000000);
    assert_true(clock_wall_ns() == wall);
    sim_clock_advance(5);
    assert_true(clock_wall_ns() == wall + 5 && clock_monotonic_ns() == monotonic + 5);
    sim_clock_set_wall(7);
    assert_true(clock_wall_ns() == 7 && clock_monotonic_ns() == monotonic + 5);
    sim_reset(1);
    assert_true(clock_wall_ns() == wall && clock_monotonic_ns() == monotonic);
}

static void chance_comes_from_the_seed(void **state) {
    (void)state;
    char a[21], b[21];
    sim_reset(7);
    uint64_t first = random_u64();
    random_bytes(a, sizeof a);
    sim_reset(7);
    assert_true(first == random_u64());
    random_bytes(b, sizeof b);
    assert_memory_equal(a, b, sizeof a);
    sim_reset(8);
    assert_true(first != random_u64());
}

static void never(void *context) {
    (void)context;
    abort();
}

static void threads_do_not_start_and_waiting_moves_the_clock(void **state) {
    (void)state;
    struct thread *t = NULL;
    struct lock l = {0};
    struct signal_flag f = {0};
    sim_reset(1);
    fails(thread_start(&t, "never", 0, never, NULL), ERR_UNAVAILABLE);
    thread_join(t);
    int64_t due = clock_monotonic_ns() + 1000;
    lock_take(&l);
    assert_false(flag_wait_until(&f, &l, due));
    assert_false(flag_wait_until(&f, &l, 0));
    lock_give(&l);
    assert_true(clock_monotonic_ns() == due);
    struct queue *q = queue_new(1);
    assert_true(queue_push(q, q));
    assert_ptr_equal(queue_pop_wait(q), q);
    queue_free(q);
}

/* Each notes when it comes back from its waits; one starts another. */
static struct {
    struct buf said;
    int64_t from_ns;
} diary;
static void rest(int64_t ms) {
    struct lock l = {0};
    struct signal_flag f = {0};
    int64_t until = clock_monotonic_ns() + ms * 1000000;
    lock_init(&l);
    flag_init(&f);
    lock_take(&l);
    assert(!flag_wait_until(&f, &l, until));
    lock_give(&l);
    assert(clock_monotonic_ns() == until);
    lock_done(&l);
    flag_done(&f);
}
static void note(const char *who) {
    buf_add_fmt(&diary.said, "%s%lld ", who, (long long)((clock_monotonic_ns() - diary.from_ns) / 1000000));
}
static void late(void *context) {
    rest(5);
    note(context);
}
static char names[] = "a\0b\0c\0x"; /* one every second byte */
static void steps(void *context) {
    note(context);
    for (int i = 0; i < 3; i++) {
        rest(*(const char *)context == 'a' ? 10 : 15);
        note(context);
    }
    if (*(const char *)context == 'a') sim_task_start(late, names + 4);
}

static void tasks_go_on_by_when_their_waits_end(void **state) {
    (void)state;
    sim_reset(1);
    buf_init(&diary.said, MIB);
    diary.from_ns = clock_monotonic_ns();
    sim_task_start(steps, names);
    sim_task_start(steps, names + 2);
    note("m");
    rest(20);
    note("m");
    assert_int_equal(sim_tasks(), 2);
    rest(100);
    note("m");
    assert_int_equal(sim_tasks(), 0);
    /* of equal ends the one that began to wait first */
    assert_string_equal(diary.said.p, "m0 a0 b0 a10 b15 m20 a20 b30 a30 c35 b45 m120 ");
    for (int i = 0; i < 3 * SIM_TASKS_MAX; i++) { /* stacks are used again */
        sim_task_start(late, names + 6);
        if (i % 100 == 0) rest(50);
    }
    rest(50);
    assert_int_equal(sim_tasks(), 0);
    buf_done(&diary.said);
}

static int forget_everything(void **state) {
    (void)state;
    sim_reset(0);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_synced_survives),
        cmocka_unit_test(a_synced_file_needs_its_entry_synced),
        cmocka_unit_test(a_synced_entry_needs_its_bytes_synced),
        cmocka_unit_test(a_folder_needs_its_parent_synced),
        cmocka_unit_test(sectors_are_lost_one_by_one_and_whole),
        cmocka_unit_test(an_append_may_be_lost_in_part),
        cmocka_unit_test(a_truncation_may_be_undone),
        cmocka_unit_test(a_rename_is_there_whole_or_not_at_all),
        cmocka_unit_test(a_removed_file_may_come_back),
        cmocka_unit_test(entries_are_reordered_but_not_on_one_name),
        cmocka_unit_test(syncing_one_folder_brings_the_names_it_took_from_another),
        cmocka_unit_test(a_link_survives_the_first_name),
        cmocka_unit_test(a_failed_sync_drops_what_it_did_not_write),
        cmocka_unit_test(writing_again_after_a_failed_sync_is_saved),
        cmocka_unit_test(the_nth_sync_fails_and_the_next_does_not),
        cmocka_unit_test(every_call_fails_at_its_number),
        cmocka_unit_test(from_a_call_on_all_fail_until_calm),
        cmocka_unit_test(a_failed_change_of_folders_has_done_nothing),
        cmocka_unit_test(a_failed_write_leaves_a_beginning),
        cmocka_unit_test(without_power_everything_fails_until_the_reboot),
        cmocka_unit_test(a_killed_process_loses_nothing_written),
        cmocka_unit_test(a_full_disk_stops_a_write_short),
        cmocka_unit_test(what_is_reserved_can_be_written_on_a_full_disk),
        cmocka_unit_test(space_adds_up_after_power_cuts),
        cmocka_unit_test(a_flipped_bit_stays),
        cmocka_unit_test(a_map_stays_as_it_was),
        cmocka_unit_test(the_list_shows_what_is_not_durable),
        cmocka_unit_test(paths_are_checked),
        cmocka_unit_test(replacing_by_rename_survives_every_cut),
        cmocka_unit_test(a_step_left_out_is_found_out),
        cmocka_unit_test(a_seed_replays_exactly),
        cmocka_unit_test(time_stands_still_until_moved),
        cmocka_unit_test(chance_comes_from_the_seed),
        cmocka_unit_test(threads_do_not_start_and_waiting_moves_the_clock),
        cmocka_unit_test(tasks_go_on_by_when_their_waits_end),
    };
    return cmocka_run_group_tests(tests, NULL, forget_everything);
}
