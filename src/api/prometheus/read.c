/* Remote read: samples of series, as another Prometheus asks for them. One kind of response: SAMPLES, which every client takes.
 *
 *   snappy( ReadRequest { queries 1 { start 1, end 2, matchers 3 { type 1, name 2, value 3 } }, accepted_response_types 2 } )
 *   snappy( ReadResponse { results 1 { timeseries 1 { labels 1, samples 2 { value 1, timestamp 2 }, histograms 4 } } } )
 *
 * Source: Prometheus 3.5, prompb/remote.proto and types.proto.
 */
#include <stdlib.h>

#include "api/prometheus/prometheus_priv.h"
#include "api/protobuf_priv.h"
#include "signal/metrics/snappy.h"

enum { REQUEST_BYTES_MAX = 4 << 20, QUERIES_MAX = 64, HISTOGRAM_BYTES_MAX = 64 << 20, SAMPLES_MAX = 50000000 };
enum { RESPONSE_SAMPLES = 0 };

struct read_query {
    int64_t min_ms, max_ms;
    struct promql_matcher matchers[MATCHERS_MAX];
    size_t n;
};

/* ---- the request ------------------------------------------------------------------------------------------------ */

static err broken(void) { return err_new(ERR_INVALID, "the body is no ReadRequest"); }

static err read_matcher(struct str in, struct read_query *q) {
    struct protobuf_field f;
    if (q->n == MATCHERS_MAX) return err_new(ERR_INVALID, "a query with more than %d matchers", MATCHERS_MAX);
    struct promql_matcher *m = &q->matchers[q->n++];
    *m = (struct promql_matcher){.name = STR(""), .value = STR("")};
    while (in.n) {
        if (!protobuf_next(&in, &f)) return broken();
        if (f.number == 1 && f.value > MATCHER_NOT_REGEX) return err_new(ERR_INVALID, "a matcher of an unknown type");
        if (f.number == 1) m->op = (enum label_matcher_op)f.value; /* the same numbers */
        if (f.number == 2) m->name = f.bytes;
        if (f.number == 3) m->value = f.bytes;
    }
    return NULL;
}

static err read_query(struct str in, struct read_query *q) {
    struct protobuf_field f;
    *q = (struct read_query){0};
    while (in.n) {
        if (!protobuf_next(&in, &f)) return broken();
        if (f.number == 1) q->min_ms = (int64_t)f.value;
        if (f.number == 2) q->max_ms = (int64_t)f.value;
        if (f.number == 3) TRY(read_matcher(f.bytes, q));
    }
    return NULL;
}

/* Whether SAMPLES is among the types that are taken; none named means it. Packed or one by one. */
static void read_type(const struct protobuf_field *f, bool *any, bool *good) {
    *any = true;
    if (!f->has_bytes) *good |= f->value == RESPONSE_SAMPLES;
    for (size_t i = 0; f->has_bytes && i < f->bytes.n; i++) *good |= f->bytes.p[i] == RESPONSE_SAMPLES;
}

/* ---- samples ---------------------------------------------------------------------------------------------------- */

struct reader {
    struct samples samples;
    struct buf result, series, sample, part; /* each is a message within the one before it */
    uint64_t sample_count;
};

static void put_spans(struct reader *r, uint32_t field, const struct histogram_span *spans, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        buf_clear(&r->part);
        protobuf_put_signed(&r->part, 1, spans[i].offset);
        protobuf_put_number(&r->part, 2, spans[i].length);
        protobuf_put_bytes(&r->sample, field, buf_str(&r->part));
    }
}

/* Bucket counts of one side: differences of integers in `field`, or doubles in the one behind it. */
static void put_counts(struct reader *r, uint32_t field, const struct histogram *h, uint32_t first, uint32_t n) {
    uint64_t before = 0;
    if (n == 0) return;
    buf_clear(&r->part);
    for (uint32_t i = first; i < first + n; i++) {
        if (h->is_float) {
            buf_add(&r->part, &h->bucket[i].real, sizeof(double));
        } else {
            protobuf_put_packed_signed(&r->part, (int64_t)(h->bucket[i].integer - before));
            before = h->bucket[i].integer;
        }
    }
    protobuf_put_bytes(&r->sample, h->is_float ? field + 1 : field, buf_str(&r->part));
}

static uint32_t count_buckets(const struct histogram_span *spans, uint32_t n) {
    uint32_t buckets = 0;
    for (uint32_t i = 0; i < n; i++) buckets += spans[i].length;
    return buckets;
}

static void put_histogram(struct reader *r, int64_t ms, const struct histogram *h) {
    struct buf *out = &r->sample;
    uint32_t positive = MIN(count_buckets(h->spans, h->positive_spans), h->buckets);
    buf_clear(out);
    if (h->is_float)
        protobuf_put_double(out, 2, h->count.real);
    else
        protobuf_put_number(out, 1, h->count.integer);
    protobuf_put_double(out, 3, h->sum);
    protobuf_put_signed(out, 4, h->schema);
    protobuf_put_double(out, 5, h->zero_threshold);
    if (h->is_float)
        protobuf_put_double(out, 7, h->zero_count.real);
    else
        protobuf_put_number(out, 6, h->zero_count.integer);
    put_spans(r, 8, h->spans + h->positive_spans, h->negative_spans);
    put_counts(r, 9, h, positive, h->buckets - positive);
    put_spans(r, 11, h->spans, h->positive_spans);
    put_counts(r, 12, h, 0, positive);
    protobuf_put_number(out, 14, h->reset_hint);
    protobuf_put_number(out, 15, (uint64_t)ms);
    if (h->custom_bounds)
        protobuf_put_bytes(out, 16, str_span((const char *)h->bounds, h->custom_bounds * sizeof(double)));
    protobuf_put_bytes(&r->series, 4, buf_str(out));
}

static void put_float(struct reader *r, int64_t ms, double v) {
    buf_clear(&r->sample);
    protobuf_put_double(&r->sample, 1, v);
    protobuf_put_number(&r->sample, 2, (uint64_t)ms);
    protobuf_put_bytes(&r->series, 2, buf_str(&r->sample));
}

static void put_series(struct reader *r, struct labels labels) {
    const struct samples *s = &r->samples;
    buf_clear(&r->series);
    for (uint32_t i = 0; i < labels.n; i++) {
        buf_clear(&r->sample);
        protobuf_put_bytes(&r->sample, 1, labels.v[i].name);
        protobuf_put_bytes(&r->sample, 2, labels.v[i].value);
        protobuf_put_bytes(&r->series, 1, buf_str(&r->sample));
    }
    for (uint32_t i = 0; i < s->n; i++) {
        const struct histogram *h = samples_histogram(s, i);
        int64_t ms = series_floor_ms(s->times_ns[i]);
        bool again = i + 1 < s->n && series_floor_ms(s->times_ns[i + 1]) == ms; /* the last of a ms counts */
        if (again) continue;
        if (h)
            put_histogram(r, ms, h);
        else
            put_float(r, ms, s->values[i]);
    }
    protobuf_put_bytes(&r->result, 1, buf_str(&r->series));
}

/* ---- the answer ------------------------------------------------------------------------------------------------- */

struct read_row {
    struct labels labels;
    uint32_t i;
};

static int by_labels(const void *x, const void *y) {
    return promql_labels_compare(((const struct read_row *)x)->labels, ((const struct read_row *)y)->labels);
}

/* Series in the order of their labels, as who reads merges them. */
static err put_selection(struct prometheus *p, struct series_found *found, struct reader *r) {
    uint32_t n = series_found_count(found);
    struct read_row *rows = arena_array(&p->q.arena, struct read_row, n + 1);
    if (!rows) return arena_err(&p->q.arena);
    for (uint32_t i = 0; i < n; i++) rows[i] = (struct read_row){series_found_labels(found, i), i};
    qsort(rows, n, sizeof *rows, by_labels);
    for (uint32_t i = 0; i < n; i++) {
        TRY(series_source_step(&p->source));
        TRY(series_found_read(found, rows[i].i, &r->samples));
        r->sample_count += r->samples.n;
        if (r->sample_count > SAMPLES_MAX)
            return prometheus_bad(p, err_new(ERR_INVALID, "exceeded sample limit (%d)", SAMPLES_MAX));
        if (r->samples.n) put_series(r, rows[i].labels);
        if (r->result.full || r->series.full)
            return err_new(ERR_LIMIT, "the answer is larger than %zu MiB; ask for less", r->result.max / MIB);
    }
    return NULL;
}

static err answer_query(struct prometheus *p, const struct read_query *q, struct reader *r, struct buf *response) {
    struct prometheus_matches *m = arena_new(&p->q.arena, struct prometheus_matches);
    struct series_found *found;
    if (!m) return arena_err(&p->q.arena);
    TRY(prometheus_bad(p, promql_matchers_make(&p->q.arena, q->matchers, q->n, &m->sets[0].v)));
    m->sets[0].n = (uint32_t)q->n;
    m->n = 1;
    label_matchers_set_deadline(m->sets[0].v, m->sets[0].n, p->q.deadline_ns);
    err e = prometheus_select(p, m, 0, q->min_ms, q->max_ms, 0, (struct series_wish){SERIES_SAMPLES, 0}, &found);
    prometheus_matches_done(m);
    TRY(e);
    buf_clear(&r->result);
    e = put_selection(p, found, r);
    series_found_free(found);
    if (!e) protobuf_put_bytes(response, 1, buf_str(&r->result));
    return e ? e : query_charge(&p->q, r->result.n * 2);
}

static err answer_request(struct prometheus *p, struct str in, struct reader *r, struct buf *response) {
    struct read_query *q = arena_new(&p->q.arena, struct read_query);
    struct protobuf_field f;
    bool any = false, good = false;
    size_t n = 0;
    if (!q) return arena_err(&p->q.arena);
    for (struct str rest = in; rest.n;) {
        if (!protobuf_next(&rest, &f)) return prometheus_bad(p, broken());
        if (f.number == 2) read_type(&f, &any, &good);
    }
    if (any && !good)
        return prometheus_bad(p, err_new(ERR_INVALID, "server does not support any of the requested response types; "
                                                      "supported: SAMPLES"));
    while (in.n) {
        protobuf_next(&in, &f);
        if (f.number != 1) continue;
        if (++n > QUERIES_MAX) return prometheus_bad(p, err_new(ERR_INVALID, "more than %d queries", QUERIES_MAX));
        TRY(prometheus_bad(p, read_query(f.bytes, q)));
        TRY(answer_query(p, q, r, response));
    }
    return NULL;
}

static err fill_read(struct prometheus *p, struct api_reply *reply) {
    static const struct http_field encoding = {STR("Content-Encoding"), STR("snappy")};
    AUTO_BUF struct buf request, response;
    struct reader r = {0};
    size_t most = p->q.options.memory_max_bytes / 4;
    buf_init(&request, REQUEST_BYTES_MAX);
    buf_init(&response, most);
    buf_init(&r.result, most);
    buf_init(&r.series, most);
    buf_init(&r.sample, MIB);
    buf_init(&r.part, MIB);
    samples_init(&r.samples, HISTOGRAM_BYTES_MAX);
    err e = prometheus_bad(p, err_wrap(snappy_block_read(p->c->request.body, &request), "the body"));
    if (!e) e = answer_request(p, buf_str(&request), &r, &response);
    if (!e && response.full) e = err_new(ERR_LIMIT, "the answer is larger than %zu MiB; ask for less", most / MIB);
    if (!e) snappy_block_write(buf_str(&response), &p->a.body);
    samples_done(&r.samples);
    buf_done(&r.result);
    buf_done(&r.series);
    buf_done(&r.sample);
    buf_done(&r.part);
    reply->content_type = STR("application/x-protobuf");
    reply->fields = &encoding;
    reply->field_count = 1;
    return e;
}

void handle_prometheus_read(struct api_call *c) { prometheus_answer_as(c, fill_read); }
