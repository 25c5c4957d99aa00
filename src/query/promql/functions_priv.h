/* The functions of PromQL: one row each says what it takes, what it gives, and what computes it.
 *
 * A signature has a letter an argument: v instant vector, m range vector, s scalar, t string. What follows ? may be left out,
 * what follows * may be left out or repeated.
 */
#pragma once

#include "query/promql/tree_priv.h"

struct windowed;
struct evaluator;
struct timeline;
struct table;
struct row;

/* One series of a range vector, all steps at once. */
typedef err (*range_fn)(struct windowed *w);
/* Everything that is not a map over values. */
typedef err (*whole_fn)(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out);

struct function_row {
    const char *name, *takes;
    enum promql_type gives;
    bool experimental, keeps_name;
    bool step_bound; /* the result depends on the time of the step, even if the arguments do not */
    range_fn range;
    double (*math)(double v);
    double (*date)(int64_t seconds);
    double (*native)(const struct native *h);
    whole_fn whole;
};

extern const struct function_row function_rows[];
extern const size_t function_row_n;
const struct function_row *function_find(struct str name);
/* The type of argument i; -1: there can be none. */
int function_argument(const struct function_row *f, size_t i);
