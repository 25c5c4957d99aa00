/* Rewriting: a batch whose strings are replaced by themselves stays equal; what goes leaves no byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "signal/otlp.h"
#include "signal/rewrite.h"
#include "signal/testing.h"

static bool cares_for_all(void *context, enum rewrite_place place, struct str key, enum value_type type) {
    (void)context, (void)place, (void)key, (void)type;
    return true;
}

/* Every string by itself; the context counts. */
static enum rewrite_verdict same(void *context, const struct rewrite_value *v, struct buf *out) {
    ++*(int *)context;
    if (v->type != VALUE_STRING) return REWRITE_KEEP;
    buf_add_str(out, v->text);
    return REWRITE_TEXT;
}

static enum rewrite_verdict keep(void *context, const struct rewrite_value *v, struct buf *out) {
    (void)v, (void)out;
    ++*(int *)context;
    return REWRITE_KEEP;
}

static enum rewrite_verdict drop(void *context, const struct rewrite_value *v, struct buf *out) {
    (void)context, (void)v, (void)out;
    return REWRITE_DROP;
}

static struct batch_blob *random_blob(uint64_t seed, struct batch *out) {
    struct chance c = {seed};
    struct batch_builder builder;
    batch_builder_init(&builder, seed % 2 ? SIGNAL_LOGS : SIGNAL_SPANS);
    random_batch(&c, &builder, 20);
    struct batch_blob *blob = batch_builder_finish(&builder);
    batch_builder_done(&builder);
    batch_view(blob, out);
    return blob;
}

static struct batch_blob *rewrite(struct rewriter *r, const struct batch *b, struct batch *out) {
    struct batch_blob *blob = batch_rewrite(r, b), *checked = NULL;
    if (!blob) return NULL;
    err e = batch_open(batch_bytes(blob), &checked);
    if (e) fail_msg("%s", err_text(e));
    batch_unref(checked);
    batch_view(blob, out);
    return blob;
}

/* A string that a later one replaces, and a field that nobody knows: neither is judged, so neither may stay. */
static void what_nobody_judges_leaves_no_byte(void **state) {
    (void)state;
    static const struct str logs =
        STR("\x0a\x22\x12\x20\x12\x1e\x2a\x1c\x32\x1a\x0a\x18\x0a\x01k\x12\x0b\x0a\x06SECRET\x0a\x01x"
            "\x4a\x06SECRET");
    const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};
    struct otlp_decoder *d = otlp_decoder_new();
    struct otlp_result decoded = {0};
    struct rewriter r;
    struct batch before, after;
    int calls = 0;
    assert_null(otlp_decode(d, SIGNAL_LOGS, logs, &all_times, &decoded));
    otlp_decoder_free(d);
    batch_view(decoded.blob, &before);
    rewriter_init(&r);
    r.cares = cares_for_all, r.judge = keep, r.context = &calls;
    struct batch_blob *blob = rewrite(&r, &before, &after);
    assert_non_null(blob);
    assert_null(memmem(batch_bytes(blob).p, batch_bytes(blob).n, "SECRET", 6));
    assert_null(batch_rewrite(&r, &after)); /* nothing is left to do */
    batch_unref(blob);
    batch_unref(decoded.blob);
    rewriter_done(&r);
}

static void replaced_by_itself_a_batch_is_equal(void **state) {
    (void)state;
    int calls = 0;
    struct rewriter r;
    rewriter_init(&r);
    r.cares = cares_for_all;
    r.judge = same;
    r.context = &calls;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct batch before, after;
        struct batch_blob *one = random_blob(seed, &before), *two = rewrite(&r, &before, &after);
        assert_non_null(two);
        assert_batches_equal(&before, &after);
        batch_unref(one);
        batch_unref(two);
    }
    rewriter_done(&r);
}

static void what_is_kept_is_not_copied(void **state) {
    (void)state;
    int calls = 0;
    struct rewriter r;
    rewriter_init(&r);
    r.cares = cares_for_all;
    r.judge = keep;
    r.context = &calls;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct batch before;
        struct batch_blob *blob = random_blob(seed, &before);
        assert_null(batch_rewrite(&r, &before));
        batch_unref(blob);
    }
    assert_true(calls > 0);
    rewriter_done(&r);
}

static void what_is_dropped_leaves_no_attribute(void **state) {
    (void)state;
    struct rewriter r;
    rewriter_init(&r);
    r.cares = cares_for_all;
    r.judge = drop;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct batch before, after;
        struct batch_blob *one = random_blob(seed, &before), *two = rewrite(&r, &before, &after);
        assert_int_equal(after.rows, before.rows);
        assert_int_equal(after.slot_count, 0);
        for (uint32_t row = 0; row < after.rows; row++) {
            assert_int_equal(batch_u32(&after, SET_ROWS, FIELD_NAME, row), 0);
            assert_int_equal(batch_u32(&after, SET_ROWS, FIELD_BODY, row), 0);
            assert_true(batch_u64(&after, SET_ROWS, FIELD_TIME, row) == batch_u64(&before, SET_ROWS, FIELD_TIME, row));
        }
        batch_unref(one);
        batch_unref(two);
    }
    rewriter_done(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_nobody_judges_leaves_no_byte),
        cmocka_unit_test(replaced_by_itself_a_batch_is_equal),
        cmocka_unit_test(what_is_kept_is_not_copied),
        cmocka_unit_test(what_is_dropped_leaves_no_attribute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
