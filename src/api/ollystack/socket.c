/* WebSockets: /ws and /logs/tail. They take subscriptions, and nothing is ever published: as upstream. */
#include "api/ollystack/ollystack_priv.h"

#include "net/websocket.h"

enum { MESSAGE_MAX = 4096 };

/* {"type":"subscribe"|"unsubscribe","channel"}: nothing is sent on any channel, so none is remembered. */
static void on_message(void *context, struct websocket *ws, bool is_text, struct str message) {
    (void)context, (void)ws, (void)is_text, (void)message;
}

static void on_end(void *context) {
    struct api *api = context;
    atomic_fetch_sub(&api->sockets, 1);
}

static bool list_has(struct str list, struct str word) {
    struct str one;
    for (bool more = list.n > 0; more;) {
        more = str_cut(list, ',', &one, &list);
        if (str_equal_nocase(str_trim(one), word)) return true;
    }
    return false;
}

static void refuse_version(struct api_call *c) {
    static const struct http_field field = {STR("Sec-WebSocket-Version"), STR("13")};
    AUTO_BUF struct buf body;
    buf_init(&body, KIB);
    olly_put_error(&body, false, STR("only version 13 of the WebSocket protocol is spoken here"));
    call_reply(c, &(struct api_reply){.status = 400,
                                      .content_type = olly_content_type(c),
                                      .body = buf_str(&body),
                                      .fields = &field,
                                      .field_count = 1});
}

/* Whether the call asks for a socket, and in time; else it has ended. */
static bool check(struct api_call *c, char accept[WEBSOCKET_ACCEPT + 1]) {
    const struct api_request *r = &c->request;
    if (r->method != HTTP_GET || r->is_h2 || !list_has(r->upgrade, STR("websocket")) || !list_has(r->connection, STR("upgrade"))) {
        olly_fail(c, 400, STR("this is a WebSocket: ask with Connection: Upgrade and Upgrade: WebSocket"));
        return false;
    }
    if (!str_equal(r->websocket_version, STR("13"))) {
        refuse_version(c);
        return false;
    }
    if (websocket_accept(r->websocket_key, accept)) return true;
    olly_fail(c, 400, STR("Sec-WebSocket-Key is not 16 bytes in base64"));
    return false;
}

void handle_olly_socket(struct api_call *c) {
    char accept[WEBSOCKET_ACCEPT + 1];
    struct api *api = c->api;
    if (!check(c, accept)) return;
    if (atomic_fetch_add(&api->sockets, 1) >= OLLY_SOCKETS_MAX) {
        atomic_fetch_sub(&api->sockets, 1);
        call_fail(c, err_new(ERR_BUSY, "%d sockets are open already", OLLY_SOCKETS_MAX));
        return;
    }
    const struct http_field fields[] = {{STR("Upgrade"), STR("websocket")},
                                        {STR("Sec-WebSocket-Accept"), str_of(accept)}};
    struct http_stream *s = call_stream(
        c, &(struct api_reply){.status = 101, .fields = fields, .field_count = LENGTH(fields)}, WEBSOCKET_HELD_MAX);
    websocket_open(s, &(struct websocket_options){
                          .message_max = MESSAGE_MAX, .on_message = on_message, .on_end = on_end, .context = api});
}
