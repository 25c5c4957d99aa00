/* What tests of kept records share: a stage with a data folder, new for each test, tokens of two tenants, and questions by their owners. Header only. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api/access_priv.h"
#include "api/stage_test_priv.h"
#include "os/file.h"

static struct stage stage;
static char dir[64], etag[24]; /* etag: of the last answer that had one */
enum { READS_A, OPERATES_A, OPERATES_B, INGESTS_A, CALLERS };
static char tokens[CALLERS][8 + TOKEN_TEXT_BYTES];

static inline void make_tokens(struct buf *out) {
    static const struct {
        const char *name, *tenant;
        enum api_role role;
    } of[CALLERS] = {{"reads", "a", ROLE_READ},
                     {"operates", "a", ROLE_OPERATE},
                     {"other", "b", ROLE_OPERATE},
                     {"ingests", "a", ROLE_INGEST}};
    struct tokens t = {0};
    for (int i = 0; i < CALLERS; i++) {
        memcpy(tokens[i], "Bearer ", 7);
        assert_null(
            token_new(&t, str_of(of[i].name), of[i].role, str_of(of[i].tenant), STAGE_NOW_NS, 0, tokens[i] + 7));
    }
    tokens_write(&t, out);
    tokens_done(&t);
}

static inline int open_stage(void **state) {
    (void)state;
    AUTO_BUF struct buf document;
    buf_init(&document, 64 * KIB);
    make_tokens(&document);
    snprintf(dir, sizeof dir, "/tmp/clew-records-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    stage_open_as(&stage, dir, document.p, NULL);
    return 0;
}

static inline err remove_entry(void *context, const char *name, bool is_dir) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", (const char *)context, name);
    if (!is_dir) return path_remove(path);
    TRY(path_list(path, remove_entry, path));
    return path_remove_dir(path);
}

static inline int close_stage(void **state) {
    (void)state;
    stage_close(&stage);
    err_free(path_list(dir, remove_entry, dir));
    err_free(path_remove_dir(dir));
    return 0;
}

/* Keeps the ETag of an answer that has one. */
static inline int ask(int caller, const char *request, const char *body) {
    stage.credentials.authorization = (struct str){tokens[caller], 7 + TOKEN_TEXT_BYTES};
    int status =
        stage_send(&stage, API_PORT_MAIN, request, body ? "application/json" : NULL, NULL, str_of(body ? body : ""));
    const char *field = strstr(stage.fields, "ETag: ");
    if (field) snprintf(etag, sizeof etag, "%.18s", field + strlen("ETag: "));
    return status;
}

static inline void assert_asked(int caller, const char *request, const char *body, int status, const char *part) {
    int is = ask(caller, request, body);
    if (is != status || !strstr(stage_body(&stage), part))
        fail_msg("%s: %d, wanted %d with %s: %s", request, is, status, part, stage_body(&stage));
}

#define on_stage(test) cmocka_unit_test_setup_teardown(test, open_stage, close_stage)
