/* Edits of OTLP requests as they are, without decoding them: all that is not meant stays byte for byte, unknown fields too.
 *
 * Resources: Export{Trace,Logs,Metrics}ServiceRequest number ResourceX (1), its resource (1) and the resource's attributes (1) alike, so one
 * pass serves all signals. A key that stands twice is edited at its first place, and deleted at all.
 *
 * Requests: protobuf that a decoder has taken (signal/otlp.h) is always read here; any other bytes give false, and what was written until then
 * is for the caller to drop. Memory: that of the output. Threads: any.
 * Source: opentelemetry-proto 1.11.
 */
#pragma once

#include "base/base.h"

enum otlp_edit_action { OTLP_INSERT, OTLP_UPSERT, OTLP_DELETE }; /* insert: only where the key is not */
struct otlp_edit {
    enum otlp_edit_action action;
    struct str key, value; /* value: an AnyValue message (otlp_put_any_string) */
};
/* Appends the request with the edits made on every resource, in order; one that was left out is made when an edit brings something. */
bool otlp_edit_resources(struct str request, const struct otlp_edit *edits, size_t n, struct buf *out);

/* Appends the request with an attribute `key` on every row (span or log record) that id_of gives a text for and that has none of that key, and on each
 * resource of which all rows have one and the same, unless it has one. Rows are numbered from 0 in the order of the request. */
typedef struct str otlp_row_id(void *context, uint32_t row); /* borrowed until the next call; empty: none */
bool otlp_put_ids(struct str request, bool of_spans, struct str key, otlp_row_id *id_of, void *context,
                  struct buf *out);

/* An exemplar of a metric, with its attributes and those of its resource that are text, as far as OTLP_TEXTS_MAX; all borrowed until the callback returns. */
enum { OTLP_TEXTS_MAX = 64 };
struct otlp_text {
    struct str key, text;
};
struct otlp_exemplar_bytes {
    struct str trace_id; /* 16 bytes, or of any length where it is wrong or none */
    const struct otlp_text *own, *resource;
    size_t own_count, resource_count;
};
typedef struct str
otlp_exemplar_id(void *context, const struct otlp_exemplar_bytes *e); /* borrowed until the next call; empty: none */
/* Appends a request of metrics with an attribute `key` on every exemplar that id_of gives a text for and that has none of that key. */
bool otlp_put_exemplar_ids(struct str request, struct str key, otlp_exemplar_id *id_of, void *context, struct buf *out);

/* One span, in a request where it stands; everything is borrowed
 * until fn returns. */
struct otlp_span_bytes {
    struct str resource_spans; /* the content of ResourceSpans without its scope_spans */
    struct str scope_spans;    /* the content of ScopeSpans without its spans */
    struct str span;           /* the content of Span */
    struct str service;        /* service.name of the resource; empty: none */
    struct str trace_id;       /* 16 bytes, or of any length where it is wrong */
    bool has_parent, is_error;
    uint64_t start_ns, end_ns;
};
/* Calls fn for every span in order until it returns false. */
bool otlp_spans_each(struct str request, bool (*fn)(void *context, const struct otlp_span_bytes *span), void *context);
/* Appends a whole ResourceSpans with one span to a request; requests are set together by putting one behind the other. */
void otlp_put_span(const struct otlp_span_bytes *span, struct buf *out);
