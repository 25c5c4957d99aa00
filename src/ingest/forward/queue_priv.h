/* The queue on disk of `clew collect`: OTLP requests that were taken and are not delivered yet.
 *
 *   append (durable) ─▶ segment files ─▶ next ─▶ read ─▶ release ─▶ mark; a segment without work goes
 *
 *   DIR/lock                 who has it open
 *   DIR/done                 all sequences up to this one are done
 *   DIR/0000000000000001.seg a head of 64 bytes, then records; named by its first sequence, in hex
 *
 * Invariants: (1) what append acknowledged is given out by next, in this life or a later one, until release, or until it is dropped and
 * counted: at least once. (2) A sequence is never used twice: `done` is durable before the first append of a life. (3) A segment is removed
 * only when each of its records is released or dropped. (4) A failed sync is never retried on the same file. (5) Nothing is appended to a
 * segment of an earlier life. (6) What is damaged is named, skipped and counted; what is whole behind it is found again.
 *
 * Limits: bytes of all segments ≤ bytes_max; QUEUE_RECORDS_MAX records; a body QUEUE_BODY_MAX.
 * Errors: ERR_BUSY (full), ERR_UNAVAILABLE (disk full), ERR_IO; open: ERR_CONFLICT (another process has it, or a newer clew wrote it).
 * Owner: the maker. Threads: append: one; the others any. Layout: docs/formats/collect-queue.md.
 */
#pragma once

#include "base/base.h"

enum { QUEUE_KINDS = 3, QUEUE_RECORDS_MAX = 1 << 20, QUEUE_BODY_MAX = 64 << 20 };

struct disk_queue;
struct disk_queue_options {
    const char *dir;
    uint64_t bytes_max;
    uint64_t segment_bytes; /* 0: a sixteenth of bytes_max, from 64 KiB to 64 MiB */
    int64_t age_max_ns;     /* records older than that are dropped; 0: none are */
    bool drop_oldest;       /* full: the oldest segment goes; else append is refused */
};
err disk_queue_open(const struct disk_queue_options *options, struct disk_queue **out);
void disk_queue_close(struct disk_queue *q); /* marks; takes NULL */

struct queue_record {
    uint64_t sequence; /* append sets it */
    int64_t time_ns;   /* wall, of arrival */
    uint32_t rows;
    uint8_t kind; /* < QUEUE_KINDS */
    struct str body;
};
/* All of them or none, durable when it returns: one sync for all. */
err disk_queue_append(struct disk_queue *q, struct queue_record *records, size_t n);
/* The next record of a kind that was not given out yet, without its body, whose size is *out_bytes; false: none. It is held once. */
bool disk_queue_next(struct disk_queue *q, uint8_t kind, int64_t now_ns, struct queue_record *out, uint32_t *out_bytes);
/* What next would give. */
bool disk_queue_peek(struct disk_queue *q, uint8_t kind, struct queue_record *out, uint32_t *out_bytes);
/* Appends the body to out. ERR_CORRUPT: damaged, counted here; ERR_NOT_FOUND: dropped meanwhile. */
err disk_queue_read(struct disk_queue *q, uint64_t sequence, struct buf *out);
void disk_queue_hold(struct disk_queue *q, uint64_t sequence);    /* once more, by who holds it */
void disk_queue_release(struct disk_queue *q, uint64_t sequence); /* the last one: done */
err disk_queue_mark(struct disk_queue *q); /* writes how far all is done, if that moved; no sync */

struct disk_queue_stats {
    uint64_t bytes, segments;        /* on disk */
    uint64_t records[QUEUE_KINDS];   /* not done */
    uint64_t rows[QUEUE_KINDS];      /* of these */
    uint64_t waiting[QUEUE_KINDS];   /* rows of those that were not given out */
    uint64_t dropped[QUEUE_KINDS];   /* rows, to make room */
    uint64_t expired[QUEUE_KINDS];   /* rows, too old */
    uint64_t damaged, damaged_bytes; /* places that could not be read */
    uint64_t syncs;
    int64_t oldest_ns; /* arrival of the oldest that is not done; 0: none */
};
void disk_queue_get_stats(struct disk_queue *q, struct disk_queue_stats *out);
/* Bytes of segments that nothing but records of these kinds keeps (bits by kind); the one that is written is none of them. */
uint64_t disk_queue_kept_bytes(struct disk_queue *q, uint32_t kinds);

/* ---- the bytes of a segment -------------------------------------------------------------------------------------- */

enum { QUEUE_VERSION = 1, QUEUE_HEAD_BYTES = 64, QUEUE_RECORD_BYTES = 48 };
#define QUEUE_RECORD_MAGIC 0x51435257u

struct queue_segment_head {
    char magic[8];
    uint32_t version, features; /* features: what a reader must know; 0 so far */
    uint64_t first, nonce;
    int64_t created_ns;
    uint64_t reserved[2], check; /* check: XXH3 of what is before */
};
static_assert(sizeof(struct queue_segment_head) == QUEUE_HEAD_BYTES, "layout on disk");
struct queue_record_head {
    uint32_t magic, body_bytes;
    uint64_t sequence;
    int64_t time_ns;
    uint32_t rows;
    uint8_t kind, reserved[3];
    uint64_t body_check,
        check; /* check: of what is before, seeded with the segment's nonce, so that no body can forge one */
};
static_assert(sizeof(struct queue_record_head) == QUEUE_RECORD_BYTES, "layout on disk");

void queue_segment_head_make(struct queue_segment_head *h, uint64_t first, uint64_t nonce, int64_t created_ns);
err queue_segment_head_read(struct str bytes, const char *path, struct queue_segment_head *out);
void queue_record_head_make(struct queue_record_head *h, const struct queue_record *r, uint64_t nonce);
static inline uint64_t queue_record_size(uint64_t body_bytes) { return QUEUE_RECORD_BYTES + (body_bytes + 7) / 8 * 8; }

struct queue_reading {
    uint64_t end; /* behind the last good record */
    uint64_t records, damaged, damaged_bytes;
};
/* Calls fn for each good record in order with where its body begins; r->body has its size, and is borrowed. check_bodies: a record with a
 * damaged body is damage; else it is given out, and reading it will tell. */
typedef void queue_on_record(void *context, const struct queue_record *r, uint64_t body_at);
void queue_segment_read(struct str bytes, const struct queue_segment_head *head, bool check_bodies, queue_on_record *fn,
                        void *context, struct queue_reading *out);
