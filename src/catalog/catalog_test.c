/* The catalog: documents, who changed them first, limits, tenants, copies. */
#include "catalog/catalog.h"

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

static const char *path_of(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void open_all(const char *name) {
    assert_null(db_open(&(struct db_options){.path = path_of(name), .wall_ns = wall}, &db));
    assert_null(catalog_new(db, wall, &c));
}

static void close_all(void) {
    catalog_free(c);
    db_close(db);
}

static int begin(void **state) {
    (void)state;
    now = (int64_t)1767323045 * 1000000000;
    arena_init(&a, 128 * MIB);
    snprintf(dir, sizeof dir, "/tmp/clew-catalog-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    open_all("records.db");
    return 0;
}

static err remove_entry(void *context, const char *name, bool is_dir) {
    (void)context, (void)is_dir;
    return path_remove(path_of(name));
}

static int end(void **state) {
    (void)state;
    close_all();
    arena_done(&a);
    err_free(path_list(dir, remove_entry, NULL));
    err_free(path_remove_dir(dir));
    return 0;
}

static void assert_fails(err e, enum err_kind kind, const char *part) {
    if (!e || err_kind(e) != kind || !strstr(err_text(e), part))
        fail_msg("wanted %s with '%s': %s: %s", err_kind_rows[kind].name, part, e ? err_row(e)->name : "none",
                 err_text(e));
    err_free(e);
}

/* A body is its name, a line, and the rest. */
static err check_body(void *context, struct str body, struct arena *arena, struct str *out_name) {
    struct str rest;
    (void)arena;
    if (context) return err_new(ERR_INVALID, "%s", (const char *)context);
    str_cut(body, '\n', out_name, &rest);
    return NULL;
}

static const struct catalog_expect any = {.what = CATALOG_ANY}, none = {.what = CATALOG_NONE},
                                   some = {.what = CATALOG_SOME};
static bool stale;
static char tag[17]; /* of the last put */

static err put_as(const char *tenant, enum catalog_kind kind, const char *id, const char *body,
                  struct catalog_expect expect) {
    struct catalog_document d = {0};
    struct catalog_order o = {.tenant = str_of(tenant),
                              .kind = kind,
                              .id = str_of(id),
                              .body = str_of(body),
                              .by = STR("ada"),
                              .expect = expect,
                              .check = check_body};
    err e = catalog_put(c, &o, &a, &d, &stale);
    if (!e) catalog_tag(&d, tag);
    return e;
}

static err put(const char *id, const char *body, struct catalog_expect expect) {
    return put_as("a", CATALOG_DASHBOARD, id, body, expect);
}

static struct catalog_document get(const char *id) {
    struct catalog_document d = {0};
    assert_null(catalog_get(c, STR("a"), CATALOG_DASHBOARD, str_of(id), &a, &d));
    return d;
}

static err delete (const char *id, struct catalog_expect expect) {
    return catalog_delete(c, STR("a"), CATALOG_DASHBOARD, str_of(id), &expect, &stale);
}

static struct catalog_expect tagged(const char *text) {
    return (struct catalog_expect){.what = CATALOG_TAG, .tag = str_of(text)};
}

static void a_document_is_put_changed_and_deleted(void **state) {
    (void)state;
    struct catalog_document d;
    int64_t first = now;
    assert_null(put("home", "Home\n{}", none));
    now += 1000;
    assert_null(put("home", "Home again\n{1}", any));
    close_all();
    open_all("records.db");
    d = get("home");
    assert_true(str_equal(d.name, STR("Home again")) && str_equal(d.body, STR("Home again\n{1}")));
    assert_true(d.version == 2 && d.created == first && d.updated == now && d.bytes == d.body.n);
    assert_true(str_equal(d.created_by, STR("ada")) && str_equal(d.updated_by, STR("ada")));
    assert_null(delete ("home", any));
    assert_fails(delete ("home", any), ERR_NOT_FOUND, "no dashboard");
    assert_fails(catalog_get(c, STR("a"), CATALOG_DASHBOARD, STR("home"), &a, &d), ERR_NOT_FOUND, "no dashboard");
}

static void who_expects_another_revision_is_stale(void **state) {
    (void)state;
    char first[17], second[17];
    assert_fails(put("x", "X\n", some), ERR_CONFLICT, "any more");
    assert_true(stale);
    assert_fails(put("x", "X\n", tagged("0000000000000000")), ERR_CONFLICT, "any more");
    assert_null(put("x", "X\n", none));
    assert_false(stale);
    memcpy(first, tag, sizeof first);
    assert_fails(put("x", "X\n", none), ERR_CONFLICT, "already");
    assert_true(stale);
    assert_null(put("x", "X2\n", tagged(first)));
    memcpy(second, tag, sizeof second);
    assert_string_not_equal(first, second);
    assert_fails(put("x", "X3\n", tagged(first)), ERR_CONFLICT, "version 2 now, by ada");
    assert_true(stale && str_equal(get("x").body, STR("X2\n")));
    assert_fails(delete ("x", tagged(first)), ERR_CONFLICT, "version 2 now");
    assert_true(stale);
    assert_null(delete ("x", tagged(second)));
    assert_null(put("x", "X\n", any)); /* version 1 again, but not the first one's tag */
    assert_int_equal(get("x").version, 1);
    assert_string_not_equal(first, tag);
    assert_fails(put("x", "X\n", tagged(first)), ERR_CONFLICT, "changed");
    assert_null(put("x", "X4\n", some));
}

static void a_name_is_one_documents(void **state) {
    (void)state;
    assert_null(put("x", "Same\n", any));
    assert_fails(put("y", "Same\n", any), ERR_CONFLICT, "of that name already: x");
    assert_false(stale);
    assert_null(put("x", "Same\nother", any));
    assert_null(put("y", "Other\n", any));
    assert_fails(put("y", "Same\n", any), ERR_CONFLICT, "of that name already: x");
    assert_null(put_as("b", CATALOG_DASHBOARD, "y", "Same\n", any));
    assert_null(put_as("a", CATALOG_RULES, "y", "Same\n", any));
}

static void what_is_no_id_or_name_is_refused(void **state) {
    (void)state;
    static const char *const ids[] = {
        "",         ".",    "..",
        ".x",       "a/b",  "a b",
        "\xc3\xbc", "a'--", "0123456789012345678901234567890123456789012345678901234567890123x"};
    static const char *const names[] = {"", " a", "a ", "a\tb", "\xff", "a\x7f"};
    for (size_t i = 0; i < LENGTH(ids); i++) assert_fails(put(ids[i], "X", any), ERR_INVALID, "an id is");
    for (size_t i = 0; i < LENGTH(names); i++)
        assert_fails(put("x", names[i], any), ERR_INVALID, "name of a dashboard");
    char longer[CATALOG_NAME_BYTES + 2];
    memset(longer, 'n', sizeof longer);
    longer[CATALOG_NAME_BYTES + 1] = 0;
    assert_fails(put("x", longer, any), ERR_INVALID, "200 bytes");
    longer[CATALOG_NAME_BYTES] = 0;
    assert_null(put("x", longer, any));
    assert_null(put("a-Z_0.9", "'; DROP TABLE documents; --", any));
    struct catalog_document d;
    struct catalog_order o = {.tenant = STR("a"),
                              .id = STR("bad"),
                              .body = STR("Bad\n"),
                              .check = check_body,
                              .check_context = (void *)(uintptr_t) "panels: no array"};
    assert_fails(catalog_put(c, &o, &a, &d, &stale), ERR_INVALID, "panels: no array");
    assert_fails(catalog_get(c, STR("a"), CATALOG_DASHBOARD, STR("bad"), &a, &d), ERR_NOT_FOUND, "");
}

static size_t found(const char *tenant, const char *search, const char *names) {
    struct catalog_list list;
    AUTO_BUF struct buf text;
    buf_init(&text, KIB);
    assert_null(catalog_find(c, str_of(tenant), CATALOG_DASHBOARD, str_of(search), &a, &list));
    for (size_t i = 0; i < list.n; i++) {
        assert_null(list.v[i].body.p);
        buf_add_fmt(&text, "%s" STR_FMT, i ? "," : "", STR_ARG(list.v[i].name));
    }
    if (strcmp(text.n ? text.p : "", names) != 0) fail_msg("%s: %s", search, text.n ? text.p : "nothing");
    return list.n;
}

static void names_are_searched(void **state) {
    (void)state;
    found("a", "", "");
    assert_null(put("1", "Zürich hosts\n", any));
    assert_null(put("2", "Hosts\n", any));
    assert_null(put("3", "Checkout 100%\n", any));
    assert_null(put_as("b", CATALOG_DASHBOARD, "1", "Hosts of b\n", any));
    found("a", "", "Checkout 100%,Hosts,Zürich hosts");
    found("a", "HOST", "Hosts,Zürich hosts");
    found("a", "%", "Checkout 100%");
    found("a", "_", "");
    found("a", "zürich hosts and more", "");
    found("b", "", "Hosts of b");
}

static void a_tenant_has_its_own_and_so_many(void **state) {
    (void)state;
    char id[16], body[32];
    const struct catalog_kind_row *k = &catalog_kinds[CATALOG_DASHBOARD];
    char *large = mem_new(k->body_bytes_max + 2);
    memset(large, 'x', k->body_bytes_max + 1);
    memcpy(large, "L00\n", 4);
    assert_fails(put("large", large, any), ERR_LIMIT, "5 MiB");
    large[k->body_bytes_max] = 0;
    uint64_t n = 0;
    for (; (n + 1) * k->body_bytes_max <= k->bytes_max; n++) {
        snprintf(id, sizeof id, "L%02d", (int)n);
        memcpy(large, id, 3);
        assert_null(put(id, large, any));
    }
    assert_null(put("L00", "L00\n", any));
    memcpy(large, "L00", 3);
    assert_null(put("L00", large, any)); /* its old bytes do not count */
    memcpy(large, "Lxx", 3);
    assert_fails(put("more", large, any), ERR_LIMIT, "64 MiB");
    assert_null(put_as("b", CATALOG_DASHBOARD, "more", large, any));
    mem_free(large);
    for (; n < k->count_max; n++) {
        snprintf(id, sizeof id, "%d", (int)n);
        snprintf(body, sizeof body, "n%d\n", (int)n);
        assert_null(put(id, body, any));
    }
    assert_fails(put("more", "more\n", any), ERR_LIMIT, "1000 dashboards");
    assert_null(put("L01", "changed\n", any));
    assert_null(delete ("L02", any));
    assert_null(put("more", "more\n", any));
}

static err count_each(void *context, struct str tenant, const struct catalog_document *d) {
    char *text = context;
    snprintf(text + strlen(text), 200 - strlen(text), STR_FMT ":" STR_FMT "=" STR_FMT ";", STR_ARG(tenant),
             STR_ARG(d->id), STR_ARG(d->body));
    return NULL;
}

static void assert_has(enum catalog_kind kind, const char *all) {
    char text[200] = "";
    assert_null(catalog_each(c, kind, count_each, text));
    assert_string_equal(text, all);
}

static void copies_have_all_or_one_tenants(void **state) {
    (void)state;
    AUTO_BUF struct buf findings;
    uint64_t bad;
    buf_init(&findings, KIB);
    assert_null(put("x", "X", any));
    assert_null(put_as("b", CATALOG_DASHBOARD, "x", "secret-of-b", any));
    assert_null(put_as("b", CATALOG_RULES, "r", "R", any));
    assert_null(put_as("a", CATALOG_RULES, "r", "Ra", any));
    assert_null(put_as("a", CATALOG_RULES, "r", "Ra2", some));
    assert_null(catalog_backup(c, (struct str){0}, path_of("all.db")));
    assert_null(catalog_backup(c, STR("a"), path_of("a.db")));
    assert_fails(catalog_backup(c, STR("a"), path_of("a.db")), ERR_CONFLICT, "exists");
    assert_false(path_exists(path_of("a.db-wal")));
    assert_null(delete ("x", any));
    close_all();
    AUTO_BUF struct buf bytes = {0};
    assert_null(file_read_all(path_of("a.db"), MIB, &bytes));
    assert_null(memmem(bytes.p, bytes.n, "secret-of-b", 11));
    assert_null(db_check(path_of("a.db"), &findings, &bad));
    assert_int_equal(bad, 0);
    open_all("a.db");
    assert_has(CATALOG_DASHBOARD, "a:x=X;");
    assert_has(CATALOG_RULES, "a:r=Ra2;");
    close_all();
    open_all("all.db");
    assert_has(CATALOG_DASHBOARD, "a:x=X;b:x=secret-of-b;");
    assert_has(CATALOG_RULES, "a:r=Ra2;b:r=R;");
}

static void what_is_deleted_leaves_no_bytes(void **state) {
    (void)state;
    AUTO_BUF struct buf bytes = {0};
    assert_null(put("x", "X\nsecret-7193", any));
    assert_null(put("y", "Y\nstays", any));
    assert_null(delete ("x", any));
    close_all();
    assert_false(path_exists(path_of("records.db-wal")));
    assert_null(file_read_all(path_of("records.db"), MIB, &bytes));
    assert_null(memmem(bytes.p, bytes.n, "secret-7193", 11));
    assert_non_null(memmem(bytes.p, bytes.n, "stays", 5));
    open_all("records.db");
}

#define on_files(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        on_files(a_document_is_put_changed_and_deleted),
        on_files(who_expects_another_revision_is_stale),
        on_files(a_name_is_one_documents),
        on_files(what_is_no_id_or_name_is_refused),
        on_files(names_are_searched),
        on_files(a_tenant_has_its_own_and_so_many),
        on_files(copies_have_all_or_one_tenants),
        on_files(what_is_deleted_leaves_no_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
