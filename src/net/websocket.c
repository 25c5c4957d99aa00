#include "net/websocket.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <wslay/wslay.h>

enum { KEY_TEXT = 24, KEY_BYTES = 16, CLOSE_AWAY = 1001 };

struct websocket {
    struct http_stream *stream;
    struct wslay_event_context *frames;
    struct websocket_options options;
    struct str input; /* came and was not read so far */
};

/* ---- the handshake ---------------------------------------------------------------------------------------------- */

bool websocket_accept(struct str key, char out[WEBSOCKET_ACCEPT + 1]) {
    static const struct str guid = STR("258EAFA5-E914-47DA-95CA-C5AB0DC85B11"); /* §1.3 */
    unsigned char bytes[KEY_BYTES + 2], digest[SHA_DIGEST_LENGTH];
    char joined[KEY_TEXT + 64];
    if (key.n != KEY_TEXT || key.p[KEY_TEXT - 1] != '=' || key.p[KEY_TEXT - 2] != '=' || key.p[KEY_TEXT - 3] == '=')
        return false;
    if (EVP_DecodeBlock(bytes, (const unsigned char *)key.p, KEY_TEXT) != KEY_BYTES + 2) return false;
    memcpy(joined, key.p, key.n);
    memcpy(joined + key.n, guid.p, guid.n);
    SHA1((const unsigned char *)joined, key.n + guid.n, digest);
    EVP_EncodeBlock((unsigned char *)out, digest, sizeof digest);
    return true;
}

/* ---- what wslay asks for ------------------------------------------------------------------------------------------ */

static ssize_t on_read(wslay_event_context_ptr frames, uint8_t *out, size_t n, int flags, void *context) {
    struct websocket *ws = context;
    (void)flags;
    if (ws->input.n == 0) {
        wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    n = MIN(n, ws->input.n);
    memcpy(out, ws->input.p, n);
    ws->input = (struct str){ws->input.p + n, ws->input.n - n};
    return (ssize_t)n;
}

static ssize_t on_write(wslay_event_context_ptr frames, const uint8_t *bytes, size_t n, int flags, void *context) {
    struct websocket *ws = context;
    (void)flags;
    switch (http_stream_write(ws->stream, str_span(bytes, n))) {
    case HTTP_STREAM_OK: return (ssize_t)n;
    case HTTP_STREAM_SLOW: wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK); return -1;
    case HTTP_STREAM_GONE: break;
    }
    wslay_event_set_error(frames, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static void on_message(wslay_event_context_ptr frames, const struct wslay_event_on_msg_recv_arg *m, void *context) {
    struct websocket *ws = context;
    (void)frames;
    if (m->opcode != WSLAY_TEXT_FRAME && m->opcode != WSLAY_BINARY_FRAME) return;
    ws->options.on_message(ws->options.context, ws, m->opcode == WSLAY_TEXT_FRAME, str_span(m->msg, m->msg_length));
}

/* ---- turns ------------------------------------------------------------------------------------------------------ */

/* Reads all that came and writes what there is room for; false: it is over. */
static bool turn(struct websocket *ws) {
    bool good = wslay_event_recv(ws->frames) == 0;
    good &= wslay_event_send(ws->frames) == 0;
    return good && wslay_event_get_read_enabled(ws->frames) &&
           wslay_event_get_queued_msg_count(ws->frames) <= WEBSOCKET_QUEUE_MAX;
}

static void end(struct websocket *ws) {
    http_stream_end(ws->stream, NULL, 0);
    wslay_event_context_free(ws->frames);
    ws->options.on_end(ws->options.context);
    mem_free(ws);
}

static size_t receive(void *context, struct str bytes, enum http_input input) {
    struct websocket *ws = context;
    ws->input = bytes;
    if (input == HTTP_INPUT_IDLE) wslay_event_queue_msg(ws->frames, &(struct wslay_event_msg){.opcode = WSLAY_PING});
    if (input == HTTP_INPUT_LATE || input == HTTP_INPUT_BUSY) wslay_event_queue_close(ws->frames, CLOSE_AWAY, NULL, 0);
    if (input == HTTP_INPUT_GONE || !turn(ws) || input > HTTP_INPUT_ENDED) end(ws);
    return bytes.n;
}

void websocket_open(struct http_stream *s, const struct websocket_options *o) {
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_read, .send_callback = on_write, .on_msg_recv_callback = on_message};
    struct websocket *ws = mem_new_of(struct websocket);
    *ws = (struct websocket){.stream = s, .options = *o};
    int failed = wslay_event_context_server_init(&ws->frames, &callbacks, ws);
    assert(!failed && "no memory for a few hundred bytes");
    (void)failed;
    wslay_event_config_set_max_recv_msg_length(ws->frames, o->message_max);
    http_stream_receive(s, receive, ws);
}

bool websocket_send(struct websocket *ws, struct str text) {
    const struct wslay_event_msg m = {.opcode = WSLAY_TEXT_FRAME, .msg = (const uint8_t *)text.p, .msg_length = text.n};
    return wslay_event_get_queued_msg_count(ws->frames) < WEBSOCKET_QUEUE_MAX &&
           wslay_event_queue_msg(ws->frames, &m) == 0;
}
