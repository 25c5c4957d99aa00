#include "net/inflate.h"

#include <libdeflate.h>

enum { GROWTH_START_MIN = 4096, INFLATE_RATIO_MAX = 1032 }; /* deflate makes at most 1,032 bytes of one */

typedef enum libdeflate_result (*decompress_fn)(struct libdeflate_decompressor *d, const void *in, size_t in_n,
                                                void *out, size_t out_n, size_t *actual_in, size_t *actual_out);

struct inflating {
    struct libdeflate_decompressor *decompressor;
    decompress_fn decompress;
    struct str in; /* what is left */
    char *out;
    size_t n, capacity, max;
};

/* What the first member will need, as far as one can tell without believing it: gzip's last four bytes say its size. */
static size_t size_hint(struct str body, bool is_gzip, size_t max) {
    size_t most = body.n > max / INFLATE_RATIO_MAX ? max : body.n * INFLATE_RATIO_MAX;
    size_t hint = MIN(body.n, max) * 4;
    if (is_gzip && body.n >= 18) {
        uint32_t size = 0;
        for (int i = 0; i < 4; i++) size |= (uint32_t)(uint8_t)body.p[body.n - 4 + (size_t)i] << (8 * i);
        hint = size;
    }
    return MAX(MIN(hint, most), MIN((size_t)GROWTH_START_MIN, max));
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
static err inflate_member(struct inflating *f) {
    for (;;) {
        size_t used = 0, made = 0;
        switch (f->decompress(f->decompressor, f->in.p, f->in.n, f->out + f->n, f->capacity - f->n, &used, &made)) {
        case LIBDEFLATE_SUCCESS:
            f->n += made;
            f->in.p += used;
            f->in.n -= used;
            return NULL;
        case LIBDEFLATE_INSUFFICIENT_SPACE:
            if (grow(f)) break;
            return err_new(ERR_LIMIT, "the body is over %zu bytes when decompressed", f->max);
        case LIBDEFLATE_BAD_DATA:
        case LIBDEFLATE_SHORT_OUTPUT: return err_new(ERR_INVALID, "the body's compressed data is damaged or cut short");
        }
    }
}

static err inflate_all(struct inflating *f, bool is_gzip) {
    do TRY(inflate_member(f));
    while (is_gzip && f->in.n); /* RFC 1952 §2.2: members follow one another */
    return f->in.n ? err_new(ERR_INVALID, "bytes follow the body's compressed data") : NULL;
}

static err inflate_with(decompress_fn decompress, bool is_gzip, struct str body, size_t max, struct inflating *f) {
    *f = (struct inflating){.decompress = decompress, .in = body, .max = max};
    f->decompressor = libdeflate_alloc_decompressor();
    if (!f->decompressor) return err_new(ERR_BUSY, "no memory to decompress a body");
    f->capacity = size_hint(body, is_gzip, max);
    f->out = mem_grow(NULL, f->capacity);
    err e = inflate_all(f, is_gzip);
    libdeflate_free_decompressor(f->decompressor);
    if (e) mem_free(f->out);
    return e;
}

err inflate_body(struct str encoding, struct str body, size_t max_bytes, struct str *out, void **out_owned) {
    struct str name = str_trim(encoding);
    bool is_gzip = str_equal_nocase(name, STR("gzip")) || str_equal_nocase(name, STR("x-gzip"));
    bool is_zlib = str_equal_nocase(name, STR("deflate"));
    if (name.n == 0 || str_equal_nocase(name, STR("identity"))) {
        if (body.n > max_bytes) return err_new(ERR_LIMIT, "the body is over %zu bytes", max_bytes);
        *out = body;
        *out_owned = NULL;
        return NULL;
    }
    if (!is_gzip && !is_zlib)
        return err_new(ERR_INVALID, "Content-Encoding \"%.*s\" is not gzip, deflate or identity",
                       (int)MIN(name.n, (size_t)64), name.p);
    struct inflating f;
    TRY(inflate_with(is_gzip ? libdeflate_gzip_decompress_ex : libdeflate_zlib_decompress_ex, is_gzip, body, max_bytes,
                     &f));
    *out = (struct str){f.out, f.n};
    *out_owned = f.out;
    return NULL;
}

err deflate_gzip(struct str body, struct buf *out) {
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(6);
    if (!c) return err_new(ERR_BUSY, "no memory to compress a body");
    size_t bound = libdeflate_gzip_compress_bound(c, body.n);
    bool fits = buf_reserve(out, bound);
    if (fits) out->n += libdeflate_gzip_compress(c, body.p, body.n, out->p + out->n, bound);
    libdeflate_free_compressor(c);
    if (!fits) return err_new(ERR_LIMIT, "no room for %zu compressed bytes", bound);
    out->p[out->n] = 0;
    return NULL;
}
