/* Any request of spans: each is one call, of which nothing is over its limits, and any part of the rows says the same as all of them. */
#include <stddef.h>
#include <stdint.h>

#include "ingest/rollup/rollup_testing_priv.h"
#include "signal/otlp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare(const struct batch *b) {
    struct rollup_function f = rollup_of_spans();
    struct written_sink all, alone;
    AUTO_BUF struct buf whole, rows;
    uint64_t failed = 0;
    buf_init(&whole, (size_t)1 << 30);
    buf_init(&rows, (size_t)1 << 30);
    written_init(&all, &whole);
    written_init(&alone, &rows);
    f.run(f.context, b, NULL, b->rows, &all.sink);
    for (uint32_t i = 0; i < b->rows; i++) {
        f.run(f.context, b, &i, 1, &alone.sink);
        failed += batch_u32(b, SET_ROWS, FIELD_STATUS, i) == 2;
    }
    assert(all.calls[ROLLUP_SPANS] == b->rows && str_equal(buf_str(&whole), buf_str(&rows)));
    /* one edge a span, that of a database, a user or a destination; and half of one as a caller, as one who is called */
    assert(all.calls[ROLLUP_EDGE_SERVER] + all.calls[ROLLUP_EDGE_CLIENT] <= b->rows && all.halves <= 2 * b->rows);
    assert(all.parents <= b->rows && all.plain <= b->rows);
    assert(all.failed >= failed && all.duration_ns <= 2 * b->rows * ROLLUP_DURATION_MAX_NS);
    written_done(&all);
    written_done(&alone);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};
    struct otlp_decoder *d = otlp_decoder_new();
    struct otlp_result result = {0};
    struct batch b;
    err e = otlp_decode(d, SIGNAL_SPANS, str_span(data, size), &all_times, &result);
    if (!e && result.blob) {
        batch_view(result.blob, &b);
        if (b.rows <= 2000) compare(&b); /* each row alone, and its batch anew */
    }
    batch_unref(result.blob);
    otlp_decoder_free(d);
    err_free(e);
    return 0;
}
