/* The text of one condition: KEY OP VALUE.
 *
 *   condition = [prefix "."] key blanks op blanks value | [prefix "."] key blanks ("exists" | "absent")
 *   prefix    = "resource" | "span" | "log" | "scope" | "event"
 *   key       = bare | quoted          bare: bytes but blanks, quotes and the operators' = ! < > ~
 *               bare and without prefix, correlation_id is the row's id, not the attribute of that name
 *   value     = quoted | the rest, without blanks at its end
 */
#include "query/query_priv.h"

struct where_reader {
    struct str text;
    size_t at;
    struct arena *arena;
};

static err refuse(size_t at, const char *what) { return err_new(ERR_INVALID, "at %zu: %s", at + 1, what); }

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

static void skip_blanks(struct where_reader *r) {
    while (r->at < r->text.n && is_blank(r->text.p[r->at])) r->at++;
}

static bool ends(const struct where_reader *r) { return r->at == r->text.n; }

/* "…" with \" and \\; r->at is at the opening quote. */
static err read_quoted(struct where_reader *r, struct str *out) {
    size_t start = r->at++;
    char *p = arena_alloc(r->arena, r->text.n - start + 1);
    if (!p) return arena_err(r->arena);
    size_t n = 0;
    for (; !ends(r) && r->text.p[r->at] != '"'; r->at++) {
        if (r->text.p[r->at] == '\\') {
            if (r->at + 1 == r->text.n) break;
            char next = r->text.p[r->at + 1];
            if (next != '"' && next != '\\') return refuse(r->at, "only \\\" and \\\\ are escapes here");
            r->at++;
        }
        p[n++] = r->text.p[r->at];
    }
    if (ends(r) || r->text.p[r->at] != '"') return refuse(start, "the quote has no end");
    r->at++;
    *out = (struct str){p, n};
    return NULL;
}

static bool is_bare(char c) { return !is_blank(c) && !strchr("=!<>~\"", c) && c != 0; }

static struct str read_bare(struct where_reader *r) {
    size_t start = r->at;
    while (!ends(r) && is_bare(r->text.p[r->at])) r->at++;
    return (struct str){r->text.p + start, r->at - start};
}

static const struct {
    struct str text;
    enum target target;
} prefixes[] = {
    {STR("resource."), TARGET_RESOURCE}, {STR("span."), TARGET_ATTRIBUTE}, {STR("log."), TARGET_ATTRIBUTE},
    {STR("scope."), TARGET_SCOPE},       {STR("event."), TARGET_EVENT},
};

enum target where_prefix(struct str *text) {
    for (size_t i = 0; i < LENGTH(prefixes); i++) {
        size_t n = prefixes[i].text.n;
        if (!str_starts_with(*text, prefixes[i].text)) continue;
        *text = (struct str){text->p + n, text->n - n};
        return prefixes[i].target;
    }
    return TARGET_ANY;
}

static err read_key(struct where_reader *r, struct column_ref *out) {
    size_t start = r->at;
    struct str rest = {r->text.p + r->at, r->text.n - r->at};
    *out = (struct column_ref){.target = where_prefix(&rest)};
    r->at = r->text.n - rest.n;
    bool quoted = !ends(r) && r->text.p[r->at] == '"';
    if (quoted)
        TRY(read_quoted(r, &out->key));
    else
        out->key = read_bare(r);
    if (!quoted && out->target == TARGET_ANY && str_equal(out->key, STR("correlation_id"))) {
        out->target = TARGET_FIELD; /* the id that came with the row, wherever it stood */
        out->field = FIELD_CORRELATION;
    }
    if (out->key.n == 0) return refuse(start, "the name of an attribute is missing");
    return NULL;
}

/* Longer ones first. */
static const struct {
    struct str text;
    enum operator op;
} signs[] = {
    {STR("!="), OP_NOT_EQUAL}, {STR("!~"), OP_NOT_MATCH}, {STR(">="), OP_GREATER_EQUAL}, {STR("<="), OP_LESS_EQUAL},
    {STR("="), OP_EQUAL},      {STR(">"), OP_GREATER},    {STR("<"), OP_LESS},           {STR("~"), OP_MATCH},
};

static err read_operator(struct where_reader *r, enum operator* out, bool *out_alone) {
    struct str rest = {r->text.p + r->at, r->text.n - r->at};
    *out_alone = false;
    if (str_starts_with(rest, STR("=="))) return refuse(r->at, "== is not an operator; write one =");
    if (str_starts_with(rest, STR("=~"))) return refuse(r->at, "=~ is not an operator; write ~ alone");
    for (size_t i = 0; i < LENGTH(signs); i++) {
        if (!str_starts_with(rest, signs[i].text)) continue;
        r->at += signs[i].text.n;
        *out = signs[i].op;
        return NULL;
    }
    struct str word = str_trim(rest);
    *out_alone = true;
    *out = str_equal(word, STR("absent")) ? OP_ABSENT : OP_EXISTS;
    if (str_equal(word, STR("exists")) || str_equal(word, STR("absent"))) return NULL;
    return refuse(r->at, "an operator is missing: = != > >= < <= ~ !~ exists absent");
}

/* The key at the beginning, copied. */
static err begin(struct where_reader *r, struct column_ref *out) {
    if (memchr(r->text.n ? r->text.p : "", 0, r->text.n))
        return err_new(ERR_INVALID, "at 1: a condition has no zero bytes");
    skip_blanks(r);
    TRY(read_key(r, out));
    out->key = arena_copy(r->arena, out->key);
    skip_blanks(r);
    return out->key.p ? NULL : arena_err(r->arena);
}

err where_parse_key(struct arena *a, struct str text, struct column_ref *out) {
    struct where_reader r = {.text = text, .arena = a};
    TRY(begin(&r, out));
    return ends(&r)
               ? NULL
               : refuse(r.at,
                        "there is more after the name of the attribute; one with blanks or signs stands in \"quotes\"");
}

err where_parse(struct arena *a, struct str text, struct predicate *out) {
    struct where_reader r = {.text = text, .arena = a};
    struct column_ref column;
    enum operator op;
    bool alone;
    TRY(begin(&r, &column));
    TRY(read_operator(&r, &op, &alone));
    struct str value = {"", 0};
    skip_blanks(&r);
    size_t value_at = r.at;
    if (!alone && !ends(&r) && r.text.p[r.at] == '"') {
        TRY(read_quoted(&r, &value));
        skip_blanks(&r);
        if (!ends(&r)) return refuse(r.at, "there is more after the quoted value");
    } else if (!alone) {
        value = str_trim((struct str){text.p + r.at, text.n - r.at});
    }
    value = arena_copy(a, value);
    if (!value.p) return arena_err(a);
    return err_wrap(predicate_make(a, column, op, value, out), "at %zu", value_at + 1);
}
