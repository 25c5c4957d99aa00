#include "net/inflate.h"

#include <libdeflate.h>
#include <zstd.h>
#include <zstd_errors.h>

enum {
    GROWTH_START_MIN = 4096,
    DEFLATE_RATIO_MAX = 1032,  /* deflate makes at most 1,032 bytes of one */
    ZSTD_RATIO_MAX = 32 << 10, /* four bytes are a block of 128 KiB */
    USUAL_RATIO = 16,          /* where nothing is claimed */
    ZSTD_WINDOW_MAX = 8 << 20, /* RFC 9659 §3 */
};

struct inflating {
    struct libdeflate_decompressor *deflate; /* of gzip and zlib */
    ZSTD_DCtx *zstd;
    struct str in; /* what is left */
    char *out;
    size_t n, capacity, max;
};

enum step { STEP_DONE, STEP_NO_ROOM, STEP_DAMAGED, STEP_WINDOW };

/* How one member of each encoding is unpacked, behind what is there: f->n and f->in move on STEP_DONE alone. */
struct codec {
    const char *name, *other_name;
    enum step (*member)(struct inflating *f);
    bool members_follow; /* RFC 1952 §2.2, RFC 8878 §3: members or frames follow one another */
    uint64_t (*claim)(struct str body);
    size_t ratio_max;
};

static enum step taken(struct inflating *f, size_t used, size_t made) {
    f->n += made;
    f->in.p += used;
    f->in.n -= used;
    return STEP_DONE;
}

/* ---- gzip, deflate ------------------------------------------------------------------------------------------------ */

typedef enum libdeflate_result (*deflate_fn)(struct libdeflate_decompressor *d, const void *in, size_t in_n, void *out,
                                             size_t out_n, size_t *actual_in, size_t *actual_out);

static enum step deflate_member(struct inflating *f, deflate_fn decompress) {
    size_t used = 0, made = 0;
    switch (decompress(f->deflate, f->in.p, f->in.n, f->out + f->n, f->capacity - f->n, &used, &made)) {
    case LIBDEFLATE_SUCCESS: return taken(f, used, made);
    case LIBDEFLATE_INSUFFICIENT_SPACE: return STEP_NO_ROOM;
    case LIBDEFLATE_BAD_DATA:
    case LIBDEFLATE_SHORT_OUTPUT: break;
    }
    return STEP_DAMAGED;
}

static enum step gzip_member(struct inflating *f) { return deflate_member(f, libdeflate_gzip_decompress_ex); }
static enum step zlib_member(struct inflating *f) { return deflate_member(f, libdeflate_zlib_decompress_ex); }

/* gzip's last four bytes say the size of the last member, modulo 2^32. */
static uint64_t gzip_claim(struct str body) {
    const unsigned char *end = (const unsigned char *)body.p + body.n;
    if (body.n < 18) return UINT64_MAX;
    return (uint64_t)end[-4] | (uint64_t)end[-3] << 8 | (uint64_t)end[-2] << 16 | (uint64_t)end[-1] << 24;
}

static uint64_t no_claim(struct str body) {
    (void)body;
    return UINT64_MAX;
}

/* ---- zstd --------------------------------------------------------------------------------------------------------- */

static uint32_t little32(struct str s) {
    uint32_t v = 0;
    for (size_t i = 0; i < 4 && i < s.n; i++) v |= (uint32_t)(unsigned char)s.p[i] << (8 * i);
    return v;
}

static bool zstd_is_frame(struct str in) {
    return in.n >= 6 &&
           little32(in) == ZSTD_MAGICNUMBER; /* not a format of before 1.0, which the library may know, too */
}

static bool zstd_is_skippable(struct str in) {
    return in.n >= 8 && (little32(in) & 0xfffffff0u) == 0x184d2a50u; /* RFC 8878 §3.1.2 */
}

/* The window that a frame wants (RFC 8878 §3.1.1.1.2). Whole frames are unpacked into their place, so that no window takes memory
 * beside it, but senders are held to what RFC 9659 allows them. A frame in a single segment has none. */
static uint64_t zstd_window(struct str in) {
    unsigned descriptor = (unsigned char)in.p[4], window = (unsigned char)in.p[5];
    if (descriptor >> 5 & 1) return 0;
    uint64_t base = (uint64_t)1 << (10 + (window >> 3));
    return base + base / 8 * (window & 7);
}

static enum step zstd_member(struct inflating *f) {
    bool frame = zstd_is_frame(f->in);
    if (!frame && !zstd_is_skippable(f->in)) return STEP_DAMAGED;
    if (frame && zstd_window(f->in) > ZSTD_WINDOW_MAX) return STEP_WINDOW;
    size_t used = ZSTD_findFrameCompressedSize(f->in.p, f->in.n);
    if (ZSTD_isError(used)) return STEP_DAMAGED;
    size_t made = ZSTD_decompressDCtx(f->zstd, f->out + f->n, f->capacity - f->n, f->in.p, used);
    if (!ZSTD_isError(made)) return taken(f, used, made);
    return ZSTD_getErrorCode(made) == ZSTD_error_dstSize_tooSmall ? STEP_NO_ROOM : STEP_DAMAGED;
}

/* Of the first frame, if its head says it. */
static uint64_t zstd_claim(struct str body) {
    unsigned long long size = zstd_is_frame(body) ? ZSTD_getFrameContentSize(body.p, body.n) : ZSTD_CONTENTSIZE_UNKNOWN;
    return size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR ? UINT64_MAX : size;
}

/* ---- all ---------------------------------------------------------------------------------------------------------- */

static const struct codec codecs[] = {
    {"gzip", "x-gzip", gzip_member, true, gzip_claim, DEFLATE_RATIO_MAX},
    {"zstd", "zstd", zstd_member, true, zstd_claim, ZSTD_RATIO_MAX},
    {"deflate", "deflate", zlib_member, false, no_claim, DEFLATE_RATIO_MAX},
};

static const struct codec *codec_of(struct str name) {
    for (size_t i = 0; i < LENGTH(codecs); i++)
        if (str_equal_nocase(name, str_of(codecs[i].name)) || str_equal_nocase(name, str_of(codecs[i].other_name)))
            return &codecs[i];
    return NULL;
}

static bool is_identity(struct str name) { return name.n == 0 || str_equal_nocase(name, STR("identity")); }

static size_t claim_of(const struct codec *codec, struct str body, size_t max) {
    uint64_t most = body.n > max / codec->ratio_max ? max : (uint64_t)body.n * codec->ratio_max;
    uint64_t claim = codec->claim(body);
    if (claim == UINT64_MAX) claim = (uint64_t)body.n * USUAL_RATIO;
    return (size_t)MIN(claim, MIN(most, (uint64_t)max));
}

size_t inflate_claim(struct str encoding, struct str body, size_t max_bytes) {
    const struct codec *codec = codec_of(str_trim(encoding));
    return codec ? claim_of(codec, body, max_bytes) : MIN(body.n, max_bytes);
}

/* Twice as much, at most max; what is there of finished members moves along. False at the limit. */
static bool grow(struct inflating *f) {
    if (f->capacity >= f->max) return false;
    f->capacity = f->capacity > f->max / 2 ? f->max : f->capacity * 2;
    if (f->n == 0) mem_free(take(&f->out)); /* nothing to move: never two buffers at once */
    f->out = mem_grow(f->out, f->capacity);
    return true;
}

/* One member: begun anew with a larger buffer until it fits. */
static err inflate_member(struct inflating *f, const struct codec *codec) {
    for (;;) {
        switch (codec->member(f)) {
        case STEP_DONE: return NULL;
        case STEP_NO_ROOM:
            if (grow(f)) break;
            return err_new(ERR_LIMIT, "the body is over %zu bytes when decompressed", f->max);
        case STEP_DAMAGED: return err_new(ERR_INVALID, "the body's compressed data is damaged or cut short");
        case STEP_WINDOW: return err_new(ERR_INVALID, "the body's zstd frame needs a window of over 8 MiB");
        }
    }
}

static err inflate_all(struct inflating *f, const struct codec *codec) {
    do TRY(inflate_member(f, codec));
    while (codec->members_follow && f->in.n);
    return f->in.n ? err_new(ERR_INVALID, "bytes follow the body's compressed data") : NULL;
}

static err inflate_with(struct inflating *f, const struct codec *codec) {
    f->capacity = MAX(claim_of(codec, f->in, f->max), MIN((size_t)GROWTH_START_MIN, f->max));
    if (codec->member == zstd_member)
        f->zstd = ZSTD_createDCtx();
    else
        f->deflate = libdeflate_alloc_decompressor();
    err e = f->deflate || f->zstd ? NULL : err_new(ERR_BUSY, "no memory to decompress a body");
    if (!e) f->out = mem_grow(NULL, f->capacity);
    if (!e) e = inflate_all(f, codec);
    libdeflate_free_decompressor(f->deflate);
    ZSTD_freeDCtx(f->zstd);
    if (e) mem_free(f->out);
    return e;
}

err inflate_body(struct str encoding, struct str body, size_t max_bytes, struct str *out, void **out_owned) {
    struct str name = str_trim(encoding);
    const struct codec *codec = codec_of(name);
    if (is_identity(name)) {
        if (body.n > max_bytes) return err_new(ERR_LIMIT, "the body is over %zu bytes", max_bytes);
        *out = body;
        *out_owned = NULL;
        return NULL;
    }
    if (!codec)
        return err_new(ERR_INVALID, "Content-Encoding \"%.*s\" is not gzip, zstd, deflate or identity",
                       (int)MIN(name.n, (size_t)64), name.p);
    struct inflating f = {.in = body, .max = max_bytes};
    TRY(inflate_with(&f, codec));
    *out = (struct str){f.out, f.n};
    *out_owned = f.out;
    return NULL;
}

err deflate_gzip(struct str body, struct buf *out) { return deflate_gzip_at(6, body, out); }

err deflate_gzip_at(int level, struct str body, struct buf *out) {
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(level);
    if (!c) return err_new(ERR_BUSY, "no memory to compress a body");
    size_t bound = libdeflate_gzip_compress_bound(c, body.n);
    bool fits = buf_reserve(out, bound);
    if (fits) out->n += libdeflate_gzip_compress(c, body.p, body.n, out->p + out->n, bound);
    libdeflate_free_compressor(c);
    if (!fits) return err_new(ERR_LIMIT, "no room for %zu compressed bytes", bound);
    out->p[out->n] = 0;
    return NULL;
}
