#include "app/serve_rules.h"

#include <stdlib.h>

#include "alert/unit.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/stamp.h"

#define LOOK_NS ((int64_t)5 * 1000000000)
#define SETTLE_NS ((int64_t)1000000000) /* how long files that change must lie still: somebody may be writing them */
enum { RULE_THREADS = 2, PROBLEMS_SHOWN = 900, SETTLE_LOOKS_MAX = 30 };

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

err serve_rules_reload(struct serve_rules *s) {
    struct alert_rules *rules;
    AUTO_BUF struct buf problems;
    buf_init(&problems, MIB);
    lock_take(&s->reading);
    s->seen = look_at_files(s);
    err e = alert_rules_read(s->patterns, s->pattern_n, &rules, &problems);
    if (!e && problems.n)
        e = err_new(ERR_INVALID, "--rules: %.*s", (int)MIN(problems.n - 1, (size_t)PROBLEMS_SHOWN), problems.p);
    if (!e) {
        log_info("rules are read", F_U64("files", rules->files.n), F_U64("rules", rules->rules));
        alert_engine_load_wait(s->engine, STR(""), rules);
    }
    lock_give(&s->reading);
    return e;
}

/* ---- the reader -------------------------------------------------------------------------------------------------- */

/* False: it ends. Lock held. */
static bool pause_until(struct serve_rules *s, int64_t until) {
    while (!s->ending && flag_wait_until(&s->flag, &s->lock, until)) continue;
    return !s->ending;
}

static void look_at_changed_files(struct serve_rules *s) {
    lock_take(&s->reading);
    uint64_t before = s->seen;
    lock_give(&s->reading);
    uint64_t seen = look_at_files(s), now = 0;
    if (seen == before) return;
    for (int i = 0; i < SETTLE_LOOKS_MAX && now != seen; i++) {
        lock_take(&s->lock);
        bool goes_on = pause_until(s, clock_monotonic_ns() + SETTLE_NS);
        lock_give(&s->lock);
        if (!goes_on) return;
        now = seen;
        seen = look_at_files(s);
    }
    err e = serve_rules_reload(s);
    if (e) log_error("changed rules are not taken; those before stay", F_ERR(e));
    err_free(e);
}

static void look_again(void *context) {
    struct serve_rules *s = context;
    int64_t next = clock_monotonic_ns() + LOOK_NS;
    lock_take(&s->lock);
    while (!s->ending) {
        if (!s->rows_changed) {
            flag_wait_until(&s->flag, &s->lock, next);
            if (s->ending) break;
        }
        bool rows = s->rows_changed;
        s->rows_changed = false;
        lock_give(&s->lock);
        err e = rows ? serve_rules_read_rows(s) : NULL;
        if (clock_monotonic_ns() >= next) {
            if (s->pattern_n) look_at_changed_files(s);
            next = clock_monotonic_ns() + LOOK_NS;
        }
        lock_take(&s->lock);
        if (e) { /* the records were busy, or the disk failed */
            log_error("groups of rules could not be read; those before stay", F_ERR(e));
            err_free(e);
            pause_until(s, clock_monotonic_ns() + LOOK_NS);
            s->rows_changed = true;
        }
    }
    lock_give(&s->lock);
}

void serve_rules_changed(void *context) {
    struct serve_rules *s = context;
    lock_take(&s->lock);
    s->rows_changed = true;
    flag_wake_all(&s->flag);
    lock_give(&s->lock);
}

/* ---- around the engine -------------------------------------------------------------------------------------------- */

static int by_name(const void *x, const void *y) {
    return str_compare(((const struct label *)x)->name, ((const struct label *)y)->name);
}

static err read_external_labels(const struct arguments *a, struct serve_rules *s, struct labels *out) {
    uint32_t n = (uint32_t)a->given[OPTION_EXTERNAL_LABEL];
    for (uint32_t i = 0; i < n; i++) {
        struct label *l = &s->external_labels[i];
        struct str text = a->values[OPTION_EXTERNAL_LABEL][i];
        bool pair = str_cut(text, '=', &l->name, &l->value);
        bool good = pair && l->name.n && utf8_is_valid(text) && !str_starts_with(l->name, STR("__"));
        for (size_t k = 0; k < l->name.n; k++) {
            unsigned char c = (unsigned char)l->name.p[k];
            good &= c == '_' || ((c | 32) >= 'a' && (c | 32) <= 'z') || (k && c >= '0' && c <= '9');
        }
        if (!good)
            return err_new(ERR_INVALID, "--external-label: NAME=VALUE, as cluster=eu-1, not \"" STR_FMT "\"",
                           STR_ARG(text));
        for (uint32_t k = 0; k < i; k++)
            if (str_equal(s->external_labels[k].name, l->name))
                return err_new(ERR_INVALID, "--external-label: " STR_FMT " twice", STR_ARG(l->name));
    }
    qsort(s->external_labels, n, sizeof *s->external_labels, by_name);
    *out = (struct labels){s->external_labels, n};
    return NULL;
}

static err open_notifier(const struct arguments *a, struct db *db, struct labels external_labels,
                         struct serve_rules *s) {
    struct notifier_options o = {.external_url = str_of(s->external_url), .external_labels = external_labels, .db = db};
    if (a->given[OPTION_ALERTMANAGER] > NOTIFY_TARGETS_MAX)
        return err_new(ERR_INVALID, "--alertmanager: at most %d", NOTIFY_TARGETS_MAX);
    for (int i = 0; i < a->given[OPTION_ALERTMANAGER]; i++) {
        struct str url = a->values[OPTION_ALERTMANAGER][i];
        if (!str_starts_with(url, STR("http://")) && !str_starts_with(url, STR("https://")))
            return err_new(ERR_INVALID, "--alertmanager: a URL as http://127.0.0.1:9093, not \"" STR_FMT "\"",
                           STR_ARG(url));
        o.urls[o.url_n++] = url;
    }
    return o.url_n ? notifier_new(&o, &s->notifier) : notifier_end_rows(db);
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

err serve_rules_open(const struct arguments *a, const struct serve_rules_world *w, struct serve_rules *s) {
    struct labels external_labels;
    lock_init(&s->lock);
    lock_init(&s->reading);
    flag_init(&s->flag);
    s->catalog = w->catalog;
    for (int i = 0; i < a->given[OPTION_RULE_FILES]; i++)
        s->patterns[s->pattern_n++] =
            a->values[OPTION_RULE_FILES][i].p; /* of argv or the environment: they end with a zero */
    s->external_url = external_url_of(a);
    TRY(read_external_labels(a, s, &external_labels));
    TRY(open_notifier(a, w->db, external_labels, s));
    TRY(alert_records_open(w->db, s->notifier, &s->records));
    s->engine = alert_engine_new(&(struct alert_options){.watch = s->watch,
                                                         .store = w->store,
                                                         .budget = w->budget,
                                                         .append_wait = alert_append_wait,
                                                         .append_context = w->ingest,
                                                         .keeper = alert_records_keeper(s->records),
                                                         .send = s->notifier ? notifier_send : NULL,
                                                         .send_context = s->notifier,
                                                         .external_labels = external_labels,
                                                         .external_url = str_of(s->external_url)});
    if (s->pattern_n) TRY(serve_rules_reload(s));
    TRY(serve_rules_read_rows(s));
    return NULL;
}

err serve_rules_start(struct serve_rules *s) {
    alert_engine_forget_wait(s->engine);
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
    alert_records_close(s->records);
    notifier_free(s->notifier);
    for (size_t i = 0; i < s->rows.n; i++) mem_free(s->rows.v[i].source);
    vec_done(&s->rows);
    mem_free(s->external_url);
    flag_done(&s->flag);
    lock_done(&s->lock);
    lock_done(&s->reading);
}
