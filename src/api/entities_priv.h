/* Environments, services, changes and findings as api takes and gives them: one JSON object each, by a table of members a kind.
 *
 * Taken: all members but what the path says (id) and clew sets (first_seen, last_seen); unknown ones, wrong types, two of one name are
 * refused with the byte. Labels: at most 64 texts; evidence: at most 50 queries, as {"language", "query", "title"}; both are kept as they came.
 * Limits: catalog/entities.h; ENTITY_DEPTH levels. Errors: ERR_INVALID with the member, ERR_LIMIT. */
#pragma once

#include "api/api_priv.h"
#include "catalog/entities.h"

enum { ENTITY_DEPTH = 16, ENTITY_LABELS_MAX = 64, ENTITY_LABEL_BYTES = 1024, ENTITY_EVIDENCE_MAX = 50 };

/* Texts are the arena's or the body's. now_ns: what `now-15m` means, and the start where none is given. `key` stays as it is. */
err entity_read(enum entity_kind kind, struct str body, int64_t now_ns, struct arena *a, struct entity *out);
void entity_write(struct json_writer *w, enum entity_kind kind, const struct entity *e);
