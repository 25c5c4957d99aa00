/* Scanning a part: predicates are prepared once a part, asked of each group cheapest first, and stop at the first empty answer. */
#include <stdlib.h>

#include "base/hash.h"
#include "base/text.h"
#include "os/clock.h"
#include "store/part/part_scan_priv.h"

bool bits_are_empty(const uint64_t *bits, uint32_t n) {
    for (size_t i = 0; i < bit_words(n); i++)
        if (bits[i]) return false;
    return true;
}

/* ---- preparing ---------------------------------------------------------------------------------------------------- */

err part_keys_named(struct part *p, struct arena *a, struct str name, uint32_t **out_keys, uint32_t *out_count) {
    uint32_t *keys = ARENA_ARRAY(a, uint32_t, VALUE_TYPES), n = 0, capacity = VALUE_TYPES;
    for (uint32_t i = 0; i < p->key_count; i++) {
        if (!str_equal(part_string(&p->strings, p->keys[i].name), name)) continue;
        if (n == capacity) { /* only in a file that was tampered with: a key stands once */
            uint32_t *more = ARENA_ARRAY(a, uint32_t, p->key_count);
            memcpy(more, keys, n * sizeof *keys);
            keys = more;
            capacity = p->key_count;
        }
        keys[n++] = i;
    }
    *out_keys = keys;
    *out_count = n;
    return NULL;
}

/* Which resources or scopes match, asked of rows that have nothing else. */
static err match_entities(struct part_scan *s, struct plan *plan, enum set set) {
    const struct batch *entities = &s->part->entities;
    uint32_t n = entities->set_rows[set], matching = 0;
    struct bare_row row;
    plan->entities = ARENA_ZERO(s->arena, uint64_t, bit_words(n));
    bare_row_init(&row, entities);
    for (uint32_t i = 0; i < n; i++) {
        *(set == SET_RESOURCES ? &row.resource : &row.scope) = i;
        if (predicate_matches_row(plan->p, &row.b, 0) == plan->negative) continue;
        bit_set(plan->entities, i);
        matching++;
    }
    plan->all_entities = matching == n;
    plan->no_entity = matching == 0;
    return NULL;
}

static int cost_of(const struct plan *plan) {
    const struct predicate *p = plan->p;
    switch (p->column.target) {
    case TARGET_RESOURCE:
    case TARGET_SCOPE: return 1;
    case TARGET_FIELD: return p->regex ? 3 : field_rows[p->column.field].type == FIELD_STRING ? 2 : 1;
    case TARGET_ANY:
    case TARGET_ATTRIBUTE: return p->regex ? 5 : 4;
    case TARGET_EVENT: return 6;
    case TARGET_TEXT: return 7;
    }
    return 8;
}

static void parse_id(struct plan *plan) {
    enum field_type type = field_rows[plan->p->column.field].type;
    size_t bytes = type == FIELD_ID16 ? 16 : 8;
    const struct str text = plan->p->text;
    bool end = type == FIELD_ID16 && plan->p->op == OP_ENDS && text.n == 16;
    if (!end && ((type != FIELD_ID16 && type != FIELD_ID8) || text.n != 2 * bytes)) return;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] >= 'A' && text.p[i] <= 'F') return; /* ids are lower-case texts */
    err e = parse_hex(text, end ? plan->id + 8 : plan->id, end ? 8 : bytes);
    plan->has_id = !e && !end;
    plan->has_end = !e && end;
    err_free(e);
}

static err plan_make(struct part_scan *s, const struct predicate *p, struct plan *out) {
    *out = (struct plan){.p = p, .negative = predicate_is_negative(p)};
    out->cost = cost_of(out);
    switch (p->column.target) {
    case TARGET_FIELD: parse_id(out); return NULL;
    case TARGET_RESOURCE: return match_entities(s, out, SET_RESOURCES);
    case TARGET_SCOPE: return match_entities(s, out, SET_SCOPES);
    case TARGET_ANY: TRY(match_entities(s, out, SET_RESOURCES)); break;
    case TARGET_ATTRIBUTE:
    case TARGET_EVENT: break;
    case TARGET_TEXT: return NULL;
    }
    return part_keys_named(s->part, s->arena, p->column.key, &out->keys, &out->key_count);
}

/* Whether no row of the part can match, from what is known of the part alone. */
static bool plan_is_hopeless(const struct plan *plan) {
    switch (plan->p->column.target) {
    case TARGET_RESOURCE:
    case TARGET_SCOPE: return plan->negative ? plan->all_entities : plan->no_entity;
    case TARGET_ATTRIBUTE: return !plan->negative && plan->key_count == 0;
    case TARGET_ANY: return !plan->negative && plan->key_count == 0 && plan->no_entity;
    case TARGET_FIELD:
    case TARGET_EVENT:
    case TARGET_TEXT: break;
    }
    return false;
}

/* What the part's index knows: rows of a trace, and of a correlation id. */
static bool is_of_index(const struct predicate *p) {
    return p->column.target == TARGET_FIELD && p->op == OP_EQUAL &&
           (p->column.field == FIELD_TRACE_ID || p->column.field == FIELD_CORRELATION);
}

bool scan_is_indexed(const struct scan_request *r) {
    for (size_t i = 0; i < r->predicate_count; i++)
        if (is_of_index(&r->predicates[i])) return true;
    return false;
}

static bool is_indexed(const struct plan *plan, uint64_t *out_hash) {
    const struct predicate *p = plan->p;
    if (!is_of_index(p)) return false;
    if (p->column.field == FIELD_CORRELATION && p->text.n) {
        *out_hash = hash_bytes(p->text.p, p->text.n);
        return true;
    }
    if (p->column.field != FIELD_TRACE_ID || !plan->has_id) return false;
    *out_hash = hash_bytes(plan->id, 16);
    return true;
}

/* What is asked for by such an id is looked up in the part's index, which names its groups (and rarely one more). */
static void find_groups(struct part_scan *s, const struct plan *plan) {
    uint64_t hash;
    if (s->has_groups || !is_indexed(plan, &hash)) return;
    uint32_t most = s->part->info.groups, *groups = arena_alloc(s->arena, sizeof *groups * (most + 1));
    if (!groups) return; /* the scan finds no memory either, and says so */
    s->groups = groups;
    s->group_count = MIN(most, hash_index_find(&s->part->traces, hash, groups, most));
    s->has_groups = true;
}

bool part_scan_groups(const struct part_scan *s, const uint32_t **out_groups, uint32_t *out_count) {
    *out_groups = s->groups;
    *out_count = s->group_count;
    return s->has_groups;
}

static bool may_have_rows(const struct part_scan *s, uint32_t group) {
    if (!s->has_groups) return true;
    for (uint32_t i = 0; i < s->group_count; i++)
        if (s->groups[i] == group) return true;
    return false;
}

static void sort_plans(struct plan *plans, size_t n) {
    for (size_t i = 1; i < n; i++) {
        struct plan x = plans[i];
        size_t j = i;
        for (; j > 0 && plans[j - 1].cost > x.cost; j--) plans[j] = plans[j - 1];
        plans[j] = x;
    }
}

err part_scan_open(struct part *p, const struct scan_request *r, struct arena *a, struct part_scan **out,
                   bool *out_may_match) {
    struct part_scan *s = ARENA_ZERO(a, struct part_scan, 1);
    *s = (struct part_scan){.part = p, .request = r, .arena = a, .plan_count = r->predicate_count};
    s->plans = ARENA_ZERO(a, struct plan, r->predicate_count);
    *out = s;
    *out_may_match = p->info.time_max >= r->time_min && p->info.time_min <= r->time_max;
    for (size_t i = 0; i < s->plan_count && *out_may_match; i++) {
        TRY(plan_make(s, &r->predicates[i], &s->plans[i]));
        find_groups(s, &s->plans[i]);
        if (plan_is_hopeless(&s->plans[i]) || (s->has_groups && s->group_count == 0)) *out_may_match = false;
    }
    sort_plans(s->plans, s->plan_count);
    return r->count_only || !*out_may_match ? NULL : part_want_open(s);
}

/* ---- one predicate ------------------------------------------------------------------------------------------------ */

/* Rows whose resource or scope is among those that match. *out_all / nothing set: the whole group one way. */
static err match_entity_rows(struct plan *plan, struct group_reader *r, enum field field, uint64_t *out) {
    struct column c;
    uint32_t n = r->g->set_rows[SET_ROWS];
    TRY(column_open(r, SET_ROWS, (uint8_t)field, &c));
    uint32_t count = c.encoding ? c.count : 1, matching = 0, width = count;
    if (c.encoding && c.numbers.packed) width = (uint32_t)codes_wanted_words(&c.numbers.codes) * 64;
    uint64_t *wanted = ARENA_ZERO(r->arena, uint64_t, bit_words(MAX(width, count)) + 1);
    uint32_t zero = 0, *list = c.encoding ? column_list_decode(r, &c) : &zero;
    if (!list) return arena_err(r->arena);
    for (uint32_t i = 0; i < count; i++) {
        if (!bit_is_set(plan->entities, list[i])) continue;
        bit_set(wanted, i);
        matching++;
    }
    if (matching == 0) return NULL;
    if (matching == count) {
        memset(out, 0xff, bit_words(n) * 8);
        return NULL;
    }
    if (c.numbers.packed) {
        uint32_t *rows = ARENA_ARRAY(r->arena, uint32_t, n), found = codes_select(&c.numbers.codes, wanted, rows);
        for (uint32_t i = 0; i < found; i++) bit_set(out, rows[i]);
        return NULL;
    }
    uint32_t *codes = ARENA_ARRAY(r->arena, uint32_t, n);
    numbers_decode(&c.numbers, n, codes);
    for (uint32_t i = 0; i < n; i++) out[i / 64] |= (uint64_t)bit_is_set(wanted, codes[i]) << i % 64;
    return NULL;
}

/* Bodies that are not text are compared by their display text. */
static err match_body(struct part_scan *s, struct plan *plan, struct group_reader *r, const struct column *c,
                      uint64_t *out) {
    struct column type_column;
    uint32_t n = c->n;
    TRY(column_open(r, SET_ROWS, FIELD_BODY_TYPE, &type_column));
    uint64_t *types = ARENA_ARRAY(r->arena, uint64_t, n);
    TRY(column_decode(r, SET_ROWS, FIELD_BODY_TYPE, &type_column, types));
    TRY(plan_match_texts(s, plan, r, c, false, VALUE_STRING, out));
    struct one_string one;
    for (uint32_t i = 0; i < n; i++) {
        if (types[i] == VALUE_STRING) continue;
        out[i / 64] &= ~(1ull << i % 64);
        if (types[i] == VALUE_EMPTY) continue;
        uint32_t code;
        const struct str *texts = NULL;
        uint32_t count = 0;
        TRY(column_texts(r, c, &i, 1, &code, &texts, &count));
        if (predicate_matches_value(plan->p, one_string(&one, texts[code]), (enum value_type)types[i], 0))
            bit_set(out, i);
    }
    return NULL;
}

/* Ids that are an attribute's: its values are asked, and once what is asked of rows that have none. */
static err match_ids_of_rows(struct part_scan *s, struct plan *plan, struct group_reader *r, uint64_t *out) {
    struct column c, none = {.n = 1};
    const uint32_t *values;
    uint64_t without = 0;
    TRY(group_open_ids(r, &c, &values));
    if (!values) return plan_match_texts(s, plan, r, &c, true, VALUE_STRING, out);
    uint64_t *bits = ARENA_ZERO(r->arena, uint64_t, bit_words(c.n));
    TRY(plan_match_texts(s, plan, r, &c, true, VALUE_STRING, bits));
    TRY(plan_match_texts(s, plan, r, &none, true, VALUE_STRING, &without));
    for (uint32_t row = 0; row < r->g->set_rows[SET_ROWS]; row++)
        if (values[row] == NO_VALUE ? without & 1 : bit_is_set(bits, values[row])) bit_set(out, row);
    return NULL;
}

static err match_field(struct part_scan *s, struct plan *plan, struct group_reader *r, uint64_t *out) {
    enum field f = plan->p->column.field;
    struct column c;
    if (!field_in(f, s->part->info.signal, SET_ROWS)) return NULL;
    if (f == FIELD_CORRELATION) return match_ids_of_rows(s, plan, r, out);
    TRY(column_open(r, SET_ROWS, (uint8_t)f, &c));
    if (f == FIELD_BODY) return match_body(s, plan, r, &c, out);
    switch (field_rows[f].type) {
    case FIELD_STRING: return plan_match_texts(s, plan, r, &c, true, VALUE_STRING, out);
    case FIELD_ID8:
    case FIELD_ID16: return plan_match_ids(plan, r, f, &c, out);
    case FIELD_U32:
    case FIELD_U64: break;
    }
    if (f == FIELD_SHAPE || f == FIELD_RESOURCE || f == FIELD_SCOPE || f == FIELD_SLOT || f == FIELD_EVENT_END ||
        f == FIELD_LINK_END)
        return NULL; /* where things are, not what they are */
    return plan_match_numbers(plan, r, SET_ROWS, (uint8_t)f, &c, VALUE_INT, out);
}

/* Rows of a set with an attribute of that name that matches; `had` (NULL: not asked) gets those that have one. */
static err match_attributes(struct part_scan *s, struct plan *plan, struct group_reader *r, enum set set, uint64_t *had,
                            uint64_t *out) {
    bool existence = plan->p->op == OP_EXISTS || plan->p->op == OP_ABSENT;
    if (plan->key_count == 0 || !r->g->set_rows[set]) return NULL;
    TRY(group_open_shapes(r, set));
    uint32_t *occurrences = ARENA_ARRAY(r->arena, uint32_t, r->shapes[set].count);
    for (uint32_t k = 0; k < plan->key_count; k++) {
        uint32_t key = plan->keys[k];
        if (!shapes_have_key(r, set, key, occurrences)) continue;
        if (had) rows_with_key(r, set, occurrences, had);
        if (existence) {
            rows_with_key(r, set, occurrences, out);
            continue;
        }
        enum value_type type = (enum value_type)s->part->keys[key].type;
        struct column c;
        TRY(group_open_key(r, set, key, shapes_count_values(r, set, occurrences), &c));
        uint64_t *values = ARENA_ZERO(r->arena, uint64_t, bit_words(c.n));
        if (type == VALUE_STRING || type == VALUE_BYTES || type == VALUE_ANY)
            TRY(plan_match_texts(s, plan, r, &c, false, type, values));
        else
            TRY(plan_match_numbers(plan, r, set, COLUMN_ATTRIBUTE, &c, type, values));
        if (!bits_are_empty(values, c.n)) values_to_rows(r, set, occurrences, values, out);
    }
    return NULL;
}

static err match_any(struct part_scan *s, struct plan *plan, struct group_reader *r, uint64_t *out) {
    uint32_t n = r->g->set_rows[SET_ROWS];
    uint64_t *resources = ARENA_ZERO(r->arena, uint64_t, bit_words(n));
    if (!plan->no_entity) TRY(match_entity_rows(plan, r, FIELD_RESOURCE, resources));
    if (bits_are_empty(resources, n)) return match_attributes(s, plan, r, SET_ROWS, NULL, out);
    uint64_t *had = ARENA_ZERO(r->arena, uint64_t, bit_words(n));
    TRY(match_attributes(s, plan, r, SET_ROWS, had, out));
    for (size_t i = 0; i < bit_words(n); i++) out[i] |= resources[i] & ~had[i];
    return NULL;
}

static err match_events(struct part_scan *s, struct plan *plan, struct group_reader *r, uint64_t *out) {
    uint32_t n = r->g->set_rows[SET_EVENTS];
    if (!n) return NULL;
    uint64_t *events = ARENA_ZERO(r->arena, uint64_t, bit_words(n));
    if (str_equal(plan->p->column.key, STR("name"))) {
        struct column c;
        TRY(column_open(r, SET_EVENTS, FIELD_NAME, &c));
        TRY(plan_match_texts(s, plan, r, &c, true, VALUE_STRING, events));
    }
    TRY(match_attributes(s, plan, r, SET_EVENTS, NULL, events));
    if (bits_are_empty(events, n)) return NULL;
    TRY(group_open_children(r, SET_EVENTS));
    for (uint32_t i = 0; i < n; i++)
        if (bit_is_set(events, i)) bit_set(out, r->child_rows[SET_EVENTS][i]);
    return NULL;
}

static err match_plan(struct part_scan *s, struct plan *plan, struct group_reader *r, const uint64_t *candidates,
                      uint64_t *out) {
    switch (plan->p->column.target) {
    case TARGET_FIELD: return match_field(s, plan, r, out);
    case TARGET_RESOURCE: return match_entity_rows(plan, r, FIELD_RESOURCE, out);
    case TARGET_SCOPE: return match_entity_rows(plan, r, FIELD_SCOPE, out);
    case TARGET_ATTRIBUTE: return match_attributes(s, plan, r, SET_ROWS, NULL, out);
    case TARGET_ANY: return match_any(s, plan, r, out);
    case TARGET_EVENT: return match_events(s, plan, r, out);
    case TARGET_TEXT: return plan_match_words(s, plan, r, candidates, out);
    }
    return NULL;
}

/* ---- one group ---------------------------------------------------------------------------------------------------- */

static err match_times(const struct scan_request *q, struct group_reader *r, uint64_t *bits) {
    uint32_t n = r->g->set_rows[SET_ROWS];
    if (q->time_min <= r->g->time_min && q->time_max >= r->g->time_max) return NULL;
    struct column c;
    uint64_t *times = ARENA_ARRAY(r->arena, uint64_t, n);
    TRY(column_open(r, SET_ROWS, FIELD_TIME, &c));
    TRY(column_decode(r, SET_ROWS, FIELD_TIME, &c, times));
    for (uint32_t i = 0; i < n; i++) {
        int64_t time = time_clamp(times[i]);
        if (time < q->time_min || time > q->time_max) bits[i / 64] &= ~(1ull << i % 64);
    }
    return NULL;
}

static uint32_t bits_to_rows(const uint64_t *bits, uint32_t n, uint32_t *out) {
    uint32_t count = 0;
    for (size_t w = 0; w < bit_words(n); w++)
        for (uint64_t left = bits[w]; left; left &= left - 1)
            out[count++] = (uint32_t)w * 64 + (uint32_t)__builtin_ctzll(left);
    return count;
}

static uint32_t bits_count(const uint64_t *bits, uint32_t n) {
    uint32_t count = 0;
    for (size_t w = 0; w < bit_words(n); w++) count += (uint32_t)__builtin_popcountll(bits[w]);
    return count;
}

static err match_group(struct part_scan *s, struct group_reader *r, uint64_t *bits) {
    uint32_t n = r->g->set_rows[SET_ROWS];
    memset(bits, 0xff, bit_words(n) * 8);
    if (n % 64) bits[n / 64] = (1ull << n % 64) - 1;
    TRY(match_times(s->request, r, bits));
    uint64_t *found = ARENA_ARRAY(r->arena, uint64_t, bit_words(n));
    for (size_t i = 0; i < s->plan_count && !bits_are_empty(bits, n); i++) {
        struct plan *plan = &s->plans[i];
        memset(found, 0, bit_words(n) * 8);
        TRY(match_plan(s, plan, r, bits, found));
        for (size_t w = 0; w < bit_words(n); w++) bits[w] &= plan->negative ? ~found[w] : found[w];
    }
    return NULL;
}

static err scan_group(struct part_scan *s, struct group_reader *r, struct chunk *out) {
    uint32_t n = r->g->set_rows[SET_ROWS];
    if (s->request->count_only && s->plan_count == 0 && s->request->time_min <= r->g->time_min &&
        s->request->time_max >= r->g->time_max) {
        out->n = n;
        return NULL;
    }
    uint64_t *bits = ARENA_ARRAY(r->arena, uint64_t, bit_words(n));
    TRY(match_group(s, r, bits));
    uint32_t count = bits_count(bits, n);
    if (count && !s->request->count_only) {
        uint32_t *rows = ARENA_ARRAY(r->arena, uint32_t, count);
        bits_to_rows(bits, n, rows);
        TRY(part_fill_vectors(s, r, rows, count, &out->columns));
        out->rows = rows;
    }
    out->n = count;
    return NULL;
}

err part_scan_group(struct part_scan *s, uint32_t group, struct arena *a, struct chunk *out, struct scan_stats *stats) {
    struct group_reader r;
    bool bad;
    *out = (struct chunk){.group = group, .rest_time_max = INT64_MAX};
    group_reader_init(&r, s->part, group, a, stats);
    stats->groups++;
    if (r.g->time_max < s->request->time_min || r.g->time_min > s->request->time_max || !may_have_rows(s, group)) {
        stats->groups_pruned++;
        return NULL;
    }
    stats->rows_scanned += r.g->set_rows[SET_ROWS];
    TRY(group_reader_end(&r, scan_group(s, &r, out), &bad));
    if (bad) *out = (struct chunk){.group = group, .rest_time_max = INT64_MAX};
    stats->rows_matched += out->n;
    return NULL;
}

err scan_stopped(const struct scan_request *r) {
    if (r->is_cancelled && r->is_cancelled(r->cancel_context)) return err_new(ERR_CANCELLED, "cancelled");
    if (r->deadline_ns && clock_monotonic_ns() > r->deadline_ns)
        return err_new(ERR_CANCELLED, "the query's time is over");
    return NULL;
}
