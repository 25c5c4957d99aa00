/* Where targets come from: static lists, files, DNS, an HTTP server.
 *
 *   source ─▶ list · list · …       of a file source one list a file, of DNS one a name, else one
 *
 * A list that cannot be had anew stays as it was last good. A file that a pattern found and that is gone takes its list along; one that is named in full and is
 * gone keeps it: it is being replaced. */
#include <stdatomic.h>
#include <stdio.h>

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "base/yaml.h"
#include "ingest/scrape/http_priv.h"
#include "ingest/scrape/scrape_priv.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/resolve.h"

#define SECOND_NS ((int64_t)1000000000)
enum { LIST_ARENA_MAX = 256 << 20, LIST_BYTES_MAX = 16 << 20, FILES_MAX = 10000 };
#define HTTP_TIMEOUT_NS (30 * SECOND_NS)

struct source_list {
    char *name;
    struct path_stamp stamp;
    struct arena arena;
    struct target_groups groups;
    bool seen, told; /* told: that it could not be read */
};
struct source {
    const struct discovery_config *d;
    int64_t due_ns;
    VEC(struct source_list) lists;
};
struct job_sources {
    const struct scrape_job *job;
    struct source *sources;
    bool given; /* a pool, once */
};
struct discovery {
    struct scrape_config *config;
    struct budget *budget;
    struct http_fetcher *fetcher;
    const _Atomic bool *ending;
    struct job_sources *jobs;
    uint64_t files_read;
};

uint64_t discovery_files_read(const struct discovery *d) { return d->files_read; }

struct discovery *discovery_new(struct scrape_config *config, struct budget *budget, const _Atomic bool *ending) {
    struct discovery *d = mem_new_of(struct discovery);
    d->config = scrape_config_ref(config);
    d->budget = budget;
    d->ending = ending;
    d->jobs = mem_new_array(struct job_sources, config->job_n + 1);
    for (uint32_t i = 0; i < config->job_n; i++) {
        const struct scrape_job *job = &config->jobs[i];
        d->jobs[i] = (struct job_sources){.job = job, .sources = mem_new_array(struct source, job->discovery_n + 1)};
        for (uint32_t k = 0; k < job->discovery_n; k++) d->jobs[i].sources[k].d = &job->discoveries[k];
    }
    return d;
}

static void list_done(struct source_list *l) {
    arena_done(&l->arena);
    mem_free(l->name);
}

void discovery_free(struct discovery *d) {
    if (!d) return;
    for (uint32_t i = 0; i < d->config->job_n; i++) {
        for (uint32_t k = 0; k < d->jobs[i].job->discovery_n; k++) {
            struct source *s = &d->jobs[i].sources[k];
            for (size_t l = 0; l < s->lists.n; l++) list_done(&s->lists.v[l]);
            vec_done(&s->lists);
        }
        mem_free(d->jobs[i].sources);
    }
    http_fetcher_free(d->fetcher);
    scrape_config_unref(d->config);
    mem_free(d->jobs);
    mem_free(d);
}

static struct source_list *list_of(struct source *s, struct str name) {
    for (size_t i = 0; i < s->lists.n; i++)
        if (str_equal(str_of(s->lists.v[i].name), name)) return &s->lists.v[i];
    struct source_list *l = vec_push(&s->lists);
    *l = (struct source_list){.name = str_dup(name)};
    arena_init(&l->arena, LIST_ARENA_MAX);
    return l;
}

static void tell(struct source_list *l, const char *what, err e) {
    if (!l->told) log_warn(what, F_TEXT("source", l->name), F_ERR(e));
    l->told = true;
    err_free(e);
}

/* In JSON every name and value is a text. */
static err check_texts(const struct yaml *y) {
    if (y->kind == YAML_SCALAR && !y->quoted && !yaml_is_null(y)) return yaml_err(y, "expected a text");
    for (uint32_t i = 0; i < y->n; i++) TRY(check_texts(y->items[i]));
    return NULL;
}

static err read_json(struct str text, const char *name, struct arena *a, struct yaml **out) {
    TRY(yaml_read_json(text, name, a, out));
    return check_texts(*out);
}

static err read_yaml(struct str text, const char *name, struct arena *a, struct yaml **out) {
    TRY(yaml_read(text, name, a, out));
    if ((*out)->kind == YAML_MAP && !(*out)->n) *out = NULL; /* an empty file is an empty list */
    return NULL;
}

/* Groups out of a text; they and it replace what the list has only if it is good. */
static err take_groups(struct source_list *l, struct str text, bool is_json) {
    struct arena a;
    struct yaml *root;
    struct target_groups groups;
    arena_init(&a, LIST_ARENA_MAX);
    err e = is_json ? read_json(text, l->name, &a, &root) : read_yaml(text, l->name, &a, &root);
    if (!e) e = target_groups_read(root, &a, &groups);
    if (e) {
        arena_done(&a);
        return e;
    }
    arena_done(&l->arena);
    l->arena = a;
    l->groups = groups;
    l->told = false;
    return NULL;
}

/* ---- files -------------------------------------------------------------------------------------------------------------- */

/* A file that is bad is read again when it changes, not each second: it may be large. */
static bool read_list_file(struct discovery *d, struct source *s, struct str path) {
    AUTO_BUF struct buf text = {0};
    struct path_stamp stamp;
    struct source_list *l = list_of(s, path);
    l->seen = true;
    err e = path_stamp_read(l->name, &stamp);
    if (!e && path_stamp_equal(&stamp, &l->stamp)) return false;
    l->stamp = e ? (struct path_stamp){0} : stamp;
    if (!e) {
        d->files_read++;
        e = file_read_all(l->name, LIST_BYTES_MAX, &text);
    }
    bool is_json = path.n >= 5 && str_equal_nocase((struct str){path.p + path.n - 5, 5}, STR(".json"));
    if (!e) e = take_groups(l, buf_str(&text), is_json);
    if (e) tell(l, "file discovery: the last good list stays", e);
    return e == NULL;
}

struct glob {
    struct discovery *discovery;
    struct source *source;
    struct str folder, before, behind; /* of the star */
    size_t n;
    bool changed;
};

static err on_entry(void *context, const char *name, bool is_dir) {
    struct glob *g = context;
    struct str text = str_of(name);
    bool hidden = text.n && text.p[0] == '.' && !(g->before.n && g->before.p[0] == '.');
    if (is_dir || hidden || text.n < g->before.n + g->behind.n || !str_starts_with(text, g->before) ||
        !str_ends_with(text, g->behind) || g->n++ >= FILES_MAX)
        return NULL;
    AUTO_BUF struct buf path;
    buf_init(&path, 64 * KIB);
    buf_add_str(&path, g->folder);
    buf_add_str(&path, text);
    g->changed |= read_list_file(g->discovery, g->source, buf_str(&path));
    return NULL;
}

static bool read_pattern(struct discovery *d, struct source *s, struct str pattern, size_t star) {
    struct glob g = {.discovery = d, .source = s};
    size_t slash = star;
    while (slash && pattern.p[slash - 1] != '/') slash--;
    g.folder = (struct str){pattern.p, slash};
    g.before = (struct str){pattern.p + slash, star - slash};
    g.behind = (struct str){pattern.p + star + 1, pattern.n - star - 1};
    AUTO_FREE char *folder = str_dup(slash ? g.folder : STR("."));
    err_free(path_list(folder, on_entry, &g)); /* no such folder: no files, today */
    return g.changed;
}

static bool refresh_files(struct discovery *d, struct source *s) {
    bool changed = false;
    size_t n = 0;
    for (size_t i = 0; i < s->lists.n; i++) s->lists.v[i].seen = false;
    for (uint32_t i = 0; i < s->d->name_n; i++) {
        struct str name = s->d->names[i];
        ptrdiff_t star = str_find(name, '*');
        changed |= star >= 0 ? read_pattern(d, s, name, (size_t)star) : read_list_file(d, s, name);
    }
    for (size_t i = 0; i < s->lists.n; i++) {
        if (s->lists.v[i].seen) {
            s->lists.v[n++] = s->lists.v[i];
            continue;
        }
        list_done(&s->lists.v[i]);
        changed = true;
    }
    s->lists.n = n;
    return changed;
}

/* ---- DNS ------------------------------------------------------------------------------------------------------------------ */

struct lookup {
    struct json_writer w; /* a list of groups */
    const struct discovery_config *d;
};

static void begin_group(struct lookup *l, struct str host, uint16_t port) {
    bool v6 = str_find(host, ':') >= 0;
    AUTO_BUF struct buf address;
    buf_init(&address, 2 * KIB);
    buf_add_fmt(&address, "%s" STR_FMT "%s:%u", v6 ? "[" : "", STR_ARG(host), v6 ? "]" : "", port);
    json_object(&l->w);
    json_key(&l->w, STR("targets"));
    json_array(&l->w);
    json_str(&l->w, buf_str(&address));
    json_array_end(&l->w);
}

static void on_address(void *context, const char *address) {
    struct lookup *l = context;
    begin_group(l, str_of(address), l->d->port);
    json_object_end(&l->w);
}

/* Labels as Prometheus has them: the name of the record as it is, the target without its last dot. */
static void on_record(void *context, const char *target, uint16_t port) {
    static const char *const labels[] = {[RECORD_SRV] = "__meta_dns_srv_record_target",
                                         [RECORD_MX] = "__meta_dns_mx_record_target",
                                         [RECORD_NS] = "__meta_dns_ns_record_target"};
    struct lookup *l = context;
    struct str host = str_of(target);
    bool srv = l->d->record == RECORD_SRV;
    while (host.n && host.p[host.n - 1] == '.') host.n--;
    begin_group(l, host, srv ? port : l->d->port);
    json_key(&l->w, STR("labels"));
    json_object(&l->w);
    json_key(&l->w, str_of(labels[l->d->record]));
    json_text(&l->w, target);
    if (srv) json_member(&l->w, "__meta_dns_srv_record_port", u64_text, port);
    json_object_end(&l->w);
    json_object_end(&l->w);
}

static err look_up_wait(const char *name, struct lookup *l) {
    static const enum resolve_kind kinds[] = {
        [RECORD_SRV] = RESOLVE_SRV, [RECORD_MX] = RESOLVE_MX, [RECORD_NS] = RESOLVE_NS};
    if (l->d->record >= RECORD_A) return resolve_host_wait(name, l->d->record == RECORD_AAAA, on_address, l);
    return resolve_records_wait(name, kinds[l->d->record], on_record, l);
}

/* A name that is not there has no targets; where nobody answers, the last list stays. */
static bool refresh_dns(struct source *s) {
    bool changed = false;
    for (uint32_t i = 0; i < s->d->name_n; i++) {
        struct source_list *list = list_of(s, s->d->names[i]);
        struct lookup l = {.d = s->d};
        AUTO_BUF struct buf text;
        buf_init(&text, MIB);
        json_writer_init(&l.w, &text);
        json_array(&l.w);
        err e = look_up_wait(list->name, &l), bad = NULL;
        bool nothing = e && err_kind(e) == ERR_NOT_FOUND, told = list->told;
        json_array_end(&l.w);
        if (!e || nothing) bad = take_groups(list, buf_str(&text), true);
        changed |= !bad && (!e || nothing);
        if (nothing && !bad) list->told = told;
        if (e) tell(list, nothing ? "DNS discovery: no targets" : "DNS discovery: the last good list stays", e);
        if (bad) tell(list, "DNS discovery: the last good list stays", bad);
    }
    return changed;
}

/* ---- HTTP ------------------------------------------------------------------------------------------------------------------- */

struct asking {
    struct source_list *list;
    err e;
    bool done;
};

/* As Prometheus has it: application/json, in any case, with no parameter but that it is UTF-8. */
static bool is_json_type(struct str type) {
    struct str name, parameter;
    bool more = str_cut(type, ';', &name, &parameter);
    if (!str_equal_nocase(name, STR("application/json"))) return false;
    if (!more) return true;
    while (parameter.n && strchr(" \t", parameter.p[0])) parameter = (struct str){parameter.p + 1, parameter.n - 1};
    return str_equal_nocase(parameter, STR("charset=utf-8")) || str_equal_nocase(parameter, STR("charset=\"utf-8\""));
}

static err take_answer(struct source_list *l, const struct http_answer *a) {
    struct str type = str_trim(str_of(a->content_type));
    if (a->status != 200) return err_new(ERR_UNAVAILABLE, "server returned HTTP status %d", a->status);
    if (!is_json_type(type)) return err_new(ERR_INVALID, "unsupported content type \"%s\"", a->content_type);
    return take_groups(l, buf_str(&a->body), true);
}

static void on_answer(void *context, err e, const struct http_answer *a) {
    struct asking *x = context;
    x->e = e ? e : take_answer(x->list, a);
    x->done = true;
}

static err ask(struct discovery *d, struct source *s, struct asking *x) {
    struct http_texts texts = {0};
    struct http_fetch f = {
        .body_max = LIST_BYTES_MAX, .budget = d->budget, .gzip = true, .done = on_answer, .context = x};
    char refresh[80];
    snprintf(refresh, sizeof refresh, "X-Prometheus-Refresh-Interval-Seconds: %g", (double)s->d->refresh_ns / 1e9);
    const char *fields[] = {"Accept: application/json", "User-Agent: clew/" CLEW_VERSION, refresh, NULL};
    err e = d->fetcher ? NULL : http_fetcher_new(&d->fetcher);
    if (!e) e = http_texts_fill(&texts, &s->d->http, s->d->url, MIN(HTTP_TIMEOUT_NS, s->d->refresh_ns), fields, &f);
    if (!e) e = http_fetch_start(d->fetcher, &f);
    while (!e && !x->done && !atomic_load(d->ending))
        http_fetcher_run_wait(d->fetcher, clock_monotonic_ns() + SECOND_NS / 5);
    if (!e && !x->done) { /* it is ended: nothing may call back any more */
        http_fetcher_free(d->fetcher);
        d->fetcher = NULL;
    }
    http_texts_done(&texts);
    return e ? e : x->e;
}

static bool refresh_http(struct discovery *d, struct source *s) {
    struct asking x = {.list = list_of(s, str_of(s->d->url))};
    err e = ask(d, s, &x);
    if (e) tell(x.list, "HTTP discovery: the last good list stays", e);
    return x.done && !e;
}

/* ---- pools -------------------------------------------------------------------------------------------------------------------- */

static const char *const meta_names[] = {
    [DISCOVERY_FILE] = "__meta_filepath", [DISCOVERY_DNS] = "__meta_dns_name", [DISCOVERY_HTTP] = "__meta_url"};

enum { ADDRESS_SHOWN_BYTES = 100 };

struct filling {
    struct pool *pool;
    struct arena scratch;
};

static void add_groups(struct filling *f, const struct target_groups *groups, const char *meta,
                       const char *meta_value) {
    for (uint32_t g = 0; g < groups->n; g++) {
        const struct target_group *group = &groups->v[g];
        struct label *labels = mem_new_array(struct label, group->label_n + 1);
        uint32_t n = group->label_n;
        if (n) memcpy(labels, group->labels, n * sizeof *labels);
        if (meta) labels[n++] = (struct label){str_of(meta), str_of(meta_value)};
        for (uint32_t t = 0; t < group->target_n; t++) {
            err e = pool_add(f->pool, labels, n, group->targets[t], &f->scratch);
            arena_clear(&f->scratch);
            if (e && f->pool->none_n++ == 0)
                snprintf(f->pool->none, sizeof f->pool->none, "\"" STR_FMT "\": %s",
                         STR_ARG(str_span(group->targets[t].p, MIN(group->targets[t].n, ADDRESS_SHOWN_BYTES))),
                         err_text(e));
            err_free(e);
        }
        mem_free(labels);
    }
}

static struct pool *fill_pool(struct discovery *d, struct job_sources *j) {
    struct filling f = {.pool = pool_new(d->config, j->job)};
    arena_init(&f.scratch, 64 * MIB);
    for (uint32_t i = 0; i < j->job->discovery_n; i++) {
        const struct source *s = &j->sources[i];
        add_groups(&f, &s->d->fixed, NULL, NULL);
        for (size_t l = 0; l < s->lists.n; l++)
            add_groups(&f, &s->lists.v[l].groups, meta_names[s->d->kind], s->lists.v[l].name);
    }
    arena_done(&f.scratch);
    pool_finish(f.pool);
    if (f.pool->none_n)
        log_warn("targets that are none", F_STR("job", j->job->name), F_U64("targets", f.pool->none_n),
                 F_TEXT("first", f.pool->none));
    return f.pool;
}

static bool refresh(struct discovery *d, struct source *s, int64_t now_ns) {
    s->due_ns = now_ns + s->d->refresh_ns;
    switch (s->d->kind) {
    case DISCOVERY_STATIC: s->due_ns = INT64_MAX; return false;
    case DISCOVERY_FILE: s->due_ns = now_ns + SECOND_NS; return refresh_files(d, s); /* a look at its stamps */
    case DISCOVERY_DNS: return refresh_dns(s);
    case DISCOVERY_HTTP: return refresh_http(d, s);
    }
    return false;
}

static bool is_slow(const struct job_sources *j) {
    bool slow = false;
    for (uint32_t i = 0; i < j->job->discovery_n; i++) slow |= j->sources[i].d->kind >= DISCOVERY_DNS;
    return slow;
}

/* Jobs that wait for nobody come first. */
int64_t discovery_turn_wait(struct discovery *d, int64_t now_ns, void (*give)(void *context, struct pool *p),
                            void *context) {
    int64_t next = INT64_MAX;
    for (int slow = 0; slow < 2; slow++)
        for (uint32_t i = 0; i < d->config->job_n && !atomic_load(d->ending); i++) {
            struct job_sources *j = &d->jobs[i];
            bool changed = !j->given;
            if (is_slow(j) != (slow == 1)) continue;
            for (uint32_t k = 0; k < j->job->discovery_n; k++) {
                if (j->sources[k].due_ns <= now_ns) changed |= refresh(d, &j->sources[k], now_ns);
                next = MIN(next, j->sources[k].due_ns);
            }
            if (changed && !atomic_load(d->ending)) give(context, fill_pool(d, j));
            j->given = true;
        }
    return next;
}
