/* Rollups in the simplest way there is: every call and every half as it came, then sorted, counted and paired. The oracle. */
#pragma once

#include "base/vec.h"
#include "store/rollup.h"

struct model_call {
    struct rollup_key key;
    struct rollup_call call;
};

struct rollup_model {
    struct rollup_sink sink;
    struct arena *a;
    VEC(struct rollup_key) keys;
    VEC(struct model_call) calls;
    VEC(struct rollup_half) halves; /* a parent is a plain one that calls */
};
void rollup_model_init(struct rollup_model *m, struct arena *a);
void rollup_model_done(struct rollup_model *m);
err rollup_model_answer(struct rollup_model *m, const struct rollup_request *r, struct rollup_rows *out);
