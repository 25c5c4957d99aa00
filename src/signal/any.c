#include "signal/any_priv.h"

#include "base/text.h"

bool any_utf8_is_valid(const unsigned char *p, size_t n) {
    size_t i = 0;
    uint64_t word;
    for (; i + 8 <= n; i += 8) {
        memcpy(&word, p + i, 8);
        if (word & 0x8080808080808080u) return utf8_is_valid(str_span(p + i, n - i));
    }
    for (; i < n; i++)
        if (p[i] & 0x80) return utf8_is_valid(str_span(p + i, n - i));
    return true;
}

static bool set_number(struct any *out, enum any_kind kind, bool ok, uint64_t number) {
    if (ok) *out = (struct any){kind, number, {0}};
    return ok;
}

static bool set_bytes(struct any *out, enum any_kind kind, bool ok, struct wire bytes) {
    if (ok) *out = (struct any){kind, 0, bytes};
    return ok;
}

static bool read_member(struct wire *w, uint32_t tag, struct any *out) {
    uint64_t number = 0;
    struct wire bytes = {0};
    switch (tag) {
    case WIRE_TAG(1, WIRE_BYTES): return set_bytes(out, ANY_STRING, wire_bytes(w, &bytes), bytes);
    case WIRE_TAG(2, WIRE_VARINT): return wire_varint(w, &number) && set_number(out, ANY_BOOL, true, number != 0);
    case WIRE_TAG(3, WIRE_VARINT): return wire_varint(w, &number) && set_number(out, ANY_INT, true, number);
    case WIRE_TAG(4, WIRE_FIXED64): return wire_fixed64(w, &number) && set_number(out, ANY_DOUBLE, true, number);
    case WIRE_TAG(5, WIRE_BYTES): return set_bytes(out, ANY_ARRAY, wire_bytes(w, &bytes), bytes);
    case WIRE_TAG(6, WIRE_BYTES): return set_bytes(out, ANY_MAP, wire_bytes(w, &bytes), bytes);
    case WIRE_TAG(7, WIRE_BYTES): return set_bytes(out, ANY_BYTES, wire_bytes(w, &bytes), bytes);
    default: return wire_skip(w, tag);
    }
}

bool any_read(struct wire *w, struct any *out) {
    *out = (struct any){0};
    while (w->p < w->end) {
        uint32_t tag;
        if (!wire_tag(w, &tag) || !read_member(w, tag, out)) return false;
    }
    return true;
}

bool any_next(struct wire *list, struct wire *out) {
    while (list->p < list->end) {
        const unsigned char *start = list->p;
        uint32_t tag = 0;
        bool whole = wire_tag(list, &tag), is_item = tag == WIRE_TAG(1, WIRE_BYTES);
        whole = whole && (is_item ? wire_bytes(list, out) : wire_skip(list, tag));
        if (!whole) list->p = start; /* a cut item is not the end */
        if (!whole || is_item) return whole;
    }
    return false;
}

bool any_read_key_value(struct wire *w, struct str *out_key, struct wire *out_value) {
    struct wire key = {0};
    *out_value = (struct wire){0};
    while (w->p < w->end) {
        uint32_t tag;
        if (!wire_tag(w, &tag)) return false;
        bool ok = tag == WIRE_TAG(1, WIRE_BYTES)   ? wire_bytes(w, &key)
                  : tag == WIRE_TAG(2, WIRE_BYTES) ? wire_bytes(w, out_value)
                                                   : wire_skip(w, tag);
        if (!ok) return false;
    }
    *out_key = wire_str(&key);
    return true;
}

static enum any_fault fault(struct any_check *c, enum any_fault f, const struct wire *w) {
    c->at = w->p;
    return f;
}

static enum any_fault check_text(struct any_check *c, struct wire text) {
    if (wire_left(&text) > ANY_STRING_MAX) return fault(c, ANY_TOO_LONG, &text);
    if (!any_utf8_is_valid(text.p, wire_left(&text))) c->invalid_utf8++;
    return ANY_OK;
}

static enum any_fault check_at(struct wire w, struct any_check *c, int depth);

/* Every element of an ArrayValue or KeyValueList. */
static enum any_fault check_list(struct wire list, struct any_check *c, int depth, bool map) {
    struct wire item;
    while (any_next(&list, &item)) {
        if (map) {
            struct str key;
            struct wire entry = item;
            if (!any_read_key_value(&entry, &key, &item)) return fault(c, ANY_MALFORMED, &entry);
            enum any_fault f = check_text(c, wire_of(key));
            if (f) return f;
        }
        enum any_fault f = check_at(item, c, depth + 1);
        if (f) return f;
    }
    return list.p == list.end ? ANY_OK : fault(c, ANY_MALFORMED, &list);
}

static enum any_fault check_at(struct wire w, struct any_check *c, int depth) {
    struct any value;
    if (depth > ANY_DEPTH_MAX) return fault(c, ANY_TOO_DEEP, &w);
    if (!any_read(&w, &value)) return fault(c, ANY_MALFORMED, &w);
    switch (value.kind) {
    case ANY_STRING: return check_text(c, value.bytes);
    case ANY_BYTES: return wire_left(&value.bytes) > ANY_STRING_MAX ? fault(c, ANY_TOO_LONG, &w) : ANY_OK;
    case ANY_ARRAY: return check_list(value.bytes, c, depth, false);
    case ANY_MAP: return check_list(value.bytes, c, depth, true);
    case ANY_EMPTY:
    case ANY_BOOL:
    case ANY_INT:
    case ANY_DOUBLE: break;
    }
    return ANY_OK;
}

enum any_fault any_check(struct wire w, struct any_check *c) { return check_at(w, c, 1); }

size_t any_varint(uint64_t v, unsigned char out[static 10]) {
    size_t n = 0;
    for (; v >= 0x80; v >>= 7) out[n++] = (unsigned char)(v | 0x80);
    out[n++] = (unsigned char)v;
    return n;
}

void any_close(struct buf *out, size_t start, uint32_t tag) {
    unsigned char head[11];
    size_t size = out->n - start;
    head[0] = (unsigned char)tag;
    size_t n = 1 + any_varint(size, head + 1);
    if (!buf_reserve(out, n)) return;
    memmove(out->p + start + n, out->p + start, size);
    memcpy(out->p + start, head, n);
    out->n += n;
}
