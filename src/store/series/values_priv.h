/* Chunks of doubles: up to 512 samples of one series, every bit of every value kept.
 *
 *   head: mode │ flags      then by mode
 *   CONSTANT   how many high bytes, the bytes
 *   DECIMAL    exponent │ [exceptions] │ [first, divisor] │ frames of the integers value × 10^exponent
 *   DICTIONARY count │ chunk of the distinct values, most frequent first │ frames of their numbers
 *   SPLIT      zero bits at the end │ frames of the top 16 bits │ the bits between, packed
 *
 * Invariants: what decodes is, bit for bit, what was encoded: −0, infinities, NaN with their payloads, subnormals. An integer stands
 * for a value only after dividing it by the power of ten has given the value's own bits; what does not comes back that way
 * is an exception with its 8 bytes, and many exceptions make a SPLIT chunk.
 * The flags are facts of the samples: VALUES_RESETS, some value is less than the one before it (NaN passed over); VALUES_NAN, there is one.
 * Bytes: docs/formats/series.md. Errors: ERR_CORRUPT, after which out is undefined. Threads: pure.
 * Source: Afroozeh & Boncz, "ALP: Adaptive Lossless floating-Point Compression" (2023), for decimals by division.
 */
#pragma once

#include "store/series/frames_priv.h"
#include "store/series/histogram.h"

enum { VALUES_RESETS = 0x40, VALUES_NAN = 0x80 };

/* Appends the chunk; n in 1..SERIES_SAMPLES_MAX. */
void values_encode(const double *v, uint32_t n, enum effort effort, struct buf *out);
/* Samples [first, first + count) of a chunk of n; the bytes may be longer than the chunk. */
err values_decode(struct str bytes, uint32_t n, uint32_t first, uint32_t count, double *out);
uint8_t values_flags(struct str bytes); /* of a chunk that is not empty */

/* The same within something larger: the cursor ends behind the chunk, or is `bad`. */
void values_read(struct cursor *c, uint32_t n, uint32_t first, uint32_t count, double *out);
