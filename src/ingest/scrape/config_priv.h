/* What a prometheus.yml says about scraping, checked as Prometheus 3.5 checks it, one job at a time.
 *
 *   text ─ yaml ─┬─ global ──▶ defaults
 *                └─ scrape_configs ─▶ job · job · …      a job with a fault is left out and named, the others are there
 *
 * A key of Prometheus that clew does not act on is named where it matters to what is scraped; an unknown one is a fault of its job.
 * Paths are relative to the file. Owner: all is the config's, which is counted. Threads: read-only but for the patterns of `targets` (the discovery
 * thread's) and `metrics` (the scraping thread's).
 * Source: Prometheus 3.5 config/config.go, discovery/, common 0.65 config/http_config.go. */
#pragma once

#include "ingest/scrape/relabel.h"
#include "ingest/scrape/scrape.h"

enum scrape_format { SCRAPE_OPENMETRICS, SCRAPE_TEXT, SCRAPE_FORMATS };

struct scrape_http {
    const char *user, *password, *password_file, *user_file;
    const char *auth_type, *credentials, *credentials_file; /* of bearer_token too */
    const char *ca_file, *cert_file, *key_file, *server_name;
    const char *proxy;
    bool insecure, follow_redirects;
};

struct scrape_param {
    struct str name, *values;
    uint32_t n;
};

/* Targets with labels that they share: of static_configs, a file, an answer. */
struct target_group {
    struct label *labels;
    uint32_t label_n;
    struct str *targets;
    uint32_t target_n;
};
struct target_groups {
    struct target_group *v;
    uint32_t n;
};
/* A list of {targets, labels}; an error has a line. */
err target_groups_read(const struct yaml *list, struct arena *a, struct target_groups *out);

enum discovery_kind { DISCOVERY_STATIC, DISCOVERY_FILE, DISCOVERY_DNS, DISCOVERY_HTTP };
enum discovery_record { RECORD_SRV, RECORD_MX, RECORD_NS, RECORD_A, RECORD_AAAA };
struct discovery_config {
    enum discovery_kind kind;
    int line;
    int64_t refresh_ns;
    struct target_groups fixed; /* static */
    struct str *names;          /* file: patterns; dns: names */
    uint32_t name_n;
    enum discovery_record record;
    uint16_t port;
    const char *url;
    struct scrape_http http;
};

struct scrape_job {
    struct str name;
    int line;
    int64_t interval_ns, timeout_ns;
    const char *path, *scheme;
    const char *accept; /* the field, from the protocols */
    int fallback;       /* enum scrape_format; -1: none */
    bool legacy_names;  /* of metrics and labels: others fail the scrape */
    bool honor_labels, honor_timestamps, track_timestamps_staleness, gzip;
    uint64_t body_bytes_max; /* 0: SCRAPE_BODY_BYTES_MAX */
    uint64_t samples_max, targets_max, labels_max, label_name_bytes_max, label_value_bytes_max,
        dropped_kept_max; /* 0: none */
    struct scrape_param *params;
    uint32_t param_n;
    struct scrape_http http;
    struct relabel targets, metrics;
    uint64_t metrics_hash; /* of the text that decides about labels of samples: two equal ones decide alike */
    struct discovery_config *discoveries;
    uint32_t discovery_n;
};

struct scrape_config {
    _Atomic uint32_t count;
    struct arena arena;
    struct scrape_job *jobs;
    uint32_t job_n;
    struct scrape_alerting alerting;
    VEC(struct scrape_finding) findings;
};

/* ERR_INVALID (no YAML, global settings that are none) and nothing is made; else findings say which jobs are not there. */
err scrape_config_parse(struct str text, const char *path, struct scrape_config **out);
struct scrape_config *scrape_config_ref(struct scrape_config *c);
void scrape_find(struct scrape_config *c, bool is_fault, int line, struct str what);

/* 1h30m, as Prometheus takes it: whole numbers of y, w, d, h, m, s, ms in this order; 0. */
err scrape_duration(const struct yaml *y, struct str text, int64_t *out_ns);
/* 15MB, 1.5MB, 1GB512MB: powers of 1024; NULL or null leaves *out. */
err scrape_size(const struct yaml *y, uint64_t *out);
err scrape_bool(const struct yaml *y, bool *out); /* true, yes, on, …; *out as it is if there is none */
bool scrape_parse_duration(struct str text, int64_t *out_ns);
/* A member that is a map of HTTP settings: those of a job and of an http_sd_config. */
err scrape_http_read(struct scrape_config *c, const struct yaml *y, struct str folder, struct scrape_http *out);
extern const char *const scrape_http_keys[];
/* A terminated copy of a scalar; *out as it is if there is none. */
err scrape_text(struct scrape_config *c, const struct yaml *y, const char *key, const char **out);
err scrape_path(struct scrape_config *c, const struct yaml *y, const char *key, struct str folder, const char **out);
/* The *_sd_configs and static_configs of a job. */
err scrape_discoveries_read(struct scrape_config *c, const struct yaml *job, struct str folder, struct scrape_job *out);
bool scrape_is_discovery_key(struct str key);
/* rule_files, alerting, and what global says of them. */
err scrape_alerting_read(struct scrape_config *c, const struct yaml *root, struct str folder);
