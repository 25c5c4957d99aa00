#include <ctype.h>
#include <stdio.h>

#include "base/text.h"
#include "query/promql/number.h"
#include "query/promql/tree_priv.h"

static bool is_alpha(char c) { return c == '_' || isalpha((unsigned char)c); }
static bool is_word(char c) { return is_alpha(c) || c == ':' || isdigit((unsigned char)c); }

bool is_label_name(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (!is_alpha(s.p[i]) && !(i && isdigit((unsigned char)s.p[i]))) return false;
    return s.n > 0;
}

bool is_metric_name(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (!is_word(s.p[i]) || (i == 0 && isdigit((unsigned char)s.p[i]))) return false;
    return s.n > 0;
}

static char at(const struct lexer *l, size_t i) { return i < l->text.n ? l->text.p[i] : 0; }

static void skip_blanks(struct lexer *l) {
    while (l->at < l->text.n) {
        char c = l->text.p[l->at];
        if (c == '#') {
            while (l->at < l->text.n && l->text.p[l->at] != '\n') l->at++;
        } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            l->at++;
        } else {
            return;
        }
    }
}

static struct token token_to(struct lexer *l, enum token_kind kind, size_t end) {
    struct token t = {.kind = kind, .start = (uint32_t)l->at, .end = (uint32_t)end};
    t.text = (struct str){l->text.p + l->at, end - l->at};
    l->at = end;
    return t;
}

static struct token bad(struct lexer *l, size_t end, const char *why) {
    struct token t = token_to(l, TOKEN_BAD, MIN(end, l->text.n));
    t.text = str_of(why);
    l->at = l->text.n;
    return t;
}

/* 12, 1.5e3, .5, 0x1f, 1_000, 5m, 1h30m; what goes on as a word is neither. */
static struct token lex_number(struct lexer *l) {
    size_t i = l->at;
    bool based = at(l, i) == '0' && at(l, i + 1) && strchr("xXbBoO", at(l, i + 1));
    for (; i < l->text.n; i++) {
        char c = l->text.p[i];
        bool sign = (c == '+' || c == '-') && !based && i > l->at && (l->text.p[i - 1] | 0x20) == 'e' &&
                    isdigit((unsigned char)at(l, i + 1));
        if (!(isalnum((unsigned char)c) || c == '.' || c == '_' || sign)) break;
    }
    struct token t = token_to(l, TOKEN_NUMBER, i);
    if (parse_promql_number(t.text, &t.number)) return t;
    t.kind = TOKEN_DURATION;
    if (parse_promql_duration(t.text, &t.ms)) return t;
    t.kind = TOKEN_BAD;
    t.text = STR("bad number or duration syntax");
    return t;
}

static struct token lex_string(struct lexer *l) {
    char quote = l->text.p[l->at];
    for (size_t i = l->at + 1; i < l->text.n; i++) {
        char c = l->text.p[i];
        if (c == quote) return token_to(l, TOKEN_STRING, i + 1);
        if (quote == '`') continue;
        if (c == '\n') break;
        i += c == '\\';
    }
    return bad(l, l->text.n, quote == '`' ? "unterminated raw string" : "unterminated quoted string");
}

static enum binary_op op_of_word(struct str word) {
    for (enum binary_op op = OP_NONE + 1; op < OPS; op++)
        if (op_rows[op].word && str_equal_nocase(word, str_of(op_rows[op].name))) return op;
    return OP_NONE;
}

static struct token lex_word(struct lexer *l) {
    size_t i = l->at;
    while (is_word(at(l, i))) i++;
    struct token t = token_to(l, TOKEN_WORD, i);
    t.op = op_of_word(t.text);
    return t;
}

static void count_pairs(struct lexer *l, enum token_kind kind) {
    l->parens += (kind == TOKEN_LEFT_PAREN) - (kind == TOKEN_RIGHT_PAREN);
    l->braces += (kind == TOKEN_LEFT_BRACE) - (kind == TOKEN_RIGHT_BRACE);
    l->brackets += (kind == TOKEN_LEFT_BRACKET) - (kind == TOKEN_RIGHT_BRACKET);
}

static struct token lex_op(struct lexer *l) {
    static const struct {
        const char *text;
        enum token_kind kind;
        enum binary_op op;
    } rows[] = {
        {"==", TOKEN_OP, OP_EQUAL},    {"=~", TOKEN_MATCH, 0},
        {"=", TOKEN_ASSIGN, 0},        {"!=", TOKEN_OP, OP_NOT_EQUAL},
        {"!~", TOKEN_NOT_MATCH, 0},    {"<=", TOKEN_OP, OP_LESS_EQUAL},
        {"<", TOKEN_OP, OP_LESS},      {">=", TOKEN_OP, OP_GREATER_EQUAL},
        {">", TOKEN_OP, OP_GREATER},   {"+", TOKEN_OP, OP_ADD},
        {"-", TOKEN_OP, OP_SUB},       {"*", TOKEN_OP, OP_MUL},
        {"/", TOKEN_OP, OP_DIV},       {"%", TOKEN_OP, OP_MOD},
        {"^", TOKEN_OP, OP_POW},       {"(", TOKEN_LEFT_PAREN, 0},
        {")", TOKEN_RIGHT_PAREN, 0},   {"{", TOKEN_LEFT_BRACE, 0},
        {"}", TOKEN_RIGHT_BRACE, 0},   {"[", TOKEN_LEFT_BRACKET, 0},
        {"]", TOKEN_RIGHT_BRACKET, 0}, {",", TOKEN_COMMA, 0},
        {":", TOKEN_COLON, 0},         {"@", TOKEN_AT, 0},
    };
    struct str rest = {l->text.p + l->at, l->text.n - l->at};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        if (!str_starts_with(rest, str_of(rows[i].text))) continue;
        struct token t = token_to(l, rows[i].kind, l->at + strlen(rows[i].text));
        t.op = rows[i].op;
        count_pairs(l, t.kind);
        if (l->parens < 0) return bad(l, l->at, "unexpected right parenthesis ')'"); /* behind it, as Prometheus says */
        return t;
    }
    return bad(l, l->at + 1, "unexpected character");
}

/* The end of the text: a mistake by itself where something is open. */
static struct token lex_end(struct lexer *l) {
    const char *open = l->braces > 0     ? "unexpected end of input inside braces"
                       : l->parens > 0   ? "unclosed left parenthesis"
                       : l->brackets > 0 ? "unclosed left bracket"
                                         : NULL;
    return open ? bad(l, l->at, open) : token_to(l, TOKEN_END, l->at);
}

struct token lex(struct lexer *l) {
    skip_blanks(l);
    char c = at(l, l->at), next = at(l, l->at + 1);
    if (l->at >= l->text.n) return lex_end(l);
    if (isdigit((unsigned char)c) || (c == '.' && isdigit((unsigned char)next))) return lex_number(l);
    if (c == '"' || c == '\'' || c == '`') return lex_string(l);
    if (is_alpha(c) || (c == ':' && is_word(next) && !isdigit((unsigned char)next) && next != ':')) return lex_word(l);
    return lex_op(l);
}

/* ---- strings ----------------------------------------------------------------------------------------------------- */

static void put_rune(struct buf *b, uint32_t r) {
    char u[4];
    if (r < 0x80) return buf_add_byte(b, (char)r);
    if (r < 0x800) {
        u[0] = (char)(0xc0 | r >> 6), u[1] = (char)(0x80 | (r & 0x3f));
        return buf_add(b, u, 2);
    }
    if (r < 0x10000) {
        u[0] = (char)(0xe0 | r >> 12), u[1] = (char)(0x80 | (r >> 6 & 0x3f)), u[2] = (char)(0x80 | (r & 0x3f));
        return buf_add(b, u, 3);
    }
    u[0] = (char)(0xf0 | r >> 18), u[1] = (char)(0x80 | (r >> 12 & 0x3f)), u[2] = (char)(0x80 | (r >> 6 & 0x3f));
    u[3] = (char)(0x80 | (r & 0x3f));
    buf_add(b, u, 4);
}

/* \x41, \u0041, \U00000041, \101: the value, or -1. */
static int64_t numeric_escape(struct str s, size_t *i, int digits, int base) {
    int64_t v = 0;
    for (int k = 0; k < digits; k++, (*i)++) {
        char c = *i < s.n ? s.p[*i] : 0, low = (char)(c | 0x20);
        int d = c >= '0' && c <= '9' ? c - '0' : base == 16 && low >= 'a' && low <= 'f' ? low - 'a' + 10 : 99;
        if (d >= base) return -1;
        v = v * base + d;
    }
    return v;
}

static const char *put_escape(struct buf *b, struct str s, size_t *i, char quote) {
    static const char names[] = "abfnrtv\\", values[] = "\a\b\f\n\r\t\v\\";
    char c = *i < s.n ? s.p[(*i)++] : 0;
    const char *name = c ? strchr(names, c) : NULL;
    if (name) return buf_add_byte(b, values[name - names]), NULL;
    if (c == quote) return buf_add_byte(b, c), NULL;
    if (c == 'x' || (c >= '0' && c <= '7')) {
        *i -= c != 'x';
        int64_t v = numeric_escape(s, i, c == 'x' ? 2 : 3, c == 'x' ? 16 : 8);
        if (v < 0 || v > 255) return "invalid escape sequence in a string";
        return buf_add_byte(b, (char)v), NULL;
    }
    if (c == 'u' || c == 'U') {
        int64_t v = numeric_escape(s, i, c == 'u' ? 4 : 8, 16);
        if (v < 0 || v > 0x10ffff || (v >= 0xd800 && v < 0xe000)) return "escape is invalid Unicode code point";
        return put_rune(b, (uint32_t)v), NULL;
    }
    return "unknown escape sequence in a string";
}

const char *unquote(struct arena *a, struct str quoted, struct str *out) {
    char quote = quoted.p[0];
    struct str body = {quoted.p + 1, quoted.n - 2};
    if (quote == '`' || str_find(body, '\\') < 0) return *out = arena_copy(a, body), NULL;
    AUTO_BUF struct buf b;
    buf_init(&b, PROMQL_TEXT_BYTES_MAX * 2);
    for (size_t i = 0; i < body.n;) {
        if (body.p[i] != '\\') {
            buf_add_byte(&b, body.p[i++]);
            continue;
        }
        i++;
        const char *wrong = put_escape(&b, body, &i, quote);
        if (wrong) return wrong;
    }
    *out = arena_copy(a, buf_str(&b));
    return NULL;
}

void put_token(struct buf *b, const struct token *t) {
    static const char *const keywords[] = {"offset",     "by",          "without", "on",    "ignoring",
                                           "group_left", "group_right", "bool",    "start", "end"};
    static const char *const kinds[] = {
        [TOKEN_NUMBER] = "number ", [TOKEN_DURATION] = "duration ", [TOKEN_STRING] = "string "};
    if (t->kind == TOKEN_END) return buf_add_text(b, "end of input");
    if (t->kind == TOKEN_BAD) return buf_add_str(b, t->text);
    if (t->kind == TOKEN_OP || (t->kind == TOKEN_WORD && t->op))
        return buf_add_fmt(b, "<op:" STR_FMT ">", STR_ARG(t->text));
    for (size_t i = 0; t->kind == TOKEN_WORD && i < LENGTH(keywords); i++)
        if (str_equal_nocase(t->text, str_of(keywords[i]))) return buf_add_fmt(b, "<%s>", keywords[i]);
    for (size_t i = 0; t->kind == TOKEN_WORD && i < AGGREGATIONS; i++)
        if (str_equal_nocase(t->text, str_of(aggregation_rows[i].name)))
            return buf_add_fmt(b, "<aggr:%s>", aggregation_rows[i].name);
    if (t->kind == TOKEN_WORD)
        buf_add_text(b, "identifier ");
    else if (t->kind < LENGTH(kinds) && kinds[t->kind])
        buf_add_text(b, kinds[t->kind]);
    put_go_quoted(b, t->text);
}
