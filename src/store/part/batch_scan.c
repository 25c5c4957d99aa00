/* Scanning a memory batch: the same answers as from a part, row by row. */
#include "signal/otlp.h"
#include "store/part/batch_scan_priv.h"
#include "store/part/part_format_priv.h"

#define ARRAY(arena, type, count)                                                                                      \
    ({                                                                                                                 \
        type *array_ = arena_alloc((arena), sizeof(type) * ((size_t)(count) + 1));                                     \
        if (!array_) return arena_err(arena);                                                                          \
        array_;                                                                                                        \
    })

/* ---- rows --------------------------------------------------------------------------------------------------------- */

static uint32_t rows_in_time(const struct batch *b, const struct scan_request *q, uint32_t *rows) {
    uint32_t n = 0;
    bool all = q->time_min <= b->time_min && q->time_max >= b->time_max;
    for (uint32_t row = 0; row < b->rows; row++) {
        int64_t time = all ? 0 : time_clamp(batch_u64(b, SET_ROWS, FIELD_TIME, row));
        if (all || (time >= q->time_min && time <= q->time_max)) rows[n++] = row;
    }
    return n;
}

/* Resource predicates say the same of all rows of a resource: asked once for each. */
static err keep_by_resource(const struct batch *b, const struct predicate *p, enum field field, struct arena *a,
                            uint32_t *rows, uint32_t *n) {
    enum set set = field == FIELD_RESOURCE ? SET_RESOURCES : SET_SCOPES;
    uint8_t *known = arena_zero(a, b->set_rows[set] + 1);
    uint32_t kept = 0;
    if (!known) return arena_err(a);
    for (uint32_t i = 0; i < *n; i++) {
        uint8_t *answer = &known[batch_u32(b, SET_ROWS, field, rows[i])];
        if (!*answer) *answer = predicate_matches_row(p, b, rows[i]) ? 2 : 1;
        if (*answer == 2) rows[kept++] = rows[i];
    }
    *n = kept;
    return NULL;
}

/* ---- attributes: where a shape has the key is the same for all its rows ------------------------------------------- */

enum { SHAPE_UNKNOWN = 0, SHAPE_WITHOUT = 1, SHAPE_SEVERAL = 2, SHAPE_AT = 3 /* + position */ };

static uint32_t look_at_shape(const struct batch *b, uint32_t row, struct str name) {
    struct batch_attributes attributes = batch_attributes(b, SET_ROWS, row);
    uint32_t answer = SHAPE_WITHOUT;
    for (uint32_t i = 0; i < attributes.n; i++) {
        if (!str_equal(batch_string(b, b->keys[attributes.keys[i]].name), name)) continue;
        answer = answer == SHAPE_WITHOUT ? SHAPE_AT + i : SHAPE_SEVERAL;
    }
    return answer;
}

struct attribute_memory {
    uint32_t *shapes;             /* SHAPE_… */
    uint8_t *strings, *resources; /* 0 unknown, 1 no, 2 yes */
};

static bool string_matches(const struct batch *b, const struct predicate *p, uint64_t id, uint8_t *known) {
    if (!*known) *known = predicate_matches_text(p, batch_string(b, (uint32_t)id)) ? 2 : 1;
    return *known == 2;
}

static bool row_matches(const struct batch *b, const struct predicate *p, uint32_t row, struct attribute_memory *m) {
    uint32_t *shape = &m->shapes[batch_u32(b, SET_ROWS, FIELD_SHAPE, row)];
    if (*shape == SHAPE_UNKNOWN) *shape = look_at_shape(b, row, p->column.key);
    if (*shape == SHAPE_SEVERAL) return predicate_matches_row(p, b, row);
    if (*shape == SHAPE_WITHOUT) { /* then it is the resource's, or nobody's */
        uint8_t *known = &m->resources[batch_u32(b, SET_ROWS, FIELD_RESOURCE, row)];
        if (!*known) *known = predicate_matches_row(p, b, row) ? 2 : 1;
        return *known == 2;
    }
    struct batch_attributes attributes = batch_attributes(b, SET_ROWS, row);
    uint32_t at = *shape - SHAPE_AT;
    enum value_type type = (enum value_type)b->keys[attributes.keys[at]].type;
    uint64_t value = attributes.values[at];
    bool matches = type == VALUE_STRING ? string_matches(b, p, value, &m->strings[value])
                                        : predicate_matches_value(p, b, type, value);
    return matches != predicate_is_negative(p);
}

static err keep_by_attribute(const struct batch *b, const struct predicate *p, struct arena *a, uint32_t *rows,
                             uint32_t *n) {
    struct attribute_memory m = {arena_zero(a, (b->shape_count + 1) * sizeof *m.shapes), NULL, NULL};
    m.strings = arena_zero(a, b->string_count + 1);
    m.resources = arena_zero(a, b->set_rows[SET_RESOURCES] + 1);
    if (!m.shapes || !m.strings || !m.resources) return arena_err(a);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < *n; i++)
        if (row_matches(b, p, rows[i], &m)) rows[kept++] = rows[i];
    *n = kept;
    return NULL;
}

static bool text_matches(const struct batch *b, const struct predicate *p, uint32_t row, uint32_t id) {
    if (p->op != OP_EQUAL) return predicate_matches_row(p, b, row);
    return str_equal(batch_string(b, id), p->text);
}

/* A text field: neighbours often have the same string, which is looked at once. */
static void keep_by_text(const struct batch *b, const struct predicate *p, uint32_t *rows, uint32_t *n) {
    const struct batch_column *c = &b->columns[SET_ROWS][p->column.field];
    uint32_t kept = 0, last = UINT32_MAX;
    bool matches = false;
    if (!c->mask && *n && !predicate_matches_row(p, b, rows[0])) *n = 0; /* all rows have the same */
    for (uint32_t i = 0; c->mask && i < *n; i++) {
        uint32_t id = ((const uint32_t *)c->p)[rows[i]];
        if (id != last) matches = text_matches(b, p, rows[i], id);
        last = id;
        if (matches) rows[kept++] = rows[i];
    }
    if (c->mask) *n = kept;
}

static err keep_matching(const struct batch *b, const struct predicate *p, struct arena *a, uint32_t *rows,
                         uint32_t *n) {
    enum target target = p->column.target;
    if (target == TARGET_RESOURCE) return keep_by_resource(b, p, FIELD_RESOURCE, a, rows, n);
    if (target == TARGET_SCOPE) return keep_by_resource(b, p, FIELD_SCOPE, a, rows, n);
    if (target == TARGET_TEXT) return batch_keep_words(b, p, a, rows, n);
    if (target == TARGET_ATTRIBUTE || target == TARGET_ANY) return keep_by_attribute(b, p, a, rows, n);
    if (target == TARGET_FIELD && p->column.field == FIELD_CORRELATION) {
        keep_by_text(b, p, rows, n);
        return NULL;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < *n; i++)
        if (predicate_matches_row(p, b, rows[i])) rows[kept++] = rows[i];
    *n = kept;
    return NULL;
}

/* Cheap kinds first: every predicate must hold, so the order is free. */
static int cost_of(const struct predicate *p) {
    if (p->column.target == TARGET_RESOURCE || p->column.target == TARGET_SCOPE) return 0;
    if (p->column.target == TARGET_FIELD && !p->regex) return 1;
    return p->column.target == TARGET_TEXT ? 3 : 2;
}

static err match_rows(const struct batch *b, const struct scan_request *q, struct arena *a, uint32_t *rows,
                      uint32_t *n) {
    *n = rows_in_time(b, q, rows);
    for (int cost = 0; cost <= 3; cost++)
        for (size_t i = 0; i < q->predicate_count && *n; i++)
            if (cost_of(&q->predicates[i]) == cost) TRY(keep_matching(b, &q->predicates[i], a, rows, n));
    return NULL;
}

/* ---- columns ------------------------------------------------------------------------------------------------------ */

static err value_text(struct arena *a, const struct batch *b, enum value_type type, uint64_t value, struct str *out) {
    if (type == VALUE_STRING) {
        *out = batch_string(b, (uint32_t)value);
        return NULL;
    }
    AUTO_BUF struct buf text;
    buf_init(&text, 64 * MIB);
    value_write_text(b, type, value, &text);
    *out = arena_copy(a, buf_str(&text));
    return out->p ? NULL : arena_err(a);
}

static struct str absent(void) { return (struct str){0}; }

static err set_text(struct arena *a, const struct batch *b, enum set set, uint32_t row, struct str key,
                    struct str *out) {
    enum value_type type;
    uint64_t value;
    *out = absent();
    if (!batch_find_attribute(b, set, row, key, &type, &value)) return NULL;
    return value_text(a, b, type, value, out);
}

static err scope_text(struct arena *a, const struct batch *b, uint32_t row, struct str key, struct str *out) {
    enum field f = str_equal(key, STR("name")) ? FIELD_NAME : str_equal(key, STR("version")) ? FIELD_VERSION : FIELDS;
    if (f != FIELDS && batch_text(b, SET_SCOPES, f, row).n) {
        *out = batch_text(b, SET_SCOPES, f, row);
        return NULL;
    }
    return set_text(a, b, SET_SCOPES, row, key, out);
}

static err field_text(struct arena *a, const struct batch *b, enum field f, uint32_t row, struct str *out) {
    *out = absent();
    if (f == FIELD_BODY) {
        uint32_t type = batch_u32(b, SET_ROWS, FIELD_BODY_TYPE, row);
        if (type == VALUE_EMPTY) return NULL;
        return value_text(a, b, (enum value_type)type, batch_u32(b, SET_ROWS, f, row), out);
    }
    if (batch_text(b, SET_ROWS, f, row).n) *out = batch_text(b, SET_ROWS, f, row);
    return NULL;
}

/* The text of a wanted column in one row; p NULL: absent. */
static err row_text(struct arena *a, const struct batch *b, const struct column_ref *c, uint32_t row, struct str *out) {
    uint32_t resource = batch_u32(b, SET_ROWS, FIELD_RESOURCE, row);
    switch (c->target) {
    case TARGET_FIELD: return field_text(a, b, c->field, row, out);
    case TARGET_ATTRIBUTE: return set_text(a, b, SET_ROWS, row, c->key, out);
    case TARGET_RESOURCE: return set_text(a, b, SET_RESOURCES, resource, c->key, out);
    case TARGET_SCOPE: return scope_text(a, b, batch_u32(b, SET_ROWS, FIELD_SCOPE, row), c->key, out);
    case TARGET_ANY:
        TRY(set_text(a, b, SET_ROWS, row, c->key, out));
        return out->p ? NULL : set_text(a, b, SET_RESOURCES, resource, c->key, out);
    case TARGET_EVENT:
    case TARGET_TEXT: break;
    }
    *out = absent();
    return NULL;
}

/* Which rows surely have the same text: those of one resource, scope or string id. UINT32_MAX: not known. */
static uint32_t sameness(const struct batch *b, const struct column_ref *c, uint32_t row) {
    if (c->target == TARGET_RESOURCE) return batch_u32(b, SET_ROWS, FIELD_RESOURCE, row);
    if (c->target == TARGET_SCOPE) return batch_u32(b, SET_ROWS, FIELD_SCOPE, row);
    if (c->target == TARGET_FIELD && c->field != FIELD_BODY) return batch_u32(b, SET_ROWS, c->field, row);
    return UINT32_MAX;
}

static err fill_texts(const struct batch *b, const struct column_ref *c, const uint32_t *rows, uint32_t n,
                      struct arena *a, struct vector *out) {
    uint32_t *codes = ARRAY(a, uint32_t, n), count = 0, limit;
    struct str *texts = ARRAY(a, struct str, n);
    limit = MAX(b->string_count, MAX(b->set_rows[SET_RESOURCES], b->set_rows[SET_SCOPES]));
    bool repeats = n && sameness(b, c, rows[0]) != UINT32_MAX;
    uint32_t *known = repeats ? arena_zero(a, (limit + 1) * sizeof *known) : NULL; /* code + 1 */
    if (repeats && !known) return arena_err(a);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t same = repeats ? sameness(b, c, rows[i]) : 0;
        if (repeats && known[same]) {
            codes[i] = known[same] == UINT32_MAX ? CODE_ABSENT : known[same] - 1;
            continue;
        }
        TRY(row_text(a, b, c, rows[i], &texts[count]));
        codes[i] = texts[count].p ? count++ : CODE_ABSENT;
        if (repeats) known[same] = codes[i] == CODE_ABSENT ? UINT32_MAX : codes[i] + 1;
    }
    *out = (struct vector){.type = VECTOR_TEXT, .codes = codes, .texts = texts, .text_count = count};
    return NULL;
}

static err fill_field(const struct batch *b, enum field f, const uint32_t *rows, uint32_t n, struct arena *a,
                      struct vector *out) {
    if (field_rows[f].type == FIELD_ID16) {
        unsigned char *ids = ARRAY(a, unsigned char, 16 * (size_t)n);
        for (uint32_t i = 0; i < n; i++) memcpy(ids + 16 * (size_t)i, batch_id16(b, SET_ROWS, f, rows[i]), 16);
        *out = (struct vector){.type = VECTOR_ID16, .id16 = ids};
        return NULL;
    }
    bool wide = field_rows[f].type == FIELD_U64 || field_rows[f].type == FIELD_ID8;
    uint64_t *v = ARRAY(a, uint64_t, n);
    for (uint32_t i = 0; i < n; i++)
        v[i] = wide ? batch_u64(b, SET_ROWS, f, rows[i]) : batch_u32(b, SET_ROWS, f, rows[i]);
    *out = (struct vector){.type = VECTOR_U64, .u64 = v};
    return NULL;
}

static err fill_column(const struct batch *b, const struct column_ref *c, const uint32_t *rows, uint32_t n,
                       struct arena *a, struct vector *out) {
    if (c->target == TARGET_FIELD && field_rows[c->field].type != FIELD_STRING)
        return fill_field(b, c->field, rows, n, a, out);
    return fill_texts(b, c, rows, n, a, out);
}

err batch_scan(const struct batch *b, const struct scan_request *r, struct arena *a, struct chunk *out,
               struct scan_stats *stats) {
    *out = (struct chunk){.rest_time_max = INT64_MAX};
    stats->groups++;
    if (!b->rows || b->time_max < r->time_min || b->time_min > r->time_max) {
        stats->groups_pruned++;
        return NULL;
    }
    uint32_t *rows = ARRAY(a, uint32_t, b->rows), n = 0;
    TRY(match_rows(b, r, a, rows, &n));
    if (n && !r->count_only) {
        struct vector *vectors = ARRAY(a, struct vector, r->column_count);
        for (size_t i = 0; i < r->column_count; i++) TRY(fill_column(b, &r->columns[i], rows, n, a, &vectors[i]));
        out->columns = vectors;
        out->rows = rows;
    }
    out->n = n;
    stats->rows_scanned += b->rows;
    stats->rows_matched += n;
    return NULL;
}
