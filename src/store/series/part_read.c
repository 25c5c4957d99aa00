/* Opening a file of series, its pages, and samples out of it. */
#include "store/series/histogram_priv.h"
#include "store/series/part_read_priv.h"

#include "base/hash.h"
#include "os/file.h"
#include "store/series/times_priv.h"

static const char *const page_names[PAGE_KINDS] = {"series",     "timestamps",   "exemplars", "label names",
                                                   "label sets", "label values", "postings",  "label column"};

#define CORRUPT(...) err_new(ERR_CORRUPT, __VA_ARGS__)

/* ---- opening --------------------------------------------------------------------------------------------------------- */

static err check_header(const struct series_part *p) {
    const struct series_header *h = (const void *)p->map.p;
    if (p->map.n < sizeof *h + sizeof(struct series_footer)) return CORRUPT("cut short");
    if (memcmp(h->magic, SERIES_MAGIC, sizeof h->magic) != 0) return CORRUPT("not a file of series");
    if (!p->trust_checksums && h->checksum != hash_bytes(h, offsetof(struct series_header, checksum)))
        return CORRUPT("the header's checksum differs");
    if (h->version > SERIES_VERSION || (h->features & ~(uint32_t)SERIES_FEATURES))
        return err_new(ERR_INVALID, "written by a newer clew (format %u): upgrade, or restore a backup of this version",
                       h->version);
    return NULL;
}

static bool page_fits(const struct series_page *page, uint64_t end) {
    return page->offset <= end && page->size <= end - page->offset;
}

static err open_table(struct series_part *p, const struct series_footer *f) {
    uint64_t pages = 0, end = p->map.n - sizeof *f;
    for (int k = 0; k < PAGE_KINDS; k++) pages += f->pages[k];
    if (f->table_offset % 8 || f->table_offset > end || pages * sizeof(struct series_page) != end - f->table_offset)
        return CORRUPT("the page table has a wrong size");
    const struct series_page *page = (const void *)(p->map.p + f->table_offset);
    if (!p->trust_checksums && f->table_checksum != hash_bytes(page, pages * sizeof *page))
        return CORRUPT("the page table's checksum differs");
    for (int k = 0; k < PAGE_KINDS; k++) {
        p->pages[k] = page;
        p->page_count[k] = f->pages[k];
        for (uint32_t i = 0; i < f->pages[k]; i++, page++)
            if (!page_fits(page, f->table_offset))
                return CORRUPT("page %u of %s is outside of the file", i, page_names[k]);
    }
    return NULL;
}

/* Pages of series cover all rows, pages of timestamps all vectors, in order. */
static err check_numbers(const struct series_part *p, enum page_kind kind) {
    uint64_t next = 0;
    for (uint32_t i = 0; i < p->page_count[kind]; i++) {
        const struct series_page *page = &p->pages[kind][i];
        if (page->first != next || page->count == 0 || page->count > PAGE_VECTORS_MAX)
            return CORRUPT("pages of %s are out of order", page_names[kind]);
        next += page->count;
    }
    return kind == PAGE_SERIES && next != p->info.series ? CORRUPT("pages of %s do not have all", page_names[kind])
                                                         : NULL;
}

static err open_all(struct series_part *p) {
    TRY(check_header(p));
    const struct series_footer *f = (const void *)(p->map.p + p->map.n - sizeof *f);
    if (p->map.n % 8) return CORRUPT("cut short");
    if (memcmp(f->magic, SERIES_END_MAGIC, sizeof f->magic) != 0 || f->file_size != p->map.n)
        return CORRUPT("cut short");
    if (!p->trust_checksums && f->checksum != hash_bytes(f, offsetof(struct series_footer, checksum)))
        return CORRUPT("the footer's checksum differs");
    p->info = (struct series_info){((const struct series_header *)(const void *)p->map.p)->id,
                                   f->series,
                                   f->samples,
                                   f->chunks,
                                   p->map.n,
                                   f->time_min,
                                   f->time_max,
                                   0};
    if (f->series == 0 || f->series > UINT32_MAX) return CORRUPT("%llu series", (unsigned long long)f->series);
    TRY(open_table(p, f));
    TRY(check_numbers(p, PAGE_SERIES));
    TRY(check_numbers(p, PAGE_TIMES));
    const uint32_t *n = p->page_count;
    if (n[PAGE_NAMES] != 1 || n[PAGE_SHAPES] != 1 || n[PAGE_VALUES] != p->pages[PAGE_NAMES][0].count ||
        n[PAGE_POSTINGS] != n[PAGE_VALUES] || n[PAGE_COLUMN] != n[PAGE_VALUES])
        return CORRUPT("pages of labels are missing");
    for (int k = 0; k < PAGE_KINDS; k++) p->states[k] = mem_new_array(_Atomic uint8_t, n[k] + 1);
    return NULL;
}

static struct series_part *part_new(const char *path) {
    struct series_part *p = mem_new_of(struct series_part);
    atomic_init(&p->refs, 1);
    p->path = str_dup(str_of(path));
    return p;
}

err series_part_open(const char *path, struct series_part **out) {
    struct series_part *p = part_new(path);
    struct file *f = NULL;
    err e = file_open(path, FILE_READ, &f);
    if (!e) e = file_map(f, &p->map);
    file_close(f); /* the map stays */
    p->is_file = true;
    if (!e) e = open_all(p);
    if (e) {
        series_part_unref(p);
        return err_wrap(e, "series %s", path);
    }
    *out = p;
    return NULL;
}

err series_part_open_bytes(struct str bytes, bool trust_checksums, struct series_part **out) {
    struct series_part *p = part_new("memory");
    p->map = bytes;
    p->trust_checksums = trust_checksums;
    err e = open_all(p);
    if (e) {
        series_part_unref(p);
        return e;
    }
    *out = p;
    return NULL;
}

struct series_part *series_part_ref(struct series_part *p) {
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void series_part_unref(struct series_part *p) {
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1) return;
    if (p->is_file && p->map.p) file_unmap(NULL, p->map);
    if (p->is_file && atomic_load(&p->doomed)) err_free(path_remove(p->path)); /* else removed at the next start (3) */
    for (int k = 0; k < PAGE_KINDS; k++) mem_free((void *)p->states[k]);
    mem_free(p->path);
    mem_free(p);
}

void series_part_doom(struct series_part *p) { atomic_store(&p->doomed, true); }
const struct series_info *series_part_info(const struct series_part *p) { return &p->info; }
const char *series_part_path(const struct series_part *p) { return p->path; }

/* ---- pages ----------------------------------------------------------------------------------------------------------- */

err series_page_damaged(const struct series_part *p, enum page_kind kind, uint32_t page, const char *why) {
    return CORRUPT("series %s, page %u of %s: %s", p->path, page, page_names[kind], why);
}

err series_page_touch(struct series_part *p, enum page_kind kind, uint32_t page, struct str *out) {
    const struct series_page *g = &p->pages[kind][page];
    _Atomic uint8_t *state = &p->states[kind][page];
    struct str bytes = {p->map.p + g->offset, g->size};
    uint8_t now = atomic_load_explicit(state, memory_order_relaxed);
    if (now == 0) {
        now = p->trust_checksums || hash_bytes(bytes.p, bytes.n) == g->checksum ? 1 : 2;
        if (now == 1 && (kind == PAGE_NAMES || kind == PAGE_VALUES) && !label_dictionary_check(bytes, g->count))
            now = 2;
        atomic_store_explicit(state, now, memory_order_relaxed);
    }
    if (now == 2) return series_page_damaged(p, kind, page, "the checksum differs, or what it holds is out of order");
    *out = bytes;
    return NULL;
}

uint32_t series_page_find(const struct series_part *p, enum page_kind kind, uint32_t number) {
    uint32_t low = 0, high = p->page_count[kind];
    while (low + 1 < high) {
        uint32_t middle = (low + high) / 2;
        if (p->pages[kind][middle].first <= number)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* ---- a reader --------------------------------------------------------------------------------------------------------- */

enum { READER_BYTES_MAX = 256 << 20 };

struct series_reader *series_reader_new(struct series_part *p, struct series_stats *stats) {
    struct series_reader *r = mem_new_of(struct series_reader);
    r->p = series_part_ref(p);
    r->stats = stats;
    r->asked_vector = UINT64_MAX;
    arena_init(&r->memory, READER_BYTES_MAX);
    buf_init(&r->text, LABEL_VALUE_BYTES_MAX);
    return r;
}

void series_reader_free(struct series_reader *r) {
    if (!r) return;
    series_part_unref(r->p);
    mem_free(r->page_memory);
    mem_free(r->vectors);
    buf_done(&r->text);
    arena_done(&r->memory);
    mem_free(r);
}

err series_stats_skip(struct series_stats *stats, err e) {
    if (!e || err_kind(e) != ERR_CORRUPT) return e;
    if (stats->bad_pages++ == 0) {
        size_t n = MIN(strlen(err_text(e)), sizeof stats->bad_text - 1);
        memcpy(stats->bad_text, err_text(e), n);
        stats->bad_text[n] = 0;
    }
    err_free(e);
    return NULL;
}

/* ---- timestamps ------------------------------------------------------------------------------------------------------ */

static bool take_ints(struct str *bytes, uint32_t n, struct ints *out) {
    err e = ints_open(*bytes, n, out);
    bool good = !e;
    err_free(e);
    if (good) *bytes = (struct str){bytes->p + out->bytes, bytes->n - out->bytes};
    return good;
}

static err open_time_page(struct series_reader *r, uint32_t page) {
    if (r->time_page == page + 1) return NULL;
    struct str bytes;
    uint32_t n = r->p->pages[PAGE_TIMES][page].count;
    r->time_page = 0;
    TRY(series_page_touch(r->p, PAGE_TIMES, page, &bytes));
    if (!take_ints(&bytes, n, &r->time_min) || !take_ints(&bytes, n, &r->time_span) ||
        !take_ints(&bytes, n, &r->time_end))
        return series_page_damaged(r->p, PAGE_TIMES, page, "its directory is damaged");
    r->time_data = bytes;
    r->time_page = page + 1;
    return NULL;
}

static err find_vector(struct series_reader *r, uint64_t number, uint32_t *out_row) {
    const struct series_part *p = r->p;
    uint32_t pages = p->page_count[PAGE_TIMES];
    if (pages == 0 || number >= (uint64_t)p->pages[PAGE_TIMES][pages - 1].first + p->pages[PAGE_TIMES][pages - 1].count)
        return CORRUPT("series %s: no vector of timestamps %llu", p->path, (unsigned long long)number);
    uint32_t page = series_page_find(p, PAGE_TIMES, (uint32_t)number);
    *out_row = (uint32_t)number - p->pages[PAGE_TIMES][page].first;
    return open_time_page(r, page);
}

/* Whether a vector overlaps a range, without decoding it. */
static err vector_overlaps(struct series_reader *r, uint64_t number, int64_t time_min, int64_t time_max, bool *out) {
    uint32_t row = 0;
    TRY(find_vector(r, number, &row));
    uint64_t first = ints_get(&r->time_min, row);
    int64_t last = (int64_t)(first + ints_get(&r->time_span, row));
    *out = (int64_t)first <= time_max && last >= time_min;
    return NULL;
}

static err open_vector(struct series_reader *r, uint64_t number, const struct open_vector **out) {
    if (!r->vectors) r->vectors = mem_new_array(struct open_vector, VECTORS_KEPT);
    struct open_vector *v = &r->vectors[number % VECTORS_KEPT];
    uint32_t row = 0;
    *out = v;
    if (v->n && v->number == number) return NULL;
    v->n = 0;
    TRY(find_vector(r, number, &row));
    uint64_t start = row ? ints_get(&r->time_end, row - 1) : 0, end = ints_get(&r->time_end, row);
    if (start > end || end > r->time_data.n)
        return series_page_damaged(r->p, PAGE_TIMES, r->time_page - 1, "a vector is outside of it");
    TRY_WRAP(times_decode(str_span(r->time_data.p + start, end - start), v->times_ns, &v->n), "series %s", r->p->path);
    v->number = (uint32_t)number;
    return NULL;
}

/* ---- chunks ---------------------------------------------------------------------------------------------------------- */

static bool read_directory(struct open_page *g, struct str bytes) {
    struct ints counts, samples, times, sizes;
    uint64_t chunks = 0, end = 0;
    if (!take_ints(&bytes, g->series, &counts)) return false;
    for (uint32_t i = 0; i < g->series; i++) {
        g->chunk_first[i] = (uint32_t)chunks;
        chunks += ints_get(&counts, i);
        if (chunks > g->chunks) return false;
    }
    g->chunk_first[g->series] = (uint32_t)chunks;
    struct cursor c = cursor_of(bytes);
    if (cursor_varint(&c) != chunks || chunks != g->chunks) return false;
    const unsigned char *kinds = cursor_skip(&c, chunks);
    bytes = cursor_rest(&c);
    if (c.bad || !take_ints(&bytes, g->chunks, &samples) || !take_ints(&bytes, g->chunks, &times) ||
        !take_ints(&bytes, g->chunks, &sizes))
        return false;
    memcpy(g->kinds, kinds, chunks);
    ints_decode(&samples, 0, g->chunks, g->samples);
    ints_decode(&times, 0, g->chunks, g->times);
    ints_decode(&sizes, 0, g->chunks, g->ends);
    for (uint32_t i = 0; i < g->chunks; i++) {
        uint64_t most = g->kinds[i] & CHUNK_HISTOGRAM ? HISTOGRAM_SAMPLES_MAX : SERIES_SAMPLES_MAX;
        if (g->kinds[i] > CHUNK_BITS || (g->kinds[i] & (CHUNK_STARTS | CHUNK_SAME_START)) == CHUNK_SAME_START ||
            g->samples[i] == 0 || g->samples[i] > most || g->ends[i] > bytes.n - end)
            return false;
        g->ends[i] = end += g->ends[i];
    }
    g->data = bytes;
    return true;
}

/* How many chunks a page says it has, so that memory can be had for them: never more than it has bytes. */
static bool count_chunks(struct str bytes, uint32_t series, uint32_t *out) {
    struct ints counts;
    size_t all = bytes.n;
    if (!take_ints(&bytes, series, &counts)) return false;
    struct cursor c = cursor_of(bytes);
    *out = cursor_varint(&c);
    return !c.bad && *out <= all;
}

static err open_page(struct series_reader *r, uint32_t page) {
    struct open_page *g = &r->page;
    struct str bytes;
    if (g->series && g->page == page) return NULL;
    *g = (struct open_page){.page = page, .first = r->p->pages[PAGE_SERIES][page].first};
    TRY(series_page_touch(r->p, PAGE_SERIES, page, &bytes));
    uint32_t n = r->p->pages[PAGE_SERIES][page].count, chunks;
    if (!count_chunks(bytes, n, &chunks))
        return series_page_damaged(r->p, PAGE_SERIES, page, "its directory is damaged");
    r->page_memory = mem_grow(r->page_memory, (size_t)chunks * 25 + (n + 1) * sizeof(uint32_t) + 8);
    g->samples = r->page_memory;
    g->times = g->samples + chunks;
    g->ends = g->times + chunks;
    g->chunk_first = (uint32_t *)(g->ends + chunks);
    g->kinds = (uint8_t *)(g->chunk_first + n + 1);
    g->chunks = chunks;
    g->series = n;
    if (read_directory(g, bytes)) return NULL;
    g->series = 0;
    return series_page_damaged(r->p, PAGE_SERIES, page, "its directory is damaged");
}

static err add_histograms(const struct open_vector *v, struct str bytes, struct samples *out) {
    struct histogram rows[HISTOGRAM_SAMPLES_MAX];
    TRY(histograms_decode(bytes, v->n, &out->arena, rows));
    for (uint32_t i = 0; i < v->n; i++)
        if (!samples_add_histogram(out, v->times_ns[i], &rows[i], 0)) return arena_err(&out->arena);
    return NULL;
}

static err add_values(const struct open_vector *v, struct str bytes, struct samples *out) {
    samples_reserve(out, v->n);
    TRY(values_decode(bytes, v->n, 0, v->n, out->values + out->n));
    memcpy(out->times_ns + out->n, v->times_ns, v->n * sizeof *v->times_ns);
    samples_take_rows(out, v->n, values_flags(bytes));
    return NULL;
}

static struct str chunk_bytes(const struct open_page *g, uint32_t chunk) {
    uint64_t start = chunk ? g->ends[chunk - 1] : 0;
    return str_span(g->data.p + start, g->ends[chunk] - start);
}

/* The start time that a chunk shares with the one before it. */
static bool find_start(const struct open_page *g, uint32_t chunk, int64_t *out) {
    while (chunk-- > 0) {
        if ((g->kinds[chunk] & (CHUNK_STARTS | CHUNK_SAME_START)) != CHUNK_STARTS) continue;
        struct cursor c = cursor_of(chunk_bytes(g, chunk));
        uint32_t n = (uint32_t)g->samples[chunk];
        frames_decode(&c, n, n - 1, 1, out);
        return !c.bad;
    }
    return false;
}

/* The start times of a chunk that has them; `c` is then behind them. */
static bool read_starts(struct series_reader *r, uint32_t chunk, uint32_t n, struct cursor *c, int64_t *out) {
    struct open_page *g = &r->page;
    if (!(g->kinds[chunk] & CHUNK_SAME_START)) {
        frames_decode(c, n, 0, n, out);
        return !c->bad;
    }
    if (!find_start(g, chunk, &out[0])) return false;
    for (uint32_t i = 1; i < n; i++) out[i] = out[0];
    return true;
}

static err add_chunk(struct series_reader *r, uint32_t chunk, struct samples *out) {
    const struct open_page *g = &r->page;
    const struct open_vector *v = NULL;
    int64_t starts[SERIES_SAMPLES_MAX];
    struct cursor c = cursor_of(chunk_bytes(g, chunk));
    uint32_t first = out->n;
    TRY(open_vector(r, g->times[chunk], &v));
    if (v->n != g->samples[chunk])
        return series_page_damaged(r->p, PAGE_SERIES, g->page, "a chunk does not fit its timestamps");
    if (g->kinds[chunk] & CHUNK_STARTS && !read_starts(r, chunk, v->n, &c, starts))
        return series_page_damaged(r->p, PAGE_SERIES, g->page, "start times are damaged");
    TRY((g->kinds[chunk] & CHUNK_HISTOGRAM ? add_histograms : add_values)(v, cursor_rest(&c), out));
    if (g->kinds[chunk] & CHUNK_STARTS) {
        samples_make_starts(out);
        memcpy(out->starts_ns + first, starts, v->n * sizeof *starts);
    }
    r->stats->chunks++;
    r->stats->samples += v->n;
    return NULL;
}

/* The vectors' numbers stand for the times: even, where those made of times are odd. */
static uint64_t times_id_after(const struct series_part *p, uint64_t id, uint64_t vector) {
    return hash_keyed(hash_keyed(id, vector), (uint64_t)(uintptr_t)p + p->info.id) & ~UINT64_C(1);
}

static err read_row(struct series_reader *r, uint32_t row, int64_t time_min, int64_t time_max, struct samples *out) {
    uint64_t id = 2;
    TRY(open_page(r, series_page_find(r->p, PAGE_SERIES, row)));
    const struct open_page *g = &r->page;
    for (uint32_t i = g->chunk_first[row - g->first]; i < g->chunk_first[row - g->first + 1]; i++) {
        bool overlaps = false;
        uint32_t before = out->n;
        err e = vector_overlaps(r, g->times[i], time_min, time_max, &overlaps);
        if (!e && overlaps) e = add_chunk(r, i, out);
        bool falls = !e && before && out->n > before && out->times_ns[before] <= out->times_ns[before - 1];
        if (falls) e = series_page_damaged(r->p, PAGE_SERIES, g->page, "chunks are out of order");
        if (e) out->n = before; /* nothing of a damaged chunk */
        if (!e && overlaps) id = times_id_after(r->p, id, g->times[i]);
        TRY(series_stats_skip(r->stats, e));
    }
    out->times_id = out->n ? id : 0;
    return NULL;
}

err series_reader_read(struct series_reader *r, uint32_t row, int64_t time_min, int64_t time_max, struct samples *out) {
    assert(row < r->p->info.series);
    TRY(series_stats_skip(r->stats, read_row(r, row, time_min, time_max, out)));
    samples_trim(out, time_min, time_max);
    return NULL;
}

/* Series that were sampled together have the same vectors: the last one's answer is kept. */
err series_reader_overlaps(struct series_reader *r, uint32_t row, int64_t time_min, int64_t time_max, bool *out) {
    *out = false;
    TRY(open_page(r, series_page_find(r->p, PAGE_SERIES, row)));
    const struct open_page *g = &r->page;
    bool same_range = r->asked_min == time_min && r->asked_max == time_max;
    if (!same_range) r->asked_vector = UINT64_MAX;
    r->asked_min = time_min;
    r->asked_max = time_max;
    for (uint32_t i = g->chunk_first[row - g->first]; i < g->chunk_first[row - g->first + 1] && !*out; i++) {
        if (r->asked_vector != g->times[i]) {
            TRY(vector_overlaps(r, g->times[i], time_min, time_max, &r->asked_overlaps));
            r->asked_vector = g->times[i];
        }
        *out = r->asked_overlaps;
    }
    return NULL;
}

err series_reader_piece(struct series_reader *r, uint32_t row, int64_t from, int64_t time_max, int64_t *out_end) {
    *out_end = time_max;
    TRY(open_page(r, series_page_find(r->p, PAGE_SERIES, row)));
    const struct open_page *g = &r->page;
    uint64_t weight = 0;
    for (uint32_t i = g->chunk_first[row - g->first]; i < g->chunk_first[row - g->first + 1]; i++) {
        uint32_t vector = 0;
        TRY(find_vector(r, g->times[i], &vector));
        uint64_t first = ints_get(&r->time_min, vector);
        int64_t last = (int64_t)(first + ints_get(&r->time_span, vector));
        if (last < from || (int64_t)first > time_max) continue;
        weight += g->samples[i] * (g->kinds[i] & CHUNK_HISTOGRAM ? (uint64_t)PIECE_HISTOGRAM : 1);
        if (weight < PIECE_WEIGHT) continue;
        *out_end = MIN(last, time_max);
        return NULL;
    }
    return NULL;
}

err series_reader_count(struct series_reader *r, uint32_t row, int64_t time_min, int64_t time_max, uint64_t *out) {
    *out = 0;
    TRY(open_page(r, series_page_find(r->p, PAGE_SERIES, row)));
    const struct open_page *g = &r->page;
    for (uint32_t i = g->chunk_first[row - g->first]; i < g->chunk_first[row - g->first + 1]; i++) {
        bool overlaps = false;
        TRY(vector_overlaps(r, g->times[i], time_min, time_max, &overlaps));
        if (overlaps) *out += g->samples[i];
    }
    return NULL;
}

/* ---- exemplars -------------------------------------------------------------------------------------------------------- */

static err read_exemplars(struct series_reader *r, uint32_t page, uint32_t row, int64_t time_min, int64_t time_max,
                          struct arena *a, struct exemplar *out, uint32_t *n, bool *out_past) {
    struct ints rows, times, values, ends;
    struct str bytes;
    uint32_t count = r->p->pages[PAGE_EXEMPLARS][page].count;
    TRY(series_page_touch(r->p, PAGE_EXEMPLARS, page, &bytes));
    if (!take_ints(&bytes, count, &rows) || !take_ints(&bytes, count, &times) || !take_ints(&bytes, count, &values) ||
        !take_ints(&bytes, count, &ends))
        return series_page_damaged(r->p, PAGE_EXEMPLARS, page, "its directory is damaged");
    for (uint32_t i = 0; i < count; i++) {
        uint64_t of = ints_get(&rows, i), start = i ? ints_get(&ends, i - 1) : 0, end = ints_get(&ends, i);
        int64_t time = (int64_t)ints_get(&times, i);
        *out_past = of > row;
        if (*out_past) return NULL;
        if (of != row || time < time_min || time > time_max) continue;
        if (start > end || end > bytes.n)
            return series_page_damaged(r->p, PAGE_EXEMPLARS, page, "labels are outside of it");
        out[*n] = (struct exemplar){.series = row, .time_ns = time, .value = double_of_bits(ints_get(&values, i))};
        if (!label_set_read(str_span(bytes.p + start, end - start), a, &out[*n].labels))
            return a->full ? arena_err(a) : series_page_damaged(r->p, PAGE_EXEMPLARS, page, "labels are damaged");
        ++*n;
    }
    return NULL;
}

err series_reader_exemplars(struct series_reader *r, uint32_t row, int64_t time_min, int64_t time_max, struct arena *a,
                            struct exemplar **out, uint32_t *out_n) {
    const struct series_part *p = r->p;
    uint32_t pages = p->page_count[PAGE_EXEMPLARS], n = 0, first = 0, room = 0;
    while (first + 1 < pages && p->pages[PAGE_EXEMPLARS][first + 1].first < row) first++;
    for (uint32_t i = first; i < pages && p->pages[PAGE_EXEMPLARS][i].first <= row; i++)
        room += MIN(p->pages[PAGE_EXEMPLARS][i].count, (uint32_t)PAGE_EXEMPLARS_MAX);
    struct exemplar *found = arena_array(a, struct exemplar, room + 1);
    bool past = false;
    if (!found) return arena_err(a);
    for (uint32_t i = first; i < pages && p->pages[PAGE_EXEMPLARS][i].first <= row && !past; i++) {
        bool fits = p->pages[PAGE_EXEMPLARS][i].count <= PAGE_EXEMPLARS_MAX;
        TRY(series_stats_skip(r->stats, fits ? read_exemplars(r, i, row, time_min, time_max, a, found, &n, &past)
                                             : series_page_damaged(p, PAGE_EXEMPLARS, i, "too many")));
    }
    *out = found;
    *out_n = n;
    return NULL;
}
