/* A rule as it was read; shared by the file's reader and the redactor. */
#pragma once

#include "ingest/redact.h"

enum redact_action { REDACT_DROP, REDACT_MASK, REDACT_HASH };

struct redact_rule {
    char *name, *key, *pattern; /* key, pattern: NULL if not given */
    enum redact_action action;
    uint32_t places; /* bit per enum rewrite_place */
    int line;        /* of its first key */
};

struct redact_rules {
    struct redact_rule v[REDACT_RULES_MAX];
    size_t n;
};
