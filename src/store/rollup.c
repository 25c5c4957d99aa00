/* What all that keeps or counts rollups agrees on. */
#include "store/rollup.h"

#include <math.h>

#include "store/store_priv.h"

int rollup_key_compare(const struct rollup_key *a, const struct rollup_key *b) {
    if (a->view != b->view) return a->view < b->view ? -1 : 1;
    for (int i = 0; i < ROLLUP_TEXTS; i++) {
        int order = str_compare(a->texts[i], b->texts[i]);
        if (order) return order;
    }
    if (a->kind != b->kind) return a->kind < b->kind ? -1 : 1;
    return a->status < b->status ? -1 : a->status > b->status;
}

struct rollup_key rollup_key_for(const struct rollup_request *r, const struct rollup_key *key) {
    struct rollup_key of = *key;
    if (!r->by_service || key->view != ROLLUP_SPANS) return of;
    if (!str_equal(of.texts[ROLLUP_OPERATION], STR(ROLLUP_OTHER))) of.texts[ROLLUP_OPERATION] = (struct str){0};
    of.texts[ROLLUP_UNUSED] = (struct str){0};
    of.kind = of.status = 0;
    return of;
}

/* 2^(1/8) … 2^(7/8) with 63 bits after the point: none of them is a whole number of those, so a value is never equal to one. */
static const uint64_t eighths[] = {0x8b95c1e3ea8bd6e6, 0x9837f0518db8a96f, 0xa5fed6a9b15138ea, 0xb504f333f9de6484,
                                   0xc5672a115506dadd, 0xd744fccad69d6af4, 0xeac0c6e7dd24392e};

uint32_t rollup_bucket_of(uint64_t ns) {
    if (ns == 0) return 0;
    uint32_t exponent = 63 - (uint32_t)__builtin_clzll(ns), above = 0;
    uint64_t mantissa = ns << (63 - exponent);
    for (size_t i = 0; i < LENGTH(eighths); i++) above += mantissa > eighths[i];
    return exponent * 8 + above + 1 + (mantissa != (uint64_t)1 << 63);
}

double rollup_bucket_upper_ns(uint32_t bucket) { return bucket ? exp2((bucket - 1) / 8.0) : 0; }

bool rollup_exemplar_is_slower(const struct rollup_exemplar *a, const struct rollup_exemplar *b) {
    if (a->duration_ns != b->duration_ns) return a->duration_ns > b->duration_ns;
    int order = memcmp(a->trace_id, b->trace_id, sizeof a->trace_id);
    if (order) return order < 0;
    return a->span_id != b->span_id ? a->span_id < b->span_id : a->start_ns < b->start_ns;
}

err store_rollups(struct store *s, struct str tenant, const struct rollup_request *r, struct arena *a,
                  struct rollup_rows *out, struct scan_stats *stats) {
    *out = (struct rollup_rows){0};
    if (r->step_ns < 0 || r->step_ns % rollup_minute_ns)
        return err_new(ERR_INVALID, "a step that is not of whole minutes");
    if (r->time_min > r->time_max) return NULL;
    return s->f->rollups(s, tenant, r, a, out, stats);
}
