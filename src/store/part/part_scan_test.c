/* Questions to a part: every operator on every type of value in every place, against an evaluation of its own, against the batch
 * and against the naive model; what a lack of memory may do, and what it may not. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/text.h"
#include "os/sim/sim.h"
#include "signal/otlp.h"
#include "store/part/part_testing_priv.h"
#include "store/store.h"

/* ---- random questions --------------------------------------------------------------------------------------------- */

static void scans_find_what_the_definition_says(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < (getenv("CLEW_LONG") ? 400 : 24); seed++) {
        struct chance c = {seed};
        struct batches b = {0}, back = {0};
        enum signal signal = seed & 1 ? SIGNAL_LOGS : SIGNAL_SPANS;
        if (seed < 2)
            batches_add_load(&b, &c, signal, 34);
        else if (seed < 10)
            batches_add_load(&b, &c, signal, 2);
        else
            for (int i = 0; i < 3; i++) batches_add_random(&b, &c, signal, 1 + chance_below(&c, 200));
        sim_reset(1);
        struct part *p = part_write_open("p", signal, &b);
        part_fetch_all(p, &back);
        for (int i = 0; i < (seed < 2 ? 30 : 60); i++) {
            uint32_t group = chance_below(&c, part_info(p)->groups);
            part_scan_at_random(&c, p, group, &back.all.v[group]);
        }
        part_unref(p);
        batches_done(&back);
        batches_done(&b);
    }
}

/* ---- one row a value ---------------------------------------------------------------------------------------------- */

static uint64_t bits_of(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

struct sample {
    enum value_type type;
    int64_t integer; /* VALUE_INT, VALUE_BOOL */
    double number;   /* VALUE_DOUBLE */
    struct str text; /* of strings, bytes, nested values: their bytes */
    const char *say; /* what value_write_text shows of bytes and nested values */
};

static const struct sample samples[] = {
    {VALUE_INT, 0, 0, {0}, NULL},
    {VALUE_INT, 1, 0, {0}, NULL},
    {VALUE_INT, -1, 0, {0}, NULL},
    {VALUE_INT, 10, 0, {0}, NULL},
    {VALUE_INT, INT64_MAX, 0, {0}, NULL},
    {VALUE_INT, INT64_MIN, 0, {0}, NULL},
    {VALUE_INT, INT64_MAX - 1, 0, {0}, NULL},
    {VALUE_INT, 1ll << 53, 0, {0}, NULL},
    {VALUE_INT, (1ll << 53) + 1, 0, {0}, NULL},
    {VALUE_DOUBLE, 0, 0.0, {0}, NULL},
    {VALUE_DOUBLE, 0, -0.0, {0}, NULL},
    {VALUE_DOUBLE, 0, 0.5, {0}, NULL},
    {VALUE_DOUBLE, 0, -1, {0}, NULL},
    {VALUE_DOUBLE, 0, 10, {0}, NULL},
    {VALUE_DOUBLE, 0, 1e300, {0}, NULL},
    {VALUE_DOUBLE, 0, 9007199254740992.0, {0}, NULL},
    {VALUE_DOUBLE, 0, 9223372036854775808.0, {0}, NULL},
    {VALUE_DOUBLE, 0, NAN, {0}, NULL},
    {VALUE_DOUBLE, 0, INFINITY, {0}, NULL},
    {VALUE_DOUBLE, 0, -INFINITY, {0}, NULL},
    {VALUE_DOUBLE, 0, 4.9e-324, {0}, NULL},
    {VALUE_BOOL, 0, 0, {0}, NULL},
    {VALUE_BOOL, 1, 0, {0}, NULL},
    {VALUE_STRING, 0, 0, {"", 0}, NULL},
    {VALUE_STRING, 0, 0, {"0", 1}, NULL},
    {VALUE_STRING, 0, 0, {"1", 1}, NULL},
    {VALUE_STRING, 0, 0, {"10", 2}, NULL},
    {VALUE_STRING, 0, 0, {"true", 4}, NULL},
    {VALUE_STRING, 0, 0, {"abc", 3}, NULL},
    {VALUE_STRING, 0, 0, {"ABC", 3}, NULL},
    {VALUE_STRING, 0, 0, {"abc\0d", 5}, NULL},
    {VALUE_STRING, 0, 0, {"ab", 2}, NULL},
    {VALUE_STRING, 0, 0, {"\xc3\xa9t\xc3\xa9", 5}, NULL},
    {VALUE_STRING, 0, 0, {"\xff\xfe", 2}, NULL},
    {VALUE_STRING, 0, 0, {"NaN", 3}, NULL},
    {VALUE_STRING, 0, 0, {"[\"x\"]", 5}, NULL},
    {VALUE_STRING, 0, 0, {"request 35 took 12 ms", 21}, NULL},
    {VALUE_BYTES, 0, 0, {"abc", 3}, "YWJj"},
    {VALUE_BYTES, 0, 0, {"", 0}, ""},
    {VALUE_ANY, 0, 0, {"\x2a\x05\x0a\x03\x0a\x01x", 7}, "[\"x\"]"},
    {VALUE_EMPTY, 0, 0, {0}, ""},
};

/* What is asked, and what the asked text is read as. */
static const struct asked {
    struct str text;
    bool is_number;
} asked[] = {
    {{"0", 1}, true},
    {{"-0", 2}, true},
    {{"1", 1}, true},
    {{"-1", 2}, true},
    {{"0.5", 3}, true},
    {{"10", 2}, true},
    {{"10.0", 4}, true},
    {{"1e1", 3}, true},
    {{"9007199254740992", 16}, true},
    {{"9007199254740993", 16}, true},
    {{"9223372036854775807", 19}, true},
    {{"9223372036854775808", 19}, true},
    {{"-9223372036854775808", 20}, true},
    {{"-9223372036854775809", 20}, true},
    {{"1e300", 5}, true},
    {{"5e-324", 6}, true},
    {{"", 0}, false},
    {{"true", 4}, false},
    {{"false", 5}, false},
    {{"TRUE", 4}, false},
    {{"abc", 3}, false},
    {{"abd", 3}, false},
    {{"ab", 2}, false},
    {{"abc\0d", 5}, false},
    {{"\xc3\xa9", 2}, false},
    {{"NaN", 3}, false},
    {{"inf", 3}, false},
    {{"0x10", 4}, false},
    {{" 1", 2}, false},
    {{"YWJj", 4}, false},
    {{"[\"x\"]", 5}, false},
    {{"request 35 took 12 ms", 21}, false},
};

static bool holds(enum operator op, int order) {
    static const bool rows[6][3] = {{0, 1, 0}, {0, 1, 0}, {1, 0, 0}, {1, 1, 0}, {0, 0, 1}, {0, 1, 1}};
    return rows[op][order + 1];
}

/* A long double holds every int64 and every double exactly. */
static bool number_holds(enum operator op, long double value, long double number) {
    if (isnan(value) || isnan(number)) return false;
    return holds(op, (value > number) - (value < number));
}

/* A text that is an int64 is that number; any other is the double nearest to it. */
static long double number_of(struct str text) {
    char *end;
    errno = 0;
    long long whole = strtoll(text.p, &end, 10);
    return errno || *end ? (long double)strtod(text.p, NULL) : (long double)whole;
}

/* By the words of store/scan.h, without a line of the code under test; negative operators in their positive form. */
static bool value_holds(const struct sample *s, enum operator op, const struct asked *q) {
    bool equality = op == OP_EQUAL || op == OP_NOT_EQUAL;
    if (op == OP_EXISTS || op == OP_ABSENT) return true;
    switch (s->type) {
    case VALUE_INT: return q->is_number && number_holds(op, (long double)s->integer, number_of(q->text));
    case VALUE_DOUBLE:
        return q->is_number && number_holds(op, (long double)s->number, (long double)strtod(q->text.p, NULL));
    case VALUE_BOOL: return equality && str_equal(q->text, s->integer ? STR("true") : STR("false"));
    case VALUE_STRING:
        if (equality) return str_equal(s->text, q->text);
        return !q->is_number && holds(op, (str_compare(s->text, q->text) > 0) - (str_compare(s->text, q->text) < 0));
    case VALUE_BYTES:
    case VALUE_ANY:
    case VALUE_EMPTY: return equality && str_equal(str_of(s->say), q->text);
    case VALUE_TYPES: break;
    }
    return false;
}

static bool is_negative(enum operator op) { return op == OP_NOT_EQUAL || op == OP_ABSENT || op == OP_NOT_MATCH; }

/* Attribute k of a row: sample i, or nothing (the last row). */
static void put_sample(struct batch_builder *b, enum set set, uint32_t row, size_t i) {
    const struct sample *s = &samples[i];
    uint32_t key, slot = (uint32_t)b->slots.n;
    if (i == LENGTH(samples)) return;
    key = batch_builder_key(b, STR("k"), s->type);
    uint64_t value = s->type == VALUE_DOUBLE ? bits_of(s->number) : (uint64_t)s->integer;
    if (s->text.p) value = strings_intern(&b->strings, s->text);
    *vec_push(&b->slots) = value;
    batch_builder_attributes(b, set, row, &key, 1, slot);
}

/* Row i has sample i as attribute k where `target` says. Each has its own resource and scope; spans one event each. */
static struct batch_blob *sample_rows(enum signal signal, enum target target) {
    struct batch_builder b;
    batch_builder_init(&b, signal);
    for (uint32_t i = 0; i <= LENGTH(samples); i++) {
        uint32_t row = batch_builder_row(&b, SET_ROWS);
        uint32_t resource = batch_builder_row(&b, SET_RESOURCES), scope = batch_builder_row(&b, SET_SCOPES);
        batch_builder_set_u64(&b, SET_ROWS, FIELD_TIME, row, i); /* the part keeps this order */
        batch_builder_set_u32(&b, SET_ROWS, FIELD_RESOURCE, row, resource);
        batch_builder_set_u32(&b, SET_ROWS, FIELD_SCOPE, row, scope);
        if (signal == SIGNAL_SPANS) {
            uint32_t event = batch_builder_row(&b, SET_EVENTS);
            batch_builder_set_u32(&b, SET_ROWS, FIELD_EVENT_END, row, event + 1);
            if (target == TARGET_EVENT) put_sample(&b, SET_EVENTS, event, i);
        }
        if (target == TARGET_ATTRIBUTE) put_sample(&b, SET_ROWS, row, i);
        if (target == TARGET_RESOURCE) put_sample(&b, SET_RESOURCES, resource, i);
        if (target == TARGET_SCOPE) put_sample(&b, SET_SCOPES, scope, i);
    }
    struct batch_blob *blob = batch_builder_finish(&b);
    batch_builder_done(&b);
    return blob;
}

struct asking {
    struct part *part;
    struct batch rows; /* as the part has them */
};

static void asking_init(struct asking *a, enum signal signal, struct batch_blob *blob) {
    struct batches b = {0};
    batches_add_blob(&b, blob);
    sim_reset(1);
    a->part = part_write_open("p", signal, &b);
    batch_view(part_fetch_group(a->part, 0), &a->rows);
    batches_done(&b);
}

static void asking_done(struct asking *a) {
    batch_unref(a->rows.blob);
    part_unref(a->part);
}

/* Part, batch and the definition agree (part_compare_scan), and the definition says what the samples say. */
static void ask(const struct asking *a, enum target asked_of, enum operator op, const struct asked *q) {
    AUTO_ARENA struct arena memory;
    struct predicate p;
    arena_init(&memory, MIB);
    OK(predicate_make(&memory, (struct column_ref){.target = asked_of, .key = STR("k")}, op, q->text, &p));
    struct scan_request r = {.time_min = INT64_MIN, .time_max = INT64_MAX, .predicates = &p, .predicate_count = 1};
    part_compare_scan(a->part, 0, &a->rows, &r);
    for (uint32_t row = 0; row < a->rows.rows; row++) {
        bool has = row < LENGTH(samples), want = (has && value_holds(&samples[row], op, q)) != is_negative(op);
        if (predicate_matches_row(&p, &a->rows, row) != want)
            fail_msg("target %d, sample %u, operator %d, '" STR_FMT "': should be %d", asked_of, row, op,
                     STR_ARG(q->text), want);
    }
    predicate_done(&p);
}

static void ask_everything(enum signal signal, enum target place, enum target asked_of) {
    static const enum operator ops[] = {OP_EQUAL,   OP_NOT_EQUAL,     OP_LESS,   OP_LESS_EQUAL,
                                        OP_GREATER, OP_GREATER_EQUAL, OP_EXISTS, OP_ABSENT};
    struct asking a;
    asking_init(&a, signal, sample_rows(signal, place));
    for (size_t o = 0; o < LENGTH(ops); o++)
        for (size_t i = 0; i < LENGTH(asked); i++) ask(&a, asked_of, ops[o], &asked[i]);
    asking_done(&a);
}

static void values_of_rows_match_by_their_type(void **state) {
    (void)state;
    ask_everything(SIGNAL_SPANS, TARGET_ATTRIBUTE, TARGET_ATTRIBUTE);
    ask_everything(SIGNAL_LOGS, TARGET_ATTRIBUTE, TARGET_ANY);
}

static void values_of_resources_match_by_their_type(void **state) {
    (void)state;
    ask_everything(SIGNAL_SPANS, TARGET_RESOURCE, TARGET_RESOURCE);
    ask_everything(SIGNAL_LOGS, TARGET_RESOURCE, TARGET_ANY);
}

static void values_of_scopes_and_events_match_by_their_type(void **state) {
    (void)state;
    ask_everything(SIGNAL_LOGS, TARGET_SCOPE, TARGET_SCOPE);
    ask_everything(SIGNAL_SPANS, TARGET_EVENT, TARGET_EVENT);
}

/* ---- regular expressions ------------------------------------------------------------------------------------------ */

/* The expression is asked of the text that value_write_text gives. */
static void expressions_are_asked_of_the_display_text(void **state) {
    (void)state;
    static const char *const patterns[] = {"",          "^$",   "^0",      "^-",     "1",   "^true$",
                                           "(?i)^abc$", "e\\+", "NaN|Inf", "\\d{2}", "\\[", "\xc3\xa9"};
    struct asking a;
    asking_init(&a, SIGNAL_LOGS, sample_rows(SIGNAL_LOGS, TARGET_ATTRIBUTE));
    for (size_t i = 0; i < LENGTH(patterns); i++)
        for (int op = OP_MATCH; op <= OP_NOT_MATCH; op++) {
            AUTO_ARENA struct arena memory;
            struct predicate p;
            arena_init(&memory, MIB);
            struct column_ref k = {.target = TARGET_ATTRIBUTE, .key = STR("k")};
            OK(predicate_make(&memory, k, (enum operator)op, str_of(patterns[i]), &p));
            struct scan_request r = {
                .time_min = INT64_MIN, .time_max = INT64_MAX, .predicates = &p, .predicate_count = 1};
            part_compare_scan(a.part, 0, &a.rows, &r);
            for (uint32_t row = 0; row < a.rows.rows; row++) {
                AUTO_BUF struct buf text;
                enum value_type type;
                uint64_t value;
                buf_init(&text, KIB);
                bool has = batch_find_attribute(&a.rows, SET_ROWS, row, STR("k"), &type, &value);
                if (has) value_write_text(&a.rows, type, value, &text);
                bool want = (has && predicate_matches_text(&p, buf_str(&text))) != (op == OP_NOT_MATCH);
                if (predicate_matches_row(&p, &a.rows, row) != want) fail_msg("%s of row %u", patterns[i], row);
            }
            predicate_done(&p);
        }
    asking_done(&a);
}

/* ---- several values of one name ----------------------------------------------------------------------------------- */

/* One value that matches is enough; for the negative operators none may. */
static void several_values_of_a_name_are_asked_together(void **state) {
    (void)state;
    enum { PAIRS = LENGTH(samples) - 1 };
    static const enum operator ops[] = {OP_EQUAL, OP_NOT_EQUAL, OP_LESS, OP_GREATER_EQUAL, OP_EXISTS, OP_ABSENT};
    struct batch_builder b;
    struct asking a;
    batch_builder_init(&b, SIGNAL_LOGS);
    for (uint32_t i = 0; i < PAIRS; i++) { /* sample i, then the one after it, under the same name */
        uint32_t row = batch_builder_row(&b, SET_ROWS), keys[2], slot = (uint32_t)b.slots.n;
        batch_builder_set_u64(&b, SET_ROWS, FIELD_TIME, row, i);
        for (uint32_t k = 0; k < 2; k++) {
            const struct sample *s = &samples[i + k];
            keys[k] = batch_builder_key(&b, STR("k"), s->type);
            uint64_t value = s->type == VALUE_DOUBLE ? bits_of(s->number) : (uint64_t)s->integer;
            *vec_push(&b.slots) = s->text.p ? strings_intern(&b.strings, s->text) : value;
        }
        batch_builder_attributes(&b, SET_ROWS, row, keys, 2, slot);
    }
    asking_init(&a, SIGNAL_LOGS, batch_builder_finish(&b));
    batch_builder_done(&b);
    for (size_t o = 0; o < LENGTH(ops); o++)
        for (size_t i = 0; i < LENGTH(asked); i++) {
            AUTO_ARENA struct arena memory;
            struct predicate p;
            arena_init(&memory, MIB);
            struct column_ref k = {.target = TARGET_ANY, .key = STR("k")};
            OK(predicate_make(&memory, k, ops[o], asked[i].text, &p));
            struct scan_request r = {
                .time_min = INT64_MIN, .time_max = INT64_MAX, .predicates = &p, .predicate_count = 1};
            part_compare_scan(a.part, 0, &a.rows, &r);
            for (uint32_t row = 0; row < PAIRS; row++) {
                bool one = value_holds(&samples[row], ops[o], &asked[i]),
                     two = value_holds(&samples[row + 1], ops[o], &asked[i]);
                assert_int_equal(predicate_matches_row(&p, &a.rows, row), (one || two) != is_negative(ops[o]));
            }
            predicate_done(&p);
        }
    asking_done(&a);
}

/* ---- fields ------------------------------------------------------------------------------------------------------- */

static struct batch_blob *random_blob(uint64_t seed, enum signal signal, uint32_t rows) {
    struct chance c = {seed};
    struct batch_builder b;
    batch_builder_init(&b, signal);
    random_batch(&c, &b, rows);
    struct batch_blob *blob = batch_builder_finish(&b);
    batch_builder_done(&b);
    return blob;
}

/* Every field of either signal, those that it has not included, with every operator. */
static void every_field_answers_every_operator(void **state) {
    (void)state;
    static const char *const texts[] = {"",
                                        "0",
                                        "1",
                                        "a",
                                        "-1",
                                        "9223372036854775807",
                                        "1e10",
                                        "0000000000000000",
                                        "00000000000000000000000000000000",
                                        "ABCDEF0123456789",
                                        "b.*"};
    for (int signal = 0; signal < SIGNALS; signal++) {
        struct asking a;
        asking_init(&a, (enum signal)signal, random_blob(5, (enum signal)signal, 90));
        for (int f = 0; f < FIELDS; f++)
            for (int op = OP_EQUAL; op <= OP_ABSENT; op++)
                for (size_t i = 0; i < LENGTH(texts); i++) {
                    AUTO_ARENA struct arena memory;
                    struct predicate p;
                    if (f == FIELD_VERSION || f == FIELD_SCHEMA_URL || field_is_structural((enum field)f)) continue;
                    arena_init(&memory, MIB);
                    OK(predicate_make(&memory, (struct column_ref){.target = TARGET_FIELD, .field = (enum field)f},
                                      (enum operator)op, str_of(texts[i]), &p));
                    struct scan_request r = {
                        .time_min = INT64_MIN, .time_max = INT64_MAX, .predicates = &p, .predicate_count = 1};
                    part_compare_scan(a.part, 0, &a.rows, &r);
                    predicate_done(&p);
                }
        asking_done(&a);
    }
}

/* ---- times -------------------------------------------------------------------------------------------------------- */

/* Both ends are included, times over the signed range count as its maximum, a range upside down has nothing. */
static void ranges_include_both_ends(void **state) {
    (void)state;
    static const uint64_t times[] = {0, 1, 2, 100, INT64_MAX - 1, INT64_MAX, 1ull << 63, UINT64_MAX};
    static const int64_t ends[] = {INT64_MIN, -1, 0, 1, 2, 3, 99, 100, 101, INT64_MAX - 1, INT64_MAX};
    struct batch_builder b;
    struct asking a;
    batch_builder_init(&b, SIGNAL_LOGS);
    for (size_t i = 0; i < LENGTH(times); i++)
        batch_builder_set_u64(&b, SET_ROWS, FIELD_TIME, batch_builder_row(&b, SET_ROWS), times[i]);
    asking_init(&a, SIGNAL_LOGS, batch_builder_finish(&b));
    batch_builder_done(&b);
    for (size_t i = 0; i < LENGTH(ends); i++)
        for (size_t j = 0; j < LENGTH(ends); j++) {
            struct scan_request r = {.time_min = ends[i], .time_max = ends[j]};
            part_compare_scan(a.part, 0, &a.rows, &r);
        }
    asking_done(&a);
}

/* ---- against the model -------------------------------------------------------------------------------------------- */

struct model_answer {
    struct part *part;
    const struct scan_request *request;
    uint32_t chunks;
};

/* The one chunk of the model has the same rows and the same values as the part's. */
static enum scan_next compare_chunk(void *context, const struct chunk *model) {
    struct model_answer *m = context;
    AUTO_ARENA struct arena memory;
    struct scan_stats stats = {0};
    struct chunk from_part = {0};
    struct part_scan *scan;
    bool may_match;
    arena_init(&memory, 64 * MIB);
    OK(part_scan_open(m->part, m->request, &memory, &scan, &may_match));
    assert_true(may_match);
    OK(part_scan_group(scan, 0, &memory, &from_part, &stats));
    assert_int_equal(from_part.n, model->n);
    assert_memory_equal(from_part.rows, model->rows, model->n * sizeof *model->rows);
    for (size_t i = 0; i < m->request->column_count; i++)
        assert_vectors_equal(&from_part.columns[i], &model->columns[i], model->n);
    m->chunks++;
    return SCAN_GO_ON;
}

static void ask_model(struct chance *c, struct snapshot *model, const struct asking *a) {
    AUTO_ARENA struct arena memory, scratch;
    AUTO_BUF struct buf text;
    struct predicate predicates[2];
    struct column_ref columns[4];
    struct scan_stats stats = {0};
    arena_init(&memory, 16 * MIB);
    arena_init(&scratch, 64 * MIB);
    buf_init(&text, MIB);
    struct scan_request r = {
        .time_min = INT64_MIN, .time_max = INT64_MAX, .predicates = predicates, .columns = columns};
    for (r.predicate_count = 0; r.predicate_count < chance_below(c, 3); r.predicate_count++)
        random_predicate(c, &memory, &a->rows, &predicates[r.predicate_count]);
    for (; r.column_count < LENGTH(columns); r.column_count++)
        columns[r.column_count] = random_column(c, &a->rows, chance_below(c, a->rows.rows), &text, true);
    for (size_t i = 0; i < r.column_count; i++) /* of fields, those of the signal: others have no value to compare */
        if (columns[i].target == TARGET_FIELD && !field_in(columns[i].field, a->rows.signal, SET_ROWS))
            columns[i].field = FIELD_TIME;
    struct model_answer answer = {a->part, &r, 0};
    OK(snapshot_scan(model, &r, &scratch, compare_chunk, &answer, &stats));
    if (!answer.chunks) {
        part_compare_scan(a->part, 0, &a->rows, &r);
        assert_int_equal(stats.rows_matched, 0);
    }
    for (size_t i = 0; i < r.predicate_count; i++) predicate_done(&predicates[i]);
}

static void wanted_columns_are_those_of_the_model(void **state) {
    (void)state;
    uint64_t seeds = getenv("CLEW_LONG") ? 2000 : 40;
    for (uint64_t seed = 0; seed < seeds; seed++) {
        struct chance c = {seed};
        struct asking a;
        struct store_options o = {0};
        struct snapshot *sn;
        enum signal signal = seed & 1 ? SIGNAL_LOGS : SIGNAL_SPANS;
        asking_init(&a, signal, random_blob(seed, signal, 120));
        struct store *model = store_model_open(&o);
        OK(store_append(model, STR("default"), batch_ref(a.rows.blob), NULL, NULL));
        OK(store_snapshot(model, STR("default"), signal, &sn));
        for (int i = 0; i < 12; i++) ask_model(&c, sn, &a);
        snapshot_free(sn);
        OK(store_close(model));
        asking_done(&a);
    }
}

/* ---- the index of traces ------------------------------------------------------------------------------------------ */

/* Logs whose names change every 50 rows, so that their codes are stored as ints and must be unpacked to be checked. */
static struct batch_blob *names_in_runs(uint32_t rows) {
    struct batch_builder b;
    batch_builder_init(&b, SIGNAL_LOGS);
    for (uint32_t i = 0; i < rows; i++) {
        char name[32];
        uint32_t row = batch_builder_row(&b, SET_ROWS);
        snprintf(name, sizeof name, "x.%u", i / 50);
        batch_builder_set_u64(&b, SET_ROWS, FIELD_TIME, row, i);
        batch_builder_set_u32(&b, SET_ROWS, FIELD_NAME, row, strings_intern(&b.strings, str_of(name)));
        batch_builder_set_id16(&b, SET_ROWS, FIELD_TRACE_ID, row, (uint64_t[2]){i / 7 % 9, 1});
    }
    struct batch_blob *blob = batch_builder_finish(&b);
    batch_builder_done(&b);
    return blob;
}

static bool may_have_trace(struct part *p, uint64_t low, enum operator op) {
    AUTO_ARENA struct arena memory;
    AUTO_BUF struct buf hex;
    struct predicate is_trace;
    struct part_scan *scan;
    struct column_ref trace = {.target = TARGET_FIELD, .field = FIELD_TRACE_ID};
    bool may_match = false;
    arena_init(&memory, MIB);
    buf_init(&hex, 64);
    put_hex(&hex, (uint64_t[2]){low, 1}, 16);
    OK(predicate_make(&memory, trace, op, buf_str(&hex), &is_trace));
    struct scan_request r = {.time_min = INT64_MIN,
                             .time_max = INT64_MAX,
                             .predicates = &is_trace,
                             .predicate_count = 1,
                             .count_only = true};
    OK(part_scan_open(p, &r, &memory, &scan, &may_match));
    predicate_done(&is_trace);
    return may_match;
}

static void a_trace_is_looked_up_in_the_index(void **state) {
    (void)state;
    struct asking a;
    asking_init(&a, SIGNAL_LOGS, names_in_runs(3000));
    uint32_t others = 0;
    for (uint64_t trace = 0; trace < 9; trace++) assert_true(may_have_trace(a.part, trace, OP_EQUAL));
    for (uint64_t trace = 9; trace < 109; trace++) others += may_have_trace(a.part, trace, OP_EQUAL);
    assert_true(others < 5); /* the index holds a part of each hash */
    assert_true(may_have_trace(a.part, 50, OP_NOT_EQUAL));
    asking_done(&a);
}

/* ---- memory ------------------------------------------------------------------------------------------------------- */

struct lack {
    uint32_t limited, answered;
};

/* With `limit` bytes: an answer, the right one, or ERR_LIMIT; never a block called damaged. */
static void ask_with_little(const struct asking *a, const struct predicate *p, size_t limit, struct lack *out) {
    AUTO_ARENA struct arena memory;
    struct column_ref wanted[] = {{.target = TARGET_FIELD, .field = FIELD_NAME},
                                  {.target = TARGET_ANY, .key = STR("x")},
                                  {.target = TARGET_FIELD, .field = FIELD_TRACE_ID}};
    struct scan_request r = {.time_min = INT64_MIN,
                             .time_max = INT64_MAX,
                             .predicates = p,
                             .predicate_count = 1,
                             .columns = wanted,
                             .column_count = LENGTH(wanted)};
    struct scan_stats stats = {0};
    struct chunk chunk = {0};
    struct part_scan *scan;
    struct part *fresh; /* nothing checked yet: first touches need memory too */
    bool may_match = false;
    uint32_t want = 0;
    arena_init(&memory, limit);
    OK(part_open("p", &fresh));
    for (uint32_t row = 0; row < a->rows.rows; row++) want += predicate_matches_row(p, &a->rows, row);
    err e = part_scan_open(fresh, &r, &memory, &scan, &may_match);
    if (!e && may_match) e = part_scan_group(scan, 0, &memory, &chunk, &stats);
    if (stats.bad_blocks) fail_msg("with %zu bytes: %s", limit, stats.bad_text);
    if (e)
        assert_int_equal(err_kind(e), ERR_LIMIT);
    else
        assert_int_equal(chunk.n, want);
    *(e ? &out->limited : &out->answered) += 1;
    err_free(e);
    part_unref(fresh);
}

static void lack_of_memory(enum signal signal, struct batch_blob *blob) {
    struct asking a;
    struct lack lack = {0};
    asking_init(&a, signal, blob);
    for (size_t limit = 0; limit < 2 * MIB; limit += limit < 64 * KIB ? 4096 : limit / 7)
        for (uint64_t seed = 0; seed < 6; seed++) {
            AUTO_ARENA struct arena memory;
            struct chance c = {seed};
            struct predicate p;
            arena_init(&memory, MIB);
            random_predicate(&c, &memory, &a.rows, &p);
            ask_with_little(&a, &p, limit, &lack);
            predicate_done(&p);
        }
    assert_true(lack.limited > 20 && lack.answered > 20);
    asking_done(&a);
}

/* One question, at every 4 KiB more. */
static void a_first_touch_without_memory_is_no_damage(void **state) {
    (void)state;
    AUTO_ARENA struct arena memory;
    struct asking a;
    struct lack lack = {0};
    struct predicate p;
    struct column_ref name = {.target = TARGET_FIELD, .field = FIELD_NAME};
    arena_init(&memory, MIB);
    OK(predicate_make(&memory, name, OP_GREATER, STR("x.5"), &p));
    asking_init(&a, SIGNAL_LOGS, names_in_runs(3000));
    for (size_t limit = 0; limit < MIB; limit += 4096) ask_with_little(&a, &p, limit, &lack);
    assert_true(lack.limited > 5 && lack.answered > 100);
    predicate_done(&p);
    asking_done(&a);
}

static void a_lack_of_memory_is_no_damage(void **state) {
    (void)state;
    lack_of_memory(SIGNAL_SPANS, random_blob(9, SIGNAL_SPANS, 1200));
    lack_of_memory(SIGNAL_LOGS, random_blob(9, SIGNAL_LOGS, 1200));
    lack_of_memory(SIGNAL_LOGS, names_in_runs(3000));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scans_find_what_the_definition_says),
        cmocka_unit_test(values_of_rows_match_by_their_type),
        cmocka_unit_test(values_of_resources_match_by_their_type),
        cmocka_unit_test(values_of_scopes_and_events_match_by_their_type),
        cmocka_unit_test(expressions_are_asked_of_the_display_text),
        cmocka_unit_test(several_values_of_a_name_are_asked_together),
        cmocka_unit_test(every_field_answers_every_operator),
        cmocka_unit_test(ranges_include_both_ends),
        cmocka_unit_test(wanted_columns_are_those_of_the_model),
        cmocka_unit_test(a_trace_is_looked_up_in_the_index),
        cmocka_unit_test(a_first_touch_without_memory_is_no_damage),
        cmocka_unit_test(a_lack_of_memory_is_no_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
