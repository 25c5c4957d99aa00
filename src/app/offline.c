/* The sub-commands that work on files while no clew runs: check, dump, restore; and what others need for that. */
#include <stdio.h>

#include "app/command.h"
#include "base/budget.h"
#include "base/text.h"
#include "db/db.h"
#include "ingest/rollup/rollup.h"
#include "os/file.h"
#include "os/process.h"
#include "store/store.h"

enum { DUMP_TEXT_BYTES_MAX = 64 << 20 };

/* A folder that never was clew's is a wrong path, not damage. */
static err check_is_ours(const char *dir, const char *option) {
    AUTO_BUF struct buf manifest, log;
    buf_init(&manifest, 8 * KIB);
    buf_init(&log, 8 * KIB);
    buf_add_fmt(&manifest, "%s/manifest", dir);
    buf_add_fmt(&log, "%s/log", dir);
    if (manifest.full || log.full) return err_new(ERR_INVALID, "%s: the path is too long", option);
    if (!*dir) return err_new(ERR_INVALID, "%s: must name a folder", option);
    if (path_exists(manifest.p) || path_exists(log.p)) return NULL;
    return err_new(ERR_NOT_FOUND, "%s: %s is no data directory of clew: %s", option, dir,
                   path_exists(dir) ? "it has neither manifest nor log" : "it does not exist");
}

enum { OPEN_MEMORY_BYTES = 256 << 20 }; /* of the store: replay, a flush */

err command_open_data(const char *dir, struct budget *budget, struct store **out) {
    struct store_options options;
    store_options_default(&options);
    budget_init(budget, OPEN_MEMORY_BYTES);
    options.budget = budget;
    options.dir = dir;
    options.retention_ns = 0;
    options.manual = true;
    options.rollup = rollup_of_spans();
    if (!path_exists(dir)) return err_new(ERR_NOT_FOUND, "--data: %s does not exist", dir);
    return err_wrap(store_open(&options, out), "--data (no clew may run on it)");
}

/* ---- check ------------------------------------------------------------------------------------------------------ */

static void tell_progress(const struct store_checked *c) {
    command_progress("checking: part %llu of %llu, %.1f MiB", (unsigned long long)c->parts,
                     (unsigned long long)c->parts_all, (double)c->bytes / MIB);
}

static void report_text(const struct store_checked *c, uint64_t bad, const struct buf *findings) {
    AUTO_BUF struct buf out;
    buf_init(&out, 4 * KIB);
    buf_add_text(&out, "checked ");
    put_count(&out, c->parts);
    buf_add_text(&out, c->parts == 1 ? " part with " : " parts with ");
    put_count(&out, c->rows);
    buf_add_text(&out, " rows in ");
    put_size(&out, c->bytes);
    buf_add_text(&out, ", and ");
    put_size(&out, c->log_bytes);
    buf_add_fmt(&out, " of log%s\n", bad ? "" : ": everything reads as it was written");
    command_print(findings);
    command_print(&out);
}

static void report_json(const struct store_checked *c, uint64_t bad, const struct buf *findings) {
    AUTO_BUF struct buf out;
    struct json_writer w;
    struct str rest = buf_str(findings), line;
    buf_init(&out, 128 * MIB);
    json_writer_init(&w, &out);
    json_object(&w);
    json_member(&w, "bad", u64, bad);
    json_member(&w, "parts", u64, c->parts);
    json_member(&w, "rows", u64, c->rows);
    json_member(&w, "bytes", u64, c->bytes);
    json_member(&w, "log_segments", u64, c->segments);
    json_member(&w, "log_bytes", u64, c->log_bytes);
    json_key(&w, STR("findings"));
    json_array(&w);
    while (rest.n) {
        str_cut(rest, '\n', &line, &rest);
        if (line.n) json_str(&w, line);
    }
    json_array_end(&w);
    json_object_end(&w);
    buf_add_byte(&out, '\n');
    command_print(&out);
}

/* After the store's own: that has made sure that no clew has the folder open. */
static err check_records(const char *dir, struct buf *findings, uint64_t *bad) {
    AUTO_BUF struct buf path;
    uint64_t more = 0;
    buf_init(&path, 8 * KIB);
    buf_add_fmt(&path, "%s/" STORE_RECORDS_FILE, dir);
    if (path.full || !path_exists(path.p)) return NULL;
    err e = db_check(path.p, findings, &more);
    *bad += more;
    return e;
}

err command_check(const struct arguments *a) {
    AUTO_FREE char *dir = str_dup(argument_text(a, OPTION_DATA));
    AUTO_BUF struct buf findings;
    struct store_checked counts = {.tell = tell_progress};
    uint64_t bad = 0;
    buf_init(&findings, 64 * MIB);
    TRY(check_is_ours(dir, "--data"));
    err e = store_check_counted(dir, &findings, &bad, &counts);
    if (!e) e = check_records(dir, &findings, &bad);
    command_progress_end();
    TRY(e);
    (argument_flag(a, OPTION_JSON) ? report_json : report_text)(&counts, bad, &findings);
    if (bad)
        return err_new(
            ERR_CORRUPT,
            "%llu bad place%s; rows of bad blocks are skipped by queries, `clew restore` brings a backup back",
            (unsigned long long)bad, bad == 1 ? "" : "s");
    return NULL;
}

/* ---- dump ------------------------------------------------------------------------------------------------------- */

static void dump_json(struct str path, const struct buf *lines) {
    AUTO_BUF struct buf out;
    struct json_writer w;
    struct str rest = buf_str(lines), line;
    buf_init(&out, (size_t)2 << 30);
    json_writer_init(&w, &out);
    json_object(&w);
    json_key(&w, STR("file"));
    json_str(&w, path);
    json_key(&w, STR("lines"));
    json_array(&w);
    while (rest.n) {
        str_cut(rest, '\n', &line, &rest);
        json_str(&w, line);
    }
    json_array_end(&w);
    json_object_end(&w);
    buf_add_byte(&out, '\n');
    command_print(&out);
}

/* What is text already: tokens.json, audit.jsonl. Line by line, as nothing of it may steer the terminal. */
static err dump_text(struct str path) {
    AUTO_BUF struct buf text = {0}, out;
    struct str rest, line;
    buf_init(&out, (size_t)1 << 30);
    TRY(command_read_file(path, DUMP_TEXT_BYTES_MAX, &text));
    for (rest = buf_str(&text); rest.n;) {
        str_cut(rest, '\n', &line, &rest);
        put_terminal(&out, line);
        buf_add_byte(&out, '\n');
    }
    command_print(&out);
    return NULL;
}

static bool is_records(struct str path) {
    return str_ends_with(path, STR(".db")) || str_ends_with(path, STR(".db-wal")) ||
           str_ends_with(path, STR(".db-shm"));
}

err command_dump(const struct arguments *a) {
    if (str_ends_with(a->positions[0], STR(".json")) || str_ends_with(a->positions[0], STR(".jsonl")))
        return dump_text(a->positions[0]);
    AUTO_FREE char *path = str_dup(a->positions[0]);
    AUTO_BUF struct buf out, inside;
    uint64_t rows;
    buf_init(&out, (size_t)1 << 30);
    buf_init(&inside, 64 * KIB);
    TRY(argument_u64(a, OPTION_ROWS, &rows));
    buf_add_fmt(&inside, "%s/.", path);
    if (*path && path_exists(inside.p))
        return err_new(ERR_INVALID, "%s is a folder: name one of its files, or check all of it with clew check", path);
    err e = is_records(a->positions[0]) ? db_dump(path, &out) : store_dump(path, rows, &out);
    /* What could be read is shown also when the rest is broken. */
    if (argument_flag(a, OPTION_JSON))
        dump_json(a->positions[0], &out);
    else
        command_print(&out);
    return err_wrap(e, "dumping %s", path);
}

/* ---- restore ---------------------------------------------------------------------------------------------------- */

struct restoring {
    const char *from, *to;
};

static err restore(void *context) {
    const struct restoring *r = context;
    AUTO_BUF struct buf findings;
    uint64_t bad = 0;
    buf_init(&findings, 64 * KIB);
    TRY(check_records(r->from, &findings, &bad));
    if (bad) return err_new(ERR_CORRUPT, "the records of the backup are damaged: %.900s", findings.p);
    return store_restore(r->from, r->to);
}

static err count_entry(void *context, const char *name, bool is_dir) {
    (void)name, (void)is_dir;
    ++*(size_t *)context;
    return NULL;
}

static err remove_entry(void *context, const char *name, bool is_dir) {
    AUTO_BUF struct buf path;
    buf_init(&path, 8 * KIB);
    buf_add_fmt(&path, "%s/%s", (const char *)context, name);
    if (path.full) return err_new(ERR_INVALID, "the path is too long");
    if (!is_dir) return path_remove(path.p);
    TRY(path_list(path.p, remove_entry, path.p));
    return path_remove_dir(path.p);
}

/* A restore that ended early leaves the folder as it was before: not there, or empty. */
static void take_away(const char *to, bool existed) {
    err e = path_exists(to) ? path_list(to, remove_entry, (void *)(uintptr_t)to) : NULL;
    if (!e && !existed && path_exists(to)) e = path_remove_dir(to);
    if (e) fprintf(stderr, "clew: what was restored so far stays in %s: %s\n", to, err_text(e));
    err_free(e);
}

static err restore_or_take_away_wait(struct restoring *r, int *out_signal) {
    bool existed = path_exists(r->to);
    size_t entries = 0;
    if (existed) TRY(path_list(r->to, count_entry, &entries));
    if (entries) return err_new(ERR_CONFLICT, "%s is not empty", r->to);
    err e = process_run_wait(restore, r, out_signal);
    if (e) take_away(r->to, existed);
    return e;
}

err command_restore(const struct arguments *a) {
    AUTO_FREE char *from = str_dup(a->positions[0]), *to = str_dup(argument_text(a, OPTION_DATA));
    int interrupted = 0;
    TRY(check_is_ours(from, "BACKUP"));
    if (!*to) return err_new(ERR_INVALID, "--data: must name a folder");
    process_signals_block();
    command_progress("checking the backup, then copying it to %s", to);
    err e = restore_or_take_away_wait(&(struct restoring){from, to}, &interrupted);
    command_progress_end();
    if (interrupted) {
        fprintf(stderr, "clew: interrupted: nothing was restored\n");
        process_end_by_signal(interrupted);
    }
    TRY_WRAP(e, "restoring %s", from);
    if (argument_flag(a, OPTION_JSON))
        command_say("{\"restored\":true}");
    else
        command_say("%s is now a data directory made from %s; start it with: clew serve --data %s", to, from, to);
    return NULL;
}
