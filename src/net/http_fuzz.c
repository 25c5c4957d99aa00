/* Requests from any bytes, end to end but for the socket. The first byte picks how the rest is cut; the answers must be those
 * to the same bytes in one piece, and all memory of bodies must come back. */
#include "net/wire_test_priv.h"

#include "base/budget.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t seen_params;
static void see(void *context, struct str name, struct str value) {
    (void)context;
    seen_params += name.n + value.n;
}

/* Looks at everything, and answers with what it saw. */
static void handler(struct http_request *r) {
    AUTO_BUF struct buf b;
    buf_init(&b, 16 * MIB);
    seen_params = 0;
    http_params_each(r, see, NULL);
    buf_add_str(&b, http_method_text(r));
    buf_add_str(&b, http_target(r));
    buf_add_str(&b, http_query(r));
    buf_add_str(&b, http_field(r, STR("x")));
    buf_add_str(&b, http_body(r));
    struct str path = http_path(r);
    assert(path.n && !memchr(path.p, 0, path.n));
    http_reply(r, &(struct http_reply){.status = 200 + (int)(seen_params & 1), .body = buf_str(&b)});
}

static void run(struct str input, size_t step, struct buf *out) {
    struct budget budget;
    budget_init(&budget, MIB);
    struct wire w;
    wire_open(&w, &(struct http_server_options){.handler = handler, .body_max = 20000, .budget = &budget});
    wire_feed(&w, input, step);
    wire_end(&w);
    assert(!connection_wants_input(&w.connection) && w.connection.state == CONNECTION_DEAD);
    assert(budget_used(&budget) == 0 && w.engine.live_requests == 0);
    assert(w.out.n == 0 || str_starts_with(buf_str(&w.out), STR("HTTP/1.1 ")));
    *out = w.out;
    w.out = (struct buf){0};
    wire_close(&w);
}

/* Whether 100 Continue is sent depends on what of the body is there already. */
static void drop_interim(struct buf *b) {
    static const struct str interim = STR("HTTP/1.1 100 Continue\r\n\r\n");
    for (char *at; b->n && (at = memmem(b->p, b->n, interim.p, interim.n));) {
        memmove(at, at + interim.n, (size_t)(b->p + b->n - at) - interim.n);
        b->n -= interim.n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    struct str input = {(const char *)data + 1, size - 1};
    struct buf whole, cut;
    if (str_starts_with(input, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))) return 0; /* h2_fuzz's */
    run(input, SIZE_MAX, &whole);
    run(input, 1 + data[0] % 64, &cut);
    drop_interim(&whole);
    drop_interim(&cut);
    if (!str_equal(buf_str(&whole), buf_str(&cut))) __builtin_trap();
    buf_done(&whole);
    buf_done(&cut);
    return 0;
}
