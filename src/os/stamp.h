/* Which bytes a path names, told from the outside: two equal stamps mean an unchanged file (short of someone who sets times back).
 * Threads: any. Errors: as os/file.h. */
#pragma once

#include "base/base.h"

struct path_stamp {
    uint64_t device, inode, size_bytes;
    int64_t changed_ns; /* the later of its content's and its inode's last change */
    uint32_t mode;      /* permission bits, as 0600 */
};
err path_stamp_read(const char *path, struct path_stamp *out); /* follows links */
static inline bool path_stamp_equal(const struct path_stamp *a, const struct path_stamp *b) {
    return a->device == b->device && a->inode == b->inode && a->size_bytes == b->size_bytes &&
           a->changed_ns == b->changed_ns && a->mode == b->mode;
}
