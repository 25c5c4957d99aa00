/* An answer in pieces: a bounded queue between who writes it and the loop's thread. */
#include "net/stream_priv.h"

#include "base/budget.h"
#include "net/connection_priv.h"
#include "os/thread.h"

struct http_stream {
    struct http_request *request;
    struct buf trailers; /* as reply_field_next reads them; written before the last delivery */
    uint32_t trailer_count;
    struct lock lock; /* covers what follows */
    struct buf queue;
    size_t at, held_max; /* what is held: queue.n - at */
    bool gone;
};

static size_t held(const struct http_stream *s) { return s->queue.n - s->at; }

static void return_budget(struct http_stream *s, size_t n) {
    struct budget *budget = s->request->engine->options.budget;
    if (budget && n) budget_give(budget, n);
}

struct http_stream *http_stream_begin(struct http_request *r, const struct http_reply *head, size_t held_max) {
    struct http_stream *s = mem_new_of(struct http_stream);
    assert(head->body.n == 0 && head->status != 204 && head->status != 304);
    *s = (struct http_stream){.request = r, .held_max = held_max, .gone = r->method_code == HTTP_HEAD};
    lock_init(&s->lock);
    buf_init(&s->queue, SIZE_MAX / 2);
    buf_init(&s->trailers, SIZE_MAX / 2);
    r->push = s;
    http_reply(r, head);
    return s;
}

/* Room at the end instead of what was read at the start. */
static void compact(struct http_stream *s) {
    if (s->at < s->queue.n / 2) return;
    if (s->at) memmove(s->queue.p, s->queue.p + s->at, held(s));
    s->queue.n -= s->at;
    s->at = 0;
}

enum http_stream_state http_stream_write(struct http_stream *s, struct str bytes) {
    struct http_engine *e = s->request->engine;
    enum http_stream_state state = HTTP_STREAM_OK;
    lock_take(&s->lock);
    if (s->gone || atomic_load_explicit(&e->draining, memory_order_relaxed)) {
        state = HTTP_STREAM_GONE;
    } else if (bytes.n > s->held_max - held(s) || (e->options.budget && !budget_take(e->options.budget, bytes.n))) {
        state = HTTP_STREAM_SLOW;
    } else {
        compact(s);
        buf_add_str(&s->queue, bytes);
    }
    lock_give(&s->lock);
    if (state == HTTP_STREAM_OK && bytes.n) e->deliver(e, s->request, false);
    return state;
}

size_t http_stream_held(struct http_stream *s) {
    lock_take(&s->lock);
    size_t n = held(s);
    lock_give(&s->lock);
    return n;
}

bool http_stream_is_gone(struct http_stream *s) {
    lock_take(&s->lock);
    bool gone = s->gone || atomic_load_explicit(&s->request->engine->draining, memory_order_relaxed);
    lock_give(&s->lock);
    return gone;
}

void http_stream_end(struct http_stream *s, const struct http_field *trailers, size_t n) {
    struct http_request *r = s->request;
    if (r->receiver) r->receiver = NULL; /* else another thread may be here */
    for (size_t i = 0; i < n; i++) reply_field_put(&s->trailers, trailers[i].name, trailers[i].value);
    s->trailer_count = (uint32_t)n;
    r->engine->deliver(r->engine, r, true);
}

void http_stream_receive(struct http_stream *s, http_receiver *fn, void *context) {
    assert((s->request->stream || s->request->is_upgraded) && "in the handler's call, of HTTP/2 or after an upgrade");
    s->request->receiver = fn;
    s->request->receiver_context = context;
}

/* ---- the loop's side -------------------------------------------------------------------------------------------- */

size_t stream_take(struct http_stream *s, char *out, size_t n) {
    lock_take(&s->lock);
    n = MIN(n, held(s));
    if (n) memcpy(out, s->queue.p + s->at, n);
    s->at += n;
    if (held(s) == 0) {
        buf_clear(&s->queue);
        s->at = 0;
    }
    lock_give(&s->lock);
    return_budget(s, n);
    return n;
}

void stream_gone(struct http_stream *s) {
    lock_take(&s->lock);
    s->gone = true;
    lock_give(&s->lock);
}

const struct buf *stream_trailers(const struct http_stream *s, uint32_t *out_count) {
    *out_count = s->trailer_count;
    return &s->trailers;
}

void stream_free(struct http_stream *s) {
    if (!s) return;
    return_budget(s, held(s));
    buf_done(&s->queue);
    buf_done(&s->trailers);
    lock_done(&s->lock);
    mem_free(s);
}
