/* Functions that are no map from value to value, and the sink that they keep rows with. */
#pragma once

#include "query/promql/eval_priv.h"

err whole_histogram_quantile(struct evaluator *ev, const struct timeline *t, const struct promql_node *e,
                             struct table *out);
err whole_histogram_fraction(struct evaluator *ev, const struct timeline *t, const struct promql_node *e,
                             struct table *out);
err whole_label_replace(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out);
err whole_label_join(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out);
err whole_sort(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out);
err whole_sort_by_label(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out);
err whole_info(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out);

/* Keeps every row in a table. */
struct keep_sink {
    struct sink sink;
    struct evaluator *ev;
    struct table *table;
    size_t steps;
};
struct keep_sink keep_sink(struct evaluator *ev, struct table *table, size_t steps);
