/* The OTLP endpoints: what of a request is taken, and how each outcome is said (OTLP specification 1.11, OTLP/HTTP). */
#include "api/take_priv.h"

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

/* True if the body can be read; else the call has ended with 415. */
static bool check_fields(struct api_call *c) {
    struct str type = c->request.content_type, encoding = str_trim(c->request.content_encoding), problem = {NULL, 0};
    struct str hint = str_of(type_hint);
    if (!c->request.has_content_type)
        problem = STR("the request has no Content-Type");
    else if (!otlp_is_json(type) && !media_type_is(type, STR("application/x-protobuf")))
        problem = STR("this Content-Type is not taken");
    if (!problem.p && !encoding_is_taken(encoding, &problem)) hint = STR("send gzip or zstd, or none");
    if (!problem.p) return true;
    call_fail_as(c, 415, 3, ERR_INVALID, problem, hint, NULL);
    return false;
}

static void otlp_answer(struct api_call *c, err e, const struct ingest_outcome *outcome) {
    static const char *const members[INGEST_KINDS] = {"rejectedSpans", "rejectedLogRecords", "rejectedDataPoints"};
    if (e) {
        call_fail(c, e);
        return;
    }
    enum ingest_kind kind = call_taken(c)->kind;
    struct str message = str_of(outcome->message);
    struct buf body;
    struct json_writer w;
    bool json = call_taken(c)->format == INGEST_OTLP_JSON;
    buf_init(&body, 4 * KIB);
    json_writer_init(&w, &body);
    if (json)
        otlp_write_partial_json(str_of(members[kind]), outcome->rejected, message, &w);
    else
        otlp_write_response(SIGNAL_SPANS, outcome->rejected, message, &body); /* as protobuf all are alike */
    const struct api_reply reply = {.status = 200, .content_type = otlp_content_type(json), .body = buf_str(&body)};
    if (call_is_grpc(c))
        call_answer_grpc(c, buf_str(&body));
    else
        call_reply(c, &reply);
    buf_done(&body);
}

void otlp_take(struct api_call *c, enum ingest_kind kind) {
    call_take(c,
              &(struct ingest_request){.kind = kind,
                                       .format = otlp_is_json(c->request.content_type) ? INGEST_OTLP_JSON : INGEST_OTLP,
                                       .encoding = str_trim(c->request.content_encoding)},
              otlp_answer);
}

void handle_otlp_traces(struct api_call *c) {
    if (check_fields(c)) otlp_take(c, INGEST_SPANS);
}

void handle_otlp_logs(struct api_call *c) {
    if (check_fields(c)) otlp_take(c, INGEST_LOGS);
}

void handle_otlp_metrics(struct api_call *c) {
    if (check_fields(c)) otlp_take(c, INGEST_METRICS);
}
