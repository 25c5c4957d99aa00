/* Rows by the values of one field or attribute, or of several: the largest groups, exactly, and the rest in two sums.
 *
 *   scan 1: value ─▶ hash ─▶ count, 2^20 values at most ─▶ the k largest
 *   scan 2: of those k, of all other values together, and of rows without one: counts, errors, durations, by time
 *
 * One scan would do if the k largest were known before. To guess them as rows come would show a group with less than it has; so
 * the rows are looked at twice, and both scans see one snapshot. Texts are hashed once a chunk (`seen`, `hashes`), not once a row.
 */
#include "query/breakdown.h"

#include "base/hash.h"
#include "query/histogram_priv.h"
#include "query/query_priv.h"

#include <stdlib.h>

enum { VALUES_MAX = 1 << 20, LOG_ERROR_MIN = 17, KEY_COLUMNS = QUERY_KEYS_MAX * QUERY_BY_COLUMNS };
enum { GROUP_OTHER = QUERY_GROUPS_MAX, GROUP_WITHOUT, GROUPS };

/* What a key without a value is hashed as; and numbers, apart from texts. */
static const uint64_t HASH_ABSENT = 2, HASH_NUMBER = 3;

struct value_count {
    uint64_t hash, count; /* count 0: free */
};

struct group {
    struct query_group_value values[QUERY_KEYS_MAX];
    unsigned char (*samples)[16]; /* NULL: none yet, or not wanted */
    uint32_t sample_count;
    struct tally tally; /* of spans */
    uint64_t rows, errors;
    uint64_t *bucket_rows, *bucket_errors; /* NULL: no row yet, or no trend is wanted */
};

struct breakdown {
    struct query *q;
    const struct query_breakdown *r;
    struct bucketing bucketing; /* n 0: no trend */
    struct value_count *values; /* scan 1: a table; then the chosen, by hash */
    size_t value_count, capacity;
    uint64_t uncounted; /* rows of values beyond VALUES_MAX */
    bool second;
    size_t chosen;
    struct group *groups;
    uint32_t *seen[QUERY_BY_COLUMNS]; /* of this chunk: code → how many rows (scan 1); 1 + group, 0: not met (scan 2) */
    size_t seen_capacity[QUERY_BY_COLUMNS];
    uint64_t *hashes[KEY_COLUMNS]; /* of this chunk, of several keys: code → hash of the text; 0: not met */
    size_t hash_capacity[KEY_COLUMNS];
};

/* ---- what to group by ------------------------------------------------------------------------------------------- */

static const struct {
    struct str name;
    bool signals[SIGNALS];
    struct query_by by;
} fields[] = {
    {STR("service"),
     {[SIGNAL_SPANS] = true, [SIGNAL_LOGS] = true},
     {{RESOURCE_COLUMN("service.name")}, 1, .absent = STR("unknown_service"), .empty_is_absent = true}},
    {STR("environment"),
     {[SIGNAL_SPANS] = true, [SIGNAL_LOGS] = true},
     {{RESOURCE_COLUMN("deployment.environment.name"), RESOURCE_COLUMN("deployment.environment")},
      2,
      .absent = STR("default"),
      .empty_is_absent = true}},
    {STR("operation"), {[SIGNAL_SPANS] = true}, {{FIELD_COLUMN(FIELD_NAME)}, 1}},
    {STR("status"), {[SIGNAL_SPANS] = true}, {{FIELD_COLUMN(FIELD_STATUS)}, 1, .is_number = true}},
    {STR("kind"), {[SIGNAL_SPANS] = true}, {{FIELD_COLUMN(FIELD_KIND)}, 1, .is_number = true}},
    {STR("severity"), {[SIGNAL_LOGS] = true}, {{FIELD_COLUMN(FIELD_SEVERITY)}, 1, .is_number = true}},
    {STR("body"), {[SIGNAL_LOGS] = true}, {{FIELD_COLUMN(FIELD_BODY)}, 1}},
    {STR("event_name"), {[SIGNAL_LOGS] = true}, {{FIELD_COLUMN(FIELD_NAME)}, 1}},
};

err query_by_parse(struct query *q, enum signal signal, struct str key, struct query_by *out) {
    for (size_t i = 0; i < LENGTH(fields); i++) {
        if (!fields[i].signals[signal] || !str_equal(key, fields[i].name)) continue;
        *out = fields[i].by;
        return NULL;
    }
    struct column_ref column;
    TRY(where_parse_key(&q->arena, key, &column));
    if (column.target == TARGET_EVENT)
        return err_new(ERR_INVALID, "a span has many events: their attributes cannot be grouped by");
    *out = (struct query_by){{column}, 1};
    return NULL;
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

static err values_grow(struct breakdown *d) {
    size_t capacity = d->capacity ? d->capacity * 2 : 1024;
    TRY(query_charge(d->q, capacity * sizeof *d->values));
    struct value_count *v = mem_new_array(struct value_count, capacity);
    for (size_t i = 0; i < d->capacity; i++) {
        if (!d->values[i].count) continue;
        size_t at = d->values[i].hash & (capacity - 1);
        while (v[at].count) at = (at + 1) & (capacity - 1);
        v[at] = d->values[i];
    }
    mem_free(d->values);
    query_discharge(d->q, d->capacity * sizeof *d->values);
    d->values = v;
    d->capacity = capacity;
    return NULL;
}

/* The slot of a hash: of a new one it is free. */
static size_t value_slot(const struct breakdown *d, uint64_t hash) {
    size_t at = hash & (d->capacity - 1);
    while (d->values[at].count && d->values[at].hash != hash) at = (at + 1) & (d->capacity - 1);
    return at;
}

static void value_add(struct breakdown *d, uint64_t hash, uint64_t rows) {
    size_t at = value_slot(d, hash);
    if (!d->values[at].count && d->value_count == VALUES_MAX) {
        d->uncounted += rows;
        return;
    }
    d->value_count += d->values[at].count == 0;
    d->values[at].hash = hash;
    d->values[at].count += rows;
}

static int by_count(const void *x, const void *y) {
    const struct value_count *a = x, *b = y;
    if (a->count != b->count) return a->count > b->count ? -1 : 1;
    return (a->hash > b->hash) - (a->hash < b->hash);
}

static int by_hash(const void *x, const void *y) {
    const struct value_count *a = x, *b = y;
    return (a->hash > b->hash) - (a->hash < b->hash);
}

/* The largest `top` of the table to its front, in order of their hashes. */
static void choose(struct breakdown *d) {
    size_t n = 0;
    for (size_t i = 0; i < d->capacity; i++)
        if (d->values[i].count) d->values[n++] = d->values[i];
    d->chosen = MIN(n, d->r->top);
    if (n > 1) qsort(d->values, n, sizeof *d->values, by_count);
    if (d->chosen > 1) qsort(d->values, d->chosen, sizeof *d->values, by_hash);
    d->second = true;
}

static uint32_t group_of(const struct breakdown *d, uint64_t hash) {
    struct value_count key = {.hash = hash};
    const struct value_count *found =
        d->chosen ? bsearch(&key, d->values, d->chosen, sizeof key, by_hash) : NULL; /* an empty table is none */
    return found ? (uint32_t)(found - d->values) : GROUP_OTHER;
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

enum { COLUMN_TIME, COLUMN_FAILED, COLUMNS_OF_LOGS, COLUMN_DURATION = COLUMNS_OF_LOGS, COLUMN_TRACE, COLUMNS_OF_SPANS };

/* The value columns stand behind the others, those of a key behind those of the key before. */
static size_t first_value_column(const struct breakdown *d) {
    return d->r->signal == SIGNAL_SPANS ? COLUMNS_OF_SPANS - !d->r->samples : COLUMNS_OF_LOGS;
}

static bool is_of_tuples(const struct query_breakdown *r) { return r->by_count > 1 || r->with_absent; }

/* The first that are met, of different traces. */
static err group_sample(struct breakdown *d, struct group *g, const unsigned char *trace) {
    if (g->sample_count == QUERY_GROUP_SAMPLES) return NULL;
    if (!g->samples) g->samples = arena_alloc(&d->q->arena, sizeof *g->samples * QUERY_GROUP_SAMPLES);
    if (!g->samples) return arena_err(&d->q->arena);
    for (uint32_t k = 0; k < g->sample_count; k++)
        if (memcmp(g->samples[k], trace, 16) == 0) return NULL;
    memcpy(g->samples[g->sample_count++], trace, 16);
    return NULL;
}

static err group_add(struct breakdown *d, uint32_t at, const struct chunk *chunk, uint32_t i) {
    const struct vector *c = chunk->columns;
    struct group *g = &d->groups[at];
    bool spans = d->r->signal == SIGNAL_SPANS;
    bool failed = spans ? c[COLUMN_FAILED].u64[i] == 2
                        : c[COLUMN_FAILED].u64[i] >= LOG_ERROR_MIN && c[COLUMN_FAILED].u64[i] <= 24;
    g->rows++;
    g->errors += failed;
    if (spans) TRY(tally_add(d->q, &g->tally, (int64_t)c[COLUMN_DURATION].u64[i], failed));
    if (d->r->samples) TRY(group_sample(d, g, c[COLUMN_TRACE].id16 + 16 * (size_t)i));
    if (d->bucketing.n == 0) return NULL;
    if (!g->bucket_rows) {
        uint64_t *counts = arena_array(&d->q->arena, uint64_t, 2 * d->bucketing.n);
        if (!counts) return arena_err(&d->q->arena);
        g->bucket_rows = counts;
        g->bucket_errors = counts + d->bucketing.n;
    }
    size_t bucket = bucketing_index(&d->bucketing, time_of(c[COLUMN_TIME].u64[i]));
    if (bucket >= d->bucketing.n) return NULL;
    g->bucket_rows[bucket]++;
    g->bucket_errors[bucket] += failed;
    return NULL;
}

/* Scan 2. */
static err add_to_group(struct breakdown *d, uint64_t hash, struct str text, uint64_t number, const struct chunk *chunk,
                        uint32_t i, uint32_t *out_group) {
    uint32_t at = *out_group = group_of(d, hash);
    struct group *g = &d->groups[at];
    if (at != GROUP_OTHER && g->rows == 0) {
        g->values[0].text = query_keep(d->q, text);
        g->values[0].number = number;
    }
    return group_add(d, at, chunk, i);
}

/* A severity is grouped as its class. */
static uint64_t number_of(const struct query_by *by, uint64_t number) {
    return by->columns[0].field == FIELD_SEVERITY ? (uint64_t)severity_class((uint32_t)number) : number;
}

/* Which of the row's values counts: the column, or QUERY_BY_COLUMNS for none. */
static size_t value_column(const struct query_by *by, const struct vector *v, uint32_t i) {
    for (size_t k = 0; k < by->column_count; k++) {
        if (v[k].codes[i] == CODE_ABSENT) continue;
        if (!by->empty_is_absent || v[k].texts[v[k].codes[i]].n) return k;
    }
    return QUERY_BY_COLUMNS;
}

static uint64_t hash_text(struct str text) { return hash_fast(text.n ? text.p : "", text.n); }

static err add_text(struct breakdown *d, const struct chunk *chunk, const struct vector *v, uint32_t i) {
    size_t k = value_column(&d->r->by[0], v, i);
    struct str text = d->r->by[0].absent;
    uint32_t group;
    if (k == QUERY_BY_COLUMNS)
        return text.p ? add_to_group(d, hash_text(text), text, 0, chunk, i, &group)
                      : group_add(d, GROUP_WITHOUT, chunk, i);
    uint32_t code = v[k].codes[i], *seen = &d->seen[k][code];
    if (*seen) return group_add(d, *seen - 1, chunk, i);
    text = v[k].texts[code];
    TRY(add_to_group(d, hash_text(text), text, 0, chunk, i, &group));
    *seen = group + 1;
    return NULL;
}

/* Scan 1: the codes of a chunk are counted before anything is hashed. */
static err count_texts(struct breakdown *d, const struct picked *rows, const struct vector *v) {
    uint64_t absent = 0;
    for (uint32_t n = 0; n < rows->n; n++) {
        uint32_t i = picked_at(rows, n);
        size_t k = value_column(&d->r->by[0], v, i);
        if (k == QUERY_BY_COLUMNS)
            absent++;
        else
            d->seen[k][v[k].codes[i]]++;
    }
    struct str text = d->r->by[0].absent;
    if (absent && text.p) value_add(d, hash_text(text), absent);
    for (size_t k = 0; k < d->r->by[0].column_count; k++)
        for (uint32_t code = 0; code < v[k].text_count; code++) {
            if (!d->seen[k][code]) continue;
            if (d->value_count * 2 + 2 >= d->capacity) TRY(values_grow(d));
            value_add(d, hash_text(v[k].texts[code]), d->seen[k][code]);
        }
    return NULL;
}

static err seen_clear(struct breakdown *d, const struct vector *v) {
    for (size_t k = 0; k < d->r->by[0].column_count; k++) {
        size_t n = v[k].text_count;
        if (n > d->seen_capacity[k]) {
            TRY(query_charge(d->q, (n - d->seen_capacity[k]) * sizeof(uint32_t)));
            mem_free(d->seen[k]);
            d->seen[k] = mem_new_array(uint32_t, n);
            d->seen_capacity[k] = n;
        } else if (n) {
            memset(d->seen[k], 0, n * sizeof(uint32_t));
        }
    }
    return NULL;
}

/* Few distinct ones, so a hash is the number itself, made not 0. */
static err add_number(struct breakdown *d, const struct chunk *chunk, const struct vector *v, uint32_t i) {
    uint64_t number = number_of(&d->r->by[0], v->u64[i]);
    uint32_t group;
    if (d->second) return add_to_group(d, number + 1, (struct str){NULL, 0}, number, chunk, i, &group);
    if (d->value_count * 2 >= d->capacity) TRY(values_grow(d));
    value_add(d, number + 1, 1);
    return NULL;
}

/* ---- rows of several keys --------------------------------------------------------------------------------------- */

static err hashes_clear(struct breakdown *d, const struct vector *v) {
    for (size_t k = 0, at = 0; k < d->r->by_count; k++)
        for (size_t c = 0; c < d->r->by[k].column_count; c++, at++) {
            size_t n = d->r->by[k].is_number ? 0 : v[at].text_count;
            if (n > d->hash_capacity[at]) {
                TRY(query_charge(d->q, (n - d->hash_capacity[at]) * sizeof(uint64_t)));
                mem_free(d->hashes[at]);
                d->hashes[at] = mem_new_array(uint64_t, n);
                d->hash_capacity[at] = n;
            } else if (n) {
                memset(d->hashes[at], 0, n * sizeof(uint64_t));
            }
        }
    return NULL;
}

/* A row's value of one key, and its hash if `hashes` is given. */
static struct query_group_value read_value(const struct query_by *by, const struct vector *v, uint32_t i,
                                           uint64_t *const *hashes, uint64_t *out_hash) {
    if (by->is_number) {
        uint64_t number = number_of(by, v->u64[i]);
        *out_hash = hash_keyed(number, HASH_NUMBER);
        return (struct query_group_value){.number = number};
    }
    size_t k = value_column(by, v, i);
    if (k == QUERY_BY_COLUMNS) {
        *out_hash = by->absent.p ? hash_text(by->absent) | 1 : HASH_ABSENT;
        return (struct query_group_value){.text = by->absent, .absent = !by->absent.p};
    }
    struct str text = v[k].texts[v[k].codes[i]];
    uint64_t *hash = &hashes[k][v[k].codes[i]];
    if (!*hash) *hash = hash_text(text) | 1;
    *out_hash = *hash;
    return (struct query_group_value){.text = text};
}

static uint64_t read_tuple(struct breakdown *d, const struct vector *v, uint32_t i, struct query_group_value *out) {
    uint64_t all = 0, hash;
    for (size_t k = 0, at = 0; k < d->r->by_count; at += d->r->by[k++].column_count) {
        out[k] = read_value(&d->r->by[k], v + at, i, &d->hashes[at], &hash);
        all = hash_keyed(hash, all + k);
    }
    return all;
}

static err add_tuple(struct breakdown *d, const struct chunk *chunk, const struct vector *v, uint32_t i) {
    struct query_group_value values[QUERY_KEYS_MAX] = {{.number = 0}};
    uint64_t hash = read_tuple(d, v, i, values);
    if (!d->second) {
        if (d->value_count * 2 >= d->capacity) TRY(values_grow(d));
        value_add(d, hash, 1);
        return NULL;
    }
    uint32_t at = group_of(d, hash);
    struct group *g = &d->groups[at];
    if (at != GROUP_OTHER && g->rows == 0)
        for (size_t k = 0; k < d->r->by_count; k++) {
            g->values[k] = values[k];
            if (values[k].text.p) g->values[k].text = query_keep(d->q, values[k].text);
        }
    return group_add(d, at, chunk, i);
}

static err add_tuples(struct breakdown *d, const struct picked *rows, const struct vector *v) {
    TRY(hashes_clear(d, v));
    for (uint32_t n = 0; n < rows->n; n++) TRY(add_tuple(d, rows->chunk, v, picked_at(rows, n)));
    return NULL;
}

static err add_chunk(struct breakdown *d, const struct picked *rows) {
    const struct vector *v = rows->chunk->columns + first_value_column(d);
    bool texts = !d->r->by[0].is_number;
    if (d->capacity == 0) TRY(values_grow(d));
    if (is_of_tuples(d->r)) return add_tuples(d, rows, v);
    if (texts) TRY(seen_clear(d, v));
    if (texts && !d->second) return count_texts(d, rows, v);
    for (uint32_t n = 0; n < rows->n; n++) {
        uint32_t i = picked_at(rows, n);
        TRY(texts ? add_text(d, rows->chunk, v, i) : add_number(d, rows->chunk, v, i));
    }
    return NULL;
}

static enum scan_next on_rows(void *context, const struct picked *rows, err *out_error) {
    *out_error = add_chunk(context, rows);
    return SCAN_GO_ON;
}

/* ---- the answer ------------------------------------------------------------------------------------------------- */

static struct query_group read_group(const struct group *g) {
    struct query_group out = {.bucket_rows = g->bucket_rows,
                              .bucket_errors = g->bucket_errors,
                              .samples = (const unsigned char(*)[16])g->samples,
                              .sample_count = g->sample_count};
    memcpy(out.values, g->values, sizeof out.values);
    out.stats = tally_stats(&g->tally);
    out.stats.spans = g->rows;
    out.stats.errors = g->errors;
    return out;
}

static int by_rows(const void *x, const void *y) {
    const struct query_group *a = x, *b = y;
    if (a->stats.spans != b->stats.spans) return a->stats.spans > b->stats.spans ? -1 : 1;
    for (size_t k = 0; k < QUERY_KEYS_MAX; k++) {
        const struct query_group_value *v = &a->values[k], *w = &b->values[k];
        int order = v->absent != w->absent ? (v->absent ? 1 : -1) : str_compare(v->text, w->text);
        if (!order) order = (v->number > w->number) - (v->number < w->number);
        if (order) return order;
    }
    return 0;
}

static err sum_up(struct breakdown *d, struct query_span_stats *out) {
    struct tally all = {.histogram = arena_new(&d->q->arena, struct histogram)};
    uint64_t rows = 0;
    if (!all.histogram) return arena_err(&d->q->arena);
    for (size_t i = 0; i < GROUPS; i++) {
        const struct group *g = &d->groups[i];
        rows += g->rows;
        all.errors += g->errors;
        if (g->tally.histogram) histogram_merge(all.histogram, g->tally.histogram);
    }
    *out = tally_stats(&all);
    out->spans = rows;
    return NULL;
}

static err read_groups(struct breakdown *d, struct query_breakdown_answer *out) {
    struct query_group *v = arena_array(&d->q->arena, struct query_group, d->chosen + 1);
    if (!v) return arena_err(&d->q->arena);
    for (size_t i = 0; i < d->chosen; i++)
        if (d->groups[i].rows) v[out->n++] = read_group(&d->groups[i]); /* none: its block went bad between the scans */
    if (out->n > 1) qsort(v, out->n, sizeof *v, by_rows);
    out->groups = v;
    out->other = read_group(&d->groups[GROUP_OTHER]);
    out->without = read_group(&d->groups[GROUP_WITHOUT]);
    out->values = d->value_count;
    out->values_cut = d->uncounted > 0;
    out->step = d->bucketing.step;
    out->bucket_count = d->bucketing.n;
    TRY(sum_up(d, &out->total));
    return query_settle(d->q);
}

static err scan_twice(struct breakdown *d, struct query_breakdown_answer *out) {
    struct matcher m;
    struct column_ref columns[COLUMNS_OF_SPANS + KEY_COLUMNS] = {
        COLUMN_FIELD(FIELD_TIME), COLUMN_FIELD(d->r->signal == SIGNAL_SPANS ? FIELD_STATUS : FIELD_SEVERITY),
        COLUMN_FIELD(FIELD_DURATION), COLUMN_FIELD(FIELD_TRACE_ID)};
    size_t n = first_value_column(d);
    for (size_t b = 0; b < d->r->by_count; b++)
        for (size_t k = 0; k < d->r->by[b].column_count; k++) columns[n++] = d->r->by[b].columns[k];
    TRY(matcher_make(d->q, d->r->signal, &d->r->filter, &m));
    TRY(query_scan(d->q, &m, columns, n, on_rows, d));
    choose(d);
    TRY(query_scan(d->q, &m, columns, n, on_rows, d));
    return read_groups(d, out);
}

err query_breakdown(struct query *q, const struct query_breakdown *r, struct query_breakdown_answer *out) {
    struct breakdown d = {.q = q, .r = r};
    struct query_breakdown_answer made = {0};
    assert(r->top <= QUERY_GROUPS_MAX && r->by_count >= 1 && r->by_count <= QUERY_KEYS_MAX);
    assert(!r->samples || r->signal == SIGNAL_SPANS);
    if (r->trend) TRY(bucketing_make(r->filter.time_min, r->filter.time_max, r->step, &d.bucketing));
    d.groups = arena_array(&q->arena, struct group, GROUPS);
    if (!d.groups) return arena_err(&q->arena);
    err e = scan_twice(&d, &made);
    mem_free(d.values);
    for (size_t k = 0; k < QUERY_BY_COLUMNS; k++) mem_free(d.seen[k]);
    for (size_t k = 0; k < KEY_COLUMNS; k++) mem_free(d.hashes[k]);
    query_discharge(q, d.capacity * sizeof *d.values);
    for (size_t k = 0; k < QUERY_BY_COLUMNS; k++) query_discharge(q, d.seen_capacity[k] * sizeof(uint32_t));
    for (size_t k = 0; k < KEY_COLUMNS; k++) query_discharge(q, d.hash_capacity[k] * sizeof(uint64_t));
    if (!e) *out = made;
    return e;
}

bool query_range_before(int64_t *time_min, int64_t *time_max, int64_t step, int64_t *out_back) {
    if (*time_min <= 0 || *time_max <= *time_min) return false;
    int64_t back = *time_max - *time_min;
    if (back > INT64_MAX - step) return false;
    back = (back + step - 1) / step * step;
    if (back > *time_min) return false;
    *time_max = MIN(*time_max - back, *time_min - 1);
    *time_min -= back;
    *out_back = back;
    return true;
}
