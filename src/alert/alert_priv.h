/* The engine's insides: evaluation, samples under way, states as text. */
#pragma once

#include "alert/alert.h"
#include "os/thread.h"
#include "query/series/series.h"
#include "signal/metrics/points_build.h"

struct alert_source {
    char *name;
    struct alert_rules *rules;
};

struct alert_engine {
    struct alert_options options;
    struct lock loads; /* taken first: one load at a time */
    struct lock lock;  /* of all states: who evaluates a group reads them without, and changes them with it */
    struct signal_flag changed;
    VEC(struct alert_source) sources; /* by name */
    VEC(struct alert_group *) groups; /* by source, as they stand there */
    bool stopping;
    struct thread *threads[ALERT_THREADS_MAX];
    size_t thread_n;
};

void alert_group_free(struct alert_group *g); /* takes NULL */
/* The first time at or after `now` at which the group is due: all times of a group are a fixed part of its interval away from its multiples. */
int64_t group_first_due(const struct alert_group *g, int64_t now);

/* Whether an expression may read a series of one of these names. */
struct strings;
bool expr_may_read(const struct promql_node *expr, const struct strings *names);

/* ---- label sets of our own (labels.c) ----------------------------------------------------------------------------- */

struct labels labels_keep(struct labels l); /* a copy on the heap, to be freed with labels_drop */
void labels_drop(struct labels l);
/* base without __name__, with `set` over it (by name; an empty value takes away). v NULL: no memory. */
struct labels labels_with(struct arena *a, struct labels base, const struct label *set, uint32_t set_n);

/* Numbers by label sets, in an arena. */
struct set_index {
    struct label_set_hash *hashes;
    uint32_t *slots, mask, n;
};
err set_index_init(struct set_index *x, struct arena *a, size_t n_max);
/* The number of a set, 0, 1, 2 … in the order they came; *out_new: it was not there. */
uint32_t set_index_add(struct set_index *x, struct label_set_hash h, bool *out_new);
bool set_index_find(const struct set_index *x, struct label_set_hash h, uint32_t *out);

/* Series that an evaluation wrote. */
struct series_set {
    struct arena a;
    struct label_set_hash *hashes;
    struct labels *labels;
    uint32_t n;
};
void series_set_free(struct series_set *s);

/* ---- samples under way (samples.c) -------------------------------------------------------------------------------- */

struct samples_out {
    struct points_builder b;
    struct buf scratch;
};
void samples_out_init(struct samples_out *s);
void samples_out_done(struct samples_out *s);
void samples_out_add(struct samples_out *s, struct labels labels, int64_t time_ms, double value);
void samples_out_add_native(struct samples_out *s, struct labels labels, int64_t time_ms, const struct native *h);
static inline size_t samples_out_count(const struct samples_out *s) { return s->b.n; }

/* ---- evaluation (evaluate.c) --------------------------------------------------------------------------------------- */

void group_evaluate_wait(struct alert_engine *e, struct alert_group *g, int64_t ts_ns);
void alert_free(struct alert *x);
void alert_rule_done(struct alert_rule *r);
/* Markers of staleness for all that a rule wrote, which is no more. */
void rule_end_series(const struct alert_rule *r, int64_t time_ms, struct samples_out *out);
/* These are what the rule wrote; `a` is scratch. */
err rule_take_series(struct alert_rule *r, const struct labels *labels, size_t n, struct arena *a);
/* Takes up what restored alerts have written, so that it can end. */
err rule_restore_series(struct alert_rule *r);

/* ---- states as text (keep.c) --------------------------------------------------------------------------------------- */

/* Hands the keeper what is to be kept of a group, with what is to be sent. */
void group_save(struct alert_engine *e, struct alert_group *g, const struct alert_notice *notices, size_t n);
void group_restore(struct alert_engine *e, struct alert_group *g);
/* Calls fn with a group for each key that the keeper has and `names` (of groups that are there) has not. It has one rule without a name that holds
 * all alerts, and one that holds all series. Afterwards it is no longer kept; fn fills in what is to be sent. */
#define ALERT_KEY_SEPARATOR '\x1f'
void groups_forget(struct alert_engine *e, const struct strings *names,
                   void (*fn)(struct alert_engine *e, struct alert_group *g));
