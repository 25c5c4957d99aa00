/* Bodies of Prometheus's API: remote read's requests, packed by us (so that they reach the decoder) and as they come; forms; exposition types. The first byte
 * says which. */
#include "api/stage_test_priv.h"
#include "signal/metrics/snappy.h"

static struct stage stage;

static void read_remote(struct str body, bool packed) {
    struct buf block;
    buf_init(&block, 64 * KIB);
    if (packed)
        snappy_block_write(body, &block);
    else
        buf_add_str(&block, body);
    stage_send(&stage, API_PORT_MAIN, "POST /prometheus/api/v1/read", "application/x-protobuf", "snappy",
               buf_str(&block));
    buf_done(&block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const forms[] = {"POST /prometheus/api/v1/query",  "POST /prometheus/api/v1/query_range",
                                        "POST /prometheus/api/v1/series", "POST /prometheus/api/v1/query_exemplars",
                                        "POST /prometheus/api/v1/labels", "POST /prometheus/api/v1/parse_query"};
    if (size < 1 || size > 4096) return 0;
    if (!stage.api) {
        stage_open(&stage);
        stage_fill_series(&stage);
    }
    struct str body = {(const char *)data + 1, size - 1};
    uint8_t how = data[0] % (LENGTH(forms) + 2);
    if (how < 2)
        read_remote(body, how == 0);
    else
        stage_send(&stage, API_PORT_MAIN, forms[how - 2], "application/x-www-form-urlencoded", NULL, body);
    return 0;
}
