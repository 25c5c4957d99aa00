/* Any bytes: up to a zero byte the rules, behind it a request of logs or spans in JSON. With ids it is a batch that opens, and says the same as OTLP. */
#include <stddef.h>
#include <stdint.h>

#include "ingest/correlate/correlate.h"
#include "signal/otlp.h"
#include "signal/testing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_as_otlp(const struct batch *a, const struct batch *b) {
    AUTO_BUF struct buf before, after;
    buf_init(&before, 64 * MIB);
    buf_init(&after, 64 * MIB);
    otlp_encode(a, &before);
    otlp_encode(b, &after);
    assert(str_equal(buf_str(&before), buf_str(&after)));
}

static void apply(const struct correlate_rules *rules, enum signal signal, struct str json) {
    static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};
    struct otlp_decoder *d = otlp_decoder_new();
    struct otlp_result result = {0};
    struct correlate_counts counts = {0};
    struct batch b, lifted;
    err e = otlp_decode_json(d, signal, json, &all_times, &result);
    if (!e && result.blob) {
        batch_view(result.blob, &b);
        struct batch_blob *with_ids = correlate_rows(rules, &b, &counts), *opened = NULL;
        err bad = with_ids ? batch_open(batch_bytes(with_ids), &opened) : NULL;
        assert(!bad);
        if (opened) {
            batch_view(opened, &lifted);
            walk_batch(&lifted);
            same_as_otlp(&b, &lifted);
        }
        batch_unref(opened);
        batch_unref(with_ids);
    }
    batch_unref(result.blob);
    otlp_decoder_free(d);
    err_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = str_span(data, size), yaml, json;
    struct correlate_rules *rules = NULL;
    err e = NULL;
    if (!str_cut(text, 0, &yaml, &json)) {
        json = text;
        rules = correlate_rules_new();
    } else {
        e = correlate_rules_parse(yaml, "fuzz", &rules);
    }
    for (int s = 0; s < SIGNALS && !e; s++) apply(rules, (enum signal)s, json);
    correlate_rules_free(rules);
    err_free(e);
    return 0;
}
