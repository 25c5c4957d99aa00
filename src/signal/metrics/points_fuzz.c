/* Whatever points_open accepts can be walked, written out and opened again. */
#include <stddef.h>
#include <stdint.h>

#include "signal/metrics/points_testing_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct batch_blob *blob = NULL;
    struct points p;
    err e = points_open(str_span(data, size), &blob);
    if (e) {
        err_free(e);
        return 0;
    }
    points_view(blob, &p);
    if (p.n <= 10000) { /* equal points take no bytes: some hundred bytes may hold millions, which would only be slow */
        AUTO_BUF struct buf out;
        buf_init(&out, 4 * MIB);
        check_points_blob(blob);
        if (p.origin == POINTS_OTLP) points_encode_otlp(&p, &out);
    }
    batch_unref(blob);
    return 0;
}
