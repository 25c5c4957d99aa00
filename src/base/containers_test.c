/* Slices, buffers, arenas, dictionaries and budgets at their edges; the budget under threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/budget.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/vec.h"

/* ---- slices ------------------------------------------------------------------------------------------------------- */

static const struct str texts[] = {{"", 0},   {NULL, 0},   {"\0", 1}, {"a", 1},    {"A", 1},
                                   {"ab", 2}, {"a\0b", 3}, {"b", 1},  {"\xff", 1}, {"\x7f", 1}};

/* By its definition: bytes as unsigned numbers, a prefix first. */
static int plain_compare(struct str a, struct str b) {
    for (size_t i = 0; i < a.n && i < b.n; i++)
        if (a.p[i] != b.p[i]) return (unsigned char)a.p[i] < (unsigned char)b.p[i] ? -1 : 1;
    return (a.n > b.n) - (a.n < b.n);
}

static void slices_of_every_kind_compare(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(texts); i++)
        for (size_t k = 0; k < LENGTH(texts); k++) {
            struct str a = texts[i], b = texts[k];
            int want = plain_compare(a, b), got = str_compare(a, b);
            assert_int_equal((got > 0) - (got < 0), want);
            assert_int_equal(str_equal(a, b), want == 0);
            assert_int_equal(str_starts_with(a, b), a.n >= b.n && plain_compare((struct str){a.p, b.n}, b) == 0);
            assert_int_equal(str_ends_with(a, b), a.n >= b.n && (!b.n || memcmp(a.p + a.n - b.n, b.p, b.n) == 0));
        }
    assert_true(str_is_empty(str_of(NULL)));
}

static void parts_are_found_wherever_they_are(void **state) {
    (void)state;
    static const struct {
        struct str s, part;
        bool in;
    } cases[] = {
        {{"", 0}, {"", 0}, true},
        {{"a", 1}, {"", 0}, true},
        {{"", 0}, {"a", 1}, false},
        {{"aab", 3}, {"ab", 2}, true},
        {{"aaab", 4}, {"aab", 3}, true},
        {{"abab", 4}, {"baa", 3}, false},
        {{"a\0b", 3}, {"\0b", 2}, true},
        {{"a\0b", 3}, {"\0c", 2}, false},
        {{"ab", 2}, {"abc", 3}, false},
        {{"xyz", 3}, {"xyz", 3}, true},
        {{"\xc3\xa9", 2}, {"\xa9", 1}, true},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) assert_int_equal(str_contains(cases[i].s, cases[i].part), cases[i].in);
    assert_int_equal(str_find(STR("a\0b"), 'b'), 2);
    assert_int_equal(str_find(STR("a\0b"), 0), 1);
    assert_int_equal(str_find(STR(""), 'a'), -1);
    assert_int_equal(str_find((struct str){0}, 'a'), -1);
}

static void slices_are_trimmed_and_cut(void **state) {
    (void)state;
    static const struct {
        const char *text, *trimmed, *head, *rest;
        bool cut;
    } cases[] = {
        {"", "", "", "", false},     {" ", "", " ", "", false},
        {"a", "a", "a", "", false},  {" a=b ", "a=b", " a", "b ", true},
        {"=", "=", "", "", true},    {"==", "==", "", "=", true},
        {"a=", "a=", "a", "", true}, {"\t\r\n x", "x", "\t\r\n x", "", false},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct str head, rest;
        assert_int_equal(str_cut(str_of(cases[i].text), '=', &head, &rest), cases[i].cut);
        assert_true(str_equal(head, str_of(cases[i].head)) && str_equal(rest, str_of(cases[i].rest)));
        assert_true(str_equal(str_trim(str_of(cases[i].text)), str_of(cases[i].trimmed)));
    }
    AUTO_FREE char *copy = str_dup(STR("a\0b")), *empty = str_dup((struct str){0});
    assert_memory_equal(copy, "a\0b", 4);
    assert_string_equal(empty, "");
    assert_true(str_equal_nocase(STR("a-Z[`"), STR("A-z[`")) && !str_equal_nocase(STR("["), STR("{")));
    assert_false(str_equal_nocase(STR("\xc3\xa9"), STR("\xc3\x89")));
}

/* ---- buffers ------------------------------------------------------------------------------------------------------ */

/* Whatever is added in whatever pieces: never over the maximum, always terminated, and nothing after the first that did not fit. */
static void a_buffer_keeps_what_fitted(void **state) {
    (void)state;
    for (size_t max = 0; max < 40; max++)
        for (uint64_t seed = 0; seed < 20; seed++) {
            AUTO_BUF struct buf b;
            char want[64] = "";
            size_t n = 0;
            bool full = false;
            buf_init(&b, max);
            for (uint64_t i = 0; i < 8; i++) {
                static const char piece[] = "abcdefghijklmnop";
                size_t size = hash_u64(seed * 8 + i) % 12;
                if (i % 3 == 0) buf_add(&b, piece, size);
                if (i % 3 == 1) buf_add_fmt(&b, "%.*s", (int)size, piece);
                if (i % 3 == 2) buf_add_str(&b, (struct str){piece, size});
                full = full || n + size > max;
                if (!full) memcpy(want + n, piece, size), n += size;
            }
            assert_int_equal(b.full, full);
            assert_int_equal(b.n, n);
            if (n) assert_memory_equal(b.p, want, n);
            if (b.p) assert_int_equal(b.p[b.n], 0);
        }
}

static void room_is_refused_without_overflow(void **state) {
    (void)state;
    AUTO_BUF struct buf b;
    buf_init(&b, SIZE_MAX);
    buf_add_text(&b, "abc");
    assert_false(buf_reserve(&b, SIZE_MAX - 2));
    assert_true(b.full && b.n == 3);
    buf_clear(&b);
    assert_true(!b.full && b.n == 0);
    buf_add_fmt(&b, "%1000d", 7);
    assert_true(b.n == 1000 && b.p[999] == '7');
}

/* ---- arenas ------------------------------------------------------------------------------------------------------- */

static void pieces_do_not_overlap(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 12; seed++) {
        AUTO_ARENA struct arena a;
        VEC(struct str) pieces = {0};
        arena_init(&a, 4 * MIB);
        for (uint64_t i = 0; i < 400; i++) {
            size_t n = hash_u64(seed * 1000 + i) % (i % 40 ? 300 : 70000);
            char *p = i % 2 ? arena_alloc(&a, n) : arena_zero(&a, n);
            if (!p) break;
            assert_int_equal((uintptr_t)p % 16, 0);
            for (size_t k = 0; i % 2 == 0 && k < n; k++) assert_int_equal(p[k], 0);
            memset(p, (int)i, n);
            *vec_push(&pieces) = (struct str){p, n};
        }
        for (size_t i = 0; i < pieces.n; i++)
            for (size_t k = 0; k < pieces.v[i].n; k++)
                assert_int_equal((unsigned char)pieces.v[i].p[k], (unsigned char)i);
        assert_true(pieces.n > 100 && a.used_bytes <= 4 * MIB);
        vec_done(&pieces);
    }
}

static void an_arena_refuses_at_its_limit_and_says_so(void **state) {
    (void)state;
    static const size_t limits[] = {0, 1, 100, 4095, 4096, 5000, 65536, MIB};
    for (size_t i = 0; i < LENGTH(limits); i++) {
        AUTO_ARENA struct arena a;
        size_t got = 0;
        arena_init(&a, limits[i]);
        assert_null(arena_err(&a));
        while (arena_alloc(&a, 64)) got += 64;
        assert_true(got <= limits[i] && a.used_bytes <= limits[i] && a.full);
        assert_null(arena_zero(&a, SIZE_MAX));
        assert_null(arena_alloc(&a, SIZE_MAX - 15));
        assert_null(arena_copy(&a, STR("more than is left, surely: 64 bytes of it were refused just now.....")).p);
        err e = arena_err(&a);
        assert_true(e && err_kind(e) == ERR_LIMIT && strstr(err_text(e), "memory limit"));
        err_free(e);
        arena_clear(&a);
        assert_null(arena_err(&a));
        assert_true(a.used_bytes <= 4096 + 64 || limits[i] < 4096);
    }
}

/* NULL means a full arena and nothing else; no size wraps round to a small one. */
static void no_size_is_mistaken(void **state) {
    (void)state;
    AUTO_ARENA struct arena a;
    arena_init(&a, MIB);
    char *none = arena_alloc(&a, 0), *next = arena_zero(&a, 0);
    assert_true(none && next && none != next && !a.full);
    for (size_t less = 0; less < 40; less++) {
        assert_null(arena_alloc(&a, SIZE_MAX - less));
        assert_null(arena_alloc(&a, SIZE_MAX / 2 - less));
        assert_null(arena_alloc(&a, SIZE_MAX / 2 + less));
    }
    assert_true(a.full && a.used_bytes <= MIB);
}

static void copies_are_terminated(void **state) {
    (void)state;
    AUTO_ARENA struct arena a;
    arena_init(&a, MIB);
    for (size_t i = 0; i < LENGTH(texts); i++) {
        struct str copy = arena_copy(&a, texts[i]);
        assert_true(str_equal(copy, texts[i]) && copy.p && copy.p != texts[i].p);
        assert_int_equal(copy.p[copy.n], 0);
    }
}

/* ---- dictionaries ------------------------------------------------------------------------------------------------- */

static struct str text_of(uint64_t i, char room[24]) {
    size_t n = hash_u64(i) % 20;
    for (size_t k = 0; k < n; k++) room[k] = (char)(hash_u64(i * 31 + k) % 3); /* zeros too, and many equal */
    return (struct str){room, n};
}

/* Against a list that is searched from its start. */
static void ids_are_those_of_a_plain_list(void **state) {
    (void)state;
    struct strings s;
    strings_init(&s);
    for (int life = 0; life < 2; life++) {
        VEC(struct str) list = {0};
        for (uint64_t i = 0; i < 3000; i++) {
            char room[24];
            struct str t = text_of(i % 1100, room);
            uint32_t found = UINT32_MAX, id = 0;
            for (size_t k = 0; k < list.n && found == UINT32_MAX; k++)
                if (str_equal(list.v[k], t)) found = (uint32_t)k;
            assert_int_equal(strings_find(&s, t, &id), found != UINT32_MAX);
            if (found != UINT32_MAX) assert_int_equal(id, found);
            assert_int_equal(strings_intern(&s, t), found == UINT32_MAX ? list.n : found);
            if (found == UINT32_MAX) *vec_push(&list) = (struct str){str_dup(t), t.n};
        }
        assert_int_equal(s.n, list.n);
        for (size_t k = 0; k < list.n; k++) {
            assert_true(str_equal(strings_get(&s, (uint32_t)k), list.v[k]));
            mem_free((char *)(uintptr_t)list.v[k].p);
        }
        vec_done(&list);
        strings_clear(&s);
        assert_int_equal(s.n, 0);
        assert_false(strings_find(&s, STR(""), &(uint32_t){0}));
    }
    strings_done(&s);
}

static void appended_texts_do_not_hide_known_ones(void **state) {
    (void)state;
    struct strings s;
    uint32_t id;
    strings_init(&s);
    assert_int_equal(strings_intern(&s, STR("a")), 0);
    assert_int_equal(strings_append(&s, STR("a")), 1);
    assert_int_equal(strings_append(&s, STR("b")), 2);
    assert_int_equal(strings_intern(&s, STR("a")), 0);
    assert_true(str_equal(strings_get(&s, 1), STR("a")) && str_equal(strings_get(&s, 2), STR("b")));
    uint32_t b = strings_intern(&s, STR("b")); /* known by now or new, but always the same */
    assert_true(str_equal(strings_get(&s, b), STR("b")) && strings_intern(&s, STR("b")) == b);
    assert_true(strings_find(&s, STR("b"), &id) && id == b);
    strings_done(&s);
}

static void vectors_of_any_size_of_element_grow(void **state) {
    (void)state;
    struct wide {
        char bytes[37];
    };
    VEC(struct wide) v = {0};
    vec_reserve(&v, 0);
    for (size_t i = 0; i < 500; i++) memset(vec_push(&v), (int)i, sizeof(struct wide));
    for (size_t i = 0; i < 500; i++) assert_int_equal((unsigned char)v.v[i].bytes[36], (unsigned char)i);
    vec_clear(&v);
    assert_true(v.n == 0 && v.capacity >= 500);
    vec_reserve(&v, 10000);
    assert_true(v.capacity >= 10000);
    vec_done(&v);
    assert_true(!v.v && !v.capacity);
}

/* ---- budgets ------------------------------------------------------------------------------------------------------ */

enum { TAKERS = 4, ROUNDS = 20000, BUDGET = 1000 };

struct taker {
    struct budget *budget;
    uint64_t seed, took, refused;
};

static void *take_and_give(void *context) {
    struct taker *t = context;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        uint64_t n = hash_u64(t->seed + i) % 500;
        if (!budget_take(t->budget, n)) {
            t->refused++;
            continue;
        }
        t->took++;
        if (budget_used(t->budget) > BUDGET) t->took = UINT64_MAX / 2; /* seen by the assertion below */
        budget_give(t->budget, n);
    }
    return NULL;
}

static void threads_never_take_over_the_limit(void **state) {
    (void)state;
    struct budget b;
    struct taker takers[TAKERS];
    pthread_t threads[TAKERS];
    uint64_t refused = 0, took = 0;
    budget_init(&b, BUDGET);
    for (uint64_t i = 0; i < TAKERS; i++) {
        takers[i] = (struct taker){&b, i * 1000003, 0, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, &takers[i]), 0);
    }
    for (int i = 0; i < TAKERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        refused += takers[i].refused;
        took += takers[i].took;
    }
    assert_int_equal(took + refused, TAKERS * ROUNDS);
    assert_int_equal(budget_used(&b), 0);
    assert_int_equal(atomic_load(&b.refused), refused);
    assert_true(atomic_load(&b.peak_bytes) <= BUDGET && atomic_load(&b.peak_bytes) > 0);
}

static void what_must_be_had_may_pass_the_limit(void **state) {
    (void)state;
    struct budget b;
    budget_init(&b, 100);
    budget_take_always(&b, 250);
    assert_int_equal(budget_used(&b), 250);
    assert_false(budget_take(&b, 0 + 1));
    assert_false(budget_take(&b, UINT64_MAX)); /* no overflow to below the limit */
    assert_false(budget_take(&b, UINT64_MAX - 249));
    budget_give(&b, 250);
    assert_true(budget_take(&b, 100) && !budget_take(&b, 1) && budget_take(&b, 0));
    err e = budget_err(&b, "a query");
    assert_true(e && err_kind(e) == ERR_BUSY && strstr(err_text(e), "a query"));
    err_free(e);
    budget_init(&b, 0);
    assert_true(budget_take(&b, 0) && !budget_take(&b, 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_of_every_kind_compare),
        cmocka_unit_test(parts_are_found_wherever_they_are),
        cmocka_unit_test(slices_are_trimmed_and_cut),
        cmocka_unit_test(a_buffer_keeps_what_fitted),
        cmocka_unit_test(room_is_refused_without_overflow),
        cmocka_unit_test(pieces_do_not_overlap),
        cmocka_unit_test(an_arena_refuses_at_its_limit_and_says_so),
        cmocka_unit_test(no_size_is_mistaken),
        cmocka_unit_test(copies_are_terminated),
        cmocka_unit_test(ids_are_those_of_a_plain_list),
        cmocka_unit_test(appended_texts_do_not_hide_known_ones),
        cmocka_unit_test(vectors_of_any_size_of_element_grow),
        cmocka_unit_test(threads_never_take_over_the_limit),
        cmocka_unit_test(what_must_be_had_may_pass_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
