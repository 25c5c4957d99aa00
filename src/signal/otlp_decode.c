/* Export requests → columns. One pass over the rows; the two levels above them are looked through twice, because a resource
 * may stand behind its spans in the bytes.
 *
 * Within a span, events and links wait until its own attributes are complete, so that these lie side by side in the slots:
 * a span that has any is looked through a second time. Fields may come in any order and repeatedly: the last scalar wins,
 * attributes accumulate. */
#include "signal/otlp.h"

#include "base/budget.h"
#include "signal/decode_rows_priv.h"

const char *const otlp_reason_texts[OTLP_REASONS] = {
    [OTLP_BAD_TRACE_ID] = "trace id is not 16 bytes or is zero",
    [OTLP_BAD_SPAN_ID] = "span id is not 8 bytes or is zero",
    [OTLP_TOO_OLD] = "older than the retention",
    [OTLP_TOO_NEW] = "too far in the future",
    [OTLP_TOO_MANY] = "over 16,384 attributes",
};

struct otlp_decoder *otlp_decoder_new(void) {
    struct otlp_decoder *d = mem_new_of(struct otlp_decoder);
    for (int i = 0; i < SIGNALS; i++) batch_builder_init(&d->builders[i], (enum signal)i);
    return d;
}

void otlp_decoder_free(struct otlp_decoder *d) {
    if (!d) return;
    decode_forget_keys(d);
    for (int i = 0; i < SIGNALS; i++) batch_builder_done(&d->builders[i]);
    mem_free(d);
}

/* ---- columns ------------------------------------------------------------------------------------------------------ */

static inline bool put_text(struct otlp_decoder *d, enum set s, enum field f, uint32_t row, struct wire *w) {
    struct wire text;
    if (!wire_bytes(w, &text)) return false;
    builder_put_u32(d->b, s, f, row, decode_text(d, &d->field_stats[s][f], text));
    return true;
}

static inline bool put_varint(struct otlp_decoder *d, enum set s, enum field f, uint32_t row, struct wire *w) {
    uint64_t v;
    if (!wire_varint(w, &v)) return false;
    put_u32(d, s, f, row, v);
    return true;
}

static inline bool put_fixed32(struct otlp_decoder *d, enum set s, enum field f, uint32_t row, struct wire *w) {
    uint32_t v;
    if (!wire_fixed32(w, &v)) return false;
    put_u32(d, s, f, row, v);
    return true;
}

static inline bool put_fixed64(struct otlp_decoder *d, enum set s, enum field f, uint32_t row, struct wire *w) {
    uint64_t v;
    if (!wire_fixed64(w, &v)) return false;
    builder_put_u64(d->b, s, f, row, v);
    return true;
}

/* One KeyValue and, without going back to the switch over tags, those that follow under the same tag. */
static inline bool put_attributes(struct otlp_decoder *d, struct row_attributes *a, unsigned char tag, struct wire *w) {
    do {
        struct wire attribute;
        if (!wire_bytes(w, &attribute)) return false;
        if (!decode_attribute(d, a, attribute)) return false;
    } while (w->p < w->end && *w->p == tag && w->p++);
    return true;
}

/* ---- spans -------------------------------------------------------------------------------------------------------- */

static bool decode_event(struct otlp_decoder *d, struct wire w, int *reason) {
    uint32_t row, tag;
    if (!add_row(d, SET_EVENTS, w, &row)) return false;
    struct row_attributes a = attributes_begin(d, SET_EVENTS);
    while (w.p < w.end) {
        bool ok;
        if (!wire_tag(&w, &tag)) return decode_malformed(d, w);
        switch (tag) {
        case WIRE_TAG(1, WIRE_FIXED64): ok = put_fixed64(d, SET_EVENTS, FIELD_TIME, row, &w); break;
        case WIRE_TAG(2, WIRE_BYTES): ok = put_text(d, SET_EVENTS, FIELD_NAME, row, &w); break;
        case WIRE_TAG(3, WIRE_BYTES): ok = put_attributes(d, &a, WIRE_TAG(3, WIRE_BYTES), &w); break;
        case WIRE_TAG(4, WIRE_VARINT): ok = put_varint(d, SET_EVENTS, FIELD_DROPPED_ATTRIBUTES, row, &w); break;
        default: ok = wire_skip(&w, tag);
        }
        if (!ok) return decode_malformed(d, w);
    }
    attributes_end(d, &a, row);
    if (a.too_many) *reason = OTLP_TOO_MANY;
    return true;
}

static bool decode_link(struct otlp_decoder *d, struct wire w, int *reason) {
    uint32_t row, tag;
    struct wire trace = {0}, span = {0};
    if (!add_row(d, SET_LINKS, w, &row)) return false;
    struct row_attributes a = attributes_begin(d, SET_LINKS);
    while (w.p < w.end) {
        bool ok;
        if (!wire_tag(&w, &tag)) return decode_malformed(d, w);
        switch (tag) {
        case WIRE_TAG(1, WIRE_BYTES): ok = wire_bytes(&w, &trace); break;
        case WIRE_TAG(2, WIRE_BYTES): ok = wire_bytes(&w, &span); break;
        case WIRE_TAG(3, WIRE_BYTES): ok = put_text(d, SET_LINKS, FIELD_TRACE_STATE, row, &w); break;
        case WIRE_TAG(4, WIRE_BYTES): ok = put_attributes(d, &a, WIRE_TAG(4, WIRE_BYTES), &w); break;
        case WIRE_TAG(5, WIRE_VARINT): ok = put_varint(d, SET_LINKS, FIELD_DROPPED_ATTRIBUTES, row, &w); break;
        case WIRE_TAG(6, WIRE_FIXED32): ok = put_fixed32(d, SET_LINKS, FIELD_FLAGS, row, &w); break;
        default: ok = wire_skip(&w, tag);
        }
        if (!ok) return decode_malformed(d, w);
    }
    attributes_end(d, &a, row);
    int bad = finish_link(d, trace, span, row);
    if (bad != NO_REASON) *reason = bad;
    if (a.too_many) *reason = OTLP_TOO_MANY;
    return true;
}

/* The second look at a span that has events or links; its fields are known to be well formed. */
static bool decode_children(struct otlp_decoder *d, struct wire w, int *reason) {
    uint32_t tag;
    while (w.p < w.end && wire_tag(&w, &tag)) {
        struct wire child;
        if (tag == WIRE_TAG(11, WIRE_BYTES)) {
            if (!wire_bytes(&w, &child) || !decode_event(d, child, reason)) return decode_malformed(d, w);
        } else if (tag == WIRE_TAG(13, WIRE_BYTES)) {
            if (!wire_bytes(&w, &child) || !decode_link(d, child, reason)) return decode_malformed(d, w);
        } else if (!wire_skip(&w, tag))
            return decode_malformed(d, w);
    }
    return true;
}

static bool decode_status(struct otlp_decoder *d, uint32_t row, struct wire *outer) {
    struct wire w;
    uint32_t tag;
    if (!wire_bytes(outer, &w)) return false;
    while (w.p < w.end) {
        bool ok;
        if (!wire_tag(&w, &tag)) return decode_malformed(d, w);
        switch (tag) {
        case WIRE_TAG(2, WIRE_BYTES): ok = put_text(d, SET_ROWS, FIELD_STATUS_MESSAGE, row, &w); break;
        case WIRE_TAG(3, WIRE_VARINT): ok = put_varint(d, SET_ROWS, FIELD_STATUS, row, &w); break;
        default: ok = wire_skip(&w, tag);
        }
        if (!ok) return decode_malformed(d, w);
    }
    return true;
}

static inline bool span_field(struct otlp_decoder *d, struct span_parts *s, struct row_attributes *a, uint32_t row,
                              uint32_t tag, struct wire *w) {
    struct wire skipped;
    switch (tag) {
    case WIRE_TAG(1, WIRE_BYTES): return wire_bytes(w, &s->trace);
    case WIRE_TAG(2, WIRE_BYTES): return wire_bytes(w, &s->span);
    case WIRE_TAG(3, WIRE_BYTES): return put_text(d, SET_ROWS, FIELD_TRACE_STATE, row, w);
    case WIRE_TAG(4, WIRE_BYTES): return wire_bytes(w, &s->parent);
    case WIRE_TAG(5, WIRE_BYTES): return put_text(d, SET_ROWS, FIELD_NAME, row, w);
    case WIRE_TAG(6, WIRE_VARINT): return put_varint(d, SET_ROWS, FIELD_KIND, row, w);
    case WIRE_TAG(7, WIRE_FIXED64): return wire_fixed64(w, &s->start);
    case WIRE_TAG(8, WIRE_FIXED64): return wire_fixed64(w, &s->end);
    case WIRE_TAG(9, WIRE_BYTES): return put_attributes(d, a, WIRE_TAG(9, WIRE_BYTES), w);
    case WIRE_TAG(10, WIRE_VARINT): return put_varint(d, SET_ROWS, FIELD_DROPPED_ATTRIBUTES, row, w);
    case WIRE_TAG(11, WIRE_BYTES):
    case WIRE_TAG(13, WIRE_BYTES): s->has_children = true; return wire_bytes(w, &skipped);
    case WIRE_TAG(12, WIRE_VARINT): return put_varint(d, SET_ROWS, FIELD_DROPPED_EVENTS, row, w);
    case WIRE_TAG(14, WIRE_VARINT): return put_varint(d, SET_ROWS, FIELD_DROPPED_LINKS, row, w);
    case WIRE_TAG(15, WIRE_BYTES): return decode_status(d, row, w);
    case WIRE_TAG(16, WIRE_FIXED32): return put_fixed32(d, SET_ROWS, FIELD_FLAGS, row, w);
    default: return wire_skip(w, tag);
    }
}

static bool decode_span(struct otlp_decoder *d, struct group g, struct wire message) {
    struct wire w = message;
    struct span_parts s = {0};
    struct builder_mark mark = builder_mark_now(d->b);
    uint32_t row, tag;
    if (!add_row(d, SET_ROWS, w, &row)) return false;
    struct row_attributes a = attributes_begin(d, SET_ROWS);
    while (w.p < w.end)
        if (!wire_tag(&w, &tag) || !span_field(d, &s, &a, row, tag, &w)) return decode_malformed(d, w);
    attributes_end(d, &a, row);
    int reason = finish_span(d, &s, row), child_reason = NO_REASON;
    if (__builtin_expect(s.has_children, 0) && !decode_children(d, message, &child_reason)) return false;
    if (reason == NO_REASON) reason = child_reason;
    if (reason == NO_REASON && a.too_many) reason = OTLP_TOO_MANY;
    put_u32(d, SET_ROWS, FIELD_RESOURCE, row, g.resource);
    put_u32(d, SET_ROWS, FIELD_SCOPE, row, g.scope);
    put_u32(d, SET_ROWS, FIELD_EVENT_END, row, d->b->sets[SET_EVENTS].n);
    put_u32(d, SET_ROWS, FIELD_LINK_END, row, d->b->sets[SET_LINKS].n);
    if (__builtin_expect(reason != NO_REASON, 0)) refuse_row(d, mark, reason);
    return !d->fault.what;
}

/* ---- logs --------------------------------------------------------------------------------------------------------- */

static bool decode_body(struct otlp_decoder *d, uint32_t row, struct wire *outer) {
    struct wire message, w, text;
    struct text_stats *stats = &d->field_stats[SET_ROWS][FIELD_BODY];
    enum value_type type = VALUE_STRING;
    uint32_t id = 0;
    if (!wire_bytes(outer, &message)) return false;
    w = message;
    if (w.p < w.end && *w.p++ == WIRE_TAG(1, WIRE_BYTES) && wire_bytes(&w, &text) && w.p == w.end) {
        id = decode_text(d, stats, text);
    } else { /* any other form */
        struct any any;
        w = message;
        if (!any_read(&w, &any)) return decode_malformed(d, w);
        type = any.kind == ANY_STRING ? VALUE_STRING : any.kind == ANY_EMPTY ? VALUE_EMPTY : VALUE_ANY;
        if (type == VALUE_STRING) id = decode_text(d, stats, any.bytes);
        if (type == VALUE_ANY && !decode_nested(d, stats, message, &id)) return false;
    }
    put_u32(d, SET_ROWS, FIELD_BODY, row, id);
    put_u32(d, SET_ROWS, FIELD_BODY_TYPE, row, type);
    return true;
}

static inline bool log_field(struct otlp_decoder *d, struct log_parts *l, struct row_attributes *a, uint32_t row,
                             uint32_t tag, struct wire *w) {
    switch (tag) {
    case WIRE_TAG(1, WIRE_FIXED64): return wire_fixed64(w, &l->time);
    case WIRE_TAG(2, WIRE_VARINT): return put_varint(d, SET_ROWS, FIELD_SEVERITY, row, w);
    case WIRE_TAG(3, WIRE_BYTES): return put_text(d, SET_ROWS, FIELD_SEVERITY_TEXT, row, w);
    case WIRE_TAG(5, WIRE_BYTES): return decode_body(d, row, w);
    case WIRE_TAG(6, WIRE_BYTES): return put_attributes(d, a, WIRE_TAG(6, WIRE_BYTES), w);
    case WIRE_TAG(7, WIRE_VARINT): return put_varint(d, SET_ROWS, FIELD_DROPPED_ATTRIBUTES, row, w);
    case WIRE_TAG(8, WIRE_FIXED32): return put_fixed32(d, SET_ROWS, FIELD_FLAGS, row, w);
    case WIRE_TAG(9, WIRE_BYTES): return wire_bytes(w, &l->trace);
    case WIRE_TAG(10, WIRE_BYTES): return wire_bytes(w, &l->span);
    case WIRE_TAG(11, WIRE_FIXED64): return wire_fixed64(w, &l->observed);
    case WIRE_TAG(12, WIRE_BYTES): return put_text(d, SET_ROWS, FIELD_NAME, row, w);
    default: return wire_skip(w, tag);
    }
}

static bool decode_log(struct otlp_decoder *d, struct group g, struct wire w) {
    struct log_parts l = {0};
    struct builder_mark mark = builder_mark_now(d->b);
    uint32_t row, tag;
    if (!add_row(d, SET_ROWS, w, &row)) return false;
    struct row_attributes a = attributes_begin(d, SET_ROWS);
    while (w.p < w.end)
        if (!wire_tag(&w, &tag) || !log_field(d, &l, &a, row, tag, &w)) return decode_malformed(d, w);
    attributes_end(d, &a, row);
    int reason = finish_log(d, &l, row);
    if (reason == NO_REASON && a.too_many) reason = OTLP_TOO_MANY;
    put_u32(d, SET_ROWS, FIELD_RESOURCE, row, g.resource);
    put_u32(d, SET_ROWS, FIELD_SCOPE, row, g.scope);
    if (__builtin_expect(reason != NO_REASON, 0)) refuse_row(d, mark, reason);
    return !d->fault.what;
}

/* ---- groups: the same for both signals ------------------------------------------------------------------------------ */

/* A Resource or InstrumentationScope message: fields into `row`, attributes onto what earlier ones of the group gave. */
static bool decode_shared(struct otlp_decoder *d, struct row_attributes *a, uint32_t row, struct wire *outer) {
    bool scope = a->set == SET_SCOPES;
    uint32_t attributes = WIRE_TAG(scope ? 3 : 1, WIRE_BYTES), dropped = WIRE_TAG(scope ? 4 : 2, WIRE_VARINT), tag;
    struct wire w;
    if (!wire_bytes(outer, &w)) return false;
    while (w.p < w.end) {
        bool ok;
        if (!wire_tag(&w, &tag)) return decode_malformed(d, w);
        if (tag == attributes)
            ok = put_attributes(d, a, (unsigned char)tag, &w);
        else if (tag == dropped)
            ok = put_varint(d, a->set, FIELD_DROPPED_ATTRIBUTES, row, &w);
        else if (scope && tag == WIRE_TAG(1, WIRE_BYTES))
            ok = put_text(d, SET_SCOPES, FIELD_NAME, row, &w);
        else if (scope && tag == WIRE_TAG(2, WIRE_BYTES))
            ok = put_text(d, SET_SCOPES, FIELD_VERSION, row, &w);
        else
            ok = wire_skip(&w, tag);
        if (!ok) return decode_malformed(d, w);
    }
    return true;
}

/* The first look through a Resource… or Scope… group: makes its row of the shared set. Both have the resource or scope in
 * field 1, the groups or rows in 2, the schema URL in 3. */
static bool decode_group_head(struct otlp_decoder *d, enum set s, struct wire w, uint32_t *out_row) {
    uint32_t row, tag;
    if (!add_row(d, s, w, &row)) return false;
    struct row_attributes a = attributes_begin(d, s);
    while (w.p < w.end) {
        bool ok;
        if (!wire_tag(&w, &tag)) return decode_malformed(d, w);
        if (tag == WIRE_TAG(1, WIRE_BYTES))
            ok = decode_shared(d, &a, row, &w);
        else if (tag == WIRE_TAG(3, WIRE_BYTES))
            ok = put_text(d, s, FIELD_SCHEMA_URL, row, &w);
        else
            ok = wire_skip(&w, tag);
        if (!ok) return decode_malformed(d, w);
    }
    attributes_end(d, &a, row);
    if (a.too_many) return decode_fail(d, w.p, ERR_LIMIT, "over 16,384 attributes of a resource or scope");
    *out_row = row;
    return !d->fault.what;
}

typedef bool (*decode_row_fn)(struct otlp_decoder *d, struct group g, struct wire w);

/* ScopeSpans or ScopeLogs. */
static bool decode_scope_group(struct otlp_decoder *d, struct group g, struct wire w) {
    decode_row_fn decode_row = d->b->signal == SIGNAL_SPANS ? decode_span : decode_log;
    struct builder_mark mark = builder_mark_now(d->b);
    uint32_t tag;
    if (!decode_group_head(d, SET_SCOPES, w, &g.scope)) return false;
    while (w.p < w.end) {
        struct wire row;
        if (!wire_tag(&w, &tag)) return decode_malformed(d, w);
        if (tag != WIRE_TAG(2, WIRE_BYTES)) {
            if (!wire_skip(&w, tag)) return decode_malformed(d, w);
            continue;
        }
        if (!wire_bytes(&w, &row)) return decode_malformed(d, w);
        if (!decode_row(d, g, row)) return false;
    }
    if (d->b->sets[SET_ROWS].n == mark.n[SET_ROWS]) batch_builder_rewind(d->b, mark);
    return true;
}

/* ResourceSpans or ResourceLogs. */
static bool decode_resource_group(struct otlp_decoder *d, struct wire w) {
    struct builder_mark mark = builder_mark_now(d->b);
    struct group g = {0};
    uint32_t tag;
    if (!decode_group_head(d, SET_RESOURCES, w, &g.resource)) return false;
    while (w.p < w.end) {
        struct wire scope;
        if (!wire_tag(&w, &tag)) return decode_malformed(d, w);
        if (tag != WIRE_TAG(2, WIRE_BYTES)) {
            if (!wire_skip(&w, tag)) return decode_malformed(d, w);
            continue;
        }
        if (!wire_bytes(&w, &scope)) return decode_malformed(d, w);
        if (!decode_scope_group(d, g, scope)) return false;
    }
    if (d->b->sets[SET_ROWS].n == mark.n[SET_ROWS]) batch_builder_rewind(d->b, mark);
    return true;
}

static bool decode_request(struct otlp_decoder *d, struct str body) {
    struct wire w = wire_of(body);
    uint32_t tag;
    while (w.p < w.end) {
        struct wire group;
        if (!wire_tag(&w, &tag)) return decode_malformed(d, w);
        if (tag == WIRE_TAG(1, WIRE_BYTES)) {
            if (!wire_bytes(&w, &group)) return decode_malformed(d, w);
            if (!decode_resource_group(d, group)) return false;
        } else if (!wire_skip(&w, tag))
            return decode_malformed(d, w);
    }
    return !d->fault.what;
}

/* ---- door --------------------------------------------------------------------------------------------------------- */

/* What a builder holds, used or not: refused rows leave room behind that batch_builder_bytes does not show. */
static size_t held_bytes(const struct batch_builder *b) {
    size_t n = b->strings.heap_capacity + 4 * (size_t)b->strings.capacity +
               sizeof(struct batch_key) * b->keys.capacity + 4 * (b->shape_end.capacity + b->shape_keys.capacity) +
               8 * b->slots.capacity;
    for (int s = 0; s < SETS; s++)
        for (int f = 0; f < FIELDS; f++)
            if (b->sets[s].columns[f]) n += (size_t)b->sets[s].capacity * field_size((enum field)f);
    return n;
}

/* A builder that one huge request has grown gives its memory back. */
static void keep_small(struct batch_builder *b) {
    enum { WARM_BYTES_MAX = 16 << 20 };
    if (held_bytes(b) <= WARM_BYTES_MAX) return;
    enum signal signal = b->signal;
    batch_builder_done(b);
    batch_builder_init(b, signal);
}

static void give_back(struct otlp_decoder *d) {
    if (d->drawn_bytes) budget_give(d->limits->budget, d->drawn_bytes);
    d->drawn_bytes = 0;
}

bool decode_run(struct otlp_decoder *d, enum signal signal, const struct otlp_limits *limits,
                bool (*request)(struct otlp_decoder *d, struct str body), struct str body, struct otlp_result *out) {
    d->b = &d->builders[signal];
    d->limits = limits;
    decode_begin(d);
    bool ok = body.n <= REQUEST_BYTES_MAX || decode_fail(d, NULL, ERR_LIMIT, "a request over 512 MiB");
    ok = ok && request(d, body) && decode_draw_blob(d);
    uint32_t rows = ok ? d->b->sets[SET_ROWS].n : 0;
    if (ok) {
        *out = (struct otlp_result){.rows = rows, .invalid_utf8 = d->invalid_utf8};
        memcpy(out->rejected, d->rejected, sizeof out->rejected);
    }
    if (rows)
        out->blob = batch_builder_finish(d->b);
    else
        batch_builder_clear(d->b);
    keep_small(d->b);
    give_back(d);
    return ok;
}

err otlp_decode(struct otlp_decoder *d, enum signal signal, struct str body, const struct otlp_limits *limits,
                struct otlp_result *out) {
    return decode_run(d, signal, limits, decode_request, body, out) ? NULL : fault_err(&d->fault, body);
}
