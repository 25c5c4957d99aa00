#include "insight/correlation.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/text.h"
#include "base/vec.h"

/* What a row adds to the services of its id. */
struct member {
    uint32_t id, service;
};

struct summing {
    struct arena *a;
    const struct query_correlations_answer *in;
    struct correlation *of;              /* of ids */
    const struct query_id_row **root;    /* of ids; NULL: no row yet */
    uint32_t *last_trace;                /* of ids: the last that was counted */
    VEC(struct member) services, traces; /* with repeats, until they are sorted; of traces `service` is the trace */
};

static int64_t end_of(const struct query_id_row *row) {
    int64_t end;
    return __builtin_add_overflow(row->time, row->duration, &end) ? INT64_MAX : end;
}

/* Whether x is rather the root than y: a span before a log record, one without a parent before others, the earlier. */
static bool is_nearer_root(const struct query_id_row *x, const struct query_id_row *y) {
    if (x->signal != y->signal) return x->signal < y->signal;
    bool x_top = x->parent_id == 0, y_top = y->parent_id == 0;
    if (x_top != y_top) return x_top;
    if (x->time != y->time) return x->time < y->time;
    return end_of(x) != end_of(y) ? end_of(x) > end_of(y) : x->span_id < y->span_id;
}

static void count_row(struct summing *s, const struct query_id_row *row) {
    struct correlation *c = &s->of[row->id];
    bool span = row->signal == SIGNAL_SPANS;
    if (!s->root[row->id]) {
        c->first_seen = INT64_MAX;
        c->last_seen = INT64_MIN;
        s->last_trace[row->id] = QUERY_NO_TRACE;
    }
    c->first_seen = MIN(c->first_seen, row->time);
    c->last_seen = MAX(c->last_seen, end_of(row));
    c->spans += span;
    c->logs += !span;
    c->errors += row->failed;
    c->clock_skew |= s->in->apart && row->trace != QUERY_NO_TRACE && s->in->apart[row->trace];
    if (span) c->longest = MAX(c->longest, row->duration);
    if (!s->root[row->id] || is_nearer_root(row, s->root[row->id])) s->root[row->id] = row;
    struct member *last = s->services.n ? &s->services.v[s->services.n - 1] : NULL;
    if (!last || last->id != row->id || last->service != row->service)
        *vec_push(&s->services) = (struct member){row->id, row->service};
    if (row->trace == QUERY_NO_TRACE || row->trace == s->last_trace[row->id]) return;
    s->last_trace[row->id] = row->trace;
    *vec_push(&s->traces) = (struct member){row->id, row->trace};
}

static int by_number(const void *x, const void *y) {
    const struct member *a = x, *b = y;
    if (a->id != b->id) return a->id < b->id ? -1 : 1;
    return a->service < b->service ? -1 : a->service > b->service;
}

static int by_name(const void *x, const void *y) { return str_compare(*(const struct str *)x, *(const struct str *)y); }

static size_t sort_members(struct member *v, size_t n) {
    size_t kept = 0;
    if (n) qsort(v, n, sizeof *v, by_number);
    for (size_t i = 0; i < n; i++)
        if (!kept || by_number(&v[kept - 1], &v[i]) != 0) v[kept++] = v[i];
    return kept;
}

/* The services of one id, out of its members; NULL: the arena is full. */
static const struct str *name_services(struct summing *s, const struct member *v, uint32_t n) {
    struct str *names = arena_array(s->a, struct str, n + 1);
    if (!names) return NULL;
    for (uint32_t i = 0; i < n; i++) names[i] = s->in->texts[v[i].service];
    qsort(names, n, sizeof *names, by_name);
    return names;
}

static err finish(struct summing *s) {
    size_t services = sort_members(s->services.v, s->services.n), traces = sort_members(s->traces.v, s->traces.n);
    for (size_t i = 0, n; i < services; i += n) {
        const struct member *v = &s->services.v[i];
        for (n = 1; i + n < services && v[n].id == v->id; n++) continue;
        struct correlation *c = &s->of[v->id];
        c->services = name_services(s, v, (uint32_t)n);
        if (!c->services) return arena_err(s->a);
        c->service_count = (uint32_t)n;
    }
    for (size_t i = 0; i < traces; i++) s->of[s->traces.v[i].id].traces++;
    for (uint32_t id = 0; id < s->in->id_count; id++) {
        const struct query_id_row *root = s->root[id];
        struct correlation *c = &s->of[id];
        if (!root) continue;
        c->id = s->in->ids[id];
        c->root_service = s->in->texts[root->service];
        c->root_operation = root->signal == SIGNAL_SPANS ? s->in->texts[root->operation] : STR("");
        if (root->trace != QUERY_NO_TRACE) memcpy(c->root_trace_id, s->in->traces[root->trace], 16);
    }
    return NULL;
}

/* ---- which, and in which order ------------------------------------------------------------------------------------ */

static bool has_service(const struct correlation *c, struct str service) {
    for (uint32_t i = 0; i < c->service_count; i++)
        if (str_equal(c->services[i], service)) return true;
    return false;
}

static bool is_wanted(const struct correlations_request *r, const struct correlation *c) {
    if (r->failed && !c->errors) return false;
    if (r->service.p && !has_service(c, r->service)) return false;
    return c->last_seen - c->first_seen >= r->duration_min;
}

static int newest_first(const void *x, const void *y) {
    const struct correlation *a = x, *b = y;
    if (a->first_seen != b->first_seen) return a->first_seen > b->first_seen ? -1 : 1;
    return str_compare(a->id, b->id);
}

/* Time and hash of the id, in hexadecimal digits. */
struct place {
    int64_t first_seen;
    uint64_t id;
};

static struct place place_of(const struct correlation *c) {
    return (struct place){c->first_seen, hash_bytes(c->id.p, c->id.n)};
}

static err read_cursor(struct str text, struct place *out) {
    err e = parse_hex(text, out, sizeof *out);
    err_free(e);
    return e ? err_new(ERR_INVALID, "the cursor is none that an answer gave") : NULL;
}

static void write_cursor(const struct correlation *c, char out[CORRELATIONS_CURSOR_MAX]) {
    AUTO_BUF struct buf text;
    struct place place = place_of(c);
    buf_init(&text, CORRELATIONS_CURSOR_MAX);
    put_hex(&text, &place, sizeof place);
    memcpy(out, text.p, text.n);
    out[text.n] = 0;
}

/* How many of n are on pages before. */
static size_t skip(const struct correlation *v, size_t n, struct place after) {
    size_t from = 0, at;
    while (from < n && v[from].first_seen > after.first_seen) from++;
    for (at = from; at < n && v[at].first_seen == after.first_seen; at++)
        if (place_of(&v[at]).id == after.id) return at + 1;
    return from;
}

static err make(struct summing *s, const struct correlations_request *r, struct correlations *out) {
    const struct query_correlations_answer *in = s->in;
    struct place after;
    size_t n = 0, from = 0;
    if (r->cursor.n) TRY(read_cursor(r->cursor, &after));
    s->of = arena_array(s->a, struct correlation, in->id_count + 1);
    s->root = arena_array(s->a, const struct query_id_row *, in->id_count + 1);
    s->last_trace = arena_array(s->a, uint32_t, in->id_count + 1);
    if (!s->of || !s->root || !s->last_trace) return arena_err(s->a);
    for (size_t i = 0; i < in->n; i++) count_row(s, &in->rows[i]);
    TRY(finish(s));
    for (uint32_t id = 0; id < in->id_count; id++)
        if (s->root[id] && is_wanted(r, &s->of[id])) s->of[n++] = s->of[id];
    if (n) qsort(s->of, n, sizeof *s->of, newest_first);
    if (r->cursor.n) from = skip(s->of, n, after);
    *out =
        (struct correlations){.correlations = s->of + from, .n = MIN(n - from, r->limit), .found = n, .cut = in->cut};
    if (out->n && from + out->n < n) write_cursor(&s->of[from + out->n - 1], out->next_cursor);
    return NULL;
}

err correlations_make(struct arena *a, const struct correlations_request *r, const struct query_correlations_answer *in,
                      struct correlations *out) {
    struct summing s = {.a = a, .in = in};
    err e = make(&s, r, out);
    vec_done(&s.services);
    vec_done(&s.traces);
    return e;
}

err correlations_read(struct query *q, const struct correlations_request *r, struct correlations *out) {
    struct query_correlations_answer in;
    TRY(query_correlations(q, &r->ids, &in));
    if (in.apart) TRY(correlations_correct(&q->arena, &in, CORRELATIONS_MENDED_MAX));
    /* of each row at most a service and a trace, which grow by half again */
    TRY(query_charge(q, in.n * 2 * sizeof(struct member) * 3 / 2));
    TRY(correlations_make(&q->arena, r, &in, out));
    return query_charge(q, 0);
}

/* ---- one -------------------------------------------------------------------------------------------------------- */

static bool is_mine(const struct query_correlation_answer *in, size_t i) {
    return i < in->span_count ? in->span_rows[i].mine : in->log_rows[i - in->span_count].mine;
}

static err sum_up(struct query *q, const struct query_correlation *r, struct correlation_details *d) {
    const struct query_correlation_answer *in = &d->rows;
    size_t all = in->span_count + in->log_count, n = 0;
    struct query_id_row *rows = arena_array(&q->arena, struct query_id_row, all + 1);
    unsigned char(*traces)[16] = arena_alloc(&q->arena, (in->trace_count + 1) * sizeof *traces);
    struct str *id = arena_new(&q->arena, struct str);
    struct correlations_request request = {.limit = 1};
    struct correlations found;
    if (!rows || !traces || !id) return arena_err(&q->arena);
    for (size_t i = 0; i < all; i++) {
        if (!is_mine(in, i)) continue;
        rows[n] = in->rows[i];
        rows[n].time -= correlation_skew(d, i);
        rows[n++].id = 0;
    }
    for (size_t i = 0; i < in->trace_count; i++) memcpy(traces[i], in->traces[i].trace_id, sizeof *traces);
    *id = r->id;
    if (!n) return err_new(ERR_NOT_FOUND, "there is no row of the id '" STR_FMT "' in this range", STR_ARG(r->id));
    struct query_correlations_answer one = {.rows = rows,
                                            .n = n,
                                            .ids = id,
                                            .id_count = 1,
                                            .texts = in->texts,
                                            .text_count = in->text_count,
                                            .traces = (const unsigned char(*)[16])traces,
                                            .trace_count = (uint32_t)in->trace_count};
    TRY(correlations_make(&q->arena, &request, &one, &found));
    d->summary = found.correlations[0];
    return NULL;
}

static size_t row_of(const struct correlation_details *d, const struct correlation_item *i) {
    return i->at + (i->is_log ? d->rows.span_count : 0);
}

static int by_right_time(const void *x, const void *y, void *of) {
    const struct correlation_details *d = of;
    size_t a = row_of(d, x), b = row_of(d, y);
    int64_t at_a = d->rows.rows[a].time - d->skew[a], at_b = d->rows.rows[b].time - d->skew[b];
    return at_a != at_b ? (at_a < at_b ? -1 : 1) : (a > b) - (a < b); /* spans are before log records */
}

static err lay_out_in_time(struct query *q, struct correlation_details *d) {
    const struct query_correlation_answer *in = &d->rows;
    struct correlation_item *items =
        arena_array(&q->arena, struct correlation_item, in->span_count + in->log_count + 1);
    size_t span = 0, log = 0, n = 0;
    if (!items) return arena_err(&q->arena);
    const struct query_id_row *spans = in->rows, *logs = in->rows + in->span_count;
    while (span < in->span_count || log < in->log_count) {
        bool is_log = span == in->span_count || (log < in->log_count && logs[log].time < spans[span].time);
        uint32_t at = (uint32_t)(is_log ? log++ : span++);
        bool mine = is_log ? in->log_rows[at].mine : in->span_rows[at].mine;
        if (mine) items[n++] = (struct correlation_item){is_log, at};
    }
    if (d->skew) qsort_r(items, n, sizeof *items, by_right_time, d);
    d->timeline = items;
    d->item_count = n;
    return NULL;
}

err correlation_read(struct query *q, const struct query_correlation *r, struct correlation_details *out) {
    struct correlation_details d = {0};
    TRY(query_correlation(q, r, &d.rows));
    TRY(correlation_correct(&q->arena, &d));
    TRY(sum_up(q, r, &d));
    TRY(lay_out_in_time(q, &d));
    *out = d;
    return query_charge(q, 0);
}
