/* What a part says that it takes: to the byte the file's size, however it was written or merged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "os/sim/sim.h"
#include "store/part/part_testing_priv.h"

/* ---- what was told ------------------------------------------------------------------------------------------------ */

struct told {
    const struct part *p;
    uint64_t bytes[SIZE_KINDS], resource_rows, resource_bytes;
    uint64_t rows_of[64];
    size_t pieces;
};

/* By definition: looks through all blocks for those of the column. */
static struct size_piece sum_blocks(const struct part *p, const struct size_piece *like) {
    struct size_piece sum = {0};
    for (uint32_t i = 0; i < p->block_count; i++) {
        const struct part_block *b = &p->blocks[i];
        bool same = b->set == like->set;
        if (like->kind == SIZE_FIELD)
            same = same && b->field < FIELDS && str_equal(str_of(field_rows[b->field].name), like->name);
        else if (like->kind == SIZE_RARE)
            same = same && b->field == COLUMN_REST;
        else
            same = same && b->field == COLUMN_ATTRIBUTE && p->keys[b->key].type == (uint32_t)like->type &&
                   str_equal(part_string(&p->strings, p->keys[b->key].name), like->name);
        if (!same) continue;
        sum.bytes += b->size;
        sum.values += b->count;
    }
    return sum;
}

static void on_piece(void *context, const struct size_piece *piece) {
    struct told *t = context;
    t->bytes[piece->kind] += piece->bytes;
    t->pieces++;
    if (piece->kind >= SIZE_DICTIONARY) return;
    struct size_piece want = sum_blocks(t->p, piece);
    assert_int_equal(piece->bytes, want.bytes);
    assert_int_equal(piece->values, want.values);
}

static void on_resource(void *context, const struct batch *b, uint32_t row, uint64_t rows, uint64_t bytes) {
    struct told *t = context;
    assert_ptr_equal(b, &t->p->entities);
    t->resource_rows += rows;
    t->resource_bytes += bytes;
    if (row < LENGTH(t->rows_of)) t->rows_of[row] = rows;
}

/* Rows of each resource, from the rows themselves. */
static void check_resource_rows(struct part *p, const struct told *t) {
    uint64_t rows_of[64] = {0};
    for (uint32_t g = 0; g < p->info.groups; g++) {
        AUTO_ARENA struct arena a;
        struct scan_stats stats = {0};
        struct group_reader r;
        struct column c;
        arena_init(&a, 256 * MIB);
        group_reader_init(&r, p, g, &a, &stats);
        OK(column_open(&r, SET_ROWS, FIELD_RESOURCE, &c));
        for (uint32_t i = 0; i < r.g->set_rows[SET_ROWS]; i++) {
            uint32_t code;
            OK(column_entities(&r, &c, &i, 1, &code));
            if (code < LENGTH(rows_of)) rows_of[code]++;
        }
    }
    assert_memory_equal(rows_of, t->rows_of, sizeof rows_of);
}

static void check_sizes(struct part *p) {
    struct told t = {.p = p};
    struct size_sink sink = {.piece = on_piece, .resource = on_resource, .context = &t};
    struct scan_stats stats = {0};
    struct file *f;
    uint64_t size, sum = 0, blocks = 0;
    OK(file_open(part_path(p), FILE_READ, &f));
    OK(file_size(f, &size));
    file_close(f);
    OK(part_piece_sizes(p, &sink));
    OK(part_resource_sizes(p, &(struct scan_request){0}, &sink, &stats));
    for (int k = 0; k < SIZE_KINDS; k++) sum += t.bytes[k];
    for (uint32_t i = 0; i < p->block_count; i++) blocks += p->blocks[i].size;
    assert_int_equal(sum, size);
    assert_int_equal(t.bytes[SIZE_FIELD] + t.bytes[SIZE_ATTRIBUTE] + t.bytes[SIZE_RARE], blocks);
    assert_true(t.bytes[SIZE_FRAME] >= sizeof(struct part_header) + sizeof(struct part_footer));
    assert_true(t.bytes[SIZE_FRAME] <= sizeof(struct part_header) + sizeof(struct part_footer) +
                                           PART_ALIGN_GROUP * (uint64_t)p->info.groups +
                                           PART_ALIGN_BLOCK * ((uint64_t)p->block_count + SECTIONS));
    assert_int_equal(t.resource_rows, p->info.rows);
    assert_int_equal(t.resource_bytes, size);
    assert_int_equal(stats.bad_blocks, 0);
    check_resource_rows(p, &t);
}

/* ---- parts -------------------------------------------------------------------------------------------------------- */

static void sizes_add_up_to_the_file(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct chance c = {seed};
        struct batches b = {0};
        enum signal signal = seed & 1 ? SIGNAL_LOGS : SIGNAL_SPANS;
        for (uint32_t n = 1 + chance_below(&c, 6); n > 0; n--)
            batches_add_random(&b, &c, signal, 1 + chance_below(&c, 200));
        sim_reset(seed);
        struct part *p = part_write_open("p", signal, &b);
        check_sizes(p);
        part_unref(p);
        batches_done(&b);
    }
}

static void sizes_of_the_load_and_of_merges_add_up(void **state) {
    (void)state;
    for (int signal = 0; signal < SIGNALS; signal++) {
        struct chance c = {7};
        struct batches b[2] = {0};
        struct part *parts[2], *merged;
        struct part_info info;
        sim_reset(1);
        batches_add_load(&b[0], &c, (enum signal)signal, 45); /* more than one group */
        batches_add_random(&b[1], &c, (enum signal)signal, 300);
        parts[0] = part_write_open("a", (enum signal)signal, &b[0]);
        parts[1] = part_write_open("b", (enum signal)signal, &b[1]);
        check_sizes(parts[0]);
        OK(part_merge("m", 9, parts, 2, NULL, 64 * MIB, &info));
        OK(part_open("m", &merged));
        assert_int_equal(info.rows, b[0].rows + b[1].rows);
        check_sizes(merged);
        part_unref(merged);
        for (int i = 0; i < 2; i++) {
            part_unref(parts[i]);
            batches_done(&b[i]);
        }
    }
}

static bool always(const void *context) {
    (void)context;
    return true;
}

static void counting_by_resource_can_be_cancelled(void **state) {
    (void)state;
    struct chance c = {3};
    struct batches b = {0};
    struct told t = {0};
    struct scan_stats stats = {0};
    struct size_sink sink = {.resource = on_resource, .context = &t};
    sim_reset(1);
    batches_add_random(&b, &c, SIGNAL_LOGS, 50);
    struct part *p = part_write_open("p", SIGNAL_LOGS, &b);
    REFUSED(part_resource_sizes(p, &(struct scan_request){.is_cancelled = always}, &sink, &stats), CANCELLED, "");
    assert_int_equal(t.resource_rows, 0);
    part_unref(p);
    batches_done(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_add_up_to_the_file),
        cmocka_unit_test(sizes_of_the_load_and_of_merges_add_up),
        cmocka_unit_test(counting_by_resource_can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
