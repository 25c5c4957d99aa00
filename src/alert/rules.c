#include "alert/rules.h"

#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "base/yaml.h"
#include "os/file.h"
#include "query/promql/number.h"

struct reading {
    const char *path;
    struct arena *a;
    struct buf *problems;
    size_t problem_n;
    size_t rules;
};

/* Of the rule that is looked at, as messages begin: group "g", rule 1, "name": */
struct place {
    struct str group, name;
    size_t number;
};

static void __attribute__((format(printf, 3, 4))) bad(struct reading *r, int line, const char *format, ...) {
    char text[1024];
    va_list args;
    if (r->problem_n++ >= RULE_PROBLEMS_MAX) return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_add_fmt(r->problems, "%s:%d: %s\n", r->path, line, text);
}

static void __attribute__((format(printf, 4, 5)))
bad_rule(struct reading *r, const struct place *p, int line, const char *format, ...) {
    char text[800];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    bad(r, line, "group \"" STR_FMT "\", rule %zu, \"" STR_FMT "\": %s", STR_ARG(p->group), p->number, STR_ARG(p->name),
        text);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static void check_keys(struct reading *r, const struct yaml *y, const char *what, const char *const *names) {
    for (uint32_t i = 0; i < y->n; i++) {
        bool known = false;
        for (const char *const *n = names; *n && !known; n++) known = str_equal(y->keys[i]->text, str_of(*n));
        if (!known) bad(r, y->keys[i]->line, "field " STR_FMT " not found in %s", STR_ARG(y->keys[i]->text), what);
    }
}

static struct str take_text(struct reading *r, const struct yaml *y, const char *key) {
    const struct yaml *v = yaml_get(y, key);
    if (!v || yaml_is_null(v)) return STR("");
    if (v->kind == YAML_SCALAR) return v->text;
    bad(r, v->line, "%s: expected a text", key);
    return STR("");
}

static int64_t take_duration(struct reading *r, const struct yaml *y, const char *key, int64_t otherwise) {
    const struct yaml *v = yaml_get(y, key);
    int64_t ms = 0;
    if (!v || (yaml_is_null(v) && !(v->kind == YAML_SCALAR && v->quoted))) return otherwise;
    bool good = v->kind == YAML_SCALAR && (str_equal(v->text, STR("0")) || parse_promql_duration(v->text, &ms));
    if (!good) bad(r, v->line, "%s: not a valid duration string: \"" STR_FMT "\"", key, STR_ARG(v->text));
    return ms > INT64_MAX / 1000000 ? INT64_MAX : ms * 1000000;
}

/* A number below none counts as none; one in quotes is what a row of JSON may hold. */
static uint64_t take_count(struct reading *r, const struct yaml *y, const char *key) {
    const struct yaml *v = yaml_get(y, key);
    uint64_t count = 0;
    int64_t n = 0;
    if (!v || yaml_is_null(v)) return 0;
    err e = yaml_count(v, &count);
    if (e && v->kind == YAML_SCALAR) {
        err_free(e);
        e = parse_i64(v->text, &n);
        count = n < 0 ? 0 : (uint64_t)n;
    }
    if (e) bad(r, v->line, "%s: expected a whole number", key);
    err_free(e);
    return count;
}

static int by_name(const void *x, const void *y) {
    return str_compare(((const struct label *)x)->name, ((const struct label *)y)->name);
}

/* A map of texts, by name. */
static err take_map(struct reading *r, const struct yaml *y, const char *key, struct labels *out) {
    const struct yaml *v = yaml_get(y, key);
    *out = (struct labels){0};
    if (!v || yaml_is_null(v)) return NULL;
    if (v->kind != YAML_MAP) {
        bad(r, v->line, "%s: expected a map of texts", key);
        return NULL;
    }
    struct label *l = arena_array(r->a, struct label, v->n + 1);
    if (!l) return arena_err(r->a);
    for (uint32_t i = 0; i < v->n; i++) {
        if (v->items[i]->kind != YAML_SCALAR) bad(r, v->items[i]->line, "%s: expected a text", key);
        l[i] = (struct label){v->keys[i]->text, yaml_is_null(v->items[i]) ? STR("") : v->items[i]->text};
    }
    qsort(l, v->n, sizeof *l, by_name);
    *out = (struct labels){l, v->n};
    return NULL;
}

/* Group labels under those of the rule. */
static err merge_labels(struct arena *a, struct labels group, struct labels own, struct labels *out) {
    struct label *l = arena_array(a, struct label, group.n + own.n + 1);
    uint32_t n = own.n;
    if (!l) return arena_err(a);
    if (own.n) memcpy(l, own.v, own.n * sizeof *l);
    for (uint32_t i = 0; i < group.n; i++) {
        bool there = false;
        for (uint32_t k = 0; k < own.n; k++) there |= str_equal(own.v[k].name, group.v[i].name);
        if (!there) l[n++] = group.v[i];
    }
    qsort(l, n, sizeof *l, by_name);
    *out = (struct labels){l, n};
    return NULL;
}

/* ---- one rule ---------------------------------------------------------------------------------------------------- */

static int line_of(const struct yaml *y, const char *key) {
    const struct yaml *v = yaml_get(y, key);
    return v ? v->line : y->line;
}

static err take_expr(struct reading *r, const struct place *p, const struct yaml *y, struct rule *out) {
    const struct yaml *v = yaml_get(y, "expr");
    struct promql_place where = {0};
    out->text = str_trim(take_text(r, y, "expr"));
    if (!out->text.n) {
        bad_rule(r, p, y->line, "field 'expr' must be set in rule");
        return NULL;
    }
    err e = promql_parse(r->a, out->text, (struct promql_syntax){0}, &out->expr, &where);
    if (e && err_kind(e) != ERR_INVALID) return e;
    if (e) {
        int below = where.line > 1 ? (int)where.line - 1 : 0; /* a block of text keeps its lines */
        bad_rule(r, p, v->line + below, "could not parse expression: %s", err_text(e));
    }
    err_free(e);
    return NULL;
}

static void check_names(struct reading *r, const struct place *p, const struct yaml *y, const struct rule *rule) {
    for (uint32_t i = 0; i < rule->labels.n; i++) {
        struct str name = rule->labels.v[i].name;
        if (!name.n || !utf8_is_valid(name) || str_equal(name, METRIC_NAME))
            bad_rule(r, p, line_of(y, "labels"), "invalid label name: " STR_FMT, STR_ARG(name));
    }
    for (uint32_t i = 0; i < rule->annotations.n; i++)
        if (!rule->annotations.v[i].name.n) bad_rule(r, p, line_of(y, "annotations"), "invalid annotation name: ");
}

static void check_kind(struct reading *r, const struct place *p, const struct yaml *y, const struct rule *rule,
                       struct str record, struct str alert) {
    if (record.n && alert.n) bad_rule(r, p, line_of(y, "record"), "only one of 'record' and 'alert' must be set");
    if (!record.n && !alert.n) bad_rule(r, p, y->line, "one of 'record' or 'alert' must be set");
    if (!record.n) return;
    if (rule->annotations.n) bad_rule(r, p, line_of(y, "annotations"), "invalid field 'annotations' in recording rule");
    if (rule->for_ns) bad_rule(r, p, line_of(y, "for"), "invalid field 'for' in recording rule");
    if (rule->keep_firing_ns)
        bad_rule(r, p, line_of(y, "keep_firing_for"), "invalid field 'keep_firing_for' in recording rule");
    if (memchr(record.p, '{', record.n) || memchr(record.p, '}', record.n))
        bad_rule(r, p, line_of(y, "record"),
                 "braces present in the recording rule name; should it be in expr?: " STR_FMT, STR_ARG(record));
}

static err parse_texts(struct reading *r, const struct place *p, const struct yaml *y, const char *what,
                       struct labels from, struct template ***out) {
    AUTO_BUF struct buf name;
    buf_init(&name, 4 * KIB);
    buf_add_fmt(&name, "__alert_" STR_FMT, STR_ARG(p->name));
    struct template **t = arena_array(r->a, struct template *, from.n + 1);
    if (!t) return arena_err(r->a);
    *out = t;
    for (uint32_t i = 0; i < from.n; i++) {
        err e = template_parse(r->a, buf_str(&name), from.v[i].value, &t[i]);
        if (e && err_kind(e) == ERR_INVALID) {
            int line = line_of(y, what[0] == 'l' ? "labels" : "annotations");
            const struct yaml *map = yaml_get(y, what[0] == 'l' ? "labels" : "annotations");
            for (uint32_t k = 0; map && k < map->n; k++)
                if (str_equal(map->keys[k]->text, from.v[i].name)) line = map->keys[k]->line;
            bad_rule(r, p, line, "%s \"" STR_FMT "\": %s", what, STR_ARG(from.v[i].name), err_text(e));
            err_free(e);
            continue;
        }
        TRY(e);
    }
    return NULL;
}

static err take_rule(struct reading *r, struct str group, struct labels group_labels, size_t number,
                     const struct yaml *y, struct rule *out) {
    static const char *const keys[] = {"record",          "alert",  "expr",        "for",
                                       "keep_firing_for", "labels", "annotations", NULL};
    if (y->kind != YAML_MAP) {
        bad(r, y->line, "expected a rule");
        return NULL;
    }
    check_keys(r, y, "a rule", keys);
    struct str record = take_text(r, y, "record"), alert = take_text(r, y, "alert");
    struct place p = {group, record.n ? record : alert, number};
    struct labels own;
    *out = (struct rule){.is_alert = !record.n, .name = p.name, .line = y->line};
    if (++r->rules > RULES_MAX) return err_new(ERR_LIMIT, "%s: over %d rules", r->path, RULES_MAX);
    out->for_ns = take_duration(r, y, "for", 0);
    out->keep_firing_ns = take_duration(r, y, "keep_firing_for", 0);
    TRY(take_map(r, y, "labels", &own));
    TRY(take_map(r, y, "annotations", &out->annotations));
    out->labels = own;
    check_kind(r, &p, y, out, record, alert);
    check_names(r, &p, y, out);
    TRY(take_expr(r, &p, y, out));
    TRY(merge_labels(r->a, group_labels, own, &out->labels));
    if (!out->is_alert) return NULL;
    TRY(parse_texts(r, &p, y, "label", out->labels, &out->label_texts));
    return parse_texts(r, &p, y, "annotation", out->annotations, &out->annotation_texts);
}

/* ---- groups ------------------------------------------------------------------------------------------------------ */

static err take_group(struct reading *r, const struct yaml *y, struct rule_group *out) {
    static const char *const keys[] = {"name", "interval", "query_offset", "limit", "labels", "rules", NULL};
    struct labels labels;
    *out = (struct rule_group){.file = str_of(r->path), .line = y->line};
    if (y->kind != YAML_MAP) {
        bad(r, y->line, "expected a group");
        return NULL;
    }
    check_keys(r, y, "a group", keys);
    out->name = take_text(r, y, "name");
    out->interval_ns = take_duration(r, y, "interval", 0);
    out->query_offset_ns = take_duration(r, y, "query_offset", -1);
    out->limit = take_count(r, y, "limit");
    if (!out->name.n) bad(r, y->line, "Groupname must not be empty");
    TRY(take_map(r, y, "labels", &labels));
    for (uint32_t i = 0; i < labels.n; i++)
        if (!labels.v[i].name.n || str_equal(labels.v[i].name, METRIC_NAME))
            bad(r, line_of(y, "labels"), "group \"" STR_FMT "\": invalid label name: " STR_FMT, STR_ARG(out->name),
                STR_ARG(labels.v[i].name));
    const struct yaml *rules = yaml_get(y, "rules");
    if (!rules || yaml_is_null(rules)) return NULL;
    if (rules->kind != YAML_LIST) {
        bad(r, rules->line, "rules: expected a list");
        return NULL;
    }
    out->rules = arena_array(r->a, struct rule, rules->n + 1);
    if (!out->rules) return arena_err(r->a);
    for (uint32_t i = 0; i < rules->n; i++) {
        if (yaml_is_null(rules->items[i])) continue; /* Go's reader leaves such items out */
        TRY(take_rule(r, out->name, labels, out->n + 1, rules->items[i], &out->rules[out->n]));
        out->n++;
    }
    return NULL;
}

static err take_groups(struct reading *r, const struct yaml *root, struct rule_file *out) {
    static const char *const keys[] = {"groups", NULL};
    if (yaml_is_null(root)) return NULL;
    if (root->kind != YAML_MAP) {
        bad(r, root->line, "expected a map with groups");
        return NULL;
    }
    check_keys(r, root, "a file of rules", keys);
    const struct yaml *groups = yaml_get(root, "groups");
    if (!groups || yaml_is_null(groups)) return NULL;
    if (groups->kind != YAML_LIST) {
        bad(r, groups->line, "groups: expected a list");
        return NULL;
    }
    struct strings names;
    strings_init(&names);
    out->groups = arena_array(r->a, struct rule_group, groups->n + 1);
    err e = arena_err(r->a);
    for (uint32_t i = 0; i < groups->n && !e; i++) {
        if (yaml_is_null(groups->items[i])) continue;
        struct rule_group *g = &out->groups[out->n++];
        e = take_group(r, groups->items[i], g);
        uint32_t before = names.n;
        strings_intern(&names, g->name);
        if (g->name.n && names.n == before)
            bad(r, g->line, "groupname: \"" STR_FMT "\" is repeated in the same file", STR_ARG(g->name));
        out->rules += g->n;
    }
    strings_done(&names);
    return e;
}

struct str rules_first_document(struct str text) {
    struct str rest = text, line;
    bool content = false;
    while (rest.n) {
        const char *start = rest.p;
        str_cut(rest, '\n', &line, &rest);
        bool marker = str_starts_with(line, STR("---")) && (line.n == 3 || strchr(" \t\r", line.p[3]));
        if (marker && content) return (struct str){text.p, (size_t)(start - text.p)};
        struct str plain = str_trim(line);
        content |= marker || (plain.n && plain.p[0] != '#');
        if (line.p + line.n >= text.p + text.n) break;
    }
    return text;
}

err rules_read(struct str text, const char *path, struct arena *a, struct rule_file *out, struct buf *problems) {
    struct str own = arena_copy(a, str_of(path));
    struct yaml *root;
    *out = (struct rule_file){0};
    if (!own.p) return arena_err(a);
    struct reading r = {.path = own.p, .a = a, .problems = problems};
    if (text.n > RULE_FILE_BYTES_MAX) return err_new(ERR_LIMIT, "%s: over %d MiB", path, RULE_FILE_BYTES_MAX >> 20);
    err e = yaml_read(rules_first_document(text), own.p, a, &root);
    if (e && err_kind(e) == ERR_INVALID) {
        buf_add_fmt(problems, "%s\n", err_text(e));
        err_free(e);
        return NULL;
    }
    TRY(e);
    TRY(take_groups(&r, root, out));
    if (r.problem_n > RULE_PROBLEMS_MAX)
        buf_add_fmt(problems, "%s: and %zu more\n", path, r.problem_n - RULE_PROBLEMS_MAX);
    return arena_err(a);
}

/* ---- duplicates -------------------------------------------------------------------------------------------------- */

static int by_rule(const void *x, const void *y) {
    const struct rule *a = *(const struct rule *const *)x, *b = *(const struct rule *const *)y;
    int order = str_compare(a->name, b->name);
    return order ? order : promql_labels_compare(a->labels, b->labels);
}

size_t rules_duplicates(const struct rule_file *file, struct buf *out) {
    const struct rule **all = mem_new_array(const struct rule *, file->rules + 1);
    size_t n = 0, found = 0;
    for (size_t g = 0; g < file->n; g++)
        for (size_t i = 0; i < file->groups[g].n; i++) all[n++] = &file->groups[g].rules[i];
    qsort(all, n, sizeof *all, by_rule);
    for (size_t i = 1; i < n; i++) {
        bool again = by_rule(&all[i - 1], &all[i]) == 0, told = i > 1 && by_rule(&all[i - 2], &all[i]) == 0;
        if (!again || told) continue;
        found++;
        buf_add_fmt(out, STR_FMT " ", STR_ARG(all[i]->name));
        promql_labels_print(all[i]->labels, out);
        buf_add_byte(out, '\n');
    }
    mem_free(all);
    return found;
}

/* ---- patterns of paths ------------------------------------------------------------------------------------------- */

struct globbing {
    const char *folder, *pattern;
    err (*found)(void *context, const char *path);
    void *context;
};

static err look_at(void *context, const char *name, bool is_dir) {
    struct globbing *g = context;
    AUTO_BUF struct buf path = {0};
    if (is_dir || fnmatch(g->pattern, name, FNM_PERIOD) != 0) return NULL;
    buf_init(&path, 4096);
    buf_add_fmt(&path, "%s%s%s", g->folder, *g->folder && g->folder[strlen(g->folder) - 1] != '/' ? "/" : "", name);
    return path.full ? NULL : g->found(g->context, path.p);
}

err rules_glob(const char *pattern, err (*found)(void *context, const char *path), void *context) {
    const char *slash = strrchr(pattern, '/'), *last = slash ? slash + 1 : pattern;
    if (!strpbrk(last, "*?[")) return found(context, pattern);
    AUTO_FREE char *folder = str_dup((struct str){pattern, (size_t)(last - pattern)});
    struct globbing g = {folder, last, found, context};
    return path_list(*folder ? folder : ".", look_at, &g);
}
