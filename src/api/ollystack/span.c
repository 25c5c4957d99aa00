/* One trace: as the page draws it (µs, one root), and as scripts get its spans (ns, RFC 3339). */
#include "api/ollystack/ollystack_priv.h"

#include <stdlib.h>

#include "base/text.h"
#include "signal/otlp.h"

enum { ATTRIBUTES_MAX = 1024, VALUE_MAX = 1024 * 1024 };

/* ---- attributes ------------------------------------------------------------------------------------------------- */

struct attribute {
    struct str prefix, name;
    enum value_type type;
    uint64_t value;
    uint32_t order; /* as sent: of equal names the first counts */
};

static int by_key(const void *x, const void *y) {
    const struct attribute *a = x, *b = y;
    int order = str_compare(a->prefix, b->prefix);
    if (!order) order = str_compare(a->name, b->name);
    return order ? order : a->order < b->order ? -1 : a->order > b->order;
}

static uint32_t add_attributes(struct attribute *v, uint32_t n, const struct batch *b, enum set s, uint32_t row,
                               struct str prefix) {
    struct batch_attributes found = batch_attributes(b, s, row);
    for (uint32_t i = 0; i < found.n && n < ATTRIBUTES_MAX; i++) {
        const struct batch_key *key = &b->keys[found.keys[i]];
        v[n] = (struct attribute){prefix, batch_string(b, key->name), key->type, found.values[i], n};
        n++;
    }
    return n;
}

static void write_text_of(struct json_writer *w, const struct batch *b, const struct attribute *v) {
    AUTO_BUF struct buf text;
    buf_init(&text, VALUE_MAX);
    if (v->type == VALUE_STRING) {
        json_str(w, batch_string(b, (uint32_t)v->value));
        return;
    }
    value_write_text(b, v->type, v->value, &text);
    json_str(w, buf_str(&text));
}

static void write_attributes_of(struct json_writer *w, const struct batch *b, struct attribute *v, uint32_t n) {
    AUTO_BUF struct buf key;
    buf_init(&key, MIB);
    if (n) qsort(v, n, sizeof *v, by_key);
    json_key(w, STR("attributes"));
    json_object(w);
    for (uint32_t i = 0; i < n; i++) {
        if (i && str_equal(v[i].name, v[i - 1].name) && v[i].prefix.n == v[i - 1].prefix.n) continue;
        buf_clear(&key);
        buf_add_str(&key, v[i].prefix);
        buf_add_str(&key, v[i].name);
        json_key(w, buf_str(&key));
        write_text_of(w, b, &v[i]);
    }
    json_object_end(w);
}

static err write_set(struct olly *o, const struct batch *b, enum set s, uint32_t row, bool resource) {
    struct attribute *v = mem_new_array(struct attribute, ATTRIBUTES_MAX);
    uint32_t n = add_attributes(v, 0, b, s, row, STR(""));
    if (resource)
        n = add_attributes(v, n, b, SET_RESOURCES, batch_u32(b, SET_ROWS, FIELD_RESOURCE, row), STR("resource."));
    write_attributes_of(o->w, b, v, n);
    mem_free(v);
    return NULL;
}

err olly_attributes(struct olly *o, const struct batch *b, uint32_t row, bool resource) {
    return write_set(o, b, SET_ROWS, row, resource);
}

/* ---- what both kinds of span have ------------------------------------------------------------------------------- */

const char *olly_status(uint32_t status) { return status == 2 ? "error" : "ok"; }

static const char *const kinds[] = {"UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"};

static const char *kind_of(const struct batch *b, uint32_t row) {
    uint32_t kind = batch_u32(b, SET_ROWS, FIELD_KIND, row);
    return kinds[kind < LENGTH(kinds) ? kind : 0];
}

static int64_t start_of(const struct batch *b, uint32_t row) {
    uint64_t ns = batch_u64(b, SET_ROWS, FIELD_TIME, row);
    return ns > INT64_MAX ? INT64_MAX : (int64_t)ns;
}

static int64_t duration_of(const struct batch *b, uint32_t row) {
    int64_t d = (int64_t)batch_u64(b, SET_ROWS, FIELD_DURATION, row);
    return MAX(d, (int64_t)0);
}

static void write_span_id(struct json_writer *w, const char *key, uint64_t id) {
    json_key(w, str_of(key));
    if (id)
        json_hex(w, &id, sizeof id);
    else
        json_str(w, STR(""));
}

static void write_names(struct json_writer *w, const struct batch *b, const struct query_span *s) {
    json_member(w, "operationName", str, batch_text(b, SET_ROWS, FIELD_NAME, s->row));
    json_member(w, "serviceName", str, s->service);
}

err olly_find_trace(struct olly *o, struct query_trace_answer *out) {
    unsigned char id[16];
    err e = parse_hex(o->c->path_values[0], id, sizeof id);
    if (!e) e = query_trace(&o->q, id, out);
    if (!e) {
        if (out->cut) olly_cut(o, "the trace has more spans than are shown");
        return NULL;
    }
    if (err_kind(e) != ERR_NOT_FOUND && err_kind(e) != ERR_INVALID) return e;
    err_free(e);
    return err_new(ERR_NOT_FOUND, "trace not found");
}

struct by_start {
    int64_t start;
    size_t at; /* of the answer's spans: parents before children */
};

static int earlier(const void *x, const void *y) {
    const struct by_start *a = x, *b = y;
    if (a->start != b->start) return a->start < b->start ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

static struct by_start *sorted(struct olly *o, const struct query_trace_answer *t) {
    struct by_start *v = arena_array(&o->q.arena, struct by_start, t->n + 1);
    for (size_t i = 0; v && i < t->n; i++) v[i] = (struct by_start){start_of(&t->batch, t->spans[i].row), i};
    if (v) qsort(v, t->n, sizeof *v, earlier);
    return v;
}

/* ---- GET /traces/:id ---------------------------------------------------------------------------------------------- */

/* The page takes one span without a parent as the root and draws only what hangs on it: the earliest that has none, else the earliest whose
 * parent is not here. */
static size_t root_of(const struct query_trace_answer *t) {
    size_t root = 0;
    bool found = false;
    for (size_t i = 0; i < t->n; i++) {
        if (t->spans[i].depth) continue;
        const struct query_span *s = &t->spans[i], *best = &t->spans[root];
        bool better = s->parent_missing != best->parent_missing
                          ? best->parent_missing
                          : start_of(&t->batch, s->row) < start_of(&t->batch, best->row);
        if (!found || better) root = i;
        found = true;
    }
    return root;
}

static uint64_t id_of(const struct query_trace_answer *t, size_t i) {
    return batch_u64(&t->batch, SET_ROWS, FIELD_SPAN_ID, t->spans[i].row);
}

static uint64_t parent_of(const struct query_trace_answer *t, size_t i, size_t root) {
    if (i == root) return 0;
    if (t->spans[i].depth == 0) return id_of(t, root);
    return batch_u64(&t->batch, SET_ROWS, FIELD_PARENT_ID, t->spans[i].row);
}

static err write_events(struct olly *o, const struct batch *b, uint32_t row) {
    uint32_t from = row ? batch_u32(b, SET_ROWS, FIELD_EVENT_END, row - 1) : 0;
    uint32_t to = batch_u32(b, SET_ROWS, FIELD_EVENT_END, row);
    json_key(o->w, STR("events"));
    json_array(o->w);
    for (uint32_t i = from; i < to; i++) {
        json_object(o->w);
        json_member(o->w, "name", str, batch_text(b, SET_EVENTS, FIELD_NAME, i));
        json_member(o->w, "timestamp", i64, (int64_t)(batch_u64(b, SET_EVENTS, FIELD_TIME, i) / 1000));
        TRY(write_set(o, b, SET_EVENTS, i, false));
        json_object_end(o->w);
    }
    json_array_end(o->w);
    return NULL;
}

static void write_links(struct json_writer *w, const struct batch *b, uint32_t row) {
    uint32_t from = row ? batch_u32(b, SET_ROWS, FIELD_LINK_END, row - 1) : 0;
    uint32_t to = batch_u32(b, SET_ROWS, FIELD_LINK_END, row);
    json_key(w, STR("links"));
    json_array(w);
    for (uint32_t i = from; i < to; i++) {
        json_object(w);
        json_member(w, "traceId", hex, batch_id16(b, SET_LINKS, FIELD_TRACE_ID, i), 16);
        write_span_id(w, "spanId", batch_u64(b, SET_LINKS, FIELD_SPAN_ID, i));
        json_object_end(w);
    }
    json_array_end(w);
}

static err write_page_span(struct olly *o, const struct query_trace_answer *t, size_t i, size_t root) {
    const struct batch *b = &t->batch;
    const struct query_span *s = &t->spans[i];
    struct json_writer *w = o->w;
    bool failed = batch_u32(b, SET_ROWS, FIELD_STATUS, s->row) == 2;
    json_object(w);
    olly_trace_id(w, t->summary.trace_id);
    write_span_id(w, "spanId", id_of(t, i));
    write_span_id(w, "parentSpanId", parent_of(t, i, root));
    write_names(w, b, s);
    json_member(w, "startTime", i64, start_of(b, s->row) / 1000);
    json_member(w, "duration", i64, duration_of(b, s->row) / 1000);
    olly_key_time(w, "timestamp", start_of(b, s->row));
    json_member(w, "durationNs", i64, duration_of(b, s->row));
    json_member(w, "status", text, failed ? "ERROR" : "OK");
    json_member(w, "statusMessage", str, batch_text(b, SET_ROWS, FIELD_STATUS_MESSAGE, s->row));
    json_member(w, "kind", text, kind_of(b, s->row));
    TRY(olly_attributes(o, b, s->row, true));
    TRY(write_events(o, b, s->row));
    write_links(w, b, s->row);
    json_object_end(w);
    return NULL;
}

static int by_service(const void *x, const void *y) {
    return str_compare(((const struct query_service_count *)x)->service,
                       ((const struct query_service_count *)y)->service);
}

static err write_trace_services(struct olly *o, const struct query_trace_summary *s) {
    struct query_service_count *v = arena_array(&o->q.arena, struct query_service_count, s->service_count + 1);
    if (!v) return arena_err(&o->q.arena);
    if (s->service_count) memcpy(v, s->services, s->service_count * sizeof *v);
    qsort(v, s->service_count, sizeof *v, by_service);
    json_key(o->w, STR("services"));
    json_array(o->w);
    for (size_t i = 0; i < s->service_count; i++) json_str(o->w, v[i].service);
    json_array_end(o->w);
    return NULL;
}

static err fill_trace(struct olly *o) {
    struct query_trace_answer t;
    TRY(olly_find_trace(o, &t));
    struct by_start *order = sorted(o, &t);
    if (!order) return arena_err(&o->q.arena);
    size_t root = root_of(&t);
    json_member(o->w, "duration", i64, t.summary.duration);
    json_member(o->w, "hasError", bool, t.summary.errors > 0);
    TRY(write_trace_services(o, &t.summary));
    json_member(o->w, "spanCount", u64, t.n);
    json_key(o->w, STR("spans"));
    json_array(o->w);
    for (size_t i = 0; i < t.n; i++) {
        TRY(write_page_span(o, &t, order[i].at, root));
        if (i % 64 == 63) TRY(answer_settle(&o->a));
    }
    json_array_end(o->w);
    olly_key_time(o->w, "startTime", t.summary.start);
    olly_trace_id(o->w, t.summary.trace_id);
    return NULL;
}
void handle_olly_trace(struct api_call *c) { olly_answer(c, fill_trace); }

/* ---- GET /traces/:id/spans ---------------------------------------------------------------------------------------- */

static err write_go_span(struct olly *o, const struct query_trace_answer *t, size_t i) {
    const struct batch *b = &t->batch;
    const struct query_span *s = &t->spans[i];
    struct json_writer *w = o->w;
    AUTO_BUF struct buf kind;
    buf_init(&kind, 64);
    buf_add_fmt(&kind, "SPAN_KIND_%s", kind_of(b, s->row));
    json_object(w);
    olly_trace_id(w, t->summary.trace_id);
    write_span_id(w, "spanId", id_of(t, i));
    write_span_id(w, "parentSpanId", batch_u64(b, SET_ROWS, FIELD_PARENT_ID, s->row));
    write_names(w, b, s);
    olly_key_time(w, "startTime", start_of(b, s->row));
    json_member(w, "duration", i64, duration_of(b, s->row));
    json_member(w, "status", text, olly_status(batch_u32(b, SET_ROWS, FIELD_STATUS, s->row)));
    json_member(w, "kind", str, buf_str(&kind));
    TRY(olly_attributes(o, b, s->row, true));
    json_object_end(w);
    return NULL;
}

static err write_go_spans(struct olly *o, const struct query_trace_answer *t) {
    struct by_start *order = sorted(o, t);
    if (!order) return arena_err(&o->q.arena);
    json_key(o->w, STR("spans"));
    json_array(o->w);
    for (size_t i = 0; i < t->n; i++) {
        TRY(write_go_span(o, t, order[i].at));
        if (i % 64 == 63) TRY(answer_settle(&o->a));
    }
    json_array_end(o->w);
    json_member(o->w, "total", u64, t->n);
    return NULL;
}

static err fill_spans(struct olly *o) {
    struct query_trace_answer t = {.n = 0};
    err e = olly_find_trace(o, &t);
    if (e && err_kind(e) != ERR_NOT_FOUND) return e;
    err_free(e); /* an unknown trace has no spans */
    return write_go_spans(o, &t);
}
void handle_olly_spans(struct api_call *c) { olly_answer(c, fill_spans); }
