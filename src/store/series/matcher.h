/* What selects series: conditions on label values, as Prometheus means them.
 *
 * A matcher asks the value of one label; a label that a series does not have has the empty value. Regular expressions (RE2's syntax,
 * store/match/regex.h) must match the whole value. All matchers must hold.
 * Expressions that are texts, texts joined by |, or a text followed by .* or .+ are not compiled: they become a list or a prefix; of
 * others a text that every match begins with narrows what is tried.
 * Limits: pattern 64 KiB (a list of texts: any length, MATCHER_LITERALS_MAX), MATCHERS_MAX. Owner: the arena; end with matcher_done. Threads: one at a time (a compiled expression carries
 * its match data). Source: Prometheus 3.5, model/labels (Matcher, FastRegexMatcher).
 */
#pragma once

#include "store/series/labels.h"

enum { MATCHERS_MAX = 64, MATCHER_LITERALS_MAX = 32768 };

enum label_matcher_op { MATCHER_EQUAL, MATCHER_NOT_EQUAL, MATCHER_REGEX, MATCHER_NOT_REGEX };

enum label_matcher_kind {
    MATCHER_LITERALS, /* value is one of the list */
    MATCHER_PREFIX,   /* value begins with prefix, and is longer if `longer` */
    MATCHER_PATTERN,  /* value begins with prefix, and the expression matches */
};

struct regex;
struct label_matcher {
    struct str name, text;
    enum label_matcher_op op;
    bool is_negative;   /* NOT_EQUAL, NOT_REGEX: kind and what follows are of the positive form */
    bool matches_empty; /* a series without the label matches */
    enum label_matcher_kind kind;
    bool longer;
    struct str prefix;
    const struct str *literals; /* ascending, distinct */
    uint32_t literal_count;
    struct regex *regex;
};

/* ERR_INVALID with the position in the expression. */
err label_matcher_make(struct arena *a, struct str name, enum label_matcher_op op, struct str text,
                       struct label_matcher *out);
void label_matcher_done(struct label_matcher *m);
bool label_matcher_matches(const struct label_matcher *m, struct str value); /* the operator as it is written */
bool label_matcher_matches_positive(const struct label_matcher *m, struct str value); /* = for !=, =~ for !~ */
bool label_matchers_match(const struct label_matcher *m, uint32_t n, struct labels l);
void label_matchers_set_deadline(struct label_matcher *m, uint32_t n,
                                 int64_t deadline_ns); /* monotonic; as regex_set_deadline */
/* ERR_LIMIT if an expression gave up on some value, so that the answer is not to be trusted. */
err label_matchers_err(const struct label_matcher *m, uint32_t n);
