/* A file of series from end to end: every page, every label set, every chunk. */
#include "base/text.h"
#include "store/series/part_read_priv.h"

enum { LABELS_BYTES_MAX = 16 << 20, HISTOGRAMS_BYTES_MAX = 256 << 20 };

static void tell(struct buf *out, uint64_t *bad, err e) {
    if (!e) return;
    ++*bad;
    put_terminal(out, str_of(err_text(e)));
    buf_add_byte(out, '\n');
    err_free(e);
}

static void check_pages(struct series_part *p, struct buf *out, uint64_t *bad) {
    struct str bytes;
    for (int k = 0; k < PAGE_KINDS; k++)
        for (uint32_t i = 0; i < p->page_count[k]; i++)
            tell(out, bad, series_page_touch(p, (enum page_kind)k, i, &bytes));
}

/* All samples of a series, piece by piece. */
static err check_samples(struct series_reader *r, uint32_t row, struct samples *s, uint64_t *samples) {
    for (int64_t from = INT64_MIN, end = from; end < INT64_MAX; from = end + (end < INT64_MAX)) {
        samples_clear(s);
        TRY(series_reader_piece(r, row, from, INT64_MAX, &end));
        TRY(series_reader_read(r, row, from, end, s));
        *samples += s->n;
    }
    return NULL;
}

/* Each series is found by its own labels, comes after the one before, and has the samples that the footer counts. */
static err check_rows(struct series_reader *r, struct samples *s, struct arena *now, struct arena *before) {
    struct labels last = {0}, l;
    uint64_t samples = 0;
    for (uint32_t row = 0; row < r->p->info.series && !r->stats->bad_pages; row++) {
        arena_clear(now);
        TRY(series_reader_labels(r, row, now, &l));
        if (row && label_set_compare(last, l) >= 0)
            return series_page_damaged(r->p, PAGE_SHAPES, 0, "series are out of order");
        struct arena swap = *now;
        *now = *before;
        *before = swap;
        last = l;
        TRY(check_samples(r, row, s, &samples));
    }
    if (r->stats->bad_pages) return err_new(ERR_CORRUPT, "%s", r->stats->bad_text);
    return samples == r->p->info.samples ? NULL : err_new(ERR_CORRUPT, "series %s: samples are missing", r->p->path);
}

/* The postings of each name say what its column says. */
static err check_postings(struct series_reader *r, struct arena *a) {
    TRY(series_reader_open_names(r));
    for (uint32_t name = 0; name < r->names.n; name++) {
        TRY(series_reader_open_values(r, name));
        TRY(series_reader_open_column(r, name));
        for (uint32_t i = 0; i < r->name[name].values.n; i++) {
            struct label_matcher m;
            uint32_t *rows, n;
            uint64_t code = 0;
            arena_clear(a);
            label_dictionary_get(&r->names, name, &r->text);
            struct str label = arena_copy(a, buf_str(&r->text));
            label_dictionary_get(&r->name[name].values, i, &r->text);
            TRY(label_matcher_make(a, label, MATCHER_EQUAL, buf_str(&r->text), &m));
            TRY(series_reader_select(r, &m, 1, a, &rows, &n));
            for (uint32_t k = 0; k < n; k++)
                if (!label_column_get(&r->name[name].column, rows[k], &code) || code != i + 1)
                    return series_page_damaged(r->p, PAGE_POSTINGS, name, "a posting has a series with another value");
            if (n == 0) return series_page_damaged(r->p, PAGE_POSTINGS, name, "a value has no series");
        }
    }
    return NULL;
}

err series_part_check(const char *path, struct buf *out, uint64_t *out_bad) {
    struct series_part *p;
    struct series_stats stats = {0};
    *out_bad = 0;
    err e = series_part_open(path, &p);
    if (e && err_kind(e) != ERR_CORRUPT && err_kind(e) != ERR_INVALID) return e;
    tell(out, out_bad, e);
    if (e) return NULL;
    check_pages(p, out, out_bad);
    if (*out_bad == 0) {
        struct series_reader *r = series_reader_new(p, &stats);
        struct samples s;
        struct arena a, b;
        samples_init(&s, HISTOGRAMS_BYTES_MAX);
        arena_init(&a, LABELS_BYTES_MAX);
        arena_init(&b, LABELS_BYTES_MAX);
        tell(out, out_bad, check_rows(r, &s, &a, &b));
        arena_clear(&a);
        tell(out, out_bad, check_postings(r, &a));
        arena_done(&a);
        arena_done(&b);
        samples_done(&s);
        series_reader_free(r);
    }
    series_part_unref(p);
    return NULL;
}
