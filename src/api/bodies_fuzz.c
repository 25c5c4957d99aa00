/* Bodies that hold a text of another language: files of rules that are checked and tested against the past, as JSON by us (so that they reach the reader) and as
 * they come; dashboards from elsewhere, without keeping them. Answered once each, with JSON. The first byte says which. */
#include <stdlib.h>

#include "api/stage_test_priv.h"
#include "base/json.h"

static struct stage stage;

static const char *const calls[] = {
    "POST /api/v1/rules/check",
    "POST /api/v1/rules/backtest?start=1767322445&end=1767323045",
    "POST /api/v1/dashboards/import?dry_run=true",
    "POST /api/v1/dashboards/import?dry_run=true&title=t",
    "POST /api/v1/dashboards",
    "POST /api/v1/rules",
};
enum { CALLS_OF_TEXT = 2 };

static void put_as_text(struct str text, struct buf *out) {
    struct json_writer w;
    json_writer_init(&w, out);
    json_object(&w);
    json_member(&w, "text", str, text);
    json_object_end(&w);
}

static bool is_json(const char *body) {
    struct json_reader r;
    json_reader_init(&r, str_of(body), 64);
    bool ok = json_next(&r) == JSON_OBJECT;
    for (enum json_token t = JSON_OBJECT; ok && t != JSON_END; ok = t != JSON_ERROR) t = json_next(&r);
    json_reader_done(&r);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || size > 16384) return 0;
    if (!stage.api) {
        stage_open(&stage);
        stage_fill_series(&stage);
    }
    AUTO_BUF struct buf body;
    struct str text = {(const char *)data + 1, size - 1};
    size_t how = data[0] % (LENGTH(calls) + CALLS_OF_TEXT);
    buf_init(&body, MIB);
    if (how >= LENGTH(calls))
        put_as_text(text, &body);
    else
        buf_add_str(&body, text);
    int status = stage_send(&stage, API_PORT_MAIN, calls[how % LENGTH(calls)], "application/json", NULL,
                            body.n ? buf_str(&body) : STR(""));
    if (status == 500 || !is_json(stage_body(&stage))) abort();
    return 0;
}
