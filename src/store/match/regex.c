#include "store/match/regex.h"

#include <ctype.h>

#include "os/clock.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
    MATCH_STEPS_MAX = 1000000,
    MATCH_DEPTH_MAX = 2000,
    MATCH_HEAP_MAX_KIB = 1024,
    PATTERN_BYTES_MAX = 4096,
    WHOLE_BYTES_MAX = 65536,
    REPEAT_MAX = 1000 /* of RE2 */
};
enum {
    SHORT_TEXT_BYTES = 2 << 10,
    SHORT_TEXT_STEPS = 1 << 28, /* of all starts together */
    LONG_TEXT_CALLS = 1 << 26,
    LINEAR_CALLS = 1 << 22,
    LINEAR_WORDS = 8 << 10, /* three a state, of two lists, each of which is looked through for each state */
    STACK_START_BYTES = 32 << 10,
    STACK_BYTES_MAX = 16 << 20,
    CLOCK_EVERY_CALLS = 64,
    CLOCK_EVERY_BYTES = 4 << 10,
    CLOCK_BYTES_OF_A_CALL = 256,
};

struct regex {
    pcre2_code *code, *long_code; /* long_code: with callouts, made when the first long text comes */
    pcre2_code *linear_code;      /* for pcre2_dfa_match, made when the first match goes over its limits */
    bool linear_refused;
    pcre2_match_data *match;
    pcre2_match_context *limits;
    char *pattern;
    uint32_t options;
    size_t pattern_bytes, bytes_since_clock;
    int64_t deadline_ns; /* 0: none */
    uint32_t calls, calls_max;
    bool gave_up, late, last_gave_up;
};

static bool name_begins(struct str s) {
    char c = s.n ? (char)(s.p[0] | 0x20) : 0;
    return (c >= 'a' && c <= 'z') || (s.n && s.p[0] == '_');
}

/* After "(?": RE2 knows (?:…), (?P<name>…), (?<name>…) and flags of imsU. */
static bool group_is_allowed(struct str s) {
    if (!s.n) return false;
    if (s.p[0] == 'P') return s.n > 1 && s.p[1] == '<' && name_begins((struct str){s.p + 2, s.n - 2});
    if (s.p[0] == '<') return name_begins((struct str){s.p + 1, s.n - 1});
    size_t i = 0;
    while (i < s.n && strchr("imsU-", s.p[i]) && s.p[i]) i++;
    return i < s.n && (s.p[i] == ':' || s.p[i] == ')');
}

static bool escape_is_allowed(char c) {
    return strchr("dDwWsSbBAzafnrtvxpPQE", c) ||
           !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'));
}

/* The index after the escape at i; after \Q everything up to \E is text. */
static size_t skip_escape(struct str p, size_t i) {
    if (i + 1 >= p.n || p.p[i + 1] != 'Q') return i + 2;
    for (i += 2; i < p.n; i++)
        if (p.p[i] == '\\' && i + 1 < p.n && p.p[i + 1] == 'E') return i + 2;
    return i;
}

/* The index after [:name:] at i; without its end the bracket is a bracket: the next index. */
static size_t skip_class_name(struct str p, size_t i) {
    if (i + 1 >= p.n || p.p[i + 1] != ':') return i + 1;
    for (size_t k = i + 2; k + 1 < p.n && p.p[k] != ']' && p.p[k] != '[' && p.p[k] != '\\'; k++)
        if (p.p[k] == ':' && p.p[k + 1] == ']') return k + 2;
    return i + 1;
}

/* The index after the character class that starts at i. */
static size_t skip_class(struct str p, size_t i) {
    i++;
    if (i < p.n && p.p[i] == '^') i++;
    if (i < p.n && p.p[i] == ']') i++;
    while (i < p.n && p.p[i] != ']') {
        if (p.p[i] == '\\')
            i = skip_escape(p, i);
        else
            i = p.p[i] == '[' ? skip_class_name(p, i) : i + 1;
    }
    return i + 1;
}

/* The index after {…} at i, of a \p or a \x; i where there is none. */
static size_t skip_braces(struct str p, size_t i) {
    size_t end = i + 1;
    if (i >= p.n || p.p[i] != '{') return i;
    while (end < p.n && (isalnum((unsigned char)p.p[end]) || p.p[end] == '^' || p.p[end] == '_')) end++;
    return end < p.n && p.p[end] == '}' ? end + 1 : i;
}

/* The index after the item at i that one sign may repeat: a character, a class, an escape. */
static size_t skip_item(struct str p, size_t i, bool utf) {
    if (p.p[i] == '[') return MIN(skip_class(p, i), p.n);
    bool escape = p.p[i] == '\\' && i + 1 < p.n;
    char letter = escape ? p.p[i + 1] : 0;
    i += escape ? 2 : 1;
    if (letter == 'p' || letter == 'P' || letter == 'x') {
        size_t end = skip_braces(p, i);
        if (end > i) return end;
        if (letter != 'x') return MIN(i + 1, p.n);
        for (int k = 0; k < 2 && i < p.n && isxdigit((unsigned char)p.p[i]); k++) i++;
        return i;
    }
    while (utf && i < p.n && ((unsigned char)p.p[i] & 0xc0) == 0x80) i++;
    return i;
}

/* {n}, {n,} and {n,m} at i: the larger of the two numbers; what is not one of these is text, and 0. */
static uint32_t repeat_at(struct str p, size_t i) {
    uint32_t numbers[2] = {0, 0};
    size_t k = 0, digits = 0;
    if (p.p[i] != '{') return 0;
    for (i++; i < p.n; i++) {
        char c = p.p[i];
        if (c == '}') return digits || k ? MAX(numbers[0], numbers[1]) : 0;
        if (c == ',' && k == 0 && digits)
            k = 1;
        else if (c >= '0' && c <= '9')
            numbers[k] = MIN(numbers[k] * 10 + (uint32_t)(c - '0'), UINT16_MAX), digits++;
        else
            return 0;
    }
    return 0;
}

/* The index after the construct at i, or an error for what PCRE2 has and RE2 has not. */
static err check_syntax_at(struct str p, size_t *at) {
    size_t i = *at;
    struct str rest = {p.p + i, p.n - i};
    if (p.p[i] == '\\') {
        if (i + 1 < p.n && !escape_is_allowed(p.p[i + 1]))
            return err_new(ERR_INVALID, "regular expression: \\%c at byte %zu is not supported (no back-references)",
                           p.p[i + 1], i);
        bool braces = i + 1 < p.n && strchr("pPx", p.p[i + 1]) && p.p[i + 1];
        *at = braces ? skip_braces(p, i + 2) : skip_escape(p, i);
    } else if (p.p[i] == '[') {
        *at = skip_class(p, i);
    } else if (str_starts_with(rest, STR("(*")) ||
               (str_starts_with(rest, STR("(?")) && !group_is_allowed((struct str){rest.p + 2, rest.n - 2}))) {
        return err_new(ERR_INVALID, "regular expression: the group at byte %zu is not supported (no look-around)", i);
    } else if (repeat_at(p, i) > REPEAT_MAX) {
        return err_new(ERR_INVALID, "regular expression: a repeat of over %d at byte %zu", REPEAT_MAX, i);
    } else if (strchr("*+?}", p.p[i]) && p.p[i] && i + 1 < p.n && p.p[i + 1] == '+') {
        return err_new(ERR_INVALID, "regular expression: possessive repeat at byte %zu is not supported", i);
    } else {
        *at = i + 1;
    }
    return NULL;
}

static bool is_quoted(struct str p, size_t i) { return p.p[i] == '\\' && i + 1 < p.n && p.p[i + 1] == 'Q'; }

/* PCRE2 10.42 compiles \S, \D and \W outside of a class, with PCRE2_MATCH_INVALID_UTF, to code that no character beyond ASCII matches; as a class each is
 * right. */
static void put_classes(struct str p, struct buf *out) {
    for (size_t i = 0, end; i < p.n; i = end) {
        bool negated = p.p[i] == '\\' && i + 1 < p.n && strchr("SDW", p.p[i + 1]) && p.p[i + 1];
        end = MIN(is_quoted(p, i) ? skip_escape(p, i) : skip_item(p, i, true), p.n);
        buf_add_text(out, negated ? "[" : "");
        buf_add(out, p.p + i, end - i);
        buf_add_text(out, negated ? "]" : "");
    }
}

static pcre2_code *compile_text(struct str pattern, uint32_t options, int *out_code, PCRE2_SIZE *out_at) {
    return pcre2_compile((PCRE2_SPTR)(pattern.n ? pattern.p : ""), pattern.n,
                         options | PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY, out_code, out_at, NULL);
}

static pcre2_code *compile(struct str pattern, uint32_t more, int *out_code, PCRE2_SIZE *out_at) {
    AUTO_BUF struct buf classes;
    pcre2_code *made = NULL;
    buf_init(&classes, 4 * WHOLE_BYTES_MAX);
    if (more & PCRE2_MATCH_INVALID_UTF) {
        put_classes(pattern, &classes);
        made = compile_text(classes.n ? buf_str(&classes) : STR(""), more, out_code, out_at);
    }
    if (!made) made = compile_text(pattern, more, out_code, out_at); /* also for the place of what is wrong */
    if (made)
        pcre2_jit_compile(made, PCRE2_JIT_COMPLETE); /* refused where memory may not be executable: interpreted then */
    return made;
}

static bool is_late(struct regex *r) {
    r->late = r->late || (r->deadline_ns && clock_monotonic_ns() > r->deadline_ns);
    return r->late;
}

/* Before each item of a long match, or of one in linear time. */
static int on_item(pcre2_callout_block *block, void *context) {
    struct regex *r = context;
    (void)block;
    r->calls++;
    bool stop = r->calls > r->calls_max || (r->calls % CLOCK_EVERY_CALLS == 0 && is_late(r));
    return stop ? PCRE2_ERROR_CALLOUT : 0;
}

static err compile_as(struct str pattern, size_t bytes_max, uint32_t options, struct regex **out) {
    if (pattern.n > bytes_max)
        return err_new(ERR_LIMIT, "regular expression: %zu bytes, at most %zu", pattern.n, bytes_max);
    for (size_t i = 0; i < pattern.n;) TRY(check_syntax_at(pattern, &i));
    int code = 0;
    PCRE2_SIZE at = 0;
    pcre2_code *compiled = compile(pattern, options, &code, &at);
    if (!compiled) {
        PCRE2_UCHAR why[128] = "";
        pcre2_get_error_message(code, why, sizeof why);
        return err_new(ERR_INVALID, "regular expression: %s at byte %zu", (const char *)why, (size_t)at);
    }
    struct regex *r = mem_new_of(struct regex);
    r->code = compiled;
    r->options = options;
    r->pattern = str_dup(pattern);
    r->pattern_bytes = pattern.n;
    r->match = pcre2_match_data_create_from_pattern(compiled, NULL);
    r->limits = pcre2_match_context_create(NULL);
    pcre2_set_depth_limit(r->limits, MATCH_DEPTH_MAX);
    pcre2_set_heap_limit(r->limits, MATCH_HEAP_MAX_KIB);
    pcre2_set_callout(r->limits, on_item, r);
    *out = r;
    return NULL;
}

err regex_compile(struct str pattern, struct regex **out) {
    return compile_as(pattern, PATTERN_BYTES_MAX, PCRE2_NEVER_UTF, out);
}

err regex_compile_whole(struct str pattern, struct regex **out) {
    return compile_as(pattern, WHOLE_BYTES_MAX,
                      PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOTALL | PCRE2_ANCHORED | PCRE2_ENDANCHORED, out);
}

void regex_free(struct regex *r) {
    if (!r) return;
    pcre2_code_free(r->code);
    pcre2_code_free(r->long_code);
    pcre2_code_free(r->linear_code);
    mem_free(r->pattern);
    pcre2_match_data_free(r->match);
    pcre2_match_context_free(r->limits);
    mem_free(r);
}

void regex_set_deadline(struct regex *r, int64_t deadline_ns) {
    r->deadline_ns = deadline_ns;
    r->late = false;
}

/* The code for a text of n bytes, with the limits for it. */
static const pcre2_code *prepare(struct regex *r, size_t n) {
    int code;
    PCRE2_SIZE at;
    r->calls = 0;
    r->calls_max = LONG_TEXT_CALLS;
    if (n > SHORT_TEXT_BYTES && !r->long_code)
        r->long_code = compile((struct str){r->pattern, r->pattern_bytes}, r->options | PCRE2_AUTO_CALLOUT, &code, &at);
    bool is_long = n > SHORT_TEXT_BYTES && r->long_code;
    size_t steps = is_long ? MATCH_STEPS_MAX : SHORT_TEXT_STEPS / MAX(n, (size_t)1);
    pcre2_set_match_limit(r->limits, (uint32_t)MIN(steps, (size_t)MATCH_STEPS_MAX));
    return is_long ? r->long_code : r->code;
}

/* The JIT's own stack is 32 KiB: what repeats a group some thousand times needs more, for the time of this match. */
static int match_with_stack(struct regex *r, struct str text, size_t from) {
    pcre2_jit_stack *stack = pcre2_jit_stack_create(STACK_START_BYTES, STACK_BYTES_MAX, NULL);
    if (!stack) return PCRE2_ERROR_JIT_STACKLIMIT;
    pcre2_jit_stack_assign(r->limits, NULL, stack);
    int n = pcre2_match(prepare(r, text.n), (PCRE2_SPTR)text.p, text.n, from, 0, r->match, r->limits);
    pcre2_jit_stack_assign(r->limits, NULL, NULL);
    pcre2_jit_stack_free(stack);
    return n;
}

/* + or {n,} */
static bool repeats_without_end(struct str p, size_t i) {
    if (i >= p.n || p.p[i] != '{') return i < p.n && p.p[i] == '+';
    while (++i < p.n && p.p[i] >= '0' && p.p[i] <= '9') continue;
    return i + 1 < p.n && p.p[i] == ',' && p.p[i + 1] == '}';
}

/* The pattern for pcre2_dfa_match, which counts how often a repeated item came and takes each count for a state of its own, so that a+ has as many
 * states as the text has bytes; (?:a)+ has one. */
static void put_linear(struct str p, bool utf, struct buf *out) {
    for (size_t i = 0, end; i < p.n; i = end) {
        if (is_quoted(p, i)) {
            end = MIN(skip_escape(p, i), p.n);
            buf_add(out, p.p + i, end - i);
            continue;
        }
        bool is_end = p.p[i] == '\\' && i + 1 < p.n && p.p[i + 1] == 'E'; /* stands for nothing */
        bool is_sign = strchr("()|*+?^$", p.p[i]) && p.p[i];
        end = is_sign ? i + 1 : skip_item(p, i, utf);
        bool wrap = !is_sign && !is_end && repeats_without_end(p, end);
        buf_add_text(out, wrap ? "(?:" : "");
        buf_add(out, p.p + i, end - i);
        buf_add_text(out, wrap ? ")" : "");
    }
}

/* pcre2_dfa_match knows neither PCRE2_ENDANCHORED nor invalid UTF-8; possessive groups would make it recurse. */
static pcre2_code *compile_linear(const struct regex *r) {
    int code;
    PCRE2_SIZE at;
    struct buf whole;
    uint32_t options = r->options & ~(uint32_t)(PCRE2_ENDANCHORED | PCRE2_MATCH_INVALID_UTF);
    buf_init(&whole, 8 * WHOLE_BYTES_MAX);
    buf_add_text(&whole, "(?:");
    put_linear((struct str){r->pattern, r->pattern_bytes}, r->options & PCRE2_UTF, &whole);
    buf_add_text(&whole, r->options & PCRE2_ENDANCHORED ? "\\E)\\z" : "\\E)"); /* \E: of a \Q without end */
    pcre2_code *made = compile_text(buf_str(&whole), options | PCRE2_NO_AUTO_POSSESS | PCRE2_AUTO_CALLOUT, &code, &at);
    buf_done(&whole);
    return made;
}

/* Whether there is a match, and no more: 1, PCRE2_ERROR_NOMATCH, or another error: nobody knows. */
static int match_linear(struct regex *r, struct str text, size_t from) {
    if (!r->linear_code && !r->linear_refused) r->linear_code = compile_linear(r);
    r->linear_refused = !r->linear_code;
    if (r->linear_refused) return PCRE2_ERROR_MATCHLIMIT;
    AUTO_FREE int *words = mem_new_array(int, LINEAR_WORDS);
    r->calls = 0;
    r->calls_max = LINEAR_CALLS;
    int n = pcre2_dfa_match(r->linear_code, (PCRE2_SPTR)text.p, text.n, from, PCRE2_DFA_SHORTEST, r->match, r->limits,
                            words, LINEAR_WORDS);
    return n >= 0 ? 1 : n;
}

/* pcre2_match's return; PCRE2_ERROR_CALLOUT when it is late. *out_groups: those of the match data are its own. */
static int match_from(struct regex *r, struct str text, size_t from, bool *out_groups) {
    if (!text.n) text.p = "";
    r->bytes_since_clock += text.n + CLOCK_BYTES_OF_A_CALL + r->pattern_bytes / 4;
    if (r->bytes_since_clock > CLOCK_EVERY_BYTES) {
        r->bytes_since_clock = 0;
        is_late(r);
    }
    *out_groups = true;
    r->last_gave_up = r->late;
    if (r->late) return PCRE2_ERROR_CALLOUT;
    int n = pcre2_match(prepare(r, text.n), (PCRE2_SPTR)text.p, text.n, from, 0, r->match, r->limits);
    if (n == PCRE2_ERROR_JIT_STACKLIMIT) n = match_with_stack(r, text, from);
    if (n >= 0 || n == PCRE2_ERROR_NOMATCH) return n;
    if (!r->late) n = match_linear(r, text, from);
    *out_groups = false;
    r->last_gave_up = n < 0 && n != PCRE2_ERROR_NOMATCH;
    r->gave_up |= r->last_gave_up && !r->late;
    return n;
}

/* The same for who needs the groups: a match without them is one that nobody knows. */
static int match_groups(struct regex *r, struct str text, size_t from) {
    bool has_groups;
    int n = match_from(r, text, from, &has_groups);
    if (n < 0 || has_groups) return n;
    r->gave_up = r->last_gave_up = true;
    return PCRE2_ERROR_MATCHLIMIT;
}

bool regex_found(struct regex *r, struct str text) { return match_from(r, text, 0, &(bool){false}) >= 0; }

enum regex_search regex_search(struct regex *r, struct str text, size_t from, struct str *out_part, size_t *out_end) {
    int n = match_groups(r, text, from);
    if (n < 0) return n == PCRE2_ERROR_NOMATCH ? REGEX_NOT_FOUND : REGEX_GAVE_UP;
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(r->match);
    size_t i = n > 1 && at[2] != PCRE2_UNSET ? 2 : 0;
    *out_part = (struct str){text.p + at[i], at[i + 1] - at[i]};
    *out_end = at[1];
    return REGEX_FOUND;
}

size_t regex_groups(struct regex *r, struct str text, struct str *out, size_t max) {
    int n = match_groups(r, text, 0);
    if (n < 1) return 0;
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(r->match);
    size_t kept = MIN((size_t)n, max);
    for (size_t i = 0; i < kept; i++)
        out[i] = at[2 * i] == PCRE2_UNSET ? (struct str){"", 0}
                                          : (struct str){text.p + at[2 * i], at[2 * i + 1] - at[2 * i]};
    return kept;
}

int regex_group_number(const struct regex *r, struct str name) {
    char text[64];
    if (name.n >= sizeof text) return -1;
    memcpy(text, name.p, name.n);
    text[name.n] = 0;
    return pcre2_substring_number_from_name(r->code, (PCRE2_SPTR)text);
}

bool regex_gave_up(const struct regex *r) { return r->gave_up; }
bool regex_last_gave_up(const struct regex *r) { return r->last_gave_up; }
