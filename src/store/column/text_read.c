#include <zstd.h>

#include "store/column/codes_priv.h"
#include "store/column/text_block_priv.h"

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static err open_ints(struct cursor *c, uint32_t n, struct ints *out) {
    TRY(ints_open(cursor_rest(c), n, out));
    cursor_skip(c, out->bytes);
    return NULL;
}

static err open_codes(struct cursor *c, uint32_t n, struct codes *out) {
    TRY(codes_open(cursor_rest(c), n, out));
    cursor_skip(c, out->bytes);
    return NULL;
}

static struct str cursor_str(struct cursor *c, uint64_t n) {
    const unsigned char *p = cursor_skip(c, n);
    return c->bad ? (struct str){NULL, 0} : str_span(p, (size_t)n);
}

/* Numbers of 32 bits, n ≤ TEXT_SKELETONS_MAX, into the arena. */
static err decode_small(struct arena *a, const struct ints *c, uint32_t **out) {
    uint64_t v[FRAME_ROWS];
    uint32_t *to = arena_alloc(a, sizeof *to * ((size_t)c->n + 1));
    if (!to) return arena_err(a);
    for (uint32_t at = 0; at < c->n; at += FRAME_ROWS) {
        uint32_t n = MIN(c->n - at, (uint32_t)FRAME_ROWS);
        ints_decode(c, at, n, v);
        for (uint32_t i = 0; i < n; i++) to[at + i] = (uint32_t)MIN(v[i], (uint64_t)UINT32_MAX);
    }
    *out = to;
    return NULL;
}

static err open_skeletons(struct text_block *t, struct cursor *c) {
    struct codes ids;
    t->kept = cursor_varint(c);
    if (c->bad || t->kept > TEXT_SKELETONS_MAX) return err_new(ERR_CORRUPT, "%u skeletons", t->kept);
    TRY(open_codes(c, t->kept, &ids));
    if (!codes_are_below(&ids, t->skeletons->n)) return err_new(ERR_CORRUPT, "a skeleton that the part does not have");
    t->part_ids = arena_alloc(t->arena, sizeof *t->part_ids * ((size_t)t->kept + 1));
    if (!t->part_ids) return arena_err(t->arena);
    codes_decode(&ids, 0, t->kept, t->part_ids);
    return NULL;
}

static err open_split(struct text_block *t, struct cursor *c) {
    struct ints rows_of;
    TRY(open_ints(c, t->kept, &rows_of));
    TRY(decode_small(t->arena, &rows_of, &t->rows_of));
    TRY(open_ints(c, t->kept, &t->slots));
    TRY(open_codes(c, t->n, &t->locals));
    if (t->locals.width > 13) return err_new(ERR_CORRUPT, "skeleton numbers of %u bits", t->locals.width);
    uint64_t split = 0;
    for (uint32_t k = 0; k < t->kept; k++) split += t->rows_of[k];
    if (split + t->fallback_rows != t->n) return err_new(ERR_CORRUPT, "rows of skeletons do not add up");
    t->columns = cursor_varint(c);
    uint32_t bytes = cursor_varint(c);
    if (t->columns > TEXT_SKELETONS_MAX * TEXT_SLOTS_MAX) return err_new(ERR_CORRUPT, "%u slot columns", t->columns);
    TRY(open_ints(c, t->columns, &t->column_sizes));
    t->column_bytes = cursor_str(c, bytes);
    return NULL;
}

static err open_fallback(struct text_block *t, struct cursor *c) {
    t->separated = cursor_byte(c, 1) == 1;
    if (t->separated)
        t->separator = (char)cursor_byte(c, 255);
    else
        TRY(open_ints(c, t->fallback_rows, &t->lengths));
    t->pages = cursor_varint(c);
    if (t->pages > t->fallback_rows) return err_new(ERR_CORRUPT, "more pages than rows");
    TRY(open_ints(c, t->pages, &t->page_sizes));
    TRY(open_ints(c, t->pages, &t->page_raw));
    TRY(open_ints(c, t->pages, &t->page_rows));
    t->page_bytes = cursor_rest(c);
    return NULL;
}

static err open_block(struct text_block *t, struct str block) {
    struct cursor c = cursor_of(block);
    if (cursor_byte(&c, 255) != TEXT_FORMAT) return err_new(ERR_CORRUPT, "an unknown format");
    TRY(open_skeletons(t, &c));
    t->fallback_rows = cursor_varint(&c);
    if (t->fallback_rows > t->n || (t->kept == 0 && t->fallback_rows != t->n))
        return err_new(ERR_CORRUPT, "%u of %u rows in the fallback", t->fallback_rows, t->n);
    if (t->kept) TRY(open_split(t, &c));
    if (t->fallback_rows) TRY(open_fallback(t, &c));
    return c.bad ? err_new(ERR_CORRUPT, "it ends too early") : NULL;
}

err text_block_open(struct arena *a, const struct text_skeletons *skeletons, struct str block, uint32_t n,
                    struct text_block **out) {
    struct text_block *t = arena_new(a, struct text_block);
    if (!t) return arena_err(a);
    t->arena = a;
    t->skeletons = skeletons;
    t->n = n;
    t->page = UINT32_MAX;
    TRY_WRAP(open_block(t, block), "text block");
    *out = t;
    return NULL;
}

uint32_t text_block_skeletons(const struct text_block *t, const uint32_t **out_part_ids,
                              const uint32_t **out_row_counts) {
    if (out_part_ids) *out_part_ids = t->part_ids;
    if (out_row_counts) *out_row_counts = t->rows_of;
    return t->kept;
}

uint32_t text_block_fallback_rows(const struct text_block *t) { return t->fallback_rows; }

err text_block_err(const struct text_block *t) {
    if (!t->failure) return NULL;
    return t->corrupt ? err_new(ERR_CORRUPT, "text block: %s", t->failure) : arena_err(t->arena);
}

bool block_fail(struct text_block *t, bool corrupt, const char *what) {
    if (!t->failure) {
        t->failure = what;
        t->corrupt = corrupt;
    }
    return false;
}

static bool full(struct text_block *t) { return block_fail(t, false, "the arena is full"); }

/* ---- what is opened at first touch ------------------------------------------------------------------------------ */

/* Sums of n numbers, each and all together ≤ max: out[0..n]. */
static uint32_t *running_sums(struct text_block *t, const struct ints *c, uint64_t max) {
    uint64_t v[FRAME_ROWS], sum = 0;
    uint32_t *to = arena_alloc(t->arena, sizeof *to * ((size_t)c->n + 1));
    if (!to) return full(t), NULL;
    to[0] = 0;
    for (uint32_t at = 0; at < c->n; at += FRAME_ROWS) {
        uint32_t n = MIN(c->n - at, (uint32_t)FRAME_ROWS);
        ints_decode(c, at, n, v);
        for (uint32_t i = 0; i < n; i++) {
            if (v[i] > max - sum) return block_fail(t, true, "sizes do not add up"), NULL;
            to[at + i + 1] = (uint32_t)(sum += v[i]);
        }
    }
    return to;
}

bool block_rows_ready(struct text_block *t) {
    if (t->rows_ready) return true;
    if (t->failure) return false;
    t->local_of = arena_alloc(t->arena, sizeof *t->local_of * ((size_t)t->n + 1));
    t->column = arena_array(t->arena, struct slot *, t->columns + 1);
    if (!t->local_of || !t->column) return full(t);
    if (t->kept == 0) {
        memset(t->local_of, 0, sizeof *t->local_of * t->n);
    } else {
        uint32_t v[1024];
        for (uint32_t at = 0; at < t->n; at += LENGTH(v)) {
            uint32_t n = MIN(t->n - at, (uint32_t)LENGTH(v));
            codes_decode(&t->locals, at, n, v);
            for (uint32_t i = 0; i < n; i++) t->local_of[at + i] = (uint16_t)v[i];
        }
        if (!(t->first_column = running_sums(t, &t->slots, t->columns))) return false;
        if (!(t->column_start = running_sums(t, &t->column_sizes, t->column_bytes.n))) return false;
        if (t->first_column[t->kept] != t->columns) return block_fail(t, true, "slots do not add up");
    }
    return t->rows_ready = true;
}

bool block_pages_ready(struct text_block *t) {
    if (t->pages_ready) return true;
    if (t->failure) return false;
    if (!(t->page_start = running_sums(t, &t->page_sizes, MIN(t->page_bytes.n, (size_t)UINT32_MAX)))) return false;
    if (!(t->page_first = running_sums(t, &t->page_rows, t->fallback_rows))) return false;
    if (t->page_first[t->pages] != t->fallback_rows) return block_fail(t, true, "rows of pages do not add up");
    return t->pages_ready = true;
}

struct slot *block_slot(struct text_block *t, uint32_t local, uint32_t slot) {
    uint32_t i = t->first_column[local] + slot;
    if (t->column[i]) return t->column[i];
    if (t->failure) return NULL;
    struct slot *c = arena_new(t->arena, struct slot);
    if (!c) return full(t), NULL;
    uint32_t start = t->column_start[i];
    err e = slot_open(t->arena, (struct str){t->column_bytes.p + start, t->column_start[i + 1] - start},
                      t->rows_of[local], c);
    if (e) {
        block_fail(t, err_kind(e) == ERR_CORRUPT, "a slot column is broken");
        err_free(e);
        return NULL;
    }
    return t->column[i] = c;
}

/* Where the texts of a page end by their sizes; false if they do not fill it. */
static bool ends_by_length(struct text_block *t, uint32_t first, uint32_t rows, uint64_t raw) {
    uint64_t v[FRAME_ROWS], sum = 0;
    for (uint32_t at = 0; at < rows; at += FRAME_ROWS) {
        uint32_t n = MIN(rows - at, (uint32_t)FRAME_ROWS);
        ints_decode(&t->lengths, first + at, n, v);
        for (uint32_t i = 0; i < n; i++) {
            if (v[i] > raw - sum) return false;
            t->page_end[at + i] = (uint32_t)(sum += v[i]);
        }
    }
    return sum == raw;
}

/* The same by separators, which are taken out: the texts then stand close together. */
static bool ends_by_separator(struct text_block *t, uint32_t rows, uint64_t raw) {
    const char *from = t->page_heap, *end = from + raw;
    char *to = t->page_heap;
    for (uint32_t i = 0; i < rows; i++) {
        const char *mark = memchr(from, t->separator, (size_t)(end - from));
        if (!mark) return false;
        if (to != from) memmove(to, from, (size_t)(mark - from));
        to += mark - from;
        from = mark + 1;
        t->page_end[i] = (uint32_t)(to - t->page_heap);
    }
    return from == end;
}

static bool reserve_page(struct text_block *t, uint32_t rows, uint64_t raw) {
    if (rows > t->page_rows_capacity || !t->page_end) {
        t->page_rows_capacity = rows;
        if (!(t->page_end = arena_alloc(t->arena, sizeof *t->page_end * ((size_t)rows + 1)))) return full(t);
    }
    if (raw > t->page_capacity || !t->page_heap) {
        t->page_capacity = (uint32_t)raw;
        if (!(t->page_heap = arena_alloc(t->arena, raw + 1))) return full(t);
    }
    return true;
}

bool block_load_page(struct text_block *t, uint32_t page) {
    if (t->page == page) return true;
    if (t->failure) return false;
    uint32_t first = t->page_first[page], rows = t->page_first[page + 1] - first;
    struct str packed = {t->page_bytes.p + t->page_start[page], t->page_start[page + 1] - t->page_start[page]};
    uint64_t raw = ints_get(&t->page_raw, page);
    t->page = UINT32_MAX;
    if (raw > TEXT_PAGE_BYTES + TEXT_BYTES_MAX + 1) return block_fail(t, true, "a page is too large");
    if (!reserve_page(t, rows, raw)) return false;
    if (packed.n == raw)
        memcpy(t->page_heap, packed.p, raw);
    else if (ZSTD_decompress(t->page_heap, raw, packed.p, packed.n) != raw)
        return block_fail(t, true, "a page does not unpack");
    if (t->separated ? !ends_by_separator(t, rows, raw) : !ends_by_length(t, first, rows, raw))
        return block_fail(t, true, "a page has other texts than it says");
    t->page = page;
    return true;
}

/* ---- one text --------------------------------------------------------------------------------------------------- */

/* How often `local` stands in the first n of local_of. Up to 32,768 are counted in 16 bits, which vectorises twice as wide. */
__attribute__((always_inline)) static inline uint32_t count_loop(const uint16_t *local_of, uint32_t n, uint16_t local) {
    uint32_t sum = 0;
    for (uint32_t at = 0; at < n;) {
        uint16_t here = 0;
        uint32_t end = MIN(n, at + 32768);
        for (; at < end; at++) here = (uint16_t)(here + (local_of[at] == local));
        sum += here;
    }
    return sum;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static uint32_t count_avx2(const uint16_t *local_of, uint32_t n, uint16_t local) {
    return count_loop(local_of, n, local);
}
#endif

static uint32_t count_in(const uint16_t *local_of, uint32_t n, uint16_t local) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) return count_avx2(local_of, n, local);
#endif
    return count_loop(local_of, n, local);
}

/* How often `local` stands before `row`: where the row's tokens are in its columns. */
static uint32_t rank_of(const struct text_block *t, uint32_t row, uint16_t local) {
    return count_in(t->local_of, row, local);
}

/* Text `at` of the fallback, in the page; p NULL on a failure. */
static struct str fallback_text(struct text_block *t, uint32_t at) {
    uint32_t low = 0, high = t->pages;
    while (low + 1 < high) {
        uint32_t middle = low + (high - low) / 2;
        if (t->page_first[middle] <= at)
            low = middle;
        else
            high = middle;
    }
    if (!block_load_page(t, low)) return (struct str){NULL, 0};
    uint32_t in_page = at - t->page_first[low], start = in_page ? t->page_end[in_page - 1] : 0;
    return (struct str){t->page_heap + start, t->page_end[in_page] - start};
}

/* Opens all slot columns of a skeleton; returns no less than the size of each of its texts, or 0. */
static uint32_t longest_row(struct text_block *t, uint32_t local) {
    size_t skeleton = block_skeleton(t, local).n;
    if (skeleton > TEXT_SKELETON_BYTES_MAX) return block_fail(t, true, "a skeleton is too long");
    uint32_t bytes = (uint32_t)skeleton + 1, slots = t->first_column[local + 1] - t->first_column[local];
    for (uint32_t s = 0; s < slots; s++) {
        const struct slot *c = block_slot(t, local, s);
        if (!c) return 0;
        bytes += c->longest;
    }
    return bytes;
}

/* Puts skeleton and tokens together; NULL if the skeleton has other slots than the block says. values: unpacked numbers of
 * each slot, or NULL. */
static char *write_row(const struct text_block *t, uint32_t local, uint32_t at, uint64_t *const *values, char *to) {
    struct str rest = block_skeleton(t, local);
    struct slot *const *column = t->column + t->first_column[local];
    uint32_t slots = t->first_column[local + 1] - t->first_column[local], slot = 0;
    for (;;) {
        const char *mark = rest.n ? memchr(rest.p, 0, rest.n) : NULL;
        size_t piece = mark ? (size_t)(mark - rest.p) : rest.n;
        if (piece) memcpy(to, rest.p, piece);
        to += piece;
        if (!mark) break;
        if (slot == slots) return NULL;
        const struct slot *c = column[slot];
        to += values && values[slot] ? slot_put_number(c, at, values[slot][at], to) : slot_get(c, at, to);
        slot++;
        rest = (struct str){mark + 1, rest.n - piece - 1};
    }
    return slot == slots ? to : NULL;
}

bool block_put_row(struct text_block *t, uint32_t local, uint32_t at, struct buf *out) {
    uint32_t longest = longest_row(t, local);
    if (!longest) return false;
    if (at >= t->rows_of[local]) return block_fail(t, true, "a skeleton has more rows than it says");
    if (!buf_reserve(out, longest)) return false;
    char *end = write_row(t, local, at, NULL, out->p + out->n);
    if (!end) return block_fail(t, true, "a skeleton has other slots than it says");
    out->n = (size_t)(end - out->p);
    *end = 0;
    return true;
}

void text_get(struct text_block *t, uint32_t row, struct buf *out) {
    if (!block_rows_ready(t) || row >= t->n) return;
    uint16_t local = t->local_of[row];
    uint32_t rank = rank_of(t, row, local);
    if (local < t->kept) {
        block_put_row(t, local, rank, out);
    } else if (local > t->kept || rank >= t->fallback_rows) {
        block_fail(t, true, "a row of no skeleton");
    } else if (block_pages_ready(t)) {
        struct str text = fallback_text(t, rank);
        if (text.p) buf_add_str(out, text);
    }
}

/* ---- many texts ------------------------------------------------------------------------------------------------- */

/* Memory for texts: one piece of the arena after the other. */
struct pieces {
    char *at, *end;
};

static bool pieces_reserve(struct text_block *t, struct pieces *p, uint32_t bytes) {
    if ((size_t)(p->end - p->at) >= bytes) return true;
    size_t size = MAX((size_t)bytes, MIN((size_t)TEXT_PAGE_BYTES, (size_t)bytes * t->n));
    if (!(p->at = arena_alloc(t->arena, size))) return full(t);
    p->end = p->at + size;
    return true;
}

static bool get_split(struct text_block *t, struct pieces *p, uint32_t local, uint32_t at, uint32_t longest,
                      uint64_t *const *values, struct str *out) {
    if (!longest) return false;
    if (at >= t->rows_of[local]) return block_fail(t, true, "a skeleton has more rows than it says");
    if (!pieces_reserve(t, p, longest)) return false;
    char *end = write_row(t, local, at, values, p->at);
    if (!end) return block_fail(t, true, "a skeleton has other slots than it says");
    *out = (struct str){p->at, (size_t)(end - p->at)};
    p->at = end;
    return true;
}

static bool get_fallback(struct text_block *t, uint32_t at, struct str *out) {
    if (at >= t->fallback_rows) return block_fail(t, true, "a row of no skeleton");
    if (!block_pages_ready(t)) return false;
    if (at < t->page_first[MIN(t->page, t->pages)] || t->page == UINT32_MAX || at >= t->page_first[t->page + 1])
        t->page_capacity = 0; /* a page of its own: texts stay in it */
    *out = fallback_text(t, at);
    return out->p != NULL;
}

/* Ranks that were counted last, of a few skeletons: rows of one trace stand together, and go on from there. All zero is true of any. */
enum { RANKS_KEPT = 32 };
struct rank_memory {
    struct {
        uint32_t row, rank;
        uint16_t local;
    } v[RANKS_KEPT];
};

static uint32_t rank_from(const struct text_block *t, struct rank_memory *m, uint32_t row, uint16_t local) {
    uint32_t at = local % RANKS_KEPT, from = m->v[at].row;
    bool known = m->v[at].local == local && from <= row;
    uint32_t rank =
        known ? m->v[at].rank + count_in(t->local_of + from, row - from, local) : count_in(t->local_of, row, local);
    m->v[at].row = row;
    m->v[at].rank = rank;
    m->v[at].local = local;
    return rank;
}

/* Few rows: each is looked up. */
static bool get_some(struct text_block *t, const uint32_t *rows, uint32_t n, struct str *out) {
    struct pieces p = {NULL, NULL};
    struct rank_memory ranks = {0};
    for (uint32_t i = 0; i < n; i++) {
        if (rows[i] >= t->n) return block_fail(t, true, "a row beyond the block");
        uint16_t local = t->local_of[rows[i]];
        uint32_t rank = rank_from(t, &ranks, rows[i], local);
        if (local < t->kept   ? !get_split(t, &p, local, rank, longest_row(t, local), NULL, &out[i])
            : local > t->kept ? !block_fail(t, true, "a row of no skeleton")
                              : !get_fallback(t, rank, &out[i]))
            return false;
    }
    return true;
}

/* What a walk over all rows keeps: per skeleton the next row and the longest text; per column its numbers, unpacked. */
struct walk {
    uint32_t *next, *longest;
    uint64_t **values, *heap;
};

static void walk_done(struct walk *w) {
    mem_free(w->next);
    mem_free(w->longest);
    mem_free(w->values);
    mem_free(w->heap);
}

static bool walk_start(struct text_block *t, struct walk *w) {
    size_t numbers = 0;
    w->next = mem_new_array(uint32_t, t->kept + 1);
    w->longest = mem_new_array(uint32_t, t->kept + 1);
    w->values = mem_new_array(uint64_t *, t->columns + 1);
    for (uint32_t k = 0; k < t->kept; k++) {
        if (!(w->longest[k] = longest_row(t, k))) return false;
        numbers += (size_t)t->rows_of[k] * (t->first_column[k + 1] - t->first_column[k]);
    }
    uint64_t *to = w->heap = mem_grow(NULL, numbers * 8); /* ≤ rows × TEXT_SLOTS_MAX */
    for (uint32_t k = 0; k < t->kept; k++)
        for (uint32_t i = t->first_column[k]; i < t->first_column[k + 1]; i++) {
            if (t->column[i]->kind != SLOT_NUMBER) continue;
            ints_decode(&t->column[i]->values, 0, t->rows_of[k], to);
            w->values[i] = to;
            to += t->rows_of[k];
        }
    return true;
}

static bool walk_rows(struct text_block *t, struct walk *w, const uint32_t *rows, uint32_t n, struct str *out) {
    struct pieces p = {NULL, NULL};
    for (uint32_t row = 0, i = 0; i < n; row++) {
        if (row == t->n) return block_fail(t, true, "a row beyond the block");
        uint16_t local = t->local_of[row];
        if (local > t->kept) return block_fail(t, true, "a row of no skeleton");
        uint32_t at = w->next[local]++;
        if (rows && rows[i] != row) continue;
        if (local < t->kept
                ? !get_split(t, &p, local, at, w->longest[local], w->values + t->first_column[local], &out[i])
                : !get_fallback(t, at, &out[i]))
            return false;
        i++;
    }
    return true;
}

static bool is_ascending(const uint32_t *rows, uint32_t n) {
    for (uint32_t i = 1; i < n; i++)
        if (rows[i] <= rows[i - 1]) return false;
    return true;
}

err text_get_many(struct text_block *t, const uint32_t *rows, uint32_t n, struct str *out) {
    bool good = block_rows_ready(t);
    if (good && rows && (n < t->n / 16 || !is_ascending(rows, n))) {
        good = get_some(t, rows, n, out);
    } else if (good) {
        struct walk w = {0};
        good = walk_start(t, &w) && walk_rows(t, &w, rows, n, out);
        walk_done(&w);
    }
    t->page = UINT32_MAX; /* its texts are the caller's now: the next page gets memory of its own */
    t->page_capacity = 0;
    return good ? NULL : text_block_err(t);
}
