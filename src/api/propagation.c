/* Where context is lost, as JSON: GET /api/v1/propagation. */
#include "api/api_priv.h"
#include "insight/propagation.h"

static void write_text_or_null(struct json_writer *w, const char *name, struct str text) {
    json_key(w, str_of(name));
    if (text.n)
        json_str(w, text);
    else
        json_null(w);
}

static void write_service(struct json_writer *w, const struct propagation_service *s) {
    json_object(w);
    json_member(w, "service", str, s->name);
    write_text_or_null(w, "language", s->language);
    json_member(w, "span_count", u64, s->spans);
    json_member(w, "root_count", u64, s->roots);
    json_member(w, "outside_parent_count", u64, s->outside_parents);
    json_member(w, "missing_parent_count", u64, s->missing_parents);
    json_member(w, "span_with_id_count", u64, s->spans_with_id);
    json_member(w, "log_count", u64, s->logs);
    json_member(w, "log_without_trace_count", u64, s->logs_without_trace);
    json_member(w, "log_with_id_count", u64, s->logs_with_id);
    json_object_end(w);
}

static void write_sample(struct json_writer *w, const struct propagation_sample *s) {
    json_object(w);
    json_key(w, STR("trace_id"));
    write_id(w, s->trace_id, sizeof s->trace_id);
    json_key(w, STR("span_id"));
    write_id(w, &s->span_id, sizeof s->span_id);
    json_key(w, STR("other_trace_id"));
    write_id(w, s->other_trace_id, sizeof s->other_trace_id);
    json_object_end(w);
}

static void write_finding(struct json_writer *w, const struct propagation_finding *f) {
    struct propagation_advice advice[PROPAGATION_ADVICE_MAX];
    uint32_t n = propagation_advise(f, advice);
    json_object(w);
    json_member(w, "kind", text, propagation_kind_names[f->kind]);
    json_member(w, "certainty", text, propagation_certainty_names[f->certainty]);
    json_key(w, STR("caller"));
    if (f->caller.p)
        json_str(w, f->caller);
    else
        json_null(w);
    json_member(w, "service", str, f->service);
    json_member(w, "count", u64, f->count);
    json_member(w, "of_count", u64, f->of);
    json_member(w, "ratio", f64, f->of ? (double)f->count / (double)f->of : 0);
    json_key(w, STR("samples"));
    json_array(w);
    for (uint32_t i = 0; i < f->sample_count; i++) write_sample(w, &f->samples[i]);
    json_array_end(w);
    json_key(w, STR("advice"));
    json_array(w);
    for (uint32_t i = 0; i < n; i++) {
        json_object(w);
        json_member(w, "service", str, advice[i].service);
        json_member(w, "language", text, advice[i].language);
        json_member(w, "title", text, advice[i].title);
        json_member(w, "snippet", text, advice[i].snippet);
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
}

static bool is_wanted(const struct propagation_finding *f, struct str service) {
    return !service.p || str_equal(f->service, service) || (f->caller.p && str_equal(f->caller, service));
}

static err write_propagation(struct api_call *c, struct query *q, struct answer *a) {
    struct query_contexts r = {.environment = call_text(c, "environment"), .now_ns = c->now_ns};
    struct str service = call_text(c, "service");
    uint64_t limit = (uint64_t)call_number(c, "limit", 100), found = 0;
    struct propagation p;
    TRY(call_range(c, true, &r.time_min, &r.time_max));
    TRY(propagation_read(q, &r, &p));
    write_range(&a->w, p.time_min, p.time_max);
    json_member(&a->w, "span_count", u64, p.spans);
    json_member(&a->w, "log_count", u64, p.logs);
    json_key(&a->w, STR("services"));
    json_array(&a->w);
    for (uint32_t i = 0; i < p.n; i++) {
        if (!service.p || str_equal(p.services[i].name, service)) write_service(&a->w, &p.services[i]);
        if (i % 64 == 63) TRY(answer_settle(a));
    }
    json_array_end(&a->w);
    json_key(&a->w, STR("findings"));
    json_array(&a->w);
    for (size_t i = 0; i < p.finding_count; i++) {
        if (!is_wanted(&p.findings[i], service)) continue;
        if (found++ < limit) write_finding(&a->w, &p.findings[i]);
        if (i % 16 == 15) TRY(answer_settle(a));
    }
    json_array_end(&a->w);
    json_member(&a->w, "finding_count", u64, found);
    if (p.cut)
        a->partial_reason =
            "there are more rows than are looked at, or more findings than are kept: those of the range "
            "given here are whole; ask for a shorter one";
    return answer_settle(a);
}

void handle_propagation(struct api_call *c) {
    struct query q;
    struct answer a;
    call_query_begin(c, &q);
    answer_begin(&a, &q);
    answer_end(c, &a, write_propagation(c, &q, &a));
}
