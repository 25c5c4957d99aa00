/* The OTLP endpoints: what of a request is taken, and how each outcome is said (OTLP specification 1.11, OTLP/HTTP). */
#include "api/api_priv.h"

#include "ingest/ingest.h"

static bool media_type_is(struct str content_type, struct str wanted) {
    struct str head, rest;
    str_cut(content_type, ';', &head, &rest);
    return str_equal_nocase(str_trim(head), wanted);
}

bool otlp_is_json(struct str content_type) { return media_type_is(content_type, STR("application/json")); }

struct str otlp_content_type(bool json) {
    return json ? STR("application/json") : STR("application/x-protobuf");
}

void otlp_put_status(bool json, int grpc_code, struct str message, struct buf *out) {
    struct json_writer w;
    json_writer_init(&w, out);
    if (json)
        otlp_write_status_json(grpc_code, message, &w);
    else
        otlp_write_status(grpc_code, message, out);
}

static const char type_hint[] =
    "send Content-Type: application/x-protobuf or application/json (exporter protocols http/protobuf, http/json)";

static bool encoding_is_taken(struct str encoding) {
    static const struct str taken[] = {STR(""), STR("gzip"), STR("zstd"), STR("identity")};
    for (size_t i = 0; i < LENGTH(taken); i++)
        if (str_equal_nocase(encoding, taken[i])) return true;
    return false;
}

/* True if the body can be read; else the call has ended with 415. */
static bool check_fields(struct api_call *c) {
    struct str type = c->request.content_type, encoding = str_trim(c->request.content_encoding), problem = {NULL, 0};
    struct str hint = str_of(type_hint);
    if (!c->request.has_content_type)
        problem = STR("the request has no Content-Type");
    else if (!otlp_is_json(type) && !media_type_is(type, STR("application/x-protobuf")))
        problem = STR("this Content-Type is not taken");
    if (!problem.p && !encoding_is_taken(encoding)) {
        bool is_list = str_find(encoding, ',') >= 0;
        problem = is_list ? STR("a list of Content-Encodings is not taken") : STR("this Content-Encoding is not taken");
        hint = STR("send gzip or zstd, or none");
    }
    if (!problem.p) return true;
    call_fail_as(c, 415, 3, ERR_INVALID, problem, hint, NULL);
    return false;
}

static enum signal signal_of(const struct api_call *c) {
    bool logs = c->route->handler == handle_otlp_logs || c->route->handler == handle_grpc_logs;
    return logs ? SIGNAL_LOGS : SIGNAL_SPANS;
}

static struct ingest_request request_of(const struct api_call *c) {
    return (struct ingest_request){.tenant = call_tenant(c),
                                   .signal = signal_of(c),
                                   .format = otlp_is_json(c->request.content_type) ? OTLP_JSON : OTLP_PROTOBUF,
                                   .encoding = str_trim(c->request.content_encoding),
                                   .body = c->request.body};
}

/* On the log thread, or on the caller's when nothing had to be stored. */
static void on_ingested(void *context, err e, const struct ingest_outcome *outcome) {
    struct api_call *c = context;
    health_note(c->api, !e || err_kind(e) != ERR_UNAVAILABLE);
    if (e) {
        call_fail(c, e);
        return;
    }
    struct buf body;
    limits_count_rows(c->api->limits, call_tenant(c), signal_of(c), outcome->taken, outcome->rejected);
    struct json_writer w;
    bool json = otlp_is_json(c->request.content_type);
    buf_init(&body, 4 * KIB);
    json_writer_init(&w, &body);
    if (json)
        otlp_write_response_json(signal_of(c), outcome->rejected, str_of(outcome->message), &w);
    else
        otlp_write_response(signal_of(c), outcome->rejected, str_of(outcome->message), &body);
    const struct api_reply reply = {.status = 200, .content_type = otlp_content_type(json), .body = buf_str(&body)};
    if (call_is_grpc(c))
        call_answer_grpc(c, buf_str(&body));
    else
        call_reply(c, &reply);
    buf_done(&body);
}

static void take_body(struct api_call *c) {
    if (call_is_late(c)) return;
    struct ingest_request request = request_of(c);
    ingest_body(c->api->options.ingest, &request, on_ingested, c);
}

void otlp_take(struct api_call *c) {
    struct ingest_request request = request_of(c);
    if (!ingest_body_if_small(c->api->options.ingest, &request, on_ingested, c)) call_run_on_work(c, take_body);
}

static void handle_signal(struct api_call *c) {
    if (check_fields(c)) otlp_take(c);
}

void handle_otlp_traces(struct api_call *c) { handle_signal(c); }
void handle_otlp_logs(struct api_call *c) { handle_signal(c); }

void handle_otlp_metrics(struct api_call *c) {
    call_fail_as(c, 404, 12, ERR_NOT_FOUND, STR("metrics are not taken yet; they come with a later release"),
                 STR("send traces to /v1/traces and logs to /v1/logs"), NULL);
}
