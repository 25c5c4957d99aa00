#include "signal/metrics/snappy.h"

#include <snappy-c.h>

/* Three bytes copy at most 64: a block that states more than that is a lie, or a bomb. */
enum { BYTES_PER_BYTE_MAX = 64 };

size_t snappy_block_claim(struct str block) {
    size_t size = 0;
    if (snappy_uncompressed_length(block.p ? block.p : "", block.n, &size) != SNAPPY_OK) return 0;
    return MIN(size, block.n * BYTES_PER_BYTE_MAX);
}

err snappy_block_read(struct str block, struct buf *out) {
    size_t size = 0;
    if (snappy_uncompressed_length(block.p ? block.p : "", block.n, &size) != SNAPPY_OK)
        return err_new(ERR_INVALID, "snappy: %zu bytes that state no length", block.n);
    if (size > out->max - out->n)
        return err_new(ERR_LIMIT, "snappy: %zu bytes unpacked, over the limit of %zu", size, out->max);
    if (size > block.n * BYTES_PER_BYTE_MAX)
        return err_new(ERR_INVALID, "snappy: %zu bytes cannot hold the %zu that they state", block.n, size);
    if (!buf_reserve(out, size)) return err_new(ERR_LIMIT, "snappy: over the limit of %zu bytes", out->max);
    if (snappy_uncompress(block.p, block.n, out->p + out->n, &size) != SNAPPY_OK)
        return err_new(ERR_INVALID, "snappy: the block is damaged, or not of the block format");
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
