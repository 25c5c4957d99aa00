/* Two readers must agree on every head. The first checks lines as they come: it is the strict one, and it refuses the
 * forms that other servers and proxies read differently from one another (RFC 9112 §11.2). llhttp then takes the head
 * apart; where it and our framing rules differ about the body, the request is refused. */
#include "net/connection_priv.h"
#include "net/request_priv.h"

enum { TOKEN = 1, VALUE = 2, TARGET = 4, HOST = 8 };
enum { REQUEST_LINE_MAX = TARGET_MAX + 64 }; /* with its CR */
enum { TARGET_SHOWN = 256 };                 /* of one that is refused */

/* Bytes of: field names; field values (obs-text included); targets (no fragment); a Host. */
static const uint8_t classes[256] = {
    ['\t'] = VALUE,
    [' '] = VALUE,
    ['!'] = TOKEN | VALUE | TARGET | HOST,
    ['"'] = VALUE | TARGET,
    ['#'] = TOKEN | VALUE,
    ['$' ... '\''] = TOKEN | VALUE | TARGET | HOST,
    ['(' ... ')'] = VALUE | TARGET | HOST,
    ['*' ... '+'] = TOKEN | VALUE | TARGET | HOST,
    [','] = VALUE | TARGET | HOST,
    ['-' ... '.'] = TOKEN | VALUE | TARGET | HOST,
    ['/'] = VALUE | TARGET,
    ['0' ... '9'] = TOKEN | VALUE | TARGET | HOST,
    [':' ... ';'] = VALUE | TARGET | HOST,
    ['<'] = VALUE | TARGET,
    ['='] = VALUE | TARGET | HOST,
    ['>' ... '@'] = VALUE | TARGET,
    ['A' ... 'Z'] = TOKEN | VALUE | TARGET | HOST,
    ['['] = VALUE | TARGET | HOST,
    ['\\'] = VALUE | TARGET,
    [']'] = VALUE | TARGET | HOST,
    ['^'] = TOKEN | VALUE | TARGET,
    ['_'] = TOKEN | VALUE | TARGET | HOST,
    ['`'] = TOKEN | VALUE | TARGET,
    ['a' ... 'z'] = TOKEN | VALUE | TARGET | HOST,
    ['{'] = VALUE | TARGET,
    ['|'] = TOKEN | VALUE | TARGET,
    ['}'] = VALUE | TARGET,
    ['~'] = TOKEN | VALUE | TARGET | HOST,
    [0x80 ... 0xff] = VALUE,
};

static size_t span_of(struct str s, int class) {
    size_t i = 0;
    while (i < s.n && classes[(uint8_t)s.p[i]] & class) i++;
    return i;
}

static int refuse(struct http_request *r, int status, const char *reason) {
    r->reason = reason;
    return status;
}

/* ---- the strict reader of lines --------------------------------------------------------------------------------- */

/* "METHOD target HTTP/1.1": one blank each. What else must hold is llhttp's to say. */
static int request_line_check(struct http_request *r, struct str line) {
    struct str method, rest, target, version;
    if (!str_cut(line, ' ', &method, &rest) || !str_cut(rest, ' ', &target, &version))
        return refuse(r, 400, "the request line is not \"METHOD target HTTP/1.1\"");
    if (target.n > TARGET_MAX) return refuse(r, 414, "the target has more than 48 KiB");
    if (method.n == 0 || span_of(method, TOKEN) < method.n) return refuse(r, 400, "the method is not a token");
    if (target.n == 0 || span_of(target, TARGET) < target.n)
        return refuse(r, 400, "the target holds a byte that must be percent-encoded");
    if (version.n != 8 || !str_starts_with(version, STR("HTTP/")))
        return refuse(r, 400, "the request line does not end in a version");
    if (!str_equal(version, STR("HTTP/1.1")) && !str_equal(version, STR("HTTP/1.0")))
        return refuse(r, 505, "no version but 1.1 and 1.0 is spoken here");
    return 0;
}

static int field_line_check(struct http_request *r, struct str line) {
    if (line.p[0] == ' ' || line.p[0] == '\t') return refuse(r, 400, "a folded header line");
    size_t name_n = span_of(line, TOKEN);
    struct str rest = {line.p + name_n, line.n - name_n};
    if (name_n == 0 || rest.n == 0 || rest.p[0] != ':')
        return refuse(r, 400, "a header line is not \"name: value\" (no blank may stand before the colon)");
    if (1 + span_of((struct str){rest.p + 1, rest.n - 1}, VALUE) < rest.n)
        return refuse(r, 400, "a header value holds a control character");
    if (r->lines > 1 + FIELDS_MAX) return refuse(r, 431, "more than 100 header fields");
    return 0;
}

/* A line without its LF, its CR still on. */
static int line_check(struct http_request *r, struct str line) {
    if (r->lines == 0 && line.n > REQUEST_LINE_MAX) return refuse(r, 414, "the request line has more than 48 KiB");
    if (line.n == 0 || line.p[line.n - 1] != '\r') return refuse(r, 400, "a line ends without CR");
    line.n--;
    if (line.n && memchr(line.p, '\r', line.n)) return refuse(r, 400, "a CR inside a line");
    if (line.n == 0 && r->lines > 0) return HEAD_COMPLETE;
    if (line.n == 0) { /* RFC 9112 §2.2: one empty line before a request is ignored */
        if (r->head_at > 0) return refuse(r, 400, "empty lines before the request");
        r->head_at = 2;
        return HEAD_MORE;
    }
    r->lines++;
    return r->lines == 1 ? request_line_check(r, line) : field_line_check(r, line);
}

static int too_long(struct http_request *r) {
    if (r->lines == 0 && r->input_n - r->line_at > REQUEST_LINE_MAX)
        return refuse(r, 414, "the request line has more than 48 KiB");
    if (r->input_n >= HEAD_MAX) return refuse(r, 431, "the head has more than 60 KiB");
    return HEAD_MORE;
}

static int head_scan(struct http_request *r) {
    while (r->scanned < r->input_n) {
        const char *lf = memchr(r->input + r->scanned, '\n', r->input_n - r->scanned);
        if (!lf) {
            r->scanned = r->input_n;
            break;
        }
        uint32_t end = (uint32_t)(lf - r->input);
        if (end >= HEAD_MAX) return refuse(r, 431, "the head has more than 60 KiB");
        int status = line_check(r, (struct str){r->input + r->line_at, end - r->line_at});
        r->scanned = r->line_at = end + 1;
        if (status == HEAD_COMPLETE) r->head_n = r->scanned;
        if (status != HEAD_MORE) return status;
    }
    return too_long(r);
}

/* ---- the head as a whole ---------------------------------------------------------------------------------------- */

static const struct {
    struct str text;
    enum http_method method;
} methods[] = {
    {STR("GET"), HTTP_GET},     {STR("HEAD"), HTTP_HEAD},     {STR("POST"), HTTP_POST},       {STR("PUT"), HTTP_PUT},
    {STR("PATCH"), HTTP_PATCH}, {STR("DELETE"), HTTP_DELETE}, {STR("OPTIONS"), HTTP_OPTIONS},
};

static enum http_method method_of(struct str text) {
    for (size_t i = 0; i < LENGTH(methods); i++)
        if (str_equal(text, methods[i].text)) return methods[i].method;
    return HTTP_OTHER;
}

/* Path and query of the four forms of a target (RFC 9112 §3.2). */
static int target_split(struct http_request *r) {
    struct head_piece t = r->fields.target;
    struct str text = request_piece(r, t), path, query;
    size_t skip = 0;
    if (text.n == 0) return refuse(r, 400, "no target");
    if (text.p[0] != '/') { /* absolute: what a proxy is sent */
        size_t scheme = str_starts_with(text, STR("http://")) ? 7 : str_starts_with(text, STR("https://")) ? 8 : 0;
        bool asterisk = str_equal(text, STR("*")) && r->method_code == HTTP_OPTIONS;
        if (!scheme && !asterisk) return refuse(r, 400, "the target is not a path");
        for (skip = scheme; scheme && skip < text.n && text.p[skip] != '/' && text.p[skip] != '?';) skip++;
    }
    bool has_query = str_cut((struct str){text.p + skip, text.n - skip}, '?', &path, &query);
    r->path = (struct head_piece){(uint16_t)(t.at + skip), (uint16_t)path.n};
    r->query = (struct head_piece){(uint16_t)(t.at + t.n - (has_query ? query.n : 0)), (uint16_t)query.n};
    return path_read(r);
}

/* Digits alone; what does not fit is as good as the largest. */
static bool length_read(struct str value, uint64_t *out) {
    uint64_t v = 0;
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] < '0' || value.p[i] > '9') return false;
        uint64_t digit = (uint64_t)(value.p[i] - '0');
        v = v > (UINT64_MAX - digit) / 10 ? UINT64_MAX : v * 10 + digit;
    }
    *out = v;
    return value.n > 0;
}

/* Is the word a member of a comma-separated list? */
static bool list_has(struct str list, struct str word) {
    struct str member, rest = list;
    for (bool more = true; more;) {
        more = str_cut(rest, ',', &member, &rest);
        if (str_equal_nocase(str_trim(member), word)) return true;
    }
    return false;
}

struct framing {
    int lengths, encodings, hosts, expects;
    bool close, keep_alive;
};

static int length_field(struct http_request *r, struct framing *f, struct str value) {
    f->lengths++;
    if (!length_read(value, &r->length)) return refuse(r, 400, "Content-Length is not a number");
    r->has_length = true;
    return 0;
}

static int encoding_field(struct http_request *r, struct framing *f, struct str value) {
    f->encodings++;
    if (!str_equal_nocase(value, STR("chunked"))) return refuse(r, 501, "Transfer-Encoding is other than \"chunked\"");
    r->chunked = true;
    return 0;
}

static int host_field(struct http_request *r, struct framing *f, struct str value) {
    f->hosts++;
    return span_of(value, HOST) < value.n ? refuse(r, 400, "Host holds a byte that no host has") : 0;
}

static int connection_field(struct http_request *r, struct framing *f, struct str value) {
    (void)r;
    f->close |= list_has(value, STR("close"));
    return 0;
}

static int expect_field(struct http_request *r, struct framing *f, struct str value) {
    f->expects++;
    if (!str_equal_nocase(value, STR("100-continue"))) return refuse(r, 417, "Expect is other than \"100-continue\"");
    r->expect_continue = !r->is_http10;
    return 0;
}

static const struct {
    struct str name;
    int (*read)(struct http_request *r, struct framing *f, struct str value);
} framing_fields[] = {
    {STR("content-length"), length_field},
    {STR("transfer-encoding"), encoding_field},
    {STR("host"), host_field},
    {STR("connection"), connection_field},
    {STR("expect"), expect_field},
};

static int framing_fields_read(struct http_request *r, struct framing *f) {
    for (size_t i = 0; i < r->fields.count; i++) {
        struct str name = request_piece(r, r->fields.names[i]);
        for (size_t k = 0; k < LENGTH(framing_fields); k++) {
            if (!str_equal_nocase(name, framing_fields[k].name)) continue;
            int status = framing_fields[k].read(r, f, str_trim(request_piece(r, r->fields.values[i])));
            if (status) return status;
        }
    }
    return 0;
}

static int framing_read(struct http_request *r) {
    struct framing f = {0};
    int status = framing_fields_read(r, &f);
    if (status) return status;
    if (f.lengths > 1) return refuse(r, 400, "more than one Content-Length");
    if (f.encodings > 1) return refuse(r, 400, "more than one Transfer-Encoding");
    if (f.lengths && f.encodings) return refuse(r, 400, "both Content-Length and Transfer-Encoding");
    if (f.encodings && r->is_http10) return refuse(r, 400, "Transfer-Encoding in HTTP/1.0");
    if (f.hosts > 1) return refuse(r, 400, "more than one Host");
    if (f.hosts == 0 && !r->is_http10) return refuse(r, 400, "no Host");
    r->keep_alive = !r->is_http10 && !f.close;
    return 0;
}

/* Whether llhttp would read the same body. */
static bool llhttp_agrees(const struct http_request *r) {
    return r->fields.chunked == r->chunked && r->fields.has_length == r->has_length &&
           (!r->has_length || r->fields.length == r->length) && r->fields.count == r->lines - 1;
}

static int head_parse(struct http_request *r) {
    bool method_unknown;
    struct str head = {r->input + r->head_at, r->head_n - r->head_at}, line, rest;
    str_cut(head, '\r', &line, &rest);
    r->method = (struct head_piece){(uint16_t)r->head_at, (uint16_t)str_find(line, ' ')};
    r->method_code = method_of(request_piece(r, r->method));
    r->is_http10 = line.p[line.n - 1] == '0';
    const char *reason = fields_read(&r->fields, r->input, r->head_at, head.n, &method_unknown);
    if (method_unknown || str_equal(request_piece(r, r->method), STR("CONNECT")))
        return refuse(r, 501, "a method that is not served here");
    if (reason) return refuse(r, 400, reason);
    int status = framing_read(r);
    if (status) return status;
    if (!llhttp_agrees(r)) return refuse(r, 400, "the head can be read in two ways");
    return target_split(r);
}

struct str head_target(const struct http_request *r) {
    if (r->is_h2) return request_piece(r, r->fields.target);
    struct str line = {r->input + r->head_at, MIN(r->input_n - MIN(r->head_at, r->input_n), (uint32_t)TARGET_SHOWN)};
    struct str method, rest, target, more;
    if (!str_cut(line, ' ', &method, &rest)) return STR("");
    str_cut(rest, ' ', &target, &more);
    return target;
}

/* ---- HTTP/2 ----------------------------------------------------------------------------------------------------- */

static bool input_append(struct http_request *r, struct str text, struct head_piece *out) {
    if (!request_input_reserve(r, r->input_n + text.n)) return false;
    *out = (struct head_piece){(uint16_t)r->input_n, (uint16_t)text.n};
    if (text.n) memcpy(r->input + r->input_n, text.p, text.n);
    r->input_n += (uint32_t)text.n;
    return true;
}

/* The piece of a pseudo-header field; :authority becomes Host, and :scheme says nothing here. */
static struct head_piece *pseudo_piece(struct http_request *r, struct str name) {
    if (str_equal(name, STR(":method"))) return &r->method;
    return str_equal(name, STR(":path")) ? &r->fields.target : NULL;
}

static bool is_host_again(const struct http_request *r, struct str name, struct str value) {
    return str_equal(name, STR("host")) && str_equal_nocase(http_field(r, name), value);
}

int head_add_field(struct http_request *r, struct str name, struct str value) {
    if (r->input_n + name.n + value.n > HEAD_MAX) return refuse(r, 431, "the head has more than 60 KiB");
    if (str_equal(name, STR(":authority"))) name = STR("host");
    if (name.p[0] == ':') {
        struct head_piece *piece = pseudo_piece(r, name);
        if (piece == &r->fields.target && value.n > TARGET_MAX) {
            input_append(r, (struct str){value.p, TARGET_SHOWN}, piece); /* whose words to refuse it in */
            return refuse(r, 414, "the target has more than 48 KiB");
        }
        return !piece || input_append(r, value, piece) ? 0 : refuse(r, 429, NULL);
    }
    if (is_host_again(r, name, value)) return 0;
    if (r->fields.count == FIELDS_MAX) return refuse(r, 431, "more than 100 header fields");
    size_t i = r->fields.count;
    if (!input_append(r, name, &r->fields.names[i]) || !input_append(r, value, &r->fields.values[i]))
        return refuse(r, 429, NULL);
    r->fields.count++;
    return 0;
}

/* A cookie may come in crumbs, one a field; for who reads it the first field holds all (RFC 9113 §8.2.3). */
static int cookies_join(struct http_request *r) {
    AUTO_BUF struct buf all;
    struct head_piece *first = NULL;
    buf_init(&all, HEAD_MAX);
    for (size_t i = 0, n = 0; i < r->fields.count; i++) {
        if (!str_equal(request_piece(r, r->fields.names[i]), STR("cookie"))) continue;
        if (n++ == 0) first = &r->fields.values[i];
        if (n > 1) buf_add(&all, "; ", 2);
        buf_add_str(&all, request_piece(r, r->fields.values[i]));
    }
    if (!first || first->n == all.n) return 0;
    if (r->input_n + all.n > HEAD_MAX) return refuse(r, 431, "the head has more than 60 KiB");
    return input_append(r, buf_str(&all), first) ? 0 : refuse(r, 429, NULL);
}

int head_finish(struct http_request *r) {
    struct str target = request_piece(r, r->fields.target);
    r->input_used = r->head_n = r->input_n;
    r->method_code = method_of(request_piece(r, r->method));
    if (str_equal(request_piece(r, r->method), STR("CONNECT")))
        return refuse(r, 501, "a method that is not served here");
    if (target.n == 0 || span_of(target, TARGET) < target.n)
        return refuse(r, 400, "the target holds a byte that must be percent-encoded");
    int status = framing_read(r);
    if (!status) status = cookies_join(r);
    return status ? status : target_split(r);
}

int head_read(struct http_request *r) {
    int status = head_scan(r);
    if (status != HEAD_COMPLETE) return status;
    status = head_parse(r);
    return status ? status : HEAD_COMPLETE;
}
