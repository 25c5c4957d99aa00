/* When groups are due, and who evaluates them. */
#include "alert/alert_priv.h"

#include "base/log.h"
#include "os/clock.h"
#include "os/file.h"

const char *const alert_state_names[3] = {"inactive", "pending", "firing"};
const char *const rule_health_names[3] = {"unknown", "ok", "err"};

/* ---- rules that belong together ---------------------------------------------------------------------------------- */

struct reading {
    struct alert_rules *rules;
    struct strings *seen;
    struct buf *problems;
};

static err read_file(void *context, const char *path) {
    struct reading *r = context;
    struct buf text;
    uint32_t before = r->seen->n;
    strings_intern(r->seen, str_of(path));
    if (r->seen->n == before) return NULL; /* two patterns, one file */
    err e = file_read_all(path, RULE_FILE_BYTES_MAX, &text);
    if (e) {
        buf_add_fmt(r->problems, "%s\n", err_text(e));
        err_free(e);
        return NULL;
    }
    struct rule_file *file = vec_push(&r->rules->files);
    e = rules_read(buf_str(&text), path, &r->rules->a, file, r->problems);
    r->rules->rules += file->rules;
    buf_done(&text);
    return e;
}

struct alert_rules *alert_rules_new(void) {
    struct alert_rules *rules = mem_new_of(struct alert_rules);
    arena_init(&rules->a, (size_t)1 << 30);
    return rules;
}

err alert_rules_read(const char *const *patterns, size_t n, struct alert_rules **out, struct buf *problems) {
    struct alert_rules *rules = alert_rules_new();
    struct strings seen;
    err e = NULL;
    size_t before = problems->n;
    strings_init(&seen);
    struct reading r = {rules, &seen, problems};
    for (size_t i = 0; i < n && !e; i++) {
        e = rules_glob(patterns[i], read_file, &r);
        if (e && err_kind(e) != ERR_LIMIT) {
            buf_add_fmt(problems, "%s: %s\n", patterns[i], err_text(e));
            err_free(e);
            e = NULL;
        }
    }
    strings_done(&seen);
    if (!e && problems->n == before) {
        *out = rules;
        return NULL;
    }
    alert_rules_free(rules);
    return e;
}

void alert_rules_free(struct alert_rules *r) {
    if (!r) return;
    vec_done(&r->files);
    arena_done(&r->a);
    mem_free(r);
}

/* ---- the engine -------------------------------------------------------------------------------------------------- */

struct alert_engine *alert_engine_new(const struct alert_options *options) {
    struct alert_engine *e = mem_new_of(struct alert_engine);
    e->options = *options;
    struct alert_options *o = &e->options;
    if (!o->tenant.n) o->tenant = STR("default");
    if (!o->interval_ns) o->interval_ns = ALERT_INTERVAL_NS;
    if (!o->resend_ns) o->resend_ns = ALERT_RESEND_NS;
    if (!o->wall_ns) o->wall_ns = clock_wall_ns;
    lock_init(&e->loads);
    lock_init(&e->lock);
    flag_init(&e->changed);
    return e;
}

void alert_rule_done(struct alert_rule *r) {
    for (size_t i = 0; i < r->alerts.n; i++) alert_free(r->alerts.v[i]);
    vec_done(&r->alerts);
    series_set_free(r->written);
    mem_free(r->error);
}

void alert_group_free(struct alert_group *g) {
    if (!g) return;
    for (size_t i = 0; i < g->n; i++) alert_rule_done(&g->rules[i]);
    mem_free(g->rules);
    mem_free(g->key);
    mem_free(g);
}

void alert_engine_free(struct alert_engine *e) {
    if (!e) return;
    alert_engine_stop(e);
    for (size_t i = 0; i < e->groups.n; i++) alert_group_free(e->groups.v[i]);
    for (size_t i = 0; i < e->sources.n; i++) {
        mem_free(e->sources.v[i].name);
        alert_rules_free(e->sources.v[i].rules);
    }
    vec_done(&e->groups);
    vec_done(&e->sources);
    flag_done(&e->changed);
    lock_done(&e->lock);
    lock_done(&e->loads);
    mem_free(e);
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static size_t running_of(const struct alert_engine *e, const struct alert_group *g) {
    size_t n = 0;
    for (size_t i = 0; i < e->groups.n; i++)
        n += e->groups.v[i]->running && strcmp(e->groups.v[i]->tenant, g->tenant) == 0;
    return n;
}

/* The group that is due first, of a tenant that has as few running as may be: no tenant has all threads while another waits. *out_next: when one
 * is due; INT64_MAX: there is none. NULL: not now. Lock held. */
static struct alert_group *next_group(struct alert_engine *e, int64_t now, int64_t *out_next) {
    struct alert_group *first = NULL;
    size_t first_running = 0;
    *out_next = INT64_MAX;
    for (size_t i = 0; i < e->groups.n; i++) {
        struct alert_group *g = e->groups.v[i];
        if (g->running || g->leaving || g->problem) continue;
        if (g->next_ns > now && g->next_ns - now > g->interval_ns) g->next_ns = group_first_due(g, now); /* set back */
        *out_next = MIN(*out_next, g->next_ns);
        if (g->next_ns > now || (first && g->next_ns >= first->next_ns && !first_running)) continue;
        size_t running = running_of(e, g);
        if (first && (running > first_running || (running == first_running && g->next_ns >= first->next_ns))) continue;
        first = g;
        first_running = running;
    }
    return first;
}

/* Takes a group that is due; what of its times went by unseen is counted. Lock held. */
static bool take_due(struct alert_engine *e, struct alert_group **out, int64_t *out_ts, int64_t *out_next) {
    int64_t now = e->options.wall_ns();
    struct alert_group *g = next_group(e, now, out_next);
    if (!g) return false;
    int64_t missed = (now - g->next_ns) / g->interval_ns;
    g->missed += (uint64_t)missed;
    *out_ts = g->next_ns + missed * g->interval_ns;
    g->next_ns = *out_ts + g->interval_ns;
    g->running = true;
    *out = g;
    return true;
}

static void tell(struct alert_engine *e, const struct alert_group *g, int64_t began_ns) {
    const char *why = NULL;
    uint64_t failed = 0;
    for (size_t i = 0; i < g->n; i++) {
        if (g->rules[i].health != RULE_ERR) continue;
        if (!failed++) why = g->rules[i].error;
    }
    const struct log_field fields[] = {F_STR("group", g->def->name), F_U64("rules", g->n), F_U64("failed", failed)};
    work_tell(&e->options.watch, "rules", clock_monotonic_ns() - began_ns, failed ? why ? why : "" : NULL, fields,
              LENGTH(fields));
}

static void run_group(struct alert_engine *e, struct alert_group *g, int64_t ts) {
    int64_t began = clock_monotonic_ns();
    group_evaluate_wait(e, g, ts);
    tell(e, g, began);
    lock_take(&e->lock);
    g->running = false;
    flag_wake_all(&e->changed);
    lock_give(&e->lock);
}

int64_t alert_engine_step_wait(struct alert_engine *e) {
    struct alert_group *g;
    int64_t ts, next;
    for (;;) {
        lock_take(&e->lock);
        bool due = take_due(e, &g, &ts, &next);
        lock_give(&e->lock);
        if (!due) return next;
        run_group(e, g, ts);
    }
}

void alert_engine_evaluate_wait(struct alert_engine *e, size_t group, int64_t ts_ns) {
    group_evaluate_wait(e, e->groups.v[group], ts_ns);
}

static void work(void *context) {
    struct alert_engine *e = context;
    lock_take(&e->lock);
    while (!e->stopping) {
        struct alert_group *g;
        int64_t ts, next;
        if (take_due(e, &g, &ts, &next)) {
            lock_give(&e->lock);
            run_group(e, g, ts);
            lock_take(&e->lock);
            continue;
        }
        if (next == INT64_MAX) {
            flag_wait(&e->changed, &e->lock);
            continue;
        }
        int64_t wait = next - e->options.wall_ns();
        wait = MIN(MAX(wait, 1000000), (int64_t)1000000000); /* the wall clock may be set meanwhile */
        flag_wait_until(&e->changed, &e->lock, clock_monotonic_ns() + wait);
    }
    lock_give(&e->lock);
}

err alert_engine_start(struct alert_engine *e, size_t threads) {
    for (; e->thread_n < MIN(threads, (size_t)ALERT_THREADS_MAX); e->thread_n++)
        TRY(thread_start(&e->threads[e->thread_n], "rules", 0, work, e));
    return NULL;
}

void alert_engine_stop(struct alert_engine *e) {
    lock_take(&e->lock);
    e->stopping = true;
    for (size_t i = 0; i < e->groups.n; i++) atomic_store(&e->groups.v[i]->cancel, true);
    flag_wake_all(&e->changed);
    lock_give(&e->lock);
    for (size_t i = 0; i < e->thread_n; i++) thread_join(e->threads[i]);
    e->thread_n = 0;
    e->stopping = false;
    for (size_t i = 0; i < e->groups.n; i++) atomic_store(&e->groups.v[i]->cancel, false);
}

/* ---- looking ----------------------------------------------------------------------------------------------------- */

enum alert_state alert_rule_state(const struct alert_rule *r) {
    enum alert_state state = ALERT_INACTIVE;
    for (size_t i = 0; i < r->alerts.n; i++) state = MAX(state, r->alerts.v[i]->state);
    return state;
}

void alert_engine_look(struct alert_engine *e,
                       void (*fn)(void *context, const struct alert_group *const *groups, size_t n), void *context) {
    lock_take(&e->lock);
    fn(context, (const struct alert_group *const *)e->groups.v, e->groups.n);
    lock_give(&e->lock);
}
