/* inventory-service: what is in stock, behind a cache. */
#include <stdio.h>

#include "base/text.h"
#include "shop.h"

enum { PRODUCTS = 10, KEPT_MS = 5 * 60 * 1000 };

/* In stock, less what is reserved: as the tables of the shop begin. */
static int64_t stock_of(int64_t product) { return product >= 1 && product <= PRODUCTS ? 1000 - 90 * (product - 1) : 0; }

static int64_t look_up_wait(struct shop_call *c, struct emit_span *span, int64_t product) {
    char key[40], text[64];
    int64_t n;
    snprintf(key, sizeof key, "inventory:%lld", (long long)product);
    bool hit = shop_cache_get_wait(c->shop->cache, key, text);
    err e = hit ? parse_i64(str_of(text), &n) : NULL;
    if (!hit || e) {
        n = stock_of(product);
        snprintf(text, sizeof text, "%lld", (long long)n);
        shop_cache_set_wait(c->shop->cache, key, text, KEPT_MS);
    }
    emit_span_set(span, F_TEXT("cache_hit", hit && !e ? "true" : "false"));
    err_free(e);
    return n;
}

static bool check_item_wait(struct shop_call *c, const struct shop_item *item) {
    struct emit_span *before = c->inner, *span = shop_span_begin(c, "check-item-stock");
    emit_span_set(span, F_I64("product_id", item->product));
    emit_span_set(span, F_I64("requested_quantity", item->quantity));
    int64_t stock = look_up_wait(c, span, item->product);
    bool available = stock >= item->quantity;
    emit_span_set(span, F_I64("current_stock", stock));
    emit_span_set(span, F_TEXT("available", available ? "true" : "false"));
    shop_span_end(c, span, before);
    return available;
}

static void answer_check_wait(struct shop_call *c, struct emit_span *span, const struct shop_order *o) {
    int64_t missing = 0;
    if (shop_chance() < shop_failure_rate(c, 0.03)) {
        shop_span_fail(span, "unavailable", "Service temporarily unavailable");
        shop_log(c, LOG_ERROR, "Service temporarily unavailable");
        shop_answer_error(c, 503, "Service temporarily unavailable");
        return;
    }
    shop_take_wait(c, 10, 60);
    for (size_t i = 0; i < o->item_count; i++) missing += !check_item_wait(c, &o->items[i]);
    emit_span_set(span, F_TEXT("all_available", missing ? "false" : "true"));
    if (!missing) {
        shop_log(c, LOG_INFO, "Inventory check passed", F_U64("item_count", o->item_count));
        shop_answer(c, 200, "{\"available\":true}");
        return;
    }
    emit_span_fail(span, "Insufficient inventory");
    shop_log(c, LOG_WARN, "Insufficient inventory", F_I64("unavailable_items", missing));
    shop_answer(c, 409, "{\"available\":false,\"unavailableItems\":%lld}", (long long)missing);
}

static void check(struct shop_call *c) {
    struct shop_order o;
    if (!shop_body(c, &o)) return;
    struct emit_span *span = shop_span_begin(c, "check-inventory");
    emit_span_set(span, F_U64("item_count", o.item_count));
    answer_check_wait(c, span, &o);
    shop_span_end(c, span, NULL);
}

/* What is reserved or released is looked up anew the next time. */
static void change(struct shop_call *c, const char *name, const char *status) {
    struct shop_order o;
    char key[40];
    if (!shop_body(c, &o)) return;
    struct emit_span *span = shop_span_begin(c, name);
    for (size_t i = 0; i < o.item_count; i++) {
        snprintf(key, sizeof key, "inventory:%lld", (long long)o.items[i].product);
        shop_cache_set_wait(c->shop->cache, key, "", 0);
    }
    shop_answer(c, 200, "{\"status\":\"%s\"}", status);
    shop_span_end(c, span, NULL);
}
static void reserve(struct shop_call *c) { change(c, "reserve-inventory", "reserved"); }
static void release(struct shop_call *c) { change(c, "release-inventory", "released"); }

static void stock(struct shop_call *c) {
    AUTO_BUF struct buf text;
    struct emit_span *span = shop_span_begin(c, "get-stock-levels");
    buf_init(&text, 4 * KIB);
    for (int64_t p = 1; p <= PRODUCTS; p++)
        buf_add_fmt(&text, "%s{\"productId\":%lld,\"quantity\":%lld}", p == 1 ? "[" : ",", (long long)p,
                    (long long)stock_of(p));
    shop_answer(c, 200, "%s]", text.p);
    shop_span_end(c, span, NULL);
}

const struct shop_route inventory_routes[] = {{"POST", "/check", check},
                                              {"POST", "/reserve", reserve},
                                              {"POST", "/release", release},
                                              {"GET", "/stock", stock},
                                              {0}};
