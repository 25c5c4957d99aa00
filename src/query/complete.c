/* Names of attributes and the values of one: what completes a condition while it is typed. Names come from the store's directories,
 * without rows; values from the newest rows, as many as fit into a fraction of a second. */
#include "query/complete.h"
#include "query/query_priv.h"

#include "base/map.h"
#include "base/vec.h"
#include "os/clock.h"

#include <stdlib.h>

/* `want` at the start of the text, without ASCII case. */
static bool begins(struct str text, struct str want) {
    return text.n >= want.n && str_equal_nocase((struct str){text.p, want.n}, want);
}

/* 2: the name begins so; 1: what is behind one of its dots or underscores does; 0: neither. */
static int name_fits(struct str name, struct str want) {
    if (begins(name, want)) return 2;
    for (size_t i = 1; i + want.n <= name.n; i++)
        if ((name.p[i - 1] == '.' || name.p[i - 1] == '_') && begins((struct str){name.p + i, name.n - i}, want))
            return 1;
    return 0;
}

/* Of a column's values those in as many rows as are read until then. */
static err values_of(struct query *q, const struct query_values *r, uint64_t rows_max, struct query_values_answer *out);

/* ---- names ------------------------------------------------------------------------------------------------------ */

struct names {
    struct query *q;
    struct strings keys; /* one byte of the set, then the name */
    VEC(struct query_attribute) v;
    struct str want;
    enum target target; /* TARGET_ANY: of every set */
    bool cut;
    err error;
};

static enum target target_of(enum set set) {
    return set == SET_RESOURCES ? TARGET_RESOURCE
           : set == SET_SCOPES  ? TARGET_SCOPE
           : set == SET_EVENTS  ? TARGET_EVENT
                                : TARGET_ATTRIBUTE;
}

static struct query_attribute *attribute_of(struct names *n, const struct key_seen *k, int fit) {
    char bytes[1 + QUERY_ATTRIBUTE_BYTES];
    struct str key = {bytes, 1 + k->name.n};
    uint32_t at;
    bytes[0] = (char)k->set;
    memcpy(bytes + 1, k->name.p, k->name.n);
    if (strings_find(&n->keys, key, &at)) return &n->v.v[at];
    if (n->v.n == QUERY_ATTRIBUTES_SEEN_MAX) {
        n->cut = true;
        return NULL;
    }
    n->error = query_charge(n->q, key.n + sizeof(struct query_attribute));
    if (n->error) return NULL;
    strings_intern(&n->keys, key);
    struct query_attribute *made = vec_push(&n->v);
    *made = (struct query_attribute){.target = target_of(k->set), .key = query_keep(n->q, k->name), .begins = fit > 1};
    return made;
}

static enum scan_next on_key(void *context, const struct key_seen *k) {
    struct names *n = context;
    if (n->target != TARGET_ANY && n->target != target_of(k->set)) return SCAN_GO_ON;
    if (k->name.n == 0 || k->name.n > QUERY_ATTRIBUTE_BYTES) return SCAN_GO_ON;
    int fit = name_fits(k->name, n->want);
    if (!fit) return SCAN_GO_ON;
    struct query_attribute *a = attribute_of(n, k, fit);
    if (a) {
        a->values += k->values;
        a->types |= (uint8_t)(1 << k->type);
    }
    if (!n->error) n->error = query_check(n->q);
    return n->error ? SCAN_STOP : SCAN_GO_ON;
}

static int best_first(const void *x, const void *y) {
    const struct query_attribute *a = x, *b = y;
    if (a->begins != b->begins) return a->begins ? -1 : 1;
    if (a->values != b->values) return a->values > b->values ? -1 : 1;
    int order = str_compare(a->key, b->key);
    return order ? order : (int)a->target - (int)b->target;
}

/* It is no attribute, but is asked for as one; the attribute of that name, where senders set it, stands for it. */
static err add_correlation(struct names *n, const struct query_attributes *r) {
    static const struct str name = STR("correlation_id"), own = STR("\0correlation_id");
    static_assert(SET_ROWS == 0, "the first byte of its key");
    struct query_values wanted = {.signal = r->signal, .column = COLUMN_FIELD(FIELD_CORRELATION)};
    struct query_values_answer found;
    uint32_t at;
    int fit = name_fits(name, n->want);
    if (!fit || n->target != TARGET_ANY || strings_find(&n->keys, own, &at)) return NULL;
    query_filter_init(&wanted.filter);
    wanted.filter.time_min = r->time_min;
    wanted.filter.time_max = r->time_max;
    TRY(query_filter_where(n->q, &wanted.filter, STR("correlation_id exists")));
    TRY(values_of(n->q, &wanted, 1, &found));
    if (!found.rows) return NULL;
    TRY(query_charge(n->q, sizeof(struct query_attribute)));
    *vec_push(&n->v) = (struct query_attribute){
        .target = TARGET_FIELD, .key = name, .types = 1 << VALUE_STRING, .values = found.rows, .begins = fit > 1};
    return NULL;
}

static err collect_names(struct names *n, const struct query_attributes *r, struct query_attributes_answer *out) {
    struct snapshot *sn;
    struct scan_request range = query_range(n->q, r->time_min, r->time_max);
    AUTO_ARENA struct arena scratch;
    arena_init(&scratch, n->q->options.memory_max_bytes);
    TRY(query_check(n->q));
    TRY(query_snapshot(n->q, r->signal, &sn));
    TRY(snapshot_keys(sn, &range, &scratch, on_key, n, &n->q->stats));
    if (n->error) return take(&n->error);
    TRY(add_correlation(n, r));
    TRY(query_check(n->q));
    if (n->v.n) qsort(n->v.v, n->v.n, sizeof *n->v.v, best_first);
    size_t count = MIN(n->v.n, r->limit);
    struct query_attribute *all = arena_array(&n->q->arena, struct query_attribute, count + 1);
    if (!all) return arena_err(&n->q->arena);
    if (count) memcpy(all, n->v.v, count * sizeof *all);
    *out = (struct query_attributes_answer){all, count, n->v.n, n->cut};
    return query_settle(n->q);
}

err query_attributes(struct query *q, const struct query_attributes *r, struct query_attributes_answer *out) {
    struct names n = {.q = q, .want = r->prefix};
    n.target = where_prefix(&n.want);
    if (r->time_min > r->time_max) return err_new(ERR_INVALID, "the range ends before it starts");
    strings_init(&n.keys);
    err e = collect_names(&n, r, out);
    err_free(n.error);
    strings_done(&n.keys);
    vec_done(&n.v);
    return e;
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

struct values {
    struct query *q;
    struct strings texts;
    VEC(uint64_t) counts;
    struct str want;
    uint64_t rows, rows_max;
    int64_t stop_ns; /* monotonic */
    bool sampled, cut;
    struct arena memory; /* of one chunk's counts */
};

static err count_text(struct values *v, struct str text, uint64_t rows) {
    uint32_t at;
    if (text.n > QUERY_VALUE_BYTES || !begins(text, v->want)) {
        v->cut |= text.n > QUERY_VALUE_BYTES;
        return NULL;
    }
    if (!strings_find(&v->texts, text, &at)) {
        if (v->counts.n == QUERY_VALUES_SEEN_MAX) {
            v->cut = true;
            return NULL;
        }
        TRY(query_charge(v->q, text.n + 3 * sizeof(uint64_t)));
        at = strings_intern(&v->texts, text);
        *vec_push(&v->counts) = 0;
    }
    v->counts.v[at] += rows;
    return NULL;
}

/* Once for each text of the chunk, not for each row. */
static err count_chunk(struct values *v, const struct picked *rows) {
    const struct vector *c = &rows->chunk->columns[0];
    arena_clear(&v->memory);
    uint32_t *counts = arena_zero(&v->memory, (c->text_count + 1) * sizeof *counts);
    if (!counts) return arena_err(&v->memory);
    for (uint32_t k = 0; k < rows->n; k++) {
        uint32_t code = c->codes[picked_at(rows, k)];
        if (code != CODE_ABSENT) counts[code]++;
    }
    for (uint32_t i = 0; i < c->text_count; i++)
        if (counts[i]) TRY(count_text(v, c->texts[i], counts[i]));
    return NULL;
}

static enum scan_next on_rows(void *context, const struct picked *rows, err *out_error) {
    struct values *v = context;
    if (v->rows >= v->rows_max || (v->rows && clock_monotonic_ns() > v->stop_ns)) {
        v->sampled = true;
        return SCAN_STOP;
    }
    v->rows += rows->n;
    *out_error = count_chunk(v, rows);
    return SCAN_GO_ON;
}

static int most_first(const void *x, const void *y) {
    const struct query_value *a = x, *b = y;
    if (a->rows != b->rows) return a->rows > b->rows ? -1 : 1;
    return str_compare(a->text, b->text);
}

static err put_values(struct values *v, size_t limit, struct query_values_answer *out) {
    struct query_value *all = arena_array(&v->q->arena, struct query_value, v->counts.n + 1);
    if (!all) return arena_err(&v->q->arena);
    for (uint32_t i = 0; i < v->counts.n; i++)
        all[i] = (struct query_value){query_keep(v->q, strings_get(&v->texts, i)), v->counts.v[i]};
    qsort(all, v->counts.n, sizeof *all, most_first);
    *out = (struct query_values_answer){all, MIN(v->counts.n, limit), v->rows, v->sampled, v->cut};
    return query_settle(v->q);
}

/* Where nothing matches on_rows is not asked: then the scan ends soon after its time. */
static err sample(struct values *v, struct matcher *m, const struct column_ref *column) {
    int64_t deadline_ns = v->q->deadline_ns;
    v->q->deadline_ns = MIN(deadline_ns, v->stop_ns + QUERY_VALUES_NS);
    err e = query_scan(v->q, m, column, 1, on_rows, v);
    bool ours = e && err_kind(e) == ERR_CANCELLED && v->q->deadline_ns < deadline_ns && !query_is_cancelled(v->q);
    v->q->deadline_ns = deadline_ns;
    if (!ours || clock_monotonic_ns() > deadline_ns) return e;
    err_free(e);
    v->sampled = true;
    return NULL;
}

err query_values(struct query *q, const struct query_values *r, struct query_values_answer *out) {
    if (r->column.target == TARGET_EVENT) return err_new(ERR_INVALID, "values of an event's attributes are not listed");
    if (r->column.target == TARGET_FIELD && field_rows[r->column.field].type != FIELD_STRING)
        return err_new(ERR_INVALID, "values of %s are not listed: it is no text", field_rows[r->column.field].name);
    return values_of(q, r, QUERY_VALUES_ROWS, out);
}

static err values_of(struct query *q, const struct query_values *r, uint64_t rows_max,
                     struct query_values_answer *out) {
    struct matcher m;
    struct values v = {.q = q, .want = r->prefix, .rows_max = rows_max};
    TRY(matcher_make(q, r->signal, &r->filter, &m));
    v.stop_ns = clock_monotonic_ns() + QUERY_VALUES_NS;
    strings_init(&v.texts);
    arena_init(&v.memory, q->options.memory_max_bytes);
    err e = sample(&v, &m, &r->column);
    if (!e) e = put_values(&v, r->limit, out);
    arena_done(&v.memory);
    strings_done(&v.texts);
    vec_done(&v.counts);
    return e;
}
