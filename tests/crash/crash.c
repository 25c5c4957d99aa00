/* kill -9 under load: a real clew is killed at random moments, started again and asked for everything it had acknowledged.
 *
 *   round:  start ─▶ senders post ─▶ kill -9 ─▶ (start, kill -9)* ─▶ (start, SIGTERM, kill -9)? ─▶ clew check ─▶ start ─▶ verify
 *           ─▶ SIGTERM or kill -9
 *
 * Sent are spans, logs and metrics (metrics.h), at random.
 * What must hold: each acknowledged request is there, row by row as it was sent; one without an answer is there whole or not at
 * all; the rows in the store are those and no others; a counter sent in deltas is the sum of those that are there; `clew check` finds nothing; SIGTERM leaves nothing to replay.
 *
 * usage: clew_crash CLEW DIR ROUNDS; ends with the line `N passed, N failed`, one a round.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/load_shape.h"
#include "base/text.h"
#include "base/vec.h"
#include "metrics.h"
#include "net/client.h"
#include "os/clock.h"
#include "os/thread.h"
#include "signal/otlp.h"

enum { SENDERS = 4, BODY_BYTES_MAX = 64 << 20, OLD_CHECKED = 40 };

enum fate { UNKNOWN, ACKNOWLEDGED, REFUSED };

struct request {
    enum signal signal;
    bool is_metrics;
    struct shape_request shape;
    struct crash_metrics metrics;
    enum fate fate;
    uint32_t rows;
};
typedef VEC(struct request) requests;

struct server {
    pid_t pid;
    char api[64], otlp[64];
};

static const char *clew, *folder;
static uint64_t failures; /* of this round */

#define fail(...)                                                                                                      \
    do {                                                                                                               \
        failures++;                                                                                                    \
        fprintf(stderr, "crash: " __VA_ARGS__);                                                                        \
        fputc('\n', stderr);                                                                                           \
    } while (0)

static void must(err e, const char *doing) {
    if (!e) return;
    fprintf(stderr, "crash: %s: %s\n", doing, err_text(e));
    exit(1);
}

static uint64_t below(uint64_t n) { return random_u64() % n; }

/* The moment of a kill is real time: this program has no clock to turn. */
static void wait_us(uint64_t us) {
    struct lock lock;
    struct signal_flag never;
    int64_t end = clock_monotonic_ns() + (int64_t)us * 1000;
    lock_init(&lock);
    flag_init(&never);
    lock_take(&lock);
    while (flag_wait_until(&never, &lock, end)) {}
    lock_give(&lock);
    flag_done(&never);
    lock_done(&lock);
}

/* ---- the server ------------------------------------------------------------------------------------------------- */

static pid_t run_clew(const char *const *arguments, int *out_stdout) {
    int ends[2], errors = open("server.log", O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (pipe(ends) != 0) must(err_errno(errno, "pipe"), "starting clew");
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], 1);
        if (errors >= 0) dup2(errors, 2);
        close(ends[0]);
        execv(clew, (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    close(ends[1]);
    if (errors >= 0) close(errors);
    *out_stdout = ends[0];
    return pid;
}

static int end_of(pid_t pid) {
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return status;
}

static void find_url(const char *line, const char *key, char out[64]) {
    const char *p = strstr(line, key);
    if (!p) return;
    p += strlen(key);
    size_t n = strcspn(p, "\"");
    snprintf(out, 64, "%.*s", (int)n, p);
}

static const char *const *serve_arguments(void) {
    static const char *arguments[] = {NULL,          "serve",           "--data",
                                      NULL,          "--listen",        "127.0.0.1:0",
                                      "--otlp-http", "127.0.0.1:0",     "--otlp-grpc",
                                      "127.0.0.1:0", "--retention",     "0",
                                      "--flush-age", "150ms",           "--memory-limit",
                                      "64MiB",       "--disk-free-min", "0",
                                      "--json",      "--host-metrics",  "off",
                                      NULL};
    arguments[0] = clew;
    arguments[3] = folder;
    return arguments;
}

/* Waits for the line that says ready; false: it ended before. */
static bool start(struct server *s) {
    char line[1024];
    size_t n = 0;
    int out;
    *s = (struct server){.pid = run_clew(serve_arguments(), &out)};
    while (n < sizeof line - 1 && !memchr(line, '\n', n)) {
        ssize_t got = read(out, line + n, sizeof line - 1 - n);
        if (got <= 0) break;
        n += (size_t)got;
    }
    close(out);
    line[n] = 0;
    find_url(line, "\"api\":\"", s->api);
    find_url(line, "\"otlp_http\":\"", s->otlp);
    if (s->api[0] && s->otlp[0]) return true;
    fail("clew did not start; server.log says why");
    end_of(s->pid);
    return false;
}

/* kill -9 in the middle of a clean end, when what is in memory is written. */
static void kill_while_stopping(const struct server *s) {
    kill(s->pid, SIGTERM);
    wait_us(below(20000));
    kill(s->pid, SIGKILL);
    end_of(s->pid);
}

static void kill_now(const struct server *s) {
    kill(s->pid, SIGKILL);
    end_of(s->pid);
}

static void stop(const struct server *s) {
    kill(s->pid, SIGTERM);
    int status = end_of(s->pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail("SIGTERM ended with status %d", status);
}

/* Starts that do not get to their end. */
static void kill_while_starting(void) {
    for (uint64_t n = below(3); n > 0; n--) {
        int out;
        pid_t pid = run_clew(serve_arguments(), &out);
        wait_us(below(30000));
        kill(pid, SIGKILL);
        end_of(pid);
        close(out);
    }
}

static void check(void) {
    const char *arguments[] = {clew, "check", "--data", folder, NULL};
    char text[2048];
    int out;
    pid_t pid = run_clew(arguments, &out);
    ssize_t n = 0, got;
    while (n < (ssize_t)sizeof text - 1 && (got = read(out, text + n, sizeof text - 1 - (size_t)n)) > 0) n += got;
    close(out);
    int status = end_of(pid);
    text[n] = 0;
    if (status != 0) fail("clew check: %s", text);
}

/* ---- sending ---------------------------------------------------------------------------------------------------- */

struct sender {
    uint32_t number;
    const struct server *server;
    struct thread *thread;
    atomic_bool *stop;
    requests sent;
};

static void make_body(const struct request *r, struct buf *out) {
    buf_clear(out);
    if (r->is_metrics)
        crash_metrics_put(&r->metrics, out);
    else if (r->signal == SIGNAL_SPANS)
        shape_law_traces(&r->shape, out);
    else
        shape_law_logs(&r->shape, out);
}

static const int64_t hour_ns = (int64_t)3600 * 1000000000;

/* A delta at the time of the one before is refused: two requests of a sender may come within a millisecond. */
static struct request random_metrics(uint32_t sender) {
    static int64_t before[SENDERS];
    struct request r = {.is_metrics = true};
    int64_t now = MAX(clock_wall_ns() / 1000000, before[sender] + 1) * 1000000;
    before[sender] = now / 1000000;
    r.metrics = (struct crash_metrics){.seed = random_u64(),
                                       .items = (uint32_t)(1 + below(100)),
                                       .sender = sender,
                                       .delta = (uint32_t)below(1000),
                                       .time_ns = now - (int64_t)below(3) * 24 * hour_ns,
                                       .counter_ns = now};
    r.rows = r.metrics.items + 1;
    return r;
}

static struct request random_request(uint32_t sender) {
    if (below(3) == 0) return random_metrics(sender);
    struct request r = {.signal = (enum signal)below(SIGNALS), .shape = {.seed = random_u64(), .time_step = 1000000}};
    r.shape.items =
        (uint32_t)(10 * (1 + below(r.signal == SIGNAL_SPANS ? 20 : 3))); /* each log is a trace to ask for */
    r.shape.time_first = clock_wall_ns() - (int64_t)below(3) * 24 * hour_ns - (int64_t)below((uint64_t)hour_ns);
    r.rows = r.shape.items;
    return r;
}

static void send_all(void *context) {
    struct sender *s = context;
    const char *const fields[] = {"Content-Type: application/x-protobuf", NULL};
    struct http_client *client;
    AUTO_BUF struct buf body;
    must(http_client_new(&client), "starting a client");
    buf_init(&body, BODY_BYTES_MAX);
    while (!atomic_load(s->stop)) {
        struct request r = random_request(s->number);
        char url[128];
        struct http_answer answer = {0};
        snprintf(url, sizeof url, "%s/v1/%s", s->server->otlp,
                 r.is_metrics               ? "metrics"
                 : r.signal == SIGNAL_SPANS ? "traces"
                                            : "logs");
        make_body(&r, &body);
        err e = http_call_wait(client, "POST", url, fields, buf_str(&body), (int64_t)10 * 1000000000, 1 << 20, &answer);
        if (!e) r.fate = answer.status == 200 ? ACKNOWLEDGED : REFUSED;
        *vec_push(&s->sent) = r;
        buf_done(&answer.body);
        bool gone = e != NULL;
        err_free(e);
        if (gone) break;
        wait_us(below(12000)); /* what is sent is all read back: kill often rather than send much */
    }
    http_client_free(client);
}

/* Load for a random while, then kill -9 under it. */
static void load_and_kill(const struct server *server, requests *all) {
    struct sender senders[SENDERS] = {{0}};
    atomic_bool stop_flag = false;
    for (int i = 0; i < SENDERS; i++) {
        senders[i].number = (uint32_t)i;
        senders[i].server = server;
        senders[i].stop = &stop_flag;
        must(thread_start(&senders[i].thread, "send", 0, send_all, &senders[i]), "starting a sender");
    }
    wait_us(10000 + below(400000));
    kill_now(server);
    atomic_store(&stop_flag, true);
    for (int i = 0; i < SENDERS; i++) {
        thread_join(senders[i].thread);
        for (size_t k = 0; k < senders[i].sent.n; k++) *vec_push(all) = senders[i].sent.v[k];
        vec_done(&senders[i].sent);
    }
}

/* ---- reading back ----------------------------------------------------------------------------------------------- */

struct reader {
    const struct server *server;
    struct http_client *client;
    struct otlp_decoder *decoder;
    struct buf body;
};

static const struct otlp_limits no_limits = {.time_min = INT64_MIN, .time_max = INT64_MAX};

static bool get(struct reader *r, const char *path, struct http_answer *out) {
    char url[1024];
    snprintf(url, sizeof url, "%s%s", r->server->api, path);
    err e = http_call_wait(r->client, "GET", url, NULL, (struct str){0}, (int64_t)30 * 1000000000, BODY_BYTES_MAX, out);
    if (e) fail("GET %s: %s", url, err_text(e));
    bool ok = !e;
    err_free(e);
    return ok;
}

/* The rows clew has of a trace; a view without rows if none. */
static struct batch_blob *get_trace(struct reader *r, enum signal signal, const unsigned char id[16],
                                    struct batch *out) {
    AUTO_BUF struct buf path;
    struct http_answer answer = {0};
    struct otlp_result result = {0};
    *out = (struct batch){0};
    buf_init(&path, 256);
    buf_add_text(&path,
                 signal == SIGNAL_SPANS ? "/api/v1/traces/" : "/api/v1/logs/query?start=0&limit=10000&trace_id=");
    put_hex(&path, id, 16);
    buf_add_text(&path, signal == SIGNAL_SPANS ? "?format=protobuf" : "&format=protobuf");
    if (get(r, path.p, &answer) && answer.status == 200)
        must(otlp_decode(r->decoder, signal, buf_str(&answer.body), &no_limits, &result), "decoding an answer");
    else if (answer.status != 404)
        fail("GET %s: status %d", path.p, answer.status);
    buf_done(&answer.body);
    if (result.blob) batch_view(result.blob, out);
    return result.blob;
}

static const unsigned char *trace_of(const struct batch *b, uint32_t row) {
    return batch_id16(b, SET_ROWS, FIELD_TRACE_ID, row);
}

/* How many sent rows of the trace are among the answer's, each equal and once; *out_sent: of how many. */
static uint32_t count_equal(const struct batch *sent, const unsigned char id[16], const struct batch *got,
                            uint32_t *out_sent) {
    uint32_t equal = 0;
    *out_sent = 0;
    for (uint32_t i = 0; i < sent->rows; i++) {
        if (memcmp(trace_of(sent, i), id, 16) != 0) continue;
        ++*out_sent;
        for (uint32_t j = 0; j < got->rows; j++)
            if (batch_rows_equal(sent, i, got, j)) {
                equal++;
                break;
            }
    }
    return equal;
}

static bool is_first_of_trace(const struct batch *b, uint32_t row) {
    for (uint32_t i = 0; i < row; i++)
        if (memcmp(trace_of(b, i), trace_of(b, row), 16) == 0) return false;
    return true;
}

/* The answer to a question of PromQL, or none. */
static struct str ask_promql(struct reader *r, const struct buf *path, struct http_answer *answer) {
    if (!get(r, path->p, answer)) return (struct str){0};
    if (answer->status != 200) fail("GET %s: status %d", path->p, answer->status);
    return buf_str(&answer->body);
}

static bool are_metrics_there(struct reader *r, const struct request *q) {
    AUTO_BUF struct buf path;
    struct http_answer answer = {0};
    uint32_t other = 0;
    buf_init(&path, 1024);
    crash_metrics_put_query(&q->metrics, &path);
    uint32_t found = crash_metrics_count(&q->metrics, ask_promql(r, &path, &answer), &other);
    if (other) fail("a request of metrics has %u samples that were not sent", other);
    if (found && found != q->rows) fail("of a request of %u series %u are there", q->rows, found);
    buf_done(&answer.body);
    return found == q->rows;
}

/* Each sender's counter is the sum of its requests that are there. */
static void verify_counters(struct reader *r, const requests *all) {
    for (uint32_t sender = 0; sender < SENDERS; sender++) {
        AUTO_BUF struct buf path;
        struct http_answer answer = {0};
        double sum = 0;
        buf_init(&path, 1024);
        for (size_t i = 0; i < all->n; i++) {
            const struct request *q = &all->v[i];
            if (q->is_metrics && q->metrics.sender == sender && q->fate == ACKNOWLEDGED) sum += q->metrics.delta;
        }
        crash_metrics_put_counter_query(sender, &path);
        double has = crash_metrics_counter(ask_promql(r, &path, &answer));
        if (has != sum) fail("the counter of sender %u is %.0f, sent were %.0f", sender, has, sum);
        buf_done(&answer.body);
    }
}

/* Is the request there, whole? Something between whole and nothing is a failure. */
static bool is_there(struct reader *r, const struct request *q) {
    if (q->is_metrics) return are_metrics_there(r, q);
    struct otlp_result result = {0};
    struct batch sent;
    uint32_t equal = 0, rows = 0;
    make_body(q, &r->body);
    must(otlp_decode(r->decoder, q->signal, buf_str(&r->body), &no_limits, &result), "decoding what was sent");
    batch_view(result.blob, &sent);
    for (uint32_t i = 0; i < sent.rows; i++) {
        struct batch got;
        uint32_t of_trace;
        if (!is_first_of_trace(&sent, i)) continue;
        struct batch_blob *blob = get_trace(r, q->signal, trace_of(&sent, i), &got);
        equal += count_equal(&sent, trace_of(&sent, i), &got, &of_trace);
        rows += of_trace;
        if (got.rows > of_trace) fail("a trace has %u rows, %u were sent", got.rows, of_trace);
        batch_unref(blob);
    }
    batch_unref(result.blob);
    if (rows != q->rows) fail("a request of %u rows was decoded to %u", q->rows, rows);
    if (equal && equal != rows) fail("of a request of %u rows %u are there", rows, equal);
    return equal == rows;
}

static uint64_t metric_sum(const char *text, const char *name) {
    uint64_t sum = 0;
    size_t n = strlen(name);
    for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        if (strncmp(line, name, n) != 0 || (line[n] != '{' && line[n] != ' ')) continue;
        const char *end = strchr(line, '\n'), *value = end ? end : line + strlen(line);
        if (memmem(line, (size_t)(value - line), "\"metrics\"", 9)) continue; /* samples are counted by name */
        while (value > line && value[-1] != ' ') value--;
        sum += strtoull(value, NULL, 10);
    }
    return sum;
}

/* Requests from `first` on are this round's: all of them are asked for; of the older ones some. */
static void verify(struct reader *r, requests *all, size_t first, bool was_stopped) {
    uint64_t rows = 0;
    struct http_answer metrics = {0};
    for (size_t i = 0; i < all->n; i++) {
        struct request *q = &all->v[i];
        bool asked = i >= first || below(all->n) < OLD_CHECKED;
        bool there = asked ? is_there(r, q) : q->fate == ACKNOWLEDGED;
        if (asked && !there && q->fate == ACKNOWLEDGED) fail("an acknowledged request of %u rows is lost", q->rows);
        if (asked && there && q->fate == REFUSED) fail("a refused request of %u rows is there", q->rows);
        if (q->fate == UNKNOWN) q->fate = there ? ACKNOWLEDGED : REFUSED;
        if (there && !q->is_metrics) rows += q->rows;
    }
    verify_counters(r, all);
    if (!get(r, "/metrics", &metrics)) return;
    uint64_t has =
        metric_sum(metrics.body.p, "clew_store_part_rows") + metric_sum(metrics.body.p, "clew_store_memory_rows");
    if (has != rows) fail("the store has %llu rows, %llu were sent", (unsigned long long)has, (unsigned long long)rows);
    if (metric_sum(metrics.body.p, "clew_store_bad_blocks_total")) fail("the store counts bad blocks");
    if (was_stopped && metric_sum(metrics.body.p, "clew_store_replayed_records"))
        fail("something was left to replay after SIGTERM");
    buf_done(&metrics.body);
}

static bool read_back(requests *all, size_t first, bool was_stopped) {
    struct server server;
    struct reader r = {.server = &server, .decoder = otlp_decoder_new()};
    if (!start(&server)) return false;
    must(http_client_new(&r.client), "starting a client");
    buf_init(&r.body, BODY_BYTES_MAX);
    verify(&r, all, first, was_stopped);
    buf_done(&r.body);
    http_client_free(r.client);
    otlp_decoder_free(r.decoder);
    if (below(2))
        kill_now(&server);
    else
        stop(&server);
    return true;
}

/* ---- rounds ----------------------------------------------------------------------------------------------------- */

static bool run_round(requests *all) {
    struct server server;
    size_t first = all->n;
    failures = 0;
    if (!start(&server)) return false;
    load_and_kill(&server, all);
    kill_while_starting();
    if (below(3) == 0) {
        if (!start(&server)) return false;
        kill_while_stopping(&server);
    }
    bool stopped = below(4) == 0; /* a clean end in between: nothing to replay afterwards */
    if (stopped) {
        if (!start(&server)) return false;
        stop(&server);
    }
    check();
    return read_back(all, first, stopped) && failures == 0;
}

int main(int argc, char **argv) {
    requests all = {0};
    uint64_t rounds, passed = 0;
    if (argc != 4) {
        fprintf(stderr, "usage: clew_crash CLEW DIR ROUNDS\n");
        return 2;
    }
    clew = argv[1];
    folder = argv[2];
    must(parse_u64(str_of(argv[3]), &rounds), "ROUNDS");
    signal(SIGPIPE, SIG_IGN);
    for (uint64_t i = 0; i < rounds; i++) {
        if (run_round(&all))
            passed++;
        else
            fprintf(stderr, "crash: round %llu failed\n", (unsigned long long)i + 1);
    }
    uint64_t rows = 0, acknowledged = 0, metrics = 0, samples = 0;
    for (size_t i = 0; i < all.n; i++) {
        const struct request *q = &all.v[i];
        if (q->fate != ACKNOWLEDGED) continue;
        *(q->is_metrics ? &metrics : &acknowledged) += 1;
        *(q->is_metrics ? &samples : &rows) += q->rows;
    }
    printf("%llu requests, %llu rows, %llu of metrics, %llu series kept through %llu rounds\n",
           (unsigned long long)acknowledged, (unsigned long long)rows, (unsigned long long)metrics,
           (unsigned long long)samples, (unsigned long long)rounds);
    printf("%llu passed, %llu failed\n", (unsigned long long)passed, (unsigned long long)(rounds - passed));
    vec_done(&all);
    return passed == rounds ? 0 : 1;
}
