/* Parts become fewer parts, and lose the rows of deletes. One edit each (3). */
#include "store/engine/rollup_engine_priv.h"

#include <stdlib.h>

#include "base/log.h"
#include "os/clock.h"
#include "store/engine/merge_policy_priv.h"

enum { TOUCH_MEMORY_BYTES = 256 << 20 };

/* ---- common ----------------------------------------------------------------------------------------------------- */

struct job {
    struct table *table;
    struct part_set *parts; /* as when the job was chosen */
    struct delete_set *deletes;
    size_t picked[MERGE_PARTS_MAX], picked_count;
};

static void job_done(struct job *j) {
    part_set_unref(j->parts);
    delete_set_unref(j->deletes);
}

static const struct part_entry *job_part(const struct job *j, size_t i) { return &j->parts->v[j->picked[i]]; }

static bool is_damaged(const struct part_entry *p) {
    AUTO_BUF struct buf findings;
    uint64_t bad = 0;
    buf_init(&findings, 64 * KIB);
    err e = (p->rollup   ? rollup_file_check
             : p->series ? series_part_check
                         : part_check)(part_entry_path(p), &findings, &bad);
    if (bad) log_error("a part is damaged", F_STR("where", str_trim(buf_str(&findings))));
    bad += e != NULL;
    err_free(e);
    return bad > 0;
}

/* Puts entries like those of the picked parts, but for what `damaged` and `retry_ns` say, in their place. work held. */
static void job_mark(struct engine *s, const struct job *j, const bool *damaged, int64_t retry_ns) {
    lock_take(&s->lock);
    struct part_set *old = j->table->parts;
    struct part_set *set = part_set_change(old, NULL, 0, NULL, 0);
    for (size_t i = 0; i < set->n; i++)
        for (size_t k = 0; k < j->picked_count; k++) {
            if (set->v[i].id != job_part(j, k)->id) continue;
            set->v[i].damaged |= damaged[k];
            set->v[i].retry_ns = retry_ns;
        }
    j->table->parts = set;
    lock_give(&s->lock);
    part_set_unref(old);
}

/* Inputs that cannot be read whole stay as they are and are not tried again until restart; all of them, if it cannot be told
 * which are to blame. */
static void job_damaged(struct engine *s, const struct job *j) {
    bool damaged[MERGE_PARTS_MAX], any = false;
    for (size_t k = 0; k < j->picked_count; k++) any |= damaged[k] = is_damaged(job_part(j, k));
    for (size_t k = 0; k < j->picked_count && !any; k++) damaged[k] = true;
    job_mark(s, j, damaged, 0);
    lock_take(&s->lock);
    s->stats.bad_blocks++;
    lock_give(&s->lock);
}

/* Puts the merged part, if any row is left, in the place of the picked ones. */
static err job_commit(struct engine *s, const struct job *j, struct part_entry *made) {
    AUTO_BUF struct buf edit;
    uint64_t removed[MERGE_PARTS_MAX];
    buf_init(&edit, MIB);
    for (size_t i = 0; i < j->picked_count; i++) edit_part_remove(&edit, removed[i] = job_part(j, i)->id);
    if (made) {
        struct manifest_part row = engine_part_row(j->table, made);
        edit_part_add(&edit, &row);
    }
    TRY(engine_edit_parts(s, j->table, buf_str(&edit), removed, j->picked_count, made, made != NULL, false));
    for (size_t i = 0; i < j->picked_count; i++) part_entry_doom(job_part(j, i));
    return NULL;
}

static void drop_made(struct engine *s, struct part_entry *made, const char *path) {
    part_entry_unref(made);
    lock_take(&s->editing);
    bool keep = s->manifest.broken; /* the manifest may name it (3) */
    lock_give(&s->editing);
    if (!keep) err_free(path_remove(path));
}

/* Of series: what the deletes leave of the files, oldest first. */
static err merged_series(struct engine *s, const struct job *j, const char *path, struct part_entry *made) {
    AUTO_ARENA struct arena a;
    struct series_source sources[MERGE_PARTS_MAX] = {{0}};
    struct compiled_deletes deletes;
    struct series_info info;
    arena_init(&a, TOUCH_MEMORY_BYTES);
    err e = compile_deletes(j->deletes, j->table->tenant, &a, &deletes);
    for (size_t i = 0; i < j->picked_count && !e; i++) {
        sources[i].part = job_part(j, i)->series;
        e = compiled_deletes_of(&deletes, job_part(j, i)->deletes_applied, 0, &a, &sources[i]);
    }
    if (!e) e = series_write(path, made->id, sources, (uint32_t)j->picked_count, INT64_MIN, INT64_MAX, &info);
    compiled_deletes_done(&deletes);
    TRY(e);
    part_entry_describe(made, &info);
    made->age = job_part(j, 0)->age;
    struct path dir = path_table(s->dir, j->table->tenant, TABLE_SERIES);
    e = path_sync_dir(dir.text);
    if (!e) e = engine_series_open(s, path, &made->series);
    if (e) err_free(path_remove(path));
    return e;
}

static err merged_part(struct engine *s, const struct job *j, const struct merge_filter *filter, const char *path,
                       struct part_entry *made) {
    struct part *inputs[MERGE_PARTS_MAX];
    struct part_info info;
    for (size_t i = 0; i < j->picked_count; i++) inputs[i] = job_part(j, i)->part;
    TRY(part_merge(path, made->id, inputs, j->picked_count, filter, s->work_bytes, &info));
    made->rows = info.rows;
    made->bytes = info.bytes;
    made->time_min = info.time_min;
    made->time_max = info.time_max;
    struct path dir = path_table(s->dir, j->table->tenant, j->table->signal);
    err e = path_sync_dir(dir.text);
    if (!e) e = engine_part_open(s, path, &made->part);
    if (e) err_free(path_remove(path));
    return e;
}

/* After a failure its parts wait, and everything else a little: the others have their turn, but not in one rush. */
static const int64_t part_retry_ns = 60000000000, jobs_retry_ns = 1000000000;

/* part_merge from the picked parts to one new one, and the edit. */
static err job_run(struct engine *s, const struct job *j, const struct merge_filter *filter) {
    struct part_entry made = {
        .id = engine_next_part_id(s), .day = job_part(j, 0)->day, .deletes_applied = j->deletes->id_max};
    struct path path = path_part(s->dir, j->table->tenant, j->table->signal, made.day, made.id);
    err e = j->table->names ? engine_rollup_merge(s, j->parts, j->picked, j->picked_count, j->table, path.text, &made)
            : j->table->series ? merged_series(s, j, path.text, &made)
                               : merged_part(s, j, filter, path.text, &made);
    if (e && err_kind(e) == ERR_NOT_FOUND) { /* no row is left */
        err_free(e);
        return job_commit(s, j, NULL);
    }
    if (e && err_kind(e) == ERR_CORRUPT) job_damaged(s, j);
    TRY(e);
    e = job_commit(s, j, &made);
    if (e) drop_made(s, &made, path.text);
    return e;
}

static void job_failed(struct engine *s, const struct job *j, const char *what, err e) {
    static const bool none[MERGE_PARTS_MAX];
    int64_t now = clock_monotonic_ns();
    /* No room for a merge is no reason to refuse writes: the log and flushes need far less. */
    log_warn(what, F_ERR(e));
    s->jobs_due_ns = now + jobs_retry_ns;
    if (err_kind(e) != ERR_CORRUPT) job_mark(s, j, none, now + part_retry_ns);
}

/* ---- merges ----------------------------------------------------------------------------------------------------- */

static bool is_under_delete(const struct delete_set *deletes, const struct table *t, const struct part_entry *p) {
    for (size_t i = 0; i < deletes->n; i++)
        if (delete_is_of(deletes->v[i], t->tenant, t->signal) && delete_touches_part(deletes->v[i], p)) return true;
    return false;
}

struct part_of_day {
    int32_t day;
    size_t index;
};

static int by_day(const void *a, const void *b) {
    const struct part_of_day *x = a, *y = b;
    if (x->day != y->day) return x->day < y->day ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Questions about the last hours find the files of those, also after midnight. */
static const int64_t series_closed_after_ns = (int64_t)3 * 3600 * 1000000000;

/* Neighbours by age. */
static bool pick_series(struct engine *s, struct job *j, const struct part_of_day *v, size_t n, int64_t now,
                        bool *out_waits) {
    AUTO_FREE struct merge_candidate *candidates = mem_new_array(struct merge_candidate, n);
    AUTO_FREE struct part_of_day *order = mem_new_array(struct part_of_day, n);
    size_t first = 0;
    bool closed = s->o.wall_ns() - series_closed_after_ns > day_last_ns(v[0].day);
    memcpy(order, v, n * sizeof *order);
    for (size_t i = 1; i < n; i++) /* a handful, nearly in order */
        for (size_t k = i; k > 0 && j->parts->v[order[k - 1].index].age > j->parts->v[order[k].index].age; k--) {
            struct part_of_day swap = order[k];
            order[k] = order[k - 1];
            order[k - 1] = swap;
        }
    for (size_t i = 0; i < n; i++) {
        const struct part_entry *p = &j->parts->v[order[i].index];
        bool waits = p->retry_ns > now;
        candidates[i] = (struct merge_candidate){.rows = p->rows,
                                                 .memory = p->bytes,
                                                 .time_min = p->time_min,
                                                 .time_max = p->time_max,
                                                 .excluded = !p->series || p->damaged || waits};
        *out_waits |= waits || !closed;
    }
    j->picked_count = series_merge_pick(candidates, n, closed, &first);
    for (size_t i = 0; i < j->picked_count; i++) j->picked[i] = order[first + i].index;
    return j->picked_count > 0;
}

static bool is_under_rollup_delete(const struct job *j, const struct part_entry *p) {
    for (size_t i = 0; i < j->deletes->n; i++)
        if (rollup_is_under(j->deletes->v[i], j->table, p)) return true;
    return false;
}

/* Files of rollups: as parts are; and what a day has left once it is over. */
static bool pick_rollups(struct engine *s, struct job *j, const struct part_of_day *v, size_t n, int64_t now,
                         bool *out_waits) {
    AUTO_FREE struct merge_candidate *candidates = mem_new_array(struct merge_candidate, n);
    bool closed = s->o.wall_ns() - series_closed_after_ns > day_last_ns(v[0].day);
    uint64_t rows = 0, most = 0;
    size_t usable = 0, all[MERGE_PARTS_MAX];
    for (size_t i = 0; i < n; i++) {
        const struct part_entry *p = &j->parts->v[v[i].index];
        bool waits = p->retry_ns > now,
             excluded = !p->rollup || rollup_is_halves(p) || p->damaged || is_under_rollup_delete(j, p);
        candidates[i] = (struct merge_candidate){p->rows, 0, p->time_min, p->time_max, excluded || waits};
        *out_waits |= waits || !closed;
        if (candidates[i].excluded) continue;
        if (usable < MERGE_PARTS_MAX) all[usable] = i;
        usable++;
        rows += p->rows;
        most = MAX(most, p->rows);
    }
    j->picked_count = merge_policy_pick(candidates, n, UINT64_MAX, j->picked);
    if (!j->picked_count && closed && usable > 1 && usable <= MERGE_PARTS_MAX && most / 4 <= rows - most) {
        memcpy(j->picked, all, sizeof all);
        j->picked_count = usable;
    }
    for (size_t i = 0; i < j->picked_count; i++) j->picked[i] = v[j->picked[i]].index;
    return j->picked_count > 0;
}

/* A merge within one day of a table. *out_waits: a part of it is not looked at until some time has passed. */
static bool pick_in_day(struct job *j, const struct part_of_day *v, size_t n, uint64_t memory, int64_t now,
                        bool *out_waits) {
    AUTO_FREE struct merge_candidate *candidates = mem_new_array(struct merge_candidate, n);
    for (size_t i = 0; i < n; i++) {
        const struct part_entry *p = &j->parts->v[v[i].index];
        bool waits = p->retry_ns > now, excluded = !p->part || p->damaged || is_under_delete(j->deletes, j->table, p);
        uint64_t need = excluded ? 0 : part_merge_bytes(p->part);
        excluded |= need > memory / 2;
        candidates[i] = (struct merge_candidate){p->rows, need, p->time_min, p->time_max, excluded || waits};
        *out_waits |= waits;
    }
    j->picked_count = merge_policy_pick(candidates, n, memory, j->picked);
    for (size_t i = 0; i < j->picked_count; i++) j->picked[i] = v[j->picked[i]].index;
    return j->picked_count > 0;
}

/* Linear, but for the sort, and done once a part set. What a delete excludes comes in another set when it is written anew. */
static bool pick_in_table(struct engine *s, struct job *j) {
    size_t n = j->parts->n, least = j->table->series || j->table->names ? 2 : MERGE_PARTS_MIN;
    bool found = false, waits = false;
    if (j->parts->rests || n < least) return false;
    AUTO_FREE struct part_of_day *v = mem_new_array(struct part_of_day, n);
    int64_t now = clock_monotonic_ns();
    for (size_t i = 0; i < n; i++) v[i] = (struct part_of_day){j->parts->v[i].day, i};
    qsort(v, n, sizeof *v, by_day);
    for (size_t i = 0, end; i < n && !found; i = end) {
        for (end = i + 1; end < n && v[end].day == v[i].day;) end++;
        if (end - i < least) continue;
        found = j->table->names    ? pick_rollups(s, j, v + i, end - i, now, &waits)
                : j->table->series ? pick_series(s, j, v + i, end - i, now, &waits)
                                   : pick_in_day(j, v + i, end - i, s->work_bytes, now, &waits);
    }
    j->parts->rests = !found && !waits;
    return found;
}

/* The table's parts and the deletes as they are now; false past the last table. */
static bool job_of_table(struct engine *s, size_t index, struct job *out) {
    *out = (struct job){0};
    lock_take(&s->lock);
    bool there = index < s->tables.n && !s->read_only;
    if (there) {
        out->table = s->tables.v[index];
        out->parts = part_set_ref(out->table->parts);
        out->deletes = delete_set_ref(s->deletes);
    }
    lock_give(&s->lock);
    return there;
}

static void merge_run(struct engine *s, const struct job *j) {
    uint64_t rows = 0;
    for (size_t i = 0; i < j->picked_count; i++) rows += job_part(j, i)->rows;
    err e = job_run(s, j, NULL);
    if (e) job_failed(s, j, "merge failed", e);
    mem_release();
    lock_take(&s->lock);
    if (!e) {
        s->stats.merges++;
        s->stats.rows_merged += rows;
    }
    lock_give(&s->lock);
    err_free(e);
}

bool engine_merge_step(struct engine *s) {
    struct job j;
    bool picked = false;
    for (size_t i = 0; !picked && job_of_table(s, i, &j); i++) {
        picked = pick_in_table(s, &j);
        int64_t began = clock_monotonic_ns();
        if (picked) merge_run(s, &j);
        if (picked) engine_tell(s, "merge", j.table, began, NULL);
        job_done(&j);
    }
    return picked;
}

err engine_merge_all(struct store *store) {
    struct engine *s = (struct engine *)store;
    lock_take(&s->work);
    while (engine_merge_step(s)) {}
    lock_give(&s->work);
    return NULL;
}

/* ---- rewrites for deletes --------------------------------------------------------------------------------------- */

struct rewrite {
    const struct job *job;
    const struct part_entry *part;
    bool *touched; /* per group */
};

static bool rewrite_touches(void *context, const struct part *p, uint32_t group) {
    (void)p;
    return ((const struct rewrite *)context)->touched[group];
}

static bool concerns(const struct rewrite *r, const struct delete_entry *d) {
    return delete_is_of(d, r->job->table->tenant, r->job->table->signal) && delete_touches_part(d, r->part);
}

static bool rewrite_drops(void *context, const struct batch *b, uint32_t row) {
    const struct rewrite *r = context;
    for (size_t i = 0; i < r->job->deletes->n; i++)
        if (concerns(r, r->job->deletes->v[i]) && delete_matches_row(r->job->deletes->v[i], b, row)) return true;
    return false;
}

/* Which groups hold rows of one delete. */
static err mark_touched(struct rewrite *r, const struct delete_entry *d, bool *out_any) {
    AUTO_ARENA struct arena whole, scratch;
    struct part_scan *scan;
    bool may_match;
    arena_init(&whole, TOUCH_MEMORY_BYTES);
    arena_init(&scratch, TOUCH_MEMORY_BYTES);
    TRY(part_scan_open(r->part->part, &d->request, &whole, &scan, &may_match));
    for (uint32_t g = 0; may_match && g < part_info(r->part->part)->groups; g++) {
        struct chunk chunk = {0};
        struct scan_stats stats = {0};
        TRY(part_scan_group(scan, g, &scratch, &chunk, &stats));
        if (stats.bad_blocks) return err_new(ERR_CORRUPT, "%s", stats.bad_text);
        r->touched[g] |= chunk.n > 0;
        *out_any |= chunk.n > 0;
        arena_clear(&scratch);
    }
    return NULL;
}

/* No row of the part is deleted: it only says so. */
static err mark_clean(struct engine *s, const struct job *j) {
    struct part_entry same = *job_part(j, 0);
    AUTO_BUF struct buf edit;
    buf_init(&edit, MIB);
    same.deletes_applied = j->deletes->id_max;
    struct manifest_part row = engine_part_row(j->table, &same);
    edit_part_remove(&edit, same.id);
    edit_part_add(&edit, &row);
    part_entry_ref(&same);
    err e = engine_edit_parts(s, j->table, buf_str(&edit), &same.id, 1, &same, 1, false);
    if (e) part_entry_unref(&same);
    return e;
}

/* Whether the file has a sample that a delete takes, as far as its labels and times tell. */
static err touches_series(const struct job *j, const struct part_entry *p, bool *out) {
    AUTO_ARENA struct arena a;
    struct compiled_deletes deletes;
    struct series_source source = {.part = p->series}, whole = source;
    struct series_stats stats = {0};
    arena_init(&a, TOUCH_MEMORY_BYTES);
    *out = false;
    err e = compile_deletes(j->deletes, j->table->tenant, &a, &deletes);
    if (!e) e = compiled_deletes_of(&deletes, p->deletes_applied, 0, &a, &source);
    for (uint32_t i = 0; i < source.delete_count && !e && !*out; i++) {
        const struct series_delete *d = &source.deletes[i];
        struct selection *found = NULL;
        e = series_select(&whole, 1, d->matchers, d->matcher_count, d->time_min, d->time_max, &a, &stats, &found);
        *out = found && selection_count(found) > 0;
        selection_free(found);
        if (!e) e = label_matchers_err(d->matchers, d->matcher_count);
    }
    compiled_deletes_done(&deletes);
    return e ? e : stats.bad_pages ? err_new(ERR_CORRUPT, "%s", stats.bad_text) : NULL;
}

static err rewrite_series(struct engine *s, struct job *j) {
    const struct part_entry *p = job_part(j, 0);
    bool touched = false;
    err e = touches_series(j, p, &touched);
    if (e && err_kind(e) == ERR_CORRUPT) job_damaged(s, j);
    if (!e) e = touched ? job_run(s, j, NULL) : mark_clean(s, j);
    return err_wrap(e, "rewriting %s", part_entry_path(p));
}

static err rewrite_part(struct engine *s, struct job *j) {
    if (j->table->series) return rewrite_series(s, j);
    const struct part_entry *p = job_part(j, 0);
    struct rewrite r = {j, p, mem_new_array(bool, MAX(part_info(p->part)->groups, 1))};
    bool any = false;
    err e = NULL;
    for (size_t i = 0; i < j->deletes->n && !e; i++)
        if (concerns(&r, j->deletes->v[i])) e = mark_touched(&r, j->deletes->v[i], &any);
    if (e && err_kind(e) == ERR_CORRUPT) job_damaged(s, j);
    if (!e) e = any ? job_run(s, j, &(struct merge_filter){rewrite_touches, rewrite_drops, &r}) : mark_clean(s, j);
    mem_free(r.touched);
    return err_wrap(e, "rewriting %s", part_path(p->part));
}

static bool pick_rewrite(struct job *j) {
    int64_t now = clock_monotonic_ns();
    for (size_t i = 0; i < j->parts->n && j->deletes->n; i++) {
        const struct part_entry *p = &j->parts->v[i];
        if (!part_entry_is_open(p) || p->damaged || p->retry_ns > now || !is_under_delete(j->deletes, j->table, p))
            continue;
        j->picked[0] = i;
        j->picked_count = 1;
        return true;
    }
    return false;
}

bool engine_rewrite_step(struct engine *s, err *out_why) {
    struct job j;
    bool picked = false;
    *out_why = NULL;
    if (engine_rollup_step(s, out_why)) return true;
    for (size_t i = 0; !picked && job_of_table(s, i, &j); i++) {
        picked = !engine_rollup_waits(s, j.table->tenant) && pick_rewrite(&j);
        if (picked) *out_why = rewrite_part(s, &j);
        if (*out_why) job_failed(s, &j, "rewrite for a delete failed", *out_why);
        job_done(&j);
    }
    if (!*out_why) engine_finish_deletes(s); /* also when nothing was picked: a delete may concern no part at all */
    return picked;
}

/* Whether a delete up to that id is not done yet; *out_last: the newest there is. */
static bool has_outstanding(struct engine *s, uint64_t up_to, uint64_t *out_last) {
    bool found = false;
    lock_take(&s->lock);
    for (size_t i = 0; i < s->deletes->n; i++) found |= s->deletes->v[i]->id <= up_to;
    *out_last = s->deletes->id_max;
    lock_give(&s->lock);
    return found;
}

/* What waits after a failure is tried now. work held. */
static void forget_failures(struct engine *s) {
    lock_take(&s->lock);
    for (size_t i = 0; i < s->tables.n; i++) {
        struct part_set *old = s->tables.v[i]->parts, *set = part_set_change(old, NULL, 0, NULL, 0);
        for (size_t k = 0; k < set->n; k++) set->v[k].retry_ns = 0;
        for (size_t k = 0; k < s->tables.v[i]->uncounted.n; k++) s->tables.v[i]->uncounted.v[k].retry_ns = 0;
        s->tables.v[i]->parts = set;
        part_set_unref(old);
    }
    lock_give(&s->lock);
}

/* Ends with the deletes that were there when it began, however many are asked for meanwhile. A part that fails does not keep
 * the others: the first error is told at the end. */
err engine_rewrite_now(struct store *store) {
    struct engine *s = (struct engine *)store;
    uint64_t last, newest;
    err why = NULL;
    if (!has_outstanding(s, UINT64_MAX, &last)) return NULL;
    lock_take(&s->work);
    forget_failures(s);
    why = engine_flush_all(s);
    lock_give(&s->work);
    if (why) return why;
    for (bool did = true; did && has_outstanding(s, last, &newest);) {
        err e;
        lock_take(&s->work); /* given between steps: flushes must not wait for all of it */
        did = engine_rewrite_step(s, &e);
        lock_give(&s->work);
        if (why)
            err_free(e);
        else
            why = e;
    }
    return why;
}
