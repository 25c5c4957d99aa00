/* Any text is an expression or one error with a place. What is an expression prints to one that parses to an equal tree, and can be
 * asked over a few series, with an answer or an error. */
#include <math.h>
#include <stdlib.h>

#include "query/promql/memory_test_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct promql_syntax syntax = {true, true};

static void world(struct memory *m) {
    static const char *const names[] = {"foo", "bar", "foo_total", "x_bucket"};
    memory_init(m);
    for (int i = 0; i < 12; i++) {
        char job[2] = {(char)('a' + i % 3), 0}, le[2] = {(char)('1' + i % 3), 0};
        struct label labels[] = {{STR("__name__"), str_of(names[i % 4])},
                                        {STR("job"), str_of(job)},
                                        {STR("le"), i % 4 == 3 ? (i == 11 ? STR("+Inf") : str_of(le)) : STR("")}};
        struct memory_series *s = memory_series(m, labels, 3);
        struct native *h = arena_new(&m->a, struct native);
        h->positive = (struct native_side){
            .n = 2, .index = arena_array(&m->a, int32_t, 2), .count = arena_array(&m->a, double, 2)};
        h->positive.index[1] = 3;
        h->positive.count[0] = i;
        h->count = h->positive.count[1] = 1;
        for (int k = 0; k < 20; k++) memory_add(s, k * 15000 - 60000, k == 13 ? (double)NAN : k % 7 * i);
        if (i % 5 == 0) memory_add_histogram(s, 300000, h);
    }
    memory_seal(m);
}

static void same_again(struct arena *a, const struct promql_node *e, bool pretty) {
    AUTO_BUF struct buf b;
    const struct promql_node *again;
    buf_init(&b, 16 * MIB);
    if (pretty)
        promql_print_pretty(e, &b);
    else
        promql_print(e, &b);
    if (b.full || b.n > PROMQL_TEXT_BYTES_MAX) return;
    err failed = promql_parse(a, buf_str(&b), syntax, &again, NULL);
    if (failed || !promql_equal(e, again)) abort();
}

static void ask(struct arena *a, const struct promql_node *e, struct str text, int64_t step) {
    struct memory m;
    struct promql_answer answer;
    struct promql_options o = {.start_ms = 0, .end_ms = step ? 4 * step : 0, .step_ms = step, .samples_max = 200000};
    world(&m);
    o.delayed_name_removal = text.n % 2;
    err_free(promql_run(a, &m.source, e, text, &o, &answer));
    memory_done(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena a;
    struct str text = str_span(data, size);
    struct promql_place place;
    const struct promql_node *e;
    if (size > 4096) return 0;
    arena_init(&a, 64 * MIB);
    err failed = promql_parse(&a, text, syntax, &e, &place);
    if (failed && (place.start > size || place.line < 1)) abort();
    if (!failed) {
        same_again(&a, e, false);
        same_again(&a, e, true);
        ask(&a, e, text, 0);
        enum promql_type type = promql_type_of(e);
        if (type == PROMQL_SCALAR || type == PROMQL_VECTOR) ask(&a, e, text, 7000);
    }
    err_free(failed);
    arena_done(&a);
    return 0;
}
