#include "net/client.h"

#include "base/text.h"
#include "net/curl_priv.h"
#include "net/grpc.h"
#include "net/tls_priv.h"
#include "os/clock.h"

enum { CERTIFICATE_TEXT_MAX = 512 };
struct http_client {
    CURL *handle;
    bool h2, h2_begun; /* begun: the connection speaks it */
    struct http_client_tls tls;
    bool (*asked)(void *context); /* whether calls shall end; NULL: nobody asks */
    void *asked_context;
    char error[CURL_ERROR_SIZE];
    struct buf certificate; /* what the last handshake showed and, if it was refused, refused */
    bool certificate_refused;
};

err http_client_new(struct http_client **out) {
    TRY(curl_open());
    CURL *handle = curl.easy_init();
    if (!handle) return err_new(ERR_UNAVAILABLE, "libcurl gives no handle");
    struct http_client *c = mem_new_of(struct http_client);
    c->handle = handle;
    buf_init(&c->certificate, CERTIFICATE_TEXT_MAX);
    *out = c;
    return NULL;
}

void http_client_use_h2(struct http_client *c) { c->h2 = true; }

void http_client_end_if(struct http_client *c, bool (*asked)(void *context), void *context) {
    c->asked = asked;
    c->asked_context = context;
}

void http_client_free(struct http_client *c) {
    if (!c) return;
    curl.cleanup(c->handle);
    buf_done(&c->certificate);
    mem_free(c);
}

/* ---- TLS -------------------------------------------------------------------------------------------------------- */

void http_client_trust(struct http_client *c, const struct http_client_tls *tls) { c->tls = *tls; }

/* Once a certificate of the chain, from the authority down to the server's. */
static int on_certificate(int good, X509_STORE_CTX *store) {
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct http_client *c = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), curl.client_index);
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    if (c->certificate_refused || !certificate) return good;
    c->certificate_refused = !good;
    buf_clear(&c->certificate);
    tls_describe(&c->certificate, certificate);
    return good;
}

/* Called by libcurl for each new connection, where it was built with OpenSSL. */
static CURLcode on_context(CURL *handle, void *context, void *client) {
    (void)handle;
    struct http_client *c = client;
    c->certificate_refused = false;
    buf_clear(&c->certificate);
    if (SSL_CTX_set_ex_data(context, curl.client_index, c))
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, on_certificate);
    return CURLE_OK;
}

static void set_tls(struct http_client *c) {
    CURL *h = c->handle;
    curl.setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (c->tls.certificate_file) curl.setopt(h, CURLOPT_SSLCERT, c->tls.certificate_file);
    if (c->tls.key_file) curl.setopt(h, CURLOPT_SSLKEY, c->tls.key_file);
    if (c->tls.insecure) {
        curl.setopt(h, CURLOPT_SSL_VERIFYPEER, 0L);
        curl.setopt(h, CURLOPT_SSL_VERIFYHOST, 0L);
        return;
    }
    if (c->tls.ca_file) {
        curl.setopt(h, CURLOPT_CAINFO, c->tls.ca_file);
        curl.setopt(h, CURLOPT_CAPATH, NULL);
    }
    curl.setopt(h, CURLOPT_SSL_CTX_DATA, c);
    curl.setopt(h, CURLOPT_SSL_CTX_FUNCTION, on_context);
}

/* ---- the answer as it comes ------------------------------------------------------------------------------------- */

struct call {
    const char *method, *url;
    const char *const *fields;
    struct str body;
    int64_t timeout_ns;                  /* of all of it; a stream has none */
    const struct http_stream_sink *sink; /* NULL: no stream */
};

struct reception {
    CURL *handle;
    const struct http_client *client;
    const struct call *call;
    struct http_answer answer;
    int64_t heard_at; /* of a stream: when the last byte came */
    bool enough;      /* on_bytes wants no more */
    bool in_head;     /* begun, and not over: libcurl says nothing of a connection that ends there */
    bool went;        /* the connection that spoke HTTP/2; nothing was sent yet */
};

static size_t on_body(char *p, size_t one, size_t n, void *context) {
    struct reception *r = context;
    const struct http_stream_sink *sink = r->call->sink;
    long status = 0;
    (void)one; /* always 1 */
    if (sink) curl.getinfo(r->handle, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200) {
        r->enough = !sink->on_bytes(sink->context, (struct str){p, n});
        r->heard_at = clock_monotonic_ns();
        return r->enough ? 0 : n;
    }
    buf_add(&r->answer.body, p, n);
    return r->answer.body.full ? 0 : n; /* less than n ends the transfer */
}

/* Called by libcurl at least once a second. */
static int on_progress(void *context, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up) {
    const struct reception *r = context;
    (void)down_all, (void)down, (void)up_all, (void)up;
    if (r->client->asked && r->client->asked(r->client->asked_context)) return 1;
    return r->call->sink && clock_monotonic_ns() - r->heard_at > r->call->sink->quiet_ns;
}

/* Called by libcurl on a connection, before the request. */
static int on_connected(void *context, char *ip, char *own_ip, int port, int own_port) {
    struct reception *r = context;
    long made = 0;
    (void)ip, (void)own_ip, (void)port, (void)own_port;
    curl.getinfo(r->handle, CURLINFO_NUM_CONNECTS, &made);
    r->went = made > 0;
    return r->went ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static void on_grpc_field(struct http_answer *answer, struct str name, struct str value) {
    int64_t ns;
    if (str_equal(name, STR("grpc-status-details-bin")) && grpc_retry_read(value, &ns)) answer->grpc_retry_ns = ns;
    if (!str_equal(name, STR("grpc-message"))) return;
    value.n = MIN(value.n, sizeof answer->grpc_message - 1);
    if (value.n) memcpy(answer->grpc_message, value.p, value.n);
    answer->grpc_message[value.n] = 0;
}

static size_t on_field(char *p, size_t one, size_t n, void *context) {
    struct reception *r = context;
    struct http_answer *answer = &r->answer;
    struct str name, value;
    uint64_t number = 0;
    (void)one;
    if (str_starts_with((struct str){p, n}, STR("HTTP/"))) r->in_head = true; /* trailers have no such line */
    if (!str_trim((struct str){p, n}).n) r->in_head = false;
    if (!str_cut((struct str){p, n}, ':', &name, &value)) return n;
    bool retry = str_equal_nocase(name, STR("retry-after")), grpc = str_equal_nocase(name, STR("grpc-status"));
    if (str_starts_with(name, STR("grpc-"))) on_grpc_field(answer, name, str_trim(value));
    if (!retry && !grpc) return n;
    err e = parse_u64(str_trim(value), &number);
    number = MIN(number, (uint64_t)INT32_MAX);
    if (!e && retry) answer->retry_after_s = (int64_t)number;
    if (!e && grpc) answer->grpc_status = (int)number;
    err_free(e); /* a date: as if it were not there */
    return n;
}

/* ---- the call --------------------------------------------------------------------------------------------------- */

static err field_list(const char *const *fields, struct curl_slist **out) {
    struct curl_slist *list = curl.list_append(NULL, "Expect:"); /* no wait for 100 Continue before a body */
    for (size_t i = 0; list && fields && fields[i]; i++) {
        struct curl_slist *longer = curl.list_append(list, fields[i]);
        if (!longer) curl.list_free(list);
        list = longer;
    }
    if (!list) return err_new(ERR_UNAVAILABLE, "no memory for header fields");
    *out = list;
    return NULL;
}

static void set_times(CURL *h, const struct call *call, struct reception *reception) {
    curl.setopt(h, CURLOPT_NOSIGNAL, 1L);
    if (!call->sink) {
        curl.setopt(h, CURLOPT_TIMEOUT_MS, (long)MAX(call->timeout_ns / 1000000, (int64_t)1));
        if (!reception->client->asked) return;
    }
    curl.setopt(h, CURLOPT_NOPROGRESS, 0L);
    curl.setopt(h, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl.setopt(h, CURLOPT_XFERINFODATA, reception);
}

/* On a connection that speaks it already, libcurl before 8.0 would begin HTTP/2 once more (curl issue 10634), so there it is asked for as on
 * one that may: which a new one, if the old one went, would take for HTTP/1.1. */
static void set_version(struct http_client *c, struct reception *reception) {
    CURL *h = c->handle;
    long version = !c->h2        ? CURL_HTTP_VERSION_1_1
                   : c->h2_begun ? CURL_HTTP_VERSION_2_0
                                 : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
    curl.setopt(h, CURLOPT_HTTP_VERSION, version);
    if (!c->h2) return;
    curl.setopt(h, CURLOPT_FRESH_CONNECT, c->h2_begun ? 0L : 1L);
    if (!c->h2_begun) return;
    curl.setopt(h, CURLOPT_PREREQFUNCTION, on_connected);
    curl.setopt(h, CURLOPT_PREREQDATA, reception);
}

static void set_options(struct http_client *c, const struct call *call, struct curl_slist *list,
                        struct reception *reception) {
    CURL *h = c->handle;
    curl.reset(h); /* keeps the connection */
    curl.setopt(h, CURLOPT_URL, call->url);
    curl.setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    set_tls(c);
    set_times(h, call, reception);
    set_version(c, reception);
    curl.setopt(h, CURLOPT_ERRORBUFFER, c->error);
    curl.setopt(h, CURLOPT_HTTPHEADER, list);
    curl.setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    curl.setopt(h, CURLOPT_WRITEDATA, reception);
    curl.setopt(h, CURLOPT_HEADERFUNCTION, on_field);
    curl.setopt(h, CURLOPT_HEADERDATA, reception);
    if (strcmp(call->method, "HEAD") == 0) {
        curl.setopt(h, CURLOPT_NOBODY, 1L);
        return;
    }
    if (call->body.n || strcmp(call->method, "POST") == 0) {
        curl.setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.n);
        curl.setopt(h, CURLOPT_POSTFIELDS, call->body.n ? call->body.p : "");
    }
    curl.setopt(h, CURLOPT_CUSTOMREQUEST, call->method);
}

const char *url_shown(const char *url, struct buf *out) {
    const char *host = strstr(url, "://"), *at = NULL;
    buf_clear(out);
    if (host) host += 3;
    for (const char *p = host ? host : ""; *p && !strchr("/?#", *p); p++)
        if (*p == '@') at = p;
    if (at) buf_add(out, url, (size_t)(host - url));
    buf_add_fmt(out, "%s", at ? at + 1 : url);
    return out->p;
}

static const char *buf_for_url(struct buf *shown, const struct call *call) {
    buf_init(shown, 64 * KIB);
    return url_shown(call->url, shown);
}

static err call_failed(struct http_client *c, CURLcode code, const struct call *call) {
    AUTO_BUF struct buf shown;
    const char *url = buf_for_url(&shown, call), *why = c->error[0] ? c->error : curl.strerror(code);
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        return err_new(ERR_DENIED, "%s %s: %s%s%s; --tls-ca FILE names an authority to trust", call->method, url, why,
                       c->certificate.n ? "; the certificate: " : "", c->certificate.n ? c->certificate.p : "");
    if (code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_CERTPROBLEM)
        return err_new(ERR_INVALID, "%s %s: %s", call->method, url, why);
    bool plain = code == CURLE_SSL_CONNECT_ERROR && !c->certificate.n;
    return err_new(ERR_UNAVAILABLE, "%s %s: %s%s", call->method, url, why,
                   plain ? "; that port speaks no TLS, perhaps: try http://" : "");
}

static err call_outcome(struct http_client *c, CURLcode code, struct reception *r) {
    const struct call *call = r->call;
    struct http_answer *answer = &r->answer;
    AUTO_BUF struct buf shown;
    const char *url = buf_for_url(&shown, call);
    if (answer->body.full)
        return err_new(ERR_LIMIT, "%s %s: the answer is over %zu bytes", call->method, url, answer->body.max);
    if (code == CURLE_ABORTED_BY_CALLBACK && c->asked && c->asked(c->asked_context))
        return err_new(ERR_UNAVAILABLE, "%s %s: ended, as nobody waits for it", call->method, url);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return err_new(ERR_UNAVAILABLE, "%s %s: nothing came for %lld s", call->method, url,
                       (long long)(call->sink->quiet_ns / 1000000000));
    if (code != CURLE_OK && !r->enough) return call_failed(c, code, call);
    if (r->in_head) return err_new(ERR_UNAVAILABLE, "%s %s: the answer ends in its head", call->method, url);
    long status = 0, version = 0;
    curl.getinfo(c->handle, CURLINFO_HTTP_VERSION, &version);
    if (c->h2 && version != CURL_HTTP_VERSION_2_0)
        return err_new(ERR_UNAVAILABLE, "%s %s: the answer is no HTTP/2", call->method, url);
    char *type = NULL;
    curl.getinfo(c->handle, CURLINFO_RESPONSE_CODE, &status);
    curl.getinfo(c->handle, CURLINFO_CONTENT_TYPE, &type);
    answer->status = (int)status;
    struct str text = str_of(type);
    text.n = MIN(text.n, sizeof answer->content_type - 1);
    if (text.n) memcpy(answer->content_type, text.p, text.n);
    return NULL;
}

static err perform(struct http_client *c, const struct call *call, size_t body_max, struct http_answer *out) {
    struct reception r = {.handle = c->handle,
                          .client = c,
                          .call = call,
                          .answer = {.retry_after_s = -1, .grpc_status = -1, .grpc_retry_ns = -1},
                          .heard_at = clock_monotonic_ns()};
    struct curl_slist *list;
    buf_init(&r.answer.body, body_max);
    TRY(field_list(call->fields, &list));
    c->error[0] = 0;
    set_options(c, call, list, &r);
    CURLcode code = curl.perform(c->handle);
    if (r.went) {
        c->h2_begun = r.went = false;
        set_options(c, call, list, &r);
        code = curl.perform(c->handle);
    }
    err e = call_outcome(c, code, &r);
    curl.list_free(list);
    c->h2_begun = c->h2 && !e;
    if (e)
        buf_done(&r.answer.body);
    else
        *out = r.answer;
    return e;
}

err http_call_wait(struct http_client *c, const char *method, const char *url, const char *const *fields,
                   struct str body, int64_t timeout_ns, size_t body_max, struct http_answer *out) {
    return perform(c, &(struct call){method, url, fields, body, timeout_ns, NULL}, body_max, out);
}

err http_follow_wait(struct http_client *c, const char *url, const char *const *fields,
                     const struct http_stream_sink *sink, struct http_answer *out) {
    return perform(c, &(struct call){.method = "GET", .url = url, .fields = fields, .sink = sink}, 64 * KIB, out);
}
