/* Values of a batch, looked at one by one and kept, replaced or left out: how redaction works on what was decoded.
 *
 *   batch ── scan: ask for each value ──▶ nothing to change: NULL, the batch stays as it is
 *              └── at the first change ──▶ a new blob, which holds no byte of what was replaced or left out
 *
 * Asked for are attributes of all sets, bodies and their nested values, names of spans and events, and status messages of spans.
 * Of a value that is a map, its entries are asked for under their own keys; of an array, its elements under the array's.
 * A string that was kept once under a key is not asked for again in the same batch: the answer must depend on nothing else.
 * Limits: a replacement 16 MiB; nesting as the batch's.
 * Owner: the caller ends the blob with batch_unref. Threads: a rewriter belongs to one.
 */
#pragma once

#include "signal/batch.h"

enum rewrite_place {
    PLACE_RESOURCE,
    PLACE_SCOPE,
    PLACE_SPAN,
    PLACE_EVENT,
    PLACE_LINK,
    PLACE_LOG,
    PLACE_POINT,  /* attributes of metric points and of their exemplars, Prometheus labels */
    PLACE_BODY,   /* of logs */
    PLACE_NAME,   /* of spans and events, event_name of logs */
    PLACE_STATUS, /* status message of spans */
    PLACES
};
extern const char *const rewrite_place_names[PLACES];

struct rewrite_value {
    enum rewrite_place place;
    struct str key; /* "" for a body, a name, a status message */
    enum value_type type;
    struct str text; /* VALUE_STRING and VALUE_BYTES: the content; VALUE_ANY: the AnyValue message */
    uint64_t number; /* other types, as in a slot */
    bool final;      /* the answer is carried out; else it may be asked for again */
};

enum rewrite_verdict {
    REWRITE_KEEP,
    REWRITE_TEXT, /* the value becomes the string in `out` */
    REWRITE_DROP  /* an attribute, entry or element goes; a body, name or status message becomes empty */
};

struct rewrite_memo;
struct rewriter {
    /* Whether values of that type under that key can get another answer than REWRITE_KEEP; for VALUE_ANY also: what is in them. */
    bool (*cares)(void *context, enum rewrite_place place, struct str key, enum value_type type);
    enum rewrite_verdict (*judge)(void *context, const struct rewrite_value *value, struct buf *out);
    void *context;
    struct rewrite_memo *memo;
};
void rewriter_init(struct rewriter *r); /* the functions are set by the caller */
void rewriter_done(struct rewriter *r);

/* NULL: nothing is to be changed. Of metric points: points_rewrite (signal/metrics/points_rewrite.h). */
struct batch_blob *batch_rewrite(struct rewriter *r, const struct batch *from);
/* A list of KeyValue messages under `tag`, appended to `out` as it shall be; false: it stays as it is. Each value is asked for once. */
bool rewrite_list(struct rewriter *r, enum rewrite_place place, unsigned char tag, struct str list, struct buf *out);
