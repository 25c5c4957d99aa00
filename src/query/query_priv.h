/* What the rooms of query share: the compiled filter, the scan with its checks that no predicate can say, held things.
 *
 *   query_filter ─ matcher_make ─▶ matcher ─ query_scan ─▶ picked rows of each chunk
 *                                        └─ matcher_matches_row ─▶ the same by definition, on whole rows
 *
 * The environment (two attributes and a default) and the service "unknown_service" are not one predicate: they are
 * checked after the scan, on columns that query_scan appends to the wanted ones.
 */
#pragma once

#include "query/query.h"

enum { MATCHER_PREDICATES_MAX = QUERY_WHERE_MAX + 13, SCAN_COLUMNS_MAX = 20 };

struct matcher {
    enum signal signal;
    int64_t time_min, time_max;
    struct predicate predicates[MATCHER_PREDICATES_MAX];
    size_t predicate_count;
    struct str environment; /* p NULL: any */
    bool unknown_service;   /* wanted: rows without a service name */
    bool oldest_first;      /* the order of chunks */
};
/* Compiles a filter; its memory is the query's. */
err matcher_make(struct query *q, enum signal signal, const struct query_filter *f, struct matcher *out);
/* By definition, time range included. */
bool matcher_matches_row(const struct matcher *m, const struct batch *b, uint32_t row, struct arena *scratch);

/* Rows of a chunk that also passed the later checks. */
struct picked {
    const struct chunk *chunk;
    const uint32_t *index; /* which of the chunk's rows; NULL: all, 0 .. n-1 */
    uint32_t n;
};
static inline uint32_t picked_at(const struct picked *p, uint32_t k) { return p->index ? p->index[k] : k; }
static inline struct str vector_text(const struct vector *v, uint32_t i) {
    return v->codes[i] == CODE_ABSENT ? (struct str){"", 0} : v->texts[v->codes[i]];
}

/* One call for each chunk with picked rows. SCAN_STOP ends the scan; an error is set in *out_error and ends it too. */
typedef enum scan_next (*picked_fn)(void *context, const struct picked *rows, err *out_error);
err query_scan(struct query *q, const struct matcher *m, const struct column_ref *columns, size_t column_count,
               picked_fn fn, void *context);
/* True if a count alone can be had without looking at columns. */
bool matcher_is_pushed_down(const struct matcher *m);

/* Takes resource. span. log. scope. or event. from the front of the text; TARGET_ANY: it has none. */
enum target where_prefix(struct str *text);

/* COLUMN_… as a value, …_COLUMN in a table: gcc takes no nested compound literal as a constant. */
#define FIELD_COLUMN(f)                                                                                                \
    { .target = TARGET_FIELD, .field = (f) }
#define RESOURCE_COLUMN(k)                                                                                             \
    { .target = TARGET_RESOURCE, .key = STR(k) }
#define COLUMN_FIELD(f) (struct column_ref) FIELD_COLUMN(f)
#define COLUMN_RESOURCE(k) (struct column_ref) RESOURCE_COLUMN(k)

/* The query's snapshot of a signal, taken at first use: all of a question sees one state. */
err query_snapshot(struct query *q, enum signal signal, struct snapshot **out);
/* For scan_request: the cancel flag is set, or the asker gone. */
bool query_is_cancelled(const void *query);
/* All of a range, until the query's end. */
struct scan_request query_range(const struct query *q, int64_t time_min, int64_t time_max);
/* Memory that was charged is freed again. What was taken from the budget is kept for what comes. */
static inline void query_discharge(struct query *q, uint64_t bytes) { q->other_bytes -= bytes; }
/* ERR_CANCELLED after the deadline, when the flag is set or the asker gone. */
err query_check(const struct query *q);
/* Brings what was taken from the budget up to the arena's use; `limit` if the arena is full. */
err query_settle(struct query *q);
/* Ends with the query. The predicate is copied; the reference of the blob is taken over. */
err query_hold_predicate(struct query *q, const struct predicate *p);
err query_hold_blob(struct query *q, struct batch_blob *blob);
/* ERR_LIMIT if a builder grew over the query's memory. */
err query_check_builder(const struct query *q, const struct batch_builder *b);

/* A copy in the arena, or one made before: texts of groups. */
struct str query_keep(struct query *q, struct str text);

static inline int64_t time_of(uint64_t wire) { return wire > INT64_MAX ? INT64_MAX : (int64_t)wire; }
struct str service_or_unknown(struct str name);
struct str environment_of(struct str name, struct str old_name);
/* Of a resource row, the first of these with a value; text of values that are no strings is made in `a`. */
struct str query_resource_text(const struct batch *b, uint32_t resource, struct str key, struct arena *a);
struct str resource_namespace(const struct batch *b, uint32_t resource, struct arena *a);

/* ---- cursors ---------------------------------------------------------------------------------------------------- */

/* The last row given, by content, and the range of the first page. As text: hexadecimal digits. */
struct cursor {
    uint32_t question;          /* hash of signal, order and filter without its range */
    int64_t time_min, time_max; /* of the first page */
    int64_t key, second;        /* traces: time or duration; logs: time, observed time */
    unsigned char id[16];       /* traces: trace id; logs: hash of the row and how many such rows were given */
};
uint32_t cursor_question(enum signal signal, enum query_order order, const struct query_filter *f);
void cursor_write(const struct cursor *c, char out[QUERY_CURSOR_MAX]);
err cursor_read(struct str text, uint32_t question, struct cursor *out);

/* ---- groups ----------------------------------------------------------------------------------------------------- */

/* Small direct-mapped memory from a row's codes within one chunk to its group, so that texts are looked up once a chunk. */
enum { CODE_CACHE_SLOTS = 1024, CODE_CACHE_CODES = 4 };
struct code_cache {
    uint32_t generation;
    struct {
        uint32_t codes[CODE_CACHE_CODES], generation, group;
    } slots[CODE_CACHE_SLOTS];
};
static inline void code_cache_start(struct code_cache *c) { c->generation++; }
/* True and *out_group if known; else the slot to fill is *out_slot. */
bool code_cache_find(struct code_cache *c, const uint32_t codes[CODE_CACHE_CODES], uint32_t *out_group,
                     uint32_t *out_slot);
void code_cache_set(struct code_cache *c, uint32_t slot, const uint32_t codes[CODE_CACHE_CODES], uint32_t group);

/* Buckets of `step` over a range: a given step is checked, 0 is chosen. `first` is the start of bucket 0. */
struct bucketing {
    int64_t step, first;
    size_t n;
};
err bucketing_make(int64_t time_min, int64_t time_max, int64_t step, struct bucketing *out);
static inline size_t bucketing_index(const struct bucketing *b, int64_t time) {
    return (size_t)(((uint64_t)time - (uint64_t)b->first) / (uint64_t)b->step);
}

/* Counts and durations of spans that come one by one. */
struct tally {
    uint64_t errors;
    struct histogram *histogram; /* NULL: no span yet */
};
err tally_add(struct query *q, struct tally *t, int64_t duration, bool failed);
struct query_span_stats tally_stats(const struct tally *t);

/* ---- one trace's rows ------------------------------------------------------------------------------------------- */

/* Rows of a batch of one trace without those that are equal in span id and start (11), by start. */
err trace_unique_rows(struct query *q, const struct batch *b, struct arena *a, uint32_t **out_rows, uint32_t *out_n);
/* m NULL: nothing is matched. Texts and services are kept in q->arena, everything else in scratch. */
err trace_summarize(struct query *q, const struct batch *b, const struct matcher *m, struct arena *scratch,
                    struct query_trace_summary *out);
/* All rows of a trace as a batch that `*blob` holds (NULL: there are none); *out_cut: there are more. */
err trace_load(struct query *q, const unsigned char id[16], struct batch *out, struct batch_blob **blob, bool *out_cut);
/* The same with ids, times, kind, status, name and service alone: a tenth of the work. The earliest rows of too many. */
err trace_load_bare(struct query *q, const unsigned char id[16], struct batch *out, struct batch_blob **blob,
                    bool *out_cut);
