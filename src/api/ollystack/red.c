/* RED figures and groups of traces: /traces/aggregate, /traces/group. */
#include "api/ollystack/ollystack_priv.h"

#include <math.h>
#include <stdlib.h>

#include "base/map.h"
#include "query/trace_values.h"

enum { DAY = 24, GROUPS = 50, FIELDS_MAX = 8, SAMPLES_MAX = 5, HOUR_S = 3600 };

/* ---- groups ----------------------------------------------------------------------------------------------------- */

struct group {
    struct str values[FIELDS_MAX];
    uint64_t count, errors;
    double sum;
    int64_t *durations; /* of its traces, ascending in the end */
    size_t ids[SAMPLES_MAX], id_n;
};
struct grouping {
    struct str fields[FIELDS_MAX];
    size_t field_n;
    struct str *attributes[FIELDS_MAX]; /* of rows; NULL: the field is one of a row's own */
    struct olly_traces rows;
    struct group *v; /* most traces first */
    size_t n;
    uint32_t *group_of; /* of rows; while it is made */
};

static int most_first(const void *x, const void *y) {
    const struct group *a = x, *b = y;
    if (a->count != b->count) return a->count > b->count ? -1 : 1;
    for (size_t i = 0; i < FIELDS_MAX; i++) {
        int order = str_compare(a->values[i], b->values[i]);
        if (order) return order;
    }
    return 0;
}

static bool is_of_row(struct str field) {
    return str_equal(field, STR("service")) || str_equal(field, STR("operation")) || str_equal(field, STR("status"));
}

/* A field that is none of a row's is an attribute: as the earliest span has it that has it at all. */
static err read_attributes(struct olly *o, const struct query_filter *f, struct grouping *g) {
    unsigned char *ids = arena_alloc(&o->q.arena, 16 * (g->rows.n + 1));
    if (!ids) return arena_err(&o->q.arena);
    for (size_t i = 0; i < g->rows.n; i++) memcpy(ids + 16 * i, g->rows.v[i].id, 16);
    for (size_t k = 0; k < g->field_n; k++) {
        struct column_ref column = {.target = TARGET_ANY, .key = g->fields[k]};
        if (is_of_row(g->fields[k])) continue;
        g->attributes[k] = arena_array(&o->q.arena, struct str, g->rows.n + 1);
        if (!g->attributes[k]) return arena_err(&o->q.arena);
        TRY(query_trace_values(&o->q, f, column, ids, g->rows.n, g->attributes[k]));
    }
    return NULL;
}

static struct str value_of(const struct grouping *g, size_t row, size_t k) {
    const struct olly_trace *t = &g->rows.v[row];
    if (str_equal(g->fields[k], STR("service"))) return t->service;
    if (str_equal(g->fields[k], STR("operation"))) return t->operation;
    if (str_equal(g->fields[k], STR("status"))) return t->failed ? STR("error") : STR("ok");
    return g->attributes[k] && g->attributes[k][row].p ? g->attributes[k][row] : STR("<unknown>");
}

/* One pass that counts, one that puts durations where they belong. */
static void assign(struct grouping *g, struct strings *keys, struct buf *key) {
    for (size_t i = 0; i < g->rows.n; i++) {
        struct str values[FIELDS_MAX] = {{"", 0}};
        buf_clear(key);
        for (size_t k = 0; k < g->field_n; k++) {
            values[k] = value_of(g, i, k);
            buf_add_str(key, values[k]);
            buf_add_byte(key, 0);
        }
        g->group_of[i] = strings_intern(keys, buf_str(key));
        struct group *to = &g->v[g->group_of[i]];
        if (to->count++ == 0) memcpy(to->values, values, sizeof values);
        to->errors += g->rows.v[i].failed;
        to->sum += (double)g->rows.v[i].duration;
        if (to->id_n < SAMPLES_MAX) to->ids[to->id_n++] = i;
    }
    g->n = keys->n;
}

static err place_durations(struct olly *o, struct grouping *g) {
    int64_t *all = arena_array(&o->q.arena, int64_t, g->rows.n + 1);
    if (!all) return arena_err(&o->q.arena);
    for (size_t i = 0; i < g->n; i++) {
        g->v[i].durations = all;
        all += g->v[i].count;
        g->v[i].count = 0;
    }
    for (size_t i = 0; i < g->rows.n; i++) {
        struct group *to = &g->v[g->group_of[i]];
        to->durations[to->count++] = g->rows.v[i].duration;
    }
    for (size_t i = 0; i < g->n; i++) qsort(g->v[i].durations, g->v[i].count, sizeof(int64_t), olly_by_i64);
    qsort(g->v, g->n, sizeof *g->v, most_first);
    return NULL;
}

static err group_rows(struct olly *o, struct grouping *g) {
    AUTO_BUF struct buf key;
    struct strings keys;
    g->v = arena_array(&o->q.arena, struct group, g->rows.n + 1);
    g->group_of = arena_array(&o->q.arena, uint32_t, g->rows.n + 1);
    buf_init(&key, MIB);
    if (!g->v || !g->group_of) return arena_err(&o->q.arena);
    strings_init(&keys);
    assign(g, &keys, &key);
    strings_done(&keys);
    return place_durations(o, g);
}

static void read_fields(const struct olly *o, const char *initial, struct grouping *g) {
    struct str list = olly_text(o->c, "groupBy"), one;
    if (!list.n) list = str_of(initial); /* the page sends an empty one, too */
    for (bool more = true; more && g->field_n < FIELDS_MAX;) {
        more = str_cut(list, ',', &one, &list);
        one = str_trim(one);
        bool known = !one.n;
        for (size_t i = 0; i < g->field_n; i++) known |= str_equal(g->fields[i], one);
        if (!known) g->fields[g->field_n++] = one;
    }
    if (!g->field_n) g->fields[g->field_n++] = STR("service");
}

/* p·(n−1), linear between neighbours. */
static double interpolated(const int64_t *sorted, size_t n, double p) {
    if (n == 0) return 0;
    double at = p * (double)(n - 1);
    size_t low = (size_t)at, high = MIN(low + 1, n - 1);
    return (double)sorted[low] + (at - (double)low) * (double)(sorted[high] - sorted[low]);
}

static void write_ms(struct json_writer *w, const char *key, double ns) {
    json_key(w, str_of(key));
    json_f64(w, olly_ms(ns));
}

/* ---- aggregate -------------------------------------------------------------------------------------------------- */

struct red {
    double p50, p90, p99, min, max, avg;
};

static struct red red_of(const struct group *v) {
    const int64_t *d = v->durations;
    size_t n = v->count;
    return (struct red){interpolated(d, n, 0.5), interpolated(d, n, 0.9), interpolated(d, n, 0.99), (double)d[0],
                        (double)d[n - 1],        v->sum / (double)n};
}

static void write_red(struct json_writer *w, const struct group *v, struct str service, struct str operation,
                      int64_t hours) {
    struct red r = red_of(v);
    json_object(w);
    json_member(w, "service", str, service);
    json_member(w, "operation", str, operation);
    json_member(w, "requestCount", u64, v->count);
    json_member(w, "errorCount", u64, v->errors);
    json_member(w, "errorRate", f64, olly_percent(v->errors, v->count));
    write_ms(w, "p50LatencyMs", r.p50);
    write_ms(w, "p90LatencyMs", r.p90);
    write_ms(w, "p99LatencyMs", r.p99);
    write_ms(w, "minLatencyMs", r.min);
    write_ms(w, "maxLatencyMs", r.max);
    write_ms(w, "avgLatencyMs", r.avg);
    json_member(w, "throughputPerSec", f64, (double)v->count / (double)(hours * HOUR_S));
    json_member(w, "serviceName", str, service);
    json_member(w, "operationName", str, operation);
    write_ms(w, "p50Ms", r.p50);
    write_ms(w, "p90Ms", r.p90);
    write_ms(w, "p99Ms", r.p99);
    write_ms(w, "avgMs", r.avg);
    write_ms(w, "minMs", r.min);
    write_ms(w, "maxMs", r.max);
    json_object_end(w);
}

/* With `operation` alone upstream puts it where the service belongs. */
static void names_of(const struct grouping *g, const struct group *v, struct str *service, struct str *operation) {
    *service = *operation = STR("");
    for (size_t i = 0; i < g->field_n; i++)
        *(str_equal(g->fields[i], STR("operation")) && g->field_n > 1 ? operation : service) = v->values[i];
}

static err write_reds(struct olly *o, const struct grouping *g, const char *key, int64_t hours) {
    json_key(o->w, str_of(key));
    json_array(o->w);
    for (size_t i = 0; i < g->n; i++) {
        struct str service, operation;
        names_of(g, &g->v[i], &service, &operation);
        write_red(o->w, &g->v[i], service, operation, hours);
        if (i % 64 == 63) TRY(answer_settle(&o->a));
    }
    json_array_end(o->w);
    return NULL;
}

static uint64_t distinct(const struct olly_traces *rows, bool operation) {
    struct strings names;
    strings_init(&names);
    for (size_t i = 0; i < rows->n; i++) strings_intern(&names, operation ? rows->v[i].operation : rows->v[i].service);
    uint64_t n = names.n;
    strings_done(&names);
    return n;
}

/* Anything but these two is as good as not given. */
static void keep_known(struct grouping *g) {
    size_t n = 0;
    for (size_t i = 0; i < g->field_n; i++)
        if (str_equal(g->fields[i], STR("service")) || str_equal(g->fields[i], STR("operation")))
            g->fields[n++] = g->fields[i];
    g->field_n = n;
    if (n) return;
    g->fields[0] = STR("service");
    g->fields[1] = STR("operation");
    g->field_n = 2;
}

static err fill_aggregate(struct olly *o) {
    struct query_filter f;
    struct grouping g = {.field_n = 0};
    uint64_t errors = 0;
    int64_t hours = olly_hours(o->c, DAY);
    olly_window(o, hours, STR(""), &f);
    read_fields(o, "service,operation", &g);
    keep_known(&g);
    TRY(olly_traces_read(o, &f, OLLY_ANY, OLLY_TRACES_MAX, &g.rows));
    TRY(group_rows(o, &g));
    int64_t *all = arena_array(&o->q.arena, int64_t, g.rows.n + 1);
    if (!all) return arena_err(&o->q.arena);
    for (size_t i = 0; i < g.rows.n; i++) {
        all[i] = g.rows.v[i].duration;
        errors += g.rows.v[i].failed;
    }
    qsort(all, g.rows.n, sizeof *all, olly_by_i64);
    TRY(write_reds(o, &g, "aggregations", hours));
    json_member(o->w, "operationCount", u64, distinct(&g.rows, true));
    write_ms(o->w, "overallP50Ms", interpolated(all, g.rows.n, 0.5));
    write_ms(o->w, "overallP99Ms", interpolated(all, g.rows.n, 0.99));
    json_member(o->w, "serviceCount", u64, distinct(&g.rows, false));
    TRY(write_reds(o, &g, "services", hours));
    olly_time_range(o->w, f.time_min, f.time_max, hours);
    json_member(o->w, "totalErrors", u64, errors);
    json_member(o->w, "totalRequests", u64, g.rows.n);
    return NULL;
}
void handle_olly_aggregate(struct api_call *c) { olly_answer(c, fill_aggregate); }

/* ---- group ------------------------------------------------------------------------------------------------------ */

struct key_at {
    struct str field;
    size_t at;
};

static int by_field(const void *x, const void *y) {
    return str_compare(((const struct key_at *)x)->field, ((const struct key_at *)y)->field);
}

static void write_key(struct json_writer *w, const char *name, const struct grouping *g, const struct group *v) {
    struct key_at keys[FIELDS_MAX];
    for (size_t i = 0; i < g->field_n; i++) keys[i] = (struct key_at){g->fields[i], i};
    qsort(keys, g->field_n, sizeof *keys, by_field);
    json_key(w, str_of(name));
    json_object(w);
    for (size_t i = 0; i < g->field_n; i++) {
        json_key(w, keys[i].field);
        json_str(w, v->values[keys[i].at]);
    }
    json_object_end(w);
}

static void write_group(struct json_writer *w, const struct grouping *g, const struct group *v) {
    struct red r = red_of(v);
    json_object(w);
    write_key(w, "groupKey", g, v);
    json_member(w, "count", u64, v->count);
    json_member(w, "errorCount", u64, v->errors);
    json_member(w, "errorRate", f64, olly_percent(v->errors, v->count));
    write_ms(w, "avgDurationMs", r.avg);
    write_ms(w, "p50DurationMs", r.p50);
    write_ms(w, "p99DurationMs", r.p99);
    write_ms(w, "minDurationMs", r.min);
    write_ms(w, "maxDurationMs", r.max);
    json_key(w, STR("sampleTraceIds"));
    json_array(w);
    for (size_t i = 0; i < v->id_n; i++) json_hex(w, g->rows.v[v->ids[i]].id, 16);
    json_array_end(w);
    write_key(w, "groupValues", g, v);
    write_ms(w, "p50Ms", r.p50);
    write_ms(w, "p99Ms", r.p99);
    write_ms(w, "avgMs", r.avg);
    json_object_end(w);
}

static err fill_group(struct olly *o) {
    struct query_filter f;
    struct grouping g = {.field_n = 0};
    int64_t hours = olly_hours(o->c, DAY), limit = olly_integer_or(o->c, "limit", GROUPS, GROUPS);
    olly_window(o, hours, olly_text(o->c, "service"), &f);
    read_fields(o, "service", &g);
    TRY(olly_traces_read(o, &f, OLLY_ANY, OLLY_TRACES_MAX, &g.rows));
    TRY(read_attributes(o, &f, &g));
    TRY(group_rows(o, &g));
    size_t shown = MIN(g.n, (size_t)MAX(limit, 0));
    json_key(o->w, STR("groupBy"));
    json_array(o->w);
    for (size_t i = 0; i < g.field_n; i++) json_str(o->w, g.fields[i]);
    json_array_end(o->w);
    json_key(o->w, STR("groups"));
    json_array(o->w);
    for (size_t i = 0; i < shown; i++) write_group(o->w, &g, &g.v[i]);
    json_array_end(o->w);
    olly_time_range(o->w, f.time_min, f.time_max, hours);
    json_member(o->w, "total", u64, shown);
    json_member(o->w, "totalGroups", u64, g.n);
    return NULL;
}
void handle_olly_group(struct api_call *c) { olly_answer(c, fill_group); }
