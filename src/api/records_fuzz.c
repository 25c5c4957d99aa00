/* The shape of a record: what is taken is one whole JSON object, and has a name. */
#include <stdlib.h>

#include "api/records_priv.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_FREE char *text = mem_new(size + 1); /* of its very size, so that reading beyond it is seen */
    if (size) memcpy(text, data, size);
    for (enum catalog_kind kind = 0; kind < CATALOG_KINDS; kind++) {
        AUTO_ARENA struct arena a;
        struct str name = {0}, body = {text, size};
        struct json_reader r;
        enum json_token t;
        arena_init(&a, 64 * MIB);
        err e = record_check(kind, body, &a, &name);
        if (!e && !name.p) abort();
        json_reader_init(&r, body, RECORD_DEPTH);
        while (!e && (t = json_next(&r)) != JSON_END)
            if (t == JSON_ERROR) abort();
        json_reader_done(&r);
        err_free(e);
    }
    return 0;
}
