/* Percent-decoding of any bytes, against a naive decoder. */
#include "net/request_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int digit(int c) {
    const char *digits = "0123456789abcdef", *at = c ? memchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c, 16) : NULL;
    return at ? (int)(at - digits) : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    for (int plus = 0; plus < 2; plus++) {
        AUTO_FREE char *out = mem_grow(NULL, size), *want = mem_grow(NULL, size); /* exactly, for ASan */
        size_t n, want_n = 0;
        bool clean = true, got = percent_decode((struct str){(const char *)data, size}, plus, out, &n);
        for (size_t i = 0; i < size; i++) {
            bool escape = data[i] == '%' && size - i > 2 && digit(data[i + 1]) >= 0 && digit(data[i + 2]) >= 0;
            clean &= data[i] != '%' || escape;
            want[want_n++] = escape                   ? (char)(digit(data[i + 1]) * 16 + digit(data[i + 2]))
                             : plus && data[i] == '+' ? ' '
                                                      : (char)data[i];
            if (escape) i += 2;
        }
        if (got != clean || n != want_n || memcmp(out, want, n) != 0) __builtin_trap();
    }
    return 0;
}
