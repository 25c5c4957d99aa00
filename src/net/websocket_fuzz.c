/* Frames from any bytes, end to end but for the socket. The first byte picks how the rest is cut; what is said back must be the same as to the same
 * bytes in one piece, the socket must end once, and all memory must come back. */
#include "net/websocket_test_priv.h"

#include "base/budget.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(struct str input, size_t step, struct buf *out) {
    struct budget budget;
    struct wire w;
    budget_init(&budget, MIB);
    echo = (struct echo){0, 0};
    wire_open(&w, &(struct http_server_options){.handler = echo_handler, .budget = &budget});
    wire_feed(&w, echo_head, SIZE_MAX);
    wire_feed(&w, input, step);
    wire_end(&w);
    *out = w.out;
    w.out = (struct buf){0};
    wire_close(&w);
    assert(echo.ends == 1 && w.engine.live_requests == 0 && budget_used(&budget) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    struct str input = {(const char *)data + 1, size - 1};
    struct buf whole, cut;
    run(input, SIZE_MAX, &whole);
    run(input, 1 + data[0] % 64, &cut);
    if (!str_equal(buf_str(&whole), buf_str(&cut))) __builtin_trap();
    buf_done(&whole);
    buf_done(&cut);
    return 0;
}
