/* Answers of the API as people read them in a terminal. Each takes the JSON text and appends lines to `out`.
 *
 * Text from outside goes through put_terminal: no control character reaches the terminal. Colours are the caller's, empty where
 * they are off. Threads: pure. Errors: ERR_INVALID when the text is no JSON, ERR_LIMIT when its tree takes over 1 GiB. */
#pragma once

#include "app/command.h"

enum { VIEW_BYTES_MAX = 1 << 30, VIEW_COLUMNS_MIN = 60, VIEW_COLUMNS_MAX = 200 };

/* GET /api/v1/traces/{id} as a waterfall of that width. */
err view_trace(struct str answer, int columns, const struct colors *c, struct buf *out);
/* GET /api/v1/traces and /api/v1/logs/query: a line each; `notes` gets what is said beside them (none, partial, more). */
err view_traces(struct str answer, const struct colors *c, struct buf *out, struct buf *notes);
err view_logs(struct str answer, const struct colors *c, struct buf *out, struct buf *notes);
/* GET /api/v1/attributes and …/{key}/values: likewise. */
err view_attributes(struct str answer, const struct colors *c, struct buf *out, struct buf *notes);
err view_values(struct str answer, const struct colors *c, struct buf *out, struct buf *notes);
err view_log(struct str record, const struct colors *c, struct buf *out); /* one of these, a line */
/* The same with `by`: a line a value. */
err view_groups(struct str answer, const struct colors *c, struct buf *out, struct buf *notes);
/* Answers of /prometheus/api/v1/query and query_range: a line a series, or a chart each. */
struct view_chart {
    bool charts, braille;
    double start, end; /* seconds since 1970 */
    int columns;
    uint64_t series_max;
};
err view_promql(struct str answer, const struct view_chart *how, const struct colors *c, struct buf *out,
                struct buf *notes);
/* Where a message names a place of a query: two lines that begin with a line's end: the line, and a caret below the place. */
void view_promql_caret(struct str expression, struct str message, struct buf *out);
/* GET /api/v1/admin/storage: a table of columns and one of services for each signal. */
err view_storage(struct str answer, const struct colors *c, struct buf *out, struct buf *notes);
/* GET /api/v1/metrics/cardinality: a table each of metrics, labels and pairs. */
err view_cardinality(struct str answer, const struct colors *c, struct buf *out, struct buf *notes);
/* GET /api/v1/correlations: a line each; of one with its timeline; GET /api/v1/propagation: what was found, and what mends it. */
err view_correlations(struct str answer, const struct colors *c, struct buf *out, struct buf *notes);
err view_correlation(struct str answer, const struct colors *c, struct buf *out, struct buf *notes);
err view_propagation(struct str answer, const struct colors *c, struct buf *out, struct buf *notes);

/* ---- for views of their own ------------------------------------------------------------------------------------- */

typedef err (*view_fn)(struct str answer, const struct colors *c, struct buf *out, struct buf *notes);
/* Asks and prints what `view` makes of the answer, or with --json the answer. */
err command_ask_and_view_wait(const struct arguments *a, const struct buf *path, view_fn view);
/* Each member of the answer's array `list` by `put`, and what is to be said beside them. */
struct json_node;
err view_list(struct str answer, const char *list,
              void (*put)(struct buf *out, const struct json_node *n, const struct colors *c), const struct colors *c,
              struct buf *out, struct buf *notes);
void view_note_partial(struct buf *notes, const struct json_node *tree);
void view_put_moment(struct buf *out, struct str time); /* date and clock of an RFC 3339 time, to the millisecond */
void view_put_dim(struct buf *out, const char *before, struct str text, const struct colors *c);
int view_columns_of(struct str s); /* that UTF-8 text takes in a terminal */
/* Text from outside behind two spaces, padded to so many columns; what is longer ends in an ellipsis. */
void view_put_name(struct buf *out, struct str name, int columns);
