/* query: questions to the store and their answers: traces, their statistics, services, operations, one trace, logs.
 *
 *   query_begin ─▶ build a filter in q->arena ─▶ query_traces | query_logs | … ─▶ read the answer ─▶ query_end
 *
 * Every question has a deadline, a memory limit drawn from the budget, a cancel flag and an asker who may go away: time,
 * flag and asker are looked at before each row group. The answer's memory is the query's. q->stats.bad_blocks > 0 means: the answer is partial (invariant 7 of the store).
 *
 * Words: the service of a row is its resource's service.name, or "unknown_service"; the environment is
 * deployment.environment.name, else deployment.environment, else "default" (empty values count as absent). An error is a
 * span with status 2. Times are ns since 1970, ranges include both ends; durations are ns.
 *
 * Pages: a cursor names the last row given by what is in it, not by where it stood; so pages neither repeat nor skip
 * a row while new rows come in, tables are flushed and parts merge. It keeps the range and refuses another question.
 *
 * Owner and threads: a query belongs to one thread; any number run at once. Only `cancel` may be set from elsewhere.
 * Limits: 256 MiB and 30 s by default; 32 conditions; traces 1,000 and logs 10,000 a page; 100,000 spans of a trace shown.
 * Errors: ERR_INVALID (condition or cursor; has the position), ERR_NOT_FOUND (trace), ERR_LIMIT (memory of this question),
 * ERR_BUSY (the budget of all), ERR_CANCELLED (deadline, cancel flag, asker gone), and those of the store.
 */
#pragma once

#include <stdatomic.h>

#include "store/store.h"

struct query_options {
    struct store *store;
    struct str tenant;
    struct budget *budget;                   /* NULL: none */
    size_t memory_max_bytes;                 /* 0: 256 MiB */
    int64_t timeout_ns;                      /* 0: 30 s */
    atomic_bool *cancel;                     /* NULL: none */
    bool (*is_abandoned)(const void *asker); /* nobody waits for the answer any more; NULL: somebody always does */
    const void *asker;
};

enum { QUERY_WHERE_MAX = 32, QUERY_TRACES_MAX = 1000, QUERY_LOGS_MAX = 10000, QUERY_SPANS_MAX = 100000 };
enum { QUERY_BUCKETS_MAX = 1000, QUERY_CURSOR_MAX = 160, QUERY_MISSING_MAX = 100 };

struct query {
    struct query_options options;
    struct arena arena;      /* of the filter and of the answer */
    struct scan_stats stats; /* what it took */
    int64_t deadline_ns;     /* monotonic */
    uint64_t charged_bytes;  /* taken from the budget so far */
    uint64_t other_bytes;    /* of these, outside the arena */
    struct snapshot *snapshots[SIGNALS];
    bool left_out;           /* a trace too large for this query: the answer is partial */
    struct query_held *held; /* predicates and batches that end with the query */
};
void query_begin(struct query *q, const struct query_options *options);
void query_end(struct query *q);
/* Accounts for `more` bytes outside the arena that live as long as the query (the text of an answer). */
err query_charge(struct query *q, uint64_t more);

/* True if a text was too costly for a regular expression and counted as none, or a trace too large to be looked at and left
 * out: the answer is partial. */
bool query_gave_up(const struct query *q);

/* ---- filters ---------------------------------------------------------------------------------------------------- */

/* All conditions must hold for one and the same row. */
struct query_filter {
    int64_t time_min, time_max;
    struct str service, environment, operation; /* p NULL: any */
    struct str text;                            /* words (store/scan.h); empty: any */
    int status, kind;                           /* spans; -1: any */
    int64_t duration_min, duration_max;         /* spans */
    bool is_root;                               /* spans without a parent alone */
    int severity_min;                           /* logs; 0: any */
    const unsigned char *trace_id, *span_id;    /* logs; NULL: any */
    struct predicate where[QUERY_WHERE_MAX];
    size_t where_count;
};
void query_filter_init(struct query_filter *f);
/* Parses `KEY OP VALUE` and adds it. KEY: an attribute's name, of the row or else of its resource; with a prefix
 * resource. span. log. scope. event. only of that; in double quotes it is taken as it stands (\" and \\ escape); correlation_id
 * without either is the id that came with the row (FIELD_CORRELATION). OP:
 * = != > >= < <= ~ !~ (a regular expression), or the words exists and absent, without VALUE. VALUE: the rest, or in
 * double quotes. Errors name the position: `at 7: …`. */
err query_filter_where(struct query *q, struct query_filter *f, struct str text);
/* The same parser alone: made in `a`; end it with predicate_done. */
err where_parse(struct arena *a, struct str text, struct predicate *out);
err where_parse_key(struct arena *a, struct str text, struct column_ref *out); /* KEY alone */

/* ---- traces ----------------------------------------------------------------------------------------------------- */

enum query_order { QUERY_NEWEST, QUERY_LONGEST, QUERY_OLDEST };

/* Traces with at least one span that fulfils the filter; newest: by their newest such span's start; longest: by their longest such
 * span. */
struct query_traces {
    struct query_filter filter;
    enum query_order order; /* QUERY_NEWEST or QUERY_LONGEST */
    size_t limit;           /* 1 .. QUERY_TRACES_MAX */
    struct str cursor;      /* empty: the first page */
};
struct query_service_count {
    struct str service;
    uint32_t spans, errors;
};
/* A summary is of the whole trace, also of spans outside the filter and the range; equal spans count once (11). */
struct query_trace_summary {
    unsigned char trace_id[16];
    struct str root_service, root_name; /* the first span without a parent, else the first whose parent is missing */
    bool root_missing;                  /* the latter */
    struct str correlation_id;          /* of the earliest span that came with one; "" if none, or of a bare trace */
    int64_t start, duration;
    uint32_t spans, errors, matched;            /* matched: spans that fulfil the filter */
    const struct query_service_count *services; /* most spans first */
    size_t service_count;
    int64_t matched_time, matched_duration; /* newest start and longest duration of matched spans */
    int64_t matched_start;                  /* their earliest start; INT64_MAX if none matched */
};
struct query_traces_answer {
    const struct query_trace_summary *traces;
    size_t n;
    char next_cursor[QUERY_CURSOR_MAX]; /* empty: no more */
};
err query_traces(struct query *q, const struct query_traces *r, struct query_traces_answer *out);

enum { QUERY_P50, QUERY_P90, QUERY_P95, QUERY_P99, QUERY_QUANTILES };
/* Counts and durations of spans; quantiles are right to 1.6 %. */
struct query_span_stats {
    uint64_t spans, errors;
    int64_t duration_sum, duration_min, duration_max;
    int64_t quantiles[QUERY_QUANTILES];
};
struct query_bucket {
    int64_t start;
    struct query_span_stats stats;
};
struct query_operation {
    struct str service, name; /* "_other": what did not fit in 2,000 groups */
    uint32_t kind;
    struct query_span_stats stats;
};
enum { QUERY_SERVICES_MAX = 200 };
struct query_service_stats {
    struct str service; /* "_other": what did not fit in QUERY_SERVICES_MAX, or in the 2,000 groups */
    struct query_span_stats stats;
    const uint64_t *bucket_spans, *bucket_errors; /* bucket_count of each */
};
struct query_trace_stats {
    struct query_filter filter;
    int64_t step;    /* of a bucket; 0: chosen for about 60 buckets */
    size_t top;      /* operations wanted */
    size_t services; /* services wanted, at most QUERY_SERVICES_MAX; 0: do not count by service */
};
struct query_trace_stats_answer {
    struct query_span_stats total;
    uint64_t traces; /* distinct; at least that many if traces_cut */
    bool traces_cut; /* more than 4 million */
    int64_t step;
    const struct query_bucket *buckets; /* all of the range's, oldest first, empty ones too */
    size_t bucket_count;
    const struct query_operation *top; /* by service, operation and kind, most spans first */
    size_t top_count;
    const struct query_service_stats *services; /* most spans first */
    size_t service_count;
};
err query_trace_stats(struct query *q, const struct query_trace_stats *r, struct query_trace_stats_answer *out);

/* ---- services and operations ------------------------------------------------------------------------------------ */

struct query_service {
    struct str name, space, environment; /* space: service.namespace */
    bool signals[SIGNALS];
    uint64_t logs; /* only if counted, as are those below */
    struct query_span_stats spans;
    int64_t last_seen;
};
struct query_services_answer {
    const struct query_service *services;
    size_t n;
    bool rolled; /* spans are those of rollups (rollups.h), of the whole minutes of time_min to time_max */
    int64_t time_min, time_max; /* spans that were counted */
    uint64_t folded;            /* spans counted under `_other` */
};
/* Services of the range by name, from resources alone, so a service may show whose rows are just outside it. `count`: spans
 * from rollups, or exactly by a scan; logs always so. environment p NULL: all. */
err query_services(struct query *q, int64_t time_min, int64_t time_max, struct str environment, bool count,
                   struct query_services_answer *out);

struct query_operations_answer {
    const struct query_operation *operations;
    size_t n;
};
/* Operations (name and kind) of f->service, most spans first. */
err query_operations(struct query *q, const struct query_filter *f, size_t limit, struct query_operations_answer *out);

/* ---- one trace -------------------------------------------------------------------------------------------------- */

struct query_span {
    uint32_t row;      /* of the batch */
    uint32_t depth;    /* 0: a root */
    int64_t self_time; /* duration without what its children cover */
    bool parent_missing;
    uint32_t children;
    struct str service;
};
struct query_trace_answer {
    struct batch batch;             /* the spans, with duplicates */
    const struct query_span *spans; /* once each; parents before children, siblings by start */
    size_t n;
    bool cut;          /* more than QUERY_SPANS_MAX rows, or than the memory holds: the rest is left out */
    size_t duplicates; /* rows left out because they were equal (11) */
    struct query_trace_summary summary;
    const uint64_t *missing; /* the first 100 distinct parent ids that are not there, raw */
    size_t missing_count;
};
err query_trace(struct query *q, const unsigned char id[16], struct query_trace_answer *out);
/* The same tree over a batch that has only ids, times, kind, status, name and service: for answers without attributes. */
err query_trace_bare(struct query *q, const unsigned char id[16], struct query_trace_answer *out);

/* Span ids of the spans of f->trace_id that fulfil the filter: each once, ascending as raw numbers. An unknown trace has none. */
struct query_span_ids {
    uint64_t *ids;
    size_t n;
    bool cut; /* more than QUERY_SPANS_MAX */
};
err query_trace_find(struct query *q, const struct query_filter *f, struct query_span_ids *out);

/* The spans of one id, by start: more than one only if a sender uses an id twice. ERR_NOT_FOUND if there is none. */
enum { QUERY_SAME_ID_MAX = 64 }; /* rows looked at */
struct query_spans {
    struct batch batch;
    const uint32_t *rows; /* of the batch; equal spans (11) once */
    uint32_t n;
    bool cut; /* more rows have this id than were looked at */
};
err query_trace_span(struct query *q, const unsigned char trace_id[16], const unsigned char span_id[8],
                     struct query_spans *out);

/* ---- logs ------------------------------------------------------------------------------------------------------- */

/* Rows are ordered by time, then observed time; rows equal in both by their content, within a page by arrival. */
struct query_logs {
    struct query_filter filter;
    enum query_order order; /* QUERY_NEWEST or QUERY_OLDEST */
    size_t limit;           /* 1 .. QUERY_LOGS_MAX */
    struct str cursor;
};
struct query_logs_answer {
    struct batch batch;
    const uint32_t *rows; /* of the batch, in the order asked */
    size_t n;
    char next_cursor[QUERY_CURSOR_MAX];
};
err query_logs(struct query *q, const struct query_logs *r, struct query_logs_answer *out);
err query_log_count(struct query *q, const struct query_filter *f, uint64_t *out);

/* severity_number by class: unset or unknown, trace 1–4, debug, info, warn, error, fatal 21–24. */
enum {
    SEVERITY_UNSET,
    SEVERITY_TRACE,
    SEVERITY_DEBUG,
    SEVERITY_INFO,
    SEVERITY_WARN,
    SEVERITY_ERROR,
    SEVERITY_FATAL,
    SEVERITY_CLASSES
};
extern const char *const severity_class_names[SEVERITY_CLASSES];
int severity_class(uint32_t severity_number);
struct query_log_bucket {
    int64_t start;
    uint64_t counts[SEVERITY_CLASSES];
};
struct query_log_histogram_answer {
    uint64_t total;
    int64_t step;
    const struct query_log_bucket *buckets; /* all of the range's, oldest first */
    size_t n;
};
/* step 0: chosen for about 60 buckets. */
err query_log_histogram(struct query *q, const struct query_filter *f, int64_t step,
                        struct query_log_histogram_answer *out);

/* A name of a record for links: with its time it stays what it is, whatever becomes of files. Equal records share it. */
uint64_t query_log_identity(const struct batch *b, uint32_t row);

/* ---- rows that come later --------------------------------------------------------------------------------------- */

/* A filter for batches that the caller brings (ingest/live.h). It is the query's, which must live as long. */
struct query_follow;
err query_follow_make(struct query *q, enum signal signal, const struct query_filter *f, struct query_follow **out);
/* Rows of the batch that fulfil the filter, ascending; `rows` has room for all. Each call has the query's time limit anew. */
err query_follow_pick(struct query_follow *f, const struct batch *b, uint32_t *rows, uint32_t *out_n);

/* The service and environment of a row or a resource, by the rules above. Text that is no string attribute is made in `a`. */
struct str query_row_service(const struct batch *b, uint32_t row, struct arena *a);
struct str query_row_environment(const struct batch *b, uint32_t row, struct arena *a);
struct str query_resource_service(const struct batch *b, uint32_t resource, struct arena *a);
struct str query_resource_environment(const struct batch *b, uint32_t resource, struct arena *a);
