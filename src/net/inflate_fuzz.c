/* Compressed bodies from any bytes: the first picks the encoding, the second the limit. */
#include "net/inflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct str encodings[] = {STR("gzip"), STR("deflate"), STR("identity"), STR("zstd")};
    if (size < 2) return 0;
    size_t max = (size_t)1 << (data[1] % 21);
    struct str out = {0};
    void *owned = NULL;
    err e = inflate_body(encodings[data[0] % 4], (struct str){(const char *)data + 2, size - 2}, max, &out, &owned);
    if (!e && out.n > max) __builtin_trap();
    if (e && (out.p || owned)) __builtin_trap();
    if (e && err_kind(e) != ERR_LIMIT && err_kind(e) != ERR_INVALID) __builtin_trap();
    err_free(e);
    mem_free(owned);
    return 0;
}
