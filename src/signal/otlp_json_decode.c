/* OTLP/JSON → columns, in one pass: members may come in any order, because rows of resources and scopes are made before what is
 * in them is known and referred to by number, and a row's attributes lie side by side wherever they come.
 *
 * Which members a message has, of what kind and for which column, is in tables; one function reads them. */
#include "base/text.h"
#include "signal/json_decode_priv.h"
#include "signal/otlp.h"

enum member_kind {
    MEMBER_TEXT,
    MEMBER_U32,
    MEMBER_ENUM,
    MEMBER_TIME,
    MEMBER_ATTRIBUTES,
    MEMBER_TRACE_ID,
    MEMBER_SPAN_ID,
    MEMBER_PARENT_ID,
    MEMBER_START, /* a span's start, a log's time */
    MEMBER_END,   /* a span's end, a log's observed time */
    MEMBER_BODY,
    MEMBER_STATUS,
    MEMBER_EVENTS,
    MEMBER_LINKS,
    MEMBER_SHARED, /* the resource or scope of a group */
    MEMBER_SCOPE_GROUPS,
    MEMBER_ROWS,
};

struct message {
    struct json_names names;
    struct {
        enum member_kind kind;
        enum field field;
    } members[17]; /* as the names */
};

static const struct message span_message = {
    {16,
     {STR("traceId"), STR("spanId"), STR("parentSpanId"), STR("name"), STR("kind"), STR("startTimeUnixNano"),
      STR("endTimeUnixNano"), STR("attributes"), STR("droppedAttributesCount"), STR("events"),
      STR("droppedEventsCount"), STR("status"), STR("links"), STR("droppedLinksCount"), STR("flags"),
      STR("traceState")}},
    {{MEMBER_TRACE_ID},
     {MEMBER_SPAN_ID},
     {MEMBER_PARENT_ID},
     {MEMBER_TEXT, FIELD_NAME},
     {MEMBER_ENUM, FIELD_KIND},
     {MEMBER_START},
     {MEMBER_END},
     {MEMBER_ATTRIBUTES},
     {MEMBER_U32, FIELD_DROPPED_ATTRIBUTES},
     {MEMBER_EVENTS},
     {MEMBER_U32, FIELD_DROPPED_EVENTS},
     {MEMBER_STATUS},
     {MEMBER_LINKS},
     {MEMBER_U32, FIELD_DROPPED_LINKS},
     {MEMBER_U32, FIELD_FLAGS},
     {MEMBER_TEXT, FIELD_TRACE_STATE}}};
static const struct message status_message = {{2, {STR("message"), STR("code")}},
                                              {{MEMBER_TEXT, FIELD_STATUS_MESSAGE}, {MEMBER_ENUM, FIELD_STATUS}}};
static const struct message event_message = {
    {4, {STR("attributes"), STR("name"), STR("timeUnixNano"), STR("droppedAttributesCount")}},
    {{MEMBER_ATTRIBUTES},
     {MEMBER_TEXT, FIELD_NAME},
     {MEMBER_TIME, FIELD_TIME},
     {MEMBER_U32, FIELD_DROPPED_ATTRIBUTES}}};
static const struct message link_message = {{6,
                                             {STR("attributes"), STR("spanId"), STR("traceId"), STR("traceState"),
                                              STR("droppedAttributesCount"), STR("flags")}},
                                            {{MEMBER_ATTRIBUTES},
                                             {MEMBER_SPAN_ID},
                                             {MEMBER_TRACE_ID},
                                             {MEMBER_TEXT, FIELD_TRACE_STATE},
                                             {MEMBER_U32, FIELD_DROPPED_ATTRIBUTES},
                                             {MEMBER_U32, FIELD_FLAGS}}};
static const struct message log_message = {
    {11,
     {STR("timeUnixNano"), STR("observedTimeUnixNano"), STR("severityNumber"), STR("severityText"), STR("body"),
      STR("eventName"), STR("attributes"), STR("droppedAttributesCount"), STR("flags"), STR("traceId"), STR("spanId")}},
    {{MEMBER_START},
     {MEMBER_END},
     {MEMBER_ENUM, FIELD_SEVERITY},
     {MEMBER_TEXT, FIELD_SEVERITY_TEXT},
     {MEMBER_BODY},
     {MEMBER_TEXT, FIELD_NAME},
     {MEMBER_ATTRIBUTES},
     {MEMBER_U32, FIELD_DROPPED_ATTRIBUTES},
     {MEMBER_U32, FIELD_FLAGS},
     {MEMBER_TRACE_ID},
     {MEMBER_SPAN_ID}}};
static const struct message resource_message = {{2, {STR("attributes"), STR("droppedAttributesCount")}},
                                                {{MEMBER_ATTRIBUTES}, {MEMBER_U32, FIELD_DROPPED_ATTRIBUTES}}};
static const struct message scope_message = {
    {4, {STR("name"), STR("version"), STR("attributes"), STR("droppedAttributesCount")}},
    {{MEMBER_TEXT, FIELD_NAME},
     {MEMBER_TEXT, FIELD_VERSION},
     {MEMBER_ATTRIBUTES},
     {MEMBER_U32, FIELD_DROPPED_ATTRIBUTES}}};
/* By signal. */
static const struct message resource_group[SIGNALS] = {
    {{3, {STR("resource"), STR("scopeSpans"), STR("schemaUrl")}},
     {{MEMBER_SHARED}, {MEMBER_SCOPE_GROUPS}, {MEMBER_TEXT, FIELD_SCHEMA_URL}}},
    {{3, {STR("resource"), STR("scopeLogs"), STR("schemaUrl")}},
     {{MEMBER_SHARED}, {MEMBER_SCOPE_GROUPS}, {MEMBER_TEXT, FIELD_SCHEMA_URL}}}};
static const struct message scope_group[SIGNALS] = {
    {{3, {STR("scope"), STR("spans"), STR("schemaUrl")}},
     {{MEMBER_SHARED}, {MEMBER_ROWS}, {MEMBER_TEXT, FIELD_SCHEMA_URL}}},
    {{3, {STR("scope"), STR("logRecords"), STR("schemaUrl")}},
     {{MEMBER_SHARED}, {MEMBER_ROWS}, {MEMBER_TEXT, FIELD_SCHEMA_URL}}}};
static const struct json_names request_names[SIGNALS] = {{1, {STR("resourceSpans")}}, {1, {STR("resourceLogs")}}};

/* The row under way: what is judged when all of it is read. */
struct item {
    enum set set;
    uint32_t row;
    struct group group;
    int reason;
    bool too_many;
    struct wire trace, span, parent;
    unsigned char trace_id[16], span_id[8], parent_id[8];
    uint64_t start, end;
};

static bool read_message(struct json_in *in, const struct message *m, struct item *item);

static struct wire here(const struct json_in *in) {
    const unsigned char *p = (const unsigned char *)in->r.text.p + in->r.token;
    return (struct wire){p, p};
}

static bool begin_item(struct json_in *in, enum set s, struct item *out) {
    *out = (struct item){.set = s, .reason = NO_REASON};
    return add_row(in->d, s, here(in), &out->row);
}

/* ---- members ------------------------------------------------------------------------------------------------------ */

static bool read_text(struct json_in *in, const struct item *item, enum field f) {
    struct wire text;
    if (!json_read_text(in, &text)) return false;
    put_u32(in->d, item->set, f, item->row, decode_text(in->d, &in->d->field_stats[item->set][f], text));
    return !in->fault->what;
}

static bool read_u32(struct json_in *in, const struct item *item, enum field f) {
    uint64_t v;
    if (!json_read_integer(in, 0, UINT32_MAX, "expected an unsigned 32-bit integer", &v)) return false;
    put_u32(in->d, item->set, f, item->row, v);
    return true;
}

static bool read_enum(struct json_in *in, const struct item *item, enum field f) {
    uint32_t v;
    if (!json_read_enum(in, &v)) return false;
    put_u32(in->d, item->set, f, item->row, v);
    return true;
}

static bool read_time(struct json_in *in, uint64_t *out) {
    return json_read_integer(in, 0, UINT64_MAX,
                             "expected nanoseconds as an unsigned 64-bit integer, as a number or a string", out);
}

static bool read_time_field(struct json_in *in, const struct item *item, enum field f) {
    uint64_t v;
    if (!read_time(in, &v)) return false;
    builder_put_u64(in->d->b, item->set, f, item->row, v);
    return true;
}

static bool read_attributes(struct json_in *in, struct item *item) {
    struct row_attributes a = attributes_begin(in->d, item->set);
    if (!json_read_attributes(in, &a)) return false;
    attributes_end(in->d, &a, item->row);
    item->too_many = a.too_many;
    return true;
}

static bool read_status(struct json_in *in, struct item *span) {
    return json_enter(in, JSON_OBJECT) && read_message(in, &status_message, span);
}

static bool read_events(struct json_in *in, struct item *span) {
    struct item event;
    if (!json_enter(in, JSON_ARRAY)) return false;
    while (json_element_next(in)) {
        if (!begin_item(in, SET_EVENTS, &event) || !read_message(in, &event_message, &event)) return false;
        if (event.too_many) span->reason = OTLP_TOO_MANY;
    }
    return !in->fault->what;
}

static bool read_links(struct json_in *in, struct item *span) {
    struct item link;
    if (!json_enter(in, JSON_ARRAY)) return false;
    while (json_element_next(in)) {
        if (!begin_item(in, SET_LINKS, &link) || !read_message(in, &link_message, &link)) return false;
        int reason = finish_link(in->d, link.trace, link.span, link.row);
        if (link.too_many) reason = OTLP_TOO_MANY;
        if (reason != NO_REASON) span->reason = reason;
    }
    return !in->fault->what;
}

/* ---- rows and groups ---------------------------------------------------------------------------------------------- */

static int finish_row(struct otlp_decoder *d, const struct item *item) {
    if (d->b->signal == SIGNAL_LOGS) {
        struct log_parts log = {item->trace, item->span, item->start, item->end};
        return finish_log(d, &log, item->row);
    }
    struct span_parts span = {item->trace, item->span, item->parent, item->start, item->end, false};
    put_u32(d, SET_ROWS, FIELD_EVENT_END, item->row, d->b->sets[SET_EVENTS].n);
    put_u32(d, SET_ROWS, FIELD_LINK_END, item->row, d->b->sets[SET_LINKS].n);
    return finish_span(d, &span, item->row);
}

static bool read_row(struct json_in *in, struct group g) {
    struct otlp_decoder *d = in->d;
    struct builder_mark mark = builder_mark_now(d->b);
    struct item row;
    if (!begin_item(in, SET_ROWS, &row)) return false;
    if (!read_message(in, d->b->signal == SIGNAL_SPANS ? &span_message : &log_message, &row)) return false;
    int reason = finish_row(d, &row);
    if (reason == NO_REASON) reason = row.reason;
    if (reason == NO_REASON && row.too_many) reason = OTLP_TOO_MANY;
    put_u32(d, SET_ROWS, FIELD_RESOURCE, row.row, g.resource);
    put_u32(d, SET_ROWS, FIELD_SCOPE, row.row, g.scope);
    if (__builtin_expect(reason != NO_REASON, 0)) refuse_row(d, mark, reason);
    return true;
}

static bool read_rows(struct json_in *in, const struct item *scope) {
    if (!json_enter(in, JSON_ARRAY)) return false;
    while (json_element_next(in))
        if (!read_row(in, (struct group){scope->group.resource, scope->row})) return false;
    return !in->fault->what;
}

/* One Resource… or Scope… group; its row of the shared set goes again if the group leaves no rows. */
static bool read_group(struct json_in *in, enum set s, const struct message *m, uint32_t resource) {
    struct otlp_decoder *d = in->d;
    struct builder_mark mark = builder_mark_now(d->b);
    struct item group;
    if (!begin_item(in, s, &group)) return false;
    group.group.resource = s == SET_RESOURCES ? group.row : resource;
    if (!read_message(in, m, &group)) return false;
    if (group.too_many) return json_fail(in, ERR_LIMIT, "expected at most 16,384 attributes of a resource or scope");
    if (d->b->sets[SET_ROWS].n == mark.n[SET_ROWS]) batch_builder_rewind(d->b, mark);
    return true;
}

static bool read_groups(struct json_in *in, enum set s, const struct message *m, uint32_t resource) {
    if (!json_enter(in, JSON_ARRAY)) return false;
    while (json_element_next(in))
        if (!read_group(in, s, m, resource)) return false;
    return !in->fault->what;
}

static bool read_shared(struct json_in *in, struct item *group) {
    return json_enter(in, JSON_OBJECT) &&
           read_message(in, group->set == SET_RESOURCES ? &resource_message : &scope_message, group);
}

static bool read_member(struct json_in *in, enum member_kind kind, enum field f, struct item *item) {
    switch (kind) {
    case MEMBER_TEXT: return read_text(in, item, f);
    case MEMBER_U32: return read_u32(in, item, f);
    case MEMBER_ENUM: return read_enum(in, item, f);
    case MEMBER_TIME: return read_time_field(in, item, f);
    case MEMBER_ATTRIBUTES: return read_attributes(in, item);
    case MEMBER_TRACE_ID: return json_read_id(in, item->trace_id, 16, &item->trace);
    case MEMBER_SPAN_ID: return json_read_id(in, item->span_id, 8, &item->span);
    case MEMBER_PARENT_ID: return json_read_id(in, item->parent_id, 8, &item->parent);
    case MEMBER_START: return read_time(in, &item->start);
    case MEMBER_END: return read_time(in, &item->end);
    case MEMBER_BODY: return json_read_body(in, item->row);
    case MEMBER_STATUS: return read_status(in, item);
    case MEMBER_EVENTS: return read_events(in, item);
    case MEMBER_LINKS: return read_links(in, item);
    case MEMBER_SHARED: return read_shared(in, item);
    case MEMBER_SCOPE_GROUPS: return read_groups(in, SET_SCOPES, &scope_group[in->d->b->signal], item->row);
    case MEMBER_ROWS: return read_rows(in, item);
    }
    return false;
}

static bool read_message(struct json_in *in, const struct message *m, struct item *item) {
    struct json_object_in o = {&m->names, 0, 0};
    for (int i; (i = json_member_next(in, &o)) >= 0;)
        if (!read_member(in, m->members[i].kind, m->members[i].field, item)) return false;
    return !in->fault->what;
}

/* ---- errors ------------------------------------------------------------------------------------------------------- */

struct path_level {
    struct str key; /* of the member at hand, as it is written; p NULL: an array */
    uint32_t index; /* of the element at hand, from 1 */
};

static void put_path_levels(const struct path_level *levels, int depth, struct buf *out) {
    for (int i = 0; i < depth && !out->full; i++) {
        if (!levels[i].key.p && levels[i].index) buf_add_fmt(out, "[%u]", levels[i].index - 1);
        if (!levels[i].key.n) continue;
        if (out->n) buf_add_byte(out, '.');
        put_terminal(out, (struct str){levels[i].key.p, MIN(levels[i].key.n, (size_t)64)});
    }
}

static struct str key_as_written(const struct json_reader *r) {
    size_t start = r->token + 1, end = r->at - 1; /* the colon */
    while (r->text.p[end] != '"') end--;
    return (struct str){r->text.p + start, end - start};
}

/* Where byte `at` of the text lies: resourceSpans[0].scopeSpans[2].spans[5].traceId. Only errors pay for reading it again. */
static void put_path(struct str text, size_t at, struct buf *out) {
    struct path_level levels[JSON_DEPTH_MAX + 1];
    struct json_reader r;
    enum json_token t;
    int depth = 0;
    json_reader_init(&r, text, JSON_DEPTH_MAX);
    while ((t = json_next(&r)) != JSON_END && t != JSON_ERROR) {
        bool ends = t == JSON_OBJECT_END || t == JSON_ARRAY_END;
        if (t == JSON_KEY) levels[depth - 1].key = key_as_written(&r);
        if (t != JSON_KEY && !ends && depth && !levels[depth - 1].key.p) levels[depth - 1].index++;
        if (r.token >= at) break;
        depth -= ends;
        if (t == JSON_OBJECT || t == JSON_ARRAY)
            levels[depth++] = (struct path_level){t == JSON_OBJECT ? STR("") : (struct str){NULL, 0}, 0};
    }
    put_path_levels(levels, depth, out);
    json_reader_done(&r);
}

err json_fault_err(const struct fault *f, struct str body) {
    enum { PATH_BYTES_MAX = 600 };
    AUTO_BUF struct buf path;
    buf_init(&path, PATH_BYTES_MAX);
    if (!f->at) return err_new(f->kind, "%s", f->what);
    size_t at = (size_t)(f->at - (const unsigned char *)body.p);
    put_path(body, at, &path);
    return err_new(f->kind, "%.*s%s%s, at byte %zu of %zu", (int)path.n, path.n ? path.p : "", path.n ? ": " : "",
                   f->what, at, body.n);
}

/* ---- door --------------------------------------------------------------------------------------------------------- */

static bool read_request(struct json_in *in) {
    enum signal signal = in->d->b->signal;
    struct json_object_in o = {&request_names[signal], 0, 0};
    if (!json_enter(in, JSON_OBJECT)) return false;
    while (json_member_next(in, &o) >= 0)
        if (!read_groups(in, SET_RESOURCES, &resource_group[signal], 0)) return false;
    if (in->fault->what) return false;
    return json_next(&in->r) == JSON_END || json_fail(in, ERR_INVALID, "expected the end");
}

static bool decode_request(struct otlp_decoder *d, struct str body) {
    struct json_in in = {.d = d, .fault = &d->fault};
    json_reader_init(&in.r, body, JSON_DEPTH_MAX);
    buf_init(&in.any, ANY_STRING_MAX);
    buf_init(&in.name, ANY_STRING_MAX);
    bool ok = read_request(&in);
    json_reader_done(&in.r);
    buf_done(&in.any);
    buf_done(&in.name);
    return ok;
}

err otlp_decode_json(struct otlp_decoder *d, enum signal signal, struct str body, const struct otlp_limits *limits,
                     struct otlp_result *out) {
    return decode_run(d, signal, limits, decode_request, body, out) ? NULL : json_fault_err(&d->fault, body);
}
