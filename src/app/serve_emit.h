/* clew's own telemetry into itself: --self-telemetry. Spans of requests and queries (api), of flushes, merges, rules and scrapes (what modules tell by
 * base/work.h), its log lines, and how long requests took; by its own ingest, as service "clew" of the tenant `default`.
 *
 * That this ends: nothing that emit's thread or the store does for these rows is traced. A flush or a merge is told only where rows of others came since the
 * last one; else the span of a flush would bring on the next. What cannot be stored is dropped and counted, never tried again.
 * Threads: tell from any; the rest main. */
#pragma once

#include <stdatomic.h>

#include "app/options.h"
#include "base/work.h"
#include "emit/emit.h"
#include "ingest/ingest.h"
#include "os/thread.h"

struct serve_emit {
    _Atomic(struct emit *) emit; /* NULL: off, or not yet */
    struct emit_instrument *durations;
    struct ingest *ingest;
    struct lock lock;
    struct signal_flag landed;
    uint32_t under_way;
    uint64_t own[INGEST_KINDS],
        seen[2][INGEST_KINDS]; /* rows of ours; of others when the last flush, and merge, was told */
    int64_t second;            /* of the works told now … */
    uint32_t told, left_out;   /* … how many, and how many of all were left out */
};
err serve_emit_read(const struct arguments *a, bool *out_on);
void serve_emit_init(struct serve_emit *s); /* before anything that is given its watch */
struct work_watch serve_emit_watch(struct serve_emit *s);
err serve_emit_open(struct serve_emit *s, struct ingest *in);
void serve_emit_stop(
    struct serve_emit *s); /* before the ingest goes: hands on what waits, and waits until it has landed */
void serve_emit_done(struct serve_emit *s); /* when nobody works any more */
