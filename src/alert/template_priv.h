/* The tree of a template, and values. */
#pragma once

#include "alert/template.h"

struct pipe;

enum operand_kind {
    OPERAND_DOT,
    OPERAND_NIL,
    OPERAND_BOOL,
    OPERAND_INT,
    OPERAND_FLOAT,
    OPERAND_STRING,
    OPERAND_VARIABLE,
    OPERAND_FUNCTION,
    OPERAND_PIPE
};

/* One operand with the fields behind it: $x.Labels.job */
struct operand {
    enum operand_kind kind;
    struct str text; /* variable with its $, function, string without quotes */
    int64_t integer;
    double number;
    struct pipe *pipe;
    struct str *fields;
    uint32_t field_n;
    uint32_t start, end; /* bytes of the text */
    struct operand *next;
};

struct command {
    struct operand *args;
    uint32_t arg_n;
    uint32_t start, end;
    struct command *next;
};

struct pipe {
    struct str variables[2];
    uint32_t variable_n;
    bool assigns; /* = in place of := */
    struct command *commands;
    uint32_t start, end;
};

enum node_kind { NODE_TEXT, NODE_ACTION, NODE_IF, NODE_RANGE, NODE_WITH, NODE_TEMPLATE, NODE_BREAK, NODE_CONTINUE };

struct node {
    enum node_kind kind;
    struct str text; /* TEXT; TEMPLATE: the name */
    struct pipe *pipe;
    struct node *body, *otherwise;
    uint32_t start, end;
    struct node *next;
};

struct definition {
    struct str name;
    struct node *body;
    struct definition *next;
};

struct template {
    struct str name, text; /* text: with the variables in front */
    struct node *body;
    struct definition *definitions;
    bool is_plain; /* no {{ in it */
};

enum value_kind {
    VALUE_NIL,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_STRING,
    VALUE_LABELS,  /* map[string]string */
    VALUE_SAMPLE,  /* a row of a query */
    VALUE_SAMPLES, /* all of them */
    VALUE_ARGS,    /* map[string]interface{}: arg0, arg1 … */
    VALUE_TIME,    /* ns since 1970 */
    VALUE_MONTH,   /* time.Month, from 1 */
    VALUE_WEEKDAY, /* time.Weekday, Sunday is 0 */
    VALUE_ROOT     /* the data of an alert */
};

struct value {
    enum value_kind kind;
    bool boolean;
    int64_t integer; /* INT, TIME, MONTH, WEEKDAY */
    double number;
    struct str text;
    struct labels labels;
    const struct template_sample *samples;
    const struct value *args;
    const struct template_data *root;
    size_t n; /* of samples and args */
};

struct run {
    const struct template *t;
    const struct template_data *data;
    struct arena *a;
    struct buf *out;
    size_t out_start;
    uint32_t steps, depth, queries;
    struct variable {
        struct str name;
        struct value value;
    } * variables;
    size_t variable_n, variable_capacity;
    struct value dot;
    enum { RUN_ON, RUN_BREAK, RUN_CONTINUE } flow;
};

struct template_function {
    const char *name;
    int args_min, args_max; /* -1: any */
    /* ERR_INVALID with the bare reason. */
    err (*call)(struct run *r, const struct value *args, size_t n, struct value *out);
};
const struct template_function *template_function(struct str name); /* NULL: there is none */

static inline struct value value_string(struct str s) { return (struct value){.kind = VALUE_STRING, .text = s}; }
static inline struct value value_bool(bool b) { return (struct value){.kind = VALUE_BOOL, .boolean = b}; }
static inline struct value value_int(int64_t i) { return (struct value){.kind = VALUE_INT, .integer = i}; }
static inline struct value value_float(double f) { return (struct value){.kind = VALUE_FLOAT, .number = f}; }

bool value_is_true(const struct value *v);
void value_print(const struct value *v, struct buf *out);            /* as print does */
struct value value_argument(const struct value *v, struct str name); /* of ARGS; VALUE_NIL: there is none */
const char *value_type(const struct value *v);                       /* as Go calls it */
/* Characters: reads one at byte i, and says how many bytes it has; those that are not UTF-8 are RUNE_BAD, one byte each. */
enum { RUNE_BAD = 0xfffd };
size_t rune_read(struct str s, size_t i, uint32_t *out);
void put_rune(struct buf *b, uint32_t c);
bool rune_prints(uint32_t c); /* approximately unicode.IsPrint: what is not assigned counts as printing */
uint32_t rune_upper(uint32_t c);
uint32_t rune_lower(uint32_t c);
uint32_t rune_title(uint32_t c);

/* A method of a time, a month or a weekday. *out_found: false, if it has none of that name. ERR_INVALID with the bare reason. */
err template_method(struct run *r, const struct value *v, struct str name, const struct value *args, size_t n,
                    bool *out_found, struct value *out);
const char *template_name_of(const struct value *v); /* of a month or a weekday */
void put_template_time(struct buf *b, int64_t ns);   /* as Go's Time.String */

err template_format(struct run *r, const struct value *args, size_t n,
                    struct buf *out); /* printf; args[0] the format */
