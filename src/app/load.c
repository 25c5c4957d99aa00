/* clew load: from options to a plan, and from totals to a report. */
#include "app/load.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/process.h"
#include "signal/otlp.h"

enum { VERIFY_ASKS_MAX = 20000, LAW_STEP = 10, RATE_MAX = 1000000000, URL_MAX = 480 };
#define COUNT_MAX ((uint64_t)1000000000000)
#define SECOND ((int64_t)1000000000)

/* ---- plan ------------------------------------------------------------------------------------------------------- */

static err read_signals(const struct arguments *a, struct load_plan *out) {
    struct str signal = argument_text(a, OPTION_SIGNAL), shape = argument_text(a, OPTION_SHAPE);
    bool both = str_equal(signal, STR("both"));
    out->kinds[LOAD_TRACES] = both || str_equal(signal, STR("traces"));
    out->kinds[LOAD_LOGS] = both || str_equal(signal, STR("logs"));
    out->kinds[LOAD_METRICS] = str_equal(signal, STR("metrics"));
    if (!out->kinds[LOAD_TRACES] && !out->kinds[LOAD_LOGS] && !out->kinds[LOAD_METRICS])
        return err_new(ERR_INVALID, "--signal: traces, logs, both or metrics, not \"" STR_FMT "\"", STR_ARG(signal));
    out->shop = str_equal(shape, STR("shop"));
    if (str_equal(shape, STR("node"))) out->profile = PROFILE_NODE;
    if (str_equal(shape, STR("buckets"))) out->profile = PROFILE_BUCKETS;
    if (!out->shop && !out->profile && !str_equal(shape, STR("law")))
        return err_new(ERR_INVALID, "--shape: law, shop, node or buckets, not \"" STR_FMT "\"", STR_ARG(shape));
    if (out->kinds[LOAD_METRICS] ? out->shop : out->profile != PROFILE_LAW)
        return err_new(ERR_INVALID,
                       "--shape: metrics are of the law, a node or buckets, traces and logs of the law or the shop");
    return NULL;
}

/* Where it goes: to a server, or to a file, which acknowledges nothing. */
static err check_target(const struct arguments *a) {
    if (argument_text(a, OPTION_TO_FILE).n && (argument_flag(a, OPTION_VERIFY) || argument_text(a, OPTION_IDS).n))
        return err_new(ERR_INVALID, "--to-file sends nothing that --verify or --ids could tell of");
    if (argument_text(a, OPTION_OTLP).n > URL_MAX) return err_new(ERR_INVALID, "--otlp: over %d bytes", URL_MAX);
    TRY(command_check_url(a, OPTION_OTLP));
    if (str_equal(argument_text(a, OPTION_SIGNAL), STR("metrics")) && argument_text(a, OPTION_IDS).n)
        return err_new(ERR_INVALID, "--ids: metrics have no trace ids");
    return argument_flag(a, OPTION_VERIFY) ? command_check_url(a, OPTION_SERVER) : NULL;
}

static err read_encoding(const struct arguments *a, struct load_plan *out) {
    struct str encoding = argument_text(a, OPTION_ENCODING);
    out->json = str_equal(encoding, STR("json"));
    if (out->json || str_equal(encoding, STR("protobuf"))) return NULL;
    return err_new(ERR_INVALID, "--encoding: protobuf or json, not \"" STR_FMT "\"", STR_ARG(encoding));
}

/* Metrics: how many instances, and by which protocol. */
static err read_metrics(const struct arguments *a, struct load_plan *out) {
    uint64_t instances;
    TRY(argument_u64(a, OPTION_INSTANCES, &instances));
    if (instances < 1 || instances > INSTANCES_MAX)
        return err_new(ERR_INVALID, "--instances: from 1 to %d", INSTANCES_MAX);
    out->instances = (uint32_t)instances;
    out->remote_write = argument_text(a, OPTION_REMOTE_WRITE).n;
    if (!out->remote_write && out->profile == PROFILE_BUCKETS)
        return err_new(ERR_INVALID, "--shape buckets: only --remote-write sends them");
    if (!out->remote_write) return NULL;
    if (!out->kinds[LOAD_METRICS]) return err_new(ERR_INVALID, "--remote-write: only --signal metrics is sent so");
    if (out->json || out->grpc || out->gzip)
        return err_new(ERR_INVALID, "--remote-write: it is protobuf in snappy, without --encoding, --grpc and --gzip");
    if (argument_text(a, OPTION_REMOTE_WRITE).n > URL_MAX)
        return err_new(ERR_INVALID, "--remote-write: over %d bytes", URL_MAX);
    out->otlp = argument_text(a, OPTION_REMOTE_WRITE);
    return command_check_url(a, OPTION_REMOTE_WRITE);
}

static err read_stories(const struct arguments *a, struct load_plan *out) {
    out->stories = argument_flag(a, OPTION_STORIES);
    out->seeded = out->stories || argument_text(a, OPTION_SEED).n;
    out->seed = random_u64();
    if (argument_text(a, OPTION_SEED).n) TRY(argument_u64(a, OPTION_SEED, &out->seed));
    if (!out->stories) return NULL;
    if (!out->shop) return err_new(ERR_INVALID, "--stories: only --shape shop tells them");
    return command_check_url(a, OPTION_SERVER);
}

/* Requests have whole instances, all of one scrape; --items and --count are made up to that. */
static void plan_scrapes(struct load_plan *p, uint64_t count) {
    p->items = load_instances_of(p) * LAW_SERIES;
    p->items_last = p->items;
    p->requests = (count + p->items - 1) / p->items;
}

static err read_plan(const struct arguments *a, struct load_plan *out) {
    uint64_t count, connections, items, correlated;
    int64_t for_ns, over_ns;
    *out = (struct load_plan){.otlp = argument_text(a, OPTION_OTLP),
                              .gzip = argument_flag(a, OPTION_GZIP),
                              .grpc = argument_flag(a, OPTION_GRPC)};
    while (str_ends_with(out->otlp, STR("/"))) out->otlp.n--;
    TRY(check_target(a));
    out->tls = command_tls(a);
    TRY(read_signals(a, out));
    TRY(read_encoding(a, out));
    TRY(read_metrics(a, out));
    TRY(read_stories(a, out));
    TRY(argument_u64(a, OPTION_RATE, &out->rate));
    TRY(argument_u64(a, OPTION_COUNT, &count));
    TRY(argument_u64(a, OPTION_CONNECTIONS, &connections));
    TRY(argument_u64(a, OPTION_ITEMS, &items));
    TRY(argument_u64(a, OPTION_CORRELATED, &correlated));
    TRY(argument_duration(a, OPTION_FOR, &for_ns));
    TRY(argument_duration(a, OPTION_OVER, &over_ns));
    if (out->rate > RATE_MAX) return err_new(ERR_INVALID, "--rate: at most %d", RATE_MAX);
    if (count > COUNT_MAX) return err_new(ERR_INVALID, "--count: at most %llu", (unsigned long long)COUNT_MAX);
    if (over_ns > clock_wall_ns()) return err_new(ERR_INVALID, "--over: begins before 1970");
    if (connections < 1 || connections > 1000) return err_new(ERR_INVALID, "--connections: from 1 to 1,000");
    if (items < LAW_STEP || items > 100000 || items % LAW_STEP)
        return err_new(ERR_INVALID, "--items: a multiple of %d, from %d to 100,000", LAW_STEP, LAW_STEP);
    if (correlated > UINT32_MAX) return err_new(ERR_INVALID, "--correlated: at most %u", UINT32_MAX);
    if (correlated && (out->shop || out->kinds[LOAD_METRICS]))
        return err_new(ERR_INVALID, "--correlated: only traces and logs of the law");
    out->correlated = (uint32_t)correlated;
    out->connections = (uint32_t)connections;
    out->items = (uint32_t)items;
    out->requests = out->shop ? count : (count + items - 1) / items;
    out->items_last = out->shop || !count ? out->items : (uint32_t)(count - (out->requests - 1) * items);
    out->items_last = (out->items_last + LAW_STEP - 1) / LAW_STEP * LAW_STEP;
    if (out->kinds[LOAD_METRICS]) plan_scrapes(out, count);
    int64_t now_ns = clock_monotonic_ns();
    out->stop_ns = for_ns && for_ns < INT64_MAX - now_ns ? now_ns + for_ns : INT64_MAX;
    if (out->requests) {
        out->time_step = MAX(1, over_ns / (int64_t)(out->requests * (out->shop ? 1 : items / LAW_STEP)));
        out->time_first = clock_wall_ns() - over_ns;
        if (out->kinds[LOAD_METRICS])
            out->time_first =
                clock_wall_ns() - (int64_t)((out->requests - 1) / load_scrape_requests(out)) * LAW_INTERVAL_NS;
    } else {
        out->time_first = clock_wall_ns();
        out->time_step = 1000; /* live: the traces of a request begin within its moment */
    }
    return NULL;
}

/* ---- report ----------------------------------------------------------------------------------------------------- */

static int compare_u32(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double quantile_ms(const struct load_totals *t, double q) {
    if (!t->latency_us.n) return 0;
    size_t i = (size_t)(q * (double)(t->latency_us.n - 1) + 0.5);
    return t->latency_us.v[i] / 1000.0;
}

static const double quantiles[] = {0.5, 0.9, 0.99, 1};
static const char *const quantile_names[] = {"p50", "p90", "p99", "max"};

/* Where the stories of a plan show most. Makes every request again, which takes some µs each. */
static void find_evidence(const struct load_plan *plan, struct story_evidence out[STORIES]) {
    AUTO_BUF struct buf traces, logs;
    buf_init(&traces, MIB);
    buf_init(&logs, MIB);
    for (uint64_t number = 0; number < plan->requests; number++) {
        struct shape_request shape = load_shape_of(plan, number, load_seed_of(plan, number));
        buf_clear(&traces);
        buf_clear(&logs);
        struct shape_rows rows = shape_shop(&shape, &traces, &logs);
        if (rows.story == STORIES) continue;
        struct story_evidence *e = &out[rows.story];
        e->traces++;
        if (rows.span_ns <= e->span_ns) continue;
        memcpy(e->trace, rows.trace, sizeof e->trace);
        e->span = rows.span, e->span_ns = rows.span_ns;
    }
}

static void report_stories(const struct arguments *a, const struct load_plan *plan, struct json_writer *w,
                           struct buf *out) {
    struct story_evidence found[STORIES] = {0};
    struct str server = argument_text(a, OPTION_SERVER);
    while (str_ends_with(server, STR("/"))) server.n--;
    find_evidence(plan, found);
    int64_t over_ns = plan->time_step * (int64_t)plan->requests;
    if (w)
        stories_put_json(w, server, plan->time_first, over_ns, found);
    else
        stories_put_text(out, server, plan->time_first, over_ns, found);
}

static void report_json(const struct arguments *a, const struct load_plan *plan, const struct load_totals *t,
                        double seconds, const struct load_verified *v, struct buf *out) {
    struct json_writer w;
    json_writer_init(&w, out);
    json_object(&w);
    json_member(&w, "items", u64, t->items);
    json_member(&w, "requests", u64, t->requests);
    json_member(&w, "bytes", u64, t->bytes);
    json_member(&w, "seconds", f64, seconds);
    json_member(&w, "items_per_second", f64, (double)t->items / seconds);
    json_member(&w, "connections", u64, plan->connections);
    json_member(&w, "retried", u64, t->retried);
    json_member(&w, "rejected", u64, t->rejected);
    json_member(&w, "failed", u64, t->failed);
    json_key(&w, STR("latency_ms"));
    json_object(&w);
    for (size_t i = 0; i < LENGTH(quantiles); i++) {
        json_key(&w, str_of(quantile_names[i]));
        json_f64(&w, quantile_ms(t, quantiles[i]));
    }
    json_object_end(&w);
    if (v) {
        json_key(&w, STR("verified"));
        json_object(&w);
        json_member(&w, "traces", u64, v->asked);
        json_member(&w, "rows", u64, v->rows);
        json_member(&w, "missing", u64, v->missing);
        json_member(&w, "different", u64, v->different);
        json_member(&w, "invented", u64, v->invented);
        json_object_end(&w);
    }
    if (plan->stories) {
        json_key(&w, STR("stories"));
        report_stories(a, plan, &w, NULL);
    }
    json_object_end(&w);
    buf_add_byte(out, '\n');
}

static const char *items_name(const struct load_plan *plan) {
    if (plan->kinds[LOAD_METRICS]) return "samples";
    return !plan->kinds[LOAD_LOGS] ? "spans" : !plan->kinds[LOAD_TRACES] ? "logs" : "spans and logs";
}

static void report_text(const struct arguments *a, const struct load_plan *plan, const struct load_totals *t,
                        double seconds, const struct load_verified *v, struct buf *out) {
    buf_add_text(out, "sent      ");
    put_count(out, t->items);
    buf_add_fmt(out, " %s in ", items_name(plan));
    put_count(out, t->requests);
    buf_add_fmt(out, " requests over %u connections, ", plan->connections);
    put_size(out, t->bytes);
    buf_add_fmt(out, "\nrate      ");
    put_count(out, (uint64_t)((double)t->items / seconds));
    buf_add_fmt(out, " a second for %.*f s\nlatency  ", seconds < 1 ? 3 : 1, seconds);
    for (size_t i = 0; i < LENGTH(quantiles); i++)
        buf_add_fmt(out, " %s %.2f ms", quantile_names[i], quantile_ms(t, quantiles[i]));
    buf_add_fmt(out, "\nrefused   %llu rows, %llu requests tried again, %llu failed%s%s\n",
                (unsigned long long)t->rejected, (unsigned long long)t->retried, (unsigned long long)t->failed,
                t->failed ? ": " : "", t->first_failure);
    if (plan->stories) report_stories(a, plan, NULL, out);
    if (!v) return;
    buf_add_text(out, "read back ");
    put_count(out, v->rows);
    buf_add_text(out, plan->kinds[LOAD_METRICS] ? " samples of " : " rows of ");
    put_count(out, v->asked);
    buf_add_fmt(out, " %s: %llu missing, %llu different, %llu invented\n",
                plan->kinds[LOAD_METRICS] ? "instances" : "traces", (unsigned long long)v->missing,
                (unsigned long long)v->different, (unsigned long long)v->invented);
}

/* ---- to a file -------------------------------------------------------------------------------------------------- */

static err report_file(const struct arguments *a, const struct load_plan *plan, const struct load_totals *t) {
    AUTO_BUF struct buf out;
    buf_init(&out, 64 * KIB);
    if (argument_flag(a, OPTION_JSON)) {
        buf_add_fmt(&out, "{\"items\":%llu,\"requests\":%llu,\"bytes\":%llu}\n", (unsigned long long)t->items,
                    (unsigned long long)t->requests, (unsigned long long)t->bytes);
    } else {
        buf_add_text(&out, "wrote ");
        put_count(&out, t->items);
        buf_add_fmt(&out, " %s in ", items_name(plan));
        put_count(&out, t->requests);
        buf_add_text(&out, t->requests == 1 ? " request, " : " requests, ");
        put_size(&out, t->bytes);
        buf_add_fmt(&out, " to " STR_FMT "\n", STR_ARG(argument_text(a, OPTION_TO_FILE)));
    }
    command_print(&out);
    return NULL;
}

static err write_body(const struct load_plan *plan, struct law_metrics *metrics, struct file *f, uint64_t number,
                      struct buf *body, struct load_totals *t) {
    struct shape_request shape = load_shape_of(plan, number, load_seed_of(plan, number));
    for (int kind = 0; kind < LOAD_KINDS; kind++) {
        if (!plan->kinds[kind]) continue;
        t->items += load_make_body(plan, metrics, (enum load_kind)kind, &shape, body);
        TRY(file_write(f, body->p, body->n, t->bytes));
        t->requests++;
        t->bytes += body->n;
    }
    return NULL;
}

static err write_bodies(const struct arguments *a, const struct load_plan *plan) {
    AUTO_FREE char *path = str_dup(argument_text(a, OPTION_TO_FILE));
    AUTO_CLOSE struct file *f = NULL;
    AUTO_BUF struct buf body;
    struct load_totals totals = {0};
    uint64_t requests = MAX(plan->requests, 1);
    err e = NULL;
    buf_init(&body, 64 * MIB);
    TRY(file_open(path, FILE_CREATE_ANY, &f));
    struct law_metrics *metrics = load_metrics_maker(plan);
    for (uint64_t i = 0; i < requests && !e; i++) {
        command_progress("writing: %.0f %%", 100.0 * (double)i / (double)requests);
        e = write_body(plan, metrics, f, i, &body, &totals);
    }
    law_metrics_free(metrics);
    command_progress_end();
    TRY(e);
    return report_file(a, plan, &totals);
}

static err write_ids(const struct arguments *a, const struct load_plan *plan, const struct load_totals *t) {
    AUTO_FREE char *path = str_dup(argument_text(a, OPTION_IDS));
    AUTO_CLOSE struct file *f = NULL;
    AUTO_BUF struct buf body, ids;
    buf_init(&body, 64 * MIB);
    buf_init(&ids, (size_t)1 << 30);
    struct otlp_decoder *decoder = otlp_decoder_new();
    struct otlp_limits limits = {.time_min = INT64_MIN, .time_max = INT64_MAX};
    err e = file_open(path, FILE_CREATE_ANY, &f);
    for (size_t i = 0; i < t->sent.n && !e; i++) {
        struct otlp_result r = {0};
        struct batch b = {0};
        load_make_body(plan, NULL, t->sent.v[i].kind, &t->sent.v[i].shape, &body);
        if (body.n) e = otlp_decode(decoder, (enum signal)t->sent.v[i].kind, buf_str(&body), &limits, &r);
        if (r.blob) batch_view(r.blob, &b);
        uint32_t n = plan->shop ? MIN(b.rows, 1u) : t->sent.v[i].kind == LOAD_TRACES ? b.rows / LAW_STEP : b.rows;
        for (uint32_t row = 0; row < n; row++) {
            put_hex(&ids, batch_id16(&b, SET_ROWS, FIELD_TRACE_ID, row), 16);
            buf_add_byte(&ids, '\n');
        }
        batch_unref(r.blob);
    }
    otlp_decoder_free(decoder);
    return e ? e : file_write(f, ids.p, ids.n, 0);
}

/* ---- running ---------------------------------------------------------------------------------------------------- */

/* The first SIGINT or SIGTERM ends the sending, the next one what comes after it. One that comes before the one before was heeded
 * (a server that does not answer is waited for up to a minute) ends the program. */
struct interrupts {
    atomic_bool stop, done;
};

static void watch_signals(void *context) {
    struct interrupts *i = context;
    while (!atomic_load(&i->done)) {
        int number = process_signal_wait();
        bool unheeded = atomic_exchange(&i->stop, true);
        if (unheeded && !atomic_load(&i->done)) process_end_by_signal(number);
    }
}

static err report(const struct arguments *a, const struct load_plan *plan, struct load_totals *t, atomic_bool *stop) {
    struct load_verified verified = {0};
    bool verify = argument_flag(a, OPTION_VERIFY);
    double seconds = (double)MAX(t->ended_ns - t->begun_ns, 1) / 1e9;
    if (!t->requests && t->failed)
        return err_new(ERR_UNAVAILABLE, "nothing was acknowledged (--otlp): %s", t->first_failure);
    if (t->latency_us.n) qsort(t->latency_us.v, t->latency_us.n, sizeof *t->latency_us.v, compare_u32);
    err verifying = NULL;
    if (verify && plan->kinds[LOAD_METRICS])
        verifying = load_verify_metrics_wait(a, plan, t, VERIFY_ASKS_MAX, stop, &verified);
    else if (verify)
        verifying = load_verify_wait(a, plan, t, VERIFY_ASKS_MAX, stop, &verified);
    AUTO_BUF struct buf out;
    buf_init(&out, 64 * KIB);
    (argument_flag(a, OPTION_JSON) ? report_json : report_text)(a, plan, t, seconds, verify ? &verified : NULL, &out);
    command_print(&out);
    TRY(verifying);
    if (argument_text(a, OPTION_IDS).n) TRY(write_ids(a, plan, t));
    if (verified.missing || verified.different || verified.invented)
        return err_new(ERR_CORRUPT, "what came back is not what was sent");
    if (t->failed)
        return err_new(ERR_UNAVAILABLE, "%llu requests were not acknowledged: %s", (unsigned long long)t->failed,
                       t->first_failure);
    return NULL;
}

static err send_and_report_wait(const struct arguments *a, const struct load_plan *plan,
                                struct interrupts *interrupts) {
    struct load_totals totals = {0};
    err e = load_send_wait(plan, &interrupts->stop, &totals);
    atomic_store(&interrupts->stop, false);
    if (!e) e = report(a, plan, &totals, &interrupts->stop);
    load_totals_done(&totals);
    return e;
}

err command_load(const struct arguments *a) {
    static struct interrupts interrupts;
    struct load_plan plan;
    struct thread *watcher = NULL;
    TRY(read_plan(a, &plan));
    TRY(command_credentials(a, &plan.who));
    if (argument_text(a, OPTION_TO_FILE).n) return write_bodies(a, &plan);
    process_signals_block();
    TRY(thread_start(&watcher, "signals", 0, watch_signals, &interrupts));
    err e = send_and_report_wait(a, &plan, &interrupts);
    atomic_store(&interrupts.done, true);
    process_signal_raise(); /* ends the watcher */
    thread_join(watcher);
    return e;
}
