/* Unit tests of rules: running them. What their files say is read in unit_read.c. */
#include "alert/unit_priv.h"

#include <math.h>
#include <stdlib.h>

#include "base/text.h"
#include "ingest/ingest.h"
#include "os/file.h"
#include "query/promql/number.h"

struct unit_run {
    const struct unit_file *file;
    const struct unit_test *test;
    struct store *store;
    struct ingest *ingest;
    struct alert_engine *engine;
    size_t *order; /* of groups */
    size_t *next;  /* of each series: the value that is not there yet */
    int64_t start_ms;
    struct buf *out;
    size_t failures;
};

/* ---- texts, as promtool has them ---------------------------------------------------------------------------------- */

static void put_labels(struct buf *b, struct labels l) {
    buf_add_byte(b, '{');
    for (uint32_t i = 0; i < l.n; i++) {
        buf_add_fmt(b, "%s" STR_FMT "=", i ? ", " : "", STR_ARG(l.v[i].name));
        put_go_quoted(b, l.v[i].value);
    }
    buf_add_byte(b, '}');
}

/* 1E+00 */
static void put_exponent(struct buf *b, double v) {
    char digits[F64_DIGITS_MAX];
    int point = 1, n = 1;
    if (isnan(v) || isinf(v)) {
        buf_add_text(b, isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf");
        return;
    }
    digits[0] = '0';
    if (v != 0) n = f64_digits(fabs(v), digits, &point);
    if (signbit(v)) buf_add_byte(b, '-');
    buf_add_byte(b, digits[0]);
    if (n > 1) buf_add_byte(b, '.');
    buf_add(b, digits + 1, (size_t)n - 1);
    buf_add_fmt(b, "E%c%02d", point < 1 ? '-' : '+', abs(point - 1));
}

static void put_alerts(struct buf *b, const struct unit_alert *v, size_t n) {
    if (n == 0) {
        buf_add_text(b, "[]");
        return;
    }
    buf_add_text(b, "[");
    for (size_t i = 0; i < n; i++) {
        buf_add_fmt(b, "%s\n            %zu:\n              Labels:", i ? "," : "", i);
        put_labels(b, v[i].labels);
        buf_add_text(b, "\n              Annotations:");
        put_labels(b, v[i].annotations);
    }
    buf_add_text(b, "\n            ]");
}

static void put_samples(struct buf *b, const struct unit_sample *v, size_t n) {
    if (n == 0) buf_add_text(b, "nil");
    for (size_t i = 0; i < n; i++) {
        buf_add_text(b, i ? ", " : "");
        put_labels(b, v[i].labels);
        buf_add_byte(b, ' ');
        if (v[i].histogram)
            native_print(v[i].histogram, b);
        else
            put_exponent(b, v[i].value);
    }
}

static void put_time_of(struct buf *b, int64_t ms) {
    if (ms)
        put_promql_duration(b, ms);
    else
        buf_add_text(b, "0s");
}

/* ---- series ------------------------------------------------------------------------------------------------------ */

static err add_samples_till(struct unit_run *r, int64_t till_ms) {
    struct samples_out out;
    samples_out_init(&out);
    for (size_t i = 0; i < r->test->series.n; i++) {
        const struct series_text *s = &r->test->series.v[i];
        for (; r->next[i] < s->n; r->next[i]++) {
            int64_t at = r->start_ms + (int64_t)r->next[i] * r->test->interval_ms;
            const struct series_value *v = &s->values[r->next[i]];
            if (at > till_ms) break;
            if (v->histogram)
                samples_out_add_native(&out, s->labels, at, v->histogram);
            else if (!v->omitted)
                samples_out_add(&out, s->labels, at, v->number);
        }
    }
    err e = NULL;
    if (samples_out_count(&out)) e = alert_append_wait(r->ingest, STR("default"), points_builder_finish(&out.b));
    samples_out_done(&out);
    return e;
}

/* ---- alerts ------------------------------------------------------------------------------------------------------ */

static int by_alert(const void *x, const void *y) {
    const struct unit_alert *a = x, *b = y;
    int order = promql_labels_compare(a->labels, b->labels);
    return order ? order : promql_labels_compare(a->annotations, b->annotations);
}

static bool alerts_equal(const struct unit_alert *x, size_t x_n, const struct unit_alert *y, size_t y_n) {
    if (x_n != y_n) return false;
    for (size_t i = 0; i < x_n; i++)
        if (by_alert(&x[i], &y[i]) != 0) return false;
    return true;
}

static void say_name(struct unit_run *r) {
    if (r->test->name.n) buf_add_fmt(r->out, "    name: " STR_FMT ",\n", STR_ARG(r->test->name));
}

static void check_alert(struct unit_run *r, struct unit_alert_test *t) {
    VEC(struct unit_alert) got = {0};
    for (size_t g = 0; g < r->engine->groups.n; g++)
        for (size_t i = 0; i < r->engine->groups.v[g]->n; i++) {
            const struct alert_rule *rule = &r->engine->groups.v[g]->rules[i];
            if (!rule->def->is_alert || !str_equal(rule->def->name, t->name)) continue;
            for (size_t k = 0; k < rule->alerts.n; k++)
                if (rule->alerts.v[k]->state == ALERT_FIRING)
                    *vec_push(&got) = (struct unit_alert){rule->alerts.v[k]->labels, rule->alerts.v[k]->annotations};
        }
    if (got.n) qsort(got.v, got.n, sizeof *got.v, by_alert);
    if (t->expected.n) qsort(t->expected.v, t->expected.n, sizeof *t->expected.v, by_alert);
    if (!alerts_equal(t->expected.v, t->expected.n, got.v, got.n)) {
        r->failures++;
        say_name(r);
        buf_add_fmt(r->out, "    alertname: " STR_FMT ", time: ", STR_ARG(t->name));
        put_time_of(r->out, t->at_ms);
        buf_add_text(r->out, ", \n        exp:");
        put_alerts(r->out, t->expected.v, t->expected.n);
        buf_add_text(r->out, ", \n        got:");
        put_alerts(r->out, got.v, got.n);
        buf_add_byte(r->out, '\n');
    }
    vec_done(&got);
}

/* ---- expressions ------------------------------------------------------------------------------------------------- */

static int by_sample(const void *x, const void *y) {
    return promql_labels_compare(((const struct unit_sample *)x)->labels, ((const struct unit_sample *)y)->labels);
}

static bool samples_equal(const struct unit_run *r, const struct unit_sample *x, size_t x_n,
                          const struct unit_sample *y, size_t y_n) {
    if (x_n != y_n) return false;
    for (size_t i = 0; i < x_n; i++) {
        double a = x[i].value, b = y[i].value;
        if (by_sample(&x[i], &y[i]) != 0 || !x[i].histogram != !y[i].histogram) return false;
        if (x[i].histogram) {
            if (!native_equal(x[i].histogram, y[i].histogram)) return false;
            continue;
        }
        bool near = r->file->fuzzy && (nextafter(a, -INFINITY) == b || nextafter(a, INFINITY) == b);
        if (a != b && !(isnan(a) && isnan(b)) && !near) return false;
    }
    return true;
}

static err evaluate(struct query *q, struct series_source *source, const struct unit_expr_test *t, int64_t at_ms,
                    struct promql_answer *out) {
    const struct promql_node *expr;
    struct promql_options o = {.start_ms = at_ms,
                               .end_ms = at_ms,
                               .check = series_source_step,
                               .check_work = series_source_check,
                               .context = source};
    TRY(promql_parse(&q->arena, t->expr, (struct promql_syntax){0}, &expr, NULL));
    TRY(promql_run(&q->arena, &source->source, expr, t->expr, &o, out));
    if (out->type == PROMQL_VECTOR || out->type == PROMQL_SCALAR) return NULL;
    return err_new(ERR_INVALID, "rule result is not a vector or scalar");
}

static void say_expr(struct unit_run *r, const struct unit_expr_test *t) {
    r->failures++;
    buf_add_text(r->out, "    expr: ");
    put_go_quoted(r->out, t->expr);
    buf_add_text(r->out, ", time: ");
    put_time_of(r->out, t->at_ms);
    buf_add_byte(r->out, ',');
}

static err compare_samples(struct unit_run *r, struct query *q, struct unit_expr_test *t,
                           const struct promql_answer *a) {
    struct unit_sample *got = arena_array(&q->arena, struct unit_sample, a->row_n + 1);
    size_t n = 0;
    if (!got) return arena_err(&q->arena);
    for (size_t i = 0; i < a->row_n; i++) {
        const struct promql_row *row = &a->rows[i];
        if (row->kinds[0] == PROMQL_ABSENT) continue;
        got[n++] = (struct unit_sample){.labels = row->labels,
                                        .value = row->kinds[0] == PROMQL_FLOAT ? row->values[0] : 0,
                                        .histogram = row->kinds[0] == PROMQL_HISTOGRAM ? row->histograms[0] : NULL};
    }
    qsort(got, n, sizeof *got, by_sample);
    if (t->expected.n) qsort(t->expected.v, t->expected.n, sizeof *t->expected.v, by_sample);
    if (samples_equal(r, t->expected.v, t->expected.n, got, n)) return NULL;
    say_expr(r, t);
    buf_add_text(r->out, "\n        exp: ");
    put_samples(r->out, t->expected.v, t->expected.n);
    buf_add_text(r->out, "\n        got: ");
    put_samples(r->out, got, n);
    buf_add_byte(r->out, '\n');
    return NULL;
}

static void check_expr(struct unit_run *r, struct unit_expr_test *t) {
    struct query q;
    struct series_source source = {0};
    query_begin(&q, &(struct query_options){.store = r->store, .tenant = STR("default")});
    struct promql_answer *answer = arena_new(&q.arena, struct promql_answer);
    err e = answer ? series_source_open(&q, &source) : arena_err(&q.arena);
    if (!e) e = evaluate(&q, &source, t, r->start_ms + t->at_ms, answer);
    if (!e) e = compare_samples(r, &q, t, answer);
    if (e) {
        say_expr(r, t);
        buf_add_fmt(r->out, " err: %s\n", err_text(e));
        err_free(e);
    }
    series_source_close(&source);
    query_end(&q);
}

/* ---- one test ---------------------------------------------------------------------------------------------------- */

/* Evaluates all groups at one time. False: a rule failed, which ends the test. */
static bool evaluate_groups(struct unit_run *r, int64_t at_ms) {
    size_t before = r->failures;
    for (size_t g = 0; g < r->engine->groups.n; g++) {
        const struct alert_group *group = r->engine->groups.v[r->order[g]];
        alert_engine_evaluate_wait(r->engine, r->order[g], (r->start_ms + at_ms) * 1000000);
        for (size_t i = 0; i < group->n; i++) {
            if (!group->rules[i].error) continue;
            r->failures++;
            buf_add_fmt(r->out, "    rule: " STR_FMT ", time: ", STR_ARG(group->rules[i].def->name));
            put_time_of(r->out, at_ms);
            buf_add_fmt(r->out, ", err: %s\n", group->rules[i].error);
        }
    }
    return r->failures == before;
}

static err run_steps(struct unit_run *r) {
    const struct unit_test *t = r->test;
    int64_t end = 0, step = r->file->interval_ms;
    for (size_t i = 0; i < t->alerts.n; i++) end = MAX(end, t->alerts.v[i].at_ms);
    for (size_t i = 0; i < t->exprs.n; i++) end = MAX(end, t->exprs.v[i].at_ms);
    if (end / step > UNIT_STEPS_MAX) return err_new(ERR_LIMIT, "over %d evaluations", UNIT_STEPS_MAX);
    for (int64_t at = 0; at <= end; at += step) {
        TRY(add_samples_till(r, r->start_ms + at));
        if (!evaluate_groups(r, at)) return NULL;
        for (size_t i = 0; i < t->alerts.n; i++)
            if (t->alerts.v[i].at_ms >= at && t->alerts.v[i].at_ms < at + step) check_alert(r, &t->alerts.v[i]);
    }
    for (size_t i = 0; i < t->exprs.n; i++) check_expr(r, &t->exprs.v[i]);
    return NULL;
}

/* Groups that group_eval_order names come in that order, behind those that it does not. */
static void order_groups(struct unit_run *r) {
    size_t n = 0;
    r->order = mem_new_array(size_t, r->engine->groups.n + 1);
    for (size_t k = 0; k <= r->file->order.n; k++)
        for (size_t g = 0; g < r->engine->groups.n; g++) {
            size_t place = 0;
            for (size_t i = 0; i < r->file->order.n; i++)
                if (str_equal(r->file->order.v[i], r->engine->groups.v[g]->def->name)) place = i + 1;
            if (place == k) r->order[n++] = g;
        }
}

static int64_t far_away(void) { return INT64_C(8000000000000000000); }

static err load_rules(struct unit_run *r) {
    struct alert_rules *rules;
    AUTO_BUF struct buf problems;
    buf_init(&problems, MIB);
    TRY(alert_rules_read(r->file->rule_files.v, r->file->rule_files.n, &rules, &problems));
    if (problems.n) {
        r->failures++;
        buf_add_str(r->out, buf_str(&problems));
        return NULL;
    }
    alert_engine_load_wait(r->engine, STR(""), rules);
    return NULL;
}

static err run_test(const struct unit_file *file, const struct unit_test *test, struct buf *out, size_t *failures) {
    struct store_options o;
    store_options_default(&o);
    o.retention_ns = 0;
    o.wall_ns = far_away;
    o.series.late_window_ns = INT64_C(1) << 61;
    struct unit_run r = {.file = file, .test = test, .start_ms = test->start_ms, .out = out};
    r.store = store_model_open(&o);
    r.ingest = ingest_new(&(struct ingest_options){.store = r.store});
    r.engine = alert_engine_new(&(struct alert_options){.store = r.store,
                                                        .append_wait = alert_append_wait,
                                                        .append_context = r.ingest,
                                                        .external_labels = test->external_labels,
                                                        .external_url = test->external_url,
                                                        .interval_ns = file->interval_ms * 1000000});
    r.next = mem_new_array(size_t, test->series.n + 1);
    err e = load_rules(&r);
    if (!e && !r.failures) {
        order_groups(&r);
        e = run_steps(&r);
    }
    *failures += r.failures;
    mem_free(r.next);
    mem_free(r.order);
    alert_engine_free(r.engine);
    ingest_free(r.ingest);
    err closing = store_close(r.store);
    if (e) err_free(closing);
    return e ? e : closing;
}

static err is_there(void *context, const char *path) {
    bool *any = context;
    *any |= path_exists(path);
    return NULL;
}

/* Patterns that no file fits are told, and left out. */
static void warn_of_patterns(struct unit_file *f, struct buf *out) {
    size_t kept = 0;
    for (size_t i = 0; i < f->rule_files.n; i++) {
        bool any = false;
        err_free(rules_glob(f->rule_files.v[i], is_there, &any));
        if (any)
            f->rule_files.v[kept++] = f->rule_files.v[i];
        else
            buf_add_fmt(out, "  WARNING: no file match pattern %s\n", f->rule_files.v[i]);
    }
    f->rule_files.n = kept;
}

err rules_unit_test(const char *path, struct buf *out, bool *out_good) {
    struct unit_file file;
    size_t failures = 0;
    AUTO_BUF struct buf told;
    buf_init(&told, 64 * MIB);
    buf_add_fmt(out, "Unit Testing:  %s\n", path);
    err e = unit_file_read(path, &file);
    if (!e) warn_of_patterns(&file, out);
    for (size_t i = 0; i < file.tests.n && !e; i++) e = run_test(&file, &file.tests.v[i], &told, &failures);
    if (e && (err_kind(e) == ERR_INVALID || err_kind(e) == ERR_LIMIT || err_kind(e) == ERR_NOT_FOUND)) {
        failures++;
        buf_add_fmt(&told, "%s\n", err_text(e));
        err_free(e);
        e = NULL;
    }
    unit_file_done(&file);
    if (failures)
        buf_add_fmt(out, "  FAILED:\n%s\n", told.p ? told.p : "");
    else
        buf_add_text(out, "  SUCCESS\n\n");
    *out_good = failures == 0;
    return e;
}
