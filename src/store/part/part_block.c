/* Blocks of a group: found in the directory, verified at their first touch (7). */
#include <zstd.h>

#include "base/hash.h"
#include "store/part/part_read_priv.h"

void group_reader_init(struct group_reader *r, struct part *p, uint32_t group, struct arena *a,
                       struct scan_stats *stats) {
    *r = (struct group_reader){.part = p, .group = group, .g = &p->groups[group], .arena = a, .stats = stats};
    r->blocks = p->blocks + r->g->block_first;
}

err group_reader_end(struct group_reader *r, err e, bool *out_bad) {
    *out_bad = e && err_kind(e) == ERR_CORRUPT;
    if (!*out_bad) return e;
    if (r->stats->bad_blocks++ == 0) {
        size_t n = MIN(strlen(err_text(e)), sizeof r->stats->bad_text - 1);
        memcpy(r->stats->bad_text, err_text(e), n);
        r->stats->bad_text[n] = 0;
    }
    err_free(e);
    return NULL;
}

static void column_name(const struct part *p, const struct part_block *b, char out[96]) {
    struct str key = {0};
    const char *name = b->field == COLUMN_REST ? "rare attributes" : "attribute ";
    if (b->field < FIELDS) name = field_rows[b->field].name;
    if (b->field == COLUMN_ATTRIBUTE) key = part_string(&p->strings, p->keys[b->key].name);
    size_t n = strlen(name), k = MIN(key.n, 40u);
    memcpy(out, name, n);
    if (k) memcpy(out + n, key.p, k);
    out[n + k] = 0;
}

err part_corrupt(const struct group_reader *r, const struct part_block *b, const char *why) {
    char name[96];
    column_name(r->part, b, name);
    return err_new(ERR_CORRUPT, "part %s, group %u, %s of %s: %s", r->part->path, r->group, name, set_names[b->set],
                   why);
}

const struct part_block *group_find_block(const struct group_reader *r, enum set set, uint8_t field, uint32_t key) {
    uint64_t want = part_block_order((uint8_t)set, field, key);
    uint32_t low = 0, high = r->g->block_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const struct part_block *b = &r->blocks[middle];
        uint64_t order = part_block_order(b->set, b->field, b->key);
        if (order == want) return b;
        if (order < want)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

err part_unzip(struct arena *a, struct str bytes, uint64_t raw_size, struct str *out) {
    if (ZSTD_getFrameContentSize(bytes.p, bytes.n) != raw_size) return err_new(ERR_CORRUPT, "wrong size");
    char *raw = arena_alloc(a, raw_size + 1);
    if (!raw) return arena_err(a);
    size_t n = ZSTD_decompress(raw, raw_size, bytes.p, bytes.n);
    if (ZSTD_isError(n) || n != raw_size) return err_new(ERR_CORRUPT, "cannot be decompressed");
    *out = str_span(raw, raw_size);
    return NULL;
}

/* ---- the first touch ---------------------------------------------------------------------------------------------- */

static bool numbers_are_below(const struct numbers *c, uint32_t limit) {
    return c->packed ? codes_are_below(&c->codes, limit) : ints_are_below(&c->ints, limit);
}

static uint32_t dictionary_size(const struct part *p, const struct part_block *b) {
    if (b->field == FIELD_SHAPE) return p->shape_count;
    if (b->field == FIELD_RESOURCE) return p->entities.set_rows[SET_RESOURCES];
    if (b->field == FIELD_SCOPE) return p->entities.set_rows[SET_SCOPES];
    return p->strings.n;
}

static err check_parents(struct group_reader *r, const struct part_block *b, const struct column *c) {
    uint64_t *all = ARENA_ARRAY(r->arena, uint64_t, c->n);
    uint32_t escapes = 0, *list = column_list_decode(r, c);
    if (!list) return arena_err(r->arena);
    ints_decode(&c->numbers.ints, 0, c->n, all);
    for (uint32_t i = 0; i < c->n; i++) {
        uint64_t zigzag = all[i] - 2, row = i + ((zigzag >> 1) ^ -(zigzag & 1));
        if (all[i] == PARENT_ESCAPED) {
            if (escapes == c->count || list[escapes] != i) return part_corrupt(r, b, "an escape is missing");
            escapes++;
        } else if (all[i] > PARENT_ESCAPED && row >= c->n) {
            return part_corrupt(r, b, "a parent outside of the group");
        }
    }
    return escapes == c->count ? NULL : part_corrupt(r, b, "an escape too many");
}

/* Counts of children add up to the group's. */
static err check_counts(struct group_reader *r, const struct part_block *b, const struct column *c) {
    uint32_t want = r->g->set_rows[b->field == FIELD_EVENT_END ? SET_EVENTS : SET_LINKS];
    uint64_t *all = ARENA_ARRAY(r->arena, uint64_t, c->n), sum = 0;
    ints_decode(&c->numbers.ints, 0, c->n, all);
    for (uint32_t i = 0; i < c->n; i++) {
        if (all[i] > want || sum + all[i] > want) return part_corrupt(r, b, "counts do not add up");
        sum += all[i];
    }
    return sum == want ? NULL : part_corrupt(r, b, "counts do not add up");
}

static err check_column(struct group_reader *r, const struct part_block *b, const struct column *c) {
    switch (c->encoding) {
    case ENCODING_CODES:
        if (!ints_are_below(&c->list, dictionary_size(r->part, b)))
            return part_corrupt(r, b, "a code behind the dictionary");
        break;
    case ENCODING_REST:
        if (!ints_are_below(&c->list, r->part->key_count)) return part_corrupt(r, b, "a key behind the keys");
        return NULL;
    case ENCODING_PARENTS: return check_parents(r, b, c);
    default: break;
    }
    if (c->encoding == ENCODING_CODES || c->encoding == ENCODING_OWN || c->encoding == ENCODING_IDS)
        return numbers_are_below(&c->numbers, c->count) ? NULL : part_corrupt(r, b, "a code behind the list");
    if (b->field == FIELD_EVENT_END || b->field == FIELD_LINK_END) return check_counts(r, b, c);
    if (b->field == FIELD_BODY_TYPE && !ints_are_below(&c->numbers.ints, VALUE_TYPES))
        return part_corrupt(r, b, "no such type");
    return NULL;
}

err group_check_block(struct group_reader *r, const struct part_block *b, struct str *out) {
    uint64_t at = (uint64_t)(b - r->part->blocks), bit = 1ull << at % 64;
    _Atomic uint64_t *word = &r->part->checked[at / 64];
    struct str bytes = str_span(r->part->map.p + r->g->offset + (uint64_t)b->offset * PART_ALIGN_BLOCK, b->size);
    r->stats->bytes_read += b->size;
    *out = bytes;
    if (atomic_load_explicit(word, memory_order_relaxed) & bit) return NULL;
    if (!r->part->trust_checksums && hash_bytes(bytes.p, bytes.n) != b->checksum)
        return part_corrupt(r, b, "checksum differs");
    struct column c;
    TRY(column_parse(r, b, bytes, &c));
    TRY(check_column(r, b, &c));
    atomic_fetch_or_explicit(word, bit, memory_order_relaxed);
    return NULL;
}
