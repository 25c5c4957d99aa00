#include "ingest/forward/forward_priv.h"

#include "base/log.h"
#include "os/clock.h"
#include "os/hold.h"

enum { GROUP_REQUESTS_MAX = 256, GROUP_BYTES_MAX = 16 << 20, HELD_SHARE = 2 /* a half */ };
#define MARK_NS ((int64_t)200000000)

/* ---- the queue's thread ------------------------------------------------------------------------------------------ */

struct group {
    struct forward_request *requests[GROUP_REQUESTS_MAX];
    struct queue_record records[GROUP_REQUESTS_MAX];
    size_t n, bytes;
};

static void add_to_group(struct group *g, struct forward_request *r, int64_t now) {
    g->requests[g->n] = r;
    g->records[g->n++] =
        (struct queue_record){.time_ns = now, .rows = r->rows, .kind = (uint8_t)r->kind, .body = buf_str(&r->record)};
    g->bytes += r->record.n;
}

static void wake_senders(struct forward *f) {
    lock_take(&f->lock);
    flag_wake_all(&f->wake);
    lock_give(&f->lock);
}

/* One sync for all; where they do not fit together, maybe some of them do. */
static void commit_group(struct forward *f, struct group *g) {
    err e = disk_queue_append(f->queue, g->records, g->n);
    bool alone = e && g->n > 1 && (err_kind(e) == ERR_BUSY || err_kind(e) == ERR_LIMIT), fails = e && !alone;
    if (fails && err_kind(e) != ERR_BUSY) log_error("requests are refused: they cannot be kept", F_ERR(e));
    atomic_store(&f->disk_fails, fails && err_kind(e) != ERR_BUSY && err_kind(e) != ERR_LIMIT);
    hold_begin();
    for (size_t i = 0; i < g->n; i++) {
        err mine = alone ? disk_queue_append(f->queue, &g->records[i], 1)
                   : e   ? err_new(err_kind(e), "%s", err_text(e))
                         : NULL;
        forward_answer(f, g->requests[i], mine);
    }
    hold_end();
    err_free(e);
    wake_senders(f);
}

/* ---- a signal that the target does not take ---------------------------------------------------------------------- */

uint32_t forward_held_kinds(const struct forward *f) {
    uint32_t held = 0;
    bool others = false;
    for (int k = 0; k < FORWARD_KINDS; k++) {
        if (f->lanes[k].failures) held |= 1u << k;
        others |= !f->lanes[k].failures && atomic_load(&f->count.sent_requests[k]);
    }
    return others ? held : 0;
}

uint64_t forward_held_bytes_max(const struct forward *f) { return f->options.queue_bytes_max / HELD_SHARE; }

/* Where old records make room for new ones, they do here, too. */
static bool is_over_share(struct forward *f, enum forward_kind kind) {
    if (f->options.drop_oldest) return false;
    lock_take(&f->lock);
    uint32_t held = forward_held_kinds(f);
    lock_give(&f->lock);
    if (!(held >> kind & 1)) return false;
    struct disk_queue_stats stats;
    disk_queue_get_stats(f->queue, &stats);
    return stats.records[kind] >= QUEUE_RECORDS_MAX / HELD_SHARE ||
           disk_queue_kept_bytes(f->queue, held) >= forward_held_bytes_max(f);
}

/* It has its share: the rest of the queue is for signals that the target takes. */
static bool is_refused(struct forward *f, struct forward_request *r) {
    if (!is_over_share(f, r->kind)) return false;
    log_error("a signal that the target does not take has its share of the queue: more of it is refused",
              F_TEXT("signal", forward_kind_names[r->kind]), F_U64("bytes_max", forward_held_bytes_max(f)));
    r->over_share = true;
    forward_answer(f, r,
                   err_new(ERR_BUSY, "%s have their share of the queue: the target has not taken what came before",
                           forward_kind_names[r->kind]));
    return true;
}

static void run_committer(void *context) {
    struct forward *f = context;
    struct group *g = mem_new_of(struct group);
    struct forward_request *r;
    while ((r = queue_pop_wait(f->commit))) {
        int64_t now = clock_wall_ns();
        g->n = g->bytes = 0;
        if (!is_refused(f, r)) add_to_group(g, r, now);
        while (g->n < GROUP_REQUESTS_MAX && g->bytes < GROUP_BYTES_MAX && (r = queue_pop(f->commit)))
            if (!is_refused(f, r)) add_to_group(g, r, now);
        if (g->n) commit_group(f, g);
    }
    mem_free(g);
}

/* ---- what a reload changes ----------------------------------------------------------------------------------------- */

static struct forward_live *live_new(struct forward_config *config, const char *const *fields) {
    struct forward_live *l = mem_new_of(struct forward_live);
    *l = (struct forward_live){.config = *config, .refs = 1};
    *config = (struct forward_config){0};
    for (size_t i = 0; i < FORWARD_FIELDS_MAX && fields[i]; i++) l->fields[i] = str_dup(str_of(fields[i]));
    return l;
}

/* Lock held. The last one is gone. */
static void drop(struct forward_live *l) {
    if (!l || --l->refs) return;
    for (size_t i = 0; l->fields[i]; i++) mem_free(l->fields[i]);
    forward_config_done(&l->config);
    mem_free(l);
}

struct forward_live *forward_live_ref(struct forward *f) {
    struct forward_live *l = NULL;
    lock_take(&f->lock);
    forward_live_follow(f, &l);
    lock_give(&f->lock);
    return l;
}

void forward_live_unref(struct forward *f, struct forward_live *l) {
    lock_take(&f->lock);
    drop(l);
    lock_give(&f->lock);
}

void forward_live_follow(struct forward *f, struct forward_live **held) {
    if (*held == f->live) return;
    drop(*held);
    f->live->refs++;
    *held = f->live;
}

err forward_reload(struct forward *f, struct forward_config *config, const char *const *fields) {
    if (config->sampling.on != (f->sampler != NULL))
        return err_new(ERR_INVALID, "tail_sampling: to begin or end it needs a restart");
    struct forward_live *next = live_new(config, fields);
    lock_take(&f->lock);
    drop(f->live);
    f->live = next;
    flag_wake_all(&f->wake);
    lock_give(&f->lock);
    atomic_fetch_add(&f->reloads, 1);
    return NULL;
}

/* ---- beginning and ending ---------------------------------------------------------------------------------------- */

static bool is_cut(void *context) { return atomic_load(&((struct forward *)context)->cut); }

static err start(struct forward *f) {
    f->workers = mem_new_array(struct thread *, f->options.work_threads);
    f->senders = mem_new_array(struct forward_sender, f->options.connections);
    for (uint32_t i = 0; i < f->options.connections; i++) {
        struct forward_sender *s = &f->senders[i];
        s->f = f;
        TRY(out_new(&f->options.target, &s->out)); /* its fields come with the first batch */
        out_end_if(s->out, is_cut, f);
    }
    if (f->sampler) TRY(thread_start(&f->sample, "sample", 0, forward_sample, f));
    TRY(thread_start(&f->committer, "commit", 0, run_committer, f));
    for (uint32_t i = 0; i < f->options.work_threads; i++)
        TRY(thread_start(&f->workers[i], "work", 0, forward_work, f));
    for (uint32_t i = 0; i < f->options.connections; i++)
        TRY(thread_start(&f->senders[i].thread, "send", 0, forward_send, &f->senders[i]));
    return NULL;
}

err forward_new(const struct forward_options *options, struct forward **out) {
    struct forward *f = mem_new_of(struct forward);
    f->options = *options;
    f->options.config = NULL;
    f->live = live_new(options->config, options->target.fields);
    f->started_ns = clock_wall_ns();
    lock_init(&f->lock);
    flag_init(&f->wake);
    for (int k = 0; k < FORWARD_KINDS; k++) f->lanes[k].again_end = &f->lanes[k].again;
    f->ready_end = &f->ready;
    f->work = queue_new(FORWARD_WAITING_MAX);
    f->commit = queue_new(FORWARD_WAITING_MAX);
    err e = disk_queue_open(&(struct disk_queue_options){.dir = options->dir,
                                                         .bytes_max = options->queue_bytes_max,
                                                         .age_max_ns = options->queue_age_ns,
                                                         .drop_oldest = options->drop_oldest},
                            &f->queue);
    if (!e) e = forward_sample_open(f);
    if (!e) e = start(f);
    if (e) {
        forward_stop_wait(f, 0);
        forward_free(f);
        return e;
    }
    *out = f;
    return NULL;
}

static bool is_sent(struct forward *f) {
    struct disk_queue_stats stats;
    disk_queue_get_stats(f->queue, &stats);
    return stats.records[0] + stats.records[1] + stats.records[2] == 0;
}

void forward_stop_wait(struct forward *f, int64_t deadline) {
    queue_close(f->work);
    for (uint32_t i = 0; f->workers && i < f->options.work_threads; i++) thread_join(f->workers[i]);
    queue_close(f->commit);
    thread_join(f->committer);
    lock_take(&f->lock);
    f->stopping = true;
    flag_wake_all(&f->wake);
    while (f->queue && deadline && !is_sent(f) && clock_monotonic_ns() < deadline)
        flag_wait_until(&f->wake, &f->lock, MIN(deadline, clock_monotonic_ns() + MARK_NS));
    atomic_store(&f->cut, true);
    flag_wake_all(&f->wake);
    lock_give(&f->lock);
    thread_join(f->sample);
    for (uint32_t i = 0; f->senders && i < f->options.connections; i++) thread_join(f->senders[i].thread);
}

static void free_batches(struct forward_batch *b) {
    while (b) {
        struct forward_batch *next = b->next;
        forward_batch_free(b);
        b = next;
    }
}

void forward_free(struct forward *f) {
    if (!f) return;
    for (uint32_t i = 0; f->senders && i < f->options.connections; i++) {
        out_free(f->senders[i].out);
        forward_live_unref(f, f->senders[i].live);
    }
    for (int k = 0; k < FORWARD_KINDS; k++) free_batches(f->lanes[k].again);
    forward_sample_done(f);
    forward_live_unref(f, f->live);
    disk_queue_close(f->queue);
    queue_free(f->work);
    queue_free(f->commit);
    lock_done(&f->lock);
    flag_done(&f->wake);
    mem_free(f->workers);
    mem_free(f->senders);
    mem_free(f);
}
