/* What the files of the analysis share: children by parent, and the sentence at the end. */
#pragma once

#include "insight/analysis.h"

/* A child in its parent's time. */
struct kin {
    uint32_t parent, span;
    int64_t start, end;
};
/* Children of span i are kin[first[i]] … kin[first[i + 1] - 1], by start. */
struct family {
    struct kin *kin;
    uint32_t *first;
    uint32_t n;
};
err family_make(struct arena *a, const struct trace_tree *t, struct family *out);
/* Fills out->summary from all the rest. */
err analysis_say(struct arena *a, const struct trace_tree *t, struct analysis *out);
