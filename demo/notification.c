/* notification-service: tells customers by e-mail, SMS and push; some of it fails, and the answer is 200 all the same. */
#include <stdio.h>

#include "base/text.h"
#include "shop.h"

enum { KEPT_MS = 24 * 3600 * 1000 };

static const struct channel {
    const char *name, *span, *host_key, *host;
    int64_t from_ms, to_ms;
    double failures;
    bool child_fails;
} channels[] = {{"email", "send-email", "email.provider", "smtp.example", 50, 150, 0.02, false},
                {"sms", "send-sms", "sms.provider", "sms.example", 100, 300, 0.05, true},
                {"push", "send-push", "push.provider", "push.example", 20, 70, 0, false}};

static bool send_by(struct shop_call *c, const struct channel *channel, struct emit_span *all) {
    struct emit_span *span = shop_span_begin(c, channel->span);
    emit_span_set(span, F_TEXT("notification_type", channel->name));
    emit_span_set(span, F_TEXT(channel->host_key, channel->host));
    shop_take_wait(c, channel->from_ms, channel->to_ms);
    bool good = shop_chance() >= channel->failures;
    if (!good) {
        shop_span_fail(span, "delivery_failed",
                       channel->child_fails ? "SMS notification failed" : "Email notification failed");
        if (!channel->child_fails) emit_span_fail(all, "Email notification failed");
        shop_log(c, LOG_ERROR, "Notification failed", F_TEXT("type", channel->name));
    }
    shop_span_end(c, span, all);
    return good;
}

static void send(struct shop_call *c) {
    struct shop_order o;
    char id[17], key[64];
    int good = 0;
    if (!shop_body(c, &o)) return;
    struct emit_span *span = shop_span_begin(c, "send-notification");
    shop_make_id(id);
    emit_span_set(span, F_TEXT("customer_id", o.customer));
    emit_span_set(span, F_TEXT("order_id", o.order));
    emit_span_set(span, F_TEXT("notification_type", o.type));
    for (size_t i = 0; i < LENGTH(channels); i++) good += send_by(c, &channels[i], span);
    snprintf(key, sizeof key, "notification:%s", id);
    shop_cache_set_wait(c->shop->cache, key, good == (int)LENGTH(channels) ? "sent" : "partly sent", KEPT_MS);
    shop_log(c, LOG_INFO, "Notification sent", F_TEXT("notification_id", id), F_I64("channels", good));
    shop_answer(c, 200, "{\"notificationId\":\"%s\",\"status\":\"sent\",\"channels\":%d}", id, good);
    shop_span_end(c, span, NULL);
}

static void status(struct shop_call *c) {
    char key[64], text[64], id[17] = "";
    struct str q = c->request->query;
    struct emit_span *span = shop_span_begin(c, "get-notification-status");
    if (str_starts_with(q, STR("id=")) && q.n == 3 + 16) memcpy(id, q.p + 3, 16);
    snprintf(key, sizeof key, "notification:%s", id);
    if (strspn(id, "0123456789abcdef") == 16 && shop_cache_get_wait(c->shop->cache, key, text))
        shop_answer(c, 200, "{\"notificationId\":\"%s\",\"status\":\"%s\"}", id, text);
    else
        shop_answer_error(c, 404, "no such notification");
    shop_span_end(c, span, NULL);
}

const struct shop_route notification_routes[] = {{"POST", "/send", send}, {"GET", "/status", status}, {0}};
