/* What is said about metrics by their names: types, help, units. What is over the limits goes, that of the names first that were not
 * spoken of for longest; bytes are those of the file, so that it can always be written. */
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
    SAYING_BYTES = 1 + 3 * 4 /* in the file, beside its texts */
};

struct saying {
    uint32_t help, unit; /* numbers of texts */
    enum metric_type type;
};

/* Newest last. */
struct metric_name {
    uint64_t said_at; /* by the clock of sayings */
    uint32_t n;
    struct saying v[SAYINGS_MAX];
};

struct sayings {
    struct strings names, texts;
    VEC(struct metric_name) said; /* by number of the name */
    uint64_t bytes;               /* of all in the file */
    uint64_t clock, changes;
};

struct metric_texts {
    struct lock lock;
    struct sayings kept;
    uint64_t written; /* how many of the changes are in the file */
    uint64_t dropped; /* names that went */
    struct budget *budget;
    uint64_t charged_bytes;
};

static void sayings_init(struct sayings *k, uint64_t changes) {
    *k = (struct sayings){.changes = changes};
    strings_init(&k->names);
    strings_init(&k->texts);
}

static void sayings_done(struct sayings *k) {
    strings_done(&k->names);
    strings_done(&k->texts);
    vec_done(&k->said);
}

struct metric_texts *metric_texts_new(struct budget *budget) {
    struct metric_texts *t = mem_new_of(struct metric_texts);
    t->budget = budget;
    lock_init(&t->lock);
    sayings_init(&t->kept, 0);
    return t;
}

void metric_texts_free(struct metric_texts *t) {
    if (!t) return;
    if (t->budget) budget_give(t->budget, t->charged_bytes);
    lock_done(&t->lock);
    sayings_done(&t->kept);
    mem_free(t);
}

static struct str cut(struct str s) {
    size_t n = MIN(s.n, (size_t)TEXT_BYTES_MAX);
    while (n < s.n && n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80) n--; /* not within a character */
    return (struct str){s.p, n};
}

static uint64_t strings_bytes(const struct strings *s) {
    return s->heap_capacity + s->capacity * sizeof *s->end + (s->slots ? (s->slot_mask + 1ull) * sizeof *s->slots : 0);
}

/* lock held */
static void charge(struct metric_texts *t) {
    const struct sayings *k = &t->kept;
    uint64_t bytes = strings_bytes(&k->names) + strings_bytes(&k->texts) + k->said.capacity * sizeof *k->said.v;
    if (!t->budget) return;
    if (bytes > t->charged_bytes) budget_take_always(t->budget, bytes - t->charged_bytes);
    if (bytes < t->charged_bytes) budget_give(t->budget, t->charged_bytes - bytes);
    t->charged_bytes = bytes;
}

static uint64_t saying_bytes(const struct sayings *k, struct str name, const struct saying *s) {
    return SAYING_BYTES + name.n + strings_get(&k->texts, s->help).n + strings_get(&k->texts, s->unit).n;
}

static uint64_t name_bytes(const struct sayings *k, uint32_t id) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < k->said.v[id].n; i++)
        bytes += saying_bytes(k, strings_get(&k->names, id), &k->said.v[id].v[i]);
    return bytes;
}

/* Whether one more fits: its bytes in the file, and texts in memory, some of which nobody says any more. */
static bool has_room(const struct sayings *k, const struct series_metadata *m) {
    uint64_t more = SAYING_BYTES + m->name.n + m->help.n + m->unit.n, heap = k->names.heap_size + k->texts.heap_size;
    uint32_t id;
    return (k->names.n < NAMES_MAX || strings_find(&k->names, m->name, &id)) && k->bytes + more <= TEXTS_BYTES_MAX &&
           heap + more <= 2 * TEXTS_BYTES_MAX;
}

static void say(struct sayings *k, uint32_t id, const struct saying *s) {
    struct metric_name *name = &k->said.v[id];
    uint32_t at = 0;
    name->said_at = ++k->clock;
    while (at < name->n && memcmp(&name->v[at], s, sizeof *s) != 0) at++;
    if (at == name->n && name->n == SAYINGS_MAX) at = 0;
    if (at + 1 == name->n) return; /* it is the newest already */
    if (at < name->n) {
        k->bytes -= saying_bytes(k, strings_get(&k->names, id), &name->v[at]);
        memmove(&name->v[at], &name->v[at + 1], (--name->n - at) * sizeof *name->v);
    }
    name->v[name->n++] = *s;
    k->bytes += saying_bytes(k, strings_get(&k->names, id), s);
    k->changes++;
}

/* There is room. */
static void keep(struct sayings *k, const struct series_metadata *m) {
    uint32_t id = strings_intern(&k->names, m->name);
    while (k->said.n <= id) *vec_push(&k->said) = (struct metric_name){0};
    struct saying s;
    memset(&s, 0, sizeof s);
    s.help = strings_intern(&k->texts, m->help);
    s.unit = strings_intern(&k->texts, m->unit);
    s.type = m->type;
    say(k, id, &s);
}

struct name_age {
    uint64_t said_at;
    uint32_t id;
};

static int compare_ages(const void *a, const void *b) {
    const struct name_age *x = a, *y = b;
    return x->said_at < y->said_at ? -1 : x->said_at > y->said_at;
}

/* Numbers of all names, those first that were not spoken of for longest; the caller's to free. */
static struct name_age *names_by_age(const struct sayings *k) {
    struct name_age *v = mem_new_array(struct name_age, k->said.n + 1);
    for (uint32_t id = 0; id < k->said.n; id++) v[id] = (struct name_age){k->said.v[id].said_at, id};
    qsort(v, k->said.n, sizeof *v, compare_ages);
    return v;
}

static struct series_metadata saying_of(const struct sayings *k, uint32_t id, uint32_t i) {
    const struct saying *s = &k->said.v[id].v[i];
    return (struct series_metadata){strings_get(&k->names, id), strings_get(&k->texts, s->help),
                                    strings_get(&k->texts, s->unit), s->type};
}

/* Whether it is what was said of the name last; then the name is spoken of again. */
static bool is_repeated(struct sayings *k, const struct series_metadata *m) {
    uint32_t id;
    if (!strings_find(&k->names, m->name, &id) || k->said.v[id].n == 0) return false;
    struct series_metadata last = saying_of(k, id, k->said.v[id].n - 1);
    if (last.type != m->type || !str_equal(last.help, m->help) || !str_equal(last.unit, m->unit)) return false;
    k->said.v[id].said_at = ++k->clock;
    return true;
}

/* Keeps the names spoken of last, up to three quarters of what there may be, and no text that nobody says any more. lock held */
static void make_room(struct metric_texts *t) {
    struct sayings old = t->kept;
    AUTO_FREE struct name_age *names = names_by_age(&old);
    size_t n = old.said.n, first = n;
    uint64_t bytes = 0;
    while (first > 0 && n - first < NAMES_MAX / 4 * 3) {
        bytes += name_bytes(&old, names[first - 1].id);
        if (bytes > TEXTS_BYTES_MAX / 4 * 3) break;
        first--;
    }
    sayings_init(&t->kept, old.changes);
    for (size_t at = first; at < n; at++)
        for (uint32_t i = 0; i < old.said.v[names[at].id].n; i++) {
            struct series_metadata m = saying_of(&old, names[at].id, i);
            keep(&t->kept, &m);
        }
    t->dropped += first;
    sayings_done(&old);
}

void metric_texts_add(struct metric_texts *t, const struct series_metadata *m) {
    struct series_metadata kept = {m->name, cut(m->help), cut(m->unit), m->type};
    if (m->name.n > LABEL_NAME_BYTES_MAX) return; /* of a file: nobody else is taken with one */
    lock_take(&t->lock);
    if (!is_repeated(&t->kept, &kept)) {
        if (!has_room(&t->kept, &kept)) make_room(t);
        keep(&t->kept, &kept);
        charge(t);
    }
    lock_give(&t->lock);
}

uint64_t metric_texts_dropped(struct metric_texts *t) {
    lock_take(&t->lock);
    uint64_t dropped = t->dropped;
    lock_give(&t->lock);
    return dropped;
}

/* The sayings of one name, the newest first, behind what is in `out`. */
static uint32_t put_name(const struct sayings *k, uint32_t id, struct arena *a, struct series_metadata *out) {
    uint32_t n = k->said.v[id].n;
    struct str text = arena_copy(a, strings_get(&k->names, id));
    for (uint32_t i = 0; i < n; i++) {
        struct series_metadata m = saying_of(k, id, n - 1 - i);
        out[i] = (struct series_metadata){text, arena_copy(a, m.help), arena_copy(a, m.unit), m.type};
    }
    return n;
}

struct name_order {
    struct str name;
    uint32_t id;
};

static int compare_names(const void *a, const void *b) {
    return str_compare(((const struct name_order *)a)->name, ((const struct name_order *)b)->name);
}

/* lock held */
static err list_locked(const struct sayings *k, struct str name, struct arena *a, struct series_metadata **out,
                       uint32_t *out_n) {
    uint32_t n = 0, all = 0, id;
    struct name_order *order = arena_array(a, struct name_order, name.p ? 1 : k->names.n + 1);
    if (!order) return arena_err(a);
    if (name.p && strings_find(&k->names, name, &id)) order[n++] = (struct name_order){name, id};
    for (uint32_t i = 0; i < k->names.n && !name.p; i++) order[n++] = (struct name_order){strings_get(&k->names, i), i};
    qsort(order, n, sizeof *order, compare_names);
    for (uint32_t i = 0; i < n; i++) all += k->said.v[order[i].id].n;
    *out = arena_array(a, struct series_metadata, all + 1);
    *out_n = 0;
    for (uint32_t i = 0; i < n && *out; i++) *out_n += put_name(k, order[i].id, a, *out + *out_n);
    return arena_err(a);
}

err metric_texts_list(struct metric_texts *t, struct str name, struct arena *a, struct series_metadata **out,
                      uint32_t *out_n) {
    lock_take(&t->lock);
    err e = list_locked(&t->kept, name, a, out, out_n);
    lock_give(&t->lock);
    return e;
}

/* ---- the file (docs/formats/series.md) ---------------------------------------------------------------------------- */

/* lock held; the sayings of all names, the oldest first. */
static uint64_t put_all(const struct sayings *k, struct buf *out) {
    AUTO_FREE struct name_age *names = names_by_age(k);
    uint64_t count = 0;
    for (size_t at = 0; at < k->said.n; at++)
        for (uint32_t i = 0; i < k->said.v[names[at].id].n; i++, count++) {
            struct series_metadata m = saying_of(k, names[at].id, i);
            buf_add_byte(out, (char)m.type);
            put_le_str(out, m.name);
            put_le_str(out, m.help);
            put_le_str(out, m.unit);
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
    buf_init(&body, 2 * TEXTS_BYTES_MAX); /* never full: bytes are counted */
    buf_add_text(&body, "");
    lock_take(&t->lock);
    uint64_t changes = t->kept.changes, count = 0;
    bool news = changes != t->written;
    if (news) count = put_all(&t->kept, &body);
    lock_give(&t->lock);
    if (!news) return NULL;
    if (body.full) return err_new(ERR_INTERNAL, "what is said about metrics is over its limit");
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
    if (!e) t->written = t->kept.changes;
    return e;
}
