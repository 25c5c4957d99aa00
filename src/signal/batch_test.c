/* Batches: built, opened, copied and compared, and what opening refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "signal/batch_priv.h"
#include "base/json.h"
#include "signal/otlp.h"
#include "signal/testing.h"

enum { SEEDS = 60 };

static struct batch_blob *make_random(uint64_t seed, uint32_t rows) {
    struct chance c = {seed};
    struct batch_builder b;
    batch_builder_init(&b, seed % 2 ? SIGNAL_LOGS : SIGNAL_SPANS);
    random_batch(&c, &b, rows);
    struct batch_blob *blob = batch_builder_finish(&b);
    batch_builder_done(&b);
    return blob;
}

static struct batch_blob *open_ok(struct str bytes) {
    struct batch_blob *blob = NULL;
    err e = batch_open(bytes, &blob);
    if (e) fail_msg("%s", err_text(e));
    return blob;
}

static void refuses(struct str bytes, enum err_kind kind, const char *reason) {
    struct batch_blob *blob = NULL;
    err e = batch_open(bytes, &blob);
    assert_non_null(e);
    if (err_kind(e) != kind || !strstr(err_text(e), reason)) fail_msg("'%s' is not about %s", err_text(e), reason);
    assert_null(blob);
    err_free(e);
}

static void what_is_built_is_opened_the_same(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct batch_blob *blob = make_random(seed, (uint32_t)seed * 3), *opened = open_ok(batch_bytes(blob));
        struct batch a, b;
        batch_view(blob, &a);
        batch_view(opened, &b);
        assert_int_equal(a.rows, seed * 3);
        assert_batches_equal(&a, &b);
        assert_true(walk_batch(&a) == walk_batch(&b));
        batch_unref(blob);
        batch_unref(opened);
    }
}

static void copies_are_equal_and_share_resources(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct batch_blob *one = make_random(seed, 40), *two = make_random(seed + 1000, 30);
        struct batch from[2], copy;
        batch_view(one, &from[0]);
        batch_view(two, &from[1]);
        struct batch_builder b;
        batch_builder_init(&b, from[0].signal);
        for (int round = 0; round < 2; round++) { /* each batch twice: the second time nothing is new but the rows */
            for (int i = 0; i < 2; i++) {
                struct batch_copy_cache cache = {0};
                for (uint32_t row = 0; row < from[i].rows; row++) batch_builder_copy(&b, &from[i], row, &cache);
                batch_copy_cache_done(&cache);
            }
        }
        struct batch_blob *blob = batch_builder_finish(&b), *opened = open_ok(batch_bytes(blob));
        batch_view(opened, &copy);
        assert_int_equal(copy.rows, 140);
        for (uint32_t row = 0; row < 140; row++) {
            uint32_t at = row % 70, i = at >= 40;
            assert_true(batch_rows_equal(&copy, row, &from[i], at - 40 * i));
            assert_true(batch_row_hash(&copy, row) == batch_row_hash(&from[i], at - 40 * i));
        }
        assert_true(copy.set_rows[SET_RESOURCES] <= from[0].set_rows[SET_RESOURCES] + from[1].set_rows[SET_RESOURCES]);
        assert_int_equal(batch_u32(&copy, SET_ROWS, FIELD_RESOURCE, 0), batch_u32(&copy, SET_ROWS, FIELD_RESOURCE, 70));
        batch_unref(blob);
        batch_unref(opened);
        batch_unref(one);
        batch_unref(two);
        batch_builder_done(&b);
    }
}

static void a_changed_field_makes_rows_differ(void **state) {
    (void)state;
    for (int f = 0; f < FIELDS; f++) {
        if (field_is_structural((enum field)f)) continue;
        for (int signal = 0; signal < SIGNALS; signal++) {
            struct batch rows[2];
            struct batch_blob *blobs[2];
            if (!field_in((enum field)f, (enum signal)signal, SET_ROWS)) continue;
            for (int i = 0; i < 2; i++) {
                struct batch_builder b;
                batch_builder_init(&b, (enum signal)signal);
                uint32_t row = batch_builder_row(&b, SET_ROWS);
                uint32_t text = strings_intern(&b.strings, STR("x"));
                if (i && field_size((enum field)f) == 4) batch_builder_set_u32(&b, SET_ROWS, (enum field)f, row, text);
                if (i && field_size((enum field)f) == 8) batch_builder_set_u64(&b, SET_ROWS, (enum field)f, row, 1);
                if (i && field_size((enum field)f) == 16)
                    batch_builder_set_id16(&b, SET_ROWS, (enum field)f, row, "0123456789abcdef");
                blobs[i] = batch_builder_finish(&b);
                batch_view(blobs[i], &rows[i]);
                batch_builder_done(&b);
            }
            assert_false(batch_rows_equal(&rows[0], 0, &rows[1], 0));
            assert_true(batch_row_hash(&rows[0], 0) != batch_row_hash(&rows[1], 0));
            batch_unref(blobs[0]);
            batch_unref(blobs[1]);
        }
    }
}

static void add_attribute(struct batch_builder *b, uint32_t row, struct str name, enum value_type type,
                          uint64_t value) {
    uint32_t key = batch_builder_key(b, name, type), slot = (uint32_t)b->slots.n;
    *vec_push(&b->slots) = value;
    batch_builder_attributes(b, SET_ROWS, row, &key, 1, slot);
}

static void a_key_is_a_name_and_a_type(void **state) {
    (void)state;
    struct batch_builder b;
    batch_builder_init(&b, SIGNAL_SPANS);
    for (uint32_t i = 0; i < 2; i++) batch_builder_row(&b, SET_ROWS);
    add_attribute(&b, 0, STR("http.status_code"), VALUE_STRING, strings_intern(&b.strings, STR("200")));
    add_attribute(&b, 1, STR("http.status_code"), VALUE_INT, 200);
    struct batch_blob *blob = batch_builder_finish(&b);
    struct batch v;
    batch_view(blob, &v);
    enum value_type type;
    uint64_t value;
    assert_int_equal(v.key_count, 2);
    assert_true(batch_find_attribute(&v, SET_ROWS, 0, STR("http.status_code"), &type, &value) && type == VALUE_STRING);
    assert_true(batch_find_attribute(&v, SET_ROWS, 1, STR("http.status_code"), &type, &value) && type == VALUE_INT);
    assert_int_equal(value, 200);
    assert_false(batch_find_attribute(&v, SET_ROWS, 1, STR("http.status"), &type, &value));
    assert_true(str_equal(batch_attribute_text(&v, SET_ROWS, 0, STR("http.status_code")), STR("200")));
    assert_true(str_is_empty(batch_attribute_text(&v, SET_ROWS, 1, STR("http.status_code"))));
    assert_false(batch_rows_equal(&v, 0, &v, 1));
    batch_unref(blob);
    batch_builder_done(&b);
}

static void a_rewound_row_leaves_no_trace(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct batch views[2];
        struct batch_blob *blobs[2];
        for (int rewinds = 0; rewinds < 2; rewinds++) {
            struct chance c = {seed}, other = {seed + 77};
            struct batch_builder b;
            batch_builder_init(&b, seed % 2 ? SIGNAL_LOGS : SIGNAL_SPANS);
            random_batch(&c, &b, 20);
            struct builder_mark mark = batch_builder_mark(&b);
            if (rewinds) {
                random_batch(&other, &b, 100);
                batch_builder_rewind(&b, mark);
            }
            for (int i = 0; i < 3; i++) {
                uint32_t row = batch_builder_row(&b, SET_ROWS);
                batch_builder_set_u64(&b, SET_ROWS, FIELD_TIME, row, 5);
            }
            blobs[rewinds] = batch_builder_finish(&b);
            batch_view(blobs[rewinds], &views[rewinds]);
            batch_builder_done(&b);
        }
        assert_batches_equal(&views[0], &views[1]);
        assert_memory_equal(views[0].set_rows, views[1].set_rows, sizeof views[0].set_rows);
        struct batch_blob *opened = open_ok(batch_bytes(blobs[1]));
        batch_unref(opened);
        batch_unref(blobs[0]);
        batch_unref(blobs[1]);
    }
}

static struct batch_blob *make_with_id(enum signal signal, struct str id) {
    struct batch_builder b;
    batch_builder_init(&b, signal);
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t row = batch_builder_row(&b, SET_ROWS);
        batch_builder_set_u64(&b, SET_ROWS, FIELD_TIME, row, 5);
        if (i == 1) batch_builder_set_u32(&b, SET_ROWS, FIELD_CORRELATION, row, strings_intern(&b.strings, id));
    }
    struct batch_blob *blob = batch_builder_finish(&b);
    batch_builder_done(&b);
    return blob;
}

static const struct blob_header *header_of(const struct batch_blob *blob) { return (const void *)blob->bytes; }

/* Builds before the column refuse a blob that has it, and read any other. */
static void a_blob_with_ids_asks_for_a_build_that_knows_them(void **state) {
    (void)state;
    for (int signal = 0; signal < SIGNALS; signal++) {
        struct batch_blob *without = make_with_id((enum signal)signal, STR("")),
                          *with = make_with_id((enum signal)signal, STR("order-7"));
        struct batch v;
        assert_int_equal(header_of(without)->features, 0);
        assert_int_equal(header_of(with)->features, BLOB_FEATURE_CORRELATION);
        struct batch_blob *opened = open_ok(batch_bytes(with));
        batch_view(opened, &v);
        assert_true(str_equal(batch_text(&v, SET_ROWS, FIELD_CORRELATION, 1), STR("order-7")));
        assert_int_equal(batch_text(&v, SET_ROWS, FIELD_CORRELATION, 2).n, 0);
        ((struct blob_header *)with->bytes)->features = 0;
        refuses(batch_bytes(with), ERR_CORRUPT, "no field");
        ((struct blob_header *)with->bytes)->features = 2;
        refuses(batch_bytes(with), ERR_INVALID, "newer clew");
        batch_unref(opened);
        batch_unref(with);
        batch_unref(without);
    }
}

/* What is clew's own is not sent on: with and without ids the bytes are the same. */
static void ids_never_leave_as_otlp(void **state) {
    (void)state;
    for (int signal = 0; signal < SIGNALS; signal++) {
        struct buf bytes[2], text[2];
        for (int i = 0; i < 2; i++) {
            struct batch_blob *blob = make_with_id((enum signal)signal, i ? STR("order-7") : STR(""));
            struct json_writer w;
            struct batch v;
            buf_init(&bytes[i], MIB);
            buf_init(&text[i], MIB);
            batch_view(blob, &v);
            otlp_encode(&v, &bytes[i]);
            json_writer_init(&w, &text[i]);
            otlp_write_json(&v, &w);
            batch_unref(blob);
        }
        assert_true(bytes[0].n > 0 && str_equal(buf_str(&bytes[0]), buf_str(&bytes[1])));
        assert_true(text[0].n > 0 && str_equal(buf_str(&text[0]), buf_str(&text[1])));
        for (int i = 0; i < 4; i++) buf_done(i < 2 ? &bytes[i] : &text[i - 2]);
    }
}

static void equal_columns_take_no_room(void **state) {
    (void)state;
    struct batch_builder b;
    batch_builder_init(&b, SIGNAL_SPANS);
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t row = batch_builder_row(&b, SET_ROWS);
        batch_builder_set_u64(&b, SET_ROWS, FIELD_TIME, row, 1u << 31);
        batch_builder_set_u32(&b, SET_ROWS, FIELD_KIND, row, i == 999);
        batch_builder_set_u32(&b, SET_ROWS, FIELD_STATUS, row, 0);
    }
    struct batch_blob *blob = batch_builder_finish(&b);
    struct batch v;
    batch_view(blob, &v);
    assert_int_equal(v.columns[SET_ROWS][FIELD_TIME].mask, 0);
    assert_int_equal(v.columns[SET_ROWS][FIELD_STATUS].mask, 0);
    assert_int_equal(v.columns[SET_ROWS][FIELD_KIND].mask, UINT32_MAX);
    assert_int_equal(batch_u64(&v, SET_ROWS, FIELD_TIME, 999), 1u << 31);
    assert_true(batch_bytes(blob).n < 4300);
    assert_int_equal(v.time_min, 1u << 31);
    batch_unref(blob);
    batch_builder_done(&b);
}

static void times_over_the_signed_range_count_as_the_maximum(void **state) {
    (void)state;
    struct batch_builder b;
    batch_builder_init(&b, SIGNAL_SPANS);
    batch_builder_set_u64(&b, SET_ROWS, FIELD_TIME, batch_builder_row(&b, SET_ROWS), 1ull << 63);
    batch_builder_set_u64(&b, SET_ROWS, FIELD_TIME, batch_builder_row(&b, SET_ROWS), 7);
    struct batch_blob *blob = batch_builder_finish(&b);
    struct batch v;
    batch_view(blob, &v);
    assert_true(v.time_min == 7 && v.time_max == INT64_MAX);
    batch_unref(open_ok(batch_bytes(blob)));
    batch_unref(blob);
    batch_builder_done(&b);
}

static void what_is_not_a_batch_is_refused(void **state) {
    (void)state;
    struct batch_blob *blob = make_random(4, 50);
    struct str bytes = batch_bytes(blob);
    AUTO_FREE char *copy = mem_new(bytes.n + 8);
    struct blob_header *h = (void *)copy;
    memcpy(copy, bytes.p, bytes.n);
    refuses(STR(""), ERR_CORRUPT, "0 bytes");
    refuses(str_span(copy, bytes.n - 1), ERR_CORRUPT, "where the header says");
    refuses(str_span(copy, bytes.n + 8), ERR_CORRUPT, "where the header says");
    h->version = 2;
    refuses(str_span(copy, bytes.n), ERR_INVALID, "newer");
    h->version = 1, h->features = 4;
    refuses(str_span(copy, bytes.n), ERR_INVALID, "newer");
    h->features = BLOB_FEATURE_CORRELATION, h->magic[0] = 'x';
    refuses(str_span(copy, bytes.n), ERR_CORRUPT, "no batch");
    h->magic[0] = 'C', h->time_min -= 1;
    refuses(str_span(copy, bytes.n), ERR_CORRUPT, "times");
    h->time_min += 1, h->signal = 7;
    refuses(str_span(copy, bytes.n), ERR_CORRUPT, "signal");
    h->signal = 0, h->set_rows[SET_EVENTS] += 1;
    refuses(str_span(copy, bytes.n), ERR_CORRUPT, "");
    h->set_rows[SET_EVENTS] -= 1;
    batch_unref(open_ok(str_span(copy, bytes.n)));
    batch_unref(blob);
}

/* Whatever a flipped byte leaves that still opens can be walked: ASan is the judge. */
static void a_damaged_batch_is_refused_or_harmless(void **state) {
    (void)state;
    int opened = 0, refused = 0;
    for (uint64_t seed = 0; seed < 8; seed++) {
        struct batch_blob *blob = make_random(seed, 6);
        struct str bytes = batch_bytes(blob);
        AUTO_FREE char *copy = mem_new(bytes.n);
        struct chance c = {seed};
        for (size_t i = 0; i < bytes.n; i++) {
            struct batch_blob *damaged = NULL;
            memcpy(copy, bytes.p, bytes.n);
            copy[i] = (char)(copy[i] ^ 1 << chance_below(&c, 8));
            err e = batch_open(str_span(copy, bytes.n), &damaged);
            if (e) {
                err_free(e);
                refused++;
                continue;
            }
            struct batch v;
            batch_view(damaged, &v);
            walk_batch(&v);
            batch_unref(damaged);
            opened++;
        }
        batch_unref(blob);
    }
    assert_true(opened > 100 && refused > 100);
}

static void an_empty_builder_gives_an_empty_batch(void **state) {
    (void)state;
    struct batch_blob *blob = make_random(0, 0), *opened = open_ok(batch_bytes(blob));
    struct batch v;
    batch_view(opened, &v);
    assert_true(v.rows == 0 && v.time_min == INT64_MAX && v.time_max == INT64_MIN);
    batch_unref(batch_ref(opened));
    batch_unref(opened);
    batch_unref(blob);
    batch_unref(NULL);
}

/* A number that cancels the hash's own constant makes everything before it forgotten, unless the hash is keyed. */
static void resources_made_to_collide_are_told_apart_fast(void **state) {
    (void)state;
    enum { RESOURCES = 20000 };
    struct batch_builder from, to;
    batch_builder_init(&from, SIGNAL_LOGS);
    uint32_t keys[2] = {batch_builder_key(&from, STR("a"), VALUE_INT), batch_builder_key(&from, STR("b"), VALUE_INT)};
    for (uint32_t i = 0; i < RESOURCES; i++) {
        uint32_t first = (uint32_t)from.slots.n, row = batch_builder_row(&from, SET_ROWS);
        *vec_push(&from.slots) = i;
        *vec_push(&from.slots) = 0xe7037ed1a0b428dbu;
        batch_builder_attributes(&from, SET_RESOURCES, batch_builder_row(&from, SET_RESOURCES), keys, 2, first);
        batch_builder_set_u32(&from, SET_ROWS, FIELD_RESOURCE, row, i);
    }
    struct batch_blob *blob = batch_builder_finish(&from);
    struct batch_copy_cache cache = {0};
    struct batch b;
    batch_view(blob, &b);
    batch_builder_init(&to, SIGNAL_LOGS);
    for (uint32_t i = 0; i < RESOURCES; i++) batch_builder_copy(&to, &b, i, &cache);
    assert_int_equal(to.sets[SET_RESOURCES].n, RESOURCES);
    batch_copy_cache_done(&cache);
    batch_builder_done(&from);
    batch_builder_done(&to);
    batch_unref(blob);
}

static void children_over_the_limit_of_a_batch_are_told(void **state) {
    (void)state;
    struct batch_builder from, to;
    struct batch_copy_cache cache = {0};
    struct batch b;
    batch_builder_init(&from, SIGNAL_SPANS);
    uint32_t row = batch_builder_row(&from, SET_ROWS);
    for (uint32_t i = 0; i < 1u << 22; i++) batch_builder_row(&from, SET_EVENTS);
    batch_builder_set_u32(&from, SET_ROWS, FIELD_EVENT_END, row, 1u << 22);
    struct batch_blob *blob = batch_builder_finish(&from);
    batch_view(blob, &b);
    batch_builder_init(&to, SIGNAL_SPANS);
    for (int i = 0; i < 6; i++) {
        batch_builder_copy(&to, &b, 0, &cache);
        assert_int_equal(to.overfull, i >= 4);
    }
    assert_int_equal(to.sets[SET_EVENTS].n, 1u << 24);
    batch_builder_clear(&to);
    assert_false(to.overfull);
    batch_copy_cache_done(&cache);
    batch_builder_done(&from);
    batch_builder_done(&to);
    batch_unref(blob);
}

static void every_field_has_a_row(void **state) {
    (void)state;
    for (int f = 0; f < FIELDS; f++) {
        assert_non_null(field_rows[f].name);
        assert_true(field_rows[f].sets[SIGNAL_SPANS] | field_rows[f].sets[SIGNAL_LOGS]);
        for (int g = 0; g < f; g++) assert_string_not_equal(field_rows[f].name, field_rows[g].name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_has_a_row),
        cmocka_unit_test(what_is_built_is_opened_the_same),
        cmocka_unit_test(copies_are_equal_and_share_resources),
        cmocka_unit_test(a_changed_field_makes_rows_differ),
        cmocka_unit_test(a_key_is_a_name_and_a_type),
        cmocka_unit_test(a_rewound_row_leaves_no_trace),
        cmocka_unit_test(a_blob_with_ids_asks_for_a_build_that_knows_them),
        cmocka_unit_test(ids_never_leave_as_otlp),
        cmocka_unit_test(equal_columns_take_no_room),
        cmocka_unit_test(times_over_the_signed_range_count_as_the_maximum),
        cmocka_unit_test(what_is_not_a_batch_is_refused),
        cmocka_unit_test(a_damaged_batch_is_refused_or_harmless),
        cmocka_unit_test(an_empty_builder_gives_an_empty_batch),
        cmocka_unit_test(resources_made_to_collide_are_told_apart_fast),
        cmocka_unit_test(children_over_the_limit_of_a_batch_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
