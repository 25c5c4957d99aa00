/* PromQL as Prometheus 3.5 speaks it: text to tree, tree to text, tree and series to answers.
 *
 *   text ─ promql_parse ─▶ tree ─ promql_run ─▶ rows: one per series, an array over the steps each
 *            │               │        └─ promql/source.h: where series come from
 *            └─ error and    ├─ promql_print, promql_print_pretty: text again, which parses to an equal tree
 *               its place    └─ promql_print_tree: JSON, as /api/v1/parse_query gives it
 *
 * Owner: trees and answers live in the caller's arena. Threads: a run belongs to one; a tree may be run by many at once.
 * Limits: 64 KiB of text, 1,000 levels (operators in a row count as levels), 11,000 labels, arguments or matchers in one list; a run: the arena's memory, samples
 * and time as its options say.
 * Errors: ERR_INVALID from the parser with line:column in front; from a run ERR_INVALID ("many-to-many matching…"), ERR_LIMIT
 * (samples, memory), what the source and options.check return. Times are int64 milliseconds since 1970, negative ones too,
 * within ±4e18.
 */
#pragma once

#include "base/arena.h"
#include "base/json.h"
#include "query/promql/native.h"
#include "store/series/labels.h"

enum { PROMQL_SAMPLES_MAX = 50000000, PROMQL_TEXT_BYTES_MAX = 65536, PROMQL_DEPTH_MAX = 1000, PROMQL_LIST_MAX = 11000 };

enum promql_type { PROMQL_SCALAR, PROMQL_STRING, PROMQL_VECTOR, PROMQL_MATRIX };

struct promql_node; /* an expression; read by promql_* only */
struct promql_source;

/* By name, then by value; so the API sorts series. (label_set_compare puts the metric's name first.) */
int promql_labels_compare(struct labels x, struct labels y);
void promql_labels_print(struct labels labels, struct buf *out); /* name{a="b"} */

/* ---- text -------------------------------------------------------------------------------------------------------- */

struct promql_syntax {
    bool experimental_functions, duration_expressions; /* what Prometheus 3.5 has behind feature flags */
};
/* Where a mistake is: byte offsets [start, end) and the line and column of start, from 1. */
struct promql_place {
    uint32_t start, end, line, column;
};

/* The tree is in `a` and borrows nothing from text. `out_place` may be NULL. */
err promql_parse(struct arena *a, struct str text, struct promql_syntax syntax, const struct promql_node **out,
                 struct promql_place *out_place);
enum promql_type promql_type_of(const struct promql_node *e);
const char *promql_type_name(enum promql_type type); /* "scalar", "string", "vector", "matrix" */
bool promql_equal(const struct promql_node *x, const struct promql_node *y);
void promql_print(const struct promql_node *e, struct buf *out); /* one line */
void promql_print_pretty(const struct promql_node *e,
                         struct buf *out); /* broken at 100 characters, as format_query does */
err promql_print_tree(const struct promql_node *e, struct json_writer *w); /* ERR_LIMIT over about 150 levels */

/* The matchers of each selector in the tree, first to last; for query_exemplars. False: no more. */
struct promql_matcher;
bool promql_is_selector(const struct promql_node *e); /* a bare one: name{…}, and nothing about time */
bool promql_selector_at(const struct promql_node *e, size_t i, const struct promql_matcher **out, size_t *out_n);

/* ---- answers ----------------------------------------------------------------------------------------------------- */

struct promql_options {
    int64_t start_ms, end_ms, step_ms; /* an instant: start = end, step 0 */
    int64_t lookback_ms;               /* 0: five minutes */
    uint64_t samples_max;              /* read or made at once; 0: 50,000,000 */
    size_t slice_first, slice_n;       /* of a range: these steps alone, as a part of it; slice_n 0: all of it */
    bool delayed_name_removal, type_and_unit_labels;
    bool count_samples;               /* fills step_samples of the answer */
    err (*check)(void *context);      /* asked before each series; may be NULL */
    err (*check_work)(void *context); /* asked in long loops, each 0.1 ms or longer; NULL: check is */
    void *context;
};

enum promql_kind { PROMQL_ABSENT, PROMQL_FLOAT, PROMQL_HISTOGRAM };

struct promql_row {
    struct labels labels;
    const uint8_t *kinds;                   /* enum promql_kind at each step */
    const double *values;                   /* at steps of kind float */
    const struct native *const *histograms; /* NULL: none at any step */
};

struct promql_answer {
    enum promql_type type; /* of the expression; over a range always matrix in the API's words */
    int64_t start_ms, step_ms;
    size_t step_n;
    struct str text; /* of a string */
    struct promql_row
        *rows; /* a scalar is one row without labels; of an instant in the order of the engine (sort, topk) */
    size_t row_n;
    const struct str *warnings, *infos; /* as Prometheus words them, with (line:column) where there is one */
    size_t warning_n, info_n;
    uint64_t samples; /* read from the source */
    /* With count_samples, of each step: the samples that its selectors take, points of subqueries for what is inside of them; a histogram counts as
     * one. NULL without. */
    const uint64_t *step_samples;
    /* An instant query may ask for a range: its points, not on steps. */
    struct promql_points *points;
    size_t point_n;
};
/* The samples of one series of a range vector. */
struct promql_points {
    struct labels labels;
    size_t n, histogram_n;
    const int64_t *times, *histogram_times;
    const double *values;
    const struct native *const *histograms;
};

/* `text` is what was parsed, for the places in annotations. */
err promql_run(struct arena *a, struct promql_source *source, const struct promql_node *e, struct str text,
               const struct promql_options *options, struct promql_answer *out);

/* Whether slices of a range, answered each by itself (options.slice_n), say together what the whole says. Where it is false steps
 * depend on each other. With delayed_name_removal they always may. */
bool promql_is_sliceable(const struct promql_node *e);
/* Whether rows fold into groups last of all, so that there are few of them usually. */
bool promql_is_folded(const struct promql_node *e);
enum { PROMQL_SLICES_MAX = 16 };
/* The answers of slices that follow each other as one, rows in the order that one run gives them. Labels, histograms and texts stay
 * where they are, the rest is in `a`. Of series and steps it says the same bit by bit, if the source gives series in the same order to
 * all; annotations may come in another order, and samples that two slices read count twice. A slice that fails does so for a reason
 * that the whole has, too, but not always with the same words: ask the whole then. */
err promql_join(struct arena *a, const struct promql_answer *slices, size_t n, struct promql_answer *out);
