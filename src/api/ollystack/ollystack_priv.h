/* OllyStack's API and its AI engine's, for its page and scripts: below /ollystack, and at the root of a port of its own.
 *
 *   call ─ /ai stripped ─ query string or body, read as Go reads them ─▶ native questions (query, insight)
 *             ─▶ their formulas (percentiles by index, normalised messages, trends) ─▶ one JSON object, in Go's text or Python's
 *
 * Where the page and the server upstream disagree an answer has the members of both; docs/ollystack.md says what differs and why.
 * Nothing is stored and nothing analysed here but by the formulas of the contract.
 *
 * Units: times as the endpoint has them (RFC 3339 with trimmed zeros, µs, Python's ISO without zone); durations ns unless the name ends in Ms or _ms;
 * rates in percent.
 * Limits: the newest OLLY_TRACES_MAX traces of a range, OLLY_LOGS_SEEN log records looked at; what is cut is said: `partial`.
 * Bodies of JSON: 1 MiB, OLLY_BODY_DEPTH deep. WebSockets: OLLY_SOCKETS_MAX at once.
 * Threads: as calls. Errors: {"error":…} and {"detail":…}.
 * Source: shared/reference/ollystack-api.md (mbeema/ollystack at fb9c65e, read in our own words).
 */
#pragma once

#include "api/api_priv.h"

enum {
    OLLY_TRACES_MAX = 10000,
    OLLY_LOGS_SEEN = 50000,
    OLLY_BODY_MAX = 1024 * 1024,
    OLLY_BODY_DEPTH = 32,
    OLLY_CUTS_MAX = 4,
    OLLY_SOCKETS_MAX = 64,
};

/* ---- what the rooms above ask of a path (envelope.c, route.c) ------------------------------------------------------ */

void olly_take_path(struct api_call *c);      /* strips /ai, as the nginx upstream does */
bool olly_has_path(const struct api_call *c); /* it is below /ollystack/ */
bool olly_admit(struct api_call *c); /* false: an OPTIONS, from whatever page, and the call has ended with 204 */
bool olly_is_otlp(enum api_port port, struct str path);
bool olly_is_ai(enum api_port port, struct str target);
bool olly_speaks_ai(const struct api_call *c); /* errors are {"detail":…} */
struct str olly_content_type(const struct api_call *c);
struct str olly_request_id(struct api_call *c); /* X-Request-ID as sent, or a new UUID */
void olly_put_error(struct buf *out, bool ai, struct str message);
const char *olly_refusal(const struct api_call *c, enum access_outcome why, const char *message);
/* No route has this path (near NULL), or none of them this method. Ends the call. */
void olly_fail_route(struct api_call *c, const struct api_route *near);
void olly_redirect(struct api_call *c); /* to the path without its last slash: 301 of a GET, else 307 */

/* ---- answers ---------------------------------------------------------------------------------------------------- */

/* One answer under way: a query, and an object that is open. */
struct olly {
    struct api_call *c;
    struct query q;
    struct answer a;
    struct json_writer *w;
    int status;         /* 200 unless it is set */
    struct str lost_id; /* of a correlation: a 404 names it; p NULL: none */
    const char *cuts[OLLY_CUTS_MAX];
    size_t cut_n;
};
typedef err olly_fill(struct olly *o);
/* Begins the query and the object, lets `fill` write its members (sorted, as Go's maps are), ends the call. */
void olly_answer(struct api_call *c, olly_fill *fill);
void olly_cut(struct olly *o, const char *why); /* the answer is not all there is */
void olly_answer_text(struct api_call *c, int status, struct str json);
/* An error without a query. */
void olly_fail(struct api_call *c, int status, struct str message);

/* ---- Go's and Python's text (text.c) ------------------------------------------------------------------------------ */

/* JSON as Go escapes it: < > & and U+2028, U+2029 as \u003c …; / as it is. */
void olly_put_go_json(struct buf *out, struct str json);
bool olly_needs_go_json(struct str json);
void olly_time(struct json_writer *w, int64_t ns); /* RFC 3339, zeros at the end trimmed */
/* As olly_time, in the zone of `sent`, a text that parse_time read as `ns`: what came as 12:00:00+01:00 goes back so. */
void olly_time_as_sent(struct json_writer *w, int64_t ns, struct str sent);
void olly_python_time(struct json_writer *w, int64_t ns); /* 2026-11-20T15:40:12.123456, UTC without saying so */
void olly_f64_2(struct json_writer *w, double v);         /* two decimals */
double olly_ms(double ns);
double olly_percent(uint64_t part, uint64_t whole); /* 0 of nothing */
/* "timeRange": {"start","end","hours"} */
void olly_time_range(struct json_writer *w, int64_t start, int64_t end, int64_t hours);
void olly_key_time(struct json_writer *w, const char *key, int64_t ns);

/* ---- parameters (param.c) ------------------------------------------------------------------------------------------ */

err olly_integer(const struct api_call *c, const char *name, int64_t otherwise,
                 int64_t *out); /* Go's error if it is none */
int64_t olly_integer_or(const struct api_call *c, const char *name, int64_t absent, int64_t bad);
struct str olly_text(const struct api_call *c, const char *name); /* "" if it is not given */
int64_t olly_hours(const struct api_call *c, int64_t otherwise);  /* `hours`, 1 .. 24 × 366 */
/* RFC 3339; what is none is `otherwise`. */
int64_t olly_time_or(struct str text, int64_t otherwise);
int64_t olly_duration_or(struct str text, int64_t otherwise); /* as time.ParseDuration of Go, ns; otherwise what is none */
/* The pattern of SQL's ILIKE '%text%', as a regular expression; p NULL if it is too long. */
struct str olly_like(struct arena *a, struct str text);

/* A member of a body: where it goes by its type; `given` may be NULL. */
struct olly_member {
    const char *name;
    enum { OLLY_TEXT, OLLY_BOOLEAN, OLLY_INTEGER } type;
    void *out; /* struct str, bool, int64_t */
    bool *given;
};
/* Reads a JSON object; what it has beyond the members is skipped. ERR_INVALID in the words of Go's decoder, or nearly. */
err olly_body(struct api_call *c, const struct olly_member *members, size_t n);

/* ---- traces (rows.c) ----------------------------------------------------------------------------------------------- */

/* A trace as a row of a list: of the spans that a filter takes. */
struct olly_trace {
    unsigned char id[16];
    struct str service, operation; /* of its root */
    int64_t start, duration;       /* of the earliest span, of the longest */
    uint64_t spans;
    bool failed;
};
enum olly_wanted { OLLY_ANY, OLLY_OK, OLLY_FAILED };
struct olly_traces {
    const struct olly_trace *v; /* newest first */
    size_t n;
};
/* The newest `max` traces that are as wanted, of the newest OLLY_TRACES_MAX. */
err olly_traces_read(struct olly *o, const struct query_filter *f, enum olly_wanted wanted, size_t max,
                     struct olly_traces *out);
void olly_trace_id(struct json_writer *w, const unsigned char id[16]);
/* The last `hours` up to now, of one service unless it is empty. */
void olly_window(const struct olly *o, int64_t hours, struct str service, struct query_filter *out);
int olly_by_i64(const void *x, const void *y);
int olly_by_f64(const void *x, const void *y);
/* sorted[⌊n·p/100⌋]; 0 of nothing. */
int64_t olly_percentile(const int64_t *sorted, size_t n, size_t p);

/* ---- spans and logs (span.c, log_row.c) ---------------------------------------------------------------------------- */

/* {"key":"text"} of attributes, by key, each once; `resource` true: the resource's too, as resource.KEY. */
err olly_attributes(struct olly *o, const struct batch *b, uint32_t row, bool resource);
const char *olly_status(uint32_t status);
/* The trace that the path names; ERR_NOT_FOUND "trace not found", also of what is no id. */
err olly_find_trace(struct olly *o, struct query_trace_answer *out);

struct olly_log {
    struct str body;             /* text, or JSON */
    struct str severity;         /* ERROR WARN INFO DEBUG, or what was sent if it is none of the known ones; "" */
    struct str service, message; /* of the record, else out of a body of JSON; the body's message, else the body */
    struct str raw_severity;     /* upper case, before it was mapped */
    uint32_t number;
};
err olly_log_read(struct arena *a, const struct batch *b, uint32_t row, struct olly_log *out);

/* ---- handlers --------------------------------------------------------------------------------------------------- */

void handle_olly_health(struct api_call *c);
void handle_olly_ready(struct api_call *c);
void handle_olly_traces(struct api_call *c);
void handle_olly_stats(struct api_call *c);
void handle_olly_patterns(struct api_call *c);
void handle_olly_fingerprints(struct api_call *c);
void handle_olly_aggregate(struct api_call *c);
void handle_olly_group(struct api_call *c);
void handle_olly_search(struct api_call *c);
void handle_olly_trace(struct api_call *c);
void handle_olly_spans(struct api_call *c);
void handle_olly_analyze(struct api_call *c);
void handle_olly_logs(struct api_call *c);
void handle_olly_log_labels(struct api_call *c);
void handle_olly_metrics(struct api_call *c);
void handle_olly_metrics_range(struct api_call *c);
void handle_olly_metric_labels(struct api_call *c);
void handle_olly_metric_values(struct api_call *c);
void handle_olly_metric_series(struct api_call *c);
void handle_olly_services(struct api_call *c);
void handle_olly_edges(struct api_call *c);
void handle_olly_graph(struct api_call *c);
void handle_olly_correlations(struct api_call *c);
void handle_olly_correlation_search(struct api_call *c);
void handle_olly_correlation(struct api_call *c);
void handle_olly_correlation_traces(struct api_call *c);
void handle_olly_correlation_logs(struct api_call *c);
void handle_olly_correlation_timeline(struct api_call *c);
void handle_olly_records(struct api_call *c); /* alerts, dashboards: none */
void handle_olly_record(struct api_call *c);
void handle_olly_record_make(struct api_call *c);
void handle_olly_record_put(struct api_call *c);
void handle_olly_record_delete(struct api_call *c);
void handle_olly_query(struct api_call *c);
void handle_olly_ask(struct api_call *c);
void handle_olly_suggestions(struct api_call *c);
void handle_olly_socket(struct api_call *c);
void handle_olly_ai_health(struct api_call *c);
void handle_olly_ai_timeseries(struct api_call *c);
void handle_olly_ai_absent(struct api_call *c);
