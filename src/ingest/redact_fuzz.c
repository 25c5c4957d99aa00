/* Any bytes: up to a zero byte the rules, behind it a request of logs in JSON. What the rules leave is a batch that opens. */
#include <stddef.h>
#include <stdint.h>

#include "ingest/redact.h"
#include "signal/otlp.h"
#include "signal/testing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void apply(const struct redact_rules *rules, struct str json) {
    static const unsigned char secret[REDACT_SECRET_BYTES];
    static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};
    struct otlp_decoder *d = otlp_decoder_new();
    struct otlp_result result = {0};
    struct redact_counts counts = {0};
    struct redactor *r = NULL;
    struct batch b;
    err e = redactor_new(rules, secret, &r);
    if (!e) e = otlp_decode_json(d, SIGNAL_LOGS, json, &all_times, &result);
    if (!e && result.blob) {
        batch_view(result.blob, &b);
        struct batch_blob *changed = redactor_apply(r, &b, &counts), *opened = NULL;
        err bad = changed ? batch_open(batch_bytes(changed), &opened) : NULL;
        assert(!bad);
        if (opened) {
            batch_view(opened, &b);
            walk_batch(&b);
        }
        batch_unref(opened);
        batch_unref(changed);
    }
    batch_unref(result.blob);
    redactor_free(r);
    otlp_decoder_free(d);
    err_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = str_span(data, size), yaml, json;
    struct redact_rules *rules = NULL;
    if (!str_cut(text, 0, &yaml, &json)) json = STR("{}");
    err e = redact_rules_parse(yaml, "fuzz", &rules);
    if (!e) apply(rules, json);
    redact_rules_free(rules);
    err_free(e);
    return 0;
}
