/* Any bytes as OTLP/JSON of metrics: an error with a place, or a batch that opens and says the same by protobuf. */
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "signal/metrics/points_testing_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};
    struct points_decoder *d = points_decoder_new();
    struct points_result r = {0}, again = {0};
    struct points first, second;
    err e = points_decode_otlp_json(d, str_span(data, size), &all_times, &r);
    if (!e && r.blob) {
        AUTO_BUF struct buf body, text;
        struct json_writer w;
        buf_init(&body, 64 * MIB);
        buf_init(&text, 64 * MIB);
        check_points_blob(r.blob);
        points_view(r.blob, &first);
        points_encode_otlp(&first, &body);
        err bad = points_decode_otlp(d, buf_str(&body), &all_times, &again);
        assert(!bad && again.blob);
        points_view(again.blob, &second);
        assert(points_equal(&first, &second));
        batch_unref(again.blob);
        json_writer_init(&w, &text);
        points_write_otlp_json(&first, &w);
        bad = points_decode_otlp_json(d, buf_str(&text), &all_times, &again);
        assert(!bad && again.blob);
    }
    batch_unref(r.blob);
    batch_unref(again.blob);
    err_free(e);
    points_decoder_free(d);
    return 0;
}
