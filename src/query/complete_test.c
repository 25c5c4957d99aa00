#include "query/complete.h"
#include "query/world_test_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { ROWS = 400, SEEDS = 12 };
static const int64_t start_ns = 1000000;

static void build(struct world *w, uint64_t seed) {
    world_open(w, seed);
    for (int i = 0; i < 4; i++) {
        world_fill(w, SIGNAL_SPANS, ROWS / 4, 20, start_ns, 1000);
        world_fill(w, SIGNAL_LOGS, ROWS / 8, 20, start_ns, 1000);
        world_shake(w);
    }
}

static const struct query_attribute *find(const struct query_attributes_answer *a, enum target target,
                                          const char *key) {
    for (size_t i = 0; i < a->n; i++)
        if (a->attributes[i].target == target && str_equal(a->attributes[i].key, str_of(key))) return &a->attributes[i];
    return NULL;
}

static struct query_attributes all_of(enum signal signal, const char *prefix) {
    return (struct query_attributes){
        .signal = signal, .time_min = INT64_MIN, .time_max = INT64_MAX, .prefix = str_of(prefix), .limit = 100};
}

/* ---- names ------------------------------------------------------------------------------------------------------ */

static void names_are_counted(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world w;
        struct query q;
        struct query_attributes_answer found;
        build(&w, seed);
        uint64_t with_code = 0, with_space = 0;
        for (size_t i = 0; i < w.rows.n; i++) {
            with_code += w.rows.v[i].signal == SIGNAL_SPANS && w.rows.v[i].code >= 0;
            with_space += w.rows.v[i].signal == SIGNAL_SPANS && w.rows.v[i].space;
        }
        world_query(&w, &q);
        struct query_attributes r = all_of(SIGNAL_SPANS, "");
        ASSERT_OK(query_attributes(&q, &r, &found));
        const struct query_attribute *code = find(&found, TARGET_ATTRIBUTE, "http.status_code");
        assert_non_null(code);
        assert_int_equal(code->values, with_code);
        assert_int_equal(code->types, 1 << VALUE_STRING | 1 << VALUE_INT);
        assert_non_null(find(&found, TARGET_RESOURCE, "service.name"));
        assert_true(!with_space == !find(&found, TARGET_RESOURCE, "service.namespace"));
        assert_int_equal(found.found, found.n);
        assert_false(found.cut);
        query_end(&q);
        world_close(&w);
    }
}

static void names_are_found_by_their_parts(void **state) {
    (void)state;
    static const struct {
        const char *prefix, *first;
        size_t n;
    } cases[] = {{"http", "http.status_code", 1},
                 {"HTTP.St", "http.status_code", 1},
                 {"code", "http.status_code", 1},
                 {"status", "http.status_code", 1},
                 {"ode", NULL, 0},
                 {"span.http", "http.status_code", 1},
                 {"resource.http", NULL, 0},
                 {"resource.service.name", "service.name", 2},
                 {"event.", NULL, 0},
                 {"scope.", NULL, 0},
                 {"zz", NULL, 0}};
    struct world w;
    build(&w, 3);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct query q;
        struct query_attributes_answer found;
        world_query(&w, &q);
        struct query_attributes r = all_of(SIGNAL_SPANS, cases[i].prefix);
        ASSERT_OK(query_attributes(&q, &r, &found));
        if (found.n != cases[i].n) fail_msg("%s: %zu names", cases[i].prefix, found.n);
        if (cases[i].first) assert_true(str_equal(found.attributes[0].key, str_of(cases[i].first)));
        r.limit = 1;
        ASSERT_OK(query_attributes(&q, &r, &found));
        assert_int_equal(found.n, MIN(cases[i].n, 1));
        assert_int_equal(found.found, cases[i].n);
        query_end(&q);
    }
    world_close(&w);
}

/* Also where no name fits, so that none is looked at. */
static void names_end_with_their_time(void **state) {
    (void)state;
    struct world w;
    struct query q;
    struct query_attributes_answer found;
    build(&w, 3);
    world_query(&w, &q);
    q.deadline_ns = 1;
    struct query_attributes r = all_of(SIGNAL_SPANS, "zzzz");
    err e = query_attributes(&q, &r, &found);
    assert_int_equal(err_kind(e), ERR_CANCELLED);
    err_free(e);
    query_end(&q);
    world_close(&w);
}

static size_t names_with(struct world *w, enum signal signal, const char *prefix, int64_t time_max,
                         uint64_t *out_values) {
    struct query q;
    struct query_attributes_answer found;
    struct query_attributes r = all_of(signal, prefix);
    size_t n = 0;
    r.time_max = time_max;
    world_query(w, &q);
    ASSERT_OK(query_attributes(&q, &r, &found));
    for (size_t i = 0; i < found.n; i++) {
        if (!str_equal(found.attributes[i].key, STR("correlation_id"))) continue;
        assert_int_equal(found.attributes[i].target, TARGET_FIELD);
        assert_int_equal(found.attributes[i].types, 1 << VALUE_STRING);
        *out_values = found.attributes[i].values;
        n++;
    }
    query_end(&q);
    return n;
}

/* Wherever they stood when they came: there need be no attribute of that name. */
static void ids_that_came_are_named_and_their_values_listed(void **state) {
    (void)state;
    struct world w;
    struct query q;
    struct query_values_answer found;
    struct query_values r = {.signal = SIGNAL_SPANS, .prefix = STR("order-"), .limit = 10};
    uint64_t values = 0;
    build(&w, 2);
    assert_int_equal(names_with(&w, SIGNAL_SPANS, "corr", INT64_MAX, &values), 0); /* none has one */
    for (int64_t i = 0; i < 9; i++) {
        static const char *const ids[] = {"order-1", "order-2", "other"};
        struct sample s = {.signal = SIGNAL_SPANS,
                           .span_id = (uint64_t)i + 1,
                           .time = start_ns + 10000000 + i,
                           .code = -1,
                           .name = "n",
                           .correlation = ids[i < 5   ? 0
                                              : i < 8 ? 1
                                                      : 2]};
        world_add(&w, &s, 1);
    }
    for (int round = 0; round < 2; round++) {
        assert_int_equal(names_with(&w, SIGNAL_SPANS, "corr", INT64_MAX, &values), 1);
        assert_in_range(values, 1, 9);
        assert_int_equal(names_with(&w, SIGNAL_SPANS, "", INT64_MAX, &values), 1);
        assert_int_equal(names_with(&w, SIGNAL_SPANS, "id", INT64_MAX, &values), 1);
        assert_int_equal(names_with(&w, SIGNAL_SPANS, "span.corr", INT64_MAX, &values), 0); /* of an attribute alone */
        assert_int_equal(names_with(&w, SIGNAL_SPANS, "corr", start_ns + 5000000, &values), 0); /* not in that range */
        assert_int_equal(names_with(&w, SIGNAL_LOGS, "corr", INT64_MAX, &values), 0);
        world_shake(&w);
    }
    world_query(&w, &q);
    query_filter_init(&r.filter);
    ASSERT_OK(where_parse_key(&q.arena, STR("correlation_id"), &r.column));
    ASSERT_OK(query_values(&q, &r, &found));
    assert_int_equal(found.n, 2);
    assert_true(str_equal(found.values[0].text, STR("order-1")) && found.values[0].rows == 5);
    assert_true(str_equal(found.values[1].text, STR("order-2")) && found.values[1].rows == 3);
    query_end(&q);
    world_close(&w);
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

static void code_text(const struct sample *s, char out[16]) { snprintf(out, 16, "%d", s->code); }

static void assert_values(const struct world *w, const struct world_filter *f, enum signal signal, const char *prefix,
                          const struct query_values_answer *a) {
    uint64_t rows = 0, counted = 0, expected = 0;
    for (size_t i = 0; i < w->rows.n; i++) {
        const struct sample *s = &w->rows.v[i];
        char text[16];
        if (s->signal != signal || !sample_matches(f, s)) continue;
        rows++;
        code_text(s, text);
        expected += s->code >= 0 && strncmp(text, prefix, strlen(prefix)) == 0;
    }
    assert_int_equal(a->rows, rows);
    for (size_t k = 0; k < a->n; k++) {
        uint64_t n = 0;
        counted += a->values[k].rows;
        for (size_t i = 0; i < w->rows.n; i++) {
            char text[16];
            code_text(&w->rows.v[i], text);
            n += w->rows.v[i].signal == signal && w->rows.v[i].code >= 0 && sample_matches(f, &w->rows.v[i]) &&
                 str_equal(a->values[k].text, str_of(text));
        }
        assert_int_equal(a->values[k].rows, n);
        if (k) assert_true(a->values[k - 1].rows >= a->values[k].rows);
    }
    assert_int_equal(counted, expected);
}

static void values_equal_brute_force(void **state) {
    (void)state;
    static const char *const prefixes[] = {"", "5", "50", "x"};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world w;
        build(&w, seed);
        for (int i = 0; i < 8; i++) {
            struct query q;
            struct world_filter f;
            struct query_values_answer found;
            enum signal signal = (enum signal)(i % 2);
            world_query(&w, &q);
            world_random_filter(&w, &q, signal, &f);
            struct query_values r = {
                .signal = signal,
                .filter = f.filter,
                .column = {.target = i % 3 ? TARGET_ANY : TARGET_ATTRIBUTE, .key = STR("http.status_code")},
                .prefix = str_of(prefixes[world_below(&w, LENGTH(prefixes))]),
                .limit = 100};
            ASSERT_OK(query_values(&q, &r, &found));
            assert_false(found.sampled);
            assert_false(found.cut);
            assert_values(&w, &f, signal, r.prefix.p, &found);
            query_end(&q);
        }
        world_close(&w);
    }
}

static void what_has_no_values_is_refused(void **state) {
    (void)state;
    struct world w;
    struct query q;
    struct query_values_answer found;
    static const struct column_ref refused[] = {{.target = TARGET_EVENT, .key = STR("x")},
                                                {.target = TARGET_FIELD, .field = FIELD_DURATION}};
    build(&w, 1);
    world_query(&w, &q);
    for (size_t i = 0; i < LENGTH(refused); i++) {
        struct query_values r = {.column = refused[i], .limit = 10};
        query_filter_init(&r.filter);
        err e = query_values(&q, &r, &found);
        assert_int_equal(err_kind(e), ERR_INVALID);
        err_free(e);
    }
    struct query_values names = {.column = {.target = TARGET_FIELD, .field = FIELD_NAME}, .limit = 2};
    query_filter_init(&names.filter);
    ASSERT_OK(query_values(&q, &names, &found));
    assert_int_equal(found.n, 2);
    query_end(&q);
    world_close(&w);
}

static void a_key_alone_is_read(void **state) {
    (void)state;
    static const struct {
        const char *text, *key;
        enum target target;
    } good[] = {{"a.b", "a.b", TARGET_ANY},
                {"resource.service.name", "service.name", TARGET_RESOURCE},
                {"\"resource.x\"", "resource.x", TARGET_ANY},
                {"span.\"a b\"", "a b", TARGET_ATTRIBUTE}};
    static const char *const bad[] = {"", "resource.", "a b", "a=1", "\"a", "\"a\"b"};
    AUTO_ARENA struct arena a;
    arena_init(&a, KIB * 64);
    for (size_t i = 0; i < LENGTH(good); i++) {
        struct column_ref c;
        ASSERT_OK(where_parse_key(&a, str_of(good[i].text), &c));
        assert_int_equal(c.target, good[i].target);
        assert_true(str_equal(c.key, str_of(good[i].key)));
    }
    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct column_ref c;
        err e = where_parse_key(&a, str_of(bad[i]), &c);
        if (err_kind(e) != ERR_INVALID) fail_msg("'%s' was taken", bad[i]);
        err_free(e);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_counted),         cmocka_unit_test(names_are_found_by_their_parts),
        cmocka_unit_test(names_end_with_their_time), cmocka_unit_test(ids_that_came_are_named_and_their_values_listed),
        cmocka_unit_test(values_equal_brute_force),  cmocka_unit_test(what_has_no_values_is_refused),
        cmocka_unit_test(a_key_alone_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
