/* One row group: gathers each field of its rows from their batches and encodes it; then the events and links of the rows. */
#include <stdlib.h>

#include "base/hash.h"
#include "store/column/ints_priv.h"
#include "store/part/part_write_priv.h"

/* Appends the bytes behind `start` as a block; encoding 0: there is none. */
void part_add_block(struct part_writer *w, enum set set, uint8_t field, uint32_t key, uint8_t encoding, uint32_t count,
                    size_t start) {
    static const char padding[PART_ALIGN_BLOCK];
    if (!encoding) {
        w->bytes.n = start;
        return;
    }
    if (field == FIELD_CORRELATION) w->features |= PART_FEATURE_CORRELATION;
    if (encoding == ENCODING_ATTRIBUTE) w->features |= PART_FEATURE_IDS_OF_ATTRIBUTE;
    *vec_push(&w->blocks) = (struct part_block){.set = (uint8_t)set,
                                                .field = field,
                                                .encoding = encoding,
                                                .key = key,
                                                .offset = (uint32_t)(start / PART_ALIGN_BLOCK),
                                                .size = (uint32_t)(w->bytes.n - start),
                                                .count = count,
                                                .checksum = hash_bytes(w->bytes.p + start, w->bytes.n - start)};
    buf_add(&w->bytes, padding, -w->bytes.n % PART_ALIGN_BLOCK);
}

/* ---- gathering -------------------------------------------------------------------------------------------------- */

/* Which batches the rows are of. */
static void list_batches(struct part_writer *w, const struct row_ref *rows, uint32_t n) {
    vec_clear(&w->batches);
    for (uint32_t i = 0; i < n; i++) {
        struct part_source *s = &w->sources[rows[i].batch];
        if (s->in_set) continue;
        s->in_set = true;
        *vec_push(&w->batches) = rows[i].batch;
    }
    for (size_t i = 0; i < w->batches.n; i++) w->sources[w->batches.v[i]].in_set = false;
}

/* No batch that the rows are of has the field. */
static bool is_absent(const struct part_writer *w, enum set set, enum field f) {
    static const unsigned char zero[16];
    size_t size = field_rows[f].type == FIELD_ID16                                     ? 16
                  : field_rows[f].type == FIELD_U64 || field_rows[f].type == FIELD_ID8 ? 8
                                                                                       : 4;
    for (size_t i = 0; i < w->batches.n; i++) {
        const struct batch_column *c = &w->sources[w->batches.v[i]].b->columns[set][f];
        if (c->mask || memcmp(c->p, zero, size) != 0) return false;
    }
    return true;
}

/* For each row: `r` is the reference, `value` an expression of the column's pointer p and index at. */
#define GATHER(type, statement)                                                                                        \
    do {                                                                                                               \
        uint32_t last = UINT32_MAX, mask = 0;                                                                          \
        const type *p = NULL;                                                                                          \
        for (uint32_t i = 0; i < n; i++) {                                                                             \
            struct row_ref r = rows[i];                                                                                \
            if (r.batch != last) {                                                                                     \
                const struct batch_column *c = &w->sources[r.batch].b->columns[set][f];                                \
                p = c->p, mask = c->mask, last = r.batch;                                                              \
            }                                                                                                          \
            size_t at = r.row & mask;                                                                                  \
            statement;                                                                                                 \
        }                                                                                                              \
    } while (0)

static void gather_numbers(const struct part_writer *w, const struct row_ref *rows, uint32_t n, enum set set,
                           enum field f, uint64_t *out) {
    if (field_rows[f].type == FIELD_U64 || field_rows[f].type == FIELD_ID8)
        GATHER(uint64_t, out[i] = p[at]);
    else
        GATHER(uint32_t, out[i] = p[at]);
}

static void gather_refs(const struct part_writer *w, const struct row_ref *rows, uint32_t n, enum set set, enum field f,
                        uint64_t *out) {
    GATHER(uint32_t, out[i] = (uint64_t)r.batch << 32 | p[at]);
}

static void gather_ids(const struct part_writer *w, const struct row_ref *rows, uint32_t n, enum set set, enum field f,
                       unsigned char *out) {
    GATHER(unsigned char, memcpy(out + 16 * (size_t)i, p + 16 * at, 16));
}

/* Part codes of resources, scopes or shapes. */
static void gather_codes(struct part_writer *w, const struct row_ref *rows, uint32_t n, enum set set, enum field f,
                         uint32_t *out) {
    GATHER(uint32_t, {
        struct part_source *s = &w->sources[r.batch];
        uint32_t id = p[at];
        uint32_t known = f == FIELD_SHAPE ? s->shapes[id] : s->entities[f == FIELD_SCOPE][id];
        if (known)
            out[i] = known - 1;
        else
            out[i] = f == FIELD_SHAPE ? part_shape_code(w, s, id)
                                      : part_entity_code(w, s, f == FIELD_SCOPE ? SET_SCOPES : SET_RESOURCES, id);
    });
}

/* ---- fields ----------------------------------------------------------------------------------------------------- */

static uint8_t encode_structural(struct part_writer *w, const struct row_ref *rows, uint32_t n, enum set set,
                                 enum field f) {
    gather_codes(w, rows, n, set, f, w->codes);
    uint32_t count = f == FIELD_SHAPE      ? w->shapes.n
                     : f == FIELD_RESOURCE ? w->entities.sets[SET_RESOURCES].n
                                           : w->entities.sets[SET_SCOPES].n;
    return encode_part_codes(w, w->codes, n, count, &w->bytes);
}

/* How many children each row has; w->children gets them. */
static uint8_t encode_child_counts(struct part_writer *w, const struct row_ref *rows, uint32_t n, enum field f) {
    vec_clear(&w->children);
    for (uint32_t i = 0; i < n; i++) {
        const struct batch *b = w->sources[rows[i].batch].b;
        uint32_t first = rows[i].row ? batch_u32(b, SET_ROWS, f, rows[i].row - 1) : 0;
        uint32_t end = batch_u32(b, SET_ROWS, f, rows[i].row);
        w->numbers[i] = end - first;
        for (uint32_t child = first; child < end; child++)
            *vec_push(&w->children) = (struct row_ref){rows[i].batch, child};
    }
    return encode_numbers(w, w->numbers, n, &w->bytes);
}

static uint8_t encode_based(struct part_writer *w, const uint64_t *base, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) w->numbers[i] -= base[i];
    if (encode_numbers(w, w->numbers, n, &w->bytes) == 0) ints_encode(w->numbers, n, &w->bytes);
    return ENCODING_BASED;
}

static bool any_is_zero(const uint64_t *v, uint32_t n) {
    uint32_t zero = 0;
    for (uint32_t i = 0; i < n; i++) zero += v[i] == 0;
    return zero > n / 8;
}

static uint8_t encode_number_field(struct part_writer *w, const struct row_ref *rows, uint32_t n, enum set set,
                                   enum field f) {
    gather_numbers(w, rows, n, set, f, w->numbers);
    if (set == SET_EVENTS && f == FIELD_TIME) return encode_based(w, w->child_times, n);
    if (f == FIELD_OBSERVED && !any_is_zero(w->numbers, n)) return encode_based(w, w->times, n);
    if (set == SET_ROWS && f == FIELD_TIME) {
        memcpy(w->times, w->numbers, n * sizeof *w->times);
        return encode_run_times(w, w->numbers, n, &w->bytes);
    }
    if (f == FIELD_SPAN_ID) {
        if (set == SET_ROWS) memcpy(w->span_ids, w->numbers, n * sizeof *w->span_ids);
        return encode_raw8(w->numbers, n, &w->bytes);
    }
    if (f == FIELD_PARENT_ID) return encode_parents(w, w->numbers, w->span_ids, n, &w->bytes);
    return encode_numbers(w, w->numbers, n, &w->bytes);
}

static uint8_t encode_field(struct part_writer *w, const struct row_ref *rows, uint32_t n, enum set set, enum field f) {
    switch (field_rows[f].type) {
    case FIELD_ID16:
        gather_ids(w, rows, n, set, f, w->ids);
        return encode_ids(w, w->ids, n, set == SET_ROWS, &w->bytes);
    case FIELD_STRING:
        gather_refs(w, rows, n, set, f, w->refs);
        return encode_strings(w, &w->fields[set][f], w->refs, n, true, &w->bytes);
    case FIELD_U32:
    case FIELD_U64:
    case FIELD_ID8: break;
    }
    if (f == FIELD_RESOURCE || f == FIELD_SCOPE || f == FIELD_SHAPE) return encode_structural(w, rows, n, set, f);
    return encode_number_field(w, rows, n, set, f);
}

/* Correlation ids: mostly they are what one attribute says. They are indexed in any case. */
static void put_ids(struct part_writer *w, const struct row_ref *rows, uint32_t n, bool attributes) {
    size_t start = w->bytes.n;
    uint32_t key;
    gather_refs(w, rows, n, SET_ROWS, FIELD_CORRELATION, w->refs);
    if (attributes && part_key_of_ids(w, rows, w->refs, n, &key)) {
        const struct attribute_column *c = &w->key_memory.v[key].column;
        part_index_ids(w, c->v, c->n, false);
        put_u32(&w->bytes, key);
        part_add_block(w, SET_ROWS, FIELD_CORRELATION, 0, ENCODING_ATTRIBUTE, n, start);
        return;
    }
    uint8_t encoding = encode_strings(w, &w->fields[SET_ROWS][FIELD_CORRELATION], w->refs, n, true, &w->bytes);
    if (encoding) part_index_ids(w, w->refs, n, true);
    part_add_block(w, SET_ROWS, FIELD_CORRELATION, 0, encoding, n, start);
}

static void encode_set(struct part_writer *w, enum set set, const struct row_ref *rows, uint32_t n) {
    if (set == SET_ROWS) w->runs = 0;
    list_batches(w, rows, n);
    for (int f = 0; f < FIELDS; f++) {
        if (!field_in((enum field)f, w->signal, set) || f == FIELD_SLOT || f == FIELD_EVENT_END ||
            f == FIELD_LINK_END || f == FIELD_CORRELATION)
            continue;
        bool entity = f == FIELD_RESOURCE || f == FIELD_SCOPE; /* row 0 of a batch need not be code 0 of the part */
        if (!entity && f != FIELD_TIME && f != FIELD_SPAN_ID && is_absent(w, set, (enum field)f)) continue;
        size_t start = w->bytes.n;
        uint8_t encoding = encode_field(w, rows, n, set, (enum field)f);
        part_add_block(w, set, (uint8_t)f, 0, encoding, n, start);
    }
    bool attributes = !is_absent(w, set, FIELD_SHAPE) && part_gather_attributes(w, set, rows, n);
    if (set == SET_ROWS && !is_absent(w, set, FIELD_CORRELATION)) put_ids(w, rows, n, attributes);
    if (attributes) encode_attributes(w, set, rows, n);
}

/* Events or links: their counts as a column of the rows, then they themselves as a set. */
static void encode_children(struct part_writer *w, const struct row_ref *rows, uint32_t n, enum set set,
                            struct part_group *g) {
    enum field f = set == SET_EVENTS ? FIELD_EVENT_END : FIELD_LINK_END;
    if (w->signal != SIGNAL_SPANS) return;
    list_batches(w, rows, n);
    if (is_absent(w, SET_ROWS, f)) return;
    size_t start = w->bytes.n;
    part_add_block(w, SET_ROWS, (uint8_t)f, 0, encode_child_counts(w, rows, n, f), n, start);
    uint32_t children = (uint32_t)w->children.n, k = 0;
    if (!children) return;
    AUTO_FREE uint64_t *counts = mem_new_array(uint64_t, n);
    memcpy(counts, w->numbers, n * sizeof *counts);
    part_writer_room(w, children);
    for (uint32_t i = 0; i < n; i++)
        for (uint64_t c = 0; c < counts[i]; c++) w->child_times[k++] = w->times[i];
    g->set_rows[set] = children;
    encode_set(w, set, w->children.v, children);
}

static int compare_blocks(const void *a, const void *b) {
    const struct part_block *x = a, *y = b;
    uint64_t m = part_block_order(x->set, x->field, x->key), n = part_block_order(y->set, y->field, y->key);
    return (m > n) - (m < n);
}

/* Puts the group's bytes into the file and the group into the directory. */
err part_writer_flush_group(struct part_writer *w, struct part_group *g, uint32_t first_block) {
    static const char padding[PART_ALIGN_GROUP];
    if (w->bytes.full || w->scratch.full) return err_new(ERR_LIMIT, "a row group over 2 GiB");
    uint64_t start = (w->offset + PART_ALIGN_GROUP - 1) & ~(uint64_t)(PART_ALIGN_GROUP - 1);
    struct file_piece pieces[] = {{padding, start - w->offset}, {w->bytes.p, w->bytes.n}};
    TRY(file_write_pieces(w->file, pieces, 2, w->offset));
    w->offset = start + w->bytes.n;
    g->offset = start;
    g->size = w->bytes.n;
    g->block_first = first_block;
    g->block_count = (uint32_t)w->blocks.n - first_block;
    qsort(w->blocks.v + first_block, g->block_count, sizeof *w->blocks.v, compare_blocks);
    *vec_push(&w->groups) = *g;
    return NULL;
}

err part_writer_add_group(struct part_writer *w, const struct row_ref *rows, uint32_t n) {
    struct part_group g = {.set_rows = {n}, .time_min = INT64_MAX, .time_max = INT64_MIN};
    uint32_t first_block = (uint32_t)w->blocks.n;
    buf_clear(&w->bytes);
    part_writer_room(w, n);
    encode_set(w, SET_ROWS, rows, n);
    for (uint32_t i = 0; i < n; i++) {
        g.time_min = MIN(g.time_min, time_clamp(w->times[i]));
        g.time_max = MAX(g.time_max, time_clamp(w->times[i]));
    }
    encode_children(w, rows, n, SET_EVENTS, &g);
    encode_children(w, rows, n, SET_LINKS, &g);
    return part_writer_flush_group(w, &g, first_block);
}
