#include "store/engine/merge_policy_priv.h"

#include <stdlib.h>

enum { TIERS = 16, ROWS_OF_TIER_0 = 64 };

static int tier_of(uint64_t rows) {
    int tier = 0;
    for (uint64_t top = ROWS_OF_TIER_0; rows >= top && tier < TIERS - 1; top *= 4) tier++;
    return tier;
}

struct place {
    int64_t time_min;
    size_t index;
    uint64_t rows, memory;
};

static int by_time(const void *a, const void *b) {
    const struct place *x = a, *y = b;
    if (x->time_min != y->time_min) return x->time_min < y->time_min ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Of the parts of a tier in order of time, the run that spans the least time; it stops before it would be too big. */
static size_t pick_run(struct place *v, size_t n, uint64_t memory, size_t *out) {
    size_t size = MIN(n, MERGE_PARTS_MAX), best = 0;
    qsort(v, n, sizeof *v, by_time);
    for (size_t i = 1; i + size <= n; i++)
        if (v[i + size - 1].time_min - v[i].time_min < v[best + size - 1].time_min - v[best].time_min) best = i;
    size_t count = 0;
    for (uint64_t rows = 0, used = 0; count < size; count++) {
        used += v[best + count].memory;
        if (count >= 2 && (rows >= PART_ROWS_FINAL || used > memory)) break;
        out[count] = v[best + count].index;
        rows += v[best + count].rows;
    }
    return count;
}

size_t merge_policy_pick(const struct merge_candidate *parts, size_t n, uint64_t memory,
                         size_t out_picked[MERGE_PARTS_MAX]) {
    size_t counts[TIERS] = {0}, picked = 0;
    int tier = 0;
    for (size_t i = 0; i < n; i++)
        if (!parts[i].excluded && parts[i].rows < PART_ROWS_FINAL) counts[tier_of(parts[i].rows)]++;
    while (tier < TIERS && counts[tier] < MERGE_PARTS_MIN) tier++;
    if (tier == TIERS) return 0;
    struct place *v = mem_new_array(struct place, counts[tier]);
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (!parts[i].excluded && parts[i].rows < PART_ROWS_FINAL && tier_of(parts[i].rows) == tier)
            v[count++] = (struct place){parts[i].time_min, i, parts[i].rows, parts[i].memory};
    picked = pick_run(v, count, memory, out_picked);
    mem_free(v);
    return picked;
}

/* ---- files of series -------------------------------------------------------------------------------------------------- */

/* The run of `count` from `first` on: its samples, or 0 if it is not to be merged. */
static uint64_t run_rows(const struct merge_candidate *files, size_t first, size_t count, bool closed, bool any_span) {
    uint64_t sum = 0, most = 0, bytes = 0;
    int64_t from = INT64_MAX, to = INT64_MIN;
    for (size_t i = first; i < first + count; i++) {
        if (files[i].excluded) return 0;
        sum += files[i].rows;
        bytes += files[i].memory;
        most = MAX(most, files[i].rows);
        from = MIN(from, files[i].time_min);
        to = MAX(to, files[i].time_max);
    }
    if (!closed && !any_span && (uint64_t)to - (uint64_t)from > (uint64_t)SERIES_SPAN_NS) return 0;
    bool even = closed ? most <= sum / 4 * 3 + 1 : most <= sum / 2 + 1;
    if (bytes > SERIES_BYTES_FINAL) return 0;
    return even && sum <= SERIES_SAMPLES_FINAL ? MAX(sum, (uint64_t)1) : 0;
}

/* The run of the fewest samples a file; of a closed day the longest. */
size_t series_merge_pick(const struct merge_candidate *files, size_t n, bool closed, size_t *out_first) {
    size_t best = 0;
    uint64_t fewest = UINT64_MAX;
    for (size_t count = MIN(n, (size_t)MERGE_PARTS_MAX); count >= (closed ? 2 : MERGE_PARTS_MIN); count--) {
        if (closed && best) break;
        for (size_t first = 0; first + count <= n; first++) {
            uint64_t rows = run_rows(files, first, count, closed, n > SERIES_FILES_MANY);
            if (rows == 0 || rows / count >= fewest) continue;
            fewest = rows / count;
            best = count;
            *out_first = first;
        }
    }
    return best;
}
