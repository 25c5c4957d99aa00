/* Chunks of native histograms.
 *
 *   chunk: layouts (distinct forms) │ layout of each row │ sums │ counts │ zero counts │ one column a bucket
 *
 * Samples of one series mostly have the same buckets, so a bucket is a column of numbers over time and packs as a counter does. A bucket
 * that comes or goes makes a new layout; its column has the rows whose layouts have it. One chunk is all integer or all float.
 * Invariants: what decodes is what was encoded, bit for bit. Limits: HISTOGRAM_SAMPLES_MAX a chunk. Bytes: docs/formats/series.md.
 * Errors: ERR_CORRUPT, or ERR_LIMIT of the arena. Threads: pure.
 */
#pragma once

#include "store/series/values_priv.h"

enum { HISTOGRAM_SAMPLES_MAX = 128 };

/* n in 1..HISTOGRAM_SAMPLES_MAX checked histograms, all integer or all float. */
void histograms_encode(const struct histogram *h, uint32_t n, enum effort effort, struct buf *out);
/* All n of a chunk, with arrays of the arena. */
err histograms_decode(struct str bytes, uint32_t n, struct arena *a, struct histogram *out);
