/* Who may do what, walked over the route table: every route × every kind of caller, and two tenants who must never see each other. */
#include "api/audit_priv.h"
#include "api/session_priv.h"
#include "api/stage_test_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/text.h"
#include "os/file.h"

/* ---- tokens of the tests ---------------------------------------------------------------------------------------- */

enum { TENANT_A, TENANT_B, TENANT_ANY, TENANTS };
static const char *const tenants[TENANTS] = {"a", "b", "*"};

static struct stage stage;
static char token[ROLES][TENANTS][TOKEN_TEXT_BYTES + 1], expired[TOKEN_TEXT_BYTES + 1], revoked[TOKEN_TEXT_BYTES + 1];
static char document[16 * 1024];
static uint32_t peer_number;
static char peer[32], authorization[16 * 1024];

static void new_token(struct tokens *t, const char *name, enum api_role role, const char *tenant, int64_t expires,
                      char *out) {
    assert_null(token_new(t, str_of(name), role, str_of(tenant), STAGE_NOW_NS, expires, out));
    out[TOKEN_TEXT_BYTES] = 0;
}

static void make_tokens(void) {
    struct tokens t = {0};
    AUTO_BUF struct buf text;
    char name[32];
    for (int r = ROLE_INGEST; r < ROLES; r++)
        for (int k = 0; k < TENANTS; k++) {
            snprintf(name, sizeof name, "%s-%d", role_names[r], k);
            new_token(&t, name, (enum api_role)r, tenants[k], 0, token[r][k]);
        }
    new_token(&t, "expired", ROLE_ADMIN, "*", STAGE_NOW_NS, expired);
    new_token(&t, "revoked", ROLE_ADMIN, "*", 0, revoked);
    assert_null(token_revoke(&t, STR("revoked")));
    buf_init(&text, sizeof document - 1);
    tokens_write(&t, &text);
    memcpy(document, text.p, text.n + 1);
    tokens_done(&t);
}

static int open_stage(void **state) {
    (void)state;
    stage_later_ns = 0;
    make_tokens();
    stage_open_as(&stage, NULL, document, NULL);
    return 0;
}

static int close_stage(void **state) {
    (void)state;
    stage_close(&stage);
    return 0;
}

/* Who asks next; each time from another address, so that failures of one do not slow the next. */
static void be(const char *scheme, const char *text) {
    stage.credentials = (struct credentials){.host = STR("clew.example:8080")};
    snprintf(peer, sizeof peer, "10.%u.%u.1:4711", peer_number >> 8 & 255, peer_number & 255);
    peer_number++;
    stage.credentials.peer = str_of(peer);
    if (!text) return;
    snprintf(authorization, sizeof authorization, "%s%s", scheme, text);
    stage.credentials.authorization = str_of(authorization);
}

static void be_token(enum api_role role, int tenant) { be("Bearer ", token[role][tenant]); }
static void choose(const char *tenant) { stage.credentials.org_id = str_of(tenant); }

static void assert_has(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("'%s' is not in: %s", part, text);
}

/* ---- the walk: every route × every caller ----------------------------------------------------------------------- */

static const char trace_of_a[] = "0af7651916cd43dd8448eb211c80319c", trace_of_b[] = "0af7651916cd43dd8448eb211c80bbbb";

/* A path that the route takes on a port, by "GET /path". Jaeger's has /jaeger at its root, Prometheus's /prometheus. */
static void put_request(const struct api_route *r, enum api_port port, const char *trace, const char *service,
                        struct buf *out) {
    static const char *const roots[API_PORTS] = {[API_PORT_JAEGER] = "/jaeger", [API_PORT_PROMETHEUS] = "/prometheus"};
    struct str rest = str_of(r->path + (roots[port] ? strlen(roots[port]) : 0)), segment;
    buf_clear(out);
    buf_add_text(out, route_method(r));
    buf_add_byte(out, ' ');
    str_cut(rest, '/', &segment, &rest);
    for (bool more = true; more;) {
        more = str_cut(rest, '/', &segment, &rest);
        buf_add_byte(out, '/');
        if (!str_starts_with(segment, STR("{")))
            buf_add_str(out, segment);
        else
            buf_add_text(out, str_starts_with(segment, STR("{trace")) ? trace : service);
    }
}

static int send_to(const struct api_route *r, enum api_port port, const char *request, struct str body) {
    bool otlp = r->role == ROLE_INGEST;
    return stage_send(&stage, port, request, otlp ? "application/x-protobuf" : NULL, NULL, body);
}

/* 0: whatever the handler says but 401 and 403. */
static void check_walk(const struct api_route *r, enum api_port port, int wanted, const char *who) {
    AUTO_BUF struct buf request;
    buf_init(&request, 4 * KIB);
    put_request(r, port, trace_of_a, "web", &request);
    int status = send_to(r, port, request.p, STR(""));
    bool refused = status == 401 || status == 403 || status == 429;
    if (wanted ? status != wanted : refused) fail_msg("%s by %s: %d: %s", request.p, who, status, stage.body.p);
    if (status == 401) assert_has(stage.fields, "WWW-Authenticate: Bearer realm=\"clew\"");
    bool otlp = port == API_PORT_OTLP || strncmp(r->path, "/otlp/", 6) == 0 || strstr(r->path, "/api/v1/otlp/");
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

/* ---- two tenants ------------------------------------------------------------------------------------------------ */

/* The data of b is that of a with other words of the same length. */
static const char *const words_of_a[] = {"web",        "cart", "GET /checkout", "payment", "order",
                                         "io.example", "shop", "upstream",      "prod"},
                         *const words_of_b[] = {"wbb",        "bart", "GET /bheckout", "bayment", "brder",
                                                "io.bxample", "bhop", "bpstream",      "brod"};

static void replace_all(struct buf *b, const void *from, const void *to, size_t n) {
    for (char *at = b->p; (at = memmem(at, b->n - (size_t)(at - b->p), from, n)); at += n) memcpy(at, to, n);
}

static void put_data(bool of_b, enum signal signal, struct buf *out) {
    unsigned char from[16], to[16];
    if (signal == SIGNAL_SPANS)
        stage_put_traces(out);
    else
        stage_put_logs(out);
    if (!of_b) return;
    for (size_t i = 0; i < LENGTH(words_of_a); i++)
        replace_all(out, words_of_a[i], words_of_b[i], strlen(words_of_a[i]));
    err_free(parse_hex(str_of(trace_of_a), from, 16));
    err_free(parse_hex(str_of(trace_of_b), to, 16));
    replace_all(out, from, to, 16);
}

static void fill(int tenant) {
    for (int signal = 0; signal < 2; signal++) {
        AUTO_BUF struct buf body;
        buf_init(&body, MIB);
        put_data(tenant == TENANT_B, (enum signal)signal, &body);
        be_token(ROLE_INGEST, tenant);
        assert_int_equal(stage_send(&stage, API_PORT_OTLP, signal == SIGNAL_SPANS ? "POST /v1/traces" : "POST /v1/logs",
                                    "application/x-protobuf", NULL, buf_str(&body)),
                         200);
    }
}

/* Samples called and labelled by the tenant's words. */
static void fill_series(int tenant) {
    const char *const *words = tenant == TENANT_B ? words_of_b : words_of_a;
    AUTO_BUF struct buf text;
    buf_init(&text, KIB);
    buf_add_fmt(&text, "# TYPE %s_total counter\n%s_total{job=\"%s\",service=\"%s\"} 1\n", words[3], words[3], words[0],
                words[1]);
    be_token(ROLE_INGEST, tenant);
    assert_int_equal(stage_send(&stage, API_PORT_MAIN, "POST /api/v1/import", "text/plain", NULL, buf_str(&text)), 200);
}

/* No word of the other tenant is in the answer, but for what the question itself said. */
static void check_blind(const char *request, bool other_is_b) {
    const char *const *words = other_is_b ? words_of_b : words_of_a;
    AUTO_BUF struct buf asked;
    buf_init(&asked, 16 * KIB);
    struct arena a;
    struct str decoded;
    arena_init(&a, MIB);
    assert_null(call_decode(&a, str_of(request), true, &decoded));
    for (size_t i = 0; i < LENGTH(words_of_a); i++) {
        struct str word = str_of(words[i]);
        if (str_contains(decoded, word)) continue;
        if (memmem(stage.body.p, stage.body.n, word.p, word.n))
            fail_msg("%s shows '%s' of the other tenant: %s", request, words[i], stage.body.p);
    }
    const char *id = other_is_b ? trace_of_b : trace_of_a;
    if (!str_contains(decoded, str_of(id)) && strstr(stage.body.p, id)) fail_msg("%s shows the other's trace", request);
    arena_done(&a);
}

/* Values that a parameter may have, those of the other tenant among them; NULL ends. */
static void values_of(const struct api_param *p, bool other_is_b, const char *cursor, char choices[256],
                      const char *out[16]) {
    size_t n = 0;
    const char *const *words = other_is_b ? words_of_b : words_of_a;
    struct str rest = str_of(p->choices), one;
    switch (p->type) {
    case PARAM_TEXT:
        if (strcmp(p->name, "cursor") == 0) {
            out[n++] = cursor;
            break;
        }
        for (size_t i = 0; i < 4; i++) out[n++] = words[i];
        out[n++] = "{__name__!=\"\"}"; /* all series */
        break;
    case PARAM_INTEGER: out[n++] = "1", out[n++] = "1000"; break;
    case PARAM_BOOLEAN: out[n++] = "true", out[n++] = "false"; break;
    case PARAM_TIME: out[n++] = "0", out[n++] = "now"; break;
    case PARAM_DURATION: out[n++] = "1ns", out[n++] = "1h"; break;
    case PARAM_CHOICE:
        snprintf(choices, 256, "%s", p->choices);
        for (char *c = choices; rest.n && n < 15; c += one.n + 1) {
            str_cut(rest, ' ', &one, &rest);
            out[n++] = c;
            c[one.n] = 0;
            if (!str_contains(rest, STR(" ")) && !rest.n) break;
        }
        break;
    case PARAM_TRACE_ID: out[n++] = other_is_b ? trace_of_b : trace_of_a; break;
    case PARAM_SPAN_ID: out[n++] = "b7ad6b7169203311"; break;
    case PARAM_SEVERITY: out[n++] = "1"; break;
    case PARAM_WHERE:
        out[n++] = other_is_b ? "service.name=bart" : "service.name=cart";
        out[n++] = "service.name exists";
        break;
    }
    out[n] = NULL;
}

static void add_encoded(struct buf *out, const char *text) {
    for (; *text; text++) buf_add_fmt(out, "%%%02X", (unsigned char)*text);
}

static bool has_param(const struct api_route *r, const char *name) {
    for (const struct api_param *p = r->params; p && p->name; p++)
        if (strcmp(p->name, name) == 0) return true;
    return false;
}

/* What Jaeger's questions cannot do without; each ignores what is not its own. */
static const char jaeger_range[] =
    "&service=cart&endTs=1767323045000&query.startTimeMin=2026-01-02T03:00:00Z&query.startTimeMax=2026-01-02T03:04:05Z&"
    "startTime=2026-01-02T03:00:00Z&endTime=2026-01-02T03:04:05Z";

/* A question, alone and with every value of every parameter, over all times. Returns how many were asked. */
static size_t ask_everything(const struct api_route *r, bool other_is_b, const char *trace, const char *service,
                             const char *cursor) {
    AUTO_BUF struct buf base, request;
    size_t asked = 0;
    buf_init(&base, 4 * KIB);
    buf_init(&request, 8 * KIB);
    put_request(r, API_PORT_MAIN, trace, service, &base);
    buf_add_byte(&base, '?');
    buf_add_str(&request, buf_str(&base));
    if (r->lenient) buf_add_text(&request, jaeger_range + 1);
    int status = send_to(r, API_PORT_MAIN, request.p, STR(""));
    check_blind(request.p, other_is_b);
    for (const struct api_param *p = r->params; p && p->name; p++) {
        const char *values[16];
        char choices[256];
        values_of(p, other_is_b, cursor, choices, values);
        for (size_t i = 0; values[i]; i++, asked++) {
            buf_clear(&request);
            buf_add_str(&request, buf_str(&base));
            bool all_times =
                has_param(r, "start") && !r->lenient && p->type != PARAM_TIME && strcmp(p->name, "cursor") != 0;
            buf_add_fmt(&request, "%s%s=", all_times ? "start=0&end=now&" : "", p->name);
            add_encoded(&request, values[i]);
            if (r->lenient) buf_add_text(&request, jaeger_range);
            send_to(r, API_PORT_MAIN, request.p, STR(""));
            check_blind(request.p, other_is_b);
        }
    }
    return asked + (status != 0);
}

static void take_cursor(const char *request, char out[256]) {
    stage_ask(&stage, request);
    const char *at = strstr(stage.body.p, "\"next_cursor\":\"");
    assert_non_null(at);
    snprintf(out, 256, "%.*s", (int)strcspn(at + 15, "\""), at + 15);
}

static void neither_tenant_sees_the_other(void **state) {
    (void)state;
    size_t n = 0;
    char cursors[2][256];
    fill(TENANT_A);
    fill(TENANT_B);
    fill_series(TENANT_A);
    fill_series(TENANT_B);
    for (int t = 0; t < 2; t++) {
        be_token(ROLE_READ, t);
        take_cursor("GET /api/v1/traces?limit=1", cursors[t]);
    }
    for (int role = ROLE_READ; role < ROLES; role++)
        for (int t = 0; t < 2; t++)
            for (size_t i = 0; i < api_route_count; i++) {
                const struct api_route *r = &api_routes[i];
                bool other = r->handler == handle_delete || /* it has a test of its own */
                             r->handler == handle_page || r->handler == handle_page_asset || /* the same for all */
                             strstr(r->path, "/status/flags") || strstr(r->path, "/openapi.json") ||
                             strstr(r->path, "/docs");
                if (!(r->ports >> API_PORT_MAIN & 1) || other || !role_includes((enum api_role)role, r->role)) continue;
                be_token((enum api_role)role, t);
                n += ask_everything(r, t == TENANT_A, trace_of_a, "cart", cursors[!t]);
                n += ask_everything(r, t == TENANT_A, trace_of_b, "bart", cursors[!t]);
            }
    print_message("tenants: %zu questions\n", n);
    assert_in_range(n, 500, 100000);
}

/* Each sees its own all the same, and a token of `*` the one that it chooses. */
static void each_tenant_sees_its_own(void **state) {
    (void)state;
    fill(TENANT_A);
    fill(TENANT_B);
    fill_series(TENANT_A);
    fill_series(TENANT_B);
    for (int t = 0; t < 2; t++)
        for (int by_choice = 0; by_choice < 2; by_choice++) {
            const char *const *own = t == TENANT_A ? words_of_a : words_of_b;
            be_token(ROLE_READ, by_choice ? TENANT_ANY : t);
            choose(tenants[t]);
            assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 200);
            assert_has(stage.body.p, own[0]);
            assert_int_equal(stage_ask(&stage, "GET /prometheus/api/v1/query?query={__name__!=%22%22}"), 200);
            assert_has(stage.body.p, own[3]);
            assert_int_equal(stage_ask(&stage, t == TENANT_A ? "GET /api/v1/traces/0af7651916cd43dd8448eb211c80319c"
                                                             : "GET /api/v1/traces/0af7651916cd43dd8448eb211c80bbbb"),
                             200);
            assert_int_equal(stage_ask(&stage, t == TENANT_B ? "GET /api/v1/traces/0af7651916cd43dd8448eb211c80319c"
                                                             : "GET /api/v1/traces/0af7651916cd43dd8448eb211c80bbbb"),
                             404);
            assert_int_equal(stage_ask(&stage, "GET /api/v1/logs/query?mode=count"), 200);
            assert_has(stage.body.p, "\"count\":5");
        }
    be_token(ROLE_ADMIN, TENANT_ANY); /* which is of `default` when it chooses none: nothing is there */
    assert_int_equal(stage_ask(&stage, "GET /api/v1/logs/query?mode=count"), 200);
    assert_has(stage.body.p, "\"count\":0");
}

static void a_delete_is_of_its_tenant(void **state) {
    (void)state;
    static const char *const deletes[] = {
        "POST /api/v1/admin/delete?start=0&end=now&verify=true",
        "POST /api/v1/admin/delete?trace_id=0af7651916cd43dd8448eb211c80bbbb",
        "POST /api/v1/admin/delete?start=0&end=now&where=service.name%3Dbart",
    };
    fill(TENANT_A);
    fill(TENANT_B);
    for (size_t i = 0; i < LENGTH(deletes); i++) {
        be_token(ROLE_ADMIN, TENANT_A);
        assert_int_equal(stage_ask(&stage, deletes[i]), 200);
    }
    assert_int_equal(stage_ask(&stage, "GET /api/v1/logs/query?mode=count"), 200);
    assert_has(stage.body.p, "\"count\":0");
    be_token(ROLE_READ, TENANT_B);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/logs/query?mode=count"), 200);
    assert_has(stage.body.p, "\"count\":5");
    assert_int_equal(stage_ask(&stage, "GET /api/v1/traces/0af7651916cd43dd8448eb211c80bbbb"), 200);
}

static void figures_are_of_the_tenant(void **state) {
    (void)state;
    fill(TENANT_A);
    fill(TENANT_B);
    be_token(ROLE_ADMIN, TENANT_A);
    assert_int_equal(stage_ask(&stage, "GET /metrics"), 200);
    assert_has(stage.body.p, "clew_tenant_rows_total{tenant=\"a\",signal=\"logs\"} 5");
    assert_null(strstr(stage.body.p, "tenant=\"b\""));
    assert_null(strstr(stage.body.p, "clew_store_"));
    be_token(ROLE_READ, TENANT_ANY); /* reads what it chooses */
    choose("b");
    assert_int_equal(stage_ask(&stage, "GET /metrics"), 200);
    assert_has(stage.body.p, "tenant=\"b\"");
    assert_null(strstr(stage.body.p, "tenant=\"a\""));
    be_token(ROLE_OPERATE, TENANT_ANY);
    assert_int_equal(stage_ask(&stage, "GET /metrics"), 200);
    assert_has(stage.body.p, "clew_tenant_rows_total{tenant=\"a\",signal=\"logs\"} 5");
    assert_has(stage.body.p, "clew_tenant_rows_total{tenant=\"b\",signal=\"spans\"} 6");
    assert_has(stage.body.p, "clew_access_required 1");
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

/* ---- failures, sessions, reading again -------------------------------------------------------------------------- */

static void guessing_is_slowed_down(void **state) {
    (void)state;
    int refused = 0;
    be("Bearer ", "guess");
    stage.credentials.peer = STR("192.0.2.1:1");
    for (int i = 0; i < 100; i++) {
        stage.credentials.peer = i % 2 ? STR("192.0.2.1:1") : STR("192.0.2.1:65535"); /* the port does not matter */
        refused += stage_ask(&stage, "GET /api/v1/services") == 429;
    }
    assert_int_equal(refused, 80);
    assert_has(stage.fields, "Retry-After: ");
    stage.credentials.peer = STR("192.0.2.2:1"); /* others are not meant */
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 401);
    be_token(ROLE_READ, TENANT_A); /* nor is a good token from there */
    stage.credentials.peer = STR("192.0.2.1:1");
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 200);
    be("Bearer ", "guess");
    stage.credentials.peer = STR("192.0.2.1:1");
    stage_later_ns = 3 * (int64_t)1000000000;
    refused = 0;
    for (int i = 0; i < 10; i++) refused += stage_ask(&stage, "GET /api/v1/services") == 429;
    assert_int_equal(refused, 7);
}

static int log_in(const char *text, char cookie[128]) {
    AUTO_BUF struct buf body;
    buf_init(&body, 64 * KIB);
    buf_add_fmt(&body, "{\"token\":\"%s\"}", text);
    int status = stage_send(&stage, API_PORT_MAIN, "POST /api/v1/login", "application/json", NULL, buf_str(&body));
    const char *at = strstr(stage.fields, "clew_session=");
    if (at) snprintf(cookie, 128, "%.*s", (int)strcspn(at, ";"), at);
    return status;
}

static void be_cookie(const char *cookie) {
    be("", NULL);
    stage.credentials.cookie = str_of(cookie);
}

static bool is_known(void) { return access_knows(stage.api->access, &stage.credentials, STAGE_NOW_NS); }

static void who_is_known_may_send_large_bodies(void **state) {
    (void)state;
    be("", NULL);
    assert_false(is_known());
    be("Bearer ", "guess");
    assert_false(is_known());
    be("Bearer ", expired);
    assert_false(is_known());
    be_token(ROLE_INGEST, TENANT_A);
    assert_true(is_known());
    be("", NULL);
    stage.body_is_left = true;
    assert_int_equal(stage_send(&stage, API_PORT_OTLP, "POST /v1/traces", "application/x-protobuf", NULL, STR("")),
                     401);
    assert_int_equal(stage_ask(&stage, "POST /api/v1/admin/flush"), 401);
    assert_int_equal(stage_send(&stage, API_PORT_MAIN, "POST /api/v1/login", "application/json", NULL, STR("")), 413);
    be_token(ROLE_INGEST,
             TENANT_A); /* a token that came into force meanwhile: nothing was read, so nothing is stored */
    assert_int_equal(stage_send(&stage, API_PORT_OTLP, "POST /v1/traces", "application/x-protobuf", NULL, STR("")),
                     413);
}

static void pages_log_in_and_out(void **state) {
    (void)state;
    char cookie[128] = "", another[160];
    be("", NULL);
    assert_int_equal(log_in("clew_wrong", cookie), 401);
    assert_int_equal(log_in(expired, cookie), 401);
    snprintf(another, sizeof another, "%s\\u0000", token[ROLE_ADMIN][TENANT_A]);
    assert_int_equal(log_in(another, cookie), 401);
    assert_string_equal(cookie, "");
    assert_int_equal(log_in(token[ROLE_ADMIN][TENANT_A], cookie), 200);
    assert_has(stage.fields, "; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200\n");
    assert_has(stage.body.p, "{\"name\":\"admin-0\",\"role\":\"admin\",\"tenant\":\"a\"}");
    assert_null(strstr(cookie, token[ROLE_ADMIN][TENANT_A] + 22));
    be_cookie(cookie);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 200);
    snprintf(another, sizeof another, "theme=dark; %s ;x=y", cookie);
    be_cookie(another);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 200);
    be_cookie(cookie);
    assert_int_equal(stage_ask(&stage, "POST /api/v1/admin/flush"), 403); /* no Origin */
    assert_has(stage.body.p, "Origin equal to Host");
    stage.credentials.origin = STR("https://evil.example");
    assert_int_equal(stage_ask(&stage, "POST /api/v1/admin/flush"), 403);
    assert_int_equal(stage_ask(&stage, "POST /api/v1/logout"), 403);
    stage.credentials.origin = STR("http://clew.example:8080");
    assert_int_equal(stage_ask(&stage, "POST /api/v1/admin/flush"), 200);
    stage.api->options.allowed_hosts = STR("page.example");
    stage.credentials.origin = STR("https://page.example");
    assert_int_equal(stage_ask(&stage, "POST /api/v1/admin/flush"), 200);
    stage.api->options.allowed_hosts = (struct str){NULL, 0};
    assert_int_equal(stage_ask(&stage, "POST /api/v1/admin/flush"), 403);
    choose("b");
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 403);
    be_cookie(cookie);
    assert_int_equal(stage_ask(&stage, "POST /api/v1/logout"), 403);
    stage.credentials.origin = STR("http://clew.example:8080");
    assert_int_equal(stage_ask(&stage, "POST /api/v1/logout"), 200);
    assert_has(stage.fields, "clew_session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 401);
    stage.is_tls = true;
    be("", NULL);
    assert_int_equal(log_in(token[ROLE_READ][TENANT_A], cookie), 200);
    assert_has(stage.fields, "; Secure");
    stage_later_ns = (int64_t)12 * 3600 * 1000000000;
    be_cookie(cookie);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 401);
}

static void a_listed_page_has_no_cookie_rights(void **state) {
    (void)state;
    char cookie[128];
    stage.api->options.cors_origins = STR("https://listed.example");
    be("", NULL);
    assert_int_equal(log_in(token[ROLE_ADMIN][TENANT_A], cookie), 200);
    be_cookie(cookie);
    stage.credentials.origin = STR("https://listed.example");
    assert_int_equal(stage_ask(&stage, "POST /api/v1/admin/flush"), 403);
}

static void logins_take_json_alone(void **state) {
    (void)state;
    static const struct {
        const char *type, *body;
    } bad[] = {
        {"text/plain", "{\"token\":\"x\"}"},
        {"application/x-www-form-urlencoded", "token=x"},
        {NULL, "{\"token\":\"x\"}"},
        {"application/json", ""},
        {"application/json", "{\"token\":1}"},
        {"application/json", "{\"token\":\"x\",\"a\":1}"},
        {"application/json", "[\"x\"]"},
        {"application/json", "{\"token\":\"x\"}}"},
        {"application/json", "{\"user\":\"x\"}"},
    };
    for (size_t i = 0; i < LENGTH(bad); i++) {
        be("", NULL);
        int status = stage_send(&stage, API_PORT_MAIN, "POST /api/v1/login", bad[i].type, NULL, str_of(bad[i].body));
        if (status != 400) fail_msg("%s: %d", bad[i].body, status);
    }
}

static void sessions_are_bounded(void **state) {
    (void)state;
    static char cookies[SESSIONS_OF_TOKEN_MAX + 1][128];
    for (int i = 0; i <= SESSIONS_OF_TOKEN_MAX; i++) {
        stage_later_ns = i;
        be("", NULL);
        assert_int_equal(log_in(token[ROLE_READ][TENANT_A], cookies[i]), 200);
    }
    be_cookie(cookies[0]); /* the oldest made room */
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 401);
    be_cookie(cookies[1]);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 200);
}

static err add_admin(void *context, struct tokens *t) {
    TRY(token_new(t, STR("fresh"), ROLE_ADMIN, STR("*"), STAGE_NOW_NS, 0, context));
    return NULL;
}
static err remove_admin(void *context, struct tokens *t) {
    (void)context;
    return token_revoke(t, STR("fresh"));
}

static char dir[64];
static err remove_file(void *context, const char *name, bool is_dir) {
    char path[512];
    (void)context, (void)is_dir;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path_remove(path);
}

static void write_tokens(const char *text) {
    char path[128];
    struct file *f;
    snprintf(path, sizeof path, "%s/tokens.json", dir);
    assert_null(file_open(path, FILE_CREATE_ANY, &f));
    assert_null(file_write(f, text, strlen(text), 0));
    file_close(f);
}

static int ask_as(const char *text) {
    be("Bearer ", text);
    stage.credentials.host = STR("127.0.0.1:8080");
    return stage_ask(&stage, "POST /api/v1/admin/flush");
}

/* Open at first; closed from the first token on, whatever becomes of the file. */
static void tokens_are_read_again(void **state) {
    (void)state;
    char fresh[TOKEN_TEXT_BYTES + 1] = "", cookie[128], path[128];
    stage_later_ns = 0;
    snprintf(dir, sizeof dir, "/tmp/clew-access-XXXXXX");
    assert_non_null(mkdtemp(dir));
    stage_open_as(&stage, dir, NULL, NULL);
    assert_false(api_needs_tokens(stage.api));
    assert_int_equal(ask_as("anything"), 200);
    assert_int_equal(log_in("x", cookie), 409);
    assert_null(tokens_change(dir, add_admin, fresh));
    api_reload_tokens(stage.api);
    assert_true(api_needs_tokens(stage.api));
    assert_int_equal(ask_as("anything"), 401);
    assert_int_equal(ask_as(fresh), 200);
    assert_int_equal(log_in(fresh, cookie), 200);
    write_tokens("{\"version\":1,");
    api_reload_tokens(stage.api);
    assert_int_equal(ask_as(fresh), 200); /* damaged: the last good ones hold */
    snprintf(path, sizeof path, "%s/tokens.json", dir);
    assert_null(path_remove(path));
    api_reload_tokens(stage.api);
    assert_int_equal(ask_as(fresh), 401); /* gone: nobody */
    assert_int_equal(ask_as(NULL), 401);
    char again[TOKEN_TEXT_BYTES + 1] = "";
    assert_null(tokens_change(dir, add_admin, again));
    api_reload_tokens(stage.api);
    assert_int_equal(ask_as(again), 200);
    assert_int_equal(log_in(again, cookie), 200);
    assert_null(tokens_change(dir, remove_admin, NULL));
    api_reload_tokens(stage.api);
    assert_int_equal(ask_as(again), 401);
    be_cookie(cookie); /* the session ends with its token */
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 401);
    stage_close(&stage);
    struct api *api;
    struct api_options options = {.dir = dir, .wall_ns = stage_now};
    write_tokens("{");
    err e = api_new(&options, &api); /* no start with tokens that cannot be read */
    assert_int_equal(err_kind(e), ERR_INVALID);
    err_free(e);
    assert_null(path_list(dir, remove_file, NULL));
    assert_null(path_remove_dir(dir));
}

static void administration_is_written_down(void **state) {
    (void)state;
    char fresh[TOKEN_TEXT_BYTES + 1] = "", cookie[128], path[128];
    struct file *f;
    struct buf text;
    snprintf(dir, sizeof dir, "/tmp/clew-access-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_null(tokens_change(dir, add_admin, fresh));
    stage_open_as(&stage, dir, NULL, NULL);
    assert_int_equal(ask_as(fresh), 200);
    assert_int_equal(ask_as("guess"), 401);
    be("Bearer ", fresh);
    choose("shop");
    stage_ask(&stage, "POST /api/v1/admin/delete?start=0&end=now&where=a%3D%22%0A%7B%7D&secret=hunter2&verify=true");
    stage_ask(&stage, "GET /api/v1/services");
    be("", NULL);
    log_in(fresh, cookie);
    log_in("wrong", cookie);
    assert_null(tokens_change(dir, remove_admin, NULL));
    api_reload_tokens(stage.api);
    stage_close(&stage);
    snprintf(path, sizeof path, "%s/audit.jsonl", dir);
    buf_init(&text, MIB);
    buf_reserve(&text, 512 * KIB);
    assert_null(file_open(path, FILE_READ, &f));
    assert_null(file_read(f, text.p, 512 * KIB, 0, &text.n));
    text.p[text.n] = 0;
    file_close(f);
    static const char *const lines[] = {
        "\"action\":\"tokens_in_force\",\"parameters\":{\"names\":\"fresh\"}}\n",
        "\"action\":\"call\",\"token\":\"fresh\",\"tenant\":\"*\",\"peer\":",
        "\"path\":\"/api/v1/admin/flush\",\"status\":200}\n",
        "\"path\":\"/api/v1/admin/flush\",\"status\":401}\n",
        "\"token\":\"fresh\",\"tenant\":\"shop\",",
        "\"where\":\"a=\\\"\\n{}\",\"unknown\":\"not kept\",\"verify\":\"true\"},\"status\":400}\n",
        "\"path\":\"/api/v1/login\",\"status\":200}\n",
        "\"path\":\"/api/v1/login\",\"status\":401}\n",
        "\"action\":\"token_removed\",\"token\":\"fresh\",\"tenant\":\"*\"}\n",
    };
    const char *at = text.p;
    for (size_t i = 0; i < LENGTH(lines); i++) {
        const char *found = strstr(at, lines[i]);
        if (!found) fail_msg("'%s' is not in, or too early in: %s", lines[i], text.p);
        at = found;
    }
    assert_null(strstr(text.p, fresh + 22));
    assert_null(strstr(text.p, "hunter2"));
    assert_null(strstr(text.p, "services"));
    buf_done(&text);
    assert_null(path_list(dir, remove_file, NULL));
    assert_null(path_remove_dir(dir));
}

/* Else a hundred thousand of them turn the files over, and what counts is gone. */
static void strangers_do_not_fill_the_audit_log(void **state) {
    (void)state;
    char fresh[TOKEN_TEXT_BYTES + 1] = "";
    uint64_t before, written, failed, suppressed;
    snprintf(dir, sizeof dir, "/tmp/clew-access-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_null(tokens_change(dir, add_admin, fresh));
    stage_open_as(&stage, dir, NULL, NULL);
    audit_get_counts(stage.api->audit, &before, &failed, &suppressed);
    for (int i = 0; i < 100; i++) {
        be("", NULL);
        assert_int_equal(stage_ask(&stage, "POST /api/v1/logout"), 200);
        assert_int_equal(stage_ask(&stage, "POST /api/v1/login"), 400);
        stage.credentials.doubled = true;
        assert_int_equal(stage_ask(&stage, "POST /api/v1/admin/flush"), 400);
    }
    audit_get_counts(stage.api->audit, &written, &failed, &suppressed);
    assert_int_equal(written - before, AUDIT_REFUSALS_A_MINUTE);
    assert_int_equal(suppressed, 200 - AUDIT_REFUSALS_A_MINUTE);
    stage_close(&stage);
    assert_null(path_list(dir, remove_file, NULL));
    assert_null(path_remove_dir(dir));
}

static void limits_answer_429(void **state) {
    (void)state;
    stage_later_ns = 0;
    stage_open_as(&stage, NULL, document,
                  "{\"default\":{\"queries\":1},\"tenants\":{\"a\":{\"requests_per_second\":2},\"b\":{\"bytes_per_"
                  "second\":10}}}");
    for (int i = 0; i < 3; i++) {
        be_token(ROLE_INGEST, TENANT_A);
        assert_int_equal(stage_send(&stage, API_PORT_OTLP, "POST /v1/traces", "application/x-protobuf", NULL, STR("")),
                         i < 2 ? 200 : 429);
    }
    assert_string_equal(stage.fields, "Retry-After: 1\n");
    assert_int_equal(stage.body.p[1], 14); /* UNAVAILABLE: exporters try again */
    assert_has(stage.body.p + 4, "tenant a is over its limit of 2 requests a second");
    fill(TENANT_ANY); /* others are not held up */
    be_token(ROLE_INGEST, TENANT_B);
    AUTO_BUF struct buf body;
    buf_init(&body, MIB);
    put_data(true, SIGNAL_SPANS, &body);
    assert_int_equal(
        stage_send(&stage, API_PORT_OTLP, "POST /v1/traces", "application/x-protobuf", NULL, buf_str(&body)), 200);
    assert_int_equal(
        stage_send(&stage, API_PORT_OTLP, "POST /v1/traces", "application/x-protobuf", NULL, buf_str(&body)), 429);
    assert_has(stage.body.p + 4, "bytes a second");
    for (int i = 0; i < 3; i++) { /* one after another is one at once */
        be_token(ROLE_READ, TENANT_A);
        assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 200);
    }
    be_token(ROLE_ADMIN, TENANT_ANY);
    assert_int_equal(stage_ask(&stage, "GET /metrics"), 200);
    assert_has(stage.body.p, "clew_tenant_refused_total{tenant=\"a\",limit=\"requests_per_second\"} 1");
    assert_has(stage.body.p, "clew_tenant_refused_total{tenant=\"b\",limit=\"bytes_per_second\"} 1");
    assert_has(stage.body.p, "clew_tenant_queries_total{tenant=\"a\"} 3");
    assert_has(stage.body.p, "clew_tenant_queries_running{tenant=\"a\"} 0");
    stage_close(&stage);
}

#define STAGE_TEST(name) cmocka_unit_test_setup_teardown(name, open_stage, close_stage)

int main(void) {
    const struct CMUnitTest tests[] = {
        STAGE_TEST(every_route_asks_who_it_is),
        STAGE_TEST(neither_tenant_sees_the_other),
        STAGE_TEST(each_tenant_sees_its_own),
        STAGE_TEST(a_delete_is_of_its_tenant),
        STAGE_TEST(figures_are_of_the_tenant),
        STAGE_TEST(tenants_cannot_be_forged),
        STAGE_TEST(basic_takes_the_token_as_password),
        STAGE_TEST(odd_credentials_are_refused),
        STAGE_TEST(tricks_with_paths_lead_nowhere),
        STAGE_TEST(pages_of_strangers_may_not_ask),
        STAGE_TEST(listed_pages_may_ask),
        STAGE_TEST(every_answer_has_its_fields),
        STAGE_TEST(guessing_is_slowed_down),
        STAGE_TEST(who_is_known_may_send_large_bodies),
        STAGE_TEST(pages_log_in_and_out),
        STAGE_TEST(a_listed_page_has_no_cookie_rights),
        STAGE_TEST(logins_take_json_alone),
        STAGE_TEST(sessions_are_bounded),
        cmocka_unit_test(tokens_are_read_again),
        cmocka_unit_test(administration_is_written_down),
        cmocka_unit_test(strangers_do_not_fill_the_audit_log),
        cmocka_unit_test(limits_answer_429),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
