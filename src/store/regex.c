#include "store/regex_priv.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { MATCH_STEPS_MAX = 1000000, MATCH_DEPTH_MAX = 2000, MATCH_HEAP_MAX_KIB = 1024, PATTERN_BYTES_MAX = 4096 };

struct regex {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *limits;
    bool gave_up;
};

/* After "(?": RE2 knows (?:…), (?P<name>…), (?<name>…) and flags of imsU. */
static bool group_is_allowed(struct str s) {
    if (!s.n) return false;
    if (s.p[0] == 'P') return s.n > 1 && s.p[1] == '<';
    if (s.p[0] == '<') return s.n > 1 && s.p[1] != '=' && s.p[1] != '!';
    size_t i = 0;
    while (i < s.n && strchr("imsU-", s.p[i]) && s.p[i]) i++;
    return i < s.n && (s.p[i] == ':' || s.p[i] == ')');
}

static bool escape_is_allowed(char c) {
    return strchr("dDwWsSbBAzafnrtvxpPQE", c) || !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'));
}

/* The index after the character class that starts at i. */
static size_t skip_class(struct str p, size_t i) {
    i++;
    if (i < p.n && p.p[i] == '^') i++;
    if (i < p.n && p.p[i] == ']') i++;
    while (i < p.n && p.p[i] != ']') {
        if (p.p[i] == '\\') i++;
        else if (p.p[i] == '[' && i + 1 < p.n && p.p[i + 1] == ':')
            for (i += 2; i < p.n && p.p[i] != ']';) i++;
        i++;
    }
    return i + 1;
}

/* The index after the construct at i, or an error for what PCRE2 has and RE2 has not. */
static err check_syntax_at(struct str p, size_t *at) {
    size_t i = *at;
    struct str rest = {p.p + i, p.n - i};
    if (p.p[i] == '\\') {
        if (i + 1 < p.n && !escape_is_allowed(p.p[i + 1]))
            return err_new(ERR_INVALID, "regular expression: \\%c at byte %zu is not supported (no back-references)",
                           p.p[i + 1], i);
        *at = i + 2;
    } else if (p.p[i] == '[') {
        *at = skip_class(p, i);
    } else if (str_starts_with(rest, STR("(*")) ||
               (str_starts_with(rest, STR("(?")) && !group_is_allowed((struct str){rest.p + 2, rest.n - 2}))) {
        return err_new(ERR_INVALID, "regular expression: the group at byte %zu is not supported (no look-around)", i);
    } else if (strchr("*+?}", p.p[i]) && p.p[i] && i + 1 < p.n && p.p[i + 1] == '+') {
        return err_new(ERR_INVALID, "regular expression: possessive repeat at byte %zu is not supported", i);
    } else {
        *at = i + 1;
    }
    return NULL;
}

err regex_compile(struct str pattern, struct regex **out) {
    if (pattern.n > PATTERN_BYTES_MAX)
        return err_new(ERR_LIMIT, "regular expression: %zu bytes, at most %d", pattern.n, PATTERN_BYTES_MAX);
    for (size_t i = 0; i < pattern.n;) TRY(check_syntax_at(pattern, &i));
    int code = 0;
    PCRE2_SIZE at = 0;
    uint32_t options = PCRE2_NEVER_BACKSLASH_C | PCRE2_NEVER_UTF | PCRE2_DOLLAR_ENDONLY;
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)(pattern.n ? pattern.p : ""), pattern.n, options, &code, &at, NULL);
    if (!compiled) {
        PCRE2_UCHAR why[128] = "";
        pcre2_get_error_message(code, why, sizeof why);
        return err_new(ERR_INVALID, "regular expression: %s at byte %zu", (const char *)why, (size_t)at);
    }
    struct regex *r = mem_new_of(struct regex);
    r->code = compiled;
    pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE); /* refused where memory may not be executable: interpreted then */
    r->match = pcre2_match_data_create(1, NULL);
    r->limits = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(r->limits, MATCH_STEPS_MAX);
    pcre2_set_depth_limit(r->limits, MATCH_DEPTH_MAX);
    pcre2_set_heap_limit(r->limits, MATCH_HEAP_MAX_KIB);
    *out = r;
    return NULL;
}

void regex_free(struct regex *r) {
    if (!r) return;
    pcre2_code_free(r->code);
    pcre2_match_data_free(r->match);
    pcre2_match_context_free(r->limits);
    mem_free(r);
}

bool regex_found(struct regex *r, struct str text) {
    int n = pcre2_match(r->code, (PCRE2_SPTR)(text.n ? text.p : ""), text.n, 0, 0, r->match, r->limits);
    if (n < 0 && n != PCRE2_ERROR_NOMATCH) r->gave_up = true;
    return n >= 0;
}

bool regex_gave_up(const struct regex *r) { return r->gave_up; }
