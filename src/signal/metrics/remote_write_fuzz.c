/* Any bytes as a snappy block, and as remote write of both versions: an error, or a batch that opens; the same with labels
 * that are kept. The first byte picks. */
#include <stddef.h>
#include <stdint.h>

#include "signal/metrics/points_testing_priv.h"
#include "signal/metrics/snappy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static err decode(struct points_decoder *d, int version, struct str body, struct points_result *out) {
    static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};
    return points_decode_write(d, version, body, &all_times, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_BUF struct buf body;
    buf_init(&body, MIB);
    if (size == 0) return 0;
    struct str rest = str_span(data + 1, size - 1);
    if (data[0] & 2) {
        err e = snappy_block_read(rest, &body);
        err_free(e);
        if (e) return 0;
        rest = buf_str(&body);
    }
    struct str before = {rest.p, data[0] & 4 ? rest.n / 2 : rest.n};
    check_kept_labels(decode, 1 + (data[0] & 1), before, rest);
    return 0;
}
