/* Segments of the log that are cut, flipped, forged or newer: nothing is made up, and nothing durable is lost without a word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "os/sim/sim.h"
#include "store/journal/log_priv.h"

/* Three commits: records 1–2, 3–5, 6; record n has a blob of 40 n bytes of the value n. */
enum { RECORDS = 6 };
static const uint32_t commits[][2] = {{1, 2}, {3, 3}, {6, 1}};

struct made {
    char *good, *bytes;
    size_t n;                    /* up to the end of the last record, and 64 bytes more */
    uint64_t start[RECORDS + 2]; /* of record s; of what follows */
};

static struct log_record record(uint64_t sequence) {
    static char blobs[RECORDS + 1][40 * RECORDS];
    char *p = blobs[sequence];
    memset(p, (int)sequence, sizeof blobs[0]);
    struct str blob = {p, 40 * (size_t)sequence};
    return (struct log_record){
        sequence, (enum signal)(sequence % SIGNALS), STR("tenant-1"), blob, hash_bytes(blob.p, blob.n), 0, 0};
}

static void made_init(struct made *m) {
    struct record_log l;
    struct file *f;
    struct str map;
    err why = NULL;
    *m = (struct made){0};
    sim_reset(1);
    assert_null(path_make_dir("log"));
    record_log_init(&l, "log", 64 * KIB);
    for (size_t c = 0; c < LENGTH(commits); c++) {
        struct log_record records[RECORDS];
        for (uint32_t i = 0; i < commits[c][1]; i++) records[i] = record(commits[c][0] + i);
        assert_int_equal(record_log_commit(&l, records, commits[c][1], &why), COMMIT_DONE);
    }
    record_log_done(&l);
    uint64_t at = SEGMENT_HEAD_BYTES;
    for (uint64_t s = 1; s <= RECORDS; s++) {
        struct log_record r = record(s);
        m->start[s] = at;
        assert_int_equal(record_bytes(&r) % 8, 0);
        at += record_bytes(&r);
    }
    m->start[RECORDS + 1] = at;
    m->n = (size_t)at + 64;
    assert_null(segment_map("log/00000001.log", &f, &map));
    m->good = mem_new(m->n);
    m->bytes = mem_new(m->n);
    memcpy(m->good, map.p, MIN(m->n, map.n));
    memcpy(m->bytes, m->good, m->n);
    segment_unmap(f, map);
}

static void made_done(struct made *m) {
    mem_free(m->good);
    mem_free(m->bytes);
}

struct seen {
    uint64_t last, bits; /* bit s: record s was seen */
};

/* A record that is shown is one that was written, whole and in order. */
static err see(void *context, const struct log_record *r) {
    struct seen *s = context;
    assert_true(r->sequence > s->last && r->sequence <= RECORDS);
    struct log_record want = record(r->sequence);
    assert_true(str_equal(r->tenant, want.tenant) && r->signal == want.signal && str_equal(r->blob, want.blob));
    assert_true(r->blob_check == want.blob_check);
    s->last = r->sequence;
    s->bits |= 1ull << r->sequence;
    return NULL;
}

/* Reads n bytes of exactly that size; the head must be there. Returns a bit a record seen. */
static uint64_t read_bytes(const struct made *m, size_t n, struct segment_reading *out, struct buf *findings) {
    struct segment_head head;
    struct seen seen = {0};
    AUTO_FREE char *exact = mem_new(n ? n : 1);
    memcpy(exact, m->bytes, n);
    assert_null(segment_head_read(str_span(exact, n), "s", &head));
    assert_null(segment_read(str_span(exact, n), "s", &head, see, &seen, findings, out));
    return seen.bits;
}

static uint64_t bits_to(uint64_t last) { return (2ull << last) - 2; } /* records 1 to last */

/* ---- cut ---------------------------------------------------------------------------------------------------------- */

/* What is whole before the cut is read, and nothing else. */
static void a_cut_segment_ends_at_its_last_whole_record(void **state) {
    (void)state;
    struct made m;
    made_init(&m);
    for (size_t n = SEGMENT_HEAD_BYTES; n <= m.n; n++) {
        struct segment_reading r;
        uint64_t whole = 0;
        while (whole < RECORDS && m.start[whole + 2] <= n) whole++;
        uint64_t bits = read_bytes(&m, n, &r, NULL);
        assert_int_equal(bits, bits_to(whole));
        assert_int_equal(r.records, whole);
        assert_int_equal(r.bad, 0); /* a tail */
        assert_int_equal(r.end, m.start[whole + 1]);
        assert_int_equal(r.last_sequence, whole);
    }
    made_done(&m);
}

static void a_cut_head_is_no_segment(void **state) {
    (void)state;
    struct made m;
    made_init(&m);
    for (size_t n = 0; n < SEGMENT_HEAD_BYTES; n += n < 80 ? 1 : 61) {
        struct segment_head head;
        AUTO_FREE char *exact = mem_new(n ? n : 1);
        memcpy(exact, m.bytes, n);
        err e = segment_head_read(str_span(exact, n), "s", &head);
        assert_int_equal(e != NULL, n < sizeof(struct format_head));
        if (e) assert_int_equal(err_kind(e), ERR_CORRUPT);
        err_free(e);
    }
    made_done(&m);
}

/* ---- flipped ------------------------------------------------------------------------------------------------------ */

static uint64_t record_at(const struct made *m, size_t at) {
    uint64_t s = 1;
    while (s < RECORDS && at >= m->start[s + 1]) s++;
    return s;
}

/* One record at most is lost by a flipped bit before the last commit, with a finding; in the last commit it is the end. */
static void any_flipped_bit_loses_one_record_and_says_so(void **state) {
    (void)state;
    struct made m;
    bool all = getenv("CLEW_LONG") != NULL;
    made_init(&m);
    for (size_t at = SEGMENT_HEAD_BYTES; at < m.start[RECORDS + 1]; at++)
        for (unsigned bit = all ? 0 : (unsigned)(at % 8); bit < (all ? 8 : at % 8 + 1); bit++) {
            AUTO_BUF struct buf findings;
            struct segment_reading r;
            uint64_t s = record_at(&m, at), lost;
            buf_init(&findings, 4 * KIB);
            m.bytes[at] = (char)(m.good[at] ^ 1 << bit);
            lost = bits_to(RECORDS) & ~read_bytes(&m, m.n, &r, &findings);
            m.bytes[at] = m.good[at];
            assert_true(lost == 0 || lost == 1ull << s);
            assert_int_equal(r.bad, lost && s < commits[2][0]);
            assert_int_equal(findings.n > 0, r.bad);
            if (r.bad) assert_non_null(strstr(findings.p, "are damaged"));
            assert_int_equal(r.last_sequence, lost && s == RECORDS ? RECORDS - 1 : RECORDS);
        }
    made_done(&m);
}

/* One copy of the head is enough; both damaged, there is no segment. */
static void each_head_is_there_twice(void **state) {
    (void)state;
    struct made m;
    made_init(&m);
    for (size_t at = 0; at < sizeof(struct format_head); at++) {
        struct segment_reading r;
        struct segment_head head;
        m.bytes[at] ^= 4;
        assert_int_equal(read_bytes(&m, m.n, &r, NULL), bits_to(RECORDS));
        m.bytes[SEGMENT_HEAD_COPY + at] ^= 8;
        err e = segment_head_read(str_span(m.bytes, m.n), "s", &head);
        assert_true(e && err_kind(e) == ERR_CORRUPT);
        err_free(e);
        m.bytes[at] ^= 4;
        assert_int_equal(read_bytes(&m, m.n, &r, NULL), bits_to(RECORDS));
        m.bytes[SEGMENT_HEAD_COPY + at] ^= 8;
    }
    made_done(&m);
}

/* ---- forged, with checks that fit --------------------------------------------------------------------------------- */

static struct segment_head head_of(const struct made *m) {
    struct segment_head head;
    assert_null(segment_head_read(str_span(m->bytes, m->n), "s", &head));
    return head;
}

/* Changes the head of record s and seals it. Returns what is lost; the bytes are as before afterwards. */
static uint64_t forge(struct made *m, uint64_t s, void (*change)(struct record_head *h)) {
    struct segment_reading r;
    struct record_head h;
    memcpy(&h, m->good + m->start[s], sizeof h);
    change(&h);
    h.check = hash_bytes_seed(&h, offsetof(struct record_head, check), head_of(m).nonce);
    memcpy(m->bytes + m->start[s], &h, sizeof h);
    uint64_t lost = bits_to(RECORDS) & ~read_bytes(m, m->n, &r, NULL);
    memcpy(m->bytes, m->good, m->n);
    return lost;
}

static void huge_blob(struct record_head *h) { h->blob_bytes = UINT64_MAX; }
static void padded_blob(struct record_head *h) { h->blob_bytes = UINT64_MAX - 6; } /* rounds up to 0 */
static void long_blob(struct record_head *h) { h->blob_bytes += 64 * KIB; }
static void one_byte_more(struct record_head *h) { h->blob_bytes++; }
static void long_tenant(struct record_head *h) { h->tenant_bytes = TENANT_BYTES; }
static void other_kind(struct record_head *h) { h->kind = 3; }
static void kind_of_a_mark(struct record_head *h) { h->kind = 2; }
static void no_signal(struct record_head *h) { h->signal = TABLE_KINDS; }
static void old_sequence(struct record_head *h) { h->sequence = 0; }
static void same_sequence(struct record_head *h) { h->sequence--; }
static void wrong_magic(struct record_head *h) { h->magic++; }
static void wrong_blob(struct record_head *h) { h->blob_check++; }

static void a_forged_head_loses_its_record(void **state) {
    (void)state;
    static void (*const changes[])(struct record_head *) = {huge_blob,     padded_blob, long_blob,  one_byte_more,
                                                            long_tenant,   other_kind,  no_signal,  old_sequence,
                                                            same_sequence, wrong_magic, wrong_blob, kind_of_a_mark};
    struct made m;
    made_init(&m);
    for (size_t i = 0; i < LENGTH(changes); i++)
        for (uint64_t s = 2; s <= RECORDS; s++)
            if (forge(&m, s, changes[i]) != 1ull << s) fail_msg("change %zu of record %d", i, (int)s);
    made_done(&m);
}

/* A record of an earlier life, or of another segment, has another nonce. */
static void records_of_another_nonce_are_none(void **state) {
    (void)state;
    struct made m;
    struct segment_reading r;
    made_init(&m);
    for (uint64_t s = 1; s <= RECORDS; s++) {
        struct record_head h;
        memcpy(&h, m.good + m.start[s], sizeof h);
        h.check = hash_bytes_seed(&h, offsetof(struct record_head, check), head_of(&m).nonce + 1);
        memcpy(m.bytes + m.start[s], &h, sizeof h);
    }
    assert_int_equal(read_bytes(&m, m.n, &r, NULL), 0);
    assert_true(r.bad == 0 && r.end == SEGMENT_HEAD_BYTES && !r.torn);
    made_done(&m);
}

/* A whole segment inside a blob is bytes of a blob. */
static void a_record_inside_a_blob_is_not_read_on_its_own(void **state) {
    (void)state;
    struct made m;
    struct segment_reading r;
    made_init(&m);
    memmove(m.bytes + m.start[6] + RECORD_HEAD_BYTES, m.good + m.start[1],
            160); /* into record 6's blob: it is torn now */
    assert_int_equal(read_bytes(&m, m.n, &r, NULL), bits_to(5));
    assert_true(r.torn && r.end == m.start[6]);
    made_done(&m);
}

/* ---- newer -------------------------------------------------------------------------------------------------------- */

static void newer_segments_are_refused_with_advice(void **state) {
    (void)state;
    static const struct {
        uint32_t version;
        uint64_t features;
    } cases[] = {{2, 0}, {UINT32_MAX, 0}, {1, 4}, {1, 1ull << 63}, {2, 4}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct made m;
        struct segment_head head;
        made_init(&m);
        for (int copy = 0; copy < 2; copy++) {
            struct format_head h;
            memcpy(&h, m.bytes + copy * SEGMENT_HEAD_COPY, sizeof h);
            h.version = cases[i].version;
            h.features = cases[i].features;
            h.check = hash_bytes(&h, offsetof(struct format_head, check));
            memcpy(m.bytes + copy * SEGMENT_HEAD_COPY, &h, sizeof h);
        }
        err e = segment_head_read(str_span(m.bytes, m.n), "log/7", &head);
        assert_true(e && err_kind(e) == ERR_INVALID);
        assert_non_null(strstr(err_text(e), "log/7 is of format"));
        assert_non_null(strstr(err_text(e), "newer clew"));
        err_free(e);
        made_done(&m);
    }
}

/* ---- names -------------------------------------------------------------------------------------------------------- */

static void make_file(const char *path) {
    struct file *f;
    assert_null(file_open(path, FILE_CREATE, &f));
    file_close(f);
}

static void segments_are_listed_by_number(void **state) {
    (void)state;
    segment_numbers numbers = {0};
    static const char *const names[] = {"log/100000000.log", "log/00000002.log", "log/00000010.log",
                                        "log/9.log",         "log/x.log",        "log/1.log.tmp",
                                        "log/.log",          "log/12",           "log/-3.log"};
    static const uint64_t want[] = {2, 9, 10, 100000000};
    sim_reset(1);
    assert_null(segment_list("log", &numbers)); /* no folder: none */
    assert_int_equal(numbers.n, 0);
    assert_null(path_make_dir("log"));
    assert_null(path_make_dir("log/00000007.log")); /* a folder is no segment */
    for (size_t i = 0; i < LENGTH(names); i++) make_file(names[i]);
    assert_null(segment_list("log", &numbers));
    assert_int_equal(numbers.n, LENGTH(want));
    for (size_t i = 0; i < LENGTH(want); i++) assert_int_equal(numbers.v[i], want[i]);
    vec_done(&numbers);
    assert_string_equal(path_segment("d/log", 7).text, "d/log/00000007.log");
    assert_string_equal(path_segment("d/log", UINT64_MAX).text, "d/log/18446744073709551615.log");
}

/* ---- what fits ---------------------------------------------------------------------------------------------------- */

static void a_commit_takes_what_fits_and_at_least_one(void **state) {
    (void)state;
    static char blob[200 * KIB];
    struct record_log l;
    struct log_record records[8];
    err why = NULL;
    sim_reset(1);
    assert_null(path_make_dir("log"));
    record_log_init(&l, "log", 64 * KIB);
    for (size_t i = 0; i < LENGTH(records); i++)
        records[i] = (struct log_record){
            i + 1, SIGNAL_LOGS, STR("t"), str_span(blob, 20 * KIB), hash_bytes(blob, 20 * KIB), 0, 0};
    assert_int_equal(record_log_fit(&l, records, LENGTH(records)), 2);
    records[0].blob = (struct str){blob, sizeof blob}; /* larger than a segment: alone */
    records[0].blob_check = hash_bytes(blob, sizeof blob);
    assert_int_equal(record_log_fit(&l, records, LENGTH(records)), 1);
    assert_int_equal(record_log_commit(&l, records, 1, &why), COMMIT_DONE);
    assert_int_equal(record_log_commit(&l, records + 1, 2, &why), COMMIT_DONE);
    assert_int_equal(l.closed.n, 1); /* the next one begins a segment of its own */
    assert_true(record_log_bytes(&l) > sizeof blob);
    record_log_done(&l);
}

/* ---- a disk that fails -------------------------------------------------------------------------------------------- */

/* What the log says after a start: a bit a record; a segment's first sequence voids what earlier ones have from there on. */
static uint64_t read_log(void) {
    segment_numbers numbers = {0};
    uint64_t bits = 0;
    assert_null(segment_list("log", &numbers));
    for (size_t i = 0; i < numbers.n; i++) {
        struct path path = path_segment("log", numbers.v[i]);
        struct segment_reading r;
        struct segment_head head;
        struct seen seen = {0};
        struct file *f = NULL;
        struct str map;
        assert_null(segment_map(path.text, &f, &map));
        err e = segment_head_read(map, path.text, &head);
        if (!e) {
            assert_null(segment_read(map, path.text, &head, see, &seen, NULL, &r));
            assert_int_equal(r.bad, 0);
            bits = (bits & ((1ull << head.first_sequence) - 1)) | seen.bits;
        }
        err_free(e);
        segment_unmap(f, map);
    }
    vec_done(&numbers);
    return bits;
}

struct outcome {
    uint64_t done, refused, unknown; /* a bit a record */
};

/* Commits the records one by one; after a failure the log is restarted with what is durable. */
static struct outcome commit_all(void) {
    struct record_log l;
    struct outcome o = {0};
    record_log_init(&l, "log", SEGMENT_HEAD_BYTES + 600); /* so that segments follow each other */
    for (uint64_t s = 1; s <= RECORDS && !o.unknown; s++) {
        struct log_record r = record(s), again[RECORDS];
        err why = NULL;
        size_t n = 0;
        enum commit_result result = record_log_commit(&l, &r, 1, &why);
        err_free(why);
        if (result == COMMIT_DONE) o.done |= 1ull << s;
        if (result == COMMIT_REFUSED) o.refused |= 1ull << s;
        if (result != COMMIT_FAILED) continue;
        for (uint64_t k = 1; k < s; k++)
            if (o.done >> k & 1) again[n++] = record(k);
        err e = record_log_restart(&l, 1, again, n);
        if (e)
            o.unknown = UINT64_MAX << s; /* the engine is read-only from here on */
        else
            o.refused |= 1ull << s;
        err_free(e);
    }
    record_log_done(&l);
    return o;
}

static void log_folder(uint64_t seed) {
    sim_reset(seed);
    assert_null(path_make_dir("log"));
    assert_null(path_sync_dir("."));
}

/* Every call fails once, as broken and as full: what is done is there after a power cut, what is refused never comes back. */
static void any_failure_keeps_what_was_done(void **state) {
    (void)state;
    for (uint64_t n = 1;; n++) {
        bool failed = false;
        for (int full = 0; full < 2; full++) {
            log_folder(n);
            sim_fail_at(n, full ? ERR_UNAVAILABLE : ERR_IO);
            struct outcome o = commit_all();
            failed = failed || sim_faults() > 0;
            sim_calm();
            sim_reboot();
            uint64_t bits = read_log();
            assert_true((bits & o.done) == o.done && (bits & o.refused) == 0);
            assert_true((bits & ~(o.done | o.unknown)) == 0);
        }
        if (!failed) break;
    }
}

static void any_power_cut_keeps_what_was_done(void **state) {
    (void)state;
    for (uint64_t n = 1;; n++)
        for (uint64_t seed = 0; seed < 6; seed++) {
            log_folder(n * 10 + seed);
            sim_cut_at(n);
            struct outcome o = commit_all();
            bool cut = sim_faults() > 0;
            sim_reboot();
            uint64_t bits = read_log();
            assert_true((bits & o.done) == o.done);
            assert_true((bits & (bits + 2)) == 0); /* a beginning of the records, without a hole */
            if (!cut) return;
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_segment_ends_at_its_last_whole_record),
        cmocka_unit_test(a_cut_head_is_no_segment),
        cmocka_unit_test(any_flipped_bit_loses_one_record_and_says_so),
        cmocka_unit_test(each_head_is_there_twice),
        cmocka_unit_test(a_forged_head_loses_its_record),
        cmocka_unit_test(records_of_another_nonce_are_none),
        cmocka_unit_test(a_record_inside_a_blob_is_not_read_on_its_own),
        cmocka_unit_test(newer_segments_are_refused_with_advice),
        cmocka_unit_test(segments_are_listed_by_number),
        cmocka_unit_test(a_commit_takes_what_fits_and_at_least_one),
        cmocka_unit_test(any_failure_keeps_what_was_done),
        cmocka_unit_test(any_power_cut_keeps_what_was_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
