/* Templates: tree and data to text. */
#include "alert/template_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "query/promql/number.h"

enum { ARGS_MAX = 32 };

/* ---- errors ------------------------------------------------------------------------------------------------------ */

/* What text/template says of a failure at bytes [start, end) of the text, `behind` bytes later; consumes e, whose text is the reason. */
static err at_behind(const struct run *r, uint32_t start, uint32_t end, uint32_t behind, err e) {
    struct str text = r->t->text;
    size_t line = 1, column = 0, shown = MIN((size_t)(end - start), (size_t)20);
    if (!e || err_kind(e) != ERR_INVALID || str_starts_with(str_of(err_text(e)), STR("template: "))) return e;
    for (size_t i = 0; i < start + behind; i++) {
        column++;
        if (text.p[i] == '\n') line++, column = 0;
    }
    return err_wrap(e, "template: " STR_FMT ":%zu:%zu: executing \"" STR_FMT "\" at <%.*s%s>", STR_ARG(r->t->name),
                    line, column, STR_ARG(r->t->name), (int)shown, text.p + start, end - start > 20 ? "..." : "");
}

static err at(const struct run *r, uint32_t start, uint32_t end, err e) { return at_behind(r, start, end, 0, e); }

/* Of the fields behind a variable text/template gives the place of the first of them. */
static err field_at(const struct run *r, const struct operand *o, err e) {
    return at_behind(r, o->start, o->end, o->kind == OPERAND_VARIABLE ? (uint32_t)o->text.n : 0, e);
}

static err spend(struct run *r) {
    if (++r->steps > TEMPLATE_STEPS_MAX) return err_new(ERR_LIMIT, "over %d steps", TEMPLATE_STEPS_MAX);
    if (r->out->n - r->out_start > TEMPLATE_OUT_MAX || r->out->full)
        return err_new(ERR_LIMIT, "over %d bytes of text", TEMPLATE_OUT_MAX);
    return NULL;
}

/* ---- variables --------------------------------------------------------------------------------------------------- */

static err push_variable(struct run *r, struct str name, struct value v) {
    if (r->variable_n == r->variable_capacity) {
        size_t capacity = r->variable_capacity ? 2 * r->variable_capacity : 16;
        struct variable *grown = arena_alloc(r->a, capacity * sizeof *grown);
        if (!grown) return arena_err(r->a);
        if (r->variable_n) memcpy(grown, r->variables, r->variable_n * sizeof *grown);
        r->variables = grown;
        r->variable_capacity = capacity;
    }
    r->variables[r->variable_n++] = (struct variable){name, v};
    return NULL;
}

static struct value *find_variable(struct run *r, struct str name) {
    for (size_t i = r->variable_n; i-- > 0;)
        if (str_equal(r->variables[i].name, name)) return &r->variables[i].value;
    return NULL;
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

bool value_is_true(const struct value *v) {
    switch (v->kind) {
    case VALUE_NIL: return false;
    case VALUE_BOOL: return v->boolean;
    case VALUE_INT: return v->integer != 0;
    case VALUE_FLOAT: return v->number != 0;
    case VALUE_STRING: return v->text.n > 0;
    case VALUE_LABELS: return v->labels.n > 0;
    case VALUE_SAMPLES:
    case VALUE_ARGS: return v->n > 0;
    case VALUE_SAMPLE:
    case VALUE_TIME:
    case VALUE_ROOT: return true;
    case VALUE_MONTH:
    case VALUE_WEEKDAY: return v->integer != 0;
    }
    return false;
}

const char *value_type(const struct value *v) {
    static const char *const names[] = {[VALUE_NIL] = "<nil>",
                                        [VALUE_BOOL] = "bool",
                                        [VALUE_INT] = "int",
                                        [VALUE_FLOAT] = "float64",
                                        [VALUE_STRING] = "string",
                                        [VALUE_LABELS] = "map[string]string",
                                        [VALUE_SAMPLE] = "*template.sample",
                                        [VALUE_SAMPLES] = "template.queryResult",
                                        [VALUE_ARGS] = "map[string]interface {}",
                                        [VALUE_TIME] = "*time.Time",
                                        [VALUE_MONTH] = "time.Month",
                                        [VALUE_WEEKDAY] = "time.Weekday",
                                        [VALUE_ROOT] = ("struct { Labels map[string]string; ExternalLabels map[string]"
                                                        "string; ExternalURL string; Value interface {} }")};
    return names[v->kind];
}

static void print_labels(struct labels l, struct buf *out) {
    buf_add_text(out, "map[");
    for (uint32_t i = 0; i < l.n; i++)
        buf_add_fmt(out, "%s" STR_FMT ":" STR_FMT, i ? " " : "", STR_ARG(l.v[i].name), STR_ARG(l.v[i].value));
    buf_add_text(out, "]");
}

static int by_name(const void *x, const void *y) { return str_compare(*(const struct str *)x, *(const struct str *)y); }

/* map[arg0:1 arg1:b arg10:c arg2:d]; such maps hold no others that are deeper than templates may be. */
static void print_arguments(const struct value *v, struct buf *out) {
    char texts[ARGS_MAX][8];
    struct str names[ARGS_MAX];
    for (size_t i = 0; i < v->n; i++) {
        snprintf(texts[i], sizeof texts[i], "arg%u", (unsigned)(i % ARGS_MAX));
        names[i] = str_of(texts[i]);
    }
    qsort(names, v->n, sizeof *names, by_name);
    buf_add_text(out, "map[");
    for (size_t i = 0; i < v->n && !out->full; i++) {
        struct value item = value_argument(v, names[i]);
        buf_add_fmt(out, "%s" STR_FMT ":", i ? " " : "", STR_ARG(names[i]));
        value_print(&item, out);
    }
    buf_add_text(out, "]");
}

void value_print(const struct value *v, struct buf *out) {
    switch (v->kind) {
    case VALUE_NIL: buf_add_text(out, "<nil>"); break;
    case VALUE_BOOL: buf_add_text(out, v->boolean ? "true" : "false"); break;
    case VALUE_INT: put_i64(out, v->integer); break;
    case VALUE_FLOAT: put_go_general(out, v->number); break;
    case VALUE_STRING: buf_add_str(out, v->text); break;
    case VALUE_LABELS: print_labels(v->labels, out); break;
    case VALUE_SAMPLE:
        buf_add_byte(out, '{');
        print_labels(v->samples->labels, out);
        buf_add_byte(out, ' ');
        put_go_general(out, v->samples->value);
        buf_add_byte(out, '}');
        break;
    case VALUE_SAMPLES: buf_add_fmt(out, "[%zu samples]", v->n); break;
    case VALUE_ARGS: print_arguments(v, out); break;
    case VALUE_TIME: put_template_time(out, v->integer); break;
    case VALUE_MONTH:
    case VALUE_WEEKDAY: buf_add_text(out, template_name_of(v)); break;
    case VALUE_ROOT:
        buf_add_byte(out, '{');
        print_labels(v->root->labels, out);
        buf_add_byte(out, ' ');
        print_labels(v->root->external_labels, out);
        buf_add_fmt(out, " " STR_FMT " ", STR_ARG(v->root->external_url));
        if (v->root->histogram.p)
            buf_add_str(out, v->root->histogram);
        else
            put_go_general(out, v->root->value);
        buf_add_byte(out, '}');
        break;
    }
}

/* ---- fields ------------------------------------------------------------------------------------------------------ */

static bool root_field(const struct run *r, struct str name, struct value *out) {
    const struct template_data *d = r->data;
    if (str_equal(name, STR("Labels")))
        *out = (struct value){.kind = VALUE_LABELS, .labels = d->labels};
    else if (str_equal(name, STR("ExternalLabels")))
        *out = (struct value){.kind = VALUE_LABELS, .labels = d->external_labels};
    else if (str_equal(name, STR("ExternalURL")))
        *out = value_string(d->external_url);
    else if (str_equal(name, STR("Value")))
        *out = d->histogram.p ? value_string(d->histogram) : value_float(d->value);
    else
        return false;
    return true;
}

struct value value_argument(const struct value *v, struct str name) {
    char own[32];
    for (size_t i = 0; i < v->n; i++) {
        snprintf(own, sizeof own, "arg%zu", i);
        if (str_equal(name, str_of(own))) return v->args[i];
    }
    return (struct value){0};
}

static err field_of(struct run *r, const struct operand *o, const struct value *v, struct str name, struct value *out) {
    bool found = false;
    switch (v->kind) {
    case VALUE_ROOT: found = root_field(r, name, out); break;
    case VALUE_LABELS:
        *out = value_string(label_set_get(v->labels, name));
        found = true;
        break;
    case VALUE_ARGS:
        *out = value_argument(v, name);
        found = true;
        break;
    case VALUE_SAMPLE:
        found = true;
        if (str_equal(name, STR("Labels")))
            *out = (struct value){.kind = VALUE_LABELS, .labels = v->samples->labels};
        else if (str_equal(name, STR("Value")))
            *out = value_float(v->samples->value);
        else
            found = false;
        break;
    case VALUE_NIL:
        return field_at(r, o, err_new(ERR_INVALID, "nil pointer evaluating interface {}." STR_FMT, STR_ARG(name)));
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_FLOAT:
    case VALUE_STRING:
    case VALUE_SAMPLES: break;
    case VALUE_TIME:
    case VALUE_MONTH:
    case VALUE_WEEKDAY: TRY(field_at(r, o, template_method(r, v, name, NULL, 0, &found, out))); break;
    }
    if (found) return NULL;
    return field_at(r, o,
                    err_new(ERR_INVALID, "can't evaluate field " STR_FMT " in type %s", STR_ARG(name), value_type(v)));
}

/* ---- pipelines --------------------------------------------------------------------------------------------------- */

static err run_pipe(struct run *r, const struct pipe *p, struct value *out);

/* `last`, if there is one, is the value that the stage before gave. */
static err call_function(struct run *r, const struct operand *f, uint32_t end, const struct operand *rest,
                         const struct value *last, struct value *out);

static err run_operand(struct run *r, const struct operand *o, struct value *out) {
    struct value v = {0};
    TRY(spend(r));
    switch (o->kind) {
    case OPERAND_DOT: v = r->dot; break;
    case OPERAND_NIL: break;
    case OPERAND_BOOL: v = value_bool(o->integer != 0); break;
    case OPERAND_INT: v = value_int(o->integer); break;
    case OPERAND_FLOAT: v = value_float(o->number); break;
    case OPERAND_STRING: v = value_string(o->text); break;
    case OPERAND_VARIABLE: {
        const struct value *found = find_variable(r, o->text);
        if (!found)
            return at(r, o->start, o->end, err_new(ERR_INVALID, "undefined variable: " STR_FMT, STR_ARG(o->text)));
        v = *found;
        break;
    }
    case OPERAND_FUNCTION: TRY(call_function(r, o, o->end, NULL, NULL, &v)); break;
    case OPERAND_PIPE: TRY(run_pipe(r, o->pipe, &v)); break;
    }
    for (uint32_t i = 0; i < o->field_n; i++) {
        struct value inner;
        TRY(field_of(r, o, &v, o->fields[i], &inner));
        v = inner;
    }
    *out = v;
    return NULL;
}

/* and, or: the first that decides. */
static err run_logic(struct run *r, const struct operand *rest, const struct value *last, bool ends_at,
                     struct value *out) {
    for (const struct operand *o = rest; o; o = o->next) {
        TRY(run_operand(r, o, out));
        if (value_is_true(out) == ends_at) return NULL;
    }
    if (last) *out = *last;
    return NULL;
}

static err call_function(struct run *r, const struct operand *f, uint32_t end, const struct operand *rest,
                         const struct value *last, struct value *out) {
    const struct template_function *fn = template_function(f->text);
    struct value args[ARGS_MAX];
    size_t given = last != NULL, n = 0;
    for (const struct operand *o = rest; o; o = o->next) given++;
    if (given > LENGTH(args)) return at(r, f->start, end, err_new(ERR_INVALID, "over %d arguments", ARGS_MAX));
    if ((int)given < fn->args_min || (fn->args_max >= 0 && (int)given > fn->args_max))
        return at(r, f->start, end,
                  err_new(ERR_INVALID, "wrong number of args for " STR_FMT ": want %s%d got %zu", STR_ARG(f->text),
                          fn->args_max != fn->args_min ? "at least " : "", fn->args_min, given));
    if (!fn->call) return run_logic(r, rest, last, fn->name[0] == 'o', out);
    for (const struct operand *o = rest; o; o = o->next) TRY(run_operand(r, o, &args[n++]));
    if (last) args[n++] = *last;
    err e = fn->call(r, args, n, out);
    if (e && err_kind(e) == ERR_INVALID && !str_starts_with(str_of(err_text(e)), STR("wrong type")))
        e = err_wrap(e, "error calling " STR_FMT, STR_ARG(f->text));
    return at(r, f->start, end, e);
}

/* $t.Format "2006": the last field with what is given to it. */
static err run_method(struct run *r, const struct operand *o, const struct value *last, struct value *out) {
    struct operand subject = *o;
    struct value v, args[ARGS_MAX];
    size_t n = 0;
    bool found;
    struct str name = o->fields[--subject.field_n];
    TRY(run_operand(r, &subject, &v));
    for (const struct operand *rest = o->next; rest; rest = rest->next) {
        if (n + 1 == ARGS_MAX) return field_at(r, o, err_new(ERR_INVALID, "over %d arguments", ARGS_MAX - 1));
        TRY(run_operand(r, rest, &args[n++]));
    }
    if (last) args[n++] = *last;
    TRY(field_at(r, o, template_method(r, &v, name, args, n, &found, out)));
    if (found) return NULL;
    return field_at(r, o, err_new(ERR_INVALID, STR_FMT " is not a method but has arguments", STR_ARG(name)));
}

static err run_command(struct run *r, const struct command *c, const struct value *last, struct value *out) {
    const struct operand *first = c->args;
    TRY(spend(r));
    if (first->kind == OPERAND_NIL && !last && !first->next)
        return at(r, first->start, first->end, err_new(ERR_INVALID, "nil is not a command"));
    if (first->kind == OPERAND_FUNCTION && !first->field_n)
        return call_function(r, first, c->end, first->next, last, out);
    if (first->field_n && (first->next || last)) return run_method(r, first, last, out);
    if (first->next || last)
        return at(r, first->start, first->end,
                  err_new(ERR_INVALID, "can't give argument to non-function " STR_FMT, (int)(first->end - first->start),
                          r->t->text.p + first->start));
    return run_operand(r, first, out);
}

/* The value, without what is declared. */
static err run_commands(struct run *r, const struct pipe *p, struct value *out) {
    struct value v = {0}, next;
    bool any = false;
    if (++r->depth > TEMPLATE_DEPTH_MAX) return err_new(ERR_LIMIT, "templates over %d deep", TEMPLATE_DEPTH_MAX);
    for (const struct command *c = p->commands; c; c = c->next) {
        TRY(run_command(r, c, any ? &v : NULL, &next));
        v = next;
        any = true;
    }
    r->depth--;
    *out = v;
    return NULL;
}

static err run_pipe(struct run *r, const struct pipe *p, struct value *out) {
    TRY(run_commands(r, p, out));
    if (!p->variable_n) return NULL;
    struct str name = p->variables[p->variable_n - 1];
    struct value *known = p->assigns ? find_variable(r, name) : NULL;
    if (!known) return push_variable(r, name, *out);
    *known = *out;
    return NULL;
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

static err run_list(struct run *r, const struct node *n);

static err run_scoped(struct run *r, const struct node *body, struct value dot) {
    size_t variables = r->variable_n;
    struct value before = r->dot;
    r->dot = dot;
    TRY(run_list(r, body));
    r->dot = before;
    r->variable_n = variables;
    return NULL;
}

/* Element i of what is ranged over; false: there is none. */
static bool element(struct run *r, const struct value *v, size_t i, struct value *key, struct value *out) {
    *key = value_int((int64_t)i);
    switch (v->kind) {
    case VALUE_SAMPLES:
        if (i >= v->n) return false;
        *out = (struct value){.kind = VALUE_SAMPLE, .samples = &v->samples[i]};
        return true;
    case VALUE_LABELS:
        if (i >= v->labels.n) return false;
        *key = value_string(v->labels.v[i].name);
        *out = value_string(v->labels.v[i].value);
        return true;
    case VALUE_ARGS: {
        char name[32];
        if (i >= v->n) return false;
        snprintf(name, sizeof name, "arg%zu", i);
        *key = value_string(arena_copy(r->a, str_of(name)));
        *out = v->args[i];
        return true;
    }
    case VALUE_INT: *out = value_int((int64_t)i); return (int64_t)i < v->integer;
    case VALUE_NIL:
    case VALUE_BOOL:
    case VALUE_FLOAT:
    case VALUE_STRING:
    case VALUE_SAMPLE:
    case VALUE_TIME:
    case VALUE_MONTH:
    case VALUE_WEEKDAY:
    case VALUE_ROOT: return false;
    }
    return false;
}

static err bind_element(struct run *r, const struct pipe *p, struct value key, struct value item) {
    struct value values[2] = {p->variable_n == 2 ? key : item, item};
    for (uint32_t i = 0; i < p->variable_n; i++) {
        struct value *known = p->assigns ? find_variable(r, p->variables[i]) : NULL;
        if (known)
            *known = values[i];
        else
            TRY(push_variable(r, p->variables[i], values[i]));
    }
    return NULL;
}

static err run_range(struct run *r, const struct node *n) {
    struct value over, key, item;
    size_t variables = r->variable_n, i = 0;
    TRY(run_commands(r, n->pipe, &over));
    bool ranges = over.kind == VALUE_SAMPLES || over.kind == VALUE_LABELS || over.kind == VALUE_ARGS ||
                  over.kind == VALUE_INT || over.kind == VALUE_NIL;
    if (!ranges) {
        AUTO_BUF struct buf text;
        buf_init(&text, 256);
        value_print(&over, &text);
        return at(r, n->pipe->start, n->pipe->end,
                  err_new(ERR_INVALID, "range can't iterate over %s", text.p ? text.p : ""));
    }
    for (; element(r, &over, i, &key, &item); i++) {
        TRY(spend(r));
        TRY(arena_err(r->a));
        TRY(bind_element(r, n->pipe, key, item));
        TRY(run_scoped(r, n->body, item));
        r->variable_n = variables;
        bool ends = r->flow == RUN_BREAK;
        r->flow = RUN_ON;
        if (ends) break;
    }
    return i == 0 && n->otherwise ? run_scoped(r, n->otherwise, r->dot) : NULL;
}

static err run_branch(struct run *r, const struct node *n) {
    struct value v;
    size_t variables = r->variable_n;
    TRY(run_pipe(r, n->pipe, &v));
    bool yes = value_is_true(&v);
    TRY(run_scoped(r, yes ? n->body : n->otherwise, yes && n->kind == NODE_WITH ? v : r->dot));
    r->variable_n = variables;
    return NULL;
}

static err run_template(struct run *r, const struct node *n) {
    const struct definition *d = r->t->definitions;
    struct value v = {0};
    while (d && !str_equal(d->name, n->text)) d = d->next;
    if (!d)
        return at(r, n->start, n->end, err_new(ERR_INVALID, "template \"" STR_FMT "\" not defined", STR_ARG(n->text)));
    if (n->pipe) TRY(run_pipe(r, n->pipe, &v));
    if (++r->depth > TEMPLATE_DEPTH_MAX)
        return at(r, n->start, n->end,
                  err_new(ERR_INVALID, "exceeded maximum template depth (%d)", TEMPLATE_DEPTH_MAX));
    struct variable *variables = r->variables;
    size_t variable_n = r->variable_n, capacity = r->variable_capacity;
    r->variables = NULL;
    r->variable_n = r->variable_capacity = 0;
    TRY(push_variable(r, STR("$"), v));
    TRY(run_scoped(r, d->body, v));
    r->variables = variables;
    r->variable_n = variable_n;
    r->variable_capacity = capacity;
    r->depth--;
    return NULL;
}

static err run_node(struct run *r, const struct node *n) {
    struct value v;
    switch (n->kind) {
    case NODE_TEXT: buf_add_str(r->out, n->text); return NULL;
    case NODE_ACTION:
        TRY(run_pipe(r, n->pipe, &v));
        if (n->pipe->variable_n) return NULL;
        if (v.kind == VALUE_NIL)
            buf_add_text(r->out, "<no value>");
        else
            value_print(&v, r->out);
        return NULL;
    case NODE_IF:
    case NODE_WITH: return run_branch(r, n);
    case NODE_RANGE: return run_range(r, n);
    case NODE_TEMPLATE: return run_template(r, n);
    case NODE_BREAK: r->flow = RUN_BREAK; return NULL;
    case NODE_CONTINUE: r->flow = RUN_CONTINUE; return NULL;
    }
    return NULL;
}

static err run_list(struct run *r, const struct node *n) {
    for (; n && r->flow == RUN_ON; n = n->next) {
        TRY(spend(r));
        TRY(run_node(r, n));
    }
    return NULL;
}

err template_run(const struct template *t, const struct template_data *data, struct arena *a, struct buf *out) {
    struct run r = {
        .t = t, .data = data, .a = a, .out = out, .out_start = out->n, .dot = {.kind = VALUE_ROOT, .root = data}};
    if (t->is_plain) {
        buf_add_str(out, t->text);
        return NULL;
    }
    TRY(push_variable(&r, STR("$"), r.dot));
    TRY(run_list(&r, t->body));
    return spend(&r);
}

bool template_expand(const struct template *t, const struct template_data *data, struct arena *a, struct buf *out) {
    size_t start = out->n;
    err e = template_run(t, data, a, out);
    if (!e) return true;
    out->n = start;
    buf_add_fmt(out, "<error expanding template: error executing template " STR_FMT ": %s>", STR_ARG(t->name),
                err_text(e));
    err_free(e);
    return false;
}
