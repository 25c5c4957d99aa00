/* How a target is spoken to, and where targets come from: the parts of a job that have rules of their own. */
#include "base/text.h"
#include "base/yaml.h"
#include "ingest/scrape/config_priv.h"

#define SECOND_NS ((int64_t)1000000000)

/* ---- HTTP ----------------------------------------------------------------------------------------------------------- */

const char *const scrape_http_keys[] = {"basic_auth",
                                        "authorization",
                                        "oauth2",
                                        "bearer_token",
                                        "bearer_token_file",
                                        "tls_config",
                                        "follow_redirects",
                                        "enable_http2",
                                        "proxy_url",
                                        "no_proxy",
                                        "proxy_from_environment",
                                        "proxy_connect_header",
                                        "http_headers",
                                        NULL};

/* Keys that Prometheus knows and clew does not act on: a job that needs them is not run, since it would be asked the wrong way. */
static err refuse(const struct yaml *y, const char *const *keys) {
    for (; y && *keys; keys++)
        if (!yaml_is_null(yaml_get(y, *keys))) return yaml_err(yaml_get(y, *keys), "%s: clew has it not", *keys);
    return NULL;
}

static err read_basic(struct scrape_config *c, const struct yaml *y, struct str folder, struct scrape_http *out) {
    static const char *const keys[] = {
        "username", "username_file", "username_ref", "password", "password_file", "password_ref", NULL};
    if (yaml_is_null(y)) return NULL;
    if (y->kind != YAML_MAP) return yaml_err(y, "basic_auth: expected a map");
    TRY(yaml_only(y, keys));
    TRY(refuse(y, (const char *const[]){"username_ref", "password_ref", NULL}));
    out->user = "";
    TRY(scrape_text(c, y, "username", &out->user));
    TRY(scrape_path(c, y, "username_file", folder, &out->user_file));
    TRY(scrape_text(c, y, "password", &out->password));
    TRY(scrape_path(c, y, "password_file", folder, &out->password_file));
    if (*out->user && out->user_file)
        return yaml_err(y, "at most one of basic_auth username & username_file must be configured");
    if (out->password && out->password_file)
        return yaml_err(y, "at most one of basic_auth password & password_file must be configured");
    return NULL;
}

static err read_authorization(struct scrape_config *c, const struct yaml *y, struct str folder,
                              struct scrape_http *out) {
    static const char *const keys[] = {"type", "credentials", "credentials_file", "credentials_ref", NULL};
    if (yaml_is_null(y)) return NULL;
    if (y->kind != YAML_MAP) return yaml_err(y, "authorization: expected a map");
    TRY(yaml_only(y, keys));
    TRY(refuse(y, (const char *const[]){"credentials_ref", NULL}));
    out->auth_type = "Bearer";
    TRY(scrape_text(c, y, "type", &out->auth_type));
    if (!str_trim(str_of(out->auth_type)).n) out->auth_type = "Bearer";
    TRY(scrape_text(c, y, "credentials", &out->credentials));
    TRY(scrape_path(c, y, "credentials_file", folder, &out->credentials_file));
    if (out->credentials && out->credentials_file)
        return yaml_err(y, "at most one of authorization credentials & credentials_file must be configured");
    if (str_equal_nocase(str_trim(str_of(out->auth_type)), STR("basic")))
        return yaml_err(y, "authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
    return NULL;
}

static err read_tls(struct scrape_config *c, const struct yaml *y, struct str folder, struct scrape_http *out) {
    static const char *const keys[] = {"ca",
                                       "cert",
                                       "key",
                                       "ca_file",
                                       "cert_file",
                                       "key_file",
                                       "ca_ref",
                                       "cert_ref",
                                       "key_ref",
                                       "server_name",
                                       "insecure_skip_verify",
                                       "min_version",
                                       "max_version",
                                       NULL};
    if (yaml_is_null(y)) return NULL;
    if (y->kind != YAML_MAP) return yaml_err(y, "tls_config: expected a map");
    TRY(yaml_only(y, keys));
    TRY(refuse(y, (const char *const[]){"ca", "cert", "key", "ca_ref", "cert_ref", "key_ref", "min_version",
                                        "max_version", NULL}));
    TRY(scrape_path(c, y, "ca_file", folder, &out->ca_file));
    TRY(scrape_path(c, y, "cert_file", folder, &out->cert_file));
    TRY(scrape_path(c, y, "key_file", folder, &out->key_file));
    TRY(scrape_text(c, y, "server_name", &out->server_name));
    TRY(scrape_bool(yaml_get(y, "insecure_skip_verify"), &out->insecure));
    if (!out->cert_file != !out->key_file)
        return yaml_err(y, "exactly one of %s must be configured when a client certificate is configured",
                        out->key_file ? "cert or cert_file" : "key or key_file");
    return NULL;
}

static err read_bearer(struct scrape_config *c, const struct yaml *y, struct str folder, struct scrape_http *out) {
    const char *token = NULL, *file = NULL;
    TRY(scrape_text(c, y, "bearer_token", &token));
    TRY(scrape_path(c, y, "bearer_token_file", folder, &file));
    if (token && file) return yaml_err(y, "at most one of bearer_token & bearer_token_file must be configured");
    if (!token && !file) return NULL;
    if (out->user)
        return yaml_err(y, "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured");
    if (out->auth_type) return yaml_err(y, "authorization is not compatible with bearer_token & bearer_token_file");
    out->auth_type = "Bearer";
    out->credentials = token;
    out->credentials_file = file;
    return NULL;
}

err scrape_http_read(struct scrape_config *c, const struct yaml *y, struct str folder, struct scrape_http *out) {
    bool unused = true;
    *out = (struct scrape_http){.follow_redirects = true};
    TRY(refuse(y, (const char *const[]){"oauth2", "no_proxy", "proxy_connect_header", "http_headers", NULL}));
    TRY(read_basic(c, yaml_get(y, "basic_auth"), folder, out));
    TRY(read_authorization(c, yaml_get(y, "authorization"), folder, out));
    if (out->user && out->auth_type)
        return yaml_err(y, "at most one of basic_auth, oauth2 & authorization must be configured");
    TRY(read_bearer(c, y, folder, out));
    TRY(read_tls(c, yaml_get(y, "tls_config"), folder, out));
    TRY(scrape_bool(yaml_get(y, "follow_redirects"), &out->follow_redirects));
    TRY(scrape_bool(yaml_get(y, "enable_http2"), &unused));
    unused = false;
    TRY(scrape_bool(yaml_get(y, "proxy_from_environment"), &unused));
    if (unused) return yaml_err(yaml_get(y, "proxy_from_environment"), "proxy_from_environment: clew has it not");
    return scrape_text(c, y, "proxy_url", &out->proxy);
}

/* ---- discovery -------------------------------------------------------------------------------------------------------- */

static err read_list(const struct yaml *y, struct arena *a, struct str **out, uint32_t *out_n) {
    if (yaml_is_null(y)) return NULL;
    if (y->kind != YAML_LIST) return yaml_err(y, "expected a list of texts");
    *out = arena_array(a, struct str, MAX(y->n, 1u));
    if (!*out) return arena_err(a);
    for (uint32_t i = 0; i < y->n; i++) TRY(yaml_text(y->items[i], &(*out)[i]));
    *out_n = y->n;
    return NULL;
}

static err read_labels(const struct yaml *y, struct arena *a, struct target_group *g) {
    if (yaml_is_null(y)) return NULL;
    if (y->kind != YAML_MAP) return yaml_err(y, "labels: expected a map");
    if (y->n > RELABEL_LABELS_MAX) return yaml_err(y, "labels: more than %d", RELABEL_LABELS_MAX);
    g->labels = arena_array(a, struct label, MAX(y->n, 1u));
    if (!g->labels) return arena_err(a);
    g->label_n = y->n;
    for (uint32_t i = 0; i < y->n; i++) {
        g->labels[i].name = y->keys[i]->text;
        if (!y->keys[i]->text.n || !utf8_is_valid(y->keys[i]->text))
            return yaml_err(y->keys[i], "\"" STR_FMT "\" is not a valid label name", STR_ARG(y->keys[i]->text));
        TRY(yaml_text(y->items[i], &g->labels[i].value));
    }
    return NULL;
}

err target_groups_read(const struct yaml *list, struct arena *a, struct target_groups *out) {
    static const char *const keys[] = {"targets", "labels", NULL};
    *out = (struct target_groups){0};
    if (yaml_is_null(list)) return NULL;
    if (list->kind != YAML_LIST) return yaml_err(list, "expected a list of {targets, labels}");
    out->v = arena_array(a, struct target_group, MAX(list->n, 1u));
    if (!out->v) return arena_err(a);
    out->n = list->n;
    for (uint32_t i = 0; i < list->n; i++) {
        const struct yaml *y = list->items[i];
        if (y->kind != YAML_MAP) return yaml_err(y, "expected {targets, labels}");
        TRY(yaml_only(y, keys));
        TRY(read_list(yaml_get(y, "targets"), a, &out->v[i].targets, &out->v[i].target_n));
        TRY(read_labels(yaml_get(y, "labels"), a, &out->v[i]));
    }
    return NULL;
}

static err read_refresh(const struct yaml *y, int64_t otherwise, struct discovery_config *d) {
    const struct yaml *value = yaml_get(y, "refresh_interval");
    struct str text;
    d->refresh_ns = otherwise;
    if (yaml_is_null(value)) return NULL;
    TRY(yaml_text(value, &text));
    TRY(scrape_duration(value, text, &d->refresh_ns));
    d->refresh_ns = MAX(d->refresh_ns, SECOND_NS);
    return NULL;
}

static bool is_file_pattern(struct str path) {
    static const char *const ends[] = {".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"};
    bool ends_well = false;
    for (size_t i = 0; i < LENGTH(ends); i++) ends_well |= str_ends_with(path, str_of(ends[i]));
    ptrdiff_t star = str_find(path, '*');
    if (!ends_well || star < 0) return ends_well;
    struct str rest = {path.p + star + 1, path.n - (size_t)star - 1};
    return str_find(rest, '/') < 0;
}

static err read_file(struct scrape_config *c, const struct yaml *y, struct str folder, struct discovery_config *d) {
    static const char *const keys[] = {"files", "refresh_interval", NULL};
    TRY(yaml_only(y, keys));
    TRY(read_refresh(y, 300 * SECOND_NS, d));
    TRY(read_list(yaml_get(y, "files"), &c->arena, &d->names, &d->name_n));
    if (!d->name_n) return yaml_err(y, "file service discovery config must contain at least one path name");
    for (uint32_t i = 0; i < d->name_n; i++) {
        if (!is_file_pattern(d->names[i]))
            return yaml_err(y, "path name \"" STR_FMT "\" is not valid for file discovery", STR_ARG(d->names[i]));
        if (d->names[i].p[0] == '/' || !folder.n) continue;
        AUTO_BUF struct buf whole;
        buf_init(&whole, 64 * KIB);
        buf_add_fmt(&whole, STR_FMT "/" STR_FMT, STR_ARG(folder), STR_ARG(d->names[i]));
        d->names[i] = arena_copy(&c->arena, buf_str(&whole));
    }
    return arena_err(&c->arena);
}

static err read_dns(struct scrape_config *c, const struct yaml *y, struct str folder, struct discovery_config *d) {
    static const char *const keys[] = {"names", "refresh_interval", "type", "port", NULL};
    static const char *const types[] = {
        [RECORD_SRV] = "SRV", [RECORD_MX] = "MX", [RECORD_NS] = "NS", [RECORD_A] = "A", [RECORD_AAAA] = "AAAA"};
    struct str type = STR("SRV");
    uint64_t port = 0;
    size_t t = RECORD_SRV;
    (void)folder;
    TRY(yaml_only(y, keys));
    TRY(read_refresh(y, 30 * SECOND_NS, d));
    TRY(read_list(yaml_get(y, "names"), &c->arena, &d->names, &d->name_n));
    TRY(yaml_count(yaml_get(y, "port"), &port));
    TRY(yaml_text(yaml_get(y, "type"), &type));
    if (!d->name_n) return yaml_err(y, "DNS-SD config must contain at least one SRV record name");
    while (t < LENGTH(types) && !str_equal_nocase(type, str_of(types[t]))) t++;
    if (t == LENGTH(types)) return yaml_err(y, "invalid DNS-SD records type " STR_FMT, STR_ARG(type));
    if (t != RECORD_SRV && !port)
        return yaml_err(y, "a port is required in DNS-SD configs for all record types except SRV");
    if (port > UINT16_MAX) return yaml_err(y, "port: at most 65535");
    d->port = (uint16_t)port;
    d->record = (enum discovery_record)t;
    return NULL;
}

static err read_http_sd(struct scrape_config *c, const struct yaml *y, struct str folder, struct discovery_config *d) {
    for (uint32_t i = 0; i < y->n; i++) {
        struct str key = y->keys[i]->text;
        bool known = str_equal(key, STR("url")) || str_equal(key, STR("refresh_interval"));
        for (size_t k = 0; scrape_http_keys[k]; k++) known |= str_equal(key, str_of(scrape_http_keys[k]));
        if (!known) return yaml_err(y->keys[i], "field " STR_FMT " not found in an http_sd_config", STR_ARG(key));
    }
    TRY(read_refresh(y, 60 * SECOND_NS, d));
    TRY(scrape_text(c, y, "url", &d->url));
    if (!d->url || !*d->url) return yaml_err(y, "URL is missing");
    struct str url = str_of(d->url);
    if (!str_starts_with(url, STR("http://")) && !str_starts_with(url, STR("https://")))
        return yaml_err(y, "URL scheme must be 'http' or 'https'");
    if (url.p[7] == 0 || (url.p[4] == 's' && url.p[8] == 0)) return yaml_err(y, "host is missing in URL");
    return scrape_http_read(c, y, folder, &d->http);
}

static err read_static(struct scrape_config *c, const struct yaml *y, struct str folder, struct discovery_config *d) {
    struct yaml list = {
        .kind = YAML_LIST, .line = y->line, .file = y->file, .n = 1, .items = &(struct yaml *){(struct yaml *)y}};
    (void)folder;
    return target_groups_read(&list, &c->arena, &d->fixed);
}

static const struct {
    const char *key;
    enum discovery_kind kind;
    err (*read)(struct scrape_config *c, const struct yaml *y, struct str folder,
                struct discovery_config *d); /* NULL: clew has it not */
} discoveries[] = {
    {"static_configs", DISCOVERY_STATIC, read_static},
    {"file_sd_configs", DISCOVERY_FILE, read_file},
    {"dns_sd_configs", DISCOVERY_DNS, read_dns},
    {"http_sd_configs", DISCOVERY_HTTP, read_http_sd},
    {"azure_sd_configs"},
    {"consul_sd_configs"},
    {"digitalocean_sd_configs"},
    {"docker_sd_configs"},
    {"dockerswarm_sd_configs"},
    {"ec2_sd_configs"},
    {"eureka_sd_configs"},
    {"gce_sd_configs"},
    {"hetzner_sd_configs"},
    {"ionos_sd_configs"},
    {"kubernetes_sd_configs"},
    {"kuma_sd_configs"},
    {"lightsail_sd_configs"},
    {"linode_sd_configs"},
    {"marathon_sd_configs"},
    {"nerve_sd_configs"},
    {"nomad_sd_configs"},
    {"openstack_sd_configs"},
    {"ovhcloud_sd_configs"},
    {"puppetdb_sd_configs"},
    {"scaleway_sd_configs"},
    {"serverset_sd_configs"},
    {"stackit_sd_configs"},
    {"triton_sd_configs"},
    {"uyuni_sd_configs"},
    {"vultr_sd_configs"},
};

bool scrape_is_discovery_key(struct str key) {
    for (size_t i = 0; i < LENGTH(discoveries); i++)
        if (str_equal(key, str_of(discoveries[i].key))) return true;
    return false;
}

static err read_kind(struct scrape_config *c, const struct yaml *list, size_t row, struct str folder,
                     struct scrape_job *out) {
    if (list->kind != YAML_LIST) return yaml_err(list, "%s: expected a list", discoveries[row].key);
    if (!discoveries[row].read) {
        AUTO_BUF struct buf text;
        buf_init(&text, 4 * KIB);
        buf_add_fmt(&text, "%s:%d: %s: clew has not this discovery; the job's other targets are scraped", list->file,
                    list->line, discoveries[row].key);
        scrape_find(c, false, list->line, buf_str(&text));
        return NULL;
    }
    for (uint32_t i = 0; i < list->n; i++) {
        struct discovery_config *d = &out->discoveries[out->discovery_n];
        if (list->items[i]->kind != YAML_MAP)
            return yaml_err(list->items[i], "%s: expected a map", discoveries[row].key);
        *d = (struct discovery_config){.kind = discoveries[row].kind, .line = list->items[i]->line};
        TRY(discoveries[row].read(c, list->items[i], folder, d));
        out->discovery_n++;
    }
    return NULL;
}

err scrape_discoveries_read(struct scrape_config *c, const struct yaml *job, struct str folder,
                            struct scrape_job *out) {
    uint32_t n = 0;
    for (size_t i = 0; i < LENGTH(discoveries); i++) {
        const struct yaml *list = yaml_get(job, discoveries[i].key);
        n += list && list->kind == YAML_LIST ? list->n : 0;
    }
    out->discoveries = arena_array(&c->arena, struct discovery_config, MAX(n, 1u));
    if (!out->discoveries) return arena_err(&c->arena);
    for (size_t i = 0; i < LENGTH(discoveries); i++) {
        const struct yaml *list = yaml_get(job, discoveries[i].key);
        if (!yaml_is_null(list)) TRY(read_kind(c, list, i, folder, out));
    }
    return NULL;
}
