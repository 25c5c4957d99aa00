/* Errors as values: a pointer, NULL is success.
 *
 * An error says what we were doing, outside in: `err_wrap(e, "reading part %s", name)` puts its text before the older
 * one: "reading part 7: block 3: checksum differs". Kinds are named by what the caller does next; one table row each
 * gives the HTTP status, the gRPC code, the exit code and whether a retry helps.
 *
 * Owner: whoever receives an error returns it, or ends it with err_free (logging it once if nobody else will see it).
 * Threads: an error belongs to one thread at a time. Limits: 1,024 bytes of text; longer is cut. When there is no memory
 * for an error, a static one of kind internal stands in.
 */
#pragma once

#include <stdbool.h>

typedef struct err_s *err;

enum err_kind {
    ERR_INVALID,     /* the request or the input is wrong: mend it                  400 */
    ERR_NOT_FOUND,   /* no such thing                                               404 */
    ERR_DENIED,      /* not with this role or token                                 403 */
    ERR_CONFLICT,    /* the state forbids it: a second process, an existing file    409 */
    ERR_LIMIT,       /* too big: no retry                                           413 */
    ERR_BUSY,        /* over a budget: retry later                                  429 */
    ERR_UNAVAILABLE, /* cannot now: retry later                                     503 */
    ERR_CORRUPT,     /* bytes at rest are not what was written                      500 */
    ERR_IO,          /* the system refused: disk, network                           500 */
    ERR_CANCELLED,   /* the caller went away or the deadline passed                 499 */
    ERR_INTERNAL,    /* our mistake                                                 500 */
    ERR_KINDS
};

struct err_kind_row {
    const char *name; /* "not_found" */
    int http, grpc, exit_code;
    bool retryable;
};

extern const struct err_kind_row err_kind_rows[ERR_KINDS];

/* A new error. The maker owns it. */
err err_new(enum err_kind kind, const char *format, ...)
    __attribute__((format(printf, 2, 3), warn_unused_result, cold, returns_nonnull));
/* Puts what we were doing before the text of e; NULL stays NULL. Consumes e. */
err err_wrap(err e, const char *format, ...) __attribute__((format(printf, 2, 3), warn_unused_result, cold));
/* A new error from an errno value, "%s: <strerror>"; ENOSPC and EDQUOT give ERR_UNAVAILABLE, others ERR_IO. */
err err_errno(int errno_value, const char *format, ...)
    __attribute__((format(printf, 2, 3), warn_unused_result, cold, returns_nonnull));
/* Turns e into another kind, keeping the text. NULL stays NULL. Consumes e. */
err err_as(err e, enum err_kind kind) __attribute__((warn_unused_result, cold));

enum err_kind err_kind(err e); /* e not NULL */
const char *err_text(err e);   /* valid until e is freed; "" for NULL */
const struct err_kind_row *err_row(err e);
void err_free(err e); /* takes NULL */

/* Returns from the calling function with the error, if there is one. */
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        err try_ = (call);                                                                                             \
        if (__builtin_expect(try_ != NULL, 0)) return try_;                                                            \
    } while (0)
/* TRY with what we were doing. */
#define TRY_WRAP(call, ...)                                                                                            \
    do {                                                                                                               \
        err try_ = (call);                                                                                             \
        if (__builtin_expect(try_ != NULL, 0)) return err_wrap(try_, __VA_ARGS__);                                     \
    } while (0)
