/* Any bytes as OTLP/JSON of either signal: an error with a place, or a batch that opens and says the same by protobuf and by JSON. */
#include <stddef.h>
#include <stdint.h>

#include "signal/otlp.h"
#include "base/json.h"
#include "signal/testing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};

static void check_equal(const struct batch *first, err e, const struct otlp_result *r) {
    struct batch second;
    assert(!e && r->blob);
    batch_view(r->blob, &second);
    assert_batches_equal(first, &second);
    batch_unref(r->blob);
}

static void decode_again(struct otlp_decoder *d, const struct batch *first) {
    AUTO_BUF struct buf body, text;
    struct otlp_result r = {0};
    struct json_writer w;
    buf_init(&body, 64 * MIB);
    buf_init(&text, 64 * MIB);
    otlp_encode(first, &body);
    check_equal(first, otlp_decode(d, first->signal, buf_str(&body), &all_times, &r), &r);
    json_writer_init(&w, &text);
    otlp_write_json(first, &w);
    check_equal(first, otlp_decode_json(d, first->signal, buf_str(&text), &all_times, &r), &r);
}

static void decode(struct otlp_decoder *d, enum signal signal, struct str body) {
    struct otlp_result r = {0};
    struct batch_blob *opened = NULL;
    struct batch b;
    err e = otlp_decode_json(d, signal, body, &all_times, &r);
    if (!e && r.blob) {
        err bad = batch_open(batch_bytes(r.blob), &opened);
        assert(!bad);
        batch_view(opened, &b);
        walk_batch(&b);
        decode_again(d, &b);
        batch_unref(opened);
    }
    batch_unref(r.blob);
    err_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct otlp_decoder *d = otlp_decoder_new();
    for (int s = 0; s < SIGNALS; s++) decode(d, (enum signal)s, str_span(data, size));
    otlp_decoder_free(d);
    return 0;
}
