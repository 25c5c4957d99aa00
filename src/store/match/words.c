#include "base/text.h"
#include "store/match/words_priv.h"

/* ---- parsing ---------------------------------------------------------------------------------------------------- */

static struct str fold(struct arena *a, struct str s) {
    struct str copy = arena_copy(a, s);
    for (size_t i = 0; i < copy.n; i++) ((char *)copy.p)[i] = (char)word_fold((unsigned char)s.p[i]);
    return copy;
}

static err add_term(struct arena *a, struct words *w, enum word_kind kind, struct str text) {
    if (w->n == WORDS_TERMS_MAX) return err_new(ERR_LIMIT, "more than %d search words", WORDS_TERMS_MAX);
    struct word_term *t = &w->terms[w->n++];
    *t = (struct word_term){.kind = kind, .text = fold(a, text)};
    for (size_t i = 0; i < text.n; i++) t->has_digit |= text.p[i] >= '0' && text.p[i] <= '9';
    return arena_err(a);
}

err words_parse(struct arena *a, struct str text, struct words **out) {
    struct words *w = arena_new(a, struct words);
    if (!w) return arena_err(a);
    for (size_t i = 0; i < text.n;) {
        if (text.p[i] == '"') {
            struct str rest = {text.p + i + 1, text.n - i - 1};
            ptrdiff_t end = str_find(rest, '"');
            if (end < 0) return err_new(ERR_INVALID, "search text: the quote at byte %zu is not closed", i);
            if (end > 0) TRY(add_term(a, w, WORD_PHRASE, (struct str){rest.p, (size_t)end}));
            i += (size_t)end + 2;
        } else if (word_char((unsigned char)text.p[i])) {
            size_t start = i;
            while (i < text.n && word_char((unsigned char)text.p[i])) i++;
            bool prefix = i < text.n && text.p[i] == '*';
            TRY(add_term(a, w, prefix ? WORD_PREFIX : WORD_WHOLE, (struct str){text.p + start, i - start}));
        } else {
            i++;
        }
    }
    if (!w->n) return err_new(ERR_INVALID, "search text: there is no word in \"" STR_FMT "\"", STR_ARG(text));
    *out = w;
    return NULL;
}

/* ---- matching --------------------------------------------------------------------------------------------------- */

static bool folded_equal(const char *folded, const char *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (word_fold((unsigned char)text[i]) != (unsigned char)folded[i]) return false;
    return true;
}

bool word_equals(const struct word_term *t, struct str word) {
    if (t->kind == WORD_WHOLE ? word.n != t->text.n : word.n < t->text.n) return false;
    return folded_equal(t->text.p, word.p, t->text.n);
}

void word_finder_init(struct word_finder *f, struct str folded) {
    assert(folded.n > 0 && folded.n <= WORD_BYTES_MAX);
    f->folded = folded;
    f->back[0] = 0;
    for (size_t i = 1, fits = 0; i < folded.n; i++) {
        while (fits && folded.p[i] != folded.p[fits]) fits = f->back[fits - 1];
        fits += folded.p[i] == folded.p[fits];
        f->back[i] = (uint16_t)fits;
    }
}

size_t word_finder_next(const struct word_finder *f, struct str text, size_t from) {
    for (size_t i = from, fits = 0; i < text.n; i++) {
        unsigned char c = word_fold((unsigned char)text.p[i]);
        while (fits && c != (unsigned char)f->folded.p[fits]) fits = f->back[fits - 1];
        fits += c == (unsigned char)f->folded.p[fits];
        if (fits == f->folded.n) return i + 1 - fits;
    }
    return text.n;
}

static bool find_linear(struct str folded, struct str text, size_t from) {
    struct word_finder f;
    word_finder_init(&f, folded);
    return word_finder_next(&f, text, from) < text.n;
}

bool word_phrase_in(const struct word_term *t, struct str text) {
    if (t->text.n > text.n) return false;
    unsigned char first = (unsigned char)t->text.p[0], last = (unsigned char)t->text.p[t->text.n - 1];
    size_t tried_bytes = 0;
    for (size_t i = 0; i + t->text.n <= text.n; i++) {
        if (word_fold((unsigned char)text.p[i]) != first) continue;
        if (word_fold((unsigned char)text.p[i + t->text.n - 1]) != last) continue;
        if (folded_equal(t->text.p, text.p + i, t->text.n)) return true;
        tried_bytes += t->text.n;
        if (tried_bytes > 2 * text.n + 64 * KIB) return find_linear(t->text, text, i + 1);
    }
    return false;
}

uint32_t words_count(const struct words *w) { return w->n; }

uint32_t words_find(const struct words *w, struct str text) {
    uint32_t found = 0, whole = 0;
    for (uint32_t t = 0; t < w->n; t++) {
        if (w->terms[t].kind == WORD_PHRASE)
            found |= (uint32_t)word_phrase_in(&w->terms[t], text) << t;
        else
            whole |= 1u << t;
    }
    for (size_t i = 0; whole & ~found && i < text.n;) {
        while (i < text.n && !word_char((unsigned char)text.p[i])) i++;
        size_t start = i;
        while (i < text.n && word_char((unsigned char)text.p[i])) i++;
        struct str word = {text.p + start, i - start};
        if (!word.n) break;
        for (uint32_t left = whole & ~found; left; left &= left - 1) {
            uint32_t t = (uint32_t)__builtin_ctz(left);
            if (word_equals(&w->terms[t], word)) found |= 1u << t;
        }
    }
    return found;
}
