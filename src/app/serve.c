/* clew serve: wiring. Opens the store, listens, waits for a signal, drains.
 *
 *   main   waits for a signal               io     loop: accept, read, decode small bodies
 *   work   queries, large bodies (api)      log    the store's commits        back   flush, merge, retention
 *   host   reads this machine and services beside it (ingest/host), each on a thread of its own
 *   scrape, discover   what --scrape-config names
 *   emit   hands on clew's own telemetry, with --self-telemetry on
 *   watch  reads tokens.json again, tells the service manager that clew is alive     tail   logs to who follows them
 *   rules  groups of rules that are due      rule-files  reads rules again      notify  alerts to an Alertmanager, one each
 */
#include <signal.h>
#include <stdio.h>

#include "api/api.h"
#include "app/command.h"
#include "app/serve_emit.h"
#include "app/serve_host.h"
#include "app/serve_rules.h"
#include "app/serve_series.h"
#include "app/serve_tls.h"
#include "app/serve_seen.h"
#include "app/supervise.h"
#include "base/budget.h"
#include "base/log.h"
#include "base/text.h"
#include "catalog/catalog.h"
#include "ingest/ingest.h"
#include "ingest/live.h"
#include "ingest/rollup/rollup.h"
#include "ingest/scrape/scrape.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/loop.h"
#include "os/process.h"
#include "os/socket.h"
#include "os/thread.h"
#include "store/store.h"

#define DRAIN_NS ((int64_t)10 * 1000000000)
#define QUESTIONS_NS ((int64_t)5 * 1000000000) /* of these: how long queries may still run */
enum { CONNECTIONS_MAX = 16384, LIMITS_BYTES_MAX = 1 << 20, LIVE_READERS_MAX = 64 };

/* Where it listens. */
static const struct {
    enum option option;
    enum api_port port;
    const char *title, *key; /* in the line that says ready */
    const char *usual_port;  /* of a foreign API, for --compat-ports */
} listeners[SERVE_LISTENERS] = {
    [SERVE_LISTEN] = {OPTION_LISTEN, API_PORT_MAIN, "API", "api"},
    [SERVE_OTLP_HTTP] = {OPTION_OTLP_HTTP, API_PORT_OTLP, "OTLP/HTTP", "otlp_http"},
    [SERVE_OTLP_GRPC] = {OPTION_OTLP_GRPC, API_PORT_OTLP, "OTLP/gRPC", "otlp_grpc"},
    [SERVE_JAEGER] = {OPTION_JAEGER, API_PORT_JAEGER, "Jaeger", "jaeger", "16686"},
    [SERVE_PROMETHEUS] = {OPTION_PROMETHEUS, API_PORT_PROMETHEUS, "Prometheus", "prometheus", "9090"},
    [SERVE_OLLYSTACK] = {OPTION_OLLYSTACK, API_PORT_OLLYSTACK, "OllyStack", "ollystack", "8090"},
};

struct server {
    struct budget budget;
    struct serve_series series; /* what the store borrows */
    struct store *store;
    struct db *db; /* records, and who keeps them */
    struct catalog *catalog;
    struct redact_rules *redact;
    struct correlate_rules *correlate;
    struct live *live;
    struct ingest *ingest;
    struct scraper *scraper;
    struct serve_rules rules;
    struct serve_emit emit; /* clew's own telemetry */
    bool tells;             /* there is to be one */
    struct api *api;
    struct host *host; /* NULL: nothing is read by itself */
    struct loop *loop;
    struct http_server *http;
    struct thread *io, *watch;
    struct supervise supervise;
    struct serve_seen *seen;
    struct lock lock; /* of `ending` and `drained` */
    struct signal_flag ending_flag;
    bool ending, drained;
    char *dir, *scrape_config;
    struct buf origins, hosts, limits; /* as the api borrows them */
    struct api_retention retention;
    struct tls *tls[SERVE_LISTENERS]; /* NULL: plain text */
    char bound[SERVE_LISTENERS][64];  /* empty: it does not listen */
    int64_t started_ns;
};

static err read_store_options(const struct arguments *a, struct server *s, struct store_options *out) {
    uint64_t memory = MIN(process_memory_limit_bytes() / 2, (uint64_t)4 << 30), use_max, free_min;
    store_options_default(out);
    if (argument_text(a, OPTION_MEMORY_LIMIT).n) TRY(argument_size(a, OPTION_MEMORY_LIMIT, &memory));
    if (memory < 16 * MIB) return err_new(ERR_INVALID, "--memory-limit: at least 16 MiB");
    budget_init(&s->budget, memory);
    out->budget = &s->budget;
    out->rollup = rollup_of_spans();
    out->flush_bytes = MIN(out->flush_bytes, memory / 4);
    TRY(argument_duration(a, OPTION_RETENTION, &out->retention_ns));
    TRY(argument_duration(a, OPTION_FLUSH_AGE, &out->flush_age_ns));
    TRY(argument_u64(a, OPTION_DISK_USE_MAX, &use_max));
    TRY(argument_u64(a, OPTION_DISK_FREE_MIN, &free_min));
    if (use_max < 1 || use_max > 100) return err_new(ERR_INVALID, "--disk-use-max: from 1 to 100 percent");
    if (free_min > 99) return err_new(ERR_INVALID, "--disk-free-min: from 0 to 99 percent");
    out->disk_use_max_percent = (uint32_t)use_max;
    out->disk_free_min_percent = (uint32_t)free_min;
    TRY(serve_series_read(a, &s->series, &out->series));
    s->retention = (struct api_retention){out->retention_ns,
                                          out->disk_use_max_percent,
                                          out->disk_free_min_percent,
                                          argument_origin(a, OPTION_RETENTION),
                                          argument_origin(a, OPTION_DISK_USE_MAX),
                                          argument_origin(a, OPTION_DISK_FREE_MIN)};
    return NULL;
}

static err read_workers(const struct arguments *a, uint64_t *out) {
    *out = (uint64_t)MAX(2, process_cores());
    if (argument_text(a, OPTION_WORKERS).n) TRY(argument_u64(a, OPTION_WORKERS, out));
    return *out < 1 || *out > 256 ? err_new(ERR_INVALID, "--workers: from 1 to 256") : NULL;
}

/* Origins with commas between. An origin is a scheme, a name and maybe a port; `*` would open everything to everybody. */
static err read_origins(const struct arguments *a, struct buf *out) {
    for (int i = 0; i < a->given[OPTION_CORS_ORIGIN]; i++) {
        struct str origin = a->values[OPTION_CORS_ORIGIN][i], scheme, rest;
        bool cut = str_cut(origin, ':', &scheme, &rest) && str_starts_with(rest, STR("//"));
        bool good = cut && (str_equal(scheme, STR("http")) || str_equal(scheme, STR("https"))) && rest.n > 2;
        for (size_t k = 2; good && k < rest.n; k++)
            good = (unsigned char)rest.p[k] > ' ' && rest.p[k] != 0x7f && !strchr("/,?#*", rest.p[k]);
        if (!good)
            return err_new(ERR_INVALID,
                           "--cors-origin: an origin is as https://grafana.example:3000, not \"" STR_FMT "\"",
                           STR_ARG(origin));
        buf_add_fmt(out, "%s" STR_FMT, out->n ? "," : "", STR_ARG(origin));
    }
    return NULL;
}

/* Names with commas between, as a Host field has them but for the port. */
static err read_hosts(const struct arguments *a, struct buf *out) {
    for (int i = 0; i < a->given[OPTION_ALLOW_HOST]; i++) {
        struct str name = a->values[OPTION_ALLOW_HOST][i];
        bool address = name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']', good = name.n > 0;
        for (size_t k = 0; good && k < name.n; k++)
            good = (unsigned char)name.p[k] > ' ' && name.p[k] != 0x7f && !strchr("/,?#*@", name.p[k]) &&
                   (address || name.p[k] != ':');
        if (!good)
            return err_new(ERR_INVALID,
                           "--allow-host: a name is as clew.example, without scheme and port, not \"" STR_FMT "\"",
                           STR_ARG(name));
        buf_add_fmt(out, "%s" STR_FMT, out->n ? "," : "", STR_ARG(name));
    }
    return NULL;
}

static err read_redaction(const struct arguments *a, struct server *s) {
    AUTO_FREE char *path = str_dup(argument_text(a, OPTION_REDACT));
    return *path ? err_wrap(redact_rules_read(path, &s->redact), "--redact") : NULL;
}

static err read_correlation(const struct arguments *a, struct server *s) {
    AUTO_FREE char *path = str_dup(argument_text(a, OPTION_CORRELATION));
    if (*path) return err_wrap(correlate_rules_read(path, &s->correlate), "--correlation");
    s->correlate = correlate_rules_new();
    return NULL;
}

/* Other than a file's folder, which is locked by then, PostgreSQL keeps out a second clew by `alone`. */
static err open_database(const struct arguments *a, const char *path, struct server *s) {
    AUTO_FREE char *url = str_dup(argument_text(a, OPTION_DB));
    if (!*url) return db_open(&(struct db_options){.path = path}, &s->db);
    if (!db_is_url(url)) return argument_blame(a, OPTION_DB, err_new(ERR_INVALID, "a URL begins with postgresql://"));
    TRY(argument_blame(a, OPTION_DB, db_open(&(struct db_options){.path = url, .alone = true}, &s->db)));
    log_info("records are in a database of their own", F_TEXT("where", db_name(s->db)));
    if (path_exists(path)) log_info("a file of records is not used", F_TEXT("path", path));
    return NULL;
}

static err open_records(const struct arguments *a, struct server *s) {
    AUTO_BUF struct buf path;
    buf_init(&path, 8 * KIB);
    buf_add_fmt(&path, "%s/" STORE_RECORDS_FILE, s->dir);
    err e = open_database(a, path.p, s);
    if (!e) e = catalog_new(s->db, NULL, &s->catalog);
    if (!e || err_kind(e) != ERR_CORRUPT) return e;
    return err_wrap(e, "dashboards and rules cannot be read; bring %s back from a backup, or move it away", path.p);
}

static err copy_records(void *context, struct str tenant, const char *to) {
    const struct server *s = context;
    AUTO_BUF struct buf path;
    buf_init(&path, 8 * KIB);
    if (!tenant.p && !db_is_file(s->db)) return NULL; /* the answer says so: catalog_elsewhere */
    buf_add_fmt(&path, "%s/" STORE_RECORDS_FILE, to);
    return catalog_backup(s->catalog, tenant, path.p);
}

/* What it scrapes goes on until the server drains. */
static err open_scraper(const struct arguments *a, struct server *s) {
    const char *path = s->scrape_config;
    struct scraper_options options = {.path = path, .ingest = s->ingest, .store = s->store, .budget = &s->budget};
    options.watch = serve_emit_watch(&s->emit);
    return *path ? argument_blame(a, OPTION_SCRAPE_CONFIG, scraper_new(&options, &s->scraper)) : NULL;
}

/* Files of rules and of scraping, by a signal or POST /-/reload; an error says which is not taken. */
static err reload_wait(void *context) {
    struct server *s = context;
    err e = serve_rules_has_files(&s->rules) ? serve_rules_reload(&s->rules) : NULL;
    if (!s->scrape_config || !*s->scrape_config) return e;
    struct scrape_config *config = NULL;
    err bad = scrape_config_read(s->scrape_config, &config);
    scrape_config_unref(config);
    scraper_reload(s->scraper);
    if (!e) return bad;
    err_free(bad);
    return e;
}

static err open_api(const struct arguments *a, struct server *s, uint64_t workers) {
    struct api_options options;
    s->live = live_new(LIVE_READERS_MAX, &s->budget);
    struct ingest_options ingest = {.store = s->store, .budget = &s->budget, .redact = s->redact, .live = s->live};
    ingest.correlate = s->correlate;
    if (s->redact) TRY(redact_secret_open(s->dir, ingest.redact_secret));
    api_options_default(&options);
    if (a->given[OPTION_LIMITS]) {
        TRY_WRAP(command_read_file(argument_text(a, OPTION_LIMITS), LIMITS_BYTES_MAX, &s->limits), "--limits");
        options.limits = s->limits.p ? buf_str(&s->limits) : STR("");
    }
    options.dir = s->dir;
    options.tokens = str_of(process_env("CLEW_TOKENS"));
    options.cors_origins = buf_str(&s->origins);
    options.allowed_hosts = buf_str(&s->hosts);
    s->ingest = ingest_new(&ingest);
    if (s->tells) TRY(serve_emit_open(&s->emit, s->ingest));
    options.emit = s->emit.emit;
    options.durations = s->emit.durations;
    s->rules.watch = serve_emit_watch(&s->emit);
    s->scrape_config = str_dup(argument_text(a, OPTION_SCRAPE_CONFIG));
    TRY(serve_rules_open(
        a, &(struct serve_rules_world){s->scrape_config, s->store, s->ingest, &s->budget, s->db, s->catalog},
        &s->rules));
    options.alert = s->rules.engine;
    options.notifier = s->rules.notifier;
    options.external_url = str_of(s->rules.external_url);
    options.store = s->store;
    options.catalog = s->catalog;
    options.check_rules = serve_rules_check;
    options.rules_changed = serve_rules_changed;
    options.rules_context = &s->rules;
    options.reload = reload_wait;
    options.reload_context = s;
    options.ingest = s->ingest;
    options.live = s->live;
    TRY(open_scraper(a, s));
    options.scraper = s->scraper;
    options.budget = &s->budget;
    options.correlation_prefix = correlate_derives(s->correlate) ? str_of(correlate_prefix(s->correlate)) : STR("");
    options.work_threads = workers;
    options.retention = s->retention;
    for (int i = 0; i < a->given[OPTION_ENABLE_FEATURE]; i++)
        TRY(argument_blame(a, OPTION_ENABLE_FEATURE,
                           api_promql_enable(&options.promql, a->values[OPTION_ENABLE_FEATURE][i])));
    return api_new(&options, &s->api);
}

static err open_tls(const struct arguments *a, struct server *s) {
    TRY(serve_tls_check(a));
    for (enum serve_listener l = 0; l < SERVE_LISTENERS; l++) TRY(serve_tls_open(a, l, &s->tls[l]));
    return NULL;
}

/* Where it shall listen: its own option, else the usual port on the host of --listen, if asked for; "": nowhere. mem_free. */
static char *address_of(const struct arguments *a, enum serve_listener l) {
    struct str host = argument_text(a, OPTION_LISTEN);
    if (!argument_flag(a, OPTION_COMPAT_PORTS) || !listeners[l].usual_port || a->given[listeners[l].option])
        return str_dup(argument_text(a, listeners[l].option));
    while (host.n && host.p[host.n - 1] != ':') host.n--;
    struct buf address;
    buf_init(&address, KIB);
    buf_add_fmt(&address, STR_FMT "%s", STR_ARG(host), listeners[l].usual_port);
    char *text = str_dup(buf_str(&address));
    buf_done(&address);
    return text;
}

static err listen_on(const struct arguments *a, struct server *s, enum serve_listener l) {
    const char *option = serve_listener_names[l];
    char *bound = s->bound[l];
    AUTO_FREE char *text = address_of(a, l);
    if (!*text) return NULL;
    err e = http_server_listen_tls(s->http, text, s->tls[l], api_listener(s->api, listeners[l].port), bound);
    if (e && err_kind(e) == ERR_CONFLICT) {
        err_free(e);
        return err_new(ERR_CONFLICT,
                       "--%s: %s is in use; stop what listens there, or let clew pick a free port: --%s 127.0.0.1:0",
                       option, text, option);
    }
    return err_wrap(e, "--%s", option);
}

static err open_to_all(const char *address) {
    return err_new(ERR_INVALID,
                   "%s is not a loopback address, and without tokens anybody could read and delete everything: make "
                   "one with `clew token new NAME --role ROLE --data DIR`, or bind 127.0.0.1",
                   address);
}

static err open_network(const struct arguments *a, struct server *s) {
    process_open_files_raise();
    TRY(loop_new(&s->loop));
    struct http_server_options options = {.handler = api_handle,
                                          .refusal = api_refusal,
                                          .is_trusted = api_trusts,
                                          .takes_pieces = api_takes_pieces,
                                          .budget = &s->budget,
                                          .connections_max = CONNECTIONS_MAX};
    TRY(http_server_new(s->loop, &options, &s->http));
    api_add_server(s->api, s->http);
    for (enum serve_listener l = 0; l < SERVE_LISTENERS; l++) TRY(listen_on(a, s, l));
    for (enum serve_listener l = 0; l < SERVE_LISTENERS; l++) /* the tokens are read by now: are there any? */
        if (*s->bound[l] && !socket_address_is_loopback(s->bound[l]) && !api_needs_tokens(s->api))
            return open_to_all(s->bound[l]);
    return NULL;
}

static void run_loop(void *context) { loop_run(((struct server *)context)->loop); }

static void watch(void *context) {
    struct server *s = context;
    lock_take(&s->lock);
    while (!s->ending) {
        flag_wait_until(&s->ending_flag, &s->lock, clock_monotonic_ns() + s->supervise.tick_ns);
        lock_give(&s->lock);
        api_reload_tokens(s->api);
        supervise_tick(&s->supervise);
        lock_take(&s->lock);
    }
    lock_give(&s->lock);
}

static void end_watch(struct server *s) {
    lock_take(&s->lock);
    s->ending = true;
    flag_wake_all(&s->ending_flag);
    lock_give(&s->lock);
    thread_join(s->watch);
}

/* One line that names every address. */
static void tell_ready(const struct arguments *a, const struct server *s) {
    double ms = (double)(clock_monotonic_ns() - s->started_ns) / 1e6;
    bool json = argument_flag(a, OPTION_JSON);
    if (json)
        printf("{\"ready\":true");
    else
        printf("clew %s ready in %.1f ms:", CLEW_VERSION, ms);
    for (enum serve_listener l = 0; l < SERVE_LISTENERS; l++) {
        const char *name = json ? listeners[l].key : listeners[l].title, *tls = s->tls[l] ? "s" : "";
        if (*s->bound[l]) printf(json ? ",\"%s\":\"http%s://%s\"" : " %s http%s://%s,", name, tls, s->bound[l]);
    }
    if (json)
        printf(",\"start_ms\":%.1f}\n", ms);
    else
        printf(" data in " STR_FMT "\n", STR_ARG(argument_text(a, OPTION_DATA)));
    fflush(stdout);
}

static void stop_loop(void *context) {
    struct server *s = context;
    lock_take(&s->lock);
    s->drained = true;
    flag_wake_all(&s->ending_flag);
    lock_give(&s->lock);
    loop_stop(s->loop);
}

static void drain(void *context) {
    struct server *s = context;
    http_server_drain(s->http, clock_monotonic_ns() + DRAIN_NS, stop_loop, s);
}

/* Requests that run may end; queries that do not are cancelled while there is still time to say so. */
static void drain_wait(struct server *s) {
    int64_t until = clock_monotonic_ns() + QUESTIONS_NS;
    api_drain(s->api, false);
    loop_post(s->loop, drain, s);
    lock_take(&s->lock);
    while (!s->drained && flag_wait_until(&s->ending_flag, &s->lock, until)) continue;
    lock_give(&s->lock);
    api_drain(s->api, true);
    thread_join(s->io);
}

/* Beyond loopback only with tokens, and with TLS or plain text by name. */
static err check_listener(const struct arguments *a, struct server *s, enum serve_listener l) {
    AUTO_FREE char *text = address_of(a, l);
    if (!*text) return NULL;
    bool tokens = process_env("CLEW_TOKENS") || tokens_file_exists(s->dir);
    err e = socket_address_check(text);
    if (!e && !tokens && !socket_address_is_loopback(text)) e = open_to_all(text);
    return e ? argument_blame(a, listeners[l].option, e) : serve_tls_allow(a, l, s->tls[l], text);
}

static err open_server(const struct arguments *a, struct server *s) {
    struct store_options options;
    struct host_options host;
    uint64_t workers;
    s->dir = str_dup(argument_text(a, OPTION_DATA));
    TRY(read_store_options(a, s, &options));
    options.dir = s->dir;
    options.beside = (struct store_beside){copy_records, s};
    options.watch = serve_emit_watch(&s->emit);
    buf_init(&s->origins, 64 * KIB);
    buf_init(&s->hosts, 64 * KIB);
    TRY(read_origins(a, &s->origins));
    TRY(read_hosts(a, &s->hosts));
    TRY(read_redaction(a, s));
    TRY(read_correlation(a, s));
    TRY(serve_host_read(a, &host));
    TRY(serve_emit_read(a, &s->tells));
    TRY(read_workers(a, &workers)); /* what can be wrong is found before the folder is made */
    if (!*s->dir) return err_new(ERR_INVALID, "--data: must name a folder");
    TRY(open_tls(a, s));
    for (enum serve_listener l = 0; l < SERVE_LISTENERS; l++) TRY(check_listener(a, s, l));
    TRY(store_open(&options, &s->store));
    TRY(open_records(a, s));
    TRY(open_api(a, s, workers));
    TRY(open_network(a, s));
    supervise_begin(&s->supervise, s->loop, s->store);
    TRY(serve_host_open(&host, s->ingest, s->api, &s->host));
    TRY(serve_rules_start(&s->rules));
    TRY(serve_seen_start(s->store, s->catalog, &s->budget, s->dir, &s->seen));
    TRY(thread_start(&s->watch, "watch", 0, watch, s));
    return thread_start(&s->io, "io", 0, run_loop, s);
}

/* The reverse of open_server, from wherever it got to. */
static err close_server(struct server *s) {
    serve_seen_stop(s->seen);
    host_free(s->host); /* while the store still takes what it sent */
    scraper_stop(s->scraper);
    if (s->io) drain_wait(s);
    if (s->api) api_drain(s->api, true);
    end_watch(s);
    serve_rules_stop(&s->rules);
    http_server_free(s->http);
    for (int l = 0; l < SERVE_LISTENERS; l++) tls_free(s->tls[l]);
    api_free(s->api);
    scraper_free(s->scraper);
    loop_free(s->loop);
    serve_rules_close(&s->rules);
    serve_emit_stop(&s->emit);
    ingest_free(s->ingest);
    buf_done(&s->origins);
    buf_done(&s->hosts);
    buf_done(&s->limits);
    mem_free(s->dir);
    mem_free(s->scrape_config);
    lock_done(&s->lock);
    flag_done(&s->ending_flag);
    redact_rules_free(s->redact);
    correlate_rules_free(s->correlate);
    catalog_free(s->catalog);
    db_close(s->db);
    err e = store_close(s->store); /* its log thread may publish until here */
    live_free(s->live);
    serve_emit_done(&s->emit);
    return err_wrap(e, "closing the data directory");
}

/* As Prometheus: a hang-up reads files again. */
static int wait_for_end(struct server *s) {
    for (;;) {
        int number = process_signal_wait();
        if (number != SIGHUP) return number;
        log_info("reading files again", F_I64("signal", number));
        err e = reload_wait(s);
        if (e) log_error("what is wrong is not taken; what was before stays", F_ERR(e));
        err_free(e);
    }
}

err command_serve(const struct arguments *a) {
    struct server s = {.started_ns = clock_monotonic_ns()};
    process_signals_block();
    serve_emit_init(&s.emit);
    lock_init(&s.lock);
    flag_init(&s.ending_flag);
    TRY(command_setup_log(a));
    supervise_open(&s.supervise);
    err e = open_server(a, &s);
    if (!e) {
        tell_ready(a, &s);
        supervise_ready(&s.supervise);
        int number = wait_for_end(&s);
        log_info("draining", F_I64("signal", number));
        supervise_stopping(&s.supervise);
    }
    err closing = close_server(&s);
    supervise_close(&s.supervise);
    if (e) {
        err_free(closing);
        return e;
    }
    return closing;
}
