#include "base/hash.h"
#include "store/series/values_format_priv.h"

const double values_powers[EXPONENT_MAX + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
                                                1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};

/* Adding it rounds a double below 2^51 to an integer. */
#define ROUNDING 0x1.8p52
#define INTEGER_LIMIT 0x1p51

enum { HASH_SLOTS = 256 };

struct values_writer {
    const double *v;
    uint32_t n;
    uint8_t flags;
    unsigned exponent;
    uint32_t exceptions;
    int64_t integers[SERIES_SAMPLES_MAX];
    uint16_t exception_rows[SERIES_SAMPLES_MAX];
};

/* ---- facts ------------------------------------------------------------------------------------------------------ */

static uint8_t find_flags(const double *v, uint32_t n) {
    uint64_t falls = 0, nans = v[0] != v[0]; /* as wide as a double: the loop vectorises */
    for (uint32_t i = 1; i < n; i++) {
        falls += v[i] < v[i - 1];
        nans += v[i] != v[i];
    }
    if (nans) { /* NaN hides what is on both its sides */
        double before = -__builtin_inf();
        falls = 0;
        for (uint32_t i = 0; i < n; i++) {
            if (v[i] != v[i]) continue;
            falls += v[i] < before;
            before = v[i];
        }
    }
    return (uint8_t)((falls ? VALUES_RESETS : 0) | (nans ? VALUES_NAN : 0));
}

static bool is_constant(const double *v, uint32_t n) {
    uint64_t differ = 0, first = bits_of_double(v[0]);
    for (uint32_t i = 1; i < n; i++) differ |= bits_of_double(v[i]) ^ first;
    return differ == 0;
}

/* ---- decimals --------------------------------------------------------------------------------------------------- */

/* The integer that stands for v at this exponent, if dividing gives v's own bits. */
static bool integer_of(double v, unsigned exponent, int64_t *out) {
    double scaled = v * values_powers[exponent];
    if (!(scaled < INTEGER_LIMIT && scaled > -INTEGER_LIMIT)) return false;
    double rounded = (scaled + ROUNDING) - ROUNDING;
    *out = (int64_t)rounded;
    return bits_of_double((double)*out / values_powers[exponent]) == bits_of_double(v);
}

/* All values at once at one exponent, without branches; false: some are no integers, and out is undefined. */
static bool all_integers(const double *v, uint32_t n, unsigned exponent, int64_t *out) {
    double power = values_powers[exponent];
    uint64_t differ = 0, large = 0;
    for (uint32_t i = 0; i < n; i++) {
        double scaled = v[i] * power, shifted = scaled + ROUNDING;
        out[i] = (int64_t)(bits_of_double(shifted) - bits_of_double(ROUNDING));
        differ |= bits_of_double(exponent ? (shifted - ROUNDING) / power : shifted - ROUNDING) ^ bits_of_double(v[i]);
        large |= (uint64_t) !(scaled < INTEGER_LIMIT) | (uint64_t) !(scaled > -INTEGER_LIMIT);
    }
    return differ == 0 && large == 0;
}

/* The least exponent from `exponent` on at which v is an integer; EXPONENT_MAX + 1 if there is none. */
static unsigned find_exponent(double v, unsigned exponent) {
    int64_t ignored;
    if (!(v < INTEGER_LIMIT && v > -INTEGER_LIMIT) || bits_of_double(v) == bits_of_double(-0.0))
        return EXPONENT_MAX + 1;
    while (exponent <= EXPONENT_MAX && !integer_of(v, exponent, &ignored)) {
        if (!(v * values_powers[exponent] < INTEGER_LIMIT && v * values_powers[exponent] > -INTEGER_LIMIT))
            return EXPONENT_MAX + 1;
        exponent++;
    }
    return exponent;
}

/* An exponent that does for a few of the values. */
static unsigned guess_exponent(const double *v, uint32_t n) {
    unsigned exponent = 0;
    for (uint32_t i = 0; i < n; i += 1 + n / 8) {
        unsigned found = find_exponent(v[i], exponent);
        if (found <= EXPONENT_MAX) exponent = found;
    }
    return exponent;
}

/* One exponent for all but a few; false: too many are no decimals. */
static bool choose_exponent(struct values_writer *w) {
    uint32_t misses = 0, misses_max = 1 + w->n / 16;
    w->exponent = 0;
    for (uint32_t i = 0; i < w->n; i++) {
        int64_t ignored;
        if (integer_of(w->v[i], w->exponent, &ignored)) continue;
        unsigned found = find_exponent(w->v[i], w->exponent);
        if (found <= EXPONENT_MAX)
            w->exponent = found;
        else if (++misses > misses_max)
            return false;
    }
    return true;
}

/* What is no integer at the exponent becomes an exception and repeats the integer before it. */
static bool make_integers(struct values_writer *w) {
    uint32_t first = 0;
    w->exceptions = 0;
    for (uint32_t i = 0; i < w->n; i++) {
        if (integer_of(w->v[i], w->exponent, &w->integers[i])) continue;
        w->exception_rows[w->exceptions++] = (uint16_t)i;
        w->integers[i] = i ? w->integers[i - 1] : 0;
        if (w->exceptions > 2 + w->n / 8) return false;
    }
    while (first < w->exceptions && w->exception_rows[first] == first) first++; /* none before these: take the next */
    for (uint32_t i = 0; first && i < first && first < w->n; i++) w->integers[i] = w->integers[first];
    return true;
}

static uint64_t common_divisor(uint64_t a, uint64_t b) {
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The greatest number that divides all differences to the first; 0: there are none. */
static uint64_t find_divisor(const int64_t *v, uint32_t n) {
    uint64_t divisor = 0;
    for (uint32_t i = 1; i < n && divisor != 1; i++) {
        uint64_t difference = (uint64_t)(v[i] < v[0] ? v[0] - v[i] : v[i] - v[0]);
        if (divisor == 0 || difference % divisor) divisor = common_divisor(difference, divisor);
    }
    return divisor;
}

static void put_exceptions(const struct values_writer *w, struct buf *out) {
    uint32_t before = 0;
    put_varint(out, w->exceptions);
    for (uint32_t i = 0; i < w->exceptions; i++) {
        put_varint(out, w->exception_rows[i] - before);
        before = w->exception_rows[i];
    }
    for (uint32_t i = 0; i < w->exceptions; i++) buf_add(out, &w->v[w->exception_rows[i]], 8);
}

static void put_decimal(struct values_writer *w, enum effort effort, struct buf *out) {
    uint64_t divisor = find_divisor(w->integers, w->n);
    int64_t first = w->integers[0];
    if (divisor > 1)
        for (uint32_t i = 0; i < w->n; i++) w->integers[i] = (w->integers[i] - first) / (int64_t)divisor;
    size_t head = out->n;
    buf_add_byte(out, (char)(MODE_DECIMAL | (w->exceptions ? VALUES_EXCEPTIONS : 0) |
                             (divisor > 1 ? VALUES_DIVISOR : 0) | w->flags));
    buf_add_byte(out, (char)w->exponent);
    if (w->exceptions) put_exceptions(w, out);
    if (divisor > 1) {
        put_signed(out, first);
        put_varint64(out, divisor);
    }
    unsigned order = frames_encode_bare(w->integers, w->n, effort, out);
    if (!out->full) out->p[head] = (char)((unsigned char)out->p[head] | order << VALUES_ORDER_SHIFT);
}

/* ---- dictionary ------------------------------------------------------------------------------------------------- */

struct distinct {
    uint32_t n;
    uint64_t bits[DICTIONARY_VALUES_MAX];
    uint32_t counts[DICTIONARY_VALUES_MAX];
};

/* Numbers the distinct values of v into rows; false: there are too many. */
static bool number_values(const double *v, uint32_t n, struct distinct *d, int64_t *rows) {
    uint8_t slots[HASH_SLOTS] = {0};
    d->n = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t bits = bits_of_double(v[i]);
        uint8_t slot = (uint8_t)(hash_u64(bits) >> 56);
        while (slots[slot] && d->bits[slots[slot] - 1] != bits) slot++;
        if (!slots[slot]) {
            if (d->n == DICTIONARY_VALUES_MAX || d->n > n / 2) return false;
            d->bits[d->n] = bits;
            d->counts[d->n++] = 0;
            slots[slot] = (uint8_t)d->n;
        }
        d->counts[slots[slot] - 1]++;
        rows[i] = slots[slot] - 1;
    }
    return true;
}

/* The most frequent first, so that most numbers are small and the others patches. */
static void sort_by_count(struct distinct *d, int64_t *rows, uint32_t n) {
    uint8_t order[DICTIONARY_VALUES_MAX], number[DICTIONARY_VALUES_MAX];
    struct distinct sorted = {.n = d->n};
    for (uint32_t i = 0; i < d->n; i++) {
        uint32_t at = i;
        for (; at && d->counts[order[at - 1]] < d->counts[i]; at--) order[at] = order[at - 1];
        order[at] = (uint8_t)i;
    }
    for (uint32_t i = 0; i < d->n; i++) {
        sorted.bits[i] = d->bits[order[i]];
        number[order[i]] = (uint8_t)i;
    }
    for (uint32_t i = 0; i < n; i++) rows[i] = number[rows[i]];
    *d = sorted;
}

static void put_split(const double *v, uint32_t n, uint8_t flags, enum effort effort, struct buf *out);

static bool find_integers(struct values_writer *w) {
    w->exponent = find_exponent(w->v[0], 0);
    w->exceptions = 0;
    if (w->exponent <= EXPONENT_MAX && all_integers(w->v, w->n, w->exponent, w->integers)) return true;
    w->exponent = guess_exponent(w->v, w->n);
    return all_integers(w->v, w->n, w->exponent, w->integers) || (choose_exponent(w) && make_integers(w));
}

/* A chunk that is not CONSTANT or DICTIONARY. */
static void put_plain(struct values_writer *w, enum effort effort, struct buf *out) {
    if (find_integers(w))
        put_decimal(w, effort, out);
    else
        put_split(w->v, w->n, w->flags, effort, out);
}

/* Replaces the chunk that starts at `start` by a dictionary if that is smaller. */
static void try_dictionary(struct values_writer *w, size_t start, struct buf *out) {
    struct distinct d;
    if (out->n - start <= 8 + w->n / 16 || !number_values(w->v, w->n, &d, w->integers)) return;
    sort_by_count(&d, w->integers, w->n);
    size_t end = out->n;
    buf_add_byte(out, (char)(MODE_DICTIONARY | w->flags));
    buf_add_byte(out, (char)d.n);
    struct values_writer values;
    values.n = d.n;
    values.flags = 0;
    double distinct[DICTIONARY_VALUES_MAX];
    memcpy(distinct, d.bits, d.n * sizeof *distinct);
    values.v = distinct;
    put_plain(&values, EFFORT_FULL, out);
    frames_encode(w->integers, w->n, EFFORT_FULL, out);
    size_t bytes = out->n - end;
    if (out->full || bytes >= end - start) {
        out->n = out->full ? out->n : end;
        return;
    }
    memmove(out->p + start, out->p + end, bytes);
    out->n = start + bytes;
}

/* ---- the rest --------------------------------------------------------------------------------------------------- */

static void put_split(const double *v, uint32_t n, uint8_t flags, enum effort effort, struct buf *out) {
    int64_t top[SERIES_SAMPLES_MAX];
    uint64_t low[SERIES_SAMPLES_MAX], all = 0;
    for (uint32_t i = 0; i < n; i++) {
        low[i] = bits_of_double(v[i]) & bits_mask(SPLIT_LOW_BITS);
        top[i] = (int64_t)(bits_of_double(v[i]) >> SPLIT_LOW_BITS);
        all |= low[i];
    }
    unsigned zeros = all ? (unsigned)__builtin_ctzll(all) : SPLIT_LOW_BITS, width = SPLIT_LOW_BITS - zeros;
    for (uint32_t i = 0; i < n; i++) low[i] >>= zeros;
    buf_add_byte(out, (char)(MODE_SPLIT | flags));
    buf_add_byte(out, (char)zeros);
    frames_encode(top, n, effort, out);
    if (!buf_reserve(out, bits_bytes(n, width) + 8)) return;
    bits_pack(low, n, width, (unsigned char *)out->p + out->n);
    out->n += bits_bytes(n, width);
}

static void put_constant(double v, uint8_t flags, struct buf *out) {
    uint64_t bits = __builtin_bswap64(bits_of_double(v));
    buf_add_byte(out, (char)(MODE_CONSTANT | flags));
    buf_add_byte(out, (char)bytes_of(bits));
    buf_add(out, &bits, bytes_of(bits));
}

void values_encode(const double *v, uint32_t n, enum effort effort, struct buf *out) {
    assert(n > 0 && n <= SERIES_SAMPLES_MAX);
    struct values_writer w;
    w.v = v;
    w.n = n;
    w.flags = find_flags(v, n);
    size_t start = out->n;
    if (is_constant(v, n)) {
        put_constant(v[0], w.flags, out);
        return;
    }
    put_plain(&w, effort, out);
    if (effort == EFFORT_FULL) try_dictionary(&w, start, out);
}
