/* Lifting: reading nested values entry by entry, and giving the rows of a batch correlation ids.
 *
 *   batch + an id per row ── batch_with_ids ──▶ the same batch with the column FIELD_CORRELATION
 *
 * An id that is a text of the batch is referred to, not copied; others are added to its strings. Nothing else changes.
 * Limits: those of batch.h. Owner: the caller ends the blob with batch_unref. Threads: any.
 */
#pragma once

#include "base/map.h"
#include "signal/batch.h"

/* ids[i]: a string id of the batch, or its string_count + the id of one of `more`; 0: row i has none. Ids that the batch had are
 * replaced. NULL: it would be over 2 GiB. Memory taken: the batch's own, and the added texts. */
struct batch_blob *batch_with_ids(const struct batch *from, const uint32_t *ids, const struct strings *more);

/* The same in place of *blob: the batch itself grows where nobody else holds it, which costs no second one; views of it are void. False: it would be
 * over 2 GiB, and stays as it is. */
bool batch_put_ids(struct batch_blob **blob, const uint32_t *ids, const struct strings *more);

/* One value within another. */
struct value_part {
    enum value_type type;
    struct str text; /* VALUE_STRING and VALUE_BYTES: the content; VALUE_ANY: the AnyValue message */
    uint64_t number; /* other types, as in a slot */
};
struct value_list {
    const unsigned char *p, *end;
    bool is_map;
};
/* The entries of a value of type VALUE_ANY, which was checked when it came in; false: it is neither array nor map. */
bool value_list_open(struct str message, struct value_list *out);
/* The next one; of an array the key is empty. False at the end. */
bool value_list_next(struct value_list *list, struct str *out_key, struct value_part *out);
