/* Series in memory, as a source for PromQL: what tests and benchmarks ask. Owner: memory_done. */
#pragma once

#include "base/vec.h"
#include "query/promql/source.h"

struct memory_series {
    struct labels labels;
    VEC(int64_t) times;
    VEC(double) values;
    VEC(int64_t) histogram_times;
    VEC(const struct native *) histograms;
    uint64_t times_id;
    bool without_stale, without_resets; /* as memory_seal finds */
};

struct memory {
    struct promql_source source; /* first: what is handed to promql_run */
    struct arena a;
    VEC(struct memory_series) series;
    struct str warning;      /* each selection brings it along; empty: none */
    uint64_t reads, fail_at; /* the fail_at-th read fails, from 1; 0: none */
};

void memory_init(struct memory *m);
void memory_done(struct memory *m);
/* The series with these labels, new or known; labels need no order, values may be empty. The pointer lives until the next call. */
struct memory_series *memory_series(struct memory *m, const struct label *labels, size_t n);
/* At the same time as one before: replaces it. Otherwise times ascend. */
void memory_add(struct memory_series *s, int64_t time_ms, double value);
void memory_add_histogram(struct memory_series *s, int64_t time_ms, const struct native *h);
/* Gives series with equal timestamps the same id; after the last sample. */
void memory_seal(struct memory *m);
