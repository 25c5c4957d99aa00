/* Any bytes as a snappy block, and as remote write of both versions: an error, or a batch that opens. The first byte picks. */
#include <stddef.h>
#include <stdint.h>

#include "signal/metrics/points_testing_priv.h"
#include "signal/metrics/snappy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(int version, struct str body) {
    static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};
    struct points_decoder *d = points_decoder_new();
    for (int again = 0; again < 2; again++) { /* the second time the labels are known */
        struct points_result r = {0};
        err e = points_decode_write(d, version, body, &all_times, &r);
        if (!e && r.blob) check_points_blob(r.blob);
        batch_unref(r.blob);
        err_free(e);
    }
    points_decoder_free(d);
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
    decode(1 + (data[0] & 1), rest);
    return 0;
}
