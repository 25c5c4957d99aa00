/* Writing a file of series: chunks into pages as they come, then exemplars, labels, page table and footer, then the sync. */
#include "store/series/histogram_priv.h"
#include "store/series/part_write_priv.h"

#include "base/hash.h"
#include "store/series/times_priv.h"

enum { FLUSH_BYTES = 1 << 20, BUFFER_MAX = INT32_MAX, SLOTS_FIRST = 1024 };

err series_writer_new(const char *path, uint64_t id, struct series_writer **out) {
    struct file *f;
    TRY_WRAP(file_open(path, FILE_CREATE, &f), "writing series %s", path);
    struct series_writer *w = mem_new_of(struct series_writer);
    w->path = str_dup(str_of(path));
    w->file = f;
    w->id = id;
    w->start_before = INT64_MIN;
    w->info = (struct series_info){.id = id, .time_min = INT64_MAX, .time_max = INT64_MIN};
    struct buf *buffers[] = {&w->out, &w->chunk_kinds, &w->chunk_data, &w->vector_data, &w->exemplar_data, &w->before};
    for (size_t i = 0; i < LENGTH(buffers); i++) buf_init(buffers[i], BUFFER_MAX);
    strings_init(&w->names);
    strings_init(&w->shapes);
    arena_init(&w->before_arena, 16 * MIB);
    struct series_header h = {.magic = SERIES_MAGIC, .version = SERIES_VERSION, .features = SERIES_FEATURES, .id = id};
    h.checksum = hash_bytes(&h, offsetof(struct series_header, checksum));
    buf_add(&w->out, &h, sizeof h);
    *out = w;
    return NULL;
}

void series_writer_free(struct series_writer *w) {
    if (!w) return;
    if (w->file) { /* not finished: nothing of it may stay */
        file_close(w->file);
        err_free(path_remove(w->path));
    }
    struct buf *buffers[] = {&w->out, &w->chunk_kinds, &w->chunk_data, &w->vector_data, &w->exemplar_data, &w->before};
    for (size_t i = 0; i < LENGTH(buffers); i++) buf_done(buffers[i]);
    u64_vec *numbers[] = {(void *)&w->chunk_counts,    (void *)&w->chunk_samples, (void *)&w->chunk_times,
                          (void *)&w->chunk_sizes,     (void *)&w->vector_min,    (void *)&w->vector_span,
                          (void *)&w->vector_end,      (void *)&w->exemplar_rows, (void *)&w->exemplar_times,
                          (void *)&w->exemplar_values, (void *)&w->exemplar_ends, (void *)&w->row_shapes};
    for (size_t i = 0; i < LENGTH(numbers); i++) mem_free(numbers[i]->v);
    for (int k = 0; k < PAGE_KINDS; k++) vec_done(&w->pages[k]);
    for (size_t i = 0; i < w->by_name.n; i++) {
        strings_done(&w->by_name.v[i]->values);
        vec_done(&w->by_name.v[i]->rows);
        vec_done(&w->by_name.v[i]->codes);
        mem_free(w->by_name.v[i]);
    }
    vec_done(&w->by_name);
    strings_done(&w->names);
    strings_done(&w->shapes);
    arena_done(&w->before_arena);
    mem_free(w->slots);
    mem_free(w->path);
    mem_free(w);
}

static err write_out(struct series_writer *w) {
    TRY(file_write(w->file, w->out.p, w->out.n, w->offset));
    w->offset += w->out.n;
    buf_clear(&w->out);
    return NULL;
}

err series_writer_put_page(struct series_writer *w, enum page_kind kind, struct str bytes, uint32_t count,
                           uint32_t first) {
    if (bytes.n >= BUFFER_MAX) return err_new(ERR_LIMIT, "a page of %zu bytes", bytes.n);
    *vec_push(&w->pages[kind]) = (struct series_page){.offset = w->offset + w->out.n,
                                                      .size = (uint32_t)bytes.n,
                                                      .count = count,
                                                      .first = first,
                                                      .checksum = hash_bytes(bytes.n ? bytes.p : "", bytes.n)};
    buf_add_str(&w->out, bytes);
    return w->out.n >= FLUSH_BYTES ? write_out(w) : NULL;
}

static void put_ints(const void *vec, struct buf *out) {
    const u64_vec *v = vec;
    ints_encode(v->v, (uint32_t)v->n, out);
}

/* ---- timestamps ------------------------------------------------------------------------------------------------------ */

static err put_vectors(struct series_writer *w) {
    AUTO_BUF struct buf page;
    buf_init(&page, BUFFER_MAX);
    if (w->vector_min.n == 0) return NULL;
    put_ints(&w->vector_min, &page);
    put_ints(&w->vector_span, &page);
    put_ints(&w->vector_end, &page);
    buf_add_str(&page, buf_str(&w->vector_data));
    TRY(series_writer_put_page(w, PAGE_TIMES, buf_str(&page), (uint32_t)w->vector_min.n, w->vectors_first));
    vec_clear(&w->vector_min);
    vec_clear(&w->vector_span);
    vec_clear(&w->vector_end);
    buf_clear(&w->vector_data);
    w->vectors_first = w->vectors;
    return NULL;
}

static void insert_vector(struct known_vector *slots, uint32_t mask, struct known_vector v) {
    uint32_t at = (uint32_t)v.a & mask;
    while (slots[at].number) at = (at + 1) & mask;
    slots[at] = v;
}

static void grow_slots(struct series_writer *w) {
    uint32_t old = w->slots ? w->slot_mask + 1 : 0, n = old ? old * 2 : SLOTS_FIRST;
    if (w->vectors < old - old / 4) return;
    struct known_vector *slots = mem_new_array(struct known_vector, n);
    for (uint32_t i = 0; i < old; i++)
        if (w->slots[i].number) insert_vector(slots, n - 1, w->slots[i]);
    mem_free(w->slots);
    w->slots = slots;
    w->slot_mask = n - 1;
}

/* The number of a vector, which is written if none is equal. */
static err intern_times(struct series_writer *w, const int64_t *times, uint32_t n, uint64_t *out) {
    size_t bytes = n * sizeof *times;
    struct known_vector v = {hash_bytes_seed(times, bytes, hash_secret[0]),
                             hash_bytes_seed(times, bytes, ~hash_secret[1]), 0};
    grow_slots(w);
    for (uint32_t at = (uint32_t)v.a & w->slot_mask; w->slots[at].number; at = (at + 1) & w->slot_mask)
        if (w->slots[at].a == v.a && w->slots[at].b == v.b) {
            *out = w->slots[at].number - 1;
            return NULL;
        }
    *out = w->vectors;
    v.number = ++w->vectors;
    insert_vector(w->slots, w->slot_mask, v);
    times_encode(times, n, &w->vector_data);
    *vec_push(&w->vector_min) = (uint64_t)times[0];
    *vec_push(&w->vector_span) = (uint64_t)times[n - 1] - (uint64_t)times[0];
    *vec_push(&w->vector_end) = w->vector_data.n;
    return w->vector_data.n >= PAGE_BYTES || w->vector_min.n == PAGE_VECTORS_MAX ? put_vectors(w) : NULL;
}

/* ---- chunks ---------------------------------------------------------------------------------------------------------- */

static int kind_at(const struct samples *s, uint32_t i) {
    const struct histogram *h = samples_histogram(s, i);
    return h ? 1 + h->is_float : 0;
}

static int64_t span_of(int64_t time_ns) { return time_ns / CHUNK_SPAN_NS - (time_ns % CHUNK_SPAN_NS < 0); }

/* How many samples from `first` on make a chunk: of one kind, and in step with other series. */
static uint32_t chunk_length(const struct samples *s, uint32_t first) {
    int kind = kind_at(s, first);
    uint32_t rest = s->n - first, most = MIN(rest, (uint32_t)(kind ? HISTOGRAM_SAMPLES_MAX : SERIES_SAMPLES_MAX));
    for (uint32_t n = 1; n < most; n++) {
        if (s->histograms && kind_at(s, first + n) != kind) return n;
        if (most < rest && n >= CHUNK_CUT_MIN && span_of(s->times_ns[first + n]) != span_of(s->times_ns[first + n - 1]))
            return n;
    }
    return most;
}

static void put_histograms(const struct samples *s, uint32_t first, uint32_t n, struct buf *out) {
    struct histogram rows[HISTOGRAM_SAMPLES_MAX];
    for (uint32_t i = 0; i < n; i++) rows[i] = *s->histograms[first + i];
    histograms_encode(rows, n, EFFORT_FULL, out);
}

static bool has_start(const struct samples *s, uint32_t first, uint32_t n) {
    for (uint32_t i = first; s->starts_ns && i < first + n; i++)
        if (s->starts_ns[i]) return true;
    return false;
}

/* Start times in front: they end by themselves. Most series of a process begin with it, so most chunks say nothing here. */
static int put_starts(struct series_writer *w, const int64_t *starts, uint32_t n) {
    bool same = w->start_before != INT64_MIN;
    for (uint32_t i = 0; i < n && same; i++) same = starts[i] == w->start_before;
    w->start_before = starts[n - 1];
    if (!same) frames_encode(starts, n, EFFORT_FULL, &w->chunk_data);
    return same ? CHUNK_STARTS | CHUNK_SAME_START : CHUNK_STARTS;
}

static err put_chunk(struct series_writer *w, const struct samples *s, uint32_t first, uint32_t n) {
    bool is_histogram = kind_at(s, first);
    int kind = is_histogram ? CHUNK_HISTOGRAM : 0;
    size_t start = w->chunk_data.n;
    uint64_t times;
    TRY(intern_times(w, s->times_ns + first, n, &times));
    if (has_start(s, first, n)) kind |= put_starts(w, s->starts_ns + first, n);
    if (is_histogram)
        put_histograms(s, first, n, &w->chunk_data);
    else
        values_encode(s->values + first, n, EFFORT_FULL, &w->chunk_data);
    buf_add_byte(&w->chunk_kinds, (char)kind);
    *vec_push(&w->chunk_samples) = n;
    *vec_push(&w->chunk_times) = times;
    *vec_push(&w->chunk_sizes) = w->chunk_data.n - start;
    w->info.chunks++;
    return NULL;
}

static err put_series_page(struct series_writer *w) {
    AUTO_BUF struct buf page;
    buf_init(&page, BUFFER_MAX);
    if (w->chunk_counts.n == 0) return NULL;
    put_ints(&w->chunk_counts, &page);
    put_varint(&page, (uint32_t)w->chunk_samples.n);
    buf_add_str(&page, buf_str(&w->chunk_kinds));
    put_ints(&w->chunk_samples, &page);
    put_ints(&w->chunk_times, &page);
    put_ints(&w->chunk_sizes, &page);
    buf_add_str(&page, buf_str(&w->chunk_data));
    if (page.full || w->chunk_data.full) return err_new(ERR_LIMIT, "the chunks of one series are too large");
    TRY(series_writer_put_page(w, PAGE_SERIES, buf_str(&page), (uint32_t)w->chunk_counts.n, w->page_first));
    w->page_first += (uint32_t)w->chunk_counts.n;
    w->start_before = INT64_MIN;
    vec_clear(&w->chunk_counts);
    vec_clear(&w->chunk_samples);
    vec_clear(&w->chunk_times);
    vec_clear(&w->chunk_sizes);
    buf_clear(&w->chunk_kinds);
    buf_clear(&w->chunk_data);
    return NULL;
}

static err check_order(struct series_writer *w, struct labels l) {
    if (w->info.series && label_set_compare(w->before_labels, l) >= 0)
        return err_new(ERR_INTERNAL, "series are not written in order");
    if (w->info.series == UINT32_MAX) return err_new(ERR_LIMIT, "over 2^32 series");
    buf_clear(&w->before);
    arena_clear(&w->before_arena);
    label_set_write(l, &w->before);
    return label_set_read(buf_str(&w->before), &w->before_arena, &w->before_labels) ? NULL
                                                                                    : arena_err(&w->before_arena);
}

err series_writer_begin(struct series_writer *w, struct labels l) {
    TRY_WRAP(check_order(w, l), "writing series %s", w->path);
    if (w->chunk_data.n >= PAGE_BYTES || w->chunk_counts.n == PAGE_SERIES_MAX)
        TRY_WRAP(put_series_page(w), "writing series %s", w->path);
    w->chunks_before = w->info.chunks;
    return NULL;
}

err series_writer_put(struct series_writer *w, const struct samples *s, bool last, uint32_t *out_taken) {
    uint32_t at = 0;
    while (at < s->n && (last || s->n - at > SERIES_SAMPLES_MAX)) { /* what follows cannot change where that ends */
        uint32_t n = chunk_length(s, at);
        TRY_WRAP(put_chunk(w, s, at, n), "writing series %s", w->path);
        at += n;
    }
    *out_taken = at;
    if (at == 0) return NULL;
    w->info.samples += at;
    w->info.time_min = MIN(w->info.time_min, s->times_ns[0]);
    w->info.time_max = MAX(w->info.time_max, s->times_ns[at - 1]);
    return NULL;
}

void series_writer_end(struct series_writer *w) {
    assert(w->info.chunks > w->chunks_before);
    *vec_push(&w->chunk_counts) = w->info.chunks - w->chunks_before;
    series_writer_add_labels(w, w->before_labels);
    w->info.series++;
}

/* ---- exemplars ------------------------------------------------------------------------------------------------------- */

static err put_exemplars(struct series_writer *w) {
    AUTO_BUF struct buf page;
    buf_init(&page, BUFFER_MAX);
    if (w->exemplar_rows.n == 0) return NULL;
    put_ints(&w->exemplar_rows, &page);
    put_ints(&w->exemplar_times, &page);
    put_ints(&w->exemplar_values, &page);
    put_ints(&w->exemplar_ends, &page);
    buf_add_str(&page, buf_str(&w->exemplar_data));
    TRY(series_writer_put_page(w, PAGE_EXEMPLARS, buf_str(&page), (uint32_t)w->exemplar_rows.n,
                               (uint32_t)w->exemplar_rows.v[0]));
    vec_clear(&w->exemplar_rows);
    vec_clear(&w->exemplar_times);
    vec_clear(&w->exemplar_values);
    vec_clear(&w->exemplar_ends);
    buf_clear(&w->exemplar_data);
    return NULL;
}

err series_writer_add_exemplar(struct series_writer *w, const struct exemplar *e) {
    if (w->exemplar_rows.n == PAGE_EXEMPLARS_MAX) TRY(put_exemplars(w));
    label_set_write(e->labels, &w->exemplar_data);
    *vec_push(&w->exemplar_rows) = w->info.series - 1;
    *vec_push(&w->exemplar_times) = (uint64_t)e->time_ns;
    *vec_push(&w->exemplar_values) = bits_of_double(e->value);
    *vec_push(&w->exemplar_ends) = w->exemplar_data.n;
    return NULL;
}

void series_writer_leave_out(struct series_writer *w) { w->info.exemplars_left_out++; }

/* ---- the end --------------------------------------------------------------------------------------------------------- */

static err finish(struct series_writer *w) {
    if (w->info.series == 0) return err_new(ERR_NOT_FOUND, "no series to write");
    TRY(put_series_page(w));
    TRY(put_vectors(w));
    TRY(put_exemplars(w));
    TRY(series_writer_put_labels(w));
    while ((w->offset + w->out.n) % 8) buf_add_byte(&w->out, 0);
    struct series_footer f = {.table_offset = w->offset + w->out.n,
                              .series = w->info.series,
                              .samples = w->info.samples,
                              .chunks = w->info.chunks,
                              .time_min = w->info.time_min,
                              .time_max = w->info.time_max};
    size_t table = w->out.n;
    for (int k = 0; k < PAGE_KINDS; k++) {
        f.pages[k] = (uint32_t)w->pages[k].n;
        buf_add(&w->out, w->pages[k].v, w->pages[k].n * sizeof *w->pages[k].v);
    }
    if (w->out.full) return err_new(ERR_LIMIT, "the page table is too large");
    f.table_checksum = hash_bytes(w->out.p + table, w->out.n - table);
    f.file_size = w->offset + w->out.n + sizeof f;
    memcpy(f.magic, SERIES_END_MAGIC, sizeof f.magic);
    f.checksum = hash_bytes(&f, offsetof(struct series_footer, checksum));
    buf_add(&w->out, &f, sizeof f);
    TRY(write_out(w));
    TRY(file_sync(w->file));
    w->info.bytes = f.file_size;
    return NULL;
}

err series_writer_finish(struct series_writer *w, struct series_info *out) {
    TRY_WRAP(finish(w), "writing series %s", w->path);
    file_close(w->file);
    w->file = NULL;
    *out = w->info;
    return NULL;
}
