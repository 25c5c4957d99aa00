/* Any bytes as a metrics request: an error, or a batch that opens, and that encoded and decoded says the same; and the same with labels that
 * are kept. */
#include <stddef.h>
#include <stdint.h>

#include "signal/metrics/points_testing_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static err decode(struct points_decoder *d, int how, struct str body, struct points_result *out) {
    static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};
    (void)how;
    return points_decode_otlp(d, body, &all_times, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};
    struct points_decoder *d = points_decoder_new();
    struct points_result r = {0}, again = {0};
    struct points first, second;
    err e = points_decode_otlp(d, str_span(data, size), &all_times, &r);
    if (!e && r.blob) {
        AUTO_BUF struct buf body;
        buf_init(&body, 64 * MIB);
        check_points_blob(r.blob);
        points_view(r.blob, &first);
        points_encode_otlp(&first, &body);
        err bad = points_decode_otlp(d, buf_str(&body), &all_times, &again);
        assert(!bad && again.blob);
        points_view(again.blob, &second);
        assert(points_equal(&first, &second));
    }
    batch_unref(r.blob);
    batch_unref(again.blob);
    err_free(e);
    points_decoder_free(d);
    check_kept_labels(decode, 0, str_span(data, size), str_span(data, size));
    return 0;
}
