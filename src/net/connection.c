#include "net/connection_priv.h"

#include "net/h2_priv.h"
#include "net/stream_priv.h"
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
    reply_write_refusal(c->request, c->listener_context, status, reason, close);
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

int request_dispatch(struct http_request *r, struct http_connection *c, bool *out_replied) {
    *out_replied = false;
    if (params_count(r) > PARAMS_MAX) {
        r->reason = "more than 1,000 parameters";
        return 400;
    }
    r->connection = c;
    r->listener_context = c->listener_context;
    memcpy(r->peer, c->peer, sizeof r->peer);
    r->is_tls = c->is_tls;
    r->identity = tls_identity_ref(c->identity);
    count(&c->engine->requests, 1);
    handling.request = r;
    handling.replied = false;
    c->engine->options.handler(r);
    handling.request = NULL;
    *out_replied = handling.replied;
    return 0;
}

/* ---- after an upgrade ------------------------------------------------------------------------------------------- */

enum { UPGRADED_INPUT = 4096 };

/* All that is there goes to whoever took the connection over; what it leaves waits. */
static void offer(struct http_connection *c, enum http_input input) {
    struct http_request *r = c->request;
    size_t n = r->input_n - r->input_used;
    if (!r->receiver) { /* it ended: nobody wants the rest */
        r->input_n = r->input_used;
        return;
    }
    size_t taken = r->receiver(r->receiver_context, (struct str){r->input + r->input_used, n}, input);
    assert(taken <= n && (input <= HTTP_INPUT_ENDED || !r->receiver));
    if (!r->receiver) taken = n;
    if (taken) memmove(r->input + r->input_used, r->input + r->input_used + taken, n - taken);
    r->input_n -= (uint32_t)taken;
}

/* Room for input whatever the head took; what came along with the head is offered. */
static void upgrade(struct http_connection *c, int64_t now_ns) {
    struct http_request *r = c->request;
    c->unread = true; /* so that the last words are read before a reset */
    r->heard_ns = now_ns;
    if (!request_input_reserve(r, r->input_n + UPGRADED_INPUT))
        offer(c, HTTP_INPUT_BUSY);
    else if (r->input_used < r->input_n)
        offer(c, HTTP_INPUT_OPEN);
}

static void upgraded_fed(struct http_connection *c, size_t n, int64_t now_ns) {
    struct http_request *r = c->request;
    r->input_n += (uint32_t)n;
    if (!r->is_upgraded) return;
    r->heard_ns = now_ns;
    r->was_asked = false;
    offer(c, HTTP_INPUT_OPEN);
}

/* When to ask whether the client is there, and when to believe that it is not. */
static int64_t silence_due_ns(const struct http_connection *c) {
    const struct http_request *r = c->request;
    int64_t idle_ns = c->engine->options.idle_ns;
    return r->receiver ? r->heard_ns + (r->was_asked ? idle_ns : idle_ns / 2) : INT64_MAX;
}

/* True if it was silence that was due. */
static bool silent(struct http_connection *c, int64_t now_ns) {
    struct http_request *r = c->request;
    if (now_ns < silence_due_ns(c)) return false;
    bool again = r->was_asked;
    r->was_asked = true;
    offer(c, again ? HTTP_INPUT_LATE : HTTP_INPUT_IDLE);
    return true;
}

/* ---- the handler, again ------------------------------------------------------------------------------------------- */

static void dispatch(struct http_connection *c, int64_t now_ns) {
    bool replied;
    state_set(c, CONNECTION_WAITING, now_ns);
    c->end_seen = false;
    c->out_n = 0;
    int status = request_dispatch(c->request, c, &replied);
    if (status)
        refuse(c, status, c->request->reason, now_ns);
    else if (replied && c->state == CONNECTION_WAITING) /* else more was delivered meanwhile */
        state_set(c, c->request->push ? CONNECTION_PUSHING : CONNECTION_WRITING, now_ns);
    if (c->state == CONNECTION_PUSHING && c->request->is_upgraded) upgrade(c, now_ns);
}

void http_reply(struct http_request *r, const struct http_reply *reply) {
    bool twice = atomic_exchange(&r->replied, true);
    assert(!twice && "a request is answered once");
    (void)twice;
    reply_write(r, reply);
    if (handling.request == r)
        handling.replied = true;
    else
        r->engine->deliver(r->engine, r, !r->push);
}

/* ---- bodies ----------------------------------------------------------------------------------------------------- */

size_t request_body_max(const struct http_request *r) {
    size_t most = r->engine->options.body_max;
    return request_is_form(r) ? MIN(most, (size_t)FORM_MAX) : most;
}

bool request_is_trusted(const struct http_request *r, void *listener_context) {
    bool (*is_trusted)(const struct http_request *r, void *listener_context) = r->engine->options.is_trusted;
    return !is_trusted || is_trusted(r, listener_context);
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
    size_t most = request_body_max(r);
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
    if (r->length > request_body_max(r)) {
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
    bool is_small = !r->chunked && r->length <= BODY_OF_STRANGERS;
    if (!is_small && !request_is_trusted(r, c->listener_context)) {
        r->body_is_left = c->unread = true;
        r->keep_alive = false;
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

void connection_use_h2(struct http_connection *c, int64_t now_ns) {
    if (!h2_open(c, now_ns)) connection_close(c); /* over the memory budget */
}

/* HTTP/2's preface, or what may still become it: true, and nothing else may be done with these bytes. */
static bool is_preface(struct http_connection *c, int64_t now_ns) {
    struct str preface = STR(H2_PREFACE);
    struct http_request *r = c->request;
    if (c->begun) return false;
    c->begun = memcmp(r->input, preface.p, MIN((size_t)r->input_n, preface.n)) != 0;
    if (c->begun || r->input_n < preface.n) return !c->begun && !c->ended;
    c->begun = true;
    c->request = NULL;
    connection_use_h2(c, now_ns);
    if (c->h2) h2_fed(c, r->input, r->input_n, now_ns);
    request_give(r);
    return true;
}

static void head_step(struct http_connection *c, int64_t now_ns) {
    if (is_preface(c, now_ns)) return;
    int status = head_read(c->request);
    if (status == HEAD_COMPLETE)
        body_begin(c, now_ns);
    else if (status != HEAD_MORE)
        refuse(c, status, c->request->reason, now_ns);
    else if (c->ended)
        refuse(c, 400, "the request ends early", now_ns);
}

bool connection_wants_input(const struct http_connection *c) {
    if (c->h2) return h2_wants_input(c);
    if (c->state == CONNECTION_PUSHING) {
        const struct http_request *r = c->request;
        return !c->ended && (r->is_upgraded || r->input_used == r->input_n) && r->input_n < r->input_capacity;
    }
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
    if (c->h2) return scratch_room(c->engine, SCRATCH_SIZE); /* nghttp2 takes all of it at once */
    switch ((enum connection_state)c->state) {
    case CONNECTION_IDLE:
        if (!c->request) c->request = request_take(c->engine);
        return input_room(c, now_ns);
    case CONNECTION_HEAD:
    case CONNECTION_PUSHING: return input_room(c, now_ns);
    case CONNECTION_BODY: return body_room(c, now_ns);
    case CONNECTION_DISCARD: return scratch_room(c->engine, c->body_n);
    case CONNECTION_LINGER: return scratch_room(c->engine, SCRATCH_SIZE);
    case CONNECTION_STREAMS:
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
    if (c->h2) {
        h2_fed(c, c->engine->scratch, n, now_ns);
        return;
    }
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
    case CONNECTION_PUSHING: upgraded_fed(c, n, now_ns); break;
    case CONNECTION_STREAMS: break;
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
    if (c->h2) {
        h2_ended(c, now_ns);
        return;
    }
    switch ((enum connection_state)c->state) {
    case CONNECTION_HEAD:
    case CONNECTION_BODY:
    case CONNECTION_DISCARD: refuse(c, 400, "the request ends early", now_ns); break;
    case CONNECTION_IDLE:
    case CONNECTION_PUSHING: /* who wants to hear more does not hang up */
    case CONNECTION_LINGER: connection_close(c); break;
    case CONNECTION_WAITING: connection_end_seen(c, now_ns); break;
    case CONNECTION_STREAMS:
    case CONNECTION_WRITING: /* half-closed: it still gets its answer */
    case CONNECTION_DEAD: break;
    }
}

void connection_end_seen(struct http_connection *c, int64_t now_ns) {
    if (c->state != CONNECTION_WAITING || c->end_seen) return;
    c->end_seen = true;
    c->mark_ns = now_ns;
}

/* ---- output ----------------------------------------------------------------------------------------------------- */

size_t connection_out(struct http_connection *c, struct socket_piece out[OUT_PIECES]) {
    size_t n = 0;
    if (c->h2) return h2_out(c, out);
    if (c->interim_left)
        out[n++] = (struct socket_piece){continue_text + CONTINUE_SIZE - c->interim_left, c->interim_left};
    if (c->state != CONNECTION_WRITING && c->state != CONNECTION_PUSHING) return n;
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

/* The next chunk, once all before it was written; or the end. */
static void push_on(struct http_connection *c, int64_t now_ns) {
    struct http_request *r = c->request;
    char bytes[STREAM_STEP];
    if (c->out_n < r->out.n) return;
    size_t n = stream_take(r->push, bytes, sizeof bytes);
    bool bare = r->is_http10 || r->is_upgraded;
    buf_clear(&r->out);
    c->out_n = 0;
    if (n && !bare) buf_add_fmt(&r->out, "%zx\r\n", n);
    buf_add(&r->out, bytes, n);
    if (n && !bare) buf_add_text(&r->out, "\r\n");
    if (n == 0 && !r->is_final) return;
    if (n == 0 && !bare && r->method_code != HTTP_HEAD) buf_add_text(&r->out, "0\r\n\r\n");
    state_set(c, n ? CONNECTION_PUSHING : CONNECTION_WRITING, now_ns);
    if (n == 0 && r->out.n == 0) written(c, now_ns);
}

void connection_replied(struct http_request *r, int64_t now_ns) {
    struct http_connection *c = r->connection;
    if (!c && r->push) stream_gone(r->push);
    if (!c && r->is_final) request_give(r);
    if (!c) return;
    if (c->h2)
        h2_replied(r, now_ns);
    else if (c->state == CONNECTION_WAITING)
        state_set(c, r->push ? CONNECTION_PUSHING : CONNECTION_WRITING, now_ns);
    if (c->state == CONNECTION_PUSHING) push_on(c, now_ns);
}

void connection_wrote(struct http_connection *c, size_t n, int64_t now_ns) {
    count(&c->engine->bytes_out, n);
    if (c->h2) {
        h2_wrote(c, n, now_ns);
        return;
    }
    size_t interim = MIN(n, (size_t)c->interim_left);
    c->interim_left = (uint8_t)(c->interim_left - interim);
    if (c->state != CONNECTION_WRITING && c->state != CONNECTION_PUSHING) return;
    c->out_n += n - interim;
    c->window_bytes += n;
    if (c->state == CONNECTION_PUSHING) {
        push_on(c, now_ns);
        return;
    }
    if (!c->interim_left && c->out_n == c->request->out.n + c->request->reply_body.n) written(c, now_ns);
}

/* ---- life and time ---------------------------------------------------------------------------------------------- */

void connection_open(struct http_connection *c, struct http_engine *e, void *listener_context, int64_t now_ns) {
    *c = (struct http_connection){.engine = e, .listener_context = listener_context};
    state_set(c, CONNECTION_IDLE, now_ns);
}

void connection_close(struct http_connection *c) {
    struct http_request *left = c->state == CONNECTION_PUSHING && c->request->receiver ? c->request : NULL;
    h2_close(c);
    if (c->state == CONNECTION_PUSHING) stream_gone(c->request->push);
    if (c->state == CONNECTION_WAITING || (c->state == CONNECTION_PUSHING && !c->request->is_final)) {
        c->request->connection = NULL; /* the handler's until its reply, or its end */
        request_abandon(c->request);
    } else if (c->request) {
        request_give(c->request);
    }
    c->request = NULL;
    tls_identity_unref(take(&c->identity));
    c->interim_left = 0;
    c->state = CONNECTION_DEAD;
    if (left) left->receiver(left->receiver_context, STR(""), HTTP_INPUT_GONE);
}

int64_t connection_due_ns(const struct http_connection *c) {
    const struct http_server_options *o = &c->engine->options;
    switch ((enum connection_state)c->state) {
    case CONNECTION_STREAMS: return h2_due_ns(c);
    case CONNECTION_PUSHING:
        return MIN(silence_due_ns(c), c->out_n < c->request->out.n ? c->mark_ns + o->write_ns : INT64_MAX);
    case CONNECTION_IDLE: return c->mark_ns + o->idle_ns;
    case CONNECTION_HEAD: return c->mark_ns + o->head_ns;
    case CONNECTION_BODY:
    case CONNECTION_DISCARD: return c->mark_ns + o->body_ns;
    case CONNECTION_WRITING: return c->mark_ns + o->write_ns;
    case CONNECTION_LINGER: return c->mark_ns + o->linger_ns;
    case CONNECTION_WAITING:
        if (c->end_seen && !http_is_abandoned(c->request)) return c->mark_ns + o->end_ns;
        break;
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
    if (c->h2) {
        h2_time_out(c, now_ns);
        return;
    }
    switch ((enum connection_state)c->state) {
    case CONNECTION_HEAD: refuse(c, 408, "the head did not come in time", now_ns); break;
    case CONNECTION_BODY:
    case CONNECTION_DISCARD:
        if (!is_fast_enough(c, o->body_ns, now_ns)) refuse(c, 408, "the body comes too slowly", now_ns);
        break;
    case CONNECTION_PUSHING:
        if (silent(c, now_ns)) break;
        /* fall through */
    case CONNECTION_WRITING:
        if (!is_fast_enough(c, o->write_ns, now_ns)) connection_close(c);
        break;
    case CONNECTION_IDLE:
    case CONNECTION_LINGER: connection_close(c); break;
    case CONNECTION_WAITING: request_abandon(c->request); break; /* the answer, if one comes, is still sent */
    case CONNECTION_STREAMS:
    case CONNECTION_DEAD: break;
    }
}

void connection_drain(struct http_connection *c, int64_t now_ns) {
    if (c->h2)
        h2_drain(c, now_ns);
    else if (c->state == CONNECTION_PUSHING && c->request->is_upgraded)
        offer(c, HTTP_INPUT_BUSY);
}
