/* Logs: /logs/query, /logs/labels. */
#include "api/ollystack/ollystack_priv.h"

#include "base/text.h"

static const int64_t minute_ns = 60 * (int64_t)1000000000;
enum { LIMIT = 100, PAGE = 1000, SEVERITIES_MAX = 16 };

/* ---- what is asked ---------------------------------------------------------------------------------------------- */

static int64_t range_of(struct str text) {
    static const struct {
        const char *text;
        int64_t minutes;
    } ranges[] = {{"15m", 15}, {"1h", 60}, {"6h", 360}, {"24h", 1440}, {"7d", 10080}};
    for (size_t i = 0; i < LENGTH(ranges); i++)
        if (str_equal(text, str_of(ranges[i].text))) return ranges[i].minutes * minute_ns;
    return 60 * minute_ns;
}

/* Whether a comma list of levels names the record's, as it was sent or as it is shown. Empty: any. */
static bool is_wanted(struct str list, const struct olly_log *l) {
    struct str one, rest = list;
    for (bool more = list.n > 0; more;) {
        more = str_cut(rest, ',', &one, &rest);
        one = str_trim(one);
        if (str_equal_nocase(one, l->severity) || str_equal_nocase(one, l->raw_severity)) return true;
    }
    return list.n == 0;
}

static err read_filter(struct olly *o, struct query_filter *f) {
    struct str service = olly_text(o->c, "service"), text = olly_text(o->c, "query");
    query_filter_init(f);
    f->time_max = o->c->now_ns;
    f->time_min = f->time_max - range_of(olly_text(o->c, "timeRange"));
    if (service.n) f->service = service;
    if (!text.n) return NULL;
    struct str pattern = olly_like(&o->q.arena, text);
    if (!pattern.p) return err_new(ERR_INVALID, "query is too long");
    struct column_ref body = {.target = TARGET_FIELD, .field = FIELD_BODY};
    TRY(predicate_make(&o->q.arena, body, OP_MATCH, pattern, &f->where[0]));
    predicate_set_deadline(&f->where[0], o->q.deadline_ns);
    f->where_count = 1;
    return NULL;
}

static void filter_done(struct query_filter *f) {
    if (f->where_count) predicate_done(&f->where[0]);
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

static err write_olly_log(struct olly *o, const struct batch *b, uint32_t row, const struct olly_log *l) {
    static const unsigned char zero[16];
    struct json_writer *w = o->w;
    const unsigned char *trace = batch_id16(b, SET_ROWS, FIELD_TRACE_ID, row);
    uint64_t span = batch_u64(b, SET_ROWS, FIELD_SPAN_ID, row);
    json_object(w);
    olly_key_time(w, "timestamp", (int64_t)batch_u64(b, SET_ROWS, FIELD_TIME, row));
    if (memcmp(trace, zero, 16) != 0) olly_trace_id(w, trace);
    if (span) json_member(w, "spanId", hex, &span, sizeof span);
    json_member(w, "severityText", str, l->severity);
    json_member(w, "severityNumber", u64, l->number);
    json_member(w, "serviceName", str, l->service);
    json_member(w, "body", str, l->body);
    TRY(olly_attributes(o, b, row, false));
    json_object_end(w);
    return NULL;
}

/* One page's records that are wanted, until `limit` are written. */
static err write_page(struct olly *o, const struct query_logs_answer *page, struct str severities, uint64_t limit,
                      uint64_t *written) {
    for (size_t i = 0; i < page->n && *written < limit; i++) {
        struct olly_log l;
        TRY(olly_log_read(&o->q.arena, &page->batch, page->rows[i], &l));
        if (!is_wanted(severities, &l)) continue;
        TRY(write_olly_log(o, &page->batch, page->rows[i], &l));
        if (++*written % 64 == 0) TRY(answer_settle(&o->a));
    }
    return NULL;
}

static err write_logs(struct olly *o, const struct query_filter *f, uint64_t limit, uint64_t *written) {
    struct str severities = olly_text(o->c, "severity");
    size_t seen = 0;
    struct query_logs r = {.filter = *f, .order = QUERY_NEWEST, .limit = MIN(MAX(limit, (uint64_t)1), (uint64_t)PAGE)};
    struct query_logs_answer page = {.n = 0};
    for (bool more = limit > 0; more; more = page.next_cursor[0] && *written < limit && seen < OLLY_LOGS_SEEN) {
        r.cursor = arena_copy(&o->q.arena, str_of(page.next_cursor));
        TRY(query_logs(&o->q, &r, &page));
        TRY(write_page(o, &page, severities, limit, written));
        seen += page.n;
        r.limit = PAGE;
    }
    if (*written < limit && page.next_cursor[0]) olly_cut(o, "only the newest 50,000 records were looked at");
    return NULL;
}

static err fill_logs(struct olly *o) {
    struct query_filter f;
    int64_t limit = olly_integer_or(o->c, "limit", LIMIT, LIMIT);
    uint64_t written = 0;
    TRY(read_filter(o, &f));
    json_key(o->w, STR("logs"));
    json_array(o->w);
    err e = write_logs(o, &f, (uint64_t)MIN(MAX(limit, (int64_t)0), (int64_t)QUERY_LOGS_MAX), &written);
    filter_done(&f);
    TRY(e);
    json_array_end(o->w);
    json_member(o->w, "total", u64, written);
    return NULL;
}
void handle_olly_logs(struct api_call *c) { olly_answer(c, fill_logs); }

/* Names, each once, of services that log. */
static err fill_labels(struct olly *o) {
    struct query_services_answer found;
    struct str last = {NULL, 0};
    TRY(query_services(&o->q, 0, INT64_MAX, (struct str){NULL, 0}, false, &found));
    json_key(o->w, STR("labels"));
    json_array(o->w);
    for (size_t i = 0; i < found.n; i++) {
        if (!found.services[i].signals[SIGNAL_LOGS] || (last.p && str_equal(last, found.services[i].name))) continue;
        last = found.services[i].name;
        json_str(o->w, last);
    }
    json_array_end(o->w);
    return NULL;
}
void handle_olly_log_labels(struct api_call *c) { olly_answer(c, fill_labels); }
