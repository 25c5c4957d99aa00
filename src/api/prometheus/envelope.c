/* How answers of Prometheus's API begin and end. */
#include "api/prometheus/prometheus_priv.h"

#include <stdio.h>

#include "base/budget.h"
#include "os/clock.h"

/* Statuses and what Prometheus calls them. */
static const struct {
    int status;
    const char *type;
} types[] = {
    {400, "bad_data"},       {401, "unauthorized"}, {403, "forbidden"}, {404, "not_found"},   {405, "bad_data"},
    {406, "not_acceptable"}, {408, "timeout"},      {409, "bad_data"},  {413, "bad_data"},    {415, "bad_data"},
    {422, "execution"},      {429, "unavailable"},  {499, "canceled"},  {503, "unavailable"},
};

static void put_error(struct buf *out, const char *type, struct str message) {
    struct json_writer w;
    json_writer_init(&w, out);
    json_object(&w);
    json_member(&w, "status", text, "error");
    json_member(&w, "errorType", text, type);
    json_member(&w, "error", str, message);
    json_object_end(&w);
}

void prometheus_put_error(struct buf *out, int status, struct str message) {
    const char *type = status < 500 ? "bad_data" : "internal";
    for (size_t i = 0; i < LENGTH(types); i++)
        if (types[i].status == status) type = types[i].type;
    put_error(out, type, message);
}

err prometheus_bad(struct prometheus *p, err e) {
    if (e && err_kind(e) == ERR_INVALID) p->failure = FAILURE_BAD_DATA;
    return e;
}

err prometheus_bad_param(struct prometheus *p, const char *name, err e) {
    return prometheus_bad(p, err_wrap(e, "invalid parameter \"%s\"", name));
}

void prometheus_note(struct prometheus *p, struct str warning) {
    if (p->note_n < PROMETHEUS_NOTES_MAX) p->notes[p->note_n++] = warning;
}

/* ---- ends ------------------------------------------------------------------------------------------------------- */

static void reply_error(struct api_call *c, int status, const char *type, struct str message) {
    struct buf body;
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%u", call_retry_s(c, status));
    struct http_field retry = {STR("Retry-After"), str_of(seconds)};
    buf_init(&body, 64 * KIB);
    put_error(&body, type, message);
    call_reply(c, &(struct api_reply){.status = status,
                                      .content_type = STR("application/json"),
                                      .body = buf_str(&body),
                                      .fields = &retry,
                                      .field_count = status == 429});
    buf_done(&body);
}

/* A full arena does not know whose it is. */
static void fail_limit(struct prometheus *p, struct str message) {
    AUTO_BUF struct buf text;
    buf_init(&text, 4 * KIB);
    buf_add_str(&text, message);
    if (p->ran_full) buf_add_text(&text, ": ask for fewer series, fewer steps or a shorter range");
    reply_error(p->c, 422, "execution", buf_str(&text));
}

/* Consumes e. What a query ran into is its execution's fault; the caller's words are bad data. */
static void fail(struct prometheus *p, bool late, err e) {
    struct api_call *c = p->c;
    struct str message = str_of(err_text(e));
    switch ((int)err_kind(e)) {
    case ERR_INVALID:
        if (p->failure == FAILURE_BAD_DATA)
            reply_error(c, 400, "bad_data", message);
        else
            reply_error(c, 422, "execution", message);
        break;
    case ERR_LIMIT: fail_limit(p, message); break;
    case ERR_BUSY: reply_error(c, 429, "unavailable", message); break;
    case ERR_CANCELLED:
        if (late) {
            reply_error(c, 503, "timeout", STR("query timed out in expression evaluation"));
            break;
        }
        call_fail(c, e); /* counts those whose asker has gone */
        return;
    default: call_fail(c, e); return;
    }
    err_free(e);
}

static void write_texts(struct json_writer *w, struct str name, const struct str *a, size_t a_n, const struct str *b,
                        size_t b_n) {
    if (a_n + b_n == 0) return;
    json_key(w, name);
    json_array(w);
    for (size_t i = 0; i < a_n; i++) json_str(w, a[i]);
    for (size_t i = 0; i < b_n; i++) json_str(w, b[i]);
    json_array_end(w);
}

/* A million series are 300 MB of labels: these queries may take a quarter of the budget, if that is more; none may take more than all. */
static void allow_memory(struct query *q) {
    if (!q->options.budget) return;
    uint64_t all = q->options.budget->limit_bytes;
    q->options.memory_max_bytes = MIN(MAX(q->options.memory_max_bytes, all / 4), all);
    q->arena.limit_bytes = q->options.memory_max_bytes;
}

static bool begin(struct prometheus *p, struct api_call *c) {
    *p = (struct prometheus){.c = c};
    call_query_begin(c, &p->q);
    allow_memory(&p->q);
    buf_init(&p->a.body, p->q.options.memory_max_bytes);
    json_writer_init(&p->a.w, &p->a.body);
    p->a.q = &p->q;
    err e = series_source_open(&p->q, &p->source);
    p->source.now_ns = c->now_ns;
    if (!e) return true;
    query_end(&p->q);
    buf_done(&p->a.body);
    fail(p, false, e);
    return false;
}

/* Ends the query, then the call with `reply` (whose body is p's if it has none), or with e. */
static void end(struct prometheus *p, err e, struct api_reply reply) {
    bool late = clock_monotonic_ns() > p->q.deadline_ns;
    p->ran_full = p->q.arena.full;
    if (!e) e = answer_settle(&p->a);
    series_source_close(&p->source);
    query_end(&p->q);
    reply.body = buf_str(&p->a.body);
    if (e)
        fail(p, late, e);
    else
        call_reply(p->c, &reply);
    buf_done(&p->a.body);
}

void prometheus_answer(struct api_call *c, err (*fill)(struct prometheus *p)) {
    struct prometheus p;
    if (!begin(&p, c)) return;
    struct json_writer *w = &p.a.w;
    json_object(w);
    json_member(w, "status", text, "success");
    json_key(w, STR("data"));
    err e = fill(&p);
    struct str damage = series_source_warning(&p.source);
    if (damage.n) prometheus_note(&p, damage);
    if (!e) {
        write_texts(w, STR("warnings"), p.warnings, p.warning_n, p.notes, p.note_n);
        write_texts(w, STR("infos"), p.infos, p.info_n, NULL, 0);
        json_object_end(w);
    }
    end(&p, e, (struct api_reply){.status = 200, .content_type = STR("application/json")});
}

void prometheus_do(struct api_call *c, err (*act)(struct prometheus *p)) {
    struct prometheus p;
    if (!begin(&p, c)) return;
    end(&p, act(&p), (struct api_reply){.status = 204});
}

void prometheus_answer_as(struct api_call *c, err (*fill)(struct prometheus *p, struct api_reply *reply)) {
    struct prometheus p;
    struct api_reply reply = {.status = 200};
    if (!begin(&p, c)) return;
    err e = fill(&p, &reply);
    end(&p, e, reply);
}
