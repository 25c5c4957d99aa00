/* /metrics: figures about itself, as Prometheus text (exposition format 0.0.4). */
#include "api/api_priv.h"

#include "alert/notify.h"
#include "base/budget.h"
#include "base/text.h"
#include "ingest/ingest.h"
#include "ingest/scrape/scrape.h"
#include "os/clock.h"
#include "os/process.h"

static void head(struct buf *out, const char *name, const char *type, const char *help) {
    buf_add_fmt(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(struct buf *out, const char *name, const char *type, const char *help, uint64_t value) {
    head(out, name, type, help);
    buf_add_fmt(out, "%s %llu\n", name, (unsigned long long)value);
}

static void by_kind(struct buf *out, const char *name, const char *type, const char *help, const uint64_t *values,
                    size_t n) {
    head(out, name, type, help);
    for (size_t i = 0; i < n; i++)
        buf_add_fmt(out, "%s{signal=\"%s\"} %llu\n", name, ingest_kind_names[i], (unsigned long long)values[i]);
}
#define by_signal(out, name, type, help, values) by_kind(out, name, type, help, values, LENGTH(values))

static void put_refusals(struct buf *out, const struct ingest_stats *s) {
    head(out, "clew_ingest_rejected_rows_total", "counter", "Rows refused by partial success, by reason.");
    for (size_t g = 0; g < INGEST_KINDS; g++)
        for (size_t r = 0; r < INGEST_REASONS; r++)
            if (ingest_reasons[r].kinds >> g & 1)
                buf_add_fmt(out, "clew_ingest_rejected_rows_total{signal=\"%s\",reason=\"%s\"} %llu\n",
                            ingest_kind_names[g], ingest_reasons[r].name, (unsigned long long)s->rejected[g][r]);
    head(out, "clew_ingest_failed_bodies_total", "counter", "Bodies refused whole, by kind of error.");
    for (size_t g = 0; g < INGEST_KINDS; g++)
        for (size_t k = 0; k < ERR_KINDS; k++)
            buf_add_fmt(out, "clew_ingest_failed_bodies_total{signal=\"%s\",kind=\"%s\"} %llu\n", ingest_kind_names[g],
                        err_kind_rows[k].name, (unsigned long long)s->failed[g][k]);
}

static void put_ingest(struct buf *out, struct ingest *in) {
    struct ingest_stats s;
    ingest_get_stats(in, &s);
    by_signal(out, "clew_ingest_bodies_total", "counter", "Request bodies, whatever became of them.", s.bodies);
    by_signal(out, "clew_ingest_bytes_total", "counter", "Bytes of bodies, after decompression.", s.bytes);
    by_signal(out, "clew_ingest_rows_total", "counter", "Rows taken and durable.", s.rows);
    by_signal(out, "clew_ingest_invalid_utf8_total", "counter", "Strings taken though they are not UTF-8.",
              s.invalid_utf8);
    uint64_t redacted = 0;
    for (size_t i = 0; i < REDACT_RULES_MAX; i++) redacted += s.redacted.changed[i];
    one(out, "clew_ingest_redacted_values_total", "counter", "Values that rules of redaction changed.", redacted);
    one(out, "clew_ingest_redact_gave_up_total", "counter", "Texts masked whole because a pattern took too long.",
        s.redacted.gave_up);
    head(out, "clew_ingest_correlation_lifted_total", "counter",
         "Rows that came with a correlation id, by where it was.");
    for (size_t i = 0; i < CORRELATE_SOURCES; i++)
        buf_add_fmt(out, "clew_ingest_correlation_lifted_total{source=\"%s\"} %llu\n", correlate_source_names[i],
                    (unsigned long long)s.correlated.lifted[i]);
    one(out, "clew_ingest_correlation_too_long_total", "counter", "Texts over 256 bytes that were not taken for ids.",
        s.correlated.too_long);
    one(out, "clew_ingest_correlation_bodies_too_large_total", "counter",
        "Bodies of JSON over 64 KiB in which no id was looked for.", s.correlated.bodies_too_large);
    one(out, "clew_ingest_samples_total", "counter", "Samples that points of metrics became, durable.", s.samples);
    one(out, "clew_ingest_histograms_total", "counter", "Native histograms, durable.", s.histograms);
    one(out, "clew_ingest_exemplars_total", "counter", "Exemplars, durable.", s.exemplars);
    one(out, "clew_ingest_rejected_exemplars_total", "counter", "Exemplars left out of points that were taken.",
        s.exemplars_rejected);
    put_refusals(out, &s);
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
    {"clew_store_memory_bytes", "gauge", "Bytes of memory tables: rows, and series with what is kept for their speed.",
     offsetof(struct store_stats, memory_bytes)},
    {"clew_store_flushes_total", "counter", "Memory tables written to parts.", offsetof(struct store_stats, flushes)},
    {"clew_store_flushes_failed_total", "counter", "Flushes that failed; they are tried again.",
     offsetof(struct store_stats, flushes_failed)},
    {"clew_store_tables_failing", "gauge", "Tables that cannot be written to disk, again and again.",
     offsetof(struct store_stats, tables_failing)},
    {"clew_store_metadata_dropped_total", "counter",
     "Names of metrics whose metadata went, as there were too many in a tenant.",
     offsetof(struct store_stats, metadata_dropped)},
    {"clew_store_metadata_failures_total", "counter", "Flushes without metadata, as its file could not be written.",
     offsetof(struct store_stats, metadata_failures)},
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

static void put_scraper(struct buf *out, struct scraper *scraper) {
    struct scraper_stats s;
    if (!scraper) return;
    scraper_get_stats(scraper, &s);
    one(out, "clew_scrape_targets", "gauge", "Targets that are scraped.", s.targets);
    one(out, "clew_scrapes_total", "counter", "Scrapes, whatever became of them.", s.scrapes);
    one(out, "clew_scrapes_failed_total", "counter", "Scrapes that left up at 0.", s.failed);
    one(out, "clew_scrape_samples_total", "counter", "Samples in bodies of targets.", s.samples);
    one(out, "clew_scrape_relabelled_series_total", "counter",
        "Series whose labels were not known from the scrape before.", s.relabelled);
    one(out, "clew_scrape_refused_samples_total", "counter", "Samples that the store refused.", s.refused_samples);
    one(out, "clew_scrape_dropped_batches_total", "counter", "Scrapes that could not be stored.", s.dropped_batches);
    one(out, "clew_scrape_memory_bytes", "gauge", "Labels that are kept from the scrape before.", s.memory_bytes);
    one(out, "clew_scrape_config_last_reload_successful", "gauge", "0: the file got bad, and what was good stays.",
        s.reload_ok);
    one(out, "clew_scrape_config_reload_failures_total", "counter", "How often the file was not taken.",
        s.reloads_failed);
}

static void put_address(struct buf *out, struct str url) {
    for (size_t i = 0; i < url.n; i++) {
        if (url.p[i] == '"' || url.p[i] == '\\') buf_add_byte(out, '\\');
        buf_add_byte(out, url.p[i] == '\n' ? ' ' : url.p[i]);
    }
}

/* By Alertmanager. */
static void put_notifier(struct buf *out, struct notifier *n) {
    static const struct {
        const char *name, *type, *help;
        size_t offset;
    } rows[] = {
        {"clew_notify_sent_alerts_total", "counter", "Alerts that an Alertmanager took.",
         offsetof(struct notifier_stats, sent)},
        {"clew_notify_dropped_alerts_total", "counter",
         "Alerts that an Alertmanager refused, that grew old, or for which there was no room.",
         offsetof(struct notifier_stats, dropped)},
        {"clew_notify_dropped_batches_total", "counter", "Batches of alerts for which later ones left no room.",
         offsetof(struct notifier_stats, displaced)},
        {"clew_notify_failed_calls_total", "counter", "Calls of an Alertmanager that are made again.",
         offsetof(struct notifier_stats, failures)},
        {"clew_notify_queued", "gauge", "Batches of alerts, and alerts in memory, that wait for an Alertmanager.",
         offsetof(struct notifier_stats, queued)},
    };
    for (size_t i = 0; n && i < LENGTH(rows); i++) {
        head(out, rows[i].name, rows[i].type, rows[i].help);
        for (size_t k = 0; k < notifier_count(n); k++) {
            struct notifier_stats s;
            uint64_t value;
            notifier_look(n, k, &s);
            memcpy(&value, (const char *)&s + rows[i].offset, sizeof value);
            buf_add_fmt(out, "%s{alertmanager=\"", rows[i].name);
            put_address(out, notifier_url(n, k));
            buf_add_fmt(out, "\"} %llu\n", (unsigned long long)value);
        }
    }
}

static void put_emit_kinds(struct buf *out, const char *name, const char *help, const uint64_t values[EMIT_KINDS]) {
    head(out, name, "counter", help);
    for (size_t k = 0; k < EMIT_KINDS; k++)
        buf_add_fmt(out, "%s{signal=\"%s\"} %llu\n", name, emit_kind_names[k], (unsigned long long)values[k]);
}

static void put_emit(struct buf *out, struct emit *e) {
    struct emit_stats s;
    if (!e) return;
    emit_get_stats(e, &s);
    put_emit_kinds(out, "clew_emit_told_total", "Spans, log records and points of clew's own that were handed on.",
                   s.told);
    put_emit_kinds(out, "clew_emit_dropped_total", "Those for which there was no room.", s.dropped);
    one(out, "clew_emit_unsampled_spans_total", "counter", "Spans that nobody wanted to be recorded.", s.unsampled);
}

static void put_budget(struct buf *out, const struct budget *b) {
    if (!b) return;
    one(out, "clew_memory_limit_bytes", "gauge", "memory.limit.", b->limit_bytes);
    one(out, "clew_memory_used_bytes", "gauge", "Drawn from memory.limit.", budget_used(b));
    one(out, "clew_memory_peak_bytes", "gauge", "The most that was ever drawn.", atomic_load(&b->peak_bytes));
    one(out, "clew_memory_refused_total", "counter", "How often something was refused over the limit.",
        atomic_load(&b->refused));
}

void metrics_sum_servers(struct api *api, struct http_server_stats *out) {
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
        for (size_t k = 0; k < LENGTH(sum.refused); k++) sum.refused[k] += s.refused[k];
    }
    *out = sum;
}

static void put_http(struct buf *out, struct api *api) {
    static const char *const ports[API_PORTS] = {"main", "otlp", "jaeger", "prometheus", "ollystack"};
    struct http_server_stats sum;
    metrics_sum_servers(api, &sum);
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
    one(out, "clew_query_abandoned_total", "counter", "Queries ended early because their client had gone.",
        atomic_load(&api->abandoned));
    one(out, "clew_work_queue_refused_total", "counter", "Requests refused by a full queue.",
        atomic_load(&api->queue_refused));
}

static void put_tails(struct buf *out, struct api *api) {
    struct tail_counts n;
    tails_get_counts(api->tails, &n);
    one(out, "clew_tail_followers", "gauge", "Who follows logs.", n.followers);
    one(out, "clew_tail_rows_total", "counter", "Records written to who follows.", n.rows);
    one(out, "clew_tail_lost_rows_total", "counter",
        "Records that who follows was too slow for, or that were too large.", n.lost);
}

static void put_process(struct buf *out) {
    head(out, "process_cpu_seconds_total", "counter", "User and system time of the process.");
    buf_add_text(out, "process_cpu_seconds_total ");
    put_f64(out, (double)clock_process_cpu_ns() / 1e9);
    buf_add_text(out, "\n");
    one(out, "process_resident_memory_bytes", "gauge", "Resident memory.", process_resident_bytes());
    one(out, "clew_process_anonymous_bytes", "gauge", "Resident anonymous memory.", process_anonymous_bytes());
}

static void put_access(struct buf *out, struct api *api, int64_t now) {
    struct access_counts a;
    uint64_t written, failed, suppressed;
    access_get_counts(api->access, now, &a);
    audit_get_counts(api->audit, &written, &failed, &suppressed);
    one(out, "clew_access_required", "gauge", "1: every question needs a token.", a.required);
    one(out, "clew_access_tokens", "gauge", "Tokens in force.", a.tokens);
    one(out, "clew_access_sessions", "gauge", "Sessions of the page.", a.sessions);
    head(out, "clew_access_refused_total", "counter", "Requests refused, by reason.");
    for (size_t i = ACCESS_ALLOWED + 1; i < ACCESS_OUTCOMES; i++)
        buf_add_fmt(out, "clew_access_refused_total{reason=\"%s\"} %llu\n", access_refusals[i].name,
                    (unsigned long long)a.refused[i]);
    one(out, "clew_audit_lines_total", "counter", "Lines of the audit log.", written);
    one(out, "clew_audit_failed_total", "counter", "Lines that could not be written.", failed);
    one(out, "clew_audit_suppressed_total", "counter", "Refusals over 60 a minute, not written.", suppressed);
}

/* ---- by tenant; names of tenants need no escaping --------------------------------------------------------------- */

static const struct {
    const char *name, *type, *help;
    size_t offset;
} tenant_rows[] = {
    {"clew_tenant_ingest_requests_total", "counter", "Bodies sent.", offsetof(struct tenant_counts, ingest_requests)},
    {"clew_tenant_ingest_bytes_total", "counter", "Bytes of bodies, as sent.",
     offsetof(struct tenant_counts, ingest_bytes)},
    {"clew_tenant_queries_total", "counter", "Queries begun.", offsetof(struct tenant_counts, queries)},
    {"clew_tenant_queries_running", "gauge", "Queries under way.", offsetof(struct tenant_counts, queries_running)},
};

static const struct {
    const char *name, *help, *label, *const *values;
    size_t offset, count;
} tenant_arrays[] = {
    {"clew_tenant_rows_total", "Rows taken and durable.", "signal", ingest_kind_names,
     offsetof(struct tenant_counts, rows), INGEST_KINDS},
    {"clew_tenant_rejected_rows_total", "Rows refused by partial success.", "signal", ingest_kind_names,
     offsetof(struct tenant_counts, rejected_rows), INGEST_KINDS},
    {"clew_tenant_refused_total", "Requests over a limit.", "limit", limit_names,
     offsetof(struct tenant_counts, refused), LIMITS},
};

static unsigned long long number_at(const struct tenant_counts *t, size_t offset, size_t i) {
    uint64_t value;
    memcpy(&value, (const char *)t + offset + i * sizeof value, sizeof value);
    return value;
}

static void put_tenants(struct buf *out, struct limits *l, struct str tenant) {
    struct tenant_counts *t = mem_new_array(struct tenant_counts, LIMIT_TENANTS_MAX);
    size_t n = limits_get_counts(l, tenant, t);
    for (size_t r = 0; r < LENGTH(tenant_rows); r++) {
        head(out, tenant_rows[r].name, tenant_rows[r].type, tenant_rows[r].help);
        for (size_t i = 0; i < n; i++)
            buf_add_fmt(out, "%s{tenant=\"%s\"} %llu\n", tenant_rows[r].name, t[i].tenant,
                        number_at(&t[i], tenant_rows[r].offset, 0));
    }
    for (size_t r = 0; r < LENGTH(tenant_arrays); r++) {
        head(out, tenant_arrays[r].name, "counter", tenant_arrays[r].help);
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < tenant_arrays[r].count; k++)
                buf_add_fmt(out, "%s{tenant=\"%s\",%s=\"%s\"} %llu\n", tenant_arrays[r].name, t[i].tenant,
                            tenant_arrays[r].label, tenant_arrays[r].values[k],
                            number_at(&t[i], tenant_arrays[r].offset, k));
    }
    mem_free(t);
}

static void put_build(struct buf *out) {
    head(out, "clew_build_info", "gauge", "The version that runs.");
    buf_add_text(out, "clew_build_info{version=\"" CLEW_VERSION "\"} 1\n");
}

static void put_all(struct buf *out, struct api *api, int64_t now_ns) {
    put_ingest(out, api->options.ingest);
    put_store(out, api->options.store);
    put_scraper(out, api->options.scraper);
    put_notifier(out, api->options.notifier);
    put_emit(out, api->options.emit);
    put_budget(out, api->options.budget);
    put_http(out, api);
    put_tails(out, api);
    put_process(out);
    put_access(out, api, now_ns);
}

void api_put_metrics(struct api *api, struct buf *out) {
    put_build(out);
    put_all(out, api, api->options.wall_ns());
}

/* The figures of the whole program are for operators of all tenants; everybody else sees their own. */
void handle_metrics(struct api_call *c) {
    struct buf body;
    bool all = caller_is_for_all(&c->caller) && role_includes(c->caller.role, ROLE_OPERATE);
    buf_init(&body, 4 * MIB);
    put_build(&body);
    if (all) put_all(&body, c->api, c->now_ns);
    put_tenants(&body, c->api->limits, all ? (struct str){0} : call_tenant(c));
    call_reply(c, &(struct api_reply){.status = 200,
                                      .content_type = STR("text/plain; version=0.0.4; charset=utf-8"),
                                      .body = buf_str(&body)});
    buf_done(&body);
}
