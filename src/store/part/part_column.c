/* A block as a column: parsed where it stands, values decoded when asked. */
#include "store/part/part_read_priv.h"

enum {
    FEW_VALUES = 32
}; /* more are decoded with their whole column: getting one costs some 30 ns, decoding one less than 1 */

/* ---- parsing ------------------------------------------------------------------------------------------------------ */

struct cursor {
    struct group_reader *r;
    const struct part_block *b;
    struct str rest;
};

static err take_u32(struct cursor *c, uint32_t *out) {
    if (c->rest.n < 4) return part_corrupt(c->r, c->b, "cut short");
    *out = load_u32(c->rest.p);
    c->rest = str_span(c->rest.p + 4, c->rest.n - 4);
    return NULL;
}

static err take_bytes(struct cursor *c, uint64_t n, const unsigned char **out) {
    if (n > c->rest.n) return part_corrupt(c->r, c->b, "cut short");
    *out = (const unsigned char *)c->rest.p;
    c->rest = str_span(c->rest.p + n, c->rest.n - n);
    return NULL;
}

static err named(struct cursor *c, err e) {
    if (!e || err_kind(e) != ERR_CORRUPT) return e;
    err named = part_corrupt(c->r, c->b, err_text(e));
    err_free(e);
    return named;
}

static err take_ints(struct cursor *c, uint32_t n, struct ints *out) {
    TRY(named(c, ints_open(c->rest, n, out)));
    c->rest = str_span(c->rest.p + out->bytes, c->rest.n - out->bytes);
    return NULL;
}

static err take_numbers(struct cursor *c, uint32_t n, struct numbers *out) {
    const unsigned char *kind = NULL;
    TRY(take_bytes(c, 1, &kind));
    out->packed = *kind == NUMBERS_PACKED;
    if (!out->packed)
        return *kind == NUMBERS_INTS ? take_ints(c, n, &out->ints) : part_corrupt(c->r, c->b, "unknown numbers");
    TRY(named(c, codes_open(c->rest, n, &out->codes)));
    c->rest = str_span(c->rest.p + out->codes.bytes, c->rest.n - out->codes.bytes);
    return NULL;
}

static err take_zipped(struct cursor *c, struct str *out) {
    uint32_t raw_size = 0;
    TRY(take_u32(c, &raw_size));
    return named(c, part_unzip(c->r->arena, c->rest, raw_size, out));
}

static err take_plain_texts(struct cursor *c, struct texts *out) {
    struct ints sizes;
    struct str raw = {0};
    TRY(take_ints(c, out->n, &sizes));
    TRY(take_zipped(c, &raw));
    struct str *plain = ARENA_ARRAY(c->r->arena, struct str, out->n);
    uint64_t *all = ARENA_ARRAY(c->r->arena, uint64_t, out->n);
    size_t at = 0;
    ints_decode(&sizes, 0, out->n, all);
    for (uint32_t i = 0; i < out->n; i++) {
        uint64_t n = all[i];
        if (n > raw.n - at) return part_corrupt(c->r, c->b, "texts are cut short");
        plain[i] = str_span(raw.p + at, n);
        at += n;
    }
    out->plain = plain;
    return at == raw.n ? NULL : part_corrupt(c->r, c->b, "bytes behind the last text");
}

static err take_texts(struct cursor *c, uint32_t n, struct texts *out) {
    const struct part *p = c->r->part;
    const unsigned char *kind = NULL;
    TRY(take_bytes(c, 1, &kind));
    out->n = n;
    out->block = c->b;
    if (*kind == TEXTS_BYTES) return take_plain_texts(c, out);
    if (*kind != TEXTS_SPLIT) return part_corrupt(c->r, c->b, "unknown texts");
    struct text_skeletons *s = ARENA_ZERO(c->r->arena, struct text_skeletons, 1);
    *s = (struct text_skeletons){p->skeletons.n, p->skeletons.end, p->skeletons.heap};
    return named(c, text_block_open(c->r->arena, s, c->rest, n, &out->split));
}

static err take_runs(struct cursor *c, struct column *out) {
    struct ints counts;
    TRY(take_bytes(c, (uint64_t)out->count * 16, &out->raw));
    TRY(take_ints(c, out->count, &counts));
    uint32_t *ends = ARENA_ARRAY(c->r->arena, uint32_t, out->count);
    uint64_t end = 0, *all = ARENA_ARRAY(c->r->arena, uint64_t, out->count);
    ints_decode(&counts, 0, out->count, all);
    for (uint32_t i = 0; i < out->count; i++) {
        uint64_t rows = all[i];
        if (rows == 0 || rows > out->n) return part_corrupt(c->r, c->b, "a run of no rows");
        end += rows;
        if (end > out->n) return part_corrupt(c->r, c->b, "runs behind the last row");
        ends[i] = (uint32_t)end;
    }
    out->run_end = ends;
    return end == out->n ? NULL : part_corrupt(c->r, c->b, "rows without a run");
}

static err parse_encoding(struct cursor *c, struct column *out) {
    bool counted = out->encoding == ENCODING_RUNS || out->encoding == ENCODING_IDS ||
                   out->encoding == ENCODING_PARENTS || out->encoding == ENCODING_CODES ||
                   out->encoding == ENCODING_OWN || out->encoding == ENCODING_REST;
    if (counted) {
        TRY(take_u32(c, &out->count));
        if (out->count > out->n || (out->count == 0 && out->encoding != ENCODING_PARENTS))
            return part_corrupt(c->r, c->b, "a wrong count");
    }
    switch ((enum part_encoding)out->encoding) {
    case ENCODING_INTS:
    case ENCODING_BASED: return take_ints(c, out->n, &out->numbers.ints);
    case ENCODING_RAW8: return take_bytes(c, (uint64_t)out->n * 8, &out->raw);
    case ENCODING_RUNS: return take_runs(c, out);
    case ENCODING_IDS:
        TRY(take_bytes(c, (uint64_t)out->count * 16, &out->raw));
        return take_numbers(c, out->n, &out->numbers);
    case ENCODING_RUN_TIMES:
        TRY(group_open_traces(c->r));
        if (c->r->traces.encoding != ENCODING_RUNS) return part_corrupt(c->r, c->b, "no runs of trace ids");
        TRY(take_ints(c, c->r->traces.count, &out->list));
        return take_ints(c, out->n, &out->numbers.ints);
    case ENCODING_PARENTS:
        TRY(take_ints(c, out->n, &out->numbers.ints));
        TRY(take_ints(c, out->count, &out->list));
        return take_bytes(c, (uint64_t)out->count * 8, &out->raw);
    case ENCODING_CODES: TRY(take_ints(c, out->count, &out->list)); return take_numbers(c, out->n, &out->numbers);
    case ENCODING_OWN: TRY(take_numbers(c, out->n, &out->numbers)); return take_texts(c, out->count, &out->texts);
    case ENCODING_TEXTS: return take_texts(c, out->n, &out->texts);
    case ENCODING_REST: {
        struct str raw = {0};
        TRY(take_ints(c, out->count, &out->list));
        TRY(take_zipped(c, &raw));
        out->texts.plain = NULL;
        out->raw = (const unsigned char *)raw.p;
        out->texts.n = (uint32_t)raw.n;
        return NULL;
    }
    case ENCODING_ATTRIBUTE:
        TRY(take_u32(c, &out->count));
        if (out->count >= c->r->part->key_count || c->r->part->keys[out->count].type != VALUE_STRING)
            return part_corrupt(c->r, c->b, "the ids of no attribute");
        return NULL;
    case ENCODINGS: break;
    }
    return part_corrupt(c->r, c->b, "unknown encoding");
}

#define ONE(encoding) (1u << (encoding))

/* Encodings that a column may have. */
static uint32_t allowed(const struct part *p, const struct part_block *b) {
    const uint32_t texts = ONE(ENCODING_CODES) | ONE(ENCODING_OWN) | ONE(ENCODING_TEXTS);
    if (b->field == COLUMN_REST) return ONE(ENCODING_REST);
    if (b->field == COLUMN_ATTRIBUTE) {
        uint32_t type = p->keys[b->key].type;
        return type == VALUE_STRING || type == VALUE_BYTES || type == VALUE_ANY ? texts : ONE(ENCODING_INTS);
    }
    if (b->field == FIELD_RESOURCE || b->field == FIELD_SCOPE || b->field == FIELD_SHAPE) return ONE(ENCODING_CODES);
    if (b->field == FIELD_PARENT_ID) return ONE(ENCODING_PARENTS);
    if (b->field == FIELD_CORRELATION) return texts | ONE(ENCODING_ATTRIBUTE);
    switch (field_rows[b->field].type) {
    case FIELD_STRING: return texts;
    case FIELD_ID16: return ONE(ENCODING_RUNS) | ONE(ENCODING_IDS);
    case FIELD_ID8: return ONE(ENCODING_RAW8);
    case FIELD_U32: return ONE(ENCODING_INTS);
    case FIELD_U64: break;
    }
    if (b->field == FIELD_TIME && b->set == SET_ROWS) return ONE(ENCODING_INTS) | ONE(ENCODING_RUN_TIMES);
    if (b->field == FIELD_TIME || b->field == FIELD_OBSERVED) return ONE(ENCODING_INTS) | ONE(ENCODING_BASED);
    return ONE(ENCODING_INTS);
}

err column_parse(struct group_reader *r, const struct part_block *b, struct str bytes, struct column *out) {
    struct cursor c = {r, b, bytes};
    *out = (struct column){.encoding = b->encoding, .n = b->count};
    if (b->encoding >= ENCODINGS || !(allowed(r->part, b) & ONE(b->encoding)))
        return part_corrupt(r, b, "not an encoding of this column");
    return parse_encoding(&c, out);
}

err column_open_block(struct group_reader *r, const struct part_block *b, struct column *out) {
    struct str bytes;
    TRY(group_check_block(r, b, &bytes));
    return column_parse(r, b, bytes, out);
}

err column_open(struct group_reader *r, enum set set, uint8_t field, struct column *out) {
    const struct part_block *b = group_find_block(r, set, field, 0);
    if (b) return column_open_block(r, b, out);
    *out = (struct column){.n = r->g->set_rows[set]};
    return NULL;
}

err group_open_traces(struct group_reader *r) {
    if (r->has_traces) return NULL;
    TRY(column_open(r, SET_ROWS, FIELD_TRACE_ID, &r->traces));
    r->has_traces = true;
    return NULL;
}

static err open_times(struct group_reader *r) {
    if (r->has_times) return NULL;
    TRY(column_open(r, SET_ROWS, FIELD_TIME, &r->times));
    r->has_times = true;
    return NULL;
}

static err open_spans(struct group_reader *r) {
    if (r->has_spans) return NULL;
    TRY(column_open(r, SET_ROWS, FIELD_SPAN_ID, &r->spans));
    r->has_spans = true;
    return NULL;
}

/* For each event or link the row that it belongs to. */
err group_open_children(struct group_reader *r, enum set set) {
    uint32_t n = r->g->set_rows[set], rows = r->g->set_rows[SET_ROWS], k = 0;
    if (r->child_rows[set]) return NULL;
    struct column counts;
    TRY(column_open(r, SET_ROWS, set == SET_EVENTS ? FIELD_EVENT_END : FIELD_LINK_END, &counts));
    if (n && !counts.encoding)
        return err_new(ERR_CORRUPT, "part %s, group %u: %s without rows", r->part->path, r->group, set_names[set]);
    uint32_t *owner = ARENA_ARRAY(r->arena, uint32_t, n);
    uint64_t *all = ARENA_ARRAY(r->arena, uint64_t, rows);
    if (n) {
        ints_decode(&counts.numbers.ints, 0, rows, all);
        for (uint32_t i = 0; i < rows; i++)
            for (uint64_t j = 0; j < all[i]; j++) owner[k++] = i;
    }
    r->child_rows[set] = owner;
    return NULL;
}

/* ---- numbers ------------------------------------------------------------------------------------------------------ */

uint32_t numbers_get(const struct numbers *c, uint32_t i) {
    return c->packed ? codes_get(&c->codes, i) : (uint32_t)ints_get(&c->ints, i);
}

void numbers_decode(const struct numbers *c, uint32_t n, uint32_t *out) {
    if (c->packed) {
        codes_decode(&c->codes, 0, n, out);
        return;
    }
    uint64_t frame[FRAME_ROWS];
    for (uint32_t first = 0; first < n; first += FRAME_ROWS) {
        uint32_t count = MIN((uint32_t)FRAME_ROWS, n - first);
        ints_decode(&c->ints, first, count, frame);
        for (uint32_t i = 0; i < count; i++) out[first + i] = (uint32_t)frame[i];
    }
}

uint32_t *column_list_decode(struct group_reader *r, const struct column *c) {
    uint32_t *list = arena_alloc(r->arena, sizeof *list * (size_t)(c->count + 1));
    struct numbers n = {.packed = false, .ints = c->list};
    if (list) numbers_decode(&n, c->count, list);
    return list;
}

static uint32_t run_of(const struct column *traces, uint32_t row) {
    uint32_t low = 0, high = traces->count - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (traces->run_end[middle] > row)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

const unsigned char *column_id16(const struct column *c, uint32_t i) {
    static const unsigned char zero[16];
    if (c->encoding == ENCODING_RUNS) return c->raw + 16 * (size_t)run_of(c, i);
    if (c->encoding == ENCODING_IDS) return c->raw + 16 * (size_t)numbers_get(&c->numbers, i);
    return zero;
}

static err decode_run_times(const struct group_reader *r, const struct column *c, uint64_t *out) {
    const struct column *traces = &r->traces;
    uint64_t *bases = ARENA_ARRAY(r->arena, uint64_t, traces->count);
    ints_decode(&c->list, 0, traces->count, bases);
    ints_decode(&c->numbers.ints, 0, c->n, out);
    for (uint32_t run = 0, row = 0; run < traces->count; run++) {
        uint64_t time = bases[run];
        out[row++] = time;
        for (; row < traces->run_end[run]; row++) out[row] = time += out[row];
    }
    return NULL;
}

static uint64_t run_time(const struct group_reader *r, const struct column *c, uint32_t row) {
    uint32_t run = run_of(&r->traces, row), first = run ? r->traces.run_end[run - 1] : 0;
    uint64_t time = ints_get(&c->list, run), frame[FRAME_ROWS];
    for (uint32_t at = first + 1; at <= row; at += FRAME_ROWS) {
        uint32_t count = MIN((uint32_t)FRAME_ROWS, row + 1 - at);
        ints_decode(&c->numbers.ints, at, count, frame);
        for (uint32_t i = 0; i < count; i++) time += frame[i];
    }
    return time;
}

/* Of a value that is not PARENT_ESCAPED. */
static uint64_t near_parent(const struct group_reader *r, uint32_t row, uint64_t v) {
    if (v == PARENT_NONE) return 0;
    uint64_t zigzag = v - 2, parent = row + ((zigzag >> 1) ^ -(zigzag & 1));
    return r->spans.encoding ? load_u64(r->spans.raw + 8 * parent) : 0;
}

static uint64_t parent_id(const struct group_reader *r, const struct column *c, uint32_t row, uint64_t v) {
    uint32_t low = 0, high = c->count - 1;
    if (v != PARENT_ESCAPED) return near_parent(r, row, v);
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (ints_get(&c->list, middle) < row)
            low = middle + 1;
        else
            high = middle;
    }
    return load_u64(c->raw + 8 * (size_t)low);
}

/* All rows: those with an escape stand in the list in their order. */
static err decode_parents(struct group_reader *r, const struct column *c, uint64_t *out) {
    uint32_t *escapes = column_list_decode(r, c), at = 0;
    if (!escapes) return arena_err(r->arena);
    TRY(open_spans(r));
    for (uint32_t i = 0; i < c->n; i++) {
        if (out[i] != PARENT_ESCAPED) {
            out[i] = near_parent(r, i, out[i]);
            continue;
        }
        while (at + 1 < c->count && escapes[at] < i) at++;
        out[i] = load_u64(c->raw + 8 * (size_t)at);
    }
    return NULL;
}

/* Times that a BASED column is relative to, for its rows (NULL: all). */
static err add_bases(struct group_reader *r, enum set set, const uint32_t *rows, uint32_t n, uint64_t *out) {
    uint64_t *bases = ARENA_ARRAY(r->arena, uint64_t, n);
    TRY(open_times(r));
    if (set != SET_ROWS) {
        uint32_t *owners = ARENA_ARRAY(r->arena, uint32_t, n);
        TRY(group_open_children(r, set));
        for (uint32_t i = 0; i < n; i++) owners[i] = r->child_rows[set][rows ? rows[i] : i];
        rows = owners;
    }
    if (rows)
        TRY(column_decode_some(r, SET_ROWS, FIELD_TIME, &r->times, rows, n, bases));
    else
        TRY(column_decode(r, SET_ROWS, FIELD_TIME, &r->times, bases));
    for (uint32_t i = 0; i < n; i++) out[i] += bases[i];
    return NULL;
}

err column_decode(struct group_reader *r, enum set set, uint8_t field, const struct column *c, uint64_t *out) {
    (void)field;
    switch (c->encoding) {
    case 0: memset(out, 0, c->n * sizeof *out); return NULL;
    case ENCODING_RAW8: memcpy(out, c->raw, c->n * sizeof *out); return NULL;
    case ENCODING_RUN_TIMES: TRY(group_open_traces(r)); return decode_run_times(r, c, out);
    case ENCODING_REST: memcpy(out, c->values, c->n * sizeof *out); return NULL;
    default: break;
    }
    ints_decode(&c->numbers.ints, 0, c->n, out);
    if (c->encoding == ENCODING_BASED) return add_bases(r, set, NULL, c->n, out);
    return c->encoding == ENCODING_PARENTS ? decode_parents(r, c, out) : NULL;
}

static uint64_t get_number(const struct group_reader *r, const struct column *c, uint32_t row) {
    switch (c->encoding) {
    case 0: return 0;
    case ENCODING_RAW8: return load_u64(c->raw + 8 * (size_t)row);
    case ENCODING_RUN_TIMES: return run_time(r, c, row);
    case ENCODING_REST: return c->values[row];
    case ENCODING_PARENTS: return parent_id(r, c, row, ints_get(&c->numbers.ints, row));
    default: return ints_get(&c->numbers.ints, row);
    }
}

/* Rows of one trace, or one time, stand together: then only the values from the first to the last of them are decoded. */
static bool are_close(const struct column *c, const uint32_t *rows, uint32_t n, uint32_t *out_first,
                      uint32_t *out_count) {
    uint32_t low = rows[0], high = rows[0];
    for (uint32_t i = 1; i < n; i++) {
        low = MIN(low, rows[i]);
        high = MAX(high, rows[i]);
    }
    *out_first = low;
    *out_count = high - low + 1;
    return *out_count <= c->n / 4;
}

/* Times from the start of the run that `first` is in; *out_from gets that row. */
static err near_run_times(struct group_reader *r, const struct column *c, uint32_t first, uint32_t count,
                          uint32_t *out_from, uint64_t **out) {
    uint32_t run = run_of(&r->traces, first), end = first + count, from = run ? r->traces.run_end[run - 1] : 0;
    uint64_t *times = ARENA_ARRAY(r->arena, uint64_t, end - from), time = 0;
    ints_decode(&c->numbers.ints, from, end - from, times);
    for (uint32_t row = from, start = from; row < end; row++) {
        time = row == start ? ints_get(&c->list, run) : time + times[row - from];
        times[row - from] = time;
        if (row + 1 == r->traces.run_end[run]) start = r->traces.run_end[run++];
    }
    *out_from = from;
    *out = times;
    return NULL;
}

static err decode_close(struct group_reader *r, enum set set, const struct column *c, const uint32_t *rows, uint32_t n,
                        uint32_t first, uint32_t count, uint64_t *out) {
    uint64_t *values = NULL;
    if (c->encoding == ENCODING_RUN_TIMES) {
        TRY(group_open_traces(r));
        TRY(near_run_times(r, c, first, count, &first, &values));
    } else {
        values = ARENA_ARRAY(r->arena, uint64_t, count);
        ints_decode(&c->numbers.ints, first, count, values);
    }
    if (c->encoding == ENCODING_PARENTS) TRY(open_spans(r));
    for (uint32_t i = 0; i < n; i++) {
        uint64_t v = values[rows[i] - first];
        out[i] = c->encoding == ENCODING_PARENTS ? parent_id(r, c, rows[i], v) : v;
    }
    return c->encoding == ENCODING_BASED ? add_bases(r, set, rows, n, out) : NULL;
}

err column_decode_some(struct group_reader *r, enum set set, uint8_t field, const struct column *c,
                       const uint32_t *rows, uint32_t n, uint64_t *out) {
    uint32_t first, count;
    bool direct = !c->encoding || c->encoding == ENCODING_RAW8 || c->encoding == ENCODING_REST;
    if (n > FEW_VALUES && !direct && are_close(c, rows, n, &first, &count))
        return decode_close(r, set, c, rows, n, first, count, out);
    if (n > FEW_VALUES && !direct) {
        uint64_t *all = ARENA_ARRAY(r->arena, uint64_t, c->n);
        TRY(column_decode(r, set, field, c, all));
        for (uint32_t i = 0; i < n; i++) out[i] = all[rows[i]];
        return NULL;
    }
    if (c->encoding == ENCODING_RUN_TIMES) TRY(group_open_traces(r));
    if (c->encoding == ENCODING_PARENTS) TRY(open_spans(r));
    for (uint32_t i = 0; i < n; i++) out[i] = get_number(r, c, rows[i]);
    return c->encoding == ENCODING_BASED ? add_bases(r, set, rows, n, out) : NULL;
}

/* ---- texts -------------------------------------------------------------------------------------------------------- */

/* Split texts are checked as they are read: names the block of what was found then. */
err text_problem(const struct group_reader *r, const struct texts *t, err e) {
    if (!e || err_kind(e) != ERR_CORRUPT) return e;
    err named = part_corrupt(r, t->block, err_text(e));
    err_free(e);
    return named;
}

err texts_get_some(struct group_reader *r, const struct texts *t, const uint32_t *which, uint32_t n, struct str *out) {
    if (t->split) return text_problem(r, t, text_get_many(t->split, which, n, out));
    for (uint32_t i = 0; i < n; i++) out[i] = t->plain[which ? which[i] : i];
    return NULL;
}

/* Codes → the distinct ones in order of first use; codes[i] becomes the index in `used`. */
static err compact(struct group_reader *r, uint32_t *codes, uint32_t n, uint32_t limit, uint32_t **out_used,
                   uint32_t *out_count) {
    uint32_t *seen = ARENA_ZERO(r->arena, uint32_t, limit), *used = ARENA_ARRAY(r->arena, uint32_t, MIN(n, limit)),
             count = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t *s = &seen[codes[i]];
        if (!*s) {
            used[count] = codes[i];
            *s = ++count;
        }
        codes[i] = *s - 1;
    }
    *out_used = used;
    *out_count = count;
    return NULL;
}

static err get_codes(struct group_reader *r, const struct column *c, const uint32_t *rows, uint32_t n, uint32_t *out) {
    if (n <= FEW_VALUES || (c->numbers.packed && n <= c->n / 8)) {
        for (uint32_t i = 0; i < n; i++) out[i] = numbers_get(&c->numbers, rows[i]);
        return NULL;
    }
    uint32_t first, count;
    if (!c->numbers.packed && are_close(c, rows, n, &first, &count)) {
        uint64_t *near = ARENA_ARRAY(r->arena, uint64_t, count);
        ints_decode(&c->numbers.ints, first, count, near);
        for (uint32_t i = 0; i < n; i++) out[i] = (uint32_t)near[rows[i] - first];
        return NULL;
    }
    uint32_t *all = ARENA_ARRAY(r->arena, uint32_t, c->n);
    numbers_decode(&c->numbers, c->n, all);
    for (uint32_t i = 0; i < n; i++) out[i] = all[rows[i]];
    return NULL;
}

/* Part codes of resources or scopes. */
err column_entities(struct group_reader *r, const struct column *c, const uint32_t *rows, uint32_t n, uint32_t *out) {
    if (!c->encoding) {
        memset(out, 0, n * sizeof *out);
        return NULL;
    }
    uint32_t *list = column_list_decode(r, c);
    if (!list) return arena_err(r->arena);
    TRY(get_codes(r, c, rows, n, out));
    for (uint32_t i = 0; i < n; i++) out[i] = list[out[i]];
    return NULL;
}

static err list_texts(struct group_reader *r, const struct column *c, const uint32_t *used, uint32_t n,
                      struct str *out) {
    uint32_t *list = NULL;
    if (n > FEW_VALUES) {
        list = column_list_decode(r, c);
        if (!list) return arena_err(r->arena);
    }
    for (uint32_t i = 0; i < n; i++)
        out[i] = part_string(&r->part->strings, list ? list[used[i]] : column_list(c, used[i]));
    return NULL;
}

err column_texts(struct group_reader *r, const struct column *c, const uint32_t *rows, uint32_t n, uint32_t *out_codes,
                 const struct str **out_texts, uint32_t *out_text_count) {
    static const struct str empty = {"", 0};
    uint32_t *used = NULL, count = 0;
    if (c->encoding == ENCODING_CODES || c->encoding == ENCODING_OWN) {
        TRY(get_codes(r, c, rows, n, out_codes));
        TRY(compact(r, out_codes, n, c->count, &used, &count));
        struct str *texts = ARENA_ARRAY(r->arena, struct str, count);
        if (c->encoding == ENCODING_OWN)
            TRY(texts_get_some(r, &c->texts, used, count, texts));
        else
            TRY(list_texts(r, c, used, count, texts));
        *out_texts = texts;
        *out_text_count = count;
        return NULL;
    }
    if (!c->encoding) {
        memset(out_codes, 0, n * sizeof *out_codes);
        *out_texts = &empty;
        *out_text_count = 1;
        return NULL;
    }
    struct str *texts = ARENA_ARRAY(r->arena, struct str, n);
    TRY(texts_get_some(r, &c->texts, rows, n, texts));
    for (uint32_t i = 0; i < n; i++) out_codes[i] = i;
    *out_texts = texts;
    *out_text_count = n;
    return NULL;
}
