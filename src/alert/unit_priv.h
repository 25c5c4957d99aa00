/* What a file of unit tests says. */
#pragma once

#include "alert/alert_priv.h"
#include "alert/unit.h"
#include "query/promql/series_text.h"

struct unit_alert {
    struct labels labels, annotations;
};
struct unit_alert_test {
    int64_t at_ms;
    struct str name;
    VEC(struct unit_alert) expected;
};
struct unit_sample {
    struct labels labels;
    double value;
    const struct native *histogram;
};
struct unit_expr_test {
    int64_t at_ms;
    struct str expr;
    VEC(struct unit_sample) expected;
};

struct unit_test {
    struct str name, external_url;
    int64_t interval_ms, start_ms;
    struct labels external_labels;
    VEC(struct series_text) series;
    VEC(struct unit_alert_test) alerts;
    VEC(struct unit_expr_test) exprs;
};

struct unit_file {
    struct arena a;
    int64_t interval_ms;
    bool fuzzy;
    VEC(const char *) rule_files; /* patterns, beside the file */
    VEC(struct str) order;
    VEC(struct unit_test) tests;
};

err unit_file_read(const char *path, struct unit_file *out);
void unit_file_done(struct unit_file *f); /* also after an error */
