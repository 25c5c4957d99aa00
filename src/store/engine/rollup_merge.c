/* Files of rollups become fewer: hour by hour, so that what is in memory is bounded. */
#include "store/engine/rollup_engine_priv.h"

#include <stdlib.h>

enum { HOUR_ROWS_MAX = 400000 }; /* at once in memory; a busier hour is done in pieces */

static bool has_day(const struct part_set *parts, int32_t day) {
    for (size_t i = 0; i < parts->n; i++)
        if (parts->v[i].day == day) return true;
    return false;
}

/* Days that were written by a clew that kept no rollups: the back thread counts them, the newest first. */
static void find_uncounted(struct engine *s, const struct table *spans) {
    struct table *t = engine_table(s, str_of(spans->tenant), TABLE_ROLLUPS, true);
    day_list days = {0};
    for (size_t i = 0; i < spans->parts->n; i++)
        if (!has_day(t->parts, spans->parts->v[i].day)) day_list_add(&days, spans->parts->v[i].day, SIZE_MAX);
    for (size_t i = days.n; i-- > 0;) *vec_push(&t->uncounted) = (struct uncounted_day){.day = days.v[i]};
    vec_done(&days);
}

void engine_rollup_open(struct engine *s) {
    if (!s->o.rollup.run) return;
    for (size_t i = 0, n = s->tables.n; i < n; i++)
        if (s->tables.v[i]->signal == SIGNAL_SPANS) find_uncounted(s, s->tables.v[i]);
    for (size_t i = 0; i < s->tables.n; i++) {
        struct table *t = s->tables.v[i];
        for (size_t k = 0; t->names && k < t->parts->n; k++)
            if (t->parts->v[k].rollup)
                err_free(rollup_file_keys(t->parts->v[k].rollup, t->names)); /* damage is found when it is read */
    }
}

void rollup_hours_of(const struct part_entry *const *files, size_t n, hour_list *out) {
    hour_list all = {0};
    for (size_t i = 0; i < n; i++) {
        hour_list one = {0};
        rollup_file_hours(files[i]->rollup, &one);
        for (size_t k = 0; k < one.n; k++) *vec_push(&all) = one.v[k];
        vec_done(&one);
    }
    if (all.n) qsort(all.v, all.n, sizeof *all.v, rollup_hour_compare);
    for (size_t i = 0; i < all.n; i++)
        if (i == 0 || all.v[i] != all.v[i - 1]) *vec_push(out) = all.v[i];
    vec_done(&all);
}

static uint64_t rows_of_hour(const struct part_entry *const *files, size_t n, int64_t hour) {
    uint64_t rows = 0;
    for (size_t i = 0; i < n; i++)
        for (uint64_t k = 0; k < files[i]->rollup->frame_count; k++) {
            const struct rollup_frame *g = &files[i]->rollup->frames[k];
            if (g->kind == FRAME_MINUTES && g->hour == hour) rows += g->rows;
        }
    return rows;
}

static err write_minutes(const struct part_entry *const *files, size_t n, int64_t from, int64_t to, bool whole,
                         struct rollup_writer *w) {
    struct rollup_request r = {.time_min = from, .time_max = to, .buckets = true, .exemplars = true};
    struct scan_stats stats = {0};
    struct tally t;
    err e = NULL;
    for (int v = 0; v < ROLLUP_VIEWS; v++) r.views[v] = true;
    tally_init(&t, NULL, rollup_minute_ns);
    for (size_t i = 0; i < n && !e; i++) e = rollup_file_read(files[i]->rollup, &r, &t, &stats);
    if (!e && stats.bad_blocks) e = err_new(ERR_CORRUPT, "%s", stats.bad_text);
    if (!e) e = rollup_writer_put(w, &t, from, to, whole);
    tally_done(&t);
    return e;
}

err rollup_write_hour(const struct part_entry *const *files, size_t n, int64_t hour, struct rollup_writer *w) {
    uint64_t pieces = MIN(rows_of_hour(files, n, hour) / HOUR_ROWS_MAX + 1, (uint64_t)60);
    int64_t at = hour * rollup_hour_ns, last = rollup_hour_last(hour),
            step = (int64_t)((59 + pieces) / pieces) * rollup_minute_ns;
    for (; last - at >= step; at += step) TRY(write_minutes(files, n, at, at + step - 1, pieces == 1, w));
    return write_minutes(files, n, at, last, pieces == 1, w);
}

err engine_rollup_merge(struct engine *s, const struct part_set *parts, const size_t *picked, size_t n, struct table *t,
                        const char *path, struct part_entry *made) {
    const struct part_entry *files[MERGE_PARTS_MAX];
    struct rollup_writer *w;
    hour_list hours = {0};
    for (size_t i = 0; i < n; i++) files[i] = &parts->v[picked[i]];
    TRY(rollup_writer_new(path, made->id, &w));
    rollup_hours_of(files, n, &hours);
    err e = NULL;
    for (size_t i = 0; i < hours.n && !e; i++) e = rollup_write_hour(files, n, hours.v[i], w);
    if (!e) e = engine_rollup_finish(s, w, path, made);
    rollup_writer_free(w);
    vec_done(&hours);
    TRY(e);
    struct path dir = path_table(s->dir, t->tenant, TABLE_ROLLUPS);
    e = path_sync_dir(dir.text);
    if (e) err_free(path_remove(path));
    return e;
}
