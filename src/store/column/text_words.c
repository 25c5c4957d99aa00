#include "base/text.h"
#include "store/column/codes_priv.h"
#include "store/column/text_block_priv.h"
#include "store/match/words_heap_priv.h"

/* ---- finding a term in many texts at once ----------------------------------------------------------------------- */

static inline bool is_letter(char c) { return c >= 'a' && c <= 'z'; }

void texts_find_words(const struct words *w, uint32_t terms, const char *heap, const uint32_t *end, uint32_t n,
                      uint32_t *found) {
    for (; terms; terms &= terms - 1) {
        uint32_t t = (uint32_t)__builtin_ctz(terms);
        words_find_term(&w->terms[t], 1u << t, heap, end, n, found);
    }
}

/* ---- skeletons alone -------------------------------------------------------------------------------------------- */

static uint32_t terms_of(const struct words *w) {
    return MIN(w->n, (uint32_t)WORDS_TERMS_MAX);
} /* what gcc must be told */
static uint32_t all_terms(const struct words *w) { return (uint32_t)((UINT64_C(1) << terms_of(w)) - 1); }
static bool has_zero(struct str s) { return s.n && memchr(s.p, 0, s.n) != NULL; }

/* A phrase as a machine of bits: bit j set = its first j + 1 bytes end here. */
struct phrase {
    uint64_t of[256]; /* bit j: byte j of the phrase is this one, case folded */
    uint64_t words;   /* bit j: byte j is a word character */
    uint64_t end;
};
enum { PHRASE_BITS = 64 };

static void phrase_make(struct phrase *p, struct str folded) {
    *p = (struct phrase){.end = UINT64_C(1) << (folded.n - 1)};
    for (size_t j = 0; j < folded.n; j++) {
        unsigned char c = (unsigned char)folded.p[j];
        p->of[c] |= UINT64_C(1) << j;
        if (is_letter((char)c)) p->of[c - 0x20] |= UINT64_C(1) << j;
        if (word_char(c)) p->words |= UINT64_C(1) << j;
    }
}

/* Whether some token in the skeleton's slots could make a text of it hold the phrase. */
static bool phrase_may_be_in(const struct phrase *p, struct str skeleton) {
    uint64_t state = 0;
    for (size_t i = 0; i < skeleton.n; i++) {
        unsigned char c = (unsigned char)skeleton.p[i];
        if (c == 0) { /* any word characters, one or more; the phrase may begin, go on, or end in them */
            uint64_t run = (state << 1 | 1) & p->words, before;
            state = 0;
            do {
                before = state;
                state |= run;
                run = (state << 1 | 1) & p->words;
            } while (state != before);
        } else {
            state = (state << 1 | 1) & p->of[c];
        }
        if (state & p->end) return true;
    }
    return false;
}

static void judge_phrase(const struct text_skeletons *s, const struct word_term *t, uint32_t bit, const uint32_t *found,
                         uint32_t *maybe) {
    struct phrase p;
    bool is_short = t->text.n <= PHRASE_BITS;
    if (is_short) phrase_make(&p, t->text);
    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t start = i ? s->end[i - 1] : 0;
        struct str skeleton = {s->heap + start, s->end[i] - start};
        if (found[i] & bit || !has_zero(skeleton)) continue;
        if (!is_short || phrase_may_be_in(&p, skeleton)) maybe[i] |= bit;
    }
}

err text_match_make(struct arena *a, const struct text_skeletons *s, const struct words *w, struct text_match *out) {
    uint32_t *found = arena_array(a, uint32_t, (size_t)s->n + 1), *maybe = arena_array(a, uint32_t, (size_t)s->n + 1);
    if (!found || !maybe) return arena_err(a);
    uint32_t in_skeletons = 0, in_slots = 0;
    for (uint32_t t = 0; t < terms_of(w); t++) {
        const struct word_term *term = &w->terms[t];
        if (term->kind == WORD_PHRASE && has_zero(term->text)) continue; /* only whole texts hold zero bytes */
        if (!term->has_digit) in_skeletons |= 1u << t;
        if (term->kind == WORD_PREFIX || (term->kind == WORD_WHOLE && term->has_digit)) in_slots |= 1u << t;
    }
    texts_find_words(w, in_skeletons, s->heap, s->end, s->n, found);
    for (uint32_t i = 0; in_slots && i < s->n; i++) {
        uint32_t start = i ? s->end[i - 1] : 0;
        if (has_zero((struct str){s->heap + start, s->end[i] - start})) maybe[i] |= in_slots & ~found[i];
    }
    for (uint32_t t = 0; t < terms_of(w); t++)
        if (w->terms[t].kind == WORD_PHRASE && !has_zero(w->terms[t].text))
            judge_phrase(s, &w->terms[t], 1u << t, found, maybe);
    *out = (struct text_match){s->n, found, maybe};
    return NULL;
}

bool text_count_words(const struct text_block *t, const struct text_match *m, const struct words *w,
                      uint32_t *out_rows) {
    uint32_t all = all_terms(w), rows = 0;
    if (t->fallback_rows) return false;
    for (uint32_t k = 0; k < t->kept; k++) {
        uint32_t found = m->found[t->part_ids[k]], maybe = m->maybe[t->part_ids[k]];
        if (found == all)
            rows += t->rows_of[k];
        else if ((found | maybe) == all)
            return false;
    }
    *out_rows = rows;
    return true;
}

/* ---- slots ------------------------------------------------------------------------------------------------------ */

/* Calls for the rows of one skeleton: where they are in the block. */
static uint32_t rows_of_skeleton(const struct text_block *t, uint32_t local, uint32_t *rows) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->n && n < t->rows_of[local]; i++)
        if (t->local_of[i] == local) rows[n++] = i;
    return n;
}

/* hits[i] |= terms that a slot of the skeleton's i-th row holds. */
static bool search_slots(struct text_block *t, const struct words *w, uint32_t local, uint32_t terms, uint32_t *scratch,
                         uint32_t *hits, bool *any) {
    uint32_t slots = t->first_column[local + 1] - t->first_column[local];
    for (uint32_t s = 0; s < slots; s++) {
        const struct slot *c = block_slot(t, local, s);
        if (!c) return false;
        for (uint32_t left = terms; left; left &= left - 1) {
            uint32_t term = (uint32_t)__builtin_ctz(left), n = slot_find(c, &w->terms[term], scratch);
            for (uint32_t i = 0; i < n; i++) hits[scratch[i]] |= 1u << term;
            *any |= n > 0;
        }
    }
    return true;
}

/* Puts each row's text together and looks for the phrases. */
static bool search_rows(struct text_block *t, const struct words *w, uint32_t local, uint32_t terms, uint32_t *hits) {
    struct buf text;
    bool good = true;
    buf_init(&text, 2 * (size_t)TEXT_BYTES_MAX);
    for (uint32_t i = 0; good && i < t->rows_of[local]; i++) {
        buf_clear(&text);
        good = block_put_row(t, local, i, &text);
        for (uint32_t left = terms; good && left; left &= left - 1) {
            uint32_t term = (uint32_t)__builtin_ctz(left);
            if (word_phrase_in(&w->terms[term], buf_str(&text))) hits[i] |= 1u << term;
        }
    }
    buf_done(&text);
    return good;
}

static bool search_skeleton(struct text_block *t, const struct words *w, uint32_t local, uint32_t maybe,
                            uint32_t *found) {
    uint32_t n = t->rows_of[local], phrases = 0;
    for (uint32_t i = 0; i < terms_of(w); i++) phrases |= (uint32_t)(w->terms[i].kind == WORD_PHRASE) << i;
    uint32_t *hits = mem_new_array(uint32_t, n), *rows = mem_new_array(uint32_t, n);
    bool any = (maybe & phrases) != 0;
    bool good = search_slots(t, w, local, maybe & ~phrases, rows, hits, &any);
    if (good && maybe & phrases) good = search_rows(t, w, local, maybe & phrases, hits);
    if (good && any) {
        uint32_t have = rows_of_skeleton(t, local, rows);
        for (uint32_t i = 0; i < have; i++) found[rows[i]] |= hits[i];
    }
    mem_free(hits);
    mem_free(rows);
    return good;
}

/* ---- the fallback ----------------------------------------------------------------------------------------------- */

/* Which terms no row of a page has yet to be asked for: a page whose rows have all terms is not unpacked. */
static bool page_is_wanted(const uint32_t *rows, uint32_t n, const uint32_t *found, uint32_t all) {
    for (uint32_t i = 0; i < n; i++)
        if ((found[rows[i]] & all) != all) return true;
    return false;
}

static bool search_fallback(struct text_block *t, const struct words *w, uint32_t *found) {
    if (!block_pages_ready(t)) return false;
    uint32_t *rows = mem_new_array(uint32_t, t->fallback_rows), *hits = mem_new_array(uint32_t, t->fallback_rows),
             n = 0;
    for (uint32_t i = 0; i < t->n && n < t->fallback_rows; i++)
        if (t->local_of[i] == t->kept) rows[n++] = i;
    bool good = n == t->fallback_rows || block_fail(t, true, "rows of the fallback do not add up");
    for (uint32_t p = 0; good && p < t->pages; p++) {
        uint32_t first = t->page_first[p], count = t->page_first[p + 1] - first;
        if (!page_is_wanted(rows + first, count, found, all_terms(w))) continue;
        if (!(good = block_load_page(t, p))) break;
        texts_find_words(w, all_terms(w), t->page_heap, t->page_end, count, hits + first);
    }
    for (uint32_t i = 0; good && i < n; i++) found[rows[i]] |= hits[i];
    mem_free(rows);
    mem_free(hits);
    return good;
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

err text_find_words(struct text_block *t, const struct text_match *m, const struct words *w, uint32_t *found) {
    uint32_t sure[8192] = {0}, any_sure = 0, any_maybe = 0;
    static_assert(TEXT_SKELETONS_MAX < LENGTH(sure), "a skeleton's number has at most 13 bits");
    for (uint32_t k = 0; k < t->kept; k++) {
        sure[k] = m->found[t->part_ids[k]];
        any_sure |= sure[k];
        any_maybe |= m->maybe[t->part_ids[k]];
    }
    if (!any_sure && !any_maybe && !t->fallback_rows) return NULL;
    bool good = block_rows_ready(t);
    for (uint32_t i = 0; good && any_sure && i < t->n; i++) found[i] |= sure[t->local_of[i] & (LENGTH(sure) - 1)];
    for (uint32_t k = 0; good && any_maybe && k < t->kept; k++) {
        uint32_t maybe = m->maybe[t->part_ids[k]];
        if (maybe) good = search_skeleton(t, w, k, maybe, found);
    }
    if (good && t->fallback_rows) good = search_fallback(t, w, found);
    return good ? NULL : text_block_err(t);
}
