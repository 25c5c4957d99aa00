/* Metrics off the wire into a batch of points (points.h): OTLP as protobuf and JSON, Prometheus remote write 1.0 and 2.0, the text
 * format and OpenMetrics; and OTLP out of a batch again.
 *
 * One pass, no message tree. A series' labels are hashed as the bytes they came as; only bytes that were not met lately are
 * looked into. So a sample costs about the parsing of its numbers, and `points.hashes` says who it is of.
 *
 * Refused points are left out and counted by reason, the first with a sentence (partial success): times outside `limits`,
 * labels or histograms that are none. Text that is not UTF-8 is kept from OTLP and refused from Prometheus. A body that is malformed, or over
 * a limit of counts or depth, is one ERR_INVALID or ERR_LIMIT naming the byte or line, and nothing of it is taken.
 *
 * Limits: nesting 64; labels of one series 16,384 from OTLP, 1,024 from Prometheus; of one request 2^20 points, series, exemplars,
 * metrics, 2^24 numbers; 65,536 buckets a histogram; a string 16 MiB; a body as `net` allows, at most 512 MiB; its strings together 16 MiB
 * and 32 times the body. Columns and strings are charged as they grow: ERR_BUSY.
 * Owner and threads: a decoder belongs to one thread and is reused; its memory stays warm.
 * Source: opentelemetry-proto 1.11; Prometheus remote write 1.0 and 2.0 specifications; exposition formats 0.0.4 and OpenMetrics 1.0,
 * with quoted UTF-8 names as Prometheus 3 writes them.
 */
#pragma once

#include "signal/metrics/points.h"
#include "signal/otlp.h"

enum points_reason {
    POINTS_TOO_OLD,
    POINTS_TOO_NEW,
    POINTS_TOO_MANY,      /* labels of one series */
    POINTS_BAD_LABELS,    /* no name, a name twice, not UTF-8 */
    POINTS_BAD_HISTOGRAM, /* buckets that do not fit their bounds, spans or count */
    POINTS_REASONS
};
extern const char *const points_reason_texts[POINTS_REASONS];

struct points_result {
    struct batch_blob *blob; /* NULL if nothing was taken; the caller's reference */
    uint32_t points;         /* taken: samples + histograms */
    uint32_t samples, histograms, exemplars;
    uint32_t rejected[POINTS_REASONS]; /* points; a series refused counts all of its own */
    uint32_t exemplars_rejected;       /* ids of a wrong length, labels that are none; their points are taken */
    uint32_t invalid_utf8;             /* of OTLP, taken as they are; equal ones may count once */
    char first[240];                   /* a sentence about the first that was refused, or "" */
};

struct points_decoder;
struct points_decoder *points_decoder_new(void);
void points_decoder_free(struct points_decoder *d);
/* From here on labels of series may be kept beside the batches (points.h, 5): they are neither copied nor looked into when they come again. */
void points_decoder_share(struct points_decoder *d);
/* Gives up what is remembered from earlier requests: at most 8 MiB, which are drawn from the budget of their limits. Batches stay whole. */
void points_decoder_forget(struct points_decoder *d);

/* On an error `out` is untouched. */
err points_decode_otlp(struct points_decoder *d, struct str body, const struct otlp_limits *limits,
                       struct points_result *out);
err points_decode_otlp_json(struct points_decoder *d, struct str body, const struct otlp_limits *limits,
                            struct points_result *out);

/* Remote write, unpacked (signal/metrics/snappy.h): version 1 is prometheus.WriteRequest, 2 io.prometheus.write.v2.Request. Label sets are put
 * in order, labels with empty values left out; a series with a label name twice or without a name is refused. */
err points_decode_write(struct points_decoder *d, int version, struct str body, const struct otlp_limits *limits,
                        struct points_result *out);

/* A scrape or an import of text. Samples without a time are of limits->now. A body is taken whole or (ERR_INVALID with line and column)
 * not at all, but for times outside the limits; out->points then says how many came before the fault. Of a larger one than 2^20 samples the caller
 * makes several. */
enum points_text_format {
    POINTS_TEXT,       /* text/plain; version=0.0.4 or 1.0.0 */
    POINTS_OPENMETRICS /* application/openmetrics-text; version=1.0.0 */
};
err points_decode_text(struct points_decoder *d, enum points_text_format format, struct str body,
                       const struct otlp_limits *limits, struct points_result *out);
/* The same with labels that every sample gets, instead of its own of these names (job, instance). */
struct points_label {
    struct str name, value;
};
err points_decode_import(struct points_decoder *d, enum points_text_format format, struct str body,
                         const struct points_label *labels, uint32_t label_count, const struct otlp_limits *limits,
                         struct points_result *out);
/* The same, but a sample's own labels stay, and one that it says to be empty keeps the given one away: honor_labels of Prometheus. */
err points_decode_honoring(struct points_decoder *d, enum points_text_format format, struct str body,
                           const struct points_label *labels, uint32_t label_count, const struct otlp_limits *limits,
                           struct points_result *out);

/* ExportMetricsServiceRequest bytes of all points of a batch of POINTS_OTLP, and the same as OTLP/JSON. What came in in the order that
 * protobuf libraries write goes out byte for byte. */
void points_encode_otlp(const struct points *p, struct buf *out);
void points_write_otlp_json(const struct points *p, struct json_writer *out);
