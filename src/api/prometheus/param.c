/* Parameters as Prometheus reads them. */
#include <math.h>
#include <stdlib.h>

#include "api/prometheus/prometheus_priv.h"
#include "base/text.h"
#include "query/promql/number.h"

/* A number as Go's ParseFloat takes it, for times and durations: 1.5e3, Inf. */
static bool parse_seconds(struct str text, double *out) {
    bool negative = text.n && text.p[0] == '-', sign = negative || (text.n && text.p[0] == '+');
    struct str digits = {text.p + sign, text.n - sign};
    double v;
    while (digits.n > 1 && digits.p[0] == '0' && digits.p[1] >= '0' && digits.p[1] <= '9')
        digits = (struct str){digits.p + 1, digits.n - 1}; /* PromQL would read it as octal */
    if (!parse_promql_number(digits, &v)) return false;
    *out = negative ? -v : v;
    return true;
}

/* The first and last time of Prometheus, as Go writes them: no other year has more than four digits. A `+` may have become a blank. */
static bool is_end_of_time(struct str text, int64_t *out_ms) {
    bool sign = text.n && (text.p[0] == '+' || text.p[0] == ' ');
    struct str rest = {text.p + sign, text.n - sign};
    bool last = str_equal(rest, STR("292277025-08-18T07:12:54.999999999Z"));
    bool first = str_equal(text, STR("-292273086-05-16T16:47:06Z"));
    if (last) *out_ms = PROMETHEUS_TIME_MAX;
    if (first) *out_ms = PROMETHEUS_TIME_MIN;
    return first || last;
}

err prometheus_parse_time(struct str text, int64_t *out_ms) {
    double seconds;
    int64_t ns;
    if (parse_seconds(text, &seconds)) {
        double whole, part = modf(seconds, &whole);
        if (!isfinite(seconds))
            return err_new(ERR_INVALID, "cannot parse \"" STR_FMT "\" to a valid timestamp", STR_ARG(text));
        *out_ms = whole >= 1e15    ? PROMETHEUS_TIME_MAX /* 9223309901257974 is Prometheus's own end of time */
                  : whole <= -1e15 ? PROMETHEUS_TIME_MIN
                                   : (int64_t)whole * 1000 + (int64_t)round(part * 1000);
        return NULL;
    }
    if (is_end_of_time(text, out_ms)) return NULL;
    bool is_date = text.n > 10 && text.p[4] == '-' && (text.p[10] == 'T' || text.p[10] == 't');
    err e = is_date ? parse_time(text, 0, &ns) : NULL;
    if (is_date && !e) {
        *out_ms = series_floor_ms(ns);
        return NULL;
    }
    err_free(e);
    return err_new(ERR_INVALID, "cannot parse \"" STR_FMT "\" to a valid timestamp", STR_ARG(text));
}

err prometheus_parse_duration(struct str text, int64_t *out_ns) {
    double seconds;
    int64_t ms;
    if (parse_seconds(text, &seconds)) {
        if (!(fabs(seconds) * 1e9 < 9.2e18))
            return err_new(ERR_INVALID, "cannot parse \"" STR_FMT "\" to a valid duration. It overflows int64",
                           STR_ARG(text));
        *out_ns = (int64_t)(seconds * 1e9);
        return NULL;
    }
    if (parse_promql_duration(text, &ms) && ms <= INT64_MAX / 1000000) {
        *out_ns = ms * 1000000;
        return NULL;
    }
    return err_new(ERR_INVALID, "cannot parse \"" STR_FMT "\" to a valid duration", STR_ARG(text));
}

err prometheus_time(struct prometheus *p, const char *name, int64_t otherwise_ms, int64_t *out_ms) {
    *out_ms = otherwise_ms;
    if (!call_given(p->c, name)) return NULL;
    err e = err_wrap(prometheus_parse_time(call_text(p->c, name), out_ms), "Invalid time value for '%s'", name);
    return prometheus_bad_param(p, name, e);
}

err prometheus_limit(struct prometheus *p, const char *name, uint64_t *out) {
    int64_t v = 0;
    *out = 0;
    if (!call_given(p->c, name)) return NULL;
    err e = parse_i64(call_text(p->c, name), &v);
    if (e) {
        err_free(e);
        return prometheus_bad_param(p, name,
                                    err_new(ERR_INVALID, "strconv.Atoi: parsing \"" STR_FMT "\": invalid syntax",
                                            STR_ARG(call_text(p->c, name))));
    }
    if (v < 0) return prometheus_bad_param(p, name, err_new(ERR_INVALID, "limit must be non-negative"));
    *out = (uint64_t)v;
    return NULL;
}

err prometheus_range(struct prometheus *p, int64_t *out_min_ms, int64_t *out_max_ms) {
    TRY(prometheus_time(p, "start", PROMETHEUS_TIME_MIN, out_min_ms));
    return prometheus_time(p, "end", PROMETHEUS_TIME_MAX, out_max_ms);
}

/* ---- selectors -------------------------------------------------------------------------------------------------- */

/* The parser's complaint about a selector that takes everything, as this API words it. */
static err as_match(err e) {
    static const char vague[] = "vector selector must contain at least one non-empty matcher";
    if (!e || !strstr(err_text(e), vague)) return e;
    err_free(e);
    return err_new(ERR_INVALID, "match[] must contain at least one non-empty matcher");
}

/* An instant selector and nothing else. */
err prometheus_match(struct prometheus *p, struct str text, struct label_matcher **out, uint32_t *out_n) {
    const struct promql_node *node;
    const struct promql_matcher *matchers;
    size_t n = 0;
    TRY(as_match(promql_parse(&p->q.arena, text, (struct promql_syntax){0}, &node, NULL)));
    if (!promql_is_selector(node))
        return err_new(ERR_INVALID, "1:1: parse error: \"" STR_FMT "\" is no series selector", STR_ARG(text));
    promql_selector_at(node, 0, &matchers, &n);
    if (n > MATCHERS_MAX) return err_new(ERR_INVALID, "a selector with %zu matchers, at most %d", n, MATCHERS_MAX);
    TRY(promql_matchers_make(&p->q.arena, matchers, n, out));
    *out_n = (uint32_t)n;
    label_matchers_set_deadline(*out, *out_n, p->q.deadline_ns);
    return NULL;
}

err prometheus_matches(struct prometheus *p, struct prometheus_matches *out) {
    out->n = 0;
    err e = NULL;
    for (size_t i = 0; !e && i < p->c->where_count; i++) {
        if (strcmp(p->c->route->params[p->c->where_of[i]].name, "match[]") != 0) continue;
        e = prometheus_match(p, p->c->wheres[i], &out->sets[out->n].v, &out->sets[out->n].n);
        out->n += !e;
    }
    if (e) prometheus_matches_done(out);
    return prometheus_bad(p, e);
}

void prometheus_matches_done(struct prometheus_matches *m) {
    for (size_t i = 0; i < m->n; i++)
        for (uint32_t k = 0; k < m->sets[i].n; k++) label_matcher_done(&m->sets[i].v[k]);
    m->n = 0;
}

err prometheus_select(struct prometheus *p, const struct prometheus_matches *m, size_t i, int64_t min_ms,
                      int64_t max_ms, uint32_t limit, struct series_wish wish, struct series_found **out) {
    struct series_request r = {.matchers = m->sets[i].v,
                               .matcher_count = m->sets[i].n,
                               .time_min = series_range_min_ns(min_ms),
                               .time_max = series_range_max_ns(max_ms),
                               .limit = limit,
                               .check = series_source_check,
                               .check_context = &p->source};
    TRY(series_source_check(&p->source));
    TRY(series_find(&p->source, &r, wish, &p->q.arena, out));
    err e = series_source_check(&p->source);
    if (!e) e = label_matchers_err(m->sets[i].v, m->sets[i].n);
    if (e) series_found_free(*out);
    return e;
}

/* ---- names ------------------------------------------------------------------------------------------------------ */

static int hex(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static size_t put_code_point(char *out, uint32_t v) {
    if (v < 0x80) return out[0] = (char)v, 1;
    if (v < 0x800) return out[0] = (char)(0xc0 | v >> 6), out[1] = (char)(0x80 | (v & 0x3f)), 2;
    size_t n = v < 0x10000 ? 3 : 4;
    out[0] = (char)(n == 3 ? 0xe0 | v >> 12 : 0xf0 | v >> 18);
    for (size_t i = 1; i < n; i++) out[i] = (char)(0x80 | (v >> 6 * (n - 1 - i) & 0x3f));
    return n;
}

/* What stands behind U__: `__` is `_`, `_HEX_` a code point. 0: no such escape. */
static size_t unescape(struct str text, char *out) {
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        uint32_t v = 0;
        size_t k = i + 1;
        if (text.p[i] != '_') {
            out[n++] = text.p[i];
            continue;
        }
        if (k < text.n && text.p[k] == '_') {
            out[n++] = '_';
            i = k;
            continue;
        }
        for (; k < text.n && k - i <= 6 && hex(text.p[k]) >= 0; k++) v = v << 4 | (uint32_t)hex(text.p[k]);
        if (k == i + 1 || k >= text.n || text.p[k] != '_' || v > 0x10ffff || (v >= 0xd800 && v < 0xe000)) return 0;
        n += put_code_point(out + n, v);
        i = k;
    }
    return n;
}

struct str prometheus_unescape(struct arena *a, struct str name) {
    if (!str_starts_with(name, STR("U__"))) return name;
    char *out = arena_alloc(a, name.n + 4);
    size_t n = out ? unescape((struct str){name.p + 3, name.n - 3}, out) : 0;
    return n ? (struct str){out, n} : name;
}
