#include "query/query_priv.h"

#include "base/text.h"
#include "signal/otlp.h"

void query_filter_init(struct query_filter *f) {
    *f = (struct query_filter){.time_min = INT64_MIN,
                               .time_max = INT64_MAX,
                               .status = -1,
                               .kind = -1,
                               .duration_min = INT64_MIN,
                               .duration_max = INT64_MAX};
}

err query_filter_where(struct query *q, struct query_filter *f, struct str text) {
    if (f->where_count == QUERY_WHERE_MAX) return err_new(ERR_LIMIT, "more than %d conditions", QUERY_WHERE_MAX);
    struct predicate p = {0};
    TRY(where_parse(&q->arena, text, &p));
    TRY(query_hold_predicate(q, &p));
    f->where[f->where_count++] = p;
    return NULL;
}

static err add(struct query *q, struct matcher *m, struct column_ref column, enum operator op, struct str text) {
    struct predicate p = {0};
    assert(m->predicate_count < MATCHER_PREDICATES_MAX);
    text = arena_copy(&q->arena, text);
    if (!text.p) return arena_err(&q->arena);
    TRY(predicate_make(&q->arena, column, op, text, &p));
    TRY(query_hold_predicate(q, &p));
    m->predicates[m->predicate_count++] = p;
    return NULL;
}

static err add_number(struct query *q, struct matcher *m, enum field field, enum operator op, int64_t number) {
    char room[32];
    struct buf text;
    buf_init(&text, sizeof room);
    put_i64(&text, number);
    err e = add(q, m, COLUMN_FIELD(field), op, buf_str(&text));
    buf_done(&text);
    return e;
}

static err add_id(struct query *q, struct matcher *m, enum field field, const unsigned char *id, size_t n) {
    struct buf text;
    buf_init(&text, 64);
    put_hex(&text, id, n);
    err e = add(q, m, COLUMN_FIELD(field), OP_EQUAL, buf_str(&text));
    buf_done(&text);
    return e;
}

static err add_service(struct query *q, struct matcher *m, struct str service) {
    m->unknown_service = str_equal(service, STR("unknown_service"));
    if (m->unknown_service) return NULL;
    return add(q, m, COLUMN_RESOURCE("service.name"), OP_EQUAL, service);
}

static err add_span_conditions(struct query *q, struct matcher *m, const struct query_filter *f) {
    if (f->operation.p) TRY(add(q, m, COLUMN_FIELD(FIELD_NAME), OP_EQUAL, f->operation));
    if (f->status >= 0) TRY(add_number(q, m, FIELD_STATUS, OP_EQUAL, f->status));
    if (f->kind >= 0) TRY(add_number(q, m, FIELD_KIND, OP_EQUAL, f->kind));
    if (f->is_root) TRY(add(q, m, COLUMN_FIELD(FIELD_PARENT_ID), OP_ABSENT, STR("")));
    if (f->duration_min != INT64_MIN) TRY(add_number(q, m, FIELD_DURATION, OP_GREATER_EQUAL, f->duration_min));
    if (f->duration_max != INT64_MAX) TRY(add_number(q, m, FIELD_DURATION, OP_LESS_EQUAL, f->duration_max));
    return NULL;
}

static err add_log_conditions(struct query *q, struct matcher *m, const struct query_filter *f) {
    if (f->severity_min > 0) TRY(add_number(q, m, FIELD_SEVERITY, OP_GREATER_EQUAL, f->severity_min));
    return NULL;
}

err matcher_make(struct query *q, enum signal signal, const struct query_filter *f, struct matcher *out) {
    *out = (struct matcher){.signal = signal, .time_min = f->time_min, .time_max = f->time_max};
    if (f->time_min > f->time_max) return err_new(ERR_INVALID, "the range ends before it starts");
    if (f->environment.p) {
        out->environment = arena_copy(&q->arena, f->environment);
        if (!out->environment.p) return arena_err(&q->arena);
    }
    if (f->trace_id) TRY(add_id(q, out, FIELD_TRACE_ID, f->trace_id, 16));
    if (f->span_id) TRY(add_id(q, out, FIELD_SPAN_ID, f->span_id, 8));
    if (f->service.p) TRY(add_service(q, out, f->service));
    TRY(signal == SIGNAL_SPANS ? add_span_conditions(q, out, f) : add_log_conditions(q, out, f));
    for (size_t i = 0; i < f->where_count; i++) out->predicates[out->predicate_count++] = f->where[i];
    if (f->text.n) {
        struct column_ref text = {.target = TARGET_TEXT};
        TRY_WRAP(add(q, out, text, OP_WORDS, f->text), "text");
    }
    return query_settle(q);
}

/* ---- by definition ---------------------------------------------------------------------------------------------- */

struct str query_resource_text(const struct batch *b, uint32_t resource, struct str key, struct arena *a) {
    enum value_type type;
    uint64_t value;
    if (!batch_find_attribute(b, SET_RESOURCES, resource, key, &type, &value)) return (struct str){"", 0};
    if (type == VALUE_STRING) return batch_string(b, (uint32_t)value);
    struct buf text;
    buf_init(&text, 4 * KIB);
    value_write_text(b, type, value, &text);
    struct str copy = arena_copy(a, buf_str(&text));
    buf_done(&text);
    return copy.p ? copy : (struct str){"", 0};
}

struct str query_resource_service(const struct batch *b, uint32_t resource, struct arena *a) {
    return service_or_unknown(query_resource_text(b, resource, STR("service.name"), a));
}

struct str resource_namespace(const struct batch *b, uint32_t resource, struct arena *a) {
    return query_resource_text(b, resource, STR("service.namespace"), a);
}

struct str query_resource_environment(const struct batch *b, uint32_t resource, struct arena *a) {
    return environment_of(query_resource_text(b, resource, STR("deployment.environment.name"), a),
                          query_resource_text(b, resource, STR("deployment.environment"), a));
}

struct str query_row_service(const struct batch *b, uint32_t row, struct arena *a) {
    return query_resource_service(b, batch_u32(b, SET_ROWS, FIELD_RESOURCE, row), a);
}

struct str query_row_environment(const struct batch *b, uint32_t row, struct arena *a) {
    return query_resource_environment(b, batch_u32(b, SET_ROWS, FIELD_RESOURCE, row), a);
}

bool matcher_matches_row(const struct matcher *m, const struct batch *b, uint32_t row, struct arena *scratch) {
    int64_t time = time_of(batch_u64(b, SET_ROWS, FIELD_TIME, row));
    if (time < m->time_min || time > m->time_max) return false;
    for (size_t i = 0; i < m->predicate_count; i++)
        if (!predicate_matches_row(&m->predicates[i], b, row)) return false;
    if (m->environment.p && !str_equal(query_row_environment(b, row, scratch), m->environment)) return false;
    return !m->unknown_service || str_equal(query_row_service(b, row, scratch), STR("unknown_service"));
}
