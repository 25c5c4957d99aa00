/* Inside the scan of a memory batch (batch_scan.c): what may be known once a batch and not once a row. */
#pragma once

#include "store/part/part_priv.h"

/* Keeps the rows that have all the words of p; rows ascend. */
err batch_keep_words(const struct batch *b, const struct predicate *p, struct arena *a, uint32_t *rows, uint32_t *n);
