#include <stdarg.h>
#include <stdio.h>

#include "api/dashboard/import_priv.h"
#include "base/text.h"

enum { TITLE_BYTES = 200, NOTE_BYTES = 4096, VALUE_BYTES = 1024, VALUES_MAX = 1000, VARIABLES_MAX = 100 };

/* ---- what all of it uses ------------------------------------------------------------------------------------------------ */

void import_note(struct importer *im, const char *path, struct str title, const char *format, ...) {
    struct dashboard_notes *notes = im->notes;
    char text[512];
    va_list list;
    if (notes->n == DASHBOARD_NOTES_MAX) {
        notes->left_out++;
        return;
    }
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    AUTO_BUF struct buf clean;
    buf_init(&clean, 4 * KIB);
    put_utf8_clean(&clean, str_of(text)); /* it may have been cut within a character */
    notes->v[notes->n++] = (struct dashboard_note){arena_copy(im->a, str_of(path)), import_title(im, title),
                                                   arena_copy(im->a, clean.p ? buf_str(&clean) : STR(""))};
}

struct str import_cut(struct str s, size_t bytes_max) {
    if (s.n <= bytes_max) return s;
    size_t n = bytes_max;
    while (n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80) n--;
    return (struct str){s.p, n};
}

struct str import_title(struct importer *im, struct str s) {
    struct str copy = arena_copy(im->a, s);
    if (!copy.p) return STR("");
    char *p = (char *)(uintptr_t)copy.p;
    for (size_t i = 0; i < copy.n; i++)
        if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f) p[i] = ' ';
    return str_trim(import_cut(str_trim(copy), TITLE_BYTES));
}

void import_member(struct importer *im, const char *key, struct str value) {
    if (value.n == 0) return;
    json_key(&im->w, str_of(key));
    json_str(&im->w, value);
}

/* ---- variables ---------------------------------------------------------------------------------------------------------- */

static bool is_name(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (!word_char((unsigned char)s.p[i]) || (unsigned char)s.p[i] >= 0x80) return false;
    return s.n > 0 && s.n <= 64 && !(s.p[0] >= '0' && s.p[0] <= '9') && !str_starts_with(s, STR("__"));
}

static bool is_known(const struct importer *im, struct str name) {
    for (size_t i = 0; i < im->samples.n; i++)
        if (str_equal(im->samples.v[i].name, name)) return true;
    return false;
}

/* "a,b\, c,Text : value": the values. */
static size_t cut_values(struct importer *im, struct str text, struct str *out, size_t most) {
    size_t n = 0;
    AUTO_BUF struct buf one;
    buf_init(&one, MIB);
    for (size_t i = 0; i <= text.n && n < most; i++) {
        if (i < text.n && text.p[i] == '\\' && i + 1 < text.n && text.p[i + 1] == ',') {
            buf_add_byte(&one, ',');
            i++;
        } else if (i < text.n && text.p[i] != ',') {
            buf_add_byte(&one, text.p[i]);
        } else {
            struct str value = one.p ? str_trim(buf_str(&one)) : STR("");
            for (size_t k = 0; k + 2 < value.n; k++)
                if (memcmp(value.p + k, " : ", 3) == 0) {
                    value = str_trim((struct str){value.p + k + 3, value.n - k - 3});
                    break;
                }
            if (value.n && value.n <= VALUE_BYTES) out[n++] = arena_copy(im->a, value);
            buf_clear(&one);
        }
    }
    return n;
}

static void put_values(struct importer *im, const char *key, const struct str *v, size_t n) {
    if (n == 0) return;
    json_key(&im->w, str_of(key));
    json_array(&im->w);
    for (size_t i = 0; i < n; i++) json_str(&im->w, v[i]);
    json_array_end(&im->w);
}

static struct str all_or(struct str value) {
    return str_equal(value, STR("$__all")) || str_equal(value, STR("All")) ? STR("*") : value;
}

/* What is chosen: a text, a number, or several. */
static size_t chosen(const struct parsed *v, struct str *out, size_t most) {
    const struct parsed *is = parsed_get(parsed_get(v, "current"), "value");
    size_t n = 0;
    if (is->type == JSON_STRING || is->type == JSON_NUMBER) {
        if (is->text.n && is->text.n <= VALUE_BYTES) out[n++] = all_or(is->text);
        return n;
    }
    for (const struct parsed *o = is->first; o && n < most; o = o->next)
        if ((o->type == JSON_STRING || o->type == JSON_NUMBER) && o->text.n && o->text.n <= VALUE_BYTES)
            out[n++] = all_or(o->text);
    return n;
}

/* The question of a `query` variable: a text, or an object that has one. */
static struct str question_of(const struct parsed *v) {
    const struct parsed *q = parsed_get(v, "query");
    if (q->type == JSON_STRING) return q->text;
    struct str inner = parsed_text(q, "query");
    return inner.n ? inner : parsed_text(v, "definition");
}

static const struct {
    const char *grafana, *clew;
} variable_kinds[] = {
    {"query", "query"}, {"custom", "custom"}, {"constant", "constant"}, {"interval", "interval"}, {"textbox", "text"}};

static const char *kind_of(struct importer *im, const struct parsed *v, const char *path, struct str name) {
    struct str type = parsed_text(v, "type");
    for (size_t i = 0; i < LENGTH(variable_kinds); i++)
        if (str_equal(type, str_of(variable_kinds[i].grafana))) return variable_kinds[i].clew;
    if (str_equal(type, STR("datasource")))
        import_note(im, path, name, "a choice of data sources: clew is the one there is");
    else
        import_note(im, path, name, "a variable of type " STR_FMT ": clew has none of that kind",
                    STR_ARG(import_cut(type, 60)));
    return NULL;
}

/* A question that clew does not know: the value that is chosen now can be written by hand. */
static const char *asked_kind(struct importer *im, const struct parsed *v, const char *path, struct str name) {
    err e = variable_query_check(question_of(v), &im->samples, im->a);
    if (e)
        import_note(im, path, name, "its query " STR_FMT " is not one that clew has (%s): a text to write instead",
                    STR_ARG(import_cut(question_of(v), 120)), err_text(e));
    if (parsed_text(v, "regex").n)
        import_note(im, path, name, "the regular expression on its values: all of them are offered");
    bool good = !e;
    err_free(e);
    return good ? "query" : "text";
}

static void write_variable(struct importer *im, const struct parsed *v, const char *path, struct str name) {
    struct str *values = arena_array(im->a, struct str, VALUES_MAX + 1), value[32];
    const char *kind = kind_of(im, v, path, name);
    if (!kind || !values) return;
    bool asks = strcmp(kind, "query") == 0;
    if (asks) kind = asked_kind(im, v, path, name);
    bool is_list = strcmp(kind, "custom") == 0 || strcmp(kind, "interval") == 0;
    bool is_query = strcmp(kind, "query") == 0;
    size_t n = is_list ? cut_values(im, question_of(v), values, VALUES_MAX) : 0,
           picked = chosen(v, value, LENGTH(value));
    if (is_list && n == 0) values[n++] = STR("1m"), import_note(im, path, name, "it has no values");
    if (!is_list && !asks && !picked && question_of(v).n && question_of(v).n <= VALUE_BYTES)
        value[picked++] = question_of(v);
    if (strcmp(kind, "constant") == 0 && question_of(v).n && question_of(v).n <= VALUE_BYTES)
        value[0] = question_of(v), picked = 1;
    for (size_t i = 0; i < picked; i++)
        if (str_starts_with(value[i], STR("$__auto"))) value[i] = STR("auto");
    json_object(&im->w);
    json_member(&im->w, "name", str, name);
    import_member(im, "label", import_title(im, parsed_text(v, "label")));
    json_member(&im->w, "kind", text, kind);
    if (is_query) json_member(&im->w, "query", str, str_trim(question_of(v)));
    put_values(im, "values", values, n);
    put_values(im, "value", value, picked);
    if (parsed_true(v, "multi")) json_member(&im->w, "multi", bool, true);
    if (parsed_true(v, "includeAll")) json_member(&im->w, "all", bool, true);
    import_member(im, "all_value", import_cut(parsed_text(v, "allValue"), VALUE_BYTES));
    if (str_equal(parsed_get(v, "hide")->text, STR("2"))) json_member(&im->w, "hidden", bool, true);
    json_object_end(&im->w);
    /* What it may hold, as check.c sees it. */
    struct str sample = picked && !str_equal(value[0], STR("*")) ? value[0] : n ? values[0] : (struct str){0};
    if (is_query) sample = (struct str){0};
    if (strcmp(kind, "interval") == 0) sample = STR("5m");
    im->samples.v[im->samples.n++] = (struct variable_sample){name, sample};
}

void import_variables(struct importer *im, const struct parsed *root) {
    const struct parsed *list = parsed_get(parsed_get(root, "templating"), "list");
    size_t i = 0;
    char path[48];
    im->samples.v = arena_array(im->a, struct variable_sample, VARIABLES_MAX);
    if (!im->samples.v) return;
    json_key(&im->w, STR("variables"));
    json_array(&im->w);
    for (const struct parsed *v = list->first; v; v = v->next, i++) {
        struct str name = parsed_text(v, "name");
        snprintf(path, sizeof path, "templating.list[%zu]", i);
        if (im->samples.n == VARIABLES_MAX)
            import_note(im, path, name, "more than %d variables", VARIABLES_MAX);
        else if (!is_name(name) || is_known(im, name))
            import_note(im, path, name, "a variable's name is letters, digits and _, and stands once");
        else
            write_variable(im, v, path, name);
    }
    json_array_end(&im->w);
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------ */

static void import_head(struct importer *im, const struct parsed *root, struct str title) {
    const struct parsed *time = parsed_get(root, "time"), *tags = parsed_get(root, "tags");
    struct str start = parsed_text(time, "from"), end = parsed_text(time, "to"), refresh = parsed_text(root, "refresh");
    struct str own = import_title(im, title.n ? title : parsed_text(root, "title"));
    int64_t ns = 0;
    size_t n = 0;
    json_member(&im->w, "title", str, own.n ? own : STR("Imported dashboard"));
    import_member(im, "description", import_cut(parsed_text(root, "description"), NOTE_BYTES));
    json_key(&im->w, STR("tags"));
    json_array(&im->w);
    for (const struct parsed *t = tags->first; t && n < 20; t = t->next)
        if (t->type == JSON_STRING && t->text.n && t->text.n <= VALUE_BYTES) json_str(&im->w, t->text), n++;
    json_array_end(&im->w);
    if (start.n && start.n <= 64 && end.n <= 64 && !str_contains(start, STR("/")) && !str_contains(end, STR("/"))) {
        json_key(&im->w, STR("time"));
        json_object(&im->w);
        json_member(&im->w, "start", str, start);
        json_member(&im->w, "end", str, str_equal(end, STR("now")) ? STR("") : end);
        json_object_end(&im->w);
    } else if (start.n) {
        import_note(im, "time", STR(""), "its range of time: the last hour instead");
    }
    err e = refresh.n ? parse_duration(refresh, &ns) : NULL;
    if (!e && ns >= 1000000000) json_member(&im->w, "refresh", str, refresh);
    err_free(e);
}

static void note_rest(struct importer *im, const struct parsed *root) {
    size_t i = 0;
    char path[48];
    for (const struct parsed *v = parsed_get(parsed_get(root, "annotations"), "list")->first; v; v = v->next, i++) {
        if (parsed_get(v, "builtIn")->type == JSON_NUMBER || parsed_true(v, "builtIn")) continue;
        snprintf(path, sizeof path, "annotations.list[%zu]", i);
        import_note(im, path, parsed_text(v, "name"), "annotations are not drawn");
    }
    i = 0;
    for (const struct parsed *v = parsed_get(root, "links")->first; v; v = v->next, i++) {
        snprintf(path, sizeof path, "links[%zu]", i);
        import_note(im, path, parsed_text(v, "title"),
                    "links of a dashboard are not shown; write them into a panel of text");
    }
}

static err import_grafana(struct importer *im, const struct parsed *root, struct str title) {
    if (parsed_has(root, "elements") || parsed_has(parsed_get(root, "spec"), "elements"))
        return err_new(ERR_INVALID, "this is Grafana's schema v2: export it as classic JSON (schemaVersion up to 42)");
    if (parsed_get(root, "panels")->type != JSON_ARRAY && parsed_get(root, "rows")->type != JSON_ARRAY)
        return err_new(ERR_INVALID, "this is no dashboard: it has neither panels nor rows");
    json_object(&im->w);
    import_head(im, root, title);
    import_variables(im, root);
    TRY(arena_err(im->a));
    TRY(import_panels(im, root));
    note_rest(im, root);
    json_object_end(&im->w);
    return arena_err(im->a);
}

/* clew's own: as it came, but for the title. */
static void write_parsed(struct json_writer *w, const struct parsed *v) {
    switch ((int)v->type) {
    case JSON_OBJECT:
        json_object(w);
        for (const struct parsed *o = v->first; o; o = o->next) json_key(w, o->key), write_parsed(w, o);
        json_object_end(w);
        break;
    case JSON_ARRAY:
        json_array(w);
        for (const struct parsed *o = v->first; o; o = o->next) write_parsed(w, o);
        json_array_end(w);
        break;
    case JSON_STRING: json_str(w, v->text); break;
    case JSON_NUMBER: json_raw(w, v->text); break;
    case JSON_NULL: json_null(w); break;
    default: json_bool(w, v->type == JSON_TRUE);
    }
}

static bool is_own(const struct parsed *root) {
    const struct parsed *first = parsed_get(root, "panels")->first;
    return !parsed_has(root, "schemaVersion") && parsed_get(root, "panels")->type == JSON_ARRAY &&
           (!first || parsed_has(first, "kind"));
}

static void import_own(struct importer *im, const struct parsed *root, struct str title) {
    json_object(&im->w);
    for (const struct parsed *o = root->first; o; o = o->next) {
        json_key(&im->w, o->key);
        if (title.n && str_equal(o->key, STR("title")))
            json_str(&im->w, title);
        else
            write_parsed(&im->w, o);
    }
    json_object_end(&im->w);
}

err dashboard_import(struct str body, struct str title, struct arena *a, struct buf *out,
                     struct dashboard_notes *notes) {
    const struct parsed *root;
    struct importer im = {.a = a, .notes = notes, .next_id = 1};
    buf_init(out, 4 * DASHBOARD_BYTES); /* escapes may make it longer than it was */
    *notes = (struct dashboard_notes){.v = arena_array(a, struct dashboard_note, DASHBOARD_NOTES_MAX)};
    TRY(arena_err(a));
    if (body.n > DASHBOARD_BYTES)
        return err_new(ERR_LIMIT, "a dashboard of %zu bytes: at most 5 MiB; export it without its data, or split it",
                       body.n);
    TRY(parsed_read(a, body, &root));
    if (parsed_get(root, "dashboard")->type == JSON_OBJECT) root = parsed_get(root, "dashboard"); /* of Grafana's API */
    if (parsed_get(root, "body")->type == JSON_OBJECT && parsed_has(root, "tag"))
        root = parsed_get(root, "body"); /* of clew's */
    json_writer_init(&im.w, out);
    if (is_own(root))
        import_own(&im, root, title);
    else
        TRY(import_grafana(&im, root, title));
    if (out->full || out->n > DASHBOARD_BYTES)
        return err_new(ERR_LIMIT, "the dashboard becomes larger than 5 MiB; split it");
    const struct parsed *made;
    TRY(parsed_read(a, buf_str(out), &made));
    return dashboard_check_parsed(made, a);
}
