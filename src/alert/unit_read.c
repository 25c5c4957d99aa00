#include "alert/unit_priv.h"

#include <stdlib.h>

#include "base/text.h"
#include "base/yaml.h"
#include "os/file.h"
#include "query/promql/number.h"

enum { TEST_FILE_BYTES_MAX = 16 << 20 };

/* ---- values ------------------------------------------------------------------------------------------------------ */

static err take_duration(const struct yaml *y, int64_t *out_ms) {
    int64_t ms = 0;
    if (!y || yaml_is_null(y)) return NULL;
    bool good = y->kind == YAML_SCALAR && (str_equal(y->text, STR("0")) || parse_promql_duration(y->text, &ms));
    if (!good) return yaml_err(y, "not a valid duration string: \"" STR_FMT "\"", STR_ARG(y->text));
    *out_ms = ms;
    return NULL;
}

static int by_name(const void *x, const void *y) {
    return str_compare(((const struct label *)x)->name, ((const struct label *)y)->name);
}

/* Labels without those that are empty; with one more if more.name.p is not NULL. */
static err take_labels(struct unit_file *f, const struct yaml *y, struct label more, struct labels *out) {
    uint32_t n = 0, all = y ? y->n : 0;
    struct label *v = arena_array(&f->a, struct label, all + 2);
    if (!v) return arena_err(&f->a);
    if (y && !yaml_is_null(y) && y->kind != YAML_MAP) return yaml_err(y, "expected a map of texts");
    for (uint32_t i = 0; i < all; i++) {
        struct str value = {0};
        TRY(yaml_text(y->items[i], &value));
        if (value.n && !str_equal(y->keys[i]->text, more.name)) v[n++] = (struct label){y->keys[i]->text, value};
    }
    if (more.name.p) v[n++] = more;
    qsort(v, n, sizeof *v, by_name);
    *out = (struct labels){v, n};
    return NULL;
}

static err want_list(const struct yaml *y, uint32_t *out_n) {
    *out_n = 0;
    if (!y || yaml_is_null(y)) return NULL;
    if (y->kind != YAML_LIST) return yaml_err(y, "expected a list");
    *out_n = y->n;
    return NULL;
}

/* ---- tests ------------------------------------------------------------------------------------------------------- */

static err take_series(struct unit_file *f, const struct yaml *y, struct unit_test *t) {
    static const char *const keys[] = {"series", "values", NULL};
    struct str name = {0}, values = {0};
    struct series_text s = {0};
    TRY(yaml_only(y, keys));
    TRY(yaml_text(yaml_get(y, "series"), &name));
    TRY(yaml_text(yaml_get(y, "values"), &values));
    err e = series_labels_parse(&f->a, name, &s.labels);
    if (!e) e = series_values_parse(&f->a, values, &s);
    if (e && err_kind(e) == ERR_INVALID) e = err_wrap(e, "%s:%d", y->file, y->line);
    if (!e) *vec_push(&t->series) = s;
    return e;
}

static err take_alert_test(struct unit_file *f, const struct yaml *y, struct unit_test *t) {
    static const char *const keys[] = {"eval_time", "alertname", "exp_alerts", NULL}, *const alert_keys[] = {
                                                                                          "exp_labels",
                                                                                          "exp_annotations", NULL};
    uint32_t n;
    TRY(yaml_only(y, keys));
    struct unit_alert_test *a = vec_push(&t->alerts);
    *a = (struct unit_alert_test){0};
    TRY(take_duration(yaml_get(y, "eval_time"), &a->at_ms));
    TRY(yaml_text(yaml_get(y, "alertname"), &a->name));
    if (!a->name.n) return yaml_err(y, "an item under alert_rule_test misses required attribute alertname");
    const struct yaml *list = yaml_get(y, "exp_alerts");
    TRY(want_list(list, &n));
    for (uint32_t i = 0; i < n; i++) {
        const struct yaml *x = list->items[i];
        struct unit_alert *out = vec_push(&a->expected);
        *out = (struct unit_alert){0};
        if (!yaml_is_null(x)) TRY(yaml_only(x, alert_keys));
        TRY(take_labels(f, yaml_get(x, "exp_labels"), (struct label){STR("alertname"), a->name}, &out->labels));
        TRY(take_labels(f, yaml_get(x, "exp_annotations"), (struct label){0}, &out->annotations));
    }
    return NULL;
}

static err take_sample(struct unit_file *f, const struct yaml *y, struct unit_sample *out) {
    static const char *const keys[] = {"labels", "value", "histogram", NULL};
    struct str labels = {0}, histogram = {0}, value = {0};
    struct series_text values = {0};
    TRY(yaml_only(y, keys));
    TRY(yaml_text(yaml_get(y, "labels"), &labels));
    TRY(yaml_text(yaml_get(y, "value"), &value));
    TRY(yaml_text(yaml_get(y, "histogram"), &histogram));
    struct str number = value.n > 1 && value.p[0] == '.' ? (struct str){value.p + 1, value.n - 1} : value;
    bool special = number.n && strchr("iInN", number.p[0]);
    if (value.n && !parse_promql_number(special ? number : value, &out->value))
        return yaml_err(y, "value: expected a number, not \"" STR_FMT "\"", STR_ARG(value));
    err e = labels.n ? series_labels_parse(&f->a, labels, &out->labels) : NULL;
    if (e) return err_wrap(e, "%s:%d: labels \"" STR_FMT "\"", y->file, y->line, STR_ARG(labels));
    if (!histogram.n) return NULL;
    TRY_WRAP(series_values_parse(&f->a, histogram, &values), "%s:%d: histogram", y->file, y->line);
    if (values.n != 1 || !values.values[0].histogram) return yaml_err(y, "histogram: expected one histogram");
    out->histogram = values.values[0].histogram;
    return NULL;
}

static err take_expr_test(struct unit_file *f, const struct yaml *y, struct unit_test *t) {
    static const char *const keys[] = {"expr", "eval_time", "exp_samples", NULL};
    uint32_t n;
    TRY(yaml_only(y, keys));
    struct unit_expr_test *x = vec_push(&t->exprs);
    *x = (struct unit_expr_test){0};
    TRY(yaml_text(yaml_get(y, "expr"), &x->expr));
    TRY(take_duration(yaml_get(y, "eval_time"), &x->at_ms));
    const struct yaml *list = yaml_get(y, "exp_samples");
    TRY(want_list(list, &n));
    for (uint32_t i = 0; i < n; i++) {
        struct unit_sample *s = vec_push(&x->expected);
        *s = (struct unit_sample){0};
        TRY(take_sample(f, list->items[i], s));
    }
    return NULL;
}

static err take_start(const struct yaml *y, int64_t *out_ms) {
    double seconds;
    int64_t ns = 0;
    if (!y || yaml_is_null(y)) return NULL;
    if (y->kind == YAML_SCALAR && parse_promql_number(y->text, &seconds)) {
        *out_ms = (int64_t)(seconds * 1000);
        return NULL;
    }
    err e = y->kind == YAML_SCALAR ? parse_time(y->text, 0, &ns) : err_new(ERR_INVALID, "no time");
    if (e) {
        err_free(e);
        return yaml_err(y, "start_timestamp: expected seconds since 1970, or a time as 2026-01-02T03:04:05Z");
    }
    *out_ms = ns / 1000000;
    return NULL;
}

static err take_test(struct unit_file *f, const struct yaml *y) {
    static const char *const keys[] = {"name",
                                       "interval",
                                       "input_series",
                                       "alert_rule_test",
                                       "promql_expr_test",
                                       "external_labels",
                                       "external_url",
                                       "start_timestamp",
                                       NULL};
    static const struct {
        const char *key;
        err (*read)(struct unit_file *f, const struct yaml *y, struct unit_test *t);
    } lists[] = {
        {"input_series", take_series}, {"alert_rule_test", take_alert_test}, {"promql_expr_test", take_expr_test}};
    TRY(yaml_only(y, keys));
    struct unit_test *t = vec_push(&f->tests);
    *t = (struct unit_test){0};
    TRY(yaml_text(yaml_get(y, "name"), &t->name));
    TRY(yaml_text(yaml_get(y, "external_url"), &t->external_url));
    TRY(take_duration(yaml_get(y, "interval"), &t->interval_ms));
    TRY(take_labels(f, yaml_get(y, "external_labels"), (struct label){0}, &t->external_labels));
    TRY(take_start(yaml_get(y, "start_timestamp"), &t->start_ms));
    if (!t->interval_ms) t->interval_ms = f->interval_ms;
    for (size_t k = 0; k < LENGTH(lists); k++) {
        const struct yaml *list = yaml_get(y, lists[k].key);
        uint32_t n;
        TRY(want_list(list, &n));
        for (uint32_t i = 0; i < n; i++) TRY(lists[k].read(f, list->items[i], t));
    }
    return NULL;
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static err take_rule_files(const char *path, const struct yaml *list, struct unit_file *f) {
    const char *slash = strrchr(path, '/');
    uint32_t n;
    TRY(want_list(list, &n));
    for (uint32_t i = 0; i < n; i++) {
        AUTO_BUF struct buf whole;
        struct str name = {0};
        buf_init(&whole, 8192);
        TRY(yaml_text(list->items[i], &name));
        if (slash && name.n && name.p[0] != '/') buf_add(&whole, path, (size_t)(slash - path) + 1);
        buf_add_str(&whole, name);
        struct str kept = arena_copy(&f->a, buf_str(&whole));
        if (!kept.p || whole.full) return yaml_err(list->items[i], "too long a path");
        *vec_push(&f->rule_files) = kept.p;
    }
    return NULL;
}

static err take_order(const struct yaml *list, struct unit_file *f) {
    uint32_t n;
    TRY(want_list(list, &n));
    for (uint32_t i = 0; i < n; i++) {
        struct str name = {0};
        TRY(yaml_text(list->items[i], &name));
        for (size_t k = 0; k < f->order.n; k++)
            if (str_equal(f->order.v[k], name))
                return yaml_err(list->items[i], "group name repeated in evaluation order: " STR_FMT, STR_ARG(name));
        *vec_push(&f->order) = name;
    }
    return NULL;
}

err unit_file_read(const char *path, struct unit_file *f) {
    static const char *const keys[] = {
        "rule_files", "evaluation_interval", "fuzzy_compare", "group_eval_order", "tests", NULL};
    AUTO_BUF struct buf text = {0};
    struct yaml *root;
    uint32_t n;
    *f = (struct unit_file){.interval_ms = 60000};
    arena_init(&f->a, (size_t)1 << 30);
    TRY(file_read_all(path, TEST_FILE_BYTES_MAX, &text));
    TRY(yaml_read(buf_str(&text), path, &f->a, &root));
    TRY(yaml_only(root, keys));
    TRY(take_duration(yaml_get(root, "evaluation_interval"), &f->interval_ms));
    if (!f->interval_ms) f->interval_ms = 60000;
    TRY(yaml_bool(yaml_get(root, "fuzzy_compare"), &f->fuzzy));
    TRY(take_rule_files(path, yaml_get(root, "rule_files"), f));
    TRY(take_order(yaml_get(root, "group_eval_order"), f));
    const struct yaml *tests = yaml_get(root, "tests");
    TRY(want_list(tests, &n));
    for (uint32_t i = 0; i < n; i++) TRY(take_test(f, tests->items[i]));
    return arena_err(&f->a);
}

void unit_file_done(struct unit_file *f) {
    for (size_t i = 0; i < f->tests.n; i++) {
        struct unit_test *t = &f->tests.v[i];
        for (size_t k = 0; k < t->alerts.n; k++) vec_done(&t->alerts.v[k].expected);
        for (size_t k = 0; k < t->exprs.n; k++) vec_done(&t->exprs.v[k].expected);
        vec_done(&t->series);
        vec_done(&t->alerts);
        vec_done(&t->exprs);
    }
    vec_done(&f->tests);
    vec_done(&f->order);
    vec_done(&f->rule_files);
    arena_done(&f->a);
}
