/* Labels that a decoder keeps from one request to the next: what it says is what it would say without, whatever it forgets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "signal/metrics/labels_kept_priv.h"
#include "signal/metrics/points_testing_priv.h"

static struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};

static err decode(struct points_decoder *d, int how, struct str body, struct points_result *out) {
    return how ? points_decode_write(d, how, body, &all_times, out) : points_decode_otlp(d, body, &all_times, out);
}

static void put_label(struct buf *series, const char *name, const char *value) {
    AUTO_BUF struct buf label;
    buf_init(&label, MIB);
    put_wire_bytes(&label, 1, str_of(name));
    put_wire_bytes(&label, 2, str_of(value));
    put_wire_bytes(series, 1, buf_str(&label));
}

static void put_sample(struct buf *series, uint64_t time) {
    AUTO_BUF struct buf sample;
    buf_init(&sample, MIB);
    put_wire_fixed64(&sample, 1, 42);
    put_wire_varint(&sample, 2, time);
    put_wire_bytes(series, 2, buf_str(&sample));
}

/* A series by letters: n name, a b labels, e empty label, s sample, x exemplar, u unknown field. */
static void put_series(struct buf *body, const char *parts) {
    AUTO_BUF struct buf series;
    buf_init(&series, MIB);
    for (const char *p = parts; *p; p++) {
        if (*p == 'n') put_label(&series, "__name__", "up");
        if (*p == 'a') put_label(&series, "a", "1");
        if (*p == 'b') put_label(&series, "b", "2");
        if (*p == 'e') put_label(&series, "e", "");
        if (*p == 's') put_sample(&series, 7);
        if (*p == 'x') put_wire_bytes(&series, 3, STR(""));
        if (*p == 'u') put_wire_varint(&series, 9, 1);
    }
    put_wire_bytes(body, 1, buf_str(&series));
}

/* What is known may be the beginning of something else, and labels may stand anywhere. */
static void labels_that_begin_alike_are_told_apart(void **state) {
    (void)state;
    static const char *const forms[] = {"na",   "nas",  "nabs", "nasb", "nsa", "nass", "nasx", "nasu", "ans", "bnas",
                                        "naes", "neas", "ns",   "snab", "nab", "naas", "as",   "",     "s",   "nabsn"};
    for (size_t i = 0; i < LENGTH(forms); i++)
        for (size_t j = 0; j < LENGTH(forms); j++) {
            AUTO_BUF struct buf before, body;
            buf_init(&before, MIB);
            buf_init(&body, MIB);
            for (int k = 0; k < 6; k++) put_series(&before, forms[i]); /* what comes next is this again */
            put_series(&body, forms[j]);
            put_series(&body, forms[i]);
            put_series(&body, forms[j]);
            check_kept_labels(decode, 1, buf_str(&before), buf_str(&body));
        }
}

/* The last byte of one is cut, or is another one. */
static void every_prefix_of_a_known_request_is_what_it_was(void **state) {
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct chance c = {3};
        AUTO_BUF struct buf body;
        buf_init(&body, MIB);
        if (how)
            load_write_request(&c, 0, 1, 1700000000000, how, &body);
        else
            load_points_request(&c, 0, 1, 1700000000000000000u, &body);
        for (size_t n = 0; n < body.n; n += 1 + body.n / 200)
            check_kept_labels(decode, how, buf_str(&body), str_span(body.p, n));
        for (size_t at = 0; at < body.n; at += 1 + body.n / 200) {
            AUTO_FREE char *other = mem_new(body.n);
            memcpy(other, body.p, body.n);
            other[at] ^= 1;
            check_kept_labels(decode, how, buf_str(&body), str_span(other, body.n));
        }
    }
}

static void random_requests_say_the_same(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct chance c = {seed};
        AUTO_BUF struct buf before, body;
        buf_init(&before, 16 * MIB);
        buf_init(&body, 16 * MIB);
        random_points_request(&c, seed % 2, &before);
        random_points_request(&c, seed % 2, &body);
        check_kept_labels(decode, 0, buf_str(&before), buf_str(&body));
    }
}

static void put_many(struct buf *body, uint32_t first, uint32_t n, uint32_t step, uint32_t of) {
    for (uint32_t i = 0; i < n; i++) {
        AUTO_BUF struct buf series;
        char id[24];
        buf_init(&series, MIB);
        snprintf(id, sizeof id, "%llu", (unsigned long long)(first + i) * step % of);
        put_label(&series, "job", id);
        put_label(&series, "__name__", "up");
        put_sample(&series, 5);
        put_wire_bytes(body, 1, buf_str(&series));
    }
}

/* More than are kept, in an order that changes; batches are looked at when their pages have been let go of long ago. */
static void batches_outlive_what_is_forgotten(void **state) {
    (void)state;
    enum { LABEL_SETS = 2 * LABEL_CACHE, A_REQUEST = 2048, REQUESTS = 2 * LABEL_SETS / A_REQUEST };
    struct points_decoder *d = points_decoder_new();
    struct batch_blob *blobs[REQUESTS];
    points_decoder_share(d);
    for (uint32_t r = 0; r < REQUESTS; r++) {
        struct points_result result = {0};
        AUTO_BUF struct buf body;
        buf_init(&body, MIB);
        put_many(&body, r * A_REQUEST, A_REQUEST, r * 2 < REQUESTS ? 1 : 7919, LABEL_SETS);
        assert_null(decode(d, 1, buf_str(&body), &result));
        blobs[r] = result.blob;
    }
    points_decoder_free(d);
    for (uint32_t r = 0; r < REQUESTS; r++) {
        struct points p;
        points_view(blobs[r], &p);
        assert_int_equal(p.n, A_REQUEST);
        for (uint32_t i = 0; i < A_REQUEST; i++) {
            char id[24];
            struct str rest = points_labels_of(&p, i), name, value;
            uint64_t step = r * 2 < REQUESTS ? 1 : 7919;
            snprintf(id, sizeof id, "%llu", (unsigned long long)((r * A_REQUEST + i) * step % LABEL_SETS));
            assert_true(points_label_next(&rest, &name, &value) && str_equal(value, STR("up")));
            assert_true(points_label_next(&rest, &name, &value) && str_equal(value, str_of(id)));
            assert_int_equal(rest.n, 0);
        }
        batch_unref(blobs[r]);
    }
}

/* Pages are drawn from the budget while anybody has them; where there is none nothing is kept, and all is said in full. */
static void what_is_kept_is_charged(void **state) {
    (void)state;
    struct points_decoder *d = points_decoder_new();
    struct points_result r = {0};
    struct points p;
    struct budget budget;
    AUTO_BUF struct buf body;
    buf_init(&body, MIB);
    put_many(&body, 0, 1000, 1, 1000);
    budget_init(&budget, 64 * MIB);
    all_times.budget = &budget;
    points_decoder_share(d);
    assert_null(decode(d, 1, buf_str(&body), &r));
    points_view(r.blob, &p);
    assert_non_null(p.kept);
    uint64_t used = budget_used(&budget);
    assert_int_equal(used % PAGE_BYTES, 0);
    assert_true(used >= 1000 / PAGE_ENTRIES * PAGE_BYTES && used <= budget.limit_bytes / LABEL_SHARE);
    points_decoder_forget(d);
    assert_int_equal(budget_used(&budget), used); /* the batch has them */
    assert_true(walk_points(&p) != 0);
    batch_unref(r.blob);
    assert_int_equal(budget_used(&budget), 0);
    budget_init(&budget, 2 * MIB); /* one page */
    for (int i = 0; i < 3; i++) {
        assert_null(decode(d, 1, buf_str(&body), &r));
        assert_int_equal(r.samples, 1000);
        check_points_blob(r.blob);
        batch_unref(r.blob);
        assert_true(budget_used(&budget) <= PAGE_BYTES);
    }
    points_decoder_free(d);
    assert_int_equal(budget_used(&budget), 0);
    all_times.budget = NULL;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_that_begin_alike_are_told_apart),
        cmocka_unit_test(every_prefix_of_a_known_request_is_what_it_was),
        cmocka_unit_test(random_requests_say_the_same),
        cmocka_unit_test(batches_outlive_what_is_forgotten),
        cmocka_unit_test(what_is_kept_is_charged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
