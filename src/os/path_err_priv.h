/* errno of a call on a path as an error: one mapping for the system and the simulation. */
#pragma once

#include <errno.h>

#include "base/base.h"

static inline err path_err(int errno_value, const char *doing, const char *path) {
    err e = err_errno(errno_value, "%s %s", doing, path);
    if (errno_value == ENOENT) return err_as(e, ERR_NOT_FOUND);
    if (errno_value == EEXIST || errno_value == EWOULDBLOCK) return err_as(e, ERR_CONFLICT);
    return e;
}
