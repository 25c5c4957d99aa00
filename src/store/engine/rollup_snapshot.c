#include "store/engine/store_engine_priv.h"

err engine_rollups(struct store *s, struct str tenant, const struct rollup_request *r, struct arena *a, struct rollup_rows *out,
                   struct scan_stats *stats) {
    (void)s, (void)tenant, (void)r, (void)a, (void)out, (void)stats;
    return NULL;
}
