/* What is said about metrics by their names: types, help, units. */
#include <stdlib.h>

#include "base/hash.h"
#include "base/map.h"
#include "os/file.h"
#include "os/thread.h"
#include "store/engine/series_table_priv.h"

enum {
    NAMES_MAX = 1 << 16,
    SAYINGS_MAX = 8,
    TEXTS_BYTES_MAX = 8 << 20,
    TEXT_BYTES_MAX = 4096,
    FILE_BYTES_MAX = 64 << 20
};

struct saying {
    uint32_t help, unit; /* numbers of texts */
    enum metric_type type;
};

/* Newest last. */
struct metric_name {
    uint32_t n;
    struct saying v[SAYINGS_MAX];
};

struct metric_texts {
    struct lock lock;
    struct strings names, texts;
    VEC(struct metric_name) said; /* by number of the name */
    uint64_t changes, written;    /* written: how many of the changes are in the file */
};

struct metric_texts *metric_texts_new(void) {
    struct metric_texts *t = mem_new_of(struct metric_texts);
    lock_init(&t->lock);
    strings_init(&t->names);
    strings_init(&t->texts);
    return t;
}

void metric_texts_free(struct metric_texts *t) {
    if (!t) return;
    lock_done(&t->lock);
    strings_done(&t->names);
    strings_done(&t->texts);
    vec_done(&t->said);
    mem_free(t);
}

static struct str cut(struct str s) {
    size_t n = MIN(s.n, (size_t)TEXT_BYTES_MAX);
    while (n < s.n && n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80) n--; /* not within a character */
    return (struct str){s.p, n};
}

/* lock held */
static bool has_room(const struct metric_texts *t, const struct series_metadata *m) {
    size_t bytes = t->names.heap_size + t->texts.heap_size + m->name.n + m->help.n + m->unit.n;
    return t->names.n < NAMES_MAX && bytes <= TEXTS_BYTES_MAX;
}

static void say(struct metric_texts *t, struct metric_name *name, const struct saying *s) {
    uint32_t at = 0;
    while (at < name->n && memcmp(&name->v[at], s, sizeof *s) != 0) at++;
    if (at == name->n && name->n == SAYINGS_MAX) at = 0;
    if (at + 1 == name->n) return; /* it is the newest already */
    if (at < name->n) memmove(&name->v[at], &name->v[at + 1], (--name->n - at) * sizeof *name->v);
    name->v[name->n++] = *s;
    t->changes++;
}

void metric_texts_add(struct metric_texts *t, const struct series_metadata *m) {
    struct series_metadata kept = {m->name, cut(m->help), cut(m->unit), m->type};
    lock_take(&t->lock);
    if (has_room(t, &kept)) {
        uint32_t id = strings_intern(&t->names, m->name);
        while (t->said.n <= id) *vec_push(&t->said) = (struct metric_name){0};
        struct saying s;
        memset(&s, 0, sizeof s);
        s.help = strings_intern(&t->texts, kept.help);
        s.unit = strings_intern(&t->texts, kept.unit);
        s.type = kept.type;
        say(t, &t->said.v[id], &s);
    }
    lock_give(&t->lock);
}

/* The sayings of one name, the newest first, behind what is in `out`. */
static uint32_t put_name(const struct metric_texts *t, uint32_t id, struct arena *a, struct series_metadata *out) {
    const struct metric_name *name = &t->said.v[id];
    struct str text = arena_copy(a, strings_get(&t->names, id));
    for (uint32_t i = 0; i < name->n; i++) {
        const struct saying *s = &name->v[name->n - 1 - i];
        out[i] = (struct series_metadata){text, arena_copy(a, strings_get(&t->texts, s->help)),
                                          arena_copy(a, strings_get(&t->texts, s->unit)), s->type};
    }
    return name->n;
}

struct name_order {
    struct str name;
    uint32_t id;
};

static int compare_names(const void *a, const void *b) {
    return str_compare(((const struct name_order *)a)->name, ((const struct name_order *)b)->name);
}

/* lock held */
static err list_locked(struct metric_texts *t, struct str name, struct arena *a, struct series_metadata **out,
                       uint32_t *out_n) {
    uint32_t n = 0, all = 0, id;
    struct name_order *order = arena_array(a, struct name_order, t->names.n + 1);
    if (!order) return arena_err(a);
    if (name.p && strings_find(&t->names, name, &id)) order[n++] = (struct name_order){name, id};
    for (uint32_t i = 0; i < t->names.n && !name.p; i++) order[n++] = (struct name_order){strings_get(&t->names, i), i};
    qsort(order, n, sizeof *order, compare_names);
    for (uint32_t i = 0; i < n; i++) all += t->said.v[order[i].id].n;
    *out = arena_array(a, struct series_metadata, all + 1);
    *out_n = 0;
    for (uint32_t i = 0; i < n && *out; i++) *out_n += put_name(t, order[i].id, a, *out + *out_n);
    return arena_err(a);
}

err metric_texts_list(struct metric_texts *t, struct str name, struct arena *a, struct series_metadata **out,
                      uint32_t *out_n) {
    lock_take(&t->lock);
    err e = list_locked(t, name, a, out, out_n);
    lock_give(&t->lock);
    return e;
}

/* ---- the file (docs/formats/series.md) ---------------------------------------------------------------------------- */

/* lock held; the sayings of all names, oldest first. */
static uint64_t put_all(const struct metric_texts *t, struct buf *out) {
    uint64_t count = 0;
    for (uint32_t id = 0; id < t->said.n; id++)
        for (uint32_t i = 0; i < t->said.v[id].n; i++, count++) {
            const struct saying *s = &t->said.v[id].v[i];
            buf_add_byte(out, (char)s->type);
            put_le_str(out, strings_get(&t->names, id));
            put_le_str(out, strings_get(&t->texts, s->help));
            put_le_str(out, strings_get(&t->texts, s->unit));
        }
    return count;
}

static err write_file(const char *path, uint64_t count, struct str body) {
    AUTO_CLOSE struct file *f = NULL;
    struct format_head head;
    format_head_make(&head, format_magic_texts, (uint64_t[4]){count, body.n, hash_bytes(body.p, body.n), 0});
    TRY(file_open(path, FILE_CREATE_ANY, &f));
    TRY(file_write(f, &head, sizeof head, 0));
    TRY(file_write(f, body.p, body.n, sizeof head));
    return file_sync(f);
}

err metric_texts_write(struct metric_texts *t, const char *dir) {
    struct path path = path_make("%.3900s/" METRIC_TEXTS_FILE, dir),
                made = path_make("%.3900s/" METRIC_TEXTS_FILE ".tmp", dir);
    AUTO_BUF struct buf body;
    buf_init(&body, FILE_BYTES_MAX);
    buf_add_text(&body, "");
    lock_take(&t->lock);
    uint64_t changes = t->changes, count = 0;
    bool news = changes != t->written;
    if (news) count = put_all(t, &body);
    lock_give(&t->lock);
    if (!news) return NULL;
    if (body.full) return err_new(ERR_LIMIT, "what is said about metrics is over %d MiB", FILE_BYTES_MAX >> 20);
    TRY(write_file(made.text, count, buf_str(&body)));
    TRY(path_rename(made.text, path.text));
    lock_take(&t->lock);
    t->written = changes;
    lock_give(&t->lock);
    return NULL;
}

err metric_texts_scan(struct str bytes, const char *path, metric_text_fn fn, void *context) {
    struct format_head head;
    TRY(format_head_read(bytes, format_magic_texts, path, &head));
    struct str body = {bytes.p + sizeof head, bytes.n - sizeof head};
    if (body.n != head.own[1] || hash_bytes(body.p, body.n) != head.own[2])
        return err_new(ERR_CORRUPT, "%s: what is said about metrics is damaged", path);
    struct cursor c = {body.p, body.n, false};
    for (uint64_t i = 0; i < head.own[0] && !c.bad; i++) {
        struct series_metadata m = {.type = (enum metric_type)cursor_u8(&c)};
        m.name = cursor_str(&c);
        m.help = cursor_str(&c);
        m.unit = cursor_str(&c);
        if (c.bad || m.type >= METRIC_TYPES) return err_new(ERR_CORRUPT, "%s: a saying cannot be read", path);
        if (fn) fn(context, &m);
    }
    return c.n ? err_new(ERR_CORRUPT, "%s: bytes follow what is said", path) : NULL;
}

static void add_said(void *context, const struct series_metadata *m) { metric_texts_add(context, m); }

err metric_texts_read(struct metric_texts *t, const char *dir) {
    struct path path = path_make("%.3900s/" METRIC_TEXTS_FILE, dir);
    AUTO_CLOSE struct file *f = NULL;
    struct str map;
    TRY(file_open(path.text, FILE_READ, &f));
    TRY(file_map(f, &map));
    err e = metric_texts_scan(map, path.text, add_said, t);
    file_unmap(f, map);
    if (!e) t->written = t->changes;
    return e;
}
