/* One column of a group against one predicate: strings once per distinct one, ids once per run, numbers one by one. */
#include "store/part/part_scan_priv.h"
#include "store/match/words_priv.h"

const struct batch *one_string(struct one_string *s, struct str text) {
    s->b = (struct batch){.string_count = 1, .string_end = &s->end, .heap = text.p ? text.p : ""};
    s->end = (uint32_t)text.n;
    return &s->b;
}

static bool text_matches(const struct predicate *p, struct str text, bool is_field, enum value_type type) {
    struct one_string one;
    if (p->op == OP_EXISTS || p->op == OP_ABSENT) return !is_field || text.n > 0;
    if (type == VALUE_STRING) return predicate_matches_text(p, text);
    return predicate_matches_value(p, one_string(&one, text), type, 0);
}

/* Of a part string, remembered for the next groups. Only string values share the memory: a text may be a string here and
 * bytes there. */
static err code_matches(struct part_scan *s, struct plan *plan, uint32_t code, bool is_field, enum value_type type,
                        bool *out) {
    if (type != VALUE_STRING) {
        *out = text_matches(plan->p, part_string(&s->part->strings, code), is_field, type);
        return NULL;
    }
    if (!plan->string_known) plan->string_known = ARENA_ZERO(s->arena, uint8_t, s->part->strings.n);
    uint8_t *known = &plan->string_known[code];
    if (*known == STRING_UNKNOWN)
        *known = text_matches(plan->p, part_string(&s->part->strings, code), is_field, type) ? STRING_MATCHES
                                                                                             : STRING_DIFFERS;
    *out = *known == STRING_MATCHES;
    return NULL;
}

static size_t wanted_words(const struct column *c) {
    size_t words = bit_words(c->count);
    if (c->numbers.packed) words = MAX(words, codes_wanted_words(&c->numbers.codes));
    return words;
}

/* Values whose code is wanted. */
static err select_codes(struct group_reader *r, const struct column *c, const uint64_t *wanted, uint64_t *out) {
    uint32_t *codes = ARENA_ARRAY(r->arena, uint32_t, c->n), only;
    if (!c->numbers.packed &&
        codes_only_wanted(wanted, bit_words(c->count), &only)) { /* frames that cannot have it are not unpacked */
        uint32_t found = ints_find(&c->numbers.ints, only, codes);
        for (uint32_t i = 0; i < found; i++) bit_set(out, codes[i]);
        return NULL;
    }
    if (c->numbers.packed) {
        uint32_t found = codes_select(&c->numbers.codes, wanted, codes);
        for (uint32_t i = 0; i < found; i++) bit_set(out, codes[i]);
        return NULL;
    }
    numbers_decode(&c->numbers, c->n, codes);
    for (uint32_t i = 0; i < c->n; i += 64) { /* a word at a time: most are zero, and none is waited for */
        uint64_t word = 0;
        uint32_t count = MIN(c->n - i, 64u);
        for (uint32_t j = 0; j < count; j++) word |= (uint64_t)bit_is_set(wanted, codes[i + j]) << j;
        out[i / 64] |= word;
    }
    return NULL;
}

static err all_texts(struct group_reader *r, const struct texts *t, const struct str **out) {
    if (!t->split) {
        *out = t->plain;
        return NULL;
    }
    struct str *texts = ARENA_ARRAY(r->arena, struct str, t->n);
    *out = texts;
    return texts_get_some(r, t, NULL, t->n, texts);
}

/* ---- texts that are split ----------------------------------------------------------------------------------------- */

err plan_open_text_match(struct part_scan *s, struct plan *plan) {
    const struct part_strings *all = &s->part->skeletons;
    if (plan->has_text_match) return NULL;
    struct text_skeletons skeletons = {all->n, all->end, all->heap};
    TRY(text_match_make(s->arena, &skeletons, plan->words, &plan->text_match));
    plan->has_text_match = true;
    return NULL;
}

uint32_t plan_possible_terms(const struct plan *plan, const struct text_block *t) {
    const struct text_match *m = &plan->text_match;
    const uint32_t *ids, *counts;
    uint32_t n = text_block_skeletons(t, &ids, &counts), possible = 0;
    if (text_block_fallback_rows(t)) return UINT32_MAX;
    for (uint32_t i = 0; i < n; i++) possible |= m->found[ids[i]] | m->maybe[ids[i]];
    return possible;
}

/* An equal text has all the words of the one asked for; a text without words, or too many, is compared with every value. */
static bool equal_has_words(struct part_scan *s, struct plan *plan) {
    if (plan->equal == EQUAL_UNKNOWN) {
        struct words *w = NULL;
        err e = words_parse(s->arena, plan->p->text, &w);
        plan->words = w;
        plan->equal = e ? EQUAL_HAS_NONE : EQUAL_HAS_WORDS;
        err_free(e);
    }
    return plan->equal == EQUAL_HAS_WORDS;
}

/* Bits of the texts that are equal to the one asked for: only those that have its words are put together. */
static err equal_texts(struct part_scan *s, struct plan *plan, struct group_reader *r, const struct texts *t,
                       uint64_t *out) {
    uint32_t terms = words_count(plan->words), all = terms == 32 ? UINT32_MAX : (1u << terms) - 1, n = 0;
    TRY(plan_open_text_match(s, plan));
    if ((plan_possible_terms(plan, t->split) & all) != all) return NULL;
    uint32_t *found = ARENA_ZERO(r->arena, uint32_t, t->n), *which = ARENA_ARRAY(r->arena, uint32_t, t->n);
    TRY(text_problem(r, t, text_find_words(t->split, &plan->text_match, plan->words, found)));
    for (uint32_t i = 0; i < t->n; i++)
        if (found[i] == all) which[n++] = i;
    if (!n) return NULL;
    struct str *texts = ARENA_ARRAY(r->arena, struct str, n);
    TRY(texts_get_some(r, t, which, n, texts));
    for (uint32_t i = 0; i < n; i++)
        if (str_equal(texts[i], plan->p->text)) bit_set(out, which[i]);
    return NULL;
}

/* Bits of the texts that match. */
static err match_texts(struct part_scan *s, struct plan *plan, struct group_reader *r, const struct texts *t,
                       bool is_field, enum value_type type, uint64_t *out) {
    const struct str *texts = NULL;
    bool equality = plan->p->op == OP_EQUAL || plan->p->op == OP_NOT_EQUAL;
    if (equality && type == VALUE_STRING && t->split && equal_has_words(s, plan))
        return equal_texts(s, plan, r, t, out);
    TRY(all_texts(r, t, &texts));
    for (uint32_t i = 0; i < t->n; i++)
        if (text_matches(plan->p, texts[i], is_field, type)) bit_set(out, i);
    return NULL;
}

static err match_list(struct part_scan *s, struct plan *plan, struct group_reader *r, const struct column *c,
                      bool is_field, enum value_type type, uint64_t *out) {
    uint32_t *list = column_list_decode(r, c);
    if (!list) return arena_err(r->arena);
    for (uint32_t i = 0; i < c->count; i++) {
        bool matches = false;
        TRY(code_matches(s, plan, list[i], is_field, type, &matches));
        if (matches) bit_set(out, i);
    }
    return NULL;
}

err plan_match_texts(struct part_scan *s, struct plan *plan, struct group_reader *r, const struct column *c,
                     bool is_field, enum value_type type, uint64_t *out) {
    if (!c->encoding) {
        if (text_matches(plan->p, STR(""), is_field, type))
            for (uint32_t i = 0; i < c->n; i++) bit_set(out, i);
        return NULL;
    }
    if (c->encoding == ENCODING_TEXTS) return match_texts(s, plan, r, &c->texts, is_field, type, out);
    uint64_t *wanted = ARENA_ZERO(r->arena, uint64_t, wanted_words(c));
    TRY(c->encoding == ENCODING_OWN ? match_texts(s, plan, r, &c->texts, is_field, type, wanted)
                                    : match_list(s, plan, r, c, is_field, type, wanted));
    return bits_are_empty(wanted, c->count) ? NULL : select_codes(r, c, wanted, out);
}

/* ---- numbers ------------------------------------------------------------------------------------------------------ */

/* Comparisons with a whole number, the frequent case, without a call for each. */
static bool match_whole_numbers(const struct predicate *p, const uint64_t *v, uint32_t n, uint64_t *out) {
#define LOOP(comparison)                                                                                               \
    for (uint32_t i = 0; i < n; i++) out[i / 64] |= (uint64_t)((int64_t)v[i] comparison p->integer) << i % 64;         \
    return true
    if (!p->is_int || p->regex) return false;
    switch (p->op) {
    case OP_EQUAL:
    case OP_NOT_EQUAL: LOOP(==);
    case OP_LESS: LOOP(<);
    case OP_LESS_EQUAL: LOOP(<=);
    case OP_GREATER: LOOP(>);
    case OP_GREATER_EQUAL: LOOP(>=);
    case OP_MATCH:
    case OP_NOT_MATCH:
    case OP_EXISTS:
    case OP_ABSENT:
    case OP_WORDS:
    case OP_ENDS: break;
    }
    return false;
#undef LOOP
}

err plan_match_numbers(struct plan *plan, struct group_reader *r, enum set set, uint8_t field, const struct column *c,
                       enum value_type type, uint64_t *out) {
    uint64_t *v = ARENA_ARRAY(r->arena, uint64_t, c->n);
    TRY(column_decode(r, set, field, c, v));
    if (type == VALUE_INT && match_whole_numbers(plan->p, v, c->n, out)) return NULL;
    bool matches = false;
    for (uint32_t i = 0; i < c->n; i++) {
        if (i == 0 || v[i] != v[i - 1])
            matches = type == VALUE_INT ? predicate_matches_number(plan->p, (int64_t)v[i])
                                        : predicate_matches_value(plan->p, NULL, type, v[i]);
        if (matches) bit_set(out, i);
    }
    return NULL;
}

/* ---- ids ---------------------------------------------------------------------------------------------------------- */

/* Asks the predicate of a row that has nothing but the id. */
static bool id_matches(const struct plan *plan, enum field f, const void *id) {
    struct bare_row row;
    static const struct batch nothing;
    bare_row_init(&row, &nothing);
    row.b.signal = field_in(f, SIGNAL_SPANS, SET_ROWS) ? SIGNAL_SPANS : SIGNAL_LOGS;
    row.b.columns[SET_ROWS][f].p = id;
    return predicate_matches_row(plan->p, &row.b, 0) != plan->negative;
}

static bool is_equality(const struct plan *plan) { return plan->p->op == OP_EQUAL || plan->p->op == OP_NOT_EQUAL; }

static err match_ids16(struct plan *plan, struct group_reader *r, const struct column *c, uint64_t *out) {
    uint64_t *wanted = ARENA_ZERO(r->arena, uint64_t, wanted_words(c));
    static const unsigned char zero[16];
    for (uint32_t i = 0; i < c->count; i++) {
        const unsigned char *id = c->raw + 16 * (size_t)i;
        bool matches = plan->has_end       ? memcmp(id + 8, plan->id + 8, 8) == 0 && memcmp(id, zero, 16) != 0
                       : is_equality(plan) ? plan->has_id && memcmp(id, plan->id, 16) == 0 && memcmp(id, zero, 16) != 0
                                           : id_matches(plan, FIELD_TRACE_ID, id);
        if (matches) bit_set(wanted, i);
    }
    if (bits_are_empty(wanted, c->count)) return NULL;
    if (c->encoding == ENCODING_IDS) return select_codes(r, c, wanted, out);
    for (uint32_t i = 0; i < c->count; i++)
        if (bit_is_set(wanted, i))
            for (uint32_t row = i ? c->run_end[i - 1] : 0; row < c->run_end[i]; row++) bit_set(out, row);
    return NULL;
}

err plan_match_ids(struct plan *plan, struct group_reader *r, enum field field, const struct column *c, uint64_t *out) {
    if (!c->encoding) return NULL; /* zero: absent, and matches nothing */
    if (field_rows[field].type == FIELD_ID16) return match_ids16(plan, r, c, out);
    uint64_t *v = ARENA_ARRAY(r->arena, uint64_t, c->n), wanted = load_u64(plan->id);
    TRY(column_decode(r, SET_ROWS, (uint8_t)field, c, v));
    for (uint32_t i = 0; i < c->n; i++) {
        bool matches = v[i] && (is_equality(plan) ? plan->has_id && v[i] == wanted : id_matches(plan, field, &v[i]));
        if (matches) bit_set(out, i);
    }
    return NULL;
}

/* ---- values and rows ---------------------------------------------------------------------------------------------- */

static bool is_one_each(const struct group_reader *r, enum set set, const uint32_t *occurrences) {
    for (uint32_t i = 0; i < r->shapes[set].count; i++)
        if (occurrences[i] != 1) return false;
    return true;
}

void values_to_rows(const struct group_reader *r, enum set set, const uint32_t *occurrences, const uint64_t *values,
                    uint64_t *out_rows) {
    const struct set_shapes *s = &r->shapes[set];
    uint32_t n = r->g->set_rows[set], at = 0;
    if (is_one_each(r, set, occurrences)) {
        for (size_t w = 0; w < bit_words(n); w++) out_rows[w] |= values[w];
        return;
    }
    for (uint32_t row = 0; row < n; row++) {
        uint32_t end = at + occurrences[s->codes ? s->codes[row] : 0];
        for (; at < end; at++) out_rows[row / 64] |= (uint64_t)bit_is_set(values, at) << row % 64;
    }
}

void rows_with_key(const struct group_reader *r, enum set set, const uint32_t *occurrences, uint64_t *out_rows) {
    const struct set_shapes *s = &r->shapes[set];
    for (uint32_t row = 0; row < r->g->set_rows[set]; row++)
        out_rows[row / 64] |= (uint64_t)(occurrences[s->codes ? s->codes[row] : 0] != 0) << row % 64;
}
