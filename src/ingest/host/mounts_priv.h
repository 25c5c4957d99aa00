/* Asks file systems for their space with a limit of time: whom a dead server keeps is left behind on a thread of its own.
 *
 *   ask ─▶ helper (one) ─ file_system_fn ─▶ answer            in time
 *              └─ no answer within wait_ns ─▶ stuck     its path is not asked again until it has answered; a new helper goes on
 *
 * Limits: MOUNTS_STUCK_MAX helpers stuck; then nobody is asked any more. Threads: one asks. mounts_free leaves behind who is still stuck. */
#pragma once

#include "os/machine.h"

#define MOUNT_WAIT_NS ((int64_t)1000000000) /* what mounts_new is given, but by tests */
enum { MOUNTS_STUCK_MAX = 8 };

typedef err (*file_system_fn)(const char *path, struct file_system *out); /* file_system_read_wait, or a test's */

struct mounts;
struct mounts *mounts_new(file_system_fn ask, int64_t wait_ns);
void mounts_free(struct mounts *m); /* takes NULL */
/* False: no answer, or an error. */
bool mounts_ask_wait(struct mounts *m, const char *path, struct file_system *out);
