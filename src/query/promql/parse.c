#include <math.h>
#include <stdio.h>

#include "base/text.h"
#include "query/promql/functions_priv.h"
#include "query/promql/number.h"

const struct op_row op_rows[OPS] = {
    [OP_NONE] = {"", 0, 0, 0, 0},         [OP_OR] = {"or", 1, 0, 1, 1},    [OP_AND] = {"and", 2, 0, 1, 1},
    [OP_UNLESS] = {"unless", 2, 0, 1, 1}, [OP_EQUAL] = {"==", 3, 1, 0, 0}, [OP_NOT_EQUAL] = {"!=", 3, 1, 0, 0},
    [OP_LESS_EQUAL] = {"<=", 3, 1, 0, 0}, [OP_LESS] = {"<", 3, 1, 0, 0},   [OP_GREATER_EQUAL] = {">=", 3, 1, 0, 0},
    [OP_GREATER] = {">", 3, 1, 0, 0},     [OP_ADD] = {"+", 4, 0, 0, 0},    [OP_SUB] = {"-", 4, 0, 0, 0},
    [OP_MUL] = {"*", 5, 0, 0, 0},         [OP_DIV] = {"/", 5, 0, 0, 0},    [OP_MOD] = {"%", 5, 0, 0, 0},
    [OP_ATAN2] = {"atan2", 5, 0, 0, 1},   [OP_POW] = {"^", 6, 0, 0, 0},
};

const struct aggregation_row aggregation_rows[AGGREGATIONS] = {
    [AGG_SUM] = {"sum", -1, false},
    [AGG_AVG] = {"avg", -1, false},
    [AGG_COUNT] = {"count", -1, false},
    [AGG_MIN] = {"min", -1, false},
    [AGG_MAX] = {"max", -1, false},
    [AGG_GROUP] = {"group", -1, false},
    [AGG_STDDEV] = {"stddev", -1, false},
    [AGG_STDVAR] = {"stdvar", -1, false},
    [AGG_TOPK] = {"topk", PROMQL_SCALAR, false},
    [AGG_BOTTOMK] = {"bottomk", PROMQL_SCALAR, false},
    [AGG_COUNT_VALUES] = {"count_values", PROMQL_STRING, false},
    [AGG_QUANTILE] = {"quantile", PROMQL_SCALAR, false},
    [AGG_LIMITK] = {"limitk", PROMQL_SCALAR, true},
    [AGG_LIMIT_RATIO] = {"limit_ratio", PROMQL_SCALAR, true},
};

struct parser {
    struct arena *a;
    struct str text;
    struct lexer lexer;
    struct token now, next; /* next is the one behind now */
    struct promql_syntax syntax;
    int depth;
    const char *wrong; /* the first mistake */
    uint32_t wrong_start, wrong_end;
    bool no_memory;
    bool label_selectors; /* the next selector is the second argument of info() */
};

/* ---- tokens and mistakes ----------------------------------------------------------------------------------------- */

static void wrong_at(struct parser *p, uint32_t start, uint32_t end, const char *why) {
    if (p->wrong) return;
    p->wrong = why;
    p->wrong_start = start;
    p->wrong_end = end;
}

static const char *keep(struct parser *p, struct buf *b) {
    struct str text = arena_copy(p->a, buf_str(b));
    return text.p ? text.p : "over the memory limit";
}

#define WRONG(p, node_start, node_end, ...)                                                                            \
    do {                                                                                                               \
        AUTO_BUF struct buf wrong_text_;                                                                               \
        buf_init(&wrong_text_, 1024);                                                                                  \
        buf_add_fmt(&wrong_text_, __VA_ARGS__);                                                                        \
        wrong_at((p), (node_start), (node_end), keep((p), &wrong_text_));                                              \
    } while (0)

static void unexpected(struct parser *p, const char *context, const char *expected) {
    if (p->wrong) return;
    AUTO_BUF struct buf b;
    buf_init(&b, 1024);
    if (p->now.kind != TOKEN_BAD) buf_add_text(&b, "unexpected ");
    put_token(&b, &p->now);
    if (p->now.kind == TOKEN_BAD) context = expected = NULL;
    if (context) buf_add_fmt(&b, " in %s", context);
    if (expected) buf_add_fmt(&b, ", expected %s", expected);
    wrong_at(p, p->now.start, p->now.end, keep(p, &b));
}

static void advance(struct parser *p) {
    p->now = p->next;
    p->next = lex(&p->lexer);
}

static bool took(struct parser *p, enum token_kind kind) {
    if (p->wrong || p->now.kind != kind) return false;
    advance(p);
    return true;
}

static bool expect(struct parser *p, enum token_kind kind, const char *context, const char *name) {
    if (took(p, kind)) return true;
    unexpected(p, context, name);
    return false;
}

static bool is_word(const struct token *t, const char *word) {
    return t->kind == TOKEN_WORD && str_equal_nocase(t->text, str_of(word));
}

static struct promql_node *node_new(struct parser *p, enum node_kind kind, uint32_t start) {
    struct promql_node *e = arena_new(p->a, struct promql_node);
    if (!e) {
        p->no_memory = true;
        wrong_at(p, start, start, "over the memory limit");
        return NULL;
    }
    e->kind = kind;
    e->start = start;
    return e;
}

static bool node_args(struct parser *p, struct promql_node *e, const struct promql_node **args, uint32_t n) {
    e->args = arena_alloc(p->a, sizeof *args * MAX(n, 1));
    if (!e->args) return wrong_at(p, e->start, e->start, "over the memory limit"), false;
    memcpy(e->args, args, sizeof *args * n);
    e->arg_n = n;
    return true;
}

static struct promql_node *finish(struct parser *p, struct promql_node *e, uint32_t end) {
    struct span bad = {e->start, end};
    if (p->wrong) return NULL;
    e->end = end;
    const char *why = check_node(p->a, e, p->syntax, &bad);
    if (why) return wrong_at(p, bad.start, bad.end, why), NULL;
    return e;
}

static uint32_t last_end(const struct parser *p) { /* of the token before now, blanks left out */
    uint32_t end = p->now.start;
    while (end > 0 && strchr(" \t\r\n", p->text.p[end - 1])) end--;
    return end;
}

static struct promql_node *parse_expression(struct parser *p, int precedence);

/* ---- durations --------------------------------------------------------------------------------------------------- */

static double duration_term(struct parser *p, int precedence);

static double duration_primary(struct parser *p) {
    double seconds = 0;
    if (p->now.kind == TOKEN_NUMBER || p->now.kind == TOKEN_DURATION) {
        seconds = p->now.kind == TOKEN_NUMBER ? p->now.number : (double)p->now.ms / 1000;
        advance(p);
        return seconds;
    }
    if (p->syntax.duration_expressions && took(p, TOKEN_LEFT_PAREN)) {
        if (++p->depth > PROMQL_DEPTH_MAX) wrong_at(p, p->now.start, p->now.end, "the expression is nested too deeply");
        seconds = duration_term(p, 4);
        p->depth--;
        expect(p, TOKEN_RIGHT_PAREN, "duration expression", "\")\"");
        return seconds;
    }
    if (p->now.kind == TOKEN_LEFT_PAREN) {
        wrong_at(p, p->now.start, p->now.end, "experimental duration expression is not enabled");
        return 0;
    }
    unexpected(p, "subquery or range", "number or duration");
    return 0;
}

static double duration_unary(struct parser *p) {
    double sign = 1;
    while (p->now.kind == TOKEN_OP && (p->now.op == OP_SUB || p->now.op == OP_ADD)) {
        if (p->now.op == OP_SUB) sign = -sign;
        advance(p);
    }
    double v = duration_primary(p);
    if (p->syntax.duration_expressions && p->now.kind == TOKEN_OP && p->now.op == OP_POW && !p->wrong) {
        advance(p);
        v = pow(v, duration_unary(p));
    }
    return sign * v;
}

static double duration_apply(struct parser *p, const struct token *op, double x, double y) {
    if (op->op == OP_ADD) return x + y;
    if (op->op == OP_SUB) return x - y;
    if (op->op == OP_MUL) return x * y;
    if (y == 0) wrong_at(p, op->start, op->end, op->op == OP_DIV ? "division by zero" : "modulo by zero");
    return op->op == OP_DIV ? x / y : fmod(x, y);
}

/* The arithmetic of Prometheus's duration expressions, worked out as it is read; precedence as in op_rows. */
static double duration_term(struct parser *p, int precedence) {
    double v = duration_unary(p);
    while (!p->wrong && p->now.kind == TOKEN_OP && p->now.op >= OP_ADD && p->now.op <= OP_MOD &&
           op_rows[p->now.op].precedence >= precedence) {
        struct token op = p->now;
        if (!p->syntax.duration_expressions) {
            wrong_at(p, op.start, op.end, "experimental duration expression is not enabled");
            break;
        }
        advance(p);
        v = duration_apply(p, &op, v, duration_term(p, op_rows[op.op].precedence + 1));
    }
    return v;
}

static int64_t duration_ms(struct parser *p, double seconds, uint32_t start, bool positive) {
    uint32_t end = last_end(p);
    if (p->wrong) return 0;
    if (!(fabs(seconds) < 9.2e9)) return wrong_at(p, start, end, "duration out of range"), 0;
    int64_t ms = llround(seconds * 1000);
    if (positive && ms <= 0) wrong_at(p, start, end, "duration must be greater than 0");
    return ms;
}

/* ---- selectors --------------------------------------------------------------------------------------------------- */

struct matchers {
    struct promql_matcher v[64];
    uint32_t n;
    struct promql_matcher *all; /* once 64 are full */
    uint32_t capacity;
};

static bool matcher_push(struct parser *p, struct matchers *m, struct promql_matcher matcher) {
    if (m->n == PROMQL_LIST_MAX) return wrong_at(p, p->now.start, p->now.end, "too many label matchers"), false;
    if (!m->all) m->all = m->v, m->capacity = LENGTH(m->v);
    if (m->n == m->capacity) {
        struct promql_matcher *more = arena_alloc(p->a, sizeof *more * m->capacity * 2);
        if (!more) return wrong_at(p, p->now.start, p->now.end, "over the memory limit"), false;
        memcpy(more, m->all, sizeof *more * m->n);
        m->all = more;
        m->capacity *= 2;
    }
    m->all[m->n++] = matcher;
    return true;
}

static bool take_string(struct parser *p, struct str *out) {
    const char *why = unquote(p->a, p->now.text, out);
    if (!why && !out->p) why = "over the memory limit";
    if (why) return wrong_at(p, p->now.start, p->now.end, why), false;
    advance(p);
    return true;
}

static bool parse_matcher(struct parser *p, struct matchers *m) {
    struct promql_matcher matcher = {.start = p->now.start};
    bool quoted = p->now.kind == TOKEN_STRING;
    if (quoted) {
        if (!take_string(p, &matcher.name)) return false;
        if (p->now.kind == TOKEN_COMMA || p->now.kind == TOKEN_RIGHT_BRACE)
            return matcher_push(
                p, m, (struct promql_matcher){.op = MATCHER_EQUAL, .name = STR("__name__"), .value = matcher.name});
    } else if (p->now.kind == TOKEN_WORD && is_label_name(p->now.text)) {
        matcher.name = arena_copy(p->a, p->now.text);
        advance(p);
    } else {
        return unexpected(p, "label matching", "identifier or \"}\""), false;
    }
    if (p->now.kind == TOKEN_ASSIGN)
        matcher.op = MATCHER_EQUAL;
    else if (p->now.kind == TOKEN_OP && p->now.op == OP_NOT_EQUAL)
        matcher.op = MATCHER_NOT_EQUAL;
    else if (p->now.kind == TOKEN_MATCH)
        matcher.op = MATCHER_REGEX;
    else if (p->now.kind == TOKEN_NOT_MATCH)
        matcher.op = MATCHER_NOT_REGEX;
    else
        return unexpected(p, "label matching", "label matching operator"), false;
    advance(p);
    if (p->now.kind != TOKEN_STRING) return unexpected(p, "label matching", "string"), false;
    matcher.end = p->now.end;
    return take_string(p, &matcher.value) && matcher_push(p, m, matcher);
}

static bool parse_matchers(struct parser *p, struct matchers *m) {
    while (!p->wrong && p->now.kind != TOKEN_RIGHT_BRACE) {
        if (!parse_matcher(p, m)) return false;
        if (p->now.kind == TOKEN_RIGHT_BRACE) break;
        if (!expect(p, TOKEN_COMMA, "label matching", "\",\" or \"}\"")) return false;
    }
    return expect(p, TOKEN_RIGHT_BRACE, "label matching", "identifier or \"}\"");
}

static struct promql_node *parse_selector(struct parser *p) {
    struct matchers m = {.n = 0};
    struct promql_node *e = node_new(p, NODE_VECTOR, p->now.start);
    if (!e) return NULL;
    e->may_take_all = p->label_selectors;
    p->label_selectors = false;
    if (p->now.kind == TOKEN_WORD) {
        e->text = arena_copy(p->a, p->now.text);
        advance(p);
    }
    if (took(p, TOKEN_LEFT_BRACE) && !parse_matchers(p, &m)) return NULL;
    if (e->text.n)
        matcher_push(p, &m, (struct promql_matcher){.op = MATCHER_EQUAL, .name = STR("__name__"), .value = e->text});
    e->matchers = arena_alloc(p->a, sizeof *e->matchers * MAX(m.n, 1));
    if (!e->matchers) return wrong_at(p, e->start, e->start, "over the memory limit"), NULL;
    if (m.n) memcpy(e->matchers, m.all, sizeof *e->matchers * m.n);
    e->matcher_n = m.n;
    return finish(p, e, last_end(p));
}

/* ---- what follows an expression: ranges, offset, @ --------------------------------------------------------------- */

static struct promql_node *parse_range(struct parser *p, struct promql_node *inner) {
    uint32_t bracket = p->now.start;
    advance(p);
    uint32_t at = p->now.start;
    int64_t range = duration_ms(p, duration_term(p, 4), at, true), step = 0;
    bool subquery = took(p, TOKEN_COLON);
    if (subquery && p->now.kind != TOKEN_RIGHT_BRACKET) {
        at = p->now.start;
        step = duration_ms(p, duration_term(p, 4), at, true);
    }
    if (!expect(p, TOKEN_RIGHT_BRACKET, subquery ? "subquery selector" : "subquery or range", "\"]\"")) return NULL;
    if (!subquery) {
        const char *why = inner->kind != NODE_VECTOR ? "ranges only allowed for vector selectors"
                          : inner->offset_ms         ? "no offset modifiers allowed before range"
                          : inner->at != AT_NONE     ? "no @ modifiers allowed before range"
                                                     : NULL;
        if (why) return wrong_at(p, bracket, last_end(p), why), NULL;
    }
    struct promql_node *e = node_new(p, subquery ? NODE_SUBQUERY : NODE_MATRIX, inner->start);
    if (!e || !node_args(p, e, (const struct promql_node *[]){inner}, 1)) return NULL;
    e->range_ms = range;
    e->step_ms = step;
    return finish(p, e, last_end(p));
}

static bool parse_offset(struct parser *p, struct promql_node *e) {
    uint32_t start = p->now.start;
    double sign = 1;
    advance(p);
    if (p->now.kind == TOKEN_OP && (p->now.op == OP_SUB || p->now.op == OP_ADD)) {
        sign = p->now.op == OP_SUB ? -1 : 1;
        advance(p);
    }
    if (p->now.kind != TOKEN_NUMBER && p->now.kind != TOKEN_DURATION && p->now.kind != TOKEN_LEFT_PAREN)
        return unexpected(p, "offset", "number or duration"), false;
    int64_t ms = duration_ms(p, sign * duration_primary(p), start, false);
    if (p->wrong) return false;
    if (!node_has_offset(e))
        return wrong_at(p, e->start, e->end,
                        "offset modifier must be preceded by an instant vector selector or range vector selector or a "
                        "subquery"),
               false;
    if (e->offset_ms) return wrong_at(p, e->start, e->end, "offset may not be set multiple times"), false;
    e->offset_ms = ms;
    e->end = last_end(p);
    return true;
}

static bool parse_at_number(struct parser *p, struct promql_node *e) {
    double sign = 1;
    if (p->now.kind == TOKEN_OP && (p->now.op == OP_SUB || p->now.op == OP_ADD)) {
        sign = p->now.op == OP_SUB ? -1 : 1;
        advance(p);
    }
    double seconds = p->now.kind == TOKEN_DURATION ? (double)p->now.ms / 1000 : p->now.number;
    bool special = p->now.kind == TOKEN_WORD && parse_promql_number(p->now.text, &seconds);
    if (p->now.kind != TOKEN_NUMBER && p->now.kind != TOKEN_DURATION && !special)
        return unexpected(p, "@", "timestamp"), false;
    seconds *= sign;
    if (!isfinite(seconds)) {
        WRONG(p, p->now.start, p->now.end, "timestamp out of bounds for @ modifier: %s",
              isnan(seconds) ? "NaN"
              : seconds > 0  ? "+Inf"
                             : "-Inf");
    } else if (!(fabs(seconds) < 4e15)) {
        WRONG(p, p->now.start, p->now.end, "timestamp out of bounds for @ modifier: %f", seconds);
        return false;
    }
    advance(p);
    e->at = AT_TIME;
    e->at_ms = llround(seconds * 1000);
    return true;
}

static bool parse_at(struct parser *p, struct promql_node *e) {
    advance(p);
    if (!node_has_offset(e))
        return wrong_at(
                   p, e->start, e->end,
                   "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery"),
               false;
    if (e->at != AT_NONE) return wrong_at(p, e->start, e->end, "@ <timestamp> may not be set multiple times"), false;
    bool start = is_word(&p->now, "start"), end = is_word(&p->now, "end");
    if (start || end) {
        advance(p);
        e->at = start ? AT_START : AT_END;
        if (!expect(p, TOKEN_LEFT_PAREN, "@", "\"(\"") || !expect(p, TOKEN_RIGHT_PAREN, "@", "\")\"")) return false;
    } else if (!parse_at_number(p, e)) {
        return false;
    }
    e->end = last_end(p);
    return true;
}

static struct promql_node *parse_postfix(struct parser *p, struct promql_node *e) {
    while (e && !p->wrong) {
        if (p->now.kind == TOKEN_LEFT_BRACKET) {
            if (++p->depth > PROMQL_DEPTH_MAX)
                return wrong_at(p, p->now.start, p->now.end, "the expression is nested too deeply"), NULL;
            e = parse_range(p, e);
        } else if (is_word(&p->now, "offset")) {
            if (!parse_offset(p, e)) return NULL;
        } else if (p->now.kind == TOKEN_AT) {
            if (!parse_at(p, e)) return NULL;
        } else {
            break;
        }
    }
    return p->wrong ? NULL : e;
}

/* ---- calls and aggregations -------------------------------------------------------------------------------------- */

/* ( a, b, ) of expressions, of which the first parenthesis is next. */
static bool parse_args(struct parser *p, struct promql_node *e, const char *context) {
    const struct promql_node *few[16], **args = few;
    uint32_t n = 0, capacity = LENGTH(few);
    if (!expect(p, TOKEN_LEFT_PAREN, context, "\"(\"")) return false;
    while (!p->wrong && p->now.kind != TOKEN_RIGHT_PAREN) {
        p->label_selectors = n == 1 && e->function && strcmp(e->function->name, "info") == 0;
        struct promql_node *arg = parse_expression(p, 1);
        if (!arg) return false;
        if (n == PROMQL_LIST_MAX) return wrong_at(p, arg->start, arg->end, "too many arguments"), false;
        if (n == capacity) {
            const struct promql_node **more = arena_alloc(p->a, sizeof *more * capacity * 2);
            if (!more) return wrong_at(p, arg->start, arg->end, "over the memory limit"), false;
            memcpy(more, args, sizeof *more * n);
            args = more;
            capacity *= 2;
        }
        args[n++] = arg;
        if (p->now.kind == TOKEN_RIGHT_PAREN) break;
        if (!expect(p, TOKEN_COMMA, context, "\",\" or \")\"")) return false;
        if (p->now.kind == TOKEN_RIGHT_PAREN && e->kind == NODE_CALL)
            return unexpected(p, context, "expression"), false;
    }
    return expect(p, TOKEN_RIGHT_PAREN, context, "\",\" or \")\"") && node_args(p, e, args, n);
}

static bool parse_names(struct parser *p, struct names *out) {
    struct str few[64], *v = few;
    uint32_t n = 0, capacity = LENGTH(few);
    if (!expect(p, TOKEN_LEFT_PAREN, "grouping opts", "\"(\"")) return false;
    while (!p->wrong && p->now.kind != TOKEN_RIGHT_PAREN) {
        struct str name;
        if (p->now.kind == TOKEN_STRING) {
            struct token written = p->now;
            if (!take_string(p, &name)) return false;
            if (!name.n || !utf8_is_valid(name)) {
                WRONG(p, written.start, written.end, "invalid label name for grouping: " STR_FMT,
                      STR_ARG(written.text));
                return false;
            }
        } else if (p->now.kind == TOKEN_WORD && is_label_name(p->now.text)) {
            name = arena_copy(p->a, p->now.text);
            advance(p);
        } else {
            return unexpected(p, "grouping opts", "label"), false;
        }
        if (n == PROMQL_LIST_MAX) return unexpected(p, "grouping opts", "fewer labels"), false;
        if (n == capacity) {
            struct str *more = arena_alloc(p->a, sizeof *more * capacity * 2);
            if (!more) return wrong_at(p, p->now.start, p->now.end, "over the memory limit"), false;
            memcpy(more, v, sizeof *more * n);
            v = more;
            capacity *= 2;
        }
        v[n++] = name;
        if (p->now.kind == TOKEN_RIGHT_PAREN) break;
        if (!expect(p, TOKEN_COMMA, "grouping opts", "\",\" or \")\"")) return false;
    }
    out->v = arena_alloc(p->a, sizeof *v * MAX(n, 1));
    if (!out->v) return wrong_at(p, p->now.start, p->now.end, "over the memory limit"), false;
    memcpy(out->v, v, sizeof *v * n);
    out->n = n;
    return expect(p, TOKEN_RIGHT_PAREN, "grouping opts", "\",\" or \")\"");
}

static bool parse_grouping(struct parser *p, struct promql_node *e) {
    if (e->grouped || (!is_word(&p->now, "by") && !is_word(&p->now, "without"))) return !p->wrong;
    e->grouped = true;
    e->without = is_word(&p->now, "without");
    advance(p);
    return parse_names(p, &e->labels);
}

static struct promql_node *parse_aggregate(struct parser *p, enum aggregation aggregation) {
    struct promql_node *e = node_new(p, NODE_AGGREGATE, p->now.start);
    if (!e) return NULL;
    e->aggregation = aggregation;
    advance(p);
    if (!parse_grouping(p, e) || !parse_args(p, e, "aggregation") || !parse_grouping(p, e)) return NULL;
    bool parameter = aggregation_rows[aggregation].parameter >= 0;
    uint32_t end = last_end(p);
    if (e->arg_n == 0) return wrong_at(p, e->start, end, "no arguments for aggregate expression provided"), NULL;
    if (e->arg_n != 1u + parameter) {
        WRONG(p, e->start, end, "wrong number of arguments for aggregate expression provided, expected %d, got %u",
              1 + parameter, e->arg_n);
        return NULL;
    }
    if (parameter) { /* written first, kept behind */
        const struct promql_node *first = e->args[0];
        e->args[0] = e->args[1];
        e->args[1] = first;
    }
    return finish(p, e, end);
}

static struct promql_node *parse_call(struct parser *p) {
    struct promql_node *e = node_new(p, NODE_CALL, p->now.start);
    struct token name = p->now;
    if (!e) return NULL;
    e->function = function_find(name.text);
    advance(p);
    if (!parse_args(p, e, "function call")) return NULL;
    if (!e->function) {
        WRONG(p, name.start, name.end, "unknown function with name \"" STR_FMT "\"", STR_ARG(name.text));
        return NULL;
    }
    return finish(p, e, last_end(p));
}

/* ---- primaries --------------------------------------------------------------------------------------------------- */

static struct promql_node *parse_literal(struct parser *p) {
    struct token t = p->now;
    struct promql_node *e = node_new(p, t.kind == TOKEN_STRING ? NODE_STRING : NODE_NUMBER, t.start);
    if (!e) return NULL;
    if (t.kind == TOKEN_STRING) {
        if (!take_string(p, &e->text)) return NULL;
        return finish(p, e, t.end);
    }
    e->number = t.kind == TOKEN_DURATION ? (double)t.ms / 1000 : t.number;
    e->is_duration = t.kind == TOKEN_DURATION;
    if (t.kind == TOKEN_WORD) (void)parse_promql_number(t.text, &e->number);
    advance(p);
    return finish(p, e, t.end);
}

static struct promql_node *parse_word(struct parser *p) {
    static const char *const reserved[] = {"bool", "on", "ignoring", "group_left", "group_right", "atan2"};
    double number;
    struct token word = p->now;
    if (parse_promql_number(word.text, &number)) return parse_literal(p);
    bool opens = p->next.kind == TOKEN_LEFT_PAREN;
    for (enum aggregation i = 0; i < AGGREGATIONS; i++)
        if (str_equal_nocase(word.text, str_of(aggregation_rows[i].name)) &&
            (opens || is_word(&p->next, "by") || is_word(&p->next, "without")))
            return parse_aggregate(p, i);
    for (size_t i = 0; i < LENGTH(reserved); i++)
        if (str_equal_nocase(word.text, str_of(reserved[i]))) return unexpected(p, NULL, NULL), NULL;
    return opens ? parse_call(p) : parse_selector(p);
}

static struct promql_node *parse_primary(struct parser *p) {
    struct promql_node *e = NULL;
    switch (p->now.kind) {
    case TOKEN_NUMBER:
    case TOKEN_DURATION:
    case TOKEN_STRING: e = parse_literal(p); break;
    case TOKEN_WORD: e = parse_word(p); break;
    case TOKEN_LEFT_BRACE: e = parse_selector(p); break;
    case TOKEN_LEFT_PAREN: {
        e = node_new(p, NODE_PAREN, p->now.start);
        advance(p);
        struct promql_node *inner = e ? parse_expression(p, 1) : NULL;
        if (!inner || !expect(p, TOKEN_RIGHT_PAREN, "paren expression", "\")\"")) return NULL;
        if (!node_args(p, e, (const struct promql_node *[]){inner}, 1)) return NULL;
        e = finish(p, e, last_end(p));
        break;
    }
    case TOKEN_END:
        if (p->text.n == 0 || last_end(p) == 0) wrong_at(p, 0, 0, "no expression found in input");
        unexpected(p, NULL, NULL);
        break;
    case TOKEN_BAD:
    case TOKEN_RIGHT_PAREN:
    case TOKEN_RIGHT_BRACE:
    case TOKEN_LEFT_BRACKET:
    case TOKEN_RIGHT_BRACKET:
    case TOKEN_COMMA:
    case TOKEN_COLON:
    case TOKEN_AT:
    case TOKEN_ASSIGN:
    case TOKEN_MATCH:
    case TOKEN_NOT_MATCH:
    case TOKEN_OP: unexpected(p, NULL, NULL); break;
    }
    return parse_postfix(p, e);
}

/* A sign binds as * does: -a ^ b is -(a ^ b), -a * b is (-a) * b. */
static struct promql_node *parse_unary(struct parser *p) {
    if (p->now.kind != TOKEN_OP || (p->now.op != OP_ADD && p->now.op != OP_SUB)) return parse_primary(p);
    struct token sign = p->now;
    advance(p);
    struct promql_node *inner = parse_expression(p, op_rows[OP_POW].precedence);
    if (!inner) return NULL;
    if (inner->kind == NODE_NUMBER && !inner->is_duration) { /* a number with its sign, as Prometheus has it */
        if (sign.op == OP_SUB) inner->number = -inner->number;
        inner->start = sign.start;
        return inner;
    }
    struct promql_node *e = node_new(p, NODE_UNARY, sign.start);
    if (!e || !node_args(p, e, (const struct promql_node *[]){inner}, 1)) return NULL;
    e->op = sign.op;
    return finish(p, e, inner->end);
}

/* ---- binary expressions ------------------------------------------------------------------------------------------ */

static bool parse_modifiers(struct parser *p, struct promql_node *e) {
    if (is_word(&p->now, "bool")) {
        e->bool_modifier = true;
        advance(p);
    }
    bool on = is_word(&p->now, "on");
    if (!on && !is_word(&p->now, "ignoring")) return !p->wrong;
    e->on = on;
    e->matching = true;
    advance(p);
    if (!parse_names(p, &e->labels)) return false;
    bool left = is_word(&p->now, "group_left");
    if (!left && !is_word(&p->now, "group_right")) return true;
    e->cardinality = left ? MANY_TO_ONE : ONE_TO_MANY;
    advance(p);
    return p->now.kind != TOKEN_LEFT_PAREN || parse_names(p, &e->include);
}

static struct promql_node *parse_binary(struct parser *p, struct promql_node *left) {
    struct promql_node *e = node_new(p, NODE_BINARY, left->start);
    if (!e) return NULL;
    e->op = p->now.op;
    e->op_start = p->now.start;
    advance(p);
    if (!parse_modifiers(p, e)) return NULL;
    e->op_end = last_end(p);
    int precedence = op_rows[e->op].precedence;
    struct promql_node *right = parse_expression(p, e->op == OP_POW ? precedence : precedence + 1);
    if (!right || !node_args(p, e, (const struct promql_node *[]){left, right}, 2)) return NULL;
    return finish(p, e, right->end);
}

static struct promql_node *parse_expression(struct parser *p, int precedence) {
    int depth = p->depth;
    if (++p->depth > PROMQL_DEPTH_MAX)
        return wrong_at(p, p->now.start, p->now.end, "the expression is nested too deeply"), NULL;
    struct promql_node *e = parse_unary(p);
    while (e && !p->wrong && (p->now.kind == TOKEN_OP || p->now.kind == TOKEN_WORD) && p->now.op != OP_NONE &&
           op_rows[p->now.op].precedence >= precedence) {
        if (++p->depth > PROMQL_DEPTH_MAX)
            return wrong_at(p, p->now.start, p->now.end, "the expression is nested too deeply"), NULL;
        e = parse_binary(p, e);
    }
    p->depth = depth;
    return p->wrong ? NULL : e;
}

static struct promql_place place_of(struct str text, uint32_t start, uint32_t end) {
    struct promql_place place = {.start = start, .end = MAX(start, end), .line = 1, .column = 1};
    for (uint32_t i = 0; i < start && i < text.n; i++) {
        place.column++;
        if (text.p[i] == '\n') place.line++, place.column = 1;
    }
    return place;
}

err promql_parse(struct arena *a, struct str text, struct promql_syntax syntax, const struct promql_node **out,
                 struct promql_place *out_place) {
    struct parser p = {.a = a, .text = text, .lexer = {.text = text}, .syntax = syntax};
    if (out_place) *out_place = (struct promql_place){0, 0, 1, 1};
    if (text.n > PROMQL_TEXT_BYTES_MAX)
        return err_new(ERR_INVALID, "1:1: parse error: the query is longer than %d bytes", PROMQL_TEXT_BYTES_MAX);
    if (!utf8_is_valid(text)) return err_new(ERR_INVALID, "1:1: parse error: the query is not UTF-8");
    p.next = lex(&p.lexer);
    advance(&p);
    const struct promql_node *e = parse_expression(&p, 1);
    if (e && !p.wrong && p.now.kind != TOKEN_END) unexpected(&p, NULL, NULL);
    if (a->full) return arena_err(a);
    if (p.wrong) {
        struct promql_place place = place_of(text, p.wrong_start, p.wrong_end);
        if (out_place) *out_place = place;
        return err_new(ERR_INVALID, "%u:%u: parse error: %s", place.line, place.column, p.wrong);
    }
    *out = e;
    return NULL;
}
