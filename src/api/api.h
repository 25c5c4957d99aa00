/* api: what clew answers over HTTP: OTLP in, the native JSON API, health and metrics.
 *
 *   http_server ─▶ api_handle ─ route table ─ parameters checked ─┬─ on the io thread: small bodies, health, metrics
 *                                                                 └─ queue (bounded; full: 429) ─▶ work threads
 *
 * Everything is in one table (api_routes): method, path, role, which port, where it runs, parameters with type, default,
 * limits and help. Answers to wrong requests come out of it: 404 names the closest route, 405 the allowed methods,
 * an unknown parameter the nearest known one.
 *
 * Errors of the native API: {"error":{"kind","message","hint"?}} with the status of the kind; of the OTLP routes:
 * google.rpc.Status in the request's encoding: application/json where that was sent, else application/x-protobuf.
 *
 * Who may ask is in access_priv.h, what a tenant may take in limits_priv.h, what is written down in audit_priv.h.
 *
 * Threads: api_handle runs on an io thread and never blocks; replies may come from a work or the log thread.
 * Limits: bodies ≤ 1 MiB are decoded where they arrive; `queue_max` requests wait for a work thread.
 * Source: OTLP specification 1.11 (HTTP); docs/api.md.
 */
#pragma once

#include "api/token.h"
#include "net/net.h"

struct alert_engine;
struct api;
struct budget;
struct catalog;
struct ingest;
struct live;
struct notifier;
struct scraper;
struct store;

/* API_PORT_JAEGER serves the routes below /jaeger at its root, API_PORT_PROMETHEUS those below /prometheus, API_PORT_OLLYSTACK those below
 * /ollystack. */
enum api_port { API_PORT_MAIN, API_PORT_OTLP, API_PORT_JAEGER, API_PORT_PROMETHEUS, API_PORT_OLLYSTACK, API_PORTS };

/* What is in force of how long telemetry stays, each with where it was said: "default", "environment", "flag". */
struct api_retention {
    int64_t retention_ns; /* 0: for ever */
    uint32_t disk_use_max_percent, disk_free_min_percent;
    const char *retention_from, *disk_use_max_from, *disk_free_min_from;
};

/* What of PromQL is on that Prometheus 3.5 has behind a flag. */
struct api_promql {
    bool experimental_functions, duration_expressions, delayed_name_removal, type_and_unit_labels;
};

struct emit;
struct emit_instrument;
struct api_options {
    struct store *store;
    struct ingest *ingest;
    struct alert_engine *alert;        /* NULL: there are no rules */
    struct notifier *notifier;         /* NULL: nobody is told */
    struct live *live;                 /* what the ingest publishes to; outlives the api */
    struct scraper *scraper;           /* NULL: nothing is scraped; outlives the api */
    struct budget *budget;             /* NULL: none */
    struct emit *emit;                 /* spans of requests go here; NULL: there are none */
    struct emit_instrument *durations; /* of requests, in seconds; NULL: not measured */
    struct catalog *catalog;           /* dashboards and rules; NULL: none are kept */
    /* What a group of rules must be beyond its shape: JSON as records_priv.h has it. NULL: nothing. On a work thread. */
    err (*check_rules)(void *context, struct str tenant, struct str id, struct str body);
    void (*rules_changed)(void *context); /* after a change of one. On a work thread; does not wait */
    void *rules_context;                  /* of these two */
    err (*reload)(
        void *context); /* reads files of rules and of scraping again. On a work thread. NULL: there are none */
    void *reload_context;
    size_t work_threads;       /* 0: requests run at once on the caller's thread (tests) */
    size_t queue_max;          /* default 256 */
    size_t query_memory_bytes; /* default 256 MiB */
    int64_t query_timeout_ns;  /* default 30 s; the timeout parameter may shorten it */
    int64_t (*wall_ns)(void);  /* default clock_wall_ns */
    const char *dir;           /* data directory, for tokens.json and audit.jsonl; NULL: neither */
    struct str tokens;         /* the document of tokens.json (CLEW_TOKENS); p NULL: the file */
    struct str limits;         /* the document of --limits; p NULL: the defaults */
    struct str allowed_hosts;  /* names that it is reached by besides loopback's, with commas between */
    struct str external_url;   /* of the main port, for links; without a slash at its end; empty: none */
    struct str cors_origins;   /* pages of these may ask too: exact origins with commas between */

    struct str correlation_prefix; /* of ids that are derived of a trace; empty: none are; default "clew" */

    struct api_retention retention; /* by default the store's defaults */
    struct api_promql promql;       /* all off */
};
void api_options_default(struct api_options *out);
/* Switches on what Prometheus has behind --enable-feature=NAME, by its names, with commas between several. ERR_INVALID lists those that
 * there are. */
err api_promql_enable(struct api_promql *p, struct str names);
err api_new(const struct api_options *options, struct api **out);
/* Whether every question needs a token: once there were some, for as long as the process lives. */
bool api_needs_tokens(struct api *api);
/* Reads tokens.json again if it changed. Waits for the disk: not from an io thread. */
void api_reload_tokens(struct api *api);
/* Waits for running requests and frees. Call it after the servers drained. Takes NULL. */
void api_free(struct api *api);

/* The handler of http_server_options, for every listener … */
void api_handle(struct http_request *r);
/* is_trusted of http_server_options: whoever has a valid token, or all when none is needed. */
bool api_trusts(const struct http_request *r, void *listener);
/* The refusal of http_server_options: what the server itself refuses gets the bodies that the routes give. */
struct str api_refusal(void *listener, struct str target, struct str content_type, int status, struct str reason,
                       struct buf *out);
/* Its takes_pieces: by the route table. */
bool api_takes_pieces(void *listener, const struct http_request *r);
/* … whose context is this: http_server_listen(server, address, api_listener(api, API_PORT_OTLP), bound). */
void *api_listener(struct api *api, enum api_port port);
/* Servers whose figures /metrics adds up; at most 4. They must outlive the api. */
void api_add_server(struct api *api, struct http_server *server);
/* The figures of the whole program that /metrics has, but for those of tenants, as Prometheus text. From any thread. */
void api_put_metrics(struct api *api, struct buf *out);
/* From now on /ready answers 503 "draining", and running queries are cancelled at `cancel`. From any thread. */
void api_drain(struct api *api, bool cancel);

/* What GET /api/v1/admin/storage answers, without its braces: for `clew storage` on files. */
struct json_writer;
struct query_storage;
struct query_storage_signal;
void api_write_storage(struct json_writer *w, struct str tenant, const struct query_storage *r,
                       const struct query_storage_signal *signals);

/* ---- the route table -------------------------------------------------------------------------------------------- */

enum api_place { RUN_HERE, RUN_WORK };
enum api_param_type {
    PARAM_TEXT,
    PARAM_INTEGER,
    PARAM_BOOLEAN,
    PARAM_TIME,
    PARAM_DURATION,
    PARAM_CHOICE,
    PARAM_TRACE_ID,
    PARAM_SPAN_ID,
    PARAM_SEVERITY,
    PARAM_WHERE
};

struct api_param {
    const char *name;
    enum api_param_type type;
    const char *initial; /* default as text; NULL: none */
    int64_t min, max;    /* PARAM_INTEGER */
    const char *choices; /* PARAM_CHOICE: "newest longest" */
    const char *help;
    bool repeated, required;
};

struct api_call;
struct api_route {
    enum http_method method;
    const char *path;   /* /api/v1/traces/{trace_id}; literal segments win over parameters */
    enum api_role role; /* which the caller's must include; ROLE_ANY: nobody is asked who they are */
    uint8_t ports;      /* bit p: served on enum api_port p */
    enum api_place place;
    void (*handler)(struct api_call *call);
    const struct api_param *params; /* of the query string, ended by a row without name */
    const char *help;
    const char *answer; /* schema of the answer (src/api/docs/schemas.json); NULL: text */
    const char *body;   /* schema of the request's body; NULL: none */
    bool lenient;       /* unknown parameters are ignored: foreign clients send more than they need */
    bool takes_form;    /* parameters may be in the body too, which is application/x-www-form-urlencoded then */
    bool takes_pieces;  /* called before its body, which it takes as it comes (HTTP/2) */
    bool all_tenants;   /* only for tokens of tenant `*` */
    bool is_stream;     /* answers with server-sent events; `answer` is what the data of its main one is */
};
extern const struct api_route api_routes[];
extern const size_t api_route_count;
/* Documentation of the table, sorted as it is: Markdown, an OpenAPI 3.1 document, a page of HTML. */
void api_put_routes(struct buf *out);
void api_put_openapi(struct buf *out);
void api_put_docs_page(struct buf *out);
