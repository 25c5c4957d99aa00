/* Whatever points_open accepts can be walked, written out and opened again; with numbers in the place of labels, too. */
#include <stddef.h>
#include <stdint.h>

#include "signal/metrics/points_brief.h"
#include "signal/metrics/points_testing_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool find(void *context, uint32_t number, struct str *out) {
    const struct points *p = context;
    return points_brief_labels(p, number % 16, out);
}

static void open_brief(const uint8_t *data, size_t size) {
    AUTO_FREE uint64_t *copy = mem_new_array(uint64_t, size / 8 + 1);
    AUTO_FREE uint32_t *numbers = NULL;
    struct batch_blob *blob;
    struct points p;
    memcpy(copy, data, size);
    err e = points_brief_view(str_span(copy, size), &p);
    if (!e) e = points_open_brief(str_span(copy, size), find, &p, &blob, &numbers);
    if (!e) {
        points_view(blob, &p);
        if (p.n <= 10000) walk_points(&p);
        batch_unref(blob);
    }
    err_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct batch_blob *blob = NULL;
    struct points p;
    open_brief(data, size);
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
