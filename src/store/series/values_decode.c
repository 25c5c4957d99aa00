#include "store/series/values_format_priv.h"

static void read_constant(struct cursor *c, uint32_t count, double *out) {
    unsigned bytes = cursor_byte(c, 8);
    const unsigned char *p = cursor_skip(c, bytes);
    if (c->bad) return;
    double v = double_of_bits(__builtin_bswap64(load_bytes(p, bytes)));
    for (uint32_t i = 0; i < count; i++) out[i] = v;
}

struct exceptions {
    uint32_t n;
    uint16_t rows[SERIES_SAMPLES_MAX];
    const unsigned char *bits;
};

static void read_exceptions(struct cursor *c, uint32_t n, struct exceptions *x) {
    uint32_t row = 0;
    x->n = cursor_varint(c);
    if (x->n > n) c->bad = true;
    for (uint32_t i = 0; i < x->n && !c->bad; i++) {
        uint32_t step = cursor_varint(c);
        if (step >= n - row) c->bad = true;
        row += step;
        x->rows[i] = (uint16_t)row; /* below n where all is well */
    }
    x->bits = cursor_skip(c, (uint64_t)x->n * 8);
}

/* Below 2^51 this is (double)v in two steps that vectorise without AVX-512; beyond, as only forged bytes are, it is some double. */
static double double_of_integer(int64_t v) {
    return double_of_bits((uint64_t)v + UINT64_C(0x4338000000000000)) - 0x1.8p52;
}

static void scale(const int64_t *integers, uint32_t count, unsigned exponent, double *out) {
    double power = values_powers[exponent];
    if (exponent == 0)
        for (uint32_t i = 0; i < count; i++) out[i] = double_of_integer(integers[i]);
    else
        for (uint32_t i = 0; i < count; i++) out[i] = double_of_integer(integers[i]) / power;
}

static void read_decimal(struct cursor *c, uint8_t head, uint32_t n, uint32_t first, uint32_t count, double *out) {
    int64_t integers[SERIES_SAMPLES_MAX];
    struct exceptions x; /* large, and mostly not there */
    x.n = 0;
    unsigned exponent = cursor_byte(c, EXPONENT_MAX);
    if (head & VALUES_EXCEPTIONS) read_exceptions(c, n, &x);
    uint64_t from = 0, divisor = 1;
    if (head & VALUES_DIVISOR) {
        from = (uint64_t)cursor_signed(c);
        divisor = cursor_varint64(c);
    }
    frames_decode_bare(c, head >> VALUES_ORDER_SHIFT & 3, n, first, count, integers);
    if (c->bad) return;
    if (head & VALUES_DIVISOR)
        for (uint32_t i = 0; i < count; i++) integers[i] = (int64_t)(from + (uint64_t)integers[i] * divisor);
    scale(integers, count, exponent, out);
    for (uint32_t i = 0; i < x.n; i++)
        if (x.rows[i] >= first && x.rows[i] - first < count) memcpy(&out[x.rows[i] - first], x.bits + 8 * i, 8);
}

static void read_split(struct cursor *c, uint32_t n, uint32_t first, uint32_t count, double *out) {
    int64_t top[SERIES_SAMPLES_MAX];
    uint64_t low[SERIES_SAMPLES_MAX];
    unsigned char padded[SERIES_SAMPLES_MAX * 6 + BITS_SLACK];
    unsigned zeros = cursor_byte(c, SPLIT_LOW_BITS);
    frames_decode(c, n, first, count, top);
    uint32_t bytes = (uint32_t)bits_bytes(n, SPLIT_LOW_BITS - zeros);
    const unsigned char *packed = cursor_skip(c, bytes);
    if (c->bad) return;
    memcpy(padded, packed, bytes);
    memset(padded + bytes, 0, BITS_SLACK);
    bits_unpack(padded, n, SPLIT_LOW_BITS - zeros, 0, low);
    for (uint32_t i = 0; i < count; i++)
        out[i] = double_of_bits((uint64_t)top[i] << SPLIT_LOW_BITS | low[first + i] << zeros);
}

static void read_dictionary(struct cursor *c, uint32_t n, uint32_t first, uint32_t count, double *out) {
    double values[DICTIONARY_VALUES_MAX];
    int64_t numbers[SERIES_SAMPLES_MAX];
    uint32_t distinct = cursor_byte(c, DICTIONARY_VALUES_MAX);
    bool nested = !c->bad && c->at < c->end && (*c->at & VALUES_MODE_BITS) == MODE_DICTIONARY;
    if (distinct == 0 || nested) c->bad = true;
    if (c->bad) return;
    values_read(c, distinct, 0, distinct, values);
    frames_decode(c, n, first, count, numbers);
    for (uint32_t i = 0; i < count && !c->bad; i++) {
        if ((uint64_t)numbers[i] >= distinct)
            c->bad = true;
        else
            out[i] = values[numbers[i]];
    }
}

void values_read(struct cursor *c, uint32_t n, uint32_t first, uint32_t count, double *out) {
    assert(n <= SERIES_SAMPLES_MAX && first <= n && count <= n - first);
    uint8_t head = cursor_byte(c, 255);
    if (c->bad) return;
    switch (head & VALUES_MODE_BITS) {
    case MODE_CONSTANT: read_constant(c, count, out); break;
    case MODE_DECIMAL: read_decimal(c, head, n, first, count, out); break;
    case MODE_DICTIONARY: read_dictionary(c, n, first, count, out); break;
    case MODE_SPLIT: read_split(c, n, first, count, out); break;
    default: break;
    }
}

err values_decode(struct str bytes, uint32_t n, uint32_t first, uint32_t count, double *out) {
    struct cursor c = cursor_of(bytes);
    values_read(&c, n, first, count, out);
    return c.bad ? err_new(ERR_CORRUPT, "a chunk of %u values is damaged", n) : NULL;
}

uint8_t values_flags(struct str bytes) { return (uint8_t)bytes.p[0] & (VALUES_RESETS | VALUES_NAN); }
