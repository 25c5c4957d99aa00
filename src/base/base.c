#include "base/base.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/vec.h"

void auto_free_(void *pointer) { mem_free(*(void **)pointer); }

static void *or_abort(void *p, size_t size) {
    if (!p) {
        fprintf(stderr, "clew: no memory for %zu bytes\n", size);
        abort();
    }
    return p;
}

void *mem_new(size_t size) { return or_abort(calloc(1, size ? size : 1), size); }
void *mem_grow(void *old, size_t size) { return or_abort(realloc(old, size ? size : 1), size); }
void mem_free(void *pointer) { free(pointer); }
void mem_release(void) { malloc_trim(0); }

void *vec_grow_(void *v, size_t *capacity, size_t need, size_t element_size) {
    size_t n = *capacity + *capacity / 2 + 8;
    if (n < need) n = need;
    if (n > SIZE_MAX / element_size) or_abort(NULL, SIZE_MAX);
    *capacity = n;
    return mem_grow(v, n * element_size);
}

/* ---- str -------------------------------------------------------------------------------------------------------- */

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c; }

int str_compare(struct str a, struct str b) {
    size_t n = MIN(a.n, b.n);
    int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

bool str_equal_nocase(struct str a, struct str b) {
    if (a.n != b.n) return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i])) return false;
    return true;
}

bool str_starts_with(struct str s, struct str prefix) {
    return s.n >= prefix.n && str_equal((struct str){s.p, prefix.n}, prefix);
}

bool str_ends_with(struct str s, struct str suffix) {
    return s.n >= suffix.n && str_equal((struct str){s.p + s.n - suffix.n, suffix.n}, suffix);
}

bool str_contains(struct str s, struct str part) {
    return part.n == 0 || (s.n && memmem(s.p, s.n, part.p, part.n) != NULL);
}

ptrdiff_t str_find(struct str s, char c) {
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? at - s.p : -1;
}

struct str str_trim(struct str s) {
    while (s.n && strchr(" \t\r\n", s.p[0]) && s.p[0]) s.p++, s.n--;
    while (s.n && strchr(" \t\r\n", s.p[s.n - 1]) && s.p[s.n - 1]) s.n--;
    return s;
}

bool str_cut(struct str s, char separator, struct str *head, struct str *rest) {
    ptrdiff_t at = str_find(s, separator);
    *head = at < 0 ? s : (struct str){s.p, (size_t)at};
    *rest = at < 0 ? (struct str){s.p + s.n, 0} : (struct str){s.p + at + 1, s.n - (size_t)at - 1};
    return at >= 0;
}

char *str_dup(struct str s) {
    char *copy = mem_new(s.n + 1);
    if (s.n) memcpy(copy, s.p, s.n);
    return copy;
}

/* ---- buf -------------------------------------------------------------------------------------------------------- */

void buf_init(struct buf *b, size_t max_bytes) { *b = (struct buf){.max = max_bytes}; }

void buf_done(struct buf *b) {
    mem_free(b->p);
    *b = (struct buf){.max = b->max};
}

void buf_clear(struct buf *b) {
    b->n = 0;
    b->full = false;
    if (b->p) b->p[0] = 0;
}

bool buf_grow_(struct buf *b, size_t more) {
    if (b->full || more > b->max || b->n > b->max - more) {
        b->full = true;
        return false;
    }
    if (b->n + more < b->capacity) return true;
    size_t capacity = MAX(b->capacity + b->capacity / 2, (size_t)64);
    capacity = MAX(capacity, b->n + more + 1);
    b->p = mem_grow(b->p, capacity);
    b->capacity = capacity;
    return true;
}

void buf_add_text(struct buf *b, const char *text) { buf_add(b, text, strlen(text)); }

void buf_add_fmt(struct buf *b, const char *format, ...) {
    va_list ap, again;
    va_start(ap, format);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    if (n >= 0 && buf_reserve(b, (size_t)n)) {
        vsnprintf(b->p + b->n, (size_t)n + 1, format, again);
        b->n += (size_t)n;
    }
    va_end(again);
}
