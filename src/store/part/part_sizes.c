/* What a part takes: its bytes by column, and by resource. */
#include "store/part/part_read_priv.h"

enum { PART_SETS = SET_LINKS + 1, RESOURCES_ARENA_MAX = 64 << 20 };

struct tally {
    uint64_t bytes, values;
};

/* One a column that the part may have: of each set its fields, its rare attributes, its keys. */
struct tallies {
    struct part *p;
    uint32_t per_set;
    struct tally *v;
};

static struct tally *tally_of(const struct tallies *t, const struct part_block *b) {
    uint32_t column = b->field == COLUMN_ATTRIBUTE ? FIELDS + 1 + b->key : b->field == COLUMN_REST ? FIELDS : b->field;
    return &t->v[(size_t)b->set * t->per_set + column];
}

static const struct part_footer *footer_of(const struct part *p) {
    return (const void *)(p->map.p + p->map.n - sizeof(struct part_footer));
}

/* What is from `*at` on in the file begins at `offset`: the bytes between are nobody's. */
static err step_to(const struct part *p, uint64_t *at, uint64_t offset, uint64_t size, uint64_t *frame) {
    if (offset < *at) return err_new(ERR_CORRUPT, "part %s: its pieces overlap", p->path);
    *frame += offset - *at;
    *at = offset + size;
    return NULL;
}

static err count_blocks(const struct tallies *t, uint64_t *out_frame) {
    const struct part *p = t->p;
    const struct part_footer *f = footer_of(p);
    uint64_t at = 0, frame = 0;
    TRY(step_to(p, &at, 0, 0, &frame));
    for (uint32_t g = 0; g < p->info.groups; g++) {
        const struct part_group *group = &p->groups[g];
        uint64_t held = 0;
        TRY(step_to(p, &at, group->offset, group->size, &frame));
        for (uint32_t i = 0; i < group->block_count; i++) {
            const struct part_block *b = &p->blocks[group->block_first + i];
            struct tally *tally = tally_of(t, b);
            tally->bytes += b->size;
            tally->values += b->count;
            held += b->size;
        }
        if (held > group->size) return err_new(ERR_CORRUPT, "part %s, group %u: its blocks overlap", p->path, g);
        frame += group->size - held;
    }
    for (int s = 0; s < SECTIONS; s++) TRY(step_to(p, &at, f->sections[s].offset, f->sections[s].size, &frame));
    TRY(step_to(p, &at, p->map.n, 0, &frame));
    *out_frame = frame;
    return NULL;
}

static void tell_column(const struct tallies *t, enum set set, uint32_t column, const struct size_sink *sink) {
    const struct tally *tally = &t->v[(size_t)set * t->per_set + column];
    struct size_piece piece = {.set = set, .bytes = tally->bytes, .values = tally->values};
    if (!tally->bytes && !tally->values) return;
    if (column < FIELDS) {
        piece.kind = SIZE_FIELD;
        piece.name = str_of(field_rows[column].name);
    } else if (column == FIELDS) {
        piece.kind = SIZE_RARE;
        piece.name = STR("rare attributes");
    } else {
        const struct part_key *key = &t->p->keys[column - FIELDS - 1];
        piece.kind = SIZE_ATTRIBUTE;
        piece.type = (enum value_type)key->type;
        piece.name = part_string(&t->p->strings, key->name);
    }
    sink->piece(sink->context, &piece);
}

static void tell_pieces(const struct tallies *t, uint64_t frame, const struct size_sink *sink) {
    const struct part_footer *f = footer_of(t->p);
    for (int set = 0; set < PART_SETS; set++)
        for (uint32_t c = 0; c < t->per_set; c++) tell_column(t, (enum set)set, c, sink);
    for (int s = 0; s < SECTIONS; s++)
        sink->piece(sink->context, &(struct size_piece){.kind = SIZE_DICTIONARY,
                                                        .name = str_of(part_section_names[s]),
                                                        .bytes = f->sections[s].size});
    sink->piece(sink->context, &(struct size_piece){.kind = SIZE_FRAME, .name = STR("frame"), .bytes = frame});
}

err part_piece_sizes(struct part *p, const struct size_sink *sink) {
    uint64_t frame;
    struct tallies t = {p, FIELDS + 1 + p->key_count, NULL};
    t.v = mem_new_array(struct tally, (size_t)PART_SETS * t.per_set);
    err e = count_blocks(&t, &frame);
    if (!e) tell_pieces(&t, frame, sink);
    mem_free(t.v);
    return e;
}

/* ---- by resource ------------------------------------------------------------------------------------------------ */

struct shares {
    uint64_t *rows, *bytes, *of_group; /* per resource */
    uint32_t count;
};

/* Gives `bytes` out by rows; what rounding leaves moves on to the next, so that all of it is given. */
static void give_out(const struct shares *s, const uint64_t *rows, uint64_t all, uint64_t bytes) {
    uint64_t before = 0, given = 0;
    for (uint32_t i = 0; i < s->count && all; i++) {
        before += rows[i];
        uint64_t until = (uint64_t)((unsigned __int128)bytes * before / all);
        s->bytes[i] += until - given;
        given = until;
    }
}

static err count_group(struct group_reader *r, struct shares *s) {
    struct column c;
    uint32_t n = r->g->set_rows[SET_ROWS];
    TRY(column_open(r, SET_ROWS, FIELD_RESOURCE, &c));
    uint32_t *codes = ARENA_ARRAY(r->arena, uint32_t, n), *rows = ARENA_ARRAY(r->arena, uint32_t, n);
    for (uint32_t i = 0; i < n; i++) rows[i] = i;
    TRY(column_entities(r, &c, rows, n, codes));
    memset(s->of_group, 0, s->count * sizeof *s->of_group);
    for (uint32_t i = 0; i < n; i++)
        if (codes[i] >= s->count) return err_new(ERR_CORRUPT, "part %s: resource %u is none", r->part->path, codes[i]);
    for (uint32_t i = 0; i < n; i++) s->of_group[codes[i]]++;
    for (uint32_t i = 0; i < s->count; i++) s->rows[i] += s->of_group[i];
    give_out(s, s->of_group, n, r->g->size);
    return NULL;
}

static err count_groups(struct part *p, const struct scan_request *limits, struct shares *s, struct scan_stats *stats) {
    AUTO_ARENA struct arena arena;
    uint64_t rest = p->info.bytes, all = 0;
    arena_init(&arena, RESOURCES_ARENA_MAX);
    for (uint32_t g = 0; g < p->info.groups; g++) {
        struct group_reader r;
        bool bad;
        TRY(scan_stopped(limits));
        arena_clear(&arena);
        group_reader_init(&r, p, g, &arena, stats);
        TRY(group_reader_end(&r, count_group(&r, s), &bad));
        rest -= MIN(rest, r.g->size);
    }
    for (uint32_t i = 0; i < s->count; i++) all += s->rows[i];
    give_out(s, s->rows, all, rest);
    return NULL;
}

err part_resource_sizes(struct part *p, const struct scan_request *limits, const struct size_sink *sink,
                        struct scan_stats *stats) {
    uint32_t n = p->entities.set_rows[SET_RESOURCES];
    AUTO_FREE uint64_t *memory = mem_new_array(uint64_t, 3 * (size_t)n);
    struct shares s = {memory, memory + n, memory + 2 * (size_t)n, n};
    TRY(count_groups(p, limits, &s, stats));
    for (uint32_t i = 0; i < n; i++)
        if (s.rows[i]) sink->resource(sink->context, &p->entities, i, s.rows[i], s.bytes[i]);
    return NULL;
}

void batch_resource_sizes(const struct batch *b, uint64_t bytes, const struct size_sink *sink) {
    uint32_t n = b->set_rows[SET_RESOURCES];
    AUTO_FREE uint64_t *memory = mem_new_array(uint64_t, 2 * (size_t)n);
    struct shares s = {memory, memory + n, NULL, n};
    for (uint32_t i = 0; i < b->rows; i++) s.rows[batch_u32(b, SET_ROWS, FIELD_RESOURCE, i)]++;
    give_out(&s, s.rows, b->rows, bytes);
    for (uint32_t i = 0; i < n; i++)
        if (s.rows[i]) sink->resource(sink->context, b, i, s.rows[i], s.bytes[i]);
}
