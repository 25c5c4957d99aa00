/* Vectors of timestamps: up to 512, strictly ascending, int64 ns. Series that were sampled together share one.
 *
 *   unit (0 ns, 1 µs, 2 ms, 3 s: the largest that divides all) │ count │ frames
 *
 * What was sent in nanoseconds stays in nanoseconds; what Prometheus sent in milliseconds takes no more room than that.
 * Bytes: docs/formats/series.md. Errors: ERR_CORRUPT for bad bytes and for times that do not ascend. Threads: pure.
 */
#pragma once

#include "store/series/frames_priv.h"

void times_encode(const int64_t *times_ns, uint32_t n, struct buf *out); /* n in 1..SERIES_SAMPLES_MAX */
/* All of a vector; out has room for SERIES_SAMPLES_MAX. */
err times_decode(struct str bytes, int64_t *out_ns, uint32_t *out_n);
/* The same within something larger, of any order: the cursor ends behind it, or is `bad`. */
uint32_t times_read(struct cursor *c, int64_t *out_ns);
/* 0 if n times ascend strictly, else the first row that does not. */
uint32_t times_find_fall(const int64_t *times_ns, uint32_t n);
