/* How a tree of base/yaml.h is put together, whatever the text is written in: nodes are counted against the limits as they are made, the members of an
 * open list or map wait in `open`, and move to the arena when it ends.
 *
 * Owner: who reads; builder_done frees what is the heap's. Errors: ERR_INVALID "FILE:LINE: what", or the arena's.
 */
#pragma once

#include "base/vec.h"
#include "base/yaml.h"

struct builder {
    const char *file;
    struct arena *a;
    uint32_t nodes;          /* with those of aliases */
    size_t bytes;            /* of scalars, the same */
    VEC(struct yaml *) open; /* of lists their items, of maps key and item by turns */
};

err builder_init(struct builder *b, const char *file, struct arena *a);
void builder_done(struct builder *b);

err builder_at_line(const struct builder *b, int line, const char *what);
err builder_count(struct builder *b, int line, uint32_t nodes, size_t bytes);
/* NULL: what builder_fault says. */
struct yaml *builder_node(struct builder *b, enum yaml_kind kind, int line, int depth);
err builder_fault(const struct builder *b, int line, int depth);
err builder_scalar(struct builder *b, struct yaml *y, struct str text);

/* What is in `open` from `from` on is y's. Of members with one key that are not among the first `own` the first counts; if one of the first `own` comes twice, it
 * is refused, or (last) its last counts. */
err builder_list(struct builder *b, struct yaml *y, size_t from);
err builder_map(struct builder *b, struct yaml *y, size_t from, uint32_t own, bool last);
