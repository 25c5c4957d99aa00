/* Opening a file of rollups, and rows and halves out of it. */
#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/hash.h"
#include "base/text.h"
#include "os/clock.h"
#include "store/rollup/file_priv.h"
#include "store/series/frames_priv.h"

#define CORRUPT(...) err_new(ERR_CORRUPT, __VA_ARGS__)
static const char *const frame_names[FRAME_KINDS] = {
    "minutes",          "an hour",         "keys", "parties", "halves", "services", "minutes by service",
    "hours by service", "a day by service"};

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static err check_header(const struct rollup_file *f) {
    const struct rollup_header *h = (const void *)f->map.p;
    if (f->map.n < sizeof *h + sizeof(struct rollup_footer) || f->map.n % 8) return CORRUPT("cut short");
    if (memcmp(h->magic, ROLLUP_MAGIC, sizeof h->magic) != 0) return CORRUPT("not a file of rollups");
    if (!f->trust_checksums && h->checksum != hash_bytes(h, offsetof(struct rollup_header, checksum)))
        return CORRUPT("the header's checksum differs");
    if (h->version > ROLLUP_VERSION || (h->features & ~(uint32_t)ROLLUP_FEATURES))
        return err_new(ERR_INVALID, "written by a newer clew (format %u): upgrade, or restore a backup of this version",
                       h->version);
    return NULL;
}

static err check_frame(const struct rollup_frame *g, uint64_t end) {
    if (g->offset > end || g->size > end - g->offset) return CORRUPT("a frame is outside of the file");
    if (g->kind >= FRAME_KINDS || g->raw_size > ROLLUP_FRAME_BYTES_MAX) return CORRUPT("an unknown frame");
    if (g->hour < 0 || g->hour > INT64_MAX / rollup_hour_ns) return CORRUPT("a frame of no hour");
    return NULL;
}

static err open_all(struct rollup_file *f) {
    TRY(check_header(f));
    const struct rollup_footer *e = (const void *)(f->map.p + f->map.n - sizeof *e);
    uint64_t end = f->map.n - sizeof *e;
    if (memcmp(e->magic, ROLLUP_END_MAGIC, sizeof e->magic) != 0 || e->file_size != f->map.n)
        return CORRUPT("cut short");
    if (!f->trust_checksums && e->checksum != hash_bytes(e, offsetof(struct rollup_footer, checksum)))
        return CORRUPT("the footer's checksum differs");
    if (e->table_offset % 8 || e->table_offset > end || e->frames > end / sizeof *f->frames ||
        e->frames * sizeof *f->frames != end - e->table_offset)
        return CORRUPT("the frame table has a wrong size");
    f->frames = (const void *)(f->map.p + e->table_offset);
    f->frame_count = e->frames;
    if (!f->trust_checksums && e->table_checksum != hash_bytes(f->frames, f->frame_count * sizeof *f->frames))
        return CORRUPT("the frame table's checksum differs");
    for (uint64_t i = 0; i < f->frame_count; i++) TRY(check_frame(&f->frames[i], e->table_offset));
    f->info = (struct rollup_info){.id = ((const struct rollup_header *)(const void *)f->map.p)->id,
                                   .rows = e->rows,
                                   .keys = e->keys,
                                   .halves = e->halves,
                                   .bytes = f->map.n,
                                   .time_min = e->time_min,
                                   .time_max = e->time_max};
    return e->keys < UINT32_MAX ? NULL : CORRUPT("too many keys");
}

static struct rollup_file *file_new(const char *path) {
    struct rollup_file *f = mem_new_of(struct rollup_file);
    atomic_init(&f->refs, 1);
    f->path = str_dup(str_of(path));
    return f;
}

err rollup_file_open(const char *path, struct rollup_file **out) {
    struct rollup_file *f = file_new(path);
    struct file *file = NULL;
    err e = file_open(path, FILE_READ, &file);
    if (!e) e = file_map(file, &f->map);
    file_close(file); /* the map stays */
    f->is_file = true;
    if (!e) e = open_all(f);
    if (e) {
        rollup_file_unref(f);
        return err_wrap(e, "rollups %s", path);
    }
    *out = f;
    return NULL;
}

err rollup_file_open_bytes(struct str bytes, bool trust_checksums, struct rollup_file **out) {
    struct rollup_file *f = file_new("memory");
    f->map = bytes;
    f->trust_checksums = trust_checksums;
    err e = open_all(f);
    if (e) {
        rollup_file_unref(f);
        return e;
    }
    *out = f;
    return NULL;
}

struct rollup_file *rollup_file_ref(struct rollup_file *f) {
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

void rollup_file_unref(struct rollup_file *f) {
    if (!f || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1) return;
    if (f->is_file && f->map.p) file_unmap(NULL, f->map);
    if (f->is_file && atomic_load(&f->doomed)) err_free(path_remove(f->path)); /* else removed at the next start (3) */
    mem_free(f->path);
    mem_free(f);
}

void rollup_file_doom(struct rollup_file *f) { atomic_store(&f->doomed, true); }

static struct str take_bytes(struct cursor *c, uint64_t n) {
    const unsigned char *at = cursor_skip(c, n);
    return str_span(at, c->bad ? 0 : (size_t)n);
}

/* Nearly all numbers of rows are small. */
static inline uint64_t take_varint(struct cursor *c) {
    return c->at < c->end && *c->at < 128 ? *c->at++ : cursor_varint64(c);
}

static uint64_t take_u64(struct cursor *c) {
    const unsigned char *at = cursor_skip(c, sizeof(uint64_t));
    uint64_t v = 0;
    if (!c->bad) memcpy(&v, at, sizeof v);
    return v;
}

/* ---- frames ----------------------------------------------------------------------------------------------------- */

/* Where frames are unpacked, one after the other: a file has many small ones. */
struct unpacked {
    struct buf raw;
    ZSTD_DCtx *zstd;
};

static void unpacked_init(struct unpacked *u) {
    buf_init(&u->raw, SIZE_MAX);
    u->zstd = ZSTD_createDCtx();
}

static void unpacked_done(struct unpacked *u) {
    buf_done(&u->raw);
    ZSTD_freeDCtx(u->zstd);
}

static err read_frame(const struct rollup_file *f, const struct rollup_frame *g, struct unpacked *u) {
    struct buf *raw = &u->raw;
    struct str bytes = {f->map.p + g->offset, g->size};
    buf_clear(raw);
    if (!f->trust_checksums && hash_bytes(bytes.p, bytes.n) != g->checksum)
        return CORRUPT("rollups %s, %s at %llu: the checksum differs", f->path, frame_names[g->kind],
                       (unsigned long long)g->offset);
    if (!buf_reserve(raw, MAX(g->raw_size, 1u))) return err_new(ERR_LIMIT, "no room for a frame");
    if (!u->zstd) return err_new(ERR_LIMIT, "no room for zstd");
    size_t n = ZSTD_decompressDCtx(u->zstd, raw->p, g->raw_size, bytes.p, bytes.n);
    if (ZSTD_isError(n) || n != g->raw_size)
        return CORRUPT("rollups %s, %s at %llu: cannot be decompressed", f->path, frame_names[g->kind],
                       (unsigned long long)g->offset);
    raw->n = n;
    return NULL;
}

static err bad_frame(const struct rollup_file *f, const struct rollup_frame *g) {
    return CORRUPT("rollups %s, %s at %llu: cannot be read", f->path, frame_names[g->kind],
                   (unsigned long long)g->offset);
}

/* A damaged frame is named and counted, and the rest is read (7). */
static err or_count(err e, struct scan_stats *stats) {
    if (!e || err_kind(e) != ERR_CORRUPT) return e;
    if (stats->bad_blocks++ == 0) snprintf(stats->bad_text, sizeof stats->bad_text, "%s", err_text(e));
    err_free(e);
    return NULL;
}

/* Calls fn for each text of the frames of a kind, numbered from 0. */
static err each_text(const struct rollup_file *f, enum rollup_frame_kind kind, struct unpacked *u,
                     err (*fn)(void *context, uint32_t number, struct str text), void *context) {
    uint32_t number = 0;
    for (uint64_t i = 0; i < f->frame_count; i++) {
        const struct rollup_frame *g = &f->frames[i];
        if (g->kind != kind) continue;
        TRY(read_frame(f, g, u));
        struct cursor c = cursor_of(buf_str(&u->raw));
        for (uint32_t k = 0; k < g->rows; k++) {
            struct str text = take_bytes(&c, cursor_varint64(&c));
            if (c.bad) return bad_frame(f, g);
            TRY(fn(context, number++, text));
        }
        if (c.at < c.end) return bad_frame(f, g);
    }
    return NULL;
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

enum { KEY_UNWANTED = UINT32_MAX };

struct reading {
    const struct rollup_file *f;
    const struct rollup_request *r;
    struct tally *into;
    struct scan_stats *stats;
    struct arena texts;
    bool by_service;    /* of its rows those are read that are by service */
    VEC(uint32_t) keys; /* of the file, or its services: numbers in `into`, or KEY_UNWANTED */
    struct unpacked unpacked;
    uint64_t buckets[ROLLUP_BUCKETS];
};

bool rollup_key_is_wanted(const struct rollup_request *r, const struct rollup_key *key) {
    const struct str *t = key->texts;
    if (!r->views[key->view] || (r->environment.p && !str_equal(t[ROLLUP_ENVIRONMENT], r->environment))) return false;
    for (int end = 0; end <= (key->view != ROLLUP_SPANS); end++)
        if ((!r->space.p || str_equal(t[2 * end + 1], r->space)) &&
            (!r->service.p || str_equal(t[2 * end + 2], r->service)))
            return true;
    return false;
}

static err on_key(void *context, uint32_t number, struct str text) {
    struct reading *d = context;
    struct rollup_key key;
    (void)number;
    arena_clear(&d->texts);
    if (!rollup_key_read(text, &d->texts, &key)) return CORRUPT("rollups %s: a key cannot be read", d->f->path);
    *vec_push(&d->keys) = rollup_key_is_wanted(d->r, &key) ? tally_key_for(d->into, d->r, &key) : KEY_UNWANTED;
    return NULL;
}

static void get_exemplar(struct cursor *c, struct tally_row *out) {
    struct str id = take_bytes(c, sizeof out->exemplar.trace_id);
    if (!c->bad) memcpy(out->exemplar.trace_id, id.p, sizeof out->exemplar.trace_id);
    out->exemplar.span_id = take_u64(c);
    out->exemplar.duration_ns = cursor_varint64(c);
    out->exemplar.start_ns = (int64_t)((uint64_t)out->time_ns + cursor_varint64(c));
}

/* What the rows of a frame cover each. */
static int64_t unit_of(const struct rollup_frame *g) {
    return g->kind == FRAME_SERVICE_DAY     ? rollup_day_ns
           : g->kind == FRAME_SERVICE_HOURS ? rollup_hour_ns
                                            : rollup_minute_ns;
}

static bool get_row(struct reading *d, struct cursor *c, const struct rollup_frame *g, struct tally_row *out) {
    uint8_t minute = cursor_byte(c, 255); /* or hour */
    uint64_t begin = (uint64_t)g->hour * (uint64_t)rollup_hour_ns + minute * (uint64_t)unit_of(g);
    *out = (struct tally_row){.time_ns = (int64_t)begin, .buckets = d->buckets};
    out->calls = take_varint(c);
    out->errors = take_varint(c);
    out->sum_ns = take_varint(c);
    out->last_ns = (int64_t)((uint64_t)out->time_ns + take_varint(c));
    uint64_t n = take_varint(c), first = take_varint(c);
    if (c->bad || minute >= 60 || out->time_ns < 0 || first > ROLLUP_BUCKETS || n > ROLLUP_BUCKETS - first)
        return false;
    out->bucket_first = (uint32_t)first;
    out->bucket_count = (uint32_t)n;
    for (uint64_t i = 0; i < n; i++) d->buckets[i] = take_varint(c);
    out->has_exemplar = cursor_byte(c, 255) == 1;
    if (out->has_exemplar) get_exemplar(c, out);
    return !c->bad;
}

/* All that the file has of a time is asked for, so that what it is made of need not be looked at. */
static bool takes_whole(const struct reading *d, int64_t from, int64_t length) {
    int64_t last = rollup_last(from, length) / rollup_minute_ns * rollup_minute_ns;
    bool begins = MAX(from, d->f->info.time_min) >= d->r->time_min,
         ends = MIN(last, d->f->info.time_max) <= d->r->time_max;
    return begins && ends && d->into->step_ns % length == 0;
}
static bool takes_hour(const struct reading *d, int64_t hour) {
    return takes_whole(d, hour * rollup_hour_ns, rollup_hour_ns);
}

static bool takes_row(const struct reading *d, const struct rollup_frame *g, int64_t time_ns) {
    if (g->kind == FRAME_SERVICE_HOURS) return takes_whole(d, time_ns, rollup_hour_ns);
    if (g->kind != FRAME_MINUTES && g->kind != FRAME_SERVICE_MINUTES) return true;
    return time_ns >= d->r->time_min && time_ns <= d->r->time_max;
}

static bool get_run(struct reading *d, struct cursor *c, const struct rollup_frame *g, uint64_t *rows) {
    uint64_t key = cursor_varint64(c), n = cursor_varint64(c);
    struct str body = take_bytes(c, cursor_varint64(c));
    if (c->bad || key >= d->keys.n || n > g->rows) return false;
    *rows += n;
    if (d->keys.v[key] == KEY_UNWANTED) return true;
    struct cursor b = cursor_of(body);
    for (uint64_t i = 0; i < n; i++) {
        struct tally_row row;
        if (!get_row(d, &b, g, &row)) return false;
        if (takes_row(d, g, row.time_ns)) tally_add_row(d->into, d->keys.v[key], &row);
    }
    return b.at == b.end;
}

static err read_rows(struct reading *d, const struct rollup_frame *g) {
    uint64_t rows = 0;
    TRY(read_frame(d->f, g, &d->unpacked));
    struct cursor c = cursor_of(buf_str(&d->unpacked.raw));
    d->stats->bytes_read += g->size;
    d->stats->rows_scanned += g->rows;
    while (c.at < c.end)
        if (!get_run(d, &c, g, &rows)) return bad_frame(d->f, g);
    if (d->into->memory.full) return arena_err(&d->into->memory);
    return rows == g->rows ? NULL : bad_frame(d->f, g);
}

static bool has_hour(const struct rollup_file *f, uint64_t near, int64_t hour) {
    for (uint64_t i = near; i < f->frame_count && f->frames[i].kind <= FRAME_HOUR && f->frames[i].hour == hour; i++)
        if (f->frames[i].kind == FRAME_HOUR) return true;
    for (uint64_t i = near; i-- > 0 && f->frames[i].kind <= FRAME_HOUR && f->frames[i].hour == hour;)
        if (f->frames[i].kind == FRAME_HOUR) return true;
    return false;
}

/* By service: of a day that is asked for as a whole its one row each, of others hours, of hours minutes. */
static bool is_wanted_service(const struct reading *d, const struct rollup_frame *g) {
    int64_t hour = g->hour - g->hour % 24;
    bool as_day = takes_whole(d, hour * rollup_hour_ns, rollup_day_ns);
    if (g->kind == FRAME_SERVICE_DAY) return as_day;
    if (g->kind == FRAME_SERVICE_HOURS) return !as_day && d->into->step_ns % rollup_hour_ns == 0;
    return g->kind == FRAME_SERVICE_MINUTES && !as_day && !takes_hour(d, g->hour);
}

static bool is_wanted(const struct reading *d, uint64_t i) {
    const struct rollup_frame *g = &d->f->frames[i];
    int64_t from = g->hour * rollup_hour_ns, hours = g->kind < FRAME_SERVICE_HOURS ? 1 : 24;
    if (rollup_last(from, hours * rollup_hour_ns) < d->r->time_min || from > d->r->time_max) return false;
    if (d->by_service) return is_wanted_service(d, g);
    if (g->kind > FRAME_HOUR) return false;
    bool as_hour = takes_hour(d, g->hour) && has_hour(d->f, i, g->hour);
    return (g->kind == FRAME_HOUR) == as_hour;
}

/* Edges have no rows by service, nor has a file of before. */
static bool is_by_service(const struct rollup_file *f, const struct rollup_request *r) {
    if (!r->by_service || r->views[ROLLUP_EDGE_SERVER] || r->views[ROLLUP_EDGE_CLIENT]) return false;
    for (uint64_t i = f->frame_count; i-- > 0;)
        if (f->frames[i].kind == FRAME_SERVICES) return true;
    return false;
}

static err read_all(struct reading *d) {
    const struct rollup_request *r = d->r;
    TRY(each_text(d->f, d->by_service ? FRAME_SERVICES : FRAME_KEYS, &d->unpacked, on_key, d));
    for (uint64_t i = 0; i < d->f->frame_count; i++) {
        if (!is_wanted(d, i)) continue;
        if (r->is_cancelled && r->is_cancelled(r->cancel_context)) return err_new(ERR_CANCELLED, "cancelled");
        if (r->deadline_ns && clock_monotonic_ns() > r->deadline_ns) return err_new(ERR_CANCELLED, "out of time");
        TRY(or_count(read_rows(d, &d->f->frames[i]), d->stats));
        TRY(tally_draw(d->into));
    }
    return NULL;
}

err rollup_file_read(const struct rollup_file *f, const struct rollup_request *r, struct tally *into,
                     struct scan_stats *stats) {
    struct reading *d = mem_new_of(struct reading);
    d->f = f;
    d->r = r;
    d->into = into;
    d->stats = stats;
    d->by_service = is_by_service(f, r);
    unpacked_init(&d->unpacked);
    arena_init(&d->texts, SIZE_MAX);
    err e = or_count(read_all(d), stats);
    unpacked_done(&d->unpacked);
    arena_done(&d->texts);
    vec_done(&d->keys);
    mem_free(d);
    return e;
}

int rollup_hour_compare(const void *x, const void *y) {
    int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;
    return a < b ? -1 : a > b;
}

void rollup_file_hours(const struct rollup_file *f, hour_list *out) {
    for (uint64_t i = 0; i < f->frame_count; i++)
        if (f->frames[i].kind == FRAME_MINUTES) *vec_push(out) = f->frames[i].hour;
    if (out->n) qsort(out->v, out->n, sizeof *out->v, rollup_hour_compare);
    size_t left = 0;
    for (size_t i = 0; i < out->n; i++)
        if (i == 0 || out->v[i] != out->v[left - 1]) out->v[left++] = out->v[i];
    out->n = left;
}

/* ---- halves ----------------------------------------------------------------------------------------------------- */

struct halves {
    const struct rollup_file *f;
    const struct half_filter *filter;
    struct tally *into;
    VEC(uint32_t) parties; /* of the file: numbers in `into` */
};

static err on_party(void *context, uint32_t number, struct str text) {
    (void)number;
    struct halves *d = context;
    *vec_push(&d->parties) = strings_intern(&d->into->parties, text);
    return NULL;
}

/* `before`: of the half before it, in one frame. */
static bool get_half(struct halves *d, struct cursor *c, struct tally_half *before) {
    struct tally_half h = {0};
    uint8_t flags = cursor_byte(c, 255);
    h.is_server = flags & 1;
    h.is_remembered = flags >> 1 & 1;
    h.is_matched = flags >> 2 & 1;
    h.call.failed = flags >> 3 & 1;
    h.connection = flags >> 4 & 3;
    h.is_plain = flags >> 6 & 1;
    h.key = take_u64(c);
    uint64_t party = cursor_varint64(c), peer = cursor_varint64(c);
    h.call.start_ns = (int64_t)((uint64_t)before->call.start_ns + (uint64_t)cursor_signed(c));
    h.call.duration_ns = cursor_varint64(c);
    h.arrived_ns = (int64_t)((uint64_t)before->arrived_ns + (uint64_t)cursor_signed(c));
    if (c->bad || party >= d->parties.n || peer > d->parties.n || h.call.start_ns < 0) return false;
    *before = h;
    h.party = d->parties.v[party];
    h.peer = peer ? d->parties.v[peer - 1] : 0;
    tally_take_half(d->into, d->filter, &h);
    return true;
}

static err read_halves(struct halves *d, struct unpacked *u, struct scan_stats *stats) {
    TRY(each_text(d->f, FRAME_PARTIES, u, on_party, d));
    for (uint64_t i = 0; i < d->f->frame_count; i++) {
        const struct rollup_frame *g = &d->f->frames[i];
        if (g->kind != FRAME_HALVES) continue;
        TRY(read_frame(d->f, g, u));
        struct cursor c = cursor_of(buf_str(&u->raw));
        stats->bytes_read += g->size;
        struct tally_half before = {0};
        for (uint32_t k = 0; k < g->rows; k++)
            if (!get_half(d, &c, &before)) return bad_frame(d->f, g);
        if (c.at < c.end) return bad_frame(d->f, g);
    }
    return NULL;
}

err rollup_file_read_halves(const struct rollup_file *f, const struct half_filter *filter, struct tally *into,
                            struct scan_stats *stats) {
    struct halves d = {.f = f, .filter = filter, .into = into};
    struct unpacked u;
    unpacked_init(&u);
    err e = or_count(read_halves(&d, &u, stats), stats);
    unpacked_done(&u);
    vec_done(&d.parties);
    return e;
}

/* ---- names, check, dump ------------------------------------------------------------------------------------------- */

static err on_name(void *context, uint32_t number, struct str text) {
    AUTO_ARENA struct arena a;
    struct rollup_key key;
    (void)number;
    arena_init(&a, SIZE_MAX);
    if (rollup_key_read(text, &a, &key)) rollup_names_admit(context, &key);
    return NULL;
}

err rollup_file_keys(const struct rollup_file *f, struct rollup_names *names) {
    struct unpacked u;
    unpacked_init(&u);
    err e = each_text(f, FRAME_KEYS, &u, on_name, names);
    unpacked_done(&u);
    return e;
}

static void tell(struct buf *out, uint64_t *bad, err e) {
    if (!e) return;
    ++*bad;
    put_terminal(out, str_of(err_text(e)));
    buf_add_byte(out, '\n');
    err_free(e);
}

/* Calls of all that a request and a step find; rows: how many. */
static err count_calls(const struct rollup_file *f, const struct rollup_request *r, int64_t step_ns,
                       uint64_t *out_calls, uint64_t *out_rows) {
    struct tally t;
    struct scan_stats stats = {0};
    *out_calls = 0;
    tally_init(&t, NULL, step_ns);
    err e = rollup_file_read(f, r, &t, &stats);
    for (size_t i = 0; i < t.rows.n; i++) *out_calls += t.rows.v[i].calls;
    *out_rows = t.rows.n;
    tally_done(&t);
    return !e && stats.bad_blocks ? CORRUPT("%s", stats.bad_text) : e;
}

static err check_halves(const struct rollup_file *f) {
    struct scan_stats stats = {0};
    struct tally t;
    tally_init(&t, NULL, rollup_minute_ns);
    err e = rollup_file_read_halves(f, NULL, &t, &stats);
    size_t halves = t.clients.n + t.servers.n + t.parents.n;
    tally_done(&t);
    if (!e && stats.bad_blocks) e = CORRUPT("%s", stats.bad_text);
    return e || halves == f->info.halves ? e : CORRUPT("rollups %s: halves are missing", f->path);
}

/* Minutes, hours and days come to the same, with operations and by service alone, and to what the footer counts. */
static err check_rows(const struct rollup_file *f) {
    static const int64_t steps[] = {rollup_minute_ns, rollup_hour_ns, rollup_day_ns};
    struct rollup_request all = {.views = {true, true, true}, .time_max = INT64_MAX};
    struct rollup_request spans = {.views = {true}, .time_max = INT64_MAX}, services = spans;
    uint64_t minutes, hours, calls, found, rows, ignored;
    services.by_service = true;
    TRY(count_calls(f, &all, rollup_minute_ns, &minutes, &rows));
    TRY(count_calls(f, &all, 0, &hours, &ignored));
    TRY(count_calls(f, &spans, rollup_minute_ns, &calls, &ignored));
    if (minutes != hours) return CORRUPT("rollups %s: hours do not have what their minutes have", f->path);
    if (rows != f->info.rows) return CORRUPT("rollups %s: rows are missing", f->path);
    for (size_t i = 0; i < LENGTH(steps); i++) {
        TRY(count_calls(f, &services, steps[i], &found, &ignored));
        if (found != calls) return CORRUPT("rollups %s: services do not have what their operations have", f->path);
    }
    return check_halves(f);
}

err rollup_file_check(const char *path, struct buf *out, uint64_t *bad) {
    struct rollup_file *f;
    struct unpacked u;
    err e = rollup_file_open(path, &f);
    if (e) {
        tell(out, bad, e);
        return NULL;
    }
    uint64_t before = *bad;
    unpacked_init(&u);
    for (uint64_t i = 0; i < f->frame_count; i++) tell(out, bad, read_frame(f, &f->frames[i], &u));
    unpacked_done(&u);
    if (*bad == before) tell(out, bad, check_rows(f));
    rollup_file_unref(f);
    return NULL;
}

static void dump_key(struct str bytes, struct buf *out) {
    static const char *const views[ROLLUP_VIEWS] = {"spans", "edge, as servers saw it", "edge, as clients saw it"};
    AUTO_ARENA struct arena a;
    struct rollup_key key;
    arena_init(&a, SIZE_MAX);
    if (!rollup_key_read(bytes, &a, &key)) return;
    buf_add_fmt(out, "%s:", views[key.view]);
    for (int i = 0; i < ROLLUP_TEXTS; i++) {
        buf_add_text(out, i ? " | " : " ");
        put_terminal(out, key.texts[i]);
    }
    buf_add_fmt(out, ", kind %u, status %u", key.kind, key.status);
}

void rollup_file_dump(const struct rollup_file *f, uint64_t rows_max, struct buf *out) {
    struct rollup_request r = {.time_max = INT64_MAX};
    struct scan_stats stats = {0};
    struct tally t;
    for (int v = 0; v < ROLLUP_VIEWS; v++) r.views[v] = true;
    buf_add_fmt(out, "rollups: %llu rows of minutes, %llu keys, %llu halves of edges, %llu frames, %llu bytes\n",
                (unsigned long long)f->info.rows, (unsigned long long)f->info.keys, (unsigned long long)f->info.halves,
                (unsigned long long)f->frame_count, (unsigned long long)f->info.bytes);
    tally_init(&t, NULL, rollup_minute_ns);
    err e = rollup_file_read(f, &r, &t, &stats);
    for (size_t i = 0; i < t.rows.n && i < rows_max && !e; i++) {
        const struct tally_row *row = &t.rows.v[i];
        put_time(out, row->time_ns);
        buf_add_byte(out, ' ');
        dump_key(strings_get(&t.keys, row->key), out);
        buf_add_fmt(out, ": %llu calls, %llu errors, %llu ns\n", (unsigned long long)row->calls,
                    (unsigned long long)row->errors, (unsigned long long)row->sum_ns);
    }
    if (e || stats.bad_blocks) {
        put_terminal(out, str_of(e ? err_text(e) : stats.bad_text));
        buf_add_byte(out, '\n');
    }
    err_free(e);
    tally_done(&t);
}
