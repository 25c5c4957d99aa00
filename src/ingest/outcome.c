#include "ingest/outcome_priv.h"

#include <stdio.h>

#include "store/series.h"

const char *const ingest_kind_names[INGEST_KINDS] = {"spans", "logs", "metrics"};

enum { ROWS = 1 << INGEST_SPANS | 1 << INGEST_LOGS, METRICS = 1 << INGEST_METRICS };

const struct ingest_reason_row ingest_reasons[INGEST_REASONS] = {
    [REASON_BAD_TRACE_ID] = {"bad_trace_id", ROWS},
    [REASON_BAD_SPAN_ID] = {"bad_span_id", ROWS},
    [REASON_TOO_OLD] = {"too_old", ROWS | METRICS},
    [REASON_TOO_NEW] = {"too_new", ROWS | METRICS},
    [REASON_TOO_MANY] = {"too_many_attributes", ROWS},
    [REASON_TOO_MANY_LABELS] = {"too_many_labels", METRICS},
    [REASON_BAD_LABELS] = {"bad_labels", METRICS},
    [REASON_BAD_HISTOGRAM] = {"bad_histogram", METRICS},
    [REASON_TOO_LATE] = {"too_late", METRICS},
    [REASON_CONFLICT] = {"conflict", METRICS},
    [REASON_OVER_LIMIT] = {"over_limit", METRICS},
    [REASON_OUT_OF_RANGE] = {"out_of_range", METRICS},
    [REASON_TRANSLATION + TRANSLATE_DELTA] = {"delta", METRICS},
    [REASON_TRANSLATION + TRANSLATE_TEMPORALITY] = {"temporality", METRICS},
    [REASON_TRANSLATION + TRANSLATE_SCALE] = {"scale", METRICS},
    [REASON_TRANSLATION + TRANSLATE_NO_SUM] = {"no_sum", METRICS},
    [REASON_TRANSLATION + TRANSLATE_HISTOGRAM] = {"untranslated_histogram", METRICS},
    [REASON_TRANSLATION + TRANSLATE_NO_VALUE] = {"no_value", METRICS},
    [REASON_TRANSLATION + TRANSLATE_NO_NAME] = {"no_name", METRICS},
    [REASON_TRANSLATION + TRANSLATE_TOO_LARGE] = {"too_large", METRICS},
};

static_assert((int)REASON_BAD_TRACE_ID == OTLP_BAD_TRACE_ID && (int)REASON_TOO_MANY == OTLP_TOO_MANY,
              "reasons of rows are numbered as in otlp.h");

const char *ingest_reason_text(enum ingest_reason reason) {
    static const char *const texts[REASON_TRANSLATION] = {
        [REASON_TOO_MANY_LABELS] = "too many labels",
        [REASON_BAD_LABELS] = "labels that are not allowed",
        [REASON_BAD_HISTOGRAM] = "a histogram that contradicts itself",
        [REASON_TOO_LATE] = "older than the window for late samples",
        [REASON_CONFLICT] = "another value is there at this time",
        [REASON_OVER_LIMIT] = "over a limit of series",
        [REASON_OUT_OF_RANGE] = "older than the retention, or too far in the future"};
    if (reason >= REASON_TRANSLATION) return translate_reason_texts[reason - REASON_TRANSLATION];
    return reason <= REASON_TOO_MANY ? otlp_reason_texts[reason] : texts[reason];
}

void outcome_of_rows(struct ingest_outcome *o, const struct otlp_result *r) {
    o->taken = r->rows;
    o->invalid_utf8 = r->invalid_utf8;
    for (size_t i = 0; i < OTLP_REASONS; i++) {
        o->rejected_by[i] = r->rejected[i];
        o->rejected += r->rejected[i];
    }
}

void outcome_of_decoding(struct ingest_outcome *o, const struct points_result *r) {
    static const enum ingest_reason reasons[POINTS_REFUSALS] = {[REFUSED_TOO_OLD] = REASON_TOO_OLD,
                                                                [REFUSED_TOO_NEW] = REASON_TOO_NEW,
                                                                [REFUSED_TOO_MANY] = REASON_TOO_MANY_LABELS,
                                                                [REFUSED_BAD_LABELS] = REASON_BAD_LABELS,
                                                                [REFUSED_BAD_HISTOGRAM] = REASON_BAD_HISTOGRAM};
    o->invalid_utf8 = r->invalid_utf8;
    o->exemplars_rejected = r->exemplars_rejected;
    for (size_t i = 0; i < POINTS_REFUSALS; i++) {
        o->rejected_by[reasons[i]] += r->rejected[i];
        o->rejected += r->rejected[i];
    }
}

void outcome_of_store(struct ingest_outcome *o, const struct points_outcome *s) {
    static const enum ingest_reason reasons[POINTS_NOT_TRANSLATED] = {
        [POINTS_TOO_LATE] = REASON_TOO_LATE,           [POINTS_CONFLICT] = REASON_CONFLICT,
        [POINTS_OVER_LIMIT] = REASON_OVER_LIMIT,       [POINTS_BAD_LABELS] = REASON_BAD_LABELS,
        [POINTS_BAD_HISTOGRAM] = REASON_BAD_HISTOGRAM, [POINTS_OUT_OF_RANGE] = REASON_OUT_OF_RANGE};
    o->taken = s->points - s->rejected;
    o->rejected += s->rejected;
    o->samples = s->samples;
    o->histograms = s->histograms;
    o->exemplars = s->exemplars;
    for (size_t i = 0; i < POINTS_NOT_TRANSLATED; i++) o->rejected_by[reasons[i]] += s->rejected_by[i];
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
        snprintf(part, sizeof part, "%llu: %s", (unsigned long long)o->rejected_by[i], ingest_reason_text(i));
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
