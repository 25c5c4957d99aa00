#include "metrics.h"

#include <math.h>
#include <stdio.h>

#include "app/protobuf_put.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"

enum { DELTA = 1, CUMULATIVE = 2, BUCKETS = 20 };

static int64_t value_of(const struct crash_metrics *m, uint32_t n) { return (int64_t)(hash_u64(m->seed + n) >> 40); }

static void put_resource(struct buf *b, const char *instance) {
    size_t resource = put_begin(b, 1);
    put_text_attribute(b, 1, STR("service.name"), STR("crash"));
    put_text_attribute(b, 1, STR("service.instance.id"), str_of(instance));
    put_end(b, resource);
}

static void put_gauges(const struct crash_metrics *m, struct buf *b) {
    size_t metric = put_begin(b, 2);
    put_text_field(b, 1, STR("crash_state"));
    size_t data = put_begin(b, 5);
    for (uint32_t i = 0; i < m->items; i++) {
        char n[16];
        snprintf(n, sizeof n, "%u", i);
        size_t point = put_begin(b, 1);
        put_fixed64_field(b, 3, (uint64_t)m->time_ns);
        put_fixed64_field(b, 6, (uint64_t)value_of(m, i));
        put_text_attribute(b, 7, STR("n"), str_of(n));
        put_end(b, point);
    }
    put_end(b, data);
    put_end(b, metric);
}

/* Its sum is that of number `items`. */
static void put_histogram(const struct crash_metrics *m, struct buf *b) {
    size_t metric = put_begin(b, 2);
    put_text_field(b, 1, STR("crash_sizes"));
    size_t data = put_begin(b, 10);
    size_t point = put_begin(b, 1);
    uint64_t count = 0;
    double sum = (double)value_of(m, m->items);
    for (uint32_t i = 0; i < BUCKETS; i++) count += i + m->seed % 7;
    put_fixed64_field(b, 2, (uint64_t)m->time_ns - 1000000000);
    put_fixed64_field(b, 3, (uint64_t)m->time_ns);
    put_fixed64_field(b, 4, count);
    uint64_t bits;
    memcpy(&bits, &sum, sizeof bits);
    put_fixed64_field(b, 5, bits);
    put_varint_field(b, 6, 6); /* scale 3, zigzag */
    size_t positive = put_begin(b, 8);
    put_varint_field(b, 1, 4); /* offset 2 */
    size_t counts = put_begin(b, 2);
    for (uint32_t i = 0; i < BUCKETS; i++) put_varint(b, i + m->seed % 7);
    put_end(b, counts);
    put_end(b, positive);
    put_end(b, point);
    put_varint_field(b, 2, CUMULATIVE);
    put_end(b, data);
    put_end(b, metric);
}

static void put_counter(const struct crash_metrics *m, int64_t now_ns, struct buf *b) {
    char instance[32];
    snprintf(instance, sizeof instance, "sender-%u", m->sender);
    size_t group = put_begin(b, 1);
    put_resource(b, instance);
    size_t scope = put_begin(b, 2);
    size_t metric = put_begin(b, 2);
    put_text_field(b, 1, STR("crash_work"));
    size_t data = put_begin(b, 7);
    size_t point = put_begin(b, 1);
    put_fixed64_field(b, 2, (uint64_t)now_ns - 1000000);
    put_fixed64_field(b, 3, (uint64_t)now_ns);
    put_fixed64_field(b, 6, m->delta);
    put_end(b, point);
    put_varint_field(b, 2, DELTA);
    put_varint_field(b, 3, 1);
    put_end(b, data);
    put_end(b, metric);
    put_end(b, scope);
    put_end(b, group);
}

static void put_instance(const struct crash_metrics *m, char out[32]) {
    snprintf(out, 32, "%016llx", (unsigned long long)m->seed);
}

void crash_metrics_put(const struct crash_metrics *m, struct buf *out) {
    char instance[32];
    put_instance(m, instance);
    size_t group = put_begin(out, 1);
    put_resource(out, instance);
    size_t scope = put_begin(out, 2);
    put_gauges(m, out);
    put_histogram(m, out);
    put_end(out, scope);
    put_end(out, group);
    put_counter(m, m->counter_ns, out);
}

/* ---- reading back ----------------------------------------------------------------------------------------------- */

static void put_query(const char *selector, int64_t time_ns, struct buf *out) {
    buf_add_text(out, "/prometheus/api/v1/query?query=");
    for (const char *p = selector; *p; p++) buf_add_fmt(out, "%%%02X", (unsigned)(unsigned char)*p);
    buf_add_fmt(out, "&time=%lld.%03lld", (long long)(time_ns / 1000000000), (long long)(time_ns / 1000000 % 1000));
    buf_add_byte(out, 0);
}

void crash_metrics_put_query(const struct crash_metrics *m, struct buf *out) {
    char instance[32], selector[128];
    put_instance(m, instance);
    snprintf(selector, sizeof selector, "{instance=\"%s\",__name__=~\"crash_.*\"}[1h]", instance);
    put_query(selector, m->time_ns, out);
}

void crash_metrics_put_counter_query(uint32_t sender, struct buf *out) {
    char selector[128];
    snprintf(selector, sizeof selector, "crash_work_total{instance=\"sender-%u\"}", sender);
    buf_add_text(out, "/prometheus/api/v1/query?query=");
    for (const char *p = selector; *p; p++) buf_add_fmt(out, "%%%02X", (unsigned)(unsigned char)*p);
    buf_add_byte(out, 0);
}

/* One series: its number, and what its samples are. */
struct read_series {
    uint32_t number, samples;
    double value;
};

static bool is_key(const struct json_reader *r, const char *key) { return str_equal(r->value, str_of(key)); }

static double number_of(struct json_reader *r) {
    double v = NAN;
    err_free(parse_f64(r->value, &v));
    return v;
}

uint32_t crash_metrics_count(const struct crash_metrics *m, struct str answer, uint32_t *out_other) {
    struct json_reader r;
    uint32_t found = 0;
    struct read_series s = {.number = m->items}; /* what has no `n` is the histogram */
    enum { NONE, N, VALUES, SUM } at = NONE;
    *out_other = 0;
    json_reader_init(&r, answer, 16);
    for (enum json_token t; (t = json_next(&r)) != JSON_END && t != JSON_ERROR;) {
        if (t == JSON_KEY) {
            if (is_key(&r, "metric")) s = (struct read_series){.number = m->items};
            at = is_key(&r, "n") ? N : is_key(&r, "values") ? VALUES : is_key(&r, "sum") ? SUM : NONE;
        } else if (t == JSON_STRING && at != NONE) {
            double v = number_of(&r);
            if (at == N) {
                s.number = (uint32_t)v;
            } else if (v == (double)value_of(m, s.number) && s.number <= m->items && !s.samples++) {
                found++;
            } else {
                ++*out_other;
            }
            if (at != VALUES) at = NONE;
        }
    }
    json_reader_done(&r);
    return found;
}

double crash_metrics_counter(struct str answer) {
    struct json_reader r;
    double value = 0;
    bool at = false;
    json_reader_init(&r, answer, 16);
    for (enum json_token t; (t = json_next(&r)) != JSON_END && t != JSON_ERROR;) {
        if (t == JSON_KEY) at = is_key(&r, "value");
        if (t == JSON_STRING && at) value = number_of(&r);
    }
    json_reader_done(&r);
    return value;
}
