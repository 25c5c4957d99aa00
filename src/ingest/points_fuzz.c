/* Any bytes as a body of metrics, in each format and packing: one outcome, whose counts agree, and nothing left of the budget. The first byte
 * says how the rest is sent. */
#include <stddef.h>
#include <stdint.h>

#include "base/budget.h"
#include "ingest/ingest.h"
#include "signal/metrics/snappy.h"
#include "store/series.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t fixed_now(void) { return 1700000000000000000; }

struct result {
    int calls;
};

static void on_done(void *context, err e, const struct ingest_outcome *outcome) {
    struct result *r = context;
    uint64_t by_reason = 0;
    r->calls++;
    if (!e) {
        for (int i = 0; i < INGEST_REASONS; i++) by_reason += outcome->rejected_by[i];
        assert(outcome->rejected == 0 || by_reason > 0);
        assert(outcome->rejected == 0 || outcome->message[0]);
    }
    err_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct points_label labels[] = {{STR("job"), STR("fuzz")}};
    struct store_options options;
    struct budget budget;
    struct result result = {0};
    if (size < 1) return 0;
    AUTO_BUF struct buf packed;
    store_options_default(&options);
    options.wall_ns = fixed_now;
    if (data[0] & 0x10) options.retention_ns = 0;
    budget_init(&budget, 256 * MIB);
    buf_init(&packed, 64 * MIB);
    struct store *store = store_model_open(&options);
    struct ingest *in = ingest_new(
        &(struct ingest_options){.store = store, .budget = &budget, .body_max_bytes = 4 * MIB, .wall_ns = fixed_now});
    struct ingest_request request = {.tenant = STR("default"),
                                     .kind = INGEST_METRICS,
                                     .format = (enum ingest_format)(data[0] % (INGEST_OPENMETRICS + 1)),
                                     .encoding = data[0] & 0x60 ? STR("snappy") : STR(""),
                                     .body = str_span(data + 1, size - 1),
                                     .labels = labels,
                                     .label_count = data[0] >> 7};
    if (data[0] & 0x20) { /* packed well, so that what is in it is looked at */
        snappy_block_write(request.body, &packed);
        request.body = buf_str(&packed);
    }
    for (int again = 0; again < 2; again++) ingest_body(in, &request, on_done, &result);
    assert(result.calls == 2);
    ingest_free(in);
    err_free(store_close(store));
    assert(budget_used(&budget) == 0);
    return 0;
}
