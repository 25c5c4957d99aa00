/* HTTP/2 from any bytes, end to end but for the socket. The first byte picks how the rest is cut and whether preface and SETTINGS come
 * before it; whatever it is, the connection ends in time, and all memory comes back. */
#include "net/h2_priv.h"
#include "base/budget.h"
#include "net/wire_test_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEPT_MAX = 4 };
static struct http_request *kept[KEPT_MAX];
static size_t kept_n, requests;

static bool takes_pieces(void *listener, const struct http_request *r) {
    (void)listener;
    return http_path(r).n % 2;
}

/* Says back what it takes: pairs of bytes. */
static size_t receive(void *context, struct str bytes, enum http_input input) {
    struct http_stream *s = context;
    size_t n = bytes.n / 2 * 2;
    if (n && http_stream_write(s, (struct str){bytes.p, n}) != HTTP_STREAM_OK) n = 0;
    if (input > HTTP_INPUT_ENDED || (input == HTTP_INPUT_ENDED && bytes.n - n < 2)) http_stream_end(s, NULL, 0);
    return n;
}

/* Looks at everything; answers now, later, or in pieces. */
static void handler(struct http_request *r) {
    AUTO_BUF struct buf b;
    struct str path = http_path(r), value;
    assert(path.n && !memchr(path.p, 0, path.n));
    buf_init(&b, 16 * MIB);
    buf_add_str(&b, http_method_text(r));
    buf_add_str(&b, http_target(r));
    buf_add_str(&b, http_field(r, STR("host")));
    buf_add_str(&b, http_field(r, STR("cookie")));
    buf_add_str(&b, http_body(r));
    if (http_param(r, STR("a"), 0, &value)) buf_add_str(&b, value);
    if (http_is_h2(r) && takes_pieces(NULL, r) && requests % 4) {
        requests++;
        struct http_stream *s = http_stream_begin(r, &(struct http_reply){.status = 200}, 100);
        http_stream_receive(s, receive, s);
        return;
    }
    const struct http_field trailer = {STR("x"), STR("y")};
    switch (requests++ % 3) {
    case 0:
        http_reply(r,
                   &(struct http_reply){.status = 200, .body = buf_str(&b), .trailers = &trailer, .trailer_count = 1});
        return;
    case 1:
        if (kept_n == KEPT_MAX) break;
        kept[kept_n++] = r;
        return;
    default: break;
    }
    struct http_stream *s = http_stream_begin(r, &(struct http_reply){.status = 200}, 1000);
    (void)http_stream_write(s, buf_str(&b));
    http_stream_end(s, &trailer, requests % 2);
}

static void answer_kept(size_t n) {
    while (kept_n > n)
        http_reply(kept[--kept_n], &(struct http_reply){.status = 200, .body = STR("later"), .close = true});
}

static void run(struct str input, bool bare, size_t step) {
    static const struct str begin = STR(H2_PREFACE "\0\0\0\4\0\0\0\0\0");
    struct budget budget;
    struct wire w;
    budget_init(&budget, MIB);
    requests = 0;
    wire_open(&w, &(struct http_server_options){
                      .handler = handler, .takes_pieces = takes_pieces, .body_max = 20000, .budget = &budget});
    if (!bare) wire_feed(&w, begin, SIZE_MAX);
    wire_feed(&w, (struct str){input.p, input.n / 2}, step);
    answer_kept(1);
    wire_feed(&w, (struct str){input.p + input.n / 2, input.n - input.n / 2}, step);
    answer_kept(0);
    wire_flush(&w);
    if (input.n % 2) wire_end(&w);
    for (int i = 0; i < 5 && w.connection.state != CONNECTION_DEAD; i++) wire_wait(&w, (int64_t)100 * 1000000000);
    assert(w.connection.state == CONNECTION_DEAD && w.engine.live_requests == 0);
    assert(budget_used(&budget) == 0);
    wire_close(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    struct str input = {(const char *)data + 1, size - 1};
    run(input, data[0] & 128, SIZE_MAX);
    run(input, data[0] & 128, 1 + data[0] % 64);
    return 0;
}
