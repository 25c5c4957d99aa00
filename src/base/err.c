#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ERR_TEXT_MAX = 1024 };

struct err_s {
    enum err_kind kind;
    const char *text; /* in the same piece of memory, behind the struct */
};

const struct err_kind_row err_kind_rows[ERR_KINDS] = {
    /*                   name           http grpc exit retry */
    [ERR_INVALID] = {"invalid", 400, 3, 2, false},
    [ERR_NOT_FOUND] = {"not_found", 404, 5, 3, false},
    [ERR_DENIED] = {"denied", 403, 7, 4, false},
    [ERR_CONFLICT] = {"conflict", 409, 10, 5, false},
    [ERR_LIMIT] = {"limit", 413, 8, 6, false},
    [ERR_BUSY] = {"busy", 429, 14, 7, true},
    [ERR_UNAVAILABLE] = {"unavailable", 503, 14, 8, true},
    [ERR_CORRUPT] = {"corrupt", 500, 15, 9, false},
    [ERR_IO] = {"io", 500, 13, 10, false},
    [ERR_CANCELLED] = {"cancelled", 499, 1, 11, false},
    [ERR_INTERNAL] = {"internal", 500, 13, 1, false},
};

/* Stands in when there is no memory for an error; never freed. */
static struct err_s err_no_memory = {ERR_INTERNAL, "out of memory"};

static err make(enum err_kind kind, const char *before, const char *after) {
    size_t n = strlen(before), m = after ? strlen(after) + 2 : 0;
    if (n > ERR_TEXT_MAX) n = ERR_TEXT_MAX;
    if (n + m > ERR_TEXT_MAX) m = ERR_TEXT_MAX - n;
    err e = malloc(sizeof *e + n + m + 1);
    if (!e) return &err_no_memory;
    char *text = (char *)(e + 1);
    memcpy(text, before, n);
    if (m) snprintf(text + n, m + 1, ": %s", after);
    text[n + m] = 0;
    *e = (struct err_s){kind, text};
    return e;
}

#define FORMAT(text, format)                                                                                           \
    char text[ERR_TEXT_MAX];                                                                                           \
    do {                                                                                                               \
        va_list ap_;                                                                                                   \
        va_start(ap_, format);                                                                                         \
        vsnprintf(text, sizeof text, format, ap_);                                                                     \
        va_end(ap_);                                                                                                   \
    } while (0)

err err_new(enum err_kind kind, const char *format, ...) {
    FORMAT(text, format);
    return make(kind, text, NULL);
}

err err_wrap(err e, const char *format, ...) {
    if (!e) return NULL;
    FORMAT(text, format);
    err wrapped = make(e->kind, text, e->text);
    err_free(e);
    return wrapped;
}

err err_errno(int errno_value, const char *format, ...) {
    FORMAT(text, format);
    bool full = errno_value == ENOSPC || errno_value == EDQUOT;
    char why[128];
    return make(full ? ERR_UNAVAILABLE : ERR_IO, text, strerror_r(errno_value, why, sizeof why));
}

err err_as(err e, enum err_kind kind) {
    if (e && e != &err_no_memory) e->kind = kind;
    return e;
}

enum err_kind err_kind(err e) { return e->kind; }
const char *err_text(err e) { return e ? e->text : ""; }
const struct err_kind_row *err_row(err e) { return &err_kind_rows[e->kind]; }

void err_free(err e) {
    if (e && e != &err_no_memory) free(e);
}
