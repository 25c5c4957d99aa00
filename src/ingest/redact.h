/* Redaction: what must not be kept is dropped, masked or hashed before the log, so that no byte of it reaches the disk.
 *
 *   redact:                                    rules are carried out in order; each sees what those before it left
 *     - name: card numbers                     how reports call it; default "rule at line N"
 *       do: mask                               drop | mask | hash
 *       match: '\b(?:\d[ -]?){12,15}\d\b'      part of a text: the first group, else the whole match
 *       in: [body, span]                       resource scope span event link log point body name status; default: all
 *     - do: hash
 *       key: enduser.*                         an attribute's key or a nested map's: * any run, ? one byte, in either case
 *
 * A rule with `key` alone concerns the whole value, of any type; with `match` alone texts under every key; with both, texts under such
 * keys. `drop` takes the attribute (body, name, status message, nested entry) away. `mask` writes [redacted]. `hash` writes hash: and
 * 32 hex digits of an HMAC-SHA-256 under the data folder's own secret: equal values stay equal, and no table of guesses helps.
 * After `key` alone a value is done; what is left of it is not looked at by later rules.
 *
 * A text that takes a pattern over its limits, or comes when the body has had 2 s of them, is masked whole and counted: none gets by.
 * Limits: 64 rules; a file 1 MiB; a pattern 4 KiB, RE2's syntax, and none that matches the empty text.
 * Threads: rules are immutable and shared; a redactor belongs to one thread at a time. Errors name file and line.
 */
#pragma once

#include "signal/metrics/points.h"
#include "signal/rewrite.h"

enum { REDACT_RULES_MAX = 64, REDACT_SECRET_BYTES = 32 };

struct redact_rules;
err redact_rules_read(const char *path, struct redact_rules **out);
err redact_rules_parse(struct str text, const char *name, struct redact_rules **out); /* name: of the file, in errors */
void redact_rules_free(struct redact_rules *rules);                                   /* takes NULL */
size_t redact_rules_count(const struct redact_rules *rules);
const char *redact_rule_name(const struct redact_rules *rules, size_t i);

/* The secret of hashes: the file redact.key in the data folder, mode 0600, made if it is not there. Who deletes it makes new hashes differ
 * from old ones; backups do not hold it. */
err redact_secret_open(const char *dir, unsigned char out[REDACT_SECRET_BYTES]);

struct redact_counts {
    uint64_t changed[REDACT_RULES_MAX]; /* values that each rule changed */
    uint64_t gave_up;                   /* texts masked whole because a pattern took too long */
};

/* One value that changes. */
struct redact_change {
    uint64_t rules; /* bit per rule that had a part in it */
    enum rewrite_place place;
    struct str key, before, after;
    bool dropped, whole; /* whole: all of `before` is replaced, not a part of it */
};

struct redactor;
err redactor_new(const struct redact_rules *rules, const unsigned char secret[REDACT_SECRET_BYTES],
                 struct redactor **out);
void redactor_free(struct redactor *r); /* takes NULL */
/* Called for each change from now on; borrowed until it returns. */
void redactor_watch(struct redactor *r, void (*watch)(void *context, const struct redact_change *change),
                    void *context);
/* The batch as it may be kept (one reference, the caller's), or NULL if it may be kept as it is. Adds to *counts. */
struct batch_blob *redactor_apply(struct redactor *r, const struct batch *from, struct redact_counts *counts);
struct batch_blob *redactor_apply_points(struct redactor *r, const struct points *from, struct redact_counts *counts);
