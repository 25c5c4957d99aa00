/* A test script of Prometheus as data. Owner: script_done frees all of it. */
#pragma once

#include "query/promql/memory_test_priv.h"
#include "query/promql/series_text.h"

enum script_class { CLASS_CORE, CLASS_NATIVE, CLASS_EXTENSION, CLASSES };

struct script_series {
    struct labels labels;
    VEC(struct series_value) values;
};

struct script_case {
    size_t line;
    struct str query, message, note[2]; /* note: warning, info */
    bool is_range, is_matrix, fails, ordered, is_scalar, wants_note[2], wants_no_note[2];
    int64_t at, start, end, step;
    double scalar;
    struct str text;
    enum script_class class;
    VEC(struct script_series) expected;
};

enum script_kind { SCRIPT_CLEAR, SCRIPT_LOAD, SCRIPT_EVAL };
struct script_command {
    enum script_kind kind;
    int64_t gap;
    bool with_nhcb; /* classic histograms become native ones with custom buckets, beside */
    VEC(struct script_series) series;
    struct script_case eval;
};

struct script {
    struct arena a;
    VEC(struct script_command) commands;
};

void script_read(struct script *s, const char *path); /* ends the program when the script is not one */
void script_done(struct script *s);
void script_load(struct script *s, const struct script_command *load, struct memory *m);
