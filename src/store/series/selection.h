/* What a question about series gets: the series that match, their labels, and on demand the samples of each.
 *
 * Samples of all sources (heads in memory, files) come merged by time; where two have one at the same time the earlier source wins.
 * Owner: the caller keeps what it selected from alive and frees readers, then the selection. Threads: a selection does not change once it is
 * made and may be shared; a reader of it belongs to one thread. Limits: arenas; what a selection keeps outside of the arena it was made with is taken
 * from that arena's budget. Errors: ERR_LIMIT and ERR_BUSY of them; damage is counted in the stats.
 */
#pragma once

#include "store/series/matcher.h"
#include "store/series/samples.h"

/* Something that was measured in one request beside the samples: a value with labels of its own, usually a trace. */
struct exemplar {
    uint32_t series;
    int64_t time_ns;
    double value;
    struct labels labels;
};
struct series_stats {
    uint64_t chunks, samples, bad_pages;
    char bad_text[200]; /* of the first */
};

struct selection;
void selection_free(struct selection *s);
uint32_t selection_count(const struct selection *s);
struct labels selection_labels(const struct selection *s, uint32_t i);

/* A thread's own way into a selection: what it has decoded and may need again. Damage goes to `stats`. */
struct selection_reader;
struct selection_reader *selection_reader_new(const struct selection *s, struct series_stats *stats);
void selection_reader_free(struct selection_reader *r); /* takes NULL */
/* Samples of series i in the range, into *out, which is cleared first. */
err selection_read(struct selection_reader *r, uint32_t i, struct samples *out);
/* Exemplars of series i in the range, oldest first; memory of the arena. */
err selection_exemplars(struct selection_reader *r, uint32_t i, struct arena *a, struct exemplar **out,
                        uint32_t *out_n);
