/* The decoder's memory: what earlier rows and requests teach about the next one.
 *
 *   prediction    per set: the keys of the row before, in order. The j-th attribute of a row most likely has the j-th key, so
 *                 its bytes are compared with that key's before anything is parsed; all keys alike means the same shape
 *   known keys    by name, kept across requests: numbers in this request's builder, and whether values repeat
 *   text cache    hash of the bytes → string id, direct-mapped. An entry may be stale (of an earlier request): it is believed
 *                 only if the builder's string under that id has these bytes, so nothing ever needs clearing
 *
 * Values that do not repeat (paths with numbers, ids, bodies) are not worth a hash: once more than half of at least 64
 * values of a key were new, its next requests append them unseen (batch_key.unique), and after 65,536 it is measured again.
 * Limits: 4,096 known keys of at most 120 bytes (others take the slow way); when full, all are forgotten.
 */
#pragma once

#include "base/hash.h"
#include "signal/any_priv.h"
#include "signal/batch_priv.h"
#include "signal/fault_priv.h"
#include "signal/otlp.h"

enum {
    KNOWN_KEYS_MAX = 4096,
    KNOWN_SLOTS = 2 * KNOWN_KEYS_MAX,
    KNOWN_NAME_MAX = 120,
    PREDICTED_MAX = 64,
    TEXT_CACHE = 8192,
    ATTRIBUTES_MAX = 16384,     /* of one row */
    REQUEST_ROWS_MAX = 1 << 20, /* also of events and of links */
    REQUEST_ATTRIBUTES_MAX = 1 << 24,
    MEASURE_MIN = 64,
    MEASURE_AGAIN = 1 << 16,
    NO_KEY = -1,
};
#define REQUEST_BYTES_MAX (512 * MIB)

struct text_stats {
    uint32_t seen, distinct;
    bool unique;
};

struct known_key {
    uint32_t hash;
    uint32_t generation;      /* request that the numbers are of */
    int32_t ids[VALUE_TYPES]; /* keys of the builder, or NO_KEY */
    struct text_stats stats;
    bool invalid_utf8;
    bool needs_escape; /* in JSON: not UTF-8, or has a quote, a backslash or a control character */
    uint8_t prefix_n;
    unsigned char prefix[]; /* the bytes of a KeyValue up to the value's length: 0a, size, name, 12 */
};

struct prediction {
    struct known_key *keys[PREDICTED_MAX];
    uint32_t n, shape;            /* of the row before; n > ATTRIBUTES_MAX: none yet */
    uint32_t ids[ATTRIBUTES_MAX]; /* its keys in the builder, overwritten as the next row comes */
};

struct cached_text {
    uint32_t hash, id;
};

struct otlp_decoder {
    struct batch_builder *b; /* one of the two below */
    struct batch_builder builders[SIGNALS];
    const struct otlp_limits *limits;
    struct fault fault;
    uint64_t drawn_bytes; /* of limits->budget */
    uint32_t generation, invalid_utf8;
    uint32_t rejected[OTLP_REASONS];
    uint32_t known_count;
    uint16_t known_slots[KNOWN_SLOTS]; /* index + 1 */
    struct known_key *known[KNOWN_KEYS_MAX];
    struct text_stats field_stats[SETS][FIELDS];
    struct text_stats never_unique; /* of resources, scopes and keys that are not known */
    struct cached_text texts[TEXT_CACHE];
    struct prediction predictions[SIGNALS][SETS];
};

/* The attributes of the row at hand. */
struct row_attributes {
    struct prediction *prediction;
    uint32_t n, first_slot;
    enum set set;
    bool same;     /* as the prediction, so far */
    bool too_many; /* the rest is read, but not kept */
};

/* Remembers the first fault; false, so that the compiler sees what follows from it. */
void decode_fault(struct otlp_decoder *d, const unsigned char *at, enum err_kind kind, const char *what)
    __attribute__((cold));
static inline bool decode_fail(struct otlp_decoder *d, const unsigned char *at, enum err_kind kind, const char *what) {
    decode_fault(d, at, kind, what);
    return false;
}
#define decode_malformed(d, w) decode_fail((d), (w).p, ERR_INVALID, "not a valid protobuf message")

void decode_begin(struct otlp_decoder *d); /* a new request */
/* Before columns or slots double: draws from the budget what they and the blob of them may take; false if over it. */
bool decode_draw(struct otlp_decoder *d) __attribute__((cold));
bool decode_draw_blob(struct otlp_decoder *d);
void decode_forget_keys(struct otlp_decoder *d);
uint32_t decode_text_slow(struct otlp_decoder *d, struct text_stats *stats, const unsigned char *p, size_t n,
                          struct cached_text *entry);
/* The known key of that name, made if it is new; NULL: the name is too long, or the table full. */
struct known_key *decode_find_key(struct otlp_decoder *d, struct str name);
bool decode_attribute_slow(struct otlp_decoder *d, struct row_attributes *a, struct wire w);
bool decode_value_slow(struct otlp_decoder *d, struct row_attributes *a, struct known_key *key, struct str name,
                       struct wire value);
/* Checks a nested value and keeps its bytes; *out is their string id. */
bool decode_nested(struct otlp_decoder *d, struct text_stats *stats, struct wire value, uint32_t *out);
int32_t decode_key_id(struct otlp_decoder *d, struct known_key *key, enum value_type type);

/* ---- hot ---------------------------------------------------------------------------------------------------------- */

static inline uint64_t load64(const void *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}
static inline uint32_t load32(const void *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

HOT_INLINE bool same_bytes(const unsigned char *a, const unsigned char *b, size_t n) {
    if (n >= 8) {
        if (n > 64) return memcmp(a, b, n) == 0;
        uint64_t differ = load64(a + n - 8) ^ load64(b + n - 8);
        for (size_t i = 0; i + 8 < n; i += 8) differ |= load64(a + i) ^ load64(b + i);
        return differ == 0;
    }
    if (n >= 4) return ((load32(a) ^ load32(b)) | (load32(a + n - 4) ^ load32(b + n - 4))) == 0;
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i]) return false;
    return true;
}

/* Of the size and at most 24 of the bytes: enough to find again what was seen; the bytes decide. n > 0. */
HOT_INLINE uint32_t text_hash(const unsigned char *p, size_t n) {
    uint64_t x, y;
    if (n >= 8) {
        x = load64(p);
        y = load64(p + n - 8);
        if (n > 16) y ^= load64(p + n / 2 - 4) * 0x9e3779b97f4a7c15u;
    } else if (n >= 4) {
        x = load32(p);
        y = load32(p + n - 4);
    } else {
        x = p[0] | (uint64_t)p[n / 2] << 8;
        y = p[n - 1];
    }
    return (uint32_t)(hash_mix(x ^ n * 0xa0761d6478bd642fu, y) >> 16);
}

/* The string id of a text: by the cache, else by the dictionary or (values that do not repeat) a new one. */
HOT_INLINE uint32_t decode_text(struct otlp_decoder *d, struct text_stats *stats, struct wire text) {
    size_t n = wire_left(&text);
    if (n == 0) return 0;
    stats->seen++;
    if (stats->unique) return decode_text_slow(d, stats, text.p, n, NULL);
    uint32_t hash = text_hash(text.p, n);
    struct cached_text *entry = &d->texts[hash % TEXT_CACHE];
    if (__builtin_expect(entry->hash == hash && entry->id < d->b->strings.n, 1)) {
        struct str known = strings_get(&d->b->strings, entry->id);
        if (known.n == n && same_bytes((const unsigned char *)known.p, text.p, n)) return entry->id;
    }
    entry->hash = hash;
    return decode_text_slow(d, stats, text.p, n, entry);
}

static inline struct row_attributes attributes_begin(struct otlp_decoder *d, enum set s) {
    struct prediction *p = &d->predictions[d->b->signal][s];
    return (struct row_attributes){p, 0, (uint32_t)d->b->slots.n, s, true, false};
}

HOT_INLINE bool attributes_push(struct otlp_decoder *d, struct row_attributes *a, int32_t key, uint64_t value) {
    if (__builtin_expect(a->n == ATTRIBUTES_MAX || d->b->slots.n >= REQUEST_ATTRIBUTES_MAX, 0)) {
        a->too_many = true;
        return a->n == ATTRIBUTES_MAX || decode_fail(d, NULL, ERR_LIMIT, "over 2^24 attributes in one request");
    }
    if (__builtin_expect(d->b->slots.n == d->b->slots.capacity, 0) && !decode_draw(d)) return false;
    uint32_t *id = &a->prediction->ids[a->n++];
    a->same &= *id == (uint32_t)key;
    *id = (uint32_t)key;
    *vec_push(&d->b->slots) = value;
    return true;
}

static inline void attributes_end(struct otlp_decoder *d, struct row_attributes *a, uint32_t row) {
    struct prediction *p = a->prediction;
    if (!a->same || a->n != p->n) {
        p->shape = batch_builder_shape(d->b, p->ids, a->n);
        p->n = a->n;
    }
    if (a->n == 0) return;
    builder_put_u32(d->b, a->set, FIELD_SHAPE, row, p->shape);
    builder_put_u32(d->b, a->set, FIELD_SLOT, row, a->first_slot);
}

static inline struct text_stats *value_stats(struct otlp_decoder *d, const struct row_attributes *a,
                                             struct known_key *key) {
    return key && a->set < SET_RESOURCES ? &key->stats : &d->never_unique;
}

static inline int32_t known_key_id(struct otlp_decoder *d, struct known_key *key, enum value_type type) {
    int32_t id = key->ids[type];
    return __builtin_expect(key->generation == d->generation && id != NO_KEY, 1) ? id : decode_key_id(d, key, type);
}

/* A value in the plain form that every sender writes: one member, which ends with the message. */
HOT_INLINE bool decode_value(struct otlp_decoder *d, struct row_attributes *a, struct known_key *key,
                             struct wire value) {
    struct wire w = value, text;
    uint64_t number;
    if (__builtin_expect(w.p < w.end, 1)) {
        unsigned char tag = *w.p++;
        if (tag == WIRE_TAG(1, WIRE_BYTES) && wire_bytes(&w, &text) && w.p == w.end) {
            int32_t id = known_key_id(d, key, VALUE_STRING);
            return attributes_push(d, a, id, decode_text(d, value_stats(d, a, key), text));
        }
        if (tag == WIRE_TAG(3, WIRE_VARINT) && wire_varint(&w, &number) && w.p == w.end)
            return attributes_push(d, a, known_key_id(d, key, VALUE_INT), number);
    }
    return decode_value_slow(d, a, key, str_span(key->prefix + 2, key->prefix_n - 3u), value);
}

/* One KeyValue message. */
HOT_INLINE bool decode_attribute(struct otlp_decoder *d, struct row_attributes *a, struct wire w) {
    if (__builtin_expect(a->n < PREDICTED_MAX, 1)) {
        struct known_key *key = a->prediction->keys[a->n];
        if (__builtin_expect(key && wire_left(&w) > key->prefix_n && same_bytes(w.p, key->prefix, key->prefix_n), 1)) {
            struct wire rest = {w.p + key->prefix_n, w.end}, value;
            if (__builtin_expect(wire_bytes(&rest, &value) && rest.p == rest.end, 1))
                return decode_value(d, a, key, value);
        }
    }
    return decode_attribute_slow(d, a, w);
}
