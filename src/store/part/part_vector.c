/* The wanted columns of matching rows: numbers and ids as they are, all else as texts with a code per row. */
#include "signal/otlp.h"
#include "store/part/part_scan_priv.h"

/* ---- resources and scopes, once a part ---------------------------------------------------------------------------- */

static err value_text(struct arena *a, const struct batch *b, enum value_type type, uint64_t value, struct str *out) {
    AUTO_BUF struct buf text;
    buf_init(&text, 64 * MIB);
    value_write_text(b, type, value, &text);
    *out = arena_copy(a, buf_str(&text));
    return out->p ? NULL : arena_err(a);
}

/* The scope's name or version where that is asked and there, else the first attribute of the key; p NULL: neither. */
static err entity_text(struct arena *a, const struct batch *b, enum set set, uint32_t row, struct str key,
                       struct str *out) {
    enum field f = str_equal(key, STR("name")) ? FIELD_NAME : str_equal(key, STR("version")) ? FIELD_VERSION : FIELDS;
    enum value_type type;
    uint64_t value;
    *out = (struct str){0};
    if (set == SET_SCOPES && f != FIELDS && batch_text(b, set, f, row).n) {
        *out = batch_text(b, set, f, row);
        return NULL;
    }
    if (!batch_find_attribute(b, set, row, key, &type, &value)) return NULL;
    return value_text(a, b, type, value, out);
}

static err open_want(struct part_scan *s, struct want *w) {
    enum target target = w->column->target;
    if (target == TARGET_ATTRIBUTE || target == TARGET_ANY)
        TRY(part_keys_named(s->part, s->arena, w->column->key, &w->keys, &w->key_count));
    if (target != TARGET_RESOURCE && target != TARGET_ANY && target != TARGET_SCOPE) return NULL;
    enum set set = target == TARGET_SCOPE ? SET_SCOPES : SET_RESOURCES;
    uint32_t n = s->part->entities.set_rows[set];
    w->entity_texts = ARENA_ARRAY(s->arena, struct str, n);
    for (uint32_t i = 0; i < n; i++)
        TRY(entity_text(s->arena, &s->part->entities, set, i, w->column->key, &w->entity_texts[i]));
    return NULL;
}

err part_want_open(struct part_scan *s) {
    const struct scan_request *q = s->request;
    s->wants = ARENA_ZERO(s->arena, struct want, q->column_count);
    for (size_t i = 0; i < q->column_count; i++) {
        s->wants[i].column = &q->columns[i];
        TRY(open_want(s, &s->wants[i]));
    }
    return NULL;
}

/* ---- fields ------------------------------------------------------------------------------------------------------- */

struct fill {
    struct part_scan *s;
    struct group_reader *r;
    const uint32_t *rows;
    uint32_t n;
};

static err fill_ids(struct fill *f, const struct column *c, struct vector *out) {
    unsigned char *ids = ARENA_ARRAY(f->r->arena, unsigned char, 16 * (size_t)f->n);
    uint32_t run = 0; /* rows ascend: so do their runs */
    for (uint32_t i = 0; i < f->n; i++) {
        const unsigned char *id;
        if (c->encoding == ENCODING_RUNS) {
            if (f->n > c->count / 8)
                while (c->run_end[run] <= f->rows[i]) run++;
            id = f->n > c->count / 8 ? c->raw + 16 * (size_t)run : column_id16(c, f->rows[i]);
        } else {
            id = column_id16(c, f->rows[i]);
        }
        memcpy(ids + 16 * (size_t)i, id, 16);
    }
    *out = (struct vector){.type = VECTOR_ID16, .id16 = ids};
    return NULL;
}

static err fill_numbers(struct fill *f, enum field field, const struct column *c, struct vector *out) {
    uint64_t *v = ARENA_ARRAY(f->r->arena, uint64_t, f->n);
    TRY(column_decode_some(f->r, SET_ROWS, (uint8_t)field, c, f->rows, f->n, v));
    *out = (struct vector){.type = VECTOR_U64, .u64 = v};
    return NULL;
}

static err fill_absent(struct fill *f, struct vector *out) {
    uint32_t *codes = ARENA_ARRAY(f->r->arena, uint32_t, f->n);
    for (uint32_t i = 0; i < f->n; i++) codes[i] = CODE_ABSENT;
    *out = (struct vector){.type = VECTOR_TEXT, .codes = codes};
    return NULL;
}

/* A body that is no string is written as display text. */
static err correct_bodies(struct fill *f, uint32_t *codes, struct vector *v) {
    struct column type_column;
    uint64_t *types = ARENA_ARRAY(f->r->arena, uint64_t, f->n);
    TRY(column_open(f->r, SET_ROWS, FIELD_BODY_TYPE, &type_column));
    TRY(column_decode_some(f->r, SET_ROWS, FIELD_BODY_TYPE, &type_column, f->rows, f->n, types));
    uint32_t others = 0;
    for (uint32_t i = 0; i < f->n; i++) others += types[i] != VALUE_STRING && types[i] != VALUE_EMPTY;
    struct str *texts = ARENA_ARRAY(f->r->arena, struct str, v->text_count + others);
    if (v->text_count) memcpy(texts, v->texts, v->text_count * sizeof *texts);
    v->texts = texts;
    for (uint32_t i = 0; i < f->n; i++) {
        struct one_string one;
        if (types[i] == VALUE_STRING) continue;
        if (types[i] == VALUE_EMPTY) {
            codes[i] = CODE_ABSENT;
            continue;
        }
        TRY(value_text(f->r->arena, one_string(&one, texts[codes[i]]), (enum value_type)types[i], 0,
                       &texts[v->text_count]));
        codes[i] = v->text_count++;
    }
    return NULL;
}

static err fill_strings(struct fill *f, enum field field, const struct column *c, struct vector *out) {
    uint32_t *codes = ARENA_ARRAY(f->r->arena, uint32_t, f->n), count = 0;
    const struct str *texts = NULL;
    TRY(column_texts(f->r, c, f->rows, f->n, codes, &texts, &count));
    *out = (struct vector){.type = VECTOR_TEXT, .codes = codes, .texts = texts, .text_count = count};
    if (field == FIELD_BODY) return correct_bodies(f, codes, out);
    for (uint32_t i = 0; i < f->n; i++)
        if (texts[codes[i]].n == 0) codes[i] = CODE_ABSENT;
    return NULL;
}

/* Correlation ids, wherever they stand. */
static err fill_row_ids(struct fill *f, struct vector *out) {
    struct column c;
    const uint32_t *values;
    TRY(group_open_ids(f->r, &c, &values));
    if (!values) return fill_strings(f, FIELD_CORRELATION, &c, out);
    uint32_t *places = ARENA_ARRAY(f->r->arena, uint32_t, f->n), *codes = ARENA_ARRAY(f->r->arena, uint32_t, f->n);
    uint32_t *numbers = ARENA_ARRAY(f->r->arena, uint32_t, f->n);
    struct fill some = {f->s, f->r, numbers, 0};
    for (uint32_t i = 0; i < f->n; i++) {
        codes[i] = CODE_ABSENT;
        if (values[f->rows[i]] == NO_VALUE) continue;
        numbers[some.n] = values[f->rows[i]];
        places[some.n++] = i;
    }
    TRY(fill_strings(&some, FIELD_CORRELATION, &c, out));
    for (uint32_t i = 0; i < some.n; i++) codes[places[i]] = out->codes[i];
    out->codes = codes;
    return NULL;
}

static err fill_field(struct fill *f, enum field field, struct vector *out) {
    struct column c;
    enum field_type type = field_rows[field].type;
    bool there = field_in(field, f->s->part->info.signal, SET_ROWS);
    if (there && field == FIELD_CORRELATION) return fill_row_ids(f, out);
    if (!there) {
        c = (struct column){.n = f->r->g->set_rows[SET_ROWS]};
        if (type == FIELD_STRING) return fill_absent(f, out);
    } else {
        TRY(column_open(f->r, SET_ROWS, (uint8_t)field, &c));
    }
    if (type == FIELD_STRING) return fill_strings(f, field, &c, out);
    return type == FIELD_ID16 ? fill_ids(f, &c, out) : fill_numbers(f, field, &c, out);
}

/* ---- attributes --------------------------------------------------------------------------------------------------- */

/* The first attribute of a name in each row: of which of the keys, and its number among that key's values. */
struct first_values {
    uint32_t *key; /* per row: index into want->keys, or CODE_ABSENT */
    uint32_t *index;
    uint32_t **occurrences; /* per key, per shape */
};

static err first_keys_of_shapes(struct fill *f, const struct want *w, uint32_t **out) {
    const struct set_shapes *s = &f->r->shapes[SET_ROWS];
    uint32_t *first = ARENA_ARRAY(f->r->arena, uint32_t, s->count);
    for (uint32_t i = 0; i < s->count; i++) {
        uint32_t n;
        const uint32_t *keys = part_shape(f->r->part, s->list[i], &n);
        first[i] = CODE_ABSENT;
        for (uint32_t k = 0; k < n && first[i] == CODE_ABSENT; k++)
            for (uint32_t j = 0; j < w->key_count; j++)
                if (keys[k] == w->keys[j]) first[i] = j;
    }
    *out = first;
    return NULL;
}

static err find_first_values(struct fill *f, const struct want *w, struct first_values *out) {
    struct arena *arena = f->r->arena;
    const struct set_shapes *s = &f->r->shapes[SET_ROWS];
    uint32_t *first = NULL, *counters = ARENA_ZERO(arena, uint32_t, w->key_count), at = 0;
    TRY(first_keys_of_shapes(f, w, &first));
    out->key = ARENA_ARRAY(arena, uint32_t, f->n);
    out->index = ARENA_ARRAY(arena, uint32_t, f->n);
    out->occurrences = ARENA_ARRAY(arena, uint32_t *, w->key_count);
    for (uint32_t k = 0; k < w->key_count; k++) {
        out->occurrences[k] = ARENA_ARRAY(arena, uint32_t, s->count);
        shapes_have_key(f->r, SET_ROWS, w->keys[k], out->occurrences[k]);
    }
    for (uint32_t i = 0; i < f->n; i++) {
        for (; at < f->rows[i]; at++)
            for (uint32_t k = 0; k < w->key_count; k++) counters[k] += out->occurrences[k][s->codes ? s->codes[at] : 0];
        uint32_t key = first[s->codes ? s->codes[at] : 0];
        out->key[i] = key;
        out->index[i] = key == CODE_ABSENT ? 0 : counters[key];
    }
    return NULL;
}

static err number_texts(struct fill *f, enum value_type type, const uint64_t *v, uint32_t n, uint32_t *codes,
                        struct str **out_texts, uint32_t *out_count) {
    struct str *texts = ARENA_ARRAY(f->r->arena, struct str, n);
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i == 0 || v[i] != v[i - 1]) TRY(value_text(f->r->arena, NULL, type, v[i], &texts[count++]));
        codes[i] = count - 1;
    }
    *out_texts = texts;
    *out_count = count;
    return NULL;
}

/* Texts of values `indexes` of one key. */
static err key_texts(struct fill *f, uint32_t key, uint32_t values, const uint32_t *indexes, uint32_t n,
                     uint32_t *codes, struct str **out_texts, uint32_t *out_count) {
    struct arena *arena = f->r->arena;
    enum value_type type = (enum value_type)f->s->part->keys[key].type;
    struct column c;
    TRY(group_open_key(f->r, SET_ROWS, key, values, &c));
    if (type != VALUE_STRING && type != VALUE_BYTES && type != VALUE_ANY) {
        uint64_t *v = ARENA_ARRAY(arena, uint64_t, n);
        TRY(column_decode_some(f->r, SET_ROWS, COLUMN_ATTRIBUTE, &c, indexes, n, v));
        return number_texts(f, type, v, n, codes, out_texts, out_count);
    }
    const struct str *raw = NULL;
    TRY(column_texts(f->r, &c, indexes, n, codes, &raw, out_count));
    struct str *texts = ARENA_ARRAY(arena, struct str, *out_count);
    struct one_string one;
    for (uint32_t i = 0; i < *out_count; i++) {
        texts[i] = raw[i];
        if (type != VALUE_STRING) TRY(value_text(arena, one_string(&one, raw[i]), type, 0, &texts[i]));
    }
    *out_texts = texts;
    return NULL;
}

struct text_table {
    struct str *v;
    uint32_t n, capacity;
};

static err table_add(struct arena *a, struct text_table *t, const struct str *texts, uint32_t n) {
    if (t->n + n > t->capacity) {
        struct str *more = ARENA_ARRAY(a, struct str, (t->n + n) * 2);
        if (t->n) memcpy(more, t->v, t->n * sizeof *more);
        t->v = more;
        t->capacity = (t->n + n) * 2;
    }
    if (n) memcpy(t->v + t->n, texts, n * sizeof *texts);
    t->n += n;
    return NULL;
}

static err fill_key(struct fill *f, const struct want *w, const struct first_values *first, uint32_t k, uint32_t *codes,
                    struct text_table *table) {
    struct arena *arena = f->r->arena;
    uint32_t *indexes = ARENA_ARRAY(arena, uint32_t, f->n), *places = ARENA_ARRAY(arena, uint32_t, f->n);
    uint32_t *found = ARENA_ARRAY(arena, uint32_t, f->n), n = 0, count = 0, base = table->n;
    struct str *texts = NULL;
    for (uint32_t i = 0; i < f->n; i++) {
        if (first->key[i] != k) continue;
        indexes[n] = first->index[i];
        places[n++] = i;
    }
    if (!n) return NULL;
    TRY(key_texts(f, w->keys[k], shapes_count_values(f->r, SET_ROWS, first->occurrences[k]), indexes, n, found, &texts,
                  &count));
    TRY(table_add(arena, table, texts, count));
    for (uint32_t i = 0; i < n; i++) codes[places[i]] = base + found[i];
    return NULL;
}

static err entity_codes(struct fill *f, enum field field, uint32_t *out) {
    struct column c;
    TRY(column_open(f->r, SET_ROWS, (uint8_t)field, &c));
    return column_entities(f->r, &c, f->rows, f->n, out);
}

/* What is still absent takes the text of the row's resource or scope. */
static err fill_entities(struct fill *f, const struct want *w, uint32_t *codes, struct text_table *table) {
    enum set set = w->column->target == TARGET_SCOPE ? SET_SCOPES : SET_RESOURCES;
    uint32_t *entities = ARENA_ARRAY(f->r->arena, uint32_t, f->n), base = table->n;
    TRY(entity_codes(f, set == SET_SCOPES ? FIELD_SCOPE : FIELD_RESOURCE, entities));
    TRY(table_add(f->r->arena, table, w->entity_texts, f->s->part->entities.set_rows[set]));
    for (uint32_t i = 0; i < f->n; i++)
        if (codes[i] == CODE_ABSENT && w->entity_texts[entities[i]].p) codes[i] = base + entities[i];
    return NULL;
}

static err fill_texts(struct fill *f, const struct want *w, struct vector *out) {
    uint32_t *codes = ARENA_ARRAY(f->r->arena, uint32_t, f->n);
    struct text_table table = {0};
    for (uint32_t i = 0; i < f->n; i++) codes[i] = CODE_ABSENT;
    if (w->key_count) {
        struct first_values first = {0};
        TRY(group_open_shapes(f->r, SET_ROWS));
        TRY(find_first_values(f, w, &first));
        for (uint32_t k = 0; k < w->key_count; k++) TRY(fill_key(f, w, &first, k, codes, &table));
    }
    if (w->entity_texts) TRY(fill_entities(f, w, codes, &table));
    *out = (struct vector){.type = VECTOR_TEXT, .codes = codes, .texts = table.v, .text_count = table.n};
    return NULL;
}

err part_fill_vectors(struct part_scan *s, struct group_reader *r, const uint32_t *rows, uint32_t n,
                      const struct vector **out) {
    struct fill f = {s, r, rows, n};
    struct vector *vectors = ARENA_ARRAY(r->arena, struct vector, s->request->column_count);
    for (size_t i = 0; i < s->request->column_count; i++) {
        const struct want *w = &s->wants[i];
        if (w->column->target == TARGET_FIELD)
            TRY(fill_field(&f, w->column->field, &vectors[i]));
        else
            TRY(fill_texts(&f, w, &vectors[i]));
    }
    *out = vectors;
    return NULL;
}
