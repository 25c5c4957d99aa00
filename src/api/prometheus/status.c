/* How the server is, in Prometheus's words; and what clew has none of. */
#include <stdlib.h>

#include "api/prometheus/prometheus_priv.h"
#include "base/budget.h"
#include "base/text.h"
#include "ingest/scrape/scrape.h"
#include "os/process.h"

/* The value of "data" of an answer that needs no query. */
static void answer_with(struct api_call *c, void (*fill)(struct api_call *c, struct json_writer *w)) {
    struct buf body;
    struct json_writer w;
    buf_init(&body, MIB);
    json_writer_init(&w, &body);
    json_object(&w);
    json_member(&w, "status", text, "success");
    json_key(&w, STR("data"));
    fill(c, &w);
    json_object_end(&w);
    call_answer_json(c, 200, &body);
    buf_done(&body);
}

/* ---- what is set ------------------------------------------------------------------------------------------------ */

static void write_config(struct api_call *c, struct json_writer *w) {
    (void)c;
    json_object(w);
    json_member(w, "yaml", text, "# clew is set by options and the environment: /api/v1/status/flags\n");
    json_object_end(w);
}
void handle_prometheus_config(struct api_call *c) { answer_with(c, write_config); }

static void put_retention(struct buf *out, const struct api_call *c) {
    int64_t ns = c->api->options.retention.retention_ns;
    if (ns == 0)
        buf_add_text(out, "0s");
    else
        put_duration_exact(out, ns);
}

static void write_flags(struct api_call *c, struct json_writer *w) {
    AUTO_BUF struct buf text;
    buf_init(&text, KIB);
    json_object(w);
    json_member(w, "query.lookback-delta", text, "5m");
    json_member(w, "query.max-samples", text, "50000000");
    put_duration_exact(&text, c->api->options.query_timeout_ns);
    json_member(w, "query.timeout", str, buf_str(&text));
    buf_clear(&text);
    put_retention(&text, c);
    json_member(w, "storage.tsdb.retention.time", str, buf_str(&text));
    json_member(w, "web.enable-admin-api", text, "true");
    json_member(w, "web.enable-remote-write-receiver", text, "true");
    json_object_end(w);
}
void handle_prometheus_flags(struct api_call *c) { answer_with(c, write_flags); }

static void write_build(struct api_call *c, struct json_writer *w) {
    (void)c;
    json_object(w);
    json_member(w, "version", text, PROMETHEUS_VERSION); /* clients choose by it what they ask */
    json_member(w, "revision", text, "clew " CLEW_VERSION);
    json_member(w, "branch", text, "clew");
    json_member(w, "buildUser", text, "");
    json_member(w, "buildDate", text, "");
    json_member(w, "goVersion", text, "");
    json_object_end(w);
}
void handle_prometheus_build(struct api_call *c) { answer_with(c, write_build); }

static void write_runtime(struct api_call *c, struct json_writer *w) {
    const struct api *api = c->api;
    const char *host = process_env("HOSTNAME");
    struct store_stats stats;
    AUTO_BUF struct buf retention;
    buf_init(&retention, KIB);
    put_retention(&retention, c);
    struct scraper_stats scrape = {.reload_ok = true, .reloaded_ns = api->started_ns};
    store_get_stats(api->options.store, &stats);
    if (api->options.scraper) scraper_get_stats(api->options.scraper, &scrape);
    json_object(w);
    json_member(w, "startTime", time, api->started_ns);
    json_member(w, "CWD", text, "");
    json_member(w, "hostname", text, host ? host : "");
    json_member(w, "serverTime", time, c->now_ns);
    json_member(w, "reloadConfigSuccess", bool, scrape.reload_ok);
    json_member(w, "lastConfigTime", time, scrape.reloaded_ns);
    json_member(w, "corruptionCount", u64, stats.bad_blocks);
    json_member(w, "goroutineCount", u64, api->thread_count);
    json_member(w, "GOMAXPROCS", i64, process_cores());
    json_member(w, "GOMEMLIMIT", u64, api->options.budget ? api->options.budget->limit_bytes : 0);
    json_member(w, "GOGC", text, "");
    json_member(w, "GODEBUG", text, "");
    json_member(w, "storageRetention", str, buf_str(&retention));
    json_object_end(w);
}
void handle_prometheus_runtime(struct api_call *c) { answer_with(c, write_runtime); }

static void write_wal(struct api_call *c, struct json_writer *w) {
    (void)c; /* it listens only after the log was read */
    json_raw(w, STR("{\"min\":0,\"max\":0,\"current\":0}"));
}
void handle_prometheus_wal(struct api_call *c) { answer_with(c, write_wal); }

/* ---- where the series are --------------------------------------------------------------------------------------- */

enum { COUNTS_DEFAULT = 10, COUNTS_MAX = 10000, LABELS_ASKED = 10000 };

static void write_count(struct json_writer *w, struct str name, uint64_t value) {
    json_object(w);
    json_member(w, "name", str, name);
    json_member(w, "value", u64, value);
    json_object_end(w);
}

static int by_values(const void *x, const void *y) {
    uint64_t a = ((const struct series_count *)x)->values, b = ((const struct series_count *)y)->values;
    return a > b ? -1 : a < b;
}
static int by_bytes(const void *x, const void *y) {
    uint64_t a = ((const struct series_count *)x)->bytes, b = ((const struct series_count *)y)->bytes;
    return a > b ? -1 : a < b;
}

static void write_labels_by(struct json_writer *w, const char *key, struct series_cardinality *k, uint64_t limit,
                            bool bytes) {
    if (k->label_count) qsort(k->by_label, k->label_count, sizeof *k->by_label, bytes ? by_bytes : by_values);
    json_key(w, str_of(key));
    json_array(w);
    for (uint32_t i = 0; i < k->label_count && i < limit; i++)
        write_count(w, k->by_label[i].name, bytes ? k->by_label[i].bytes : k->by_label[i].values);
    json_array_end(w);
}

static void write_metrics(struct json_writer *w, const struct series_cardinality *k, uint64_t limit) {
    json_key(w, STR("seriesCountByMetricName"));
    json_array(w);
    for (uint32_t i = 0; i < k->metric_count && i < limit; i++)
        write_count(w, k->by_metric[i].name, k->by_metric[i].series);
    json_array_end(w);
}

static void write_pairs(struct json_writer *w, const struct series_cardinality *k, uint64_t limit) {
    AUTO_BUF struct buf pair;
    buf_init(&pair, 64 * KIB);
    json_key(w, STR("seriesCountByLabelValuePair"));
    json_array(w);
    for (uint32_t i = 0; i < k->pair_count && i < limit; i++) {
        buf_clear(&pair);
        buf_add_fmt(&pair, STR_FMT "=" STR_FMT, STR_ARG(k->by_pair[i].name), STR_ARG(k->by_pair[i].value));
        write_count(w, buf_str(&pair), k->by_pair[i].series);
    }
    json_array_end(w);
}

static err fill_tsdb(struct prometheus *p) {
    struct json_writer *w = &p->a.w;
    struct series_request all = {.time_min = INT64_MIN, .time_max = INT64_MAX};
    struct series_cardinality k;
    uint64_t limit;
    err e = prometheus_limit(p, "limit", &limit);
    if (e || (call_given(p->c, "limit") && limit == 0)) {
        err_free(e);
        return prometheus_bad(p, err_new(ERR_INVALID, "limit must be a positive number"));
    }
    limit = limit ? MIN(limit, (uint64_t)COUNTS_MAX) : COUNTS_DEFAULT;
    TRY(series_snapshot_cardinality(p->source.snapshot, &all, LABELS_ASKED, &p->q.arena, &p->source.stats, &k));
    bool any = k.time_min <= k.time_max;
    json_object(w);
    json_key(w, STR("headStats"));
    json_object(w);
    json_member(w, "numSeries", u64, k.series);
    json_member(w, "numLabelPairs", u64, k.pairs);
    json_member(w, "chunkCount", u64, 0);
    json_member(w, "minTime", i64, any ? series_floor_ms(k.time_min) : INT64_MAX);
    json_member(w, "maxTime", i64, any ? series_floor_ms(k.time_max) : INT64_MIN);
    json_object_end(w);
    write_metrics(w, &k, limit);
    write_labels_by(w, "labelValueCountByLabelName", &k, limit, false);
    write_labels_by(w, "memoryInBytesByLabelName", &k, limit, true);
    write_pairs(w, &k, limit);
    json_object_end(w);
    return NULL;
}
void handle_prometheus_tsdb(struct api_call *c) { prometheus_answer(c, fill_tsdb); }

/* ---- is it well ---------------------------------------------------------------------------------------------------- */

static void answer_text(struct api_call *c, int status, const char *text) {
    call_reply(c, &(struct api_reply){
                      .status = status, .content_type = STR("text/plain; charset=utf-8"), .body = str_of(text)});
}

void handle_prometheus_healthy(struct api_call *c) { answer_text(c, 200, "Prometheus Server is Healthy.\n"); }

void handle_prometheus_ready(struct api_call *c) {
    AUTO_BUF struct buf checks;
    struct json_writer w;
    buf_init(&checks, 16 * KIB);
    json_writer_init(&w, &checks);
    json_object(&w);
    bool ready = write_readiness(&w, c->api);
    answer_text(c, ready ? 200 : 503, ready ? "Prometheus Server is Ready.\n" : "Service Unavailable\n");
}
