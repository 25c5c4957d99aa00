#include "api/api_priv.h"

#include <stdlib.h>

#include "base/budget.h"
#include "ingest/live.h"
#include "os/clock.h"
#include "signal/batch_build.h"

enum {
    FOLLOWERS_MAX = 64,
    OF_TENANT_MAX = 16,
    HELD_MAX = 1 << 20,
    CHUNK_BYTES = 32 << 10,
    FILTER_BYTES_MAX = 16 << 20
};
static const int64_t second = 1000000000, slow_ns = 20000000, beat_seconds = 15, overlap_seconds = 2;

/* Rows on their way to the stream. */
struct hand {
    struct batch_blob *blob; /* NULL: none */
    struct batch batch;
    uint32_t *rows, n, at;
    uint64_t charged;
};

/* Hashes of the events of the history, which may come again from live. */
struct overlap {
    VEC(uint64_t) hashes;
    bool is_open;   /* the history is being written */
    int64_t end_at; /* when none of it can come any more, if live is empty */
};

struct follower {
    struct tails *tails;
    struct query q; /* the filter's */
    struct query_follow *filter;
    struct live_reader *reader;
    const struct api_stream_door *door;
    struct http_stream *stream; /* NULL: has not joined */
    struct caller caller;
    struct credentials credentials; /* in q's arena */
    atomic_bool ready;              /* live may have something */
    bool slow, refused;
    int64_t again_at, beat_at;
    struct hand hand;
    struct overlap overlap;
    struct buf out; /* events that wait for room in the stream */
    uint64_t lost;  /* not told so far */
};

struct tails {
    struct api *api;
    struct thread *thread; /* NULL: none */
    struct lock lock;      /* of the next */
    struct signal_flag flag;
    bool woken, ending;
    struct follower *v[FOLLOWERS_MAX];
    size_t n;
    _Atomic uint64_t rows, lost;
};

/* ---- rows in hand ----------------------------------------------------------------------------------------------- */

static void lose(struct follower *f, uint64_t rows) {
    f->lost += rows;
    atomic_fetch_add(&f->tails->lost, rows);
}

static void hand_drop(struct follower *f) {
    struct budget *budget = f->tails->api->options.budget;
    if (f->hand.blob && budget) budget_give(budget, f->hand.charged);
    batch_unref(f->hand.blob);
    mem_free(f->hand.rows);
    f->hand = (struct hand){0};
}

/* Takes over the blob, with room for its rows; false: over the budget, and it is gone. */
static bool hand_take(struct follower *f, struct batch_blob *blob) {
    struct budget *budget = f->tails->api->options.budget;
    struct hand h = {.blob = blob};
    batch_view(blob, &h.batch);
    h.charged = batch_bytes(blob).n + h.batch.rows * sizeof *h.rows;
    if (budget && !budget_take(budget, h.charged)) {
        batch_unref(blob);
        return false;
    }
    h.rows = mem_new_array(uint32_t, h.batch.rows + 1);
    f->hand = h;
    return true;
}

/* The next batch of live, filtered. */
static void take_batch(struct follower *f, int64_t now) {
    uint64_t lost;
    atomic_store(&f->ready, false); /* before the look: what comes after it wakes again */
    struct batch_blob *blob = live_take(f->reader, &lost);
    f->lost += lost; /* live counts these itself */
    if (!blob) {
        if (!f->overlap.is_open && now >= f->overlap.end_at) vec_done(&f->overlap.hashes);
        return;
    }
    atomic_store(&f->ready, true);
    struct batch b;
    batch_view(blob, &b);
    uint32_t rows = b.rows; /* the blob may go */
    if (!hand_take(f, blob)) {
        lose(f, rows);
        return;
    }
    err e = query_follow_pick(f->filter, &f->hand.batch, f->hand.rows, &f->hand.n);
    if (!e) return;
    err_free(e); /* too costly a filter: what it was not asked of counts as lost */
    hand_drop(f);
    lose(f, rows);
}

/* ---- history ---------------------------------------------------------------------------------------------------- */

/* Rows of an answer, newest first, as a batch of their own, oldest first: no snapshot is held for a slow reader. */
static struct batch_blob *copy_rows(const struct query_logs_answer *found) {
    struct batch_builder builder;
    struct batch_copy_cache cache = {0};
    batch_builder_init(&builder, SIGNAL_LOGS);
    for (size_t i = found->n; i-- > 0;) batch_builder_copy(&builder, &found->batch, found->rows[i], &cache);
    batch_copy_cache_done(&cache);
    struct batch_blob *blob = batch_builder_finish(&builder);
    batch_builder_done(&builder);
    return blob;
}

static err find_history(struct api_call *c, struct query *q, struct query_logs_answer *out) {
    struct query_logs r = {.order = QUERY_NEWEST, .limit = (size_t)call_number(c, "limit", 0)};
    TRY(call_filter(c, q, true, &r.filter));
    r.filter.time_min = call_number(c, "start", c->now_ns - 3600 * second);
    return query_logs(q, &r, out);
}

/* (1) Asked after live was opened. */
static err take_history(struct api_call *c, struct follower *f) {
    struct query q;
    struct query_logs_answer found = {.n = 0};
    if (call_number(c, "limit", 0) == 0) return NULL;
    call_query_begin(c, &q);
    err e = find_history(c, &q, &found);
    if (!e) e = query_charge(&f->q, found.n * sizeof(uint64_t) * 2); /* of the overlap */
    if (!e && found.n && !hand_take(f, copy_rows(&found))) e = budget_err(c->api->options.budget, "the newest records");
    query_end(&q);
    if (e || !f->hand.blob) return e;
    for (f->hand.n = 0; f->hand.n < f->hand.batch.rows; f->hand.n++) f->hand.rows[f->hand.n] = f->hand.n;
    f->overlap.is_open = true;
    return NULL;
}

static int compare_hashes(const void *a, const void *b) {
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static void end_history(struct follower *f, int64_t now) {
    if (!f->overlap.is_open) return;
    f->overlap.is_open = false;
    f->overlap.end_at = now + overlap_seconds * second;
    qsort(f->overlap.hashes.v, f->overlap.hashes.n, sizeof(uint64_t), compare_hashes);
}

/* (3) Whether this row was in the history; takes it out of there. */
static bool was_written(struct follower *f, uint64_t hash) {
    struct overlap *o = &f->overlap;
    if (o->is_open) {
        *vec_push(&o->hashes) = hash;
        return false;
    }
    uint64_t *found = o->hashes.n ? bsearch(&hash, o->hashes.v, o->hashes.n, sizeof hash, compare_hashes) : NULL;
    if (!found) return false;
    memmove(found, found + 1, (o->hashes.n - 1 - (size_t)(found - o->hashes.v)) * sizeof hash);
    o->hashes.n--;
    return true;
}

/* ---- a turn ----------------------------------------------------------------------------------------------------- */

static enum http_stream_state flush(struct follower *f) {
    enum http_stream_state state = f->out.n ? f->door->write(f->stream, buf_str(&f->out)) : HTTP_STREAM_OK;
    if (state == HTTP_STREAM_OK) buf_clear(&f->out);
    return state;
}

/* What the events take beyond what was charged; they only grow when a record is larger than all before. */
static bool settle(struct follower *f, size_t capacity) {
    if (f->out.capacity <= capacity) return true;
    err e = query_charge(&f->q, f->out.capacity - capacity);
    bool charged = !e;
    err_free(e);
    return charged;
}

static void put_row(struct follower *f, uint32_t row) {
    uint64_t hash;
    size_t before = f->out.n, capacity = f->out.capacity;
    bool put = tail_put_log(&f->out, &f->hand.batch, row, &hash);
    bool charged = settle(f, capacity);
    if (put && charged && !was_written(f, hash)) {
        atomic_fetch_add_explicit(&f->tails->rows, 1, memory_order_relaxed);
        return;
    }
    if (!put || !charged) lose(f, 1);
    f->out.n = before;
    if (charged) return;
    struct buf smaller; /* nothing is held that the budget did not give */
    buf_init(&smaller, f->out.max);
    buf_add_str(&smaller, buf_str(&f->out));
    buf_done(&f->out);
    f->out = smaller;
}

static void tell_lost(struct follower *f) {
    if (f->lost) tail_put_lost(&f->out, f->lost);
    f->lost = 0;
}

/* At most one batch. */
static enum http_stream_state take_turn(struct follower *f, int64_t now) {
    enum http_stream_state state = flush(f);
    if (state != HTTP_STREAM_OK) return state;
    if (!f->hand.blob) take_batch(f, now);
    tell_lost(f);
    for (; f->hand.at < f->hand.n; f->hand.at++) {
        if (f->out.n >= CHUNK_BYTES && (state = flush(f)) != HTTP_STREAM_OK) return state;
        put_row(f, f->hand.rows[f->hand.at]);
    }
    hand_drop(f);
    end_history(f, now);
    tell_lost(f);
    return flush(f);
}

/* (4) */
static bool is_refused(struct follower *f) {
    struct api *api = f->tails->api;
    struct caller caller;
    enum access_outcome why =
        access_decide(api->access, &f->credentials, ROLE_READ, false, api->options.wall_ns(), &caller);
    return why != ACCESS_ALLOWED || strcmp(caller.tenant, f->caller.tenant) != 0;
}

static void beat(struct follower *f, int64_t now) {
    f->beat_at = now + beat_seconds * second;
    f->refused = is_refused(f);
    if (f->out.n == 0) (void)f->door->write(f->stream, STR(": still here\n\n")); /* slow or gone: the next turn sees */
}

/* ---- life of a follower ----------------------------------------------------------------------------------------- */

static void remove_from(struct tails *t, const struct follower *f) { /* lock held; it may be gone */
    for (size_t i = 0; i < t->n; i++)
        if (t->v[i] == f) t->v[i] = t->v[--t->n];
}

static void leave(struct follower *f) {
    struct tails *t = f->tails;
    lock_take(&t->lock);
    remove_from(t, f);
    lock_give(&t->lock);
}

static void follower_free(struct follower *f) {
    leave(f);
    if (f->reader) live_close(f->reader);
    hand_drop(f);
    vec_done(&f->overlap.hashes);
    query_end(&f->q);
    buf_done(&f->out);
    mem_free(f);
}

/* reason empty: nobody is there to hear it. */
static void follower_end(struct follower *f, struct str reason) {
    if (reason.n && flush(f) == HTTP_STREAM_OK) {
        tail_put_end(&f->out, reason);
        (void)flush(f);
    }
    f->door->end(f->stream, NULL, 0);
    follower_free(f);
}

/* A place among the followers, if there is one. */
static err enter(struct tails *t, struct follower *f) {
    err e = NULL;
    size_t same = 0;
    lock_take(&t->lock);
    for (size_t i = 0; i < t->n; i++) same += strcmp(t->v[i]->caller.tenant, f->caller.tenant) == 0;
    if (t->ending)
        e = err_new(ERR_UNAVAILABLE, "clew is stopping");
    else if (t->n == FOLLOWERS_MAX || same == OF_TENANT_MAX)
        e = err_new(ERR_BUSY, "%zu follow logs already, %zu of this tenant; try again later", t->n, same);
    else
        t->v[t->n++] = f;
    lock_give(&t->lock);
    return e;
}

static void wake(void *context) {
    struct follower *f = context;
    struct tails *t = f->tails;
    atomic_store(&f->ready, true);
    lock_take(&t->lock);
    t->woken = true;
    flag_wake_one(&t->flag);
    lock_give(&t->lock);
}

static err copy_text(struct arena *a, struct str *text) {
    if (text->p) *text = arena_copy(a, *text);
    return arena_err(a);
}

static err copy_credentials(struct follower *f) {
    struct credentials *c = &f->credentials;
    struct str *const texts[] = {&c->authorization, &c->cookie, &c->org_id, &c->host, &c->origin, &c->peer};
    for (size_t i = 0; i < LENGTH(texts); i++) TRY(copy_text(&f->q.arena, texts[i]));
    return NULL;
}

static err follower_open(struct api_call *c, struct follower *f) {
    struct query_filter filter;
    TRY(copy_credentials(f));
    TRY(call_filter(c, &f->q, true, &filter));
    TRY(query_follow_make(&f->q, SIGNAL_LOGS, &filter, &f->filter));
    const struct live_options options = {
        .tenant = str_of(f->caller.tenant), .signal = SIGNAL_LOGS, .wake = wake, .context = f};
    TRY(live_open(c->api->options.live, &options, &f->reader));
    return take_history(c, f);
}

static err follower_new(struct api_call *c, struct follower **out) {
    struct follower *f = mem_new_of(struct follower);
    f->tails = c->api->tails;
    f->caller = c->caller;
    f->credentials = c->request.credentials;
    err e = enter(f->tails, f);
    if (e) {
        mem_free(f);
        return e;
    }
    buf_init(&f->out, CHUNK_BYTES + TAIL_EVENT_MAX + KIB);
    query_begin(&f->q, &(struct query_options){.store = c->api->options.store,
                                               .budget = c->api->options.budget,
                                               .tenant = str_of(f->caller.tenant),
                                               .memory_max_bytes = FILTER_BYTES_MAX,
                                               .cancel = &c->api->cancel,
                                               .timeout_ns = second});
    e = follower_open(c, f);
    if (e)
        follower_free(f);
    else
        *out = f;
    return e;
}

/* From now on the tail thread's; or, when there will be no turns any more, ended here. */
static void join(struct follower *f, struct http_stream *s) {
    struct tails *t = f->tails;
    buf_add_text(&f->out, ": clew\nretry: 2000\n\n");
    f->beat_at = clock_monotonic_ns() + beat_seconds * second;
    lock_take(&t->lock);
    bool late = t->ending;
    if (late) remove_from(t, f);
    f->stream = s;
    f->ready = t->woken = true;
    flag_wake_one(&t->flag);
    lock_give(&t->lock);
    if (late) follower_end(f, STR("clew is stopping"));
}

void handle_logs_tail(struct api_call *c) {
    static const struct http_field unbuffered = {STR("X-Accel-Buffering"), STR("no")}; /* nginx, for one */
    const struct api_reply head = {
        .status = 200, .content_type = STR("text/event-stream"), .fields = &unbuffered, .field_count = 1};
    struct follower *f;
    err e = follower_new(c, &f);
    if (e) {
        call_fail(c, e);
    } else if (c->request.method == HTTP_HEAD) {
        follower_free(f);
        call_reply(c, &head);
    } else {
        f->door = c->request.streams;
        join(f, call_stream(c, &head, HELD_MAX));
    }
}

/* ---- all of them ------------------------------------------------------------------------------------------------ */

/* When to come again; the follower may have ended: INT64_MAX. */
static int64_t serve_one(struct follower *f, bool ending, int64_t now) {
    enum http_stream_state state = f->door->is_gone(f->stream) ? HTTP_STREAM_GONE : HTTP_STREAM_OK;
    bool due = f->slow ? now >= f->again_at : atomic_load(&f->ready);
    if (state == HTTP_STREAM_OK && now >= f->beat_at) beat(f, now);
    if (state == HTTP_STREAM_OK && due && !f->refused && !ending) {
        state = take_turn(f, now);
        f->slow = state == HTTP_STREAM_SLOW;
        f->again_at = now + slow_ns;
    }
    if (state == HTTP_STREAM_GONE || f->refused || ending) {
        follower_end(f, state == HTTP_STREAM_GONE ? STR("")
                        : ending                  ? STR("clew is stopping")
                                                  : STR("the token does not allow it any more"));
        return INT64_MAX;
    }
    if (f->slow) return f->again_at;
    return atomic_load(&f->ready) ? now
                                  : MIN(f->beat_at, now + second); /* a client that went is seen within a second */
}

int64_t tails_run(struct tails *t, int64_t now) {
    struct follower *v[FOLLOWERS_MAX];
    size_t n = 0;
    int64_t due = INT64_MAX;
    lock_take(&t->lock);
    bool ending = t->ending;
    t->woken = false;
    for (size_t i = 0; i < t->n; i++)
        if (t->v[i]->stream) v[n++] = t->v[i];
    lock_give(&t->lock);
    for (size_t i = 0; i < n; i++) {
        int64_t again = serve_one(v[i], ending, now);
        due = MIN(due, again);
    }
    return due;
}

static void run(void *context) {
    struct tails *t = context;
    for (bool over = false; !over;) {
        int64_t due = tails_run(t, clock_monotonic_ns());
        lock_take(&t->lock);
        over = t->ending;
        if (!t->woken && !over) flag_wait_until(&t->flag, &t->lock, due);
        lock_give(&t->lock);
    }
    tails_run(t, clock_monotonic_ns()); /* ends those who joined before the end was seen */
}

err tails_new(struct api *api, struct tails **out) {
    struct tails *t = mem_new_of(struct tails);
    t->api = api;
    lock_init(&t->lock);
    flag_init(&t->flag);
    err e = api->options.work_threads ? thread_start(&t->thread, "tail", 0, run, t) : NULL;
    if (e)
        tails_free(t);
    else
        *out = t;
    return err_wrap(e, "starting the tail thread");
}

void tails_end(struct tails *t) {
    if (!t) return;
    lock_take(&t->lock);
    t->ending = true;
    flag_wake_one(&t->flag);
    lock_give(&t->lock);
    if (t->thread)
        thread_join(take(&t->thread));
    else
        tails_run(t, clock_monotonic_ns());
}

void tails_free(struct tails *t) {
    if (!t) return;
    tails_end(t);
    assert(t->n == 0);
    lock_done(&t->lock);
    flag_done(&t->flag);
    mem_free(t);
}

void tails_get_counts(struct tails *t, struct tail_counts *out) {
    struct live_stats live;
    live_get_stats(t->api->options.live, &live);
    lock_take(&t->lock);
    out->followers = t->n;
    lock_give(&t->lock);
    out->rows = atomic_load(&t->rows);
    out->lost = atomic_load(&t->lost) + live.lost_rows;
}
