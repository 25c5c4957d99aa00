/* Samples that rules make, as a batch of points. */
#include "alert/alert_priv.h"

void samples_out_init(struct samples_out *s) {
    points_builder_init(&s->b, POINTS_PROMETHEUS);
    buf_init(&s->scratch, MIB);
}

void samples_out_done(struct samples_out *s) {
    points_builder_done(&s->b);
    buf_done(&s->scratch);
}

static uint64_t bits_of(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static uint32_t add_point(struct samples_out *s, struct labels labels, int64_t time_ms, enum point_kind kind) {
    buf_clear(&s->scratch);
    for (uint32_t i = 0; i < labels.n; i++) points_put_label(&s->scratch, labels.v[i].name, labels.v[i].value);
    points_builder_series(&s->b, 0, strings_append(&s->b.strings, buf_str(&s->scratch)));
    uint32_t i = points_builder_point(&s->b);
    s->b.time[i] = (uint64_t)time_ms; /* as remote write has it */
    s->b.kind[i] = (uint8_t)kind;
    return i;
}

void samples_out_add(struct samples_out *s, struct labels labels, int64_t time_ms, double value) {
    uint32_t i = add_point(s, labels, time_ms, POINT_DOUBLE);
    s->b.value[i] = bits_of(value);
}

/* Runs of neighbours: offset from the end of the one before << 32 | length. */
static uint32_t add_spans(struct samples_out *s, const struct native_side *side) {
    uint32_t spans = 0;
    for (uint32_t i = 0; i < side->n; spans++) {
        uint32_t n = 1;
        int32_t gap = i ? side->index[i] - side->index[i - 1] - 1 : side->index[i];
        while (i + n < side->n && side->index[i + n] == side->index[i] + (int32_t)n) n++;
        *vec_push(&s->b.numbers) = (uint64_t)(uint32_t)gap << 32 | n;
        i += n;
    }
    return spans;
}

void samples_out_add_native(struct samples_out *s, struct labels labels, int64_t time_ms, const struct native *h) {
    static const uint32_t hints[] = {
        [NATIVE_RESET_UNKNOWN] = 0, [NATIVE_RESET] = 1, [NATIVE_NOT_RESET] = 2, [NATIVE_GAUGE] = 3};
    const struct native_side *sides[2] = {&h->positive, &h->negative};
    uint32_t point = add_point(s, labels, time_ms, POINT_NATIVE);
    struct points_histogram out = {.count = bits_of(h->count),
                                   .sum = bits_of(h->sum),
                                   .zero_count = bits_of(h->zero_count),
                                   .zero_threshold = bits_of(h->zero_threshold),
                                   .scale = h->schema,
                                   .flags = HISTOGRAM_HAS_SUM | HISTOGRAM_IS_FLOAT,
                                   .reset_hint = hints[h->reset],
                                   .first = (uint32_t)s->b.numbers.n};
    for (int k = 0; k < 2; k++) {
        out.n[NUMBERS_POSITIVE + k] = sides[k]->n;
        for (uint32_t i = 0; i < sides[k]->n; i++) *vec_push(&s->b.numbers) = bits_of(sides[k]->count[i]);
    }
    out.n[NUMBERS_BOUNDS] = h->custom_n;
    for (uint32_t i = 0; i < h->custom_n; i++) *vec_push(&s->b.numbers) = bits_of(h->custom[i]);
    for (int k = 0; k < 2; k++) out.n[NUMBERS_POSITIVE_SPANS + k] = add_spans(s, sides[k]);
    s->b.value[point] = s->b.histograms.n;
    *vec_push(&s->b.histograms) = out;
}
