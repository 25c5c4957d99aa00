/* Bytes of a batch of points in which numbers stand for the labels of some series, for who keeps one batch after the other of the same series
 * (the store's log). What a number stands for is the keeper's to know; an opened batch has all its labels again.
 *
 * Where all rows are numbers the bytes are packed: those of a sample that comes again are a few.
 *
 * Bytes: docs/formats/points.md, features 1 and 2. Limits: those of points.h; numbers below POINTS_NUMBER_END. Bytes begin at a multiple of 8.
 * Errors: ERR_CORRUPT names what is wrong; ERR_INVALID: of a newer format. Threads: pure. */
#pragma once

#include "signal/metrics/points.h"

#define POINTS_NUMBER_END 0x80000000u
enum { POINTS_IN_FULL = UINT32_MAX, POINTS_LOST = UINT32_MAX - 1 }; /* in the place of a number */

/* Appends the bytes of p with numbers[i] for the labels of series row i; POINTS_IN_FULL: as they are, wherever they are (points.h, 5). Without
 * `numbers` all are in full. */
void points_put_brief(const struct points *p, const uint32_t *numbers, struct buf *out);
/* At most so many bytes that is, of any numbers. */
size_t points_brief_bytes_max(const struct points *p);

/* A view of bytes, of which only the strings and the series rows are checked. No blob, no hashes. Of packed bytes nothing is seen: no row
 * of theirs is in full. */
err points_brief_view(struct str bytes, struct points *out);
/* The same view of bytes that points_brief_view has taken before. */
void points_brief_again(struct str bytes, struct points *out);
/* The labels of a row of it, in its bytes; false: it has no such row, or a number there. */
bool points_brief_labels(const struct points *p, uint32_t row, struct str *out);

/* Labels that a number stands for; false: nobody knows. */
typedef bool (*points_labels_fn)(void *context, uint32_t number, struct str *out);
/* points_open of bytes that may have numbers. *out_numbers, the caller's: what stood for each series row, or POINTS_IN_FULL; POINTS_LOST: nobody knows
 * its labels, and the blob has none for it. */
err points_open_brief(struct str bytes, points_labels_fn find, void *context, struct batch_blob **out,
                      uint32_t **out_numbers);
