#include "query/promql/source.h"

err promql_matchers_make(struct arena *a, const struct promql_matcher *matchers, size_t n, struct label_matcher **out) {
    struct label_matcher *v = arena_array(a, struct label_matcher, n + 1);
    err e = v ? NULL : arena_err(a);
    size_t made = 0;
    for (; !e && made < n; made += !e)
        e = label_matcher_make(a, matchers[made].name, matchers[made].op, matchers[made].value, &v[made]);
    if (!e) return *out = v, NULL;
    while (made) label_matcher_done(&v[--made]);
    return err_kind(e) == ERR_INVALID ? err_wrap(e, "error parsing regexp") : e;
}
