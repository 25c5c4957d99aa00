/* A JSON answer as a tree, for the views of the command line. Memory is the arena's; looking up what is not there gives
 * an empty value, so that a view reads on when a newer server leaves something out. */
#pragma once

#include "base/arena.h"
#include "base/json.h"

struct json_node {
    enum json_token type;                 /* OBJECT, ARRAY, STRING, NUMBER, TRUE, FALSE, NULL */
    struct str key;                       /* within an object */
    struct str text;                      /* of STRING (unescaped) and NUMBER */
    const struct json_node *first, *next; /* children; the next sibling */
};

err json_tree_read(struct arena *a, struct str text, const struct json_node **out);
const struct json_node *json_tree_get(const struct json_node *object, const char *key); /* never NULL */
struct str json_tree_text(const struct json_node *object, const char *key); /* "" if it is not text or a number */
int64_t json_tree_number(const struct json_node *object, const char *key);  /* 0 if it is no integer */
