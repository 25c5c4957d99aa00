/* The loop's side of an answer in pieces (net.h).
 *
 *     any thread: http_stream_write ─▶ queue ≤ held_max ─▶ stream_take: loop's thread ─▶ a chunk, or DATA
 *
 * The request is the writer's until http_stream_end; the loop knows of that end by the delivery that is the last
 * (request.is_final), and only then may free the request.
 */
#pragma once

#include "net/net.h"

enum { STREAM_STEP = 16 * 1024 }; /* of HTTP/1.1, into one chunk */

size_t stream_take(struct http_stream *s, char *out, size_t n); /* moves at most n bytes out of the queue; how many */
void stream_gone(struct http_stream *s);                        /* the client went away */
const struct buf *stream_trailers(const struct http_stream *s, uint32_t *out_count); /* once the request is final */
void stream_free(struct http_stream *s);                                             /* takes NULL */
