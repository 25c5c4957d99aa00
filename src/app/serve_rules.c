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
    if (s->scrape_config) err_free(add_stamp(&seen, s->scrape_config));
    for (size_t i = 0; i < s->pattern_n; i++) err_free(rules_glob(s->patterns[i], add_stamp, &seen));
    return seen;
}

bool serve_rules_has_files(const struct serve_rules *s) { return s->own_n || s->scrape_config; }

/* Those of the file, in place of those that it said before. A file that cannot be read is the scraper's to tell; what it said stays. */
static void take_rule_files(struct serve_rules *s) {
    struct scrape_config *c = NULL;
    err e = s->scrape_config ? scrape_config_read(s->scrape_config, &c) : NULL;
    if (e || !c) {
        err_free(e);
        return;
    }
    const struct scrape_alerting *a = scrape_config_alerting(c);
    for (size_t i = 0; i < a->rule_file_n; i++) s->patterns[s->own_n + i] = a->rule_files[i];
    s->pattern_n = s->own_n + a->rule_file_n;
    scrape_config_unref(s->config);
    s->config = c;
}

/* Prometheus takes a path of rule_files for a pattern: one that is not there matches nothing. */
static size_t patterns_there(const struct serve_rules *s, const char **out) {
    size_t n = 0;
    for (size_t i = 0; i < s->pattern_n; i++) {
        struct path_stamp stamp;
        err e = i < s->own_n || strpbrk(s->patterns[i], "*?[") ? NULL : path_stamp_read(s->patterns[i], &stamp);
        if (e)
            log_warn("rule_files names a file that is not there", F_TEXT("file", s->patterns[i]));
        else
            out[n++] = s->patterns[i];
        err_free(e);
    }
    return n;
}

static bool alerting_is_equal(const struct scrape_alerting *x, const struct scrape_alerting *y) {
    bool equal = x->url_n == y->url_n && x->interval_ns == y->interval_ns && x->query_offset_ns == y->query_offset_ns;
    for (size_t i = 0; equal && i < x->url_n; i++) equal = str_equal(x->urls[i], y->urls[i]);
    return equal && label_set_equal((struct labels){x->labels, x->label_n}, (struct labels){y->labels, y->label_n});
}

err serve_rules_reload(struct serve_rules *s) {
    struct alert_rules *rules;
    AUTO_BUF struct buf problems;
    const char *patterns[LENGTH(s->patterns)];
    buf_init(&problems, MIB);
    lock_take(&s->reading);
    take_rule_files(s);
    s->seen = look_at_files(s);
    err e = alert_rules_read(patterns, patterns_there(s, patterns), &rules, &problems);
    if (s->config && !alerting_is_equal(scrape_config_alerting(s->at_start), scrape_config_alerting(s->config)))
        log_warn("changed alertmanagers, external_labels and times of rules in the scrape configuration hold after a "
                 "restart");
    if (!e && problems.n)
        e = err_new(ERR_INVALID, "rules: %.*s", (int)MIN(problems.n - 1, (size_t)PROBLEMS_SHOWN), problems.p);
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
    uint64_t before = s->seen, seen = look_at_files(s), now = 0;
    lock_give(&s->reading);
    if (seen == before) return;
    for (int i = 0; i < SETTLE_LOOKS_MAX && now != seen; i++) {
        lock_take(&s->lock);
        bool goes_on = pause_until(s, clock_monotonic_ns() + SETTLE_NS);
        lock_give(&s->lock);
        if (!goes_on) return;
        now = seen;
        lock_take(&s->reading);
        seen = look_at_files(s);
        lock_give(&s->reading);
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
            if (serve_rules_has_files(s)) look_at_changed_files(s);
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
    const struct scrape_alerting *file = s->at_start ? scrape_config_alerting(s->at_start) : NULL;
    for (uint32_t i = 0, given = n; file && i < file->label_n; i++) {
        bool is_given = false;
        for (uint32_t k = 0; k < given; k++) is_given |= str_equal(s->external_labels[k].name, file->labels[i].name);
        if (!is_given) s->external_labels[n++] = file->labels[i];
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
    const struct scrape_alerting *file = s->at_start ? scrape_config_alerting(s->at_start) : NULL;
    for (size_t i = 0; file && i < file->url_n; i++) {
        bool is_given = false;
        for (size_t k = 0; k < o.url_n; k++) is_given |= str_equal(o.urls[k], file->urls[i]);
        if (!is_given && o.url_n == NOTIFY_TARGETS_MAX)
            return err_new(ERR_INVALID, "--alertmanager and those of --scrape-config: at most %d", NOTIFY_TARGETS_MAX);
        if (!is_given) o.urls[o.url_n++] = file->urls[i];
    }
    return o.url_n ? notifier_new(&o, &s->notifier) : notifier_end_rows(db);
}

static char *external_url_of(const struct arguments *a) {
    struct str given = argument_text(a, OPTION_EXTERNAL_URL);
    while (given.n && given.p[given.n - 1] == '/') given.n--; /* a path is put behind it */
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
        s->patterns[s->own_n++] =
            a->values[OPTION_RULE_FILES][i].p; /* of argv or the environment: they end with a zero */
    s->pattern_n = s->own_n;
    s->scrape_config = *w->scrape_config ? w->scrape_config : NULL;
    if (s->scrape_config)
        TRY(argument_blame(a, OPTION_SCRAPE_CONFIG, scrape_config_read(s->scrape_config, &s->at_start)));
    const struct scrape_alerting *file = s->at_start ? scrape_config_alerting(s->at_start) : NULL;
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
                                                         .interval_ns = file ? file->interval_ns : 0,
                                                         .query_offset_ns = file ? file->query_offset_ns : 0,
                                                         .external_url = str_of(s->external_url)});
    if (serve_rules_has_files(s)) TRY(serve_rules_reload(s));
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
    scrape_config_unref(s->config);
    scrape_config_unref(s->at_start);
    flag_done(&s->flag);
    lock_done(&s->lock);
    lock_done(&s->reading);
}
