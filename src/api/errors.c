/* The error inbox as JSON: GET /api/v1/errors. */
#include "api/api_priv.h"
#include "insight/analysis.h"
#include "insight/errors.h"

static void write_sample(struct json_writer *w, const struct query_failure_sample *s) {
    json_object(w);
    json_member(w, "trace_id", hex, s->trace_id, 16);
    json_member(w, "span_id", hex, &s->span_id, 8);
    json_member(w, "time", time, s->time);
    json_object_end(w);
}

static void write_callers(struct json_writer *w, const struct error_group *g) {
    json_member(w, "caller_count", u64, g->callers_found);
    json_key(w, STR("callers"));
    json_array(w);
    for (uint32_t i = 0; i < g->caller_n; i++) {
        json_object(w);
        json_member(w, "service", str, g->callers[i].service);
        json_member(w, "operation", str, g->callers[i].operation);
        json_member(w, "count", u64, g->callers[i].count);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_group(struct json_writer *w, const struct error_group *g) {
    const struct query_failure *f = &g->of;
    json_object(w);
    json_member(w, "fingerprint", text, g->fingerprint);
    json_member(w, "service", str, f->service);
    json_member(w, "namespace", str, f->space);
    json_member(w, "environment", str, f->environment);
    json_member(w, "environment_count", u64, g->environments);
    json_member(w, "operation", str, f->operation);
    json_key(w, STR("kind"));
    write_kind(w, f->kind);
    json_member(w, "error_type", str, analysis_error_name(f->error, g->exception_type));
    json_member(w, "pattern", str, g->pattern);
    json_member(w, "message", str, f->message);
    json_member(w, "variant_count", u64, g->variants);
    json_member(w, "exception_type", str, g->exception_type);
    json_member(w, "exception_message", str, g->exception_message);
    json_member(w, "count", u64, f->count);
    json_member(w, "passed_through_count", u64, f->passed_through);
    write_callers(w, g);
    json_member(w, "first_seen", time, f->first);
    json_member(w, "last_seen", time, f->last);
    json_member(w, "trend", text, error_trend_names[g->trend]);
    write_counts(w, "bucket_counts", f->buckets, QUERY_FAILURE_BUCKETS);
    json_key(w, STR("samples"));
    json_array(w);
    for (uint32_t i = 0; i < f->sample_count; i++) write_sample(w, &f->samples[i]);
    json_array_end(w);
    json_object_end(w);
}

static err write_errors(struct api_call *c, struct query *q, struct answer *a) {
    struct query_filter f;
    struct error_groups found;
    TRY(call_filter(c, q, false, &f));
    TRY(errors_read(q, &f, call_text(c, "fingerprint"), (size_t)call_number(c, "limit", 100), &found));
    write_range(&a->w, found.time_min, found.time_max);
    json_member(&a->w, "error_count", u64, found.total);
    json_member(&a->w, "passed_through_count", u64, found.passed_through);
    json_member(&a->w, "unfolded_count", u64, found.unfolded);
    json_member(&a->w, "group_count", u64, found.found);
    json_member(&a->w, "other_count", u64, found.other);
    json_key(&a->w, STR("groups"));
    json_array(&a->w);
    for (size_t i = 0; i < found.n; i++) {
        write_group(&a->w, &found.groups[i]);
        if (i % 32 == 31) TRY(answer_settle(a));
    }
    json_array_end(&a->w);
    return answer_settle(a);
}

void handle_errors(struct api_call *c) {
    struct query q;
    struct answer a;
    call_query_begin(c, &q);
    answer_begin(&a, &q);
    answer_end(c, &a, write_errors(c, &q, &a));
}
