#include <zstd.h>

#include "base/vec.h"
#include "store/column/codes_priv.h"
#include "store/column/text_format_priv.h"
#include "store/column/text_priv.h"

enum {
    NOT_SPLIT = -1,
    SAMPLE_ROWS = 1024,                /* after so many rows, splitting stops if skeletons do not repeat */
    LOCAL_BYTES_MAX = 4 * 1024 * 1024, /* skeletons of one group, kept or not */
    PART_SKELETONS_MAX = 65536,
    PART_BYTES_MAX = 8 * 1024 * 1024,
    RATIO_GROUPS = 8, /* how often zstd's ratio is measured again */
};

struct text_encoder {
    struct strings *skeletons; /* the part's */
    struct strings local;      /* the group's */
    VEC(uint32_t) rows_of;     /* per local skeleton */
    VEC(uint8_t) slots_of;
    VEC(uint32_t) kept; /* per local skeleton: its number in the block, or UINT32_MAX */
    VEC(uint32_t) kept_locals;
    VEC(int32_t) row_local;      /* per row: local skeleton, or NOT_SPLIT */
    VEC(uint32_t) first_token;   /* per row, in tokens */
    VEC(struct str) tokens;      /* of all rows */
    VEC(uint32_t) order, starts; /* rows by kept skeleton; where each skeleton's rows start */
    VEC(struct str) gathered;    /* tokens of one slot */
    VEC(uint32_t) codes;
    VEC(uint64_t) numbers;
    struct buf columns, fallback, raw, pages;
    VEC(uint64_t) column_sizes, page_sizes, page_raw, page_rows;
    struct slot_encoder *column;
    ZSTD_CCtx *zstd;
    double zstd_ratio;
    uint32_t groups;
    bool hopeless; /* skeletons do not repeat: the rest of the group is not split */
    struct text_split split;
};

struct text_encoder *text_encoder_new(struct strings *skeletons) {
    struct text_encoder *t = mem_new_of(struct text_encoder);
    t->skeletons = skeletons;
    strings_init(&t->local);
    struct buf *const bufs[] = {&t->columns, &t->fallback, &t->raw, &t->pages};
    for (size_t i = 0; i < LENGTH(bufs); i++) buf_init(bufs[i], SIZE_MAX / 2);
    t->column = slot_encoder_new();
    t->zstd = ZSTD_createCCtx();
    return t;
}

void text_encoder_free(struct text_encoder *t) {
    if (!t) return;
    strings_done(&t->local);
    vec_done(&t->rows_of);
    vec_done(&t->slots_of);
    vec_done(&t->kept);
    vec_done(&t->kept_locals);
    vec_done(&t->row_local);
    vec_done(&t->first_token);
    vec_done(&t->tokens);
    vec_done(&t->order);
    vec_done(&t->starts);
    vec_done(&t->gathered);
    vec_done(&t->codes);
    vec_done(&t->numbers);
    vec_done(&t->column_sizes);
    vec_done(&t->page_sizes);
    vec_done(&t->page_raw);
    vec_done(&t->page_rows);
    struct buf *const bufs[] = {&t->columns, &t->fallback, &t->raw, &t->pages};
    for (size_t i = 0; i < LENGTH(bufs); i++) buf_done(bufs[i]);
    slot_encoder_free(t->column);
    ZSTD_freeCCtx(t->zstd);
    mem_free(t);
}

/* ---- step 1: split the rows ------------------------------------------------------------------------------------- */

static void split_row(struct text_encoder *t, struct str text) {
    struct text_split *s = &t->split;
    *vec_push(&t->first_token) = (uint32_t)t->tokens.n;
    if (t->hopeless || !text_split(text, s)) {
        *vec_push(&t->row_local) = NOT_SPLIT;
        return;
    }
    uint32_t local = strings_intern(&t->local, (struct str){s->skeleton, s->skeleton_size});
    if (local == t->rows_of.n) {
        *vec_push(&t->rows_of) = 0;
        *vec_push(&t->slots_of) = (uint8_t)s->tokens;
    }
    t->rows_of.v[local]++;
    *vec_push(&t->row_local) = (int32_t)local;
    vec_reserve(&t->tokens, s->tokens);
    for (uint32_t i = 0; i < s->tokens; i++) t->tokens.v[t->tokens.n++] = s->token[i];
}

static void split_rows(struct text_encoder *t, const struct str *texts, uint32_t n) {
    if (t->local.slot_mask > 65536) strings_done(&t->local); /* clearing it costs more than growing it again */
    strings_clear(&t->local);
    t->rows_of.n = t->slots_of.n = t->row_local.n = t->first_token.n = t->tokens.n = 0;
    t->hopeless = false;
    for (uint32_t i = 0; i < n; i++) {
        if (i == SAMPLE_ROWS && t->local.n > SAMPLE_ROWS / 4 * 3) t->hopeless = true;
        if (t->local.heap_size > LOCAL_BYTES_MAX) t->hopeless = true;
        split_row(t, texts[i]);
    }
}

/* ---- step 2: keep the skeletons that repeat --------------------------------------------------------------------- */

static void keep_skeletons(struct text_encoder *t) {
    t->kept.n = t->kept_locals.n = 0;
    vec_reserve(&t->kept, t->rows_of.n);
    for (uint32_t l = 0; l < t->rows_of.n; l++) {
        bool keep = t->rows_of.v[l] >= TEXT_ROWS_MIN && t->kept_locals.n < TEXT_SKELETONS_MAX &&
                    t->skeletons->n + t->kept_locals.n < PART_SKELETONS_MAX && t->skeletons->heap_size < PART_BYTES_MAX;
        t->kept.v[l] = keep ? (uint32_t)t->kept_locals.n : UINT32_MAX;
        if (keep) *vec_push(&t->kept_locals) = l;
    }
}

/* The row's skeleton in the block, or that of the fallback, which is behind the last. */
static inline uint32_t kept_of_row(const struct text_encoder *t, uint32_t row) {
    int32_t local = t->row_local.v[row];
    uint32_t kept = local < 0 ? UINT32_MAX : t->kept.v[local];
    return MIN(kept, (uint32_t)t->kept_locals.n);
}

/* Rows by skeleton, each skeleton's in order: a counting sort. The fallback's come last. */
static void sort_rows(struct text_encoder *t, uint32_t n) {
    uint32_t kept = (uint32_t)t->kept_locals.n, sum = 0;
    t->starts.n = t->order.n = t->codes.n = 0;
    vec_reserve(&t->starts, kept + 2);
    vec_reserve(&t->order, n);
    vec_reserve(&t->codes, n);
    for (uint32_t k = 0; k < kept; k++) {
        t->starts.v[k] = sum;
        sum += t->rows_of.v[t->kept_locals.v[k]];
    }
    t->starts.v[kept] = sum;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = t->codes.v[i] = kept_of_row(t, i);
        t->order.v[t->starts.v[k]++] = i;
    }
    for (uint32_t k = kept; k > 0; k--) t->starts.v[k] = t->starts.v[k - 1];
    t->starts.v[0] = 0;
}

/* ---- step 3: slot columns --------------------------------------------------------------------------------------- */

static void encode_columns(struct text_encoder *t) {
    buf_clear(&t->columns);
    t->column_sizes.n = 0;
    for (uint32_t k = 0; k < t->kept_locals.n; k++) {
        const uint32_t *rows = t->order.v + t->starts.v[k];
        uint32_t local = t->kept_locals.v[k], count = t->rows_of.v[local];
        t->gathered.n = 0;
        vec_reserve(&t->gathered, count);
        for (uint32_t slot = 0; slot < t->slots_of.v[local]; slot++) {
            for (uint32_t i = 0; i < count; i++) t->gathered.v[i] = t->tokens.v[t->first_token.v[rows[i]] + slot];
            size_t before = t->columns.n;
            slot_encode(t->column, t->gathered.v, count, &t->columns);
            *vec_push(&t->column_sizes) = t->columns.n - before;
        }
    }
}

/* ---- step 4: the fallback --------------------------------------------------------------------------------------- */

static void end_page(struct text_encoder *t, uint32_t *rows) {
    if (*rows == 0) return;
    size_t before = t->pages.n;
    if (!text_compress(t->zstd, buf_str(&t->raw), &t->pages)) buf_add_str(&t->pages, buf_str(&t->raw));
    *vec_push(&t->page_sizes) = t->pages.n - before;
    *vec_push(&t->page_raw) = t->raw.n;
    *vec_push(&t->page_rows) = *rows;
    buf_clear(&t->raw);
    *rows = 0;
}

/* A byte that none of the texts has: it ends each of them, which compresses better than their sizes. */
static bool find_separator(const struct str *texts, const uint32_t *rows, uint32_t n, char *out) {
    static const char candidates[] = {0, '\n', 0x1f, (char)0xff};
    for (size_t c = 0; c < LENGTH(candidates); c++) {
        uint32_t i = 0;
        while (i < n && str_find(texts[rows ? rows[i] : i], candidates[c]) < 0) i++;
        *out = candidates[c];
        if (i == n) return true;
    }
    return false;
}

/* How texts are told apart; pages: packed sizes, raw sizes, rows, bytes. */
static void encode_fallback(struct text_encoder *t, const struct str *texts, const uint32_t *rows, uint32_t n) {
    uint32_t in_page = 0;
    char separator;
    bool separated = find_separator(texts, rows, n, &separator);
    buf_clear(&t->fallback);
    buf_clear(&t->raw);
    buf_clear(&t->pages);
    t->page_sizes.n = t->page_raw.n = t->page_rows.n = t->numbers.n = 0;
    vec_reserve(&t->numbers, n);
    for (uint32_t i = 0; i < n; i++) {
        struct str text = texts[rows ? rows[i] : i];
        t->numbers.v[i] = text.n;
        buf_add_str(&t->raw, text);
        if (separated) buf_add_byte(&t->raw, separator);
        in_page++;
        if (t->raw.n >= TEXT_PAGE_BYTES) end_page(t, &in_page);
    }
    end_page(t, &in_page);
    buf_add_byte(&t->fallback, separated);
    if (separated)
        buf_add_byte(&t->fallback, separator);
    else
        ints_encode(t->numbers.v, n, &t->fallback);
    uint32_t pages = (uint32_t)t->page_sizes.n;
    put_varint(&t->fallback, pages);
    ints_encode(t->page_sizes.v, pages, &t->fallback);
    ints_encode(t->page_raw.v, pages, &t->fallback);
    ints_encode(t->page_rows.v, pages, &t->fallback);
    buf_add_str(&t->fallback, buf_str(&t->pages));
}

/* ---- step 5: does it pay? --------------------------------------------------------------------------------------- */

/* What zstd makes of one page from the middle, per byte of text, separators included. */
static double measure_zstd(struct text_encoder *t, const struct str *texts, uint32_t n, size_t total) {
    uint32_t first = total <= TEXT_PAGE_BYTES ? 0 : n / 3, rows = 0;
    buf_clear(&t->raw);
    for (uint32_t i = first; i < n && t->raw.n < TEXT_PAGE_BYTES; i++, rows++) {
        buf_add_str(&t->raw, texts[i]);
        buf_add_byte(&t->raw, 0);
    }
    size_t raw = t->raw.n - rows;
    if (raw == 0) return 1;
    buf_clear(&t->pages);
    size_t packed = text_compress(t->zstd, buf_str(&t->raw), &t->pages) ? t->pages.n : t->raw.n;
    return (double)packed / (double)raw;
}

/* The split's bytes, with a third of those of skeletons new to the part (their dictionary is compressed). */
static size_t split_bytes(const struct text_encoder *t, uint32_t n) {
    size_t fresh = 0;
    for (uint32_t k = 0; k < t->kept_locals.n; k++) {
        struct str skeleton = strings_get(&t->local, t->kept_locals.v[k]);
        uint32_t id;
        if (!strings_find(t->skeletons, skeleton, &id)) fresh += skeleton.n;
    }
    unsigned width = bits_width(t->kept_locals.n);
    return t->columns.n + t->fallback.n + 2 * (t->column_sizes.n + t->kept_locals.n) + (size_t)n * width / 8 +
           fresh / 3;
}

static bool split_pays(struct text_encoder *t, const struct str *texts, uint32_t n) {
    size_t total = 0, split = split_bytes(t, n);
    for (uint32_t i = 0; i < n; i++) total += texts[i].n;
    if (t->kept_locals.n == 0) return false;
    if (split < total / 32) return true;
    if (t->groups++ % RATIO_GROUPS == 0 || total <= TEXT_PAGE_BYTES) t->zstd_ratio = measure_zstd(t, texts, n, total);
    return (double)split <= t->zstd_ratio * (double)total + 32;
}

/* ---- the block -------------------------------------------------------------------------------------------------- */

static void put_skeletons(struct text_encoder *t, struct buf *out) {
    uint32_t kept = (uint32_t)t->kept_locals.n;
    VEC(uint32_t) ids = {0};
    for (uint32_t k = 0; k < kept; k++)
        *vec_push(&ids) = strings_intern(t->skeletons, strings_get(&t->local, t->kept_locals.v[k]));
    put_varint(out, kept);
    codes_encode(ids.v, kept, out);
    vec_done(&ids);
}

static void put_block(struct text_encoder *t, uint32_t n, uint32_t fallback_rows, struct buf *out) {
    uint32_t kept = (uint32_t)t->kept_locals.n;
    buf_add_byte(out, TEXT_FORMAT);
    put_skeletons(t, out);
    put_varint(out, fallback_rows);
    if (kept) {
        t->numbers.n = 0;
        vec_reserve(&t->numbers, kept);
        for (uint32_t k = 0; k < kept; k++) t->numbers.v[k] = t->rows_of.v[t->kept_locals.v[k]];
        ints_encode(t->numbers.v, kept, out);
        for (uint32_t k = 0; k < kept; k++) t->numbers.v[k] = t->slots_of.v[t->kept_locals.v[k]];
        ints_encode(t->numbers.v, kept, out);
        codes_encode(t->codes.v, n, out);
        put_varint(out, (uint32_t)t->column_sizes.n);
        put_varint(out, (uint32_t)t->columns.n);
        ints_encode(t->column_sizes.v, (uint32_t)t->column_sizes.n, out);
        buf_add_str(out, buf_str(&t->columns));
    }
    if (fallback_rows) buf_add_str(out, buf_str(&t->fallback));
}

void text_encode(struct text_encoder *t, const struct str *texts, uint32_t n, struct buf *out) {
    split_rows(t, texts, n);
    keep_skeletons(t);
    sort_rows(t, n);
    uint32_t split = t->starts.v[t->kept_locals.n], fallback_rows = n - split;
    encode_columns(t);
    encode_fallback(t, texts, t->order.v + split, fallback_rows);
    if (fallback_rows < n && !split_pays(t, texts, n)) {
        t->kept_locals.n = 0;
        fallback_rows = n;
        encode_fallback(t, texts, NULL, n);
    }
    put_block(t, n, fallback_rows, out);
}

err text_block_remap(struct str block, const uint32_t *map, uint32_t map_count, struct buf *out) {
    struct cursor c = cursor_of(block);
    uint8_t format = cursor_byte(&c, TEXT_FORMAT);
    uint32_t kept = cursor_varint(&c);
    struct codes ids;
    if (c.bad || format != TEXT_FORMAT || kept > TEXT_SKELETONS_MAX) return err_new(ERR_CORRUPT, "text block: header");
    TRY_WRAP(codes_open(cursor_rest(&c), kept, &ids), "text block");
    cursor_skip(&c, ids.bytes);
    if (!codes_are_below(&ids, map_count))
        return err_new(ERR_CORRUPT, "text block: a skeleton that the part does not have");
    uint32_t v[TEXT_SKELETONS_MAX];
    codes_decode(&ids, 0, kept, v);
    for (uint32_t k = 0; k < kept; k++) v[k] = map[v[k]];
    buf_add_byte(out, TEXT_FORMAT);
    put_varint(out, kept);
    codes_encode(v, kept, out);
    buf_add_str(out, cursor_rest(&c));
    return NULL;
}
