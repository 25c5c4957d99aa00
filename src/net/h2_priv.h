/* HTTP/2 (RFC 9113) of one connection: nghttp2 frames and compresses heads, here are limits, memory and time.
 *
 *   bytes ─ nghttp2 ─▶ HEADERS ─▶ HEAD ─ judged ─▶ BODY ─ END_STREAM ─▶ WAITING ─ reply ─▶ WRITING ─▶ closed, and gone
 *                                  ├── in pieces: WAITING ─▶ WRITING, and its receiver takes them meanwhile
 *                                  └── refused: read over until the client is done, or linger_ns; then the answer ──┘
 *
 * Each stream is an http_request, given to the same handler and answered by the same http_reply as in HTTP/1.1.
 *
 * Invariants:
 * 1. All that nghttp2 keeps for a connection, its output and its streams are taken from the budget, in steps, and are at most
 *    H2_MEMORY_MAX; bodies and heads are the requests' (request_priv.h), their blocks too.
 * 2. No input is taken while H2_OUT_MAX of output wait: what a peer makes us say it must read.
 * 3. A window opens only for bytes that were copied to where they stay, or that nobody wants; of a body in pieces the stream's own
 *    only for what its receiver took, so that at most H2_STREAM_WINDOW wait.
 * 4. Frames that bring nothing (resets of either side, PING, SETTINGS, PRIORITY, empty DATA, invalid ones) cost a token each:
 *    GLITCHES_BURST, and GLITCHES_S more a second; who has none left gets GOAWAY, ENHANCE_YOUR_CALM.
 * 5. A handler keeps its request when the stream is closed: its reply then goes nowhere.
 *
 * Owner: the http_connection. Threads: the loop's.
 */
#pragma once

#include <nghttp2/nghttp2.h>

#include "net/connection_priv.h"

#define H2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

enum {
    H2_STREAMS_MAX = 128,
    H2_STREAM_WINDOW = 1024 * 1024,
    H2_CONNECTION_WINDOW = 4 * 1024 * 1024,
    H2_MEMORY_MAX = 1024 * 1024,
    H2_MEMORY_STEP = 16 * 1024,
    H2_OUT_MAX = 32 * 1024, /* and one frame */
    H2_HEAD_BOMB = 4 * HEAD_MAX,
    H2_REPLY_FIELDS_MAX = 64,
};

enum h2_state { H2_HEAD, H2_BODY, H2_WAITING, H2_WRITING };

struct h2_stream {
    struct h2 *h2;
    struct http_request *request;
    struct h2_stream *next, *before;
    int64_t mark_ns;  /* when the state, or the window of its rate, began */
    int64_t taken_ns; /* when its receiver took something, or began */
    uint64_t window_bytes;
    size_t body_n, body_expected; /* of pieces: what waits. expected: by Content-Length or gRPC's prefix; 0: unknown */
    size_t head_bytes, out_at, trailers_at;
    int32_t id;
    int status; /* to refuse with, once the head is whole; 0: none */
    enum h2_state state;
    bool client_is_done; /* END_STREAM came */
    bool is_trusted;     /* asked once, when its body grows over BODY_OF_STRANGERS */
    bool
        lingers; /* its body is not wanted: read over for linger_ns, since many hear an answer only once they have sent all */
    bool nothing_to_send; /* an answer in pieces, of which none waits */
};

struct h2 {
    struct http_connection *connection;
    nghttp2_session *session;
    struct h2_stream *streams;
    uint32_t stream_count;
    int64_t now_ns;
    int64_t due_ns; /* of the streams: not later than the first */
    int64_t
        end_due_ns; /* the client sends no more: then who still waits is taken for gone; INT64_MAX: not so, or done */
    int64_t glitches_ns, glitches_at_ns;
    size_t memory_used, memory_taken; /* (1) */
    char *out;
    size_t out_n, out_at, out_capacity;
    int64_t out_mark_ns;
    bool roomy;  /* an answer in pieces moved on: its receiver may take more */
    bool deaf;   /* a flood that nghttp2 saw: it must not be fed again */
    bool broken; /* nothing can be said any more */
};

/* ---- h2.c: the connection, behind the functions of connection_priv.h ---- */

bool h2_open(struct http_connection *c, int64_t now_ns); /* false: over the budget */
void h2_close(struct http_connection *c);                /* takes a connection without */
bool h2_wants_input(const struct http_connection *c);
void h2_fed(struct http_connection *c, const char *bytes, size_t n, int64_t now_ns);
void h2_ended(struct http_connection *c, int64_t now_ns);
size_t h2_out(struct http_connection *c, struct socket_piece out[OUT_PIECES]);
void h2_wrote(struct http_connection *c, size_t n, int64_t now_ns);
void h2_replied(struct http_request *r, int64_t now_ns);
int64_t h2_due_ns(const struct http_connection *c);
void h2_time_out(struct http_connection *c, int64_t now_ns);
void h2_drain(struct http_connection *c, int64_t now_ns);

void *h2_memory_grow(struct h2 *h, void *old, size_t n); /* NULL: over a limit, old is as it was */
void h2_memory_free(struct h2 *h, void *p);              /* takes NULL */
void h2_calm(struct h2 *h);                              /* GOAWAY, ENHANCE_YOUR_CALM */
/* nghttp2's code: what cannot go on ends the connection. */
void h2_check(struct h2 *h, int code);

/* ---- h2_stream.c ---- */

struct h2_stream *stream_begin(struct h2 *h, int32_t id); /* NULL: over the budget */
void stream_end(struct h2_stream *s);
void stream_field(struct h2_stream *s, struct str name, struct str value);
void stream_head_done(struct h2_stream *s);
/* What a trailer holds is of no interest here, but for its size. */
void stream_trailer_field(struct h2_stream *s, struct str name, struct str value);
void stream_data(struct h2_stream *s, struct str data);
void stream_input_done(struct h2_stream *s);
/* A body in pieces: more of it, for which its stream's window stays shut (3); and what its receiver shall hear. */
bool stream_has_receiver(const struct h2_stream *s);
void stream_piece(struct h2_stream *s, struct str data);
void stream_offer(struct h2_stream *s, enum http_input input); /* without a receiver: nothing */
void stream_reply(struct h2_stream *s);                        /* the request's reply is written: sends it */
void stream_pushed(struct h2_stream *s);                       /* more of a reply in pieces, or its end */
int64_t stream_due_ns(const struct h2_stream *s);
void stream_time_out(struct h2_stream *s);
void stream_cancel(struct h2_stream *s); /* RST_STREAM(CANCEL) */
