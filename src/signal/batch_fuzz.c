/* Whatever batch_open accepts can be walked, viewed, copied and written out. */
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "signal/otlp.h"
#include "signal/testing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy says the same as its original. */
static void copy_all(const struct batch *from) {
    struct batch_builder b;
    struct batch_copy_cache cache = {0};
    struct batch copy;
    batch_builder_init(&b, from->signal);
    for (uint32_t row = 0; row < from->rows; row++) batch_builder_copy(&b, from, row, &cache);
    struct batch_blob *blob = batch_builder_finish(&b), *opened = NULL;
    err e = batch_open(batch_bytes(blob), &opened);
    assert(!e);
    batch_view(opened, &copy);
    assert_batches_equal(from, &copy);
    batch_copy_cache_done(&cache);
    batch_unref(blob);
    batch_unref(opened);
    batch_builder_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct batch_blob *blob = NULL;
    struct batch b;
    struct json_writer w;
    err e = batch_open(str_span(data, size), &blob);
    if (e) {
        err_free(e);
        return 0;
    }
    batch_view(blob, &b);
    uint32_t rows = 0;
    for (int s = 0; s < SETS; s++) rows += b.set_rows[s];
    if (rows <= 10000) { /* equal rows take no bytes: some hundred bytes may hold millions, which would only be slow */
        AUTO_BUF struct buf out;
        buf_init(&out, 4 * MIB);
        walk_batch(&b);
        copy_all(&b);
        otlp_encode(&b, &out);
        buf_clear(&out);
        json_writer_init(&w, &out);
        otlp_write_json(&b, &w);
    }
    batch_unref(blob);
    return 0;
}
