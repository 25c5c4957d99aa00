/* What the files of the reader share. */
#pragma once

#include <stdatomic.h>

#include "store/series/frames_priv.h"
#include "store/series/part_format_priv.h"

struct series_part {
    _Atomic uint32_t refs;
    _Atomic bool doomed;
    char *path;
    struct str map;
    bool is_file, trust_checksums;
    struct series_info info;
    const struct series_page *pages[PAGE_KINDS];
    uint32_t page_count[PAGE_KINDS];
    _Atomic uint8_t *states[PAGE_KINDS]; /* of each page: 0 untouched, 1 good, 2 bad */
};

/* A page's bytes, verified at the first touch; ERR_CORRUPT names it. */
err series_page_touch(struct series_part *p, enum page_kind kind, uint32_t page, struct str *out);
err series_page_damaged(const struct series_part *p, enum page_kind kind, uint32_t page, const char *why);
/* The page with the greatest `first` that is not over `number`. */
uint32_t series_page_find(const struct series_part *p, enum page_kind kind, uint32_t number);

/* What is open of one name. */
struct open_name {
    bool has_values, has_column;
    struct dictionary values;
    struct column column;
    struct str *known; /* texts that were read, by number; NULL until the first */
    uint32_t known_n;
};

/* A vector of timestamps, decoded. */
struct open_vector {
    uint32_t number, n; /* n 0: none */
    int64_t times_ns[SERIES_SAMPLES_MAX];
};

/* The directory of a page of series. */
struct open_page {
    uint32_t page, series, chunks; /* series 0: none */
    uint32_t first;
    uint32_t *chunk_first; /* of each series, and the end */
    uint8_t *kinds;
    uint64_t *samples, *times, *ends; /* ends: of each chunk's bytes in data */
    struct str data;
};

enum { VECTORS_KEPT = 64 };

struct series_reader {
    struct series_part *p;
    struct series_stats *stats;
    struct arena memory; /* texts that were read, directories of names */
    struct arena *texts; /* where texts are kept that were read; NULL: memory */
    struct buf text;

    bool has_names, has_shapes;
    struct dictionary names;
    struct open_name *name;
    uint32_t shapes;
    uint32_t *shape_first, *shape_names; /* of each shape, and the end */
    struct column shape_of;
    struct wanted *wanted; /* by place: what series_reader_find was asked last */

    struct open_page page;
    void *page_memory;
    struct open_vector *vectors;
    uint64_t asked_vector; /* of which it is known whether it overlaps a range */
    int64_t asked_min, asked_max;
    bool asked_overlaps;
    uint32_t time_page; /* + 1 */
    struct ints time_min, time_span, time_end;
    struct str time_data;
};

err series_reader_open_names(struct series_reader *r);
err series_reader_open_shapes(struct series_reader *r);
err series_reader_open_values(struct series_reader *r, uint32_t name);
err series_reader_open_column(struct series_reader *r, uint32_t name);
/* Number of a label name; r->names.n: the part has none such. */
err series_reader_find_name(struct series_reader *r, struct str name, uint32_t *out);
