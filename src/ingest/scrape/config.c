#include "ingest/scrape/config_priv.h"

#include <stdatomic.h>

#include "base/hash.h"
#include "base/text.h"
#include "base/yaml.h"
#include "os/file.h"

#define MINUTE_NS ((int64_t)60 * 1000000000)
#define SECOND_NS ((int64_t)1000000000)
enum { TREE_BYTES_MAX = 512 << 20, JOBS_MAX = 10000 };

struct scrape_defaults {
    int64_t interval_ns, timeout_ns;
    uint64_t limits[7];
    const struct yaml *protocols;
    const char *escaping; /* of names, as Accept says it */
    bool legacy_names;
};

/* ---- the object ----------------------------------------------------------------------------------------------------- */

struct scrape_config *scrape_config_ref(struct scrape_config *c) {
    atomic_fetch_add(&c->count, 1);
    return c;
}

void scrape_config_unref(struct scrape_config *c) {
    if (!c || atomic_fetch_sub(&c->count, 1) != 1) return;
    for (uint32_t i = 0; i < c->job_n; i++) {
        relabel_done(&c->jobs[i].targets);
        relabel_done(&c->jobs[i].metrics);
    }
    vec_done(&c->findings);
    arena_done(&c->arena);
    mem_free(c);
}

size_t scrape_config_jobs(const struct scrape_config *c) { return c->job_n; }

size_t scrape_config_findings(const struct scrape_config *c, const struct scrape_finding **out) {
    *out = c->findings.v;
    return c->findings.n;
}

void scrape_find(struct scrape_config *c, bool is_fault, int line, struct str what) {
    *vec_push(&c->findings) = (struct scrape_finding){line, is_fault, arena_copy(&c->arena, what)};
}

/* A key whose value clew does not act on. */
static void find_left_out(struct scrape_config *c, const struct yaml *key, const char *what) {
    AUTO_BUF struct buf text;
    buf_init(&text, 4 * KIB);
    buf_add_fmt(&text, "%s:%d: " STR_FMT ": %s", key->file, key->line, STR_ARG(key->text), what);
    scrape_find(c, false, key->line, buf_str(&text));
}

/* ---- values --------------------------------------------------------------------------------------------------------- */

bool scrape_parse_duration(struct str text, int64_t *out_ns) {
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {{"y", 365 * 1440 * MINUTE_NS},
                 {"w", 7 * 1440 * MINUTE_NS},
                 {"d", 1440 * MINUTE_NS},
                 {"h", 60 * MINUTE_NS},
                 {"m", MINUTE_NS},
                 {"s", SECOND_NS},
                 {"ms", 1000000}};
    int64_t sum = 0;
    size_t at = 0;
    if (str_equal(text, STR("0"))) {
        *out_ns = 0;
        return true;
    }
    for (size_t u = 0; u < LENGTH(units) && at < text.n; u++) {
        size_t digits = at, letters;
        int64_t n = 0;
        for (; digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9'; digits++)
            if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, text.p[digits] - '0', &n)) return false;
        for (letters = digits; letters < text.n && (text.p[letters] < '0' || text.p[letters] > '9'); letters++)
            continue;
        if (digits == at || !str_equal((struct str){text.p + digits, letters - digits}, str_of(units[u].name)))
            continue;
        if (__builtin_mul_overflow(n, units[u].ns, &n) || __builtin_add_overflow(sum, n, &sum)) return false;
        at = letters;
    }
    if (!text.n || at < text.n) return false;
    *out_ns = sum;
    return true;
}

err scrape_duration(const struct yaml *y, struct str text, int64_t *out_ns) {
    if (scrape_parse_duration(text, out_ns)) return NULL;
    return yaml_err(y, "not a valid duration string: \"" STR_FMT "\"", STR_ARG(text));
}

/* Prometheus reads YAML 1.1, whose users also say yes and no. */
err scrape_bool(const struct yaml *y, bool *out) {
    static const char *const words[] = {"true", "yes", "on", "y", "false", "no", "off", "n"};
    struct str text;
    if (yaml_is_null(y)) return NULL;
    TRY(yaml_text(y, &text));
    for (size_t i = 0; i < LENGTH(words) && !y->quoted; i++)
        if (str_equal_nocase(text, str_of(words[i]))) {
            *out = i < LENGTH(words) / 2;
            return NULL;
        }
    return yaml_err(y, "expected true or false, not \"" STR_FMT "\"", STR_ARG(text));
}

static err read_duration(const struct yaml *y, const char *key, int64_t *out_ns) {
    const struct yaml *value = yaml_get(y, key);
    struct str text;
    if (yaml_is_null(value)) return NULL;
    TRY(yaml_text(value, &text));
    return scrape_duration(value, text, out_ns);
}

err scrape_text(struct scrape_config *c, const struct yaml *y, const char *key, const char **out) {
    const struct yaml *value = yaml_get(y, key);
    struct str text;
    if (yaml_is_null(value)) return NULL;
    TRY(yaml_text(value, &text));
    if (memchr(text.p, 0, text.n)) return yaml_err(value, "%s: a zero byte", key);
    text = arena_copy(&c->arena, text);
    *out = text.p;
    return text.p ? NULL : arena_err(&c->arena);
}

err scrape_path(struct scrape_config *c, const struct yaml *y, const char *key, struct str folder, const char **out) {
    const char *path = NULL;
    TRY(scrape_text(c, y, key, &path));
    if (!path) return NULL;
    *out = path;
    if (!*path || *path == '/' || !folder.n) return NULL;
    AUTO_BUF struct buf whole;
    buf_init(&whole, 64 * KIB);
    buf_add_fmt(&whole, STR_FMT "/%s", STR_ARG(folder), path);
    *out = arena_copy(&c->arena, buf_str(&whole)).p;
    return *out ? NULL : arena_err(&c->arena);
}

/* ---- what jobs take from global -------------------------------------------------------------------------------------- */

enum { LIMIT_BODY, LIMIT_SAMPLES, LIMIT_TARGETS, LIMIT_LABELS, LIMIT_NAME, LIMIT_VALUE, LIMIT_DROPPED, LIMITS };
static const char *const limit_keys[LIMITS] = {
    "body_size_limit",          "sample_limit",        "target_limit", "label_limit", "label_name_length_limit",
    "label_value_length_limit", "keep_dropped_targets"};
static_assert(LIMITS == LENGTH(((struct scrape_defaults *)0)->limits), "one each");

/* 0 is as if it were not said. */
static err read_limits(const struct yaml *y, uint64_t limits[LIMITS]) {
    for (int i = 0; i < LIMITS; i++) {
        const struct yaml *value = yaml_get(y, limit_keys[i]);
        uint64_t n = 0;
        if (yaml_is_null(value)) continue;
        TRY(i == LIMIT_BODY ? scrape_size(value, &n) : yaml_count(value, &n));
        if (n) limits[i] = n;
    }
    return NULL;
}

/* ---- names: what is asked for, and what is taken ----------------------------------------------------------------------- */

/* One of `words`; NULL: not said. */
static err read_word(const struct yaml *y, const char *key, const char *const *words, const char **out) {
    const struct yaml *value = yaml_get(y, key);
    struct str text;
    *out = NULL;
    if (yaml_is_null(value)) return NULL;
    TRY(yaml_text(value, &text));
    for (; *words && text.n; words++)
        if (str_equal(text, str_of(*words))) {
            *out = *words;
            return NULL;
        }
    return text.n ? yaml_err(value, "unknown %s \"" STR_FMT "\"", key, STR_ARG(text)) : NULL;
}

/* What is not said is what global says, or what fits to the validation where that is said (ScrapeConfig.Validate). `legacy`, `escaping`: global's on
 * the way in. */
static err read_names(const struct yaml *y, bool *legacy, const char **escaping) {
    static const char *const validations[] = {"legacy", "utf8", NULL};
    static const char *const escapings[] = {"allow-utf-8", "underscores", "dots", "values", NULL};
    const char *validation, *own;
    TRY(read_word(y, "metric_name_validation_scheme", validations, &validation));
    TRY(read_word(y, "metric_name_escaping_scheme", escapings, &own));
    if (validation) *legacy = validation == validations[0];
    if (own)
        *escaping = own;
    else if (validation)
        *escaping = *legacy ? "underscores" : "allow-utf-8";
    if (*legacy && *escaping == escapings[0])
        return yaml_err(y, "utf8 metric names requested but validation scheme is not set to UTF8");
    return NULL;
}

/* Keys of a job, of global, or of the file that clew does not act on, and why. `false` asks for nothing. */
static void find_unused(struct scrape_config *c, const struct yaml *y) {
    static const struct {
        const char *key, *why;
    } unused[] = {
        {"convert_classic_histograms_to_nhcb", "not acted on: clew scrapes text, where classic histograms are series"},
        {"native_histogram_bucket_limit", "not acted on: clew scrapes text, which has no native histograms"},
        {"native_histogram_min_bucket_factor", "not acted on: clew scrapes text, which has no native histograms"},
        {"scrape_failure_log_file", "not written: failures are what /api/v1/targets and the log at level debug tell"},
        {"query_log_file", "not written: questions are spans of clew's own telemetry"},
        {"scrape_config_files", "not read: put their jobs into scrape_configs"}};
    for (uint32_t i = 0; i < y->n; i++)
        for (size_t k = 0; k < LENGTH(unused); k++) {
            bool wanted = !yaml_is_null(y->items[i]) &&
                          !(y->items[i]->kind == YAML_SCALAR && str_equal(y->items[i]->text, STR("false")));
            if (wanted && str_equal(y->keys[i]->text, str_of(unused[k].key)))
                find_left_out(c, y->keys[i], unused[k].why);
        }
}

static const char *const global_keys[] = {"scrape_interval",
                                          "scrape_timeout",
                                          "scrape_protocols",
                                          "evaluation_interval",
                                          "rule_query_offset",
                                          "query_log_file",
                                          "scrape_failure_log_file",
                                          "external_labels",
                                          "body_size_limit",
                                          "sample_limit",
                                          "target_limit",
                                          "label_limit",
                                          "label_name_length_limit",
                                          "label_value_length_limit",
                                          "keep_dropped_targets",
                                          "metric_name_validation_scheme",
                                          "metric_name_escaping_scheme",
                                          "convert_classic_histograms_to_nhcb",
                                          "always_scrape_classic_histograms",
                                          NULL};

static err read_global(const struct yaml *y, struct scrape_defaults *d) {
    *d = (struct scrape_defaults){.interval_ns = MINUTE_NS, .escaping = "allow-utf-8"};
    if (yaml_is_null(y)) {
        d->timeout_ns = 10 * SECOND_NS;
        return NULL;
    }
    if (y->kind != YAML_MAP) return yaml_err(y, "global: expected a map");
    TRY(yaml_only(y, global_keys));
    TRY(read_duration(y, "scrape_interval", &d->interval_ns));
    TRY(read_duration(y, "scrape_timeout", &d->timeout_ns));
    TRY(read_limits(y, d->limits));
    if (!d->interval_ns) d->interval_ns = MINUTE_NS;
    if (d->timeout_ns > d->interval_ns) return yaml_err(y, "global scrape timeout greater than scrape interval");
    if (!d->timeout_ns) d->timeout_ns = MIN(10 * SECOND_NS, d->interval_ns);
    d->protocols = yaml_get(y, "scrape_protocols");
    return read_names(y, &d->legacy_names, &d->escaping);
}

/* ---- a job ----------------------------------------------------------------------------------------------------------- */

static const char *const job_keys[] = {"job_name",
                                       "honor_labels",
                                       "honor_timestamps",
                                       "track_timestamps_staleness",
                                       "params",
                                       "scrape_interval",
                                       "scrape_timeout",
                                       "scrape_protocols",
                                       "fallback_scrape_protocol",
                                       "scrape_classic_histograms",
                                       "always_scrape_classic_histograms",
                                       "convert_classic_histograms_to_nhcb",
                                       "scrape_failure_log_file",
                                       "metrics_path",
                                       "scheme",
                                       "enable_compression",
                                       "body_size_limit",
                                       "sample_limit",
                                       "target_limit",
                                       "label_limit",
                                       "label_name_length_limit",
                                       "label_value_length_limit",
                                       "native_histogram_bucket_limit",
                                       "native_histogram_min_bucket_factor",
                                       "keep_dropped_targets",
                                       "metric_name_validation_scheme",
                                       "metric_name_escaping_scheme",
                                       "relabel_configs",
                                       "metric_relabel_configs",
                                       NULL};

static bool is_among(struct str key, const char *const *names) {
    for (; *names; names++)
        if (str_equal(key, str_of(*names))) return true;
    return false;
}

static err check_keys(const struct yaml *y) {
    for (uint32_t i = 0; i < y->n; i++) {
        struct str key = y->keys[i]->text;
        if (!is_among(key, job_keys) && !is_among(key, scrape_http_keys) && !scrape_is_discovery_key(key))
            return yaml_err(y->keys[i], "field " STR_FMT " not found in a scrape config", STR_ARG(key));
    }
    return NULL;
}

/* Names of formats as scrape_protocols has them, with what Accept says of each. */
static const struct {
    const char *name, *type;
    bool escapes; /* its version says how names are escaped */
    enum scrape_format format;
} protocols[] = {
    {"OpenMetricsText1.0.0", "application/openmetrics-text;version=1.0.0", true, SCRAPE_OPENMETRICS},
    {"OpenMetricsText0.0.1", "application/openmetrics-text;version=0.0.1", false, SCRAPE_OPENMETRICS},
    {"PrometheusText1.0.0", "text/plain;version=1.0.0", true, SCRAPE_TEXT},
    {"PrometheusText0.0.4", "text/plain;version=0.0.4", false, SCRAPE_TEXT},
    {"PrometheusProto", NULL, false, SCRAPE_FORMATS},
};
static const size_t protocols_usual[] = {0, 1, 2, 3};

static err find_protocol(const struct yaml *y, size_t *out) {
    struct str text;
    TRY(yaml_text(y, &text));
    for (size_t i = 0; i < LENGTH(protocols); i++)
        if (str_equal(text, str_of(protocols[i].name))) {
            *out = i;
            return NULL;
        }
    return yaml_err(y, "unknown scrape protocol \"" STR_FMT "\"", STR_ARG(text));
}

static void put_protocol(struct buf *out, size_t p, const char *escaping, uint32_t weight) {
    buf_add_text(out, protocols[p].type);
    if (protocols[p].escapes) buf_add_fmt(out, ";escaping=%s", escaping);
    buf_add_fmt(out, ";q=0.%u,", weight);
}

static err read_accept(struct scrape_config *c, const struct yaml *list, const char *escaping, struct scrape_job *job) {
    AUTO_BUF struct buf out;
    uint32_t weight = 5, seen = 0;
    buf_init(&out, 4 * KIB);
    buf_add_text(&out, "Accept: ");
    for (size_t i = 0; yaml_is_null(list) && i < LENGTH(protocols_usual); i++)
        put_protocol(&out, protocols_usual[i], escaping, weight--);
    if (!yaml_is_null(list) && (list->kind != YAML_LIST || !list->n))
        return yaml_err(list, "scrape_protocols cannot be empty");
    for (uint32_t i = 0; !yaml_is_null(list) && i < list->n; i++) {
        size_t p;
        TRY(find_protocol(list->items[i], &p));
        if (seen >> p & 1)
            return yaml_err(list->items[i], "duplicated protocol in scrape_protocols, got \"%s\"", protocols[p].name);
        seen |= 1u << p;
        if (protocols[p].type) put_protocol(&out, p, escaping, weight--);
    }
    buf_add_fmt(&out, "*/*;q=0.%u", weight);
    job->accept = arena_copy(&c->arena, buf_str(&out)).p;
    return job->accept ? NULL : arena_err(&c->arena);
}

static err read_params(struct scrape_config *c, const struct yaml *y, struct scrape_job *job) {
    if (yaml_is_null(y)) return NULL;
    if (y->kind != YAML_MAP) return yaml_err(y, "params: expected a map of lists");
    job->params = arena_array(&c->arena, struct scrape_param, MAX(y->n, 1u));
    if (!job->params) return arena_err(&c->arena);
    job->param_n = y->n;
    for (uint32_t i = 0; i < y->n; i++) {
        const struct yaml *list = y->items[i];
        struct scrape_param *p = &job->params[i];
        p->name = y->keys[i]->text;
        if (yaml_is_null(list)) continue;
        if (list->kind != YAML_LIST) return yaml_err(list, "params: expected a list of texts");
        p->values = arena_array(&c->arena, struct str, MAX(list->n, 1u));
        if (!p->values) return arena_err(&c->arena);
        p->n = list->n;
        for (uint32_t k = 0; k < list->n; k++) TRY(yaml_text(list->items[k], &p->values[k]));
    }
    return NULL;
}

static err read_times(const struct yaml *y, const struct scrape_defaults *d, struct scrape_job *job) {
    TRY(read_duration(y, "scrape_interval", &job->interval_ns));
    TRY(read_duration(y, "scrape_timeout", &job->timeout_ns));
    if (!job->interval_ns) job->interval_ns = d->interval_ns;
    if (job->timeout_ns > job->interval_ns)
        return yaml_err(y,
                        "scrape timeout greater than scrape interval for scrape config with job name \"" STR_FMT "\"",
                        STR_ARG(job->name));
    if (!job->timeout_ns) job->timeout_ns = MIN(d->timeout_ns, job->interval_ns);
    return NULL;
}

static err read_switches(struct scrape_config *c, const struct yaml *y, struct scrape_job *job) {
    const struct {
        const char *key;
        bool *to, otherwise;
    } switches[] = {{"honor_labels", &job->honor_labels, false},
                    {"honor_timestamps", &job->honor_timestamps, true},
                    {"track_timestamps_staleness", &job->track_timestamps_staleness, false},
                    {"enable_compression", &job->gzip, true}};
    for (size_t i = 0; i < LENGTH(switches); i++) {
        *switches[i].to = switches[i].otherwise;
        TRY(scrape_bool(yaml_get(y, switches[i].key), switches[i].to));
    }
    job->path = "/metrics";
    job->scheme = "http";
    TRY(scrape_text(c, y, "metrics_path", &job->path));
    TRY(scrape_text(c, y, "scheme", &job->scheme));
    const struct yaml *fallback = yaml_get(y, "fallback_scrape_protocol");
    size_t p = LENGTH(protocols) - 1;
    job->fallback = -1;
    if (yaml_is_null(fallback)) return NULL;
    TRY(find_protocol(fallback, &p));
    if (protocols[p].type)
        job->fallback = protocols[p].format;
    else
        find_left_out(c, fallback, "clew scrapes no protobuf");
    return NULL;
}

/* With relabelling an address may become one; without, it must be one already. */
static err check_addresses(const struct yaml *y, const struct scrape_job *job) {
    if (job->targets.n) return NULL;
    for (uint32_t d = 0; d < job->discovery_n; d++) {
        const struct target_groups *groups = &job->discoveries[d].fixed;
        for (uint32_t g = 0; g < groups->n; g++)
            for (uint32_t t = 0; t < groups->v[g].target_n; t++)
                if (str_find(groups->v[g].targets[t], '/') >= 0)
                    return yaml_err(y, "\"" STR_FMT "\" is not a valid hostname", STR_ARG(groups->v[g].targets[t]));
    }
    return NULL;
}

static err read_job(struct scrape_config *c, const struct yaml *y, const struct scrape_defaults *d, struct str folder,
                    struct scrape_job *job) {
    uint64_t limits[LIMITS];
    if (y->kind != YAML_MAP) return yaml_err(y, "empty or null scrape config section");
    const struct yaml *name = yaml_get(y, "job_name");
    job->line = y->line;
    if (yaml_is_null(name) || !name->text.n) return yaml_err(y, "job_name is empty");
    TRY(yaml_text(name, &job->name));
    TRY(check_keys(y));
    TRY(read_times(y, d, job));
    memcpy(limits, d->limits, sizeof limits);
    TRY(read_limits(y, limits));
    job->body_bytes_max = limits[LIMIT_BODY];
    job->samples_max = limits[LIMIT_SAMPLES];
    job->targets_max = limits[LIMIT_TARGETS];
    job->labels_max = limits[LIMIT_LABELS];
    job->label_name_bytes_max = limits[LIMIT_NAME];
    job->label_value_bytes_max = limits[LIMIT_VALUE];
    job->dropped_kept_max = limits[LIMIT_DROPPED];
    TRY(read_switches(c, y, job));
    const struct yaml *own = yaml_get(y, "scrape_protocols");
    const char *escaping = d->escaping;
    job->legacy_names = d->legacy_names;
    TRY(read_names(y, &job->legacy_names, &escaping));
    TRY(read_accept(c, yaml_is_null(own) ? d->protocols : own, escaping, job));
    TRY(read_params(c, yaml_get(y, "params"), job));
    TRY(scrape_http_read(c, y, folder, &job->http));
    TRY(relabel_read(yaml_get(y, "relabel_configs"), &job->targets));
    TRY(relabel_read(yaml_get(y, "metric_relabel_configs"), &job->metrics));
    TRY(scrape_discoveries_read(c, y, folder, job));
    TRY(check_addresses(y, job));
    find_unused(c, y);
    return NULL;
}

/* Of a tree: equal for equal texts. */
static uint64_t hash_tree(const struct yaml *y, uint64_t seed) {
    if (!y) return seed;
    seed = hash_bytes_seed(y->text.p ? y->text.p : "", y->text.n, seed + y->kind);
    for (uint32_t i = 0; i < y->n; i++) {
        if (y->kind == YAML_MAP) seed = hash_tree(y->keys[i], seed);
        seed = hash_tree(y->items[i], seed * 31 + i);
    }
    return seed;
}

static bool is_taken(const struct scrape_config *c, struct str name) {
    for (uint32_t i = 0; i < c->job_n; i++)
        if (str_equal(c->jobs[i].name, name)) return true;
    return false;
}

static void take_job(struct scrape_config *c, const struct yaml *y, const struct scrape_defaults *d,
                     struct str folder) {
    struct scrape_job job = {0};
    err e = read_job(c, y, d, folder, &job);
    if (!e && is_taken(c, job.name))
        e = yaml_err(y, "found multiple scrape configs with job name \"" STR_FMT "\"", STR_ARG(job.name));
    if (e) {
        relabel_done(&job.targets);
        relabel_done(&job.metrics);
        scrape_find(c, true, y->line, str_of(err_text(e)));
        err_free(e);
        return;
    }
    job.metrics_hash = hash_tree(yaml_get(y, "metric_relabel_configs"), 1 + job.honor_labels + 2u * job.legacy_names);
    c->jobs[c->job_n++] = job;
}

/* ---- the file --------------------------------------------------------------------------------------------------------- */

static const char *const top_keys[] = {
    "global",         "runtime", "alerting",     "rule_files",  "scrape_config_files",
    "scrape_configs", "storage", "remote_write", "remote_read", "tracing",
    "otlp",           NULL};

static err read_tree(struct scrape_config *c, const struct yaml *root, struct str folder) {
    struct scrape_defaults d;
    const struct yaml *list = yaml_get(root, "scrape_configs");
    if (root->kind != YAML_MAP) return yaml_err(root, "expected a map: global, scrape_configs, …");
    TRY(yaml_only(root, top_keys));
    TRY(read_global(yaml_get(root, "global"), &d));
    find_unused(c, root);
    if (yaml_get(root, "global")) find_unused(c, yaml_get(root, "global"));
    TRY(scrape_alerting_read(c, root, folder));
    if (yaml_is_null(list)) return NULL;
    if (list->kind != YAML_LIST) return yaml_err(list, "scrape_configs: expected a list");
    if (list->n > JOBS_MAX) return yaml_err(list, "more than %d scrape configs", JOBS_MAX);
    c->jobs = arena_array(&c->arena, struct scrape_job, MAX(list->n, 1u));
    if (!c->jobs) return arena_err(&c->arena);
    for (uint32_t i = 0; i < list->n; i++) take_job(c, list->items[i], &d, folder);
    return arena_err(&c->arena);
}

static struct str folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? str_span(path, slash == path ? 1 : (size_t)(slash - path)) : STR("");
}

err scrape_config_parse(struct str text, const char *path, struct scrape_config **out) {
    struct scrape_config *c = mem_new_of(struct scrape_config);
    struct yaml *root;
    c->count = 1;
    arena_init(&c->arena, TREE_BYTES_MAX);
    const char *name = arena_copy(&c->arena, str_of(path)).p;
    err e = yaml_read(text, name, &c->arena, &root);
    if (!e) e = read_tree(c, root, folder_of(path));
    if (e)
        scrape_config_unref(c);
    else
        *out = c;
    return e;
}

err scrape_config_read(const char *path, struct scrape_config **out) {
    AUTO_BUF struct buf text = {0};
    TRY(file_read_all(path, SCRAPE_FILE_BYTES_MAX, &text));
    return scrape_config_parse(buf_str(&text), path, out);
}
