/* Metrics as OTLP/JSON → points, in one pass: members may come in any order, because a row of a resource, scope, metric or series is made before
 * what is in it is known. So the hashes of series are found at the end, from the blob.
 *
 * Which members a message has, and of what kind, is in tables; one function reads them. Rules: signal/json_decode_priv.h. */
#include "signal/json_decode_priv.h"
#include "signal/metrics/points_decode_priv.h"

enum member {
    MEMBER_NAME,
    MEMBER_DESCRIPTION,
    MEMBER_UNIT,
    MEMBER_VERSION,
    MEMBER_SCHEMA_URL,
    MEMBER_LABELS, /* attributes, filteredAttributes, metadata */
    MEMBER_DROPPED,
    MEMBER_SHARED, /* the resource or scope of a group */
    MEMBER_GROUPS, /* scopeMetrics */
    MEMBER_METRICS,
    MEMBER_GAUGE, /* + enum metric_kind - METRIC_GAUGE */
    MEMBER_SUM,
    MEMBER_HISTOGRAM,
    MEMBER_EXPONENTIAL,
    MEMBER_SUMMARY,
    MEMBER_POINTS,
    MEMBER_TEMPORALITY,
    MEMBER_MONOTONIC,
    MEMBER_START,
    MEMBER_TIME,
    MEMBER_DOUBLE,
    MEMBER_INT,
    MEMBER_FLAGS,
    MEMBER_EXEMPLARS,
    MEMBER_COUNT,
    MEMBER_SUM_VALUE,
    MEMBER_MIN,
    MEMBER_MAX,
    MEMBER_COUNTS,
    MEMBER_BOUNDS,
    MEMBER_SCALE,
    MEMBER_ZERO_COUNT,
    MEMBER_ZERO_THRESHOLD,
    MEMBER_POSITIVE,
    MEMBER_NEGATIVE,
    MEMBER_OFFSET,
    MEMBER_QUANTILES,
    MEMBER_QUANTILE,
    MEMBER_QUANTILE_VALUE,
    MEMBER_TRACE_ID,
    MEMBER_SPAN_ID,
};

struct message {
    struct json_names names;
    uint8_t members[17]; /* enum member, as the names */
};

static const struct message resource_group = {{3, {STR("resource"), STR("scopeMetrics"), STR("schemaUrl")}},
                                              {MEMBER_SHARED, MEMBER_GROUPS, MEMBER_SCHEMA_URL}};
static const struct message scope_group = {{3, {STR("scope"), STR("metrics"), STR("schemaUrl")}},
                                           {MEMBER_SHARED, MEMBER_METRICS, MEMBER_SCHEMA_URL}};
static const struct message shared_message = {
    {4, {STR("attributes"), STR("droppedAttributesCount"), STR("name"), STR("version")}},
    {MEMBER_LABELS, MEMBER_DROPPED, MEMBER_NAME, MEMBER_VERSION}};
static const struct message metric_message = {
    {9,
     {STR("name"), STR("description"), STR("unit"), STR("gauge"), STR("sum"), STR("histogram"),
      STR("exponentialHistogram"), STR("summary"), STR("metadata")}},
    {MEMBER_NAME, MEMBER_DESCRIPTION, MEMBER_UNIT, MEMBER_GAUGE, MEMBER_SUM, MEMBER_HISTOGRAM, MEMBER_EXPONENTIAL,
     MEMBER_SUMMARY, MEMBER_LABELS}};
static const struct message data_message = {{3, {STR("dataPoints"), STR("aggregationTemporality"), STR("isMonotonic")}},
                                            {MEMBER_POINTS, MEMBER_TEMPORALITY, MEMBER_MONOTONIC}};
static const struct message number_message = {
    {7,
     {STR("attributes"), STR("startTimeUnixNano"), STR("timeUnixNano"), STR("asDouble"), STR("asInt"), STR("exemplars"),
      STR("flags")}},
    {MEMBER_LABELS, MEMBER_START, MEMBER_TIME, MEMBER_DOUBLE, MEMBER_INT, MEMBER_EXEMPLARS, MEMBER_FLAGS}};
static const struct message histogram_message = {
    {11,
     {STR("attributes"), STR("startTimeUnixNano"), STR("timeUnixNano"), STR("count"), STR("sum"), STR("bucketCounts"),
      STR("explicitBounds"), STR("exemplars"), STR("flags"), STR("min"), STR("max")}},
    {MEMBER_LABELS, MEMBER_START, MEMBER_TIME, MEMBER_COUNT, MEMBER_SUM_VALUE, MEMBER_COUNTS, MEMBER_BOUNDS,
     MEMBER_EXEMPLARS, MEMBER_FLAGS, MEMBER_MIN, MEMBER_MAX}};
static const struct message exponential_message = {
    {14,
     {STR("attributes"), STR("startTimeUnixNano"), STR("timeUnixNano"), STR("count"), STR("sum"), STR("scale"),
      STR("zeroCount"), STR("positive"), STR("negative"), STR("flags"), STR("exemplars"), STR("min"), STR("max"),
      STR("zeroThreshold")}},
    {MEMBER_LABELS, MEMBER_START, MEMBER_TIME, MEMBER_COUNT, MEMBER_SUM_VALUE, MEMBER_SCALE, MEMBER_ZERO_COUNT,
     MEMBER_POSITIVE, MEMBER_NEGATIVE, MEMBER_FLAGS, MEMBER_EXEMPLARS, MEMBER_MIN, MEMBER_MAX, MEMBER_ZERO_THRESHOLD}};
static const struct message buckets_message = {{2, {STR("offset"), STR("bucketCounts")}},
                                               {MEMBER_OFFSET, MEMBER_COUNTS}};
static const struct message summary_message = {
    {7,
     {STR("attributes"), STR("startTimeUnixNano"), STR("timeUnixNano"), STR("count"), STR("sum"), STR("quantileValues"),
      STR("flags")}},
    {MEMBER_LABELS, MEMBER_START, MEMBER_TIME, MEMBER_COUNT, MEMBER_SUM_VALUE, MEMBER_QUANTILES, MEMBER_FLAGS}};
static const struct message quantile_message = {{2, {STR("quantile"), STR("value")}},
                                                {MEMBER_QUANTILE, MEMBER_QUANTILE_VALUE}};
static const struct message exemplar_message = {
    {6, {STR("filteredAttributes"), STR("timeUnixNano"), STR("asDouble"), STR("asInt"), STR("spanId"), STR("traceId")}},
    {MEMBER_LABELS, MEMBER_TIME, MEMBER_DOUBLE, MEMBER_INT, MEMBER_SPAN_ID, MEMBER_TRACE_ID}};
static const struct json_names request_names = {1, {STR("resourceMetrics")}};
/* The points of each kind of metric, and what they are. */
static const struct {
    const struct message *message;
    enum point_kind kind;
} points_of[METRIC_KINDS] = {[METRIC_GAUGE] = {&number_message, POINT_EMPTY},
                             [METRIC_SUM] = {&number_message, POINT_EMPTY},
                             [METRIC_HISTOGRAM] = {&histogram_message, POINT_HISTOGRAM},
                             [METRIC_EXPONENTIAL] = {&exponential_message, POINT_EXPONENTIAL},
                             [METRIC_SUMMARY] = {&summary_message, POINT_SUMMARY}};

struct reader {
    struct json_in in;
    struct points_decoder *d;
};

/* What is under way: a group, a metric, a point, an exemplar, a part of one; each uses its own few. */
struct item {
    uint32_t resource, scope, metric; /* rows */
    uint32_t labels, labels_n;
    struct points_scope shared;
    struct points_metric head;
    uint64_t start, time, value;
    enum point_kind kind;
    uint32_t flags;
    bool negative; /* of buckets */
    struct points_histogram h;
    uint64_t quantile;
    struct wire trace, span;
    unsigned char trace_id[16], span_id[8];
};

static bool read_message(struct reader *r, const struct message *m, struct item *item);

static const unsigned char *here(const struct reader *r) {
    return (const unsigned char *)r->in.r.text.p + r->in.r.token;
}

/* ---- scalars -------------------------------------------------------------------------------------------------------- */

static bool read_text(struct reader *r, uint32_t *out) {
    struct wire text;
    if (!json_read_text(&r->in, &text)) return false;
    *out = points_text(r->d, text);
    return !r->d->fault.what;
}

static bool read_u64(struct reader *r, uint64_t *out) {
    return json_read_integer(&r->in, 0, UINT64_MAX, "expected an unsigned 64-bit integer, as a number or a string",
                             out);
}

static bool read_u32(struct reader *r, uint32_t *out) {
    uint64_t v;
    if (!json_read_integer(&r->in, 0, UINT32_MAX, "expected an unsigned 32-bit integer", &v)) return false;
    *out = (uint32_t)v;
    return true;
}

static bool read_i32(struct reader *r, int32_t *out) {
    uint64_t v;
    if (!json_read_integer(&r->in, INT32_MIN, INT32_MAX, "expected a signed 32-bit integer", &v)) return false;
    *out = (int32_t)v;
    return true;
}

static bool read_value(struct reader *r, struct item *item, enum point_kind kind) {
    item->kind = kind;
    if (kind == POINT_DOUBLE) return json_read_double(&r->in, &item->value);
    return json_read_integer(&r->in, INT64_MIN, INT64_MAX, "expected a signed 64-bit integer, as a number or a string",
                             &item->value);
}

static bool read_optional(struct reader *r, struct item *item, uint32_t flag, uint64_t *out) {
    item->h.flags |= flag;
    return json_read_double(&r->in, out);
}

static bool read_monotonic(struct reader *r, struct item *item) {
    uint64_t v;
    if (!json_read_bool(&r->in, &v)) return false;
    item->head.monotonic = (uint32_t)v;
    return true;
}

static bool read_labels(struct reader *r, struct item *item) {
    struct hash128 hash;
    const char *bad;
    buf_clear(&r->in.any);
    item->labels_n = 0;
    return json_put_attributes(&r->in, OTLP_LABEL_TAG, &item->labels_n) &&
           points_labels(r->d, LABELS_ATTRIBUTES, buf_str(&r->in.any), &hash, &item->labels, &bad);
}

/* Whether the array at hand ends here; its elements are numbers, which the caller reads. */
static bool array_ends(struct reader *r) {
    struct json_reader *j = &r->in.r;
    size_t at = j->at;
    while (at < j->text.n && strchr(" \t\r\n", j->text.p[at]) && j->text.p[at]) at++;
    return at < j->text.n && j->text.p[at] == ']' && json_next(j) == JSON_ARRAY_END;
}

static bool read_list(struct reader *r, int list, bool doubles) {
    if (!json_enter(&r->in, JSON_ARRAY)) return false;
    while (!array_ends(r)) {
        uint64_t v;
        if (!(doubles ? json_read_double(&r->in, &v) : read_u64(r, &v))) return false;
        points_list_add(&r->d->lists, list, v);
    }
    return true;
}

/* ---- parts of a point ------------------------------------------------------------------------------------------------- */

static bool read_buckets(struct reader *r, struct item *point, bool negative) {
    point->h.flags |= negative ? HISTOGRAM_HAS_NEGATIVE : HISTOGRAM_HAS_POSITIVE;
    point->negative = negative;
    bool ok = json_enter(&r->in, JSON_OBJECT) && read_message(r, &buckets_message, point);
    point->negative = false;
    return ok;
}

static bool read_quantiles(struct reader *r) {
    if (!json_enter(&r->in, JSON_ARRAY)) return false;
    while (json_element_next(&r->in)) {
        struct item item = {0};
        if (!read_message(r, &quantile_message, &item)) return false;
        points_list_add(&r->d->lists, NUMBERS_BOUNDS, item.quantile);
        points_list_add(&r->d->lists, NUMBERS_POSITIVE, item.value);
    }
    return !r->d->fault.what;
}

/* Exemplars of the point that was made last. */
static bool read_exemplars(struct reader *r) {
    struct points_builder *b = &r->d->b;
    if (!json_enter(&r->in, JSON_ARRAY)) return false;
    while (json_element_next(&r->in)) {
        struct item x = {0};
        if (!read_message(r, &exemplar_message, &x)) return false;
        size_t trace = wire_left(&x.trace), span = wire_left(&x.span);
        if ((trace && trace != 16) || (span && span != 8) || x.labels_n > OTLP_LABELS_MAX) {
            r->d->result.exemplars_rejected++;
            continue;
        }
        struct points_exemplar e = {.time = x.time,
                                    .value = x.value,
                                    .labels = x.labels,
                                    .series = (uint32_t)b->series.n - 1,
                                    .point = b->n - 1,
                                    .kind = x.kind};
        if (trace) memcpy(e.trace_id, x.trace.p, 16);
        if (span) memcpy(&e.span_id, x.span.p, 8);
        if (!points_room(r->d, b->exemplars, here(r))) return false;
        *vec_push(&b->exemplars) = e;
    }
    return !r->d->fault.what;
}

/* ---- points and metrics -------------------------------------------------------------------------------------------------- */

/* The reason to refuse the point, or POINT_TAKEN; *what for the sentence. */
static int judge_point(struct reader *r, const struct item *p, const char **what) {
    int64_t t = p->time > INT64_MAX ? INT64_MAX : (int64_t)p->time;
    *what = NULL;
    points_fill_unrecorded(r->d, p->kind, p->flags);
    if (point_is_compound(p->kind) && (*what = points_histogram_fault(r->d, p->kind, &p->h)))
        return POINTS_BAD_HISTOGRAM;
    return p->labels_n > OTLP_LABELS_MAX ? POINTS_TOO_MANY : points_time_reason(r->d, t);
}

static bool read_point(struct reader *r, const struct item *metric) {
    struct points_builder *b = &r->d->b;
    struct points_mark mark = points_builder_mark(b);
    struct item p = {.kind = points_of[metric->head.kind].kind};
    const char *what;
    uint32_t i;
    if (!points_room(r->d, b->series, here(r))) return false;
    points_builder_series(b, metric->metric, 0);
    if (!points_add_point(r->d, here(r), &i)) return false;
    points_lists_clear(&r->d->lists);
    if (!read_message(r, points_of[metric->head.kind].message, &p)) return false;
    int reason = judge_point(r, &p, &what);
    if (reason != POINT_TAKEN) {
        points_refuse_of(r->d, &metric->head, STR(""), (enum points_reason)reason, what); /* a resource may follow */
        points_builder_rewind(b, mark);
        return true;
    }
    b->series.v[b->series.n - 1].labels = p.labels;
    b->time[i] = p.time;
    b->start[i] = p.start;
    b->value[i] = p.value;
    b->flags[i] = p.flags;
    b->kind[i] = (uint8_t)p.kind;
    return !point_is_compound(p.kind) || points_add_histogram(r->d, here(r), i, p.kind, &p.h);
}

static bool read_points(struct reader *r, const struct item *metric) {
    if (!json_enter(&r->in, JSON_ARRAY)) return false;
    while (json_element_next(&r->in))
        if (!read_point(r, metric)) return false;
    return !r->d->fault.what;
}

static bool read_data(struct reader *r, struct item *metric, uint32_t kind) {
    if (metric->head.kind) return json_fail(&r->in, ERR_INVALID, "expected one kind of data, not two");
    metric->head.kind = kind;
    return json_enter(&r->in, JSON_OBJECT) && read_message(r, &data_message, metric);
}

static bool read_metrics(struct reader *r, const struct item *scope) {
    struct points_builder *b = &r->d->b;
    if (!json_enter(&r->in, JSON_ARRAY)) return false;
    while (json_element_next(&r->in)) {
        struct points_mark mark = points_builder_mark(b);
        struct item m = {.metric = (uint32_t)b->metrics.n};
        if (!points_room(r->d, b->metrics, here(r))) return false;
        *vec_push(&b->metrics) = (struct points_metric){0};
        if (!read_message(r, &metric_message, &m)) return false;
        if (m.labels_n > OTLP_LABELS_MAX)
            return json_fail(&r->in, ERR_LIMIT, "expected at most 16,384 attributes of metadata");
        bool has_temporality = m.head.kind != METRIC_GAUGE && m.head.kind != METRIC_SUMMARY;
        if (!has_temporality) m.head.temporality = 0;
        if (m.head.kind != METRIC_SUM) m.head.monotonic = 0;
        m.head.metadata = m.labels;
        m.head.resource = scope->resource;
        m.head.scope = scope->scope;
        b->metrics.v[m.metric] = m.head;
        if (b->n == mark.n) points_builder_rewind(b, mark);
    }
    return !r->d->fault.what;
}

/* ---- groups ------------------------------------------------------------------------------------------------------------- */

/* One ResourceMetrics or ScopeMetrics; its row goes again if the group leaves no points. */
static bool read_group(struct reader *r, bool scope, uint32_t resource) {
    struct points_builder *b = &r->d->b;
    struct points_mark mark = points_builder_mark(b);
    struct item g = {.resource = scope ? resource : (uint32_t)b->resources.n, .scope = (uint32_t)b->scopes.n};
    if (!(scope ? points_room(r->d, b->scopes, here(r)) : points_room(r->d, b->resources, here(r)))) return false;
    if (scope)
        *vec_push(&b->scopes) = (struct points_scope){0};
    else
        *vec_push(&b->resources) = (struct points_resource){0};
    if (!read_message(r, scope ? &scope_group : &resource_group, &g)) return false;
    if (g.labels_n > OTLP_LABELS_MAX)
        return json_fail(&r->in, ERR_LIMIT, "expected at most 16,384 attributes of a resource or scope");
    g.shared.attributes = g.labels;
    if (scope)
        b->scopes.v[g.scope] = g.shared;
    else
        b->resources.v[g.resource] =
            (struct points_resource){g.labels, g.shared.schema_url, g.shared.dropped_attributes};
    if (b->n == mark.n) points_builder_rewind(b, mark);
    return true;
}

static bool read_groups(struct reader *r, bool scope, uint32_t resource) {
    if (!json_enter(&r->in, JSON_ARRAY)) return false;
    while (json_element_next(&r->in))
        if (!read_group(r, scope, resource)) return false;
    return !r->d->fault.what;
}

static bool read_shared(struct reader *r, struct item *group) {
    return json_enter(&r->in, JSON_OBJECT) && read_message(r, &shared_message, group);
}

/* ---- members ------------------------------------------------------------------------------------------------------------ */

/* Members of points and what is in them. */
static bool read_point_member(struct reader *r, enum member member, struct item *item) {
    struct points_histogram *h = &item->h;
    switch ((int)member) {
    case MEMBER_START: return read_u64(r, &item->start);
    case MEMBER_TIME: return read_u64(r, &item->time);
    case MEMBER_DOUBLE: return read_value(r, item, POINT_DOUBLE);
    case MEMBER_INT: return read_value(r, item, POINT_INT);
    case MEMBER_FLAGS: return read_u32(r, &item->flags);
    case MEMBER_EXEMPLARS: return read_exemplars(r);
    case MEMBER_COUNT: return read_u64(r, &h->count);
    case MEMBER_SUM_VALUE:
        if (item->kind == POINT_SUMMARY) return json_read_double(&r->in, &h->sum);
        return read_optional(r, item, HISTOGRAM_HAS_SUM, &h->sum);
    case MEMBER_MIN: return read_optional(r, item, HISTOGRAM_HAS_MIN, &h->min);
    case MEMBER_MAX: return read_optional(r, item, HISTOGRAM_HAS_MAX, &h->max);
    case MEMBER_COUNTS: return read_list(r, item->negative ? NUMBERS_NEGATIVE : NUMBERS_POSITIVE, false);
    case MEMBER_BOUNDS: return read_list(r, NUMBERS_BOUNDS, true);
    case MEMBER_SCALE: return read_i32(r, &h->scale);
    case MEMBER_ZERO_COUNT: return read_u64(r, &h->zero_count);
    case MEMBER_ZERO_THRESHOLD: return json_read_double(&r->in, &h->zero_threshold);
    case MEMBER_POSITIVE: return read_buckets(r, item, false);
    case MEMBER_NEGATIVE: return read_buckets(r, item, true);
    case MEMBER_OFFSET: return read_i32(r, item->negative ? &h->negative_offset : &h->positive_offset);
    case MEMBER_QUANTILES: return read_quantiles(r);
    case MEMBER_QUANTILE: return json_read_double(&r->in, &item->quantile);
    case MEMBER_QUANTILE_VALUE: return json_read_double(&r->in, &item->value);
    case MEMBER_TRACE_ID: return json_read_id(&r->in, item->trace_id, 16, &item->trace);
    case MEMBER_SPAN_ID: return json_read_id(&r->in, item->span_id, 8, &item->span);
    default: return false;
    }
}

static bool read_member(struct reader *r, enum member member, const struct message *m, struct item *item) {
    bool metric = m == &metric_message;
    switch ((int)member) {
    case MEMBER_NAME: return read_text(r, metric ? &item->head.name : &item->shared.name);
    case MEMBER_DESCRIPTION: return read_text(r, &item->head.description);
    case MEMBER_UNIT: return read_text(r, &item->head.unit);
    case MEMBER_VERSION: return read_text(r, &item->shared.version);
    case MEMBER_SCHEMA_URL: return read_text(r, &item->shared.schema_url);
    case MEMBER_LABELS: return read_labels(r, item);
    case MEMBER_DROPPED: return read_u32(r, &item->shared.dropped_attributes);
    case MEMBER_SHARED: return read_shared(r, item);
    case MEMBER_GROUPS: return read_groups(r, true, item->resource);
    case MEMBER_METRICS: return read_metrics(r, item);
    case MEMBER_GAUGE:
    case MEMBER_SUM:
    case MEMBER_HISTOGRAM:
    case MEMBER_EXPONENTIAL:
    case MEMBER_SUMMARY: return read_data(r, item, METRIC_GAUGE + member - MEMBER_GAUGE);
    case MEMBER_POINTS: return read_points(r, item);
    case MEMBER_TEMPORALITY: return json_read_enum(&r->in, &item->head.temporality);
    case MEMBER_MONOTONIC: return read_monotonic(r, item);
    default: return read_point_member(r, member, item);
    }
}

static bool read_message(struct reader *r, const struct message *m, struct item *item) {
    struct json_object_in o = {&m->names, 0, 0};
    for (int i; (i = json_member_next(&r->in, &o)) >= 0;)
        if (!read_member(r, (enum member)m->members[i], m, item)) return false;
    return !r->d->fault.what;
}

/* ---- door ----------------------------------------------------------------------------------------------------------------- */

static bool read_request(struct reader *r) {
    struct json_object_in o = {&request_names, 0, 0};
    if (!json_enter(&r->in, JSON_OBJECT)) return false;
    while (json_member_next(&r->in, &o) >= 0)
        if (!read_groups(r, false, 0)) return false;
    if (r->d->fault.what) return false;
    return json_next(&r->in.r) == JSON_END || json_fail(&r->in, ERR_INVALID, "expected the end");
}

static bool decode_request(struct points_decoder *d, struct str body) {
    struct reader r = {.in = {.fault = &d->fault}, .d = d};
    json_reader_init(&r.in.r, body, JSON_DEPTH_MAX);
    buf_init(&r.in.any, ANY_STRING_MAX);
    bool ok = read_request(&r);
    json_reader_done(&r.in.r);
    buf_done(&r.in.any);
    return ok;
}

err points_decode_otlp_json(struct points_decoder *d, struct str body, const struct otlp_limits *limits,
                            struct points_result *out) {
    return points_run(d, POINTS_OTLP, decode_request, body, limits, out) ? NULL : json_fault_err(&d->fault, body);
}
