/* Requests: what is taken, and how each outcome is said (OTLP specification 1.11). */
#include <stdio.h>

#include "base/budget.h"
#include "base/json.h"
#include "base/text.h"
#include "ingest/correlate/correlate.h"
#include "ingest/forward/forward_priv.h"
#include "net/grpc.h"
#include "net/inflate.h"
#include "os/clock.h"
#include "signal/metrics/points_decode.h"
#include "signal/otlp.h"

enum { REQUEST_MAX = 64 << 20 };
#define RETRY_NS ((int64_t)2000000000)

const char *const forward_kind_names[FORWARD_KINDS] = {"traces", "logs", "metrics"};

/* ---- answers ----------------------------------------------------------------------------------------------------- */

void forward_request_free(struct forward_request *r) {
    buf_done(&r->record);
    mem_free(r);
}

static void answer_grpc(struct http_request *r, enum grpc_code code, struct str message, int64_t retry_ns) {
    struct grpc_status s;
    grpc_status_init(&s, code, message, retry_ns);
    if (code == GRPC_UNIMPLEMENTED) grpc_status_add_encodings(&s);
    http_reply(r,
               &(struct http_reply){
                   .status = 200, .content_type = STR("application/grpc"), .fields = s.fields, .field_count = s.count});
    grpc_status_done(&s);
}

static void answer_grpc_taken(struct http_request *r, struct str response) {
    struct grpc_status s;
    AUTO_BUF struct buf body;
    buf_init(&body, 16 * KIB);
    grpc_put_message(&body, response, false);
    grpc_status_init(&s, GRPC_OK, STR(""), 0);
    http_reply(r, &(struct http_reply){.status = 200,
                                       .content_type = STR("application/grpc"),
                                       .body = buf_str(&body),
                                       .trailers = s.fields,
                                       .trailer_count = s.count});
    grpc_status_done(&s);
}

static struct str type_of(bool json) { return json ? STR("application/json") : STR("application/x-protobuf"); }

static void answer_http(struct http_request *r, bool json, int status, int code, struct str message) {
    const struct http_field retry = {STR("Retry-After"), STR("2")};
    struct json_writer w;
    AUTO_BUF struct buf body;
    buf_init(&body, 16 * KIB);
    json_writer_init(&w, &body);
    if (json)
        otlp_write_status_json(code, message, &w);
    else
        otlp_write_status(code, message, &body);
    http_reply(r, &(struct http_reply){.status = status,
                                       .content_type = type_of(json),
                                       .body = buf_str(&body),
                                       .fields = &retry,
                                       .field_count = status == 429 || status == 503});
}

static void answer_taken(const struct forward_request *r) {
    static const char *const members[FORWARD_KINDS] = {"rejectedSpans", "rejectedLogRecords", "rejectedDataPoints"};
    struct str message = str_of(r->message);
    struct json_writer w;
    AUTO_BUF struct buf body;
    buf_init(&body, 16 * KIB);
    json_writer_init(&w, &body);
    if (r->json)
        otlp_write_partial_json(str_of(members[r->kind]), r->rejected, message, &w);
    else
        otlp_write_response(SIGNAL_SPANS, r->rejected, message, &body);
    if (r->grpc)
        answer_grpc_taken(r->http, buf_str(&body));
    else
        http_reply(r->http,
                   &(struct http_reply){.status = 200, .content_type = type_of(r->json), .body = buf_str(&body)});
}

static void answer_failed(const struct forward_request *r, err e) {
    const struct err_kind_row *row = err_row(e);
    bool again = row->http == 429 || row->http == 503;
    bool ours = err_kind(e) == ERR_IO; /* the disk: may be mended, and the request is good */
    if (r->grpc)
        answer_grpc(r->http, ours ? GRPC_UNAVAILABLE : (enum grpc_code)row->grpc, str_of(err_text(e)),
                    again || ours ? RETRY_NS : 0);
    else
        answer_http(r->http, r->json, ours ? 503 : row->http, ours ? GRPC_UNAVAILABLE : row->grpc, str_of(err_text(e)));
}

void forward_answer(struct forward *f, struct forward_request *r, err e) {
    if (!e) {
        atomic_fetch_add(&f->count.received[r->grpc][r->kind], r->rows);
        atomic_fetch_add(&f->count.rejected[r->kind], r->rejected);
        answer_taken(r);
    } else {
        bool bad = err_kind(e) == ERR_INVALID || err_kind(e) == ERR_LIMIT, full = err_kind(e) == ERR_BUSY;
        atomic_fetch_add(bad              ? &f->count.refused_bad
                         : r->over_memory ? &f->count.refused_memory
                         : r->over_share  ? &f->count.refused_share[r->kind]
                         : full           ? &f->count.refused_full
                                          : &f->count.refused_disk,
                         1);
        answer_failed(r, e);
    }
    err_free(e);
    if (f->options.budget && r->budget_bytes) budget_give(f->options.budget, r->budget_bytes);
    forward_request_free(r);
}

/* ---- work: from a body to a record ------------------------------------------------------------------------------- */

struct worker {
    struct forward *f;
    struct forward_live *live; /* of the request in hand */
    struct otlp_decoder *rows;
    struct points_decoder *points;
};

static void note_rejected(struct forward_request *r, const uint32_t *rejected, const char *const *texts, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (rejected[i] && !r->message[0])
            snprintf(r->message, sizeof r->message, "%u refused: %s", rejected[i], texts[i]);
        r->rejected += rejected[i];
    }
}

/* What there is to keep, as protobuf: the sender's own bytes where nothing of them is left out. */
static void keep(struct forward_request *r, struct str plain, struct batch_blob *blob) {
    struct batch rows;
    struct points points;
    if (!blob) return;
    if (!r->json && !r->rejected) {
        buf_add_str(&r->record, plain);
    } else if (r->kind == FORWARD_POINTS) {
        points_view(blob, &points);
        points_encode_otlp(&points, &r->record);
    } else {
        batch_view(blob, &rows);
        otlp_encode(&rows, &r->record);
    }
}

/* ---- correlation: ids as attributes -------------------------------------------------------------------------------- */

struct row_ids {
    struct batch rows;  /* with the column */
    const char *prefix; /* NULL: none are derived */
    struct buf derived;
};

static void put_derived(struct buf *out, const char *prefix, const unsigned char *trace) {
    buf_clear(out);
    buf_add_fmt(out, "%s-", prefix);
    put_hex(out, trace + 8, 8);
}

static struct str id_of(void *context, uint32_t row) {
    static const unsigned char zero[16];
    struct row_ids *ids = context;
    struct str id = batch_text(&ids->rows, SET_ROWS, FIELD_CORRELATION, row);
    if (id.n || !ids->prefix) return id;
    const unsigned char *trace = batch_id16(&ids->rows, SET_ROWS, FIELD_TRACE_ID, row);
    if (memcmp(trace, zero, sizeof zero) == 0) return id;
    put_derived(&ids->derived, ids->prefix, trace);
    return buf_str(&ids->derived);
}

/* The record with ids in place of the one without. */
static err take_edited(struct forward *f, struct forward_request *r, struct buf *edited, bool good,
                       const struct correlate_counts *counts) {
    if (good && !edited->full) {
        buf_done(&r->record);
        r->record = *edited;
        for (int i = 0; i < CORRELATE_SOURCES; i++) atomic_fetch_add(&f->count.lifted[i], counts->lifted[i]);
        return NULL;
    }
    bool full = edited->full;
    buf_done(edited);
    return full ? err_new(ERR_LIMIT, "the request is over 64 MiB with its ids")
                : err_new(ERR_INTERNAL, "a request that was taken cannot be given ids");
}

/* Rows of the batch are the record's, in its order. */
static err put_ids(struct worker *w, struct forward_request *r, struct batch_blob *blob) {
    const struct forward_config *c = &w->live->config;
    struct correlate_counts counts = {0};
    struct row_ids ids = {.prefix = c->derive ? correlate_prefix(c->correlate) : NULL};
    struct buf edited;
    batch_view(blob, &ids.rows);
    struct batch_blob *lifted = correlate_rows(c->correlate, &ids.rows, &counts);
    if (!lifted && !c->derive) return NULL;
    if (lifted) batch_view(lifted, &ids.rows);
    buf_init(&ids.derived, KIB);
    buf_init(&edited, QUEUE_BODY_MAX);
    bool good =
        otlp_put_ids(buf_str(&r->record), r->kind == FORWARD_SPANS, STR("correlation_id"), id_of, &ids, &edited);
    batch_unref(lifted);
    buf_done(&ids.derived);
    return take_edited(w->f, r, &edited, good, &counts);
}

struct exemplar_ids {
    const struct forward_config *config;
    struct correlate_counts counts;
    struct buf id;
};

static struct str id_of_exemplar(void *context, const struct otlp_exemplar_bytes *e) {
    static const unsigned char zero[16];
    struct exemplar_ids *x = context;
    bool found =
        correlate_texts(x->config->correlate, e->resource, e->resource_count, e->own, e->own_count, &x->counts, &x->id);
    if (!found && x->config->derive && e->trace_id.n == 16 && memcmp(e->trace_id.p, zero, 16) != 0)
        put_derived(&x->id, correlate_prefix(x->config->correlate), (const unsigned char *)e->trace_id.p);
    return buf_str(&x->id);
}

/* Metrics have no ids of their own, but their exemplars belong to requests. */
static err put_exemplar_ids(struct worker *w, struct forward_request *r, struct batch_blob *blob) {
    struct exemplar_ids x = {.config = &w->live->config};
    struct points points;
    struct buf edited;
    points_view(blob, &points);
    if (!points.exemplar_count) return NULL;
    buf_init(&x.id, KIB);
    buf_init(&edited, QUEUE_BODY_MAX);
    bool good = otlp_put_exemplar_ids(buf_str(&r->record), STR("correlation_id"), id_of_exemplar, &x, &edited);
    buf_done(&x.id);
    return take_edited(w->f, r, &edited, good, &x.counts);
}

static err decode(struct worker *w, struct forward_request *r, struct str plain) {
    const struct otlp_limits limits = {
        .time_min = INT64_MIN, .time_max = INT64_MAX, .now = clock_wall_ns(), .budget = w->f->options.budget};
    if (r->kind == FORWARD_POINTS) {
        struct points_result out = {0};
        TRY((r->json ? points_decode_otlp_json : points_decode_otlp)(w->points, plain, &limits, &out));
        note_rejected(r, out.rejected, points_reason_texts, POINTS_REASONS);
        r->rows = out.points;
        keep(r, plain, out.blob);
        err e = out.blob && w->live->config.correlate ? put_exemplar_ids(w, r, out.blob) : NULL;
        batch_unref(out.blob);
        return e;
    }
    struct otlp_result out = {0};
    enum signal signal = r->kind == FORWARD_SPANS ? SIGNAL_SPANS : SIGNAL_LOGS;
    TRY((r->json ? otlp_decode_json : otlp_decode)(w->rows, signal, plain, &limits, &out));
    note_rejected(r, out.rejected, otlp_reason_texts, OTLP_REASONS);
    r->rows = out.rows;
    keep(r, plain, out.blob);
    err e = out.blob && w->live->config.correlate ? put_ids(w, r, out.blob) : NULL;
    batch_unref(out.blob);
    return e;
}

/* Processors, each from a request to a request. */
static err edit(const struct worker *w, struct forward_request *r) {
    const struct forward_config *c = &w->live->config;
    struct buf edited;
    if (!c->edit_count || !r->record.n) return NULL;
    buf_init(&edited, QUEUE_BODY_MAX);
    bool good = otlp_edit_resources(buf_str(&r->record), c->edits, c->edit_count, &edited);
    if (!good || edited.full) {
        bool full = edited.full;
        buf_done(&edited);
        return full ? err_new(ERR_LIMIT, "the request is over 64 MiB once it is edited")
                    : err_new(ERR_INTERNAL, "a request that was taken cannot be edited");
    }
    buf_done(&r->record);
    r->record = edited;
    return NULL;
}

/* Of the budget, until the answer: the body unpacked, and as a record. */
static err draw(struct forward *f, struct forward_request *r, uint64_t bytes) {
    if (f->options.budget && !budget_take(f->options.budget, bytes)) {
        r->over_memory = true;
        return budget_err(f->options.budget, "a request");
    }
    r->budget_bytes += bytes;
    return NULL;
}

static err make_record(struct worker *w, struct forward_request *r, struct str encoding) {
    struct str plain;
    AUTO_FREE void *owned = NULL;
    size_t claim = inflate_claim(encoding, r->body, REQUEST_MAX);
    TRY(draw(w->f, r, 2 * claim));
    TRY(inflate_body(encoding, r->body, REQUEST_MAX, &plain, &owned));
    if (plain.n > claim)
        TRY(draw(w->f, r, 2 * (plain.n - claim))); /* it lied; so many threads unpack so much at most */
    buf_init(&r->record, QUEUE_BODY_MAX);
    TRY(decode(w, r, plain));
    TRY(edit(w, r));
    return r->record.full ? err_new(ERR_LIMIT, "the request is over 64 MiB as protobuf") : NULL;
}

static void work_on(struct worker *w, struct forward_request *r) {
    struct str encoding = http_field(r->http, STR("content-encoding"));
    struct grpc_message message;
    const char *why;
    if (r->grpc) {
        enum grpc_code code =
            grpc_read_unary(r->body, http_field(r->http, STR("grpc-encoding")), REQUEST_MAX, &message, &why);
        if (code != GRPC_OK) {
            atomic_fetch_add(&w->f->count.refused_bad, 1);
            answer_grpc(r->http, code, str_of(why), 0);
            forward_request_free(r);
            return;
        }
        r->body = message.bytes;
        encoding = message.encoding;
    }
    w->live = forward_live_ref(w->f);
    err e = make_record(w, r, encoding);
    forward_live_unref(w->f, take(&w->live));
    if (e || !r->record.n)
        forward_answer(w->f, r, e);
    else if (!queue_push(w->f->commit, r))
        forward_answer(w->f, r, err_new(ERR_BUSY, "the disk is slower than what comes"));
}

void forward_work(void *context) {
    struct worker w = {.f = context, .rows = otlp_decoder_new(), .points = points_decoder_new()};
    struct forward_request *r;
    while ((r = queue_pop_wait(w.f->work))) work_on(&w, r);
    otlp_decoder_free(w.rows);
    points_decoder_free(w.points);
}

/* ---- the handler ------------------------------------------------------------------------------------------------- */

static bool kind_of(struct str path, bool grpc, enum forward_kind *out) {
    static const struct str paths[2][FORWARD_KINDS] = {
        {STR("/v1/traces"), STR("/v1/logs"), STR("/v1/metrics")},
        {STR("/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
         STR("/opentelemetry.proto.collector.logs.v1.LogsService/Export"),
         STR("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export")}};
    for (int k = 0; k < FORWARD_KINDS; k++)
        if (str_equal(path, paths[grpc][k])) {
            *out = (enum forward_kind)k;
            return true;
        }
    return false;
}

static bool type_is(struct str type, struct str wanted) {
    struct str head, rest;
    str_cut(type, ';', &head, &rest);
    return str_equal_nocase(str_trim(head), wanted);
}

static bool encoding_is_taken(struct str e) {
    return !e.n || str_equal_nocase(e, STR("gzip")) || str_equal_nocase(e, STR("zstd")) ||
           str_equal_nocase(e, STR("identity"));
}

/* Handed to a work thread, or refused. */
static void take_request(struct forward *f, struct http_request *http, enum forward_kind kind, bool grpc, bool json) {
    struct forward_request *r = mem_new_of(struct forward_request);
    *r = (struct forward_request){.http = http, .kind = kind, .grpc = grpc, .json = json, .body = http_body(http)};
    buf_init(&r->record, 0);
    atomic_fetch_add(&f->count.requests[grpc][kind], 1);
    if (!queue_push(f->work, r)) forward_answer(f, r, err_new(ERR_BUSY, "too many requests at once"));
}

static void handle_http(struct forward *f, struct http_request *r, enum forward_kind kind) {
    struct str type = http_field(r, STR("content-type"));
    bool json = type_is(type, STR("application/json"));
    if (http_method(r) != HTTP_POST)
        forward_reply_text(r, 405, "text/plain", STR("send POST\n"));
    else if (!json && !type_is(type, STR("application/x-protobuf")))
        answer_http(r, false, 415, GRPC_INVALID_ARGUMENT,
                    STR("send Content-Type: application/x-protobuf or application/json"));
    else if (!encoding_is_taken(str_trim(http_field(r, STR("content-encoding")))))
        answer_http(r, json, 415, GRPC_INVALID_ARGUMENT, STR("this Content-Encoding is not taken: send gzip or zstd"));
    else
        take_request(f, r, kind, false, json);
}

void forward_handle(struct http_request *r) {
    struct forward *f = http_listener_context(r);
    struct str path = http_path(r);
    bool grpc = http_is_h2(r) && grpc_is_request(r);
    enum forward_kind kind;
    bool known = kind_of(path, grpc, &kind);
    if (grpc && !known)
        answer_grpc(r, GRPC_UNIMPLEMENTED, STR("a collector takes the Export calls of OTLP alone"), 0);
    else if (grpc)
        take_request(f, r, kind, true, false);
    else if (known)
        handle_http(f, r, kind);
    else
        forward_reply_self(f, r, path);
}
