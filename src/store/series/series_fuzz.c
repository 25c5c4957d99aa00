/* Hostile series: byte 0 picks what is read (a chunk of values, of histograms, timestamps, a posting, a dictionary, a whole file with
 * checksums that are not looked at) or values and integers to round-trip; byte 1 how many samples. */
#include <roaring/roaring.h>

#include "store/series/histogram_priv.h"
#include "store/series/part_format_priv.h"
#include "store/series/select_priv.h"
#include "store/series/times_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_values(struct str bytes, uint32_t n) {
    double all[SERIES_SAMPLES_MAX], some[SERIES_SAMPLES_MAX];
    uint32_t first = n / 3, count = n - first;
    err e = values_decode(bytes, n, 0, n, all), f = values_decode(bytes, n, first, count, some);
    if (!e && (f || memcmp(all + first, some, count * sizeof *some) != 0)) __builtin_trap();
    err_free(e);
    err_free(f);
}

static void read_histograms(struct str bytes, uint32_t n) {
    static struct histogram h[HISTOGRAM_SAMPLES_MAX], again[HISTOGRAM_SAMPLES_MAX];
    AUTO_ARENA struct arena a;
    AUTO_BUF struct buf b;
    n = 1 + n % HISTOGRAM_SAMPLES_MAX;
    arena_init(&a, 16 * MIB);
    buf_init(&b, 16 * MIB);
    err e = histograms_decode(bytes, n, &a, h);
    if (!e) {
        histograms_encode(h, n, EFFORT_FULL, &b);
        err f = histograms_decode(buf_str(&b), n, &a, again);
        for (uint32_t i = 0; !f && i < n; i++)
            if (!histogram_equal(&h[i], &again[i])) __builtin_trap();
        err_free(f);
    }
    err_free(e);
}

static void read_times(struct str bytes) {
    int64_t t[SERIES_SAMPLES_MAX];
    uint32_t n;
    err_free(times_decode(bytes, t, &n));
}

static void read_posting(struct str bytes) {
    roaring_bitmap_t *b = posting_read(bytes, 100000);
    if (!b) return;
    uint32_t *rows = mem_new_array(uint32_t, roaring_bitmap_get_cardinality(b) + 1);
    roaring_bitmap_to_uint32_array(b, rows);
    for (uint64_t i = 0; i < roaring_bitmap_get_cardinality(b); i++)
        if (rows[i] >= 100000 || (i && rows[i] <= rows[i - 1])) __builtin_trap();
    roaring_bitmap_flip_inplace(b, 0, 100000);
    roaring_bitmap_free(b);
    mem_free(rows);
}

static void read_dictionary(struct str bytes, uint32_t n) {
    struct dictionary d;
    AUTO_BUF struct buf text, found;
    buf_init(&text, LABEL_VALUE_BYTES_MAX);
    buf_init(&found, LABEL_VALUE_BYTES_MAX);
    if (!label_dictionary_check(bytes, n)) return;
    label_dictionary_open(bytes, n, &d);
    for (uint32_t i = 0; i < n; i++) {
        label_dictionary_get(&d, i, &text);
        if (label_dictionary_seek(&d, buf_str(&text), &found) != i) __builtin_trap();
    }
}

static void find_all(struct series_part *p, const struct selection *s) {
    struct series_stats stats = {0};
    struct series_reader *r = series_reader_new(p, &stats);
    uint32_t row = 0;
    bool found;
    for (uint32_t i = 0; i < selection_count(s); i++) {
        err e = series_reader_find(r, selection_labels(s, i), &row, &found);
        if (!e && found && row >= series_part_info(p)->series) __builtin_trap();
        err_free(e);
    }
    series_reader_free(r);
}

static void read_file(struct str bytes) {
    AUTO_ARENA struct arena a;
    struct series_part *p;
    struct series_stats stats = {0};
    struct selection *s = NULL;
    struct samples samples;
    struct label_matcher m;
    char *aligned = mem_new(bytes.n + 8);
    memcpy(aligned, bytes.p, bytes.n);
    arena_init(&a, 64 * MIB);
    err e = series_part_open_bytes(str_span(aligned, bytes.n), true, &p);
    if (!e && series_part_info(p)->series < 1000) {
        struct series_source source = {.part = p};
        samples_init(&samples, MIB);
        e = label_matcher_make(&a, STR("code"), MATCHER_NOT_REGEX, STR("4.."), &m);
        if (!e) e = series_select(&source, 1, &m, 1, INT64_MIN, INT64_MAX, &a, &stats, &s);
        struct selection_reader *r = s ? selection_reader_new(s, &stats) : NULL;
        for (uint32_t i = 0; s && i < selection_count(s); i++) err_free(selection_read(r, i, &samples));
        if (s) find_all(p, s);
        selection_reader_free(r);
        selection_free(s);
        label_matcher_done(&m);
        samples_done(&samples);
        series_part_unref(p);
    } else if (!e) {
        series_part_unref(p);
    }
    err_free(e);
    mem_free(aligned);
}

static void round_trip(struct str bytes) {
    double v[SERIES_SAMPLES_MAX], back[SERIES_SAMPLES_MAX];
    int64_t x[SERIES_SAMPLES_MAX], y[SERIES_SAMPLES_MAX];
    uint32_t n = (uint32_t)MIN(bytes.n / 8, (size_t)SERIES_SAMPLES_MAX);
    AUTO_BUF struct buf b;
    buf_init(&b, MIB);
    if (n == 0) return;
    memcpy(v, bytes.p, n * 8);
    memcpy(x, bytes.p, n * 8);
    for (int effort = EFFORT_CHEAP; effort <= EFFORT_FULL; effort++) {
        buf_clear(&b);
        values_encode(v, n, (enum effort)effort, &b);
        err e = values_decode(buf_str(&b), n, 0, n, back);
        if (e || memcmp(v, back, n * 8) != 0) __builtin_trap();
        buf_clear(&b);
        frames_encode(x, n, (enum effort)effort, &b);
        struct cursor c = cursor_of(buf_str(&b));
        frames_decode(&c, n, 0, n, y);
        if (c.bad || c.at != c.end || memcmp(x, y, n * 8) != 0) __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    uint32_t n = 1 + data[1] * 2u;
    struct str rest = str_span(data + 2, size - 2);
    switch (data[0] % 8) {
    case 0: read_values(rest, n); break;
    case 1: read_histograms(rest, n); break;
    case 2: read_times(rest); break;
    case 3: read_posting(rest); break;
    case 4: read_dictionary(rest, n); break;
    case 5: read_file(rest); break;
    default: round_trip(rest); break;
    }
    return 0;
}
