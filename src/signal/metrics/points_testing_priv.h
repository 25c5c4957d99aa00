/* What tests, fuzz targets and benches of points share. Of signal_testing. Equal seeds give equal bytes. */
#pragma once

#include "signal/metrics/points_build.h"
#include "signal/metrics/points_decode.h"
#include "signal/testing.h"

/* A random ExportMetricsServiceRequest of everything that OTLP has. */
void random_points_request(struct chance *c, bool canonical, struct buf *out);
/* A request of the load law for metrics: `instances` of 100, from `first` on, 125 samples each. */
void load_points_request(struct chance *c, uint32_t first, uint32_t instances, uint64_t time_ns, struct buf *out);
/* The same samples as prometheus.WriteRequest, and as io.prometheus.write.v2.Request. */
void load_write_request(struct chance *c, uint32_t first, uint32_t instances, int64_t time_ms, int version,
                        struct buf *out);
/* Reads every number and string of a batch, as any user might. Returns a sum of them. */
uint64_t walk_points(const struct points *p);
/* Fails an assertion unless opening takes the blob and gives the same series and hashes of the same content. */
void check_points_blob(struct batch_blob *blob);

/* One way of decoding a body. */
typedef err (*points_decode_fn)(struct points_decoder *d, int how, struct str body, struct points_result *out);
/* Fails an assertion unless a decoder that keeps labels, which has met the body and `before` it another one, says the same as one that knows nothing,
 * and says it when it has forgotten everything and is gone. */
void check_kept_labels(points_decode_fn decode, int how, struct str before, struct str body);
