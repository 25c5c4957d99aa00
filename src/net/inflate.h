/* Bodies with Content-Encoding: gzip, deflate and zstd (RFC 1952, RFC 1950, RFC 8878) → plain bytes, with a limit that holds after
 * decompression: a bomb is refused when it passes the limit, not after it was unpacked. Whole bodies, by libdeflate and libzstd.
 *
 * Members and frames may follow one another; zstd's skippable frames are passed over, its checksums held, windows of over 8 MiB
 * (RFC 9659) and dictionaries refused. */
#pragma once

#include "base/base.h"

/* encoding: "gzip", "x-gzip", "zstd", "deflate", "identity" or empty, any case; else ERR_INVALID naming it (415). Over max_bytes:
 * ERR_LIMIT. Identity gives the input back; else *out_owned (mem_free) is where *out points. */
err inflate_body(struct str encoding, struct str body, size_t max_bytes, struct str *out, void **out_owned);
/* What the body will take unpacked, as it says itself, and at most what its encoding can make of it or max_bytes. It may lie. */
size_t inflate_claim(struct str encoding, struct str body, size_t max_bytes);
/* gzip of a body, for the client. */
err deflate_gzip(struct str body, struct buf *out);
err deflate_gzip_at(int level, struct str body, struct buf *out); /* 1 quick to 9 small; the above is 6 */
