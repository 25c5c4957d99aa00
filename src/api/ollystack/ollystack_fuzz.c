/* Bodies and query strings of OllyStack's API: answered once each, with whole JSON, never by 500. The first byte says which. */
#include <stdio.h>
#include <stdlib.h>

#include "api/stage_test_priv.h"
#include "base/json.h"

static struct stage stage;

static const struct {
    const char *ask;
    bool query; /* the bytes are the query string, else the body */
} calls[] = {
    {"POST /ollystack/api/v1/correlate/search", false},
    {"POST /ollystack/api/v1/alerts", false},
    {"PUT /ollystack/api/v1/dashboards/7", false},
    {"POST /ollystack/api/v1/query", false},
    {"POST /ollystack/api/v1/ai/ask", false},
    {"POST /ollystack/api/v1/ai/analyze", false},
    {"GET /ollystack/api/v1/traces", true},
    {"GET /ollystack/api/v1/traces/group", true},
    {"GET /ollystack/api/v1/logs/query", true},
    {"GET /ollystack/api/v1/metrics/query_range", true},
    {"GET /ollystack/api/v1/correlate", true},
    {"GET /ollystack/ai/api/v1/services/metrics/timeseries", true},
    {"GET /ollystack/api/v1/traces/errors/fingerprints", true},
};

static bool is_json(const char *body) {
    struct json_reader r;
    json_reader_init(&r, str_of(body), 64);
    bool whole = json_skip(&r) && json_next(&r) == JSON_END;
    json_reader_done(&r);
    return whole;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || size > 4096) return 0;
    if (!stage.api) {
        stage_open(&stage);
        stage_fill(&stage);
        stage_fill_series(&stage);
    }
    char request[8192];
    struct str text = {(const char *)data + 1, size - 1};
    size_t how = data[0] % LENGTH(calls);
    bool query = calls[how].query;
    if (query && (memchr(text.p, 0, text.n) || memchr(text.p, ' ', text.n))) return 0; /* no target has them */
    snprintf(request, sizeof request, "%s%s%.*s", calls[how].ask, query ? "?" : "", query ? (int)text.n : 0, text.p);
    int status = stage_send(&stage, API_PORT_MAIN, request, "application/json", NULL, query ? STR("") : text);
    if (status == 500 || !is_json(stage_body(&stage))) abort();
    return 0;
}
