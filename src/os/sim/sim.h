/* The steering wheel of the simulated machine: a disk, a clock and dice that a seed replays exactly.
 *
 * A program under test calls file.h, clock.h and thread.h as always and links os_sim in place of os; the test calls this.
 *
 *     file_write ──▶ ┌──────────────────┐  file_sync   ┌──────────────┐
 *     file_read  ◀── │ what reads see   │ ───────────▶ │ what is on   │ ──▶ sim_reboot shows this, and of the rest
 *     path_rename ─▶ │ (page cache)     │ path_sync_dir│ the platter  │     what the dice leave
 *                    └──────────────────┘ ───────────▶ └──────────────┘
 *
 *     for (uint64_t n = 1;; n++) {                    every call fails once, for every n
 *         sim_reset(seed);
 *         sim_fail_at(n, ERR_IO);                     or: sim_cut_at(n)
 *         run_the_program();
 *         if (sim_faults() == 0) break;               n is past its last call
 *         sim_reboot();
 *         check_what_was_promised();
 *     }
 *
 * The laws of the disk:
 * 1. What file_sync covered is there after a power cut, as is an entry after path_sync_dir of its folder (and of the folders
 *    above it). file_sync does not make the file's entry durable, nor path_sync_dir the file's bytes.
 * 2. Of everything later each 512-byte sector has, independently, its bytes of the last sync, those of any write since, or
 *    (only past the size of the last sync) garbage; the size is any that the file had since. Sectors are never torn inside.
 * 3. Of creates, links, renames and removes since the last path_sync_dir any subset is there, but none without those before it
 *    on the same name. A rename is there whole or not at all.
 * 4. By seed a cut may also lose all of it or nothing.
 * 5. A failed file_sync writes some sectors and forgets the others: they count as clean, so that no later sync saves them; reads go
 *    on showing them or, for some, their old bytes.
 * 6. A failed or cut write leaves any beginning of its bytes. Every other failed call has done nothing.
 * 7. Space is counted by written or reserved sector; with the disk full a write stops short with ERR_UNAVAILABLE, and no file or
 *    folder can be made. What is reserved can always be written.
 *
 * Numbers: every call of file.h but file_close and file_unmap is one call, path_exists included (it answers false when it fails).
 * "n" counts from now on: 1 is the next call.
 * Limits: a file at most 1 GiB, a name 255 bytes, a path 4,095; no "..". Relative and absolute paths start at the same root.
 * Threads: everything from one thread; what must seem to be done at once are tasks of it.
 */
#pragma once

#include "base/base.h"

void sim_reset(uint64_t seed); /* an empty disk, no plan, the clock at its start; files left open turn stale */

/* ---- the plan: kept until it happened, sim_reboot, sim_restart or sim_calm ----------------------------------------- */

void sim_fail_at(uint64_t n, enum err_kind kind);   /* up to 16 of these */
void sim_fail_from(uint64_t n, enum err_kind kind); /* that call and all after it */
void sim_fail_sync(uint64_t n);                     /* the n-th file_sync from now on: ERR_IO */
void sim_cut_at(uint64_t n);                        /* that call and all after it fail with ERR_IO until sim_reboot */
void sim_calm(void);                                /* forgets the plan; does not bring the power back */
void sim_disk_limit(uint64_t bytes);                /* 0: none; survives everything but sim_reset */
uint64_t sim_calls(void);                           /* calls since sim_reset */
uint64_t sim_faults(void); /* calls that failed by plan since sim_reset, sim_reboot or sim_restart */

/* ---- what happens between two lives of the program ---------------------------------------------------------------- */

void sim_reboot(
    void); /* power off and on: laws 1 to 4; open files turn stale (ERR_IO; close them), locks are released */
void sim_restart(void); /* kill -9: nothing written is lost; open files and locks as above */

/* ---- looking and tampering ---------------------------------------------------------------------------------------- */

/* Flips one bit, 0 to 7, of a byte, for reads and maps, and on the platter if it is there. */
err sim_flip_bit(const char *path, uint64_t offset, unsigned bit);
void sim_list(
    struct buf *out); /* a line per file, by path: path, size, unsynced bytes, and + where the entry is not durable */
uint64_t sim_disk_used(void);
void sim_trace(bool on); /* writes each call to stderr, to read how a seed failed */

/* ---- time --------------------------------------------------------------------------------------------------------- */

/* Starts at 2026-01-01 00:00 UTC and stands still but for these and for waiting (flag_wait_until goes to its end). */
void sim_clock_advance(int64_t ns);
void sim_clock_set_wall(int64_t wall_ns); /* as when an operator sets it: the monotonic clock does not move */

/* ---- several at once -------------------------------------------------------------------------------------------- */

enum { SIM_TASKS_MAX = 1024 };
/* Starts fn(context) as a task, beside whoever calls this. One runs at a time, until it waits (flag_wait_until): then the one goes on whose wait
 * ends first, of equal ends the one that began to wait first, and the clock goes there. So a seed replays them. A task that waits must hold no lock but
 * the one that it waits with. More than SIM_TASKS_MAX at once abort. Stacks are 1 MiB. */
void sim_task_start(void (*fn)(void *context), void *context);
size_t sim_tasks(void); /* that have not ended; the caller's own is none if it was not started here */
