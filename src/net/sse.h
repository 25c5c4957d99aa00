/* sse: reads a stream of server-sent events, in pieces cut anywhere.
 *
 *   bytes ─ sse_read ─▶ lines (LF, CR or CRLF) ─▶ fields ─ blank line ─▶ on_event
 *
 * Limits: a line, and the data of an event, `max` bytes each: ERR_LIMIT, and the reader is of no more use.
 * Owner: the caller. Threads: one at a time. Source: WHATWG HTML, 9.2.5 and 9.2.6.
 */
#pragma once

#include "base/base.h"

/* Valid until on_event returns. */
struct sse_event {
    struct str type; /* "message" unless the stream said another */
    struct str data; /* lines with LF between */
    struct str id;   /* the last one that the stream gave */
};

struct sse_reader {
    struct buf line, type, data, id;
    bool after_cr, begun, has_data;
    int64_t retry_ms; /* how long to wait before connecting again, as the stream says; -1: it does not */
    void (*on_event)(void *context, const struct sse_event *e);
    void *context;
};
void sse_init(struct sse_reader *r, size_t max, void (*on_event)(void *context, const struct sse_event *e),
              void *context);
void sse_done(struct sse_reader *r);
err sse_read(struct sse_reader *r, struct str bytes);
