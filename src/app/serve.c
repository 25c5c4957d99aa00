/* clew serve: wiring. Opens the store, listens, waits for a signal, drains.
 *
 *   main   waits for a signal               io     loop: accept, read, decode small bodies
 *   work   queries, large bodies (api)      log    the store's commits        back   flush, merge, retention
 */
#include <stdio.h>

#include "api/api.h"
#include "app/command.h"
#include "app/serve_tls.h"
#include "base/log.h"
#include "base/text.h"
#include "ingest/ingest.h"
#include "os/clock.h"
#include "os/process.h"
#include "os/socket.h"
#include "os/thread.h"
#include "store/store.h"

#define DRAIN_NS ((int64_t)10 * 1000000000)
enum { CONNECTIONS_MAX = 16384 };

struct server {
    struct budget budget;
    struct store *store;
    struct ingest *ingest;
    struct api *api;
    struct loop *loop;
    struct http_server *http;
    struct tls *tls[SERVE_LISTENERS]; /* NULL: plain text */
    struct thread *io;
    char listen[64], otlp_http[64];
    int64_t started_ns;
};

static err read_store_options(const struct arguments *a, struct server *s, struct store_options *out) {
    uint64_t memory = MIN(process_memory_limit_bytes() / 2, (uint64_t)4 << 30), use_max, free_min;
    store_options_default(out);
    if (argument_text(a, OPTION_MEMORY_LIMIT).n) TRY(argument_size(a, OPTION_MEMORY_LIMIT, &memory));
    if (memory < 16 * MIB) return err_new(ERR_INVALID, "--memory-limit: at least 16 MiB");
    budget_init(&s->budget, memory);
    out->budget = &s->budget;
    out->flush_bytes = MIN(out->flush_bytes, memory / 4);
    TRY(argument_duration(a, OPTION_RETENTION, &out->retention_ns));
    TRY(argument_duration(a, OPTION_FLUSH_AGE, &out->flush_age_ns));
    TRY(argument_u64(a, OPTION_DISK_USE_MAX, &use_max));
    TRY(argument_u64(a, OPTION_DISK_FREE_MIN, &free_min));
    if (use_max < 1 || use_max > 100) return err_new(ERR_INVALID, "--disk-use-max: from 1 to 100 percent");
    if (free_min > 99) return err_new(ERR_INVALID, "--disk-free-min: from 0 to 99 percent");
    out->disk_use_max_percent = (uint32_t)use_max;
    out->disk_free_min_percent = (uint32_t)free_min;
    return NULL;
}

static err setup_log(const struct arguments *a) {
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    struct str level = argument_text(a, OPTION_LOG_LEVEL), format = argument_text(a, OPTION_LOG_FORMAT);
    bool json = str_equal(format, STR("json"));
    if (!json && !str_equal(format, STR("logfmt"))) return err_new(ERR_INVALID, "--log-format: logfmt or json");
    for (size_t i = 0; i < LENGTH(levels); i++) {
        if (!str_equal(level, str_of(levels[i]))) continue;
        log_setup((enum log_level)i, json ? LOG_JSON : LOG_LOGFMT, 2);
        return NULL;
    }
    return err_new(ERR_INVALID, "--log-level: debug, info, warn or error");
}

static err read_workers(const struct arguments *a, uint64_t *out) {
    *out = (uint64_t)MAX(2, process_cores());
    if (argument_text(a, OPTION_WORKERS).n) TRY(argument_u64(a, OPTION_WORKERS, out));
    return *out < 1 || *out > 256 ? err_new(ERR_INVALID, "--workers: from 1 to 256") : NULL;
}

static err open_api(struct server *s, uint64_t workers) {
    struct api_options options;
    api_options_default(&options);
    s->ingest = ingest_new(&(struct ingest_options){.store = s->store, .budget = &s->budget});
    options.store = s->store;
    options.ingest = s->ingest;
    options.budget = &s->budget;
    options.work_threads = workers;
    return api_new(&options, &s->api);
}

static err open_tls(const struct arguments *a, struct server *s) {
    TRY(serve_tls_check(a));
    for (enum serve_listener l = 0; l < SERVE_LISTENERS; l++) TRY(serve_tls_open(a, l, &s->tls[l]));
    return NULL;
}

/* Without tokens (they come with their issue) only loopback may be bound. */
static err listen_on(const struct arguments *a, struct server *s, enum serve_listener l, struct str address,
                     enum api_port port, char bound[64]) {
    const char *option = serve_listener_names[l];
    AUTO_FREE char *text = str_dup(address);
    err e = http_server_listen_tls(s->http, text, s->tls[l], api_listener(s->api, port), bound);
    if (e && err_kind(e) == ERR_CONFLICT) {
        err_free(e);
        return err_new(ERR_CONFLICT,
                       "--%s: %s is in use; stop what listens there, or let clew pick a free port: --%s 127.0.0.1:0",
                       option, text, option);
    }
    TRY_WRAP(e, "--%s", option);
    TRY(serve_tls_allow(a, l, s->tls[l], bound));
    if (!socket_address_is_loopback(bound))
        return err_new(ERR_INVALID,
                       "--%s: %s is not a loopback address, and there is no access control yet: put clew behind "
                       "a proxy that has one, or bind 127.0.0.1",
                       option, bound);
    return NULL;
}

static err open_network(const struct arguments *a, struct server *s) {
    process_open_files_raise();
    TRY(loop_new(&s->loop));
    struct http_server_options options = {
        .handler = api_handle, .refusal = api_refusal, .budget = &s->budget, .connections_max = CONNECTIONS_MAX};
    TRY(http_server_new(s->loop, &options, &s->http));
    api_add_server(s->api, s->http);
    TRY(listen_on(a, s, SERVE_LISTEN, argument_text(a, OPTION_LISTEN), API_PORT_MAIN, s->listen));
    return listen_on(a, s, SERVE_OTLP_HTTP, argument_text(a, OPTION_OTLP_HTTP), API_PORT_OTLP, s->otlp_http);
}

static void run_loop(void *context) { loop_run(((struct server *)context)->loop); }

static void tell_ready(const struct arguments *a, const struct server *s) {
    double ms = (double)(clock_monotonic_ns() - s->started_ns) / 1e6;
    const char *api = s->tls[SERVE_LISTEN] ? "https" : "http", *otlp = s->tls[SERVE_OTLP_HTTP] ? "https" : "http";
    if (argument_flag(a, OPTION_JSON))
        printf("{\"ready\":true,\"api\":\"%s://%s\",\"otlp_http\":\"%s://%s\",\"start_ms\":%.1f}\n", api, s->listen,
               otlp, s->otlp_http, ms);
    else
        printf("clew %s ready in %.1f ms: API %s://%s, OTLP/HTTP %s://%s, data in " STR_FMT "\n", CLEW_VERSION, ms, api,
               s->listen, otlp, s->otlp_http, STR_ARG(argument_text(a, OPTION_DATA)));
    fflush(stdout);
}

static void stop_loop(void *context) { loop_stop(((struct server *)context)->loop); }

static void drain(void *context) {
    struct server *s = context;
    http_server_drain(s->http, clock_monotonic_ns() + DRAIN_NS, stop_loop, s);
}

static err open_server(const struct arguments *a, struct server *s) {
    AUTO_FREE char *dir = str_dup(argument_text(a, OPTION_DATA));
    struct store_options options;
    uint64_t workers;
    TRY(read_store_options(a, s, &options));
    options.dir = dir;
    TRY(read_workers(a, &workers)); /* what can be wrong is found before the folder is made */
    if (!*dir) return err_new(ERR_INVALID, "--data: must name a folder");
    TRY(open_tls(a, s));
    TRY(store_open(&options, &s->store));
    TRY(open_api(s, workers));
    TRY(open_network(a, s));
    return thread_start(&s->io, "io", 0, run_loop, s);
}

/* The reverse of open_server, from wherever it got to. */
static err close_server(struct server *s) {
    if (s->io) {
        api_drain(s->api, false);
        loop_post(s->loop, drain, s);
        thread_join(s->io);
    }
    if (s->api) api_drain(s->api, true);
    http_server_free(s->http);
    for (int l = 0; l < SERVE_LISTENERS; l++) tls_free(s->tls[l]);
    api_free(s->api);
    loop_free(s->loop);
    ingest_free(s->ingest);
    return err_wrap(store_close(s->store), "closing the data directory");
}

err command_serve(const struct arguments *a) {
    struct server s = {.started_ns = clock_monotonic_ns()};
    process_signals_block();
    TRY(setup_log(a));
    err e = open_server(a, &s);
    if (!e) {
        tell_ready(a, &s);
        int number = process_signal_wait();
        log_info("draining", F_I64("signal", number));
    }
    err closing = close_server(&s);
    if (e) {
        err_free(closing);
        return e;
    }
    return closing;
}
