/* Hostile bytes and a failing disk: every byte of a small part flipped, every length cut, headers and directories that lie. */
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
        batches_add_random(&b, &c, signal, 60);
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
        batches_add_blob(&back, batch_builder_finish(&builder));
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
        batches_add_random(&b, &c, SIGNAL_SPANS, 50);
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
    batches_add_random(&b, &c, SIGNAL_SPANS, 5);
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
    batches_add_load(&b, &c, SIGNAL_SPANS, 1);
    sim_reset(1);
    OK(part_write("p", SIGNAL_SPANS, 1, b.all.v, 1, INT64_MIN, INT64_MAX, NULL, 64 * MIB, &info));
    OK(part_dump("p", 2, &text));
    const char *wanted[] = {"part of spans", "trace_id: runs of ids", "http.status_code (int)", "resourceSpans",
                            "group 0"};
    for (size_t i = 0; i < LENGTH(wanted); i++)
        if (!strstr(text.p, wanted[i])) fail_msg("%s is missing in\n%.3000s", wanted[i], text.p);
    batches_done(&b);
}

/* ---- a small part in memory --------------------------------------------------------------------------------------- */

struct small {
    enum signal signal;
    struct batches rows; /* as the part has them: one group */
    char *good, *bytes;  /* 8-byte aligned */
    size_t n;
};

static void small_init(struct small *s, enum signal signal, uint64_t seed, uint32_t rows) {
    struct chance c = {seed};
    struct batches b = {0};
    struct file *f;
    size_t got;
    *s = (struct small){.signal = signal};
    batches_add_random(&b, &c, signal, rows);
    sim_reset(1);
    struct part *p = part_write_open("p", signal, &b);
    part_fetch_all(p, &s->rows);
    s->n = (size_t)part_info(p)->bytes;
    s->good = mem_new(s->n + 8);
    s->bytes = mem_new(s->n + 8);
    OK(file_open("p", FILE_READ, &f));
    OK(file_read(f, s->good, s->n, 0, &got));
    assert_int_equal(got, s->n);
    file_close(f);
    memcpy(s->bytes, s->good, s->n);
    part_unref(p);
    batches_done(&b);
}

static void small_done(struct small *s) {
    batches_done(&s->rows);
    mem_free(s->good);
    mem_free(s->bytes);
}

static const struct {
    struct column_ref column;
    enum operator op;
    const char *text;
} questions[] = {
    {{TARGET_FIELD, FIELD_TIME, {0}}, OP_GREATER, "0"},
    {{TARGET_FIELD, FIELD_NAME, {0}}, OP_NOT_EQUAL, "a"},
    {{TARGET_FIELD, FIELD_SPAN_ID, {0}}, OP_EXISTS, ""},
    {{TARGET_FIELD, FIELD_TRACE_ID, {0}}, OP_MATCH, "[1-9]"},
    {{TARGET_FIELD, FIELD_FLAGS, {0}}, OP_LESS, "1000"},
    {{TARGET_ATTRIBUTE, 0, {"x", 1}}, OP_EXISTS, ""},
    {{TARGET_ANY, 0, {"a.b", 3}}, OP_NOT_MATCH, "a"},
    {{TARGET_RESOURCE, 0, {"user.id", 7}}, OP_ABSENT, ""},
    {{TARGET_SCOPE, 0, {"name", 4}}, OP_GREATER_EQUAL, "b"},
    {{TARGET_EVENT, 0, {"name", 4}}, OP_EXISTS, ""},
    {{TARGET_TEXT, 0, {0}}, OP_WORDS, "a*"},
    {{TARGET_FIELD, FIELD_BODY, {0}}, OP_MATCH, "a"},
    {{TARGET_FIELD, FIELD_PARENT_ID, {0}}, OP_ABSENT, ""},
    {{TARGET_ATTRIBUTE, 0, {"http.route", 10}}, OP_LESS, "5"},
};

/* A question to the part: the right rows unless a bad block is named. `right`: wrong answers fail. */
static void ask(struct small *s, struct part *p, size_t question, bool right) {
    AUTO_ARENA struct arena a;
    const struct batch *rows = &s->rows.all.v[0];
    struct scan_stats stats = {0};
    struct column_ref wanted[] = {{.field = FIELD_TIME}, {.field = FIELD_NAME}, {TARGET_ANY, 0, {"x", 1}}};
    struct predicate predicate;
    struct chunk chunk = {0};
    struct part_scan *scan;
    bool may_match = false;
    arena_init(&a, 64 * MIB);
    OK(predicate_make(&a, questions[question].column, questions[question].op, str_of(questions[question].text),
                      &predicate));
    struct scan_request r = {.time_min = INT64_MIN,
                             .time_max = INT64_MAX - 1,
                             .predicates = &predicate,
                             .predicate_count = 1,
                             .columns = wanted,
                             .column_count = LENGTH(wanted)};
    err e = part_scan_open(p, &r, &a, &scan, &may_match);
    if (!e && may_match) e = part_scan_group(scan, 0, &a, &chunk, &stats);
    if (right && !e && !stats.bad_blocks) {
        uint32_t n = 0;
        for (uint32_t row = 0; row < rows->rows; row++) {
            if (time_clamp(batch_u64(rows, SET_ROWS, FIELD_TIME, row)) == INT64_MAX) continue;
            if (!predicate_matches_row(&predicate, rows, row)) continue;
            assert_true(n < chunk.n && chunk.rows[n] == row);
            assert_true(chunk.columns[0].u64[n++] == batch_u64(rows, SET_ROWS, FIELD_TIME, row));
        }
        assert_int_equal(n, chunk.n);
    }
    if (right && e) fail_msg("question %zu: %s", question, err_text(e));
    err_free(e);
    predicate_done(&predicate);
}

static err count_rows(void *context, uint32_t group, const uint32_t *rows, size_t n) {
    (void)group, (void)rows;
    *(size_t *)context += n;
    return NULL;
}

static void find_traces(struct small *s, struct part *p, bool right) {
    const struct batch *b = &s->rows.all.v[0];
    for (uint32_t row = 0; row < b->rows; row += 3) {
        AUTO_ARENA struct arena a;
        struct scan_stats stats = {0};
        const unsigned char *id = batch_id16(b, SET_ROWS, FIELD_TRACE_ID, row);
        size_t found = 0, want = 0;
        arena_init(&a, 16 * MIB);
        for (uint32_t i = 0; i < b->rows; i++) want += memcmp(id, batch_id16(b, SET_ROWS, FIELD_TRACE_ID, i), 16) == 0;
        err e = part_find_trace(p, id, &a, count_rows, &found, &stats);
        if (right && !stats.bad_blocks) assert_true(!e && found == want);
        err_free(e);
    }
}

static void fetch(struct small *s, struct part *p, bool right) {
    struct scan_stats stats = {0};
    struct batch_builder b;
    struct batches back = {0};
    int64_t low, high;
    uint32_t n, rows[64];
    part_group_range(p, 0, &low, &high, &n);
    n = MIN(n, (uint32_t)LENGTH(rows));
    for (uint32_t i = 0; i < n; i++) rows[i] = n - 1 - i;
    batch_builder_init(&b, s->signal);
    err e = part_fetch(p, 0, rows, n, &b, &stats);
    if (!e) batches_add_blob(&back, batch_builder_finish(&b));
    if (right) {
        if (e) fail_msg("%s", err_text(e));
        assert_true(stats.bad_blocks ? back.rows == 0 && stats.bad_text[0] : back.rows == s->rows.rows);
        if (!stats.bad_blocks) assert_same_rows(&s->rows, &back);
    }
    err_free(e);
    batches_done(&back);
    batch_builder_done(&b);
}

/* All that can be done with a part, whatever its bytes; `turn` chooses two of the questions. Returns whether it opened. */
static bool use(struct small *s, bool trust, size_t turn) {
    struct part *p;
    err e = part_open_bytes(str_span(s->bytes, s->n), trust, &p);
    if (e) {
        assert_true(err_kind(e) == ERR_CORRUPT || err_kind(e) == ERR_INVALID || err_kind(e) == ERR_LIMIT);
        err_free(e);
        return false;
    }
    if (part_info(p)->groups) {
        ask(s, p, turn % LENGTH(questions), !trust);
        ask(s, p, turn / 3 % LENGTH(questions), !trust);
        fetch(s, p, !trust);
    }
    find_traces(s, p, !trust);
    part_unref(p);
    return true;
}

/* ---- every byte --------------------------------------------------------------------------------------------------- */

static void flip_every_byte(enum signal signal, bool trust) {
    struct small s;
    bool all = getenv("CLEW_LONG") != NULL;
    size_t opened = 0, refused = 0;
    small_init(&s, signal, 11, 5);
    for (size_t at = 0; at < s.n; at++)
        for (unsigned bit = 0; bit < (all ? 9u : 1u); bit++) {
            unsigned flip = all ? (bit == 8 ? 0xff : 1u << bit) : 1u << hash_u64(at) % 8;
            s.bytes[at] = (char)(s.good[at] ^ (int)flip);
            if (use(&s, trust, at))
                opened++;
            else
                refused++;
            s.bytes[at] = s.good[at];
        }
    assert_true(opened > 100 && refused > 100);
    assert_true(use(&s, trust, 0)); /* unharmed by all this */
    small_done(&s);
}

static void any_flipped_byte_of_spans_is_no_wrong_answer(void **state) {
    (void)state, flip_every_byte(SIGNAL_SPANS, false);
}
static void any_flipped_byte_of_logs_is_no_wrong_answer(void **state) {
    (void)state, flip_every_byte(SIGNAL_LOGS, false);
}
/* With checksums that fit, answers may be wrong; the sanitizers are the judges. */
static void any_byte_of_spans_may_be_forged(void **state) { (void)state, flip_every_byte(SIGNAL_SPANS, true); }
static void any_byte_of_logs_may_be_forged(void **state) { (void)state, flip_every_byte(SIGNAL_LOGS, true); }

static void no_cut_part_opens(void **state) {
    (void)state;
    for (int signal = 0; signal < SIGNALS; signal++)
        for (int trust = 0; trust < 2; trust++) {
            struct small s;
            struct part *p;
            small_init(&s, (enum signal)signal, 12, 3);
            for (size_t n = 0; n < s.n; n++) REFUSED(part_open_bytes(str_span(s.bytes, n), trust, &p), CORRUPT, "");
            REFUSED(part_open_bytes(str_span(s.bytes, s.n + 8), trust, &p), CORRUPT, "cut short");
            small_done(&s);
        }
}

/* What part_check passes answers right: every flip that it does not find hit a byte that means nothing. */
static void the_check_finds_what_answers_would_miss(void **state) {
    (void)state;
    uint32_t found = 0, harmless = 0;
    struct small s;
    small_init(&s, SIGNAL_SPANS, 13, 6);
    for (size_t at = 0; at < s.n; at += 5) {
        AUTO_BUF struct buf text;
        uint64_t bad = 0;
        buf_init(&text, MIB);
        OK(sim_flip_bit("p", at, hash_u64(at) % 8));
        OK(part_check("p", &text, &bad));
        assert_int_equal(bad > 0, text.n > 0);
        s.bytes[at] = (char)(s.good[at] ^ 1 << hash_u64(at) % 8);
        if (bad) {
            found++;
        } else {
            struct part *p;
            struct batches back = {0};
            harmless++;
            OK(part_open("p", &p));
            part_fetch_all(p, &back);
            assert_same_rows(&s.rows, &back);
            part_unref(p);
            batches_done(&back);
        }
        s.bytes[at] = s.good[at];
        OK(sim_flip_bit("p", at, hash_u64(at) % 8));
    }
    assert_true(found > 10 * harmless);
    part_check_clean("p");
    small_done(&s);
}

/* ---- structs that lie, with checksums that fit -------------------------------------------------------------------- */

static struct part_footer *footer_of(struct small *s) {
    return (struct part_footer *)(void *)(s->bytes + s->n - sizeof(struct part_footer));
}
static void *section_of(struct small *s, enum part_section section) {
    return s->bytes + footer_of(s)->sections[section].offset;
}
static void seal(struct small *s) {
    struct part_header *h = (void *)s->bytes;
    struct part_footer *f = footer_of(s);
    for (int i = 0; i < SECTIONS; i++)
        if (f->sections[i].offset < s->n && f->sections[i].size < s->n - f->sections[i].offset)
            f->sections[i].checksum = hash_bytes(s->bytes + f->sections[i].offset, f->sections[i].size);
    h->checksum = hash_bytes(h, offsetof(struct part_header, checksum));
    f->checksum = hash_bytes(f, offsetof(struct part_footer, checksum));
}

/* Changes a number, seals, opens: refused with that kind and text; then puts it back. */
#define LIES(place, value, kind, text)                                                                                 \
    do {                                                                                                               \
        struct part *p_ = NULL;                                                                                        \
        (place) = (__typeof__(place))(value);                                                                          \
        seal(&s);                                                                                                      \
        REFUSED(part_open_bytes(str_span(s.bytes, s.n), false, &p_), kind, text);                                      \
        memcpy(s.bytes, s.good, s.n);                                                                                  \
    } while (0)

static void a_header_that_lies_is_refused(void **state) {
    (void)state;
    struct small s;
    small_init(&s, SIGNAL_LOGS, 14, 4);
    struct part_header *h = (void *)s.bytes;
    LIES(h->version, 2, INVALID, "newer clew (format 2");
    LIES(h->version, UINT32_MAX, INVALID, "newer clew");
    LIES(h->version, 0, CORRUPT, "header is wrong");
    LIES(h->features, 8, INVALID, "features 0x8");
    LIES(h->features, 1u << 31, INVALID, "features 0x80000000");
    LIES(h->signal, SIGNALS, CORRUPT, "header is wrong");
    LIES(h->signal, SIGNAL_SPANS, CORRUPT, "");
    LIES(h->group_rows, 8192, CORRUPT, "header is wrong");
    LIES(h->magic[0], 'c', CORRUPT, "no part file");
    small_done(&s);
}

static void a_footer_that_lies_is_refused(void **state) {
    (void)state;
    struct small s;
    small_init(&s, SIGNAL_SPANS, 15, 4);
    struct part_footer *f = footer_of(&s);
    LIES(f->file_size, s.n + 8, CORRUPT, "cut short");
    LIES(f->magic[7], 'x', CORRUPT, "cut short");
    LIES(f->groups, 0, CORRUPT, "");
    LIES(f->groups, f->groups + 1, CORRUPT, "");
    LIES(f->groups, UINT32_MAX, CORRUPT, "");
    LIES(f->rows, f->rows + 1, CORRUPT, "");
    for (int i = 0; i < SECTIONS; i++) {
        LIES(f->sections[i].offset, UINT64_MAX, CORRUPT, "");
        LIES(f->sections[i].offset, s.n, CORRUPT, "");
        LIES(f->sections[i].offset, f->sections[i].offset + 4, CORRUPT, "");
        LIES(f->sections[i].size, UINT64_MAX, CORRUPT, "");
        LIES(f->sections[i].size, s.n, CORRUPT, "");
        if (!f->sections[i].raw_size) continue;
        LIES(f->sections[i].raw_size, f->sections[i].raw_size + 1, CORRUPT, "");
        LIES(f->sections[i].raw_size, 1ull << 40, CORRUPT, "wrong size");
        LIES(f->sections[i].raw_size, UINT64_MAX, CORRUPT, "wrong size");
    }
    small_done(&s);
}

static void a_directory_that_lies_is_refused(void **state) {
    (void)state;
    struct small s;
    small_init(&s, SIGNAL_SPANS, 16, 4);
    struct part_group *g = section_of(&s, SECTION_GROUPS);
    struct part_block *b = section_of(&s, SECTION_BLOCKS);
    LIES(g->offset, UINT64_MAX, CORRUPT, "");
    LIES(g->size, UINT64_MAX, CORRUPT, "");
    LIES(g->set_rows[SET_ROWS], 0, CORRUPT, "");
    LIES(g->set_rows[SET_ROWS], PART_GROUP_ROWS + 1, CORRUPT, "");
    LIES(g->set_rows[SET_EVENTS], UINT32_MAX, CORRUPT, "");
    LIES(g->set_rows[SET_LINKS], UINT32_MAX, CORRUPT, "");
    LIES(g->block_first, 1, CORRUPT, "");
    LIES(g->block_first, UINT32_MAX, CORRUPT, "");
    LIES(g->block_count, UINT32_MAX, CORRUPT, "");
    LIES(b->set, 3, CORRUPT, "a block of no column");
    LIES(b->field, FIELD_SLOT, CORRUPT, "");
    LIES(b->field, FIELD_BODY, CORRUPT, ""); /* of logs */
    LIES(b->field, 255, CORRUPT, "");
    LIES(b->key, 1, CORRUPT, "a block of no column");
    LIES(b->offset, UINT32_MAX, CORRUPT, "outside of its group");
    LIES(b->size, UINT32_MAX, CORRUPT, "outside of its group");
    LIES(b->count, b->count + 1, CORRUPT, "a column of");
    LIES(b[1].field, b[0].field, CORRUPT, ""); /* out of order */
    small_done(&s);
}

/* Encodings exchanged, with checksums that fit: refused at the first touch, or read as something of the same size. */
static void a_block_of_another_encoding_does_no_harm(void **state) {
    (void)state;
    for (int signal = 0; signal < SIGNALS; signal++) {
        struct small s;
        small_init(&s, (enum signal)signal, 17, 12);
        struct part_block *blocks = section_of(&s, SECTION_BLOCKS);
        size_t n = footer_of(&s)->sections[SECTION_BLOCKS].size / sizeof *blocks;
        for (size_t i = 0; i < n; i++)
            for (int encoding = 0; encoding <= ENCODINGS; encoding++) {
                blocks[i].encoding = (uint8_t)encoding;
                seal(&s);
                use(&s, true, i + (size_t)encoding);
                memcpy(s.bytes, s.good, s.n);
            }
        small_done(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flipped_bit_is_never_an_answer),
        cmocka_unit_test(a_failed_write_leaves_no_file),
        cmocka_unit_test(a_newer_format_is_refused_with_advice),
        cmocka_unit_test(a_dump_names_every_column),
        cmocka_unit_test(any_flipped_byte_of_spans_is_no_wrong_answer),
        cmocka_unit_test(any_flipped_byte_of_logs_is_no_wrong_answer),
        cmocka_unit_test(any_byte_of_spans_may_be_forged),
        cmocka_unit_test(any_byte_of_logs_may_be_forged),
        cmocka_unit_test(no_cut_part_opens),
        cmocka_unit_test(the_check_finds_what_answers_would_miss),
        cmocka_unit_test(a_header_that_lies_is_refused),
        cmocka_unit_test(a_footer_that_lies_is_refused),
        cmocka_unit_test(a_directory_that_lies_is_refused),
        cmocka_unit_test(a_block_of_another_encoding_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
