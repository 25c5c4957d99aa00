/* The inside of the simulated disk, shared by the files of os/sim.
 *
 *     disk.root ─ node (folder) ─ live table    name → node      what calls see
 *                              └─ durable table name → node      what a power cut leaves
 *                 node (file)  ── block         the bytes that calls see; zero past the size
 *                              └─ sectors[]     of each: is it written, and what the platter has instead
 *     disk.changes   changes of folders that no path_sync_dir has covered yet, oldest first
 *
 * Invariants:
 * 1. A sector that is neither dirty nor dropped has on the platter what the block has.
 * 2. Otherwise `durable` is what the platter has; NULL stands for zeros.
 * 3. node.refs counts entries of both tables, changes and open files; at zero the node goes. node.live_refs counts live
 *    entries and files that are not stale; at zero its space is free.
 * 4. disk.used_sectors is the sum of written_sectors over nodes with live_refs > 0.
 */
#pragma once

#include "base/base.h"
#include "base/vec.h"
#include "os/file.h"
#include "os/xoshiro_priv.h"

enum { SECTOR_BYTES = 512, BETWEEN_MAX = 6, NAME_BYTES_MAX = 255, PATH_BYTES_MAX = 4095 };
enum { FILE_BYTES_MAX = 1 << 30 };

struct image { /* the bytes of a sector at another time */
    struct image *next;
    char bytes[SECTOR_BYTES];
};

enum {
    SECTOR_WRITTEN = 1, /* takes up space */
    SECTOR_DIRTY = 2,   /* the next sync writes it */
    SECTOR_DROPPED = 4, /* a failed sync forgot it: clean to the system, but not on the platter */
};

struct sector {
    struct image *durable, *between; /* between: bytes it had since the last sync, but no longer */
    uint8_t flags, between_count;
};

struct block { /* shared by a node and the maps of it; copied before a write while shared */
    size_t refs, capacity;
    char bytes[];
};

struct entry {
    char *name;
    struct node *node;
};
typedef VEC(struct entry) table;

struct node {
    struct node *next, *before; /* of all nodes */
    size_t refs, live_refs;
    bool is_dir;
    table live, durable; /* of a folder */
    struct block *block; /* of a file, from here on */
    struct sector *sectors;
    size_t sector_count, written_sectors;
    VEC(size_t) dirty;                                  /* indexes of dirty sectors */
    uint64_t size, durable_size, size_least, size_most; /* least and most since the last sync */
    struct file *lock_holder;
};

/* One change of folders: `node` appears as to_dir/to (if to_dir) and vanishes from from_dir/from (if from_dir). */
struct change {
    struct node *node, *from_dir, *to_dir;
    char *from, *to;
    bool chosen;
};

enum fate { FATE_LOSE, FATE_KEEP, FATE_MIX }; /* of what a power cut finds unsynced */

struct disk {
    struct node *root, *nodes;
    VEC(struct change) changes;
    struct xoshiro dice;
    uint64_t used_sectors, limit_bytes;
    struct file *open_files; /* but the stale ones */
};
extern struct disk sim_disk;

static inline uint64_t dice_below(uint64_t n) { return n ? xoshiro_next(&sim_disk.dice) % n : 0; }
static inline bool dice_coin(void) { return xoshiro_next(&sim_disk.dice) >> 63; }

/* ---- sim_node.c ---- */
struct node *node_new(bool is_dir); /* refs 1: the caller's */
void node_ref(struct node *n);
void node_unref(struct node *n);
void node_live_ref(struct node *n);   /* refs too */
void node_live_unref(struct node *n); /* refs too */
/* Writes until the disk is full: how many bytes. false from node_fits: no file may be so big. */
bool node_fits(uint64_t offset, uint64_t n);
size_t node_write(struct node *n, const char *bytes, size_t size, uint64_t offset);
void node_resize(struct node *n, uint64_t size);
bool node_allocate(struct node *n, uint64_t size); /* false: disk full, nothing reserved */
void node_sync(struct node *n);
void node_sync_failed(struct node *n);
void node_lose(struct node *n, enum fate fate); /* a power cut */
void node_flip(struct node *n, uint64_t offset, unsigned bit);
struct str node_map(struct node *n);
void node_unmap(struct str map);
bool disk_is_full(void);

/* ---- sim_dir.c ---- */
struct node *table_find(const table *t, struct str name);
/* Finds the folder that holds the last name of path; 0, or an errno value. The name is borrowed from path; "" for the root. */
int path_parent(const char *path, struct node **out_dir, struct str *out_name);
int path_find(const char *path, struct node **out); /* 0, or an errno value */
void dir_add(struct node *dir, struct str name, struct node *node);
void dir_remove(struct node *dir, struct str name);
void dir_move(struct node *from_dir, struct str from, struct node *to_dir, struct str to);
void dir_sync(struct node *dir);
bool dir_entry_is_durable(const struct node *dir, struct str name);
void dirs_lose(void);  /* a power cut: what is durable becomes what is live */
void dirs_clear(void); /* an empty disk */

/* ---- sim_file.c ---- */
void files_go_stale(void); /* every open file: its calls fail, its lock is released, its close only frees memory */

/* ---- sim.c ---- */
enum event { EVENT_GO, EVENT_FAIL, EVENT_CUT };
/* Counts a call and asks the plan: EVENT_GO and NULL, or the error to return. */
err sim_call(const char *doing, const char *path, enum event *out_event);
err sim_call_sync(const char *path, enum event *out_event);
