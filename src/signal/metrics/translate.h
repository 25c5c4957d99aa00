/* OpenTelemetry points → Prometheus series: a pure function of a batch, into a builder of POINTS_PROMETHEUS.
 *
 *   gauge, sum          → one sample                       name, name_total
 *   histogram           → name_bucket{le} …, name_count, name_sum; or one native histogram of custom buckets (schema -53)
 *   exponential         → one native histogram             scale over 8 is brought down to 8
 *   summary             → name{quantile} …, name_count, name_sum
 *   resource            → job, instance on every series; target_info{all other attributes} = 1 once
 *   scope               → otel_scope_name, _version, _schema_url, otel_scope_<attribute> on every series
 *   exemplars           → of monotonic sums and histograms; trace_id, span_id, then the filtered attributes if 128 characters are enough
 *   no recorded value   → the stale marker; start time → start of each sample
 *
 * Delta points (monotonic sums, histograms) come out as they are, with POINT_DELTA in their flags and their window's begin as start:
 * whoever keeps series adds them up: samples, buckets of classic histograms included, by plain addition, native histograms bucket by
 * bucket. Without `deltas` they are dropped.
 *
 * Dropped and counted: deltas, sums that are neither cumulative nor delta, scales under -4, exponential histograms without a sum, those that
 * contradict themselves, deltas of sums that are negative or no number,
 * points without a value, metrics of whose name nothing is left, points over a limit.
 * Limits: the labels of one series 256 KiB; of one batch 2^23 samples and 512 MiB of labels: resources and scopes are said again on every series,
 * so that a request can mean much more than it has bytes.
 *
 * Source: OpenTelemetry specification, compatibility/prometheus_and_openmetrics.md, "OTLP Metric points to Prometheus"; where it leaves
 * things open, Prometheus 3 (storage/remote/otlptranslator/prometheusremotewrite).
 */
#pragma once

#include "signal/metrics/names.h"
#include "signal/metrics/points_build.h"

enum { POINT_DELTA = 1 << 16 }; /* of flags in a Prometheus batch: to be added to what the series had */

enum translate_reason {
    TRANSLATE_DELTA,
    TRANSLATE_TEMPORALITY,
    TRANSLATE_SCALE,
    TRANSLATE_NO_SUM, /* of a native histogram: its sum cannot be unknown, as NaN there says that it is stale */
    TRANSLATE_HISTOGRAM,
    TRANSLATE_NO_VALUE,
    TRANSLATE_NO_NAME,
    TRANSLATE_TOO_LARGE,
    TRANSLATE_BAD_VALUE, /* of a delta: it would spoil what it is added to */
    TRANSLATE_REASONS
};
extern const char *const translate_reason_texts[TRANSLATE_REASONS];

struct translation {
    enum name_strategy names;
    bool scope_labels;          /* the specification's default: yes */
    bool target_info;           /* yes */
    bool custom_buckets;        /* histograms as native ones of schema -53; no */
    bool deltas;                /* see above; no */
    const struct str *promoted; /* resource attributes that become labels of every series */
    uint32_t promoted_n;
};
extern const struct translation translation_default;

struct translator;
struct translator *translator_new(const struct translation *settings); /* borrows what settings point to */
void translator_free(struct translator *t);

/* What it remembers of a batch and a builder: to be forgotten before either goes or is emptied. translate_points does it at its end. */
void translator_forget(struct translator *t);
/* Translates point i of `from` (POINTS_OTLP) to the end of `to`; false: it was dropped, *out_why says why. Points of one metric after each other
 * share the work on its name, resource and scope. */
bool translate_point(struct translator *t, const struct points *from, uint32_t i, struct points_builder *to,
                     enum translate_reason *out_why);
/* Whether a counter can go on by a delta of that much. */
static inline bool translate_is_countable(double delta) { return delta >= 0 && delta < __builtin_inf(); }
/* Appends target_info of a resource at that time (ns), unless it says nothing or the resource has neither job nor instance. */
void translate_target_info(struct translator *t, const struct points *from, uint32_t resource, uint64_t time_ns,
                           struct points_builder *to);
/* All of it: every point, then target_info of each resource at the time of its last point. Counts what was dropped. */
void translate_points(struct translator *t, const struct points *from, struct points_builder *to,
                      uint32_t dropped[TRANSLATE_REASONS]);
