/* Rollups: what a tenant's spans come to, minute by minute. Small enough to keep for more than a year, so that a list of services or a
 * map of who calls whom is read and not counted.
 *
 *   spans of a memory table ─ rollup_function ─▶ calls by key and minute ──flush──▶ files of rollups ─merge─▶ … ─▶ gone after 400 d
 *                                            └─▶ halves of edges ──pair──▶ edges by key and minute
 *
 * What a span counts as is settled above: `ingest` gives the function that says it. Here stands what becomes of that.
 *
 * A key is a view, a few texts and numbers (rollup_key). A row is a key in a minute: calls, errors, the sum of durations, an exponential
 * histogram of base 2^(1/8) (as OpenTelemetry's of scale 3, of whole ns), and the slowest call as an exemplar.
 *
 * Edges: a half is a span that calls or is called. Halves of one trace that name the same client span make an edge: each server half with
 * such a client half counts once, in the minute in which the server's span began. A client half without a server counts as a call of its peer, if it names
 * one, in its own minute.
 * A server half whose parent is no client half makes an edge as well, as servers saw it alone, if that span (rollup_parent) is of another service: another
 * namespace or name. A plain server half is a span whose kind does not say that it is called: it makes edges with another service alone.
 *
 * Invariants: DESIGN.md §4, 8. A file of rollups joins the live ones in the manifest edit of the flush that made it, so replays
 * and merges double nothing. Rows say of which minute they are, so late spans go where they belong. A delete of spans counts the hours that it touches, and those
 * around them, anew from what is left, if all their spans are still kept; retention of spans changes nothing here.
 * Limits: 1,000 operations a service, 10,000 edges and 10,000 services a tenant: those that come later are counted under the name `_other`. Halves wait for each
 * other for an hour of arrival; a second server half of a CLIENT span that is flushed apart from the first is not paired (PRODUCER spans are remembered
 * for the hour). At most 65,536 halves wait, the newest; those that waited in a file are no exemplars. Spans that were sent twice count twice.
 * In what room those leave the newest 16,384 parents and the newest 16,384 plain halves wait. A client half whose servers are deleted waits again if it began
 * in the last two hours, else it is a call of its peer at once.
 * Units: times ns since 1970, durations ns, at most ROLLUP_DURATION_MAX_NS each.
 * Threads: any. Errors: as store.h; ERR_LIMIT of the arena, ERR_CANCELLED.
 */
#pragma once

#include "store/scan.h"

struct store;

static const int64_t rollup_minute_ns = (int64_t)60 * 1000000000;
#define ROLLUP_DURATION_MAX_NS ((uint64_t)1 << 50)
#define ROLLUP_OTHER "_other"

enum rollup_view {
    ROLLUP_SPANS, /* texts: environment, namespace, service, operation, "" */
    ROLLUP_EDGE_SERVER, /* texts: environment, client's namespace, client, server's namespace, server; durations as servers measured them */
    ROLLUP_EDGE_CLIENT, /* the same keys; durations as clients measured them */
    ROLLUP_VIEWS
};
enum { ROLLUP_ENVIRONMENT, ROLLUP_NAMESPACE, ROLLUP_SERVICE, ROLLUP_OPERATION, ROLLUP_UNUSED, ROLLUP_TEXTS };
enum { ROLLUP_CLIENT_NAMESPACE = 1, ROLLUP_CLIENT, ROLLUP_SERVER_NAMESPACE, ROLLUP_SERVER };
/* Of edges. Numbers are on disk. A pair has the greater of what its halves have; a client half alone at least ROLLUP_TO_PEER. */
enum rollup_connection { ROLLUP_DIRECT, ROLLUP_TO_PEER, ROLLUP_DATABASE, ROLLUP_MESSAGING };

struct rollup_key {
    uint8_t view;
    uint8_t kind;   /* spans: OpenTelemetry's; edges: enum rollup_connection */
    uint8_t status; /* spans: OpenTelemetry's; edges: 0 */
    struct str texts[ROLLUP_TEXTS];
};
/* By view, texts, kind, status. */
int rollup_key_compare(const struct rollup_key *a, const struct rollup_key *b);

/* One span, as a call. */
struct rollup_call {
    int64_t start_ns;
    uint64_t duration_ns;
    bool failed;
    unsigned char trace_id[16];
    uint64_t span_id; /* its own, bytes in memory order */
};

/* A span that calls (a client) or is called (a server). */
struct rollup_half {
    bool is_server, is_remembered; /* remembered: other servers may come after the first */
    bool is_plain; /* of a server: its kind does not say that it is called, but its parent may be of another service */
    uint8_t connection;
    uint64_t client_span; /* the span that calls: its own id, or a server's parent; with the trace it is what pairs */
    struct str environment, space, service;
    struct str peer; /* of a client: what it calls, if nothing else tells; empty: unknown */
    struct rollup_call call;
};

/* A span that is no half that calls, and may be the parent of a span of another service all the same. */
struct rollup_parent {
    struct str environment, space, service;
    const unsigned char *trace_id; /* 16 bytes */
    uint64_t span_id;
    int64_t start_ns;
};

/* Where a rollup_function puts what it finds. Texts are copied. */
struct rollup_sink {
    const struct rollup_sink_functions *f;
};
struct rollup_sink_functions {
    /* The number of a key, good until the function returns: ask once for many calls. */
    uint32_t (*key)(struct rollup_sink *s, const struct rollup_key *key);
    void (*add)(struct rollup_sink *s, uint32_t key, const struct rollup_call *call);
    void (*half)(struct rollup_sink *s, const struct rollup_half *half);
    void (*parent)(struct rollup_sink *s, const struct rollup_parent *parent);
};
static inline uint32_t rollup_sink_key(struct rollup_sink *s, const struct rollup_key *key) {
    return s->f->key(s, key);
}
static inline void rollup_sink_add(struct rollup_sink *s, uint32_t key, const struct rollup_call *call) {
    s->f->add(s, key, call);
}
static inline void rollup_sink_half(struct rollup_sink *s, const struct rollup_half *half) { s->f->half(s, half); }
static inline void rollup_sink_parent(struct rollup_sink *s, const struct rollup_parent *p) { s->f->parent(s, p); }

/* Says what rows of a batch of spans come to; `rows` NULL: all n of them. The same rows must always come to the same. From any thread, several at once. */
typedef void (*rollup_fn)(void *context, const struct batch *b, const uint32_t *rows, uint32_t n,
                          struct rollup_sink *out);
struct rollup_function {
    rollup_fn run; /* NULL: the store keeps no rollups */
    void *context;
};

/* ---- reading ---------------------------------------------------------------------------------------------------- */

struct rollup_request {
    bool views[ROLLUP_VIEWS];
    int64_t time_min, time_max; /* minutes that begin in it */
    /* What one row covers: a multiple of a minute, counted from 1970; 0: all of the range. Whole hours are the cheapest. */
    int64_t step_ns;
    struct str environment;    /* p NULL: all */
    struct str space, service; /* p NULL: all; of edges: one of both ends */
    bool buckets, exemplars;   /* wanted */
    bool
        by_service; /* spans: operations, kinds and statuses of a service as one row, with none of them; `_other` apart */
    /* Client halves that began later and still wait are not yet taken for calls of their peers. */
    int64_t unmatched_before_ns;
    int64_t deadline_ns; /* as in scan_request */
    bool (*is_cancelled)(const void *context);
    const void *cancel_context;
};

struct rollup_exemplar {
    unsigned char trace_id[16];
    uint64_t span_id, duration_ns;
    int64_t start_ns;
};

/* Bucket 0: 0 ns. Bucket i: over rollup_bucket_upper_ns(i - 1), up to rollup_bucket_upper_ns(i), which is 2^((i-1)/8). */
enum { ROLLUP_BUCKETS = 50 * 8 + 2 };
struct rollup_row {
    const struct rollup_key *key;
    int64_t time_ns; /* where what it covers begins, or time_min */
    uint64_t calls, errors, sum_ns;
    int64_t last_ns; /* the newest start */
    uint32_t bucket_first, bucket_count;
    const uint64_t *buckets;                /* of bucket_first, …; NULL: not wanted */
    const struct rollup_exemplar *exemplar; /* the slowest call; NULL: none, or not wanted */
};
struct rollup_rows {
    struct rollup_row *v; /* by key, then time */
    size_t n;
};
/* Memory is the arena's. A tenant that is not known has none. `stats` is added to, also on an error. */
err store_rollups(struct store *s, struct str tenant, const struct rollup_request *r, struct arena *a,
                  struct rollup_rows *out, struct scan_stats *stats);

/* The key of the row that a key counts in. */
struct rollup_key rollup_key_for(const struct rollup_request *r, const struct rollup_key *key);
uint32_t rollup_bucket_of(uint64_t ns);
double rollup_bucket_upper_ns(uint32_t bucket);
/* True if `a` is the one to show. */
bool rollup_exemplar_is_slower(const struct rollup_exemplar *a, const struct rollup_exemplar *b);
