/* Tests of parts share: batches to write, comparing of rows and answers, questions at random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "os/sim/sim.h"
#include "signal/otlp.h"
#include "store/match/words_priv.h"
#include "store/part/part_testing_priv.h"

void ok_at(err e, int line) {
    if (e) fail_msg("line %d: %s", line, err_text(e));
}

void refused_at(err e, enum err_kind kind, const char *text, int line) {
    if (!e) fail_msg("line %d: taken, but it should say '%s'", line, text);
    if (err_kind(e) != kind || !strstr(err_text(e), text))
        fail_msg("line %d: '%s' is not '%s'", line, err_text(e), text);
    err_free(e);
}

/* ---- batches ------------------------------------------------------------------------------------------------------ */

void batches_add_blob(struct batches *b, struct batch_blob *blob) {
    batch_view(blob, vec_push(&b->all));
    b->rows += b->all.v[b->all.n - 1].rows;
}

void batches_done(struct batches *b) {
    for (size_t i = 0; i < b->all.n; i++) batch_unref(b->all.v[i].blob);
    vec_done(&b->all);
}

void batches_add_random(struct batches *b, struct chance *c, enum signal signal, uint32_t rows) {
    struct batch_builder builder;
    batch_builder_init(&builder, signal);
    random_batch(c, &builder, rows);
    batches_add_blob(b, batch_builder_finish(&builder));
    batch_builder_done(&builder);
}

/* Requests of the load law, as the decoder makes them. */
void batches_add_load(struct batches *b, struct chance *c, enum signal signal, int requests) {
    struct otlp_decoder *d = otlp_decoder_new();
    struct otlp_limits limits = {.time_min = INT64_MIN, .time_max = INT64_MAX};
    AUTO_BUF struct buf body;
    buf_init(&body, 64 * MIB);
    for (int i = 0; i < requests; i++) {
        struct otlp_result result;
        buf_clear(&body);
        load_request(c, signal, &body);
        OK(otlp_decode(d, signal, buf_str(&body), &limits, &result));
        batches_add_blob(b, result.blob);
    }
    otlp_decoder_free(d);
}

/* ---- comparing ---------------------------------------------------------------------------------------------------- */

void assert_same_info(const struct part_info *a, const struct part_info *b) {
    assert_true(a->signal == b->signal && a->id == b->id && a->rows == b->rows && a->bytes == b->bytes);
    assert_true(a->groups == b->groups && a->small_groups == b->small_groups);
    assert_true(a->time_min == b->time_min && a->time_max == b->time_max);
}

struct part *part_write_open(const char *path, enum signal signal, const struct batches *b) {
    struct part_info info;
    struct part *p = NULL;
    OK(part_write(path, signal, 7, b->all.v, b->all.n, INT64_MIN, INT64_MAX, NULL, 64 * MIB, &info));
    OK(part_open(path, &p));
    assert_same_info(&info, part_info(p));
    return p;
}

/* Every row of a group, in order. */
struct batch_blob *part_fetch_group(struct part *p, uint32_t group) {
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

void part_fetch_all(struct part *p, struct batches *out) {
    for (uint32_t group = 0; group < part_info(p)->groups; group++) batches_add_blob(out, part_fetch_group(p, group));
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
void assert_same_rows(const struct batches *a, const struct batches *b) {
    assert_int_equal(a->rows, b->rows);
    struct row_hash *x = hash_rows(a), *y = hash_rows(b);
    for (size_t i = 0; i < a->rows; i++)
        if (!batch_rows_equal(x[i].b, x[i].row, y[i].b, y[i].row)) fail_msg("row %zu of %zu differs", i, a->rows);
    mem_free(x);
    mem_free(y);
}

void assert_ordered(const struct batches *rows) {
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

void part_check_clean(const char *path) {
    AUTO_BUF struct buf text;
    uint64_t bad = 0;
    buf_init(&text, MIB);
    OK(part_check(path, &text, &bad));
    if (bad) fail_msg("%s", text.p);
}

void part_roundtrip(enum signal signal, struct batches *b) {
    struct batches back = {0};
    struct part *p = part_write_open("p", signal, b);
    part_fetch_all(p, &back);
    assert_same_rows(b, &back);
    assert_ordered(&back);
    part_check_clean("p");
    part_unref(p);
    batches_done(&back);
    OK(path_remove("p"));
}

/* ---- questions ----------------------------------------------------------------------------------------------------- */

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

struct column_ref random_column(struct chance *c, const struct batch *b, uint32_t row, struct buf *text, bool wanted) {
    struct column_ref ref = {.target = (enum target)chance_below(c, wanted ? TARGET_ANY + 1 : TARGET_EVENT + 1)};
    enum set s = ref.target == TARGET_RESOURCE ? SET_RESOURCES : ref.target == TARGET_SCOPE ? SET_SCOPES : SET_ROWS;
    uint32_t of = s == SET_RESOURCES ? batch_u32(b, SET_ROWS, FIELD_RESOURCE, row)
                  : s == SET_SCOPES  ? batch_u32(b, SET_ROWS, FIELD_SCOPE, row)
                                     : row;
    struct str value = STR("x");
    if (ref.target == TARGET_FIELD) {
        do ref.field = (enum field)chance_below(c, FIELDS);
        while (field_is_structural(ref.field) || ref.field == FIELD_VERSION || ref.field == FIELD_SCHEMA_URL);
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

void random_predicate(struct chance *c, struct arena *a, const struct batch *b, struct predicate *out) {
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
    if (ref.target == TARGET_FIELD && op != OP_WORDS && chance_one_in(c, 6)) { /* whole, or its end */
        op = OP_ENDS;
        size_t cut = ref.field == FIELD_TRACE_ID && value.n == 32 ? 16
                     : value.n                                    ? chance_below(c, (uint32_t)value.n)
                                                                  : 0;
        value = (struct str){value.p + cut, value.n - cut};
    }
    if (op == OP_MATCH || op == OP_NOT_MATCH) value = is_plain(value) ? value : STR("a.*b");
    OK(predicate_make(a, ref, op, value, out));
}

/* The text of a wanted column by definition; absent: p NULL. */
static struct str vector_text(const struct vector *v, uint32_t i) {
    return v->codes[i] == CODE_ABSENT ? (struct str){0} : v->texts[v->codes[i]];
}

void assert_vectors_equal(const struct vector *a, const struct vector *b, uint32_t n) {
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
void part_compare_scan(struct part *p, uint32_t group, const struct batch *rows, const struct scan_request *q) {
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

void part_scan_at_random(struct chance *c, struct part *p, uint32_t group, const struct batch *rows) {
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
    part_compare_scan(p, group, rows, &q);
    for (size_t i = 0; i < q.predicate_count; i++) predicate_done(&predicates[i]);
}
