/* Prometheus's HTTP API (3.5) below /prometheus, and at the root of its own port: what its clients ask, to the letter.
 *
 *   call ─ form or query string ─▶ promql_parse ─▶ promql_run over series_source ─▶ {"status":"success","data":…,"warnings":[…]}
 *                                      └ bad_data 400                 └ execution 422, timeout 503, canceled 499 ─▶ {"status":"error",…}
 *
 * Unknown parameters are ignored, as Prometheus ignores them. Times: seconds since 1970 with a fraction, or RFC 3339; durations:
 * seconds, or 1h30m. Roles: read; admin deletes. What clew does not have is answered empty.
 * Limits: 11,000 points a series; 250 matchers sets a question; answers as the query's memory. Rows are charged as they are written.
 * Source: Prometheus 3.5, web/api/v1/api.go, web/federate.go, storage/remote (read); its OpenAPI document.
 */
#pragma once

#include "api/api_priv.h"
#include "query/series/series.h"

/* The version whose behaviour this is: what buildinfo says, since clients choose by it. */
#define PROMETHEUS_VERSION "3.5.0"

/* errorType and status of a failure; LIKE_KIND: by the kind of the error. */
enum prometheus_failure { FAILURE_LIKE_KIND, FAILURE_BAD_DATA, FAILURE_EXECUTION };

enum { PROMETHEUS_NOTES_MAX = 4 };

/* One answer under way: a query with a snapshot of the series, and JSON. */
struct prometheus {
    struct api_call *c;
    struct query q;
    struct series_source source;
    struct answer a;
    enum prometheus_failure failure; /* of the error that is returned next */
    bool ran_full;                   /* the query's memory */
    const struct str *warnings, *infos;
    size_t warning_n, info_n;
    struct str notes[PROMETHEUS_NOTES_MAX]; /* warnings of our own */
    size_t note_n;
};

/* Opens query, snapshot and the object up to "data":, lets `fill` write the value, ends the call. */
void prometheus_answer(struct api_call *c, err (*fill)(struct prometheus *p));
/* The same without a body: 204. */
void prometheus_do(struct api_call *c, err (*act)(struct prometheus *p));
/* What is no JSON: `fill` writes into p->a.body and names its type. */
void prometheus_answer_as(struct api_call *c, err (*fill)(struct prometheus *p, struct api_reply *reply));
void prometheus_put_error(struct buf *out, int status, struct str message); /* the envelope of an error */
/* Marks what a failing call says: prometheus_bad(p, e) is ERR with errorType bad_data. NULL stays NULL. */
err prometheus_bad(struct prometheus *p, err e) __attribute__((warn_unused_result));
err prometheus_bad_param(struct prometheus *p, const char *name, err e) __attribute__((warn_unused_result));
void prometheus_note(struct prometheus *p, struct str warning); /* a text that lives on */

/* ---- parameters ------------------------------------------------------------------------------------------------- */

/* As far as times go: what Prometheus's own ends, written as dates, are taken for. */
#define PROMETHEUS_TIME_MIN (-INT64_C(1000000000000000000))
#define PROMETHEUS_TIME_MAX INT64_C(1000000000000000000)
err prometheus_parse_time(struct str text, int64_t *out_ms);
err prometheus_parse_duration(struct str text, int64_t *out_ns);
err prometheus_time(struct prometheus *p, const char *name, int64_t otherwise_ms, int64_t *out_ms);
err prometheus_limit(struct prometheus *p, const char *name, uint64_t *out); /* 0: none */
/* start and end; those that are not given are without bound. */
err prometheus_range(struct prometheus *p, int64_t *out_min_ms, int64_t *out_max_ms);
/* The series selectors of match[], ready to be asked; each must ask for something. Ended by prometheus_matches_done. */
struct prometheus_matches {
    struct {
        struct label_matcher *v;
        uint32_t n;
    } sets[API_REPEATS_MAX];
    size_t n;
};
err prometheus_matches(struct prometheus *p, struct prometheus_matches *out);
err prometheus_match(struct prometheus *p, struct str text, struct label_matcher **out,
                     uint32_t *out_n); /* one of them */
void prometheus_matches_done(struct prometheus_matches *m);
/* The series of set i in the range, `limit` of them at most (0: all), with the checks that a question needs. */
err prometheus_select(struct prometheus *p, const struct prometheus_matches *m, size_t i, int64_t min_ms,
                      int64_t max_ms, uint32_t limit, struct series_wish wish, struct series_found **out);
err prometheus_parse_query(struct prometheus *p, const struct promql_node **out); /* the parameter `query` */
/* U__a_2e_b → a.b; what is no such escape stays as it is. */
struct str prometheus_unescape(struct arena *a, struct str name);

/* ---- values ----------------------------------------------------------------------------------------------------- */

void prometheus_put_time(struct buf *out, int64_t ms); /* 1435781451.781 */
const char *prometheus_type_name(enum metric_type type);
void prometheus_write_labels(struct json_writer *w, struct labels labels);
err prometheus_write_result(struct prometheus *p, const struct promql_answer *answer, uint64_t limit);

/* ---- handlers --------------------------------------------------------------------------------------------------- */

void handle_prometheus_query(struct api_call *c);
void handle_prometheus_query_range(struct api_call *c);
void handle_prometheus_exemplars(struct api_call *c);
void handle_prometheus_format(struct api_call *c);
void handle_prometheus_parse(struct api_call *c);
void handle_prometheus_series(struct api_call *c);
void handle_prometheus_labels(struct api_call *c);
void handle_prometheus_label_values(struct api_call *c);
void handle_prometheus_metadata(struct api_call *c);
void handle_prometheus_delete(struct api_call *c);
void handle_prometheus_clean(struct api_call *c);
void handle_prometheus_federate(struct api_call *c);
void handle_prometheus_read(struct api_call *c);
void handle_prometheus_config(struct api_call *c);
void handle_prometheus_flags(struct api_call *c);
void handle_prometheus_runtime(struct api_call *c);
void handle_prometheus_build(struct api_call *c);
void handle_prometheus_tsdb(struct api_call *c);
void handle_prometheus_wal(struct api_call *c);
void handle_prometheus_targets(struct api_call *c);
void handle_prometheus_targets_metadata(struct api_call *c);
void handle_prometheus_pools(struct api_call *c);
void handle_prometheus_notifications(struct api_call *c);
void handle_prometheus_rules(struct api_call *c);
void handle_prometheus_alerts(struct api_call *c);
void handle_prometheus_alertmanagers(struct api_call *c);
void handle_prometheus_healthy(struct api_call *c);
void handle_prometheus_ready(struct api_call *c);
