/* Which rules there are, and when their groups are due. */
#include "alert/alert_priv.h"

#include "base/hash.h"
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

err alert_rules_read(const char *const *patterns, size_t n, struct alert_rules **out, struct buf *problems) {
    struct alert_rules *rules = mem_new_of(struct alert_rules);
    struct strings seen;
    err e = NULL;
    size_t before = problems->n;
    arena_init(&rules->a, (size_t)1 << 30);
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

static void groups_free(struct alert_group *groups, size_t n) {
    for (size_t g = 0; g < n; g++) {
        for (size_t i = 0; i < groups[g].n; i++) alert_rule_done(&groups[g].rules[i]);
        mem_free(groups[g].rules);
        mem_free(groups[g].key);
    }
    mem_free(groups);
}

void alert_engine_free(struct alert_engine *e) {
    if (!e) return;
    alert_engine_stop(e);
    groups_free(e->groups, e->n);
    alert_rules_free(e->rules);
    flag_done(&e->changed);
    lock_done(&e->lock);
    mem_free(e);
}

/* ---- loading ----------------------------------------------------------------------------------------------------- */

/* Whether an expression may read a series of one of these names. */
static bool may_read(const struct promql_node *expr, const struct strings *names) {
    const struct promql_matcher *m;
    size_t n;
    uint32_t id;
    for (size_t i = 0; promql_selector_at(expr, i, &m, &n); i++) {
        bool named = false;
        for (size_t k = 0; k < n; k++) {
            if (!str_equal(m[k].name, METRIC_NAME) || m[k].op != MATCHER_EQUAL) continue;
            named = true;
            if (strings_find(names, m[k].value, &id)) return true;
        }
        if (!named) return true;
    }
    return false;
}

static bool asks_in_templates(const struct rule *r) {
    for (int k = 0; k < 2; k++) {
        struct labels l = k ? r->annotations : r->labels;
        for (uint32_t i = 0; i < l.n; i++)
            if (str_contains(l.v[i].value, STR("query"))) return true;
    }
    return false;
}

static void find_readers(struct alert_group *g) {
    struct strings names;
    strings_init(&names);
    for (size_t i = 0; i < g->n; i++) {
        struct alert_rule *r = &g->rules[i];
        r->reads_before =
            names.n && (may_read(r->def->expr, &names) || (r->def->is_alert && asks_in_templates(r->def)));
        if (!r->def->is_alert) {
            strings_intern(&names, r->def->name);
        } else {
            strings_intern(&names, STR("ALERTS"));
            strings_intern(&names, STR("ALERTS_FOR_STATE"));
        }
    }
    strings_done(&names);
}

/* The first time at or after `now` at which the group is due: all times of a group are a fixed part of its interval away from its multiples. */
static int64_t first_due(const struct alert_group *g, int64_t now) {
    int64_t offset = (int64_t)(hash_bytes(g->key, strlen(g->key)) % (uint64_t)g->interval_ns);
    int64_t due = (now - offset) / g->interval_ns * g->interval_ns + offset;
    return due < now ? due + g->interval_ns : due;
}

static void make_group(struct alert_engine *e, const struct rule_group *def, struct alert_group *g) {
    struct buf key;
    buf_init(&key, 16 * KIB);
    buf_add_fmt(&key, STR_FMT ";" STR_FMT, STR_ARG(def->file), STR_ARG(def->name));
    *g = (struct alert_group){
        .def = def, .n = def->n, .interval_ns = def->interval_ns, .offset_ns = def->query_offset_ns};
    g->key = str_dup(buf_str(&key));
    buf_done(&key);
    if (!g->interval_ns) g->interval_ns = e->options.interval_ns;
    if (g->offset_ns < 0) g->offset_ns = e->options.query_offset_ns;
    g->rules = mem_new_array(struct alert_rule, def->n + 1);
    for (size_t i = 0; i < def->n; i++) g->rules[i].def = &def->rules[i];
    g->next_ns = first_due(g, e->options.wall_ns());
    find_readers(g);
}

/* States of rules that stay go over; each is taken once. */
static void take_over(struct alert_group *old, struct alert_group *new) {
    for (size_t i = 0; i < new->n; i++) {
        const struct rule *def = new->rules[i].def;
        for (size_t k = 0; k < old->n; k++) {
            struct alert_rule *r = &old->rules[k];
            if (!r->def || r->def->is_alert != def->is_alert || !str_equal(r->def->name, def->name) ||
                promql_labels_compare(r->def->labels, def->labels) != 0)
                continue;
            bool reads = new->rules[i].reads_before;
            new->rules[i] = *r;
            new->rules[i].def = def;
            new->rules[i].reads_before = reads;
            *r = (struct alert_rule){0};
            break;
        }
    }
    new->iterations = old->iterations;
    new->missed = old->missed;
    new->at_ns = old->at_ns;
    new->kept = old->kept;
    new->restored_ns = old->restored_ns;
    if (old->interval_ns == new->interval_ns) new->next_ns = old->next_ns;
}

/* What rules wrote that are no more, ends now. */
static void end_rest(struct alert_engine *e, struct alert_group *groups, size_t n) {
    struct samples_out out;
    samples_out_init(&out);
    int64_t now = series_floor_ms(e->options.wall_ns());
    for (size_t g = 0; g < n; g++) {
        int64_t last = series_floor_ms(groups[g].at_ns - groups[g].offset_ns); /* that time has a sample */
        for (size_t i = 0; i < groups[g].n; i++) rule_end_series(&groups[g].rules[i], MAX(now, last + 1), &out);
    }
    if (samples_out_count(&out)) {
        err failed =
            e->options.append_wait(e->options.append_context, e->options.tenant, points_builder_finish(&out.b));
        if (failed) log_warn("series of rules that are no more could not be ended", F_ERR(failed));
        err_free(failed);
    }
    samples_out_done(&out);
}

void alert_engine_load_wait(struct alert_engine *e, struct alert_rules *rules) {
    size_t n = 0, old_n;
    struct strings keys;
    for (size_t f = 0; f < rules->files.n; f++) n += rules->files.v[f].n;
    struct alert_group *groups = mem_new_array(struct alert_group, n + 1), *old;
    n = 0;
    for (size_t f = 0; f < rules->files.n; f++)
        for (size_t g = 0; g < rules->files.v[f].n; g++) make_group(e, &rules->files.v[f].groups[g], &groups[n++]);
    lock_take(&e->lock);
    e->loading = true;
    while (e->running) flag_wait(&e->changed, &e->lock);
    old = e->groups;
    old_n = e->n;
    strings_init(&keys);
    for (size_t i = 0; i < old_n; i++) strings_intern(&keys, str_of(old[i].key));
    for (size_t i = 0; i < n; i++) {
        uint32_t at;
        if (strings_find(&keys, str_of(groups[i].key), &at))
            take_over(&old[at], &groups[i]);
        else
            group_restore(e, &groups[i]);
    }
    strings_done(&keys);
    struct alert_rules *old_rules = e->rules;
    e->rules = rules;
    e->groups = groups;
    e->n = n;
    e->loading = false;
    flag_wake_all(&e->changed);
    lock_give(&e->lock);
    end_rest(e, old, old_n);
    groups_free(old, old_n);
    alert_rules_free(old_rules);
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

/* The group that is due first, not running; NULL: there is none. Lock held. */
static struct alert_group *next_group(struct alert_engine *e) {
    struct alert_group *first = NULL;
    for (size_t i = 0; i < e->n; i++)
        if (!e->groups[i].running && (!first || e->groups[i].next_ns < first->next_ns)) first = &e->groups[i];
    return first;
}

/* Takes a group that is due; what of its times went by unseen is counted. Lock held. */
static bool take_due(struct alert_engine *e, struct alert_group **out, int64_t *out_ts, int64_t *out_next) {
    int64_t now = e->options.wall_ns();
    struct alert_group *g = e->loading ? NULL : next_group(e);
    *out_next = g ? g->next_ns : INT64_MAX;
    if (!g || g->next_ns > now) return false;
    int64_t missed = (now - g->next_ns) / g->interval_ns;
    g->missed += (uint64_t)missed;
    *out_ts = g->next_ns + missed * g->interval_ns;
    g->next_ns = *out_ts + g->interval_ns;
    g->running = true;
    e->running++;
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
    e->running--;
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
    group_evaluate_wait(e, &e->groups[group], ts_ns);
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
        int64_t wait = next == INT64_MAX ? (int64_t)60 * 1000000000 : next - e->options.wall_ns();
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
    atomic_store(&e->cancel, true);
    flag_wake_all(&e->changed);
    lock_give(&e->lock);
    for (size_t i = 0; i < e->thread_n; i++) thread_join(e->threads[i]);
    e->thread_n = 0;
    e->stopping = false;
    atomic_store(&e->cancel, false);
}

/* ---- looking ----------------------------------------------------------------------------------------------------- */

enum alert_state alert_rule_state(const struct alert_rule *r) {
    enum alert_state state = ALERT_INACTIVE;
    for (size_t i = 0; i < r->alerts.n; i++) state = MAX(state, r->alerts.v[i]->state);
    return state;
}

void alert_engine_look(struct alert_engine *e, void (*fn)(void *context, const struct alert_group *groups, size_t n),
                       void *context) {
    lock_take(&e->lock);
    fn(context, e->groups, e->n);
    lock_give(&e->lock);
}
