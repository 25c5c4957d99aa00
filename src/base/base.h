/* base: the words every other module is written in: text slices, owned text, errors, small macros.
 *
 *   struct str   borrowed bytes {pointer, size}; not terminated, never freed; passed by copy
 *   struct buf   owned, growing bytes with a maximum; freed by buf_done
 *   err          an error as a value; NULL is success (base/err.h)
 *
 * Owner and threads: nothing here is shared; an object belongs to the thread that made it.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define KIB ((size_t)1024)
#define MIB ((size_t)1024 * 1024)

/* Moves a pointer out of a variable that a scope would free: `return take(&p);` for `AUTO_FREE char *p`. */
#define take(pointer)                                                                                                  \
    ({                                                                                                                 \
        __auto_type taken_ = *(pointer);                                                                               \
        *(pointer) = NULL;                                                                                             \
        taken_;                                                                                                        \
    })

/* Frees heap memory at the end of the scope: AUTO_FREE char *path = ... */
#define AUTO_FREE __attribute__((cleanup(auto_free_)))
void auto_free_(void *pointer);

/* Heap memory that this program chose the size of; aborts when there is none. Never for sizes from outside. */
void *mem_new(size_t size) __attribute__((malloc, returns_nonnull));     /* zeroed */
void *mem_grow(void *old, size_t size) __attribute__((returns_nonnull)); /* as realloc; new bytes undefined */
void mem_release(void); /* gives what was freed back to the system: after work that took much; takes milliseconds */
void mem_free(void *pointer); /* takes NULL */
#define mem_new_of(type) ((type *)mem_new(sizeof(type)))
#define mem_new_array(type, count) ((type *)mem_new(sizeof(type) * (size_t)(count)))

/* ---- str: borrowed text or bytes -------------------------------------------------------------------------------- */

struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1}) /* of a string literal */
#define STR_FMT "%.*s"                                               /* printf: STR_FMT, STR_ARG(s) */
#define STR_ARG(s) (int)(s).n, (s).p

static inline struct str str_of(const char *text) { return (struct str){text, text ? strlen(text) : 0}; }
static inline struct str str_span(const void *p, size_t n) { return (struct str){(const char *)p, n}; }
static inline bool str_is_empty(struct str s) { return s.n == 0; }
static inline bool str_equal(struct str a, struct str b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
int str_compare(struct str a, struct str b);       /* as memcmp; a prefix sorts first */
bool str_equal_nocase(struct str a, struct str b); /* ASCII letters only */
bool str_starts_with(struct str s, struct str prefix);
bool str_ends_with(struct str s, struct str suffix);
bool str_contains(struct str s, struct str part);
ptrdiff_t str_find(struct str s, char c); /* index of the first c, or -1 */
struct str str_trim(struct str s);        /* without ASCII blanks at both ends */
/* Cuts s at the first `separator`: *head gets what is before, *rest what is after; false (head = s) if there is none. */
bool str_cut(struct str s, char separator, struct str *head, struct str *rest);
/* A terminated copy on the heap. */
char *str_dup(struct str s);

/* ---- buf: owned bytes with a maximum ---------------------------------------------------------------------------- */

/* Appending over `max` sets `full` and appends nothing more; whoever builds checks `full` once at the end. p is
 * always terminated by a zero byte that n does not count, once anything was appended. */
struct buf {
    char *p;
    size_t n, capacity, max;
    bool full;
};

void buf_init(struct buf *b, size_t max_bytes);
void buf_done(struct buf *b);               /* frees; the object may be used again after buf_init */
void buf_clear(struct buf *b);              /* keeps the memory */
bool buf_grow_(struct buf *b, size_t more); /* the rare half of buf_reserve */
/* Room for `more` bytes at p + n; false: over max (sets full). */
static inline bool buf_reserve(struct buf *b, size_t more) {
    if (__builtin_expect(more < b->capacity - b->n && !b->full && more <= b->max - b->n, 1)) return true;
    return buf_grow_(b, more);
}
static inline void buf_add(struct buf *b, const void *bytes, size_t n) {
    if (!buf_reserve(b, n)) return;
    if (n) memcpy(b->p + b->n, bytes, n);
    b->n += n;
    b->p[b->n] = 0;
}
static inline void buf_add_byte(struct buf *b, char c) { buf_add(b, &c, 1); }
static inline void buf_add_str(struct buf *b, struct str s) { buf_add(b, s.p, s.n); }
void buf_add_text(struct buf *b, const char *text);
void buf_add_fmt(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline struct str buf_str(const struct buf *b) { return (struct str){b->p, b->n}; }
#define AUTO_BUF __attribute__((cleanup(buf_done)))
