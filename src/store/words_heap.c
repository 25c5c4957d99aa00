#include "store/words_heap_priv.h"

#include "base/text.h"
#include "store/words_priv.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

struct heap_search {
    const char *heap;
    const uint32_t *end;
    uint32_t count, string; /* string: that of the last hit; hits rise */
    size_t size;
    const struct word_term *term;
    uint32_t bit;
    uint32_t *found;
    uint32_t any;
};

static bool folded_equal(const char *text, const char *folded, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (word_fold((unsigned char)text[i]) != (unsigned char)folded[i]) return false;
    return true;
}

/* The string that holds the byte at `offset`, from that of the last hit on: near ones in few steps. */
static uint32_t string_at(const struct heap_search *s, size_t offset) {
    uint32_t low = s->string, high = s->count - 1;
    for (uint32_t step = 1; low + step < high && s->end[low + step] <= offset; step *= 2) low += step;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (s->end[middle] > offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static bool is_word_at(const struct heap_search *s, size_t at) { return word_char((unsigned char)s->heap[at]); }

/* The term's bytes stand at `at`: marks the string if they are the word (or its beginning, or a phrase) and returns where to go
 * on: behind the string then, else one byte on. */
static size_t hit(struct heap_search *s, size_t at) {
    s->string = string_at(s, at);
    size_t start = s->string ? s->end[s->string - 1] : 0, end = s->end[s->string], behind = at + s->term->text.n;
    if (behind > end) return at + 1; /* it runs into the next string */
    bool matches = s->term->kind == WORD_PHRASE || at == start || !is_word_at(s, at - 1);
    if (s->term->kind == WORD_WHOLE && behind < end && is_word_at(s, behind)) matches = false;
    if (!matches) return at + 1;
    s->found[s->string] |= s->bit;
    s->any |= s->bit;
    return end;
}

/* Candidates are places where the first and the last byte fit, compared with bit 5 set: letters in either case, and a few other
 * bytes that fold together, which the full comparison then tells apart. */
static size_t search_blocks(struct heap_search *s) {
    size_t at = 0;
#ifdef __SSE2__
    struct str term = s->term->text;
    const __m128i fold = _mm_set1_epi8(0x20);
    const __m128i first = _mm_set1_epi8((char)(term.p[0] | 0x20)),
                  last = _mm_set1_epi8((char)(term.p[term.n - 1] | 0x20));
    while (at + 16 + term.n <= s->size) {
        __m128i x = _mm_or_si128(_mm_loadu_si128((const __m128i *)(s->heap + at)), fold);
        __m128i y = _mm_or_si128(_mm_loadu_si128((const __m128i *)(s->heap + at + term.n - 1)), fold);
        __m128i both = _mm_and_si128(_mm_cmpeq_epi8(x, first), _mm_cmpeq_epi8(y, last));
        size_t next = at + 16;
        for (uint32_t bits = (uint32_t)_mm_movemask_epi8(both); bits; bits &= bits - 1) {
            size_t place = at + (uint32_t)__builtin_ctz(bits);
            if (!folded_equal(s->heap + place, term.p, term.n)) continue;
            size_t on = hit(s, place);
            if (on == place + 1) continue;
            next = on;
            break;
        }
        at = next;
    }
#endif
    return at;
}

static void search(struct heap_search *s) {
    struct str term = s->term->text;
    size_t at = search_blocks(s);
    while (at + term.n <= s->size) at = folded_equal(s->heap + at, term.p, term.n) ? hit(s, at) : at + 1;
}

uint32_t words_find_all(const struct words *w, const char *heap, const uint32_t *end, uint32_t count, uint32_t *found) {
    struct heap_search s = {.heap = heap, .end = end, .count = count, .found = found};
    if (!count || !end[count - 1]) return 0;
    s.size = end[count - 1];
    for (uint32_t i = 0; i < w->n; i++) {
        s.term = &w->terms[i];
        s.bit = 1u << i;
        s.string = 0;
        if (s.term->text.n) search(&s);
    }
    return s.any;
}
