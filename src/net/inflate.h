/* Bodies with Content-Encoding: gzip and deflate (RFC 1952, RFC 1950) → plain bytes, with a limit that holds after
 * decompression: a bomb is refused when it passes the limit, not after it was unpacked. Whole bodies by libdeflate. */
#pragma once

#include "base/base.h"

/* encoding: "gzip", "x-gzip", "deflate", "identity" or empty, any case; else ERR_INVALID naming it (415). Over max_bytes:
 * ERR_LIMIT. Identity gives the input back; else *out_owned (mem_free) is where *out points. */
err inflate_body(struct str encoding, struct str body, size_t max_bytes, struct str *out, void **out_owned);
/* gzip of a body, for the client. */
err deflate_gzip(struct str body, struct buf *out);
