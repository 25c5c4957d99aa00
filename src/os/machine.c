#include "os/machine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "os/path_err_priv.h"

static bool is_dir(DIR *dir, const struct dirent *d) {
    struct stat s;
    if (d->d_type != DT_UNKNOWN) return d->d_type == DT_DIR;
    return fstatat(dirfd(dir), d->d_name, &s, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(s.st_mode);
}

err dir_each(const char *path, bool (*fn)(void *context, const char *name, bool is_dir), void *context) {
    DIR *dir = opendir(path);
    if (!dir) return path_err(errno, "listing", path);
    struct dirent *d;
    do {
        errno = 0;
        d = readdir(dir);
    } while (d &&
             (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 || fn(context, d->d_name, is_dir(dir, d))));
    int failed = d ? 0 : errno;
    closedir(dir);
    return failed ? path_err(failed, "listing", path) : NULL;
}

err file_system_read_wait(const char *path, struct file_system *out) {
    struct statvfs s;
    int result;
    do result = statvfs(path, &s);
    while (result != 0 && errno == EINTR);
    if (result != 0) return path_err(errno, "asking for the space of", path);
    *out = (struct file_system){.size_bytes = (uint64_t)s.f_blocks * s.f_frsize,
                                .free_bytes = (uint64_t)s.f_bfree * s.f_frsize,
                                .avail_bytes = (uint64_t)s.f_bavail * s.f_frsize,
                                .files = s.f_files,
                                .files_free = s.f_ffree};
    return NULL;
}
