/* Batch → batch with ids. Where the keys of a row lead is settled once a key and once a shape, what a text says once a run of
 * equal texts; what is left to do for a row whose id is an attribute is to read one slot. */
#include "ingest/correlate/correlate_priv.h"

#include <stdio.h>

#include "base/vec.h"
#include "signal/otlp_edit.h"

/* Sources among the attributes of a row, in the order in which they are asked. */
enum wanted { WANTED_NOT, WANTED_ATTRIBUTE, WANTED_BAGGAGE, WANTED_HEADER };

/* An attribute of a shape that may have an id. */
struct candidate {
    uint8_t wanted, rank, type;
    uint32_t position;
};

struct shape_memory {
    bool known;
    bool direct;       /* the first candidate is a text under a name that was asked for */
    uint32_t first, n; /* of candidates */
    uint32_t position; /* of the first */
};

/* What a text was found to hold, for the next row with the same. */
struct memory {
    uint32_t string, id; /* string: 0, none yet */
};

struct pass {
    const struct correlate_rules *rules;
    const struct batch *b;
    struct correlate_counts *counts;
    bool keys, fields;      /* a key, trace state or a body may have an id */
    uint8_t *wanted, *rank; /* per key of the batch */
    struct shape_memory *shapes;
    VEC(struct candidate) candidates;
    uint32_t *resources; /* per resource: its id + 1; 0: not yet asked */
    struct strings more;
    struct correlate_found found;
    struct memory baggage, trace_state;
    uint32_t *ids;
};

/* ---- keys --------------------------------------------------------------------------------------------------------- */

static bool may_be_text(const struct correlate_rules *r, enum wanted wanted, uint8_t type) {
    if (type == VALUE_STRING) return true;
    if (type == VALUE_INT) return r->numbers && wanted != WANTED_BAGGAGE;
    return type == VALUE_ANY && wanted != WANTED_ATTRIBUTE; /* headers come as arrays, too */
}

static enum wanted judge_key(const struct correlate_rules *r, struct str name, uint8_t *out_rank) {
    uint32_t at = correlate_find_name(&r->attributes, name);
    *out_rank = (uint8_t)at;
    if (at < r->attributes.n) return WANTED_ATTRIBUTE;
    *out_rank = 0;
    if (r->baggage_keys.n && correlate_is_header(name, STR("baggage"))) return WANTED_BAGGAGE;
    for (uint32_t i = 0; i < r->headers.n; i++) {
        if (!correlate_is_header(name, r->headers.v[i])) continue;
        *out_rank = (uint8_t)i;
        return WANTED_HEADER;
    }
    return WANTED_NOT;
}

static bool judge_keys(struct pass *p) {
    bool any = false;
    for (uint32_t i = 0; i < p->b->key_count; i++) {
        const struct batch_key *k = &p->b->keys[i];
        enum wanted wanted = judge_key(p->rules, batch_string(p->b, k->name), &p->rank[i]);
        if (wanted == WANTED_NOT || !may_be_text(p->rules, wanted, k->type)) continue;
        p->wanted[i] = (uint8_t)wanted;
        any = true;
    }
    return any;
}

/* Candidates of a shape, those to be asked first first. */
static void insert_candidate(struct pass *p, uint32_t first, struct candidate c) {
    size_t at = p->candidates.n;
    vec_push(&p->candidates);
    for (; at > first; at--) {
        const struct candidate *before = &p->candidates.v[at - 1];
        if (before->wanted < c.wanted || (before->wanted == c.wanted && before->rank <= c.rank)) break;
        p->candidates.v[at] = *before;
    }
    p->candidates.v[at] = c;
}

static void judge_shape(struct pass *p, uint32_t shape) {
    struct shape_memory *m = &p->shapes[shape];
    uint32_t start = shape ? p->b->shape_end[shape - 1] : 0;
    *m = (struct shape_memory){.known = true, .first = (uint32_t)p->candidates.n};
    for (uint32_t i = start; i < p->b->shape_end[shape]; i++) {
        uint32_t key = p->b->shape_keys[i];
        if (p->wanted[key] == WANTED_NOT) continue;
        struct candidate c = {p->wanted[key], p->rank[key], p->b->keys[key].type, i - start};
        insert_candidate(p, m->first, c);
    }
    m->n = (uint32_t)p->candidates.n - m->first;
    if (!m->n) return;
    const struct candidate *c = &p->candidates.v[m->first];
    m->direct = c->wanted == WANTED_ATTRIBUTE && c->type == VALUE_STRING;
    m->position = c->position;
}

static const struct shape_memory *open_shape(struct pass *p, uint32_t shape) {
    if (!p->shapes[shape].known) judge_shape(p, shape);
    return &p->shapes[shape];
}

/* ---- values: 0, or the id as batch_with_ids takes it ---------------------------------------------------------------- */

static uint32_t new_id(struct pass *p, struct str text) { return p->b->string_count + strings_intern(&p->more, text); }

static inline uint32_t id_of_string(struct pass *p, uint32_t string) {
    struct str text = batch_string(p->b, string);
    if (text.n <= CORRELATE_ID_BYTES_MAX) return text.n && !correlate_is_masked(text) ? string : 0;
    p->counts->too_long++;
    return 0;
}

static uint32_t id_of_found(struct pass *p) {
    p->counts->too_long += p->found.too_long;
    return p->found.id.n ? new_id(p, buf_str(&p->found.id)) : 0;
}

/* The first text of an array that is not empty. */
static uint32_t id_of_array(struct pass *p, struct str message) {
    struct value_list list;
    struct value_part part;
    struct str key;
    correlate_found_clear(&p->found);
    if (!value_list_open(message, &list) || list.is_map) return 0;
    while (!p->found.id.n && value_list_next(&list, &key, &part))
        if (part.type == VALUE_STRING) correlate_take(&p->found, 0, part.text);
    return id_of_found(p);
}

static uint32_t id_of_number(struct pass *p, uint64_t value) {
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%lld", (long long)(int64_t)value);
    return new_id(p, (struct str){digits, (size_t)n});
}

static void find_in_baggage(struct pass *p, enum value_type type, struct str text) {
    struct value_list list;
    struct value_part part;
    struct str key;
    if (type == VALUE_STRING) {
        correlate_in_list(&p->rules->baggage_keys, text, true, &p->found);
        return;
    }
    if (!value_list_open(text, &list) || list.is_map) return;
    while (p->found.rank != 0 && value_list_next(&list, &key, &part))
        if (part.type == VALUE_STRING) correlate_in_list(&p->rules->baggage_keys, part.text, true, &p->found);
}

/* Rows of one trace have the same baggage mostly, under one string id. */
static uint32_t id_of_baggage(struct pass *p, enum value_type type, uint32_t string) {
    bool is_text = type == VALUE_STRING; /* the same bytes as an array would say something else */
    if (is_text && string && p->baggage.string == string) return p->baggage.id;
    correlate_found_clear(&p->found);
    find_in_baggage(p, type, batch_string(p->b, string));
    struct memory m = {string, id_of_found(p)};
    if (is_text) p->baggage = m;
    return m.id;
}

static uint32_t id_of_trace_state(struct pass *p, uint32_t row) {
    uint32_t string = batch_u32(p->b, SET_ROWS, FIELD_TRACE_STATE, row);
    if (!string || p->trace_state.string == string) return string ? p->trace_state.id : 0;
    correlate_found_clear(&p->found);
    correlate_in_list(&p->rules->baggage_keys, batch_string(p->b, string), false, &p->found);
    p->trace_state = (struct memory){string, id_of_found(p)};
    return p->trace_state.id;
}

static uint32_t id_of_body(struct pass *p, uint32_t row) {
    uint32_t type = batch_u32(p->b, SET_ROWS, FIELD_BODY_TYPE, row);
    struct str body = batch_text(p->b, SET_ROWS, FIELD_BODY, row);
    if (type == VALUE_STRING && !correlate_may_be_json(body)) return 0;
    if (type == VALUE_STRING && body.n > CORRELATE_BODY_BYTES_MAX) {
        p->counts->bodies_too_large++;
        return 0;
    }
    correlate_found_clear(&p->found);
    if (type == VALUE_ANY) correlate_in_map(p->rules, body, &p->found);
    if (type == VALUE_STRING) correlate_in_json(p->rules, body, &p->found);
    return id_of_found(p);
}

/* ---- rows --------------------------------------------------------------------------------------------------------- */

/* What most ids are, a text under the name that was asked for, needs no call. */
static inline uint32_t id_of_candidate(struct pass *p, const struct candidate *c, uint64_t value) {
    if (c->type == VALUE_STRING && c->wanted != WANTED_BAGGAGE) return id_of_string(p, (uint32_t)value);
    if (c->wanted == WANTED_BAGGAGE) return id_of_baggage(p, (enum value_type)c->type, (uint32_t)value);
    return c->type == VALUE_INT ? id_of_number(p, value) : id_of_array(p, batch_string(p->b, (uint32_t)value));
}

static uint32_t judge_resource(struct pass *p, uint32_t resource) {
    const struct shape_memory *shape = open_shape(p, batch_u32(p->b, SET_RESOURCES, FIELD_SHAPE, resource));
    struct batch_attributes a = batch_attributes(p->b, SET_RESOURCES, resource);
    uint32_t id = 0;
    for (uint32_t i = 0; i < shape->n && !id; i++) {
        const struct candidate *c = &p->candidates.v[shape->first + i];
        if (c->wanted != WANTED_ATTRIBUTE) break;
        id = id_of_candidate(p, c, a.values[c->position]);
    }
    p->resources[resource] = id + 1;
    return id;
}

static uint32_t id_of_resource(struct pass *p, uint32_t row) {
    uint32_t resource = batch_u32(p->b, SET_ROWS, FIELD_RESOURCE, row), known = p->resources[resource];
    return known ? known - 1 : judge_resource(p, resource);
}

/* Trace state, or a body. */
static uint32_t id_of_fields(struct pass *p, uint32_t row, enum correlate_source *out) {
    *out = p->b->signal == SIGNAL_SPANS ? CORRELATE_TRACESTATE : CORRELATE_BODY;
    if (!p->fields) return 0;
    return p->b->signal == SIGNAL_SPANS ? id_of_trace_state(p, row) : id_of_body(p, row);
}

static __attribute__((noinline)) uint32_t id_of_row(struct pass *p, uint32_t row, enum correlate_source *out) {
    static const enum correlate_source sources[] = {
        [WANTED_ATTRIBUTE] = CORRELATE_ATTRIBUTE, [WANTED_BAGGAGE] = CORRELATE_BAGGAGE};
    if (!p->keys) return id_of_fields(p, row, out);
    const struct shape_memory *shape = open_shape(p, batch_u32(p->b, SET_ROWS, FIELD_SHAPE, row));
    uint32_t i = 0, id = id_of_resource(p, row);
    *out = CORRELATE_RESOURCE;
    if (id) return id;
    const uint64_t *values = shape->n ? batch_attributes(p->b, SET_ROWS, row).values : NULL;
    const struct candidate *c = p->candidates.v + shape->first;
    for (; i < shape->n && c[i].wanted != WANTED_HEADER; i++) {
        *out = sources[c[i].wanted];
        if ((id = id_of_candidate(p, &c[i], values[c[i].position]))) return id;
    }
    if ((id = id_of_fields(p, row, out))) return id;
    *out = CORRELATE_HEADER;
    for (; i < shape->n && !id; i++) id = id_of_candidate(p, &c[i], values[c[i].position]);
    return id;
}

/* What most ids are: a text that stands in one slot of the row, whose resource was asked before and has none. 0: not so, or none. */
static inline uint32_t direct_id(const struct pass *p, const struct batch *b, uint32_t row) {
    const struct shape_memory *shape = &p->shapes[batch_u32(b, SET_ROWS, FIELD_SHAPE, row)];
    if (!shape->direct || p->resources[batch_u32(b, SET_ROWS, FIELD_RESOURCE, row)] != 1) return 0;
    uint32_t string = (uint32_t)b->slots[batch_u32(b, SET_ROWS, FIELD_SLOT, row) + shape->position];
    struct str text = batch_string(b, string);
    return text.n && text.n <= CORRELATE_ID_BYTES_MAX && !correlate_is_masked(text) ? string : 0;
}

static bool lift(struct pass *p) {
    const struct batch *b = p->b;
    uint32_t *ids = p->ids, rows = b->rows, direct = 0;
    bool any = false;
    for (uint32_t row = 0; row < rows; row++) {
        enum correlate_source source;
        ids[row] = direct_id(p, b, row);
        direct += ids[row] != 0;
        if (ids[row]) continue;
        ids[row] = id_of_row(p, row, &source);
        if (!ids[row]) continue;
        p->counts->lifted[source]++;
        any = true;
    }
    p->counts->lifted[CORRELATE_ATTRIBUTE] += direct;
    return any || direct;
}

/* Whether a field has a value in any row. */
static bool has_field(const struct batch *b, enum field f) {
    return b->columns[SET_ROWS][f].mask || batch_u32(b, SET_ROWS, f, 0) != 0;
}

static bool may_have_ids(struct pass *p) {
    const struct correlate_rules *r = p->rules;
    p->keys = judge_keys(p);
    p->fields = p->b->signal == SIGNAL_SPANS ? r->baggage_keys.n && has_field(p->b, FIELD_TRACE_STATE)
                                             : r->body_keys.n && has_field(p->b, FIELD_BODY);
    return p->keys || p->fields;
}

/* ---- what is no row ------------------------------------------------------------------------------------------------- */

static void find_attribute(const struct correlate_rules *r, const struct otlp_text *v, size_t n,
                           struct correlate_found *f) {
    for (size_t i = 0; i < n; i++) {
        uint32_t at = correlate_find_name(&r->attributes, v[i].key);
        if (at < r->attributes.n) correlate_take(f, at, v[i].text);
    }
}

static void find_baggage(const struct correlate_rules *r, const struct otlp_text *v, size_t n,
                         struct correlate_found *f) {
    for (size_t i = 0; i < n && r->baggage_keys.n; i++)
        if (correlate_is_header(v[i].key, STR("baggage"))) correlate_in_list(&r->baggage_keys, v[i].text, true, f);
}

static void find_header(const struct correlate_rules *r, const struct otlp_text *v, size_t n,
                        struct correlate_found *f) {
    for (size_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < r->headers.n; k++)
            if (correlate_is_header(v[i].key, r->headers.v[k])) correlate_take(f, k, v[i].text);
}

bool correlate_texts(const struct correlate_rules *rules, const struct otlp_text *resource, size_t resource_count,
                     const struct otlp_text *own, size_t own_count, struct correlate_counts *counts, struct buf *out) {
    const struct {
        enum correlate_source source;
        void (*find)(const struct correlate_rules *r, const struct otlp_text *v, size_t n, struct correlate_found *f);
        const struct otlp_text *v;
        size_t n;
    } steps[] = {{CORRELATE_RESOURCE, find_attribute, resource, resource_count},
                 {CORRELATE_ATTRIBUTE, find_attribute, own, own_count},
                 {CORRELATE_BAGGAGE, find_baggage, own, own_count},
                 {CORRELATE_HEADER, find_header, own, own_count}};
    struct correlate_found found;
    bool any = false;
    correlate_found_init(&found);
    for (size_t i = 0; i < LENGTH(steps) && rules->enabled && !any; i++) {
        correlate_found_clear(&found);
        steps[i].find(rules, steps[i].v, steps[i].n, &found);
        counts->too_long += found.too_long;
        any = found.id.n > 0;
        if (any) counts->lifted[steps[i].source]++;
    }
    buf_clear(out);
    buf_add_str(out, buf_str(&found.id));
    correlate_found_done(&found);
    return any;
}

/* ---- door --------------------------------------------------------------------------------------------------------- */

/* False: the batch stays as it is. */
static bool find_ids(struct pass *p) {
    const struct batch *b = p->b;
    bool had = has_field(b, FIELD_CORRELATION), any = false;
    p->wanted = mem_new(2 * (size_t)b->key_count + 2);
    p->rank = p->wanted + b->key_count + 1;
    if (p->rules->enabled && may_have_ids(p)) {
        p->shapes = mem_new_array(struct shape_memory, b->shape_count);
        p->resources = mem_new_array(uint32_t, b->set_rows[SET_RESOURCES]);
        p->ids = mem_new_array(uint32_t, b->rows);
        strings_init(&p->more);
        correlate_found_init(&p->found);
        any = lift(p);
    }
    if (!any && !had) return false;
    if (!p->ids) p->ids = mem_new_array(uint32_t, b->rows);
    return true;
}

static void pass_done(struct pass *p) {
    mem_free(p->wanted);
    mem_free(p->shapes);
    mem_free(p->resources);
    mem_free(p->ids);
    vec_done(&p->candidates);
    correlate_found_done(&p->found);
    strings_done(&p->more);
}

struct batch_blob *correlate_rows(const struct correlate_rules *rules, const struct batch *from,
                                  struct correlate_counts *counts) {
    struct pass p = {.rules = rules, .b = from, .counts = counts};
    if (!from->rows) return NULL;
    struct batch_blob *blob = find_ids(&p) ? batch_with_ids(from, p.ids, &p.more) : NULL;
    pass_done(&p);
    return blob;
}

void correlate_batch(const struct correlate_rules *rules, struct batch_blob **blob, struct correlate_counts *counts) {
    struct batch b;
    batch_view(*blob, &b);
    struct pass p = {.rules = rules, .b = &b, .counts = counts};
    if (!b.rows) return;
    if (find_ids(&p)) batch_put_ids(blob, p.ids, &p.more);
    pass_done(&p);
}
