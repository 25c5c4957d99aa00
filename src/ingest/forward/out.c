#include "ingest/forward/out_priv.h"

#include <stdio.h>

#include "net/grpc.h"
#include "net/inflate.h"
#include "signal/otlp.h"

enum { ANSWER_BYTES_MAX = 4 << 20, PACKED_BYTES_MAX = 96 << 20, OWN_FIELDS = 4 };

static const char *const paths[2][FORWARD_KINDS] = {
    {"/v1/traces", "/v1/logs", "/v1/metrics"},
    {"/opentelemetry.proto.collector.trace.v1.TraceService/Export",
     "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
     "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"},
};

struct out {
    const struct forward_target *target;
    struct http_client *client;
    char *urls[FORWARD_KINDS];
    const char *fields[OWN_FIELDS + FORWARD_FIELDS_MAX + 1];
    struct buf packed, framed;
};

void out_set_fields(struct out *o, const char *const *fields) {
    bool grpc = o->target->grpc;
    size_t n = 0;
    o->fields[n++] = grpc ? "Content-Type: application/grpc" : "Content-Type: application/x-protobuf";
    if (grpc) o->fields[n++] = "TE: trailers";
    if (o->target->gzip) o->fields[n++] = grpc ? "grpc-encoding: gzip" : "Content-Encoding: gzip";
    for (size_t i = 0; i < FORWARD_FIELDS_MAX && fields[i]; i++) o->fields[n++] = fields[i];
    o->fields[n] = NULL;
}

err out_new(const struct forward_target *target, struct out **out) {
    struct out *o = mem_new_of(struct out);
    struct str endpoint = str_of(target->endpoint);
    o->target = target;
    buf_init(&o->packed, PACKED_BYTES_MAX);
    buf_init(&o->framed, PACKED_BYTES_MAX);
    while (endpoint.n && endpoint.p[endpoint.n - 1] == '/') endpoint.n--;
    for (int k = 0; k < FORWARD_KINDS; k++) {
        AUTO_BUF struct buf url;
        buf_init(&url, 8 * KIB);
        buf_add_fmt(&url, STR_FMT "%s", STR_ARG(endpoint), paths[target->grpc][k]);
        o->urls[k] = str_dup(buf_str(&url));
    }
    out_set_fields(o, target->fields);
    err e = http_client_new(&o->client);
    if (e) {
        out_free(o);
        return e;
    }
    if (target->grpc) http_client_use_h2(o->client);
    http_client_trust(o->client, &target->tls);
    *out = o;
    return NULL;
}

void out_free(struct out *o) {
    if (!o) return;
    http_client_free(o->client);
    for (int k = 0; k < FORWARD_KINDS; k++) mem_free(o->urls[k]);
    buf_done(&o->packed);
    buf_done(&o->framed);
    mem_free(o);
}

void out_end_if(struct out *o, bool (*asked)(void *context), void *context) {
    http_client_end_if(o->client, asked, context);
}

/* ---- what an answer means ---------------------------------------------------------------------------------------- */

static void note_partial(struct str response, struct out_result *out) {
    struct str message;
    out->outcome = OUT_DELIVERED;
    if (!otlp_read_response(response, &out->rejected, &message))
        return; /* an answer in other words is a success, too */
    if (out->rejected || message.n)
        snprintf(out->message, sizeof out->message, STR_FMT, (int)MIN(message.n, sizeof out->message - 1),
                 message.n ? message.p : "");
}

static bool is_protobuf(const struct http_answer *answer) {
    return str_starts_with(str_of(answer->content_type), STR("application/x-protobuf"));
}

/* Answers to whoever has the wrong token or address: also of a server that only has files, or sends one elsewhere. */
static bool status_denies(int status) {
    return status == 401 || status == 403 || status == 404 || status == 405 || status / 100 == 3;
}

static void note_http(const struct http_answer *answer, struct out_result *out) {
    if (answer->status / 100 == 2) {
        note_partial(is_protobuf(answer) ? buf_str(&answer->body) : STR(""), out);
        return;
    }
    out->outcome = http_status_passes(answer->status) ? OUT_AGAIN
                   : status_denies(answer->status)    ? OUT_DENIED
                                                      : OUT_REFUSED;
    if (answer->retry_after_s >= 0) out->retry_ns = answer->retry_after_s * 1000000000;
    snprintf(out->reason, sizeof out->reason, "%d", answer->status);
    snprintf(out->message, sizeof out->message, "status %d", answer->status);
}

static enum out_outcome outcome_of_grpc(int code, bool has_retry) {
    switch (code) {
    case GRPC_OK: return OUT_DELIVERED;
    case GRPC_CANCELLED:
    case GRPC_DEADLINE_EXCEEDED:
    case GRPC_ABORTED:
    case GRPC_OUT_OF_RANGE:
    case GRPC_UNAVAILABLE:
    case GRPC_DATA_LOSS: return OUT_AGAIN;
    case GRPC_RESOURCE_EXHAUSTED: return has_retry ? OUT_AGAIN : OUT_REFUSED;
    case GRPC_UNAUTHENTICATED:
    case GRPC_PERMISSION_DENIED:
    case GRPC_NOT_FOUND:
    case GRPC_UNIMPLEMENTED: return OUT_DENIED;
    default: return OUT_REFUSED;
    }
}

static void note_grpc(const struct http_answer *answer, struct out_result *out) {
    struct str body = buf_str(&answer->body);
    int code = answer->grpc_status;
    if (code < 0) { /* no gRPC: cut off, or something on the way that speaks HTTP */
        int as_http = answer->status == 200 ? GRPC_UNAVAILABLE : (int)grpc_code_of_http(answer->status);
        code = as_http == GRPC_OK ? GRPC_UNKNOWN : as_http;
    }
    bool denies = answer->grpc_status < 0 && status_denies(answer->status);
    out->outcome = denies ? OUT_DENIED : outcome_of_grpc(code, answer->grpc_retry_ns >= 0);
    out->retry_ns = answer->grpc_retry_ns;
    if (out->outcome == OUT_DELIVERED) {
        bool plain = body.n >= GRPC_PREFIX && body.p[0] == 0;
        note_partial(plain ? (struct str){body.p + GRPC_PREFIX, body.n - GRPC_PREFIX} : STR(""), out);
        return;
    }
    snprintf(out->reason, sizeof out->reason, "grpc_%d", code);
    snprintf(out->message, sizeof out->message, "status %d, grpc-status %d: %s", answer->status, answer->grpc_status,
             answer->grpc_message);
}

/* ---- sending ----------------------------------------------------------------------------------------------------- */

static err pack(struct out *o, struct str body, struct str *out_body) {
    buf_clear(&o->packed);
    buf_clear(&o->framed);
    *out_body = body;
    if (o->target->gzip) {
        TRY(deflate_gzip_at(1, body, &o->packed)); /* level 6: an eighth smaller for 2.4 times the CPU */
        *out_body = buf_str(&o->packed);
    }
    if (o->target->grpc) {
        grpc_put_message(&o->framed, *out_body, o->target->gzip);
        *out_body = buf_str(&o->framed);
    }
    return o->packed.full || o->framed.full ? err_new(ERR_LIMIT, "a request of over 96 MiB") : NULL;
}

void out_send_wait(struct out *o, enum forward_kind kind, struct str body, struct out_result *out) {
    struct http_answer answer = {0};
    struct str packed;
    *out = (struct out_result){.retry_ns = -1};
    err e = pack(o, body, &packed);
    bool packed_well = !e;
    if (!e)
        e = http_call_wait(o->client, "POST", o->urls[kind], o->fields, packed, o->target->timeout_ns, ANSWER_BYTES_MAX,
                           &answer);
    if (e) {
        out->outcome = packed_well ? OUT_AGAIN : OUT_REFUSED;
        snprintf(out->reason, sizeof out->reason, "%s", packed_well ? "network" : "too_large");
        snprintf(out->message, sizeof out->message, "%s", err_text(e));
        err_free(e);
        return;
    }
    if (o->target->grpc)
        note_grpc(&answer, out);
    else
        note_http(&answer, out);
    buf_done(&answer.body);
}
