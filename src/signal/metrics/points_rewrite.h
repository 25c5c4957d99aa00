/* Redaction of points: label values looked at one by one and kept, replaced or left out, as rewrite.h does it for spans and logs.
 *
 * Asked for are attributes of resources and scopes, of points, exemplars and metadata (PLACE_POINT), with their nested values; of Prometheus the values
 * of labels but __name__. A label set that many series share is asked for once. Series that become alike are not merged: a series row may
 * repeat a series (points.h, 4).
 * Limits, owner, threads: those of rewrite.h.
 */
#pragma once

#include "signal/metrics/points.h"
#include "signal/rewrite.h"

/* NULL: nothing is to be changed; else a blob that holds no byte of what was replaced or left out. */
struct batch_blob *points_rewrite(struct rewriter *r, const struct points *from);
