#include "emit/emit_priv.h"

#include <stdio.h>

#include "os/clock.h"
#include "os/process.h"
#include "signal/metrics/points_build.h"

#define SECOND_NS ((int64_t)1000000000)
enum { QUEUE_MAX = 2048 };

const char *const emit_kind_names[EMIT_KINDS] = {"spans", "logs", "metrics"};

/* ---- the queues -------------------------------------------------------------------------------------------------- */

bool emit_push(struct emit *e, enum emit_kind kind, void *item) {
    lock_take(&e->lock);
    bool room = e->waiting[kind].n < e->options.queue_max && !e->ending;
    if (room)
        *vec_push(&e->waiting[kind]) = item;
    else
        e->stats.dropped[kind]++;
    if (room && (e->waiting[kind].n == 1 || e->waiting[kind].n == e->options.queue_max / 2)) flag_wake_all(&e->wake);
    lock_give(&e->lock);
    return room;
}

/* ---- batches ----------------------------------------------------------------------------------------------------- */

static void write_resource(const struct emit *e, struct batch_builder *b) {
    uint32_t row = batch_builder_row(b, SET_RESOURCES);
    attributes_write(b, SET_RESOURCES, row, e->resource.v, e->resource.n, &e->resource_texts);
    row = batch_builder_row(b, SET_SCOPES);
    batch_builder_set_u32(b, SET_SCOPES, FIELD_NAME, row, strings_intern(&b->strings, STR("clew/emit")));
}

static void hand_on_rows_wait(struct emit *e, enum emit_kind kind) {
    struct batch_builder b;
    lock_take(&e->lock);
    __typeof__(e->waiting[0]) mine = e->waiting[kind];
    memset(&e->waiting[kind], 0, sizeof e->waiting[kind]);
    e->stats.told[kind] += mine.n;
    lock_give(&e->lock);
    if (!mine.n) return;
    batch_builder_init(&b, kind == EMIT_SPANS ? SIGNAL_SPANS : SIGNAL_LOGS);
    write_resource(e, &b);
    if (kind == EMIT_SPANS)
        spans_write(&b, (struct emit_span *const *)mine.v, mine.n);
    else
        log_records_write(&b, (struct record *const *)mine.v, mine.n);
    for (size_t i = 0; i < mine.n; i++) {
        if (kind == EMIT_SPANS)
            span_free(mine.v[i]);
        else
            record_free(mine.v[i]);
    }
    vec_done(&mine);
    e->options.sink.take_wait(e->options.sink.context, kind, batch_builder_finish(&b));
    batch_builder_done(&b);
}

static void hand_on_metrics_wait(struct emit *e) {
    struct points_builder b;
    if (e->options.observe) e->options.observe(e->options.observe_context);
    points_builder_init(&b, POINTS_OTLP);
    *vec_push(&b.resources) =
        (struct points_resource){.attributes = strings_append(&b.strings, buf_str(&e->resource_labels))};
    *vec_push(&b.scopes) = (struct points_scope){.name = strings_append(&b.strings, STR("clew/emit"))};
    size_t n = meters_write(e, &b, (uint64_t)e->options.wall_ns());
    lock_take(&e->lock);
    e->stats.told[EMIT_METRICS] += n;
    lock_give(&e->lock);
    if (n) e->options.sink.take_wait(e->options.sink.context, EMIT_METRICS, points_builder_finish(&b));
    points_builder_done(&b);
}

void emit_turn_wait(struct emit *e, bool metrics) {
    if (!e) return;
    emit_quiet(true);
    hand_on_rows_wait(e, EMIT_SPANS);
    hand_on_rows_wait(e, EMIT_LOGS);
    if (metrics) hand_on_metrics_wait(e);
    emit_quiet(false);
}

static bool is_half_full(const struct emit *e) {
    return MAX(e->waiting[0].n, e->waiting[1].n) >= e->options.queue_max / 2;
}

static void run(void *context) {
    struct emit *e = context;
    int64_t metrics_ns = clock_monotonic_ns() + e->options.metrics_ns;
    lock_take(&e->lock);
    while (!e->ending) {
        bool idle = !e->waiting[0].n && !e->waiting[1].n;
        if (idle) flag_wait_until(&e->wake, &e->lock, metrics_ns);
        if (!e->ending && !is_half_full(e)) /* for what comes behind the first one */
            flag_wait_until(&e->wake, &e->lock, MIN(clock_monotonic_ns() + e->options.batch_ns, metrics_ns));
        lock_give(&e->lock);
        bool due = clock_monotonic_ns() >= metrics_ns;
        if (due) metrics_ns = clock_monotonic_ns() + e->options.metrics_ns;
        emit_turn_wait(e, due);
        lock_take(&e->lock);
    }
    lock_give(&e->lock);
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static void make_resource(struct emit *e) {
    const struct emit_options *o = &e->options;
    struct log_field all[EMIT_ATTRIBUTES_MAX] = {F_TEXT("service.name", o->service)};
    char instance[33];
    size_t n = 1;
    snprintf(instance, sizeof instance, "%016llx%016llx", (unsigned long long)random_u64(),
             (unsigned long long)random_u64());
    if (o->version) all[n++] = F_TEXT("service.version", o->version);
    all[n++] = F_TEXT("service.instance.id", o->instance ? o->instance : instance);
    all[n++] = F_I64("process.pid", process_id());
    for (size_t i = 0; i < o->resource_count && n < LENGTH(all); i++) all[n++] = o->resource[i];
    buf_init(&e->resource_texts, TEXTS_BYTES_MAX);
    buf_init(&e->resource_labels, 64 * KIB);
    for (size_t i = 0; i < n; i++) attributes_put(&e->resource, &e->resource_texts, &all[i], true);
    put_key_values(&e->resource_labels, all, n);
}

err emit_new(const struct emit_options *options, struct emit **out) {
    struct emit *e = mem_new_of(struct emit);
    e->options = *options;
    if (!e->options.wall_ns) e->options.wall_ns = clock_wall_ns;
    if (!e->options.batch_ns) e->options.batch_ns = SECOND_NS;
    if (!e->options.metrics_ns) e->options.metrics_ns = 15 * SECOND_NS;
    if (!e->options.queue_max) e->options.queue_max = QUEUE_MAX;
    double ratio = options->ratio > 0 ? MIN(options->ratio, 1.0) : 0;
    e->threshold = (uint64_t)(ratio * 0x1p56);
    e->started_ns = (uint64_t)e->options.wall_ns();
    lock_init(&e->lock);
    lock_init(&e->meters_lock);
    flag_init(&e->wake);
    make_resource(e);
    err why = options->paused ? NULL : thread_start(&e->thread, "emit", 0, run, e);
    if (why)
        emit_free(e);
    else
        *out = e;
    return why;
}

void emit_stop(struct emit *e) {
    if (!e || e->ending) return;
    logs_forget(e);
    lock_take(&e->lock);
    e->ending = true;
    flag_wake_all(&e->wake);
    lock_give(&e->lock);
    thread_join(take(&e->thread));
    emit_turn_wait(e, true);
}

void emit_free(struct emit *e) {
    if (!e) return;
    emit_stop(e);
    meters_done(e);
    mem_free(e->resource.v);
    buf_done(&e->resource_texts);
    buf_done(&e->resource_labels);
    for (int k = 0; k < 2; k++) vec_done(&e->waiting[k]);
    lock_done(&e->lock);
    lock_done(&e->meters_lock);
    flag_done(&e->wake);
    mem_free(e);
}

void emit_get_stats(struct emit *e, struct emit_stats *out) {
    *out = (struct emit_stats){0};
    if (!e) return;
    lock_take(&e->lock);
    *out = e->stats;
    lock_give(&e->lock);
    out->unsampled = __atomic_load_n(&e->stats.unsampled, __ATOMIC_RELAXED);
}
