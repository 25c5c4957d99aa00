#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "os/path_err_priv.h"

enum { STEP_BYTES_MAX = 1024 * 1024, STEP_PIECES_MAX = 64 };

struct file {
    int fd;
    char *path; /* for error texts */
};

static err path_result(int result, const char *doing, const char *path) {
    return result == 0 ? NULL : path_err(errno, doing, path);
}

static int open_flags(enum file_mode mode) {
    switch (mode) {
    case FILE_READ: return O_RDONLY | O_NONBLOCK; /* a pipe without a writer would be waited for, for ever */
    case FILE_WRITE: return O_RDWR;
    case FILE_CREATE: return O_RDWR | O_CREAT | O_EXCL;
    case FILE_CREATE_ANY: return O_RDWR | O_CREAT | O_TRUNC;
    }
    return O_RDONLY;
}

static int open_retrying(const char *path, int flags) {
    int fd;
    do fd = open(path, flags | O_CLOEXEC, 0600);
    while (fd < 0 && errno == EINTR);
    return fd;
}

err file_open(const char *path, enum file_mode mode, struct file **out) {
    int fd = open_retrying(path, open_flags(mode));
    if (fd < 0) return path_err(errno, mode == FILE_CREATE || mode == FILE_CREATE_ANY ? "creating" : "opening", path);
    struct file *f = mem_new_of(struct file);
    f->fd = fd;
    f->path = str_dup(str_of(path));
    *out = f;
    return NULL;
}

void file_close(struct file *f) {
    if (!f) return;
    close(f->fd); /* EINTR included, Linux has released the descriptor */
    mem_free(f->path);
    mem_free(f);
}

err file_write(struct file *f, const void *bytes, size_t n, uint64_t offset) {
    return file_write_pieces(f, &(struct file_piece){bytes, n}, 1, offset);
}

/* Where a row of pieces stands that is handed to the system step by step. */
struct cursor {
    const struct file_piece *pieces;
    size_t count, skip; /* skip: bytes of pieces[0] already written */
};

static int cursor_step(const struct cursor *c, struct iovec iov[STEP_PIECES_MAX]) {
    size_t room = STEP_BYTES_MAX, skip = c->skip;
    int used = 0;
    for (size_t i = 0; i < c->count && used < STEP_PIECES_MAX && room > 0; i++, skip = 0) {
        size_t n = MIN(c->pieces[i].n - skip, room);
        if (n == 0) continue;
        iov[used++] = (struct iovec){(char *)(uintptr_t)c->pieces[i].p + skip, n};
        room -= n;
    }
    return used;
}

static void cursor_advance(struct cursor *c, size_t n) {
    while (c->count > 0 && c->skip + n >= c->pieces->n) {
        n -= c->pieces->n - c->skip;
        c->skip = 0;
        c->pieces++;
        c->count--;
    }
    c->skip += n;
}

err file_write_pieces(struct file *f, const struct file_piece *pieces, size_t count, uint64_t offset) {
    struct cursor c = {pieces, count, 0};
    struct iovec iov[STEP_PIECES_MAX];
    for (;;) {
        cursor_advance(&c, 0); /* over empty pieces */
        int used = cursor_step(&c, iov);
        if (used == 0) return NULL;
        ssize_t n = pwritev(f->fd, iov, used, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return path_err(n < 0 ? errno : EIO, "writing", f->path);
        offset += (uint64_t)n;
        cursor_advance(&c, (size_t)n);
    }
}

err file_read(struct file *f, void *bytes, size_t n, uint64_t offset, size_t *out_n) {
    size_t done = 0;
    while (done < n) {
        ssize_t got = pread(f->fd, (char *)bytes + done, n - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return path_err(errno, "reading", f->path);
        if (got == 0) break;
        done += (size_t)got;
    }
    *out_n = done;
    return NULL;
}

err file_sync(struct file *f) { return path_result(fdatasync(f->fd), "syncing", f->path); }

err file_size(struct file *f, uint64_t *out) {
    struct stat s;
    if (fstat(f->fd, &s) != 0) return path_err(errno, "looking at", f->path);
    if (S_ISFIFO(s.st_mode) || S_ISSOCK(s.st_mode)) return err_new(ERR_INVALID, "%s is a pipe, not a file", f->path);
    *out = (uint64_t)s.st_size;
    return NULL;
}

err file_resize(struct file *f, uint64_t size) {
    int result;
    do result = ftruncate(f->fd, (off_t)size);
    while (result != 0 && errno == EINTR);
    return path_result(result, "resizing", f->path);
}

err file_allocate(struct file *f, uint64_t size) {
    if (size == 0) return NULL;
    int failed; /* glibc writes a byte into each block where the file system cannot reserve */
    do failed = posix_fallocate(f->fd, 0, (off_t)size);
    while (failed == EINTR);
    return failed ? path_err(failed, "reserving space for", f->path) : NULL;
}

err file_map(struct file *f, struct str *out) {
    uint64_t size = 0;
    TRY(file_size(f, &size));
    if (size == 0) {
        *out = (struct str){NULL, 0};
        return NULL;
    }
    void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, f->fd, 0);
    if (p == MAP_FAILED) return path_err(errno, "mapping", f->path);
    *out = str_span(p, size);
    return NULL;
}

void file_unmap(struct file *f, struct str map) {
    (void)f;
    if (map.n > 0) munmap((void *)(uintptr_t)map.p, map.n);
}

/* flock belongs to the open file, not to the process: a second open in this process conflicts as well. */
err file_lock(struct file *f) {
    int result;
    do result = flock(f->fd, LOCK_EX | LOCK_NB);
    while (result != 0 && errno == EINTR);
    return path_result(result, "locking", f->path);
}

/* ---- folders ---------------------------------------------------------------------------------------------------- */

err path_rename(const char *from, const char *to) { return path_result(rename(from, to), "renaming", from); }
err path_remove(const char *path) { return path_result(unlink(path), "removing", path); }
err path_remove_dir(const char *path) { return path_result(rmdir(path), "removing folder", path); }
bool path_exists(const char *path) { return access(path, F_OK) == 0; }

err path_link(const char *from, const char *to) {
    if (link(from, to) == 0) return NULL;
    return path_err(errno, errno == EEXIST ? "linking to" : "linking", errno == EEXIST ? to : from);
}

err path_make_dir(const char *path) {
    struct stat s;
    if (mkdir(path, 0700) == 0) return NULL;
    int why = errno;
    if (why == EEXIST && stat(path, &s) == 0 && S_ISDIR(s.st_mode)) return NULL;
    return path_err(why, "making folder", path);
}

err path_sync_dir(const char *path) {
    int fd = open_retrying(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0) return path_err(errno, "opening folder", path);
    err e = path_result(fsync(fd), "syncing folder", path);
    close(fd);
    return e;
}
