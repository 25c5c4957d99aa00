/* Opening a data directory: lock, manifest, files nobody names, parts, log; and its end. */
#include "store/engine/store_engine_priv.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "os/clock.h"

/* ---- the lock (one process a directory) ------------------------------------------------------------------------- */

static err lock_file_head(struct file *f, const char *path) {
    char bytes[64];
    size_t n;
    struct format_head head;
    TRY(file_read(f, bytes, sizeof bytes, 0, &n));
    if (n == sizeof bytes) {
        err e = format_head_read(str_span(bytes, n), format_magic_lock, path, &head);
        if (!e || err_kind(e) == ERR_INVALID) return e;
        err_free(e); /* it says nothing that is needed: written anew */
    }
    format_head_make(&head, format_magic_lock, (uint64_t[4]){0});
    return file_write(f, &head, sizeof head, 0);
}

/* The entry of a fresh directory is made durable before anything in it can be (6). */
static err make_directory(struct engine *s) {
    struct path manifest = path_make("%s/manifest", s->dir);
    TRY(path_make_dir(s->dir));
    return path_exists(manifest.text) ? NULL : path_sync_parent(s->dir);
}

static err take_directory(struct engine *s) {
    struct path path = path_make("%s/LOCK", s->dir);
    TRY(make_directory(s));
    err e = file_open(path.text, FILE_CREATE, &s->lock_file);
    if (e && err_kind(e) == ERR_CONFLICT) {
        err_free(e);
        e = file_open(path.text, FILE_WRITE, &s->lock_file);
    }
    TRY(e);
    e = file_lock(s->lock_file);
    if (e && err_kind(e) == ERR_CONFLICT) {
        err_free(e);
        return err_new(ERR_CONFLICT, "%s is in use by another clew process: stop that one, or name another directory",
                       s->dir);
    }
    TRY(e);
    return lock_file_head(s->lock_file, path.text);
}

/* ---- files (3) -------------------------------------------------------------------------------------------------- */

struct sweep {
    struct engine *s;
    const char *tenant;
    enum signal signal;
    bool only_look;
    uint64_t files;
};

/* By the id in its name first: a directory may have tens of thousands. */
static bool is_named(const struct sweep *w, const char *name) {
    struct str day, rest, id_text, end;
    uint64_t id;
    if (!str_cut(str_of(name), '-', &day, &rest) || !str_cut(rest, '.', &id_text, &end)) return false;
    err e = parse_u64(id_text, &id);
    err_free(e);
    for (size_t i = 0; i < w->s->manifest.state.parts.n && !e; i++) {
        const struct manifest_part *p = &w->s->manifest.state.parts.v[i];
        if (p->id != id || p->signal != w->signal || strcmp(p->tenant, w->tenant) != 0) continue;
        struct path path = path_part("", p->tenant, p->signal, p->day, p->id);
        if (str_ends_with(str_of(path.text), str_of(name))) return true;
    }
    return false;
}

static err sweep_file(void *context, const char *name, bool is_dir) {
    struct sweep *w = context;
    struct str s = str_of(name);
    if (is_dir || (!str_ends_with(s, STR(".part")) && !str_ends_with(s, STR(".tmp")))) return NULL;
    w->files++;
    if (w->only_look || is_named(w, name)) return NULL;
    struct path dir = path_table(w->s->dir, w->tenant, w->signal);
    struct path path = path_make("%.3900s/%.180s", dir.text, name);
    log_info("removing a part that the manifest does not name", F_TEXT("path", path.text));
    return path_remove(path.text);
}

static err list_if_there(const char *path, err (*fn)(void *context, const char *name, bool is_dir), void *context) {
    err e = path_list(path, fn, context);
    if (!e || err_kind(e) != ERR_NOT_FOUND) return e;
    err_free(e);
    return NULL;
}

static err sweep_tenant(void *context, const char *name, bool is_dir) {
    struct sweep *w = context;
    if (!is_dir || !tenant_is_valid(str_of(name))) return NULL;
    w->tenant = name;
    for (w->signal = 0; w->signal < TABLE_KINDS; w->signal++) {
        struct path dir = path_table(w->s->dir, name, w->signal);
        TRY(list_if_there(dir.text, sweep_file, w));
    }
    return NULL;
}

static err sweep_parts(struct engine *s, bool only_look, uint64_t *out_files) {
    struct sweep w = {.s = s, .only_look = only_look};
    struct path tenants = path_make("%s/tenants", s->dir);
    TRY(list_if_there(tenants.text, sweep_tenant, &w));
    *out_files = w.files;
    return NULL;
}

static err count_entry(void *context, const char *name, bool is_dir) {
    (void)name, (void)is_dir;
    ++*(uint64_t *)context;
    return NULL;
}

/* A directory with data whose manifest is gone is not an empty one. */
static err refuse_lost_manifest(struct engine *s) {
    struct path path = path_make("%s/manifest", s->dir);
    uint64_t parts = 0, segments = 0;
    if (path_exists(path.text)) return NULL;
    TRY(sweep_parts(s, true, &parts));
    TRY(list_if_there(s->log_dir, count_entry, &segments));
    if (parts + segments == 0) return NULL;
    return err_new(ERR_CORRUPT, "%s has data but no manifest: restore a backup, or move the data away", s->dir);
}

/* ---- parts and deletes ------------------------------------------------------------------------------------------ */

struct opened_part {
    struct table *table;
    struct part_entry entry;
};
typedef VEC(struct opened_part) opened_parts;

err engine_part_open(struct engine *s, const char *path, struct part **out) {
    TRY(part_open(path, out));
    part_charge(*out, s->o.budget);
    return NULL;
}

err engine_series_open(struct engine *s, const char *path, struct series_part **out) {
    (void)s; /* an open file of series takes next to nothing: it is read from its pages */
    return series_part_open(path, out);
}

static err open_part(struct engine *s, const struct manifest_part *p, opened_parts *out) {
    struct table *t = engine_table(s, str_of(p->tenant), p->signal, true);
    struct part_entry entry = {.id = p->id,
                               .rows = p->rows,
                               .bytes = p->bytes,
                               .deletes_applied = p->deletes_applied,
                               .age = p->age,
                               .day = p->day,
                               .time_min = p->time_min,
                               .time_max = p->time_max};
    struct path path = path_part(s->dir, p->tenant, p->signal, p->day, p->id);
    err e = p->signal == TABLE_ROLLUPS ? rollup_file_open(path.text, &entry.rollup)
            : t->series                ? engine_series_open(s, path.text, &entry.series)
                                       : engine_part_open(s, path.text, &entry.part);
    if (e && err_kind(e) == ERR_INVALID) return e; /* of a newer format (12) */
    if (e) {                                       /* (7) named, counted, left where it is */
        log_error("a part cannot be opened: answers over its range are partial", F_TEXT("path", path.text), F_ERR(e));
        s->stats.bad_blocks++;
        entry.part = NULL;
        entry.series = NULL;
        entry.rollup = NULL;
        err_free(e);
    }
    *vec_push(out) = (struct opened_part){t, entry};
    return NULL;
}

static int by_table(const void *a, const void *b) {
    const struct opened_part *x = a, *y = b;
    if (x->table != y->table) return (uintptr_t)x->table < (uintptr_t)y->table ? -1 : 1;
    return x->entry.id < y->entry.id ? -1 : x->entry.id > y->entry.id;
}

/* All parts of a table join it at once. */
static void join_parts(opened_parts *opened) {
    VEC(struct part_entry) of_table = {0};
    if (opened->n) qsort(opened->v, opened->n, sizeof *opened->v, by_table);
    for (size_t i = 0; i < opened->n; i++) {
        struct table *t = opened->v[i].table;
        *vec_push(&of_table) = opened->v[i].entry;
        if (i + 1 < opened->n && opened->v[i + 1].table == t) continue;
        struct part_set *old = t->parts;
        t->parts = part_set_change(old, NULL, 0, of_table.v, of_table.n);
        part_set_unref(old);
        vec_clear(&of_table);
    }
    vec_done(&of_table);
}

static err open_parts(struct engine *s) {
    opened_parts opened = {0};
    err e = NULL;
    for (size_t i = 0; i < s->manifest.state.parts.n && !e; i++)
        e = open_part(s, &s->manifest.state.parts.v[i], &opened);
    join_parts(&opened);
    vec_done(&opened);
    return e;
}

/* What is said about metrics: a damaged file is named, and what comes in says it anew. */
static err open_texts(struct engine *s) {
    for (size_t i = 0; i < s->manifest.state.tables.n; i++) {
        const struct manifest_table *m = &s->manifest.state.tables.v[i];
        if (m->signal == TABLE_SERIES) engine_table(s, str_of(m->tenant), TABLE_SERIES, true);
    }
    for (size_t i = 0; i < s->tables.n; i++) {
        struct table *t = s->tables.v[i];
        struct path dir = path_table(s->dir, t->tenant, t->signal);
        err e = t->series ? metric_texts_read(t->series->texts, dir.text) : NULL;
        if (e && err_kind(e) == ERR_INVALID) return e;
        if (e && err_kind(e) != ERR_NOT_FOUND) {
            log_error("types and help of metrics are lost", F_TEXT("path", dir.text), F_ERR(e));
            s->stats.bad_blocks++;
        }
        err_free(e);
    }
    return NULL;
}

static err open_deletes(struct engine *s) {
    const struct manifest_state *state = &s->manifest.state;
    s->deletes = delete_set_new(state->next_delete - 1);
    for (size_t i = 0; i < state->deletes.n; i++) {
        struct delete_entry *entry;
        TRY(delete_entry_make(&state->deletes.v[i], &entry));
        struct delete_set *old = s->deletes;
        s->deletes = delete_set_with(old, entry);
        delete_set_unref(old);
    }
    return NULL;
}

/* ---- replay ----------------------------------------------------------------------------------------------------- */

struct replay {
    struct engine *s;
    struct said_log said;
    segment_mappings segments; /* it points into them */
    uint64_t void_from;        /* records from here on were refused, or stand in a later segment */
    int64_t now;
    bool flush_failed;
};

/* What has come so far goes to parts as it would later, so that a log larger than the memory can be read. One that fails waits for
 * the end: a full disk must not keep the data from being read. */
static void replay_flush(struct replay *p) {
    bool did = true;
    for (struct table *t; did && !p->flush_failed && (t = engine_flush_due(p->s, p->now, false, NULL));) {
        err e = engine_flush_table(p->s, t, &did);
        p->flush_failed = e != NULL; /* it was logged */
        err_free(e);
        engine_turn_heads(p->s);
    }
}

static err record_points(struct replay *p, const struct log_record *r, struct memory_batch **out) {
    struct engine *s = p->s;
    struct batch_blob *blob;
    uint32_t *said, lost;
    if (!tenant_is_valid(r->tenant)) return err_new(ERR_CORRUPT, "it is of no tenant");
    TRY(said_log_open(&p->said, r, &blob, &said, &lost));
    if (lost) {
        log_error("a log record refers to what was lost", F_U64("sequence", r->sequence), F_U64("series", lost));
        s->stats.bad_blocks++;
    }
    budget_take_always(s->o.budget, memory_points_bytes(blob));
    *out = memory_points_new(blob, s->o.budget);
    (*out)->flags = r->flags;
    (*out)->arrived_ns = r->arrived_ns;
    (*out)->said = said;
    (*out)->began = r->flags & RECORD_SAYS ? r->sequence - r->since : 0;
    return NULL;
}

static err record_batch(struct replay *p, const struct log_record *r, struct memory_batch **out) {
    struct engine *s = p->s;
    struct batch_blob *blob;
    if (r->signal == TABLE_SERIES) return record_points(p, r, out);
    TRY(batch_open(r->blob, &blob));
    budget_take_always(s->o.budget, memory_batch_bytes(blob));
    *out = memory_batch_new(blob, s->o.budget);
    if (tenant_is_valid(r->tenant) && (*out)->view.rows && (*out)->view.signal == r->signal) return NULL;
    memory_batch_unref(*out);
    return err_new(ERR_CORRUPT, "it is not a batch of its table");
}

/* What the last head had may have been deleted before this one began: deltas are looked up anew. */
static void replay_points(struct engine *s, struct memory_batch *m, uint32_t said_before) {
    struct series_table *t = m->table->series;
    bool of_another = t->first && m->began != t->said.from; /* the record that began its head is lost */
    if ((m->flags & RECORD_FRESH) || of_another) {
        engine_seal_now(s, m->table);
        t->forget_bases = true;
    }
    engine_apply_points(s, m);
    t->fresh = false;
    t->said = t->saying = (struct said){m->began, said_before + m->points.series_count};
}

static err replay_record(void *context, const struct log_record *r) {
    struct replay *p = context;
    struct engine *s = p->s;
    struct memory_batch *m;
    if (r->sequence >= p->void_from) return NULL;
    if (r->signal == TABLE_SERIES) said_log_add(&p->said, r); /* others may refer to it, if it is in files or not */
    if (r->sequence <= manifest_covered(&s->manifest.state, r->tenant, r->signal)) return NULL;
    err e = record_batch(p, r, &m);
    if (e) {
        log_error("a log record cannot be read", F_U64("sequence", r->sequence), F_ERR(e));
        s->stats.bad_blocks++;
        err_free(e);
        return NULL;
    }
    m->sequence = r->sequence;
    m->table = engine_table(s, r->tenant, r->signal, true);
    if (memory_batch_is_points(m)) replay_points(s, m, r->said_before);
    engine_make_visible(s, m, p->now);
    if (memory_batch_is_points(m)) memory_batch_unref(m);
    s->stats.replayed_records++;
    replay_flush(p);
    return NULL;
}

struct replay_segment {
    uint64_t number;
    struct segment_head head;
};
typedef VEC(struct replay_segment) replay_segments;

/* A segment that was never begun has no whole head with its own number; what is below log_from is dead (4). */
static err segment_look(struct engine *s, uint64_t number, replay_segments *out) {
    struct path path = path_segment(s->log_dir, number);
    struct segment_head head;
    struct file *file;
    struct str map;
    s->log.next_number = MAX(s->log.next_number, number + 1);
    TRY(segment_map(path.text, &file, &map));
    err e = segment_head_read(map, path.text, &head);
    segment_unmap(file, map);
    if (e && err_kind(e) == ERR_INVALID) return e; /* a newer format */
    bool begun = !e && head.number == number && number >= s->manifest.state.log_from;
    err_free(e);
    if (!begun) return path_remove(path.text);
    *vec_push(out) = (struct replay_segment){number, head};
    return NULL;
}

static err segment_replay(struct engine *s, const struct replay_segment *g, struct replay *r) {
    struct path path = path_segment(s->log_dir, g->number);
    AUTO_BUF struct buf findings;
    struct segment_reading reading = {0};
    struct segment_mapping m;
    buf_init(&findings, 64 * KIB);
    TRY(segment_map(path.text, &m.file, &m.map));
    *vec_push(&r->segments) = m;
    err e = segment_read(m.map, path.text, &g->head, replay_record, r, &findings, &reading);
    if (!e) {
        uint64_t last = MIN(reading.last_sequence, r->void_from - 1);
        *vec_push(&s->log.closed) = (struct log_segment){g->number, m.map.n, reading.end, last};
        s->visible_sequence = MAX(s->visible_sequence, last);
        s->stats.bad_blocks += reading.bad;
    }
    if (findings.n) log_error("log is damaged", F_STR("where", str_trim(buf_str(&findings))));
    return e;
}

/* Records between two segments are missing, and no table has them in parts. */
static void find_gap(struct engine *s, const struct replay_segment *g) {
    uint64_t last = MAX(s->visible_sequence, s->manifest.state.sequence);
    if (g->head.first_sequence <= last + 1) return;
    log_error("log records are missing", F_U64("from", last + 1), F_U64("to", g->head.first_sequence - 1));
    s->stats.bad_blocks++;
}

static err replay_segments_all(struct engine *s, const replay_segments *segments) {
    struct replay r = {.s = s, .now = clock_monotonic_ns()};
    err e = NULL;
    for (size_t i = 0; i < segments->n && !e; i++) {
        r.void_from = UINT64_MAX;
        for (size_t j = i + 1; j < segments->n; j++) r.void_from = MIN(r.void_from, segments->v[j].head.first_sequence);
        find_gap(s, &segments->v[i]);
        e = segment_replay(s, &segments->v[i], &r);
    }
    said_log_done(&r.said);
    segments_unmap(&r.segments);
    return e;
}

static err replay_all(struct engine *s, const segment_numbers *numbers, replay_segments *segments) {
    for (size_t i = 0; i < numbers->n; i++) TRY(segment_look(s, numbers->v[i], segments));
    TRY(replay_segments_all(s, segments));
    s->visible_sequence = MAX(s->visible_sequence, s->manifest.state.sequence);
    /* A delete holds for records up to its sequence. After a damaged log none of those to come may get such a number. */
    for (size_t i = 0; i < s->deletes->n; i++)
        s->visible_sequence = MAX(s->visible_sequence, s->deletes->v[i]->sequence);
    return NULL;
}

/* A delete concerns whole heads: what comes now is not of one that it concerns. */
static void seal_deleted(struct engine *s) {
    for (size_t i = 0; i < s->tables.n; i++)
        for (size_t k = 0; k < s->deletes->n; k++) {
            struct table *t = s->tables.v[i];
            const struct delete_entry *d = s->deletes->v[k];
            if (t->series && t->series->first && d->sequence >= t->series->first &&
                delete_is_of(d, t->tenant, TABLE_SERIES))
                engine_seal_now(s, t);
        }
}

err engine_replay(struct engine *s) {
    segment_numbers numbers = {0};
    replay_segments segments = {0};
    s->log.next_number = s->manifest.state.log_from;
    s->replaying = true;
    err e = segment_list(s->log_dir, &numbers);
    if (!e) e = replay_all(s, &numbers, &segments);
    s->replaying = false;
    seal_deleted(s);
    engine_turn_heads(s);
    vec_done(&numbers);
    vec_done(&segments);
    return err_wrap(e, "reading the log");
}

/* ---- open ------------------------------------------------------------------------------------------------------- */

static struct engine *engine_new(const struct store_options *options) {
    struct engine *s = mem_new_of(struct engine);
    struct store_options defaults;
    store_options_default(&defaults);
    s->base.f = &engine_functions;
    s->o = *options;
    if (!s->o.flush_bytes) s->o.flush_bytes = defaults.flush_bytes;
    if (!s->o.flush_age_ns) s->o.flush_age_ns = defaults.flush_age_ns;
    if (!s->o.segment_bytes) s->o.segment_bytes = defaults.segment_bytes;
    if (!s->o.disk_use_max_percent) s->o.disk_use_max_percent = 100;
    if (!s->o.wall_ns) s->o.wall_ns = clock_wall_ns;
    s->o.segment_bytes = MAX(s->o.segment_bytes, 64 * KIB);
    series_options_fill(&s->o.series, s->o.budget->limit_bytes);
    s->applier = applier_new(&s->o);
    s->work_bytes = MIN(s->o.budget->limit_bytes / 4, (uint64_t)PART_MEMORY_MAX);
    budget_take_always(s->o.budget, s->work_bytes);
    s->opened_wall_ns = s->o.wall_ns();
    s->dir = str_dup(str_of(options->dir));
    s->o.dir = s->dir;
    struct path log_dir = path_make("%s/log", s->dir);
    s->log_dir = str_dup(str_of(log_dir.text));
    s->pending_end = &s->pending;
    lock_init(&s->copying);
    lock_init(&s->work);
    lock_init(&s->editing);
    lock_init(&s->lock);
    flag_init(&s->log_wake);
    flag_init(&s->back_wake);
    flag_init(&s->sealed);
    record_log_init(&s->log, s->log_dir, s->o.segment_bytes);
    buf_init(&s->brief, SIZE_MAX);
    return s;
}

static void engine_free(struct engine *s) {
    record_log_done(&s->log);
    for (size_t i = 0; i < s->tables.n; i++) table_free(s->tables.v[i], s->o.budget);
    vec_done(&s->tables);
    applier_free(s->applier);
    delete_set_unref(s->deletes);
    manifest_close(&s->manifest);
    vec_done(&s->taken);
    vec_done(&s->records);
    buf_done(&s->brief);
    vec_done(&s->segments.closed);
    flag_done(&s->log_wake);
    flag_done(&s->back_wake);
    flag_done(&s->sealed);
    lock_done(&s->copying);
    lock_done(&s->work);
    lock_done(&s->editing);
    lock_done(&s->lock);
    file_close(s->lock_file);
    budget_give(s->o.budget, s->work_bytes);
    mem_free(s->dir);
    mem_free(s->log_dir);
    mem_free(s);
}

static err engine_load(struct engine *s) {
    uint64_t files;
    TRY(take_directory(s));
    TRY(refuse_lost_manifest(s));
    TRY(manifest_open(s->dir, &s->manifest));
    TRY(path_make_dir(s->log_dir));
    TRY(path_sync_dir(s->dir));
    TRY(sweep_parts(s, false, &files));
    TRY(open_parts(s));
    engine_rollup_open(s);
    TRY(open_texts(s));
    TRY(open_deletes(s));
    TRY(engine_replay(s));
    for (size_t i = 0; i < s->tables.n; i++)
        if (s->tables.v[i]->series) {
            s->tables.v[i]->series->inherited = true;
            s->tables.v[i]->series->blind_ns = s->opened_wall_ns;
        }
    engine_segments_publish(s);
    s->retired_below = s->retire_below = s->manifest.state.log_from;
    return NULL;
}

static void stop_threads(struct engine *s) {
    lock_take(&s->lock);
    s->closing = true;
    s->stop_back = true;
    flag_wake_all(&s->back_wake);
    lock_give(&s->lock);
    thread_join(s->back_thread);
    lock_take(&s->lock);
    s->stop_log = true;
    flag_wake_all(&s->log_wake);
    lock_give(&s->lock);
    thread_join(s->log_thread);
    s->back_thread = s->log_thread = NULL;
}

static err start_threads(struct engine *s) {
    if (s->o.manual) return NULL;
    TRY(thread_start(&s->log_thread, "log", 0, engine_log_thread, s));
    err e = thread_start(&s->back_thread, "back", 10, engine_back_thread, s);
    if (e) stop_threads(s);
    return e;
}

err store_open(const struct store_options *options, struct store **out) {
    if (strlen(options->dir) > FORMAT_DIR_BYTES) return err_new(ERR_INVALID, "the data directory's path is too long");
    struct engine *s = engine_new(options);
    err e = engine_load(s);
    if (!e) e = start_threads(s);
    if (e) {
        engine_free(s);
        return err_wrap(e, "opening the data directory %s", options->dir);
    }
    *out = &s->base;
    return NULL;
}

static void engine_abandon(struct store *store) {
    struct engine *s = (struct engine *)store;
    stop_threads(s);
    for (size_t i = 0; i < s->taken.n; i++) memory_batch_unref(s->taken.v[i]);
    for (struct memory_batch *m = s->pending, *next; m; m = next) {
        next = m->next;
        memory_batch_unref(m);
    }
    engine_free(s);
}

static err engine_close(struct store *store) {
    struct engine *s = (struct engine *)store;
    stop_threads(s);
    while (s->taken.n || s->pending) engine_log_step(s);
    lock_take(&s->work);
    err e = engine_flush_all(s);
    if (!e) engine_finish_deletes(s);
    lock_give(&s->work);
    while (engine_log_step(s)) {}
    engine_free(s);
    return err_wrap(e, "closing the store");
}

/* ---- figures ---------------------------------------------------------------------------------------------------- */

static void engine_time_limits(struct store *store, int64_t *out_min, int64_t *out_max) {
    struct engine *s = (struct engine *)store;
    retention_limits(s->o.retention_ns, s->o.wall_ns(), out_min, out_max);
}

static err engine_health(struct store *store) {
    struct engine *s = (struct engine *)store;
    lock_take(&s->lock);
    err e = engine_refusal(s);
    lock_give(&s->lock);
    return e;
}

static bool engine_pulse(struct store *store) {
    struct engine *s = (struct engine *)store;
    lock_take(&s->lock);
    bool alive = !s->pulse_asked;
    s->pulse_asked = true;
    flag_wake_one(&s->log_wake);
    lock_give(&s->lock);
    return alive;
}

static void add_head_stats(struct head *h, struct store_stats *out) {
    struct head_stats stats;
    series_head_get_stats(h, &stats);
    out->head_samples += stats.samples + stats.histograms + stats.late;
    out->head_bytes += stats.bytes;
    out->memory_bytes += stats.charged_bytes;
}

static void add_series_stats(const struct table *t, struct store_stats *out) {
    struct head_stats stats;
    out->metadata_dropped += metric_texts_dropped(t->series->texts);
    for (size_t i = 0; i < t->parts->n; i++) {
        out->series_files++;
        out->series_bytes += t->parts->v[i].bytes;
        out->series_samples += t->parts->v[i].rows;
    }
    for (size_t i = 0; i < t->series->sealed.n; i++) add_head_stats(t->series->sealed.v[i].head, out);
    add_head_stats(t->series->head, out);
    series_head_get_stats(t->series->head, &stats);
    out->head_series += stats.series;
    out->memory_bytes += t->series->beside;
}

static void add_rollup_stats(const struct table *t, struct store_stats *out) {
    for (size_t i = 0; i < t->parts->n; i++) {
        const struct part_entry *p = &t->parts->v[i];
        out->rollup_files++;
        out->rollup_bytes += p->bytes;
        if (p->rollup) out->rollup_rows += p->rollup->info.rows;
    }
}

static void add_table_stats(const struct table *t, struct store_stats *out) {
    for (size_t i = 0; i < t->parts->n; i++) {
        const struct part_entry *p = &t->parts->v[i];
        out->parts++;
        out->part_bytes += p->bytes;
        out->part_rows[t->signal] += p->rows;
        if (p->part) out->groups += part_info(p->part)->groups;
    }
    const struct memory_list *lists[] = {t->active, t->flushing};
    for (int i = 0; i < 2; i++) {
        if (!lists[i]) continue;
        out->memory_rows[t->signal] += lists[i]->rows;
        out->memory_bytes += lists[i]->bytes;
    }
}

static void engine_get_stats(struct store *store, struct store_stats *out) {
    struct engine *s = (struct engine *)store;
    lock_take(&s->lock);
    *out = s->stats;
    out->log_bytes = s->segments.disk_bytes;
    out->deletes_pending = s->deletes->n;
    out->read_only = s->read_only;
    out->disk_full = s->disk_full;
    memcpy(out->why, s->why, sizeof out->why);
    for (size_t i = 0; i < s->tables.n; i++) {
        struct table *t = s->tables.v[i];
        (t->names ? add_rollup_stats : t->series ? add_series_stats : add_table_stats)(t, out);
        engine_add_failing(s->tables.v[i], out);
    }
    lock_give(&s->lock);
}

const struct store_functions engine_functions = {
    .close = engine_close,
    .abandon = engine_abandon,
    .append = engine_append,
    .append_points = engine_append_points,
    .time_limits = engine_time_limits,
    .snapshot = engine_snapshot,
    .series_snapshot = engine_series_snapshot,
    .delete_series = engine_delete_series,
    .rollups = engine_rollups,
    .delete_rows = engine_delete,
    .delete_is_done = engine_delete_is_done,
    .rewrite_now = engine_rewrite_now,
    .flush = engine_flush,
    .merge_all = engine_merge_all,
    .backup = engine_backup,
    .get_stats = engine_get_stats,
    .health = engine_health,
    .pulse = engine_pulse,
    .pump = engine_pump,
};
