/* Hostile columns: byte 0 picks the decoder, bytes 1 and 2 the row count, the rest is the column; or values to round-trip. */
#include "base/hash.h"
#include "store/column/hash_index_priv.h"
#include "store/column/ints_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS_MAX = 2000 };

static void read_ints(struct str bytes, uint32_t n) {
    static uint64_t out[ROWS_MAX];
    struct ints c;
    err e = ints_open(bytes, n, &c);
    err_free(e);
    if (e) return;
    ints_decode(&c, 0, n, out);
    uint64_t most = 0;
    for (uint32_t i = 0; i < n; i++) most = MAX(most, out[i]);
    if (ints_are_below(&c, most) != (n == 0) || (most < UINT64_MAX && !ints_are_below(&c, most + 1))) __builtin_trap();
    for (uint32_t i = 0; i < n; i += 1 + n / 40) {
        int64_t low, high;
        if (ints_get(&c, i) != out[i]) __builtin_trap();
        (void)ints_frame_range(&c, i / FRAME_ROWS, &low, &high);
    }
}

static void read_codes(struct str bytes, uint32_t n) {
    static uint32_t out[ROWS_MAX];
    struct codes c;
    err e = codes_open(bytes, n, &c);
    err_free(e);
    if (e) return;
    codes_decode(&c, 0, n, out);
    for (uint32_t i = 0; i < n; i += 1 + n / 40)
        if (codes_get(&c, i) != out[i]) __builtin_trap();
    static uint64_t wanted[16] = {0x8421, 7, 9};
    if (c.width <= 10 && codes_select(&c, wanted, out) != codes_count(&c, wanted)) __builtin_trap();
    (void)codes_are_below(&c, 100);
}

static void read_index(struct str bytes) {
    struct hash_index x;
    uint32_t groups[8];
    err e = hash_index_open(bytes, &x);
    for (uint64_t i = 0; !e && i < 64; i++) hash_index_find(&x, hash_u64(i), groups, LENGTH(groups));
    err_free(e);
}

static void round_trip(struct str bytes) {
    uint64_t v[256], out[256];
    uint32_t n = (uint32_t)MIN(bytes.n / 8, LENGTH(v));
    if (n) memcpy(v, bytes.p, n * 8);
    struct buf b;
    buf_init(&b, MIB);
    ints_encode(v, n, &b);
    struct ints c;
    err e = ints_open(buf_str(&b), n, &c);
    if (e || c.bytes != b.n) __builtin_trap();
    ints_decode(&c, 0, n, out);
    if (n && memcmp(v, out, n * 8) != 0) __builtin_trap();
    buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3) return 0;
    uint32_t n = (data[1] | (uint32_t)data[2] << 8) % (ROWS_MAX + 1);
    struct str rest = str_span(data + 3, size - 3);
    switch (data[0] % 4) {
    case 0: read_ints(rest, n); break;
    case 1: read_codes(rest, n); break;
    case 2: read_index(rest); break;
    default: round_trip(rest); break;
    }
    return 0;
}
