/* /health and /ready. */
#include "api/api_priv.h"

#include <stdio.h>

#include "base/budget.h"

void handle_health(struct api_call *c) {
    struct buf body;
    struct json_writer w;
    buf_init(&body, 4 * KIB);
    json_writer_init(&w, &body);
    json_object(&w);
    json_member(&w, "status", text, "healthy");
    json_member(&w, "service", text, "clew");
    json_member(&w, "version", text, CLEW_VERSION);
    json_member(&w, "timestamp", time, c->now_ns);
    json_object_end(&w);
    call_answer_json(c, 200, &body);
    buf_done(&body);
}

static void write_check(struct json_writer *w, struct str name, const char *problem) {
    json_key(w, name);
    json_text(w, problem ? problem : "healthy");
}

/* What holds the memory that writes are refused for; NULL: they are taken. Points need an eighth of the limit to be free. */
static const char *memory_problem(const struct api *api, char text[static 160]) {
    const struct budget *b = api->options.budget;
    struct store_stats s;
    if (!b || budget_used(b) < b->limit_bytes - b->limit_bytes / 8) return NULL;
    store_get_stats(api->options.store, &s);
    snprintf(text, 160,
             "near memory.limit of %llu MiB: writes are refused for now (rows and series that wait to be written hold "
             "%llu MiB, %llu series)",
             (unsigned long long)(b->limit_bytes / MIB), (unsigned long long)(s.memory_bytes / MIB),
             (unsigned long long)s.head_series);
    return text;
}

static const char failing[] =
    "what some tenants sent cannot be written to disk, again and again: the log says why, and /metrics how many tables";

bool write_readiness(struct json_writer *w, const struct api *api) {
    char text[160];
    struct store_stats stats;
    err store = store_health(api->options.store);
    store_get_stats(api->options.store, &stats);
    bool draining = atomic_load(&api->draining);
    bool ready = !store && !draining;
    json_member(w, "status", text, ready ? "ready" : "not ready");
    json_member(w, "ready", bool, ready);
    json_key(w, STR("checks"));
    json_object(w);
    write_check(w, STR("store"), store ? err_text(store) : NULL);
    write_check(w, STR("flushes"), stats.tables_failing ? failing : NULL); /* the other tenants are served */
    write_check(w, STR("memory"), memory_problem(api, text));
    write_check(w, STR("server"), draining ? "draining" : NULL);
    json_object_end(w);
    err_free(store);
    return ready;
}

void handle_ready(struct api_call *c) {
    struct buf body;
    struct json_writer w;
    buf_init(&body, 16 * KIB);
    json_writer_init(&w, &body);
    json_object(&w);
    bool ready = write_readiness(&w, c->api);
    json_member(&w, "timestamp", time, c->now_ns);
    json_object_end(&w);
    call_answer_json(c, ready ? 200 : 503, &body);
    buf_done(&body);
}
