/* What tests share that have one stage, new for each test: with what stage_fill sends, or empty. Header only. */
#pragma once

#include "api/stage_test_priv.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct stage stage;

static inline int open_empty(void **state) {
    (void)state;
    stage_later_ns = 0;
    stage_open(&stage);
    return 0;
}

static inline int open_stage(void **state) {
    open_empty(state);
    stage_fill(&stage);
    return 0;
}

static inline int close_stage(void **state) {
    (void)state;
    stage_close(&stage);
    return 0;
}

static inline void assert_has(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("'%s' is not in: %s", part, text);
}

static inline void assert_json(struct str text) {
    struct json_reader r;
    json_reader_init(&r, text, 64);
    bool whole = json_skip(&r) && json_next(&r) == JSON_END;
    json_reader_done(&r);
    if (!whole) fail_msg("not JSON: " STR_FMT, STR_ARG(text));
}

#define STAGE_TEST(name) cmocka_unit_test_setup_teardown(name, open_stage, close_stage)
#define EMPTY_TEST(name) cmocka_unit_test_setup_teardown(name, open_empty, close_stage)
