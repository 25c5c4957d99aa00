/* A small random world for the tests of query: rows as plain structs, the same rows in a store, and answers by brute force.
 *
 *   world_fill ─▶ rows[] ─ batches ─▶ store        naive: loop over rows[]        query: through the store
 *
 * Values come from small sets, so that times, ids and texts collide; some rows stand twice.
 * Built twice: over the naive store, and (WORLD_ENGINE) over the real one on a simulated disk, flushed and merged at random. */
#pragma once

#include "base/budget.h"
#include "base/vec.h"
#include "query/query.h"

struct sample {
    enum signal signal;
    unsigned char trace_id[16];
    uint64_t span_id, parent_id;
    int64_t time, observed, duration;
    uint32_t kind, status, severity;
    const char *service, *environment, *old_environment, *space; /* NULL: absent */
    const char *name;                                            /* or a log's body */
    const char *peer;                                            /* peer.service; NULL: absent */
    const char *correlation;                                     /* the id that came with it; NULL: none */
    const char *message, *error;                                 /* of its status; error.type; NULL: absent */
    int code;                                                    /* http.status_code; -1: absent; odd ones as text */
};

struct world {
    struct store *store;
    struct budget budget, store_budget; /* of queries; of the store */
    VEC(struct sample) rows;
    uint64_t chance;
};

void world_open(struct world *w, uint64_t seed);
/* What its spans come to: a call each; kinds 3 and 4 call whom `peer` names, kinds 2 and 5 are called, or are edges from "user" without a parent; a
 * span "select" of kind 3 is an edge to the database "db"; a child of any kind of another service's span is called by it. world_rolled counts how often somebody asked. */
struct rollup_function world_rollup(void);
extern uint64_t world_rolled;
/* Moves rows about: flushes or merges, now and then; nothing over the naive store. */
void world_shake(struct world *w);
void world_close(struct world *w);
uint32_t world_below(struct world *w, uint32_t n);
/* Adds `n` random rows, in batches of up to 50. Times are in [time_min, time_min + spread). */
void world_fill(struct world *w, enum signal signal, uint32_t n, uint32_t traces, int64_t time_min, int64_t spread);
/* Adds rows as they are, one batch. */
void world_add(struct world *w, const struct sample *rows, size_t n);

/* A random filter, and whether a row fulfils it. */
struct world_filter {
    struct query_filter filter;
    const char *where; /* one of few conditions, NULL: none */
};
void world_random_filter(struct world *w, struct query *q, enum signal signal, struct world_filter *out);
bool sample_matches(const struct world_filter *f, const struct sample *s);
const char *sample_service(const struct sample *s);
const char *sample_environment(const struct sample *s);

void world_query(struct world *w, struct query *q);
#define ASSERT_OK(call)                                                                                                \
    do {                                                                                                               \
        err ok_ = (call);                                                                                              \
        if (ok_) fail_msg("%s: %s", #call, err_text(ok_));                                                             \
    } while (0)
