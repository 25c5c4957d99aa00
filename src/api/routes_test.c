/* Every route of the table against every way to ask it wrongly: wrong method, wrong port, and for each parameter the values its
 * type does not take, twice, misspelt, escaped badly. What a row of the table promises is asked of it, so a new route is tested
 * when it is added. */
#include "api/one_stage_testing_priv.h"

#include <stdio.h>

static enum api_port asked_port; /* of the last question */

/* ---- answers are JSON, or a status ------------------------------------------------------------------------------ */

static bool is_otlp(const struct api_route *r, enum api_port port) {
    return port == API_PORT_OTLP || strncmp(r->path, "/otlp/", 6) == 0 || strstr(r->path, "/api/v1/otlp/") ||
           strstr(r->path, "/ollystack/v1/");
}

static bool has_prefix(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

static bool is_olly(const char *request) { return strstr(request, " /ollystack/") || asked_port == API_PORT_OLLYSTACK; }

/* Go's router knows neither other methods nor words for what is not there; of the AI engine's it does. */
static bool assert_olly_refused(const char *request, int status, const char *part) {
    bool ai = has_prefix(stage.body.p ? stage.body.p : "", "{\"detail\":");
    if (stage.status == 301 || stage.status == 307) return strstr(stage.fields, "Location: ") != NULL;
    if (stage.status == 204) return strstr(request, "OPTIONS ") != NULL;
    if (status == 404 || status == 405) return stage.status == (ai ? status : 404);
    return stage.status == status && memmem(stage.body.p, stage.body.n, part, strlen(part)) &&
           (ai || has_prefix(stage.body.p, "{\"error\":\""));
}

/* {"error":{"kind",…}}, one of Jaeger's two shapes, or Prometheus's. */
static void assert_error_shape(const char *request) {
    const char *body = stage.body.p;
    bool jaeger = strstr(body, "/jaeger/") || strstr(request, "/jaeger/") || asked_port == API_PORT_JAEGER;
    bool prometheus = strstr(request, " /prometheus/") || asked_port == API_PORT_PROMETHEUS;
    bool good = has_prefix(body, "{\"error\":{\"kind\":\"");
    if (prometheus) good = has_prefix(body, "{\"status\":\"error\",\"errorType\":\"");
    if (jaeger) good |= has_prefix(body, "{\"error\":{\"httpCode\":") || has_prefix(body, "{\"data\":null,");
    if (!good) fail_msg("%s: %s", request, body);
}

/* An error as its place has it: the status, the kind, and a part of its message. */
static void assert_refused(bool otlp, const char *request, int status, const char *part) {
    if (is_olly(request) && (!otlp || status == 404 || status == 405)) {
        if (!assert_olly_refused(request, status, part)) fail_msg("%s: %d %s", request, stage.status, stage.body.p);
        return;
    }
    if (stage.status != status) fail_msg("%s: %d, not %d: %s", request, stage.status, status, stage.body.p);
    if (otlp) {
        assert_string_equal(stage.content_type, "application/x-protobuf");
        assert_int_equal(stage.body.p[0], 1 << 3);
    } else {
        assert_string_equal(stage.content_type, "application/json");
        assert_json(buf_str(&stage.body));
        assert_error_shape(request);
    }
    if (!memmem(stage.body.p, stage.body.n, part, strlen(part)))
        fail_msg("%s: no '%s' in %s", request, part, stage.body.p);
}

/* ---- requests --------------------------------------------------------------------------------------------------- */

/* Its path on a port: Jaeger's has /jaeger at its root, Prometheus's /prometheus. */
static const char *path_on(const struct api_route *r, enum api_port port) {
    const char *root = api_roots[port] ? api_roots[port] : "";
    return has_prefix(r->path, root) ? r->path + strlen(root) : r->path;
}

/* The path with its parameters filled in. */
static void put_path(struct buf *out, const struct api_route *r, enum api_port port) {
    for (const char *p = path_on(r, port); *p; p++) {
        if (*p != '{') {
            buf_add_byte(out, *p);
            continue;
        }
        buf_add_text(out, strncmp(p, "{trace_id}", 10) == 0            ? "0af7651916cd43dd8448eb211c80319c"
                          : strncmp(p, "{span_id}", 9) == 0            ? "b7ad6b7169203312"
                          : strncmp(p, "{correlation_id}", 16) == 0    ? "clew-8448eb211c80319c"
                          : has_prefix(r->path, "/api/v1/dashboards/") ? "clew.host" /* it ships */
                                                                       : "web");
        p = strchr(p, '}');
    }
}

/* Asks METHOD path?query; `query` NULL: none. The request as text stays until the next. */
static const char *ask(const struct api_route *r, enum api_port port, const char *method, const char *query) {
    static char request[64 * KIB];
    struct buf text;
    buf_init(&text, sizeof request - 1);
    buf_add_fmt(&text, "%s ", method);
    put_path(&text, r, port);
    asked_port = port;
    if (query) buf_add_fmt(&text, "?%s", query);
    assert_false(text.full);
    memcpy(request, text.p, text.n);
    request[text.n] = 0;
    buf_done(&text);
    stage_send(&stage, port, request, NULL, NULL, STR(""));
    return request;
}

static bool is_served(const struct api_route *r, enum api_port port) { return r->ports >> port & 1; }

#define EACH_ROUTE(r, port)                                                                                            \
    for (const struct api_route *r = api_routes; r < api_routes + api_route_count; r++)                                \
        for (enum api_port port = 0; port < API_PORTS; port++)

/* What routes of its path take on that port, as Allow says it. */
static void put_allowed(const struct api_route *r, enum api_port port, char out[64]) {
    size_t n = (size_t)snprintf(out, 64, "Allow: ");
    for (size_t i = 0; i < api_route_count; i++) {
        const struct api_route *same = &api_routes[i];
        if (!(same->ports >> port & 1) || strcmp(same->path, r->path) != 0) continue;
        const char *methods = same->method == HTTP_GET ? "GET, HEAD" : route_method(same);
        n += (size_t)snprintf(out + n, 64 - n, "%s%s", n > 7 ? ", " : "", methods);
    }
    snprintf(out + n, 64 - n, "\n");
}

static void a_route_takes_its_methods_alone(void **state) {
    (void)state;
    static const char *const methods[] = {"GET",   "HEAD",    "POST",  "PUT", "DELETE",
                                          "PATCH", "OPTIONS", "TRACE", "get", "BREW"};
    EACH_ROUTE(r, port) {
        char allowed[64];
        if (!is_served(r, port)) continue;
        put_allowed(r, port, allowed);
        for (size_t i = 0; i < LENGTH(methods); i++) {
            if (strstr(allowed, methods[i])) continue;
            const char *request = ask(r, port, methods[i], NULL);
            bool preflight =
                is_olly(request) || strncmp(r->path, "/prometheus/api/v1/", 19) == 0; /* as these have it */
            if (preflight && strcmp(methods[i], "OPTIONS") == 0) {
                assert_int_equal(stage.status, 204);
                continue;
            }
            assert_refused(is_otlp(r, port), request, 405, "it takes");
            if (stage.status == 405 && !is_olly(request)) assert_string_equal(stage.fields, allowed);
        }
    }
}

static void a_method_of_any_length_is_refused_in_words(void **state) {
    (void)state;
    static char request[20000];
    memset(request, 'X', sizeof request - 1);
    memcpy(request + sizeof request - 9, " /health", 9);
    stage_send(&stage, API_PORT_MAIN, request, NULL, NULL, STR(""));
    assert_refused(false, "XXX… /health", 405, "/health does not take XXX");
}

/* Whether that port has a route of its own at this path: /metrics is Prometheus's too. */
static bool is_anothers(const struct api_route *r, enum api_port port) {
    for (const struct api_route *other = api_routes; other < api_routes + api_route_count; other++)
        if (is_served(other, port) && strcmp(path_on(other, port), path_on(r, port)) == 0) return true;
    return false;
}

static void a_route_is_on_its_ports_alone(void **state) {
    (void)state;
    EACH_ROUTE(r, port) {
        const char *request;
        if (is_served(r, port) || is_anothers(r, port)) continue;
        request = ask(r, port, route_method(r), NULL);
        assert_refused(port == API_PORT_OTLP, request, 404, "there is no /");
    }
}

/* Whether what is not there is told as OTLP tells it. */
static bool is_below_otlp(enum api_port port, const char *request) {
    return port == API_PORT_OTLP || strstr(request, " /otlp/") || strstr(request, " /prometheus/api/v1/otlp/") ||
           (port == API_PORT_PROMETHEUS && strstr(request, " /api/v1/otlp/")) || strstr(request, " /ollystack/v1/") ||
           (port == API_PORT_OLLYSTACK && strstr(request, " /v1/"));
}

static void near_paths_are_not_the_route(void **state) {
    (void)state;
    static const char *const changes[] = {"%s/", "%s/x", "%sx", "/%s", "%s%%20"};
    EACH_ROUTE(r, port) {
        if (!is_served(r, port) || strchr(r->path, '{')) continue;
        for (size_t i = 0; i < LENGTH(changes); i++) {
            struct buf request;
            buf_init(&request, KIB);
            buf_add_fmt(&request, "%s ", route_method(r));
            for (const char *p = changes[i]; *p; p++) {
                if (*p == '%' && p[1] == 's')
                    buf_add_text(&request, path_on(r, port)), p++;
                else if (*p == '%' && p[1] == '%')
                    buf_add_byte(&request, '%'), p++;
                else
                    buf_add_byte(&request, *p);
            }
            stage_send(&stage, port, request.p, NULL, NULL, STR(""));
            asked_port = port;
            /* "/api/v1/traces/x" and the like are another route, which refuses the id, or the method */
            if (stage.status == 400)
                assert_refused(is_otlp(r, port), request.p, 400, "is not a trace id");
            else if (stage.status == 405)
                assert_refused(is_otlp(r, port), request.p, 405, "/{id} does not take POST");
            else
                assert_refused(is_below_otlp(port, request.p), request.p, 404, "there is no");
            buf_done(&request);
        }
    }
}

/* ---- parameters ------------------------------------------------------------------------------------------------- */

enum { VALUES_MAX = 12 };

/* Values, escaped, that a parameter does not take … */
static const char *const bad_values[][VALUES_MAX] = {
    [PARAM_TEXT] = {NULL},
    [PARAM_INTEGER] = {"x", "1x", "1.5", "1e3", "%20", "--1", "0x10", "99999999999999999999", "-9223372036854775809",
                       NULL},
    [PARAM_BOOLEAN] = {"maybe", "2", "tru", "truee", NULL},
    [PARAM_TIME] = {"yesterday", "now-", "now-5", "now-5q", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z",
                    "2026-01-01T25:00:00Z", "2026-01-01T00:00:00Zx", "%00", NULL},
    [PARAM_DURATION] = {"fast", "5", "5q", "-5s", "5s5", "s", "99999999999h", "1h-1m", NULL},
    [PARAM_CHOICE] = {"none-of-them", "%20", "x%20y", "%00", NULL},
    [PARAM_TRACE_ID] = {"0", "0af7651916cd43dd8448eb211c80319", "0af7651916cd43dd8448eb211c80319c0",
                        "xaf7651916cd43dd8448eb211c80319c", "0af76519-16cd-43dd-8448-eb211c80319c", NULL},
    [PARAM_SPAN_ID] = {"0", "b7ad6b716920331", "b7ad6b71692033311", "g7ad6b7169203331", NULL},
    [PARAM_SEVERITY] = {"loud", "0", "25", "-1", "1.5", "warn%20error", NULL},
    [PARAM_WHERE] = {"a", "=1", "a==1", "a=~1", "a~(", "a%20exist", "%22a=1", "a=%22b", "a=%22b%22c", "resource.=1",
                     "a%00=1", NULL},
};
/* … and one that it does, at the edges of what is allowed. */
static const char *const good_values[][VALUES_MAX] = {
    [PARAM_TEXT] = {"x", "%27%5C%00%ff", "a+b", NULL},
    [PARAM_INTEGER] = {NULL}, /* min and max of the row */
    [PARAM_BOOLEAN] = {"true", "false", NULL},
    [PARAM_TIME] = {"now", "now-15m", "0", "1767323045", "1767323045000", "2026-01-02T03:04:05Z",
                    "2026-01-02T03:04:05.123456789%2B01:00", NULL},
    [PARAM_DURATION] = {"1s", "250ms", "1h30m", "10us", "5m", NULL},
    [PARAM_CHOICE] = {NULL}, /* those of the row */
    [PARAM_TRACE_ID] = {"0af7651916cd43dd8448eb211c80319c", "0AF7651916CD43DD8448EB211C80319C", NULL},
    [PARAM_SPAN_ID] = {"b7ad6b7169203331", NULL},
    [PARAM_SEVERITY] = {"trace", "FATAL", "1", "24", NULL},
    [PARAM_WHERE] = {"a=1", "a%20exists", "resource.%22x%20y%22!=z", "event.name~^x", "a=", NULL},
};

/* What Jaeger's routes ask for though their parameters are not required by the table. */
static const char *completion_of(const struct api_route *r, const char *name) {
    static const char *const wanted[][2] = {
        {"service", "web"}, {"query.startTimeMin", "0"}, {"query.startTimeMax", "now"}};
    for (size_t i = 0; r->lenient && i < LENGTH(wanted); i++)
        if (strcmp(name, wanted[i][0]) == 0) return wanted[i][1];
    return NULL;
}

/* name=value after what the route cannot do without. */
static const char *ask_with(const struct api_route *r, enum api_port port, const char *name, const char *value) {
    static char query[4 * KIB];
    struct buf text;
    buf_init(&text, sizeof query - 1);
    for (const struct api_param *p = r->params; p && p->name; p++)
        if (p->required && strcmp(p->name, name) != 0)
            buf_add_fmt(&text, "%s=%s&", p->name, p->type == PARAM_INTEGER ? "1" : good_values[p->type][0]);
    for (const struct api_param *p = r->params; p && p->name; p++)
        if (completion_of(r, p->name) && strcmp(p->name, name) != 0)
            buf_add_fmt(&text, "%s=%s&", p->name, completion_of(r, p->name));
    if (r->handler == handle_delete && strcmp(name, "trace_id") != 0)
        buf_add_text(&text, "trace_id=00000000000000000000000000000001&");
    buf_add_fmt(&text, "%s=%s", name, value);
    memcpy(query, text.p, text.n);
    query[text.n] = 0;
    buf_done(&text);
    return ask(r, port, route_method(r), query);
}

static void a_parameter_refuses_what_it_does_not_take(void **state) {
    (void)state;
    size_t asked = 0;
    EACH_ROUTE(r, port) {
        for (const struct api_param *p = r->params; is_served(r, port) && p && p->name; p++) {
            for (const char *const *value = bad_values[p->type]; *value; value++, asked++)
                assert_refused(is_otlp(r, port), ask_with(r, port, p->name, *value), 400, p->name);
            char number[32];
            if (p->type != PARAM_INTEGER) continue;
            snprintf(number, sizeof number, "%lld", (long long)p->max + 1);
            assert_refused(is_otlp(r, port), ask_with(r, port, p->name, number), 400, "is not within");
            snprintf(number, sizeof number, "%lld", (long long)p->min - 1);
            assert_refused(is_otlp(r, port), ask_with(r, port, p->name, number), 400, "is not within");
        }
    }
    assert_true(asked > 200);
}

/* Not refused for its value: what else may be wrong with the question is not this test's. */
static void assert_taken(const char *request, const char *name) {
    struct buf prefix;
    buf_init(&prefix, KIB);
    buf_add_fmt(&prefix, "\":\"%s: ", name);
    if (stage.status >= 500 || strstr(stage.body.p, prefix.p))
        fail_msg("%s: %d %s", request, stage.status, stage.body.p);
    buf_done(&prefix);
}

static void take_choices(const struct api_route *r, const struct api_param *p) {
    struct str rest = str_of(p->choices), choice;
    for (bool more = true; more;) {
        char value[64];
        more = str_cut(rest, ' ', &choice, &rest);
        assert_true(choice.n && choice.n < sizeof value);
        memcpy(value, choice.p, choice.n);
        value[choice.n] = 0;
        const char *request = ask_with(r, API_PORT_MAIN, p->name, value);
        assert_taken(request, p->name);
        assert_int_equal(stage.status, 200);
    }
}

static void a_parameter_takes_what_it_says(void **state) {
    (void)state;
    for (const struct api_route *r = api_routes; r < api_routes + api_route_count; r++) {
        if (r->method != HTTP_GET) continue; /* the others would do it */
        for (const struct api_param *p = r->params; p && p->name; p++) {
            for (const char *const *value = good_values[p->type]; *value; value++) {
                const char *request = ask_with(r, API_PORT_MAIN, p->name, *value);
                bool has_form = p->type == PARAM_TEXT &&
                                (r->lenient || strcmp(p->name, "id") == 0 || strcmp(p->name, "match[]") == 0);
                if (has_form && stage.status < 500)
                    continue; /* tags are JSON, an id is a record's, a selector is PromQL */
                assert_taken(request, p->name);
            }
            if (p->type == PARAM_CHOICE) take_choices(r, p);
            if (p->type != PARAM_INTEGER) continue;
            const int64_t edges[] = {p->min, p->max};
            for (size_t i = 0; i < LENGTH(edges); i++) {
                char number[32];
                snprintf(number, sizeof number, "%lld", (long long)edges[i]);
                const char *request = ask_with(r, API_PORT_MAIN, p->name, number);
                assert_taken(request, p->name);
                if (r->lenient && stage.status != 200)
                    continue; /* nothing found, or a range that ends before it starts */
                assert_int_equal(stage.status, 200);
                if (!r->is_stream) assert_json(buf_str(&stage.body));
            }
        }
    }
}

static void a_parameter_is_given_once(void **state) {
    (void)state;
    for (const struct api_route *r = api_routes; r < api_routes + api_route_count; r++)
        for (const struct api_param *p = r->params; p && p->name; p++) {
            const char *value = p->type == PARAM_INTEGER  ? "1"
                                : p->type == PARAM_CHOICE ? NULL
                                                          : good_values[p->type][0];
            char pair[256], first[64];
            struct str choice, rest;
            if (p->choices) {
                str_cut(str_of(p->choices), ' ', &choice, &rest);
                memcpy(first, choice.p, choice.n);
                first[choice.n] = 0;
                value = first;
            }
            if (p->min > 1 || p->repeated || r->lenient) continue;
            snprintf(pair, sizeof pair, "%s&%s=%s", value, p->name, value);
            assert_refused(false, ask_with(r, API_PORT_MAIN, p->name, pair), 400, "is given twice");
        }
}

static void a_misspelt_parameter_is_told_the_right_one(void **state) {
    (void)state;
    EACH_ROUTE(r, port) {
        for (const struct api_param *p = r->params; is_served(r, port) && !r->lenient && p && p->name; p++) {
            char name[64], expected[96];
            snprintf(name, sizeof name, "%sx", p->name);
            snprintf(expected, sizeof expected, "did you mean '%s'?", p->name);
            assert_refused(is_otlp(r, port), ask_with(r, port, name, "1"), 400, expected);
            snprintf(name, sizeof name, "%c%s", p->name[0] - 'a' + 'A', p->name + 1); /* names have one case */
            assert_refused(is_otlp(r, port), ask_with(r, port, name, "1"), 400, "unknown parameter");
        }
        if (!is_served(r, port)) continue;
        assert_refused(is_otlp(r, port), ask(r, port, route_method(r), "q%zz=1"), 400, "broken %-escape");
        if (r->lenient) continue;
        assert_refused(is_otlp(r, port), ask(r, port, route_method(r), "%00=1"), 400, "unknown parameter");
        assert_refused(is_otlp(r, port), ask(r, port, route_method(r), "=1"), 400, "unknown parameter");
    }
}

static void what_is_required_is_asked_for(void **state) {
    (void)state;
    for (const struct api_route *r = api_routes; r < api_routes + api_route_count; r++)
        for (const struct api_param *p = r->params; p && p->name; p++) {
            char expected[96];
            if (!p->required) continue;
            snprintf(expected, sizeof expected, "%s is missing: ", p->name);
            if (r->params[1].name == NULL || !r->params[1].required)
                assert_refused(false, ask(r, API_PORT_MAIN, route_method(r), NULL), 400, expected);
            assert_refused(false, ask_with(r, API_PORT_MAIN, p->name, ""), 400, expected);
        }
}

/* Every question that only reads answers JSON that is whole, with and without its own defaults written out. */
static void defaults_may_be_written_out(void **state) {
    (void)state;
    for (const struct api_route *r = api_routes; r < api_routes + api_route_count; r++) {
        struct buf plain, query;
        if (r->role != ROLE_READ || r->place != RUN_WORK || r->lenient || r->is_stream) continue;
        if (r->method != HTTP_GET || r->handler == handle_rules_file) continue; /* with a body; YAML */
        if (r->handler == handle_search || r->handler == handle_record || r->handler == handle_entity ||
            r->handler == handle_rules_group_file)
            continue; /* there is none: 404 */
        buf_init(&plain, 64 * MIB);
        buf_init(&query, KIB);
        ask(r, API_PORT_MAIN, "GET", NULL);
        assert_int_equal(stage.status, 200);
        assert_json(buf_str(&stage.body));
        buf_add_str(&plain, buf_str(&stage.body));
        for (const struct api_param *p = r->params; p && p->name; p++)
            if (p->initial) buf_add_fmt(&query, "%s=%s&", p->name, p->initial);
        if (query.n) ask(r, API_PORT_MAIN, "GET", query.p);
        assert_true(str_equal(buf_str(&plain), buf_str(&stage.body)));
        ask(r, API_PORT_MAIN, "HEAD", NULL); /* net drops the body */
        assert_true(str_equal(buf_str(&plain), buf_str(&stage.body)));
        buf_done(&plain);
        buf_done(&query);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STAGE_TEST(a_route_takes_its_methods_alone),
        STAGE_TEST(a_method_of_any_length_is_refused_in_words),
        STAGE_TEST(a_route_is_on_its_ports_alone),
        STAGE_TEST(near_paths_are_not_the_route),
        STAGE_TEST(a_parameter_refuses_what_it_does_not_take),
        STAGE_TEST(a_parameter_takes_what_it_says),
        STAGE_TEST(a_parameter_is_given_once),
        STAGE_TEST(a_misspelt_parameter_is_told_the_right_one),
        STAGE_TEST(what_is_required_is_asked_for),
        STAGE_TEST(defaults_may_be_written_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
