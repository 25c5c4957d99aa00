/* Templates of labels and annotations: what Prometheus has of Go's text/template.
 *
 *   text ─ template_parse ─▶ tree ─ template_run(labels, value) ─▶ text
 *
 * {{ }} with trim markers, comments, pipelines, $variables, if, else, range (break, continue, else), with, define, block, template; the functions of text/template;
 * those of Prometheus 3.5 (query … pathPrefix); methods of the time that toTime gives (Year … Format, AddDate), but Sub, Round, Date, Clock, ISOWeek and zones. Before each template stand $labels, $externalLabels, $externalURL and $value.
 *
 * Limits: TEMPLATE_BYTES_MAX of text, TEMPLATE_OUT_MAX of output, TEMPLATE_STEPS_MAX nodes and commands of one run, TEMPLATE_DEPTH_MAX of nesting and of
 * templates that call each other, TEMPLATE_QUERIES_MAX queries. A run whose steps are at their end is an error, as any other.
 * Errors: ERR_INVALID in the words of text/template: `template: NAME:1:107: executing "NAME" at <.Foo>: …`; where the words are Go's own and name types of Go,
 * they may differ. Owner: the tree is the arena's and borrows `text`. Threads: a tree may be run by many at once.
 * Source: Go 1.22 text/template; Prometheus 3.5, template/template.go.
 */
#pragma once

#include "store/series/labels.h"

enum {
    TEMPLATE_BYTES_MAX = 64 << 10,
    TEMPLATE_OUT_MAX = 64 << 10,
    TEMPLATE_STEPS_MAX = 100000,
    TEMPLATE_DEPTH_MAX = 64,
    TEMPLATE_QUERIES_MAX = 16
};

struct template;

/* A row of what the function `query` answers. */
struct template_sample {
    struct labels labels;
    double value;
};

struct template_data {
    struct labels labels, external_labels;
    struct str external_url;
    double value;
    struct str histogram; /* p NULL: the value is a number */
    /* Evaluates PromQL for the function `query`; rows live in `a`. NULL: there is nothing to ask. */
    err (*query)(void *context, struct str text, struct arena *a, struct template_sample **out, size_t *out_n);
    void *context;
};

/* `name` is what errors call it: __alert_InstanceDown. */
err template_parse(struct arena *a, struct str name, struct str text, struct template **out);
/* Appends the text; what was appended before an error stays. `a` is scratch. */
err template_run(const struct template *t, const struct template_data *data, struct arena *a, struct buf *out);
/* The same; an error becomes the text <error expanding template: …>. False: it did. */
bool template_expand(const struct template *t, const struct template_data *data, struct arena *a, struct buf *out);
