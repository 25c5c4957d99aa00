/* A blocking HTTP client for the command line and the load generator: libcurl, opened on first use (dlopen), so that a
 * server that never calls out does not carry it. One client is one keep-alive connection; it belongs to one thread.
 * https: TLS 1.2 or newer; the certificate must be good for the URL's host, by the system's authorities or those given. What is wrong
 * with one is ERR_DENIED and said with its subject, names, issuer and dates. */
#pragma once

#include "base/base.h"

/* A URL as it may be shown in logs and answers: without its user and password. The text is out's, which is cleared first. */
const char *url_shown(const char *url, struct buf *out);

struct http_client;
struct http_answer {
    int status;
    struct buf body;
    char content_type[128];
    int64_t retry_after_s;  /* -1: none */
    int grpc_status;        /* in head or trailers; -1: none */
    int64_t grpc_retry_ns;  /* of a RetryInfo; -1: none */
    char grpc_message[256]; /* cut, percent-encoded as it came */
};
/* Another try may help: too many requests, or nobody there behind a gateway (OTLP/HTTP, Retryable Response Codes). */
static inline bool http_status_passes(int status) { return status == 429 || (status >= 502 && status <= 504); }
err http_client_new(struct http_client **out);  /* ERR_UNAVAILABLE with the package's name when libcurl is missing */
void http_client_use_h2(struct http_client *c); /* from now on HTTP/2, by prior knowledge */
void http_client_free(struct http_client *c);
struct http_client_tls {
    const char *ca_file;          /* PEM: these authorities alone are trusted; NULL: the system's */
    const char *certificate_file; /* PEM: this client's, with its chain; NULL: none */
    const char *key_file;         /* its key */
    bool insecure;                /* believes any certificate for any host */
};
void http_client_trust(struct http_client *c,
                       const struct http_client_tls *tls); /* before calls; the texts outlive c */
/* Ends calls that are under way, within a second, and those that begin, while `asked` says so (from the calling thread). ERR_UNAVAILABLE. */
void http_client_end_if(struct http_client *c, bool (*asked)(void *context), void *context);
/* method "GET"…; fields "Name: value" lines, NULL-terminated, or NULL. The answer's body is at most body_max. The caller ends it
 * with buf_done(&out->body). Network errors are ERR_UNAVAILABLE naming the URL, as url_shown; statuses are not errors. */
err http_call_wait(struct http_client *c, const char *method, const char *url, const char *const *fields,
                   struct str body, int64_t timeout_ns, size_t body_max, struct http_answer *out);
/* The same for a stream: gives a 200's body to on_bytes as it comes, until the stream ends, on_bytes returns false, or nothing came for
 * quiet_ns (ERR_UNAVAILABLE). The body of any other status is in *out, as above, at most 64 KiB. */
struct http_stream_sink {
    bool (*on_bytes)(void *context, struct str bytes);
    void *context;
    int64_t quiet_ns;
};
err http_follow_wait(struct http_client *c, const char *url, const char *const *fields,
                     const struct http_stream_sink *sink, struct http_answer *out);
