/* Writing a file of rollups. */
#include <zstd.h>

#include <stdlib.h>

#include "base/hash.h"
#include "store/rollup/file_priv.h"
#include "store/series/frames_priv.h"

enum { FLUSH_BYTES = 1 << 20, FRAME_RAW_BYTES = 1 << 20, LEVEL = 1, HOUR_ROWS_LEAST = 2 };

/* Of an hour by minutes, the same hour, the day so far. */
enum { SERVICE_MINUTES, SERVICE_HOUR, SERVICE_DAY, SERVICE_LEVELS };

struct rollup_writer {
    char *path;
    struct file *file;
    uint64_t offset;
    struct buf out, raw, body;
    ZSTD_CCtx *zstd;
    VEC(struct rollup_frame) frames;
    struct strings keys, parties;
    struct tally services[SERVICE_LEVELS]; /* keys are the same in all */
    struct buf hours;                      /* by service: runs of day_hour's day */
    uint32_t hour_rows;
    int64_t day_hour;                       /* the first of the day; -1: none yet */
    int64_t half_start_ns, half_arrived_ns; /* of the half before, in one frame */
    bool has_plain_halves;
    struct rollup_info info;
};

static struct rollup_header header_of(const struct rollup_writer *w) {
    struct rollup_header h = {.magic = ROLLUP_MAGIC,
                              .version = ROLLUP_VERSION,
                              .features = ROLLUP_BY_SERVICE | (w->has_plain_halves ? ROLLUP_PLAIN_HALVES : 0),
                              .id = w->info.id};
    h.checksum = hash_bytes(&h, offsetof(struct rollup_header, checksum));
    return h;
}

err rollup_writer_new(const char *path, uint64_t id, struct rollup_writer **out) {
    struct file *f;
    TRY_WRAP(file_open(path, FILE_CREATE, &f), "writing rollups %s", path);
    struct rollup_writer *w = mem_new_of(struct rollup_writer);
    w->path = str_dup(str_of(path));
    w->file = f;
    w->zstd = ZSTD_createCCtx();
    w->info = (struct rollup_info){.id = id, .time_min = INT64_MAX, .time_max = INT64_MIN};
    struct buf *buffers[] = {&w->out, &w->raw, &w->body, &w->hours};
    for (size_t i = 0; i < LENGTH(buffers); i++) buf_init(buffers[i], INT32_MAX);
    const int64_t steps[SERVICE_LEVELS] = {rollup_minute_ns, rollup_hour_ns, rollup_day_ns};
    for (int i = 0; i < SERVICE_LEVELS; i++) tally_init(&w->services[i], NULL, steps[i]);
    w->day_hour = -1;
    strings_init(&w->keys);
    strings_init(&w->parties);
    struct rollup_header h = header_of(w);
    buf_add(&w->out, &h, sizeof h);
    *out = w;
    return NULL;
}

void rollup_writer_free(struct rollup_writer *w) {
    if (!w) return;
    if (w->file) {
        file_close(w->file);
        err_free(path_remove(w->path));
    }
    struct buf *buffers[] = {&w->out, &w->raw, &w->body, &w->hours};
    for (size_t i = 0; i < LENGTH(buffers); i++) buf_done(buffers[i]);
    for (int i = 0; i < SERVICE_LEVELS; i++) tally_done(&w->services[i]);
    ZSTD_freeCCtx(w->zstd);
    vec_done(&w->frames);
    strings_done(&w->keys);
    strings_done(&w->parties);
    mem_free(w->path);
    mem_free(w);
}

static err write_out(struct rollup_writer *w) {
    TRY(file_write(w->file, w->out.p, w->out.n, w->offset));
    w->offset += w->out.n;
    buf_clear(&w->out);
    return NULL;
}

/* What `raw` has as a frame. */
static err put_frame(struct rollup_writer *w, enum rollup_frame_kind kind, uint32_t rows, int64_t hour) {
    if (w->raw.full || w->raw.n > ROLLUP_FRAME_BYTES_MAX)
        return err_new(ERR_LIMIT, "a frame of rollups of over 64 MiB");
    size_t room = ZSTD_compressBound(w->raw.n), at = w->out.n;
    if (!buf_reserve(&w->out, room)) return err_new(ERR_LIMIT, "no room for a frame of rollups");
    size_t n = ZSTD_compressCCtx(w->zstd, w->out.p + at, room, w->raw.n ? w->raw.p : "", w->raw.n, LEVEL);
    if (ZSTD_isError(n)) return err_new(ERR_INTERNAL, "zstd: %s", ZSTD_getErrorName(n));
    w->out.n += n;
    *vec_push(&w->frames) = (struct rollup_frame){.offset = w->offset + at,
                                                  .size = (uint32_t)n,
                                                  .raw_size = (uint32_t)w->raw.n,
                                                  .kind = kind,
                                                  .rows = rows,
                                                  .hour = hour,
                                                  .checksum = hash_bytes(w->out.p + at, n)};
    buf_clear(&w->raw);
    return w->out.n >= FLUSH_BYTES ? write_out(w) : NULL;
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

static void put_row(struct buf *b, const struct tally_row *r) {
    uint64_t since = (uint64_t)(r->last_ns - r->time_ns);
    put_varint64(b, r->calls);
    put_varint64(b, r->errors);
    put_varint64(b, r->sum_ns);
    put_varint64(b, since);
    uint32_t first = 0, end = r->bucket_count;
    while (first < end && !r->buckets[first]) first++;
    while (end > first && !r->buckets[end - 1]) end--;
    put_varint64(b, end - first);
    put_varint64(b, r->bucket_first + first);
    for (uint32_t i = first; i < end; i++) put_varint64(b, r->buckets[i]);
    buf_add_byte(b, r->has_exemplar);
    if (!r->has_exemplar) return;
    buf_add(b, r->exemplar.trace_id, sizeof r->exemplar.trace_id);
    buf_add(b, &r->exemplar.span_id, sizeof r->exemplar.span_id);
    put_varint64(b, r->exemplar.duration_ns);
    put_varint64(b, (uint64_t)(r->exemplar.start_ns - r->time_ns));
}

struct row_ref {
    int64_t hour;
    const struct tally_row *row;
};

static int by_hour_key_time(const void *x, const void *y) {
    const struct row_ref *a = x, *b = y;
    if (a->hour != b->hour) return a->hour < b->hour ? -1 : 1;
    if (a->row->key != b->row->key) return a->row->key < b->row->key ? -1 : 1;
    return a->row->time_ns < b->row->time_ns ? -1 : a->row->time_ns > b->row->time_ns;
}

/* Rows of one key: its number in the file, how many, how many bytes, and those. Their times are counted in units from where the frame begins. */
static void put_run(struct rollup_writer *w, uint32_t key, int64_t begin_ns, int64_t unit_ns, const struct row_ref *v,
                    size_t n, struct buf *out) {
    buf_clear(&w->body);
    for (size_t i = 0; i < n; i++) {
        buf_add_byte(&w->body, (char)((v[i].row->time_ns - begin_ns) / unit_ns));
        put_row(&w->body, v[i].row);
    }
    put_varint64(out, key);
    put_varint64(out, n);
    put_varint64(out, w->body.n);
    buf_add_str(out, buf_str(&w->body));
}

/* Sorted rows of one hour. */
static err put_rows(struct rollup_writer *w, const struct tally *t, const struct row_ref *v, size_t n,
                    enum rollup_frame_kind kind) {
    uint32_t rows = 0;
    for (size_t i = 0, end; i < n; i = end) {
        uint32_t key = v[i].row->key;
        for (end = i + 1; end < n && v[end].row->key == key;) end++;
        if (kind != FRAME_SERVICE_MINUTES) key = strings_intern(&w->keys, strings_get(&t->keys, key));
        put_run(w, key, v[i].hour * rollup_hour_ns, rollup_minute_ns, v + i, end - i, &w->raw);
        rows += (uint32_t)(end - i);
        if (w->raw.n < FRAME_RAW_BYTES && end < n) continue;
        TRY(put_frame(w, kind, rows, v[0].hour));
        rows = 0;
    }
    return NULL;
}

/* The hour as a whole, where that saves reading. */
static err put_hour(struct rollup_writer *w, const struct tally *t, const struct row_ref *v, size_t n) {
    struct tally hour;
    size_t keys = 0;
    for (size_t i = 0; i < n; i++) keys += i == 0 || v[i].row->key != v[i - 1].row->key;
    if (n < keys * HOUR_ROWS_LEAST) return NULL;
    tally_init(&hour, NULL, rollup_hour_ns);
    AUTO_FREE struct row_ref *refs = mem_new_array(struct row_ref, keys);
    uint32_t key = 0;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || v[i].row->key != v[i - 1].row->key)
            key = tally_key_of_bytes(&hour, strings_get(&t->keys, v[i].row->key));
        tally_add_row(&hour, key, v[i].row);
    }
    for (size_t i = 0; i < hour.rows.n; i++) refs[i] = (struct row_ref){v[0].hour, &hour.rows.v[i]};
    qsort(refs, hour.rows.n, sizeof *refs, by_hour_key_time);
    err e = put_rows(w, &hour, refs, hour.rows.n, FRAME_HOUR);
    tally_done(&hour);
    return e;
}

/* ---- by service ------------------------------------------------------------------------------------------------- */

enum { SERVICE_NONE = 1, SERVICE_FIRST = 2 }; /* 0: not yet asked */

static uint32_t service_of(struct rollup_writer *w, struct str bytes) {
    static const struct rollup_request by_service = {.by_service = true};
    AUTO_ARENA struct arena a;
    struct rollup_key key;
    uint32_t service = 0;
    arena_init(&a, SIZE_MAX);
    if (!rollup_key_read(bytes, &a, &key) || key.view != ROLLUP_SPANS) return SERVICE_NONE;
    for (int i = 0; i < SERVICE_LEVELS; i++) service = tally_key_for(&w->services[i], &by_service, &key);
    return service + SERVICE_FIRST;
}

static err put_hours_frame(struct rollup_writer *w) {
    buf_add_str(&w->raw, buf_str(&w->hours));
    buf_clear(&w->hours);
    uint32_t rows = w->hour_rows;
    w->hour_rows = 0;
    return rows ? put_frame(w, FRAME_SERVICE_HOURS, rows, w->day_hour) : NULL;
}

/* The day so far: another begins, or the file ends. */
static err end_day(struct rollup_writer *w) {
    struct tally *day = &w->services[SERVICE_DAY];
    uint32_t rows = 0;
    TRY(put_hours_frame(w));
    for (size_t i = 0; i < day->rows.n; i++) {
        struct row_ref row = {w->day_hour, &day->rows.v[i]};
        put_run(w, row.row->key, w->day_hour * rollup_hour_ns, rollup_day_ns, &row, 1, &w->raw);
        rows++;
        if (w->raw.n < FRAME_RAW_BYTES && i + 1 < day->rows.n) continue;
        TRY(put_frame(w, FRAME_SERVICE_DAY, rows, w->day_hour));
        rows = 0;
    }
    tally_clear_rows(day);
    return NULL;
}

/* An hour, or some of its minutes: rows of an hour may stand there in pieces. */
static err put_service_hour(struct rollup_writer *w) {
    struct tally *minutes = &w->services[SERVICE_MINUTES], *hour = &w->services[SERVICE_HOUR];
    tally_clear_rows(hour);
    for (size_t i = 0; i < minutes->rows.n; i++) tally_add_row(hour, minutes->rows.v[i].key, &minutes->rows.v[i]);
    for (size_t i = 0; i < hour->rows.n; i++) {
        struct row_ref row = {w->day_hour, &hour->rows.v[i]};
        put_run(w, row.row->key, w->day_hour * rollup_hour_ns, rollup_hour_ns, &row, 1, &w->hours);
        w->hour_rows++;
        tally_add_row(&w->services[SERVICE_DAY], row.row->key, row.row);
        if (w->hours.n >= FRAME_RAW_BYTES) TRY(put_hours_frame(w));
    }
    return NULL;
}

/* Sorted rows of one hour. services: of t's keys, as service_of says. */
static err put_services(struct rollup_writer *w, const struct tally *t, uint32_t *services, const struct row_ref *v,
                        size_t n) {
    struct tally *minutes = &w->services[SERVICE_MINUTES];
    int64_t day_hour = v[0].hour - v[0].hour % 24;
    if (day_hour != w->day_hour) TRY(end_day(w));
    w->day_hour = day_hour;
    tally_clear_rows(minutes);
    for (size_t i = 0; i < n; i++) {
        uint32_t key = v[i].row->key;
        if (!services[key]) services[key] = service_of(w, strings_get(&t->keys, key));
        if (services[key] >= SERVICE_FIRST) tally_add_row(minutes, services[key] - SERVICE_FIRST, v[i].row);
    }
    AUTO_FREE struct row_ref *refs = mem_new_array(struct row_ref, minutes->rows.n + 1);
    for (size_t i = 0; i < minutes->rows.n; i++) refs[i] = (struct row_ref){v[0].hour, &minutes->rows.v[i]};
    if (minutes->rows.n) qsort(refs, minutes->rows.n, sizeof *refs, by_hour_key_time);
    TRY(put_rows(w, minutes, refs, minutes->rows.n, FRAME_SERVICE_MINUTES));
    return put_service_hour(w);
}

static err put_hours(struct rollup_writer *w, const struct tally *t, const struct row_ref *v, size_t n, bool whole) {
    AUTO_FREE uint32_t *services = mem_new_array(uint32_t, t->keys.n + 1);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && v[end].hour == v[i].hour;) end++;
        TRY(put_rows(w, t, v + i, end - i, FRAME_MINUTES));
        if (whole) TRY(put_hour(w, t, v + i, end - i));
        TRY(put_services(w, t, services, v + i, end - i));
    }
    return NULL;
}

err rollup_writer_put(struct rollup_writer *w, const struct tally *t, int64_t time_min, int64_t time_max, bool whole) {
    AUTO_FREE struct row_ref *refs = mem_new_array(struct row_ref, t->rows.n + 1);
    size_t n = 0;
    assert(t->step_ns == rollup_minute_ns);
    for (size_t i = 0; i < t->rows.n; i++) {
        const struct tally_row *r = &t->rows.v[i];
        if (r->time_ns < time_min || r->time_ns > time_max || r->calls == 0) continue;
        refs[n++] = (struct row_ref){r->time_ns / rollup_hour_ns, r};
        w->info.time_min = MIN(w->info.time_min, r->time_ns);
        w->info.time_max = MAX(w->info.time_max, r->time_ns);
    }
    if (n) qsort(refs, n, sizeof *refs, by_hour_key_time);
    w->info.rows += n;
    return put_hours(w, t, refs, n, whole);
}

/* ---- halves ----------------------------------------------------------------------------------------------------- */

/* numbers: of texts of t that were put, + 1. */
static uint32_t party_number(struct rollup_writer *w, const struct tally *t, uint32_t *numbers, uint32_t text) {
    if (!numbers[text]) numbers[text] = strings_intern(&w->parties, strings_get(&t->parties, text)) + 1;
    return numbers[text] - 1;
}

static void put_half(struct rollup_writer *w, const struct tally *t, uint32_t *numbers, const struct tally_half *h) {
    buf_add_byte(&w->raw, (char)(h->is_server | h->is_remembered << 1 | h->is_matched << 2 | h->call.failed << 3 |
                                 h->connection << 4 | h->is_plain << 6));
    w->has_plain_halves |= h->is_plain;
    buf_add(&w->raw, &h->key, sizeof h->key);
    put_varint64(&w->raw, party_number(w, t, numbers, h->party));
    put_varint64(&w->raw, h->peer ? party_number(w, t, numbers, h->peer) + 1 : 0);
    put_signed(&w->raw, (int64_t)((uint64_t)h->call.start_ns - (uint64_t)w->half_start_ns));
    put_varint64(&w->raw, h->call.duration_ns);
    put_signed(&w->raw, (int64_t)((uint64_t)h->arrived_ns - (uint64_t)w->half_arrived_ns));
    w->half_start_ns = h->call.start_ns;
    w->half_arrived_ns = h->arrived_ns;
    w->info.halves++;
    w->info.time_min = MIN(w->info.time_min, h->call.start_ns);
    w->info.time_max = MAX(w->info.time_max, h->call.start_ns);
}

err rollup_writer_put_halves(struct rollup_writer *w, const struct tally *t) {
    uint32_t rows = 0;
    size_t halves = t->clients.n + t->servers.n;
    AUTO_FREE uint32_t *numbers = mem_new_array(uint32_t, t->parties.n + 1);
    for (size_t i = 0, n = halves + t->parents.n; i < n; i++) {
        struct tally_half h = i < t->clients.n ? t->clients.v[i]
                              : i < halves     ? t->servers.v[i - t->clients.n]
                                               : tally_parent_half(&t->parents.v[i - halves]);
        put_half(w, t, numbers, &h);
        rows++;
        if (w->raw.n < FRAME_RAW_BYTES && i + 1 < n) continue;
        TRY(put_frame(w, FRAME_HALVES, rows, 0));
        w->half_start_ns = w->half_arrived_ns = 0;
        rows = 0;
    }
    return NULL;
}

/* ---- the end ---------------------------------------------------------------------------------------------------- */

static err put_texts(struct rollup_writer *w, enum rollup_frame_kind kind, const struct strings *texts) {
    for (uint32_t i = 0, first = 0; i < texts->n; i++) {
        struct str s = strings_get(texts, i);
        put_varint64(&w->raw, s.n);
        buf_add_str(&w->raw, s);
        if (w->raw.n < FRAME_RAW_BYTES && i + 1 < texts->n) continue;
        TRY(put_frame(w, kind, i + 1 - first, 0));
        first = i + 1;
    }
    return NULL;
}

static err finish(struct rollup_writer *w) {
    if (w->info.rows == 0 && w->info.halves == 0) return err_new(ERR_NOT_FOUND, "no rollups to write");
    TRY(end_day(w));
    TRY(put_texts(w, FRAME_KEYS, &w->keys));
    TRY(put_texts(w, FRAME_SERVICES, &w->services[SERVICE_DAY].keys));
    TRY(put_texts(w, FRAME_PARTIES, &w->parties));
    while ((w->offset + w->out.n) % 8) buf_add_byte(&w->out, 0);
    size_t table = w->out.n;
    struct rollup_footer f = {.frames = w->frames.n,
                              .table_offset = w->offset + table,
                              .rows = w->info.rows,
                              .keys = w->keys.n,
                              .halves = w->info.halves,
                              .time_min = w->info.time_min,
                              .time_max = w->info.time_max};
    buf_add(&w->out, w->frames.v, w->frames.n * sizeof *w->frames.v);
    f.table_checksum = hash_bytes(w->out.p + table, w->out.n - table);
    f.file_size = w->offset + w->out.n + sizeof f;
    memcpy(f.magic, ROLLUP_END_MAGIC, sizeof f.magic);
    f.checksum = hash_bytes(&f, offsetof(struct rollup_footer, checksum));
    buf_add(&w->out, &f, sizeof f);
    if (w->out.full) return err_new(ERR_LIMIT, "the frame table is too large");
    TRY(write_out(w));
    if (w->has_plain_halves) { /* which was not known when the file was begun */
        struct rollup_header h = header_of(w);
        TRY(file_write(w->file, &h, sizeof h, 0));
    }
    TRY(file_sync(w->file));
    w->info.bytes = f.file_size;
    w->info.keys = w->keys.n;
    return NULL;
}

err rollup_writer_finish(struct rollup_writer *w, struct rollup_info *out) {
    TRY_WRAP(finish(w), "writing rollups %s", w->path);
    file_close(w->file);
    w->file = NULL;
    *out = w->info;
    return NULL;
}
