#include "net/fetch.h"

#include "base/budget.h"
#include "base/vec.h"
#include "net/curl_priv.h"
#include "net/inflate.h"
#include "os/clock.h"
#include "os/process.h"
#include "os/thread.h"

enum { HEAD_BYTES_MAX = 64 << 10, IDLE_MAX = 64, CONNECTIONS_MAX = 2048, REDIRECTS_MAX = 10, GRANT_BYTES = 64 << 10 };
enum { UNPACKED_BYTES_MIN = 4 << 10 }; /* room for what claims less */

/* libcurl looks at every call that is under way in each turn. With many of them a turn waits a little first, so that there is more for it to do. */
enum { MANY = 128 };
#define GATHER_NS ((int64_t)2000000)

/* One fetch under way, or a handle kept for the next. */
struct fetch {
    struct http_fetcher *fetcher;
    CURL *handle;
    struct curl_slist *fields, *connect_to;
    struct http_fetch request;
    struct http_answer answer;
    size_t head_bytes;
    bool in_head; /* begun, and not over: libcurl says nothing of a connection that ends there */
    uint64_t drawn_bytes;
    bool refused; /* by the budget */
    bool encoded; /* the answer said how its body is encoded: the first field counts */
    bool gzip;
    char error[CURL_ERROR_SIZE];
    struct fetch *next, **before; /* those under way */
};

struct http_fetcher {
    CURLM *multi;
    struct fetch *busy;
    size_t busy_n, max;
    VEC(CURL *) idle;
    struct lock lock; /* both: to wait with, for nobody */
    struct signal_flag nobody;
};

err http_fetcher_new(struct http_fetcher **out) {
    TRY(curl_open());
    CURLM *multi = curl.multi_init();
    if (!multi) return err_new(ERR_UNAVAILABLE, "libcurl gives no handle");
    struct http_fetcher *f = mem_new_of(struct http_fetcher);
    f->max = (size_t)MAX(MIN((uint64_t)CONNECTIONS_MAX, process_open_files_max() / 2), (uint64_t)1);
    curl.multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)f->max);
    curl.multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                      (long)f->max); /* one that is idle goes for one that is wanted */
    f->multi = multi;
    lock_init(&f->lock);
    flag_init(&f->nobody);
    *out = f;
    return NULL;
}

/* Takes it from those under way; what it holds is its caller's to give back. */
static void unlink_fetch(struct fetch *x) {
    curl.multi_remove(x->fetcher->multi, x->handle);
    *x->before = x->next;
    if (x->next) x->next->before = x->before;
    x->fetcher->busy_n--;
}

static void fetch_free(struct fetch *x) {
    struct http_fetcher *f = x->fetcher;
    curl.list_free(x->fields);
    curl.list_free(x->connect_to);
    buf_done(&x->answer.body);
    if (x->drawn_bytes) budget_give(x->request.budget, x->drawn_bytes);
    if (f->idle.n < IDLE_MAX)
        *vec_push(&f->idle) = x->handle;
    else
        curl.cleanup(x->handle);
    mem_free(x);
}

void http_fetcher_free(struct http_fetcher *f) {
    if (!f) return;
    while (f->busy) {
        struct fetch *x = f->busy;
        unlink_fetch(x);
        fetch_free(x);
    }
    for (size_t i = 0; i < f->idle.n; i++) curl.cleanup(f->idle.v[i]);
    vec_done(&f->idle);
    curl.multi_cleanup(f->multi);
    lock_done(&f->lock);
    flag_done(&f->nobody);
    mem_free(f);
}

/* ---- the answer as it comes ------------------------------------------------------------------------------------- */

/* So that `bytes` in all are drawn from the budget; false: refused. */
static bool draw(struct fetch *x, uint64_t bytes) {
    while (x->request.budget && x->drawn_bytes < bytes) {
        uint64_t more = MAX((uint64_t)GRANT_BYTES, x->drawn_bytes);
        x->refused = !budget_take(x->request.budget, more);
        if (x->refused) return false;
        x->drawn_bytes += more;
    }
    return true;
}

static size_t on_body(char *p, size_t one, size_t n, void *context) {
    struct fetch *x = context;
    struct buf *body = &x->answer.body;
    (void)one;                                 /* always 1 */
    if (!draw(x, 2 * (body->n + n))) return 0; /* a buffer grows by half again */
    buf_add(body, p, n);
    return body->full ? 0 : n; /* less than n ends the transfer */
}

static size_t on_field(char *p, size_t one, size_t n, void *context) {
    struct fetch *x = context;
    struct str line = {p, n}, name, value;
    (void)one;
    x->head_bytes += n;
    if (!str_trim(line).n) x->in_head = false;
    if (str_starts_with(line, STR("HTTP/"))) { /* trailers have no such line; the head before led elsewhere */
        x->in_head = true;
        x->encoded = x->gzip = false;
    }
    if (str_cut(line, ':', &name, &value) && str_equal_nocase(name, STR("Content-Encoding")) && !x->encoded &&
        !x->answer.body.n) { /* not in a trailer */
        x->encoded = true;
        x->gzip = str_equal_nocase(str_trim(value), STR("gzip"));
    }
    return x->head_bytes > HEAD_BYTES_MAX ? 0 : n;
}

/* Room for what the body claims, and twice that as long as it lied. */
static err unpack(struct fetch *x, const char *url) {
    struct buf *body = &x->answer.body;
    struct str packed = body->n ? buf_str(body) : STR(""), plain = {0};
    size_t max = body->max, room = MIN(MAX(inflate_claim(STR("gzip"), packed, max), (size_t)UNPACKED_BYTES_MIN), max);
    void *owned = NULL;
    for (;;) {
        if (!draw(x, 2 * (packed.n + room))) return budget_err(x->request.budget, url);
        err e = inflate_body(STR("gzip"), packed, room, &plain, &owned);
        if (!e) break;
        if (err_kind(e) != ERR_LIMIT) return err_wrap(e, "%s", url);
        err_free(e);
        if (room == max) return err_new(ERR_LIMIT, "%s: the body is over %zu bytes", url, max);
        room = room > max / 2 ? max : room * 2;
    }
    buf_done(body);
    *body = (struct buf){.p = mem_grow(owned, plain.n + 1), .n = plain.n, .capacity = plain.n + 1, .max = max};
    body->p[plain.n] = 0;
    return NULL;
}

static err outcome(struct fetch *x, CURLcode code) {
    struct http_answer *answer = &x->answer;
    AUTO_BUF struct buf shown;
    buf_init(&shown, 64 * KIB);
    const char *url = url_shown(x->request.url, &shown), *why = x->error[0] ? x->error : curl.strerror(code);
    if (x->refused) return budget_err(x->request.budget, url);
    if (answer->body.full) return err_new(ERR_LIMIT, "%s: the body is over %zu bytes", url, answer->body.max);
    if (x->head_bytes > HEAD_BYTES_MAX) return err_new(ERR_LIMIT, "%s: the head is over 64 KiB", url);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return err_new(ERR_UNAVAILABLE, "%s: not done after %lld ms", url,
                       (long long)(x->request.timeout_ns / 1000000));
    if (code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_CERTPROBLEM)
        return err_new(ERR_INVALID, "%s: %s", url, why);
    if (code == CURLE_PEER_FAILED_VERIFICATION) return err_new(ERR_DENIED, "%s: %s", url, why);
    if (code != CURLE_OK) return err_new(ERR_UNAVAILABLE, "%s: %s", url, why);
    if (x->in_head) return err_new(ERR_UNAVAILABLE, "%s: the answer ends in its head", url);
    long status = 0;
    char *type = NULL;
    curl.getinfo(x->handle, CURLINFO_RESPONSE_CODE, &status);
    curl.getinfo(x->handle, CURLINFO_CONTENT_TYPE, &type);
    answer->status = (int)status;
    struct str text = str_of(type);
    text.n = MIN(text.n, sizeof answer->content_type - 1);
    if (text.n) memcpy(answer->content_type, text.p, text.n);
    return x->gzip ? unpack(x, url) : NULL;
}

/* ---- the call --------------------------------------------------------------------------------------------------- */

static bool add_field(struct curl_slist **list, const char *text) {
    struct curl_slist *longer = curl.list_append(*list, text);
    if (longer) *list = longer;
    return longer != NULL;
}

static err make_lists(struct fetch *x) {
    const struct http_fetch *r = &x->request;
    bool ok = true;
    for (size_t i = 0; r->fields && r->fields[i]; i++) ok &= add_field(&x->fields, r->fields[i]);
    ok &= add_field(&x->fields, r->gzip ? "Accept-Encoding: gzip" : "Accept-Encoding: identity"); /* libcurl's own */
    if (r->bearer) { /* as a field of its own: libcurl leaves it out where a redirect leads to another host */
        AUTO_BUF struct buf field;
        buf_init(&field, 64 * KIB);
        buf_add_fmt(&field, "Authorization: %s", r->bearer);
        ok &= !field.full && add_field(&x->fields, field.p);
    }
    if (r->connect_to) ok &= add_field(&x->connect_to, r->connect_to);
    return ok ? NULL : err_new(ERR_UNAVAILABLE, "no memory for header fields");
}

static void set_tls(CURL *h, const struct http_client_tls *tls) {
    curl.setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (tls->certificate_file) curl.setopt(h, CURLOPT_SSLCERT, tls->certificate_file);
    if (tls->key_file) curl.setopt(h, CURLOPT_SSLKEY, tls->key_file);
    if (tls->insecure) {
        curl.setopt(h, CURLOPT_SSL_VERIFYPEER, 0L);
        curl.setopt(h, CURLOPT_SSL_VERIFYHOST, 0L);
    } else if (tls->ca_file) {
        curl.setopt(h, CURLOPT_CAINFO, tls->ca_file);
        curl.setopt(h, CURLOPT_CAPATH, NULL);
    }
}

static void set_options(struct fetch *x) {
    const struct http_fetch *r = &x->request;
    CURL *h = x->handle;
    curl.reset(h);
    curl.setopt(h, CURLOPT_URL, r->url);
    curl.setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl.setopt(h, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl.setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl.setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl.setopt(h, CURLOPT_TIMEOUT_MS, (long)MAX(r->timeout_ns / 1000000, (int64_t)1));
    curl.setopt(h, CURLOPT_ERRORBUFFER, x->error);
    curl.setopt(h, CURLOPT_PRIVATE, x);
    curl.setopt(h, CURLOPT_HTTPHEADER, x->fields);
    curl.setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    curl.setopt(h, CURLOPT_WRITEDATA, x);
    curl.setopt(h, CURLOPT_HEADERFUNCTION, on_field);
    curl.setopt(h, CURLOPT_HEADERDATA, x);
    curl.setopt(h, CURLOPT_FOLLOWLOCATION, r->follow_redirects ? 1L : 0L);
    curl.setopt(h, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    curl.setopt(h, CURLOPT_PROXY, r->proxy ? r->proxy : "");
    if (r->once) {
        curl.setopt(h, CURLOPT_FORBID_REUSE, 1L);
        curl.setopt(h, CURLOPT_DNS_CACHE_TIMEOUT,
                    0L); /* whose entries libcurl walks for each new connection, all of them */
    }
    if (r->connect_to) curl.setopt(h, CURLOPT_CONNECT_TO, x->connect_to);
    if (r->user) {
        curl.setopt(h, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl.setopt(h, CURLOPT_USERNAME, r->user);
        curl.setopt(h, CURLOPT_PASSWORD, r->password ? r->password : "");
    }
    set_tls(h, &r->tls);
}

err http_fetch_start(struct http_fetcher *f, const struct http_fetch *request) {
    CURL *handle = f->idle.n ? f->idle.v[--f->idle.n] : curl.easy_init();
    if (!handle) return err_new(ERR_UNAVAILABLE, "libcurl gives no handle");
    struct fetch *x = mem_new_of(struct fetch);
    *x = (struct fetch){.fetcher = f, .handle = handle, .request = *request};
    x->answer = (struct http_answer){.retry_after_s = -1, .grpc_status = -1, .grpc_retry_ns = -1};
    buf_init(&x->answer.body, request->body_max);
    err e = make_lists(x);
    if (!e) set_options(x);
    if (!e && curl.multi_add(f->multi, handle) != CURLM_OK) e = err_new(ERR_UNAVAILABLE, "libcurl takes no more calls");
    if (e) {
        fetch_free(x);
        return e;
    }
    x->next = f->busy;
    x->before = &f->busy;
    if (x->next) x->next->before = &x->next;
    f->busy = x;
    f->busy_n++;
    return NULL;
}

size_t http_fetcher_busy(const struct http_fetcher *f) { return f->busy_n; }
size_t http_fetcher_max(const struct http_fetcher *f) { return f->max; }

static bool take_done(struct http_fetcher *f) {
    int left;
    bool any = false;
    for (CURLMsg *m = curl.multi_info(f->multi, &left); m; m = curl.multi_info(f->multi, &left)) {
        struct fetch *x = NULL;
        if (m->msg != CURLMSG_DONE) continue;
        CURLcode code = m->data.result;
        curl.getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&x);
        err e = outcome(x, code);
        unlink_fetch(x);
        x->request.done(x->request.context, e, e ? NULL : &x->answer);
        fetch_free(x);
        any = true;
    }
    return any;
}

static void gather_wait(struct http_fetcher *f) {
    int64_t until = clock_monotonic_ns() + GATHER_NS;
    lock_take(&f->lock);
    while (flag_wait_until(&f->nobody, &f->lock, until)) {}
    lock_give(&f->lock);
}

void http_fetcher_run_wait(struct http_fetcher *f, int64_t until_ns) {
    int running, ready;
    if (f->busy_n > MANY && until_ns > clock_monotonic_ns()) gather_wait(f);
    curl.multi_perform(f->multi, &running);
    if (take_done(f)) return;
    int64_t left_ms = (until_ns - clock_monotonic_ns() + 999999) / 1000000;
    if (left_ms <= 0) return;
    curl.multi_poll(f->multi, NULL, 0, (int)MIN(left_ms, (int64_t)60000), &ready);
    curl.multi_perform(f->multi, &running);
    take_done(f);
}

void http_fetcher_wake(struct http_fetcher *f) { curl.multi_wakeup(f->multi); }
