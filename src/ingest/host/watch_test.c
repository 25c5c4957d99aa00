/* What nginx, Redis and PostgreSQL say, read from a pair of sockets: pages, INFO, messages; whole, cut at every byte, and wrong. */
#include "ingest/host/host_testing_priv.h"

#include <sys/socket.h>
#include <unistd.h>

#include "ingest/host/watch_priv.h"
#include "ingest/host/wire_priv.h"
#include "os/clock.h"

#define NGINX_PAGE                                                                                                     \
    "Active connections: 291 \nserver accepts handled requests\n 16630948 16630947 31070465 \n"                        \
    "Reading: 6 Writing: 179 Waiting: 106 \n"

/* An answer that ends when its bytes do; what clew has sent is *sent. */
static err talk(bool postgres, const char *password, struct str answer, struct expo *out, struct buf *sent) {
    static char user[] = "watcher", database[] = "shop", nothing[] = "";
    const struct watch_target target = {nothing, user, database, nothing};
    struct wire w = {.until_ns = clock_monotonic_ns() + WATCH_NS};
    char piece[8192];
    int pair[2], large = 4 << 20;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &large, sizeof large);
    assert_int_equal(write(pair[1], answer.n ? answer.p : "", answer.n), answer.n);
    shutdown(pair[1], SHUT_WR);
    w.fd = pair[0];
    buf_init(&w.in, WATCH_ANSWER_BYTES_MAX);
    err e =
        postgres ? postgres_talk_wait(&w, &target, str_of(password), out) : redis_talk_wait(&w, str_of(password), out);
    wire_close(&w);
    for (ssize_t n; sent && (n = read(pair[1], piece, sizeof piece)) > 0;) buf_add(sent, piece, (size_t)n);
    close(pair[1]);
    return e;
}

static void fails(err e, enum err_kind kind, const char *part) {
    if (!e || err_kind(e) != kind || !strstr(err_text(e), part)) fail_msg("%s: not %s", err_text(e), part);
    err_free(e);
}

/* ---- nginx ------------------------------------------------------------------------------------------------------------ */

static void pages_of_nginx(void **state) {
    static const char *const bad[] = {
        "",
        "Active connections:",
        "Active connections: many\n",
        "<html>Active connections: 1",
        "Active connections: 1 \nserver accepts handled requests\n 1 2 \nReading: 0 Writing: 1 Waiting: 0 \n",
        "Active connections: 1 \nserver accepts handled requests\n 1 2 3 \nReading: 0 Writing: 1 Waiting: \n"};
    struct expo out;
    (void)state;
    expo_init(&out);
    assert_null(nginx_put(STR(NGINX_PAGE), &out));
    struct str text = buf_str(&out.out);
    assert_int_equal(check_text(text), 7);
    check_line(text, "nginx_connections_active 291");
    check_line(text, "nginx_connections_accepted 16630948");
    check_line(text, "nginx_connections_handled 16630947");
    check_line(text, "nginx_http_requests_total 31070465");
    check_line(text, "nginx_connections_reading 6");
    check_line(text, "nginx_connections_writing 179");
    check_line(text, "nginx_connections_waiting 106");
    check_line(text, "# TYPE nginx_http_requests_total counter");
    expo_clear(&out);
    for (size_t i = 0; i < LENGTH(bad); i++) {
        fails(nginx_put(str_of(bad[i]), &out), ERR_CORRUPT, "no page of stub_status");
        assert_int_equal(out.out.n, 0); /* nothing of half a page */
    }
    struct str page = STR(NGINX_PAGE);
    for (size_t n = 0; n < page.n - 3; n++) { /* "106 \n": a number that is cut is another, so to its first digit */
        err e = nginx_put(str_span(page.p, n), &out);
        if (n < page.n - 5) fails(e, ERR_CORRUPT, "no page");
        if (n >= page.n - 5) err_free(e);
    }
    expo_done(&out);
}

/* ---- Redis ------------------------------------------------------------------------------------------------------------ */

#define INFO                                                                                                           \
    "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nos:Linux \"6\" \\x\r\nuptime_in_seconds:77\r\n"      \
    "role:master\r\nused_memory:1024\r\nmem_fragmentation_ratio:1.25\r\nconnected_clients:x\r\n"                       \
    "db0:keys=3,expires=1,avg_ttl=2500\r\ndb1:keys=,expires\r\ndb\r\ndb7:keys=9\r\n"

static struct str bulk(struct buf *out, const char *before, const char *info) {
    buf_clear(out);
    buf_add_fmt(out, "%s$%zu\r\n%s\r\n", before, strlen(info), info);
    return buf_str(out);
}

static void info_of_redis(void **state) {
    struct expo out;
    AUTO_BUF struct buf answer, sent;
    (void)state;
    buf_init(&answer, MIB);
    buf_init(&sent, MIB);
    expo_init(&out);
    assert_null(talk(false, "", bulk(&answer, "", INFO), &out, &sent));
    assert_true(str_equal(buf_str(&sent), STR("*1\r\n$4\r\nINFO\r\n")));
    struct str text = buf_str(&out.out);
    check_text(text);
    check_line(text, "redis_instance_info{os=\"Linux \\\"6\\\" "
                     "\\\\x\",redis_mode=\"standalone\",redis_version=\"7.0.15\",role=\"master\"} 1");
    check_line(text, "redis_uptime_in_seconds 77");
    check_line(text, "redis_memory_used_bytes 1024");
    check_line(text, "redis_mem_fragmentation_ratio 1.25");
    check_line(text, "redis_db_keys{db=\"db0\"} 3");
    check_line(text, "redis_db_keys{db=\"db7\"} 9");
    check_line(text, "redis_db_keys_expiring{db=\"db0\"} 1");
    check_line(text, "redis_db_avg_ttl_seconds{db=\"db0\"} 2.5");
    assert_null(strstr(out.out.p, "connected_clients"));
    assert_null(strstr(out.out.p, "db1"));
    expo_clear(&out);
    buf_clear(&sent);
    assert_null(talk(false, "s\r\n$9", bulk(&answer, "+OK\r\n", INFO), &out,
                     &sent)); /* the password's length stands before it */
    assert_true(str_starts_with(buf_str(&sent), STR("*2\r\n$4\r\nAUTH\r\n$5\r\ns\r\n$9\r\n*1\r\n")));
    expo_done(&out);
}

static void redis_that_is_none(void **state) {
    static const struct {
        const char *password, *answer, *why;
        enum err_kind kind;
    } cases[] = {
        {"", "", "ended in the middle", ERR_UNAVAILABLE},
        {"", "-NOAUTH Authentication required.\r\n", "NOAUTH", ERR_UNAVAILABLE},
        {"x", "-WRONGPASS invalid\r\n", "WRONGPASS", ERR_UNAVAILABLE},
        {"", "$-1\r\n", "", ERR_INVALID},
        {"", "$99999999999999999999\r\n", "", ERR_INVALID},
        {"", "$1048577\r\n", "more than", ERR_LIMIT},
        {"", "$18446744073709551615\r\n", "more than", ERR_LIMIT},
        {"", "$100\r\nredis_version:1\r\n", "ended in the middle", ERR_UNAVAILABLE},
        {"", "$5\r\nhello\r\n", "no INFO of Redis", ERR_CORRUPT},
        {"", "$\r\n", "", ERR_INVALID},
        {"", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1", ERR_UNAVAILABLE},
    };
    AUTO_BUF struct buf much;
    struct expo out;
    (void)state;
    expo_init(&out);
    for (size_t i = 0; i < LENGTH(cases); i++)
        fails(talk(false, cases[i].password, str_of(cases[i].answer), &out, NULL), cases[i].kind, cases[i].why);
    buf_init(&much, 4 * MIB);
    for (int i = 0; i < 2 << 20; i++) buf_add_byte(&much, 'x'); /* a line without an end */
    fails(talk(false, "", buf_str(&much), &out, NULL), ERR_LIMIT, "more than");
    assert_int_equal(out.out.n, 0);
    expo_done(&out);
}

static void a_flood_of_databases_has_an_end(void **state) {
    AUTO_BUF struct buf info, answer;
    struct expo out;
    (void)state;
    buf_init(&info, MIB);
    buf_init(&answer, MIB);
    expo_init(&out);
    buf_add_text(&info, "redis_version:7\r\n");
    for (int i = 0; i < 5000; i++) buf_add_fmt(&info, "db%d:keys=1,expires=0,avg_ttl=0\r\n", i);
    buf_add_byte(&info, 0);
    assert_null(talk(false, "", bulk(&answer, "", info.p), &out, NULL));
    check_line(buf_str(&out.out), "redis_db_keys{db=\"db255\"} 1");
    assert_null(strstr(out.out.p, "db256"));
    expo_done(&out);
}

/* ---- PostgreSQL ------------------------------------------------------------------------------------------------------- */

static void message(struct buf *out, char type, const void *body, size_t n) {
    uint32_t size = __builtin_bswap32((uint32_t)n + 4);
    buf_add_byte(out, type);
    buf_add(out, &size, 4);
    if (n) buf_add(out, body, n);
}

static void auth(struct buf *out, uint32_t what, const char *more, size_t n) {
    char body[256];
    what = __builtin_bswap32(what);
    memcpy(body, &what, 4);
    if (n) memcpy(body + 4, more, n);
    message(out, 'R', body, n + 4);
}

/* Cells with `|` between; "~" is NULL. */
static void row(struct buf *out, const char *cells) {
    AUTO_BUF struct buf body;
    struct str rest = str_of(cells), one;
    bool more = true;
    uint16_t count = 1;
    for (const char *c = cells; *c; c++) count = (uint16_t)(count + (*c == '|'));
    buf_init(&body, MIB);
    count = __builtin_bswap16(count);
    buf_add(&body, &count, 2);
    while (more) {
        more = str_cut(rest, '|', &one, &rest);
        bool is_null = str_equal(one, STR("~"));
        uint32_t n = __builtin_bswap32(is_null ? UINT32_MAX : (uint32_t)one.n);
        buf_add(&body, &n, 4);
        if (!is_null) buf_add_str(&body, one);
    }
    message(out, 'D', body.p, body.n);
}

static void ready(struct buf *out) { message(out, 'Z', "I", 1); }

static void whole_answer(struct buf *out) {
    auth(out, 0, NULL, 0);
    message(out, 'S',
            "server_version\0"
            "15.5",
            20);
    message(out, 'K', "12345678", 8);
    ready(out);
    row(out, "PostgreSQL 15.5 on \"x\\y\"|15.5|1");
    ready(out);
    message(out, 'N', "SNOTICE\0Mhello\0", 16);
    row(out, "100|3|134217728");
    ready(out);
    row(out, "1|template1|0|1|2|3|4|5|6|7|8|9|10|11|12|13|14.5|15|~");
    row(out, "5|shop|2|1000|2|3|4|5|6|7|8|9|10|11|12|13|x|15|1700000000.5");
    ready(out);
    row(out, "shop|active|3|0.25");
    ready(out);
    row(out, "shop|8192");
    ready(out);
}

static void answers_of_postgresql(void **state) {
    AUTO_BUF struct buf answer, sent;
    struct expo out;
    (void)state;
    buf_init(&answer, MIB);
    buf_init(&sent, MIB);
    expo_init(&out);
    whole_answer(&answer);
    assert_null(talk(true, "", buf_str(&answer), &out, &sent));
    struct str text = buf_str(&out.out);
    check_text(text);
    check_line(text, "pg_static{version=\"PostgreSQL 15.5 on \\\"x\\\\y\\\"\",short_version=\"15.5\"} 1");
    check_line(text, "pg_settings_shared_buffers_bytes 134217728");
    check_line(text, "pg_stat_database_xact_commit{datid=\"5\",datname=\"shop\"} 1000");
    check_line(text, "pg_stat_database_blk_read_time{datid=\"1\",datname=\"template1\"} 14.5");
    check_line(text, "pg_stat_database_stats_reset{datid=\"5\",datname=\"shop\"} 1700000000.5");
    assert_false(
        has_line(text, "pg_stat_database_stats_reset{datid=\"1\",datname=\"template1\"} 0")); /* NULL is none */
    check_line(text, "pg_stat_activity_max_tx_duration{datname=\"shop\",state=\"active\"} 0.25");
    check_line(text, "pg_database_size_bytes{datname=\"shop\"} 8192");
    assert_non_null(memmem(sent.p, sent.n, "user\0watcher\0database\0shop\0", 27));
    assert_int_equal(sent.p[sent.n - 5], 'X');
    for (size_t n = 0; n < answer.n; n++) { /* cut anywhere */
        expo_clear(&out);
        fails(talk(true, "", str_span(answer.p, n), &out, NULL), ERR_UNAVAILABLE, "ended in the middle");
    }
    expo_done(&out);
}

/* RFC: md5(md5(password + user) + salt), in hex. */
static void passwords_of_postgresql(void **state) {
    AUTO_BUF struct buf answer, sent;
    struct expo out;
    (void)state;
    buf_init(&answer, MIB);
    buf_init(&sent, MIB);
    expo_init(&out);
    auth(&answer, 5, "\1\2\3\4", 4);
    fails(talk(true, "secret", buf_str(&answer), &out, &sent), ERR_UNAVAILABLE, "ended in the middle");
    assert_non_null(memmem(sent.p, sent.n, "md550e9e3c106bae49da72cd749f82e559c", 35));
    static const struct {
        uint32_t what;
        const char *more;
        size_t n;
        const char *why;
        enum err_kind kind;
    } cases[] = {
        {3, "", 0, "has not (3)", ERR_UNAVAILABLE}, /* in plain text: never */
        {5, "\1\2\3", 3, "no PostgreSQL", ERR_CORRUPT},
        {10, "SCRAM-SHA-256-PLUS\0\0", 20, "has not", ERR_UNAVAILABLE},
        {10, "", 0, "has not", ERR_UNAVAILABLE},
        {11, "r=x,s=eA==,i=4096", 17, "no PostgreSQL", ERR_CORRUPT}, /* not begun */
        {12, "v=AAAA", 6, "does not know the password", ERR_DENIED},
        {99, "", 0, "has not (99)", ERR_UNAVAILABLE},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        buf_clear(&answer);
        auth(&answer, cases[i].what, cases[i].more, cases[i].n);
        fails(talk(true, "secret", buf_str(&answer), &out, NULL), cases[i].kind, cases[i].why);
    }
    buf_clear(&answer); /* another's nonce; and a server that says yes before it has shown that it knows */
    auth(&answer, 10, "SCRAM-SHA-256\0\0", 15);
    auth(&answer, 11, "r=x,s=eA==,i=4096", 17);
    fails(talk(true, "secret", buf_str(&answer), &out, NULL), ERR_CORRUPT, "no PostgreSQL");
    buf_clear(&answer);
    auth(&answer, 10, "SCRAM-SHA-256\0\0", 15);
    auth(&answer, 0, NULL, 0);
    fails(talk(true, "secret", buf_str(&answer), &out, NULL), ERR_CORRUPT, "no PostgreSQL");
    expo_done(&out);
}

static void postgresql_that_is_none(void **state) {
    static const struct {
        const char *bytes;
        size_t n;
        const char *why;
        enum err_kind kind;
    } cases[] = {
        {"E\0\0\0\x17SFATAL\0Mno entry\0C28\0\0", 28, "no entry", ERR_UNAVAILABLE},
        {"E\0\0\0\4", 5, "refuses", ERR_UNAVAILABLE},
        {"R\0\0\0\3", 5, "no PostgreSQL", ERR_CORRUPT},
        {"R\0\0\0\6xx", 7, "no PostgreSQL", ERR_CORRUPT},
        {"Z\0\0\0\5I", 6, "no PostgreSQL", ERR_CORRUPT},
        {"R\xff\xff\xff\xff", 5, "more than", ERR_LIMIT},
        {"HTTP/1.1 400 Bad", 16, "more than", ERR_LIMIT},
    };
    AUTO_BUF struct buf answer;
    struct expo out;
    (void)state;
    buf_init(&answer, 4 * MIB);
    expo_init(&out);
    for (size_t i = 0; i < LENGTH(cases); i++)
        fails(talk(true, "", str_span(cases[i].bytes, cases[i].n), &out, NULL), cases[i].kind, cases[i].why);
    static const char *const rows[] = {"", "\0", "\0\3\0\0\0\1", "\0\2\0\0\0\0\0\0\0\0",
                                       "\0\3\0\0\0\1a\xff\xff\xff\xff\0\0\0\2b"};
    static const size_t sizes[] = {0, 1, 6, 10, 16};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        buf_clear(&answer);
        auth(&answer, 0, NULL, 0);
        ready(&answer);
        message(&answer, 'D', rows[i], sizes[i]);
        fails(talk(true, "", buf_str(&answer), &out, NULL), ERR_CORRUPT, "no PostgreSQL");
    }
    buf_clear(&answer);
    auth(&answer, 0, NULL, 0);
    ready(&answer);
    for (int i = 0; i < 300; i++) row(&answer, "a|b|1"); /* more than were asked for */
    fails(talk(true, "", buf_str(&answer), &out, NULL), ERR_CORRUPT, "no PostgreSQL");
    buf_clear(&answer);
    for (int i = 0; i < 200000; i++) message(&answer, 'N', "x", 1); /* notices without an end */
    fails(talk(true, "", buf_str(&answer), &out, NULL), ERR_LIMIT, "more than");
    assert_int_equal(out.out.n, 0);
    expo_done(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_of_nginx),          cmocka_unit_test(info_of_redis),
        cmocka_unit_test(redis_that_is_none),      cmocka_unit_test(a_flood_of_databases_has_an_end),
        cmocka_unit_test(answers_of_postgresql),   cmocka_unit_test(passwords_of_postgresql),
        cmocka_unit_test(postgresql_that_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
