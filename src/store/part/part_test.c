/* Parts against what was written and against predicate_matches_row: random rows and rows of the load law, by seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/hash.h"
#include "os/file.h"
#include "os/sim/sim.h"
#include "signal/otlp.h"
#include "signal/testing_priv.h"
#include "store/part/part_read_priv.h"
#include "store/part/part_write_priv.h"
#include "store/match/words_heap_priv.h"
#include "store/match/words_priv.h"

static void ok_at(err e, int line) {
    if (e) fail_msg("line %d: %s", line, err_text(e));
}
#define OK(call) ok_at((call), __LINE__)

/* ---- batches ------------------------------------------------------------------------------------------------------ */

struct batches {
    VEC(struct batch) all;
    size_t rows;
};

static void add_blob(struct batches *b, struct batch_blob *blob) {
    batch_view(blob, vec_push(&b->all));
    b->rows += b->all.v[b->all.n - 1].rows;
}

static void batches_done(struct batches *b) {
    for (size_t i = 0; i < b->all.n; i++) batch_unref(b->all.v[i].blob);
    vec_done(&b->all);
}

static void add_random(struct batches *b, struct chance *c, enum signal signal, uint32_t rows) {
    struct batch_builder builder;
    batch_builder_init(&builder, signal);
    random_batch(c, &builder, rows);
    add_blob(b, batch_builder_finish(&builder));
    batch_builder_done(&builder);
}

/* Requests of the load law, as the decoder makes them. */
static void add_load(struct batches *b, struct chance *c, enum signal signal, int requests) {
    struct otlp_decoder *d = otlp_decoder_new();
    struct otlp_limits limits = {.time_min = INT64_MIN, .time_max = INT64_MAX};
    AUTO_BUF struct buf body;
    buf_init(&body, 64 * MIB);
    for (int i = 0; i < requests; i++) {
        struct otlp_result result;
        buf_clear(&body);
        load_request(c, signal, &body);
        OK(otlp_decode(d, signal, buf_str(&body), &limits, &result));
        add_blob(b, result.blob);
    }
    otlp_decoder_free(d);
}

/* ---- comparing ---------------------------------------------------------------------------------------------------- */

static void assert_same_info(const struct part_info *a, const struct part_info *b) {
    assert_true(a->signal == b->signal && a->id == b->id && a->rows == b->rows && a->bytes == b->bytes);
    assert_true(a->groups == b->groups && a->small_groups == b->small_groups);
    assert_true(a->time_min == b->time_min && a->time_max == b->time_max);
}

static struct part *write_open(const char *path, enum signal signal, const struct batches *b) {
    struct part_info info;
    struct part *p = NULL;
    OK(part_write(path, signal, 7, b->all.v, b->all.n, INT64_MIN, INT64_MAX, NULL, 64 * MIB, &info));
    OK(part_open(path, &p));
    assert_same_info(&info, part_info(p));
    return p;
}

/* Every row of a group, in order. */
static struct batch_blob *fetch_group(struct part *p, uint32_t group) {
    struct scan_stats stats = {0};
    struct batch_builder builder;
    int64_t low, high;
    uint32_t n;
    part_group_range(p, group, &low, &high, &n);
    uint32_t *rows = mem_new_array(uint32_t, n);
    for (uint32_t i = 0; i < n; i++) rows[i] = i;
    batch_builder_init(&builder, part_info(p)->signal);
    OK(part_fetch(p, group, rows, n, &builder, &stats));
    if (stats.bad_blocks) fail_msg("%s", stats.bad_text);
    struct batch_blob *blob = batch_builder_finish(&builder), *checked = NULL;
    OK(batch_open(batch_bytes(blob), &checked)); /* what is fetched can be sent and logged */
    batch_unref(checked);
    batch_builder_done(&builder);
    mem_free(rows);
    return blob;
}

static void fetch_all(struct part *p, struct batches *out) {
    for (uint32_t group = 0; group < part_info(p)->groups; group++) add_blob(out, fetch_group(p, group));
}

struct row_hash {
    uint64_t hash;
    const struct batch *b;
    uint32_t row;
};

static int compare_hashes(const void *a, const void *b) {
    uint64_t x = ((const struct row_hash *)a)->hash, y = ((const struct row_hash *)b)->hash;
    return (x > y) - (x < y);
}

static struct row_hash *hash_rows(const struct batches *b) {
    struct row_hash *v = mem_new_array(struct row_hash, b->rows);
    size_t n = 0;
    for (size_t i = 0; i < b->all.n; i++)
        for (uint32_t row = 0; row < b->all.v[i].rows; row++)
            v[n++] = (struct row_hash){batch_row_hash(&b->all.v[i], row), &b->all.v[i], row};
    qsort(v, n, sizeof *v, compare_hashes);
    return v;
}

/* The same rows, however often and in whatever order. */
static void assert_same_rows(const struct batches *a, const struct batches *b) {
    assert_int_equal(a->rows, b->rows);
    struct row_hash *x = hash_rows(a), *y = hash_rows(b);
    for (size_t i = 0; i < a->rows; i++)
        if (!batch_rows_equal(x[i].b, x[i].row, y[i].b, y[i].row)) fail_msg("row %zu of %zu differs", i, a->rows);
    mem_free(x);
    mem_free(y);
}

static void assert_ordered(const struct batches *rows) {
    for (size_t i = 0; i < rows->all.n; i++) {
        const struct batch *b = &rows->all.v[i];
        for (uint32_t row = 1; row < b->rows; row++) {
            uint64_t before = batch_u64(b, SET_ROWS, FIELD_TIME, row - 1),
                     time = batch_u64(b, SET_ROWS, FIELD_TIME, row);
            bool same_trace =
                b->signal == SIGNAL_LOGS || memcmp(batch_id16(b, SET_ROWS, FIELD_TRACE_ID, row),
                                                   batch_id16(b, SET_ROWS, FIELD_TRACE_ID, row - 1), 16) == 0;
            assert_true(!same_trace || before <= time);
        }
    }
}

static void check_part(const char *path) {
    AUTO_BUF struct buf text;
    uint64_t bad = 0;
    buf_init(&text, MIB);
    OK(part_check(path, &text, &bad));
    if (bad) fail_msg("%s", text.p);
}

static void roundtrip(enum signal signal, struct batches *b) {
    struct batches back = {0};
    struct part *p = write_open("p", signal, b);
    fetch_all(p, &back);
    assert_same_rows(b, &back);
    assert_ordered(&back);
    check_part("p");
    part_unref(p);
    batches_done(&back);
    OK(path_remove("p"));
}

/* ---- rows come back ----------------------------------------------------------------------------------------------- */

static void random_rows_come_back_equal(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct chance c = {seed};
        struct batches b = {0};
        enum signal signal = seed & 1 ? SIGNAL_LOGS : SIGNAL_SPANS;
        for (uint32_t n = 1 + chance_below(&c, 6); n > 0; n--) add_random(&b, &c, signal, 1 + chance_below(&c, 200));
        sim_reset(seed);
        roundtrip(signal, &b);
        batches_done(&b);
    }
}

static void rows_of_the_load_come_back_equal(void **state) {
    (void)state;
    for (int signal = 0; signal < SIGNALS; signal++) {
        struct chance c = {77};
        struct batches b = {0};
        add_load(&b, &c, (enum signal)signal, 45);
        sim_reset(1);
        roundtrip((enum signal)signal, &b);
        batches_done(&b);
    }
}

/* A builder with n spans, each with the attributes that `fill` gives it. */
static void many_keys_go_to_the_rest_column(void **state) {
    (void)state;
    struct batch_builder builder;
    struct batches b = {0};
    batch_builder_init(&builder, SIGNAL_LOGS);
    for (uint32_t i = 0; i < 3000; i++) {
        char name[32];
        uint32_t row = batch_builder_row(&builder, SET_ROWS), keys[3], slot = (uint32_t)builder.slots.n;
        batch_builder_set_u64(&builder, SET_ROWS, FIELD_TIME, row, i);
        for (uint32_t k = 0; k < 3; k++) {
            snprintf(name, sizeof name, "key%u", k == 0 ? 0 : i / 2 * k);
            keys[k] = batch_builder_key(&builder, str_of(name), k == 2 ? VALUE_INT : VALUE_STRING);
            *vec_push(&builder.slots) = k == 2 ? i : strings_intern(&builder.strings, str_of(name));
        }
        batch_builder_attributes(&builder, SET_ROWS, row, keys, 3, slot);
    }
    add_blob(&b, batch_builder_finish(&builder));
    batch_builder_done(&builder);
    sim_reset(1);
    struct part *p = write_open("p", SIGNAL_LOGS, &b);
    assert_true(p->block_count < 300);
    part_unref(p);
    OK(path_remove("p"));
    roundtrip(SIGNAL_LOGS, &b);
    batches_done(&b);
}

static bool drops_odd(void *context, const struct batch *b, uint32_t row) {
    (void)context;
    return batch_u64(b, SET_ROWS, FIELD_TIME, row) & 1;
}
static bool drops_all(void *context, const struct batch *b, uint32_t row) {
    (void)context, (void)b, (void)row;
    return true;
}

static void rows_outside_or_dropped_stay_out(void **state) {
    (void)state;
    struct chance c = {5};
    struct batches b = {0}, back = {0};
    struct part_info info;
    struct part *p = NULL;
    struct row_filter odd = {drops_odd, NULL}, all = {drops_all, NULL};
    add_random(&b, &c, SIGNAL_LOGS, 500);
    sim_reset(1);
    int64_t low = b.all.v[0].time_min + 1, high = b.all.v[0].time_max - 1;
    OK(part_write("p", SIGNAL_LOGS, 1, b.all.v, 1, low, high, &odd, 64 * MIB, &info));
    assert_true(info.rows < 500 && info.time_min >= low && info.time_max <= high);
    OK(part_open("p", &p));
    fetch_all(p, &back);
    for (uint32_t row = 0; row < back.all.v[0].rows; row++) assert_false(drops_odd(NULL, &back.all.v[0], row));
    err e = part_write("none", SIGNAL_LOGS, 1, b.all.v, 1, low, high, &all, 64 * MIB, &info);
    assert_true(e && err_kind(e) == ERR_NOT_FOUND && !path_exists("none"));
    err_free(e);
    part_doom(p);
    part_unref(p);
    assert_false(path_exists("p"));
    batches_done(&back);
    batches_done(&b);
}

static void any_rows_in_any_order_are_fetched(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct chance c = {seed};
        struct batches b = {0};
        struct scan_stats stats = {0};
        struct batch_builder builder;
        enum signal signal = seed & 1 ? SIGNAL_LOGS : SIGNAL_SPANS;
        if (seed < 4)
            add_load(&b, &c, signal, 8);
        else
            add_random(&b, &c, signal, 300);
        sim_reset(1);
        struct part *p = write_open("p", signal, &b);
        struct batch_blob *whole_blob = fetch_group(p, 0);
        struct batch whole, some;
        uint32_t rows[40], n = 1 + chance_below(&c, LENGTH(rows));
        batch_view(whole_blob, &whole);
        for (uint32_t i = 0; i < n; i++) rows[i] = chance_below(&c, whole.rows);
        batch_builder_init(&builder, signal);
        random_batch(&c, &builder, 3); /* there may be rows already */
        OK(part_fetch(p, 0, rows, n, &builder, &stats));
        struct batch_blob *some_blob = batch_builder_finish(&builder);
        batch_view(some_blob, &some);
        assert_int_equal(some.rows, n + 3);
        for (uint32_t i = 0; i < n; i++) assert_true(batch_rows_equal(&whole, rows[i], &some, i + 3));
        batch_unref(some_blob);
        batch_unref(whole_blob);
        batch_builder_done(&builder);
        part_unref(p);
        batches_done(&b);
    }
}

/* ---- traces ------------------------------------------------------------------------------------------------------- */

struct found {
    struct batches *groups;
    const unsigned char *id;
    size_t rows;
};

static err count_found(void *context, uint32_t group, const uint32_t *rows, size_t n) {
    struct found *f = context;
    const struct batch *b = &f->groups->all.v[group];
    for (size_t i = 0; i < n; i++) {
        assert_true(i == 0 || rows[i] > rows[i - 1]);
        assert_memory_equal(batch_id16(b, SET_ROWS, FIELD_TRACE_ID, rows[i]), f->id, 16);
    }
    f->rows += n;
    return NULL;
}

static void every_trace_is_found_whole(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct chance c = {seed};
        struct batches b = {0}, back = {0};
        enum signal signal = seed & 1 ? SIGNAL_LOGS : SIGNAL_SPANS;
        AUTO_ARENA struct arena arena;
        struct scan_stats stats = {0};
        arena_init(&arena, 256 * MIB);
        if (seed < 2)
            add_load(&b, &c, signal, 40);
        else
            add_random(&b, &c, signal, 400);
        sim_reset(1);
        struct part *p = write_open("p", signal, &b);
        fetch_all(p, &back);
        for (int i = 0; i < 100; i++) {
            const struct batch *from = &b.all.v[chance_below(&c, (uint32_t)b.all.n)];
            struct found f = {&back, batch_id16(from, SET_ROWS, FIELD_TRACE_ID, chance_below(&c, from->rows)), 0};
            size_t want = 0;
            for (size_t j = 0; j < b.all.n; j++)
                for (uint32_t row = 0; row < b.all.v[j].rows; row++)
                    want += memcmp(batch_id16(&b.all.v[j], SET_ROWS, FIELD_TRACE_ID, row), f.id, 16) == 0;
            OK(part_find_trace(p, f.id, &arena, count_found, &f, &stats));
            assert_int_equal(f.rows, want);
            arena_clear(&arena);
        }
        part_unref(p);
        batches_done(&back);
        batches_done(&b);
    }
}

/* ---- words of many strings at once -------------------------------------------------------------------------------- */

static void words_of_a_heap_are_those_of_its_strings(void **state) {
    (void)state;
    static const char *const searches[] = {
        "ab", "a*",      "\"b a\"", "ab b* \"a\"", "\"[a\" \"{a\"", "\xc3\xa9* a\xc3\xa9", "ba ab aab", "\"a ab\" aba*",
        "a",  "\"\xc3\""};
    static const char letters[] = "abAB [{\xc3\xa9_1";
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct chance c = {seed};
        AUTO_ARENA struct arena a;
        char heap[2000];
        uint32_t end[60], found[60] = {0}, n = 1 + chance_below(&c, LENGTH(end)), size = 0, any = 0;
        for (uint32_t i = 0; i < n; i++) {
            for (uint32_t k = chance_below(&c, chance_one_in(&c, 9) ? 100 : 9); k > 0 && size < sizeof heap; k--)
                heap[size++] = letters[chance_below(&c, sizeof letters - 1)];
            end[i] = size;
        }
        struct words *w;
        arena_init(&a, MIB);
        OK(words_parse(&a, str_of(searches[chance_below(&c, LENGTH(searches))]), &w));
        char *exact = mem_new(size + 1); /* so that the sanitizer sees one byte too far */
        memcpy(exact, heap, size);
        exact = mem_grow(exact, size ? size : 1);
        uint32_t got = words_find_all(w, exact, end, n, found);
        for (uint32_t i = 0; i < n; i++) {
            struct str text = {exact + (i ? end[i - 1] : 0), end[i] - (i ? end[i - 1] : 0)};
            if (found[i] != words_find(w, text)) fail_msg("seed %d, string %u", (int)seed, i);
            any |= found[i];
        }
        assert_int_equal(got, any);
        mem_free(exact);
    }
}

/* ---- scans -------------------------------------------------------------------------------------------------------- */

static struct str some_value(struct chance *c, const struct batch *b, enum set s, uint32_t row, struct str *out_key,
                             struct buf *text) {
    struct batch_attributes a = batch_attributes(b, s, row);
    *out_key = STR("no.such.key");
    if (!a.n) return STR("x");
    uint32_t i = chance_below(c, a.n);
    const struct batch_key *k = &b->keys[a.keys[i]];
    *out_key = batch_string(b, k->name);
    value_write_text(b, (enum value_type)k->type, a.values[i], text);
    return buf_str(text);
}

static struct column_ref random_column(struct chance *c, const struct batch *b, uint32_t row, struct buf *text,
                                       bool wanted) {
    struct column_ref ref = {.target = (enum target)chance_below(c, wanted ? TARGET_ANY + 1 : TARGET_EVENT + 1)};
    enum set s = ref.target == TARGET_RESOURCE ? SET_RESOURCES : ref.target == TARGET_SCOPE ? SET_SCOPES : SET_ROWS;
    uint32_t of = s == SET_RESOURCES ? batch_u32(b, SET_ROWS, FIELD_RESOURCE, row)
                  : s == SET_SCOPES  ? batch_u32(b, SET_ROWS, FIELD_SCOPE, row)
                                     : row;
    struct str value = STR("x");
    if (ref.target == TARGET_FIELD) {
        do ref.field = (enum field)chance_below(c, FIELD_EVENT_END);
        while (ref.field == FIELD_VERSION || ref.field == FIELD_SCHEMA_URL);
        if (field_rows[ref.field].type == FIELD_STRING) value = batch_text(b, SET_ROWS, ref.field, row);
        if (field_rows[ref.field].type == FIELD_U32)
            buf_add_fmt(text, "%u", batch_u32(b, SET_ROWS, ref.field, row));
        else if (field_rows[ref.field].type == FIELD_U64)
            buf_add_fmt(text, "%lld", (long long)batch_u64(b, SET_ROWS, ref.field, row));
        else if (field_rows[ref.field].type == FIELD_ID16)
            for (int i = 0; i < 16; i++) buf_add_fmt(text, "%02x", batch_id16(b, SET_ROWS, ref.field, row)[i]);
        else if (field_rows[ref.field].type == FIELD_ID8)
            for (int i = 0; i < 8; i++)
                buf_add_fmt(text, "%02x", (unsigned)(batch_u64(b, SET_ROWS, ref.field, row) >> 8 * i & 255));
        else
            buf_add_str(text, value);
    } else if (ref.target == TARGET_EVENT) {
        uint32_t n = b->set_rows[SET_EVENTS];
        if (n && !chance_one_in(c, 3)) {
            some_value(c, b, SET_EVENTS, chance_below(c, n), &ref.key, text);
        } else {
            ref.key = STR("name");
            if (n) buf_add_str(text, batch_text(b, SET_EVENTS, FIELD_NAME, chance_below(c, n)));
        }
    } else if (ref.target == TARGET_SCOPE && chance_one_in(c, 3)) {
        ref.key = chance_one_in(c, 2) ? STR("name") : STR("version");
        buf_add_str(text, batch_text(b, SET_SCOPES, FIELD_NAME, of));
    } else {
        some_value(c, b, s, of, &ref.key, text);
    }
    return ref;
}

static bool is_plain(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9'))) return false;
    return s.n > 0;
}

static void random_predicate(struct chance *c, struct arena *a, const struct batch *b, struct predicate *out) {
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    uint32_t row = chance_below(c, b->rows);
    struct column_ref ref = random_column(c, b, row, &text, false);
    enum operator op =(enum operator) chance_below(c, OP_WORDS + 1);
    struct str value = buf_str(&text);
    if (value.n > 4000) value.n = 4000;
    if (op == OP_WORDS) {
        static const char *const words[] = {"a",   "b* c", "\"ab\"",   "completed",
                                            "GET", "re*",  "\"0\" a*", "timeout error"};
        ref = (struct column_ref){.target = TARGET_TEXT};
        value = is_plain(value) && chance_one_in(c, 2) ? value : str_of(words[chance_below(c, LENGTH(words))]);
    }
    if (op == OP_MATCH || op == OP_NOT_MATCH) value = is_plain(value) ? value : STR("a.*b");
    OK(predicate_make(a, ref, op, value, out));
}

/* The text of a wanted column by definition; absent: p NULL. */
static struct str vector_text(const struct vector *v, uint32_t i) {
    return v->codes[i] == CODE_ABSENT ? (struct str){0} : v->texts[v->codes[i]];
}

static void assert_vectors_equal(const struct vector *a, const struct vector *b, uint32_t n) {
    assert_int_equal(a->type, b->type);
    for (uint32_t i = 0; i < n; i++) {
        if (a->type == VECTOR_U64) {
            assert_true(a->u64[i] == b->u64[i]);
        } else if (a->type == VECTOR_ID16) {
            assert_memory_equal(a->id16 + 16 * (size_t)i, b->id16 + 16 * (size_t)i, 16);
        } else {
            struct str x = vector_text(a, i), y = vector_text(b, i);
            if ((x.p == NULL) != (y.p == NULL) || !str_equal(x, y))
                fail_msg("row %u: '" STR_FMT "' against '" STR_FMT "'", i, STR_ARG(x), STR_ARG(y));
        }
    }
}

static const char *describe(const struct scan_request *q) {
    static char text[1024];
    size_t n = 0;
    for (size_t i = 0; i < q->predicate_count; i++) {
        const struct predicate *p = &q->predicates[i];
        n += (size_t)snprintf(text + n, sizeof text - n, "; target %d field %d key " STR_FMT " op %d text %.100s",
                              p->column.target, p->column.field, STR_ARG(p->column.key), p->op, p->text.p);
    }
    return text;
}

/* One request against a part and against the same rows as a batch, and both against the definition. */
static void compare_scan(struct part *p, uint32_t group, const struct batch *rows, const struct scan_request *q) {
    AUTO_ARENA struct arena a;
    struct scan_stats stats = {0};
    struct chunk from_part = {0}, from_batch = {0}, counted = {0};
    struct part_scan *scan;
    bool may_match;
    arena_init(&a, 512 * MIB);
    OK(part_scan_open(p, q, &a, &scan, &may_match));
    if (may_match) OK(part_scan_group(scan, group, &a, &from_part, &stats));
    OK(batch_scan(rows, q, &a, &from_batch, &stats));
    if (stats.bad_blocks) fail_msg("%s", stats.bad_text);
    uint32_t n = 0;
    for (uint32_t row = 0; row < rows->rows; row++) {
        uint64_t raw = batch_u64(rows, SET_ROWS, FIELD_TIME, row);
        int64_t time = raw > INT64_MAX ? INT64_MAX : (int64_t)raw;
        bool want = time >= q->time_min && time <= q->time_max;
        for (size_t i = 0; i < q->predicate_count; i++)
            want = want && predicate_matches_row(&q->predicates[i], rows, row);
        bool in_part = n < from_part.n && from_part.rows[n] == row,
             in_batch = n < from_batch.n && from_batch.rows[n] == row;
        if (in_part != want || in_batch != want)
            fail_msg("row %u: want %d, part %d, batch %d: %s", row, want, in_part, in_batch, describe(q));
        n += want;
    }
    assert_true(n == from_part.n && n == from_batch.n);
    for (size_t i = 0; n && i < q->column_count; i++)
        assert_vectors_equal(&from_part.columns[i], &from_batch.columns[i], n);
    struct scan_request count = *q;
    count.count_only = true;
    OK(part_scan_open(p, &count, &a, &scan, &may_match));
    if (may_match) OK(part_scan_group(scan, group, &a, &counted, &stats));
    assert_int_equal(counted.n, n);
}

static void scan_at_random(struct chance *c, struct part *p, uint32_t group, const struct batch *rows) {
    AUTO_ARENA struct arena a;
    AUTO_BUF struct buf text;
    struct predicate predicates[3];
    struct column_ref columns[3];
    arena_init(&a, 16 * MIB);
    buf_init(&text, MIB);
    struct scan_request q = {.time_min = INT64_MIN,
                             .time_max = INT64_MAX,
                             .predicates = predicates,
                             .predicate_count = chance_below(c, LENGTH(predicates) + 1),
                             .columns = columns,
                             .column_count = chance_below(c, LENGTH(columns) + 1)};
    if (chance_one_in(c, 3)) {
        q.time_min = time_clamp(batch_u64(rows, SET_ROWS, FIELD_TIME, chance_below(c, rows->rows)));
        q.time_max = time_clamp(batch_u64(rows, SET_ROWS, FIELD_TIME, chance_below(c, rows->rows)));
    }
    for (size_t i = 0; i < q.predicate_count; i++) random_predicate(c, &a, rows, &predicates[i]);
    for (size_t i = 0; i < q.column_count; i++)
        columns[i] = random_column(c, rows, chance_below(c, rows->rows), &text, true);
    compare_scan(p, group, rows, &q);
    for (size_t i = 0; i < q.predicate_count; i++) predicate_done(&predicates[i]);
}

static void scans_find_what_the_definition_says(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct chance c = {seed};
        struct batches b = {0}, back = {0};
        enum signal signal = seed & 1 ? SIGNAL_LOGS : SIGNAL_SPANS;
        if (seed < 2)
            add_load(&b, &c, signal, 34);
        else if (seed < 10)
            add_load(&b, &c, signal, 2);
        else
            for (int i = 0; i < 3; i++) add_random(&b, &c, signal, 1 + chance_below(&c, 200));
        sim_reset(1);
        struct part *p = write_open("p", signal, &b);
        fetch_all(p, &back);
        for (int i = 0; i < (seed < 2 ? 30 : 60); i++) {
            uint32_t group = chance_below(&c, part_info(p)->groups);
            scan_at_random(&c, p, group, &back.all.v[group]);
        }
        part_unref(p);
        batches_done(&back);
        batches_done(&b);
    }
}

/* ---- merges ------------------------------------------------------------------------------------------------------- */

static bool touches_some(void *context, const struct part *p, uint32_t group) {
    (void)context;
    return (part_info(p)->id + group) % 2 == 0;
}

/* Parts of both kinds of data, merged, and the result merged again, hold the union. */
static void merge_case(uint64_t seed, enum signal signal, int requests, bool filtered) {
    struct chance c = {seed};
    struct batches all = {0}, back = {0};
    struct part *parts[3], *merged = NULL, *again = NULL;
    struct part_info info;
    struct merge_filter filter = {touches_some, NULL, NULL};
    sim_reset(seed);
    for (uint64_t i = 0; i < LENGTH(parts); i++) {
        char path[16];
        struct batches b = {0};
        snprintf(path, sizeof path, "p%d", (int)i);
        add_random(&b, &c, signal, 1 + chance_below(&c, 100));
        add_load(&b, &c, signal, requests);
        OK(part_write(path, signal, i, b.all.v, b.all.n, INT64_MIN, INT64_MAX, NULL, 64 * MIB, &info));
        OK(part_open(path, &parts[i]));
        for (size_t j = 0; j < b.all.n; j++) add_blob(&all, b.all.v[j].blob);
        vec_done(&b.all);
    }
    if (filtered) filter.drops = drops_odd;
    OK(part_merge("m", 9, parts, LENGTH(parts), filtered ? &filter : NULL, 64 * MIB, &info));
    OK(part_open("m", &merged));
    assert_same_info(&info, part_info(merged));
    OK(part_merge("n", 10, &merged, 1, NULL, 64 * MIB, &info));
    OK(part_open("n", &again));
    check_part("n");
    fetch_all(again, &back);
    if (!filtered) assert_same_rows(&all, &back);
    for (int i = 0; i < 12; i++) {
        uint32_t group = chance_below(&c, info.groups);
        scan_at_random(&c, again, group, &back.all.v[group]);
    }
    for (size_t i = 0; i < LENGTH(parts); i++) part_unref(parts[i]);
    part_unref(merged);
    part_unref(again);
    batches_done(&back);
    batches_done(&all);
}

static void merged_parts_hold_the_union(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++)
        merge_case(seed, seed & 1 ? SIGNAL_LOGS : SIGNAL_SPANS, seed < 2 ? 20 : 1, false);
    merge_case(11, SIGNAL_SPANS, 18, true);
    merge_case(12, SIGNAL_LOGS, 1, true);
}

/* ---- damage ------------------------------------------------------------------------------------------------------- */

/* Any flipped bit: the part is refused, or answers are right, or the bad block is named and its rows are left out. */
static void a_flipped_bit_is_never_an_answer(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct chance c = {seed};
        struct batches b = {0};
        struct scan_stats stats = {0};
        struct batch_builder builder;
        struct part *p = NULL;
        enum signal signal = seed & 1 ? SIGNAL_LOGS : SIGNAL_SPANS;
        struct part_info info;
        add_random(&b, &c, signal, 60);
        sim_reset(1);
        OK(part_write("p", signal, 1, b.all.v, 1, INT64_MIN, INT64_MAX, NULL, 64 * MIB, &info));
        OK(sim_flip_bit("p", chance_below(&c, (uint32_t)info.bytes), chance_below(&c, 8)));
        err e = part_open("p", &p);
        if (e) {
            assert_true(err_kind(e) == ERR_CORRUPT || err_kind(e) == ERR_INVALID);
            err_free(e);
            batches_done(&b);
            continue;
        }
        uint32_t rows[60];
        for (uint32_t i = 0; i < 60; i++) rows[i] = i;
        batch_builder_init(&builder, signal);
        OK(part_fetch(p, 0, rows, 60, &builder, &stats));
        struct batches back = {0};
        add_blob(&back, batch_builder_finish(&builder));
        if (stats.bad_blocks) {
            assert_int_equal(back.rows, 0);
            assert_non_null(strstr(stats.bad_text, "part p, group 0"));
        } else {
            assert_same_rows(&b, &back);
        }
        batch_builder_done(&builder);
        part_unref(p);
        batches_done(&back);
        batches_done(&b);
    }
}

static void a_failed_write_leaves_no_file(void **state) {
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct chance c = {3};
        struct batches b = {0};
        struct part_info info;
        add_random(&b, &c, SIGNAL_SPANS, 50);
        sim_reset(1);
        sim_fail_at(n, ERR_IO);
        err e = part_write("p", SIGNAL_SPANS, 1, b.all.v, 1, INT64_MIN, INT64_MAX, NULL, 64 * MIB, &info);
        batches_done(&b);
        if (!e) {
            assert_int_equal(sim_faults(), 0);
            break;
        }
        err_free(e);
        assert_true(n > 20 || !path_exists("p"));
    }
}

static void a_newer_format_is_refused_with_advice(void **state) {
    (void)state;
    struct chance c = {3};
    struct batches b = {0};
    struct part_info info;
    struct part *p;
    add_random(&b, &c, SIGNAL_SPANS, 5);
    sim_reset(1);
    OK(part_write("p", SIGNAL_SPANS, 1, b.all.v, 1, INT64_MIN, INT64_MAX, NULL, 64 * MIB, &info));
    struct part_header header;
    struct file *f;
    size_t n;
    OK(file_open("p", FILE_WRITE, &f));
    OK(file_read(f, &header, sizeof header, 0, &n));
    header.version = PART_VERSION + 1;
    OK(file_write(f, &header, sizeof header, 0));
    err e = part_open("p", &p);
    assert_int_equal(err_kind(e), ERR_CORRUPT); /* a damaged version is not a newer one */
    err_free(e);
    header.checksum = hash_bytes(&header, offsetof(struct part_header, checksum));
    OK(file_write(f, &header, sizeof header, 0));
    file_close(f);
    e = part_open("p", &p);
    assert_int_equal(err_kind(e), ERR_INVALID);
    assert_non_null(strstr(err_text(e), "newer clew"));
    err_free(e);
    batches_done(&b);
}

static void a_dump_names_every_column(void **state) {
    (void)state;
    struct chance c = {8};
    struct batches b = {0};
    struct part_info info;
    AUTO_BUF struct buf text;
    buf_init(&text, 64 * MIB);
    add_load(&b, &c, SIGNAL_SPANS, 1);
    sim_reset(1);
    OK(part_write("p", SIGNAL_SPANS, 1, b.all.v, 1, INT64_MIN, INT64_MAX, NULL, 64 * MIB, &info));
    OK(part_dump("p", 2, &text));
    const char *wanted[] = {"part of spans", "trace_id: runs of ids", "http.status_code (int)", "resourceSpans",
                            "group 0"};
    for (size_t i = 0; i < LENGTH(wanted); i++)
        if (!strstr(text.p, wanted[i])) fail_msg("%s is missing in\n%.3000s", wanted[i], text.p);
    batches_done(&b);
}

/* Traces of one start, in descending order, whose ids cancel the constant of an unkeyed hash: where tables turn into lists or ties
 * are sorted by insertion, this takes minutes. */
static void traces_made_to_collide_take_no_longer(void **state) {
    (void)state;
    enum { TRACES = 100000 };
    struct batches b = {0};
    struct batch_builder builder;
    batch_builder_init(&builder, SIGNAL_SPANS);
    for (uint64_t i = 0; i < TRACES; i++) {
        uint64_t id[2] = {__builtin_bswap64(TRACES - i), 0xe7037ed1a0b428dbu};
        uint32_t row = batch_builder_row(&builder, SET_ROWS);
        batch_builder_set_id16(&builder, SET_ROWS, FIELD_TRACE_ID, row, id);
        batch_builder_set_u64(&builder, SET_ROWS, FIELD_SPAN_ID, row, i + 1);
        batch_builder_set_u64(&builder, SET_ROWS, FIELD_TIME, row, 1000);
    }
    add_blob(&b, batch_builder_finish(&builder));
    batch_builder_done(&builder);
    row_refs order = {0};
    part_order_rows(b.all.v, 1, INT64_MIN, INT64_MAX, NULL, &order);
    assert_int_equal(order.n, TRACES);
    for (uint32_t i = 0; i < TRACES; i++) assert_int_equal(order.v[i].row, TRACES - 1 - i);
    vec_done(&order);
    batches_done(&b);
}

/* Spans of half a million events each: a group of all of them could be written, but never opened. */
static void events_of_many_rows_are_spread_over_groups(void **state) {
    (void)state;
    enum { SPANS = 40, EVENTS = 1 << 19 };
    struct batches b = {0};
    struct batch_builder builder;
    batch_builder_init(&builder, SIGNAL_SPANS);
    for (uint32_t i = 0; i < SPANS; i++) {
        if (i % 10 == 0 && i) add_blob(&b, batch_builder_finish(&builder));
        uint32_t row = batch_builder_row(&builder, SET_ROWS);
        batch_builder_set_id16(&builder, SET_ROWS, FIELD_TRACE_ID, row, "0123456789abcdef");
        batch_builder_set_u64(&builder, SET_ROWS, FIELD_TIME, row, i);
        for (uint32_t k = 0; k < EVENTS; k++) batch_builder_row(&builder, SET_EVENTS);
        batch_builder_set_u32(&builder, SET_ROWS, FIELD_EVENT_END, row, builder.sets[SET_EVENTS].n);
    }
    add_blob(&b, batch_builder_finish(&builder));
    batch_builder_done(&builder);
    sim_reset(1);
    struct part *p = write_open("p", SIGNAL_SPANS, &b);
    assert_int_equal(part_info(p)->rows, SPANS);
    assert_int_equal(part_info(p)->groups, SPANS); /* with 64 MiB no two fit into one */
    part_unref(p);
    batches_done(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_rows_come_back_equal),
        cmocka_unit_test(rows_of_the_load_come_back_equal),
        cmocka_unit_test(many_keys_go_to_the_rest_column),
        cmocka_unit_test(rows_outside_or_dropped_stay_out),
        cmocka_unit_test(any_rows_in_any_order_are_fetched),
        cmocka_unit_test(every_trace_is_found_whole),
        cmocka_unit_test(words_of_a_heap_are_those_of_its_strings),
        cmocka_unit_test(scans_find_what_the_definition_says),
        cmocka_unit_test(merged_parts_hold_the_union),
        cmocka_unit_test(a_flipped_bit_is_never_an_answer),
        cmocka_unit_test(a_failed_write_leaves_no_file),
        cmocka_unit_test(a_newer_format_is_refused_with_advice),
        cmocka_unit_test(a_dump_names_every_column),
        cmocka_unit_test(traces_made_to_collide_take_no_longer),
        cmocka_unit_test(events_of_many_rows_are_spread_over_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
