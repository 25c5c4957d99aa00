/* The back thread: flushes what is due, then retention, rewrites, merges; one step at a time, so that a flush waits for at
 * most one of them. Under options.manual the test does these steps by store_pump. */
#include "store/engine/store_engine_priv.h"

#include "os/clock.h"

static const int64_t retention_every_ns = 10000000000, full_every_ns = 1000000000, retry_every_ns = 5000000000;

void engine_tell(const struct engine *s, const char *name, const struct table *t, int64_t began_ns, err e) {
    const struct log_field fields[] = {F_TEXT("tenant", t->tenant),
                                       F_TEXT("table", t->series ? "metrics" : table_name(t->signal))};
    work_tell(&s->o.watch, name, clock_monotonic_ns() - began_ns, e ? err_text(e) : NULL, fields, LENGTH(fields));
}

static bool flush_step(struct engine *s, int64_t now, bool any, int64_t *out_next) {
    struct table *t = engine_flush_due(s, now, any, out_next);
    bool did = false;
    if (!t) return false;
    int64_t began = clock_monotonic_ns();
    err e = engine_flush_table(s, t, &did);
    if (did || e) engine_tell(s, "flush", t, began, e);
    if (!e) engine_finish_deletes(s);
    err_free(e); /* logged where it failed, tried again later */
    return did;
}

static bool retention_due_step(struct engine *s, int64_t now) {
    if (now < s->retention_due_ns) return false;
    bool did = engine_retention_step(s);
    lock_take(&s->lock);
    s->retention_due_ns = now + (s->disk_full ? full_every_ns : retention_every_ns);
    lock_give(&s->lock);
    return did;
}

static bool rewrite_step(struct engine *s) {
    err why;
    bool did = engine_rewrite_step(s, &why);
    err_free(why); /* logged where it failed */
    return did;
}

/* The first of what there is to do. *out_next: when to look again if there is nothing. */
static bool back_step(struct engine *s, int64_t *out_next) {
    int64_t now = clock_monotonic_ns();
    lock_take(&s->work);
    bool did = flush_step(s, now, false, out_next) || retention_due_step(s, now);
    if (!did && now >= s->jobs_due_ns) did = rewrite_step(s) || engine_merge_step(s);
    *out_next = MIN(MIN(*out_next, s->retention_due_ns), now + retry_every_ns);
    lock_give(&s->work);
    return did;
}

void engine_back_thread(void *engine) {
    struct engine *s = engine;
    for (;;) {
        int64_t next = 0;
        bool did = back_step(s, &next);
        lock_take(&s->lock);
        if (!did && !s->stop_back) flag_wait_until(&s->back_wake, &s->lock, next);
        bool stop = s->stop_back;
        lock_give(&s->lock);
        if (stop) return;
    }
}

bool engine_pump(struct store *store, int kind) {
    struct engine *s = (struct engine *)store;
    if (kind == 0) return engine_log_step(s);
    bool did;
    lock_take(&s->work);
    switch (kind) {
    case 1: did = flush_step(s, clock_monotonic_ns(), true, NULL); break;
    case 2: did = rewrite_step(s) || engine_merge_step(s); break;
    default: did = engine_retention_step(s); break;
    }
    lock_give(&s->work);
    return did;
}
