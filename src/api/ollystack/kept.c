/* What upstream answers without keeping anything: alerts, dashboards, /query and the questions of /ai. And how it is: /health, /ready. */
#include "api/ollystack/ollystack_priv.h"

#include "base/text.h"
#include "store/store.h"

/* ---- records ---------------------------------------------------------------------------------------------------- */

/* The members of a record, in their order: how an absent one is written. */
struct record_member {
    const char *name, *absent;
    enum json_token kind; /* of a value that is taken: JSON_STRING, JSON_OBJECT, JSON_ARRAY, JSON_TRUE */
};
struct record_kind {
    const char *path, *list, *not_found;
    struct record_member members[12];
};
/* Go's time that was not set is of year 1. */
#define TIMES                                                                                                          \
    {"createdAt", "\"0001-01-01T00:00:00Z\"", JSON_STRING}, { "updatedAt", "\"0001-01-01T00:00:00Z\"", JSON_STRING }
#define TEXT_MEMBER(name)                                                                                              \
    { name, "\"\"", JSON_STRING }
static const struct record_kind record_kinds[] = {
    {"/ollystack/api/v1/alerts",
     "{\"alerts\":[]}",
     "alert not found",
     {TEXT_MEMBER("id"),
      TEXT_MEMBER("name"),
      TEXT_MEMBER("query"),
      TEXT_MEMBER("condition"),
      TEXT_MEMBER("severity"),
      {"labels", "null", JSON_OBJECT},
      {"annotations", "null", JSON_OBJECT},
      {"enabled", "false", JSON_TRUE},
      TIMES}},
    {"/ollystack/api/v1/dashboards",
     "{\"dashboards\":[]}",
     "dashboard not found",
     {TEXT_MEMBER("id"),
      TEXT_MEMBER("name"),
      TEXT_MEMBER("description"),
      {"panels", "null", JSON_ARRAY},
      {"variables", "null", JSON_ARRAY},
      {"timeRange", "null", JSON_OBJECT},
      TIMES}},
};

static const struct record_kind *kind_of(const struct api_call *c) {
    size_t i = 0;
    while (i + 1 < LENGTH(record_kinds) && !str_starts_with(c->path, str_of(record_kinds[i].path))) i++;
    return &record_kinds[i];
}

void handle_olly_records(struct api_call *c) { olly_answer_text(c, 200, str_of(kind_of(c)->list)); }
void handle_olly_record(struct api_call *c) { olly_fail(c, 404, str_of(kind_of(c)->not_found)); }
void handle_olly_record_delete(struct api_call *c) { call_reply(c, &(struct api_reply){.status = 204}); }

static bool is_of_kind(enum json_token wanted, enum json_token t) {
    return t == wanted || (wanted == JSON_TRUE && t == JSON_FALSE);
}

/* The value whose first token was read, as it stands in the body; p NULL: it is not whole. */
static struct str value_text(struct json_reader *r, enum json_token t) {
    size_t from = r->token;
    int depth = t == JSON_OBJECT || t == JSON_ARRAY;
    while (depth > 0) {
        t = json_next(r);
        if (t == JSON_ERROR || t == JSON_END) return (struct str){NULL, 0};
        depth += t == JSON_OBJECT || t == JSON_ARRAY;
        depth -= t == JSON_OBJECT_END || t == JSON_ARRAY_END;
    }
    return str_trim((struct str){r->text.p + from, r->at - from});
}

static err take_value(struct api_call *c, struct json_reader *r, const struct record_kind *k, struct str *values) {
    size_t i = 0;
    while (k->members[i].name && !str_equal(r->value, str_of(k->members[i].name))) i++;
    enum json_token t = json_next(r);
    if (t == JSON_ERROR) return json_reader_err(r);
    struct str text = value_text(r, t);
    if (!text.p) return json_reader_err(r);
    if (!k->members[i].name || t == JSON_NULL) return NULL;
    if (!is_of_kind(k->members[i].kind, t))
        return err_new(ERR_INVALID, "json: cannot unmarshal into Go struct field .%s", k->members[i].name);
    values[i] = arena_copy(&c->arena, text);
    return arena_err(&c->arena);
}

static err read_record(struct api_call *c, const struct record_kind *k, struct str *values) {
    struct json_reader r;
    struct str body = str_trim(c->request.body);
    if (!body.n) return err_new(ERR_INVALID, "EOF");
    if (body.n > OLLY_BODY_MAX) return err_new(ERR_LIMIT, "the body has more than %d bytes", OLLY_BODY_MAX);
    json_reader_init(&r, body, OLLY_BODY_DEPTH);
    enum json_token t = json_next(&r);
    err e = t == JSON_OBJECT || t == JSON_ERROR ? NULL : err_new(ERR_INVALID, "json: cannot unmarshal into Go value");
    while (!e && t != JSON_ERROR && (t = json_next(&r)) == JSON_KEY) e = take_value(c, &r, k, values);
    if (!e && r.error) e = json_reader_err(&r);
    if (!e && json_next(&r) != JSON_END) e = err_new(ERR_INVALID, "something follows the object");
    json_reader_done(&r);
    return e;
}

/* As upstream: what was sent comes back, and nothing is kept. */
static void echo(struct api_call *c, int status) {
    const struct record_kind *k = kind_of(c);
    struct str values[LENGTH(k->members)] = {{NULL, 0}};
    AUTO_BUF struct buf body, escaped;
    struct json_writer w;
    buf_init(&body, 4 * OLLY_BODY_MAX);
    buf_init(&escaped, 24 * OLLY_BODY_MAX);
    err e = read_record(c, k, values);
    if (e) {
        call_fail(c, e);
        return;
    }
    json_writer_init(&w, &body);
    json_object(&w);
    for (size_t i = 0; i < LENGTH(k->members) && k->members[i].name; i++) {
        json_key(&w, str_of(k->members[i].name));
        json_raw(&w, values[i].p ? values[i] : str_of(k->members[i].absent));
    }
    json_object_end(&w);
    olly_put_go_json(&escaped, buf_str(&body));
    olly_answer_text(c, status, buf_str(&escaped));
}

void handle_olly_record_make(struct api_call *c) { echo(c, 201); }
void handle_olly_record_put(struct api_call *c) { echo(c, 200); }

/* ---- questions that upstream answers with nothing ------------------------------------------------------------------ */

/* A body with this text in it, and an answer of null. */
static void answer_null(struct api_call *c, const char *required) {
    struct str text = {"", 0};
    const struct olly_member members[] = {{required, OLLY_TEXT, &text, NULL}};
    err e = olly_body(c, members, LENGTH(members));
    if (!e && !text.n) e = err_new(ERR_INVALID, "%s is required", required);
    if (e)
        call_fail(c, e);
    else
        olly_answer_text(c, 200, STR("null"));
}

void handle_olly_query(struct api_call *c) { answer_null(c, "query"); }

/* /ai/ask needs a question, /ai/analyze nothing. */
void handle_olly_ask(struct api_call *c) {
    if (str_ends_with(c->path, STR("/ask"))) {
        answer_null(c, "question");
        return;
    }
    err e = olly_body(c, NULL, 0);
    if (e)
        call_fail(c, e);
    else
        olly_answer_text(c, 200, STR("null"));
}

void handle_olly_suggestions(struct api_call *c) { olly_answer_text(c, 200, STR("{\"suggestions\":[]}")); }

/* ---- how it is -------------------------------------------------------------------------------------------------- */

static void begin(struct json_writer *w, struct buf *body) {
    buf_init(body, 4 * KIB);
    json_writer_init(w, body);
    json_object(w);
}

void handle_olly_health(struct api_call *c) {
    AUTO_BUF struct buf body;
    struct json_writer w;
    begin(&w, &body);
    json_member(&w, "service", text, "ai-engine");
    json_member(&w, "status", text, "healthy");
    olly_key_time(&w, "timestamp", c->now_ns);
    json_object_end(&w);
    olly_answer_text(c, 200, buf_str(&body));
}

void handle_olly_ready(struct api_call *c) {
    AUTO_BUF struct buf body;
    struct json_writer w;
    err store = store_health(c->api->options.store);
    const char *problem = store ? err_text(store) : atomic_load(&c->api->draining) ? "draining" : NULL;
    begin(&w, &body);
    if (problem && c->is_ai) {
        json_member(&w, "detail", text, problem);
    } else if (problem) {
        json_member(&w, "error", text, problem);
        json_member(&w, "status", text, "not ready");
    } else {
        json_member(&w, "status", text, "ready");
        olly_key_time(&w, "timestamp", c->now_ns);
    }
    json_object_end(&w);
    err_free(store);
    olly_answer_text(c, problem ? 503 : 200, buf_str(&body));
}
