#include "base/hash.h"
#include "base/text.h"
#include "ingest/scrape/scrape_priv.h"
#include "store/store.h"

#define MS ((int64_t)1000000)
#define SENTINEL_MS (INT64_MAX / MS - 1)
enum { FUTURE_MS = 600000, LABELS_BYTES_MAX = 1 << 20, ARENA_BYTES_MAX = 64 << 20 };

void digest_init(struct digest *d) {
    *d = (struct digest){.decoder = points_decoder_new()};
    points_builder_init(&d->out, POINTS_PROMETHEUS);
    arena_init(&d->arena, ARENA_BYTES_MAX);
    buf_init(&d->labels, LABELS_BYTES_MAX);
}

void digest_done(struct digest *d) {
    points_decoder_free(d->decoder);
    points_builder_done(&d->out);
    arena_done(&d->arena);
    buf_done(&d->labels);
}

void digest_begin(struct digest *d, struct scrape_target *t) {
    points_builder_clear(&d->out, POINTS_PROMETHEUS);
    series_cache_begin(&t->series);
}

struct batch_blob *digest_finish(struct digest *d) {
    return d->out.n ? points_builder_finish(&d->out) : NULL;
}

static void put_point(struct digest *d, uint64_t time_ms, uint64_t value) {
    uint32_t i = points_builder_point(&d->out);
    d->out.time[i] = time_ms;
    d->out.value[i] = value;
    d->out.kind[i] = POINT_DOUBLE;
}

static uint64_t bits_of(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

/* ---- labels of a series that is met first ---------------------------------------------------------------------------- */

static int by_length(const struct label *a, const struct label *b) {
    return a->name.n < b->name.n ? -1 : a->name.n > b->name.n;
}

/* The target's labels win; those of the sample that stood there get a name that is free: exported_ before it, as often as it takes. */
static void put_own_labels(const struct scrape_target *t, struct relabel_set *s) {
    struct label *lost = arena_array(s->arena, struct label, t->own_n + 1);
    uint32_t n = 0;
    if (!lost) {
        s->full = true;
        return;
    }
    for (uint32_t i = 0; i < t->own_n; i++) {
        struct str before = label_get(s, t->own[i].name);
        if (before.n) lost[n++] = (struct label){t->own[i].name, before};
        label_put(s, t->own[i].name, t->own[i].value);
    }
    for (uint32_t i = 1; i < n; i++) /* shortest names first: few, so by insertion */
        for (uint32_t k = i; k > 0 && by_length(&lost[k], &lost[k - 1]) < 0; k--) {
            struct label other = lost[k];
            lost[k] = lost[k - 1];
            lost[k - 1] = other;
        }
    for (uint32_t i = 0; i < n; i++) {
        AUTO_BUF struct buf name;
        buf_init(&name, LABELS_BYTES_MAX);
        buf_add_str(&name, lost[i].name);
        do {
            struct str old = arena_copy(s->arena, buf_str(&name));
            buf_clear(&name);
            buf_add_text(&name, "exported_");
            buf_add_str(&name, old);
        } while (!name.full && label_get(s, buf_str(&name)).n);
        label_put(s, arena_copy(s->arena, buf_str(&name)), lost[i].value);
    }
}

static err check_limits(const struct scrape_job *job, const struct relabel_set *s, struct str metric) {
    int shown = (int)MIN(metric.n, (size_t)50);
    if (job->labels_max && s->list.n > job->labels_max)
        return err_new(ERR_LIMIT, "label_limit exceeded (metric: %.*s, number of labels: %zu, limit: %llu)", shown,
                       metric.p, s->list.n, (unsigned long long)job->labels_max);
    for (size_t i = 0; i < s->list.n; i++) {
        const struct label *l = &s->list.v[i];
        if (job->label_name_bytes_max && l->name.n > job->label_name_bytes_max)
            return err_new(
                ERR_LIMIT,
                "label_name_length_limit exceeded (metric: %.*s, label name: %.*s, length: %zu, limit: %llu)", shown,
                metric.p, (int)MIN(l->name.n, (size_t)50), l->name.p, l->name.n,
                (unsigned long long)job->label_name_bytes_max);
        if (job->label_value_bytes_max && l->value.n > job->label_value_bytes_max)
            return err_new(ERR_LIMIT,
                           "label_value_length_limit exceeded (metric: %.*s, label name: %.*s, value: %.*s, length: "
                           "%zu, limit: %llu)",
                           shown, metric.p, (int)MIN(l->name.n, (size_t)50), l->name.p,
                           (int)MIN(l->value.n, (size_t)50), l->value.p, l->value.n,
                           (unsigned long long)job->label_value_bytes_max);
    }
    return NULL;
}

/* [a-zA-Z_][a-zA-Z0-9_]*, a metric's also with colons. */
static bool is_legacy_name(struct str name, bool colons) {
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colons && c == ':');
        if (!word && !(i && c >= '0' && c <= '9')) return false;
    }
    return name.n > 0;
}

static err check_legacy_names(const struct relabel_set *s, struct str metric) {
    bool good = is_legacy_name(metric, true);
    for (size_t i = 0; i < s->list.n && good; i++) good = is_legacy_name(s->list.v[i].name, false);
    if (good) return NULL;
    return err_new(ERR_INVALID, "invalid metric name or label names: %.*s (metric_name_validation_scheme: legacy)",
                   (int)MIN(metric.n, (size_t)50), metric.p);
}

static err label_sample(struct digest *d, struct scrape_target *t, struct str said, struct relabel_set *s,
                        uint32_t *out_row) {
    const struct scrape_job *job = t->pool->job;
    struct str name, value;
    while (points_label_next(&said, &name, &value)) label_put(s, name, value);
    if (!job->honor_labels) put_own_labels(t, s);
    *out_row = ROW_DROPPED;
    if (!relabel_apply(&job->metrics, s) || !s->list.n) return NULL;
    TRY(relabel_err(s));
    struct str metric = label_get(s, STR("__name__"));
    if (!metric.n) return err_new(ERR_INVALID, "a series without a name of its metric, after relabelling");
    if (job->legacy_names) TRY(check_legacy_names(s, metric));
    TRY(check_limits(job, s, metric));
    buf_clear(&d->labels);
    for (size_t i = 0; i < s->list.n; i++) points_put_label(&d->labels, s->list.v[i].name, s->list.v[i].value);
    if (d->labels.full) return err_new(ERR_LIMIT, "labels of one series over 1 MiB");
    *out_row = series_cache_row(&t->series, buf_str(&d->labels));
    return *out_row == ROW_DROPPED ? err_new(ERR_LIMIT, "labels of one target over 1 GiB") : NULL;
}

/* The row of a series of the body; *out_new: it was not known. */
static err find_row(struct digest *d, struct scrape_target *t, const struct points *p, uint32_t series, uint32_t *out,
                    bool *out_new) {
    struct known_series *k = series_cache_find(&t->series, p->hashes[series]);
    *out_new = k == NULL;
    if (!k) {
        struct relabel_set s;
        relabel_set_init(&s, &d->arena);
        err e = label_sample(d, t, points_labels_of(p, series), &s, out);
        relabel_set_done(&s);
        arena_clear(&d->arena);
        d->relabelled++;
        if (e) return e;
        k = series_cache_add(&t->series, p->hashes[series], *out);
    }
    k->seen = t->series.scrape;
    *out = k->row;
    return NULL;
}

/* ---- samples ----------------------------------------------------------------------------------------------------------- */

static void put_metrics(struct digest *d, const struct points *p) {
    struct strings *strings = &d->out.strings;
    for (uint32_t i = 1; i < p->metric_count; i++) {
        struct points_metric m = p->metrics[i];
        const uint32_t texts[] = {m.name, m.description, m.unit};
        uint32_t ids[LENGTH(texts)];
        for (size_t k = 0; k < LENGTH(texts); k++)
            ids[k] = texts[k] ? strings_append(strings, points_string(p, texts[k])) : 0;
        *vec_push(&d->out.metrics) =
            (struct points_metric){.name = ids[0], .description = ids[1], .unit = ids[2], .kind = m.kind};
    }
}

static void put_exemplars(struct digest *d, const struct points *p, const uint32_t *moved) {
    for (uint32_t i = 0; i < p->exemplar_count; i++) {
        struct points_exemplar e = p->exemplars[i];
        if (e.point == NO_POINT || moved[e.point] == NO_POINT) continue;
        e.point = moved[e.point];
        e.series = d->out.series_of[e.point];
        e.labels = e.labels ? strings_append(&d->out.strings, points_string(p, e.labels)) : 0;
        *vec_push(&d->out.exemplars) = e;
    }
}

/* Rows are decided: nothing fails any more. */
static void put_samples(struct digest *d, struct scrape_target *t, const struct points *p, const uint32_t *rows,
                        int64_t time_ms) {
    const struct scrape_job *job = t->pool->job;
    struct series_cache *c = &t->series;
    uint32_t *moved = mem_new_array(uint32_t, p->exemplar_count ? p->n + 1 : 1), last = UINT32_MAX;
    for (uint32_t i = 0; i < p->n; i++) {
        uint32_t series = point_series(p, i);
        int64_t time = (int64_t)point_time(p, i);
        bool timed = time != SENTINEL_MS, tracked = !timed || job->track_timestamps_staleness;
        if (!timed || !job->honor_timestamps) time = time_ms;
        if (p->exemplar_count) moved[i] = NO_POINT;
        if (rows[series] == ROW_DROPPED) continue;
        struct series_row *row = &c->rows.v[rows[series]];
        bool again = row->seen == c->scrape && (!timed || !job->honor_timestamps);
        row->seen = c->scrape;
        if (tracked) row->tracked = c->scrape;
        if (again) continue; /* said twice: the first one counts */
        if (time < d->time_min_ms || time > d->time_max_ms) continue;
        if (series != last)
            points_builder_series(&d->out, p->series[series].metric,
                                  strings_append(&d->out.strings, series_cache_labels(c, rows[series])));
        last = series;
        if (p->exemplar_count) moved[i] = d->out.n;
        put_point(d, (uint64_t)time, point_value(p, i));
        d->out.start[d->out.n - 1] = point_start(p, i);
    }
    put_exemplars(d, p, moved);
    mem_free(moved);
}

static err decode(struct digest *d, const struct scrape_target *t, int format, struct str body,
                  const struct otlp_limits *limits, struct points_result *out) {
    enum points_text_format f = format == SCRAPE_OPENMETRICS ? POINTS_OPENMETRICS : POINTS_TEXT;
    if (!t->pool->job->honor_labels) return points_decode_text(d->decoder, f, body, limits, out);
    struct points_label *labels = mem_new_array(struct points_label, t->own_n + 1);
    for (uint32_t i = 0; i < t->own_n; i++) labels[i] = (struct points_label){t->own[i].name, t->own[i].value};
    err e = points_decode_honoring(d->decoder, f, body, labels, t->own_n, limits, out);
    mem_free(labels);
    return e;
}

static err digest_points(struct digest *d, struct scrape_target *t, const struct points *p, int64_t time_ms,
                         struct digest_result *out) {
    const struct scrape_job *job = t->pool->job;
    uint32_t *rows = mem_new_array(uint32_t, p->series_count + 1);
    err e = NULL;
    for (uint32_t i = 0; i < p->series_count && !e; i++) {
        bool is_new;
        e = find_row(d, t, p, i, &rows[i], &is_new);
        if (!e) out->added += is_new && rows[i] != ROW_DROPPED;
    }
    for (uint32_t i = 0; i < p->n && !e; i++) out->kept += rows[point_series(p, i)] != ROW_DROPPED;
    if (!e && job->samples_max && out->kept > job->samples_max) e = err_new(ERR_LIMIT, "sample limit exceeded");
    if (!e) {
        put_metrics(d, p);
        put_samples(d, t, p, rows, time_ms);
    }
    mem_free(rows);
    return e;
}

/* Samples without a time get one that none has, SENTINEL_MS: so it is known which they are. */
err digest_body(struct digest *d, struct scrape_target *t, int format, struct str body, int64_t time_ms,
                struct store *store, struct budget *budget, struct digest_result *out) {
    struct otlp_limits limits = {
        .now = SENTINEL_MS * MS, .time_min = INT64_MIN, .time_max = INT64_MAX, .budget = budget};
    struct points_result r = {0};
    struct points p;
    int64_t time_max;
    store_time_limits(store, &d->time_min_ms, &time_max);
    d->time_min_ms = d->time_min_ms == INT64_MIN ? INT64_MIN : d->time_min_ms / MS;
    d->time_max_ms = time_ms + FUTURE_MS;
    *out = (struct digest_result){0};
    err e = decode(d, t, format, body, &limits, &r);
    out->samples = r.points;
    if (e) out->kept = t->pool->job->metrics.n ? 0 : r.points; /* what was read is not relabelled any more */
    buf_clear(&d->labels);
    if (e || !r.blob) return e;
    points_view(r.blob, &p);
    e = digest_points(d, t, &p, time_ms, out);
    if (!e) {
        buf_clear(&d->labels);
        digest_metadata(&p, &d->labels);
    }
    batch_unref(r.blob);
    return e;
}

static void put_series(struct digest *d, struct str labels) {
    points_builder_series(&d->out, 0, strings_append(&d->out.strings, labels));
}

void digest_ends(struct digest *d, struct scrape_target *t, int64_t time_ms) {
    struct series_cache *c = &t->series;
    for (uint32_t i = 0; i < c->rows.n; i++) {
        if (c->rows.v[i].tracked + 1 != c->scrape) continue;
        put_series(d, series_cache_labels(c, i));
        put_point(d, (uint64_t)time_ms, STALE_NAN);
    }
}

/* ---- what a scrape says of itself ---------------------------------------------------------------------------------------- */

static void put_own(struct digest *d, const struct scrape_target *t, struct str metric, uint64_t value,
                    int64_t time_ms) {
    bool named = false;
    buf_clear(&d->labels);
    for (uint32_t i = 0; i < t->own_n; i++) {
        if (!named && str_compare(STR("__name__"), t->own[i].name) < 0) {
            points_put_label(&d->labels, STR("__name__"), metric);
            named = true;
        }
        points_put_label(&d->labels, t->own[i].name, t->own[i].value);
    }
    if (!named) points_put_label(&d->labels, STR("__name__"), metric);
    put_series(d, buf_str(&d->labels));
    put_point(d, (uint64_t)time_ms, value);
}

void digest_report(struct digest *d, struct scrape_target *t, const struct scrape_report *r, int64_t time_ms) {
    const struct {
        const char *name;
        double value;
    } rows[] = {{"up", r && r->up ? 1 : 0},
                {"scrape_duration_seconds", r ? r->duration_s : 0},
                {"scrape_samples_scraped", r ? (double)r->result.samples : 0},
                {"scrape_samples_post_metric_relabeling", r ? (double)r->result.kept : 0},
                {"scrape_series_added", r ? (double)r->result.added : 0}};
    for (size_t i = 0; i < LENGTH(rows); i++)
        put_own(d, t, str_of(rows[i].name), r ? bits_of(rows[i].value) : STALE_NAN, time_ms);
}

static void put_sized(struct buf *out, struct str text) {
    uint32_t n = (uint32_t)text.n;
    buf_add(out, &n, sizeof n);
    buf_add_str(out, text);
}

void digest_metadata(const struct points *p, struct buf *out) {
    for (uint32_t i = 1; i < p->metric_count && out->n < LABELS_BYTES_MAX / 2; i++) {
        const struct points_metric *m = &p->metrics[i];
        struct str help = points_string(p, m->description);
        buf_add_byte(out, (char)m->kind);
        put_sized(out, points_string(p, m->name));
        put_sized(out, (struct str){help.p, MIN(help.n, (size_t)4096)});
        put_sized(out, points_string(p, m->unit));
    }
    if (out->full) buf_clear(out);
}
