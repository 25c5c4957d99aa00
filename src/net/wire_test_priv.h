/* For tests and the fuzzer: one connection without a socket. What is written to it is read, what it writes is kept. */
#pragma once

#include "net/connection_priv.h"

struct wire {
    struct http_engine engine;
    struct http_connection connection;
    struct buf out;
    int64_t now_ns;
    bool busy; /* inside the connection: what is delivered waits, as a loop would have it */
    struct http_request *delivered;
    size_t write_max; /* bytes that the "socket" takes at once; 0: all */
};

static inline void wire_deliver(struct http_engine *e, struct http_request *r, bool is_last) {
    struct wire *w = (struct wire *)e; /* the engine is its first */
    r->is_last |= is_last;
    if (!w->busy) {
        r->is_final = r->is_last;
        connection_replied(r, w->now_ns);
    } else if (!r->is_listed) {
        r->is_listed = true;
        r->next = w->delivered;
        w->delivered = r;
    }
}

static inline void wire_enter(struct wire *w) { w->busy = true; }
static inline void wire_leave(struct wire *w) {
    w->busy = false;
    for (struct http_request *r = take(&w->delivered), *next; r; r = next) {
        next = r->next;
        r->is_listed = false;
        r->is_final = r->is_last;
        connection_replied(r, w->now_ns);
    }
}

static inline void wire_open(struct wire *w, const struct http_server_options *o) {
    *w = (struct wire){0};
    engine_init(&w->engine, o);
    w->engine.dated = false;
    w->engine.deliver = wire_deliver;
    buf_init(&w->out, 64 * MIB);
    connection_open(&w->connection, &w->engine, NULL, 0);
}

static inline void wire_close(struct wire *w) {
    wire_enter(w);
    connection_close(&w->connection);
    wire_leave(w);
    engine_done(&w->engine);
    buf_done(&w->out);
}

static inline size_t wire_out(struct wire *w, struct socket_piece pieces[OUT_PIECES]) {
    wire_enter(w);
    size_t n = connection_out(&w->connection, pieces);
    wire_leave(w);
    return n;
}

static inline void wire_flush(struct wire *w) {
    struct socket_piece pieces[OUT_PIECES];
    size_t n;
    while ((n = wire_out(w, pieces)) > 0) {
        size_t written = 0;
        for (size_t i = 0; i < n; i++) {
            size_t piece = w->write_max ? MIN(pieces[i].n, w->write_max - written) : pieces[i].n;
            buf_add(&w->out, pieces[i].p, piece);
            written += piece;
        }
        connection_wrote(&w->connection, written, w->now_ns);
    }
}

/* Feeds all it takes, at most `step` bytes at once; returns how many it took. */
static inline size_t wire_feed(struct wire *w, struct str bytes, size_t step) {
    size_t at = 0;
    while (at < bytes.n) {
        wire_flush(w);
        if (!connection_wants_input(&w->connection)) break;
        struct room room = connection_room(&w->connection, w->now_ns);
        size_t n = MIN(MIN(room.n, step), bytes.n - at);
        if (room.n == 0) continue;
        memcpy(room.p, bytes.p + at, n);
        at += n;
        wire_enter(w);
        connection_fed(&w->connection, n, w->now_ns);
        wire_leave(w);
    }
    wire_flush(w);
    return at;
}

static inline void wire_end(struct wire *w) {
    if (connection_wants_input(&w->connection)) {
        struct room room = connection_room(&w->connection, w->now_ns);
        if (room.n) connection_fed(&w->connection, 0, w->now_ns);
    }
    wire_enter(w);
    connection_ended(&w->connection, w->now_ns);
    wire_leave(w);
    wire_flush(w);
}

/* The clock moves; what became due happens. */
static inline void wire_wait(struct wire *w, int64_t ns) {
    w->now_ns += ns;
    wire_enter(w);
    connection_time_out(&w->connection, w->now_ns);
    wire_leave(w);
    wire_flush(w);
}
