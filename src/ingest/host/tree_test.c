#include "ingest/host/host_testing_priv.h"

#include <math.h>
#include <unistd.h>

static void numbers_are_digits_or_none(void **state) {
    static const struct {
        const char *text;
        double want; /* NaN: none */
    } cases[] = {{"0", 0},
                 {"42", 42},
                 {"-1", -1},
                 {"0.50", .5},
                 {"96.76", 96.76},
                 {"0x1003", 4099},
                 {"9223372036854771712", 9223372036854771712.},
                 {"18446744073709551615", NAN},
                 {"", NAN},
                 {"-", NAN},
                 {"0x", NAN},
                 {"1.", NAN},
                 {"1.2.3", NAN},
                 {"1e9", NAN},
                 {"NaN", NAN},
                 {"Inf", NAN},
                 {"12a", NAN},
                 {"+1", NAN},
                 {"99999999999999999999999999999999", NAN}};
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        double got = NAN;
        if (word_number(str_of(cases[i].text), &got) == (bool)isnan(cases[i].want)) fail_msg("%s", cases[i].text);
        if (!isnan(cases[i].want) && fabs(got - cases[i].want) > 1e-9 * fabs(got))
            fail_msg("%s is %.17g", cases[i].text, got);
    }
}

static void a_field_is_found_by_its_whole_name(void **state) {
    double value = 0;
    struct str text = STR("nr_throttled_more 9\nnr_throttled 7\nlast");
    (void)state;
    assert_true(field_number(text, "nr_throttled", &value));
    assert_true(value == 7);
    assert_false(field_number(text, "last", &value));
    assert_false(field_number(text, "nr", &value));
}

static void a_file_over_the_limit_is_read_to_its_last_whole_line(void **state) {
    struct tree t;
    struct str text;
    (void)state;
    root_make();
    AUTO_BUF struct buf long_text;
    buf_init(&long_text, 4 * MIB);
    while (long_text.n < TREE_FILE_BYTES_MAX + 100) buf_add_text(&long_text, "line of text\n");
    put_file("proc/stat", buf_str(&long_text));
    put_text("proc/empty", "");
    tree_init(&t, test_root);
    assert_true(tree_read(&t, &text, "proc/stat"));
    assert_int_equal(text.n, TREE_FILE_BYTES_MAX / 13 * 13);
    char path[128];
    snprintf(path, sizeof path, "%s/proc/stat", test_root);
    assert_int_equal(truncate(path, (off_t)1 << 40), 0); /* a terabyte, of zeros */
    assert_true(tree_read(&t, &text, "proc/stat"));
    assert_true(text.n <= TREE_FILE_BYTES_MAX);
    assert_true(tree_read(&t, &text, "proc/empty"));
    assert_int_equal(text.n, 0);
    assert_false(tree_read(&t, &text, "proc/none"));
    assert_false(tree_read(&t, &text, "proc")); /* a folder */
    assert_false(tree_path(&t, "%5000s", "x"));
    tree_done(&t);
    root_remove();
}

static void any_bytes_become_a_label_that_reads_back(void **state) {
    static const char hostile[] = "quote\" back\\slash\nline \xff\xfe \x01 {a=\"b\"} 1\n# TYPE x counter";
    struct expo e;
    (void)state;
    expo_init(&e);
    expo_family(&e, "gauge", "", "bad name\n%s", "\"}");
    assert_string_equal(e.name, "bad_name___");
    expo_label(&e, "id", str_of(hostile));
    expo_label(&e, "other", STR(""));
    expo_value(&e, 1.5);
    AUTO_FREE char *huge = mem_new(1 << 20);
    memset(huge, 'x', 1 << 20);
    expo_label(&e, "id", str_span(huge, 1 << 20));
    expo_value(&e, -0.25);
    assert_int_equal(check_text(buf_str(&e.out)), 2);
    assert_true(e.out.n < 3000);
    expo_done(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_digits_or_none),
        cmocka_unit_test(a_field_is_found_by_its_whole_name),
        cmocka_unit_test(a_file_over_the_limit_is_read_to_its_last_whole_line),
        cmocka_unit_test(any_bytes_become_a_label_that_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
