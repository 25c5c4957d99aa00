/* Bodies of requests, and faults, as JSON; faults also as a flag. */
#include <stdio.h>

#include "base/json.h"
#include "base/text.h"
#include "shop.h"

enum { DEPTH = 8, LATENCY_MS_MAX = 60000, LEAK_BYTES_MAX = 1 << 20, QUANTITY_MAX = 1000000 };

static void keep(char *out, size_t size, struct str text) {
    AUTO_BUF struct buf clean;
    buf_init(&clean, 4 * KIB);
    put_utf8_clean(&clean, (struct str){text.p, MIN(text.n, size - 1)});
    size_t n = MIN(clean.n, size - 1);
    if (n) memcpy(out, clean.p, n);
    out[n] = 0;
}

/* ---- orders ------------------------------------------------------------------------------------------------------ */

static err read_integer(struct json_reader *r, int64_t max, int64_t *out) {
    if (json_next(r) != JSON_NUMBER) return err_new(ERR_INVALID, "a number is none, at byte %zu", r->token);
    TRY(parse_i64(r->value, out));
    return *out < 1 || *out > max ? err_new(ERR_INVALID, "a number is out of its range, at byte %zu", r->token) : NULL;
}

static err read_item(struct json_reader *r, struct shop_item *out) {
    enum json_token t;
    while ((t = json_next(r)) == JSON_KEY) {
        if (str_equal(r->value, STR("productId")))
            TRY(read_integer(r, QUANTITY_MAX, &out->product));
        else if (str_equal(r->value, STR("quantity")))
            TRY(read_integer(r, QUANTITY_MAX, &out->quantity));
        else if (!json_skip(r))
            return json_reader_err(r);
    }
    if (t != JSON_OBJECT_END) return json_reader_err(r);
    return out->product && out->quantity ? NULL : err_new(ERR_INVALID, "an item has a productId and a quantity");
}

static err read_items(struct json_reader *r, struct shop_order *out) {
    enum json_token t;
    if (json_next(r) != JSON_ARRAY) return err_new(ERR_INVALID, "items: must be an array, at byte %zu", r->token);
    out->item_count = 0;
    while ((t = json_next(r)) == JSON_OBJECT) {
        if (out->item_count == SHOP_ITEMS_MAX) return err_new(ERR_LIMIT, "more than %d items", SHOP_ITEMS_MAX);
        struct shop_item *item = &out->items[out->item_count++];
        *item = (struct shop_item){0};
        TRY(read_item(r, item));
    }
    if (t == JSON_ARRAY_END) return NULL;
    err e = json_reader_err(r);
    return e ? e : err_new(ERR_INVALID, "items: must be objects, at byte %zu", r->token);
}

static err read_member(struct json_reader *r, struct shop_order *o) {
    const struct {
        const char *name;
        char *to;
        size_t size;
    } texts[] = {{"customerId", o->customer, sizeof o->customer},
                 {"orderId", o->order, sizeof o->order},
                 {"type", o->type, sizeof o->type},
                 {"transactionId", o->transaction, sizeof o->transaction},
                 {"correlationId", o->correlation, sizeof o->correlation}};
    if (str_equal(r->value, STR("items"))) return read_items(r, o);
    if (str_equal(r->value, STR("amount")))
        return json_next(r) == JSON_NUMBER ? parse_f64(r->value, &o->amount)
                                           : err_new(ERR_INVALID, "amount: must be a number, at byte %zu", r->token);
    for (size_t i = 0; i < LENGTH(texts); i++) {
        if (!str_equal(r->value, str_of(texts[i].name))) continue;
        if (json_next(r) != JSON_STRING)
            return err_new(ERR_INVALID, "%s: must be a text, at byte %zu", texts[i].name, r->token);
        keep(texts[i].to, texts[i].size, r->value);
        return NULL;
    }
    return json_skip(r) ? NULL : json_reader_err(r);
}

static err read_order(struct json_reader *r, struct shop_order *o) {
    enum json_token t;
    if (json_next(r) != JSON_OBJECT) return err_new(ERR_INVALID, "the body must be an object");
    while ((t = json_next(r)) == JSON_KEY) TRY(read_member(r, o));
    if (t == JSON_OBJECT_END && json_next(r) == JSON_END) return NULL;
    err e = json_reader_err(r);
    return e ? e : err_new(ERR_INVALID, "something follows the object");
}

err shop_order_read(struct str body, struct shop_order *out) {
    struct json_reader r;
    struct shop_order o = {0};
    json_reader_init(&r, body, DEPTH);
    err e = read_order(&r, &o);
    json_reader_done(&r);
    if (!e) *out = o;
    return e;
}

void shop_order_write(const struct shop_order *o, struct buf *out) {
    struct json_writer w;
    json_writer_init(&w, out);
    json_object(&w);
    if (*o->customer) json_member(&w, "customerId", text, o->customer);
    if (*o->order) json_member(&w, "orderId", text, o->order);
    if (*o->type) json_member(&w, "type", text, o->type);
    if (*o->transaction) json_member(&w, "transactionId", text, o->transaction);
    if (*o->correlation) json_member(&w, "correlationId", text, o->correlation);
    json_member(&w, "amount", f64, o->amount);
    json_key(&w, STR("items"));
    json_array(&w);
    for (size_t i = 0; i < o->item_count; i++) {
        json_object(&w);
        json_member(&w, "productId", i64, o->items[i].product);
        json_member(&w, "quantity", i64, o->items[i].quantity);
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
}

/* ---- faults ------------------------------------------------------------------------------------------------------ */

static err set_number(const char *name, struct str value, int64_t max, int64_t *out) {
    int64_t n;
    TRY_WRAP(parse_i64(value, &n), "%s", name);
    if (n < 0 || n > max) return err_new(ERR_INVALID, "%s: 0 to %lld", name, (long long)max);
    *out = n;
    return NULL;
}

static err set_share(struct str value, double *out) {
    double f;
    TRY_WRAP(parse_f64(value, &f), "errors");
    if (!(f >= 0 && f <= 1)) return err_new(ERR_INVALID, "errors: 0 to 1");
    *out = f;
    return NULL;
}

static err set_down(struct str value, struct shop_faults *f) {
    enum shop_peer peer;
    if (value.n && !shop_name_read(value, &peer)) return err_new(ERR_INVALID, "down: no service of the shop");
    keep(f->down, sizeof f->down, value);
    return NULL;
}

static err set_fault(struct shop_faults *f, struct str name, struct str value) {
    if (str_equal(name, STR("latency_ms"))) return set_number("latency_ms", value, LATENCY_MS_MAX, &f->latency_ms);
    if (str_equal(name, STR("lock_ms"))) return set_number("lock_ms", value, LATENCY_MS_MAX, &f->lock_ms);
    if (str_equal(name, STR("leak_bytes"))) return set_number("leak_bytes", value, LEAK_BYTES_MAX, &f->leak_bytes);
    if (str_equal(name, STR("errors"))) return set_share(value, &f->errors);
    if (str_equal(name, STR("down"))) return set_down(value, f);
    if (!str_equal(name, STR("version")))
        return err_new(ERR_INVALID, "faults are latency_ms, errors, leak_bytes, lock_ms, down and version");
    keep(f->version, sizeof f->version, value);
    return NULL;
}

err shop_faults_parse(struct str text, struct shop_faults *out) {
    struct shop_faults f = {0};
    struct str one, name, value;
    for (bool more = text.n > 0; more;) {
        more = str_cut(text, ',', &one, &text);
        if (!str_cut(one, '=', &name, &value)) return err_new(ERR_INVALID, "a fault is as latency_ms=500");
        TRY(set_fault(&f, str_trim(name), str_trim(value)));
    }
    *out = f;
    return NULL;
}

static err read_faults(struct json_reader *r, struct shop_faults *f) {
    char name[32];
    enum json_token t;
    if (json_next(r) != JSON_OBJECT) return err_new(ERR_INVALID, "the body must be an object of faults");
    while ((t = json_next(r)) == JSON_KEY) {
        keep(name, sizeof name, r->value);
        t = json_next(r);
        if (t != JSON_NUMBER && t != JSON_STRING) return err_new(ERR_INVALID, "%s: a number or a text", name);
        TRY(set_fault(f, str_of(name), r->value));
    }
    if (t == JSON_OBJECT_END && json_next(r) == JSON_END) return NULL;
    err e = json_reader_err(r);
    return e ? e : err_new(ERR_INVALID, "something follows the object");
}

err shop_faults_read(struct str json, struct shop_faults *out) {
    struct json_reader r;
    struct shop_faults f = {0};
    json_reader_init(&r, json, DEPTH);
    err e = read_faults(&r, &f);
    json_reader_done(&r);
    if (!e) *out = f;
    return e;
}

void shop_faults_write(const struct shop_faults *f, struct buf *out) {
    struct json_writer w;
    json_writer_init(&w, out);
    json_object(&w);
    json_member(&w, "latency_ms", i64, f->latency_ms);
    json_member(&w, "errors", f64, f->errors);
    json_member(&w, "leak_bytes", i64, f->leak_bytes);
    json_member(&w, "lock_ms", i64, f->lock_ms);
    json_member(&w, "down", text, f->down);
    json_member(&w, "version", text, f->version);
    json_object_end(&w);
}
