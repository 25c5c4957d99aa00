/* A growing array of any type: `VEC(struct span) spans = {0}; *vec_push(&spans) = span; vec_done(&spans);`
 *
 * Members: .v elements, .n count, .capacity. Grows by half again; memory is the heap's and growth aborts when there is
 * none, so whoever appends what the outside chooses bounds n first.
 */
#pragma once

#include "base/base.h"

#define VEC(type)                                                                                                      \
    struct {                                                                                                           \
        type *v;                                                                                                       \
        size_t n, capacity;                                                                                            \
    }

void *vec_grow_(void *v, size_t *capacity, size_t need, size_t element_size);

/* Room for `more` further elements. */
#define vec_reserve(vec, more)                                                                                         \
    do {                                                                                                               \
        if (__builtin_expect((vec)->n + (size_t)(more) > (vec)->capacity, 0))                                          \
            (vec)->v = (__typeof__((vec)->v))vec_grow_((vec)->v, &(vec)->capacity, (vec)->n + (size_t)(more),          \
                                                       sizeof *(vec)->v);                                              \
    } while (0)
/* A pointer to one new, undefined element at the end. */
#define vec_push(vec)                                                                                                  \
    ({                                                                                                                 \
        vec_reserve(vec, 1);                                                                                           \
        &(vec)->v[(vec)->n++];                                                                                         \
    })
#define vec_clear(vec) ((void)((vec)->n = 0))
#define vec_done(vec)                                                                                                  \
    do {                                                                                                               \
        mem_free((vec)->v);                                                                                            \
        memset((vec), 0, sizeof *(vec));                                                                               \
    } while (0)
