/* Which rules there are: groups come, are replaced while others run, and go. */
#include "alert/alert_priv.h"

#include "base/hash.h"
#include "base/log.h"

/* ---- making ------------------------------------------------------------------------------------------------------ */

bool expr_may_read(const struct promql_node *expr, const struct strings *names) {
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
            names.n && (expr_may_read(r->def->expr, &names) || (r->def->is_alert && asks_in_templates(r->def)));
        if (!r->def->is_alert) {
            strings_intern(&names, r->def->name);
        } else {
            strings_intern(&names, STR("ALERTS"));
            strings_intern(&names, STR("ALERTS_FOR_STATE"));
        }
    }
    strings_done(&names);
}

int64_t group_first_due(const struct alert_group *g, int64_t now) {
    int64_t offset = (int64_t)(hash_bytes(g->key, strlen(g->key)) % (uint64_t)g->interval_ns);
    int64_t due = (now - offset) / g->interval_ns * g->interval_ns + offset;
    return due < now ? due + g->interval_ns : due;
}

/* A row is known by its path alone: it may get another name. */
static char *key_of(const struct alert_group *g, const struct rule_file *file) {
    struct buf key;
    buf_init(&key, 16 * KIB);
    buf_add_fmt(&key, "%s%c" STR_FMT, g->tenant, ALERT_KEY_SEPARATOR, STR_ARG(g->def->file));
    if (!file->is_row) buf_add_fmt(&key, "%c" STR_FMT, ALERT_KEY_SEPARATOR, STR_ARG(g->def->name));
    char *text = str_dup(buf_str(&key));
    buf_done(&key);
    return text;
}

static struct alert_group *make_group(struct alert_engine *e, const char *source, const struct rule_file *file,
                                      const struct rule_group *def) {
    struct alert_group *g = mem_new_of(struct alert_group);
    *g = (struct alert_group){.def = def,
                              .source = source,
                              .tenant = file->tenant.n ? file->tenant.p : e->options.tenant.p,
                              .problem = file->problem.n ? file->problem.p : NULL,
                              .n = def->n,
                              .interval_ns = def->interval_ns,
                              .offset_ns = def->query_offset_ns};
    g->key = key_of(g, file);
    if (!g->interval_ns) g->interval_ns = e->options.interval_ns;
    if (g->offset_ns < 0) g->offset_ns = e->options.query_offset_ns;
    g->rules = mem_new_array(struct alert_rule, def->n + 1);
    for (size_t i = 0; i < def->n; i++) g->rules[i].def = &def->rules[i];
    g->next_ns = group_first_due(g, e->options.wall_ns());
    find_readers(g);
    return g;
}

/* ---- what stays --------------------------------------------------------------------------------------------------- */

static bool rules_are_equal(const struct rule *x, const struct rule *y) {
    if (x->is_alert != y->is_alert || !str_equal(x->name, y->name) || !str_equal(x->text, y->text) ||
        x->for_ns != y->for_ns || x->keep_firing_ns != y->keep_firing_ns)
        return false;
    return promql_labels_compare(x->labels, y->labels) == 0 &&
           promql_labels_compare(x->annotations, y->annotations) == 0;
}

static bool groups_are_equal(const struct alert_group *x, const struct alert_group *y) {
    if (x->interval_ns != y->interval_ns || x->offset_ns != y->offset_ns || x->n != y->n ||
        x->def->limit != y->def->limit || (x->problem != NULL) != (y->problem != NULL))
        return false;
    for (size_t i = 0; i < x->n; i++)
        if (!rules_are_equal(x->rules[i].def, y->rules[i].def)) return false;
    return true;
}

/* States of rules that stay go over; each is taken once. */
static void take_over(struct alert_group *old, struct alert_group *new) {
    for (size_t i = 0; i < new->n; i++) {
        const struct rule *def = new->rules[i].def;
        for (size_t k = 0; k < old->n; k++) {
            struct alert_rule *r =
                &old->rules[old->n == new->n ? (i + k) % old->n : k]; /* mostly it is the same place */
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
    new->evaluated_ns = old->evaluated_ns;
    new->took_ns = old->took_ns;
    new->kept = old->kept;
    new->series_changed = old->series_changed;
    new->restored_ns = old->restored_ns;
    if (old->interval_ns == new->interval_ns && !old->problem) new->next_ns = old->next_ns;
}

/* ---- what goes ---------------------------------------------------------------------------------------------------- */

struct ending {
    VEC(struct alert_notice) notices;
};

/* What the rules that are left in a group wrote ends now, and what they fired is resolved. */
static void end_rules(struct alert_engine *e, struct alert_group *g, struct ending *x) {
    struct samples_out out;
    int64_t wall = e->options.wall_ns(), now = series_floor_ms(wall);
    int64_t last = series_floor_ms(g->at_ns - g->offset_ns); /* that time has a sample */
    samples_out_init(&out);
    for (size_t i = 0; i < g->n; i++) {
        const struct alert_rule *r = &g->rules[i];
        rule_end_series(r, MAX(now, last + 1), &out);
        for (size_t k = 0; k < r->alerts.n; k++) {
            const struct alert *a = r->alerts.v[k];
            if (a->state != ALERT_FIRING || !a->sent_ns) continue;
            *vec_push(&x->notices) = (struct alert_notice){.labels = a->labels,
                                                           .annotations = a->annotations,
                                                           .starts_ns = a->fired_ns,
                                                           .ends_ns = MAX(wall, a->fired_ns),
                                                           .expr = r->def->text,
                                                           .tenant = str_of(g->tenant)};
        }
    }
    if (samples_out_count(&out)) {
        err failed =
            e->options.append_wait(e->options.append_context, str_of(g->tenant), points_builder_finish(&out.b));
        if (failed) log_warn("series of rules that are no more could not be ended", F_ERR(failed));
        err_free(failed);
    }
    samples_out_done(&out);
}

static void drop_rules(struct alert_group *g) {
    for (size_t i = 0; i < g->n; i++) alert_rule_done(&g->rules[i]);
    g->n = 0;
}

/* The group is no more: nothing of it is kept, and what it fired is resolved. */
static void end_group(struct alert_engine *e, struct alert_group *g) {
    struct ending x = {0};
    end_rules(e, g, &x);
    struct alert_group empty = *g;
    empty.n = 0;
    empty.kept = empty.series_changed = true;
    group_save(e, &empty, x.notices.v, x.notices.n);
    vec_done(&x.notices);
    drop_rules(g);
}

/* ---- loading ------------------------------------------------------------------------------------------------------ */

struct load {
    struct alert_engine *e;
    struct strings keys; /* of the old groups */
    VEC(struct alert_group *) old, new;
    VEC(struct alert_group *) before; /* new's: which old group it takes over from, or NULL */
};

static struct alert_source *source_of(struct alert_engine *e, struct str name) {
    size_t at = 0;
    while (at < e->sources.n && str_compare(str_of(e->sources.v[at].name), name) < 0) at++;
    if (at < e->sources.n && str_equal(str_of(e->sources.v[at].name), name)) return &e->sources.v[at];
    vec_push(&e->sources);
    memmove(&e->sources.v[at + 1], &e->sources.v[at], (e->sources.n - 1 - at) * sizeof *e->sources.v);
    e->sources.v[at] = (struct alert_source){.name = str_dup(name)};
    return &e->sources.v[at];
}

/* Those that are replaced begin no more; those that become others or go end at once. Lock held. */
static void ask_to_leave(struct load *l, const char *source) {
    struct alert_engine *e = l->e;
    uint32_t at;
    for (size_t i = 0; i < e->groups.n; i++) {
        struct alert_group *g = e->groups.v[i];
        if (strcmp(g->source, source) != 0) continue;
        *vec_push(&l->old) = g;
        strings_intern(&l->keys, str_of(g->key));
        g->leaving = true;
    }
    bool *stays = mem_new_array(bool, l->old.n + 1);
    for (size_t i = 0; i < l->new.n; i++) {
        struct alert_group *before = strings_find(&l->keys, str_of(l->new.v[i]->key), &at) ? l->old.v[at] : NULL;
        *vec_push(&l->before) = before;
        if (before) stays[at] = groups_are_equal(before, l->new.v[i]);
    }
    for (size_t i = 0; i < l->old.n; i++)
        if (!stays[i]) atomic_store(&l->old.v[i]->cancel, true);
    mem_free(stays);
}

static bool any_runs(const struct load *l) {
    for (size_t i = 0; i < l->old.n; i++)
        if (l->old.v[i]->running) return true;
    return false;
}

/* Lock held. */
static void put_in_place(struct load *l, const char *source) {
    struct alert_engine *e = l->e;
    VEC(struct alert_group *) all = {0};
    size_t i = 0;
    for (; i < e->groups.n && strcmp(e->groups.v[i]->source, source) < 0; i++) *vec_push(&all) = e->groups.v[i];
    for (size_t k = 0; k < l->new.n; k++) *vec_push(&all) = l->new.v[k];
    for (; i < e->groups.n; i++)
        if (strcmp(e->groups.v[i]->source, source) != 0) *vec_push(&all) = e->groups.v[i];
    vec_done(&e->groups);
    for (size_t k = 0; k < all.n; k++) *vec_push(&e->groups) = all.v[k];
    vec_done(&all);
}

/* Groups that stay, but have lost a rule: what is kept of them is without it before anybody evaluates them. */
static void end_left_rules(struct load *l) {
    for (size_t i = 0; i < l->new.n; i++) {
        struct alert_group *before = l->before.v[i];
        struct ending x = {0};
        bool any = false;
        for (size_t k = 0; before && k < before->n; k++) any |= before->rules[k].def != NULL;
        if (!any) continue;
        end_rules(l->e, before, &x);
        l->new.v[i]->series_changed = true;
        group_save(l->e, l->new.v[i], x.notices.v, x.notices.n);
        vec_done(&x.notices);
        drop_rules(before);
    }
}

static void end_left_groups(struct load *l) {
    for (size_t i = 0; i < l->old.n; i++) {
        bool goes_on = false;
        for (size_t k = 0; k < l->new.n && !goes_on; k++) goes_on = l->before.v[k] == l->old.v[i];
        if (!goes_on) end_group(l->e, l->old.v[i]);
    }
}

static void replace(struct load *l, const char *source) {
    struct alert_engine *e = l->e;
    lock_take(&e->lock);
    ask_to_leave(l, source);
    lock_give(&e->lock);
    for (size_t i = 0; i < l->new.n; i++)
        if ((!l->before.v[i] || l->before.v[i]->problem) && !l->new.v[i]->problem) group_restore(e, l->new.v[i]);
    lock_take(&e->lock);
    while (any_runs(l)) flag_wait(&e->changed, &e->lock);
    for (size_t i = 0; i < l->new.n; i++) {
        if (l->before.v[i] && !l->before.v[i]->problem) take_over(l->before.v[i], l->new.v[i]);
        l->new.v[i]->running = true; /* until what goes has ended */
    }
    put_in_place(l, source);
    lock_give(&e->lock);
    end_left_rules(l);
    end_left_groups(l);
    lock_take(&e->lock);
    for (size_t i = 0; i < l->new.n; i++) l->new.v[i]->running = false;
    flag_wake_all(&e->changed);
    lock_give(&e->lock);
}

void alert_engine_load_wait(struct alert_engine *e, struct str source, struct alert_rules *rules) {
    struct load l = {.e = e};
    lock_take(&e->loads);
    strings_init(&l.keys);
    struct alert_source *s = source_of(e, source);
    struct alert_rules *old_rules = s->rules;
    s->rules = rules;
    for (size_t f = 0; rules && f < rules->files.n; f++)
        for (size_t g = 0; g < rules->files.v[f].n; g++)
            *vec_push(&l.new) = make_group(e, s->name, &rules->files.v[f], &rules->files.v[f].groups[g]);
    replace(&l, s->name);
    for (size_t i = 0; i < l.old.n; i++) alert_group_free(l.old.v[i]);
    alert_rules_free(old_rules);
    if (!rules) { /* of the name no group is left */
        mem_free(s->name);
        memmove(s, s + 1, (size_t)(e->sources.v + e->sources.n - (s + 1)) * sizeof *s);
        e->sources.n--;
    }
    vec_done(&l.old);
    vec_done(&l.new);
    vec_done(&l.before);
    strings_done(&l.keys);
    lock_give(&e->loads);
}

void alert_engine_forget_wait(struct alert_engine *e) {
    struct strings names;
    lock_take(&e->loads);
    strings_init(&names);
    for (size_t i = 0; i < e->groups.n; i++) strings_intern(&names, str_of(e->groups.v[i]->key));
    groups_forget(e, &names, end_group);
    strings_done(&names);
    lock_give(&e->loads);
}
