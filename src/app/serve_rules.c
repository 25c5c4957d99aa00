#include "app/serve_rules.h"

#include <stdio.h>

#include "alert/unit.h"
#include "base/hash.h"
#include "base/log.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/stamp.h"

#define LOOK_NS ((int64_t)5 * 1000000000)
enum { RULE_THREADS = 2, STATE_BYTES_MAX = 256 << 20, CHECK_BYTES_MAX = 256 << 20, PROBLEMS_SHOWN = 900 };

/* ---- states: a file a group, replaced at once -------------------------------------------------------------------- */

static void put_path(struct buf *out, const struct serve_rules *s, struct str key, const char *ending) {
    buf_init(out, 8192);
    buf_add_fmt(out, "%s/%016llx%s", s->folder, (unsigned long long)hash_bytes(key.p, key.n), ending);
}

static err write_file(const char *path, struct str text) {
    AUTO_CLOSE struct file *f = NULL;
    TRY(file_open(path, FILE_CREATE_ANY, &f));
    TRY(file_write(f, text.p, text.n, 0));
    return file_sync(f);
}

static err save_state(void *context, struct str key, struct str state) {
    const struct serve_rules *s = context;
    AUTO_BUF struct buf path, new;
    put_path(&path, s, key, ".json");
    put_path(&new, s, key, ".new");
    TRY(path_make_dir(s->folder));
    TRY(write_file(new.p, state));
    TRY(path_rename(new.p, path.p));
    return path_sync_dir(s->folder);
}

static err load_state(void *context, struct str key, struct buf *out) {
    const struct serve_rules *s = context;
    AUTO_BUF struct buf path, text = {0};
    put_path(&path, s, key, ".json");
    err e = file_read_all(path.p, STATE_BYTES_MAX, &text);
    if (e && err_kind(e) == ERR_NOT_FOUND) {
        err_free(e);
        return NULL;
    }
    if (!e) buf_add_str(out, buf_str(&text));
    return e;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static err add_stamp(void *context, const char *path) {
    uint64_t *seen = context;
    struct path_stamp stamp = {0};
    err e = path_stamp_read(path, &stamp);
    uint64_t parts[] = {*seen,
                        hash_bytes(path, strlen(path)),
                        stamp.device,
                        stamp.inode,
                        stamp.size_bytes,
                        (uint64_t)stamp.changed_ns,
                        e != NULL};
    err_free(e);
    *seen = hash_bytes(parts, sizeof parts);
    return NULL;
}

static uint64_t look_at_files(const struct serve_rules *s) {
    uint64_t seen = 0;
    for (size_t i = 0; i < s->pattern_n; i++) err_free(rules_glob(s->patterns[i], add_stamp, &seen));
    return seen;
}

static err read_rules(struct serve_rules *s) {
    struct alert_rules *rules;
    AUTO_BUF struct buf problems;
    buf_init(&problems, MIB);
    s->seen = look_at_files(s);
    TRY(alert_rules_read(s->patterns, s->pattern_n, &rules, &problems));
    if (problems.n)
        return err_new(ERR_INVALID, "--rules: %.*s", (int)MIN(problems.n - 1, (size_t)PROBLEMS_SHOWN), problems.p);
    size_t n = rules->rules, files = rules->files.n;
    alert_engine_load_wait(s->engine, rules);
    log_info("rules are read", F_U64("files", files), F_U64("rules", n));
    return NULL;
}

static void look_again(void *context) {
    struct serve_rules *s = context;
    lock_take(&s->lock);
    while (!s->ending) {
        if (flag_wait_until(&s->flag, &s->lock, clock_monotonic_ns() + LOOK_NS)) continue;
        lock_give(&s->lock);
        if (look_at_files(s) != s->seen) {
            err e = read_rules(s);
            if (e) log_error("changed rules are not taken; those before stay", F_ERR(e));
            err_free(e);
        }
        lock_take(&s->lock);
    }
    lock_give(&s->lock);
}

/* ---- around the engine -------------------------------------------------------------------------------------------- */

static err open_notifier(const struct arguments *a, struct serve_rules *s) {
    struct notifier_options o = {.external_url = str_of(s->external_url)};
    if (!a->given[OPTION_ALERTMANAGER]) return NULL;
    if (a->given[OPTION_ALERTMANAGER] > NOTIFY_TARGETS_MAX)
        return err_new(ERR_INVALID, "--alertmanager: at most %d", NOTIFY_TARGETS_MAX);
    for (int i = 0; i < a->given[OPTION_ALERTMANAGER]; i++) {
        struct str url = a->values[OPTION_ALERTMANAGER][i];
        if (!str_starts_with(url, STR("http://")) && !str_starts_with(url, STR("https://")))
            return err_new(ERR_INVALID, "--alertmanager: a URL as http://127.0.0.1:9093, not \"" STR_FMT "\"",
                           STR_ARG(url));
        o.urls[o.url_n++] = url;
    }
    return notifier_new(&o, &s->notifier);
}

static char *external_url_of(const struct arguments *a) {
    struct str given = argument_text(a, OPTION_EXTERNAL_URL);
    if (given.n) return str_dup(given);
    struct buf url;
    buf_init(&url, 4096);
    buf_add_fmt(&url, "http://" STR_FMT, STR_ARG(argument_text(a, OPTION_LISTEN)));
    char *text = str_dup(buf_str(&url));
    buf_done(&url);
    return text;
}

err serve_rules_open(const struct arguments *a, const char *dir, struct store *store, struct ingest *ingest,
                     struct budget *budget, struct serve_rules *s) {
    struct buf folder;
    lock_init(&s->lock);
    flag_init(&s->flag);
    if (!a->given[OPTION_RULE_FILES]) return NULL;
    for (int i = 0; i < a->given[OPTION_RULE_FILES]; i++)
        s->patterns[s->pattern_n++] =
            a->values[OPTION_RULE_FILES][i].p; /* of argv or the environment: they end with a zero */
    s->external_url = external_url_of(a);
    buf_init(&folder, 4096);
    buf_add_fmt(&folder, "%s/rules", dir);
    s->folder = str_dup(buf_str(&folder));
    buf_done(&folder);
    TRY(open_notifier(a, s));
    s->engine = alert_engine_new(&(struct alert_options){.watch = s->watch,
                                                         .store = store,
                                                         .budget = budget,
                                                         .append_wait = alert_append_wait,
                                                         .append_context = ingest,
                                                         .keeper = {s, save_state, load_state},
                                                         .send = s->notifier ? notifier_send : NULL,
                                                         .send_context = s->notifier,
                                                         .external_url = str_of(s->external_url)});
    return read_rules(s);
}

/* JSON is YAML. */
err serve_rules_check(void *context, struct str tenant, struct str body) {
    AUTO_ARENA struct arena a;
    AUTO_BUF struct buf text, problems;
    struct rule_file file;
    (void)context, (void)tenant;
    arena_init(&a, CHECK_BYTES_MAX);
    buf_init(&text, body.n + 64);
    buf_init(&problems, PROBLEMS_SHOWN);
    buf_add_text(&text, "{\"groups\":[");
    buf_add_str(&text, body);
    buf_add_text(&text, "]}");
    TRY(rules_read(buf_str(&text), "group", &a, &file, &problems));
    if (!problems.n) return NULL;
    struct str first, rest;
    str_cut(buf_str(&problems), '\n', &first, &rest);
    return err_new(ERR_INVALID, STR_FMT, STR_ARG(first));
}

err serve_rules_start(struct serve_rules *s) {
    if (!s->engine) return NULL;
    TRY(alert_engine_start(s->engine, RULE_THREADS));
    return thread_start(&s->reader, "rule-files", 0, look_again, s);
}

void serve_rules_stop(struct serve_rules *s) {
    if (!s->engine) return;
    lock_take(&s->lock);
    s->ending = true;
    flag_wake_all(&s->flag);
    lock_give(&s->lock);
    alert_engine_stop(s->engine); /* first: a reload waits for what runs */
    thread_join(s->reader);
}

void serve_rules_close(struct serve_rules *s) {
    alert_engine_free(s->engine);
    notifier_free(s->notifier);
    mem_free(s->folder);
    mem_free(s->external_url);
    flag_done(&s->flag);
    lock_done(&s->lock);
}
