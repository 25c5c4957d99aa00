/* Attributes, resources and scopes → label sets. */
#include <stdlib.h>

#include "base/text.h"
#include "signal/metrics/translate_priv.h"
#include "signal/otlp.h"

enum { EXEMPLAR_CHARACTERS_MAX = 128, TEXT_MAX = 64 << 20 };

struct translator *translator_new(const struct translation *settings) {
    struct translator *t = mem_new_of(struct translator);
    struct buf *bufs[] = {&t->name, &t->shared.text, &t->point.text, &t->other.text, &t->number, &t->series};
    t->settings = *settings;
    for (size_t i = 0; i < LENGTH(bufs); i++) buf_init(bufs[i], TEXT_MAX);
    return t;
}

void translator_free(struct translator *t) {
    if (!t) return;
    struct buf *bufs[] = {&t->name, &t->shared.text, &t->point.text, &t->other.text, &t->number, &t->series};
    for (size_t i = 0; i < LENGTH(bufs); i++) buf_done(bufs[i]);
    vec_done(&t->shared.v);
    vec_done(&t->point.v);
    vec_done(&t->other.v);
    points_lists_done(&t->lists);
    mem_free(t);
}

void translator_forget(struct translator *t) { t->from = NULL; }

/* ---- numbers ---------------------------------------------------------------------------------------------------------- */

void prom_put_decimal(double v, struct buf *out) {
    AUTO_BUF struct buf text;
    buf_init(&text, 64);
    put_f64(&text, v);
    struct str mantissa, exponent_text, whole, fraction = {0};
    int64_t exponent = 0;
    if (!str_cut(buf_str(&text), 'e', &mantissa, &exponent_text)) {
        buf_add_str(out, buf_str(&text));
        return;
    }
    if (str_starts_with(exponent_text, STR("+")))
        exponent_text = (struct str){exponent_text.p + 1, exponent_text.n - 1};
    err_free(parse_i64(exponent_text, &exponent));
    if (!str_cut(mantissa, '.', &whole, &fraction)) fraction = STR("");
    bool negative = str_starts_with(whole, STR("-"));
    if (negative) whole = (struct str){whole.p + 1, whole.n - 1};
    if (negative) buf_add_byte(out, '-');
    int64_t point = (int64_t)whole.n + exponent, n = (int64_t)(whole.n + fraction.n);
    if (point <= 0) buf_add_text(out, "0.");
    for (int64_t i = point; i < 0; i++) buf_add_byte(out, '0');
    for (int64_t i = 0; i < n; i++) {
        if (i == point && i > 0) buf_add_byte(out, '.');
        buf_add_byte(out, i < (int64_t)whole.n ? whole.p[i] : fraction.p[i - (int64_t)whole.n]);
    }
    for (int64_t i = n; i < point; i++) buf_add_byte(out, '0');
}

/* ---- sets of labels --------------------------------------------------------------------------------------------------- */

static void set_clear(struct label_set *s) {
    buf_clear(&s->text);
    vec_clear(&s->v);
}

static struct str text_at(const struct label_set *s, uint32_t at, uint32_t n) {
    return (struct str){s->text.p + at, n};
}

/* Begins a label; its name, then its value are appended to s->text by the caller. */
static struct made_label *label_begin(struct label_set *s, enum label_rank rank) {
    struct made_label *l = vec_push(&s->v);
    *l = (struct made_label){.name = (uint32_t)s->text.n, .order = (uint32_t)s->v.n, .rank = rank};
    return l;
}
static void label_value(struct label_set *s, struct made_label *l) {
    l->name_n = (uint32_t)s->text.n - l->name;
    l->value = (uint32_t)s->text.n;
}
/* A label without a value is none. */
static void label_end(struct label_set *s, struct made_label *l) {
    l->value_n = (uint32_t)s->text.n - l->value;
    if (l->value_n && l->name_n && !s->text.full) return;
    s->text.n = l->name;
    s->v.n--;
}

static void add_text(struct label_set *s, enum label_rank rank, struct str name, struct str value) {
    struct made_label *l = label_begin(s, rank);
    buf_add_str(&s->text, name);
    label_value(s, l);
    buf_add_str(&s->text, value);
    label_end(s, l);
}

/* An attribute: `prefix` and its key as a label's name, its value as text. */
static void add_attribute(struct translator *t, struct label_set *s, enum label_rank rank, const char *prefix,
                          struct str key, struct str any) {
    AUTO_BUF struct buf name;
    buf_init(&name, TEXT_MAX);
    buf_add_text(&name, prefix);
    buf_add_str(&name, key);
    struct made_label *l = label_begin(s, rank);
    prom_label_name(t->settings.names, buf_str(&name), &s->text);
    label_value(s, l);
    value_message_text(any, &s->text);
    label_end(s, l);
}

static int compare_labels(const void *a, const void *b, void *set) {
    const struct made_label *x = a, *y = b;
    int by_name = str_compare(text_at(set, x->name, x->name_n), text_at(set, y->name, y->name_n));
    if (by_name) return by_name;
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

/* Of labels [first, end), all of one name, what is left. */
static struct made_label meet(struct label_set *s, size_t first, size_t end) {
    struct made_label last = s->v.v[end - 1];
    size_t from = end;
    while (from > first && s->v.v[from - 1].rank == last.rank) from--;
    if (last.rank != RANK_ATTRIBUTE || end - from == 1) return last;
    uint32_t at = (uint32_t)s->text.n;
    for (size_t i = from; i < end; i++) {
        if (i > from) buf_add_byte(&s->text, ';');
        size_t n = s->v.v[i].value_n;
        if (buf_reserve(&s->text, n)) buf_add(&s->text, s->text.p + s->v.v[i].value, n);
    }
    last.value = at;
    last.value_n = (uint32_t)s->text.n - at;
    return last;
}

/* In order, each name once. */
static void set_resolve(struct label_set *s) {
    size_t n = 0;
    if (s->v.n) qsort_r(s->v.v, s->v.n, sizeof *s->v.v, compare_labels, s);
    for (size_t i = 0, end; i < s->v.n; i = end) {
        struct str name = text_at(s, s->v.v[i].name, s->v.v[i].name_n);
        for (end = i + 1; end < s->v.n; end++)
            if (!str_equal(name, text_at(s, s->v.v[end].name, s->v.v[end].name_n))) break;
        struct made_label one = meet(s, i, end);
        s->v.v[n++] = one;
    }
    s->v.n = n;
}

struct attribute {
    struct str key, value;
};

static int compare_attributes(const void *a, const void *b) {
    const struct attribute *x = a, *y = b;
    int by_key = str_compare(x->key, y->key);
    return by_key ? by_key : x->key.p < y->key.p ? -1 : 1;
}

/* The attributes of a list in order of their keys; the caller frees. */
static struct attribute *sorted_attributes(struct str list, size_t *out_n) {
    VEC(struct attribute) v = {0};
    struct attribute a;
    while (points_label_next(&list, &a.key, &a.value)) *vec_push(&v) = a;
    if (v.n) qsort(v.v, v.n, sizeof *v.v, compare_attributes);
    *out_n = v.n;
    return v.v;
}

static void add_attributes(struct translator *t, struct label_set *s, enum label_rank rank, const char *prefix,
                           struct str list) {
    size_t n;
    AUTO_FREE struct attribute *a = sorted_attributes(list, &n);
    for (size_t i = 0; i < n; i++) add_attribute(t, s, rank, prefix, a[i].key, a[i].value);
}

/* ---- what points of one metric share ------------------------------------------------------------------------------------ */

/* The text of an attribute, or nothing. */
static void put_attribute_text(struct str list, struct str key, struct buf *out) {
    struct str name, value;
    while (points_label_next(&list, &name, &value)) {
        if (!str_equal(name, key)) continue;
        value_message_text(value, out);
        return;
    }
}

/* job and instance, which say whom a series is of. */
static void add_target(struct label_set *s, struct str resource) {
    struct made_label *job = label_begin(s, RANK_TARGET);
    buf_add_text(&s->text, "job");
    label_value(s, job);
    put_attribute_text(resource, STR("service.namespace"), &s->text);
    if (s->text.n > job->value) buf_add_byte(&s->text, '/');
    size_t before = s->text.n;
    put_attribute_text(resource, STR("service.name"), &s->text);
    if (s->text.n == before) s->text.n = job->value; /* a namespace alone names nothing */
    label_end(s, job);
    struct made_label *instance = label_begin(s, RANK_TARGET);
    buf_add_text(&s->text, "instance");
    label_value(s, instance);
    put_attribute_text(resource, STR("service.instance.id"), &s->text);
    label_end(s, instance);
}

static void add_scope(struct translator *t, struct label_set *s, const struct points *from,
                      const struct points_scope *scope) {
    if (!t->settings.scope_labels) return;
    add_attributes(t, s, RANK_TARGET, "otel_scope_", points_string(from, scope->attributes));
    add_text(s, RANK_TARGET, STR("otel_scope_name"), points_string(from, scope->name));
    add_text(s, RANK_TARGET, STR("otel_scope_version"), points_string(from, scope->version));
    add_text(s, RANK_TARGET, STR("otel_scope_schema_url"), points_string(from, scope->schema_url));
}

static void add_promoted(struct translator *t, struct label_set *s, struct str resource) {
    struct str key, value;
    while (points_label_next(&resource, &key, &value))
        for (uint32_t i = 0; i < t->settings.promoted_n; i++)
            if (str_equal(key, t->settings.promoted[i])) add_attribute(t, s, RANK_PROMOTED, "", key, value);
}

/* The type that Prometheus has for it; what a translation from there once noted wins. */
static uint32_t type_of(const struct points *from, const struct points_metric *m, struct buf *text) {
    static const struct {
        struct str name;
        uint32_t kind; /* it must be one of, beside gauges */
        enum metric_type type;
    } noted[] = {{STR("unknown"), METRIC_GAUGE, METRIC_TYPE_UNKNOWN},
                 {STR("info"), METRIC_SUM, METRIC_TYPE_INFO},
                 {STR("stateset"), METRIC_SUM, METRIC_TYPE_STATESET}};
    static const enum metric_type types[METRIC_KINDS] = {METRIC_TYPE_UNKNOWN,   METRIC_TYPE_GAUGE,
                                                         METRIC_TYPE_GAUGE,     METRIC_TYPE_HISTOGRAM,
                                                         METRIC_TYPE_HISTOGRAM, METRIC_TYPE_SUMMARY};
    buf_clear(text);
    put_attribute_text(points_string(from, m->metadata), STR("prometheus.type"), text);
    for (size_t i = 0; i < LENGTH(noted); i++)
        if (str_equal(buf_str(text), noted[i].name) && !m->monotonic &&
            (m->kind == noted[i].kind || m->kind == METRIC_GAUGE))
            return noted[i].type;
    return m->kind == METRIC_SUM && m->monotonic ? METRIC_TYPE_COUNTER : types[m->kind];
}

static uint32_t add_metadata(struct translator *t, const struct points *from, const struct points_metric *m,
                             struct points_builder *to) {
    struct points_metric row = {.kind = type_of(from, m, &t->number)};
    buf_clear(&t->number);
    prom_unit_name(t->settings.names, points_string(from, m->unit), &t->number);
    row.name = strings_intern(&to->strings, buf_str(&t->name));
    row.unit = strings_intern(&to->strings, buf_str(&t->number));
    row.description = strings_intern(&to->strings, points_string(from, m->description));
    if (memcmp(&row, &to->metrics.v[to->metrics.n - 1], sizeof row) != 0) *vec_push(&to->metrics) = row;
    return (uint32_t)to->metrics.n - 1;
}

bool translator_metric(struct translator *t, const struct points *from, uint32_t metric, struct points_builder *to) {
    const struct points_metric *m = &from->metrics[metric];
    if (t->from == from && t->metric == metric) return t->name.n > 0;
    struct str resource = points_string(from, from->resources[m->resource].attributes);
    t->from = from;
    t->metric = metric;
    buf_clear(&t->name);
    if (!m->name) return false; /* a unit and a suffix alone name nothing */
    if (!prom_metric_name(t->settings.names, points_string(from, m->name), points_string(from, m->unit), m->kind,
                          m->monotonic, &t->name))
        return false;
    t->metadata = add_metadata(t, from, m, to);
    set_clear(&t->shared);
    add_promoted(t, &t->shared, resource);
    add_scope(t, &t->shared, from, &from->scopes[m->scope]);
    add_target(&t->shared, resource);
    return true;
}

/* ---- the labels of a series --------------------------------------------------------------------------------------------- */

void translator_point(struct translator *t, struct str attributes) {
    set_clear(&t->point);
    buf_add_str(&t->point.text, buf_str(&t->shared.text));
    for (size_t i = 0; i < t->shared.v.n; i++) *vec_push(&t->point.v) = t->shared.v.v[i];
    add_attributes(t, &t->point, RANK_ATTRIBUTE, "", attributes);
    set_resolve(&t->point);
}

/* Appends the set with up to two labels that win over its own, themselves in order. */
static void put_set(const struct label_set *s, const struct attribute *extra, size_t extra_n, struct buf *out) {
    size_t e = 0;
    for (size_t i = 0; i < s->v.n || e < extra_n;) {
        struct str name = i < s->v.n ? text_at(s, s->v.v[i].name, s->v.v[i].name_n) : STR("");
        int order = i == s->v.n ? 1 : e == extra_n ? -1 : str_compare(name, extra[e].key);
        if (order >= 0) points_put_label(out, extra[e].key, extra[e].value), e++;
        if (order < 0) points_put_label(out, name, text_at(s, s->v.v[i].value, s->v.v[i].value_n));
        if (order <= 0) i++;
    }
}

uint32_t translator_series_labels(struct translator *t, struct points_builder *to, struct str suffix,
                                  struct str extra_name, struct str extra_value) {
    size_t name_n = t->name.n;
    buf_add_str(&t->name, suffix);
    struct attribute extra[] = {{STR("__name__"), buf_str(&t->name)}, {extra_name, extra_value}};
    buf_clear(&t->series);
    put_set(&t->point, extra, extra_name.n ? 2 : 1, &t->series);
    t->name.n = name_n;
    return strings_append(&to->strings, buf_str(&t->series));
}

/* Characters, not bytes. */
static size_t characters(const struct label_set *s) {
    size_t n = 0;
    for (size_t i = 0; i < s->text.n; i++) n += ((unsigned char)s->text.p[i] & 0xc0) != 0x80;
    return n;
}

static void add_id(struct label_set *s, const char *name, const void *id, size_t n) {
    static const unsigned char zero[16];
    if (memcmp(id, zero, n) == 0) return;
    struct made_label *l = label_begin(s, RANK_TARGET);
    buf_add_text(&s->text, name);
    label_value(s, l);
    put_hex(&s->text, id, n);
    label_end(s, l);
}

uint32_t translator_exemplar_labels(struct translator *t, const struct points *from, const struct points_exemplar *x,
                                    struct points_builder *to) {
    struct label_set *s = &t->other;
    set_clear(s);
    add_id(s, "trace_id", x->trace_id, 16);
    add_id(s, "span_id", &x->span_id, 8);
    size_t text_n = s->text.n, n = s->v.n;
    add_attributes(t, s, RANK_ATTRIBUTE, "", points_string(from, x->labels));
    if (characters(s) > EXEMPLAR_CHARACTERS_MAX) {
        s->text.n = text_n;
        s->v.n = n;
    }
    set_resolve(s);
    buf_clear(&t->series);
    put_set(s, NULL, 0, &t->series);
    return t->series.n ? strings_append(&to->strings, buf_str(&t->series)) : 0;
}

static bool is_identity(struct str key) {
    return str_equal(key, STR("service.name")) || str_equal(key, STR("service.namespace")) ||
           str_equal(key, STR("service.instance.id"));
}

void translate_target_info(struct translator *t, const struct points *from, uint32_t resource, uint64_t time_ns,
                           struct points_builder *to) {
    static const struct attribute name[] = {{STR("__name__"), STR("target_info")}};
    struct str list = points_string(from, from->resources[resource].attributes);
    struct label_set *s = &t->other;
    size_t attributes_n;
    AUTO_FREE struct attribute *a = sorted_attributes(list, &attributes_n);
    set_clear(s);
    add_target(s, list);
    size_t target = s->v.n;
    for (size_t i = 0; i < attributes_n; i++)
        if (!is_identity(a[i].key)) add_attribute(t, s, RANK_ATTRIBUTE, "", a[i].key, a[i].value);
    if (target == 0 || s->v.n == target) return;
    set_resolve(s);
    buf_clear(&t->series);
    put_set(s, name, 1, &t->series);
    struct points_metric row = {.kind = METRIC_TYPE_GAUGE};
    row.name = strings_intern(&to->strings, STR("target_info"));
    row.description = strings_intern(&to->strings, STR("Target metadata"));
    if (memcmp(&row, &to->metrics.v[to->metrics.n - 1], sizeof row) != 0) *vec_push(&to->metrics) = row;
    points_builder_series(to, (uint32_t)to->metrics.n - 1, strings_append(&to->strings, buf_str(&t->series)));
    uint32_t i = points_builder_point(to);
    to->time[i] = time_ns / 1000000;
    to->kind[i] = POINT_DOUBLE;
    to->value[i] = double_bits(1);
}
