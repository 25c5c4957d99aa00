#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/vec.h"
#include "os/file.h"
#include "os/path_err_priv.h"

struct entry {
    char *name;
    bool is_dir;
};
typedef VEC(struct entry) entries;

static bool entry_is_dir(DIR *dir, const struct dirent *d) {
    struct stat s;
    if (d->d_type != DT_UNKNOWN) return d->d_type == DT_DIR;
    return fstatat(dirfd(dir), d->d_name, &s, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(s.st_mode);
}

static err entries_read(DIR *dir, const char *path, entries *out) {
    for (;;) {
        errno = 0;
        struct dirent *d = readdir(dir);
        if (!d) return errno ? path_err(errno, "listing", path) : NULL;
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0) continue;
        *vec_push(out) = (struct entry){str_dup(str_of(d->d_name)), entry_is_dir(dir, d)};
    }
}

static int entry_compare(const void *a, const void *b) {
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

err path_list(const char *path, err (*fn)(void *context, const char *name, bool is_dir), void *context) {
    DIR *dir = opendir(path);
    if (!dir) return path_err(errno, "listing", path);
    entries all = {0};
    err e = entries_read(dir, path, &all);
    closedir(dir);
    if (!e && all.n > 0) qsort(all.v, all.n, sizeof all.v[0], entry_compare);
    for (size_t i = 0; i < all.n; i++) {
        if (!e) e = fn(context, all.v[i].name, all.v[i].is_dir);
        mem_free(all.v[i].name);
    }
    vec_done(&all);
    return e;
}

err path_space(const char *path, uint64_t *out_total_bytes, uint64_t *out_free_bytes) {
    struct statvfs s;
    int result;
    do result = statvfs(path, &s);
    while (result != 0 && errno == EINTR);
    if (result != 0) return path_err(errno, "asking for the space of", path);
    *out_total_bytes = (uint64_t)s.f_blocks * s.f_frsize;
    *out_free_bytes = (uint64_t)s.f_bavail * s.f_frsize;
    return NULL;
}
