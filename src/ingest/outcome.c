#include "ingest/outcome_priv.h"

#include <stdio.h>

#include "store/series.h"

const char *const ingest_kind_names[INGEST_KINDS] = {"spans", "logs", "metrics"};

enum { ROWS = 1 << INGEST_SPANS | 1 << INGEST_LOGS, METRICS = 1 << INGEST_METRICS };

#define OTLP(name, reason, kinds)                                                                                      \
    { name, &otlp_reason_texts[reason], kinds }
#define DECODED(name, reason)                                                                                          \
    { name, &points_reason_texts[reason], METRICS }
#define STORED(name, reason)                                                                                           \
    { name, &series_refusal_texts[reason], METRICS }
#define TRANSLATED(name, reason) [REASON_TRANSLATION + (reason)] = {name, &translate_reason_texts[reason], METRICS}
const struct ingest_reason_row ingest_reasons[INGEST_REASONS] = {
    [REASON_BAD_TRACE_ID] = OTLP("bad_trace_id", OTLP_BAD_TRACE_ID, ROWS),
    [REASON_BAD_SPAN_ID] = OTLP("bad_span_id", OTLP_BAD_SPAN_ID, ROWS),
    [REASON_TOO_OLD] = OTLP("too_old", OTLP_TOO_OLD, ROWS | METRICS),
    [REASON_TOO_NEW] = OTLP("too_new", OTLP_TOO_NEW, ROWS | METRICS),
    [REASON_TOO_MANY] = OTLP("too_many_attributes", OTLP_TOO_MANY, ROWS),
    [REASON_TOO_MANY_LABELS] = DECODED("too_many_labels", POINTS_TOO_MANY),
    [REASON_BAD_LABELS] = DECODED("bad_labels", POINTS_BAD_LABELS),
    [REASON_BAD_HISTOGRAM] = DECODED("bad_histogram", POINTS_BAD_HISTOGRAM),
    [REASON_TOO_LATE] = STORED("too_late", REFUSED_TOO_LATE),
    [REASON_CONFLICT] = STORED("conflict", REFUSED_CONFLICT),
    [REASON_OVER_LIMIT] = STORED("over_limit", REFUSED_OVER_LIMIT),
    [REASON_OUT_OF_RANGE] = STORED("out_of_range", REFUSED_TIME),
    TRANSLATED("delta", TRANSLATE_DELTA),
    TRANSLATED("temporality", TRANSLATE_TEMPORALITY),
    TRANSLATED("scale", TRANSLATE_SCALE),
    TRANSLATED("no_sum", TRANSLATE_NO_SUM),
    TRANSLATED("untranslated_histogram", TRANSLATE_HISTOGRAM),
    TRANSLATED("no_value", TRANSLATE_NO_VALUE),
    TRANSLATED("no_name", TRANSLATE_NO_NAME),
    TRANSLATED("too_large", TRANSLATE_TOO_LARGE),
    TRANSLATED("bad_value", TRANSLATE_BAD_VALUE),
};

static_assert((int)REASON_BAD_TRACE_ID == OTLP_BAD_TRACE_ID && (int)REASON_TOO_MANY == OTLP_TOO_MANY,
              "reasons of rows are numbered as in otlp.h");

void outcome_of_rows(struct ingest_outcome *o, const struct otlp_result *r) {
    o->taken = r->rows;
    o->invalid_utf8 = r->invalid_utf8;
    for (size_t i = 0; i < OTLP_REASONS; i++) {
        o->rejected_by[i] = r->rejected[i];
        o->rejected += r->rejected[i];
    }
}

void outcome_of_decoding(struct ingest_outcome *o, const struct points_result *r) {
    static const enum ingest_reason reasons[POINTS_REASONS] = {[POINTS_TOO_OLD] = REASON_TOO_OLD,
                                                               [POINTS_TOO_NEW] = REASON_TOO_NEW,
                                                               [POINTS_TOO_MANY] = REASON_TOO_MANY_LABELS,
                                                               [POINTS_BAD_LABELS] = REASON_BAD_LABELS,
                                                               [POINTS_BAD_HISTOGRAM] = REASON_BAD_HISTOGRAM};
    o->invalid_utf8 = r->invalid_utf8;
    o->exemplars_rejected = r->exemplars_rejected;
    for (size_t i = 0; i < POINTS_REASONS; i++) {
        o->rejected_by[reasons[i]] += r->rejected[i];
        o->rejected += r->rejected[i];
    }
}

void outcome_of_store(struct ingest_outcome *o, const struct points_outcome *s) {
    static const enum ingest_reason reasons[REFUSED_TRANSLATION] = {
        [REFUSED_TOO_LATE] = REASON_TOO_LATE,       [REFUSED_CONFLICT] = REASON_CONFLICT,
        [REFUSED_OVER_LIMIT] = REASON_OVER_LIMIT,   [REFUSED_LABELS] = REASON_BAD_LABELS,
        [REFUSED_HISTOGRAM] = REASON_BAD_HISTOGRAM, [REFUSED_TIME] = REASON_OUT_OF_RANGE};
    o->taken = s->points - s->rejected;
    o->rejected += s->rejected;
    o->samples = s->samples;
    o->histograms = s->histograms;
    o->exemplars = s->exemplars;
    for (size_t i = 0; i < REFUSED_TRANSLATION; i++) o->rejected_by[reasons[i]] += s->rejected_by[i];
    for (size_t i = 0; i < TRANSLATE_REASONS; i++) o->rejected_by[REASON_TRANSLATION + i] += s->by_translation[i];
}

/* A part of the message, as much of it as there is room. */
static void add_part(struct buf *text, const char *part) {
    size_t separator = text->n ? 2 : 0, room = text->max - text->n, n = strlen(part);
    if (!n || room <= separator) return;
    n = MIN(n, room - separator);
    while (n && ((unsigned char)part[n] & 0xc0) == 0x80) n--; /* not within a character */
    buf_add(text, "; ", separator);
    buf_add(text, part, n);
}

void outcome_describe(struct ingest_outcome *o, const char *decoding, const char *store) {
    char part[160];
    struct buf text;
    buf_init(&text, sizeof o->message - 1);
    for (enum ingest_reason i = 0; i < INGEST_REASONS; i++) {
        if (!o->rejected_by[i]) continue;
        snprintf(part, sizeof part, "%llu: %s", (unsigned long long)o->rejected_by[i], *ingest_reasons[i].text);
        add_part(&text, part);
    }
    add_part(&text, decoding);
    add_part(&text, store);
    if (o->exemplars_rejected) {
        snprintf(part, sizeof part, "%u exemplars left out: ids or labels that are none", o->exemplars_rejected);
        add_part(&text, part);
    }
    if (o->invalid_utf8) {
        snprintf(part, sizeof part, "%u strings are not UTF-8; kept as they are", o->invalid_utf8);
        add_part(&text, part);
    }
    if (text.n) memcpy(o->message, text.p, text.n);
    o->message[text.n] = 0;
    buf_done(&text);
}
