#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "query/promql/number.h"
#include "query/promql/script_test_priv.h"
#include "query/promql/series_text_priv.h"
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

static int64_t duration(struct reader *r, struct str s) {
    int64_t ms = 0;
    bool negative = s.n && s.p[0] == '-';
    if (negative) s = (struct str){s.p + 1, s.n - 1};
    if (!str_equal(s, STR("0")) && !parse_promql_duration(s, &ms)) bad(r, "not a duration");
    return negative ? -ms : ms;
}

static struct script_series take_series(struct reader *r, struct str line) {
    struct series_text text;
    err e = series_text_parse(&r->s->a, line, &text);
    if (e) bad(r, err_text(e));
    struct script_series out = {.labels = text.labels};
    vec_reserve(&out.values, text.n);
    if (text.n) memcpy(out.values.v, text.values, text.n * sizeof *text.values);
    out.values.n = text.n;
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
        series_text_word(&rest);
        c->start = duration(r, series_text_word(&rest));
        series_text_word(&rest);
        c->end = duration(r, series_text_word(&rest));
        series_text_word(&rest);
        c->step = duration(r, series_text_word(&rest));
        return c->is_matrix = true;
    }
    if (!str_starts_with(line, STR("expect "))) return false;
    struct str rest = rest_after(line, "expect"), kind = series_text_word(&rest);
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
    return series_text_number(&rest, out) && rest.n == 0;
}

static void read_eval(struct reader *r, struct str line, struct script_case *c) {
    struct str rest = line, how = series_text_word(&rest);
    c->line = r->at + 1;
    c->fails = str_equal(how, STR("eval_fail"));
    c->ordered = str_equal(how, STR("eval_ordered"));
    c->wants_note[0] = str_equal(how, STR("eval_warn"));
    c->wants_note[1] = str_equal(how, STR("eval_info"));
    c->is_range = str_equal(series_text_word(&rest), STR("range"));
    series_text_word(&rest); /* at, from */
    c->start = c->end = c->at = duration(r, series_text_word(&rest));
    if (c->is_range) {
        series_text_word(&rest);
        c->end = c->at = duration(r, series_text_word(&rest));
        series_text_word(&rest);
        c->step = duration(r, series_text_word(&rest));
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
    struct str rest = line, how = series_text_word(&rest);
    load->kind = SCRIPT_LOAD;
    load->with_nhcb = str_equal(how, STR("load_with_nhcb"));
    load->gap = duration(r, series_text_word(&rest));
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
        const struct series_value *v = &from->values.v[i];
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
    if (!str_equal(ending, STR("_bucket")) || !series_text_number(&rest, &bound) || isnan(bound)) return;
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
