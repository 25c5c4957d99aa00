/* Memory tables become parts: one a day they touch, in one manifest edit (3, 10). */
#include "store/engine/rollup_engine_priv.h"

#include "base/log.h"
#include "os/clock.h"

static const int64_t small_every_ns = 1000000000;
enum { RELEASE_BYTES_MIN = 4 << 20 };

/* What one flush works on: its batches as an array, and which deletes they are under. */
struct flush {
    struct memory_list *list;
    struct delete_set *deletes;
    struct batch *views;
    struct table *table;
    VEC(struct part_entry) made;
};

static bool flush_drops(void *context, const struct batch *b, uint32_t row) {
    const struct flush *f = context;
    assert(b >= f->views && b < f->views + f->list->n); /* part_write hands on the batches it was given */
    const struct memory_batch *m = f->list->v[b - f->views];
    for (size_t i = 0; i < f->deletes->n; i++) {
        const struct delete_entry *d = f->deletes->v[i];
        if (m->sequence <= d->sequence && delete_is_of(d, f->table->tenant, f->table->signal) &&
            delete_matches_row(d, b, row))
            return true;
    }
    return false;
}

static bool any_delete_touches(const struct flush *f) {
    for (size_t i = 0; i < f->deletes->n; i++)
        for (size_t j = 0; j < f->list->n; j++)
            if (delete_is_of(f->deletes->v[i], f->table->tenant, f->table->signal) &&
                delete_touches_batch(f->deletes->v[i], f->list->v[j]))
                return true;
    return false;
}

/* The active list becomes the flushing one, or as many of its first batches as can be written with the memory there is, unless one
 * is still waiting. NULL: nothing to flush. lock held; *out_old: to be given up without it. */
static struct memory_list *swap_lists(const struct engine *s, struct table *t, struct memory_list **out_old) {
    if (t->flushing) return t->flushing;
    if (t->active->n == 0) return NULL;
    size_t n = memory_list_fit(t->active, s->work_bytes);
    if (n < t->active->n) { /* t->days: those of the rest, and of pending ones, are among them */
        *out_old = t->active;
        memory_list_split(*out_old, n, &t->flushing, &t->active);
        return t->flushing;
    }
    t->flushing = t->active;
    t->active = memory_list_new();
    vec_done(&t->flushing->days);
    t->flushing->days = t->days;
    t->days = (day_list){0};
    t->flush_now = false;
    return t->flushing;
}

/* Once a process and table: that a folder is there does not say that its entry is durable. */
err engine_sync_table_dir(struct engine *s, struct table *t) {
    struct path tenants = path_make("%.3800s/tenants", s->dir),
                dir = path_make("%.3800s/tenants/%s", s->dir, t->tenant);
    struct path table = path_table(s->dir, t->tenant, t->signal);
    if (t->dir_durable) return NULL;
    TRY(path_make_dir(tenants.text));
    TRY(path_make_dir(dir.text));
    TRY(path_make_dir(table.text));
    TRY(path_sync_dir(dir.text));
    TRY(path_sync_dir(tenants.text));
    TRY(path_sync_dir(s->dir));
    t->dir_durable = true;
    return NULL;
}

uint64_t engine_next_part_id(struct engine *s) {
    lock_take(&s->editing);
    uint64_t id = s->manifest.state.next_part++;
    lock_give(&s->editing);
    return id;
}

/* The rows of one day to a part; none left by the deletes: no part. */
static err flush_day(struct engine *s, struct flush *f, int32_t day, const struct row_filter *drop) {
    struct part_entry p = {.id = engine_next_part_id(s), .day = day, .deletes_applied = f->deletes->id_max};
    struct path path = path_part(s->dir, f->table->tenant, f->table->signal, day, p.id);
    struct part_info info;
    err e = part_write(path.text, f->table->signal, p.id, f->views, f->list->n, day_first_ns(day), day_last_ns(day),
                       drop, s->work_bytes, &info);
    if (e && err_kind(e) == ERR_NOT_FOUND) {
        err_free(e);
        return NULL;
    }
    TRY(e);
    p.rows = info.rows;
    p.bytes = info.bytes;
    p.time_min = info.time_min;
    p.time_max = info.time_max;
    *vec_push(&f->made) = p;
    return engine_part_open(s, path.text, &f->made.v[f->made.n - 1].part);
}

static err flush_days(struct engine *s, struct flush *f) {
    struct row_filter filter = {flush_drops, f};
    const struct row_filter *drop = any_delete_touches(f) ? &filter : NULL;
    TRY(engine_sync_table_dir(s, f->table));
    for (size_t i = 0; i < f->list->days.n; i++) TRY(flush_day(s, f, f->list->days.v[i], drop));
    struct path dir = path_table(s->dir, f->table->tenant, f->table->signal);
    return path_sync_dir(dir.text);
}

struct manifest_part engine_part_row(const struct table *t, const struct part_entry *p) {
    struct manifest_part row = {.signal = t->signal,
                                .id = p->id,
                                .rows = p->rows,
                                .bytes = p->bytes,
                                .day = p->day,
                                .time_min = p->time_min,
                                .time_max = p->time_max,
                                .deletes_applied = p->deletes_applied,
                                .age = p->age};
    memcpy(row.tenant, t->tenant, sizeof row.tenant);
    return row;
}

/* The first log segment that is needed once `flushed`, a list or head, is in parts. lock held. */
static uint64_t first_needed_segment(const struct engine *s, const void *flushed) {
    uint64_t needed = s->visible_sequence + 1;
    for (size_t i = 0; i < s->tables.n; i++) {
        uint64_t first = table_needs(s->tables.v[i], flushed);
        if (first) needed = MIN(needed, first);
    }
    const struct segments_view *v = &s->segments;
    for (size_t i = 0; i < v->closed.n; i++)
        if (v->closed.v[i].last_sequence >= needed) return v->closed.v[i].number;
    return v->open_number;
}

void engine_put_flush_edit(struct engine *s, const struct table *t, const struct part_entry *made, size_t n,
                           uint64_t covered_to, const void *flushed, struct buf *edit) {
    for (size_t i = 0; i < n; i++) {
        struct manifest_part row = engine_part_row(t, &made[i]);
        edit_part_add(edit, &row);
    }
    struct manifest_table covered = {.signal = t->signal, .covered = covered_to};
    memcpy(covered.tenant, t->tenant, sizeof covered.tenant);
    edit_covered(edit, &covered);
    lock_take(&s->lock);
    uint64_t segment = s->replaying ? 0 : first_needed_segment(s, flushed);
    lock_give(&s->lock);
    if (segment) edit_log_from(edit, segment);
}

err engine_edit_parts(struct engine *s, struct table *t, struct str edit, const uint64_t *removed, size_t removed_count,
                      const struct part_entry *added, size_t added_count, bool flushed) {
    struct parts_change change = {t, removed, removed_count, added, added_count};
    return engine_edit_tables(s, &change, 1, edit, flushed);
}

/* lock held; the old set is the caller's. */
static struct part_set *change_parts(const struct parts_change *c) {
    struct part_set *old = c->table->parts;
    c->table->parts = part_set_change(old, c->removed, c->removed_count, c->added, c->added_count);
    return old;
}

err engine_edit_tables(struct engine *s, const struct parts_change *changes, size_t n, struct str edit, bool flushed) {
    struct table *t = changes[0].table;
    struct memory_list *gone = NULL;
    struct head *head = NULL;
    struct part_set *old[2] = {0};
    assert(n <= LENGTH(old));
    lock_take(&s->editing);
    err e = manifest_append(&s->manifest, edit);
    bool broken = s->manifest.broken;
    uint64_t log_from = s->manifest.state.log_from;
    if (!e) {
        lock_take(&s->lock);
        for (size_t i = 0; i < n; i++) old[i] = change_parts(&changes[i]);
        if (flushed) gone = take(&t->flushing);
        if (flushed) t->flush_failures = 0;
        if (flushed && t->series) head = series_table_pop(t->series);
        s->retire_below = MAX(s->retire_below, log_from);
        s->check_idle |= flushed;
        if (flushed) flag_wake_all(&s->log_wake);
        lock_give(&s->lock);
    }
    lock_give(&s->editing);
    for (size_t i = 0; i < n; i++) part_set_unref(old[i]);
    memory_list_unref(gone);
    series_head_unref(head);
    if (e && broken) engine_read_only(s, err_text(e));
    return e;
}

/* If the manifest may name them, the files stay (3). */
void engine_discard_parts(struct engine *s, const struct table *t, struct part_entry *made, size_t n) {
    lock_take(&s->editing);
    bool keep = s->manifest.broken;
    lock_give(&s->editing);
    for (size_t i = 0; i < n; i++) {
        struct path path = path_part(s->dir, t->tenant, t->signal, made[i].day, made[i].id);
        part_entry_unref(&made[i]);
        if (!keep) err_free(path_remove(path.text));
    }
}

static void flush_init(struct flush *f, struct table *t, struct memory_list *list, struct delete_set *deletes) {
    *f = (struct flush){.list = list, .deletes = deletes, .table = t};
    f->views = mem_new_array(struct batch, list->n);
    for (size_t i = 0; i < list->n; i++) f->views[i] = list->v[i]->view;
}

static void flush_done(struct flush *f) {
    memory_list_unref(f->list);
    delete_set_unref(f->deletes);
    mem_free(f->views);
    vec_done(&f->made);
}

void engine_flush_failed(struct engine *s, struct table *t, err e) {
    engine_note_failure(s, t, err_text(e));
    log_warn("flush failed", F_TEXT("tenant", t->tenant), F_ERR(e));
    if (err_kind(e) == ERR_UNAVAILABLE) engine_disk_full(s, err_text(e));
}

/* Parts, and what their spans come to, in one edit (3, 8). */
static err flush_commit(struct engine *s, struct flush *f, const struct rollup_flush *r) {
    AUTO_BUF struct buf edit;
    struct parts_change changes[2] = {{f->table, NULL, 0, f->made.v, f->made.n},
                                      {r->table, r->removed, r->removed_count, r->made.v, r->made.n}};
    buf_init(&edit, MIB);
    for (size_t i = 0; i < r->removed_count; i++) edit_part_remove(&edit, r->removed[i]);
    for (size_t i = 0; i < r->made.n; i++) engine_put_rollup(r->table, &r->made.v[i], &edit);
    engine_put_flush_edit(s, f->table, f->made.v, f->made.n, f->list->v[f->list->n - 1]->sequence, f->list, &edit);
    TRY(engine_edit_tables(s, changes, r->table ? 2 : 1, buf_str(&edit), true));
    if (r->removed_count) part_entry_doom(&r->old);
    return NULL;
}

static err flush_list(struct engine *s, struct flush *f) {
    struct rollup_flush rollups = {0};
    err e = flush_days(s, f);
    if (!e && s->o.rollup.run && f->table->signal == SIGNAL_SPANS)
        e = engine_rollup_flush(s, f->table, f->list, f->deletes, &rollups);
    if (!e) e = flush_commit(s, f, &rollups);
    if (e) {
        engine_discard_parts(s, f->table, f->made.v, f->made.n);
        if (rollups.table) engine_discard_parts(s, rollups.table, rollups.made.v, rollups.made.n);
    }
    engine_rollup_flush_done(&rollups);
    return e;
}

err engine_flush_table(struct engine *s, struct table *t, bool *out_did) {
    struct memory_list *old = NULL;
    if (t->series) return engine_flush_series(s, t, out_did);
    lock_take(&s->lock);
    struct memory_list *list = s->read_only ? NULL : memory_list_ref(swap_lists(s, t, &old));
    struct delete_set *deletes = delete_set_ref(s->deletes);
    lock_give(&s->lock);
    memory_list_unref(old);
    *out_did = list != NULL;
    if (!list) {
        delete_set_unref(deletes);
        return NULL;
    }
    struct flush f;
    flush_init(&f, t, list, deletes);
    err e = flush_list(s, &f);
    if (e) {
        engine_flush_failed(s, t, e);
    } else {
        lock_take(&s->lock);
        s->stats.flushes++;
        lock_give(&s->lock);
    }
    bool much = list->bytes > RELEASE_BYTES_MIN;
    flush_done(&f);
    if (much) mem_release();
    return e ? err_wrap(e, "flushing %s/%s", t->tenant, signal_names[t->signal]) : NULL;
}

/* ---- which ------------------------------------------------------------------------------------------------------ */

/* When a table should be flushed: now (≤ now), later, or never. */
static const struct memory_list *list_of(const struct table *t) { return t->flushing ? t->flushing : t->active; }

bool engine_is_pressed(const struct engine *s) {
    return budget_used(s->o.budget) - s->work_bytes > (s->o.budget->limit_bytes - s->work_bytes) / 2;
}

/* Something was refused, and would be again. lock held. */
static bool is_starved(const struct engine *s) {
    return s->wanted_bytes && budget_used(s->o.budget) > s->o.budget->limit_bytes - s->wanted_bytes;
}

static uint64_t table_bytes(const struct table *t) {
    return t->series ? t->series->bytes : memory_list_bytes(list_of(t));
}

static uint64_t small_bytes(const struct engine *s) { return MAX(MIB, s->o.budget->limit_bytes / 16); }

/* Under pressure: how large a list must be to be flushed before its time: the largest of all, if they are what the memory is
 * used for, or if something is refused; but those that are small not often. lock held. */
static uint64_t pressed_bytes(const struct engine *s, int64_t now) {
    uint64_t sum = 0, largest = 0;
    bool starved = is_starved(s);
    if (!engine_is_pressed(s) && !starved) return UINT64_MAX;
    for (size_t i = 0; i < s->tables.n; i++) {
        uint64_t bytes = table_bytes(s->tables.v[i]);
        sum += bytes;
        largest = MAX(largest, bytes);
    }
    if (sum >= s->o.budget->limit_bytes / 8 || (starved && now >= s->small_due_ns)) return MAX(largest, 1);
    return small_bytes(s);
}

/* Nothing is due that would give memory back, and yet there is too little. lock held. */
static void forget_if_short(struct engine *s) {
    uint64_t beside = 0;
    for (size_t i = 0; i < s->tables.n; i++)
        if (s->tables.v[i]->series) beside += s->tables.v[i]->series->beside;
    if (beside < s->o.budget->limit_bytes / 16 || (!engine_is_pressed(s) && !is_starved(s))) return;
    s->forget_known = true;
    flag_wake_one(&s->log_wake);
}

/* Bytes of the log that wait for the table, with those of others between them. */
static uint64_t log_held(const struct engine *s, const struct table *t) {
    uint64_t first = table_needs(t, NULL), bytes = s->segments.open_used_bytes;
    for (size_t i = 0; i < s->segments.closed.n; i++)
        if (s->segments.closed.v[i].last_sequence >= first) bytes += s->segments.closed.v[i].used_bytes;
    return bytes;
}

static int64_t series_due_at(const struct engine *s, const struct table *t, int64_t now, bool any, uint64_t pressed) {
    const struct series_table *st = t->series;
    if (!table_needs(t, NULL) || s->read_only) return INT64_MAX;
    if (any) return now;
    bool full = st->sealed.n || t->flush_now || series_table_is_full(st, s->o.series.flush_bytes) ||
                st->bytes >= pressed || log_held(s, t) >= s->o.series.log_bytes;
    return MAX(full ? now : series_table_due_ns(st, s->o.series.flush_age_ns), t->retry_ns);
}

static int64_t due_at(const struct engine *s, const struct table *t, int64_t now, bool any, uint64_t pressed) {
    const struct memory_list *l = list_of(t);
    if (t->series) return series_due_at(s, t, now, any, pressed);
    if (l->n == 0 || s->read_only) return INT64_MAX;
    if (any) return now;
    bool full = t->flushing || t->flush_now || l->bytes >= s->o.flush_bytes || memory_list_bytes(l) >= pressed;
    int64_t due = full ? now : l->born_ns + s->o.flush_age_ns;
    return MAX(due, t->retry_ns);
}

struct table *engine_flush_due(struct engine *s, int64_t now, bool any, int64_t *out_next_ns) {
    struct table *first = NULL;
    int64_t first_due = INT64_MAX;
    lock_take(&s->lock);
    uint64_t pressed = pressed_bytes(s, now);
    for (size_t i = 0; i < s->tables.n; i++) {
        int64_t due = due_at(s, s->tables.v[i], now, any, pressed);
        if (due >= first_due) continue;
        first_due = due;
        first = s->tables.v[i];
    }
    if (first_due > now) forget_if_short(s);
    if (first_due <= now && is_starved(s) && table_bytes(first) < small_bytes(s))
        s->small_due_ns = now + small_every_ns;
    s->wanted_bytes = 0;
    lock_give(&s->lock);
    if (out_next_ns) *out_next_ns = first_due;
    return first_due <= now ? first : NULL;
}

static uint64_t rows_in_memory(const struct table *t) {
    if (!t->series) return t->active->rows + (t->flushing ? t->flushing->rows : 0);
    struct head_stats stats;
    uint64_t samples = 0;
    for (size_t i = 0; i <= t->series->sealed.n; i++) {
        series_head_get_stats(i < t->series->sealed.n ? t->series->sealed.v[i].head : t->series->head, &stats);
        samples += stats.samples + stats.histograms + stats.late;
    }
    return samples;
}

/* Read-only, nothing is flushed any more: whoever asks for it must hear so. */
static err flush_refusal(struct engine *s) {
    uint64_t rows = 0;
    err e = NULL;
    lock_take(&s->lock);
    for (size_t i = 0; i < s->tables.n && s->read_only; i++) rows += rows_in_memory(s->tables.v[i]);
    if (rows)
        e = err_new(ERR_UNAVAILABLE, "%llu rows stay in the log: the store is read-only until restart: %s",
                    (unsigned long long)rows, s->why);
    lock_give(&s->lock);
    return e;
}

/* Is there a batch up to that sequence? Those that come meanwhile are not waited for. */
static bool holds_up_to(struct engine *s, struct table *t, uint64_t sequence) {
    lock_take(&s->lock);
    uint64_t first = table_needs(t, NULL);
    bool holds = first && first <= sequence;
    lock_give(&s->lock);
    return holds;
}

err engine_flush_tenant(struct engine *s, struct str tenant) {
    lock_take(&s->lock);
    size_t n = s->tables.n;
    uint64_t sequence = s->visible_sequence;
    lock_give(&s->lock);
    for (size_t i = 0; i < n; i++) {
        lock_take(&s->lock);
        struct table *t = s->tables.v[i];
        lock_give(&s->lock);
        bool did = !tenant.p || str_equal(str_of(t->tenant), tenant);
        while (did && holds_up_to(s, t, sequence)) TRY(engine_flush_table(s, t, &did));
    }
    return flush_refusal(s);
}

err engine_flush_all(struct engine *s) { return engine_flush_tenant(s, (struct str){0}); }

err engine_flush(struct store *store, struct str tenant) {
    struct engine *s = (struct engine *)store;
    lock_take(&s->work);
    err e = engine_flush_tenant(s, tenant);
    engine_finish_deletes(s);
    lock_give(&s->work);
    return e;
}
