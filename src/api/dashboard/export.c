/* A dashboard as Grafana takes it: schema 39. */
#include "api/dashboard/parts_priv.h"
#include "base/text.h"

static const struct {
    const char *clew, *grafana;
} kinds[] = {
    {"timeseries", "timeseries"}, {"stat", "stat"},    {"gauge", "gauge"}, {"bars", "bargauge"}, {"table", "table"},
    {"heatmap", "heatmap"},       {"traces", "table"}, {"row", "row"},     {"text", "text"},     {"logs", "text"},
    {"unknown", "text"},
};
static const struct {
    const char *clew, *grafana;
} tones[] = {{"ok", "green"}, {"accent", "blue"}, {"warning", "orange"}, {"error", "red"}};
static const struct {
    const char *clew, *grafana;
} calcs[] = {{"last", "lastNotNull"}, {"mean", "mean"}, {"max", "max"}, {"min", "min"}, {"sum", "sum"}};
static const struct {
    const char *clew, *grafana;
} variable_kinds[] = {
    {"query", "query"}, {"custom", "custom"}, {"constant", "constant"}, {"interval", "interval"}, {"text", "textbox"}};

#define NAME_IN(table, word, otherwise) name_in(&(table)[0].clew, LENGTH(table), word, otherwise)
/* Rows are pairs of texts. */
static const char *name_in(const char *const *pairs, size_t n, struct str word, const char *otherwise) {
    for (size_t i = 0; i < n; i++)
        if (str_equal(word, str_of(pairs[2 * i]))) return pairs[2 * i + 1];
    return otherwise;
}

static void put_copy(struct json_writer *w, const struct parsed *of, const char *from, const char *to) {
    const struct parsed *v = parsed_get(of, from);
    if (v->type == JSON_NULL) return;
    json_key(w, str_of(to));
    if (v->type == JSON_STRING)
        json_str(w, v->text);
    else if (v->type == JSON_NUMBER)
        json_raw(w, v->text);
    else
        json_bool(w, v->type == JSON_TRUE);
}

static void put_source(struct json_writer *w, const char *type) {
    json_key(w, STR("datasource"));
    json_object(w);
    json_member(w, "type", text, type);
    json_key(w, STR("uid"));
    json_text(w, strcmp(type, "jaeger") == 0 ? "clew-jaeger" : "clew-prometheus");
    json_object_end(w);
}

/* ---- looks ----------------------------------------------------------------------------------------------------------- */

static void put_step(struct json_writer *w, const char *tone, const struct parsed *at) {
    json_object(w);
    json_member(w, "color", text, tone);
    json_key(w, STR("value"));
    if (at)
        json_raw(w, at->text);
    else
        json_null(w);
    json_object_end(w);
}

static void put_thresholds(struct json_writer *w, const struct parsed *panel) {
    const struct parsed *t = parsed_get(panel, "thresholds")->first;
    double at = 0;
    bool is_base = t && parsed_number(parsed_get(t, "at"), &at) && at <= -1e308;
    json_key(w, STR("thresholds"));
    json_object(w);
    json_member(w, "mode", text, "absolute");
    json_key(w, STR("steps"));
    json_array(w);
    put_step(w, is_base ? NAME_IN(tones, parsed_text(t, "tone"), "green") : "green", NULL);
    for (t = is_base ? t->next : t; t; t = t->next)
        put_step(w, NAME_IN(tones, parsed_text(t, "tone"), "green"), parsed_get(t, "at"));
    json_array_end(w);
    json_object_end(w);
}

static struct str unit_of(const struct parsed *panel) {
    struct str name = parsed_text(panel, "unit"), first, rest;
    for (size_t i = 0; i < unit_row_count; i++)
        if (str_equal(name, str_of(unit_rows[i].name))) {
            str_cut(str_of(unit_rows[i].grafana), ' ', &first, &rest);
            return first;
        }
    return STR("");
}

static void put_draw(struct json_writer *w, const struct parsed *panel) {
    struct str draw = parsed_text(panel, "draw");
    bool stack = parsed_true(panel, "stack"), area = stack || str_equal(draw, STR("area"));
    json_key(w, STR("custom"));
    json_object(w);
    json_member(w, "drawStyle", str, word_among(draw, "bars points") ? draw : STR("line"));
    json_member(w, "fillOpacity", i64, str_equal(draw, STR("bars")) ? 80 : stack ? 40 : area ? 15 : 0);
    json_member(w, "showPoints", text, str_equal(draw, STR("points")) ? "always" : "never");
    json_key(w, STR("stacking"));
    json_object(w);
    json_member(w, "mode", text, stack ? "normal" : "none");
    json_object_end(w);
    if (parsed_get(panel, "thresholds")->first && str_equal(parsed_text(panel, "kind"), STR("timeseries"))) {
        json_key(w, STR("thresholdsStyle"));
        json_object(w);
        json_member(w, "mode", text, "dashed");
        json_object_end(w);
    }
    json_object_end(w);
}

static void put_fields(struct json_writer *w, const struct parsed *panel, bool has_axis) {
    struct str unit = unit_of(panel);
    json_key(w, STR("fieldConfig"));
    json_object(w);
    json_key(w, STR("defaults"));
    json_object(w);
    if (unit.n) json_member(w, "unit", str, unit);
    put_copy(w, panel, "decimals", "decimals");
    put_copy(w, panel, "min", "min");
    put_copy(w, panel, "max", "max");
    put_thresholds(w, panel);
    if (has_axis) put_draw(w, panel);
    json_object_end(w);
    json_key(w, STR("overrides"));
    json_array(w);
    json_array_end(w);
    json_object_end(w);
}

static void put_reduce(struct json_writer *w, const struct parsed *panel) {
    json_key(w, STR("options"));
    json_object(w);
    json_key(w, STR("reduceOptions"));
    json_object(w);
    json_key(w, STR("calcs"));
    json_array(w);
    json_text(w, NAME_IN(calcs, parsed_text(panel, "calc"), "lastNotNull"));
    json_array_end(w);
    json_object_end(w);
    if (str_equal(parsed_text(panel, "kind"), STR("bars"))) json_member(w, "orientation", text, "horizontal");
    json_object_end(w);
}

/* ---- queries --------------------------------------------------------------------------------------------------------- */

static void put_query(struct json_writer *w, const struct parsed *q, struct str kind, size_t i) {
    char id[3] = {(char)('A' + (int)(i % 26)), 0, 0};
    bool is_trace = str_equal(parsed_text(q, "kind"), STR("traces"));
    json_object(w);
    json_member(w, "refId", text, id);
    put_source(w, is_trace ? "jaeger" : "prometheus");
    if (is_trace) {
        json_member(w, "queryType", text, "search");
        put_copy(w, q, "service", "service");
        put_copy(w, q, "operation", "operation");
        put_copy(w, q, "min_duration", "minDuration");
        put_copy(w, q, "max_duration", "maxDuration");
    } else {
        bool instant = parsed_true(q, "instant") || str_equal(kind, STR("table")) || str_equal(kind, STR("bars"));
        json_member(w, "expr", str, parsed_text(q, "expr"));
        put_copy(w, q, "legend", "legendFormat");
        put_copy(w, q, "step", "interval");
        json_member(w, "format", text,
                    str_equal(kind, STR("table"))     ? "table"
                    : str_equal(kind, STR("heatmap")) ? "heatmap"
                                                      : "time_series");
        json_member(w, "instant", bool, instant);
        json_member(w, "range", bool, !instant);
    }
    put_copy(w, q, "hidden", "hide");
    json_object_end(w);
}

static void put_queries(struct json_writer *w, const struct parsed *panel, struct str kind) {
    size_t i = 0;
    json_key(w, STR("targets"));
    json_array(w);
    for (const struct parsed *q = parsed_get(panel, "queries")->first; q; q = q->next, i++)
        if (!str_equal(parsed_text(q, "kind"), STR("logs"))) put_query(w, q, kind, i);
    json_array_end(w);
}

/* What Grafana would show of it is a text. */
static void put_text(struct json_writer *w, const struct parsed *panel, struct str kind) {
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    const struct parsed *q = parsed_get(panel, "queries")->first;
    if (str_equal(kind, STR("logs"))) {
        buf_add_text(&text, "Logs are read in clew, on its page Logs.");
        if (q && parsed_text(q, "service").n)
            buf_add_fmt(&text, " Service: " STR_FMT ".", STR_ARG(parsed_text(q, "service")));
        if (q && parsed_text(q, "text").n) buf_add_fmt(&text, " Words: " STR_FMT ".", STR_ARG(parsed_text(q, "text")));
    } else {
        buf_add_str(&text, parsed_text(panel, "text"));
    }
    json_key(w, STR("options"));
    json_object(w);
    json_member(w, "mode", text, "markdown");
    json_member(w, "content", str, text.p ? buf_str(&text) : STR(""));
    json_object_end(w);
}

/* ---- panels ---------------------------------------------------------------------------------------------------------- */

static void put_panel(struct json_writer *w, const struct parsed *panel, bool open) {
    struct str kind = parsed_text(panel, "kind");
    const char *type = NAME_IN(kinds, kind, "text");
    bool is_text = strcmp(type, "text") == 0, is_row = strcmp(type, "row") == 0;
    json_object(w);
    put_copy(w, panel, "id", "id");
    json_member(w, "type", text, type);
    put_copy(w, panel, "title", "title");
    put_copy(w, panel, "description", "description");
    json_key(w, STR("gridPos"));
    json_object(w);
    put_copy(w, panel, "x", "x");
    put_copy(w, panel, "y", "y");
    put_copy(w, panel, "w", "w");
    put_copy(w, panel, "h", "h");
    json_object_end(w);
    if (is_row) json_member(w, "collapsed", bool, parsed_true(panel, "collapsed"));
    if (is_text) put_text(w, panel, kind);
    if (!is_text && !is_row) {
        put_source(w, str_equal(kind, STR("traces")) ? "jaeger" : "prometheus");
        put_queries(w, panel, kind);
        put_fields(w, panel, str_equal(kind, STR("timeseries")));
        if (word_among(kind, "stat gauge bars")) put_reduce(w, panel);
    }
    if (!open) json_object_end(w);
}

/* A collapsed row holds the panels below it, up to the next row. They are in order of the document, which the page and the import keep by y. */
static void put_panels(struct json_writer *w, const struct parsed *root) {
    bool in_row = false;
    json_key(w, STR("panels"));
    json_array(w);
    for (const struct parsed *p = parsed_get(root, "panels")->first; p; p = p->next) {
        bool is_row = str_equal(parsed_text(p, "kind"), STR("row")), hides = is_row && parsed_true(p, "collapsed");
        if (is_row && in_row) {
            json_array_end(w);
            json_object_end(w);
            in_row = false;
        }
        put_panel(w, p, hides);
        if (hides) {
            json_key(w, STR("panels"));
            json_array(w);
            in_row = true;
        }
    }
    if (in_row) {
        json_array_end(w);
        json_object_end(w);
    }
    json_array_end(w);
}

/* ---- variables --------------------------------------------------------------------------------------------------------- */

static struct str grafana_value(struct str value) { return str_equal(value, STR("*")) ? STR("$__all") : value; }

static void put_chosen(struct json_writer *w, const struct parsed *v) {
    const struct parsed *value = parsed_get(v, "value")->first;
    bool multi = parsed_true(v, "multi");
    if (!value) return;
    json_key(w, STR("current"));
    json_object(w);
    for (int twice = 0; twice < 2; twice++) {
        json_key(w, twice ? STR("value") : STR("text"));
        if (multi) json_array(w);
        for (const struct parsed *one = value; one; one = multi ? one->next : NULL)
            json_str(w, str_equal(one->text, STR("*")) && !twice ? STR("All") : grafana_value(one->text));
        if (multi) json_array_end(w);
    }
    json_object_end(w);
}

/* What a variable asks, or offers: values with commas between. */
static void put_question(struct json_writer *w, const struct parsed *v) {
    AUTO_BUF struct buf text;
    buf_init(&text, 4 * MIB);
    for (const struct parsed *one = parsed_get(v, "values")->first; one; one = one->next) {
        if (text.n) buf_add_byte(&text, ',');
        for (size_t i = 0; i < one->text.n; i++) {
            if (one->text.p[i] == ',') buf_add_byte(&text, '\\');
            buf_add_byte(&text, one->text.p[i]);
        }
    }
    struct str asked = parsed_text(v, "query"),
               value = parsed_get(v, "value")->first ? parsed_get(v, "value")->first->text : STR("");
    json_member(w, "query", str, asked.n ? asked : text.n ? buf_str(&text) : value);
    if (asked.n) json_member(w, "definition", str, asked);
}

static void put_variables(struct json_writer *w, const struct parsed *root) {
    json_key(w, STR("templating"));
    json_object(w);
    json_key(w, STR("list"));
    json_array(w);
    for (const struct parsed *v = parsed_get(root, "variables")->first; v; v = v->next) {
        const char *type = NAME_IN(variable_kinds, parsed_text(v, "kind"), "textbox");
        json_object(w);
        put_copy(w, v, "name", "name");
        put_copy(w, v, "label", "label");
        json_member(w, "type", text, type);
        if (strcmp(type, "query") == 0) {
            put_source(w, "prometheus");
            json_member(w, "refresh", i64, 2);
            json_member(w, "sort", i64, 1);
        }
        put_question(w, v);
        put_chosen(w, v);
        put_copy(w, v, "multi", "multi");
        put_copy(w, v, "all", "includeAll");
        put_copy(w, v, "all_value", "allValue");
        json_member(w, "hide", i64, parsed_true(v, "hidden") ? 2 : 0);
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
}

/* ---- the whole ---------------------------------------------------------------------------------------------------------- */

static void new_line(struct buf *out, int depth) {
    buf_add_byte(out, '\n');
    for (int i = 0; i < depth; i++) buf_add_text(out, "  ");
}

/* JSON of the writer, with a line for each member: so that a change can be read in a diff. */
static void put_pretty(struct str json, struct buf *out) {
    int depth = 0;
    bool inside = false;
    for (size_t i = 0; i < json.n; i++) {
        char c = json.p[i];
        bool is_empty = i + 1 < json.n && (c == '{' || c == '[') && (json.p[i + 1] == '}' || json.p[i + 1] == ']');
        if (inside || c == '"') {
            buf_add_byte(out, c);
            if (inside && c == '\\')
                buf_add_byte(out, json.p[++i]);
            else if (c == '"')
                inside = !inside;
        } else if (is_empty) {
            buf_add(out, json.p + i++, 2);
        } else if (c == '{' || c == '[') {
            buf_add_byte(out, c);
            new_line(out, ++depth);
        } else if (c == '}' || c == ']') {
            new_line(out, --depth);
            buf_add_byte(out, c);
        } else if (c == ',') {
            buf_add_byte(out, c);
            new_line(out, depth);
        } else {
            buf_add_text(out, c == ':' ? ": " : (char[2]){c, 0});
        }
    }
    buf_add_byte(out, '\n');
}

static void put_range(struct json_writer *w, const struct parsed *root) {
    const struct parsed *time = parsed_get(root, "time");
    struct str start = parsed_text(time, "start"), end = parsed_text(time, "end");
    json_key(w, STR("time"));
    json_object(w);
    json_member(w, "from", str, start.n ? start : STR("now-1h"));
    json_member(w, "to", str, end.n ? end : STR("now"));
    json_object_end(w);
}

err dashboard_export(struct str body, struct str uid, struct arena *a, struct buf *out) {
    const struct parsed *root;
    struct json_writer w;
    AUTO_BUF struct buf text;
    buf_init(&text, 8 * DASHBOARD_BYTES);
    TRY(parsed_read(a, body, &root));
    json_writer_init(&w, &text);
    json_object(&w);
    json_member(&w, "uid", str, uid);
    json_member(&w, "title", str, parsed_text(root, "title"));
    put_copy(&w, root, "description", "description");
    json_key(&w, STR("tags"));
    json_array(&w);
    for (const struct parsed *t = parsed_get(root, "tags")->first; t; t = t->next) json_str(&w, t->text);
    json_array_end(&w);
    json_member(&w, "schemaVersion", i64, 39);
    json_member(&w, "editable", bool, true);
    put_range(&w, root);
    put_copy(&w, root, "refresh", "refresh");
    put_variables(&w, root);
    put_panels(&w, root);
    json_object_end(&w);
    put_pretty(buf_str(&text), out);
    return text.full || out->full ? err_new(ERR_LIMIT, "the dashboard is too large to be exported") : NULL;
}
