/* Batches on their way out. A lane is one signal: while it fails, one call at a time asks whether the target is back. */
#include <stdio.h>

#include "base/log.h"
#include "ingest/forward/forward_priv.h"
#include "os/clock.h"

#define TICK_NS ((int64_t)200000000)
#define RETRY_AFTER_MAX_NS ((int64_t)600 * 1000000000)
enum { PIECES_MAX = 4096 };

/* ---- making one -------------------------------------------------------------------------------------------------- */

void forward_batch_free(struct forward_batch *b) {
    for (size_t i = 0; i < b->n; i++) sampler_spans_done(&b->pieces[i].spans);
    buf_done(&b->body);
    mem_free(b->pieces);
    mem_free(b);
}

/* Enough waits, or the first has waited long enough; else *out_at (monotonic) is when it has. */
static bool is_ready(struct forward *f, enum forward_kind kind, int64_t now, int64_t *out_at) {
    const struct forward_config *c = &f->live->config;
    struct queue_record first = {0};
    struct disk_queue_stats stats;
    uint32_t bytes;
    if (f->sampler && kind == FORWARD_SPANS) {
        if (!f->ready) return false;
        int64_t held = c->batch_delay_ns - (clock_wall_ns() - f->ready->since_ns);
        bool due = f->stopping || held <= 0 || held > c->batch_delay_ns || f->ready_rows >= c->batch_items;
        if (!due) *out_at = MIN(*out_at, now + held);
        return due;
    }
    if (!disk_queue_peek(f->queue, (uint8_t)kind, &first, &bytes)) return false;
    disk_queue_get_stats(f->queue, &stats);
    int64_t waited = clock_wall_ns() - first.time_ns, left = c->batch_delay_ns - waited;
    bool ready = f->stopping || waited < 0 || left <= 0 || stats.waiting[kind] >= c->batch_items;
    if (!ready) *out_at = MIN(*out_at, now + left);
    return ready;
}

/* Records up to a batch, without their bodies. Lock held. NULL: there are none after all. */
static struct forward_batch *take_records(struct forward *f, enum forward_kind kind) {
    const struct forward_config *c = &f->live->config;
    struct forward_batch *b = mem_new_of(struct forward_batch);
    struct queue_record r;
    uint64_t bytes = 0;
    uint32_t n;
    b->kind = kind;
    b->pieces = mem_new_array(struct batch_piece, PIECES_MAX);
    bool sampled = f->sampler && kind == FORWARD_SPANS;
    while (sampled && b->n < PIECES_MAX && forward_ready_fits(f, b->n ? b->rows : 0, bytes)) {
        struct batch_piece *p = &b->pieces[b->n++];
        b->newest_ns = MAX(b->newest_ns, f->ready->since_ns);
        forward_ready_take(f, p);
        b->rows += p->rows;
        bytes += p->spans.request.n;
    }
    while (!sampled && b->n < PIECES_MAX && disk_queue_peek(f->queue, (uint8_t)kind, &r, &n)) {
        if (b->n && (b->rows + r.rows > c->batch_items || bytes + n > c->batch_bytes)) break;
        if (!disk_queue_next(f->queue, (uint8_t)kind, clock_wall_ns(), &r, &n)) break;
        b->pieces[b->n++] = (struct batch_piece){.sequence = r.sequence, .rows = r.rows};
        b->rows += r.rows;
        b->newest_ns = MAX(b->newest_ns, r.time_ns);
        bytes += n;
    }
    if (b->n) return b;
    forward_batch_free(b);
    return NULL;
}

/* Reads their bodies, one behind the other. What cannot be read is named, counted and left out. */
static void read_bodies(struct forward *f, struct forward_batch *b) {
    size_t kept = 0;
    buf_init(&b->body, 8 * (size_t)QUEUE_BODY_MAX);
    for (size_t i = 0; i < b->n; i++) {
        struct batch_piece p = b->pieces[i];
        err e = NULL;
        if (p.sequence)
            e = disk_queue_read(f->queue, p.sequence, &b->body);
        else
            buf_add_str(&b->body, buf_str(&p.spans.request));
        if (e) {
            if (err_kind(e) != ERR_NOT_FOUND) {
                log_error("a record of the queue is lost", F_ERR(e), F_U64("rows", p.rows));
                atomic_fetch_add(&f->count.lost[b->kind], p.rows);
            }
            err_free(e);
            disk_queue_release(f->queue, p.sequence);
            b->rows -= p.rows;
            continue;
        }
        p.end = b->body.n;
        b->pieces[kept++] = p;
    }
    b->n = kept;
}

/* The next batch of any lane that may go; lanes take turns. Lock held. */
static struct forward_batch *pick(struct forward *f, uint32_t turn, int64_t *out_at, bool *out_is_new) {
    int64_t now = clock_monotonic_ns();
    *out_at = now + TICK_NS;
    for (uint32_t i = 0; i < FORWARD_KINDS; i++) {
        enum forward_kind kind = (enum forward_kind)((turn + i) % FORWARD_KINDS);
        struct forward_lane *lane = &f->lanes[kind];
        if (lane->failures && lane->under_way) continue;
        if (lane->failures && now < lane->not_before_ns) {
            *out_at = MIN(*out_at, lane->not_before_ns);
            continue;
        }
        struct forward_batch *b = lane->again;
        *out_is_new = b == NULL;
        if (b) {
            lane->again = b->next;
            if (!lane->again) lane->again_end = &lane->again;
            b->next = NULL;
        } else if (is_ready(f, kind, now, out_at)) {
            b = take_records(f, kind);
        }
        if (!b) continue;
        lane->under_way++;
        return b;
    }
    return NULL;
}

/* ---- what became of it ------------------------------------------------------------------------------------------- */

void forward_count_reason(struct forward *f, const char *reason, enum forward_kind kind, uint64_t rows) {
    size_t i = 0;
    while (i < f->reason_count && strcmp(f->reasons[i].text, reason) != 0) i++;
    if (i == FORWARD_REASONS_MAX) i--; /* the last one is for all others */
    if (i == f->reason_count) {
        f->reason_count++;
        snprintf(f->reasons[i].text, sizeof f->reasons[i].text, "%s", i + 1 < FORWARD_REASONS_MAX ? reason : "other");
    }
    f->reasons[i].rows[kind] += rows;
}

static void release_piece(struct forward *f, const struct batch_piece *p) {
    if (p->sequence) disk_queue_release(f->queue, p->sequence);
    for (size_t i = 0; i < p->spans.record_count; i++) disk_queue_release(f->queue, p->spans.records[i]);
}

static void release(struct forward *f, const struct forward_batch *b, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) release_piece(f, &b->pieces[i]);
}

static void note_delivered(struct forward *f, enum forward_kind kind, uint64_t rows, const struct out_result *result) {
    uint64_t rejected = MIN(result->rejected, rows);
    atomic_fetch_add(&f->count.sent[kind], rows - rejected);
    atomic_fetch_add(&f->count.sent_requests[kind], 1);
    atomic_fetch_add(&f->count.partial[kind], rejected);
    if (rejected)
        log_warn("the target rejected a part of what it took", F_TEXT("signal", forward_kind_names[kind]),
                 F_U64("rows", rejected), F_TEXT("message", result->message));
}

static void note_refused(struct forward *f, enum forward_kind kind, uint64_t rows, const struct out_result *result) {
    log_error("the target refuses: dropped", F_TEXT("signal", forward_kind_names[kind]), F_U64("rows", rows),
              F_TEXT("reason", result->reason), F_TEXT("message", result->message));
    lock_take(&f->lock);
    forward_count_reason(f, result->reason, kind, rows);
    lock_give(&f->lock);
}

/* What the target denies is kept for a while: a token or an address is wrong, not the rows. */
static void note_denied(struct forward *f, const struct forward_batch *b, struct out_result *result) {
    if (result->outcome != OUT_DENIED) return;
    atomic_fetch_add(&f->count.denied[b->kind], 1);
    bool held = clock_wall_ns() - b->newest_ns < f->options.hold_ns;
    result->outcome = held ? OUT_AGAIN : OUT_REFUSED;
    if (held)
        log_error("the target denies: is the token right, and the address? It is held and tried again",
                  F_TEXT("signal", forward_kind_names[b->kind]), F_TEXT("reason", result->reason),
                  F_TEXT("message", result->message));
}

static bool is_about_its_rows(const struct out_result *r) {
    static const char *const reasons[] = {"400", "413", "422", "too_large", "grpc_3", "grpc_8"};
    for (size_t i = 0; i < LENGTH(reasons); i++)
        if (strcmp(r->reason, reasons[i]) == 0) return true;
    return false;
}

/* Of a batch that is refused for what is in it, each request by itself: one that is bad shall not take others with it. False: what is left of
 * it (from the piece that failed on) is to be tried again. */
static bool send_pieces_wait(struct forward_sender *s, struct forward_batch *b, struct out_result *result) {
    size_t at = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct batch_piece *p = &b->pieces[i];
        out_send_wait(s->out, b->kind, (struct str){b->body.p + at, p->end - at}, result);
        note_denied(s->f, b, result);
        if (result->outcome == OUT_AGAIN) {
            for (size_t k = 0; k < i; k++) sampler_spans_done(&b->pieces[k].spans);
            memmove(b->body.p, b->body.p + at, b->body.n - at);
            b->body.n -= at;
            memmove(b->pieces, p, (b->n - i) * sizeof *p);
            b->n -= i;
            for (size_t k = 0; k < b->n; k++) b->pieces[k].end -= at;
            return false;
        }
        if (result->outcome == OUT_DELIVERED)
            note_delivered(s->f, b->kind, p->rows, result);
        else
            note_refused(s->f, b->kind, p->rows, result);
        release_piece(s->f, p);
        b->rows -= p->rows;
        at = p->end;
    }
    return true;
}

/* True: it is done with. */
static bool send_wait(struct forward_sender *s, struct forward_batch *b, struct out_result *result) {
    *result = (struct out_result){.outcome = OUT_DELIVERED, .retry_ns = -1};
    if (!b->n) return true;
    out_send_wait(s->out, b->kind, buf_str(&b->body), result);
    note_denied(s->f, b, result);
    if (result->outcome == OUT_AGAIN) return false;
    if (result->outcome == OUT_REFUSED && b->n > 1 && is_about_its_rows(result)) return send_pieces_wait(s, b, result);
    if (result->outcome == OUT_DELIVERED)
        note_delivered(s->f, b->kind, b->rows, result);
    else
        note_refused(s->f, b->kind, b->rows, result);
    release(s->f, b, 0, b->n);
    return true;
}

/* Later and later, with a jitter of half, never before the target says. Lock held. */
static void put_off(struct forward *f, struct forward_batch *b, const struct out_result *result) {
    struct forward_lane *lane = &f->lanes[b->kind];
    uint32_t doublings = MIN(lane->failures, (uint32_t)20);
    int64_t pause = MIN(f->options.backoff_ns << doublings, f->options.backoff_max_ns);
    pause = pause / 2 + (int64_t)(random_u64() % (uint64_t)(pause / 2 + 1));
    pause = MAX(pause, MIN(result->retry_ns, RETRY_AFTER_MAX_NS));
    if (clock_monotonic_ns() >= lane->not_before_ns) lane->failures++; /* calls that fail together are one failure */
    lane->not_before_ns = MAX(lane->not_before_ns, clock_monotonic_ns() + pause);
    b->next = NULL;
    *lane->again_end = b;
    lane->again_end = &b->next;
    atomic_fetch_add(&f->count.retries[b->kind], 1);
    if (!atomic_load(&f->cut))
        log_warn("the target takes nothing: tried again later", F_TEXT("signal", forward_kind_names[b->kind]),
                 F_TEXT("reason", result->reason), F_TEXT("message", result->message), F_DURATION("pause", pause));
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static void send_one_wait(struct forward_sender *s, struct forward_batch *b, bool is_new) {
    struct forward *f = s->f;
    struct out_result result;
    if (is_new) read_bodies(f, b);
    bool done = send_wait(s, b, &result);
    err e = disk_queue_mark(f->queue);
    if (e) log_warn("what is done cannot be marked: it may be sent again after a restart", F_ERR(e));
    err_free(e);
    lock_take(&f->lock);
    f->lanes[b->kind].under_way--;
    if (done) {
        f->lanes[b->kind].failures = 0;
        f->lanes[b->kind].not_before_ns = 0;
        forward_batch_free(b);
    } else {
        put_off(f, b, &result);
    }
    flag_wake_all(&f->wake);
    lock_give(&f->lock);
}

void forward_send(void *context) {
    struct forward_sender *s = context;
    struct forward *f = s->f;
    uint32_t turn = (uint32_t)(s - f->senders);
    lock_take(&f->lock);
    while (!atomic_load(&f->cut)) {
        int64_t at;
        bool is_new;
        struct forward_live *before = s->live;
        forward_live_follow(f, &s->live);
        if (s->live != before) out_set_fields(s->out, (const char *const *)s->live->fields);
        struct forward_batch *b = pick(f, turn++, &at, &is_new);
        if (!b) {
            flag_wait_until(&f->wake, &f->lock, at);
            continue;
        }
        lock_give(&f->lock);
        send_one_wait(s, b, is_new);
        lock_take(&f->lock);
    }
    lock_give(&f->lock);
}
