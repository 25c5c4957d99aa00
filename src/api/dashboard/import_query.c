/* What a panel of Grafana asks, as questions of clew: PromQL as it is, searches of Jaeger and Tempo, selectors of Loki with words in them. */
#include <stdio.h>

#include "api/dashboard/import_priv.h"
#include "base/text.h"

enum { VALUE_BYTES = 1024 };

enum source { SOURCE_PROMETHEUS, SOURCE_LOGS, SOURCE_TRACES, SOURCE_UNKNOWN };

struct asking {
    struct importer *im;
    const char *path;
    struct str kind, title;
    struct buf *why; /* what an unknown panel says */
    size_t kept, refused;
};

/* ---- whom it asks ----------------------------------------------------------------------------------------------------- */

/* A type, an id or a name: what is known of it is what it contains. */
static enum source source_called(struct str s, enum source otherwise) {
    static const struct {
        const char *part;
        enum source is;
    } parts[] = {{"loki", SOURCE_LOGS},
                 {"Loki", SOURCE_LOGS},
                 {"LOKI", SOURCE_LOGS},
                 {"jaeger", SOURCE_TRACES},
                 {"Jaeger", SOURCE_TRACES},
                 {"tempo", SOURCE_TRACES},
                 {"Tempo", SOURCE_TRACES},
                 {"prometheus", SOURCE_PROMETHEUS},
                 {"Prometheus", SOURCE_PROMETHEUS},
                 {"PROMETHEUS", SOURCE_PROMETHEUS}};
    for (size_t i = 0; i < LENGTH(parts); i++)
        if (str_contains(s, str_of(parts[i].part))) return parts[i].is;
    return otherwise;
}

static enum source source_of(const struct parsed *d, enum source otherwise) {
    struct str type = parsed_text(d, "type"), uid = parsed_text(d, "uid");
    if (d->type == JSON_STRING) uid = d->text;
    if (str_starts_with(uid, STR("-- Mixed"))) return otherwise;
    if (type.n)
        return source_called(type, str_equal(type, STR("datasource")) && otherwise != SOURCE_UNKNOWN &&
                                           str_starts_with(uid, STR("$"))
                                       ? otherwise
                                       : SOURCE_UNKNOWN);
    if (uid.n == 0 || uid.p[0] == '$' || str_equal(uid, STR("default"))) return source_called(uid, otherwise);
    if (str_starts_with(uid, STR("-- "))) return SOURCE_UNKNOWN;
    return source_called(uid, otherwise);
}

static void refuse(struct asking *q, const struct parsed *target, struct str text, const char *what) {
    struct str id = import_cut(parsed_text(target, "refId"), 16);
    q->refused++;
    import_note(q->im, q->path, q->title, "query " STR_FMT ": %s", STR_ARG(id), what);
    buf_add_fmt(q->why, "Query " STR_FMT ": %s\n" STR_FMT "\n", STR_ARG(id), what, STR_ARG(import_cut(text, 4096)));
}

/* ---- PromQL ------------------------------------------------------------------------------------------------------------ */

/* The least step; one with a variable in it is left to the width of the panel. */
static void import_step(struct importer *im, struct str interval) {
    int64_t ns = 0;
    err e = interval.n ? parse_duration(interval, &ns) : NULL;
    if (!e && ns >= 1000000000) import_member(im, "step", interval);
    err_free(e);
}

static void import_promql(struct asking *q, const struct parsed *target) {
    struct str expr = parsed_text(target, "expr"), legend = parsed_text(target, "legendFormat");
    struct json_writer *w = &q->im->w;
    AUTO_ARENA struct arena parsed;
    char what[400];
    arena_init(&parsed, 32 * MIB);
    if (str_is_empty(str_trim(expr))) return; /* Grafana leaves such behind, and asks nothing by them */
    err e = expression_check(expr, &q->im->samples, &parsed);
    if (e) {
        snprintf(what, sizeof what, "PromQL that does not parse: %s", err_text(e));
        refuse(q, target, expr, what);
        err_free(e);
        return;
    }
    json_object(w);
    json_member(w, "kind", text, "promql");
    json_member(w, "expr", str, expr);
    if (!str_equal(legend, STR("__auto"))) import_member(q->im, "legend", import_cut(legend, VALUE_BYTES));
    import_step(q->im, parsed_text(target, "interval"));
    bool is_table = str_equal(parsed_text(target, "format"), STR("table"));
    if (parsed_true(target, "instant") || (is_table && !parsed_true(target, "range")))
        json_member(w, "instant", bool, true);
    if (parsed_true(target, "hide")) json_member(w, "hidden", bool, true);
    json_object_end(w);
    q->kept++;
}

/* ---- logs --------------------------------------------------------------------------------------------------------------- */

struct log_query {
    struct str service, text;
};

static struct str skip(struct str s, size_t n) { return (struct str){s.p + n, s.n - n}; }

/* "text" or `text` at the front, without escapes. */
static bool quoted(struct str *s, struct str *out) {
    *s = str_trim(*s);
    if (s->n < 2 || (s->p[0] != '"' && s->p[0] != '`')) return false;
    ptrdiff_t end = str_find(skip(*s, 1), s->p[0]);
    if (end < 0) return false;
    *out = (struct str){s->p + 1, (size_t)end};
    *s = str_trim(skip(*s, (size_t)end + 2));
    return str_find(*out, '\\') < 0 && out->n <= VALUE_BYTES / 2;
}

/* {service_name="x"} |= "word": the rest of LogQL clew does not speak. */
static bool read_selector(struct str text, struct log_query *out) {
    struct str s = str_trim(text);
    if (s.n == 0 || s.p[0] != '{') return false;
    s = str_trim(skip(s, 1));
    while (s.n && s.p[0] != '}') {
        struct str name, value;
        if (!str_cut(s, '=', &name, &s) || !quoted(&s, &value)) return false;
        if (!word_among(str_trim(name), "service_name service app job container")) return false;
        if (out->service.n) return false;
        out->service = value;
        if (s.n && s.p[0] == ',') s = str_trim(skip(s, 1));
    }
    if (s.n == 0) return false;
    s = str_trim(skip(s, 1));
    if (s.n == 0) return true;
    if (!str_starts_with(s, STR("|="))) return false;
    s = skip(s, 2);
    return quoted(&s, &out->text) && s.n == 0;
}

static void import_logs(struct asking *q, const struct parsed *target) {
    struct log_query found = {0};
    struct str expr = parsed_text(target, "expr");
    if (!str_equal(q->kind, STR("logs")) || !read_selector(expr, &found)) {
        refuse(q, target, expr, "LogQL, of which clew knows {service_name=\"…\"} |= \"…\" in a panel of logs");
        return;
    }
    json_object(&q->im->w);
    json_member(&q->im->w, "kind", text, "logs");
    import_member(q->im, "service", found.service);
    import_member(q->im, "text", found.text);
    json_object_end(&q->im->w);
    q->kept++;
}

/* ---- traces ------------------------------------------------------------------------------------------------------------- */

static void import_traces(struct asking *q, const struct parsed *target) {
    struct str type = parsed_text(target, "queryType"), service = parsed_text(target, "service");
    bool shows = word_among(q->kind, "traces table");
    if (!shows || (type.n && !str_equal(type, STR("search"))) || parsed_text(target, "query").n) {
        refuse(q, target, parsed_text(target, "query"),
               "a question about traces that is no search by service and operation");
        return;
    }
    if (parsed_text(target, "tags").n) import_note(q->im, q->path, q->title, "tags of the search for traces");
    json_object(&q->im->w);
    json_member(&q->im->w, "kind", text, "traces");
    import_member(q->im, "service", import_cut(service, VALUE_BYTES));
    import_member(q->im, "operation", import_cut(parsed_text(target, "operation"), VALUE_BYTES));
    import_member(q->im, "min_duration", import_cut(parsed_text(target, "minDuration"), 64));
    import_member(q->im, "max_duration", import_cut(parsed_text(target, "maxDuration"), 64));
    json_object_end(&q->im->w);
    q->kept++;
}

/* ---- all of a panel ------------------------------------------------------------------------------------------------------ */

bool import_queries(struct importer *im, const struct parsed *panel, struct str kind, const char *path,
                    struct str title, struct buf *why) {
    struct asking q = {.im = im, .path = path, .kind = kind, .title = title, .why = why};
    const struct parsed *targets = parsed_get(panel, "targets");
    enum source usual = str_equal(kind, STR("logs"))     ? SOURCE_LOGS
                        : str_equal(kind, STR("traces")) ? SOURCE_TRACES
                                                         : SOURCE_PROMETHEUS;
    enum source of_panel = source_of(parsed_get(panel, "datasource"), usual);
    if (str_equal(kind, STR("text"))) return true;
    json_array(&im->w);
    for (const struct parsed *t = targets->first; t; t = t->next) {
        enum source of = parsed_has(t, "datasource") ? source_of(parsed_get(t, "datasource"), of_panel) : of_panel;
        if (q.kept == IMPORT_QUERIES_MAX)
            refuse(&q, t, parsed_text(t, "expr"), "more than 20 queries");
        else if (of == SOURCE_PROMETHEUS && word_among(kind, "logs traces"))
            refuse(&q, t, parsed_text(t, "expr"), "PromQL in a panel of logs or traces");
        else if (of == SOURCE_PROMETHEUS)
            import_promql(&q, t);
        else if (of == SOURCE_LOGS)
            import_logs(&q, t);
        else if (of == SOURCE_TRACES)
            import_traces(&q, t);
        else
            refuse(&q, t, parsed_text(t, "expr"), "a data source of a kind that clew does not know");
    }
    json_array_end(&im->w);
    return q.kept > 0 || q.refused == 0;
}
