#include "store/column/text_format_priv.h"

static const bool is_word[256] = {
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['_'] = true, [0x80 ... 0xff] = true,
};

/* Bit i: what byte i of a block of 64 is. Bytes behind the text are nothing. */
enum { BLOCK = 64 };
struct marks {
    uint64_t digits, words, zeros;
};

#if defined(__SSE2__)
#include <emmintrin.h>

/* Bytes in [first, first + range], as 0xff. */
static inline __m128i within(__m128i c, char first, char range) {
    __m128i offset = _mm_sub_epi8(c, _mm_set1_epi8(first));
    return _mm_cmpeq_epi8(_mm_min_epu8(offset, _mm_set1_epi8(range)), offset);
}

static inline void mark16(struct marks *m, const char *p, unsigned at) {
    __m128i c = _mm_loadu_si128((const __m128i *)p), digit = within(c, '0', 9);
    __m128i letter = within(_mm_or_si128(c, _mm_set1_epi8(0x20)), 'a', 25);
    __m128i word = _mm_or_si128(_mm_or_si128(digit, letter), _mm_or_si128(c, _mm_cmpeq_epi8(c, _mm_set1_epi8('_'))));
    m->digits |= (uint64_t)(uint32_t)_mm_movemask_epi8(digit) << at;
    m->words |= (uint64_t)(uint32_t)_mm_movemask_epi8(word) << at; /* the top bits: also of bytes from 0x80 on */
    m->zeros |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(c, _mm_setzero_si128())) << at;
}
#else
static inline void mark16(struct marks *m, const char *p, unsigned at) {
    for (unsigned i = 0; i < 16; i++) {
        m->digits |= (uint64_t)(p[i] >= '0' && p[i] <= '9') << (at + i);
        m->words |= (uint64_t)is_word[(unsigned char)p[i]] << (at + i);
        m->zeros |= (uint64_t)(p[i] == 0) << (at + i);
    }
}
#endif

static inline struct marks mark_block(struct str text, size_t block) {
    struct marks m = {0, 0, 0};
    size_t n = MIN(text.n - block, (size_t)BLOCK), at = 0;
    for (; at + 16 <= n; at += 16) mark16(&m, text.p + block + at, (unsigned)at);
    if (at < n) {
        char rest[16];
        memset(rest, ' ', sizeof rest);
        memcpy(rest, text.p + block + at, n - at);
        mark16(&m, rest, (unsigned)at);
    }
    return m;
}

/* Copies [from, to) of the text to the skeleton; may write up to 16 bytes more. */
static inline bool copy_piece(struct text_split *s, struct str text, size_t from, size_t to) {
    size_t n = to - from;
    if (s->skeleton_size + n >= TEXT_SKELETON_BYTES_MAX) return false;
    char *out = s->skeleton + s->skeleton_size;
    if (n <= 16 && from + 16 <= text.n)
        memcpy(out, text.p + from, 16);
    else if (n)
        memcpy(out, text.p + from, n);
    s->skeleton_size += (uint32_t)n;
    return true;
}

/* The word around a digit at `at` of the block: the block's bits tell, unless it crosses the border. */
static inline void word_around(struct str text, const struct marks *m, size_t block, unsigned at, size_t done,
                               size_t *out_start, size_t *out_end) {
    const unsigned char *p = (const unsigned char *)text.p;
    uint64_t before = ~m->words & ((UINT64_C(1) << at) - 1), behind = ~m->words >> at;
    size_t start = before ? block + (unsigned)(BLOCK - __builtin_clzll(before)) : block;
    size_t end = behind ? block + at + (unsigned)__builtin_ctzll(behind) : block + BLOCK;
    if (start == block)
        while (start > done && is_word[p[start - 1]]) start--;
    if (end == block + BLOCK)
        while (end < text.n && is_word[p[end]]) end++;
    *out_start = start;
    *out_end = end;
}

bool text_split(struct str text, struct text_split *s) {
    size_t done = 0; /* what is copied or cut out so far */
    s->skeleton_size = s->tokens = 0;
    for (size_t block = 0; block < text.n; block += BLOCK) {
        struct marks m = mark_block(text, block);
        uint64_t digits = m.digits;
        if (m.zeros) return false;
        if (done > block) digits &= done >= block + BLOCK ? 0 : ~UINT64_C(0) << (done - block);
        while (digits) {
            size_t start, end;
            word_around(text, &m, block, (unsigned)__builtin_ctzll(digits), done, &start, &end);
            if (s->tokens == TEXT_SLOTS_MAX || end - start > TEXT_TOKEN_BYTES_MAX) return false;
            if (!copy_piece(s, text, done, start)) return false;
            s->skeleton[s->skeleton_size++] = 0;
            s->token[s->tokens++] = (struct str){text.p + start, end - start};
            done = end;
            digits = done >= block + BLOCK ? 0 : digits & ~UINT64_C(0) << (done - block);
        }
    }
    return copy_piece(s, text, done, text.n);
}
