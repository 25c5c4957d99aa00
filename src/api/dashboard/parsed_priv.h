/* JSON as a tree with the place of every value, for documents that are looked at in any order.
 *
 * Limits: PARSED_DEPTH levels; memory is the arena's, about 64 bytes a value. Errors: ERR_INVALID with the byte, ERR_LIMIT of the arena.
 */
#pragma once

#include "base/arena.h"
#include "base/json.h"

enum { PARSED_DEPTH = 64 };

struct parsed {
    enum json_token type;              /* OBJECT, ARRAY, STRING, NUMBER, TRUE, FALSE, NULL */
    uint32_t at;                       /* byte where it begins */
    struct str key;                    /* within an object */
    struct str text;                   /* of STRING (unescaped) and NUMBER (as written) */
    const struct parsed *first, *next; /* children; the next sibling */
};

/* The text may be freed afterwards, but not changed in between; at most 4 GiB. */
err parsed_read(struct arena *a, struct str text, const struct parsed **out);

/* What is not there is an empty value of type NULL, so that reading goes on. */
const struct parsed *parsed_get(const struct parsed *object, const char *key);
bool parsed_has(const struct parsed *object, const char *key);        /* and is not null */
struct str parsed_text(const struct parsed *object, const char *key); /* "" if it is no text */
bool parsed_true(const struct parsed *object, const char *key);
bool parsed_number(const struct parsed *value, double *out); /* a number, or a text that is one; finite */
size_t parsed_count(const struct parsed *list);              /* of its children */
