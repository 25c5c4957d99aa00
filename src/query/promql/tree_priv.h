/* The tree of an expression, and what a parser and a printer share.
 *
 * Invariants: (1) children are never NULL where the kind has them; (2) offset and @ of a range selector are its MATRIX node's, and the
 * VECTOR node inside has none; (3) types are checked before anyone else sees a tree: a function has as many arguments as its row says, of the types
 * it says; (4) a node is no deeper than PROMQL_DEPTH_MAX.
 */
#pragma once

#include "query/promql/promql.h"
#include "query/promql/source.h"

enum node_kind {
    NODE_NUMBER,
    NODE_STRING,
    NODE_VECTOR,
    NODE_MATRIX,
    NODE_SUBQUERY,
    NODE_CALL,
    NODE_AGGREGATE,
    NODE_BINARY,
    NODE_UNARY,
    NODE_PAREN
};

enum binary_op {
    OP_NONE,
    OP_OR,
    OP_AND,
    OP_UNLESS,
    OP_EQUAL,
    OP_NOT_EQUAL,
    OP_LESS_EQUAL,
    OP_LESS,
    OP_GREATER_EQUAL,
    OP_GREATER,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_MOD,
    OP_ATAN2,
    OP_POW,
    OPS
};
struct op_row {
    const char *name;
    uint8_t precedence;
    bool comparison, set, word;
};
extern const struct op_row op_rows[OPS];

enum aggregation {
    AGG_SUM,
    AGG_AVG,
    AGG_COUNT,
    AGG_MIN,
    AGG_MAX,
    AGG_GROUP,
    AGG_STDDEV,
    AGG_STDVAR,
    AGG_TOPK,
    AGG_BOTTOMK,
    AGG_COUNT_VALUES,
    AGG_QUANTILE,
    AGG_LIMITK,
    AGG_LIMIT_RATIO,
    AGGREGATIONS
};
struct aggregation_row {
    const char *name;
    int8_t parameter; /* enum promql_type of the parameter, or -1 */
    bool experimental;
};
extern const struct aggregation_row aggregation_rows[AGGREGATIONS];

enum at_kind { AT_NONE, AT_TIME, AT_START, AT_END };
enum cardinality { ONE_TO_ONE, MANY_TO_ONE, ONE_TO_MANY, MANY_TO_MANY };

struct names {
    struct str *v;
    uint32_t n;
};

struct function_row;

struct promql_node {
    enum node_kind kind;
    uint32_t start, end;
    uint32_t op_start, op_end; /* BINARY: the operator and what belongs to it */
    double number;
    bool is_duration;                /* a number that was written as one */
    bool may_take_all;               /* VECTOR: matchers that take everything are fine, as in info(x, {}) */
    struct str text;                 /* STRING: its value; VECTOR: the name outside of braces */
    struct promql_matcher *matchers; /* VECTOR, name included */
    uint32_t matcher_n;
    enum at_kind at;
    int64_t at_ms, offset_ms, range_ms, step_ms; /* step 0: the default */
    const struct function_row *function;
    enum aggregation aggregation;
    enum binary_op op;
    bool bool_modifier, without, grouped, on, matching; /* matching: on or ignoring was written */
    enum cardinality cardinality;
    struct names labels, include; /* of by, without, on, ignoring; of group_left and group_right */
    const struct promql_node *
        *args; /* CALL: arguments; BINARY: both sides; AGGREGATE: expression, parameter; others: one */
    uint32_t arg_n;
};

static inline bool node_has_offset(const struct promql_node *e) {
    return e->kind == NODE_VECTOR || e->kind == NODE_MATRIX || e->kind == NODE_SUBQUERY;
}

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

enum token_kind {
    TOKEN_END,
    TOKEN_BAD,
    TOKEN_WORD, /* letters, digits, _ and : */
    TOKEN_NUMBER,
    TOKEN_DURATION,
    TOKEN_STRING,
    TOKEN_LEFT_PAREN,
    TOKEN_RIGHT_PAREN,
    TOKEN_LEFT_BRACE,
    TOKEN_RIGHT_BRACE,
    TOKEN_LEFT_BRACKET,
    TOKEN_RIGHT_BRACKET,
    TOKEN_COMMA,
    TOKEN_COLON,
    TOKEN_AT,
    TOKEN_ASSIGN,
    TOKEN_MATCH,
    TOKEN_NOT_MATCH,
    TOKEN_OP
};
struct token {
    enum token_kind kind;
    enum binary_op op; /* of OP */
    uint32_t start, end;
    struct str text; /* as written; of BAD what is wrong */
    int64_t ms;      /* of DURATION */
    double number;   /* of NUMBER */
};
struct lexer {
    struct str text;
    size_t at;
    int parens, braces, brackets; /* that are open */
};
struct token lex(struct lexer *l); /* END again and again at the end */
/* Takes escapes out of a quoted string; what is wrong, or NULL. p NULL in out: the arena is full. */
const char *unquote(struct arena *a, struct str quoted, struct str *out);
/* How a token is called in messages: <op:+>, number "1", identifier "x", end of input. */
void put_token(struct buf *b, const struct token *t);
bool is_label_name(struct str s);  /* of the old kind: may stand without quotes */
bool is_metric_name(struct str s); /* the same, and : */

/* ---- checks ------------------------------------------------------------------------------------------------------ */

struct span {
    uint32_t start, end; /* bytes of the text */
};
/* Type rules of one node whose children have passed; NULL, or the message in `a` and *out_bad what it is about. */
const char *check_node(struct arena *a, struct promql_node *e, struct promql_syntax syntax, struct span *out_bad);
