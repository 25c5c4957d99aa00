/* What the files of the head share: its tables and how they are reached. */
#pragma once

#include <stdatomic.h>

#include "base/vec.h"
#include "os/thread.h"
#include "store/series/head_priv.h"

enum {
    TABLE_BLOCK = 4096,
    TABLE_BLOCKS = HEAD_SERIES_MAX / TABLE_BLOCK,
    IDS_FIRST = 3,
    IDS_MOST = 1024,
    CHARGE_STEP = 256 << 10,
    ARENA_FIRST_BYTES = 4096
};

/* A growing list of ascending ids: blocks that never move. */
struct ids_block {
    struct ids_block *next;
    uint32_t n, capacity;
    uint32_t ids[];
};

struct pair {
    struct str value;
    uint32_t name, next; /* next: the following pair of the same name */
    uint32_t count;      /* series */
    struct ids_block *first, *last;
};

struct head_name {
    struct str name;
    uint32_t first, last, values, series;
};

/* A stripe: HEAD_ROWS rows of a row set, column by column, immutable. */
struct stripe {
    uint32_t rows, columns;
    int64_t first_ns;         /* the least time */
    const uint32_t *after_ms; /* of each row, how long after; NULL: times_ns */
    const int64_t *times_ns;  /* where milliseconds do not do */
    const uint32_t *masks;    /* per column, which rows it has; NULL: all have all */
    const int64_t *newest_ns; /* per column, its newest sample so far; NULL: none is without a row here */
    const uint32_t *anchors;  /* where column 16 × i begins */
    const uint16_t *sizes;
    const unsigned char *bytes;
};

struct open_row {
    int64_t time_ns;
    uint32_t capacity; /* columns */
    double *v;
    uint64_t *present;
};

struct row_set {
    uint32_t columns, rows;
    struct open_row row[HEAD_ROWS];
    struct stripe **stripes;
    uint32_t stripe_count, stripe_capacity;
};

struct late {
    int64_t time_ns, start_ns;
    double value;
    const struct histogram *histogram; /* NULL: value */
};

struct start_change {
    int64_t time_ns, start_ns;
};

/* Native histograms, encoded: immutable. */
struct histogram_chunk {
    struct histogram_chunk *next;
    uint32_t n, bytes;
    int64_t times_ns[HEAD_ROWS];
    uint64_t hashes[HEAD_ROWS]; /* histogram_hash: who says one again is told without decoding */
    unsigned char data[];
};

/* What few series have. */
struct head_extra {
    struct late *late; /* ascending in time */
    uint32_t late_count, late_capacity;
    uint32_t exemplar; /* number + 1 of the newest */
    VEC(struct start_change) starts;
    struct histogram_chunk *chunk_first, *chunk_last;
    uint32_t chunk_count, open_count;
    VEC(struct histogram_chunk *) chunks; /* the same, for the writer, who looks for times */
    struct {
        int64_t time_ns;
        struct histogram *h;
    } open[HEAD_ROWS];
    struct histogram *last_histogram; /* a copy: the newest sample, where it is one */
};

struct head_series {
    struct label_set_hash hash;
    const uint32_t *pairs;
    uint32_t set;
    uint16_t column : 15, ends_in_histogram : 1; /* the newest sample is one: extra->last_histogram */
    uint16_t pair_count;
    int64_t time_min, time_max; /* min > max: no samples */
    double last;
    struct head_extra *extra;
};
static_assert(sizeof(struct head_series) == 64, "none lies across two lines");

struct head_exemplar {
    int64_t time_ns;
    double value;
    struct str labels; /* labels_write */
    uint32_t before;   /* number + 1 of the series' older one */
};

struct head {
    _Atomic uint32_t refs;
    struct head_options options;
    struct lock lock;
    struct arena memory;           /* what lives as long as the head */
    uint64_t bytes, charged_bytes; /* all memory, and what of it the budget knows */

    struct head_series *series[TABLE_BLOCKS];
    uint32_t *seen
        [TABLE_BLOCKS]; /* of each series when a sample of it came last, in seconds of series_head_now + 1; 0: idle */
    int64_t *starts
        [TABLE_BLOCKS]; /* of each series that of its newest sample, which every sample asks for; NULL: 0 for all */
    struct pair *pairs[TABLE_BLOCKS];
    uint32_t series_count, pair_count;
    uint32_t *series_slots, *pair_slots; /* id + 1 */
    uint32_t series_mask, pair_mask;
    struct strings name_ids;
    VEC(struct head_name) names;

    struct row_set **sets;
    uint32_t set_count, set_capacity;
    struct {
        uint64_t key;
        uint32_t set; /* number + 1 */
    } * set_slots;
    uint32_t set_mask, set_keys;

    VEC(struct head_exemplar) exemplars;
    uint32_t series_allowed; /* over so many it is looked again how many are active */
    int64_t now_ns, began_ns;
    int64_t looked_ns; /* now, when it was looked last */
    int64_t churn_start_ns;
    uint32_t churn_count, limit_refusals;
    char offenders[320];
    struct head_stats stats;
    struct buf scratch;
};

static inline struct head_series *series_at(const struct head *h, uint32_t id) {
    return &h->series[id / TABLE_BLOCK][id % TABLE_BLOCK];
}
static inline int64_t stripe_time(const struct stripe *s, uint32_t row) {
    return s->times_ns ? s->times_ns[row] : s->first_ns + (int64_t)s->after_ms[row] * 1000000;
}
/* Which rows a column has in a stripe. */
static inline uint32_t stripe_mask(const struct stripe *s, uint32_t column) {
    if (column >= s->columns) return 0;
    return s->masks ? s->masks[column] : s->rows == 32 ? UINT32_MAX : (1u << s->rows) - 1;
}
/* A column's newest sample in this stripe and those before it; INT64_MIN: there is none. */
static inline int64_t stripe_newest(const struct stripe *s, uint32_t column) {
    if (column >= s->columns) return INT64_MIN;
    return s->newest_ns ? s->newest_ns[column] : stripe_time(s, 31 - (uint32_t)__builtin_clz(stripe_mask(s, column)));
}
static inline uint32_t *seen_at(const struct head *h, uint32_t id) {
    return &h->seen[id / TABLE_BLOCK][id % TABLE_BLOCK];
}
static inline int64_t start_of(const struct head *h, uint32_t id) {
    const int64_t *starts = h->starts[id / TABLE_BLOCK];
    return starts ? starts[id % TABLE_BLOCK] : 0;
}
/* What seen_at has of a series that a sample comes of now. */
static inline uint32_t seen_now(const struct head *h) {
    return (uint32_t)MIN(((uint64_t)h->now_ns - (uint64_t)h->began_ns) / 1000000000 + 1, (uint64_t)UINT32_MAX);
}
static inline struct pair *pair_at(const struct head *h, uint32_t id) {
    return &h->pairs[id / TABLE_BLOCK][id % TABLE_BLOCK];
}

/* Asks the budget for what a step may take, in advance; ERR_BUSY: nothing changed. */
err series_head_charge(struct head *h, uint64_t more, const char *what);
void *series_head_alloc(struct head *h, size_t n); /* as long as the head lives; zeroed */
void *series_head_grow(struct head *h, void *old, size_t old_n,
                       size_t n);                      /* counted heap memory, new bytes zeroed; freed by the caller */
void series_head_count_free(struct head *h, size_t n); /* counted heap memory that was freed */
struct head_extra *series_head_extra_of(struct head *h, struct head_series *s);
uint32_t series_head_find_pair(const struct head *h, uint32_t name, struct str value); /* id + 1, or 0 */
/* The column of a new series in the set of that key. */
void series_head_place(struct head *h, struct head_series *s, uint64_t key);
/* What is at a time (1): the verdict for the same or another value there, or SAMPLE_TAKEN if nothing is. Takes a few binary searches and
 * decodes one value at most, however much there is. Lock held. */
uint8_t series_head_compare_at(const struct head *h, const struct head_series *s, int64_t time_ns, double value,
                               const struct histogram *v);
/* The first of a series' late samples that is not before a time. */
uint32_t series_head_late_at(const struct head_extra *x, int64_t time_ns);
void series_head_extra_free(struct head_extra *x);
