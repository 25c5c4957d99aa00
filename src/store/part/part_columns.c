/* Columns of one group as bytes: numbers, ids, codes, texts. */
#include <zstd.h>

#include "base/hash.h"
#include "store/column/ints_priv.h"
#include "store/part/part_write_priv.h"

enum {
    OWN_STRINGS_MIN = 256,     /* fewer distinct values always go to the part's dictionary */
    TEXT_MEAN_BYTES_MAX = 512, /* longer values never do */
    AHEAD = 16,                /* values between asking the memory for something and needing it */
    SAMPLE_ROWS = 512,         /* of a column whose values seldom repeated so far */
};

void put_u32(struct buf *out, uint32_t v) { buf_add(out, &v, sizeof v); }

static void put_raw_zstd(struct part_writer *w, struct buf *out, struct str raw, int level) {
    size_t room = ZSTD_compressBound(raw.n);
    if (!buf_reserve(out, room)) return;
    size_t n = ZSTD_compressCCtx(w->zstd, out->p + out->n, room, raw.p, raw.n, level);
    if (ZSTD_isError(n))
        out->full = true; /* cannot be: the room is enough */
    else
        out->n += n;
}

void put_zstd(struct part_writer *w, struct buf *out, struct str raw, int level) { put_raw_zstd(w, out, raw, level); }

/* bytes: raw size, zstd frame. */
static void put_bytes(struct part_writer *w, struct buf *out, struct str raw) {
    put_u32(out, (uint32_t)raw.n);
    put_raw_zstd(w, out, raw, 1);
}

void put_rest_bytes(struct part_writer *w, struct buf *out, struct str raw) { put_bytes(w, out, raw); }

/* ---- numbers ---------------------------------------------------------------------------------------------------- */

uint8_t encode_numbers(struct part_writer *w, const uint64_t *v, uint32_t n, struct buf *out) {
    (void)w;
    uint64_t any = 0;
    for (uint32_t i = 0; i < n; i++) any |= v[i];
    if (!any) return 0;
    ints_encode(v, n, out);
    return ENCODING_INTS;
}

uint8_t encode_raw8(const uint64_t *v, uint32_t n, struct buf *out) {
    uint64_t any = 0;
    for (uint32_t i = 0; i < n; i++) any |= v[i];
    if (!any) return 0;
    buf_add(out, v, (size_t)n * sizeof *v);
    return ENCODING_RAW8;
}

static void put_ints_u32(struct part_writer *w, const uint32_t *v, uint32_t n, struct buf *out) {
    for (uint32_t i = 0; i < n; i++) w->wide[i] = v[i];
    ints_encode(w->wide, n, out);
}

/* Codes: packed at one width, which scans in place; as ints where neighbours are mostly equal and it saves two fifths. */
static void put_numbers(struct part_writer *w, const uint32_t *codes, uint32_t n, struct buf *out) {
    uint32_t equal = 0;
    for (uint32_t i = 1; i < n; i++) equal += codes[i] == codes[i - 1];
    size_t start = out->n;
    buf_add_byte(out, NUMBERS_PACKED);
    codes_encode(codes, n, out);
    if (equal <= n / 2 || equal + 1 == n) return;
    buf_clear(&w->scratch);
    put_ints_u32(w, codes, n, &w->scratch);
    if (w->scratch.n * 5 >= (out->n - start) * 3) return;
    out->n = start;
    buf_add_byte(out, NUMBERS_INTS);
    buf_add_str(out, buf_str(&w->scratch));
}

void put_code_list(struct part_writer *w, const uint32_t *list, uint32_t count, struct buf *out) {
    put_u32(out, count);
    put_ints_u32(w, list, count, out);
}

/* ---- codes of the part's dictionaries --------------------------------------------------------------------------- */

static void local_room(struct part_writer *w, uint32_t n) {
    if (n <= w->local_capacity) return;
    mem_free(w->local);
    w->local_capacity = n + n / 2 + 64;
    w->local = mem_new_array(uint32_t, w->local_capacity);
}

/* Replaces part codes by the order in which they come; fills w->list, returns how many there are. */
static uint32_t localize(struct part_writer *w, uint32_t *codes, uint32_t n, uint32_t dictionary_count) {
    uint32_t count = 0;
    local_room(w, dictionary_count);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t *local = &w->local[codes[i]];
        if (!*local) {
            w->list[count] = codes[i];
            *local = ++count;
        }
        codes[i] = *local - 1;
    }
    for (uint32_t i = 0; i < count; i++) w->local[w->list[i]] = 0;
    return count;
}

uint8_t encode_part_codes(struct part_writer *w, uint32_t *codes, uint32_t n, uint32_t dictionary_count,
                          struct buf *out) {
    uint32_t count = localize(w, codes, n, dictionary_count);
    if (count == 1 && w->list[0] == 0) return 0;
    put_code_list(w, w->list, count, out);
    put_numbers(w, codes, n, out);
    return ENCODING_CODES;
}

/* ---- texts ------------------------------------------------------------------------------------------------------ */

static struct str ref_text(const struct part_writer *w, uint64_t ref) {
    return batch_string(w->sources[ref >> 32].b, (uint32_t)ref);
}

static void put_texts(struct part_writer *w, struct column_memory *memory, const uint64_t *refs, uint32_t n,
                      bool is_text, struct buf *out) {
    size_t longest = 0;
    for (uint32_t i = 0; i < n; i++) {
        w->texts[i] = ref_text(w, refs[i]);
        __builtin_prefetch(w->texts[i].p); /* the rows' order is not the heap's: the encoder would wait for each */
        longest = MAX(longest, w->texts[i].n);
    }
    if (is_text && longest <= PART_TEXT_MAX) {
        if (!memory->texts) memory->texts = text_encoder_new(&w->skeletons);
        buf_add_byte(out, TEXTS_SPLIT);
        text_encode(memory->texts, w->texts, n, out);
        return;
    }
    buf_add_byte(out, TEXTS_BYTES);
    buf_clear(&w->scratch);
    for (uint32_t i = 0; i < n; i++) {
        w->wide[i] = w->texts[i].n;
        buf_add_str(&w->scratch, w->texts[i]);
    }
    ints_encode(w->wide, n, out);
    put_bytes(w, out, buf_str(&w->scratch));
    out->full |= w->scratch.full;
}

/* Numbers the references in order of first appearance: w->codes per value, w->distinct the references. */
static uint32_t number_refs(struct part_writer *w, const uint64_t *refs, uint32_t n) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i + AHEAD < n) __builtin_prefetch(&w->sources[refs[i + AHEAD] >> 32].strings[(uint32_t)refs[i + AHEAD]]);
        uint32_t *seen = &w->sources[refs[i] >> 32].strings[(uint32_t)refs[i]].seen;
        if (!*seen) {
            w->distinct[count] = refs[i];
            *seen = ++count;
        }
        w->codes[i] = *seen - 1;
    }
    for (uint32_t i = 0; i < count; i++) w->sources[w->distinct[i] >> 32].strings[(uint32_t)w->distinct[i]].seen = 0;
    return count;
}

void part_index_ids(struct part_writer *w, const uint64_t *refs, uint32_t n, bool numbered) {
    const uint64_t *v = numbered && w->distinct_count ? w->distinct : refs;
    uint32_t count = numbered && w->distinct_count ? w->distinct_count : n;
    const struct part_source *sources = w->sources;
    struct hash_index_entry entry = {.group = (uint32_t)w->groups.n};
    vec_reserve(&w->traces, count);
    struct hash_index_entry *to = w->traces.v + w->traces.n;
    for (uint32_t i = 0; i < count; i++) {
        struct str id = batch_string(sources[v[i] >> 32].b, (uint32_t)v[i]);
        if (!id.n || (i > 0 && v[i] == v[i - 1])) continue;
        entry.hash = hash_bytes(id.p, id.n);
        *to++ = entry;
    }
    w->traces.n = (size_t)(to - w->traces.v);
}

/* Whether more than about a quarter of the n values differ, from a sample: the bits that its hashes set tell how many of it are
 * distinct (linear counting, Whang et al. 1990); a smaller sample repeats itself less. */
static bool mostly_distinct(struct part_writer *w, const uint64_t *refs, uint32_t count, uint32_t n) {
    enum { SLOTS = 1 << 14, SAMPLE = SLOTS / 4 };
    uint64_t bits[SLOTS / 64] = {0};
    uint32_t set = 0, sample = MIN(count, (uint32_t)SAMPLE);
    for (uint32_t i = 0; i < sample; i++) {
        struct str text = ref_text(w, refs[i]);
        uint32_t slot = (uint32_t)(hash_fast(text.p, text.n) >> 40) % SLOTS;
        set += !(bits[slot / 64] >> slot % 64 & 1);
        bits[slot / 64] |= 1ull << slot % 64;
    }
    double used = (double)set / SLOTS, distinct = (double)set * (1 + used / 2), share = (double)sample / count;
    return distinct * count / n > (0.25 + 0.5 * (1 - share)) * sample;
}

/* Asked of the first group, and again when what it said seems to hold no more: looking at strings costs. */
static bool seldom_repeats(struct part_writer *w, struct column_memory *memory, uint32_t count, uint32_t n) {
    bool ask_again = memory->repeats == REPEATS_UNKNOWN || memory->groups % 16 == 0;
    if (ask_again) memory->repeats = mostly_distinct(w, w->distinct, count, n) ? REPEATS_SELDOM : REPEATS_OFTEN;
    return memory->repeats == REPEATS_SELDOM;
}

static bool texts_are_long(struct part_writer *w, uint32_t count) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) bytes += ref_text(w, w->distinct[i]).n;
    return bytes / count > TEXT_MEAN_BYTES_MAX && bytes > 64 * KIB;
}

static bool dictionary_is_full(const struct part_writer *w) {
    return w->strings.n > writer_dictionary_strings(w) || w->strings.heap_size > writer_dictionary_bytes(w);
}

static uint8_t put_own(struct part_writer *w, struct column_memory *memory, uint32_t count, uint32_t n, bool is_text,
                       struct buf *out) {
    put_u32(out, count);
    put_numbers(w, w->codes, n, out);
    put_texts(w, memory, w->distinct, count, is_text, out);
    return ENCODING_OWN;
}

/* Where values stand: unique ones in a text column, those that come again only nearby as the group's own, the rest in the
 * part's dictionary. Which it is the first groups tell. */
uint8_t encode_strings(struct part_writer *w, struct column_memory *memory, const uint64_t *refs, uint32_t n,
                       bool is_text, struct buf *out) {
    w->distinct_count = 0;
    if (memory->repeats == REPEATS_SELDOM && n > 4 * SAMPLE_ROWS && memory->groups % 16 &&
        number_refs(w, refs, SAMPLE_ROWS) > SAMPLE_ROWS / 2) {
        memory->groups++;
        put_texts(w, memory, refs, n, is_text, out);
        return ENCODING_TEXTS;
    }
    uint32_t count = w->distinct_count = number_refs(w, refs, n);
    if (count == 1 && ref_text(w, refs[0]).n == 0) return 0;
    memory->groups++;
    if (count > n / 2 && count > 64 && seldom_repeats(w, memory, count, n)) {
        put_texts(w, memory, refs, n, is_text, out);
        return ENCODING_TEXTS;
    }
    if (memory->own || dictionary_is_full(w) || texts_are_long(w, count))
        return put_own(w, memory, count, n, is_text, out);

    uint32_t known = w->strings.n;
    bool many = count > n / 4; /* then most are looked up, and their bytes far apart */
    for (uint32_t i = 0; i < count; i++) {
        if (many && i + AHEAD < count) __builtin_prefetch(ref_text(w, w->distinct[i + AHEAD]).p);
        w->remap[i] = part_string_code(w, &w->sources[w->distinct[i] >> 32], (uint32_t)w->distinct[i]);
    }
    uint32_t fresh = w->strings.n - known;
    for (uint32_t i = 0; i < n; i++) w->codes[i] = w->remap[w->codes[i]];
    uint8_t encoding = encode_part_codes(w, w->codes, n, w->strings.n, out);
    if (fresh > count / 2) memory->repeats = REPEATS_UNKNOWN;
    if (memory->groups > 1 && fresh > OWN_STRINGS_MIN && fresh > count / 2) memory->own = true;
    return encoding;
}

/* ---- ids -------------------------------------------------------------------------------------------------------- */

static bool id16_equal(const unsigned char *a, const unsigned char *b) { return memcmp(a, b, 16) == 0; }

static bool ids_are_zero(const unsigned char *ids, uint32_t n) {
    for (size_t i = 0; i < (size_t)n * 16; i += 8)
        if (load_u64(ids + i)) return false;
    return true;
}

/* Rows where the id differs from that of the row before, in w->run_rows; returns how many. */
static uint32_t find_runs(struct part_writer *w, const unsigned char *ids, uint32_t n) {
    uint32_t runs = 0;
    for (uint32_t i = 0; i < n; i++)
        if (i == 0 || !id16_equal(ids + 16 * (size_t)i, ids + 16 * (size_t)i - 16)) w->run_rows[runs++] = i;
    return runs;
}

/* Numbers distinct ids in order of first appearance: w->codes per row, w->list the first row of each. Gives up (0) over
 * `limit` of them. */
static uint32_t number_ids(struct part_writer *w, const unsigned char *ids, uint32_t n, uint32_t limit) {
    uint32_t mask = 1, count = 0;
    while (mask < 2 * limit) mask *= 2;
    AUTO_FREE uint32_t *table = mem_new_array(uint32_t, mask);
    mask--;
    for (uint32_t i = 0; i < n; i++) {
        const unsigned char *id = ids + 16 * (size_t)i;
        uint32_t at = (uint32_t)hash_fast(id, 16) & mask;
        while (table[at] && !id16_equal(ids + 16 * (size_t)w->list[table[at] - 1], id)) at = (at + 1) & mask;
        if (!table[at]) {
            if (count == limit) return 0;
            w->list[count] = i;
            table[at] = ++count;
        }
        w->codes[i] = table[at] - 1;
    }
    return count;
}

static void add_traces(struct part_writer *w, const unsigned char *ids, const uint32_t *rows, uint32_t count) {
    uint32_t group = (uint32_t)w->groups.n;
    vec_reserve(&w->traces, count);
    for (uint32_t i = 0; i < count; i++)
        w->traces.v[w->traces.n++] = (struct hash_index_entry){hash_bytes(ids + 16 * (size_t)rows[i], 16), group};
}

/* Spans stand together by trace: runs. Logs: runs of one row if every row has its own id, else a dictionary if it pays. */
uint8_t encode_ids(struct part_writer *w, const unsigned char *ids, uint32_t n, bool are_traces, struct buf *out) {
    if (are_traces) w->runs = 0;
    if (ids_are_zero(ids, n)) {
        uint32_t first = 0;
        if (are_traces) add_traces(w, ids, &first, 1); /* rows without a trace id are found, too */
        return 0;
    }
    uint32_t runs = find_runs(w, ids, n), count = 0;
    if (w->signal != SIGNAL_SPANS || !are_traces) count = number_ids(w, ids, n, runs - runs / 4);
    if (count) {
        put_u32(out, count);
        for (uint32_t i = 0; i < count; i++) buf_add(out, ids + 16 * (size_t)w->list[i], 16);
        if (are_traces) add_traces(w, ids, w->list, count);
        put_numbers(w, w->codes, n, out);
        return ENCODING_IDS;
    }
    put_u32(out, runs);
    for (uint32_t i = 0; i < runs; i++) buf_add(out, ids + 16 * (size_t)w->run_rows[i], 16);
    for (uint32_t i = 0; i < runs; i++) w->wide[i] = (i + 1 < runs ? w->run_rows[i + 1] : n) - w->run_rows[i];
    ints_encode(w->wide, runs, out);
    if (are_traces) {
        add_traces(w, ids, w->run_rows, runs);
        w->runs = runs;
    }
    return ENCODING_RUNS;
}

uint8_t encode_run_times(struct part_writer *w, const uint64_t *v, uint32_t n, struct buf *out) {
    if (w->runs == 0 || w->runs > n / 2) return encode_numbers(w, v, n, out);
    for (uint32_t i = 0; i < w->runs; i++) w->wide[i] = v[w->run_rows[i]];
    ints_encode(w->wide, w->runs, out);
    for (uint32_t i = 1; i < n; i++) w->wide[i] = v[i] - v[i - 1];
    for (uint32_t i = 0; i < w->runs; i++) w->wide[w->run_rows[i]] = 0;
    ints_encode(w->wide, n, out);
    return ENCODING_RUN_TIMES;
}

/* ---- parents ---------------------------------------------------------------------------------------------------- */

enum { LINEAR_ROWS_MAX = 32 };

/* In a short run: nearest rows before it, then those behind. */
static uint32_t find_parent(const uint64_t *spans, uint32_t first, uint32_t end, uint32_t row, uint64_t parent) {
    for (uint32_t i = row; i-- > first;)
        if (spans[i] == parent) return i;
    for (uint32_t i = row + 1; i < end; i++)
        if (spans[i] == parent) return i;
    return row;
}

/* In a long one: a hash table of the run's span ids. */
static void find_parents_hashed(const uint64_t *parents, const uint64_t *spans, uint32_t first, uint32_t end,
                                uint32_t *out_rows) {
    uint32_t mask = 1;
    while (mask < 2 * (end - first)) mask *= 2;
    AUTO_FREE uint32_t *table = mem_new_array(uint32_t, mask);
    mask--;
    for (uint32_t i = first; i < end; i++) {
        uint32_t at = (uint32_t)hash_keyed(spans[i], 0) & mask;
        while (table[at] && spans[table[at] - 1] != spans[i]) at = (at + 1) & mask;
        if (!table[at]) table[at] = i + 1;
    }
    for (uint32_t i = first; i < end; i++) {
        uint32_t at = (uint32_t)hash_keyed(parents[i], 0) & mask;
        while (table[at] && spans[table[at] - 1] != parents[i]) at = (at + 1) & mask;
        out_rows[i] = table[at] ? table[at] - 1 : i;
    }
}

static void find_parents(struct part_writer *w, const uint64_t *parents, const uint64_t *spans, uint32_t n) {
    for (uint32_t r = 0; r < w->runs; r++) {
        uint32_t first = w->run_rows[r], end = r + 1 < w->runs ? w->run_rows[r + 1] : n;
        if (end - first > LINEAR_ROWS_MAX) {
            find_parents_hashed(parents, spans, first, end, w->codes);
            continue;
        }
        for (uint32_t i = first; i < end; i++)
            w->codes[i] = parents[i] ? find_parent(spans, first, end, i, parents[i]) : i;
    }
    if (w->runs == 0)
        for (uint32_t i = 0; i < n; i++) w->codes[i] = i;
}

uint8_t encode_parents(struct part_writer *w, const uint64_t *parents, const uint64_t *spans, uint32_t n,
                       struct buf *out) {
    uint64_t any = 0;
    for (uint32_t i = 0; i < n; i++) any |= parents[i];
    if (!any) return 0;
    find_parents(w, parents, spans, n);
    uint32_t escapes = 0;
    for (uint32_t i = 0; i < n; i++) {
        int64_t distance = (int64_t)w->codes[i] - i;
        if (!parents[i]) {
            w->wide[i] = PARENT_NONE;
        } else if (distance == 0) {
            w->list[escapes++] = i;
            w->wide[i] = PARENT_ESCAPED;
        } else {
            w->wide[i] = 2 + ((uint64_t)distance << 1 ^ (uint64_t)(distance >> 63));
        }
    }
    put_u32(out, escapes);
    ints_encode(w->wide, n, out);
    put_ints_u32(w, w->list, escapes, out);
    for (uint32_t i = 0; i < escapes; i++) buf_add(out, &parents[w->list[i]], 8);
    return ENCODING_PARENTS;
}
