#include "signal/lift.h"

#include "signal/any_priv.h"
#include "signal/batch_priv.h"

/* ---- nested values ------------------------------------------------------------------------------------------------ */

bool value_list_open(struct str message, struct value_list *out) {
    struct wire w = wire_of(message);
    struct any any;
    if (!any_read(&w, &any) || (any.kind != ANY_ARRAY && any.kind != ANY_MAP)) return false;
    *out = (struct value_list){any.bytes.p, any.bytes.end, any.kind == ANY_MAP};
    return true;
}

bool value_list_next(struct value_list *list, struct str *out_key, struct value_part *out) {
    static const uint8_t types[] = {
        [ANY_EMPTY] = VALUE_EMPTY,   [ANY_STRING] = VALUE_STRING, [ANY_BOOL] = VALUE_BOOL, [ANY_INT] = VALUE_INT,
        [ANY_DOUBLE] = VALUE_DOUBLE, [ANY_ARRAY] = VALUE_ANY,     [ANY_MAP] = VALUE_ANY,   [ANY_BYTES] = VALUE_BYTES};
    struct wire rest = {.p = list->p, .end = list->end}, item;
    struct any any;
    if (!any_next(&rest, &item)) return false;
    list->p = rest.p;
    *out_key = (struct str){"", 0};
    if (list->is_map) {
        struct wire entry = item;
        if (!any_read_key_value(&entry, out_key, &item)) return false;
    }
    struct wire value = item;
    if (!any_read(&value, &any)) return false;
    enum value_type type = (enum value_type)types[any.kind];
    *out = (struct value_part){
        .type = type, .text = type == VALUE_ANY ? wire_str(&item) : wire_str(&any.bytes), .number = any.number};
    return true;
}

/* ---- a batch with ids --------------------------------------------------------------------------------------------- */

enum { ID_SECTION = SET_ROWS << 6 | FIELD_CORRELATION };

/* One section of the new blob: the bytes of an old one, and what comes behind them. */
struct piece {
    struct blob_section section;
    const void *from, *more;
    uint32_t more_bytes;
};

struct lifting {
    const struct batch *from;
    const uint32_t *ids;
    const struct strings *more;
    struct piece pieces[SECTIONS_MAX + 1];
    uint32_t n;
    uint32_t *ends; /* of the added strings, in the heap of both */
};

static bool has_more(const struct lifting *l) { return l->more && l->more->n > 0; }

/* One id for all rows takes one place, none takes none. */
static void add_ids(struct lifting *l) {
    uint32_t rows = l->from->rows;
    if (!rows) return;
    bool constant = memcmp(l->ids, l->ids + 1, (size_t)(rows - 1) * 4) == 0;
    if (constant && l->ids[0] == 0) return;
    l->pieces[l->n++] = (struct piece){
        .section = {.id = ID_SECTION, .size_bytes = constant ? 4 : rows * 4, .element_size = 4}, .from = l->ids};
}

static void add_section(struct lifting *l, const struct blob_section *t, const unsigned char *bytes) {
    struct piece *p = &l->pieces[l->n++];
    *p = (struct piece){.section = *t, .from = bytes + t->offset};
    if (!has_more(l)) return;
    if (t->id == SECTION_STRING_END) p->more = l->ends, p->more_bytes = l->more->n * 4;
    if (t->id == SECTION_HEAP) p->more = l->more->heap, p->more_bytes = (uint32_t)l->more->heap_size;
    p->section.size_bytes += p->more_bytes;
}

/* All sections in order of their numbers: a blob without texts has no heap yet. */
static void add_sections(struct lifting *l) {
    const struct blob_header *h = (const void *)l->from->blob->bytes;
    const struct blob_section *table = (const void *)(h + 1);
    static const struct blob_section no_heap = {.id = SECTION_HEAP, .element_size = 1};
    bool had_ids = false, had_heap = !has_more(l);
    for (uint32_t i = 0; i < h->section_count; i++) {
        if (!had_ids && table[i].id >= ID_SECTION) add_ids(l), had_ids = true;
        if (!had_heap && table[i].id > SECTION_HEAP) add_section(l, &no_heap, l->from->blob->bytes), had_heap = true;
        had_heap |= table[i].id == SECTION_HEAP;
        if (table[i].id != ID_SECTION) add_section(l, &table[i], l->from->blob->bytes);
    }
}

static uint64_t place(struct lifting *l) {
    uint64_t size = sizeof(struct blob_header) + l->n * sizeof(struct blob_section);
    for (uint32_t i = 0; i < l->n; i++) {
        l->pieces[i].section.offset = (uint32_t)size;
        size = align8(size + l->pieces[i].section.size_bytes);
        if (size > BLOB_SIZE_MAX) return 0;
    }
    return size;
}

/* Of an old section `from` may lie in the new blob, at its place or below it. */
static void put_piece(struct batch_blob *blob, const struct piece *p, const void *from) {
    uint32_t first = p->section.size_bytes - p->more_bytes;
    unsigned char *to = blob->bytes + p->section.offset;
    memmove(to, from, first);
    if (p->more_bytes) memcpy(to + first, p->more, p->more_bytes);
    memset(to + p->section.size_bytes, 0, align8(p->section.size_bytes) - p->section.size_bytes);
}

static void put_table(struct batch_blob *blob, const struct lifting *l, uint64_t size) {
    struct blob_header *h = (struct blob_header *)blob->bytes;
    struct blob_section *table = (struct blob_section *)(h + 1);
    h->section_count = l->n;
    h->size_bytes = blob->size_bytes = (uint32_t)size;
    h->features &= ~(uint32_t)BLOB_FEATURE_CORRELATION;
    for (uint32_t i = 0; i < l->n; i++) {
        table[i] = l->pieces[i].section;
        if (table[i].id == ID_SECTION) h->features |= BLOB_FEATURE_CORRELATION;
    }
}

static struct batch_blob *assemble(const struct lifting *l, uint64_t size) {
    struct batch_blob *blob = batch_blob_new(size);
    memcpy(blob->bytes, l->from->blob->bytes, sizeof(struct blob_header));
    for (uint32_t i = 0; i < l->n; i++) put_piece(blob, &l->pieces[i], l->pieces[i].from);
    put_table(blob, l, size);
    return blob;
}

/* Where it is: every section moves up, or stays, and the last goes first. */
static struct batch_blob *move_up(const struct lifting *l, struct batch_blob *blob, uint64_t size) {
    uint32_t before[SECTIONS_MAX + 1];
    for (uint32_t i = 0; i < l->n; i++)
        if (l->pieces[i].from != l->ids) before[i] = (uint32_t)((const unsigned char *)l->pieces[i].from - blob->bytes);
    blob = mem_grow(blob, sizeof *blob + size);
    for (uint32_t i = l->n; i-- > 0;) {
        const struct piece *p = &l->pieces[i];
        put_piece(blob, p, p->from == l->ids ? p->from : blob->bytes + before[i]);
    }
    put_table(blob, l, size);
    return blob;
}

/* *out_size 0: over 2 GiB. */
static void plan(struct lifting *l, uint64_t *out_size) {
    uint64_t heap = l->from->string_end[l->from->string_count - 1];
    *out_size = 0;
    if (has_more(l)) {
        if (heap + l->more->heap_size > BLOB_SIZE_MAX) return;
        l->ends = mem_grow(NULL, (size_t)l->more->n * 4);
        for (uint32_t i = 0; i < l->more->n; i++) l->ends[i] = (uint32_t)heap + l->more->end[i];
    }
    add_sections(l);
    *out_size = place(l);
}

struct batch_blob *batch_with_ids(const struct batch *from, const uint32_t *ids, const struct strings *more) {
    struct lifting l = {.from = from, .ids = ids, .more = more};
    uint64_t size;
    plan(&l, &size);
    struct batch_blob *blob = size ? assemble(&l, size) : NULL;
    mem_free(l.ends);
    return blob;
}

static bool has_ids(const struct batch_blob *blob) {
    return ((const struct blob_header *)blob->bytes)->features & BLOB_FEATURE_CORRELATION;
}

bool batch_put_ids(struct batch_blob **blob, const uint32_t *ids, const struct strings *more) {
    struct batch from;
    struct lifting l = {.from = &from, .ids = ids, .more = more};
    uint64_t size;
    batch_view(*blob, &from);
    bool alone = atomic_load_explicit(&(*blob)->refs, memory_order_acquire) == 1 && !has_ids(*blob);
    plan(&l, &size);
    struct batch_blob *made = !size ? NULL : alone ? move_up(&l, *blob, size) : assemble(&l, size);
    mem_free(l.ends);
    if (!made) return false;
    if (!alone) batch_unref(*blob);
    *blob = made;
    return true;
}
