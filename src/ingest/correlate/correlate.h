/* Correlation ids that arrive: found where senders put them, and lifted into a column of their own (FIELD_CORRELATION).
 *
 *   correlation:                               a file of `clew serve --correlation FILE`; what it does not say stays as here
 *     enabled: true
 *     attributes: [correlation_id, correlation.id, correlationId]
 *     baggage_keys: [correlation_id]           of W3C baggage and of tracestate
 *     body_keys: [correlation_id, correlationId, request_id, requestId]
 *     body_nested: false                       true: keys of objects within the body, too
 *     headers: [x-correlation-id, x-request-id, correlation-id, request-id]
 *     numbers: false                           true: whole numbers count as ids, as their digits
 *     prefix: clew                             of ids that queries derive of a trace: PREFIX-<last 16 hex digits of its id>
 *     derive: true                             false: rows without an id of their own, or of their trace, have none
 *
 * Looked at in this order; the first text that is not empty is the row's id:
 *
 *   resource    attributes of its resource
 *   attribute   its own
 *   baggage     attributes `baggage` and `http.request.header.baggage`: the entry's value, percent-decoded, without its properties
 *   tracestate  of a span: the same
 *   body        of a log: a map, or a text that is a JSON object
 *   header      attributes `http.request.header.NAME` and `NAME`, in any case, _ as -; of an array its first text
 *
 * Within one of these, names count in the order of the list. Any bytes are an id, up to 256; a longer text is passed over and counted.
 * Attributes, baggage and bodies stay as they are. Nothing is derived here.
 *
 * Limits: 16 names a list, 128 bytes a name; of baggage and tracestate the first 8 KiB; a body of JSON 64 KiB (over it: not looked into, counted),
 * ids 8 levels deep, all 64. What is no JSON counts up to where it breaks.
 * Cost: a batch without such keys, trace state or bodies is looked at by its list of keys; a body that begins as an object by its strings.
 * Owner: rules are the caller's, immutable and shared by threads. Errors of the file name it and the line.
 */
#pragma once

#include "signal/batch.h"

struct correlate_rules;
struct correlate_rules *correlate_rules_new(void); /* the defaults */
err correlate_rules_read(const char *path, struct correlate_rules **out);
err correlate_rules_parse(struct str text, const char *name,
                          struct correlate_rules **out); /* name: of the file, in errors */
struct yaml;
err correlate_rules_of(const struct yaml *map,
                       struct correlate_rules **out);     /* the map below `correlation`, of another file */
void correlate_rules_free(struct correlate_rules *rules); /* takes NULL */
/* For queries: the prefix of derived ids, and whether there are any. */
const char *correlate_prefix(const struct correlate_rules *rules);
bool correlate_derives(const struct correlate_rules *rules);

enum correlate_source {
    CORRELATE_RESOURCE,
    CORRELATE_ATTRIBUTE,
    CORRELATE_BAGGAGE,
    CORRELATE_TRACESTATE,
    CORRELATE_BODY,
    CORRELATE_HEADER,
    CORRELATE_SOURCES
};
extern const char *const correlate_source_names[CORRELATE_SOURCES]; /* "resource" */

struct correlate_counts {
    uint64_t lifted[CORRELATE_SOURCES]; /* rows, by where their id was */
    uint64_t too_long;                  /* texts over 256 bytes that were passed over */
    uint64_t bodies_too_large;          /* of JSON, not looked into */
};

/* The id of what has attributes and a resource, but is no row: an exemplar. Looked for in the order of rows: resource, attribute, baggage, header. Texts
 * over 256 bytes are passed over. False: there is none. Adds to *counts. */
struct otlp_text;
bool correlate_texts(const struct correlate_rules *rules, const struct otlp_text *resource, size_t resource_count,
                     const struct otlp_text *own, size_t own_count, struct correlate_counts *counts, struct buf *out);

/* The batch with the ids of its rows (one reference, the caller's), or NULL: it stays as it is. Ids that it had are forgotten. Adds to
 * *counts. Takes, for as long as it runs, about the batch's size and 8 bytes a row. */
struct batch_blob *correlate_rows(const struct correlate_rules *rules, const struct batch *from,
                                  struct correlate_counts *counts);
/* The same to the batch itself, or, where others hold it, in its place: *blob is the one with the ids then. Views of it are void. Takes 8 bytes a row. */
void correlate_batch(const struct correlate_rules *rules, struct batch_blob **blob, struct correlate_counts *counts);
