/* OllyStack's contract: the table tests/contract/ollystack.json, asked below /ollystack and at the root of the port, with data and without; and what
 * no table says: roots, orphans, escapes, limits. tests/e2e/ollystack.test.mjs asks the same table of the program. */
#include "api/one_stage_testing_priv.h"

#include <stdio.h>

#include "api/ollystack/ollystack_priv.h"
#include "base/text.h"

/* ---- answers as lists of paths ------------------------------------------------------------------------------------ */

enum { NODES_MAX = 100000, SEGMENTS_MAX = 12, RULES_MAX = 64, SEPARATOR = 0x1f };

/* Every value of an answer: its path, as segments each behind a separator ("[]" for elements), its kind, its text. */
struct node {
    char *path, *text;
    enum json_token kind;
};
static struct node nodes[NODES_MAX];
static size_t node_n;

static void nodes_done(void) {
    for (size_t i = 0; i < node_n; i++) {
        mem_free(nodes[i].path);
        mem_free(nodes[i].text);
    }
    node_n = 0;
}

static void flatten(struct json_reader *r, enum json_token t, struct buf *path) {
    size_t n = path->n;
    assert_true(node_n < NODES_MAX && t != JSON_ERROR);
    nodes[node_n++] =
        (struct node){str_dup(buf_str(path)), str_dup(t == JSON_STRING || t == JSON_NUMBER ? r->value : STR("")), t};
    if (t != JSON_OBJECT && t != JSON_ARRAY) return;
    while ((t = json_next(r)) != JSON_OBJECT_END && t != JSON_ARRAY_END) {
        assert_true(t != JSON_ERROR && t != JSON_END);
        buf_add_byte(path, SEPARATOR);
        if (t == JSON_KEY) {
            buf_add_str(path, r->value);
            t = json_next(r);
        } else {
            buf_add_text(path, "[]");
        }
        flatten(r, t, path);
        path->n = n;
        path->p[n] = 0;
    }
}

static void read_answer(struct str json) {
    struct json_reader r;
    AUTO_BUF struct buf path;
    buf_init(&path, 64 * KIB);
    buf_add_text(&path, "");
    nodes_done();
    json_reader_init(&r, json, 64);
    flatten(&r, json_next(&r), &path);
    assert_int_equal(json_next(&r), JSON_END);
    json_reader_done(&r);
}

/* ---- rules ------------------------------------------------------------------------------------------------------ */

/* "spans[].events[].name" → segments; `*` is any one. */
struct rule {
    struct str segments[SEGMENTS_MAX];
    size_t n;
    struct str type;
    bool optional;
};

static void rule_read(struct str text, struct rule *out) {
    struct str path, segment;
    *out = (struct rule){.n = 0};
    assert_true(str_cut(text, ' ', &path, &out->type));
    for (bool more = true; more;) {
        more = str_cut(path, '.', &segment, &path);
        size_t lists = 0;
        while (str_ends_with(segment, STR("[]"))) segment.n -= 2, lists++;
        if (segment.n && segment.p[segment.n - 1] == '?') segment.n--, out->optional = true;
        assert_true(out->n + 1 + lists <= SEGMENTS_MAX);
        if (segment.n) out->segments[out->n++] = segment;
        for (; lists; lists--) out->segments[out->n++] = STR("[]");
    }
}

static bool path_fits(const char *path, const struct str *segments, size_t n) {
    struct str rest = str_of(path), segment;
    if (n == 0 || !*path) return n == 0 && !*path;
    rest = (struct str){rest.p + 1, rest.n - 1};
    for (size_t i = 0; i < n; i++) {
        bool more = str_cut(rest, SEPARATOR, &segment, &rest);
        if (!str_equal(segments[i], STR("*")) && !str_equal(segments[i], segment)) return false;
        if (more != (i + 1 < n)) return false;
    }
    return true;
}

static bool is_hex(const char *text, size_t n) {
    for (const char *p = text; *p; p++)
        if (!strchr("0123456789abcdef", *p)) return false;
    return strlen(text) == n;
}

/* RFC 3339 in UTC; a fraction does not end in a zero, as Go's do not. */
static bool is_time(const char *text) {
    int64_t ns;
    size_t n = strlen(text);
    err e = parse_time(str_of(text), 0, &ns);
    bool good =
        !e && n >= 20 && text[n - 1] == 'Z' && text[10] == 'T' && (n == 20 || (text[19] == '.' && text[n - 2] != '0'));
    err_free(e);
    return good;
}

static bool is_python_time(const char *text) {
    size_t n = strlen(text);
    return (n == 19 || n == 26) && text[10] == 'T' && (n == 19 || text[19] == '.') && text[n - 1] != 'Z';
}

static bool is_within(const struct node *v, double min, double max) {
    double number;
    err e = v->kind == JSON_NUMBER ? parse_f64(str_of(v->text), &number) : err_new(ERR_INVALID, "no number");
    bool good = !e && number >= min && number <= max;
    err_free(e);
    return good;
}

static bool is_literal(const struct node *v, struct str type) {
    struct str one, rest = type;
    if (v->kind == JSON_TRUE) return str_equal(type, STR("true"));
    if (v->kind == JSON_FALSE) return str_equal(type, STR("false"));
    for (bool more = true; more;) {
        more = str_cut(rest, ',', &one, &rest);
        if (str_equal(one, str_of(v->text))) return v->kind == JSON_STRING || v->kind == JSON_NUMBER;
    }
    return false;
}

static bool type_fits(const struct node *v, struct str type) {
    bool text = v->kind == JSON_STRING;
#define IS(name) str_equal(type, STR(name))
    if (IS("string")) return text;
    if (IS("text")) return text && *v->text;
    if (IS("time")) return text && is_time(v->text);
    if (IS("python")) return text && is_python_time(v->text);
    if (IS("hex32")) return text && is_hex(v->text, 32);
    if (IS("hex16")) return text && is_hex(v->text, 16);
    if (IS("id")) return text && (!*v->text || is_hex(v->text, 16));
    if (IS("number")) return v->kind == JSON_NUMBER;
    if (IS("int")) return v->kind == JSON_NUMBER && !strpbrk(v->text, ".eE");
    if (IS("ms")) return is_within(v, 0, 1e15);
    if (IS("micros")) return is_within(v, 1e15, 1e16) && !strpbrk(v->text, ".eE"); /* since 1970, of our times */
    if (IS("percent")) return is_within(v, 0, 100);
    if (IS("ratio")) return is_within(v, 0, 1);
    if (IS("bool")) return v->kind == JSON_TRUE || v->kind == JSON_FALSE;
    if (IS("array")) return v->kind == JSON_ARRAY;
    if (IS("object")) return v->kind == JSON_OBJECT;
    if (IS("null")) return v->kind == JSON_NULL;
#undef IS
    return is_literal(v, type);
}

/* Each value at the path is of the type, and each object that should have it has it. */
static void check_rule(const char *name, struct str text) {
    struct rule rule;
    size_t found = 0, parents = 0;
    rule_read(text, &rule);
    struct str last = rule.segments[rule.n - 1];
    for (size_t i = 0; i < node_n; i++) {
        parents += nodes[i].kind == JSON_OBJECT && path_fits(nodes[i].path, rule.segments, rule.n - 1);
        if (!path_fits(nodes[i].path, rule.segments, rule.n)) continue;
        found++;
        if (!type_fits(&nodes[i], rule.type))
            fail_msg("%s: " STR_FMT ": '%s' in\n%s", name, STR_ARG(text), nodes[i].text, stage_body(&stage));
    }
    bool member = !str_equal(last, STR("[]")) && !str_equal(last, STR("*"));
    if (member && !rule.optional && found != parents)
        fail_msg("%s: " STR_FMT ": %zu of %zu in\n%s", name, STR_ARG(text), found, parents, stage_body(&stage));
}

static int compare(const struct node *a, const struct node *b) {
    double x, y;
    if (a->kind != JSON_NUMBER) return strcmp(a->text, b->text);
    assert_null(parse_f64(str_of(a->text), &x));
    assert_null(parse_f64(str_of(b->text), &y));
    return x < y ? -1 : x > y;
}

static int compare_times(const struct node *a, const struct node *b) { /* 00:00:01Z is after 00:00:01.5Z as a text */
    int64_t x, y;
    if (a->kind != JSON_STRING || !is_time(a->text) || !is_time(b->text)) return compare(a, b);
    assert_null(parse_time(str_of(a->text), 0, &x));
    assert_null(parse_time(str_of(b->text), 0, &y));
    return x < y ? -1 : x > y;
}

static void check_order(const char *name, struct str text) {
    struct rule rule;
    const struct node *before = NULL;
    rule_read(text, &rule);
    bool ascending = str_equal(rule.type, STR("asc"));
    for (size_t i = 0; i < node_n; i++) {
        if (!path_fits(nodes[i].path, rule.segments, rule.n)) continue;
        int order = before ? compare_times(before, &nodes[i]) : 0;
        if (ascending ? order > 0 : order < 0) fail_msg("%s: not in order: " STR_FMT, name, STR_ARG(text));
        before = &nodes[i];
    }
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

struct rules {
    struct str v[RULES_MAX];
    size_t n;
};
struct row {
    struct str name, ask, type, body, text;
    struct rules shape, order, empty_shape;
    int64_t status, empty_status;
};
enum { ROWS_MAX = 200 };
static struct row rows[ROWS_MAX];
static size_t row_n;
static struct arena table;

static void read_texts(struct json_reader *r, struct rules *out) {
    assert_int_equal(json_next(r), JSON_ARRAY);
    while (json_next(r) == JSON_STRING) {
        assert_true(out->n < RULES_MAX);
        out->v[out->n++] = arena_copy(&table, r->value);
    }
}

static void read_number(struct json_reader *r, int64_t *out) {
    assert_int_equal(json_next(r), JSON_NUMBER);
    assert_null(parse_i64(r->value, out));
}

static void read_member(struct json_reader *r, struct row *row) {
    struct {
        const char *name;
        struct str *text;
        struct rules *rules;
        int64_t *number;
    } const members[] = {{"name", &row->name, NULL, NULL},   {"ask", &row->ask, NULL, NULL},
                         {"type", &row->type, NULL, NULL},   {"body", &row->body, NULL, NULL},
                         {"text", &row->text, NULL, NULL},   {"shape", NULL, &row->shape, NULL},
                         {"order", NULL, &row->order, NULL}, {"status", NULL, NULL, &row->status}};
    size_t i = 0;
    while (i < LENGTH(members) && !str_equal(r->value, str_of(members[i].name))) i++;
    if (str_equal(r->value, STR("empty"))) {
        assert_int_equal(json_next(r), JSON_OBJECT);
        while (json_next(r) == JSON_KEY)
            if (str_equal(r->value, STR("status")))
                read_number(r, &row->empty_status);
            else
                read_texts(r, &row->empty_shape);
    } else if (i == LENGTH(members)) {
        assert_true(json_skip(r)); /* the section of the reference */
    } else if (members[i].rules) {
        read_texts(r, members[i].rules);
    } else if (members[i].number) {
        read_number(r, members[i].number);
    } else {
        assert_int_equal(json_next(r), JSON_STRING);
        *members[i].text = arena_copy(&table, r->value);
    }
}

static void read_table(void) {
    struct buf text;
    struct json_reader r;
    char piece[4096];
    FILE *f = fopen(CONTRACT, "rb");
    assert_non_null(f);
    buf_init(&text, MIB);
    for (size_t n; (n = fread(piece, 1, sizeof piece, f));) buf_add(&text, piece, n);
    fclose(f);
    arena_init(&table, 16 * MIB);
    json_reader_init(&r, buf_str(&text), 16);
    assert_int_equal(json_next(&r), JSON_ARRAY);
    while (json_next(&r) == JSON_OBJECT) {
        assert_true(row_n < ROWS_MAX);
        while (json_next(&r) == JSON_KEY) read_member(&r, &rows[row_n]);
        row_n++;
    }
    assert_int_equal(json_next(&r), JSON_END);
    json_reader_done(&r);
    buf_done(&text);
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

static const char trace_id[] = "0af7651916cd43dd8448eb211c80319c";

/* "GET /path" of the row as it is asked for at a port, with its places filled in. */
static void put_ask(struct buf *out, const struct row *row, enum api_port port) {
    struct str method, path;
    assert_true(str_cut(row->ask, ' ', &method, &path));
    buf_add_fmt(out, STR_FMT " %s", STR_ARG(method), port == API_PORT_MAIN ? "/ollystack" : "");
    for (struct str before, rest = path; rest.n;) {
        bool more = str_cut(rest, '{', &before, &rest);
        buf_add_str(out, before);
        if (!more) break;
        str_cut(rest, '}', &before, &rest);
        buf_add_text(out, trace_id); /* {trace}, and {correlation}: a trace without an id is its own */
    }
}

static void check_row(const struct row *row, enum api_port port, bool empty) {
    static const char *const types[] = {
        "go", "application/json; charset=utf-8", "ai", "application/json", "text", "text/plain", "none", ""};
    char name[256];
    AUTO_BUF struct buf ask;
    buf_init(&ask, 4 * KIB);
    put_ask(&ask, row, port);
    snprintf(name, sizeof name, STR_FMT " (%s, %s)", STR_ARG(row->name), ask.p, empty ? "empty" : "filled");
    stage_send(&stage, port, ask.p, row->body.p ? "application/json" : NULL, NULL, row->body.p ? row->body : STR(""));
    bool other = empty && row->empty_status;
    if (stage.status != (other ? row->empty_status : row->status))
        fail_msg("%s: %d %s", name, stage.status, stage_body(&stage));
    for (size_t i = 0; i < LENGTH(types); i += 2)
        if (str_equal(row->type, str_of(types[i])) && strcmp(stage.content_type, types[i + 1]) != 0)
            fail_msg("%s: %s", name, stage.content_type);
    if (row->text.p && !other && !strstr(stage_body(&stage), row->text.p)) fail_msg("%s: %s", name, stage_body(&stage));
    const struct rules *shape = other ? &row->empty_shape : &row->shape;
    if (!shape->n) return;
    read_answer(buf_str(&stage.body));
    for (size_t i = 0; i < shape->n; i++) check_rule(name, shape->v[i]);
    for (size_t i = 0; i < row->order.n && !other; i++) check_order(name, row->order.v[i]);
    nodes_done();
}

static void check_table(bool empty) {
    assert_in_range(row_n, 90, ROWS_MAX);
    for (size_t i = 0; i < row_n; i++) {
        check_row(&rows[i], API_PORT_MAIN, empty);
        check_row(&rows[i], API_PORT_OLLYSTACK, empty);
    }
}

static void every_row_holds_with_data(void **state) {
    (void)state;
    check_table(false);
}

static void every_row_holds_on_an_empty_server(void **state) {
    (void)state;
    check_table(true);
}

/* ---- what no table says ------------------------------------------------------------------------------------------- */

static void send_traces(const char *json) {
    assert_int_equal(stage_send(&stage, API_PORT_OLLYSTACK, "POST /v1/traces", "application/json", NULL, str_of(json)),
                     200);
}

static const char *ask(const char *path) {
    char request[512];
    snprintf(request, sizeof request, "GET /ollystack%s", path);
    if (stage_ask(&stage, request) != 200) fail_msg("%s: %d %s", request, stage.status, stage_body(&stage));
    return stage_body(&stage);
}

static size_t count(const char *text, const char *part) {
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) n++;
    return n;
}

#define SPAN(id, parent, start, more)                                                                                  \
    "{\"traceId\":\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"" id "\",\"parentSpanId\":\"" parent               \
    "\",\"name\":\"n" id "\",\"kind\":2,\"startTimeUnixNano\":\"17673230" start "000000000\",\"endTimeUnixNano\":"     \
    "\"17673230" start "900000001\"" more "}"
#define SPANS_OF(service, list)                                                                                        \
    "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":"         \
    "\"" service "\"}}]},\"scopeSpans\":[{\"spans\":[" list "]}]}]}"
#define SPANS(list) SPANS_OF("a<b>&c", list)

/* Two callers from outside, a real root that is later, a ring: the page gets one root, and every parent is there. */
static void a_trace_has_one_root_and_all_parents(void **state) {
    (void)state;
    send_traces(SPANS(
        SPAN("0000000000000001", "00000000000000aa", "01", "") "," SPAN("0000000000000002", "", "03", "") "," SPAN(
            "0000000000000003", "00000000000000bb", "02",
            "") "," SPAN("0000000000000004", "0000000000000003", "04",
                         "") "," SPAN("0000000000000005", "0000000000000006", "05",
                                      "") "," SPAN("0000000000000006", "0000000000000005", "06",
                                                   "") "," SPAN("0000000000000007", "", "07", "")));
    const char *body = ask("/api/v1/traces/5b8efff798038103d269b633813fc60c");
    assert_int_equal(count(body, "\"parentSpanId\":\"\""), 1);
    assert_non_null(strstr(body, "\"spanId\":\"0000000000000002\",\"parentSpanId\":\"\""));
    assert_int_equal(count(body, "\"parentSpanId\":\"0000000000000002\""),
                     4); /* both orphans, the second root, the ring */
    assert_non_null(strstr(body, "\"spanId\":\"0000000000000004\",\"parentSpanId\":\"0000000000000003\""));
    assert_int_equal(count(body, "\"parentSpanId\":\"00000000000000aa\""), 0);
}

static void without_a_root_the_earliest_orphan_is_it(void **state) {
    (void)state;
    send_traces(SPANS(SPAN("0000000000000001", "00000000000000aa", "02", "") "," SPAN("0000000000000002",
                                                                                      "00000000000000bb", "01", "")));
    const char *body = ask("/api/v1/traces/5b8efff798038103d269b633813fc60c");
    assert_non_null(strstr(body, "\"spanId\":\"0000000000000002\",\"parentSpanId\":\"\""));
    assert_non_null(strstr(body, "\"spanId\":\"0000000000000001\",\"parentSpanId\":\"0000000000000002\""));
}

static void units_and_marks_are_as_the_page_has_them(void **state) {
    (void)state;
    send_traces(SPANS(SPAN("0000000000000001", "", "01", ",\"status\":{\"code\":2,\"message\":\"no\"}")));
    const char *body = ask("/api/v1/traces/5b8efff798038103d269b633813fc60c");
    assert_non_null(strstr(body, "\"startTime\":1767323001000000,\"duration\":900000,"));
    assert_non_null(strstr(body, "\"timestamp\":\"2026-01-02T03:03:21Z\",\"durationNs\":900000001,\"status\":\"ERROR\","
                                 "\"statusMessage\":\"no\",\"kind\":\"SERVER\""));
    assert_non_null(strstr(body, "\"hasError\":true"));
    body = ask("/api/v1/traces/5b8efff798038103d269b633813fc60c/spans");
    assert_non_null(strstr(body, "\"startTime\":\"2026-01-02T03:03:21Z\",\"duration\":900000001,\"status\":\"error\","
                                 "\"kind\":\"SPAN_KIND_SERVER\""));
}

/* Of a filter by service its spans alone: their count, the longest of them and the start of the earliest, however few rows are wanted. */
static void a_row_of_a_service_begins_with_its_first_span(void **state) {
    (void)state;
    send_traces(SPANS(SPAN("0000000000000001", "", "01", "")));
    send_traces(SPANS_OF("pay-c", SPAN("0000000000000003", "0000000000000002", "07",
                                       "") "," SPAN("0000000000000002", "0000000000000001", "05", "")));
    static const char *const limits[] = {"1", "100", "101", "10000"}; /* pages up to 100, one scan above */
    for (size_t i = 0; i < LENGTH(limits); i++) {
        char path[128];
        snprintf(path, sizeof path, "/api/v1/traces?service=pay-c&limit=%s", limits[i]);
        const char *body = ask(path);
        assert_non_null(strstr(body, "\"spanCount\":2,"));
        assert_non_null(strstr(body, "\"timestamp\":\"2026-01-02T03:03:25Z\""));
        assert_non_null(strstr(body, "\"total\":1"));
    }
    assert_has(ask("/api/v1/traces?service=a%3Cb%3E%26c"), "\"timestamp\":\"2026-01-02T03:03:21Z\"");
    assert_has(ask("/api/v1/traces?start=1767323004000"), "\"timestamp\":\"2026-01-02T03:03:25Z\"");
}

static void texts_are_escaped_as_go_does(void **state) {
    (void)state;
    AUTO_BUF struct buf out;
    buf_init(&out, KIB);
    olly_put_go_json(&out, STR("{\"a\":\"<\\/b>\\\\/ & \xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa \\\"/\"}"));
    assert_string_equal(out.p, "{\"a\":\"\\u003c/b\\u003e\\\\/ \\u0026 \\u2028\\u2029\xe2\x80\xaa \\\"/\"}");
    send_traces(SPANS(SPAN("0000000000000001", "", "01", "")));
    assert_non_null(strstr(ask("/api/v1/traces?service=a%3Cb%3E%26c"), "\"serviceName\":\"a\\u003cb\\u003e\\u0026c\""));
}

static void times_lose_the_zeros_at_their_end(void **state) {
    (void)state;
    static const struct {
        int64_t ns;
        const char *go, *python;
    } cases[] = {{0, "\"1970-01-01T00:00:00Z\"", "\"1970-01-01T00:00:00\""},
                 {1500000000, "\"1970-01-01T00:00:01.5Z\"", "\"1970-01-01T00:00:01.500000\""},
                 {1000000001, "\"1970-01-01T00:00:01.000000001Z\"", "\"1970-01-01T00:00:01\""},
                 {1120000, "\"1970-01-01T00:00:00.00112Z\"", "\"1970-01-01T00:00:00.001120\""},
                 {-500000000, "\"1969-12-31T23:59:59.5Z\"", "\"1969-12-31T23:59:59.500000\""}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO_BUF struct buf go, python;
        struct json_writer w;
        buf_init(&go, KIB);
        buf_init(&python, KIB);
        json_writer_init(&w, &go);
        olly_time(&w, cases[i].ns);
        assert_string_equal(go.p, cases[i].go);
        json_writer_init(&w, &python);
        olly_python_time(&w, cases[i].ns);
        assert_string_equal(python.p, cases[i].python);
    }
}

/* Go keeps the zone that a time came with; one that is 0 is Z. */
static void times_go_back_in_their_zone(void **state) {
    (void)state;
    static const char *const cases[] = {
        "2026-01-02T03:04:05Z",           "2026-01-02T03:04:05Z",        "2026-01-02T03:04:05.120+01:00",
        "2026-01-02T03:04:05.12+01:00",   "2026-01-01T00:00:00-05:30",   "2026-01-01T00:00:00-05:30",
        "2026-01-02T03:04:05+00:00",      "2026-01-02T03:04:05Z",        "2026-01-02T03:04:05-00:00",
        "2026-01-02T03:04:05Z",           "1969-12-31T23:59:59.5-23:59", "1969-12-31T23:59:59.5-23:59",
        "9999-01-01T00:00:00+23:59", /* later than can be said */
        "2262-04-11T23:47:16.854775807Z", "0001-01-01T00:00:00Z",        "0001-01-01T00:00:00Z"};
    for (size_t i = 0; i < LENGTH(cases); i += 2) {
        char body[128], want[128];
        snprintf(body, sizeof body, "{\"start\":\"%s\"}", cases[i]);
        snprintf(want, sizeof want, "\"start\":\"%s\",\"end\":\"0001-01-01T00:00:00Z\"", cases[i + 1]);
        assert_int_equal(stage_send(&stage, API_PORT_MAIN, "POST /ollystack/api/v1/correlate/search",
                                    "application/json", NULL, str_of(body)),
                         200);
        assert_has(stage_body(&stage), want);
    }
}

static void percentiles_are_by_index(void **state) {
    (void)state;
    const int64_t v[] = {1, 2, 3, 4};
    assert_int_equal(olly_percentile(v, 0, 50), 0);
    assert_int_equal(olly_percentile(v, 4, 50), 3);
    assert_int_equal(olly_percentile(v, 4, 99), 4);
    assert_int_equal(olly_percentile(v, 1, 99), 1);
}

static void like_is_a_pattern(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, MIB);
    assert_string_equal(olly_like(&a, STR("a.b")).p, "(?is)a\\x2eb");
    assert_string_equal(olly_like(&a, STR("50%_\\%\\\\(")).p, "(?is)50.*.\\x25\\x5c\\x28");
    char longest[4097];
    memset(longest, '(', sizeof longest);
    assert_null(olly_like(&a, str_span(longest, sizeof longest)).p);
    arena_done(&a);
}

/* FATAL, WARNING and TRACE are levels that the page would hide; a record without one is INFO; a JSON line says its own. */
static void durations_are_read_as_go_does(void **state) {
    static const struct {
        const char *text;
        int64_t ns; /* -7: none */
    } all[] = {{"100ms", 100000000},
               {"1.5s", 1500000000},
               {".5s", 500000000},
               {"1.s", 1000000000},
               {"+2s", 2000000000},
               {"-1s", -1000000000},
               {"1h30m", 5400000000000},
               {"1m0.5s", 60500000000},
               {"2us", 2000},
               {"2\u00b5s", 2000},
               {"2\u03bcs", 2000},
               {"7ns", 7},
               {"0", 0},
               {"-0", 0},
               {"1ms1s", 1001000000},
               {"", -7},
               {"soon", -7},
               {"1", -7},
               {"1d", -7},
               {"1w", -7},
               {".s", -7},
               {"s", -7},
               {"1 s", -7},
               {"1e3s", -7},
               {"--1s", -7},
               {"1.2.3s", -7},
               {"9999999h", -7}};
    (void)state;
    for (size_t i = 0; i < LENGTH(all); i++)
        if (olly_duration_or(str_of(all[i].text), -7) != all[i].ns) fail_msg("%s", all[i].text);
    send_traces(SPANS(SPAN("0000000000000001", "", "01", ""))); /* 900 ms and a nanosecond */
    assert_has(ask("/api/v1/traces?minDuration=.9s"), "\"total\":1");
    assert_has(ask("/api/v1/traces?minDuration=.91s"), "\"total\":0");
    assert_has(ask("/api/v1/traces?minDuration=1d"), "\"total\":3"); /* no unit of Go's */
}

static void levels_are_those_that_the_page_shows(void **state) {
    (void)state;
    static const struct {
        const char *sent, *level;
    } cases[] = {{"\"severityText\":\"Fatal\",\"severityNumber\":21", "ERROR"},
                 {"\"severityText\":\"WARNING\"", "WARN"},
                 {"\"severityText\":\"trace\"", "DEBUG"},
                 {"\"severityText\":\"INFO2\"", "INFO"},
                 {"\"severityNumber\":18", "ERROR"},
                 {"\"body\":{\"stringValue\":\"{\\\"level\\\":\\\"warn\\\",\\\"message\\\":\\\"m\\\"}\"}", "WARN"},
                 {"\"body\":{\"stringValue\":\"{\\\"level\\\":\\\"warn\\\",\"}", "INFO"}, /* no whole line */
                 {"\"body\":{\"kvlistValue\":{\"values\":[]}}", "INFO"},
                 {"\"severityText\":\"audit\"", "AUDIT"}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO_BUF struct buf body;
        char path[128], want[64];
        buf_init(&body, 4 * KIB);
        buf_add_fmt(
            &body,
            "{\"resourceLogs\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":"
            "\"s%zu\"}}]},\"scopeLogs\":[{\"logRecords\":[{\"timeUnixNano\":\"1767323040000000000\",%s}]}]}]}",
            i, cases[i].sent);
        assert_int_equal(stage_send(&stage, API_PORT_OTLP, "POST /v1/logs", "application/json", NULL, buf_str(&body)),
                         200);
        snprintf(path, sizeof path, "/api/v1/logs/query?service=s%zu", i);
        snprintf(want, sizeof want, "\"severityText\":\"%s\"", cases[i].level);
        assert_has(ask(path), want);
        snprintf(path, sizeof path, "/api/v1/logs/query?service=s%zu&severity=x,%s", i, cases[i].level);
        assert_has(ask(path), "\"total\":1");
    }
    assert_has(ask("/api/v1/logs/query?service=s0&severity=fatal"), "\"total\":1"); /* as it was sent, too */
    assert_has(ask("/api/v1/logs/query?service=s0&severity=warn"), "\"logs\":[],\"total\":0");
}

/* Metrics are asked for as they were sent and come as they are stored: docs/ollystack.md, "What differs". */
static void a_gauge_is_found_by_the_name_that_it_was_sent_with(void **state) {
    (void)state;
    static const char json[] =
        "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":"
        "\"mq-e\"}},{\"key\":\"service.instance.id\",\"value\":{\"stringValue\":\"i-1\"}}]},\"scopeMetrics\":[{"
        "\"metrics\":[{\"name\":\"queue.depth\",\"gauge\":{\"dataPoints\":[{\"timeUnixNano\":\"1767323040000000000\","
        "\"asInt\":\"7\",\"attributes\":[{\"key\":\"queue.name\",\"value\":{\"stringValue\":\"orders\"}}]}]}}]}]}]}";
    assert_int_equal(stage_send(&stage, API_PORT_OTLP, "POST /v1/metrics", "application/json", NULL, str_of(json)),
                     200);
    static const char *const queries[] = {"queue.depth", "queue_depth", "UE.DEP"};
    for (size_t i = 0; i < LENGTH(queries); i++) {
        char path[128];
        snprintf(path, sizeof path, "/api/v1/metrics/query?query=%s", queries[i]);
        const char *body = ask(path);
        assert_non_null(
            strstr(body, "{\"metricName\":\"queue_depth\",\"value\":7,\"timestamp\":\"2026-01-02T03:04:00Z\","));
        assert_non_null(
            strstr(body, "\"attributes\":{\"instance\":\"i-1\",\"job\":\"mq-e\",\"queue_name\":\"orders\"}"));
    }
}

static void ids_of_requests_come_back_or_are_made(void **state) {
    (void)state;
    struct api_call c = {.request = {.request_id = STR("mine")}};
    char longest[129];
    memset(longest, 'x', sizeof longest);
    arena_init(&c.arena, 64 * KIB);
    assert_true(str_equal(olly_request_id(&c), STR("mine")));
    c.request.request_id = str_span(longest, 128);
    assert_int_equal(olly_request_id(&c).n, 128);
    c.request.request_id.n = 129;
    struct str made = olly_request_id(&c);
    assert_int_equal(made.n, 36);
    assert_true(made.p[14] == '4' && strchr("89ab", made.p[19]));
    assert_false(str_equal(made, olly_request_id(&c)));
    arena_done(&c.arena);
}

int main(void) {
    read_table();
    const struct CMUnitTest tests[] = {
        STAGE_TEST(every_row_holds_with_data),
        EMPTY_TEST(every_row_holds_on_an_empty_server),
        STAGE_TEST(a_trace_has_one_root_and_all_parents),
        STAGE_TEST(without_a_root_the_earliest_orphan_is_it),
        STAGE_TEST(units_and_marks_are_as_the_page_has_them),
        STAGE_TEST(a_row_of_a_service_begins_with_its_first_span),
        STAGE_TEST(texts_are_escaped_as_go_does),
        STAGE_TEST(times_lose_the_zeros_at_their_end),
        STAGE_TEST(times_go_back_in_their_zone),
        STAGE_TEST(percentiles_are_by_index),
        STAGE_TEST(like_is_a_pattern),
        STAGE_TEST(durations_are_read_as_go_does),
        STAGE_TEST(levels_are_those_that_the_page_shows),
        EMPTY_TEST(a_gauge_is_found_by_the_name_that_it_was_sent_with),
        STAGE_TEST(ids_of_requests_come_back_or_are_made),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_done(&table);
    return failed;
}
