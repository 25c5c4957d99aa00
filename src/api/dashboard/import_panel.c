/* Panels of Grafana: their place, kind and looks. */
#include <math.h>
#include <stdio.h>

#include "api/dashboard/import_priv.h"
#include "base/text.h"

enum { NOTE_BYTES = 4096, TEXT_BYTES = 65536, PANELS_MAX = 500, ROWS_MAX = 9000, HEIGHT_MAX = 200, PIXELS_A_ROW = 38 };

static const struct {
    const char *grafana, *clew, *draw;
} kinds[] = {
    {"timeseries", "timeseries", NULL}, {"graph", "timeseries", NULL}, {"stat", "stat", NULL},
    {"singlestat", "stat", NULL},       {"gauge", "gauge", NULL},      {"bargauge", "bars", NULL},
    {"barchart", "bars", NULL},         {"table", "table", NULL},      {"table-old", "table", NULL},
    {"heatmap", "heatmap", NULL},       {"text", "text", NULL},        {"logs", "logs", NULL},
    {"traces", "traces", NULL},
};

static const char *kind_of(const struct parsed *panel) {
    struct str type = parsed_text(panel, "type");
    bool is_gauge = parsed_true(parsed_get(panel, "gauge"), "show");
    if (parsed_has(panel, "libraryPanel")) return NULL;
    for (size_t i = 0; i < LENGTH(kinds); i++)
        if (str_equal(type, str_of(kinds[i].grafana)))
            return is_gauge && str_equal(type, STR("singlestat")) ? "gauge" : kinds[i].clew;
    return NULL;
}

/* ---- looks -------------------------------------------------------------------------------------------------------------- */

static unsigned hex2(const char *p) {
    unsigned v = 0;
    for (int i = 0; i < 2; i++) {
        char c = p[i], low = (char)(c | 0x20);
        v = v * 16 + (c >= '0' && c <= '9'       ? (unsigned)(c - '0')
                      : low >= 'a' && low <= 'f' ? (unsigned)(low - 'a' + 10)
                                                 : 0);
    }
    return v;
}

/* The next number in s, up to 255; false: there is none. */
static bool take_byte(struct str *s, unsigned *out) {
    while (s->n && !(s->p[0] >= '0' && s->p[0] <= '9')) *s = (struct str){s->p + 1, s->n - 1};
    unsigned v = 0;
    if (s->n == 0) return false;
    for (; s->n && s->p[0] >= '0' && s->p[0] <= '9'; *s = (struct str){s->p + 1, s->n - 1})
        v = MIN(v * 10 + (unsigned)(s->p[0] - '0'), 255u);
    *out = v;
    return true;
}

/* What a colour of Grafana means: its name, #rrggbb or rgb(r, g, b). */
static const char *tone_of(struct str colour) {
    unsigned r = 0, g = 0, b = 0;
    if (str_contains(colour, STR("red"))) return "error";
    if (str_contains(colour, STR("yellow")) || str_contains(colour, STR("orange"))) return "warning";
    if (str_contains(colour, STR("green")) || str_equal(colour, STR("transparent")) || str_equal(colour, STR("text")))
        return "ok";
    if (colour.n >= 7 && colour.p[0] == '#')
        r = hex2(colour.p + 1), g = hex2(colour.p + 3), b = hex2(colour.p + 5);
    else if (!str_starts_with(colour, STR("rgb")) || !take_byte(&colour, &r) || !take_byte(&colour, &g) ||
             !take_byte(&colour, &b))
        return "accent";
    if (r > g && r > b) return g * 10 > r * 5 ? "warning" : "error";
    return g > b ? "ok" : "accent";
}

static void put_number(struct importer *im, const char *key, double v) {
    AUTO_BUF struct buf text;
    buf_init(&text, KIB);
    put_f64(&text, v);
    json_key(&im->w, str_of(key));
    json_raw(&im->w, buf_str(&text));
}

static void put_threshold(struct importer *im, double at, const char *tone) {
    json_object(&im->w);
    put_number(im, "at", at);
    json_member(&im->w, "tone", text, tone);
    json_object_end(&im->w);
}

/* Steps of today: the first has no value. Percentages need both ends. */
static void import_steps(struct importer *im, const struct parsed *of, const double *ends, const char *path,
                         struct str title) {
    const struct parsed *step = parsed_get(of, "steps")->first;
    bool share = str_equal(parsed_text(of, "mode"), STR("percentage"));
    size_t n = 0;
    double at;
    if (!step || !step->next) return;
    if (share && !(isfinite(ends[0]) && isfinite(ends[1]))) {
        import_note(im, path, title, "thresholds as percentages, of an axis without min and max");
        return;
    }
    json_key(&im->w, STR("thresholds"));
    json_array(&im->w);
    const char *first = tone_of(parsed_text(step, "color"));
    if (strcmp(first, "ok") != 0) put_threshold(im, -1e308, first), n++;
    for (step = step->next; step && n < 20; step = step->next, n++)
        if (parsed_number(parsed_get(step, "value"), &at))
            put_threshold(im,
                          share ? ends[0] + (ends[1] - ends[0]) * fmin(fmax(at, 0), 100) / 100
                                : fmin(fmax(at, -1e308), 1e308),
                          tone_of(parsed_text(step, "color")));
    json_array_end(&im->w);
}

/* Of a singlestat: "80,90" and three colours. Of a graph: objects with value and colorMode. */
static void import_old_thresholds(struct importer *im, const struct parsed *panel) {
    const struct parsed *of = parsed_get(panel, "thresholds"), *colour = parsed_get(panel, "colors")->first;
    struct str one, rest = of->text;
    double at;
    json_key(&im->w, STR("thresholds"));
    json_array(&im->w);
    size_t n = 0;
    for (bool more = of->type == JSON_STRING && rest.n > 0; more && n < 10; n++) {
        more = str_cut(rest, ',', &one, &rest);
        colour = colour ? colour->next : NULL;
        struct parsed v = {.type = JSON_STRING, .text = str_trim(one)};
        if (parsed_number(&v, &at))
            put_threshold(im, at, tone_of(colour ? colour->text : n ? STR("red") : STR("orange")));
    }
    for (const struct parsed *v = of->type == JSON_ARRAY ? of->first : NULL; v && n < 20; v = v->next, n++)
        if (parsed_number(parsed_get(v, "value"), &at))
            put_threshold(im, at,
                          str_equal(parsed_text(v, "colorMode"), STR("critical")) ? "error"
                          : str_equal(parsed_text(v, "colorMode"), STR("ok"))     ? "ok"
                                                                                  : "warning");
    json_array_end(&im->w);
}

static void import_unit(struct importer *im, struct str unit, const char *path, struct str title) {
    if (unit.n == 0 || str_equal(unit, STR("none"))) return;
    for (size_t i = 0; i < unit_row_count; i++)
        if (word_among(unit, unit_rows[i].grafana)) {
            import_member(im, "unit", str_of(unit_rows[i].name));
            return;
        }
    import_note(im, path, title, "the unit " STR_FMT ": plain numbers", STR_ARG(import_cut(unit, 60)));
}

static void import_calc(struct importer *im, struct str calc, const char *path, struct str title) {
    static const struct {
        const char *grafana, *clew;
    } calcs[] = {{"last lastNotNull current", "last"},
                 {"mean avg", "mean"},
                 {"max", "max"},
                 {"min", "min"},
                 {"sum total", "sum"}};
    if (calc.n == 0) return;
    for (size_t i = 0; i < LENGTH(calcs); i++)
        if (word_among(calc, calcs[i].grafana)) {
            import_member(im, "calc", str_of(calcs[i].clew));
            return;
        }
    import_note(im, path, title, "the calculation " STR_FMT ": the last value instead", STR_ARG(import_cut(calc, 60)));
}

static void import_draw(struct importer *im, const struct parsed *panel, const struct parsed *custom) {
    double fill = 0;
    bool is_old = str_equal(parsed_text(panel, "type"), STR("graph"));
    struct str style = parsed_text(custom, "drawStyle"), stacking = parsed_text(parsed_get(custom, "stacking"), "mode");
    parsed_number(parsed_get(is_old ? panel : custom, is_old ? "fill" : "fillOpacity"), &fill);
    if (is_old ? parsed_true(panel, "bars") && !parsed_true(panel, "lines") : str_equal(style, STR("bars")))
        import_member(im, "draw", STR("bars"));
    else if (is_old ? parsed_true(panel, "points") && !parsed_true(panel, "lines") : str_equal(style, STR("points")))
        import_member(im, "draw", STR("points"));
    else if (fill > 0)
        import_member(im, "draw", STR("area"));
    if (is_old ? parsed_true(panel, "stack") : stacking.n && !str_equal(stacking, STR("none")))
        json_member(&im->w, "stack", bool, true);
}

/* Old panels have their ends and units beside their axes, later ones in fieldConfig. */
void import_looks(struct importer *im, const struct parsed *panel, struct str kind, const char *path,
                  struct str title) {
    const struct parsed *defaults = parsed_get(parsed_get(panel, "fieldConfig"), "defaults"),
                        *axis = parsed_get(panel, "yaxes")->first;
    bool is_old = !parsed_has(panel, "fieldConfig");
    const struct parsed *of = is_old && axis ? axis : is_old ? panel : defaults;
    double ends[2] = {NAN, NAN}, decimals;
    import_unit(im, parsed_text(of, is_old ? "format" : "unit"), path, title);
    if (parsed_number(parsed_get(of, "decimals"), &decimals) && decimals >= 0 && decimals <= 10)
        json_member(&im->w, "decimals", i64, (int64_t)decimals);
    const struct parsed *from = is_old && !axis ? parsed_get(panel, "gauge") : of; /* of a singlestat */
    if (parsed_number(parsed_get(from, is_old && !axis ? "minValue" : "min"), &ends[0]) && fabs(ends[0]) <= 1e308)
        put_number(im, "min", ends[0]);
    if (parsed_number(parsed_get(from, is_old && !axis ? "maxValue" : "max"), &ends[1]) && fabs(ends[1]) <= 1e308)
        put_number(im, "max", ends[1]);
    if (is_old && parsed_has(panel, "thresholds"))
        import_old_thresholds(im, panel);
    else
        import_steps(im, parsed_get(defaults, "thresholds"), ends, path, title);
    const struct parsed *calc = parsed_get(parsed_get(parsed_get(panel, "options"), "reduceOptions"), "calcs")->first;
    import_calc(im, calc ? calc->text : parsed_text(panel, "valueName"), path, title);
    if (str_equal(kind, STR("timeseries"))) import_draw(im, panel, parsed_get(defaults, "custom"));
}

/* ---- what is not kept ------------------------------------------------------------------------------------------------------ */

static void note_rest(struct importer *im, const struct parsed *panel, const char *path, struct str title) {
    const struct parsed *fields = parsed_get(panel, "fieldConfig");
    for (const struct parsed *t = parsed_get(panel, "transformations")->first; t; t = t->next)
        import_note(im, path, title, "the transformation " STR_FMT, STR_ARG(import_cut(parsed_text(t, "id"), 60)));
    if (parsed_get(fields, "overrides")->first || parsed_get(panel, "seriesOverrides")->first)
        import_note(im, path, title, "overrides of single series");
    if (parsed_get(parsed_get(fields, "defaults"), "mappings")->first || parsed_get(panel, "valueMaps")->first)
        import_note(im, path, title, "mappings of values to words");
    if (parsed_text(panel, "repeat").n)
        import_note(im, path, title, "it repeats for each value of " STR_FMT ": here it stands once",
                    STR_ARG(import_cut(parsed_text(panel, "repeat"), 60)));
    if (parsed_get(panel, "links")->first || parsed_get(parsed_get(fields, "defaults"), "links")->first)
        import_note(im, path, title, "links");
    if (parsed_text(panel, "timeFrom").n || parsed_text(panel, "timeShift").n)
        import_note(im, path, title, "a range of time of its own");
    if (parsed_get(panel, "alert")->type == JSON_OBJECT) import_note(im, path, title, "its alert: write a rule for it");
}

/* ---- one panel --------------------------------------------------------------------------------------------------------------- */

struct rectangle {
    size_t x, y, w, h;
};

static void put_head(struct importer *im, const char *kind, struct rectangle r, struct str title,
                     struct str description) {
    json_object(&im->w);
    json_member(&im->w, "id", u64, im->next_id++);
    json_member(&im->w, "kind", text, kind);
    json_member(&im->w, "x", u64, r.x);
    json_member(&im->w, "y", u64, r.y);
    json_member(&im->w, "w", u64, r.w);
    json_member(&im->w, "h", u64, r.h);
    import_member(im, "title", title);
    import_member(im, "description", import_cut(description, NOTE_BYTES));
}

static void put_unknown(struct importer *im, const struct parsed *panel, struct rectangle r, struct str title,
                        struct str why) {
    put_head(im, "unknown", r, title, parsed_text(panel, "description"));
    import_member(im, "was", import_title(im, parsed_text(panel, "type")));
    import_member(im, "text", import_cut(why, TEXT_BYTES));
    json_object_end(&im->w);
}

static void put_text(struct importer *im, const struct parsed *panel, const char *path, struct str title) {
    const struct parsed *options = parsed_has(panel, "options") ? parsed_get(panel, "options") : panel;
    struct str text = parsed_text(options, "content"), mode = parsed_text(options, "mode");
    if (str_equal(mode, STR("html"))) import_note(im, path, title, "HTML: it is shown as the text that it is");
    if (text.n > TEXT_BYTES) import_note(im, path, title, "a text of %zu bytes: its first 64 KiB", text.n);
    import_member(im, "text", import_cut(text, TEXT_BYTES));
}

/* The kind's members are written before it is known whether its queries can be: they are looked at first. */
static void import_panel(struct importer *im, const struct parsed *panel, struct rectangle r, const char *path) {
    struct str title = import_title(im, parsed_text(panel, "title")), type = import_cut(parsed_text(panel, "type"), 60);
    const char *kind = kind_of(panel);
    AUTO_BUF struct buf why, queries;
    buf_init(&why, 2 * TEXT_BYTES);
    buf_init(&queries, DASHBOARD_BYTES);
    im->panels++;
    note_rest(im, panel, path, title);
    if (!kind) {
        bool library = parsed_has(panel, "libraryPanel");
        if (library)
            import_note(im, path, title, "a library panel, whose content is not in the file");
        else
            import_note(im, path, title, "a panel of the kind " STR_FMT ", which clew has not", STR_ARG(type));
        put_unknown(im, panel, r, title,
                    library ? STR("A library panel of Grafana: its content was not in the file.")
                            : STR("clew has no panel of this kind."));
        return;
    }
    struct json_writer outer = im->w;
    json_writer_init(&im->w, &queries);
    bool good = import_queries(im, panel, str_of(kind), path, title, &why);
    im->w = outer;
    if (!good) {
        put_unknown(im, panel, r, title, buf_str(&why));
        return;
    }
    put_head(im, kind, r, title, parsed_text(panel, "description"));
    if (queries.n) json_member(&im->w, "queries", raw, buf_str(&queries));
    if (strcmp(kind, "text") == 0)
        put_text(im, panel, path, title);
    else
        import_looks(im, panel, str_of(kind), path, title);
    json_object_end(&im->w);
}

static void import_row(struct importer *im, struct str title, size_t y, bool collapsed) {
    im->panels++;
    put_head(im, "row", (struct rectangle){0, y, DASHBOARD_COLUMNS, 1}, import_title(im, title), STR(""));
    if (collapsed) json_member(&im->w, "collapsed", bool, true);
    json_object_end(&im->w);
}

/* ---- places ------------------------------------------------------------------------------------------------------------------- */

static size_t whole(const struct parsed *v, size_t least, size_t most, size_t otherwise) {
    double is;
    if (!parsed_number(v, &is) || is < 0) return otherwise;
    return MAX(least, (size_t)fmin(is, (double)most));
}

static struct rectangle place_of(const struct parsed *panel) {
    const struct parsed *g = parsed_get(panel, "gridPos");
    size_t w = whole(parsed_get(g, "w"), 1, DASHBOARD_COLUMNS, 12);
    return (struct rectangle){MIN(whole(parsed_get(g, "x"), 0, DASHBOARD_COLUMNS - 1, 0), DASHBOARD_COLUMNS - w),
                              whole(parsed_get(g, "y"), 0, ROWS_MAX, 0), w,
                              whole(parsed_get(g, "h"), 1, HEIGHT_MAX, 8)};
}

static err too_many(void) { return err_new(ERR_LIMIT, "more than %d panels: split the dashboard", PANELS_MAX); }

struct placed {
    const struct parsed *panel;
    size_t index; /* in the document */
    struct rectangle at;
};

/* By y, then x; those that are alike stay in order. */
static void sort(struct placed *v, size_t n) {
    for (size_t i = 1; i < n; i++) {
        struct placed one = v[i];
        size_t k = i;
        for (; k > 0 && (v[k - 1].at.y > one.at.y || (v[k - 1].at.y == one.at.y && v[k - 1].at.x > one.at.x)); k--)
            v[k] = v[k - 1];
        v[k] = one;
    }
}

static err collect(struct importer *im, const struct parsed *list, struct placed **out, size_t *out_n) {
    size_t n = 0, i = 0;
    struct placed *v = arena_array(im->a, struct placed, PANELS_MAX);
    if (!v) return arena_err(im->a);
    for (const struct parsed *p = list->first; p; p = p->next, i++) {
        if (p->type != JSON_OBJECT) return err_new(ERR_INVALID, "panels[%zu]: must be an object, at byte %u", i, p->at);
        if (n + im->panels >= PANELS_MAX) return too_many();
        v[n++] = (struct placed){p, i, place_of(p)};
    }
    sort(v, n);
    *out = v;
    *out_n = n;
    return NULL;
}

/* What a collapsed row hides has kept the places that it had: it is put right below the row, and all else moves down. */
static err import_hidden(struct importer *im, const struct parsed *row, size_t index, size_t y) {
    struct placed *v;
    size_t n, deepest = 0;
    char path[64];
    TRY(collect(im, parsed_get(row, "panels"), &v, &n));
    for (size_t i = 0; i < n; i++) {
        struct rectangle r = v[i].at;
        r.y = MIN(y + 1 + r.y - v[0].at.y, (size_t)ROWS_MAX);
        deepest = MAX(deepest, r.y + r.h - y - 1);
        snprintf(path, sizeof path, "panels[%zu].panels[%zu]", index, v[i].index);
        import_panel(im, v[i].panel, r, path);
    }
    im->shift += deepest;
    return NULL;
}

static err import_placed(struct importer *im, const struct parsed *list) {
    struct placed *v;
    size_t n;
    char path[64];
    TRY(collect(im, list, &v, &n));
    for (size_t i = 0; i < n; i++) {
        struct rectangle r = v[i].at;
        r.y = MIN(r.y + im->shift, (size_t)ROWS_MAX);
        if (im->panels >= PANELS_MAX) return too_many();
        snprintf(path, sizeof path, "panels[%zu]", v[i].index);
        if (!str_equal(parsed_text(v[i].panel, "type"), STR("row"))) {
            import_panel(im, v[i].panel, r, path);
            continue;
        }
        bool collapsed = parsed_true(v[i].panel, "collapsed");
        if (parsed_text(v[i].panel, "repeat").n) note_rest(im, v[i].panel, path, parsed_text(v[i].panel, "title"));
        import_row(im, parsed_text(v[i].panel, "title"), r.y, collapsed);
        if (collapsed) TRY(import_hidden(im, v[i].panel, v[i].index, r.y));
    }
    return NULL;
}

/* "250px", 250. */
static size_t rows_of(const struct parsed *height, size_t otherwise) {
    double px;
    struct parsed v = *height;
    if (v.type == JSON_STRING && str_ends_with(v.text, STR("px"))) v.text.n -= 2;
    return parsed_number(&v, &px) && px > 0 ? MAX((size_t)(fmin(px, 7000) / PIXELS_A_ROW + 0.5), (size_t)2) : otherwise;
}

/* Before schema 16: rows of panels that are as wide as their `span` of twelve says. */
static err import_old_row(struct importer *im, const struct parsed *row, size_t index) {
    size_t x = 0, deepest = 0, i = 0, height = rows_of(parsed_get(row, "height"), 7);
    bool collapsed = parsed_true(row, "collapse");
    char path[64];
    if (im->panels >= PANELS_MAX) return too_many();
    if (collapsed || parsed_true(row, "showTitle")) {
        import_row(im, parsed_text(row, "title"), MIN(im->y, (size_t)ROWS_MAX), collapsed);
        im->y++;
    }
    for (const struct parsed *p = parsed_get(row, "panels")->first; p; p = p->next, i++) {
        if (im->panels >= PANELS_MAX) return too_many();
        size_t w = 2 * whole(parsed_get(p, "span"), 1, 12, 12), h = rows_of(parsed_get(p, "height"), height);
        if (x + w > DASHBOARD_COLUMNS) x = 0, im->y += deepest, deepest = 0;
        snprintf(path, sizeof path, "rows[%zu].panels[%zu]", index, i);
        import_panel(im, p, (struct rectangle){x, MIN(im->y, (size_t)ROWS_MAX), w, MIN(h, (size_t)HEIGHT_MAX)}, path);
        x += w;
        deepest = MAX(deepest, h);
    }
    im->y += deepest;
    return NULL;
}

err import_panels(struct importer *im, const struct parsed *root) {
    size_t i = 0;
    json_key(&im->w, STR("panels"));
    json_array(&im->w);
    if (parsed_get(root, "panels")->type == JSON_ARRAY) TRY(import_placed(im, parsed_get(root, "panels")));
    for (const struct parsed *row = parsed_get(root, "rows")->first; row; row = row->next, i++)
        TRY(import_old_row(im, row, i));
    json_array_end(&im->w);
    return NULL;
}
