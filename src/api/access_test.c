/* Who may do what: every route × every kind of caller, walked over the route table; and requests that try to get by. */
#include "api/access_testing_priv.h"

/* ---- the walk: every route × every caller ----------------------------------------------------------------------- */

/* 0: whatever the handler says but 401 and 403. */
static void check_walk(const struct api_route *r, enum api_port port, int wanted, const char *who) {
    AUTO_BUF struct buf request;
    buf_init(&request, 4 * KIB);
    put_request(r, port, trace_of_a, "web", &request);
    int status = send_to(r, port, request.p, STR(""));
    bool refused = status == 401 || status == 403 || status == 429;
    if (wanted ? status != wanted : refused) fail_msg("%s by %s: %d: %s", request.p, who, status, stage.body.p);
    if (status == 401) assert_has(stage.fields, "WWW-Authenticate: Bearer realm=\"clew\"");
    bool otlp = port == API_PORT_OTLP || strncmp(r->path, "/otlp/", 6) == 0 || strstr(r->path, "/api/v1/otlp/") ||
                strstr(r->path, "/ollystack/v1/");
    if (wanted && otlp) {
        assert_string_equal(stage.content_type, "application/x-protobuf");
        assert_int_equal(stage.body.p[1], wanted == 401 ? 16 : 7); /* UNAUTHENTICATED, PERMISSION_DENIED */
    }
}

static size_t walk_strangers(const struct api_route *r, enum api_port port) {
    static char other_secret[TOKEN_TEXT_BYTES + 1], upper[TOKEN_TEXT_BYTES + 1];
    memcpy(other_secret, token[ROLE_ADMIN][TENANT_ANY], sizeof other_secret);
    memcpy(other_secret + 22, token[ROLE_ADMIN][TENANT_A] + 22, 64);
    for (size_t i = 0; i < sizeof upper; i++) {
        char c = token[ROLE_ADMIN][TENANT_ANY][i];
        upper[i] = (char)(i > 22 && c >= 'a' && c <= 'f' ? c - 32 : c);
    }
    const struct {
        const char *scheme, *text, *who;
    } strangers[] = {
        {"", NULL, "nobody"},
        {"Bearer ", "clew_0123456789abcdef_00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
         "unknown"},
        {"Bearer ", other_secret, "wrong secret"},
        {"Bearer ", upper, "upper case"},
        {"Bearer ", expired, "expired"},
        {"Bearer ", revoked, "revoked"},
        {"Digest ", token[ROLE_ADMIN][TENANT_ANY], "another scheme"},
        {"", token[ROLE_ADMIN][TENANT_ANY], "no scheme"},
        {"Bearer ", "", "empty"},
        {"Basic ", "!!!!", "no base64"},
    };
    for (size_t i = 0; i < LENGTH(strangers); i++) {
        be(strangers[i].scheme, strangers[i].text);
        check_walk(r, port, r->role == ROLE_ANY ? 0 : 401, strangers[i].who);
    }
    return LENGTH(strangers);
}

static size_t walk_roles(const struct api_route *r, enum api_port port) {
    size_t n = 0;
    for (int role = ROLE_INGEST; role < ROLES; role++)
        for (int tenant = 0; tenant < TENANTS; tenant++, n++) {
            bool may = role_includes((enum api_role)role, r->role) && (!r->all_tenants || tenant == TENANT_ANY);
            be_token((enum api_role)role, tenant);
            check_walk(r, port, may ? 0 : 403, role_names[role]);
        }
    return n;
}

static void every_route_asks_who_it_is(void **state) {
    (void)state;
    size_t n = 0;
    for (size_t i = 0; i < api_route_count; i++)
        for (int port = 0; port < API_PORTS; port++) {
            if (!(api_routes[i].ports >> port & 1)) continue;
            n += walk_strangers(&api_routes[i], (enum api_port)port);
            n += walk_roles(&api_routes[i], (enum api_port)port);
        }
    print_message("walk: %zu requests over %zu routes\n", n, api_route_count);
    assert_in_range(n, api_route_count * 20, 20000);
}

/* ---- bad input -------------------------------------------------------------------------------------------------- */

static void tenants_cannot_be_forged(void **state) {
    (void)state;
    static const struct {
        const char *tenant;
        int token_tenant, status;
    } cases[] = {
        {"b", TENANT_A, 403},          {"a", TENANT_A, 200},      {"b", TENANT_ANY, 200},   {"*", TENANT_ANY, 400},
        {"", TENANT_ANY, 400},         {"../b", TENANT_ANY, 400}, {"a|b", TENANT_ANY, 400}, {".b", TENANT_ANY, 400},
        {"a b", TENANT_ANY, 400},      {"B", TENANT_A, 403},      {"A", TENANT_A, 403},     {"a,b", TENANT_A, 400},
        {"\xc3\xa4", TENANT_ANY, 400},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        be_token(ROLE_ADMIN, cases[i].token_tenant);
        choose(cases[i].tenant);
        int status = stage_ask(&stage, "GET /api/v1/services");
        if (status != cases[i].status) fail_msg("'%s': %d: %s", cases[i].tenant, status, stage.body.p);
        assert_int_equal(stage_send(&stage, API_PORT_OTLP, "POST /v1/traces", "application/x-protobuf", NULL, STR("")),
                         cases[i].status);
    }
    be_token(ROLE_ADMIN, TENANT_ANY);
    stage.credentials.org_id = (struct str){"a\0b", 3};
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 400);
    char longest[65];
    memset(longest, 'x', 64);
    longest[64] = 0;
    choose(longest);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 400);
    stage.credentials.org_id.n = 63;
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 200);
}

static void basic_takes_the_token_as_password(void **state) {
    (void)state;
    static const struct {
        const char *before, *after;
        int status;
    } cases[] = {{"", "", 200}, {"", ":more", 401}, {":", "", 401}, {"a:b:", "", 401}, {" ", "", 401}};
    for (size_t i = 0; i < LENGTH(cases); i++)
        for (int user = 0; user < 2; user++) {
            AUTO_BUF struct buf plain, encoded;
            buf_init(&plain, KIB);
            buf_init(&encoded, 2 * KIB);
            buf_add_fmt(&plain, "%s:%s%s%s", user ? "any one" : "", cases[i].before, token[ROLE_READ][TENANT_A],
                        cases[i].after);
            put_base64(&encoded, plain.p, plain.n);
            be("basic ", encoded.p);
            int status = stage_ask(&stage, "GET /api/v1/services");
            if (status != cases[i].status) fail_msg("Basic %s: %d", plain.p, status);
        }
}

static void odd_credentials_are_refused(void **state) {
    (void)state;
    char *huge = mem_new(10241);
    memset(huge, 'a', 10240);
    for (int basic = 0; basic < 2; basic++) {
        be(basic ? "Basic " : "Bearer ", huge);
        assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 401);
        be("", NULL);
        stage.credentials.cookie = (struct str){huge, 10240};
        assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 401);
    }
    mem_free(huge);
    be_token(ROLE_READ, TENANT_A);
    stage.credentials.doubled = true;
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 400);
    assert_has(stage.body.p, "sent twice");
    be_token(ROLE_READ, TENANT_A);
    stage.credentials.authorization.n -= 3;
    memcpy(authorization + 20, "\0\0\0", 3);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 401);
    be("", NULL); /* never from the query string */
    AUTO_BUF struct buf request;
    buf_init(&request, KIB);
    static const char *const names[] = {"token", "access_token", "Authorization", "X-Scope-OrgID"};
    for (size_t i = 0; i < LENGTH(names); i++) {
        buf_clear(&request);
        buf_add_fmt(&request, "GET /api/v1/services?%s=%s", names[i], token[ROLE_READ][TENANT_A]);
        assert_int_equal(stage_ask(&stage, request.p), 401);
        assert_null(strstr(stage.body.p, token[ROLE_READ][TENANT_A]));
    }
}

static void tricks_with_paths_lead_nowhere(void **state) {
    (void)state;
    static const char *const paths[] = {
        "POST //api/v1/admin/flush",
        "POST /api//v1/admin/flush",
        "POST /api/v1/admin/flush/",
        "POST /API/v1/admin/flush",
        "POST /api/v1/Admin/flush",
        "POST /api/v1/admin/flush;x=1",
        "POST /api/v1/admin;/flush",
        "POST /api/v1/%61dmin/flush",
        "POST /api/v1/admin%2fflush",
        "POST /health/../api/v1/admin/flush",
        "POST /health/%2e%2e/api/v1/admin/flush",
        "POST /api/v1/./admin/flush",
        "POST /api/v1/admin/flush%00",
        "POST /api/v1/admin/flush%20",
        "POST \\api\\v1\\admin\\flush",
        "POST /health;/../api/v1/admin/flush",
        "POST /api/v1/admin/flush#",
        "POST http://x//api/v1/admin/flush",
    };
    for (size_t i = 0; i < LENGTH(paths); i++)
        for (int as_admin = 0; as_admin < 2; as_admin++) {
            be(as_admin ? "Bearer " : "", as_admin ? token[ROLE_ADMIN][TENANT_ANY] : NULL);
            int status = stage_ask(&stage, paths[i]);
            if (status != 404) fail_msg("%s: %d", paths[i], status);
        }
    be("", NULL);
    assert_int_equal(stage_ask(&stage, "POST http://x/api/v1/admin/flush"), 401); /* the same route by another name */
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services/..%2f..%2fadmin%2fflush/operations"), 401);
    be_token(ROLE_READ, TENANT_A);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services/a%00b/operations?environment=%00"), 200);
}

static void pages_of_strangers_may_not_ask(void **state) {
    (void)state;
    static const struct {
        const char *host, *origin;
        int status;
    } cases[] = {
        {"clew.example", "https://clew.example", 200},
        {"clew.example", "https://evil.example", 403},
        {"clew.example", "null", 403},
        {"clew.example", "", 403},
        {"clew.example", "https://clew.example.evil.example", 403},
        {"clew.example:8080", "http://clew.example", 403},
        {"clew.example", "http://listed.example", 403},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        be_token(ROLE_ADMIN, TENANT_A);
        stage.credentials.host = str_of(cases[i].host);
        stage.credentials.origin = str_of(cases[i].origin);
        int status = stage_ask(&stage, "POST /api/v1/admin/flush");
        if (status != cases[i].status) fail_msg("%s, %s: %d", cases[i].host, cases[i].origin, status);
    }
    /* A name that a stranger lets resolve to this machine brings no token along. */
    be("", NULL);
    stage.credentials.host = stage.credentials.origin = (struct str){NULL, 0};
    stage.credentials.host = STR("evil.example:8080");
    stage.credentials.origin = STR("http://evil.example:8080");
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 401);
    /* A proxy asks by another name than the page was asked by. */
    stage.api->options.allowed_hosts = STR("clew.example");
    be_token(ROLE_ADMIN, TENANT_A);
    stage.credentials.host = STR("10.0.0.7:8080");
    stage.credentials.origin = STR("https://clew.example");
    assert_int_equal(stage_ask(&stage, "POST /api/v1/admin/flush"), 200);
    stage.credentials.origin = STR("https://evil.example");
    assert_int_equal(stage_ask(&stage, "POST /api/v1/admin/flush"), 403);
    stage.api->options.allowed_hosts = (struct str){NULL, 0};
}

static void listed_pages_may_ask(void **state) {
    (void)state;
    stage.api->options.cors_origins = STR("https://other.example, https://listed.example:8443");
    struct http_field fields[REPLY_FIELDS_MAX];
    struct api_reply reply = {.status = 204, .cors_origin = STR("https://listed.example:8443")};
    be("", NULL);
    stage.credentials.origin = STR("https://listed.example:8443");
    assert_int_equal(stage_ask(&stage, "OPTIONS /api/v1/services"), 204);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 401); /* with a token only */
    be_token(ROLE_READ, TENANT_A);
    stage.credentials.origin = STR("https://listed.example:8443");
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 200);
    static const char *const others[] = {"https://listed.example", "http://listed.example:8443",
                                         "https://LISTED.example:8443",
                                         "https://other.example, https://listed.example:8443", ","};
    for (size_t i = 0; i < LENGTH(others); i++) {
        stage.credentials.origin = str_of(others[i]);
        assert_int_equal(stage_ask(&stage, "OPTIONS /api/v1/services"), 403);
        assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 403);
    }
    size_t n = reply_fields(&reply, fields), allow = 0;
    for (size_t i = 0; i < n; i++) allow += str_equal(fields[i].value, reply.cors_origin);
    assert_int_equal(allow, 1);
}

/* As upstream: every preflight is 204 without a body. Only a listed page is told that it may ask, and the question itself is refused. */
static void a_preflight_of_ollystack_is_204_for_every_page(void **state) {
    (void)state;
    stage.api->options.cors_origins = STR("https://listed.example");
    static const char *const pages[] = {"https://evil.example", "null", "", "http://evil.example:8090"};
    for (size_t i = 0; i < LENGTH(pages); i++) {
        be("", NULL);
        stage.credentials.origin = str_of(pages[i]);
        assert_int_equal(stage_ask(&stage, "OPTIONS /ollystack/api/v1/traces"), 204);
        assert_int_equal(stage.body.n, 0);
        assert_int_equal(stage_send(&stage, API_PORT_OLLYSTACK, "OPTIONS /api/v1/alerts", NULL, NULL, STR("")), 204);
        assert_int_equal(stage.body.n, 0);
        be_token(ROLE_ADMIN, TENANT_A);
        stage.credentials.origin = str_of(pages[i]);
        if (stage_ask(&stage, "GET /ollystack/api/v1/traces") != 403) fail_msg("%s: %d", pages[i], stage.status);
    }
}

static const char *field_of(const struct api_reply *reply, const char *name) {
    static char value[256];
    struct http_field fields[REPLY_FIELDS_MAX];
    size_t n = reply_fields(reply, fields);
    for (size_t i = 0; i < n; i++)
        if (str_equal(fields[i].name, str_of(name))) {
            snprintf(value, sizeof value, STR_FMT, STR_ARG(fields[i].value));
            return value;
        }
    return "-";
}

static void every_answer_has_its_fields(void **state) {
    (void)state;
    struct api_reply json = {.status = 200, .content_type = STR("application/json")},
                     page = {.status = 200, .content_type = STR("text/html; charset=utf-8"), .is_tls = true};
    assert_string_equal(field_of(&json, "X-Content-Type-Options"), "nosniff");
    assert_string_equal(field_of(&json, "Referrer-Policy"), "no-referrer");
    assert_string_equal(field_of(&json, "Cache-Control"), "no-store");
    assert_string_equal(field_of(&json, "Content-Security-Policy"), "-");
    assert_string_equal(field_of(&json, "Strict-Transport-Security"), "-");
    assert_string_equal(field_of(&json, "Access-Control-Allow-Origin"), "-");
    assert_has(field_of(&page, "Content-Security-Policy"), "frame-ancestors 'none'");
    assert_has(field_of(&page, "Strict-Transport-Security"), "max-age=");
    struct http_field own = {STR("cache-control"), STR("max-age=60")};
    page.fields = &own;
    page.field_count = 1;
    assert_string_equal(field_of(&page, "cache-control"), "max-age=60");
    assert_string_equal(field_of(&page, "Cache-Control"), "-");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ACCESS_TEST(every_route_asks_who_it_is),
        ACCESS_TEST(tenants_cannot_be_forged),
        ACCESS_TEST(basic_takes_the_token_as_password),
        ACCESS_TEST(odd_credentials_are_refused),
        ACCESS_TEST(tricks_with_paths_lead_nowhere),
        ACCESS_TEST(pages_of_strangers_may_not_ask),
        ACCESS_TEST(listed_pages_may_ask),
        ACCESS_TEST(a_preflight_of_ollystack_is_204_for_every_page),
        ACCESS_TEST(every_answer_has_its_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
