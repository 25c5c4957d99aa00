/* Builders and copies: keys, shapes and columns as they grow; what is taken back; rows that differ in one thing; blobs that lie
 * section by section. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "signal/batch_priv.h"
#include "signal/testing.h"

static struct batch_blob *reopened(struct batch_blob *blob) {
    struct batch_blob *again = NULL;
    err e = batch_open(batch_bytes(blob), &again);
    if (e) fail_msg("%s", err_text(e));
    return again;
}

/* ---- keys and shapes ---------------------------------------------------------------------------------------------- */

static void keys_and_shapes_are_numbered_once(void **state) {
    (void)state;
    struct batch_builder b;
    uint32_t keys[300], shapes[300];
    batch_builder_init(&b, SIGNAL_SPANS);
    for (int round = 0; round < 2; round++)
        for (uint32_t i = 0; i < LENGTH(keys); i++) {
            char name[16];
            snprintf(name, sizeof name, "k%u", i / VALUE_TYPES);
            uint32_t key = batch_builder_key(&b, str_of(name), (enum value_type)(i % VALUE_TYPES));
            if (round) assert_int_equal(key, keys[i]);
            keys[i] = key;
        }
    assert_int_equal(b.keys.n, LENGTH(keys));
    for (int round = 0; round < 2; round++)
        for (uint32_t i = 0; i < LENGTH(shapes); i++) { /* beginnings of the same list, so that only the length tells */
            uint32_t shape = batch_builder_shape(&b, keys, i);
            if (round) assert_int_equal(shape, shapes[i]);
            for (uint32_t k = 0; !round && k < i; k++) assert_int_not_equal(shape, shapes[k]);
            shapes[i] = shape;
        }
    assert_int_equal(shapes[0], 0);
    uint32_t two[2] = {keys[1], keys[0]}, same[2] = {keys[0], keys[0]};
    assert_int_not_equal(batch_builder_shape(&b, two, 2), shapes[2]); /* order and repeats are kept */
    assert_int_not_equal(batch_builder_shape(&b, same, 2), shapes[2]);
    batch_builder_done(&b);
}

/* The empty name is a name. */
static void a_key_may_be_empty(void **state) {
    (void)state;
    struct batch_builder b;
    struct batch v;
    batch_builder_init(&b, SIGNAL_LOGS);
    uint32_t row = batch_builder_row(&b, SET_ROWS), key = batch_builder_key(&b, STR(""), VALUE_INT);
    *vec_push(&b.slots) = 5;
    batch_builder_attributes(&b, SET_ROWS, row, &key, 1, 0);
    struct batch_blob *blob = batch_builder_finish(&b), *again = reopened(blob);
    enum value_type type;
    uint64_t value;
    batch_view(again, &v);
    assert_true(batch_find_attribute(&v, SET_ROWS, 0, STR(""), &type, &value) && type == VALUE_INT && value == 5);
    batch_unref(again);
    batch_unref(blob);
    batch_builder_done(&b);
}

/* ---- columns ------------------------------------------------------------------------------------------------------ */

static uint64_t value_at(enum field f, uint32_t row) {
    uint64_t v = hash_u64((uint64_t)f << 32 | row);
    return field_size(f) == 4 ? (uint32_t)v : v;
}

static void put(struct batch_builder *b, enum set s, enum field f, uint32_t row) {
    uint64_t id[2] = {value_at(f, row), row + 1};
    if (field_size(f) == 4) batch_builder_set_u32(b, s, f, row, (uint32_t)id[0]);
    if (field_size(f) == 8) batch_builder_set_u64(b, s, f, row, id[0]);
    if (field_size(f) == 16) batch_builder_set_id16(b, s, f, row, id);
}

static void assert_value(const struct batch *b, enum set s, enum field f, uint32_t row, bool set) {
    uint64_t id[2] = {set ? value_at(f, row) : 0, set ? row + 1 : 0};
    if (field_size(f) == 4) assert_int_equal(batch_u32(b, s, f, row), (uint32_t)id[0]);
    if (field_size(f) == 8) assert_true(batch_u64(b, s, f, row) == id[0]);
    if (field_size(f) == 16) assert_memory_equal(batch_id16(b, s, f, row), id, 16);
}

/* A column that begins at any row has zeros before and, if it ends early, behind. Of plain numbers and ids only. */
static void a_column_may_begin_at_any_row(void **state) {
    (void)state;
    static const uint32_t rows[] = {1, 2, 63, 64, 65, 127, 128, 129, 300};
    static const enum field fields[] = {FIELD_TRACE_ID, FIELD_SPAN_ID, FIELD_TIME,
                                        FIELD_DURATION, FIELD_KIND,    FIELD_FLAGS};
    for (size_t r = 0; r < LENGTH(rows); r++)
        for (size_t i = 0; i < LENGTH(fields); i++)
            for (uint32_t first = 0; first < rows[r]; first += 1 + rows[r] / 4) {
                struct batch_builder b;
                struct batch v;
                batch_builder_init(&b, SIGNAL_SPANS);
                for (uint32_t row = 0; row < rows[r]; row++) {
                    assert_int_equal(batch_builder_row(&b, SET_ROWS), row);
                    if (row >= first && row < rows[r] - first / 2) put(&b, SET_ROWS, fields[i], row);
                }
                struct batch_blob *blob = batch_builder_finish(&b), *again = reopened(blob);
                batch_view(again, &v);
                assert_int_equal(v.rows, rows[r]);
                for (uint32_t row = 0; row < rows[r]; row++)
                    assert_value(&v, SET_ROWS, fields[i], row, row >= first && row < rows[r] - first / 2);
                batch_unref(again);
                batch_unref(blob);
                batch_builder_done(&b);
            }
}

/* A finished or cleared builder begins anew: nothing of before is in the next blob. */
static void a_used_builder_is_as_a_new_one(void **state) {
    (void)state;
    struct batch_builder used, fresh;
    batch_builder_init(&used, SIGNAL_SPANS);
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct chance junk = {seed + 500}, a = {seed}, b = {seed};
        random_batch(&junk, &used, 50);
        if (seed % 2)
            batch_builder_clear(&used);
        else
            batch_unref(batch_builder_finish(&used));
        batch_builder_init(&fresh, SIGNAL_SPANS);
        random_batch(&a, &used, 30);
        random_batch(&b, &fresh, 30);
        struct batch_blob *x = batch_builder_finish(&used), *y = batch_builder_finish(&fresh);
        assert_true(str_equal(batch_bytes(x), batch_bytes(y))); /* byte for byte */
        batch_unref(x);
        batch_unref(y);
        batch_builder_done(&fresh);
    }
    batch_builder_done(&used);
}

/* What a builder says it will take is near what it takes. */
static void sizes_are_told_before(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct chance c = {seed};
        struct batch_builder b;
        batch_builder_init(&b, seed % 2 ? SIGNAL_LOGS : SIGNAL_SPANS);
        random_batch(&c, &b, (uint32_t)seed * 20 + 50);
        size_t told = batch_builder_bytes(&b);
        struct batch_blob *blob = batch_builder_finish(&b);
        size_t took = batch_bytes(blob).n;
        assert_true(told >= took - took / 8 - 1024 && told <= took * 2 + 2048);
        batch_unref(blob);
        batch_builder_done(&b);
    }
}

/* ---- rows that differ in one thing -------------------------------------------------------------------------------- */

enum change { NOTHING, RESOURCE, SCOPE, EVENT, LINK, ONE_EVENT_MORE, VALUE, TYPE, NAME, ORDER, TWICE, CHANGES };

static void attribute(struct batch_builder *b, enum set s, uint32_t row, const char *name, enum value_type type,
                      uint64_t v) {
    uint32_t key = batch_builder_key(b, str_of(name), type), slot = (uint32_t)b->slots.n;
    *vec_push(&b->slots) = v;
    batch_builder_attributes(b, s, row, &key, 1, slot);
}

static struct batch_blob *row_with(enum change change) {
    struct batch_builder b;
    batch_builder_init(&b, SIGNAL_SPANS);
    if (change == NOTHING) strings_intern(&b.strings, STR("other ids for all strings"));
    uint32_t row = batch_builder_row(&b, SET_ROWS);
    attribute(&b, SET_RESOURCES, batch_builder_row(&b, SET_RESOURCES), "r", VALUE_INT, change == RESOURCE);
    attribute(&b, SET_SCOPES, batch_builder_row(&b, SET_SCOPES), "s", VALUE_INT, change == SCOPE);
    attribute(&b, SET_EVENTS, batch_builder_row(&b, SET_EVENTS), "e", VALUE_INT, change == EVENT);
    attribute(&b, SET_LINKS, batch_builder_row(&b, SET_LINKS), "l", VALUE_INT, change == LINK);
    if (change == ONE_EVENT_MORE) batch_builder_row(&b, SET_EVENTS);
    uint32_t keys[3], slot = (uint32_t)b.slots.n, n = 2 + (change == TWICE);
    keys[change == ORDER] =
        batch_builder_key(&b, change == NAME ? STR("b") : STR("a"), change == TYPE ? VALUE_DOUBLE : VALUE_INT);
    keys[change != ORDER] = batch_builder_key(&b, STR("c"), VALUE_INT);
    keys[2] = keys[1];
    for (uint32_t i = 0; i < n; i++) *vec_push(&b.slots) = change == VALUE && i == 0 ? 8 : 7;
    batch_builder_attributes(&b, SET_ROWS, row, keys, n, slot);
    batch_builder_set_u32(&b, SET_ROWS, FIELD_EVENT_END, row, b.sets[SET_EVENTS].n);
    batch_builder_set_u32(&b, SET_ROWS, FIELD_LINK_END, row, b.sets[SET_LINKS].n);
    struct batch_blob *blob = batch_builder_finish(&b);
    batch_builder_done(&b);
    return blob;
}

static void one_difference_anywhere_makes_rows_differ(void **state) {
    (void)state;
    struct batch_blob *blobs[CHANGES + 1];
    struct batch rows[CHANGES + 1];
    for (int i = 0; i <= CHANGES; i++) {
        blobs[i] = row_with((enum change)i); /* CHANGES: nothing, and the strings under their first ids */
        batch_view(blobs[i], &rows[i]);
    }
    for (int i = 0; i <= CHANGES; i++)
        for (int k = 0; k <= CHANGES; k++) {
            bool equal = i == k || (i % CHANGES == NOTHING && k % CHANGES == NOTHING);
            if (batch_rows_equal(&rows[i], 0, &rows[k], 0) != equal) fail_msg("changes %d and %d", i, k);
            assert_int_equal(batch_row_hash(&rows[i], 0) == batch_row_hash(&rows[k], 0), equal);
        }
    for (int i = 0; i <= CHANGES; i++) batch_unref(blobs[i]);
}

/* ---- copies ------------------------------------------------------------------------------------------------------- */

/* Any rows of any batches, in any order and as often as one likes, one builder. */
static void copies_of_any_rows_are_equal(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct chance c = {seed};
        struct batch from[3], out;
        struct batch_blob *blobs[3];
        struct batch_copy_cache caches[3] = {{0}};
        struct batch_builder b;
        uint32_t picks[120][2];
        enum signal signal = seed % 2 ? SIGNAL_LOGS : SIGNAL_SPANS;
        for (int i = 0; i < 3; i++) {
            struct batch_builder one;
            batch_builder_init(&one, signal);
            random_batch(&c, &one, 1 + chance_below(&c, 40));
            blobs[i] = batch_builder_finish(&one);
            batch_view(blobs[i], &from[i]);
            batch_builder_done(&one);
        }
        batch_builder_init(&b, signal);
        for (size_t i = 0; i < LENGTH(picks); i++) {
            picks[i][0] = chance_below(&c, 3);
            picks[i][1] = chance_below(&c, from[picks[i][0]].rows);
            batch_builder_copy(&b, &from[picks[i][0]], picks[i][1], &caches[picks[i][0]]);
        }
        struct batch_blob *blob = batch_builder_finish(&b), *again = reopened(blob);
        batch_view(again, &out);
        assert_int_equal(out.rows, LENGTH(picks));
        for (uint32_t i = 0; i < out.rows; i++) assert_true(batch_rows_equal(&out, i, &from[picks[i][0]], picks[i][1]));
        for (int i = 0; i < 3; i++) batch_copy_cache_done(&caches[i]), batch_unref(blobs[i]);
        batch_unref(again);
        batch_unref(blob);
        batch_builder_done(&b);
    }
}

/* ---- blobs that lie ----------------------------------------------------------------------------------------------- */

/* Every number of the header and of the section table set to its edges: refused, or harmless to walk. */
static void any_number_of_the_head_may_lie(void **state) {
    (void)state;
    static const uint32_t edges[] = {
        0, 1, 4, 7, 8, 63, 64, 255, 256, 65535, 1 << 24, (1 << 24) + 1, INT32_MAX, UINT32_MAX - 7, UINT32_MAX};
    uint32_t opened = 0, refused = 0;
    for (int signal = 0; signal < SIGNALS; signal++) {
        struct chance c = {(uint64_t)signal};
        struct batch_builder builder;
        batch_builder_init(&builder, (enum signal)signal);
        random_batch(&c, &builder, 5);
        struct batch_blob *blob = batch_builder_finish(&builder);
        struct str bytes = batch_bytes(blob);
        const struct blob_header *h = (const void *)bytes.p;
        size_t head = sizeof *h + h->section_count * sizeof(struct blob_section);
        AUTO_FREE char *copy = mem_new(bytes.n);
        memcpy(copy, bytes.p, bytes.n);
        for (size_t at = 0; at + 4 <= head; at += 2)
            for (size_t i = 0; i < LENGTH(edges); i++) {
                struct batch_blob *lies = NULL;
                struct batch v;
                memcpy(copy + at, &edges[i], 4);
                err e = batch_open(str_span(copy, bytes.n), &lies);
                memcpy(copy + at, bytes.p + at, 4);
                *(e ? &refused : &opened) += 1;
                if (e) assert_true(err_kind(e) == ERR_CORRUPT || err_kind(e) == ERR_INVALID);
                err_free(e);
                if (!lies) continue;
                batch_view(lies, &v);
                walk_batch(&v);
                batch_unref(lies);
            }
        batch_unref(blob);
        batch_builder_done(&builder);
    }
    assert_true(refused > 2000 && opened > 10);
}

static void no_cut_blob_opens(void **state) {
    (void)state;
    struct chance c = {3};
    struct batch_builder builder;
    batch_builder_init(&builder, SIGNAL_SPANS);
    random_batch(&c, &builder, 4);
    struct batch_blob *blob = batch_builder_finish(&builder), *cut = NULL;
    struct str bytes = batch_bytes(blob);
    for (size_t n = 0; n < bytes.n; n++) {
        AUTO_FREE char *copy = mem_new(n ? n : 1);
        memcpy(copy, bytes.p, n);
        if (n >= sizeof(struct blob_header))
            ((struct blob_header *)(void *)copy)->size_bytes = (uint32_t)n; /* even if it says so */
        err e = batch_open(str_span(copy, n), &cut);
        assert_true(e && err_kind(e) == ERR_CORRUPT);
        err_free(e);
    }
    batch_unref(blob);
    batch_builder_done(&builder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_shapes_are_numbered_once),
        cmocka_unit_test(a_key_may_be_empty),
        cmocka_unit_test(a_column_may_begin_at_any_row),
        cmocka_unit_test(a_used_builder_is_as_a_new_one),
        cmocka_unit_test(sizes_are_told_before),
        cmocka_unit_test(one_difference_anywhere_makes_rows_differ),
        cmocka_unit_test(copies_of_any_rows_are_equal),
        cmocka_unit_test(any_number_of_the_head_may_lie),
        cmocka_unit_test(no_cut_blob_opens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
