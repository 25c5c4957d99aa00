/* What the spans of a list in memory come to. Each batch is looked at once, by whoever asks first: a question, or the flush. */
#include "store/engine/rollup_engine_priv.h"

/* Of deletes that concern the tenant's spans, the newest. */
static uint64_t newest_delete(const struct delete_set *deletes, const char *tenant) {
    uint64_t id = 0;
    for (size_t i = 0; i < deletes->n; i++)
        if (delete_is_of(deletes->v[i], tenant, SIGNAL_SPANS)) id = MAX(id, deletes->v[i]->id);
    return id;
}

static bool is_touched(const struct delete_set *deletes, const char *tenant, const struct memory_batch *m) {
    for (size_t i = 0; i < deletes->n; i++)
        if (delete_is_of(deletes->v[i], tenant, SIGNAL_SPANS) && delete_touches_batch(deletes->v[i], m)) return true;
    return false;
}

static bool is_deleted(const struct delete_set *deletes, const char *tenant, const struct memory_batch *m,
                       uint32_t row) {
    for (size_t i = 0; i < deletes->n; i++) {
        const struct delete_entry *d = deletes->v[i];
        if (delete_is_of(d, tenant, SIGNAL_SPANS) && m->sequence <= d->sequence && delete_matches_row(d, &m->view, row))
            return true;
    }
    return false;
}

static void count_batch(struct engine *s, const char *tenant, const struct memory_batch *m,
                        const struct delete_set *deletes, struct tally *t) {
    const struct rollup_function *f = &s->o.rollup;
    tally_begin_batch(t);
    if (!is_touched(deletes, tenant, m)) {
        f->run(f->context, &m->view, NULL, m->view.rows, &t->sink);
        return;
    }
    AUTO_FREE uint32_t *rows = mem_new_array(uint32_t, m->view.rows + 1);
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->view.rows; i++)
        if (!is_deleted(deletes, tenant, m, i)) rows[n++] = i;
    f->run(f->context, &m->view, rows, n, &t->sink);
}

/* The list grows meanwhile, and its array may move: the batches that it has now. */
static struct memory_batch **batches_of(struct engine *s, const struct memory_list *l, size_t from, size_t *out_n) {
    lock_take(&s->lock);
    size_t n = l->n > from ? l->n - from : 0;
    struct memory_batch **v = n ? mem_new_array(struct memory_batch *, n) : NULL;
    if (n) memcpy(v, l->v + from, n * sizeof *v);
    lock_give(&s->lock);
    *out_n = n;
    return v;
}

/* A delete that came after batches were counted: they are counted anew. */
static void forget_deleted(struct engine *s, const char *tenant, struct memory_list *l,
                           const struct delete_set *deletes) {
    struct live_rollup *live = &l->live;
    uint64_t newest = newest_delete(deletes, tenant);
    size_t n;
    if (newest <= live->deletes_applied) return;
    live->deletes_applied = newest;
    AUTO_FREE struct memory_batch **v = batches_of(s, l, 0, &n);
    for (size_t i = 0; i < MIN(n, live->batches); i++)
        if (is_touched(deletes, tenant, v[i])) {
            live_rollup_clear(live);
            return;
        }
}

static void charge(struct engine *s, struct live_rollup *live) {
    uint64_t bytes = tally_bytes(&live->tally);
    if (bytes <= live->charged_bytes) return;
    budget_take_always(s->o.budget, bytes - live->charged_bytes);
    live->charged_bytes = bytes;
}

void engine_live_update(struct engine *s, const char *tenant, struct memory_list *l, const struct delete_set *deletes,
                        struct rollup_names *names) {
    struct live_rollup *live = &l->live;
    size_t n;
    forget_deleted(s, tenant, l, deletes);
    AUTO_FREE struct memory_batch **v = batches_of(s, l, live->batches, &n);
    if (!live->made) tally_init(&live->tally, names, rollup_minute_ns);
    live->made = true;
    live->budget = s->o.budget;
    for (size_t i = 0; i < n; i++) count_batch(s, tenant, v[i], deletes, &live->tally);
    live->batches += n;
    if (n) tally_pair(&live->tally);
    charge(s, live);
}

void engine_live_pair(struct engine *s, struct memory_list *l) {
    tally_pair_parents(&l->live.tally);
    charge(s, &l->live);
}
