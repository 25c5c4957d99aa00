/* What tests of parts share: batches, parts written of them, and questions asked of a part and of the same rows as a batch.
 *
 *   batches ── part_write_open ──▶ part ── part_fetch_all ──▶ batches: the same rows     (assert_same_rows)
 *                                   └──── part_compare_scan ── answers by definition     (predicate_matches_row)
 *
 * Every helper fails the running test by itself. Paths are on the simulated disk: sim_reset first.
 */
#pragma once

#include "base/vec.h"
#include "signal/testing_priv.h"
#include "store/part/part_read_priv.h"
#include "store/part/part_write_priv.h"

void ok_at(err e, int line);
void refused_at(err e, enum err_kind kind, const char *text, int line); /* of that kind, and its text has `text` */
#define OK(call) ok_at((call), __LINE__)
#define REFUSED(call, kind, text) refused_at((call), ERR_##kind, (text), __LINE__)

struct batches {
    VEC(struct batch) all;
    size_t rows;
};
void batches_add_blob(struct batches *b, struct batch_blob *blob); /* takes the reference over */
void batches_add_random(struct batches *b, struct chance *c, enum signal signal, uint32_t rows);
/* Requests of the load law, as the decoder makes them. */
void batches_add_load(struct batches *b, struct chance *c, enum signal signal, int requests);
void batches_done(struct batches *b);

/* Writes part 7 of all the rows and opens it. */
struct part *part_write_open(const char *path, enum signal signal, const struct batches *b);
struct batch_blob *part_fetch_group(struct part *p, uint32_t group); /* every row, in order */
void part_fetch_all(struct part *p, struct batches *out);
void part_check_clean(const char *path);
/* Written to "p", read again, compared, checked, removed. */
void part_roundtrip(enum signal signal, struct batches *b);
void assert_same_info(const struct part_info *a, const struct part_info *b);
/* The same rows, however often and in whatever order. */
void assert_same_rows(const struct batches *a, const struct batches *b);
void assert_ordered(const struct batches *rows);

/* A column that some row has; its value, as a predicate would say it, is appended to `text`. wanted: one that may be wanted. */
struct column_ref random_column(struct chance *c, const struct batch *b, uint32_t row, struct buf *text, bool wanted);
void random_predicate(struct chance *c, struct arena *a, const struct batch *b, struct predicate *out);
void assert_vectors_equal(const struct vector *a, const struct vector *b, uint32_t n);
/* One request against a group and against the same rows as a batch, and both against the definition. */
void part_compare_scan(struct part *p, uint32_t group, const struct batch *rows, const struct scan_request *q);
void part_scan_at_random(struct chance *c, struct part *p, uint32_t group, const struct batch *rows);
