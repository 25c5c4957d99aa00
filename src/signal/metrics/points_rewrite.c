#include "signal/metrics/points_rewrite.h"

#include "signal/metrics/points_priv.h"

enum label_use { USE_RESOURCE, USE_SCOPE, USE_POINT, USES };
static const enum rewrite_place places[USES] = {PLACE_RESOURCE, PLACE_SCOPE, PLACE_POINT};

/* A string of `from` in one use: where it is in `texts` if it changed. Metadata of metrics are used as labels of points are. */
struct answer {
    uint32_t at, n;
    bool asked, changed;
};

struct rewriting {
    struct rewriter *r;
    const struct points *from;
    struct buf texts, value;
    struct answer *answers[USES];
    struct points_builder to;
    uint32_t *strings[USES + 1]; /* string id of `from` in a use (the last: plain text) → of `to`, + 1 */
    bool changed;
};

/* ---- asking --------------------------------------------------------------------------------------------------------- */

/* A Prometheus label set; the name of the metric is not asked for. */
static bool rewrite_named(struct rewriting *w, struct str labels) {
    struct str rest = labels, name, value;
    size_t start = w->texts.n;
    while (points_label_next(&rest, &name, &value)) {
        struct rewrite_value v = {
            .place = PLACE_POINT, .key = name, .type = VALUE_STRING, .text = value, .final = true};
        enum rewrite_verdict verdict = REWRITE_KEEP;
        buf_clear(&w->value);
        if (!str_equal(name, STR("__name__")) && w->r->cares(w->r->context, PLACE_POINT, name, VALUE_STRING))
            verdict = w->r->judge(w->r->context, &v, &w->value);
        if (verdict == REWRITE_DROP || (verdict == REWRITE_TEXT && (w->value.full || !w->value.n))) continue;
        points_put_label(&w->texts, name, verdict == REWRITE_KEEP ? value : buf_str(&w->value));
    }
    bool changed = !str_equal(labels, str_span(w->texts.p + start, w->texts.n - start));
    if (!changed) w->texts.n = start;
    return changed;
}

static void ask(struct rewriting *w, enum label_use use, uint32_t id) {
    struct answer *a = &w->answers[use][id];
    if (!id || a->asked) return;
    struct str labels = points_string(w->from, id);
    a->asked = true;
    a->at = (uint32_t)w->texts.n;
    a->changed = w->from->origin == POINTS_PROMETHEUS
                     ? rewrite_named(w, labels)
                     : rewrite_list(w->r, places[use], OTLP_LABEL_TAG, labels, &w->texts);
    a->n = (uint32_t)w->texts.n - a->at;
    if (w->texts.full) { /* what cannot be said anew may not stay as it was */
        a->changed = true;
        a->n = 0;
    }
    w->changed |= a->changed;
}

static void ask_all(struct rewriting *w) {
    const struct points *p = w->from;
    for (uint32_t i = 0; i < p->resource_count; i++) ask(w, USE_RESOURCE, p->resources[i].attributes);
    for (uint32_t i = 0; i < p->scope_count; i++) ask(w, USE_SCOPE, p->scopes[i].attributes);
    for (uint32_t i = 0; i < p->metric_count; i++) ask(w, USE_POINT, p->metrics[i].metadata);
    for (uint32_t i = 0; i < p->series_count; i++) ask(w, USE_POINT, p->series[i].labels);
    for (uint32_t i = 0; i < p->exemplar_count; i++) ask(w, USE_POINT, p->exemplars[i].labels);
}

/* ---- the new blob ----------------------------------------------------------------------------------------------------- */

/* A string as it shall be: labels in their use, other text (USES) as it is. */
static uint32_t keep(struct rewriting *w, int use, uint32_t id) {
    const struct answer *a = use < USES ? &w->answers[use][id] : NULL;
    uint32_t *known = &w->strings[use][id];
    if (!id) return 0;
    if (!*known) {
        struct str text = a && a->changed ? str_span(w->texts.p + a->at, a->n) : points_string(w->from, id);
        *known = 1 + (text.n ? strings_append(&w->to.strings, text) : 0);
    }
    return *known - 1;
}

static void put_tables(struct rewriting *w) {
    const struct points *p = w->from;
    struct points_builder *to = &w->to;
    vec_clear(&to->metrics);
    for (uint32_t i = 0; i < p->resource_count; i++) {
        struct points_resource r = p->resources[i];
        r.attributes = keep(w, USE_RESOURCE, r.attributes);
        r.schema_url = keep(w, USES, r.schema_url);
        *vec_push(&to->resources) = r;
    }
    for (uint32_t i = 0; i < p->scope_count; i++) {
        struct points_scope s = p->scopes[i];
        s.attributes = keep(w, USE_SCOPE, s.attributes);
        s.name = keep(w, USES, s.name);
        s.version = keep(w, USES, s.version);
        s.schema_url = keep(w, USES, s.schema_url);
        *vec_push(&to->scopes) = s;
    }
    for (uint32_t i = 0; i < p->metric_count; i++) {
        struct points_metric m = p->metrics[i];
        m.name = keep(w, USES, m.name);
        m.description = keep(w, USES, m.description);
        m.unit = keep(w, USES, m.unit);
        m.metadata = keep(w, USE_POINT, m.metadata);
        *vec_push(&to->metrics) = m;
    }
    for (uint32_t i = 0; i < p->series_count; i++)
        points_builder_series(to, p->series[i].metric, keep(w, USE_POINT, p->series[i].labels));
}

static void put_points(struct rewriting *w) {
    const struct points *p = w->from;
    struct points_builder *to = &w->to;
    for (uint32_t i = 0; i < p->n; i++) {
        uint32_t at = points_builder_point(to);
        to->series_of[at] = point_series(p, i);
        to->time[at] = point_time(p, i);
        to->start[at] = point_start(p, i);
        to->value[at] = point_value(p, i);
        to->flags[at] = point_flags(p, i);
        to->kind[at] = (uint8_t)point_kind(p, i);
    }
    for (uint32_t i = 0; i < p->histogram_count; i++) *vec_push(&to->histograms) = p->histograms[i];
    for (uint32_t i = 0; i < p->number_count; i++) *vec_push(&to->numbers) = p->numbers[i];
    for (uint32_t i = 0; i < p->exemplar_count; i++) {
        struct points_exemplar e = p->exemplars[i];
        e.labels = keep(w, USE_POINT, e.labels);
        *vec_push(&to->exemplars) = e;
    }
}

static struct batch_blob *rewrite(struct rewriter *r, const struct points *from) {
    struct rewriting w = {.r = r, .from = from};
    struct batch_blob *blob = NULL;
    buf_init(&w.texts, POINTS_BYTES_MAX / 2);
    buf_init(&w.value, ANY_STRING_MAX);
    for (int u = 0; u < USES; u++) w.answers[u] = mem_new_array(struct answer, from->string_count + 1);
    ask_all(&w);
    if (w.changed) {
        for (int u = 0; u <= USES; u++) w.strings[u] = mem_new_array(uint32_t, from->string_count + 1);
        points_builder_init(&w.to, from->origin);
        put_tables(&w);
        put_points(&w);
        blob = points_builder_finish(&w.to);
        points_builder_done(&w.to);
    }
    for (int u = 0; u < USES; u++) mem_free(w.answers[u]);
    for (int u = 0; u <= USES; u++) mem_free(w.strings[u]);
    buf_done(&w.texts);
    buf_done(&w.value);
    return blob;
}

struct batch_blob *points_rewrite(struct rewriter *r, const struct points *from) {
    if (!from->kept) return rewrite(r, from);
    struct batch_blob *whole = points_whole(from); /* answers are by string */
    struct points p;
    points_view(whole, &p);
    struct batch_blob *blob = rewrite(r, &p);
    batch_unref(whole);
    return blob;
}
