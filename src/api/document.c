#include "api/document_priv.h"

#include "os/file.h"

char *document_path(const char *dir, const char *name) {
    struct buf path;
    buf_init(&path, 8 * KIB);
    buf_add_fmt(&path, "%s/%s", dir, name);
    return path.p;
}

err document_make_dir(const char *dir) {
    struct str parent = str_of(dir);
    if (path_exists(dir)) return NULL;
    TRY(path_make_dir(dir));
    while (parent.n && parent.p[parent.n - 1] != '/') parent.n--;
    AUTO_FREE char *path = str_dup(parent.n ? parent : STR("."));
    err e = path_sync_dir(path);
    if (e) err_free(path_remove_dir(dir)); /* so that the next call does not take it for durable */
    return e;
}

err document_replace(const char *dir, const char *name, struct str text) {
    AUTO_BUF struct buf fresh;
    AUTO_FREE char *path = document_path(dir, name);
    AUTO_CLOSE struct file *f = NULL;
    buf_init(&fresh, 8 * KIB);
    buf_add_fmt(&fresh, "%s.new", path);
    TRY(file_open(fresh.p, FILE_CREATE_ANY, &f));
    TRY(file_write(f, text.p, text.n, 0));
    TRY(file_sync(f));
    TRY(path_rename(fresh.p, path));
    return path_sync_dir(dir);
}
