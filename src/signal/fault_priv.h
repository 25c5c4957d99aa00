/* What is wrong with a request, and where: the first fault that a decoder met. */
#pragma once

#include "base/base.h"

struct fault {
    const unsigned char *at; /* in the body; NULL: nowhere in particular */
    const char *what;        /* NULL: no fault */
    enum err_kind kind;
};

/* Keeps the first; false, so that the compiler sees what follows from it. */
static inline bool fault_set(struct fault *f, const unsigned char *at, enum err_kind kind, const char *what) {
    if (!f->what) *f = (struct fault){at, what, kind};
    return false;
}

/* The fault of a protobuf body as an error that names the byte. */
err fault_err(const struct fault *f, struct str body);
