/* Spans by service and operation, and by any keys, as JSON: GET /api/v1/traces/aggregate and /api/v1/traces/groups. */
#include "api/api_priv.h"
#include "query/aggregate.h"

static void write_rate(struct json_writer *w, const struct query_span_stats *s, int64_t time_min, int64_t time_max) {
    double seconds = ((double)time_max - (double)time_min) / 1e9;
    json_member(w, "spans_per_second", f64, seconds > 0 ? (double)s->spans / seconds : 0);
}

/* What is in no row, as a member: null where there is nothing. */
static void write_other(struct json_writer *w, const struct query_span_stats *s) {
    json_key(w, STR("other"));
    if (!s->spans) {
        json_null(w);
        return;
    }
    json_object(w);
    write_span_stats(w, s);
    json_object_end(w);
}

/* ---- by service and operation ----------------------------------------------------------------------------------- */

enum { BY_BOTH, BY_SERVICE, BY_OPERATION }; /* the choices of `by`, in their order */

static void write_row(struct json_writer *w, const struct query_aggregate_row *row,
                      const struct query_aggregate_answer *of) {
    json_object(w);
    if (row->service.p) json_member(w, "service", str, row->service);
    if (row->operation.p) json_member(w, "operation", str, row->operation);
    write_rate(w, &row->stats, of->time_min, of->time_max);
    write_span_stats(w, &row->stats);
    json_object_end(w);
}

static err write_aggregate(struct api_call *c, struct query *q, struct answer *a) {
    int64_t by = call_number(c, "by", BY_BOTH);
    struct query_aggregate r = {.by_service = by != BY_OPERATION,
                                .by_operation = by != BY_SERVICE,
                                .limit = (size_t)call_number(c, "limit", 100),
                                .rollups = call_number(c, "rollups", 1) != 0};
    struct query_aggregate_answer found;
    TRY(call_filter(c, q, false, &r.filter));
    TRY(query_aggregate(q, &r, &found));
    write_range(&a->w, found.time_min, found.time_max);
    json_member(&a->w, "rollups", bool, found.rolled);
    write_rate(&a->w, &found.total, found.time_min, found.time_max);
    write_span_stats(&a->w, &found.total);
    json_member(&a->w, "row_count", u64, found.found);
    if (found.found_cut) json_member(&a->w, "row_count_is_least", bool, true);
    json_key(&a->w, STR("rows"));
    json_array(&a->w);
    for (size_t i = 0; i < found.n; i++) {
        write_row(&a->w, &found.rows[i], &found);
        if (i % 64 == 63) TRY(answer_settle(a));
    }
    json_array_end(&a->w);
    write_other(&a->w, &found.other);
    json_member(&a->w, "other_count", u64, found.folded);
    return answer_settle(a);
}

void handle_trace_aggregate(struct api_call *c) {
    struct query q;
    struct answer a;
    call_query_begin(c, &q);
    answer_begin(&a, &q);
    answer_end(c, &a, write_aggregate(c, &q, &a));
}

/* ---- by any keys ------------------------------------------------------------------------------------------------ */

/* The keys asked for, as they were written; `service` if none was. */
static err read_keys(struct api_call *c, struct query *q, struct query_breakdown *r, struct str *names) {
    for (size_t i = 0; i < c->where_count; i++) {
        if (strcmp(c->route->params[c->where_of[i]].name, "by") != 0) continue;
        if (r->by_count == QUERY_KEYS_MAX) return err_new(ERR_INVALID, "more than %d keys to group by", QUERY_KEYS_MAX);
        names[r->by_count] = c->wheres[i];
        TRY_WRAP(query_by_parse(q, SIGNAL_SPANS, c->wheres[i], &r->by[r->by_count]), "by=" STR_FMT,
                 STR_ARG(c->wheres[i]));
        r->by_count++;
    }
    if (r->by_count) return NULL;
    names[0] = STR("service");
    return query_by_parse(q, SIGNAL_SPANS, names[r->by_count++], &r->by[0]);
}

static void write_samples(struct json_writer *w, const struct query_group *g) {
    json_key(w, STR("sample_trace_ids"));
    json_array(w);
    for (uint32_t i = 0; i < g->sample_count; i++) json_hex(w, g->samples[i], 16);
    json_array_end(w);
}

static void write_group(struct json_writer *w, const struct query_breakdown *r, const struct query_group *g) {
    json_object(w);
    json_key(w, STR("values"));
    json_array(w);
    for (size_t k = 0; k < r->by_count; k++) {
        if (g->values[k].absent)
            json_null(w);
        else
            write_group_value(w, &r->by[k], &g->values[k]);
    }
    json_array_end(w);
    write_span_stats(w, &g->stats);
    write_samples(w, g);
    json_object_end(w);
}

static err write_groups(struct api_call *c, struct query *q, struct answer *a) {
    struct query_breakdown r = {
        .signal = SIGNAL_SPANS, .with_absent = true, .samples = true, .top = (size_t)call_number(c, "limit", 50)};
    struct query_breakdown_answer found;
    struct str names[QUERY_KEYS_MAX];
    TRY(call_filter(c, q, false, &r.filter));
    TRY(read_keys(c, q, &r, names));
    TRY(query_breakdown(q, &r, &found));
    write_range(&a->w, r.filter.time_min, r.filter.time_max);
    json_key(&a->w, STR("by"));
    json_array(&a->w);
    for (size_t k = 0; k < r.by_count; k++) json_str(&a->w, names[k]);
    json_array_end(&a->w);
    write_span_stats(&a->w, &found.total);
    json_member(&a->w, "group_count", u64, found.values);
    if (found.values_cut) json_member(&a->w, "group_count_is_least", bool, true);
    json_key(&a->w, STR("groups"));
    json_array(&a->w);
    for (size_t i = 0; i < found.n; i++) {
        write_group(&a->w, &r, &found.groups[i]);
        if (i % 64 == 63) TRY(answer_settle(a));
    }
    json_array_end(&a->w);
    write_other(&a->w, &found.other.stats);
    return answer_settle(a);
}

void handle_trace_groups(struct api_call *c) {
    struct query q;
    struct answer a;
    call_query_begin(c, &q);
    answer_begin(&a, &q);
    answer_end(c, &a, write_groups(c, &q, &a));
}
