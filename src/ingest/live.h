/* live: batches as they become durable, for whoever follows them.
 *
 *   ingest ─ live_publish ─▶ reader's queue (bounded) ─ wake ─▶ … ─ live_take ─▶ batch
 *
 * A reader that does not keep up loses whole batches, the newest first, and is told how many rows; nobody waits for it.
 * Limits: `readers_max` readers; a reader's queue holds 256 batches and `bytes_max` bytes, drawn from the budget (over it: lost).
 * Owner: live's maker frees it after the last reader closed. A blob from live_take is the taker's to unref.
 * Threads: all from any. `wake` runs inside live_publish, when the queue was empty: it must not block, nor call live.
 * Errors: ERR_BUSY with readers_max readers.
 */
#pragma once

#include "base/budget.h"
#include "signal/batch.h"

struct live;
struct live_reader;

struct live *live_new(size_t readers_max, struct budget *budget); /* budget NULL: none */
void live_free(struct live *l);                                   /* takes NULL */
/* Whether anybody follows this tenant's signal; asked of a batch that is visible already, for who has opened before it looks at the
 * store misses none. */
bool live_is_followed(struct live *l, struct str tenant, enum signal signal);
void live_publish(struct live *l, struct str tenant, enum signal signal, struct batch_blob *blob);

struct live_options {
    struct str tenant; /* copied */
    enum signal signal;
    size_t bytes_max; /* of waiting batches; 0: 8 MiB */
    void (*wake)(void *context);
    void *context;
};
err live_open(struct live *l, const struct live_options *options, struct live_reader **out);
/* The oldest waiting batch, NULL if there is none. *out_lost: rows lost before it. */
struct batch_blob *live_take(struct live_reader *r, uint64_t *out_lost);
/* After this returned, wake is not called any more. */
void live_close(struct live_reader *r);

struct live_stats {
    uint64_t readers, lost_rows;
};
void live_get_stats(struct live *l, struct live_stats *out);
