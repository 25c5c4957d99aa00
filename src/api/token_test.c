/* Tokens: their form, their document, their file. */
#include "api/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "os/file.h"

#define assert_fails(call, kind)                                                                                       \
    do {                                                                                                               \
        err e_ = (call);                                                                                               \
        assert_non_null(e_);                                                                                           \
        assert_int_equal(err_kind(e_), kind);                                                                          \
        err_free(e_);                                                                                                  \
    } while (0)

static void add(struct tokens *t, const char *name, enum api_role role, const char *tenant, char out[128]) {
    assert_null(token_new(t, str_of(name), role, str_of(tenant), 1000000000, 0, out));
    out[TOKEN_TEXT_BYTES] = 0;
}

static void a_token_is_found_by_its_text_alone(void **state) {
    (void)state;
    struct tokens t = {0};
    char a[128], b[128];
    uint64_t id;
    unsigned char hash[TOKEN_HASH_BYTES];
    add(&t, "a", ROLE_READ, "shop", a);
    add(&t, "b", ROLE_ADMIN, "*", b);
    assert_true(token_parse(str_of(a), &id, hash));
    assert_string_equal(tokens_find(&t, id, hash)->name, "a");
    memcpy(a + 22, b + 22, 64); /* the id of one, the secret of the other */
    assert_true(token_parse(str_of(a), &id, hash));
    assert_null(tokens_find(&t, id, hash));
    assert_null(tokens_find(&t, 0, (const unsigned char[TOKEN_HASH_BYTES]){0}));
    static const char *const broken[] = {"", "clew_", "clew_0123456789abcdef_", "Bearer x"};
    for (size_t i = 0; i < LENGTH(broken); i++) assert_false(token_parse(str_of(broken[i]), &id, hash));
    for (size_t i = 0; i < TOKEN_TEXT_BYTES; i++) { /* upper case, a blank, a zero byte anywhere */
        static const char bad[] = {'A', ' ', 0, '_' + 1};
        for (size_t k = 0; k < LENGTH(bad); k++) {
            char text[128];
            memcpy(text, b, sizeof text);
            text[i] = bad[k];
            assert_false(token_parse((struct str){text, TOKEN_TEXT_BYTES}, &id, hash));
        }
    }
    tokens_done(&t);
}

/* The known answer of FIPS 180-4's example "abc". */
static void the_hash_is_sha256(void **state) {
    (void)state;
    unsigned char hash[TOKEN_HASH_BYTES];
    token_hash(STR("abc"), hash);
    assert_memory_equal(hash, "\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23", 16);
    assert_memory_equal(hash + 16, "\xb0\x03\x61\xa3\x96\x17\x7a\x9c\xb4\x10\xff\x61\xf2\x00\x15\xad", 16);
}

static void roles_include_what_they_say(void **state) {
    (void)state;
    static const char *const table[ROLES] = {"1....", "11...", "1.1..", "1.11.",
                                             "11111"}; /* any ingest read operate admin */
    for (int has = 0; has < ROLES; has++)
        for (int needed = 0; needed < ROLES; needed++)
            assert_int_equal(role_includes((enum api_role)has, (enum api_role)needed), table[has][needed] == '1');
}

static void names_are_checked(void **state) {
    (void)state;
    struct tokens t = {0};
    char out[128];
    static const char *const bad[] = {
        "", ".x", "a b", "a/b", "ä", "*", "0123456789012345678901234567890123456789012345678901234567890123"};
    for (size_t i = 0; i < LENGTH(bad); i++) {
        assert_fails(token_new(&t, str_of(bad[i]), ROLE_READ, STR("a"), 1, 0, out), ERR_INVALID);
        if (strcmp(bad[i], "*") != 0)
            assert_fails(token_new(&t, STR("n"), ROLE_READ, str_of(bad[i]), 1, 0, out), ERR_INVALID);
    }
    add(&t, "a", ROLE_READ, "*", out);
    assert_fails(token_new(&t, STR("a"), ROLE_READ, STR("*"), 1, 0, out), ERR_CONFLICT);
    assert_fails(token_revoke(&t, STR("b")), ERR_NOT_FOUND);
    assert_null(token_revoke(&t, STR("a")));
    assert_int_equal(t.v.n, 0);
    tokens_done(&t);
}

/* ---- the document ----------------------------------------------------------------------------------------------- */

static void documents_come_back(void **state) {
    (void)state;
    struct tokens t = {0}, again;
    char out[128];
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    add(&t, "a", ROLE_INGEST, "shop", out);
    assert_null(token_new(&t, STR("b"), ROLE_OPERATE, STR("*"), 1000000000, 2000000000, out));
    tokens_write(&t, &text);
    assert_null(tokens_read(buf_str(&text), &again));
    assert_int_equal(again.v.n, 2);
    assert_memory_equal(again.v.v, t.v.v, 2 * sizeof *t.v.v);
    assert_false(str_contains(buf_str(&text), (struct str){out + 22, 64})); /* the secret is nowhere */
    tokens_done(&t);
    tokens_done(&again);
}

#define TOKEN(more)                                                                                                    \
    "{\"version\":1,\"tokens\":[{\"id\":\"0123456789abcdef\",\"name\":\"a\",\"role\":\"read\",\"tenant\":\"t\","       \
    "\"created\":\"2026-01-01T00:00:00Z\",\"sha256\":"                                                                 \
    "\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"" more

static void wrong_documents_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"tokens\":[]}",
        "{\"version\":2,\"tokens\":[]}",
        "{\"version\":1,\"version\":1,\"tokens\":[]}",
        "{\"version\":1,\"tokens\":[],\"tokens\":[]}",
        "{\"version\":1,\"tokens\":[],\"more\":1}",
        "{\"version\":1,\"tokens\":[]} x",
        "{\"version\":1,\"tokens\":{}}",
        "{\"version\":1,\"tokens\":[1]}",
        "{\"version\":1,\"tokens\":[{}]}",
        "{\"version\":1,\"tokens\":[",
        TOKEN("}"),
        TOKEN(",\"scope\":\"x\"}]}"),
        TOKEN(",\"name\":\"b\"}]}"),
        TOKEN(",\"expires\":\"soon\"}]}"),
        TOKEN(",\"expires\":5}]}"),
        TOKEN(",\"expires\":\"0\"}]}"),
    };
    struct tokens t;
    assert_null(tokens_read(str_of(TOKEN("}]}")), &t));
    tokens_done(&t);
    for (size_t i = 0; i < LENGTH(bad); i++) {
        err e = tokens_read(str_of(bad[i]), &t);
        if (!e) fail_msg("taken: %s", bad[i]);
        assert_int_equal(err_kind(e), ERR_INVALID);
        err_free(e);
    }
}

/* ---- the file --------------------------------------------------------------------------------------------------- */

static err add_one(void *context, struct tokens *t) {
    char out[TOKEN_TEXT_BYTES];
    return token_new(t, str_of(context), ROLE_READ, STR("default"), 1, 0, out);
}

static void the_file_is_private_and_replaced_whole(void **state) {
    (void)state;
    static char a[] = "a", b[] = "b", c[] = "c";
    char dir[] = "/tmp/clew-token-XXXXXX", data[64], path[96], lock[96];
    struct file *held;
    struct stat about;
    AUTO_BUF struct buf text = {0};
    assert_non_null(mkdtemp(dir));
    snprintf(data, sizeof data, "%s/data", dir);
    snprintf(path, sizeof path, "%s/tokens.json", data);
    snprintf(lock, sizeof lock, "%s/tokens.lock", data);
    assert_fails(tokens_load(data, &text), ERR_NOT_FOUND);
    assert_null(tokens_change(data, add_one, a));
    assert_null(tokens_change(data, add_one, b));
    assert_fails(tokens_change(data, add_one, b), ERR_CONFLICT);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    assert_null(tokens_load(data, &text));
    assert_non_null(strstr(text.p, "\"name\":\"a\""));
    assert_null(file_open(lock, FILE_WRITE, &held));
    assert_null(file_lock(held));
    assert_fails(tokens_change(data, add_one, c), ERR_CONFLICT); /* another clew is at it */
    file_close(held);
    assert_null(file_open(path, FILE_CREATE_ANY, &held)); /* damaged: nothing is written over it */
    assert_null(file_write(held, "{", 1, 0));
    file_close(held);
    assert_fails(tokens_change(data, add_one, c), ERR_INVALID);
    assert_null(path_remove(path));
    assert_null(path_remove(lock));
    assert_null(path_remove_dir(data));
    assert_null(path_remove_dir(dir));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_found_by_its_text_alone),
        cmocka_unit_test(the_hash_is_sha256),
        cmocka_unit_test(roles_include_what_they_say),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(documents_come_back),
        cmocka_unit_test(wrong_documents_are_refused),
        cmocka_unit_test(the_file_is_private_and_replaced_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
