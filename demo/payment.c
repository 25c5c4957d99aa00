/* payment-service: takes a while, declines some. */
#include <stdio.h>

#include "base/text.h"
#include "shop.h"

enum { KEPT_MS = 24 * 3600 * 1000 };

static void pay(struct shop_call *c, struct emit_span *span, const struct shop_order *o) {
    char id[17], transaction[32], key[64];
    shop_take_wait(c, 50, 250);
    if (shop_chance() < shop_failure_rate(c, 0.05)) {
        emit_span_set(span, F_TEXT("payment_status", "declined"));
        emit_span_set(span, F_TEXT("decline_reason", "insufficient_funds"));
        shop_span_fail(span, "payment_declined", "Payment declined");
        shop_log(c, LOG_WARN, "Payment declined", F_TEXT("order_id", o->order), F_F64("amount", o->amount),
                 F_TEXT("reason", "insufficient_funds"));
        shop_answer(c, 402, "{\"status\":\"declined\",\"reason\":\"insufficient_funds\"}");
        return;
    }
    if (shop_chance() < 0.1) {
        emit_span_set(span, F_TEXT("slow_payment", "true"));
        shop_log(c, LOG_WARN, "Slow payment processing", F_TEXT("order_id", o->order));
        shop_take_wait(c, 500, 1500);
    }
    shop_make_id(id);
    snprintf(transaction, sizeof transaction, "txn_%s", id);
    snprintf(key, sizeof key, "payment:%s", transaction);
    shop_cache_set_wait(c->shop->cache, key, o->order, KEPT_MS);
    emit_span_set(span, F_TEXT("payment_status", "completed"));
    emit_span_set(span, F_TEXT("transaction_id", transaction));
    shop_log(c, LOG_INFO, "Payment processed", F_TEXT("order_id", o->order), F_TEXT("transaction_id", transaction),
             F_F64("amount", o->amount));
    shop_answer(c, 200, "{\"status\":\"completed\",\"transactionId\":\"%s\"}", transaction);
}

static void process(struct shop_call *c) {
    struct shop_order o;
    if (!shop_body(c, &o)) return;
    struct emit_span *span = shop_span_begin(c, "process-payment");
    emit_span_set(span, F_TEXT("order_id", o.order));
    emit_span_set(span, F_F64("amount", o.amount));
    pay(c, span, &o);
    shop_span_end(c, span, NULL);
}

static void refund(struct shop_call *c) {
    struct shop_order o;
    if (!shop_body(c, &o)) return;
    struct emit_span *span = shop_span_begin(c, "process-refund");
    emit_span_set(span, F_TEXT("transaction_id", o.transaction));
    shop_take_wait(c, 100, 300);
    shop_log(c, LOG_INFO, "Refund processed", F_TEXT("transaction_id", o.transaction));
    shop_answer(c, 200, "{\"status\":\"refunded\"}");
    shop_span_end(c, span, NULL);
}

const struct shop_route payment_routes[] = {{"POST", "/process", process}, {"POST", "/refund", refund}, {0}};
