#include "emit/otlp_sink.h"

#include "base/text.h"
#include "net/client.h"
#include "os/clock.h"
#include "os/thread.h"
#include "signal/metrics/points_decode.h"

#define SECOND_NS ((int64_t)1000000000)
enum { FIELDS_MAX = 16, ANSWER_BYTES_MAX = 64 << 10, BODY_BYTES_MAX = 64 << 20 };

struct otlp_sink {
    struct otlp_sink_options options;
    char *urls[EMIT_KINDS];
    const char *fields[FIELDS_MAX + 2];
    struct http_client *client; /* of emit's thread */
    struct lock lock;
    struct signal_flag wake;
    bool ending;
    struct otlp_sink_stats stats;
};

err otlp_sink_new(const struct otlp_sink_options *options, struct otlp_sink **out) {
    static const char *const paths[EMIT_KINDS] = {"/v1/traces", "/v1/logs", "/v1/metrics"};
    struct str endpoint = str_of(options->endpoint);
    size_t n = 1;
    if (!str_starts_with(endpoint, STR("http://")) && !str_starts_with(endpoint, STR("https://")))
        return err_new(ERR_INVALID, "an OTLP endpoint is as http://127.0.0.1:4318, not \"" STR_FMT "\"",
                       STR_ARG(endpoint));
    while (endpoint.n && endpoint.p[endpoint.n - 1] == '/') endpoint.n--;
    struct otlp_sink *s = mem_new_of(struct otlp_sink);
    s->options = *options;
    if (!s->options.timeout_ns) s->options.timeout_ns = 10 * SECOND_NS;
    if (!s->options.retry_ns) s->options.retry_ns = 60 * SECOND_NS;
    if (!s->options.backoff_ns) s->options.backoff_ns = SECOND_NS;
    lock_init(&s->lock);
    flag_init(&s->wake);
    s->fields[0] = "Content-Type: application/x-protobuf";
    for (size_t i = 0; options->fields && options->fields[i] && n <= FIELDS_MAX; i++)
        s->fields[n++] = options->fields[i];
    for (int k = 0; k < EMIT_KINDS; k++) {
        AUTO_BUF struct buf url;
        buf_init(&url, 8 * KIB);
        buf_add_fmt(&url, STR_FMT "%s", STR_ARG(endpoint), paths[k]);
        s->urls[k] = str_dup(buf_str(&url));
    }
    *out = s;
    return NULL;
}

void otlp_sink_end(struct otlp_sink *s) {
    lock_take(&s->lock);
    s->ending = true;
    flag_wake_all(&s->wake);
    lock_give(&s->lock);
}

void otlp_sink_free(struct otlp_sink *s) {
    if (!s) return;
    http_client_free(s->client);
    for (int k = 0; k < EMIT_KINDS; k++) mem_free(s->urls[k]);
    lock_done(&s->lock);
    flag_done(&s->wake);
    mem_free(s);
}

static void encode(enum emit_kind kind, struct batch_blob *blob, struct buf *out) {
    struct batch rows;
    struct points points;
    if (kind == EMIT_METRICS) {
        points_view(blob, &points);
        points_encode_otlp(&points, out);
    } else {
        batch_view(blob, &rows);
        otlp_encode(&rows, out);
    }
}

/* NULL: taken. *out_again: another try may help; *out_after_s: not before, -1: not said. */
static err post_wait(struct otlp_sink *s, enum emit_kind kind, struct str body, bool *out_again, int64_t *out_after_s) {
    struct http_answer answer = {0};
    *out_again = true;
    *out_after_s = -1;
    if (!s->client) TRY(http_client_new(&s->client));
    TRY(http_call_wait(s->client, "POST", s->urls[kind], s->fields, body, s->options.timeout_ns, ANSWER_BYTES_MAX,
                       &answer));
    *out_again = http_status_passes(answer.status);
    *out_after_s = answer.retry_after_s;
    err e = answer.status / 100 == 2
                ? NULL
                : err_new(ERR_UNAVAILABLE, "%s answers with status %d", s->urls[kind], answer.status);
    buf_done(&answer.body);
    return e;
}

/* False: there is no time for it, or it is ended. */
static bool pause_wait(struct otlp_sink *s, int64_t pause_ns, int64_t until_ns) {
    int64_t next = clock_monotonic_ns() + pause_ns;
    lock_take(&s->lock);
    bool goes_on = !s->ending && next < until_ns;
    while (goes_on && !s->ending && clock_monotonic_ns() < next) flag_wait_until(&s->wake, &s->lock, next);
    goes_on &= !s->ending;
    s->stats.retries += goes_on;
    lock_give(&s->lock);
    return goes_on;
}

static err send_wait(struct otlp_sink *s, enum emit_kind kind, struct str body) {
    int64_t until = clock_monotonic_ns() + s->options.retry_ns, backoff = s->options.backoff_ns, after_s;
    for (;;) {
        bool again;
        err e = post_wait(s, kind, body, &again, &after_s);
        int64_t jitter = (int64_t)(random_u64() % (uint64_t)(backoff / 4 + 1));
        int64_t pause = after_s >= 0 ? MAX(MIN(after_s, (int64_t)3600) * SECOND_NS, jitter) : backoff + jitter;
        if (!e || !again || !pause_wait(s, pause, until)) return e;
        err_free(e);
        backoff = MIN(2 * backoff, 16 * s->options.backoff_ns);
    }
}

void otlp_sink_take_wait(void *sink, enum emit_kind kind, struct batch_blob *blob) {
    struct otlp_sink *s = sink;
    AUTO_BUF struct buf body;
    buf_init(&body, BODY_BYTES_MAX);
    encode(kind, blob, &body);
    batch_unref(blob);
    err e = body.full ? err_new(ERR_LIMIT, "a batch of more than 64 MiB") : send_wait(s, kind, buf_str(&body));
    if (e) log_warn("telemetry of this program is dropped", F_TEXT("kind", emit_kind_names[kind]), F_ERR(e));
    lock_take(&s->lock);
    s->stats.sent += e == NULL;
    s->stats.dropped += e != NULL;
    lock_give(&s->lock);
    err_free(e);
}

void otlp_sink_get_stats(struct otlp_sink *s, struct otlp_sink_stats *out) {
    lock_take(&s->lock);
    *out = s->stats;
    lock_give(&s->lock);
}
