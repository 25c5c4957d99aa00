/* The bytes of a part file (docs/formats/part.md), little-endian, as structs.
 *
 *   header │ group 0 │ group 1 │ … │ sections (dictionaries, trace index, groups, blocks) │ footer
 *
 * Numbers of enum field, enum set and enum value_type are part of the format: add at the end, never renumber.
 */
#pragma once

#include "store/part/part_priv.h"

#define PART_MAGIC "CLEWPART"
#define PART_END_MAGIC "CLEWTRAP"

enum {
    PART_VERSION = 1,
    PART_FEATURE_ENDS = 1, /* strings and shapes that are not compressed have the end of each in place of its size */
    PART_FEATURE_CORRELATION =
        2, /* there are columns of correlation ids, which older builds would call damaged; not written without */
    PART_FEATURE_IDS_OF_ATTRIBUTE = 4, /* and some are told by an attribute: ENCODING_ATTRIBUTE; not written without */
    PART_FEATURES =                    /* required-feature bits that this build knows */
    PART_FEATURE_ENDS | PART_FEATURE_CORRELATION | PART_FEATURE_IDS_OF_ATTRIBUTE,
    PART_ALIGN_GROUP = 64,
    PART_ALIGN_BLOCK = 8,
    PART_GROUP_SMALL_BYTES = 1 << 20, /* a group of fewer bytes and rows is worth writing anew in a merge */
    PART_SECTION_BYTES_MAX = 1 << 30, /* of a section, decompressed: neither written nor read */
    PART_SECTION_ZIPPED_MAX =
        128 << 10, /* larger sections are not compressed: they are read in place and take no memory */
    PART_FETCH_CHILDREN_MAX = 1 << 24, /* what a batch can hold */
    PART_TEXT_MAX = 16 << 20,          /* longer texts are not split */
    PART_KEYS_FREQUENT = 256,          /* keys of a group that always get a column of their own */
    PART_KEY_ROWS_MIN = 16,            /* … and those with so many values */
};

/* Columns beside those of enum field. */
enum { COLUMN_ATTRIBUTE = 200, COLUMN_REST = 201 };

enum part_encoding {
    ENCODING_INTS = 1,  /* ints(n) */
    ENCODING_BASED = 2, /* ints(n): difference to the row's time (of events: to their span's) */
    ENCODING_RAW8 = 3,  /* n × 8 bytes */
    ENCODING_RUNS = 4,  /* u32 count │ count ids of 16 bytes │ ints(count): how many rows each lasts */
    ENCODING_IDS = 5,   /* u32 count │ count distinct ids of 16 bytes │ numbers(n) */
    ENCODING_RUN_TIMES =
        6, /* ints(runs): first time of each run of trace ids │ ints(n): difference to the row before */
    ENCODING_PARENTS = 7, /* u32 count │ ints(n) │ ints(count): rows of the escapes │ count × 8 bytes */
    ENCODING_CODES = 8,   /* u32 count │ ints(count): part codes │ numbers(n): strings, shapes, resources, scopes */
    ENCODING_OWN = 9,     /* u32 count │ numbers(n) │ texts(count): distinct texts of this group */
    ENCODING_TEXTS = 10,  /* texts(n) */
    ENCODING_REST = 11,   /* u32 count │ ints(count): part keys │ bytes: values of rare keys, row by row */
    ENCODING_ATTRIBUTE = 12, /* u32 part key: a row's text is its attribute of that key, empty if it has none */
    ENCODINGS
};
/* numbers: NUMBERS_PACKED codes(n), or NUMBERS_INTS ints(n).
 * texts: TEXTS_BYTES ints(n): sizes │ bytes; or TEXTS_SPLIT a text block.   bytes: u32 raw size │ zstd frame to the block's end */
enum { NUMBERS_PACKED = 0, NUMBERS_INTS = 1, TEXTS_BYTES = 0, TEXTS_SPLIT = 1 };
/* ENCODING_PARENTS: what is not a distance. A distance d ≠ 0 is 2 + its zigzag. */
enum { PARENT_NONE = 0, PARENT_ESCAPED = 1 };

struct part_header {
    char magic[8];
    uint32_t version, features;
    uint32_t signal, group_rows;
    uint64_t id;
    uint64_t reserved[3];
    uint64_t checksum; /* of the bytes before it */
};
_Static_assert(sizeof(struct part_header) == 64, "on disk");

enum part_section {
    SECTION_STRINGS,   /* zstd: count, sizes, bytes; or, if not compressed: count, ends, bytes */
    SECTION_SKELETONS, /* the same */
    SECTION_KEYS,      /* zstd: {name code, value type} */
    SECTION_SHAPES,    /* zstd: count, key counts, keys; or count, ends, keys */
    SECTION_ENTITIES,  /* zstd: a batch blob with resources and scopes */
    SECTION_TRACES,    /* hash_index: of trace ids, and of texts of correlation ids */
    SECTION_GROUPS,    /* struct part_group */
    SECTION_BLOCKS,    /* struct part_block */
    SECTIONS
};

struct part_section_place {
    uint64_t offset, size;
    uint64_t raw_size; /* after zstd; 0: not compressed */
    uint64_t checksum; /* of the bytes in the file */
};

struct part_footer {
    struct part_section_place sections[SECTIONS];
    uint64_t rows;
    int64_t time_min, time_max;
    uint32_t groups, small_groups;
    uint64_t file_size;
    uint64_t reserved[2];
    uint64_t checksum; /* of the bytes before it */
    char magic[8];
};
_Static_assert(sizeof(struct part_footer) == 32 * SECTIONS + 72, "on disk");

struct part_group {
    uint64_t offset, size;
    int64_t time_min, time_max;
    uint32_t set_rows[3]; /* SET_ROWS, SET_EVENTS, SET_LINKS */
    uint32_t block_first, block_count, reserved;
};
_Static_assert(sizeof(struct part_group) == 56, "on disk");

/* Sorted within a group by (set, field, key). */
struct part_block {
    uint8_t set, field, encoding, reserved;
    uint32_t key;    /* part key of COLUMN_ATTRIBUTE, else 0 */
    uint32_t offset; /* from the group's, / 8 */
    uint32_t size;
    uint32_t count; /* values */
    uint32_t reserved2;
    uint64_t checksum;
};
_Static_assert(sizeof(struct part_block) == 32, "on disk");

static inline uint64_t part_block_order(uint8_t set, uint8_t field, uint32_t key) {
    return (uint64_t)set << 40 | (uint64_t)field << 32 | key;
}

/* Whether a section of so many bytes is compressed, if it is of a kind that is. */
static inline bool part_section_is_zipped(size_t n) { return n > 64 && n <= PART_SECTION_ZIPPED_MAX; }

static inline uint32_t load_u32(const void *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline uint64_t load_u64(const void *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
/* Worth writing anew when parts merge: few rows, and not because they are huge. */
static inline bool part_group_is_small(const struct part_group *g) {
    return g->set_rows[SET_ROWS] < PART_GROUP_ROWS / 2 && g->size < PART_GROUP_SMALL_BYTES;
}
/* Times from 2^63 on count as the maximum. */
static inline int64_t time_clamp(uint64_t time) { return time > INT64_MAX ? INT64_MAX : (int64_t)time; }

_Static_assert(FIELD_TRACE_ID == 0 && FIELD_DURATION == 4 && FIELD_STATUS_MESSAGE == 10 && FIELD_BODY == 15 &&
                   FIELD_SCHEMA_URL == 18 && FIELD_RESOURCE == 24 && FIELD_SHAPE == 26 && FIELD_SLOT == 27 &&
                   FIELD_CORRELATION == 28,
               "field numbers are on disk");
_Static_assert(SET_ROWS == 0 && SET_EVENTS == 1 && SET_LINKS == 2, "set numbers are on disk");
