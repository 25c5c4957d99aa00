/* Series that nobody sent: calls, errors and durations of spans, and who calls whom, as Tempo's metrics generator names them. No sample of them
 * is stored; they are counted from the rollups of spans (store/rollup.h) when somebody asks.
 *
 *   rows of a key:  minute 10:00 5 calls · 10:02 3 calls          samples:  10:00 0 · 10:01 5 · 10:02 5 · 10:03 8 · 10:04 8 · … 24:00 8
 *
 * A sample stands at the end of its minute and counts from the beginning of its day (UTC), where the counter is reset; a 0 stands before the first
 * calls of a day, at the beginning of their minute (at midnight a ms later, where the day before ends), so that rate() misses none. Only
 * minutes that have ended have samples. Where a range is looked at as a whole, minutes may be taken together (rolled_wish).
 *
 * A name of which the store has series in the range is not counted: what is stored wins, as both would count twice.
 * Bounds of `le` and of the rollups' buckets differ: a bucket belongs to the bound that its middle is not above (4.4 % off at most).
 * Owner: the arena; what a row points to as well. Threads: one. Limits: those of the arena. Errors: those of store_rollups.
 */
#pragma once

#include "query/series/series.h"

struct rolled;

/* Series that match, NULL if there are none. Of the request: matchers and range. */
err rolled_find(struct series_source *s, const struct series_request *r, struct series_wish wish, struct arena *a,
                struct rolled **out);
uint32_t rolled_count(const struct rolled *v);
struct labels rolled_labels(const struct rolled *v, uint32_t i);
err rolled_read(const struct rolled *v, uint32_t i, struct samples *out);
err rolled_exemplars(const struct rolled *v, uint32_t i, struct arena *a, struct exemplar **out, uint32_t *out_n);

/* Names of labels (name.p NULL), or values of a name, ascending, distinct, of the series that match: of the newest 31 days of the range. */
err rolled_texts(struct series_source *s, struct str name, const struct series_request *r, struct arena *a,
                 struct str **out, uint32_t *out_n);
/* What is said about them, if there are any: by name, ascending; of one if name.p is not NULL. */
err rolled_metadata(struct series_source *s, struct str name, struct arena *a, struct series_metadata **out,
                    uint32_t *out_n);
