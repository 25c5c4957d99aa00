/* file.h over the simulated disk: each call asks the plan first. */
#include <stdlib.h>

#include "os/path_err_priv.h"
#include "os/sim/disk_priv.h"

struct file {
    struct file *next, *before; /* of the open files */
    struct node *node;
    bool stale, writable;
    char *path;
};

/* ---- open files ------------------------------------------------------------------------------------------------- */

static void file_list_remove(struct file *f) {
    if (f->before)
        f->before->next = f->next;
    else
        sim_disk.open_files = f->next;
    if (f->next) f->next->before = f->before;
    if (f->node->lock_holder == f) f->node->lock_holder = NULL;
}

static struct file *file_new(struct node *node, const char *path, bool writable) {
    struct file *f = mem_new_of(struct file);
    *f = (struct file){.next = sim_disk.open_files, .node = node, .writable = writable, .path = str_dup(str_of(path))};
    if (f->next) f->next->before = f;
    sim_disk.open_files = f;
    node_live_ref(node);
    return f;
}

void files_go_stale(void) {
    for (struct file *f = sim_disk.open_files, *next; f; f = next) {
        next = f->next;
        file_list_remove(f);
        f->stale = true;
        node_ref(f->node);
        node_live_unref(f->node);
    }
}

void file_close(struct file *f) {
    if (!f) return;
    if (f->stale) {
        node_unref(f->node);
    } else {
        file_list_remove(f);
        node_live_unref(f->node);
    }
    mem_free(f->path);
    mem_free(f);
}

static err open_or_make(const char *path, enum file_mode mode, struct node **out) {
    bool makes = mode == FILE_CREATE || mode == FILE_CREATE_ANY;
    const char *doing = makes ? "creating" : "opening";
    struct node *dir;
    struct str name;
    int failed = path_parent(path, &dir, &name);
    if (failed) return path_err(failed, doing, path);
    struct node *node = name.n == 0 ? dir : table_find(&dir->live, name);
    if (node && mode == FILE_CREATE) return path_err(EEXIST, doing, path);
    if (node && node->is_dir) return path_err(EISDIR, doing, path);
    if (!node && !makes) return path_err(ENOENT, doing, path);
    if (!node && disk_is_full()) return path_err(ENOSPC, doing, path);
    if (!node) {
        node = node_new(false);
        dir_add(dir, name, node);
        node_unref(node); /* the folder has it */
    } else if (mode == FILE_CREATE_ANY && node->size > 0) {
        node_resize(node, 0);
    }
    *out = node;
    return NULL;
}

err file_open(const char *path, enum file_mode mode, struct file **out) {
    enum event event;
    struct node *node = NULL;
    TRY(sim_call("opening", path, &event));
    TRY(open_or_make(path, mode, &node));
    *out = file_new(node, path, mode != FILE_READ);
    return NULL;
}

/* Asks the plan about a call on an open file. */
static err file_call(struct file *f, const char *doing) {
    enum event event;
    TRY(sim_call(doing, f->path, &event));
    return f->stale ? err_new(ERR_IO, "%s %s: opened before the machine went down", doing, f->path) : NULL;
}

static err file_call_writing(struct file *f, const char *doing) {
    TRY(file_call(f, doing));
    return f->writable ? NULL : path_err(EBADF, doing, f->path);
}

/* ---- bytes ------------------------------------------------------------------------------------------------------ */

err file_write(struct file *f, const void *bytes, size_t n, uint64_t offset) {
    return file_write_pieces(f, &(struct file_piece){bytes, n}, 1, offset);
}

/* Writes the first `limit` bytes of the pieces; false if the disk was full before. */
static bool write_some(struct node *node, const struct file_piece *pieces, size_t count, uint64_t offset,
                       uint64_t limit) {
    for (size_t i = 0; i < count && limit > 0; i++) {
        size_t n = MIN(pieces[i].n, limit);
        if (node_write(node, pieces[i].p, n, offset) < n) return false;
        offset += n;
        limit -= n;
    }
    return true;
}

err file_write_pieces(struct file *f, const struct file_piece *pieces, size_t count, uint64_t offset) {
    enum event event;
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) total += pieces[i].n;
    err e = sim_call("writing", f->path, &event);
    bool can = !f->stale && f->writable && node_fits(offset, total);
    if (e) {
        if (can && event != EVENT_GO) write_some(f->node, pieces, count, offset, dice_below(total + 1));
        return e;
    }
    if (f->stale) return err_new(ERR_IO, "writing %s: opened before the machine went down", f->path);
    if (!can) return path_err(f->writable ? EFBIG : EBADF, "writing", f->path);
    return write_some(f->node, pieces, count, offset, total) ? NULL : path_err(ENOSPC, "writing", f->path);
}

err file_read(struct file *f, void *bytes, size_t n, uint64_t offset, size_t *out_n) {
    TRY(file_call(f, "reading"));
    uint64_t size = f->node->size;
    size_t got = offset < size ? MIN(n, size - offset) : 0;
    if (got > 0) memcpy(bytes, f->node->block->bytes + offset, got);
    *out_n = got;
    return NULL;
}

err file_sync(struct file *f) {
    enum event event;
    err e = sim_call_sync(f->path, &event);
    if (event == EVENT_FAIL && !f->stale) node_sync_failed(f->node);
    if (e) return e;
    if (f->stale) return err_new(ERR_IO, "syncing %s: opened before the machine went down", f->path);
    node_sync(f->node);
    return NULL;
}

err file_size(struct file *f, uint64_t *out) {
    TRY(file_call(f, "looking at"));
    *out = f->node->size;
    return NULL;
}

err file_resize(struct file *f, uint64_t size) {
    TRY(file_call_writing(f, "resizing"));
    if (!node_fits(size, 0)) return path_err(EFBIG, "resizing", f->path);
    node_resize(f->node, size);
    return NULL;
}

err file_allocate(struct file *f, uint64_t size) {
    TRY(file_call_writing(f, "reserving space for"));
    if (!node_fits(size, 0)) return path_err(EFBIG, "reserving space for", f->path);
    return node_allocate(f->node, size) ? NULL : path_err(ENOSPC, "reserving space for", f->path);
}

err file_map(struct file *f, struct str *out) {
    TRY(file_call(f, "mapping"));
    *out = node_map(f->node);
    return NULL;
}

void file_unmap(struct file *f, struct str map) {
    (void)f;
    node_unmap(map);
}

err file_lock(struct file *f) {
    TRY(file_call(f, "locking"));
    struct file *holder = f->node->lock_holder;
    if (holder && holder != f) return path_err(EWOULDBLOCK, "locking", f->path);
    f->node->lock_holder = f;
    return NULL;
}

/* ---- paths ------------------------------------------------------------------------------------------------------ */

/* An existing entry: its folder, its name, its node. */
struct place {
    struct node *dir, *node; /* node NULL: no such entry */
    struct str name;
};

static int find_place(const char *path, struct place *out) {
    int failed = path_parent(path, &out->dir, &out->name);
    if (failed) return failed;
    if (out->name.n == 0) return EBUSY; /* the root */
    out->node = table_find(&out->dir->live, out->name);
    return 0;
}

static int find_existing(const char *path, struct place *out) {
    int failed = find_place(path, out);
    return failed ? failed : out->node ? 0 : ENOENT;
}

static int replace_check(const struct place *from, const struct place *to) {
    if (!to->node) return 0;
    if (from->node->is_dir && !to->node->is_dir) return ENOTDIR;
    if (!from->node->is_dir && to->node->is_dir) return EISDIR;
    return to->node->live.n > 0 && to->node != from->node ? ENOTEMPTY : 0;
}

static bool is_below(const char *path, const char *folder) {
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && path[n] == '/';
}

err path_rename(const char *from, const char *to) {
    enum event event;
    struct place a, b;
    TRY(sim_call("renaming", from, &event));
    int failed = find_existing(from, &a);
    if (!failed) failed = find_place(to, &b);
    if (!failed) failed = replace_check(&a, &b);
    if (!failed && a.node->is_dir && is_below(to, from)) failed = EINVAL;
    if (failed) return path_err(failed, "renaming", from);
    if (a.node != b.node) dir_move(a.dir, a.name, b.dir, b.name); /* two links of one file stay, as POSIX says */
    return NULL;
}

err path_link(const char *from, const char *to) {
    enum event event;
    struct place a, b;
    TRY(sim_call("linking", from, &event));
    int failed = find_existing(from, &a);
    if (!failed && a.node->is_dir) failed = EPERM;
    if (failed) return path_err(failed, "linking", from);
    failed = find_place(to, &b);
    if (!failed && b.node) failed = EEXIST;
    if (!failed && disk_is_full()) failed = ENOSPC;
    if (failed) return path_err(failed, "linking to", to);
    dir_add(b.dir, b.name, a.node);
    return NULL;
}

err path_remove(const char *path) {
    enum event event;
    struct place at;
    TRY(sim_call("removing", path, &event));
    int failed = find_existing(path, &at);
    if (!failed && at.node->is_dir) failed = EISDIR;
    if (failed) return path_err(failed, "removing", path);
    dir_remove(at.dir, at.name);
    return NULL;
}

err path_make_dir(const char *path) {
    enum event event;
    struct place at;
    TRY(sim_call("making folder", path, &event));
    int failed = find_place(path, &at);
    if (failed == EBUSY) return NULL;
    if (!failed && at.node && !at.node->is_dir) failed = EEXIST;
    if (!failed && !at.node && disk_is_full()) failed = ENOSPC;
    if (failed) return path_err(failed, "making folder", path);
    if (at.node) return NULL;
    struct node *dir = node_new(true);
    dir_add(at.dir, at.name, dir);
    node_unref(dir);
    return NULL;
}

err path_remove_dir(const char *path) {
    enum event event;
    struct place at;
    TRY(sim_call("removing folder", path, &event));
    int failed = find_existing(path, &at);
    if (!failed && !at.node->is_dir) failed = ENOTDIR;
    if (!failed && at.node->live.n > 0) failed = ENOTEMPTY;
    if (failed) return path_err(failed, "removing folder", path);
    dir_remove(at.dir, at.name);
    return NULL;
}

static err find_dir(const char *path, const char *doing, struct node **out) {
    enum event event;
    TRY(sim_call(doing, path, &event));
    int failed = path_find(path, out);
    if (!failed && !(*out)->is_dir) failed = ENOTDIR;
    return failed ? path_err(failed, doing, path) : NULL;
}

err path_sync_dir(const char *path) {
    struct node *dir = NULL;
    TRY(find_dir(path, "syncing folder", &dir));
    dir_sync(dir);
    return NULL;
}

bool path_exists(const char *path) {
    enum event event;
    struct node *node;
    err e = sim_call("looking for", path, &event);
    err_free(e);
    return !e && path_find(path, &node) == 0;
}

static int entry_compare(const void *a, const void *b) {
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

/* Works on a copy: fn may change the folder. */
err path_list(const char *path, err (*fn)(void *context, const char *name, bool is_dir), void *context) {
    struct node *dir = NULL;
    TRY(find_dir(path, "listing", &dir));
    table copy = {0};
    for (size_t i = 0; i < dir->live.n; i++) {
        node_ref(dir->live.v[i].node);
        *vec_push(&copy) = (struct entry){str_dup(str_of(dir->live.v[i].name)), dir->live.v[i].node};
    }
    if (copy.n > 0) qsort(copy.v, copy.n, sizeof copy.v[0], entry_compare);
    err e = NULL;
    for (size_t i = 0; i < copy.n; i++) {
        if (!e) e = fn(context, copy.v[i].name, copy.v[i].node->is_dir);
        mem_free(copy.v[i].name);
        node_unref(copy.v[i].node);
    }
    vec_done(&copy);
    return e;
}

err path_space(const char *path, uint64_t *out_total_bytes, uint64_t *out_free_bytes) {
    enum event event;
    struct node *node;
    TRY(sim_call("asking for the space of", path, &event));
    int failed = path_find(path, &node);
    if (failed) return path_err(failed, "asking for the space of", path);
    uint64_t total = sim_disk.limit_bytes ? sim_disk.limit_bytes : UINT64_C(1) << 40;
    uint64_t used = sim_disk.used_sectors * SECTOR_BYTES;
    *out_total_bytes = total;
    *out_free_bytes = total > used ? total - used : 0;
    return NULL;
}
