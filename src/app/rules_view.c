/* clew rules check, test: rule files and their unit tests, as promtool has them. */
#include <stdio.h>

#include "alert/unit.h"
#include "app/command.h"
#include "os/file.h"

static err check_file(const char *path, struct buf *out, bool *good) {
    AUTO_ARENA struct arena a;
    AUTO_BUF struct buf text = {0}, problems, doubles;
    struct rule_file file;
    arena_init(&a, (size_t)1 << 30);
    buf_init(&problems, MIB);
    buf_init(&doubles, MIB);
    buf_add_fmt(out, "Checking %s\n", path);
    TRY(file_read_all(path, RULE_FILE_BYTES_MAX, &text));
    TRY(rules_read(buf_str(&text), path, &a, &file, &problems));
    size_t n = problems.n ? 0 : rules_duplicates(&file, &doubles);
    *good = problems.n == 0;
    if (problems.n)
        buf_add_fmt(out, "  FAILED:\n%s\n", problems.p);
    else
        buf_add_fmt(out, "  SUCCESS: %zu rules found\n", file.rules);
    if (n)
        buf_add_fmt(out, "%zu duplicate rule(s) found.\n%sMight cause inconsistency while recording expressions\n", n,
                    doubles.p);
    buf_add_text(out, problems.n ? "" : "\n");
    return NULL;
}

static err each(const struct arguments *a, err (*look)(const char *path, struct buf *out, bool *good),
                const char *what) {
    int bad = 0;
    for (int i = 0; i < a->position_count; i++) {
        AUTO_BUF struct buf out;
        AUTO_FREE char *path = str_dup(a->positions[i]);
        bool good = false;
        buf_init(&out, 256 * MIB);
        err e = look(path, &out, &good);
        if (e) buf_add_fmt(&out, "  FAILED:\n%s\n\n", err_text(e)); /* the other files are looked at all the same */
        err_free(e);
        command_print(&out);
        bad += !good;
    }
    /* Of kind internal: its status is 1, as promtool's. */
    return bad ? err_new(ERR_INTERNAL, "%d of %d %s", bad, a->position_count, what) : NULL;
}

err command_rules_check(const struct arguments *a) { return each(a, check_file, "files of rules have mistakes"); }
err command_rules_test(const struct arguments *a) { return each(a, rules_unit_test, "files of tests fail"); }
