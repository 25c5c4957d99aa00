/* Text blocks: byte 0 picks hostile bytes to open (with byte 1 as row count), a remap, or texts (lines) to round-trip and search. */
#include "store/column/text_format_priv.h"
#include "store/column/text_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS_MAX = 255 };

/* Skeletons of zero to four slots. */
static const char skeleton_heap[] = "\0GET /\0/\0took \0 ms\0 \0 \0 \0plain";
static const uint32_t skeleton_ends[] = {0, 1, 9, 18, 25, 30};
static const struct text_skeletons skeletons = {LENGTH(skeleton_ends), skeleton_ends, skeleton_heap};

static void search(struct arena *a, struct text_block *t, const struct text_skeletons *s, const struct str *texts,
                   uint32_t n) {
    static const char *const queries[] = {"get 12 a*", "\"ms\" took 7", "\"1 2\" f*"};
    for (size_t q = 0; q < LENGTH(queries); q++) {
        struct words *w;
        struct text_match m;
        uint32_t found[ROWS_MAX] = {0}, rows;
        err e = words_parse(a, str_of(queries[q]), &w);
        if (!e) e = text_match_make(a, s, w, &m);
        if (!e) (void)text_count_words(t, &m, w, &rows);
        if (!e) e = text_find_words(t, &m, w, found);
        for (uint32_t i = 0; !e && texts && i < n; i++)
            if (found[i] != words_find(w, texts[i])) __builtin_trap();
        if (e && texts) __builtin_trap();
        err_free(e);
    }
}

static void read_block(const struct text_skeletons *s, struct str bytes, const struct str *texts, uint32_t n) {
    struct arena a;
    arena_init(&a, (texts ? 64 : 2) * MIB);
    struct text_block *t;
    struct str out[ROWS_MAX];
    struct buf b;
    buf_init(&b, 32 * MIB);
    err e = text_block_open(&a, s, bytes, n, &t);
    if (!e) search(&a, t, s, texts, n);
    for (uint32_t i = 0; !e && i < n; i += 1 + n / 8) text_get(t, i, &b);
    if (!e) e = text_get_many(t, NULL, n, out);
    for (uint32_t i = 0; !e && texts && i < n; i++)
        if (!str_equal(out[i], texts[i])) __builtin_trap();
    if (e && texts) __builtin_trap();
    err_free(e);
    buf_done(&b);
    arena_done(&a);
}

static void round_trip(struct str rest) {
    struct str texts[ROWS_MAX];
    uint32_t n = 0;
    for (bool more = true; more && n < ROWS_MAX;) more = str_cut(rest, '\n', &texts[n++], &rest);
    struct strings part;
    strings_init(&part);
    struct text_encoder *t = text_encoder_new(&part);
    struct buf b;
    buf_init(&b, 32 * MIB);
    text_encode(t, texts, n, &b);
    struct text_skeletons s = {part.n, part.end, part.heap};
    read_block(&s, buf_str(&b), texts, n);
    buf_done(&b);
    text_encoder_free(t);
    strings_done(&part);
}

static void remap(struct str bytes) {
    static const uint32_t map[] = {5, 400, 3, 0, 1, 2};
    struct buf b;
    buf_init(&b, MIB);
    err e = text_block_remap(bytes, map, LENGTH(map), &b);
    err_free(e);
    buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    struct str rest = str_span(data + 2, size - 2);
    switch (data[0] % 4) {
    case 0: remap(rest); break;
    case 1: round_trip(rest); break;
    default: read_block(&skeletons, rest, NULL, data[1]); break;
    }
    return 0;
}
