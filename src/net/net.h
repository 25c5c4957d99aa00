/* net: HTTP/1.1 (RFC 9112) and HTTP/2 (RFC 9113) on an event loop, and a blocking client for the command line.
 *
 *   loop ─ accept ─▶ connection ─ llhttp ─▶ request (head, then body ≤ limit) ─▶ handler ─▶ reply, now or later
 *
 * The server reads a whole request before it calls the handler (bodies are inflated by the caller: net/inflate.h). A handler
 * answers with http_reply, once, at once or later and from any thread; until then the connection reads nothing more, so a
 * client that pipelines waits. A connection that went away makes http_reply a no-op; a handler that works for long asks
 * http_is_abandoned now and then.
 *
 * Hostile input: strict framing (space before colon, bare CR or LF, obs-fold, both Content-Length and Transfer-Encoding, two
 * lengths, bad chunk sizes: 400 and close); head ≤ 60 KiB (431) and ≤ 100 fields; target ≤ 48 KiB (414); body ≤ limit (413, close,
 * judged by Content-Length before a byte of it is read); head within 10 s, body at ≥ 1 KiB/s after 10 s (408); idle 75 s; at most
 * `connections_max`, the idlest closed first when a new one comes, 503 when none is idle. An answer must be read at ≥ 1 KiB/s
 * over each minute. HTTP/1.0 is answered and closed. `Expect: 100-continue` is honoured. HEAD gets the head alone. A request
 * without Host is 400.
 *
 * HTTP/2 is spoken to who begins with its preface; a stream is a request like any other, with the same limits, and h2_priv.h says
 * what floods meet. There a refusal ends its stream alone, and `close` of a reply says nothing.
 *
 * A body may also come in pieces (http_stream_receive), in HTTP/2 and where takes_pieces says so.
 *
 * Memory: an idle connection keeps no buffers (≤ 1 KiB); one with a request under way has 4 KiB. Bodies in flight, and heads
 * beyond that, draw from the budget until the reply: over it 429 + Retry-After (a body ≤ 1 MiB is read over and the connection
 * kept). Of a Content-Length 512 KiB are allocated at once, the rest as it comes.
 * Threads: one server belongs to one loop; http_reply may be called from any thread.
 */
#pragma once

#include "base/base.h"
#include "net/tls.h"

struct budget;
struct loop;

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_OPTIONS, HTTP_OTHER };

struct http_field {
    struct str name, value;
};

struct http_request; /* alive from the handler's call until http_reply */
enum http_method http_method(const struct http_request *r);
struct str http_method_text(const struct http_request *r);
struct str http_target(const struct http_request *r); /* as sent: path and query */
/* Percent-decoded, without query; "/" at least; never with NUL or ".." (400). A decoded %2F looks like any other "/": who needs
 * to tell them apart cuts http_target. */
struct str http_path(const struct http_request *r);
struct str http_query(const struct http_request *r); /* raw, after '?' */
/* The first of that name, any case, without blanks around it; {NULL, 0} if absent. */
struct str http_field(const struct http_request *r, struct str name);
size_t http_field_count(const struct http_request *r, struct str name); /* how many of that name were sent */
struct str http_body(const struct http_request *r);
bool http_body_is_left(const struct http_request *r); /* it was not trusted, see the options: the body is empty */
bool http_is_h2(const struct http_request *r);
struct str http_peer(const struct http_request *r); /* "127.0.0.1:4711" */
void *http_listener_context(const struct http_request *r);
/* Nobody waits for the answer any more: the connection broke, or its client ended its side `end_ns` ago. From any thread, until
 * http_reply, which is still due. */
bool http_is_abandoned(const struct http_request *r);
bool http_is_tls(const struct http_request *r);
/* Of the client's certificate, which was verified: the subject as "CN=agent-7,O=Example" (RFC 2253), and its alternative names
 * as "DNS:agent-7.example URI:spiffe://example/agent" (DNS, IP, URI and email; odd ones are left out). Each at most 4 KiB,
 * a subject over that is empty. {NULL, 0} without a certificate. Borrowed until http_reply. */
struct str http_client_subject(const struct http_request *r);
struct str http_client_names(const struct http_request *r);
/* A parameter of the query or, after those, of a form body, decoded into memory of the request; false if absent. The n-th of
 * the same name. A % that is no escape stands for itself. At most 1,000 parameters (400), forms at most 1 MiB (413). */
bool http_param(struct http_request *r, struct str name, size_t nth, struct str *out);
/* Calls fn for every parameter in order (to refuse unknown ones by name). */
void http_params_each(struct http_request *r, void (*fn)(void *context, struct str name, struct str value),
                      void *context);

struct http_reply {
    int status;
    struct str content_type;         /* empty: none */
    struct str body;                 /* copied if body_owned is NULL */
    void *body_owned;                /* mem_free'd when sent: body points into it */
    const struct http_field *fields; /* more header fields; values are refused (assert) with CR, LF or NUL in them */
    size_t field_count;
    const struct http_field *trailers; /* after the body; HTTP/1.1 leaves them out */
    size_t trailer_count;
    bool close;
};
/* Date, Content-Length and Connection are the server's to write. A 204 or 304 and the answer to HEAD go out without body. */
void http_reply(struct http_request *r, const struct http_reply *reply);

/* An answer in pieces, for server-sent events and calls that stream: chunked in HTTP/1.1 (until the end in 1.0), DATA in HTTP/2.
 *
 *   http_stream_begin ─ write … write ─▶ http_stream_end, always: also when the client is gone
 *
 * From any thread, one at a time for one stream but is_gone and held. What a slow reader leaves lying here is at most held_max (and 48
 * KiB on its way), drawn from the budget. The times of `write_ns` count while something waits for the reader. */
struct http_stream;
enum http_stream_state {
    HTTP_STREAM_OK,
    HTTP_STREAM_SLOW, /* nothing was taken: over held_max, or the budget; try later, or drop */
    HTTP_STREAM_GONE, /* nobody reads: the client went away, or the server drains */
};
/* Answers r, in place of http_reply: status, type and fields of head, which has no body. r lives until http_stream_end. */
struct http_stream *http_stream_begin(struct http_request *r, const struct http_reply *head, size_t held_max);
enum http_stream_state http_stream_write(struct http_stream *s, struct str bytes); /* all or nothing */
size_t http_stream_held(struct http_stream *s);                                    /* bytes that wait */
bool http_stream_is_gone(struct http_stream *s);
void http_stream_end(struct http_stream *s, const struct http_field *trailers, size_t n); /* s and r are gone */

/* A body in pieces, for calls that stream in: of a request that takes_pieces picked, its handler is called once the head is there. And what comes on a
 * connection of HTTP/1.1 after an upgrade: http_stream_begin with status 101, and fields that say to what; then its bytes go both ways as they are, and
 * the connection ends with the stream.
 *
 *   handler: http_stream_begin, http_stream_receive ─▶ receiver … receiver ─▶ http_stream_end, in its last call or before
 *
 * A receiver is called when bytes came, when room came into the answer, and at the end of either: with all bytes not yet taken. It
 * returns how many of them it takes; what it leaves waits, drawn from the budget, and the client may send at most 1 MiB before more
 * is taken (after an upgrade 4 KiB). On the loop's thread, also the stream's writes and its end then; it must not block. */
enum http_input {
    HTTP_INPUT_OPEN,
    HTTP_INPUT_IDLE,  /* after an upgrade: nothing came for half of idle_ns; time to ask whether anybody is there */
    HTTP_INPUT_ENDED, /* the client sends no more: what is left is all */
    /* the last call, http_stream_end is due */
    HTTP_INPUT_LATE, /* nothing was taken for idle_ns */
    HTTP_INPUT_BUSY, /* over the budget, or the server drains */
    HTTP_INPUT_GONE, /* the client went away */
};
typedef size_t http_receiver(void *context, struct str bytes, enum http_input input);
/* Inside the handler's call, of HTTP/2 or after an upgrade. A handler that answers with http_reply instead gets nothing of the body. */
void http_stream_receive(struct http_stream *s, http_receiver *fn, void *context);

struct http_server;
struct http_server_options {
    void (*handler)(struct http_request *r);
    /* What the server itself refuses (bad framing, limits, timeouts, the budget) in the words of whoever listens there: appends the
     * body and gives its content type (static text). NULL: the reason as plain text. target: as far as it was read. content_type: the
     * request's; p NULL if it has none or was not read so far. Must not block. */
    struct str (*refusal)(void *listener_context, struct str target, struct str content_type, int status,
                          struct str reason, struct buf *out);
    /* Whether the body of a request of HTTP/2, of which the head is there, is taken in pieces. NULL: none is. */
    bool (*takes_pieces)(void *listener_context, const struct http_request *r);
    /* Asked by the head alone before more than 4 KiB of a body are taken, or one of unknown length by chunks. False: the rest is left
     * unread and the handler called at once, so that strangers hold no memory. NULL: all are trusted. Must not block. */
    bool (*is_trusted)(const struct http_request *r, void *listener_context);
    size_t body_max;        /* default 64 MiB */
    size_t connections_max; /* default 16,384 */
    struct budget *budget;  /* NULL: none; outlives the last request */
    /* 0: the default */
    int64_t head_ns;      /* from the first byte of a request to the end of its head: 10 s */
    int64_t idle_ns;      /* between requests, or pieces that are taken: 75 s */
    int64_t body_ns;      /* each such window must bring 1 KiB/s or the body's end: 10 s */
    int64_t write_ns;     /* each such window must take 1 KiB/s or the answer's end: 60 s */
    int64_t handshake_ns; /* of TLS, from accept to end: 10 s */
    int64_t end_ns;       /* a client that sends no more may be half-closed: it still waits for so long: 1 s */
    int64_t
        linger_ns; /* a refused body is read on for so long, so that the client sees the refusal before a reset: 2 s */
};
err http_server_new(struct loop *l, const struct http_server_options *o, struct http_server **out);
/* One more address; context is told to the handler. out_bound: the real address. */
err http_server_listen(struct http_server *s, const char *address, void *context, char out_bound[64]);
/* The same by TLS; tls (NULL: plain text) outlives the server. A client that speaks plain HTTP there gets a 400 that says so;
 * one that speaks TLS to a plain port is closed, with a log line. */
err http_server_listen_tls(struct http_server *s, const char *address, struct tls *tls, void *context,
                           char out_bound[64]);
/* On the loop's thread. Closes listeners and idle connections, and every other one after its answer; calls done when the last
 * request was answered, or at the deadline, never inside this call; done may free the server. */
void http_server_drain(struct http_server *s, int64_t deadline_monotonic_ns, void (*done)(void *context),
                       void *context);
void http_server_free(struct http_server *s); /* on the loop's thread or after it ended */
struct http_server_stats {
    uint64_t connections, accepted, requests, bytes_in, bytes_out;
    uint64_t tls_handshakes, tls_failures; /* completed; broken, refused or too slow */
    int64_t tls_expires_s;                 /* the earliest end of a certificate in use, unix time; 0: no TLS */
    uint64_t refused[600 / 100 + 1];       /* by the server itself, not by the handler: [4] 4xx, [5] 5xx */
};
void http_server_get_stats(const struct http_server *s, struct http_server_stats *out); /* from any thread; roughly */

const char *http_status_text(int status);
