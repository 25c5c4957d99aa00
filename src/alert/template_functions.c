/* Functions of templates: those of text/template, and those of Prometheus. */
#include "alert/template_priv.h"

#include <math.h>
#include <stdlib.h>

#include "base/text.h"
#include "query/promql/number.h"
#include "store/match/regex.h"

enum { STEP_BYTES = 256 };

/* ---- arguments --------------------------------------------------------------------------------------------------- */

static err wrong_type(const char *wanted, const struct value *v) {
    return err_new(ERR_INVALID, "wrong type for value; expected %s; got %s", wanted, value_type(v));
}

static err want_text(const struct value *v, struct str *out) {
    if (v->kind != VALUE_STRING) return wrong_type("string", v);
    *out = v->text;
    return NULL;
}

/* A number, or a text that is one. */
static err want_number(const struct value *v, double *out) {
    if (v->kind == VALUE_FLOAT) return *out = v->number, NULL;
    if (v->kind == VALUE_INT) return *out = (double)v->integer, NULL;
    if (v->kind != VALUE_STRING) return err_new(ERR_INVALID, "can't convert %s to float", value_type(v));
    if (parse_promql_number(v->text, out)) return NULL;
    return err_new(ERR_INVALID, "strconv.ParseFloat: parsing \"" STR_FMT "\": invalid syntax", STR_ARG(v->text));
}

/* What a buf holds becomes a value of the arena; ends the buf. Long texts cost more than one step. */
static err give_text(struct run *r, struct buf *b, struct value *out) {
    bool full = b->full;
    r->steps += (uint32_t)(b->n / STEP_BYTES);
    struct str kept = arena_copy(r->a, b->n ? buf_str(b) : STR(""));
    buf_done(b);
    if (full) return err_new(ERR_LIMIT, "over %d bytes of text", TEMPLATE_OUT_MAX);
    if (!kept.p) return arena_err(r->a);
    *out = value_string(kept);
    return NULL;
}

static struct buf new_text(void) {
    struct buf b;
    buf_init(&b, TEMPLATE_OUT_MAX);
    return b;
}

/* ---- of text/template -------------------------------------------------------------------------------------------- */

static err call_not(struct run *r, const struct value *v, size_t n, struct value *out) {
    (void)r, (void)n;
    *out = value_bool(!value_is_true(v));
    return NULL;
}

/* Months and days of the week are numbers. */
static enum value_kind basic_kind(const struct value *v) {
    return v->kind == VALUE_MONTH || v->kind == VALUE_WEEKDAY ? VALUE_INT : v->kind;
}

/* -1, 0, 1, and 2 where NaN is in it. */
static err compare(const struct value *a, const struct value *b, int *out) {
    if (a->kind != b->kind && (a->kind == VALUE_NIL || b->kind == VALUE_NIL)) return *out = 2, NULL;
    if (basic_kind(a) != basic_kind(b)) return err_new(ERR_INVALID, "incompatible types for comparison");
    switch (basic_kind(a)) {
    case VALUE_INT: *out = (a->integer > b->integer) - (a->integer < b->integer); return NULL;
    case VALUE_FLOAT:
        *out = isnan(a->number) || isnan(b->number) ? 2 : (a->number > b->number) - (a->number < b->number);
        return NULL;
    case VALUE_STRING: *out = str_compare(a->text, b->text); return NULL;
    case VALUE_BOOL: *out = a->boolean != b->boolean; return NULL;
    case VALUE_NIL: *out = 0; return NULL;
    case VALUE_LABELS:
    case VALUE_SAMPLE:
    case VALUE_SAMPLES:
    case VALUE_ARGS:
    case VALUE_TIME:
    case VALUE_MONTH:
    case VALUE_WEEKDAY:
    case VALUE_ROOT: break;
    }
    return err_new(ERR_INVALID, "invalid type for comparison");
}

static err call_eq(struct run *r, const struct value *v, size_t n, struct value *out) {
    int order;
    (void)r;
    *out = value_bool(false);
    for (size_t i = 1; i < n && !out->boolean; i++) {
        TRY(compare(&v[0], &v[i], &order));
        out->boolean = order == 0;
    }
    return NULL;
}

static err ordered(const struct value *v, int *out) {
    if (v[0].kind == VALUE_BOOL || v[0].kind == VALUE_NIL || v[1].kind == VALUE_NIL)
        return err_new(ERR_INVALID, "invalid type for comparison");
    return compare(&v[0], &v[1], out);
}

static err call_ne(struct run *r, const struct value *v, size_t n, struct value *out) {
    int order = 0;
    (void)r, (void)n;
    TRY(compare(&v[0], &v[1], &order));
    *out = value_bool(order != 0);
    return NULL;
}
static err call_lt(struct run *r, const struct value *v, size_t n, struct value *out) {
    int order = 0;
    (void)r, (void)n;
    TRY(ordered(v, &order));
    *out = value_bool(order < 0);
    return NULL;
}
static err call_le(struct run *r, const struct value *v, size_t n, struct value *out) {
    int order = 0;
    (void)r, (void)n;
    TRY(ordered(v, &order));
    *out = value_bool(order <= 0);
    return NULL;
}
static err call_gt(struct run *r, const struct value *v, size_t n, struct value *out) {
    int order = 0;
    (void)r, (void)n;
    TRY(ordered(v, &order));
    *out = value_bool(order > 0 && order != 2);
    return NULL;
}
static err call_ge(struct run *r, const struct value *v, size_t n, struct value *out) {
    int order = 0;
    (void)r, (void)n;
    TRY(ordered(v, &order));
    *out = value_bool(order >= 0 && order != 2);
    return NULL;
}

static err call_len(struct run *r, const struct value *v, size_t n, struct value *out) {
    (void)r, (void)n;
    if (v->kind == VALUE_STRING)
        *out = value_int((int64_t)v->text.n);
    else if (v->kind == VALUE_LABELS)
        *out = value_int(v->labels.n);
    else if (v->kind == VALUE_SAMPLES || v->kind == VALUE_ARGS)
        *out = value_int((int64_t)v->n);
    else
        return err_new(ERR_INVALID, "len of type %s", value_type(v));
    return NULL;
}

static err index_one(const struct value *v, const struct value *key, struct value *out) {
    if (v->kind == VALUE_LABELS) {
        if (key->kind != VALUE_STRING)
            return err_new(ERR_INVALID, "value has type %s; should be string", value_type(key));
        *out = value_string(label_set_get(v->labels, key->text));
        return NULL;
    }
    if (v->kind == VALUE_ARGS && key->kind == VALUE_STRING) {
        *out = value_argument(v, key->text);
        return NULL;
    }
    bool is_text = v->kind == VALUE_STRING;
    if (v->kind == VALUE_NIL) return err_new(ERR_INVALID, "index of untyped nil");
    if (v->kind != VALUE_SAMPLES && !is_text) return err_new(ERR_INVALID, "can't index item of type %s", value_type(v));
    if (key->kind != VALUE_INT) return err_new(ERR_INVALID, "cannot index slice/array with type %s", value_type(key));
    if (key->integer < 0 || (uint64_t)key->integer >= (is_text ? v->text.n : v->n))
        return err_new(ERR_INVALID, "index out of range: %lld", (long long)key->integer);
    *out = is_text ? value_int((unsigned char)v->text.p[key->integer])
                   : (struct value){.kind = VALUE_SAMPLE, .samples = &v->samples[key->integer]};
    return NULL;
}

static err call_index(struct run *r, const struct value *v, size_t n, struct value *out) {
    struct value now = v[0], next;
    (void)r;
    for (size_t i = 1; i < n; i++) {
        TRY(index_one(&now, &v[i], &next));
        now = next;
    }
    *out = now;
    return NULL;
}

static err slice_bound(const struct value *v, size_t limit, size_t *out) {
    if (v->kind != VALUE_INT) return err_new(ERR_INVALID, "cannot index slice/array with type %s", value_type(v));
    if (v->integer < 0 || (uint64_t)v->integer > limit)
        return err_new(ERR_INVALID, "index out of range: %lld", (long long)v->integer);
    *out = (size_t)v->integer;
    return NULL;
}

/* slice x from to capacity: the last is looked at and changes nothing here. */
static err call_slice(struct run *r, const struct value *v, size_t n, struct value *out) {
    bool is_text = v->kind == VALUE_STRING;
    size_t size = is_text ? v->text.n : v->n, bounds[] = {0, size, size};
    (void)r;
    if (v->kind == VALUE_NIL) return err_new(ERR_INVALID, "slice of untyped nil");
    if (!is_text && v->kind != VALUE_SAMPLES) return err_new(ERR_INVALID, "can't slice item of type %s", value_type(v));
    if (is_text && n == 4) return err_new(ERR_INVALID, "cannot 3-index slice a string");
    for (size_t i = 1; i < n; i++) TRY(slice_bound(&v[i], size, &bounds[i - 1]));
    for (size_t i = 0; i < 2; i++)
        if (bounds[i] > bounds[i + 1])
            return err_new(ERR_INVALID, "invalid slice index: %zu > %zu", bounds[i], bounds[i + 1]);
    *out = *v;
    if (is_text)
        out->text = (struct str){v->text.p + bounds[0], bounds[1] - bounds[0]};
    else
        out->samples += bounds[0], out->n = bounds[1] - bounds[0];
    return NULL;
}

/* No value of a template is a function. */
static err call_call(struct run *r, const struct value *v, size_t n, struct value *out) {
    (void)r, (void)n, (void)out;
    if (v->kind == VALUE_NIL) return err_new(ERR_INVALID, "call of nil");
    return err_new(ERR_INVALID, "non-function of type %s", value_type(v));
}

static err print_all(struct run *r, const struct value *v, size_t n, bool line, struct value *out) {
    struct buf b = new_text();
    for (size_t i = 0; i < n; i++) {
        bool texts = i && (v[i - 1].kind == VALUE_STRING || v[i].kind == VALUE_STRING);
        if (i && (line || !texts)) buf_add_byte(&b, ' ');
        value_print(&v[i], &b);
    }
    if (line) buf_add_byte(&b, '\n');
    return give_text(r, &b, out);
}
static err call_print(struct run *r, const struct value *v, size_t n, struct value *out) {
    return print_all(r, v, n, false, out);
}
static err call_println(struct run *r, const struct value *v, size_t n, struct value *out) {
    return print_all(r, v, n, true, out);
}
static err call_printf(struct run *r, const struct value *v, size_t n, struct value *out) {
    struct buf b = new_text();
    err e = template_format(r, v, n, &b);
    if (!e) return give_text(r, &b, out);
    buf_done(&b);
    return e;
}

static void put_query_escaped(struct buf *b, struct str s) {
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || (c && strchr("-_.~", c));
        if (plain)
            buf_add_byte(b, (char)c);
        else if (c == ' ')
            buf_add_byte(b, '+');
        else
            buf_add_fmt(b, "%%%02X", c);
    }
}

static void put_html(struct buf *b, struct str s) {
    static const struct {
        char c;
        const char *text;
    } rows[] = {{'"', "&#34;"}, {'\'', "&#39;"}, {'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {0, "\uFFFD"}};
    for (size_t i = 0; i < s.n; i++) {
        const char *by = NULL;
        for (size_t k = 0; k < LENGTH(rows); k++)
            if (s.p[i] == rows[k].c) by = rows[k].text;
        if (by)
            buf_add_text(b, by);
        else
            buf_add_byte(b, s.p[i]);
    }
}

static void put_script(struct buf *b, struct str s) {
    uint32_t c;
    for (size_t i = 0; i < s.n;) {
        size_t n = rune_read(s, i, &c);
        if (c && c < 0x80 && strchr("\\'\"", (int)c))
            buf_add_byte(b, '\\'), buf_add_byte(b, (char)c);
        else if (c < ' ' || (c < 0x80 && strchr("<>&=", (int)c)) || !rune_prints(c))
            buf_add_fmt(b, "\\u%04X", c);
        else
            buf_add(b, s.p + i, n);
        i += n;
    }
}

/* What print would say, with another way of writing characters. */
static err escaped(struct run *r, const struct value *v, size_t n, void (*put)(struct buf *b, struct str s),
                   struct value *out) {
    struct value text;
    struct buf b = new_text();
    err e = print_all(r, v, n, false, &text);
    if (!e) put(&b, text.text);
    if (!e) return give_text(r, &b, out);
    buf_done(&b);
    return e;
}
static err call_urlquery(struct run *r, const struct value *v, size_t n, struct value *out) {
    return escaped(r, v, n, put_query_escaped, out);
}
static err call_html(struct run *r, const struct value *v, size_t n, struct value *out) {
    return escaped(r, v, n, put_html, out);
}
static err call_js(struct run *r, const struct value *v, size_t n, struct value *out) {
    return escaped(r, v, n, put_script, out);
}

/* ---- rows of queries --------------------------------------------------------------------------------------------- */

static err call_query(struct run *r, const struct value *v, size_t n, struct value *out) {
    struct str text;
    struct template_sample *samples = NULL;
    size_t sample_n = 0;
    (void)n;
    TRY(want_text(v, &text));
    if (!r->data->query) return err_new(ERR_INVALID, "there is nothing to ask");
    if (++r->queries > TEMPLATE_QUERIES_MAX) return err_new(ERR_LIMIT, "over %d queries", TEMPLATE_QUERIES_MAX);
    TRY(r->data->query(r->data->context, text, r->a, &samples, &sample_n));
    *out = (struct value){.kind = VALUE_SAMPLES, .samples = samples, .n = sample_n};
    return NULL;
}

static err call_first(struct run *r, const struct value *v, size_t n, struct value *out) {
    (void)r, (void)n;
    if (v->kind != VALUE_SAMPLES) return wrong_type("template.queryResult", v);
    if (!v->n) return err_new(ERR_INVALID, "first() called on vector with no elements");
    *out = (struct value){.kind = VALUE_SAMPLE, .samples = v->samples};
    return NULL;
}

static err call_label(struct run *r, const struct value *v, size_t n, struct value *out) {
    struct str name;
    (void)r, (void)n;
    TRY(want_text(&v[0], &name));
    if (v[1].kind != VALUE_SAMPLE) return wrong_type("*template.sample", &v[1]);
    *out = value_string(label_set_get(v[1].samples->labels, name));
    return NULL;
}

static err call_value(struct run *r, const struct value *v, size_t n, struct value *out) {
    (void)r, (void)n;
    if (v->kind != VALUE_SAMPLE) return wrong_type("*template.sample", v);
    *out = value_float(v->samples->value);
    return NULL;
}

static err call_strvalue(struct run *r, const struct value *v, size_t n, struct value *out) {
    (void)r, (void)n;
    if (v->kind != VALUE_SAMPLE) return wrong_type("*template.sample", v);
    *out = value_string(label_set_get(v->samples->labels, STR("__value__")));
    return NULL;
}

struct sort_key {
    struct str text;
    size_t place;
};
static int by_key(const void *x, const void *y) {
    const struct sort_key *a = x, *b = y;
    int order = str_compare(a->text, b->text);
    return order ? order : (a->place > b->place) - (a->place < b->place);
}

static err call_sort(struct run *r, const struct value *v, size_t n, struct value *out) {
    struct str name;
    (void)n;
    TRY(want_text(&v[0], &name));
    if (v[1].kind != VALUE_SAMPLES) return wrong_type("template.queryResult", &v[1]);
    struct sort_key *keys = arena_array(r->a, struct sort_key, v[1].n + 1);
    struct template_sample *sorted = arena_array(r->a, struct template_sample, v[1].n + 1);
    if (!keys || !sorted) return arena_err(r->a);
    for (size_t i = 0; i < v[1].n; i++) keys[i] = (struct sort_key){label_set_get(v[1].samples[i].labels, name), i};
    qsort(keys, v[1].n, sizeof *keys, by_key);
    for (size_t i = 0; i < v[1].n; i++) sorted[i] = v[1].samples[keys[i].place];
    *out = (struct value){.kind = VALUE_SAMPLES, .samples = sorted, .n = v[1].n};
    return NULL;
}

static err call_args(struct run *r, const struct value *v, size_t n, struct value *out) {
    struct value *kept = arena_array(r->a, struct value, n + 1);
    if (!kept) return arena_err(r->a);
    if (n) memcpy(kept, v, n * sizeof *kept);
    *out = (struct value){.kind = VALUE_ARGS, .args = kept, .n = n};
    return NULL;
}

/* ---- numbers for people ------------------------------------------------------------------------------------------ */

/* %.4g as Go writes it. */
static void put_four(struct buf *b, double v) {
    if (isnan(v))
        buf_add_text(b, "NaN");
    else if (isinf(v))
        buf_add_text(b, v > 0 ? "+Inf" : "-Inf");
    else
        buf_add_fmt(b, "%.4g", v);
}

static const char *scale_up(double *v, double step, const char *const *prefixes) {
    const char *prefix = "";
    for (; *prefixes && fabs(*v) >= step; prefixes++) {
        prefix = *prefixes;
        *v /= step;
    }
    return prefix;
}
static const char *scale_down(double *v) {
    static const char *const prefixes[] = {"m", "u", "n", "p", "f", "a", "z", "y"};
    const char *prefix = "";
    for (size_t i = 0; i < LENGTH(prefixes) && fabs(*v) < 1; i++) {
        prefix = prefixes[i];
        *v *= 1000;
    }
    return prefix;
}

static err call_humanize(struct run *r, const struct value *v, size_t n, struct value *out) {
    static const char *const prefixes[] = {"k", "M", "G", "T", "P", "E", "Z", "Y", NULL};
    struct buf b = new_text();
    double x;
    const char *prefix = "";
    (void)n;
    TRY(want_number(v, &x));
    if (x != 0 && isfinite(x)) prefix = fabs(x) >= 1 ? scale_up(&x, 1000, prefixes) : scale_down(&x);
    put_four(&b, x);
    buf_add_text(&b, prefix);
    return give_text(r, &b, out);
}

static err call_humanize1024(struct run *r, const struct value *v, size_t n, struct value *out) {
    static const char *const prefixes[] = {"ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi", NULL};
    struct buf b = new_text();
    double x;
    const char *prefix = "";
    (void)n;
    TRY(want_number(v, &x));
    if (fabs(x) > 1 && isfinite(x)) prefix = scale_up(&x, 1024, prefixes);
    put_four(&b, x);
    buf_add_text(&b, prefix);
    return give_text(r, &b, out);
}

static void put_long_duration(struct buf *b, double x) {
    if (x < 0) buf_add_byte(b, '-');
    x = fabs(x);
    int64_t all = x > 9e18 ? INT64_MAX : (int64_t)x;
    int64_t seconds = all % 60, minutes = all / 60 % 60, hours = all / 3600 % 24, days = all / 86400;
    if (days) buf_add_fmt(b, "%lldd ", (long long)days);
    if (days || hours) buf_add_fmt(b, "%lldh ", (long long)hours);
    if (days || hours || minutes) {
        buf_add_fmt(b, "%lldm %llds", (long long)minutes, (long long)seconds);
        return;
    }
    put_four(b, x);
    buf_add_byte(b, 's');
}

static err call_humanize_duration(struct run *r, const struct value *v, size_t n, struct value *out) {
    struct buf b = new_text();
    double x;
    (void)n;
    TRY(want_number(v, &x));
    if (!isfinite(x)) {
        put_four(&b, x);
    } else if (fabs(x) >= 1) {
        put_long_duration(&b, x);
    } else {
        const char *prefix = x == 0 ? "" : scale_down(&x);
        put_four(&b, x);
        buf_add_fmt(&b, "%ss", prefix);
    }
    return give_text(r, &b, out);
}

static err call_humanize_percentage(struct run *r, const struct value *v, size_t n, struct value *out) {
    struct buf b = new_text();
    double x;
    (void)n;
    TRY(want_number(v, &x));
    put_four(&b, x * 100);
    buf_add_byte(&b, '%');
    return give_text(r, &b, out);
}

static err to_time(double seconds, struct value *out) {
    double ns = seconds * 1e9;
    AUTO_BUF struct buf text;
    buf_init(&text, 64);
    put_go_general(&text, seconds);
    if (!(ns < 9.2233720368547758e18 && ns > -9.2233720368547758e18))
        return err_new(ERR_INVALID, "%s cannot be represented as a nanoseconds timestamp since it overflows int64",
                       text.p);
    *out = (struct value){.kind = VALUE_TIME, .integer = (int64_t)ns / 1000000 * 1000000};
    return NULL;
}

static err call_humanize_timestamp(struct run *r, const struct value *v, size_t n, struct value *out) {
    struct buf b = new_text();
    struct value time;
    double x;
    (void)n;
    TRY(want_number(v, &x));
    if (!isfinite(x)) {
        put_four(&b, x);
    } else {
        TRY(to_time(x, &time));
        value_print(&time, &b);
    }
    return give_text(r, &b, out);
}

static err call_to_time(struct run *r, const struct value *v, size_t n, struct value *out) {
    double x;
    (void)r, (void)n;
    TRY(want_number(v, &x));
    if (!isfinite(x)) {
        *out = (struct value){0};
        return NULL;
    }
    return to_time(x, out);
}

static err call_parse_duration(struct run *r, const struct value *v, size_t n, struct value *out) {
    struct str text;
    int64_t ms;
    (void)r, (void)n;
    TRY(want_text(v, &text));
    bool negative = text.n && text.p[0] == '-';
    struct str digits = negative ? (struct str){text.p + 1, text.n - 1} : text;
    if (str_equal(digits, STR("0")))
        ms = 0;
    else if (!parse_promql_duration(digits, &ms))
        return err_new(ERR_INVALID, "not a valid duration string: \"" STR_FMT "\"", STR_ARG(text));
    *out = value_float((double)(negative ? -ms : ms) / 1000);
    return NULL;
}

/* ---- texts ------------------------------------------------------------------------------------------------------- */

static err change_case(struct run *r, const struct value *v, uint32_t (*change)(uint32_t c), bool first_only,
                       struct value *out) {
    struct str text;
    struct buf b = new_text();
    bool in_word = false;
    uint32_t c;
    TRY(want_text(v, &text));
    for (size_t i = 0; i < text.n;) {
        i += rune_read(text, i, &c);
        put_rune(&b, first_only && in_word ? c : change(c));
        in_word = c >= 0x80 || word_char((unsigned char)c) || (in_word && c == '\'');
    }
    return give_text(r, &b, out);
}
static err call_title(struct run *r, const struct value *v, size_t n, struct value *out) {
    (void)n;
    return change_case(r, v, rune_title, true, out);
}
static err call_to_upper(struct run *r, const struct value *v, size_t n, struct value *out) {
    (void)n;
    return change_case(r, v, rune_upper, false, out);
}
static err call_to_lower(struct run *r, const struct value *v, size_t n, struct value *out) {
    (void)n;
    return change_case(r, v, rune_lower, false, out);
}

static err call_same(struct run *r, const struct value *v, size_t n, struct value *out) {
    struct str text;
    (void)r, (void)n;
    TRY(want_text(v, &text));
    *out = value_string(text);
    return NULL;
}

static err call_match(struct run *r, const struct value *v, size_t n, struct value *out) {
    struct str pattern, text;
    struct regex *x;
    (void)r, (void)n;
    TRY(want_text(&v[0], &pattern));
    TRY(want_text(&v[1], &text));
    TRY(regex_compile(pattern, &x));
    *out = value_bool(regex_found(x, text));
    bool gave_up = regex_gave_up(x);
    regex_free(x);
    return gave_up ? err_new(ERR_LIMIT, "the expression takes too long") : NULL;
}

/* $1, $name, ${name}; $$ is $. */
static void put_replacement(struct buf *b, struct regex *x, struct str by, const struct str *groups, size_t group_n) {
    for (size_t i = 0; i < by.n; i++) {
        if (by.p[i] != '$' || i + 1 >= by.n) {
            buf_add_byte(b, by.p[i]);
            continue;
        }
        if (by.p[i + 1] == '$') {
            buf_add_byte(b, by.p[++i]);
            continue;
        }
        bool braces = by.p[i + 1] == '{';
        size_t start = i + 1 + braces, end = start;
        while (end < by.n && word_char((unsigned char)by.p[end])) end++;
        if (end == start || (braces && (end >= by.n || by.p[end] != '}'))) {
            buf_add_byte(b, '$');
            continue;
        }
        struct str name = {by.p + start, end - start};
        uint64_t number = 0;
        err e = parse_u64(name, &number);
        int group = e ? regex_group_number(x, name) : number < 100 ? (int)number : -1;
        err_free(e);
        if (group >= 0 && (size_t)group < group_n) buf_add_str(b, groups[group]);
        i = end - !braces;
    }
}

/* The pattern as one group, so that a search says where a match begins. */
static err compile_grouped(struct str pattern, struct regex **out) {
    AUTO_BUF struct buf grouped;
    buf_init(&grouped, 8 * KIB);
    buf_add_fmt(&grouped, "(" STR_FMT ")", STR_ARG(pattern));
    return regex_compile(buf_str(&grouped), out);
}

static err replace_all(struct run *r, struct regex *whole, struct regex *x, struct str by, struct str text,
                       struct buf *b) {
    struct str part, groups[32];
    size_t at = 0, end = 0, copied = 0;
    while (at <= text.n) {
        enum regex_search found = regex_search(whole, text, at, &part, &end);
        if (found == REGEX_GAVE_UP) return err_new(ERR_LIMIT, "the expression takes too long");
        if (found == REGEX_NOT_FOUND) break;
        size_t start = part.p ? (size_t)(part.p - text.p) : end;
        buf_add(b, text.p + copied, start - copied);
        size_t n = regex_groups(x, (struct str){text.p + start, text.n - start}, groups, LENGTH(groups));
        if (regex_last_gave_up(x)) return err_new(ERR_LIMIT, "the expression takes too long");
        put_replacement(b, x, by, groups, n);
        copied = end;
        at = end > start ? end : end + 1;
        if (++r->steps > TEMPLATE_STEPS_MAX || b->full) return err_new(ERR_LIMIT, "over %d steps", TEMPLATE_STEPS_MAX);
    }
    buf_add(b, text.p + copied, text.n - copied);
    return NULL;
}

static err call_replace(struct run *r, const struct value *v, size_t n, struct value *out) {
    struct str pattern, by, text;
    struct regex *whole = NULL, *x = NULL;
    (void)n;
    TRY(want_text(&v[0], &pattern));
    TRY(want_text(&v[1], &by));
    TRY(want_text(&v[2], &text));
    struct buf b = new_text();
    err e = regex_compile(pattern, &x);
    if (!e) e = compile_grouped(pattern, &whole);
    if (!e) e = replace_all(r, whole, x, by, text, &b);
    regex_free(whole);
    regex_free(x);
    if (!e) return give_text(r, &b, out);
    buf_done(&b);
    return e;
}

/* ---- places ------------------------------------------------------------------------------------------------------ */

static err link_to(struct run *r, const struct value *v, const char *tab, struct value *out) {
    struct str text;
    struct buf b = new_text();
    TRY(want_text(v, &text));
    buf_add_text(&b, "/graph?g0.expr=");
    put_query_escaped(&b, text);
    buf_add_fmt(&b, "&g0.tab=%s", tab);
    return give_text(r, &b, out);
}
static err call_graph_link(struct run *r, const struct value *v, size_t n, struct value *out) {
    (void)n;
    return link_to(r, v, "0", out);
}
static err call_table_link(struct run *r, const struct value *v, size_t n, struct value *out) {
    (void)n;
    return link_to(r, v, "1", out);
}

/* host:port, [address]:port; false: it is not that. */
static bool split_port(struct str text, struct str *host, struct str *port) {
    size_t i = text.n;
    while (i && text.p[i - 1] != ':') i--;
    if (!i) return false;
    *host = (struct str){text.p, i - 1};
    *port = (struct str){text.p + i, text.n - i};
    bool brackets = host->n >= 2 && host->p[0] == '[' && host->p[host->n - 1] == ']';
    if (!brackets) return str_find(*host, ':') < 0;
    *host = (struct str){host->p + 1, host->n - 2};
    return true;
}

static bool is_address(struct str host) {
    int dots = 0;
    for (size_t i = 0; i < host.n; i++) {
        dots += host.p[i] == '.';
        if (host.p[i] == ':') return true;
        if (host.p[i] != '.' && (host.p[i] < '0' || host.p[i] > '9')) return false;
    }
    return dots == 3;
}

static err call_strip_port(struct run *r, const struct value *v, size_t n, struct value *out) {
    struct str text, host, port;
    (void)r, (void)n;
    TRY(want_text(v, &text));
    *out = value_string(split_port(text, &host, &port) ? host : text);
    return NULL;
}

static err call_strip_domain(struct run *r, const struct value *v, size_t n, struct value *out) {
    struct str text, host, port, first, rest;
    (void)n;
    TRY(want_text(v, &text));
    bool has_port = split_port(text, &host, &port);
    if (!has_port) host = text;
    if (is_address(host)) return *out = value_string(text), NULL;
    str_cut(host, '.', &first, &rest);
    struct buf b = new_text();
    buf_add_str(&b, first);
    if (has_port) buf_add_fmt(&b, ":" STR_FMT, STR_ARG(port));
    return give_text(r, &b, out);
}

static err call_external_url(struct run *r, const struct value *v, size_t n, struct value *out) {
    (void)v, (void)n;
    *out = value_string(r->data->external_url);
    return NULL;
}

static err call_path_prefix(struct run *r, const struct value *v, size_t n, struct value *out) {
    struct str url = r->data->external_url;
    (void)v, (void)n;
    ptrdiff_t scheme = str_find(url, ':');
    if (scheme >= 0 && str_starts_with((struct str){url.p + scheme, url.n - (size_t)scheme}, STR("://"))) {
        url = (struct str){url.p + scheme + 3, url.n - (size_t)scheme - 3};
        ptrdiff_t slash = str_find(url, '/');
        url = slash < 0 ? STR("") : (struct str){url.p + slash, url.n - (size_t)slash};
    }
    *out = value_string(url);
    return NULL;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static const struct template_function functions[] = {
    {"and", 1, -1, NULL}, /* these two look at no more arguments than they need */
    {"or", 1, -1, NULL},
    {"not", 1, 1, call_not},
    {"eq", 2, -1, call_eq},
    {"ne", 2, 2, call_ne},
    {"lt", 2, 2, call_lt},
    {"le", 2, 2, call_le},
    {"gt", 2, 2, call_gt},
    {"ge", 2, 2, call_ge},
    {"len", 1, 1, call_len},
    {"index", 1, -1, call_index},
    {"print", 0, -1, call_print},
    {"println", 0, -1, call_println},
    {"printf", 1, -1, call_printf},
    {"urlquery", 0, -1, call_urlquery},
    {"html", 0, -1, call_html},
    {"js", 0, -1, call_js},
    {"slice", 1, 4, call_slice},
    {"call", 1, -1, call_call},
    {"query", 1, 1, call_query},
    {"first", 1, 1, call_first},
    {"label", 2, 2, call_label},
    {"value", 1, 1, call_value},
    {"strvalue", 1, 1, call_strvalue},
    {"sortByLabel", 2, 2, call_sort},
    {"args", 0, -1, call_args},
    {"humanize", 1, 1, call_humanize},
    {"humanize1024", 1, 1, call_humanize1024},
    {"humanizeDuration", 1, 1, call_humanize_duration},
    {"humanizePercentage", 1, 1, call_humanize_percentage},
    {"humanizeTimestamp", 1, 1, call_humanize_timestamp},
    {"toTime", 1, 1, call_to_time},
    {"parseDuration", 1, 1, call_parse_duration},
    {"title", 1, 1, call_title},
    {"toUpper", 1, 1, call_to_upper},
    {"toLower", 1, 1, call_to_lower},
    {"safeHtml", 1, 1, call_same},
    {"match", 2, 2, call_match},
    {"reReplaceAll", 3, 3, call_replace},
    {"graphLink", 1, 1, call_graph_link},
    {"tableLink", 1, 1, call_table_link},
    {"stripPort", 1, 1, call_strip_port},
    {"stripDomain", 1, 1, call_strip_domain},
    {"externalURL", 0, 0, call_external_url},
    {"pathPrefix", 0, 0, call_path_prefix},
};

const struct template_function *template_function(struct str name) {
    for (size_t i = 0; i < LENGTH(functions); i++)
        if (str_equal(name, str_of(functions[i].name))) return &functions[i];
    return NULL;
}
