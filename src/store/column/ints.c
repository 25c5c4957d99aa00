#include "store/column/ints_priv.h"

#include "base/hash.h"
#include "store/column/codes_priv.h"

enum { DICTIONARY_MAX = 256, SHAPES_ON_STACK = 128 };

/* ---- shapes: what decides the kind ------------------------------------------------------------------------------ */

/* Of one frame: smallest and largest value and step, signed. */
struct shape {
    int64_t low, high, step_low, step_high;
};

/* Of a column: its frames, and what each kind would take. */
struct plan {
    struct shape *shapes;
    uint32_t frames;
    int64_t low, high;                /* of all values = of all bases, at its low end */
    int64_t base_high;                /* largest frame minimum */
    uint64_t before_low, before_high; /* int64: of the values before each frame */
    int64_t step_low, step_high;      /* of the frames' smallest steps */
    uint64_t frames_bytes, delta_bytes;
};

static inline uint64_t value_before(const uint64_t *v, uint32_t at) { return at ? v[at - 1] : v[0] - (v[1] - v[0]); }

__attribute__((always_inline)) static inline struct shape shape_loop(const uint64_t *v, uint32_t n, uint64_t before) {
    int64_t first = (int64_t)(v[0] - before);
    struct shape s = {(int64_t)v[0], (int64_t)v[0], first, first};
    for (uint32_t i = 1; i < n; i++) {
        int64_t value = (int64_t)v[i], step = (int64_t)(v[i] - v[i - 1]);
        s.low = MIN(s.low, value);
        s.high = MAX(s.high, value);
        s.step_low = MIN(s.step_low, step);
        s.step_high = MAX(s.step_high, step);
    }
    return s;
}

static struct shape shape_plain(const uint64_t *v, uint32_t n, uint64_t before) { return shape_loop(v, n, before); }

#if defined(__x86_64__)
/* The same loop, for the compiler to vectorise: comparing 64 bits needs more than SSE2. */
__attribute__((target("avx2"))) static struct shape shape_avx2(const uint64_t *v, uint32_t n, uint64_t before) {
    return shape_loop(v, n, before);
}
static struct shape shape_of(const uint64_t *v, uint32_t n, uint64_t before) {
    return __builtin_cpu_supports("avx2") ? shape_avx2(v, n, before) : shape_plain(v, n, before);
}
#else
static struct shape shape_of(const uint64_t *v, uint32_t n, uint64_t before) { return shape_plain(v, n, before); }
#endif

static inline uint8_t width_between(int64_t low, int64_t high) { return bits_width((uint64_t)high - (uint64_t)low); }
static inline uint32_t rows_of_frame(uint32_t n, uint32_t frame) {
    return MIN(n - frame * FRAME_ROWS, (uint32_t)FRAME_ROWS);
}

static void plan_make(struct plan *p, const uint64_t *v, uint32_t n) {
    int64_t before_low = INT64_MAX, before_high = INT64_MIN;
    p->low = p->step_low = INT64_MAX;
    p->high = p->base_high = p->step_high = INT64_MIN;
    p->frames_bytes = p->delta_bytes = p->frames;
    for (uint32_t f = 0; f < p->frames; f++) {
        uint32_t at = f * FRAME_ROWS, rows = rows_of_frame(n, f);
        uint64_t before = value_before(v, at);
        struct shape s = p->shapes[f] = shape_of(v + at, rows, before);
        p->low = MIN(p->low, s.low);
        p->high = MAX(p->high, s.high);
        p->base_high = MAX(p->base_high, s.low);
        before_low = MIN(before_low, (int64_t)before);
        before_high = MAX(before_high, (int64_t)before);
        p->step_low = MIN(p->step_low, s.step_low);
        p->step_high = MAX(p->step_high, s.step_low);
        p->frames_bytes += bits_bytes(rows, width_between(s.low, s.high));
        p->delta_bytes += bits_bytes(rows, width_between(s.step_low, s.step_high));
    }
    p->before_low = (uint64_t)before_low;
    p->before_high = (uint64_t)before_high;
    unsigned more = p->frames > 1;
    p->frames_bytes += 1u + bytes_of(zigzag((uint64_t)p->low)) +
                       more * (1 + bits_bytes(p->frames, width_between(p->low, p->base_high)));
    p->delta_bytes += 2u + bytes_of(zigzag(p->before_low)) + bytes_of(zigzag((uint64_t)p->step_low)) +
                      more * (2 + bits_bytes(p->frames, width_between(before_low, before_high)) +
                              bits_bytes(p->frames, width_between(p->step_low, p->step_high)));
}

/* ---- dictionary ------------------------------------------------------------------------------------------------- */

struct dictionary {
    uint64_t values[DICTIONARY_MAX]; /* in order of appearance, then sorted as int64 */
    uint32_t n;
    uint16_t slots[DICTIONARY_MAX * 4]; /* index + 1 into values; 0 empty */
};

static uint32_t dictionary_slot(const struct dictionary *d, uint64_t v) {
    uint32_t at = (uint32_t)hash_keyed(v, 0) & (LENGTH(d->slots) - 1);
    while (d->slots[at] && d->values[d->slots[at] - 1] != v) at = (at + 1) & (LENGTH(d->slots) - 1);
    return at;
}

static uint64_t dictionary_bytes(const struct plan *p, uint32_t rows, uint32_t count) {
    return 3u + bytes_of(zigzag((uint64_t)p->low)) + (uint64_t)count * bytes_of((uint64_t)p->high - (uint64_t)p->low) +
           bits_bytes(rows, bits_width(count - 1));
}

/* Collects the distinct values; false as soon as it is clear that `budget` bytes are not undercut. */
static bool dictionary_collect(struct dictionary *d, const struct plan *p, const uint64_t *v, uint32_t n,
                               uint64_t budget) {
    d->n = 0;
    memset(d->slots, 0, sizeof d->slots);
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0 && v[i] == v[i - 1]) continue;
        uint32_t at = dictionary_slot(d, v[i]);
        if (d->slots[at]) continue;
        if (d->n == DICTIONARY_MAX || dictionary_bytes(p, n, d->n + 1) >= budget) return false;
        d->values[d->n++] = v[i];
        d->slots[at] = (uint16_t)d->n;
    }
    return true;
}

static void dictionary_sort(struct dictionary *d) {
    for (uint32_t i = 1; i < d->n; i++) {
        uint64_t v = d->values[i];
        uint32_t j = i;
        for (; j > 0 && (int64_t)d->values[j - 1] > (int64_t)v; j--) d->values[j] = d->values[j - 1];
        d->values[j] = v;
    }
    memset(d->slots, 0, sizeof d->slots);
    for (uint32_t i = 0; i < d->n; i++) d->slots[dictionary_slot(d, d->values[i])] = (uint16_t)(i + 1);
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static void put_bytes(struct buf *out, uint64_t v, unsigned bytes) {
    unsigned char b[8];
    memcpy(b, &v, 8);
    buf_add(out, b, bytes);
}

static void put_head(struct buf *out, enum ints_kind kind, uint64_t minimum) {
    uint64_t z = zigzag(minimum);
    buf_add_byte(out, (char)(kind | bytes_of(z) << 4));
    put_bytes(out, z, bytes_of(z));
}

/* Packs at the end of out, which has the room. */
static void put_packed(struct buf *out, const uint64_t *v, uint32_t n, unsigned width) {
    bits_pack(v, n, width, (unsigned char *)out->p + out->n);
    out->n += (size_t)bits_bytes(n, width);
}

/* One number a frame, less `minimum`. */
static void put_per_frame(struct buf *out, uint64_t *scratch, uint32_t frames, uint64_t minimum, unsigned width) {
    for (uint32_t f = 0; f < frames; f++) scratch[f] -= minimum;
    put_packed(out, scratch, frames, width);
}

static void encode_frames(const struct plan *p, const uint64_t *v, uint32_t n, uint64_t *scratch, struct buf *out) {
    put_head(out, INTS_FRAMES, (uint64_t)p->low);
    unsigned base_width = width_between(p->low, p->base_high);
    if (p->frames > 1) buf_add_byte(out, (char)base_width);
    for (uint32_t f = 0; f < p->frames; f++) {
        scratch[f] = (uint64_t)p->shapes[f].low;
        buf_add_byte(out, (char)width_between(p->shapes[f].low, p->shapes[f].high));
    }
    if (p->frames > 1) put_per_frame(out, scratch, p->frames, (uint64_t)p->low, base_width);
    for (uint32_t f = 0; f < p->frames; f++) {
        const struct shape *s = &p->shapes[f];
        const uint64_t *frame = v + (size_t)f * FRAME_ROWS;
        uint64_t offsets[FRAME_ROWS];
        uint32_t rows = rows_of_frame(n, f);
        for (uint32_t i = 0; i < rows; i++) offsets[i] = frame[i] - (uint64_t)s->low;
        put_packed(out, offsets, rows, width_between(s->low, s->high));
    }
}

static void encode_delta(const struct plan *p, const uint64_t *v, uint32_t n, uint64_t *scratch, struct buf *out) {
    unsigned base_width = width_between((int64_t)p->before_low, (int64_t)p->before_high);
    unsigned step_width = width_between(p->step_low, p->step_high);
    uint64_t z = zigzag((uint64_t)p->step_low);
    put_head(out, INTS_DELTA, p->before_low);
    buf_add_byte(out, (char)bytes_of(z));
    put_bytes(out, z, bytes_of(z));
    if (p->frames > 1) buf_add_byte(out, (char)base_width), buf_add_byte(out, (char)step_width);
    for (uint32_t f = 0; f < p->frames; f++) {
        scratch[f] = value_before(v, f * FRAME_ROWS);
        buf_add_byte(out, (char)width_between(p->shapes[f].step_low, p->shapes[f].step_high));
    }
    if (p->frames > 1) {
        put_per_frame(out, scratch, p->frames, p->before_low, base_width);
        for (uint32_t f = 0; f < p->frames; f++) scratch[f] = (uint64_t)p->shapes[f].step_low;
        put_per_frame(out, scratch, p->frames, (uint64_t)p->step_low, step_width);
    }
    for (uint32_t f = 0; f < p->frames; f++) {
        const uint64_t *frame = v + (size_t)f * FRAME_ROWS;
        uint64_t steps[FRAME_ROWS], low = (uint64_t)p->shapes[f].step_low;
        uint32_t rows = rows_of_frame(n, f);
        steps[0] = frame[0] - value_before(v, f * FRAME_ROWS) - low;
        for (uint32_t i = 1; i < rows; i++) steps[i] = frame[i] - frame[i - 1] - low;
        put_packed(out, steps, rows, width_between(p->shapes[f].step_low, p->shapes[f].step_high));
    }
}

static void encode_dictionary(const struct plan *p, struct dictionary *d, const uint64_t *v, uint32_t n,
                              struct buf *out) {
    unsigned value_bytes = bytes_of((uint64_t)p->high - (uint64_t)p->low), width = bits_width(d->n - 1);
    dictionary_sort(d);
    put_head(out, INTS_DICTIONARY, (uint64_t)p->low);
    buf_add_byte(out, (char)(d->n - 1));
    buf_add_byte(out, (char)value_bytes);
    for (uint32_t i = 0; i < d->n; i++) put_bytes(out, d->values[i] - (uint64_t)p->low, value_bytes);
    for (uint32_t at = 0; at < n; at += FRAME_ROWS) {
        uint64_t codes[FRAME_ROWS];
        uint32_t rows = MIN(n - at, (uint32_t)FRAME_ROWS);
        for (uint32_t i = 0; i < rows; i++) codes[i] = d->slots[dictionary_slot(d, v[at + i])] - 1u;
        put_packed(out, codes, rows, width);
    }
}

static bool is_constant(const uint64_t *v, uint32_t n) {
    for (uint32_t i = 1; i < n; i++)
        if (v[i] != v[0]) return false;
    return true;
}

void ints_encode(const uint64_t *v, uint32_t n, struct buf *out) {
    if (n == 0 || is_constant(v, n)) {
        put_head(out, INTS_CONSTANT, n ? v[0] : 0);
        return;
    }
    struct shape on_stack[SHAPES_ON_STACK];
    uint64_t scratch_on_stack[SHAPES_ON_STACK];
    uint32_t frames = (n - 1) / FRAME_ROWS + 1;
    bool many = frames > SHAPES_ON_STACK;
    struct plan p = {.shapes = many ? mem_new_array(struct shape, frames) : on_stack, .frames = frames};
    uint64_t *scratch = many ? mem_new_array(uint64_t, frames) : scratch_on_stack;
    plan_make(&p, v, n);
    uint64_t best = MIN(p.frames_bytes, p.delta_bytes);
    struct dictionary d;
    if (buf_reserve(out, best + 64)) { /* the packer stores whole words */
        if (dictionary_collect(&d, &p, v, n, best)) {
            encode_dictionary(&p, &d, v, n, out);
        } else if (p.frames_bytes <= p.delta_bytes) {
            encode_frames(&p, v, n, scratch, out);
        } else {
            encode_delta(&p, v, n, scratch, out);
        }
        out->p[out->n] = 0;
    }
    if (many) mem_free(p.shapes), mem_free(scratch);
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static uint64_t cursor_minimum(struct cursor *c, unsigned bytes) {
    const unsigned char *at = cursor_skip(c, bytes);
    return c->bad ? 0 : unzigzag(load_bytes(at, bytes));
}

static void open_frames(struct cursor *c, struct ints *x) {
    uint32_t frames = (x->n - 1) / FRAME_ROWS + 1;
    bool delta = x->kind == INTS_DELTA, more = frames > 1;
    if (delta) x->step_minimum = cursor_minimum(c, cursor_byte(c, 8));
    if (more) x->base_width = cursor_byte(c, 64);
    if (more && delta) x->step_width = cursor_byte(c, 64);
    x->widths = cursor_skip(c, frames);
    if (more) x->bases = cursor_skip(c, bits_bytes(frames, x->base_width));
    if (more && delta) x->steps = cursor_skip(c, bits_bytes(frames, x->step_width));
    x->packed = c->at;
    if (c->bad) return;
    uint64_t bytes = 0;
    uint8_t widest = 0;
    for (uint32_t f = 0; f + 1 < frames; f++) bytes += x->widths[f];
    for (uint32_t f = 0; f < frames; f++) widest = MAX(widest, x->widths[f]);
    bytes = bytes * (FRAME_ROWS / 8) + bits_bytes(rows_of_frame(x->n, frames - 1), x->widths[frames - 1]);
    if (widest > 64) c->bad = true;
    cursor_skip(c, bytes);
}

static void open_dictionary(struct cursor *c, struct ints *x) {
    x->count = cursor_byte(c, 255) + 1u;
    x->value_bytes = cursor_byte(c, 8);
    x->code_width = bits_width(x->count - 1);
    x->bases = cursor_skip(c, (uint64_t)x->count * x->value_bytes);
    x->packed = cursor_skip(c, bits_bytes(x->n, x->code_width));
}

err ints_open(struct str bytes, uint32_t n, struct ints *out) {
    struct cursor c = {(const unsigned char *)bytes.p, (const unsigned char *)bytes.p + bytes.n, false};
    uint8_t head = cursor_byte(&c, 255);
    struct ints x = {.kind = head & 15, .n = n};
    if (x.kind >= INTS_KINDS || head >> 4 > 8 || (n == 0 && x.kind != INTS_CONSTANT)) c.bad = true;
    x.minimum = cursor_minimum(&c, head >> 4);
    if (!c.bad && (x.kind == INTS_FRAMES || x.kind == INTS_DELTA)) open_frames(&c, &x);
    if (!c.bad && x.kind == INTS_DICTIONARY) open_dictionary(&c, &x);
    if (c.bad || c.at - (const unsigned char *)bytes.p > UINT32_MAX)
        return err_new(ERR_CORRUPT, "ints: header of kind %u does not fit %u rows in %zu bytes", x.kind, n, bytes.n);
    x.end = c.at;
    x.bytes = (uint32_t)(c.at - (const unsigned char *)bytes.p);
    *out = x;
    return NULL;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static const unsigned char *frame_at(const struct ints *c, uint32_t frame) {
    uint32_t sum = 0; /* 64 × 2^25 frames fit */
    for (uint32_t f = 0; f < frame; f++) sum += c->widths[f];
    return c->packed + (size_t)sum * (FRAME_ROWS / 8);
}

static uint64_t frame_base(const struct ints *c, uint32_t frame) {
    return c->minimum +
           bits_get(c->bases, c->widths ? c->packed : c->end, (uint64_t)frame * c->base_width, c->base_width);
}

static uint64_t frame_step(const struct ints *c, uint32_t frame) {
    return c->step_minimum + bits_get(c->steps, c->packed, (uint64_t)frame * c->step_width, c->step_width);
}

/* Packed values of one width from p, which ends before c->end; count ≤ FRAME_ROWS. */
static void unpack_safe(const struct ints *c, const unsigned char *p, uint32_t count, unsigned width, uint64_t base,
                        uint64_t *out) {
    unsigned char near_end[FRAME_ROWS * 8 + BITS_SLACK];
    size_t need = (size_t)(count + 7) / 8 * width + BITS_SLACK, have = (size_t)(c->end - p);
    if (need > have) {
        memcpy(near_end, p, have);
        memset(near_end + have, 0, need - have);
        p = near_end;
    }
    bits_unpack(p, count, width, base, out);
}

static void unpack_frame(const struct ints *c, uint32_t frame, const unsigned char *p, uint32_t count, uint64_t *out) {
    unsigned width = c->widths[frame];
    if (c->kind == INTS_FRAMES) {
        unpack_safe(c, p, count, width, frame_base(c, frame), out);
        return;
    }
    unpack_safe(c, p, count, width, frame_step(c, frame), out);
    uint64_t value = frame_base(c, frame);
    for (uint32_t i = 0; i < count; i++) out[i] = value += out[i];
}

static void decode_frames(const struct ints *c, uint32_t first, uint32_t count, uint64_t *out) {
    uint32_t frame = first / FRAME_ROWS, skip = first % FRAME_ROWS;
    const unsigned char *p = frame_at(c, frame);
    uint64_t whole[FRAME_ROWS];
    while (count > 0) {
        uint32_t n = MIN(count, FRAME_ROWS - skip);
        if (n == FRAME_ROWS) {
            unpack_frame(c, frame, p, FRAME_ROWS, out);
        } else {
            unpack_frame(c, frame, p, skip + n, whole);
            memcpy(out, whole + skip, (size_t)n * 8);
        }
        p += (size_t)c->widths[frame++] * (FRAME_ROWS / 8);
        out += n, count -= n, skip = 0;
    }
}

static void decode_dictionary(const struct ints *c, uint32_t first, uint32_t count, uint64_t *out) {
    uint64_t values[DICTIONARY_MAX] = {0}; /* codes behind the last value, which only a bad file has, read as 0 */
    uint64_t codes[FRAME_ROWS];
    for (uint32_t i = 0; i < c->count; i++)
        values[i] = c->minimum + load_bytes(c->bases + (size_t)i * c->value_bytes, c->value_bytes);
    while (count > 0) {
        uint32_t skip = first & 7, n = MIN(count, FRAME_ROWS - skip);
        unpack_safe(c, c->packed + (size_t)(first / 8) * c->code_width, n + skip, c->code_width, 0, codes);
        for (uint32_t i = 0; i < n; i++) out[i] = values[codes[skip + i]];
        first += n, out += n, count -= n;
    }
}

void ints_decode(const struct ints *c, uint32_t first, uint32_t count, uint64_t *out) {
    if (c->kind == INTS_CONSTANT)
        for (uint32_t i = 0; i < count; i++) out[i] = c->minimum;
    else if (c->kind == INTS_DICTIONARY)
        decode_dictionary(c, first, count, out);
    else
        decode_frames(c, first, count, out);
}

uint64_t ints_get(const struct ints *c, uint32_t i) {
    uint32_t frame = i / FRAME_ROWS, at = i % FRAME_ROWS;
    uint64_t steps[FRAME_ROWS];
    switch ((enum ints_kind)c->kind) {
    case INTS_FRAMES:
        return frame_base(c, frame) +
               bits_get(frame_at(c, frame), c->end, (uint64_t)at * c->widths[frame], c->widths[frame]);
    case INTS_DELTA: unpack_frame(c, frame, frame_at(c, frame), at + 1, steps); return steps[at];
    case INTS_DICTIONARY:
        at = (uint32_t)bits_get(c->packed, c->end, (uint64_t)i * c->code_width, c->code_width);
        return at < c->count ? c->minimum + load_bytes(c->bases + (size_t)at * c->value_bytes, c->value_bytes) : 0;
    case INTS_CONSTANT:
    case INTS_KINDS:
    default: return c->minimum;
    }
}

/* ---- searching -------------------------------------------------------------------------------------------------- */

static uint32_t find_in(const uint64_t *v, uint32_t n, uint64_t wanted, uint32_t first, uint32_t *out) {
    uint32_t found = 0;
    bool any = false;
    for (uint32_t i = 0; i < n; i++) any |= v[i] == wanted;
    for (uint32_t i = 0; any && i < n; i++)
        if (v[i] == wanted) out[found++] = first + i;
    return found;
}

static uint32_t find_in_frames(const struct ints *c, uint64_t wanted, uint32_t *out) {
    uint64_t values[FRAME_ROWS];
    uint32_t found = 0, frames = (c->n - 1) / FRAME_ROWS + 1;
    const unsigned char *p = c->packed;
    for (uint32_t f = 0; f < frames; p += (size_t)c->widths[f++] * (FRAME_ROWS / 8)) {
        uint32_t rows = rows_of_frame(c->n, f);
        if (c->kind == INTS_FRAMES && wanted - frame_base(c, f) > bits_mask(c->widths[f])) continue;
        unpack_frame(c, f, p, rows, values);
        found += find_in(values, rows, wanted, f * FRAME_ROWS, out + found);
    }
    return found;
}

static uint32_t find_by_dictionary(const struct ints *c, uint64_t wanted, uint32_t *out) {
    uint64_t codes[FRAME_ROWS];
    uint32_t code = 0, found = 0;
    while (code < c->count &&
           c->minimum + load_bytes(c->bases + (size_t)code * c->value_bytes, c->value_bytes) != wanted)
        code++;
    if (code == c->count) return 0;
    for (uint32_t at = 0; at < c->n; at += FRAME_ROWS) {
        uint32_t rows = MIN(c->n - at, (uint32_t)FRAME_ROWS);
        unpack_safe(c, c->packed + (size_t)(at / 8) * c->code_width, rows, c->code_width, 0, codes);
        found += find_in(codes, rows, code, at, out + found);
    }
    return found;
}

uint32_t ints_find(const struct ints *c, uint64_t value, uint32_t *out) {
    if (c->n == 0) return 0;
    if (c->kind == INTS_DICTIONARY) return find_by_dictionary(c, value, out);
    if (c->kind != INTS_CONSTANT) return find_in_frames(c, value, out);
    if (c->minimum != value) return 0;
    for (uint32_t i = 0; i < c->n; i++) out[i] = i;
    return c->n;
}

/* ---- ranges ----------------------------------------------------------------------------------------------------- */

/* low + (2^width - 1) as a signed bound, unless it overflows. */
static bool range_of(int64_t low, uint64_t span, int64_t *out_min, int64_t *out_max) {
    if (span > (uint64_t)INT64_MAX - (uint64_t)low) return false;
    *out_min = low;
    *out_max = (int64_t)((uint64_t)low + span);
    return true;
}

static bool delta_range(const struct ints *c, uint32_t frame, int64_t *out_min, int64_t *out_max) {
    int64_t step = (int64_t)frame_step(c, frame), before = (int64_t)frame_base(c, frame), low, high, most;
    uint32_t rows = rows_of_frame(c->n, frame);
    if (!range_of(step, bits_mask(c->widths[frame]), &step, &most)) return false;
    if (__builtin_mul_overflow(MIN(step, 0), (int64_t)rows, &low)) return false;
    if (__builtin_mul_overflow(MAX(most, 0), (int64_t)rows, &high)) return false;
    return !__builtin_add_overflow(before, low, out_min) && !__builtin_add_overflow(before, high, out_max);
}

bool ints_frame_range(const struct ints *c, uint32_t frame, int64_t *out_min, int64_t *out_max) {
    switch ((enum ints_kind)c->kind) {
    case INTS_CONSTANT: return range_of((int64_t)c->minimum, 0, out_min, out_max);
    case INTS_FRAMES: return range_of((int64_t)frame_base(c, frame), bits_mask(c->widths[frame]), out_min, out_max);
    case INTS_DELTA: return delta_range(c, frame, out_min, out_max);
    case INTS_DICTIONARY: return range_of((int64_t)c->minimum, bits_mask(8u * c->value_bytes), out_min, out_max);
    case INTS_KINDS:
    default: return false;
    }
}

/* By the bounds alone. */
static bool frame_is_below(const struct ints *c, uint32_t frame, uint64_t limit) {
    int64_t low, high;
    return ints_frame_range(c, frame, &low, &high) && low >= 0 && (uint64_t)high < limit;
}

static bool are_below(const uint64_t *v, uint32_t n, uint64_t limit) {
    bool over = false;
    for (uint32_t i = 0; i < n; i++) over |= v[i] >= limit;
    return !over;
}

bool ints_are_below(const struct ints *c, uint64_t limit) {
    bool in_frames = c->kind == INTS_FRAMES || c->kind == INTS_DELTA;
    uint64_t values[FRAME_ROWS];
    if (c->n == 0) return true;
    if (!in_frames && frame_is_below(c, 0, limit)) return true;
    if (c->kind == INTS_CONSTANT) return c->minimum < limit;
    const unsigned char *p = c->packed;
    for (uint32_t f = 0; f * FRAME_ROWS < c->n; f++) {
        uint32_t rows = rows_of_frame(c->n, f);
        if (in_frames && !frame_is_below(c, f, limit))
            unpack_frame(c, f, p, rows, values);
        else if (in_frames)
            rows = 0;
        else
            decode_dictionary(c, f * FRAME_ROWS, rows, values);
        if (!are_below(values, rows, limit)) return false;
        if (in_frames) p += (size_t)c->widths[f] * (FRAME_ROWS / 8);
    }
    return true;
}
