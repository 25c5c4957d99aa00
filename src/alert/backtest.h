/* When an alert would have fired: its expression over a range of the past, and the life that the engine would have given each row.
 *
 *   rule ─ series_run(start … end, step) ─▶ rows ─ pending, firing, kept ─▶ firings, by time
 *
 * What rules of the same group record is not made anew: what was recorded then counts, and rule_reads_recorded says where that matters. `limit` of the
 * group, labels with templates and annotations are not looked at; the step is the group's interval where that makes at most BACKTEST_STEPS_MAX steps.
 * Owner: results are in the arena of the source's query. Threads: one a source. Errors: those of series_run.
 */
#pragma once

#include "alert/rules.h"
#include "query/series/series.h"

enum { BACKTEST_STEPS_MAX = 11000, BACKTEST_FIRINGS_MAX = 1000, BACKTEST_FOUND_MAX = 200000 };

struct backtest_firing {
    struct labels labels; /* of the row, with those of the rule that have no template */
    int64_t active_ns, start_ns, end_ns;
    bool goes_on; /* at the end of the range it still fires */
};
struct backtest {
    int64_t start_ns, end_ns, step_ns;
    const struct backtest_firing *v; /* the last BACKTEST_FIRINGS_MAX, by start */
    size_t n;
    uint64_t count;     /* of all */
    uint64_t firing_ns; /* time in which at least one fires */
};
/* The steps for a group in a range: *start and *end become multiples of *out_step. ERR_INVALID: the range is empty, or before 1970. */
err backtest_steps(const struct rule_group *g, int64_t *start_ns, int64_t *end_ns, int64_t *out_step_ns);
/* With start, end and step in *out. The rule is an alert. */
err rule_backtest(const struct rule_group *g, const struct rule *rule, struct series_source *source,
                  struct backtest *out);
/* Whether rule i of a group may read what earlier ones record. */
bool rule_reads_recorded(const struct rule_group *g, size_t i);
