/* What the spans of a flush come to, as files of rollups: one a day, and the halves of edges that still wait. */
#include "base/log.h"
#include "store/engine/rollup_engine_priv.h"

err engine_rollup_finish(struct engine *s, struct rollup_writer *w, const char *path, struct part_entry *p) {
    struct rollup_info info;
    (void)s; /* an open file of rollups takes next to nothing: it is read from its pages */
    TRY(rollup_writer_finish(w, &info));
    p->rows = info.rows + info.halves;
    p->bytes = info.bytes;
    p->time_min = info.time_min;
    p->time_max = info.time_max;
    err e = rollup_file_open(path, &p->rollup);
    if (e) err_free(path_remove(path));
    return e;
}

void engine_put_rollup(const struct table *t, const struct part_entry *p, struct buf *edit) {
    struct manifest_part row = engine_part_row(t, p);
    edit_part_add(edit, &row);
}

err engine_read_halves(struct engine *s, const struct table *rollups, struct tally *t, struct part_entry *out) {
    struct scan_stats stats = {0};
    *out = (struct part_entry){0};
    lock_take(&s->lock);
    for (size_t i = 0; i < rollups->parts->n && !out->rollup; i++) {
        const struct part_entry *p = &rollups->parts->v[i];
        if (!rollup_is_halves(p)) continue;
        *out = *p;
        part_entry_ref(out);
    }
    lock_give(&s->lock);
    if (!out->rollup) return NULL;
    TRY(rollup_file_read_halves(out->rollup, NULL, t, &stats));
    if (stats.bad_blocks) log_error("halves of edges cannot be read", F_TEXT("where", stats.bad_text));
    return NULL;
}

static err count_list(struct engine *s, struct table *spans, struct memory_list *list, const struct delete_set *deletes,
                      struct rollup_flush *f, struct tally *t) {
    int64_t now = s->o.wall_ns();
    TRY(engine_read_halves(s, f->table, t, &f->old));
    if (f->old.rollup) f->removed[f->removed_count++] = f->old.id;
    lock_take(&list->live.lock);
    engine_live_update(s, spans->tenant, list, deletes, f->table->names);
    engine_live_pair(s, list);
    tally_add_all(t, &list->live.tally, INT64_MIN, INT64_MAX);
    tally_add_open_halves(t, &list->live.tally, now);
    tally_pair(t);
    tally_pair_parents(t); /* those that waited */
    tally_pair_with(t, &list->live.tally);
    tally_add_parents(t, &list->live.tally, now);
    lock_give(&list->live.lock);
    uint64_t cut = tally_expire(t, now - rollup_waits_ns, ROLLUP_HALVES_MAX);
    if (cut)
        log_warn("halves of edges were given up early: too many wait", F_TEXT("tenant", spans->tenant),
                 F_U64("halves", cut));
    return NULL;
}

static err write_file(struct engine *s, struct rollup_flush *f, const struct tally *t, int32_t day, bool halves,
                      uint64_t applied) {
    struct part_entry p = {.id = engine_next_part_id(s), .day = day, .deletes_applied = applied};
    struct path path = path_part(s->dir, f->table->tenant, TABLE_ROLLUPS, day, p.id);
    struct rollup_writer *w;
    TRY(rollup_writer_new(path.text, p.id, &w));
    err e =
        halves ? rollup_writer_put_halves(w, t) : rollup_writer_put(w, t, day_first_ns(day), day_last_ns(day), true);
    if (!e) e = engine_rollup_finish(s, w, path.text, &p);
    rollup_writer_free(w);
    TRY(e);
    *vec_push(&f->made) = p;
    return NULL;
}

static err write_files(struct engine *s, struct rollup_flush *f, const struct tally *t, uint64_t applied) {
    day_list days = {0};
    err e = engine_sync_table_dir(s, f->table);
    for (size_t i = 0; i < t->rows.n; i++) day_list_add(&days, day_of(t->rows.v[i].time_ns), SIZE_MAX);
    for (size_t i = 0; i < days.n && !e; i++) e = write_file(s, f, t, days.v[i], false, applied);
    if (!e && t->clients.n + t->servers.n + t->parents.n) {
        struct tally_half h = t->clients.n   ? t->clients.v[0]
                              : t->servers.n ? t->servers.v[0]
                                             : tally_parent_half(&t->parents.v[0]);
        e = write_file(s, f, t, day_of(h.call.start_ns), true, applied);
    }
    vec_done(&days);
    TRY(e);
    struct path dir = path_table(s->dir, f->table->tenant, TABLE_ROLLUPS);
    return path_sync_dir(dir.text);
}

err engine_rollup_flush(struct engine *s, struct table *spans, struct memory_list *list,
                        const struct delete_set *deletes, struct rollup_flush *f) {
    struct tally t;
    lock_take(&s->lock);
    f->table = engine_table(s, str_of(spans->tenant), TABLE_ROLLUPS, true);
    lock_give(&s->lock);
    tally_init(&t, f->table->names, rollup_minute_ns);
    err e = count_list(s, spans, list, deletes, f, &t);
    /* Halves that waited may be of spans that are deleted since: then what they are part of is to be counted anew as they are. */
    uint64_t applied = f->removed_count ? MIN(deletes->id_max, f->old.deletes_applied) : deletes->id_max;
    if (!e) e = write_files(s, f, &t, applied);
    tally_done(&t);
    return err_wrap(e, "rollups");
}

void engine_rollup_flush_done(struct rollup_flush *f) {
    part_entry_unref(&f->old);
    vec_done(&f->made);
}
