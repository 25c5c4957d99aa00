/* The manifest: which parts are live, what the log need not replay, which deletes are outstanding (3).
 *
 *   manifest   │ head │ edit │ the same edit again │ edit │ … │ zeros, reserved for more │
 *   edit       │ u32 size │ u32 which copy │ u64 check (seed: offset) │ operations │ zeros to 8 │
 *
 * Invariants:
 *  - An edit is durable whole or not at all, and stands twice, so that no single damaged place loses one.
 *  - Space for edits is reserved before they are written: a full disk refuses an edit without a trace.
 *  - After a failed write or sync the file is written anew from memory and renamed over the old one; if that fails too, what
 *    is durable is unknown (`broken`): no file that either state names may be removed until restart.
 *  - It is written anew, compactly, when it is opened and when it has grown tenfold.
 *
 * Threads: one at a time (the engine's manifest lock). Bytes: docs/formats/manifest.md.
 */
#pragma once

#include "base/vec.h"
#include "os/file.h"
#include "store/journal/store_format_priv.h"

struct manifest_table {
    char tenant[TENANT_BYTES];
    enum signal signal; /* or TABLE_SERIES, TABLE_ROLLUPS, here and below */
    uint64_t
        covered; /* log records of the table up to this sequence are in parts; of rollups: hours since 1970 before this one
                           are not counted anew, as spans of theirs are gone */
};

struct manifest_part {
    char tenant[TENANT_BYTES];
    enum signal signal;
    uint64_t id, rows, bytes;
    int32_t day;
    int64_t time_min, time_max;
    uint64_t deletes_applied; /* deletes up to this id concern it no more */
    uint64_t age;             /* of series: the id of the oldest file that went into it */
};

struct manifest_delete {
    uint64_t id, sequence; /* of log records up to this one */
    int64_t created_ns;
    char tenant[TENANT_BYTES];
    struct str request; /* as delete.c writes it; owned */
};

struct manifest_state {
    VEC(struct manifest_table) tables;
    VEC(struct manifest_part) parts;
    VEC(struct manifest_delete) deletes;
    uint64_t next_part, next_delete, log_from; /* segments below log_from are dead */
    uint64_t sequence;                         /* the highest that was ever covered */
};
void manifest_state_init(struct manifest_state *s);
void manifest_state_done(struct manifest_state *s);
uint64_t manifest_covered(const struct manifest_state *s, struct str tenant, enum signal signal);

/* ---- edits ------------------------------------------------------------------------------------------------------ */

enum manifest_operation {
    OPERATION_NEXT = 1, /* next_part, next_delete, log_from, sequence */
    OPERATION_PART_ADD,
    OPERATION_PART_REMOVE,
    OPERATION_COVERED,
    OPERATION_LOG_FROM,
    OPERATION_DELETE,
    OPERATION_DELETE_DONE,
    OPERATION_SERIES_ADD, /* a file of series */
    OPERATION_ROLLUP_ADD, /* a file of rollups */
};
/* Operations, in order, to a buffer. */
void edit_part_add(struct buf *edit, const struct manifest_part *p);
void edit_part_remove(struct buf *edit, uint64_t id);
void edit_covered(struct buf *edit, const struct manifest_table *t);
void edit_log_from(struct buf *edit, uint64_t segment);
void edit_delete(struct buf *edit, const struct manifest_delete *d);
void edit_delete_done(struct buf *edit, uint64_t id);
/* Does them. ERR_CORRUPT: not what the functions above write; the state is then half changed. */
err manifest_state_apply(struct manifest_state *s, struct str edit);
/* The edit that makes this state from an empty one. */
void manifest_state_write(const struct manifest_state *s, struct buf *out);
/* One line an operation. */
void edit_dump(struct str edit, struct buf *out);

/* ---- the file --------------------------------------------------------------------------------------------------- */

typedef err (*edit_fn)(void *context, uint64_t offset, struct str edit);
struct manifest_reading {
    uint64_t edits, mended; /* mended: edits of which one copy is damaged */
    uint64_t end, size;     /* where the edits end, and the file */
    bool torn;              /* an edit that was never durable follows */
};
/* All edits of a file's bytes. ERR_CORRUPT: a damaged one with good ones after it. */
err manifest_read(struct str bytes, const char *path, edit_fn fn, void *context, struct buf *findings,
                  struct manifest_reading *out);
/* Applies the file of that path to an initialised state, changing nothing on disk. ERR_NOT_FOUND: none. */
err manifest_load(const char *path, struct manifest_state *s, struct buf *findings, struct manifest_reading *out);

struct manifest {
    char *dir;
    struct file *file;
    struct manifest_state state;
    uint64_t position, reserved, compact_bytes;
    bool broken;
};
/* Reads, or makes, dir/manifest and writes it anew. A full disk is no error: the old file stays in use. */
err manifest_open(const char *dir, struct manifest *out);
void manifest_close(struct manifest *m);
/* Makes an edit durable, then applies it. ERR_UNAVAILABLE: disk full, nothing happened. Any other error: `broken`. */
err manifest_append(struct manifest *m, struct str edit);
/* Writes a state as a manifest of that path and syncs it (not the folder). */
err manifest_write(const struct manifest_state *s, const char *path);
