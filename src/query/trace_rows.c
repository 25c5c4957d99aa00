/* One trace's rows: loading, invariant 11, the summary. */
#include "query/query_priv.h"

#include "base/hash.h"
#include "signal/batch_build.h"

#include <stdlib.h>

enum { FIRST_ROWS = 128, GROWTH = 8 };

/* How many rows to ask for next: more, but no more than the memory holds if the rest are as large as those that came.
 * Not above `limit`: that was all. A quarter of the memory, since blob, tree and answer follow. */
static size_t next_limit(const struct query *q, const struct batch_builder *b, size_t limit) {
    size_t rows = b->sets[SET_ROWS].n, used = q->arena.used_bytes + q->other_bytes;
    if (rows < limit || limit > QUERY_SPANS_MAX) return 0;
    size_t room = used < q->options.memory_max_bytes ? (q->options.memory_max_bytes - used) / 4 : 0;
    size_t affordable = room / (batch_builder_bytes(b) / rows + 1);
    return MIN(MIN(limit * GROWTH, (size_t)QUERY_SPANS_MAX + 1), affordable);
}

/* Asks for few rows, then for more: a row may be of any size, and a builder knows no limit. */
static err fetch_trace(struct query *q, struct snapshot *sn, const unsigned char id[16], struct batch_builder *b,
                       bool *out_cut) {
    struct scan_stats before = q->stats;
    for (size_t limit = FIRST_ROWS, next;; limit = next) {
        TRY(query_check(q));
        TRY(snapshot_trace(sn, id, limit, b, &q->stats));
        next = next_limit(q, b, limit);
        if (next <= limit) {
            *out_cut = b->sets[SET_ROWS].n > QUERY_SPANS_MAX || next > 0;
            return query_check_builder(q, b);
        }
        batch_builder_clear(b);
        q->stats = before;
    }
}

err trace_load(struct query *q, const unsigned char id[16], struct batch *out, struct batch_blob **blob,
               bool *out_cut) {
    struct snapshot *sn;
    *blob = NULL;
    *out_cut = false;
    TRY(query_snapshot(q, SIGNAL_SPANS, &sn));
    struct batch_builder builder;
    batch_builder_init(&builder, SIGNAL_SPANS);
    err e = fetch_trace(q, sn, id, &builder, out_cut);
    if (!e && builder.sets[SET_ROWS].n > 0) {
        *blob = batch_builder_finish(&builder);
        batch_view(*blob, out);
    }
    batch_builder_done(&builder);
    return e;
}

/* ---- only what a tree is made of -------------------------------------------------------------------------------- */

enum {
    BARE_SPAN,
    BARE_PARENT,
    BARE_TIME,
    BARE_DURATION,
    BARE_STATUS,
    BARE_KIND,
    BARE_NAME,
    BARE_CORRELATION,
    BARE_SERVICE
};
static const struct column_ref bare_columns[] = {
    [BARE_SPAN] = FIELD_COLUMN(FIELD_SPAN_ID),       [BARE_PARENT] = FIELD_COLUMN(FIELD_PARENT_ID),
    [BARE_TIME] = FIELD_COLUMN(FIELD_TIME),          [BARE_DURATION] = FIELD_COLUMN(FIELD_DURATION),
    [BARE_STATUS] = FIELD_COLUMN(FIELD_STATUS),      [BARE_KIND] = FIELD_COLUMN(FIELD_KIND),
    [BARE_NAME] = FIELD_COLUMN(FIELD_NAME),          [BARE_CORRELATION] = FIELD_COLUMN(FIELD_CORRELATION),
    [BARE_SERVICE] = RESOURCE_COLUMN("service.name")};
enum { BARE_CHECK_ROWS = 1024 };

struct bare_load {
    struct query *q;
    const unsigned char *id;
    struct batch_builder builder;
    struct strings services;  /* the n-th is that of resource n */
    uint64_t unchecked_bytes; /* of texts since the builder was last asked how large it is */
    bool cut;
};

/* The resource that has this name and nothing else. */
static uint32_t bare_resource(struct bare_load *l, struct str service) {
    struct batch_builder *b = &l->builder;
    uint32_t resource = strings_intern(&l->services, service);
    if (resource < b->sets[SET_RESOURCES].n) return resource;
    uint32_t key = batch_builder_key(b, STR("service.name"), VALUE_STRING), slot = (uint32_t)b->slots.n;
    *vec_push(&b->slots) = strings_intern(&b->strings, service);
    batch_builder_attributes(b, SET_RESOURCES, batch_builder_row(b, SET_RESOURCES), &key, 1, slot);
    return resource;
}

/* True if neither the limit of rows nor a quarter of the memory is reached: blob, tree and answer follow. */
static bool bare_has_room(struct bare_load *l, uint64_t text_bytes) {
    uint32_t n = l->builder.sets[SET_ROWS].n;
    if (n == QUERY_SPANS_MAX) return false;
    l->unchecked_bytes += text_bytes;
    if (n % BARE_CHECK_ROWS && l->unchecked_bytes < MIB) return true;
    l->unchecked_bytes = 0;
    return batch_builder_bytes(&l->builder) + text_bytes < l->q->options.memory_max_bytes / 4;
}

static void bare_row(struct bare_load *l, const struct vector *v, uint32_t i) {
    struct batch_builder *b = &l->builder;
    uint32_t row = batch_builder_row(b, SET_ROWS);
    batch_builder_set_id16(b, SET_ROWS, FIELD_TRACE_ID, row, l->id);
    batch_builder_set_u64(b, SET_ROWS, FIELD_SPAN_ID, row, v[BARE_SPAN].u64[i]);
    batch_builder_set_u64(b, SET_ROWS, FIELD_PARENT_ID, row, v[BARE_PARENT].u64[i]);
    batch_builder_set_u64(b, SET_ROWS, FIELD_TIME, row, v[BARE_TIME].u64[i]);
    batch_builder_set_u64(b, SET_ROWS, FIELD_DURATION, row, v[BARE_DURATION].u64[i]);
    batch_builder_set_u32(b, SET_ROWS, FIELD_STATUS, row, (uint32_t)v[BARE_STATUS].u64[i]);
    batch_builder_set_u32(b, SET_ROWS, FIELD_KIND, row, (uint32_t)v[BARE_KIND].u64[i]);
    batch_builder_set_u32(b, SET_ROWS, FIELD_NAME, row, strings_intern(&b->strings, vector_text(&v[BARE_NAME], i)));
    struct str correlation = vector_text(&v[BARE_CORRELATION], i);
    if (correlation.n)
        batch_builder_set_u32(b, SET_ROWS, FIELD_CORRELATION, row, strings_intern(&b->strings, correlation));
    batch_builder_set_u32(b, SET_ROWS, FIELD_RESOURCE, row, bare_resource(l, vector_text(&v[BARE_SERVICE], i)));
}

static enum scan_next on_bare(void *context, const struct picked *rows, err *out_error) {
    struct bare_load *l = context;
    (void)out_error;
    for (uint32_t k = 0; k < rows->n; k++) {
        const struct vector *v = rows->chunk->columns;
        uint32_t i = picked_at(rows, k);
        uint64_t text_bytes = vector_text(&v[BARE_NAME], i).n + vector_text(&v[BARE_CORRELATION], i).n +
                              vector_text(&v[BARE_SERVICE], i).n;
        if (!bare_has_room(l, text_bytes)) {
            l->cut = true;
            return SCAN_STOP;
        }
        bare_row(l, v, i);
    }
    return SCAN_GO_ON;
}

err trace_load_bare(struct query *q, const unsigned char id[16], struct batch *out, struct batch_blob **blob,
                    bool *out_cut) {
    struct bare_load l = {.q = q, .id = id};
    struct query_filter f;
    struct matcher m;
    *blob = NULL;
    query_filter_init(&f);
    f.trace_id = id;
    TRY(matcher_make(q, SIGNAL_SPANS, &f, &m));
    m.oldest_first = true; /* what is left out of too large a trace is its end */
    batch_builder_init(&l.builder, SIGNAL_SPANS);
    strings_init(&l.services);
    err e = query_scan(q, &m, bare_columns, LENGTH(bare_columns), on_bare, &l);
    if (!e) e = query_check_builder(q, &l.builder);
    if (!e && l.builder.sets[SET_ROWS].n > 0) {
        *blob = batch_builder_finish(&l.builder);
        batch_view(*blob, out);
        *out_cut = l.cut;
    }
    strings_done(&l.services);
    batch_builder_done(&l.builder);
    return e;
}

/* ---- equal rows ------------------------------------------------------------------------------------------------- */

struct start_row {
    uint64_t start, span_id;
    uint32_t row;
};

static int by_start(const void *x, const void *y) {
    const struct start_row *a = x, *b = y;
    if (a->start != b->start) return a->start < b->start ? -1 : 1;
    if (a->span_id != b->span_id) return a->span_id < b->span_id ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

err trace_unique_rows(struct query *q, const struct batch *b, struct arena *a, uint32_t **out_rows, uint32_t *out_n) {
    uint32_t rows = MIN(b->rows, (uint32_t)QUERY_SPANS_MAX), n = 0;
    struct start_row *order = arena_array(a, struct start_row, MAX(rows, 1u));
    uint32_t *unique = arena_array(a, uint32_t, MAX(rows, 1u));
    if (!order || !unique) return arena_err(a);
    for (uint32_t i = 0; i < rows; i++)
        order[i] =
            (struct start_row){batch_u64(b, SET_ROWS, FIELD_TIME, i), batch_u64(b, SET_ROWS, FIELD_SPAN_ID, i), i};
    qsort(order, rows, sizeof *order, by_start);
    for (uint32_t i = 0; i < rows; i++) {
        if (i > 0 && order[i].start == order[i - 1].start && order[i].span_id == order[i - 1].span_id) continue;
        unique[n++] = order[i].row;
    }
    *out_rows = unique;
    *out_n = n;
    return query_check(q);
}

/* ---- summary ---------------------------------------------------------------------------------------------------- */

struct summing {
    struct query *q;
    const struct batch *b;
    struct arena *scratch;
    struct strings services;
    VEC(struct query_service_count) counts;
    uint32_t *service_of_resource; /* + 1; 0: not looked up yet */
};

static uint32_t service_index(struct summing *s, uint32_t row) {
    uint32_t resource = batch_u32(s->b, SET_ROWS, FIELD_RESOURCE, row);
    if (s->service_of_resource[resource]) return s->service_of_resource[resource] - 1;
    struct str name = query_resource_service(s->b, resource, s->scratch);
    uint32_t index = strings_intern(&s->services, name);
    if (index == s->counts.n) *vec_push(&s->counts) = (struct query_service_count){.service = query_keep(s->q, name)};
    s->service_of_resource[resource] = index + 1;
    return index;
}

static int by_spans(const void *x, const void *y) {
    const struct query_service_count *a = x, *b = y;
    if (a->spans != b->spans) return a->spans > b->spans ? -1 : 1;
    return str_compare(a->service, b->service);
}

/* A span whose parent is not among the rows; rows are by start, so the first found is the earliest. */
static err find_root(struct summing *s, const uint32_t *rows, uint32_t n, uint32_t *out_row, bool *out_missing) {
    *out_missing = false;
    for (uint32_t i = 0; i < n; i++)
        if (batch_u64(s->b, SET_ROWS, FIELD_PARENT_ID, rows[i]) == 0) {
            *out_row = rows[i];
            return NULL;
        }
    size_t slots = 16;
    while (slots < (size_t)n * 2) slots *= 2;
    uint64_t *known = arena_array(s->scratch, uint64_t, slots);
    if (!known) return arena_err(s->scratch);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t id = batch_u64(s->b, SET_ROWS, FIELD_SPAN_ID, rows[i]);
        size_t at = hash_keyed(id, 0) & (slots - 1);
        while (known[at] && known[at] != id) at = (at + 1) & (slots - 1);
        known[at] = id;
    }
    *out_missing = true;
    *out_row = rows[0]; /* all in a ring: the earliest */
    for (uint32_t i = 0; i < n; i++) {
        uint64_t parent = batch_u64(s->b, SET_ROWS, FIELD_PARENT_ID, rows[i]);
        size_t at = hash_keyed(parent, 0) & (slots - 1);
        while (known[at] && known[at] != parent) at = (at + 1) & (slots - 1);
        if (known[at]) continue;
        *out_row = rows[i];
        break;
    }
    return NULL;
}

static int64_t end_of(int64_t start, int64_t duration) {
    int64_t end;
    if (duration < 0) return start;
    return __builtin_add_overflow(start, duration, &end) ? INT64_MAX : end;
}

static void sum_rows(struct summing *s, const struct matcher *m, const uint32_t *rows, uint32_t n,
                     struct query_trace_summary *out) {
    int64_t end = INT64_MIN;
    out->start = out->matched_start = INT64_MAX;
    out->matched_time = out->matched_duration = INT64_MIN;
    for (uint32_t i = 0; i < n; i++) {
        int64_t start = time_of(batch_u64(s->b, SET_ROWS, FIELD_TIME, rows[i]));
        int64_t duration = (int64_t)batch_u64(s->b, SET_ROWS, FIELD_DURATION, rows[i]);
        bool failed = batch_u32(s->b, SET_ROWS, FIELD_STATUS, rows[i]) == 2;
        uint32_t service = service_index(s, rows[i]);
        s->counts.v[service].spans++;
        s->counts.v[service].errors += failed;
        out->spans++;
        out->errors += failed;
        out->start = MIN(out->start, start);
        end = MAX(end, end_of(start, duration));
        if (!m || !matcher_matches_row(m, s->b, rows[i], s->scratch)) continue;
        out->matched++;
        out->matched_time = MAX(out->matched_time, start);
        out->matched_start = MIN(out->matched_start, start);
        out->matched_duration = MAX(out->matched_duration, duration);
    }
    out->duration = end - out->start;
}

static err summarize(struct summing *s, const struct matcher *m, struct query_trace_summary *out) {
    uint32_t *rows, n, root = 0;
    TRY(trace_unique_rows(s->q, s->b, s->scratch, &rows, &n));
    s->service_of_resource = arena_array(s->scratch, uint32_t, s->b->set_rows[SET_RESOURCES] + 1);
    if (!s->service_of_resource) return arena_err(s->scratch);
    memcpy(out->trace_id, batch_id16(s->b, SET_ROWS, FIELD_TRACE_ID, rows[0]), 16);
    sum_rows(s, m, rows, n, out);
    TRY(arena_err(s->scratch));
    TRY(query_check(s->q));
    TRY(find_root(s, rows, n, &root, &out->root_missing));
    out->root_service = s->counts.v[service_index(s, root)].service;
    for (uint32_t i = 0; i < n && !out->correlation_id.n; i++) /* rows are by start */
        out->correlation_id = batch_text(s->b, SET_ROWS, FIELD_CORRELATION, rows[i]);
    out->correlation_id = query_keep(s->q, out->correlation_id);
    out->root_name = query_keep(s->q, batch_text(s->b, SET_ROWS, FIELD_NAME, root));
    struct query_service_count *services = arena_array(&s->q->arena, struct query_service_count, s->counts.n);
    if (!services) return arena_err(&s->q->arena);
    memcpy(services, s->counts.v, s->counts.n * sizeof *services);
    qsort(services, s->counts.n, sizeof *services, by_spans);
    out->services = services;
    out->service_count = s->counts.n;
    return query_settle(s->q);
}

err trace_summarize(struct query *q, const struct batch *b, const struct matcher *m, struct arena *scratch,
                    struct query_trace_summary *out) {
    struct summing s = {.q = q, .b = b, .scratch = scratch};
    strings_init(&s.services);
    *out = (struct query_trace_summary){0};
    err e = summarize(&s, m, out);
    vec_done(&s.counts);
    strings_done(&s.services);
    return e;
}
