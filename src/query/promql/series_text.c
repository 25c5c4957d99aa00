#include "query/promql/series_text.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/vec.h"
#include "query/promql/number.h"
#include "query/promql/series_text_priv.h"
#include "query/promql/tree_priv.h"

enum { SERIES_LABELS_MAX = 64, LIST_MAX = 512 };

struct series_values {
    VEC(struct series_value) v;
};

/* ---- words and numbers ------------------------------------------------------------------------------------------- */

struct str series_text_word(struct str *s) {
    *s = str_trim(*s);
    size_t n = 0;
    while (n < s->n && s->p[n] != ' ' && s->p[n] != '\t') n++;
    struct str word = {s->p, n};
    *s = str_trim((struct str){s->p + n, s->n - n});
    return word;
}

bool series_text_number(struct str *s, double *out) {
    size_t n = 0;
    if (n < s->n && strchr("+-", s->p[n])) n++;
    struct str rest = {s->p + n, s->n - n}, word = {rest.p, MIN(rest.n, (size_t)3)};
    if (str_equal_nocase(word, STR("inf")) || str_equal_nocase(word, STR("nan"))) {
        n += 3;
    } else {
        size_t from = n;
        while (n < s->n && (isdigit((unsigned char)s->p[n]) || s->p[n] == '.')) n++;
        if (n == from) return false;
        if (n + 1 < s->n && (s->p[n] | 0x20) == 'e') {
            size_t k = n + 1 + (strchr("+-", s->p[n + 1]) != NULL), digits = k;
            while (k < s->n && isdigit((unsigned char)s->p[k])) k++;
            if (k > digits) n = k;
        }
    }
    if (!parse_promql_number((struct str){s->p, n}, out)) return false;
    *s = (struct str){s->p + n, s->n - n};
    return true;
}

/* x3: digits and nothing else. */
static err take_count(struct str *s, size_t *out) {
    size_t n = 0, i = 1;
    *out = 0;
    if (!s->n || s->p[0] != 'x') return NULL;
    for (; i < s->n && isdigit((unsigned char)s->p[i]); i++)
        n = MIN(n * 10 + (size_t)(s->p[i] - '0'), (size_t)SERIES_TEXT_VALUES_MAX + 1);
    if (i == 1) return err_new(ERR_INVALID, "a repeat without a number");
    if (n > SERIES_TEXT_VALUES_MAX) return err_new(ERR_LIMIT, "over %d values", SERIES_TEXT_VALUES_MAX);
    *s = (struct str){s->p + i, s->n - i};
    *out = n;
    return NULL;
}

/* inf and nan are words, which end where the letters and digits do: infx2 is another. */
static bool runs_on(struct str word, struct str rest) {
    return rest.n && rest.p > word.p && isalpha((unsigned char)rest.p[-1]) && isalnum((unsigned char)rest.p[0]);
}

/* ---- labels ------------------------------------------------------------------------------------------------------ */

static int order_of_labels(const void *x, const void *y) {
    return str_compare(((const struct label *)x)->name, ((const struct label *)y)->name);
}

static err unexpected(const struct token *t) {
    if (t->kind == TOKEN_BAD) return err_new(ERR_INVALID, "parse error: " STR_FMT, STR_ARG(t->text));
    AUTO_BUF struct buf b;
    buf_init(&b, KIB);
    put_token(&b, t);
    return err_new(ERR_INVALID, "parse error: unexpected %s in label matching", b.p ? b.p : "");
}

static err text_of(struct arena *a, const struct token *t, struct str *out) {
    if (t->kind == TOKEN_WORD) {
        *out = arena_copy(a, t->text);
        return arena_err(a);
    }
    if (t->kind != TOKEN_STRING) return unexpected(t);
    const char *wrong = unquote(a, t->text, out);
    return wrong ? err_new(ERR_INVALID, "parse error: %s", wrong) : arena_err(a);
}

/* One of name="value" and "name"; `t` is the token behind it. */
static err take_label(struct arena *a, struct lexer *l, struct token *t, struct label *out, bool *out_any) {
    struct str name, value;
    TRY(text_of(a, t, &name));
    *t = lex(l);
    if (t->kind != TOKEN_ASSIGN) {
        *out = (struct label){METRIC_NAME, name};
        return NULL;
    }
    *t = lex(l);
    TRY(text_of(a, t, &value));
    *out = (struct label){name, value};
    *out_any = value.n > 0;
    *t = lex(l);
    return NULL;
}

/* name{a="b"} in front of *s. */
static err take_labels(struct arena *a, struct str *s, struct labels *out) {
    struct label *v = arena_array(a, struct label, SERIES_LABELS_MAX);
    struct lexer l = {.text = *s};
    uint32_t n = 0;
    size_t name = 0;
    if (!v) return arena_err(a);
    while (name < s->n && (isalnum((unsigned char)s->p[name]) || strchr("_:", s->p[name]))) name++;
    if (name) v[n++] = (struct label){METRIC_NAME, arena_copy(a, (struct str){s->p, name})};
    TRY(arena_err(a));
    size_t blank = name;
    while (blank < s->n && strchr(" \t", s->p[blank])) blank++;
    struct str rest = {s->p + blank, s->n - blank};
    l.at = name;
    if (str_starts_with(rest, STR("{")) && !str_starts_with(rest, STR("{{"))) {
        l.at = blank;
        lex(&l);
        struct token t = lex(&l);
        while (t.kind != TOKEN_RIGHT_BRACE) {
            bool any = true;
            if (n == SERIES_LABELS_MAX) return err_new(ERR_LIMIT, "over %d labels", SERIES_LABELS_MAX);
            TRY(take_label(a, &l, &t, &v[n], &any));
            n += any;
            if (t.kind == TOKEN_COMMA)
                t = lex(&l);
            else if (t.kind != TOKEN_RIGHT_BRACE)
                return unexpected(&t);
        }
    }
    *s = str_trim((struct str){s->p + l.at, s->n - l.at});
    qsort(v, n, sizeof *v, order_of_labels);
    *out = (struct labels){v, n};
    return NULL;
}

/* ---- histograms -------------------------------------------------------------------------------------------------- */

static err take_list(struct str s, double out[LIST_MAX], uint32_t *out_n) {
    *out_n = 0;
    if (s.n && s.p[0] == '[') s = (struct str){s.p + 1, s.n - 1};
    while (str_trim(s).n && str_trim(s).p[0] != ']') {
        s = str_trim(s);
        if (*out_n == LIST_MAX) return err_new(ERR_LIMIT, "over %d buckets", LIST_MAX);
        if (!series_text_number(&s, &out[(*out_n)++])) return err_new(ERR_INVALID, "not a list of numbers");
    }
    return NULL;
}

static err fill_side(struct arena *a, struct native_side *side, int32_t offset, struct str list) {
    double values[LIST_MAX];
    uint32_t n;
    TRY(take_list(list, values, &n));
    side->index = arena_array(a, int32_t, n + 1);
    side->count = arena_array(a, double, n + 1);
    if (!side->index || !side->count) return arena_err(a);
    for (uint32_t i = 0; i < n; i++) {
        side->index[i] = offset + (int32_t)i;
        side->count[i] = values[i];
    }
    side->n = n;
    return NULL;
}

struct native_fields {
    double schema, offset, negative_offset;
    struct str positive, negative;
};

static err take_field(struct arena *a, struct native *h, struct native_fields *f, struct str name, struct str value,
                      double number) {
    double custom[LIST_MAX];
    struct {
        const char *name;
        double *to;
    } numbers[] = {{"schema", &f->schema},           {"sum", &h->sum},       {"count", &h->count},
                   {"z_bucket", &h->zero_count},     {"offset", &f->offset}, {"z_bucket_w", &h->zero_threshold},
                   {"n_offset", &f->negative_offset}};
    for (size_t i = 0; i < LENGTH(numbers); i++) {
        if (!str_equal(name, str_of(numbers[i].name))) continue;
        *numbers[i].to = number;
        return NULL;
    }
    if (str_equal(name, STR("buckets"))) {
        f->positive = value;
    } else if (str_equal(name, STR("n_buckets"))) {
        f->negative = value;
    } else if (str_equal(name, STR("counter_reset_hint"))) {
        h->reset = str_equal(value, STR("gauge"))       ? NATIVE_GAUGE
                   : str_equal(value, STR("reset"))     ? NATIVE_RESET
                   : str_equal(value, STR("not_reset")) ? NATIVE_NOT_RESET
                                                        : NATIVE_RESET_UNKNOWN;
    } else if (str_equal(name, STR("custom_values"))) {
        TRY(take_list(value, custom, &h->custom_n));
        double *kept = arena_array(a, double, h->custom_n + 1);
        if (!kept) return arena_err(a);
        memcpy(kept, custom, sizeof *kept * h->custom_n);
        h->custom = kept;
    } else {
        return err_new(ERR_INVALID, "no such field of a histogram: " STR_FMT, STR_ARG(name));
    }
    return NULL;
}

/* {{schema:0 count:3 buckets:[1 2]}} without its braces. */
static err parse_native(struct arena *a, struct str body, struct native **out) {
    struct native *h = arena_new(a, struct native);
    struct native_fields f = {0};
    if (!h) return arena_err(a);
    while ((body = str_trim(body)).n) {
        struct str name, rest;
        if (!str_cut(body, ':', &name, &rest)) return err_new(ERR_INVALID, "a histogram's field has no value");
        name = str_trim(name);
        rest = str_trim(rest);
        size_t n = 0;
        bool list = rest.n && rest.p[0] == '[';
        while (n < rest.n && (list ? rest.p[n] != ']' : rest.p[n] != ' ')) n++;
        struct str value = {rest.p, MIN(n + list, rest.n)}, digits = value;
        double number = 0;
        body = (struct str){rest.p + value.n, rest.n - value.n};
        if (!list) series_text_number(&digits, &number);
        TRY(take_field(a, h, &f, name, value, number));
    }
    h->schema = (int32_t)f.schema;
    TRY(fill_side(a, &h->positive, (int32_t)f.offset, f.positive));
    TRY(fill_side(a, &h->negative, (int32_t)f.negative_offset, f.negative));
    if (native_fault(h)) return err_new(ERR_INVALID, "%s", native_fault(h));
    *out = h;
    return NULL;
}

static err take_braces(struct str *s, struct str *out) {
    size_t end = 2;
    while (end + 1 < s->n && !(s->p[end] == '}' && s->p[end + 1] == '}')) end++;
    if (end + 1 >= s->n) return err_new(ERR_INVALID, "a histogram has no end");
    *out = (struct str){s->p + 2, end - 2};
    *s = (struct str){s->p + end + 2, s->n - end - 2};
    return NULL;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static err push(struct series_values *out, struct series_value v) {
    if (out->v.n >= SERIES_TEXT_VALUES_MAX) return err_new(ERR_LIMIT, "over %d values", SERIES_TEXT_VALUES_MAX);
    *vec_push(&out->v) = v;
    return NULL;
}

static err take_natives(struct arena *a, struct str *s, struct series_values *out) {
    struct native *h, *step = NULL;
    struct str body;
    double sign = 1;
    size_t repeat;
    TRY(take_braces(s, &body));
    TRY(parse_native(a, body, &h));
    if (s->n > 2 && strchr("+-", s->p[0]) && s->p[1] == '{') {
        sign = s->p[0] == '-' ? -1 : 1;
        *s = (struct str){s->p + 1, s->n - 1};
        TRY(take_braces(s, &body));
        TRY(parse_native(a, body, &step));
    }
    TRY(take_count(s, &repeat));
    TRY(push(out, (struct series_value){.histogram = h}));
    for (size_t i = 0; i < repeat; i++) {
        h = native_copy(a, h);
        if (!h) return arena_err(a);
        enum native_added added = step ? native_add(a, h, step, sign) : NATIVE_ADDED;
        if (added == NATIVE_NO_MEMORY) return arena_err(a);
        if (added != NATIVE_ADDED) return err_new(ERR_INVALID, "histograms that cannot be added");
        TRY(push(out, (struct series_value){.histogram = h}));
    }
    return NULL;
}

static err take_gap(struct str rest, struct series_values *out) {
    size_t n = 1;
    if (rest.n) TRY(take_count(&rest, &n));
    for (size_t i = 0; i < n; i++) TRY(push(out, (struct series_value){.omitted = true}));
    return rest.n ? err_new(ERR_INVALID, "not a value: _" STR_FMT, STR_ARG(rest)) : NULL;
}

static err take_floats(struct str *s, struct series_values *out) {
    struct str word = series_text_word(s), rest = word;
    if (word.p[0] == '_') return take_gap((struct str){word.p + 1, word.n - 1}, out);
    double v, step = 0;
    int64_t ms;
    size_t repeat = 0;
    bool steps = false;
    if (str_equal(word, STR("stale"))) {
        uint64_t bits = PROMQL_STALE;
        memcpy(&v, &bits, sizeof v);
        rest = (struct str){word.p + 5, word.n - 5};
    } else if (parse_promql_duration(word, &ms)) {
        return push(out, (struct series_value){.number = (double)ms / 1000});
    } else if (!series_text_number(&rest, &v)) {
        return err_new(ERR_INVALID, "not a value: " STR_FMT, STR_ARG(word));
    }
    bool good = !runs_on(word, rest);
    if (rest.n && strchr("+-", rest.p[0])) steps = series_text_number(&rest, &step);
    good &= !steps || (rest.n && rest.p[0] == 'x' && !runs_on(word, rest));
    if (good) TRY(take_count(&rest, &repeat));
    if (rest.n || !good) return err_new(ERR_INVALID, "not a value: " STR_FMT, STR_ARG(word));
    TRY(push(out, (struct series_value){.number = v}));
    for (size_t i = 0; i < repeat; i++) {
        if (step != 0) v += step;
        TRY(push(out, (struct series_value){.number = v}));
    }
    return NULL;
}

err series_values_parse(struct arena *a, struct str text, struct series_text *out) {
    struct series_values values = {0};
    err e = NULL;
    while (!e && (text = str_trim(text)).n)
        e = str_starts_with(text, STR("{{")) ? take_natives(a, &text, &values) : take_floats(&text, &values);
    if (!e) out->values = arena_array(a, struct series_value, values.v.n + 1);
    if (!e) e = arena_err(a);
    if (!e && values.v.n) memcpy(out->values, values.v.v, values.v.n * sizeof *out->values);
    if (!e) out->n = values.v.n;
    vec_done(&values.v);
    return e;
}

err series_text_parse(struct arena *a, struct str text, struct series_text *out) {
    *out = (struct series_text){0};
    TRY(take_labels(a, &text, &out->labels));
    return series_values_parse(a, text, out);
}

err series_labels_parse(struct arena *a, struct str text, struct labels *out) {
    TRY(take_labels(a, &text, out));
    return text.n ? err_new(ERR_INVALID, "parse error: unexpected \"" STR_FMT "\"", STR_ARG(text)) : NULL;
}
