/* Tokens and the audit log on a disk that fails and cuts the power at every call: what was acknowledged is there, nothing is torn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "api/audit_priv.h"
#include "api/searches_priv.h"
#include "api/token.h"
#include "os/file.h"
#include "os/sim/sim.h"

static const int64_t second = 1000000000;

static err add(void *context, struct tokens *t) {
    char text[TOKEN_TEXT_BYTES];
    return token_new(t, *(const struct str *)context, ROLE_READ, STR("a"), second, 0, text);
}

static err add_token(const char *name) {
    struct str s = str_of(name);
    return tokens_change("home/data", add, &s);
}

static bool holds(const struct tokens *t, const char *name) {
    for (size_t i = 0; i < t->v.n; i++)
        if (strcmp(t->v.v[i].name, name) == 0) return true;
    return false;
}

/* The document is whole, and has what was promised. */
static void check_tokens(bool first, bool both) {
    AUTO_BUF struct buf text = {0};
    struct tokens t = {0};
    err e = tokens_load("home/data", &text);
    if (e && !first) {
        err_free(e);
        return;
    }
    if (!e) e = tokens_read(buf_str(&text), &t);
    if (e) fail_msg("%s", err_text(e));
    assert_true(!first || holds(&t, "a"));
    assert_true(!both || holds(&t, "b"));
    tokens_done(&t);
}

/* kind ERR_KINDS: the power goes at that call. */
static void change_and_fail(uint64_t n, enum err_kind kind, bool *out_faulty) {
    sim_reset(n * 7 + kind);
    assert_null(path_make_dir("home"));
    assert_null(path_sync_dir("."));
    if (kind == ERR_KINDS)
        sim_cut_at(n);
    else
        sim_fail_at(n, kind);
    err first = add_token("a"), both = first ? NULL : add_token("b");
    bool has_first = !first, has_both = !first && !both;
    err_free(first);
    err_free(both);
    *out_faulty = sim_faults() > 0;
    sim_reboot();
    check_tokens(has_first, has_both);
    err again = add_token("c"); /* what was left behind does not stand in the way */
    if (again) fail_msg("%s", err_text(again));
}

static void acknowledged_tokens_are_there(void **state) {
    (void)state;
    static const enum err_kind kinds[] = {ERR_KINDS, ERR_IO, ERR_UNAVAILABLE};
    size_t runs = 0;
    for (size_t k = 0; k < LENGTH(kinds); k++)
        for (uint64_t n = 1, faulty = true; faulty; n++, runs++) {
            bool hit;
            change_and_fail(n, kinds[k], &hit);
            faulty = hit;
        }
    print_message("%zu runs\n", runs);
    assert_in_range(runs, 30, 1000);
}

/* ---- saved searches --------------------------------------------------------------------------------------------- */

static err save_searches(struct arena *a, size_t n) {
    static const char names[] = "abc";
    struct searches s = {.a = a};
    err e = NULL;
    for (size_t i = 0; i < n && !e; i++)
        e = searches_put(&s, &(struct search){.name = {names + i, 1}, .screen = STR("logs")}, false);
    if (!e) e = searches_save("data", STR("shop"), &s);
    vec_done(&s.v);
    return e;
}

/* The document is the last one that was promised, or one that was being written. */
static void acknowledged_searches_are_there(void **state) {
    (void)state;
    size_t runs = 0;
    for (int cut = 0; cut < 2; cut++)
        for (uint64_t n = 1, faulty = true; faulty; n++, runs++) {
            AUTO_ARENA struct arena a;
            struct searches s = {.a = &a};
            size_t promised = 0;
            arena_init(&a, MIB);
            sim_reset(n * 2 + (uint64_t)cut);
            assert_null(path_make_dir("data"));
            assert_null(path_sync_dir("."));
            cut ? sim_cut_at(n) : sim_fail_at(n, ERR_IO);
            for (size_t k = 1; k <= 2; k++) {
                err e = save_searches(&a, k);
                if (!e) promised = k;
                err_free(e);
            }
            faulty = sim_faults() > 0;
            sim_reboot();
            assert_null(searches_load("data", STR("shop"), &s));
            assert_true(s.v.n >= promised && s.v.n <= 2);
            vec_done(&s.v);
            assert_null(save_searches(&a, 3)); /* and it goes on */
        }
    print_message("%zu runs\n", runs);
    assert_in_range(runs, 20, 1000);
}

/* ---- audit ------------------------------------------------------------------------------------------------------ */

enum { LINES = 12 };

static uint64_t write_lines(void) {
    struct audit *a = NULL;
    uint64_t written = 0, failed, suppressed;
    err e = audit_open("data", 400, &a); /* a few lines a file */
    err_free(e);
    if (e) return 0;
    for (int i = 0; i < LINES; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%d", i);
        audit_write(a, &(struct audit_record){.time = second, .action = "call", .token = str_of(name), .status = 200});
    }
    audit_get_counts(a, &written, &failed, &suppressed);
    audit_close(a);
    return written;
}

/* Lines that are whole; whatever else there is stands on lines of its own. */
static uint64_t count_lines(void) {
    uint64_t whole = 0;
    for (int i = 0; i < AUDIT_FILES; i++) {
        char path[64], bytes[4096];
        struct file *f;
        size_t n = 0;
        snprintf(path, sizeof path, i ? "data/audit.%d.jsonl" : "data/audit.jsonl", i);
        if (!path_exists(path)) continue;
        assert_null(file_open(path, FILE_READ, &f));
        assert_null(file_read(f, bytes, sizeof bytes, 0, &n));
        file_close(f);
        struct str rest = {bytes, n}, line;
        while (rest.n) {
            bool ended = str_cut(rest, '\n', &line, &rest);
            whole +=
                ended && str_starts_with(line, STR("{\"time\":\"1970")) && str_ends_with(line, STR("\"status\":200}"));
        }
    }
    return whole;
}

static void written_lines_are_there(void **state) {
    (void)state;
    size_t runs = 0;
    for (int cut = 0; cut < 2; cut++)
        for (uint64_t n = 1, faulty = true; faulty; n++, runs++) {
            sim_reset(n * 2 + (uint64_t)cut);
            assert_null(path_make_dir("data"));
            assert_null(path_sync_dir("."));
            if (cut)
                sim_cut_at(n);
            else
                sim_fail_at(n, ERR_IO);
            uint64_t written = write_lines();
            faulty = sim_faults() > 0;
            sim_reboot();
            uint64_t found = count_lines();
            if (found < written) fail_msg("call %u: %u of %u lines", (unsigned)n, (unsigned)found, (unsigned)written);
            assert_int_equal(write_lines(), LINES); /* and it goes on */
        }
    print_message("%zu runs\n", runs);
    assert_in_range(runs, 50, 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acknowledged_tokens_are_there),
        cmocka_unit_test(acknowledged_searches_are_there),
        cmocka_unit_test(written_lines_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
