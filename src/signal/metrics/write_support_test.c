/* Remote write requests out of lines, for tests of any module. */
#include <stdlib.h>

#include "signal/testing.h"

static void put_label_1(struct buf *series, struct str name, struct str value) {
    AUTO_BUF struct buf label;
    buf_init(&label, 64 * MIB);
    put_wire_bytes(&label, 1, name);
    put_wire_bytes(&label, 2, value);
    put_wire_bytes(series, 1, buf_str(&label));
}

/* Symbols are not looked up: each text is one of its own. */
static void put_label_2(struct buf *symbols, struct buf *refs, uint32_t *n, struct str name, struct str value) {
    put_wire_bytes(symbols, 4, name);
    put_wire_bytes(symbols, 4, value);
    for (int i = 0; i < 2; i++) {
        for (uint32_t v = ++*n; v; v >>= 7) buf_add_byte(refs, (char)((v & 0x7f) | (v > 0x7f ? 0x80 : 0)));
    }
}

static uint64_t bits_of(struct str text) {
    AUTO_FREE char *copy = str_dup(text);
    if (str_starts_with(text, STR("bits:"))) return strtoull(copy + 5, NULL, 16);
    double v = strtod(copy, NULL);
    uint64_t bits;
    memcpy(&bits, &v, 8);
    return bits;
}

static void put_sample(struct buf *series, struct str value, struct str time) {
    AUTO_BUF struct buf sample;
    AUTO_FREE char *copy = str_dup(time);
    buf_init(&sample, KIB);
    put_wire_fixed64(&sample, 1, bits_of(value));
    put_wire_varint(&sample, 2, (uint64_t)strtoll(copy, NULL, 10));
    put_wire_bytes(series, 2, buf_str(&sample));
}

struct request_in {
    int version;
    uint32_t symbol_count; /* behind the empty one */
    struct buf symbols, series;
};

static void put_label(struct request_in *r, struct buf *series, struct buf *refs, struct str name, struct str value) {
    if (r->version == 1)
        put_label_1(series, name, value);
    else
        put_label_2(&r->symbols, refs, &r->symbol_count, name, value);
}

static void put_series(struct request_in *r, struct str line) {
    AUTO_BUF struct buf labels, samples, refs;
    struct str rest = line, word, head, tail;
    buf_init(&labels, 64 * MIB);
    buf_init(&samples, 64 * MIB);
    buf_init(&refs, 64 * MIB);
    bool more = str_cut(rest, ' ', &word, &rest);
    if (word.n) put_label(r, &labels, &refs, STR("__name__"), word);
    while (more) {
        more = str_cut(rest, ' ', &word, &rest);
        if (str_find(word, '=') >= 0 && str_cut(word, '=', &head, &tail))
            put_label(r, &labels, &refs, head, tail);
        else if (str_cut(word, '@', &head, &tail))
            put_sample(&samples, head, tail);
    }
    if (r->version == 2) put_wire_bytes(&labels, 1, buf_str(&refs));
    buf_add_str(&labels, buf_str(&samples));
    put_wire_bytes(&r->series, r->version == 1 ? 1 : 5, buf_str(&labels));
}

void put_write_request(int version, const char *lines, struct buf *out) {
    struct request_in r = {.version = version};
    struct str rest = str_of(lines), line;
    buf_init(&r.symbols, 64 * MIB);
    buf_init(&r.series, 64 * MIB);
    if (version == 2) put_wire_bytes(&r.symbols, 4, STR(""));
    for (bool more = true; more;) {
        more = str_cut(rest, '\n', &line, &rest);
        if (line.n) put_series(&r, line);
    }
    buf_add_str(out, buf_str(&r.symbols));
    buf_add_str(out, buf_str(&r.series));
    buf_done(&r.symbols);
    buf_done(&r.series);
}
