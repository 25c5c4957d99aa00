#include "os/stamp.h"

#include <sys/stat.h>

#include "os/path_err_priv.h"

static int64_t ns_of(struct timespec t) { return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec; }

err path_stamp_read(const char *path, struct path_stamp *out) {
    struct stat s;
    if (stat(path, &s) != 0) return path_err(errno, "looking at", path);
    *out = (struct path_stamp){.device = s.st_dev,
                               .inode = s.st_ino,
                               .size_bytes = (uint64_t)s.st_size,
                               .changed_ns = MAX(ns_of(s.st_mtim), ns_of(s.st_ctim)),
                               .mode = s.st_mode & 07777};
    return NULL;
}
