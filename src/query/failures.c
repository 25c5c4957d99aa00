#include "query/failures.h"

#include "base/map.h"
#include "base/vec.h"
#include "query/failures_priv.h"
#include "query/query_priv.h"
#include "signal/batch_build.h"

#include <stdlib.h>

enum { TEXT_BYTES_MAX = 16 << 10 };

enum {
    COLUMN_SERVICE,
    COLUMN_SPACE,
    COLUMN_ENVIRONMENT,
    COLUMN_OLD_ENVIRONMENT,
    COLUMN_NAME,
    COLUMN_MESSAGE,
    COLUMN_ERROR,
    COLUMN_CODE,
    COLUMN_OLD_CODE,
    COLUMN_GRPC_CODE,
    TEXT_COLUMNS,
    COLUMN_KIND = TEXT_COLUMNS,
    COLUMN_TIME,
    COLUMN_TRACE,
    COLUMN_SPAN,
    COLUMN_PARENT,
    COLUMNS
};
#define ATTRIBUTE_COLUMN(k)                                                                                            \
    { .target = TARGET_ATTRIBUTE, .key = STR(k) }
static const struct column_ref columns[COLUMNS] = {
    [COLUMN_SERVICE] = RESOURCE_COLUMN("service.name"),
    [COLUMN_SPACE] = RESOURCE_COLUMN("service.namespace"),
    [COLUMN_ENVIRONMENT] = RESOURCE_COLUMN("deployment.environment.name"),
    [COLUMN_OLD_ENVIRONMENT] = RESOURCE_COLUMN("deployment.environment"),
    [COLUMN_NAME] = FIELD_COLUMN(FIELD_NAME),
    [COLUMN_MESSAGE] = FIELD_COLUMN(FIELD_STATUS_MESSAGE),
    [COLUMN_ERROR] = ATTRIBUTE_COLUMN("error.type"),
    [COLUMN_CODE] = ATTRIBUTE_COLUMN("http.response.status_code"),
    [COLUMN_OLD_CODE] = ATTRIBUTE_COLUMN("http.status_code"),
    [COLUMN_GRPC_CODE] = ATTRIBUTE_COLUMN("rpc.grpc.status_code"),
    [COLUMN_KIND] = FIELD_COLUMN(FIELD_KIND),
    [COLUMN_TIME] = FIELD_COLUMN(FIELD_TIME),
    [COLUMN_TRACE] = FIELD_COLUMN(FIELD_TRACE_ID),
    [COLUMN_SPAN] = FIELD_COLUMN(FIELD_SPAN_ID),
    [COLUMN_PARENT] = FIELD_COLUMN(FIELD_PARENT_ID),
};

struct counter {
    struct query *q;
    struct strings keys;     /* of all: sizes, texts and kind */
    struct strings of_chunk; /* codes and kind → a number, whose group is group_of */
    VEC(uint32_t) group_of;
    VEC(struct query_failure) v;
    VEC(struct failed_row) rows;
    VEC(uint64_t) passages; /* group of the origin, group passed through */
    struct buf key;
    int64_t time_min;
    double bucket_ns;
    uint64_t total, other, unfolded;
};

static struct str cut_text(struct str s) { return (struct str){s.p, MIN(s.n, (size_t)TEXT_BYTES_MAX)}; }

static struct query_failure read_row(const struct vector *c, uint32_t i) {
    struct query_failure f = {
        .service = service_or_unknown(vector_text(&c[COLUMN_SERVICE], i)),
        .space = vector_text(&c[COLUMN_SPACE], i),
        .environment =
            environment_of(vector_text(&c[COLUMN_ENVIRONMENT], i), vector_text(&c[COLUMN_OLD_ENVIRONMENT], i)),
        .operation = vector_text(&c[COLUMN_NAME], i),
        .message = cut_text(vector_text(&c[COLUMN_MESSAGE], i)),
        .kind = (uint32_t)c[COLUMN_KIND].u64[i],
        .first = INT64_MAX,
        .last = INT64_MIN,
    };
    for (int k = COLUMN_ERROR; k < TEXT_COLUMNS && !f.error.n; k++) f.error = cut_text(vector_text(&c[k], i));
    return f;
}

/* The group of what a row says, new if it must be; FAILURE_NONE: there are too many. */
static err find_group(struct counter *s, const struct vector *c, uint32_t i, uint32_t *out) {
    struct query_failure f = read_row(c, i);
    const struct str texts[] = {f.service, f.space, f.environment, f.operation, f.error, f.message};
    buf_clear(&s->key);
    for (size_t k = 0; k < LENGTH(texts); k++) buf_add(&s->key, &texts[k].n, sizeof texts[k].n);
    for (size_t k = 0; k < LENGTH(texts); k++) buf_add_str(&s->key, texts[k]);
    buf_add(&s->key, &f.kind, sizeof f.kind);
    if (!s->key.full && strings_find(&s->keys, buf_str(&s->key), out)) return NULL;
    *out = FAILURE_NONE;
    if (s->key.full || s->v.n == QUERY_FAILURES_MAX) return NULL;
    TRY(query_charge(s->q, s->key.n + sizeof f));
    *out = strings_intern(&s->keys, buf_str(&s->key));
    struct str *const kept[] = {&f.service, &f.space, &f.environment, &f.operation, &f.error, &f.message};
    for (size_t k = 0; k < LENGTH(kept); k++) *kept[k] = query_keep(s->q, *kept[k]);
    *vec_push(&s->v) = f;
    return NULL;
}

/* The same, by the codes of a chunk: texts are looked up once for each combination of them. */
static err group_of_row(struct counter *s, const struct vector *c, uint32_t i, uint32_t *out) {
    uint32_t codes[TEXT_COLUMNS + 1], number;
    for (int k = 0; k < TEXT_COLUMNS; k++) codes[k] = c[k].codes[i];
    codes[TEXT_COLUMNS] = (uint32_t)c[COLUMN_KIND].u64[i];
    struct str key = {(const char *)codes, sizeof codes};
    if (!strings_find(&s->of_chunk, key, &number)) {
        uint32_t group;
        TRY(find_group(s, c, i, &group));
        number = strings_intern(&s->of_chunk, key);
        *vec_push(&s->group_of) = group;
    }
    *out = s->group_of.v[number];
    return NULL;
}

/* The newest of different traces. */
static void add_sample(struct query_failure *f, const struct failed_row *row) {
    const unsigned char *trace = row->trace_id;
    int64_t time = row->time;
    uint32_t at = f->sample_count;
    for (uint32_t k = 0; k < f->sample_count; k++)
        if (memcmp(f->samples[k].trace_id, trace, 16) == 0) {
            if (f->samples[k].time >= time) return;
            memmove(&f->samples[k], &f->samples[k + 1], (--f->sample_count - k) * sizeof *f->samples);
            break;
        }
    for (at = f->sample_count; at > 0 && f->samples[at - 1].time < time; at--) continue;
    if (at == QUERY_FAILURE_SAMPLES) return;
    uint32_t kept = MIN(f->sample_count, (uint32_t)QUERY_FAILURE_SAMPLES - 1);
    memmove(&f->samples[at + 1], &f->samples[at], (kept - at) * sizeof *f->samples);
    memcpy(f->samples[at].trace_id, trace, 16);
    f->samples[at].span_id = row->span_id;
    f->samples[at].time = time;
    f->samples[at].place = row->place;
    f->sample_count = kept + 1;
}

static void count_row(struct counter *s, const struct failed_row *row) {
    if (row->group == FAILURE_NONE) {
        s->other++;
        return;
    }
    struct query_failure *f = &s->v.v[row->group];
    int64_t time = row->time;
    double bucket = ((double)time - (double)s->time_min) / s->bucket_ns;
    f->count++;
    f->first = MIN(f->first, time);
    f->last = MAX(f->last, time);
    f->buckets[bucket < 0 ? 0 : bucket >= QUERY_FAILURE_BUCKETS ? QUERY_FAILURE_BUCKETS - 1 : (size_t)bucket]++;
    add_sample(f, row);
}

static struct failed_row read_ids(const struct chunk *chunk, uint32_t i, uint32_t group) {
    const struct vector *c = chunk->columns;
    struct failed_row row = {.span_id = c[COLUMN_SPAN].u64[i],
                             .parent_id = c[COLUMN_PARENT].u64[i],
                             .time = time_of(c[COLUMN_TIME].u64[i]),
                             .group = group,
                             .place = {chunk->source, chunk->group, chunk->rows[i]}};
    memcpy(row.trace_id, c[COLUMN_TRACE].id16 + 16 * (size_t)i, 16);
    return row;
}

/* Charged before it grows, by as much as a vector may take. */
static err keep_row(struct counter *s, const struct failed_row *row) {
    if (s->rows.n == QUERY_FAILURES_FOLDED) {
        s->unfolded++;
        count_row(s, row);
        return NULL;
    }
    if (s->rows.n == s->rows.capacity) TRY(query_charge(s->q, (s->rows.n / 2 + 64) * sizeof *row));
    *vec_push(&s->rows) = *row;
    return NULL;
}

static enum scan_next on_rows(void *context, const struct picked *rows, err *out_error) {
    struct counter *s = context;
    const struct vector *c = rows->chunk->columns;
    strings_clear(&s->of_chunk);
    vec_clear(&s->group_of);
    for (uint32_t k = 0; k < rows->n; k++) {
        uint32_t i = picked_at(rows, k), group;
        if ((*out_error = group_of_row(s, c, i, &group))) return SCAN_STOP;
        struct failed_row row = read_ids(rows->chunk, i, group);
        s->total++;
        if ((*out_error = keep_row(s, &row))) return SCAN_STOP;
    }
    *out_error = query_settle(s->q);
    return *out_error ? SCAN_STOP : SCAN_GO_ON;
}

/* ---- passages --------------------------------------------------------------------------------------------------- */

static int by_number(const void *x, const void *y) {
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return (a > b) - (a < b);
}

static int most_first(const void *x, const void *y) {
    const struct query_failure_caller *a = x, *b = y;
    if (a->count != b->count) return a->count > b->count ? -1 : 1;
    return (a->failure > b->failure) - (a->failure < b->failure);
}

/* Passages of one origin's group follow each other, those through one group among them too. */
static err list_callers(struct counter *s) {
    uint64_t *v = s->passages.v;
    size_t n = s->passages.n, made = 0;
    struct query_failure_caller *all = arena_array(&s->q->arena, struct query_failure_caller, n + 1);
    if (!all) return arena_err(&s->q->arena);
    if (n) qsort(v, n, sizeof *v, by_number);
    for (size_t i = 0, end; i < n; i = end) {
        struct query_failure *f = &s->v.v[v[i] >> 32];
        if (!f->callers) f->callers = all + made;
        for (end = i; end < n && v[end] == v[i]; end++) continue;
        all[made++] = (struct query_failure_caller){(uint32_t)v[i], end - i};
        f->caller_count++;
        f->passed_through += end - i;
        bool last = end == n || v[end] >> 32 != v[i] >> 32;
        if (last) qsort(all + made - f->caller_count, f->caller_count, sizeof *all, most_first);
    }
    return query_settle(s->q);
}

static err fold_rows(struct counter *s, const struct query_filter *f) {
    uint32_t n = (uint32_t)s->rows.n;
    uint32_t *origins = arena_array(&s->q->arena, uint32_t, (size_t)n + 1);
    if (!origins) return arena_err(&s->q->arena);
    uint64_t unseen;
    TRY(failures_between(s->q, f, s->rows.v, n, origins, &unseen));
    s->unfolded += unseen;
    TRY(failures_fold(s->q, s->v.v, s->rows.v, n, origins));
    TRY(query_charge(s->q, (uint64_t)n * sizeof(uint64_t)));
    vec_reserve(&s->passages, n);
    for (uint32_t i = 0; i < n; i++) {
        const struct failed_row *row = &s->rows.v[i], *origin = &s->rows.v[origins[i]];
        if (origin == row)
            count_row(s, row);
        else if (row->group == FAILURE_NONE || origin->group == FAILURE_NONE)
            s->other++;
        else
            *vec_push(&s->passages) = (uint64_t)origin->group << 32 | row->group;
    }
    return list_callers(s);
}

static err count(struct counter *s, const struct query_filter *f, struct query_failures_answer *out) {
    struct query_filter failed = *f;
    struct matcher m;
    failed.status = FAILURE_STATUS;
    TRY(matcher_make(s->q, SIGNAL_SPANS, &failed, &m));
    TRY(query_scan(s->q, &m, columns, COLUMNS, on_rows, s));
    TRY(fold_rows(s, f));
    struct query_failure *all = arena_array(&s->q->arena, struct query_failure, s->v.n + 1);
    if (!all) return arena_err(&s->q->arena);
    if (s->v.n) memcpy(all, s->v.v, s->v.n * sizeof *all);
    *out = (struct query_failures_answer){.failures = all,
                                          .n = s->v.n,
                                          .total = s->total,
                                          .other = s->other,
                                          .unfolded = s->unfolded,
                                          .time_min = f->time_min,
                                          .time_max = f->time_max};
    return query_settle(s->q);
}

err query_failures(struct query *q, const struct query_filter *f, struct query_failures_answer *out) {
    if (f->time_min > f->time_max) return err_new(ERR_INVALID, "the range ends before it starts");
    struct counter s = {.q = q,
                        .time_min = f->time_min,
                        .bucket_ns = ((double)f->time_max - (double)f->time_min + 1) / QUERY_FAILURE_BUCKETS};
    strings_init(&s.keys);
    strings_init(&s.of_chunk);
    buf_init(&s.key, 128 << 10);
    err e = count(&s, f, out);
    strings_done(&s.keys);
    strings_done(&s.of_chunk);
    vec_done(&s.group_of);
    vec_done(&s.v);
    vec_done(&s.rows);
    vec_done(&s.passages);
    buf_done(&s.key);
    return e;
}

err query_failure_span(struct query *q, const struct query_failure_sample *sample, struct batch *out, bool *out_found) {
    struct snapshot *sn;
    struct batch_builder builder;
    TRY(query_snapshot(q, SIGNAL_SPANS, &sn));
    batch_builder_init(&builder, SIGNAL_SPANS);
    err e = snapshot_fetch(sn, &sample->place, 1, &builder, &q->stats);
    if (!e) e = query_check_builder(q, &builder);
    *out_found = !e && builder.sets[SET_ROWS].n > 0;
    if (*out_found) {
        struct batch_blob *blob = batch_builder_finish(&builder);
        batch_view(blob, out);
        e = query_hold_blob(q, blob);
    }
    batch_builder_done(&builder);
    return e;
}
