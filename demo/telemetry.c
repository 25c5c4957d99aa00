/* What a version of a service tells with: its emit, its instruments, figures of its process; and how one follows another.
 *
 *   deploy ─▶ the version now ── take, give: calls under way ─▶ another deploy ─▶ is over ── its last call ends ─▶ its last word
 */
#include <stdio.h>

#include "os/clock.h"
#include "shop.h"

enum { QUEUE_MAX = 16384 };

static const double bounds_ms[] = {5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000};
/* of OpenTelemetry's conventions, in seconds */
static const double bounds_s[] = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60};

/* ---- figures of the process ------------------------------------------------------------------------------------------ */

static void make_runtime(struct shop_telemetry *t) {
    struct emit_instrument *cpu = emit_counter(t->emit, "process.cpu.time", "s", "of the process, by mode");
    struct shop_runtime *r = &t->runtime;
    const struct shop_world *w = &t->shop->options.world;
    r->cpu_user = emit_series_of(cpu, &F_TEXT("cpu.mode", "user"), 1);
    r->cpu_system = emit_series_of(cpu, &F_TEXT("cpu.mode", "system"), 1);
    r->memory = emit_series_of(emit_up_down(t->emit, "process.memory.usage", "By", "physical memory in use"), NULL, 0);
    r->open_files = emit_series_of(
        emit_up_down(t->emit, "process.unix.file_descriptor.count", "{file_descriptor}", "descriptors that are open"),
        NULL, 0);
    r->uptime = emit_series_of(emit_gauge(t->emit, "process.uptime", "s", "since this version began"), NULL, 0);
    r->queued =
        emit_series_of(emit_gauge(t->emit, "shop.queue.length", "{request}", "what waits for a worker"), NULL, 0);
    r->lock_waiting = emit_series_of(
        emit_up_down(t->emit, "shop.lock.waiting", "{request}", "requests in line for the lock of fault lock_ms"), NULL,
        0);
    r->lock_wait = emit_series_of(emit_histogram(t->emit, "shop.lock.wait.duration", "s", "how long they were in line",
                                                 bounds_s, LENGTH(bounds_s)),
                                  NULL, 0);
    r->began_ns = clock_monotonic_ns();
    if (w->measure) w->measure(w->context, &r->began);
    r->told.cpu_user_ns = r->began.cpu_user_ns; /* a version counts its own */
    r->told.cpu_system_ns = r->began.cpu_system_ns;
}

/* Sums are told as what came to them since. */
static void observe(void *context) {
    struct shop_telemetry *t = context;
    struct shop_runtime *r = &t->runtime;
    const struct shop_world *w = &t->shop->options.world;
    struct shop_figures now = {0}, before = r->told;
    if (!w->measure) return;
    w->measure(w->context, &now);
    if (now.cpu_user_ns || now.cpu_system_ns) { // a kernel that counts ticks tells all as system at first
        emit_measure(r->cpu_user, (double)(now.cpu_user_ns - before.cpu_user_ns) / 1e9);
        emit_measure(r->cpu_system, (double)(now.cpu_system_ns - before.cpu_system_ns) / 1e9);
    }
    if (now.memory_bytes) emit_measure(r->memory, (double)now.memory_bytes - (double)before.memory_bytes);
    if (now.open_files) emit_measure(r->open_files, (double)now.open_files - (double)before.open_files);
    emit_measure(r->queued, (double)now.queued);
    emit_measure(r->uptime, (double)(clock_monotonic_ns() - r->began_ns) / 1e9);
    r->told = now;
}

/* ---- versions -------------------------------------------------------------------------------------------------------- */

static void make_instruments(struct shop_telemetry *t) {
    struct emit *e = t->emit;
    t->duration = emit_histogram(e, "http.server.request.duration", "ms", "of requests", bounds_ms, LENGTH(bounds_ms));
    t->requests = emit_counter(e, "http.server.request.total", "1", "requests");
    t->errors = emit_counter(e, "http.server.error.total", "1", "answers of 500 and more");
    t->active = emit_up_down(e, "http.server.active_requests", "1", "requests under way");
    t->db_duration = emit_histogram(e, "db.query.duration", "ms", "of statements", bounds_ms, LENGTH(bounds_ms));
    t->db_client = emit_histogram(e, "db.client.operation.duration", "s", "of statements", bounds_s, LENGTH(bounds_s));
    t->orders = emit_counter(e, "orders.created.total", "1", "orders, by what became of them");
    t->active_now = emit_series_of(t->active, NULL, 0);
    make_runtime(t);
}

static err telemetry_new(struct shop *s, const char *version, struct shop_telemetry **out) {
    const struct shop_options *o = &s->options;
    struct log_field resource[] = {F_TEXT("deployment.environment.name", o->environment),
                                   F_TEXT("service.namespace", "shop"), F_TEXT("telemetry.sdk.language", "c")};
    struct shop_telemetry *t = mem_new_of(struct shop_telemetry);
    t->shop = s;
    snprintf(t->version, sizeof t->version, "%s", version);
    err e = emit_new(&(struct emit_options){.service = shop_names[o->service],
                                            .version = t->version,
                                            .resource = resource,
                                            .resource_count = LENGTH(resource),
                                            .sink = o->sink,
                                            .ratio = 1,
                                            .metrics_ns = o->metrics_ns,
                                            .queue_max = QUEUE_MAX,
                                            .paused = o->paused_emit,
                                            .observe = observe,
                                            .observe_context = t},
                     &t->emit);
    if (e) {
        mem_free(t);
        return e;
    }
    make_instruments(t);
    *out = t;
    return NULL;
}

void shop_telemetry_free(struct shop_telemetry *t) {
    emit_stop(t->emit);
    emit_free(t->emit);
    mem_free(t);
}

static void last_word(struct shop *s, void *context) {
    struct shop_telemetry *t = context;
    emit_stop(t->emit);
    lock_take(&s->lock);
    size_t i = 0;
    while (s->versions[i] != t) i++;
    s->versions[i] = s->versions[--s->version_count];
    lock_give(&s->lock);
    shop_telemetry_free(t);
}

/* Not by who ends the last call: that one has somebody who waits, and the sink may be away. */
static void end(struct shop_telemetry *t) {
    const struct shop_world *w = &t->shop->options.world;
    if (!w->later(w->context, last_word, t)) last_word(t->shop, t);
}

/* At most SHOP_VERSIONS_MAX that have not ended. */
err shop_telemetry_deploy(struct shop *s, const char *version) {
    struct shop_telemetry *t, *before = s->now;
    if (before && !strcmp(before->version, version)) return NULL;
    lock_take(&s->lock);
    bool room = s->version_count < SHOP_VERSIONS_MAX;
    lock_give(&s->lock);
    if (!room) return err_new(ERR_LIMIT, "version: too many of them have not ended");
    TRY(telemetry_new(s, version, &t));
    lock_take(&s->lock);
    s->versions[s->version_count++] = s->now = t;
    if (before) before->is_over = true;
    bool idle = before && before->calls == 0;
    lock_give(&s->lock);
    if (idle) end(before);
    return NULL;
}

struct shop_telemetry *shop_telemetry_take(struct shop *s) {
    lock_take(&s->lock);
    struct shop_telemetry *t = s->now;
    t->calls++;
    lock_give(&s->lock);
    return t;
}

void shop_telemetry_give(struct shop_telemetry *t) {
    lock_take(&t->shop->lock);
    bool last = --t->calls == 0 && t->is_over;
    lock_give(&t->shop->lock);
    if (last) end(t);
}
