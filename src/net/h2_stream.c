/* A stream of HTTP/2: its head and body become a request, the request's reply becomes frames. */
#include "net/grpc.h"
#include "net/h2_priv.h"
#include "net/stream_priv.h"

enum { BODY_START = 32 * 1024 };
static const char over_budget[] = "over the memory budget: retry later";

static struct http_engine *engine_of(const struct h2_stream *s) { return s->h2->connection->engine; }

static void state_set(struct h2_stream *s, enum h2_state state) {
    s->state = state;
    s->mark_ns = s->h2->now_ns;
    s->window_bytes = 0;
    s->h2->due_ns = MIN(s->h2->due_ns, stream_due_ns(s));
}

struct h2_stream *stream_begin(struct h2 *h, int32_t id) {
    struct h2_stream *s = h2_memory_grow(h, NULL, sizeof *s);
    if (!s) return NULL;
    struct http_request *r = request_take(h->connection->engine);
    r->is_h2 = true;
    r->fields.count = 0;
    r->fields.target = (struct head_piece){0};
    if (!request_body_budget(r, REQUEST_BLOCK)) {
        request_give(r);
        h2_memory_free(h, s);
        return NULL;
    }
    *s = (struct h2_stream){.h2 = h, .request = r, .id = id, .next = h->streams};
    if (s->next) s->next->before = s;
    h->streams = s;
    h->stream_count++;
    r->stream = s;
    state_set(s, H2_HEAD);
    return s;
}

void stream_end(struct h2_stream *s) {
    struct h2 *h = s->h2;
    struct http_request *r = s->request;
    *(s->before ? &s->before->next : &h->streams) = s->next;
    if (s->next) s->next->before = s->before;
    h->stream_count--;
    if (h->stream_count == 0) h->connection->mark_ns = h->now_ns; /* idle from now on */
    r->stream = NULL;
    r->connection = NULL;
    request_abandon(r);
    bool pushing = s->state == H2_WRITING && r->push;
    http_receiver *receiver = pushing ? r->receiver : NULL;
    if (pushing) stream_gone(r->push);
    if (s->state != H2_WAITING && (!pushing || r->is_final))
        request_give(r); /* else the handler's until its reply, or its end */
    h2_memory_free(h, s);
    if (receiver) r->receiver(r->receiver_context, STR(""), HTTP_INPUT_GONE);
}

void stream_cancel(struct h2_stream *s) {
    h2_check(s->h2, nghttp2_submit_rst_stream(s->h2->session, 0, s->id, NGHTTP2_CANCEL));
}

/* ---- replies ---------------------------------------------------------------------------------------------------- */

static void fields_of(const struct buf *from, size_t *at, size_t n, nghttp2_nv *out) {
    assert(n <= H2_REPLY_FIELDS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct http_field f = reply_field_next(from, at);
        out[i] = (nghttp2_nv){(uint8_t *)f.name.p, (uint8_t *)f.value.p, f.name.n, f.value.n, NGHTTP2_NV_FLAG_NONE};
    }
}

/* All of the body is on its way; then trailers, if there are any. */
static void body_end(struct h2_stream *s, uint32_t *flags) {
    const struct http_request *r = s->request;
    nghttp2_nv fields[H2_REPLY_FIELDS_MAX];
    const struct buf *from = &r->out;
    uint32_t n = r->reply_trailers;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (r->push) from = stream_trailers(r->push, &n);
    if (n == 0) return;
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    fields_of(from, &s->trailers_at, n, fields);
    h2_check(s->h2, nghttp2_submit_trailer(s->h2->session, s->id, fields, n));
}

static ssize_t pushed_read(struct h2_stream *s, uint8_t *out, size_t n, uint32_t *flags) {
    n = stream_take(s->request->push, (char *)out, n);
    s->window_bytes += n;
    s->h2->roomy |= n > 0;
    s->nothing_to_send = n == 0 && !s->request->is_final;
    if (s->nothing_to_send) return NGHTTP2_ERR_DEFERRED;
    if (n == 0) body_end(s, flags);
    return (ssize_t)n;
}

static ssize_t body_read(nghttp2_session *session, int32_t id, uint8_t *out, size_t n, uint32_t *flags,
                         nghttp2_data_source *source, void *context) {
    struct h2_stream *s = source->ptr;
    struct str body = s->request->reply_body;
    (void)session, (void)id, (void)context;
    if (s->request->push) return pushed_read(s, out, n, flags);
    n = MIN(n, body.n - s->out_at);
    if (n) memcpy(out, body.p + s->out_at, n);
    s->out_at += n;
    s->window_bytes += n;
    if (s->out_at == body.n) body_end(s, flags);
    return (ssize_t)n;
}

void stream_reply(struct h2_stream *s) {
    struct http_request *r = s->request;
    nghttp2_data_provider body = {.source.ptr = s, .read_callback = body_read};
    nghttp2_nv fields[H2_REPLY_FIELDS_MAX];
    bool bare = r->reply_body.n == 0 && r->reply_trailers == 0 && !r->push;
    fields_of(&r->out, &s->trailers_at, r->reply_fields, fields);
    if (r->push) s->trailers_at = 0; /* they will stand in a place of their own */
    state_set(s, H2_WRITING);
    h2_check(s->h2, nghttp2_submit_response(s->h2->session, s->id, fields, r->reply_fields, bare ? NULL : &body));
    if (r->push && s->h2->connection->ended) stream_cancel(s); /* who wants to hear more does not hang up */
}

void stream_pushed(struct h2_stream *s) {
    if (!s->nothing_to_send) return;
    s->nothing_to_send = false;
    state_set(s, H2_WRITING);
    h2_check(s->h2, nghttp2_session_resume_data(s->h2->session, s->id));
}

static void refuse(struct h2_stream *s, int status, const char *reason) {
    reply_write_refusal(s->request, s->h2->connection->listener_context, status, reason, false);
    stream_reply(s);
}

/* ---- heads ------------------------------------------------------------------------------------------------------ */

void stream_field(struct h2_stream *s, struct str name, struct str value) {
    s->head_bytes += name.n + value.n;
    if (s->head_bytes > H2_HEAD_BOMB) h2_calm(s->h2);
    if (s->status == 0) s->status = head_add_field(s->request, name, value);
}

void stream_trailer_field(struct h2_stream *s, struct str name, struct str value) {
    s->head_bytes += name.n + value.n;
    if (s->head_bytes > H2_HEAD_BOMB) h2_calm(s->h2);
}

static void expect_answer(struct h2_stream *s) {
    nghttp2_nv status = {(uint8_t *)":status", (uint8_t *)"100", 7, 3, NGHTTP2_NV_FLAG_NONE};
    h2_check(s->h2, nghttp2_submit_headers(s->h2->session, 0, s->id, NULL, &status, 1, NULL));
}

/* Takes the whole length for a moment, to judge it: a length is only a claim. */
static bool length_fits_budget(struct http_request *r, size_t n) {
    if (!request_body_budget(r, n)) return false;
    request_body_budget_return(r, n);
    return true;
}

/* Judges how long the body will be, once that is known. 0, or the status to refuse with. */
static int body_expect(struct h2_stream *s, uint64_t n) {
    struct http_request *r = s->request;
    if (n > request_body_max(r)) {
        r->reason = "the body is over the limit";
        return 413;
    }
    if (!length_fits_budget(r, (size_t)n)) {
        r->reason = over_budget;
        return 429;
    }
    s->body_expected = (size_t)n;
    return 0;
}

/* The handler's turn. */
static void dispatch(struct h2_stream *s) {
    bool replied;
    state_set(s, H2_WAITING);
    int status = request_dispatch(s->request, s->h2->connection, &replied);
    if (status)
        refuse(s, status, s->request->reason);
    else if (replied && s->state == H2_WAITING) /* else more was delivered meanwhile */
        stream_reply(s);
    s->taken_ns = s->h2->now_ns;
    s->h2->due_ns = MIN(s->h2->due_ns, stream_due_ns(s));
}

static bool takes_pieces(const struct h2_stream *s) {
    const struct http_server_options *o = &engine_of(s)->options;
    return o->takes_pieces && o->takes_pieces(s->h2->connection->listener_context, s->request);
}

/* The answer is known, or does not need the body: it goes out when the client is done, or after linger_ns. */
static void read_over(struct h2_stream *s) {
    request_body_drop(s->request);
    s->body_n = 0;
    s->lingers = true;
    state_set(s, H2_BODY);
    if (s->request->expect_continue) stream_input_done(s); /* it waits for that before it sends */
}

void stream_head_done(struct h2_stream *s) {
    struct http_request *r = s->request;
    if (!s->status) s->status = head_finish(r);
    if (s->status) {
        refuse(s, s->status, r->reason);
        return;
    }
    bool pieces = takes_pieces(s);
    state_set(s, H2_BODY);
    if (!pieces && r->has_length && (s->status = body_expect(s, r->length))) {
        read_over(s);
        return;
    }
    if (r->expect_continue && !s->client_is_done) expect_answer(s);
    if (pieces) dispatch(s);
}

/* ---- bodies ----------------------------------------------------------------------------------------------------- */

/* Room for n bytes after body_n. Memory grows as the body comes, so that a claim alone holds none. */
static bool body_reserve(struct h2_stream *s, size_t n) {
    struct http_request *r = s->request;
    size_t need = s->body_n + n, expected = MAX(s->body_expected, need);
    if (need <= r->body_capacity) return true;
    size_t want = r->body_capacity ? r->body_capacity * 2 : s->body_expected ? BODY_AT_ONCE : BODY_START;
    want = MAX(want, need);
    if (s->body_expected) want = MIN(want, expected);
    if (!request_body_budget(r, want - r->body_capacity)) return false;
    if (r->body_buffer) {
        r->body_buffer = mem_grow(r->body_buffer, want);
        r->body_capacity = want;
    } else {
        r->body_buffer = body_take(engine_of(s), want, &r->body_capacity);
    }
    return true;
}

/* Whether a body of n bytes so far, or altogether, may be taken; else the handler is called without. */
static bool is_trusted_with(struct h2_stream *s, uint64_t n) {
    struct http_request *r = s->request;
    if (s->is_trusted || n <= BODY_OF_STRANGERS) return true;
    s->is_trusted = request_is_trusted(r, s->h2->connection->listener_context);
    if (s->is_trusted) return true;
    r->body_is_left = true;
    read_over(s);
    return false;
}

void stream_data(struct h2_stream *s, struct str data) {
    struct http_request *r = s->request;
    if (s->state != H2_BODY || s->lingers) return; /* read over */
    if (!is_trusted_with(s, s->body_n + data.n)) return;
    size_t message;
    if (s->body_n == 0 && !r->has_length && grpc_is_request(r) && grpc_message_size(data, &message))
        s->status = body_expect(s, message);
    if (!s->status && s->body_n + data.n > request_body_max(r)) {
        s->status = 413;
        r->reason = "the body is over the limit";
    } else if (!s->status && !body_reserve(s, data.n)) {
        s->status = 429;
        r->reason = over_budget;
    }
    if (s->status) {
        read_over(s);
    } else {
        memcpy(r->body_buffer + s->body_n, data.p, data.n);
        s->body_n += data.n;
        s->window_bytes += data.n;
    }
}

void stream_input_done(struct h2_stream *s) {
    stream_offer(s, HTTP_INPUT_ENDED);
    if (s->state != H2_BODY) return;
    if (s->status) {
        refuse(s, s->status, s->request->reason);
        return;
    }
    s->request->body = (struct str){s->request->body_buffer, s->body_n};
    dispatch(s);
}

/* ---- bodies in pieces ------------------------------------------------------------------------------------------- */

bool stream_has_receiver(const struct h2_stream *s) { return s->request->receiver != NULL; }

void stream_offer(struct h2_stream *s, enum http_input input) {
    struct http_request *r = s->request;
    if (!r->receiver) return;
    if (input == HTTP_INPUT_OPEN && s->client_is_done) input = HTTP_INPUT_ENDED;
    size_t taken = r->receiver(r->receiver_context, (struct str){r->body_buffer, s->body_n}, input);
    assert(taken <= s->body_n && (input <= HTTP_INPUT_ENDED || !r->receiver));
    if (!r->receiver) taken = s->body_n; /* nobody wants the rest */
    if (taken == 0) return;
    s->body_n -= taken;
    memmove(r->body_buffer, r->body_buffer + taken, s->body_n);
    s->taken_ns = s->h2->now_ns;
    h2_check(s->h2, nghttp2_session_consume_stream(s->h2->session, s->id, taken));
}

void stream_piece(struct h2_stream *s, struct str data) {
    if (!body_reserve(s, data.n)) {
        stream_offer(s, HTTP_INPUT_BUSY);
        h2_check(s->h2, nghttp2_session_consume_stream(s->h2->session, s->id, data.n));
        return;
    }
    memcpy(s->request->body_buffer + s->body_n, data.p, data.n);
    s->body_n += data.n;
    stream_offer(s, HTTP_INPUT_OPEN);
}

/* ---- time ------------------------------------------------------------------------------------------------------- */

static int64_t window_ns(const struct h2_stream *s) {
    const struct http_server_options *o = &engine_of(s)->options;
    if (s->lingers && s->state == H2_BODY) return o->linger_ns;
    switch (s->state) {
    case H2_HEAD: return o->head_ns;
    case H2_BODY: return o->body_ns;
    case H2_WRITING: return o->write_ns;
    case H2_WAITING: break;
    }
    return INT64_MAX;
}

static int64_t late_ns(const struct h2_stream *s) {
    return s->request->receiver ? s->taken_ns + engine_of(s)->options.idle_ns : INT64_MAX;
}

int64_t stream_due_ns(const struct h2_stream *s) {
    int64_t window = window_ns(s);
    return MIN(late_ns(s), window == INT64_MAX ? INT64_MAX : s->mark_ns + window);
}

void stream_time_out(struct h2_stream *s) {
    bool fast = s->nothing_to_send || (double)s->window_bytes >= (double)window_ns(s) * RATE_BYTES_S / 1e9;
    if (late_ns(s) <= s->h2->now_ns) {
        stream_offer(s, HTTP_INPUT_LATE);
    } else if (s->state == H2_HEAD) { /* no other stream can go on before its end */
        h2_calm(s->h2);
        s->mark_ns = INT64_MAX - window_ns(s);
    } else if (s->lingers && s->state == H2_BODY) {
        stream_input_done(s);
    } else if (fast) {
        state_set(s, s->state);
    } else if (s->state == H2_BODY) {
        refuse(s, 408, "the body comes too slowly");
    } else {
        stream_cancel(s);
        s->mark_ns = s->h2->now_ns; /* once is enough */
    }
}
