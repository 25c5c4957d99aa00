/* /metrics: figures about itself, as Prometheus text (exposition format 0.0.4). */
#include "api/api_priv.h"

#include "base/text.h"
#include "os/clock.h"
#include "os/process.h"

static void head(struct buf *out, const char *name, const char *type, const char *help) {
    buf_add_fmt(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(struct buf *out, const char *name, const char *type, const char *help, uint64_t value) {
    head(out, name, type, help);
    buf_add_fmt(out, "%s %llu\n", name, (unsigned long long)value);
}

static void by_signal(struct buf *out, const char *name, const char *type, const char *help, const uint64_t *values) {
    head(out, name, type, help);
    for (size_t s = 0; s < SIGNALS; s++)
        buf_add_fmt(out, "%s{signal=\"%s\"} %llu\n", name, signal_names[s], (unsigned long long)values[s]);
}

static void put_ingest(struct buf *out, struct ingest *in) {
    static const char *const reasons[OTLP_REASONS] = {[OTLP_BAD_TRACE_ID] = "bad_trace_id",
                                                      [OTLP_BAD_SPAN_ID] = "bad_span_id",
                                                      [OTLP_TOO_OLD] = "too_old",
                                                      [OTLP_TOO_NEW] = "too_new",
                                                      [OTLP_TOO_MANY] = "too_many_attributes"};
    struct ingest_stats s;
    ingest_get_stats(in, &s);
    by_signal(out, "clew_ingest_bodies_total", "counter", "Request bodies, whatever became of them.", s.bodies);
    by_signal(out, "clew_ingest_bytes_total", "counter", "Bytes of bodies, after decompression.", s.bytes);
    by_signal(out, "clew_ingest_rows_total", "counter", "Rows taken and durable.", s.rows);
    by_signal(out, "clew_ingest_invalid_utf8_total", "counter", "Strings taken though they are not UTF-8.",
              s.invalid_utf8);
    head(out, "clew_ingest_rejected_rows_total", "counter", "Rows refused by partial success, by reason.");
    for (size_t g = 0; g < SIGNALS; g++)
        for (size_t r = 0; r < OTLP_REASONS; r++)
            buf_add_fmt(out, "clew_ingest_rejected_rows_total{signal=\"%s\",reason=\"%s\"} %llu\n", signal_names[g],
                        reasons[r], (unsigned long long)s.rejected[g][r]);
    head(out, "clew_ingest_failed_bodies_total", "counter", "Bodies refused whole, by kind of error.");
    for (size_t g = 0; g < SIGNALS; g++)
        for (size_t k = 0; k < ERR_KINDS; k++)
            buf_add_fmt(out, "clew_ingest_failed_bodies_total{signal=\"%s\",kind=\"%s\"} %llu\n", signal_names[g],
                        err_kind_rows[k].name, (unsigned long long)s.failed[g][k]);
}

static const struct {
    const char *name, *type, *help;
    size_t offset;
} store_rows[] = {
    {"clew_store_batches_appended_total", "counter", "Batches appended.",
     offsetof(struct store_stats, batches_appended)},
    {"clew_store_commits_total", "counter", "Group commits of the log.", offsetof(struct store_stats, commits)},
    {"clew_store_syncs_failed_total", "counter", "Disk syncs that failed.", offsetof(struct store_stats, syncs_failed)},
    {"clew_store_logged_bytes_total", "counter", "Bytes written to the log.",
     offsetof(struct store_stats, bytes_logged)},
    {"clew_store_parts", "gauge", "Live parts.", offsetof(struct store_stats, parts)},
    {"clew_store_part_bytes", "gauge", "Bytes of live parts.", offsetof(struct store_stats, part_bytes)},
    {"clew_store_groups", "gauge", "Row groups of live parts.", offsetof(struct store_stats, groups)},
    {"clew_store_log_bytes", "gauge", "Bytes of log segments.", offsetof(struct store_stats, log_bytes)},
    {"clew_store_memory_bytes", "gauge", "Bytes of memory tables.", offsetof(struct store_stats, memory_bytes)},
    {"clew_store_flushes_total", "counter", "Memory tables written to parts.", offsetof(struct store_stats, flushes)},
    {"clew_store_merges_total", "counter", "Merges.", offsetof(struct store_stats, merges)},
    {"clew_store_merged_rows_total", "counter", "Rows written by merges.", offsetof(struct store_stats, rows_merged)},
    {"clew_store_parts_dropped_total", "counter", "Parts dropped by retention.",
     offsetof(struct store_stats, parts_dropped)},
    {"clew_store_deletes_pending", "gauge", "Deletes not yet done to bytes.",
     offsetof(struct store_stats, deletes_pending)},
    {"clew_store_bad_blocks_total", "counter", "Blocks whose checksum differed.",
     offsetof(struct store_stats, bad_blocks)},
    {"clew_store_replayed_records", "gauge", "Log records replayed at start.",
     offsetof(struct store_stats, replayed_records)},
};

static void put_store(struct buf *out, struct store *store) {
    struct store_stats s;
    store_get_stats(store, &s);
    by_signal(out, "clew_store_rows_appended_total", "counter", "Rows appended.", s.rows_appended);
    by_signal(out, "clew_store_part_rows", "gauge", "Rows of live parts.", s.part_rows);
    by_signal(out, "clew_store_memory_rows", "gauge", "Rows of memory tables.", s.memory_rows);
    for (size_t i = 0; i < LENGTH(store_rows); i++) {
        uint64_t value;
        memcpy(&value, (const char *)&s + store_rows[i].offset, sizeof value);
        one(out, store_rows[i].name, store_rows[i].type, store_rows[i].help, value);
    }
    one(out, "clew_store_read_only", "gauge", "1: takes no writes until restart.", s.read_only);
    one(out, "clew_store_disk_full", "gauge", "1: takes no writes until there is room.", s.disk_full);
}

static void put_budget(struct buf *out, const struct budget *b) {
    if (!b) return;
    one(out, "clew_memory_limit_bytes", "gauge", "memory.limit.", b->limit_bytes);
    one(out, "clew_memory_used_bytes", "gauge", "Drawn from memory.limit.", budget_used(b));
    one(out, "clew_memory_peak_bytes", "gauge", "The most that was ever drawn.", atomic_load(&b->peak_bytes));
    one(out, "clew_memory_refused_total", "counter", "How often something was refused over the limit.",
        atomic_load(&b->refused));
}

static void put_http(struct buf *out, struct api *api) {
    static const char *const ports[API_PORTS] = {"main", "otlp"};
    struct http_server_stats sum = {0};
    for (size_t i = 0; i < atomic_load(&api->server_count); i++) {
        struct http_server_stats s;
        http_server_get_stats(api->servers[i], &s);
        sum.connections += s.connections;
        sum.accepted += s.accepted;
        sum.requests += s.requests;
        sum.bytes_in += s.bytes_in;
        sum.bytes_out += s.bytes_out;
        sum.tls_handshakes += s.tls_handshakes;
        sum.tls_failures += s.tls_failures;
        if (!sum.tls_expires_s || (s.tls_expires_s && s.tls_expires_s < sum.tls_expires_s))
            sum.tls_expires_s = s.tls_expires_s;
    }
    one(out, "clew_http_connections", "gauge", "Open connections.", sum.connections);
    one(out, "clew_http_accepted_total", "counter", "Connections accepted.", sum.accepted);
    one(out, "clew_http_requests_total", "counter", "Requests read.", sum.requests);
    one(out, "clew_http_received_bytes_total", "counter", "Bytes received.", sum.bytes_in);
    one(out, "clew_http_sent_bytes_total", "counter", "Bytes sent.", sum.bytes_out);
    one(out, "clew_tls_handshakes_total", "counter", "TLS handshakes done.", sum.tls_handshakes);
    one(out, "clew_tls_failures_total", "counter", "TLS handshakes that broke, were refused or took too long.",
        sum.tls_failures);
    if (sum.tls_expires_s)
        one(out, "clew_tls_certificate_expires_seconds", "gauge",
            "The earliest end of a certificate in use, unix time.", (uint64_t)sum.tls_expires_s);
    head(out, "clew_http_answers_total", "counter", "Answers by port and class of status.");
    for (size_t p = 0; p < API_PORTS; p++)
        for (int h = 2; h < 6; h++)
            buf_add_fmt(out, "clew_http_answers_total{port=\"%s\",status=\"%dxx\"} %llu\n", ports[p], h,
                        (unsigned long long)atomic_load(&api->answers[p][h]));
    one(out, "clew_work_queue_length", "gauge", "Requests that wait for a work thread.", queue_count(api->queue));
    one(out, "clew_work_queue_refused_total", "counter", "Requests refused by a full queue.",
        atomic_load(&api->queue_refused));
}

static void put_process(struct buf *out) {
    head(out, "process_cpu_seconds_total", "counter", "User and system time of the process.");
    buf_add_text(out, "process_cpu_seconds_total ");
    put_f64(out, (double)clock_process_cpu_ns() / 1e9);
    buf_add_text(out, "\n");
    one(out, "process_resident_memory_bytes", "gauge", "Resident memory.", process_resident_bytes());
    one(out, "clew_process_anonymous_bytes", "gauge", "Resident anonymous memory.", process_anonymous_bytes());
}

void handle_metrics(struct api_call *c) {
    struct buf body;
    buf_init(&body, MIB);
    head(&body, "clew_build_info", "gauge", "The version that runs.");
    buf_add_text(&body, "clew_build_info{version=\"" CLEW_VERSION "\"} 1\n");
    put_ingest(&body, c->api->options.ingest);
    put_store(&body, c->api->options.store);
    put_budget(&body, c->api->options.budget);
    put_http(&body, c->api);
    put_process(&body);
    call_reply(c, &(struct api_reply){.status = 200,
                                      .content_type = STR("text/plain; version=0.0.4; charset=utf-8"),
                                      .body = buf_str(&body)});
    buf_done(&body);
}
