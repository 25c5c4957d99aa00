#include <stdarg.h>
#include <stdio.h>

#include "query/promql/functions_priv.h"

static const char *said(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
static const char *said(struct arena *a, const char *format, ...) {
    char text[1024];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    struct str kept = arena_copy(a, (struct str){text, (size_t)MAX(0, MIN(n, (int)sizeof text - 1))});
    return kept.p ? kept.p : "over the memory limit";
}

const char *promql_type_name(enum promql_type type) {
    static const char *const names[] = {"scalar", "string", "vector", "matrix"};
    return names[type];
}

static const char *documented_type(enum promql_type type) {
    static const char *const names[] = {"scalar", "string", "instant vector", "range vector"};
    return names[type];
}

enum promql_type promql_type_of(const struct promql_node *e) {
    switch (e->kind) {
    case NODE_NUMBER: return PROMQL_SCALAR;
    case NODE_STRING: return PROMQL_STRING;
    case NODE_VECTOR:
    case NODE_AGGREGATE: return PROMQL_VECTOR;
    case NODE_MATRIX:
    case NODE_SUBQUERY: return PROMQL_MATRIX;
    case NODE_CALL: return e->function->gives;
    case NODE_BINARY:
        return promql_type_of(e->args[0]) == PROMQL_SCALAR && promql_type_of(e->args[1]) == PROMQL_SCALAR
                   ? PROMQL_SCALAR
                   : PROMQL_VECTOR;
    case NODE_UNARY:
    case NODE_PAREN: return promql_type_of(e->args[0]);
    }
    return PROMQL_VECTOR;
}

static struct span span_of(const struct promql_node *e) { return (struct span){e->start, e->end}; }

/* ---- calls ------------------------------------------------------------------------------------------------------- */

static enum promql_type type_of_letter(char c) {
    return c == 's' ? PROMQL_SCALAR : c == 't' ? PROMQL_STRING : c == 'v' ? PROMQL_VECTOR : PROMQL_MATRIX;
}

int function_argument(const struct function_row *f, size_t i) {
    size_t k = 0;
    for (const char *c = f->takes; *c; c++) {
        if (*c == '?') continue;
        if (*c == '*') return (int)type_of_letter(c[1]);
        if (k++ == i) return (int)type_of_letter(*c);
    }
    return -1;
}

static const char *check_argument_count(struct arena *a, const struct promql_node *e) {
    const struct function_row *f = e->function;
    size_t least = strcspn(f->takes, "?*"), most = least;
    if (f->takes[least] == '?') most = least + strlen(f->takes + least + 1);
    bool any = f->takes[least] == '*', fixed = least == most && !any;
    if (fixed && e->arg_n != least)
        return said(a, "expected %zu argument(s) in call to \"%s\", got %u", least, f->name, e->arg_n);
    if (e->arg_n < least)
        return said(a, "expected at least %zu argument(s) in call to \"%s\", got %u", least, f->name, e->arg_n);
    if (!any && e->arg_n > most)
        return said(a, "expected at most %zu argument(s) in call to \"%s\", got %u", most, f->name, e->arg_n);
    return NULL;
}

static const char *check_type(struct arena *a, const struct promql_node *e, enum promql_type wanted,
                              const char *context) {
    enum promql_type got = promql_type_of(e);
    if (got == wanted) return NULL;
    return said(a, "expected type %s in %s, got %s", documented_type(wanted), context, documented_type(got));
}

static const char *check_call(struct arena *a, struct promql_node *e, struct promql_syntax syntax,
                              struct span *out_bad) {
    const struct function_row *f = e->function;
    if (f->experimental && !syntax.experimental_functions) return said(a, "function \"%s\" is not enabled", f->name);
    const char *why = check_argument_count(a, e);
    char context[80];
    snprintf(context, sizeof context, "call to function \"%s\"", f->name);
    for (uint32_t i = 0; !why && i < e->arg_n; i++) {
        *out_bad = span_of(e->args[i]);
        why = check_type(a, e->args[i], (enum promql_type)function_argument(f, i), context);
    }
    if (!why && strcmp(f->name, "info") == 0 && e->arg_n > 1 && e->args[1]->kind != NODE_VECTOR)
        why = "expected label selectors as the second argument to \"info\" function";
    return why;
}

/* ---- the others -------------------------------------------------------------------------------------------------- */

static const char *check_selector(struct arena *a, const struct promql_node *e, struct span *out_bad) {
    bool selective = false;
    const struct promql_matcher *name = NULL; /* the first in braces, beside a name in front of them */
    for (uint32_t i = 0; i < e->matcher_n; i++) {
        const struct promql_matcher *m = &e->matchers[i];
        bool is_own_name = e->text.n && i + 1 == e->matcher_n;
        if (!is_own_name && e->text.n && !name && str_equal(m->name, STR("__name__"))) name = m;
        struct label_matcher *made;
        err wrong = promql_matchers_make(a, m, 1, &made);
        if (wrong) {
            const char *why = said(a, "%s", err_text(wrong));
            err_free(wrong);
            *out_bad = (struct span){m->start, m->end};
            return why;
        }
        selective |= !made->matches_empty;
        label_matcher_done(made);
    }
    if (name)
        return said(a, "metric name must not be set twice: \"" STR_FMT "\" or \"" STR_FMT "\"", STR_ARG(e->text),
                    STR_ARG(name->value));
    return selective || e->may_take_all ? NULL : "vector selector must contain at least one non-empty matcher";
}

static const char *check_aggregate(struct arena *a, struct promql_node *e, struct promql_syntax syntax,
                                   struct span *out_bad) {
    const struct aggregation_row *row = &aggregation_rows[e->aggregation];
    if (row->experimental && !syntax.experimental_functions)
        return said(a, "%s() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
                    row->name);
    *out_bad = span_of(e->args[0]);
    const char *why = check_type(a, e->args[0], PROMQL_VECTOR, "aggregation expression");
    if (why || row->parameter < 0) return why;
    *out_bad = span_of(e->args[1]);
    return check_type(a, e->args[1], (enum promql_type)row->parameter, "aggregation parameter");
}

static const char *check_binary(struct arena *a, struct promql_node *e, struct span *out_bad) {
    const struct op_row *row = &op_rows[e->op];
    enum promql_type left = promql_type_of(e->args[0]), right = promql_type_of(e->args[1]);
    bool scalars = left == PROMQL_SCALAR && right == PROMQL_SCALAR,
         vectors = left == PROMQL_VECTOR && right == PROMQL_VECTOR;
    *out_bad = (struct span){e->op_start, e->op_end};
    if (e->bool_modifier && !row->comparison) return "bool modifier can only be used on comparison operators";
    if (row->comparison && !e->bool_modifier && scalars) return "comparisons between scalars must use BOOL modifier";
    for (uint32_t i = 0; e->on && i < e->labels.n; i++)
        for (uint32_t k = 0; k < e->include.n; k++)
            if (str_equal(e->labels.v[i], e->include.v[k]))
                return said(a, "label \"" STR_FMT "\" must not occur in ON and GROUP clause at once",
                            STR_ARG(e->labels.v[i]));
    for (int i = 0; i < 2; i++) {
        enum promql_type type = i ? right : left;
        *out_bad = span_of(e->args[i]);
        if (type != PROMQL_SCALAR && type != PROMQL_VECTOR)
            return "binary expression must contain only scalar and instant vector types";
    }
    *out_bad = span_of(e);
    if (!vectors && e->matching && e->labels.n) return "vector matching only allowed between instant vectors";
    if (!vectors && row->set) return said(a, "set operator \"%s\" not allowed in binary scalar expression", row->name);
    if (!row->set) return NULL;
    if (e->cardinality != ONE_TO_ONE) return said(a, "no grouping allowed for \"%s\" operation", row->name);
    e->cardinality = MANY_TO_MANY;
    return NULL;
}

const char *check_node(struct arena *a, struct promql_node *e, struct promql_syntax syntax, struct span *out_bad) {
    enum promql_type inner = e->arg_n ? promql_type_of(e->args[0]) : PROMQL_SCALAR;
    switch (e->kind) {
    case NODE_NUMBER:
    case NODE_STRING:
    case NODE_MATRIX:
    case NODE_PAREN: return NULL;
    case NODE_VECTOR: return check_selector(a, e, out_bad);
    case NODE_SUBQUERY:
        return inner == PROMQL_VECTOR
                   ? NULL
                   : said(a, "subquery is only allowed on instant vector, got %s instead", promql_type_name(inner));
    case NODE_CALL: return check_call(a, e, syntax, out_bad);
    case NODE_AGGREGATE: return check_aggregate(a, e, syntax, out_bad);
    case NODE_BINARY: return check_binary(a, e, out_bad);
    case NODE_UNARY:
        if (inner == PROMQL_SCALAR || inner == PROMQL_VECTOR) return NULL;
        return said(a, "unary expression only allowed on expressions of type scalar or instant vector, got \"%s\"",
                    documented_type(inner));
    }
    return NULL;
}
