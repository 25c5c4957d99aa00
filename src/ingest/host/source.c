#include "ingest/host/source_priv.h"

#include "base/log.h"
#include "base/map.h"
#include "signal/metrics/points_build.h"

void source_init(struct source *s, struct ingest *in, struct str tenant, struct str job, struct str instance) {
    *s = (struct source){.ingest = in,
                         .tenant = tenant,
                         .labels = {{STR("job"), job}, {STR("instance"), instance}},
                         .decoder = points_decoder_new()};
    lock_init(&s->lock);
    flag_init(&s->landed);
}

void source_done(struct source *s) {
    if (!s->decoder) return;
    lock_take(&s->lock);
    while (s->flying) flag_wait(&s->landed, &s->lock);
    lock_give(&s->lock);
    points_decoder_free(s->decoder);
    batch_unref(s->before);
    lock_done(&s->lock);
    flag_done(&s->landed);
}

/* ---- series that ended ----------------------------------------------------------------------------------------------- */

static struct str hash_of(const struct points *p, uint32_t row) { return str_span(&p->hashes[row], sizeof *p->hashes); }

static void put_marker(struct points_builder *b, const struct points *p, uint32_t row, int64_t now_ms) {
    points_builder_series(b, 0, strings_intern(&b->strings, points_labels_of(p, row)));
    uint32_t i = points_builder_point(b);
    b->time[i] = (uint64_t)now_ms;
    b->value[i] = STALE_NAN;
    b->kind[i] = POINT_DOUBLE;
}

static bool is_marker(const struct points *p, uint32_t point) { return point_value(p, point) == STALE_NAN; }

struct batch_blob *stale_markers(struct batch_blob *before, struct batch_blob *after, int64_t now_ms) {
    struct points was, is = {0};
    struct points_builder b;
    struct strings known;
    uint32_t id, last = UINT32_MAX;
    points_view(before, &was);
    if (after) points_view(after, &is);
    strings_init(&known);
    for (uint32_t i = 0; i < is.series_count; i++) strings_intern(&known, hash_of(&is, i));
    points_builder_init(&b, POINTS_PROMETHEUS);
    for (uint32_t i = 0; i < was.n; i++) {
        uint32_t row = point_series(&was, i);
        if (row != last && !is_marker(&was, i) && !strings_find(&known, hash_of(&was, row), &id)) {
            strings_intern(&known, hash_of(&was, row)); /* each once */
            put_marker(&b, &was, row, now_ms);
        }
        last = row;
    }
    struct batch_blob *blob = b.n ? points_builder_finish(&b) : NULL;
    points_builder_done(&b);
    strings_done(&known);
    return blob;
}

/* ---- sending ------------------------------------------------------------------------------------------------------------ */

static void on_landed(void *context, err e, const struct ingest_outcome *outcome) {
    struct source *s = context;
    bool whole = !e && !outcome->rejected;
    if (e) log_warn("figures of the host are not stored", F_STR("job", s->labels[0].value), F_ERR(e));
    if (!e && !whole)
        log_warn("some figures of the host are refused", F_STR("job", s->labels[0].value),
                 F_TEXT("why", outcome->message));
    err_free(e);
    lock_take(&s->lock);
    s->flying--;
    s->rounds++;
    s->failed += !whole;
    flag_wake_all(&s->landed);
    lock_give(&s->lock);
}

static void send_points(struct source *s, struct batch_blob *blob) {
    lock_take(&s->lock);
    s->flying++;
    lock_give(&s->lock);
    err e = ingest_points(s->ingest, s->tenant, INGEST_COLLECTED, blob, on_landed, s);
    if (e) on_landed(s, e, NULL);
}

void source_send(struct source *s, struct str text, int64_t now_ns) {
    struct otlp_limits limits = {.time_min = INT64_MIN, .time_max = INT64_MAX, .now = now_ns};
    struct points_result r = {0};
    err e = points_decode_import(s->decoder, POINTS_TEXT, text, s->labels, LENGTH(s->labels), &limits, &r);
    if (e) log_error("a text of figures is broken", F_STR("job", s->labels[0].value), F_ERR(e));
    err_free(e);
    struct batch_blob *stale = s->before ? stale_markers(s->before, r.blob, now_ns / 1000000) : NULL;
    batch_unref(s->before);
    s->before = r.blob;
    if (r.blob) send_points(s, batch_ref(r.blob));
    if (stale) send_points(s, stale);
}
