/* What selects series: conditions on label values, as Prometheus means them.
 *
 * A matcher asks the value of one label; a label that a series does not have has the empty value. Regular expressions (RE2's syntax,
 * store/match/regex.h) must match the whole value. All matchers must hold.
 * Expressions that are texts, texts joined by |, or a text followed by .* or .+ are not compiled: they become a list or a prefix; of
 * others a text that every match begins with narrows what is tried.
 * Limits: pattern 4 KiB, MATCHERS_MAX. Owner: the arena; end with matcher_done. Threads: one at a time (a compiled expression carries
 * its match data). Source: Prometheus 3.5, model/labels (Matcher, FastRegexMatcher).
 */
#pragma once

#include "store/series/labels_priv.h"

enum { MATCHERS_MAX = 64, MATCHER_LITERALS_MAX = 1024 };

enum matcher_op { MATCHER_EQUAL, MATCHER_NOT_EQUAL, MATCHER_REGEX, MATCHER_NOT_REGEX };

enum matcher_kind {
    MATCHER_LITERALS, /* value is one of the list */
    MATCHER_PREFIX,   /* value begins with prefix, and is longer if `longer` */
    MATCHER_PATTERN,  /* value begins with prefix, and the expression matches */
};

struct regex;
struct matcher {
    struct str name, text;
    enum matcher_op op;
    bool is_negative;   /* NOT_EQUAL, NOT_REGEX: kind and what follows are of the positive form */
    bool matches_empty; /* a series without the label matches */
    enum matcher_kind kind;
    bool longer;
    struct str prefix;
    const struct str *literals; /* ascending, distinct */
    uint32_t literal_count;
    struct regex *regex;
};

/* ERR_INVALID with the position in the expression. */
err matcher_make(struct arena *a, struct str name, enum matcher_op op, struct str text, struct matcher *out);
void matcher_done(struct matcher *m);
bool matcher_matches(const struct matcher *m, struct str value);          /* the operator as it is written */
bool matcher_matches_positive(const struct matcher *m, struct str value); /* = for !=, =~ for !~ */
bool matchers_match(const struct matcher *m, uint32_t n, struct labels l);
void matchers_set_deadline(struct matcher *m, uint32_t n, int64_t deadline_ns); /* monotonic; as regex_set_deadline */
/* ERR_LIMIT if an expression gave up on some value, so that the answer is not to be trusted. */
err matchers_err(const struct matcher *m, uint32_t n);
