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

/* ---- topk, bottomk ----------------------------------------------------------------------------------------------- */

enum { SIFT_TOUCHES = 16 };

struct candidate {
    double value;
    uint32_t row; /* as its keeper counts them */
    struct labels labels;
};
/* Whether x is a better pick than y: larger for topk (sign 1), smaller for bottomk (-1); a number before NaN; of equals the one whose labels
 * come first. */
bool candidate_is_better(const struct candidate *x, const struct candidate *y, int sign);
/* Restores a heap, its worst candidate first, of which item i alone may be better than those below it. */
void candidates_sift_down(struct candidate *heap, size_t n, size_t i, int sign);

/* Over a range, when no step keeps more than 64: rows are not kept, but compared as they come. Parameters below 1, NaN too, keep none.
 * out_rows: how many there were. */
bool top_keeps_few(const double *parameters, size_t n);
err aggregate_top(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, const double *parameters,
                  struct table *out, size_t *out_rows);

void note_histogram_ignored(struct evaluator *ev, const struct promql_node *at, enum aggregation op);
