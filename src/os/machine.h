/* What a machine has that may be large or dead: folders of any number of entries, mounted file systems. Real only.
 * Errors as os/file.h. Threads: any. */
#pragma once

#include "base/base.h"

/* Calls fn for the entries but . and .., as the system gives them, until it returns false; keeps none of them. */
err dir_each(const char *path, bool (*fn)(void *context, const char *name, bool is_dir), void *context);

struct file_system {
    uint64_t size_bytes, free_bytes, avail_bytes; /* avail: to those who are not root */
    uint64_t files, files_free;
};
/* Of the file system that holds path. Blocks for as long as a dead server of it lets one wait. */
err file_system_read_wait(const char *path, struct file_system *out);
