/* Slices of a range, each with its own thread: what series_run does beneath its thresholds, for its tests. */
#pragma once

#include "query/series/series.h"

/* As series_run, in n slices (2 … PROMQL_SLICES_MAX, no more than there are steps), whatever the size. promql_is_sliceable must hold. */
err series_run_in_slices(struct series_source *s, const struct promql_node *e, struct str text,
                         const struct promql_options *options, size_t n, struct promql_answer *out);
void series_slices_free(struct series_slice *first); /* takes NULL */
