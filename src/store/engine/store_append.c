/* The way in: admission, group commit, visibility (1, 2, 5, 9, 10). */
#include "store/engine/store_engine_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "os/clock.h"
#include "os/hold.h"
#include "signal/metrics/points_brief.h"

/* ---- state ------------------------------------------------------------------------------------------------------ */

err engine_refusal(const struct engine *s) {
    if (s->closing) return err_new(ERR_UNAVAILABLE, "the store is closing");
    if (s->read_only) return err_new(ERR_UNAVAILABLE, "the store is read-only until restart: %s", s->why);
    if (s->disk_full) return err_new(ERR_UNAVAILABLE, "the disk takes no writes: %s", s->why);
    return NULL;
}

static void keep_why(struct engine *s, const char *why) { snprintf(s->why, sizeof s->why, "%s", why); }

void engine_read_only(struct engine *s, const char *why) {
    lock_take(&s->lock);
    bool news = !s->read_only;
    s->read_only = true;
    if (news) keep_why(s, why);
    lock_give(&s->lock);
    if (news) log_error("store is read-only until restart", F_TEXT("why", why));
}

void engine_disk_full(struct engine *s, const char *why) {
    lock_take(&s->lock);
    bool news = !s->disk_full;
    s->disk_full = true;
    if (!s->read_only) keep_why(s, why);
    flag_wake_all(&s->back_wake);
    lock_give(&s->lock);
    if (news) log_warn("disk full, writes are refused", F_TEXT("why", why));
}

struct table *engine_table(struct engine *s, struct str tenant, enum signal signal, bool make) {
    for (size_t i = 0; i < s->tables.n; i++) {
        struct table *t = s->tables.v[i];
        if (t->signal == signal && str_equal(str_of(t->tenant), tenant)) return t;
    }
    if (!make) return NULL;
    struct table *t = table_new(tenant, signal);
    if (signal == TABLE_SERIES) t->series = series_table_new(&s->o);
    *vec_push(&s->tables) = t;
    return t;
}

/* ---- admission -------------------------------------------------------------------------------------------------- */

/* The days of the batch join those of its table, or none do. */
static err admit_days(struct engine *s, struct table *t, const struct memory_batch *m) {
    if (m->days.n > DAYS_MAX) return err_new(ERR_LIMIT, "one request has rows of more than %d days", DAYS_MAX);
    bool empty = t->series ? t->series->first == 0 : t->active->n == 0;
    if (empty && s->pending_count == 0) vec_clear(&t->days); /* left by refused ones */
    size_t before = t->days.n;
    for (size_t i = 0; i < m->days.n; i++) {
        if (day_list_add(&t->days, m->days.v[i], DAYS_MAX)) continue;
        t->days.n = before;
        t->flush_now = true;
        flag_wake_all(&s->back_wake);
        return err_new(ERR_BUSY, "rows of more than %d days wait to be written", DAYS_MAX);
    }
    return NULL;
}

static err admit_locked(struct engine *s, struct str tenant, struct memory_batch *m) {
    TRY(engine_refusal(s));
    if (s->pending_count >= PENDING_MAX) return err_new(ERR_BUSY, "%d requests wait for the disk", PENDING_MAX);
    struct table *t = engine_table(s, tenant, m->view.signal, s->tables.n < TABLES_MAX);
    if (!t) return err_new(ERR_LIMIT, "there are %d tables already", TABLES_MAX);
    TRY(engine_refuse_failing(s, t));
    TRY(admit_days(s, t, m));
    m->table = t;
    m->next = NULL;
    *s->pending_end = m;
    s->pending_end = &m->next;
    s->pending_count++;
    if (s->pending_count >= s->group.awaited) flag_wake_one(&s->log_wake);
    return NULL;
}

/* Takes the bytes from the budget, or drops the blob. What was refused makes room for itself: the back thread writes the largest table, pressed
 * or not. */
static err admit_bytes(struct engine *s, struct str tenant, struct batch_blob *blob, uint64_t bytes) {
    if (!tenant_is_valid(tenant)) {
        batch_unref(blob);
        return err_new(ERR_INVALID, "a tenant's name is 1 to %d of [A-Za-z0-9_.-] and begins with no dot",
                       TENANT_BYTES - 1);
    }
    if (budget_take(s->o.budget, bytes)) return NULL;
    batch_unref(blob);
    lock_take(&s->lock);
    if (bytes <= s->o.budget->limit_bytes - s->work_bytes) s->wanted_bytes = MAX(s->wanted_bytes, bytes);
    flag_wake_all(&s->back_wake); /* a flush gives memory back */
    lock_give(&s->lock);
    return budget_err(s->o.budget, "rows and series wait to be written; try again in a moment");
}

/* Into the queue, or the batch is dropped. */
static err admit(struct engine *s, struct str tenant, struct memory_batch *m, bool empty) {
    err e = empty ? err_new(ERR_INVALID, "a batch without rows") : NULL;
    if (!e) {
        lock_take(&s->lock);
        e = admit_locked(s, tenant, m);
        lock_give(&s->lock);
    }
    if (e) memory_batch_unref(m);
    return e;
}

err engine_append(struct store *store, struct str tenant, struct batch_blob *blob, store_done_fn done, void *context) {
    struct engine *s = (struct engine *)store;
    TRY(admit_bytes(s, tenant, blob, memory_batch_bytes(blob)));
    struct memory_batch *m = memory_batch_new(blob, s->o.budget);
    m->done = done;
    m->context = context;
    return admit(s, tenant, m, m->view.rows == 0);
}

err engine_append_points(struct store *store, struct str tenant, struct batch_blob *blob, store_points_fn done,
                         void *context) {
    struct engine *s = (struct engine *)store;
    /* The head takes what it needs, whatever this estimates: some room is kept for it. */
    uint64_t bytes = memory_points_bytes(blob), slack = s->o.budget->limit_bytes / 8;
    if (bytes > s->o.budget->limit_bytes - s->work_bytes - slack) {
        batch_unref(blob);
        return err_new(ERR_LIMIT,
                       "a request that takes %llu MiB in memory, of a memory.limit of %llu: send smaller ones",
                       (unsigned long long)(bytes / MIB), (unsigned long long)(s->o.budget->limit_bytes / MIB));
    }
    TRY(admit_bytes(s, tenant, blob, bytes + slack));
    budget_give(s->o.budget, slack);
    struct memory_batch *m = memory_points_new(blob, s->o.budget);
    m->points_done = done;
    m->context = context;
    m->arrived_ns = s->o.wall_ns();
    return admit(s, tenant, m, m->points.n + m->points.metric_count + m->points.exemplar_count == 0);
}

static const int64_t group_wait_max_ns = 2000000, group_gap_max_ns = 5000000;

/* ---- commit ----------------------------------------------------------------------------------------------------- */

/* Of points whose labels are not in the batch: no larger than that (engine_say puts the bytes). */
static struct log_record record_of(const struct memory_batch *m) {
    struct log_record r = {.sequence = m->sequence,
                           .signal = m->view.signal,
                           .tenant = str_of(m->table->tenant),
                           .blob = batch_bytes(m->view.blob),
                           .blob_check = m->blob_check,
                           .flags = m->flags,
                           .arrived_ns = m->arrived_ns};
    if (memory_batch_is_points(m) && m->points.kept) r.blob.n = points_brief_bytes_max(&m->points);
    return r;
}

static bool take_pending(struct engine *s) {
    lock_take(&s->lock);
    for (struct memory_batch *m = s->pending; m; m = m->next) *vec_push(&s->taken) = m;
    s->pending = NULL;
    s->pending_end = &s->pending;
    lock_give(&s->lock);
    return s->taken.n > 0;
}

static void forget_taken(struct engine *s, size_t n) {
    s->taken.n -= n;
    memmove(s->taken.v, s->taken.v + n, s->taken.n * sizeof *s->taken.v);
}

/* lock held */
static void land(struct engine *s, struct table *table) {
    if (--table->series->in_flight) return;
    if (table->series->seal_asked) engine_seal_now(s, table);
    flag_wake_all(&s->sealed);
}

/* The record is in the head already: what is left is to say so. */
static void take_points(struct engine *s, const struct memory_batch *m, int64_t monotonic_ns) {
    struct series_table *t = m->table->series;
    if (!t->first) {
        t->first = m->sequence;
        t->log_from = m->began ? m->began : m->sequence;
        t->born_ns = monotonic_ns;
        t->born_wall_ns = s->o.wall_ns();
    }
    t->last = m->sequence;
    t->bytes = m->head.charged_bytes;
    t->beside = m->beside;
    t->count = m->head.series;
    if (t->in_flight) land(s, m->table);
}

void engine_make_visible(struct engine *s, struct memory_batch *m, int64_t monotonic_ns) {
    struct table *t = m->table;
    for (size_t i = 0; i < m->days.n; i++) day_list_add(&t->days, m->days.v[i], SIZE_MAX);
    s->visible_sequence = m->sequence;
    if (memory_batch_is_points(m))
        take_points(s, m, monotonic_ns);
    else
        memory_list_push(t->active, m, monotonic_ns);
}

/* Who is to be told, as once visible a flush may free the batch; those of points are told out of it, and then it goes. */
struct answer {
    store_done_fn done;
    void *context;
    struct memory_batch *points;
};

static struct answer answer_of(struct memory_batch *m) {
    return (struct answer){m->done, m->context, memory_batch_is_points(m) ? m : NULL};
}

static void give_answer(const struct answer *a, err e) {
    struct memory_batch *m = a->points;
    if (m)
        m->points_done(m->context, e, e ? NULL : m->outcome);
    else
        a->done(a->context, e);
    memory_batch_unref(m);
}

static void count_batch(struct engine *s, const struct memory_batch *m) {
    if (!memory_batch_is_points(m)) {
        s->stats.rows_appended[m->view.signal] += m->view.rows;
        return;
    }
    s->stats.points_appended += m->points.n;
    s->stats.samples_appended += m->outcome->samples + m->outcome->histograms;
    s->stats.points_rejected += m->outcome->rejected;
}

/* Whether the back thread should look at the table. */
static bool is_news(const struct engine *s, const struct table *t, const struct memory_batch *m) {
    if (t->series)
        return t->series->first == m->sequence || t->series->sealed.n > 0 ||
               series_table_is_full(t->series, s->o.series.flush_bytes);
    return t->active->bytes >= s->o.flush_bytes || t->active->n == 1;
}

static void finish(struct engine *s, size_t n) {
    AUTO_FREE struct answer *answers = mem_new_array(struct answer, n);
    int64_t now = clock_monotonic_ns();
    bool wake = engine_is_pressed(s);
    for (size_t i = 0; i < n; i++)
        if (memory_batch_is_points(s->taken.v[i])) engine_apply_points(s, s->taken.v[i]);
    engine_said(s, n);
    lock_take(&s->lock);
    for (size_t i = 0; i < n; i++) {
        struct memory_batch *m = s->taken.v[i];
        answers[i] = answer_of(m);
        count_batch(s, m);
        s->stats.bytes_logged += record_bytes(&s->records.v[i]);
        engine_make_visible(s, m, now);
        wake |= is_news(s, m->table, m);
    }
    s->stats.batches_appended += n;
    s->stats.commits++;
    s->pending_count -= n;
    s->group.size = n + s->pending_count;
    s->group.ended_ns = now;
    if (wake) flag_wake_all(&s->back_wake);
    lock_give(&s->lock);
    engine_segments_publish(s);
    hold_begin(); /* who waits for several is woken once */
    for (size_t i = 0; i < n; i++) give_answer(&answers[i], NULL);
    hold_end();
    forget_taken(s, n);
}

static void refuse_all(struct engine *s, const char *why) {
    size_t n = s->taken.n;
    lock_take(&s->lock);
    s->pending_count -= n;
    lock_give(&s->lock);
    for (size_t i = 0; i < n; i++) {
        struct memory_batch *m = s->taken.v[i];
        struct answer a = answer_of(m);
        give_answer(&a, err_new(ERR_UNAVAILABLE, "%s", why));
        if (!a.points) memory_batch_unref(m);
    }
    vec_clear(&s->taken);
}

void engine_segments_publish(struct engine *s) {
    lock_take(&s->lock);
    struct segments_view *v = &s->segments;
    vec_clear(&v->closed);
    for (size_t i = 0; i < s->log.closed.n; i++) *vec_push(&v->closed) = s->log.closed.v[i];
    v->open_number = s->log.file ? s->log.current.number : s->log.next_number;
    v->open_used_bytes = s->log.file ? s->log.current.used_bytes : 0;
    v->disk_bytes = record_log_bytes(&s->log);
    lock_give(&s->lock);
}

/* ---- failure (5) ------------------------------------------------------------------------------------------------ */

struct unflushed {
    VEC(struct memory_list *) lists;
    record_list records;
};

static void add_list(struct unflushed *u, struct memory_list *l) {
    if (!l || l->n == 0) return;
    *vec_push(&u->lists) = memory_list_ref(l);
    for (size_t i = 0; i < l->n; i++) *vec_push(&u->records) = record_of(l->v[i]);
}

static int by_sequence(const void *a, const void *b) {
    uint64_t x = ((const struct log_record *)a)->sequence, y = ((const struct log_record *)b)->sequence;
    return x < y ? -1 : x > y;
}

static err restart_log(struct engine *s, struct unflushed *u, segment_mappings *points, uint64_t first) {
    TRY(engine_relog_points(s, points, &u->records));
    if (u->records.n) {
        qsort(u->records.v, u->records.n, sizeof *u->records.v, by_sequence);
        first = u->records.v[0].sequence;
    }
    return record_log_restart(&s->log, first, u->records.v, u->records.n);
}

/* Logs again, to a new segment, all that is visible and not in parts. Rows are in memory; of points, whose samples are in heads, the
 * records are copied from where they were synced. */
static err log_again(struct engine *s) {
    struct unflushed u = {0};
    segment_mappings points = {0};
    lock_take(&s->lock);
    for (size_t i = 0; i < s->tables.n; i++) {
        add_list(&u, s->tables.v[i]->flushing);
        add_list(&u, s->tables.v[i]->active);
    }
    uint64_t first = s->visible_sequence + 1;
    lock_give(&s->lock);
    err e = restart_log(s, &u, &points, first);
    segments_unmap(&points);
    for (size_t i = 0; i < u.lists.n; i++) memory_list_unref(u.lists.v[i]);
    vec_done(&u.lists);
    vec_done(&u.records);
    return e;
}

static void log_failed(struct engine *s, const char *why) {
    bool first = s->log_failures++ == 0;
    lock_take(&s->lock);
    s->stats.syncs_failed++;
    lock_give(&s->lock);
    log_error("log write failed", F_TEXT("why", why));
    if (!first) {
        engine_read_only(s, why);
        return;
    }
    err e = log_again(s);
    if (e) engine_read_only(s, err_text(e));
    err_free(e);
}

/* ---- the log thread --------------------------------------------------------------------------------------------- */

/* From here on the heads of these records' tables are not sealed. The first record of a head says that it is one. */
static void enter_flight(struct engine *s, size_t n) {
    lock_take(&s->lock);
    for (size_t i = 0; i < n; i++) {
        struct memory_batch *m = s->taken.v[i];
        if (!memory_batch_is_points(m)) continue;
        m->flags = m->table->series->fresh ? RECORD_FRESH : 0;
        m->table->series->fresh = false;
        m->table->series->refers = m->table->series->epoch == m->table->series->known.epoch;
        m->table->series->in_flight++;
        s->records.v[i].flags = m->flags;
    }
    lock_give(&s->lock);
}

/* They came to nothing. */
static void leave_flight(struct engine *s, size_t n) {
    lock_take(&s->lock);
    for (size_t i = 0; i < n; i++) {
        struct memory_batch *m = s->taken.v[i];
        if (!memory_batch_is_points(m)) continue;
        m->table->series->fresh |= m->flags & RECORD_FRESH;
        m->table->series->saying = m->table->series->said;
        land(s, m->table);
    }
    lock_give(&s->lock);
}

static void commit_taken(struct engine *s) {
    uint64_t sequence = s->visible_sequence; /* only this thread changes it */
    vec_clear(&s->records);
    for (size_t i = 0; i < s->taken.n; i++) {
        s->taken.v[i]->sequence = ++sequence;
        *vec_push(&s->records) = record_of(s->taken.v[i]);
    }
    err why = NULL;
    size_t n = record_log_fit(&s->log, s->records.v, s->records.n);
    enter_flight(s, n);
    engine_say(s, n);
    int64_t start = clock_monotonic_ns();
    enum commit_result result = record_log_commit(&s->log, s->records.v, n, &why);
    s->group.took_ns = clock_monotonic_ns() - start;
    if (result == COMMIT_DONE) {
        finish(s, n);
        record_log_mark(&s->log); /* after the answers: nobody waits for it */
        record_log_write_ahead(&s->log);
        return;
    }
    leave_flight(s, n);
    if (result == COMMIT_REFUSED)
        engine_disk_full(s, err_text(why));
    else
        log_failed(s, err_text(why));
    engine_segments_publish(s);
    refuse_all(s, err_text(why));
    err_free(why);
}

static bool everything_flushed(const struct engine *s) {
    if (s->pending) return false;
    for (size_t i = 0; i < s->tables.n; i++)
        if (table_holds_log(s->tables.v[i])) return false;
    return true;
}

/* Segments that a flush has passed go (4). */
static bool clean_log(struct engine *s) {
    lock_take(&s->lock);
    uint64_t below = s->retire_below;
    bool hold = s->backup_running; /* it copies segments */
    bool idle = !hold && s->check_idle && everything_flushed(s) && !s->read_only;
    bool retire = !hold && below > s->retired_below;
    if (!hold) s->check_idle = false;
    s->pulse_asked = false;
    lock_give(&s->lock);
    if (!idle && !retire) return false;
    if (idle)
        record_log_trim(&s->log);
    else
        record_log_retire(&s->log, below);
    s->retired_below = MAX(below, s->retired_below);
    engine_segments_publish(s);
    return true;
}

bool engine_log_step(struct engine *s) {
    bool cleaned = clean_log(s);
    cleaned |= engine_turn_heads(s);
    if (s->taken.n == 0 && !take_pending(s)) return cleaned;
    lock_take(&s->lock);
    bool read_only = s->read_only;
    lock_give(&s->lock);
    if (read_only)
        refuse_all(s, "the store is read-only until restart");
    else
        commit_taken(s);
    return true;
}

/* Senders that wait for their answers send again at once: those of the last commit, and those who came meanwhile, are waited for. So one sync serves
 * them all. The log thread sleeps through their coming: it is woken when all are there, or when the time is up. */
static void await_group(struct engine *s) {
    lock_take(&s->lock);
    int64_t now = clock_monotonic_ns(),
            until = MAX(s->group.ended_ns, now) + MIN(4 * s->group.took_ns, group_wait_max_ns);
    if (s->group.size > 1 && now - s->group.ended_ns < group_gap_max_ns) s->group.awaited = s->group.size;
    while (s->pending_count < s->group.awaited && !s->stop_log && flag_wait_until(&s->log_wake, &s->lock, until)) {}
    s->group.awaited = 0;
    lock_give(&s->lock);
}

void engine_log_thread(void *engine) {
    struct engine *s = engine;
    for (;;) {
        do await_group(s);
        while (engine_log_step(s));
        lock_take(&s->lock);
        while (!s->pending && !s->stop_log && !s->pulse_asked && !s->turn_heads && !s->forget_known &&
               (s->backup_running || (!s->check_idle && s->retire_below <= s->retired_below)))
            flag_wait(&s->log_wake, &s->lock);
        bool stop = s->stop_log && !s->pending;
        lock_give(&s->lock);
        if (stop) return;
    }
}
