/* The document of a dashboard as a table of members, and what holds between them. */
#include <stdio.h>

#include "api/dashboard/parts_priv.h"
#include "base/text.h"

enum {
    PANELS_MAX = 500,
    VARIABLES_MAX = 100,
    QUERIES_MAX = 20,
    VALUES_MAX = 1000,
    THRESHOLDS_MAX = 20,
    ROWS_MAX = 10000
};
enum {
    TITLE_BYTES = 200,
    NOTE_BYTES = 4096,
    NAME_BYTES = 64,
    EXPRESSION_BYTES = 65536,
    VALUE_BYTES = 1024,
    KINDS_MAX = 16
};

enum form { TEXT, NAME, CHOICE, TEXTS, NUMBER, INTEGER, FLAG, DURATION, OBJECT, LIST };

struct member {
    const char *name;
    enum form form;
    const struct member *of; /* OBJECT, LIST: of what */
    const char *choices;
    double min, max; /* of a number; bytes of a text, texts of TEXTS, objects of a LIST: max */
    bool required;
};

static const struct member time_members[] = {
    {"start", TEXT, .max = NAME_BYTES, .required = true}, {"end", TEXT, .max = NAME_BYTES}, {0}};

static const struct member variable_members[] = {
    {"name", NAME, .max = NAME_BYTES, .required = true},
    {"label", TEXT, .max = TITLE_BYTES},
    {"kind", CHOICE, .choices = dashboard_variable_kinds, .required = true},
    {"query", TEXT, .max = EXPRESSION_BYTES},
    {"values", TEXTS, .max = VALUES_MAX},
    {"value", TEXTS, .max = VALUES_MAX},
    {"multi", FLAG},
    {"all", FLAG},
    {"all_value", TEXT, .max = VALUE_BYTES},
    {"hidden", FLAG},
    {0},
};

static const struct member query_members[] = {
    {"kind", CHOICE, .choices = dashboard_query_kinds, .required = true},
    {"expr", TEXT, .max = EXPRESSION_BYTES},
    {"legend", TEXT, .max = VALUE_BYTES},
    {"instant", FLAG},
    {"step", DURATION},
    {"hidden", FLAG},
    {"service", TEXT, .max = VALUE_BYTES},
    {"environment", TEXT, .max = VALUE_BYTES},
    {"severity", CHOICE, .choices = "trace debug info warn error fatal"},
    {"text", TEXT, .max = VALUE_BYTES},
    {"where", TEXTS, .max = 32},
    {"operation", TEXT, .max = VALUE_BYTES},
    {"status", CHOICE, .choices = "error ok unset"},
    {"min_duration", TEXT, .max = NAME_BYTES},
    {"max_duration", TEXT, .max = NAME_BYTES},
    {"order", CHOICE, .choices = "newest oldest longest"},
    {"limit", INTEGER, .min = 1, .max = 1000},
    {0},
};

static const struct member threshold_members[] = {
    {"at", NUMBER, .min = -1e308, .max = 1e308, .required = true},
    {"tone", CHOICE, .choices = dashboard_tones, .required = true},
    {0},
};

static const struct member panel_members[] = {
    {"id", INTEGER, .min = 1, .max = 1e9, .required = true},
    {"kind", CHOICE, .choices = dashboard_panel_kinds, .required = true},
    {"x", INTEGER, .max = DASHBOARD_COLUMNS - 1, .required = true},
    {"y", INTEGER, .max = ROWS_MAX, .required = true},
    {"w", INTEGER, .min = 1, .max = DASHBOARD_COLUMNS, .required = true},
    {"h", INTEGER, .min = 1, .max = 200, .required = true},
    {"title", TEXT, .max = TITLE_BYTES},
    {"description", TEXT, .max = NOTE_BYTES},
    {"queries", LIST, query_members, .max = QUERIES_MAX},
    {"unit", CHOICE, .choices = dashboard_units},
    {"decimals", INTEGER, .max = 10},
    {"min", NUMBER, .min = -1e308, .max = 1e308},
    {"max", NUMBER, .min = -1e308, .max = 1e308},
    {"stack", FLAG},
    {"draw", CHOICE, .choices = dashboard_draws},
    {"calc", CHOICE, .choices = dashboard_calcs},
    {"thresholds", LIST, threshold_members, .max = THRESHOLDS_MAX},
    {"text", TEXT, .max = EXPRESSION_BYTES},
    {"collapsed", FLAG},
    {"was", TEXT, .max = TITLE_BYTES},
    {0},
};

static const struct member dashboard_members[] = {
    {"title", TEXT, .max = TITLE_BYTES, .required = true},
    {"description", TEXT, .max = NOTE_BYTES},
    {"tags", TEXTS, .max = 20},
    {"time", OBJECT, time_members},
    {"refresh", DURATION},
    {"variables", LIST, variable_members, .max = VARIABLES_MAX},
    {"panels", LIST, panel_members, .max = PANELS_MAX, .required = true},
    {0},
};

/* ---- where we are -------------------------------------------------------------------------------------------------- */

struct place {
    const struct place *above;
    const char *name;
    size_t index; /* of a list's element, from 1; 0: it is none */
};

static void put_place(const struct place *p, struct buf *out) {
    if (!p) return;
    put_place(p->above, out);
    if (p->above && p->name && out->n) buf_add_byte(out, '.');
    if (p->name) buf_add_text(out, p->name);
    if (p->index) buf_add_fmt(out, "[%zu]", p->index - 1);
}

static err refuse(const struct place *p, const struct parsed *v, const char *what) {
    AUTO_BUF struct buf path;
    buf_init(&path, KIB);
    put_place(p, &path);
    return err_new(ERR_INVALID, "%s: %s, at byte %u", path.n ? path.p : "the body", what, v->at);
}

static err wrap(const struct place *p, err e) {
    AUTO_BUF struct buf path;
    buf_init(&path, KIB);
    if (!e) return NULL;
    put_place(p, &path);
    return err_wrap(e, "%s", path.p ? path.p : "");
}

/* ---- one value ------------------------------------------------------------------------------------------------------- */

static err check_object(const struct parsed *v, const struct member *members, const struct place *p);

static bool is_name(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (!word_char((unsigned char)s.p[i]) || (unsigned char)s.p[i] >= 0x80) return false;
    return s.n > 0 && !(s.p[0] >= '0' && s.p[0] <= '9') && !str_starts_with(s, STR("__"));
}

static err check_text(const struct parsed *v, double bytes_max, const struct place *p) {
    char words[64];
    if (v->type != JSON_STRING) return refuse(p, v, "must be a text");
    snprintf(words, sizeof words, "has more than %.0f bytes", bytes_max);
    return (double)v->text.n > bytes_max ? refuse(p, v, words) : NULL;
}

static err check_choice(const struct parsed *v, const char *choices, const struct place *p) {
    AUTO_BUF struct buf words;
    buf_init(&words, KIB);
    buf_add_fmt(&words, "is one of %s", choices);
    return v->type == JSON_STRING && word_among(v->text, choices) ? NULL : refuse(p, v, words.p);
}

static err check_number(const struct parsed *v, const struct member *m, const struct place *p) {
    double is;
    char words[96];
    bool whole = m->form == INTEGER;
    snprintf(words, sizeof words, "must be a%s number from %.15g to %.15g", whole ? " whole" : "", m->min, m->max);
    if (v->type != JSON_NUMBER || !parsed_number(v, &is)) return refuse(p, v, words);
    if (!(is >= m->min && is <= m->max) || (whole && is != (double)(int64_t)is)) return refuse(p, v, words);
    return NULL;
}

static err check_duration(const struct parsed *v, const struct place *p) {
    int64_t ns = 0;
    if (v->type != JSON_STRING) return refuse(p, v, "must be a text: 30s, 5m, or empty");
    if (v->text.n == 0) return NULL;
    err e = parse_duration(v->text, &ns);
    err_free(e);
    return e || ns < 1000000000 ? refuse(p, v, "must be 1s or more: 30s, 5m, or empty") : NULL;
}

static err check_list(const struct parsed *v, const struct member *m, const struct place *p) {
    struct place one = {p->above, p->name, 0};
    char words[64];
    if (v->type != JSON_ARRAY) return refuse(p, v, "must be an array");
    for (const struct parsed *o = v->first; o; o = o->next) {
        snprintf(words, sizeof words, "more than %.0f", m->max);
        if ((double)one.index++ == m->max) return err_as(refuse(&one, o, words), ERR_LIMIT);
        TRY(m->form == TEXTS ? check_text(o, VALUE_BYTES, &one) : check_object(o, m->of, &one));
    }
    return NULL;
}

static err check_value(const struct parsed *v, const struct member *m, const struct place *p) {
    switch (m->form) {
    case TEXT: return check_text(v, m->max, p);
    case NAME:
        TRY(check_text(v, m->max, p));
        return is_name(v->text)
                   ? NULL
                   : refuse(p, v, "a name is letters, digits and _, and begins with neither a digit nor __");
    case CHOICE: return check_choice(v, m->choices, p);
    case NUMBER:
    case INTEGER: return check_number(v, m, p);
    case FLAG: return v->type == JSON_TRUE || v->type == JSON_FALSE ? NULL : refuse(p, v, "must be true or false");
    case DURATION: return check_duration(v, p);
    case OBJECT: return check_object(v, m->of, p);
    case TEXTS:
    case LIST: return check_list(v, m, p);
    }
    return NULL;
}

static const struct member *member_of(const struct member *members, struct str name, unsigned *out_bit) {
    for (unsigned i = 0; members[i].name; i++) {
        *out_bit = i;
        if (str_equal(name, str_of(members[i].name))) return &members[i];
    }
    return NULL;
}

static err refuse_unknown(const struct parsed *v, const struct place *p) {
    AUTO_BUF struct buf words;
    buf_init(&words, KIB);
    buf_add_text(&words, "has no member \"");
    put_terminal(&words, (struct str){v->key.p, MIN(v->key.n, (size_t)NAME_BYTES)});
    buf_add_text(&words, "\"");
    return refuse(p, v, words.p);
}

static err check_object(const struct parsed *v, const struct member *members, const struct place *p) {
    uint64_t given = 0;
    unsigned bit;
    if (v->type != JSON_OBJECT) return refuse(p, v, "must be an object");
    for (const struct parsed *o = v->first; o; o = o->next) {
        const struct member *m = member_of(members, o->key, &bit);
        if (!m) return refuse_unknown(o, p);
        struct place here = {p, m->name, 0};
        if (given >> bit & 1) return refuse(&here, o, "stands twice");
        given |= UINT64_C(1) << bit;
        TRY(check_value(o, m, &here));
    }
    for (unsigned i = 0; members[i].name; i++) {
        struct place here = {p, members[i].name, 0};
        if (members[i].required && !(given >> i & 1)) return refuse(&here, v, "is missing");
    }
    return NULL;
}

/* ---- what holds between them ----------------------------------------------------------------------------------------- */

static bool has_values(const struct parsed *v) {
    const struct parsed *list = parsed_get(v, "values");
    return list->type == JSON_ARRAY && list->first;
}

/* A value that it may hold: its default, else its first; p NULL: only the query knows. */
static struct str sample_of(const struct parsed *v) {
    const struct parsed *value = parsed_get(v, "value")->first, *first = parsed_get(v, "values")->first;
    if (str_equal(parsed_text(v, "kind"), STR("query"))) return (struct str){0};
    if (str_equal(parsed_text(v, "kind"), STR("interval"))) return STR("5m");
    if (value && !str_equal(value->text, STR("*")) && !str_equal(value->text, STR("auto"))) return value->text;
    if (first && !str_equal(first->text, STR("auto"))) return first->text;
    return (struct str){0};
}

static err check_variables(const struct parsed *root, struct arena *a, struct variable_samples *out) {
    const struct parsed *list = parsed_get(root, "variables");
    struct place at = {NULL, "variables", 0};
    out->v = arena_array(a, struct variable_sample, parsed_count(list) + 1);
    if (!out->v) return arena_err(a);
    for (const struct parsed *v = list->first; v; v = v->next) {
        at.index++;
        struct place name = {&at, "name", 0}, values = {&at, "values", 0}, query = {&at, "query", 0};
        struct str kind = parsed_text(v, "kind"), is = parsed_text(v, "name");
        for (size_t i = 0; i < out->n; i++)
            if (str_equal(out->v[i].name, is)) return refuse(&name, v, "is the name of another variable");
        if ((str_equal(kind, STR("custom")) || str_equal(kind, STR("interval"))) && !has_values(v))
            return refuse(&values, v, "a variable of this kind needs values");
        if (str_equal(kind, STR("query"))) TRY(wrap(&query, variable_query_check(parsed_text(v, "query"), out, a)));
        out->v[out->n++] = (struct variable_sample){is, sample_of(v)};
    }
    return NULL;
}

static err check_query(const struct parsed *q, const struct variable_samples *all, struct arena *a,
                       const struct place *at) {
    struct place expr = {at, "expr", 0};
    if (!str_equal(parsed_text(q, "kind"), STR("promql"))) return NULL;
    return wrap(&expr, expression_check(parsed_text(q, "expr"), all, a));
}

static err check_panel(const struct parsed *v, const struct variable_samples *all, const struct place *at) {
    double x = 0, w = 0;
    struct place wide = {at, "w", 0}, query = {at, "queries", 0};
    if (parsed_number(parsed_get(v, "x"), &x) && parsed_number(parsed_get(v, "w"), &w) && x + w > DASHBOARD_COLUMNS)
        return refuse(&wide, parsed_get(v, "w"), "reaches over the 24 columns of the grid");
    for (const struct parsed *q = parsed_get(v, "queries")->first; q; q = q->next) {
        AUTO_ARENA struct arena parsed; /* of one expression: of ten thousand it would be much */
        query.index++;
        arena_init(&parsed, 32 * MIB);
        TRY(check_query(q, all, &parsed, &query));
    }
    return NULL;
}

err dashboard_check_parsed(const struct parsed *root, struct arena *a) {
    struct variable_samples samples = {0};
    struct place body = {NULL, NULL, 0}, at = {NULL, "panels", 0};
    const struct parsed *panels = parsed_get(root, "panels");
    double ids[PANELS_MAX];
    TRY(check_object(root, dashboard_members, &body));
    TRY(check_variables(root, a, &samples));
    for (const struct parsed *v = panels->first; v; v = v->next) {
        struct place id = {&at, "id", 0};
        double is = 0;
        at.index++;
        parsed_number(parsed_get(v, "id"), &is);
        for (size_t i = 0; i + 1 < at.index; i++)
            if (ids[i] == is) return refuse(&id, parsed_get(v, "id"), "is the id of another panel");
        ids[at.index - 1] = is;
        TRY(check_panel(v, &samples, &at));
    }
    return NULL;
}

err dashboard_check(struct str body, struct budget *budget, struct arena *a, struct str *out_title) {
    AUTO_ARENA struct arena own;
    const struct parsed *root = NULL;
    arena_init(&own, DASHBOARD_MEMORY);
    own.budget = budget;
    TRY(parsed_read(&own, body, &root));
    TRY(dashboard_check_parsed(root, &own));
    struct str title = arena_copy(a, parsed_text(root, "title"));
    TRY(arena_err(a));
    *out_title = title;
    return NULL;
}
