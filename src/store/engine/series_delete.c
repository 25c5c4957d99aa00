/* Deletes of series: they concern whole heads, so that what they concern is sealed first. */
#include "store/engine/store_engine_priv.h"

/* ---- compiled ---------------------------------------------------------------------------------------------------------- */

static err compile_one(const struct delete_entry *e, struct arena *a, struct compiled_deletes *out) {
    uint32_t at = out->n++;
    out->entries[at] = e;
    out->deletes[at] = (struct series_delete){out->matchers + out->matcher_count, e->matcher_count, e->request.time_min,
                                              e->request.time_max};
    for (uint32_t i = 0; i < e->matcher_count; i++, out->matcher_count++) {
        const struct matcher_text *m = &e->matchers[i];
        TRY(label_matcher_make(a, m->name, m->op, m->text, &out->matchers[out->matcher_count]));
    }
    return NULL;
}

err compile_deletes(const struct delete_set *set, const char *tenant, struct arena *a, struct compiled_deletes *out) {
    uint32_t matchers = 0;
    *out = (struct compiled_deletes){0};
    for (size_t i = 0; i < set->n; i++) matchers += set->v[i]->matcher_count;
    out->entries = arena_array(a, const struct delete_entry *, set->n + 1);
    out->deletes = arena_array(a, struct series_delete, set->n + 1);
    out->matchers = arena_array(a, struct label_matcher, matchers + 1);
    TRY(arena_err(a));
    for (size_t i = 0; i < set->n; i++)
        if (delete_is_of(set->v[i], tenant, TABLE_SERIES)) TRY(compile_one(set->v[i], a, out));
    return NULL;
}

void compiled_deletes_done(struct compiled_deletes *c) {
    for (uint32_t i = 0; i < c->matcher_count; i++) label_matcher_done(&c->matchers[i]);
}

err compiled_deletes_of(const struct compiled_deletes *c, uint64_t applied, uint64_t sequence, struct arena *a,
                        struct series_source *out) {
    struct series_delete *d = arena_array(a, struct series_delete, c->n + 1);
    if (!d) return arena_err(a);
    out->deletes = d;
    out->delete_count = 0;
    for (uint32_t i = 0; i < c->n; i++)
        if (sequence ? c->entries[i]->sequence >= sequence : c->entries[i]->id > applied)
            d[out->delete_count++] = c->deletes[i];
    return NULL;
}

/* ---- asked for --------------------------------------------------------------------------------------------------------- */

enum { TRIED_BYTES_MAX = 256 << 20 };

void engine_seal_now(struct engine *s, struct table *t) {
    series_table_seal(t);
    s->turn_heads = true;
    flag_wake_one(&s->log_wake);
}

err engine_seal(struct engine *s, struct table *t) {
    struct series_table *st = t->series;
    uint64_t epoch = st->epoch;
    if (st->sealed.n >= SEALED_MAX) return err_new(ERR_BUSY, "%d heads of series wait to be written", SEALED_MAX);
    while (st->in_flight && st->epoch == epoch) {
        st->seal_asked = true; /* the log thread does it once its commit is in the head */
        flag_wait(&s->sealed, &s->lock);
    }
    if (st->epoch == epoch) engine_seal_now(s, t);
    return NULL;
}

/* What deltas are added to is looked up in older sources as deletes leave them, and a replay has all deletes from the start. */
void engine_await_delete(struct engine *s, const struct series_table *t) {
    lock_take(&s->lock);
    while (t->held) flag_wait(&s->sealed, &s->lock);
    lock_give(&s->lock);
}

/* An expression that gives up on a value would make every question about the sources that the delete concerns fail: it is tried on all there
 * are. What comes later it does not concern. */
static err try_matchers(struct engine *s, struct str tenant, const struct series_request *r) {
    AUTO_ARENA struct arena a;
    struct series_request all = {NULL, 0, INT64_MIN, INT64_MAX};
    struct series_stats stats = {0};
    struct series_snapshot *sn;
    err e = NULL;
    arena_init(&a, TRIED_BYTES_MAX);
    TRY(engine_series_snapshot(&s->base, tenant, &sn));
    for (uint32_t i = 0; i < r->matcher_count && !e; i++) {
        struct str *values;
        uint32_t n;
        if (!r->matchers[i].regex) continue;
        e = series_snapshot_texts(sn, r->matchers[i].name, &all, &a, &stats, &values, &n);
        for (uint32_t k = 0; k < n && !e; k++) label_matcher_matches(&r->matchers[i], values[k]);
        if (!e) e = label_matchers_err(&r->matchers[i], 1);
        arena_clear(&a);
    }
    series_snapshot_free(sn);
    return e;
}

err engine_delete_series(struct store *store, struct str tenant, const struct series_request *r, uint64_t *out_id) {
    struct engine *s = (struct engine *)store;
    AUTO_BUF struct buf request;
    buf_init(&request, DELETE_REQUEST_BYTES_MAX);
    if (!tenant_is_valid(tenant)) return err_new(ERR_INVALID, "not a tenant's name");
    TRY(delete_series_write(r, &request));
    TRY(try_matchers(s, tenant, r));
    struct manifest_delete m = {.created_ns = s->o.wall_ns(), .request = buf_str(&request)};
    memcpy(m.tenant, tenant.p, tenant.n);
    lock_take(&s->lock);
    struct table *t = engine_table(s, tenant, TABLE_SERIES, false);
    lock_give(&s->lock);
    TRY(engine_delete_add(s, &m, t));
    *out_id = m.id;
    return NULL;
}
