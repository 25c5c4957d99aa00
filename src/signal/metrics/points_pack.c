/* Bytes of points packed for the log (docs/formats/points.md, feature 2): columns of numbers as runs of equal steps, values without the bytes
 * that are zero. Nothing refers to another record, so that damage to one costs one. */
#include "signal/batch_priv.h"
#include "signal/metrics/points_priv.h"

enum {
    MODE_RAW,
    MODE_RUNS,
    MODE_VALUES,
    VARINT_MAX = 10,
    RUN_BYTES_MAX = 3 * VARINT_MAX,
    SECTION_HEAD_MAX = 2 + 2 * VARINT_MAX,
    WORD = 8,
    /* Runs may mean far more than they take; a request whose points are all alike is not packed beyond this. */
    PACK_TIMES_MAX = 1024,
};

/* A section as columns of unsigned numbers; 0 columns: bytes. */
static const struct shape {
    uint8_t columns, bytes;
} shapes[POINTS_SECTIONS] = {
    [POINTS_STRING_END] = {1, 4},
    [POINTS_RESOURCES] = {sizeof(struct points_resource) / 4, 4},
    [POINTS_SCOPES] = {sizeof(struct points_scope) / 4, 4},
    [POINTS_METRICS] = {sizeof(struct points_metric) / 4, 4},
    [POINTS_SERIES] = {sizeof(struct points_series) / 4, 4},
    [POINTS_COLUMN + COLUMN_SERIES] = {1, 4},
    [POINTS_COLUMN + COLUMN_TIME] = {1, 8},
    [POINTS_COLUMN + COLUMN_START] = {1, 8},
    [POINTS_COLUMN + COLUMN_FLAGS] = {1, 4},
    [POINTS_COLUMN + COLUMN_KIND] = {1, 1},
};

HOT_INLINE uint64_t number_at(const unsigned char *p, size_t bytes) {
    uint64_t v = 0;
    memcpy(&v, p, bytes);
    return v;
}

/* ---- packing ------------------------------------------------------------------------------------------------------ */

static inline unsigned char *put_varint(unsigned char *at, uint64_t v) {
    for (; v >= 0x80; v >>= 7) *at++ = (unsigned char)(v | 0x80);
    *at++ = (unsigned char)v;
    return at;
}

/* Small steps, up or down, are small numbers. */
static inline uint64_t zigzag(uint64_t step) { return step << 1 ^ (uint64_t)((int64_t)step >> 63); }

/* A run: how far its first number is from the one before, how many there are, and if there are two or more, the step from each to the next. */
HOT_INLINE unsigned char *put_runs(unsigned char *at, const unsigned char *limit, const unsigned char *p, size_t stride,
                                   size_t bytes, size_t n) {
    uint64_t before = 0;
    for (size_t i = 0; i < n && at < limit;) {
        uint64_t first = number_at(p + i * stride, bytes), last = first, step = 0;
        size_t from = i++;
        if (i < n) step = number_at(p + i * stride, bytes) - first;
        for (; i < n && number_at(p + i * stride, bytes) - last == step; i++) last += step;
        at = put_varint(at, zigzag(first - before));
        at = put_varint(at, i - from);
        if (i - from > 1) at = put_varint(at, zigzag(step));
        before = last;
    }
    return at;
}

/* Ends early, at `limit` or behind it, where that is more than the columns take as they are. */
static unsigned char *put_columns(unsigned char *at, const unsigned char *limit, const struct shape *s,
                                  const unsigned char *p, size_t n) {
    size_t stride = (size_t)s->columns * s->bytes;
    for (size_t c = 0; c < s->columns; c++) {
        const unsigned char *from = p + c * s->bytes;
        at = s->bytes == 4   ? put_runs(at, limit, from, stride, 4, n)
             : s->bytes == 8 ? put_runs(at, limit, from, stride, 8, n)
                             : put_runs(at, limit, from, stride, 1, n);
    }
    return at;
}

/* Four bits a value, two in a byte: 0 to 8, so many low bytes of it follow, the others are zero; 9 to 15, one to seven high ones do. Integers have
 * zeros above, most doubles below. */
static unsigned char *put_values(unsigned char *at, const unsigned char *p, size_t n) {
    unsigned char *codes = at;
    at += (n + 1) / 2;
    memset(codes, 0, (n + 1) / 2);
    for (size_t i = 0; i < n; i++) {
        uint64_t v = number_at(p + i * WORD, WORD), one = v | (v == 0);
        unsigned low = v ? WORD - (unsigned)__builtin_clzll(one) / 8 : 0, zeros = (unsigned)__builtin_ctzll(one) / 8;
        bool high = WORD - zeros < low && zeros;
        unsigned size = high ? WORD - zeros : low, code = high ? WORD + size : low;
        codes[i / 2] |= (unsigned char)(code << 4 * (i % 2));
        v >>= high ? 8 * zeros : 0;
        memcpy(at, &v, WORD); /* there is room for all of it */
        at += size;
    }
    return at;
}

/* Where a section's bytes are put, and as what; raw if that is less. */
static unsigned char *put_body(unsigned char *at, const struct points_bytes *s, int id, uint8_t *out_mode) {
    size_t n = s->n / points_element_sizes[id];
    const unsigned char *p = s->p;
    unsigned char *end = at;
    *out_mode = id == POINTS_COLUMN + COLUMN_VALUE ? MODE_VALUES : shapes[id].columns ? MODE_RUNS : MODE_RAW;
    if (*out_mode == MODE_VALUES) end = put_values(at, p, n);
    if (*out_mode == MODE_RUNS) end = put_columns(at, at + s->n, &shapes[id], p, n);
    if (*out_mode != MODE_RAW && (size_t)(end - at) < s->n) return end;
    *out_mode = MODE_RAW;
    memcpy(at, p, s->n);
    return at + s->n;
}

/* A section: its id, how its bytes are packed, how many elements it has, how many bytes follow. */
static void put_section(const struct points_bytes *s, int id, struct buf *out) {
    uint8_t mode;
    size_t codes = s->n / WORD / 2 + 1 + WORD; /* of values, which are put whole */
    if (!buf_reserve(out, SECTION_HEAD_MAX + s->n + codes + RUN_BYTES_MAX)) return;
    unsigned char *start = (unsigned char *)out->p + out->n, *body = start + SECTION_HEAD_MAX, *at = start;
    size_t n = (size_t)(put_body(body, s, id, &mode) - body);
    *at++ = (unsigned char)id;
    *at++ = mode;
    at = put_varint(at, s->n / points_element_sizes[id]);
    at = put_varint(at, n);
    memmove(at, body, n);
    out->n += (size_t)(at - start) + n;
}

bool points_pack(const struct points_header *from, const struct points_bytes *sections, uint32_t features,
                 struct buf *out) {
    struct points_header h = *from;
    size_t start = out->n, whole = sizeof h;
    h.section_count = 0;
    buf_add(out, &h, sizeof h);
    for (int id = 0; id < POINTS_SECTIONS; id++) {
        if (!sections[id].n) continue;
        put_section(&sections[id], id, out);
        h.section_count++;
        whole += sizeof(struct points_section_row) + sections[id].n;
    }
    size_t n = out->n - start;
    if (!out->full && align8(n) < whole && whole / PACK_TIMES_MAX < n) {
        static const char zeros[WORD];
        buf_add(out, zeros, align8(n) - n);
        h.features = features | POINTS_FEATURE_PACKED;
        h.size_bytes = (uint32_t)(out->n - start);
        if (!out->full) memcpy(out->p + start, &h, sizeof h);
        return !out->full;
    }
    out->n = start;
    return false;
}

/* ---- and back ----------------------------------------------------------------------------------------------------- */

static uint64_t unzigzag_step(uint64_t v) { return v >> 1 ^ -(v & 1); }

static bool take_runs(struct wire *w, unsigned char *p, size_t stride, size_t bytes, size_t n) {
    uint64_t value = 0, move, count, step = 0;
    for (size_t i = 0; i < n;) {
        if (!wire_varint(w, &move) || !wire_varint(w, &count) || count == 0 || count > n - i) return false;
        if (count > 1 && !wire_varint(w, &step)) return false;
        value += unzigzag_step(move);
        for (; count > 0; count--, i++) {
            memcpy(p + i * stride, &value, bytes);
            if (count > 1) value += unzigzag_step(step);
        }
    }
    return true;
}

static bool take_columns(struct wire *w, const struct shape *s, unsigned char *p, size_t n) {
    for (size_t c = 0; c < s->columns; c++)
        if (!take_runs(w, p + c * s->bytes, (size_t)s->columns * s->bytes, s->bytes, n)) return false;
    return true;
}

static bool take_values(struct wire *w, unsigned char *p, size_t n) {
    if (wire_left(w) < (n + 1) / 2) return false;
    const unsigned char *codes = w->p;
    w->p += (n + 1) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned code = codes[i / 2] >> 4 * (i % 2) & 15, size = code > WORD ? code - WORD : code;
        uint64_t v = 0;
        if (wire_left(w) < size) return false;
        memcpy(&v, w->p, size);
        w->p += size;
        if (code > WORD) v <<= 8 * (WORD - size);
        memcpy(p + i * WORD, &v, WORD);
    }
    return true;
}

/* Where in `data`, which may still move. */
struct place {
    size_t at, n;
};

static err bad_section(int id) { return err_new(ERR_CORRUPT, "points: section %d is not packed as it says", id); }

/* The next section, unpacked at the end of `data`. */
static err take_section(struct wire *w, int after, struct buf *data, int *out_id, struct place *out) {
    struct wire body;
    uint64_t count;
    if (wire_left(w) < 2) return err_new(ERR_CORRUPT, "points: a section is missing");
    int id = w->p[0], mode = w->p[1];
    w->p += 2;
    if (id <= after || id >= POINTS_SECTIONS) return err_new(ERR_CORRUPT, "points: section %d out of order", id);
    size_t element = points_element_sizes[id];
    if (!wire_varint(w, &count) || count == 0 || count > data->max / element || !wire_bytes(w, &body))
        return bad_section(id);
    size_t n = (size_t)count * element;
    static const char zeros[WORD];
    if (!buf_reserve(data, n + WORD)) return err_new(ERR_CORRUPT, "points: packed too well");
    unsigned char *p = (unsigned char *)data->p + data->n;
    bool ok = mode == MODE_RAW && wire_left(&body) == n;
    if (ok) memcpy(p, body.p, n);
    if (mode == MODE_RUNS && shapes[id].columns)
        ok = take_columns(&body, &shapes[id], p, (size_t)count) && body.p == body.end;
    if (mode == MODE_VALUES && id == POINTS_COLUMN + COLUMN_VALUE)
        ok = take_values(&body, p, (size_t)count) && body.p == body.end;
    if (!ok) return bad_section(id);
    *out_id = id;
    *out = (struct place){data->n, n};
    data->n += n;
    buf_add(data, zeros, align8(n) - n);
    return data->full ? err_new(ERR_CORRUPT, "points: packed too well") : NULL;
}

bool points_are_packed(struct str bytes) {
    struct points_header h;
    if (bytes.n < sizeof h) return false;
    memcpy(&h, bytes.p, sizeof h);
    return memcmp(h.magic, POINTS_MAGIC, sizeof h.magic) == 0 && h.version <= POINTS_VERSION &&
           !(h.features & ~(uint32_t)POINTS_FEATURES) && (h.features & POINTS_FEATURE_PACKED);
}

err points_unpack(struct str bytes, struct buf *out) {
    struct points_header h;
    struct points_bytes sections[POINTS_SECTIONS] = {0};
    struct place places[POINTS_SECTIONS] = {0}, place;
    AUTO_BUF struct buf data;
    assert(points_are_packed(bytes));
    memcpy(&h, bytes.p, sizeof h);
    buf_init(&data, MIN(POINTS_BYTES_MAX / 2, bytes.n * PACK_TIMES_MAX + KIB));
    if (h.size_bytes != bytes.n || h.section_count > POINTS_SECTIONS)
        return err_new(ERR_CORRUPT, "points: packed bytes of another size");
    struct wire w = {(const unsigned char *)bytes.p + sizeof h, (const unsigned char *)bytes.p + bytes.n};
    for (int i = 0, id = -1; i < (int)h.section_count; i++) {
        TRY(take_section(&w, id, &data, &id, &place));
        places[id] = place;
    }
    for (size_t n = wire_left(&w); w.p < w.end; w.p++)
        if (*w.p || n >= WORD) return err_new(ERR_CORRUPT, "points: bytes behind what is packed");
    for (int id = 0; id < POINTS_SECTIONS; id++)
        if (places[id].n) sections[id] = (struct points_bytes){data.p + places[id].at, places[id].n};
    points_put_sections(&h, sections, h.features & ~(uint32_t)POINTS_FEATURE_PACKED, out);
    return out->full ? err_new(ERR_CORRUPT, "points: packed too well") : NULL;
}
