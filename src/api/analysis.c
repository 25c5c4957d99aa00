/* What one trace tells, as JSON: GET /api/v1/traces/{trace_id}/analysis. Each claim has the path of the answer that proves it. */
#include "api/api_priv.h"
#include "base/text.h"
#include "insight/analysis.h"

struct writer {
    struct json_writer *w;
    struct answer *a;
    const struct trace_analysis *of;
    struct str trace_id; /* as text */
    struct buf path;     /* under construction */
};

/* ---- proofs ----------------------------------------------------------------------------------------------------- */

static void begin_path(struct writer *r) {
    buf_clear(&r->path);
    buf_add_text(&r->path, "/api/v1/traces");
}

static void write_path(struct writer *r) { json_member(r->w, "query", str, buf_str(&r->path)); }

static void prove_by_trace(struct writer *r) {
    begin_path(r);
    buf_add_fmt(&r->path, "/" STR_FMT "/columns", STR_ARG(r->trace_id));
    write_path(r);
}

static void prove_by_span(struct writer *r, uint32_t span) {
    begin_path(r);
    buf_add_fmt(&r->path, "/" STR_FMT "/spans/", STR_ARG(r->trace_id));
    put_hex(&r->path, (const unsigned char *)&r->of->tree.spans[span].id, 8);
    write_path(r);
}

static void prove_by_day(struct writer *r, uint32_t span) {
    const struct trace_tree *t = &r->of->tree;
    const struct tree_call *call = &t->calls[t->spans[span].call];
    begin_path(r);
    buf_add_text(&r->path, "/aggregate?service=");
    put_percent_encoded(&r->path, t->services[call->service]);
    buf_add_text(&r->path, "&operation=");
    put_percent_encoded(&r->path, call->operation);
    buf_add_text(&r->path, "&environment=");
    put_percent_encoded(&r->path,
                        query_row_environment(&r->of->trace.batch, r->of->trace.spans[span].row, &r->a->q->arena));
    buf_add_text(&r->path, "&start=");
    put_time(&r->path, r->of->usual_min);
    buf_add_text(&r->path, "&end=");
    put_time(&r->path, r->of->usual_max);
    write_path(r);
}

/* ---- claims ----------------------------------------------------------------------------------------------------- */

static double ratio_of(int64_t part, int64_t whole) { return whole > 0 ? (double)part / (double)whole : 0; }

static void write_place(struct writer *r, uint32_t span) {
    const struct trace_tree *t = &r->of->tree;
    const struct tree_call *call = &t->calls[t->spans[span].call];
    json_member(r->w, "span_id", hex, &t->spans[span].id, 8);
    json_member(r->w, "service", str, t->services[call->service]);
    json_member(r->w, "operation", str, call->operation);
}

static void write_steps(struct writer *r) {
    const struct analysis *of = &r->of->of;
    const struct tree_span *root = &r->of->tree.spans[r->of->tree.root];
    json_key(r->w, STR("critical_path"));
    json_object(r->w);
    write_place(r, r->of->tree.root);
    json_member(r->w, "duration_ns", i64, root->duration);
    json_member(r->w, "step_count", u64, of->path_found);
    json_key(r->w, STR("steps"));
    json_array(r->w);
    for (size_t i = 0; i < of->path_n; i++) {
        json_object(r->w);
        write_place(r, of->path[i].span);
        json_member(r->w, "self_time_ns", i64, of->path[i].self_ns);
        json_member(r->w, "share_ratio", f64, ratio_of(of->path[i].self_ns, root->duration));
        prove_by_span(r, of->path[i].span);
        json_object_end(r->w);
    }
    json_array_end(r->w);
    prove_by_trace(r);
    json_object_end(r->w);
}

static void write_service_times(struct writer *r) {
    const struct trace_tree *t = &r->of->tree;
    json_key(r->w, STR("services"));
    json_array(r->w);
    for (size_t i = 0; i < r->of->of.service_n; i++) {
        const struct analysis_service *s = &r->of->of.services[i];
        json_object(r->w);
        json_member(r->w, "service", str, t->services[s->service]);
        json_member(r->w, "span_count", u64, s->spans);
        json_member(r->w, "error_count", u64, s->errors);
        json_member(r->w, "self_time_ns", i64, s->self_ns);
        json_member(r->w, "total_time_ns", i64, s->total_ns);
        json_member(r->w, "critical_path_ns", i64, s->path_ns);
        json_member(r->w, "share_ratio", f64, ratio_of(s->path_ns, t->spans[t->root].duration));
        json_object_end(r->w);
    }
    json_array_end(r->w);
}

static void write_link(struct writer *r, uint32_t span) {
    uint32_t row = r->of->trace.spans[span].row;
    struct analysis_error e = analysis_error_of(&r->of->trace.batch, row, &r->a->q->arena);
    json_object(r->w);
    write_place(r, span);
    json_key(r->w, STR("status"));
    write_status(r->w, batch_u32(&r->of->trace.batch, SET_ROWS, FIELD_STATUS, row));
    json_member(r->w, "error_type", str, e.type);
    json_member(r->w, "message", str, e.message);
    prove_by_span(r, span);
    json_object_end(r->w);
}

static void write_cause(struct writer *r) {
    const struct analysis *of = &r->of->of;
    json_key(r->w, STR("root_cause"));
    if (of->cause == TREE_NONE) {
        json_null(r->w);
        return;
    }
    json_object(r->w);
    write_place(r, of->cause);
    json_member(r->w, "other_count", u64, of->origins - 1);
    json_key(r->w, STR("chain"));
    json_array(r->w);
    for (size_t i = 0; i < of->chain_n; i++) write_link(r, of->chain[i]);
    json_array_end(r->w);
    json_member(r->w, "chain_truncated", bool, of->chain_cut);
    json_object_end(r->w);
}

static void write_slow(struct writer *r) {
    const struct analysis *of = &r->of->of;
    json_key(r->w, STR("slow"));
    json_object(r->w);
    json_key(r->w, STR("usual"));
    json_object(r->w);
    write_range(r->w, r->of->usual_min, r->of->usual_max);
    json_object_end(r->w);
    json_member(r->w, "compared_count", u64, of->compared);
    json_member(r->w, "services_not_compared", u64, r->of->not_compared);
    json_member(r->w, "span_count", u64, of->slow_found);
    json_key(r->w, STR("spans"));
    json_array(r->w);
    for (size_t i = 0; i < of->slow_n; i++) {
        const struct analysis_slow *s = &of->slow[i];
        int64_t duration = r->of->tree.spans[s->span].duration;
        json_object(r->w);
        write_place(r, s->span);
        json_member(r->w, "duration_ns", i64, duration);
        json_member(r->w, "usual_p95_ns", i64, s->usual.p95_ns);
        json_member(r->w, "usual_count", u64, s->usual.spans);
        json_member(r->w, "times_p95_ratio", f64, ratio_of(duration, s->usual.p95_ns));
        prove_by_day(r, s->span);
        json_object_end(r->w);
    }
    json_array_end(r->w);
    json_object_end(r->w);
}

static void write_repeats(struct writer *r) {
    const struct analysis *of = &r->of->of;
    json_key(r->w, STR("repeats"));
    json_object(r->w);
    json_member(r->w, "repeat_count", u64, of->repeat_found);
    json_key(r->w, STR("calls"));
    json_array(r->w);
    for (size_t i = 0; i < of->repeat_n; i++) {
        const struct analysis_repeat *v = &of->repeats[i];
        json_object(r->w);
        json_key(r->w, STR("parent"));
        json_object(r->w);
        write_place(r, v->parent);
        json_object_end(r->w);
        json_key(r->w, STR("first"));
        json_object(r->w);
        write_place(r, v->first);
        json_object_end(r->w);
        json_member(r->w, "count", u64, v->count);
        json_member(r->w, "total_ns", i64, v->total_ns);
        prove_by_trace(r);
        json_object_end(r->w);
    }
    json_array_end(r->w);
    json_object_end(r->w);
}

static void write_gaps(struct writer *r) {
    const struct analysis *of = &r->of->of;
    json_key(r->w, STR("gaps"));
    json_object(r->w);
    json_member(r->w, "gap_count", u64, of->gap_found);
    json_key(r->w, STR("stretches"));
    json_array(r->w);
    for (size_t i = 0; i < of->gap_n; i++) {
        json_object(r->w);
        write_place(r, of->gaps[i].span);
        json_member(r->w, "start", time, of->gaps[i].start);
        json_member(r->w, "duration_ns", i64, of->gaps[i].duration);
        prove_by_trace(r);
        json_object_end(r->w);
    }
    json_array_end(r->w);
    json_object_end(r->w);
}

void write_clocks(struct json_writer *w, const struct trace_tree *t) {
    json_key(w, STR("clocks"));
    json_array(w);
    for (uint32_t i = 0; i < t->service_count; i++) {
        if (!t->clocks[i].ahead_ns) continue;
        json_object(w);
        json_member(w, "service", str, t->services[i]);
        json_member(w, "ahead_ns", i64, t->clocks[i].ahead_ns);
        json_member(w, "call_count", u64, t->clocks[i].calls);
        json_member(w, "against_count", u64, t->clocks[i].against);
        json_object_end(w);
    }
    json_array_end(w);
}

/* ---- the answer ------------------------------------------------------------------------------------------------- */

static err write_claims(struct writer *r) {
    const struct analysis *of = &r->of->of;
    json_member(r->w, "trace_id", str, r->trace_id);
    json_member(r->w, "summary", str, of->summary);
    json_member(r->w, "start", time, of->start);
    json_member(r->w, "duration_ns", i64, of->duration);
    json_member(r->w, "span_count", u64, r->of->tree.n);
    json_member(r->w, "error_count", u64, of->errors);
    json_member(r->w, "truncated", bool, r->of->trace.cut);
    write_steps(r);
    write_service_times(r);
    TRY(answer_settle(r->a));
    write_cause(r);
    write_slow(r);
    write_repeats(r);
    write_gaps(r);
    write_clocks(r->w, &r->of->tree);
    return answer_settle(r->a);
}

static err write_analysis(struct api_call *c, struct query *q, struct answer *a) {
    struct trace_analysis of;
    char id[33];
    struct buf hex;
    unsigned char trace_id[16];
    TRY(call_trace_id(c, trace_id));
    TRY_WRAP(analysis_read(q, trace_id, &of), "trace " STR_FMT, STR_ARG(c->path_values[0]));
    buf_init(&hex, 64);
    put_hex(&hex, trace_id, 16);
    memcpy(id, hex.p, 32);
    buf_done(&hex);
    struct writer r = {.w = &a->w, .a = a, .of = &of, .trace_id = {id, 32}};
    buf_init(&r.path, MIB);
    err e = write_claims(&r);
    buf_done(&r.path);
    return e;
}

void handle_trace_analysis(struct api_call *c) {
    struct query q;
    struct answer a;
    call_query_begin(c, &q);
    answer_begin(&a, &q);
    answer_end(c, &a, write_analysis(c, &q, &a));
}
