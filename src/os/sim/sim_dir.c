/* Folders of the simulated disk: entries that calls see, entries that a power cut leaves. Laws 1, 3, 4 of sim.h. */
#include <errno.h>
#include <stdlib.h>

#include "os/sim/disk_priv.h"

/* ---- tables ----------------------------------------------------------------------------------------------------- */

static struct entry *table_entry(const table *t, struct str name) {
    for (size_t i = 0; i < t->n; i++) {
        const char *known = t->v[i].name;
        if (strncmp(known, name.p, name.n) == 0 && known[name.n] == 0) return &t->v[i];
    }
    return NULL;
}

struct node *table_find(const table *t, struct str name) {
    struct entry *e = table_entry(t, name);
    return e ? e->node : NULL;
}

static void (*table_unref(const struct node *dir, const table *t))(struct node *) {
    return t == &dir->live ? node_live_unref : node_unref;
}

static void table_set(struct node *dir, table *t, struct str name, struct node *node) {
    if (t == &dir->live)
        node_live_ref(node);
    else
        node_ref(node);
    struct entry *e = table_entry(t, name);
    if (e) {
        table_unref(dir, t)(e->node);
        e->node = node;
    } else {
        *vec_push(t) = (struct entry){str_dup(name), node};
    }
}

static void table_remove(struct node *dir, table *t, struct str name) {
    struct entry *e = table_entry(t, name);
    if (!e) return;
    struct node *node = e->node;
    mem_free(e->name);
    *e = t->v[--t->n];
    table_unref(dir, t)(node);
}

static void table_clear(struct node *dir, table *t) {
    while (t->n > 0) {
        struct entry last = t->v[--t->n];
        mem_free(last.name);
        table_unref(dir, t)(last.node);
    }
}

/* ---- paths ------------------------------------------------------------------------------------------------------ */

/* The next name of a path, without "." and empty ones; "" at its end. */
static struct str next_name(struct str *rest) {
    struct str name = STR("");
    while (rest->n > 0) {
        str_cut(*rest, '/', &name, rest);
        if (name.n > 0 && !str_equal(name, STR("."))) return name;
    }
    return STR("");
}

int path_parent(const char *path, struct node **out_dir, struct str *out_name) {
    struct str rest = str_of(path), name = STR("");
    struct node *dir = sim_disk.root;
    if (rest.n > PATH_BYTES_MAX) return ENAMETOOLONG;
    if (rest.n == 0) return ENOENT;
    for (struct str next = next_name(&rest); next.n > 0; next = next_name(&rest)) {
        if (next.n > NAME_BYTES_MAX) return ENAMETOOLONG;
        if (str_equal(next, STR(".."))) return EINVAL;
        if (name.n > 0) dir = table_find(&dir->live, name);
        if (!dir) return ENOENT;
        if (!dir->is_dir) return ENOTDIR;
        name = next;
    }
    *out_dir = dir;
    *out_name = name;
    return 0;
}

int path_find(const char *path, struct node **out) {
    struct node *dir;
    struct str name;
    int failed = path_parent(path, &dir, &name);
    if (failed) return failed;
    struct node *node = name.n == 0 ? dir : table_find(&dir->live, name);
    if (node) *out = node;
    return node ? 0 : ENOENT;
}

/* ---- changes ---------------------------------------------------------------------------------------------------- */

static void change_note(struct node *node, struct node *from_dir, struct str from, struct node *to_dir, struct str to) {
    struct change c = {.node = node, .from_dir = from_dir, .to_dir = to_dir};
    node_ref(node);
    if (from_dir) node_ref(from_dir), c.from = str_dup(from);
    if (to_dir) node_ref(to_dir), c.to = str_dup(to);
    *vec_push(&sim_disk.changes) = c;
}

static void change_forget(struct change *c) {
    mem_free(c->from);
    mem_free(c->to);
    if (c->from_dir) node_unref(c->from_dir);
    if (c->to_dir) node_unref(c->to_dir);
    node_unref(c->node);
}

void dir_add(struct node *dir, struct str name, struct node *node) {
    table_set(dir, &dir->live, name, node);
    change_note(node, NULL, name, dir, name);
}

void dir_remove(struct node *dir, struct str name) {
    change_note(table_find(&dir->live, name), dir, name, NULL, name);
    table_remove(dir, &dir->live, name);
}

void dir_move(struct node *from_dir, struct str from, struct node *to_dir, struct str to) {
    struct node *node = table_find(&from_dir->live, from);
    change_note(node, from_dir, from, to_dir, to);
    table_set(to_dir, &to_dir->live, to, node);
    table_remove(from_dir, &from_dir->live, from);
}

static bool same_place(const struct node *a, const char *name_a, const struct node *b, const char *name_b) {
    return a && a == b && strcmp(name_a, name_b) == 0;
}

static bool share_a_name(const struct change *a, const struct change *b) {
    return same_place(a->from_dir, a->from, b->from_dir, b->from) ||
           same_place(a->from_dir, a->from, b->to_dir, b->to) || same_place(a->to_dir, a->to, b->from_dir, b->from) ||
           same_place(a->to_dir, a->to, b->to_dir, b->to);
}

static void change_apply(const struct change *c) {
    if (c->to_dir) table_set(c->to_dir, &c->to_dir->durable, str_of(c->to), c->node);
    if (c->from_dir) table_remove(c->from_dir, &c->from_dir->durable, str_of(c->from));
}

/* Chosen changes become durable in their order; the others stay pending. */
static void changes_apply_chosen(void) {
    size_t kept = 0;
    for (size_t i = 0; i < sim_disk.changes.n; i++) {
        struct change *c = &sim_disk.changes.v[i];
        if (c->chosen) {
            change_apply(c);
            change_forget(c);
        } else {
            sim_disk.changes.v[kept++] = *c;
        }
    }
    sim_disk.changes.n = kept;
}

/* A change brings along every earlier one on its names: rename after create means both. */
void dir_sync(struct node *dir) {
    struct change *all = sim_disk.changes.v;
    for (size_t i = sim_disk.changes.n; i-- > 0;) {
        all[i].chosen = all[i].from_dir == dir || all[i].to_dir == dir;
        for (size_t later = i + 1; !all[i].chosen && later < sim_disk.changes.n; later++)
            all[i].chosen = all[later].chosen && share_a_name(&all[i], &all[later]);
    }
    changes_apply_chosen();
}

bool dir_entry_is_durable(const struct node *dir, struct str name) {
    struct node *live = table_find(&dir->live, name);
    return live && live == table_find(&dir->durable, name);
}

/* ---- power cuts ------------------------------------------------------------------------------------------------- */

static bool depends_on_a_lost_one(size_t i) {
    struct change *all = sim_disk.changes.v;
    for (size_t before = 0; before < i; before++)
        if (!all[before].chosen && share_a_name(&all[before], &all[i])) return true;
    return false;
}

static void changes_choose(void) {
    size_t n = sim_disk.changes.n, kept = n;
    bool subset = false;
    switch (dice_below(5)) {
    case 0: kept = 0; break;
    case 1: break;
    case 2: kept = dice_below(n + 1); break; /* as a journal would: in order up to some point */
    default: subset = true;
    }
    for (size_t i = 0; i < n; i++)
        sim_disk.changes.v[i].chosen = subset ? dice_coin() && !depends_on_a_lost_one(i) : i < kept;
}

static void changes_forget(void) {
    for (size_t i = 0; i < sim_disk.changes.n; i++) change_forget(&sim_disk.changes.v[i]);
    vec_done(&sim_disk.changes);
}

void dirs_lose(void) {
    VEC(struct node *) all = {0}; /* held, so that none goes while we walk */
    changes_choose();
    changes_apply_chosen();
    changes_forget();
    for (struct node *n = sim_disk.nodes; n; n = n->next) {
        node_ref(n);
        *vec_push(&all) = n;
    }
    for (size_t i = 0; i < all.n; i++) table_clear(all.v[i], &all.v[i]->live);
    for (size_t i = 0; i < all.n; i++) {
        table *durable = &all.v[i]->durable;
        for (size_t k = 0; k < durable->n; k++)
            table_set(all.v[i], &all.v[i]->live, str_of(durable->v[k].name), durable->v[k].node);
    }
    for (size_t i = 0; i < all.n; i++) node_unref(all.v[i]);
    vec_done(&all);
}

void dirs_clear(void) {
    changes_forget();
    for (bool more = true; more;) { /* again from the start after each folder: clearing one may free others */
        more = false;
        for (struct node *n = sim_disk.nodes; n && !more; n = n->next) {
            more = n->live.n > 0 || n->durable.n > 0;
            if (!more) continue;
            node_ref(n);
            table_clear(n, &n->live);
            table_clear(n, &n->durable);
            node_unref(n);
        }
    }
}
