/* Lists of traces and what they come to: /traces, /traces/stats, /traces/search, and the two of errors. */
#include "api/ollystack/ollystack_priv.h"

#include <openssl/sha.h>
#include <stdlib.h>

#include "algo/message.h"
#include "base/map.h"
#include "base/text.h"

static const int64_t hour_ns = 3600 * (int64_t)1000000000, ms_ns = 1000000;
enum { DAY = 24, NEWEST_FAILED = 1000, IDS_MAX = 10, FINGERPRINT_BYTES = 8, MESSAGE_MAX = 4096, MANY = 5 };

/* ---- lists ------------------------------------------------------------------------------------------------------ */

static void write_row(struct json_writer *w, const struct olly_trace *t) {
    json_object(w);
    olly_trace_id(w, t->id);
    json_member(w, "serviceName", str, t->service);
    json_member(w, "operationName", str, t->operation);
    json_member(w, "duration", i64, t->duration);
    json_member(w, "spanCount", u64, t->spans);
    json_member(w, "status", text, t->failed ? "error" : "ok");
    olly_key_time(w, "timestamp", t->start);
    json_object_end(w);
}

static err write_rows(struct olly *o, struct str key, const struct olly_traces *rows) {
    json_key(o->w, key);
    json_array(o->w);
    for (size_t i = 0; i < rows->n; i++) {
        write_row(o->w, &rows->v[i]);
        if (i % 256 == 255) TRY(answer_settle(&o->a));
    }
    json_array_end(o->w);
    json_member(o->w, "total", u64, rows->n);
    return NULL;
}

/* start and end in ms; 0 is as good as not given. */
static err read_range(const struct olly *o, struct query_filter *f) {
    int64_t start, end;
    const int64_t most = INT64_MAX / ms_ns;
    TRY(olly_integer(o->c, "start", 0, &start));
    TRY(olly_integer(o->c, "end", 0, &end));
    f->time_max = end ? MIN(MAX(end, -most), most) * ms_ns : o->c->now_ns;
    f->time_min = start ? MIN(MAX(start, -most), most) * ms_ns : MAX(f->time_max, INT64_MIN + hour_ns) - hour_ns;
    return NULL;
}

static enum olly_wanted wanted_of(struct str status) {
    return str_equal_nocase(status, STR("error")) ? OLLY_FAILED
           : str_equal_nocase(status, STR("ok"))  ? OLLY_OK
                                                  : OLLY_ANY;
}

/* None upstream is 0, which all have. */
static void read_min_duration(const struct olly *o, struct query_filter *f) {
    int64_t ns = olly_duration_or(olly_text(o->c, "minDuration"), 0);
    f->duration_min = ns > 0 ? ns : INT64_MIN;
}

static err fill_traces(struct olly *o) {
    struct query_filter f;
    struct olly_traces rows = {NULL, 0};
    int64_t limit;
    struct str service = olly_text(o->c, "service");
    olly_window(o, 1, service, &f);
    TRY(olly_integer(o->c, "limit", 20, &limit));
    TRY(read_range(o, &f));
    if (olly_text(o->c, "minDuration").n) read_min_duration(o, &f);
    if (f.time_min <= f.time_max)
        TRY(olly_traces_read(o, &f, wanted_of(olly_text(o->c, "status")), (size_t)MAX(limit, 0), &rows));
    return write_rows(o, STR("traces"), &rows);
}
void handle_olly_traces(struct api_call *c) { olly_answer(c, fill_traces); }

/* Words of a text as the native search has them: upstream finds nothing, ever. */
static err fill_search(struct olly *o) {
    struct query_filter f;
    struct olly_traces rows = {NULL, 0};
    int64_t limit;
    struct str query = olly_text(o->c, "query");
    if (!query.n) return err_new(ERR_INVALID, "query is required");
    olly_window(o, 1, STR(""), &f);
    TRY(olly_integer(o->c, "limit", 100, &limit));
    TRY(read_range(o, &f));
    f.text = query;
    if (f.time_min <= f.time_max) TRY(olly_traces_read(o, &f, OLLY_ANY, (size_t)MAX(limit, 0), &rows));
    return write_rows(o, STR("results"), &rows);
}
void handle_olly_search(struct api_call *c) { olly_answer(c, fill_search); }

/* ---- statistics ------------------------------------------------------------------------------------------------- */

struct name_count {
    struct str name;
    uint64_t n;
};

static int by_name(const void *x, const void *y) {
    return str_compare(((const struct name_count *)x)->name, ((const struct name_count *)y)->name);
}

static err count_services(struct olly *o, const struct olly_traces *rows, struct name_count **out, size_t *out_n) {
    struct strings names;
    struct name_count *v = arena_array(&o->q.arena, struct name_count, rows->n + 1);
    if (!v) return arena_err(&o->q.arena);
    strings_init(&names);
    for (size_t i = 0; i < rows->n; i++) {
        uint32_t at = strings_intern(&names, rows->v[i].service);
        v[at].name = rows->v[i].service;
        v[at].n++;
    }
    *out_n = names.n;
    strings_done(&names);
    qsort(v, *out_n, sizeof *v, by_name);
    *out = v;
    return NULL;
}

static err sorted_durations(struct olly *o, const struct olly_traces *rows, int64_t **out) {
    int64_t *v = arena_array(&o->q.arena, int64_t, rows->n + 1);
    if (!v) return arena_err(&o->q.arena);
    for (size_t i = 0; i < rows->n; i++) v[i] = rows->v[i].duration;
    qsort(v, rows->n, sizeof *v, olly_by_i64);
    *out = v;
    return NULL;
}

static void write_percentiles(struct json_writer *w, const int64_t *sorted, size_t n) {
    json_member(w, "p50LatencyMs", f64, olly_ms((double)olly_percentile(sorted, n, 50)));
    json_member(w, "p90LatencyMs", f64, olly_ms((double)olly_percentile(sorted, n, 90)));
    json_member(w, "p99LatencyMs", f64, olly_ms((double)olly_percentile(sorted, n, 99)));
}

static err fill_stats(struct olly *o) {
    struct query_filter f;
    struct olly_traces rows;
    struct name_count *services = NULL;
    int64_t *durations = NULL;
    size_t service_n = 0;
    uint64_t failed = 0;
    struct str service = olly_text(o->c, "service");
    olly_window(o, DAY, service, &f);
    TRY(olly_traces_read(o, &f, OLLY_ANY, OLLY_TRACES_MAX, &rows));
    TRY(count_services(o, &rows, &services, &service_n));
    TRY(sorted_durations(o, &rows, &durations));
    for (size_t i = 0; i < rows.n; i++) failed += rows.v[i].failed;
    json_member(o->w, "errorCount", u64, failed);
    json_member(o->w, "errorRate", f64, olly_percent(failed, rows.n));
    write_percentiles(o->w, durations, rows.n);
    if (service.n) json_member(o->w, "service", str, service);
    json_member(o->w, "serviceCount", u64, service_n);
    json_key(o->w, STR("services"));
    json_object(o->w);
    for (size_t i = 0; i < service_n; i++) {
        json_key(o->w, services[i].name);
        json_u64(o->w, services[i].n);
    }
    json_object_end(o->w);
    olly_time_range(o->w, f.time_min, f.time_max, DAY);
    json_member(o->w, "totalTraces", u64, rows.n);
    return NULL;
}
void handle_olly_stats(struct api_call *c) { olly_answer(c, fill_stats); }

/* ---- errors ----------------------------------------------------------------------------------------------------- */

/* Failed traces of one service and operation. */
struct failure {
    struct str service, operation;
    uint64_t count;
    int64_t first, last;
    size_t ids[IDS_MAX]; /* of the rows, newest first */
    size_t id_n;
};

static int most_first(const void *x, const void *y) {
    const struct failure *a = x, *b = y;
    if (a->count != b->count) return a->count > b->count ? -1 : 1;
    int order = str_compare(a->service, b->service);
    return order ? order : str_compare(a->operation, b->operation);
}

static void add_failure(struct failure *to, const struct olly_trace *t, size_t row) {
    if (to->count++ == 0) *to = (struct failure){t->service, t->operation, 1, t->start, t->start, {0}, 0};
    to->first = MIN(to->first, t->start);
    to->last = MAX(to->last, t->start);
    if (to->id_n < IDS_MAX) to->ids[to->id_n++] = row;
}

static err group_failures(struct olly *o, const struct olly_traces *rows, struct failure **out, size_t *out_n) {
    AUTO_BUF struct buf key;
    struct strings keys;
    struct failure *v = arena_array(&o->q.arena, struct failure, rows->n + 1);
    buf_init(&key, MIB);
    if (!v) return arena_err(&o->q.arena);
    strings_init(&keys);
    for (size_t i = 0; i < rows->n; i++) {
        if (!rows->v[i].failed) continue;
        buf_clear(&key);
        buf_add_str(&key, rows->v[i].service);
        buf_add_byte(&key, 0);
        buf_add_str(&key, rows->v[i].operation);
        add_failure(&v[strings_intern(&keys, buf_str(&key))], &rows->v[i], i);
    }
    *out_n = keys.n;
    strings_done(&keys);
    qsort(v, *out_n, sizeof *v, most_first);
    *out = v;
    return NULL;
}

static err fill_patterns(struct olly *o) {
    struct query_filter f;
    struct olly_traces rows;
    struct failure *v = NULL;
    size_t n = 0;
    olly_window(o, DAY, STR(""), &f);
    TRY(olly_traces_read(o, &f, OLLY_ANY, NEWEST_FAILED, &rows));
    TRY(group_failures(o, &rows, &v, &n));
    olly_key_time(o->w, "analyzedFrom", f.time_min);
    olly_key_time(o->w, "analyzedTo", f.time_max);
    json_key(o->w, STR("patterns"));
    json_array(o->w);
    for (size_t i = 0; i < n; i++) {
        json_object(o->w);
        json_member(o->w, "serviceName", str, v[i].service);
        json_member(o->w, "operationName", str, v[i].operation);
        json_member(o->w, "count", u64, v[i].count);
        olly_key_time(o->w, "firstSeen", v[i].first);
        olly_key_time(o->w, "lastSeen", v[i].last);
        json_object_end(o->w);
    }
    json_array_end(o->w);
    json_member(o->w, "totalTraces", u64, rows.n);
    return NULL;
}
void handle_olly_patterns(struct api_call *c) { olly_answer(c, fill_patterns); }

/* ---- fingerprints ----------------------------------------------------------------------------------------------- */

static const char error_type[] = "Error";

/* The first bytes of SHA-256 over  type | normalised | service | operation. */
static void write_fingerprint(struct json_writer *w, const struct failure *f, struct str normalised) {
    AUTO_BUF struct buf text;
    unsigned char digest[SHA256_DIGEST_LENGTH];
    buf_init(&text, 2 * MIB);
    buf_add_fmt(&text, "%s|" STR_FMT "|" STR_FMT "|" STR_FMT, error_type, STR_ARG(normalised), STR_ARG(f->service),
                STR_ARG(f->operation));
    SHA256((const unsigned char *)text.p, text.n, digest);
    json_key(w, STR("fingerprint"));
    json_hex(w, digest, FINGERPRINT_BYTES);
}

static const char *trend_of(const struct failure *f, int64_t now, int64_t hours) {
    if (now - f->last < hour_ns && f->count > MANY) return "increasing";
    return now - f->last > hours * hour_ns / 2 ? "decreasing" : "stable";
}

static void write_ids(struct json_writer *w, const char *key, const struct failure *f, const struct olly_traces *rows) {
    json_key(w, str_of(key));
    json_array(w);
    for (size_t i = 0; i < f->id_n; i++) json_hex(w, rows->v[f->ids[i]].id, 16);
    json_array_end(w);
}

static void write_one(struct json_writer *w, const char *key, struct str value) {
    json_key(w, str_of(key));
    json_array(w);
    json_str(w, value);
    json_array_end(w);
}

static void write_failure(struct olly *o, const struct failure *f, const struct olly_traces *rows, int64_t hours) {
    AUTO_BUF struct buf message, normalised;
    struct json_writer *w = o->w;
    buf_init(&message, MESSAGE_MAX);
    buf_init(&normalised, MESSAGE_MAX);
    buf_add_fmt(&message, STR_FMT ": " STR_FMT " failed", STR_ARG(f->service), STR_ARG(f->operation));
    message_normalise(buf_str(&message), &normalised);
    json_object(w);
    write_fingerprint(w, f, buf_str(&normalised));
    json_member(w, "errorType", text, error_type);
    json_member(w, "normalizedMessage", str, buf_str(&normalised));
    json_member(w, "sampleMessage", str, buf_str(&message));
    json_member(w, "count", u64, f->count);
    olly_key_time(w, "firstSeen", f->first);
    olly_key_time(w, "lastSeen", f->last);
    write_one(w, "services", f->service);
    write_one(w, "operations", f->operation);
    write_ids(w, "traceIds", f, rows);
    write_ids(w, "sampleTraceIds", f, rows);
    json_member(w, "trend", text, trend_of(f, o->c->now_ns, hours));
    json_object_end(w);
}

static err fill_fingerprints(struct olly *o) {
    struct query_filter f;
    struct olly_traces rows;
    struct failure *v = NULL;
    size_t n = 0;
    uint64_t failed = 0;
    int64_t hours = olly_hours(o->c, DAY), limit = olly_integer_or(o->c, "limit", 100, 0);
    olly_window(o, hours, STR(""), &f);
    TRY(olly_traces_read(o, &f, OLLY_ANY, NEWEST_FAILED, &rows));
    TRY(group_failures(o, &rows, &v, &n));
    size_t shown = MIN(n, (size_t)MAX(limit, 0));
    for (size_t i = 0; i < n; i++) failed += v[i].count;
    json_key(o->w, STR("fingerprints"));
    json_array(o->w);
    for (size_t i = 0; i < shown; i++) write_failure(o, &v[i], &rows, hours);
    json_array_end(o->w);
    olly_time_range(o->w, f.time_min, f.time_max, hours);
    json_member(o->w, "total", u64, shown);
    json_member(o->w, "totalErrors", u64, failed);
    json_member(o->w, "uniqueFingerprints", u64, n);
    return NULL;
}
void handle_olly_fingerprints(struct api_call *c) { olly_answer(c, fill_fingerprints); }
