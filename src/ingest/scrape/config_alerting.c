/* What a prometheus.yml says about rules and alerts: where rules are, whom to tell, and under which labels. What clew cannot tell the way that the file
 * wants is left out and named. */
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "base/yaml.h"
#include "ingest/scrape/config_priv.h"
#include "os/process.h"

enum { URL_BYTES_MAX = 8 << 10, VALUE_BYTES_MAX = 64 << 10 };

static void left_out(struct scrape_config *c, const struct yaml *at, bool is_fault, const char *what) {
    AUTO_BUF struct buf text;
    buf_init(&text, 4 * KIB);
    buf_add_fmt(&text, "%s:%d: %s", at->file, at->line, what);
    scrape_find(c, is_fault, at->line, buf_str(&text));
}

/* ---- files of rules --------------------------------------------------------------------------------------------------- */

static err read_files(struct scrape_config *c, const struct yaml *list, struct str folder) {
    struct scrape_alerting *a = &c->alerting;
    if (yaml_is_null(list)) return NULL;
    if (list->kind != YAML_LIST) return yaml_err(list, "rule_files: expected a list of paths");
    if (list->n > SCRAPE_RULE_FILES_MAX) return yaml_err(list, "rule_files: more than %d", SCRAPE_RULE_FILES_MAX);
    for (uint32_t i = 0; i < list->n; i++) {
        AUTO_BUF struct buf whole;
        struct str path;
        TRY(yaml_text(list->items[i], &path));
        if (!path.n || memchr(path.p, 0, path.n)) return yaml_err(list->items[i], "rule_files: a path that is none");
        buf_init(&whole, 64 * KIB);
        if (path.p[0] != '/' && folder.n) buf_add_fmt(&whole, STR_FMT "/", STR_ARG(folder));
        buf_add_str(&whole, path);
        path = arena_copy(&c->arena, buf_str(&whole));
        if (!path.p) return arena_err(&c->arena);
        a->rule_files[a->rule_file_n++] = path.p;
    }
    return NULL;
}

/* ---- Alertmanagers ------------------------------------------------------------------------------------------------------ */

/* What would make another request of it, or choose among them. */
static const struct yaml *find_unknown_way(const struct yaml *y) {
    static const char *const known[] = {"scheme",         "path_prefix",  "timeout",          "api_version",
                                        "static_configs", "enable_http2", "follow_redirects", NULL};
    for (uint32_t i = 0; i < y->n; i++) {
        bool is_known = yaml_is_null(y->items[i]);
        for (size_t k = 0; known[k]; k++) is_known |= str_equal(y->keys[i]->text, str_of(known[k]));
        if (!is_known && !scrape_is_discovery_key(y->keys[i]->text)) return y->keys[i];
    }
    return NULL;
}

static err add_url(struct scrape_config *c, const struct yaml *at, const char *scheme, struct str target,
                   struct str prefix) {
    struct scrape_alerting *a = &c->alerting;
    AUTO_BUF struct buf url;
    buf_init(&url, URL_BYTES_MAX);
    if (!target.n || str_find(target, '/') >= 0)
        return yaml_err(at, "\"" STR_FMT "\" is not a valid hostname", STR_ARG(target));
    if (a->url_n == SCRAPE_ALERTMANAGERS_MAX) {
        left_out(c, at, false, "Alertmanagers over 8: not told");
        return NULL;
    }
    while (prefix.n && prefix.p[prefix.n - 1] == '/') prefix.n--;
    buf_add_fmt(&url, "%s://" STR_FMT "%s" STR_FMT, scheme, STR_ARG(target), prefix.n && prefix.p[0] != '/' ? "/" : "",
                STR_ARG(prefix));
    a->urls[a->url_n] = arena_copy(&c->arena, buf_str(&url));
    return url.full || !a->urls[a->url_n++].p ? arena_err(&c->arena) : NULL;
}

static err read_alertmanager(struct scrape_config *c, const struct yaml *y) {
    const char *scheme = "http", *prefix = "", *version = "v2";
    struct target_groups groups = {0};
    if (y->kind != YAML_MAP) return yaml_err(y, "alertmanagers: expected a map");
    const struct yaml *unknown = find_unknown_way(y), *fixed = yaml_get(y, "static_configs");
    if (unknown) {
        AUTO_BUF struct buf text;
        buf_init(&text, KIB);
        buf_add_fmt(&text, STR_FMT ": clew has it not for Alertmanagers; these are not told", STR_ARG(unknown->text));
        left_out(c, unknown, false, text.p);
        return NULL;
    }
    TRY(scrape_text(c, y, "scheme", &scheme));
    TRY(scrape_text(c, y, "path_prefix", &prefix));
    TRY(scrape_text(c, y, "api_version", &version));
    if (strcmp(version, "v2") != 0)
        return yaml_err(y, "expected Alertmanager api version to be one of [v2] but got %s", version);
    if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
        return yaml_err(y, "unsupported scheme: \"%s\"", scheme);
    for (uint32_t i = 0; i < y->n; i++)
        if (scrape_is_discovery_key(y->keys[i]->text) && y->items[i] != fixed)
            left_out(c, y->keys[i], false, "Alertmanagers of static_configs alone are told");
    if (yaml_is_null(fixed)) return NULL;
    TRY(target_groups_read(fixed, &c->arena, &groups));
    for (uint32_t g = 0; g < groups.n; g++)
        for (uint32_t t = 0; t < groups.v[g].target_n; t++)
            TRY(add_url(c, fixed, scheme, groups.v[g].targets[t], str_of(prefix)));
    return NULL;
}

static err read_alerting(struct scrape_config *c, const struct yaml *y) {
    static const char *const keys[] = {"alertmanagers", "alert_relabel_configs", NULL};
    if (yaml_is_null(y)) return NULL;
    if (y->kind != YAML_MAP) return yaml_err(y, "alerting: expected a map");
    TRY(yaml_only(y, keys));
    const struct yaml *list = yaml_get(y, "alertmanagers"), *rules = yaml_get(y, "alert_relabel_configs");
    if (!yaml_is_null(rules) && rules->n)
        left_out(c, rules, false, "alert_relabel_configs: not acted on: alerts go out as their rules make them");
    if (yaml_is_null(list)) return NULL;
    if (list->kind != YAML_LIST) return yaml_err(list, "alertmanagers: expected a list");
    for (uint32_t i = 0; i < list->n; i++) TRY(read_alertmanager(c, list->items[i]));
    return NULL;
}

/* ---- labels and times --------------------------------------------------------------------------------------------------- */

static int by_name(const void *x, const void *y) {
    return str_compare(((const struct label *)x)->name, ((const struct label *)y)->name);
}

/* $NAME, ${NAME} as the environment has them, and nothing for what it has not; $$ is $ (os.Expand, which Prometheus 3 applies here). */
static err expand(struct scrape_config *c, const struct yaml *at, struct str text, struct str *out) {
    AUTO_BUF struct buf whole;
    buf_init(&whole, VALUE_BYTES_MAX);
    for (size_t i = 0; i < text.n; i++) {
        char name[256];
        bool brace = i + 1 < text.n && text.p[i + 1] == '{';
        size_t start = i + 1 + brace, end = start;
        while (end < text.n && word_char((unsigned char)text.p[end]) && text.p[end] > 0) end++;
        bool closed = !brace || (end < text.n && text.p[end] == '}');
        if (text.p[i] != '$' || end == start || !closed || end - start >= sizeof name) {
            buf_add_byte(&whole, text.p[i]);
            i += text.p[i] == '$' && i + 1 < text.n && text.p[i + 1] == '$';
            continue;
        }
        snprintf(name, sizeof name, STR_FMT, (int)(end - start), text.p + start);
        const char *value = process_env(name);
        if (!value || !*value) left_out(c, at, false, "external_labels: an environment variable that is empty");
        buf_add_text(&whole, value ? value : "");
        i = end - !brace;
    }
    if (whole.full) return yaml_err(at, "external_labels: a value of over %d bytes", VALUE_BYTES_MAX);
    *out = arena_copy(&c->arena, whole.n ? buf_str(&whole) : STR(""));
    return out->p ? NULL : arena_err(&c->arena);
}

static err read_labels(struct scrape_config *c, const struct yaml *y) {
    struct scrape_alerting *a = &c->alerting;
    if (yaml_is_null(y)) return NULL;
    if (y->kind != YAML_MAP) return yaml_err(y, "external_labels: expected a map");
    if (y->n > SCRAPE_EXTERNAL_LABELS_MAX)
        return yaml_err(y, "external_labels: more than %d", SCRAPE_EXTERNAL_LABELS_MAX);
    for (uint32_t i = 0; i < y->n; i++) {
        struct label *l = &a->labels[a->label_n];
        l->name = y->keys[i]->text;
        l->value = STR("");
        if (!l->name.n || !utf8_is_valid(l->name))
            return yaml_err(y->keys[i], "\"" STR_FMT "\" is not a valid label name", STR_ARG(l->name));
        if (!yaml_is_null(y->items[i])) TRY(yaml_text(y->items[i], &l->value));
        if (str_find(l->value, '$') >= 0) TRY(expand(c, y->items[i], l->value, &l->value));
        if (!utf8_is_valid(l->value)) return yaml_err(y->items[i], "external_labels: a value that is no UTF-8");
        a->label_n += l->value.n > 0;
    }
    if (a->label_n) qsort(a->labels, a->label_n, sizeof *a->labels, by_name);
    return NULL;
}

static err read_time(const struct yaml *global, const char *key, int64_t *out) {
    const struct yaml *value = yaml_get(global, key);
    struct str text;
    if (yaml_is_null(value)) return NULL;
    TRY(yaml_text(value, &text));
    return scrape_duration(value, text, out);
}

err scrape_alerting_read(struct scrape_config *c, const struct yaml *root, struct str folder) {
    const struct yaml *global = yaml_get(root, "global");
    bool has_global = !yaml_is_null(global);
    if (has_global) TRY(read_labels(c, yaml_get(global, "external_labels")));
    if (has_global) TRY(read_time(global, "evaluation_interval", &c->alerting.interval_ns));
    if (has_global) TRY(read_time(global, "rule_query_offset", &c->alerting.query_offset_ns));
    TRY(read_files(c, yaml_get(root, "rule_files"), folder));
    return read_alerting(c, yaml_get(root, "alerting"));
}

const struct scrape_alerting *scrape_config_alerting(const struct scrape_config *c) { return &c->alerting; }
