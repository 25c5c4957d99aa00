/* YAML 1.1 as a tree, by libyaml: what configuration files of clew and of others are read with. And JSON as the same tree.
 *
 *   yaml_read ─▶ root ─▶ yaml_get(map, "key") ─▶ scalars, lists (items[i]), maps (keys[i]: items[i], in the order of the file)
 *
 * Anchors are followed: an alias is the tree it means, so a node may stand at several places. A map with `<<` has the members of the map, or maps, behind it
 * that it has not itself. Nothing is interpreted: a scalar is its text, and whether it stood in quotes.
 *
 * Limits: text of YAML_BYTES_MAX, YAML_NODES_MAX nodes and YAML_BYTES_MAX of scalars, each with those of aliases (a file that doubles itself is refused),
 * YAML_DEPTH_MAX deep, YAML_ANCHORS_MAX anchors. Of several documents the first is read. Directives (%YAML …) are not taken. Time: n log n of the text's bytes,
 * whatever it says; see docs/decisions/2026-11-27-yaml.md. Errors: ERR_INVALID "FILE:LINE: what". Owner: all of it is the arena's, and lives as long.
 * Threads: any, one a tree.
 */
#pragma once

#include "base/arena.h"

enum { YAML_BYTES_MAX = 16 << 20, YAML_NODES_MAX = 1 << 20, YAML_DEPTH_MAX = 64, YAML_ANCHORS_MAX = 10000 };

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml {
    enum yaml_kind kind;
    int line;         /* from 1; of a block of text its first line */
    const char *file; /* as it was given to yaml_read */
    struct str text;  /* of a scalar, terminated by a zero not counted; a list or map has none */
    bool quoted;      /* a scalar in quotes, or a block of text */
    uint32_t n;
    struct yaml **keys; /* of a map */
    struct yaml **items;
};

/* An empty text is an empty map. Reading a tree that is larger than the arena's limit is ERR_LIMIT. */
err yaml_read(struct str text, const char *file, struct arena *a, struct yaml **out);
/* JSON, strictly: one value, nothing behind it, no byte order mark; an empty text is an error. Strings count as quoted, numbers, true, false and null as not. Of a
 * key that comes twice the last counts, as in Go. */
err yaml_read_json(struct str text, const char *file, struct arena *a, struct yaml **out);

/* The value of a key; NULL: y is no map, or has no such key. */
struct yaml *yaml_get(const struct yaml *y, const char *key);
/* Whether it says nothing: NULL, or a scalar that is empty, ~ or null, without quotes. */
bool yaml_is_null(const struct yaml *y);
/* ERR_INVALID "FILE:LINE: what". */
err yaml_err(const struct yaml *at, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What a value must be; NULL or null leaves *out as it is. */
err yaml_text(const struct yaml *y, struct str *out); /* a scalar */
err yaml_bool(const struct yaml *y, bool *out);       /* true or false */
err yaml_u64(const struct yaml *y, uint64_t *out);    /* digits */
err yaml_count(const struct yaml *y, uint64_t *out); /* as Go's YAML: 10, 0x10, 017, 1_000, 1.0 (cut), without quotes */
err yaml_duration(const struct yaml *y, int64_t *out_ns); /* as parse_duration: 1h30m, 15s, 0 */
/* A map whose keys are all among `names`, which NULL ends: a key that is not is named. */
err yaml_only(const struct yaml *y, const char *const *names);
