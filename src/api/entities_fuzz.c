/* Bodies of environments, services, changes and findings: what is taken is written as JSON that is taken again. */
#include <stdlib.h>

#include "api/entities_priv.h"

static void take_as(enum entity_kind kind, struct str body) {
    AUTO_ARENA struct arena a;
    AUTO_BUF struct buf out;
    struct entity e = {.key = STR("k")};
    struct json_writer w;
    struct json_reader r;
    arena_init(&a, 64 * MIB);
    buf_init(&out, 64 * MIB);
    err bad = entity_read(kind, body, 1000, &a, &e);
    if (!bad) {
        json_writer_init(&w, &out);
        entity_write(&w, kind, &e);
        json_reader_init(&r, buf_str(&out), ENTITY_DEPTH + 1);
        for (enum json_token t; (t = json_next(&r)) != JSON_END;)
            if (t == JSON_ERROR) abort();
        json_reader_done(&r);
    }
    err_free(bad);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_FREE char *text = mem_new(size + 1); /* of its very size, so that reading beyond it is seen */
    if (size) memcpy(text, data, size);
    for (enum entity_kind kind = 0; kind < ENTITY_KINDS; kind++) take_as(kind, (struct str){text, size});
    return 0;
}
