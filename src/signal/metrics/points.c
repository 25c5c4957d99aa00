/* Blobs of points: viewing, who the series are, and the check that everything can be followed without looking. */
#include "signal/metrics/points.h"

#include "base/text.h"
#include "signal/batch_priv.h"
#include "signal/metrics/labels_kept_priv.h"
#include "signal/metrics/points_priv.h"
#include "signal/otlp.h"

static const _Alignas(16) unsigned char nothing[16];

static size_t align16(size_t n) { return (n + 15) & ~(size_t)15; }

struct batch_blob *points_blob_new(size_t size_bytes, size_t series, bool kept) {
    assert(size_bytes <= POINTS_BYTES_MAX && series <= POINTS_ROWS_MAX);
    size_t each = sizeof(struct hash128) + (kept ? sizeof(struct str *) : 0);
    struct batch_blob *blob = mem_grow(NULL, sizeof *blob + align16(size_bytes) + series * each);
    blob->refs = 1;
    blob->pages = NULL;
    blob->size_bytes = (uint32_t)size_bytes;
    return blob;
}

struct hash128 *points_blob_hashes(struct batch_blob *blob) {
    return (struct hash128 *)(blob->bytes + align16(blob->size_bytes));
}

const struct str **points_blob_kept(struct batch_blob *blob, size_t series) {
    return (const struct str **)(points_blob_hashes(blob) + series);
}

/* ---- view ------------------------------------------------------------------------------------------------------- */

static void view_section(struct points *p, const struct points_section_row *t, const void *at) {
    uint32_t n = t->size_bytes / t->element_size;
    if (t->id >= POINTS_COLUMN) {
        p->columns[t->id - POINTS_COLUMN] = (struct batch_column){at, n == 1 ? 0 : UINT32_MAX};
        return;
    }
    switch (t->id) {
    case POINTS_STRING_END: p->string_end = at, p->string_count = n; return;
    case POINTS_HEAP: p->heap = at; return;
    case POINTS_RESOURCES: p->resources = at, p->resource_count = n; return;
    case POINTS_SCOPES: p->scopes = at, p->scope_count = n; return;
    case POINTS_METRICS: p->metrics = at, p->metric_count = n; return;
    case POINTS_SERIES: p->series = at, p->series_count = n; return;
    case POINTS_HISTOGRAMS: p->histograms = at, p->histogram_count = n; return;
    case POINTS_NUMBERS: p->numbers = at, p->number_count = n; return;
    case POINTS_EXEMPLARS: p->exemplars = at, p->exemplar_count = n; return;
    default: return;
    }
}

void points_view_bytes(const unsigned char *bytes, struct points *out) {
    const struct points_header *h = (const void *)bytes;
    const struct points_section_row *table = (const void *)(h + 1);
    *out = (struct points){.origin = (enum points_origin)h->origin,
                           .n = h->points,
                           .resources = (const void *)nothing,
                           .scopes = (const void *)nothing,
                           .metrics = (const void *)nothing,
                           .series = (const void *)nothing,
                           .histograms = (const void *)nothing,
                           .numbers = (const void *)nothing,
                           .exemplars = (const void *)nothing,
                           .string_end = (const void *)nothing,
                           .heap = (const void *)nothing,
                           .time_min = h->time_min,
                           .time_max = h->time_max};
    for (int c = 0; c < COLUMNS; c++) out->columns[c] = (struct batch_column){nothing, 0};
    for (uint32_t i = 0; i < h->section_count; i++) view_section(out, &table[i], bytes + table[i].offset);
}

void points_view(struct batch_blob *blob, struct points *out) {
    points_view_bytes(blob->bytes, out);
    out->blob = blob;
    out->hashes = points_blob_hashes(blob);
    if (!blob->pages) return;
    out->kept = points_blob_kept(blob, out->series_count);
    out->kept_bytes = blob->pages->bytes;
}

bool points_label_next(struct str *rest, struct str *out_name, struct str *out_value) {
    struct wire w = wire_of(*rest), label, value;
    if (w.p == w.end) return false;
    w.p++;
    if (!wire_bytes(&w, &label)) return false; /* checked when it came in, as is what follows */
    *rest = wire_str(&w);
    if (!any_read_key_value(&label, out_name, &value)) return false;
    *out_value = wire_str(&value);
    return true;
}

/* ---- who a series is ---------------------------------------------------------------------------------------------- */

static struct hash128 hash_text(struct str s) { return hash_wide(s.p, s.n); }

struct hash128 points_hash_scope(struct hash128 resource, struct str name, struct str version, struct str attributes,
                                 struct str schema_url) {
    struct hash128 parts[] = {resource, hash_text(name), hash_text(version), hash_text(attributes),
                              hash_text(schema_url)};
    return hash_wide(parts, sizeof parts);
}

struct hash128 points_hash_metric(struct hash128 scope, struct str name, struct str unit,
                                  const struct points_metric *m) {
    struct hash128 parts[] = {
        scope, hash_text(name), hash_text(unit), {m->kind | (uint64_t)m->temporality << 32, m->monotonic}};
    return hash_wide(parts, sizeof parts);
}

void points_hash_all(const struct points *p, struct hash128 *out) {
    AUTO_FREE struct hash128 *metrics = mem_new_array(struct hash128, p->metric_count + 1);
    for (uint32_t i = 0; i < p->metric_count && p->origin == POINTS_OTLP; i++) {
        const struct points_metric *m = &p->metrics[i];
        const struct points_scope *s = &p->scopes[m->scope];
        struct hash128 resource = hash_text(points_string(p, p->resources[m->resource].attributes));
        struct hash128 scope = points_hash_scope(resource, points_string(p, s->name), points_string(p, s->version),
                                                 points_string(p, s->attributes), points_string(p, s->schema_url));
        metrics[i] = points_hash_metric(scope, points_string(p, m->name), points_string(p, m->unit), m);
    }
    for (uint32_t i = 0; i < p->series_count; i++) {
        struct hash128 labels = hash_text(points_labels_of(p, i));
        out[i] = p->origin == POINTS_OTLP ? points_hash_series(metrics[p->series[i].metric], labels)
                                          : points_hash_named(labels);
    }
}

/* ---- the check -------------------------------------------------------------------------------------------------- */

#define CORRUPT(...) err_new(ERR_CORRUPT, "points: " __VA_ARGS__)

static err check_header(const struct points_header *h, size_t size_bytes) {
    if (memcmp(h->magic, POINTS_MAGIC, 4) != 0) return CORRUPT("no batch of points begins here");
    if (h->version > POINTS_VERSION || h->features & ~(uint32_t)POINTS_FEATURES)
        return err_new(
            ERR_INVALID,
            "points: written by a newer clew (version %u, features %#x): open it with that release or a later one",
            h->version, h->features);
    if (h->version == 0 || h->reserved) return CORRUPT("version %u is none", h->version);
    if (h->size_bytes != size_bytes) return CORRUPT("%zu bytes where the header says %u", size_bytes, h->size_bytes);
    if (h->origin >= POINTS_ORIGINS) return CORRUPT("origin %u", h->origin);
    if (h->points > POINTS_ROWS_MAX) return CORRUPT("%u points", h->points);
    if (h->section_count > POINTS_SECTIONS) return CORRUPT("%u sections", h->section_count);
    if (size_bytes - sizeof *h < h->section_count * sizeof(struct points_section_row))
        return CORRUPT("the section table is cut");
    return NULL;
}

static err check_section(const struct points_header *h, const struct points_section_row *t) {
    uint32_t size = points_element_sizes[t->id];
    if (t->element_size != size || t->size_bytes % size || t->size_bytes == 0)
        return CORRUPT("section %u has a wrong size", t->id);
    uint32_t n = t->size_bytes / size;
    if (t->id >= POINTS_COLUMN && (h->points == 0 || (n != 1 && n != h->points)))
        return CORRUPT("column %u: %u values for %u points", t->id - POINTS_COLUMN, n, h->points);
    if (t->id >= POINTS_RESOURCES && t->id < POINTS_COLUMN && n > POINTS_ROWS_MAX && t->id != POINTS_NUMBERS)
        return CORRUPT("section %u has %u rows", t->id, n);
    return NULL;
}

static err check_sections(const struct points_header *h) {
    const struct points_section_row *table = (const void *)(h + 1);
    uint64_t next = sizeof *h + h->section_count * sizeof *table;
    for (uint32_t i = 0; i < h->section_count; i++) {
        const struct points_section_row *t = &table[i];
        if (t->id >= POINTS_SECTIONS || (i && t->id <= table[i - 1].id))
            return CORRUPT("section %u is out of order", t->id);
        if (t->offset != align8(next) || t->size_bytes > h->size_bytes || t->offset > h->size_bytes - t->size_bytes)
            return CORRUPT("section %u is out of bounds", t->id);
        next = (uint64_t)t->offset + t->size_bytes;
        TRY(check_section(h, t));
    }
    return align8(next) == h->size_bytes ? NULL
                                         : CORRUPT("%u bytes where the sections take %zu", h->size_bytes, align8(next));
}

static uint32_t heap_size(const struct points_header *h) {
    const struct points_section_row *table = (const void *)(h + 1);
    for (uint32_t i = 0; i < h->section_count; i++)
        if (table[i].id == POINTS_HEAP) return table[i].size_bytes;
    return 0;
}

static err check_strings(const struct points *p, uint32_t heap_bytes) {
    if (p->string_count == 0 || p->string_end[0] != 0) return CORRUPT("string 0 is not the empty string");
    for (uint32_t i = 1; i < p->string_count; i++)
        if (p->string_end[i] < p->string_end[i - 1]) return CORRUPT("string %u ends before it starts", i);
    return p->string_end[p->string_count - 1] == heap_bytes ? NULL : CORRUPT("the strings do not end with the heap");
}

enum any_fault points_check_labels(enum points_origin origin, struct str labels, struct any_check *c) {
    unsigned char tag = origin == POINTS_OTLP ? OTLP_LABEL_TAG : NAMED_LABEL_TAG;
    struct wire w = wire_of(labels);
    while (w.p < w.end) {
        struct wire item, value;
        struct str name;
        c->at = w.p;
        if (*w.p++ != tag || !wire_bytes(&w, &item)) return ANY_MALFORMED;
        if (!any_read_key_value(&item, &name, &value)) return ANY_MALFORMED;
        if (name.n > ANY_STRING_MAX || wire_left(&value) > ANY_STRING_MAX) return ANY_TOO_LONG;
        if (!any_utf8_is_valid((const unsigned char *)name.p, name.n)) c->invalid_utf8++;
        if (origin == POINTS_PROMETHEUS) continue;
        enum any_fault fault = any_check(value, c);
        if (fault) return fault;
    }
    return ANY_OK;
}

/* What the check carries: labels that are known to be good, a bit per string. */
struct check {
    const struct points *p;
    uint8_t *good;
};

static err check_text(const struct check *c, uint32_t id) {
    return id < c->p->string_count ? NULL : CORRUPT("string %u of %u", id, c->p->string_count);
}

static err check_labels(const struct check *c, uint32_t id) {
    struct any_check any = {0};
    TRY(check_text(c, id));
    if (c->good[id / 8] >> id % 8 & 1) return NULL;
    if (points_check_labels(c->p->origin, points_string(c->p, id), &any) != ANY_OK)
        return CORRUPT("string %u is no list of labels", id);
    c->good[id / 8] |= (uint8_t)(1u << id % 8);
    return NULL;
}

static err check_shared(const struct check *c) {
    const struct points *p = c->p;
    for (uint32_t i = 0; i < p->resource_count; i++) {
        TRY(check_labels(c, p->resources[i].attributes));
        TRY(check_text(c, p->resources[i].schema_url));
    }
    for (uint32_t i = 0; i < p->scope_count; i++) {
        const struct points_scope *s = &p->scopes[i];
        TRY(check_labels(c, s->attributes));
        TRY(check_text(c, s->name));
        TRY(check_text(c, s->version));
        TRY(check_text(c, s->schema_url));
    }
    for (uint32_t i = 0; i < p->metric_count; i++) {
        const struct points_metric *m = &p->metrics[i];
        TRY(check_labels(c, m->metadata));
        TRY(check_text(c, m->name));
        TRY(check_text(c, m->description));
        TRY(check_text(c, m->unit));
        if (p->origin == POINTS_OTLP &&
            (m->resource >= p->resource_count || m->scope >= p->scope_count || m->kind >= METRIC_KINDS))
            return CORRUPT("metric %u has no resource, scope or kind", i);
    }
    for (uint32_t i = 0; i < p->series_count; i++) {
        TRY(check_labels(c, p->series[i].labels));
        if (p->series[i].metric >= p->metric_count) return CORRUPT("series %u has no metric", i);
    }
    return NULL;
}

/* Whether a metric of OTLP may have a point of that kind. */
static bool kinds_agree(uint32_t metric, enum point_kind point) {
    switch (point) {
    case POINT_EMPTY:
    case POINT_INT:
    case POINT_DOUBLE: return metric == METRIC_GAUGE || metric == METRIC_SUM;
    case POINT_HISTOGRAM: return metric == METRIC_HISTOGRAM;
    case POINT_EXPONENTIAL: return metric == METRIC_EXPONENTIAL;
    case POINT_SUMMARY: return metric == METRIC_SUMMARY;
    case POINT_NATIVE:
    case POINT_KINDS: break;
    }
    return false;
}

static err check_points(const struct points *p) {
    uint32_t series = 0, compound = 0;
    int64_t low = INT64_MAX, high = INT64_MIN;
    for (uint32_t i = 0; i < p->n; i++) {
        uint32_t s = point_series(p, i);
        uint8_t kind = (uint8_t)point_kind(p, i);
        uint64_t time = point_time(p, i);
        int64_t t = p->origin == POINTS_OTLP && time > INT64_MAX ? INT64_MAX : (int64_t)time;
        low = MIN(low, t);
        high = MAX(high, t);
        if (s < series || s >= p->series_count) return CORRUPT("the series of point %u falls or is not there", i);
        series = s;
        if (p->origin == POINTS_OTLP ? !kinds_agree(p->metrics[p->series[s].metric].kind, (enum point_kind)kind)
                                     : kind != POINT_DOUBLE && kind != POINT_NATIVE)
            return CORRUPT("point %u has kind %u", i, kind);
        if (point_is_compound((enum point_kind)kind) && point_value(p, i) != compound++)
            return CORRUPT("point %u has no histogram of its own", i);
    }
    if (compound != p->histogram_count) return CORRUPT("%u histograms for %u points", p->histogram_count, compound);
    return low == p->time_min && high == p->time_max ? NULL : CORRUPT("the range of times is not that of the points");
}

static err check_histograms(const struct points *p) {
    uint64_t next = 0;
    for (uint32_t i = 0; i < p->histogram_count; i++) {
        const struct points_histogram *h = &p->histograms[i];
        if (h->first != next || h->flags & ~(uint32_t)HISTOGRAM_FLAGS || h->reserved)
            return CORRUPT("histogram %u is wrong", i);
        for (int l = 0; l < NUMBERS; l++) next += h->n[l];
        if (next > p->number_count) return CORRUPT("histogram %u has no numbers", i);
    }
    return next == p->number_count ? NULL : CORRUPT("%u numbers are of no histogram", p->number_count);
}

static err check_exemplars(const struct check *c) {
    const struct points *p = c->p;
    uint32_t series = 0, point = 0;
    for (uint32_t i = 0; i < p->exemplar_count; i++) {
        const struct points_exemplar *e = &p->exemplars[i];
        TRY(check_labels(c, e->labels));
        if (e->series < series || e->series >= p->series_count || e->kind > POINT_DOUBLE)
            return CORRUPT("exemplar %u is of no series or kind", i);
        series = e->series;
        if (e->point == NO_POINT && p->origin == POINTS_PROMETHEUS) continue;
        if (e->point < point || e->point >= p->n || point_series(p, e->point) != series)
            return CORRUPT("exemplar %u is of no point", i);
        point = e->point;
    }
    return NULL;
}

err points_check_frame(struct str bytes, uint32_t features) {
    const struct points_header *h = (const void *)bytes.p;
    struct points p;
    if (bytes.n < sizeof *h || bytes.n > POINTS_BYTES_MAX) return CORRUPT("%zu bytes are none", bytes.n);
    TRY(check_header(h, bytes.n));
    if (h->features & ~features) return CORRUPT("labels of its series are elsewhere");
    TRY(check_sections(h));
    points_view_bytes((const unsigned char *)bytes.p, &p);
    return check_strings(&p, heap_size(h));
}

err points_open(struct str bytes, struct batch_blob **out) {
    struct points p;
    AUTO_FREE uint64_t *copy = mem_new_array(uint64_t, bytes.n / 8 + 1); /* aligned */
    memcpy(copy, bytes.p, bytes.n);
    TRY(points_check_frame(str_span(copy, bytes.n), 0));
    points_view_bytes((const void *)copy, &p);
    AUTO_FREE uint8_t *good = mem_new((size_t)p.string_count / 8 + 1); /* bounded by the blob: 4 bytes a string */
    struct check c = {&p, good};
    TRY(check_shared(&c));
    TRY(check_points(&p));
    TRY(check_histograms(&p));
    TRY(check_exemplars(&c));
    struct batch_blob *blob = points_blob_new(bytes.n, p.series_count, false);
    memcpy(blob->bytes, copy, bytes.n);
    points_view(blob, &p);
    points_hash_all(&p, points_blob_hashes(blob));
    *out = blob;
    return NULL;
}

/* ---- for people --------------------------------------------------------------------------------------------------- */

static void put_quoted(struct buf *out, const char *before, struct str text) {
    enum { SHOWN_MAX = 80 };
    buf_add_fmt(out, "%s\"", before);
    put_utf8_clean(out, (struct str){text.p, MIN(text.n, (size_t)SHOWN_MAX)});
    buf_add_text(out, text.n > SHOWN_MAX ? "…\"" : "\"");
}

void points_put_metric(struct buf *out, struct str name, struct str resource_attributes) {
    static const struct {
        struct str key;
        const char *text;
    } said[] = {{STR("service.name"), " of service "}, {STR("service.instance.id"), ", instance "}};
    AUTO_BUF struct buf value;
    buf_init(&value, KIB);
    put_quoted(out, "metric ", name);
    for (size_t i = 0; i < LENGTH(said); i++) {
        struct str key, any, rest = resource_attributes;
        while (points_label_next(&rest, &key, &any)) {
            if (!str_equal(key, said[i].key)) continue;
            buf_clear(&value);
            value_message_text(any, &value);
            put_quoted(out, said[i].text, buf_str(&value));
            break;
        }
    }
}
