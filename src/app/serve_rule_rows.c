/* Groups of rules that people keep under /api/v1/rules, as the engine has them: each is a source of its own. */
#include "alert/unit.h"
#include "app/serve_rules.h"
#include "base/log.h"
#include "catalog/catalog.h"

enum { CHECK_BYTES_MAX = 256 << 20, PROBLEMS_SHOWN = 900, ROW_BYTES = 2 << 20 };

static void put_source(struct buf *out, struct str tenant, struct str id) {
    buf_init(out, 4 * KIB);
    buf_add_fmt(out, STR_FMT "/" STR_FMT, STR_ARG(tenant), STR_ARG(id));
}

/* A group is a file of rules with one group: JSON is YAML. */
static err read_group(struct str body, const char *path, struct arena *a, struct rule_file *out, struct buf *problems) {
    AUTO_BUF struct buf text;
    buf_init(&text, body.n + 64);
    buf_add_text(&text, "{\"groups\":[");
    buf_add_str(&text, body);
    buf_add_text(&text, "]}");
    return rules_read(buf_str(&text), path, a, out, problems);
}

/* ---- checking ---------------------------------------------------------------------------------------------------- */

struct counting {
    struct str tenant, but; /* but: this source */
    size_t rules;
};

static void count_rules(void *context, const struct alert_group *const *groups, size_t n) {
    struct counting *c = context;
    for (size_t i = 0; i < n; i++)
        if (*groups[i]->source && str_equal(str_of(groups[i]->tenant), c->tenant) &&
            !str_equal(str_of(groups[i]->source), c->but))
            c->rules += groups[i]->n;
}

static err check_room(struct serve_rules *s, struct str tenant, struct str source, size_t more) {
    struct counting c = {tenant, source, 0};
    alert_engine_look(s->engine, count_rules, &c);
    if (c.rules + more <= ROW_RULES_MAX) return NULL;
    return err_new(ERR_LIMIT, "%zu rules, and %zu in the other groups: at most %d are evaluated for a tenant", more,
                   c.rules, ROW_RULES_MAX);
}

err serve_rules_check(void *context, struct str tenant, struct str id, struct str body) {
    AUTO_ARENA struct arena a;
    AUTO_BUF struct buf problems, source;
    struct rule_file file;
    arena_init(&a, CHECK_BYTES_MAX);
    buf_init(&problems, PROBLEMS_SHOWN);
    put_source(&source, tenant, id);
    TRY(read_group(body, "group", &a, &file, &problems));
    if (!problems.n) return check_room(context, tenant, buf_str(&source), file.rules);
    struct str first, rest;
    str_cut(buf_str(&problems), '\n', &first, &rest);
    return err_new(ERR_INVALID, STR_FMT, STR_ARG(first));
}

/* ---- taking in --------------------------------------------------------------------------------------------------- */

struct head {
    char *tenant, *id, *source;
    int64_t revision;
};
struct heads {
    VEC(struct head) v;
};

static err add_head(void *context, struct str tenant, const struct catalog_document *d) {
    struct buf source;
    put_source(&source, tenant, d->id);
    *vec_push(&((struct heads *)context)->v) =
        (struct head){str_dup(tenant), str_dup(d->id), str_dup(buf_str(&source)), d->revision};
    buf_done(&source);
    return NULL;
}

/* A group without rules that says why. */
static err put_problem(struct rule_file *file, struct arena *a, struct str path, struct str name, struct str problem) {
    file->groups = arena_new(a, struct rule_group);
    file->problem = arena_copy(a, problem);
    if (!file->groups) return arena_err(a);
    *file->groups = (struct rule_group){.file = arena_copy(a, path), .name = arena_copy(a, name)};
    file->n = 1;
    file->rules = 0;
    return arena_err(a);
}

static err read_row(struct serve_rules *s, const struct head *h, const struct catalog_document *d,
                    struct alert_rules *rules) {
    AUTO_BUF struct buf problems, path;
    struct rule_file *file = vec_push(&rules->files);
    buf_init(&problems, PROBLEMS_SHOWN);
    buf_init(&path, KIB);
    buf_add_fmt(&path, "/api/v1/rules/%s", h->id);
    err e = read_group(d->body, path.p, &rules->a, file, &problems);
    if (!e && !problems.n) e = check_room(s, str_of(h->tenant), str_of(h->source), file->rules);
    file->tenant = arena_copy(&rules->a, str_of(h->tenant));
    file->is_row = true;
    if (!e && !problems.n) return arena_err(&rules->a);
    struct str what = problems.n ? str_trim(buf_str(&problems)) : str_of(err_text(e));
    log_error("a group of rules is not evaluated", F_TEXT("tenant", h->tenant), F_STR("name", d->name),
              F_STR("why", what));
    err bad = put_problem(file, &rules->a, buf_str(&path), d->name, what);
    err_free(e);
    return bad;
}

static err load_row(struct serve_rules *s, const struct head *h) {
    AUTO_ARENA struct arena a;
    struct catalog_document d;
    arena_init(&a, ROW_BYTES);
    TRY(catalog_get(s->catalog, str_of(h->tenant), CATALOG_RULES, str_of(h->id), &a, &d));
    struct alert_rules *rules = alert_rules_new();
    err e = read_row(s, h, &d, rules);
    if (e) {
        alert_rules_free(rules);
        return e;
    }
    rules->rules = rules->files.v[0].rules;
    alert_engine_load_wait(s->engine, str_of(h->source), rules);
    return NULL;
}

static struct serve_rules_row *row_of(struct serve_rules *s, const char *source) {
    for (size_t i = 0; i < s->rows.n; i++)
        if (strcmp(s->rows.v[i].source, source) == 0) return &s->rows.v[i];
    *vec_push(&s->rows) = (struct serve_rules_row){.source = str_dup(str_of(source))};
    return &s->rows.v[s->rows.n - 1];
}

static void drop_gone(struct serve_rules *s) {
    size_t kept = 0;
    for (size_t i = 0; i < s->rows.n; i++) {
        struct serve_rules_row row = s->rows.v[i];
        if (row.found) {
            s->rows.v[kept++] = row;
            continue;
        }
        alert_engine_load_wait(s->engine, str_of(row.source), NULL);
        mem_free(row.source);
    }
    s->rows.n = kept;
}

/* Those that are gone go first: they make room. */
static err take_in(struct serve_rules *s, const struct heads *heads) {
    err e = NULL;
    for (size_t i = 0; i < s->rows.n; i++) s->rows.v[i].found = false;
    for (size_t i = 0; i < heads->v.n; i++) row_of(s, heads->v.v[i].source)->found = true;
    drop_gone(s);
    for (size_t i = 0; i < heads->v.n && !e; i++) {
        const struct head *h = &heads->v.v[i];
        struct serve_rules_row *row = row_of(s, h->source);
        if (row->revision == h->revision) continue;
        e = load_row(s, h);
        if (!e) row->revision = h->revision;
        if (e && err_kind(e) == ERR_NOT_FOUND) { /* deleted since; somebody tells of it */
            err_free(e);
            e = NULL;
        }
    }
    return e;
}

err serve_rules_read_rows(struct serve_rules *s) {
    struct heads heads = {0};
    if (!s->catalog) return NULL;
    err e = catalog_each_head(s->catalog, CATALOG_RULES, add_head, &heads);
    if (!e) e = take_in(s, &heads);
    for (size_t i = 0; i < heads.v.n; i++) {
        mem_free(heads.v.v[i].tenant);
        mem_free(heads.v.v[i].id);
        mem_free(heads.v.v[i].source);
    }
    vec_done(&heads.v);
    return err_wrap(e, "reading groups of rules");
}
