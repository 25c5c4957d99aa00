/* Cursors as text, and which questions they belong to. */
#include "query/query_priv.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/hash.h"

static struct cursor random_cursor(uint64_t seed) {
    struct cursor c = {.question = (uint32_t)hash_u64(seed),
                       .time_min = (int64_t)hash_u64(seed + 1),
                       .time_max = (int64_t)hash_u64(seed + 2),
                       .key = (int64_t)hash_u64(seed + 3),
                       .second = (int64_t)hash_u64(seed + 4)};
    uint64_t id[2] = {hash_u64(seed + 5), hash_u64(seed + 6)};
    memcpy(c.id, id, sizeof id);
    return c;
}

static void assert_same(const struct cursor *a, const struct cursor *b) {
    assert_int_equal(a->question, b->question);
    assert_true(a->time_min == b->time_min && a->time_max == b->time_max);
    assert_true(a->key == b->key && a->second == b->second);
    assert_memory_equal(a->id, b->id, sizeof a->id);
}

static void assert_refused(struct str text, uint32_t question, const char *part) {
    struct cursor out = random_cursor(77), before = out;
    err e = cursor_read(text, question, &out);
    if (!e) fail_msg("'" STR_FMT "' was taken", STR_ARG(text));
    assert_int_equal(err_kind(e), ERR_INVALID);
    assert_non_null(strstr(err_text(e), part));
    assert_same(&out, &before); /* untouched */
    err_free(e);
}

static void what_is_written_is_read(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        char text[QUERY_CURSOR_MAX];
        struct cursor c = random_cursor(seed * 10), again;
        cursor_write(&c, text);
        assert_true(strlen(text) < QUERY_CURSOR_MAX);
        assert_null(cursor_read(str_of(text), c.question, &again));
        assert_same(&c, &again);
        for (char *p = text; *p; p++)
            if (*p >= 'a') *p = (char)(*p - 'a' + 'A'); /* a clipboard may do so */
        assert_null(cursor_read(str_of(text), c.question, &again));
        assert_same(&c, &again);
    }
}

static void every_slip_is_noticed(void **state) {
    (void)state;
    static const char digits[] = "0123456789abcdef";
    char text[QUERY_CURSOR_MAX], slipped[QUERY_CURSOR_MAX + 2];
    struct cursor c = random_cursor(5);
    cursor_write(&c, text);
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++) {
        memcpy(slipped, text, n + 1);
        for (size_t k = 0; k < 16; k++) {
            slipped[i] = digits[k];
            if (slipped[i] != text[i]) assert_refused(str_of(slipped), c.question, "not one of ours");
        }
        slipped[i] = 'g';
        assert_refused(str_of(slipped), c.question, "not one of ours");
        assert_refused((struct str){text, i}, c.question, "not one of ours");
    }
    for (size_t i = 0; i + 1 < n; i++) { /* two digits change places */
        memcpy(slipped, text, n + 1);
        slipped[i] = text[i + 1];
        slipped[i + 1] = text[i];
        if (strcmp(slipped, text) != 0) assert_refused(str_of(slipped), c.question, "not one of ours");
    }
    memcpy(slipped, text, n);
    memcpy(slipped + n, "0", 2);
    assert_refused(str_of(slipped), c.question, "not one of ours");
    assert_refused(str_of(text), c.question + 1, "another question");
}

/* ---- which question --------------------------------------------------------------------------------------------- */

static const unsigned char an_id[16] = {1, 2, 3}, another_id[16] = {1, 2, 4};

static void where(struct query_filter *f, struct arena *a, const char *text) {
    assert_null(where_parse(a, str_of(text), &f->where[f->where_count++]));
}

enum { CHANGES = 26 };

/* The n-th way to ask something else. */
static void change(size_t n, struct query_filter *f, struct arena *a) {
    switch (n) {
    case 0: f->service = STR("cart"); break;
    case 1: f->service = STR("pay"); break;
    case 2: f->service = STR(""); break; /* is not "any" */
    case 3: f->environment = STR("cart"); break;
    case 4: f->operation = STR("cart"); break;
    case 5: f->text = STR("cart"); break;
    case 6: f->status = 0; break;
    case 7: f->status = 2; break;
    case 8: f->kind = 0; break;
    case 9: f->kind = 2; break;
    case 10: f->duration_min = 0; break;
    case 11: f->duration_max = 0; break;
    case 12: f->severity_min = 9; break;
    case 13: f->trace_id = an_id; break;
    case 14: f->trace_id = another_id; break;
    case 15: f->span_id = an_id; break;
    case 16: where(f, a, "a=1"); break;
    case 17: where(f, a, "a!=1"); break;
    case 18: where(f, a, "a=2"); break;
    case 19: where(f, a, "resource.a=1"); break;
    case 20: where(f, a, "b=1"); break;
    case 21: where(f, a, "a exists"); break;
    case 22: where(f, a, "a absent"); break;
    case 23: where(f, a, "a=1"), where(f, a, "a=1"); break;
    case 24: where(f, a, "a=1"), where(f, a, "b=1"); break;
    case 25: where(f, a, "a=b"), where(f, a, "c=1"); break;
    default: break; /* none: the plain question */
    }
}

static void other_questions_have_other_numbers(void **state) {
    (void)state;
    uint32_t seen[(CHANGES + 1) * 4];
    size_t n = 0;
    struct arena a;
    arena_init(&a, MIB);
    for (size_t i = 0; i <= CHANGES; i++)
        for (enum signal signal = 0; signal < SIGNALS; signal++)
            for (enum query_order order = 0; order < 2; order++) {
                struct query_filter f;
                query_filter_init(&f);
                change(i, &f, &a);
                seen[n] = cursor_question(signal, order, &f);
                for (size_t k = 0; k < n; k++)
                    if (seen[k] == seen[n]) fail_msg("change %zu is taken for change %zu", i, k / 4);
                f.time_min = 5, f.time_max = 6; /* the range is the cursor's own */
                assert_int_equal(cursor_question(signal, order, &f), seen[n]);
                n++;
                for (size_t k = 0; k < f.where_count; k++) predicate_done(&f.where[k]);
            }
    arena_done(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(every_slip_is_noticed),
        cmocka_unit_test(other_questions_have_other_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
