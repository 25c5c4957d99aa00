/* Tables whose flushes fail again and again: told, tried less often, and kept from taking all memory. */
#include <stdio.h>

#include "os/clock.h"
#include "store/engine/store_engine_priv.h"

enum { FAILURES_MIN = 3, RETRY_SECONDS_MAX = 64, MEMORY_SHARE = 8 };

void engine_note_failure(struct engine *s, struct table *t, const char *why) {
    lock_take(&s->lock);
    uint32_t doublings = MIN(t->flush_failures, 6u);
    t->flush_failures++;
    t->retry_ns = clock_monotonic_ns() + (int64_t)MIN(1u << doublings, (uint32_t)RETRY_SECONDS_MAX) * 1000000000;
    snprintf(t->flush_why, sizeof t->flush_why, "%s", why);
    s->stats.flushes_failed++;
    lock_give(&s->lock);
}

static const char *name_of(const struct table *t) { return table_name(t->signal); }

static uint64_t waiting_bytes(const struct table *t) {
    uint64_t bytes = t->active->bytes + (t->flushing ? t->flushing->bytes : 0);
    struct head_stats stats;
    if (!t->series) return bytes;
    bytes += t->series->bytes;
    for (size_t i = 0; i < t->series->sealed.n; i++) {
        series_head_get_stats(t->series->sealed.v[i].head, &stats);
        bytes += stats.bytes;
    }
    return bytes;
}

err engine_refuse_failing(const struct engine *s, const struct table *t) {
    if (t->flush_failures < FAILURES_MIN) return NULL;
    uint64_t bytes = waiting_bytes(t);
    if (bytes < s->o.budget->limit_bytes / MEMORY_SHARE) return NULL;
    return err_new(ERR_BUSY, "%llu MiB of the tenant's %s wait to be written, which fails: %s",
                   (unsigned long long)(bytes / MIB), name_of(t), t->flush_why);
}

void engine_add_failing(const struct table *t, struct store_stats *out) {
    out->tables_failing += t->flush_failures >= FAILURES_MIN;
}
