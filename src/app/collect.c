/* clew collect: wiring. Opens the queue, listens, waits for a signal, drains.
 *
 *   main   waits for a signal            io      loop: accept, read
 *   work   requests into records         commit  the queue on disk        send × --connections   batches to the backend
 */
#include <signal.h>
#include <stdio.h>

#include "app/command.h"
#include "app/serve_tls.h"
#include "base/budget.h"
#include "base/log.h"
#include "ingest/forward/forward.h"
#include "os/clock.h"
#include "os/loop.h"
#include "os/notify.h"
#include "os/process.h"
#include "os/socket.h"
#include "os/thread.h"

#define SECOND ((int64_t)1000000000)
enum { CONFIG_BYTES_MAX = 1 << 20, CONNECTIONS_MAX = 16384, COLLECT_LISTENERS = 3 };
#define BODIES_NS (5 * SECOND) /* how long requests under way have, when it ends … */
#define DRAIN_NS (10 * SECOND) /* … and what waits to be sent; the rest stays on disk */

static const struct {
    enum option option;
    enum serve_listener listener;
    const char *title, *key;
} listeners[COLLECT_LISTENERS] = {
    {OPTION_OTLP_HTTP, SERVE_OTLP_HTTP, "OTLP/HTTP", "otlp_http"},
    {OPTION_OTLP_GRPC, SERVE_OTLP_GRPC, "OTLP/gRPC", "otlp_grpc"},
    {OPTION_COLLECT_LISTEN, SERVE_LISTEN, "metrics", "listen"},
};

struct collector {
    struct budget budget;
    struct forward_config config;
    struct command_credentials who;
    struct forward *forward;
    struct loop *loop;
    struct http_server *http;
    struct thread *io;
    struct tls *tls[COLLECT_LISTENERS];
    char bound[COLLECT_LISTENERS][64];
    char *dir, *to;
    struct notify notify;
    struct lock lock;
    struct signal_flag drained_flag;
    bool drained;
};

/* ---- options ----------------------------------------------------------------------------------------------------- */

static err read_config(const struct arguments *a, struct forward_config *out) {
    struct str path = argument_text(a, OPTION_CONFIG);
    AUTO_BUF struct buf text = {0};
    forward_config_default(out);
    if (!path.n) return NULL;
    TRY_WRAP(command_read_file(path, CONFIG_BYTES_MAX, &text), "--config");
    AUTO_FREE char *name = str_dup(path);
    return forward_config_parse(buf_str(&text), name, out);
}

/* They borrow from *who, argv and the environment. */
static err read_fields(const struct arguments *a, struct command_credentials *who,
                       const char *out[FORWARD_FIELDS_MAX + 1]) {
    size_t n = 0;
    TRY(command_credentials(a, who));
    for (size_t i = 0; who->fields[i]; i++) out[n++] = who->fields[i];
    for (int i = 0; i < a->given[OPTION_HEADER]; i++) {
        struct str field = a->values[OPTION_HEADER][i], name, value;
        bool good = str_cut(field, ':', &name, &value) && name.n && field.n < 8 * KIB;
        for (size_t k = 0; good && k < field.n; k++) good = (unsigned char)field.p[k] >= ' ' && field.p[k] != 0x7f;
        for (size_t k = 0; good && k < name.n; k++) good = name.p[k] != ' ';
        if (!good) return err_new(ERR_INVALID, "--header: a field is as 'X-Key: secret'");
        if (n == FORWARD_FIELDS_MAX) return err_new(ERR_LIMIT, "--header: more than %d fields", FORWARD_FIELDS_MAX);
        out[n++] = field.p; /* terminated */
    }
    out[n] = NULL;
    return NULL;
}

static err read_target(const struct arguments *a, struct collector *c, struct forward_target *out) {
    if (!a->given[OPTION_TO])
        return err_new(ERR_INVALID, "--to: where to? as --to http://127.0.0.1:4318, any OTLP backend");
    TRY(command_check_url(a, OPTION_TO));
    c->to = str_dup(argument_text(a, OPTION_TO));
    out->endpoint = c->to;
    out->grpc = str_equal(argument_text(a, OPTION_PROTOCOL), STR("grpc"));
    out->gzip = str_equal(argument_text(a, OPTION_COMPRESSION), STR("gzip"));
    if (!out->grpc && !str_equal(argument_text(a, OPTION_PROTOCOL), STR("http")))
        return err_new(ERR_INVALID, "--protocol: http or grpc");
    if (!out->gzip && !str_equal(argument_text(a, OPTION_COMPRESSION), STR("none")))
        return err_new(ERR_INVALID, "--compression: gzip or none");
    TRY(argument_duration(a, OPTION_TIMEOUT, &out->timeout_ns));
    if (out->timeout_ns < SECOND / 10 || out->timeout_ns > 600 * SECOND)
        return err_new(ERR_INVALID, "--timeout: from 100ms to 10m");
    struct http_client_tls tls = command_tls(a);
    out->tls = (struct http_client_tls){.ca_file = tls.ca_file, .insecure = tls.insecure};
    return read_fields(a, &c->who, out->fields);
}

static err read_options(const struct arguments *a, struct collector *c, struct forward_options *out) {
    uint64_t memory = MIN(process_memory_limit_bytes() / 4, (uint64_t)1 << 30), calls;
    c->dir = str_dup(argument_text(a, OPTION_COLLECT_DATA));
    *out = (struct forward_options){.dir = c->dir, .backoff_ns = SECOND, .backoff_max_ns = 30 * SECOND};
    if (!*c->dir) return err_new(ERR_INVALID, "--data: must name a folder");
    TRY(read_target(a, c, &out->target));
    TRY(argument_size(a, OPTION_QUEUE_MAX, &out->queue_bytes_max));
    if (out->queue_bytes_max < MIB) return err_new(ERR_INVALID, "--queue-max: at least 1 MiB");
    TRY(argument_duration(a, OPTION_QUEUE_AGE, &out->queue_age_ns));
    TRY(argument_duration(a, OPTION_HOLD, &out->hold_ns));
    out->drop_oldest = str_equal(argument_text(a, OPTION_QUEUE_DROP), STR("oldest"));
    if (!out->drop_oldest && !str_equal(argument_text(a, OPTION_QUEUE_DROP), STR("none")))
        return err_new(ERR_INVALID, "--queue-drop: none or oldest");
    TRY(argument_u64(a, OPTION_CALLS, &calls));
    if (calls < 1 || calls > FORWARD_CONNECTIONS_MAX)
        return err_new(ERR_INVALID, "--connections: from 1 to %d", FORWARD_CONNECTIONS_MAX);
    out->connections = (uint32_t)calls;
    out->work_threads = (uint32_t)MAX(2, process_cores());
    if (argument_text(a, OPTION_MEMORY_LIMIT).n) TRY(argument_size(a, OPTION_MEMORY_LIMIT, &memory));
    if (memory < 16 * MIB) return err_new(ERR_INVALID, "--memory-limit: at least 16 MiB");
    budget_init(&c->budget, memory);
    out->budget = &c->budget;
    TRY(read_config(a, &c->config));
    out->config = &c->config;
    return NULL;
}

/* ---- opening and closing ----------------------------------------------------------------------------------------- */

static err listen_on(const struct arguments *a, struct collector *c, size_t i) {
    AUTO_FREE char *address = str_dup(argument_text(a, listeners[i].option));
    if (!*address) return NULL;
    err e = socket_address_check(address);
    if (e) return argument_blame(a, listeners[i].option, e);
    TRY(serve_tls_allow(a, listeners[i].listener, c->tls[i], address));
    e = http_server_listen_tls(c->http, address, c->tls[i], c->forward, c->bound[i]);
    return err_wrap(e, "--%s %s", option_row(listeners[i].option)->name, address);
}

static void run_loop(void *context) { loop_run(((struct collector *)context)->loop); }

static err open_collector(const struct arguments *a, struct collector *c) {
    struct forward_options options;
    TRY(read_options(a, c, &options));
    TRY(serve_tls_check(a));
    for (size_t i = 0; i < COLLECT_LISTENERS; i++) TRY(serve_tls_open(a, listeners[i].listener, &c->tls[i]));
    process_open_files_raise();
    TRY(forward_new(&options, &c->forward));
    TRY(loop_new(&c->loop));
    struct http_server_options http = {
        .handler = forward_handle, .budget = &c->budget, .connections_max = CONNECTIONS_MAX};
    TRY(http_server_new(c->loop, &http, &c->http));
    for (size_t i = 0; i < COLLECT_LISTENERS; i++) TRY(listen_on(a, c, i));
    return thread_start(&c->io, "io", 0, run_loop, c);
}

static void on_drained(void *context) {
    struct collector *c = context;
    lock_take(&c->lock);
    c->drained = true;
    flag_wake_all(&c->drained_flag);
    lock_give(&c->lock);
    loop_stop(c->loop);
}

static void drain(void *context) {
    struct collector *c = context;
    http_server_drain(c->http, clock_monotonic_ns() + BODIES_NS, on_drained, c);
}

static void close_collector(struct collector *c) {
    if (c->io) {
        loop_post(c->loop, drain, c);
        lock_take(&c->lock);
        while (!c->drained) flag_wait(&c->drained_flag, &c->lock);
        lock_give(&c->lock);
        thread_join(c->io);
    }
    if (c->forward) forward_stop_wait(c->forward, c->io ? clock_monotonic_ns() + DRAIN_NS : 0);
    http_server_free(c->http);
    for (size_t i = 0; i < COLLECT_LISTENERS; i++) tls_free(c->tls[i]);
    loop_free(c->loop);
    forward_free(c->forward);
    forward_config_done(&c->config);
    mem_free(c->dir);
    mem_free(c->to);
    lock_done(&c->lock);
    flag_done(&c->drained_flag);
}

/* The service manager, if one started it. */
static void tell_manager(const struct collector *c, const char *what) {
    err e = notify_send(&c->notify, what);
    if (e) log_warn("the service manager is not told", F_ERR(e));
    err_free(e);
}

/* SIGHUP: the file and the token again. What is wrong is told, and all stays as it was. */
static void reload(const struct arguments *a, struct collector *c) {
    struct forward_config config;
    struct command_credentials who;
    const char *fields[FORWARD_FIELDS_MAX + 1];
    err e = read_config(a, &config);
    if (!e) e = read_fields(a, &who, fields);
    if (!e) e = forward_reload(c->forward, &config, fields);
    if (e)
        log_error("not read again: all stays as it was", F_ERR(e));
    else
        log_info("read again");
    err_free(e);
    forward_config_done(&config);
}

static void tell_ready(const struct arguments *a, const struct collector *c) {
    bool json = argument_flag(a, OPTION_JSON);
    printf("%s", json ? "{\"ready\":true" : "clew collect " CLEW_VERSION " ready:");
    for (size_t i = 0; i < COLLECT_LISTENERS; i++) {
        const char *name = json ? listeners[i].key : listeners[i].title, *tls = c->tls[i] ? "s" : "";
        if (*c->bound[i]) printf(json ? ",\"%s\":\"http%s://%s\"" : " %s http%s://%s,", name, tls, c->bound[i]);
    }
    if (json)
        printf("}\n");
    else
        printf(" to %s, queue in %s\n", c->to, c->dir);
    fflush(stdout);
}

err command_collect(const struct arguments *a) {
    struct collector *c = mem_new_of(struct collector);
    process_signals_block();
    lock_init(&c->lock);
    flag_init(&c->drained_flag);
    err e = command_setup_log(a);
    if (!e) e = notify_open(&c->notify);
    if (!e) e = open_collector(a, c);
    if (!e) {
        int number;
        tell_ready(a, c);
        tell_manager(c, "READY=1");
        while ((number = process_signal_wait()) == SIGHUP) reload(a, c);
        log_info("draining", F_I64("signal", number));
        tell_manager(c, "STOPPING=1");
    }
    close_collector(c);
    notify_close(&c->notify);
    mem_free(c);
    return e;
}
