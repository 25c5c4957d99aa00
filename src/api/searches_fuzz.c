/* The document of saved searches: what is read is written and read back the same. */
#include <stdlib.h>

#include "api/searches_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_ARENA struct arena a;
    struct searches s = {.a = &a}, again = {.a = &a};
    AUTO_BUF struct buf out, twice;
    arena_init(&a, 64 * MIB);
    buf_init(&out, 8 * MIB);
    buf_init(&twice, 8 * MIB);
    AUTO_FREE char *text = mem_new(size + 1); /* of its very size, so that reading beyond it is seen */
    if (size) memcpy(text, data, size);
    err e = searches_read((struct str){text, size}, &s);
    if (!e) {
        searches_write(&s, &out);
        if (searches_read(buf_str(&out), &again)) abort();
        searches_write(&again, &twice);
        if (!str_equal(buf_str(&out), buf_str(&twice))) abort();
    }
    err_free(e);
    vec_done(&s.v);
    vec_done(&again.v);
    return 0;
}
