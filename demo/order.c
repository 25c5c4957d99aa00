/* order-service: the one with a database. An order is written as pending before it is paid, so that a kill between leaves a trace of it. */
#include <stdio.h>

#include "base/json.h"
#include "base/text.h"
#include "db/db.h"
#include "shop.h"
#include "os/clock.h"

enum { LISTED = 20 };

static const char *const steps[] = {
    "CREATE TABLE orders (id TEXT PRIMARY KEY, correlation_id TEXT NOT NULL, customer_id TEXT NOT NULL, status TEXT "
    "NOT "
    "NULL, total_amount DOUBLE PRECISION NOT NULL, created BIGINT NOT NULL);"
    "CREATE INDEX orders_by_time ON orders (created);"
    "CREATE TABLE order_items (order_id TEXT NOT NULL REFERENCES orders (id), product_id BIGINT NOT NULL, quantity "
    "BIGINT "
    "NOT NULL, unit_price DOUBLE PRECISION NOT NULL)",
};

err order_open(struct shop *s) {
    if (!s->options.db) return err_new(ERR_INVALID, "order-service needs --db: a file, or postgresql://…");
    TRY(db_open(&(struct db_options){.path = s->options.db}, &s->db));
    return db_migrate(s->db, "shop", steps, LENGTH(steps));
}

/* ---- statements ----------------------------------------------------------------------------------------------------- */

struct query {
    struct shop_call *c;
    struct emit_span *before, *span;
    const char *what;
    int64_t began_ns;
};

static const char *system_of(const struct shop_call *c) {
    return db_is_url(c->shop->options.db) ? "postgresql" : "sqlite";
}

static struct query begin_query(struct shop_call *c, const char *what, const char *text) {
    struct query q = {.c = c, .before = c->inner, .what = what, .began_ns = clock_monotonic_ns()};
    q.span = emit_span_begin(c->telemetry->emit, str_of(what), EMIT_CLIENT,
                             emit_span_context(c->inner ? c->inner : c->span));
    emit_span_set(q.span, F_TEXT("correlation_id", c->correlation));
    emit_span_set(q.span, F_TEXT("db.system.name", system_of(c)));
    emit_span_set(q.span, F_TEXT("db.namespace", "orders"));
    emit_span_set(q.span, F_TEXT("db.query.text", text));
    return q;
}

static void end_query(struct query *q, err e) {
    int64_t took_ns = clock_monotonic_ns() - q->began_ns;
    struct log_field label = F_TEXT("db.operation.name", q->what);
    struct log_field labels[] = {F_TEXT("db.system.name", system_of(q->c)), F_TEXT("db.namespace", "orders"),
                                 F_TEXT("db.query.summary", q->what), F_TEXT("error.type", "db_error")};
    emit_measure(emit_series_of(q->c->telemetry->db_duration, &label, 1), (double)took_ns / 1e6);
    emit_measure(emit_series_of(q->c->telemetry->db_client, labels, LENGTH(labels) - !e), (double)took_ns / 1e9);
    if (e) {
        shop_span_fail(q->span, "db_error", err_text(e));
        shop_log(q->c, LOG_ERROR, "Database error", F_ERR(e));
    }
    emit_span_end(q->span);
}

struct kept {
    const struct shop_order *o;
    const char *correlation, *status;
    double total;
    struct json_writer *w;
};

static err insert(struct db_transaction *t, void *context) {
    const struct kept *k = context;
    TRY(db_run(
        t,
        "INSERT INTO orders (id, correlation_id, customer_id, status, total_amount, created) VALUES (?, ?, ?, ?, "
        "?, ?)",
        NULL, DB_TEXT(str_of(k->o->order)), DB_TEXT(str_of(k->correlation)), DB_TEXT(str_of(k->o->customer)),
        DB_TEXT(STR("pending")), DB_F64(k->total), DB_I64(clock_wall_ns())));
    for (size_t i = 0; i < k->o->item_count; i++)
        TRY(db_run(t, "INSERT INTO order_items (order_id, product_id, quantity, unit_price) VALUES (?, ?, ?, ?)", NULL,
                   DB_TEXT(str_of(k->o->order)), DB_I64(k->o->items[i].product), DB_I64(k->o->items[i].quantity),
                   DB_F64(99.99)));
    return NULL;
}

static err update(struct db_transaction *t, void *context) {
    const struct kept *k = context;
    return db_run(t, "UPDATE orders SET status = ? WHERE id = ?", NULL, DB_TEXT(str_of(k->status)),
                  DB_TEXT(str_of(k->o->order)));
}

static err put_listed(void *context, const struct db_value *row) {
    struct json_writer *w = ((struct kept *)context)->w;
    json_object(w);
    json_member(w, "orderId", str, row[0].s);
    json_member(w, "correlationId", str, row[1].s);
    json_member(w, "customerId", str, row[2].s);
    json_member(w, "status", str, row[3].s);
    json_member(w, "totalAmount", f64, row[4].f);
    json_object_end(w);
    return NULL;
}

static err list(struct db_transaction *t, void *context) {
    return db_rows(t,
                   "SELECT id, correlation_id, customer_id, status, total_amount FROM orders ORDER BY created DESC, id "
                   "LIMIT ?",
                   "ttttf", put_listed, context, DB_I64(LISTED));
}

/* ---- what is asked ------------------------------------------------------------------------------------------------- */

static void list_orders(struct shop_call *c) {
    AUTO_BUF struct buf body;
    struct json_writer w;
    struct kept k = {.w = &w};
    buf_init(&body, 256 * KIB);
    json_writer_init(&w, &body);
    struct query q = begin_query(c, "db-query-orders", "SELECT … FROM orders ORDER BY created DESC LIMIT ?");
    if (shop_chance() < 0.1) {
        emit_span_set(q.span, F_TEXT("slow_query", "true"));
        shop_log(c, LOG_WARN, "Slow query");
        shop_take_wait(c, 200, 500);
    }
    json_array(&w);
    err e = db_read(c->shop->db, list, &k);
    end_query(&q, e);
    if (e) {
        shop_answer_error(c, 500, "Database error");
    } else {
        json_array_end(&w);
        c->reply->status = 200;
        buf_add_str(&c->reply->body, buf_str(&body));
    }
    err_free(e);
}

/* What is told later has its own trace, which links to the order's. */
struct notice {
    struct shop_order order;
    char correlation[SHOP_ID_BYTES + 1];
    struct trace_context from;
};

static void notify(struct shop *s, void *context) {
    struct notice *n = context;
    AUTO_BUF struct buf body;
    struct shop_call c;
    struct shop_reply answer;
    buf_init(&body, SHOP_BODY_BYTES);
    shop_call_begin(s, &c, "send-notification", EMIT_PRODUCER, n->correlation);
    emit_span_link(c.span, &n->from);
    emit_span_set(c.span, F_TEXT("order_id", n->order.order));
    shop_order_write(&n->order, &body);
    shop_call_wait(&c, SHOP_NOTIFICATION, "POST", "/send", buf_str(&body), &answer);
    if (answer.status != 200) emit_span_fail(c.span, "Notification failed");
    buf_done(&answer.body);
    shop_call_end(&c);
    mem_free(n);
}

static void tell_later(struct shop_call *c, const struct shop_order *o) {
    struct notice *n = mem_new_of(struct notice);
    const struct shop_world *w = &c->shop->options.world;
    n->order = *o;
    snprintf(n->order.type, sizeof n->order.type, "order_confirmation");
    memcpy(n->correlation, c->correlation, sizeof n->correlation);
    n->from = *emit_span_context(c->span);
    if (w->later(w->context, notify, n)) return;
    shop_log(c, LOG_WARN, "Notification dropped", F_TEXT("order_id", o->order));
    mem_free(n);
}

/* True: it may go on. */
static bool check_inventory(struct shop_call *c, struct str body) {
    struct shop_reply answer;
    struct emit_span *before = c->inner, *span = shop_span_begin(c, "check-inventory");
    shop_call_wait(c, SHOP_INVENTORY, "POST", "/check", body, &answer);
    int status = answer.status;
    buf_done(&answer.body);
    emit_span_set(span, F_TEXT("inventory_available", status == 200 ? "true" : "false"));
    if (status != 200) emit_span_fail(span, status ? "Insufficient inventory" : "Inventory service unavailable");
    shop_span_end(c, span, before);
    if (status == 200) return true;
    shop_log(c, LOG_WARN, status ? "Insufficient inventory" : "Inventory service unavailable", F_I64("status", status));
    shop_answer_error(c, status ? 409 : 503, status ? "Insufficient inventory" : "Inventory service unavailable");
    return false;
}

static double total_of(struct shop_call *c, const struct shop_order *o) {
    struct emit_span *before = c->inner, *span = shop_span_begin(c, "calculate-total");
    double total = 0;
    for (size_t i = 0; i < o->item_count; i++)
        total += (99.99 + 10 * (double)o->items[i].product) * (double)o->items[i].quantity;
    emit_span_set(span, F_F64("total_amount", total));
    shop_span_end(c, span, before);
    return total;
}

static bool pay(struct shop_call *c, struct str body) {
    struct shop_reply answer;
    struct emit_span *before = c->inner, *span = shop_span_begin(c, "process-payment");
    shop_call_wait(c, SHOP_PAYMENT, "POST", "/process", body, &answer);
    bool good = answer.status == 200;
    emit_span_set(span, F_TEXT("payment_status", good ? "completed" : "failed"));
    if (!good) shop_span_fail(span, "payment_failed", answer.status ? "Payment rejected" : "Payment failed");
    buf_done(&answer.body);
    shop_span_end(c, span, before);
    return good;
}

static bool store(struct shop_call *c, const char *what, const char *text, db_work *work, struct kept *k) {
    struct query q = begin_query(c, what, text);
    err e = db_write(c->shop->db, work, k);
    end_query(&q, e);
    if (e) shop_answer_error(c, 500, "Database error");
    bool good = !e;
    err_free(e);
    return good;
}

static void count_order(struct shop_call *c, const char *status) {
    struct log_field label = F_TEXT("status", status);
    emit_measure(emit_series_of(c->telemetry->orders, &label, 1), 1);
}

static void finish(struct shop_call *c, struct shop_order *o, struct kept *k, bool paid) {
    k->status = paid ? "completed" : "payment_failed";
    if (!store(c, "update order", "UPDATE orders SET status = ? WHERE id = ?", update, k)) return;
    count_order(c, k->status);
    if (paid) {
        shop_log(c, LOG_INFO, "Order created", F_TEXT("order_id", o->order), F_F64("total", k->total));
        shop_answer(c, 201, "{\"orderId\":\"%s\",\"status\":\"completed\",\"totalAmount\":%.2f}", o->order, k->total);
        tell_later(c, o);
    } else {
        emit_span_fail(c->inner, "Payment failed");
        shop_log(c, LOG_ERROR, "Payment failed", F_TEXT("order_id", o->order), F_F64("total", k->total));
        shop_answer(c, 402, "{\"orderId\":\"%s\",\"status\":\"payment_failed\",\"totalAmount\":%.2f}", o->order,
                    k->total);
    }
}

static void make_order(struct shop_call *c, struct emit_span *span, struct shop_order *o) {
    AUTO_BUF struct buf body;
    char id[17];
    struct kept k = {.o = o, .correlation = c->correlation};
    buf_init(&body, SHOP_BODY_BYTES);
    shop_make_id(id);
    snprintf(o->order, sizeof o->order, "order-%s", id);
    memcpy(o->correlation, c->correlation, sizeof o->correlation);
    emit_span_set(span, F_TEXT("order_id", o->order));
    emit_span_set(span, F_TEXT("customer_id", o->customer));
    emit_span_set(span, F_U64("item_count", o->item_count));
    shop_order_write(o, &body);
    if (!check_inventory(c, buf_str(&body))) return;
    o->amount = k.total = total_of(c, o);
    if (!store(c, "insert order", "INSERT INTO orders (…) VALUES (…)", insert, &k)) return;
    buf_clear(&body);
    shop_order_write(o, &body);
    finish(c, o, &k, pay(c, buf_str(&body)));
}

static void create_order(struct shop_call *c) {
    struct shop_order o;
    if (!shop_body(c, &o)) return;
    struct emit_span *span = shop_span_begin(c, "create-order");
    if (!o.item_count)
        shop_answer_error(c, 400, "an order has items");
    else
        make_order(c, span, &o);
    shop_span_end(c, span, NULL);
}

const struct shop_route order_routes[] = {{"GET", "/orders", list_orders}, {"POST", "/orders", create_order}, {0}};
