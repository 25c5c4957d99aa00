#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

/* Shortest digits of doubles by Grisu3: the value and the ends of the interval that reads back as it are scaled by a cached power of ten in
 * 64-bit arithmetic; digits are made until what is left is within the interval. Where rounding makes it unsure (one value in 200) the
 * C library decides.
 * Source: Florian Loitsch, "Printing Floating-Point Numbers Quickly and Accurately with Integers" (2010). */

struct scaled {
    uint64_t f;
    int e; /* value f * 2^e */
};

enum { POWER_FIRST = -348, POWER_STEP = 8, EXPONENT_MIN = -60 };

/* 10^(POWER_FIRST + i * POWER_STEP), rounded to 64 bits. */
static const struct scaled powers[] = {
    // clang-format off
    {0xfa8fd5a0081c0288u, -1220}, {0xbaaee17fa23ebf76u, -1193},
    {0x8b16fb203055ac76u, -1166}, {0xcf42894a5dce35eau, -1140},
    {0x9a6bb0aa55653b2du, -1113}, {0xe61acf033d1a45dfu, -1087},
    {0xab70fe17c79ac6cau, -1060}, {0xff77b1fcbebcdc4fu, -1034},
    {0xbe5691ef416bd60cu, -1007}, {0x8dd01fad907ffc3cu, -980},
    {0xd3515c2831559a83u, -954}, {0x9d71ac8fada6c9b5u, -927},
    {0xea9c227723ee8bcbu, -901}, {0xaecc49914078536du, -874},
    {0x823c12795db6ce57u, -847}, {0xc21094364dfb5637u, -821},
    {0x9096ea6f3848984fu, -794}, {0xd77485cb25823ac7u, -768},
    {0xa086cfcd97bf97f4u, -741}, {0xef340a98172aace5u, -715},
    {0xb23867fb2a35b28eu, -688}, {0x84c8d4dfd2c63f3bu, -661},
    {0xc5dd44271ad3cdbau, -635}, {0x936b9fcebb25c996u, -608},
    {0xdbac6c247d62a584u, -582}, {0xa3ab66580d5fdaf6u, -555},
    {0xf3e2f893dec3f126u, -529}, {0xb5b5ada8aaff80b8u, -502},
    {0x87625f056c7c4a8bu, -475}, {0xc9bcff6034c13053u, -449},
    {0x964e858c91ba2655u, -422}, {0xdff9772470297ebdu, -396},
    {0xa6dfbd9fb8e5b88fu, -369}, {0xf8a95fcf88747d94u, -343},
    {0xb94470938fa89bcfu, -316}, {0x8a08f0f8bf0f156bu, -289},
    {0xcdb02555653131b6u, -263}, {0x993fe2c6d07b7facu, -236},
    {0xe45c10c42a2b3b06u, -210}, {0xaa242499697392d3u, -183},
    {0xfd87b5f28300ca0eu, -157}, {0xbce5086492111aebu, -130},
    {0x8cbccc096f5088ccu, -103}, {0xd1b71758e219652cu, -77},
    {0x9c40000000000000u, -50}, {0xe8d4a51000000000u, -24},
    {0xad78ebc5ac620000u, 3}, {0x813f3978f8940984u, 30},
    {0xc097ce7bc90715b3u, 56}, {0x8f7e32ce7bea5c70u, 83},
    {0xd5d238a4abe98068u, 109}, {0x9f4f2726179a2245u, 136},
    {0xed63a231d4c4fb27u, 162}, {0xb0de65388cc8ada8u, 189},
    {0x83c7088e1aab65dbu, 216}, {0xc45d1df942711d9au, 242},
    {0x924d692ca61be758u, 269}, {0xda01ee641a708deau, 295},
    {0xa26da3999aef774au, 322}, {0xf209787bb47d6b85u, 348},
    {0xb454e4a179dd1877u, 375}, {0x865b86925b9bc5c2u, 402},
    {0xc83553c5c8965d3du, 428}, {0x952ab45cfa97a0b3u, 455},
    {0xde469fbd99a05fe3u, 481}, {0xa59bc234db398c25u, 508},
    {0xf6c69a72a3989f5cu, 534}, {0xb7dcbf5354e9beceu, 561},
    {0x88fcf317f22241e2u, 588}, {0xcc20ce9bd35c78a5u, 614},
    {0x98165af37b2153dfu, 641}, {0xe2a0b5dc971f303au, 667},
    {0xa8d9d1535ce3b396u, 694}, {0xfb9b7cd9a4a7443cu, 720},
    {0xbb764c4ca7a44410u, 747}, {0x8bab8eefb6409c1au, 774},
    {0xd01fef10a657842cu, 800}, {0x9b10a4e5e9913129u, 827},
    {0xe7109bfba19c0c9du, 853}, {0xac2820d9623bf429u, 880},
    {0x80444b5e7aa7cf85u, 907}, {0xbf21e44003acdd2du, 933},
    {0x8e679c2f5e44ff8fu, 960}, {0xd433179d9c8cb841u, 986},
    {0x9e19db92b4e31ba9u, 1013}, {0xeb96bf6ebadf77d9u, 1039},
    {0xaf87023b9bf0ee6bu, 1066},
    // clang-format on
};

static struct scaled multiply(struct scaled x, struct scaled y) {
    unsigned __int128 p = (unsigned __int128)x.f * y.f + ((uint64_t)1 << 63);
    return (struct scaled){(uint64_t)(p >> 64), x.e + y.e + 64};
}

static struct scaled normalize(struct scaled x) {
    int shift = __builtin_clzll(x.f);
    return (struct scaled){x.f << shift, x.e - shift};
}

/* Digits under way: of what is too high by at most `unit`, in steps of 2^e. */
struct digits {
    char *text;
    int n;
    uint64_t unsafe, rest, ten, unit; /* the interval; what is behind the digits; a step of the last digit; the error */
};

/* Moves the last digit down towards the value, `distance` below; false: it is not sure which is nearest, or whether it is within. */
static bool round_down(const struct digits *d, uint64_t distance) {
    uint64_t small = distance - d->unit, big = distance + d->unit, rest = d->rest;
    while (rest < small && d->unsafe - rest >= d->ten &&
           (rest + d->ten < small || small - rest >= rest + d->ten - small)) {
        d->text[d->n - 1]--;
        rest += d->ten;
    }
    if (rest < big && d->unsafe - rest >= d->ten && (rest + d->ten < big || big - rest > rest + d->ten - big))
        return false;
    return 2 * d->unit <= rest && rest <= d->unsafe - 4 * d->unit;
}

/* *kappa: by which power of ten the digits are to be scaled. */
static bool make_digits(struct scaled low, struct scaled w, struct scaled high, char *text, int *out_n, int *kappa) {
    uint64_t too_high = high.f + 1, distance = too_high - w.f, one = (uint64_t)1 << -w.e;
    struct digits d = {.text = text, .unsafe = too_high - (low.f - 1), .unit = 1};
    uint64_t fraction = too_high & (one - 1);
    uint32_t whole = (uint32_t)(too_high >> -w.e), divisor = 1;
    *kappa = 1;
    for (; whole / 10 >= divisor; divisor *= 10) ++*kappa;
    while (*kappa > 0) {
        text[d.n++] = (char)('0' + whole / divisor);
        whole %= divisor;
        --*kappa;
        d.rest = ((uint64_t)whole << -w.e) + fraction;
        d.ten = (uint64_t)divisor << -w.e;
        *out_n = d.n;
        if (d.rest < d.unsafe) return round_down(&d, distance);
        divisor /= 10;
    }
    for (d.ten = one;;) {
        fraction *= 10, d.unit *= 10, d.unsafe *= 10;
        text[d.n++] = (char)('0' + (fraction >> -w.e));
        fraction &= one - 1;
        --*kappa;
        d.rest = fraction;
        *out_n = d.n;
        if (fraction < d.unsafe) return round_down(&d, distance * d.unit);
    }
}

static bool grisu(double v, char text[F64_DIGITS_MAX], int *out_n, int *out_exponent) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    struct scaled x = {(bits & 0xfffffffffffff) | (uint64_t)1 << 52, (int)(bits >> 52) - 1075};
    bool lower_is_closer = (bits & 0xfffffffffffff) == 0 && bits >> 52 > 1;
    struct scaled w = normalize(x), high = normalize((struct scaled){(x.f << 1) + 1, x.e - 1});
    struct scaled low =
        lower_is_closer ? (struct scaled){(x.f << 2) - 1, x.e - 2} : (struct scaled){(x.f << 1) - 1, x.e - 1};
    low = (struct scaled){low.f << (low.e - high.e), high.e};
    int k = (int)ceil((EXPONENT_MIN - (w.e + 64) + 63) * 0.30102999566398114), kappa;
    int index = (-POWER_FIRST + k - 1) / POWER_STEP + 1;
    struct scaled power = powers[index];
    if (!make_digits(multiply(low, power), multiply(w, power), multiply(high, power), text, out_n, &kappa))
        return false;
    *out_exponent = kappa - (POWER_FIRST + index * POWER_STEP);
    return true;
}

/* By trying: with 15 to 17 digits, subnormals with fewer. */
static int try_digits(double v, char text[F64_DIGITS_MAX], int *out_exponent) {
    char made[40];
    int n = 0;
    for (int digits = v < 0x1p-1022 ? 1 : 15; digits <= 17; digits++) {
        snprintf(made, sizeof made, "%.*e", digits - 1, v);
        if (strtod(made, NULL) == v) break;
    }
    char *exponent = strchr(made, 'e');
    for (const char *p = made; p < exponent; p++)
        if (*p != '.') text[n++] = *p;
    *out_exponent = (int)strtol(exponent + 1, NULL, 10) - (n - 1);
    return n;
}

int f64_digits(double v, char text[F64_DIGITS_MAX], int *out_point) {
    int n = 0, exponent = 0;
    if (v < 0x1p-1022 || !grisu(v, text, &n, &exponent)) n = try_digits(v, text, &exponent);
    *out_point = n + exponent;
    while (n > 1 && text[n - 1] == '0') n--;
    return n;
}
