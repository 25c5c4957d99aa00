/* What tests, fuzz targets and benches share: seeded chance, random batches, requests of the load law, a walk over everything.
 *
 * Library signal_testing (not in the product). Equal seeds give equal bytes. */
#pragma once

#include "signal/batch_build.h"

struct chance {
    uint64_t state;
};
uint64_t chance_next(struct chance *c);
static inline uint32_t chance_below(struct chance *c, uint32_t n) { return (uint32_t)(chance_next(c) >> 32) % n; }
static inline bool chance_one_in(struct chance *c, uint32_t n) { return chance_below(c, n) == 0; }

/* A request of the load law that figures are quoted for: spans 10 services × 50, in 50 traces of 10; logs 10 × 50. */
void load_request(struct chance *c, enum signal signal, struct buf *out);

/* ---- a naive protobuf writer: every message in a buffer of its own ---- */
void put_wire_varint(struct buf *out, uint32_t field, uint64_t v);
void put_wire_fixed64(struct buf *out, uint32_t field, uint64_t v);
void put_wire_fixed32(struct buf *out, uint32_t field, uint32_t v);
void put_wire_bytes(struct buf *out, uint32_t field, struct str bytes);

/* Appends a remote write request of version 1 or 2, not packed. A line is a series: `name label=value … value@ms …`, a value a number or
 * `bits:` and its 16 hex digits; a line that begins with a blank has no name. */
void put_write_request(int version, const char *lines, struct buf *out);

/* Appends AnyValue bytes of a random value, nested at most `depth` deep. */
void random_any(struct chance *c, int depth, struct buf *out);
/* Fills a builder with random rows, their events, links, resources and scopes. Ids may be zero, times anything. */
void random_batch(struct chance *c, struct batch_builder *b, uint32_t rows);
/* Reads every number, string, attribute and nested value of a batch, as any user might. Returns a sum of them. */
uint64_t walk_batch(const struct batch *b);
/* Fails an assertion unless all rows are equal, and say so by their hashes. */
void assert_batches_equal(const struct batch *a, const struct batch *b);
