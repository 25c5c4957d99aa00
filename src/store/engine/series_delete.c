/* Deletes of series: they concern whole heads, so that what they concern is sealed first. */
#include "store/engine/store_engine_priv.h"

err engine_seal_wait(struct engine *s, struct table *t) {
    struct series_table *st = t->series;
    uint64_t epoch = st->epoch;
    if (st->sealed.n >= SEALED_MAX) return err_new(ERR_BUSY, "%d heads of series wait to be written", SEALED_MAX);
    while (st->in_flight && st->epoch == epoch) {
        st->seal_asked = true; /* the log thread does it once its commit is in the head */
        flag_wait(&s->sealed, &s->lock);
    }
    if (st->epoch == epoch) series_table_seal(t);
    return NULL;
}

err engine_delete_series(struct store *store, struct str tenant, const struct series_request *r, uint64_t *out_id) {
    struct engine *s = (struct engine *)store;
    AUTO_BUF struct buf request;
    buf_init(&request, DELETE_REQUEST_BYTES_MAX);
    if (!tenant_is_valid(tenant)) return err_new(ERR_INVALID, "not a tenant's name");
    TRY(delete_series_write(r, &request));
    struct manifest_delete m = {.created_ns = s->o.wall_ns(), .request = buf_str(&request)};
    memcpy(m.tenant, tenant.p, tenant.n);
    lock_take(&s->lock);
    struct table *t = engine_table(s, tenant, TABLE_SERIES, false);
    lock_give(&s->lock);
    TRY(engine_delete_add(s, &m, t));
    *out_id = m.id;
    return NULL;
}
