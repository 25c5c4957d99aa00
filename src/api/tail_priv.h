/* tail: log records as they become durable, to whoever follows them (GET /api/v1/logs/tail).
 *
 *   live ─ batches ─▶ follower: pick the rows, write events ─▶ http_stream ─▶ reader
 *     wake ─▶ tail thread: a batch of each follower in turn; to a slow reader, again in 20 ms; a heartbeat every 15 s
 *
 *  (1) A follower is opened at live before its head is sent: what is durable after a client saw the head is told to it or counted as lost.
 *  (2) Nobody waits for a reader. While one is slow nothing is taken from live, whose queue is bounded and counts what it drops.
 *  (3) A row that was in the history and comes again from live is written once; equal rows are told apart by how many they are.
 *  (4) Who asked is asked again at each heartbeat; a follower whose tenant or right has changed ends.
 *
 * Limits: 64 followers, 16 of a tenant (429). Each holds at most: 8 MiB waiting in live, a batch in hand (8 MiB), events of 0.5 MiB,
 * 1 MiB in the stream; all from the budget. An event is at most 512 KiB; a larger record counts as lost. A batch's filter has 1 s.
 * Owner: the thread `tail`, which alone takes turns and ends followers that have joined; without work threads (tests) tails_run's caller.
 * Threads: handlers join from any; live's wake comes from any. Lock order: live's, then tails'.
 */
#pragma once

#include "base/base.h"
#include "signal/batch.h"

struct api;
struct tails;

err tails_new(struct api *api, struct tails **out);
void tails_end(struct tails *t);  /* ends all, and waits for that; later ones are refused. Takes NULL */
void tails_free(struct tails *t); /* after the last handler; takes NULL */
/* One turn of each follower that has something to do. When to come again: `now` if there is more at once. Monotonic, ns. */
int64_t tails_run(struct tails *t, int64_t now);

struct tail_counts {
    uint64_t followers, rows, lost;
};
void tails_get_counts(struct tails *t, struct tail_counts *out);

/* ---- events: server-sent events of WHATWG HTML, 9.2 --------------------------------------------------------------- */

enum { TAIL_EVENT_MAX = 512 * 1024 };
/* Appends the row as an event `log`; *out_hash: of its data. False, with nothing appended, over TAIL_EVENT_MAX. */
bool tail_put_log(struct buf *out, const struct batch *b, uint32_t row, uint64_t *out_hash);
void tail_put_lost(struct buf *out, uint64_t rows);
void tail_put_end(struct buf *out, struct str reason);
