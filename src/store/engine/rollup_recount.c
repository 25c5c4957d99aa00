/* Days of spans that were never counted are, all of their hours. After a delete of spans the hours it has touched are counted anew from what is left, and with them the hour before and the one after, as
 * edges have two ends. One unit at a time: the files of a day, in one edit, or the file of halves. Spans are written without the deleted ones only when
 * this is done, as they tell which hours are touched. Clients whose servers are gone wait for others, as they did before those came: the file of halves is then
 * replaced in the day's edit.
 *
 *   spans that the delete matches ─▶ hours ─▶ their spans that are left ─▶ tally ─┐
 *                                             hours of the day that are not touched ─┴▶ one file in place of the day's
 */
#include "base/log.h"
#include "os/clock.h"
#include "signal/batch_build.h"
#include "store/engine/rollup_engine_priv.h"
#include "store/engine/snapshot_priv.h"

#include <stdlib.h>

enum { SCAN_BYTES = 256 << 20, PIECE_ROWS = 512, GROUP_HOURS = 3, PAIR_LEAST = 1 << 16 };
static const int64_t retry_ns = 60000000000;
/* Clients that began before that are calls of their peers at once: when they arrived is not known any more, but spans come after they end. */
static const int64_t again_ns = 2 * rollup_waits_ns;

struct unit {
    struct engine *s;
    struct table *table; /* of rollups */
    struct part_set *spans;
    struct delete_set *deletes;
    bool halves;
    int32_t day;
    struct uncounted_day uncounted; /* of such a day: out of the table's list until this is done or has failed */
    bool is_uncounted;
    VEC(struct part_entry) files; /* the day's, or that of halves; counted */
    uint64_t applied;             /* the least of theirs */
    int64_t first_hour, last_hour;
    hour_list touched;         /* to be counted anew, ascending */
    struct part_entry waiting; /* the file of halves, counted */
    size_t again;              /* halves of the day that wait again */
    VEC(struct part_entry) made;
};

static int64_t add_capped(int64_t a, int64_t b) {
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum)) return b > 0 ? INT64_MAX : INT64_MIN;
    return sum;
}

bool rollup_is_under(const struct delete_entry *d, const struct table *t, const struct part_entry *p) {
    int64_t around = 2 * rollup_hour_ns;
    return delete_is_of(d, t->tenant, SIGNAL_SPANS) && d->id > p->deletes_applied &&
           d->request.time_min <= add_capped(p->time_max, around) &&
           d->request.time_max >= add_capped(p->time_min, -around);
}

/* lock held */
static const struct part_entry *find_under(const struct engine *s, const struct table *t, int64_t now) {
    const struct part_entry *halves = NULL;
    for (size_t i = 0; i < t->parts->n; i++) {
        const struct part_entry *p = &t->parts->v[i];
        bool under = false;
        for (size_t k = 0; k < s->deletes->n; k++) under |= rollup_is_under(s->deletes->v[k], t, p);
        if (!under || !p->rollup || p->damaged || p->retry_ns > now) continue;
        if (!rollup_is_halves(p)) return p;
        halves = p;
    }
    return halves;
}

bool engine_rollup_waits(struct engine *s, const char *tenant) {
    if (!s->o.rollup.run) return false;
    lock_take(&s->lock);
    const struct table *t = engine_table(s, str_of(tenant), TABLE_ROLLUPS, false);
    bool waits = t && find_under(s, t, INT64_MAX);
    lock_give(&s->lock);
    return waits;
}

/* The unit's files: of its day, or that of halves. */
static void take_files(struct unit *u) {
    u->applied = UINT64_MAX;
    for (size_t i = 0; i < u->table->parts->n; i++) {
        const struct part_entry *p = &u->table->parts->v[i];
        if (!p->rollup || p->damaged || rollup_is_halves(p) != u->halves || (!u->halves && p->day != u->day)) continue;
        part_entry_ref(p);
        *vec_push(&u->files) = *p;
        u->applied = MIN(u->applied, p->deletes_applied);
    }
}

static void take_hours(struct unit *u, const struct part_entry *halves) {
    u->first_hour = halves ? halves->time_min / rollup_hour_ns : (int64_t)u->day * 24;
    u->last_hour = halves ? halves->time_max / rollup_hour_ns : (int64_t)u->day * 24 + 23;
}

/* The first of the days that were never counted and do not wait after a failure. */
static bool take_uncounted(struct unit *u, struct table *t, int64_t now) {
    for (size_t i = 0; i < t->uncounted.n && !u->is_uncounted; i++) {
        if (t->uncounted.v[i].retry_ns > now) continue;
        u->uncounted = t->uncounted.v[i];
        u->is_uncounted = true;
        t->uncounted.n--;
        memmove(&t->uncounted.v[i], &t->uncounted.v[i + 1], (t->uncounted.n - i) * sizeof *t->uncounted.v);
    }
    return u->is_uncounted;
}

/* That of a file under a delete, or a day that was never counted, all of it. */
static void choose_unit(struct unit *u, const struct part_entry *under) {
    u->halves = under && rollup_is_halves(under);
    u->day = under ? under->day : u->uncounted.day;
    take_hours(u, u->halves ? under : NULL);
    take_files(u);
    for (int64_t hour = MAX(u->first_hour, 0); !under && hour <= u->last_hour; hour++) *vec_push(&u->touched) = hour;
}

static bool take_unit(struct engine *s, struct unit *u) {
    int64_t now = clock_monotonic_ns();
    *u = (struct unit){.s = s};
    lock_take(&s->lock);
    for (size_t i = 0; i < s->tables.n && !u->table && !s->read_only; i++) {
        struct table *t = s->tables.v[i];
        const struct part_entry *first = t->names ? find_under(s, t, now) : NULL;
        if (!first && !take_uncounted(u, t, now)) continue;
        struct table *spans = engine_table(s, str_of(t->tenant), SIGNAL_SPANS, true);
        u->table = t;
        u->spans = part_set_ref(spans->parts);
        u->deletes = delete_set_ref(s->deletes);
        choose_unit(u, first);
    }
    lock_give(&s->lock);
    return u->table != NULL;
}

static void unit_done(struct unit *u) {
    for (size_t i = 0; i < u->files.n; i++) part_entry_unref(&u->files.v[i]);
    vec_done(&u->files);
    vec_done(&u->touched);
    part_entry_unref(&u->waiting);
    vec_done(&u->made);
    part_set_unref(u->spans);
    delete_set_unref(u->deletes);
}

/* ---- which hours ------------------------------------------------------------------------------------------------ */

/* All of an hour, as far as there is time. */
static int64_t hour_from(int64_t hour) {
    return hour > INT64_MAX / rollup_hour_ns ? INT64_MAX : MAX(hour, 0) * rollup_hour_ns;
}
static int64_t hour_last(int64_t hour) { return add_capped(hour_from(hour), rollup_hour_ns - 1); }

static err touch_part(struct unit *u, const struct part_entry *p, const struct delete_entry *d, hour_list *hours) {
    static const struct column_ref time = {.target = TARGET_FIELD, .field = FIELD_TIME};
    AUTO_ARENA struct arena whole, scratch;
    struct scan_request r = d->request;
    struct part_scan *scan;
    bool may_match;
    arena_init(&whole, SCAN_BYTES);
    arena_init(&scratch, SCAN_BYTES);
    r.columns = &time;
    r.column_count = 1;
    r.time_min = MAX(r.time_min, hour_from(u->first_hour - 1));
    r.time_max = MIN(r.time_max, hour_last(u->last_hour + 1));
    if (r.time_min > r.time_max) return NULL;
    TRY(part_scan_open(p->part, &r, &whole, &scan, &may_match));
    for (uint32_t g = 0; may_match && g < part_info(p->part)->groups; g++) {
        struct chunk chunk = {0};
        struct scan_stats stats = {0};
        TRY(part_scan_group(scan, g, &scratch, &chunk, &stats));
        if (stats.bad_blocks) return err_new(ERR_CORRUPT, "%s", stats.bad_text);
        for (uint32_t i = 0; i < chunk.n; i++) {
            int64_t hour = (int64_t)(MIN(chunk.columns[0].u64[i], (uint64_t)INT64_MAX) / (uint64_t)rollup_hour_ns);
            if (hours->n && hours->v[hours->n - 1] == hour) continue;
            *vec_push(hours) = hour;
        }
        arena_clear(&scratch);
    }
    return NULL;
}

/* The first hour all of whose spans, and of those around, are still kept. */
static int64_t first_kept(struct unit *u) {
    int64_t oldest, newest;
    retention_limits(u->s->o.retention_ns, u->s->o.wall_ns(), &oldest, &newest);
    lock_take(&u->s->editing);
    int64_t hour = (int64_t)manifest_covered(&u->s->manifest.state, str_of(u->table->tenant), TABLE_ROLLUPS);
    lock_give(&u->s->editing);
    if (hour) hour++;
    return oldest > 0 ? MAX(hour, oldest / rollup_hour_ns + 2) : hour;
}

static err find_touched(struct unit *u) {
    hour_list hours = {0};
    int64_t kept = first_kept(u);
    err e = NULL;
    for (size_t k = 0; k < u->deletes->n && !e; k++) {
        const struct delete_entry *d = u->deletes->v[k];
        if (!delete_is_of(d, u->table->tenant, SIGNAL_SPANS) || d->id <= u->applied) continue;
        for (size_t i = 0; i < u->spans->n && !e; i++)
            if (u->spans->v[i].part && delete_touches_part(d, &u->spans->v[i]))
                e = touch_part(u, &u->spans->v[i], d, &hours);
    }
    for (size_t i = 0, n = hours.n; i < n; i++)
        for (int side = -1; side <= 1; side += 2) *vec_push(&hours) = hours.v[i] + side;
    if (hours.n) qsort(hours.v, hours.n, sizeof *hours.v, rollup_hour_compare);
    for (size_t i = 0; i < hours.n; i++) {
        int64_t h = hours.v[i];
        if (h >= u->first_hour && h <= u->last_hour && h >= kept &&
            (u->touched.n == 0 || u->touched.v[u->touched.n - 1] != h))
            *vec_push(&u->touched) = h;
    }
    vec_done(&hours);
    return e;
}

static bool is_touched(const struct unit *u, int64_t hour) {
    return u->touched.n && bsearch(&hour, u->touched.v, u->touched.n, sizeof hour, rollup_hour_compare);
}

/* ---- counting --------------------------------------------------------------------------------------------------- */

struct counting {
    struct unit *u;
    size_t pair_at;
    struct engine_snapshot *sn;
    struct tally *t;
    struct scan_stats stats;
    err error;
};

static err count_piece(struct counting *c, const struct row_place *places, uint32_t n) {
    const struct rollup_function *f = &c->u->s->o.rollup;
    struct batch_builder rows;
    struct batch b;
    batch_builder_init(&rows, SIGNAL_SPANS);
    err e = snapshot_fetch(&c->sn->base, places, n, &rows, &c->stats);
    struct batch_blob *blob = e ? NULL : batch_builder_finish(&rows);
    if (blob) {
        batch_view(blob, &b);
        tally_begin_batch(c->t);
        if (b.rows) f->run(f->context, &b, NULL, b.rows, &c->t->sink);
    }
    batch_unref(blob);
    batch_builder_done(&rows);
    return e;
}

/* A few at a time: spans may be large. */
static err count_rows(struct counting *c, const struct chunk *chunk) {
    struct row_place places[PIECE_ROWS];
    for (uint32_t at = 0, n; at < chunk->n; at += n) {
        n = MIN(chunk->n - at, (uint32_t)PIECE_ROWS);
        for (uint32_t i = 0; i < n; i++)
            places[i] = (struct row_place){chunk->source, chunk->group, chunk->rows[at + i]};
        TRY(count_piece(c, places, n));
    }
    if (c->t->servers.n > c->pair_at) { /* servers that have their client go */
        tally_pair(c->t);
        tally_pair_parents(c->t);
        c->pair_at = MAX(2 * c->t->servers.n, (size_t)PAIR_LEAST);
    }
    tally_draw_always(c->t);
    return NULL;
}

static enum scan_next on_chunk(void *context, const struct chunk *chunk) {
    struct counting *c = context;
    c->error = count_rows(c, chunk);
    return c->error ? SCAN_STOP : SCAN_GO_ON;
}

/* Hours [first, last], and what their edges may have on either side. */
static err count_run(struct counting *c, int64_t first, int64_t last) {
    AUTO_ARENA struct arena a;
    struct scan_request r = {.time_min = hour_from(first - 1), .time_max = hour_last(last + 1)};
    arena_init(&a, SCAN_BYTES);
    err e = snapshot_scan(&c->sn->base, &r, &a, on_chunk, c, &c->stats);
    return e ? e : take(&c->error);
}

/* Touched hours [i, end) of the unit, which are next to each other, to `t`: what is in files of spans alone, as what is in memory is counted by itself. */
static err count_hours(struct unit *u, size_t i, size_t end, struct tally *t) {
    struct snapshot *sn;
    struct counting c = {.u = u, .t = t, .pair_at = PAIR_LEAST};
    TRY(engine_snapshot(&u->s->base, str_of(u->table->tenant), SIGNAL_SPANS, &sn));
    c.sn = (struct engine_snapshot *)sn;
    c.sn->batch_count = 0;
    err e = count_run(&c, u->touched.v[i], u->touched.v[end - 1]);
    snapshot_free(sn);
    if (!e && c.stats.bad_blocks) e = err_new(ERR_CORRUPT, "%s", c.stats.bad_text);
    if (e) return e;
    tally_pair(t);
    tally_pair_parents(t);
    return NULL;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static err write_day(struct unit *u, const struct tally *t, struct rollup_writer *w) {
    AUTO_FREE const struct part_entry **files = mem_new_array(const struct part_entry *, u->files.n + 1);
    hour_list hours = {0};
    err e = NULL;
    for (size_t i = 0; i < u->files.n; i++) files[i] = &u->files.v[i];
    rollup_hours_of(files, u->files.n, &hours);
    for (size_t i = 0; i < u->touched.n; i++) *vec_push(&hours) = u->touched.v[i];
    if (hours.n) qsort(hours.v, hours.n, sizeof *hours.v, rollup_hour_compare);
    for (size_t i = 0; i < hours.n && !e; i++) {
        if (i && hours.v[i] == hours.v[i - 1]) continue;
        e = is_touched(u, hours.v[i]) ? rollup_writer_put(w, t, hour_from(hours.v[i]), hour_last(hours.v[i]), true)
                                      : rollup_write_hour(files, u->files.n, hours.v[i], w);
    }
    vec_done(&hours);
    return e;
}

/* Hours that were counted together. */
struct counted_hours {
    int64_t first, last;
};

static bool is_of_hours(void *context, int64_t time_ns) {
    const struct counted_hours *h = context;
    return time_ns >= hour_from(h->first) && time_ns <= hour_last(h->last);
}

/* Counts touched hours [i, end): of a day, rows to `rows`; of halves, those whose spans are gone go. */
static err count_group(struct unit *u, size_t i, size_t end, struct tally *halves, struct tally *rows) {
    struct counted_hours hours = {u->touched.v[i], u->touched.v[end - 1]};
    struct tally counted;
    tally_init(&counted, u->table->names, rollup_minute_ns);
    counted.budget = u->s->o.budget;
    err e = count_hours(u, i, end, &counted);
    if (!e && u->halves) {
        tally_keep_halves(halves, &counted, is_of_hours, &hours);
    } else if (!e) {
        int64_t now = u->s->o.wall_ns();
        struct tally_again again = {.from_ns = MAX(hour_from(hours.first), now - again_ns),
                                    .to_ns = hour_last(hours.last),
                                    .arrived_ns = now,
                                    .halves_max = ROLLUP_HALVES_MAX};
        u->again += tally_settle(&counted, halves, &again);
        tally_draw_always(halves);
        tally_draw_always(&counted);
        tally_add_all(rows, &counted, hour_from(hours.first), hour_last(hours.last));
        tally_draw_always(rows);
    }
    tally_done(&counted);
    return e;
}

/* Of the day, or of halves; none, if nothing is left. */
static err write_file(struct unit *u, const struct tally *t, bool halves) {
    bool replaces = halves && u->waiting.rollup;
    struct part_entry p = {.id = engine_next_part_id(u->s),
                           .day = replaces ? u->waiting.day : u->day,
                           .deletes_applied = u->deletes->id_max};
    struct path path = path_part(u->s->dir, u->table->tenant, TABLE_ROLLUPS, p.day, p.id);
    struct rollup_writer *w;
    if (replaces && !u->halves) p.deletes_applied = MIN(p.deletes_applied, u->waiting.deletes_applied);
    TRY(rollup_writer_new(path.text, p.id, &w));
    err e = halves ? rollup_writer_put_halves(w, t) : write_day(u, t, w);
    if (!e) e = engine_rollup_finish(u->s, w, path.text, &p);
    rollup_writer_free(w);
    if (e && err_kind(e) == ERR_NOT_FOUND) {
        err_free(e);
        return NULL;
    }
    TRY(e);
    *vec_push(&u->made) = p;
    return NULL;
}

/* Few hours at a time, as the halves of all their spans are in memory. */
static err write_unit(struct unit *u) {
    struct tally rows, halves;
    tally_init(&rows, NULL, rollup_minute_ns);
    tally_init(&halves, NULL, rollup_minute_ns);
    rows.budget = halves.budget = u->s->o.budget;
    err e = engine_read_halves(u->s, u->table, &halves, &u->waiting);
    tally_draw_always(&halves);
    for (size_t i = 0, end; i < u->touched.n && !e; i = end) {
        for (end = i + 1;
             end < u->touched.n && end < i + GROUP_HOURS && u->touched.v[end] == u->touched.v[end - 1] + 1;)
            end++;
        e = count_group(u, i, end, &halves, &rows);
    }
    if (!e && !u->halves) e = write_file(u, &rows, false);
    if (!e && (u->halves || u->again)) e = write_file(u, &halves, true);
    tally_done(&rows);
    tally_done(&halves);
    return e;
}

/* The unit's files out, and what is in their place, if anything is left. */
static err commit(struct unit *u) {
    AUTO_BUF struct buf edit;
    AUTO_FREE uint64_t *removed = mem_new_array(uint64_t, u->files.n + 1);
    buf_init(&edit, 16 * MIB);
    if (u->made.n == 0 && u->files.n == 0) return NULL;
    for (size_t i = 0; i < u->files.n; i++) edit_part_remove(&edit, removed[i] = u->files.v[i].id);
    for (size_t i = 0; i < u->made.n; i++) engine_put_rollup(u->table, &u->made.v[i], &edit);
    TRY(engine_edit_parts(u->s, u->table, buf_str(&edit), removed, u->files.n, u->made.v, u->made.n, false));
    for (size_t i = 0; i < u->files.n; i++) part_entry_doom(&u->files.v[i]);
    return NULL;
}

static err replace(struct unit *u) {
    struct path dir = path_table(u->s->dir, u->table->tenant, TABLE_ROLLUPS);
    TRY(engine_sync_table_dir(u->s, u->table));
    err e = write_unit(u);
    if (!e && u->again && u->waiting.rollup) {
        *vec_push(&u->files) = u->waiting;
        u->waiting = (struct part_entry){0};
    }
    if (!e && u->made.n) e = path_sync_dir(dir.text);
    if (!e) e = commit(u);
    if (!e) return NULL;
    engine_discard_parts(u->s, u->table, u->made.v, u->made.n);
    return e;
}

/* No span of theirs is deleted, or it cannot be counted anew any more: they only say that they know of the delete. */
static err mark_known(struct unit *u) {
    AUTO_BUF struct buf edit;
    AUTO_FREE uint64_t *ids = mem_new_array(uint64_t, u->files.n + 1);
    buf_init(&edit, 16 * MIB);
    for (size_t i = 0; i < u->files.n; i++) {
        struct part_entry *p = &u->files.v[i];
        edit_part_remove(&edit, ids[i] = p->id);
        p->deletes_applied = u->deletes->id_max;
        engine_put_rollup(u->table, p, &edit);
        part_entry_ref(p);
    }
    err e = engine_edit_parts(u->s, u->table, buf_str(&edit), ids, u->files.n, u->files.v, u->files.n, false);
    for (size_t i = 0; i < u->files.n && e; i++) {
        struct part_entry copy = u->files.v[i];
        part_entry_unref(&copy);
    }
    return e;
}

/* After 1, 2, 4 … 64 minutes. */
static void try_again(struct unit *u) {
    struct uncounted_day again = u->uncounted;
    again.retry_ns = clock_monotonic_ns() + (retry_ns << MIN(again.failures, 6u));
    again.failures++;
    *vec_push(&u->table->uncounted) = again;
}

/* What cannot be read stays as it is until restart; what fails otherwise is tried again. */
static void unit_failed(struct unit *u, bool damaged) {
    if (u->is_uncounted && !damaged) try_again(u);
    if (u->is_uncounted) return; /* its files, of late spans, have no part in it */
    lock_take(&u->s->lock);
    struct part_set *old = u->table->parts, *set = part_set_change(old, NULL, 0, NULL, 0);
    for (size_t i = 0; i < set->n; i++)
        for (size_t k = 0; k < u->files.n; k++) {
            if (set->v[i].id != u->files.v[k].id) continue;
            set->v[i].damaged |= damaged;
            set->v[i].retry_ns = clock_monotonic_ns() + retry_ns;
        }
    u->table->parts = set;
    lock_give(&u->s->lock);
    part_set_unref(old);
}

bool engine_rollup_step(struct engine *s, err *out_why) {
    struct unit u;
    if (!s->o.rollup.run || !take_unit(s, &u)) return false;
    err e = u.touched.n ? NULL : find_touched(&u);
    if (!e) e = u.touched.n ? replace(&u) : mark_known(&u);
    if (e) {
        log_warn("counting rollups anew failed", F_TEXT("tenant", u.table->tenant), F_ERR(e));
        unit_failed(&u, err_kind(e) == ERR_CORRUPT);
    }
    *out_why = err_wrap(e, "rollups of %s", u.table->tenant);
    unit_done(&u);
    return true;
}
