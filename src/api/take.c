#include "api/take_priv.h"

struct api_taking {
    struct ingest_request request;
    take_answer_fn answer;
};

/* ---- what fields say -------------------------------------------------------------------------------------------- */

bool media_type_is(struct str content_type, struct str wanted) {
    struct str head, rest;
    str_cut(content_type, ';', &head, &rest);
    return str_equal_nocase(str_trim(head), wanted);
}

struct str media_parameter(struct str content_type, struct str name) {
    struct str rest = content_type, part, key, value;
    bool more = str_cut(rest, ';', &part, &rest);
    while (more) {
        more = str_cut(rest, ';', &part, &rest);
        if (!str_cut(part, '=', &key, &value) || !str_equal_nocase(str_trim(key), name)) continue;
        value = str_trim(value);
        bool quoted = value.n > 1 && value.p[0] == '"' && value.p[value.n - 1] == '"';
        return quoted ? (struct str){value.p + 1, value.n - 2} : value;
    }
    return (struct str){NULL, 0};
}

bool encoding_is_taken(struct str encoding, struct str *out_problem) {
    static const struct str taken[] = {STR(""), STR("gzip"), STR("zstd"), STR("identity")};
    for (size_t i = 0; i < LENGTH(taken); i++)
        if (str_equal_nocase(encoding, taken[i])) return true;
    bool is_list = str_find(encoding, ',') >= 0;
    *out_problem =
        is_list ? STR("a list of Content-Encodings is not taken") : STR("this Content-Encoding is not taken");
    return false;
}

/* ---- there and back --------------------------------------------------------------------------------------------- */

/* On the log thread, or on the caller's when nothing had to be stored. */
static void on_ingested(void *context, err e, const struct ingest_outcome *outcome) {
    struct api_call *c = context;
    health_note(c->api, !e || err_kind(e) != ERR_UNAVAILABLE);
    if (!e)
        limits_count_rows(c->api->limits, call_tenant(c), c->taking->request.kind, outcome->taken, outcome->rejected);
    c->taking->answer(c, e, outcome);
}

static void take_large(struct api_call *c) {
    if (call_is_late(c)) return;
    ingest_body(c->api->options.ingest, &c->taking->request, on_ingested, c);
}

void call_take(struct api_call *c, const struct ingest_request *request, take_answer_fn answer) {
    c->taking = arena_new(&c->arena, struct api_taking);
    if (!c->taking) {
        call_fail(c, arena_err(&c->arena));
        return;
    }
    *c->taking = (struct api_taking){*request, answer};
    c->taking->request.tenant = call_tenant(c);
    c->taking->request.body = c->request.body;
    if (!ingest_body_if_small(c->api->options.ingest, &c->taking->request, on_ingested, c))
        call_run_on_work(c, take_large);
}

const struct ingest_request *call_taken(const struct api_call *c) { return &c->taking->request; }
