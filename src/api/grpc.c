/* OTLP/gRPC: the same ingest as OTLP/HTTP; here is what gRPC asks of a unary call, and how its outcomes are said. */
#include "net/grpc.h"

#include "api/api_priv.h"

enum { MESSAGE_MAX = 64 * 1024 * 1024 };
static const struct str type_of_answers = STR("application/grpc");

bool call_is_grpc(const struct api_call *c) { return c->request.is_h2 && grpc_type_is_taken(c->request.content_type); }

static void end(struct api_call *c, int outcome, const struct grpc_status *s) {
    call_reply(c, &(struct api_reply){.status = 200,
                                      .outcome = outcome,
                                      .content_type = type_of_answers,
                                      .fields = s->fields,
                                      .field_count = s->count});
}

void call_fail_grpc(struct api_call *c, int status, int grpc_code, struct str message) {
    const int64_t second = 1000000000;
    struct grpc_status s;
    grpc_status_init(&s, (enum grpc_code)grpc_code, message,
                     status == 429 || status == 503 ? call_retry_s(c, status) * second : 0);
    end(c, status, &s);
    grpc_status_done(&s);
}

void call_answer_grpc(struct api_call *c, struct str message) {
    struct grpc_status s;
    struct buf body;
    grpc_status_init(&s, GRPC_OK, STR(""), 0);
    buf_init(&body, 64 * KIB);
    grpc_put_message(&body, message, false);
    call_reply(c, &(struct api_reply){.status = 200,
                                      .content_type = type_of_answers,
                                      .body = buf_str(&body),
                                      .trailers = s.fields,
                                      .trailer_count = s.count});
    buf_done(&body);
    grpc_status_done(&s);
}

/* ---- unary calls ------------------------------------------------------------------------------------------------ */

bool call_is_late(struct api_call *c) {
    if (!c->deadline_ns || c->api->options.wall_ns() < c->deadline_ns) return false;
    call_fail_as(c, 504, GRPC_DEADLINE_EXCEEDED, ERR_CANCELLED,
                 STR("the deadline passed before the call was looked at"), STR(""), NULL);
    return true;
}

/* gRPC at all? Else the call has ended, in HTTP's words. */
static bool check_protocol(struct api_call *c) {
    if (call_is_grpc(c)) return true;
    bool old = !c->request.is_h2;
    call_fail_as(c, old ? 505 : 415, GRPC_UNIMPLEMENTED, ERR_INVALID,
                 old ? STR("gRPC needs HTTP/2") : STR("this Content-Type is not taken"),
                 old ? STR("send OTLP/HTTP to /v1/traces, /v1/logs and /v1/metrics") : STR("send application/grpc"),
                 NULL);
    return false;
}

static bool take_deadline(struct api_call *c) {
    int64_t timeout;
    if (c->request.grpc_timeout.n == 0) return true;
    if (!grpc_timeout_read(c->request.grpc_timeout, &timeout)) {
        call_fail_as(c, 400, GRPC_INVALID_ARGUMENT, ERR_INVALID, STR("grpc-timeout is not up to 8 digits and a unit"),
                     STR("as in 10S or 500m"), NULL);
        return false;
    }
    c->deadline_ns = timeout > INT64_MAX - c->now_ns ? INT64_MAX : c->now_ns + timeout;
    return !call_is_late(c);
}

static void fail_message(struct api_call *c, enum grpc_code code, const char *reason) {
    struct grpc_status s;
    grpc_status_init(&s, code, str_of(reason), 0);
    if (code == GRPC_UNIMPLEMENTED) grpc_status_add_encodings(&s);
    end(c, code == GRPC_RESOURCE_EXHAUSTED ? 413 : 400, &s);
    grpc_status_done(&s);
}

bool call_begin_grpc(struct api_call *c) { return check_protocol(c) && take_deadline(c); }

bool call_take_message(struct api_call *c) {
    struct grpc_message message;
    const char *reason;
    if (!call_begin_grpc(c)) return false;
    enum grpc_code code = grpc_read_unary(c->request.body, c->request.grpc_encoding, MESSAGE_MAX, &message, &reason);
    if (code != GRPC_OK) {
        fail_message(c, code, reason);
        return false;
    }
    c->request.body = message.bytes;
    c->request.content_encoding = message.encoding;
    return true;
}

/* ---- handlers --------------------------------------------------------------------------------------------------- */

void handle_grpc_traces(struct api_call *c) {
    if (call_take_message(c)) otlp_take(c, INGEST_SPANS);
}

void handle_grpc_logs(struct api_call *c) {
    if (call_take_message(c)) otlp_take(c, INGEST_LOGS);
}

void handle_grpc_metrics(struct api_call *c) {
    if (call_take_message(c)) otlp_take(c, INGEST_METRICS);
}
