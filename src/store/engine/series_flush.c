/* Heads become files of series: one a day they touch, in one manifest edit (3, 10). */
#include "base/log.h"
#include "store/engine/store_engine_priv.h"

enum { DELETES_BYTES = 256 << 20, RELEASE_BYTES_MIN = 4 << 20, TEXTS_TRIES = 3, HALVINGS_MAX = 8 };

/* The head that is written, and what is gone of it. */
struct head_flush {
    struct table *table;
    struct head *head;
    uint64_t last;
    day_list days;
    struct delete_set *deletes;
    struct arena memory;
    struct series_source source;
    struct compiled_deletes compiled;
    VEC(struct part_entry) made;
};

/* The oldest sealed head; the head itself is sealed if there is none. lock held; false: nothing to write. */
static bool take_head(struct engine *s, struct head_flush *f) {
    struct series_table *t = f->table->series;
    if (s->read_only) return false;
    if (!t->sealed.n) err_free(engine_seal(s, f->table)); /* never over the limit, as none is sealed */
    if (!t->sealed.n) return false;
    const struct sealed_head *h = &t->sealed.v[0];
    f->head = series_head_ref(h->head);
    f->last = h->last;
    for (size_t i = 0; i < h->days.n; i++) day_list_add(&f->days, h->days.v[i], SIZE_MAX);
    f->deletes = delete_set_ref(s->deletes);
    return true;
}

static void flush_done(struct head_flush *f) {
    compiled_deletes_done(&f->compiled);
    arena_done(&f->memory);
    series_head_unref(f->head);
    delete_set_unref(f->deletes);
    vec_done(&f->days);
    vec_done(&f->made);
}

/* The samples of a span within one day to a file; none left by the deletes: no file. */
static err flush_span(struct engine *s, struct head_flush *f, int32_t day, int64_t time_min, int64_t time_max) {
    struct part_entry p = {.id = engine_next_part_id(s), .day = day, .deletes_applied = f->deletes->id_max};
    struct path path = path_part(s->dir, f->table->tenant, TABLE_SERIES, day, p.id);
    struct series_info info;
    err e = series_write(path.text, p.id, &f->source, 1, time_min, time_max, &info);
    if (e && err_kind(e) == ERR_NOT_FOUND) {
        err_free(e);
        return NULL;
    }
    TRY(e);
    if (info.exemplars_left_out)
        log_warn("exemplars are left out: too many of one series", F_TEXT("tenant", f->table->tenant),
                 F_U64("series", info.exemplars_left_out));
    part_entry_describe(&p, &info);
    p.age = p.id;
    *vec_push(&f->made) = p;
    return engine_series_open(s, path.text, &f->made.v[f->made.n - 1].series);
}

/* What is too much for one file is written as two. */
static err flush_halves(struct engine *s, struct head_flush *f, int32_t day, int64_t time_min, int64_t time_max,
                        int halvings) {
    err e = flush_span(s, f, day, time_min, time_max);
    if (!e || err_kind(e) != ERR_LIMIT || halvings == 0) return e;
    int64_t middle = time_min + (time_max - time_min) / 2;
    err_free(e);
    TRY(flush_halves(s, f, day, time_min, middle, halvings - 1));
    return flush_halves(s, f, day, middle + 1, time_max, halvings - 1);
}

/* What is said about metrics does not hold samples up: where its file cannot be written again and again, the old one stays. */
static err write_texts(struct engine *s, const struct table *t, const char *dir) {
    err e = metric_texts_write(t->series->texts, dir);
    if (!e) t->series->texts_failures = 0;
    if (!e || err_kind(e) == ERR_UNAVAILABLE || ++t->series->texts_failures < TEXTS_TRIES) return e;
    log_warn("metadata of metrics is not written", F_TEXT("tenant", t->tenant), F_ERR(e));
    lock_take(&s->lock);
    s->stats.metadata_failures++;
    lock_give(&s->lock);
    err_free(e);
    return NULL;
}

static err flush_days(struct engine *s, struct head_flush *f) {
    TRY(compile_deletes(f->deletes, f->table->tenant, &f->memory, &f->compiled));
    TRY(compiled_deletes_of(&f->compiled, 0, f->last, &f->memory, &f->source));
    TRY(engine_sync_table_dir(s, f->table));
    for (size_t i = 0; i < f->days.n; i++) {
        int32_t day = f->days.v[i];
        TRY(flush_halves(s, f, day, day_first_ns(day), day_last_ns(day), HALVINGS_MAX));
    }
    struct path dir = path_table(s->dir, f->table->tenant, TABLE_SERIES);
    TRY(write_texts(s, f->table, dir.text)); /* once this is done the log has them no more */
    return path_sync_dir(dir.text);
}

static err flush_head(struct engine *s, struct head_flush *f) {
    AUTO_BUF struct buf edit;
    buf_init(&edit, MIB);
    err e = flush_days(s, f);
    if (!e) {
        engine_put_flush_edit(s, f->table, f->made.v, f->made.n, f->last, f->head, &edit);
        e = engine_edit_parts(s, f->table, buf_str(&edit), NULL, 0, f->made.v, f->made.n, true);
    }
    if (e) {
        engine_discard_parts(s, f->table, f->made.v, f->made.n);
        engine_flush_failed(s, f->table, e);
    }
    return err_wrap(e, "flushing %s/series", f->table->tenant);
}

err engine_flush_series(struct engine *s, struct table *t, bool *out_did) {
    struct head_flush f = {.table = t};
    struct head_stats stats = {0};
    arena_init(&f.memory, DELETES_BYTES);
    lock_take(&s->lock);
    *out_did = take_head(s, &f);
    lock_give(&s->lock);
    err e = NULL;
    if (*out_did) {
        f.source.head = f.head;
        series_head_get_stats(f.head, &stats);
        e = flush_head(s, &f);
        lock_take(&s->lock);
        s->stats.flushes += !e;
        lock_give(&s->lock);
    }
    flush_done(&f);
    if (stats.bytes > RELEASE_BYTES_MIN) mem_release();
    return e;
}
