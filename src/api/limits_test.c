/* What a tenant may take, and the audit log: alone, without a server. */
#include "api/limits_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api/audit_priv.h"
#include "os/file.h"

static const int64_t second = 1000000000;

static bool is_busy(err e) {
    bool busy = e && err_kind(e) == ERR_BUSY;
    err_free(e);
    return busy;
}

static struct limits *open_limits(const char *json) {
    struct limits *l;
    err e = limits_new(str_of(json), &l);
    if (e) fail_msg("%s", err_text(e));
    return l;
}

static void rates_hold_over_time(void **state) {
    (void)state;
    struct limits *l =
        open_limits("{\"default\":{\"requests_per_second\":10},\"tenants\":{\"free\":{\"requests_per_second\":0}}}");
    uint32_t retry = 0;
    int taken = 0;
    for (int64_t now = second; now < 11 * second; now += second / 100) {
        if (!is_busy(limits_take_ingest(l, STR("a"), 1, now, &retry))) taken++;
        assert_null(limits_take_ingest(l, STR("free"), 1, now, &retry));
    }
    assert_in_range(taken, 105, 111); /* 10 a second for 10 s, and a second's worth at first */
    assert_in_range(retry, 1, 2);
    assert_null(limits_take_ingest(l, STR("b"), 1, 11 * second, &retry)); /* a's debt is not b's */
    limits_free(l);
}

static void large_bodies_pass_and_are_waited_for(void **state) {
    (void)state;
    struct limits *l = open_limits("{\"default\":{\"bytes_per_second\":1000}}");
    struct tenant_counts counts[LIMIT_TENANTS_MAX];
    uint32_t retry = 0;
    assert_null(limits_take_ingest(l, STR("a"), 6000, second, &retry));
    assert_true(is_busy(limits_take_ingest(l, STR("a"), 1, second, &retry)));
    assert_int_equal(retry, 6);
    assert_true(is_busy(limits_take_ingest(l, STR("a"), 1, 5 * second, &retry)));
    assert_true(is_busy(limits_take_ingest(l, STR("a"), 1, 2 * second, &retry))); /* a clock that steps back */
    assert_null(limits_take_ingest(l, STR("a"), 1, 9 * second, &retry));
    assert_int_equal(limits_get_counts(l, STR("a"), counts), 1);
    assert_int_equal(counts[0].ingest_bytes, 6001);
    assert_int_equal(counts[0].refused[LIMIT_BYTES], 3);
    limits_free(l);
}

static void queries_at_once_are_counted(void **state) {
    (void)state;
    struct limits *l = open_limits("{\"tenants\":{\"a\":{\"queries\":2}}}");
    uint32_t retry = 0;
    assert_null(limits_begin_query(l, STR("a"), 1, &retry));
    assert_null(limits_begin_query(l, STR("a"), 1, &retry));
    assert_true(is_busy(limits_begin_query(l, STR("a"), 1, &retry)));
    assert_int_equal(retry, 1);
    for (int i = 0; i < LIMIT_QUERIES_DEFAULT; i++) assert_null(limits_begin_query(l, STR("b"), 1, &retry));
    assert_true(is_busy(limits_begin_query(l, STR("b"), 1, &retry)));
    limits_end_query(l, STR("a"));
    assert_null(limits_begin_query(l, STR("a"), 1, &retry));
    limits_free(l);
}

/* More tenants than are remembered: those with a query under way stay, the others begin anew. */
static void tenants_are_bounded(void **state) {
    (void)state;
    struct limits *l = open_limits(NULL);
    struct tenant_counts *counts = mem_new_array(struct tenant_counts, LIMIT_TENANTS_MAX);
    uint32_t retry = 0;
    assert_null(limits_begin_query(l, STR("stays"), 1, &retry));
    for (int i = 0; i < 3 * LIMIT_TENANTS_MAX; i++) {
        char name[32];
        snprintf(name, sizeof name, "tenant-%d", i);
        assert_null(limits_take_ingest(l, str_of(name), 1, 2 + i, &retry));
    }
    assert_int_equal(limits_get_counts(l, (struct str){0}, counts), LIMIT_TENANTS_MAX);
    assert_int_equal(limits_get_counts(l, STR("stays"), counts), 1);
    assert_int_equal(limits_get_counts(l, STR("tenant-0"), counts), 0);
    assert_int_equal(limits_get_counts(l, STR("tenant-3071"), counts), 1);
    limits_end_query(l, STR("stays"));
    mem_free(counts);
    limits_free(l);
}

static void wrong_documents_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "[]",
        "{\"defaults\":{}}",
        "{\"default\":{},\"default\":{}}",
        "{\"default\":1}",
        "{\"default\":{\"queries\":-1}}",
        "{\"default\":{\"queries\":1.5}}",
        "{\"default\":{\"queries\":\"1\"}}",
        "{\"default\":{\"queries\":1,\"queries\":2}}",
        "{\"default\":{\"bytes\":1}}",
        "{\"default\":{\"queries\":1e99}}",
        "{\"tenants\":{\"*\":{}}}",
        "{\"tenants\":{\"a\":{},\"a\":{}}}",
        "{} {}",
        "{",
    };
    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct limits *l;
        err e = limits_new(str_of(bad[i]), &l);
        if (!e) fail_msg("taken: %s", bad[i]);
        assert_int_equal(err_kind(e), ERR_INVALID);
        err_free(e);
    }
}

/* ---- audit ------------------------------------------------------------------------------------------------------ */

static char dir[64];

static int make_dir(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/clew-audit-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static err remove_file(void *context, const char *name, bool is_dir) {
    char path[512];
    (void)context, (void)is_dir;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path_remove(path);
}

static int remove_dir(void **state) {
    (void)state;
    assert_null(path_list(dir, remove_file, NULL));
    assert_null(path_remove_dir(dir));
    return 0;
}

static struct audit *open_audit(uint64_t bytes) {
    struct audit *a;
    assert_null(audit_open(dir, bytes, &a));
    return a;
}

static struct buf read_audit(const char *name) {
    char path[128];
    struct file *f;
    struct buf text;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    buf_init(&text, MIB);
    buf_reserve(&text, 512 * KIB);
    assert_null(file_open(path, FILE_READ, &f));
    assert_null(file_read(f, text.p, 512 * KIB, 0, &text.n));
    text.p[text.n] = 0;
    file_close(f);
    return text;
}

static void lines_cannot_be_forged(void **state) {
    (void)state;
    struct audit *a = open_audit(0);
    static const char token[] =
        "x clew_0123456789abcdef_00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff y";
    char huge[3000];
    memset(huge, '\n', sizeof huge);
    const struct audit_parameter parameters[] = {
        {STR("where"), STR("a\"}\n{\"action\":\"forged\"}\r\0\x1b[2J")},
        {STR("text"), str_of(token)},
        {STR("service"), {huge, sizeof huge}},
        {STR("trace_id"), STR("\xff\xfe")},
    };
    audit_write(a, &(struct audit_record){.time = second,
                                          .action = "call",
                                          .token = STR("ops"),
                                          .method = STR("POST"),
                                          .path = STR("/x\n{}"),
                                          .parameters = parameters,
                                          .parameter_count = LENGTH(parameters),
                                          .status = 200});
    audit_close(a);
    AUTO_BUF struct buf text = read_audit("audit.jsonl");
    size_t lines = 0;
    for (size_t i = 0; i < text.n; i++) lines += text.p[i] == '\n';
    assert_int_equal(lines, 1);
    for (size_t i = 0; i + 1 < text.n; i++) assert_true((unsigned char)text.p[i] >= ' ');
    assert_non_null(strstr(text.p, "clew_0123456789abcdef_…"));
    assert_null(strstr(text.p, "_00112233"));
    assert_in_range(text.n, 1, 16000);
}

static void files_are_turned_and_bounded(void **state) {
    (void)state;
    struct audit *a = open_audit(2000);
    for (int i = 0; i < 500; i++)
        audit_write(a, &(struct audit_record){.time = second, .action = "call", .token = STR("ops"), .status = 200});
    audit_close(a);
    static const char *const names[] = {"audit.jsonl", "audit.1.jsonl", "audit.7.jsonl"};
    for (size_t i = 0; i < LENGTH(names); i++) {
        AUTO_BUF struct buf text = read_audit(names[i]);
        assert_in_range(text.n, 1, 2000);
    }
    char path[128];
    snprintf(path, sizeof path, "%s/audit.8.jsonl", dir);
    assert_false(path_exists(path));
}

static void a_torn_line_gets_its_end(void **state) {
    (void)state;
    audit_close(open_audit(0));
    char path[128];
    struct file *f;
    snprintf(path, sizeof path, "%s/audit.jsonl", dir);
    assert_null(file_open(path, FILE_WRITE, &f));
    assert_null(file_write(f, "{\"time\":\"20", 11, 0));
    file_close(f);
    struct audit *a = open_audit(0);
    audit_write(a, &(struct audit_record){.time = second, .action = "call"});
    audit_close(a);
    AUTO_BUF struct buf text = read_audit("audit.jsonl");
    assert_non_null(strstr(text.p, "{\"time\":\"20\n{\"time\":\"1970-01-01T00:00:01Z\",\"action\":\"call\"}\n"));
}

static void refusals_do_not_flood(void **state) {
    (void)state;
    struct audit *a = open_audit(0);
    uint64_t written, failed, suppressed;
    for (int i = 0; i < 500; i++)
        audit_write(a, &(struct audit_record){.time = second, .action = "call", .status = 401});
    audit_get_counts(a, &written, &failed, &suppressed);
    assert_int_equal(written, AUDIT_REFUSALS_A_MINUTE);
    assert_int_equal(suppressed, 500 - AUDIT_REFUSALS_A_MINUTE);
    assert_int_equal(failed, 0);
    audit_write(a, &(struct audit_record){.time = second, .action = "call", .status = 200}); /* what counts is kept */
    audit_write(a, &(struct audit_record){.time = 62 * second, .action = "call", .status = 401});
    audit_get_counts(a, &written, &failed, &suppressed);
    assert_int_equal(written, AUDIT_REFUSALS_A_MINUTE + 2);
    audit_close(a);
    AUTO_BUF struct buf text = read_audit("audit.jsonl");
    assert_non_null(strstr(text.p, "\"status\":200,\"suppressed\":440}"));
}

static void strangers_do_not_flood(void **state) {
    (void)state;
    struct audit *a = open_audit(0);
    uint64_t written, failed, suppressed;
    for (int i = 0; i < 500; i++)
        audit_write(a, &(struct audit_record){.time = second, .action = "call", .status = 400, .stranger = true});
    for (int i = 0; i < 5; i++) audit_write(a, &(struct audit_record){.time = second, .action = "call", .status = 400});
    audit_get_counts(a, &written, &failed, &suppressed);
    assert_int_equal(written, AUDIT_REFUSALS_A_MINUTE + 5);
    audit_close(a);
}

#define with_dir(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_hold_over_time),
        cmocka_unit_test(large_bodies_pass_and_are_waited_for),
        cmocka_unit_test(queries_at_once_are_counted),
        cmocka_unit_test(tenants_are_bounded),
        cmocka_unit_test(wrong_documents_are_refused),
        with_dir(lines_cannot_be_forged),
        with_dir(files_are_turned_and_bounded),
        with_dir(a_torn_line_gets_its_end),
        with_dir(refusals_do_not_flood),
        with_dir(strangers_do_not_flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
