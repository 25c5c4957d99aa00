/* /federate: the newest sample of each series that match[] takes, as an exposition. */
#include <stdlib.h>

#include "api/prometheus/prometheus_priv.h"
#include "base/text.h"
#include "query/promql/number.h"

enum { LOOKBACK_MS = 300000, HISTOGRAM_BYTES_MAX = 16 << 20 };

struct federated {
    struct labels labels;
    int64_t ms;
    double value;
};

struct federation {
    struct federated *v;
    size_t n, capacity;
    bool openmetrics, any_name; /* any_name: whoever asks reads names that are UTF-8 */
};

/* ---- what is asked for ------------------------------------------------------------------------------------------ */

/* The weight that Accept gives a type, in thousandths; -1: it does not name it. */
static int64_t weight_of(struct str accept, struct str type) {
    struct str rest = accept, item, head, parameters, one, name, value;
    for (bool more = accept.n > 0; more;) {
        more = str_cut(rest, ',', &item, &rest);
        bool tail = str_cut(item, ';', &head, &parameters);
        if (!str_equal_nocase(str_trim(head), type)) continue;
        double q = 1;
        while (tail) {
            tail = str_cut(parameters, ';', &one, &parameters);
            if (str_cut(str_trim(one), '=', &name, &value) && str_equal(name, STR("q"))) {
                err e = parse_f64(str_trim(value), &q);
                if (e) q = 0;
                err_free(e);
            }
        }
        return (int64_t)(q * 1000);
    }
    return -1;
}

static void negotiate(const struct api_call *c, struct federation *f) {
    struct str accept = c->request.accept;
    int64_t openmetrics = weight_of(accept, STR("application/openmetrics-text"));
    f->openmetrics = openmetrics > 0 && openmetrics > weight_of(accept, STR("text/plain"));
    f->any_name = str_contains(accept, STR("escaping=allow-utf-8"));
}

/* ---- the samples ------------------------------------------------------------------------------------------------ */

static err add_sample(struct prometheus *p, struct federation *f, struct labels labels, int64_t ms, double value) {
    if (f->n == f->capacity) {
        size_t capacity = f->capacity ? f->capacity * 2 : 256;
        struct federated *v = arena_array(&p->q.arena, struct federated, capacity);
        if (!v) return arena_err(&p->q.arena);
        if (f->n) memcpy(v, f->v, f->n * sizeof *v);
        f->v = v;
        f->capacity = capacity;
    }
    f->v[f->n++] = (struct federated){labels, ms, value};
    return NULL;
}

/* Native histograms have no text, so their series are left out. */
static err read_newest(struct prometheus *p, struct series_found *found, int64_t now_ms, struct federation *f) {
    struct samples s;
    err e = NULL;
    samples_init(&s, HISTOGRAM_BYTES_MAX);
    for (uint32_t i = 0; i < series_found_count(found) && !e; i++) {
        e = series_source_step(&p->source);
        if (!e) e = series_found_read(found, i, &s);
        if (e || s.n == 0) continue;
        int64_t ms = series_floor_ms(s.times_ns[s.n - 1]);
        if (ms > now_ms || samples_histogram(&s, s.n - 1) || value_is_stale(s.values[s.n - 1])) continue;
        e = add_sample(p, f, series_found_labels(found, i), ms, s.values[s.n - 1]);
    }
    samples_done(&s);
    return e;
}

static int by_name_and_labels(const void *x, const void *y) {
    return label_set_compare(((const struct federated *)x)->labels, ((const struct federated *)y)->labels);
}

static err find_samples(struct prometheus *p, const struct prometheus_matches *m, struct federation *f) {
    int64_t now_ms = series_floor_ms(p->c->now_ns);
    for (size_t i = 0; i < m->n; i++) {
        struct series_found *found;
        TRY(prometheus_select(p, m, i, now_ms - LOOKBACK_MS + 1, now_ms, 0, (struct series_wish){SERIES_SAMPLES, 0},
                              &found));
        err e = read_newest(p, found, now_ms, f);
        series_found_free(found);
        TRY(e);
    }
    if (f->n) qsort(f->v, f->n, sizeof *f->v, by_name_and_labels);
    return NULL;
}

/* ---- the exposition --------------------------------------------------------------------------------------------- */

static bool is_plain(struct str name, bool colon) {
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon && c == ':');
        if (!letter && !(i && c >= '0' && c <= '9')) return false;
    }
    return name.n > 0;
}

static void put_escaped(struct buf *out, struct str text) {
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '\\' || c == '"') buf_add_byte(out, '\\');
        if (c == '\n')
            buf_add_text(out, "\\n");
        else
            buf_add_byte(out, c);
    }
}

static void put_quoted(struct buf *out, struct str text) {
    buf_add_byte(out, '"');
    put_escaped(out, text);
    buf_add_byte(out, '"');
}

/* A name as whoever asks can read it: quoted, or with _ for what may not be in one. */
static void put_name(struct buf *out, struct str name, bool any_name, bool colon) {
    if (is_plain(name, colon)) return buf_add_str(out, name);
    if (any_name) return put_quoted(out, name);
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (((unsigned char)c & 0xc0) == 0x80) continue; /* one _ a character */
        bool good = is_plain((struct str){&c, 1}, colon) || (c >= '0' && c <= '9');
        if (i == 0 && c >= '0' && c <= '9') buf_add_byte(out, '_');
        buf_add_byte(out, good ? c : '_');
    }
}

static void put_labels(struct buf *out, const struct federation *f, struct labels labels, bool quoted_name) {
    bool any = false, has_instance = false;
    buf_add_byte(out, '{');
    if (quoted_name) put_quoted(out, label_set_get(labels, METRIC_NAME));
    any = quoted_name;
    for (uint32_t i = 0; i < labels.n; i++) {
        if (str_equal(labels.v[i].name, METRIC_NAME)) continue;
        has_instance |= str_equal(labels.v[i].name, STR("instance"));
        if (any) buf_add_byte(out, ',');
        put_name(out, labels.v[i].name, f->any_name, false);
        buf_add_byte(out, '=');
        put_quoted(out, labels.v[i].value);
        any = true;
    }
    if (!has_instance) buf_add_text(out, any ? ",instance=\"\"" : "instance=\"\"");
    buf_add_byte(out, '}');
}

static void put_value(struct buf *out, const struct federation *f, double v) {
    size_t from = out->n;
    put_go_general(out, v);
    bool whole = true;
    for (size_t i = from; i < out->n; i++) whole &= out->p[i] == '-' || (out->p[i] >= '0' && out->p[i] <= '9');
    if (whole && f->openmetrics) buf_add_text(out, ".0");
}

static void put_sample(struct buf *out, const struct federation *f, const struct federated *s, bool first) {
    struct str name = label_set_get(s->labels, METRIC_NAME);
    bool quoted = f->any_name && !is_plain(name, true);
    if (first) {
        buf_add_text(out, "# TYPE ");
        put_name(out, name, f->any_name, true);
        buf_add_text(out, f->openmetrics ? " unknown\n" : " untyped\n");
    }
    if (!quoted) put_name(out, name, false, true);
    put_labels(out, f, s->labels, quoted);
    buf_add_byte(out, ' ');
    put_value(out, f, s->value);
    buf_add_byte(out, ' ');
    if (f->openmetrics)
        prometheus_put_time(out, s->ms);
    else
        put_i64(out, s->ms);
    buf_add_byte(out, '\n');
}

static err put_samples(struct prometheus *p, const struct federation *f) {
    struct buf *out = &p->a.body;
    struct str last = STR("");
    for (size_t i = 0; i < f->n; i++) {
        struct str name = label_set_get(f->v[i].labels, METRIC_NAME);
        if (!name.n || (i && label_set_equal(f->v[i].labels, f->v[i - 1].labels))) continue;
        put_sample(out, f, &f->v[i], !str_equal(name, last));
        last = name;
        TRY(answer_settle(&p->a));
    }
    if (f->openmetrics) buf_add_text(out, "# EOF\n");
    return NULL;
}

static err fill_federate(struct prometheus *p, struct api_reply *reply) {
    struct prometheus_matches *m = arena_new(&p->q.arena, struct prometheus_matches);
    struct federation f = {0};
    if (!m) return arena_err(&p->q.arena);
    negotiate(p->c, &f);
    TRY(prometheus_matches(p, m));
    err e = find_samples(p, m, &f);
    prometheus_matches_done(m);
    TRY(e);
    TRY(put_samples(p, &f));
    if (f.openmetrics)
        reply->content_type =
            f.any_name ? STR("application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8")
                       : STR("application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores");
    else
        reply->content_type = f.any_name ? STR("text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8")
                                         : STR("text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
    return NULL;
}

void handle_prometheus_federate(struct api_call *c) { prometheus_answer_as(c, fill_federate); }
