/* Traces as rows: the newest of a window, page by page, each as the contract's lists show it. */
#include "api/ollystack/ollystack_priv.h"

#include <stdlib.h>

#include "query/trace_list.h"

enum { PAGE = QUERY_TRACES_MAX, FEW = 100 };

static const int64_t hour_ns = 3600 * (int64_t)1000000000;

int olly_by_i64(const void *x, const void *y) {
    int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;
    return a < b ? -1 : a > b;
}

int olly_by_f64(const void *x, const void *y) {
    double a = *(const double *)x, b = *(const double *)y;
    return a < b ? -1 : a > b;
}

int64_t olly_percentile(const int64_t *sorted, size_t n, size_t p) { return n ? sorted[MIN(n * p / 100, n - 1)] : 0; }

void olly_trace_id(struct json_writer *w, const unsigned char id[16]) {
    json_key(w, STR("traceId"));
    json_hex(w, id, 16);
}

void olly_window(const struct olly *o, int64_t hours, struct str service, struct query_filter *out) {
    query_filter_init(out);
    out->time_max = o->c->now_ns;
    out->time_min = o->c->now_ns - hours * hour_ns;
    if (service.n) out->service = service;
}

/* Of a filter by service only its spans fail or do not. */
static bool has_failed(const struct query_trace_summary *s, struct str service) {
    if (!service.p) return s->errors > 0;
    for (size_t i = 0; i < s->service_count; i++)
        if (str_equal(s->services[i].service, service)) return s->services[i].errors > 0;
    return false;
}

static struct olly_trace row_of(const struct query_trace_summary *s, struct str service) {
    struct olly_trace t = {.service = s->root_service,
                           .operation = s->root_name,
                           .start = s->matched ? s->matched_start : s->start,
                           .duration = s->matched_duration,
                           .spans = s->matched,
                           .failed = has_failed(s, service)};
    memcpy(t.id, s->trace_id, sizeof t.id);
    return t;
}

static int newest_first(const void *x, const void *y) {
    const struct olly_trace *a = x, *b = y;
    if (a->start != b->start) return a->start > b->start ? -1 : 1;
    return memcmp(a->id, b->id, sizeof a->id);
}

/* Pages of whole traces, each named by its root: where a few rows are wanted, to be read. */
static err read_pages(struct olly *o, const struct query_filter *f, enum olly_wanted wanted, size_t most,
                      struct olly_trace *v, size_t *out_n) {
    size_t n = 0, seen = 0;
    struct query_traces r = {
        .filter = *f, .order = QUERY_NEWEST, .limit = wanted == OLLY_ANY ? MIN(most, (size_t)PAGE) : PAGE};
    struct query_traces_answer page = {.n = 0};
    for (bool more = most > 0; more; more = page.next_cursor[0] && n < most && seen < OLLY_TRACES_MAX) {
        r.cursor = arena_copy(&o->q.arena, str_of(page.next_cursor));
        TRY(query_traces(&o->q, &r, &page));
        for (size_t i = 0; i < page.n && n < most; i++) {
            v[n] = row_of(&page.traces[i], f->service);
            n += wanted == OLLY_ANY || v[n].failed == (wanted == OLLY_FAILED);
        }
        seen += page.n;
    }
    if (n < most && page.next_cursor[0]) olly_cut(o, "only the newest 10,000 traces were looked at");
    *out_n = n;
    return NULL;
}

/* One scan, where thousands are looked at: as upstream, of the spans that fulfil the filter alone. */
static err read_list(struct olly *o, const struct query_filter *f, enum olly_wanted wanted, size_t most,
                     struct olly_trace *v, size_t *out_n) {
    struct query_trace_list found;
    size_t n = 0, limit = wanted == OLLY_ANY ? most : OLLY_TRACES_MAX;
    TRY(query_trace_list(&o->q, f, limit, &found));
    for (size_t i = 0; i < found.n && n < most; i++) {
        const struct query_trace_row *r = &found.rows[i];
        v[n] = (struct olly_trace){.service = r->root_service,
                                   .operation = r->root_name,
                                   .start = r->start,
                                   .duration = r->longest,
                                   .spans = r->spans,
                                   .failed = r->errors > 0};
        memcpy(v[n].id, r->trace_id, sizeof v[n].id);
        n += wanted == OLLY_ANY || v[n].failed == (wanted == OLLY_FAILED);
    }
    if (wanted != OLLY_ANY && n < most && found.cut) olly_cut(o, "only the newest 10,000 traces were looked at");
    *out_n = n;
    return NULL;
}

err olly_traces_read(struct olly *o, const struct query_filter *f, enum olly_wanted wanted, size_t max,
                     struct olly_traces *out) {
    size_t most = MIN(max, (size_t)OLLY_TRACES_MAX), n = 0;
    struct olly_trace *v = arena_array(&o->q.arena, struct olly_trace, most + 1);
    if (!v) return arena_err(&o->q.arena);
    bool asks = f->service.p || f->text.n || f->duration_min > INT64_MIN;
    bool many = most > FEW || (most && wanted != OLLY_ANY && !asks);
    TRY(many ? read_list(o, f, wanted, most, v, &n) : read_pages(o, f, wanted, most, v, &n));
    qsort(v, n, sizeof *v, newest_first);
    *out = (struct olly_traces){v, n};
    return NULL;
}
