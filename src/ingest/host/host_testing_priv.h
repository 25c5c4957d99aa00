/* What the tests of the room share: a folder of their own, files in it, and a text checked by the decoder that reads it. Header only. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/text.h"
#include "ingest/host/tree_priv.h"
#include "os/file.h"
#include "signal/metrics/points_decode.h"

static char test_root[64];

static inline void root_make(void) {
    snprintf(test_root, sizeof test_root, "/tmp/clew-host-XXXXXX");
    assert_non_null(mkdtemp(test_root));
}

static inline err remove_one(void *context, const char *name, bool is_dir) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", (const char *)context, name);
    if (!is_dir) return path_remove(path);
    TRY(path_list(path, remove_one, path));
    return path_remove_dir(path);
}

static inline void root_remove(void) {
    assert_null(path_list(test_root, remove_one, test_root));
    assert_null(path_remove_dir(test_root));
}

/* A file below the root, with the folders above it. */
static inline void put_file(const char *path, struct str text) {
    char full[4096];
    snprintf(full, sizeof full, "%s/%s", test_root, path);
    for (char *c = full + strlen(test_root) + 1; *c; c++) {
        if (*c != '/') continue;
        *c = 0;
        mkdir(full, 0700);
        *c = '/';
    }
    FILE *f = fopen(full, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text.p, 1, text.n, f), text.n);
    fclose(f);
}
static inline void put_text(const char *path, const char *text) { put_file(path, str_of(text)); }

/* It must be a text that is taken whole; how many samples. */
static inline uint32_t check_text(struct str text) {
    const struct otlp_limits all = {INT64_MIN, INT64_MAX, 1};
    struct points_decoder *d = points_decoder_new();
    struct points_result r = {0};
    err e = points_decode_text(d, POINTS_TEXT, text, &all, &r);
    if (e) fail_msg("%s\n" STR_FMT, err_text(e), STR_ARG(text));
    for (int i = 0; i < POINTS_REASONS; i++) assert_int_equal(r.rejected[i], 0);
    batch_unref(r.blob);
    points_decoder_free(d);
    return r.points;
}

/* Whether a line stands in the text. */
static inline bool has_line(struct str text, const char *line) {
    struct str one;
    while (take_line(&text, &one))
        if (str_equal(one, str_of(line))) return true;
    return false;
}
static inline void check_line(struct str text, const char *line) {
    if (!has_line(text, line)) fail_msg("%s: not in\n" STR_FMT, line, STR_ARG(text));
}
