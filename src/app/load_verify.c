/* Reading back: every sent request is made again from its seed, decoded by the decoder clew uses, and compared row by row with what
 * clew answers for its trace ids, as OTLP protobuf. */
#include <stdio.h>

#include "app/load.h"
#include "base/text.h"
#include "signal/otlp.h"

enum { BODY_MAX = 64 * 1024 * 1024 };

struct verifying {
    const struct arguments *arguments;
    const struct load_plan *plan;
    atomic_bool *stop;
    struct otlp_decoder *decoder;
    struct load_verified *out;
    uint64_t every, asked; /* every n-th trace is asked for */
    struct buf body;
};

static const struct otlp_limits no_limits = {.time_min = INT64_MIN, .time_max = INT64_MAX};

/* The rows clew has of that trace; rows 0 if it has none. */
static err ask_trace_wait(struct verifying *v, enum signal signal, const unsigned char id[16],
                          struct otlp_result *out) {
    AUTO_BUF struct buf path, answer = {0};
    buf_init(&path, 256);
    buf_add_text(&path,
                 signal == SIGNAL_SPANS ? "/api/v1/traces/" : "/api/v1/logs/query?start=0&limit=10000&trace_id=");
    put_hex(&path, id, 16);
    buf_add_text(&path, signal == SIGNAL_SPANS ? "?format=protobuf" : "&format=protobuf");
    err e = command_ask_wait(v->arguments, "GET", path.p, (struct str){0}, &answer);
    if (e && err_kind(e) == ERR_NOT_FOUND) {
        err_free(e);
        return NULL;
    }
    if (e) return e;
    return otlp_decode(v->decoder, signal, buf_str(&answer), &no_limits, out);
}

static bool has_trace(const struct batch *b, uint32_t row, const unsigned char id[16]) {
    return memcmp(batch_id16(b, SET_ROWS, FIELD_TRACE_ID, row), id, 16) == 0;
}

/* Each sent row of the trace must be among the answer's once; what the answer has beside them was invented. */
static void compare(struct verifying *v, const struct batch *sent, const unsigned char id[16],
                    const struct batch *got) {
    uint32_t expected = 0, found = 0;
    for (uint32_t i = 0; i < sent->rows; i++) {
        if (!has_trace(sent, i, id)) continue;
        expected++;
        uint64_t span = batch_u64(sent, SET_ROWS, FIELD_SPAN_ID, i);
        bool same_id = false, equal = false;
        for (uint32_t j = 0; j < got->rows && !equal; j++) {
            if (batch_u64(got, SET_ROWS, FIELD_SPAN_ID, j) != span) continue;
            same_id = true;
            equal = batch_rows_equal(sent, i, got, j);
        }
        v->out->different += same_id && !equal;
        v->out->missing += !same_id;
        found += same_id;
    }
    v->out->rows += expected;
    v->out->invented += got->rows > found ? got->rows - found : 0;
}

static err verify_trace_wait(struct verifying *v, enum signal signal, const struct batch *sent,
                             const unsigned char id[16]) {
    struct otlp_result result = {0};
    TRY(ask_trace_wait(v, signal, id, &result));
    struct batch got = {0};
    if (result.blob) batch_view(result.blob, &got);
    compare(v, sent, id, &got);
    batch_unref(result.blob);
    v->out->asked++;
    return NULL;
}

static err verify_request_wait(struct verifying *v, const struct load_sent *request) {
    enum signal signal = (enum signal)request->kind;
    struct otlp_result sent = {0};
    load_make_body(v->plan, NULL, request->kind, &request->shape, &v->body);
    if (!v->body.n) return NULL; /* a story without logs */
    TRY(otlp_decode(v->decoder, signal, buf_str(&v->body), &no_limits, &sent));
    struct batch b;
    batch_view(sent.blob, &b);
    /* The first ResourceSpans has one span of every trace; each log is a trace of its own in the law, shares one in the shop. */
    uint32_t step = 1, end = v->plan->shop ? MIN(1u, b.rows) : signal == SIGNAL_SPANS ? b.rows / 10 : b.rows;
    err e = NULL;
    for (uint32_t i = 0; i < end && !e && !atomic_load(v->stop); i += step)
        if (v->asked++ % v->every == 0)
            e = verify_trace_wait(v, signal, &b, batch_id16(&b, SET_ROWS, FIELD_TRACE_ID, i));
    batch_unref(sent.blob);
    return e;
}

err load_verify_wait(const struct arguments *a, const struct load_plan *plan, const struct load_totals *totals,
                     uint64_t asks_max, atomic_bool *stop, struct load_verified *out) {
    struct verifying v = {.arguments = a, .plan = plan, .stop = stop, .decoder = otlp_decoder_new(), .out = out};
    uint64_t traces = 0;
    for (size_t i = 0; i < totals->sent.n; i++)
        traces += plan->shop ? 1 : totals->sent.v[i].kind == LOAD_TRACES ? plan->items / 10 : plan->items;
    v.every = MAX(1, (traces + asks_max - 1) / asks_max);
    buf_init(&v.body, BODY_MAX);
    err e = NULL;
    for (size_t i = 0; i < totals->sent.n && !e; i++) {
        if (atomic_load(stop)) e = err_new(ERR_CANCELLED, "interrupted at request %zu of %zu", i, totals->sent.n);
        if (e) break;
        command_progress("verifying: %.0f %%", 100.0 * (double)i / (double)totals->sent.n);
        e = verify_request_wait(&v, &totals->sent.v[i]);
    }
    command_progress_end();
    buf_done(&v.body);
    otlp_decoder_free(v.decoder);
    return err_wrap(e, "verifying");
}
