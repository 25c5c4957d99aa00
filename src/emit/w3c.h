/* How a trace goes from one program to the next: the fields traceparent, tracestate and baggage of W3C.
 *
 *   traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
 *                ver trace id (not 0)                 span id (not 0)  flags: 1 sampled
 *   tracestate:  vendor=text,…      each key once, the newest first
 *   baggage:     key=value;property,…   values percent-encoded
 *
 * Limits: a tracestate 512 bytes and 32 members; a baggage 8,192 bytes and 64 members. What is longer is read as if it were not there; a member of
 * baggage that is none is left out, a bad member of a tracestate makes it none, as the recommendation has it.
 * Owner: what is read borrows from the text, or is the arena's. Threads: any. Source: W3C Trace Context level 2, W3C Baggage. */
#pragma once

#include "base/arena.h"

enum {
    TRACEPARENT_BYTES = 55,
    TRACESTATE_BYTES_MAX = 512,
    TRACESTATE_MAX = 32,
    BAGGAGE_BYTES_MAX = 8192,
    BAGGAGE_MAX = 64
};
enum { TRACE_SAMPLED = 1 };

struct trace_context {
    unsigned char trace_id[16], span_id[8];
    uint8_t flags;
};
/* False: it is none, and *out is as it was. A version after 00 is read as far as it is like 00. */
bool traceparent_read(struct str text, struct trace_context *out);
void traceparent_write(const struct trace_context *c, char out[TRACEPARENT_BYTES + 1]);

struct w3c_member {
    struct str key, value, properties; /* properties: of baggage, as they were sent, behind the first ';' */
};
struct tracestate {
    struct w3c_member v[TRACESTATE_MAX];
    uint32_t n;
};
bool tracestate_read(struct str text, struct tracestate *out); /* false: it is none; an empty one is one */
/* With this member in front, and no other of that key; the last ones fall off at the limits. False: key or value may not be in one, nothing is written. */
bool tracestate_write(const struct tracestate *s, struct str key, struct str value, struct buf *out);

struct baggage {
    struct w3c_member v[BAGGAGE_MAX];
    uint32_t n;
};
/* Values are decoded, and clean UTF-8. */
void baggage_read(struct str text, struct arena *a, struct baggage *out);
void baggage_write(const struct baggage *b,
                   struct buf *out); /* what is over the limits, or has no key that may stand, is left out */
