/* Random and law-abiding requests of metrics, and walks over batches of points. */
#include <stdio.h>

#include "signal/message_testing_priv.h"
#include "signal/metrics/points_priv.h"
#include "signal/metrics/points_testing_priv.h"

/* ---- random requests ----------------------------------------------------------------------------------------------- */

static void add_double(struct maker *k, struct message *m, uint32_t number) {
    static const double values[] = {0, -0.0, 1, 0.1, -17.25, 1e300, __builtin_inf(), 4e-320};
    uint64_t bits = chance_one_in(k->c, 6) ? STALE_NAN : chance_next(k->c);
    if (!chance_one_in(k->c, 3)) memcpy(&bits, &values[chance_below(k->c, LENGTH(values))], 8);
    put_wire_fixed64(add(m, number), number, bits);
}

static void maybe_double(struct maker *k, struct message *m, uint32_t number) {
    if (chance_one_in(k->c, 2)) add_double(k, m, number);
}

static void fill_exemplar(struct maker *k, struct message *m) {
    add_fixed64(m, 2, rare(k));
    if (chance_one_in(k->c, 2))
        add_double(k, m, 3);
    else if (chance_one_in(k->c, 2))
        put_wire_fixed64(add(m, 6), 6, rare(k));
    if (chance_one_in(k->c, 2)) add_id(k, m, 4, 8);
    if (chance_one_in(k->c, 2)) add_id(k, m, 5, 16);
    add_attributes(k, m, 7);
}

static void add_exemplars(struct maker *k, struct message *m, uint32_t number) {
    for (uint32_t n = chance_one_in(k->c, 4) ? chance_below(k->c, 4) : 0; n > 0; n--)
        add_message(k, m, number, true, fill_exemplar);
}

static void add_times(struct maker *k, struct message *m) {
    add_fixed64(m, 2, rare(k));
    add_fixed64(m, 3, chance_next(k->c) >> 1);
}

static void fill_number(struct maker *k, struct message *m) {
    add_times(k, m);
    if (chance_one_in(k->c, 2))
        add_double(k, m, 4);
    else if (!chance_one_in(k->c, 8))
        put_wire_fixed64(add(m, 6), 6, rare(k));
    add_exemplars(k, m, 5);
    add_attributes(k, m, 7);
    add_varint(m, 8, chance_one_in(k->c, 5) ? rare32(k) : 0);
}

static void add_packed_fixed(struct message *m, uint32_t number, const uint64_t *values, uint32_t n) {
    if (n) put_wire_bytes(add(m, number), number, str_span(values, 8 * (size_t)n));
}

static void fill_histogram(struct maker *k, struct message *m) {
    uint64_t counts[12], bounds[12];
    double bound = -3;
    uint32_t n = chance_one_in(k->c, 5) ? 0 : 1 + chance_below(k->c, 11);
    for (uint32_t i = 0; i < n; i++) {
        counts[i] = rare(k);
        bound += 0.5 + chance_below(k->c, 100);
        memcpy(&bounds[i], &bound, 8);
    }
    add_times(k, m);
    add_fixed64(m, 4, rare(k));
    maybe_double(k, m, 5);
    add_packed_fixed(m, 6, counts, n);
    add_packed_fixed(m, 7, bounds, n ? n - 1 : 0);
    add_exemplars(k, m, 8);
    add_attributes(k, m, 9);
    add_varint(m, 10, chance_one_in(k->c, 5));
    maybe_double(k, m, 11);
    maybe_double(k, m, 12);
}

static void fill_buckets(struct maker *k, struct message *m) {
    AUTO_BUF struct buf packed;
    buf_init(&packed, MIB);
    int32_t offset = (int32_t)chance_below(k->c, 400) - 200;
    add_varint(m, 1, chance_one_in(k->c, 3) ? 0 : (uint32_t)offset << 1 ^ (uint32_t)(offset >> 31));
    for (uint32_t n = chance_below(k->c, 20); n > 0; n--) {
        unsigned char bytes[10];
        buf_add(&packed, bytes, any_varint(rare(k), bytes));
    }
    add_bytes(m, 2, buf_str(&packed));
}

static void fill_exponential(struct maker *k, struct message *m) {
    add_attributes(k, m, 1);
    add_times(k, m);
    add_fixed64(m, 4, rare(k));
    maybe_double(k, m, 5);
    add_varint(m, 6, chance_below(k->c, 40));
    add_fixed64(m, 7, rare(k));
    if (!chance_one_in(k->c, 3)) add_message(k, m, 8, true, fill_buckets);
    if (chance_one_in(k->c, 3)) add_message(k, m, 9, true, fill_buckets);
    add_varint(m, 10, chance_one_in(k->c, 5));
    add_exemplars(k, m, 11);
    maybe_double(k, m, 12);
    maybe_double(k, m, 13);
    add_fixed64(m, 14, rare(k));
}

static void fill_quantile(struct maker *k, struct message *m) {
    add_fixed64(m, 1, rare(k));
    add_fixed64(m, 2, rare(k));
}

static void fill_summary(struct maker *k, struct message *m) {
    add_times(k, m);
    add_fixed64(m, 4, rare(k));
    add_fixed64(m, 5, rare(k));
    for (uint32_t n = chance_below(k->c, 5); n > 0; n--) add_message(k, m, 6, true, fill_quantile);
    add_attributes(k, m, 7);
    add_varint(m, 8, chance_one_in(k->c, 5));
}

#define POINTS_OF(kind, fill, tail)                                                                                    \
    static void fill_##kind(struct maker *k, struct message *m) {                                                      \
        for (uint32_t n = 1 + chance_below(k->c, 6); n > 0; n--) add_message(k, m, 1, true, fill);                     \
        tail;                                                                                                          \
    }
POINTS_OF(gauge, fill_number, )
POINTS_OF(sum, fill_number, (add_varint(m, 2, chance_below(k->c, 4)), add_varint(m, 3, chance_below(k->c, 2))))
POINTS_OF(histograms, fill_histogram, add_varint(m, 2, chance_below(k->c, 4)))
POINTS_OF(exponentials, fill_exponential, add_varint(m, 2, chance_below(k->c, 4)))
POINTS_OF(summaries, fill_summary, )

static void fill_metric(struct maker *k, struct message *m) {
    static const struct {
        uint32_t field;
        void (*fill)(struct maker *, struct message *);
    } kinds[] = {{5, fill_gauge}, {7, fill_sum}, {9, fill_histograms}, {10, fill_exponentials}, {11, fill_summaries}};
    uint32_t kind = chance_below(k->c, LENGTH(kinds));
    char text[40];
    add_bytes(m, 1, random_text(k, text));
    add_bytes(m, 2, random_text(k, text));
    if (chance_one_in(k->c, 2)) add_bytes(m, 3, random_text(k, text));
    add_message(k, m, kinds[kind].field, true, kinds[kind].fill);
    if (chance_one_in(k->c, 4)) add_attributes(k, m, 12);
}

static void fill_scope_metrics(struct maker *k, struct message *m) {
    char text[40];
    add_message(k, m, 1, false, fill_scope);
    for (uint32_t n = 1 + chance_below(k->c, 5); n > 0; n--) add_message(k, m, 2, true, fill_metric);
    add_bytes(m, 3, random_text(k, text));
}

static void fill_resource_metrics(struct maker *k, struct message *m) {
    char text[40];
    add_message(k, m, 1, false, fill_resource);
    for (uint32_t n = 1 + chance_below(k->c, 3); n > 0; n--) add_message(k, m, 2, true, fill_scope_metrics);
    add_bytes(m, 3, random_text(k, text));
}

void random_points_request(struct chance *c, bool canonical, struct buf *out) {
    struct maker k = {c, canonical};
    struct message *m = mem_new_of(struct message);
    for (uint32_t n = 1 + chance_below(c, 3); n > 0; n--) add_message(&k, m, 1, true, fill_resource_metrics);
    flatten(c, canonical, m, out);
    mem_free(m);
}

/* ---- the load law --------------------------------------------------------------------------------------------------- */

#define FORMAT(buffer, ...) (snprintf(buffer, sizeof buffer, __VA_ARGS__), buffer)

enum { COUNTERS = 100, GAUGES = 25, LABELS = 8 };

struct pair {
    const char *name, *value;
};

static void put_attribute(struct buf *out, uint32_t field, const char *key, const char *value) {
    AUTO_BUF struct buf any, entry;
    buf_init(&any, MIB);
    buf_init(&entry, MIB);
    put_wire_bytes(&any, 1, str_of(value));
    put_wire_bytes(&entry, 1, str_of(key));
    put_wire_bytes(&entry, 2, buf_str(&any));
    put_wire_bytes(out, field, buf_str(&entry));
}

/* The labels of counter i: method, route and code. */
static void counter_labels(uint32_t i, char text[static 64], struct pair out[static 3]) {
    static const char *const methods[] = {"GET", "POST"}, *const codes[] = {"200", "201", "400", "404", "500"};
    out[0] = (struct pair){"http.request.method", methods[i % 2]};
    snprintf(text, 64, "/api/v1/resource-%u/{id}", i / 10);
    out[1] = (struct pair){"http.route", text};
    out[2] = (struct pair){"http.response.status_code", codes[i / 2 % 5]};
}

static uint64_t sample_bits(struct chance *c, bool counter) {
    double v = counter ? (double)(chance_next(c) >> 34) : (double)chance_below(c, 10000) / 100;
    uint64_t bits;
    memcpy(&bits, &v, 8);
    return bits;
}

static void put_number(struct chance *c, uint64_t time_ns, const struct pair *labels, uint32_t n, struct buf *out) {
    AUTO_BUF struct buf point;
    buf_init(&point, MIB);
    put_wire_fixed64(&point, 2, time_ns - 3600000000000u);
    put_wire_fixed64(&point, 3, time_ns);
    put_wire_fixed64(&point, 4, sample_bits(c, n > 0));
    for (uint32_t i = 0; i < n; i++) put_attribute(&point, 7, labels[i].name, labels[i].value);
    put_wire_bytes(out, 1, buf_str(&point));
}

static void put_metric(struct chance *c, uint64_t time_ns, int gauge, struct buf *out) {
    AUTO_BUF struct buf metric, data;
    char text[64];
    buf_init(&metric, MIB);
    buf_init(&data, MIB);
    put_wire_bytes(&metric, 1, str_of(gauge < 0 ? "http.server.requests" : FORMAT(text, "process.gauge.%d", gauge)));
    put_wire_bytes(&metric, 3, gauge < 0 ? STR("{request}") : STR("By"));
    for (uint32_t i = 0; i < (gauge < 0 ? COUNTERS : 1); i++) {
        struct pair labels[3];
        counter_labels(i, text, labels);
        put_number(c, time_ns, labels, gauge < 0 ? 3 : 0, &data);
    }
    if (gauge < 0) {
        put_wire_varint(&data, 2, 2);
        put_wire_varint(&data, 3, 1);
    }
    put_wire_bytes(&metric, gauge < 0 ? 7 : 5, buf_str(&data));
    put_wire_bytes(out, 2, buf_str(&metric));
}

static void put_instance(struct chance *c, uint32_t instance, uint64_t time_ns, struct buf *out) {
    AUTO_BUF struct buf group, resource, scopes, scope;
    char text[64];
    buf_init(&group, 16 * MIB);
    buf_init(&resource, MIB);
    buf_init(&scopes, 16 * MIB);
    buf_init(&scope, MIB);
    put_attribute(&resource, 1, "service.name", FORMAT(text, "shop-service-%u", instance / 10));
    put_attribute(&resource, 1, "service.instance.id", FORMAT(text, "6f1c2b9e-7a53-4d1e-9b0a-0000000%05u", instance));
    put_attribute(&resource, 1, "k8s.namespace.name", "shop");
    put_wire_bytes(&group, 1, buf_str(&resource));
    put_wire_bytes(&scope, 1, STR("io.opentelemetry.instrumentation.http"));
    put_wire_bytes(&scopes, 1, buf_str(&scope));
    for (int gauge = -1; gauge < GAUGES; gauge++) put_metric(c, time_ns, gauge, &scopes);
    put_wire_bytes(&group, 2, buf_str(&scopes));
    put_wire_bytes(out, 1, buf_str(&group));
}

void load_points_request(struct chance *c, uint32_t first, uint32_t instances, uint64_t time_ns, struct buf *out) {
    for (uint32_t i = 0; i < instances; i++) put_instance(c, first + i, time_ns, out);
}

/* ---- the same by remote write ---------------------------------------------------------------------------------------- */

/* Symbols of a 2.0 request, looked for one by one. */
struct symbols {
    struct strings strings;
    int version;
};

static void put_write_labels(struct symbols *s, const struct pair *labels, uint32_t n, struct buf *out) {
    AUTO_BUF struct buf refs, label;
    buf_init(&refs, MIB);
    buf_init(&label, MIB);
    for (uint32_t i = 0; i < n; i++) {
        const char *texts[] = {labels[i].name, labels[i].value};
        unsigned char bytes[10];
        buf_clear(&label);
        for (uint32_t t = 0; t < 2; t++) {
            put_wire_bytes(&label, t + 1, str_of(texts[t]));
            buf_add(&refs, bytes, any_varint(strings_intern(&s->strings, str_of(texts[t])), bytes));
        }
        if (s->version == 1) put_wire_bytes(out, 1, buf_str(&label));
    }
    if (s->version == 2) put_wire_bytes(out, 1, buf_str(&refs));
}

static void put_write_series(struct chance *c, struct symbols *s, const struct pair *labels, uint32_t n,
                             int64_t time_ms, struct buf *out) {
    AUTO_BUF struct buf series, sample;
    buf_init(&series, MIB);
    buf_init(&sample, MIB);
    put_write_labels(s, labels, n, &series);
    put_wire_fixed64(&sample, 1, sample_bits(c, n > 3));
    put_wire_varint(&sample, 2, (uint64_t)time_ms);
    put_wire_bytes(&series, 2, buf_str(&sample));
    put_wire_bytes(out, s->version == 1 ? 1 : 5, buf_str(&series));
}

static void put_write_instance(struct chance *c, struct symbols *s, uint32_t instance, int64_t time_ms,
                               struct buf *out) {
    char job[64], id[64], text[64];
    FORMAT(job, "shop-service-%u", instance / 10);
    FORMAT(id, "6f1c2b9e-7a53-4d1e-9b0a-0000000%05u", instance);
    for (uint32_t i = 0; i < COUNTERS + GAUGES; i++) {
        struct pair counter[3];
        if (i >= COUNTERS) {
            FORMAT(text, "process_gauge_%u_bytes", i - COUNTERS);
            struct pair labels[] = {{"__name__", text}, {"instance", id}, {"job", job}};
            put_write_series(c, s, labels, LENGTH(labels), time_ms, out);
            continue;
        }
        counter_labels(i, text, counter);
        struct pair labels[] = {{"__name__", "http_server_requests_total"},
                                {"http_request_method", counter[0].value},
                                {"http_response_status_code", counter[2].value},
                                {"http_route", counter[1].value},
                                {"instance", id},
                                {"job", job}};
        put_write_series(c, s, labels, LENGTH(labels), time_ms, out);
    }
}

void load_write_request(struct chance *c, uint32_t first, uint32_t instances, int64_t time_ms, int version,
                        struct buf *out) {
    struct symbols s = {.version = version};
    strings_init(&s.strings);
    strings_intern(&s.strings, STR(""));
    for (uint32_t i = 0; i < instances; i++) put_write_instance(c, &s, first + i, time_ms, out);
    for (uint32_t i = 0; version == 2 && i < s.strings.n; i++) put_wire_bytes(out, 4, strings_get(&s.strings, i));
    strings_done(&s.strings);
}

/* ---- walking ------------------------------------------------------------------------------------------------------ */

static uint64_t walk_text(struct str s) {
    uint64_t sum = s.n;
    for (size_t i = 0; i < s.n; i++) sum += (unsigned char)s.p[i];
    return sum;
}

static uint64_t walk_label_list(const struct points *p, struct str rest) {
    struct str name, value;
    uint64_t sum = 0;
    AUTO_BUF struct buf text;
    buf_init(&text, 64 * MIB);
    while (points_label_next(&rest, &name, &value)) {
        sum += walk_text(name) + walk_text(value);
        if (p->origin == POINTS_OTLP) value_message_text(value, &text);
    }
    assert(rest.n == 0);
    return sum + text.n;
}

static uint64_t walk_labels(const struct points *p, uint32_t id) { return walk_label_list(p, points_string(p, id)); }

uint64_t walk_points(const struct points *p) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < p->n; i++) {
        const struct points_series *s = &p->series[point_series(p, i)];
        const struct points_metric *m = &p->metrics[s->metric];
        sum += point_time(p, i) + point_start(p, i) + point_value(p, i) + point_flags(p, i);
        sum += walk_label_list(p, points_labels_of(p, point_series(p, i))) + walk_labels(p, m->metadata) +
               walk_text(points_string(p, m->name)) + walk_text(points_string(p, m->unit)) +
               walk_text(points_string(p, m->description));
        if (!point_is_compound(point_kind(p, i))) continue;
        const struct points_histogram *h = &p->histograms[point_value(p, i)];
        for (int l = 0; l < NUMBERS; l++)
            for (uint32_t j = 0; j < h->n[l]; j++) sum += histogram_numbers(p, h, l)[j];
    }
    for (uint32_t i = 0; i < p->exemplar_count; i++)
        sum += walk_labels(p, p->exemplars[i].labels) + p->exemplars[i].value;
    for (uint32_t i = 0; i < p->resource_count; i++) sum += walk_labels(p, p->resources[i].attributes);
    for (uint32_t i = 0; i < p->scope_count; i++) sum += walk_labels(p, p->scopes[i].attributes);
    return sum;
}

void check_points_blob(struct batch_blob *blob) {
    struct batch_blob *whole, *opened = NULL;
    struct points a, b;
    points_view(blob, &a);
    whole = points_whole(&a);
    err e = points_open(batch_bytes(whole), &opened);
    assert(!e);
    points_view(opened, &b);
    assert(points_equal(&a, &b));
    assert(walk_points(&a) == walk_points(&b));
    batch_unref(opened);
    points_view(whole, &b);
    assert(points_equal(&a, &b));
    assert(!b.kept && memcmp(a.hashes, b.hashes, a.series_count * sizeof *a.hashes) == 0);
    batch_unref(whole);
}

static void check_equal_results(const struct points_result *r, const struct points_result *again) {
    struct points a, b;
    assert(r->points == again->points && r->exemplars == again->exemplars && !r->blob == !again->blob);
    assert(memcmp(r->rejected, again->rejected, sizeof r->rejected) == 0 && strcmp(r->first, again->first) == 0);
    if (!r->blob) return;
    check_points_blob(again->blob);
    points_view(r->blob, &a);
    points_view(again->blob, &b);
    assert(points_equal(&a, &b) && a.series_count == b.series_count);
    assert(memcmp(a.hashes, b.hashes, a.series_count * sizeof *a.hashes) == 0);
}

void check_kept_labels(points_decode_fn decode, int how, struct str before, struct str body) {
    enum { ROUNDS = 3 };
    struct points_decoder *plain = points_decoder_new(), *sharing = points_decoder_new();
    struct points_result r = {0}, rounds[ROUNDS] = {0}, other = {0};
    points_decoder_share(sharing);
    err_free(decode(sharing, how, before, &other));
    err e = decode(plain, how, body, &r);
    for (int i = 0; i < ROUNDS; i++) {
        err again = decode(sharing, how, body, &rounds[i]);
        assert(!e == !again && (!e || err_kind(e) == err_kind(again)));
        if (e) assert(strcmp(err_text(e), err_text(again)) == 0);
        err_free(again);
        if (i == 0) points_decoder_forget(sharing);
    }
    points_decoder_free(sharing);
    for (int i = 0; i < ROUNDS && !e; i++) check_equal_results(&r, &rounds[i]);
    for (int i = 0; i < ROUNDS; i++) batch_unref(rounds[i].blob);
    batch_unref(r.blob);
    batch_unref(other.blob);
    err_free(e);
    points_decoder_free(plain);
}
