/* GET /api/v1/metrics/cardinality over the stage: counts against a brute count of what was sent, what is left without a label, refusals. */
#include "api/one_stage_testing_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "store/series/matcher.h"

/* Series of three metrics over labels a (4 values), b (3 values) and, on some, c (one value for each series): which are there is chance. */
enum { METRICS = 3, AS = 4, BS = 3 };
static bool is_there[METRICS][AS][BS], has_c[METRICS][AS][BS];

static uint32_t chance(uint32_t *seed, uint32_t below) {
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 16) % below;
}

static void fill(uint32_t seed) {
    struct buf text;
    buf_init(&text, MIB);
    buf_add_text(&text, "# HELP m0_total Zero.\n# TYPE m0_total counter\n");
    for (int m = 0; m < METRICS; m++)
        for (int a = 0; a < AS; a++)
            for (int b = 0; b < BS; b++) {
                is_there[m][a][b] = chance(&seed, 4) > 0;
                has_c[m][a][b] = chance(&seed, 2) > 0;
                if (!is_there[m][a][b]) continue;
                buf_add_fmt(&text, "m%d%s{a=\"a%d\",b=\"b%d\"", m, m ? "" : "_total", a, b);
                if (has_c[m][a][b]) buf_add_fmt(&text, ",c=\"%d-%d-%d\"", m, a, b);
                buf_add_fmt(&text, "} 1 %lld\n", (long long)(STAGE_NOW_NS / 1000000));
            }
    assert_int_equal(stage_send(&stage, API_PORT_MAIN, "POST /api/v1/import", "text/plain", NULL, buf_str(&text)), 200);
    buf_done(&text);
}

/* "name":"NAME" and what stands behind it up to `"series":N`. */
static long series_of(const char *list, const char *name) {
    char wanted[64];
    const char *at = strstr(stage_body(&stage), list);
    snprintf(wanted, sizeof wanted, "{\"name\":\"%s\"", name);
    at = at ? strstr(at, wanted) : NULL;
    at = at ? strstr(at, "\"series\":") : NULL;
    return at ? strtol(at + strlen("\"series\":"), NULL, 10) : 0;
}

static void assert_body(const char *part) {
    if (!strstr(stage_body(&stage), part)) fail_msg("%s is not in: %s", part, stage_body(&stage));
}

static void ask(const char *request, int status) {
    stage_ask(&stage, request);
    if (stage.status != status) fail_msg("%s: %d %s", request, stage.status, stage_body(&stage));
}

static void counts_equal_brute_force(void **state) {
    (void)state;
    long all = 0, of_metric[METRICS] = {0}, with_c = 0, a1 = 0, distinct = 0;
    char part[128];
    fill(7);
    for (int m = 0; m < METRICS; m++)
        for (int a = 0; a < AS; a++)
            for (int b = 0; b < BS; b++) {
                if (!is_there[m][a][b]) continue;
                all++;
                of_metric[m]++;
                with_c += has_c[m][a][b];
                a1 += a == 1;
            }
    for (int m = 0; m < METRICS;
         m++) /* what is left without b: of those that have c each, of the others one for each a */
        for (int a = 0; a < AS; a++) {
            bool bare = false;
            for (int b = 0; b < BS; b++) {
                if (is_there[m][a][b] && has_c[m][a][b]) distinct++;
                bare |= is_there[m][a][b] && !has_c[m][a][b];
            }
            distinct += bare;
        }
    ask("GET /api/v1/metrics/cardinality?drop=b", 200);
    snprintf(part, sizeof part, "\"series\":%ld,", all);
    assert_body(part);
    assert_int_equal(series_of("\"metrics\":[", "m0_total"), of_metric[0]);
    assert_int_equal(series_of("\"metrics\":[", "m1"), of_metric[1]);
    assert_int_equal(series_of("\"metrics\":[", "m2"), of_metric[2]);
    assert_int_equal(series_of("\"labels\":[", "c"), with_c);
    assert_int_equal(series_of("\"pairs\":[", "a\",\"value\":\"a1"), a1);
    assert_body("{\"name\":\"m0_total\",\"type\":\"counter\",\"unit\":\"\",\"help\":\"Zero.\",");
    snprintf(part, sizeof part, "\"drop\":{\"label\":\"b\",\"series\":%ld,\"series_left\":%ld,", all, distinct);
    assert_body(part);
    ask("GET /api/v1/metrics/cardinality?match[]=m1%7Ba%3D%22a1%22%7D&drop=c", 200);
    long some = 0, some_c = 0;
    for (int b = 0; b < BS; b++) {
        some += is_there[1][1][b];
        some_c += is_there[1][1][b] && has_c[1][1][b];
    }
    snprintf(part, sizeof part, "\"series\":%ld,", some);
    assert_body(part);
    snprintf(part, sizeof part, "\"drop\":{\"label\":\"c\",\"series\":%ld,\"series_left\":%ld,", some_c, some_c);
    assert_body(part); /* each of them differs by b */
}

static void none_is_an_answer(void **state) {
    (void)state;
    ask("GET /api/v1/metrics/cardinality?drop=b", 200);
    assert_body("\"series\":0,\"samples\":0,");
    assert_body("\"oldest\":null,\"newest\":null,");
    assert_body("\"metrics\":[],\"labels\":[],\"pairs\":[],\"drop\":{\"label\":\"b\",\"series\":0,\"series_left\":0,");
    fill(9);
    ask("GET /api/v1/metrics/cardinality?match[]=nobody", 200);
    assert_body("\"series\":0,");
    ask("GET /api/v1/metrics/cardinality?end=now-1h", 200);
    assert_body("\"series\":0,");
    ask("GET /api/v1/metrics/cardinality?start=now-1h&limit=1", 200);
    assert_body("\"metrics_found\":3,");
}

static void what_is_wrong_is_told(void **state) {
    (void)state;
    static const struct {
        const char *parameters, *told;
    } cases[] = {
        {"match[]=%7Bjob%3D%22x%22", "match[]: 1:9: "},
        {"match[]=sum(x)", "match[]: 1:1: \\\"sum(x)\\\" is no selector"},
        {"match[]=x%5B5m%5D", "is no selector"},
        {"match[]=x+offset+5m", "is no selector"},
        {"match[]=%7B%7D", "match[]: 1:1: "},
        {"match[]=%7Ba%3D~%22(%22%7D", "match[]: "},
        {"drop=__name__", "drop: __name__ is the metric's name"},
        {"start=now&end=now-1h", "start is after end"},
        {"limit=0", "limit"},
        {"limit=10001", "limit"},
        {"lable=x", "lable"},
    };
    fill(11);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct buf request;
        buf_init(&request, 64 * KIB);
        buf_add_fmt(&request, "GET /api/v1/metrics/cardinality?%s", cases[i].parameters);
        ask(request.p, 400);
        assert_body(cases[i].told);
        buf_done(&request);
    }
}

static void matchers_have_a_limit(void **state) {
    (void)state;
    for (int n = MATCHERS_MAX - 1; n <= MATCHERS_MAX + 1; n++) {
        struct buf request;
        buf_init(&request, 64 * KIB);
        buf_add_text(&request, "GET /api/v1/metrics/cardinality?drop=q&match[]=%7B");
        for (int i = 0; i < n; i++) buf_add_fmt(&request, "%sa%d%%3D%%22x%%22", i ? "," : "", i);
        buf_add_text(&request, "%7D");
        ask(request.p, n < MATCHERS_MAX ? 200 : 413);
        if (n >= MATCHERS_MAX) assert_body("matchers");
        buf_done(&request);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EMPTY_TEST(counts_equal_brute_force),
        EMPTY_TEST(none_is_an_answer),
        EMPTY_TEST(what_is_wrong_is_told),
        EMPTY_TEST(matchers_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
