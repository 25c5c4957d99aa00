/* Rule files of Prometheus, read and checked as promtool does.
 *
 *   text ─ base/yaml.h ─▶ tree ─ rules_read ─▶ groups of rules, expressions and templates parsed; or what is wrong, a line each
 *
 * Of several documents in a file the first counts. Keys that are not known are mistakes, as is everything that Prometheus 3.5 refuses; names are those of
 * UTF-8, as there by default. (`partial_response_strategy` is of Thanos alone: refused, as by promtool.)
 *
 * Limits: RULE_FILE_BYTES_MAX, RULES_MAX rules a file, RULE_PROBLEMS_MAX problems told. Owner: all is the arena's. Threads: a read file may be shared.
 * Errors: of rules_read only those of memory; mistakes are lines "FILE:LINE: …".
 * Source: Prometheus 3.5, model/rulefmt.
 */
#pragma once

#include "alert/template.h"
#include "query/promql/promql.h"

enum { RULE_FILE_BYTES_MAX = 16 << 20, RULES_MAX = 200000, RULE_PROBLEMS_MAX = 100 };

struct rule {
    bool is_alert;
    struct str name, text; /* of the metric or alert; the expression */
    const struct promql_node *expr;
    int64_t for_ns, keep_firing_ns;
    struct labels labels, annotations;                 /* by name; the group's labels are among labels */
    struct template **label_texts, **annotation_texts; /* of alerts, as many */
    int line;
};

struct rule_group {
    struct str file, name;
    int64_t interval_ns, query_offset_ns; /* interval 0: the default; offset negative: none given */
    uint64_t limit;                       /* 0: none */
    struct rule *rules;
    size_t n;
    int line;
};

/* Also a row that is kept: then `path` names it, and its one group is known by that alone. */
struct rule_file {
    struct rule_group *groups;
    size_t n, rules;
    struct str tenant,
        problem; /* whose it is (empty: of who asks); why nothing of it shall be evaluated (empty: it shall) */
    bool is_row;
};

/* Appends a line to `problems` for each mistake; *out may be used if there is none. `path` is what lines begin with, and what groups are known by. */
err rules_read(struct str text, const char *path, struct arena *a, struct rule_file *out, struct buf *problems);

/* The text up to the second document. */
struct str rules_first_document(struct str text);

/* What promtool warns of: rules of the same name and labels more than once. Appends "name {labels}" lines; how many. */
size_t rules_duplicates(const struct rule_file *file, struct buf *out);

/* Paths that match a pattern, whose last part may have * ? and [ ]; without such, the path itself. `found` gets each, in order of names. */
err rules_glob(const char *pattern, err (*found)(void *context, const char *path), void *context);
