/* Any target is answered once, whatever stands in it; the first byte says how it is asked. */
#include "api/stage_test_priv.h"

static struct stage stage;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const before[] = {
        "GET ",
        "POST ",
        "GET /api/v1/traces?where=",
        "GET /api/v1/logs/query?where=",
        "GET /api/v1/traces?cursor=",
        "GET /api/v1/traces/stats?",
        "GET /api/v1/logs/query?text=",
        "GET /api/v1/services/",
        "GET /prometheus/api/v1/query?query=",
        "GET /prometheus/api/v1/query_range?start=1767323000&end=1767323045&step=5&query=",
        "GET /prometheus/api/v1/series?match[]=",
        "GET /prometheus/api/v1/label/U__",
        "GET /prometheus/api/v1/query?query=a&time=",
        "GET /prometheus/federate?match[]=",
    };
    if (size < 1 || size > 4096) return 0;
    if (!stage.api) {
        stage_open(&stage);
        stage_fill(&stage);
        stage_fill_series(&stage);
    }
    char *request = mem_new(size + 160);
    size_t n = strlen(before[data[0] % LENGTH(before)]);
    memcpy(request, before[data[0] % LENGTH(before)], n);
    memcpy(request + n, data + 1, size - 1);
    for (size_t i = n; i < n + size - 1; i++) /* net lets no blanks and control characters through */
        if ((unsigned char)request[i] <= ' ' || request[i] == 0x7f) request[i] = '+';
    bool administers = strstr(request, "/admin/") != NULL;
    if (!administers) stage_ask(&stage, request);
    mem_free(request);
    return 0;
}
