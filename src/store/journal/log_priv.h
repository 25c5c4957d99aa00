/* The log: where a batch is made durable before it is acknowledged. One a data directory, shared by tenants and tables (1).
 *
 *   log/00000007.log   │ head │ head again │ record │ record │ … │ bytes of an earlier life, or zeros │
 *                      0      2048         4096
 *   record             │ 128 bytes: what, whose, sequence, sizes, checks │ batch blob │ zeros to 8 │
 *
 * Invariants:
 *  - A commit is written and synced as one, into one segment. Each record says where its commit began: a damaged record
 *    before another's commit was durable and is corruption (named, skipped); one with no commit after it is a torn tail, the end.
 *  - Behind the last synced commit stands a mark, a head without a blob whose "commit" begins at itself: it says that all before it
 *    is durable. The next commit overwrites it. It is not synced: it tells damage from a torn tail unless the power went too.
 *  - The check of a record head is seeded with the segment's nonce, so bytes of a recycled segment are never records.
 *  - A segment's first_sequence voids the records of earlier segments from that number on: they were refused, or are logged
 *    again here. After a failure a segment is never written again (5).
 *  - Sequences rise within a segment; what is visible has the lowest ones, without exception.
 *  - A segment restarted after a failed sync gets its head after its records are durable: till then the old one counts.
 *
 * Limits: a segment holds at least one record, whatever its size; at most SEGMENTS_SPARE written segments wait for reuse.
 * Threads: a record_log belongs to the log thread; segment_* readers are pure. Bytes: docs/formats/log.md.
 */
#pragma once

#include "base/vec.h"
#include "os/file.h"
#include "store/journal/store_format_priv.h"

enum {
    SEGMENT_HEAD_BYTES = 4096,
    SEGMENT_HEAD_COPY = 2048,
    SEGMENTS_SPARE = 2,
    RECORD_HEAD_BYTES = 128,
    RECORD_MAGIC = 0x72776c63, /* "clwr" */
    RECORD_KIND_BATCH = 1,
    RECORD_KIND_MARK = 2,
    RECORD_FRESH = 1, /* flag, of points: what came before of the table went to an earlier head */
    RECORD_SAYS = 2,  /* of points: its series have numbers, and some may be numbers (series_said_priv.h) */
};

struct record_head {
    uint32_t magic;
    uint8_t kind, signal, tenant_bytes, flags; /* signal: or TABLE_SERIES; flags: RECORD_… */
    uint64_t sequence;
    uint64_t commit_offset; /* in the segment: everything before it was durable when this was written */
    uint64_t blob_bytes;
    uint64_t blob_check; /* XXH3-64 of the blob */
    char tenant[TENANT_BYTES];
    int64_t arrived_ns;   /* of points: wall time, by which they are judged */
    uint32_t since;       /* RECORD_SAYS: its sequence less that of the record that began the head; else 0 */
    uint32_t said_before; /* RECORD_SAYS: the number of its first series; else 0 */
    uint64_t check;       /* XXH3-64 of the bytes before it, seeded with the nonce */
};
static_assert(sizeof(struct record_head) == RECORD_HEAD_BYTES, "on disk");

struct log_record {
    uint64_t sequence;
    enum signal signal;
    struct str tenant, blob;
    uint64_t blob_check;
    uint8_t flags;
    int64_t arrived_ns;
    uint32_t since, said_before;
};

/* ---- reading ---------------------------------------------------------------------------------------------------- */

struct segment_head {
    uint64_t number, nonce, first_sequence;
    int64_t created_ns;
};
/* From either copy. ERR_CORRUPT: neither is whole (a segment never begun); ERR_INVALID: a newer format. */
err segment_head_read(struct str segment, const char *path, struct segment_head *out);

struct segment_reading {
    uint64_t records, bad;  /* bad: places where something durable is damaged */
    uint64_t end;           /* where the good bytes end */
    uint64_t last_sequence; /* of the last good record; first_sequence - 1 if none */
    bool torn;              /* something that was never acknowledged follows */
};
typedef err (*log_record_fn)(void *context, const struct log_record *r);
/* Calls fn for each good record, void ones included. Findings, if wanted, get a line for each bad place. */
err segment_read(struct str segment, const char *path, const struct segment_head *head, log_record_fn fn, void *context,
                 struct buf *findings, struct segment_reading *out);

/* The segments of a folder by number, as their files are named. */
typedef VEC(uint64_t) segment_numbers;
err segment_list(const char *log_dir, segment_numbers *out);
struct path path_segment(const char *log_dir, uint64_t number);
/* Opens and maps one; *out_file and *out_map are closed by segment_unmap. */
err segment_map(const char *path, struct file **out_file, struct str *out_map);
void segment_unmap(struct file *file, struct str map);
/* Those of which records are borrowed. */
typedef VEC(struct segment_mapping {
    struct file *file;
    struct str map;
}) segment_mappings;
void segments_unmap(segment_mappings *m);

/* ---- writing ---------------------------------------------------------------------------------------------------- */

struct log_segment {
    uint64_t number, size_bytes, used_bytes, last_sequence;
    uint64_t written_bytes; /* so much of the file was written at least once; it may be less than what is used */
};

struct record_log {
    char *dir; /* …/log */
    uint64_t segment_bytes, next_number;
    struct file *file; /* NULL: the next commit begins a segment */
    struct log_segment current;
    uint64_t nonce, commit_bytes; /* of the last commit */
    VEC(struct log_segment) closed; /* may hold what is not yet in parts, oldest first */
    VEC(struct log_segment) spare;  /* written, no longer needed: cheaper to sync than new ones */
    VEC(struct record_head) heads;
    VEC(struct file_piece) pieces;
};

void record_log_init(struct record_log *l, const char *dir, uint64_t segment_bytes);
void record_log_done(struct record_log *l); /* closes; removes nothing */
uint64_t record_bytes(const struct log_record *r);
/* How many of the records, at least one, the next commit may take. */
size_t record_log_fit(const struct record_log *l, const struct log_record *records, size_t n);

enum commit_result {
    COMMIT_DONE,    /* durable */
    COMMIT_REFUSED, /* nothing of it is kept; try again later (disk full) */
    COMMIT_FAILED,  /* a write or a sync failed: the segment's unsynced bytes are unknown; record_log_restart */
};
/* Writes and syncs records that fit; *out_why is the caller's unless done. */
enum commit_result record_log_commit(struct record_log *l, const struct log_record *records, size_t n, err *out_why);
/* Says behind the last commit that it is durable, without a sync; best effort. */
void record_log_mark(struct record_log *l);
/* Writes zeros behind what is used, some at a time, where commits are small: the sync of blocks that are reserved and were never written costs
 * a write of the file system's own, each time. Best effort, after the answers. */
void record_log_write_ahead(struct record_log *l);
/* After a failure: a new segment that begins with all that is not yet in parts; everything of earlier segments from
 * first_sequence on is void. On an error the old segments still count. */
err record_log_restart(struct record_log *l, uint64_t first_sequence, const struct log_record *records, size_t n);
/* The number of the first segment that holds a record of sequence ≥ needed, or that may get one. */
uint64_t record_log_first_needed(const struct record_log *l, uint64_t needed);
/* Segments below that number are spare, or removed. */
void record_log_retire(struct record_log *l, uint64_t first_needed);
/* Nothing of the log is needed: removes all its segments. */
void record_log_trim(struct record_log *l);
uint64_t record_log_bytes(const struct record_log *l); /* on disk */
