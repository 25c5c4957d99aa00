/* Snappy's block format, in which remote write sends its bodies: unpacked whole.
 *
 * The length that a block states is compared with `out->max` and with what its bytes can hold at all, before memory is taken.
 * Source: snappy format_description.txt (2011-10-05). Unpacking is ours, as a body of remote write is six short elements a sample, each of which
 * costs libsnappy a call: 60 % of its time; lengths and packing are libsnappy's, through its C door, and tests compare with it.
 */
#pragma once

#include "base/base.h"

/* Appends the content to `out`: ERR_LIMIT if it would be over out->max, ERR_INVALID if the block is none. */
err snappy_block_read(struct str block, struct buf *out);
/* How many bytes a block states, at most what it can hold; 0 if it states none. */
size_t snappy_block_claim(struct str block);
/* Appends the block of `content` to `out`. */
void snappy_block_write(struct str content, struct buf *out);
