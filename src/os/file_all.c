/* What both disks have by the other functions of file.h. */
#include "os/file.h"

err file_read_all(const char *path, size_t bytes_max, struct buf *out) {
    AUTO_CLOSE struct file *f = NULL;
    uint64_t size;
    TRY(file_open(path, FILE_READ, &f));
    TRY(file_size(f, &size));
    if (size > bytes_max) return err_new(ERR_LIMIT, "%s is larger than %zu bytes", path, bytes_max);
    buf_init(out, bytes_max + 1);
    buf_reserve(out, (size_t)size + 1);
    err e = file_read(f, out->p, (size_t)size, 0, &out->n);
    if (e)
        buf_done(out);
    else
        out->p[out->n] = 0;
    return e;
}
