/* Merging parts: full groups are copied, only their lists of part codes rewritten; small ones and those that a filter touches are
 * decoded and written anew, together and in order. A group with a bad block stops the merge: its part stays as it is (7). */
#include "base/hash.h"
#include "store/part/part_read_priv.h"
#include "store/part/part_write_priv.h"

enum { BUILDER_CHILDREN_MAX = 1 << 22, GROUP_ARENA_MAX = 1 << 30 };

/* Of decoded rows that wait to be written, and of those among them that are not yet a batch. */
static uint64_t decoded_bytes_max(const struct part_writer *w) { return w->memory_bytes / 4; }
static uint64_t builder_bytes_max(const struct part_writer *w) { return MIN(w->memory_bytes / 16, 16 * MIB); }

/* One input part with what its codes are in the output; code + 1, 0 where not yet asked. */
struct merge_source {
    struct part *part;
    uint32_t *strings, *keys, *shapes;
    uint32_t *skeletons;         /* not + 1: all of them, made when first needed */
    struct part_source entities; /* the part's resources and scopes as a batch */
};

struct merge {
    struct part_writer w;
    const struct merge_filter *filter;
    struct batch_builder builder; /* rows that are decoded */
    VEC(struct batch) decoded;
    size_t decoded_bytes;
};

/* ---- decoded rows ------------------------------------------------------------------------------------------------- */

static void finish_builder(struct merge *m) {
    if (!m->builder.sets[SET_ROWS].n) return;
    struct batch_blob *blob = batch_builder_finish(&m->builder);
    batch_view(blob, vec_push(&m->decoded));
    m->decoded_bytes += batch_bytes(blob).n;
}

static void free_decoded(struct merge *m) {
    for (size_t i = 0; i < m->decoded.n; i++) batch_unref(m->decoded.v[i].blob);
    m->decoded.n = 0;
    m->decoded_bytes = 0;
}

static err write_decoded(struct merge *m) {
    struct row_filter drop = {m->filter ? m->filter->drops : NULL, m->filter ? m->filter->context : NULL};
    finish_builder(m);
    if (!m->decoded.n) return NULL;
    err e = part_writer_add_batches(&m->w, m->decoded.v, m->decoded.n, INT64_MIN, INT64_MAX, drop.drops ? &drop : NULL);
    if (e && err_kind(e) == ERR_NOT_FOUND) { /* all of them are dropped */
        err_free(e);
        e = NULL;
    }
    part_writer_sources_done(&m->w);
    free_decoded(m);
    return e;
}

static err decode_group(struct merge *m, struct part *p, uint32_t group) {
    struct scan_stats stats = {0};
    uint32_t n = p->groups[group].set_rows[SET_ROWS];
    AUTO_FREE uint32_t *rows = mem_new_array(uint32_t, n);
    for (uint32_t i = 0; i < n; i++) rows[i] = i;
    TRY(part_fetch(p, group, rows, n, &m->builder, &stats));
    if (stats.bad_blocks) return err_new(ERR_CORRUPT, "%s", stats.bad_text);
    const struct builder_set *sets = m->builder.sets; /* events without fields take no bytes */
    bool many = MAX(sets[SET_EVENTS].n, sets[SET_LINKS].n) > BUILDER_CHILDREN_MAX;
    if (many || batch_builder_bytes(&m->builder) > builder_bytes_max(&m->w)) finish_builder(m);
    return m->decoded_bytes > decoded_bytes_max(&m->w) ? write_decoded(m) : NULL;
}

/* ---- codes of one part in another --------------------------------------------------------------------------------- */

static uint32_t map_string(struct merge *m, struct merge_source *s, uint32_t code) {
    if (!s->strings[code]) s->strings[code] = strings_intern(&m->w.strings, part_string(&s->part->strings, code)) + 1;
    return s->strings[code] - 1;
}

static uint32_t map_key(struct merge *m, struct merge_source *s, uint32_t key) {
    const struct part_key *k = &s->part->keys[key];
    if (!s->keys[key])
        s->keys[key] = part_key_intern(&m->w, part_string(&s->part->strings, k->name), (enum value_type)k->type) + 1;
    return s->keys[key] - 1;
}

static uint32_t map_shape(struct merge *m, struct merge_source *s, uint32_t shape) {
    if (!s->shapes[shape]) {
        uint32_t n;
        const uint32_t *keys = part_shape(s->part, shape, &n);
        AUTO_FREE uint32_t *mapped = mem_new_array(uint32_t, n + 1);
        for (uint32_t i = 0; i < n; i++) mapped[i] = map_key(m, s, keys[i]);
        s->shapes[shape] = part_shape_intern(&m->w, mapped, n) + 1;
    }
    return s->shapes[shape] - 1;
}

static const uint32_t *map_skeletons(struct merge *m, struct merge_source *s) {
    const struct part_strings *all = &s->part->skeletons;
    if (!s->skeletons) {
        s->skeletons = mem_new_array(uint32_t, all->n + 1);
        for (uint32_t i = 0; i < all->n; i++) s->skeletons[i] = strings_intern(&m->w.skeletons, part_string(all, i));
    }
    return s->skeletons;
}

static uint32_t map_code(struct merge *m, struct merge_source *s, const struct part_block *b, uint32_t code) {
    if (b->field == COLUMN_REST) return map_key(m, s, code);
    if (b->field == FIELD_SHAPE) return map_shape(m, s, code);
    if (b->field == FIELD_RESOURCE) return part_entity_code(&m->w, &s->entities, SET_RESOURCES, code);
    if (b->field == FIELD_SCOPE) return part_entity_code(&m->w, &s->entities, SET_SCOPES, code);
    return map_string(m, s, code);
}

/* ---- copied groups ------------------------------------------------------------------------------------------------ */

static void copy_list(struct merge *m, struct merge_source *s, const struct part_block *b, const struct column *c,
                      struct str bytes) {
    size_t head = 4 + c->list.bytes;
    part_writer_room(&m->w, c->count);
    for (uint32_t i = 0; i < c->count; i++) m->w.list[i] = map_code(m, s, b, column_list(c, i));
    put_code_list(&m->w, m->w.list, c->count, &m->w.bytes);
    buf_add(&m->w.bytes, bytes.p + head, bytes.n - head);
}

static err copy_texts(struct merge *m, struct merge_source *s, const struct column *c, struct str bytes) {
    struct buf *out = &m->w.bytes;
    size_t head = 1;
    if (c->encoding == ENCODING_OWN)
        head += 4 + 1 + (c->numbers.packed ? c->numbers.codes.bytes : c->numbers.ints.bytes);
    if (c->texts.split) {
        buf_add(out, bytes.p, head);
        return text_block_remap(str_span(bytes.p + head, bytes.n - head), map_skeletons(m, s), s->part->skeletons.n,
                                out);
    }
    buf_add_str(out, bytes);
    return NULL;
}

/* Resource 0 of a part need not be 0 of another: an absent column of the one must be written out in the other. */
static void copy_absent_entity(struct merge *m, struct merge_source *s, struct group_reader *r, enum field f) {
    enum set set = f == FIELD_RESOURCE ? SET_RESOURCES : SET_SCOPES;
    uint32_t n = r->g->set_rows[SET_ROWS];
    if (group_find_block(r, SET_ROWS, (uint8_t)f, 0)) return;
    size_t start = m->w.bytes.n;
    part_writer_room(&m->w, n);
    uint32_t code = part_entity_code(&m->w, &s->entities, set, 0);
    for (uint32_t i = 0; i < n; i++) m->w.codes[i] = code;
    uint8_t encoding = encode_part_codes(&m->w, m->w.codes, n, code + 1, &m->w.bytes);
    part_add_block(&m->w, SET_ROWS, (uint8_t)f, 0, encoding, n, start);
}

static err copy_block(struct merge *m, struct merge_source *s, struct group_reader *r, const struct part_block *b) {
    struct str bytes;
    struct column c;
    size_t start = m->w.bytes.n;
    TRY(group_check_block(r, b, &bytes));
    TRY(column_parse(r, b, bytes, &c));
    if (c.encoding == ENCODING_CODES || c.encoding == ENCODING_REST)
        copy_list(m, s, b, &c, bytes);
    else if (c.encoding == ENCODING_ATTRIBUTE)
        put_u32(&m->w.bytes, map_key(m, s, c.count));
    else if (c.encoding == ENCODING_OWN || c.encoding == ENCODING_TEXTS)
        TRY(copy_texts(m, s, &c, bytes));
    else
        buf_add_str(&m->w.bytes, bytes);
    uint32_t key = b->field == COLUMN_ATTRIBUTE ? map_key(m, s, b->key) : 0;
    part_add_block(&m->w, (enum set)b->set, b->field, key, b->encoding, b->count, start);
    return NULL;
}

static err copy_traces(struct merge *m, struct group_reader *r) {
    static const unsigned char zero[16];
    TRY(group_open_traces(r));
    const struct column *c = &r->traces;
    uint32_t group = (uint32_t)m->w.groups.n;
    for (uint32_t i = 0; i < MAX(c->count, 1u); i++) {
        const unsigned char *id = c->encoding ? c->raw + 16 * (size_t)i : zero;
        *vec_push(&m->w.traces) = (struct hash_index_entry){hash_bytes(id, 16), group};
    }
    return NULL;
}

/* The ids of a group into the index: what its column lists, not what each row has. */
static err copy_ids(struct merge *m, struct group_reader *r) {
    struct column c;
    const uint32_t *values;
    TRY(group_open_ids(r, &c, &values));
    if (!c.encoding) return NULL;
    if (c.encoding == ENCODING_CODES) {
        for (uint32_t i = 0; i < c.count; i++) part_index_id(&m->w, part_string(&r->part->strings, column_list(&c, i)));
        return NULL;
    }
    struct str *texts = ARENA_ARRAY(r->arena, struct str, c.texts.n);
    TRY(texts_get_some(r, &c.texts, NULL, c.texts.n, texts));
    for (uint32_t i = 0; i < c.texts.n; i++) part_index_id(&m->w, texts[i]);
    return NULL;
}

static err copy_group_in(struct merge *m, struct merge_source *s, uint32_t group, struct arena *arena) {
    struct scan_stats stats = {0};
    struct group_reader r;
    struct part_group g = s->part->groups[group];
    uint32_t first_block = (uint32_t)m->w.blocks.n;
    group_reader_init(&r, s->part, group, arena, &stats);
    buf_clear(&m->w.bytes);
    for (uint32_t i = 0; i < g.block_count; i++) TRY(copy_block(m, s, &r, &r.blocks[i]));
    copy_absent_entity(m, s, &r, FIELD_RESOURCE);
    copy_absent_entity(m, s, &r, FIELD_SCOPE);
    TRY(copy_traces(m, &r));
    TRY(copy_ids(m, &r));
    return part_writer_flush_group(&m->w, &g, first_block);
}

static err copy_group(struct merge *m, struct merge_source *s, uint32_t group) {
    AUTO_ARENA struct arena arena;
    arena_init(&arena, GROUP_ARENA_MAX);
    return copy_group_in(m, s, group, &arena);
}

/* ---- all ---------------------------------------------------------------------------------------------------------- */

static void source_init(struct merge_source *s, struct part *p) {
    const struct batch *b = &p->entities;
    *s = (struct merge_source){.part = p, .entities = {.b = b}};
    s->strings = mem_new_array(uint32_t, p->strings.n + p->key_count + p->shape_count);
    s->keys = s->strings + p->strings.n;
    s->shapes = s->keys + p->key_count;
    s->entities.entities[0] = mem_new_array(uint32_t, b->set_rows[SET_RESOURCES] + b->set_rows[SET_SCOPES]);
    s->entities.entities[1] = s->entities.entities[0] + b->set_rows[SET_RESOURCES];
}

static void source_done(struct merge_source *s) {
    mem_free(s->strings);
    mem_free(s->skeletons);
    mem_free(s->entities.entities[0]);
    batch_copy_cache_done(&s->entities.cache);
}

static err merge_part(struct merge *m, struct part *p) {
    struct merge_source s;
    err e = NULL;
    source_init(&s, p);
    for (uint32_t group = 0; group < p->info.groups && !e; group++) {
        bool touched = m->filter && m->filter->touches && m->filter->touches(m->filter->context, p, group);
        e = touched || part_group_is_small(&p->groups[group]) ? decode_group(m, p, group) : copy_group(m, &s, group);
    }
    source_done(&s);
    return e;
}

static err merge_parts(struct merge *m, struct part *const *parts, size_t count, struct part_info *out) {
    for (size_t i = 0; i < count; i++) TRY(merge_part(m, parts[i]));
    TRY(write_decoded(m));
    if (!m->w.groups.n) return err_new(ERR_NOT_FOUND, "no rows to write");
    return part_writer_finish(&m->w, out);
}

uint64_t part_merge_bytes(const struct part *p) {
    enum { STRING = 32, KEY = 256, SHAPE = 64, TRACE = 48 };
    uint64_t strings = (uint64_t)p->strings.n + p->skeletons.n;
    uint64_t heaps = (p->strings.n ? p->strings.end[p->strings.n - 1] : 0) +
                     (p->skeletons.n ? p->skeletons.end[p->skeletons.n - 1] : 0);
    uint64_t directory = p->info.groups * sizeof *p->groups + p->block_count * sizeof *p->blocks;
    return heaps + heaps / 2 + strings * STRING + (uint64_t)p->key_count * KEY + (uint64_t)p->shape_count * SHAPE +
           (uint64_t)p->shape_end[p->shape_count - 1] * 8 + p->entities_bytes * 4 + directory * 2 +
           (uint64_t)p->traces.n * TRACE;
}

err part_merge(const char *path, uint64_t id, struct part *const *parts, size_t count,
               const struct merge_filter *filter, uint64_t memory_bytes, struct part_info *out) {
    assert(count > 0);
    struct merge m = {.filter = filter};
    enum signal signal = parts[0]->info.signal;
    TRY_WRAP(part_writer_init(&m.w, path, signal, id, memory_bytes), "merging into part %s", path);
    batch_builder_init(&m.builder, signal);
    err e = merge_parts(&m, parts, count, out);
    free_decoded(&m);
    vec_done(&m.decoded);
    batch_builder_done(&m.builder);
    part_writer_done(&m.w);
    return err_wrap(e, "merging into part %s", path);
}
