/* How aggregations group rows. */
#pragma once

#include "query/promql/eval_priv.h"

struct grouping {
    struct evaluator *ev;
    struct names names; /* sorted */
    bool without;
    uint32_t made; /* for who keeps something beside each group: how many it has made */
    struct label_index index;
    struct label scratch[PROJECTED_LABELS_MAX];
};
err grouping_init(struct evaluator *ev, const struct promql_node *e, struct grouping *g);
err grouping_find(struct grouping *g, struct labels labels, uint32_t *out);
void note_histogram_ignored(struct evaluator *ev, const struct promql_node *at, enum aggregation op);
