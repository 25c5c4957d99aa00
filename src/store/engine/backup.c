/* Backup and restore: a data directory copied while it is in use. Parts are immutable, so a hard link is a copy; the
 * manifest is written from memory; the log is copied up to where it was durable at that moment. */
#include "store/engine/store_engine_priv.h"

/* ---- the directories of a copy ---------------------------------------------------------------------------------- */

static err make_table_dirs(const char *to, const struct manifest_state *state) {
    struct path tenants = path_make("%.3800s/tenants", to);
    TRY(path_make_dir(tenants.text));
    for (size_t i = 0; i < state->parts.n; i++) {
        const struct manifest_part *p = &state->parts.v[i];
        struct path tenant = path_make("%.3800s/tenants/%.63s", to, p->tenant);
        struct path table = path_table(to, p->tenant, p->signal);
        if (path_exists(table.text)) continue;
        TRY(path_make_dir(tenant.text));
        TRY(path_make_dir(table.text));
    }
    return NULL;
}

/* (6): every folder that got a name. */
static err sync_dirs(const char *to, const struct manifest_state *state) {
    struct path tenants = path_make("%.3800s/tenants", to), log = path_make("%.3800s/log", to);
    for (size_t i = 0; i < state->parts.n; i++) {
        const struct manifest_part *p = &state->parts.v[i];
        struct path table = path_table(to, p->tenant, p->signal);
        struct path tenant = path_make("%.3800s/tenants/%.63s", to, p->tenant);
        TRY(path_sync_dir(table.text));
        TRY(path_sync_dir(tenant.text));
    }
    TRY(path_sync_dir(tenants.text));
    TRY(path_sync_dir(log.text));
    TRY(path_sync_dir(to));
    return path_sync_parent(to);
}

static err link_parts(const char *from, const char *to, const struct manifest_state *state) {
    for (size_t i = 0; i < state->parts.n; i++) {
        const struct manifest_part *p = &state->parts.v[i];
        struct path source = path_part(from, p->tenant, p->signal, p->day, p->id);
        struct path copy = path_part(to, p->tenant, p->signal, p->day, p->id);
        TRY(file_link_or_copy(source.text, copy.text));
    }
    return NULL;
}

static err count_entry(void *context, const char *name, bool is_dir) {
    (void)name, (void)is_dir;
    ++*(size_t *)context;
    return NULL;
}

static err make_empty_dir(const char *to) {
    size_t entries = 0;
    struct path log = path_make("%.3800s/log", to);
    if (strlen(to) > FORMAT_DIR_BYTES) return err_new(ERR_INVALID, "the path is too long");
    TRY(path_make_dir(to));
    TRY(path_list(to, count_entry, &entries));
    if (entries) return err_new(ERR_CONFLICT, "%s is not empty", to);
    return path_make_dir(log.text);
}

/* ---- backup ----------------------------------------------------------------------------------------------------- */

struct log_piece {
    uint64_t number, bytes;
};
typedef VEC(struct log_piece) log_pieces;

static void list_log(struct engine *s, log_pieces *out) {
    lock_take(&s->lock);
    const struct segments_view *v = &s->segments;
    for (size_t i = 0; i < v->closed.n; i++)
        *vec_push(out) = (struct log_piece){v->closed.v[i].number, v->closed.v[i].used_bytes};
    if (v->open_used_bytes) *vec_push(out) = (struct log_piece){v->open_number, v->open_used_bytes};
    lock_give(&s->lock);
}

static err copy_log(struct engine *s, const char *to, const log_pieces *pieces, uint64_t log_from) {
    struct path log = path_make("%.3800s/log", to);
    for (size_t i = 0; i < pieces->n; i++) {
        if (pieces->v[i].number < log_from) continue; /* may be renamed for reuse any time */
        struct path source = path_segment(s->log_dir, pieces->v[i].number);
        struct path copy = path_segment(log.text, pieces->v[i].number);
        TRY(file_copy(source.text, copy.text, pieces->v[i].bytes));
    }
    return NULL;
}

static err copy_parts(struct engine *s, const char *to, const struct manifest_state *state) {
    TRY(make_table_dirs(to, state));
    return link_parts(s->dir, to, state);
}

static err finish_copy(const char *to, const struct manifest_state *state) {
    struct path manifest = path_make("%.3800s/manifest", to);
    TRY(manifest_write(state, manifest.text));
    return sync_dirs(to, state);
}

/* work held, so that nothing the manifest names goes away; editing held, so that it names nothing new. */
static err backup_locked(struct engine *s, const char *to) {
    const struct manifest_state *state = &s->manifest.state;
    log_pieces pieces = {0};
    TRY(copy_parts(s, to, state));
    list_log(s, &pieces);
    err e = copy_log(s, to, &pieces, state->log_from);
    vec_done(&pieces);
    TRY(e);
    return finish_copy(to, state);
}

/* Of one tenant. The log is shared by all, so none of it is copied: the tenant was flushed just before. */
static err backup_tenant_locked(struct engine *s, struct str tenant, const char *to) {
    const struct manifest_state *all = &s->manifest.state;
    struct manifest_state own = *all;
    memset(&own.tables, 0, sizeof own.tables);
    memset(&own.parts, 0, sizeof own.parts);
    memset(&own.deletes, 0, sizeof own.deletes);
    for (size_t i = 0; i < all->tables.n; i++)
        if (str_equal(str_of(all->tables.v[i].tenant), tenant)) *vec_push(&own.tables) = all->tables.v[i];
    for (size_t i = 0; i < all->parts.n; i++)
        if (str_equal(str_of(all->parts.v[i].tenant), tenant)) *vec_push(&own.parts) = all->parts.v[i];
    for (size_t i = 0; i < all->deletes.n; i++)
        if (str_equal(str_of(all->deletes.v[i].tenant), tenant)) *vec_push(&own.deletes) = all->deletes.v[i];
    err e = copy_parts(s, to, &own);
    if (!e) e = finish_copy(to, &own);
    vec_done(&own.tables);
    vec_done(&own.parts);
    vec_done(&own.deletes); /* their texts are the manifest's */
    return e;
}

static err flush_before_backup(struct engine *s, struct str tenant) {
    lock_take(&s->lock);
    err e = engine_refusal(s);
    lock_give(&s->lock);
    return e ? e : engine_flush_tenant(s, tenant);
}

static void hold_log(struct engine *s, bool hold) {
    lock_take(&s->lock);
    s->backup_running = hold;
    flag_wake_all(&s->log_wake);
    lock_give(&s->lock);
}

err engine_backup(struct store *store, struct str tenant, const char *to) {
    struct engine *s = (struct engine *)store;
    TRY_WRAP(make_empty_dir(to), "backing up to %s", to);
    lock_take(&s->work);
    err e = tenant.p ? flush_before_backup(s, tenant) : NULL;
    lock_take(&s->editing);
    hold_log(s, true);
    if (!e) e = tenant.p ? backup_tenant_locked(s, tenant, to) : backup_locked(s, to);
    hold_log(s, false);
    lock_give(&s->editing);
    lock_give(&s->work);
    return err_wrap(e, "backing up to %s", to);
}

/* ---- restore ---------------------------------------------------------------------------------------------------- */

static err copy_segments(const char *from, const char *to) {
    struct path from_log = path_make("%.3800s/log", from), to_log = path_make("%.3800s/log", to);
    segment_numbers numbers = {0};
    err e = segment_list(from_log.text, &numbers);
    for (size_t i = 0; i < numbers.n && !e; i++) {
        struct path source = path_segment(from_log.text, numbers.v[i]), copy = path_segment(to_log.text, numbers.v[i]);
        e = file_copy(source.text, copy.text, UINT64_MAX);
    }
    vec_done(&numbers);
    return e;
}

static err restore_state(const char *from, const char *to, const struct manifest_state *state) {
    struct path manifest = path_make("%.3800s/manifest", to);
    TRY(make_table_dirs(to, state));
    TRY(link_parts(from, to, state));
    TRY(copy_segments(from, to));
    TRY(manifest_write(state, manifest.text)); /* last: without it the directory is refused, not half there */
    return sync_dirs(to, state);
}

static err restore_checked(const char *from, const char *to) {
    struct path manifest = path_make("%.3800s/manifest", from);
    struct manifest_state state;
    struct manifest_reading reading;
    manifest_state_init(&state);
    err e = manifest_load(manifest.text, &state, NULL, &reading);
    if (!e) e = restore_state(from, to, &state);
    manifest_state_done(&state);
    return e;
}

err store_restore(const char *from, const char *to) {
    AUTO_BUF struct buf findings;
    uint64_t bad = 0;
    buf_init(&findings, 64 * KIB);
    TRY_WRAP(store_check(from, &findings, &bad), "checking the backup");
    struct str first, rest;
    str_cut(buf_str(&findings), '\n', &first, &rest);
    if (bad) return err_new(ERR_CORRUPT, "the backup is damaged: " STR_FMT, STR_ARG(first));
    TRY_WRAP(make_empty_dir(to), "restoring to %s", to);
    return err_wrap(restore_checked(from, to), "restoring to %s", to);
}
