/* net: HTTP/1.1 (RFC 9112) on an event loop, and a blocking client for the command line.
 *
 *   loop ─ accept ─▶ connection ─ llhttp ─▶ request (head, then body ≤ limit) ─▶ handler ─▶ reply, now or later
 *
 * The server reads a whole request before it calls the handler (bodies are inflated by the caller: net/inflate.h). A handler
 * answers with http_reply, once, at once or later and from any thread; until then the connection reads nothing more, so a
 * client that pipelines waits. A connection that went away makes http_reply a no-op.
 *
 * Hostile input: strict framing (space before colon, bare CR or LF, obs-fold, both Content-Length and Transfer-Encoding, two
 * lengths, bad chunk sizes: 400 and close); head ≤ 32 KiB (431) and ≤ 100 fields; target ≤ 8 KiB (414); body ≤ limit (413, close,
 * judged by Content-Length before a byte of it is read); head within 10 s, body at ≥ 1 KiB/s after 10 s (408); idle 75 s; at most
 * `connections_max`, the idlest closed first when a new one comes, 503 when none is idle. HTTP/1.0 is answered and closed.
 * `Expect: 100-continue` is honoured. HEAD gets the head alone. A request without Host is 400.
 *
 * Memory: an idle connection keeps no buffers (≤ 1 KiB). Bodies in flight draw from the budget: over it 429 + Retry-After.
 * Threads: one server belongs to one loop; http_reply may be called from any thread.
 */
#pragma once

#include "base/budget.h"
#include "os/loop.h"

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_OPTIONS, HTTP_OTHER };

struct http_field { struct str name, value; };

struct http_request; /* alive from the handler's call until http_reply */
enum http_method http_method(const struct http_request *r);
struct str http_method_text(const struct http_request *r);
struct str http_target(const struct http_request *r); /* as sent: path and query */
struct str http_path(const struct http_request *r);   /* percent-decoded, without query; "/" at least; never with NUL or "..": 400 */
struct str http_query(const struct http_request *r);  /* raw, after '?' */
struct str http_field(const struct http_request *r, struct str name); /* first of that name, any case; {NULL,0} if absent */
struct str http_body(const struct http_request *r);
struct str http_peer(const struct http_request *r);   /* "127.0.0.1:4711" */
void *http_listener_context(const struct http_request *r);
/* A query or form parameter, decoded into memory of the request; false if absent. The n-th of the same name. */
bool http_param(struct http_request *r, struct str name, size_t nth, struct str *out);
/* Calls fn for every parameter in order (to refuse unknown ones by name). */
void http_params_each(struct http_request *r, void (*fn)(void *context, struct str name, struct str value), void *context);

struct http_reply {
    int status;
    struct str content_type;      /* empty: none */
    struct str body;              /* copied if body_owned is NULL */
    void *body_owned;             /* mem_free'd when sent: body points into it */
    const struct http_field *fields; /* more header fields; values are refused (assert) with CR, LF or NUL in them */
    size_t field_count;
    bool close;
};
void http_reply(struct http_request *r, const struct http_reply *reply);

struct http_server;
struct http_server_options {
    void (*handler)(struct http_request *r);
    size_t body_max;        /* default 64 MiB */
    size_t connections_max; /* default 16,384 */
    struct budget *budget;  /* NULL: none */
};
err http_server_new(struct loop *l, const struct http_server_options *o, struct http_server **out);
/* One more address; context is told to the handler. out_bound: the real address. */
err http_server_listen(struct http_server *s, const char *address, void *context, char out_bound[64]);
/* Closes listeners and idle connections; calls done on the loop's thread when the last request was answered, or at the deadline. */
void http_server_drain(struct http_server *s, int64_t deadline_monotonic_ns, void (*done)(void *context), void *context);
void http_server_free(struct http_server *s); /* on the loop's thread or after it ended */
struct http_server_stats { uint64_t connections, accepted, requests, bytes_in, bytes_out, refused[600 / 100 + 1]; };
void http_server_get_stats(const struct http_server *s, struct http_server_stats *out); /* from any thread; roughly */

const char *http_status_text(int status);
