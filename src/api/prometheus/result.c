/* Results of queries as JSON. Rows go into the body as they are, not by the writer: they are most of an answer. */
#include "api/prometheus/prometheus_priv.h"
#include "base/text.h"
#include "query/promql/number.h"

void prometheus_put_time(struct buf *out, int64_t ms) {
    char text[8];
    uint64_t n = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    if (ms < 0) buf_add_byte(out, '-');
    put_u64(out, n / 1000);
    unsigned part = (unsigned)(n % 1000);
    if (!part) return;
    text[0] = '.';
    text[1] = (char)('0' + part / 100);
    text[2] = (char)('0' + part / 10 % 10);
    text[3] = (char)('0' + part % 10);
    buf_add(out, text, 4);
}

void prometheus_write_labels(struct json_writer *w, struct labels labels) {
    json_object(w);
    for (uint32_t i = 0; i < labels.n; i++) {
        json_key(w, labels.v[i].name);
        json_str(w, labels.v[i].value);
    }
    json_object_end(w);
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

static void put_quoted(struct buf *out, double v) {
    buf_add_byte(out, '"');
    put_sample_value(out, v);
    buf_add_byte(out, '"');
}

static void put_histogram(struct buf *out, const struct native *h) {
    struct native_walk walk = native_walk(h, false);
    struct native_bucket b;
    bool any = false;
    buf_add_text(out, "{\"count\":");
    put_quoted(out, h->count);
    buf_add_text(out, ",\"sum\":");
    put_quoted(out, h->sum);
    while (native_next(&walk, &b)) {
        bool is_zero = b.rule == 3;
        if (is_zero && !(b.count > 0)) continue; /* what Prometheus leaves out */
        buf_add_fmt(out, any ? ",[%d," : ",\"buckets\":[[%d,", b.rule);
        put_quoted(out, b.lower);
        buf_add_byte(out, ',');
        put_quoted(out, b.upper);
        buf_add_byte(out, ',');
        put_quoted(out, b.count);
        buf_add_byte(out, ']');
        any = true;
    }
    buf_add_text(out, any ? "]}" : "}");
}

static void put_float_at(struct buf *out, int64_t ms, double v) {
    buf_add_byte(out, '[');
    prometheus_put_time(out, ms);
    buf_add_byte(out, ',');
    put_quoted(out, v);
    buf_add_byte(out, ']');
}

static void put_histogram_at(struct buf *out, int64_t ms, const struct native *h) {
    buf_add_byte(out, '[');
    prometheus_put_time(out, ms);
    buf_add_byte(out, ',');
    put_histogram(out, h);
    buf_add_byte(out, ']');
}

/* A value of the writer's that is put into the buffer by hand: begins here. */
static struct buf *by_hand(struct json_writer *w) {
    json_raw(w, STR(""));
    return w->out;
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

static void write_sample(struct json_writer *w, const struct promql_row *row, int64_t ms) {
    bool is_histogram = row->kinds[0] == PROMQL_HISTOGRAM;
    json_object(w);
    json_key(w, STR("metric"));
    prometheus_write_labels(w, row->labels);
    json_key(w, is_histogram ? STR("histogram") : STR("value"));
    if (is_histogram)
        put_histogram_at(by_hand(w), ms, row->histograms[0]);
    else
        put_float_at(by_hand(w), ms, row->values[0]);
    json_object_end(w);
}

/* "values" and "histograms" of a row over steps, each only if there are some. */
static void write_steps(struct json_writer *w, const struct promql_answer *a, const struct promql_row *row) {
    static const struct str names[] = {[PROMQL_FLOAT] = STR("values"), [PROMQL_HISTOGRAM] = STR("histograms")};
    for (int kind = PROMQL_FLOAT; kind <= PROMQL_HISTOGRAM; kind++) {
        struct buf *out = NULL;
        for (size_t i = 0; i < a->step_n; i++) {
            if (row->kinds[i] != kind) continue;
            if (!out) json_key(w, names[kind]);
            bool first = !out;
            if (first) out = by_hand(w);
            buf_add_byte(out, first ? '[' : ',');
            int64_t ms = a->start_ms + (int64_t)i * a->step_ms;
            if (kind == PROMQL_FLOAT)
                put_float_at(out, ms, row->values[i]);
            else
                put_histogram_at(out, ms, row->histograms[i]);
        }
        if (out) buf_add_byte(out, ']');
    }
}

static void write_series(struct json_writer *w, const struct promql_answer *a, const struct promql_row *row) {
    json_object(w);
    json_key(w, STR("metric"));
    prometheus_write_labels(w, row->labels);
    write_steps(w, a, row);
    json_object_end(w);
}

static void write_points(struct json_writer *w, const struct promql_points *p) {
    struct buf *out;
    json_object(w);
    json_key(w, STR("metric"));
    prometheus_write_labels(w, p->labels);
    if (p->n) {
        json_key(w, STR("values"));
        out = by_hand(w);
        for (size_t i = 0; i < p->n; i++) {
            buf_add_byte(out, i ? ',' : '[');
            put_float_at(out, p->times[i], p->values[i]);
        }
        buf_add_byte(out, ']');
    }
    if (p->histogram_n) {
        json_key(w, STR("histograms"));
        out = by_hand(w);
        for (size_t i = 0; i < p->histogram_n; i++) {
            buf_add_byte(out, i ? ',' : '[');
            put_histogram_at(out, p->histogram_times[i], p->histograms[i]);
        }
        buf_add_byte(out, ']');
    }
    json_object_end(w);
}

/* ---- the result ------------------------------------------------------------------------------------------------- */

/* At most `limit` (0: all) of n; what was left out becomes a warning. */
static size_t limited(struct prometheus *p, size_t n, uint64_t limit) {
    if (!limit || n <= limit) return n;
    prometheus_note(p, STR("results truncated due to limit"));
    return (size_t)limit;
}

static err write_rows(struct prometheus *p, const struct promql_answer *a, uint64_t limit) {
    struct json_writer *w = &p->a.w;
    size_t n = limited(p, a->type == PROMQL_MATRIX ? a->point_n : a->row_n, limit);
    json_array(w);
    for (size_t i = 0; i < n; i++) {
        if (a->type == PROMQL_MATRIX)
            write_points(w, &a->points[i]);
        else if (a->step_ms)
            write_series(w, a, &a->rows[i]);
        else
            write_sample(w, &a->rows[i], a->start_ms);
        TRY(answer_settle(&p->a));
        if (i % 64 == 63) TRY(series_source_check(&p->source));
    }
    json_array_end(w);
    return NULL;
}

/* Scalars and strings: Prometheus leaves out zeros at the end of their time, and never gives their value an exponent. */
static void write_single(struct json_writer *w, const struct promql_answer *a) {
    json_array(w);
    struct buf *out = by_hand(w);
    size_t from = out->n;
    prometheus_put_time(out, a->start_ms);
    bool has_part = out->n > from + 4 && out->p[out->n - 4] == '.';
    while (has_part && out->p[out->n - 1] == '0') out->n--;
    if (a->type == PROMQL_STRING) {
        json_str(w, a->text);
    } else {
        AUTO_BUF struct buf number;
        buf_init(&number, KIB);
        put_go_plain(&number, a->row_n ? a->rows[0].values[0] : 0);
        json_str(w, buf_str(&number));
    }
    json_array_end(w);
}

err prometheus_write_result(struct prometheus *p, const struct promql_answer *answer, uint64_t limit) {
    struct json_writer *w = &p->a.w;
    bool is_range = answer->step_ms != 0;
    json_member(w, "resultType", text, is_range ? "matrix" : promql_type_name(answer->type));
    json_key(w, STR("result"));
    if (is_range || (answer->type != PROMQL_STRING && answer->type != PROMQL_SCALAR))
        return write_rows(p, answer, limit);
    write_single(w, answer);
    return NULL;
}
