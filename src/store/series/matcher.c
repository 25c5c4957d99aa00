#include "store/series/matcher.h"

#include <stdlib.h>

#include "base/text.h"
#include "store/match/regex.h"

static bool is_special(char c) { return c && strchr("\\.+*?()[]{}^$|", c); }
static bool is_word(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c & 0x80;
}

/* The literal characters that `pattern` begins with, written to out (as long as the pattern); *out_used is how much of the pattern
 * they are. A character that a repeat follows is not one of them. */
static struct str literal_start(struct str pattern, char *out, size_t *out_used) {
    size_t n = 0, i = 0, last_n = 0, last_i = 0;
    while (i < pattern.n) {
        size_t start = i, text = n;
        if (pattern.p[i] == '\\' && i + 1 < pattern.n && !is_word(pattern.p[i + 1]))
            i++;
        else if (is_special(pattern.p[i]))
            break;
        out[n++] = pattern.p[i++];
        while (i < pattern.n && (pattern.p[i] & 0xc0) == 0x80) out[n++] = pattern.p[i++];
        last_n = text;
        last_i = start;
    }
    if (i < pattern.n && pattern.p[i] && strchr("*?+{", pattern.p[i])) {
        n = last_n;
        i = last_i;
    }
    *out_used = i;
    return (struct str){out, n};
}

/* A pattern in one pair of brackets that encloses no others: what is inside. */
static struct str without_brackets(struct str p) {
    if (p.n < 2 || p.p[0] != '(' || p.p[p.n - 1] != ')') return p;
    struct str inside = {p.p + 1, p.n - 2};
    if (str_starts_with(inside, STR("?:"))) inside = (struct str){inside.p + 2, inside.n - 2};
    bool nested = str_find(inside, '(') >= 0 || str_find(inside, ')') >= 0;
    return nested || (inside.n && inside.p[inside.n - 1] == '\\') ? p : inside;
}

static int compare_texts(const void *a, const void *b) {
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

/* Texts joined by |: false if some alternative is none. */
static bool find_literals(struct arena *a, struct str pattern, struct label_matcher *m) {
    struct str rest = without_brackets(pattern), one;
    size_t most = 1, n = 0, used;
    for (size_t i = 0; i < rest.n; i++) most += rest.p[i] == '|';
    struct str *list = most <= MATCHER_LITERALS_MAX ? arena_array(a, struct str, most) : NULL;
    char *text = list ? arena_alloc(a, rest.n + 1) : NULL;
    if (!text) return false;
    for (bool more = true; more;) {
        more = str_cut(rest, '|', &one, &rest);
        list[n] = literal_start(one, text, &used);
        if (used < one.n) return false;
        text += list[n++].n;
    }
    qsort(list, n, sizeof *list, compare_texts);
    m->literal_count = 0;
    for (size_t i = 0; i < n; i++)
        if (i == 0 || !str_equal(list[i], list[m->literal_count - 1])) list[m->literal_count++] = list[i];
    m->literals = list;
    m->kind = MATCHER_LITERALS;
    return true;
}

static err make_pattern(struct arena *a, struct str pattern, struct label_matcher *m) {
    struct regex *regex;
    char *text = arena_alloc(a, pattern.n + 1);
    size_t used = 0;
    if (!text) return arena_err(a);
    if (utf8_is_valid(pattern) && find_literals(a, pattern, m))
        return NULL;                           /* of any length: lists of hosts are long */
    TRY(regex_compile_whole(pattern, &regex)); /* even where it is not used: what is wrong must be said */
    if (str_find(pattern, '|') < 0) m->prefix = literal_start(pattern, text, &used);
    struct str rest = {pattern.p + used, pattern.n - used};
    m->longer = str_equal(rest, STR(".+"));
    m->kind = m->longer || str_equal(rest, STR(".*")) ? MATCHER_PREFIX : MATCHER_PATTERN;
    if (m->kind == MATCHER_PATTERN)
        m->regex = regex;
    else
        regex_free(regex);
    return NULL;
}

err label_matcher_make(struct arena *a, struct str name, enum label_matcher_op op, struct str text,
                       struct label_matcher *out) {
    struct label_matcher m = {.name = arena_copy(a, name), .text = arena_copy(a, text), .op = op};
    struct str *one = arena_new(a, struct str);
    if (!m.name.p || !m.text.p || !one) return arena_err(a);
    m.is_negative = op == MATCHER_NOT_EQUAL || op == MATCHER_NOT_REGEX;
    if (op == MATCHER_REGEX || op == MATCHER_NOT_REGEX) {
        TRY_WRAP(make_pattern(a, m.text, &m), "label %.*s", (int)MIN(name.n, 64u), name.p);
    } else {
        *one = m.text;
        m.literals = one;
        m.literal_count = 1;
    }
    m.matches_empty = label_matcher_matches(&m, (struct str){0});
    *out = m;
    return NULL;
}

void label_matcher_done(struct label_matcher *m) {
    regex_free(m->regex);
    *m = (struct label_matcher){0};
}

bool label_matcher_matches_positive(const struct label_matcher *m, struct str value) {
    switch (m->kind) {
    case MATCHER_LITERALS: return bsearch(&value, m->literals, m->literal_count, sizeof value, compare_texts) != NULL;
    case MATCHER_PREFIX: return str_starts_with(value, m->prefix) && (!m->longer || value.n > m->prefix.n);
    case MATCHER_PATTERN: /* once it gave up on a value the answer is an error, and no other value is tried */
        return str_starts_with(value, m->prefix) && !regex_gave_up(m->regex) && regex_found(m->regex, value);
    default: return false;
    }
}

bool label_matcher_matches(const struct label_matcher *m, struct str value) {
    return label_matcher_matches_positive(m, value) != m->is_negative;
}

bool label_matchers_match(const struct label_matcher *m, uint32_t n, struct labels l) {
    for (uint32_t i = 0; i < n; i++)
        if (!label_matcher_matches(&m[i], label_set_get(l, m[i].name))) return false;
    return true;
}

void label_matchers_set_deadline(struct label_matcher *m, uint32_t n, int64_t deadline_ns) {
    for (uint32_t i = 0; i < n; i++)
        if (m[i].regex) regex_set_deadline(m[i].regex, deadline_ns);
}

err label_matchers_err(const struct label_matcher *m, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (m[i].regex && regex_gave_up(m[i].regex))
            return err_new(ERR_LIMIT, "label " STR_FMT ": the expression takes too long on some value",
                           STR_ARG(m[i].name));
    return NULL;
}
