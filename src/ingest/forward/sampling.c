/* The thread of tail sampling: records of spans in, traces that are kept out, to the senders. */
#include "base/log.h"
#include "ingest/forward/forward_priv.h"
#include "os/clock.h"

enum { READY_BYTES_MAX = 64 << 20 };
#define TICK_NS ((int64_t)200000000)

/* ---- what is kept waits here ------------------------------------------------------------------------------------- */

bool forward_ready_fits(const struct forward *f, uint64_t rows, uint64_t bytes) {
    const struct forward_config *c = &f->live->config;
    const struct forward_ready *r = f->ready;
    if (!r) return false;
    return !bytes || (rows + r->spans.rows <= c->batch_items && bytes + r->spans.request.n <= c->batch_bytes);
}

void forward_ready_take(struct forward *f, struct batch_piece *out) {
    struct forward_ready *r = f->ready;
    f->ready = r->next;
    if (!f->ready) f->ready_end = &f->ready;
    f->ready_rows -= r->spans.rows;
    f->ready_bytes -= r->spans.request.n;
    *out = (struct batch_piece){.spans = r->spans, .rows = r->spans.rows};
    mem_free(r);
}

static void hold(void *context, uint64_t record) { disk_queue_hold(((struct forward *)context)->queue, record); }

static void on_decided(void *context, bool kept, struct sampler_spans *spans) {
    struct forward *f = context;
    if (!kept) {
        for (size_t i = 0; i < spans->record_count; i++) disk_queue_release(f->queue, spans->records[i]);
        sampler_spans_done(spans);
        return;
    }
    struct forward_ready *r = mem_new_of(struct forward_ready);
    *r = (struct forward_ready){.spans = *spans, .since_ns = clock_wall_ns()};
    lock_take(&f->lock);
    *f->ready_end = r;
    f->ready_end = &r->next;
    f->ready_rows += spans->rows;
    f->ready_bytes += spans->request.n;
    flag_wake_all(&f->wake);
    lock_give(&f->lock);
}

err forward_sample_open(struct forward *f) {
    f->sampler_live = forward_live_ref(f);
    const struct forward_sampling *c = &f->sampler_live->config.sampling;
    if (c->on) f->sampler = sampler_new(c, &(struct sampler_sink){hold, on_decided, f});
    return NULL;
}

void forward_sample_done(struct forward *f) {
    while (f->ready) {
        struct batch_piece piece;
        forward_ready_take(f, &piece);
        sampler_spans_done(&piece.spans);
    }
    sampler_free(f->sampler);
    forward_live_unref(f, take(&f->sampler_live));
}

/* ---- the thread -------------------------------------------------------------------------------------------------- */

static void add_record(struct forward *f, const struct queue_record *r) {
    AUTO_BUF struct buf body;
    buf_init(&body, QUEUE_BODY_MAX);
    err e = disk_queue_read(f->queue, r->sequence, &body);
    if (!e && !sampler_add(f->sampler, buf_str(&body), r->sequence, clock_monotonic_ns()))
        e = err_new(ERR_CORRUPT, "a record of the queue is no request of spans");
    if (e && err_kind(e) != ERR_NOT_FOUND) {
        log_error("a record of the queue is lost", F_ERR(e), F_U64("rows", r->rows));
        atomic_fetch_add(&f->count.lost[FORWARD_SPANS], r->rows);
    }
    err_free(e);
    disk_queue_release(f->queue, r->sequence); /* its traces hold it */
}

void forward_sample(void *context) {
    struct forward *f = context;
    struct queue_record r;
    uint32_t bytes;
    lock_take(&f->lock);
    while (!atomic_load(&f->cut)) {
        bool room = f->ready_bytes < READY_BYTES_MAX, ending = f->stopping;
        forward_live_follow(f, &f->sampler_live);
        sampler_set(f->sampler, &f->sampler_live->config.sampling);
        lock_give(&f->lock);
        bool any = room && disk_queue_next(f->queue, FORWARD_SPANS, clock_wall_ns(), &r, &bytes);
        if (any) add_record(f, &r);
        sampler_run(f->sampler, ending && !any ? INT64_MAX : clock_monotonic_ns());
        if (!any) {
            err e = disk_queue_mark(f->queue); /* where all is dropped, no sender does */
            if (e) log_warn("what is done cannot be marked: it may be sent again after a restart", F_ERR(e));
            err_free(e);
        }
        lock_take(&f->lock);
        sampler_get_counts(f->sampler, &f->sampled);
        int64_t at = MIN(sampler_next_due(f->sampler), clock_monotonic_ns() + TICK_NS);
        if (!any && !atomic_load(&f->cut)) flag_wait_until(&f->wake, &f->lock, at);
    }
    lock_give(&f->lock);
}
