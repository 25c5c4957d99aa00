#include "base/text.h"

#include <stdio.h>

#include "base/text_priv.h"

static const uint64_t high_bits = 0x8080808080808080u;
static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

size_t utf8_ascii_run(const char *p, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t word;
        memcpy(&word, p + i, 8);
        if (word & high_bits) break;
    }
    while (i < n && !(p[i] & 0x80)) i++;
    return i;
}

/* Unicode 15, table 3-7: the second byte's range depends on the first; all further ones are 80..BF. */
int utf8_step(const unsigned char *p, const unsigned char *end) {
    unsigned char c = p[0], low = 0x80, high = 0xbf;
    int size;
    if (c < 0x80) return 1;
    if (c < 0xc2 || c > 0xf4) return -1;
    if (c < 0xe0) {
        size = 2;
    } else if (c < 0xf0) {
        size = 3;
        if (c == 0xe0) low = 0xa0;
        if (c == 0xed) high = 0x9f;
    } else {
        size = 4;
        if (c == 0xf0) low = 0x90;
        if (c == 0xf4) high = 0x8f;
    }
    for (int i = 1; i < size; i++, low = 0x80, high = 0xbf)
        if (p + i >= end || p[i] < low || p[i] > high) return -i;
    return size;
}

uint32_t utf8_decode(const unsigned char *p, int n) {
    if (n == 1) return p[0];
    uint32_t c = p[0] & (0x7fu >> n);
    for (int i = 1; i < n; i++) c = c << 6 | (p[i] & 0x3f);
    return c;
}

size_t utf8_encode(uint32_t c, char out[4]) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(0xf00u >> n | c);
    return n;
}

bool utf8_is_valid(struct str s) {
    const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;
    while (p < end) {
        p += utf8_ascii_run((const char *)p, (size_t)(end - p));
        if (p == end) break;
        int n = utf8_step(p, end);
        if (n < 0) return false;
        p += n;
    }
    return true;
}

void put_utf8_clean(struct buf *b, struct str s) {
    const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n, *run = p;
    while (p < end) {
        p += utf8_ascii_run((const char *)p, (size_t)(end - p));
        if (p == end) break;
        int n = utf8_step(p, end);
        if (n > 0) {
            p += n;
            continue;
        }
        buf_add(b, run, (size_t)(p - run));
        buf_add(b, replacement, 3);
        run = p -= n;
    }
    buf_add(b, run, (size_t)(p - run));
}

/* Characters that a terminal obeys instead of showing, or that reorder what stands beside them. */
static bool is_unprintable(uint32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || (c >= 0x200e && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

void put_terminal(struct buf *b, struct str s) {
    const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;
    while (p < end) {
        int n = utf8_step(p, end);
        if (n < 0) {
            buf_add(b, replacement, 3);
            p -= n;
            continue;
        }
        uint32_t c = utf8_decode(p, n);
        if (!is_unprintable(c))
            buf_add(b, p, (size_t)n);
        else if (c < 0x80)
            buf_add_fmt(b, "\\x%02x", c);
        else
            buf_add_fmt(b, "\\u{%04x}", c);
        p += n;
    }
}

bool word_char(unsigned char c) {
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' || c >= 0x80;
}
