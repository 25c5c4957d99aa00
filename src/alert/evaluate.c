/* One evaluation of a group: its rules in order, what they write, what they fire. */
#include "alert/alert_priv.h"

#include <stdlib.h>

#include "base/log.h"
#include "os/clock.h"

enum { NOTICES_MAX = 100000, SAMPLES_HELD_MAX = 100000 };

struct evaluation {
    struct alert_engine *e;
    struct alert_group *g;
    int64_t ts_ns, ts_ms; /* ms: what is asked for, and where samples stand: less the offset */
    struct samples_out out;
    size_t first;    /* rule whose samples `out` begins with */
    struct query *q; /* of the rule that is looked at */
    struct series_source *source;
    struct arena scratch; /* of one expansion */
    VEC(struct alert_notice) notices;
};

/* ---- asking ------------------------------------------------------------------------------------------------------ */

static err ask(struct evaluation *v, const struct promql_node *expr, struct str text, struct promql_answer *out) {
    struct promql_options o = {.start_ms = v->ts_ms,
                               .end_ms = v->ts_ms,
                               .check = series_source_step,
                               .check_work = series_source_check,
                               .context = v->source};
    return promql_run(&v->q->arena, &v->source->source, expr, text, &o, out);
}

/* The function `query` of templates. */
static err ask_for_template(void *context, struct str text, struct arena *a, struct template_sample **out,
                            size_t *out_n) {
    struct evaluation *v = context;
    const struct promql_node *expr;
    struct promql_answer *answer = arena_new(&v->q->arena, struct promql_answer);
    if (!answer) return arena_err(&v->q->arena);
    TRY(promql_parse(&v->q->arena, text, (struct promql_syntax){0}, &expr, NULL));
    TRY(ask(v, expr, text, answer));
    struct template_sample *rows = arena_array(a, struct template_sample, answer->row_n + 1);
    if (!rows) return arena_err(a);
    *out_n = 0;
    for (size_t i = 0; i < answer->row_n; i++)
        if (answer->rows[i].kinds[0] == PROMQL_FLOAT)
            rows[(*out_n)++] = (struct template_sample){answer->rows[i].labels, answer->rows[i].values[0]};
    *out = rows;
    return NULL;
}

/* ---- what a rule wrote ------------------------------------------------------------------------------------------- */

static double stale_value(void) {
    uint64_t bits = PROMQL_STALE;
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

void rule_end_series(const struct alert_rule *r, int64_t time_ms, struct samples_out *out) {
    for (uint32_t i = 0; r->written && i < r->written->n; i++)
        samples_out_add(out, r->written->labels[i], time_ms, stale_value());
}

static err set_copy(struct series_set *s, const struct labels *labels, const struct set_index *x) {
    arena_init(&s->a, (size_t)1 << 32);
    s->n = x->n;
    s->hashes = arena_alloc(&s->a, sizeof *s->hashes * (x->n + 1));
    s->labels = arena_alloc(&s->a, sizeof *s->labels * (x->n + 1));
    if (!s->hashes || !s->labels) return arena_err(&s->a);
    if (x->n) memcpy(s->hashes, x->hashes, x->n * sizeof *s->hashes);
    for (uint32_t i = 0; i < x->n; i++) {
        struct label *l = arena_array(&s->a, struct label, labels[i].n + 1);
        if (!l) return arena_err(&s->a);
        for (uint32_t k = 0; k < labels[i].n; k++)
            l[k] = (struct label){arena_copy(&s->a, labels[i].v[k].name), arena_copy(&s->a, labels[i].v[k].value)};
        s->labels[i] = (struct labels){l, labels[i].n};
    }
    return arena_err(&s->a);
}

/* Ends the series that are not written any more, and keeps those that are. */
static err set_replace(struct evaluation *v, struct alert_rule *r, const struct labels *labels,
                       const struct set_index *x) {
    struct series_set *old = r->written;
    uint32_t at;
    if (old && old->n == x->n && memcmp(old->hashes, x->hashes, x->n * sizeof *old->hashes) == 0) return NULL;
    if (!old && x->n == 0) return NULL;
    for (uint32_t i = 0; old && i < old->n; i++)
        if (!set_index_find(x, old->hashes[i], &at)) samples_out_add(&v->out, old->labels[i], v->ts_ms, stale_value());
    struct series_set *new = mem_new_of(struct series_set);
    err e = set_copy(new, labels, x);
    if (e) {
        series_set_free(new);
        return e;
    }
    r->written = new;
    series_set_free(old);
    v->g->series_changed |= !r->def->is_alert;
    return NULL;
}

/* ---- recording --------------------------------------------------------------------------------------------------- */

static int by_name(const void *x, const void *y) {
    return str_compare(((const struct label *)x)->name, ((const struct label *)y)->name);
}

/* The labels of a rule with one more, by name. */
static struct label *labels_and(struct arena *a, struct labels l, struct label more) {
    struct label *v = arena_array(a, struct label, l.n + 1);
    uint32_t n = 0;
    if (!v) return NULL;
    for (uint32_t i = 0; i < l.n; i++)
        if (!str_equal(l.v[i].name, more.name)) v[n++] = l.v[i];
    v[n] = more;
    qsort(v, n + 1, sizeof *v, by_name);
    return v;
}
static uint32_t count_with(struct labels l, struct str name) {
    uint32_t n = l.n + 1;
    for (uint32_t i = 0; i < l.n; i++) n -= str_equal(l.v[i].name, name);
    return n;
}

static err record(struct evaluation *v, struct alert_rule *r, const struct promql_answer *answer) {
    struct arena *a = &v->q->arena;
    const struct rule *def = r->def;
    struct label *set = labels_and(a, def->labels, (struct label){METRIC_NAME, def->name});
    struct labels *labels = arena_array(a, struct labels, answer->row_n + 1);
    struct set_index x;
    size_t limit = v->g->def->limit;
    if (!set || !labels) return arena_err(a);
    TRY(set_index_init(&x, a, answer->row_n));
    for (size_t i = 0; i < answer->row_n; i++) {
        bool is_new;
        labels[i] = labels_with(a, answer->rows[i].labels, set, count_with(def->labels, METRIC_NAME));
        if (!labels[i].v) return arena_err(a);
        set_index_add(&x, label_set_hash(labels[i]), &is_new);
        if (!is_new)
            return err_new(ERR_INVALID, "vector contains metrics with the same labelset after applying rule labels");
    }
    if (limit && answer->row_n > limit)
        return err_new(ERR_LIMIT, "exceeded limit of %zu with %zu series", limit, answer->row_n);
    TRY(set_replace(v, r, labels, &x));
    for (size_t i = 0; i < answer->row_n; i++) {
        const struct promql_row *row = &answer->rows[i];
        if (row->kinds[0] == PROMQL_FLOAT)
            samples_out_add(&v->out, labels[i], v->ts_ms, row->values[0]);
        else if (row->kinds[0] == PROMQL_HISTOGRAM)
            samples_out_add_native(&v->out, labels[i], v->ts_ms, row->histograms[0]);
    }
    return NULL;
}

/* ---- alerting: what the rows are called --------------------------------------------------------------------------- */

struct found {
    struct labels *labels, *annotations;
    double *values;
    struct set_index x;
};

static err expand(struct evaluation *v, struct template *t, const struct template_data *data, struct str *out) {
    AUTO_BUF struct buf text;
    buf_init(&text, 2 * (size_t)TEMPLATE_OUT_MAX);
    arena_clear(&v->scratch);
    template_expand(t, data, &v->scratch, &text);
    *out = arena_copy(&v->q->arena, text.n ? buf_str(&text) : STR(""));
    return arena_err(&v->q->arena);
}

static err expand_all(struct evaluation *v, struct template **texts, struct labels names,
                      const struct template_data *data, struct labels *out) {
    struct label *l = arena_array(&v->q->arena, struct label, names.n + 1);
    if (!l) return arena_err(&v->q->arena);
    for (uint32_t i = 0; i < names.n; i++) {
        l[i].name = names.v[i].name;
        TRY(expand(v, texts[i], data, &l[i].value));
    }
    *out = (struct labels){l, names.n};
    return NULL;
}

static err name_row(struct evaluation *v, const struct rule *def, const struct promql_row *row, struct labels *out,
                    struct labels *out_annotations) {
    struct arena *a = &v->q->arena;
    struct template_data data = {.labels = row->labels,
                                 .external_labels = v->e->options.external_labels,
                                 .external_url = v->e->options.external_url,
                                 .value = row->kinds[0] == PROMQL_FLOAT ? row->values[0] : 0,
                                 .query = ask_for_template,
                                 .context = v};
    struct labels own;
    AUTO_BUF struct buf histogram;
    buf_init(&histogram, 64 * KIB);
    if (row->kinds[0] == PROMQL_HISTOGRAM) {
        native_print(row->histograms[0], &histogram);
        data.histogram = buf_str(&histogram);
    }
    TRY(expand_all(v, def->label_texts, def->labels, &data, &own));
    struct label *set = labels_and(a, own, (struct label){STR("alertname"), def->name});
    if (!set) return arena_err(a);
    *out = labels_with(a, row->labels, set, count_with(own, STR("alertname")));
    if (!out->v) return arena_err(a);
    return expand_all(v, def->annotation_texts, def->annotations, &data, out_annotations);
}

static err find(struct evaluation *v, const struct rule *def, const struct promql_answer *answer, struct found *f) {
    struct arena *a = &v->q->arena;
    if (answer->row_n > ALERTS_MAX)
        return err_new(ERR_LIMIT, "%zu alerts of one rule; %d may be", answer->row_n, ALERTS_MAX);
    f->labels = arena_array(a, struct labels, answer->row_n + 1);
    f->annotations = arena_array(a, struct labels, answer->row_n + 1);
    f->values = arena_array(a, double, answer->row_n + 1);
    if (!f->labels || !f->annotations || !f->values) return arena_err(a);
    TRY(set_index_init(&f->x, a, answer->row_n));
    for (size_t i = 0; i < answer->row_n; i++) {
        const struct promql_row *row = &answer->rows[i];
        bool is_new;
        if (row->kinds[0] == PROMQL_ABSENT) continue;
        uint32_t at = f->x.n;
        TRY(name_row(v, def, row, &f->labels[at], &f->annotations[at]));
        f->values[at] = row->kinds[0] == PROMQL_FLOAT ? row->values[0] : 0;
        set_index_add(&f->x, label_set_hash(f->labels[at]), &is_new);
        if (!is_new)
            return err_new(ERR_INVALID, "vector contains metrics with the same labelset after applying alert labels");
        TRY(series_source_step(v->source));
    }
    return NULL;
}

/* ---- alerting: states -------------------------------------------------------------------------------------------- */

void alert_free(struct alert *x) {
    labels_drop(x->labels);
    labels_drop(x->annotations);
    mem_free(x);
}

static void refresh(struct alert *x, const struct found *f, uint32_t at) {
    labels_drop(x->annotations);
    x->annotations = labels_keep(f->annotations[at]);
    x->value = f->values[at];
}

/* New ones are pending; one that was resolved begins anew. */
static err take_found(struct evaluation *v, struct alert_rule *r, const struct found *f) {
    struct set_index known;
    TRY(set_index_init(&known, &v->q->arena, r->alerts.n));
    for (size_t i = 0; i < r->alerts.n; i++) set_index_add(&known, r->alerts.v[i]->hash, &(bool){false});
    for (uint32_t i = 0; i < f->x.n; i++) {
        uint32_t at;
        bool there = set_index_find(&known, f->x.hashes[i], &at);
        struct alert *x = there ? r->alerts.v[at] : mem_new_of(struct alert);
        if (!there) {
            x->labels = labels_keep(f->labels[i]);
            x->hash = f->x.hashes[i];
            *vec_push(&r->alerts) = x;
        }
        if (x->state == ALERT_INACTIVE) {
            *x = (struct alert){.labels = x->labels, .annotations = x->annotations, .hash = x->hash};
            x->state = ALERT_PENDING;
            x->active_ns = v->ts_ns;
        }
        refresh(x, f, i);
    }
    return NULL;
}

/* False: it is gone. */
static bool move_on(struct alert *x, const struct rule *def, bool there, int64_t ts) {
    bool kept = false;
    if (there) {
        x->keep_since_ns = 0;
    } else {
        if (x->state == ALERT_FIRING && def->keep_firing_ns > 0) {
            if (!x->keep_since_ns) x->keep_since_ns = ts;
            kept = ts - x->keep_since_ns < def->keep_firing_ns;
        }
        if (x->state == ALERT_PENDING || (x->resolved_ns && ts - x->resolved_ns > ALERT_RETENTION_NS)) return false;
        if (!kept) {
            if (x->state != ALERT_INACTIVE) x->resolved_ns = ts;
            x->state = ALERT_INACTIVE;
            return true;
        }
    }
    if (x->state == ALERT_PENDING && ts - x->active_ns >= def->for_ns) {
        x->state = ALERT_FIRING;
        x->fired_ns = ts;
    } else if (x->state == ALERT_FIRING && ts - x->active_ns < def->for_ns) { /* `for` was made longer */
        x->state = ALERT_PENDING;
        x->fired_ns = 0;
    }
    return true;
}

static void move_all(struct evaluation *v, struct alert_rule *r, const struct found *f, size_t *out_active) {
    size_t kept = 0;
    *out_active = 0;
    for (size_t i = 0; i < r->alerts.n; i++) {
        struct alert *x = r->alerts.v[i];
        uint32_t at;
        if (!move_on(x, r->def, set_index_find(&f->x, x->hash, &at), v->ts_ns)) {
            alert_free(x);
            continue;
        }
        *out_active += x->state != ALERT_INACTIVE;
        r->alerts.v[kept++] = x;
    }
    r->alerts.n = kept;
}

/* ALERTS and ALERTS_FOR_STATE of one alert. */
static bool put_series(struct arena *a, const struct alert *x, struct labels out[2]) {
    struct label state[2] = {{METRIC_NAME, STR("ALERTS")}, {STR("alertstate"), str_of(alert_state_names[x->state])}};
    struct label name = {METRIC_NAME, STR("ALERTS_FOR_STATE")};
    out[0] = labels_with(a, x->labels, state, 2);
    out[1] = labels_with(a, x->labels, &name, 1);
    return out[0].v && out[1].v;
}

static err write_alerts(struct evaluation *v, struct alert_rule *r, size_t active) {
    struct arena *a = &v->q->arena;
    struct labels *labels = arena_array(a, struct labels, 2 * active + 1);
    struct set_index x;
    bool is_new;
    if (!labels) return arena_err(a);
    TRY(set_index_init(&x, a, 2 * active));
    for (size_t i = 0; i < r->alerts.n; i++) {
        const struct alert *alert = r->alerts.v[i];
        if (alert->state == ALERT_INACTIVE) continue;
        struct labels own[2];
        if (!put_series(a, alert, own)) return arena_err(a);
        for (int k = 0; k < 2; k++) {
            labels[x.n] = own[k];
            set_index_add(&x, label_set_hash(own[k]), &is_new);
            if (!is_new) continue;
            samples_out_add(&v->out, own[k], v->ts_ms, k ? (double)(alert->active_ns / 1000000000) : 1);
        }
    }
    return set_replace(v, r, labels, &x);
}

static void collect_notices(struct evaluation *v, struct alert_rule *r) {
    const struct alert_options *o = &v->e->options;
    for (size_t i = 0; i < r->alerts.n && v->notices.n < NOTICES_MAX; i++) {
        struct alert *x = r->alerts.v[i];
        bool resolved = x->state == ALERT_INACTIVE;
        if (x->state == ALERT_PENDING) continue;
        if (x->resolved_ns <= x->sent_ns && x->sent_ns && x->sent_ns + o->resend_ns >= v->ts_ns) continue;
        x->sent_ns = v->ts_ns;
        int64_t valid_ns = MAX(v->g->interval_ns, o->resend_ns);
        bool over =
            __builtin_mul_overflow(valid_ns, 4, &valid_ns) || __builtin_add_overflow(v->ts_ns, valid_ns, &x->until_ns);
        if (over) x->until_ns = INT64_MAX;
        *vec_push(&v->notices) = (struct alert_notice){.labels = x->labels,
                                                       .annotations = x->annotations,
                                                       .starts_ns = x->fired_ns,
                                                       .ends_ns = resolved ? x->resolved_ns : x->until_ns,
                                                       .expr = r->def->text,
                                                       .tenant = str_of(v->g->tenant)};
    }
}

static err raise_alerts(struct evaluation *v, struct alert_rule *r, const struct promql_answer *answer) {
    struct found f;
    size_t active, limit = v->g->def->limit;
    TRY(find(v, r->def, answer, &f));
    lock_take(&v->e->lock);
    err e = take_found(v, r, &f);
    if (!e) move_all(v, r, &f, &active);
    if (!e && limit && active > limit) {
        for (size_t i = 0; i < r->alerts.n; i++) alert_free(r->alerts.v[i]);
        vec_clear(&r->alerts);
        e = err_new(ERR_LIMIT, "exceeded limit of %zu with %zu alerts", limit, active);
    }
    if (!e) e = write_alerts(v, r, active);
    if (!e) collect_notices(v, r);
    lock_give(&v->e->lock);
    return e;
}

err rule_take_series(struct alert_rule *r, const struct labels *labels, size_t n, struct arena *a) {
    struct set_index x;
    struct labels *distinct = arena_array(a, struct labels, n + 1);
    if (!distinct) return arena_err(a);
    TRY(set_index_init(&x, a, n));
    for (size_t i = 0; i < n; i++) {
        bool is_new;
        uint32_t at = set_index_add(&x, label_set_hash(labels[i]), &is_new);
        distinct[at] = labels[i];
    }
    series_set_free(r->written);
    r->written = mem_new_of(struct series_set);
    return set_copy(r->written, distinct, &x);
}

err rule_restore_series(struct alert_rule *r) {
    AUTO_ARENA struct arena a;
    size_t n = 0;
    arena_init(&a, (size_t)1 << 30);
    struct labels *labels = arena_array(&a, struct labels, 2 * r->alerts.n + 1);
    if (!labels) return arena_err(&a);
    for (size_t i = 0; i < r->alerts.n; i++) {
        if (r->alerts.v[i]->state == ALERT_INACTIVE) continue;
        if (!put_series(&a, r->alerts.v[i], &labels[n])) return arena_err(&a);
        n += 2;
    }
    return rule_take_series(r, labels, n, &a);
}

/* ---- the group --------------------------------------------------------------------------------------------------- */

static void set_health(struct evaluation *v, struct alert_rule *r, err e) {
    lock_take(&v->e->lock);
    mem_free(r->error);
    r->error = e ? str_dup(str_of(err_text(e))) : NULL;
    r->health = e ? RULE_ERR : RULE_OK;
    lock_give(&v->e->lock);
    if (e)
        log_warn("a rule failed", F_STR("group", v->g->def->name), F_STR("rule", r->def->name),
                 F_STR("file", v->g->def->file), F_ERR(e));
    err_free(e);
}

/* Samples so far become visible; what goes wrong is the error of the rules that made them. */
static void flush(struct evaluation *v, size_t next) {
    const struct alert_options *o = &v->e->options;
    size_t first = v->first;
    v->first = next;
    if (!samples_out_count(&v->out)) return;
    struct batch_blob *blob = points_builder_finish(&v->out.b);
    err e = o->append_wait(o->append_context, str_of(v->g->tenant), blob);
    points_builder_clear(&v->out.b, POINTS_PROMETHEUS);
    for (size_t i = first; e && i < next; i++)
        if (v->g->rules[i].health == RULE_OK)
            set_health(v, &v->g->rules[i], err_new(err_kind(e), "writing samples: %s", err_text(e)));
    err_free(e);
}

static err evaluate_rule(struct evaluation *v, struct alert_rule *r) {
    struct promql_answer *answer = arena_new(&v->q->arena, struct promql_answer);
    if (!answer) return arena_err(&v->q->arena);
    TRY(ask(v, r->def->expr, r->def->text, answer));
    if (answer->type != PROMQL_VECTOR && answer->type != PROMQL_SCALAR)
        return err_new(ERR_INVALID, "rule result is not a vector or scalar");
    return r->def->is_alert ? raise_alerts(v, r, answer) : record(v, r, answer);
}

static void run_rule(struct evaluation *v, size_t i) {
    const struct alert_options *o = &v->e->options;
    struct alert_rule *r = &v->g->rules[i];
    struct query q;
    struct series_source source = {0};
    int64_t begun = clock_monotonic_ns(), wall = o->wall_ns();
    if (r->reads_before || samples_out_count(&v->out) > SAMPLES_HELD_MAX) flush(v, i);
    query_begin(&q, &(struct query_options){.store = o->store,
                                            .tenant = str_of(v->g->tenant),
                                            .budget = o->budget,
                                            .memory_max_bytes = o->query_memory_bytes,
                                            .cancel = &v->g->cancel,
                                            .timeout_ns = o->query_timeout_ns});
    v->q = &q;
    v->source = &source;
    err e = series_source_open(&q, &source);
    source.now_ns = wall;
    if (!e) e = evaluate_rule(v, r);
    series_source_close(&source);
    query_end(&q);
    set_health(v, r, e);
    lock_take(&v->e->lock);
    r->evaluated_ns = wall;
    r->took_ns = clock_monotonic_ns() - begun;
    lock_give(&v->e->lock);
}

/* Time in which nobody looked is no time in which a condition held. */
static void shift_restored(struct alert_engine *e, struct alert_group *g, int64_t ts_ns) {
    int64_t gap = g->restored_ns ? ts_ns - g->restored_ns - g->interval_ns : 0;
    g->restored_ns = 0;
    if (gap <= 0) return;
    lock_take(&e->lock);
    for (size_t i = 0; i < g->n; i++)
        for (size_t k = 0; k < g->rules[i].alerts.n; k++)
            if (g->rules[i].alerts.v[k]->state == ALERT_PENDING) g->rules[i].alerts.v[k]->active_ns += gap;
    lock_give(&e->lock);
}

/* The clock was set back: what it said before is now at the latest, or nothing would be sent or fire until it says it again. */
static void clamp_times(struct alert_engine *e, struct alert_group *g, int64_t ts_ns) {
    if (ts_ns >= g->at_ns) return;
    lock_take(&e->lock);
    for (size_t i = 0; i < g->n; i++)
        for (size_t k = 0; k < g->rules[i].alerts.n; k++) {
            struct alert *x = g->rules[i].alerts.v[k];
            int64_t *const times[] = {&x->active_ns, &x->fired_ns, &x->resolved_ns, &x->keep_since_ns};
            for (size_t t = 0; t < LENGTH(times); t++) *times[t] = MIN(*times[t], ts_ns);
            if (x->sent_ns > ts_ns) x->sent_ns = 0; /* and so it is sent now */
        }
    lock_give(&e->lock);
}

void group_evaluate_wait(struct alert_engine *e, struct alert_group *g, int64_t ts_ns) {
    struct evaluation v = {.e = e, .g = g, .ts_ns = ts_ns, .ts_ms = series_floor_ms(ts_ns - g->offset_ns)};
    int64_t begun = clock_monotonic_ns(), wall = e->options.wall_ns();
    arena_init(&v.scratch, 16 * MIB);
    samples_out_init(&v.out);
    shift_restored(e, g, ts_ns);
    clamp_times(e, g, ts_ns);
    for (size_t i = 0; i < g->n; i++) run_rule(&v, i);
    flush(&v, g->n);
    lock_take(&e->lock);
    g->at_ns = ts_ns;
    g->evaluated_ns = wall;
    g->took_ns = clock_monotonic_ns() - begun;
    g->iterations++;
    lock_give(&e->lock);
    group_save(e, g, v.notices.v, v.notices.n);
    vec_done(&v.notices);
    samples_out_done(&v.out);
    arena_done(&v.scratch);
}
