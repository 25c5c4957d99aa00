#include "signal/metrics/snappy.h"

#include <snappy-c.h>

/* Three bytes copy at most 64: a block that states more than that is a lie, or a bomb. */
enum { BYTES_PER_BYTE_MAX = 64 };

size_t snappy_block_claim(struct str block) {
    size_t size = 0;
    if (snappy_uncompressed_length(block.p ? block.p : "", block.n, &size) != SNAPPY_OK) return 0;
    return MIN(size, block.n * BYTES_PER_BYTE_MAX);
}

/* ---- unpacking ---------------------------------------------------------------------------------------------------- */

/* An element is a tag, up to four bytes that belong to it, and of a literal its bytes. By tag: how many bytes an element takes, and how many it
 * stands for. 0: its length is behind the tag. */
#define STEP_OF(t) ((t) % 4 == 0 ? ((t) / 4 < 60 ? 2 + (t) / 4 : 0) : (t) % 4 == 1 ? 2 : (t) % 4 == 2 ? 3 : 5)
#define LENGTH_OF(t) ((t) % 4 == 1 ? 4 + (t) / 4 % 8 : 1 + (t) / 4)
#define FOUR(of, t) of(t), of((t) + 1), of((t) + 2), of((t) + 3)
#define SIXTEEN(of, t) FOUR(of, t), FOUR(of, (t) + 4), FOUR(of, (t) + 8), FOUR(of, (t) + 12)
#define SIXTY_FOUR(of, t) SIXTEEN(of, t), SIXTEEN(of, (t) + 16), SIXTEEN(of, (t) + 32), SIXTEEN(of, (t) + 48)
#define ALL(of) SIXTY_FOUR(of, 0), SIXTY_FOUR(of, 64), SIXTY_FOUR(of, 128), SIXTY_FOUR(of, 192)
#define HIGH_OF(t) ((t) % 4 == 1 ? (t) / 32 << 8 : 0) /* what a tag says of an offset */
static const uint8_t steps[256] = {ALL(STEP_OF)}, lengths[256] = {ALL(LENGTH_OF)};
static const uint16_t highs[256] = {ALL(HIGH_OF)};
static const uint32_t offset_masks[4] = {0, 0xff, 0xffff, 0xffffffff};

enum { LEAP = 64, NEAR = 16 }; /* bytes copied at once, whatever is wanted of them; what is nearer overlaps them */

struct unpacking {
    const unsigned char *in, *in_end;
    unsigned char *out_start, *out, *out_end;
};

static inline uint32_t read_u32(const unsigned char *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Left to right, 16 bytes at a time: right if the source is 16 bytes before, or elsewhere. */
static inline void leap(unsigned char *to, const unsigned char *from) {
    for (int i = 0; i < LEAP; i += NEAR) {
        unsigned char sixteen[NEAR];
        memcpy(sixteen, from + i, NEAR);
        memcpy(to + i, sixteen, NEAR);
    }
}

static inline uint32_t offset_of(const unsigned char *in) {
    return (read_u32(in + 1) & offset_masks[*in % 4]) | highs[*in];
}

/* Short elements, as nearly all are, while there is room behind them on both sides: each is LEAP bytes from somewhere. Four of five are copies
 * with two bytes of offset. */
static void unpack_short(struct unpacking *u) {
    if (u->in_end - u->in <= LEAP || u->out_end - u->out < LEAP || u->out - u->out_start < NEAR) return;
    const unsigned char *in = u->in, *in_last = u->in_end - LEAP - 1;
    unsigned char *out = u->out, *out_last = u->out_end - LEAP, *out_near = u->out_start + NEAR;
    while (in <= in_last && out <= out_last) {
        size_t tag = *in, offset;
        if (__builtin_expect(tag % 4 == 2, 1)) { /* where the next one begins is guessed, not computed */
            offset = read_u32(in + 1) & 0xffff;
            if (__builtin_expect(offset - NEAR > (size_t)(out - out_near), 0)) break;
            leap(out, out - offset);
            out += tag / 4 + 1;
            in += 3;
            continue;
        }
        size_t step = steps[tag];
        bool literal = tag % 4 == 0;
        offset = offset_of(in);
        if (__builtin_expect(literal ? step == 0 : offset - NEAR > (size_t)(out - out_near), 0)) break;
        leap(out, literal ? in + 1 : out - offset);
        out += lengths[tag];
        in += step;
    }
    u->in = in;
    u->out = out;
}

static bool unpack_literal(struct unpacking *u) {
    size_t n = *u->in++ / 4, more = n >= 60 ? n - 59 : 0;
    if (more > (size_t)(u->in_end - u->in)) return false;
    if (more) n = 0;
    for (size_t i = 0; i < more; i++) n |= (size_t)u->in[i] << 8 * i;
    u->in += more;
    n++;
    if (n > (size_t)(u->in_end - u->in) || n > (size_t)(u->out_end - u->out)) return false;
    memcpy(u->out, u->in, n);
    u->in += n;
    u->out += n;
    return true;
}

static bool unpack_copy(struct unpacking *u) {
    unsigned char tag[5] = {0};
    size_t step = steps[*u->in], n = lengths[*u->in];
    if (step > (size_t)(u->in_end - u->in)) return false;
    memcpy(tag, u->in, step);
    uint32_t offset = offset_of(tag);
    if (offset == 0 || offset > (size_t)(u->out - u->out_start) || n > (size_t)(u->out_end - u->out)) return false;
    const unsigned char *from = u->out - offset;
    for (size_t i = 0; i < n; i++) u->out[i] = from[i]; /* what was just written may come again */
    u->in += step;
    u->out += n;
    return true;
}

static bool unpack(struct unpacking *u) {
    for (;;) {
        unpack_short(u);
        if (u->in == u->in_end) return u->out == u->out_end;
        if (!(*u->in % 4 == 0 ? unpack_literal(u) : unpack_copy(u))) return false;
    }
}

err snappy_block_read(struct str block, struct buf *out) {
    size_t size = 0, head = 0;
    if (snappy_uncompressed_length(block.p ? block.p : "", block.n, &size) != SNAPPY_OK)
        return err_new(ERR_INVALID, "snappy: %zu bytes that state no length", block.n);
    if (size > out->max - out->n)
        return err_new(ERR_LIMIT, "snappy: %zu bytes unpacked, over the limit of %zu", size, out->max);
    if (size > block.n * BYTES_PER_BYTE_MAX)
        return err_new(ERR_INVALID, "snappy: %zu bytes cannot hold the %zu that they state", block.n, size);
    if (!buf_reserve(out, size)) return err_new(ERR_LIMIT, "snappy: over the limit of %zu bytes", out->max);
    while ((unsigned char)block.p[head++] & 0x80) {} /* the length, which is whole */
    struct unpacking u = {.in = (const unsigned char *)block.p + head,
                          .in_end = (const unsigned char *)block.p + block.n,
                          .out_start = (unsigned char *)out->p + out->n};
    u.out = u.out_start;
    u.out_end = u.out_start + size;
    if (!unpack(&u)) return err_new(ERR_INVALID, "snappy: the block is damaged, or not of the block format");
    out->n += size;
    out->p[out->n] = 0;
    return NULL;
}

void snappy_block_write(struct str content, struct buf *out) {
    size_t size = snappy_max_compressed_length(content.n);
    if (!buf_reserve(out, size)) return;
    if (snappy_compress(content.p ? content.p : "", content.n, out->p + out->n, &size) != SNAPPY_OK) return;
    out->n += size;
    out->p[out->n] = 0;
}
