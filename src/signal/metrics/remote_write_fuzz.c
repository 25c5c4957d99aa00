/* Any bytes as a snappy block, of which libsnappy says the same, and as remote write of both versions: an error, or a batch that opens; the same with labels
 * that are kept. The first byte picks. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <snappy-c.h>

#include "signal/metrics/points_testing_priv.h"
#include "signal/metrics/snappy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static err decode(struct points_decoder *d, int version, struct str body, struct points_result *out) {
    static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};
    return points_decode_write(d, version, body, &all_times, out);
}

/* e: what came of reading the block into `body`. */
static void compare_with_libsnappy(struct str block, err e, const struct buf *body) {
    size_t size = 0;
    if (snappy_uncompressed_length(block.p, block.n, &size) != SNAPPY_OK || size > body->max) size = 0;
    AUTO_FREE char *theirs = mem_new(size + 1);
    bool whole = size > 0 && snappy_uncompress(block.p, block.n, theirs, &size) == SNAPPY_OK;
    if (!e && body->n == 0) return;
    if (whole != !e || (whole && (size != body->n || memcmp(theirs, body->p, size) != 0))) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_BUF struct buf body;
    buf_init(&body, MIB);
    if (size == 0) return 0;
    struct str rest = str_span(data + 1, size - 1);
    if (data[0] & 2) {
        err e = snappy_block_read(rest, &body);
        compare_with_libsnappy(rest, e, &body);
        err_free(e);
        if (e) return 0;
        rest = buf_str(&body);
    }
    struct str before = {rest.p, data[0] & 4 ? rest.n / 2 : rest.n};
    check_kept_labels(decode, 1 + (data[0] & 1), before, rest);
    return 0;
}
