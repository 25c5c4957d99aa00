/* Inside correlate: the rules, and where in a text an id may stand.
 *
 *   correlate.c   batch → batch        rules.c   the file        text.c   baggage, trace state, bodies
 */
#pragma once

#include "ingest/correlate/correlate.h"
#include "signal/lift.h"

enum {
    CORRELATE_NAMES_MAX = 16,
    CORRELATE_NAME_BYTES_MAX = 128,
    CORRELATE_ID_BYTES_MAX = 256,
    CORRELATE_LIST_BYTES_MAX = 8 << 10,  /* of baggage and trace state */
    CORRELATE_BODY_BYTES_MAX = 64 << 10, /* of JSON */
    CORRELATE_DEPTH_MAX = 8,
};

struct correlate_names {
    uint32_t n;
    struct str v[CORRELATE_NAMES_MAX]; /* owned by the rules */
};

struct correlate_rules {
    bool enabled, body_nested, numbers, derive;
    char *prefix;
    struct correlate_names attributes, baggage_keys, body_keys, headers;
};

/* What rules of redaction leave of a masked text (ingest/redact.h): all masked rows would be one. */
static inline bool correlate_is_masked(struct str text) { return str_equal(text, STR("[redacted]")); }

/* The number of a name in the list; `n` of it: it has none such. */
uint32_t correlate_find_name(const struct correlate_names *names, struct str name);
/* Whether an attribute of that name is the header: `NAME` or `http.request.header.NAME`, in any case, _ as -. */
bool correlate_is_header(struct str attribute, struct str header);

/* An id found in a text, in a buffer of the finder's; n 0: none. */
struct correlate_found {
    struct buf id, other;
    uint32_t rank;     /* number of the name that it stood under */
    uint32_t too_long; /* passed over */
};
void correlate_found_init(struct correlate_found *f);
void correlate_found_done(struct correlate_found *f);
void correlate_found_clear(struct correlate_found *f); /* rank: that of no name */
/* Takes a text that stood under the name of that number, if it is a better one than what was found so far. */
void correlate_take(struct correlate_found *f, uint32_t rank, struct str text);

/* A list of `key=value` with commas between: baggage (values end at `;` too) or trace state. */
void correlate_in_list(const struct correlate_names *keys, struct str text, bool baggage, struct correlate_found *out);
/* Whether a text begins as a JSON object. */
bool correlate_may_be_json(struct str text);
/* Members of such a text. It is no check: what is no JSON counts up to where it breaks. */
void correlate_in_json(const struct correlate_rules *rules, struct str text, struct correlate_found *out);
/* An AnyValue message that is a map. */
void correlate_in_map(const struct correlate_rules *rules, struct str message, struct correlate_found *out);
