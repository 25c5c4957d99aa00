/* How it is: /ready's checks and what /metrics counts, as one answer for the page. Figures of the whole program are for operators of all
 * tenants; another sees its own tenant's alone. */
#include "api/api_priv.h"

#include "base/budget.h"
#include "base/text.h"
#include "ingest/ingest.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/process.h"

enum { ANSWER_BYTES_MAX = 2 << 20 };

static void write_nonzero(struct json_writer *w, const char *key, uint64_t value) {
    if (!value) return;
    json_key(w, str_of(key));
    json_u64(w, value);
}

static void write_memory(struct json_writer *w, const struct budget *b) {
    json_key(w, STR("memory"));
    json_object(w);
    json_member(w, "limit_bytes", u64, b ? b->limit_bytes : 0);
    json_member(w, "used_bytes", u64, b ? budget_used(b) : 0);
    json_member(w, "peak_bytes", u64, b ? atomic_load(&b->peak_bytes) : 0);
    json_member(w, "refused", u64, b ? atomic_load(&b->refused) : 0);
    json_member(w, "resident_bytes", u64, process_resident_bytes());
    json_object_end(w);
}

static void write_disk(struct json_writer *w, struct api *api, const struct store_stats *s) {
    uint64_t total = 0, free_bytes = 0;
    err e = api->options.dir ? path_space(api->options.dir, &total, &free_bytes) : NULL;
    err_free(e); /* unknown is 0 of 0 */
    json_key(w, STR("disk"));
    json_object(w);
    json_member(w, "total_bytes", u64, total);
    json_member(w, "free_bytes", u64, free_bytes);
    json_member(w, "part_bytes", u64, s->part_bytes);
    json_member(w, "log_bytes", u64, s->log_bytes);
    json_member(w, "use_max_percent", u64, api->options.retention.disk_use_max_percent);
    json_member(w, "free_min_percent", u64, api->options.retention.disk_free_min_percent);
    json_object_end(w);
}

static void write_store(struct json_writer *w, const struct store_stats *s) {
    json_key(w, STR("store"));
    json_object(w);
    json_member(w, "parts", u64, s->parts);
    json_member(w, "row_groups", u64, s->groups);
    json_member(w, "part_rows", u64, s->part_rows[SIGNAL_SPANS] + s->part_rows[SIGNAL_LOGS]);
    json_member(w, "memory_rows", u64, s->memory_rows[SIGNAL_SPANS] + s->memory_rows[SIGNAL_LOGS]);
    json_member(w, "memory_bytes", u64, s->memory_bytes);
    json_member(w, "flushes", u64, s->flushes);
    json_member(w, "merges", u64, s->merges);
    json_member(w, "parts_dropped", u64, s->parts_dropped);
    json_member(w, "deletes_pending", u64, s->deletes_pending);
    json_member(w, "syncs_failed", u64, s->syncs_failed);
    json_member(w, "bad_blocks", u64, s->bad_blocks);
    json_member(w, "read_only", bool, s->read_only);
    json_member(w, "disk_full", bool, s->disk_full);
    json_object_end(w);
}

static void write_taken(struct json_writer *w, size_t kind, uint64_t rows) {
    json_member(w, "signal", text, ingest_kind_names[kind]);
    json_member(w, "rows", u64, rows);
}

static void write_ingest(struct json_writer *w, struct ingest *in) {
    struct ingest_stats s;
    ingest_get_stats(in, &s);
    json_key(w, STR("ingest"));
    json_array(w);
    for (size_t g = 0; g < INGEST_KINDS; g++) {
        json_object(w);
        write_taken(w, g, s.rows[g]);
        json_member(w, "bodies", u64, s.bodies[g]);
        json_member(w, "bytes", u64, s.bytes[g]);
        json_key(w, STR("refused_rows"));
        json_object(w);
        for (size_t r = 0; r < INGEST_REASONS; r++) write_nonzero(w, ingest_reasons[r].name, s.rejected[g][r]);
        json_object_end(w);
        json_key(w, STR("refused_bodies"));
        json_object(w);
        for (int k = 0; k < ERR_KINDS; k++) write_nonzero(w, err_kind_rows[k].name, s.failed[g][k]);
        json_object_end(w);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_network(struct json_writer *w, struct api *api) {
    struct http_server_stats sum;
    metrics_sum_servers(api, &sum);
    json_key(w, STR("http"));
    json_object(w);
    json_member(w, "connections", u64, sum.connections);
    json_member(w, "requests", u64, sum.requests);
    json_member(w, "received_bytes", u64, sum.bytes_in);
    json_member(w, "sent_bytes", u64, sum.bytes_out);
    json_member(w, "refused", u64, sum.refused[4] + sum.refused[5]);
    json_key(w, STR("certificate_expires"));
    if (sum.tls_expires_s)
        json_time(w, sum.tls_expires_s * 1000000000);
    else
        json_null(w);
    json_object_end(w);
}

static void write_access(struct json_writer *w, struct api *api, int64_t now) {
    struct access_counts a;
    access_get_counts(api->access, now, &a);
    json_key(w, STR("access"));
    json_object(w);
    json_member(w, "required", bool, a.required);
    json_member(w, "tokens", u64, a.tokens);
    json_member(w, "sessions", u64, a.sessions);
    json_key(w, STR("refused"));
    json_object(w);
    for (size_t i = 0; i < ACCESS_OUTCOMES; i++)
        if (access_refusals[i].name) write_nonzero(w, access_refusals[i].name, a.refused[i]);
    json_object_end(w);
    json_object_end(w);
}

static void write_backup(struct json_writer *w, struct api *api) {
    int64_t at = atomic_load(&api->backup_ns);
    json_key(w, STR("last_backup"));
    if (at)
        json_time(w, at);
    else
        json_null(w);
}

/* ---- by tenant -------------------------------------------------------------------------------------------------- */

/* Of one tenant what `ingest` says of all: rows alone, since reasons are not counted by tenant. */
static void write_tenant_ingest(struct json_writer *w, const struct tenant_counts *t) {
    json_key(w, STR("ingest"));
    json_array(w);
    for (size_t g = 0; g < INGEST_KINDS; g++) {
        json_object(w);
        write_taken(w, g, t->rows[g]);
        json_key(w, STR("refused_rows"));
        json_object(w);
        write_nonzero(w, "any", t->rejected_rows[g]);
        json_object_end(w);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_tenants(struct json_writer *w, const struct tenant_counts *t, size_t n) {
    json_key(w, STR("tenants"));
    json_array(w);
    for (size_t i = 0; i < n; i++) {
        json_object(w);
        json_member(w, "tenant", text, t[i].tenant);
        json_member(w, "ingest_requests", u64, t[i].ingest_requests);
        json_member(w, "ingest_bytes", u64, t[i].ingest_bytes);
        json_member(w, "rows", u64, t[i].rows[INGEST_SPANS] + t[i].rows[INGEST_LOGS] + t[i].rows[INGEST_METRICS]);
        json_member(w, "queries", u64, t[i].queries);
        json_member(w, "queries_running", u64, t[i].queries_running);
        json_key(w, STR("over_limit"));
        json_object(w);
        for (int l = 0; l < LIMITS; l++) write_nonzero(w, limit_names[l], t[i].refused[l]);
        json_object_end(w);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_queries(struct json_writer *w, struct api *api, const struct tenant_counts *t, size_t n, bool all) {
    uint64_t running = 0, begun = 0;
    for (size_t i = 0; i < n; i++) running += t[i].queries_running;
    for (size_t i = 0; i < n; i++) begun += t[i].queries;
    json_key(w, STR("queries"));
    json_object(w);
    json_member(w, "running", u64, running);
    json_member(w, "begun", u64, begun);
    if (all) {
        json_member(w, "waiting", u64, queue_count(api->queue));
        json_member(w, "refused", u64, atomic_load(&api->queue_refused));
        json_member(w, "abandoned", u64, atomic_load(&api->abandoned));
        json_member(w, "threads", u64, api->thread_count);
    }
    json_object_end(w);
}

static void write_all(struct json_writer *w, struct api_call *c) {
    struct store_stats s;
    store_get_stats(c->api->options.store, &s);
    write_memory(w, c->api->options.budget);
    write_disk(w, c->api, &s);
    write_store(w, &s);
    write_ingest(w, c->api->options.ingest);
    write_network(w, c->api);
    write_access(w, c->api, c->now_ns);
    write_backup(w, c->api);
}

void handle_status(struct api_call *c) {
    bool all = caller_is_for_all(&c->caller);
    AUTO_FREE struct tenant_counts *t = mem_new_array(struct tenant_counts, LIMIT_TENANTS_MAX);
    size_t n = limits_get_counts(c->api->limits, all ? (struct str){0} : call_tenant(c), t);
    struct buf body;
    struct json_writer w;
    buf_init(&body, ANSWER_BYTES_MAX);
    json_writer_init(&w, &body);
    json_object(&w);
    json_member(&w, "version", text, CLEW_VERSION);
    json_member(&w, "time", time, c->now_ns);
    json_member(&w, "started", time, c->api->started_ns);
    json_member(&w, "uptime_ns", i64, MAX(c->now_ns - c->api->started_ns, 0));
    json_member(&w, "tenant", text, all ? "*" : c->caller.tenant);
    write_readiness(&w, c->api);
    if (all)
        write_all(&w, c);
    else
        write_tenant_ingest(&w, t);
    write_queries(&w, c->api, t, n, all);
    write_tenants(&w, t, n);
    json_object_end(&w);
    call_answer_json(c, 200, &body);
    buf_done(&body);
}
