/* Many HTTP GETs at once on one thread, each bounded in time and memory: what scrapes are made with.
 *
 *   fetch_start ─▶ under way (libcurl's multi handle) ─ fetcher_run_wait ─▶ done(context, e, answer)
 *
 * A fetch ends at its deadline whatever the other side does; its body, as it comes and unpacked, is at most body_max and drawn from the budget as it
 * grows; fields of heads are 64 KiB at most. A body whose Content-Encoding is gzip is unpacked, asked for or not, and must be whole: one member or more,
 * each with its trailer (RFC 1952); nothing at all is none. Bodies of other encodings come as they are, as Go's clients have it. Connections, those that are kept to be used again among them, are 2,048 at most, and no more than half of the files
 * that the process may open when the fetcher is made: the rest of the program needs files, too.
 * Owner: what a request points to lives until its done, which runs within fetcher_run_wait, once a fetch, and may start another. Threads: one a
 * fetcher, but fetcher_wake, which any may call.
 * Errors (of done): ERR_UNAVAILABLE (network, TLS, deadline), ERR_INVALID (gzip that is damaged or cut short), ERR_LIMIT (body), ERR_BUSY (budget).
 * Statuses are not errors. */
#pragma once

#include "net/client.h"

struct budget;
struct http_fetcher;

struct http_fetch {
    const char *url;
    const char *const *fields; /* "Name: value" lines, NULL-terminated */
    int64_t timeout_ns;
    size_t body_max;
    struct budget *budget; /* NULL: none */
    bool gzip;             /* asks for it; else for identity */
    bool follow_redirects;
    bool
        once; /* the connection is not kept: for who asks more servers in turn than connections are kept, so that none would be found again */
    const char *user, *password; /* basic; NULL: none. Not sent to other hosts by a redirect */
    const char *bearer;          /* the same for "Authorization: TYPE CREDENTIALS", a whole value */
    const char *proxy;           /* URL; NULL: none, whatever the environment says */
    const char
        *connect_to; /* "HOST:PORT:ADDRESS:PORT": TLS and names are those of HOST, bytes go to ADDRESS; NULL: no */
    struct http_client_tls tls;
    void (*done)(void *context, err e,
                 const struct http_answer *answer); /* takes e; the answer, without an error, lives until it returns */
    void *context;
};

err http_fetcher_new(struct http_fetcher **out); /* ERR_UNAVAILABLE without libcurl */
void http_fetcher_free(struct http_fetcher *f);  /* ends what is under way without done; takes NULL */
err http_fetch_start(struct http_fetcher *f, const struct http_fetch *request);
size_t http_fetcher_busy(const struct http_fetcher *f); /* how many are under way */
size_t http_fetcher_max(const struct http_fetcher *f);  /* how many should be at most; the caller waits */
/* Moves what is under way on until monotonic `until_ns`, or a wake, or something was done; zero: does not wait. */
void http_fetcher_run_wait(struct http_fetcher *f, int64_t until_ns);
void http_fetcher_wake(struct http_fetcher *f);
