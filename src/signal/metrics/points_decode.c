/* What every encoding shares: a request from its first byte to its blob, labels by their hash, numbers of histograms. */
#include <stdio.h>
#include <stdlib.h>

#include "base/budget.h"
#include "base/text.h"
#include "signal/metrics/points_decode_priv.h"

const char *const points_reason_texts[POINTS_REASONS] = {
    [POINTS_TOO_OLD] = "older than the retention",
    [POINTS_TOO_NEW] = "too far in the future",
    [POINTS_TOO_MANY] = "too many labels",
    [POINTS_BAD_LABELS] = "labels that are not allowed",
    [POINTS_BAD_HISTOGRAM] = "a histogram that contradicts itself",
};

struct points_decoder *points_decoder_new(void) {
    struct points_decoder *d = mem_new_of(struct points_decoder);
    kept_labels_init(&d->kept);
    points_builder_init(&d->b, POINTS_OTLP);
    buf_init(&d->scratch, POINTS_BODY_MAX);
    d->no_labels = hash_wide("", 0);
    return d;
}

void points_decoder_free(struct points_decoder *d) {
    if (!d) return;
    points_builder_done(&d->b);
    buf_done(&d->scratch);
    points_lists_done(&d->lists);
    vec_done(&d->symbols);
    kept_labels_done(&d->kept);
    mem_free(d);
}

void points_decoder_share(struct points_decoder *d) { d->shares = true; }

void points_decoder_forget(struct points_decoder *d) { kept_labels_clear(&d->kept); }

/* ---- faults ------------------------------------------------------------------------------------------------------- */

bool points_fault(struct points_decoder *d, const unsigned char *at, enum err_kind kind, const char *what) {
    size_t place = (uintptr_t)at - (uintptr_t)d->body.p; /* labels may have been copied out of the body */
    return fault_set(&d->fault, at && place <= d->body.n ? at : NULL, kind, what);
}

void points_refuse(struct points_decoder *d, enum points_reason reason, uint32_t n, const char *what) {
    d->result.rejected[reason] += n;
    if (d->result.first[0]) return;
    snprintf(d->result.first, sizeof d->result.first, "%s%s%s", points_reason_texts[reason], what ? ": " : "",
             what ? what : "");
}

void points_refuse_of(struct points_decoder *d, const struct points_metric *m, struct str resource,
                      enum points_reason reason, const char *what) {
    AUTO_BUF struct buf text;
    buf_init(&text, sizeof d->result.first);
    if (!d->result.first[0]) {
        points_put_metric(&text, strings_get(&d->b.strings, m->name), resource);
        if (what) buf_add_fmt(&text, ": %s", what);
    }
    points_refuse(d, reason, 1, text.n ? text.p : what);
}

static bool draw_up_to(struct points_decoder *d, uint64_t need) {
    uint64_t have = d->limits->granted_bytes + d->drawn_bytes;
    if (!d->limits->budget || need <= have) return true;
    if (!budget_take(d->limits->budget, need - have))
        return points_fault(d, NULL, ERR_BUSY, "over memory.limit: the columns of a request");
    d->drawn_bytes += need - have;
    return true;
}

/* At most twice as large when doubled, and as much again for the blob. */
bool points_draw(struct points_decoder *d) { return draw_up_to(d, 4 * (uint64_t)points_builder_bytes(&d->b)); }

bool points_full(struct points_decoder *d, const unsigned char *at, size_t n) {
    if (n >= REQUEST_POINTS_MAX)
        return points_fault(d, at, ERR_LIMIT, "over 2^20 points, series, metrics or exemplars in one request");
    return points_draw(d);
}

/* Labels that are kept count as text: who has to say them in full has no more to say than the request did. */
static bool text_is_within(struct points_decoder *d, const unsigned char *at, size_t n) {
    return n <= d->text_max - d->b.strings.heap_size - d->b.kept_bytes ||
           points_fault(d, at, ERR_LIMIT, "too much text for the size of the request");
}

/* Before n bytes of text go into the batch. */
static bool text_fits(struct points_decoder *d, const unsigned char *at, size_t n) {
    const struct strings *s = &d->b.strings;
    return text_is_within(d, at, n) && (n < s->heap_capacity - s->heap_size || points_draw(d));
}

/* ---- a request ---------------------------------------------------------------------------------------------------- */

/* A whole number of milliseconds, rounded down, for limits that are not given as "none". */
static int64_t to_ms(int64_t ns) {
    if (ns == INT64_MIN || ns == INT64_MAX) return ns;
    return ns / 1000000 - (ns % 1000000 < 0);
}

static void begin(struct points_decoder *d, enum points_origin origin, const struct otlp_limits *limits,
                  struct str body) {
    bool ms = origin == POINTS_PROMETHEUS;
    d->limits = limits;
    d->body = body;
    d->time_min = ms ? to_ms(limits->time_min) : limits->time_min;
    d->time_max = ms ? to_ms(limits->time_max) : limits->time_max;
    d->fault = (struct fault){0};
    d->generation++;
    d->result = (struct points_result){0};
    d->text_max = MIN(POINTS_BODY_MAX, REQUEST_TEXT_MIN + TEXT_PER_BODY_BYTE * body.n);
    points_builder_clear(&d->b, origin);
}

/* A builder that one huge request has grown gives its memory back. */
static void keep_small(struct points_decoder *d) {
    enum { WARM_BYTES_MAX = 16 << 20 };
    size_t lists = 0;
    for (int i = 0; i < NUMBERS; i++) lists += 8 * d->lists.v[i].capacity;
    size_t held = d->b.capacity * (size_t)33 + d->b.strings.heap_capacity + 8 * d->b.numbers.capacity +
                  sizeof(struct points_histogram) * d->b.histograms.capacity +
                  sizeof(struct points_exemplar) * d->b.exemplars.capacity +
                  sizeof(struct points_metric) * d->b.metrics.capacity + 24 * d->b.series.capacity + lists +
                  d->scratch.capacity + sizeof(struct str) * d->symbols.capacity;
    if (held <= WARM_BYTES_MAX) return;
    points_builder_done(&d->b);
    points_builder_init(&d->b, POINTS_OTLP);
    buf_done(&d->scratch);
    buf_init(&d->scratch, POINTS_BODY_MAX);
    points_lists_done(&d->lists);
    vec_done(&d->symbols);
}

bool points_run(struct points_decoder *d, enum points_origin origin, points_request request, struct str body,
                const struct otlp_limits *limits, struct points_result *out) {
    begin(d, origin, limits, body);
    bool ok = body.n <= POINTS_BODY_MAX || points_fault(d, NULL, ERR_LIMIT, "a request over 512 MiB");
    ok = ok && request(d, body) && !d->fault.what;
    ok = ok && (points_builder_bytes(&d->b) < POINTS_BYTES_MAX / 2 ||
                points_fault(d, NULL, ERR_LIMIT, "a request that takes over 1 GiB"));
    ok = ok && (!limits->budget || draw_up_to(d, 2 * (uint64_t)points_builder_bytes(&d->b)));
    out->points = d->b.n;
    if (ok) {
        *out = d->result;
        out->points = d->b.n;
        out->histograms = (uint32_t)d->b.histograms.n;
        out->samples = d->b.n - out->histograms;
        out->exemplars = (uint32_t)d->b.exemplars.n;
        bool metadata = origin == POINTS_PROMETHEUS && d->b.metrics.n > 1;
        if (d->b.n || d->b.exemplars.n || metadata) out->blob = points_builder_finish(&d->b);
    }
    keep_small(d);
    d->body = (struct str){0};
    if (d->drawn_bytes) budget_give(limits->budget, d->drawn_bytes);
    d->drawn_bytes = 0;
    return ok;
}

/* ---- labels ------------------------------------------------------------------------------------------------------- */

/* Those that were passed over as one. */
static void count_labels(struct labels_in *in) {
    struct wire w = wire_of(in->bytes), label;
    in->entry = NULL;
    in->n = 0;
    while (w.p < w.end && (w.p++, wire_bytes(&w, &label))) in->n++;
}

bool points_labels_run_slow(struct points_decoder *d, struct labels_in *in, unsigned char tag, unsigned char kept,
                            struct wire *w) {
    struct wire label;
    if (in->entry) count_labels(in);
    if (in->n == 0) buf_clear(&d->scratch);
    if (in->n && in->bytes.p != d->scratch.p) { /* a second run: the first is copied */
        buf_clear(&d->scratch);
        buf_add_str(&d->scratch, in->bytes);
    }
    do {
        const unsigned char *size = ++w->p;
        if (!wire_bytes(w, &label)) return points_malformed(d, *w);
        buf_add_byte(&d->scratch, (char)kept);
        buf_add(&d->scratch, size, (size_t)(w->p - size));
        in->n++;
    } while (w->p < w->end && *w->p == tag);
    if (d->scratch.full) return points_fault(d, w->p, ERR_LIMIT, "labels over 512 MiB");
    in->bytes = buf_str(&d->scratch);
    return true;
}

static size_t varint_size(size_t v) {
    size_t n = 1;
    for (; v >= 0x80; v >>= 7) n++;
    return n;
}

static unsigned char *put_text(unsigned char *at, unsigned char tag, struct str text) {
    *at++ = tag;
    at += any_varint(text.n, at);
    if (text.n) memcpy(at, text.p, text.n);
    return at + text.n;
}

bool points_scratch_label(struct points_decoder *d, struct str name, struct str value) {
    size_t size = 2 + varint_size(name.n) + name.n + varint_size(value.n) + value.n;
    if (d->scratch.n + size > SERIES_LABELS_MAX || !buf_reserve(&d->scratch, size + 11))
        return points_fault(d, NULL, ERR_LIMIT, "labels of one series over 1 MiB");
    unsigned char *start = (unsigned char *)d->scratch.p + d->scratch.n, *at = start;
    *at++ = NAMED_LABEL_TAG;
    at += any_varint(size, at);
    at = put_text(at, WIRE_TAG(1, WIRE_BYTES), name);
    at = put_text(at, WIRE_TAG(2, WIRE_BYTES), value);
    d->scratch.n += (size_t)(at - start);
    return true;
}

struct label {
    struct str name, value;
};

static int compare_labels(const void *a, const void *b) {
    return str_compare(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static const char *label_fault(const struct label *l) {
    if (!l->name.n) return "a label without a name";
    if (!any_utf8_is_valid((const unsigned char *)l->name.p, l->name.n)) return "a label name that is not UTF-8";
    if (!any_utf8_is_valid((const unsigned char *)l->value.p, l->value.n)) return "a label value that is not UTF-8";
    return NULL;
}

/* A Prometheus label set as it shall be: sorted, without labels whose value is empty (they mean the same as none). */
static bool order_labels(struct points_decoder *d, enum labels_kind kind, struct str bytes, struct buf *out,
                         const char **out_bad) {
    struct label labels[NAMED_LABELS_MAX];
    struct str rest = bytes;
    uint32_t n = 0;
    struct any_check any = {0};
    enum any_fault fault = points_check_labels(POINTS_PROMETHEUS, bytes, &any);
    if (fault == ANY_TOO_LONG) {
        *out_bad = "a label over 16 MiB";
        return true;
    }
    if (fault) return points_fault(d, NULL, ERR_INVALID, "a label is not a valid protobuf message");
    while (rest.n && n < NAMED_LABELS_MAX && points_label_next(&rest, &labels[n].name, &labels[n].value)) {
        if ((*out_bad = label_fault(&labels[n]))) return true;
        n += labels[n].value.n > 0;
    }
    if (rest.n) *out_bad = "over 1,024 labels";
    qsort(labels, n, sizeof *labels, compare_labels);
    bool named = kind == LABELS_EXEMPLAR;
    for (uint32_t i = 0; i < n && !*out_bad; i++) {
        if (i && str_equal(labels[i].name, labels[i - 1].name)) *out_bad = "a label name twice";
        named |= str_equal(labels[i].name, STR("__name__"));
        points_put_label(out, labels[i].name, labels[i].value);
    }
    if (!named && !*out_bad) *out_bad = "no label __name__, the name of the metric";
    return true;
}

/* Passes a text of one or two bytes of size under `tag`: nearly every one. */
static bool pass_text(const unsigned char **at, const unsigned char *end, unsigned char tag, struct str *out) {
    const unsigned char *p = *at;
    if (end - p < 2 || *p++ != tag) return false;
    size_t n = *p++;
    if (n >= 0x80) {
        if (p == end || *p >= 0x80) return false;
        n = (n & 0x7f) | (size_t)*p++ << 7;
    }
    if (n > (size_t)(end - p)) return false;
    *out = str_span(p, n);
    *at = p + n;
    return true;
}

/* Whether a Prometheus label set is as it shall be already, in the plain form that every sender writes. */
static bool is_in_order(enum labels_kind kind, struct str bytes) {
    const unsigned char *p = wire_of(bytes).p, *end = wire_of(bytes).end;
    struct str before = {0}, item, name, value;
    bool named = kind == LABELS_EXEMPLAR;
    uint32_t n = 0;
    while (p < end) {
        if (!pass_text(&p, end, NAMED_LABEL_TAG, &item)) return false;
        const unsigned char *in = (const unsigned char *)item.p, *in_end = in + item.n;
        if (!pass_text(&in, in_end, WIRE_TAG(1, WIRE_BYTES), &name) ||
            !pass_text(&in, in_end, WIRE_TAG(2, WIRE_BYTES), &value) || in != in_end || !name.n || !value.n ||
            ++n > NAMED_LABELS_MAX || str_compare(before, name) >= 0 ||
            !any_utf8_is_valid((const unsigned char *)name.p, name.n) ||
            !any_utf8_is_valid((const unsigned char *)value.p, value.n))
            return false;
        named |= str_equal(name, STR("__name__"));
        before = name;
    }
    return named;
}

/* *kept: what the labels are kept as. False on a fault. */
static bool check_labels(struct points_decoder *d, enum labels_kind kind, struct str bytes, struct buf *ordered,
                         struct str *kept, const char **out_bad) {
    struct any_check any = {0};
    *kept = bytes;
    if (kind == LABELS_SERIES || kind == LABELS_EXEMPLAR) {
        if (is_in_order(kind, bytes)) return true;
        if (!order_labels(d, kind, bytes, ordered, out_bad)) return false;
        *kept = buf_str(ordered);
        return true;
    }
    switch (points_check_labels(POINTS_OTLP, bytes, &any)) {
    case ANY_MALFORMED: return points_fault(d, any.at, ERR_INVALID, "not a valid protobuf message");
    case ANY_TOO_DEEP: return points_fault(d, any.at, ERR_LIMIT, "a value nested deeper than 64");
    case ANY_TOO_LONG: return points_fault(d, any.at, ERR_LIMIT, "a string over 16 MiB");
    case ANY_OK: break;
    }
    d->result.invalid_utf8 += any.invalid_utf8;
    return true;
}

/* A string of the request. False on a fault. */
static bool keep_labels(struct points_decoder *d, struct str kept, uint32_t *out_id) {
    if (!text_fits(d, NULL, kept.n)) return false;
    *out_id = kept.n ? strings_append(&d->b.strings, kept) : 0;
    return true;
}

bool points_labels_again(struct points_decoder *d, struct known_labels *e) {
    if (!keep_labels(d, e->kept, &e->id)) return false;
    e->generation = d->generation;
    return true;
}

bool points_labels_share(struct points_decoder *d, struct known_labels *e) {
    struct label_page *page = label_page_of(e);
    if (!text_is_within(d, NULL, e->kept.n)) return false;
    if (page->generation != d->generation) {
        page->generation = d->generation;
        atomic_fetch_add_explicit(&page->refs, 1, memory_order_relaxed);
        *vec_push(&d->b.pages) = page;
    }
    d->b.kept_bytes += e->kept.n;
    e->generation = d->generation;
    return true;
}

/* Where a hash is looked for among labels that are not kept. */
static struct loose_labels *loose_at(struct points_decoder *d, struct hash128 hash) {
    return &d->loose[hash.low % LOOSE_LABELS];
}

static bool loose_find(struct points_decoder *d, enum labels_kind kind, struct hash128 hash, uint32_t *out_id) {
    const struct loose_labels *l = loose_at(d, hash);
    if (l->generation != d->generation || l->kind != kind || !hash128_equal(l->hash, hash)) return false;
    *out_id = l->id;
    return true;
}

/* Labels that are not those that came next, as an entry, or where there is none as a string (*out_id). NULL with neither a string nor *out_bad:
 * a fault. */
static struct known_labels *unexpected(struct points_decoder *d, enum labels_kind kind, struct str bytes,
                                       struct hash128 hash, uint32_t *out_id, const char **out_bad) {
    AUTO_BUF struct buf ordered;
    struct str kept;
    uint32_t *asked = &d->asked[d->asked_n++ % LABELS_AHEAD];
    uint32_t at = kept_labels_find(&d->kept, (uint8_t)(kind + 1), hash, bytes);
    buf_init(&ordered, POINTS_BODY_MAX);
    if (!at) {
        if (loose_find(d, kind, hash, out_id)) return NULL;
        if (!check_labels(d, kind, bytes, &ordered, &kept, out_bad) || *out_bad) return NULL;
        at = kept_labels_add(&d->kept, (uint8_t)(kind + 1), hash, bytes, kept, d->limits->budget);
    }
    kept_labels_at(&d->kept, *asked)->ahead = at;
    *asked = at;
    if (at) return kept_labels_at(&d->kept, at);
    if (keep_labels(d, kept, out_id))
        *loose_at(d, hash) = (struct loose_labels){hash, d->generation, *out_id, (uint8_t)kind};
    return NULL;
}

bool points_labels(struct points_decoder *d, enum labels_kind kind, struct str bytes, struct hash128 *out_hash,
                   uint32_t *out_id, const char **out_bad) {
    struct known_labels *e = points_labels_next(d);
    *out_bad = NULL;
    *out_id = 0;
    if (!bytes.n && kind == LABELS_ATTRIBUTES) {
        *out_hash = d->no_labels;
        return true;
    }
    if (labels_are(e, kind, bytes)) {
        points_labels_pass(d);
        *out_hash = e->hash;
    } else {
        *out_hash = hash_wide(bytes.p, bytes.n);
        e = unexpected(d, kind, bytes, *out_hash, out_id, out_bad);
        if (!e) return !d->fault.what;
    }
    if (e->generation != d->generation && !points_labels_again(d, e)) return false;
    *out_id = e->id;
    return true;
}

bool points_labels_unexpected(struct points_decoder *d, enum labels_kind kind, struct str bytes,
                              struct series_labels *out, const char **out_bad) {
    *out = (struct series_labels){.hash = hash_wide(bytes.p, bytes.n)};
    struct known_labels *e = unexpected(d, kind, bytes, out->hash, &out->id, out_bad);
    if (!e) return !d->fault.what;
    if (e->generation != d->generation && !(d->shares ? points_labels_share(d, e) : points_labels_again(d, e)))
        return false;
    if (d->shares)
        out->kept = &e->kept;
    else
        out->id = e->id;
    return true;
}

uint32_t points_text(struct points_decoder *d, struct wire text) {
    size_t n = wire_left(&text);
    if (n == 0) return 0;
    if (n > ANY_STRING_MAX) {
        points_fault(d, text.p, ERR_LIMIT, "a string over 16 MiB");
        return 0;
    }
    uint32_t hash = (uint32_t)(hash_fast(text.p, n) >> 32);
    struct known_name *entry = &d->names[hash % NAME_CACHE];
    if (entry->hash == hash && entry->id < d->b.strings.n &&
        str_equal(strings_get(&d->b.strings, entry->id), wire_str(&text)))
        return entry->id;
    if (!text_fits(d, text.p, n)) return 0;
    if (!any_utf8_is_valid(text.p, n)) d->result.invalid_utf8++;
    *entry = (struct known_name){hash, strings_append(&d->b.strings, wire_str(&text))};
    return entry->id;
}

/* ---- histograms --------------------------------------------------------------------------------------------------- */

bool points_list_fixed(struct points_decoder *d, int list, uint32_t tag, struct wire *w) {
    struct wire packed = *w;
    uint64_t v;
    if ((tag & 7) == WIRE_FIXED64) {
        if (!wire_fixed64(w, &v)) return false;
        points_list_add(&d->lists, list, v);
        return true;
    }
    if (!wire_bytes(w, &packed) || wire_left(&packed) % 8) return false;
    while (wire_fixed64(&packed, &v)) points_list_add(&d->lists, list, v);
    return true;
}

bool points_list_varint(struct points_decoder *d, int list, bool zigzag, uint32_t tag, struct wire *w) {
    struct wire packed = *w;
    uint64_t v;
    if ((tag & 7) == WIRE_VARINT) {
        if (!wire_varint(w, &v)) return false;
        points_list_add(&d->lists, list, zigzag ? (uint64_t)unzigzag(v) : v);
        return true;
    }
    if (!wire_bytes(w, &packed)) return false;
    while (packed.p < packed.end) {
        if (!wire_varint(&packed, &v)) return false;
        points_list_add(&d->lists, list, zigzag ? (uint64_t)unzigzag(v) : v);
    }
    return true;
}

bool points_add_histogram(struct points_decoder *d, const unsigned char *at, uint32_t point, enum point_kind kind,
                          struct points_histogram *h) {
    struct points_builder *b = &d->b;
    size_t n = 0;
    for (int i = 0; i < NUMBERS; i++) n += d->lists.v[i].n;
    if (n > REQUEST_NUMBERS_MAX - b->numbers.n)
        return points_fault(d, at, ERR_LIMIT, "over 2^24 buckets and bounds in one request");
    if (n > b->numbers.capacity - b->numbers.n && !points_draw(d)) return false;
    if (!points_room(d, b->histograms, at)) return false;
    points_builder_histogram(b, point, kind, h, &d->lists);
    return true;
}
