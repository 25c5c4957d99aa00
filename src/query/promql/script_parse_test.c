#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "query/promql/number.h"
#include "query/promql/script_test_priv.h"
#include "query/promql/tree_priv.h"
#include "store/match/regex.h"

/* The script, its lines and where we are. */
struct reader {
    struct script *s;
    const char *path;
    VEC(struct str) lines;
    size_t at;
    /* What of the block so far decides which class a case is of. */
    VEC(struct str) native_names;
    bool typed;
};

static void __attribute__((noreturn)) bad(const struct reader *r, const char *what) {
    printf("%s:%zu: %s\n", r->path, r->at + 1, what);
    exit(2);
}

/* ---- words and numbers ------------------------------------------------------------------------------------------- */

static struct str next_word(struct str *s) {
    *s = str_trim(*s);
    size_t n = 0;
    while (n < s->n && s->p[n] != ' ' && s->p[n] != '\t') n++;
    struct str word = {s->p, n};
    *s = str_trim((struct str){s->p + n, s->n - n});
    return word;
}

/* Without hex: 0x8 is 0, nine times. */
static bool take_number(struct str *s, double *out) {
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
    char text[64];
    snprintf(text, sizeof text, "%.*s", (int)n, s->p);
    *out = strtod(text, NULL);
    *s = (struct str){s->p + n, s->n - n};
    return true;
}

static size_t take_count(struct reader *r, struct str *s) {
    double n = 0;
    if (!s->n || s->p[0] != 'x') return 0;
    *s = (struct str){s->p + 1, s->n - 1};
    if (!take_number(s, &n)) bad(r, "a repeat without a number");
    return (size_t)n;
}

static int64_t duration(struct reader *r, struct str s) {
    int64_t ms = 0;
    bool negative = s.n && s.p[0] == '-';
    if (negative) s = (struct str){s.p + 1, s.n - 1};
    if (!str_equal(s, STR("0")) && !parse_promql_duration(s, &ms)) bad(r, "not a duration");
    return negative ? -ms : ms;
}

/* ---- labels ------------------------------------------------------------------------------------------------------ */

static int order_of_labels(const void *x, const void *y) {
    return str_compare(((const struct label *)x)->name, ((const struct label *)y)->name);
}

static struct str text_of(struct reader *r, const struct token *t) {
    struct str out;
    if (t->kind == TOKEN_WORD) return t->text;
    if (t->kind != TOKEN_STRING || unquote(&r->s->a, t->text, &out)) bad(r, "not a label");
    return out;
}

/* name{a="b"} in front of *s. */
static struct labels take_labels(struct reader *r, struct str *s) {
    struct label *v = arena_array(&r->s->a, struct label, 64);
    uint32_t n = 0;
    struct lexer l = {.text = *s};
    size_t name = 0;
    while (name < s->n && (isalnum((unsigned char)s->p[name]) || strchr("_:", s->p[name]))) name++;
    if (name) v[n++] = (struct label){STR("__name__"), {s->p, name}};
    l.at = name;
    size_t blank = name;
    while (blank < s->n && strchr(" \t", s->p[blank])) blank++;
    struct str rest = {s->p + blank, s->n - blank};
    if (str_starts_with(rest, STR("{")) && !str_starts_with(rest, STR("{{"))) {
        l.at = blank + 1;
        struct token t = lex(&l);
        while (t.kind != TOKEN_RIGHT_BRACE && n < 64) {
            struct str label = text_of(r, &t);
            t = lex(&l);
            if (t.kind != TOKEN_ASSIGN) {
                v[n++] = (struct label){STR("__name__"), label};
            } else {
                t = lex(&l);
                struct str value = text_of(r, &t);
                if (value.n) v[n++] = (struct label){label, value};
                t = lex(&l);
            }
            if (t.kind == TOKEN_COMMA) t = lex(&l);
        }
    }
    *s = str_trim((struct str){s->p + l.at, s->n - l.at});
    qsort(v, n, sizeof *v, order_of_labels);
    return (struct labels){v, n};
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static uint32_t take_list(struct reader *r, struct str s, double out[512]) {
    uint32_t n = 0;
    if (s.n && s.p[0] == '[') s = (struct str){s.p + 1, s.n - 1};
    while (str_trim(s).n && str_trim(s).p[0] != ']' && n < 512) {
        s = str_trim(s);
        if (!take_number(&s, &out[n++])) bad(r, "not a list of numbers");
    }
    return n;
}

static void fill_side(struct reader *r, struct native_side *side, int32_t offset, struct str list) {
    double values[512];
    uint32_t n = take_list(r, list, values);
    side->index = arena_array(&r->s->a, int32_t, n + 1);
    side->count = arena_array(&r->s->a, double, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        side->index[i] = offset + (int32_t)i;
        side->count[i] = values[i];
    }
    side->n = n;
}

/* {{schema:0 count:3 buckets:[1 2]}} without its braces. */
static struct native *parse_native(struct reader *r, struct str body) {
    struct native *h = arena_new(&r->s->a, struct native);
    struct str positive = {0}, negative = {0};
    double offset = 0, negative_offset = 0, schema = 0, custom[512];
    while ((body = str_trim(body)).n) {
        struct str name, rest;
        if (!str_cut(body, ':', &name, &rest)) bad(r, "a histogram's field has no value");
        name = str_trim(name);
        rest = str_trim(rest);
        size_t n = 0;
        bool list = rest.n && rest.p[0] == '[';
        while (n < rest.n && (list ? rest.p[n] != ']' : rest.p[n] != ' ')) n++;
        struct str value = {rest.p, MIN(n + list, rest.n)};
        body = (struct str){rest.p + value.n, rest.n - value.n};
        double number = 0;
        struct str digits = value;
        if (!list) take_number(&digits, &number);
        if (str_equal(name, STR("schema")))
            schema = number;
        else if (str_equal(name, STR("sum")))
            h->sum = number;
        else if (str_equal(name, STR("count")))
            h->count = number;
        else if (str_equal(name, STR("z_bucket")))
            h->zero_count = number;
        else if (str_equal(name, STR("z_bucket_w")))
            h->zero_threshold = number;
        else if (str_equal(name, STR("offset")))
            offset = number;
        else if (str_equal(name, STR("n_offset")))
            negative_offset = number;
        else if (str_equal(name, STR("buckets")))
            positive = value;
        else if (str_equal(name, STR("n_buckets")))
            negative = value;
        else if (str_equal(name, STR("counter_reset_hint")))
            h->reset = str_equal(value, STR("gauge"))       ? NATIVE_GAUGE
                       : str_equal(value, STR("reset"))     ? NATIVE_RESET
                       : str_equal(value, STR("not_reset")) ? NATIVE_NOT_RESET
                                                            : NATIVE_RESET_UNKNOWN;
        else if (str_equal(name, STR("custom_values"))) {
            h->custom_n = take_list(r, value, custom);
            double *kept = arena_array(&r->s->a, double, h->custom_n + 1);
            memcpy(kept, custom, sizeof *kept * h->custom_n);
            h->custom = kept;
        } else
            bad(r, "no such field of a histogram");
    }
    h->schema = (int32_t)schema;
    fill_side(r, &h->positive, (int32_t)offset, positive);
    fill_side(r, &h->negative, (int32_t)negative_offset, negative);
    if (native_fault(h)) bad(r, native_fault(h));
    return h;
}

static struct str take_braces(struct reader *r, struct str *s) {
    size_t end = 2;
    while (end + 1 < s->n && !(s->p[end] == '}' && s->p[end + 1] == '}')) end++;
    if (end + 1 >= s->n) bad(r, "a histogram has no end");
    struct str body = {s->p + 2, end - 2};
    *s = (struct str){s->p + end + 2, s->n - end - 2};
    return body;
}

static void push_value(struct script_series *out, struct script_value v) { *vec_push(&out->values) = v; }

static void take_natives(struct reader *r, struct str *s, struct script_series *out) {
    struct native *h = parse_native(r, take_braces(r, s)), *step = NULL;
    double sign = 1;
    if (s->n > 2 && strchr("+-", s->p[0]) && s->p[1] == '{') {
        sign = s->p[0] == '-' ? -1 : 1;
        *s = (struct str){s->p + 1, s->n - 1};
        step = parse_native(r, take_braces(r, s));
    }
    size_t repeat = take_count(r, s);
    push_value(out, (struct script_value){.histogram = h});
    for (size_t i = 0; i < repeat; i++) {
        h = native_copy(&r->s->a, h);
        if (step && native_add(&r->s->a, h, step, sign) != NATIVE_ADDED) bad(r, "histograms that cannot be added");
        push_value(out, (struct script_value){.histogram = h});
    }
}

static void take_floats(struct reader *r, struct str *s, struct script_series *out) {
    struct str word = next_word(s), rest = word;
    if (word.p[0] == '_') {
        rest = (struct str){word.p + 1, word.n - 1};
        size_t n = rest.n ? take_count(r, &rest) : 1;
        for (size_t i = 0; i < n; i++) push_value(out, (struct script_value){.omitted = true});
        return;
    }
    double v, step = 0;
    int64_t ms;
    if (str_starts_with(word, STR("stale"))) {
        uint64_t bits = PROMQL_STALE;
        memcpy(&v, &bits, sizeof v);
        rest = (struct str){word.p + 5, word.n - 5};
    } else if (parse_promql_duration(word, &ms)) {
        push_value(out, (struct script_value){.number = (double)ms / 1000});
        return;
    } else if (!take_number(&rest, &v)) {
        bad(r, "not a value");
    }
    if (rest.n && strchr("+-", rest.p[0])) take_number(&rest, &step);
    size_t repeat = take_count(r, &rest);
    push_value(out, (struct script_value){.number = v});
    for (size_t i = 0; i < repeat; i++) {
        if (step != 0) v += step;
        push_value(out, (struct script_value){.number = v});
    }
}

static struct script_series take_series(struct reader *r, struct str line) {
    struct script_series out = {.labels = take_labels(r, &line)};
    while ((line = str_trim(line)).n) {
        if (str_starts_with(line, STR("{{")))
            take_natives(r, &line, &out);
        else
            take_floats(r, &line, &out);
    }
    return out;
}

/* ---- which class a case is of ------------------------------------------------------------------------------------ */

static bool found(const char *pattern, struct str text) {
    struct regex *x = NULL;
    err e = regex_compile(str_of(pattern), &x);
    bool yes = !e && regex_found(x, text);
    if (e) printf("%s: %s\n", pattern, err_text(e));
    err_free(e);
    regex_free(x);
    return yes;
}

static struct str without_strings(struct reader *r, struct str text) {
    struct buf b;
    buf_init(&b, MIB);
    for (size_t i = 0; i < text.n; i++) {
        char quote = text.p[i];
        if (!strchr("\"'`", quote)) {
            buf_add_byte(&b, quote);
            continue;
        }
        for (i++; i < text.n && text.p[i] != quote; i++) i += text.p[i] == '\\';
        buf_add_text(&b, "\"\"");
    }
    struct str kept = arena_copy(&r->s->a, buf_str(&b));
    buf_done(&b);
    return kept;
}

static bool names_native(struct reader *r, struct str text) {
    for (size_t i = 0; i < text.n;) {
        size_t n = 0;
        while (i + n < text.n && (isalpha((unsigned char)text.p[i + n]) || strchr("_:", text.p[i + n]) ||
                                  (n && isdigit((unsigned char)text.p[i + n]))))
            n++;
        struct str word = {text.p + i, n};
        for (size_t k = 0; n && k < r->native_names.n; k++)
            if (str_equal(word, r->native_names.v[k]) || str_equal(word, STR("__name__"))) return true;
        i += MAX(n, (size_t)1);
    }
    return false;
}

static enum script_class class_of(struct reader *r, const struct script_case *c) {
    struct str x = without_strings(r, c->query);
    bool native = names_native(r, c->query) || str_contains(c->query, STR("{{")) ||
                  found("(?i)\\bhistogram_(avg|count|sum|stddev|stdvar|fraction)\\b", x) ||
                  (r->native_names.n && found("(^|[^\\w)])\\{[^}]", x));
    for (size_t i = 0; i < c->expected.n; i++)
        for (size_t k = 0; k < c->expected.v[i].values.n; k++) native |= c->expected.v[i].values.v[k].histogram != NULL;
    if (native) return CLASS_NATIVE;
    bool extension =
        r->typed ||
        found("(?i)\\b(histogram_quantiles|double_exponential_smoothing|holt_winters|info|max_of|min_of|mad_over_time|"
              "ts_of_\\w+_over_time|"
              "first_over_time|sort_by_label(?:_desc)?|start_timestamp|limitk|limit_ratio)\\s*(?:by|without)?\\s*\\(",
              x) ||
        found("(?i)(\\[[^\\]:]*[-+*/%^(][^\\]]*\\]|\\[[^\\]]*:[^\\]]*[-+*/%^(][^\\]]*\\]|offset\\s*-?\\s*\\(|offset "
              "[0-9a-z]+\\s*[*/%^])",
              x) ||
        found("(?i)(\\[\\d+(\\.\\d+)?[:\\]]|\\[[^\\]]*:\\d+(\\.\\d+)?\\]|offset\\s+-?\\d+(\\.\\d+)?(\\s|$|\\)))", x);
    return extension ? CLASS_EXTENSION : CLASS_CORE;
}

static void remember_names(struct reader *r, const struct script_command *load) {
    static const char *const endings[] = {"_bucket", "_sum", "_count"};
    for (size_t i = 0; i < load->series.n; i++) {
        const struct script_series *s = &load->series.v[i];
        struct str name = label_set_get(s->labels, STR("__name__"));
        bool native = false;
        for (size_t k = 0; k < s->values.n; k++) native |= s->values.v[k].histogram != NULL;
        if (native) *vec_push(&r->native_names) = name;
        r->typed |= label_set_get(s->labels, STR("__type__")).n || str_starts_with(name, STR("__"));
        for (size_t k = 0; load->with_nhcb && k < LENGTH(endings); k++)
            if (str_ends_with(name, str_of(endings[k])))
                *vec_push(&r->native_names) = (struct str){name.p, name.n - strlen(endings[k])};
    }
}

/* ---- commands ---------------------------------------------------------------------------------------------------- */

static struct str rest_after(struct str line, const char *word) {
    size_t n = strlen(word);
    return str_trim((struct str){line.p + n, line.n - n});
}

/* A line that says what is expected beside values; false: it is none. */
static bool read_expectation(struct reader *r, struct script_case *c, struct str line) {
    static const char *const kinds[] = {"warn", "info"}, *const none[] = {"no_warn", "no_info"};
    if (str_starts_with(line, STR("expected_fail_message")))
        return c->message = rest_after(line, "expected_fail_message"), true;
    if (str_starts_with(line, STR("expected_fail_regexp"))) return true;
    if (str_starts_with(line, STR("expect range vector"))) {
        struct str rest = rest_after(line, "expect range vector");
        next_word(&rest);
        c->start = duration(r, next_word(&rest));
        next_word(&rest);
        c->end = duration(r, next_word(&rest));
        next_word(&rest);
        c->step = duration(r, next_word(&rest));
        return c->is_matrix = true;
    }
    if (!str_starts_with(line, STR("expect "))) return false;
    struct str rest = rest_after(line, "expect"), kind = next_word(&rest);
    if (str_equal(kind, STR("string"))) {
        if (unquote(&r->s->a, rest, &c->text)) bad(r, "not a string");
        return true;
    }
    struct str message = str_starts_with(rest, STR("msg:")) ? rest_after(rest, "msg:") : (struct str){0};
    if (str_equal(kind, STR("ordered"))) c->ordered = true;
    if (str_equal(kind, STR("fail"))) c->fails = true, c->message = message;
    for (int i = 0; i < 2; i++) {
        if (str_equal(kind, str_of(kinds[i]))) c->wants_note[i] = true, c->note[i] = message;
        if (str_equal(kind, str_of(none[i]))) c->wants_no_note[i] = true;
    }
    return true;
}

static bool is_number_line(struct str line, double *out) {
    struct str rest = line;
    if (parse_promql_number(line, out)) return true;
    return take_number(&rest, out) && rest.n == 0;
}

static void read_eval(struct reader *r, struct str line, struct script_case *c) {
    struct str rest = line, how = next_word(&rest);
    c->line = r->at + 1;
    c->fails = str_equal(how, STR("eval_fail"));
    c->ordered = str_equal(how, STR("eval_ordered"));
    c->wants_note[0] = str_equal(how, STR("eval_warn"));
    c->wants_note[1] = str_equal(how, STR("eval_info"));
    c->is_range = str_equal(next_word(&rest), STR("range"));
    next_word(&rest); /* at, from */
    c->start = c->end = c->at = duration(r, next_word(&rest));
    if (c->is_range) {
        next_word(&rest);
        c->end = c->at = duration(r, next_word(&rest));
        next_word(&rest);
        c->step = duration(r, next_word(&rest));
    }
    c->query = str_trim(rest);
    while (++r->at < r->lines.n && r->lines.v[r->at].n) {
        struct str expected = r->lines.v[r->at];
        if (read_expectation(r, c, expected)) continue;
        if (is_number_line(expected, &c->scalar)) {
            c->is_scalar = true;
            continue;
        }
        *vec_push(&c->expected) = take_series(r, expected);
    }
    c->class = class_of(r, c);
}

static void read_load(struct reader *r, struct str line, struct script_command *load) {
    struct str rest = line, how = next_word(&rest);
    load->kind = SCRIPT_LOAD;
    load->with_nhcb = str_equal(how, STR("load_with_nhcb"));
    load->gap = duration(r, next_word(&rest));
    while (++r->at < r->lines.n && r->lines.v[r->at].n) *vec_push(&load->series) = take_series(r, r->lines.v[r->at]);
    remember_names(r, load);
}

static void read_command(struct reader *r) {
    struct str line = r->lines.v[r->at];
    struct script_command *command = vec_push(&r->s->commands);
    memset(command, 0, sizeof *command);
    if (str_equal(line, STR("clear"))) {
        r->at++;
        vec_clear(&r->native_names);
        r->typed = false;
    } else if (str_starts_with(line, STR("load"))) {
        read_load(r, line, command);
    } else if (str_starts_with(line, STR("eval"))) {
        command->kind = SCRIPT_EVAL;
        read_eval(r, line, &command->eval);
    } else {
        bad(r, "no such command");
    }
}

void script_read(struct script *s, const char *path) {
    struct reader r = {.s = s, .path = path};
    *s = (struct script){.commands = {0}};
    arena_init(&s->a, 256 * MIB);
    FILE *f = fopen(path, "rb");
    char *text = arena_zero(&s->a, 4 * MIB);
    if (!f) bad(&r, "cannot be opened");
    struct str rest = {text, fread(text, 1, 4 * MIB - 1, f)}, line;
    fclose(f);
    for (bool more = true; more;) {
        more = str_cut(rest, '\n', &line, &rest);
        line = str_trim(line);
        if (line.n && line.p[0] == '#') line.n = 0;
        *vec_push(&r.lines) = line;
    }
    while (r.at < r.lines.n) {
        if (r.lines.v[r.at].n)
            read_command(&r);
        else
            r.at++;
    }
    vec_done(&r.lines);
    vec_done(&r.native_names);
}

void script_done(struct script *s) {
    for (size_t i = 0; i < s->commands.n; i++) {
        struct script_command *c = &s->commands.v[i];
        for (size_t k = 0; k < c->series.n; k++) vec_done(&c->series.v[k].values);
        for (size_t k = 0; k < c->eval.expected.n; k++) vec_done(&c->eval.expected.v[k].values);
        vec_done(&c->series);
        vec_done(&c->eval.expected);
    }
    vec_done(&s->commands);
    arena_done(&s->a);
}

/* ---- loading ----------------------------------------------------------------------------------------------------- */

static void load_series(const struct script_command *load, const struct script_series *from, struct memory *m) {
    struct memory_series *s = memory_series(m, from->labels.v, from->labels.n);
    bool again = s->times.n || s->histogram_times.n;
    if (again) { /* a series twice in one load, or in two: what comes later wins */
        vec_clear(&s->times);
        vec_clear(&s->values);
        vec_clear(&s->histogram_times);
        vec_clear(&s->histograms);
    }
    for (size_t i = 0; i < from->values.n; i++) {
        const struct script_value *v = &from->values.v[i];
        int64_t t = (int64_t)i * load->gap;
        if (v->omitted) continue;
        if (v->histogram)
            memory_add_histogram(s, t, v->histogram);
        else
            memory_add(s, t, v->number);
    }
}

struct classic {
    struct labels labels; /* of the native histogram */
    VEC(const struct script_series *) buckets;
    VEC(double) bounds;
    const struct script_series *sum, *count;
};

static bool value_at(const struct script_series *s, size_t i, double *out) {
    if (!s || i >= s->values.n || s->values.v[i].omitted || s->values.v[i].histogram) return false;
    *out = s->values.v[i].number;
    return true;
}

static void load_native_of(const struct script_command *load, const struct classic *c, struct memory *m) {
    size_t n = 0;
    for (size_t k = 0; k < c->buckets.n; k++) n = MAX(n, c->buckets.v[k]->values.n);
    if (c->count) n = MAX(n, c->count->values.n);
    struct memory_series *s = memory_series(m, c->labels.v, c->labels.n);
    for (size_t i = 0; i < n; i++) {
        struct native *h = arena_new(&m->a, struct native);
        double *custom = arena_array(&m->a, double, c->buckets.n + 1), count, before = 0, v, total = 0;
        h->positive.index = arena_array(&m->a, int32_t, c->buckets.n + 1);
        h->positive.count = arena_array(&m->a, double, c->buckets.n + 1);
        bool any = value_at(c->count, i, &total), has_total = any;
        for (size_t k = 0; k < c->buckets.n; k++) {
            if (!value_at(c->buckets.v[k], i, &v)) continue;
            any = true;
            h->positive.index[h->positive.n] = (int32_t)h->positive.n;
            h->positive.count[h->positive.n++] = v - before;
            if (!isinf(c->bounds.v[k])) custom[h->custom_n++] = c->bounds.v[k];
            before = v;
        }
        count = has_total ? total : before;
        if (h->positive.n == h->custom_n && count != before) {
            h->positive.index[h->positive.n] = (int32_t)h->positive.n;
            h->positive.count[h->positive.n++] = count - before;
        }
        if (!any) continue;
        h->schema = NATIVE_CUSTOM_SCHEMA;
        h->custom = custom;
        h->count = count;
        (void)value_at(c->sum, i, &h->sum);
        memory_add_histogram(s, (int64_t)i * load->gap, h);
    }
}

static void classic_add(struct classic *c, const struct script_series *s, struct str ending) {
    double bound;
    if (str_equal(ending, STR("_sum"))) c->sum = s;
    if (str_equal(ending, STR("_count"))) c->count = s;
    struct str le = label_set_get(s->labels, STR("le")), rest = le;
    if (!str_equal(ending, STR("_bucket")) || !take_number(&rest, &bound) || isnan(bound)) return;
    size_t at = 0;
    while (at < c->bounds.n && c->bounds.v[at] < bound) at++;
    if (at < c->bounds.n && c->bounds.v[at] == bound) return;
    vec_push(&c->bounds);
    vec_push(&c->buckets);
    for (size_t k = c->bounds.n - 1; k > at; k--)
        c->bounds.v[k] = c->bounds.v[k - 1], c->buckets.v[k] = c->buckets.v[k - 1];
    c->bounds.v[at] = bound;
    c->buckets.v[at] = s;
}

static void load_nhcb(struct script *script, const struct script_command *load, struct memory *m) {
    static const struct str endings[] = {STR("_bucket"), STR("_sum"), STR("_count")};
    VEC(struct classic) all = {0};
    for (size_t i = 0; i < load->series.n; i++) {
        const struct script_series *s = &load->series.v[i];
        struct str name = label_set_get(s->labels, STR("__name__"));
        for (size_t k = 0; k < LENGTH(endings); k++) {
            if (!str_ends_with(name, endings[k])) continue;
            struct label *v = arena_array(&script->a, struct label, s->labels.n + 1);
            uint32_t n = 0;
            for (uint32_t l = 0; l < s->labels.n; l++) {
                v[n] = s->labels.v[l];
                if (str_equal(v[n].name, STR("__name__"))) v[n].value.n -= endings[k].n;
                n += !str_equal(v[n].name, STR("le"));
            }
            struct labels labels = {v, n};
            size_t at = 0;
            while (at < all.n && promql_labels_compare(all.v[at].labels, labels) != 0) at++;
            if (at == all.n) *vec_push(&all) = (struct classic){.labels = labels};
            classic_add(&all.v[at], s, endings[k]);
        }
    }
    for (size_t i = 0; i < all.n; i++) {
        load_native_of(load, &all.v[i], m);
        vec_done(&all.v[i].buckets);
        vec_done(&all.v[i].bounds);
    }
    vec_done(&all);
}

void script_load(struct script *s, const struct script_command *load, struct memory *m) {
    for (size_t i = 0; i < load->series.n; i++) load_series(load, &load->series.v[i], m);
    if (load->with_nhcb) load_nhcb(s, load, m);
    memory_seal(m);
}
