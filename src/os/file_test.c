/* The contract of file.h. Built twice: against the system and against os/sim, which must not be told apart here. */
#include "os/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "os/clock.h"

static char folder[512];

static const char *in_folder(const char *name) {
    static char paths[4][600]; /* so that one call may name a few */
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void ok(err e) {
    if (e) fail_msg("%s", err_text(e));
}

static void fails(err e, enum err_kind kind) {
    assert_non_null(e);
    if (err_kind(e) != kind) fail_msg("kind %s: %s", err_row(e)->name, err_text(e));
    err_free(e);
}

static void put(const char *name, const char *text) {
    AUTO_CLOSE struct file *f = NULL;
    ok(file_open(in_folder(name), FILE_CREATE_ANY, &f));
    ok(file_write(f, text, strlen(text), 0));
}

static void holds(const char *name, const char *text) {
    AUTO_CLOSE struct file *f = NULL;
    char got[256] = "";
    size_t n = 0;
    ok(file_open(in_folder(name), FILE_READ, &f));
    ok(file_read(f, got, sizeof got - 1, 0, &n));
    assert_string_equal(got, text);
    assert_int_equal(n, strlen(text));
}

static uint64_t size_of(struct file *f) {
    uint64_t size = 0;
    ok(file_size(f, &size));
    return size;
}

static err forget(void *context, const char *name, bool is_dir) {
    (void)context;
    return is_dir ? path_remove_dir(in_folder(name)) : path_remove(in_folder(name));
}

static int set_up(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    if (!base || !path_exists(base)) base = path_exists("/tmp") ? "/tmp" : ".";
    snprintf(folder, sizeof folder, "%s/os-test-%016llx", base, (unsigned long long)random_u64());
    ok(path_make_dir(folder));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    ok(path_list(folder, forget, NULL));
    ok(path_remove_dir(folder));
    return 0;
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static void try_open(const char *name, enum file_mode mode, int kind, const char *then_holds) {
    struct file *f = NULL;
    err e = file_open(in_folder(name), mode, &f);
    if (kind < 0)
        ok(e);
    else
        fails(e, (enum err_kind)kind);
    file_close(f);
    if (then_holds) holds(name, then_holds);
}

static void modes_make_and_refuse(void **state) {
    (void)state;
    put("there", "old");
    try_open("there", FILE_READ, -1, "old");
    try_open("there", FILE_WRITE, -1, "old");
    try_open("there", FILE_CREATE, ERR_CONFLICT, "old");
    try_open("there", FILE_CREATE_ANY, -1, "");
    try_open("absent", FILE_READ, ERR_NOT_FOUND, NULL);
    try_open("absent", FILE_WRITE, ERR_NOT_FOUND, NULL);
    try_open("absent/deeper", FILE_CREATE, ERR_NOT_FOUND, NULL);
    try_open("absent", FILE_CREATE, -1, "");
    try_open("absent2", FILE_CREATE_ANY, -1, "");
    ok(path_make_dir(in_folder("sub")));
    try_open("sub", FILE_WRITE, ERR_IO, NULL);
}

static void the_error_names_the_path(void **state) {
    (void)state;
    struct file *f = NULL;
    err e = file_open(in_folder("nowhere"), FILE_READ, &f);
    assert_non_null(e);
    assert_non_null(strstr(err_text(e), "nowhere"));
    assert_null(f);
    err_free(e);
}

static void a_file_opened_for_reading_cannot_be_written(void **state) {
    (void)state;
    put("a", "text");
    AUTO_CLOSE struct file *f = NULL;
    ok(file_open(in_folder("a"), FILE_READ, &f));
    fails(file_write(f, "x", 1, 0), ERR_IO);
    fails(file_resize(f, 0), ERR_IO);
    holds("a", "text");
}

static void closing_nothing_is_allowed(void **state) {
    (void)state;
    file_close(NULL);
}

/* ---- bytes ------------------------------------------------------------------------------------------------------ */

static void reads_stop_at_the_end(void **state) {
    (void)state;
    put("a", "0123456789");
    AUTO_CLOSE struct file *f = NULL;
    char got[16];
    size_t n = 99;
    ok(file_open(in_folder("a"), FILE_READ, &f));
    ok(file_read(f, got, 4, 8, &n));
    assert_int_equal(n, 2);
    assert_memory_equal(got, "89", 2);
    ok(file_read(f, got, 4, 10, &n));
    assert_int_equal(n, 0);
    ok(file_read(f, got, 4, 1 << 20, &n));
    assert_int_equal(n, 0);
    ok(file_read(f, got, 0, 0, &n));
    assert_int_equal(n, 0);
}

static void a_hole_reads_as_zeros(void **state) {
    (void)state;
    AUTO_CLOSE struct file *f = NULL;
    unsigned char got[5000];
    size_t n = 0;
    ok(file_open(in_folder("a"), FILE_CREATE, &f));
    ok(file_write(f, "x", 1, 4999));
    ok(file_read(f, got, sizeof got, 0, &n));
    assert_int_equal(n, 5000);
    for (size_t i = 0; i < 4999; i++) assert_int_equal(got[i], 0);
    assert_int_equal(got[4999], 'x');
}

static void pieces_are_written_one_after_another(void **state) {
    (void)state;
    enum { COUNT = 300 };
    static char bytes[3 * 1024 * 1024 + 17], got[sizeof bytes + COUNT * 100];
    struct file_piece pieces[COUNT];
    size_t total = 0, n = 0;
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)(i * 31 >> 3);
    for (size_t i = 0; i < COUNT; i++) {
        pieces[i] = (struct file_piece){bytes + i, i == 150 ? sizeof bytes - i : i % 7 == 0 ? 0 : i % 97};
        total += pieces[i].n;
    }
    AUTO_CLOSE struct file *f = NULL;
    ok(file_open(in_folder("a"), FILE_CREATE, &f));
    ok(file_write_pieces(f, pieces, COUNT, 5));
    assert_int_equal(size_of(f), total + 5);
    ok(file_read(f, got, sizeof got, 5, &n));
    assert_int_equal(n, total);
    size_t at = 0;
    for (size_t i = 0; i < COUNT; at += pieces[i].n, i++) {
        if (pieces[i].n > 0) assert_memory_equal(got + at, pieces[i].p, pieces[i].n);
    }
    ok(file_write_pieces(f, pieces, 0, 0));
    ok(file_write(f, NULL, 0, 0));
}

static void resizing_cuts_and_fills_with_zeros(void **state) {
    (void)state;
    AUTO_CLOSE struct file *f = NULL;
    char got[16];
    size_t n = 0;
    ok(file_open(in_folder("a"), FILE_CREATE, &f));
    ok(file_write(f, "0123456789", 10, 0));
    ok(file_resize(f, 3));
    ok(file_resize(f, 6));
    ok(file_read(f, got, sizeof got, 0, &n));
    assert_int_equal(n, 6);
    assert_memory_equal(got, "012\0\0\0", 6);
}

static void allocating_keeps_the_bytes_and_never_shrinks(void **state) {
    (void)state;
    AUTO_CLOSE struct file *f = NULL;
    char got[4] = "";
    size_t n = 0;
    ok(file_open(in_folder("a"), FILE_CREATE, &f));
    ok(file_write(f, "abc", 3, 0));
    ok(file_allocate(f, 100000));
    assert_int_equal(size_of(f), 100000);
    ok(file_allocate(f, 10));
    ok(file_allocate(f, 0));
    assert_int_equal(size_of(f), 100000);
    ok(file_read(f, got, 3, 0, &n));
    assert_string_equal(got, "abc");
}

static void a_map_shows_the_whole_file(void **state) {
    (void)state;
    AUTO_CLOSE struct file *f = NULL;
    struct str map = STR("?");
    ok(file_open(in_folder("a"), FILE_CREATE, &f));
    ok(file_map(f, &map));
    assert_null(map.p);
    assert_int_equal(map.n, 0);
    file_unmap(f, map);
    ok(file_write(f, "mapped", 6, 0));
    ok(file_map(f, &map));
    assert_int_equal(map.n, 6);
    assert_memory_equal(map.p, "mapped", 6);
    ok(path_remove(in_folder("a")));
    assert_memory_equal(map.p, "mapped", 6);
    file_unmap(f, map);
}

static void syncing_a_good_file_succeeds(void **state) {
    (void)state;
    AUTO_CLOSE struct file *f = NULL;
    ok(file_open(in_folder("a"), FILE_CREATE, &f));
    ok(file_write(f, "x", 1, 0));
    ok(file_sync(f));
    ok(file_sync(f));
}

static void a_lock_is_exclusive_until_closed(void **state) {
    (void)state;
    struct file *first = NULL, *second = NULL;
    ok(file_open(in_folder("lock"), FILE_CREATE_ANY, &first));
    ok(file_open(in_folder("lock"), FILE_CREATE_ANY, &second));
    ok(file_lock(first));
    ok(file_lock(first));
    fails(file_lock(second), ERR_CONFLICT);
    file_close(first);
    ok(file_lock(second));
    file_close(second);
}

/* Random writes, resizes and reads against an array. */
static void compare_with_array(uint64_t seed) {
    enum { SIZE_MAX_BYTES = 20000 };
    static unsigned char model[SIZE_MAX_BYTES], got[SIZE_MAX_BYTES], bytes[4096];
    size_t size = 0, n = 0;
    AUTO_CLOSE struct file *f = NULL;
    ok(file_open(in_folder("model"), FILE_CREATE_ANY, &f));
    for (int step = 0; step < 60; step++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t at = (seed >> 33) % (SIZE_MAX_BYTES - sizeof bytes), length = (seed >> 20) % sizeof bytes;
        if (seed >> 61 == 0) {
            ok(file_resize(f, at));
            if (at < size) memset(model + at, 0, size - at);
            size = at;
        } else {
            memset(bytes, (int)(seed >> 8), length);
            ok(file_write(f, bytes, length, at));
            if (length > 0) memcpy(model + at, bytes, length);
            if (length > 0) size = MAX(size, at + length);
        }
        assert_int_equal(size_of(f), size);
    }
    ok(file_read(f, got, sizeof got, 0, &n));
    assert_int_equal(n, size);
    assert_memory_equal(got, model, size);
    memset(model, 0, sizeof model);
}

static void random_writes_match_an_array(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) compare_with_array(seed);
}

/* ---- folders ---------------------------------------------------------------------------------------------------- */

static void renaming_replaces(void **state) {
    (void)state;
    put("a", "new");
    put("b", "old");
    AUTO_CLOSE struct file *open_file = NULL;
    ok(file_open(in_folder("b"), FILE_READ, &open_file));
    ok(path_rename(in_folder("a"), in_folder("b")));
    assert_false(path_exists(in_folder("a")));
    holds("b", "new");
    assert_int_equal(size_of(open_file), 3); /* the replaced file lives while it is open */
    fails(path_rename(in_folder("a"), in_folder("c")), ERR_NOT_FOUND);
}

static void renaming_a_folder_takes_its_files_along(void **state) {
    (void)state;
    ok(path_make_dir(in_folder("old")));
    put("old/a", "inside");
    ok(path_rename(in_folder("old"), in_folder("new")));
    holds("new/a", "inside");
    assert_false(path_exists(in_folder("old/a")));
    ok(path_remove(in_folder("new/a")));
}

static void a_link_shares_the_file(void **state) {
    (void)state;
    put("a", "one");
    put("taken", "x");
    ok(path_link(in_folder("a"), in_folder("b")));
    AUTO_CLOSE struct file *f = NULL;
    ok(file_open(in_folder("b"), FILE_WRITE, &f));
    ok(file_write(f, "two", 3, 0));
    holds("a", "two");
    ok(path_remove(in_folder("a")));
    holds("b", "two");
    fails(path_link(in_folder("b"), in_folder("taken")), ERR_CONFLICT);
    fails(path_link(in_folder("a"), in_folder("c")), ERR_NOT_FOUND);
}

static void removing_what_is_not_there_is_an_error(void **state) {
    (void)state;
    fails(path_remove(in_folder("absent")), ERR_NOT_FOUND);
    fails(path_remove_dir(in_folder("absent")), ERR_NOT_FOUND);
    fails(path_sync_dir(in_folder("absent")), ERR_NOT_FOUND);
    ok(path_make_dir(in_folder("sub")));
    fails(path_remove(in_folder("sub")), ERR_IO);
}

static void a_removed_file_lives_while_it_is_open(void **state) {
    (void)state;
    put("a", "still");
    AUTO_CLOSE struct file *f = NULL;
    char got[8] = "";
    size_t n = 0;
    ok(file_open(in_folder("a"), FILE_READ, &f));
    ok(path_remove(in_folder("a")));
    assert_false(path_exists(in_folder("a")));
    ok(file_read(f, got, 5, 0, &n));
    assert_string_equal(got, "still");
}

static void folders_are_made_once_and_removed_empty(void **state) {
    (void)state;
    ok(path_make_dir(in_folder("sub")));
    ok(path_make_dir(in_folder("sub")));
    put("sub/a", "x");
    fails(path_remove_dir(in_folder("sub")), ERR_IO);
    fails(path_make_dir(in_folder("sub/a")), ERR_CONFLICT);
    fails(path_make_dir(in_folder("absent/sub")), ERR_NOT_FOUND);
    ok(path_sync_dir(in_folder("sub")));
    ok(path_remove(in_folder("sub/a")));
    ok(path_remove_dir(in_folder("sub")));
    assert_false(path_exists(in_folder("sub")));
}

static err note(void *context, const char *name, bool is_dir) {
    struct buf *b = context;
    buf_add_fmt(b, "%s%s ", name, is_dir ? "/" : "");
    return strcmp(name, "stop") == 0 ? err_new(ERR_CANCELLED, "enough") : NULL;
}

static void lists(const char *name, const char *want, bool stops) {
    AUTO_BUF struct buf b;
    buf_init(&b, KIB);
    buf_add_text(&b, "");
    err e = path_list(in_folder(name), note, &b);
    if (stops)
        fails(e, ERR_CANCELLED);
    else
        ok(e);
    assert_string_equal(b.p, want);
}

static void listing_is_in_name_order(void **state) {
    (void)state;
    lists(".", "", false);
    put("b", "");
    put("a10", "");
    put("a", "");
    ok(path_make_dir(in_folder("c")));
    put("c/inner", "");
    lists(".", "a a10 b c/ ", false);
    lists("c", "inner ", false);
    put("stop", "");
    put("unseen", "");
    lists(".", "a a10 b c/ stop ", true);
    fails(path_list(in_folder("absent"), note, NULL), ERR_NOT_FOUND);
    ok(path_remove(in_folder("c/inner")));
}

static void the_disk_has_space(void **state) {
    (void)state;
    uint64_t total = 0, free_bytes = 0;
    ok(path_space(folder, &total, &free_bytes));
    assert_true(total >= free_bytes);
    assert_true(free_bytes > 0);
    fails(path_space(in_folder("absent"), &total, &free_bytes), ERR_NOT_FOUND);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(modes_make_and_refuse),
        CASE(the_error_names_the_path),
        CASE(a_file_opened_for_reading_cannot_be_written),
        CASE(closing_nothing_is_allowed),
        CASE(reads_stop_at_the_end),
        CASE(a_hole_reads_as_zeros),
        CASE(pieces_are_written_one_after_another),
        CASE(resizing_cuts_and_fills_with_zeros),
        CASE(allocating_keeps_the_bytes_and_never_shrinks),
        CASE(a_map_shows_the_whole_file),
        CASE(syncing_a_good_file_succeeds),
        CASE(a_lock_is_exclusive_until_closed),
        CASE(random_writes_match_an_array),
        CASE(renaming_replaces),
        CASE(renaming_a_folder_takes_its_files_along),
        CASE(a_link_shares_the_file),
        CASE(removing_what_is_not_there_is_an_error),
        CASE(a_removed_file_lives_while_it_is_open),
        CASE(folders_are_made_once_and_removed_empty),
        CASE(listing_is_in_name_order),
        CASE(the_disk_has_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
