/* Templates: text to tree. */
#include "alert/template_priv.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"
#include "query/promql/number.h"

#define PROLOGUE                                                                                                       \
    "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}"

enum { VARIABLES_MAX = 64 };

enum token_kind {
    TOKEN_END, /* of the action: }} */
    TOKEN_BAD,
    TOKEN_WORD,
    TOKEN_VARIABLE,
    TOKEN_FIELD, /* .name, directly behind what stands before it or on its own */
    TOKEN_DOT,
    TOKEN_NUMBER,
    TOKEN_STRING,
    TOKEN_CHAR,
    TOKEN_PIPE,
    TOKEN_DECLARE,
    TOKEN_ASSIGN,
    TOKEN_COMMA,
    TOKEN_LEFT,
    TOKEN_RIGHT,
    TOKEN_BLANK
};

struct token {
    enum token_kind kind;
    struct str text;
    uint32_t start, end;
};

struct parser {
    struct arena *a;
    struct template *t;
    struct str text;
    size_t at;
    struct token token; /* the one to be read */
    struct str variables[VARIABLES_MAX];
    size_t variable_n;
    uint32_t depth, ranges;
    err failed; /* the first */
};

/* ---- errors ------------------------------------------------------------------------------------------------------ */

static void __attribute__((format(printf, 2, 3))) bad(struct parser *p, const char *format, ...) {
    char text[512];
    size_t line = 1;
    va_list args;
    if (p->failed) return;
    for (size_t i = 0; i < p->at && i < p->text.n; i++) line += p->text.p[i] == '\n';
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    p->failed = err_new(ERR_INVALID, "template: " STR_FMT ":%zu: %s", STR_ARG(p->t->name), line, text);
}

static void *need(struct parser *p, size_t n) {
    static char spare[512];
    void *got = arena_zero(p->a, n);
    if (got) return got;
    if (!p->failed) p->failed = arena_err(p->a);
    return memset(spare, 0, sizeof spare); /* not used: the error ends all of it */
}
#define need_new(p, type) ((type *)need((p), sizeof(type)))

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
static bool is_letter(char c) {
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static char char_at(const struct parser *p, size_t i) { return i < p->text.n ? p->text.p[i] : 0; }

static bool at_end_of_action(const struct parser *p, size_t i) {
    if (char_at(p, i) == '}' && char_at(p, i + 1) == '}') return true;
    return is_blank(char_at(p, i)) && char_at(p, i + 1) == '-' && char_at(p, i + 2) == '}' && char_at(p, i + 3) == '}';
}

static size_t word_end(const struct parser *p, size_t i) {
    while (is_letter(char_at(p, i)) || is_digit(char_at(p, i))) i++;
    return i;
}

static size_t quoted_end(struct parser *p, size_t i) {
    char quote = char_at(p, i++);
    for (; i < p->text.n && p->text.p[i] != quote; i++) {
        if (quote != '`' && p->text.p[i] == '\n') break;
        if (quote != '`' && p->text.p[i] == '\\') i++;
    }
    if (char_at(p, i) != quote || i >= p->text.n) {
        bad(p, quote == '`'    ? "unterminated raw quoted string"
               : quote == '\'' ? "unterminated character constant"
                               : "unterminated quoted string");
        return p->text.n;
    }
    return i + 1;
}

static size_t number_end(const struct parser *p, size_t i) {
    if (strchr("+-", char_at(p, i))) i++;
    while (is_letter(char_at(p, i)) || is_digit(char_at(p, i)) || char_at(p, i) == '.' ||
           (char_at(p, i) && strchr("+-", char_at(p, i)) && strchr("eEpP", char_at(p, i - 1))))
        i++;
    return i;
}

static enum token_kind punctuation(struct parser *p, size_t *end) {
    static const struct {
        char c;
        enum token_kind kind;
    } rows[] = {{'|', TOKEN_PIPE}, {'=', TOKEN_ASSIGN}, {',', TOKEN_COMMA}, {'(', TOKEN_LEFT}, {')', TOKEN_RIGHT}};
    char c = char_at(p, p->at);
    *end = p->at + 1;
    for (size_t i = 0; i < LENGTH(rows); i++)
        if (rows[i].c == c) return rows[i].kind;
    if (c == ':' && char_at(p, p->at + 1) == '=') {
        *end = p->at + 2;
        return TOKEN_DECLARE;
    }
    bad(p, "unrecognized character in action: U+%04X '%c'", (unsigned)(unsigned char)c, c);
    return TOKEN_BAD;
}

/* Reads the token at p->at into p->token. */
static void scan(struct parser *p) {
    size_t at = p->at, end = at + 1;
    char c = char_at(p, at), c1 = char_at(p, at + 1);
    enum token_kind kind;
    if (at >= p->text.n) {
        bad(p, "unclosed action");
        p->token = (struct token){TOKEN_BAD, {NULL, 0}, (uint32_t)at, (uint32_t)at};
        return;
    }
    if (at_end_of_action(p, at)) {
        kind = TOKEN_END;
        end = at;
    } else if (is_blank(c)) {
        kind = TOKEN_BLANK;
        while (is_blank(char_at(p, end)) && !at_end_of_action(p, end)) end++;
    } else if (c == '"' || c == '`' || c == '\'') {
        kind = c == '\'' ? TOKEN_CHAR : TOKEN_STRING;
        end = quoted_end(p, at);
    } else if (c == '$') {
        kind = TOKEN_VARIABLE;
        end = word_end(p, at + 1);
    } else if (c == '.' && is_letter(c1)) {
        kind = TOKEN_FIELD;
        end = word_end(p, at + 1);
    } else if (is_digit(c) || (c == '.' && is_digit(c1)) || ((c == '-' || c == '+') && (is_digit(c1) || c1 == '.'))) {
        kind = TOKEN_NUMBER;
        end = number_end(p, at);
    } else if (c == '.') {
        kind = TOKEN_DOT;
    } else if (is_letter(c)) {
        kind = TOKEN_WORD;
        end = word_end(p, at);
    } else {
        kind = punctuation(p, &end);
    }
    p->token = (struct token){kind, {p->text.p + at, end - at}, (uint32_t)at, (uint32_t)end};
}

static void advance(struct parser *p) {
    p->at = p->token.end;
    if (!p->failed) scan(p);
    if (p->failed) p->token.kind = TOKEN_BAD;
}
static void skip_blanks(struct parser *p) {
    while (p->token.kind == TOKEN_BLANK) advance(p);
}

/* ---- strings and numbers ----------------------------------------------------------------------------------------- */

static size_t put_escape(struct parser *p, struct str s, size_t i, struct buf *out) {
    static const char from[] = "abfnrtv\\'\"", to[] = "\a\b\f\n\r\t\v\\'\"";
    const char *found = s.p[i] ? strchr(from, s.p[i]) : NULL;
    size_t digits = s.p[i] == 'x' ? 2 : s.p[i] == 'u' ? 4 : s.p[i] == 'U' ? 8 : 0;
    uint32_t code = 0;
    if (found) return buf_add_byte(out, to[found - from]), i + 1;
    bool octal = s.p[i] >= '0' && s.p[i] <= '7';
    if (octal) digits = 3;
    size_t k = octal ? i : i + 1, end = k + digits;
    if (!digits || end > s.n) return bad(p, "invalid syntax"), s.n;
    for (; k < end; k++) {
        char c = s.p[k];
        uint32_t digit = is_digit(c)                          ? (uint32_t)(c - '0')
                         : (c | 32) >= 'a' && (c | 32) <= 'f' ? (uint32_t)((c | 32) - 'a' + 10)
                                                              : 99;
        if (digit >= (octal ? 8u : 16u)) return bad(p, "invalid syntax"), s.n;
        code = code * (octal ? 8 : 16) + digit;
    }
    if (octal || s.p[i] == 'x')
        buf_add_byte(out, (char)code);
    else if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        bad(p, "invalid syntax");
    else
        put_rune(out, code);
    return end;
}

static struct str unquoted(struct parser *p, struct str quoted) {
    if (quoted.n < 2) return STR("");
    struct str s = {quoted.p + 1, quoted.n - 2};
    if (quoted.p[0] == '`' || !memchr(s.p, '\\', s.n)) return s;
    AUTO_BUF struct buf out;
    buf_init(&out, TEMPLATE_BYTES_MAX);
    for (size_t i = 0; i < s.n;) {
        if (s.p[i] != '\\')
            buf_add_byte(&out, s.p[i++]);
        else if (++i < s.n)
            i = put_escape(p, s, i, &out);
    }
    struct str kept = arena_copy(p->a, buf_str(&out));
    return kept.p ? kept : STR("");
}

static void set_number(struct parser *p, struct str text, struct operand *o) {
    bool is_float = memchr(text.p, '.', text.n) != NULL;
    bool hex = text.n > 2 && text.p[0] == '0' && (text.p[1] | 32) == 'x';
    for (size_t i = 0; i < text.n && !hex; i++) is_float |= (text.p[i] | 32) == 'e';
    if (!parse_promql_number(text, &o->number)) {
        bad(p, "bad number syntax: \"" STR_FMT "\"", STR_ARG(text));
        return;
    }
    struct str digits = text.n && text.p[0] == '+' ? (struct str){text.p + 1, text.n - 1} : text;
    err e = is_float ? NULL : parse_i64(digits, &o->integer);
    bool whole = !is_float && (!e || (o->number < 9e18 && o->number > -9e18));
    if (e) o->integer = whole ? (int64_t)o->number : 0; /* 0x10 */
    err_free(e);
    o->kind = whole ? OPERAND_INT : OPERAND_FLOAT;
}

/* ---- pipelines --------------------------------------------------------------------------------------------------- */

static struct pipe *parse_pipe(struct parser *p, enum token_kind end);

static bool is_known(const struct parser *p, struct str name) {
    for (size_t i = 0; i < p->variable_n; i++)
        if (str_equal(p->variables[i], name)) return true;
    return str_equal(name, STR("$"));
}

static void take_word(struct parser *p, struct operand *o) {
    struct str w = p->token.text;
    o->text = w;
    if (str_equal(w, STR("true")) || str_equal(w, STR("false"))) {
        o->kind = OPERAND_BOOL;
        o->integer = w.p[0] == 't';
    } else if (str_equal(w, STR("nil"))) {
        o->kind = OPERAND_NIL;
    } else {
        o->kind = OPERAND_FUNCTION;
        if (!template_function(w)) bad(p, "function \"" STR_FMT "\" not defined", STR_ARG(w));
    }
}

static void take_fields(struct parser *p, struct operand *o) {
    struct str fields[16];
    uint32_t n = 0;
    while (p->token.kind == TOKEN_FIELD) {
        if (n == LENGTH(fields))
            bad(p, "over %zu fields in a row", LENGTH(fields));
        else
            fields[n++] = (struct str){p->token.text.p + 1, p->token.text.n - 1};
        o->end = p->token.end;
        advance(p);
    }
    if (!n) return;
    if (o->kind != OPERAND_DOT && o->kind != OPERAND_VARIABLE && o->kind != OPERAND_PIPE && o->kind != OPERAND_FUNCTION)
        bad(p, "unexpected . after term \"" STR_FMT "\"", (int)(o->end - o->start), p->text.p + o->start);
    o->fields = need(p, n * sizeof *fields);
    if (p->failed) return;
    memcpy(o->fields, fields, n * sizeof *fields);
    o->field_n = n;
}

static int64_t char_constant(struct parser *p, struct str text) {
    uint32_t c = 0;
    size_t n = text.n ? rune_read(text, 0, &c) : 0;
    if (n != text.n || !n) bad(p, "malformed character constant: '" STR_FMT "'", STR_ARG(text));
    return c;
}

/* NULL: there is none. */
static struct operand *parse_operand(struct parser *p) {
    struct operand *o = need_new(p, struct operand);
    const struct token t = p->token;
    if (p->failed) return NULL;
    o->start = t.start;
    o->end = t.end;
    o->text = t.text;
    switch (t.kind) {
    case TOKEN_FIELD: o->kind = OPERAND_DOT; break; /* the fields come below */
    case TOKEN_DOT: o->kind = OPERAND_DOT; break;
    case TOKEN_VARIABLE:
        o->kind = OPERAND_VARIABLE;
        if (!is_known(p, t.text)) bad(p, "undefined variable \"" STR_FMT "\"", STR_ARG(t.text));
        break;
    case TOKEN_NUMBER: set_number(p, t.text, o); break;
    case TOKEN_CHAR:
    case TOKEN_STRING:
        o->kind = t.kind == TOKEN_CHAR ? OPERAND_INT : OPERAND_STRING;
        o->text = unquoted(p, t.text);
        if (t.kind == TOKEN_CHAR) o->integer = char_constant(p, o->text);
        break;
    case TOKEN_WORD: take_word(p, o); break;
    case TOKEN_LEFT:
        if (++p->depth > TEMPLATE_DEPTH_MAX) bad(p, "nested more than %d deep", TEMPLATE_DEPTH_MAX);
        advance(p);
        o->kind = OPERAND_PIPE;
        o->pipe = parse_pipe(p, TOKEN_RIGHT);
        o->end = p->token.end;
        p->depth--;
        break;
    case TOKEN_END:
    case TOKEN_BAD:
    case TOKEN_PIPE:
    case TOKEN_DECLARE:
    case TOKEN_ASSIGN:
    case TOKEN_COMMA:
    case TOKEN_RIGHT:
    case TOKEN_BLANK: return NULL;
    }
    if (t.kind != TOKEN_FIELD) advance(p);
    take_fields(p, o);
    return o;
}

static struct command *parse_command(struct parser *p) {
    struct command *c = need_new(p, struct command);
    struct operand **last = &c->args;
    skip_blanks(p);
    c->start = c->end = p->token.start;
    for (;;) {
        skip_blanks(p);
        struct operand *o = parse_operand(p);
        if (!o || p->failed) break;
        *last = o;
        last = &o->next;
        c->arg_n++;
        c->end = o->end;
        enum token_kind k = p->token.kind;
        if (k != TOKEN_BLANK && k != TOKEN_END && k != TOKEN_PIPE && k != TOKEN_RIGHT) {
            bad(p, "unexpected \"" STR_FMT "\" in operand", STR_ARG(p->token.text));
            break;
        }
    }
    if (c->arg_n > 1 && c->args->kind != OPERAND_FUNCTION && !c->args->field_n && c->args->kind != OPERAND_PIPE &&
        c->args->kind != OPERAND_VARIABLE)
        bad(p, "unexpected operand after \"" STR_FMT "\"", (int)(c->args->end - c->args->start),
            p->text.p + c->args->start);
    return c;
}

static void declare(struct parser *p, struct str name) {
    if (p->variable_n == VARIABLES_MAX)
        bad(p, "over %d variables", VARIABLES_MAX);
    else
        p->variables[p->variable_n++] = name;
}

/* $a :=, $a, $b := or $a =; leaves the parser where it was if there is none. */
static void parse_declaration(struct parser *p, struct pipe *out, bool is_range) {
    size_t before = p->at;
    struct token token = p->token;
    struct str names[2];
    uint32_t n = 0;
    while (p->token.kind == TOKEN_VARIABLE && n < 2) {
        names[n++] = p->token.text;
        advance(p);
        skip_blanks(p);
        if (p->token.kind != TOKEN_COMMA || !is_range) break;
        advance(p);
        skip_blanks(p);
    }
    if (n && (p->token.kind == TOKEN_DECLARE || p->token.kind == TOKEN_ASSIGN)) {
        out->assigns = p->token.kind == TOKEN_ASSIGN;
        out->variable_n = n;
        memcpy(out->variables, names, sizeof names);
        for (uint32_t i = 0; i < n && out->assigns; i++)
            if (!is_known(p, names[i])) bad(p, "undefined variable \"" STR_FMT "\"", STR_ARG(names[i]));
        advance(p);
        skip_blanks(p);
        return;
    }
    p->at = before;
    p->token = token;
}

/* p->token is behind the opening; at the end it is `end`, not yet passed. */
static struct pipe *parse_declared_pipe(struct parser *p, enum token_kind end, const char *what) {
    struct pipe *out = need_new(p, struct pipe);
    struct command **last = &out->commands;
    skip_blanks(p);
    out->start = p->token.start;
    if (end == TOKEN_END) parse_declaration(p, out, strcmp(what, "range") == 0);
    for (bool more = true; more && !p->failed;) {
        struct command *c = parse_command(p);
        if (!p->failed && !c->arg_n) {
            if (last == &out->commands)
                bad(p, "missing value for %s", what);
            else
                bad(p, "missing value for command");
        }
        if (last != &out->commands && !p->failed && c->args->kind != OPERAND_FUNCTION && !c->args->field_n &&
            c->args->kind != OPERAND_VARIABLE && c->args->kind != OPERAND_PIPE)
            bad(p, "non executable command in pipeline stage 2");
        *last = c;
        last = &c->next;
        out->end = c->end;
        more = p->token.kind == TOKEN_PIPE;
        if (more) advance(p);
    }
    if (!p->failed && p->token.kind != end) bad(p, "unexpected \"" STR_FMT "\" in %s", STR_ARG(p->token.text), what);
    if (!out->assigns)
        for (uint32_t i = 0; i < out->variable_n; i++) declare(p, out->variables[i]);
    return out;
}

static struct pipe *parse_pipe(struct parser *p, enum token_kind end) {
    return parse_declared_pipe(p, end, end == TOKEN_RIGHT ? "parenthesized pipeline" : "command");
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

enum ending { ENDING_EOF, ENDING_END, ENDING_ELSE };

/* Behind }}, and what the marker before it trims. */
static void pass_end(struct parser *p) {
    bool trims = char_at(p, p->at) != '}';
    p->at += trims ? 4 : 2;
    while (trims && p->at < p->text.n && is_blank(p->text.p[p->at])) p->at++;
}

static enum ending parse_list(struct parser *p, struct node **out);

static void expect_end(struct parser *p) {
    skip_blanks(p);
    p->at = p->token.start;
    if (p->failed) return;
    if (p->token.kind != TOKEN_END)
        bad(p, "unexpected \"" STR_FMT "\" in end", STR_ARG(p->token.text));
    else
        pass_end(p);
}

/* `else if` and `else with`: a node in the branch else, whose {{end}} is that of all. */
static bool parse_chained(struct parser *p, struct node *n, const char *what);

/* Behind the word if, range or with. */
static void parse_control(struct parser *p, struct node *n, const char *what) {
    size_t variables = p->variable_n;
    if (++p->depth > TEMPLATE_DEPTH_MAX) bad(p, "nested more than %d deep", TEMPLATE_DEPTH_MAX);
    n->pipe = parse_declared_pipe(p, TOKEN_END, what);
    expect_end(p);
    p->ranges += n->kind == NODE_RANGE;
    enum ending ending = parse_list(p, &n->body);
    p->ranges -= n->kind == NODE_RANGE;
    bool chained = ending == ENDING_ELSE && parse_chained(p, n, what);
    if (ending == ENDING_ELSE && !chained) {
        expect_end(p);
        ending = parse_list(p, &n->otherwise);
        if (ending == ENDING_ELSE) bad(p, "expected end; found {{else}}");
    }
    if (ending == ENDING_EOF) bad(p, "unexpected EOF");
    if (!chained) expect_end(p);
    p->variable_n = variables;
    p->depth--;
}

static bool parse_chained(struct parser *p, struct node *n, const char *what) {
    skip_blanks(p);
    if (n->kind == NODE_RANGE || p->token.kind != TOKEN_WORD || !str_equal(p->token.text, str_of(what))) return false;
    struct node *inner = need_new(p, struct node);
    if (p->failed) return true;
    inner->kind = n->kind;
    advance(p);
    parse_control(p, inner, what);
    n->otherwise = inner;
    return true;
}

static bool is_space_only(const struct node *n) {
    for (; n; n = n->next) {
        if (n->kind != NODE_TEXT) return false;
        for (size_t i = 0; i < n->text.n; i++)
            if (!is_blank(n->text.p[i])) return false;
    }
    return true;
}

/* Two of one name are a mistake, but for those of blanks alone, which give way to others. */
static void add_definition(struct parser *p, struct definition *d) {
    for (struct definition *other = p->t->definitions; other && !p->failed; other = other->next) {
        if (!str_equal(other->name, d->name)) continue;
        if (is_space_only(other->body))
            other->body = d->body;
        else if (!is_space_only(d->body))
            bad(p, "template: multiple definition of template \"" STR_FMT "\"", STR_ARG(d->name));
        return;
    }
    d->next = p->t->definitions;
    p->t->definitions = d;
}

static bool word_is(const struct parser *p, const char *word) {
    return p->token.kind == TOKEN_WORD && str_equal(p->token.text, str_of(word));
}

/* The body of a define or a block, which knows no variables of the text around it. */
static void parse_body(struct parser *p, struct definition *d, const char *what) {
    struct str around[VARIABLES_MAX];
    size_t variables = p->variable_n;
    uint32_t ranges = p->ranges;
    memcpy(around, p->variables, sizeof around);
    p->variable_n = 0;
    p->ranges = 0;
    if (++p->depth > TEMPLATE_DEPTH_MAX) bad(p, "nested more than %d deep", TEMPLATE_DEPTH_MAX);
    enum ending ending = parse_list(p, &d->body);
    p->depth--;
    if (ending == ENDING_EOF) bad(p, "unexpected EOF");
    if (ending == ENDING_ELSE) bad(p, "unexpected {{else}} in %s clause", what);
    expect_end(p);
    memcpy(p->variables, around, sizeof around);
    p->variable_n = variables;
    p->ranges = ranges;
    if (!p->failed) add_definition(p, d);
}

/* Behind the word define or block: "name". */
static struct str parse_name(struct parser *p, const char *what) {
    skip_blanks(p);
    if (p->token.kind != TOKEN_STRING) bad(p, "unexpected \"" STR_FMT "\" in %s clause", STR_ARG(p->token.text), what);
    if (p->failed) return STR("");
    struct str name = unquoted(p, p->token.text);
    advance(p);
    return name;
}

static void parse_define(struct parser *p) {
    struct definition *d = need_new(p, struct definition);
    if (p->depth) bad(p, "unexpected <define> in command");
    d->name = parse_name(p, "define");
    expect_end(p);
    if (!p->failed) parse_body(p, d, "define");
}

/* Behind the word block: a define and a template at once. */
static void parse_block(struct parser *p, struct node *n) {
    struct definition *d = need_new(p, struct definition);
    n->kind = NODE_TEMPLATE;
    n->text = d->name = parse_name(p, "block");
    if (!p->failed) n->pipe = parse_declared_pipe(p, TOKEN_END, "block clause");
    expect_end(p);
    if (!p->failed) parse_body(p, d, "block");
}

/* Behind the word template: "name", and maybe a pipeline. */
static void parse_template(struct parser *p, struct node *n) {
    skip_blanks(p);
    if (p->token.kind != TOKEN_STRING) bad(p, "unexpected \"" STR_FMT "\" in template clause", STR_ARG(p->token.text));
    if (p->failed) return;
    n->kind = NODE_TEMPLATE;
    n->text = unquoted(p, p->token.text);
    advance(p);
    skip_blanks(p);
    if (p->token.kind != TOKEN_END) n->pipe = parse_declared_pipe(p, TOKEN_END, "template clause");
    expect_end(p);
}

/* One action behind {{, blanks passed. True: it is an end or an else, which *out_ending says. */
static bool parse_action(struct parser *p, struct node *n, enum ending *out_ending) {
    static const struct {
        const char *word;
        enum node_kind kind;
    } controls[] = {{"if", NODE_IF}, {"range", NODE_RANGE}, {"with", NODE_WITH}};
    if (word_is(p, "end") || word_is(p, "else")) {
        *out_ending = word_is(p, "end") ? ENDING_END : ENDING_ELSE;
        advance(p);
        return true;
    }
    for (size_t i = 0; i < LENGTH(controls); i++) {
        if (!word_is(p, controls[i].word)) continue;
        n->kind = controls[i].kind;
        advance(p);
        parse_control(p, n, controls[i].word);
        return false;
    }
    if (word_is(p, "define")) {
        advance(p);
        parse_define(p);
        n->kind = NODE_TEXT;
    } else if (word_is(p, "block")) {
        advance(p);
        parse_block(p, n);
    } else if (word_is(p, "template")) {
        advance(p);
        parse_template(p, n);
    } else if (word_is(p, "break") || word_is(p, "continue")) {
        n->kind = word_is(p, "break") ? NODE_BREAK : NODE_CONTINUE;
        if (!p->ranges) bad(p, "{{" STR_FMT "}} outside {{range}}", STR_ARG(p->token.text));
        advance(p);
        expect_end(p);
    } else {
        n->kind = NODE_ACTION;
        n->pipe = parse_declared_pipe(p, TOKEN_END, "command");
        expect_end(p);
    }
    return false;
}

/* Text up to the next {{ or the end, with what trim markers take away on its right. */
static struct str take_text(struct parser *p) {
    size_t start = p->at;
    while (p->at < p->text.n && !(p->text.p[p->at] == '{' && char_at(p, p->at + 1) == '{')) p->at++;
    struct str text = {p->text.p + start, p->at - start};
    bool trims = p->at < p->text.n && char_at(p, p->at + 2) == '-' && is_blank(char_at(p, p->at + 3));
    while (trims && text.n && is_blank(text.p[text.n - 1])) text.n--;
    return text;
}

/* At {{/ *: behind the comment. */
static bool pass_comment(struct parser *p) {
    size_t at = p->at + 2;
    if (char_at(p, at) == '-' && is_blank(char_at(p, at + 1))) at += 2;
    if (char_at(p, at) != '/' || char_at(p, at + 1) != '*') return false;
    while (at < p->text.n && !(p->text.p[at] == '*' && char_at(p, at + 1) == '/')) at++;
    if (at >= p->text.n) {
        bad(p, "unclosed comment");
        return true;
    }
    p->at = at + 2;
    if (at_end_of_action(p, p->at))
        pass_end(p);
    else
        bad(p, "comment ends before closing delimiter");
    return true;
}

static enum ending parse_list(struct parser *p, struct node **out) {
    struct node **last = out;
    enum ending ending = ENDING_EOF;
    while (!p->failed && p->at < p->text.n) {
        struct node *n = need_new(p, struct node);
        struct str text = take_text(p);
        if (text.n) {
            *n = (struct node){.kind = NODE_TEXT, .text = text};
            *last = n;
            last = &n->next;
        }
        if (p->failed || p->at >= p->text.n || pass_comment(p)) continue;
        bool trims = char_at(p, p->at + 2) == '-' && is_blank(char_at(p, p->at + 3));
        n = need_new(p, struct node);
        p->at += trims ? 4 : 2;
        n->start = (uint32_t)p->at;
        scan(p);
        skip_blanks(p);
        if (parse_action(p, n, &ending)) return ending;
        n->end = (uint32_t)p->at;
        *last = n;
        last = &n->next;
    }
    return ENDING_EOF;
}

err template_parse(struct arena *a, struct str name, struct str text, struct template **out) {
    struct template *t = arena_new(a, struct template);
    if (!t) return arena_err(a);
    if (text.n > TEMPLATE_BYTES_MAX) return err_new(ERR_LIMIT, "a template of over %d bytes", TEMPLATE_BYTES_MAX);
    t->name = arena_copy(a, name);
    t->is_plain = !str_contains(text, STR("{{"));
    AUTO_BUF struct buf whole;
    buf_init(&whole, TEMPLATE_BYTES_MAX + KIB);
    buf_add_text(&whole, t->is_plain ? "" : PROLOGUE);
    buf_add_str(&whole, text);
    t->text = arena_copy(a, whole.n ? buf_str(&whole) : STR(""));
    if (!t->name.p || !t->text.p) return arena_err(a);
    *out = t;
    if (t->is_plain) return NULL;
    struct parser p = {.a = a, .t = t, .text = t->text};
    enum ending ending = parse_list(&p, &t->body);
    if (ending != ENDING_EOF) bad(&p, ending == ENDING_END ? "unexpected {{end}}" : "unexpected {{else}}");
    return p.failed;
}
