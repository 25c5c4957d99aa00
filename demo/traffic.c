/* traffic-generator: customers, by a mix of what they do. */
#include <stdatomic.h>
#include <stdio.h>

#include "base/text.h"
#include "shop.h"

static _Atomic uint64_t sent, failed;

void traffic_stats(uint64_t *out_sent, uint64_t *out_failed) {
    *out_sent = sent;
    *out_failed = failed;
}

static int64_t between(int64_t from, int64_t to) { return from + (int64_t)(shop_chance() * (double)(to - from + 1)); }

static void ask(struct shop_call *c, const char *name, const char *method, const char *path, struct str body) {
    struct shop_reply answer;
    struct emit_span *before = c->inner, *span = shop_span_begin(c, name);
    shop_call_wait(c, SHOP_GATEWAY, method, path, body, &answer);
    bool good = answer.status == 200 || answer.status == 201 || answer.status == 409;
    if (!good) emit_span_fail(span, "request failed");
    sent++;
    failed += !good;
    buf_done(&answer.body);
    shop_span_end(c, span, before);
}

static void list_products(struct shop_call *c) { ask(c, "request-list-products", "GET", "/api/products", STR("")); }
static void list_orders(struct shop_call *c) { ask(c, "request-list-orders", "GET", "/api/orders", STR("")); }

static void browse(struct shop_call *c) {
    struct emit_span *before = c->inner, *span = shop_span_begin(c, "browse-session");
    for (int64_t n = between(2, 5); n > 0; n--) {
        list_products(c);
        if (n > 1) shop_take_wait(c, 100, 400);
    }
    shop_span_end(c, span, before);
}

static void create_order(struct shop_call *c) {
    AUTO_BUF struct buf body;
    struct shop_order o = {.item_count = (size_t)between(1, 3)};
    buf_init(&body, SHOP_BODY_BYTES);
    snprintf(o.customer, sizeof o.customer, "customer-%lld", (long long)between(1, 1000));
    for (size_t i = 0; i < o.item_count; i++) o.items[i] = (struct shop_item){between(1, 10), between(1, 3)};
    shop_order_write(&o, &body);
    ask(c, "request-create-order", "POST", "/api/orders", buf_str(&body));
}

/* The reference's mix, of what this shop has: its other scenarios ask services that it does not. */
static const struct scenario {
    int weight;
    void (*run)(struct shop_call *c);
} scenarios[] = {{20, list_products}, {10, browse}, {10, list_orders}, {10, create_order}};

void traffic_session_wait(struct shop *s) {
    struct shop_call c;
    char id[32], number[17];
    int all = 0, at;
    size_t i = 0;
    for (size_t k = 0; k < LENGTH(scenarios); k++) all += scenarios[k].weight;
    at = (int)(shop_chance() * all);
    while (i + 1 < LENGTH(scenarios) && at >= scenarios[i].weight) at -= scenarios[i++].weight;
    shop_make_id(number);
    snprintf(id, sizeof id, "traffic-%s", number);
    shop_call_begin(s, &c, "generate-request", EMIT_INTERNAL, id);
    scenarios[i].run(&c);
    shop_call_end(&c);
}
