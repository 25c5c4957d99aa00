/* Figures of itself as Prometheus text, and health. */
#include <stdio.h>

#include "base/budget.h"
#include "base/text.h"
#include "ingest/forward/forward_priv.h"
#include "os/clock.h"
#include "os/process.h"

void forward_reply_text(struct http_request *r, int status, const char *type, struct str body) {
    http_reply(r, &(struct http_reply){.status = status, .content_type = str_of(type), .body = body});
}

static void family(struct buf *out, const char *name, const char *type, const char *help) {
    buf_add_fmt(out, "# HELP clew_collect_%s %s\n# TYPE clew_collect_%s %s\n", name, help, name, type);
}

static void one(struct buf *out, const char *name, const char *type, const char *help, uint64_t value) {
    family(out, name, type, help);
    buf_add_fmt(out, "clew_collect_%s %llu\n", name, (unsigned long long)value);
}

static void by_signal(struct buf *out, const char *name, const char *type, const char *help,
                      const uint64_t values[FORWARD_KINDS]) {
    family(out, name, type, help);
    for (int k = 0; k < FORWARD_KINDS; k++)
        buf_add_fmt(out, "clew_collect_%s{signal=\"%s\"} %llu\n", name, forward_kind_names[k],
                    (unsigned long long)values[k]);
}

static void counters(struct buf *out, const char *name, const char *help, counter *values) {
    uint64_t now[FORWARD_KINDS];
    for (int k = 0; k < FORWARD_KINDS; k++) now[k] = atomic_load(&values[k]);
    by_signal(out, name, "counter", help, now);
}

static void write_received(struct forward *f, struct buf *out) {
    static const char *const transports[2] = {"http", "grpc"};
    struct forward_counters *c = &f->count;
    family(out, "received_rows_total", "counter", "Spans, log records and points that were taken.");
    for (int t = 0; t < 2; t++)
        for (int k = 0; k < FORWARD_KINDS; k++)
            buf_add_fmt(out, "clew_collect_received_rows_total{signal=\"%s\",transport=\"%s\"} %llu\n",
                        forward_kind_names[k], transports[t], (unsigned long long)atomic_load(&c->received[t][k]));
    family(out, "requests_total", "counter", "Requests that came.");
    for (int t = 0; t < 2; t++)
        for (int k = 0; k < FORWARD_KINDS; k++)
            buf_add_fmt(out, "clew_collect_requests_total{signal=\"%s\",transport=\"%s\"} %llu\n",
                        forward_kind_names[k], transports[t], (unsigned long long)atomic_load(&c->requests[t][k]));
    counters(out, "rejected_rows_total", "Rows of a request that are none: its sender was told.", c->rejected);
    family(out, "refused_requests_total", "counter", "Requests that were refused.");
    const struct {
        const char *reason;
        counter *n;
    } refused[] = {{"queue_full", &c->refused_full},
                   {"memory", &c->refused_memory},
                   {"disk", &c->refused_disk},
                   {"invalid", &c->refused_bad}};
    for (size_t i = 0; i < LENGTH(refused); i++)
        buf_add_fmt(out, "clew_collect_refused_requests_total{reason=\"%s\"} %llu\n", refused[i].reason,
                    (unsigned long long)atomic_load(refused[i].n));
    for (int k = 0; k < FORWARD_KINDS; k++)
        buf_add_fmt(out, "clew_collect_refused_requests_total{reason=\"queue_share\",signal=\"%s\"} %llu\n",
                    forward_kind_names[k], (unsigned long long)atomic_load(&c->refused_share[k]));
}

static void write_correlation(struct forward *f, struct buf *out) {
    lock_take(&f->lock);
    bool on = f->live->config.correlate != NULL;
    lock_give(&f->lock);
    if (!on) return;
    family(out, "correlated_rows_total", "counter", "Rows that came with a correlation id, by where it was.");
    for (int i = 0; i < CORRELATE_SOURCES; i++)
        buf_add_fmt(out, "clew_collect_correlated_rows_total{source=\"%s\"} %llu\n", correlate_source_names[i],
                    (unsigned long long)atomic_load(&f->count.lifted[i]));
}

static void write_queue(struct forward *f, struct buf *out) {
    struct disk_queue_stats s;
    disk_queue_get_stats(f->queue, &s);
    int64_t age = s.oldest_ns ? MAX(clock_wall_ns() - s.oldest_ns, (int64_t)0) : 0;
    by_signal(out, "queue_rows", "gauge", "Rows that are kept and not delivered.", s.rows);
    by_signal(out, "queue_requests", "gauge", "Requests that are kept and not delivered.", s.records);
    one(out, "queue_bytes", "gauge", "Bytes of the queue on disk.", s.bytes);
    one(out, "queue_bytes_max", "gauge", "Bytes that it may have.", f->options.queue_bytes_max);
    lock_take(&f->lock);
    uint32_t held = forward_held_kinds(f);
    lock_give(&f->lock);
    one(out, "queue_held_bytes", "gauge",
        "Of these, kept by signals alone that the target does not take while it takes others.",
        disk_queue_kept_bytes(f->queue, held));
    one(out, "queue_held_bytes_max", "gauge", "Bytes from which on more of such signals is refused.",
        forward_held_bytes_max(f));
    family(out, "queue_oldest_age_seconds", "gauge", "Age of the oldest request that is not delivered.");
    buf_add_fmt(out, "clew_collect_queue_oldest_age_seconds %.3f\n", (double)age / 1e9);
    one(out, "queue_damaged_total", "counter", "Places of the queue that could not be read.", s.damaged);
    one(out, "queue_syncs_total", "counter", "Syncs of the queue; requests share them.", s.syncs);
    family(out, "dropped_rows_total", "counter", "Rows that were taken and are not delivered, by reason.");
    for (int k = 0; k < FORWARD_KINDS; k++) {
        const char *signal = forward_kind_names[k];
        buf_add_fmt(out,
                    "clew_collect_dropped_rows_total{signal=\"%s\",reason=\"queue_full\"} %llu\n"
                    "clew_collect_dropped_rows_total{signal=\"%s\",reason=\"too_old\"} %llu\n"
                    "clew_collect_dropped_rows_total{signal=\"%s\",reason=\"damaged\"} %llu\n",
                    signal, (unsigned long long)s.dropped[k], signal, (unsigned long long)s.expired[k], signal,
                    (unsigned long long)atomic_load(&f->count.lost[k]));
    }
}

static void write_sent(struct forward *f, struct buf *out) {
    struct forward_counters *c = &f->count;
    counters(out, "sent_rows_total", "Rows that the target took.", c->sent);
    counters(out, "sent_requests_total", "Requests that the target took.", c->sent_requests);
    counters(out, "retries_total", "Calls that are made again.", c->retries);
    counters(out, "denied_requests_total",
             "Calls that the target denied: a wrong token or address. What they had is held for a while.", c->denied);
    family(out, "failed_rows_total", "counter", "Rows that the target refused for good, by its status.");
    for (int k = 0; k < FORWARD_KINDS; k++)
        buf_add_fmt(out, "clew_collect_failed_rows_total{signal=\"%s\",reason=\"partial\"} %llu\n",
                    forward_kind_names[k], (unsigned long long)atomic_load(&c->partial[k]));
    lock_take(&f->lock);
    for (size_t i = 0; i < f->reason_count; i++)
        for (int k = 0; k < FORWARD_KINDS; k++)
            if (f->reasons[i].rows[k])
                buf_add_fmt(out, "clew_collect_failed_rows_total{signal=\"%s\",reason=\"%s\"} %llu\n",
                            forward_kind_names[k], f->reasons[i].text, (unsigned long long)f->reasons[i].rows[k]);
    lock_give(&f->lock);
}

static void write_sampling(struct forward *f, struct buf *out) {
    if (!f->sampler) return;
    lock_take(&f->lock);
    struct sampler_counts c = f->sampled;
    lock_give(&f->lock);
    one(out, "sampling_traces", "gauge", "Traces that are held until they are decided.", c.traces);
    one(out, "sampling_bytes", "gauge", "Memory of their spans.", c.bytes);
    family(out, "sampled_traces_total", "counter", "Traces that were decided, by why.");
    const struct {
        const char *decision;
        uint64_t n;
    } decided[] = {{"error", c.kept_error}, {"slow", c.kept_slow}, {"rate", c.kept_rate}, {"dropped", c.dropped}};
    for (size_t i = 0; i < LENGTH(decided); i++)
        buf_add_fmt(out, "clew_collect_sampled_traces_total{decision=\"%s\"} %llu\n", decided[i].decision,
                    (unsigned long long)decided[i].n);
    one(out, "sampled_early_total", "counter", "Traces that were decided for want of room.", c.early);
    one(out, "sampled_kept_spans_total", "counter", "Spans of traces that were kept.", c.rows_kept);
    one(out, "sampled_dropped_spans_total", "counter", "Spans of traces that were dropped.", c.rows_dropped);
    one(out, "sampled_late_spans_total", "counter", "Spans that came after their trace's decision.", c.rows_late);
}

void forward_write_metrics(struct forward *f, struct buf *out) {
    write_received(f, out);
    write_correlation(f, out);
    write_queue(f, out);
    write_sent(f, out);
    write_sampling(f, out);
    if (f->options.budget) {
        one(out, "memory_bytes", "gauge", "Of the memory limit, in use.", budget_used(f->options.budget));
        one(out, "memory_limit_bytes", "gauge", "The memory limit.", f->options.budget->limit_bytes);
    }
    one(out, "resident_bytes", "gauge", "Memory of the process.", process_resident_bytes());
    one(out, "reloads_total", "counter", "Times that --config was read again and taken.", atomic_load(&f->reloads));
    family(out, "start_time_seconds", "gauge", "When it started, since 1970.");
    buf_add_fmt(out, "clew_collect_start_time_seconds %.3f\n", (double)f->started_ns / 1e9);
}

/* Not ready: what comes would be refused. A target that is away is no reason: that is what the queue is for. */
static void reply_ready(struct forward *f, struct http_request *r) {
    struct disk_queue_stats s;
    AUTO_BUF struct buf body;
    buf_init(&body, 4 * KIB);
    disk_queue_get_stats(f->queue, &s);
    bool disk = !atomic_load(&f->disk_fails);
    bool room = f->options.drop_oldest || s.bytes < f->options.queue_bytes_max - f->options.queue_bytes_max / 50;
    buf_add_fmt(&body, "{\"status\":\"%s\",\"ready\":%s,\"checks\":{\"disk\":\"%s\",\"queue\":\"%s\"},\"timestamp\":\"",
                disk && room ? "ready" : "not_ready", disk && room ? "true" : "false", disk ? "healthy" : "failing",
                room ? "healthy" : "full");
    put_time(&body, clock_wall_ns());
    buf_add_text(&body, "\"}\n");
    forward_reply_text(r, disk && room ? 200 : 503, "application/json", buf_str(&body));
}

void forward_reply_self(struct forward *f, struct http_request *r, struct str path) {
    AUTO_BUF struct buf body;
    buf_init(&body, MIB);
    bool read = http_method(r) == HTTP_GET;
    if (str_equal(path, STR("/metrics")) && read) {
        forward_write_metrics(f, &body);
        forward_reply_text(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&body));
    } else if (str_equal(path, STR("/ready")) && read) {
        reply_ready(f, r);
    } else if (str_equal(path, STR("/health")) && read) {
        buf_add_text(&body, "{\"status\":\"healthy\",\"service\":\"clew-collect\",\"version\":\"" CLEW_VERSION
                            "\",\"timestamp\":\"");
        put_time(&body, clock_wall_ns());
        buf_add_text(&body, "\"}\n");
        forward_reply_text(r, 200, "application/json", buf_str(&body));
    } else {
        forward_reply_text(r, 404, "text/plain",
                           STR("a collector has /v1/traces, /v1/logs, /v1/metrics, /metrics, /health and /ready\n"));
    }
}
