/* Halves, plain halves and parents as tests of tallies put them in: of one trace, a nanosecond after the other. */
#pragma once

#include "store/rollup/tally_priv.h"

static const int64_t first_ns = (int64_t)1767052800 * 1000000000; /* midnight */

static inline void add_half(struct tally *t, bool is_server, uint64_t client_span, struct str service) {
    struct rollup_half h = {
        .is_server = is_server, .client_span = client_span, .environment = STR("default"), .service = service};
    h.call.start_ns = first_ns + (int64_t)client_span;
    h.call.duration_ns = 5 + client_span;
    memcpy(h.call.trace_id, "0123456789abcdef", 16);
    if (!is_server) h.peer = STR("peer");
    rollup_sink_half(&t->sink, &h);
}

static inline void arrive(struct tally *t, bool is_server, uint64_t first, uint64_t n, int64_t arrived_ns) {
    for (uint64_t i = 0; i < n; i++) {
        add_half(t, is_server, first + i, STR("shop"));
        struct tally_half *h = is_server ? &t->servers.v[t->servers.n - 1] : &t->clients.v[t->clients.n - 1];
        h->arrived_ns = arrived_ns;
    }
}

static inline void add_plain(struct tally *t, uint64_t parent, struct str service) {
    add_half(t, true, parent, service);
    t->servers.v[t->servers.n - 1].is_plain = true;
}

static inline void add_parent(struct tally *t, uint64_t span, struct str service) {
    struct rollup_parent p = {.environment = STR("default"),
                              .space = STR(""),
                              .service = service,
                              .trace_id = (const unsigned char *)"0123456789abcdef",
                              .span_id = span,
                              .start_ns = first_ns};
    rollup_sink_parent(&t->sink, &p);
}

static inline uint64_t all_calls(const struct tally *t) {
    uint64_t calls = 0;
    for (size_t i = 0; i < t->rows.n; i++) calls += t->rows.v[i].calls;
    return calls;
}
