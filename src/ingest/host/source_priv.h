/* One source of figures: its text of this round becomes points, with stale markers for the series it had a round ago and has no more.
 *
 * Invariants:
 *  1. The points of one round have one time.
 *  2. A series that was appended and is not in the next text gets one stale marker, of that round's time; a source that says nothing has none.
 * Owner: the caller. Threads: one; what becomes of the points is counted from the log's. source_done waits for that. */
#pragma once

#include "ingest/ingest.h"
#include "os/thread.h"

struct source {
    struct ingest *ingest;
    struct str tenant;
    struct points_label labels[2]; /* job, instance; borrowed */
    struct points_decoder *decoder;
    struct batch_blob *before; /* what was sent a round ago; NULL: nothing */
    struct lock lock;
    struct signal_flag landed;
    uint32_t flying;
    uint64_t rounds, failed; /* under the lock */
};
void source_init(struct source *s, struct ingest *in, struct str tenant, struct str job, struct str instance);
void source_done(struct source *s);
void source_send(struct source *s, struct str text, int64_t now_ns);

/* The stale markers, at now_ms, for the series of `before` that `after` (NULL: nothing) has not; NULL: none. */
struct batch_blob *stale_markers(struct batch_blob *before, struct batch_blob *after, int64_t now_ms);
