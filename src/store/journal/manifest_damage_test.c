/* Manifests that are cut, flipped, forged or newer; edits in a wrong order; names, days and paths of a data directory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "os/sim/sim.h"
#include "store/journal/manifest_priv.h"

static void refused(err e, enum err_kind kind, const char *text) {
    if (!e) fail_msg("taken, but it should say '%s'", text);
    if (err_kind(e) != kind || !strstr(err_text(e), text)) fail_msg("'%s' is not '%s'", err_text(e), text);
    err_free(e);
}

/* ---- a manifest of four edits ------------------------------------------------------------------------------------- */

enum { EDITS = 4 };

static void edit_of(int i, struct buf *edit) {
    struct manifest_part p = {.tenant = "default", .id = (uint64_t)i, .rows = 5, .bytes = 9, .day = 20000 + i};
    struct manifest_table t = {.tenant = "t", .signal = SIGNAL_LOGS, .covered = (uint64_t)i * 10};
    edit_part_add(edit, &p);
    edit_covered(edit, &t);
}

struct made {
    char *good, *bytes;
    size_t n;
    uint64_t start[EDITS + 1]; /* of edit i's first copy, i from 1; [0]: of the state it began with */
    uint64_t end;
};

static void made_init(struct made *m) {
    struct manifest manifest;
    struct file *f;
    size_t got;
    *m = (struct made){.start = {64}};
    sim_reset(1);
    assert_null(path_make_dir("d"));
    assert_null(manifest_open("d", &manifest));
    for (int i = 1; i <= EDITS; i++) {
        AUTO_BUF struct buf edit;
        buf_init(&edit, KIB);
        edit_of(i, &edit);
        m->start[i] = manifest.position;
        assert_null(manifest_append(&manifest, buf_str(&edit)));
    }
    m->end = manifest.position;
    manifest_close(&manifest);
    m->n = (size_t)m->end + 40; /* of the zeros that are reserved */
    m->good = mem_new(m->n);
    m->bytes = mem_new(m->n);
    assert_null(file_open("d/manifest", FILE_READ, &f));
    assert_null(file_read(f, m->good, m->n, 0, &got));
    file_close(f);
    memcpy(m->bytes, m->good, m->n);
}

static void made_done(struct made *m) {
    mem_free(m->good);
    mem_free(m->bytes);
}

static err apply(void *context, uint64_t offset, struct str edit) {
    (void)offset;
    return manifest_state_apply(context, edit);
}

/* Reads n bytes of exactly that size; *out_parts: how many edits came through. */
static err read_bytes(const struct made *m, size_t n, struct manifest_reading *out, size_t *out_parts) {
    struct manifest_state s;
    AUTO_FREE char *exact = mem_new(n ? n : 1);
    memcpy(exact, m->bytes, n);
    manifest_state_init(&s);
    err e = manifest_read(str_span(exact, n), "m", apply, &s, NULL, out);
    for (size_t i = 0; i < s.parts.n; i++)
        assert_int_equal(s.parts.v[i].id, i + 1); /* a beginning of what was written */
    if (!e) assert_int_equal(s.sequence, s.parts.n * 10);
    *out_parts = s.parts.n;
    manifest_state_done(&s);
    return e;
}

/* ---- cut ---------------------------------------------------------------------------------------------------------- */

/* An edit counts once its first copy is whole, or its second. */
static void a_cut_manifest_has_its_whole_edits(void **state) {
    (void)state;
    struct made m;
    made_init(&m);
    for (size_t n = 0; n <= m.n; n++) {
        struct manifest_reading r = {0};
        size_t parts = 0, want = 0;
        err e = read_bytes(&m, n, &r, &parts);
        for (int i = 1; i <= EDITS; i++) {
            uint64_t end = i < EDITS ? m.start[i + 1] : m.end;
            want += n >= m.start[i] + (end - m.start[i]) / 2;
        }
        if (n < 64) {
            refused(e, ERR_CORRUPT, "shorter than its header");
            continue;
        }
        assert_null(e);
        if (parts != want && parts + 1 != want) fail_msg("%zu bytes: %zu edits, not %zu", n, parts, want);
        assert_true(r.end <= n + m.n);
    }
    made_done(&m);
}

/* ---- flipped ------------------------------------------------------------------------------------------------------ */

/* Whatever bit of the edits is flipped, everything is there: each stands twice. */
static void any_flipped_bit_is_mended(void **state) {
    (void)state;
    struct made m;
    bool all = getenv("CLEW_LONG") != NULL;
    made_init(&m);
    for (size_t at = 64; at < m.end; at++)
        for (unsigned bit = all ? 0 : (unsigned)(at % 8); bit < (all ? 8 : at % 8 + 1); bit++) {
            struct manifest_reading r = {0};
            size_t parts = 0;
            m.bytes[at] = (char)(m.good[at] ^ 1 << bit);
            assert_null(read_bytes(&m, m.n, &r, &parts));
            m.bytes[at] = m.good[at];
            assert_int_equal(parts, EDITS);
            assert_true(r.mended <= 1 && r.edits == EDITS + 1 && r.end == m.end);
        }
    made_done(&m);
}

static void any_flipped_bit_of_the_head_is_refused(void **state) {
    (void)state;
    struct made m;
    made_init(&m);
    for (size_t at = 0; at < 64; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            struct manifest_reading r;
            size_t parts;
            m.bytes[at] = (char)(m.good[at] ^ 1 << bit);
            refused(read_bytes(&m, m.n, &r, &parts), ERR_CORRUPT, "m: ");
            m.bytes[at] = m.good[at];
        }
    made_done(&m);
}

/* Both copies damaged: refused where edits follow, the end where none do. Never a manifest without one in the middle. */
static void an_edit_lost_in_the_middle_is_refused(void **state) {
    (void)state;
    struct made m;
    made_init(&m);
    for (int i = 0; i <= EDITS; i++) {
        struct manifest_reading r = {0};
        size_t parts = 0;
        uint64_t end = i < EDITS ? m.start[i + 1] : m.end, half = (end - m.start[i]) / 2;
        for (uint64_t offset = 0; offset < half; offset += 3) {
            m.bytes[m.start[i] + offset] ^= 16;
            m.bytes[m.start[i] + half + offset] ^= 16;
            err e = read_bytes(&m, m.n, &r, &parts);
            bool meaningless = offset >= half - 8 && !e && parts == EDITS; /* the zeros that fill the last eight */
            if (i < EDITS && !meaningless) {
                refused(e, ERR_CORRUPT, "both copies of the edit");
            } else {
                assert_null(e);
                assert_true(parts == EDITS - 1 || meaningless);
            }
            memcpy(m.bytes, m.good, m.n);
        }
    }
    made_done(&m);
}

/* ---- newer -------------------------------------------------------------------------------------------------------- */

static void newer_manifests_are_refused_with_advice(void **state) {
    (void)state;
    static const struct {
        uint32_t version;
        uint64_t features;
    } cases[] = {{2, 0}, {UINT32_MAX, 0}, {1, 2}, {1, 1ull << 63}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct made m;
        struct manifest_reading r;
        struct format_head h;
        size_t parts;
        made_init(&m);
        memcpy(&h, m.bytes, sizeof h);
        h.version = cases[i].version;
        h.features = cases[i].features;
        h.check = hash_bytes(&h, offsetof(struct format_head, check));
        memcpy(m.bytes, &h, sizeof h);
        refused(read_bytes(&m, m.n, &r, &parts), ERR_INVALID, "use the newer clew that wrote it");
        made_done(&m);
    }
}

/* A log segment is no manifest, and a whole file of another kind is refused before its edits are looked at. */
static void another_kind_of_file_is_refused(void **state) {
    (void)state;
    struct format_head h, out;
    format_head_make(&h, format_magic_log, (uint64_t[4]){1, 2, 3, 4});
    refused(format_head_read(str_span(&h, sizeof h), format_magic_manifest, "x", &out), ERR_CORRUPT,
            "not a file of this kind");
    refused(format_head_read(str_span(&h, sizeof h), format_magic_lock, "x", &out), ERR_CORRUPT,
            "not a file of this kind");
    assert_null(format_head_read(str_span(&h, sizeof h), format_magic_log, "x", &out));
    for (uint64_t i = 0; i < 4; i++) assert_int_equal(out.own[i], i + 1);
}

/* ---- edits -------------------------------------------------------------------------------------------------------- */

static err apply_bytes(struct manifest_state *s, const void *p, size_t n) {
    AUTO_FREE char *exact = mem_new(n ? n : 1);
    if (n) memcpy(exact, p, n);
    return manifest_state_apply(s, str_span(exact, n));
}

static void what_is_not_there_cannot_be_removed(void **state) {
    (void)state;
    struct manifest_state s;
    AUTO_BUF struct buf edit;
    struct manifest_part p = {.tenant = "a", .id = 3};
    struct manifest_delete d = {.id = 5, .tenant = "a", .request = STR("r")};
    buf_init(&edit, KIB);
    manifest_state_init(&s);
    edit_part_remove(&edit, 3);
    refused(manifest_state_apply(&s, buf_str(&edit)), ERR_CORRUPT, "operation 3 on 3, which is not there");
    buf_clear(&edit);
    edit_delete_done(&edit, 5);
    refused(manifest_state_apply(&s, buf_str(&edit)), ERR_CORRUPT, "on 5, which is not there");
    buf_clear(&edit);
    edit_part_add(&edit, &p);
    edit_part_remove(&edit, 3);
    edit_delete(&edit, &d);
    edit_delete_done(&edit, 5);
    assert_null(manifest_state_apply(&s, buf_str(&edit))); /* in this order it says something */
    assert_true(s.parts.n == 0 && s.deletes.n == 0 && s.next_part == 4 && s.next_delete == 6);
    refused(manifest_state_apply(&s, str_span(edit.p + edit.n - 9, 9)), ERR_CORRUPT,
            "which is not there"); /* done twice */
    manifest_state_done(&s);
}

/* Numbers only rise, in whatever order edits name them. */
static void counters_never_fall(void **state) {
    (void)state;
    static const uint64_t values[] = {7, 3, UINT32_MAX, 0, 12, 1ull << 62, 5};
    struct manifest_state s;
    uint64_t most = 0;
    manifest_state_init(&s);
    for (size_t i = 0; i < LENGTH(values); i++) {
        AUTO_BUF struct buf edit;
        struct manifest_table t = {.tenant = "a", .covered = values[i]};
        buf_init(&edit, KIB);
        most = MAX(most, values[i]);
        edit_covered(&edit, &t);
        edit_log_from(&edit, values[i]);
        assert_null(manifest_state_apply(&s, buf_str(&edit)));
        assert_true(s.log_from == most && s.sequence == most && s.tables.n == 1);
        assert_int_equal(manifest_covered(&s, STR("a"), SIGNAL_SPANS), most);
    }
    assert_int_equal(manifest_covered(&s, STR("a"), SIGNAL_LOGS), 0);
    assert_int_equal(manifest_covered(&s, STR("A"), SIGNAL_SPANS), 0);
    manifest_state_done(&s);
}

/* Every operation cut at every byte, and every byte of it set to every value: an error or an edit, and a state that can be kept. */
static void any_bytes_are_an_edit_or_an_error(void **state) {
    (void)state;
    struct manifest_part p = {
        .tenant = "some-tenant", .signal = SIGNAL_LOGS, .id = 1, .day = -1, .time_min = INT64_MIN};
    struct manifest_table t = {.tenant = "b", .covered = UINT64_MAX};
    struct manifest_delete d = {.id = UINT64_MAX, .sequence = 1, .tenant = "c", .request = STR("req")};
    AUTO_BUF struct buf edit;
    uint32_t taken = 0, not = 0;
    buf_init(&edit, KIB);
    edit_part_add(&edit, &p);
    edit_covered(&edit, &t);
    edit_delete(&edit, &d);
    edit_log_from(&edit, 3);
    edit_part_remove(&edit, 1);
    for (size_t n = 0; n < edit.n; n++) {
        struct manifest_state s;
        manifest_state_init(&s);
        err_free(apply_bytes(&s, edit.p, n));
        manifest_state_done(&s);
    }
    for (size_t at = 0; at < edit.n; at++) {
        char before = edit.p[at];
        for (int value = 0; value < 256; value++) {
            AUTO_BUF struct buf said;
            struct manifest_state s;
            buf_init(&said, 16 * KIB);
            manifest_state_init(&s);
            edit.p[at] = (char)value;
            err e = apply_bytes(&s, edit.p, edit.n);
            if (e) assert_int_equal(err_kind(e), ERR_CORRUPT);
            *(e ? &not : &taken) += 1;
            edit_dump(buf_str(&edit), &said);
            assert_true(said.n > 0 && said.p[said.n - 1] == '\n');
            for (size_t i = 0; i < s.parts.n; i++) assert_true(tenant_is_valid(str_of(s.parts.v[i].tenant)));
            err_free(e);
            manifest_state_done(&s);
        }
        edit.p[at] = before;
    }
    assert_true(taken > 1000 && not > 1000);
}

static void a_huge_count_is_a_cut_edit(void **state) {
    (void)state;
    static const struct str bad[] = {
        {"\x02\xff\xff\xff\xff", 5},                                      /* a tenant of 4 GiB */
        {"\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 14}, /* a tenant without name */
        {"\x00", 1},
        {"\x08", 1},
        {"\xff", 1},
        {"\x05\x01\x02", 3},
    };
    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct manifest_state s;
        manifest_state_init(&s);
        refused(apply_bytes(&s, bad[i].p, bad[i].n), ERR_CORRUPT, "cannot be read");
        manifest_state_done(&s);
    }
}

/* The state written and read again is the state, whatever was done to it. */
static void any_state_survives_writing(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct manifest_state s, again;
        AUTO_BUF struct buf once, twice;
        uint64_t dice = seed, ids = 0, deletes = 0;
        buf_init(&once, MIB);
        buf_init(&twice, MIB);
        manifest_state_init(&s);
        manifest_state_init(&again);
        for (int i = 0; i < 40; i++) {
            AUTO_BUF struct buf edit;
            uint64_t r = dice = hash_u64(dice + 1);
            struct manifest_part p = {.tenant = "t", .signal = r >> 8 & 1, .id = ids + 1, .rows = r, .day = (int32_t)r};
            struct manifest_table t = {.tenant = "x.y-z_1", .signal = r >> 9 & 1, .covered = r >> 32};
            struct manifest_delete d = {
                .id = deletes + 1, .sequence = r, .tenant = "t", .request = str_span("request", r % 7)};
            buf_init(&edit, KIB);
            if (r % 5 == 0) edit_part_add(&edit, &p), ids++;
            if (r % 5 == 1) edit_covered(&edit, &t);
            if (r % 5 == 2) edit_delete(&edit, &d), deletes++;
            if (r % 5 == 3 && s.parts.n) edit_part_remove(&edit, s.parts.v[r / 8 % s.parts.n].id);
            if (r % 5 == 4 && s.deletes.n) edit_delete_done(&edit, s.deletes.v[r / 8 % s.deletes.n].id);
            assert_null(manifest_state_apply(&s, buf_str(&edit)));
        }
        manifest_state_write(&s, &once);
        assert_null(manifest_state_apply(&again, buf_str(&once)));
        manifest_state_write(&again, &twice);
        assert_true(str_equal(buf_str(&once), buf_str(&twice)));
        manifest_state_done(&s);
        manifest_state_done(&again);
    }
}

/* ---- names, days, paths ------------------------------------------------------------------------------------------- */

static void tenants_have_plain_names(void **state) {
    (void)state;
    static const char *const good[] = {
        "a", "A-1_b.c", "0",    "default",
        "_", "-",       "a..b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    static const char *const bad[] = {
        "",    ".",        "..",  ".a",  "a/b",  "a b",
        "a\n", "\xc3\xa9", "a\\", "a:b", "../x", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < LENGTH(good); i++) assert_true(tenant_is_valid(str_of(good[i])));
    for (size_t i = 0; i < LENGTH(bad); i++) assert_false(tenant_is_valid(str_of(bad[i])));
    assert_false(tenant_is_valid(STR("a\0b")));
}

static void days_begin_and_end(void **state) {
    (void)state;
    assert_int_equal(day_of(0), 0);
    assert_int_equal(day_of(-1), -1);
    assert_int_equal(day_of(day_ns - 1), 0);
    assert_int_equal(day_of(day_ns), 1);
    assert_int_equal(day_of(-day_ns), -1);
    assert_int_equal(day_of(-day_ns - 1), -2);
    for (int32_t day = -106751; day <= day_of(INT64_MAX); day += 1 + (day & 63)) {
        assert_int_equal(day_of(day_first_ns(day)), day);
        assert_int_equal(day_of(day_last_ns(day)), day);
        if (day < day_of(INT64_MAX)) assert_true(day_last_ns(day) + 1 == day_first_ns(day + 1));
    }
    assert_int_equal(day_of(INT64_MIN), -106752);
    assert_true(day_first_ns(day_of(INT64_MIN)) == INT64_MIN);
    assert_true(day_last_ns(day_of(INT64_MAX)) == INT64_MAX);
}

static void paths_say_tenant_signal_day_and_number(void **state) {
    (void)state;
    static const struct {
        int32_t day;
        const char *path;
    } cases[] = {
        {0, "d/tenants/t/logs/19700101-0000000007.part"},      {-1, "d/tenants/t/logs/19691231-0000000007.part"},
        {20417, "d/tenants/t/logs/20251125-0000000007.part"},  {19782, "d/tenants/t/logs/20240229-0000000007.part"},
        {11016, "d/tenants/t/logs/20000229-0000000007.part"},  {106751, "d/tenants/t/logs/22620411-0000000007.part"},
        {-25509, "d/tenants/t/logs/19000228-0000000007.part"}, {-25508, "d/tenants/t/logs/19000301-0000000007.part"}};
    for (size_t i = 0; i < LENGTH(cases); i++)
        assert_string_equal(path_part("d", "t", SIGNAL_LOGS, cases[i].day, 7).text, cases[i].path);
    assert_string_equal(path_table("d", "t", SIGNAL_SPANS).text, "d/tenants/t/spans");
    assert_string_equal(path_part("d", "t", SIGNAL_SPANS, 0, UINT64_MAX).text,
                        "d/tenants/t/spans/19700101-18446744073709551615.part");
}

static void copies_stop_where_they_are_told(void **state) {
    (void)state;
    static char bytes[3000];
    static const uint64_t most[] = {0, 1, 2999, 3000, 3001, UINT64_MAX};
    struct file *f;
    sim_reset(1);
    memset(bytes, 'x', sizeof bytes);
    assert_null(file_open("a", FILE_CREATE, &f));
    assert_null(file_write(f, bytes, sizeof bytes, 0));
    file_close(f);
    for (size_t i = 0; i < LENGTH(most); i++) {
        char name[8], got[4000];
        size_t n;
        snprintf(name, sizeof name, "c%zu", i);
        assert_null(file_copy("a", name, most[i]));
        assert_null(file_open(name, FILE_READ, &f));
        assert_null(file_read(f, got, sizeof got, 0, &n));
        assert_int_equal(n, MIN(most[i], sizeof bytes));
        file_close(f);
    }
    refused(file_copy("none", "x", 1), ERR_NOT_FOUND, "none");
    assert_null(file_link_or_copy("a", "b"));
    assert_true(path_exists("b"));
    assert_null(path_sync_parent("b"));
    assert_null(path_sync_parent("a/"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_manifest_has_its_whole_edits),
        cmocka_unit_test(any_flipped_bit_is_mended),
        cmocka_unit_test(any_flipped_bit_of_the_head_is_refused),
        cmocka_unit_test(an_edit_lost_in_the_middle_is_refused),
        cmocka_unit_test(newer_manifests_are_refused_with_advice),
        cmocka_unit_test(another_kind_of_file_is_refused),
        cmocka_unit_test(what_is_not_there_cannot_be_removed),
        cmocka_unit_test(counters_never_fall),
        cmocka_unit_test(any_bytes_are_an_edit_or_an_error),
        cmocka_unit_test(a_huge_count_is_a_cut_edit),
        cmocka_unit_test(any_state_survives_writing),
        cmocka_unit_test(tenants_have_plain_names),
        cmocka_unit_test(days_begin_and_end),
        cmocka_unit_test(paths_say_tenant_signal_day_and_number),
        cmocka_unit_test(copies_stop_where_they_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
