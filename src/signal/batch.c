/* Blobs: counting, viewing, and the check that everything in one can be followed without looking. */
#include "signal/batch.h"

#include "signal/any_priv.h"
#include "signal/batch_priv.h"

static const _Alignas(16) unsigned char nothing[16];

struct batch_blob *batch_blob_new(size_t size_bytes) {
    assert(size_bytes <= BLOB_SIZE_MAX);
    struct batch_blob *blob = mem_grow(NULL, sizeof *blob + size_bytes);
    blob->refs = 1;
    blob->size_bytes = (uint32_t)size_bytes;
    blob->pages = NULL;
    return blob;
}

struct batch_blob *batch_ref(struct batch_blob *blob) {
    atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
    return blob;
}

void batch_unref(struct batch_blob *blob) {
    if (!blob || atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel) > 1) return;
    points_pages_free(blob->pages);
    mem_free(blob);
}

struct str batch_bytes(const struct batch_blob *blob) {
    return str_span(blob->bytes, blob->size_bytes);
}

/* ---- view ------------------------------------------------------------------------------------------------------- */

static void view_section(struct batch *b, const struct blob_section *t, const void *p) {
    uint32_t n = t->size_bytes / t->element_size;
    switch (t->id) {
    case SECTION_STRING_END: b->string_end = p, b->string_count = n; return;
    case SECTION_HEAP: b->heap = p; return;
    case SECTION_KEYS: b->keys = p, b->key_count = n; return;
    case SECTION_SHAPE_END: b->shape_end = p, b->shape_count = n; return;
    case SECTION_SHAPE_KEYS: b->shape_keys = p; return;
    case SECTION_SLOTS: b->slots = p, b->slot_count = n; return;
    default: b->columns[t->id >> 6][t->id & 63] = (struct batch_column){p, n == 1 ? 0 : UINT32_MAX};
    }
}

static void view_bytes(const unsigned char *bytes, struct batch *out) {
    const struct blob_header *h = (const void *)bytes;
    const struct blob_section *table = (const void *)(h + 1);
    *out = (struct batch){.signal = (enum signal)h->signal,
                          .rows = h->set_rows[SET_ROWS],
                          .string_end = (const void *)nothing,
                          .heap = (const void *)nothing,
                          .keys = (const void *)nothing,
                          .shape_end = (const void *)nothing,
                          .shape_keys = (const void *)nothing,
                          .slots = (const void *)nothing,
                          .time_min = h->time_min,
                          .time_max = h->time_max};
    memcpy(out->set_rows, h->set_rows, sizeof out->set_rows);
    for (int s = 0; s < SETS; s++)
        for (int f = 0; f < FIELDS; f++) out->columns[s][f] = (struct batch_column){nothing, 0};
    for (uint32_t i = 0; i < h->section_count; i++) view_section(out, &table[i], bytes + table[i].offset);
}

void batch_view(struct batch_blob *blob, struct batch *out) {
    view_bytes(blob->bytes, out);
    out->blob = blob;
}

bool batch_find_attribute(const struct batch *b, enum set s, uint32_t row, struct str name, enum value_type *out_type,
                          uint64_t *out_value) {
    struct batch_attributes a = batch_attributes(b, s, row);
    for (uint32_t i = 0; i < a.n; i++) {
        const struct batch_key *key = &b->keys[a.keys[i]];
        if (!str_equal(batch_string(b, key->name), name)) continue;
        *out_type = (enum value_type)key->type;
        *out_value = a.values[i];
        return true;
    }
    return false;
}

struct str batch_attribute_text(const struct batch *b, enum set s, uint32_t row, struct str name) {
    struct batch_attributes a = batch_attributes(b, s, row);
    for (uint32_t i = 0; i < a.n; i++) {
        const struct batch_key *key = &b->keys[a.keys[i]];
        if (key->type == VALUE_STRING && str_equal(batch_string(b, key->name), name))
            return batch_string(b, (uint32_t)a.values[i]);
    }
    return (struct str){"", 0};
}

/* ---- the check -------------------------------------------------------------------------------------------------- */

#define CORRUPT(...) err_new(ERR_CORRUPT, "batch: " __VA_ARGS__)

static err check_header(const struct blob_header *h, size_t size_bytes) {
    if (memcmp(h->magic, BLOB_MAGIC, 4) != 0) return CORRUPT("no batch begins here");
    if (h->version > BLOB_VERSION || h->features & ~(uint32_t)BLOB_FEATURES)
        return err_new(
            ERR_INVALID,
            "batch: written by a newer clew (version %u, features %#x): open it with that release or a later one",
            h->version, h->features);
    if (h->version == 0 || h->reserved) return CORRUPT("version %u is none", h->version);
    if (h->size_bytes != size_bytes) return CORRUPT("%zu bytes where the header says %u", size_bytes, h->size_bytes);
    if (h->signal >= SIGNALS) return CORRUPT("signal %u", h->signal);
    if (h->section_count > SECTIONS_MAX) return CORRUPT("%u sections", h->section_count);
    if (size_bytes - sizeof *h < h->section_count * sizeof(struct blob_section))
        return CORRUPT("the section table is cut");
    for (int s = 0; s < SETS; s++) {
        if (h->set_rows[s] > BATCH_ROWS_MAX) return CORRUPT("%u %s", h->set_rows[s], set_names[s]);
        if (h->set_rows[s] && !field_in(FIELD_SHAPE, (enum signal)h->signal, (enum set)s))
            return CORRUPT("%s have no %s", signal_names[h->signal], set_names[s]);
    }
    return NULL;
}

static err check_column_section(const struct blob_header *h, const struct blob_section *t) {
    uint32_t set = t->id >> 6, field = t->id & 63;
    bool unasked = field == FIELD_CORRELATION && !(h->features & BLOB_FEATURE_CORRELATION);
    if (field >= FIELDS || unasked || !field_in((enum field)field, (enum signal)h->signal, (enum set)set))
        return CORRUPT("section %u is no field of %s", t->id, signal_names[h->signal]);
    uint32_t size = field_size((enum field)field), rows = h->set_rows[set];
    if (t->element_size != size || rows == 0 || (t->size_bytes != size && t->size_bytes != (uint64_t)size * rows))
        return CORRUPT("column %s of %s: %u bytes for %u rows", field_rows[field].name, set_names[set], t->size_bytes,
                       rows);
    return NULL;
}

static err check_sections(const struct blob_header *h) {
    static const uint8_t element_sizes[] = {4, 1, sizeof(struct batch_key), 4, 4, 8};
    const struct blob_section *table = (const void *)(h + 1);
    uint64_t next = sizeof *h + h->section_count * sizeof *table;
    for (uint32_t i = 0; i < h->section_count; i++) {
        const struct blob_section *t = &table[i];
        if (t->id >= SECTION_IDS || (i && t->id <= table[i - 1].id))
            return CORRUPT("section %u is out of order", t->id);
        if (t->offset != align8(next) || t->size_bytes > h->size_bytes || t->offset > h->size_bytes - t->size_bytes)
            return CORRUPT("section %u is out of bounds", t->id);
        next = (uint64_t)t->offset + t->size_bytes;
        if (t->id < SECTION_STRING_END) {
            TRY(check_column_section(h, t));
            continue;
        }
        uint32_t size = element_sizes[t->id - SECTION_STRING_END];
        if (t->element_size != size || t->size_bytes % size) return CORRUPT("section %u has a wrong size", t->id);
    }
    return align8(next) == h->size_bytes ? NULL
                                         : CORRUPT("%u bytes where the sections take %zu", h->size_bytes, align8(next));
}

/* Of a section that may be absent: its bytes. */
static uint32_t section_size(const struct blob_header *h, uint32_t id) {
    const struct blob_section *table = (const void *)(h + 1);
    for (uint32_t i = 0; i < h->section_count; i++)
        if (table[i].id == id) return table[i].size_bytes;
    return 0;
}

/* Strings, keys and shapes: everything that columns and slots point to. */
static err check_dictionaries(const struct blob_header *h, const struct batch *b) {
    if (b->string_count == 0 || b->string_end[0] != 0) return CORRUPT("string 0 is not the empty string");
    for (uint32_t i = 1; i < b->string_count; i++)
        if (b->string_end[i] < b->string_end[i - 1]) return CORRUPT("string %u ends before it starts", i);
    if (b->string_end[b->string_count - 1] != section_size(h, SECTION_HEAP))
        return CORRUPT("the strings do not end with the heap");
    for (uint32_t i = 0; i < b->key_count; i++)
        if (b->keys[i].name >= b->string_count || b->keys[i].type >= VALUE_TYPES || b->keys[i].unique > 1 ||
            b->keys[i].reserved)
            return CORRUPT("key %u is none", i);
    if (b->shape_count == 0 || b->shape_end[0] != 0) return CORRUPT("shape 0 has keys");
    for (uint32_t i = 1; i < b->shape_count; i++)
        if (b->shape_end[i] < b->shape_end[i - 1]) return CORRUPT("shape %u ends before it starts", i);
    uint32_t shape_keys = section_size(h, SECTION_SHAPE_KEYS) / 4;
    if (b->shape_end[b->shape_count - 1] != shape_keys) return CORRUPT("the shapes do not end with their keys");
    for (uint32_t i = 0; i < shape_keys; i++)
        if (b->shape_keys[i] >= b->key_count)
            return CORRUPT("a shape has key %u of %u", b->shape_keys[i], b->key_count);
    return NULL;
}

/* Every value of a column is below `limit`. */
static err check_below(const struct batch *b, enum set s, enum field f, uint32_t limit) {
    const struct batch_column *c = &b->columns[s][f];
    const uint32_t *values = c->p;
    uint32_t n = c->mask ? b->set_rows[s] : MIN(b->set_rows[s], 1u), bad = 0;
    for (uint32_t i = 0; i < n; i++) bad |= values[i] >= limit;
    return bad ? CORRUPT("%s of %s: a number is over %u", field_rows[f].name, set_names[s], limit) : NULL;
}

/* Ends rise and the last one is the whole set. */
static err check_ends(const struct batch *b, enum field f, enum set of) {
    uint32_t last = 0;
    for (uint32_t i = 0; i < b->rows; i++) {
        uint32_t end = batch_u32(b, SET_ROWS, f, i);
        if (end < last) return CORRUPT("%s falls at row %u", field_rows[f].name, i);
        last = end;
    }
    return last == b->set_rows[of] ? NULL : CORRUPT("%s ends at %u of %u", field_rows[f].name, last, b->set_rows[of]);
}

/* What the check of attributes carries: nested values that are known to be good (a bit per string), and how many slots rows
 * have used. Rows that shared slots could make a small blob mean terabytes, so all together may use each slot once. */
struct value_check {
    const struct batch *b;
    uint8_t *good;
    uint64_t slots_used;
};

static err check_nested(struct value_check *v, uint64_t id) {
    if (v->good[id / 8] >> id % 8 & 1) return NULL;
    struct any_check c = {0};
    if (any_check(wire_of(batch_string(v->b, (uint32_t)id)), &c) != ANY_OK)
        return CORRUPT("string %u is no AnyValue", (uint32_t)id);
    v->good[id / 8] |= (uint8_t)(1u << id % 8);
    return NULL;
}

static err check_attributes(struct value_check *v, enum set s) {
    const struct batch *b = v->b;
    TRY(check_below(b, s, FIELD_SHAPE, b->shape_count));
    for (uint32_t row = 0; row < b->set_rows[s]; row++) {
        uint32_t shape = batch_u32(b, s, FIELD_SHAPE, row), first = batch_u32(b, s, FIELD_SLOT, row);
        uint32_t n = b->shape_end[shape] - (shape ? b->shape_end[shape - 1] : 0);
        v->slots_used += n;
        if (first > b->slot_count || n > b->slot_count - first || v->slots_used > b->slot_count)
            return CORRUPT("the attributes of row %u of %s are not there", row, set_names[s]);
        struct batch_attributes a = batch_attributes(b, s, row);
        for (uint32_t i = 0; i < n; i++) {
            uint8_t type = b->keys[a.keys[i]].type;
            bool text = type == VALUE_STRING || type == VALUE_BYTES || type == VALUE_ANY;
            if (text && a.values[i] >= b->string_count)
                return CORRUPT("an attribute of row %u of %s has no string", row, set_names[s]);
            if (type == VALUE_ANY) TRY(check_nested(v, a.values[i]));
        }
    }
    return NULL;
}

static err check_bodies(struct value_check *v) {
    const struct batch *b = v->b;
    for (uint32_t row = 0; row < b->rows; row++) {
        uint32_t type = batch_u32(b, SET_ROWS, FIELD_BODY_TYPE, row);
        if (type == VALUE_ANY)
            TRY(check_nested(v, batch_u32(b, SET_ROWS, FIELD_BODY, row)));
        else if (type != VALUE_EMPTY && type != VALUE_STRING)
            return CORRUPT("the body of row %u has type %u", row, type);
    }
    return NULL;
}

static err check_values(const struct batch *b) {
    AUTO_FREE uint8_t *good = mem_new((size_t)b->string_count / 8 + 1); /* bounded by the blob: 4 bytes a string */
    struct value_check v = {b, good, 0};
    for (int s = 0; s < SETS; s++) {
        for (int f = 0; f < FIELDS; f++)
            if (field_rows[f].type == FIELD_STRING) TRY(check_below(b, (enum set)s, (enum field)f, b->string_count));
        TRY(check_attributes(&v, (enum set)s));
    }
    if (b->signal == SIGNAL_LOGS) TRY(check_bodies(&v));
    TRY(check_below(b, SET_ROWS, FIELD_RESOURCE, b->set_rows[SET_RESOURCES]));
    TRY(check_below(b, SET_ROWS, FIELD_SCOPE, b->set_rows[SET_SCOPES]));
    TRY(check_ends(b, FIELD_EVENT_END, SET_EVENTS));
    return check_ends(b, FIELD_LINK_END, SET_LINKS);
}

static err check_times(const struct batch *b) {
    int64_t low = INT64_MAX, high = INT64_MIN;
    for (uint32_t i = 0; i < b->rows; i++) {
        uint64_t t = batch_u64(b, SET_ROWS, FIELD_TIME, i);
        int64_t time = t > INT64_MAX ? INT64_MAX : (int64_t)t;
        low = MIN(low, time);
        high = MAX(high, time);
    }
    return low == b->time_min && high == b->time_max ? NULL : CORRUPT("the range of times is not that of the rows");
}

static err check_head(struct str bytes) {
    struct blob_header header;
    if (bytes.n < sizeof header || bytes.n > BLOB_SIZE_MAX) return CORRUPT("%zu bytes are none", bytes.n);
    memcpy(&header, bytes.p, sizeof header);
    return check_header(&header, bytes.n);
}

err batch_open_in_place(struct str bytes, struct batch *out) {
    TRY(check_head(bytes));
    const struct blob_header *h = (const void *)bytes.p;
    TRY(check_sections(h));
    view_bytes((const void *)bytes.p, out);
    TRY(check_dictionaries(h, out));
    TRY(check_values(out));
    return check_times(out);
}

err batch_open(struct str bytes, struct batch_blob **out) {
    struct batch b;
    TRY(check_head(bytes));
    struct batch_blob *blob = batch_blob_new(bytes.n);
    memcpy(blob->bytes, bytes.p, bytes.n);
    err e = batch_open_in_place(str_span(blob->bytes, bytes.n), &b);
    if (e) {
        batch_unref(blob);
        return e;
    }
    *out = blob;
    return NULL;
}
