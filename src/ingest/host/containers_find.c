/* Which control groups there are, and which of them are containers. */
#include "base/json.h"
#include "base/map.h"
#include "ingest/host/containers_priv.h"
#include "os/machine.h"

/* ---- what an id says ----------------------------------------------------------------------------------------------------- */

enum { CONTAINER_DIGITS = 64 };

static bool is_digits(struct str s) {
    if (s.n != CONTAINER_DIGITS) return false;
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f'))) return false;
    return true;
}

static void split_last(struct str id, struct str *head, struct str *last) {
    size_t n = id.n;
    while (n && id.p[n - 1] != '/') n--;
    *head = str_span(id.p, n ? n - 1 : 0);
    *last = str_span(id.p + n, id.n - n);
}

bool cgroup_is_container(struct str id, struct str *out_name) {
    static const char *const prefixes[] = {"", "docker-", "cri-containerd-", "crio-", "libpod-"};
    struct str head, last;
    split_last(id, &head, &last);
    if (head.n == 0 && str_starts_with(last, STR("lxc.payload.")) && last.n > 12) {
        *out_name = str_span(last.p + 12, last.n - 12);
        return true;
    }
    if ((str_equal(head, STR("/lxc")) || str_equal(head, STR("/lxc.payload"))) && last.n) {
        *out_name = last;
        return true;
    }
    if (str_ends_with(last, STR(".scope"))) last.n -= 6;
    for (size_t i = 0; i < LENGTH(prefixes); i++) {
        size_t n = strlen(prefixes[i]);
        if (!str_starts_with(last, str_of(prefixes[i])) || !is_digits(str_span(last.p + n, last.n - n))) continue;
        *out_name = str_span(last.p + n, last.n - n);
        return true;
    }
    return false;
}

/* ---- what Docker's folder says ---------------------------------------------------------------------------------------------- */

/* ---- what Docker's folder says ---------------------------------------------------------------------------------------------- */

static void keep_text(struct json_reader *r, char **out) {
    if (json_next(r) != JSON_STRING) return;
    mem_free(*out);
    *out = str_dup(r->value);
}

/* {"Name":"/shop","Config":{"Image":"nginx:1.25",…},…}: of "Image" the one in "Config". A broken file says nothing. */
static void read_docker(struct containers *c, struct str digits, struct cgroup *g) {
    struct str text;
    struct json_reader r;
    char *name = NULL;
    int depth = 0;
    bool in_config = false, good = false;
    if (!tree_read(&c->tree, &text, "var/lib/docker/containers/" STR_FMT "/config.v2.json", STR_ARG(digits))) return;
    json_reader_init(&r, text, 64);
    for (bool more = true; more;) {
        enum json_token t = json_next(&r);
        if (t == JSON_OBJECT || t == JSON_ARRAY) depth++;
        if (t == JSON_OBJECT_END || t == JSON_ARRAY_END) depth--;
        good = t == JSON_END;
        more = t != JSON_END && t != JSON_ERROR;
        if (t != JSON_KEY) continue;
        if (depth == 1) in_config = str_equal(r.value, STR("Config"));
        if (depth == 1 && str_equal(r.value, STR("Name")))
            keep_text(&r, &name);
        else if (depth == 2 && in_config && str_equal(r.value, STR("Image")))
            keep_text(&r, &g->image);
    }
    json_reader_done(&r);
    if (good && name && *name) {
        mem_free(g->name);
        g->name = str_dup(str_of(name + (*name == '/')));
    }
    mem_free(name);
}

/* ---- where they are ------------------------------------------------------------------------------------------------------------ */

static const char *const controller_names[CGROUP_CONTROLLERS] = {"cpu", "cpuacct", "memory", "pids", "blkio"};

static bool keep_folder(void *context, const char *name, bool is_dir) {
    struct containers *c = context;
    (void)is_dir; /* or a link to one */
    for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
        struct str rest = str_of(name), one;
        bool more = true;
        while (more && strlen(name) < sizeof c->folders[i].name) {
            more = str_cut(rest, ',', &one, &rest);
            if (str_equal(one, str_of(controller_names[i]))) memcpy(c->folders[i].name, name, strlen(name) + 1);
        }
    }
    return true;
}

static void find_folders(struct containers *c) {
    struct str text;
    memset(c->folders, 0, sizeof c->folders);
    c->v2 = tree_read(&c->tree, &text, "sys/fs/cgroup/cgroup.controllers");
    if (!c->v2 && tree_path(&c->tree, "sys/fs/cgroup")) err_free(dir_each(c->tree.path, keep_folder, c));
}

/* ---- all of them --------------------------------------------------------------------------------------------------------------- */

struct walk {
    struct containers *c;
    const char *folder;
    struct strings ids; /* seen, in any hierarchy */
    char id[CGROUP_ID_MAX];
    int depth;
};

static void walk_below(struct walk *w);

static bool walk_entry(void *context, const char *name, bool is_dir) {
    struct walk *w = context;
    size_t n = strlen(w->id), more = strlen(name);
    if (!is_dir || n + 1 + more >= sizeof w->id || str_ends_with(str_of(name), STR(".mount"))) return true;
    w->id[n] = '/';
    memcpy(w->id + n + 1, name, more + 1);
    strings_intern(&w->ids, str_of(w->id));
    if (w->depth < CGROUP_DEPTH_MAX) walk_below(w);
    w->id[n] = 0;
    return w->ids.n < w->c->seen_max;
}

static void walk_below(struct walk *w) {
    if (!tree_path(&w->c->tree, "sys/fs/cgroup%s%s%s", *w->folder ? "/" : "", w->folder, w->id)) return;
    w->depth++;
    err_free(dir_each(w->c->tree.path, walk_entry, w)); /* it may have gone meanwhile */
    w->depth--;
}

static struct cgroup group_of(struct containers *c, struct str id) {
    struct str name;
    struct cgroup g = {.id = str_dup(id), .is_container = cgroup_is_container(id, &name)};
    if (!g.is_container) return g;
    g.name = str_dup(name);
    if (is_digits(name)) read_docker(c, name, &g);
    return g;
}

size_t containers_find(struct containers *c) {
    struct walk w = {.c = c, .folder = ""};
    struct str name;
    strings_init(&w.ids);
    find_folders(c);
    strings_intern(&w.ids, STR("/"));
    static const enum cgroup_controller order[] = {CGROUP_MEMORY, CGROUP_CPUACCT, CGROUP_PIDS};
    for (size_t i = 0; i < (c->v2 ? 1 : LENGTH(order)); i++) {
        w.folder = c->v2 ? "" : c->folders[order[i]].name;
        if (c->v2 || *w.folder) walk_below(&w);
    }
    for (int wanted = 1; wanted >= 0; wanted--)
        for (uint32_t i = 0; i < w.ids.n && c->groups.n < c->max; i++) {
            struct str id = strings_get(&w.ids, i);
            if (cgroup_is_container(id, &name) == (wanted == 1)) *vec_push(&c->groups) = group_of(c, id);
        }
    size_t seen = w.ids.n, left_out = seen - c->groups.n;
    strings_done(&w.ids);
    return left_out;
}
