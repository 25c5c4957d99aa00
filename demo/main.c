/* clew-shop SERVICE: one service of the shop as a process: HTTP by an event loop, threads that work, an OTLP exporter, signals.
 *
 *   loop (io) ── request ──▶ queue ──▶ workers: shop_serve_wait ──▶ http_reply
 *            │                         └ what is done later, and sessions of the traffic generator, come by the same queue
 *            └ /faults, /health ──▶ a queue and a worker of their own: a service that hangs is still told to stop it
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/text.h"
#include "shop.h"
#include "emit/otlp_sink.h"
#include "net/client.h"
#include "net/net.h"
#include "os/clock.h"
#include "os/loop.h"
#include "os/process.h"

enum { WORKERS_MAX = 256, QUEUE_MAX = 256, CONTROL_MAX = 16, CALL_MS = 30000, ANSWER_BYTES = 1 << 20 };

/* ---- options ---------------------------------------------------------------------------------------------------------- */

struct settings {
    enum shop_peer service;
    const char *listen, *otlp, *db, *cache, *environment, *version, *faults, *rate, *failure_rate, *workers,
        *metrics_interval;
    const char *urls[SHOP_SERVICES];
};

static const char usage[] =
    "usage: clew-shop SERVICE [--name VALUE]…\n"
    "  SERVICE: api-gateway, order-service, payment-service, inventory-service, notification-service or "
    "traffic-generator\n"
    "  --listen ADDR:PORT      127.0.0.1:0, a free port; the line on standard output that says it is ready has the "
    "URL\n"
    "  --otlp URL              where it tells of itself, as http://127.0.0.1:4318; without it nowhere\n"
    "  --gateway, --order, --payment, --inventory, --notification URL   where the others are\n"
    "  --db FILE or URL        of order-service: SQLite, or postgresql://…\n"
    "  --cache URL             redis://127.0.0.1:6379; without it in the process\n"
    "  --rate N                traffic-generator: sessions a second (2)\n"
    "  --failure-rate SHARE    of payments or stock checks, in place of the service's own\n"
    "  --faults LIST           "
    "latency_ms=500,errors=0.3,leak_bytes=65536,lock_ms=100,down=payment-service,version=1.1.0\n"
    "  --workers N             requests at once (8), at most 256\n"
    "  --metrics-interval S    seconds from one telling of metrics to the next (15)\n"
    "  --environment NAME      production\n"
    "  --version VERSION       1.0.0\n";

static err read_settings(int argc, char **argv, struct settings *o) {
    const struct {
        const char *name;
        const char **to;
    } names[] = {{"--listen", &o->listen},
                 {"--otlp", &o->otlp},
                 {"--db", &o->db},
                 {"--cache", &o->cache},
                 {"--environment", &o->environment},
                 {"--version", &o->version},
                 {"--faults", &o->faults},
                 {"--rate", &o->rate},
                 {"--failure-rate", &o->failure_rate},
                 {"--workers", &o->workers},
                 {"--metrics-interval", &o->metrics_interval},
                 {"--gateway", &o->urls[SHOP_GATEWAY]},
                 {"--order", &o->urls[SHOP_ORDER]},
                 {"--payment", &o->urls[SHOP_PAYMENT]},
                 {"--inventory", &o->urls[SHOP_INVENTORY]},
                 {"--notification", &o->urls[SHOP_NOTIFICATION]}};
    *o = (struct settings){.listen = "127.0.0.1:0", .rate = "2", .workers = "8", .metrics_interval = "15"};
    if (argc < 2 || !shop_name_read(str_of(argv[1]), &o->service)) return err_new(ERR_INVALID, "%s", usage);
    for (int i = 2; i < argc; i += 2) {
        size_t k = 0;
        while (k < LENGTH(names) && strcmp(names[k].name, argv[i]) != 0) k++;
        if (k == LENGTH(names)) return err_new(ERR_INVALID, "%s: no option of clew-shop", argv[i]);
        if (i + 1 == argc) return err_new(ERR_INVALID, "%s needs a value", argv[i]);
        *names[k].to = argv[i + 1];
    }
    return NULL;
}

/* ---- the process ------------------------------------------------------------------------------------------------------ */

static struct process {
    struct settings settings;
    struct shop *shop;
    struct loop *loop;
    struct http_server *server;
    struct queue *queue, *control;
    uint64_t worker_count;
    struct thread *io, *workers[WORKERS_MAX], *controller, *traffic;
    struct otlp_sink *sink;
    atomic_bool ending;
    struct lock lock;
    struct signal_flag flag;
} p;

struct job {
    struct http_request *request; /* or */
    void (*fn)(struct shop *shop, void *context);
    void *context;
};

static _Thread_local struct http_client *client;

static err call_wait(void *context, enum shop_peer to, const char *method, const char *path, const char *const *fields,
                     struct str body, struct shop_reply *out) {
    char url[512];
    struct http_answer answer = {0};
    (void)context;
    if (!p.settings.urls[to]) return err_new(ERR_UNAVAILABLE, "nobody has said where %s is", shop_names[to]);
    if (!client) TRY(http_client_new(&client));
    snprintf(url, sizeof url, "%s%s", p.settings.urls[to], path);
    err e = http_call_wait(client, method, url, fields, body, CALL_MS * SHOP_MS, ANSWER_BYTES, &answer);
    if (e) {
        buf_done(&answer.body);
        return e;
    }
    out->status = answer.status;
    out->body = answer.body;
    return NULL;
}

static void pause_wait(void *context, int64_t ns) {
    int64_t until = clock_monotonic_ns() + ns;
    (void)context;
    lock_take(&p.lock);
    while (!p.ending && flag_wait_until(&p.flag, &p.lock, until)) {}
    lock_give(&p.lock);
}

static bool later(void *context, void (*fn)(struct shop *shop, void *context), void *fn_context) {
    struct job *j = mem_new_of(struct job);
    (void)context;
    *j = (struct job){NULL, fn, fn_context};
    bool pushed = queue_push(p.queue, j);
    if (!pushed) mem_free(j);
    return pushed;
}

static void measure(void *context, struct shop_figures *out) {
    (void)context;
    *out = (struct shop_figures){
        .memory_bytes = process_resident_bytes(), .open_files = process_open_files(), .queued = queue_count(p.queue)};
    process_cpu_ns(&out->cpu_user_ns, &out->cpu_system_ns);
}

static void say(void *context, struct str line) {
    (void)context;
    fwrite(line.p, 1, line.n, stdout); /* one line, one write: stdout is line-buffered */
}

/* ---- requests --------------------------------------------------------------------------------------------------------- */

static void answer_wait(struct http_request *r) {
    struct shop_reply reply;
    struct shop_request q = {.method = http_method_text(r),
                             .path = http_path(r),
                             .query = http_query(r),
                             .body = http_body(r),
                             .traceparent = http_field(r, STR("traceparent")),
                             .tracestate = http_field(r, STR("tracestate")),
                             .baggage = http_field(r, STR("baggage")),
                             .correlation = http_field(r, STR("X-Correlation-ID"))};
    shop_serve_wait(p.shop, &q, &reply);
    struct http_field field = {STR("X-Correlation-ID"), str_of(reply.correlation)};
    http_reply(r, &(struct http_reply){.status = reply.status,
                                       .content_type = STR("application/json"),
                                       .body = buf_str(&reply.body),
                                       .fields = &field,
                                       .field_count = *reply.correlation ? 1 : 0});
    buf_done(&reply.body);
}

static void work(void *context) {
    struct queue *queue = context;
    struct job *j;
    while ((j = queue_pop_wait(queue))) {
        if (j->request)
            answer_wait(j->request);
        else
            j->fn(p.shop, j->context);
        mem_free(j);
    }
    http_client_free(client);
}

/* On the loop's thread. */
static void on_request(struct http_request *r) {
    struct job *j = mem_new_of(struct job);
    j->request = r;
    bool control = str_equal(http_path(r), STR("/faults")) || str_equal(http_path(r), STR("/health"));
    if (!p.ending && queue_push(control ? p.control : p.queue, j)) return;
    mem_free(j);
    http_reply(r, &(struct http_reply){
                      .status = 503, .content_type = STR("application/json"), .body = STR("{\"error\":\"busy\"}")});
}

/* ---- the traffic generator ---------------------------------------------------------------------------------------------- */

static void run_session(struct shop *s, void *context) {
    (void)context;
    traffic_session_wait(s);
}

static void make_traffic(void *context) {
    double rate = *(double *)context;
    int64_t next = clock_monotonic_ns(), told = next;
    uint64_t skipped = 0, sent, failed;
    while (!p.ending) {
        if (!later(NULL, run_session, NULL)) skipped++;
        next += (int64_t)(1e9 / rate);
        pause_wait(NULL, MAX(next - clock_monotonic_ns(), (int64_t)0));
        if (clock_monotonic_ns() - told < 10000 * SHOP_MS) continue;
        told = clock_monotonic_ns();
        traffic_stats(&sent, &failed);
        fprintf(stderr, "sent %llu, failed %llu, skipped %llu\n", (unsigned long long)sent, (unsigned long long)failed,
                (unsigned long long)skipped);
    }
}

/* ---- life ------------------------------------------------------------------------------------------------------------- */

static void run_loop(void *context) {
    (void)context;
    loop_run(p.loop);
}

static err read_numbers(struct shop_options *o, double *out_rate) {
    *out_rate = 2;
    o->failure_rate = -1;
    if (p.settings.failure_rate)
        TRY_WRAP(parse_f64(str_of(p.settings.failure_rate), &o->failure_rate), "--failure-rate");
    TRY_WRAP(parse_f64(str_of(p.settings.rate), out_rate), "--rate");
    if (!(*out_rate > 0 && *out_rate <= 1000)) return err_new(ERR_INVALID, "--rate: more than 0, at most 1000");
    TRY_WRAP(parse_u64(str_of(p.settings.workers), &p.worker_count), "--workers");
    if (p.worker_count < 1 || p.worker_count > WORKERS_MAX)
        return err_new(ERR_INVALID, "--workers: 1 to %d", WORKERS_MAX);
    double interval_s;
    TRY_WRAP(parse_f64(str_of(p.settings.metrics_interval), &interval_s), "--metrics-interval");
    if (!(interval_s >= 0.1 && interval_s <= 3600)) return err_new(ERR_INVALID, "--metrics-interval: 0.1 to 3600");
    o->metrics_ns = (int64_t)(interval_s * 1e9);
    return p.settings.faults ? err_wrap(shop_faults_parse(str_of(p.settings.faults), &o->faults), "--faults") : NULL;
}

static void forget_telemetry(void *context, enum emit_kind kind, struct batch_blob *blob) {
    (void)context, (void)kind;
    batch_unref(blob);
}

static err open_all(double *out_rate) {
    char bound[64];
    struct shop_options o = {.service = p.settings.service,
                             .world = {NULL, call_wait, pause_wait, later, say, measure},
                             .sink = {forget_telemetry, NULL},
                             .environment = p.settings.environment,
                             .version = p.settings.version,
                             .db = p.settings.db,
                             .cache = p.settings.cache};
    TRY(read_numbers(&o, out_rate));
    if (p.settings.otlp) {
        TRY_WRAP(otlp_sink_new(&(struct otlp_sink_options){.endpoint = p.settings.otlp}, &p.sink), "--otlp");
        o.sink = (struct emit_sink){otlp_sink_take_wait, p.sink};
    }
    TRY(shop_new(&o, &p.shop));
    TRY(loop_new(&p.loop));
    TRY(http_server_new(p.loop, &(struct http_server_options){.handler = on_request, .body_max = SHOP_BODY_BYTES},
                        &p.server));
    TRY_WRAP(http_server_listen(p.server, p.settings.listen, NULL, bound), "--listen");
    TRY(thread_start(&p.io, "io", 0, run_loop, NULL));
    TRY(thread_start(&p.controller, "control", 0, work, p.control));
    for (size_t i = 0; i < p.worker_count; i++) TRY(thread_start(&p.workers[i], "work", 0, work, p.queue));
    printf("{\"service\":\"%s\",\"url\":\"http://%s\",\"pid\":%d}\n", shop_names[p.settings.service], bound,
           process_id());
    if (p.settings.service == SHOP_TRAFFIC) TRY(thread_start(&p.traffic, "traffic", 0, make_traffic, out_rate));
    return NULL;
}

static void close_all(void) {
    lock_take(&p.lock);
    p.ending = true; /* pauses end, too */
    flag_wake_all(&p.flag);
    lock_give(&p.lock);
    thread_join(p.traffic);
    queue_close(p.queue);
    queue_close(p.control);
    for (size_t i = 0; i < WORKERS_MAX; i++) thread_join(p.workers[i]);
    thread_join(p.controller);
    if (p.io) loop_stop(p.loop);
    thread_join(p.io);
    if (p.sink) otlp_sink_end(p.sink);
    shop_free(p.shop);
    otlp_sink_free(p.sink);
    http_server_free(p.server);
    loop_free(p.loop);
    queue_free(p.queue);
    queue_free(p.control);
}

int main(int argc, char **argv) {
    double rate;
    setvbuf(stdout, NULL, _IOLBF, 0);
    log_set_clock(clock_wall_ns);
    hash_seed(random_u64(), random_u64());
    process_signals_block();
    lock_init(&p.lock);
    flag_init(&p.flag);
    p.queue = queue_new(QUEUE_MAX);
    p.control = queue_new(CONTROL_MAX);
    err e = read_settings(argc, argv, &p.settings);
    if (!e) e = open_all(&rate);
    if (!e) process_signal_wait();
    close_all();
    if (e) fprintf(stderr, "clew-shop: %s\n", err_text(e));
    int status = e ? err_row(e)->exit_code : 0;
    err_free(e);
    return status;
}
