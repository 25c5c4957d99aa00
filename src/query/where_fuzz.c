#include "query/query.h"

/* Any text is a condition or one error; a condition can be asked. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena a;
    struct predicate p = {0};
    if (size > 4096) return 0;
    arena_init(&a, MIB);
    err e = where_parse(&a, str_span(data, size), &p);
    if (!e) {
        assert(p.column.key.n > 0);
        if (p.op != OP_EXISTS && p.op != OP_ABSENT) (void)predicate_matches_text(&p, STR("web-1"));
        (void)predicate_matches_number(&p, 503);
    }
    err_free(e);
    predicate_done(&p);
    arena_done(&a);
    return 0;
}
