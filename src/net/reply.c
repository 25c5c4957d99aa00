#include "base/text.h"
#include "net/connection_priv.h"
#include "net/grpc.h"
#include "net/request_priv.h"
#include "os/clock.h"

const char *http_status_text(int status) {
    switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 426: return "Upgrade Required";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 499: return "Client Closed Request";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 507: return "Insufficient Storage";
    default: return "Status";
    }
}

/* ---- Date ------------------------------------------------------------------------------------------------------- */

enum { DATE_SIZE = 40 };

/* Days since 1970 to year, month, day of the proleptic Gregorian calendar. A year that starts in March makes leap days the
 * last of their year, and 153 days are five such months. */
static void civil_of(int64_t days, int *year, int *month, int *day) {
    int64_t z = days + 719468, era = z / 146097, of_era = z - era * 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t m = (5 * of_year + 2) / 153;
    *day = (int)(of_year - (153 * m + 2) / 5 + 1);
    *month = (int)(m < 10 ? m + 3 : m - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 §5.6.7), made once a second in each thread. */
static struct str date_text(void) {
    static _Thread_local int64_t made_for = -1;
    static _Thread_local struct buf text;
    static _Thread_local char memory[DATE_SIZE];
    int64_t second = clock_wall_ns() / 1000000000;
    if (second == made_for) return buf_str(&text);
    static const char days[] = "ThuFriSatSunMonTueWed", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int year, month, day, of_day = (int)(second % 86400);
    civil_of(second / 86400, &year, &month, &day);
    text = (struct buf){.p = memory, .capacity = DATE_SIZE, .max = DATE_SIZE - 2};
    buf_add_fmt(&text, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + second / 86400 % 7 * 3, day,
                months + (month - 1) * 3, year, of_day / 3600, of_day / 60 % 60, of_day % 60);
    made_for = second;
    return buf_str(&text);
}

/* ---- the reply -------------------------------------------------------------------------------------------------- */

/* A field that could end its line, or the head, would let a value write others. */
static void check_field(struct str name, struct str value) {
    assert(name.n && !memchr(name.p, '\r', name.n) && !memchr(name.p, '\n', name.n) && !memchr(name.p, 0, name.n));
    assert(!value.n ||
           (!memchr(value.p, '\r', value.n) && !memchr(value.p, '\n', value.n) && !memchr(value.p, 0, value.n)));
    (void)name, (void)value;
}

static void put_field(struct buf *out, struct str name, struct str value) {
    check_field(name, value);
    buf_add_str(out, name);
    buf_add(out, ": ", 2);
    buf_add_str(out, value);
    buf_add(out, "\r\n", 2);
}

static void put_status_line(struct buf *out, int status) {
    buf_add(out, "HTTP/1.1 ", 9);
    put_u64(out, (uint64_t)status);
    buf_add_byte(out, ' ');
    buf_add_text(out, http_status_text(status));
    buf_add(out, "\r\n", 2);
}

static bool is_bodiless(int status) { return status == 204 || status == 304; }

static void put_h1_head(struct http_request *r, const struct http_reply *reply) {
    struct buf *out = &r->out;
    put_status_line(out, reply->status);
    if (r->engine->dated) put_field(out, STR("Date"), date_text());
    if (reply->content_type.n) put_field(out, STR("Content-Type"), reply->content_type);
    if (r->is_upgraded) put_field(out, STR("Connection"), STR("Upgrade"));
    if (r->push && !r->is_http10 && !r->is_upgraded) put_field(out, STR("Transfer-Encoding"), STR("chunked"));
    if (!is_bodiless(reply->status) && !r->push) {
        buf_add_text(out, "Content-Length: ");
        put_u64(out, reply->body.n);
        buf_add(out, "\r\n", 2);
    }
    for (size_t i = 0; i < reply->field_count; i++) put_field(out, reply->fields[i].name, reply->fields[i].value);
    if (r->reply_close && !r->is_upgraded) buf_add_text(out, "Connection: close\r\n");
    buf_add(out, "\r\n", 2);
}

/* HTTP/2 compresses heads on the loop's thread, one connection's in their order: until then fields wait here. */
struct field_sizes {
    uint32_t name, value;
};

void reply_field_put(struct buf *out, struct str name, struct str value) {
    struct field_sizes sizes = {(uint32_t)name.n, (uint32_t)value.n};
    check_field(name, value);
    buf_add(out, &sizes, sizeof sizes);
    buf_add_str(out, name);
    buf_add_str(out, value);
}

struct http_field reply_field_next(const struct buf *from, size_t *at) {
    struct field_sizes sizes;
    memcpy(&sizes, from->p + *at, sizeof sizes);
    const char *name = from->p + *at + sizeof sizes;
    *at += sizeof sizes + sizes.name + sizes.value;
    return (struct http_field){{name, sizes.name}, {name + sizes.name, sizes.value}};
}

static void put_h2_head(struct http_request *r, const struct http_reply *reply) {
    struct buf *out = &r->out;
    char digits[24];
    struct buf number = {.p = digits, .capacity = sizeof digits, .max = sizeof digits - 1};
    bool has_length = !is_bodiless(reply->status) && reply->trailer_count == 0 && !r->push;
    put_u64(&number, (uint64_t)reply->status);
    reply_field_put(out, STR(":status"), buf_str(&number));
    if (r->engine->dated) reply_field_put(out, STR("date"), date_text());
    if (reply->content_type.n) reply_field_put(out, STR("content-type"), reply->content_type);
    if (has_length) {
        buf_clear(&number);
        put_u64(&number, reply->body.n);
        reply_field_put(out, STR("content-length"), buf_str(&number));
    }
    for (size_t i = 0; i < reply->field_count; i++) reply_field_put(out, reply->fields[i].name, reply->fields[i].value);
    for (size_t i = 0; i < reply->trailer_count; i++)
        reply_field_put(out, reply->trailers[i].name, reply->trailers[i].value);
    r->reply_fields = (uint32_t)(1 + r->engine->dated + (reply->content_type.n > 0) + has_length + reply->field_count);
    r->reply_trailers = (uint32_t)reply->trailer_count;
}

static void write_all(struct http_request *r, const struct http_reply *reply) {
    r->is_upgraded = reply->status == 101 && r->push && !r->is_h2;
    assert((reply->status >= 200 && reply->status <= 599) || r->is_upgraded);
    struct buf *out = &r->out;
    r->reply_close = reply->close || r->is_upgraded || !r->keep_alive ||
                     atomic_load_explicit(&r->engine->draining, memory_order_relaxed);
    buf_clear(out);
    out->max = SIZE_MAX / 2;
    buf_reserve(out, 256 + (reply->body_owned ? 0 : reply->body.n));
    if (r->is_h2)
        put_h2_head(r, reply);
    else
        put_h1_head(r, reply);
    r->reply_owned = reply->body_owned;
    if (is_bodiless(reply->status) || r->method_code == HTTP_HEAD) return;
    size_t head_n = out->n;
    if (!reply->body_owned) buf_add_str(out, reply->body);
    if (reply->body_owned)
        r->reply_body = reply->body;
    else if (r->is_h2)
        r->reply_body = (struct str){out->p + head_n, reply->body.n};
}

static void write_refusal(struct http_request *r, void *listener_context, int status, const char *reason, bool close) {
    static const struct http_field fields[] = {{STR("X-Content-Type-Options"), STR("nosniff")},
                                               {STR("Cache-Control"), STR("no-store")},
                                               {STR("Retry-After"), STR("2")}};
    AUTO_BUF struct buf text;
    buf_init(&text, 1024);
    struct str type = STR("text/plain; charset=utf-8"), why = str_of(reason ? reason : http_status_text(status));
    struct str content_type = r->head_n || r->is_h2 ? http_field(r, STR("content-type")) : (struct str){0};
    struct http_engine *e = r->engine;
    bool again = status == 429 || status == 503;
    atomic_fetch_add_explicit(&e->refused[status / 100], 1, memory_order_relaxed);
    if (r->is_h2 && grpc_is_request(r)) {
        grpc_reply_refusal(r, status, why);
        return;
    }
    if (e->options.refusal)
        type = e->options.refusal(listener_context, head_target(r), content_type, status, why, &text);
    else
        buf_add_fmt(&text, STR_FMT "\n", STR_ARG(why));
    reply_write(r, &(struct http_reply){.status = status,
                                        .content_type = type,
                                        .body = buf_str(&text),
                                        .fields = fields,
                                        .field_count = again ? LENGTH(fields) : LENGTH(fields) - 1,
                                        .close = close});
}

void reply_write_refusal(struct http_request *r, void *listener_context, int status, const char *reason, bool close) {
    request_body_drop(r);
    write_refusal(r, listener_context, status, reason, close);
}

void reply_write(struct http_request *r, const struct http_reply *reply) {
    bool bare = is_bodiless(reply->status) || r->method_code == HTTP_HEAD;
    if (bare || request_reply_budget(r, reply->body.n)) {
        write_all(r, reply);
        return;
    }
    mem_free(reply->body_owned);
    write_refusal(r, r->listener_context, 429, "the answer is over the memory budget: retry later", reply->close);
}
