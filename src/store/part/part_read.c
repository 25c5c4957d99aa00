/* Opening a part: header, footer, directory and dictionaries are checked here; column blocks at their first touch. */
#include <zstd.h>

#include "base/hash.h"
#include "store/part/part_read_priv.h"

#define CORRUPT(...) err_new(ERR_CORRUPT, __VA_ARGS__)

/* ---- header, footer ----------------------------------------------------------------------------------------------- */

static bool checksum_holds(const struct part *p, const void *bytes, size_t n, uint64_t checksum) {
    return p->trust_checksums || hash_bytes(bytes, n) == checksum;
}

static err check_header(struct part *p) {
    const struct part_header *h = (const void *)p->map.p;
    if (p->map.n < sizeof *h || memcmp(h->magic, PART_MAGIC, sizeof h->magic) != 0)
        return CORRUPT("this is no part file");
    /* First, so that a damaged version is not taken for a newer one: every version's header ends with this. */
    if (!checksum_holds(p, h, offsetof(struct part_header, checksum), h->checksum))
        return CORRUPT("the header's checksum differs");
    if (h->version > PART_VERSION || h->features & ~(uint32_t)PART_FEATURES)
        return err_new(ERR_INVALID,
                       "written by a newer clew (format %u, features %#x): open it with that release or a later one",
                       h->version, h->features);
    if (h->version == 0 || h->signal >= SIGNALS || h->group_rows != PART_GROUP_ROWS)
        return CORRUPT("the header is wrong");
    p->info.signal = (enum signal)h->signal;
    p->info.id = h->id;
    return NULL;
}

static err check_footer(struct part *p, const struct part_footer **out) {
    if (p->map.n < sizeof(struct part_header) + sizeof(struct part_footer) || p->map.n % 8)
        return CORRUPT("the file is cut short");
    const struct part_footer *f = (const void *)(p->map.p + p->map.n - sizeof *f);
    if (memcmp(f->magic, PART_END_MAGIC, sizeof f->magic) != 0 || f->file_size != p->map.n)
        return CORRUPT("the file is cut short");
    if (!checksum_holds(p, f, offsetof(struct part_footer, checksum), f->checksum))
        return CORRUPT("the footer's checksum differs");
    p->info.rows = f->rows;
    p->info.bytes = f->file_size;
    p->info.groups = f->groups;
    p->info.small_groups = f->small_groups;
    p->info.time_min = f->time_min;
    p->info.time_max = f->time_max;
    *out = f;
    return NULL;
}

/* ---- sections ----------------------------------------------------------------------------------------------------- */

static err unzip_section(struct part *p, enum part_section section, struct str bytes, uint64_t raw_size,
                         struct str *out) {
    if (raw_size > PART_SECTION_BYTES_MAX || ZSTD_getFrameContentSize(bytes.p, bytes.n) != raw_size)
        return CORRUPT("section %d has a wrong size", section);
    p->sections[section] = mem_grow(NULL, raw_size + 1);
    size_t n = ZSTD_decompress(p->sections[section], raw_size, bytes.p, bytes.n);
    if (ZSTD_isError(n) || n != raw_size) return CORRUPT("section %d cannot be decompressed", section);
    *out = str_span(p->sections[section], raw_size);
    p->section_bytes[section] = raw_size;
    return NULL;
}

static err open_section(struct part *p, const struct part_footer *f, enum part_section section, struct str *out) {
    const struct part_section_place *s = &f->sections[section];
    size_t limit = p->map.n - sizeof *f;
    if (s->size > limit || s->offset > limit - s->size || s->offset % PART_ALIGN_BLOCK)
        return CORRUPT("section %d lies outside of the file", section);
    struct str bytes = str_span(p->map.p + s->offset, s->size);
    if (!checksum_holds(p, bytes.p, bytes.n, s->checksum))
        return CORRUPT("the checksum of section %d differs", section);
    if (s->raw_size) return unzip_section(p, section, bytes, s->raw_size, out);
    *out = bytes;
    return NULL;
}

/* Where each element of a list ends: made of sizes, or as the file has it. */
static err open_ends(struct part *p, enum part_section section, const char *what, const char *bytes, uint32_t n,
                     bool in_place, const uint32_t **out) {
    uint64_t end = 0;
    if (in_place) {
        const uint32_t *ends = (const void *)bytes;
        for (uint32_t i = 1; i < n; i++)
            if (ends[i] < ends[i - 1]) return CORRUPT("%s end before they begin", what);
        *out = ends;
        return NULL;
    }
    uint32_t *ends = p->ends[section] = mem_new_array(uint32_t, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        end += load_u32(bytes + 4 * (size_t)i);
        if (end > UINT32_MAX) return CORRUPT("%s are too large", what);
        ends[i] = (uint32_t)end;
    }
    p->ends_bytes += 4 * (uint64_t)n;
    *out = ends;
    return NULL;
}

/* Count, sizes or ends, bytes → ends and heap; used for strings (elements of 1 byte) and shapes (of 4). */
static err open_lists(struct part *p, const struct part_footer *f, enum part_section section, const char *what,
                      size_t element, uint32_t *out_n, const uint32_t **out_end, const char **out_heap) {
    const struct part_header *h = (const void *)p->map.p;
    struct str bytes;
    TRY(open_section(p, f, section, &bytes));
    if (bytes.n < 4) return CORRUPT("%s are cut short", what);
    uint32_t n = load_u32(bytes.p);
    if (n > (bytes.n - 4) / 4) return CORRUPT("%s are cut short", what);
    size_t head = 4 + 4 * (size_t)n;
    bool in_place = h->features & PART_FEATURE_ENDS && !f->sections[section].raw_size;
    TRY(open_ends(p, section, what, bytes.p + 4, n, in_place, out_end));
    uint64_t end = n ? (*out_end)[n - 1] : 0;
    if (bytes.n - head != end * element) return CORRUPT("%s do not end with their bytes", what);
    *out_heap = bytes.p + head;
    *out_n = n;
    return NULL;
}

static err open_strings(struct part *p, const struct part_footer *f, enum part_section section,
                        struct part_strings *out) {
    const char *heap;
    TRY(open_lists(p, f, section, "strings", 1, &out->n, &out->end, &heap));
    out->heap = (char *)(uintptr_t)heap;
    return NULL;
}

static err open_keys(struct part *p, const struct part_footer *f) {
    struct str bytes;
    TRY(open_section(p, f, SECTION_KEYS, &bytes));
    if (bytes.n % sizeof(struct part_key)) return CORRUPT("keys are cut short");
    p->keys = (const void *)bytes.p;
    p->key_count = (uint32_t)(bytes.n / sizeof(struct part_key));
    for (uint32_t i = 0; i < p->key_count; i++)
        if (p->keys[i].name >= p->strings.n || p->keys[i].type >= VALUE_TYPES) return CORRUPT("key %u is none", i);
    return NULL;
}

static err open_shapes(struct part *p, const struct part_footer *f) {
    const char *keys;
    TRY(open_lists(p, f, SECTION_SHAPES, "shapes", 4, &p->shape_count, &p->shape_end, &keys));
    p->shape_keys = (const void *)keys;
    if (p->shape_count == 0 || p->shape_end[0] != 0) return CORRUPT("shape 0 has keys");
    for (uint32_t i = 0; i < p->shape_end[p->shape_count - 1]; i++)
        if (p->shape_keys[i] >= p->key_count)
            return CORRUPT("a shape has key %u of %u", p->shape_keys[i], p->key_count);
    return NULL;
}

static err open_entities(struct part *p, const struct part_footer *f) {
    struct str bytes;
    TRY(open_section(p, f, SECTION_ENTITIES, &bytes));
    TRY(batch_open_in_place(bytes, &p->entities));
    p->entities_bytes = bytes.n;
    const uint32_t *rows = p->entities.set_rows;
    if (p->entities.signal != p->info.signal || !rows[SET_RESOURCES] || !rows[SET_SCOPES] || rows[SET_ROWS])
        return CORRUPT("resources and scopes are missing");
    return NULL;
}

/* ---- directory ---------------------------------------------------------------------------------------------------- */

static bool column_is_known(const struct part *p, const struct part_block *b) {
    if (b->field == COLUMN_ATTRIBUTE) return b->key < p->key_count;
    if (b->field == COLUMN_REST) return b->key == 0;
    const struct part_header *h = (const void *)p->map.p;
    if (b->field == FIELD_CORRELATION && !(h->features & PART_FEATURE_CORRELATION)) return false;
    return b->field < FIELDS && b->field != FIELD_SLOT && b->key == 0 &&
           field_in((enum field)b->field, p->info.signal, (enum set)b->set);
}

static err check_block_entry(const struct part *p, const struct part_group *g, const struct part_block *b) {
    if (b->set > SET_LINKS || !g->set_rows[b->set] || !column_is_known(p, b)) return CORRUPT("a block of no column");
    uint64_t offset = (uint64_t)b->offset * PART_ALIGN_BLOCK;
    if (offset > g->size || b->size > g->size - offset) return CORRUPT("a block lies outside of its group");
    if (b->field < FIELDS && b->count != g->set_rows[b->set]) return CORRUPT("a column of %u rows", b->count);
    return NULL;
}

static err check_group(const struct part *p, uint32_t group, uint64_t data_end) {
    const struct part_group *g = &p->groups[group];
    if (g->offset % PART_ALIGN_GROUP || g->size > data_end || g->offset > data_end - g->size)
        return CORRUPT("it lies outside of the file");
    uint32_t rows_max[] = {PART_GROUP_ROWS, 1 << 24, 1 << 24};
    for (int s = 0; s < 3; s++)
        if (g->set_rows[s] > rows_max[s]) return CORRUPT("%u %s", g->set_rows[s], set_names[s]);
    if (!g->set_rows[SET_ROWS]) return CORRUPT("no rows");
    if (g->block_first > p->block_count || g->block_count > p->block_count - g->block_first)
        return CORRUPT("its blocks are missing");
    const struct part_block *b = p->blocks + g->block_first;
    for (uint32_t i = 0; i < g->block_count; i++) {
        TRY(check_block_entry(p, g, &b[i]));
        if (i && part_block_order(b[i - 1].set, b[i - 1].field, b[i - 1].key) >=
                     part_block_order(b[i].set, b[i].field, b[i].key))
            return CORRUPT("its blocks are out of order");
    }
    return NULL;
}

static err open_directory(struct part *p, const struct part_footer *f) {
    struct str groups, blocks;
    TRY(open_section(p, f, SECTION_GROUPS, &groups));
    TRY(open_section(p, f, SECTION_BLOCKS, &blocks));
    if (groups.n != (uint64_t)f->groups * sizeof *p->groups || blocks.n % sizeof *p->blocks || f->groups == 0)
        return CORRUPT("the directory has a wrong size");
    p->groups = (const void *)groups.p;
    p->blocks = (const void *)blocks.p;
    p->block_count = (uint32_t)(blocks.n / sizeof *p->blocks);
    uint64_t rows = 0;
    for (uint32_t i = 0; i < f->groups; i++) {
        TRY_WRAP(check_group(p, i, p->map.n - sizeof *f), "group %u", i);
        rows += p->groups[i].set_rows[SET_ROWS];
    }
    if (rows != f->rows)
        return CORRUPT("%llu rows where the footer says %llu", (unsigned long long)rows, (unsigned long long)f->rows);
    p->checked = mem_new_array(_Atomic uint64_t, bit_words(p->block_count) + 1);
    return NULL;
}

static err open_traces(struct part *p, const struct part_footer *f) {
    struct str bytes;
    TRY(open_section(p, f, SECTION_TRACES, &bytes));
    return hash_index_open(bytes, &p->traces);
}

static err open_all(struct part *p) {
    const struct part_footer *f;
    TRY(check_header(p));
    TRY(check_footer(p, &f));
    TRY(open_strings(p, f, SECTION_STRINGS, &p->strings));
    if (p->strings.n == 0 || p->strings.end[0] != 0) return CORRUPT("string 0 is not the empty string");
    TRY(open_strings(p, f, SECTION_SKELETONS, &p->skeletons));
    TRY(open_keys(p, f));
    TRY(open_shapes(p, f));
    TRY_WRAP(open_entities(p, f), "resources and scopes");
    TRY(open_directory(p, f));
    return open_traces(p, f);
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

static struct part *part_new(const char *path) {
    struct part *p = mem_new_of(struct part);
    atomic_init(&p->refs, 1);
    p->path = str_dup(str_of(path));
    return p;
}

err part_open(const char *path, struct part **out) {
    struct part *p = part_new(path);
    struct file *f = NULL;
    err e = file_open(path, FILE_READ, &f);
    if (!e) e = file_map(f, &p->map);
    file_close(f); /* the map stays: thousands of parts must not use up the descriptors */
    p->is_file = true;
    if (!e) e = open_all(p);
    if (e) {
        part_unref(p);
        return err_wrap(e, "part %s", path);
    }
    *out = p;
    return NULL;
}

err part_open_bytes(struct str bytes, bool trust_checksums, struct part **out) {
    struct part *p = part_new("memory");
    p->map = bytes;
    p->trust_checksums = trust_checksums;
    err e = open_all(p);
    if (e) {
        part_unref(p);
        return e;
    }
    *out = p;
    return NULL;
}

static uint64_t open_bytes(const struct part *p) {
    uint64_t bytes = sizeof *p + p->ends_bytes + p->block_count / 8;
    for (int i = 0; i < SECTIONS; i++) bytes += p->section_bytes[i];
    return bytes;
}

void part_charge(struct part *p, struct budget *budget) {
    p->budget = budget;
    p->charged_bytes = open_bytes(p);
    budget_take_always(budget, p->charged_bytes);
}

struct part *part_ref(struct part *p) {
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void part_unref(struct part *p) {
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1) return;
    if (p->is_file) {
        if (p->map.p) file_unmap(NULL, p->map);
        if (atomic_load(&p->doomed)) err_free(path_remove(p->path)); /* else removed at the next start (3) */
    }
    if (p->budget) budget_give(p->budget, p->charged_bytes);
    for (int i = 0; i < SECTIONS; i++) mem_free(p->sections[i]);
    for (int i = 0; i < SECTIONS; i++) mem_free(p->ends[i]);
    mem_free((void *)p->checked);
    mem_free(p->path);
    mem_free(p);
}

void part_doom(struct part *p) { atomic_store(&p->doomed, true); }
const struct part_info *part_info(const struct part *p) { return &p->info; }
const char *part_path(const struct part *p) { return p->path; }
const struct batch *part_resources(struct part *p) { return &p->entities; }

void part_group_range(const struct part *p, uint32_t group, int64_t *out_time_min, int64_t *out_time_max,
                      uint32_t *out_rows) {
    const struct part_group *g = &p->groups[group];
    *out_time_min = g->time_min;
    *out_time_max = g->time_max;
    *out_rows = g->set_rows[SET_ROWS];
}
