/* Up to 512 int64 values as frames of 256: the ground that values, times and histograms of series stand on.
 *
 *   order, 1 byte │ frame │ frame
 *   frame: width + zigzag bit │ [patches] │ [base] │ [start] │ [slope] │ [patch positions, high bits] │ packed
 *
 * Order 0 packs the values, 1 their steps, 2 the steps of their steps. What is packed is the difference to the least of the frame, or its
 * zigzag form, at one width; those that need more have their high bits in the patch list, so that one counter reset does not
 * widen a frame. A frame has its own start: it decodes alone.
 * Frames of 128 values or more at widths up to 32 lie in four lanes (lanes_priv.h), others in a row (codes_priv.h). Sums wrap.
 * Bytes: docs/formats/series.md. Limits: n ≤ SERIES_SAMPLES_MAX. Errors: decoding checks all it reads; the cursor is `bad` then and what
 * was written to out is undefined. Threads: pure.
 */
#pragma once

#include "store/column/codes_priv.h"

enum { SERIES_FRAME = 256, SERIES_SAMPLES_MAX = 512 };

/* EFFORT_CHEAP: for stripes of 32 in memory: no patches, no second order. EFFORT_FULL: whatever is smallest. */
enum effort { EFFORT_CHEAP, EFFORT_FULL };

void frames_encode(const int64_t *v, uint32_t n, enum effort effort, struct buf *out); /* n > 0 */
/* Values [first, first + count) of n; frames outside are skipped, the cursor always ends behind the last one. */
void frames_decode(struct cursor *c, uint32_t n, uint32_t first, uint32_t count, int64_t *out);

/* The same without the byte for the order, which the caller keeps; n > 0. */
unsigned frames_encode_bare(const int64_t *v, uint32_t n, enum effort effort, struct buf *out);
void frames_decode_bare(struct cursor *c, unsigned order, uint32_t n, uint32_t first, uint32_t count, int64_t *out);

/* LEB128 of 64 bits, at most 10 bytes. */
void put_varint64(struct buf *out, uint64_t v);
uint64_t cursor_varint64(struct cursor *c);
static inline void put_signed(struct buf *out, int64_t v) { put_varint64(out, zigzag((uint64_t)v)); }
static inline int64_t cursor_signed(struct cursor *c) { return (int64_t)unzigzag(cursor_varint64(c)); }
