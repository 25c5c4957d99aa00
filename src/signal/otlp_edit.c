#include "signal/otlp_edit.h"

#include "signal/wire_write_priv.h"

enum { MEMBER_GROUPS = 1, MEMBER_RESOURCE = 1, MEMBER_SCOPE_SPANS = 2, MEMBER_SPANS = 2 };

/* The next field of a message as it stands: *out_all its bytes with the tag, *out_content those of a message or text. */
static bool next_field(struct wire *w, uint32_t *out_tag, struct str *out_all, struct wire *out_content) {
    const unsigned char *start = w->p;
    if (!wire_tag(w, out_tag)) return false;
    *out_content = (struct wire){w->p, w->p};
    if ((*out_tag & 7) == WIRE_BYTES ? !wire_bytes(w, out_content) : !wire_skip(w, *out_tag)) return false;
    *out_all = str_span(start, (size_t)(w->p - start));
    return true;
}

/* ---- resources --------------------------------------------------------------------------------------------------- */

static bool key_of(struct wire attribute, struct str *out) {
    uint32_t tag;
    struct str all;
    struct wire content;
    *out = STR("");
    while (wire_left(&attribute)) {
        if (!next_field(&attribute, &tag, &all, &content)) return false;
        if (tag == WIRE_TAG(1, WIRE_BYTES)) *out = wire_str(&content);
    }
    return true;
}

static void put_attribute(const struct otlp_edit *e, struct buf *out) {
    size_t start = open_message(out, 1);
    put_bytes_always(out, 1, e->key);
    put_bytes_always(out, 2, e->value);
    close_message(out, start);
}

/* One edit of the content of a Resource. */
static bool edit_resource(struct str resource, const struct otlp_edit *e, struct buf *out) {
    struct wire w = wire_of(resource), content;
    struct str all, key;
    bool seen = false;
    uint32_t tag;
    while (wire_left(&w)) {
        if (!next_field(&w, &tag, &all, &content)) return false;
        bool is_attribute = tag == WIRE_TAG(1, WIRE_BYTES);
        if (is_attribute && !key_of(content, &key)) return false;
        bool meant = is_attribute && str_equal(key, e->key);
        if (!meant || e->action == OTLP_INSERT || (e->action == OTLP_UPSERT && seen))
            buf_add_str(out, all);
        else if (e->action == OTLP_UPSERT)
            put_attribute(e, out);
        seen |= meant;
    }
    if (!seen && e->action != OTLP_DELETE) put_attribute(e, out);
    return true;
}

static bool edit_all(struct str resource, const struct otlp_edit *edits, size_t n, struct buf *a, struct buf *b) {
    buf_clear(a);
    buf_add_str(a, resource);
    for (size_t i = 0; i < n; i++) {
        struct buf other = *a;
        buf_clear(b);
        if (!edit_resource(buf_str(a), &edits[i], b)) return false;
        *a = *b;
        *b = other;
    }
    return true;
}

/* The content of a ResourceX. Its resource comes first, edited; a second one (a sender's mistake that readers merge) is kept as it is. */
static bool edit_group(struct wire group, const struct otlp_edit *edits, size_t n, struct buf spare[2],
                       struct buf *out) {
    struct wire w = group, content;
    struct str all, resource = STR("");
    uint32_t tag;
    bool found = false;
    while (wire_left(&w) && !found) {
        if (!next_field(&w, &tag, &all, &content)) return false;
        found = tag == WIRE_TAG(MEMBER_RESOURCE, WIRE_BYTES);
        if (found) resource = wire_str(&content);
    }
    if (!edit_all(resource, edits, n, &spare[0], &spare[1])) return false;
    if (found || spare[0].n) put_bytes_always(out, MEMBER_RESOURCE, buf_str(&spare[0]));
    for (w = group; wire_left(&w);) {
        if (!next_field(&w, &tag, &all, &content)) return false;
        if (found && tag == WIRE_TAG(MEMBER_RESOURCE, WIRE_BYTES))
            found = false; /* the one that was edited */
        else
            buf_add_str(out, all);
    }
    return true;
}

bool otlp_edit_resources(struct str request, const struct otlp_edit *edits, size_t n, struct buf *out) {
    struct wire w = wire_of(request), content;
    struct buf spare[2];
    struct str all;
    uint32_t tag;
    bool good = true;
    buf_init(&spare[0], out->max);
    buf_init(&spare[1], out->max);
    while (good && wire_left(&w)) {
        good = next_field(&w, &tag, &all, &content);
        if (good && tag == WIRE_TAG(1, WIRE_BYTES)) {
            size_t start = open_message(out, 1);
            good = edit_group(content, edits, n, spare, out);
            close_message(out, start);
        } else if (good) {
            buf_add_str(out, all);
        }
    }
    good &= !spare[0].full && !spare[1].full;
    buf_done(&spare[0]);
    buf_done(&spare[1]);
    return good;
}

/* ---- ids --------------------------------------------------------------------------------------------------------- */

enum { SPAN_ATTRIBUTES = 9, LOG_ATTRIBUTES = 6 };

struct ids {
    uint32_t attributes; /* the field of a row's */
    struct str key;
    otlp_row_id *id_of;
    void *context;
    uint32_t row;
    struct buf common; /* the id of all rows of a group so far */
    bool differ;
    struct buf value, resource;
};

static void put_key_value(uint32_t field, struct str key, struct str text, struct buf *out) {
    size_t attribute = open_message(out, field), any;
    put_bytes_always(out, 1, key);
    any = open_message(out, 2);
    put_bytes_always(out, 1, text);
    close_message(out, any);
    close_message(out, attribute);
}

static bool put_row(struct ids *k, struct wire row, struct buf *out) {
    struct str all, key, id = k->id_of(k->context, k->row++);
    struct wire w = row, content;
    bool has = false;
    uint32_t tag;
    size_t start = open_message(out, MEMBER_SPANS);
    buf_add_str(out, wire_str(&row));
    while (id.n && !has && wire_left(&w)) {
        if (!next_field(&w, &tag, &all, &content)) return false;
        if (tag != WIRE_TAG(k->attributes, WIRE_BYTES)) continue;
        if (!key_of(content, &key)) return false;
        has = str_equal(key, k->key);
    }
    if (id.n && !has) put_key_value(k->attributes, k->key, id, out);
    close_message(out, start);
    return true;
}

static bool put_scope(struct ids *k, struct wire scope, struct buf *out) {
    struct wire content;
    struct str all;
    uint32_t tag;
    size_t start = open_message(out, MEMBER_SCOPE_SPANS);
    while (wire_left(&scope)) {
        if (!next_field(&scope, &tag, &all, &content)) return false;
        if (tag != WIRE_TAG(MEMBER_SPANS, WIRE_BYTES)) {
            buf_add_str(out, all);
            continue;
        }
        if (!put_row(k, content, out)) return false;
    }
    close_message(out, start);
    return true;
}

/* The id that all rows of a group share, and its resource; rows are numbered from k->row on. */
static bool scan_group(struct ids *k, struct wire group, struct str *out_resource, bool *out_found) {
    struct wire scope, content;
    struct str all;
    uint32_t tag, row = k->row;
    buf_clear(&k->common);
    k->differ = false;
    *out_resource = STR("");
    *out_found = false;
    while (wire_left(&group)) {
        if (!next_field(&group, &tag, &all, &scope)) return false;
        if (tag == WIRE_TAG(MEMBER_RESOURCE, WIRE_BYTES) && !*out_found) {
            *out_found = true;
            *out_resource = wire_str(&scope);
        }
        if (tag != WIRE_TAG(MEMBER_SCOPE_SPANS, WIRE_BYTES)) continue;
        while (wire_left(&scope)) {
            if (!next_field(&scope, &tag, &all, &content)) return false;
            if (tag != WIRE_TAG(MEMBER_SPANS, WIRE_BYTES)) continue;
            struct str id = k->id_of(k->context, row);
            if (row++ == k->row) buf_add_str(&k->common, id);
            k->differ |= !str_equal(buf_str(&k->common), id);
        }
    }
    return true;
}

/* Its resource first, as libraries write it. */
static bool put_group(struct ids *k, struct wire group, struct buf *out) {
    struct wire content;
    struct str all, resource;
    bool found;
    uint32_t tag;
    if (!scan_group(k, group, &resource, &found)) return false;
    if (!k->differ && k->common.n) {
        buf_clear(&k->value);
        buf_clear(&k->resource);
        put_bytes_always(&k->value, 1, buf_str(&k->common));
        const struct otlp_edit e = {OTLP_INSERT, k->key, buf_str(&k->value)};
        if (!edit_resource(resource, &e, &k->resource)) return false;
        put_bytes_always(out, MEMBER_RESOURCE, buf_str(&k->resource));
    } else if (found) {
        put_bytes_always(out, MEMBER_RESOURCE, resource);
    }
    while (wire_left(&group)) {
        if (!next_field(&group, &tag, &all, &content)) return false;
        if (tag == WIRE_TAG(MEMBER_SCOPE_SPANS, WIRE_BYTES)) {
            if (!put_scope(k, content, out)) return false;
        } else if (tag == WIRE_TAG(MEMBER_RESOURCE, WIRE_BYTES) && found) {
            found = false; /* the first one is there already */
        } else {
            buf_add_str(out, all);
        }
    }
    return true;
}

static bool put_groups(struct ids *k, struct wire w, struct buf *out) {
    struct wire content;
    struct str all;
    uint32_t tag;
    while (wire_left(&w)) {
        if (!next_field(&w, &tag, &all, &content)) return false;
        if (tag != WIRE_TAG(MEMBER_GROUPS, WIRE_BYTES)) {
            buf_add_str(out, all);
            continue;
        }
        size_t start = open_message(out, MEMBER_GROUPS);
        if (!put_group(k, content, out)) return false;
        close_message(out, start);
    }
    return !k->resource.full && !k->common.full && !k->value.full;
}

bool otlp_put_ids(struct str request, bool of_spans, struct str key, otlp_row_id *id_of, void *context,
                  struct buf *out) {
    struct ids k = {of_spans ? SPAN_ATTRIBUTES : LOG_ATTRIBUTES, key, id_of, context};
    buf_init(&k.common, out->max);
    buf_init(&k.value, out->max);
    buf_init(&k.resource, out->max);
    bool good = put_groups(&k, wire_of(request), out);
    buf_done(&k.common);
    buf_done(&k.value);
    buf_done(&k.resource);
    return good;
}

/* ---- ids of exemplars -------------------------------------------------------------------------------------------- */

/* A KeyValue's string value, or "". */
static bool text_of(struct wire attribute, struct str *out) {
    struct wire content, value;
    struct str all;
    uint32_t tag;
    *out = STR("");
    while (wire_left(&attribute)) {
        if (!next_field(&attribute, &tag, &all, &content)) return false;
        if (tag != WIRE_TAG(2, WIRE_BYTES)) continue;
        while (wire_left(&content)) {
            if (!next_field(&content, &tag, &all, &value)) return false;
            if (tag == WIRE_TAG(1, WIRE_BYTES)) *out = wire_str(&value);
        }
    }
    return true;
}

enum { EXEMPLAR_ATTRIBUTES = 7, EXEMPLAR_TRACE_ID = 5 };

/* From a request to its exemplars: which fields of a message lead on. */
enum level { LEVEL_REQUEST, LEVEL_GROUP, LEVEL_SCOPE, LEVEL_METRIC, LEVEL_DATA, LEVEL_POINT };

struct exemplars {
    struct str key;
    otlp_exemplar_id *id_of;
    void *context;
    uint32_t member; /* of a point of the metric in hand: its exemplars */
    struct otlp_exemplar_bytes e;
    struct otlp_text own[OTLP_TEXTS_MAX], resource[OTLP_TEXTS_MAX];
};

/* Texts among the attributes that stand under one field; *out_has: the key is there, whatever its value. */
static bool read_texts(struct wire w, uint32_t field, struct str key, struct otlp_text *out, size_t *out_n,
                       bool *out_has) {
    struct wire content;
    struct str all;
    uint32_t tag;
    *out_n = 0;
    while (wire_left(&w)) {
        struct otlp_text t;
        if (!next_field(&w, &tag, &all, &content)) return false;
        if (tag != WIRE_TAG(field, WIRE_BYTES)) continue;
        if (!key_of(content, &t.key) || !text_of(content, &t.text)) return false;
        *out_has |= str_equal(t.key, key);
        if (t.text.n && *out_n < OTLP_TEXTS_MAX) out[(*out_n)++] = t;
    }
    return true;
}

static bool put_exemplar(struct exemplars *k, struct wire exemplar, struct buf *out) {
    struct wire w = exemplar, content;
    struct str all, id = STR("");
    uint32_t tag;
    bool has = false;
    k->e.trace_id = STR("");
    while (wire_left(&w)) {
        if (!next_field(&w, &tag, &all, &content)) return false;
        if (tag == WIRE_TAG(EXEMPLAR_TRACE_ID, WIRE_BYTES)) k->e.trace_id = wire_str(&content);
    }
    if (!read_texts(exemplar, EXEMPLAR_ATTRIBUTES, k->key, k->own, &k->e.own_count, &has)) return false;
    if (!has) id = k->id_of(k->context, &k->e);
    size_t start = open_message(out, k->member);
    buf_add_str(out, wire_str(&exemplar));
    if (id.n) put_key_value(EXEMPLAR_ATTRIBUTES, k->key, id, out);
    close_message(out, start);
    return true;
}

/* Gauge 5 and sum 7: exemplars are field 5 of their points; histogram 9: field 8; exponential 10: field 11. */
static uint32_t member_of(uint32_t metric_field) {
    return metric_field == 5 || metric_field == 7 ? 5 : metric_field == 9 ? 8 : metric_field == 10 ? 11 : 0;
}

static bool leads_on(const struct exemplars *k, enum level level, uint32_t tag) {
    if ((tag & 7) != WIRE_BYTES) return false;
    switch (level) {
    case LEVEL_REQUEST: return tag >> 3 == MEMBER_GROUPS;
    case LEVEL_GROUP: return tag >> 3 == MEMBER_SCOPE_SPANS;
    case LEVEL_SCOPE: return tag >> 3 == MEMBER_SPANS;
    case LEVEL_METRIC: return member_of(tag >> 3) != 0;
    case LEVEL_DATA: return tag >> 3 == 1;
    case LEVEL_POINT: return tag >> 3 == k->member;
    }
    return false;
}

static bool read_resource(struct exemplars *k, struct wire group) {
    struct wire content;
    struct str all;
    uint32_t tag;
    bool has = false;
    k->e.resource_count = 0;
    while (wire_left(&group)) {
        if (!next_field(&group, &tag, &all, &content)) return false;
        if (tag == WIRE_TAG(MEMBER_RESOURCE, WIRE_BYTES)) /* of two the last one, where readers would merge them */
            if (!read_texts(content, 1, k->key, k->resource, &k->e.resource_count, &has)) return false;
    }
    return true;
}

/* As deep as there are levels. */
static bool put_level(struct exemplars *k, enum level level, struct wire w, struct buf *out) {
    struct wire content;
    struct str all;
    uint32_t tag;
    if (level == LEVEL_GROUP && !read_resource(k, w)) return false;
    while (wire_left(&w)) {
        if (!next_field(&w, &tag, &all, &content)) return false;
        if (!leads_on(k, level, tag)) {
            buf_add_str(out, all);
            continue;
        }
        if (level == LEVEL_METRIC) k->member = member_of(tag >> 3);
        if (level == LEVEL_POINT) {
            if (!put_exemplar(k, content, out)) return false;
            continue;
        }
        size_t start = open_message(out, tag >> 3);
        if (!put_level(k, level + 1, content, out)) return false;
        close_message(out, start);
    }
    return true;
}

bool otlp_put_exemplar_ids(struct str request, struct str key, otlp_exemplar_id *id_of, void *context,
                           struct buf *out) {
    struct exemplars *k = mem_new_of(struct exemplars);
    *k = (struct exemplars){.key = key, .id_of = id_of, .context = context};
    k->e.own = k->own;
    k->e.resource = k->resource;
    bool good = put_level(k, LEVEL_REQUEST, wire_of(request), out);
    mem_free(k);
    return good;
}

/* ---- spans ------------------------------------------------------------------------------------------------------- */

static bool service_of(struct wire group, struct str *out) {
    struct wire resource, attribute;
    struct str all, key;
    uint32_t tag;
    *out = STR("");
    while (wire_left(&group)) {
        if (!next_field(&group, &tag, &all, &resource)) return false;
        if (tag != WIRE_TAG(MEMBER_RESOURCE, WIRE_BYTES)) continue;
        while (wire_left(&resource)) {
            if (!next_field(&resource, &tag, &all, &attribute)) return false;
            if (tag != WIRE_TAG(1, WIRE_BYTES)) continue;
            if (!key_of(attribute, &key)) return false;
            if (str_equal(key, STR("service.name")) && !text_of(attribute, out)) return false;
        }
    }
    return true;
}

/* Status {message 2, code 3}; 2 is an error. */
static bool read_status(struct wire status, bool *out_is_error) {
    uint32_t tag;
    uint64_t code;
    while (wire_left(&status)) {
        if (!wire_tag(&status, &tag)) return false;
        if (tag != WIRE_TAG(3, WIRE_VARINT)) {
            if (!wire_skip(&status, tag)) return false;
            continue;
        }
        if (!wire_varint(&status, &code)) return false;
        *out_is_error = code == 2;
    }
    return true;
}

static bool read_span(struct wire span, struct otlp_span_bytes *out) {
    struct wire content = {NULL, NULL};
    uint32_t tag;
    out->span = wire_str(&span);
    out->trace_id = STR("");
    out->has_parent = out->is_error = false;
    out->start_ns = out->end_ns = 0;
    while (wire_left(&span)) {
        if (!wire_tag(&span, &tag)) return false;
        bool good;
        switch (tag) {
        case WIRE_TAG(1, WIRE_BYTES):
            good = wire_bytes(&span, &content);
            out->trace_id = wire_str(&content);
            break;
        case WIRE_TAG(4, WIRE_BYTES):
            good = wire_bytes(&span, &content);
            out->has_parent = good && wire_left(&content) > 0;
            break;
        case WIRE_TAG(7, WIRE_FIXED64): good = wire_fixed64(&span, &out->start_ns); break;
        case WIRE_TAG(8, WIRE_FIXED64): good = wire_fixed64(&span, &out->end_ns); break;
        case WIRE_TAG(15, WIRE_BYTES):
            good = wire_bytes(&span, &content) && read_status(content, &out->is_error);
            break;
        default: good = wire_skip(&span, tag);
        }
        if (!good) return false;
    }
    return true;
}

/* The fields of a message but those of one tag. */
static void put_without(struct wire w, uint32_t without, struct buf *out) {
    struct wire content;
    struct str all;
    uint32_t tag;
    buf_clear(out);
    while (wire_left(&w) && next_field(&w, &tag, &all, &content))
        if (tag != without) buf_add_str(out, all);
}

struct walk {
    struct buf group, scope; /* once each, not for each of their spans */
    bool (*fn)(void *context, const struct otlp_span_bytes *span);
    void *context;
    struct otlp_span_bytes span;
    bool ended;
};

static bool walk_scope(struct walk *k, struct wire scope) {
    struct wire w = scope, content;
    struct str all;
    uint32_t tag;
    put_without(scope, WIRE_TAG(MEMBER_SPANS, WIRE_BYTES), &k->scope);
    k->span.scope_spans = buf_str(&k->scope);
    while (wire_left(&w) && !k->ended) {
        if (!next_field(&w, &tag, &all, &content)) return false;
        if (tag != WIRE_TAG(MEMBER_SPANS, WIRE_BYTES)) continue;
        if (!read_span(content, &k->span)) return false;
        k->ended = !k->fn(k->context, &k->span);
    }
    return true;
}

static bool walk_groups(struct walk *k, struct wire w) {
    struct wire group, scope;
    struct str all;
    uint32_t tag;
    while (wire_left(&w) && !k->ended) {
        if (!next_field(&w, &tag, &all, &group)) return false;
        if (tag != WIRE_TAG(MEMBER_GROUPS, WIRE_BYTES)) continue;
        put_without(group, WIRE_TAG(MEMBER_SCOPE_SPANS, WIRE_BYTES), &k->group);
        k->span.resource_spans = buf_str(&k->group);
        if (!service_of(group, &k->span.service)) return false;
        while (wire_left(&group) && !k->ended) {
            if (!next_field(&group, &tag, &all, &scope)) return false;
            if (tag == WIRE_TAG(MEMBER_SCOPE_SPANS, WIRE_BYTES) && !walk_scope(k, scope)) return false;
        }
    }
    return !k->group.full && !k->scope.full;
}

bool otlp_spans_each(struct str request, bool (*fn)(void *context, const struct otlp_span_bytes *span), void *context) {
    struct walk k = {.fn = fn, .context = context};
    buf_init(&k.group, request.n);
    buf_init(&k.scope, request.n);
    bool good = walk_groups(&k, wire_of(request));
    buf_done(&k.group);
    buf_done(&k.scope);
    return good;
}

void otlp_put_span(const struct otlp_span_bytes *span, struct buf *out) {
    size_t group = open_message(out, MEMBER_GROUPS);
    buf_add_str(out, span->resource_spans);
    size_t scope = open_message(out, MEMBER_SCOPE_SPANS);
    buf_add_str(out, span->scope_spans);
    put_bytes_always(out, MEMBER_SPANS, span->span);
    close_message(out, scope);
    close_message(out, group);
}
