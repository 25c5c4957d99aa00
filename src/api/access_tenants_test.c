/* Two tenants who must never see each other, asked everything that any route takes; and the limits of each. */
#include "api/access_testing_priv.h"

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
                             r->handler == handle_page || r->handler == handle_page_asset ||
                             r->handler == handle_page_graph || /* the same for all */
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

int main(void) {
    const struct CMUnitTest tests[] = {
        ACCESS_TEST(neither_tenant_sees_the_other), ACCESS_TEST(each_tenant_sees_its_own),
        ACCESS_TEST(a_delete_is_of_its_tenant),     ACCESS_TEST(figures_are_of_the_tenant),
        cmocka_unit_test(limits_answer_429),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
