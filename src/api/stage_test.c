#include "api/stage_test_priv.h"

#include "ingest/ingest.h"
#include "ingest/live.h"
#include "ingest/rollup/rollup.h"
#include "os/clock.h"
#include "signal/batch_build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

int64_t stage_later_ns;
bool stage_rolls;
int64_t stage_now(void) { return STAGE_NOW_NS + stage_later_ns; }

void stage_open(struct stage *s) { stage_open_as(s, NULL, NULL, NULL); }

static void stage_open_records(struct stage *s, const char *dir) {
    char path[128];
    snprintf(path, sizeof path, "%s/records.db", dir);
    assert_null(db_open(&(struct db_options){.path = path, .wall_ns = stage_now}, &s->db));
    assert_null(catalog_new(s->db, stage_now, &s->catalog));
}

void stage_open_as(struct stage *s, const char *dir, const char *tokens, const char *limits) {
    struct store_options store;
    struct api_options options;
    *s = (struct stage){0};
    buf_init(&s->body, 64 * MIB);
    budget_init(&s->budget, 1 << 30);
    store_options_default(&store);
    store.wall_ns = stage_now;
    if (stage_rolls) store.rollup = rollup_of_spans();
    s->store = store_model_open(&store);
    s->live = live_new(64, &s->budget);
    s->correlate = correlate_rules_new();
    s->ingest = ingest_new(&(struct ingest_options){.store = s->store,
                                                    .budget = &s->budget,
                                                    .live = s->live,
                                                    .correlate = s->correlate,
                                                    .wall_ns = stage_now});
    api_options_default(&options);
    options.store = s->store;
    options.ingest = s->ingest;
    options.live = s->live;
    options.budget = &s->budget;
    options.work_threads = 0;
    options.wall_ns = stage_now;
    options.dir = dir;
    if (dir) stage_open_records(s, dir);
    options.catalog = s->catalog;
    options.tokens = str_of(tokens);
    options.limits = str_of(limits);
    assert_null(api_new(&options, &s->api));
}

static void stage_streams_done(struct stage *s) {
    for (size_t i = 0; i < s->stream_count; i++) {
        assert_true(s->streams[i].ended);
        buf_done(&s->streams[i].text);
    }
    s->stream_count = 0;
}

void stage_close(struct stage *s) {
    api_free(s->api);
    ingest_free(s->ingest);
    correlate_rules_free(s->correlate);
    live_free(s->live);
    stage_streams_done(s);
    assert_null(store_close(s->store));
    catalog_free(s->catalog);
    db_close(s->db);
    assert_int_equal(budget_used(&s->budget), 0);
    buf_done(&s->body);
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

static void put_text(char *out, size_t size, struct str s) {
    assert_true(s.n < size);
    if (s.n) memcpy(out, s.p, s.n);
    out[s.n] = 0;
}

static void on_reply(void *context, const struct api_reply *reply) {
    struct stage *s = context;
    s->replies++;
    s->status = reply->status;
    put_text(s->content_type, sizeof s->content_type, reply->content_type);
    struct buf fields;
    buf_init(&fields, sizeof s->fields - 1);
    for (size_t i = 0; i < reply->field_count; i++)
        buf_add_fmt(&fields, STR_FMT ": " STR_FMT "\n", STR_ARG(reply->fields[i].name),
                    STR_ARG(reply->fields[i].value));
    for (size_t i = 0; i < reply->trailer_count; i++)
        buf_add_fmt(&fields, "trailer " STR_FMT ": " STR_FMT "\n", STR_ARG(reply->trailers[i].name),
                    STR_ARG(reply->trailers[i].value));
    put_text(s->fields, sizeof s->fields, buf_str(&fields));
    buf_done(&fields);
    buf_clear(&s->body);
    buf_add_str(&s->body, reply->body);
    buf_add_byte(&s->body, 0);
    s->body.n--;
}

/* ---- answers in pieces ------------------------------------------------------------------------------------------ */

static struct http_stream *stream_begin(void *context, const struct api_reply *head, size_t held_max) {
    struct stage *s = context;
    assert_true(s->stream_count < STAGE_STREAMS_MAX);
    struct http_stream *stream = &s->streams[s->stream_count++];
    *stream = (struct http_stream){.stage = s, .room = held_max};
    buf_init(&stream->text, 64 * MIB);
    on_reply(context, head);
    return stream;
}

static enum http_stream_state stream_write(struct http_stream *s, struct str bytes) {
    assert_false(s->ended);
    if (s->gone) return HTTP_STREAM_GONE;
    if (bytes.n > s->room) return HTTP_STREAM_SLOW;
    s->room -= bytes.n;
    buf_add_str(&s->text, bytes);
    return HTTP_STREAM_OK;
}

static bool stream_is_gone(struct http_stream *s) { return s->gone; }

static void stream_end(struct http_stream *s, const struct http_field *trailers, size_t n) {
    (void)trailers;
    assert_true(n == 0 && !s->ended);
    s->ended = true;
}

static const struct api_stream_door streams = {stream_begin, stream_write, stream_is_gone, stream_end};

/* The one stream of this request: its first turn is the body. */
static void end_stream(struct stage *s) {
    if (s->keeps_streams || s->stream_count == 0) return;
    tails_run(s->api->tails, clock_monotonic_ns());
    s->streams[0].gone = true;
    tails_run(s->api->tails, clock_monotonic_ns());
    buf_add_str(&s->body, buf_str(&s->streams[0].text));
    buf_add_byte(&s->body, 0);
    s->body.n--;
    stage_streams_done(s);
}

int stage_send(struct stage *s, enum api_port port, const char *request, const char *content_type,
               const char *content_encoding, struct str body) {
    struct str method, target;
    s->replies = 0;
    assert_true(str_cut(str_of(request), ' ', &method, &target));
    static const struct {
        const char *name;
        enum http_method method;
    } methods[] = {{"GET", HTTP_GET}, {"HEAD", HTTP_HEAD},     {"POST", HTTP_POST},
                   {"PUT", HTTP_PUT}, {"DELETE", HTTP_DELETE}, {"OPTIONS", HTTP_OPTIONS}};
    struct api_request r = {.port = port,
                            .method = HTTP_OTHER,
                            .method_text = method,
                            .target = target,
                            .content_type = str_of(content_type),
                            .content_encoding = str_of(content_encoding),
                            .has_content_type = content_type != NULL,
                            .credentials = s->credentials,
                            .is_tls = s->is_tls,
                            .body_is_left = s->body_is_left,
                            .body = body,
                            .if_match = str_of(s->if_match),
                            .if_none_match = str_of(s->if_none_match),
                            .reply = on_reply,
                            .streams = &streams,
                            .context = s};
    for (size_t i = 0; i < LENGTH(methods); i++)
        if (str_equal(method, str_of(methods[i].name))) r.method = methods[i].method;
    r.credentials.unsafe = r.method != HTTP_GET && r.method != HTTP_HEAD;
    api_serve(s->api, &r);
    assert_int_equal(s->replies, 1);
    end_stream(s);
    return s->status;
}

int stage_call(struct stage *s, const char *path, const char *encoding, const char *timeout, struct str body) {
    s->replies = 0;
    api_serve(s->api, &(struct api_request){.port = API_PORT_OTLP,
                                            .method = HTTP_POST,
                                            .method_text = STR("POST"),
                                            .target = str_of(path),
                                            .content_type = STR("application/grpc"),
                                            .has_content_type = true,
                                            .is_h2 = true,
                                            .grpc_encoding = str_of(encoding),
                                            .grpc_timeout = str_of(timeout),
                                            .body = body,
                                            .reply = on_reply,
                                            .context = s});
    assert_int_equal(s->replies, 1);
    assert_int_equal(s->status, 200);
    const char *at = strstr(s->fields, "grpc-status: ");
    assert_non_null(at);
    at += strlen("grpc-status: ");
    return at[1] >= '0' && at[1] <= '9' ? 10 + at[1] - '0' : at[0] - '0';
}

int stage_ask(struct stage *s, const char *request) {
    return stage_send(s, API_PORT_MAIN, request, NULL, NULL, STR(""));
}

const char *stage_body(const struct stage *s) { return s->body.p; }

/* ---- the data set ----------------------------------------------------------------------------------------------- */

enum { KEYS_MAX = 16 };

struct attributes {
    struct batch_builder *b;
    uint32_t keys[KEYS_MAX], n, first;
};

static struct attributes begin(struct batch_builder *b) {
    return (struct attributes){.b = b, .first = (uint32_t)b->slots.n};
}
static void add(struct attributes *a, const char *name, enum value_type type, uint64_t value) {
    a->keys[a->n++] = batch_builder_key(a->b, str_of(name), type);
    *vec_push(&a->b->slots) = value;
}
static void add_text(struct attributes *a, const char *name, const char *text) {
    add(a, name, VALUE_STRING, strings_intern(&a->b->strings, str_of(text)));
}
static void add_double(struct attributes *a, const char *name, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    add(a, name, VALUE_DOUBLE, bits);
}
static void end(struct attributes *a, enum set set, uint32_t row) {
    batch_builder_attributes(a->b, set, row, a->keys, a->n, a->first);
}
static void set_text(struct batch_builder *b, enum set set, enum field f, uint32_t row, const char *text) {
    batch_builder_set_u32(b, set, f, row, strings_intern(&b->strings, str_of(text)));
}

static uint32_t put_resource(struct batch_builder *b, const char *service, const char *environment) {
    struct attributes a = begin(b);
    uint32_t row = batch_builder_row(b, SET_RESOURCES);
    if (service) add_text(&a, "service.name", service);
    if (service) add_text(&a, "service.namespace", "shop");
    if (environment) add_text(&a, "deployment.environment.name", environment);
    add_text(&a, "host.name", "web-1");
    end(&a, SET_RESOURCES, row);
    return row;
}

static uint32_t put_scope(struct batch_builder *b) {
    struct attributes a = begin(b);
    uint32_t row = batch_builder_row(b, SET_SCOPES);
    set_text(b, SET_SCOPES, FIELD_NAME, row, "io.example");
    set_text(b, SET_SCOPES, FIELD_VERSION, row, "1.2.3");
    set_text(b, SET_SCOPES, FIELD_SCHEMA_URL, row, "https://example.com/schema");
    end(&a, SET_SCOPES, row);
    return row;
}

static const unsigned char trace_1[16] = {0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd,
                                          0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c};
static const unsigned char trace_2[16] = {0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6,
                                          0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36};

static uint64_t id_of(unsigned char last) {
    unsigned char bytes[8] = {0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, last};
    uint64_t id;
    memcpy(&id, bytes, 8);
    return id;
}

struct span_row {
    const unsigned char *trace;
    unsigned char id, parent; /* 0: no parent */
    int64_t start_ms, duration_ns;
    uint32_t kind, status;
    const char *name;
    uint32_t resource;
};

static uint32_t put_span(struct batch_builder *b, const struct span_row *s) {
    uint32_t row = batch_builder_row(b, SET_ROWS);
    batch_builder_set_id16(b, SET_ROWS, FIELD_TRACE_ID, row, s->trace);
    batch_builder_set_u64(b, SET_ROWS, FIELD_SPAN_ID, row, id_of(s->id));
    if (s->parent) batch_builder_set_u64(b, SET_ROWS, FIELD_PARENT_ID, row, id_of(s->parent));
    batch_builder_set_u64(b, SET_ROWS, FIELD_TIME, row, (uint64_t)(STAGE_NOW_NS + s->start_ms * 1000000));
    batch_builder_set_u64(b, SET_ROWS, FIELD_DURATION, row, (uint64_t)s->duration_ns);
    batch_builder_set_u32(b, SET_ROWS, FIELD_KIND, row, s->kind);
    batch_builder_set_u32(b, SET_ROWS, FIELD_STATUS, row, s->status);
    batch_builder_set_u32(b, SET_ROWS, FIELD_RESOURCE, row, s->resource);
    set_text(b, SET_ROWS, FIELD_NAME, row, s->name);
    batch_builder_set_u32(b, SET_ROWS, FIELD_EVENT_END, row, b->sets[SET_EVENTS].n);
    batch_builder_set_u32(b, SET_ROWS, FIELD_LINK_END, row, b->sets[SET_LINKS].n);
    return row;
}

static void put_rich_attributes(struct batch_builder *b, uint32_t row) {
    struct attributes a = begin(b);
    add_text(&a, "http.method", "GET");
    add(&a, "http.status_code", VALUE_INT, 503);
    add(&a, "big", VALUE_INT, 9007199254740993);
    add_double(&a, "ratio", 0.25);
    add(&a, "cached", VALUE_BOOL, 0);
    add(&a, "bytes", VALUE_BYTES, strings_intern(&b->strings, str_span("\0\1\377", 3)));
    add_text(&a, "http.method", "a second value of one key");
    add_text(&a, "broken", "caf\xe9 </script>");
    end(&a, SET_ROWS, row);
}

static void put_event_and_link(struct batch_builder *b, uint32_t span) {
    struct attributes a = begin(b);
    uint32_t event = batch_builder_row(b, SET_EVENTS), link;
    batch_builder_set_u64(b, SET_EVENTS, FIELD_TIME, event, (uint64_t)(STAGE_NOW_NS - 9990 * (int64_t)1000000));
    set_text(b, SET_EVENTS, FIELD_NAME, event, "exception");
    add_text(&a, "exception.type", "TimeoutError");
    end(&a, SET_EVENTS, event);
    a = begin(b);
    link = batch_builder_row(b, SET_LINKS);
    batch_builder_set_id16(b, SET_LINKS, FIELD_TRACE_ID, link, trace_2);
    batch_builder_set_u64(b, SET_LINKS, FIELD_SPAN_ID, link, id_of(0x21));
    end(&a, SET_LINKS, link);
    batch_builder_set_u32(b, SET_ROWS, FIELD_EVENT_END, span, b->sets[SET_EVENTS].n);
    batch_builder_set_u32(b, SET_ROWS, FIELD_LINK_END, span, b->sets[SET_LINKS].n);
}

static void finish(struct batch_builder *b, struct buf *out) {
    struct batch view;
    struct batch_blob *blob = batch_builder_finish(b);
    batch_view(blob, &view);
    otlp_encode(&view, out);
    batch_unref(blob);
    batch_builder_done(b);
}

void stage_put_traces(struct buf *out) {
    struct batch_builder b;
    batch_builder_init(&b, SIGNAL_SPANS);
    put_scope(&b);
    uint32_t web = put_resource(&b, "web", "prod"), cart = put_resource(&b, "cart", "prod"),
             bare = put_resource(&b, NULL, NULL);
    const struct span_row rows[] = {
        {trace_1, 0x11, 0, -10000, 25000000, 2, 0, "GET /checkout", web},
        {trace_1, 0x12, 0x11, -9998, 20000000, 3, 2, "POST /cart", web},
        {trace_1, 0x13, 0x12, -9996, 12000000, 2, 2, "POST /cart", cart},
        {trace_1, 0x13, 0x12, -9996, 12000000, 2, 2, "POST /cart", cart}, /* sent twice */
        {trace_2, 0x21, 0x20, -5000, 1500, 5, 1, "consume order", bare},  /* its parent never came */
        {trace_2, 0x22, 0x21, -5000, 500, 9, 0, "odd kind", bare},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        uint32_t row = put_span(&b, &rows[i]);
        if (i == 1) {
            put_rich_attributes(&b, row);
            put_event_and_link(&b, row);
            set_text(&b, SET_ROWS, FIELD_STATUS_MESSAGE, row, "upstream timed out");
            set_text(&b, SET_ROWS, FIELD_TRACE_STATE, row, "vendor=1");
            batch_builder_set_u32(&b, SET_ROWS, FIELD_FLAGS, row, 257);
            batch_builder_set_u32(&b, SET_ROWS, FIELD_DROPPED_ATTRIBUTES, row, 2);
        }
    }
    finish(&b, out);
}

struct log_row {
    int64_t time_ms;
    uint32_t severity;
    const char *severity_text, *body;
    unsigned char span; /* of trace 1; 0: none */
};

void stage_put_logs(struct buf *out) {
    static const struct log_row rows[] = {
        {-9999, 9, "INFO", "checkout started for user 7", 0x11},
        {-9995, 17, "ERROR", "payment refused: card expired", 0x13},
        {-9995, 13, "WARN", "retrying payment", 0x13},
        {-4000, 0, "", "a line without severity", 0},
        {-3000, 21, "FATAL", "out of memory", 0},
    };
    struct batch_builder b;
    batch_builder_init(&b, SIGNAL_LOGS);
    put_scope(&b);
    uint32_t cart = put_resource(&b, "cart", "prod");
    for (size_t i = 0; i < LENGTH(rows); i++) {
        uint32_t row = batch_builder_row(&b, SET_ROWS);
        struct attributes a = begin(&b);
        int64_t time = STAGE_NOW_NS + rows[i].time_ms * 1000000;
        batch_builder_set_u64(&b, SET_ROWS, FIELD_TIME, row, (uint64_t)time);
        batch_builder_set_u64(&b, SET_ROWS, FIELD_OBSERVED, row, (uint64_t)time + i);
        batch_builder_set_u32(&b, SET_ROWS, FIELD_SEVERITY, row, rows[i].severity);
        set_text(&b, SET_ROWS, FIELD_SEVERITY_TEXT, row, rows[i].severity_text);
        set_text(&b, SET_ROWS, FIELD_BODY, row, rows[i].body);
        batch_builder_set_u32(&b, SET_ROWS, FIELD_BODY_TYPE, row, VALUE_STRING);
        batch_builder_set_u32(&b, SET_ROWS, FIELD_RESOURCE, row, cart);
        if (rows[i].span) batch_builder_set_id16(&b, SET_ROWS, FIELD_TRACE_ID, row, trace_1);
        if (rows[i].span) batch_builder_set_u64(&b, SET_ROWS, FIELD_SPAN_ID, row, id_of(rows[i].span));
        if (i == 1) add(&a, "attempt", VALUE_INT, 3);
        end(&a, SET_ROWS, row);
    }
    finish(&b, out);
}

void stage_fill(struct stage *s) {
    struct buf body;
    buf_init(&body, MIB);
    stage_put_traces(&body);
    assert_int_equal(stage_send(s, API_PORT_OTLP, "POST /v1/traces", "application/x-protobuf", NULL, buf_str(&body)),
                     200);
    buf_clear(&body);
    stage_put_logs(&body);
    assert_int_equal(stage_send(s, API_PORT_MAIN, "POST /otlp/v1/logs", "application/x-protobuf", NULL, buf_str(&body)),
                     200);
    buf_done(&body);
}

void stage_fill_series(struct stage *s) {
    struct buf text;
    buf_init(&text, MIB);
    for (int i = 0; i <= 40; i++) {
        long long ms = (long long)(STAGE_NOW_NS / 1000000 - (40 - i) * 15000);
        buf_add_fmt(&text,
                    "hits_total{route=\"/a\",job=\"web\"} %d %lld\nhits_total{route=\"/b\",job=\"web\"} %d %lld\n",
                    i * 15, ms, i * 30, ms);
        buf_add_fmt(&text,
                    "heat{room=\"x\"} %d.5 %lld\nsize_bucket{le=\"1\"} %d %lld\nsize_bucket{le=\"+Inf\"} %d %lld\n",
                    i % 7, ms, i, ms, 2 * i, ms);
    }
    assert_int_equal(stage_send(s, API_PORT_MAIN, "POST /api/v1/import", "text/plain", NULL, buf_str(&text)), 200);
    buf_done(&text);
}
