#include "base/budget.h"
#include "net/h2_priv.h"

enum { GLITCHES_BURST = 500, GLITCHES_S = 50, OUT_START = 1024 };
static const int64_t GLITCH_NS = 1000000000 / GLITCHES_S;

/* ---- memory (1) ------------------------------------------------------------------------------------------------- */

/* Before each piece stands its size; 16 bytes keep what follows aligned. */
union piece_head {
    size_t n;
    char align[16];
};

static bool memory_charge(struct h2 *h, size_t n) {
    struct budget *budget = h->connection->engine->options.budget;
    if (h->memory_used + n > H2_MEMORY_MAX) return false;
    size_t more = h->memory_used + n > h->memory_taken ? h->memory_used + n - h->memory_taken : 0;
    more = (more + H2_MEMORY_STEP - 1) / H2_MEMORY_STEP * H2_MEMORY_STEP;
    if (more && budget && !budget_take(budget, more)) return false;
    h->memory_taken += more;
    h->memory_used += n;
    return true;
}

static void memory_return(struct h2 *h, size_t n) {
    struct budget *budget = h->connection->engine->options.budget;
    h->memory_used -= n;
    size_t spare = (h->memory_taken - h->memory_used) / H2_MEMORY_STEP * H2_MEMORY_STEP;
    if (spare <= H2_MEMORY_STEP) return; /* one step stays, so that a usual request takes none */
    spare -= H2_MEMORY_STEP;
    if (budget) budget_give(budget, spare);
    h->memory_taken -= spare;
}

void *h2_memory_grow(struct h2 *h, void *old, size_t n) {
    union piece_head *head = old ? (union piece_head *)old - 1 : NULL;
    size_t had = head ? head->n : 0;
    n += sizeof *head;
    if (n > had && !memory_charge(h, n - had)) return NULL;
    if (n < had) memory_return(h, had - n);
    head = mem_grow(head, n);
    head->n = n;
    return head + 1;
}

void h2_memory_free(struct h2 *h, void *p) {
    if (!p) return;
    union piece_head *head = (union piece_head *)p - 1;
    memory_return(h, head->n);
    mem_free(head);
}

static void *session_take(size_t n, void *h) { return h2_memory_grow(h, NULL, n); }
static void *session_grow(void *old, size_t n, void *h) { return h2_memory_grow(h, old, n); }
static void session_free(void *p, void *h) { h2_memory_free(h, p); }
static void *session_zero(size_t count, size_t size, void *h) {
    void *p = h2_memory_grow(h, NULL, count * size); /* nghttp2 asks for one object, or a table of fixed size */
    if (p) memset(p, 0, count * size);
    return p;
}

/* ---- floods ----------------------------------------------------------------------------------------------------- */

void h2_check(struct h2 *h, int code) {
    if (code < 0 && nghttp2_is_fatal(code)) h->broken = true;
}

void h2_calm(struct h2 *h) { h2_check(h, nghttp2_session_terminate_session(h->session, NGHTTP2_ENHANCE_YOUR_CALM)); }

static void glitch(struct h2 *h) {
    int64_t since = h->now_ns - h->glitches_at_ns;
    h->glitches_at_ns = h->now_ns;
    h->glitches_ns = MAX(h->glitches_ns - since, (int64_t)0) + GLITCH_NS;
    if (h->glitches_ns > GLITCH_NS * GLITCHES_BURST) h2_calm(h);
}

static bool brings_nothing(const nghttp2_frame_hd *hd) {
    switch (hd->type) {
    case NGHTTP2_DATA: /* judged when its padding is known */
    case NGHTTP2_HEADERS:
    case NGHTTP2_CONTINUATION:
    case NGHTTP2_RST_STREAM: /* judged when it closes a stream */
    case NGHTTP2_WINDOW_UPDATE:
    case NGHTTP2_GOAWAY: return false;
    case NGHTTP2_PING:
    case NGHTTP2_SETTINGS: return !(hd->flags & NGHTTP2_FLAG_ACK);
    default: return true; /* PRIORITY and the like; types that nghttp2 does not know are skipped unseen */
    }
}

static bool is_empty_data(const nghttp2_frame *f) {
    return f->hd.type == NGHTTP2_DATA && f->hd.length == f->data.padlen && !(f->hd.flags & NGHTTP2_FLAG_END_STREAM);
}

/* ---- what nghttp2 calls ----------------------------------------------------------------------------------------- */

static struct h2_stream *stream_of(struct h2 *h, int32_t id) {
    return id ? nghttp2_session_get_stream_user_data(h->session, id) : NULL;
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *context) {
    (void)session;
    if (brings_nothing(hd)) glitch(context);
    return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *f, void *context) {
    struct h2 *h = context;
    if (f->hd.type != NGHTTP2_HEADERS || f->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    struct h2_stream *s = stream_begin(h, f->hd.stream_id);
    if (s)
        h2_check(h, nghttp2_session_set_stream_user_data(session, f->hd.stream_id, s));
    else
        h2_check(h, nghttp2_submit_rst_stream(session, 0, f->hd.stream_id, NGHTTP2_REFUSED_STREAM));
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *f, const uint8_t *name, size_t name_n,
                     const uint8_t *value, size_t value_n, uint8_t flags, void *context) {
    struct h2_stream *s = stream_of(context, f->hd.stream_id);
    (void)session, (void)flags;
    if (!s) return 0;
    if (f->headers.cat == NGHTTP2_HCAT_REQUEST)
        stream_field(s, str_span(name, name_n), str_span(value, value_n));
    else
        stream_trailer_field(s, str_span(name, name_n), str_span(value, value_n));
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *f, void *context) {
    struct h2 *h = context;
    (void)session;
    if (is_empty_data(f)) glitch(h);
    if (f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA) return 0;
    struct h2_stream *s = stream_of(h, f->hd.stream_id);
    if (!s) return 0;
    if (f->hd.flags & NGHTTP2_FLAG_END_STREAM) s->client_is_done = true;
    if (s->state == H2_HEAD) stream_head_done(s);
    if (s->client_is_done) stream_input_done(s);
    return 0;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *f, int code, void *context) {
    (void)session, (void)f, (void)code;
    glitch(context);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t n, void *context) {
    struct h2 *h = context;
    struct h2_stream *s = stream_of(h, id);
    (void)flags;
    if (s && stream_has_receiver(s)) {
        stream_piece(s, str_span(data, n));
        h2_check(h, nghttp2_session_consume_connection(session, n));
        return 0;
    }
    if (s) stream_data(s, str_span(data, n));
    h2_check(h, nghttp2_session_consume(session, id, n));
    return 0;
}

/* What was refused before it was read to its end: the answer is out, the client shall not go on. */
static int on_sent(nghttp2_session *session, const nghttp2_frame *f, void *context) {
    struct h2 *h = context;
    if (f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA) return 0;
    struct h2_stream *s = f->hd.flags & NGHTTP2_FLAG_END_STREAM ? stream_of(h, f->hd.stream_id) : NULL;
    if (s && !s->client_is_done) h2_check(h, nghttp2_submit_rst_stream(session, 0, f->hd.stream_id, NGHTTP2_NO_ERROR));
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *context) {
    struct h2 *h = context;
    struct h2_stream *s = stream_of(h, id);
    (void)session;
    if (code != NGHTTP2_NO_ERROR) glitch(h); /* whichever side reset it: both cost us a request */
    if (s) stream_end(s);
    return 0;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static int session_new(struct h2 *h) {
    nghttp2_mem memory = {h, session_take, session_free, session_zero, session_grow};
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    int code = nghttp2_session_callbacks_new(&callbacks);
    if (code == 0) code = nghttp2_option_new(&option);
    if (code == 0) {
        nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
        nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
        nghttp2_option_set_no_auto_window_update(option, 1); /* (3) */
        nghttp2_option_set_no_closed_streams(option, 1);
        code = nghttp2_session_server_new3(&h->session, callbacks, h, option, &memory);
    }
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    return code;
}

bool h2_open(struct http_connection *c, int64_t now_ns) {
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_STREAMS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEAD_MAX},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    struct h2 *h = mem_new_of(struct h2);
    *h = (struct h2){.connection = c, .now_ns = now_ns, .due_ns = INT64_MAX, .end_due_ns = INT64_MAX};
    c->h2 = h;
    c->state = CONNECTION_STREAMS;
    c->mark_ns = now_ns;
    int code = session_new(h);
    if (code == 0) code = nghttp2_submit_settings(h->session, 0, settings, LENGTH(settings));
    if (code == 0) code = nghttp2_session_set_local_window_size(h->session, 0, 0, H2_CONNECTION_WINDOW);
    if (code == 0) return true;
    h2_close(c);
    return false;
}

void h2_close(struct http_connection *c) {
    struct h2 *h = c->h2;
    if (!h) return;
    while (h->streams) stream_end(h->streams);
    nghttp2_session_del(h->session);
    h2_memory_free(h, h->out);
    if (c->engine->options.budget) budget_give(c->engine->options.budget, h->memory_taken);
    mem_free(h);
    c->h2 = NULL;
}

/* All was said: the client gets time to see it before a reset could take it away. */
static void finish(struct http_connection *c, int64_t now_ns) {
    h2_close(c);
    c->state = CONNECTION_LINGER;
    c->mark_ns = now_ns;
    c->shut = true;
    if (c->ended) connection_close(c);
}

/* After anything happened: where the connection stands. */
static void settle(struct http_connection *c) {
    struct h2 *h = c->h2;
    bool pending = h->out_at < h->out_n || nghttp2_session_want_write(h->session);
    if (h->broken || (!pending && c->ended && h->stream_count == 0))
        connection_close(c);
    else if (!pending && !nghttp2_session_want_read(h->session))
        finish(c, h->now_ns);
    else
        c->state = pending || h->stream_count ? CONNECTION_STREAMS : CONNECTION_IDLE;
}

/* ---- input ------------------------------------------------------------------------------------------------------ */

bool h2_wants_input(const struct http_connection *c) {
    return !c->ended && !c->h2->deaf && c->h2->out_n - c->h2->out_at < H2_OUT_MAX; /* (2) */
}

void h2_fed(struct http_connection *c, const char *bytes, size_t n, int64_t now_ns) {
    struct h2 *h = c->h2;
    h->now_ns = now_ns;
    ssize_t taken = n ? nghttp2_session_mem_recv(h->session, (const uint8_t *)bytes, n) : 0;
    if (taken == NGHTTP2_ERR_FLOODED || taken == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS) {
        h->deaf = true;
        h2_calm(h);
    } else if (taken < 0) {
        h->broken = true;
    }
    settle(c);
}

void h2_ended(struct http_connection *c, int64_t now_ns) {
    struct h2 *h = c->h2;
    h->now_ns = now_ns;
    h->end_due_ns = now_ns + c->engine->options.end_ns;
    for (struct h2_stream *s = h->streams; s; s = s->next)
        if (s->state == H2_HEAD || s->state == H2_BODY || (s->state == H2_WRITING && s->request->push) ||
            (stream_has_receiver(s) && !s->client_is_done))
            stream_cancel(s);
    settle(c);
}

/* Its answers, if they come, are still sent. */
static void abandon_waiting(struct h2 *h) {
    h->end_due_ns = INT64_MAX;
    for (struct h2_stream *s = h->streams; s; s = s->next)
        if (s->state == H2_WAITING) request_abandon(s->request);
}

void h2_replied(struct http_request *r, int64_t now_ns) {
    struct http_connection *c = r->connection;
    c->h2->now_ns = now_ns;
    if (r->stream->state == H2_WAITING)
        stream_reply(r->stream);
    else
        stream_pushed(r->stream);
    settle(c);
}

/* ---- output ----------------------------------------------------------------------------------------------------- */

static bool out_reserve(struct h2 *h, size_t n) {
    if (h->out_n + n <= h->out_capacity) return true;
    size_t capacity = MAX(h->out_n + n, MAX(h->out_capacity * 2, (size_t)OUT_START));
    char *out = h2_memory_grow(h, h->out, capacity);
    if (!out) return false;
    h->out = out;
    h->out_capacity = capacity;
    return true;
}

static void offer_all(struct h2 *h, enum http_input input) {
    for (struct h2_stream *s = h->streams; s; s = s->next) stream_offer(s, input);
}

/* Many frames into one write. */
static void out_fill(struct h2 *h) {
    const uint8_t *bytes;
    h->out_n = h->out_at = 0;
    h->out_mark_ns = h->now_ns;
    while (!h->broken && h->out_n < H2_OUT_MAX) {
        ssize_t n = nghttp2_session_mem_send(h->session, &bytes);
        if (n == 0) break;
        if (n < 0 || !out_reserve(h, (size_t)n)) {
            h->broken = true;
            break;
        }
        memcpy(h->out + h->out_n, bytes, (size_t)n);
        h->out_n += (size_t)n;
    }
    if (h->roomy) offer_all(h, HTTP_INPUT_OPEN);
    h->roomy = false;
}

size_t h2_out(struct http_connection *c, struct socket_piece out[OUT_PIECES]) {
    struct h2 *h = c->h2;
    if (h->out_at == h->out_n) out_fill(h);
    if (h->out_at < h->out_n && !h->broken) {
        out[0] = (struct socket_piece){h->out + h->out_at, h->out_n - h->out_at};
        return 1;
    }
    settle(c);
    if (c->state == CONNECTION_IDLE) {
        h2_memory_free(h, take(&h->out));
        h->out_capacity = 0;
    }
    return 0;
}

void h2_wrote(struct http_connection *c, size_t n, int64_t now_ns) {
    c->h2->now_ns = now_ns;
    c->h2->out_at += n;
}

/* ---- time ------------------------------------------------------------------------------------------------------- */

int64_t h2_due_ns(const struct http_connection *c) {
    const struct h2 *h = c->h2;
    int64_t due = MIN(h->due_ns, h->end_due_ns);
    return h->out_at == h->out_n ? due : MIN(due, h->out_mark_ns + c->engine->options.write_ns);
}

void h2_time_out(struct http_connection *c, int64_t now_ns) {
    struct h2 *h = c->h2;
    h->now_ns = now_ns;
    if (h->out_at < h->out_n && now_ns >= h->out_mark_ns + c->engine->options.write_ns) {
        connection_close(c); /* not even H2_OUT_MAX in all that time */
        return;
    }
    if (c->state == CONNECTION_IDLE) h2_check(h, nghttp2_session_terminate_session(h->session, NGHTTP2_NO_ERROR));
    if (now_ns >= h->end_due_ns) abandon_waiting(h);
    h->due_ns = INT64_MAX;
    for (struct h2_stream *s = h->streams; s; s = s->next) {
        if (stream_due_ns(s) <= now_ns) stream_time_out(s);
        h->due_ns = MIN(h->due_ns, stream_due_ns(s));
    }
    settle(c);
}

void h2_drain(struct http_connection *c, int64_t now_ns) {
    struct h2 *h = c->h2;
    h->now_ns = now_ns;
    offer_all(h, HTTP_INPUT_BUSY);
    h2_check(h, nghttp2_submit_goaway(h->session, 0, nghttp2_session_get_last_proc_stream_id(h->session),
                                      NGHTTP2_NO_ERROR, NULL, 0));
    settle(c);
}
