/* Every encoding of a column is made by the values it is for, reads back, and answers; groups at their edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/hash.h"
#include "os/sim/sim.h"
#include "store/part/part_testing_priv.h"

/* ---- one law a row ------------------------------------------------------------------------------------------------ */

typedef void (*fill_fn)(struct batch_builder *b, uint32_t row);

static void set_u64(struct batch_builder *b, enum field f, uint32_t row, uint64_t v) {
    batch_builder_set_u64(b, SET_ROWS, f, row, v);
}
static void set_trace(struct batch_builder *b, uint32_t row, uint64_t id) {
    uint64_t bytes[2] = {__builtin_bswap64(id + 1), 7};
    batch_builder_set_id16(b, SET_ROWS, FIELD_TRACE_ID, row, bytes);
}
static void set_text(struct batch_builder *b, enum field f, uint32_t row, const char *format, uint64_t v) {
    AUTO_BUF struct buf text;
    buf_init(&text, 64 * KIB);
    buf_add_text(&text, format);
    buf_add_fmt(&text, "%llu", (unsigned long long)v);
    batch_builder_set_u32(b, SET_ROWS, f, row, strings_intern(&b->strings, buf_str(&text)));
}
static void set_attribute(struct batch_builder *b, uint32_t row, const char *name, enum value_type type, uint64_t v) {
    uint32_t key = batch_builder_key(b, str_of(name), type), slot = (uint32_t)b->slots.n;
    *vec_push(&b->slots) = v;
    batch_builder_attributes(b, SET_ROWS, row, &key, 1, slot);
}

static void durations(struct batch_builder *b, uint32_t row) { set_u64(b, FIELD_DURATION, row, hash_u64(row) % 9000); }
static void wild_durations(struct batch_builder *b, uint32_t row) { set_u64(b, FIELD_DURATION, row, hash_u64(row)); }
static void no_durations(struct batch_builder *b, uint32_t row) { set_u64(b, FIELD_DURATION, row, 0); }
static void span_ids(struct batch_builder *b, uint32_t row) { set_u64(b, FIELD_SPAN_ID, row, hash_u64(row) | 1); }
static void traces_of_five(struct batch_builder *b, uint32_t row) { set_trace(b, row, row / 5); }
static void three_traces(struct batch_builder *b, uint32_t row) { set_trace(b, row, row % 3); }
static void a_trace_each(struct batch_builder *b, uint32_t row) { set_trace(b, row, row); }
static void observed_soon(struct batch_builder *b, uint32_t row) {
    set_u64(b, FIELD_OBSERVED, row, 1000 + row + row % 7);
}
static void observed_seldom(struct batch_builder *b, uint32_t row) { set_u64(b, FIELD_OBSERVED, row, row % 3 ? 0 : 5); }
static void few_names(struct batch_builder *b, uint32_t row) { set_text(b, FIELD_NAME, row, "GET /", row % 7); }
static void names_of_their_own(struct batch_builder *b, uint32_t row) { set_text(b, FIELD_NAME, row, "order ", row); }
static void long_names(struct batch_builder *b, uint32_t row) {
    static char text[1100];
    memset(text, 'a' + (int)(row % 100 % 26), sizeof text - 1);
    set_text(b, FIELD_NAME, row, text, row % 100);
}

/* Parents before and behind in the trace, none, the span itself, and one that is nowhere. */
static void parents(struct batch_builder *b, uint32_t row) {
    uint64_t other = row % 5 == 0 ? 0 : row % 5 == 1 ? row + 1 : row % 5 == 2 ? row - 1 : row % 5 == 3 ? row : 1u << 30;
    traces_of_five(b, row);
    set_u64(b, FIELD_SPAN_ID, row, row + 100);
    set_u64(b, FIELD_PARENT_ID, row, other ? other + 100 : 0);
}
static void rare_keys(struct batch_builder *b, uint32_t row) {
    char name[24];
    snprintf(name, sizeof name, "key.%u", row % 390);
    set_attribute(b, row, name, row % 390 % 2 ? VALUE_INT : VALUE_STRING,
                  row % 390 % 2 ? row : strings_intern(&b->strings, str_of(name)));
}
static void few_strings(struct batch_builder *b, uint32_t row) {
    set_attribute(b, row, "k", VALUE_STRING, strings_intern(&b->strings, row % 2 ? STR("yes") : STR("no")));
}
static uint32_t id_text(struct batch_builder *b, uint64_t v) {
    char text[32];
    int n = snprintf(text, sizeof text, "order %llu", (unsigned long long)v);
    return strings_intern(&b->strings, (struct str){text, (size_t)n});
}
/* Ids that were taken from an attribute; of the last law's rows some have another. */
static void put_id(struct batch_builder *b, uint32_t row, uint64_t id, uint64_t attribute) {
    set_attribute(b, row, "correlation_id", VALUE_STRING, id_text(b, attribute));
    batch_builder_set_u32(b, SET_ROWS, FIELD_CORRELATION, row, id_text(b, id));
}
static void ids_of_their_own(struct batch_builder *b, uint32_t row) { put_id(b, row, row, row); }
static void few_ids(struct batch_builder *b, uint32_t row) { put_id(b, row, row % 9, row % 9); }
/* Four rows in five have none, and neither has the attribute. */
static void ids_of_a_fifth(struct batch_builder *b, uint32_t row) {
    if (row % 5 == 3) put_id(b, row, row / 10, row / 10);
}
/* And one of them has its id from elsewhere. */
static void an_id_from_elsewhere(struct batch_builder *b, uint32_t row) {
    ids_of_a_fifth(b, row);
    if (row == 24) batch_builder_set_u32(b, SET_ROWS, FIELD_CORRELATION, row, id_text(b, 24));
}
/* And one has an attribute that was not taken. */
static void an_attribute_that_is_none(struct batch_builder *b, uint32_t row) {
    ids_of_a_fifth(b, row);
    if (row == 24) set_attribute(b, row, "correlation_id", VALUE_STRING, id_text(b, 24));
}
/* The attribute stands twice in some rows. */
static void ids_twice(struct batch_builder *b, uint32_t row) {
    uint32_t key = batch_builder_key(b, STR("correlation_id"), VALUE_STRING), slot = (uint32_t)b->slots.n;
    uint32_t id = id_text(b, row);
    for (int i = 0; i < 2; i++) *vec_push(&b->slots) = id;
    batch_builder_attributes(b, SET_ROWS, row, (uint32_t[]){key, key}, row % 100 ? 1 : 2, slot);
    batch_builder_set_u32(b, SET_ROWS, FIELD_CORRELATION, row, id);
}
static void ids_of_some(struct batch_builder *b, uint32_t row) { put_id(b, row, row % 50 ? row : 7, row); }
static void unique_bytes(struct batch_builder *b, uint32_t row) {
    uint64_t bytes = hash_u64(row);
    set_attribute(b, row, "k", VALUE_BYTES, strings_intern(&b->strings, str_span(&bytes, 8)));
}
static void doubles(struct batch_builder *b, uint32_t row) { set_attribute(b, row, "k", VALUE_DOUBLE, hash_u64(row)); }
static void flags(struct batch_builder *b, uint32_t row) { set_attribute(b, row, "k", VALUE_BOOL, row & 1); }
static void empties(struct batch_builder *b, uint32_t row) { set_attribute(b, row, "k", VALUE_EMPTY, 0); }
static void resources(struct batch_builder *b, uint32_t row) {
    if (row % 40 == 0) batch_builder_row(b, SET_RESOURCES);
    uint32_t resource = b->sets[SET_RESOURCES].n - 1;
    if (row % 40 == 0) batch_builder_set_u32(b, SET_RESOURCES, FIELD_DROPPED_ATTRIBUTES, resource, resource + 1);
    batch_builder_set_u32(b, SET_ROWS, FIELD_RESOURCE, row, resource);
}

enum { NO_BLOCK = 0 };
static const struct encoding_case {
    const char *name;
    fill_fn fill;
    enum signal signal;
    uint8_t field; /* of SET_ROWS */
    uint8_t encoding;
} cases[] = {
    {"small numbers", durations, SIGNAL_SPANS, FIELD_DURATION, ENCODING_INTS},
    {"numbers of all bits", wild_durations, SIGNAL_SPANS, FIELD_DURATION, ENCODING_INTS},
    {"nothing", no_durations, SIGNAL_SPANS, FIELD_DURATION, NO_BLOCK},
    {"ids of 8 bytes", span_ids, SIGNAL_SPANS, FIELD_SPAN_ID, ENCODING_RAW8},
    {"traces of five spans", traces_of_five, SIGNAL_SPANS, FIELD_TRACE_ID, ENCODING_RUNS},
    {"times of traces", traces_of_five, SIGNAL_SPANS, FIELD_TIME, ENCODING_RUN_TIMES},
    {"times without traces", a_trace_each, SIGNAL_SPANS, FIELD_TIME, ENCODING_INTS},
    {"three traces of logs", three_traces, SIGNAL_LOGS, FIELD_TRACE_ID, ENCODING_IDS},
    {"logs of a trace each", a_trace_each, SIGNAL_LOGS, FIELD_TRACE_ID, ENCODING_RUNS},
    {"observed soon after", observed_soon, SIGNAL_LOGS, FIELD_OBSERVED, ENCODING_BASED},
    {"observed seldom", observed_seldom, SIGNAL_LOGS, FIELD_OBSERVED, ENCODING_INTS},
    {"parents", parents, SIGNAL_SPANS, FIELD_PARENT_ID, ENCODING_PARENTS},
    {"few names", few_names, SIGNAL_LOGS, FIELD_NAME, ENCODING_CODES},
    {"names of their own", names_of_their_own, SIGNAL_LOGS, FIELD_NAME, ENCODING_TEXTS},
    {"long names", long_names, SIGNAL_LOGS, FIELD_NAME, ENCODING_OWN},
    {"rare keys", rare_keys, SIGNAL_LOGS, COLUMN_REST, ENCODING_REST},
    {"few strings", few_strings, SIGNAL_SPANS, COLUMN_ATTRIBUTE, ENCODING_CODES},
    {"ids of their own", ids_of_their_own, SIGNAL_LOGS, FIELD_CORRELATION, ENCODING_ATTRIBUTE},
    {"ids of a fifth", ids_of_a_fifth, SIGNAL_SPANS, FIELD_CORRELATION, ENCODING_ATTRIBUTE},
    {"an id from elsewhere", an_id_from_elsewhere, SIGNAL_LOGS, FIELD_CORRELATION, ENCODING_CODES},
    {"an attribute that is none", an_attribute_that_is_none, SIGNAL_LOGS, FIELD_CORRELATION, ENCODING_CODES},
    {"ids twice", ids_twice, SIGNAL_LOGS, FIELD_CORRELATION, ENCODING_TEXTS},
    {"ids that are another's", ids_of_some, SIGNAL_SPANS, FIELD_CORRELATION, ENCODING_TEXTS},
    {"ids of their own, as attributes", ids_of_their_own, SIGNAL_LOGS, COLUMN_ATTRIBUTE, ENCODING_TEXTS},
    {"few ids", few_ids, SIGNAL_SPANS, FIELD_CORRELATION, ENCODING_ATTRIBUTE},
    {"few ids, as attributes", few_ids, SIGNAL_SPANS, COLUMN_ATTRIBUTE, ENCODING_CODES},
    {"ids of some", ids_of_some, SIGNAL_SPANS, COLUMN_ATTRIBUTE, ENCODING_TEXTS},
    {"bytes", unique_bytes, SIGNAL_LOGS, COLUMN_ATTRIBUTE, ENCODING_TEXTS},
    {"doubles", doubles, SIGNAL_LOGS, COLUMN_ATTRIBUTE, ENCODING_INTS},
    {"flags", flags, SIGNAL_LOGS, COLUMN_ATTRIBUTE, ENCODING_INTS},
    {"values without value", empties, SIGNAL_LOGS, COLUMN_ATTRIBUTE, NO_BLOCK},
    {"shapes", few_strings, SIGNAL_LOGS, FIELD_SHAPE, ENCODING_CODES},
    {"resources", resources, SIGNAL_LOGS, FIELD_RESOURCE, ENCODING_CODES},
};

static struct batch_blob *rows_of(enum signal signal, uint32_t n, fill_fn fill) {
    struct batch_builder b;
    batch_builder_init(&b, signal);
    for (uint32_t row = 0; row < n; row++) {
        batch_builder_row(&b, SET_ROWS);
        set_u64(&b, FIELD_TIME, row, 1000 + row);
        fill(&b, row);
    }
    struct batch_blob *blob = batch_builder_finish(&b);
    batch_builder_done(&b);
    return blob;
}

/* The encoding of a field's block in group 0; attributes: of any key. */
static uint8_t encoding_of(const struct part *p, uint8_t field) {
    const struct part_group *g = &p->groups[0];
    for (uint32_t i = 0; i < g->block_count; i++) {
        const struct part_block *b = &p->blocks[g->block_first + i];
        if (b->set == SET_ROWS && b->field == field) return b->encoding;
    }
    return NO_BLOCK;
}

static void check_encoding(const struct encoding_case *c, uint32_t rows) {
    struct batches b = {0}, back = {0};
    struct chance chance = {rows};
    batches_add_blob(&b, rows_of(c->signal, rows, c->fill));
    sim_reset(1);
    struct part *p = part_write_open("p", c->signal, &b);
    uint8_t got = encoding_of(p, c->field);
    if (rows > 500 && got != c->encoding) fail_msg("%s: encoding %d, not %d", c->name, got, c->encoding);
    part_fetch_all(p, &back);
    assert_same_rows(&b, &back);
    part_check_clean("p");
    for (int i = 0; i < 12; i++) part_scan_at_random(&chance, p, 0, &back.all.v[0]);
    part_unref(p);
    batches_done(&back);
    batches_done(&b);
}

static void every_encoding_is_made_and_read(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) check_encoding(&cases[i], 1200);
}

/* The same laws in few rows, where other encodings may win. */
static void a_few_rows_of_any_law_come_back(void **state) {
    (void)state;
    static const uint32_t rows[] = {1, 2, 63, 64, 65};
    for (size_t i = 0; i < LENGTH(cases); i++)
        for (size_t r = 0; r < LENGTH(rows); r++) check_encoding(&cases[i], rows[r]);
}

/* ---- row groups --------------------------------------------------------------------------------------------------- */

/* As few groups as hold the rows, of equal size: no small rest. */
static void groups_are_of_equal_size(void **state) {
    (void)state;
    static const uint32_t rows[] = {PART_GROUP_ROWS - 1, PART_GROUP_ROWS, PART_GROUP_ROWS + 1, 2 * PART_GROUP_ROWS + 1};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct batches b = {0};
        batches_add_blob(&b, rows_of(SIGNAL_LOGS, rows[i], few_names));
        sim_reset(1);
        struct part *p = part_write_open("p", SIGNAL_LOGS, &b);
        uint32_t groups = (rows[i] + PART_GROUP_ROWS - 1) / PART_GROUP_ROWS, before = 0;
        assert_int_equal(part_info(p)->groups, groups);
        assert_true(part_info(p)->time_min == 1000 && part_info(p)->time_max == 1000 + (int64_t)rows[i] - 1);
        for (uint32_t g = 0; g < groups; g++) {
            int64_t low, high;
            uint32_t n;
            part_group_range(p, g, &low, &high, &n);
            assert_true(n <= PART_GROUP_ROWS && n >= rows[i] / groups && n <= rows[i] / groups + 1);
            assert_int_equal(low, 1000 + before); /* logs stand by time: groups do not overlap */
            assert_int_equal(high, low + n - 1);
            before += n;
        }
        assert_int_equal(before, rows[i]);
        part_unref(p);
        batches_done(&b);
    }
}

/* A trace over the border of two groups is found in both. */
static err add_rows(void *context, uint32_t group, const uint32_t *rows, size_t n) {
    uint32_t *found = context;
    (void)rows;
    found[group] += (uint32_t)n;
    return NULL;
}

enum { HALF = PART_GROUP_ROWS / 2 + 10 }; /* rows of each of two groups */

static void one_trace(struct batch_builder *b, uint32_t row) {
    set_trace(b, row, row < 10 ? 0 : row < HALF + 5 ? 1 : 2);
}

static void a_trace_over_two_groups_is_found_whole(void **state) {
    (void)state;
    static const uint32_t want[3][2] = {{10, 0}, {HALF - 10, 5}, {0, HALF - 5}};
    struct batches b = {0};
    batches_add_blob(&b, rows_of(SIGNAL_LOGS, 2 * HALF, one_trace));
    sim_reset(1);
    struct part *p = part_write_open("p", SIGNAL_LOGS, &b);
    for (uint64_t trace = 0; trace < 4; trace++) {
        AUTO_ARENA struct arena a;
        struct scan_stats stats = {0};
        uint64_t id[2] = {__builtin_bswap64(trace + 1), 7};
        uint32_t found[2] = {0, 0};
        arena_init(&a, 16 * MIB);
        OK(part_find_trace(p, (const unsigned char *)id, &a, add_rows, found, &stats));
        for (int g = 0; g < 2; g++) assert_int_equal(found[g], trace < 3 ? want[trace][g] : 0);
    }
    part_unref(p);
    batches_done(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_encoding_is_made_and_read),
        cmocka_unit_test(a_few_rows_of_any_law_come_back),
        cmocka_unit_test(groups_are_of_equal_size),
        cmocka_unit_test(a_trace_over_two_groups_is_found_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
