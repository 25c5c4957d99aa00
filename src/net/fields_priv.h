/* What llhttp makes of a whole head. A file of its own, since llhttp.h and net.h name their methods alike.
 * Places are offsets from `base`, 16 bits wide: a head has at most 60 KiB. */
#pragma once

#include "base/base.h"

enum { FIELDS_MAX = 100 };

struct head_piece {
    uint16_t at, n;
};

struct head_fields {
    struct head_piece target;
    uint8_t count;
    bool chunked, has_length; /* as llhttp frames the body */
    uint64_t length;
    struct head_piece names[FIELDS_MAX], values[FIELDS_MAX]; /* values with blanks at their end */
};

/* Reads the head at base + at, n bytes that end in its empty line. NULL, or why llhttp refuses it. */
const char *fields_read(struct head_fields *f, const char *base, size_t at, size_t n, bool *out_method_unknown);
