/* What the rooms of api share: a call (one request from its route to its reply), its parameters, its answer.
 *
 *   call_new ─ route_find ─ params_parse ─▶ handler ─▶ call_answer | call_fail   (each call ends in exactly one of them)
 *
 * A call does not know the network: it is given method, target, fields and body, and hands its reply to a function. So
 * tests drive every route without a socket.
 * Owner: the call owns itself; after call_answer or call_fail it is gone.
 * Threads: one at a time: an io thread, then maybe a work thread, or the log thread.
 */
#pragma once

#include "api/access_priv.h"
#include "api/api.h"
#include "api/limits_priv.h"
#include "api/tail_priv.h"
#include "base/json.h"
#include "emit/emit.h"
#include "os/clock.h"
#include "os/thread.h"
#include "query/breakdown.h"

enum { API_PARAMS_MAX = 28, API_PATH_VALUES_MAX = 2, API_SERVERS_MAX = 4, API_REPEATS_MAX = 256 };

struct api_reply {
    int status;
    int outcome; /* what /metrics counts it as; 0: status. gRPC's errors are 200 to HTTP */
    struct str content_type, body;
    const struct http_field *fields, *trailers;
    size_t field_count, trailer_count;
    bool is_tls;            /* set by call_reply, as the next */
    struct str cors_origin; /* of a page that may read this; empty: none */
    struct str request_id; /* of OllyStack's API, whose answers all have one, and CORS of their own; empty: another's */
};
enum { REPLY_FIELDS_MAX = 20 };
/* The reply's fields and those that every answer has (security, caching, CORS), to out[REPLY_FIELDS_MAX]; how many. */
size_t reply_fields(const struct api_reply *reply, struct http_field *out);

/* Where an answer in pieces goes: http_stream_… of net.h. */
struct api_stream_door {
    struct http_stream *(*begin)(void *context, const struct api_reply *head, size_t held_max);
    enum http_stream_state (*write)(struct http_stream *s, struct str bytes);
    bool (*is_gone)(struct http_stream *s);
    void (*end)(struct http_stream *s, const struct http_field *trailers, size_t n);
};

struct api_request {
    enum api_port port;
    enum http_method method;
    struct str method_text, target; /* as sent: path and query */
    struct str content_type, content_encoding;
    bool has_content_type;
    struct credentials credentials;
    bool is_tls, is_h2;
    struct str grpc_encoding, grpc_timeout, accept, accept_encoding, if_match, if_none_match, request_id;
    struct str upgrade, connection, websocket_key, websocket_version; /* RFC 6455 */
    struct str traceparent, tracestate;
    struct str body;
    bool body_is_left; /* unread: api_trusts said no */
    /* Sends the reply; copies what it needs. */
    void (*reply)(void *context, const struct api_reply *reply);
    const struct api_stream_door *streams;     /* or begins one in pieces, without a body */
    bool (*is_abandoned)(const void *context); /* nobody waits for the reply, which is due all the same; NULL: no */
    void *context;
};

/* A parameter as given, or its default. */
struct api_value {
    bool given; /* or has a default */
    struct str text;
    int64_t number;          /* integer, boolean, time, duration, severity, index of the choice */
    unsigned char bytes[16]; /* ids */
};

struct api_call {
    struct api *api;
    const struct api_route *route;
    struct api_request request;
    struct str path, query;
    struct str path_values[API_PATH_VALUES_MAX]; /* decoded */
    bool is_ai;                                  /* asked below /ollystack/ai, which is not in `path` */
    struct api_value values[API_PARAMS_MAX];     /* in order of route->params */
    struct str wheres[API_REPEATS_MAX];          /* of the repeated parameters, in the order given */
    uint8_t where_of[API_REPEATS_MAX];           /* which parameter */
    size_t where_count;
    int64_t now_ns;      /* wall time at its start: `now` of all its parameters */
    int64_t deadline_ns; /* wall time after which nobody waits for the answer; 0: none */
    bool has_range_end;
    struct arena arena;
    struct caller caller;
    struct api_taking *taking;           /* a body on its way to the ingest (take.c) */
    uint32_t retry_after_s;              /* of a refusal; 0: by its status */
    bool is_query;                       /* counted as under way */
    bool is_audited;                     /* its end is written down */
    struct emit_span *span, *query_span; /* NULL: not traced */
    int64_t span_began_ns;
};
/* The tenant that it works on. */
static inline struct str call_tenant(const struct api_call *c) { return str_of(c->caller.tenant); }

/* Who watches grpc.health.v1.Health. Threads: any, under the lock. */
enum { API_WATCHES_MAX = 64 };
struct api_watches {
    struct lock lock;
    struct api_watch {
        struct http_stream *stream;
        bool known; /* a service of that name is here */
    } v[API_WATCHES_MAX];
    size_t n;
    bool closed;
    atomic_bool stores; /* the last body could be stored */
};

struct api {
    struct api_options options;
    struct access *access;
    struct limits *limits;
    struct audit *audit; /* NULL: none */
    struct api_watches watches;
    struct tails *tails;
    struct queue *queue;
    struct thread **threads;
    size_t thread_count;
    atomic_bool cancel, draining;
    struct http_server *servers[API_SERVERS_MAX];
    _Atomic size_t server_count;
    struct api_surface {
        struct api *api;
        enum api_port port;
    } surfaces[API_PORTS];
    _Atomic uint64_t answers[API_PORTS][6]; /* by hundreds of the status */
    _Atomic uint64_t queue_refused, abandoned;
    struct api_text {
        struct lock lock;
        struct buf text;
    } openapi, docs;           /* made when first asked for */
    atomic_bool searches_busy; /* they are being changed: one at a time */
    atomic_size_t reflections; /* streams of grpc.reflection */
    atomic_size_t sockets;     /* WebSockets of OllyStack's API */
    int64_t started_ns;
    _Atomic int64_t backup_ns; /* of the last backup since then; 0: none */
};

/* The whole way of a request. */
void api_serve(struct api *api, const struct api_request *request);
/* Runs fn(call) on a work thread; a full queue ends the call with 429. */
void call_run_on_work(struct api_call *c, void (*fn)(struct api_call *c));

/* Spans of a call (tracing.c), when there is somebody to tell: begun when its route is known, ended with it. */
void trace_begin(struct api_call *c);
void trace_query(struct api_call *c);
void trace_end(struct api_call *c, int status);

/* ---- ending a call ---------------------------------------------------------------------------------------------- */

void call_reply(struct api_call *c, const struct api_reply *reply);
/* Ends the call with an answer in pieces, for any route: the stream outlives it. */
struct http_stream *call_stream(struct api_call *c, const struct api_reply *head, size_t held_max);
/* Consumes e. JSON, or google.rpc.Status for OTLP; 429 and 503 get Retry-After. hint: "" for none. */
void call_fail(struct api_call *c, err e);
void call_fail_as(struct api_call *c, int status, int grpc_code, enum err_kind kind, struct str message,
                  struct str hint, const struct http_field *field);
void call_answer_json(struct api_call *c, int status, const struct buf *body);
uint32_t call_retry_s(const struct api_call *c, int status); /* what Retry-After says of a 429 or 503 */
void call_fail_access(struct api_call *c, enum access_outcome why);
bool call_is_otlp(const struct api_call *c); /* by port and path: errors are google.rpc.Status */
/* OTLP answers are of the request's type: application/json (any parameters), else application/x-protobuf. */
bool otlp_is_json(struct str content_type);
struct str otlp_content_type(bool json);
void otlp_put_status(bool json, int grpc_code, struct str message, struct buf *out); /* google.rpc.Status */
/* By Content-Type, over HTTP/2: outcomes are said in gRPC's fields. */
bool call_is_grpc(const struct api_call *c);
void call_fail_grpc(struct api_call *c, int status, int grpc_code, struct str message);
void call_answer_grpc(struct api_call *c, struct str message);
/* Is it gRPC, and in time? Takes its deadline; false: the call has ended. */
bool call_begin_grpc(struct api_call *c);
/* Takes the one message of a unary call as the request's body, and its deadline; false: the call has ended. */
bool call_take_message(struct api_call *c);
/* The deadline has passed: the call has ended, before any work was done for it. */
bool call_is_late(struct api_call *c);

/* ---- parameters ------------------------------------------------------------------------------------------------- */

/* Finds the route: NULL, having ended the call with 404 or 405. */
const struct api_route *route_find(struct api_call *c);
/* Below which path of the main port lies what a port serves at its root; NULL: it serves paths as they are. */
extern const char *const api_roots[API_PORTS];
/* Parses the query string, and before it the body of a form, by the route's table. The error names the parameter. */
err params_parse(struct api_call *c);
/* Percent-decodes; with `plus`, + is a blank. ERR_INVALID for a broken escape. */
err call_decode(struct arena *a, struct str text, bool plus, struct str *out);
/* The nearest of `names` to `name`, NULL if none is near. */
const char *nearest_name(struct str name, const char *const *names, size_t n);

/* The route must have the parameter. */
const struct api_value *call_value(const struct api_call *c, const char *name);
err call_body_is_json(const struct api_call *c); /* by Content-Type: else ERR_INVALID */
bool call_given(const struct api_call *c, const char *name);
struct str call_text(const struct api_call *c, const char *name); /* p NULL: not given */
int64_t call_number(const struct api_call *c, const char *name, int64_t otherwise);

/* ---- questions -------------------------------------------------------------------------------------------------- */

/* Begins the query of a call: tenant, budget, time limit, cancel flag. Ended by query_end. */
void call_query_begin(struct api_call *c, struct query *q);
/* start and end, by default the last hour; `open_end`: without `end` the range has none. */
err call_range(struct api_call *c, bool open_end, int64_t *out_min, int64_t *out_max);
/* All parameters of FILTER_PARAMS that the route has. */
/* The first value of the path as a trace id. */
err call_trace_id(const struct api_call *c, unsigned char out[16]);
err call_filter(struct api_call *c, struct query *q, bool open_end, struct query_filter *out);

/* ---- answers ---------------------------------------------------------------------------------------------------- */

/* A JSON object under construction, its memory charged to the query. */
struct answer {
    struct query *q;
    struct buf body;
    struct json_writer w;
    uint64_t charged;
    const char *partial_reason; /* NULL: nothing was cut, as far as the handler knows */
};
void answer_begin(struct answer *a, struct query *q); /* opens the object */
err answer_settle(struct answer *a);                  /* charges what was written so far */
/* Writes "partial" (and why), closes the object, sends it, or sends e; ends the query. */
void answer_end(struct api_call *c, struct answer *a, err e);

/* The choices of the format parameter, in their order. */
enum answer_format { FORMAT_JSON, FORMAT_OTLP, FORMAT_PROTOBUF };
/* Answers with rows as OTLP/JSON or protobuf and ends call and query; on an error neither has ended. */
err call_answer_otlp(struct api_call *c, struct query *q, enum answer_format format, const struct batch *b,
                     const uint32_t *rows, size_t n);

void write_range(struct json_writer *w, int64_t time_min, int64_t time_max);
void write_attributes(struct json_writer *w, const struct batch *b, enum set s, uint32_t row);
/* As a segment of a path, or a value of a query string, has it. */
void put_percent_encoded(struct buf *out, struct str text);
/* An id as a member; of one that is no UTF-8, which JSON cannot hold, a second one has it escaped. */
void write_id_text(struct json_writer *w, const char *name, const char *escaped_name, struct str id);
static inline void write_correlation_id(struct json_writer *w, struct str id) {
    write_id_text(w, "correlation_id", "correlation_id_encoded", id);
}
void write_correlation(struct json_writer *w, const struct batch *b,
                       uint32_t row); /* the id that came with a row, if any */
void write_kind(struct json_writer *w, uint32_t kind);
void write_status(struct json_writer *w, uint32_t status);
void write_span_stats(struct json_writer *w, const struct query_span_stats *s);
void write_duration(struct json_writer *w, const struct query_span_stats *s); /* its value alone */
struct layout_point;
void write_bends(struct json_writer *w, const struct layout_point *v, uint32_t n); /* of an edge, as a member */
void write_counts(struct json_writer *w, const char *name, const uint64_t *v, size_t n);
void write_services(struct json_writer *w, const struct query_service_count *v, size_t n);
void write_id(struct json_writer *w, const void *id, size_t n); /* null if all zero */
/* "resources": [...] and "scopes": [...] that rows refer to by index. */
void write_resources(struct json_writer *w, const struct batch *b, struct arena *a);
void write_scopes(struct json_writer *w, const struct batch *b);
void write_resource(struct json_writer *w, const struct batch *b, uint32_t resource, struct arena *a);
void write_scope(struct json_writer *w, const struct batch *b, uint32_t scope);
/* The member `id` of a log record, TIME-NAME, both of the record's content: what a link to it holds. */
void write_log_id(struct json_writer *w, const struct batch *b, uint32_t row);
/* "clocks": services whose clocks are ahead or behind. */
struct trace_tree;
void write_clocks(struct json_writer *w, const struct trace_tree *t);
/* A log record; `whole`: with its resource and scope in it, else with their indexes. */
void write_log(struct json_writer *w, const struct batch *b, uint32_t row, bool whole, struct arena *a);
/* The same with the id that it has, whose it may be, and where that is from, in place of its own. */
void write_log_of(struct json_writer *w, const struct batch *b, uint32_t row, bool whole, struct arena *a,
                  struct str id, const char *from);
/* The parameter `by`, if given: groups of the rows that fulfil f, as members. step 0: without a trend. */
err write_breakdown(struct api_call *c, struct answer *a, enum signal signal, const struct query_filter *f,
                    int64_t step);
void write_group_value(struct json_writer *w, const struct query_by *by,
                       const struct query_group_value *v); /* a number by its word */

bool write_readiness(struct json_writer *w, const struct api *api); /* status, ready, checks; is it ready? */

extern const char kind_choices[], status_choices[];

/* What /metrics counts, for other answers. */
void metrics_sum_servers(struct api *api, struct http_server_stats *out);

/* ---- documentation ---------------------------------------------------------------------------------------------- */

extern const char schemas_json[], docs_css[]; /* files of src/api/docs, carried by the program */
extern const size_t schemas_json_n, docs_css_n;
const char *route_method(const struct api_route *r);
const char *route_role(const struct api_route *r);
const char *param_type_name(enum api_param_type type);
/* What a route is about, as headings and tags say it: "traces", "otlp", "server". */
struct str route_topic(const struct api_route *r);
/* Made by the first who asks: it costs milliseconds, and anybody may ask. */
struct str text_once(struct api_text *t, void (*put)(struct buf *out));
/* The JSON Schema of that name out of schemas.json; p NULL if there is none. */
struct str schema_find(const char *name);

/* ---- handlers --------------------------------------------------------------------------------------------------- */

void handle_otlp_traces(struct api_call *c);
void handle_otlp_logs(struct api_call *c);
void handle_otlp_metrics(struct api_call *c);
/* Ingests the request's body, in its content_encoding. */
void otlp_take(struct api_call *c, enum ingest_kind kind);
void handle_grpc_traces(struct api_call *c);
void handle_grpc_logs(struct api_call *c);
void handle_grpc_metrics(struct api_call *c);
void handle_write(struct api_call *c);
void handle_import(struct api_call *c);
void handle_grpc_health_check(struct api_call *c);
void handle_grpc_health_watch(struct api_call *c);
void handle_grpc_reflection(struct api_call *c);
void health_note(struct api *api, bool stores); /* a body was stored, or could not be: who watches hears of a change */
void watches_end(struct api *api);
void handle_traces(struct api_call *c);
void handle_trace_stats(struct api_call *c);
void handle_trace_aggregate(struct api_call *c);
void handle_trace_groups(struct api_call *c);
void handle_trace(struct api_call *c);
void handle_trace_analysis(struct api_call *c);
void handle_trace_columns(struct api_call *c);
void handle_trace_find(struct api_call *c);
void handle_trace_span(struct api_call *c);
void handle_services(struct api_call *c);
void handle_service_timeseries(struct api_call *c);
void handle_services_health(struct api_call *c);
void handle_operations(struct api_call *c);
void handle_errors(struct api_call *c);
void handle_correlations(struct api_call *c);
void handle_correlation(struct api_call *c);
void handle_correlation_traces(struct api_call *c);
void handle_correlation_logs(struct api_call *c);
void handle_correlation_timeline(struct api_call *c);
void handle_correlation_flow(struct api_call *c);
void handle_correlation_metrics(struct api_call *c);
void handle_propagation(struct api_call *c);
void handle_topology_services(struct api_call *c);
void handle_topology_edges(struct api_call *c);
void handle_topology_graph(struct api_call *c);
void handle_logs(struct api_call *c);
void handle_logs_tail(struct api_call *c);
void handle_attributes(struct api_call *c);
void handle_attribute_values(struct api_call *c);
void handle_cardinality(struct api_call *c);
void handle_searches(struct api_call *c);
void handle_search(struct api_call *c);
void handle_search_put(struct api_call *c);
void handle_search_delete(struct api_call *c);
void handle_entities(struct api_call *c);
void handle_entity(struct api_call *c);
void handle_entity_make(struct api_call *c);
void handle_entity_put(struct api_call *c);
void handle_entity_delete(struct api_call *c);
void handle_records(struct api_call *c);
void handle_record(struct api_call *c);
void handle_record_make(struct api_call *c);
void handle_record_put(struct api_call *c);
void handle_record_delete(struct api_call *c);
void handle_rules_check(struct api_call *c);
void handle_rules_backtest(struct api_call *c);
void handle_rules_file(struct api_call *c);
void handle_rules_group_file(struct api_call *c);
void handle_reload(struct api_call *c);
void handle_dashboard_import(struct api_call *c);
void handle_dashboard_export(struct api_call *c);
void handle_health(struct api_call *c);
void handle_ready(struct api_call *c);
void handle_metrics(struct api_call *c);
void handle_login(struct api_call *c);
void handle_logout(struct api_call *c);
void handle_tokens(struct api_call *c);
void handle_token_make(struct api_call *c);
void handle_token_revoke(struct api_call *c);
void handle_storage(struct api_call *c);
void handle_retention(struct api_call *c);
void handle_status(struct api_call *c);
void handle_flush(struct api_call *c);
void handle_delete(struct api_call *c);
void handle_backup(struct api_call *c);
void handle_page(struct api_call *c);
void handle_page_asset(struct api_call *c);
void handle_page_graph(struct api_call *c);
void handle_openapi(struct api_call *c);
void handle_docs(struct api_call *c);
void handle_docs_style(struct api_call *c);
