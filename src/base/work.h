/* A piece of work that a module has done, told to who wants to know: what app makes a span of. Lower floors tell, and know nothing of spans.
 *
 * Owner: the teller; borrowed until tell returns. Threads: the one that did the work; tell must not block on it. */
#pragma once

#include "base/log.h"

struct work_done {
    const char *name; /* "flush" */
    int64_t took_ns;
    const char *error; /* NULL: it went well */
    const struct log_field *fields;
    size_t field_count;
};
struct work_watch {
    void (*tell)(void *context, const struct work_done *done); /* NULL: nobody wants to know */
    void *context;
};

static inline void work_tell(const struct work_watch *w, const char *name, int64_t took_ns, const char *error,
                             const struct log_field *fields, size_t n) {
    if (w->tell) w->tell(w->context, &(struct work_done){name, took_ns, error, fields, n});
}
