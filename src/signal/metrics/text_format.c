/* The text format (0.0.4, and 1.0.0 with quoted UTF-8 names) and OpenMetrics 1.0 → points, line by line.
 *
 *   sample       name{label="value",…} value [time] [# {label="value"} value [time]]
 *                {"any name",label="value",…} value …          a quoted name without `=` is the metric's
 *   metadata     # TYPE name type · # HELP name text · # UNIT name unit
 *
 * A scrape is all or nothing: what is wrong anywhere refuses the body, by line and column. What differs between the two: OpenMetrics has one
 * blank between parts, times in seconds, exemplars, units and an end `# EOF`; the text format any blanks, times in ms, comments.
 *
 * `le` and `quantile` are written as Prometheus 3 keeps them ("1" → "1.0"), so that all senders agree on them. A `_created` sample stays
 * one and is the start of the samples of its metric.
 * Source: Prometheus exposition_formats.md; OpenMetrics 1.0.0; Prometheus model/textparse. */
#include "base/text.h"
#include "signal/metrics/points_decode_priv.h"

/* The metric family that metadata lines have named last. */
struct family {
    uint32_t name_id, row; /* a string of the builder; its metadata */
    enum metric_type type;
    bool any;
};

struct text_in {
    struct points_decoder *d;
    bool open_metrics;
    const unsigned char *p, *end;
    struct family family;
    struct buf name, value;              /* unescaped */
    struct buf metric;                   /* a quoted name */
    uint64_t group;                      /* hash of the labels of the metric at hand, without le and quantile */
    uint32_t group_first;                /* its first point */
    uint64_t group_start;                /* ms; 0: not known */
    uint64_t own[NAMED_LABELS_MAX / 64]; /* bit i: the sample has a label of the name of given label i, which yields */
};

static bool fail(struct text_in *t, const char *what) { return points_fault(t->d, t->p, ERR_INVALID, what); }

/* The text format may end lines with a carriage return, too. */
static bool at_end_of_line(const struct text_in *t) {
    return t->p == t->end || *t->p == '\n' || (*t->p == '\r' && !t->open_metrics);
}

/* ---- parts of a line --------------------------------------------------------------------------------------------------- */

static bool is_blank(unsigned char c) { return c == ' ' || c == '\t'; }

static void skip_blanks(struct text_in *t) {
    while (t->p < t->end && is_blank(*t->p)) t->p++;
}

/* What stands between two parts. */
static bool pass_blank(struct text_in *t) {
    if (t->p == t->end || !is_blank(*t->p) || (t->open_metrics && *t->p != ' ')) return fail(t, "expected a blank");
    if (t->open_metrics)
        t->p++;
    else
        skip_blanks(t);
    return true;
}

static bool is_name_byte(unsigned char c, bool label) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (c == ':' && !label);
}

static bool read_bare(struct text_in *t, bool label, struct str *out) {
    const unsigned char *start = t->p;
    while (t->p < t->end && is_name_byte(*t->p, label)) t->p++;
    *out = str_span(start, (size_t)(t->p - start));
    if (out->n && (*start < '0' || *start > '9')) return true;
    t->p = start;
    return fail(t, label ? "expected the name of a label" : "expected the name of a metric");
}

/* Text in quotes; `unescaped` is used only if it has escapes. */
static bool read_quoted(struct text_in *t, struct buf *unescaped, struct str *out) {
    const unsigned char *start = ++t->p;
    bool escaped = false;
    buf_clear(unescaped);
    for (; t->p < t->end && *t->p != '"' && *t->p != '\n'; t->p++) {
        if (*t->p != '\\') {
            if (escaped) buf_add_byte(unescaped, (char)*t->p);
            continue;
        }
        if (!escaped) buf_add(unescaped, start, (size_t)(t->p - start));
        escaped = true;
        if (++t->p == t->end) break;
        if (*t->p == 'n')
            buf_add_byte(unescaped, '\n');
        else if (*t->p == '\\' || *t->p == '"')
            buf_add_byte(unescaped, (char)*t->p);
        else if (*t->p == '\n')
            break;
        else {
            buf_add_byte(unescaped, '\\');
            buf_add_byte(unescaped, (char)*t->p);
        }
    }
    if (t->p == t->end || *t->p != '"') return fail(t, "expected a quote that ends the text");
    if (unescaped->full) return points_fault(t->d, start, ERR_LIMIT, "a string over 16 MiB");
    *out = escaped ? buf_str(unescaped) : str_span(start, (size_t)(t->p - start));
    t->p++;
    return true;
}

static bool read_name(struct text_in *t, bool label, struct str *out) {
    if (t->p < t->end && *t->p == '"') return read_quoted(t, &t->name, out);
    return read_bare(t, label, out);
}

/* A number as far as the next blank: decimal, NaN, or an infinity in any case. */
static bool read_number(struct text_in *t, double *out) {
    static const struct {
        const char *text;
        double value;
    } words[] = {{"nan", __builtin_nan("")},     {"inf", __builtin_inf()},      {"+inf", __builtin_inf()},
                 {"-inf", -__builtin_inf()},     {"infinity", __builtin_inf()}, {"+infinity", __builtin_inf()},
                 {"-infinity", -__builtin_inf()}};
    const unsigned char *start = t->p;
    while (t->p < t->end && !is_blank(*t->p) && *t->p != '\n' && *t->p != '\r') t->p++;
    struct str s = str_span(start, (size_t)(t->p - start));
    for (size_t i = 0; i < LENGTH(words); i++)
        if (str_equal_nocase(s, str_of(words[i].text))) {
            *out = words[i].value;
            return true;
        }
    if (s.n > 1 && s.p[0] == '+') s = (struct str){s.p + 1, s.n - 1};
    err e = s.n ? parse_f64(s, out) : err_new(ERR_INVALID, "nothing");
    if (!e) return true;
    err_free(e);
    t->p = start;
    return fail(t, "expected a number");
}

/* Seconds of OpenMetrics, or whole ms. */
static bool read_time(struct text_in *t, int64_t *out) {
    const unsigned char *start = t->p;
    double v;
    if (!t->open_metrics) {
        while (!at_end_of_line(t) && !is_blank(*t->p) && *t->p != '\r') t->p++;
        err e = parse_i64(str_span(start, (size_t)(t->p - start)), out);
        if (!e) return true;
        err_free(e);
        t->p = start;
        return fail(t, "expected a time in whole milliseconds");
    }
    if (!read_number(t, &v)) return false;
    if (v >= -9e15 && v <= 9e15) {
        *out = (int64_t)(v * 1000);
        return true;
    }
    t->p = start;
    return fail(t, "expected a time in seconds");
}

/* The rest of the line, without a carriage return at its end. */
static struct str rest_of_line(struct text_in *t) {
    const unsigned char *start = t->p;
    while (t->p < t->end && *t->p != '\n') t->p++;
    if (t->p > start && t->p[-1] == '\r' && !t->open_metrics) t->p--;
    return str_span(start, (size_t)(t->p - start));
}

/* ---- labels --------------------------------------------------------------------------------------------------------------- */

/* A bound as Prometheus 3 keeps it; text that is no number stays. */
static struct str normal_bound(struct str text, char out[static 40]) {
    double v;
    struct buf b;
    if (str_equal_nocase(text, STR("inf")) || str_equal_nocase(text, STR("+inf"))) return STR("+Inf");
    err e = parse_f64(text, &v);
    if (e) {
        err_free(e);
        return text;
    }
    buf_init(&b, 32);
    put_f64(&b, v);
    bool plain = true;
    for (size_t i = 0; i < b.n; i++) plain &= (b.p[i] >= '0' && b.p[i] <= '9') || b.p[i] == '-';
    size_t n = b.n;
    memcpy(out, b.p, n);
    if (plain) memcpy(out + n, ".0", 2);
    buf_done(&b);
    return (struct str){out, n + (plain ? 2 : 0)};
}

/* Which samples of the line's family have a bound under which label. */
static bool is_bound(const struct text_in *t, struct str metric, struct str label) {
    if (!t->family.any) return false;
    bool histogram = t->family.type == METRIC_TYPE_HISTOGRAM || t->family.type == METRIC_TYPE_GAUGEHISTOGRAM;
    if (histogram) return str_equal(label, STR("le")) && str_ends_with(metric, STR("_bucket"));
    return t->family.type == METRIC_TYPE_SUMMARY && str_equal(label, STR("quantile"));
}

/* Whether the sample's own label of this name gives way; if it does not, what is given of this name will. */
static bool gives_way(struct text_in *t, struct str label) {
    for (uint32_t i = 0; i < t->d->given_n; i++) {
        if (!str_equal(t->d->given[i].name, label)) continue;
        if (!t->d->given_yields) return true;
        t->own[i / 64] |= (uint64_t)1 << i % 64;
    }
    return false;
}

/* Those of an exemplar stay as they are. */
static bool put_given(struct text_in *t) {
    for (uint32_t i = 0; i < t->d->given_n; i++)
        if (!(t->own[i / 64] >> i % 64 & 1) && !points_scratch_label(t->d, t->d->given[i].name, t->d->given[i].value))
            return false;
    memset(t->own, 0, (t->d->given_n + 63) / 64 * sizeof *t->own);
    return true;
}

/* {…} behind or instead of a name; labels go to d->scratch. *name gets a quoted name that stands alone. */
static bool read_labels(struct text_in *t, struct str *name, uint64_t *base) {
    char bound[40];
    t->p++;
    for (;;) {
        struct str label, value;
        if (!t->open_metrics) skip_blanks(t);
        if (t->p < t->end && *t->p == '}') break;
        bool quoted = t->p < t->end && *t->p == '"';
        if (!read_name(t, true, &label)) return false;
        if (!t->open_metrics) skip_blanks(t);
        if (quoted && name && !name->n && t->p < t->end && (*t->p == ',' || *t->p == '}')) {
            if (!label.n) return fail(t, "expected the name of a metric");
            if (!points_scratch_label(t->d, STR("__name__"), label)) return false;
            buf_clear(&t->metric);
            buf_add_str(&t->metric, label);
            *name = buf_str(&t->metric);
        } else {
            if (t->p == t->end || *t->p != '=') return fail(t, "expected =");
            t->p++;
            if (!t->open_metrics) skip_blanks(t);
            if (t->p == t->end || *t->p != '"') return fail(t, "expected a quote");
            if (!read_quoted(t, &t->value, &value)) return false;
            bool is_le = name && is_bound(t, *name, label);
            if (!is_le) *base = hash_keyed(hash_keyed(*base, hash_fast(label.p, label.n)), hash_fast(value.p, value.n));
            if (is_le) value = normal_bound(value, bound);
            if (!(name && gives_way(t, label)) && !points_scratch_label(t->d, label, value)) return false;
        }
        if (!t->open_metrics) skip_blanks(t);
        if (t->p < t->end && *t->p == ',')
            t->p++;
        else if (t->p == t->end || *t->p != '}')
            return fail(t, "expected , or }");
    }
    t->p++;
    return true;
}

/* ---- samples -------------------------------------------------------------------------------------------------------------- */

/* Whether a sample of that name is of the family: the name itself, or with a suffix that its type has. */
static bool is_of_family(const struct text_in *t, struct str name) {
    static const struct {
        struct str suffix;
        uint32_t types;
    } suffixes[] = {{STR(""), UINT32_MAX},
                    {STR("_total"), 1 << METRIC_TYPE_COUNTER},
                    {STR("_created"), 1 << METRIC_TYPE_COUNTER | 1 << METRIC_TYPE_HISTOGRAM | 1 << METRIC_TYPE_SUMMARY},
                    {STR("_bucket"), 1 << METRIC_TYPE_HISTOGRAM | 1 << METRIC_TYPE_GAUGEHISTOGRAM},
                    {STR("_sum"), 1 << METRIC_TYPE_HISTOGRAM | 1 << METRIC_TYPE_SUMMARY},
                    {STR("_count"), 1 << METRIC_TYPE_HISTOGRAM | 1 << METRIC_TYPE_SUMMARY},
                    {STR("_gsum"), 1 << METRIC_TYPE_GAUGEHISTOGRAM},
                    {STR("_gcount"), 1 << METRIC_TYPE_GAUGEHISTOGRAM},
                    {STR("_info"), 1 << METRIC_TYPE_INFO}};
    if (!t->family.any) return false;
    struct str family = strings_get(&t->d->b.strings, t->family.name_id);
    if (!str_starts_with(name, family)) return false;
    struct str tail = {name.p + family.n, name.n - family.n};
    for (size_t i = 0; i < LENGTH(suffixes); i++)
        if (str_equal(tail, suffixes[i].suffix)) return suffixes[i].types >> t->family.type & 1;
    return false;
}

/* The start of the samples of one metric, from its _created sample: of those before it and behind. */
static void note_start(struct text_in *t, struct str name, bool of_family, uint64_t base, double value) {
    struct points_builder *b = &t->d->b;
    if (!t->open_metrics || !of_family) {
        t->group = 0;
        return;
    }
    if (base != t->group) {
        t->group = base;
        t->group_first = b->n - 1;
        t->group_start = 0;
    }
    bool created = str_ends_with(name, STR("_created")) && t->family.type != METRIC_TYPE_GAUGE;
    if (created && !t->group_start && value > 0 && value < 9e15) {
        t->group_start = (uint64_t)(int64_t)(value * 1000);
        for (uint32_t i = t->group_first; i < b->n; i++) b->start[i] = t->group_start;
    }
    b->start[b->n - 1] = t->group_start;
}

static bool read_exemplar(struct text_in *t) {
    struct points_decoder *d = t->d;
    struct points_exemplar e = {.series = (uint32_t)d->b.series.n - 1, .point = d->b.n - 1, .kind = POINT_DOUBLE};
    const unsigned char *start = t->p;
    struct hash128 hash;
    const char *bad = NULL;
    double value;
    int64_t time = 0;
    uint64_t base = 0;
    t->p++;
    if (!pass_blank(t)) return false;
    if (t->p == t->end || *t->p != '{') return fail(t, "expected the labels of an exemplar");
    buf_clear(&d->scratch);
    if (!read_labels(t, NULL, &base) || !pass_blank(t) || !read_number(t, &value)) return false;
    if (!at_end_of_line(t) && (!pass_blank(t) || !read_time(t, &time))) return false;
    if (!points_labels(d, LABELS_EXEMPLAR, buf_str(&d->scratch), &hash, &e.labels, &bad)) return false;
    if (bad) return points_fault(d, start, ERR_INVALID, bad);
    e.value = double_bits(value);
    e.time = (uint64_t)time;
    if (!points_room(d, d->b.exemplars, start)) return false;
    *vec_push(&d->b.exemplars) = e;
    return true;
}

/* What follows the value: a time, then an exemplar. */
static bool read_sample_tail(struct text_in *t, int64_t *time, const unsigned char **exemplar) {
    *exemplar = NULL;
    if (!t->open_metrics) skip_blanks(t);
    if (at_end_of_line(t)) return true;
    if (t->open_metrics && !pass_blank(t)) return false;
    if (t->p == t->end || *t->p != '#') {
        if (!read_time(t, time)) return false;
        if (!t->open_metrics) skip_blanks(t);
        if (at_end_of_line(t)) return true;
        if (t->open_metrics && !pass_blank(t)) return false;
    }
    if (!t->open_metrics || t->p == t->end || *t->p != '#') return fail(t, "expected the end of the line");
    *exemplar = t->p;
    return true;
}

static bool keep_sample(struct text_in *t, const unsigned char *start, struct str name, uint64_t base, double value,
                        int64_t time, bool *out_kept) {
    struct points_decoder *d = t->d;
    struct series_labels labels;
    uint32_t point;
    const char *bad = NULL;
    *out_kept = false;
    if (!points_series_labels(d, LABELS_SERIES, buf_str(&d->scratch), &labels, &bad)) return false;
    if (bad) return points_fault(d, start, ERR_INVALID, bad);
    int reason = points_time_reason(d, time);
    if (reason != POINT_TAKEN) {
        points_refuse(d, (enum points_reason)reason, 1, NULL);
        return true;
    }
    bool of_family = is_of_family(t, name);
    if (!points_add(d, start, of_family ? t->family.row : 0, &labels, points_hash_named(labels.hash))) return false;
    if (!points_add_point(d, start, &point)) return false;
    d->b.time[point] = (uint64_t)time;
    d->b.value[point] = double_bits(value);
    d->b.kind[point] = POINT_DOUBLE;
    note_start(t, name, of_family, base, value);
    *out_kept = true;
    return true;
}

static bool read_sample(struct text_in *t) {
    struct points_decoder *d = t->d;
    const unsigned char *start = t->p, *exemplar;
    struct str name = {0};
    uint64_t base = 1;
    double value;
    int64_t time = d->limits->now / 1000000;
    bool kept;
    buf_clear(&d->scratch);
    if (*t->p != '{') {
        if (!read_bare(t, false, &name) || !points_scratch_label(d, STR("__name__"), name)) return false;
        if (!t->open_metrics) skip_blanks(t);
    }
    if (t->p < t->end && *t->p == '{' && !read_labels(t, &name, &base)) return false;
    if (!name.n) return fail(t, "expected the name of a metric");
    if (!put_given(t)) return false;
    if (t->open_metrics && !pass_blank(t)) return false;
    if (!t->open_metrics) skip_blanks(t);
    if (!read_number(t, &value) || !read_sample_tail(t, &time, &exemplar)) return false;
    if (!keep_sample(t, start, name, base, value, time, &kept)) return false;
    if (!exemplar) return true;
    if (kept) return read_exemplar(t);
    rest_of_line(t);
    return true;
}

/* ---- metadata -------------------------------------------------------------------------------------------------------------- */

static bool begin_family(struct text_in *t, struct str name) {
    struct points_decoder *d = t->d;
    if (!utf8_is_valid(name)) return fail(t, "a name that is not UTF-8");
    if (t->family.any && str_equal(strings_get(&d->b.strings, t->family.name_id), name)) return true;
    if (!points_room(d, d->b.metrics, t->p)) return false;
    t->family = (struct family){.any = true, .row = (uint32_t)d->b.metrics.n, .name_id = points_text(d, wire_of(name))};
    t->group = 0;
    *vec_push(&d->b.metrics) = (struct points_metric){.name = t->family.name_id};
    return !d->fault.what;
}

static bool read_type(struct text_in *t, struct str text) {
    static const char *const types[METRIC_TYPES] = {"unknown",        "counter", "gauge", "histogram",
                                                    "gaugehistogram", "summary", "info",  "stateset"};
    for (uint32_t i = 0; i < METRIC_TYPES; i++) {
        if (!str_equal(text, str_of(types[i]))) continue;
        t->family.type = (enum metric_type)i;
        t->d->b.metrics.v[t->family.row].kind = i;
        return true;
    }
    if (str_equal(text, STR("untyped")) && !t->open_metrics) return true;
    return fail(t, "expected a type: counter, gauge, histogram, gaugehistogram, summary, info, stateset, unknown");
}

/* The help text: \\ and \n, in OpenMetrics \" too. */
static bool read_help(struct text_in *t, struct str text) {
    buf_clear(&t->value);
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i], next = i + 1 < text.n ? text.p[i + 1] : 0;
        bool escape = c == '\\' && (next == '\\' || next == 'n' || (next == '"' && t->open_metrics));
        buf_add_byte(&t->value, !escape ? c : next == 'n' ? '\n' : next);
        i += escape;
    }
    if (t->value.full) return points_fault(t->d, t->p, ERR_LIMIT, "a string over 16 MiB");
    if (!utf8_is_valid(buf_str(&t->value))) return fail(t, "a help text that is not UTF-8");
    t->d->b.metrics.v[t->family.row].description = points_text(t->d, wire_of(buf_str(&t->value)));
    return !t->d->fault.what;
}

static bool read_unit(struct text_in *t, struct str text) {
    struct str family = strings_get(&t->d->b.strings, t->family.name_id);
    bool fits =
        text.n == 0 || (family.n > text.n + 1 && str_ends_with(family, text) && family.p[family.n - text.n - 1] == '_');
    if (!fits) return fail(t, "expected a unit with which the name of the metric ends");
    t->d->b.metrics.v[t->family.row].unit = points_text(t->d, wire_of(text));
    return !t->d->fault.what;
}

/* A line that begins with #; *out_eof: it was # EOF. */
static bool read_comment(struct text_in *t, bool *out_eof) {
    static const struct {
        struct str word;
        bool (*read)(struct text_in *, struct str);
    } words[] = {{STR("TYPE"), read_type}, {STR("HELP"), read_help}, {STR("UNIT"), read_unit}};
    const unsigned char *line = t->p;
    struct str whole = rest_of_line(t), name;
    *out_eof = t->open_metrics && str_equal(whole, STR("# EOF"));
    if (*out_eof) return true;
    t->p = line + 1;
    if (t->open_metrics && (t->p == t->end || *t->p != ' ')) return fail(t, "expected # TYPE, # HELP, # UNIT or # EOF");
    skip_blanks(t);
    for (size_t i = 0; i < LENGTH(words); i++) {
        struct str rest = str_span(t->p, (size_t)((const unsigned char *)whole.p + whole.n - t->p));
        if (!str_starts_with(rest, words[i].word) || rest.n == words[i].word.n ||
            !is_blank((unsigned char)rest.p[words[i].word.n]))
            continue;
        if (i == 2 && !t->open_metrics) break; /* a comment there */
        t->p += words[i].word.n;
        if (!pass_blank(t) || !read_name(t, false, &name) || !begin_family(t, name)) return false;
        if (!at_end_of_line(t) && !pass_blank(t)) return false;
        const unsigned char *value = t->p;
        struct str text = rest_of_line(t);
        const unsigned char *end = t->p;
        t->p = value;
        if (!words[i].read(t, i == 1 ? text : t->open_metrics ? text : str_trim(text))) return false;
        t->p = end;
        return true;
    }
    if (t->open_metrics) return fail(t, "expected # TYPE, # HELP, # UNIT or # EOF");
    rest_of_line(t);
    return true;
}

/* ---- bodies ----------------------------------------------------------------------------------------------------------------- */

static bool read_line(struct text_in *t, bool *out_eof) {
    *out_eof = false;
    if (!t->open_metrics) skip_blanks(t);
    bool empty = at_end_of_line(t);
    if (empty && t->open_metrics) return fail(t, "expected no empty line");
    if (!empty && !(*t->p == '#' ? read_comment(t, out_eof) : read_sample(t))) return false;
    if (at_end_of_line(t) && t->p < t->end && *t->p == '\r') t->p++;
    return t->p == t->end || *t->p == '\n' || fail(t, "expected the end of the line");
}

static bool read_body(struct text_in *t) {
    bool eof = false;
    while (t->p < t->end) {
        if (!read_line(t, &eof)) return false;
        if (t->p < t->end) t->p++;
        if (eof) break;
    }
    if (!t->open_metrics) return true;
    if (!eof) return fail(t, "expected # EOF");
    return t->p == t->end || fail(t, "expected nothing behind # EOF");
}

static bool decode(struct points_decoder *d, struct str body, bool open_metrics) {
    const unsigned char *p = wire_of(body).p;
    struct text_in t = {.d = d, .open_metrics = open_metrics, .p = p, .end = p ? p + body.n : p};
    buf_init(&t.name, ANY_STRING_MAX);
    buf_init(&t.value, ANY_STRING_MAX);
    buf_init(&t.metric, ANY_STRING_MAX);
    bool ok = read_body(&t);
    buf_done(&t.name);
    buf_done(&t.value);
    buf_done(&t.metric);
    return ok;
}

static bool decode_plain(struct points_decoder *d, struct str body) { return decode(d, body, false); }
static bool decode_open(struct points_decoder *d, struct str body) { return decode(d, body, true); }

static err text_err(const struct points_decoder *d, struct str body) {
    size_t line = 1, column = 1;
    const struct fault *f = &d->fault;
    if (!f->at) return err_new(f->kind, "%s", f->what);
    for (const char *p = body.p; p < (const char *)f->at; p++) {
        column = *p == '\n' ? 1 : column + 1;
        line += *p == '\n';
    }
    return err_new(f->kind, "line %zu, column %zu: %s", line, column, f->what);
}

static err decode_given(struct points_decoder *d, enum points_text_format format, struct str body,
                        const struct points_label *labels, uint32_t label_count, bool yields,
                        const struct otlp_limits *limits, struct points_result *out) {
    points_request request = format == POINTS_OPENMETRICS ? decode_open : decode_plain;
    if (label_count > NAMED_LABELS_MAX)
        return err_new(ERR_LIMIT, "more than %d labels for all samples", NAMED_LABELS_MAX);
    d->given = labels;
    d->given_n = label_count;
    d->given_yields = yields;
    return points_run(d, POINTS_PROMETHEUS, request, body, limits, out) ? NULL : text_err(d, body);
}

err points_decode_import(struct points_decoder *d, enum points_text_format format, struct str body,
                         const struct points_label *labels, uint32_t label_count, const struct otlp_limits *limits,
                         struct points_result *out) {
    return decode_given(d, format, body, labels, label_count, false, limits, out);
}

err points_decode_honoring(struct points_decoder *d, enum points_text_format format, struct str body,
                           const struct points_label *labels, uint32_t label_count, const struct otlp_limits *limits,
                           struct points_result *out) {
    return decode_given(d, format, body, labels, label_count, true, limits, out);
}

err points_decode_text(struct points_decoder *d, enum points_text_format format, struct str body,
                       const struct otlp_limits *limits, struct points_result *out) {
    return points_decode_import(d, format, body, NULL, 0, limits, out);
}
