/* clew check: reads everything of a data directory that no process has open, changes nothing, and says what is damaged. */
#include "base/log.h"
#include "store/engine/series_table_priv.h"
#include "store/journal/log_priv.h"
#include "store/journal/manifest_priv.h"
#include "store/part/part_priv.h"
#include "store/store.h"

struct check {
    const char *dir;
    struct buf *out;
    uint64_t bad;
    struct manifest_state state;
    struct store_checked *counts;
};

static void found(struct check *c, const char *where, const char *what) {
    c->bad++;
    buf_add_fmt(c->out, "%s: %s\n", where, what);
}

/* An error that concerns the data is a finding; true. Another one is the caller's. */
static bool is_finding(struct check *c, const char *where, err *e) {
    if (!*e || (err_kind(*e) != ERR_CORRUPT && err_kind(*e) != ERR_NOT_FOUND)) return false;
    found(c, where, err_text(*e));
    err_free(take(e));
    return true;
}

/* ---- parts ------------------------------------------------------------------------------------------------------ */

static void check_series_agrees(struct check *c, const char *path, const struct manifest_part *p) {
    struct series_part *part;
    err e = series_part_open(path, &part);
    if (is_finding(c, path, &e) || e) {
        err_free(e);
        return;
    }
    const struct series_info *i = series_part_info(part);
    if (i->samples != p->rows || i->id != p->id || i->time_min != p->time_min || i->time_max != p->time_max)
        found(c, path, "is not the file that the manifest names");
    series_part_unref(part);
}

static void check_agrees(struct check *c, const char *path, const struct manifest_part *p) {
    struct part *part;
    err e = part_open(path, &part);
    if (is_finding(c, path, &e) || e) {
        err_free(e);
        return;
    }
    const struct part_info *i = part_info(part);
    if (i->rows != p->rows || i->signal != p->signal || i->id != p->id || i->time_min != p->time_min ||
        i->time_max != p->time_max)
        found(c, path, "is not the part that the manifest names");
    part_unref(part);
}

static void check_rollups_agree(struct check *c, const char *path, const struct manifest_part *p) {
    struct rollup_file *f;
    err e = rollup_file_open(path, &f);
    if (is_finding(c, path, &e)) return;
    const struct rollup_info *i = &f->info;
    if (i->rows + i->halves != p->rows || i->id != p->id || i->time_min != p->time_min || i->time_max != p->time_max)
        found(c, path, "is not the file that the manifest names");
    rollup_file_unref(f);
}

static err check_part(struct check *c, const struct manifest_part *p) {
    struct path path = path_part(c->dir, p->tenant, p->signal, p->day, p->id);
    uint64_t bad = 0;
    if (!path_exists(path.text)) {
        found(c, path.text, "is missing");
        return NULL;
    }
    bool series = p->signal == TABLE_SERIES, rollups = p->signal == TABLE_ROLLUPS;
    err e = (rollups ? rollup_file_check : series ? series_part_check : part_check)(path.text, c->out, &bad);
    c->bad += bad;
    if (is_finding(c, path.text, &e)) return NULL;
    TRY(e);
    if (!bad) (rollups ? check_rollups_agree : series ? check_series_agrees : check_agrees)(c, path.text, p);
    return NULL;
}

static err check_texts(struct check *c, const char *tenant) {
    struct path dir = path_table(c->dir, tenant, TABLE_SERIES);
    struct path path = path_make("%.3900s/" METRIC_TEXTS_FILE, dir.text);
    struct file *file;
    struct str map;
    if (!path_exists(path.text)) return NULL;
    TRY(segment_map(path.text, &file, &map));
    err e = metric_texts_scan(map, path.text, NULL, NULL);
    segment_unmap(file, map);
    return is_finding(c, path.text, &e) ? NULL : e;
}

/* ---- log -------------------------------------------------------------------------------------------------------- */

struct check_log {
    struct check *c;
    struct said_log said;
    segment_mappings segments; /* it points into them */
    const char *path;
    uint64_t void_from, last_sequence;
};

/* What is in files already may refer to what is gone from the log. */
static err check_points(struct check_log *l, const struct log_record *r, struct batch_blob **out) {
    uint32_t *numbers, lost;
    said_log_add(&l->said, r);
    TRY(said_log_open(&l->said, r, out, &numbers, &lost));
    mem_free(numbers);
    if (!lost || r->sequence <= manifest_covered(&l->c->state, r->tenant, r->signal)) return NULL;
    batch_unref(*out);
    return err_new(ERR_CORRUPT, "record %llu refers to %u series that the log does not name",
                   (unsigned long long)r->sequence, lost);
}

static err check_record(void *context, const struct log_record *r) {
    struct check_log *l = context;
    struct batch_blob *blob;
    if (r->sequence >= l->void_from) return NULL;
    err e = r->signal == TABLE_SERIES ? check_points(l, r, &blob) : batch_open(r->blob, &blob);
    if (!e) batch_unref(blob);
    if (is_finding(l->c, l->path, &e)) return NULL;
    return e;
}

struct check_segment {
    uint64_t number;
    struct segment_head head;
};
typedef VEC(struct check_segment) check_segments;

static err look_at_segment(struct check *c, const char *log_dir, uint64_t number, check_segments *out) {
    struct path path = path_segment(log_dir, number);
    struct segment_head head;
    struct file *file;
    struct str map;
    TRY(segment_map(path.text, &file, &map));
    err e = segment_head_read(map, path.text, &head);
    segment_unmap(file, map);
    bool newer = e && err_kind(e) == ERR_INVALID, begun = !e && head.number == number && number >= c->state.log_from;
    if (newer) return e;
    err_free(e);
    if (begun) *vec_push(out) = (struct check_segment){number, head};
    return NULL;
}

static err check_segment(struct check *c, const char *log_dir, const struct check_segment *g, struct check_log *l) {
    struct path path = path_segment(log_dir, g->number);
    struct segment_reading reading = {0};
    struct segment_mapping m;
    l->path = path.text;
    uint64_t known = MAX(l->last_sequence, c->state.sequence);
    if (g->head.first_sequence > known + 1) found(c, path.text, "log records before this segment are missing");
    TRY(segment_map(path.text, &m.file, &m.map));
    *vec_push(&l->segments) = m;
    c->counts->segments++;
    c->counts->log_bytes += m.map.n;
    err e = segment_read(m.map, path.text, &g->head, check_record, l, c->out, &reading);
    c->bad += reading.bad;
    l->path = NULL;
    l->last_sequence = MAX(l->last_sequence, MIN(reading.last_sequence, l->void_from - 1));
    return e;
}

static err check_segments_all(struct check *c, const char *log_dir, const segment_numbers *numbers,
                              check_segments *segments) {
    struct check_log l = {.c = c};
    err e = NULL;
    for (size_t i = 0; i < numbers->n; i++) TRY(look_at_segment(c, log_dir, numbers->v[i], segments));
    for (size_t i = 0; i < segments->n && !e; i++) {
        l.void_from = UINT64_MAX;
        for (size_t j = i + 1; j < segments->n; j++) l.void_from = MIN(l.void_from, segments->v[j].head.first_sequence);
        e = check_segment(c, log_dir, &segments->v[i], &l);
    }
    said_log_done(&l.said);
    segments_unmap(&l.segments);
    return e;
}

static err check_whole_log(struct check *c) {
    struct path log_dir = path_make("%.3800s/log", c->dir);
    segment_numbers numbers = {0};
    check_segments segments = {0};
    err e = segment_list(log_dir.text, &numbers);
    if (!e) e = check_segments_all(c, log_dir.text, &numbers, &segments);
    vec_done(&numbers);
    vec_done(&segments);
    return e;
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

/* A damaged manifest leaves nothing to check the rest against. */
static err check_manifest(struct check *c, bool *out_usable) {
    struct path path = path_make("%.3800s/manifest", c->dir);
    struct manifest_reading reading = {0};
    err e = manifest_load(path.text, &c->state, c->out, &reading);
    *out_usable = !e;
    c->bad += reading.mended;
    if (is_finding(c, path.text, &e)) return NULL;
    return e;
}

static err check_all(struct check *c) {
    bool usable;
    TRY(check_manifest(c, &usable));
    if (!usable) return NULL;
    c->counts->parts_all = c->state.parts.n;
    for (size_t i = 0; i < c->state.parts.n; i++) {
        const struct manifest_part *p = &c->state.parts.v[i];
        TRY(check_part(c, p));
        c->counts->parts++;
        c->counts->rows += p->rows;
        c->counts->bytes += p->bytes;
        if (c->counts->tell) c->counts->tell(c->counts);
    }
    for (size_t i = 0; i < c->state.tables.n; i++)
        if (c->state.tables.v[i].signal == TABLE_SERIES) TRY(check_texts(c, c->state.tables.v[i].tenant));
    return check_whole_log(c);
}

/* A backup has no LOCK; a directory has one, which a running process holds. */
static err take_lock(const char *dir, struct file **out) {
    struct path path = path_make("%.3800s/LOCK", dir);
    AUTO_CLOSE struct file *f = NULL;
    if (!path_exists(path.text)) return NULL;
    TRY(file_open(path.text, FILE_WRITE, &f));
    err e = file_lock(f);
    if (e && err_kind(e) == ERR_CONFLICT) {
        err_free(e);
        return err_new(ERR_CONFLICT, "%s is in use by a clew process: stop it first, or check a backup", dir);
    }
    TRY(e);
    *out = take(&f);
    return NULL;
}

err store_check(const char *dir, struct buf *out, uint64_t *out_bad) {
    struct store_checked counts = {0};
    return store_check_counted(dir, out, out_bad, &counts);
}

err store_check_counted(const char *dir, struct buf *out, uint64_t *out_bad, struct store_checked *counts) {
    struct check c = {.dir = dir, .out = out, .counts = counts};
    AUTO_CLOSE struct file *lock_file = NULL;
    if (strlen(dir) > FORMAT_DIR_BYTES) return err_new(ERR_INVALID, "the path is too long");
    TRY(take_lock(dir, &lock_file));
    manifest_state_init(&c.state);
    err e = check_all(&c);
    manifest_state_done(&c.state);
    *out_bad = c.bad;
    return err_wrap(e, "checking %s", dir);
}
