/* Header fields that every answer has. What a handler says itself is left as it is. */
#include "api/api_priv.h"

/* Pages bring scripts and styles from here alone, and stand in nobody's frame. */
#define PAGE_POLICY "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"

static void add(struct http_field *out, size_t *n, struct str name, struct str value) {
    for (size_t i = 0; i < *n; i++)
        if (str_equal_nocase(out[i].name, name)) return;
    assert(*n < REPLY_FIELDS_MAX);
    out[(*n)++] = (struct http_field){name, value};
}

size_t reply_fields(const struct api_reply *reply, struct http_field *out) {
    size_t n = 0;
    bool page = str_starts_with(reply->content_type, STR("text/html"));
    for (; n < reply->field_count; n++) out[n] = reply->fields[n];
    add(out, &n, STR("X-Content-Type-Options"), STR("nosniff"));
    add(out, &n, STR("Referrer-Policy"), STR("no-referrer"));
    add(out, &n, STR("Cache-Control"), STR("no-store"));
    if (page) add(out, &n, STR("Content-Security-Policy"), STR(PAGE_POLICY));
    if (reply->is_tls) add(out, &n, STR("Strict-Transport-Security"), STR("max-age=31536000"));
    if (reply->request_id.n) add(out, &n, STR("X-Request-ID"), reply->request_id);
    if (!reply->cors_origin.n) return n;
    add(out, &n, STR("Access-Control-Allow-Origin"), reply->cors_origin);
    add(out, &n, STR("Vary"), STR("Origin"));
    add(out, &n, STR("Access-Control-Expose-Headers"), STR("ETag, Retry-After"));
    if (reply->request_id.n) { /* OllyStack's page looks for these on every answer */
        add(out, &n, STR("Access-Control-Allow-Credentials"), STR("true"));
        add(out, &n, STR("Access-Control-Allow-Methods"), STR("GET, POST, PUT, DELETE, OPTIONS"));
        add(out, &n, STR("Access-Control-Allow-Headers"),
            STR("Authorization, Content-Type, X-Correlation-ID, X-Request-ID, traceparent, tracestate"));
        add(out, &n, STR("Access-Control-Max-Age"), STR("86400"));
        return n;
    }
    if (reply->status != 204) return n;
    add(out, &n, STR("Access-Control-Allow-Methods"), STR("GET, HEAD, POST, PUT, DELETE"));
    add(out, &n, STR("Access-Control-Allow-Headers"),
        STR("Authorization, Content-Type, Content-Encoding, If-Match, If-None-Match, X-Scope-OrgID"));
    add(out, &n, STR("Access-Control-Max-Age"), STR("600"));
    return n;
}
