#include "store/journal/manifest_priv.h"

#include "base/hash.h"

enum {
    HEAD_BYTES = 64,
    EDIT_HEAD_BYTES = 16,
    EDIT_BYTES_MAX = 64 << 20,
    RESERVE_BYTES = 64 << 10, /* at a time */
    COMPACT_BYTES_MIN = 1 << 20,
};

struct edit_head {
    uint32_t bytes, copy; /* copy: 1 or 2 */
    uint64_t check;       /* XXH3-64 of {bytes, copy} and the operations, seeded with the offset in the file */
};
static_assert(sizeof(struct edit_head) == EDIT_HEAD_BYTES, "on disk");

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static size_t padded(size_t n) { return (n + 7) & ~(size_t)7; }

static uint64_t edit_check(const struct edit_head *h, const char *operations, uint64_t offset) {
    return hash_bytes_seed(operations, h->bytes, hash_bytes_seed(h, 8, offset));
}

/* The copy of an edit at an offset, if it is whole. */
static bool copy_at(struct str bytes, uint64_t offset, uint32_t copy, struct str *out) {
    struct edit_head h;
    if (bytes.n < EDIT_HEAD_BYTES || offset > bytes.n - EDIT_HEAD_BYTES) return false;
    memcpy(&h, bytes.p + offset, sizeof h);
    if (h.copy != copy || h.bytes == 0 || h.bytes > bytes.n - offset - EDIT_HEAD_BYTES) return false;
    *out = str_span(bytes.p + offset + EDIT_HEAD_BYTES, h.bytes);
    return h.check == edit_check(&h, out->p, offset);
}

/* The next whole copy from an offset on, of either number. */
static bool next_copy(struct str bytes, uint64_t offset, uint64_t *out_offset, uint32_t *out_copy, struct str *out) {
    for (; bytes.n >= EDIT_HEAD_BYTES && offset <= bytes.n - EDIT_HEAD_BYTES; offset += 8)
        for (uint32_t copy = 1; copy <= 2; copy++)
            if (copy_at(bytes, offset, copy, out)) {
                *out_offset = offset;
                *out_copy = copy;
                return true;
            }
    return false;
}

static size_t copy_bytes(struct str edit) { return EDIT_HEAD_BYTES + padded(edit.n); }

/* The edit whose first copy should stand at `at`. False: there is none. */
static err edit_at(struct str bytes, uint64_t at, const char *path, struct str *out, bool *out_mended,
                   bool *out_found) {
    uint64_t where;
    uint32_t copy;
    struct str again;
    *out_found = true;
    if (copy_at(bytes, at, 1, out)) {
        *out_mended = !copy_at(bytes, at + copy_bytes(*out), 2, &again);
        return NULL;
    }
    *out_found = next_copy(bytes, at + 8, &where, &copy, out);
    if (!*out_found) return NULL;
    *out_mended = true;
    if (copy == 2 && where == at + copy_bytes(*out)) return NULL;
    return err_new(ERR_CORRUPT,
                   "%s: both copies of the edit at byte %llu are damaged, and edits follow: restore a backup", path,
                   (unsigned long long)at);
}

static bool has_bytes(struct str bytes, uint64_t from) {
    for (; from < bytes.n; from++)
        if (bytes.p[from]) return true;
    return false;
}

err manifest_read(struct str bytes, const char *path, edit_fn fn, void *context, struct buf *findings,
                  struct manifest_reading *out) {
    struct format_head head;
    TRY(format_head_read(bytes, format_magic_manifest, path, &head));
    struct manifest_reading r = {.end = HEAD_BYTES, .size = bytes.n};
    for (;;) {
        struct str edit;
        bool mended = false, found = false;
        TRY(edit_at(bytes, r.end, path, &edit, &mended, &found));
        if (!found) break;
        TRY_WRAP(fn(context, r.end, edit), "%s: edit at byte %llu", path, (unsigned long long)r.end);
        r.edits++;
        r.mended += mended;
        if (mended && findings)
            buf_add_fmt(findings, "%s: one copy of the edit at byte %llu is damaged; the other is used\n", path,
                        (unsigned long long)r.end);
        r.end += 2 * copy_bytes(edit);
    }
    r.torn = has_bytes(bytes, r.end);
    *out = r;
    return NULL;
}

static err apply_edit(void *context, uint64_t offset, struct str edit) {
    (void)offset;
    return manifest_state_apply(context, edit);
}

err manifest_load(const char *path, struct manifest_state *s, struct buf *findings, struct manifest_reading *out) {
    AUTO_CLOSE struct file *f = NULL;
    struct str map;
    TRY(file_open(path, FILE_READ, &f));
    TRY(file_map(f, &map));
    err e = manifest_read(map, path, apply_edit, s, findings, out);
    file_unmap(f, map);
    return e;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

/* Both copies of an edit as they stand at an offset. */
static void put_edit(struct buf *out, struct str edit, uint64_t offset) {
    static const char zeros[8];
    for (uint32_t copy = 1; copy <= 2; copy++, offset += copy_bytes(edit)) {
        struct edit_head h = {.bytes = (uint32_t)edit.n, .copy = copy};
        h.check = edit_check(&h, edit.p, offset);
        buf_add(out, &h, sizeof h);
        buf_add_str(out, edit);
        buf_add(out, zeros, padded(edit.n) - edit.n);
    }
}

static err file_bytes_of(const struct manifest_state *s, struct buf *out) {
    AUTO_BUF struct buf edit;
    struct format_head head;
    buf_init(&edit, EDIT_BYTES_MAX);
    manifest_state_write(s, &edit);
    if (edit.full) return err_new(ERR_LIMIT, "the manifest is over %d MiB", EDIT_BYTES_MAX >> 20);
    format_head_make(&head, format_magic_manifest, (uint64_t[4]){0});
    buf_add(out, &head, sizeof head);
    put_edit(out, buf_str(&edit), HEAD_BYTES);
    return NULL;
}

static err write_synced(const char *path, struct str bytes, size_t reserve_bytes) {
    AUTO_CLOSE struct file *f = NULL;
    err_free(path_remove(path)); /* a file whose sync failed is not written again (5) */
    TRY(file_open(path, FILE_CREATE, &f));
    if (reserve_bytes) TRY(file_allocate(f, bytes.n + reserve_bytes));
    TRY(file_write(f, bytes.p, bytes.n, 0));
    return file_sync(f);
}

err manifest_write(const struct manifest_state *s, const char *path) {
    AUTO_BUF struct buf bytes;
    buf_init(&bytes, 2 * (size_t)EDIT_BYTES_MAX + KIB);
    TRY(file_bytes_of(s, &bytes));
    return write_synced(path, buf_str(&bytes), 0);
}

/* Writes the state to a new file and puts it in the place of the old one. *out_renamed: from there on a failure leaves it
 * unknown which of the two is there after a crash. */
static err manifest_renew(struct manifest *m, bool *out_renamed) {
    AUTO_BUF struct buf bytes;
    struct path path = path_make("%s/manifest", m->dir), fresh = path_make("%s/manifest.tmp", m->dir);
    buf_init(&bytes, 2 * (size_t)EDIT_BYTES_MAX + KIB);
    *out_renamed = false;
    TRY(file_bytes_of(&m->state, &bytes));
    TRY(write_synced(fresh.text, buf_str(&bytes), RESERVE_BYTES)); /* so that a full disk can still be tidied */
    file_close(take(&m->file));
    *out_renamed = true;
    TRY(path_rename(fresh.text, path.text));
    TRY(path_sync_dir(m->dir));
    TRY(file_open(path.text, FILE_WRITE, &m->file));
    m->position = m->compact_bytes = bytes.n;
    m->reserved = bytes.n + RESERVE_BYTES;
    return NULL;
}

static err manifest_first(const char *dir, struct manifest *m) {
    struct path path = path_make("%s/manifest", dir);
    struct manifest_reading reading;
    err e = manifest_load(path.text, &m->state, NULL, &reading);
    if (e && err_kind(e) == ERR_NOT_FOUND) {
        err_free(e);
        return NULL;
    }
    TRY(e);
    m->position = m->compact_bytes = reading.end;
    m->reserved = MAX(reading.end, reading.size);
    return NULL;
}

err manifest_open(const char *dir, struct manifest *out) {
    struct manifest m = {.dir = str_dup(str_of(dir))};
    struct path path = path_make("%s/manifest", dir);
    bool renamed = false;
    manifest_state_init(&m.state);
    err e = manifest_first(dir, &m);
    if (!e) {
        e = manifest_renew(&m, &renamed);
        if (e && err_kind(e) == ERR_UNAVAILABLE && !renamed && m.position > 0) {
            err_free(e);
            e = file_open(path.text, FILE_WRITE, &m.file);
        }
    }
    if (e) {
        manifest_close(&m);
        return e;
    }
    *out = m;
    return NULL;
}

void manifest_close(struct manifest *m) {
    file_close(m->file);
    manifest_state_done(&m->state);
    mem_free(m->dir);
    *m = (struct manifest){0};
}

static err reserve(struct manifest *m, size_t bytes) {
    if (m->position + bytes <= m->reserved) return NULL;
    uint64_t least = m->position + bytes, want = least + RESERVE_BYTES;
    err e = file_allocate(m->file, want);
    if (e) {
        err_free(e);
        want = least;
        TRY(file_allocate(m->file, want));
    }
    m->reserved = want;
    return NULL;
}

static err append_synced(struct manifest *m, struct str bytes) {
    TRY(file_write(m->file, bytes.p, bytes.n, m->position));
    TRY(file_sync(m->file));
    m->position += bytes.n;
    return NULL;
}

/* The append failed and may or may not be durable: a new file says for sure that it is. */
static err append_anew(struct manifest *m, err why) {
    bool renamed;
    err e = manifest_renew(m, &renamed);
    if (!e) {
        err_free(why);
        return NULL;
    }
    m->broken = true;
    err_free(e);
    return err_wrap(err_as(why, ERR_IO), "the manifest cannot be written; read-only until restart");
}

err manifest_append(struct manifest *m, struct str edit) {
    AUTO_BUF struct buf bytes;
    buf_init(&bytes, 2 * (size_t)EDIT_BYTES_MAX + KIB);
    assert(edit.n > 0); /* an empty one would be taken for the end */
    if (m->broken) return err_new(ERR_IO, "the manifest could not be written; read-only until restart");
    if (edit.n > EDIT_BYTES_MAX) return err_new(ERR_LIMIT, "a manifest edit of %zu bytes", edit.n);
    put_edit(&bytes, edit, m->position);
    err e = reserve(m, bytes.n); /* nothing is written yet: whatever the failure, it can be tried again */
    if (e) return err_wrap(err_as(e, ERR_UNAVAILABLE), "reserving space for the manifest");
    e = append_synced(m, buf_str(&bytes));
    TRY(manifest_state_apply(&m->state, edit));
    if (e) return append_anew(m, e);
    if (m->position > MAX(10 * m->compact_bytes, COMPACT_BYTES_MIN)) {
        bool renamed; /* a failure before the rename changes nothing: tried again with the next edit */
        e = manifest_renew(m, &renamed);
        m->broken = e && renamed;
        err_free(e);
    }
    return NULL;
}
