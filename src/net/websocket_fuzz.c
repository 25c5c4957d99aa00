/* Frames from any bytes, end to end but for the socket. The first byte picks how the rest is cut; the messages must be the same as of the same bytes in
 * one piece, the socket must end once, and all memory must come back. (What is said back is not: a close takes the place of pongs that wait.) */
#include "net/websocket_test_priv.h"

#include "base/budget.h"

enum { SIZE_MOST = 4000 }; /* in one piece */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct echo run(struct str input, size_t step) {
    struct budget budget;
    struct wire w;
    budget_init(&budget, MIB);
    echo = (struct echo){0};
    wire_open(&w, &(struct http_server_options){.handler = echo_handler, .budget = &budget});
    wire_feed(&w, echo_head, SIZE_MAX);
    wire_feed(&w, input, step);
    wire_end(&w);
    wire_close(&w);
    assert(echo.ends == 1 && w.engine.live_requests == 0 && budget_used(&budget) == 0);
    return echo;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > SIZE_MOST) return 0;
    struct str input = {(const char *)data + 1, size - 1};
    struct echo whole = run(input, SIZE_MAX), cut = run(input, 1 + data[0] % 64);
    if (whole.messages != cut.messages || whole.hash != cut.hash) __builtin_trap();
    return 0;
}
