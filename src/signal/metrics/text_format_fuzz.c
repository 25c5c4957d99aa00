/* Any bytes as an exposition of both formats: an error with a place, or a batch that opens. */
#include <stddef.h>
#include <stdint.h>

#include "signal/metrics/points_testing_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static err decode(struct points_decoder *d, int how, struct str body, struct points_result *out) {
    static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};
    return points_decode_text(d, (enum points_text_format)how, body, &all_times, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};
    struct points_decoder *d = points_decoder_new();
    const struct points_label labels[] = {{STR("job"), STR("batch")}, {STR("a"), str_span(data, MIN(size, (size_t)8))}};
    for (int run = 0; run < 4; run++) {
        struct points_result r = {0};
        err e = points_decode_import(d, (enum points_text_format)(run & 1), str_span(data, size), labels,
                                     run & 2 ? LENGTH(labels) : 0, &all_times, &r);
        if (!e && r.blob) check_points_blob(r.blob);
        batch_unref(r.blob);
        err_free(e);
    }
    points_decoder_free(d);
    for (int how = 0; how < 2; how++) check_kept_labels(decode, how, str_span(data, size), str_span(data, size));
    return 0;
}
