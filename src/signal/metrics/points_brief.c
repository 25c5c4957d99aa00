#include "signal/metrics/points_brief.h"

#include "signal/batch_priv.h"
#include "signal/metrics/points_priv.h"

static void find_sections(const unsigned char *bytes, struct points_bytes *out) {
    const struct points_header *h = (const void *)bytes;
    const struct points_section_row *t = (const void *)(h + 1);
    for (uint32_t i = 0; i < h->section_count; i++)
        out[t[i].id] = (struct points_bytes){bytes + t[i].offset, t[i].size_bytes};
}

void points_put_sections(const struct points_header *from, const struct points_bytes *sections, uint32_t features,
                         struct buf *out) {
    static const char zeros[8];
    struct points_section_row rows[POINTS_SECTIONS];
    struct points_header h = *from;
    uint32_t n = 0;
    for (uint32_t id = 0; id < POINTS_SECTIONS; id++)
        if (sections[id].n)
            rows[n++] = (struct points_section_row){
                .id = id, .size_bytes = (uint32_t)sections[id].n, .element_size = points_element_sizes[id]};
    size_t size = align8(sizeof h + n * sizeof *rows);
    for (uint32_t i = 0; i < n; i++) {
        rows[i].offset = (uint32_t)size;
        size = align8(size + rows[i].size_bytes);
    }
    assert(size <= POINTS_BYTES_MAX);
    h.features = features;
    h.section_count = n;
    h.size_bytes = (uint32_t)size;
    buf_reserve(out, size);
    buf_add(out, &h, sizeof h);
    buf_add(out, rows, n * sizeof *rows);
    for (uint32_t i = 0; i < n; i++) {
        buf_add(out, sections[rows[i].id].p, rows[i].size_bytes);
        buf_add(out, zeros, align8(rows[i].size_bytes) - rows[i].size_bytes);
    }
}

/* ---- leaving labels out ------------------------------------------------------------------------------------------------ */

/* Strings that somebody other than a series row means. */
static void keep_shared(const struct points *p, uint8_t *kept) {
    kept[0] = 1;
    for (uint32_t i = 0; i < p->resource_count; i++)
        kept[p->resources[i].attributes] = kept[p->resources[i].schema_url] = 1;
    for (uint32_t i = 0; i < p->scope_count; i++) {
        const struct points_scope *s = &p->scopes[i];
        kept[s->name] = kept[s->version] = kept[s->attributes] = kept[s->schema_url] = 1;
    }
    for (uint32_t i = 0; i < p->metric_count; i++) {
        const struct points_metric *m = &p->metrics[i];
        kept[m->name] = kept[m->description] = kept[m->unit] = kept[m->metadata] = 1;
    }
    for (uint32_t i = 0; i < p->exemplar_count; i++) kept[p->exemplars[i].labels] = 1;
}

/* Strings that are kept keep their numbers. */
static void put_strings(const struct points *p, const uint8_t *kept, struct strings *out) {
    uint32_t n = p->string_count;
    while (n > 1 && !kept[n - 1]) n--; /* those behind the last that is kept go */
    strings_init(out);
    for (uint32_t i = 0; i < n; i++) strings_append(out, kept[i] ? points_string(p, i) : (struct str){0});
}

/* Labels that are not in the batch, once, however many rows have them. */
static uint32_t put_kept(const struct points *p, uint32_t row, struct strings *s) {
    return p->kept[row]->n ? strings_intern(s, *p->kept[row]) : 0;
}

void points_put_brief(const struct points *p, const uint32_t *numbers, struct buf *out) {
    const struct points_header *h = (const void *)p->blob->bytes;
    struct points_bytes sections[POINTS_SECTIONS] = {0};
    struct strings s;
    AUTO_FREE uint8_t *kept = mem_new(p->string_count);
    AUTO_FREE struct points_series *series = mem_new_array(struct points_series, (size_t)p->series_count + 1);
    bool brief = false, referring = p->series_count > 0; /* some row, all rows are numbers */
    keep_shared(p, kept);
    for (uint32_t i = 0; i < p->series_count; i++)
        if (!numbers || numbers[i] == POINTS_IN_FULL) kept[p->series[i].labels] = 1;
    put_strings(p, kept, &s);
    for (uint32_t i = 0; i < p->series_count; i++) {
        bool full = !numbers || numbers[i] == POINTS_IN_FULL;
        assert(full || numbers[i] < POINTS_NUMBER_END);
        uint32_t labels = p->series[i].labels;
        if (full && p->kept && p->kept[i]) labels = put_kept(p, i, &s);
        series[i] = (struct points_series){p->series[i].metric, full ? labels : POINTS_NUMBER_END | numbers[i]};
        brief |= !full;
        referring &= !full;
    }
    find_sections(p->blob->bytes, sections);
    sections[POINTS_STRING_END] = (struct points_bytes){s.end, s.n * sizeof *s.end};
    sections[POINTS_HEAP] = (struct points_bytes){s.heap, s.heap_size};
    sections[POINTS_SERIES] = (struct points_bytes){series, p->series_count * sizeof *series};
    bool packed = referring && points_pack(h, sections, POINTS_FEATURE_BRIEF, out);
    if (!packed) points_put_sections(h, sections, brief ? POINTS_FEATURE_BRIEF : 0, out);
    strings_done(&s);
}

size_t points_brief_bytes_max(const struct points *p) {
    size_t labels = p->kept ? p->kept_bytes + 4 * (size_t)p->series_count : 0;          /* and where each ends */
    return batch_bytes(p->blob).n + labels + sizeof(struct points_section_row) + 4 * 8; /* a heap, and what rounds */
}

struct batch_blob *points_whole(const struct points *p) {
    AUTO_BUF struct buf bytes;
    buf_init(&bytes, POINTS_BYTES_MAX);
    if (!p->kept) return batch_ref(p->blob);
    points_put_brief(p, NULL, &bytes);
    assert(!bytes.full && bytes.n <= points_brief_bytes_max(p));
    struct batch_blob *blob = points_blob_new(bytes.n, p->series_count, false);
    memcpy(blob->bytes, bytes.p, bytes.n);
    memcpy(points_blob_hashes(blob), p->hashes, p->series_count * sizeof *p->hashes);
    return blob;
}

/* ---- and back ------------------------------------------------------------------------------------------------------------ */

err points_brief_view(struct str bytes, struct points *out) {
    assert((uintptr_t)bytes.p % 8 == 0);
    *out = (struct points){0};
    if (points_are_packed(bytes)) return NULL; /* its rows are numbers */
    TRY(points_check_frame(bytes, POINTS_FEATURE_BRIEF));
    points_view_bytes((const unsigned char *)bytes.p, out);
    for (uint32_t i = 0; i < out->series_count; i++)
        if (out->series[i].labels < POINTS_NUMBER_END && out->series[i].labels >= out->string_count)
            return err_new(ERR_CORRUPT, "points: series %u has no labels", i);
    return NULL;
}

void points_brief_again(struct str bytes, struct points *out) {
    points_view_bytes((const unsigned char *)bytes.p, out);
}

bool points_brief_labels(const struct points *p, uint32_t row, struct str *out) {
    if (row >= p->series_count || p->series[row].labels >= POINTS_NUMBER_END) return false;
    *out = points_string(p, p->series[row].labels);
    return true;
}

/* The rows with their labels; new strings go to the end of the heap. False: more than a blob holds. */
static bool find_labels(const struct points *p, points_labels_fn find, void *context, struct points_series *series,
                        uint32_t *numbers, struct strings *s) {
    for (uint32_t i = 0; i < p->series_count; i++) {
        struct str labels = {0};
        series[i] = p->series[i];
        numbers[i] = POINTS_IN_FULL;
        if (series[i].labels < POINTS_NUMBER_END) continue;
        numbers[i] = series[i].labels - POINTS_NUMBER_END;
        series[i].labels = 0;
        if (!find(context, numbers[i], &labels)) {
            numbers[i] = POINTS_LOST;
        } else if (labels.n) {
            if (s->heap_size + labels.n > POINTS_BYTES_MAX / 2 || s->n >= POINTS_NUMBER_END - 1) return false;
            series[i].labels = strings_intern(s, labels); /* once, however many rows say it */
        }
    }
    return true;
}

static err open_with_labels(const struct points *p, const unsigned char *bytes, points_labels_fn find, void *context,
                            uint32_t *numbers, struct batch_blob **out) {
    struct points_bytes sections[POINTS_SECTIONS] = {0};
    struct strings s;
    AUTO_BUF struct buf whole;
    AUTO_FREE struct points_series *series = mem_new_array(struct points_series, (size_t)p->series_count + 1);
    buf_init(&whole, POINTS_BYTES_MAX);
    strings_init(&s);
    for (uint32_t i = 0; i < p->string_count; i++) strings_append(&s, points_string(p, i));
    err e = NULL;
    size_t others = ((const struct points_header *)(const void *)bytes)->size_bytes;
    if (!find_labels(p, find, context, series, numbers, &s) ||
        others + s.heap_size + s.n * sizeof *s.end > POINTS_BYTES_MAX - 64 * KIB)
        e = err_new(ERR_CORRUPT, "points: more labels than a batch holds");
    if (!e) {
        find_sections(bytes, sections);
        sections[POINTS_STRING_END] = (struct points_bytes){s.end, s.n * sizeof *s.end};
        sections[POINTS_HEAP] = (struct points_bytes){s.heap, s.heap_size};
        sections[POINTS_SERIES] = (struct points_bytes){series, p->series_count * sizeof *series};
        points_put_sections((const void *)bytes, sections, 0, &whole);
        e = points_open(buf_str(&whole), out);
    }
    strings_done(&s);
    return e;
}

static err open_plain(struct str bytes, points_labels_fn find, void *context, struct batch_blob **out,
                      uint32_t **out_numbers) {
    struct points p;
    TRY(points_brief_view(bytes, &p));
    AUTO_FREE uint32_t *numbers = mem_new_array(uint32_t, (size_t)p.series_count + 1);
    memset(numbers, 0xff, p.series_count * sizeof *numbers);
    const struct points_header *h = (const void *)bytes.p;
    if (h->features & POINTS_FEATURE_BRIEF)
        TRY(open_with_labels(&p, (const unsigned char *)bytes.p, find, context, numbers, out));
    else
        TRY(points_open(bytes, out));
    *out_numbers = take(&numbers);
    return NULL;
}

err points_open_brief(struct str bytes, points_labels_fn find, void *context, struct batch_blob **out,
                      uint32_t **out_numbers) {
    AUTO_BUF struct buf plain;
    buf_init(&plain, POINTS_BYTES_MAX);
    if (!points_are_packed(bytes)) return open_plain(bytes, find, context, out, out_numbers);
    TRY(points_unpack(bytes, &plain));
    return open_plain(buf_str(&plain), find, context, out, out_numbers);
}
