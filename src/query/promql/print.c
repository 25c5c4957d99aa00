#include <math.h>

#include "query/promql/functions_priv.h"
#include "query/promql/number.h"

enum { LINE_CHARACTERS_MAX = 100 };

/* ---- one line ---------------------------------------------------------------------------------------------------- */

static void put_label_name(struct buf *b, struct str name) {
    if (is_label_name(name))
        buf_add_str(b, name);
    else
        put_go_quoted(b, name);
}

static void put_names(struct buf *b, const struct names *names) {
    buf_add_byte(b, '(');
    for (uint32_t i = 0; i < names->n; i++) {
        if (i) buf_add_text(b, ", ");
        put_label_name(b, names->v[i]);
    }
    buf_add_byte(b, ')');
}

static const char *match_name(enum label_matcher_op op) {
    static const char *const names[] = {"=", "!=", "=~", "!~"};
    return names[op];
}

static void put_selector(const struct promql_node *e, struct buf *b) {
    buf_add_str(b, e->text);
    uint32_t n = e->matcher_n - (e->text.n > 0);
    if (n == 0 && e->text.n) return;
    buf_add_byte(b, '{');
    for (uint32_t i = 0; i < n; i++) {
        if (i) buf_add_byte(b, ',');
        put_label_name(b, e->matchers[i].name);
        buf_add_text(b, match_name(e->matchers[i].op));
        put_go_quoted(b, e->matchers[i].value);
    }
    buf_add_byte(b, '}');
}

static void put_time_modifiers(const struct promql_node *e, struct buf *b) {
    if (e->at == AT_START) buf_add_text(b, " @ start()");
    if (e->at == AT_END) buf_add_text(b, " @ end()");
    if (e->at == AT_TIME) {
        uint64_t ms = e->at_ms < 0 ? 0 - (uint64_t)e->at_ms : (uint64_t)e->at_ms;
        buf_add_fmt(b, " @ %s%llu.%03llu", e->at_ms < 0 ? "-" : "", (unsigned long long)(ms / 1000),
                    (unsigned long long)(ms % 1000));
    }
    if (!e->offset_ms) return;
    buf_add_text(b, " offset ");
    put_promql_duration(b, e->offset_ms);
}

/* What stands behind the expression inside: [5m:1m] @ 3.000 offset 1m. */
static void put_range(const struct promql_node *e, struct buf *b) {
    buf_add_byte(b, '[');
    put_promql_duration(b, e->range_ms);
    if (e->kind == NODE_SUBQUERY) buf_add_byte(b, ':');
    if (e->step_ms) put_promql_duration(b, e->step_ms);
    buf_add_byte(b, ']');
    put_time_modifiers(e, b);
}

static void put_operator(const struct promql_node *e, struct buf *b) {
    buf_add_text(b, op_rows[e->op].name);
    if (e->bool_modifier) buf_add_text(b, " bool");
    bool grouping = e->cardinality == MANY_TO_ONE || e->cardinality == ONE_TO_MANY;
    if (!e->matching || (!e->on && !e->labels.n && !grouping)) return;
    buf_add_text(b, e->on ? " on " : " ignoring ");
    put_names(b, &e->labels);
    if (!grouping) return;
    buf_add_text(b, e->cardinality == MANY_TO_ONE ? " group_left " : " group_right ");
    put_names(b, &e->include);
}

static void put_aggregation(const struct promql_node *e, struct buf *b) {
    buf_add_text(b, aggregation_rows[e->aggregation].name);
    if (!e->without && !e->labels.n) return;
    buf_add_text(b, e->without ? " without " : " by ");
    put_names(b, &e->labels);
    buf_add_byte(b, ' ');
}

static void put_literal(const struct promql_node *e, struct buf *b) {
    if (e->kind == NODE_STRING)
        put_go_quoted(b, e->text);
    else if (e->is_duration)
        put_promql_duration(b, llround(e->number * 1000));
    else
        put_go_general(b, e->number);
}

static void put_args(const struct promql_node *e, struct buf *b) {
    buf_add_byte(b, '(');
    for (uint32_t i = 0; i < e->arg_n; i++) {
        if (i) buf_add_text(b, ", ");
        promql_print(e->args[e->kind == NODE_AGGREGATE ? e->arg_n - 1 - i : i], b);
    }
    buf_add_byte(b, ')');
}

void promql_print(const struct promql_node *e, struct buf *out) {
    switch (e->kind) {
    case NODE_NUMBER:
    case NODE_STRING: put_literal(e, out); break;
    case NODE_VECTOR:
        put_selector(e, out);
        put_time_modifiers(e, out);
        break;
    case NODE_MATRIX:
        put_selector(e->args[0], out);
        put_range(e, out);
        break;
    case NODE_SUBQUERY:
        promql_print(e->args[0], out);
        put_range(e, out);
        break;
    case NODE_CALL:
        buf_add_text(out, e->function->name);
        put_args(e, out);
        break;
    case NODE_AGGREGATE:
        put_aggregation(e, out);
        put_args(e, out);
        break;
    case NODE_BINARY:
        if (e->op == OP_POW && e->args[0]->kind == NODE_NUMBER && isinf(e->args[0]->number))
            buf_add_text(out, "Inf"); /* a sign would bind less than ^ */
        else
            promql_print(e->args[0], out);
        buf_add_byte(out, ' ');
        put_operator(e, out);
        buf_add_byte(out, ' ');
        promql_print(e->args[1], out);
        break;
    case NODE_UNARY:
        buf_add_text(out, op_rows[e->op].name);
        promql_print(e->args[0], out);
        break;
    case NODE_PAREN:
        buf_add_byte(out, '(');
        promql_print(e->args[0], out);
        buf_add_byte(out, ')');
        break;
    }
}

/* ---- broken into lines ------------------------------------------------------------------------------------------- */

static void indent(struct buf *b, int level) {
    for (int i = 0; i < level; i++) buf_add_text(b, "  ");
}

static void put_pretty(const struct promql_node *e, int level, bool indented, struct buf *b);

static void put_pretty_args(const struct promql_node *e, int level, struct buf *b) {
    buf_add_text(b, "(\n");
    for (uint32_t i = 0; i < e->arg_n; i++) {
        if (i) buf_add_text(b, ",\n");
        put_pretty(e->args[e->kind == NODE_AGGREGATE ? e->arg_n - 1 - i : i], level + 1, true, b);
    }
    buf_add_byte(b, '\n');
    indent(b, level);
    buf_add_byte(b, ')');
}

static void put_pretty(const struct promql_node *e, int level, bool indented, struct buf *b) {
    AUTO_BUF struct buf line;
    buf_init(&line, b->max);
    promql_print(e, &line);
    bool leaf = e->kind == NODE_NUMBER || e->kind == NODE_STRING || e->kind == NODE_VECTOR || e->kind == NODE_MATRIX;
    if (indented && (e->kind != NODE_BINARY || line.n <= LINE_CHARACTERS_MAX) &&
        (e->kind != NODE_SUBQUERY || line.n <= LINE_CHARACTERS_MAX))
        indent(b, level);
    if (leaf || line.n <= LINE_CHARACTERS_MAX) return buf_add_str(b, buf_str(&line));
    if (e->kind == NODE_CALL || e->kind == NODE_AGGREGATE) {
        if (e->kind == NODE_CALL)
            buf_add_text(b, e->function->name);
        else
            put_aggregation(e, b);
        put_pretty_args(e, level, b);
    } else if (e->kind == NODE_BINARY) {
        put_pretty(e->args[0], level + 1, true, b);
        buf_add_byte(b, '\n');
        indent(b, level);
        put_operator(e, b);
        buf_add_byte(b, '\n');
        put_pretty(e->args[1], level + 1, true, b);
    } else if (e->kind == NODE_PAREN) {
        put_pretty_args(e, level, b);
    } else if (e->kind == NODE_SUBQUERY) {
        put_pretty(e->args[0], level, indented, b);
        put_range(e, b);
    } else {
        buf_add_text(b, op_rows[e->op].name);
        put_pretty(e->args[0], level, false, b);
    }
}

void promql_print_pretty(const struct promql_node *e, struct buf *out) { put_pretty(e, 0, true, out); }

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

static void put_matchers_json(const struct promql_node *e, struct json_writer *w) {
    json_key(w, STR("matchers"));
    json_array(w);
    for (uint32_t i = 0; i < e->matcher_n; i++) {
        json_object(w);
        json_member(w, "name", str, e->matchers[i].name);
        json_member(w, "type", text, match_name(e->matchers[i].op));
        json_member(w, "value", str, e->matchers[i].value);
        json_object_end(w);
    }
    json_array_end(w);
}

static void put_times_json(const struct promql_node *e, struct json_writer *w) {
    json_member(w, "offset", i64, e->offset_ms);
    json_key(w, STR("timestamp"));
    if (e->at == AT_TIME)
        json_i64(w, e->at_ms);
    else
        json_null(w);
    json_key(w, STR("startOrEnd"));
    if (e->at == AT_START || e->at == AT_END)
        json_text(w, e->at == AT_START ? "start" : "end");
    else
        json_null(w);
}

static void put_names_json(struct json_writer *w, struct str key, const struct names *names) {
    json_key(w, key);
    json_array(w);
    for (uint32_t i = 0; i < names->n; i++) json_str(w, names->v[i]);
    json_array_end(w);
}

static void put_tree(const struct promql_node *e, struct json_writer *w);

static void put_child_json(struct json_writer *w, struct str key, const struct promql_node *e) {
    json_key(w, key);
    if (e)
        put_tree(e, w);
    else
        json_null(w);
}

static void put_function_json(const struct function_row *f, struct json_writer *w) {
    json_key(w, STR("func"));
    json_object(w);
    json_member(w, "name", text, f->name);
    json_key(w, STR("argTypes"));
    json_array(w);
    size_t least = strcspn(f->takes, "?*"), n = strlen(f->takes) - (f->takes[least] != 0);
    for (size_t i = 0; i < n; i++) json_text(w, promql_type_name((enum promql_type)function_argument(f, i)));
    json_array_end(w);
    json_member(w, "variadic", i64, f->takes[least] == '*' ? -1 : (int64_t)(n - least));
    json_member(w, "returnType", text, promql_type_name(f->gives));
    json_object_end(w);
}

static void put_binary_json(const struct promql_node *e, struct json_writer *w) {
    static const char *const cards[] = {"one-to-one", "many-to-one", "one-to-many", "many-to-many"};
    json_member(w, "op", text, op_rows[e->op].name);
    put_child_json(w, STR("lhs"), e->args[0]);
    put_child_json(w, STR("rhs"), e->args[1]);
    json_key(w, STR("matching"));
    if (promql_type_of(e->args[0]) == PROMQL_VECTOR && promql_type_of(e->args[1]) == PROMQL_VECTOR) {
        json_object(w);
        json_member(w, "card", text, cards[e->cardinality]);
        put_names_json(w, STR("labels"), &e->labels);
        json_member(w, "on", bool, e->on);
        put_names_json(w, STR("include"), &e->include);
        json_object_end(w);
    } else {
        json_null(w);
    }
    json_member(w, "bool", bool, e->bool_modifier);
}

static void put_call_json(const struct promql_node *e, struct json_writer *w) {
    put_function_json(e->function, w);
    json_key(w, STR("args"));
    json_array(w);
    for (uint32_t i = 0; i < e->arg_n; i++) put_tree(e->args[i], w);
    json_array_end(w);
}

static void put_tree(const struct promql_node *e, struct json_writer *w) {
    static const char *const types[] = {"numberLiteral", "stringLiteral", "vectorSelector", "matrixSelector",
                                        "subquery",      "call",          "aggregation",    "binaryExpr",
                                        "unaryExpr",     "parenExpr"};
    AUTO_BUF struct buf number;
    buf_init(&number, 400);
    json_object(w);
    json_member(w, "type", text, types[e->kind]);
    switch (e->kind) {
    case NODE_NUMBER:
        put_go_plain(&number, e->number);
        json_member(w, "val", str, buf_str(&number));
        break;
    case NODE_STRING: json_member(w, "val", str, e->text); break;
    case NODE_MATRIX:
    case NODE_VECTOR: {
        const struct promql_node *selector = e->kind == NODE_MATRIX ? e->args[0] : e;
        json_member(w, "name", str, selector->text);
        if (e->kind == NODE_MATRIX) json_member(w, "range", i64, e->range_ms);
        put_matchers_json(selector, w);
        put_times_json(e, w);
        break;
    }
    case NODE_SUBQUERY:
        put_child_json(w, STR("expr"), e->args[0]);
        json_member(w, "range", i64, e->range_ms);
        json_member(w, "step", i64, e->step_ms);
        put_times_json(e, w);
        break;
    case NODE_CALL: put_call_json(e, w); break;
    case NODE_AGGREGATE:
        json_member(w, "op", text, aggregation_rows[e->aggregation].name);
        put_child_json(w, STR("expr"), e->args[0]);
        put_child_json(w, STR("param"), e->arg_n > 1 ? e->args[1] : NULL);
        put_names_json(w, STR("grouping"), &e->labels);
        json_member(w, "without", bool, e->without);
        break;
    case NODE_BINARY: put_binary_json(e, w); break;
    case NODE_UNARY:
        json_member(w, "op", text, op_rows[e->op].name);
        put_child_json(w, STR("expr"), e->args[0]);
        break;
    case NODE_PAREN: put_child_json(w, STR("expr"), e->args[0]); break;
    }
    json_object_end(w);
}

static int levels_of(const struct promql_node *e) {
    int levels = 0;
    for (uint32_t i = 0; i < e->arg_n; i++) levels = MAX(levels, levels_of(e->args[i]));
    return levels + 1;
}

err promql_print_tree(const struct promql_node *e, struct json_writer *w) {
    if (2 * levels_of(e) + w->depth + 4 > JSON_DEPTH_MAX)
        return err_new(ERR_LIMIT, "the expression is nested too deeply for a tree in JSON");
    put_tree(e, w);
    return NULL;
}

/* ---- equality and selectors -------------------------------------------------------------------------------------- */

static bool names_equal(const struct names *x, const struct names *y) {
    bool equal = x->n == y->n;
    for (uint32_t i = 0; equal && i < x->n; i++) equal = str_equal(x->v[i], y->v[i]);
    return equal;
}

static bool matchers_equal(const struct promql_node *x, const struct promql_node *y) {
    bool equal = x->matcher_n == y->matcher_n;
    for (uint32_t i = 0; equal && i < x->matcher_n; i++)
        equal = x->matchers[i].op == y->matchers[i].op && str_equal(x->matchers[i].name, y->matchers[i].name) &&
                str_equal(x->matchers[i].value, y->matchers[i].value);
    return equal;
}

bool promql_equal(const struct promql_node *x, const struct promql_node *y) {
    bool same_number = memcmp(&x->number, &y->number, sizeof x->number) == 0 || (isnan(x->number) && isnan(y->number));
    bool equal = x->kind == y->kind && same_number && x->is_duration == y->is_duration && str_equal(x->text, y->text) &&
                 x->at == y->at && x->at_ms == y->at_ms && x->offset_ms == y->offset_ms && x->range_ms == y->range_ms &&
                 x->step_ms == y->step_ms && x->function == y->function && x->aggregation == y->aggregation &&
                 x->op == y->op && x->bool_modifier == y->bool_modifier && x->without == y->without && x->on == y->on &&
                 x->cardinality == y->cardinality && x->arg_n == y->arg_n && names_equal(&x->labels, &y->labels) &&
                 names_equal(&x->include, &y->include) && matchers_equal(x, y);
    for (uint32_t i = 0; equal && i < x->arg_n; i++) equal = promql_equal(x->args[i], y->args[i]);
    return equal;
}

static bool selector_at(const struct promql_node *e, size_t *i, const struct promql_matcher **out, size_t *out_n) {
    if (e->kind == NODE_VECTOR && (*i)-- == 0) {
        *out = e->matchers;
        *out_n = e->matcher_n;
        return true;
    }
    for (uint32_t k = 0; k < e->arg_n; k++)
        if (selector_at(e->args[k], i, out, out_n)) return true;
    return false;
}

bool promql_is_selector(const struct promql_node *e) {
    return e->kind == NODE_VECTOR && e->at == AT_NONE && e->offset_ms == 0;
}

bool promql_selector_at(const struct promql_node *e, size_t i, const struct promql_matcher **out, size_t *out_n) {
    return selector_at(e, &i, out, out_n);
}
