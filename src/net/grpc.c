#include "net/grpc.h"

#include "base/text.h"
#include "net/request_priv.h"

/* ---- requests --------------------------------------------------------------------------------------------------- */

bool grpc_type_is_taken(struct str type) {
    static const struct str plain = STR("application/grpc"), proto = STR("+proto");
    if (type.n < plain.n || !str_equal_nocase((struct str){type.p, plain.n}, plain)) return false;
    struct str rest = {type.p + plain.n, type.n - plain.n};
    if (rest.n >= proto.n && str_equal_nocase((struct str){rest.p, proto.n}, proto))
        rest = (struct str){rest.p + proto.n, rest.n - proto.n};
    rest = str_trim(rest);
    return rest.n == 0 || rest.p[0] == ';';
}

bool grpc_is_request(const struct http_request *r) { return grpc_type_is_taken(http_field(r, STR("content-type"))); }

static size_t size_of(const char *prefix) {
    const uint8_t *p = (const uint8_t *)prefix;
    return (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
}

bool grpc_message_size(struct str bytes, size_t *out) {
    if (bytes.n < GRPC_PREFIX) return false;
    *out = GRPC_PREFIX + size_of(bytes.p);
    return true;
}

static enum grpc_code because(enum grpc_code code, const char *reason, const char **out_reason) {
    *out_reason = reason;
    return code;
}

enum grpc_code grpc_read_unary(struct str body, struct str encoding, size_t max_bytes, struct grpc_message *out,
                               const char **why) {
    if (body.n == 0) return because(GRPC_UNIMPLEMENTED, "a unary call without a message", why);
    if (body.n < GRPC_PREFIX) return because(GRPC_INTERNAL, "the message's prefix is cut off", why);
    size_t n = size_of(body.p), here = body.n - GRPC_PREFIX;
    bool gzip = str_equal_nocase(encoding, STR("gzip")), identity = str_equal_nocase(encoding, STR("identity"));
    if (n > max_bytes) return because(GRPC_RESOURCE_EXHAUSTED, "the message is over the limit", why);
    if (here < n) return because(GRPC_INTERNAL, "the message is shorter than its prefix says", why);
    if (here > n) return because(GRPC_UNIMPLEMENTED, "a unary call with more than one message", why);
    if (encoding.n && !gzip && !identity)
        return because(GRPC_UNIMPLEMENTED, "this grpc-encoding is not taken: send gzip or identity", why);
    if ((uint8_t)body.p[0] > 1 || (body.p[0] == 1 && !gzip))
        return because(GRPC_INTERNAL, "the message is marked as compressed, but not by which grpc-encoding", why);
    *out = (struct grpc_message){{body.p + GRPC_PREFIX, n}, body.p[0] ? STR("gzip") : STR("")};
    return GRPC_OK;
}

void grpc_put_message(struct buf *out, struct str message, bool compressed) {
    assert(message.n <= UINT32_MAX);
    const char prefix[GRPC_PREFIX] = {(char)compressed, (char)(message.n >> 24), (char)(message.n >> 16),
                                      (char)(message.n >> 8), (char)message.n};
    buf_add(out, prefix, sizeof prefix);
    buf_add_str(out, message);
}

bool grpc_timeout_read(struct str text, int64_t *out_ns) {
    static const struct {
        char unit;
        int64_t ns;
    } units[] = {{'H', 3600000000000}, {'M', 60000000000}, {'S', 1000000000}, {'m', 1000000}, {'u', 1000}, {'n', 1}};
    int64_t n = 0;
    if (text.n < 2 || text.n > 9) return false;
    for (size_t i = 0; i + 1 < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') return false;
        n = n * 10 + (text.p[i] - '0');
    }
    for (size_t i = 0; i < LENGTH(units); i++) {
        if (units[i].unit != text.p[text.n - 1]) continue;
        *out_ns = n > INT64_MAX / units[i].ns ? INT64_MAX : n * units[i].ns;
        return true;
    }
    return false;
}

/* ---- status ----------------------------------------------------------------------------------------------------- */

/* Printable ASCII but % stands for itself (PROTOCOL-HTTP2.md, Percent-Encoded). */
static void put_percent(struct buf *out, struct str s) {
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if (c >= ' ' && c <= '~' && c != '%') {
            buf_add_byte(out, s.p[i]);
            continue;
        }
        const char escape[] = {'%', digits[c >> 4], digits[c & 15]};
        buf_add(out, escape, sizeof escape);
    }
}

static void put_varint(struct buf *out, uint64_t v) {
    for (; v > 127; v >>= 7) buf_add_byte(out, (char)(v | 128));
    buf_add_byte(out, (char)v);
}

static void put_number(struct buf *out, uint32_t field, uint64_t v) {
    put_varint(out, field << 3);
    put_varint(out, v);
}

static void put_bytes(struct buf *out, uint32_t field, struct str bytes) {
    put_varint(out, field << 3 | 2);
    put_varint(out, bytes.n);
    buf_add_str(out, bytes);
}

/* google.rpc.Status {code 1, message 2, details 3: Any {type_url 1, value 2: RetryInfo {retry_delay 1: Duration {seconds 1, nanos 2}}}} */
static void put_details(struct buf *out, enum grpc_code code, struct str message, int64_t retry_ns) {
    struct buf delay, info, any, status;
    buf_init(&delay, 64);
    buf_init(&info, 64);
    buf_init(&any, 256);
    buf_init(&status, 4 * KIB);
    put_number(&delay, 1, (uint64_t)(retry_ns / 1000000000));
    if (retry_ns % 1000000000) put_number(&delay, 2, (uint64_t)(retry_ns % 1000000000));
    put_bytes(&info, 1, buf_str(&delay));
    put_bytes(&any, 1, STR("type.googleapis.com/google.rpc.RetryInfo"));
    put_bytes(&any, 2, buf_str(&info));
    put_number(&status, 1, (uint64_t)code);
    put_bytes(&status, 2, message);
    put_bytes(&status, 3, buf_str(&any));
    put_base64(out, status.p, status.n);
    while (out->n && out->p[out->n - 1] == '=') out->n--; /* without padding, as the specification wants it */
    buf_done(&delay);
    buf_done(&info);
    buf_done(&any);
    buf_done(&status);
}

/* The next field, its value what stands in text from `at` on: all its room is reserved, so it does not move. */
static void add_field(struct grpc_status *s, struct str name, size_t at) {
    s->fields[s->count++] = (struct http_field){name, {s->text.p + at, s->text.n - at}};
}

void grpc_status_init(struct grpc_status *s, enum grpc_code code, struct str message, int64_t retry_ns) {
    *s = (struct grpc_status){0};
    if (message.n > GRPC_MESSAGE_MAX) message.n = GRPC_MESSAGE_MAX;
    buf_init(&s->text, 8 * KIB);
    buf_reserve(&s->text, 32 + 3 * message.n + (retry_ns > 0 ? 2 * message.n + 256 : 0));
    put_u64(&s->text, (uint64_t)code);
    add_field(s, STR("grpc-status"), 0);
    size_t at = s->text.n;
    put_percent(&s->text, message);
    if (message.n) add_field(s, STR("grpc-message"), at);
    at = s->text.n;
    if (retry_ns <= 0) return;
    put_details(&s->text, code, message, retry_ns);
    add_field(s, STR("grpc-status-details-bin"), at);
}

void grpc_status_done(struct grpc_status *s) { buf_done(&s->text); }

void grpc_status_add_encodings(struct grpc_status *s) {
    s->fields[s->count++] = (struct http_field){STR("grpc-accept-encoding"), STR("identity,gzip")};
}

/* ---- what a client is told -------------------------------------------------------------------------------------- */

/* Either alphabet, padded or not; false at any other byte. */
static bool read_base64(struct str s, struct buf *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0, held = 0;
    while (s.n && s.p[s.n - 1] == '=') s.n--;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i] == '-' ? '+' : s.p[i] == '_' ? '/' : s.p[i];
        const char *at = c ? strchr(digits, c) : NULL;
        if (!at) return false;
        held = held << 6 | (uint32_t)(at - digits);
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        buf_add_byte(out, (char)(held >> bits));
    }
    return !out->full;
}

static bool read_varint(struct str *s, uint64_t *out) {
    *out = 0;
    for (unsigned shift = 0; shift < 64 && s->n; shift += 7) {
        uint8_t c = (uint8_t)s->p[0];
        s->p++, s->n--;
        *out |= (uint64_t)(c & 127) << shift;
        if (c < 128) return true;
    }
    return false;
}

/* The next field: a number, or bytes. False: the end, or what cannot be read. */
static bool next_field(struct str *s, uint64_t *out_field, uint64_t *out_number, struct str *out_bytes) {
    uint64_t tag, n;
    if (!s->n || !read_varint(s, &tag) || !read_varint(s, &n)) return false;
    *out_field = tag >> 3;
    *out_number = n;
    *out_bytes = (struct str){NULL, 0};
    if ((tag & 7) == 0) return true;
    if ((tag & 7) != 2 || n > s->n) return false;
    *out_bytes = (struct str){s->p, (size_t)n};
    s->p += n, s->n -= (size_t)n;
    return true;
}

/* RetryInfo {retry_delay 1: Duration {seconds 1, nanos 2}} */
static bool read_delay(struct str info, int64_t *out_ns) {
    uint64_t field, number, seconds = 0, nanos = 0;
    struct str bytes, delay = {NULL, 0};
    while (next_field(&info, &field, &number, &bytes))
        if (field == 1 && bytes.p) delay = bytes;
    while (next_field(&delay, &field, &number, &bytes)) {
        if (field == 1) seconds = number;
        if (field == 2) nanos = number;
    }
    if (seconds > 86400 * 365 || nanos > 999999999) return false; /* negative ones are larger still */
    *out_ns = (int64_t)(seconds * 1000000000 + nanos);
    return true;
}

bool grpc_retry_read(struct str details, int64_t *out_ns) {
    uint64_t field, number;
    struct str status, any, bytes;
    AUTO_BUF struct buf plain;
    buf_init(&plain, 16 * KIB);
    if (!read_base64(details, &plain)) return false;
    status = buf_str(&plain);
    while (next_field(&status, &field, &number, &any)) {
        struct str type = {NULL, 0}, value = {NULL, 0};
        if (field != 3) continue;
        while (next_field(&any, &field, &number, &bytes)) {
            if (field == 1) type = bytes;
            if (field == 2) value = bytes;
        }
        if (str_ends_with(type, STR("/google.rpc.RetryInfo")) && value.p) return read_delay(value, out_ns);
    }
    return false;
}

enum grpc_code grpc_code_of_http(int status) {
    switch (status) {
    case 400: return GRPC_INTERNAL;
    case 401: return GRPC_UNAUTHENTICATED;
    case 403: return GRPC_PERMISSION_DENIED;
    case 404:
    case 501: return GRPC_UNIMPLEMENTED;
    case 408: return GRPC_DEADLINE_EXCEEDED;
    case 413:
    case 414:
    case 431: return GRPC_RESOURCE_EXHAUSTED;
    case 429:
    case 502:
    case 503:
    case 504: return GRPC_UNAVAILABLE;
    default: return GRPC_UNKNOWN;
    }
}

void grpc_reply_refusal(struct http_request *r, int status, struct str reason) {
    const int64_t retry_ns = status == 429 || status == 503 ? 2000000000 : 0;
    struct grpc_status s;
    grpc_status_init(&s, grpc_code_of_http(status), reason, retry_ns);
    reply_write(
        r, &(struct http_reply){
               .status = 200, .content_type = STR("application/grpc"), .fields = s.fields, .field_count = s.count});
    grpc_status_done(&s);
}
