/* For tests and the fuzzer: a client of HTTP/2 in memory. nghttp2 speaks for it, the wire (wire_test_priv.h) is its other end. */
#pragma once

#include <nghttp2/nghttp2.h>

#include "net/wire_test_priv.h"

enum { PEER_STREAMS = 2048 };

struct peer_answer {
    int status;
    bool closed, reset, head_is_done;
    uint32_t code;                   /* of its end */
    struct buf head, body, trailers; /* "name: value\n"… */
};

struct peer {
    struct wire w;
    size_t seen; /* of w.out */
    nghttp2_session *session;
    struct peer_answer answers[PEER_STREAMS]; /* by stream id / 2 */
    struct buf body;                          /* what the next request sends */
    bool gone;                                /* GOAWAY came */
    uint32_t gone_code;
    int continues; /* 100 */
};

static inline struct peer_answer *peer_answer(struct peer *p, int32_t id) {
    assert(id > 0 && id / 2 < PEER_STREAMS);
    return &p->answers[id / 2];
}

static inline int peer_on_header(nghttp2_session *session, const nghttp2_frame *f, const uint8_t *name, size_t name_n,
                                 const uint8_t *value, size_t value_n, uint8_t flags, void *context) {
    struct peer *p = context;
    struct peer_answer *a = peer_answer(p, f->hd.stream_id);
    (void)session, (void)flags, (void)value_n;
    if (name_n == 7 && memcmp(name, ":status", 7) == 0) {
        int status = (value[0] - '0') * 100 + (value[1] - '0') * 10 + value[2] - '0';
        if (status == 100)
            p->continues++;
        else
            a->status = status;
        return 0;
    }
    struct buf *out = a->head_is_done ? &a->trailers : &a->head;
    buf_add(out, name, name_n);
    buf_add(out, ": ", 2);
    buf_add(out, value, value_n);
    buf_add(out, "\n", 1);
    return 0;
}

static inline int peer_on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t n,
                               void *context) {
    (void)session, (void)flags;
    buf_add(&peer_answer(context, id)->body, data, n);
    return 0;
}

static inline int peer_on_close(nghttp2_session *session, int32_t id, uint32_t code, void *context) {
    (void)session;
    peer_answer(context, id)->closed = true;
    peer_answer(context, id)->code = code;
    return 0;
}

static inline int peer_on_frame(nghttp2_session *session, const nghttp2_frame *f, void *context) {
    struct peer *p = context;
    (void)session;
    if (f->hd.type == NGHTTP2_GOAWAY) {
        p->gone = true;
        p->gone_code = f->goaway.error_code;
    }
    if (f->hd.type == NGHTTP2_HEADERS && peer_answer(p, f->hd.stream_id)->status)
        peer_answer(p, f->hd.stream_id)->head_is_done = true;
    if (f->hd.type == NGHTTP2_RST_STREAM) peer_answer(p, f->hd.stream_id)->reset = true;
    return 0;
}

/* `window`: of its streams; 0: nghttp2's. manual: no window opens by itself. */
static inline void peer_open(struct peer *p, const struct http_server_options *o, uint32_t window, bool manual) {
    nghttp2_session_callbacks *c;
    nghttp2_option *option;
    memset(p, 0, sizeof *p);
    wire_open(&p->w, o);
    buf_init(&p->body, 64 * MIB);
    for (size_t i = 0; i < PEER_STREAMS; i++) {
        buf_init(&p->answers[i].head, MIB);
        buf_init(&p->answers[i].body, 64 * MIB);
        buf_init(&p->answers[i].trailers, MIB);
    }
    nghttp2_session_callbacks_new(&c);
    nghttp2_option_new(&option);
    nghttp2_session_callbacks_set_on_header_callback(c, peer_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, peer_on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, peer_on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, peer_on_frame);
    nghttp2_option_set_no_auto_window_update(option, manual);
    nghttp2_option_set_peer_max_concurrent_streams(option, 100000);
    nghttp2_session_client_new2(&p->session, c, p, option);
    nghttp2_session_callbacks_del(c);
    nghttp2_option_del(option);
    nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window}};
    nghttp2_submit_settings(p->session, 0, settings, window ? 1 : 0);
}

static inline void peer_close(struct peer *p) {
    nghttp2_session_del(p->session);
    for (size_t i = 0; i < PEER_STREAMS; i++) {
        buf_done(&p->answers[i].head);
        buf_done(&p->answers[i].body);
        buf_done(&p->answers[i].trailers);
    }
    buf_done(&p->body);
    wire_close(&p->w);
}

/* Lets both talk until neither has anything to say; what the client says is cut every `step` bytes. */
static inline void peer_pump(struct peer *p, size_t step) {
    for (bool moved = true; moved;) {
        const uint8_t *bytes;
        ssize_t n;
        moved = false;
        while ((n = nghttp2_session_mem_send(p->session, &bytes)) > 0) {
            moved = true;
            wire_feed(&p->w, str_span(bytes, (size_t)n), step);
        }
        wire_flush(&p->w);
        if (p->seen == p->w.out.n) continue;
        moved = true;
        n = nghttp2_session_mem_recv(p->session, (const uint8_t *)p->w.out.p + p->seen, p->w.out.n - p->seen);
        p->seen = p->w.out.n;
        if (n < 0) break;
    }
}

static inline ssize_t peer_read_body(nghttp2_session *session, int32_t id, uint8_t *out, size_t n, uint32_t *flags,
                                     nghttp2_data_source *source, void *context) {
    struct str *left = source->ptr;
    (void)session, (void)id, (void)context;
    n = MIN(n, left->n);
    if (n) memcpy(out, left->p, n);
    *left = (struct str){left->p + n, left->n - n};
    if (left->n == 0) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

#define PEER_NV(name, value)                                                                                           \
    (nghttp2_nv) { (uint8_t *)(name), (uint8_t *)(value), strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE }

/* One request; `fields`: name, value, …, NULL. body: lives until sent; NULL: none. Its stream's id. */
static inline int32_t peer_ask(struct peer *p, const char *method, const char *path, const char *const *fields,
                               struct str *body) {
    nghttp2_nv nv[160] = {PEER_NV(":method", method), PEER_NV(":path", path), PEER_NV(":scheme", "http"),
                          PEER_NV(":authority", "clew.example")};
    size_t n = 4;
    for (; fields && *fields && n < 160; fields += 2) nv[n++] = PEER_NV(fields[0], fields[1]);
    nghttp2_data_provider data = {.source.ptr = body, .read_callback = peer_read_body};
    return nghttp2_submit_request(p->session, NULL, nv, n, body ? &data : NULL, NULL);
}
