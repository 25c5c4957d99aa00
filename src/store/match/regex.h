/* Regular expressions from outside: PCRE2 held to RE2's syntax, so that no pattern can look back, look around or recurse, with
 * limits on steps, depth and memory of a match; compiled by the JIT where the system allows it.
 *
 * A match that is over a limit of backtracking (its stack first gets 16 MiB) is decided by PCRE2's other algorithm, which takes time linear in the text
 * and says no groups: so what RE2 takes gives an answer, but for groups of what backtracks without end, and for expressions of thousands of states.
 *
 * PCRE2 counts its steps anew at every byte where a match may start, so the limit shrinks as the text grows; texts over 2 KiB are
 * matched by code that calls back before each item, and stops after 2^26 calls or at the deadline. Between short texts the
 * deadline is looked at every 4 KiB, a text counting as 256 bytes more than it has.
 * Owner: regex_free. Threads: one at a time (it carries its match data). Source: pcre2 10.42; RE2 syntax page. */
#pragma once

#include "base/base.h"

struct regex;
err regex_compile(struct str pattern, struct regex **out); /* of 4 KiB at most; ERR_INVALID with the position */
/* The same for the whole of a UTF-8 text, as Prometheus compares label values: one that matches must match from its first byte to its
 * last; a dot is any character, line ends as well. Of 64 KiB at most (lists of hosts), and as PCRE2 takes it: compiled, 64 KiB as well. */
err regex_compile_whole(struct str pattern, struct regex **out);
void regex_free(struct regex *r);                   /* takes NULL */
bool regex_found(struct regex *r, struct str text); /* anywhere in text; a match over its limits is none */
enum regex_search { REGEX_NOT_FOUND, REGEX_FOUND, REGEX_GAVE_UP };
/* The first match that starts at `from` or later: what its first group took part in, else the whole match, and where it ends.
 * REGEX_GAVE_UP: over the limits or past the deadline, so nobody knows. */
enum regex_search regex_search(struct regex *r, struct str text, size_t from, struct str *out_part, size_t *out_end);
/* What the groups of the first match took part in: 0 is the whole, those that took none are empty. How many; 0: no match. */
size_t regex_groups(struct regex *r, struct str text, struct str *out, size_t max);
int regex_group_number(const struct regex *r, struct str name); /* of a named group; negative: there is none */
/* Monotonic; from then on nothing is found, and the caller is expected to look at the clock itself. 0: none. Begins anew. */
void regex_set_deadline(struct regex *r, int64_t deadline_ns);
bool regex_gave_up(const struct regex *r);      /* some match went over its limits */
bool regex_last_gave_up(const struct regex *r); /* the last one did, or was late: that it was none is not known */
