/* Relabelling as Prometheus does it: a list of rules over a set of labels, which keep, drop, set, rename or remove.
 *
 *   labels ─▶ rule ─▶ rule ─▶ … ─▶ labels, or dropped        values of source labels joined by the separator are matched whole
 *
 * Invariants: 1. the set is sorted by name, each name once, no value empty: a label that is set to "" is gone.
 *             2. rules see what the rules before them made.
 * Limits: RELABEL_LABELS_MAX labels of a set, 64 KiB a value that a rule makes: over either the rule leaves the set as it is, and `full` says so.
 *         A pattern over the limits of a match (store/match/regex.h) is as one that does not match.
 * Owner: texts of a set are the arena's, or their giver's. Threads: rules carry their patterns' match data: one thread at a time.
 * Source: Prometheus 3.5 model/relabel; Go 1.23 regexp (Expand) for templates. */
#pragma once

#include "base/vec.h"
#include "store/series/labels.h"

struct yaml;

enum { RELABEL_LABELS_MAX = 1024, RELABEL_VALUE_BYTES_MAX = 64 << 10 };

struct relabel_set {
    VEC(struct label) list;
    struct arena *arena; /* of what rules make */
    bool full;
    bool unknown; /* a pattern went over the limits of matching: what the rules make of these labels is not known */
};
void relabel_set_init(struct relabel_set *s, struct arena *a);
void relabel_set_done(struct relabel_set *s);
struct str label_get(const struct relabel_set *s, struct str name); /* "" if it is not there */
void label_put(struct relabel_set *s, struct str name,
               struct str value); /* the texts live as long as the set; value "": removes it */
void label_remove(struct relabel_set *s, struct str name);

enum relabel_action {
    RELABEL_REPLACE,
    RELABEL_KEEP,
    RELABEL_DROP,
    RELABEL_KEEPEQUAL,
    RELABEL_DROPEQUAL,
    RELABEL_HASHMOD,
    RELABEL_LABELMAP,
    RELABEL_LABELDROP,
    RELABEL_LABELKEEP,
    RELABEL_LOWERCASE,
    RELABEL_UPPERCASE,
    RELABEL_ACTIONS
};

struct relabel_rule;
struct relabel {
    struct relabel_rule *rules; /* the first; NULL: none */
    size_t n;
};
/* A list of rules as YAML has it; an error names file and line. NULL or null: no rules. Ended by relabel_done, also after an error. Texts are the
 * tree's. */
err relabel_read(const struct yaml *list, struct relabel *out);
void relabel_done(struct relabel *r);
/* False: dropped, and the set is as the rule found it that did so. True where relabel_err says why nobody knows. */
bool relabel_apply(const struct relabel *r, struct relabel_set *s);
err relabel_err(const struct relabel_set *s); /* of what was applied so far; ERR_LIMIT */
