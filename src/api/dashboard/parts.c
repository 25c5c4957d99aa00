/* Words of the document, and expressions with variables in them. */
#include "api/dashboard/parts_priv.h"
#include "base/text.h"
#include "query/promql/promql.h"

enum { FORMAT_BYTES = 64 }; /* of ${name:format} */

const char dashboard_panel_kinds[] = "timeseries stat gauge bars table heatmap text logs traces row unknown";
const char dashboard_variable_kinds[] = "query custom constant interval text";
const char dashboard_query_kinds[] = "promql logs traces";
const char dashboard_calcs[] = "last mean max min sum";
const char dashboard_draws[] = "line area bars points";
const char dashboard_tones[] = "ok accent warning error";

const struct unit_row unit_rows[] = {
    {"short", "short locale sishort"},
    {"ratio", "percentunit"},
    {"percent", "percent"},
    {"bytes", "bytes decbytes kbytes mbytes"},
    {"bytes/s", "Bps binBps decbps"},
    {"bits/s", "bps binbps"},
    {"seconds", "s dtdurations clocks"},
    {"ms", "ms dtdurationms clockms"},
    {"us", "\xc2\xb5s us"},
    {"ns", "ns"},
    {"/s", "ops reqps rps wps iops cps opm eps mps pps"},
    {"hertz", "hertz rothz"},
    {"celsius", "celsius"},
    {"watt", "watt"},
    {"volt", "volt"},
    {"time", "dateTimeAsIso dateTimeAsUS dateTimeFromNow dateTimeAsSystem"},
};
const size_t unit_row_count = LENGTH(unit_rows);
const char dashboard_units[] =
    "none short ratio percent bytes bytes/s bits/s seconds ms us ns /s hertz celsius watt volt time";

bool word_among(struct str word, const char *words) {
    struct str one, rest = str_of(words);
    for (bool more = true; more;) {
        more = str_cut(rest, ' ', &one, &rest);
        if (str_equal(one, word)) return true;
    }
    return false;
}

/* ---- variables --------------------------------------------------------------------------------------------------- */

/* What the page puts in their place is of this form. */
static const struct macro {
    const char *name, *sample;
} macros[] = {
    {"__interval", "1m"},    {"__rate_interval", "5m"}, {"__range", "1h"},           {"__interval_ms", "60000"},
    {"__range_s", "3600"},   {"__range_ms", "3600000"}, {"__from", "1700000000000"}, {"__to", "1700003600000"},
    {"__dashboard", "name"}, {"__auto", "1m"},
};

static const struct variable_sample *sample_of(struct str name, const struct variable_samples *all) {
    for (size_t i = 0; i < all->n; i++)
        if (str_equal(all->v[i].name, name)) return &all->v[i];
    return NULL;
}

static size_t name_length(struct str s) {
    size_t n = 0;
    while (n < s.n && word_char((unsigned char)s.p[n]) && (unsigned char)s.p[n] < 0x80) n++;
    return n;
}

/* The name of a variable that s begins with, and how many bytes that takes; 0: none. */
static size_t variable_at(struct str s, struct str *out_name) {
    bool square = str_starts_with(s, STR("[[")), curly = str_starts_with(s, STR("${"));
    if (!square && s.p[0] != '$') return 0;
    size_t from = square || curly ? 2 : 1, n = name_length((struct str){s.p + from, s.n - from}), end = from + n;
    *out_name = (struct str){s.p + from, n};
    if (n == 0) return 0;
    if (!square && !curly) return end;
    const char *close = square ? "]]" : "}";
    size_t last = MIN(
        s.n, end + FORMAT_BYTES); /* else a text of nothing but beginnings is looked through again for each of them */
    while (end < last && s.p[end] != close[0] && s.p[end] != '\n') end++; /* a format, a field */
    return str_starts_with((struct str){s.p + end, s.n - end}, str_of(close)) ? end + strlen(close) : 0;
}

/* In PromQL of today a duration is a number as well. */
static struct str stand_in(size_t variable, uint64_t numbers) {
    return variable < 64 && numbers >> variable & 1 ? STR("5m") : STR("v");
}

void variables_fill(struct str text, const struct variable_samples *all, uint64_t numbers, struct buf *out) {
    for (size_t i = 0; i < text.n;) {
        struct str name = {0}, put = {0};
        size_t n = text.p[i] == '$' || text.p[i] == '[' ? variable_at((struct str){text.p + i, text.n - i}, &name) : 0;
        const struct variable_sample *known = n ? sample_of(name, all) : NULL;
        for (size_t m = 0; n && !known && m < LENGTH(macros); m++)
            if (str_equal(name, str_of(macros[m].name))) put = str_of(macros[m].sample);
        if (known) put = known->sample.p ? known->sample : stand_in((size_t)(known - all->v), numbers);
        if (put.p)
            buf_add_str(out, put);
        else
            buf_add(out, text.p + i, n ? n : 1);
        i += n ? n : 1;
    }
}

/* ---- expressions --------------------------------------------------------------------------------------------------- */

static err parse_filled(struct str text, const struct variable_samples *all, uint64_t numbers, struct arena *a,
                        const struct promql_node **out) {
    AUTO_BUF struct buf filled;
    struct promql_syntax syntax = {.experimental_functions = true, .duration_expressions = true};
    buf_init(&filled, MIB);
    variables_fill(text, all, numbers, &filled);
    if (filled.full) return err_new(ERR_LIMIT, "longer than 1 MiB with its variables");
    return promql_parse(a, buf_str(&filled), syntax, out, NULL);
}

/* Which variables the text names of which nothing is known, as bits. */
static uint64_t unknown_in(struct str text, const struct variable_samples *all) {
    uint64_t bits = 0;
    for (size_t i = 0; i < text.n; i++) {
        struct str name;
        if ((text.p[i] != '$' && text.p[i] != '[') || !variable_at((struct str){text.p + i, text.n - i}, &name))
            continue;
        const struct variable_sample *known = sample_of(name, all);
        if (known && !known->sample.p && known - all->v < 64) bits |= UINT64_C(1) << (known - all->v);
    }
    return bits;
}

/* A value that is not known may be a word or a number: which of them stands there, only the place says. So all that may be is tried,
 * of four such variables; of more, that all are the one or the other. What was wrong with words is told. */
static err parse_any(struct str text, const struct variable_samples *all, struct arena *a,
                     const struct promql_node **out) {
    enum { TRIED_MAX = 4 };
    uint64_t unknown = unknown_in(text, all);
    bool few = __builtin_popcountll(unknown) <= TRIED_MAX;
    err first = parse_filled(text, all, 0, a, out);
    if (!first) return NULL;
    for (uint64_t some = unknown; some; some = few ? (some - 1) & unknown : 0) {
        err e = parse_filled(text, all, some, a, out);
        if (!e) {
            err_free(first);
            return NULL;
        }
        err_free(e);
    }
    return first;
}

err expression_check(struct str text, const struct variable_samples *all, struct arena *a) {
    const struct promql_node *e;
    if (str_is_empty(str_trim(text))) return err_new(ERR_INVALID, "is empty");
    return parse_any(text, all, a, &e);
}

static bool is_label(struct str s) { return s.n > 0 && name_length(s) == s.n && !(s.p[0] >= '0' && s.p[0] <= '9'); }

/* "name(…)": what is between the parentheses. */
static bool call_of(struct str text, const char *name, struct str *out_inner) {
    struct str head = str_of(name);
    if (!str_starts_with(text, head)) return false;
    struct str rest = str_trim((struct str){text.p + head.n, text.n - head.n});
    if (rest.n < 2 || rest.p[0] != '(' || rest.p[rest.n - 1] != ')') return false;
    *out_inner = str_trim((struct str){rest.p + 1, rest.n - 2});
    return true;
}

err variable_query_check(struct str text, const struct variable_samples *all, struct arena *a) {
    struct str inner, label;
    const struct promql_node *e;
    text = str_trim(text);
    if (call_of(text, "label_names", &inner) || call_of(text, "metrics", &inner)) return NULL;
    if (!call_of(text, "label_values", &inner))
        return err_new(ERR_INVALID,
                       "write label_values(LABEL), label_values(SELECTOR, LABEL), label_names() or metrics(REGEX)");
    ptrdiff_t comma = -1;
    for (size_t i = 0; i < inner.n; i++)
        if (inner.p[i] == ',') comma = (ptrdiff_t)i;
    label = str_trim(comma < 0 ? inner : (struct str){inner.p + comma + 1, inner.n - (size_t)comma - 1});
    AUTO_BUF struct buf filled;
    buf_init(&filled, 64 * KIB);
    variables_fill(label, all, 0, &filled);
    if (!is_label(buf_str(&filled))) return err_new(ERR_INVALID, "label_values ends with the name of a label");
    if (comma < 0) return NULL;
    return parse_any((struct str){inner.p, (size_t)comma}, all, a, &e);
}
