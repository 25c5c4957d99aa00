#include "store/match/words_heap_priv.h"

#include "base/text.h"
#include "store/match/words_priv.h"

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
    size_t tried_bytes; /* compared, at most */
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

/* The start of the next string that is long enough for the term. */
static size_t next_long_string(struct heap_search *s) {
    while (++s->string < s->count && s->end[s->string] - s->end[s->string - 1] < s->term->text.n) continue;
    if (s->string < s->count) return s->end[s->string - 1];
    s->string = s->count - 1;
    return s->size;
}

static size_t behind_word(const struct heap_search *s, size_t at, size_t end) {
    while (at < end && is_word_at(s, at)) at++;
    return at;
}

/* The term's bytes stand at `at`: marks the string if they are the word (or its beginning, or a phrase) and returns where to go
 * on: behind the string then, else at the next place that can be better. */
static size_t hit(struct heap_search *s, size_t at) {
    s->string = string_at(s, at);
    size_t start = s->string ? s->end[s->string - 1] : 0, end = s->end[s->string], behind = at + s->term->text.n;
    if (behind > end) return next_long_string(s); /* it runs into the next string */
    bool matches = s->term->kind == WORD_PHRASE || at == start || !is_word_at(s, at - 1);
    if (s->term->kind == WORD_WHOLE && behind < end && is_word_at(s, behind)) matches = false;
    if (!matches) return behind_word(s, at, end); /* no word begins within a word */
    s->found[s->string] |= s->bit;
    s->any |= s->bit;
    return end;
}

/* Candidates are places where the first and the last byte fit, compared with bit 5 set: letters in either case, and a few other
 * bytes that fold together, which the full comparison then tells apart. */
static size_t search_blocks(struct heap_search *s) {
    size_t at = 0, enough_bytes = 2 * s->size + 64 * KIB;
#ifdef __SSE2__
    struct str term = s->term->text;
    const __m128i fold = _mm_set1_epi8(0x20);
    const __m128i first = _mm_set1_epi8((char)(term.p[0] | 0x20)),
                  last = _mm_set1_epi8((char)(term.p[term.n - 1] | 0x20));
    while (at + 16 + term.n <= s->size && s->tried_bytes < enough_bytes) {
        __m128i x = _mm_or_si128(_mm_loadu_si128((const __m128i *)(s->heap + at)), fold);
        __m128i y = _mm_or_si128(_mm_loadu_si128((const __m128i *)(s->heap + at + term.n - 1)), fold);
        __m128i both = _mm_and_si128(_mm_cmpeq_epi8(x, first), _mm_cmpeq_epi8(y, last));
        size_t next = at + 16;
        for (uint32_t bits = (uint32_t)_mm_movemask_epi8(both); bits; bits &= bits - 1) {
            size_t place = at + (uint32_t)__builtin_ctz(bits);
            s->tried_bytes += term.n;
            if (!folded_equal(s->heap + place, term.p, term.n)) continue;
            next = hit(s, place);
            break;
        }
        at = next;
    }
#endif
    return at;
}

/* What search_blocks leaves: the last bytes, or all from where it was tried too often in vain. */
static void search_rest(struct heap_search *s, size_t at) {
    struct word_finder f;
    struct str heap = {s->heap, s->size};
    if (s->size - at < s->term->text.n) return;
    word_finder_init(&f, s->term->text);
    for (at = word_finder_next(&f, heap, at); at < s->size;) {
        size_t on = hit(s, at);
        at = word_finder_next(&f, heap, on);
    }
}

static void search(struct heap_search *s) {
    s->string = 0;
    s->tried_bytes = 0;
    if (s->term->text.n) search_rest(s, search_blocks(s));
}

void words_find_term(const struct word_term *t, uint32_t bit, const char *heap, const uint32_t *end, uint32_t count,
                     uint32_t *found) {
    if (!count || !end[count - 1]) return;
    struct heap_search s = {.heap = heap, .end = end, .count = count, .found = found, .term = t, .bit = bit};
    s.size = end[count - 1];
    search(&s);
}

uint32_t words_find_all(const struct words *w, const char *heap, const uint32_t *end, uint32_t count, uint32_t *found) {
    struct heap_search s = {.heap = heap, .end = end, .count = count, .found = found};
    if (!count || !end[count - 1]) return 0;
    s.size = end[count - 1];
    for (uint32_t i = 0; i < w->n; i++) {
        s.term = &w->terms[i];
        s.bit = 1u << i;
        search(&s);
    }
    return s.any;
}
