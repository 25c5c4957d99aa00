/* For the test of WebSockets and their fuzzer: a wire whose requests become sockets that say each message back. */
#pragma once

#include "base/hash.h"
#include "net/websocket.h"
#include "net/wire_test_priv.h"

enum { ECHO_MAX = 1000 };

struct echo {
    size_t messages, ends;
    uint64_t hash; /* of the messages */
};
static struct echo echo;

static void echo_message(void *context, struct websocket *ws, bool is_text, struct str message) {
    struct echo *e = context;
    e->messages++;
    e->hash = hash_fast(message.p, message.n) + 31 * e->hash + is_text;
    websocket_send(ws, message);
}

static void echo_end(void *context) { ((struct echo *)context)->ends++; }

static void echo_handler(struct http_request *r) {
    char accept[WEBSOCKET_ACCEPT + 1];
    if (!websocket_accept(http_field(r, STR("sec-websocket-key")), accept)) {
        http_reply(r, &(struct http_reply){.status = 400});
        return;
    }
    const struct http_field fields[] = {{STR("Upgrade"), STR("websocket")},
                                        {STR("Sec-WebSocket-Accept"), str_of(accept)}};
    struct http_stream *s = http_stream_begin(
        r, &(struct http_reply){.status = 101, .fields = fields, .field_count = LENGTH(fields)}, WEBSOCKET_HELD_MAX);
    websocket_open(s, &(struct websocket_options){
                          .message_max = ECHO_MAX, .on_message = echo_message, .on_end = echo_end, .context = &echo});
}

static const struct str echo_head =
    STR("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
