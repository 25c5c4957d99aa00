/* The document of a dashboard, Grafana's turned into it and back, and those that ship; deploy/grafana is held to what export makes
 * (UPDATE=1 writes it anew). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api/dashboard/dashboard_priv.h"
#include "base/yaml.h"
#include "os/file.h"

/* ---- the document --------------------------------------------------------------------------------------------------- */

static void assert_check(const char *body, const char *title_or_error) {
    AUTO_ARENA struct arena a;
    struct str title = {0};
    arena_init(&a, MIB);
    err e = dashboard_check(str_of(body), NULL, &a, &title);
    const char *is = e ? err_text(e) : title.p;
    if (strcmp(is, title_or_error) != 0) fail_msg("%.200s: %s, not %s", body, is, title_or_error);
    err_free(e);
}

/* A panel with these members beside its place. */
static void assert_panel(const char *members, const char *title_or_error) {
    char body[4096];
    snprintf(body, sizeof body, "{\"title\":\"T\",\"panels\":[{\"id\":1,\"x\":0,\"y\":0,\"w\":12,\"h\":8,%s}]}",
             members);
    assert_check(body, title_or_error);
}

static void a_document_is_told_what_is_wrong_with_it_and_where(void **state) {
    (void)state;
    assert_check("{\"title\":\"A\",\"panels\":[]}", "A");
    assert_check("", "the text ends too early, at byte 0");
    assert_check("[]", "the body: must be an object, at byte 0");
    assert_check("{}", "title: is missing, at byte 0");
    assert_check("{\"title\":\"A\"}", "panels: is missing, at byte 0");
    assert_check("{\"title\":1,\"panels\":[]}", "title: must be a text, at byte 9");
    assert_check("{\"title\":\"A\",\"title\":\"B\",\"panels\":[]}", "title: stands twice, at byte 21");
    assert_check("{\"title\":\"A\",\"panels\":{}}", "panels: must be an array, at byte 22");
    assert_check("{\"title\":\"A\",\"panels\":[3]}", "panels[0]: must be an object, at byte 23");
    assert_check("{\"title\":\"A\",\"panels\":[],\"panel\":1}", "the body: has no member \"panel\", at byte 33");
    assert_check("{\"title\":\"A\",\"panels\":[],\"refresh\":\"often\"}",
                 "refresh: must be 1s or more: 30s, 5m, or empty, at byte 35");
    assert_check("{\"title\":\"A\",\"panels\":[],\"refresh\":\"\"}", "A");
    assert_check("{\"title\":\"A\",\"panels\":[],\"time\":{\"end\":\"now\"}}", "time.start: is missing, at byte 32");
    assert_panel("\"kind\":\"text\",\"text\":\"# Hi <script>\"", "T");
    assert_panel(
        "\"kind\":\"pie\"",
        "panels[0].kind: is one of timeseries stat gauge bars table heatmap text logs traces row unknown, at byte 63");
    assert_panel("\"kind\":\"stat\",\"unit\":\"parsec\"",
                 "panels[0].unit: is one of none short ratio percent bytes bytes/s bits/s seconds ms us ns /s hertz "
                 "celsius watt volt time, at byte 77");
    assert_panel("\"kind\":\"stat\",\"decimals\":1.5",
                 "panels[0].decimals: must be a whole number from 0 to 10, at byte 81");
    assert_panel("\"kind\":\"stat\",\"stack\":\"yes\"", "panels[0].stack: must be true or false, at byte 78");
    assert_panel("\"kind\":\"stat\",\"thresholds\":[{\"at\":1,\"tone\":\"ok\"},{\"at\":\"2\",\"tone\":\"ok\"}]",
                 "panels[0].thresholds[1].at: must be a number from -1e+308 to 1e+308, at byte 111");
}

static void panels_have_their_place_and_a_name_of_their_own(void **state) {
    (void)state;
    assert_check("{\"title\":\"T\",\"panels\":[{\"id\":1,\"kind\":\"row\",\"x\":13,\"y\":0,\"w\":12,\"h\":1}]}",
                 "panels[0].w: reaches over the 24 columns of the grid, at byte 61");
    assert_check("{\"title\":\"T\",\"panels\":[{\"id\":1,\"kind\":\"row\",\"x\":0,\"y\":0,\"w\":24,\"h\":1},"
                 "{\"id\":1,\"kind\":\"row\",\"x\":0,\"y\":1,\"w\":24,\"h\":1}]}",
                 "panels[1].id: is the id of another panel, at byte 76");
    assert_check("{\"title\":\"T\",\"panels\":[{\"id\":1,\"kind\":\"row\",\"x\":-1,\"y\":0,\"w\":24,\"h\":1}]}",
                 "panels[0].x: must be a whole number from 0 to 23, at byte 48");
}

static void promql_is_parsed_with_its_variables(void **state) {
    (void)state;
#define ASK(expr) "\"kind\":\"timeseries\",\"queries\":[{\"kind\":\"promql\",\"expr\":\"" expr "\"}]"
    assert_panel(ASK("sum by (job) (rate(x[$__rate_interval]))"), "T");
    assert_panel(ASK("rate(x[${__range}]) / $__range_s"), "T");
    assert_panel(ASK("sum(rate(x[5m])"), "panels[0].queries[0].expr: 1:16: parse error: unclosed left parenthesis");
    assert_panel(ASK(""), "panels[0].queries[0].expr: is empty");
    assert_panel(ASK("up{job=\\\"$unknown\\\"}"), "T"); /* within a text it may stand for itself */
    assert_panel("\"kind\":\"timeseries\",\"queries\":[{\"kind\":\"promql\",\"expr\":\"up\"},{\"kind\":\"promql\","
                 "\"expr\":\"up +\"}]",
                 "panels[0].queries[1].expr: 1:5: parse error: unexpected end of input");
#undef ASK
    static const char good[] =
        "{\"title\":\"V\",\"variables\":[{\"name\":\"n\",\"kind\":\"custom\",\"values\":[\"5\",\"10\"]},{\"name\":"
        "\"step\",\"kind\":\"interval\","
        "\"values\":[\"auto\",\"10m\"]},{\"name\":\"by\",\"kind\":\"query\",\"query\":\"label_names()\"},{\"name\":"
        "\"q\",\"kind\":\"query\","
        "\"query\":\"label_values(up{job=~\\\"$by\\\"}, "
        "instance)\"},{\"name\":\"k\",\"kind\":\"text\"}],\"panels\":[{\"id\":1,\"x\":0,\"y\":0,\"w\":2,\"h\":2,"
        "\"kind\":\"stat\",\"queries\":[{\"kind\":\"promql\",\"expr\":\"topk($n, sum by (${by}) "
        "(rate(x{i=~\\\"${q:regex}\\\"}[$step]))) > $k\"}]}]}";
    assert_check(good, "V");
    assert_check("{\"title\":\"V\",\"variables\":[{\"name\":\"n\",\"kind\":\"custom\"}],\"panels\":[]}",
                 "variables[0].values: a variable of this kind needs values, at byte 26");
    assert_check("{\"title\":\"V\",\"variables\":[{\"name\":\"n\",\"kind\":\"text\"},{\"name\":\"n\",\"kind\":\"text\"}"
                 "],\"panels\":[]}",
                 "variables[1].name: is the name of another variable, at byte 53");
    assert_check(
        "{\"title\":\"V\",\"variables\":[{\"name\":\"__n\",\"kind\":\"text\"}],\"panels\":[]}",
        "variables[0].name: a name is letters, digits and _, and begins with neither a digit nor __, at byte 34");
    assert_check("{\"title\":\"V\",\"variables\":[{\"name\":\"n\",\"kind\":\"query\",\"query\":\"label_values(up{, "
                 "job)\"}],\"panels\":[]}",
                 "variables[0].query: 1:4: parse error: unexpected end of input inside braces");
}

static void beginnings_without_an_end_are_looked_at_once(void **state) {
    (void)state;
    AUTO_BUF struct buf text;
    AUTO_ARENA struct arena a;
    struct str title;
    buf_init(&text, DASHBOARD_BYTES + KIB);
    buf_add_text(&text, "{\"title\":\"A\",\"variables\":[{\"name\":\"a\",\"kind\":\"text\"}],\"panels\":[{\"id\":1,"
                        "\"kind\":\"stat\",\"x\":0,\"y\":0,\"w\":2,\"h\":2,\"queries\":[");
    for (int i = 0; i < 20; i++) {
        buf_add_text(&text, i ? ",{\"kind\":\"promql\",\"expr\":\"\\\"" : "{\"kind\":\"promql\",\"expr\":\"\\\"");
        for (int k = 0; k < 20000; k++) buf_add_text(&text, "${a");
        buf_add_text(&text, "\\\"\"}");
    }
    buf_add_text(&text, "]}]}");
    arena_init(&a, MIB);
    err e =
        dashboard_check(buf_str(&text), NULL, &a, &title); /* minutes, if each looked for its end in all that follows */
    if (e) fail_msg("%s", err_text(e));
}

static void a_document_is_bounded(void **state) {
    (void)state;
    AUTO_BUF struct buf many, deep;
    buf_init(&many, MIB);
    buf_init(&deep, MIB);
    buf_add_text(&many, "{\"title\":\"A\",\"panels\":[");
    for (int i = 1; i <= 501; i++)
        buf_add_fmt(&many, "%s{\"id\":%d,\"kind\":\"row\",\"x\":0,\"y\":%d,\"w\":24,\"h\":1}", i > 1 ? "," : "", i, i);
    buf_add_text(&many, "]}");
    AUTO_ARENA struct arena a;
    arena_init(&a, MIB);
    struct str title;
    err e = dashboard_check(buf_str(&many), NULL, &a, &title);
    assert_non_null(e);
    assert_int_equal(err_kind(e), ERR_LIMIT);
    assert_non_null(strstr(err_text(e), "panels[500]: more than 500"));
    err_free(e);
    buf_add_text(&deep, "{\"title\":\"A\",\"panels\":[],\"x\":");
    for (int i = 0; i < PARSED_DEPTH; i++) buf_add_byte(&deep, '[');
    e = dashboard_check(buf_str(&deep), NULL, &a, &title);
    assert_non_null(e);
    assert_non_null(strstr(err_text(e), "at byte"));
    err_free(e);
    /* a list of millions of values is refused before it takes what others need */
    AUTO_BUF struct buf wide;
    buf_init(&wide, DASHBOARD_BYTES);
    buf_add_text(&wide, "{\"title\":\"A\",\"panels\":[],\"tags\":[0");
    while (wide.n < DASHBOARD_BYTES - 4) buf_add_text(&wide, ",0");
    buf_add_text(&wide, "]}");
    e = dashboard_check(buf_str(&wide), NULL, &a, &title);
    assert_non_null(e);
    assert_int_equal(err_kind(e), ERR_LIMIT);
    err_free(e);
}

/* ---- import ----------------------------------------------------------------------------------------------------------- */

struct imported {
    struct arena arena;
    struct buf out;
    struct dashboard_notes notes;
    const struct parsed *root;
    err e;
};

static void import(struct imported *i, struct str body) {
    arena_init(&i->arena, DASHBOARD_MEMORY);
    i->root = NULL;
    i->e = dashboard_import(body, STR(""), &i->arena, &i->out, &i->notes);
    if (!i->e) i->e = parsed_read(&i->arena, buf_str(&i->out), &i->root);
}

static void imported_done(struct imported *i) {
    err_free(i->e);
    buf_done(&i->out);
    arena_done(&i->arena);
}

static bool noted(const struct imported *i, const char *path, const char *part) {
    for (size_t k = 0; k < i->notes.n; k++)
        if (str_equal(i->notes.v[k].path, str_of(path)) && str_contains(i->notes.v[k].what, str_of(part))) return true;
    return false;
}
static void assert_noted(const struct imported *i, const char *path, const char *part) {
    if (noted(i, path, part)) return;
    for (size_t k = 0; k < i->notes.n; k++)
        print_message(STR_FMT ": " STR_FMT "\n", STR_ARG(i->notes.v[k].path), STR_ARG(i->notes.v[k].what));
    fail_msg("no note on %s that says: %s", path, part);
}

static void assert_has(const struct imported *i, const char *part) {
    if (i->e) fail_msg("%s", err_text(i->e));
    if (!str_contains(buf_str(&i->out), str_of(part)))
        fail_msg("%s is not in " STR_FMT, part, STR_ARG(buf_str(&i->out)));
}

static const char grafana_today[] =
    "{\"title\":\"Shop "
    "<b>\\u0001\",\"schemaVersion\":39,\"time\":{\"from\":\"now-6h\",\"to\":\"now\"},\"refresh\":\"1m\",\"tags\":["
    "\"shop\"],"
    "\"annotations\":{\"list\":[{\"builtIn\":1,\"name\":\"Annotations & "
    "Alerts\"},{\"name\":\"deploys\"}]},\"links\":[{\"title\":\"Runbook\"}],"
    "\"templating\":{\"list\":[{\"name\":\"ds\",\"type\":\"datasource\",\"query\":\"prometheus\"},"
    "{\"name\":\"job\",\"type\":\"query\",\"label\":\"Job\",\"query\":{\"query\":\"label_values(up, "
    "job)\",\"refId\":\"x\"},\"multi\":true,\"includeAll\":true,\"current\":{\"value\":[\"$__all\"]}},"
    "{\"name\":\"n\",\"type\":\"custom\",\"query\":\"five : 5, 10,a\\\\,b\",\"current\":{\"value\":\"10\"}},"
    "{\"name\":\"every\",\"type\":\"interval\",\"query\":\"1m,10m\",\"auto\":true,\"current\":{\"value\":\"$__auto_"
    "interval_every\"}},"
    "{\"name\":\"c\",\"type\":\"constant\",\"query\":\"prod\",\"hide\":2},{\"name\":\"t\",\"type\":\"textbox\","
    "\"query\":\"hello\"},"
    "{\"name\":\"old\",\"type\":\"query\",\"query\":\"query_result(up)\",\"regex\":\"/(.*)/"
    "\",\"current\":{\"value\":\"x\"}},{\"name\":\"free\",\"type\":\"adhoc\"}]},"
    "\"panels\":["
    "{\"type\":\"timeseries\",\"title\":\"Rate\",\"gridPos\":{\"x\":0,\"y\":0,\"w\":12,\"h\":8},\"datasource\":{"
    "\"type\":\"prometheus\",\"uid\":\"${ds}\"},"
    "\"fieldConfig\":{\"defaults\":{\"unit\":\"reqps\",\"decimals\":2,\"min\":0,\"custom\":{\"fillOpacity\":20,"
    "\"stacking\":{\"mode\":\"normal\"}},"
    "\"thresholds\":{\"mode\":\"absolute\",\"steps\":[{\"color\":\"green\",\"value\":null},{\"color\":\"#EAB839\","
    "\"value\":80},{\"color\":\"dark-red\",\"value\":90}]}},\"overrides\":[{}]},"
    "\"targets\":[{\"refId\":\"A\",\"expr\":\"sum by (job) "
    "(rate(x{job=~\\\"$job\\\"}[$__rate_interval]))\",\"legendFormat\":\"{{job}}\",\"interval\":\"1m\"},{\"refId\":"
    "\"B\",\"expr\":\"\","
    "\"hide\":true}],"
    "\"transformations\":[{\"id\":\"organize\"}]},"
    "{\"type\":\"piechart\",\"title\":\"Pie\",\"gridPos\":{\"x\":12,\"y\":0,\"w\":12,\"h\":8},\"targets\":[{\"expr\":"
    "\"up\"}]},"
    "{\"type\":\"row\",\"title\":\"Hidden\",\"collapsed\":true,\"gridPos\":{\"x\":0,\"y\":8,\"w\":24,\"h\":1},"
    "\"panels\":["
    "{\"type\":\"stat\",\"title\":\"In the "
    "row\",\"gridPos\":{\"x\":0,\"y\":9,\"w\":6,\"h\":5},\"options\":{\"reduceOptions\":{\"calcs\":[\"mean\"]}},"
    "\"targets\":[{\"expr\":\"up\",\"instant\":true}]}]},"
    "{\"type\":\"logs\",\"title\":\"Says\",\"gridPos\":{\"x\":0,\"y\":9,\"w\":12,\"h\":8},\"datasource\":{\"type\":"
    "\"loki\"},\"targets\":[{\"expr\":\"{service_name=\\\"cart\\\"} |= \\\"card declined\\\"\"}]},"
    "{\"type\":\"logs\",\"title\":\"Complicated\",\"gridPos\":{\"x\":12,\"y\":9,\"w\":12,\"h\":8},\"datasource\":{"
    "\"type\":\"loki\"},\"targets\":[{\"refId\":\"A\",\"expr\":\"{app=\\\"x\\\"} | json | level=`error`\"}]},"
    "{\"type\":\"text\",\"title\":\"Notes\",\"gridPos\":{\"x\":0,\"y\":17,\"w\":12,\"h\":4},\"options\":{\"mode\":"
    "\"html\",\"content\":\"<img src=x onerror=alert(1)>\"}},"
    "{\"type\":\"gauge\",\"title\":\"Broken\",\"gridPos\":{\"x\":12,\"y\":17,\"w\":12,\"h\":4},\"targets\":[{\"refId\":"
    "\"A\",\"expr\":\"sum(up\"}]},"
    "{\"type\":\"table\",\"title\":\"SQL\",\"gridPos\":{\"x\":0,\"y\":21,\"w\":12,\"h\":4},\"datasource\":{\"type\":"
    "\"mysql\"},\"targets\":[{\"refId\":\"A\",\"rawSql\":\"select 1\"}]},"
    "{\"type\":\"traces\",\"title\":\"Slow\",\"gridPos\":{\"x\":12,\"y\":21,\"w\":12,\"h\":4},\"datasource\":{\"type\":"
    "\"jaeger\"},\"targets\":[{\"queryType\":\"search\",\"service\":\"cart\",\"minDuration\":\"100ms\"}]},"
    "{\"libraryPanel\":{\"uid\":\"l\"},\"title\":\"Shared\",\"gridPos\":{\"x\":0,\"y\":25,\"w\":12,\"h\":4}}]}";

static void a_dashboard_of_grafana_is_kept_and_what_is_not_is_named(void **state) {
    (void)state;
    struct imported i;
    import(&i, str_of(grafana_today));
    assert_has(
        &i,
        "{\"title\":\"Shop <b>\",\"tags\":[\"shop\"],\"time\":{\"start\":\"now-6h\",\"end\":\"\"},\"refresh\":\"1m\"");
    assert_has(&i, "{\"name\":\"job\",\"label\":\"Job\",\"kind\":\"query\",\"query\":\"label_values(up, "
                   "job)\",\"value\":[\"*\"],\"multi\":true,\"all\":true}");
    assert_has(&i, "{\"name\":\"n\",\"kind\":\"custom\",\"values\":[\"5\",\"10\",\"a,b\"],\"value\":[\"10\"]}");
    assert_has(&i, "{\"name\":\"every\",\"kind\":\"interval\",\"values\":[\"1m\",\"10m\"],\"value\":[\"auto\"]}");
    assert_has(&i, "{\"name\":\"c\",\"kind\":\"constant\",\"value\":[\"prod\"],\"hidden\":true}");
    assert_has(&i, "{\"name\":\"t\",\"kind\":\"text\",\"value\":[\"hello\"]}");
    assert_has(&i, "{\"name\":\"old\",\"kind\":\"text\",\"value\":[\"x\"]}");
    assert_has(&i, "\"kind\":\"timeseries\",\"x\":0,\"y\":0,\"w\":12,\"h\":8,\"title\":\"Rate\",\"queries\":[{\"kind\":"
                   "\"promql\",");
    assert_has(&i, "\"legend\":\"{{job}}\",\"step\":\"1m\"}],\"unit\":\"/s\"");
    assert_has(&i, "\"decimals\":2,\"min\":0,\"thresholds\":[{\"at\":80,\"tone\":\"warning\"},{\"at\":90,\"tone\":"
                   "\"error\"}],\"draw\":\"area\",\"stack\":true}");
    assert_has(&i, "\"kind\":\"unknown\",\"x\":12,\"y\":0,\"w\":12,\"h\":8,\"title\":\"Pie\",\"was\":\"piechart\"");
    assert_has(&i, "\"kind\":\"row\",\"x\":0,\"y\":8,\"w\":24,\"h\":1,\"title\":\"Hidden\",\"collapsed\":true}");
    assert_has(&i, "\"kind\":\"stat\",\"x\":0,\"y\":9,\"w\":6,\"h\":5,\"title\":\"In the "
                   "row\",\"queries\":[{\"kind\":\"promql\",\"expr\":\"up\",\"instant\":true}],\"calc\":\"mean\"}");
    assert_has(&i, "\"kind\":\"logs\",\"x\":0,\"y\":14,\"w\":12,\"h\":8,\"title\":\"Says\",\"queries\":[{\"kind\":"
                   "\"logs\",\"service\":\"cart\",\"text\":\"card declined\"}]}");
    assert_has(&i, "\"title\":\"Complicated\",\"was\":\"logs\"");
    assert_has(&i, "\"text\":\"<img src=x onerror=alert(1)>\"");
    assert_has(&i, "\"queries\":[{\"kind\":\"traces\",\"service\":\"cart\",\"min_duration\":\"100ms\"}]");
    assert_int_equal(parsed_count(parsed_get(i.root, "panels")), 11); /* every one of them */
    assert_noted(&i, "annotations.list[1]", "annotations");
    assert_noted(&i, "links[0]", "links");
    assert_noted(&i, "templating.list[0]", "data sources");
    assert_noted(&i, "templating.list[6]", "query_result(up)");
    assert_noted(&i, "templating.list[6]", "regular expression");
    assert_noted(&i, "templating.list[7]", "adhoc");
    assert_noted(&i, "panels[0]", "transformation organize");
    assert_noted(&i, "panels[0]", "overrides");
    assert_noted(&i, "panels[1]", "piechart");
    assert_noted(&i, "panels[4]", "LogQL");
    assert_noted(&i, "panels[5]", "HTML");
    assert_noted(&i, "panels[6]", "does not parse: 1:7: parse error");
    assert_noted(&i, "panels[7]", "data source");
    assert_noted(&i, "panels[9]", "library panel");
    imported_done(&i);
}

static void rows_of_old_dashboards_become_a_grid(void **state) {
    (void)state;
    struct imported i;
    import(&i,
           STR("{\"dashboard\":{\"title\":\"Old\",\"schemaVersion\":14,\"rows\":[{\"title\":\"One\",\"showTitle\":true,"
               "\"height\":\"250px\",\"panels\":["
               "{\"type\":\"graph\",\"title\":\"G\",\"span\":8,\"datasource\":\"My "
               "Prometheus\",\"lines\":true,\"fill\":1,\"stack\":true,\"yaxes\":[{\"format\":\"bytes\",\"min\":\"0\","
               "\"max\":null},{}],"
               "\"thresholds\":[{\"value\":5,\"colorMode\":\"critical\"}],\"targets\":[{\"expr\":\"up\"}]},"
               "{\"type\":\"singlestat\",\"title\":\"S\",\"span\":4,\"format\":\"percentunit\",\"valueName\":\"avg\","
               "\"thresholds\":\"0.8,0.9\",\"colors\":[\"#299c46\",\"rgba(237, 129, 40, 0.89)\",\"#d44a3a\"],"
               "\"targets\":[{\"expr\":\"up\"}]},{\"type\":\"singlestat\",\"span\":6,\"gauge\":{\"show\":true,"
               "\"minValue\":0,\"maxValue\":100},\"targets\":[{\"expr\":\"up\"}]}]},"
               "{\"collapse\":true,\"title\":\"Two\",\"panels\":[{\"type\":\"text\",\"content\":\"hi\"}]}]},\"meta\":{}"
               "}"));
    assert_has(&i, "\"kind\":\"row\",\"x\":0,\"y\":0,\"w\":24,\"h\":1,\"title\":\"One\"}");
    assert_has(&i, "\"kind\":\"timeseries\",\"x\":0,\"y\":1,\"w\":16,\"h\":7,\"title\":\"G\",\"queries\":[{\"kind\":"
                   "\"promql\",\"expr\":\"up\"}],\"unit\":\"bytes\",\"min\":0,"
                   "\"thresholds\":[{\"at\":5,\"tone\":\"error\"}],\"draw\":\"area\",\"stack\":true}");
    assert_has(&i, "\"kind\":\"stat\",\"x\":16,\"y\":1,\"w\":8,\"h\":7,\"title\":\"S\"");
    assert_has(&i, "\"unit\":\"ratio\",\"thresholds\":[{\"at\":0.8,\"tone\":\"warning\"},{\"at\":0.9,\"tone\":"
                   "\"error\"}],\"calc\":\"mean\"}");
    assert_has(&i, "\"kind\":\"gauge\",\"x\":0,\"y\":8,\"w\":12,\"h\":7,\"queries\":[{\"kind\":\"promql\",\"expr\":"
                   "\"up\"}],\"min\":0,\"max\":100}");
    assert_has(&i, "\"kind\":\"row\",\"x\":0,\"y\":15,\"w\":24,\"h\":1,\"title\":\"Two\",\"collapsed\":true}");
    assert_has(&i, "\"kind\":\"text\",\"x\":0,\"y\":16,\"w\":24,\"h\":7,\"text\":\"hi\"}");
    imported_done(&i);
}

static void a_hostile_file_is_refused_or_tamed(void **state) {
    (void)state;
    static const struct {
        const char *body, *error; /* NULL: taken */
    } cases[] = {
        {"", "the text ends too early, at byte 0"},
        {"[]", "this is no dashboard: it has neither panels nor rows"},
        {"{\"title\":\"x\"}", "this is no dashboard: it has neither panels nor rows"},
        {"{\"spec\":{\"elements\":{}},\"apiVersion\":\"dashboard.grafana.app/v2\"}",
         "this is Grafana's schema v2: export it as classic JSON (schemaVersion up to 42)"},
        {"{\"schemaVersion\":39,\"panels\":[1]}", "panels[0]: must be an object, at byte 30"},
        {"{\"schemaVersion\":39,\"panels\":[{\"type\":7,\"title\":{},\"gridPos\":{\"x\":-5,\"y\":1e300,\"w\":\"99\","
         "\"h\":0},\"targets\":{\"a\":1},\"fieldConfig\":[],\"options\":3}]}",
         NULL},
        {"{\"schemaVersion\":39,\"panels\":[{\"type\":\"stat\",\"gridPos\":{\"x\":23,\"w\":24,\"h\":1e9},"
         "\"fieldConfig\":{\"defaults\":{\"min\":1e999,\"decimals\":-1,\"unit\":\"furlongs\",\"thresholds\":{\"steps\":"
         "[{\"value\":null},{\"value\":1e400},{\"value\":\"x\"}]}}}}]}",
         NULL},
        {"{\"schemaVersion\":39,\"title\":\"\",\"tags\":[1,null,\"\"],\"templating\":{\"list\":[1,{},{\"name\":\"a "
         "b\",\"type\":\"custom\"},{\"name\":\"c\",\"type\":\"custom\"},{\"name\":\"c\",\"type\":\"custom\"}]},"
         "\"panels\":[]}",
         NULL},
        {"{\"title\":\"own\",\"panels\":[{\"kind\":\"pie\"}]}",
         "panels[0].kind: is one of timeseries stat gauge bars table heatmap text logs traces row unknown, at byte 33"},
    };
    for (size_t k = 0; k < LENGTH(cases); k++) {
        struct imported i;
        import(&i, str_of(cases[k].body));
        if (cases[k].error ? !i.e || strcmp(err_text(i.e), cases[k].error) != 0 : i.e != NULL)
            fail_msg("%s: %s, not %s", cases[k].body, i.e ? err_text(i.e) : "taken",
                     cases[k].error ? cases[k].error : "taken");
        imported_done(&i);
    }
    /* one panel whose text has nearly 5 MB is cut, and says so; over 5 MiB nothing is read */
    AUTO_BUF struct buf large;
    buf_init(&large, 8 * MIB);
    buf_add_text(&large,
                 "{\"schemaVersion\":39,\"title\":\"L\",\"panels\":[{\"type\":\"text\",\"options\":{\"content\":\"");
    while (large.n < DASHBOARD_BYTES - 10) buf_add_byte(&large, '<');
    buf_add_text(&large, "\"}}]}");
    struct imported i;
    import(&i, buf_str(&large));
    assert_null(i.e);
    assert_noted(&i, "panels[0]", "its first 64 KiB");
    imported_done(&i);
    while (large.n <= DASHBOARD_BYTES) buf_add_byte(&large, ' ');
    import(&i, buf_str(&large));
    assert_non_null(i.e);
    assert_int_equal(err_kind(i.e), ERR_LIMIT);
    assert_non_null(strstr(err_text(i.e), "at most 5 MiB"));
    imported_done(&i);
}

static void every_beginning_of_a_file_ends_well(void **state) {
    (void)state;
    for (size_t n = 0; n < sizeof grafana_today - 1; n += 7) {
        struct imported i;
        AUTO_FREE char *part = str_dup((struct str){grafana_today, n});
        import(&i, str_of(part));
        assert_non_null(i.e);
        imported_done(&i);
    }
}

static void more_panels_than_there_may_be_are_an_error(void **state) {
    (void)state;
    AUTO_BUF struct buf many;
    buf_init(&many, MIB);
    buf_add_text(&many, "{\"schemaVersion\":39,\"panels\":[{\"type\":\"row\",\"collapsed\":true,\"panels\":[{}");
    for (int k = 0; k < 600; k++) buf_add_text(&many, ",{}");
    buf_add_text(&many, "]}]}");
    struct imported i;
    import(&i, buf_str(&many));
    assert_non_null(i.e);
    assert_int_equal(err_kind(i.e), ERR_LIMIT);
    imported_done(&i);
}

/* ---- export, and those that ship ------------------------------------------------------------------------------------------ */

static void check_file(const char *path, struct str text) {
    if (getenv("UPDATE")) {
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(text.p, 1, text.n, f), text.n);
        fclose(f);
    }
    AUTO_BUF struct buf is = {0};
    err e = file_read_all(path, 8 * MIB, &is);
    if (e) fail_msg("%s: run with UPDATE=1", err_text(e));
    if (!str_equal(buf_str(&is), text)) fail_msg("%s is not what the dashboard that ships is: run with UPDATE=1", path);
}

static void those_that_ship_are_dashboards_and_deploy_has_them_for_grafana(void **state) {
    (void)state;
    for (size_t k = 0; k < dashboard_shipped_count(); k++) {
        struct dashboard_shipped s = dashboard_shipped_at(k);
        AUTO_ARENA struct arena a;
        AUTO_BUF struct buf out;
        char path[512];
        struct str title;
        arena_init(&a, DASHBOARD_MEMORY);
        buf_init(&out, 16 * MIB);
        err e = dashboard_check(s.body, NULL, &a, &title);
        if (e) fail_msg(STR_FMT ": %s", STR_ARG(s.id), err_text(e));
        assert_true(dashboard_is_shipped(s.id));
        e = dashboard_export(s.body, s.id, &a, &out);
        if (e) fail_msg(STR_FMT ": %s", STR_ARG(s.id), err_text(e));
        snprintf(path, sizeof path, "%s/" STR_FMT ".json", GRAFANA_DIR, (int)(s.id.n - 5), s.id.p + 5);
        check_file(path, buf_str(&out));
    }
}

static struct yaml *provisioned(const char *file, struct arena *a) {
    char path[512];
    struct yaml *root;
    AUTO_BUF struct buf text = {0};
    snprintf(path, sizeof path, "%s/../provisioning/%s", GRAFANA_DIR, file);
    assert_null(file_read_all(path, MIB, &text));
    err e = yaml_read(buf_str(&text), file, a, &root);
    if (e) fail_msg("%s", err_text(e));
    return root;
}

static void assert_yaml(const struct yaml *map, const char *key, const char *text) {
    const struct yaml *v = yaml_get(map, key);
    assert_non_null(v);
    if (!str_equal(v->text, str_of(text))) fail_msg("%s: " STR_FMT ", not %s", key, STR_ARG(v->text), text);
}

static void grafana_is_told_of_clew_by_files(void **state) {
    (void)state;
    AUTO_ARENA struct arena a;
    arena_init(&a, 16 * MIB);
    struct yaml *sources = yaml_get(provisioned("datasources/clew.yml", &a), "datasources");
    assert_int_equal(sources->n, 2);
    assert_yaml(sources->items[0], "uid", "clew-prometheus");
    assert_yaml(sources->items[0], "type", "prometheus");
    assert_yaml(sources->items[0], "url", "$CLEW_URL/prometheus");
    assert_yaml(sources->items[1], "uid", "clew-jaeger");
    assert_yaml(sources->items[1], "type", "jaeger");
    assert_yaml(sources->items[1], "url", "$CLEW_URL/jaeger");
    struct yaml *providers = yaml_get(provisioned("dashboards/clew.yml", &a), "providers");
    assert_int_equal(providers->n, 1);
    assert_yaml(providers->items[0], "type", "file");
    assert_yaml(yaml_get(providers->items[0], "options"), "path", "/etc/grafana/clew/dashboards");
}

/* What Grafana is given, given back: the same panels, queries, places and variables. */
static void what_is_exported_comes_back(void **state) {
    (void)state;
    for (size_t k = 0; k < dashboard_shipped_count(); k++) {
        struct dashboard_shipped s = dashboard_shipped_at(k);
        AUTO_ARENA struct arena a;
        AUTO_BUF struct buf out;
        const struct parsed *first;
        struct imported i;
        arena_init(&a, DASHBOARD_MEMORY);
        buf_init(&out, 16 * MIB);
        assert_null(dashboard_export(s.body, s.id, &a, &out));
        assert_null(parsed_read(&a, s.body, &first));
        import(&i, buf_str(&out));
        if (i.e) fail_msg(STR_FMT ": %s", STR_ARG(s.id), err_text(i.e));
        const struct parsed *p = parsed_get(first, "panels")->first, *q = parsed_get(i.root, "panels")->first;
        for (; p && q; p = p->next, q = q->next) {
            static const char *const same[] = {"title", "unit", "draw"};
            bool foreign =
                str_equal(parsed_text(p, "kind"), STR("logs")) || str_equal(parsed_text(p, "kind"), STR("traces"));
            for (size_t m = 0; m < LENGTH(same) && !foreign; m++)
                assert_true(str_equal(parsed_text(p, same[m]), parsed_text(q, same[m])));
            static const char *const places[] = {"x", "y", "w", "h"};
            for (size_t m = 0; m < LENGTH(places); m++)
                assert_true(str_equal(parsed_get(p, places[m])->text, parsed_get(q, places[m])->text));
            assert_int_equal(parsed_count(parsed_get(p, "thresholds")), parsed_count(parsed_get(q, "thresholds")));
            const struct parsed *x = parsed_get(p, "queries")->first, *y = parsed_get(q, "queries")->first;
            for (; x && y && !foreign; x = x->next, y = y->next)
                assert_true(str_equal(parsed_text(x, "expr"), parsed_text(y, "expr")));
        }
        assert_true(!p && !q);
        imported_done(&i);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_is_told_what_is_wrong_with_it_and_where),
        cmocka_unit_test(panels_have_their_place_and_a_name_of_their_own),
        cmocka_unit_test(promql_is_parsed_with_its_variables),
        cmocka_unit_test(beginnings_without_an_end_are_looked_at_once),
        cmocka_unit_test(a_document_is_bounded),
        cmocka_unit_test(a_dashboard_of_grafana_is_kept_and_what_is_not_is_named),
        cmocka_unit_test(rows_of_old_dashboards_become_a_grid),
        cmocka_unit_test(a_hostile_file_is_refused_or_tamed),
        cmocka_unit_test(every_beginning_of_a_file_ends_well),
        cmocka_unit_test(more_panels_than_there_may_be_are_an_error),
        cmocka_unit_test(those_that_ship_are_dashboards_and_deploy_has_them_for_grafana),
        cmocka_unit_test(grafana_is_told_of_clew_by_files),
        cmocka_unit_test(what_is_exported_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
