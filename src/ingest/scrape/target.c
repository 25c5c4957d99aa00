#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/text.h"
#include "ingest/scrape/scrape_priv.h"

enum { DROPPED_KEPT_MAX = 10000 };

/* ---- memory ------------------------------------------------------------------------------------------------------------ */

struct labels_pack labels_pack(const struct label *v, size_t n) {
    size_t bytes = n * sizeof *v;
    for (size_t i = 0; i < n; i++) bytes += v[i].name.n + v[i].value.n;
    struct label *to = mem_new(MAX(bytes, (size_t)1));
    char *text = (char *)(to + n);
    for (size_t i = 0; i < n; i++) {
        memcpy(text, v[i].name.p, v[i].name.n);
        to[i].name = str_span(text, v[i].name.n);
        text += v[i].name.n;
        memcpy(text, v[i].value.p, v[i].value.n);
        to[i].value = str_span(text, v[i].value.n);
        text += v[i].value.n;
    }
    return (struct labels_pack){to, (uint32_t)n};
}

void target_free(struct scrape_target *t, struct budget *budget) {
    if (!t) return;
    series_cache_done(&t->series, budget);
    batch_unref(t->pending);
    mem_free(t->labels.v);
    mem_free(t->discovered.v);
    mem_free(t->own);
    mem_free(t->url);
    mem_free(t);
}

struct pool *pool_new(struct scrape_config *config, const struct scrape_job *job) {
    struct pool *p = mem_new_of(struct pool);
    p->config = scrape_config_ref(config);
    p->job = job;
    return p;
}

void pool_free(struct pool *p, struct budget *budget) {
    if (!p) return;
    for (size_t i = 0; i < p->targets.n; i++) target_free(p->targets.v[i], budget);
    for (size_t i = 0; i < p->dropped.n; i++) mem_free(p->dropped.v[i].discovered.v);
    vec_done(&p->targets);
    vec_done(&p->dropped);
    scrape_config_unref(p->config);
    mem_free(p);
}

/* ---- labels of a target before relabelling ------------------------------------------------------------------------------- */

/* 1m30s, as Prometheus writes durations. */
static void put_duration(struct buf *out, int64_t ns) {
    static const struct {
        const char *name;
        int64_t ms;
        bool whole; /* only if nothing is left */
    } units[] = {{"y", 31536000000, true}, {"w", 604800000, true}, {"d", 86400000, false}, {"h", 3600000, false},
                 {"m", 60000, false},      {"s", 1000, false},     {"ms", 1, false}};
    int64_t ms = ns / 1000000;
    if (!ms) buf_add_text(out, "0s");
    for (size_t i = 0; i < LENGTH(units); i++) {
        int64_t n = ms / units[i].ms;
        if (!n || (units[i].whole && ms % units[i].ms)) continue;
        buf_add_fmt(out, "%lld%s", (long long)n, units[i].name);
        ms -= n * units[i].ms;
    }
}

static void put_default(struct relabel_set *s, struct str name, struct str value) {
    if (!label_get(s, name).n) label_put(s, name, value);
}

static struct str duration_text(struct arena *a, int64_t ns) {
    AUTO_BUF struct buf text;
    buf_init(&text, KIB);
    put_duration(&text, ns);
    return arena_copy(a, buf_str(&text));
}

static void put_defaults(struct relabel_set *s, const struct scrape_job *job) {
    put_default(s, STR("job"), job->name);
    put_default(s, STR("__scrape_interval__"), duration_text(s->arena, job->interval_ns));
    put_default(s, STR("__scrape_timeout__"), duration_text(s->arena, job->timeout_ns));
    put_default(s, STR("__metrics_path__"), str_of(job->path));
    put_default(s, STR("__scheme__"), str_of(job->scheme));
    for (uint32_t i = 0; i < job->param_n; i++) {
        AUTO_BUF struct buf name;
        buf_init(&name, 64 * KIB);
        if (!job->params[i].n) continue;
        buf_add_text(&name, "__param_");
        buf_add_str(&name, job->params[i].name);
        label_put(s, arena_copy(s->arena, buf_str(&name)), job->params[i].values[0]);
    }
}

/* ---- the URL -------------------------------------------------------------------------------------------------------------- */

static void put_escaped(struct buf *out, struct str text) {
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        bool plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-_.~", c));
        if (plain)
            buf_add_byte(out, (char)c);
        else if (c == ' ')
            buf_add_byte(out, '+');
        else
            buf_add_fmt(out, "%%%02X", c);
    }
}

static void put_pair(struct buf *out, bool *any, struct str name, struct str value) {
    buf_add_byte(out, *any ? '&' : '?');
    put_escaped(out, name);
    buf_add_byte(out, '=');
    put_escaped(out, value);
    *any = true;
}

static int by_param(const void *x, const void *y) {
    const struct scrape_param *a = x, *b = y;
    return str_compare(a->name, b->name);
}

/* Parameters of the job, the first of each replaced by a label __param_NAME; sorted by name. */
static err put_params(struct buf *out, const struct relabel_set *s, const struct scrape_job *job) {
    size_t n = job->param_n, max = n + s->list.n;
    struct scrape_param *params = arena_array(s->arena, struct scrape_param, max + 1);
    bool any = false;
    if (!params) return arena_err(s->arena);
    if (n) memcpy(params, job->params, n * sizeof *params);
    for (size_t i = 0; i < s->list.n; i++) {
        const struct label *l = &s->list.v[i];
        size_t k = 0;
        if (!str_starts_with(l->name, STR("__param_"))) continue;
        struct str name = {l->name.p + 8, l->name.n - 8};
        while (k < n && !str_equal(params[k].name, name)) k++;
        struct str *values = arena_array(s->arena, struct str, (k < n ? params[k].n : 0) + 1);
        if (!values) return arena_err(s->arena);
        if (k < n && params[k].n) memcpy(values, params[k].values, params[k].n * sizeof *values);
        values[0] = l->value;
        params[k] = (struct scrape_param){name, values, k < n ? MAX(params[k].n, 1u) : 1};
        n += k == n;
    }
    if (n) qsort(params, n, sizeof *params, by_param);
    for (size_t i = 0; i < n; i++)
        for (uint32_t v = 0; v < params[i].n; v++) put_pair(out, &any, params[i].name, params[i].values[v]);
    return NULL;
}

static err make_url(const struct relabel_set *s, const struct scrape_job *job, char **out) {
    AUTO_BUF struct buf url;
    struct str scheme = label_get(s, STR("__scheme__")), path = label_get(s, STR("__metrics_path__"));
    buf_init(&url, 64 * KIB);
    if (!str_equal(scheme, STR("http")) && !str_equal(scheme, STR("https")))
        return err_new(ERR_INVALID, "unsupported scheme: \"" STR_FMT "\"", STR_ARG(scheme));
    buf_add_fmt(&url, STR_FMT "://" STR_FMT "%s", STR_ARG(scheme), STR_ARG(label_get(s, STR("__address__"))),
                path.n && path.p[0] == '/' ? "" : "/");
    for (size_t i = 0; i < path.n; i++) {
        unsigned char c = (unsigned char)path.p[i];
        if (c <= ' ' || c >= 0x7f || strchr("?#%\"<>\\^`{|}", c))
            buf_add_fmt(&url, "%%%02X", c);
        else
            buf_add_byte(&url, (char)c);
    }
    TRY(put_params(&url, s, job));
    if (url.full) return err_new(ERR_LIMIT, "a URL over 64 KiB");
    *out = str_dup(buf_str(&url));
    return NULL;
}

/* ---- a target --------------------------------------------------------------------------------------------------------------- */

static err check_address(struct str address) {
    if (!address.n) return err_new(ERR_INVALID, "no address");
    for (size_t i = 0; i < address.n; i++)
        if ((unsigned char)address.p[i] <= ' ' || strchr("/?#@\\\x7f", address.p[i]))
            return err_new(ERR_INVALID, "\"" STR_FMT "\" is not a valid hostname", STR_ARG(address));
    return NULL;
}

static err read_times(const struct relabel_set *s, int64_t *interval, int64_t *timeout) {
    struct str i = label_get(s, STR("__scrape_interval__")), t = label_get(s, STR("__scrape_timeout__"));
    if (!scrape_parse_duration(i, interval))
        return err_new(ERR_INVALID, "error parsing scrape interval \"" STR_FMT "\"", STR_ARG(i));
    if (!scrape_parse_duration(t, timeout))
        return err_new(ERR_INVALID, "error parsing scrape timeout \"" STR_FMT "\"", STR_ARG(t));
    if (!*interval) return err_new(ERR_INVALID, "scrape interval cannot be 0");
    if (!*timeout) return err_new(ERR_INVALID, "scrape timeout cannot be 0");
    if (*timeout > *interval)
        return err_new(ERR_INVALID,
                       "scrape timeout cannot be greater than scrape interval (\"" STR_FMT "\" > \"" STR_FMT "\")",
                       STR_ARG(t), STR_ARG(i));
    return NULL;
}

static void remove_meta(struct relabel_set *s) {
    size_t n = 0;
    for (size_t i = 0; i < s->list.n; i++)
        if (!str_starts_with(s->list.v[i].name, STR("__meta_"))) s->list.v[n++] = s->list.v[i];
    s->list.n = n;
}

static void take_own(struct scrape_target *t) {
    t->own = mem_new_array(struct label, t->labels.n + 1);
    for (uint32_t i = 0; i < t->labels.n; i++)
        if (!str_starts_with(t->labels.v[i].name, STR("__"))) t->own[t->own_n++] = t->labels.v[i];
}

static struct hash128 identify(const struct scrape_target *t, struct str job) {
    struct buf all;
    buf_init(&all, 64 * MIB);
    points_put_label(&all, job, str_of(t->url));
    for (uint32_t i = 0; i < t->labels.n; i++) points_put_label(&all, t->labels.v[i].name, t->labels.v[i].value);
    struct hash128 id = hash_wide(all.p, all.n);
    buf_done(&all);
    return id;
}

static err make_target(struct pool *p, struct relabel_set *s, struct scrape_target *t) {
    if (s->unknown) return relabel_err(s);
    TRY(check_address(label_get(s, STR("__address__"))));
    TRY(read_times(s, &t->interval_ns, &t->timeout_ns));
    remove_meta(s);
    put_default(s, STR("instance"), label_get(s, STR("__address__")));
    for (size_t i = 0; i < s->list.n; i++)
        if (!utf8_is_valid(s->list.v[i].value))
            return err_new(ERR_INVALID, "invalid label value for \"" STR_FMT "\"", STR_ARG(s->list.v[i].name));
    TRY(make_url(s, p->job, &t->url));
    TRY(relabel_err(s));
    t->labels = labels_pack(s->list.v, s->list.n);
    take_own(t);
    t->pool = p;
    t->id = identify(t, p->job->name);
    return NULL;
}

static err add_with(struct pool *p, struct relabel_set *s) {
    put_defaults(s, p->job);
    struct labels_pack discovered = labels_pack(s->list.v, s->list.n);
    if (!relabel_apply(&p->job->targets, s)) {
        p->dropped_n++;
        if (p->dropped.n >= (p->job->dropped_kept_max ? p->job->dropped_kept_max : DROPPED_KEPT_MAX))
            mem_free(discovered.v);
        else
            vec_push(&p->dropped)->discovered = discovered;
        return NULL;
    }
    struct scrape_target *t = mem_new_of(struct scrape_target);
    t->discovered = discovered;
    err e = make_target(p, s, t);
    if (e)
        target_free(t, NULL);
    else
        *vec_push(&p->targets) = t;
    return e;
}

err pool_add(struct pool *p, const struct label *group, uint32_t group_n, struct str address, struct arena *scratch) {
    struct relabel_set s;
    if (p->targets.n >= SCRAPE_TARGETS_MAX) return err_new(ERR_LIMIT, "more than %d targets", SCRAPE_TARGETS_MAX);
    relabel_set_init(&s, scratch);
    for (uint32_t i = 0; i < group_n; i++) label_put(&s, group[i].name, group[i].value);
    label_put(&s, STR("__address__"), address);
    err e = add_with(p, &s);
    relabel_set_done(&s);
    return e;
}

static int by_id(const void *x, const void *y) {
    const struct scrape_target *a = *(struct scrape_target *const *)x, *b = *(struct scrape_target *const *)y;
    return a->id.low != b->id.low    ? (a->id.low < b->id.low ? -1 : 1)
           : a->id.high < b->id.high ? -1
                                     : a->id.high > b->id.high;
}

void pool_finish(struct pool *p) {
    size_t n = 0;
    if (p->targets.n) qsort(p->targets.v, p->targets.n, sizeof *p->targets.v, by_id);
    for (size_t i = 0; i < p->targets.n; i++) {
        if (n && hash128_equal(p->targets.v[n - 1]->id, p->targets.v[i]->id))
            target_free(p->targets.v[i], NULL);
        else
            p->targets.v[n++] = p->targets.v[i];
    }
    p->targets.n = n;
    if (p->job->targets_max && n > p->job->targets_max)
        snprintf(p->error, sizeof p->error, "target_limit exceeded (number of targets: %zu, limit: %llu)", n,
                 (unsigned long long)p->job->targets_max);
}
