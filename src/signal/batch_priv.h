/* The bytes of a blob (docs/formats/batch.md) and the builder's inside, for this module alone.
 *
 *   header │ section table │ section │ section │ …      sections in order of their ids, each at a multiple of 8
 *
 * Builder invariant: columns are zero from row n to capacity, so that a new row costs nothing and zero values need not
 * be stored; who takes rows back clears them.
 */
#pragma once

#include <stdatomic.h>

#include "base/hash.h"
#include "signal/batch_build.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "blobs are little-endian and used in place");

enum {
    BLOB_VERSION = 1,
    BLOB_FEATURE_CORRELATION = 1, /* there is a column of correlation ids, which older builds would call corrupt */
    BLOB_FEATURES = BLOB_FEATURE_CORRELATION, /* required-feature bits that this build knows */
    BATCH_ROWS_MAX = 1 << 24,
};
#define BLOB_SIZE_MAX ((size_t)INT32_MAX)
#define BLOB_MAGIC "CLWB"

struct blob_header {
    char magic[4];
    uint16_t version;
    uint8_t signal;
    uint8_t reserved;
    uint32_t features;
    uint32_t size_bytes; /* of everything */
    uint32_t set_rows[SETS];
    uint32_t section_count;
    int64_t time_min, time_max;
};
static_assert(sizeof(struct blob_header) == 56, "on disk");

struct blob_section {
    uint32_t id;           /* of a column: set << 6 | field */
    uint32_t offset;       /* from the start of the blob */
    uint32_t size_bytes;   /* without the padding after it */
    uint32_t element_size; /* a column with one element is a constant */
};
static_assert(sizeof(struct blob_section) == 16, "on disk");

enum {
    SECTION_STRING_END = SETS << 6,
    SECTION_HEAP,
    SECTION_KEYS,
    SECTION_SHAPE_END,
    SECTION_SHAPE_KEYS,
    SECTION_SLOTS,
    SECTION_IDS,
    SECTIONS_MAX = SETS * FIELDS + SECTION_IDS - SECTION_STRING_END,
};
static_assert(FIELDS <= 64 && sizeof(struct batch_key) == 8, "on disk");

struct points_pages;
void points_pages_free(struct points_pages *p); /* takes NULL */

struct batch_blob {
    _Atomic uint32_t refs;
    uint32_t size_bytes;
    struct points_pages *pages; /* of points: what its series' labels lie in, if not in the bytes; else NULL */
    _Alignas(16) unsigned char bytes[];
};

struct batch_blob *batch_blob_new(size_t size_bytes); /* one reference; the bytes are undefined */

static inline size_t align8(size_t n) { return (n + 7) & ~(size_t)7; }

static inline uint32_t field_size(enum field f) {
    static const uint8_t sizes[] = {
        [FIELD_U32] = 4, [FIELD_U64] = 8, [FIELD_ID8] = 8, [FIELD_ID16] = 16, [FIELD_STRING] = 4};
    return sizes[field_rows[f].type];
}

/* ---- builder ---------------------------------------------------------------------------------------------------- */

/* Numbers by 32 bits of hash, open addressing; the owner compares content. */
struct index_table {
    uint64_t *slots; /* hash << 32 | number + 1; 0 empty */
    uint32_t mask, n;
};

struct builder_index {
    struct index_table keys, shapes;
    struct index_table contents[2]; /* resources, scopes, of rows below `indexed` */
    uint32_t indexed[2];
};

void index_add(struct index_table *t, uint32_t hash, uint32_t number);
void index_clear(struct index_table *t);

/* Makes the column of a field, all zero. */
void *builder_make_column(struct batch_builder *b, enum set s, enum field f);
void builder_grow_set(struct batch_builder *b, enum set s);

static inline void *builder_column(struct batch_builder *b, enum set s, enum field f) {
    void *c = b->sets[s].columns[f];
    return __builtin_expect(c != NULL, 1) ? c : builder_make_column(b, s, f);
}
/* The public setters, inline: a zero is stored only where the column exists. */
static inline void builder_put_u32(struct batch_builder *b, enum set s, enum field f, uint32_t row, uint32_t value) {
    uint32_t *c = b->sets[s].columns[f];
    if (!c && !value) return;
    if (!c) c = builder_make_column(b, s, f);
    c[row] = value;
}
static inline void builder_put_u64(struct batch_builder *b, enum set s, enum field f, uint32_t row, uint64_t value) {
    uint64_t *c = b->sets[s].columns[f];
    if (!c && !value) return;
    if (!c) c = builder_make_column(b, s, f);
    c[row] = value;
}
static inline uint32_t builder_add_row(struct batch_builder *b, enum set s) {
    struct builder_set *set = &b->sets[s];
    if (__builtin_expect(set->n == set->capacity, 0)) builder_grow_set(b, s);
    return set->n++;
}
/* batch_builder_mark, inline. */
static inline struct builder_mark builder_mark_now(const struct batch_builder *b) {
    struct builder_mark mark;
    for (int s = 0; s < SETS; s++) mark.n[s] = b->sets[s].n;
    mark.slots = b->slots.n;
    return mark;
}
