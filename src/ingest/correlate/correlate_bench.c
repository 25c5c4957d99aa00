/* What looking for ids costs: requests of the load law as they are (no key of an id), and with an id on each row as an attribute, in
 * baggage, in a body of JSON. */
#include <stdio.h>

#include "ingest/correlate/correlate.h"
#include "os/clock.h"
#include "signal/batch_build.h"
#include "signal/otlp.h"
#include "signal/testing.h"

enum { ROUNDS = 4000 };

/* The batch, each row with one more attribute. */
static struct batch_blob *with_attribute(const struct batch *from, const char *key, const char *before) {
    struct batch_builder b;
    struct batch_copy_cache cache = {0};
    char text[128];
    batch_builder_init(&b, from->signal);
    for (uint32_t row = 0; row < from->rows; row++) {
        uint32_t keys[64], n = 0;
        struct batch_attributes a = batch_attributes(from, SET_ROWS, row);
        batch_builder_copy(&b, from, row, &cache);
        uint32_t slot = (uint32_t)b.slots.n;
        for (uint32_t i = 0; i < a.n && n < 60; i++) {
            const struct batch_key *k = &from->keys[a.keys[i]];
            if (k->type != VALUE_STRING) continue;
            keys[n++] = batch_builder_key(&b, batch_string(from, k->name), VALUE_STRING);
            *vec_push(&b.slots) = strings_intern(&b.strings, batch_string(from, (uint32_t)a.values[i]));
        }
        int length = snprintf(text, sizeof text, "%s%032x", before, row / 10);
        keys[n++] = batch_builder_key(&b, str_of(key), VALUE_STRING);
        *vec_push(&b.slots) = strings_intern(&b.strings, (struct str){text, (size_t)length});
        batch_builder_attributes(&b, SET_ROWS, row, keys, n, slot);
    }
    batch_copy_cache_done(&cache);
    struct batch_blob *blob = batch_builder_finish(&b);
    batch_builder_done(&b);
    return blob;
}

static struct batch_blob *with_body(const struct batch *from) {
    struct batch_builder b;
    struct batch_copy_cache cache = {0};
    char text[256];
    batch_builder_init(&b, from->signal);
    for (uint32_t row = 0; row < from->rows; row++) {
        batch_builder_copy(&b, from, row, &cache);
        int n = snprintf(
            text, sizeof text,
            "{\"level\":\"info\",\"message\":\"order was paid by card\",\"took_ms\":%u,\"requestId\":\"req-%u\"}",
            row * 7 % 91, row / 10);
        batch_builder_set_u32(&b, SET_ROWS, FIELD_BODY, row, strings_intern(&b.strings, (struct str){text, (size_t)n}));
        batch_builder_set_u32(&b, SET_ROWS, FIELD_BODY_TYPE, row, VALUE_STRING);
    }
    batch_copy_cache_done(&cache);
    struct batch_blob *blob = batch_builder_finish(&b);
    batch_builder_done(&b);
    return blob;
}

static void measure(const char *what, struct batch_blob *blob) {
    struct correlate_rules *rules = correlate_rules_new();
    struct correlate_counts counts = {0};
    struct batch b;
    batch_view(blob, &b);
    int64_t start = clock_monotonic_ns();
    for (int i = 0; i < ROUNDS; i++) batch_unref(correlate_rows(rules, &b, &counts));
    double ns = (double)(clock_monotonic_ns() - start) / ROUNDS;
    printf("%-28s %7.1f ns a row, %6zu bytes a batch of %u rows\n", what, ns / b.rows, batch_bytes(blob).n, b.rows);
    correlate_rules_free(rules);
    batch_unref(blob);
}

int main(void) {
    for (int s = 0; s < SIGNALS; s++) {
        struct chance c = {7};
        struct otlp_decoder *d = otlp_decoder_new();
        struct otlp_limits limits = {.time_min = INT64_MIN, .time_max = INT64_MAX};
        struct otlp_result result = {0};
        AUTO_BUF struct buf body;
        struct batch b;
        buf_init(&body, 64 * MIB);
        load_request(&c, (enum signal)s, &body);
        err e = otlp_decode(d, (enum signal)s, buf_str(&body), &limits, &result);
        if (e) return 1;
        batch_view(result.blob, &b);
        printf("%s\n", signal_names[s]);
        measure("  an attribute", with_attribute(&b, "correlation_id", ""));
        measure("  baggage", with_attribute(&b, "baggage", "user=7,correlation_id="));
        if (s == SIGNAL_LOGS) measure("  a body of JSON", with_body(&b));
        measure("  none", result.blob);
        otlp_decoder_free(d);
    }
    return 0;
}
