#include "app/serve_emit.h"

#include "os/clock.h"

enum { WORKS_A_SECOND = 20, FLUSH = 0, MERGE = 1 };

err serve_emit_read(const struct arguments *a, bool *out_on) {
    struct str text = argument_text(a, OPTION_SELF_TELEMETRY);
    *out_on = str_equal(text, STR("on"));
    if (*out_on || str_equal(text, STR("off"))) return NULL;
    return argument_blame(a, OPTION_SELF_TELEMETRY, err_new(ERR_INVALID, "on or off"));
}

/* ---- to the ingest ----------------------------------------------------------------------------------------------- */

struct landing {
    struct serve_emit *s;
    enum ingest_kind kind;
};

static void land(struct serve_emit *s, enum ingest_kind kind, uint64_t rows) {
    lock_take(&s->lock);
    s->own[kind] += rows;
    if (--s->under_way == 0) flag_wake_all(&s->landed);
    lock_give(&s->lock);
}

/* On the store's log thread. Nothing is said of a failure: it would be said into what failed. */
static void on_landed(void *context, err e, const struct ingest_outcome *outcome) {
    struct landing *l = context;
    land(l->s, l->kind, e ? 0 : outcome->taken);
    err_free(e);
    mem_free(l);
}

static void take_wait(void *context, enum emit_kind kind, struct batch_blob *blob) {
    static const enum ingest_kind kinds[EMIT_KINDS] = {
        [EMIT_SPANS] = INGEST_SPANS, [EMIT_LOGS] = INGEST_LOGS, [EMIT_METRICS] = INGEST_METRICS};
    struct serve_emit *s = context;
    struct landing *l = mem_new_of(struct landing);
    *l = (struct landing){s, kinds[kind]};
    lock_take(&s->lock);
    s->under_way++;
    lock_give(&s->lock);
    err e = kind == EMIT_METRICS ? ingest_points(s->ingest, STR("default"), INGEST_COLLECTED, blob, on_landed, l)
                                 : ingest_rows(s->ingest, STR("default"), kinds[kind], blob, on_landed, l);
    if (!e) return;
    err_free(e);
    mem_free(l);
    land(s, kinds[kind], 0);
}

/* ---- what modules have done --------------------------------------------------------------------------------------- */

static struct str text_of(const struct work_done *w, const char *key) {
    for (size_t i = 0; i < w->field_count; i++)
        if (w->fields[i].type == LOG_FIELD_STR && strcmp(w->fields[i].key, key) == 0) return w->fields[i].s;
    return STR("");
}

/* Whether others' rows of its table came since the last one of its kind. */
static bool is_for_others(struct serve_emit *s, const struct work_done *w) {
    int what = strcmp(w->name, "flush") == 0 ? FLUSH : strcmp(w->name, "merge") == 0 ? MERGE : -1;
    struct str table = text_of(w, "table");
    struct ingest_stats stats;
    bool changed = what < 0;
    if (what < 0) return true;
    ingest_get_stats(s->ingest, &stats);
    lock_take(&s->lock);
    for (int k = 0; k < INGEST_KINDS; k++) {
        uint64_t others = stats.rows[k] - MIN(s->own[k], stats.rows[k]);
        if (!str_equal(table, str_of(ingest_kind_names[k]))) continue;
        changed = others != s->seen[what][k];
        s->seen[what][k] = others;
    }
    lock_give(&s->lock);
    return changed;
}

/* Some a second: thousands of targets may fail at once. */
static bool has_room(struct serve_emit *s) {
    int64_t second = clock_monotonic_ns() / 1000000000;
    lock_take(&s->lock);
    if (second != s->second) s->told = 0;
    s->second = second;
    bool room = s->told < WORKS_A_SECOND;
    s->told += room;
    s->left_out += !room;
    lock_give(&s->lock);
    return room;
}

static void tell(void *context, const struct work_done *w) {
    struct serve_emit *s = context;
    struct emit *e = atomic_load(&s->emit);
    if (!e || emit_is_quiet() || !is_for_others(s, w) || !has_room(s)) return;
    struct emit_span *span = emit_span_begin(e, str_of(w->name), EMIT_INTERNAL, NULL);
    for (size_t i = 0; i < w->field_count; i++) emit_span_set(span, w->fields[i]);
    if (w->error) emit_span_fail(span, w->error);
    emit_span_end_after(span, w->took_ns);
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

void serve_emit_init(struct serve_emit *s) {
    lock_init(&s->lock);
    flag_init(&s->landed);
}

struct work_watch serve_emit_watch(struct serve_emit *s) {
    return (struct work_watch){tell, s};
}

err serve_emit_open(struct serve_emit *s, struct ingest *in) {
    static const double seconds[] = {.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10};
    struct emit *e;
    s->ingest = in;
    TRY(emit_new(&(struct emit_options){.service = "clew", .version = CLEW_VERSION, .sink = {take_wait, s}, .ratio = 1},
                 &e));
    s->durations = emit_histogram(e, "http.server.request.duration", "s", "Duration of HTTP server requests.", seconds,
                                  LENGTH(seconds));
    emit_listen_to_log(e);
    atomic_store(&s->emit, e);
    return NULL;
}

void serve_emit_stop(struct serve_emit *s) {
    emit_stop(atomic_load(&s->emit));
    lock_take(&s->lock);
    while (s->under_way) flag_wait(&s->landed, &s->lock);
    lock_give(&s->lock);
}

void serve_emit_done(struct serve_emit *s) {
    emit_free(atomic_exchange(&s->emit, NULL));
    lock_done(&s->lock);
    flag_done(&s->landed);
}
