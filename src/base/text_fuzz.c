/* Gives any bytes to every parser of base/text.h; what is read must be written and read back the same. */
#include <math.h>
#include <stdlib.h>

#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends e; true if it was success. */
static bool good(err e) {
    err_free(e);
    return e == NULL;
}

static void check(bool holds) {
    if (!holds) abort();
}

static void check_numbers(struct str s, struct buf *b) {
    uint64_t u, u_again = 0;
    int64_t i, i_again = 0;
    double f, f_again = 0;
    if (good(parse_u64(s, &u))) {
        put_u64(b, u);
        check(good(parse_u64(buf_str(b), &u_again)) && u == u_again);
    }
    buf_clear(b);
    if (good(parse_i64(s, &i))) {
        put_i64(b, i);
        check(good(parse_i64(buf_str(b), &i_again)) && i == i_again);
    }
    buf_clear(b);
    if (good(parse_f64(s, &f))) {
        put_f64(b, f);
        check(good(parse_f64(buf_str(b), &f_again)) && f == f_again && signbit(f) == signbit(f_again));
    }
    buf_clear(b);
}

static void check_times(struct str s, struct buf *b) {
    int64_t ns, again = 0;
    if (good(parse_time(s, 1795568523000000000, &ns))) {
        put_time(b, ns);
        check(good(parse_time(buf_str(b), 0, &again)) && ns == again);
    }
    buf_clear(b);
    if (good(parse_duration(s, &ns))) {
        put_duration_exact(b, ns);
        check(ns >= 0 && good(parse_duration(buf_str(b), &again)) && ns == again);
        put_duration_short(b, ns);
    }
    buf_clear(b);
}

static void check_utf8(struct str s, struct buf *b) {
    put_utf8_clean(b, s);
    check(utf8_is_valid(buf_str(b)) && utf8_is_valid(s) == str_equal(s, buf_str(b)));
    buf_clear(b);
    put_terminal(b, s);
    check(utf8_is_valid(buf_str(b)));
    for (size_t i = 0; i < b->n; i++) check((unsigned char)b->p[i] >= ' ');
    buf_clear(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_BUF struct buf b = {.max = 64 * MIB};
    struct str s = str_span(data, size);
    uint64_t bytes;
    bool flag;
    check_numbers(s, &b);
    check_times(s, &b);
    check_utf8(s, &b);
    (void)good(parse_size(s, &bytes));
    (void)good(parse_bool(s, &flag));
    void *out = malloc(size / 2 + 1);
    if (good(parse_hex(s, out, size / 2))) {
        put_hex(&b, out, size / 2);
        check(str_equal_nocase(buf_str(&b), s));
    }
    free(out);
    return 0;
}
