/* The part's dictionaries while it is written: what a batch's ids are in the part, asked once per batch and id. */
#include "base/hash.h"
#include "store/part/part_write_priv.h"

uint32_t part_string_code(struct part_writer *w, struct part_source *s, uint32_t id) {
    uint32_t *code = &s->strings[id].code;
    if (!*code) *code = strings_intern(&w->strings, batch_string(s->b, id)) + 1;
    return *code - 1;
}

uint32_t part_key_intern(struct part_writer *w, struct str name, enum value_type type) {
    uint32_t key[2] = {strings_intern(&w->strings, name), type};
    uint32_t code = strings_intern(&w->keys, str_span(key, sizeof key));
    if (code == w->key_memory.n) {
        bool text = type == VALUE_STRING || type == VALUE_BYTES || type == VALUE_ANY;
        *vec_push(&w->key_memory) = (struct key_memory){0};
        *vec_push(&w->key_masks) = text ? UINT64_MAX : 0;
        *vec_push(&w->key_cursors) = NULL;
    }
    return code;
}

uint32_t part_key_code(struct part_writer *w, struct part_source *s, uint32_t key) {
    if (!s->keys[key]) {
        const struct batch_key *k = &s->b->keys[key];
        s->keys[key] = part_key_intern(w, batch_string(s->b, k->name), (enum value_type)k->type) + 1;
    }
    return s->keys[key] - 1;
}

uint32_t part_shape_intern(struct part_writer *w, const uint32_t *keys, uint32_t n) {
    return strings_intern(&w->shapes, str_span(keys, n * sizeof *keys));
}

uint32_t part_shape_code(struct part_writer *w, struct part_source *s, uint32_t shape) {
    if (!s->shapes[shape]) {
        uint32_t start = shape ? s->b->shape_end[shape - 1] : 0, end = s->b->shape_end[shape];
        buf_clear(&w->scratch);
        for (uint32_t i = start; i < end; i++) put_u32(&w->scratch, part_key_code(w, s, s->b->shape_keys[i]));
        s->shapes[shape] = strings_intern(&w->shapes, buf_str(&w->scratch)) + 1;
    }
    return s->shapes[shape] - 1;
}

/* ---- resources and scopes --------------------------------------------------------------------------------------- */

static uint32_t builder_u32(const struct batch_builder *b, enum field f, uint32_t row) {
    const uint32_t *column = b->sets[SET_ROWS].columns[f];
    return column ? column[row] : 0;
}

void bare_row_init(struct bare_row *row, const struct batch *from) {
    static const _Alignas(16) unsigned char zero[16];
    row->b = *from;
    for (int f = 0; f < FIELDS; f++) row->b.columns[SET_ROWS][f] = (struct batch_column){zero, 0};
    row->b.columns[SET_ROWS][FIELD_RESOURCE].p = &row->resource;
    row->b.columns[SET_ROWS][FIELD_SCOPE].p = &row->scope;
    row->b.rows = row->b.set_rows[SET_ROWS] = 1;
    row->b.set_rows[SET_EVENTS] = row->b.set_rows[SET_LINKS] = 0;
    row->resource = row->scope = 0;
}

/* The builder copies whole rows only: copies a row that says nothing but its resource and scope, and takes it back. */
void part_copy_entities(struct batch_builder *to, const struct batch *from, struct batch_copy_cache *cache,
                        uint32_t resource, uint32_t scope, uint32_t *out_resource, uint32_t *out_scope) {
    struct bare_row bare;
    bare_row_init(&bare, from);
    bare.resource = resource;
    bare.scope = scope;
    batch_builder_copy(to, &bare.b, 0, cache);
    struct builder_mark mark = batch_builder_mark(to);
    mark.n[SET_ROWS]--;
    *out_resource = builder_u32(to, FIELD_RESOURCE, mark.n[SET_ROWS]);
    *out_scope = builder_u32(to, FIELD_SCOPE, mark.n[SET_ROWS]);
    batch_builder_rewind(to, mark);
}

uint32_t part_entity_code(struct part_writer *w, struct part_source *s, enum set set, uint32_t row) {
    uint32_t *known = &s->entities[set - SET_RESOURCES][row];
    if (!*known) {
        uint32_t resource, scope;
        part_copy_entities(&w->entities, s->b, &s->cache, set == SET_RESOURCES ? row : 0, set == SET_SCOPES ? row : 0,
                           &resource, &scope);
        *known = (set == SET_RESOURCES ? resource : scope) + 1;
    }
    return *known - 1;
}

/* ---- sections --------------------------------------------------------------------------------------------------- */

static err write_section(struct part_writer *w, struct part_footer *footer, enum part_section section, struct str raw,
                         bool compress) {
    struct part_section_place *place = &footer->sections[section];
    struct str bytes = raw;
    if (w->scratch.full || raw.n > w->section_bytes_max) /* what could not be read is not written */
        return err_new(ERR_LIMIT, "section %d is over %llu MiB", section,
                       (unsigned long long)(w->section_bytes_max / MIB));
    if (compress && part_section_is_zipped(raw.n)) {
        buf_clear(&w->scratch2);
        put_zstd(w, &w->scratch2, raw, 3);
        bytes = buf_str(&w->scratch2);
        place->raw_size = raw.n;
    }
    static const char padding[PART_ALIGN_BLOCK];
    uint64_t aligned = (w->offset + PART_ALIGN_BLOCK - 1) & ~(uint64_t)(PART_ALIGN_BLOCK - 1);
    struct file_piece pieces[] = {{padding, aligned - w->offset}, {bytes.p, bytes.n}};
    if (bytes.n || aligned > w->offset) TRY(file_write_pieces(w->file, pieces, 2, w->offset));
    place->offset = aligned;
    place->size = bytes.n;
    place->checksum = hash_bytes(bytes.p, bytes.n);
    w->offset = aligned + bytes.n;
    return NULL;
}

/* Strings as: count, sizes, bytes; or, to be read in place: count, ends, bytes. The same of shapes, in keys of 4 bytes. */
static err write_lists(struct part_writer *w, struct part_footer *footer, enum part_section section,
                       const struct strings *s, uint32_t element) {
    bool zipped = part_section_is_zipped(4 + 4 * (size_t)s->n + s->heap_size);
    buf_clear(&w->scratch);
    put_u32(&w->scratch, s->n);
    for (uint32_t i = 0; i < s->n; i++)
        put_u32(&w->scratch, (zipped ? (uint32_t)strings_get(s, i).n : s->end[i]) / element);
    buf_add(&w->scratch, s->heap, s->heap_size);
    return write_section(w, footer, section, buf_str(&w->scratch), true);
}

static err write_entities(struct part_writer *w, struct part_footer *footer) {
    struct batch_blob *blob = batch_builder_finish(&w->entities);
    err e = write_section(w, footer, SECTION_ENTITIES, batch_bytes(blob), true);
    batch_unref(blob);
    return e;
}

err part_write_sections(struct part_writer *w, struct part_footer *footer) {
    TRY(write_lists(w, footer, SECTION_STRINGS, &w->strings, 1));
    TRY(write_lists(w, footer, SECTION_SKELETONS, &w->skeletons, 1));
    TRY(write_section(w, footer, SECTION_KEYS, str_span(w->keys.heap, w->keys.heap_size), true));
    TRY(write_lists(w, footer, SECTION_SHAPES, &w->shapes, 4));
    TRY(write_entities(w, footer));
    buf_clear(&w->scratch);
    hash_index_encode(w->traces.v, (uint32_t)w->traces.n, &w->scratch);
    TRY(write_section(w, footer, SECTION_TRACES, buf_str(&w->scratch), false));
    TRY(write_section(w, footer, SECTION_GROUPS, str_span(w->groups.v, w->groups.n * sizeof *w->groups.v), false));
    return write_section(w, footer, SECTION_BLOCKS, str_span(w->blocks.v, w->blocks.n * sizeof *w->blocks.v), false);
}
