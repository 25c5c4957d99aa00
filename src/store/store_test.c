/* The engine on the real disk with its real threads: the door's promises one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/budget.h"
#include "base/hash.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/thread.h"
#include "signal/batch_build.h"
#include "store/journal/store_format_priv.h"
#include "store/store.h"

/* ---- a folder that goes away ------------------------------------------------------------------------------------ */

static char test_dir[64];

static err remove_entry(void *context, const char *name, bool is_dir);

static void remove_tree(const char *path) {
    err_free(path_list(path, remove_entry, (void *)(uintptr_t)path));
    err_free(path_remove_dir(path));
}

static err remove_entry(void *context, const char *name, bool is_dir) {
    struct path path = path_make("%.3000s/%.255s", (const char *)context, name);
    if (is_dir)
        remove_tree(path.text);
    else
        err_free(path_remove(path.text));
    return NULL;
}

static int make_test_dir(void **state) {
    (void)state;
    snprintf(test_dir, sizeof test_dir, "store_test.%016llx", (unsigned long long)random_u64());
    return 0;
}

static int remove_test_dir(void **state) {
    (void)state;
    remove_tree(test_dir);
    return 0;
}

/* ---- a store and what it answers -------------------------------------------------------------------------------- */

static struct budget budget;

static struct store_options options(void) {
    struct store_options o;
    store_options_default(&o);
    budget_init(&budget, 256 * MIB);
    o.dir = test_dir;
    o.budget = &budget;
    o.retention_ns = 0;
    o.disk_use_max_percent = 100;
    o.disk_free_min_percent = 0;
    o.segment_bytes = MIB;
    return o;
}

static struct store *open_store(const struct store_options *o) {
    struct store *s;
    err e = store_open(o, &s);
    if (e) fail_msg("open: %s", err_text(e));
    return s;
}

struct waiting {
    struct lock lock;
    struct signal_flag flag;
    int left;
    int refused;
};

static void answered(void *context, err e) {
    struct waiting *w = context;
    lock_take(&w->lock);
    w->refused += e != NULL;
    w->left--;
    flag_wake_all(&w->flag);
    lock_give(&w->lock);
    err_free(e);
}

/* One row at a time, or as many as given, on a day. */
static struct batch_blob *rows_of_day(int64_t time, uint32_t rows) {
    struct batch_builder b;
    batch_builder_init(&b, SIGNAL_SPANS);
    for (uint32_t i = 0; i < rows; i++) {
        uint64_t id = random_u64();
        batch_builder_row(&b, SET_ROWS);
        if (i == 0) batch_builder_row(&b, SET_RESOURCES);
        if (i == 0) batch_builder_row(&b, SET_SCOPES);
        batch_builder_set_u64(&b, SET_ROWS, FIELD_TIME, i, (uint64_t)(time + i));
        batch_builder_set_u64(&b, SET_ROWS, FIELD_SPAN_ID, i, id);
        batch_builder_set_id16(&b, SET_ROWS, FIELD_TRACE_ID, i, (uint64_t[2]){id, id});
    }
    struct batch_blob *blob = batch_builder_finish(&b);
    batch_builder_done(&b);
    return blob;
}

/* Sends and waits; returns the error of the append itself. */
static err send(struct store *s, const char *tenant, struct batch_blob *blob) {
    struct waiting w = {.left = 1};
    lock_init(&w.lock);
    flag_init(&w.flag);
    err e = store_append(s, str_of(tenant), blob, answered, &w);
    lock_take(&w.lock);
    while (!e && w.left) flag_wait(&w.flag, &w.lock);
    lock_give(&w.lock);
    assert_int_equal(w.refused, 0);
    flag_done(&w.flag);
    lock_done(&w.lock);
    return e;
}

static void assert_fails(err e, enum err_kind kind) {
    assert_non_null(e);
    if (err_kind(e) != kind) fail_msg("wrong kind: %s", err_text(e));
    err_free(e);
}

static enum scan_next count_chunk(void *context, const struct chunk *c) {
    *(uint64_t *)context += c->n;
    return SCAN_GO_ON;
}

static uint64_t count(struct store *s, const char *tenant) {
    struct scan_request r = {.time_min = INT64_MIN, .time_max = INT64_MAX, .count_only = true};
    struct scan_stats stats = {0};
    struct snapshot *sn;
    AUTO_ARENA struct arena a;
    uint64_t n = 0;
    arena_init(&a, 16 * MIB);
    assert_null(store_snapshot(s, str_of(tenant), SIGNAL_SPANS, &sn));
    assert_null(snapshot_scan(sn, &r, &a, count_chunk, &n, &stats));
    snapshot_free(sn);
    return n;
}

/* ---- tests ------------------------------------------------------------------------------------------------------ */

static void test_rows_are_there_after_each_life(void **state) {
    (void)state;
    struct store_options o = options();
    for (uint64_t life = 0; life < 4; life++) {
        struct store *s = open_store(&o);
        assert_int_equal(count(s, "default"), life * 30);
        for (int i = 0; i < 3; i++) assert_null(send(s, "default", rows_of_day(clock_wall_ns(), 10)));
        assert_int_equal(count(s, "default"), life * 30 + 30);
        if (life % 2)
            store_abandon(s);
        else
            assert_null(store_close(s));
    }
    assert_int_equal(budget_used(&budget), 0);
}

static void test_tenants_do_not_see_each_other(void **state) {
    (void)state;
    struct store_options o = options();
    struct store *s = open_store(&o);
    assert_null(send(s, "a", rows_of_day(clock_wall_ns(), 5)));
    assert_null(send(s, "b", rows_of_day(clock_wall_ns(), 7)));
    assert_null(store_flush(s));
    assert_null(send(s, "b", rows_of_day(clock_wall_ns(), 1)));
    assert_int_equal(count(s, "a"), 5);
    assert_int_equal(count(s, "b"), 8);
    assert_int_equal(count(s, "c"), 0);
    assert_null(store_close(s));
}

static void test_bad_appends_are_refused_at_once(void **state) {
    (void)state;
    struct store_options o = options();
    struct store *s = open_store(&o);
    const char *names[] = {"", ".hidden", "..", "a/b", "a b", "ä"};
    for (size_t i = 0; i < LENGTH(names); i++)
        assert_fails(store_append(s, str_of(names[i]), rows_of_day(1, 1), answered, NULL), ERR_INVALID);
    assert_fails(store_append(s, STR("default"), rows_of_day(1, 0), answered, NULL), ERR_INVALID);
    assert_null(store_close(s));
    assert_int_equal(budget_used(&budget), 0);
}

static void test_a_second_store_on_the_folder_is_refused(void **state) {
    (void)state;
    struct store_options o = options();
    struct store *s = open_store(&o), *second;
    err e = store_open(&o, &second);
    assert_true(e && str_contains(str_of(err_text(e)), STR("in use by another clew process")));
    assert_fails(e, ERR_CONFLICT);
    AUTO_BUF struct buf out;
    uint64_t bad;
    buf_init(&out, MIB);
    assert_fails(store_check(test_dir, &out, &bad), ERR_CONFLICT);
    assert_null(store_close(s));
    assert_null(store_check(test_dir, &out, &bad));
    assert_int_equal(bad, 0);
}

static void write_newer_head(const char *name, const char magic[8]) {
    struct path path = path_make("%s/%s", test_dir, name);
    struct format_head head;
    struct file *f;
    assert_null(file_open(path.text, FILE_WRITE, &f));
    format_head_make(&head, magic, (uint64_t[4]){1, 1, 1, 1});
    head.version = FORMAT_VERSION + 1;
    head.check = hash_bytes(&head, offsetof(struct format_head, check));
    assert_null(file_write(f, &head, sizeof head, 0));
    file_close(f);
}

static void test_a_newer_folder_is_refused(void **state) {
    (void)state;
    const struct {
        const char *name, *magic;
    } files[] = {
        {"manifest", format_magic_manifest}, {"LOCK", format_magic_lock}, {"log/00000001.log", format_magic_log}};
    for (size_t i = 0; i < LENGTH(files); i++) {
        struct store_options o = options();
        struct store *s = open_store(&o);
        assert_null(send(s, "default", rows_of_day(1, 1)));
        store_abandon(s);
        write_newer_head(files[i].name, files[i].magic);
        err e = store_open(&o, &s);
        assert_true(e && str_contains(str_of(err_text(e)), STR("use the newer clew that wrote it")));
        assert_fails(e, ERR_INVALID);
        remove_tree(test_dir);
    }
}

static void test_a_lost_manifest_is_no_empty_store(void **state) {
    (void)state;
    struct store_options o = options();
    struct store *s = open_store(&o);
    struct path manifest = path_make("%s/manifest", test_dir);
    assert_null(send(s, "default", rows_of_day(1, 1)));
    assert_null(store_close(s));
    assert_null(path_remove(manifest.text));
    assert_fails(store_open(&o, &s), ERR_CORRUPT);
}

static void test_over_the_budget_is_busy(void **state) {
    (void)state;
    struct store_options o = options();
    struct store *s;
    budget_init(&budget, MIB);
    o.flush_bytes = 256 * MIB;
    o.manual = true;
    s = open_store(&o);
    err e = NULL;
    int sent = 0;
    struct waiting w = {0};
    lock_init(&w.lock);
    flag_init(&w.flag);
    for (; !e && sent < 10000; sent++) {
        w.left++;
        e = store_append(s, STR("default"), rows_of_day(clock_wall_ns(), 100), answered, &w);
        store_pump(s, 0);
    }
    assert_fails(e, ERR_BUSY);
    assert_true(sent > 10);
    assert_true(store_pump(s, 1)); /* parts take it over */
    assert_null(store_append(s, STR("default"), rows_of_day(clock_wall_ns(), 100), answered, &w));
    assert_null(store_close(s));
    assert_int_equal(w.refused, 0);
    assert_int_equal(w.left, 0);
    assert_int_equal(budget_used(&budget), 0);
    lock_done(&w.lock);
    flag_done(&w.flag);
}

/* (10): too many days in one request are its fault; too many in memory pass. */
static void test_days_are_limited(void **state) {
    (void)state;
    struct store_options o = options();
    struct store *s;
    struct batch_builder b;
    o.manual = true;
    s = open_store(&o);
    struct waiting w = {.left = 1000};
    lock_init(&w.lock);
    flag_init(&w.flag);
    batch_builder_init(&b, SIGNAL_SPANS);
    batch_builder_row(&b, SET_RESOURCES);
    batch_builder_row(&b, SET_SCOPES);
    for (uint32_t i = 0; i < 70; i++) {
        batch_builder_row(&b, SET_ROWS);
        batch_builder_set_u64(&b, SET_ROWS, FIELD_TIME, i, i * (uint64_t)day_ns);
    }
    assert_fails(store_append(s, STR("default"), batch_builder_finish(&b), answered, &w), ERR_LIMIT);
    batch_builder_done(&b);
    for (int i = 0; i < 64; i++) assert_null(store_append(s, STR("default"), rows_of_day(i * day_ns, 1), answered, &w));
    assert_fails(store_append(s, STR("default"), rows_of_day(64 * day_ns, 1), answered, &w), ERR_BUSY);
    assert_null(store_append(s, STR("default"), rows_of_day(3 * day_ns, 1), answered, &w));
    store_pump(s, 0);
    assert_true(store_pump(s, 1));
    assert_null(store_append(s, STR("default"), rows_of_day(64 * day_ns, 1), answered, &w));
    assert_null(store_close(s));
    s = open_store(&o);
    struct store_stats stats;
    store_get_stats(s, &stats);
    assert_int_equal(stats.parts, 65); /* a part a day */
    assert_int_equal(count(s, "default"), 66);
    assert_null(store_close(s));
    lock_done(&w.lock);
    flag_done(&w.flag);
}

static int64_t fake_now_ns;
static int64_t fake_wall(void) { return fake_now_ns; }

static void test_old_rows_are_not_shown_and_old_parts_go(void **state) {
    (void)state;
    struct store_options o = options();
    struct store_stats stats;
    int64_t from, to, start = 20000 * day_ns;
    o.manual = true;
    o.retention_ns = 10 * day_ns;
    o.wall_ns = fake_wall;
    fake_now_ns = start;
    struct store *s = open_store(&o);
    store_time_limits(s, &from, &to);
    assert_true(from == start - 10 * day_ns && to == start + day_ns);
    struct waiting w = {.left = 1000};
    lock_init(&w.lock);
    flag_init(&w.flag);
    for (int i = 0; i < 9; i++)
        assert_null(store_append(s, STR("default"), rows_of_day(start - i * day_ns, 1), answered, &w));
    store_pump(s, 0);
    assert_int_equal(count(s, "default"), 9);
    fake_now_ns = start + 4 * day_ns;
    assert_int_equal(count(s, "default"), 7); /* still in memory */
    assert_null(store_flush(s));
    assert_int_equal(count(s, "default"), 7);
    assert_true(store_pump(s, 3));
    store_get_stats(s, &stats);
    assert_int_equal(stats.parts, 7);
    assert_int_equal(stats.parts_dropped, 2);
    assert_null(store_close(s));
    lock_done(&w.lock);
    flag_done(&w.flag);
}

static void test_every_file_can_be_dumped(void **state) {
    (void)state;
    struct store_options o = options();
    struct store *s = open_store(&o);
    AUTO_BUF struct buf out;
    buf_init(&out, MIB);
    assert_null(send(s, "default", rows_of_day(20000 * day_ns, 3)));
    assert_null(store_flush(s));
    assert_null(send(s, "default", rows_of_day(20000 * day_ns, 3)));
    store_abandon(s);
    struct path part = path_part(test_dir, "default", SIGNAL_SPANS, 20000, 1);
    struct path lock = path_make("%s/LOCK", test_dir), manifest = path_make("%s/manifest", test_dir);
    const char *log_name = path_exists(path_make("%s/log/00000002.log", test_dir).text) ? "00000002" : "00000001";
    struct path log = path_make("%s/log/%s.log", test_dir, log_name);
    assert_null(store_dump(lock.text, 10, &out));
    assert_null(store_dump(manifest.text, 10, &out));
    assert_null(store_dump(log.text, 10, &out));
    assert_null(store_dump(part.text, 10, &out));
    assert_true(str_contains(buf_str(&out), STR("add tenants/default/spans/20241004-0000000001.part: 3 rows")));
    assert_true(str_contains(buf_str(&out), STR("default/spans")));
    assert_true(str_contains(buf_str(&out), STR("resourceSpans")));
    assert_fails(store_dump("no such file", 1, &out), ERR_NOT_FOUND);
}

static void test_many_small_parts_become_few(void **state) {
    (void)state;
    struct store_options o = options();
    struct store_stats stats;
    o.manual = true;
    struct store *s = open_store(&o);
    struct waiting w = {.left = 1000};
    lock_init(&w.lock);
    flag_init(&w.flag);
    for (int i = 0; i < 64; i++) {
        assert_null(store_append(s, STR("default"), rows_of_day(20000 * day_ns, 50), answered, &w));
        store_pump(s, 0);
        assert_true(store_pump(s, 1));
    }
    assert_null(store_merge_all(s));
    store_get_stats(s, &stats);
    assert_true(stats.parts <= 6);
    assert_int_equal(count(s, "default"), 64 * 50);
    assert_null(store_close(s));
    lock_done(&w.lock);
    flag_done(&w.flag);
}

static void test_a_snapshot_stays_as_it_is(void **state) {
    (void)state;
    struct store_options o = options();
    struct store *s = open_store(&o);
    struct snapshot *sn;
    struct scan_request r = {.time_min = INT64_MIN, .time_max = INT64_MAX, .count_only = true};
    struct scan_stats stats = {0};
    AUTO_ARENA struct arena a;
    uint64_t n = 0, id;
    arena_init(&a, MIB);
    for (int i = 0; i < 5; i++) {
        assert_null(send(s, "default", rows_of_day(20000 * day_ns, 4)));
        if (i % 2) assert_null(store_flush(s));
    }
    assert_null(store_snapshot(s, STR("default"), SIGNAL_SPANS, &sn));
    assert_null(send(s, "default", rows_of_day(20000 * day_ns, 4)));
    struct delete_request all = {.signals = {true}, .time_min = INT64_MIN, .time_max = INT64_MAX};
    assert_null(store_delete(s, STR("default"), &all, &id));
    assert_int_equal(count(s, "default"), 0);
    assert_null(store_rewrite_now(s));
    assert_true(store_delete_is_done(s, id));
    assert_null(snapshot_scan(sn, &r, &a, count_chunk, &n, &stats));
    assert_int_equal(n, 20);
    snapshot_free(sn);
    assert_null(send(s, "default", rows_of_day(20000 * day_ns, 4)));
    assert_int_equal(count(s, "default"), 4); /* what comes later is not deleted */
    assert_null(store_close(s));
}

static bool says_yes(const void *context) { return context == NULL; }

static void test_scans_stop_when_told(void **state) {
    (void)state;
    struct store_options o = options();
    struct store *s = open_store(&o);
    struct snapshot *sn;
    struct scan_request r = {.time_min = INT64_MIN, .time_max = INT64_MAX, .is_cancelled = says_yes};
    struct scan_stats stats = {0};
    AUTO_ARENA struct arena a;
    uint64_t n = 0;
    arena_init(&a, MIB);
    assert_null(send(s, "default", rows_of_day(1, 4)));
    assert_null(store_snapshot(s, STR("default"), SIGNAL_SPANS, &sn));
    assert_fails(snapshot_scan(sn, &r, &a, count_chunk, &n, &stats), ERR_CANCELLED);
    r.is_cancelled = NULL;
    r.deadline_ns = 1;
    assert_fails(snapshot_scan(sn, &r, &a, count_chunk, &n, &stats), ERR_CANCELLED);
    snapshot_free(sn);
    assert_null(store_close(s));
}

static uint64_t count_after_restore(const char *copy, const char *again, const char *tenant) {
    struct store_options o = options();
    o.dir = again;
    assert_null(store_restore(copy, again));
    struct store *s = open_store(&o);
    uint64_t n = count(s, tenant);
    assert_null(store_close(s));
    return n;
}

static void test_one_tenant_is_backed_up_alone(void **state) {
    (void)state;
    struct store_options o = options();
    struct store *s = open_store(&o);
    char copy[100], again[100];
    snprintf(copy, sizeof copy, "%s/copy", test_dir);
    snprintf(again, sizeof again, "%s/again", test_dir);
    assert_null(send(s, "a", rows_of_day(20000 * day_ns, 4)));
    assert_null(send(s, "b", rows_of_day(20000 * day_ns, 3)));
    assert_null(store_flush_tenant(s, STR("b")));
    struct store_stats stats;
    store_get_stats(s, &stats);
    assert_int_equal(stats.part_rows[SIGNAL_SPANS], 3); /* of b alone */
    assert_int_equal(stats.memory_rows[SIGNAL_SPANS], 4);
    assert_null(send(s, "b", rows_of_day(20000 * day_ns, 2)));
    assert_null(store_backup_tenant(s, STR("b"), copy));
    assert_null(store_close(s));
    assert_int_equal(count_after_restore(copy, again, "b"), 5);
    remove_tree(again);
    assert_int_equal(count_after_restore(copy, again, "a"), 0);
}

/* ---- what stands beside the telemetry --------------------------------------------------------------------------- */

static void put_file(const char *dir, const char *name, const char *text) {
    char path[200];
    struct file *f;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_null(file_open(path, FILE_CREATE_ANY, &f));
    assert_null(file_write(f, text, strlen(text), 0));
    file_close(f);
}

static bool has_file(const char *dir, const char *name, const char *text) {
    char path[200];
    AUTO_BUF struct buf found = {0};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (!path_exists(path)) return false;
    if (!text) return true;
    assert_null(file_read_all(path, KIB, &found));
    return str_equal(buf_str(&found), str_of(text));
}

static bool refuse_beside;

static err copy_beside(void *context, struct str tenant, const char *to) {
    (void)context;
    if (refuse_beside) return err_new(ERR_CANCELLED, "no records");
    AUTO_FREE char *text = str_dup(tenant.p ? tenant : STR("all"));
    put_file(to, STORE_RECORDS_FILE, text);
    return NULL;
}

static void test_what_others_keep_is_backed_up(void **state) {
    (void)state;
    struct store_options o = options();
    o.beside.copy = copy_beside;
    struct store *s = open_store(&o);
    char folder[100], copy[100], alone[100], again[100];
    snprintf(folder, sizeof folder, "%s/searches", o.dir);
    snprintf(copy, sizeof copy, "%s/copy", test_dir);
    snprintf(alone, sizeof alone, "%s/alone", test_dir);
    snprintf(again, sizeof again, "%s/again", test_dir);
    assert_null(path_make_dir(folder));
    put_file(folder, "a.json", "of a");
    put_file(folder, "b.json", "of b");
    put_file(folder, "b.json.new", "half");
    put_file(folder, ".hidden.json", "no tenant's");
    refuse_beside = true;
    assert_fails(store_backup(s, copy), ERR_CANCELLED);
    assert_false(has_file(copy, "manifest", NULL)); /* a copy without is none */
    refuse_beside = false;
    assert_null(store_backup(s, copy));
    assert_null(store_backup_tenant(s, STR("b"), alone));
    assert_null(store_close(s));
    assert_true(has_file(copy, "searches/a.json", "of a") && has_file(copy, "searches/b.json", "of b"));
    assert_false(has_file(copy, "searches/b.json.new", NULL) || has_file(copy, "searches/.hidden.json", NULL));
    assert_true(has_file(alone, "searches/b.json", "of b"));
    assert_false(has_file(alone, "searches/a.json", NULL));
    assert_null(store_restore(copy, again));
    assert_true(has_file(copy, STORE_RECORDS_FILE, "all") && has_file(again, STORE_RECORDS_FILE, "all"));
    assert_true(has_file(alone, STORE_RECORDS_FILE, "b"));
    assert_true(has_file(again, "searches/a.json", "of a") && has_file(again, "searches/b.json", "of b"));
}

#define on_disk(test) cmocka_unit_test_setup_teardown(test, make_test_dir, remove_test_dir)

struct backing {
    struct store *s;
    char to[80];
    err e;
};

static void back_up(void *context) {
    struct backing *b = context;
    b->e = store_backup(b->s, b->to);
}

/* The manifest of a copy is written last: one that is not there yet says that the backup goes on. */
static bool flushes_meanwhile(struct store *s, struct backing *b) {
    struct thread *thread;
    struct path log = path_make("%.70s/log", b->to), manifest = path_make("%.70s/manifest", b->to);
    assert_null(send(s, "default", rows_of_day(clock_wall_ns(), 10)));
    assert_null(thread_start(&thread, "backup", 0, back_up, b));
    while (!path_exists(log.text)) {}
    assert_null(store_flush(s));
    bool meanwhile = !path_exists(manifest.text);
    thread_join(thread);
    assert_null(b->e);
    remove_tree(b->to);
    return meanwhile;
}

/* To another file system a backup copies; flushes do not wait for it. */
static void test_a_backup_holds_no_flush(void **state) {
    (void)state;
    struct store_options o = options();
    struct store *s = open_store(&o);
    struct backing b = {.s = s};
    snprintf(b.to, sizeof b.to, "/dev/shm/%s", test_dir);
    for (int i = 0; i < 40; i++) {
        assert_null(send(s, "default", rows_of_day(clock_wall_ns(), 10000)));
        assert_null(store_flush(s));
    }
    bool meanwhile = false;
    for (int i = 0; i < 20 && !meanwhile; i++) meanwhile = flushes_meanwhile(s, &b);
    assert_true(meanwhile);
    assert_null(store_close(s));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        on_disk(test_rows_are_there_after_each_life),
        on_disk(test_tenants_do_not_see_each_other),
        on_disk(test_bad_appends_are_refused_at_once),
        on_disk(test_a_second_store_on_the_folder_is_refused),
        on_disk(test_a_newer_folder_is_refused),
        on_disk(test_a_lost_manifest_is_no_empty_store),
        on_disk(test_over_the_budget_is_busy),
        on_disk(test_days_are_limited),
        on_disk(test_old_rows_are_not_shown_and_old_parts_go),
        on_disk(test_every_file_can_be_dumped),
        on_disk(test_many_small_parts_become_few),
        on_disk(test_a_snapshot_stays_as_it_is),
        on_disk(test_scans_stop_when_told),
        on_disk(test_what_others_keep_is_backed_up),
        on_disk(test_a_backup_holds_no_flush),
        on_disk(test_one_tenant_is_backed_up_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
