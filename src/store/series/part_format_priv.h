/* The bytes of a file of series (docs/formats/series.md), little-endian, as structs.
 *
 *   header │ pages, by kind: series, times, exemplars, names, shapes, values, postings, columns │ page table │ footer
 *
 * Numbers of enum page_kind are part of the format: add at the end, never renumber.
 */
#pragma once

#include "store/column/codes_priv.h"
#include "store/column/ints_priv.h"
#include "store/series/part_priv.h"

#define SERIES_MAGIC "CLEWSERI"
#define SERIES_END_MAGIC "CLEWIRES"

enum {
    SERIES_VERSION = 1,
    SERIES_FEATURES = 1,   /* required-feature bits that this build knows: 1: CHUNK_SAME_START */
    PAGE_BYTES = 64 << 10, /* a page of series or times ends after it has so many bytes */
    PAGE_SERIES_MAX = 256,
    PAGE_VECTORS_MAX = 1024,
    PAGE_EXEMPLARS_MAX = 1024,
    VALUES_GROUP = 16,     /* texts of a dictionary that share prefixes */
    COLUMN_SEGMENT = 4096, /* rows */
    CHUNK_CUT_MIN =
        128, /* a chunk of so many samples ends where a span of CHUNK_SPAN_NS ends, so that series stay in step */
    NAMES_LIMIT = 1 << 17,
};
#define CHUNK_SPAN_NS (INT64_C(7200) * 1000000000)

struct series_header {
    char magic[8];
    uint32_t version, features;
    uint64_t id;
    uint64_t reserved[4];
    uint64_t checksum; /* of the bytes before it */
};
_Static_assert(sizeof(struct series_header) == 64, "on disk");

enum page_kind {
    PAGE_SERIES,    /* directory of up to 256 series and their chunks */
    PAGE_TIMES,     /* vectors of timestamps */
    PAGE_EXEMPLARS, /* by series */
    PAGE_NAMES,     /* one: dictionary of label names */
    PAGE_SHAPES,    /* one: sets of names, and which set each series has */
    PAGE_VALUES,    /* one a name: dictionary of its values */
    PAGE_POSTINGS,  /* one a name: for each value, and first for none, which series have it */
    PAGE_COLUMN,    /* one a name: for each series the number of its value + 1, 0 for none */
    PAGE_KINDS
};

struct series_page {
    uint64_t offset;
    uint32_t size, count; /* count: series, vectors, exemplars, texts, values */
    uint32_t first;       /* series, vector or series of the first exemplar */
    uint32_t reserved;
    uint64_t checksum;
};
_Static_assert(sizeof(struct series_page) == 32, "on disk");

struct series_footer {
    uint32_t pages[PAGE_KINDS]; /* how many; they stand in this order */
    uint64_t table_offset, table_checksum;
    uint64_t series, samples, chunks;
    int64_t time_min, time_max;
    uint64_t file_size;
    uint64_t reserved[2];
    uint64_t checksum; /* of the bytes before it */
    char magic[8];
};
_Static_assert(sizeof(struct series_footer) == 128, "on disk");

/* Chunk kinds, a byte each in a page of series. */
enum {
    CHUNK_HISTOGRAM = 1,
    CHUNK_STARTS = 2,
    CHUNK_SAME_START =
        4, /* with CHUNK_STARTS: all start as the last sample of the chunk with start times before it; nothing is written */
    CHUNK_BITS = 7
};
enum { COLUMN_RUNS = 0, COLUMN_SEGMENTS = 1 };

static inline uint32_t load_u32(const unsigned char *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* ---- columns of numbers, any of which is reached at once ---------------------------------------------------------- */

/* n numbers, of which most repeat the one before: runs; else segments of 4,096. */
void label_column_encode(const uint64_t *v, uint32_t n, struct buf *out);
void label_column_encode_runs(const uint32_t *ends, const uint32_t *values, uint32_t runs, struct buf *out);
struct column {
    uint32_t n, runs;
    const unsigned char *ends, *end; /* of runs; or where each segment begins */
    struct codes codes;
};
bool label_column_open(struct str bytes, uint32_t n, struct column *out);
bool label_column_get(const struct column *c, uint32_t row, uint64_t *out); /* false: damaged */

/* ---- dictionaries of texts, ascending ------------------------------------------------------------------------------ */

void label_dictionary_encode(const struct str *texts, uint32_t n, struct buf *out);
struct dictionary {
    uint32_t n;
    const unsigned char *groups, *texts, *end;
};
/* Checks every text and their order. */
bool label_dictionary_check(struct str bytes, uint32_t n);
void label_dictionary_open(struct str bytes, uint32_t n, struct dictionary *out); /* of checked bytes */
/* Text i, appended to a buffer that is cleared first. */
void label_dictionary_get(const struct dictionary *d, uint32_t i, struct buf *out);
/* The first text that is not less than `text`; n if there is none. */
uint32_t label_dictionary_seek(const struct dictionary *d, struct str text, struct buf *scratch);

/* ---- which series have a value ------------------------------------------------------------------------------------- */

/* Few runs as numbers, else roaring's portable form. `rows` ascend. */
void posting_encode(const uint32_t *rows, uint32_t n, struct buf *out);
void posting_encode_rest(const uint32_t *rows, uint32_t n, uint32_t all,
                         struct buf *out); /* those of 0..all-1 that are not there */
/* NULL: damaged, or a row is not below `rows`. Roaring's own reader trusts its bytes, so they are checked here first. */
struct roaring_bitmap_s *posting_read(struct str bytes, uint32_t rows);
