/* The naive model: the door's second implementation, in memory, in the simplest way there is. It knows nothing of the log,
 * parts, groups or encodings; it looks at every row with predicate_matches_row. What it answers is right by definition. */
#include <stdlib.h>

#include "os/clock.h"
#include "os/thread.h"
#include "signal/batch_build.h"
#include "signal/otlp.h"
#include "store/engine/delete_priv.h"
#include "store/rollup_model_priv.h"
#include "store/series_model_priv.h"

enum { MODEL_REQUEST_BYTES = 1 << 20 };

struct model_batch {
    char tenant[TENANT_BYTES];
    uint64_t sequence;
    struct batch view; /* owns a reference of its blob */
};

struct model {
    struct store base;
    struct store_options o;
    struct lock lock;
    VEC(struct model_batch) batches;
    struct delete_set *deletes;
    uint64_t sequence, delete_ids;
    struct series_model *series;
};

struct model_snapshot {
    struct snapshot base;
    char tenant[TENANT_BYTES];
    enum signal signal;
    int64_t time_floor;
    struct delete_set *deletes;
    VEC(struct model_batch) batches;
};

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static err model_append(struct store *store, struct str tenant, struct batch_blob *blob, store_done_fn done,
                        void *context) {
    struct model *m = (struct model *)store;
    struct model_batch b = {0};
    if (!tenant_is_valid(tenant)) {
        batch_unref(blob);
        return err_new(ERR_INVALID, "not a tenant's name");
    }
    memcpy(b.tenant, tenant.p, tenant.n);
    batch_view(blob, &b.view);
    b.view.blob = blob;
    lock_take(&m->lock);
    b.sequence = ++m->sequence;
    *vec_push(&m->batches) = b;
    lock_give(&m->lock);
    if (done) done(context, NULL);
    return NULL;
}

static void model_time_limits(struct store *store, int64_t *out_min, int64_t *out_max) {
    struct model *m = (struct model *)store;
    retention_limits(m->o.retention_ns, m->o.wall_ns(), out_min, out_max);
}

/* ---- series (series_model.c) ---------------------------------------------------------------------------------------- */

static err model_append_points(struct store *store, struct str tenant, struct batch_blob *blob, store_points_fn done,
                               void *context) {
    struct model *m = (struct model *)store;
    struct points_outcome outcome;
    if (!tenant_is_valid(tenant)) {
        batch_unref(blob);
        return err_new(ERR_INVALID, "not a tenant's name");
    }
    lock_take(&m->lock);
    series_model_append(m->series, tenant, blob, m->o.wall_ns(), &outcome);
    lock_give(&m->lock);
    batch_unref(blob);
    if (done) done(context, NULL, &outcome);
    return NULL;
}

static err model_series_snapshot(struct store *store, struct str tenant, struct series_snapshot **out) {
    struct model *m = (struct model *)store;
    int64_t oldest, newest;
    retention_limits(m->o.retention_ns, m->o.wall_ns(), &oldest, &newest);
    lock_take(&m->lock);
    *out = series_model_snapshot(m->series, tenant, oldest);
    lock_give(&m->lock);
    return NULL;
}

static err model_delete_series(struct store *store, struct str tenant, const struct series_request *r,
                               uint64_t *out_id) {
    struct model *m = (struct model *)store;
    AUTO_BUF struct buf request;
    buf_init(&request, MODEL_REQUEST_BYTES);
    if (!tenant_is_valid(tenant)) return err_new(ERR_INVALID, "not a tenant's name");
    TRY(delete_series_write(r, &request));
    lock_take(&m->lock);
    series_model_delete(m->series, tenant, r);
    *out_id = ++m->delete_ids;
    lock_give(&m->lock);
    return NULL;
}

/* ---- rollups (rollup_model.c) ------------------------------------------------------------------------------------------ */

static bool is_deleted(const struct model *m, const struct model_batch *b, uint32_t row) {
    for (size_t i = 0; i < m->deletes->n; i++) {
        const struct delete_entry *d = m->deletes->v[i];
        if (delete_is_of(d, b->tenant, b->view.signal) && b->sequence <= d->sequence &&
            delete_matches_row(d, &b->view, row))
            return true;
    }
    return false;
}

static err model_rollups(struct store *store, struct str tenant, const struct rollup_request *r, struct arena *a,
                         struct rollup_rows *out, struct scan_stats *stats) {
    struct model *m = (struct model *)store;
    struct rollup_model rollups;
    (void)stats;
    if (!m->o.rollup.run) return NULL;
    rollup_model_init(&rollups, a);
    lock_take(&m->lock);
    for (size_t i = 0; i < m->batches.n; i++) {
        const struct model_batch *b = &m->batches.v[i];
        if (b->view.signal != SIGNAL_SPANS || !str_equal(str_of(b->tenant), tenant)) continue;
        AUTO_FREE uint32_t *rows = mem_new_array(uint32_t, b->view.rows + 1);
        uint32_t n = 0;
        for (uint32_t row = 0; row < b->view.rows; row++)
            if (!is_deleted(m, b, row)) rows[n++] = row;
        m->o.rollup.run(m->o.rollup.context, &b->view, rows, n, &rollups.sink);
    }
    lock_give(&m->lock);
    err e = rollup_model_answer(&rollups, r, out);
    rollup_model_done(&rollups);
    return e;
}

/* ---- deletes of rows ------------------------------------------------------------------------------------------------ */

static err model_delete(struct store *store, struct str tenant, const struct delete_request *r, uint64_t *out_id) {
    struct model *m = (struct model *)store;
    struct delete_entry *entry;
    AUTO_BUF struct buf request;
    buf_init(&request, MODEL_REQUEST_BYTES);
    if (!tenant_is_valid(tenant)) return err_new(ERR_INVALID, "not a tenant's name");
    TRY(delete_request_write(r, &request));
    lock_take(&m->lock);
    struct manifest_delete d = {.id = ++m->delete_ids, .sequence = m->sequence, .request = buf_str(&request)};
    memcpy(d.tenant, tenant.p, tenant.n);
    err e = delete_entry_make(&d, &entry);
    if (!e) {
        struct delete_set *old = m->deletes;
        m->deletes = delete_set_with(old, entry);
        delete_set_unref(old);
        *out_id = d.id;
    }
    lock_give(&m->lock);
    return e;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static const struct snapshot_functions model_snapshot_functions;

static err model_snapshot(struct store *store, struct str tenant, enum signal signal, struct snapshot **out) {
    struct model *m = (struct model *)store;
    struct model_snapshot *sn = mem_new_of(struct model_snapshot);
    int64_t newest;
    sn->base.f = &model_snapshot_functions;
    sn->signal = signal;
    memcpy(sn->tenant, tenant.p, MIN(tenant.n, TENANT_BYTES - 1));
    retention_limits(m->o.retention_ns, m->o.wall_ns(), &sn->time_floor, &newest);
    lock_take(&m->lock);
    sn->deletes = delete_set_ref(m->deletes);
    for (size_t i = 0; i < m->batches.n; i++) {
        const struct model_batch *b = &m->batches.v[i];
        if (b->view.signal != signal || strcmp(b->tenant, sn->tenant) != 0) continue;
        *vec_push(&sn->batches) = *b;
        batch_ref(b->view.blob);
    }
    lock_give(&m->lock);
    *out = &sn->base;
    return NULL;
}

static void model_snapshot_free(struct snapshot *snapshot) {
    struct model_snapshot *sn = (struct model_snapshot *)snapshot;
    for (size_t i = 0; i < sn->batches.n; i++) batch_unref(sn->batches.v[i].view.blob);
    vec_done(&sn->batches);
    delete_set_unref(sn->deletes);
    mem_free(sn);
}

static int64_t row_time(const struct batch *b, uint32_t row) {
    uint64_t t = batch_u64(b, SET_ROWS, FIELD_TIME, row);
    return t > INT64_MAX ? INT64_MAX : (int64_t)t;
}

static bool is_visible(const struct model_snapshot *sn, const struct model_batch *b, uint32_t row) {
    if (row_time(&b->view, row) < sn->time_floor) return false;
    for (size_t i = 0; i < sn->deletes->n; i++) {
        const struct delete_entry *d = sn->deletes->v[i];
        if (delete_is_of(d, sn->tenant, sn->signal) && b->sequence <= d->sequence &&
            delete_matches_row(d, &b->view, row))
            return false;
    }
    return true;
}

static bool matches(const struct model_snapshot *sn, const struct model_batch *b, uint32_t row,
                    const struct scan_request *r) {
    int64_t time = row_time(&b->view, row);
    if (time < r->time_min || time > r->time_max || !is_visible(sn, b, row)) return false;
    for (size_t i = 0; i < r->predicate_count; i++)
        if (!predicate_matches_row(&r->predicates[i], &b->view, row)) return false;
    return true;
}

/* ---- wanted columns --------------------------------------------------------------------------------------------- */

static struct str value_text(struct arena *a, const struct batch *b, enum value_type type, uint64_t value) {
    AUTO_BUF struct buf text;
    buf_init(&text, 16 * MIB);
    value_write_text(b, type, value, &text);
    return arena_copy(a, buf_str(&text));
}

/* The text of an attribute of the row, of its resource or scope; false if it has none of that name. */
static bool attribute_text(struct arena *a, const struct batch *b, uint32_t row, const struct column_ref *c,
                           struct str *out) {
    enum value_type type;
    uint64_t value;
    uint32_t resource = batch_u32(b, SET_ROWS, FIELD_RESOURCE, row), scope = batch_u32(b, SET_ROWS, FIELD_SCOPE, row);
    bool found = false;
    if (c->target == TARGET_ATTRIBUTE || c->target == TARGET_ANY)
        found = batch_find_attribute(b, SET_ROWS, row, c->key, &type, &value);
    if (!found && (c->target == TARGET_RESOURCE || c->target == TARGET_ANY))
        found = batch_find_attribute(b, SET_RESOURCES, resource, c->key, &type, &value);
    if (c->target == TARGET_SCOPE) {
        bool name = str_equal(c->key, STR("name")), version = str_equal(c->key, STR("version"));
        if (name || version) {
            *out = batch_text(b, SET_SCOPES, name ? FIELD_NAME : FIELD_VERSION, scope);
            return out->n > 0;
        }
        found = batch_find_attribute(b, SET_SCOPES, scope, c->key, &type, &value);
    }
    if (found) *out = value_text(a, b, type, value);
    return found;
}

static void text_vector(struct arena *a, const struct batch *b, const struct chunk *c, const struct column_ref *ref,
                        struct vector *out) {
    uint32_t *codes = arena_array(a, uint32_t, c->n);
    struct str *texts = arena_array(a, struct str, c->n);
    *out = (struct vector){.type = VECTOR_TEXT, .codes = codes, .texts = texts, .text_count = c->n};
    for (uint32_t i = 0; i < c->n && !a->full; i++) {
        bool has = true;
        if (ref->target == TARGET_FIELD && ref->field == FIELD_BODY) {
            enum value_type type = (enum value_type)batch_u32(b, SET_ROWS, FIELD_BODY_TYPE, c->rows[i]);
            has = type != VALUE_EMPTY;
            if (has) texts[i] = value_text(a, b, type, batch_u32(b, SET_ROWS, FIELD_BODY, c->rows[i]));
        } else if (ref->target == TARGET_FIELD) {
            texts[i] = batch_text(b, SET_ROWS, ref->field, c->rows[i]);
            has = texts[i].n > 0; /* a field without text is one that was not sent */
        } else {
            has = attribute_text(a, b, c->rows[i], ref, &texts[i]);
        }
        codes[i] = has ? i : CODE_ABSENT;
    }
}

static void number_vector(struct arena *a, const struct batch *b, const struct chunk *c, enum field f,
                          struct vector *out) {
    uint64_t *v = arena_array(a, uint64_t, c->n);
    bool narrow = field_rows[f].type == FIELD_U32;
    for (uint32_t i = 0; i < c->n && !a->full; i++)
        v[i] = narrow ? batch_u32(b, SET_ROWS, f, c->rows[i]) : batch_u64(b, SET_ROWS, f, c->rows[i]);
    *out = (struct vector){.type = VECTOR_U64, .u64 = v};
}

static void id_vector(struct arena *a, const struct batch *b, const struct chunk *c, enum field f, struct vector *out) {
    unsigned char *v = arena_array(a, unsigned char, 16 * (size_t)c->n);
    for (uint32_t i = 0; i < c->n && !a->full; i++)
        memcpy(v + 16 * (size_t)i, batch_id16(b, SET_ROWS, f, c->rows[i]), 16);
    *out = (struct vector){.type = VECTOR_ID16, .id16 = v};
}

static void make_vector(struct arena *a, const struct batch *b, const struct chunk *c, const struct column_ref *ref,
                        struct vector *out) {
    bool is_field = ref->target == TARGET_FIELD;
    if (!is_field || field_rows[ref->field].type == FIELD_STRING)
        text_vector(a, b, c, ref, out);
    else if (field_rows[ref->field].type == FIELD_ID16)
        id_vector(a, b, c, ref->field, out);
    else
        number_vector(a, b, c, ref->field, out);
}

/* ---- scan ------------------------------------------------------------------------------------------------------- */

static err scan_batch(const struct model_snapshot *sn, const struct model_batch *b, const struct scan_request *r,
                      struct arena *a, struct chunk *out) {
    uint32_t *rows = arena_array(a, uint32_t, b->view.rows);
    struct vector *columns = arena_array(a, struct vector, r->column_count + 1);
    TRY(arena_err(a));
    *out = (struct chunk){.rows = r->count_only ? NULL : rows, .columns = columns};
    for (uint32_t i = 0; i < b->view.rows; i++)
        if (matches(sn, b, i, r)) rows[out->n++] = i;
    for (size_t i = 0; i < r->column_count && !r->count_only && out->n; i++)
        make_vector(a, &b->view, out, &r->columns[i], &columns[i]);
    return arena_err(a);
}

struct order {
    int64_t time_min, time_max;
    uint32_t source;
};

static int newest_first(const void *a, const void *b) {
    const struct order *x = a, *y = b;
    if (x->time_max != y->time_max) return x->time_max > y->time_max ? -1 : 1;
    return x->source < y->source ? -1 : x->source > y->source;
}

static int oldest_first(const void *a, const void *b) {
    const struct order *x = a, *y = b;
    if (x->time_min != y->time_min) return x->time_min < y->time_min ? -1 : 1;
    return x->source < y->source ? -1 : x->source > y->source;
}

static err model_scan(struct snapshot *snapshot, const struct scan_request *r, struct arena *a, chunk_fn fn,
                      void *context, struct scan_stats *stats) {
    struct model_snapshot *sn = (struct model_snapshot *)snapshot;
    size_t n = sn->batches.n;
    AUTO_FREE struct order *order = mem_new_array(struct order, n + 1);
    for (size_t i = 0; i < n; i++)
        order[i] = (struct order){sn->batches.v[i].view.time_min, sn->batches.v[i].view.time_max, (uint32_t)i};
    qsort(order, n, sizeof *order, r->oldest_first ? oldest_first : newest_first);
    for (size_t i = 0; i < n; i++) {
        struct chunk chunk;
        if (r->is_cancelled && r->is_cancelled(r->cancel_context)) return err_new(ERR_CANCELLED, "cancelled");
        if (r->deadline_ns && clock_monotonic_ns() > r->deadline_ns) return err_new(ERR_CANCELLED, "out of time");
        arena_clear(a);
        TRY(scan_batch(sn, &sn->batches.v[order[i].source], r, a, &chunk));
        stats->rows_matched += chunk.n;
        if (chunk.n == 0) continue;
        chunk.source = order[i].source;
        chunk.rest_time_max = i + 1 < n ? MIN(order[i + 1].time_max, r->time_max) : INT64_MIN;
        chunk.rest_time_min = i + 1 < n ? MAX(order[i + 1].time_min, r->time_min) : INT64_MAX;
        if (fn(context, &chunk) == SCAN_STOP) return NULL;
    }
    return NULL;
}

static void copy_row(const struct model_batch *b, uint32_t row, struct batch_builder *out) {
    struct batch_copy_cache cache = {0};
    batch_builder_copy(out, &b->view, row, &cache);
    batch_copy_cache_done(&cache);
}

static err model_fetch(struct snapshot *snapshot, const struct row_place *places, size_t n, struct batch_builder *out,
                       struct scan_stats *stats) {
    struct model_snapshot *sn = (struct model_snapshot *)snapshot;
    (void)stats;
    for (size_t i = 0; i < n; i++) copy_row(&sn->batches.v[places[i].source], places[i].row, out);
    return NULL;
}

static err model_trace(struct snapshot *snapshot, const unsigned char id[16], size_t limit_rows,
                       struct batch_builder *out, struct scan_stats *stats) {
    struct model_snapshot *sn = (struct model_snapshot *)snapshot;
    size_t taken = 0;
    (void)stats;
    for (size_t i = 0; i < sn->batches.n; i++) {
        const struct model_batch *b = &sn->batches.v[i];
        for (uint32_t row = 0; row < b->view.rows; row++) {
            if (memcmp(batch_id16(&b->view, SET_ROWS, FIELD_TRACE_ID, row), id, 16) != 0 || !is_visible(sn, b, row))
                continue;
            if (limit_rows && taken == limit_rows) return NULL;
            copy_row(b, row, out);
            taken++;
        }
    }
    return NULL;
}

static err model_resources(struct snapshot *snapshot, const struct scan_request *r,
                           void (*fn)(void *context, const struct batch *b, uint32_t resource_row), void *context,
                           struct scan_stats *stats) {
    struct model_snapshot *sn = (struct model_snapshot *)snapshot;
    (void)stats;
    for (size_t i = 0; i < sn->batches.n; i++) {
        const struct model_batch *b = &sn->batches.v[i];
        for (uint32_t row = 0; row < b->view.rows; row++) {
            int64_t time = row_time(&b->view, row);
            if (time >= r->time_min && time <= r->time_max && is_visible(sn, b, row))
                fn(context, &b->view, batch_u32(&b->view, SET_ROWS, FIELD_RESOURCE, row));
        }
    }
    return NULL;
}

/* Each attribute of each row, one value at a time; resources and scopes once for each row that has them. */
static enum scan_next tell_keys(const struct batch *b, enum set set, uint32_t row, key_fn fn, void *context) {
    struct batch_attributes of = batch_attributes(b, set, row);
    for (uint32_t i = 0; i < of.n; i++) {
        const struct batch_key *k = &b->keys[of.keys[i]];
        struct key_seen seen = {set, batch_string(b, k->name), (enum value_type)k->type, 1};
        if (fn(context, &seen) == SCAN_STOP) return SCAN_STOP;
    }
    return SCAN_GO_ON;
}

static enum scan_next row_keys(const struct batch *b, uint32_t row, key_fn fn, void *context) {
    bool spans = b->signal == SIGNAL_SPANS;
    uint32_t event = spans && row ? batch_u32(b, SET_ROWS, FIELD_EVENT_END, row - 1) : 0;
    enum scan_next next = tell_keys(b, SET_ROWS, row, fn, context);
    for (; spans && next == SCAN_GO_ON && event < batch_u32(b, SET_ROWS, FIELD_EVENT_END, row); event++)
        next = tell_keys(b, SET_EVENTS, event, fn, context);
    if (next == SCAN_GO_ON)
        next = tell_keys(b, SET_RESOURCES, batch_u32(b, SET_ROWS, FIELD_RESOURCE, row), fn, context);
    if (next == SCAN_GO_ON) next = tell_keys(b, SET_SCOPES, batch_u32(b, SET_ROWS, FIELD_SCOPE, row), fn, context);
    return next;
}

static err model_keys(struct snapshot *snapshot, const struct scan_request *r, struct arena *a, key_fn fn,
                      void *context, struct scan_stats *stats) {
    struct model_snapshot *sn = (struct model_snapshot *)snapshot;
    (void)a, (void)stats;
    for (size_t i = 0; i < sn->batches.n; i++) {
        const struct model_batch *b = &sn->batches.v[i];
        for (uint32_t row = 0; row < b->view.rows; row++) {
            int64_t time = row_time(&b->view, row);
            if (time < r->time_min || time > r->time_max || !is_visible(sn, b, row)) continue;
            if (row_keys(&b->view, row, fn, context) == SCAN_STOP) return NULL;
        }
    }
    return NULL;
}

/* All is in memory. */
static err model_sizes(struct snapshot *snapshot, const struct scan_request *r, const struct size_sink *sink,
                       struct scan_stats *stats) {
    struct model_snapshot *sn = (struct model_snapshot *)snapshot;
    (void)stats;
    for (size_t i = 0; i < sn->batches.n; i++) {
        const struct batch *b = &sn->batches.v[i].view;
        uint64_t bytes = batch_bytes(b->blob).n;
        if (b->time_min > r->time_max || b->time_max < r->time_min) continue;
        if (sink->part) sink->part(sink->context, &(struct size_part){0, b->time_min, b->time_max, b->rows, bytes, 0});
        if (sink->resource) batch_resource_sizes(b, bytes, sink);
    }
    return NULL;
}

static const struct snapshot_functions model_snapshot_functions = {
    .keys = model_keys,
    .free = model_snapshot_free,
    .scan = model_scan,
    .fetch = model_fetch,
    .trace = model_trace,
    .resources = model_resources,
    .sizes = model_sizes,
};

/* ---- the rest of the door --------------------------------------------------------------------------------------- */

static void model_abandon(struct store *store) {
    struct model *m = (struct model *)store;
    for (size_t i = 0; i < m->batches.n; i++) batch_unref(m->batches.v[i].view.blob);
    vec_done(&m->batches);
    delete_set_unref(m->deletes);
    series_model_free(m->series);
    lock_done(&m->lock);
    mem_free(m);
}

static err model_close(struct store *store) {
    model_abandon(store);
    return NULL;
}

static void model_get_stats(struct store *store, struct store_stats *out) {
    struct model *m = (struct model *)store;
    *out = (struct store_stats){0};
    lock_take(&m->lock);
    for (size_t i = 0; i < m->batches.n; i++)
        out->rows_appended[m->batches.v[i].view.signal] += m->batches.v[i].view.rows;
    out->batches_appended = m->batches.n;
    lock_give(&m->lock);
}

static err model_nothing(struct store *s) {
    (void)s;
    return NULL;
}

static bool model_delete_is_done(struct store *s, uint64_t id) {
    (void)s, (void)id;
    return true;
}

static bool model_pump(struct store *s, int kind) {
    (void)s, (void)kind;
    return false;
}

static bool model_pulse(struct store *s) {
    (void)s;
    return true;
}

static err model_flush(struct store *s, struct str tenant) {
    (void)s, (void)tenant;
    return NULL;
}

static err model_backup(struct store *s, struct str tenant, const char *to) {
    (void)s, (void)tenant;
    return err_new(ERR_INVALID, "the model has nothing to back up to %s", to);
}

static const struct store_functions model_functions = {
    .close = model_close,
    .abandon = model_abandon,
    .append = model_append,
    .append_points = model_append_points,
    .series_snapshot = model_series_snapshot,
    .delete_series = model_delete_series,
    .rollups = model_rollups,
    .time_limits = model_time_limits,
    .snapshot = model_snapshot,
    .delete_rows = model_delete,
    .delete_is_done = model_delete_is_done,
    .rewrite_now = model_nothing,
    .flush = model_flush,
    .merge_all = model_nothing,
    .backup = model_backup,
    .get_stats = model_get_stats,
    .health = model_nothing,
    .pulse = model_pulse,
    .pump = model_pump,
};

struct store *store_model_open(const struct store_options *options) {
    struct model *m = mem_new_of(struct model);
    m->base.f = &model_functions;
    m->o = *options;
    if (!m->o.wall_ns) m->o.wall_ns = clock_wall_ns;
    lock_init(&m->lock);
    m->deletes = delete_set_new(0);
    m->series = series_model_new(&m->o);
    return &m->base;
}
