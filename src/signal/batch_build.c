/* The builder: columns that appear with their first value that is not zero, and the blob they become. */
#include "signal/batch.h"

#include "signal/batch_priv.h"

/* ---- index of numbers by hash ----------------------------------------------------------------------------------- */

static void index_grow(struct index_table *t) {
    uint32_t old_count = t->slots ? t->mask + 1 : 0, count = old_count ? old_count * 2 : 64;
    uint64_t *old = t->slots;
    t->slots = mem_new_array(uint64_t, count);
    t->mask = count - 1;
    for (uint32_t i = 0; i < old_count; i++) {
        if (!old[i]) continue;
        uint32_t at = (uint32_t)(old[i] >> 32) & t->mask;
        while (t->slots[at]) at = (at + 1) & t->mask;
        t->slots[at] = old[i];
    }
    mem_free(old);
}

void index_add(struct index_table *t, uint32_t hash, uint32_t number) {
    if (!t->slots || t->n >= (t->mask + 1) / 2) index_grow(t);
    uint32_t at = hash & t->mask;
    while (t->slots[at]) at = (at + 1) & t->mask;
    t->slots[at] = (uint64_t)hash << 32 | (number + 1);
    t->n++;
}

void index_clear(struct index_table *t) {
    if (t->n) memset(t->slots, 0, ((size_t)t->mask + 1) * sizeof *t->slots);
    t->n = 0;
}

static void index_done(struct index_table *t) { mem_free(t->slots); }

/* ---- life ------------------------------------------------------------------------------------------------------- */

/* What every batch has: string 0, the empty one, and shape 0, without keys. */
static void add_zeroes(struct batch_builder *b) {
    strings_intern(&b->strings, STR(""));
    *vec_push(&b->shape_end) = 0;
}

void batch_builder_init(struct batch_builder *b, enum signal signal) {
    *b = (struct batch_builder){.signal = signal, .index = mem_new_of(struct builder_index)};
    strings_init(&b->strings);
    add_zeroes(b);
}

void batch_builder_done(struct batch_builder *b) {
    if (!b->index) return;
    for (int s = 0; s < SETS; s++)
        for (int f = 0; f < FIELDS; f++) mem_free(b->sets[s].columns[f]);
    strings_done(&b->strings);
    vec_done(&b->keys);
    vec_done(&b->shape_end);
    vec_done(&b->shape_keys);
    vec_done(&b->slots);
    index_done(&b->index->keys);
    index_done(&b->index->shapes);
    for (size_t i = 0; i < LENGTH(b->index->contents); i++) index_done(&b->index->contents[i]);
    mem_free(b->index);
    *b = (struct batch_builder){0};
}

/* Takes back the rows of a set from n on. */
static void cut_set(struct batch_builder *b, enum set s, uint32_t n) {
    struct builder_set *set = &b->sets[s];
    for (int f = 0; f < FIELDS; f++) {
        size_t size = field_size((enum field)f);
        if (set->columns[f]) memset((char *)set->columns[f] + n * size, 0, (set->n - n) * size);
    }
    set->n = n;
}

static void forget_contents(struct batch_builder *b, int which) {
    index_clear(&b->index->contents[which]);
    b->index->indexed[which] = 0;
}

void batch_builder_clear(struct batch_builder *b) {
    for (int s = 0; s < SETS; s++) cut_set(b, (enum set)s, 0);
    strings_clear(&b->strings);
    vec_clear(&b->keys);
    vec_clear(&b->shape_end);
    vec_clear(&b->shape_keys);
    vec_clear(&b->slots);
    index_clear(&b->index->keys);
    index_clear(&b->index->shapes);
    forget_contents(b, 0);
    forget_contents(b, 1);
    b->overfull = false;
    add_zeroes(b);
}

size_t batch_builder_bytes(const struct batch_builder *b) {
    size_t n = sizeof(struct blob_header) + SECTIONS_MAX * sizeof(struct blob_section) / 4;
    for (int s = 0; s < SETS; s++)
        for (int f = 0; f < FIELDS; f++)
            if (b->sets[s].columns[f]) n += (size_t)b->sets[s].n * field_size((enum field)f);
    return n + b->strings.heap_size + 4 * (size_t)b->strings.n + sizeof(struct batch_key) * b->keys.n +
           4 * (b->shape_end.n + b->shape_keys.n) + 8 * b->slots.n;
}

/* ---- rows and columns ------------------------------------------------------------------------------------------- */

void builder_grow_set(struct batch_builder *b, enum set s) {
    struct builder_set *set = &b->sets[s];
    uint32_t capacity = set->capacity ? set->capacity * 2 : 64;
    assert(set->n < BATCH_ROWS_MAX);
    for (int f = 0; f < FIELDS; f++) {
        if (!set->columns[f]) continue;
        size_t size = field_size((enum field)f);
        set->columns[f] = mem_grow(set->columns[f], capacity * size);
        memset((char *)set->columns[f] + set->capacity * size, 0, (capacity - set->capacity) * size);
    }
    set->capacity = capacity;
}

void *builder_make_column(struct batch_builder *b, enum set s, enum field f) {
    struct builder_set *set = &b->sets[s];
    assert(field_in(f, b->signal, s));
    if (!set->capacity) builder_grow_set(b, s);
    set->columns[f] = mem_new(set->capacity * (size_t)field_size(f));
    return set->columns[f];
}

uint32_t batch_builder_row(struct batch_builder *b, enum set s) { return builder_add_row(b, s); }

void batch_builder_set_u32(struct batch_builder *b, enum set s, enum field f, uint32_t row, uint32_t value) {
    assert(row < b->sets[s].n && field_size(f) == 4);
    builder_put_u32(b, s, f, row, value);
}

void batch_builder_set_u64(struct batch_builder *b, enum set s, enum field f, uint32_t row, uint64_t value) {
    assert(row < b->sets[s].n && field_size(f) == 8);
    builder_put_u64(b, s, f, row, value);
}

void batch_builder_set_id16(struct batch_builder *b, enum set s, enum field f, uint32_t row, const void *id) {
    assert(row < b->sets[s].n && field_size(f) == 16);
    memcpy((char *)builder_column(b, s, f) + 16 * (size_t)row, id, 16);
}

struct builder_mark batch_builder_mark(const struct batch_builder *b) {
    return builder_mark_now(b);
}

void batch_builder_rewind(struct batch_builder *b, struct builder_mark mark) {
    for (int s = 0; s < SETS; s++)
        if (b->sets[s].n > mark.n[s]) cut_set(b, (enum set)s, mark.n[s]);
    b->slots.n = mark.slots;
    for (int i = 0; i < 2; i++)
        if (b->index->indexed[i] > mark.n[SET_RESOURCES + i]) forget_contents(b, i);
}

/* ---- keys and shapes -------------------------------------------------------------------------------------------- */

uint32_t batch_builder_key(struct batch_builder *b, struct str name, enum value_type type) {
    struct index_table *t = &b->index->keys;
    uint32_t id = strings_intern(&b->strings, name);
    uint32_t hash = (uint32_t)(hash_keyed(id, type) >> 32), at;
    for (at = hash & t->mask; t->slots && t->slots[at]; at = (at + 1) & t->mask) {
        uint32_t key = (uint32_t)t->slots[at] - 1;
        if (b->keys.v[key].name == id && b->keys.v[key].type == type) return key;
    }
    uint32_t key = (uint32_t)b->keys.n;
    *vec_push(&b->keys) = (struct batch_key){.name = id, .type = (uint8_t)type};
    index_add(t, hash, key);
    return key;
}

uint32_t batch_builder_shape(struct batch_builder *b, const uint32_t *keys, uint32_t n) {
    struct index_table *t = &b->index->shapes;
    if (n == 0) return 0;
    uint64_t long_hash = n;
    for (uint32_t i = 0; i < n; i++) long_hash = hash_keyed(long_hash, keys[i]);
    uint32_t hash = (uint32_t)(long_hash >> 32), at;
    for (at = hash & t->mask; t->slots && t->slots[at]; at = (at + 1) & t->mask) {
        uint32_t shape = (uint32_t)t->slots[at] - 1, start = b->shape_end.v[shape - 1];
        if (t->slots[at] >> 32 == hash && b->shape_end.v[shape] - start == n &&
            memcmp(b->shape_keys.v + start, keys, n * sizeof *keys) == 0)
            return shape;
    }
    uint32_t shape = (uint32_t)b->shape_end.n;
    vec_reserve(&b->shape_keys, n);
    memcpy(b->shape_keys.v + b->shape_keys.n, keys, n * sizeof *keys);
    b->shape_keys.n += n;
    *vec_push(&b->shape_end) = (uint32_t)b->shape_keys.n;
    index_add(t, hash, shape);
    return shape;
}

void batch_builder_attributes(struct batch_builder *b, enum set s, uint32_t row, const uint32_t *keys, uint32_t n,
                              uint32_t first_slot) {
    assert(row < b->sets[s].n);
    builder_put_u32(b, s, FIELD_SHAPE, row, batch_builder_shape(b, keys, n));
    builder_put_u32(b, s, FIELD_SLOT, row, n ? first_slot : 0);
}

/* ---- the blob --------------------------------------------------------------------------------------------------- */

struct plan_section {
    const void *from;
    struct blob_section section;
};

struct plan {
    struct plan_section sections[SECTIONS_MAX];
    uint32_t n;
};

static void plan_add(struct plan *p, uint32_t id, const void *from, size_t count, uint32_t element_size) {
    if (count == 0) return;
    assert(count * element_size <= BLOB_SIZE_MAX);
    p->sections[p->n++] = (struct plan_section){
        from, {.id = id, .size_bytes = (uint32_t)(count * element_size), .element_size = element_size}};
}

/* One value for all rows takes one place; zero for all rows takes none. */
static void plan_column(struct plan *p, const struct builder_set *set, enum set s, enum field f) {
    static const unsigned char zero[16];
    const char *c = set->columns[f];
    uint32_t size = field_size(f);
    if (!c || set->n == 0) return;
    bool constant = memcmp(c, c + size, (size_t)(set->n - 1) * size) == 0;
    if (constant && memcmp(c, zero, size) == 0) return;
    plan_add(p, (uint32_t)s << 6 | f, c, constant ? 1 : set->n, size);
}

static void plan_make(struct plan *p, const struct batch_builder *b) {
    p->n = 0;
    for (int s = 0; s < SETS; s++)
        for (int f = 0; f < FIELDS; f++) plan_column(p, &b->sets[s], (enum set)s, (enum field)f);
    plan_add(p, SECTION_STRING_END, b->strings.end, b->strings.n, 4);
    plan_add(p, SECTION_HEAP, b->strings.heap, b->strings.heap_size, 1);
    plan_add(p, SECTION_KEYS, b->keys.v, b->keys.n, sizeof(struct batch_key));
    plan_add(p, SECTION_SHAPE_END, b->shape_end.v, b->shape_end.n, 4);
    plan_add(p, SECTION_SHAPE_KEYS, b->shape_keys.v, b->shape_keys.n, 4);
    plan_add(p, SECTION_SLOTS, b->slots.v, b->slots.n, 8);
}

/* Only what older builds cannot read asks for a newer one. */
static uint32_t plan_features(const struct plan *p) {
    for (uint32_t i = 0; i < p->n; i++)
        if (p->sections[i].section.id == (SET_ROWS << 6 | FIELD_CORRELATION)) return BLOB_FEATURE_CORRELATION;
    return 0;
}

static struct batch_blob *plan_write(struct plan *p, const struct blob_header *header) {
    size_t size = sizeof *header + p->n * sizeof(struct blob_section);
    for (uint32_t i = 0; i < p->n; i++) {
        p->sections[i].section.offset = (uint32_t)size;
        size = align8(size + p->sections[i].section.size_bytes);
        assert(size <= BLOB_SIZE_MAX);
    }
    struct batch_blob *blob = batch_blob_new(size);
    struct blob_header *h = (struct blob_header *)blob->bytes;
    *h = *header;
    h->section_count = p->n;
    h->size_bytes = (uint32_t)size;
    struct blob_section *table = (struct blob_section *)(h + 1);
    for (uint32_t i = 0; i < p->n; i++) {
        const struct blob_section *t = &p->sections[i].section;
        table[i] = *t;
        size_t padding = align8(t->size_bytes) - t->size_bytes;
        memcpy(blob->bytes + t->offset, p->sections[i].from, t->size_bytes);
        memset(blob->bytes + t->offset + t->size_bytes, 0, padding);
    }
    return blob;
}

/* A row without an end of its own has no events: ends never fall. */
static void level_ends(struct batch_builder *b, enum field f, enum set of) {
    uint32_t *ends = b->sets[SET_ROWS].columns[f], last = 0;
    for (uint32_t i = 0; ends && i < b->sets[SET_ROWS].n; i++) {
        last = MAX(last, ends[i]);
        ends[i] = last;
    }
    assert(last == b->sets[of].n); /* or batch_open would refuse it */
}

static void time_range(const struct batch_builder *b, int64_t *out_min, int64_t *out_max) {
    const uint64_t *times = b->sets[SET_ROWS].columns[FIELD_TIME];
    uint64_t low = UINT64_MAX, high = 0;
    for (uint32_t i = 0; i < b->sets[SET_ROWS].n; i++) {
        uint64_t t = times ? times[i] : 0;
        low = MIN(low, t);
        high = MAX(high, t);
    }
    *out_min = low > INT64_MAX ? INT64_MAX : (int64_t)low;
    *out_max = high > INT64_MAX ? INT64_MAX : (int64_t)high;
    if (b->sets[SET_ROWS].n == 0) *out_max = INT64_MIN;
}

struct batch_blob *batch_builder_finish(struct batch_builder *b) {
    if (b->sets[SET_ROWS].n) /* every row has a resource and a scope, if an empty one */
        for (enum set s = SET_RESOURCES; s <= SET_SCOPES; s++)
            if (b->sets[s].n == 0) builder_add_row(b, s);
    level_ends(b, FIELD_EVENT_END, SET_EVENTS);
    level_ends(b, FIELD_LINK_END, SET_LINKS);
    struct blob_header header = {.magic = BLOB_MAGIC, .version = BLOB_VERSION, .signal = (uint8_t)b->signal};
    for (int s = 0; s < SETS; s++) header.set_rows[s] = b->sets[s].n;
    time_range(b, &header.time_min, &header.time_max);
    struct plan plan;
    plan_make(&plan, b);
    header.features = plan_features(&plan);
    struct batch_blob *blob = plan_write(&plan, &header);
    batch_builder_clear(b);
    return blob;
}
