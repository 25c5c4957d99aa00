/* What a handler may ask about its request. */
#include "net/connection_priv.h"
#include "net/tls_priv.h"

enum http_method http_method(const struct http_request *r) { return r->method_code; }
struct str http_method_text(const struct http_request *r) {
    return request_piece(r, r->method);
}
struct str http_target(const struct http_request *r) {
    return request_piece(r, r->fields.target);
}
struct str http_path(const struct http_request *r) {
    return r->path_decoded.p ? r->path_decoded : request_piece(r, r->path);
}
struct str http_query(const struct http_request *r) {
    return request_piece(r, r->query);
}
struct str http_body(const struct http_request *r) {
    return r->body;
}
bool http_body_is_left(const struct http_request *r) { return r->body_is_left; }
struct str http_peer(const struct http_request *r) {
    return str_of(r->peer);
}
bool http_is_h2(const struct http_request *r) { return r->is_h2; }
void *http_listener_context(const struct http_request *r) { return r->listener_context; }
bool http_is_abandoned(const struct http_request *r) {
    return atomic_load_explicit(&r->abandoned, memory_order_relaxed);
}
bool http_is_tls(const struct http_request *r) { return r->is_tls; }
struct str http_client_subject(const struct http_request *r) {
    return r->identity ? r->identity->subject : (struct str){0};
}
struct str http_client_names(const struct http_request *r) {
    return r->identity ? r->identity->names : (struct str){0};
}

struct str http_field(const struct http_request *r, struct str name) {
    for (size_t i = 0; i < r->fields.count; i++)
        if (str_equal_nocase(request_piece(r, r->fields.names[i]), name))
            return str_trim(request_piece(r, r->fields.values[i]));
    return (struct str){0};
}

size_t http_field_count(const struct http_request *r, struct str name) {
    size_t n = 0;
    for (size_t i = 0; i < r->fields.count; i++) n += str_equal_nocase(request_piece(r, r->fields.names[i]), name);
    return n;
}
