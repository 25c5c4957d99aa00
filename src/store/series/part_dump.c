/* A file of series as text. */
#include "base/text.h"
#include "store/series/part_read_priv.h"

enum { DUMP_BYTES_MAX = 256 << 20, SAMPLES_SHOWN_MAX = 1000 };

static const char *const kind_names[PAGE_KINDS] = {
    [PAGE_SERIES] = "series", [PAGE_TIMES] = "times",   [PAGE_EXEMPLARS] = "exemplars", [PAGE_NAMES] = "names",
    [PAGE_SHAPES] = "shapes", [PAGE_VALUES] = "values", [PAGE_POSTINGS] = "postings",   [PAGE_COLUMN] = "columns",
};

bool series_part_begins(struct str bytes) { return str_starts_with(bytes, STR(SERIES_MAGIC)); }

static void dump_pages(const struct series_part *p, struct buf *out) {
    for (int k = 0; k < PAGE_KINDS; k++) {
        uint64_t bytes = 0;
        for (uint32_t i = 0; i < p->page_count[k]; i++) bytes += p->pages[k][i].size;
        buf_add_fmt(out, "  %s: %u pages, %llu bytes\n", kind_names[k], p->page_count[k], (unsigned long long)bytes);
    }
}

static void dump_sample(const struct samples *s, uint32_t i, struct buf *out) {
    const struct histogram *h = samples_histogram(s, i);
    buf_add_text(out, "  ");
    put_time(out, s->times_ns[i]);
    buf_add_byte(out, ' ');
    if (h) buf_add_fmt(out, "native histogram of schema %d, %u buckets, sum ", h->schema, h->buckets);
    put_f64(out, h ? h->sum : s->values[i]);
    if (samples_start(s, i)) {
        buf_add_text(out, " since ");
        put_time(out, samples_start(s, i));
    }
    buf_add_byte(out, '\n');
}

/* One series; *left: how many lines may still come. */
static err dump_series(struct series_reader *r, uint32_t row, struct arena *a, uint64_t *left, struct buf *out) {
    struct labels l;
    struct samples s;
    TRY(series_reader_labels(r, row, a, &l));
    put_label_set(out, l);
    buf_add_byte(out, '\n');
    samples_init(&s, DUMP_BYTES_MAX);
    int64_t end;
    err e = series_reader_piece(r, row, INT64_MIN, INT64_MAX, &end); /* more is not shown */
    if (!e) e = series_reader_read(r, row, INT64_MIN, end, &s);
    for (uint32_t i = 0; i < s.n && i < SAMPLES_SHOWN_MAX && *left && !e; i++, --*left) dump_sample(&s, i, out);
    samples_done(&s);
    return e;
}

err series_part_dump(const char *path, uint64_t rows_max, struct buf *out) {
    AUTO_ARENA struct arena a;
    struct series_stats stats = {0};
    struct series_part *p;
    err e = NULL;
    arena_init(&a, DUMP_BYTES_MAX);
    TRY(series_part_open(path, &p));
    const struct series_info *i = series_part_info(p);
    buf_add_fmt(out, "file of series, id %llu, format %d: %llu series, %llu samples in %llu chunks, %llu bytes\n",
                (unsigned long long)i->id, SERIES_VERSION, (unsigned long long)i->series,
                (unsigned long long)i->samples, (unsigned long long)i->chunks, (unsigned long long)i->bytes);
    dump_pages(p, out);
    struct series_reader *r = series_reader_new(p, &stats);
    for (uint32_t row = 0; row < i->series && rows_max && !e; row++) {
        arena_clear(&a);
        e = dump_series(r, row, &a, &rows_max, out);
    }
    if (!e && stats.bad_pages) buf_add_fmt(out, "%s\n", stats.bad_text);
    series_reader_free(r);
    series_part_unref(p);
    return e;
}
