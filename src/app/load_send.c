#include <stdio.h>

#include "app/load.h"
#include "app/load_random.h"
#include "base/text.h"
#include "net/grpc.h"
#include "net/inflate.h"
#include "os/clock.h"
#include "signal/metrics/points_decode.h"
#include "signal/metrics/snappy.h"
#include "signal/otlp.h"

enum { RETRIES_MAX = 600, BODY_MAX = 64 * 1024 * 1024, ANSWER_MAX = 65536 };
#define SECOND ((int64_t)1000000000)
#define CALL_TIMEOUT_NS (60 * SECOND)

struct sending {
    const struct load_plan *plan;
    atomic_bool *stop;
    _Atomic uint64_t next, items, ended; /* the next request's number; items acknowledged; senders that ended */
    int64_t started_ns;
    struct lock lock; /* only to sleep on */
    struct signal_flag wake;
};

struct sender {
    struct sending *sending;
    struct thread *thread;
    struct http_client *client;
    struct load_totals totals;
    struct otlp_decoder *decoder; /* of bodies that are to be JSON */
    struct points_decoder *points_decoder;
    struct law_metrics *metrics;
    struct buf body, text, packed, framed;
};

static void sleep_until_wait(struct sending *s, int64_t due_ns) {
    while (!atomic_load(s->stop)) {
        int64_t now = clock_monotonic_ns();
        if (now >= due_ns) return;
        lock_take(&s->lock);
        flag_wait_until(&s->wake, &s->lock, MIN(due_ns, now + SECOND / 10)); /* looks at *stop ten times a second */
        lock_give(&s->lock);
    }
}

uint64_t load_seed_of(const struct load_plan *plan, uint64_t number) {
    if (!plan->seeded) return random_u64();
    struct load_random x;
    load_random_seed(&x, plan->seed + number * 0xd1342543de82ef95u);
    return load_random_next(&x);
}

struct shape_request load_shape_of(const struct load_plan *plan, uint64_t number, uint64_t seed) {
    struct shape_request shape = {.seed = seed,
                                  .number = number,
                                  .items = plan->items,
                                  .correlated = plan->correlated,
                                  .time_step = plan->time_step};
    uint32_t units = plan->shop ? 1 : plan->items / 10; /* traces a request */
    if (plan->requests && number + 1 == plan->requests) shape.items = plan->items_last;
    shape.time_first =
        plan->requests ? plan->time_first + (int64_t)(number * units) * plan->time_step : clock_wall_ns();
    if (plan->stories)
        shape.moment =
            plan->requests ? 1 + (uint32_t)((double)number / (double)plan->requests * (STORY_END - 1)) : STORY_END;
    return shape;
}

struct law_metrics *load_metrics_maker(const struct load_plan *plan) {
    return plan->kinds[LOAD_METRICS] ? law_metrics_new(plan->seed, plan->instances, plan->profile) : NULL;
}

struct law_scrape load_scrape_of(const struct load_plan *plan, const struct shape_request *shape) {
    uint64_t requests = load_scrape_requests(plan), scrape = shape->number / requests;
    uint32_t first = (uint32_t)(shape->number % requests) * load_instances_of(plan);
    return (struct law_scrape){scrape, first, MIN(load_instances_of(plan), plan->instances - first), plan->time_first,
                               plan->requests ? plan->time_first + (int64_t)scrape * LAW_INTERVAL_NS
                                              : shape->time_first};
}

static uint32_t make_metrics(const struct load_plan *plan, struct law_metrics *metrics,
                             const struct shape_request *shape, struct buf *out) {
    struct law_scrape scrape = load_scrape_of(plan, shape);
    (plan->remote_write ? law_metrics_put_remote_write : law_metrics_put_otlp)(metrics, &scrape, out);
    return scrape.n * LAW_SERIES;
}

uint32_t load_make_body(const struct load_plan *plan, struct law_metrics *metrics, enum load_kind kind,
                        const struct shape_request *shape, struct buf *out) {
    struct buf other;
    buf_clear(out);
    if (kind == LOAD_METRICS) return make_metrics(plan, metrics, shape, out);
    if (!plan->shop) {
        (kind == LOAD_TRACES ? shape_law_traces : shape_law_logs)(shape, out);
        return shape->items;
    }
    buf_init(&other, BODY_MAX);
    struct shape_rows rows = shape_shop(shape, kind == LOAD_TRACES ? out : &other, kind == LOAD_TRACES ? &other : out);
    buf_done(&other);
    return kind == LOAD_TRACES ? rows.spans : rows.logs;
}

/* ---- one request ------------------------------------------------------------------------------------------------ */

/* How many rows a partial success in JSON refused: rejectedSpans or rejectedLogRecords, a number in a string. */
static uint64_t rejected_rows_json(struct str answer) {
    struct json_reader r;
    uint64_t rows = 0;
    bool comes = false;
    json_reader_init(&r, answer, 8);
    for (enum json_token t; (t = json_next(&r)) != JSON_END && t != JSON_ERROR;) {
        if (t == JSON_STRING && comes) err_free(parse_u64(r.value, &rows));
        comes = t == JSON_KEY && str_starts_with(r.value, STR("rejected"));
    }
    json_reader_done(&r);
    return rows;
}

/* How many rows a partial success refused: field 1 of the partial_success message (field 1), a varint. */
static uint64_t rejected_rows(struct str answer) {
    const unsigned char *p = (const unsigned char *)answer.p, *end = p + answer.n;
    uint64_t v = 0;
    if (answer.n < 3 || p[0] != 0x0a || p[2] != 0x08) return 0;
    int shift = 0;
    for (p += 3; p < end && shift < 64; shift += 7) {
        v |= (uint64_t)(*p & 0x7f) << shift;
        if (!(*p++ & 0x80)) break;
    }
    return v;
}

static void note_failure(struct sender *s, const char *why) {
    s->totals.failed++;
    if (!s->totals.first_failure[0]) snprintf(s->totals.first_failure, sizeof s->totals.first_failure, "%s", why);
}

/* What one request carries. */
struct load_request {
    enum load_kind kind;
    struct shape_request shape;
    uint32_t rows;
    struct str body;
};

static void note_success(struct sender *s, const struct load_request *r, int64_t begin_ns, struct str answer) {
    struct load_totals *t = &s->totals;
    t->ended_ns = clock_monotonic_ns();
    int64_t took_ns = t->ended_ns - begin_ns;
    t->requests++;
    t->items += r->rows;
    t->bytes += r->body.n;
    t->rejected += (s->sending->plan->json ? rejected_rows_json : rejected_rows)(answer);
    atomic_fetch_add(&s->sending->items, r->rows);
    if (t->latency_us.n < LOAD_LATENCIES_MAX) *vec_push(&t->latency_us) = (uint32_t)MIN(took_ns / 1000, UINT32_MAX);
    if (t->sent.n < LOAD_SENT_MAX) *vec_push(&t->sent) = (struct load_sent){r->kind, r->shape};
}

/* Throttled: waits, and says whether to try again. */
static bool pause_wait(struct sender *s, int64_t pause_ns) {
    s->totals.retried++;
    sleep_until_wait(s->sending, MIN(clock_monotonic_ns() + pause_ns, s->sending->plan->stop_ns));
    /* Being interrupted, or at the end of --for, while throttled is no failure. */
    return !atomic_load(s->sending->stop) && clock_monotonic_ns() < s->sending->plan->stop_ns;
}

static bool note_grpc_answer(struct sender *s, const struct load_request *r, int64_t begin_ns,
                             const struct http_answer *answer) {
    struct str body = buf_str(&answer->body);
    char why[64];
    if (answer->status == 200 && answer->grpc_status == GRPC_OK && body.n >= GRPC_PREFIX) {
        note_success(s, r, begin_ns, (struct str){body.p + GRPC_PREFIX, body.n - GRPC_PREFIX});
        return false;
    }
    if (answer->grpc_status == GRPC_UNAVAILABLE) return pause_wait(s, SECOND);
    snprintf(why, sizeof why, "the server answered %d, grpc-status %d", answer->status, answer->grpc_status);
    note_failure(s, why);
    return false;
}

/* Notes what one attempt came to; true if it is to be tried again. */
static bool note_answer(struct sender *s, const struct load_request *r, int64_t begin_ns,
                        const struct http_answer *answer) {
    if (s->sending->plan->grpc) return note_grpc_answer(s, r, begin_ns, answer);
    if (answer->status == 200 || answer->status == 204) {
        note_success(s, r, begin_ns, buf_str(&answer->body));
        return false;
    }
    if (answer->status != 429 && answer->status != 502 && answer->status != 503 && answer->status != 504) {
        char why[96];
        snprintf(why, sizeof why, "the server answered %d%s", answer->status,
                 answer->status == 404 ? ": is this OTLP's address? On the main port it is URL/otlp" : "");
        note_failure(s, why);
        if (answer->status == 401 || answer->status == 403) atomic_store(s->sending->stop, true);
        return false;
    }
    return pause_wait(s, answer->retry_after_s > 0 ? MIN(answer->retry_after_s, 30) * SECOND : SECOND / 10);
}

static const char *const paths[2][LOAD_KINDS] = {
    {[LOAD_TRACES] = "/v1/traces", [LOAD_LOGS] = "/v1/logs", [LOAD_METRICS] = "/v1/metrics"},
    {[LOAD_TRACES] = "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
     [LOAD_LOGS] = "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
     [LOAD_METRICS] = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"},
};

/* Sends the body until it is acknowledged, refused for good, or the plan is stopped: throttling is no failure. */
static void post_wait(struct sender *s, const struct load_request *r) {
    const struct load_plan *plan = s->sending->plan;
    const char *type = plan->grpc   ? "Content-Type: application/grpc"
                       : plan->json ? "Content-Type: application/json"
                                    : "Content-Type: application/x-protobuf";
    const char *fields[9] = {type};
    size_t n = 1;
    if (plan->grpc) fields[n++] = "TE: trailers";
    if (plan->remote_write) {
        fields[n++] = "Content-Encoding: snappy";
        fields[n++] = "X-Prometheus-Remote-Write-Version: 0.1.0";
    }
    if (plan->gzip) fields[n++] = plan->grpc ? "grpc-encoding: gzip" : "Content-Encoding: gzip";
    for (const char *const *f = plan->who.fields; *f; f++) fields[n++] = *f;
    char url[640];
    snprintf(url, sizeof url, STR_FMT "%s", STR_ARG(plan->otlp), plan->remote_write ? "" : paths[plan->grpc][r->kind]);
    bool again = true;
    for (int attempt = 0; again && attempt < RETRIES_MAX; attempt++) {
        struct http_answer answer = {0};
        int64_t begin = clock_monotonic_ns();
        err e = http_call_wait(s->client, "POST", url, fields, r->body, CALL_TIMEOUT_NS, ANSWER_MAX, &answer);
        if (e) {
            note_failure(s, err_text(e));
            err_free(e);
            if (!atomic_load(&s->sending->items))
                atomic_store(s->sending->stop, true); /* nobody there from the start */
            sleep_until_wait(s->sending, clock_monotonic_ns() + SECOND / 10);
            return;
        }
        again = note_answer(s, r, begin, &answer);
        buf_done(&answer.body);
    }
    if (again) note_failure(s, "still refused after 600 tries");
}

static const struct otlp_limits all_times = {.time_min = INT64_MIN, .time_max = INT64_MAX};

static err put_rows_json(struct sender *s, enum signal signal, struct json_writer *w) {
    struct otlp_result result = {0};
    struct batch rows;
    TRY(otlp_decode(s->decoder, signal, buf_str(&s->body), &all_times, &result));
    batch_view(result.blob, &rows);
    otlp_write_json(&rows, w);
    batch_unref(result.blob);
    return NULL;
}

static err put_points_json(struct sender *s, struct json_writer *w) {
    struct points_result result = {0};
    struct points points;
    TRY(points_decode_otlp(s->points_decoder, buf_str(&s->body), &all_times, &result));
    points_view(result.blob, &points);
    points_write_otlp_json(&points, w);
    batch_unref(result.blob);
    return NULL;
}

/* What s->body says as OTLP/JSON, into s->text. */
static err make_json(struct sender *s, enum load_kind kind) {
    struct json_writer w;
    buf_clear(&s->text);
    json_writer_init(&w, &s->text);
    TRY(kind == LOAD_METRICS ? put_points_json(s, &w) : put_rows_json(s, (enum signal)kind, &w));
    return s->text.full ? err_new(ERR_LIMIT, "a request over 64 MiB") : NULL;
}

/* Turns the body into what goes over the wire. */
static err encode_body(struct sender *s, struct load_request *r) {
    const struct load_plan *plan = s->sending->plan;
    r->body = buf_str(&s->body);
    if (plan->json) {
        TRY(make_json(s, r->kind));
        r->body = buf_str(&s->text);
    }
    buf_clear(&s->packed);
    if (plan->remote_write) {
        snappy_block_write(r->body, &s->packed);
        r->body = buf_str(&s->packed);
    }
    if (!plan->gzip) return NULL;
    TRY(deflate_gzip(r->body, &s->packed));
    r->body = buf_str(&s->packed);
    return NULL;
}

static void send_one_wait(struct sender *s, uint64_t number, enum load_kind kind, uint64_t seed) {
    const struct load_plan *plan = s->sending->plan;
    struct load_request r = {.kind = kind, .shape = load_shape_of(plan, number, seed)};
    r.rows = load_make_body(plan, s->metrics, kind, &r.shape, &s->body);
    err e = encode_body(s, &r);
    if (e) {
        note_failure(s, err_text(e));
        err_free(e);
        return;
    }
    if (plan->grpc) {
        buf_clear(&s->framed);
        grpc_put_message(&s->framed, r.body, plan->gzip);
        r.body = buf_str(&s->framed);
    }
    post_wait(s, &r);
}

/* ---- senders ---------------------------------------------------------------------------------------------------- */

static void send_all(void *context) {
    struct sender *s = context;
    struct sending *all = s->sending;
    const struct load_plan *plan = all->plan;
    while (!atomic_load(all->stop) && clock_monotonic_ns() < plan->stop_ns) {
        uint64_t number = atomic_fetch_add(&all->next, 1);
        if (plan->requests && number >= plan->requests) break;
        if (plan->rate)
            sleep_until_wait(
                all, MIN(plan->stop_ns, all->started_ns + (int64_t)((double)number * 1e9 / (double)plan->rate)));
        if (atomic_load(all->stop) || clock_monotonic_ns() >= plan->stop_ns) break;
        uint64_t seed = load_seed_of(plan, number);
        for (int kind = 0; kind < LOAD_KINDS; kind++)
            if (plan->kinds[kind]) send_one_wait(s, number, (enum load_kind)kind, seed);
    }
    atomic_fetch_add(&all->ended, 1);
    lock_take(&all->lock);
    flag_wake_all(&all->wake); /* the watcher */
    lock_give(&all->lock);
}

static void watch(struct sending *s) {
    const struct load_plan *plan = s->plan;
    uint64_t kinds = 0;
    for (int kind = 0; kind < LOAD_KINDS; kind++) kinds += plan->kinds[kind];
    uint64_t want = plan->shop || !plan->requests ? 0 : ((plan->requests - 1) * plan->items + plan->items_last) * kinds;
    while (atomic_load(&s->ended) < plan->connections) {
        uint64_t items = atomic_load(&s->items);
        double seconds = (double)(clock_monotonic_ns() - s->started_ns) / 1e9;
        if (want)
            command_progress("sending: %.0f %%, %.0f rows a second", 100.0 * (double)items / (double)want,
                             (double)items / seconds);
        else
            command_progress("sending: %llu rows so far, %.0f a second", (unsigned long long)items,
                             (double)items / seconds);
        lock_take(&s->lock);
        if (atomic_load(&s->ended) < plan->connections)
            flag_wait_until(&s->wake, &s->lock, clock_monotonic_ns() + SECOND / 5);
        lock_give(&s->lock);
    }
}

static void add_totals(struct load_totals *out, struct load_totals *t) {
    out->requests += t->requests;
    out->items += t->items;
    out->bytes += t->bytes;
    out->retried += t->retried;
    out->rejected += t->rejected;
    out->failed += t->failed;
    for (size_t i = 0; i < t->latency_us.n && out->latency_us.n < LOAD_LATENCIES_MAX; i++)
        *vec_push(&out->latency_us) = t->latency_us.v[i];
    for (size_t i = 0; i < t->sent.n && out->sent.n < LOAD_SENT_MAX; i++) *vec_push(&out->sent) = t->sent.v[i];
    out->ended_ns = MAX(out->ended_ns, t->ended_ns);
    if (!out->first_failure[0]) memcpy(out->first_failure, t->first_failure, sizeof out->first_failure);
}

void load_totals_done(struct load_totals *t) {
    vec_done(&t->latency_us);
    vec_done(&t->sent);
}

static err start_sender(struct sending *all, struct sender *s) {
    s->sending = all;
    buf_init(&s->body, BODY_MAX);
    buf_init(&s->text, BODY_MAX);
    buf_init(&s->packed, BODY_MAX);
    s->decoder = otlp_decoder_new();
    s->points_decoder = points_decoder_new();
    s->metrics = load_metrics_maker(all->plan);
    buf_init(&s->framed, BODY_MAX + GRPC_PREFIX);
    TRY(http_client_new(&s->client));
    if (all->plan->grpc) http_client_use_h2(s->client);
    http_client_trust(s->client, &all->plan->tls);
    return thread_start(&s->thread, "load", 0, send_all, s);
}

static void end_sender(struct sender *s, struct load_totals *out) {
    thread_join(s->thread);
    http_client_free(s->client);
    add_totals(out, &s->totals);
    load_totals_done(&s->totals);
    buf_done(&s->body);
    buf_done(&s->text);
    buf_done(&s->packed);
    otlp_decoder_free(s->decoder);
    points_decoder_free(s->points_decoder);
    law_metrics_free(s->metrics);
    buf_done(&s->framed);
}

err load_send_wait(const struct load_plan *plan, atomic_bool *stop, struct load_totals *out) {
    struct sending all = {.plan = plan, .stop = stop, .started_ns = clock_monotonic_ns()};
    out->begun_ns = out->ended_ns = all.started_ns;
    lock_init(&all.lock);
    flag_init(&all.wake);
    struct sender *senders = mem_new_array(struct sender, plan->connections);
    err e = NULL;
    for (uint32_t i = 0; i < plan->connections && !e; i++) e = start_sender(&all, &senders[i]);
    if (e)
        atomic_store(stop, true);
    else
        watch(&all);
    for (uint32_t i = 0; i < plan->connections; i++) end_sender(&senders[i], out);
    if (plan->rate) out->ended_ns = clock_monotonic_ns(); /* a paced load takes its time, not its last answer's */
    command_progress_end();
    mem_free(senders);
    flag_done(&all.wake);
    lock_done(&all.lock);
    return e;
}
