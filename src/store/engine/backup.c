/* Backup and restore: a data directory copied while it is in use. Parts are immutable, so a hard link is a copy; the
 * manifest is written from memory; the log is copied up to where it was durable at that moment.
 *
 * What is to be copied is settled in a moment, under the locks. Then they are given back: the parts are held by references, so
 * that their files stay, the log's segments by `backup_running` until they are copied. */
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

/* What is said about metrics lies beside the files of series. It may be newer than those: it says no less. */
static err copy_texts(const char *from, const char *to, const struct manifest_state *state) {
    const char *last = "";
    for (size_t i = 0; i < state->parts.n; i++) {
        const struct manifest_part *p = &state->parts.v[i];
        if (p->signal != TABLE_SERIES || strcmp(p->tenant, last) == 0) continue;
        last = p->tenant;
        struct path from_dir = path_table(from, p->tenant, TABLE_SERIES),
                    to_dir = path_table(to, p->tenant, TABLE_SERIES);
        struct path source = path_make("%.3900s/" METRIC_TEXTS_FILE, from_dir.text),
                    copy = path_make("%.3900s/" METRIC_TEXTS_FILE, to_dir.text);
        if (!path_exists(source.text) || path_exists(copy.text)) continue;
        TRY(file_link_or_copy(source.text, copy.text));
    }
    return NULL;
}

/* ---- what others keep beside the telemetry ---------------------------------------------------------------------- */

/* searches/TENANT.json: small files that api replaces whole. A copy takes what is there; `only` p NULL: of all tenants. */
struct beside {
    struct path from, to;
    struct str only;
    size_t copied;
};

static err copy_beside(void *context, const char *name, bool is_dir) {
    struct beside *b = context;
    struct str tenant = str_of(name), suffix = STR(".json");
    if (is_dir || !str_ends_with(tenant, suffix)) return NULL;
    tenant.n -= suffix.n;
    if (!tenant_is_valid(tenant) || (b->only.p && !str_equal(b->only, tenant))) return NULL;
    struct path from = path_make("%.3800s/%.255s", b->from.text, name),
                to = path_make("%.3800s/%.255s", b->to.text, name);
    if (b->copied++ == 0) TRY(path_make_dir(b->to.text));
    return file_copy(from.text, to.text, UINT64_MAX);
}

static err copy_searches(const char *from, const char *to, struct str only) {
    struct beside b = {path_make("%.3800s/searches", from), path_make("%.3800s/searches", to), only, 0};
    if (!path_exists(b.from.text)) return NULL;
    TRY(path_list(b.from.text, copy_beside, &b));
    return b.copied ? path_sync_dir(b.to.text) : NULL;
}

/* Of a folder that nobody has open: plain files. */
static err copy_records(const char *from, const char *to) {
    static const char *const names[] = {STORE_RECORDS_FILE, STORE_RECORDS_FILE "-wal"};
    for (size_t i = 0; i < LENGTH(names); i++) {
        struct path source = path_make("%.3800s/%s", from, names[i]), copy = path_make("%.3800s/%s", to, names[i]);
        if (path_exists(source.text)) TRY(file_copy(source.text, copy.text, UINT64_MAX));
    }
    return NULL;
}

/* Everything in a folder that was empty when we began. Best effort: it follows an error. */
static err remove_entry(void *context, const char *name, bool is_dir) {
    struct path path = path_make("%.3800s/%.255s", (const char *)context, name);
    if (is_dir) {
        err_free(path_list(path.text, remove_entry, path.text));
        err_free(path_remove_dir(path.text));
    } else {
        err_free(path_remove(path.text));
    }
    return NULL;
}

static void remove_made(const char *to) { err_free(path_list(to, remove_entry, (void *)(uintptr_t)to)); }

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
    err e = path_make_dir(log.text);
    if (e) remove_made(to);
    return e;
}

/* ---- backup ----------------------------------------------------------------------------------------------------- */

struct log_piece {
    uint64_t number, bytes;
};

struct backup {
    struct manifest_state state;
    VEC(struct part_set *) held; /* parts that the state names */
    VEC(struct log_piece) log;
    struct str only; /* this tenant alone; p NULL: all */
};

static void list_log(struct engine *s, struct backup *b) {
    const struct segments_view *v = &s->segments;
    for (size_t i = 0; i < v->closed.n; i++)
        *vec_push(&b->log) = (struct log_piece){v->closed.v[i].number, v->closed.v[i].used_bytes};
    if (v->open_used_bytes) *vec_push(&b->log) = (struct log_piece){v->open_number, v->open_used_bytes};
}

/* Leaves what is of one tenant. */
static void keep_tenant(struct manifest_state *s, struct str tenant) {
    size_t tables = 0, parts = 0, deletes = 0;
    for (size_t i = 0; i < s->tables.n; i++)
        if (str_equal(str_of(s->tables.v[i].tenant), tenant)) s->tables.v[tables++] = s->tables.v[i];
    for (size_t i = 0; i < s->parts.n; i++)
        if (str_equal(str_of(s->parts.v[i].tenant), tenant)) s->parts.v[parts++] = s->parts.v[i];
    for (size_t i = 0; i < s->deletes.n; i++) {
        if (str_equal(str_of(s->deletes.v[i].tenant), tenant))
            s->deletes.v[deletes++] = s->deletes.v[i];
        else
            mem_free((char *)(uintptr_t)s->deletes.v[i].request.p);
    }
    s->tables.n = tables;
    s->parts.n = parts;
    s->deletes.n = deletes;
}

/* work held, so that nothing the manifest names goes away; editing held, so that it names nothing new. One tenant's copy has no
 * log, which all share: the tenant was flushed just before. */
static err backup_settle(struct engine *s, struct str tenant, struct backup *b) {
    AUTO_BUF struct buf edit;
    buf_init(&edit, UINT32_MAX);
    manifest_state_write(&s->manifest.state, &edit);
    TRY(manifest_state_apply(&b->state, buf_str(&edit)));
    if (tenant.p) keep_tenant(&b->state, tenant);
    lock_take(&s->lock);
    for (size_t i = 0; i < s->tables.n; i++) *vec_push(&b->held) = part_set_ref(s->tables.v[i]->parts);
    if (!tenant.p) list_log(s, b);
    s->backup_running = true;
    lock_give(&s->lock);
    return NULL;
}

static void backup_done(struct backup *b) {
    for (size_t i = 0; i < b->held.n; i++) part_set_unref(b->held.v[i]);
    vec_done(&b->held);
    vec_done(&b->log);
    manifest_state_done(&b->state);
}

static err copy_log(struct engine *s, const char *to, const struct backup *b) {
    struct path log = path_make("%.3800s/log", to);
    for (size_t i = 0; i < b->log.n; i++) {
        if (b->log.v[i].number < b->state.log_from) continue; /* may be renamed for reuse any time */
        struct path source = path_segment(s->log_dir, b->log.v[i].number);
        struct path copy = path_segment(log.text, b->log.v[i].number);
        err e = file_copy(source.text, copy.text, b->log.v[i].bytes);
        if (!e || err_kind(e) != ERR_NOT_FOUND) TRY(e);
        err_free(e); /* the log thread was just removing it: all of it is in parts */
    }
    return NULL;
}

static void release_log(struct engine *s) {
    lock_take(&s->lock);
    s->backup_running = false;
    flag_wake_all(&s->log_wake);
    lock_give(&s->lock);
}

static err backup_copy(struct engine *s, const char *to, const struct backup *b) {
    struct path manifest = path_make("%.3800s/manifest", to);
    err e = copy_log(s, to, b);
    release_log(s);
    TRY(e);
    TRY(make_table_dirs(to, &b->state));
    TRY(link_parts(s->dir, to, &b->state));
    TRY(copy_texts(s->dir, to, &b->state));
    TRY(copy_searches(s->dir, to, b->only));
    if (s->o.beside.copy) TRY(s->o.beside.copy(s->o.beside.context, b->only, to));
    TRY(manifest_write(&b->state, manifest.text)); /* last: without it the directory is refused, not half there */
    return sync_dirs(to, &b->state);
}

static err flush_before_backup(struct engine *s, struct str tenant) {
    lock_take(&s->lock);
    err e = engine_refusal(s);
    lock_give(&s->lock);
    return e ? e : engine_flush_tenant(s, tenant);
}

static err backup_to(struct engine *s, struct str tenant, const char *to) {
    struct backup b = {.only = tenant};
    manifest_state_init(&b.state);
    lock_take(&s->work);
    err e = tenant.p ? flush_before_backup(s, tenant) : NULL;
    lock_take(&s->editing);
    if (!e) e = backup_settle(s, tenant, &b);
    lock_give(&s->editing);
    lock_give(&s->work);
    if (!e) e = backup_copy(s, to, &b);
    backup_done(&b);
    return e;
}

err engine_backup(struct store *store, struct str tenant, const char *to) {
    struct engine *s = (struct engine *)store;
    lock_take(&s->copying);
    err e = make_empty_dir(to);
    if (!e) {
        e = backup_to(s, tenant, to);
        if (e) remove_made(to);
    }
    lock_give(&s->copying);
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
    TRY(copy_texts(from, to, state));
    TRY(copy_searches(from, to, (struct str){0}));
    TRY(copy_records(from, to));
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
    err e = restore_checked(from, to);
    if (e) remove_made(to);
    return err_wrap(e, "restoring to %s", to);
}
