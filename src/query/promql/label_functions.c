/* Functions that look at labels: label_replace, label_join, the sorts, info. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>

#include "base/text.h"
#include "query/promql/whole_priv.h"
#include "store/match/regex.h"

enum { GROUPS_MAX = 100, REPLACED_BYTES_MAX = 1 << 20 };

static err need_label_name(struct str name, const char *what, const char *function) {
    if (name.n && utf8_is_valid(name)) return NULL;
    AUTO_BUF struct buf b;
    buf_init(&b, 4 * KIB);
    put_utf8_clean(&b, name);
    return err_new(ERR_INVALID, "invalid %s label name in %s(): %s", what, function, b.p ? b.p : "");
}

/* A row whose label was set; one that names the metric anew keeps that name. */
static err relabel(struct evaluator *ev, struct row *row, struct str name, struct str value) {
    struct str kept = arena_copy(ev->a, value);
    NEED(kept.p);
    row->labels = labels_set(ev->a, row->labels, name, kept);
    NEED(row->labels.v);
    if (str_equal(name, METRIC_NAME)) row->drop_name = false;
    return NULL;
}

/* ---- label_replace ----------------------------------------------------------------------------------------------- */

static struct str group_by_name(const struct regex *r, struct str name, const struct str *groups, size_t n) {
    uint64_t number = 0;
    bool digits = name.n > 0;
    for (size_t i = 0; i < name.n; i++) digits &= isdigit((unsigned char)name.p[i]) != 0;
    if (digits) {
        err e = parse_u64(name, &number);
        if (e) number = n;
        err_free(e);
    } else {
        int found = regex_group_number(r, name);
        number = found < 0 ? n : (uint64_t)found;
    }
    return number < n ? groups[number] : (struct str){"", 0};
}

/* $1, ${1}, $name, ${name}, $$: as Go's regexp expands them. */
static void expand(struct buf *b, struct str template, const struct regex *r, const struct str *groups, size_t n) {
    for (size_t i = 0; i < template.n; i++) {
        if (template.p[i] != '$') {
            buf_add_byte(b, template.p[i]);
            continue;
        }
        bool brace = i + 1 < template.n && template.p[i + 1] == '{';
        size_t from = i + 1 + brace, end = from;
        while (end < template.n && word_char((unsigned char)template.p[end])) end++;
        bool closed = !brace || (end < template.n && template.p[end] == '}');
        if (end == from || !closed) {
            bool twice = i + 1 < template.n && template.p[i + 1] == '$';
            buf_add_byte(b, '$');
            i += twice;
            continue;
        }
        buf_add_str(b, group_by_name(r, (struct str){template.p + from, end - from}, groups, n));
        i = end - 1 + brace;
    }
}

err whole_label_replace(struct evaluator *ev, const struct timeline *t, const struct promql_node *e,
                        struct table *out) {
    struct str to = eval_string(e->args[1]), template = eval_string(e->args[2]), from = eval_string(e->args[3]);
    struct str pattern = eval_string(e->args[4]);
    struct regex *regex = NULL;
    struct str groups[GROUPS_MAX];
    err failed = regex_compile_whole(pattern, &regex);
    if (failed) {
        err_free(failed);
        return err_new(ERR_INVALID, "invalid regular expression in label_replace(): " STR_FMT, STR_ARG(pattern));
    }
    failed = need_label_name(to, "destination", "label_replace");
    if (!failed) failed = eval(ev, t, e->args[0], out);
    AUTO_BUF struct buf value;
    buf_init(&value, REPLACED_BYTES_MAX);
    for (size_t r = 0; !failed && r < out->n; r++) {
        struct row *row = &out->rows[r];
        failed = eval_check(ev); /* an expression may take long on each */
        if (failed) break;
        struct str source = str_equal(from, METRIC_NAME) ? row_name(row) : label_set_get(row->labels, from);
        size_t n = regex_groups(regex, source.n ? source : STR(""), groups, GROUPS_MAX);
        if (!n && regex_last_gave_up(regex))
            failed = err_new(ERR_LIMIT, "label_replace(): the expression takes too long on some value");
        if (!n) continue;
        buf_clear(&value);
        expand(&value, template, regex, groups, n);
        failed = value.full
                     ? err_new(ERR_LIMIT, "label_replace(): a label value is longer than %d bytes", REPLACED_BYTES_MAX)
                     : relabel(ev, row, to, buf_str(&value));
    }
    regex_free(regex);
    return failed ? failed : table_merge(ev, out, t->n);
}

err whole_label_join(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out) {
    struct str to = eval_string(e->args[1]), separator = eval_string(e->args[2]);
    TRY(need_label_name(to, "destination", "label_join"));
    for (uint32_t k = 3; k < e->arg_n; k++) TRY(need_label_name(eval_string(e->args[k]), "source", "label_join"));
    TRY(eval(ev, t, e->args[0], out));
    AUTO_BUF struct buf value;
    buf_init(&value, REPLACED_BYTES_MAX);
    for (size_t r = 0; r < out->n; r++) {
        TRY(eval_touch(ev, ROW_TOUCHES));
        buf_clear(&value);
        for (uint32_t k = 3; k < e->arg_n; k++) {
            if (k > 3) buf_add_str(&value, separator);
            buf_add_str(&value, label_set_get(out->rows[r].labels, eval_string(e->args[k])));
        }
        if (value.full)
            return err_new(ERR_LIMIT, "label_join(): a label value is longer than %d bytes", REPLACED_BYTES_MAX);
        TRY(relabel(ev, &out->rows[r], to, buf_str(&value)));
    }
    return table_merge(ev, out, t->n);
}

/* ---- sorting ----------------------------------------------------------------------------------------------------- */

struct sort_key {
    double value;
    struct row row;
    const struct promql_node *call;
    int sign;
};

static int order_by_value(const void *x, const void *y) {
    const struct sort_key *a = x, *b = y;
    if (isnan(a->value) || isnan(b->value)) return isnan(a->value) - isnan(b->value); /* last either way */
    return a->sign * (a->value < b->value ? -1 : a->value > b->value);
}

static size_t run_of_digits(struct str s, bool *out_digits) {
    size_t n = 0;
    *out_digits = s.n && isdigit((unsigned char)s.p[0]);
    while (n < s.n && (isdigit((unsigned char)s.p[n]) != 0) == *out_digits) n++;
    return n;
}

/* Numbers within the texts compare as numbers: a2 before a10. */
static int natural_compare(struct str x, struct str y) {
    while (x.n && y.n) {
        bool x_digits, y_digits;
        struct str a = {x.p, run_of_digits(x, &x_digits)}, b = {y.p, run_of_digits(y, &y_digits)};
        uint64_t p = 0, q = 0;
        err e = x_digits && y_digits ? parse_u64(a, &p) : NULL;
        if (!e && x_digits && y_digits) e = parse_u64(b, &q);
        bool numbers = x_digits && y_digits && !e;
        err_free(e);
        int order = numbers ? (p > q) - (p < q) : str_compare(a, b);
        if (order) return order;
        x = (struct str){x.p + a.n, x.n - a.n};
        y = (struct str){y.p + b.n, y.n - b.n};
    }
    return (x.n > 0) - (y.n > 0);
}

static int order_by_labels(const void *x, const void *y) {
    const struct sort_key *a = x, *b = y;
    for (uint32_t k = 1; k < a->call->arg_n; k++) {
        struct str name = eval_string(a->call->args[k]);
        struct str p = label_set_get(a->row.labels, name), q = label_set_get(b->row.labels, name);
        int order = natural_compare(p, q);
        if (!order) order = str_compare(p, q);
        if (order) return a->sign * order;
    }
    return a->sign * promql_labels_compare(a->row.labels, b->row.labels);
}

static err sort_rows(struct evaluator *ev, const struct promql_node *e, struct table *out,
                     int (*order)(const void *, const void *)) {
    struct sort_key *keys = arena_alloc(ev->a, sizeof *keys * MAX(out->n, 1));
    NEED(keys);
    bool descending = str_ends_with(str_of(e->function->name), STR("_desc"));
    for (size_t r = 0; r < out->n; r++)
        keys[r] = (struct sort_key){
            .value = out->rows[r].values[0], .row = out->rows[r], .call = e, .sign = descending ? -1 : 1};
    TRY(eval_sort(ev, keys, out->n, sizeof *keys, order));
    for (size_t r = 0; r < out->n; r++) out->rows[r] = keys[r].row;
    return NULL;
}

/* The order means something to instant queries alone: over a range rows are sorted by labels at the end. */
err whole_sort(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out) {
    size_t n = 0;
    TRY(eval(ev, t, e->args[0], out));
    for (size_t r = 0; r < out->n; r++) {
        TRY(eval_touch(ev, t->n));
        for (size_t i = 0; i < t->n; i++)
            if (out->rows[r].kinds[i] == PROMQL_HISTOGRAM) out->rows[r].kinds[i] = PROMQL_ABSENT;
        if (!row_is_empty(&out->rows[r], t->n)) out->rows[n++] = out->rows[r];
    }
    out->n = n;
    return t->n == 1 ? sort_rows(ev, e, out, order_by_value) : NULL;
}

err whole_sort_by_label(struct evaluator *ev, const struct timeline *t, const struct promql_node *e,
                        struct table *out) {
    TRY(eval(ev, t, e->args[0], out));
    return t->n == 1 ? sort_rows(ev, e, out, order_by_labels) : NULL;
}

/* ---- info -------------------------------------------------------------------------------------------------------- */

/* Which labels of an info series are added: those that selectors name, or all. */
struct info_question {
    struct evaluator *ev;
    const struct timeline *t;
    const struct promql_node *wanted; /* NULL: all labels */
    struct table infos;
    bool may_miss; /* a series without info stays */
};

static bool is_identifying(struct str name) { return str_equal(name, STR("job")) || str_equal(name, STR("instance")); }

static bool is_wanted(const struct info_question *x, struct str name) {
    if (is_identifying(name) || str_equal(name, METRIC_NAME)) return false;
    bool any = false, named = false;
    for (uint32_t i = 0; x->wanted && i < x->wanted->matcher_n; i++) {
        if (str_equal(x->wanted->matchers[i].name, METRIC_NAME)) continue;
        any = true;
        named |= str_equal(x->wanted->matchers[i].name, name);
    }
    return !any || named;
}

static bool same_target(struct labels x, struct labels y) {
    return str_equal(label_set_get(x, STR("job")), label_set_get(y, STR("job"))) &&
           str_equal(label_set_get(x, STR("instance")), label_set_get(y, STR("instance")));
}

/* Cuts the cells where `info` is present out of `row` into *out_with, with its labels. */
static err with_info(struct info_question *x, struct row *row, const struct row *info, struct labels base,
                     struct row *out_with) {
    struct evaluator *ev = x->ev;
    struct row with = *row;
    with.kinds = NULL;
    TRY(row_prepare(ev, &with, x->t->n));
    with.histograms = row->histograms;
    for (size_t i = 0; i < x->t->n; i++) {
        if (info->kinds[i] == PROMQL_ABSENT || row->kinds[i] == PROMQL_ABSENT) continue;
        with.kinds[i] = row->kinds[i];
        with.values[i] = row->values[i];
        row->kinds[i] = PROMQL_ABSENT;
    }
    for (uint32_t i = 0; i < info->labels.n; i++) {
        struct label l = info->labels.v[i];
        if (!is_wanted(x, l.name) || label_set_get(base, l.name).n) continue;
        struct str before = label_set_get(with.labels, l.name);
        if (before.n && !str_equal(before, l.value) && !row_is_empty(&with, x->t->n))
            return err_new(ERR_INVALID, "conflicting label: " STR_FMT, STR_ARG(l.name));
        with.labels = labels_set(ev->a, with.labels, l.name, l.value);
        NEED(with.labels.v);
    }
    *out_with = with;
    return NULL;
}

static err add_infos(struct info_question *x, const struct row *row, struct table *out) {
    struct table with = {0}, next;
    TRY(table_push(x->ev, &with, row));
    for (size_t k = 0; k < x->infos.n; k++) {
        const struct row *info = &x->infos.rows[k];
        TRY(eval_touch(x->ev, ROW_TOUCHES));
        if (!same_target(row->labels, info->labels)) continue;
        next = (struct table){0};
        for (size_t r = 0; r < with.n; r++) {
            struct row cut;
            TRY(with_info(x, &with.rows[r], info, row->labels, &cut));
            if (!row_is_empty(&cut, x->t->n)) TRY(table_push(x->ev, &next, &cut));
            if (!row_is_empty(&with.rows[r], x->t->n)) TRY(table_push(x->ev, &next, &with.rows[r]));
        }
        with = next;
    }
    for (size_t r = 0; r < with.n; r++) {
        bool bare = labels_equal(with.rows[r].labels, row->labels);
        if (bare && !x->may_miss) continue;
        TRY(table_push(x->ev, out, &with.rows[r]));
    }
    return NULL;
}

/* The second argument's matchers, of target_info unless they name something else. */
static err select_infos(struct info_question *x, const struct promql_node *e) {
    struct evaluator *ev = x->ev;
    struct promql_node *selector = arena_new(ev->a, struct promql_node);
    NEED(selector);
    *selector = (struct promql_node){.kind = NODE_VECTOR, .start = e->start, .end = e->end};
    uint32_t n = x->wanted ? x->wanted->matcher_n : 0;
    NEED(selector->matchers = arena_alloc(ev->a, sizeof *selector->matchers * (n + 1)));
    bool named = false;
    x->may_miss = true;
    for (uint32_t i = 0; i < n; i++) {
        struct label_matcher *m;
        selector->matchers[i] = x->wanted->matchers[i];
        if (str_equal(x->wanted->matchers[i].name, METRIC_NAME)) {
            named = true;
            continue;
        }
        TRY(promql_matchers_make(ev->a, &x->wanted->matchers[i], 1, &m));
        x->may_miss &= m->matches_empty;
        label_matcher_done(m);
    }
    selector->matcher_n = n;
    if (!named)
        selector->matchers[selector->matcher_n++] =
            (struct promql_matcher){MATCHER_EQUAL, METRIC_NAME, STR("target_info")};
    struct keep_sink sink = keep_sink(ev, &x->infos, x->t->n);
    return selector_each(ev, x->t, selector, false, &sink.sink);
}

err whole_info(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out) {
    struct info_question x = {.ev = ev, .t = t, .wanted = e->arg_n > 1 ? strip_parens(e->args[1]) : NULL};
    struct table base;
    TRY(eval(ev, t, e->args[0], &base));
    TRY(select_infos(&x, e));
    for (size_t r = 0; r < base.n; r++) {
        TRY(eval_check(ev));
        TRY(add_infos(&x, &base.rows[r], out));
    }
    return table_merge(ev, out, t->n);
}
