#include "app/load_metrics.h"

#include <math.h>
#include <stdio.h>

#include "app/load_random.h"
#include "app/protobuf_put.h"
#include "base/hash.h"

enum { ROUTES = 10, METHODS = 2, CODES = 5, BUCKETS = 12, NODE_JITTER_MS = 5 };
static const char *const methods[METHODS] = {"GET", "POST"};
static const char *const codes[CODES] = {"200", "201", "404", "500", "503"};
static const char *const routes[ROUTES] = {"/cart",   "/cart/{id}",   "/checkout", "/items",   "/items/{id}",
                                           "/orders", "/orders/{id}", "/search",   "/session", "/reviews"};

static const char *const bounds[BUCKETS] = {"0.005", "0.01", "0.025", "0.05", "0.1",  "0.25",
                                            "0.5",   "1.0",  "2.5",   "5.0",  "10.0", "+Inf"};

/* How a series moves. */
enum law_class {
    LAW_COUNTER,
    LAW_WALK,
    LAW_RATIO,
    LAW_CONSTANT,
    NODE_COUNTER,
    NODE_CPU_SECONDS,
    NODE_BYTES,
    NODE_DECIMALS,
    NODE_PAGES,
    NODE_SPARSE,
    NODE_CONSTANT,
    NODE_NOISE,
    NODE_FLOAT_SUM,
};

struct law_state {
    uint64_t next; /* the scrape that `value` is before */
    double value;
};

/* The labels of a series in remote write, of instance 0: those of another one differ in digits. */
struct law_labels {
    struct buf bytes;
    size_t instance_at, node_at; /* 0: not made yet */
};

struct law_metrics {
    uint64_t seed;
    uint32_t instances;
    enum law_profile profile;
    struct law_state *states;
    struct law_labels labels[LAW_SERIES];
};

struct law_metrics *law_metrics_new(uint64_t seed, uint32_t instances, enum law_profile profile) {
    struct law_metrics *m = mem_new_of(struct law_metrics);
    *m = (struct law_metrics){.seed = seed, .instances = instances, .profile = profile};
    m->states = mem_new_array(struct law_state, (size_t)instances * LAW_SERIES);
    for (uint32_t i = 0; i < LAW_SERIES; i++) buf_init(&m->labels[i].bytes, KIB);
    return m;
}

void law_metrics_free(struct law_metrics *m) {
    if (!m) return;
    for (uint32_t i = 0; i < LAW_SERIES; i++) buf_done(&m->labels[i].bytes);
    mem_free(m->states);
    mem_free(m);
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

static bool is_bucket(uint32_t series, enum law_profile profile) {
    return profile == PROFILE_BUCKETS && series < ROUTES * BUCKETS;
}

static enum law_class class_of(uint32_t series, enum law_profile profile) {
    static const enum law_class of_node[] = {
        NODE_COUNTER, NODE_COUNTER, NODE_CPU_SECONDS, NODE_CPU_SECONDS, NODE_BYTES,    NODE_DECIMALS, NODE_PAGES,
        NODE_PAGES,   NODE_SPARSE,  NODE_SPARSE,      NODE_CONSTANT,    NODE_CONSTANT, NODE_NOISE,    NODE_FLOAT_SUM};
    if (profile == PROFILE_NODE) return of_node[series % LENGTH(of_node)];
    if (profile == PROFILE_BUCKETS ? is_bucket(series, profile) : series < LAW_COUNTERS) return LAW_COUNTER;
    return (enum law_class)(LAW_WALK + (series - LAW_COUNTERS) % 3);
}

/* Where series of a class begin, and what they are. */
static const struct law_row {
    double begin;
    bool is_counter, is_integer;
} rows[] = {
    [LAW_COUNTER] = {1000, true, true},
    [LAW_WALK] = {500, false, true},
    [LAW_RATIO] = {0, false, false},
    [LAW_CONSTANT] = {42, false, true},
    [NODE_COUNTER] = {1000, true, false},
    [NODE_CPU_SECONDS] = {1000, true, false},
    [NODE_BYTES] = {8e11, true, false},
    [NODE_DECIMALS] = {1000, false, false},
    [NODE_PAGES] = {4096e6, false, false},
    [NODE_SPARSE] = {1000, true, false},
    [NODE_CONSTANT] = {17179869184, false, false},
    [NODE_NOISE] = {0, false, false},
    [NODE_FLOAT_SUM] = {1000, true, false},
};

static double step(enum law_class c, struct load_random *x, double before) {
    switch (c) {
    case LAW_COUNTER: return before + (double)load_random_below(x, 100);
    case LAW_WALK: return before + (double)load_random_below(x, 21) - 10;
    case LAW_RATIO: return (double)load_random_below(x, 100) / 100;
    case LAW_CONSTANT: return load_random_below(x, 100) ? before : 40 + (double)load_random_below(x, 5);
    case NODE_COUNTER: return before + (double)load_random_below(x, 8);
    case NODE_CPU_SECONDS: return floor(before * 100 + 0.5 + (double)load_random_below(x, 1500)) / 100;
    case NODE_BYTES: return before + (double)load_random_below(x, 8000000);
    case NODE_DECIMALS: return floor(before * 100 + 200 * load_random_normal(x)) / 100;
    case NODE_PAGES: return before + 4096 * floor(300 * load_random_normal(x));
    case NODE_SPARSE: return before + (load_random_below(x, 12) ? 0 : 1 + (double)load_random_below(x, 3));
    case NODE_NOISE: return 0.5 + load_random_normal(x) / 20;
    case NODE_FLOAT_SUM: return before + load_random_unit(x);
    case NODE_CONSTANT: break;
    }
    return before;
}

static double series_value(struct law_metrics *m, uint32_t instance, uint32_t series, uint64_t scrape) {
    uint64_t number = (uint64_t)instance * LAW_SERIES + series;
    struct law_state *s = &m->states[number];
    enum law_class c = class_of(series, m->profile);
    if (s->next == 0 || s->next > scrape + 1) *s = (struct law_state){0, rows[c].begin};
    for (; s->next <= scrape; s->next++) {
        struct load_random x;
        load_random_seed(&x, m->seed ^ hash_u64(number << 32 | (uint32_t)s->next));
        s->value = step(c, &x, s->value);
    }
    return s->value;
}

/* A bucket counts what those below it count. */
double law_metrics_value(struct law_metrics *m, uint32_t instance, uint32_t series, uint64_t scrape) {
    double value = series_value(m, instance, series, scrape);
    for (uint32_t i = series; is_bucket(series, m->profile) && i % BUCKETS; i--)
        value += series_value(m, instance, i - 1, scrape);
    return value;
}

/* ---- names ------------------------------------------------------------------------------------------------------ */

#define TEXT(name, size, ...)                                                                                          \
    char name##_text[size];                                                                                            \
    struct str name = {name##_text, (size_t)snprintf(name##_text, sizeof name##_text, __VA_ARGS__)}

/* What a series is called. Counters of the law share a name; all others have one of their own. */
struct law_name {
    char text[48];
    const char *method, *route, *code, *le; /* NULL: it has none */
    bool is_counter, is_integer;
};

static struct law_name name_of(uint32_t series, enum law_profile profile) {
    enum law_class c = class_of(series, profile);
    struct law_name n = {.is_counter = rows[c].is_counter, .is_integer = rows[c].is_integer};
    if (is_bucket(series, profile)) {
        snprintf(n.text, sizeof n.text, "shop_latency_seconds_bucket");
        n.route = routes[series / BUCKETS];
        n.le = bounds[series % BUCKETS];
        n.is_counter = false; /* its name says so itself */
    } else if (c == LAW_COUNTER) {
        snprintf(n.text, sizeof n.text, "shop_requests");
        n.method = methods[series % METHODS];
        n.code = codes[series / METHODS % CODES];
        n.route = routes[series / METHODS / CODES];
    } else {
        snprintf(n.text, sizeof n.text, "%s_%03u", profile == PROFILE_NODE ? "node_state" : "shop_state", series);
    }
    return n;
}

void law_metrics_put_key(uint32_t series, enum law_profile profile, struct buf *out) {
    struct law_name n = name_of(series, profile);
    buf_add_fmt(out, "%s%s,%s,%s,%s,%s", n.text, n.is_counter ? "_total" : "", n.method ? n.method : "",
                n.route ? n.route : "", n.code ? n.code : "", n.le ? n.le : "");
}

void law_metrics_put_instance(uint32_t instance, struct buf *out) {
    buf_add_fmt(out, "shop-7d9f8b6c5d-%05u", instance);
}

int64_t law_metrics_time(const struct law_metrics *m, const struct law_scrape *s, uint32_t instance) {
    int64_t jitter = m->profile != PROFILE_NODE
                         ? 0
                         : (int64_t)(hash_u64(m->seed ^ instance ^ s->scrape << 20) % (2 * NODE_JITTER_MS + 1));
    return s->time_ns / 1000000 * 1000000 + jitter * 1000000;
}

/* ---- OTLP ------------------------------------------------------------------------------------------------------- */

static void put_resource(struct buf *b, uint32_t instance) {
    size_t resource = put_begin(b, 1);
    TEXT(id, 64, "shop-7d9f8b6c5d-%05u", instance);
    TEXT(node, 64, "node-pool-a-%02u", instance % 50);
    put_text_attribute(b, 1, STR("service.name"), STR("shop"));
    put_text_attribute(b, 1, STR("service.instance.id"), id);
    put_text_attribute(b, 1, STR("service.version"), instance % 3 ? STR("2.4.0") : STR("2.4.1"));
    put_text_attribute(b, 1, STR("host.name"), node);
    put_text_attribute(b, 1, STR("k8s.pod.name"), id);
    put_text_attribute(b, 1, STR("k8s.namespace.name"), STR("shop-production"));
    put_text_attribute(b, 1, STR("deployment.environment.name"), STR("production"));
    put_end(b, resource);
}

static void put_point(struct buf *b, const struct law_name *n, const struct law_scrape *s, int64_t time_ns,
                      double value) {
    size_t point = put_begin(b, 1);
    if (n->is_counter) put_fixed64_field(b, 2, (uint64_t)s->start_ns);
    put_fixed64_field(b, 3, (uint64_t)time_ns);
    uint64_t bits;
    if (n->is_integer)
        bits = (uint64_t)(int64_t)value;
    else
        memcpy(&bits, &value, sizeof bits);
    put_fixed64_field(b, n->is_integer ? 6 : 4, bits);
    if (n->method) {
        put_text_attribute(b, 7, STR("method"), str_of(n->method));
        put_text_attribute(b, 7, STR("route"), str_of(n->route));
        put_text_attribute(b, 7, STR("code"), str_of(n->code));
    }
    put_end(b, point);
}

static void put_metric(struct law_metrics *m, const struct law_scrape *s, uint32_t instance, uint32_t first, uint32_t n,
                       struct buf *b) {
    struct law_name name = name_of(first, m->profile);
    int64_t time_ns = law_metrics_time(m, s, instance);
    size_t metric = put_begin(b, 2);
    put_text_field(b, 1, str_of(name.text));
    size_t data = put_begin(b, name.is_counter ? 7 : 5);
    for (uint32_t i = 0; i < n; i++) {
        if (n > 1) name = name_of(first + i, m->profile);
        put_point(b, &name, s, time_ns, law_metrics_value(m, instance, first + i, s->scrape));
    }
    if (name.is_counter) {
        put_varint_field(b, 2, 2);
        put_varint_field(b, 3, 1);
    }
    put_end(b, data);
    put_end(b, metric);
}

void law_metrics_put_otlp(struct law_metrics *m, const struct law_scrape *s, struct buf *out) {
    uint32_t counters = m->profile == PROFILE_NODE ? 0 : LAW_COUNTERS;
    for (uint32_t i = s->first; i < s->first + s->n; i++) {
        size_t resource = put_begin(out, 1);
        put_resource(out, i);
        size_t scope = put_begin(out, 2);
        if (counters) put_metric(m, s, i, 0, counters, out);
        for (uint32_t j = counters; j < LAW_SERIES; j++) put_metric(m, s, i, j, 1, out);
        put_end(out, scope);
        put_end(out, resource);
    }
}

/* ---- remote write ----------------------------------------------------------------------------------------------- */

static void put_label(struct buf *b, const char *name, struct str value) {
    size_t label = put_begin(b, 1);
    put_text_field(b, 1, str_of(name));
    put_text_field(b, 2, value);
    put_end(b, label);
}

enum { INSTANCE_DIGITS = 5, NODE_DIGITS = 2 };
static_assert(INSTANCES_MAX <= 100000, "five digits");

/* By name, ascending. */
static void make_labels(struct law_labels *l, const struct law_name *n) {
    struct buf *b = &l->bytes;
    TEXT(name, 64, "%s%s", n->text, n->is_counter ? "_total" : "");
    put_label(b, "__name__", name);
    if (n->code) put_label(b, "code", str_of(n->code));
    put_label(b, "instance", STR("shop-7d9f8b6c5d-00000"));
    l->instance_at = b->n - INSTANCE_DIGITS;
    put_label(b, "job", STR("shop"));
    if (n->le) put_label(b, "le", str_of(n->le));
    if (n->method) put_label(b, "method", str_of(n->method));
    put_label(b, "namespace", STR("shop-production"));
    put_label(b, "node", STR("node-pool-a-00"));
    l->node_at = b->n - NODE_DIGITS;
    if (n->route) put_label(b, "route", str_of(n->route));
}

static void put_digits(char *at, uint32_t digits, uint32_t n) {
    for (; digits > 0; n /= 10) at[--digits] = (char)('0' + n % 10);
}

static void put_labels(struct law_metrics *m, struct buf *out, uint32_t instance, uint32_t series) {
    struct law_labels *l = &m->labels[series];
    if (!l->node_at) {
        struct law_name n = name_of(series, m->profile);
        make_labels(l, &n);
    }
    put_digits(l->bytes.p + l->instance_at, INSTANCE_DIGITS, instance);
    put_digits(l->bytes.p + l->node_at, NODE_DIGITS, instance % 50);
    buf_add_str(out, buf_str(&l->bytes));
}

void law_metrics_put_remote_write(struct law_metrics *m, const struct law_scrape *s, struct buf *out) {
    for (uint32_t i = s->first; i < s->first + s->n; i++) {
        int64_t time_ms = law_metrics_time(m, s, i) / 1000000;
        for (uint32_t j = 0; j < LAW_SERIES; j++) {
            double value = law_metrics_value(m, i, j, s->scrape);
            uint64_t bits;
            memcpy(&bits, &value, sizeof bits);
            size_t series = put_begin(out, 1);
            put_labels(m, out, i, j);
            size_t sample = put_begin(out, 2);
            put_varint(out, 1 << 3 | 1);
            buf_add(out, &bits, 8);
            put_varint_field(out, 2, (uint64_t)time_ms);
            put_end(out, sample);
            put_end(out, series);
        }
    }
}
