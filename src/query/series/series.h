/* PromQL over the store's series: a question's snapshot as a source for promql_run.
 *
 *   query_begin ─▶ series_source_open ─▶ series_run, or promql_run(&q->arena, &s->source, …) ─▶ series_source_close ─▶ query_end
 *                                        │  └─ options.check = series_source_step, context = the source
 *                                        └▶ series_find, series_texts, series_metadata: what there is
 *
 * Beside what is stored there are series that nobody sent: traces_spanmetrics_* and traces_service_graph_*, counted from the rollups of spans
 * (rolled_priv.h). They are looked for where a selector's __name__ may take one; rollups are of the moment when they are read, not of the snapshot.
 *
 * Times are int64 ns in the store and ms in PromQL: the floor. Of samples that fall into one ms the last counts.
 * Damage: what could not be read is left out and counted in stats; series_source_warning says it in a sentence.
 * Owner: labels and histograms of an answer point into the source; close it after the answer was written. Threads: one a source.
 * Limits: SERIES_SELECTED_MAX series a selector, MATCHERS_MAX matchers; memory is the query's (arena, and decoded samples are charged).
 * Errors: ERR_LIMIT with what to do; ERR_CANCELLED, ERR_BUSY of the query; those of store/series.h.
 */
#pragma once

#include "query/promql/source.h"
#include "query/query.h"
#include "store/series.h"

enum { SERIES_SELECTED_MAX = 2000000 };

struct series_source {
    struct promql_source source; /* first: what is handed to promql_run */
    struct query *q;
    struct series_snapshot *snapshot;
    struct series_stats stats;
    uint32_t checks;
    struct kept_bounds *bounds;
    int (*cores)(void);          /* how many threads series_run may take; NULL: one. Asked for long ranges only */
    struct series_slice *slices; /* of series_run: what its answer points to */
    int64_t now_ns;              /* what is counted ends here; 0: the wall clock */
};

err series_source_open(struct query *q, struct series_source *out);
void series_source_close(struct series_source *s); /* also one that was not opened, if zeroed */
/* Deadline, cancel flag, asker, memory: promql_options.check_work. The second is for promql_options.check, which is asked before each series: it
 * looks at the clock each 16th time only. */
err series_source_check(void *source);
err series_source_step(void *source);
/* promql_run in the query's arena, or by several threads where that pays: a range of 8 h or more that reads a million samples. Each
 * has some of the steps, a share of the memory and of samples_max, and a source of its own over the same snapshot. options.check is its own
 * affair: deadline, cancel flag, asker and memory are looked at. What fails in parts is asked again whole, so errors are those of one
 * run. Adds differ in their last bit where files have series in different orders. */
err series_run(struct series_source *s, const struct promql_node *e, struct str text,
               const struct promql_options *options, struct promql_answer *out);
/* What is wanted of series that are counted: nothing but their labels, samples, or exemplars. Samples of ranges of `range_ms` that are looked at as a
 * whole may be a tenth of it apart, an hour at most; 0: as close as there are. */
struct series_wish {
    enum { SERIES_LABELS, SERIES_SAMPLES, SERIES_EXEMPLARS } what;
    int64_t range_ms;
};
/* What a selector takes; as series_snapshot_select and selection.h, and no two have equal labels. `a` and the source outlive it. */
struct series_found;
err series_find(struct series_source *s, const struct series_request *r, struct series_wish wish, struct arena *a,
                struct series_found **out);
void series_found_free(struct series_found *f); /* takes NULL */
uint32_t series_found_count(const struct series_found *f);
struct labels series_found_labels(const struct series_found *f, uint32_t i);
err series_found_read(struct series_found *f, uint32_t i, struct samples *out);
err series_found_exemplars(struct series_found *f, uint32_t i, struct arena *a, struct exemplar **out, uint32_t *out_n);
/* As series_snapshot_texts and series_snapshot_metadata. */
err series_texts(struct series_source *s, struct str name, const struct series_request *r, struct arena *a,
                 struct str **out, uint32_t *out_n);
err series_metadata(struct series_source *s, struct str name, struct arena *a, struct series_metadata **out,
                    uint32_t *out_n);

/* As series_snapshot_cardinality; where a selector takes no stored series those that are counted, without samples and bytes. */
err series_cardinality(struct series_source *s, const struct series_request *r, uint32_t n, struct arena *a,
                       struct series_cardinality *out);

/* Empty if nothing was damaged; memory of the query. */
struct str series_source_warning(struct series_source *s);

/* The whole ms that ranges of PromQL mean, in ns; what int64 cannot hold is its end. */
int64_t series_range_min_ns(int64_t min_ms);
int64_t series_range_max_ns(int64_t max_ms);
int64_t series_floor_ms(int64_t ns);

/* A native histogram of the store as PromQL computes with it; `bounds` are those of h, where they live as long as any copy of it (copies
 * share them). NULL: the arena is full. */
const struct native *series_native(struct arena *a, const struct histogram *h, const double *bounds);
