/* A part: up to some million rows of one table and one UTC day in one immutable file, in row groups of 16,384.
 *
 *   header │ row group 0 │ row group 1 │ … │ dictionaries │ trace index │ directory │ footer
 *
 * Bytes: docs/formats/part.md. The engine (store.c) names parts, decides what to write, merge and drop; this room only
 * turns rows into files and files into rows.
 *
 * Invariants: rows stand in order of (start of their trace within what was written together, trace id, time); logs in order
 * of time. Row groups are self-contained but for the part's dictionaries, to which they hold lists of codes: a merge
 * copies a full row group and rewrites its lists only. Every block has a checksum, checked at its first touch (7).
 * Threads: an open part is immutable and shared; part_write and part_merge run on the back thread.
 */
#pragma once

#include "base/arena.h"
#include "base/budget.h"
#include "store/sizes.h"

enum { PART_GROUP_ROWS = 16384 };

struct part;

struct part_info {
    enum signal signal;
    uint64_t id;
    uint64_t rows, bytes;
    uint32_t groups;
    uint32_t small_groups; /* with less than half of PART_GROUP_ROWS: worth re-encoding */
    int64_t time_min, time_max;
};

/* What writing a part may take of memory, about: decides how large row groups and dictionaries get. Beyond it go a single row of
 * more bytes than that, and what part_source_bytes and part_merge_bytes say of the inputs: choosing those is the caller's. */
enum { PART_MEMORY_MIN = 256 << 10, PART_MEMORY_MAX = 256 << 20 };

/* Writes the rows of the batches whose time is in [time_min, time_max] and not in `drop` to a new file and syncs it (not its
 * folder). No such row: ERR_NOT_FOUND and no file. On an error no file is left. */
struct row_filter {
    bool (*drops)(void *context, const struct batch *b, uint32_t row);
    void *context;
};
err part_write(const char *path, enum signal signal, uint64_t id, const struct batch *batches, size_t count,
               int64_t time_min, int64_t time_max, const struct row_filter *drop, uint64_t memory_bytes,
               struct part_info *out);
/* What a batch adds to the memory that writing it takes: rows to be ordered, dictionaries. */
uint64_t part_source_bytes(const struct batch *b);
/* Writes the rows of parts (one table, one day) to one new file: full row groups are copied, small ones and those that
 * `touches` names are decoded, filtered and written anew. */
struct merge_filter {
    bool (*touches)(void *context, const struct part *p, uint32_t group); /* NULL: nothing is dropped */
    bool (*drops)(void *context, const struct batch *b, uint32_t row);
    void *context;
};
err part_merge(const char *path, uint64_t id, struct part *const *parts, size_t count,
               const struct merge_filter *filter, uint64_t memory_bytes, struct part_info *out);
/* What a part adds to the memory that merging it takes. */
uint64_t part_merge_bytes(const struct part *p);

/* Opens a file: checks header, footer, directory and dictionaries. */
err part_open(const char *path, struct part **out);
/* Takes from the budget what the part takes while it is open, but for its file's pages; the last part_unref gives it back. */
void part_charge(struct part *p, struct budget *budget);
struct part *part_ref(struct part *p);
void part_unref(struct part *p); /* the last one unmaps, and removes the file if part_doom was called */
void part_doom(struct part *p);  /* no longer named by the manifest */
const struct part_info *part_info(const struct part *p);
const char *part_path(const struct part *p);
void part_group_range(const struct part *p, uint32_t group, int64_t *out_time_min, int64_t *out_time_max,
                      uint32_t *out_rows);

/* A scan of one part: what a request needs to know once a part (which dictionary strings, resources and keys match).
 * Memory of the arena, which must outlive the groups scanned; the request is borrowed. Cheap: the work is done as groups ask.
 * *out_may_match false: no row of the part can match, nothing need be scanned. One thread at a time. */
struct part_scan;
err part_scan_open(struct part *p, const struct scan_request *r, struct arena *a, struct part_scan **out,
                   bool *out_may_match);
/* The groups that alone can match, ascending, by the ids that the request asks for and the part's index; false: any can. */
bool part_scan_groups(const struct part_scan *s, const uint32_t **out_groups, uint32_t *out_count);
/* Whether some predicate is of that kind. */
bool scan_is_indexed(const struct scan_request *r);
/* One group, or one memory batch, against a request: fills *out (memory of arena `a`, which may be another than the scan's and
 * be cleared after the chunk; n 0 if nothing matches; chunk.source and rest_time_max are the caller's). */
err part_scan_group(struct part_scan *s, uint32_t group, struct arena *a, struct chunk *out, struct scan_stats *stats);
err batch_scan(const struct batch *b, const struct scan_request *r, struct arena *a, struct chunk *out,
               struct scan_stats *stats);

/* Rows of one group to a builder, in the order given (ascending is fastest). */
err part_fetch(struct part *p, uint32_t group, const uint32_t *rows, size_t n, struct batch_builder *out,
               struct scan_stats *stats);
/* Calls fn for each group that holds rows of the trace, with their numbers, ascending. */
err part_find_trace(struct part *p, const unsigned char id[16], struct arena *a,
                    err (*fn)(void *context, uint32_t group, const uint32_t *rows, size_t n), void *context,
                    struct scan_stats *stats);
/* Calls fn for each key of the groups in the range (rows, events) and of all resources and scopes, without a look at values; of a
 * batch for each of its keys. The arena is scratch, cleared by a part. */
err part_keys(struct part *p, const struct scan_request *r, struct arena *a, key_fn fn, void *context,
              enum scan_next *out_next, struct scan_stats *stats);
err batch_keys(const struct batch *b, struct arena *a, key_fn fn, void *context, enum scan_next *out_next);
/* The part's distinct resources as a batch whose SET_RESOURCES has them (SET_ROWS is empty); owned by the part. */
const struct batch *part_resources(struct part *p);

/* Tells sink->piece every column, dictionary and the frame: together the file's bytes. ERR_CORRUPT before anything was told. */
err part_piece_sizes(struct part *p, const struct size_sink *sink);
/* Tells sink->resource each resource that has rows. Of `limits` deadline and cancellation count. */
err part_resource_sizes(struct part *p, const struct scan_request *limits, const struct size_sink *sink,
                        struct scan_stats *stats);
void batch_resource_sizes(const struct batch *b, uint64_t bytes, const struct size_sink *sink);
err scan_stopped(const struct scan_request *r); /* ERR_CANCELLED if it was cancelled or its time is over */

err part_check(const char *path, struct buf *out, uint64_t *out_bad); /* every block */
err part_dump(const char *path, uint64_t rows_max, struct buf *out);
/* A line for each row with a correlation id, which OTLP does not have. */
void rows_dump_ids(const struct batch *b, struct buf *out);
