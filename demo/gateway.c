/* api-gateway: what customers see. Passes orders on, knows three products by itself. */
#include "base/text.h"
#include "shop.h"

/* The status and body of another service, as they came. */
static void pass_on(struct shop_call *c, struct emit_span *span, struct shop_reply *answer) {
    if (!answer->status) {
        shop_span_fail(span, "bad_gateway", "Order service returned error");
        shop_answer_error(c, 502, "Order service unavailable");
    } else {
        if (answer->status >= 400) emit_span_fail(span, "Order service returned error");
        c->reply->status = answer->status;
        buf_clear(&c->reply->body);
        buf_add_str(&c->reply->body, buf_str(&answer->body));
    }
    buf_done(&answer->body);
}

static void list_orders(struct shop_call *c) {
    struct shop_reply answer;
    struct emit_span *span = shop_span_begin(c, "list-orders");
    shop_log(c, LOG_INFO, "Listing orders");
    shop_call_wait(c, SHOP_ORDER, "GET", "/orders", STR(""), &answer);
    pass_on(c, span, &answer);
    shop_span_end(c, span, NULL);
}

static void create_order(struct shop_call *c) {
    AUTO_BUF struct buf body;
    struct shop_order order;
    struct shop_reply answer;
    buf_init(&body, SHOP_BODY_BYTES);
    struct emit_span *span = shop_span_begin(c, "create-order");
    if (shop_body(c, &order)) {
        memcpy(order.correlation, c->correlation, sizeof order.correlation);
        shop_order_write(&order, &body);
        emit_span_set(span, F_TEXT("correlation_id", c->correlation));
        emit_span_set(span, F_TEXT("customer_id", order.customer));
        emit_span_set(span, F_U64("item_count", order.item_count));
        shop_log(c, LOG_INFO, "Creating order", F_TEXT("customer_id", order.customer),
                 F_U64("item_count", order.item_count));
        shop_call_wait(c, SHOP_ORDER, "POST", "/orders", buf_str(&body), &answer);
        pass_on(c, span, &answer);
    } else {
        emit_span_fail(span, "Invalid request body");
    }
    shop_span_end(c, span, NULL);
}

static void get_products(struct shop_call *c) {
    struct emit_span *span = shop_span_begin(c, "get-products");
    shop_log(c, LOG_INFO, "Listing products");
    shop_answer(c, 200,
                "[{\"id\":1,\"name\":\"Laptop\",\"price\":999.99},{\"id\":2,\"name\":\"Mouse\",\"price\":29.99},"
                "{\"id\":3,\"name\":\"Keyboard\",\"price\":79.99}]");
    shop_span_end(c, span, NULL);
}

const struct shop_route gateway_routes[] = {{"GET", "/api/orders", list_orders},
                                            {"POST", "/api/orders", create_order},
                                            {"GET", "/api/orders/*", list_orders},
                                            {"GET", "/api/products", get_products},
                                            {0}};
