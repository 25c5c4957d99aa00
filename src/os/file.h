/* Files and folders, as the store needs them: the only way in clew to the disk.
 *
 * Two implementations of this header exist: os/file.c (Linux) and os/sim/sim_file.c (a disk in memory that tears, loses,
 * refuses and cuts the power by plan; os/sim/sim.h steers it). A program links one of them.
 *
 * Paths are relative to the working directory or absolute, terminated, at most 4,095 bytes. Sizes and offsets in bytes.
 * Errors: ERR_NOT_FOUND (no such file), ERR_CONFLICT (exists, or locked by another process), ERR_UNAVAILABLE (disk full),
 * ERR_IO (all else); the text names the path. Nothing is retried here but EINTR.
 * Owner: file_close ends a file. Threads: one file may be read by many threads, written by one.
 */
#pragma once

#include "base/base.h"

struct file;

enum file_mode {
    FILE_READ,       /* must exist */
    FILE_WRITE,      /* read and write; must exist */
    FILE_CREATE,     /* read and write; must not exist; mode 0600 */
    FILE_CREATE_ANY, /* read and write; made, or emptied, mode 0600 */
};

err file_open(const char *path, enum file_mode mode, struct file **out);
void file_close(struct file *f); /* takes NULL; does not sync */

/* Writes all n bytes at the offset, or fails; after a failure any part of them may be there. */
err file_write(struct file *f, const void *bytes, size_t n, uint64_t offset);
struct file_piece {
    const void *p;
    size_t n;
};
/* The pieces one after another from the offset on; at most 1 MiB is handed to the system at once. */
err file_write_pieces(struct file *f, const struct file_piece *pieces, size_t count, uint64_t offset);
/* Reads up to n bytes; *out_n < n only at the end of the file. */
err file_read(struct file *f, void *bytes, size_t n, uint64_t offset, size_t *out_n);
/* All of a small file into out (initialised here; the caller ends it), a zero behind it. ERR_LIMIT if it is larger; then, as after
 * any error, there is nothing to end. */
err file_read_all(const char *path, size_t bytes_max, struct buf *out);
err file_sync(
    struct file *f); /* fdatasync. After a failure the unsynced bytes may be lost: never retry on this file. */
err file_size(struct file *f, uint64_t *out);
err file_resize(struct file *f, uint64_t size); /* ftruncate */
err file_allocate(struct file *f,
                  uint64_t size); /* reserves space so that writing below size cannot meet a full disk */
/* The whole file as memory, read-only, until file_unmap; an empty file gives {NULL, 0}. */
err file_map(struct file *f, struct str *out);
void file_unmap(struct file *f, struct str map); /* f may be closed already: NULL then */
/* An exclusive lock for this process, released by file_close or death; ERR_CONFLICT if another process holds it. */
err file_lock(struct file *f);

err path_rename(const char *from, const char *to); /* replaces `to`; durable after path_sync_dir */
err path_link(const char *from, const char *to);   /* hard link; falls back to nothing: ERR_IO across file systems */
err path_remove(const char *path);                 /* a file; a missing one is ERR_NOT_FOUND */
err path_make_dir(const char *path);               /* mode 0700; an existing folder is success */
err path_remove_dir(const char *path);             /* an empty folder */
err path_sync_dir(const char *path);               /* makes creates, renames and removes in it durable */
bool path_exists(const char *path);
/* Calls fn for each entry but . and .., in name order; stops at its first error and returns it. */
err path_list(const char *path, err (*fn)(void *context, const char *name, bool is_dir), void *context);
/* Of the file system that holds path: its size and what may still be written. */
err path_space(const char *path, uint64_t *out_total_bytes, uint64_t *out_free_bytes);

#define AUTO_CLOSE __attribute__((cleanup(auto_close_)))
static inline void auto_close_(struct file **f) { file_close(*f); }
