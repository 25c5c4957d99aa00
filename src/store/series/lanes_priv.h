/* 32-bit values packed in four interleaved lanes, for plain SSE2-sized compiler vectors.
 *
 *   value i stands in lane i % 4 at place i / 4; a lane packs its values at one width into 32-bit words, lowest bit first;
 *   the words of the four lanes stand side by side: 16 bytes hold word k of each
 *
 * Unpacking takes one load, shift and mask for four values, and the running sum of what is unpacked needs no shuffle across words.
 * Limits: widths 0..32, at most LANES_MAX values. Threads: pure. Source: Lemire & Boytsov (2015), SIMD-BP128's vertical layout.
 */
#pragma once

#include "base/base.h"

enum { LANES_MAX = 256 };

/* Bytes of n values. */
static inline uint32_t lanes_bytes(uint32_t n, unsigned width) { return ((n + 3) / 4 * width + 31) / 32 * 16; }
/* Packs n values, each < 2^width, to lanes_bytes bytes. */
void lanes_pack(const uint32_t *v, uint32_t n, unsigned width, unsigned char *out);
/* Unpacks n values from lanes_bytes bytes; out has room for LANES_MAX, what is behind n is undefined. */
void lanes_unpack(const unsigned char *p, uint32_t n, unsigned width, uint32_t *out);
/* v[i] becomes the sum of v[0..i], modulo 2^32; whole fours are summed: v has room for LANES_MAX. */
void lanes_sum(uint32_t *v, uint32_t n);
