#include <zstd.h>

#include "base/hash.h"
#include "base/vec.h"
#include "store/column/codes_priv.h"
#include "store/column/text_format_priv.h"

/* ---- digits ----------------------------------------------------------------------------------------------------- */

static inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Value of a hex digit; HEX_LOWER or HEX_UPPER beside it for letters; HEX_NONE for other bytes. */
enum { HEX_LOWER = 16, HEX_UPPER = 32, HEX_NONE = 64 };
static const uint8_t hex_of[256] = {
    [0 ... '0' - 1] = HEX_NONE,
    ['0'] = 0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    ['9' + 1 ... 'A' - 1] = HEX_NONE,
    ['A'] = HEX_UPPER | 10,
    HEX_UPPER | 11,
    HEX_UPPER | 12,
    HEX_UPPER | 13,
    HEX_UPPER | 14,
    HEX_UPPER | 15,
    ['F' + 1 ... 'a' - 1] = HEX_NONE,
    ['a'] = HEX_LOWER | 10,
    HEX_LOWER | 11,
    HEX_LOWER | 12,
    HEX_LOWER | 13,
    HEX_LOWER | 14,
    HEX_LOWER | 15,
    ['f' + 1 ... 255] = HEX_NONE,
};

/* Up to eight bytes as the high bytes of a word, the last one highest, '0' in front. Nothing beyond them is read. */
static inline uint64_t load_digits(const char *p, size_t n) {
    static const uint64_t zeros[9] = {0x3030303030303030u,
                                      0x30303030303030u,
                                      0x303030303030u,
                                      0x3030303030u,
                                      0x30303030u,
                                      0x303030u,
                                      0x3030u,
                                      0x30u,
                                      0};
    const unsigned char *b = (const unsigned char *)p;
    if (n == 8) return load_u64(b);
    if (n >= 4) { /* where the two halves overlap they hold the same bytes */
        uint32_t first, last;
        memcpy(&first, b, 4);
        memcpy(&last, b + n - 4, 4);
        return (uint64_t)last << 32 | (uint64_t)first << (64 - 8 * n) | zeros[n];
    }
    return (uint64_t)b[0] << (64 - 8 * n) | (uint64_t)b[n / 2] << (64 - 8 * n + n / 2 * 8) | (uint64_t)b[n - 1] << 56 |
           zeros[n];
}

/* Eight digits at once, the first in the lowest byte. */
static inline bool parse_eight(uint64_t c, uint64_t *out) {
    bool good = (c & 0xf0f0f0f0f0f0f0f0u) == 0x3030303030303030u &&
                ((c + 0x0606060606060606u) & 0xf0f0f0f0f0f0f0f0u) == 0x3030303030303030u;
    c &= 0x0f0f0f0f0f0f0f0fu; /* digit pairs, fours, eight */
    c = (c * 10 + (c >> 8)) & 0x00ff00ff00ff00ffu;
    c = (c * 100 + (c >> 16)) & 0x0000ffff0000ffffu;
    *out = (c * 10000 + (c >> 32)) & 0xffffffffu;
    return good;
}

/* All of the 1..19 bytes are digits. */
static inline bool parse_decimal(struct str s, uint64_t *out) {
    uint64_t v = 0, eight;
    if (s.n == 0 || s.n > DECIMAL_DIGITS_MAX) return false;
    size_t first = (s.n - 1) % 8 + 1;
    if (!parse_eight(load_digits(s.p, first), &v)) return false;
    for (size_t at = first; at < s.n; at += 8) {
        if (!parse_eight(load_u64((const unsigned char *)s.p + at), &eight)) return false;
        v = v * 100000000 + eight;
    }
    *out = v;
    return true;
}

/* Eight hex digits at once; their flags are added to *flags. */
static inline uint64_t parse_eight_hex(uint64_t c, unsigned *flags) {
    const uint64_t ones = 0x0101010101010101u;
    uint64_t letter = c >> 6 & ones, lower = letter & c >> 5;
    uint64_t nibbles = (c & 0x0f * ones) + 9 * letter;
    uint64_t again = nibbles + 0x30 * ones + 0x27 * (((nibbles + 6 * ones) >> 4) & ones); /* what they look like */
    *flags |= (lower ? HEX_LOWER : 0u) | (letter & ~lower ? HEX_UPPER : 0u) |
              (again != (c | letter << 5) || nibbles & 0xf0 * ones ? HEX_NONE : 0u);
    nibbles = __builtin_bswap64(nibbles);
    nibbles = (nibbles | nibbles >> 4) & 0x00ff00ff00ff00ffu;
    nibbles = (nibbles | nibbles >> 8) & 0x0000ffff0000ffffu;
    return (nibbles | nibbles >> 16) & 0xffffffffu;
}

/* The value of the last 16 digits; the flags of all are added to *flags. */
static inline uint64_t parse_hex_digits(struct str s, unsigned *flags) {
    size_t first = (s.n - 1) % 8 + 1;
    uint64_t v = parse_eight_hex(load_digits(s.p, first), flags);
    for (size_t at = first; at < s.n; at += 8)
        v = v << 32 | parse_eight_hex(load_u64((const unsigned char *)s.p + at), flags);
    return v;
}

static inline unsigned decimal_digits(uint64_t v) {
    unsigned n = 1;
    for (; v >= 10000; v /= 10000) n += 4;
    return n + (v >= 10) + (v >= 100) + (v >= 1000);
}
static inline unsigned hex_digits(uint64_t v) { return v ? (bits_width(v) + 3u) / 4 : 1; }

static inline void put_decimal(char *out, uint64_t v, unsigned width) {
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
        "49505152535455565758596061626364656667686970717273747576777879808182838485868788899091929394959697"
        "9899";
    for (; width >= 2; width -= 2, v /= 100) memcpy(out + width - 2, pairs + v % 100 * 2, 2);
    if (width) out[0] = (char)('0' + v % 10);
}

static inline void put_hex_digits(char *out, uint64_t v, unsigned width, bool upper) {
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    for (; width > 0; v >>= 4) out[--width] = digits[v & 15];
}

/* ---- writing: the forms ----------------------------------------------------------------------------------------- */

struct slot_encoder {
    VEC(uint64_t) values;
    VEC(uint32_t) codes;
    VEC(struct str) distinct;
    struct strings seen;
    struct buf direct, by_dictionary, raw;
    ZSTD_CCtx *zstd;
};

struct slot_encoder *slot_encoder_new(void) {
    struct slot_encoder *e = mem_new_of(struct slot_encoder);
    strings_init(&e->seen);
    buf_init(&e->direct, SIZE_MAX / 2);
    buf_init(&e->by_dictionary, SIZE_MAX / 2);
    buf_init(&e->raw, SIZE_MAX / 2);
    e->zstd = ZSTD_createCCtx();
    return e;
}

void slot_encoder_free(struct slot_encoder *e) {
    if (!e) return;
    vec_done(&e->values);
    vec_done(&e->codes);
    vec_done(&e->distinct);
    strings_done(&e->seen);
    buf_done(&e->direct);
    buf_done(&e->by_dictionary);
    buf_done(&e->raw);
    ZSTD_freeCCtx(e->zstd);
    mem_free(e);
}

bool text_compress(ZSTD_CCtx *zstd, struct str raw, struct buf *out) {
    if (!zstd || raw.n < 32 || !buf_reserve(out, ZSTD_compressBound(raw.n))) return false;
    size_t n = ZSTD_compressCCtx(zstd, out->p + out->n, ZSTD_compressBound(raw.n), raw.p, raw.n, 1);
    if (ZSTD_isError(n) || n >= raw.n) return false;
    out->n += n;
    return true;
}

/* The form of a column of numbers: what stands around the digits, and how many there are. */
struct form {
    struct str prefix, suffix;
    enum slot_radix radix;
    bool same_width, canonical;
    size_t width; /* of the first token */
};

static inline struct str digits_of(const struct form *f, struct str token) {
    return (struct str){token.p + f->prefix.n, token.n - f->prefix.n - f->suffix.n};
}

static inline bool has_affixes(const struct form *f, struct str token) {
    if (token.n <= f->prefix.n + f->suffix.n) return false;
    if (f->prefix.n && memcmp(token.p, f->prefix.p, f->prefix.n) != 0) return false;
    return !f->suffix.n || memcmp(token.p + token.n - f->suffix.n, f->suffix.p, f->suffix.n) == 0;
}

static inline void form_see_width(struct form *f, struct str digits) {
    f->same_width &= digits.n == f->width;
    f->canonical &= digits.p[0] != '0' || digits.n == 1;
}

/* "user_", then digits only, then "ms". */
static bool find_decimal_form(struct slot_encoder *e, const struct str *tokens, uint32_t n, struct form *f) {
    size_t start = 0, end;
    while (start < tokens[0].n && !is_digit(tokens[0].p[start])) start++;
    for (end = start; end < tokens[0].n && is_digit(tokens[0].p[end]);) end++;
    *f = (struct form){{tokens[0].p, start}, {tokens[0].p + end, tokens[0].n - end}, RADIX_DECIMAL, true, true,
                       end - start};
    for (size_t i = 0; i < f->suffix.n; i++)
        if (is_digit(f->suffix.p[i])) return false;
    for (uint32_t i = 0; i < n; i++) {
        if (!has_affixes(f, tokens[i])) return false;
        struct str digits = digits_of(f, tokens[i]);
        if (!parse_decimal(digits, &e->values.v[i])) return false;
        form_see_width(f, digits);
    }
    return true;
}

/* "id_", up to the last byte that is no hex digit, then hex digits of one case. Over 16 digits: only of one width. */
static bool find_hex_form(struct slot_encoder *e, const struct str *tokens, uint32_t n, struct form *f) {
    size_t start = tokens[0].n;
    while (start > 0 && !(hex_of[(unsigned char)tokens[0].p[start - 1]] & HEX_NONE)) start--;
    *f = (struct form){{tokens[0].p, start}, {NULL, 0}, RADIX_HEX_LOWER, true, true, tokens[0].n - start};
    unsigned flags = 0;
    bool is_short = true;
    for (uint32_t i = 0; i < n; i++) {
        if (!has_affixes(f, tokens[i])) return false;
        struct str digits = digits_of(f, tokens[i]);
        e->values.v[i] = parse_hex_digits(digits, &flags);
        form_see_width(f, digits);
        is_short &= digits.n <= HEX_DIGITS_MAX;
        if (flags & HEX_NONE || (flags & HEX_LOWER && flags & HEX_UPPER) || (!is_short && !f->same_width)) return false;
    }
    if (flags & HEX_UPPER) f->radix = RADIX_HEX_UPPER;
    return true;
}

static void put_head(struct buf *out, enum slot_kind kind, const struct form *f, enum slot_width width) {
    bool affix = f->prefix.n || f->suffix.n;
    buf_add_byte(out, (char)(kind | (unsigned)f->radix << HEAD_RADIX_SHIFT | (unsigned)width << HEAD_WIDTH_SHIFT |
                             (affix ? HEAD_AFFIX : 0)));
    if (!affix) return;
    buf_add_byte(out, (char)f->prefix.n);
    buf_add_str(out, f->prefix);
    buf_add_byte(out, (char)f->suffix.n);
    buf_add_str(out, f->suffix);
}

static void encode_numbers(struct slot_encoder *e, const struct form *f, const struct str *tokens, uint32_t n,
                           struct buf *out) {
    enum slot_width width = f->canonical ? WIDTH_CANONICAL : f->same_width ? WIDTH_FIXED : WIDTH_COLUMN;
    put_head(out, SLOT_NUMBER, f, width);
    if (width == WIDTH_FIXED) buf_add_byte(out, (char)f->width);
    ints_encode(e->values.v, n, out);
    if (width != WIDTH_COLUMN) return;
    for (uint32_t i = 0; i < n; i++) e->values.v[i] = digits_of(f, tokens[i]).n;
    ints_encode(e->values.v, n, out);
}

static void encode_hex(const struct form *f, const struct str *tokens, uint32_t n, struct buf *out) {
    put_head(out, SLOT_HEX, f, WIDTH_FIXED);
    buf_add_byte(out, (char)f->width);
    size_t each = (f->width + 1) / 2;
    if (!buf_reserve(out, each * n)) return;
    for (uint32_t i = 0; i < n; i++, out->n += each) {
        const unsigned char *p = (const unsigned char *)digits_of(f, tokens[i]).p;
        unsigned char *to = (unsigned char *)out->p + out->n;
        for (size_t d = 0; d + 1 < f->width; d += 2)
            to[d / 2] = (unsigned char)((hex_of[p[d]] & 15) << 4 | (hex_of[p[d + 1]] & 15));
        if (f->width % 2) to[each - 1] = (unsigned char)((hex_of[p[f->width - 1]] & 15) << 4);
    }
    out->p[out->n] = 0;
}

static void encode_strings(struct slot_encoder *e, const struct str *tokens, uint32_t n, struct buf *out) {
    buf_clear(&e->raw);
    for (uint32_t i = 0; i < n; i++) {
        e->values.v[i] = tokens[i].n;
        buf_add_str(&e->raw, tokens[i]);
    }
    buf_add_byte(out, SLOT_STRINGS);
    ints_encode(e->values.v, n, out);
    size_t at = out->n;
    char size[4];
    buf_add(out, "\0\0\0", 4);
    bool packed = text_compress(e->zstd, buf_str(&e->raw), out);
    if (!packed) buf_add_str(out, buf_str(&e->raw));
    uint32_t bytes = packed ? (uint32_t)(out->n - at - 4) : 0;
    memcpy(size, &bytes, 4);
    memcpy(out->p + at, size, 4);
}

static void encode_direct(struct slot_encoder *e, const struct str *tokens, uint32_t n, struct buf *out) {
    struct form f;
    e->values.n = 0;
    vec_reserve(&e->values, n);
    if (find_decimal_form(e, tokens, n, &f) || find_hex_form(e, tokens, n, &f)) {
        if (f.width <= HEX_DIGITS_MAX || f.radix == RADIX_DECIMAL)
            encode_numbers(e, &f, tokens, n, out);
        else
            encode_hex(&f, tokens, n, out);
        return;
    }
    encode_strings(e, tokens, n, out);
}

/* ---- writing: the dictionary ------------------------------------------------------------------------------------ */

/* Gives each token the number of its first appearance; false as soon as too many are distinct for that to pay. */
static bool number_distinct(struct slot_encoder *e, const struct str *tokens, uint32_t n) {
    if (e->seen.slot_mask / 16 > n)
        strings_done(&e->seen); /* clearing a large table costs more than growing a small one */
    strings_clear(&e->seen);
    e->codes.n = 0;
    vec_reserve(&e->codes, n);
    for (uint32_t i = 0; i < n; i++) {
        e->codes.v[i] = strings_intern(&e->seen, tokens[i]);
        if (((i + 1) & i) == 0 && i >= 15 && e->seen.n > (i + 1) / 4 * 3) return false;
    }
    return e->seen.n <= n / 2 + 1;
}

static void encode_dictionary(struct slot_encoder *e, uint32_t n, struct buf *out) {
    e->distinct.n = 0;
    vec_reserve(&e->distinct, e->seen.n);
    for (uint32_t i = 0; i < e->seen.n; i++) e->distinct.v[i] = strings_get(&e->seen, i);
    buf_add_byte(out, SLOT_DICTIONARY);
    put_varint(out, e->seen.n);
    encode_direct(e, e->distinct.v, e->seen.n, out);
    codes_encode(e->codes.v, n, out);
}

void slot_encode(struct slot_encoder *e, const struct str *tokens, uint32_t n, struct buf *out) {
    size_t start = out->n;
    encode_direct(e, tokens, n, out);
    size_t direct = out->n - start;
    bool number = (out->p[start] & 3) == SLOT_NUMBER; /* whose ints have a dictionary of 256 values themselves */
    if (n < 8 || direct < n / 2u + 16 + number * (n - n / 4u) || !number_distinct(e, tokens, n)) return;
    buf_clear(&e->by_dictionary);
    encode_dictionary(e, n, &e->by_dictionary);
    if (e->by_dictionary.n >= direct) return;
    out->n = start;
    buf_add_str(out, buf_str(&e->by_dictionary));
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static struct str cursor_str(struct cursor *c, uint64_t n) {
    const unsigned char *p = cursor_skip(c, n);
    return c->bad ? (struct str){NULL, 0} : str_span(p, (size_t)n);
}

/* The ends of texts of the given sizes, and the sum; each ≤ max. */
static err open_ends(struct arena *a, const struct ints *sizes, uint64_t max, const uint32_t **out_end,
                     uint32_t *out_longest) {
    uint64_t *size = arena_alloc(a, sizeof *size * ((size_t)sizes->n + 1));
    if (!size) return arena_err(a);
    uint32_t *end = (uint32_t *)size; /* in place: end[i] is written after size[i] is read */
    uint64_t sum = 0, longest = 0;
    ints_decode(sizes, 0, sizes->n, size);
    for (uint32_t i = 0; i < sizes->n; i++) {
        uint64_t n = size[i];
        longest = MAX(longest, n);
        sum += MIN(n, max);
        end[i] = (uint32_t)sum;
    }
    if (longest > max || sum > UINT32_MAX)
        return err_new(ERR_CORRUPT, "text column: a token of %llu bytes", (unsigned long long)longest);
    *out_end = end;
    *out_longest = (uint32_t)longest;
    return NULL;
}

static err open_ints(struct cursor *c, uint32_t n, struct ints *out) {
    TRY(ints_open(cursor_rest(c), n, out));
    cursor_skip(c, out->bytes);
    return NULL;
}

static err open_strings(struct arena *a, struct cursor *c, struct slot *x) {
    struct ints sizes;
    TRY(open_ints(c, x->n, &sizes));
    TRY(open_ends(a, &sizes, TEXT_TOKEN_BYTES_MAX, &x->end, &x->longest));
    uint32_t raw = x->n ? x->end[x->n - 1] : 0;
    uint32_t packed = (uint32_t)load_bytes(cursor_skip(c, c->end - c->at >= 4 ? 4 : UINT64_MAX), c->bad ? 0 : 4);
    struct str bytes = cursor_str(c, packed ? packed : raw);
    if (c->bad) return NULL;
    x->heap = bytes.p;
    if (!packed) return NULL;
    char *heap = arena_alloc(a, raw);
    if (!heap) return arena_err(a);
    if (ZSTD_decompress(heap, raw, bytes.p, bytes.n) != raw)
        return err_new(ERR_CORRUPT, "text column: strings do not unpack");
    x->heap = heap;
    return NULL;
}

static err open_number(struct cursor *c, struct slot *x) {
    uint32_t digits = x->radix == RADIX_DECIMAL ? DECIMAL_DIGITS_MAX : HEX_DIGITS_MAX;
    if (x->width_mode == WIDTH_FIXED) x->fixed_width = cursor_byte(c, digits);
    if (c->bad) return NULL;
    TRY(open_ints(c, x->n, &x->values));
    if (x->width_mode == WIDTH_COLUMN) TRY(open_ints(c, x->n, &x->widths));
    x->longest = (uint32_t)(x->prefix.n + x->suffix.n) + 20; /* 2^64 has 20 digits */
    return NULL;
}

static void open_hex(struct cursor *c, struct slot *x) {
    x->fixed_width = cursor_byte(c, TEXT_TOKEN_BYTES_MAX);
    x->packed = cursor_skip(c, (uint64_t)x->n * ((x->fixed_width + 1u) / 2));
    x->longest = (uint32_t)(x->prefix.n + x->suffix.n) + x->fixed_width;
    if (x->radix == RADIX_DECIMAL || x->width_mode != WIDTH_FIXED) c->bad = true;
}

static err open_any(struct arena *a, struct cursor *c, uint32_t n, bool nested, struct slot *x);

/* The distinct tokens become a heap of their own. */
static err open_dictionary(struct arena *a, struct cursor *c, struct slot *x) {
    struct slot inner;
    x->count = cursor_varint(c);
    if (c->bad || x->count == 0 || x->count > x->n) {
        c->bad = true;
        return NULL;
    }
    TRY(open_any(a, c, x->count, true, &inner));
    if (c->bad) return NULL;
    TRY(codes_open(cursor_rest(c), x->n, &x->codes));
    cursor_skip(c, x->codes.bytes);
    if (!codes_are_below(&x->codes, x->count)) return err_new(ERR_CORRUPT, "text column: a code beyond its dictionary");
    uint32_t *end = arena_alloc(a, sizeof *end * (size_t)x->count), sum = 0;
    char *heap = arena_alloc(a, (size_t)inner.longest * x->count);
    if (!end || !heap) return arena_err(a);
    for (uint32_t i = 0; i < x->count; i++) end[i] = sum += slot_get(&inner, i, heap + sum);
    x->end = end;
    x->heap = heap;
    x->longest = inner.longest;
    return NULL;
}

static err open_any(struct arena *a, struct cursor *c, uint32_t n, bool nested, struct slot *x) {
    uint8_t head = cursor_byte(c, 127);
    *x = (struct slot){
        .kind = head & 3, .radix = head >> HEAD_RADIX_SHIFT & 3, .width_mode = head >> HEAD_WIDTH_SHIFT & 3, .n = n};
    if (x->radix >= RADIXES || x->width_mode >= WIDTHS || (nested && x->kind == SLOT_DICTIONARY)) c->bad = true;
    if (head & HEAD_AFFIX) {
        x->prefix = cursor_str(c, cursor_byte(c, TEXT_TOKEN_BYTES_MAX));
        x->suffix = cursor_str(c, cursor_byte(c, TEXT_TOKEN_BYTES_MAX));
    }
    if (c->bad) return NULL;
    switch ((enum slot_kind)x->kind) {
    case SLOT_NUMBER: return open_number(c, x);
    case SLOT_HEX: open_hex(c, x); return NULL;
    case SLOT_STRINGS: return open_strings(a, c, x);
    case SLOT_DICTIONARY: return open_dictionary(a, c, x);
    case SLOT_KINDS:
    default: return NULL;
    }
}

err slot_open(struct arena *a, struct str bytes, uint32_t n, struct slot *out) {
    struct cursor c = cursor_of(bytes);
    TRY_WRAP(open_any(a, &c, n, false, out), "text column");
    if (c.bad) return err_new(ERR_CORRUPT, "text column: %zu bytes do not hold %u tokens", bytes.n, n);
    out->bytes = (uint32_t)(bytes.n - cursor_rest(&c).n);
    return NULL;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static inline uint32_t put_affixed(const struct slot *c, char *out, uint32_t digits) {
    if (c->prefix.n) memcpy(out, c->prefix.p, c->prefix.n);
    if (c->suffix.n) memcpy(out + c->prefix.n + digits, c->suffix.p, c->suffix.n);
    return (uint32_t)(c->prefix.n + c->suffix.n) + digits;
}

uint32_t slot_put_number(const struct slot *c, uint32_t i, uint64_t value, char *out) {
    unsigned width = c->radix == RADIX_DECIMAL ? decimal_digits(value) : hex_digits(value);
    if (c->width_mode == WIDTH_FIXED) width = MAX(width, c->fixed_width);
    if (c->width_mode == WIDTH_COLUMN) width = MAX(width, (unsigned)MIN(ints_get(&c->widths, i), 20u));
    char *digits = out + c->prefix.n;
    if (c->radix == RADIX_DECIMAL)
        put_decimal(digits, value, width);
    else
        put_hex_digits(digits, value, width, c->radix == RADIX_HEX_UPPER);
    return put_affixed(c, out, width);
}

static uint32_t get_hex(const struct slot *c, uint32_t i, char *out) {
    const char *digits = c->radix == RADIX_HEX_UPPER ? "0123456789ABCDEF" : "0123456789abcdef";
    const unsigned char *p = c->packed + (size_t)i * ((c->fixed_width + 1u) / 2);
    for (unsigned d = 0; d < c->fixed_width; d++) out[c->prefix.n + d] = digits[p[d / 2] >> (d % 2 ? 0 : 4) & 15];
    return put_affixed(c, out, c->fixed_width);
}

static struct str heap_get(const struct slot *c, uint32_t i) {
    uint32_t start = i ? c->end[i - 1] : 0;
    return (struct str){c->heap + start, c->end[i] - start};
}

uint32_t slot_get(const struct slot *c, uint32_t i, char *out) {
    if (c->kind == SLOT_NUMBER) return slot_put_number(c, i, ints_get(&c->values, i), out);
    if (c->kind == SLOT_HEX) return get_hex(c, i, out);
    struct str s = heap_get(c, c->kind == SLOT_DICTIONARY ? codes_get(&c->codes, i) : i);
    if (s.n) memcpy(out, s.p, s.n);
    return (uint32_t)s.n;
}

/* ---- searching -------------------------------------------------------------------------------------------------- */

static bool folded_begins(struct str s, struct str folded) {
    if (s.n < folded.n) return false;
    for (size_t i = 0; i < folded.n; i++)
        if (word_fold((unsigned char)s.p[i]) != (unsigned char)folded.p[i]) return false;
    return true;
}

/* Takes the column's prefix and suffix off a folded whole term; false: no token can equal it. */
static bool strip_affixes(const struct slot *c, struct str *term) {
    if (term->n <= c->prefix.n + c->suffix.n) return false;
    struct str tail = {term->p + term->n - c->suffix.n, c->suffix.n};
    if (!folded_begins(c->prefix, (struct str){term->p, c->prefix.n}) || !folded_begins(c->suffix, tail)) return false;
    *term = (struct str){term->p + c->prefix.n, term->n - c->prefix.n - c->suffix.n};
    return true;
}

static uint32_t find_number(const struct slot *c, struct str term, uint32_t *out) {
    uint64_t value;
    unsigned flags = 0;
    if (!strip_affixes(c, &term)) return 0;
    if (c->radix == RADIX_DECIMAL) {
        if (!parse_decimal(term, &value)) return 0;
    } else {
        value = parse_hex_digits(term, &flags);
        if (term.n > HEX_DIGITS_MAX || flags & HEX_NONE) return 0;
    }
    uint32_t found = ints_find(&c->values, value, out), kept = 0;
    for (uint32_t i = 0; i < found; i++) { /* the width decides; a token shows it */
        char token[SLOT_TOKEN_BYTES_MAX];
        if (slot_put_number(c, out[i], value, token) == c->prefix.n + term.n + c->suffix.n)
            out[kept++] = out[i];
        else if (c->width_mode != WIDTH_COLUMN)
            return 0;
    }
    return kept;
}

static uint32_t find_hex(const struct slot *c, struct str term, uint32_t *out) {
    unsigned char wanted[TEXT_TOKEN_BYTES_MAX] = {0};
    uint32_t found = 0, each = (c->fixed_width + 1u) / 2;
    if (!strip_affixes(c, &term) || term.n != c->fixed_width) return 0;
    for (size_t d = 0; d < term.n; d++) {
        uint8_t h = hex_of[(unsigned char)term.p[d]];
        if (h & HEX_NONE) return 0;
        wanted[d / 2] = (unsigned char)(wanted[d / 2] | (h & 15) << (d % 2 ? 0 : 4));
    }
    for (uint32_t i = 0; i < c->n; i++)
        if (memcmp(c->packed + (size_t)i * each, wanted, each) == 0) out[found++] = i;
    return found;
}

/* Whether a token could begin with the folded term, by what is the same in all tokens. */
static bool may_begin(const struct slot *c, struct str term) {
    if (c->kind != SLOT_NUMBER && c->kind != SLOT_HEX) return true;
    size_t common = MIN(term.n, c->prefix.n);
    if (!folded_begins(c->prefix, (struct str){term.p, common})) return false;
    if (term.n == common) return true;
    char next = term.p[common];
    return c->radix == RADIX_DECIMAL ? is_digit(next) : !(hex_of[(unsigned char)next] & HEX_NONE);
}

static uint32_t find_each(const struct slot *c, const struct word_term *t, uint32_t *out) {
    char token[SLOT_TOKEN_BYTES_MAX];
    uint32_t found = 0;
    for (uint32_t i = 0; i < c->n; i++)
        if (word_equals(t, (struct str){token, slot_get(c, i, token)})) out[found++] = i;
    return found;
}

static uint32_t find_by_dictionary(const struct slot *c, const struct word_term *t, uint32_t *out) {
    uint64_t *wanted = mem_new_array(uint64_t, codes_wanted_words(&c->codes)), any = 0;
    for (uint32_t i = 0; i < c->count; i++)
        if (word_equals(t, heap_get(c, i))) any = wanted[i / 64] |= UINT64_C(1) << i % 64;
    uint32_t found = any ? codes_select(&c->codes, wanted, out) : 0;
    mem_free(wanted);
    return found;
}

uint32_t slot_find(const struct slot *c, const struct word_term *t, uint32_t *out) {
    if (t->kind == WORD_PHRASE || c->n == 0) return 0;
    if (c->kind == SLOT_DICTIONARY) return find_by_dictionary(c, t, out);
    if (!may_begin(c, t->text)) return 0;
    if (t->kind == WORD_WHOLE && c->kind == SLOT_NUMBER) return find_number(c, t->text, out);
    if (t->kind == WORD_WHOLE && c->kind == SLOT_HEX) return find_hex(c, t->text, out);
    return find_each(c, t, out);
}
