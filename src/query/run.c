#include "query/query_priv.h"

#include "base/budget.h"
#include "os/clock.h"
#include "signal/batch_build.h"

enum { SCRATCH_BYTES = 4 << 20, STEP_BYTES = 1 << 20, RELEASE_SHARE = 16 };

struct query_held {
    struct query_held *next;
    struct predicate predicate; /* with a regex, or … */
    struct batch_blob *blob;
};

void query_begin(struct query *q, const struct query_options *options) {
    *q = (struct query){.options = *options};
    if (!q->options.memory_max_bytes) q->options.memory_max_bytes = 256 * MIB;
    if (!q->options.timeout_ns) q->options.timeout_ns = 30 * (int64_t)1000000000;
    if (q->options.tenant.n == 0) q->options.tenant = STR("default");
    arena_init(&q->arena, q->options.memory_max_bytes);
    q->arena.budget = q->options.budget;
    q->deadline_ns = clock_monotonic_ns() + q->options.timeout_ns;
}

void query_end(struct query *q) {
    for (struct query_held *h = q->held; h; h = h->next) {
        predicate_done(&h->predicate);
        batch_unref(h->blob);
    }
    for (size_t s = 0; s < SIGNALS; s++) snapshot_free(q->snapshots[s]);
    uint64_t had = q->arena.used_bytes + q->charged_bytes;
    arena_done(&q->arena);
    if (q->options.budget && q->charged_bytes) budget_give(q->options.budget, q->charged_bytes);
    /* What is not given back to the system counts for nobody: a large part of all that may be used goes back. */
    if (q->options.budget && had > q->options.budget->limit_bytes / RELEASE_SHARE) mem_release();
    *q = (struct query){.options = q->options};
}

/* Takes from the budget in steps, ahead of use; the arena takes its own. */
static err charge_to(struct query *q, uint64_t bytes) {
    if (bytes <= q->charged_bytes || !q->options.budget) return NULL;
    uint64_t more = (bytes - q->charged_bytes + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES;
    if (!budget_take(q->options.budget, more)) return budget_err(q->options.budget, "a query");
    q->charged_bytes += more;
    return NULL;
}

err query_charge(struct query *q, uint64_t more) {
    q->other_bytes += more;
    if (q->other_bytes + q->arena.used_bytes > q->options.memory_max_bytes)
        return err_new(ERR_LIMIT, "the answer needs more than the %zu MiB of memory that a query may use",
                       q->options.memory_max_bytes / MIB);
    return charge_to(q, q->other_bytes);
}

err query_settle(struct query *q) {
    TRY(arena_err(&q->arena));
    return query_charge(q, 0);
}

static bool is_abandoned(const struct query *q) {
    return q->options.is_abandoned && q->options.is_abandoned(q->options.asker);
}

struct scan_request query_range(const struct query *q, int64_t time_min, int64_t time_max) {
    return (struct scan_request){.time_min = time_min,
                                 .time_max = time_max,
                                 .deadline_ns = q->deadline_ns,
                                 .is_cancelled = query_is_cancelled,
                                 .cancel_context = q};
}

bool query_is_cancelled(const void *query) {
    const struct query *q = query;
    return (q->options.cancel && atomic_load_explicit(q->options.cancel, memory_order_relaxed)) || is_abandoned(q);
}

err query_check(const struct query *q) {
    if (is_abandoned(q)) return err_new(ERR_CANCELLED, "the query was cancelled: its client has gone");
    if (query_is_cancelled(q)) return err_new(ERR_CANCELLED, "the query was cancelled");
    if (clock_monotonic_ns() > q->deadline_ns)
        return err_new(ERR_CANCELLED, "the query took longer than its %lld ms",
                       (long long)(q->options.timeout_ns / 1000000));
    return NULL;
}

bool query_gave_up(const struct query *q) {
    if (q->left_out) return true;
    for (const struct query_held *h = q->held; h; h = h->next)
        if (predicate_gave_up(&h->predicate)) return true;
    return false;
}

err query_snapshot(struct query *q, enum signal signal, struct snapshot **out) {
    if (!q->snapshots[signal]) TRY(store_snapshot(q->options.store, q->options.tenant, signal, &q->snapshots[signal]));
    *out = q->snapshots[signal];
    return NULL;
}

static struct query_held *hold(struct query *q) {
    struct query_held *h = arena_new(&q->arena, struct query_held);
    if (!h) return NULL;
    h->next = q->held;
    q->held = h;
    return h;
}

err query_hold_predicate(struct query *q, const struct predicate *p) {
    struct query_held *h = hold(q);
    if (h) {
        h->predicate = *p;
        predicate_set_deadline(&h->predicate, q->deadline_ns);
        return NULL;
    }
    struct predicate ended = *p;
    predicate_done(&ended);
    return arena_err(&q->arena);
}

err query_hold_blob(struct query *q, struct batch_blob *blob) {
    struct query_held *h = hold(q);
    if (!h) {
        batch_unref(blob);
        return arena_err(&q->arena);
    }
    h->blob = blob;
    return query_charge(q, batch_bytes(blob).n);
}

err query_check_builder(const struct query *q, const struct batch_builder *b) {
    if (b->overfull) return err_new(ERR_LIMIT, "the rows of the answer have more than 2^24 events or links");
    if (batch_builder_bytes(b) <= q->options.memory_max_bytes) return NULL;
    return err_new(ERR_LIMIT, "the rows of the answer are more than the %zu MiB of memory that a query may use",
                   q->options.memory_max_bytes / MIB);
}

struct str query_keep(struct query *q, struct str text) {
    struct str copy = arena_copy(&q->arena, text);
    return copy.p ? copy : (struct str){"", 0}; /* the arena stays full: query_settle tells */
}

struct str service_or_unknown(struct str name) {
    return name.n ? name : STR("unknown_service");
}

struct str environment_of(struct str name, struct str old_name) {
    return name.n ? name : old_name.n ? old_name : STR("default");
}

/* ---- scan ------------------------------------------------------------------------------------------------------- */

struct scan_context {
    struct query *q;
    const struct matcher *m;
    size_t environment_at, service_at; /* appended columns; 0: none */
    uint32_t *index;
    size_t index_capacity;
    struct arena *index_arena;
    picked_fn fn;
    void *context;
    err error;
};

enum verdict { VERDICT_EMPTY, VERDICT_EQUAL, VERDICT_OTHER };

static enum verdict judge(const struct vector *v, uint32_t i, struct str wanted) {
    struct str text = vector_text(v, i);
    return text.n == 0 ? VERDICT_EMPTY : str_equal(text, wanted) ? VERDICT_EQUAL : VERDICT_OTHER;
}

static bool passes(const struct scan_context *c, const struct chunk *chunk, uint32_t i) {
    if (c->environment_at) {
        const struct vector *v = chunk->columns + c->environment_at;
        enum verdict verdict = judge(v, i, c->m->environment);
        if (verdict == VERDICT_EMPTY) verdict = judge(v + 1, i, c->m->environment);
        if (verdict == VERDICT_EMPTY && !str_equal(c->m->environment, STR("default"))) return false;
        if (verdict == VERDICT_OTHER) return false;
    }
    if (c->service_at && judge(chunk->columns + c->service_at, i, STR("unknown_service")) == VERDICT_OTHER)
        return false;
    return true;
}

static enum scan_next on_chunk(void *context, const struct chunk *chunk) {
    struct scan_context *c = context;
    struct picked picked = {.chunk = chunk, .n = chunk->n};
    if (c->environment_at || c->service_at) {
        if (chunk->n > c->index_capacity) {
            arena_clear(c->index_arena);
            c->index = arena_array(c->index_arena, uint32_t, chunk->n);
            c->index_capacity = c->index ? chunk->n : 0;
            if (!c->index) {
                c->error = arena_err(c->index_arena);
                return SCAN_STOP;
            }
        }
        picked.index = c->index;
        picked.n = 0;
        for (uint32_t i = 0; i < chunk->n; i++) {
            c->index[picked.n] = i;
            picked.n += passes(c, chunk, i);
        }
    }
    enum scan_next next = c->fn(c->context, &picked, &c->error);
    if (!c->error) c->error = query_settle(c->q);
    return c->error ? SCAN_STOP : next;
}

bool matcher_is_pushed_down(const struct matcher *m) { return !m->environment.p && !m->unknown_service; }

err query_scan(struct query *q, const struct matcher *m, const struct column_ref *columns, size_t column_count,
               picked_fn fn, void *context) {
    struct snapshot *sn;
    TRY(query_snapshot(q, m->signal, &sn));
    TRY(query_check(q));
    TRY(query_charge(q, 0));
    TRY(charge_to(q, q->other_bytes + SCRATCH_BYTES));

    struct column_ref wanted[SCAN_COLUMNS_MAX];
    size_t n = 0;
    for (; n < column_count; n++) wanted[n] = columns[n];
    AUTO_ARENA struct arena scratch, index_arena;
    arena_init(&scratch, q->options.memory_max_bytes);
    arena_init(&index_arena, q->options.memory_max_bytes);
    struct scan_context c = {.q = q, .m = m, .fn = fn, .context = context, .index_arena = &index_arena};
    if (n == 0 && !matcher_is_pushed_down(m)) wanted[n++] = COLUMN_FIELD(FIELD_TIME); /* so that "at" 0 means none */
    if (m->environment.p) {
        c.environment_at = n;
        wanted[n++] = COLUMN_RESOURCE("deployment.environment.name");
        wanted[n++] = COLUMN_RESOURCE("deployment.environment");
    }
    if (m->unknown_service) {
        c.service_at = n;
        wanted[n++] = COLUMN_RESOURCE("service.name");
    }
    struct scan_request r = query_range(q, m->time_min, m->time_max);
    r.predicates = m->predicates;
    r.predicate_count = m->predicate_count;
    r.columns = wanted;
    r.column_count = n;
    r.count_only = n == 0;
    r.oldest_first = m->oldest_first;
    err e = snapshot_scan(sn, &r, &scratch, on_chunk, &c, &q->stats);
    if (!e && !c.error) e = query_check(q); /* a match cut off by the deadline is no answer */
    if (!c.error) return e;
    err_free(e);
    return c.error;
}

/* ---- groups ----------------------------------------------------------------------------------------------------- */

bool code_cache_find(struct code_cache *c, const uint32_t codes[CODE_CACHE_CODES], uint32_t *out_group,
                     uint32_t *out_slot) {
    uint64_t h = ((uint64_t)codes[0] << 32 | codes[1]) * 0x9e3779b97f4a7c15u ^
                 ((uint64_t)codes[2] << 32 | codes[3]) * 0xe7037ed1a0b428dbu;
    uint32_t slot = (uint32_t)(h >> 40) % CODE_CACHE_SLOTS;
    *out_slot = slot;
    if (c->slots[slot].generation != c->generation ||
        memcmp(c->slots[slot].codes, codes, sizeof c->slots[slot].codes) != 0)
        return false;
    *out_group = c->slots[slot].group;
    return true;
}

void code_cache_set(struct code_cache *c, uint32_t slot, const uint32_t codes[CODE_CACHE_CODES], uint32_t group) {
    memcpy(c->slots[slot].codes, codes, sizeof c->slots[slot].codes);
    c->slots[slot].generation = c->generation;
    c->slots[slot].group = group;
}

err bucketing_make(int64_t time_min, int64_t time_max, int64_t step, struct bucketing *out) {
    static const int64_t seconds[] = {1,       2,       5,       10,       15,       30,       60,
                                      120,     300,     600,     900,      1800,     3600,     7200,
                                      10800,   21600,   43200,   86400,    172800,   259200,   604800,
                                      1209600, 2592000, 7776000, 15552000, 31536000, 94608000, 315360000};
    if (time_min < 0) time_min = 0;
    if (time_max < time_min) time_max = time_min;
    uint64_t range = (uint64_t)time_max - (uint64_t)time_min + 1;
    if (step == 0) {
        size_t i = 0;
        while (i + 1 < LENGTH(seconds) && range / ((uint64_t)seconds[i] * 1000000000) > 60) i++;
        step = seconds[i] * 1000000000;
    }
    if (step < 1000000) return err_new(ERR_INVALID, "step is less than 1ms");
    uint64_t first = (uint64_t)time_min / (uint64_t)step, last = (uint64_t)time_max / (uint64_t)step;
    if (last - first + 1 > QUERY_BUCKETS_MAX)
        return err_new(
            ERR_INVALID, "step gives %llu buckets, at most %d are answered; take a step of at least %llus",
            (unsigned long long)(last - first + 1), QUERY_BUCKETS_MAX,
            (unsigned long long)(range / (QUERY_BUCKETS_MAX - 2) / 1000000000 + 1)); /* both ends may be cut */
    *out =
        (struct bucketing){.step = step, .first = (int64_t)(first * (uint64_t)step), .n = (size_t)(last - first + 1)};
    return NULL;
}
