/* Which parts of one table and day to merge next.
 *
 *   tier of a part = log4 of its rows / 16; a tier with MERGE_PARTS_MIN parts is merged, neighbours in time first
 *
 * Invariants: a day that gets no more rows comes to rest with fewer than MERGE_PARTS_MIN parts in each tier: at most
 * 3 × 10 below PART_ROWS_FINAL. A row is rewritten once a tier: about log4(rows of a day / rows of a flush) times, and
 * only copied once its group is full. A part of PART_ROWS_FINAL rows or more is never merged again, nor is one that alone takes
 * half of the memory (the caller excludes those).
 * Threads: pure.
 */
#pragma once

#include "base/base.h"

enum { MERGE_PARTS_MIN = 4, MERGE_PARTS_MAX = 8, PART_ROWS_FINAL = 8000000 };

struct merge_candidate {
    uint64_t rows, memory; /* bytes that merging it takes; of a file of series, that it has */
    int64_t time_min, time_max;
    bool excluded; /* being deleted from, or damaged */
};
/* Chooses at most MERGE_PARTS_MAX indexes; returns how many, 0 if all is well as it is. Tiers of fewer rows first. */
/* What is picked takes at most `memory` together, unless it is two parts. */
/* Files of series of one day, oldest first: which run of neighbours to merge, as where two files have a sample at one time the older one
 * wins, so that none between them may be passed over. A run of MERGE_PARTS_MIN none of which has over half of all samples; of a closed day,
 * which gets few more, of two, none with over three quarters. Of an open day only files that together span at most SERIES_SPAN_NS, unless there
 * are many: a question about the last hour is not to find the series of a day. So a sample is rewritten about log2(samples of a day / samples of a flush)
 * times at most, and a day comes to rest with one file, or with some of SERIES_SAMPLES_FINAL or more. Files that together have over
 * SERIES_BYTES_FINAL are not merged: one series has one page. Returns how many, 0: all is well as it is. */
enum { SERIES_SAMPLES_FINAL = 400000000, SERIES_FILES_MANY = 32, SERIES_BYTES_FINAL = 1 << 30 };
#define SERIES_SPAN_NS (INT64_C(7200) * 1000000000)
size_t series_merge_pick(const struct merge_candidate *files, size_t n, bool closed, size_t *out_first);
size_t merge_policy_pick(const struct merge_candidate *parts, size_t n, uint64_t memory,
                         size_t out_picked[MERGE_PARTS_MAX]);
