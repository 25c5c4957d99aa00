/* What the tests of the engine share: a store and its model side by side, fed the same and asked the same.
 *
 *   world_send ──▶ real ──acknowledged──▶ model          world_compare: every answer of both is equal, row by row
 *
 * A batch in flight when the power goes may be there afterwards or not, whole; world_reopen finds out and tells the model.
 */
#pragma once

#include "base/budget.h"
#include "base/vec.h"
#include "signal/testing_priv.h"
#include "store/series.h"

enum sent_state { SENT_WAITING, SENT_ACKNOWLEDGED, SENT_REFUSED };

struct sent {
    struct world *world;
    struct batch_blob *blob;
    uint64_t number; /* in the order in which they were sent */
    bool points;     /* of which one series is called by the number */
    int tenant;
    enum sent_state state;
};

struct world {
    struct chance chance;
    struct budget budget;
    struct store_options o;
    struct store *real, *model;
    VEC(struct sent *) sent; /* not yet acknowledged, or refused */
    uint64_t acknowledged, refused, lenient_extra;
    bool lenient; /* a refused batch may be there: the store became read-only */
    uint64_t next_id, sent_count;
    bool series;             /* points are sent as well */
    bool rollups;            /* spans have ends of edges, and are sent in no order */
    int64_t rollups_ns;      /* their times are around this */
    uint64_t ids[48];        /* those that come next; 0: to be filled */
    int64_t points_ns;       /* the time of the last points of OpenTelemetry */
    uint64_t series_deletes; /* that were asked for, whatever came of them */
    struct points_decoder *decoder;
};

/* Opens both; the real one at o->dir. */
void world_init(struct world *w, uint64_t seed, const struct store_options *o);
void world_done(struct world *w);
extern const char *const world_tenants[2];

/* A batch of rows with unique ids, times over the last `days`. */
struct batch_blob *world_batch(struct world *w, enum signal signal, uint32_t rows, int days);
/* Points of some series, one of which is {__name__="sent", id=number}; as OpenTelemetry or Prometheus has them. */
struct batch_blob *world_points(struct world *w, uint64_t number);
bool world_has_points(struct world *w, int tenant, uint64_t number);
uint64_t world_delete_series(struct world *w);
/* A random question about series, or everything there is about them. */
void world_compare_series(struct world *w, int tenant, bool everything);

/* What its spans come to: ids say what calls what. */
extern const struct rollup_function world_rollup_function;
void world_rollup_row(struct world *w, struct batch_builder *b, uint32_t row);
/* A random question about rollups, or all there is; only while no delete is outstanding. */
void world_compare_rollups(struct world *w, int tenant, bool everything);

/* Sends a random batch; false: refused at once. */
bool world_send(struct world *w);
/* A random delete to both; an unknown outcome is resolved at world_reopen. Returns its id, 0 if it failed. */
uint64_t world_delete(struct world *w);
/* One random query, and everything. Fails the test if the answers differ. */
void world_compare_query(struct world *w);
void world_compare_all(struct world *w);
/* After the store was abandoned or closed: opens it again, and settles what was in flight. */
err world_reopen(struct world *w);
void world_settle(struct world *w);
