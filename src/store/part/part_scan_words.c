/* Words in the texts of a group's rows: each distinct string is looked at once, texts that are split answer from skeletons.
 *
 * First every column says which terms it may hold at all; if one term is nowhere, no row is looked at.
 */
#include "signal/otlp.h"
#include "store/part/part_scan_priv.h"
#include "store/match/words_heap_priv.h"

/* A column of texts that counts: one value a row (or child), or the values of a key. */
struct source {
    enum set set;
    bool is_body;
    struct column column;
    bool is_key; /* else a value each */
    uint32_t key;
    uint32_t *masks;   /* per distinct text: terms found (CODES, OWN) */
    uint32_t possible; /* terms that some value may have */
};

struct word_search {
    struct part_scan *s;
    struct plan *plan;
    struct group_reader *r;
    const struct words *words;
    uint32_t all; /* every term */
    struct source *sources;
    uint32_t count, capacity;
    struct key_counts counts[2]; /* of rows and events */
    struct key_rows places[2];   /* made when many keys are to be applied */
    bool any_bodies;             /* there is a column of body types that is not all strings */
};

/* What the part's strings have, all of them at once. */
static err open_string_masks(struct word_search *q) {
    const struct part_strings *strings = &q->s->part->strings;
    if (q->plan->words_found) return NULL;
    uint32_t *found = ARENA_ZERO(q->s->arena, uint32_t, strings->n);
    words_find_all(q->words, strings->heap, strings->end, strings->n, found);
    q->plan->words_found = found;
    return NULL;
}

/* The terms that each of n texts has. */
static err text_masks(struct word_search *q, const struct texts *t, uint32_t *out) {
    if (t->split) {
        memset(out, 0, t->n * sizeof *out);
        return text_problem(q->r, t, text_find_words(t->split, &q->plan->text_match, q->words, out));
    }
    for (uint32_t i = 0; i < t->n; i++) out[i] = words_find(q->words, t->plain[i]);
    return NULL;
}

static err list_masks(struct word_search *q, const struct column *c, uint32_t *out) {
    TRY(open_string_masks(q));
    uint32_t *list = column_list_decode(q->r, c);
    if (!list) return arena_err(q->r->arena);
    for (uint32_t i = 0; i < c->count; i++) out[i] = q->plan->words_found[list[i]];
    return NULL;
}

/* What the column may have at all, and for columns with codes what each code has. */
static err prepare(struct word_search *q, struct source *x) {
    struct column *c = &x->column;
    bool any_bodies = x->is_body && q->any_bodies; /* then these are not the texts that count */
    x->possible = q->all;
    if (c->texts.split) {
        TRY(plan_open_text_match(q->s, q->plan));
        x->possible = plan_possible_terms(q->plan, c->texts.split);
    }
    if ((c->encoding == ENCODING_CODES || c->encoding == ENCODING_OWN) && x->possible) {
        x->masks = ARENA_ARRAY(q->r->arena, uint32_t, c->count);
        TRY(c->encoding == ENCODING_CODES ? list_masks(q, c, x->masks) : text_masks(q, &c->texts, x->masks));
        x->possible = 0;
        for (uint32_t i = 0; i < c->count; i++) x->possible |= x->masks[i];
    }
    if (!c->encoding) x->possible = 0;
    if (any_bodies) x->possible = q->all;
    return NULL;
}

static err add_source(struct word_search *q, struct source x) {
    TRY(prepare(q, &x));
    if (!x.possible) return NULL;
    if (q->count == q->capacity) {
        uint32_t capacity = q->capacity ? q->capacity * 2 : 32;
        struct source *more = ARENA_ARRAY(q->r->arena, struct source, capacity);
        if (q->count) memcpy(more, q->sources, q->count * sizeof *more);
        q->sources = more;
        q->capacity = capacity;
    }
    q->sources[q->count++] = x;
    return NULL;
}

static err look_at_body_types(struct word_search *q) {
    struct column types;
    TRY(column_open(q->r, SET_ROWS, FIELD_BODY_TYPE, &types));
    const struct ints *v = &types.numbers.ints;
    q->any_bodies = !(types.encoding && v->kind == INTS_CONSTANT && ints_get(v, 0) == VALUE_STRING);
    return NULL;
}

static err add_field(struct word_search *q, enum set set, enum field f) {
    struct source x = {.set = set, .is_body = f == FIELD_BODY};
    if (x.is_body) TRY(look_at_body_types(q));
    TRY(column_open(q->r, set, (uint8_t)f, &x.column));
    return add_source(q, x);
}

/* The string keys of a set, each once. */
static err add_keys(struct word_search *q, enum set set) {
    struct group_reader *r = q->r;
    struct key_counts *counts = &q->counts[set];
    if (!r->g->set_rows[set]) return NULL;
    TRY(group_open_shapes(r, set));
    TRY(group_count_keys(r, set, counts));
    for (uint32_t i = 0; i < counts->count; i++) {
        uint32_t key = counts->keys[i];
        if (r->part->keys[key].type != VALUE_STRING) continue;
        struct source x = {.set = set, .is_key = true, .key = key};
        TRY(group_open_key(r, set, key, counts->values[key], &x.column));
        TRY(add_source(q, x));
    }
    return NULL;
}

/* ---- masks of every value ----------------------------------------------------------------------------------------- */

static err value_masks(struct word_search *q, const struct source *x, uint32_t *out) {
    const struct column *c = &x->column;
    if (c->encoding == ENCODING_TEXTS) return text_masks(q, &c->texts, out);
    memset(out, 0, c->n * sizeof *out);
    if (!x->masks) return NULL;
    numbers_decode(&c->numbers, c->n, out);
    for (uint32_t i = 0; i < c->n; i++) out[i] = x->masks[out[i]];
    return NULL;
}

/* Bodies that are not strings count with their display text. */
static err correct_bodies(struct word_search *q, const struct source *x, uint32_t *masks) {
    struct group_reader *r = q->r;
    struct column type_column;
    uint32_t n = x->column.n;
    uint64_t *types = ARENA_ARRAY(r->arena, uint64_t, n);
    TRY(column_open(r, SET_ROWS, FIELD_BODY_TYPE, &type_column));
    TRY(column_decode(r, SET_ROWS, FIELD_BODY_TYPE, &type_column, types));
    AUTO_BUF struct buf text;
    buf_init(&text, 64 * MIB);
    for (uint32_t i = 0; i < n; i++) {
        if (types[i] == VALUE_STRING) continue;
        masks[i] = 0;
        if (types[i] == VALUE_EMPTY) continue;
        uint32_t code, count = 0;
        const struct str *texts = NULL;
        struct one_string one;
        TRY(column_texts(r, &x->column, &i, 1, &code, &texts, &count));
        buf_clear(&text);
        value_write_text(one_string(&one, texts[code]), (enum value_type)types[i], 0, &text);
        masks[i] = words_find(q->words, buf_str(&text));
    }
    return NULL;
}

enum { FEW_STEPS = 1 << 16 };

static void add_found(const struct group_reader *r, enum set set, uint32_t i, uint32_t mask, uint32_t *found) {
    found[set == SET_ROWS ? i : r->child_rows[set][i]] |= mask;
}

/* Values of a key go to the rows that have it: by counting occurrences in shapes, or, when that is much for every one of many
 * keys, by an index made for all of them. */
static err apply_key(struct word_search *q, const struct source *x, const uint32_t *masks, uint32_t *found) {
    struct group_reader *r = q->r;
    const struct set_shapes *s = &r->shapes[x->set];
    struct key_rows *places = &q->places[x->set];
    if ((uint64_t)q->count * s->count > FEW_STEPS) {
        if (!places->start) TRY(group_place_keys(r, x->set, &q->counts[x->set], places));
        const uint32_t *rows = places->rows + places->start[x->key];
        for (uint32_t i = 0; i < x->column.n; i++) add_found(r, x->set, rows[i], masks[i], found);
        return NULL;
    }
    uint32_t *occurrences = ARENA_ARRAY(r->arena, uint32_t, s->count), at = 0;
    shapes_have_key(r, x->set, x->key, occurrences);
    for (uint32_t i = 0; i < r->g->set_rows[x->set]; i++)
        for (uint32_t end = at + occurrences[s->codes ? s->codes[i] : 0]; at < end; at++)
            add_found(r, x->set, i, masks[at], found);
    return NULL;
}

/* Adds what a column has to what its rows have. */
static err apply(struct word_search *q, const struct source *x, uint32_t *found) {
    struct group_reader *r = q->r;
    uint32_t *masks = ARENA_ARRAY(r->arena, uint32_t, x->column.n);
    TRY(value_masks(q, x, masks));
    if (x->is_body && q->any_bodies) TRY(correct_bodies(q, x, masks));
    if (x->set != SET_ROWS) TRY(group_open_children(r, x->set));
    if (x->is_key) return apply_key(q, x, masks, found);
    for (uint32_t i = 0; i < x->column.n; i++) add_found(r, x->set, i, masks[i], found);
    return NULL;
}

static err collect_sources(struct word_search *q) {
    TRY(add_keys(q, SET_ROWS));
    if (q->s->part->info.signal == SIGNAL_LOGS) return add_field(q, SET_ROWS, FIELD_BODY);
    TRY(add_field(q, SET_ROWS, FIELD_NAME));
    TRY(add_field(q, SET_ROWS, FIELD_STATUS_MESSAGE));
    if (!q->r->g->set_rows[SET_EVENTS]) return NULL;
    TRY(add_field(q, SET_EVENTS, FIELD_NAME));
    return add_keys(q, SET_EVENTS);
}

err plan_match_words(struct part_scan *s, struct plan *plan, struct group_reader *r, const uint64_t *candidates,
                     uint64_t *out) {
    uint32_t terms = words_count(plan->p->words), possible = 0, n = r->g->set_rows[SET_ROWS];
    struct word_search q = {.s = s, .plan = plan, .r = r, .words = plan->p->words};
    q.all = terms == 32 ? UINT32_MAX : (1u << terms) - 1;
    (void)candidates;
    plan->words = plan->p->words;
    TRY(collect_sources(&q));
    for (uint32_t i = 0; i < q.count; i++) possible |= q.sources[i].possible;
    if ((possible & q.all) != q.all) return NULL;
    uint32_t *found = ARENA_ZERO(r->arena, uint32_t, n);
    for (uint32_t i = 0; i < q.count; i++) TRY(apply(&q, &q.sources[i], found));
    for (uint32_t i = 0; i < n; i++) out[i / 64] |= (uint64_t)(found[i] == q.all) << i % 64;
    return NULL;
}
