/* What goes, and when: parts older than the retention; the oldest closed days when the disk is short; and the end of a full
 * disk. Whole parts only: a part that is partly old waits, and scans do not show its old rows. */
#include "store/engine/store_engine_priv.h"

#include <stdio.h>

#include "base/log.h"

/* Hours whose spans are gone are not counted anew any more (8). */
static void put_spans_gone(const struct table *t, const struct part_set *parts, const uint64_t *ids, size_t n,
                           struct buf *edit) {
    struct manifest_table gone = {.signal = TABLE_ROLLUPS};
    memcpy(gone.tenant, t->tenant, sizeof gone.tenant);
    for (size_t i = 0; i < parts->n; i++)
        for (size_t k = 0; k < n; k++)
            if (parts->v[i].id == ids[k] && parts->v[i].day >= 0)
                gone.covered = MAX(gone.covered, ((uint64_t)parts->v[i].day + 1) * 24);
    edit_covered(edit, &gone);
}

/* Takes parts of one table out of the manifest and off the disk. */
static err drop_parts(struct engine *s, struct table *t, const struct part_set *parts, const uint64_t *ids, size_t n) {
    AUTO_BUF struct buf edit;
    buf_init(&edit, 16 * MIB);
    for (size_t i = 0; i < n; i++) edit_part_remove(&edit, ids[i]);
    if (t->signal == SIGNAL_SPANS) put_spans_gone(t, parts, ids, n, &edit);
    TRY(engine_edit_parts(s, t, buf_str(&edit), ids, n, NULL, 0, false));
    for (size_t i = 0; i < parts->n; i++)
        for (size_t k = 0; k < n; k++) {
            if (parts->v[i].id != ids[k]) continue;
            struct path path = path_part(s->dir, t->tenant, t->signal, parts->v[i].day, ids[k]);
            if (part_entry_is_open(&parts->v[i]))
                part_entry_doom(&parts->v[i]);
            else
                err_free(path_remove(path.text)); /* one that could not be opened */
        }
    lock_take(&s->lock);
    s->stats.parts_dropped += n;
    lock_give(&s->lock);
    return NULL;
}

struct choice {
    int64_t older_than, rollups_older_than; /* parts whose newest row is older go; INT64_MIN: none */
    int32_t day;                            /* or all parts of that day; INT32_MIN: none */
};

static err drop_chosen(struct engine *s, struct table *t, const struct choice *c, size_t *out_dropped) {
    lock_take(&s->lock);
    struct part_set *parts = part_set_ref(t->parts);
    lock_give(&s->lock);
    uint64_t *ids = mem_new_array(uint64_t, MAX(parts->n, 1));
    size_t n = 0;
    int64_t older_than = t->names ? c->rollups_older_than : c->older_than;
    int32_t day = t->names ? INT32_MIN : c->day; /* rollups take little, and are what is left of such a day */
    for (size_t i = 0; i < parts->n; i++)
        if (parts->v[i].time_max < older_than || parts->v[i].day == day) ids[n++] = parts->v[i].id;
    err e = n ? drop_parts(s, t, parts, ids, n) : NULL;
    if (!e) *out_dropped += n;
    mem_free(ids);
    part_set_unref(parts);
    return e;
}

static size_t table_count(struct engine *s) {
    lock_take(&s->lock);
    size_t n = s->tables.n;
    lock_give(&s->lock);
    return n;
}

static size_t drop_everywhere(struct engine *s, const struct choice *c) {
    size_t dropped = 0, n = table_count(s);
    for (size_t i = 0; i < n; i++) {
        lock_take(&s->lock);
        struct table *t = s->tables.v[i];
        bool read_only = s->read_only;
        lock_give(&s->lock);
        err e = read_only ? NULL : drop_chosen(s, t, c, &dropped);
        if (e) log_warn("old parts are not dropped", F_TEXT("tenant", t->tenant), F_ERR(e));
        err_free(e);
    }
    return dropped;
}

/* ---- by size ---------------------------------------------------------------------------------------------------- */

/* Bytes of our own files, and the oldest day that gets no more rows (INT32_MIN: there is none). */
static void look(struct engine *s, uint64_t *out_own_bytes, int32_t *out_oldest_day) {
    int32_t today = day_of(s->o.wall_ns());
    *out_own_bytes = 0;
    *out_oldest_day = INT32_MIN;
    lock_take(&s->lock);
    *out_own_bytes = s->segments.disk_bytes;
    for (size_t i = 0; i < s->tables.n; i++)
        for (size_t j = 0; j < s->tables.v[i]->parts->n; j++) {
            const struct part_entry *p = &s->tables.v[i]->parts->v[j];
            *out_own_bytes += p->bytes;
            if (!s->tables.v[i]->names && p->day < today && (*out_oldest_day == INT32_MIN || p->day < *out_oldest_day))
                *out_oldest_day = p->day;
        }
    lock_give(&s->lock);
}

/* Why the disk is short, in `why`; false: it is not. *out_free_bytes: what is left, if that is why; else UINT64_MAX. */
static bool disk_is_short(struct engine *s, uint64_t own_bytes, uint64_t *out_free_bytes, char why[160]) {
    uint64_t total = 0, free_bytes = 0;
    err e = path_space(s->dir, &total, &free_bytes);
    *out_free_bytes = UINT64_MAX;
    if (e) { /* cannot tell: that alone refuses nothing */
        log_warn("disk space is unknown", F_ERR(e));
        err_free(e);
        return false;
    }
    uint64_t free_min = total / 100 * s->o.disk_free_min_percent, own_max = total / 100 * s->o.disk_use_max_percent;
    if (free_bytes < free_min) {
        snprintf(why, 160, "%llu MiB free, fewer than %u %% of the file system", (unsigned long long)(free_bytes / MIB),
                 s->o.disk_free_min_percent);
        *out_free_bytes = free_bytes;
        return true;
    }
    if (own_bytes <= own_max) return false;
    snprintf(why, 160, "the data takes %llu MiB, more than %u %% of the file system",
             (unsigned long long)(own_bytes / MIB), s->o.disk_use_max_percent);
    return true;
}

/* A disk that was found full by a write: is there room for a segment again? */
static bool has_room(struct engine *s) {
    uint64_t total, free_bytes = 0;
    err e = path_space(s->dir, &total, &free_bytes);
    bool room = !e && free_bytes > s->o.segment_bytes + MIB;
    err_free(e);
    return room;
}

static bool end_full(struct engine *s) {
    lock_take(&s->lock);
    bool was = s->disk_full;
    s->disk_full = false;
    if (was && !s->read_only) s->why[0] = 0;
    lock_give(&s->lock);
    if (was) log_info("disk has room again");
    return was;
}

/* The last day that went for room freed less than half of what it took: its files are held by others (the links of a backup, a
 * long query), or something else fills the disk. What our own files grew or shrank by since is counted out. */
static bool drop_was_in_vain(const struct engine *s, uint64_t own_bytes, uint64_t free_bytes) {
    const struct size_drop *d = &s->last_drop;
    if (!d->bytes || free_bytes == UINT64_MAX) return false;
    int64_t freed = (int64_t)(free_bytes - d->free_before), shrank = (int64_t)(d->own_before - own_bytes);
    return freed < shrank - (int64_t)(d->bytes / 2);
}

static bool drop_day(struct engine *s, int32_t day, uint64_t own_before, uint64_t free_before, const char *why) {
    uint64_t own_after;
    int32_t next;
    log_warn("disk is short: the oldest day goes", F_TEXT("why", why), F_I64("day", day));
    bool dropped = drop_everywhere(s, &(struct choice){INT64_MIN, INT64_MIN, day}) > 0;
    look(s, &own_after, &next);
    s->last_drop = (struct size_drop){0};
    if (free_before != UINT64_MAX && own_after < own_before)
        s->last_drop = (struct size_drop){own_before - own_after, own_before, free_before};
    return dropped;
}

static bool by_size(struct engine *s) {
    uint64_t own, free_bytes;
    int32_t day;
    char why[160], text[160];
    look(s, &own, &day);
    if (!disk_is_short(s, own, &free_bytes, why)) {
        s->last_drop = (struct size_drop){0};
        return has_room(s) && end_full(s);
    }
    bool vain = day != INT32_MIN && drop_was_in_vain(s, own, free_bytes);
    if (!vain && day != INT32_MIN) return drop_day(s, day, own, free_bytes, why);
    snprintf(text, sizeof text, "%.90s%s", why, vain ? "; dropping a day freed nothing, so no more go" : "");
    engine_disk_full(s, text);
    return false;
}

bool engine_retention_step(struct engine *s) {
    int64_t from, rollups_from, to, now = s->o.wall_ns();
    retention_limits(s->o.rollup_retention_ns, now, &rollups_from, &to);
    retention_limits(s->o.retention_ns, now, &from, &to);
    bool any = from != INT64_MIN || rollups_from != INT64_MIN;
    size_t dropped = any ? drop_everywhere(s, &(struct choice){from, rollups_from, INT32_MIN}) : 0;
    bool changed = by_size(s);
    if (dropped || changed) engine_finish_deletes(s);
    return dropped || changed;
}
