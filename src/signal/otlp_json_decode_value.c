#include "base/text.h"
#include "signal/json_decode_priv.h"

/* ---- structure ---------------------------------------------------------------------------------------------------- */

bool json_fail(struct json_in *in, enum err_kind kind, const char *what) {
    const unsigned char *text = (const unsigned char *)in->r.text.p;
    if (in->r.error) return fault_set(in->fault, text + in->r.at, ERR_INVALID, in->r.error);
    return fault_set(in->fault, text + in->r.token, kind, what);
}

bool json_enter(struct json_in *in, enum json_token token) {
    if (json_next(&in->r) == token) return true;
    return json_fail(in, ERR_INVALID, token == JSON_OBJECT ? "expected an object" : "expected an array");
}

static int find_name(const struct json_object_in *o, struct str name) {
    for (uint32_t i = o->next; i < o->names->n; i++)
        if (str_equal(name, o->names->v[i])) return (int)i;
    for (uint32_t i = 0; i < o->next; i++)
        if (str_equal(name, o->names->v[i])) return (int)i;
    return NO_MEMBER;
}

/* A value that begins with n is null, or not JSON. */
static bool null_comes(const struct json_reader *r) {
    size_t at = r->at;
    while (at < r->text.n && strchr(" \t\r\n", r->text.p[at]) && r->text.p[at]) at++;
    return at < r->text.n && r->text.p[at] == 'n';
}

int json_member_next(struct json_in *in, struct json_object_in *o) {
    for (;;) {
        enum json_token t = json_next(&in->r);
        if (t != JSON_KEY) {
            if (t != JSON_OBJECT_END) json_fail(in, ERR_INVALID, "expected a member");
            return NO_MEMBER;
        }
        int i = find_name(o, in->r.value);
        if (i >= 0) {
            if (o->seen >> i & 1) {
                json_fail(in, ERR_INVALID, "expected one member of that name, not two");
                return NO_MEMBER;
            }
            o->seen |= 1u << i;
            o->next = (uint32_t)i + 1;
        }
        if (i >= 0 && !null_comes(&in->r)) return i;
        if (!json_skip(&in->r)) {
            json_fail(in, ERR_INVALID, "expected a value");
            return NO_MEMBER;
        }
    }
}

bool json_element_next(struct json_in *in) {
    enum json_token t = json_next(&in->r);
    if (t == JSON_OBJECT) return true;
    if (t != JSON_ARRAY_END) json_fail(in, ERR_INVALID, "expected an object");
    return false;
}

/* ---- numbers ------------------------------------------------------------------------------------------------------ */

bool json_read_text(struct json_in *in, struct wire *out) {
    if (json_next(&in->r) != JSON_STRING) return json_fail(in, ERR_INVALID, "expected a string");
    *out = wire_of(in->r.value);
    return true;
}

static bool is_json_number(struct str s) {
    struct json_reader r;
    json_reader_init(&r, s, 0);
    return s.n && json_next(&r) == JSON_NUMBER && r.value.n == s.n; /* a number needs no memory */
}

/* The text of a number that stands there as such, or in a string; t is the token that was read. */
static bool check_number_text(struct json_in *in, enum json_token t, const char *expected, struct str *out) {
    *out = in->r.value;
    if (t == JSON_NUMBER || (t == JSON_STRING && is_json_number(*out))) return true;
    return json_fail(in, ERR_INVALID, expected);
}

static bool push_digit(uint64_t *v, unsigned digit) {
    return !__builtin_mul_overflow(*v, 10, v) && !__builtin_add_overflow(*v, digit, v);
}

/* The digits of "12.50e3" without the point, and how many zeros the exponent puts behind them (or takes away). */
static long split_number(struct str s, char digits[static 64], size_t *out_n) {
    long zeros = 0, exponent = 0;
    bool fraction = false, negative = false;
    size_t i = 0, n = 0;
    for (; i < s.n && (s.p[i] | 0x20) != 'e'; i++) {
        if (s.p[i] == '.') {
            fraction = true;
            continue;
        }
        if (n < 64) digits[n++] = s.p[i];
        zeros -= fraction;
    }
    for (i++; i < s.n; i++) {
        if (s.p[i] == '-') negative = true;
        if (s.p[i] >= '0') exponent = MIN(exponent * 10 + (s.p[i] - '0'), 100000);
    }
    *out_n = n;
    return zeros + (negative ? -exponent : exponent);
}

/* A JSON number without its sign; false if it is not whole or needs more than 64 bits. */
static bool parse_whole(struct str s, uint64_t *out) {
    char digits[64];
    size_t n;
    uint64_t v = 0;
    if (s.n > sizeof digits) return false;
    long zeros = split_number(s, digits, &n);
    while (n > 0 && zeros < 0 && digits[n - 1] == '0') n--, zeros++;
    for (size_t i = 0; i < n; i++)
        if (!push_digit(&v, (unsigned)(digits[i] - '0'))) return false;
    if (v && zeros < 0) return false;
    for (; v && zeros > 0; zeros--)
        if (!push_digit(&v, 0)) return false;
    *out = v;
    return true;
}

/* Up to 19 digits and nothing else: nearly every integer. */
static inline bool parse_digits(struct str s, uint64_t *out) {
    uint64_t v = 0;
    if (s.n == 0 || s.n > 19 || (s.p[0] == '0' && s.n > 1)) return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned digit = (unsigned char)s.p[i] - (unsigned)'0';
        if (digit > 9) return false;
        v = v * 10 + digit;
    }
    *out = v;
    return true;
}

bool json_read_integer(struct json_in *in, int64_t min, uint64_t max, const char *expected, uint64_t *out) {
    struct str s;
    uint64_t v;
    enum json_token t = json_next(&in->r);
    if ((t == JSON_STRING || t == JSON_NUMBER) && parse_digits(in->r.value, &v) && v <= max) {
        *out = v;
        return true;
    }
    if (!check_number_text(in, t, expected, &s)) return false;
    bool negative = s.p[0] == '-';
    if (!parse_whole((struct str){s.p + negative, s.n - negative}, &v)) return json_fail(in, ERR_INVALID, expected);
    if (v > (negative ? (uint64_t)0 - (uint64_t)min : max)) return json_fail(in, ERR_INVALID, expected);
    *out = negative ? (uint64_t)0 - v : v;
    return true;
}

bool json_read_enum(struct json_in *in, uint32_t *out) {
    static const char expected[] = "expected an integer: OTLP/JSON has enumerations as numbers, not as names";
    uint64_t v;
    if (json_next(&in->r) != JSON_NUMBER) return json_fail(in, ERR_INVALID, expected);
    bool negative = in->r.value.p[0] == '-';
    struct str digits = {in->r.value.p + negative, in->r.value.n - negative};
    if (!parse_whole(digits, &v) || v > (uint64_t)INT32_MAX + negative) return json_fail(in, ERR_INVALID, expected);
    *out = (uint32_t)(negative ? (uint64_t)0 - v : v);
    return true;
}

static uint64_t double_bits(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

bool json_read_double(struct json_in *in, uint64_t *out) {
    static const char expected[] = "expected a number, \"NaN\", \"Infinity\" or \"-Infinity\"";
    enum json_token t = json_next(&in->r);
    struct str s = in->r.value;
    double v = 0;
    if (t == JSON_STRING && str_equal(s, STR("NaN")))
        v = __builtin_nan("");
    else if (t == JSON_STRING && (str_equal(s, STR("Infinity")) || str_equal(s, STR("-Infinity"))))
        v = s.p[0] == '-' ? -__builtin_inf() : __builtin_inf();
    else if (t != JSON_NUMBER && (t != JSON_STRING || !is_json_number(s)))
        return json_fail(in, ERR_INVALID, expected);
    else {
        err e = parse_f64(s, &v);
        err_free(e);
        if (e) return json_fail(in, ERR_INVALID, "expected a number that a double can hold");
    }
    *out = double_bits(v);
    return true;
}

bool json_read_bool(struct json_in *in, uint64_t *out) {
    enum json_token t = json_next(&in->r);
    *out = t == JSON_TRUE;
    return t == JSON_TRUE || t == JSON_FALSE || json_fail(in, ERR_INVALID, "expected true or false");
}

/* ---- bytes -------------------------------------------------------------------------------------------------------- */

/* Of each byte: its value as a hex digit and 1; 0: it is none. */
static const uint8_t hex_values[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16};

bool json_read_id(struct json_in *in, unsigned char *bytes, size_t n, struct wire *out) {
    struct wire s;
    if (!json_read_text(in, &s)) return false;
    size_t digits = wire_left(&s);
    bool good = digits % 2 == 0;
    for (size_t i = 0; i + 1 < digits; i += 2) {
        unsigned high = hex_values[s.p[i]], low = hex_values[s.p[i + 1]];
        good &= (high != 0) & (low != 0);
        if (i / 2 < n) bytes[i / 2] = (unsigned char)((high - 1) << 4 | (low - 1));
    }
    if (!good)
        return json_fail(in, ERR_INVALID,
                         n == 16 ? "expected 32 hex digits: OTLP/JSON has ids as hex, not as base64"
                                 : "expected 16 hex digits: OTLP/JSON has ids as hex, not as base64");
    *out = (struct wire){bytes, bytes + (digits == 2 * n ? n : digits ? 1 : 0)};
    return true;
}

static unsigned base64_digit(unsigned char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26u;
    if (c >= '0' && c <= '9') return c - '0' + 52u;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : 64;
}

/* RFC 4648, either alphabet, padded or not; bits that are left over must be zero. */
static bool put_base64_decoded(struct buf *out, struct wire s) {
    size_t n = wire_left(&s);
    while (n > 0 && wire_left(&s) - n < 2 && s.p[n - 1] == '=') n--;
    if (n < wire_left(&s) && wire_left(&s) % 4 != 0) return false;
    if (n % 4 == 1) return false;
    uint32_t bits = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned digit = base64_digit(s.p[i]);
        if (digit > 63) return false;
        bits = bits << 6 | digit;
        if (i % 4) buf_add_byte(out, (char)(bits >> (6 - 2 * (i % 4))));
    }
    unsigned left = n % 4 == 2 ? 4 : n % 4 == 3 ? 2 : 0;
    return (bits & ((1u << left) - 1)) == 0;
}

static bool read_base64(struct json_in *in, struct buf *out) {
    struct wire s;
    if (!json_read_text(in, &s)) return false;
    return put_base64_decoded(out, s) || json_fail(in, ERR_INVALID, "expected base64");
}

/* ---- nested values: AnyValue messages ----------------------------------------------------------------------------- */

static const struct json_names any_names = {7,
                                            {STR("stringValue"), STR("intValue"), STR("boolValue"), STR("doubleValue"),
                                             STR("arrayValue"), STR("kvlistValue"), STR("bytesValue")}};
enum { NAME_STRING, NAME_INT, NAME_BOOL, NAME_DOUBLE, NAME_ARRAY, NAME_MAP, NAME_BYTES };
static const struct json_names list_names = {1, {STR("values")}};
static const struct json_names key_value_names = {2, {STR("key"), STR("value")}};
static const char int64_expected[] = "expected a signed 64-bit integer, as a number or a string";

static void put_varint(struct buf *out, uint64_t v) {
    unsigned char bytes[10];
    buf_add(out, bytes, any_varint(v, bytes));
}

/* any_close: each level moves what is in it once more: at most 64 times 16 MiB. */

static bool put_any(struct json_in *in, int depth);

/* Puts the key before the value that may have come first. */
static void put_key(struct buf *out, size_t start, struct str key) {
    unsigned char head[11] = {WIRE_TAG(1, WIRE_BYTES)};
    size_t head_n = 1 + any_varint(key.n, head + 1), n = head_n + key.n, size = out->n - start;
    if (!buf_reserve(out, n)) return;
    if (size) memmove(out->p + start + n, out->p + start, size);
    memcpy(out->p + start, head, head_n);
    if (key.n) memcpy(out->p + start + head_n, key.p, key.n);
    out->n += n;
}

/* An entry of a map; what is not there is written as empty. */
static bool put_key_value(struct json_in *in, int depth) {
    struct json_object_in o = {&key_value_names, 0, 0};
    size_t start = in->any.n;
    bool has_key = false, has_value = false;
    for (int which; (which = json_member_next(in, &o)) >= 0;) {
        struct wire key;
        size_t value = in->any.n;
        if (which == 0) {
            if (!json_read_text(in, &key)) return false;
            put_key(&in->any, start, wire_str(&key));
            has_key = true;
        } else {
            if (!json_enter(in, JSON_OBJECT) || !put_any(in, depth)) return false;
            any_close(&in->any, value, WIRE_TAG(2, WIRE_BYTES));
            has_value = true;
        }
    }
    if (!has_key) put_key(&in->any, start, STR(""));
    if (!has_value) any_close(&in->any, in->any.n, WIRE_TAG(2, WIRE_BYTES));
    return !in->fault->what;
}

/* {"values":[…]} of an array or a map. */
static bool put_list(struct json_in *in, int depth, bool map) {
    struct json_object_in o = {&list_names, 0, 0};
    if (!json_enter(in, JSON_OBJECT)) return false;
    while (json_member_next(in, &o) >= 0) {
        if (!json_enter(in, JSON_ARRAY)) return false;
        while (json_element_next(in)) {
            size_t start = in->any.n;
            if (!(map ? put_key_value : put_any)(in, depth + 1)) return false;
            any_close(&in->any, start, WIRE_TAG(1, WIRE_BYTES));
        }
        if (in->fault->what) return false;
    }
    return !in->fault->what;
}

/* The value of one member of an AnyValue, as a field of its message. */
static bool put_any_member(struct json_in *in, int which, int depth) {
    struct buf *out = &in->any;
    struct wire text;
    uint64_t number;
    size_t start = out->n;
    bool ok;
    switch (which) {
    case NAME_STRING:
        if (!json_read_text(in, &text)) return false;
        buf_add_str(out, wire_str(&text));
        any_close(out, start, WIRE_TAG(1, WIRE_BYTES));
        return true;
    case NAME_BOOL:
    case NAME_INT:
        ok = which == NAME_BOOL ? json_read_bool(in, &number)
                                : json_read_integer(in, INT64_MIN, INT64_MAX, int64_expected, &number);
        if (!ok) return false;
        buf_add_byte(out, which == NAME_BOOL ? WIRE_TAG(2, WIRE_VARINT) : WIRE_TAG(3, WIRE_VARINT));
        put_varint(out, number);
        return true;
    case NAME_DOUBLE:
        if (!json_read_double(in, &number)) return false;
        buf_add_byte(out, WIRE_TAG(4, WIRE_FIXED64));
        buf_add(out, &number, 8);
        return true;
    case NAME_BYTES:
        if (!read_base64(in, out)) return false;
        any_close(out, start, WIRE_TAG(7, WIRE_BYTES));
        return true;
    default:
        if (!put_list(in, depth, which == NAME_MAP)) return false;
        any_close(out, start, which == NAME_MAP ? WIRE_TAG(6, WIRE_BYTES) : WIRE_TAG(5, WIRE_BYTES));
        return true;
    }
}

/* The one member of a value; NO_MEMBER: it has none, or a fault. */
static int value_member(struct json_in *in, struct json_object_in *o) {
    *o = (struct json_object_in){&any_names, 0, 0};
    return json_member_next(in, o);
}

/* After that member: nothing but what is unknown. */
static bool value_end(struct json_in *in, struct json_object_in *o) {
    if (json_member_next(in, o) >= 0) return json_fail(in, ERR_INVALID, "expected one kind of value, not two");
    return !in->fault->what;
}

/* In the object of a value: the fields of its message. */
static bool put_any(struct json_in *in, int depth) {
    struct json_object_in o;
    if (depth > ANY_DEPTH_MAX) return json_fail(in, ERR_LIMIT, "expected values nested at most 64 deep");
    if (in->any.full) return json_fail(in, ERR_LIMIT, "expected a value of at most 16 MiB");
    int which = value_member(in, &o);
    return which < 0 ? !in->fault->what : put_any_member(in, which, depth) && value_end(in, &o);
}

bool json_put_attributes(struct json_in *in, unsigned char tag, uint32_t *out_n) {
    if (!json_enter(in, JSON_ARRAY)) return false;
    while (json_element_next(in)) {
        size_t start = in->any.n;
        if (!put_key_value(in, 1)) return false;
        if (in->any.n >= start + 2 && in->any.p[start + 1] == 0) { /* an empty key, which protobuf leaves out */
            memmove(in->any.p + start, in->any.p + start + 2, in->any.n - start - 2);
            in->any.n -= 2;
        }
        any_close(&in->any, start, tag);
        ++*out_n;
    }
    if (in->any.full) return json_fail(in, ERR_LIMIT, "expected attributes of at most 16 MiB");
    return !in->fault->what;
}

/* ---- attributes --------------------------------------------------------------------------------------------------- */

/* A key, its value, and which came already. */
struct json_attribute {
    struct known_key *known; /* NULL: not read, or not among the known */
    enum value_type type;
    uint64_t slot;
};

/* Interns bytes that need not be UTF-8. */
static uint32_t keep_bytes(struct otlp_decoder *d, struct text_stats *stats, struct buf *bytes) {
    uint32_t invalid = d->invalid_utf8, id = decode_text(d, stats, wire_of(buf_str(bytes)));
    d->invalid_utf8 = invalid;
    return id;
}

/* The value of member `which` as a slot. Text that comes before its key is taken to repeat. */
static bool read_slot(struct json_in *in, struct row_attributes *a, int which, struct json_attribute *v) {
    static const uint8_t types[] = {
        [NAME_STRING] = VALUE_STRING, [NAME_INT] = VALUE_INT, [NAME_BOOL] = VALUE_BOOL,  [NAME_DOUBLE] = VALUE_DOUBLE,
        [NAME_ARRAY] = VALUE_ANY,     [NAME_MAP] = VALUE_ANY, [NAME_BYTES] = VALUE_BYTES};
    struct wire text;
    v->type = (enum value_type)types[which];
    if (v->known) known_key_id(in->d, v->known, v->type); /* the key first: it may judge whether its values repeat */
    struct text_stats *stats = value_stats(in->d, a, v->known);
    buf_clear(&in->any);
    switch (which) {
    case NAME_STRING:
        if (!json_read_text(in, &text)) return false;
        v->slot = decode_text(in->d, stats, text);
        return !in->fault->what;
    case NAME_INT: return json_read_integer(in, INT64_MIN, INT64_MAX, int64_expected, &v->slot);
    case NAME_BOOL: return json_read_bool(in, &v->slot);
    case NAME_DOUBLE: return json_read_double(in, &v->slot);
    case NAME_BYTES:
        if (!read_base64(in, &in->any)) return false;
        break;
    default:
        if (!put_any_member(in, which, 1)) return false;
    }
    if (in->any.full) return json_fail(in, ERR_LIMIT, "expected a value of at most 16 MiB");
    v->slot = keep_bytes(in->d, stats, &in->any);
    return !in->fault->what;
}

static bool read_value(struct json_in *in, struct row_attributes *a, struct json_attribute *v) {
    struct json_object_in o;
    if (!json_enter(in, JSON_OBJECT)) return false;
    int which = value_member(in, &o);
    return which < 0 ? !in->fault->what : read_slot(in, a, which, v) && value_end(in, &o);
}

static bool read_key(struct json_in *in, struct row_attributes *a, struct json_attribute *v) {
    struct wire name;
    if (!json_read_text(in, &name)) return false;
    struct known_key **likely = a->n < PREDICTED_MAX ? &a->prediction->keys[a->n] : NULL,
                     *key = likely ? *likely : NULL;
    size_t n = wire_left(&name);
    if (key && key->prefix_n == n + 3 && same_bytes(name.p, key->prefix + 2, n)) {
        v->known = key;
        return true;
    }
    v->known = decode_find_key(in->d, wire_str(&name));
    if (likely && v->known) *likely = v->known;
    buf_clear(&in->name);
    if (!v->known) buf_add_str(&in->name, wire_str(&name));
    return true;
}

static bool read_attribute(struct json_in *in, struct row_attributes *a) {
    struct json_object_in o = {&key_value_names, 0, 0};
    struct json_attribute v = {.type = VALUE_EMPTY};
    buf_clear(&in->name);
    for (int which; (which = json_member_next(in, &o)) >= 0;)
        if (!(which == 0 ? read_key : read_value)(in, a, &v)) return false;
    if (in->fault->what) return false;
    int32_t id = v.known ? known_key_id(in->d, v.known, v.type)
                         : (int32_t)batch_builder_key(in->d->b, buf_str(&in->name), v.type);
    return attributes_push(in->d, a, id, v.slot);
}

/* What is left of the body, while it is compared with the form that is expected. */
struct rest {
    const unsigned char *p, *end;
};

HOT_INLINE bool pass(struct rest *rest, struct str bytes) {
    if ((size_t)(rest->end - rest->p) < bytes.n || !same_bytes(rest->p, (const unsigned char *)bytes.p, bytes.n))
        return false;
    rest->p += bytes.n;
    return true;
}

/* {"key":"NAME","value":{ with the name that stood here in the row before. */
HOT_INLINE bool pass_head(struct rest *rest, const struct known_key *key, bool first) {
    struct str name = str_span(key->prefix + 2, key->prefix_n - 3u);
    return pass(rest, first ? STR("{\"key\":\"") : STR(",{\"key\":\"")) && pass(rest, name) &&
           pass(rest, STR("\",\"value\":{\""));
}

/* Digits of a number that fits into an int64, in quotes or without. */
static bool pass_digits(struct rest *rest, uint64_t *out) {
    bool quoted = rest->p < rest->end && *rest->p == '"';
    const unsigned char *start = rest->p + quoted, *p = start;
    uint64_t v = 0;
    while (p < rest->end && p - start < 18 && *p >= '0' && *p <= '9') v = v * 10 + (*p++ - (unsigned)'0');
    if (p == start || (*start == '0' && p - start > 1)) return false;
    rest->p = p;
    *out = v;
    return !quoted || pass(rest, STR("\""));
}

/* The attribute that most likely comes, without looking at it token by token: text or a whole number under the predicted key, written
 * without blanks and escapes. False, with nothing read, if it is another. */
static bool read_likely(struct json_in *in, struct row_attributes *a, bool first) {
    struct known_key *key = a->n < PREDICTED_MAX ? a->prediction->keys[a->n] : NULL;
    const unsigned char *text = (const unsigned char *)in->r.text.p;
    struct rest rest = {text + in->r.at, text + in->r.text.n};
    uint64_t slot;
    if (!key || key->needs_escape || !pass_head(&rest, key, first)) return false;
    if (pass(&rest, STR("stringValue\":\""))) {
        struct wire value = {rest.p, rest.p + json_plain_bytes(&in->r, (size_t)(rest.p - text))};
        rest.p = value.end;
        if (!pass(&rest, STR("\"}}"))) return false;
        int32_t id = known_key_id(in->d, key, VALUE_STRING);
        slot = decode_text(in->d, value_stats(in->d, a, key), value);
        if (in->fault->what || !attributes_push(in->d, a, id, slot)) return false;
    } else {
        if (!pass(&rest, STR("intValue\":")) || !pass_digits(&rest, &slot) || !pass(&rest, STR("}}"))) return false;
        if (!attributes_push(in->d, a, known_key_id(in->d, key, VALUE_INT), slot)) return false;
    }
    json_jump(&in->r, (size_t)(rest.p - text));
    return true;
}

bool json_read_attributes(struct json_in *in, struct row_attributes *a) {
    if (!json_enter(in, JSON_ARRAY)) return false;
    for (bool first = true; !in->fault->what; first = false) {
        if (read_likely(in, a, first)) continue;
        if (in->fault->what || !json_element_next(in)) break;
        if (!read_attribute(in, a)) return false;
    }
    return !in->fault->what;
}

bool json_read_body(struct json_in *in, uint32_t row) {
    struct otlp_decoder *d = in->d;
    struct text_stats *stats = &d->field_stats[SET_ROWS][FIELD_BODY];
    struct json_object_in o;
    struct wire text;
    uint32_t id = 0;
    if (!json_enter(in, JSON_OBJECT)) return false;
    int which = value_member(in, &o);
    if (which < 0) return !d->fault.what;
    if (which == NAME_STRING) {
        if (!json_read_text(in, &text)) return false;
        id = decode_text(d, stats, text);
    } else {
        buf_clear(&in->any);
        if (!put_any_member(in, which, 1)) return false;
        if (in->any.full) return json_fail(in, ERR_LIMIT, "expected a value of at most 16 MiB");
        id = keep_bytes(d, stats, &in->any);
    }
    put_u32(d, SET_ROWS, FIELD_BODY, row, id);
    put_u32(d, SET_ROWS, FIELD_BODY_TYPE, row, which == NAME_STRING ? VALUE_STRING : VALUE_ANY);
    return !d->fault.what && value_end(in, &o);
}
