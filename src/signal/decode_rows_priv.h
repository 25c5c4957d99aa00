/* Rows on their way into columns, whichever encoding they come in: what the fields of a row leave to be judged when all are
 * seen, and why a row is refused. For the protobuf and the JSON decoder alone. */
#pragma once

#include "signal/decode_priv.h"

static inline void put_u32(struct otlp_decoder *d, enum set s, enum field f, uint32_t row, uint64_t value) {
    builder_put_u32(d->b, s, f, row, (uint32_t)value);
}

/* ---- ids ---------------------------------------------------------------------------------------------------------- */

enum { NO_REASON = -1 };

/* An id: all zero is absent, as is one of no bytes; false if it has another wrong length. */
static inline bool read_id8(struct wire id, uint64_t *out) {
    *out = 0;
    if (wire_left(&id) == 8) *out = load64(id.p);
    return wire_left(&id) == 8 || wire_left(&id) == 0;
}

static inline bool put_id16(struct otlp_decoder *d, enum set s, uint32_t row, struct wire id, bool *out_present) {
    *out_present = false;
    if (wire_left(&id) != 16) return wire_left(&id) == 0;
    *out_present = (load64(id.p) | load64(id.p + 8)) != 0;
    if (*out_present) memcpy((char *)builder_column(d->b, s, FIELD_TRACE_ID) + 16 * (size_t)row, id.p, 16);
    return true;
}

static inline int check_time(const struct otlp_decoder *d, uint64_t time) {
    int64_t t = time > INT64_MAX ? INT64_MAX : (int64_t)time;
    return t < d->limits->time_min ? OTLP_TOO_OLD : t > d->limits->time_max ? OTLP_TOO_NEW : NO_REASON;
}

/* Counts the row as refused and takes it back. */
static inline __attribute__((cold)) void refuse_row(struct otlp_decoder *d, struct builder_mark mark, int reason) {
    d->rejected[reason]++;
    batch_builder_rewind(d->b, mark);
}

/* A new row of a set of which a request may have 2^20. */
static inline bool add_row(struct otlp_decoder *d, enum set s, struct wire w, uint32_t *out) {
    if (__builtin_expect(d->b->sets[s].n >= REQUEST_ROWS_MAX, 0))
        return decode_fail(d, w.p, ERR_LIMIT, "over 2^20 rows, events or links in one request");
    if (__builtin_expect(d->b->sets[s].n == d->b->sets[s].capacity, 0) && !decode_draw(d)) return false;
    *out = builder_add_row(d->b, s);
    return true;
}

/* The ids of a link into their columns; the reason to refuse its span, or NO_REASON. */
static inline int finish_link(struct otlp_decoder *d, struct wire trace, struct wire span, uint32_t row) {
    uint64_t span_id;
    bool present;
    int reason = put_id16(d, SET_LINKS, row, trace, &present) ? NO_REASON : OTLP_BAD_TRACE_ID;
    if (!read_id8(span, &span_id)) reason = OTLP_BAD_SPAN_ID;
    builder_put_u64(d->b, SET_LINKS, FIELD_SPAN_ID, row, span_id);
    return reason;
}

/* What the fields of a span leave to be judged when all are seen. */
struct span_parts {
    struct wire trace, span, parent;
    uint64_t start, end;
    bool has_children;
};

struct log_parts {
    struct wire trace, span;
    uint64_t time, observed;
};

/* Ids and times into their columns; the reason to refuse the row, or NO_REASON. */
static inline int finish_span(struct otlp_decoder *d, const struct span_parts *s, uint32_t row) {
    uint64_t span, parent;
    bool traced;
    if (!put_id16(d, SET_ROWS, row, s->trace, &traced) || !traced) return OTLP_BAD_TRACE_ID;
    if (!read_id8(s->span, &span) || !span || !read_id8(s->parent, &parent)) return OTLP_BAD_SPAN_ID;
    builder_put_u64(d->b, SET_ROWS, FIELD_SPAN_ID, row, span);
    builder_put_u64(d->b, SET_ROWS, FIELD_PARENT_ID, row, parent);
    builder_put_u64(d->b, SET_ROWS, FIELD_TIME, row, s->start);
    builder_put_u64(d->b, SET_ROWS, FIELD_DURATION, row, s->end - s->start);
    return check_time(d, s->start);
}

struct group {
    uint32_t resource, scope;
};

static inline int finish_log(struct otlp_decoder *d, const struct log_parts *l, uint32_t row) {
    uint64_t span, time = l->time ? l->time : l->observed ? l->observed : (uint64_t)d->limits->now;
    bool traced;
    if (!put_id16(d, SET_ROWS, row, l->trace, &traced)) return OTLP_BAD_TRACE_ID;
    if (!read_id8(l->span, &span)) return OTLP_BAD_SPAN_ID;
    builder_put_u64(d->b, SET_ROWS, FIELD_SPAN_ID, row, span);
    builder_put_u64(d->b, SET_ROWS, FIELD_TIME, row, time);
    builder_put_u64(d->b, SET_ROWS, FIELD_OBSERVED, row, l->observed);
    put_u32(d, SET_ROWS, FIELD_TIME_ABSENT, row, l->time == 0);
    return check_time(d, time);
}

/* One request from its first byte to its blob; false: d->fault says why, and nothing of it is taken. */
bool decode_run(struct otlp_decoder *d, enum signal signal, const struct otlp_limits *limits,
                bool (*request)(struct otlp_decoder *d, struct str body), struct str body, struct otlp_result *out);
