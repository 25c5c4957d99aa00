/* Metrics on their way in: every format, what is refused of them and how it is told, and bodies that lie. */
#include "ingest/ingest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/budget.h"
#include "base/text.h"
#include "net/inflate.h"
#include "os/file.h"
#include "signal/metrics/snappy.h"
#include "signal/testing.h"
#include "store/series.h"

/* 2023-11-14 22:13:20 UTC */
#define NOW_MS 1700000000000ll
#define NOW "1700000000000"
static int64_t fixed_now(void) { return NOW_MS * 1000000; }

/* ---- one way in ------------------------------------------------------------------------------------------------- */

/* A real store in a folder of its own, whose log is written when the test says so. */
struct bench {
    char dir[32];
    struct store *store;
    struct budget budget;
    uint64_t base_bytes; /* of the budget: what the store holds for its own work */
    struct ingest *ingest;
    int calls;
    bool failed;
    enum err_kind kind;
    char text[512];
    struct ingest_outcome outcome;
};

static void open_with(struct bench *b, const struct store_options *options, uint64_t budget, size_t body_max,
                      const struct redact_rules *rules) {
    struct store_options mine = *options;
    *b = (struct bench){.dir = "/tmp/clew-ingest-XXXXXX"};
    assert_non_null(mkdtemp(b->dir));
    budget_init(&b->budget, 1 << 30);
    mine.dir = b->dir;
    mine.budget = &b->budget;
    err e = store_open(&mine, &b->store);
    if (e) fail_msg("%s", err_text(e));
    b->base_bytes = budget_used(&b->budget);
    b->budget.limit_bytes = b->base_bytes + budget;
    atomic_store(&b->budget.peak_bytes, b->base_bytes);
    b->ingest = ingest_new(&(struct ingest_options){
        .store = b->store, .budget = &b->budget, .body_max_bytes = body_max, .wall_ns = fixed_now, .redact = rules});
}

static void bench_options(struct store_options *out) {
    store_options_default(out);
    out->wall_ns = fixed_now;
    out->manual = true;
    out->segment_bytes = MIB;
    out->disk_use_max_percent = 100;
    out->disk_free_min_percent = 0;
}

static void bench_open(struct bench *b) {
    struct store_options options;
    bench_options(&options);
    open_with(b, &options, 1 << 30, 0, NULL);
}

static err remove_entry(void *context, const char *name, bool is_dir) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", (const char *)context, name);
    if (!is_dir) return path_remove(path);
    TRY(path_list(path, remove_entry, path));
    return path_remove_dir(path);
}

static void bench_close(struct bench *b) {
    ingest_free(b->ingest);
    b->budget.limit_bytes = 1 << 30;
    err e = store_close(b->store);
    if (!e) e = path_list(b->dir, remove_entry, b->dir);
    if (!e) e = path_remove_dir(b->dir);
    if (e) fail_msg("%s", err_text(e));
    assert_int_equal(budget_used(&b->budget), 0);
}

static void on_done(void *context, err e, const struct ingest_outcome *outcome) {
    struct bench *b = context;
    b->calls++;
    b->failed = e != NULL;
    b->outcome = (struct ingest_outcome){0};
    snprintf(b->text, sizeof b->text, "%s", e ? err_text(e) : outcome->message);
    if (e)
        b->kind = err_kind(e);
    else
        b->outcome = *outcome;
    err_free(e);
}

static void send(struct bench *b, enum ingest_format format, const char *encoding, struct str body) {
    int before = b->calls;
    AUTO_FREE char *exact = mem_new(body.n + !body.n); /* ASan sees one byte too far */
    if (body.n) memcpy(exact, body.p, body.n);
    struct ingest_request request = {.tenant = STR("default"),
                                     .kind = INGEST_METRICS,
                                     .format = format,
                                     .encoding = str_of(encoding),
                                     .body = {exact, body.n}};
    ingest_body(b->ingest, &request, on_done, b);
    while (store_pump(b->store, 0)) {}
    assert_int_equal(b->calls, before + 1);
}

static void send_text(struct bench *b, const char *text) { send(b, INGEST_TEXT, "", str_of(text)); }

/* Lines of put_write_request. */
static void send_write(struct bench *b, int version, const char *lines) {
    AUTO_BUF struct buf plain, packed;
    buf_init(&plain, 64 * MIB);
    buf_init(&packed, 64 * MIB);
    put_write_request(version, lines, &plain);
    snappy_block_write(buf_str(&plain), &packed);
    send(b, version == 1 ? INGEST_WRITE_1 : INGEST_WRITE_2, "snappy", buf_str(&packed));
}

/* ---- what is stored --------------------------------------------------------------------------------------------- */

struct line {
    char *text;
};

static int compare_lines(const void *a, const void *b) {
    return strcmp(((const struct line *)a)->text, ((const struct line *)b)->text);
}

static void put_sample(const struct samples *s, uint32_t i, struct buf *out) {
    const struct histogram *h = samples_histogram(s, i);
    buf_add_byte(out, ' ');
    if (h)
        buf_add_text(out, "histogram");
    else if (s->values[i] != s->values[i]) {
        uint64_t bits;
        memcpy(&bits, &s->values[i], 8);
        buf_add_fmt(out, "bits:%016llx", (unsigned long long)bits);
    } else
        put_f64(out, s->values[i]);
    buf_add_fmt(out, "@%lld", (long long)(s->times_ns[i] / 1000000));
}

static void put_labels(struct labels l, struct buf *out) {
    const char *separator = "{";
    buf_add_str(out, label_set_get(l, METRIC_NAME));
    for (uint32_t i = 0; i < l.n; i++) {
        if (str_equal(l.v[i].name, METRIC_NAME)) continue;
        buf_add_fmt(out, "%s" STR_FMT "=\"" STR_FMT "\"", separator, STR_ARG(l.v[i].name), STR_ARG(l.v[i].value));
        separator = ",";
    }
    if (*separator == ',') buf_add_byte(out, '}');
}

/* All series of the tenant, a line each, ascending: name{label="value"} value@ms … */
static void dump(struct bench *b, struct buf *out) {
    struct series_snapshot *snapshot;
    struct selection *selection;
    struct series_stats stats = {0};
    AUTO_ARENA struct arena arena;
    struct samples samples;
    const struct series_request all = {.time_min = INT64_MIN, .time_max = INT64_MAX};
    arena_init(&arena, 64 * MIB);
    samples_init(&samples, MIB);
    assert_null(store_series_snapshot(b->store, STR("default"), &snapshot));
    assert_null(series_snapshot_select(snapshot, &all, &arena, &stats, &selection));
    uint32_t n = selection_count(selection);
    struct line *lines = mem_new_array(struct line, n + 1);
    struct selection_reader *reader = selection_reader_new(selection, &stats);
    for (uint32_t i = 0; i < n; i++) {
        struct buf line;
        buf_init(&line, MIB);
        put_labels(selection_labels(selection, i), &line);
        assert_null(selection_read(reader, i, &samples));
        for (uint32_t k = 0; k < samples.n; k++) put_sample(&samples, k, &line);
        lines[i].text = str_dup(buf_str(&line));
        buf_done(&line);
    }
    qsort(lines, n, sizeof *lines, compare_lines);
    for (uint32_t i = 0; i < n; i++) {
        buf_add_fmt(out, "%s\n", lines[i].text);
        mem_free(lines[i].text);
    }
    mem_free(lines);
    selection_reader_free(reader);
    selection_free(selection);
    series_snapshot_free(snapshot);
    samples_done(&samples);
}

static void stored(struct bench *b, const char *want) {
    AUTO_BUF struct buf text;
    buf_init(&text, 64 * MIB);
    dump(b, &text);
    assert_string_equal(text.n ? text.p : "", want);
}

static void fared(const struct bench *b, uint64_t taken, uint64_t rejected, const char *message) {
    if (b->failed) fail_msg("%s", b->text);
    assert_string_equal(b->text, message);
    assert_int_equal(b->outcome.taken, taken);
    assert_int_equal(b->outcome.rejected, rejected);
}

static void failed(const struct bench *b, enum err_kind kind, const char *text) {
    assert_true(b->failed);
    assert_string_equal(err_kind_rows[b->kind].name, err_kind_rows[kind].name);
    if (!strstr(b->text, text)) fail_msg("%s: not in: %s", text, b->text);
}

/* ---- formats ---------------------------------------------------------------------------------------------------- */

static void put_otlp_gauge(struct buf *out, const char *service, const char *name, uint64_t time_ns, double value) {
    AUTO_BUF struct buf any, entry, resource, point, gauge, metric, scope, all;
    struct buf *const parts[] = {&any, &entry, &resource, &point, &gauge, &metric, &scope, &all};
    uint64_t bits;
    for (size_t i = 0; i < LENGTH(parts); i++) buf_init(parts[i], MIB);
    memcpy(&bits, &value, 8);
    put_wire_bytes(&any, 1, str_of(service));
    put_wire_bytes(&entry, 1, STR("service.name"));
    put_wire_bytes(&entry, 2, buf_str(&any));
    put_wire_bytes(&resource, 1, buf_str(&entry));
    put_wire_fixed64(&point, 3, time_ns);
    put_wire_fixed64(&point, 4, bits);
    put_wire_bytes(&gauge, 1, buf_str(&point));
    put_wire_bytes(&metric, 1, str_of(name));
    put_wire_bytes(&metric, 5, buf_str(&gauge));
    put_wire_bytes(&scope, 2, buf_str(&metric));
    put_wire_bytes(&all, 1, buf_str(&resource));
    put_wire_bytes(&all, 2, buf_str(&scope));
    put_wire_bytes(out, 1, buf_str(&all));
}

static void every_format_comes_to_series(void **state) {
    (void)state;
    struct bench b;
    AUTO_BUF struct buf body, packed;
    buf_init(&body, MIB);
    buf_init(&packed, MIB);
    bench_open(&b);
    put_otlp_gauge(&body, "shop", "queue.length", (uint64_t)NOW_MS * 1000000, 3);
    send(&b, INGEST_OTLP, "", buf_str(&body));
    fared(&b, 1, 0, "");
    assert_null(deflate_gzip(buf_str(&body), &packed));
    send(&b, INGEST_OTLP, "gzip", buf_str(&packed)); /* said again: taken */
    fared(&b, 1, 0, "");
    send(
        &b, INGEST_OTLP_JSON, "",
        STR("{\"resourceMetrics\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":"
            "\"till\"}}]},\"scopeMetrics\":[{\"metrics\":[{\"name\":\"paid\",\"sum\":{\"aggregationTemporality\":2,"
            "\"isMonotonic\":true,\"dataPoints\":[{\"timeUnixNano\":\"" NOW "000000\",\"asInt\":\"7\"}]}}]}]}]}"));
    fared(&b, 1, 0, "");
    send_write(&b, 1, "one job=a 1@" NOW "\n");
    fared(&b, 1, 0, "");
    assert_int_equal(b.outcome.samples, 1);
    send_write(&b, 2, "two job=a 2@" NOW "\n");
    fared(&b, 1, 0, "");
    send_text(&b, "three{job=\"a\"} 3\n");
    fared(&b, 1, 0, "");
    send(&b, INGEST_OPENMETRICS, "", STR("four{job=\"a\"} 4 1700000000\n# EOF\n"));
    fared(&b, 1, 0, "");
    stored(&b, "four{job=\"a\"} 4@" NOW "\none{job=\"a\"} 1@" NOW "\npaid_total{job=\"till\"} 7@" NOW
               "\nqueue_length{job=\"shop\"} 3@" NOW "\nthree{job=\"a\"} 3@" NOW "\ntwo{job=\"a\"} 2@" NOW "\n");
    struct ingest_stats s;
    ingest_get_stats(b.ingest, &s);
    assert_int_equal(s.bodies[INGEST_METRICS], 7);
    assert_int_equal(s.rows[INGEST_METRICS], 7);
    assert_int_equal(s.rows[INGEST_SPANS], 0);
    assert_int_equal(s.samples, 7);
    bench_close(&b);
}

static void nothing_is_a_success(void **state) {
    (void)state;
    struct bench b;
    bench_open(&b);
    send(&b, INGEST_OTLP, "", STR(""));
    fared(&b, 0, 0, "");
    send(&b, INGEST_OTLP_JSON, "", STR("{}"));
    fared(&b, 0, 0, "");
    send_write(&b, 1, "");
    fared(&b, 0, 0, "");
    send_write(&b, 2, "");
    fared(&b, 0, 0, "");
    send_text(&b, "");
    fared(&b, 0, 0, "");
    send(&b, INGEST_OPENMETRICS, "", STR("# EOF\n"));
    fared(&b, 0, 0, "");
    stored(&b, "");
    bench_close(&b);
}

static void labels_of_an_import_are_put_on_all(void **state) {
    (void)state;
    struct bench b;
    const struct points_label labels[] = {{STR("job"), STR("cron")}, {STR("env"), STR("prod")}};
    bench_open(&b);
    ingest_body(b.ingest,
                &(struct ingest_request){.tenant = STR("default"),
                                         .kind = INGEST_METRICS,
                                         .format = INGEST_TEXT,
                                         .body = STR("ran 1\nran{job=\"other\",x=\"y\"} 2\n"),
                                         .labels = labels,
                                         .label_count = 2},
                on_done, &b);
    while (store_pump(b.store, 0)) {}
    fared(&b, 2, 0, "");
    stored(&b, "ran{env=\"prod\",job=\"cron\",x=\"y\"} 2@" NOW "\nran{env=\"prod\",job=\"cron\"} 1@" NOW "\n");
    bench_close(&b);
}

/* ---- times and values ------------------------------------------------------------------------------------------- */

static void duplicates_and_conflicts_are_told_apart(void **state) {
    (void)state;
    struct bench b;
    bench_open(&b);
    send_write(&b, 1, "m a=1 1@" NOW "\n");
    send_write(&b, 1, "m a=1 1@" NOW "\n");
    fared(&b, 1, 0, "");
    assert_int_equal(b.outcome.samples, 1);
    send_write(&b, 1, "m a=1 2@" NOW "\nm a=2 5@" NOW "\n");
    assert_int_equal(b.outcome.taken, 1);
    assert_int_equal(b.outcome.rejected, 1);
    assert_int_equal(b.outcome.samples, 1);
    assert_int_equal(b.outcome.rejected_by[REASON_CONFLICT], 1);
    assert_true(str_starts_with(str_of(b.text), STR("1: ")));
    stored(&b, "m{a=\"1\"} 1@" NOW "\nm{a=\"2\"} 5@" NOW "\n");
    bench_close(&b);
}

static void samples_out_of_order_are_taken_within_the_window(void **state) {
    (void)state;
    struct bench b;
    bench_open(&b);
    send_write(&b, 1, "m 3@1699999999000 1@1699999997000 2@1699999998000\n");
    fared(&b, 3, 0, "");
    send_write(&b, 2, "m 0@1699999990000\n");
    fared(&b, 1, 0, "");
    send_write(&b, 2, "m 9@1699990000000 4@" NOW "\n"); /* nearly three hours behind */
    assert_int_equal(b.outcome.taken, 1);
    assert_int_equal(b.outcome.rejected_by[REASON_TOO_LATE], 1);
    stored(&b, "m 0@1699999990000 1@1699999997000 2@1699999998000 3@1699999999000 4@" NOW "\n");
    bench_close(&b);
}

static void times_outside_the_retention_are_refused(void **state) {
    (void)state;
    struct bench b;
    struct ingest_stats s;
    bench_open(&b);
    send_write(&b, 1, "m 1@0 1@-1 1@1900000000000 1@-9223372036854775808 1@9223372036854775807 5@" NOW "\n");
    fared(&b, 1, 5, "3: older than the retention; 2: too far in the future");
    send_text(&b, "m 1 -5\nm{a=\"1\"} 1 9223372036854775807\n");
    fared(&b, 0, 2, "1: older than the retention; 1: too far in the future");
    stored(&b, "m 5@" NOW "\n");
    ingest_get_stats(b.ingest, &s);
    assert_int_equal(s.rejected[INGEST_METRICS][REASON_TOO_OLD], 4);
    assert_int_equal(s.rejected[INGEST_METRICS][REASON_TOO_NEW], 3);
    bench_close(&b);
}

/* Retention 0 takes 1970 and what was before; a time that nanoseconds cannot say is refused, not wrapped. */
static void times_of_any_age_are_taken_without_retention(void **state) {
    (void)state;
    struct bench b;
    struct store_options options;
    bench_options(&options);
    options.retention_ns = 0;
    open_with(&b, &options, 1 << 30, 0, NULL);
    send_write(&b, 1, "m a=1 1@0\nm a=2 2@-1\nm a=3 3@-62135596800000\nm a=4 4@-9223372036854775808\n");
    assert_false(b.failed);
    assert_int_equal(b.outcome.rejected + b.outcome.taken, 4);
    assert_int_equal(b.outcome.taken, 2);
    stored(&b, "m{a=\"1\"} 1@0\nm{a=\"2\"} 2@-1\n");
    bench_close(&b);
}

/* The second that was a leap second, 2016-12-31T23:59:60Z: unix time counts it twice, so both its samples are at one time. */
static void a_leap_second_is_a_time_twice(void **state) {
    (void)state;
    struct bench b;
    struct store_options options;
    bench_options(&options);
    options.retention_ns = 0;
    open_with(&b, &options, 1 << 30, 0, NULL);
    send_write(&b, 1, "m 1@1483228799500 2@1483228800500\n");
    fared(&b, 2, 0, "");
    send_write(&b, 1, "m 3@1483228800500 4@1483228801000\n");
    assert_int_equal(b.outcome.taken, 1);
    assert_int_equal(b.outcome.rejected_by[REASON_CONFLICT], 1);
    stored(&b, "m 1@1483228799500 2@1483228800500 4@1483228801000\n");
    bench_close(&b);
}

static void nan_payloads_and_infinities_are_kept(void **state) {
    (void)state;
    struct bench b;
    bench_open(&b);
    send_write(&b, 1,
               "m a=1 bits:7ff0000000000002@1699999999000 bits:7ff8000000000001@" NOW "\n"
               "m a=2 bits:fff8dead0000beef@" NOW "\nm a=3 inf@" NOW "\nm a=4 -inf@" NOW "\nm a=5 -0@" NOW "\n");
    fared(&b, 6, 0, "");
    send_write(&b, 2, "m a=2 bits:fff8dead0000beef@" NOW "\n"); /* the same: said already */
    fared(&b, 1, 0, "");
    stored(&b, "m{a=\"1\"} bits:7ff0000000000002@1699999999000 bits:7ff8000000000001@" NOW "\n"
               "m{a=\"2\"} bits:fff8dead0000beef@" NOW "\nm{a=\"3\"} +Inf@" NOW "\nm{a=\"4\"} -Inf@" NOW
               "\nm{a=\"5\"} -0@" NOW "\n");
    bench_close(&b);
}

/* One metric of OTLP/JSON; what is refused of its points. */
static void send_json_metric(struct bench *b, const char *metric) {
    AUTO_BUF struct buf body;
    buf_init(&body, MIB);
    buf_add_fmt(&body, "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[%s]}]}]}", metric);
    send(b, INGEST_OTLP_JSON, "", buf_str(&body));
    if (b->failed) fail_msg("%s: %s", metric, b->text);
}

#define AT "\"timeUnixNano\":\"" NOW "000000\","
static void what_cannot_be_a_series_is_told_by_reason(void **state) {
    (void)state;
    static const struct {
        const char *metric;
        enum ingest_reason reason;
        uint64_t refused;
    } cases[] = {
        {"{\"name\":\"m\",\"sum\":{\"dataPoints\":[{" AT "\"asInt\":1},{" AT "\"asInt\":1}]}}",
         REASON_TRANSLATION + TRANSLATE_TEMPORALITY, 2},
        {"{\"name\":\"m\",\"sum\":{\"aggregationTemporality\":7,\"dataPoints\":[{" AT "\"asInt\":1}]}}",
         REASON_TRANSLATION + TRANSLATE_TEMPORALITY, 1},
        {"{\"name\":\"m\",\"gauge\":{\"dataPoints\":[{" AT "\"flags\":0}]}}", REASON_TRANSLATION + TRANSLATE_NO_VALUE,
         1},
        {"{\"name\":\"m\",\"exponentialHistogram\":{\"aggregationTemporality\":2,\"dataPoints\":[{" AT
         "\"count\":1,\"scale\":-5,\"sum\":1,\"positive\":{\"bucketCounts\":[1]}}]}}",
         REASON_TRANSLATION + TRANSLATE_SCALE, 1},
        {"{\"name\":\"m\",\"exponentialHistogram\":{\"aggregationTemporality\":2,\"dataPoints\":[{" AT
         "\"count\":1,\"scale\":0,\"positive\":{\"bucketCounts\":[1]}}]}}",
         REASON_TRANSLATION + TRANSLATE_NO_SUM, 1},
        {"{\"name\":\"m\",\"histogram\":{\"aggregationTemporality\":2,\"dataPoints\":[{" AT
         "\"count\":1,\"sum\":1,\"explicitBounds\":[2,1],\"bucketCounts\":[1,0,0]}]}}",
         REASON_BAD_HISTOGRAM, 1},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct bench b;
        struct ingest_stats s;
        bench_open(&b);
        send_json_metric(&b, cases[i].metric);
        assert_int_equal(b.outcome.taken, 0);
        assert_int_equal(b.outcome.rejected, cases[i].refused);
        if (b.outcome.rejected_by[cases[i].reason] != cases[i].refused) fail_msg("case %zu: %s", i, b.text);
        if (!strstr(b.text, *ingest_reasons[cases[i].reason].text)) fail_msg("case %zu: %s", i, b.text);
        ingest_get_stats(b.ingest, &s);
        assert_int_equal(s.rejected[INGEST_METRICS][cases[i].reason], cases[i].refused);
        stored(&b, "");
        bench_close(&b);
    }
}

/* Summaries, the stale marker of what was not recorded, and points that are told to be a conflict. */
static void points_of_otlp_become_samples_or_conflicts(void **state) {
    (void)state;
    struct bench b;
    bench_open(&b);
    send_json_metric(&b, "{\"name\":\"s\",\"summary\":{\"dataPoints\":[{" AT
                         "\"count\":\"3\",\"sum\":4.5,\"quantileValues\":"
                         "[{\"quantile\":0.5,\"value\":1},{\"quantile\":1,\"value\":2}]}]}}");
    fared(&b, 1, 0, "");
    assert_int_equal(b.outcome.samples, 4);
    send_json_metric(&b, "{\"name\":\"g\",\"gauge\":{\"dataPoints\":[{" AT "\"flags\":1}]}}");
    fared(&b, 1, 0, "");
    send_json_metric(&b, "{\"name\":\"g\",\"gauge\":{\"dataPoints\":[{" AT "\"asDouble\":1}]}}");
    assert_int_equal(b.outcome.rejected_by[REASON_CONFLICT], 1);
    stored(&b, "g bits:7ff0000000000002@" NOW "\ns_count 3@" NOW "\ns_sum 4.5@" NOW "\ns{quantile=\"0.5\"} 1@" NOW
               "\ns{quantile=\"1\"} 2@" NOW "\n");
    bench_close(&b);
}

static void a_refusal_names_whose_point_it_was(void **state) {
    (void)state;
    static const struct {
        const char *metric, *message;
    } cases[] = {
        {"{\"name\":\"a.b\",\"gauge\":{\"dataPoints\":[{" AT "\"flags\":0},{" AT "\"flags\":0}]}}",
         "2: a point without a value; metric \"a.b\""},
        {"{\"name\":\"\",\"sum\":{\"aggregationTemporality\":2,\"isMonotonic\":true,\"dataPoints\":[{" AT
         "\"asInt\":1}]}}",
         "1: a metric without a name; metric \"\""},
        {"{\"unit\":\"s\",\"gauge\":{\"dataPoints\":[{" AT "\"asInt\":1}]}}",
         "1: a metric without a name; metric \"\""},
        {"{\"name\":\"h\",\"histogram\":{\"aggregationTemporality\":2,\"dataPoints\":[{" AT
         "\"count\":1,\"explicitBounds\":[1],\"bucketCounts\":[1]}]}}",
         "1: a histogram that contradicts itself; metric \"h\": the buckets are not one more than the bounds"},
        {"{\"name\":\"m\",\"gauge\":{\"dataPoints\":[{\"timeUnixNano\":\"5\",\"asInt\":1}]}}",
         "1: older than the retention; metric \"m\""},
    };
    struct bench b;
    AUTO_BUF struct buf body;
    buf_init(&body, MIB);
    bench_open(&b);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        send_json_metric(&b, cases[i].metric);
        assert_string_equal(b.text, cases[i].message);
    }
    put_otlp_gauge(&body, "shop", "queue.length", 5, 3);
    send(&b, INGEST_OTLP, "", buf_str(&body));
    fared(&b, 0, 1, "1: older than the retention; metric \"queue.length\" of service \"shop\"");
    stored(&b, "");
    bench_close(&b);
}

#define LATER "\"timeUnixNano\":\"1700000010000000000\","
/* Collectors send such a point without counts, often without bounds and sum. */
static void a_histogram_without_a_recorded_value_ends_all_of_its_series(void **state) {
    (void)state;
    static const char *const ends[] = {"\"flags\":1", "\"flags\":1,\"explicitBounds\":[1,2]",
                                       "\"flags\":1,\"explicitBounds\":[1,2],\"bucketCounts\":[0,0,0],\"sum\":0"};
    for (size_t i = 0; i < LENGTH(ends); i++) {
        struct bench b;
        AUTO_BUF struct buf text;
        buf_init(&text, MIB);
        bench_open(&b);
        send_json_metric(&b, "{\"name\":\"h\",\"histogram\":{\"aggregationTemporality\":2,\"dataPoints\":[{" AT
                             "\"count\":3,\"sum\":4,\"explicitBounds\":[1,2],\"bucketCounts\":[1,1,1]}]}}");
        fared(&b, 1, 0, "");
        buf_add_fmt(&text,
                    "{\"name\":\"h\",\"histogram\":{\"aggregationTemporality\":2,\"dataPoints\":[{" LATER "%s}]}}",
                    ends[i]);
        send_json_metric(&b, text.p);
        fared(&b, 1, 0, "");
        assert_int_equal(b.outcome.samples, 5);
#define ENDED "@" NOW " bits:7ff0000000000002@1700000010000\n"
        stored(&b, "h_bucket{le=\"+Inf\"} 3" ENDED "h_bucket{le=\"1\"} 1" ENDED "h_bucket{le=\"2\"} 2" ENDED
                   "h_count 3" ENDED "h_sum 4" ENDED);
        bench_close(&b);
    }
    struct bench b;
    bench_open(&b); /* one that nobody knows says what it can */
    send_json_metric(&b, "{\"name\":\"h\",\"histogram\":{\"aggregationTemporality\":2,\"dataPoints\":[{" AT
                         "\"flags\":1,\"explicitBounds\":[1]}]}}");
    fared(&b, 1, 0, "");
    assert_int_equal(b.outcome.samples, 3);
    send_json_metric(&b, "{\"name\":\"s\",\"summary\":{\"dataPoints\":[{" AT
                         "\"count\":3,\"sum\":4.5,\"quantileValues\":[{\"quantile\":0.5,\"value\":1}]}]}}");
    send_json_metric(&b, "{\"name\":\"s\",\"summary\":{\"dataPoints\":[{" LATER "\"flags\":1}]}}");
    fared(&b, 1, 0, "");
    assert_int_equal(b.outcome.samples, 3);
    bench_close(&b);
}

static void a_bad_delta_does_not_spoil_its_sum(void **state) {
    (void)state;
    static const struct {
        const char *value;
        bool bad;
    } deltas[] = {{"5", false}, {"\"NaN\"", true}, {"-3", true}, {"\"Infinity\"", true}, {"\"-Infinity\"", true},
                  {"0", false}, {"2", false}};
    struct bench b;
    struct store_options options;
    bench_options(&options);
    struct translation translation = translation_default;
    translation.deltas = true;
    options.series.translation = &translation;
    open_with(&b, &options, 1 << 30, 0, NULL);
    for (size_t i = 0; i < LENGTH(deltas); i++) {
        AUTO_BUF struct buf text;
        buf_init(&text, MIB);
        buf_add_fmt(&text,
                    "{\"name\":\"c\",\"sum\":{\"aggregationTemporality\":1,\"isMonotonic\":true,\"dataPoints\":[{"
                    "\"timeUnixNano\":\"170000000%zu000000000\",\"asDouble\":%s}]}}",
                    i, deltas[i].value);
        send_json_metric(&b, text.p);
        fared(&b, !deltas[i].bad, deltas[i].bad,
              deltas[i].bad ? "1: a delta of a counter that is negative or not a finite number; metric \"c\"" : "");
        assert_int_equal(b.outcome.rejected_by[REASON_TRANSLATION + TRANSLATE_BAD_VALUE], deltas[i].bad);
    }
    stored(&b, "c_total 5@1700000000000 5@1700000005000 7@1700000006000\n");
    bench_close(&b);
}

/* ---- labels ----------------------------------------------------------------------------------------------------- */

static void bad_labels_cost_only_their_own_series(void **state) {
    (void)state;
    static const struct {
        const char *line, *message;
    } cases[] = {
        {" a=1 9@" NOW " 9@1699999999000", "2: labels that are not allowed; no label __name__, the name of the metric"},
        {"bad a=1 a=2 9@" NOW, "1: labels that are not allowed; a label name twice"},
        {"bad a=1 a=1 9@" NOW, "1: labels that are not allowed; a label name twice"},
        {"bad =1 9@" NOW, "1: labels that are not allowed; a label without a name"},
        {"bad a=\xff 9@" NOW, "1: labels that are not allowed; a label value that is not UTF-8"},
        {"bad a\xc0\x80=1 9@" NOW, "1: labels that are not allowed; a label name that is not UTF-8"},
    };
    for (int version = 1; version <= 2; version++)
        for (size_t i = 0; i < LENGTH(cases); i++) {
            struct bench b;
            AUTO_BUF struct buf lines;
            buf_init(&lines, MIB);
            bench_open(&b);
            buf_add_fmt(&lines, "good x=1 1@" NOW "\n%s\ngood x=2 z= y.\xc3\xa4=\xf0\x9f\x99\x82 2@" NOW "\n",
                        cases[i].line);
            send_write(&b, version, lines.p);
            fared(&b, 2, i == 0 ? 2 : 1, cases[i].message);
            stored(&b, "good{x=\"1\"} 1@" NOW "\ngood{x=\"2\",y.\xc3\xa4=\"\xf0\x9f\x99\x82\"} 2@" NOW "\n");
            bench_close(&b);
        }
}

/* n labels beside the name, in one series, then one that is good. */
static void put_many_labels(struct buf *lines, uint32_t n) {
    buf_add_text(lines, "many");
    for (uint32_t i = 0; i < n; i++) buf_add_fmt(lines, " l%u=v%u", i, i);
    buf_add_text(lines, " 1@" NOW "\ngood 2@" NOW "\n");
}

static void a_hundred_thousand_labels_are_refused(void **state) {
    (void)state;
    static const uint32_t counts[] = {64, 257, 1024, 1025, 100000};
    for (int version = 1; version <= 2; version++)
        for (size_t i = 0; i < LENGTH(counts); i++) {
            struct bench b;
            AUTO_BUF struct buf lines;
            buf_init(&lines, 64 * MIB);
            bench_open(&b);
            put_many_labels(&lines, counts[i]);
            send_write(&b, version, lines.p);
            if (version == 2 && counts[i] == 100000) { /* references say more than a series may */
                assert_true(b.failed ? b.kind == ERR_LIMIT : b.outcome.rejected == 1);
            } else {
                assert_false(b.failed);
                assert_int_equal(b.outcome.taken, 1);
                assert_int_equal(b.outcome.rejected, 1);
                stored(&b, "good 2@" NOW "\n");
            }
            bench_close(&b);
        }
}

static void a_hundred_thousand_attributes_are_refused(void **state) {
    (void)state;
    struct bench b;
    AUTO_BUF struct buf any, entry, point, gauge, metric, scope, all, body;
    struct buf *const parts[] = {&any, &entry, &point, &gauge, &metric, &scope, &all, &body};
    char key[16];
    for (size_t i = 0; i < LENGTH(parts); i++) buf_init(parts[i], 64 * MIB);
    put_wire_fixed64(&point, 3, (uint64_t)NOW_MS * 1000000);
    put_wire_fixed64(&point, 4, 0);
    for (int i = 0; i < 100000; i++) {
        buf_clear(&any);
        buf_clear(&entry);
        snprintf(key, sizeof key, "k%d", i);
        put_wire_bytes(&any, 1, STR("v"));
        put_wire_bytes(&entry, 1, str_of(key));
        put_wire_bytes(&entry, 2, buf_str(&any));
        put_wire_bytes(&point, 7, buf_str(&entry));
    }
    put_wire_bytes(&gauge, 1, buf_str(&point));
    put_wire_bytes(&metric, 1, STR("m"));
    put_wire_bytes(&metric, 5, buf_str(&gauge));
    put_wire_bytes(&scope, 2, buf_str(&metric));
    put_wire_bytes(&all, 2, buf_str(&scope));
    put_wire_bytes(&body, 1, buf_str(&all));
    bench_open(&b);
    send(&b, INGEST_OTLP, "", buf_str(&body));
    fared(&b, 0, 1, "1: too many labels; metric \"m\"");
    stored(&b, "");
    bench_close(&b);
}

static void put_repeated(struct buf *out, char c, size_t n) {
    for (size_t i = 0; i < n; i++) buf_add_byte(out, c);
}

static void names_and_values_at_and_over_their_limits(void **state) {
    (void)state;
    static const struct {
        size_t metric, name, value;
        bool taken;
    } cases[] = {
        {LABEL_VALUE_BYTES_MAX, 1, 1, true},
        {LABEL_VALUE_BYTES_MAX + 1, 1, 1, false},
        {1, LABEL_NAME_BYTES_MAX, 1, true},
        {1, LABEL_NAME_BYTES_MAX + 1, 1, false},
        {1, 1, LABEL_VALUE_BYTES_MAX, true},
        {1, 1, LABEL_VALUE_BYTES_MAX + 1, false},
        {1, 1, 17 << 20, false},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct bench b;
        AUTO_BUF struct buf lines;
        buf_init(&lines, 64 * MIB);
        bench_open(&b);
        put_repeated(&lines, 'm', cases[i].metric);
        buf_add_byte(&lines, ' ');
        put_repeated(&lines, 'n', cases[i].name);
        buf_add_byte(&lines, '=');
        put_repeated(&lines, 'v', cases[i].value);
        buf_add_text(&lines, " 1@" NOW "\ngood 2@" NOW "\n");
        send_write(&b, 1, lines.p);
        if (b.failed || b.outcome.taken != 1u + cases[i].taken) fail_msg("case %zu: %s", i, b.text);
        assert_int_equal(b.outcome.rejected, !cases[i].taken);
        uint64_t for_labels = b.outcome.rejected_by[REASON_BAD_LABELS] + b.outcome.rejected_by[REASON_OVER_LIMIT];
        if (for_labels != !cases[i].taken) fail_msg("case %zu: %s", i, b.text);
        if (!cases[i].taken) assert_non_null(strstr(b.text, "label"));
        bench_close(&b);
    }
}

static void limits_of_series_name_the_offender(void **state) {
    (void)state;
    struct bench b;
    struct store_options options;
    AUTO_BUF struct buf lines;
    buf_init(&lines, MIB);
    bench_options(&options);
    options.series.series_max = 50;
    options.series.labels_max = 4;
    open_with(&b, &options, 1 << 30, 0, NULL);
    for (int i = 0; i < 60; i++) buf_add_fmt(&lines, "requests path=p%d 1@" NOW "\n", i);
    send_write(&b, 1, lines.p);
    assert_false(b.failed);
    assert_int_equal(b.outcome.taken, 50);
    assert_int_equal(b.outcome.rejected, 10);
    assert_int_equal(b.outcome.rejected_by[REASON_OVER_LIMIT], 10);
    assert_non_null(strstr(b.text, "requests"));
    assert_non_null(strstr(b.text, "path"));
    send_write(&b, 1, "requests path=p1 2@1700000001000\n"); /* one that is there goes on */
    fared(&b, 1, 0, "");
    bench_close(&b);
}

/* ---- histograms ------------------------------------------------------------------------------------------------- */

/* A Histogram of remote write: schema, one span of `length` buckets with these deltas, a count. */
static void put_native(struct buf *out, int version, int32_t schema, uint32_t length, const int *deltas, size_t n,
                       uint64_t count) {
    AUTO_BUF struct buf span, histogram, label, series, packed, symbols;
    struct buf *const parts[] = {&span, &histogram, &label, &series, &packed, &symbols};
    for (size_t i = 0; i < LENGTH(parts); i++) buf_init(parts[i], MIB);
    put_wire_varint(&histogram, 1, count);
    put_wire_fixed64(&histogram, 3, 0x4045000000000000);                                /* sum 42 */
    put_wire_varint(&histogram, 4, ((uint32_t)schema << 1 ^ (uint32_t)(schema >> 31))); /* zigzag */
    put_wire_varint(&span, 2, length);
    put_wire_bytes(&histogram, 11, buf_str(&span));
    for (size_t i = 0; i < n; i++)
        buf_add_byte(&packed, (char)((uint32_t)deltas[i] << 1 ^ (uint32_t)(deltas[i] >> 31)));
    put_wire_bytes(&histogram, 12, buf_str(&packed));
    put_wire_varint(&histogram, 15, NOW_MS);
    if (version == 1) {
        put_wire_bytes(&label, 1, STR("__name__"));
        put_wire_bytes(&label, 2, STR("h"));
        put_wire_bytes(&series, 1, buf_str(&label));
        put_wire_bytes(&series, 4, buf_str(&histogram));
        put_wire_bytes(out, 1, buf_str(&series));
        return;
    }
    put_wire_bytes(out, 4, STR(""));
    put_wire_bytes(out, 4, STR("__name__"));
    put_wire_bytes(out, 4, STR("h"));
    put_wire_bytes(&series, 1, STR("\1\2"));
    put_wire_bytes(&series, 3, buf_str(&histogram));
    put_wire_bytes(out, 5, buf_str(&series));
}

static void histograms_that_lie_are_refused(void **state) {
    (void)state;
    static const struct {
        int32_t schema;
        uint32_t length;
        int deltas[3];
        size_t n;
        uint64_t count;
        bool good;
    } cases[] = {
        {3, 3, {1, 1, -1}, 3, 4, true},    {8, 3, {1, 0, 0}, 3, 3, true},    {-4, 1, {2}, 1, 2, true},
        {9, 3, {1, 1, -1}, 3, 4, false},   {-5, 3, {1, 1, -1}, 3, 4, false}, {3, 4, {1, 1, -1}, 3, 4, false},
        {3, 2, {1, 1, -1}, 3, 4, false},   {3, 3, {1, -2, 1}, 3, 1, false},  {3, 3, {1, 1, -1}, 3, 3, false},
        {-53, 3, {1, 1, -1}, 3, 4, false}, {127, 1, {1}, 1, 1, false},       {3, UINT32_MAX, {1}, 1, 1, false},
    };
    for (int version = 1; version <= 2; version++)
        for (size_t i = 0; i < LENGTH(cases); i++) {
            struct bench b;
            AUTO_BUF struct buf plain, packed;
            buf_init(&plain, MIB);
            buf_init(&packed, MIB);
            bench_open(&b);
            put_native(&plain, version, cases[i].schema, cases[i].length, cases[i].deltas, cases[i].n, cases[i].count);
            snappy_block_write(buf_str(&plain), &packed);
            send(&b, version == 1 ? INGEST_WRITE_1 : INGEST_WRITE_2, "snappy", buf_str(&packed));
            if (b.failed) fail_msg("case %zu: %s", i, b.text);
            assert_int_equal(b.outcome.taken, cases[i].good);
            assert_int_equal(b.outcome.histograms, cases[i].good);
            assert_int_equal(b.outcome.samples, 0);
            assert_int_equal(b.outcome.rejected_by[REASON_BAD_HISTOGRAM], !cases[i].good);
            stored(&b, cases[i].good ? "h histogram@" NOW "\n" : "");
            bench_close(&b);
        }
}

/* ---- bodies that lie -------------------------------------------------------------------------------------------- */

static void put_varint(struct buf *b, uint64_t v) {
    for (; v >= 0x80; v >>= 7) buf_add_byte(b, (char)(v | 0x80));
    buf_add_byte(b, (char)v);
}

static void snappy_that_is_none_is_refused(void **state) {
    (void)state;
    struct bench b;
    AUTO_BUF struct buf plain, packed, framed;
    buf_init(&plain, MIB);
    buf_init(&packed, MIB);
    buf_init(&framed, MIB);
    bench_open(&b);
    put_write_request(1, "m a=1 1@" NOW "\nm a=2 2@" NOW "\n", &plain);
    snappy_block_write(buf_str(&plain), &packed);
    struct str whole = buf_str(&packed);
    for (size_t n = 0; n < whole.n; n++) {
        send(&b, INGEST_WRITE_1, "snappy", (struct str){whole.p, n});
        failed(&b, ERR_INVALID, "snappy");
    }
    send(&b, INGEST_WRITE_1, "snappy", buf_str(&plain)); /* not packed at all */
    assert_true(b.failed);
    buf_add(&framed, "\xff\x06\x00\x00sNaPpY\x01", 11); /* the format of streams */
    buf_add_str(&framed, whole);
    send(&b, INGEST_WRITE_1, "snappy", buf_str(&framed));
    failed(&b, ERR_INVALID, "snappy");
    send(&b, INGEST_WRITE_2, "snappy", whole);
    failed(&b, ERR_INVALID, "remote write 1.0");
    stored(&b, "");
    bench_close(&b);
}

static void every_prefix_of_a_request_is_harmless(void **state) {
    (void)state;
    for (int version = 1; version <= 2; version++) {
        struct bench b;
        AUTO_BUF struct buf plain, packed;
        buf_init(&plain, MIB);
        buf_init(&packed, MIB);
        bench_open(&b);
        put_write_request(version, "m a=1 b=c 1@" NOW " 2@1700000001000\n", &plain);
        for (size_t n = 1; n < plain.n; n++) {
            buf_clear(&packed);
            snappy_block_write((struct str){plain.p, n}, &packed);
            send(&b, version == 1 ? INGEST_WRITE_1 : INGEST_WRITE_2, "snappy", buf_str(&packed));
            if (version == 1) failed(&b, ERR_INVALID, "");
        }
        stored(&b, "");
        bench_close(&b);
    }
}

static void snappy_bombs_cost_no_memory(void **state) {
    (void)state;
    static const uint64_t stated[] = {1 << 20, 63 << 20, 65 << 20, UINT32_MAX};
    for (size_t i = 0; i < LENGTH(stated); i++) {
        struct bench b;
        struct store_options options;
        AUTO_BUF struct buf body;
        buf_init(&body, MIB);
        bench_options(&options);
        open_with(&b, &options, 1 << 30, 0, NULL);
        put_varint(&body, stated[i]);
        put_repeated(&body, '\xfe', 1000); /* copies of what is not there */
        send(&b, INGEST_WRITE_1, "snappy", buf_str(&body));
        failed(&b, stated[i] > 64 << 20 ? ERR_LIMIT : ERR_INVALID, "");
        /* no more than the block's bytes can hold, 64 each, and what the whole limit is drawn for if they lie */
        assert_true(atomic_load(&b.budget.peak_bytes) - b.base_bytes <= 64 << 20);
        bench_close(&b);
    }
}

/* A real bomb: 60 MiB of one repeated sample in 3 MiB; what it means is under the limits, what it takes is drawn from the budget. */
static void a_real_bomb_is_over_the_budget(void **state) {
    (void)state;
    struct bench b;
    struct store_options options;
    AUTO_BUF struct buf plain, packed;
    buf_init(&plain, 64 * MIB);
    buf_init(&packed, 128 * MIB);
    buf_reserve(&plain, 60 * MIB);
    memset(plain.p, 0, 60 * MIB);
    plain.n = 60 * MIB;
    snappy_block_write(buf_str(&plain), &packed);
    bench_options(&options);
    open_with(&b, &options, 16 * MIB, 0, NULL);
    send(&b, INGEST_WRITE_1, "snappy", buf_str(&packed));
    failed(&b, ERR_BUSY, "");
    assert_true(atomic_load(&b.budget.peak_bytes) - b.base_bytes <= 16 * MIB);
    bench_close(&b);
    open_with(&b, &options, 1 << 30, MIB, NULL);
    send(&b, INGEST_WRITE_1, "snappy", buf_str(&packed));
    failed(&b, ERR_LIMIT, "the body is larger than 1 MiB");
    bench_close(&b);
}

static void a_block_that_unpacks_to_much_is_not_small(void **state) {
    (void)state;
    struct bench b;
    AUTO_BUF struct buf plain, packed;
    buf_init(&plain, 4 * MIB);
    buf_init(&packed, 4 * MIB);
    while (plain.n < 3 * MIB) buf_add_str(&plain, STR("\x0a\x00"));
    snappy_block_write(buf_str(&plain), &packed);
    bench_open(&b);
    struct ingest_request request = {.tenant = STR("default"),
                                     .kind = INGEST_METRICS,
                                     .format = INGEST_WRITE_1,
                                     .encoding = STR("snappy"),
                                     .body = buf_str(&packed)};
    assert_true(packed.n < MIB);
    assert_false(ingest_body_if_small(b.ingest, &request, on_done, &b));
    assert_int_equal(b.calls, 0);
    assert_int_equal(budget_used(&b.budget), b.base_bytes);
    bench_close(&b);
}

/* What a body takes of the budget is what it states, however large a body may be; so it fits where little is left. */
static void an_honest_block_takes_what_it_states(void **state) {
    (void)state;
    for (int version = 1; version <= 2; version++) {
        struct bench b;
        struct store_options options;
        AUTO_BUF struct buf plain, packed;
        buf_init(&plain, MIB);
        buf_init(&packed, MIB);
        put_write_request(version, "up job=a 1@" NOW "\n", &plain);
        snappy_block_write(buf_str(&plain), &packed);
        bench_options(&options);
        open_with(&b, &options, 1 << 30, 0, NULL);
        struct ingest_request request = {.tenant = STR("default"),
                                         .kind = INGEST_METRICS,
                                         .format = version == 1 ? INGEST_WRITE_1 : INGEST_WRITE_2,
                                         .encoding = STR("snappy"),
                                         .body = buf_str(&packed)};
        assert_true(ingest_body_if_small(b.ingest, &request, on_done, &b));
        while (store_pump(b.store, 0)) {}
        fared(&b, 1, 0, "");
        uint64_t slack = b.budget.limit_bytes / 8; /* that the store asks for beside, for a moment */
        assert_in_range(atomic_load(&b.budget.peak_bytes) - b.base_bytes - slack, 1, 2 * MIB);
        b.budget.limit_bytes = (budget_used(&b.budget) + 2 * MIB) / 7 * 8;
        send_write(&b, version, "up job=a 2@1700000001000\n");
        fared(&b, 1, 0, "");
        stored(&b, "up{job=\"a\"} 1@" NOW " 2@1700000001000\n");
        bench_close(&b);
    }
}

static void text_is_taken_whole_or_not_at_all(void **state) {
    (void)state;
    struct bench b;
    struct ingest_stats s;
    bench_open(&b);
    send_text(&b, "ok 1\nup{a=\"b\" 1\n");
    failed(&b, ERR_INVALID, "line 2, column 10: expected , or }");
    send(&b, INGEST_OPENMETRICS, "", STR("ok 1\n"));
    failed(&b, ERR_INVALID, "# EOF");
    stored(&b, "");
    ingest_get_stats(b.ingest, &s);
    assert_int_equal(s.failed[INGEST_METRICS][ERR_INVALID], 2);
    bench_close(&b);
}

/* ---- redaction -------------------------------------------------------------------------------------------------- */

static void rules_reach_labels_before_the_log(void **state) {
    (void)state;
    struct bench b;
    struct store_options options;
    struct redact_rules *rules;
    struct ingest_stats s;
    assert_null(redact_rules_parse(STR("redact:\n  - do: mask\n    key: user*\n    in: [point]\n"
                                       "  - do: drop\n    key: card\n"),
                                   "test", &rules));
    bench_options(&options);
    open_with(&b, &options, 1 << 30, 0, rules);
    send_write(&b, 1, "m user=ann card=4111 x=1 1@" NOW "\n");
    fared(&b, 1, 0, "");
    stored(&b, "m{user=\"[redacted]\",x=\"1\"} 1@" NOW "\n");
    ingest_get_stats(b.ingest, &s);
    assert_int_equal(s.redacted.changed[0], 1);
    assert_int_equal(s.redacted.changed[1], 1);
    struct ingest_request request = {.tenant = STR("default"), .kind = INGEST_METRICS, .format = INGEST_TEXT};
    assert_false(ingest_body_if_small(b.ingest, &request, on_done, &b)); /* patterns may take long */
    bench_close(&b);
    redact_rules_free(rules);
}

static void every_reason_has_a_name_and_a_text(void **state) {
    (void)state;
    for (int i = 0; i < INGEST_REASONS; i++) {
        assert_non_null(ingest_reasons[i].name);
        assert_non_null(*ingest_reasons[i].text);
        assert_true(ingest_reasons[i].kinds);
        for (int k = 0; k < i; k++) assert_string_not_equal(ingest_reasons[i].name, ingest_reasons[k].name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_comes_to_series),
        cmocka_unit_test(nothing_is_a_success),
        cmocka_unit_test(labels_of_an_import_are_put_on_all),
        cmocka_unit_test(duplicates_and_conflicts_are_told_apart),
        cmocka_unit_test(samples_out_of_order_are_taken_within_the_window),
        cmocka_unit_test(times_outside_the_retention_are_refused),
        cmocka_unit_test(times_of_any_age_are_taken_without_retention),
        cmocka_unit_test(a_leap_second_is_a_time_twice),
        cmocka_unit_test(nan_payloads_and_infinities_are_kept),
        cmocka_unit_test(what_cannot_be_a_series_is_told_by_reason),
        cmocka_unit_test(points_of_otlp_become_samples_or_conflicts),
        cmocka_unit_test(a_refusal_names_whose_point_it_was),
        cmocka_unit_test(a_histogram_without_a_recorded_value_ends_all_of_its_series),
        cmocka_unit_test(a_bad_delta_does_not_spoil_its_sum),
        cmocka_unit_test(bad_labels_cost_only_their_own_series),
        cmocka_unit_test(a_hundred_thousand_labels_are_refused),
        cmocka_unit_test(a_hundred_thousand_attributes_are_refused),
        cmocka_unit_test(names_and_values_at_and_over_their_limits),
        cmocka_unit_test(limits_of_series_name_the_offender),
        cmocka_unit_test(histograms_that_lie_are_refused),
        cmocka_unit_test(snappy_that_is_none_is_refused),
        cmocka_unit_test(every_prefix_of_a_request_is_harmless),
        cmocka_unit_test(snappy_bombs_cost_no_memory),
        cmocka_unit_test(a_real_bomb_is_over_the_budget),
        cmocka_unit_test(a_block_that_unpacks_to_much_is_not_small),
        cmocka_unit_test(an_honest_block_takes_what_it_states),
        cmocka_unit_test(text_is_taken_whole_or_not_at_all),
        cmocka_unit_test(rules_reach_labels_before_the_log),
        cmocka_unit_test(every_reason_has_a_name_and_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
