/* Numbers, times, durations, sizes and UTF-8 as text.
 *
 * Parsers take the whole slice or fail with ERR_INVALID that quotes it; `out` is untouched on failure.
 * Times: RFC 3339 (any offset, up to 9 fraction digits), or seconds, ms, µs or ns since 1970 by their number of digits
 * (≤ 11, ≤ 14, ≤ 17, more; a fraction is allowed for seconds), or `now`, `now-15m`, `now+1h` with the caller's now.
 * A time outside of what int64 ns hold (1677-09-21 to 2262-04-11) is the nearest end.
 * Durations: `1h30m`, `250ms`, `1.5s`, `2d`, `1w`, `1y` (365 d), µs/us, ns; plain 0; never negative.
 * Source: RFC 3339; Unicode 15, chapter 3.9 (maximal subparts are replaced, as the WHATWG decoder does).
 */
#pragma once

#include "base/base.h"

err parse_u64(struct str s, uint64_t *out);
err parse_i64(struct str s, int64_t *out);
err parse_f64(struct str s, double *out);             /* decimal and exponent form; no hex, no locale, no NaN */
err parse_hex(struct str s, void *out, size_t bytes); /* exactly 2 × bytes digits, either case */
err parse_time(struct str s, int64_t now_ns, int64_t *out_ns);
err parse_duration(struct str s, int64_t *out_ns);
err parse_size(struct str s, uint64_t *out_bytes); /* 512, 64KiB, 1MB, 2G (= GiB), 1.5GiB */
err parse_bool(struct str s, bool *out);           /* true false 1 0 yes no on off */

void put_hex(struct buf *b, const void *bytes, size_t n);
void put_base64(struct buf *b, const void *bytes, size_t n);
void put_u64(struct buf *b, uint64_t v);
void put_i64(struct buf *b, int64_t v);
/* The shortest digits that read back as v, finite and over 0, of those the nearest; the value is 0.DIGITS × 10^point. How many. */
enum { F64_DIGITS_MAX = 20 };
int f64_digits(double v, char text[F64_DIGITS_MAX], int *out_point);
void put_f64(struct buf *b, double v);    /* shortest round trip; NaN, +Inf, -Inf */
void put_time(struct buf *b, int64_t ns); /* 2026-11-25T01:02:03.000000004Z; fraction in 3, 6 or 9 digits, none if 0 */
void put_duration_short(struct buf *b, int64_t ns); /* for people: 1.25ms, 830µs, 2.1s, 3m12s */
void put_duration_exact(struct buf *b, int64_t ns); /* parse_duration reads it back: 1h30m; of less than 0 not */
void put_size(struct buf *b, uint64_t bytes);       /* for people: 1.4 MiB */
void put_count(struct buf *b, uint64_t n);          /* for people: 1,234,567 */

bool utf8_is_valid(struct str s);
/* Appends s with each maximal ill-formed sequence replaced by U+FFFD. */
void put_utf8_clean(struct buf *b, struct str s);
/* Appends s for a terminal: clean UTF-8, control characters (and bidirectional overrides) as \xNN or \u{NNNN}. */
void put_terminal(struct buf *b, struct str s);
bool word_char(unsigned char c); /* [A-Za-z0-9_] or a byte ≥ 0x80: what words of text search are made of */
