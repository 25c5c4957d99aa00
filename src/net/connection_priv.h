/* One connection as bytes in, bytes out: no sockets, no clock, so that tests and the fuzzer drive it directly.
 *
 *             first byte        head         body            reply             all written
 *      IDLE ───────────▶ HEAD ──────▶ BODY ──────▶ WAITING ──────▶ WRITING ─────────────────▶ IDLE, or HEAD (pipelined)
 *                          │            │                            │ in pieces: PUSHING ⟲ ─ last piece ▶ WRITING
 *                          │            │ over the budget, small: DISCARD ──▶ ▲   │ close
 *                          └── refused ─┴─────────────────────────────────────┘   └▶ LINGER (input unread) ▶ DEAD
 *
 * Whoever drives it: room → read into it → fed; out → write → wrote; due → time_out; on an end of input, ended. After each of
 * these, look at out and wants_input again.
 *
 * A connection whose first 24 bytes are HTTP/2's preface (RFC 9113 §3.4), or that agreed on it, goes on in h2.c:
 *
 *      IDLE ◀──────▶ STREAMS (some stream is open) ──▶ LINGER ▶ DEAD
 *
 * Invariants:
 * 1. IDLE, LINGER and DEAD hold no request block, so an idle connection has no buffers (except between room and fed, and what HTTP/2
 *    keeps: its header tables).
 * 2. Input is taken in every state but WAITING and WRITING (in PUSHING to learn of the client's end, until there is some); there it waits in the kernel, or as leftover in the block.
 * 3. Of a body that is not chunked nothing goes through the input buffer but what came along with the head.
 * 4. Every byte of body memory is taken from the budget first and given back when the request ends.
 * 5. A reply that closes, while input of the client is unread, lingers: a reset would take the reply with it.
 *
 * The engine is what connections of one server share. Owner and threads: the loop's, but for what is atomic.
 */
#pragma once

#include <stdatomic.h>

#include "net/net.h"
#include "net/request_priv.h"
#include "os/socket.h"

enum {
    SCRATCH_SIZE = 64 * 1024,     /* where discarded input goes */
    CHUNKED_READ_MAX = 24 * 1024, /* at once, so that what follows the body fits the input buffer */
    BODY_AT_ONCE = 512 * 1024,    /* of a Content-Length; the rest as it comes */
    DISCARD_MAX = 1024 * 1024,    /* a refused body up to this is read over and the connection kept */
    BODY_POOL_MAX = 16,           /* buffers */
    BODY_POOL_BYTES_MAX = 8 * 1024 * 1024,
    BODY_POOLED_MIN = 64 * 1024, /* smaller ones are malloc's */
    REQUESTS_SPARE_MAX = 64,
    RATE_BYTES_S = 1024, /* what a body or an answer must move, window by window */
};

struct http_engine {
    struct http_server_options options; /* with the defaults filled in */
    /* Hands to the loop a reply that was not made inside the handler's call, or news of one in pieces; it ends in connection_replied.
     * is_last: none follows for this request. */
    void (*deliver)(struct http_engine *e, struct http_request *r, bool is_last);
    bool dated; /* replies carry Date */
    atomic_bool draining;
    struct http_request *spare;
    size_t spare_count, live_requests;
    struct {
        char *p;
        size_t capacity;
    } bodies[BODY_POOL_MAX];
    size_t bodies_count, bodies_bytes;
    char *scratch;
    _Atomic uint64_t connections, accepted, requests, bytes_in, bytes_out, refused[600 / 100 + 1];
};

void engine_init(struct http_engine *e, const struct http_server_options *o);
void engine_done(struct http_engine *e); /* requests still with a handler live on */
char *body_take(struct http_engine *e, size_t n, size_t *out_capacity);
void body_give(struct http_engine *e, char *p, size_t capacity);
void body_pool_clear(struct http_engine *e);
struct http_request *request_take(struct http_engine *e);
void request_give(struct http_request *r);  /* loop's thread: back to the spare ones */
void request_again(struct http_request *r); /* for the next request: what follows input_used goes to the front */
/* Room for n bytes of input altogether; false over the budget. */
bool request_input_reserve(struct http_request *r, size_t n);
/* Body memory, from the budget first: nothing is taken when false. */
bool request_body_budget(struct http_request *r, size_t n);
/* For the body of a reply, until it was sent: from any thread. Small ones are drawn whatever the limit says, so that a full budget can be
 * asked about; nothing new begins over it. False: over the budget. */
bool request_reply_budget(struct http_request *r, size_t n);
void request_body_budget_return(struct http_request *r, size_t n);
void request_body_drop(struct http_request *r);
void request_forget(struct http_request *r); /* any thread, once the engine is done */

bool request_is_trusted(const struct http_request *r, void *listener_context); /* with a body over BODY_OF_STRANGERS */

/* Judges a whole request's parameters and runs the handler: 0, or the status to refuse with (r->reason says why). *out_replied: it
 * answered at once, and no connection_replied follows. */
int request_dispatch(struct http_request *r, struct http_connection *c, bool *out_replied);
size_t request_body_max(const struct http_request *r);

enum connection_state {
    CONNECTION_IDLE,
    CONNECTION_HEAD,
    CONNECTION_BODY,
    CONNECTION_DISCARD,
    CONNECTION_WAITING,
    CONNECTION_WRITING,
    CONNECTION_PUSHING, /* an answer in pieces */
    CONNECTION_STREAMS, /* HTTP/2 with streams open, or something to say */
    CONNECTION_LINGER,
    CONNECTION_DEAD
};

struct http_connection {
    struct http_engine *engine;
    struct h2 *h2; /* once it speaks HTTP/2; `request` is NULL then, and the state IDLE or STREAMS */
    struct http_request *request;
    void *listener_context;
    int64_t mark_ns;             /* when the state, or the window of its rate, began; WAITING: when the end was seen */
    uint64_t window_bytes;       /* moved since */
    uint64_t body_n;             /* bytes of body so far; of DISCARD: to come */
    uint64_t out_n;              /* bytes of out and reply_body written */
    uint8_t state, interim_left; /* of "HTTP/1.1 100 Continue" */
    bool begun;                  /* not at its first bytes any more, which may be HTTP/2's preface */
    bool ended;                  /* the client sends no more */
    bool end_seen;               /* WAITING: so it is, though there may be input before the end */
    bool unread;                 /* the client may still be sending what we will not read */
    bool is_tls;
    struct tls_identity *identity; /* of the client, a reference; NULL: none */
    bool shut;                     /* set on the way to LINGER: shut the write side down, then clear it */
    char peer[64];
};

void connection_open(struct http_connection *c, struct http_engine *e, void *listener_context, int64_t now_ns);
void connection_close(struct http_connection *c); /* gone: DEAD; a handler keeps its request */

/* Right after connection_open: HTTP/2 was agreed upon (ALPN "h2"). Without it the client's first bytes say which it is. */
void connection_use_h2(struct http_connection *c, int64_t now_ns);
/* The server drains: HTTP/2 says GOAWAY. */
void connection_drain(struct http_connection *c, int64_t now_ns);

bool connection_wants_input(const struct http_connection *c);
struct room {
    char *p;
    size_t n;
};
/* wants_input holds; n is 0 if that refused the request: out has the answer. */
struct room connection_room(struct http_connection *c, int64_t now_ns);
void connection_fed(struct http_connection *c, size_t n, int64_t now_ns); /* n may be 0 */
void connection_ended(struct http_connection *c, int64_t now_ns);
/* WAITING: the client's end of input is in the kernel, unread (2). After end_ns its request is abandoned. */
void connection_end_seen(struct http_connection *c, int64_t now_ns);

enum { OUT_PIECES = 3 };
size_t connection_out(struct http_connection *c, struct socket_piece out[OUT_PIECES]); /* 0: nothing to write */
void connection_wrote(struct http_connection *c, size_t n, int64_t now_ns);
/* The reply is there, or more of one in pieces; r->connection may be NULL: then the request ends here, if it is final. */
void connection_replied(struct http_request *r, int64_t now_ns);

int64_t connection_due_ns(const struct http_connection *c); /* INT64_MAX: never */
void connection_time_out(struct http_connection *c, int64_t now_ns);
/* Answers 503 and closes: for a connection too many. */
void connection_refuse_busy(struct http_connection *c, int64_t now_ns);
/* Answers 400 and closes: for plain HTTP on a port of TLS. */
void connection_refuse_plain(struct http_connection *c, int64_t now_ns);
