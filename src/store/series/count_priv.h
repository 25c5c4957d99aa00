/* Who takes the room: series, samples and bytes by metric, by label and by pair.
 *
 * Series: distinct ones of all sources. Samples and bytes: of files, whole chunks that overlap the range; a file's bytes are shared out by
 * samples, so that what labels and dictionaries take falls on those who have the samples.
 * Limits: the memory of the arena given, for the answer and once more for the counting; over it ERR_LIMIT. Threads: pure.
 */
#pragma once

#include "store/series/select_priv.h"

struct series_tally_row {
    struct str name, value; /* value: of pairs */
    uint64_t series, values, samples, bytes;
    uint32_t id, name_n;
};
struct series_tally {
    struct series_tally_row *v;
    uint32_t n;
};
struct series_counts {
    uint64_t series, labels, pairs, samples, file_bytes;
    struct series_tally by_metric, by_label, by_pair; /* the n with most series, falling */
};
err series_count(const struct series_source *sources, uint32_t source_count, const struct label_matcher *m,
                 uint32_t matchers, int64_t time_min, int64_t time_max, uint32_t n, struct arena *a,
                 struct series_stats *stats, struct series_counts *out);
