#include "net/connection_priv.h"

#include "base/text.h"
#include "net/tls_priv.h"

/* The request whose handler runs on this thread now: its reply needs no trip through the loop. */
static _Thread_local struct {
    struct http_request *request;
    bool replied;
} handling;

static const char continue_text[] = "HTTP/1.1 100 Continue\r\n\r\n";
enum { CONTINUE_SIZE = sizeof continue_text - 1, CHUNKED_START = 32 * 1024 };

static void count(_Atomic uint64_t *counter, uint64_t n) {
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void state_set(struct http_connection *c, enum connection_state state, int64_t now_ns) {
    c->state = (uint8_t)state;
    c->mark_ns = now_ns;
    c->window_bytes = 0;
}

/* ---- refusals --------------------------------------------------------------------------------------------------- */

static void answer(struct http_connection *c, int status, const char *reason, bool close, int64_t now_ns) {
    struct http_request *r = c->request;
    AUTO_BUF struct buf text;
    buf_init(&text, 1024);
    struct str type = STR("text/plain; charset=utf-8"), why = str_of(reason ? reason : http_status_text(status));
    if (c->engine->options.refusal)
        type = c->engine->options.refusal(c->listener_context, status, why, &text);
    else
        buf_add_fmt(&text, STR_FMT "\n", STR_ARG(why));
    static const struct http_field retry = {STR("Retry-After"), STR("2")};
    bool again = status == 429 || status == 503;
    request_body_drop(r);
    reply_write(r, &(struct http_reply){.status = status,
                                        .content_type = type,
                                        .body = buf_str(&text),
                                        .fields = &retry,
                                        .field_count = again,
                                        .close = close});
    count(&c->engine->refused[status / 100], 1);
    c->out_n = 0;
    state_set(c, CONNECTION_WRITING, now_ns);
}

/* Answers and closes. A 100 Continue that did not leave yet must not: it would invite the body. */
static void refuse(struct http_connection *c, int status, const char *reason, int64_t now_ns) {
    if (c->interim_left == CONTINUE_SIZE) c->interim_left = 0;
    c->unread = !c->ended;
    answer(c, status, reason, true, now_ns);
}

static const char over_budget[] = "over the memory budget: retry later";

/* Over the budget: a body that is small and on its way is read over, so that the connection can be used again. */
static void refuse_for_budget(struct http_connection *c, int64_t now_ns) {
    struct http_request *r = c->request;
    if (r->chunked || r->length > DISCARD_MAX || r->expect_continue) {
        refuse(c, 429, over_budget, now_ns);
        return;
    }
    uint64_t here = MIN(r->length, (uint64_t)(r->input_n - r->input_used));
    r->input_used += (uint32_t)here;
    c->body_n = r->length - here;
    if (c->body_n)
        state_set(c, CONNECTION_DISCARD, now_ns);
    else
        answer(c, 429, over_budget, false, now_ns);
}

void connection_refuse_busy(struct http_connection *c, int64_t now_ns) {
    if (!c->request) c->request = request_take(c->engine);
    refuse(c, 503, "too many connections: retry later", now_ns);
}

void connection_refuse_plain(struct http_connection *c, int64_t now_ns) {
    if (!c->request) c->request = request_take(c->engine);
    refuse(c, 400, "this port speaks TLS: ask with https://", now_ns);
}

/* ---- the handler ------------------------------------------------------------------------------------------------ */

static bool params_are_too_many(struct http_connection *c, int64_t now_ns) {
    struct http_request *r = c->request;
    if (params_count(r) <= PARAMS_MAX) return false;
    refuse(c, 400, "more than 1,000 parameters", now_ns);
    return true;
}

static void dispatch(struct http_connection *c, int64_t now_ns) {
    struct http_request *r = c->request;
    if (params_are_too_many(c, now_ns)) return;
    state_set(c, CONNECTION_WAITING, now_ns);
    r->connection = c;
    r->listener_context = c->listener_context;
    memcpy(r->peer, c->peer, sizeof r->peer);
    r->is_tls = c->is_tls;
    r->identity = tls_identity_ref(c->identity);
    c->out_n = 0;
    count(&c->engine->requests, 1);
    handling.request = r;
    handling.replied = false;
    c->engine->options.handler(r);
    handling.request = NULL;
    if (handling.replied) state_set(c, CONNECTION_WRITING, now_ns);
}

void http_reply(struct http_request *r, const struct http_reply *reply) {
    bool twice = atomic_exchange(&r->replied, true);
    assert(!twice && "a request is answered once");
    (void)twice;
    reply_write(r, reply);
    if (handling.request == r)
        handling.replied = true;
    else
        r->engine->deliver(r->engine, r);
}

void connection_replied(struct http_connection *c, int64_t now_ns) { state_set(c, CONNECTION_WRITING, now_ns); }

/* ---- bodies ----------------------------------------------------------------------------------------------------- */

static size_t body_max_of(struct http_request *r) {
    size_t most = r->engine->options.body_max;
    return request_is_form(r) ? MIN(most, (size_t)FORM_MAX) : most;
}

/* Takes n raw bytes that stand at the end of the body so far. */
static void chunked_fed(struct http_connection *c, size_t n, int64_t now_ns) {
    struct http_request *r = c->request;
    char *at = r->body_buffer + c->body_n;
    size_t data, used;
    const char *reason = NULL;
    if (chunk_decode(&r->chunks, at, n, &data, &used, &reason)) {
        refuse(c, 400, reason, now_ns);
        return;
    }
    c->body_n += data;
    size_t most = body_max_of(r);
    if (c->body_n > most || (r->chunks.state == CHUNK_DATA && r->chunks.left > most - c->body_n)) {
        refuse(c, 413, "the body is over the limit", now_ns);
        return;
    }
    if (!chunk_is_done(&r->chunks)) return;
    if (!request_input_reserve(r, r->input_used + (n - used))) { /* what follows belongs to the next request */
        refuse(c, 429, over_budget, now_ns);
        return;
    }
    memcpy(r->input + r->input_used, at + used, n - used);
    r->input_n = r->input_used + (uint32_t)(n - used);
    r->body = (struct str){r->body_buffer, (size_t)c->body_n};
    dispatch(c, now_ns);
}

/* Room for `more` further raw bytes; false over the budget. */
static bool chunked_reserve(struct http_connection *c, size_t more) {
    struct http_request *r = c->request;
    if (r->body_capacity - c->body_n >= more) return true;
    size_t most = c->engine->options.body_max + CHUNKED_READ_MAX; /* body_n is at most body_max */
    size_t want = MAX(MIN(r->body_capacity * 2, most), MAX((size_t)c->body_n + more, (size_t)CHUNKED_START));
    if (!request_body_budget(r, want - r->body_capacity)) return false;
    r->body_buffer = mem_grow(r->body_buffer, want);
    r->body_capacity = want;
    return true;
}

static void chunked_begin(struct http_connection *c, int64_t now_ns) {
    struct http_request *r = c->request;
    size_t along = r->input_n - r->input_used;
    if (!chunked_reserve(c, along + CHUNKED_READ_MAX)) {
        refuse(c, 429, over_budget, now_ns);
        return;
    }
    state_set(c, CONNECTION_BODY, now_ns);
    if (along == 0) return;
    memcpy(r->body_buffer, r->input + r->input_used, along);
    r->input_n = r->input_used;
    chunked_fed(c, along, now_ns);
}

/* Takes the whole length for a moment, to judge it, and keeps what is allocated now: a length is only a claim. */
static bool length_budget(struct http_request *r) {
    size_t now = (size_t)MIN(r->length, (uint64_t)BODY_AT_ONCE);
    if (!request_body_budget(r, (size_t)r->length)) return false;
    request_body_budget_return(r, (size_t)r->length - now);
    return true;
}

static void length_begin(struct http_connection *c, int64_t now_ns) {
    struct http_request *r = c->request;
    size_t along = r->input_n - r->input_used;
    if (r->length > body_max_of(r)) {
        refuse(c, 413, "the body is over the limit", now_ns);
    } else if (!length_budget(r)) {
        refuse_for_budget(c, now_ns);
    } else if (along >= r->length) { /* it came along with the head and stays where it is */
        r->body = (struct str){r->input + r->input_used, (size_t)r->length};
        r->input_used += (uint32_t)r->length;
        dispatch(c, now_ns);
    } else {
        size_t now = MAX((size_t)MIN(r->length, (uint64_t)BODY_AT_ONCE), along);
        r->body_buffer = body_take(c->engine, now, &r->body_capacity);
        if (along) memcpy(r->body_buffer, r->input + r->input_used, along);
        r->input_used = r->input_n;
        c->body_n = along;
        state_set(c, CONNECTION_BODY, now_ns);
    }
}

static void body_begin(struct http_connection *c, int64_t now_ns) {
    struct http_request *r = c->request;
    bool has_body = r->chunked || r->length > 0;
    r->input_used = r->head_n;
    c->body_n = 0;
    if (!has_body) {
        dispatch(c, now_ns);
        return;
    }
    if (r->expect_continue && r->input_n == r->input_used) c->interim_left = CONTINUE_SIZE;
    if (r->chunked)
        chunked_begin(c, now_ns);
    else
        length_begin(c, now_ns);
}

/* ---- input ------------------------------------------------------------------------------------------------------ */

static void head_step(struct http_connection *c, int64_t now_ns) {
    int status = head_read(c->request);
    if (status == HEAD_COMPLETE)
        body_begin(c, now_ns);
    else if (status != HEAD_MORE)
        refuse(c, status, c->request->reason, now_ns);
    else if (c->ended)
        refuse(c, 400, "the request ends early", now_ns);
}

bool connection_wants_input(const struct http_connection *c) {
    return c->state != CONNECTION_WAITING && c->state != CONNECTION_WRITING && c->state != CONNECTION_DEAD;
}

static struct room input_room(struct http_connection *c, int64_t now_ns) {
    struct http_request *r = c->request;
    if (r->input_n == r->input_capacity && !request_input_reserve(r, r->input_n + 1)) {
        refuse(c, 429, over_budget, now_ns);
        return (struct room){0};
    }
    return (struct room){r->input + r->input_n, r->input_capacity - r->input_n};
}

/* Beyond BODY_AT_ONCE the buffer doubles as the body comes, so that a claim alone holds no memory. */
static bool length_reserve(struct http_connection *c) {
    struct http_request *r = c->request;
    if (c->body_n < r->body_capacity) return true;
    size_t want = (size_t)MIN(r->length, (uint64_t)r->body_capacity * 2);
    if (!request_body_budget(r, want - r->body_capacity)) return false;
    r->body_buffer = mem_grow(r->body_buffer, want);
    r->body_capacity = want;
    return true;
}

static struct room body_room(struct http_connection *c, int64_t now_ns) {
    struct http_request *r = c->request;
    if (r->chunked ? !chunked_reserve(c, CHUNKED_READ_MAX) : !length_reserve(c)) {
        refuse(c, 429, over_budget, now_ns);
        return (struct room){0};
    }
    if (!r->chunked) {
        size_t end = (size_t)MIN(r->length, (uint64_t)r->body_capacity);
        return (struct room){r->body_buffer + c->body_n, end - (size_t)c->body_n};
    }
    size_t safe = (size_t)MAX(r->chunks.left, (uint64_t)CHUNKED_READ_MAX); /* a chunk's data leaves nothing over */
    return (struct room){r->body_buffer + c->body_n, MIN(r->body_capacity - (size_t)c->body_n, safe)};
}

static struct room scratch_room(struct http_engine *e, uint64_t most) {
    if (!e->scratch) e->scratch = mem_grow(NULL, SCRATCH_SIZE);
    return (struct room){e->scratch, (size_t)MIN(most, (uint64_t)SCRATCH_SIZE)};
}

struct room connection_room(struct http_connection *c, int64_t now_ns) {
    switch ((enum connection_state)c->state) {
    case CONNECTION_IDLE:
        if (!c->request) c->request = request_take(c->engine);
        return input_room(c, now_ns);
    case CONNECTION_HEAD: return input_room(c, now_ns);
    case CONNECTION_BODY: return body_room(c, now_ns);
    case CONNECTION_DISCARD: return scratch_room(c->engine, c->body_n);
    case CONNECTION_LINGER: return scratch_room(c->engine, SCRATCH_SIZE);
    case CONNECTION_WAITING:
    case CONNECTION_WRITING:
    case CONNECTION_DEAD: break;
    }
    return (struct room){0};
}

static void body_fed(struct http_connection *c, size_t n, int64_t now_ns) {
    struct http_request *r = c->request;
    if (r->chunked) {
        chunked_fed(c, n, now_ns);
        return;
    }
    c->body_n += n;
    if (c->body_n < r->length) return;
    r->body = (struct str){r->body_buffer, (size_t)r->length};
    dispatch(c, now_ns);
}

void connection_fed(struct http_connection *c, size_t n, int64_t now_ns) {
    count(&c->engine->bytes_in, n);
    c->window_bytes += n;
    switch ((enum connection_state)c->state) {
    case CONNECTION_IDLE:
        if (n == 0) { /* nothing came after all: an idle connection keeps no block */
            request_give(take(&c->request));
            break;
        }
        state_set(c, CONNECTION_HEAD, now_ns);
        /* fall through */
    case CONNECTION_HEAD:
        c->request->input_n += (uint32_t)n;
        head_step(c, now_ns);
        break;
    case CONNECTION_BODY: body_fed(c, n, now_ns); break;
    case CONNECTION_DISCARD:
        c->body_n -= n;
        if (c->body_n == 0) answer(c, 429, over_budget, false, now_ns);
        break;
    case CONNECTION_LINGER:
    case CONNECTION_WAITING:
    case CONNECTION_WRITING:
    case CONNECTION_DEAD: break;
    }
}

void connection_ended(struct http_connection *c, int64_t now_ns) {
    c->ended = true;
    switch ((enum connection_state)c->state) {
    case CONNECTION_HEAD:
    case CONNECTION_BODY:
    case CONNECTION_DISCARD: refuse(c, 400, "the request ends early", now_ns); break;
    case CONNECTION_IDLE:
    case CONNECTION_LINGER: connection_close(c); break;
    case CONNECTION_WAITING:
    case CONNECTION_WRITING: /* half-closed: it still gets its answer */
    case CONNECTION_DEAD: break;
    }
}

/* ---- output ----------------------------------------------------------------------------------------------------- */

size_t connection_out(struct http_connection *c, struct socket_piece out[OUT_PIECES]) {
    size_t n = 0;
    if (c->interim_left)
        out[n++] = (struct socket_piece){continue_text + CONTINUE_SIZE - c->interim_left, c->interim_left};
    if (c->state != CONNECTION_WRITING) return n;
    struct http_request *r = c->request;
    if (c->out_n < r->out.n) out[n++] = (struct socket_piece){r->out.p + c->out_n, r->out.n - c->out_n};
    size_t body_at = c->out_n > r->out.n ? (size_t)c->out_n - r->out.n : 0;
    if (body_at < r->reply_body.n)
        out[n++] = (struct socket_piece){r->reply_body.p + body_at, r->reply_body.n - body_at};
    return n;
}

static void next_request(struct http_connection *c, int64_t now_ns) {
    struct http_request *r = c->request;
    if (r->input_used < r->input_n) { /* pipelined */
        request_again(r);
        state_set(c, CONNECTION_HEAD, now_ns);
        head_step(c, now_ns);
        return;
    }
    request_give(take(&c->request));
    state_set(c, CONNECTION_IDLE, now_ns);
    if (c->ended) connection_close(c);
}

static void written(struct http_connection *c, int64_t now_ns) {
    struct http_request *r = c->request;
    if (!r->reply_close) {
        next_request(c, now_ns);
        return;
    }
    bool unread = c->unread || r->input_used < r->input_n;
    request_give(take(&c->request));
    state_set(c, CONNECTION_LINGER, now_ns);
    c->shut = true;
    if (c->ended || !unread) connection_close(c);
}

void connection_wrote(struct http_connection *c, size_t n, int64_t now_ns) {
    count(&c->engine->bytes_out, n);
    size_t interim = MIN(n, (size_t)c->interim_left);
    c->interim_left = (uint8_t)(c->interim_left - interim);
    if (c->state != CONNECTION_WRITING) return;
    c->out_n += n - interim;
    c->window_bytes += n;
    if (!c->interim_left && c->out_n == c->request->out.n + c->request->reply_body.n) written(c, now_ns);
}

/* ---- life and time ---------------------------------------------------------------------------------------------- */

void connection_open(struct http_connection *c, struct http_engine *e, void *listener_context, int64_t now_ns) {
    *c = (struct http_connection){.engine = e, .listener_context = listener_context};
    state_set(c, CONNECTION_IDLE, now_ns);
}

void connection_close(struct http_connection *c) {
    if (c->state == CONNECTION_WAITING)
        c->request->connection = NULL; /* the handler's until its reply */
    else if (c->request)
        request_give(c->request);
    c->request = NULL;
    tls_identity_unref(take(&c->identity));
    c->interim_left = 0;
    c->state = CONNECTION_DEAD;
}

int64_t connection_due_ns(const struct http_connection *c) {
    const struct http_server_options *o = &c->engine->options;
    switch ((enum connection_state)c->state) {
    case CONNECTION_IDLE: return c->mark_ns + o->idle_ns;
    case CONNECTION_HEAD: return c->mark_ns + o->head_ns;
    case CONNECTION_BODY:
    case CONNECTION_DISCARD: return c->mark_ns + o->body_ns;
    case CONNECTION_WRITING: return c->mark_ns + o->write_ns;
    case CONNECTION_LINGER: return c->mark_ns + o->linger_ns;
    case CONNECTION_WAITING:
    case CONNECTION_DEAD: break;
    }
    return INT64_MAX;
}

/* Whether the window that ends now moved enough; then a new one begins. */
static bool is_fast_enough(struct http_connection *c, int64_t window_ns, int64_t now_ns) {
    if ((double)c->window_bytes < (double)window_ns * RATE_BYTES_S / 1e9) return false;
    state_set(c, (enum connection_state)c->state, now_ns);
    return true;
}

void connection_time_out(struct http_connection *c, int64_t now_ns) {
    const struct http_server_options *o = &c->engine->options;
    if (now_ns < connection_due_ns(c)) return;
    switch ((enum connection_state)c->state) {
    case CONNECTION_HEAD: refuse(c, 408, "the head did not come in time", now_ns); break;
    case CONNECTION_BODY:
    case CONNECTION_DISCARD:
        if (!is_fast_enough(c, o->body_ns, now_ns)) refuse(c, 408, "the body comes too slowly", now_ns);
        break;
    case CONNECTION_WRITING:
        if (!is_fast_enough(c, o->write_ns, now_ns)) connection_close(c);
        break;
    case CONNECTION_IDLE:
    case CONNECTION_LINGER: connection_close(c); break;
    case CONNECTION_WAITING:
    case CONNECTION_DEAD: break;
    }
}
