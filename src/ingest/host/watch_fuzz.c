/* Any bytes as what a watched service says: nginx' page, Redis' INFO, PostgreSQL's messages. What comes of it is a text that is taken whole, or an error; it
 * ends by itself. The first byte says which service; the rest lies in a pair of sockets whose other side is closed. */
#include <sys/socket.h>
#include <unistd.h>

#include "ingest/host/watch_priv.h"
#include "ingest/host/wire_priv.h"
#include "os/clock.h"
#include "signal/metrics/points_decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct expo *out) {
    const struct otlp_limits all = {INT64_MIN, INT64_MAX, 1};
    struct points_decoder *d = points_decoder_new();
    struct points_result r = {0};
    err e = points_decode_text(d, POINTS_TEXT, out->out.n ? buf_str(&out->out) : STR(""), &all, &r);
    if (e) __builtin_trap();
    batch_unref(r.blob);
    points_decoder_free(d);
}

static err talk(uint8_t which, struct str text, struct expo *out) {
    static char user[] = "u", database[] = "d", nothing[] = "";
    const struct watch_target target = {nothing, user, database, nothing};
    struct wire w = {.until_ns = clock_monotonic_ns() + WATCH_NS};
    int pair[2], large = 1 << 20;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0) __builtin_trap();
    setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &large, sizeof large);
    if (text.n && write(pair[1], text.p, text.n) != (ssize_t)text.n) __builtin_trap();
    shutdown(pair[1], SHUT_WR);
    w.fd = pair[0];
    buf_init(&w.in, WATCH_ANSWER_BYTES_MAX);
    err e = which ? postgres_talk_wait(&w, &target, STR("secret"), out) : redis_talk_wait(&w, STR("secret"), out);
    wire_close(&w);
    close(pair[1]);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct expo out;
    if (!size || size > 64 * 1024) return 0;
    struct str text = str_span((const char *)data + 1, size - 1);
    expo_init(&out);
    err e = data[0] % 3 == 0 ? nginx_put(text, &out) : talk(data[0] % 3 - 1, text, &out);
    if (!e) check(&out);
    err_free(e);
    expo_done(&out);
    return 0;
}
