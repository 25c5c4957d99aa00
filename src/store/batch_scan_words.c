/* Words in a memory batch: the heap of all strings is searched for each term's bytes, 16 at once; only strings with a hit are
 * looked at by words_find, and each once, however many rows have it. */
#include "store/batch_scan_priv.h"
#include "store/words_priv.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

struct word_batch {
    const struct batch *b;
    const struct words *words;
    uint32_t *found;   /* per string: terms it has */
    uint8_t *looked;   /* per string: found is known */
    uint32_t possible; /* terms that some string has */
};

static bool folded_equal(const char *text, const char *folded, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (word_fold((unsigned char)text[i]) != (unsigned char)folded[i]) return false;
    return true;
}

/* String that holds the byte at `offset`, from string `from` on. */
static uint32_t string_at(const struct batch *b, uint32_t from, size_t offset) {
    uint32_t low = from, high = b->string_count - 1;
    for (uint32_t step = 1; low + step < high && b->string_end[low + step] <= offset; step *= 2) low += step;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (b->string_end[middle] > offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void look(struct word_batch *w, uint32_t string) {
    if (w->looked[string]) return;
    w->looked[string] = 1;
    w->found[string] = words_find(w->words, batch_string(w->b, string));
    w->possible |= w->found[string];
}

/* A hit at `at`: looks at its string and returns where to go on, behind it. */
static size_t hit(struct word_batch *w, uint32_t *string, size_t at) {
    *string = string_at(w->b, *string, at);
    look(w, *string);
    return w->b->string_end[*string];
}

/* ASCII letters are found in either case by setting bit 5 of every byte; a few other bytes then pass and fail the comparison. */
static size_t search_blocks(struct word_batch *w, struct str term, size_t size, uint32_t *string) {
    size_t at = 0;
#ifdef __SSE2__
    const char *heap = w->b->heap;
    __m128i fold = _mm_set1_epi8(0x20);
    __m128i first = _mm_set1_epi8((char)(term.p[0] | 0x20)), last = _mm_set1_epi8((char)(term.p[term.n - 1] | 0x20));
    while (at + 16 + term.n <= size) {
        __m128i x = _mm_or_si128(_mm_loadu_si128((const __m128i *)(heap + at)), fold);
        __m128i y = _mm_or_si128(_mm_loadu_si128((const __m128i *)(heap + at + term.n - 1)), fold);
        __m128i both = _mm_and_si128(_mm_cmpeq_epi8(x, first), _mm_cmpeq_epi8(y, last));
        size_t next = at + 16;
        for (uint32_t bits = (uint32_t)_mm_movemask_epi8(both); bits; bits &= bits - 1) {
            size_t place = at + (uint32_t)__builtin_ctz(bits);
            if (!folded_equal(heap + place, term.p, term.n)) continue;
            next = hit(w, string, place);
            break;
        }
        at = next;
    }
#else
    (void)w, (void)term, (void)size, (void)string;
#endif
    return at;
}

static void search_term(struct word_batch *w, struct str term) {
    size_t size = w->b->string_end[w->b->string_count - 1];
    uint32_t string = 0;
    if (term.n == 0) return;
    size_t at = search_blocks(w, term, size, &string);
    while (at + term.n <= size) {
        if (folded_equal(w->b->heap + at, term.p, term.n))
            at = hit(w, &string, at);
        else
            at++;
    }
}

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
    const struct words *words = p->words;
    uint32_t all = words->n == 32 ? UINT32_MAX : (1u << words->n) - 1, kept = 0;
    struct word_batch w = {.b = b, .words = words};
    w.found = arena_zero(a, (b->string_count + 1) * sizeof *w.found);
    w.looked = w.found ? arena_zero(a, b->string_count + 1) : NULL;
    if (!w.looked) return arena_err(a);
    for (uint32_t i = 0; i < words->n; i++) search_term(&w, words->terms[i].text);
    bool plain = all_bodies_are_strings(b);
    if (plain && w.possible != all) *n = 0;
    for (uint32_t i = 0; i < *n; i++) {
        bool matches = plain || body_is_string(b, rows[i]) ? find_in_row(&w, rows[i]) == all
                                                           : predicate_matches_row(p, b, rows[i]);
        if (matches) rows[kept++] = rows[i];
    }
    *n = kept;
    return NULL;
}
