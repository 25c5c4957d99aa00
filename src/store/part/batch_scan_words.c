/* Words in a memory batch: all its strings are asked at once, each once, however many rows have it. */
#include "store/part/batch_scan_priv.h"
#include "store/match/words_heap_priv.h"

struct word_batch {
    const struct batch *b;
    uint32_t *found; /* per string: terms it has */
};

static uint32_t find_in_attributes(const struct word_batch *w, enum set s, uint32_t row) {
    struct batch_attributes a = batch_attributes(w->b, s, row);
    uint32_t found = 0;
    for (uint32_t i = 0; i < a.n; i++)
        if (w->b->keys[a.keys[i]].type == VALUE_STRING) found |= w->found[a.values[i]];
    return found;
}

static uint32_t find_in_row(const struct word_batch *w, uint32_t row) {
    const struct batch *b = w->b;
    uint32_t found = find_in_attributes(w, SET_ROWS, row);
    if (b->signal == SIGNAL_LOGS) return found | w->found[batch_u32(b, SET_ROWS, FIELD_BODY, row)];
    found |= w->found[batch_u32(b, SET_ROWS, FIELD_NAME, row)];
    found |= w->found[batch_u32(b, SET_ROWS, FIELD_STATUS_MESSAGE, row)];
    if (!b->set_rows[SET_EVENTS]) return found;
    uint32_t event = row ? batch_u32(b, SET_ROWS, FIELD_EVENT_END, row - 1) : 0;
    for (; event < batch_u32(b, SET_ROWS, FIELD_EVENT_END, row); event++)
        found |= w->found[batch_u32(b, SET_EVENTS, FIELD_NAME, event)] | find_in_attributes(w, SET_EVENTS, event);
    return found;
}

/* Bodies that are no strings count with a text that is not in the heap. */
static bool body_is_string(const struct batch *b, uint32_t row) {
    return b->signal != SIGNAL_LOGS || batch_u32(b, SET_ROWS, FIELD_BODY_TYPE, row) == VALUE_STRING;
}

static bool all_bodies_are_strings(const struct batch *b) {
    return b->signal != SIGNAL_LOGS || (!b->columns[SET_ROWS][FIELD_BODY_TYPE].mask && body_is_string(b, 0));
}

err batch_keep_words(const struct batch *b, const struct predicate *p, struct arena *a, uint32_t *rows, uint32_t *n) {
    uint32_t terms = words_count(p->words), all = terms == 32 ? UINT32_MAX : (1u << terms) - 1, kept = 0;
    struct word_batch w = {.b = b, .found = arena_zero(a, (b->string_count + 1) * sizeof *w.found)};
    if (!w.found) return arena_err(a);
    uint32_t possible = words_find_all(p->words, b->heap, b->string_end, b->string_count, w.found);
    bool plain = all_bodies_are_strings(b);
    if (plain && possible != all) *n = 0;
    for (uint32_t i = 0; i < *n; i++) {
        bool matches = plain || body_is_string(b, rows[i]) ? find_in_row(&w, rows[i]) == all
                                                           : predicate_matches_row(p, b, rows[i]);
        if (matches) rows[kept++] = rows[i];
    }
    *n = kept;
    return NULL;
}
