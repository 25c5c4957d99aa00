#include "store/series/frames_priv.h"

#include "store/series/lanes_priv.h"

_Static_assert((int)SERIES_FRAME == (int)LANES_MAX, "a frame fills the lanes");

enum { ORDERS = 3, LANES_FROM = 128, PATCHES_MAX = 255, TRIAL = 96, SUM_WIDTH_MAX = 24 };
/* The first byte of a frame: its width up to 63; with patches, 64 + the width up to 62; 127, the width 64. */
enum { ZIGZAG_BIT = 128, PATCHED = 64, PATCHED_WIDTH_MAX = 62, WIDTH_64 = 127 };

void put_varint64(struct buf *out, uint64_t v) {
    for (; v >= 128; v >>= 7) buf_add_byte(out, (char)(v | 128));
    buf_add_byte(out, (char)v);
}

uint64_t cursor_varint64(struct cursor *c) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte = cursor_byte(c, 255);
        if (shift == 63 && byte > 1) break;
        v |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return c->bad ? 0 : v;
    }
    c->bad = true;
    return 0;
}

static bool is_in_lanes(uint32_t n, unsigned width) { return n >= LANES_FROM && width <= 32; }
static uint32_t packed_bytes(uint32_t n, unsigned width) {
    return is_in_lanes(n, width) ? lanes_bytes(n, width) : (uint32_t)bits_bytes(n, width);
}
static uint32_t varint_bytes(uint64_t v) { return v ? (bits_width(v) + 6u) / 7 : 1; }

/* ---- writing ---------------------------------------------------------------------------------------------------- */

/* How one frame is packed, and what it takes. */
struct frame_plan {
    bool zigzag;
    uint8_t width, high_bytes;
    uint32_t patches, bytes;
    int64_t base;
};

/* The width that takes the fewest bytes when counts[w] of n values need w bits. */
static void plan_width(struct frame_plan *p, const uint16_t *counts, uint32_t n) {
    unsigned most = 64;
    while (most && !counts[most]) most--;
    *p = (struct frame_plan){.width = (uint8_t)most, .bytes = packed_bytes(n, most)};
    uint32_t over = 0;
    for (unsigned w = most; w-- > 0;) {
        over += counts[w + 1];
        unsigned high = (most - w + 7) / 8;
        uint32_t bytes = packed_bytes(n, w) + 1 + over * (1 + high);
        if (over > PATCHES_MAX || over > n / 4) break;
        if (bytes >= p->bytes || w > PATCHED_WIDTH_MAX) continue;
        p->width = (uint8_t)w;
        p->high_bytes = (uint8_t)high;
        p->patches = over;
        p->bytes = bytes;
    }
}

static void plan_frame(struct frame_plan *out, const int64_t *x, uint32_t n, enum effort effort) {
    int64_t low = x[0], high = x[0];
    for (uint32_t i = 1; i < n; i++) {
        low = MIN(low, x[i]);
        high = MAX(high, x[i]);
    }
    uint64_t span = (uint64_t)high - (uint64_t)low;
    if (effort == EFFORT_CHEAP || span == 0) {
        unsigned width = bits_width(span);
        *out = (struct frame_plan){.width = (uint8_t)width, .bytes = packed_bytes(n, width), .base = low};
        out->bytes += varint_bytes(zigzag((uint64_t)low));
        return;
    }
    uint16_t based[2][65] = {{0}},
             folded[2][65] = {{0}}; /* two: neighbours are often of one width and would wait for each other */
    for (uint32_t i = 0; i < n; i++) {
        based[i & 1][bits_width((uint64_t)x[i] - (uint64_t)low)]++;
        folded[i & 1][bits_width(zigzag((uint64_t)x[i]))]++;
    }
    for (unsigned w = 0; w <= 64; w++) {
        based[0][w] = (uint16_t)(based[0][w] + based[1][w]);
        folded[0][w] = (uint16_t)(folded[0][w] + folded[1][w]);
    }
    struct frame_plan zig;
    plan_width(&zig, folded[0], n);
    zig.zigzag = true;
    plan_width(out, based[0], n);
    out->base = low;
    out->bytes += varint_bytes(zigzag((uint64_t)low));
    if (zig.bytes < out->bytes) *out = zig;
}

static void put_packed(const struct frame_plan *p, const int64_t *x, uint32_t n, struct buf *out) {
    uint64_t wide[SERIES_FRAME];
    uint32_t narrow[SERIES_FRAME];
    uint64_t mask = bits_mask(p->width);
    if (!buf_reserve(out, packed_bytes(n, p->width) + p->patches * 9 + 9)) return;
    unsigned char *at = (unsigned char *)out->p + out->n, *highs = at + 1 + p->patches;
    if (p->patches) *at++ = p->high_bytes;
    for (uint32_t i = 0; i < n; i++) {
        wide[i] = p->zigzag ? zigzag((uint64_t)x[i]) : (uint64_t)x[i] - (uint64_t)p->base;
        if (wide[i] <= mask) continue;
        uint64_t high = wide[i] >> p->width;
        *at++ = (unsigned char)i;
        memcpy(highs, &high, p->high_bytes);
        highs += p->high_bytes;
        wide[i] &= mask;
    }
    if (p->patches) at = highs;
    if (is_in_lanes(n, p->width)) {
        for (uint32_t i = 0; i < n; i++) narrow[i] = (uint32_t)wide[i];
        lanes_pack(narrow, n, p->width, at);
    } else {
        bits_pack(wide, n, p->width, at);
    }
    out->n = (size_t)((char *)at - out->p) + packed_bytes(n, p->width);
}

/* One frame at one order: what is packed, and where its sums start. */
struct frame_steps {
    int64_t x[SERIES_FRAME];
    int64_t start, slope;
    struct frame_plan plan;
};

/* The steps of v; the first, which nobody needs, is one that costs nothing. */
static void make_steps(const int64_t *v, uint32_t n, int64_t *out) {
    for (uint32_t i = 1; i < n; i++) out[i] = (int64_t)((uint64_t)v[i] - (uint64_t)v[i - 1]);
    out[0] = n > 1 ? out[1] : 0;
}

static void plan_steps(struct frame_steps *s, const int64_t *v, uint32_t n, unsigned order, enum effort effort) {
    s->start = v[0];
    s->slope = 0;
    if (order == 0) {
        memcpy(s->x, v, n * sizeof *v);
    } else if (order == 1) {
        make_steps(v, n, s->x);
    } else {
        int64_t first[SERIES_FRAME];
        make_steps(v, n, first);
        s->slope = first[0];
        make_steps(first, n, s->x);
        if (n > 2) s->x[0] = s->x[1] = s->x[2], s->slope = (int64_t)((uint64_t)first[1] - (uint64_t)s->x[1]);
    }
    plan_frame(&s->plan, s->x, n, effort);
    if (order) s->plan.bytes += 3;
}

static void put_frame(const struct frame_steps *s, uint32_t n, unsigned order, int64_t start_before, struct buf *out) {
    const struct frame_plan *p = &s->plan;
    unsigned width = p->patches ? PATCHED + p->width : p->width == 64 ? WIDTH_64 : p->width;
    buf_add_byte(out, (char)(width | (p->zigzag ? ZIGZAG_BIT : 0)));
    if (p->patches) buf_add_byte(out, (char)p->patches);
    if (!p->zigzag) put_signed(out, p->base);
    if (order) put_signed(out, (int64_t)((uint64_t)s->start - (uint64_t)start_before));
    if (order == 2) put_signed(out, s->slope);
    put_packed(p, s->x, n, out);
}

/* The order that is best for the values at the start; `steps` are left as they were planned for these. */
static unsigned choose_order(struct frame_steps *steps, const int64_t *v, uint32_t n, enum effort effort) {
    unsigned best = 0, orders = effort == EFFORT_CHEAP ? 2 : ORDERS;
    uint32_t least = UINT32_MAX, rows = MIN(n, (uint32_t)TRIAL);
    for (unsigned order = 0; order < orders; order++) {
        if (order == 2 && best == 0) break; /* not even steps are worth it */
        plan_steps(&steps[order], v, rows, order, effort);
        if (steps[order].plan.bytes >= least) continue;
        least = steps[order].plan.bytes;
        best = order;
    }
    return best;
}

unsigned frames_encode_bare(const int64_t *v, uint32_t n, enum effort effort, struct buf *out) {
    struct frame_steps steps[ORDERS];
    unsigned order = choose_order(steps, v, n, effort);
    struct frame_steps *s = &steps[order];
    int64_t before = 0;
    for (uint32_t at = 0; at < n; at += SERIES_FRAME) {
        uint32_t m = MIN(n - at, (uint32_t)SERIES_FRAME);
        if (n > TRIAL) plan_steps(s, v + at, m, order, effort);
        put_frame(s, m, order, before, out);
        before = s->start;
    }
    return order;
}

void frames_encode(const int64_t *v, uint32_t n, enum effort effort, struct buf *out) {
    size_t at = out->n;
    buf_add_byte(out, 0);
    unsigned order = frames_encode_bare(v, n, effort, out);
    if (!out->full) out->p[at] = (char)order;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

struct frame_head {
    bool zigzag;
    unsigned width, patches, high_bytes;
    uint64_t base, start, slope;
    const unsigned char *positions, *highs, *packed;
};

static void read_head(struct cursor *c, uint32_t n, unsigned order, uint64_t start_before, struct frame_head *h) {
    unsigned first = cursor_byte(c, 255), width = first & 127;
    bool patched = width >= PATCHED && width != WIDTH_64;
    h->zigzag = first & ZIGZAG_BIT;
    h->width = width == WIDTH_64 ? 64 : width % PATCHED;
    h->patches = patched ? cursor_byte(c, PATCHES_MAX) : 0;
    h->base = h->zigzag ? 0 : (uint64_t)cursor_signed(c);
    h->start = order ? start_before + (uint64_t)cursor_signed(c) : 0;
    h->slope = order == 2 ? (uint64_t)cursor_signed(c) : 0;
    h->high_bytes = h->patches ? cursor_byte(c, 8) : 0;
    h->positions = cursor_skip(c, h->patches);
    h->highs = cursor_skip(c, (uint64_t)h->patches * h->high_bytes);
    h->packed = cursor_skip(c, c->bad ? 0 : packed_bytes(n, h->width));
}

static void apply_patches(const struct frame_head *h, uint32_t n, uint64_t *x, struct cursor *c) {
    for (unsigned i = 0; i < h->patches; i++) {
        unsigned at = h->positions[i];
        if (at >= n) {
            c->bad = true;
            return;
        }
        x[at] += load_bytes(h->highs + i * h->high_bytes, h->high_bytes) << h->width;
    }
}

static void unpack_row(const struct frame_head *h, uint32_t n, uint64_t *x) {
    unsigned char padded[SERIES_FRAME * 8 + BITS_SLACK];
    uint32_t bytes = packed_bytes(n, h->width);
    memcpy(padded, h->packed, bytes);
    memset(padded + bytes, 0, BITS_SLACK);
    bits_unpack(padded, n, h->width, 0, x);
}

static void sum_up(uint64_t *x, uint32_t n, uint64_t first) {
    uint64_t sum = first - x[0];
    for (uint32_t i = 0; i < n; i++) x[i] = sum += x[i];
}

/* The common frames in one pass each; false: it is none of them. */
static bool unpack_simple(const struct frame_head *h, uint32_t n, unsigned order, uint64_t *x) {
    uint32_t narrow[LANES_MAX];
    if (h->patches || order == 2 || !is_in_lanes(n, h->width)) return false;
    lanes_unpack(h->packed, n, h->width, narrow);
    uint64_t base = h->base, sum = h->start - base - narrow[0];
    if (order == 0 && h->zigzag)
        for (uint32_t i = 0; i < n; i++) x[i] = unzigzag(narrow[i]);
    else if (order == 0)
        for (uint32_t i = 0; i < n; i++) x[i] = base + narrow[i];
    else if (!h->zigzag &&
             h->width <= SUM_WIDTH_MAX) { /* 32 bits hold the sums of what is packed; the base adds a line */
        uint64_t line = h->start - narrow[0];
        lanes_sum(narrow, n);
        for (uint32_t i = 0; i < n; i++, line += base) x[i] = line + narrow[i];
    } else if (!h->zigzag)
        for (uint32_t i = 0; i < n; i++) x[i] = sum += base + narrow[i];
    else {
        sum = h->start - unzigzag(narrow[0]);
        for (uint32_t i = 0; i < n; i++) x[i] = sum += unzigzag(narrow[i]);
    }
    return true;
}

/* The general way: every transform on its own. */
static void unpack_frame(const struct frame_head *h, uint32_t n, unsigned order, uint64_t *x, struct cursor *c) {
    if (is_in_lanes(n, h->width)) {
        uint32_t narrow[LANES_MAX];
        lanes_unpack(h->packed, n, h->width, narrow);
        for (uint32_t i = 0; i < n; i++) x[i] = narrow[i];
    } else {
        unpack_row(h, n, x);
    }
    if (h->patches) apply_patches(h, n, x, c);
    if (h->zigzag)
        for (uint32_t i = 0; i < n; i++) x[i] = unzigzag(x[i]);
    else if (order != 1)
        for (uint32_t i = 0; i < n; i++) x[i] += h->base;
    if (order == 2) sum_up(x, n, h->slope);
    if (order == 1 && h->base) {
        uint64_t sum = h->start - x[0] - h->base, base = h->base;
        for (uint32_t i = 0; i < n; i++) x[i] = sum += x[i] + base;
    } else if (order) {
        sum_up(x, n, h->start);
    }
}

void frames_decode(struct cursor *c, uint32_t n, uint32_t first, uint32_t count, int64_t *out) {
    frames_decode_bare(c, cursor_byte(c, ORDERS - 1), n, first, count, out);
}

void frames_decode_bare(struct cursor *c, unsigned order, uint32_t n, uint32_t first, uint32_t count, int64_t *out) {
    uint64_t x[SERIES_FRAME], before = 0;
    if (order >= ORDERS) c->bad = true;
    for (uint32_t at = 0; at < n && !c->bad; at += SERIES_FRAME) {
        uint32_t m = MIN(n - at, (uint32_t)SERIES_FRAME), end = first + count;
        struct frame_head h;
        read_head(c, m, order, before, &h);
        before = h.start;
        if (c->bad || at >= end || at + m <= first) continue;
        bool whole = at >= first && at + m <= end && m % 8 == 0; /* unpackers write whole eights */
        uint64_t *to_x = whole ? (uint64_t *)(out + (at - first)) : x;
        if (!unpack_simple(&h, m, order, to_x)) unpack_frame(&h, m, order, to_x, c);
        if (whole) continue;
        uint32_t from = MAX(at, first), to = MIN(at + m, end);
        memcpy(out + (from - first), x + (from - at), (size_t)(to - from) * sizeof *out);
    }
}
