/* Lifting: batches that get ids are what they were but for the ids, and nested values are read entry by entry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "signal/batch_priv.h"
#include "signal/lift.h"
#include "signal/testing.h"

/* Ids of all kinds: none, texts of the batch, new ones. */
static void choose_ids(struct chance *c, const struct batch *b, struct strings *more, uint32_t *ids) {
    int kind = (int)chance_below(c, 4); /* none, the same for all, of the batch, any */
    uint32_t new_id = strings_intern(more, STR("a new one"));
    for (uint32_t i = 0; i < b->rows; i++) {
        char text[32];
        int n = snprintf(text, sizeof text, "order %u", chance_below(c, 9));
        ids[i] = kind == 0 ? 0 : kind == 1 ? b->string_count + new_id : chance_below(c, b->string_count);
        if (kind == 3 && chance_one_in(c, 2))
            ids[i] = b->string_count + strings_intern(more, (struct str){text, (size_t)n});
    }
}

static struct str id_text(const struct batch *b, const struct strings *more, uint32_t id) {
    return id < b->string_count ? batch_string(b, id) : strings_get(more, id - b->string_count);
}

/* Every row is the old one, which gets the id by a builder of its own. */
static void assert_lifted(const struct batch *from, const struct strings *more, const uint32_t *ids,
                          const struct batch *to) {
    struct batch_builder builder;
    struct batch_copy_cache cache = {0};
    struct batch expected;
    batch_builder_init(&builder, from->signal);
    for (uint32_t i = 0; i < from->rows; i++) {
        batch_builder_copy(&builder, from, i, &cache);
        batch_builder_set_u32(&builder, SET_ROWS, FIELD_CORRELATION, i,
                              strings_intern(&builder.strings, id_text(from, more, ids[i])));
    }
    batch_copy_cache_done(&cache);
    struct batch_blob *blob = batch_builder_finish(&builder);
    batch_view(blob, &expected);
    assert_batches_equal(&expected, to);
    batch_unref(blob);
    batch_builder_done(&builder);
}

/* Into a batch that others hold, and into one that is ours alone: the bytes are those of the copy. Takes over the reference. */
static void assert_put_in_place(struct batch_blob *blob, const uint32_t *ids, const struct strings *more,
                                const struct batch_blob *lifted) {
    struct batch_blob *shared = batch_ref(blob);
    AUTO_BUF struct buf before;
    buf_init(&before, 64 * MIB);
    buf_add_str(&before, batch_bytes(blob));
    assert_true(batch_put_ids(&shared, ids, more));
    assert_true(shared != blob && str_equal(batch_bytes(shared), batch_bytes(lifted)));
    assert_true(str_equal(batch_bytes(blob), buf_str(&before)));
    batch_unref(shared);
    assert_true(batch_put_ids(&blob, ids, more));
    assert_true(str_equal(batch_bytes(blob), batch_bytes(lifted)));
    batch_unref(blob);
}

static void rows_get_their_ids_and_nothing_else(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 120; seed++) {
        struct chance c = {seed};
        struct batch_builder builder;
        struct strings more;
        struct batch from, to;
        struct batch_blob *opened = NULL;
        batch_builder_init(&builder, seed % 2 ? SIGNAL_LOGS : SIGNAL_SPANS);
        random_batch(&c, &builder, 1 + (uint32_t)seed / 2); /* some rows have an id that is replaced */
        struct batch_blob *blob = batch_builder_finish(&builder);
        batch_view(blob, &from);
        strings_init(&more);
        uint32_t *ids = mem_new_array(uint32_t, from.rows);
        choose_ids(&c, &from, &more, ids);
        struct batch_blob *lifted = batch_with_ids(&from, ids, &more);
        err e = batch_open(batch_bytes(lifted), &opened);
        if (e) fail_msg("seed %llu: %s", (unsigned long long)seed, err_text(e));
        batch_view(opened, &to);
        assert_lifted(&from, &more, ids, &to);
        assert_put_in_place(blob, ids, &more, lifted);
        batch_unref(opened);
        batch_unref(lifted);
        mem_free(ids);
        strings_done(&more);
        batch_builder_done(&builder);
    }
}

/* A batch without any text has no heap before its first id. */
static void the_first_text_of_a_batch_may_be_an_id(void **state) {
    (void)state;
    struct batch_builder builder;
    struct strings more;
    struct batch from, to;
    struct batch_blob *opened = NULL;
    batch_builder_init(&builder, SIGNAL_SPANS);
    batch_builder_row(&builder, SET_ROWS);
    struct batch_blob *blob = batch_builder_finish(&builder);
    batch_view(blob, &from);
    strings_init(&more);
    uint32_t id = from.string_count + strings_intern(&more, STR("first"));
    struct batch_blob *lifted = batch_with_ids(&from, &id, &more);
    err e = batch_open(batch_bytes(lifted), &opened);
    if (e) fail_msg("%s", err_text(e));
    batch_view(opened, &to);
    assert_true(str_equal(batch_text(&to, SET_ROWS, FIELD_CORRELATION, 0), STR("first")));
    batch_unref(opened);
    batch_unref(lifted);
    batch_unref(blob);
    strings_done(&more);
    batch_builder_done(&builder);
}

static void put_entry(struct buf *list, const char *key, struct str value) {
    AUTO_BUF struct buf entry;
    buf_init(&entry, MIB);
    put_wire_bytes(&entry, 1, str_of(key));
    put_wire_bytes(&entry, 2, value);
    put_wire_bytes(list, 1, buf_str(&entry));
}

static void entries_of_a_map_are_read_in_order(void **state) {
    (void)state;
    AUTO_BUF struct buf list, map, text, number;
    struct value_list l;
    struct value_part part;
    struct str key;
    struct buf *all[] = {&list, &map, &text, &number};
    for (size_t i = 0; i < LENGTH(all); i++) buf_init(all[i], MIB);
    put_wire_bytes(&text, 1, STR("x-7"));
    put_wire_varint(&number, 3, 42);
    put_entry(&list, "id", buf_str(&text));
    put_entry(&list, "n", buf_str(&number));
    put_wire_bytes(&map, 6, buf_str(&list));
    assert_true(value_list_open(buf_str(&map), &l) && l.is_map);
    assert_true(value_list_next(&l, &key, &part) && str_equal(key, STR("id")));
    assert_true(part.type == VALUE_STRING && str_equal(part.text, STR("x-7")));
    assert_true(value_list_next(&l, &key, &part) && str_equal(key, STR("n")));
    assert_true(part.type == VALUE_INT && part.number == 42);
    assert_false(value_list_next(&l, &key, &part));
    assert_false(value_list_open(buf_str(&text), &l));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_get_their_ids_and_nothing_else),
        cmocka_unit_test(the_first_text_of_a_batch_may_be_an_id),
        cmocka_unit_test(entries_of_a_map_are_read_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
