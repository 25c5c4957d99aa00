/* The pieces that pages are made of: columns, dictionaries, postings. */
#include <roaring/roaring.h>

#include "store/series/part_format_priv.h"

/* ---- columns ------------------------------------------------------------------------------------------------------- */

static void put_u32(struct buf *out, uint32_t v) { buf_add(out, &v, sizeof v); }

static uint32_t count_runs(const uint64_t *v, uint32_t n) {
    uint32_t runs = n > 0;
    for (uint32_t i = 1; i < n; i++) runs += v[i] != v[i - 1];
    return runs;
}

void label_column_encode_runs(const uint32_t *ends, const uint32_t *values, uint32_t runs, struct buf *out) {
    buf_add_byte(out, COLUMN_RUNS);
    put_u32(out, runs);
    buf_add(out, ends, runs * sizeof *ends);
    codes_encode(values, runs, out);
}

static void put_runs(const uint64_t *v, uint32_t n, uint32_t runs, struct buf *out) {
    uint32_t *ends = mem_new_array(uint32_t, runs + 1), *values = mem_new_array(uint32_t, runs + 1), at = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i + 1 < n && v[i + 1] == v[i]) continue;
        ends[at] = i + 1;
        values[at++] = (uint32_t)v[i];
    }
    label_column_encode_runs(ends, values, runs, out);
    mem_free(ends);
    mem_free(values);
}

void label_column_encode(const uint64_t *v, uint32_t n, struct buf *out) {
    uint32_t runs = count_runs(v, n), segments = (n + COLUMN_SEGMENT - 1) / COLUMN_SEGMENT;
    uint64_t most = 0;
    for (uint32_t i = 0; i < n; i++) most = MAX(most, v[i]);
    if (runs <= n / 16 + 1 && most <= UINT32_MAX) {
        put_runs(v, n, runs, out);
        return;
    }
    buf_add_byte(out, COLUMN_SEGMENTS);
    size_t places = out->n;
    for (uint32_t s = 0; s < segments; s++) put_u32(out, 0);
    for (uint32_t s = 0; s < segments && !out->full; s++) {
        uint32_t at = (uint32_t)(out->n - places), first = s * COLUMN_SEGMENT;
        memcpy(out->p + places + 4 * s, &at, sizeof at);
        ints_encode(v + first, MIN(n - first, (uint32_t)COLUMN_SEGMENT), out);
    }
}

bool label_column_open(struct str bytes, uint32_t n, struct column *out) {
    struct cursor c = cursor_of(bytes);
    uint8_t kind = cursor_byte(&c, COLUMN_SEGMENTS);
    *out = (struct column){.n = n, .end = c.end};
    if (kind == COLUMN_SEGMENTS) {
        out->ends = cursor_skip(&c, 4ull * ((n + COLUMN_SEGMENT - 1) / COLUMN_SEGMENT));
        return !c.bad;
    }
    const unsigned char *count = cursor_skip(&c, 4);
    if (c.bad) return false;
    out->runs = load_u32(count);
    out->ends = cursor_skip(&c, 4ull * out->runs);
    err e = c.bad ? NULL : codes_open(cursor_rest(&c), out->runs, &out->codes);
    bool good = !c.bad && !e && (n == 0 || out->runs > 0);
    err_free(e);
    return good;
}

static bool get_run(const struct column *c, uint32_t row, uint64_t *out) {
    uint32_t low = 0, high = c->runs;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (load_u32(c->ends + 4 * (size_t)middle) <= row)
            low = middle + 1;
        else
            high = middle;
    }
    if (low >= c->runs) return false;
    *out = codes_get(&c->codes, low);
    return true;
}

bool label_column_get(const struct column *c, uint32_t row, uint64_t *out) {
    if (row >= c->n) return false;
    if (c->runs) return get_run(c, row, out);
    uint32_t segment = row / COLUMN_SEGMENT, first = segment * COLUMN_SEGMENT,
             at = load_u32(c->ends + 4 * (size_t)segment);
    if (at > (size_t)(c->end - c->ends)) return false;
    struct ints ints;
    err e = ints_open(str_span(c->ends + at, (size_t)(c->end - c->ends) - at),
                      MIN(c->n - first, (uint32_t)COLUMN_SEGMENT), &ints);
    if (!e) *out = ints_get(&ints, row - first);
    bool good = !e;
    err_free(e);
    return good;
}

/* ---- dictionaries -------------------------------------------------------------------------------------------------- */

static uint32_t shared_prefix(struct str a, struct str b) {
    uint32_t n = 0, most = (uint32_t)MIN(a.n, b.n);
    while (n < most && a.p[n] == b.p[n]) n++;
    return n;
}

void label_dictionary_encode(const struct str *texts, uint32_t n, struct buf *out) {
    size_t places = out->n, start = places + 4 * (size_t)((n + VALUES_GROUP - 1) / VALUES_GROUP);
    for (uint32_t i = 0; i < n; i += VALUES_GROUP) put_u32(out, 0);
    for (uint32_t i = 0; i < n && !out->full; i++) {
        uint32_t at = (uint32_t)(out->n - start), shared = i % VALUES_GROUP ? shared_prefix(texts[i - 1], texts[i]) : 0;
        if (i % VALUES_GROUP == 0) memcpy(out->p + places + 4 * (size_t)(i / VALUES_GROUP), &at, sizeof at);
        put_varint(out, shared);
        put_varint(out, (uint32_t)texts[i].n - shared);
        buf_add(out, texts[i].p + shared, texts[i].n - shared);
    }
}

static size_t groups_bytes(uint32_t n) { return 4 * (size_t)((n + VALUES_GROUP - 1) / VALUES_GROUP); }

bool label_dictionary_check(struct str bytes, uint32_t n) {
    struct cursor c = cursor_of(bytes);
    const unsigned char *groups = cursor_skip(&c, groups_bytes(n)), *start = c.at;
    struct buf text[2];
    buf_init(&text[0], LABEL_VALUE_BYTES_MAX);
    buf_init(&text[1], LABEL_VALUE_BYTES_MAX);
    for (uint32_t i = 0; i < n && !c.bad; i++) {
        struct buf *now = &text[i & 1], *before = &text[~i & 1];
        bool first = i % VALUES_GROUP == 0;
        if (first && load_u32(groups + 4 * (size_t)(i / VALUES_GROUP)) != (size_t)(c.at - start)) c.bad = true;
        uint32_t shared = cursor_varint(&c), rest = cursor_varint(&c);
        const unsigned char *p = cursor_skip(&c, rest);
        if (shared > (first ? 0 : before->n)) c.bad = true;
        if (c.bad) break;
        buf_clear(now);
        buf_add(now, before->p ? before->p : "", shared);
        buf_add(now, p, rest);
        if (now->full || (i && str_compare(buf_str(before), buf_str(now)) >= 0)) c.bad = true;
    }
    buf_done(&text[0]);
    buf_done(&text[1]);
    return !c.bad && c.at == c.end;
}

void label_dictionary_open(struct str bytes, uint32_t n, struct dictionary *out) {
    const unsigned char *p = (const unsigned char *)bytes.p;
    *out = (struct dictionary){n, p, p + groups_bytes(n), p + bytes.n};
}

/* The texts of a group from its first to text `i`, or until one is not less than `stop`; returns the number of the last one read. */
static uint32_t walk(const struct dictionary *d, uint32_t i, const struct str *stop, struct buf *out) {
    uint32_t at = i - i % VALUES_GROUP, end = stop ? MIN(at + VALUES_GROUP, d->n) - 1 : i;
    struct cursor c = {d->texts + load_u32(d->groups + 4 * (size_t)(at / VALUES_GROUP)), d->end, false};
    for (out->n = 0;; at++) {
        uint32_t shared = cursor_varint(&c), rest = cursor_varint(&c);
        out->n = MIN(out->n, (size_t)shared);
        buf_add(out, cursor_skip(&c, rest), c.bad ? 0 : rest);
        if (at >= end || c.bad || (stop && str_compare(buf_str(out), *stop) >= 0)) return at;
    }
}

void label_dictionary_get(const struct dictionary *d, uint32_t i, struct buf *out) { walk(d, i, NULL, out); }

uint32_t label_dictionary_seek(const struct dictionary *d, struct str text, struct buf *scratch) {
    uint32_t low = 0,
             high = (d->n + VALUES_GROUP - 1) / VALUES_GROUP; /* the last group whose first text is not greater */
    if (d->n == 0) return 0;
    while (low + 1 < high) {
        uint32_t middle = (low + high) / 2;
        label_dictionary_get(d, middle * VALUES_GROUP, scratch);
        if (str_compare(buf_str(scratch), text) <= 0)
            low = middle;
        else
            high = middle;
    }
    uint32_t at = walk(d, low * VALUES_GROUP, &text, scratch);
    return str_compare(buf_str(scratch), text) < 0 ? at + 1 : at;
}

/* ---- postings ------------------------------------------------------------------------------------------------------ */

enum { POSTING_RUNS_MAX = 8 };

static void put_roaring(roaring_bitmap_t *b, struct buf *out) {
    roaring_bitmap_run_optimize(b);
    size_t n = roaring_bitmap_portable_size_in_bytes(b);
    put_varint(out, 0);
    if (buf_reserve(out, n)) out->n += roaring_bitmap_portable_serialize(b, out->p + out->n);
    roaring_bitmap_free(b);
}

void posting_encode(const uint32_t *rows, uint32_t n, struct buf *out) {
    uint32_t runs = n > 0, before = 0, start;
    for (uint32_t i = 1; i < n; i++) runs += rows[i] != rows[i - 1] + 1;
    if (runs == 0 || runs > POSTING_RUNS_MAX) {
        put_roaring(roaring_bitmap_of_ptr(n, rows), out);
        return;
    }
    put_varint(out, runs);
    for (uint32_t i = 0; i < n; i++) {
        start = i;
        while (i + 1 < n && rows[i + 1] == rows[i] + 1) i++;
        put_varint(out, rows[start] - before);
        put_varint(out, i - start);
        before = rows[i];
    }
}

void posting_encode_rest(const uint32_t *rows, uint32_t n, uint32_t all, struct buf *out) {
    roaring_bitmap_t *b = roaring_bitmap_of_ptr(n, rows);
    roaring_bitmap_flip_inplace(b, 0, all);
    put_roaring(b, out);
}

static roaring_bitmap_t *read_runs(struct cursor *c, uint32_t runs, uint32_t rows) {
    roaring_bitmap_t *b = roaring_bitmap_create();
    uint64_t at = 0;
    for (uint32_t i = 0; i < runs && !c->bad; i++) {
        uint64_t first = at + cursor_varint(c), last = first + cursor_varint(c);
        if (last >= rows || (i && first <= at)) c->bad = true;
        if (!c->bad) roaring_bitmap_add_range_closed(b, (uint32_t)first, (uint32_t)last);
        at = last;
    }
    if (!c->bad) return b;
    roaring_bitmap_free(b);
    return NULL;
}

static uint32_t u16_at(const unsigned char *p, size_t i) { return p[2 * i] | (uint32_t)p[2 * i + 1] << 8; }

/* One container's content: sorted, distinct, as many as its head says; the cursor passes it. */
static bool check_container(struct cursor *c, bool is_run, uint32_t cardinality) {
    enum { ARRAY_MAX = 4096, BITSET_BYTES = 8192 };
    uint32_t count = 0, before = 0;
    if (is_run) {
        const unsigned char *head = cursor_skip(c, 2);
        uint32_t runs = c->bad ? 0 : u16_at(head, 0);
        const unsigned char *p = cursor_skip(c, 4ull * runs);
        for (uint32_t i = 0; i < runs && !c->bad; i++) {
            uint32_t start = u16_at(p, 2 * i), last = start + u16_at(p, 2 * i + 1);
            if (last > 65535 || (i && start <= before)) return false;
            before = last;
            count += last - start + 1;
        }
        return !c->bad && runs > 0 && count == cardinality;
    }
    bool is_array = cardinality <= ARRAY_MAX;
    const unsigned char *p = cursor_skip(c, is_array ? 2ull * cardinality : BITSET_BYTES);
    if (c->bad) return false;
    for (uint32_t i = 1; is_array && i < cardinality; i++)
        if (u16_at(p, i) <= u16_at(p, i - 1)) return false;
    for (uint32_t i = 0; !is_array && i < BITSET_BYTES; i += 8)
        count += (uint32_t)__builtin_popcountll(load_u64(p + i));
    return is_array || count == cardinality;
}

/* Roaring's portable format, strictly: https://github.com/RoaringBitmap/RoaringFormatSpec */
static bool check_roaring(struct str bytes) {
    enum { COOKIE_RUNS = 12347, COOKIE = 12346, OFFSETS_FROM = 4 };
    struct cursor c = cursor_of(bytes);
    const unsigned char *p = cursor_skip(&c, 4), *run_bits = NULL;
    uint32_t n = 0;
    if (c.bad) return false;
    uint32_t cookie = load_u32(p);
    if ((cookie & 0xffff) == COOKIE_RUNS) {
        n = (cookie >> 16) + 1;
        run_bits = cursor_skip(&c, (n + 7) / 8);
    } else if (cookie == COOKIE) {
        const unsigned char *size = cursor_skip(&c, 4);
        n = c.bad ? 0 : load_u32(size);
    } else {
        return false;
    }
    if (n > 65536) return false;
    const unsigned char *heads = cursor_skip(&c, 4ull * n);
    const unsigned char *offsets = cursor_skip(&c, !run_bits || n >= OFFSETS_FROM ? 4ull * n : 0);
    for (uint32_t i = 0; i < n && !c.bad; i++) {
        bool is_run = run_bits && run_bits[i / 8] >> i % 8 & 1;
        if (i && u16_at(heads, 2 * i) <= u16_at(heads, 2 * i - 2)) return false;
        if ((!run_bits || n >= OFFSETS_FROM) &&
            load_u32(offsets + 4 * (size_t)i) != (size_t)((const char *)c.at - bytes.p))
            return false;
        if (!check_container(&c, is_run, u16_at(heads, 2 * i + 1) + 1)) return false;
    }
    return !c.bad && c.at == c.end;
}

roaring_bitmap_t *posting_read(struct str bytes, uint32_t rows) {
    struct cursor c = cursor_of(bytes);
    uint32_t runs = cursor_varint(&c);
    if (c.bad || runs > POSTING_RUNS_MAX) return NULL;
    if (runs) return read_runs(&c, runs, rows);
    struct str rest = cursor_rest(&c);
    if (!check_roaring(rest)) return NULL;
    roaring_bitmap_t *b = roaring_bitmap_portable_deserialize_safe(rest.p, rest.n);
    if (b && !roaring_bitmap_is_empty(b) && roaring_bitmap_maximum(b) >= rows) {
        roaring_bitmap_free(b);
        b = NULL;
    }
    return b;
}
