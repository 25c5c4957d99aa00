/* WebSocket, the server's side (RFC 6455), over a stream that was upgraded.
 *
 *   handler: websocket_accept ─▶ http_stream_begin with 101, Upgrade, Sec-WebSocket-Accept ─▶ websocket_open
 *            messages ─▶ on_message … ─▶ on_end, once, whoever ended it
 *
 * Pings are answered, closes too; text must be UTF-8; frames must be masked. A client that says nothing is pinged after half of the server's idle_ns
 * and given up after the whole.
 * Limits: a message of `message_max` bytes (1009 closes), WEBSOCKET_QUEUE_MAX frames that wait for a slow reader, then the end.
 * Owner: itself; it is gone after on_end. Threads: the loop's of its connection. No extensions, no subprotocols.
 */
#pragma once

#include "net/net.h"

enum { WEBSOCKET_ACCEPT = 28, WEBSOCKET_QUEUE_MAX = 64, WEBSOCKET_HELD_MAX = 64 * 1024 };

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key; false: that is not 16 bytes in base64. */
bool websocket_accept(struct str key, char out[WEBSOCKET_ACCEPT + 1]);

struct websocket;
struct websocket_options {
    size_t message_max;
    void (*on_message)(void *context, struct websocket *ws, bool is_text, struct str message);
    void (*on_end)(void *context);
    void *context;
};
/* Inside the handler's call, once the stream has begun (held_max: WEBSOCKET_HELD_MAX). */
void websocket_open(struct http_stream *s, const struct websocket_options *o);
/* A text message, from within on_message. False: too many wait already. */
bool websocket_send(struct websocket *ws, struct str text);
