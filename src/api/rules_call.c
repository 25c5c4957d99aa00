/* Groups of rules as files of rules: checked while they are typed, tested against the past, and written as a file. What is kept is in records_call.c. */
#include "api/api_priv.h"

#include "alert/backtest.h"
#include "alert/group_text.h"
#include "api/prometheus/prometheus_priv.h"
#include "api/records_priv.h"
#include "base/text.h"
#include "os/clock.h"

enum { TEXT_BYTES_MAX = 2 << 20, TREE_BYTES_MAX = 256 << 20, ANSWER_BYTES = 16 << 20, TESTED_MAX = 1000 };

/* ---- the body ---------------------------------------------------------------------------------------------------- */

/* {"text": "groups: …"}; what else is in it is for later. */
static err read_text(struct api_call *c, struct str *out) {
    struct json_reader r;
    enum json_token t;
    struct str text = {0};
    TRY(call_body_is_json(c));
    json_reader_init(&r, c->request.body, 8);
    err e = json_next(&r) == JSON_OBJECT ? NULL : err_new(ERR_INVALID, "the body must be an object");
    while (!e && (t = json_next(&r)) == JSON_KEY) {
        bool wanted = str_equal(r.value, STR("text"));
        if (!wanted && !json_skip(&r)) break;
        if (!wanted) continue;
        if (json_next(&r) != JSON_STRING) e = err_new(ERR_INVALID, "text: must be a text");
        if (!e && r.value.n > TEXT_BYTES_MAX) e = err_new(ERR_LIMIT, "text: more than %d MiB", TEXT_BYTES_MAX >> 20);
        if (!e) text = arena_copy(&c->arena, r.value);
        if (!e) e = arena_err(&c->arena);
    }
    if (!e) e = json_reader_err(&r);
    json_reader_done(&r);
    if (!e && !text.p)
        e = err_new(ERR_INVALID, "text: is missing; a file of rules, as groups: [{name: …, rules: […]}]");
    if (!e) *out = text;
    return e;
}

/* ---- checking ---------------------------------------------------------------------------------------------------- */

/* "rules:LINE: what" lines as objects. */
static void write_problems(struct json_writer *w, struct str lines) {
    struct str line, rest = lines;
    json_key(w, STR("problems"));
    json_array(w);
    while (rest.n) {
        struct str path, number, what;
        uint64_t n = 0;
        str_cut(rest, '\n', &line, &rest);
        bool placed = str_cut(line, ':', &path, &what) && str_cut(what, ':', &number, &what);
        err e = placed ? parse_u64(number, &n) : err_new(ERR_INVALID, "no line");
        json_object(w);
        if (!e) json_member(w, "line", u64, n);
        json_member(w, "message", str, e ? line : str_trim(what));
        json_object_end(w);
        err_free(e);
        if (!line.p || line.p + line.n >= lines.p + lines.n) break;
    }
    json_array_end(w);
}

struct checked {
    struct json_writer *w;
    struct api_call *c;
    struct buf problems; /* that only a row has */
};

static err write_checked(void *context, struct str name, struct str json) {
    struct checked *x = context;
    AUTO_ARENA struct arena a;
    struct str read_name;
    arena_init(&a, MIB);
    err e = record_check(CATALOG_RULES, json, &a, &read_name);
    if (e) buf_add_fmt(&x->problems, "rules:1: group \"" STR_FMT "\": %s\n", STR_ARG(name), err_text(e));
    err_free(e);
    json_object(x->w);
    json_member(x->w, "name", str, name);
    json_member(x->w, "body", raw, json);
    json_object_end(x->w);
    return NULL;
}

static err check(struct api_call *c, struct json_writer *w) {
    AUTO_ARENA struct arena a;
    AUTO_BUF struct buf problems;
    struct rule_file file;
    struct str text;
    struct checked x = {.w = w, .c = c};
    arena_init(&a, TREE_BYTES_MAX);
    buf_init(&problems, MIB);
    buf_init(&x.problems, MIB);
    TRY(read_text(c, &text));
    TRY(rules_read(text, "rules", &a, &file, &problems));
    json_object(w);
    json_key(w, STR("groups"));
    json_array(w);
    err e = problems.n ? NULL : rule_groups_json(text, &a, write_checked, &x);
    json_array_end(w);
    if (!e) write_problems(w, problems.n ? buf_str(&problems) : x.problems.n ? buf_str(&x.problems) : STR(""));
    json_object_end(w);
    buf_done(&x.problems);
    return e;
}

static void answer(struct api_call *c, err (*fill)(struct api_call *c, struct json_writer *w)) {
    struct buf body;
    struct json_writer w;
    buf_init(&body, ANSWER_BYTES);
    json_writer_init(&w, &body);
    err e = fill(c, &w);
    if (e)
        call_fail(c, e);
    else
        call_answer_json(c, 200, &body);
    buf_done(&body);
}

void handle_rules_check(struct api_call *c) { answer(c, check); }

/* ---- testing against the past ------------------------------------------------------------------------------------ */

struct testing {
    struct api_call *c;
    struct json_writer *w;
    int64_t deadline_ns; /* monotonic; of all of it */
    bool partial;
};

static void write_set(struct json_writer *w, struct labels l) {
    json_key(w, STR("labels"));
    json_object(w);
    for (uint32_t i = 0; i < l.n; i++) {
        if (str_equal(l.v[i].name, STR("__name__"))) continue;
        json_key(w, l.v[i].name);
        json_str(w, l.v[i].value);
    }
    json_object_end(w);
}

static void write_firings(struct json_writer *w, const struct backtest *b) {
    json_member(w, "count", u64, b->count);
    json_member(w, "firing_ns", u64, b->firing_ns);
    json_key(w, STR("firings"));
    json_array(w);
    for (size_t i = 0; i < b->n; i++) {
        const struct backtest_firing *f = &b->v[i];
        json_object(w);
        write_set(w, f->labels);
        json_member(w, "pending", time, f->active_ns);
        json_member(w, "start", time, f->start_ns);
        json_key(w, STR("end"));
        if (f->goes_on)
            json_null(w);
        else
            json_time(w, f->end_ns);
        json_object_end(w);
    }
    json_array_end(w);
}

/* A rule that fails says so, and the others are tested; what ends the whole call is an error. */
static err test_rule(struct testing *t, const struct rule_group *g, size_t i, const struct backtest *range) {
    struct json_writer *w = t->w;
    const struct rule *rule = &g->rules[i];
    struct series_source source = {0};
    struct backtest b = *range;
    struct query q;
    call_query_begin(t->c, &q);
    q.deadline_ns = t->deadline_ns;
    err e = series_source_open(&q, &source);
    if (!e) e = rule_backtest(g, rule, &source, &b);
    bool whole = e && (err_kind(e) == ERR_CANCELLED || err_kind(e) == ERR_BUSY || err_kind(e) == ERR_UNAVAILABLE);
    if (!whole) {
        json_object(w);
        json_member(w, "group", str, g->name);
        json_member(w, "name", str, rule->name);
        json_member(w, "line", i64, rule->line);
        json_member(w, "step_ns", i64, range->step_ns);
        json_member(w, "reads_recorded", bool, rule_reads_recorded(g, i));
        if (e)
            json_member(w, "error", text, err_text(e));
        else
            write_firings(w, &b);
        json_object_end(w);
        t->partial |= query_gave_up(&q) || series_source_warning(&source).n > 0;
        err_free(e);
        e = NULL;
    }
    series_source_close(&source);
    query_end(&q);
    return e;
}

static err test_groups(struct testing *t, const struct rule_file *file) {
    struct api_call *c = t->c;
    int64_t end = call_number(c, "end", c->now_ns), start = call_number(c, "start", end - 7 * INT64_C(86400000000000));
    size_t tested = 0;
    end = MIN(end, c->now_ns);
    for (size_t g = 0; g < file->n; g++) {
        const struct rule_group *group = &file->groups[g];
        struct backtest range = {.start_ns = start, .end_ns = end};
        TRY(backtest_steps(group, &range.start_ns, &range.end_ns, &range.step_ns));
        for (size_t i = 0; i < group->n; i++) {
            if (!group->rules[i].is_alert) continue;
            if (tested++ == TESTED_MAX) return err_new(ERR_LIMIT, "more than %d alerts at once", TESTED_MAX);
            TRY(test_rule(t, group, i, &range));
        }
    }
    return NULL;
}

static err backtest(struct api_call *c, struct json_writer *w) {
    AUTO_ARENA struct arena a;
    AUTO_BUF struct buf problems;
    struct rule_file file;
    struct str text;
    struct testing t = {.c = c, .w = w, .deadline_ns = clock_monotonic_ns() + c->api->options.query_timeout_ns};
    arena_init(&a, TREE_BYTES_MAX);
    buf_init(&problems, MIB);
    TRY(read_text(c, &text));
    TRY(rules_read(text, "rules", &a, &file, &problems));
    if (problems.n) return err_new(ERR_INVALID, "%.*s", (int)MIN(problems.n - 1, (size_t)900), problems.p);
    json_object(w);
    json_key(w, STR("rules"));
    json_array(w);
    TRY(test_groups(&t, &file));
    json_array_end(w);
    json_member(w, "partial", bool, t.partial);
    json_object_end(w);
    return NULL;
}

void handle_rules_backtest(struct api_call *c) { answer(c, backtest); }

/* ---- as a file --------------------------------------------------------------------------------------------------- */

static void answer_file(struct api_call *c, err e, struct buf *text) {
    struct http_field field = {STR("Content-Disposition"), STR("attachment; filename=\"rules.yml\"")};
    if (!e && text->full)
        e = err_new(ERR_LIMIT, "the file is larger than %d MiB; ask for one group", ANSWER_BYTES >> 20);
    if (e)
        call_fail(c, e);
    else
        call_reply(c, &(struct api_reply){.status = 200,
                                          .content_type = STR("application/yaml"),
                                          .body = buf_str(text),
                                          .fields = &field,
                                          .field_count = 1});
    buf_done(text);
}

struct writing {
    struct str tenant;
    struct buf *out;
};

static err put_document(struct buf *out, struct str body) {
    AUTO_ARENA struct arena a;
    arena_init(&a, TREE_BYTES_MAX);
    return rule_group_yaml(body, &a, out);
}

void handle_rules_file(struct api_call *c) {
    AUTO_ARENA struct arena a;
    struct catalog *catalog = c->api->options.catalog;
    struct catalog_list list = {0};
    struct buf text;
    arena_init(&a, ANSWER_BYTES);
    buf_init(&text, ANSWER_BYTES);
    buf_add_text(&text, "groups:\n");
    err e = catalog ? catalog_find(catalog, call_tenant(c), CATALOG_RULES, STR(""), &a, &list) : NULL;
    for (size_t i = 0; i < list.n && !e && !text.full; i++) {
        AUTO_ARENA struct arena of_one;
        struct catalog_document d;
        arena_init(&of_one, 2 * MIB);
        e = catalog_get(catalog, call_tenant(c), CATALOG_RULES, list.v[i].id, &of_one, &d);
        if (e && err_kind(e) == ERR_NOT_FOUND) { /* deleted meanwhile */
            err_free(e);
            e = NULL;
            continue;
        }
        if (!e) e = put_document(&text, d.body);
    }
    if (!e && !list.n) buf_clear(&text), buf_add_text(&text, "groups: []\n");
    answer_file(c, e, &text);
}

void handle_rules_group_file(struct api_call *c) {
    AUTO_ARENA struct arena a;
    struct catalog *catalog = c->api->options.catalog;
    struct catalog_document d;
    struct buf text;
    arena_init(&a, ANSWER_BYTES);
    buf_init(&text, ANSWER_BYTES);
    err e = catalog ? catalog_get(catalog, call_tenant(c), CATALOG_RULES, c->path_values[0], &a, &d)
                    : err_new(ERR_NOT_FOUND, "there is no data directory: no records are kept");
    buf_add_text(&text, "groups:\n");
    if (!e) e = put_document(&text, d.body);
    answer_file(c, e, &text);
}

/* ---- reading files again ----------------------------------------------------------------------------------------- */

void handle_reload(struct api_call *c) {
    const struct api_options *o = &c->api->options;
    err e = o->reload ? o->reload(o->reload_context) : NULL;
    if (e) {
        call_fail_as(c, 500, err_kind_rows[ERR_INTERNAL].grpc, ERR_INVALID, str_of(err_text(e)), STR(""), NULL);
        err_free(e);
        return;
    }
    call_reply(c, &(struct api_reply){.status = 200});
}
