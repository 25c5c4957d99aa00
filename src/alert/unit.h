/* Unit tests of rules, as promtool has them: files that say what series there are, and what alerts and expressions come to.
 *
 *   file ─▶ for each test: a store in memory ◀─ input_series up to each time ─ rules evaluated ─▶ alerts compared ─▶ expressions compared
 *
 * Output is promtool's: "Unit Testing:  FILE", SUCCESS or FAILED and what differs. Limits: UNIT_STEPS_MAX evaluations a test; series_text.h.
 * Source: Prometheus 3.5, cmd/promtool/unittest.go. Differences: a subquery without a step takes a minute, not the evaluation interval.
 */
#pragma once

#include "alert/alert.h"

enum { UNIT_STEPS_MAX = 1000000 };

/* Appends what promtool prints of one file. *out_good: all of it is as the file says. */
err rules_unit_test(const char *path, struct buf *out, bool *out_good);

struct ingest;
/* Appends through an ingest and waits for it: alert_options.append_wait, with the ingest as context. */
err alert_append_wait(void *ingest, struct str tenant, struct batch_blob *blob);
