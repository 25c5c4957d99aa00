/* Entities: upserts, pages, filters, limits, tenants. */
#include "catalog/entities.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "os/file.h"

static char dir[64];
static struct db *db;
static struct catalog *c;
static struct arena a;
static int64_t now;
static int64_t wall(void) { return now; }
#define T STR("t")

static int begin(void **state) {
    char path[128];
    (void)state;
    now = 1000;
    arena_init(&a, 128 * MIB);
    snprintf(dir, sizeof dir, "/tmp/clew-entities-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    snprintf(path, sizeof path, "%s/records.db", dir);
    assert_null(db_open(&(struct db_options){.path = path, .wall_ns = wall}, &db));
    assert_null(catalog_new(db, wall, &c));
    return 0;
}

static err remove_entry(void *context, const char *name, bool is_dir) {
    char path[400];
    (void)context, (void)is_dir;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path_remove(path);
}

static int end(void **state) {
    (void)state;
    catalog_free(c);
    db_close(db);
    arena_done(&a);
    err_free(path_list(dir, remove_entry, NULL));
    err_free(path_remove_dir(dir));
    return 0;
}

static void fails(err e, enum err_kind kind, const char *part) {
    if (!e || err_kind(e) != kind || !strstr(err_text(e), part)) fail_msg("%s: not %s", err_text(e), part);
    err_free(e);
}

static struct entity change(const char *key, int64_t start, const char *service) {
    return (struct entity){.key = str_of(key),
                           .class = STR("deployment"),
                           .service = str_of(service),
                           .environment = STR("prod"),
                           .state = STR(""),
                           .severity = STR(""),
                           .title = STR("t"),
                           .url = STR(""),
                           .author = STR(""),
                           .extra = STR("{}"),
                           .start = start};
}

static void put_change(struct str tenant, struct entity e) {
    assert_null(entity_put(c, tenant, ENTITY_CHANGE, &e, &a, NULL, NULL));
}

/* Keys of all pages, of `limit` rows each. */
static void assert_lists(struct entity_filter f, uint32_t limit, const char *wanted) {
    AUTO_BUF struct buf all;
    struct entity_list list = {0};
    buf_init(&all, 64 * KIB);
    buf_add_text(&all, "");
    f.limit = limit;
    if (!f.start_max) f.start_max = INT64_MAX;
    do {
        f.after = list.next;
        assert_null(entity_find(c, T, ENTITY_CHANGE, &f, &a, &list));
        assert_true(list.n <= limit);
        for (size_t i = 0; i < list.n; i++) buf_add_fmt(&all, STR_FMT " ", STR_ARG(list.v[i].key));
    } while (list.next.n);
    assert_string_equal(all.p ? all.p : "", wanted);
}

static void a_put_is_an_upsert(void **state) {
    (void)state;
    struct entity e = change("x", 5, "web"), out, got;
    bool is_new;
    assert_null(entity_put(c, T, ENTITY_CHANGE, &e, &a, &out, &is_new));
    assert_true(is_new && out.first_seen == 1000 && out.last_seen == 1000);
    now = 2000;
    e.title = STR("another");
    assert_null(entity_put(c, T, ENTITY_CHANGE, &e, &a, &out, &is_new));
    assert_true(!is_new && out.first_seen == 1000 && out.last_seen == 2000);
    assert_null(entity_get(c, T, ENTITY_CHANGE, STR("x"), &a, &got));
    assert_true(str_equal(got.title, STR("another")) && got.first_seen == 1000 && got.last_seen == 2000);
    assert_true(str_equal(got.extra, STR("{}")) && got.start == 5 && got.end == 0);
    fails(entity_get(c, T, ENTITY_FINDING, STR("x"), &a, &got), ERR_NOT_FOUND, "no finding");
    fails(entity_get(c, STR("u"), ENTITY_CHANGE, STR("x"), &a, &got), ERR_NOT_FOUND, "no change");
    fails(entity_delete(c, STR("u"), ENTITY_CHANGE, STR("x")), ERR_NOT_FOUND, "no change");
    assert_null(entity_delete(c, T, ENTITY_CHANGE, STR("x")));
    fails(entity_delete(c, T, ENTITY_CHANGE, STR("x")), ERR_NOT_FOUND, "no change");
}

static void lists_have_pages_and_filters(void **state) {
    (void)state;
    put_change(T, change("b", 10, "web"));
    put_change(T, change("a", 10, "cart"));
    put_change(T, change("c", 30, "web"));
    put_change(T, change("d", -5, "pay"));
    put_change(STR("u"), change("e", 20, "web"));
    struct entity f = change("f", 20, "web");
    f.class = STR("flag");
    f.environment = STR("test");
    put_change(T, f);
    for (uint32_t limit = 1; limit < 7; limit++)
        assert_lists((struct entity_filter){.start_min = INT64_MIN}, limit, "c f b a d ");
    assert_lists((struct entity_filter){.service = STR("web")}, 2, "c f b ");
    assert_lists((struct entity_filter){.class = STR("flag")}, 2, "f ");
    assert_lists((struct entity_filter){.environment = STR("prod"), .service = STR("web")}, 1, "c b ");
    assert_lists((struct entity_filter){.start_min = 10, .start_max = 20}, 2, "f b a ");
    assert_lists((struct entity_filter){.state = STR("open")}, 2, "");
    struct entity_list list;
    static const char *const bad[] = {"x", "x:y", "5", "5:", ":a", "99999999999999999999:a", "5:\x01"};
    for (size_t i = 0; i < LENGTH(bad); i++)
        fails(entity_find(c, T, ENTITY_CHANGE, &(struct entity_filter){.limit = 1, .after = str_of(bad[i])}, &a, &list),
              ERR_INVALID, "cursor");
}

static void what_was_seen_keeps_what_was_said(void **state) {
    (void)state;
    const struct entity_sight seen[] = {{STR("prod"), STR(""), STR("")}, {STR("test"), STR(""), STR("")}};
    struct entity e = {.key = STR("prod"), .author = STR("ops")}, got;
    size_t over;
    assert_null(entity_put(c, T, ENTITY_ENVIRONMENT, &e, &a, NULL, NULL));
    now = 5000;
    assert_null(entity_seen(c, T, ENTITY_ENVIRONMENT, seen, 2, &over));
    assert_int_equal(over, 0);
    assert_null(entity_get(c, T, ENTITY_ENVIRONMENT, STR("prod"), &a, &got));
    assert_true(str_equal(got.author, STR("ops")) && got.first_seen == 1000 && got.last_seen == 5000);
    assert_null(entity_get(c, T, ENTITY_ENVIRONMENT, STR("test"), &a, &got));
    assert_true(got.author.n == 0 && got.first_seen == 5000 && got.last_seen == 5000);
    const struct entity_sight bad = {STR("a\nb"), STR(""), STR("")};
    fails(entity_seen(c, T, ENTITY_ENVIRONMENT, &bad, 1, &over), ERR_INVALID, "control");
}

static void what_is_too_much_is_refused(void **state) {
    (void)state;
    char *large = mem_new(ENTITY_EXTRA_BYTES + 1);
    memset(large, 'x', ENTITY_EXTRA_BYTES + 1);
    struct entity e = change("", 1, "");
    fails(entity_put(c, T, ENTITY_CHANGE, &e, &a, NULL, NULL), ERR_INVALID, "id: empty");
    e.key = str_span(large, ENTITY_KEY_BYTES + 1);
    fails(entity_put(c, T, ENTITY_CHANGE, &e, &a, NULL, NULL), ERR_LIMIT, "id");
    e = change("a\nb", 1, "");
    fails(entity_put(c, T, ENTITY_CHANGE, &e, &a, NULL, NULL), ERR_INVALID, "control");
    e = change("a\xff", 1, "");
    fails(entity_put(c, T, ENTITY_CHANGE, &e, &a, NULL, NULL), ERR_INVALID, "UTF-8");
    e = change("a", 1, "");
    e.title = str_span(large, ENTITY_TEXT_BYTES + 1);
    fails(entity_put(c, T, ENTITY_CHANGE, &e, &a, NULL, NULL), ERR_LIMIT, "title");
    e = change("a", 5, "");
    e.extra = str_span(large, ENTITY_EXTRA_BYTES + 1);
    fails(entity_put(c, T, ENTITY_CHANGE, &e, &a, NULL, NULL), ERR_LIMIT, "64 KiB");
    e = change("a", 5, "");
    e.end = 4;
    fails(entity_put(c, T, ENTITY_CHANGE, &e, &a, NULL, NULL), ERR_INVALID, "end");
    assert_lists((struct entity_filter){0}, 5, "");
    mem_free(large);
}

static err fill(struct db_transaction *t, void *context) {
    return db_run(t,
                  "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO entities "
                  "(tenant, kind, key, class, service, environment, state, severity, start_ns, end_ns, title, url, "
                  "author, extra, first_seen, last_seen) SELECT 't', ?, CAST(i AS TEXT), '', '', '', '', '', i, 0, '', "
                  "'', '', '', 0, 0 FROM n",
                  NULL, DB_I64(entity_kinds[*(enum entity_kind *)context].count_max),
                  DB_TEXT(str_of(entity_kinds[*(enum entity_kind *)context].name)));
}

static void over_the_limit_the_oldest_goes_or_none_comes(void **state) {
    (void)state;
    struct entity e = change("new", 1000000, "web"), got;
    enum entity_kind kind = ENTITY_CHANGE;
    assert_null(db_write(db, fill, &kind));
    put_change(T, e);
    fails(entity_get(c, T, ENTITY_CHANGE, STR("1"), &a, &got), ERR_NOT_FOUND, "no change");
    assert_null(entity_get(c, T, ENTITY_CHANGE, STR("2"), &a, &got));
    put_change(T, e); /* it is there: nothing goes */
    assert_null(entity_get(c, T, ENTITY_CHANGE, STR("2"), &a, &got));
    kind = ENTITY_ENVIRONMENT;
    assert_null(db_write(db, fill, &kind));
    fails(entity_put(c, T, ENTITY_ENVIRONMENT, &e, &a, NULL, NULL), ERR_LIMIT, "1000 environments");
    const struct entity_sight seen[] = {{STR("7"), STR(""), STR("")}, {STR("x"), STR(""), STR("")}};
    size_t over;
    assert_null(entity_seen(c, T, ENTITY_ENVIRONMENT, seen, 2, &over));
    assert_int_equal(over, 1);
    e.key = STR("7");
    assert_null(entity_put(c, T, ENTITY_ENVIRONMENT, &e, &a, NULL, NULL));
    e.key = STR("new");
    assert_null(entity_put(c, STR("u"), ENTITY_ENVIRONMENT, &e, &a, NULL, NULL));
}

#define on_catalog(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        on_catalog(a_put_is_an_upsert),
        on_catalog(lists_have_pages_and_filters),
        on_catalog(what_was_seen_keeps_what_was_said),
        on_catalog(what_is_too_much_is_refused),
        on_catalog(over_the_limit_the_oldest_goes_or_none_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
