#include "store/series/times_priv.h"

enum { UNITS = 4 };
static const int64_t unit_ns[UNITS] = {1, 1000, 1000000, 1000000000};

static unsigned find_unit(const int64_t *times_ns, uint32_t n) {
    unsigned unit = UNITS - 1;
    for (uint32_t i = 0; i < n && unit; i++)
        while (unit && times_ns[i] % unit_ns[unit]) unit--;
    return unit;
}

void times_encode(const int64_t *times_ns, uint32_t n, struct buf *out) {
    assert(n > 0 && n <= SERIES_SAMPLES_MAX);
    int64_t units[SERIES_SAMPLES_MAX];
    unsigned unit = find_unit(times_ns, n);
    for (uint32_t i = 0; i < n; i++) units[i] = times_ns[i] / unit_ns[unit];
    buf_add_byte(out, (char)unit);
    put_varint(out, n);
    frames_encode(units, n, EFFORT_FULL, out);
}

uint32_t times_read(struct cursor *c, int64_t *out_ns) {
    unsigned unit = cursor_byte(c, UNITS - 1);
    uint32_t n = cursor_varint(c);
    if (n == 0 || n > SERIES_SAMPLES_MAX) c->bad = true;
    if (c->bad) return 0;
    frames_decode(c, n, 0, n, out_ns);
    if (c->bad) return 0;
    for (uint32_t i = 0; i < n; i++) out_ns[i] = (int64_t)((uint64_t)out_ns[i] * (uint64_t)unit_ns[unit]);
    return n;
}

uint32_t times_find_fall(const int64_t *times_ns, uint32_t n) {
    for (uint32_t i = 1; i < n; i++)
        if (times_ns[i] <= times_ns[i - 1]) return i;
    return 0;
}

err times_decode(struct str bytes, int64_t *out_ns, uint32_t *out_n) {
    struct cursor c = cursor_of(bytes);
    uint32_t n = times_read(&c, out_ns);
    if (c.bad) return err_new(ERR_CORRUPT, "a vector of timestamps is damaged");
    uint32_t fall = times_find_fall(out_ns, n);
    if (fall) return err_new(ERR_CORRUPT, "timestamp %u of %u is not after the one before", fall, n);
    *out_n = n;
    return NULL;
}
