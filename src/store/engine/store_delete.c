/* The engine's deletes: durable when asked for, done when no part holds a row of them. */
#include "store/engine/rollup_engine_priv.h"

#include "base/log.h"

enum { MATCHER_BYTES_MAX = 2 << 20 };

/* The sequence up to which it concerns records. lock held; may wait. */
static err find_sequence(struct engine *s, struct table *series, uint64_t *out) {
    *out = s->visible_sequence;
    if (!series) return NULL;
    series->series->seal_holds = true; /* for the log thread, which may be the one that seals */
    TRY(engine_seal(s, series));
    *out = MAX(*out, series->series->sealed_to); /* what was in flight, too; what came after it is not concerned */
    return NULL;
}

/* Of a tenant's deletes of series, as each flush and each question compiles them all. lock held. */
static uint64_t matcher_bytes(const struct delete_set *set, const char *tenant) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < set->n; i++) {
        const struct delete_entry *d = set->v[i];
        if (!delete_is_of(d, tenant, TABLE_SERIES)) continue;
        for (uint32_t k = 0; k < d->matcher_count; k++) bytes += d->matchers[k].name.n + d->matchers[k].text.n;
    }
    return bytes;
}

/* editing held */
static err delete_locked(struct engine *s, struct manifest_delete *m, struct table *series) {
    struct delete_entry *entry = NULL;
    AUTO_BUF struct buf edit;
    buf_init(&edit, 2 * DELETE_REQUEST_BYTES_MAX);
    m->id = s->manifest.state.next_delete;
    lock_take(&s->lock);
    size_t outstanding = s->deletes->n;
    uint64_t bytes = matcher_bytes(s->deletes, m->tenant);
    lock_give(&s->lock);
    if (series && bytes + m->request.n > MATCHER_BYTES_MAX)
        return err_new(
            ERR_BUSY,
            "the outstanding deletes of series have over %d KiB of matchers together: try again once they are done",
            MATCHER_BYTES_MAX >> 10);
    if (outstanding >= DELETES_MAX) return err_new(ERR_BUSY, "%d deletes are outstanding", DELETES_MAX);
    TRY(delete_entry_make(m, &entry)); /* what cannot be compiled seals nothing */
    lock_take(&s->lock);
    err e = find_sequence(s, series, &m->sequence);
    lock_give(&s->lock);
    if (e) {
        delete_entry_unref(entry);
        return e;
    }
    entry->sequence = m->sequence;
    edit_delete(&edit, m);
    e = manifest_append(&s->manifest, buf_str(&edit));
    if (e) {
        delete_entry_unref(entry);
        return e;
    }
    lock_take(&s->lock);
    struct delete_set *old = s->deletes;
    s->deletes = delete_set_with(old, entry);
    flag_wake_all(&s->back_wake);
    lock_give(&s->lock);
    delete_set_unref(old);
    return NULL;
}

/* Records of the table are applied again: the delete is in force, or came to nothing. */
static void let_go(struct engine *s, struct series_table *t) {
    lock_take(&s->lock);
    t->held = t->seal_holds = false;
    flag_wake_all(&s->sealed);
    lock_give(&s->lock);
}

err engine_delete_add(struct engine *s, struct manifest_delete *m, struct table *series) {
    lock_take(&s->lock);
    err e = s->read_only ? engine_refusal(s) : NULL;
    lock_give(&s->lock);
    TRY(e);
    lock_take(&s->editing);
    e = delete_locked(s, m, series);
    bool broken = s->manifest.broken;
    if (series) let_go(s, series->series);
    lock_give(&s->editing);
    if (e && broken) engine_read_only(s, err_text(e));
    return err_wrap(e, broken ? "deleting (it may hold after a restart)" : "deleting");
}

err engine_delete(struct store *store, struct str tenant, const struct delete_request *r, uint64_t *out_id) {
    struct engine *s = (struct engine *)store;
    AUTO_BUF struct buf request;
    buf_init(&request, DELETE_REQUEST_BYTES_MAX);
    if (!tenant_is_valid(tenant)) return err_new(ERR_INVALID, "not a tenant's name");
    TRY(delete_request_write(r, &request));
    struct manifest_delete m = {.created_ns = s->o.wall_ns(), .request = buf_str(&request)};
    memcpy(m.tenant, tenant.p, tenant.n);
    TRY(engine_delete_add(s, &m, NULL));
    *out_id = m.id;
    return NULL;
}

bool engine_delete_is_done(struct store *store, uint64_t id) {
    struct engine *s = (struct engine *)store;
    bool found = false;
    lock_take(&s->lock);
    for (size_t i = 0; i < s->deletes->n; i++) found |= s->deletes->v[i]->id == id;
    lock_give(&s->lock);
    return !found;
}

static bool head_holds(const struct series_table *t, const struct delete_entry *d) {
    uint64_t first = t ? series_table_needs(t, NULL) : 0;
    return first && first <= d->sequence;
}

static bool list_holds(const struct memory_list *l, const struct delete_entry *d) {
    return l && l->n && l->v[0]->sequence <= d->sequence;
}

/* lock held */
static bool is_outstanding(const struct engine *s, const struct delete_entry *d) {
    for (size_t i = 0; i < s->tables.n; i++) {
        const struct table *t = s->tables.v[i];
        for (size_t j = 0; t->names && s->o.rollup.run && j < t->parts->n; j++)
            if (rollup_is_under(d, t, &t->parts->v[j])) return true;
        if (!delete_is_of(d, t->tenant, t->signal)) continue;
        if (list_holds(t->flushing, d) || list_holds(t->active, d) || head_holds(t->series, d)) return true;
        for (size_t j = 0; j < t->parts->n; j++)
            if (delete_touches_part(d, &t->parts->v[j])) return true;
    }
    return false;
}

static uint64_t find_finished(struct engine *s) {
    uint64_t id = 0;
    lock_take(&s->lock);
    for (size_t i = 0; i < s->deletes->n && !id && !s->read_only; i++)
        if (!is_outstanding(s, s->deletes->v[i])) id = s->deletes->v[i]->id;
    lock_give(&s->lock);
    return id;
}

void engine_finish_deletes(struct engine *s) {
    for (uint64_t id; (id = find_finished(s)) != 0;) {
        AUTO_BUF struct buf edit;
        buf_init(&edit, KIB);
        edit_delete_done(&edit, id);
        lock_take(&s->editing);
        err e = manifest_append(&s->manifest, buf_str(&edit));
        bool broken = s->manifest.broken;
        if (!e) {
            lock_take(&s->lock);
            struct delete_set *old = s->deletes;
            s->deletes = delete_set_without(old, id);
            lock_give(&s->lock);
            delete_set_unref(old);
        }
        lock_give(&s->editing);
        if (!e) continue;
        if (broken) engine_read_only(s, err_text(e));
        log_warn("a delete's end is not written", F_U64("delete", id), F_ERR(e));
        err_free(e);
        return;
    }
}
