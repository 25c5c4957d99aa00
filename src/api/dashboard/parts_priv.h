/* What check, import and export of dashboards share. */
#pragma once

#include "api/dashboard/dashboard_priv.h"

extern const char dashboard_panel_kinds[], dashboard_variable_kinds[], dashboard_query_kinds[], dashboard_calcs[];
extern const char dashboard_draws[], dashboard_tones[], dashboard_units[]; /* words with blanks between */
bool word_among(struct str word, const char *words);

/* Units, as clew calls them and as Grafana does; several of Grafana's may be one. */
struct unit_row {
    const char *name, *grafana; /* of Grafana's names the first is the one that is exported */
};
extern const struct unit_row unit_rows[];
extern const size_t unit_row_count;

/* Variables as far as expressions need them: `sample` is a value that it may hold, p NULL: nothing is known. */
struct variable_sample {
    struct str name, sample;
};
struct variable_samples {
    struct variable_sample *v;
    size_t n;
};
/* The text with $name, ${name}, ${name:format} and [[name]] of variables and macros ($__interval …) replaced; names that are no variables
 * stay. One of which nothing is known is a word, or a number where its bit in `numbers` says so (bits 0 to 63, of the first 64). */
void variables_fill(struct str text, const struct variable_samples *all, uint64_t numbers, struct buf *out);
/* Whether it parses when variables are filled in. */
err expression_check(struct str text, const struct variable_samples *all, struct arena *a);
/* "label_values(SELECTOR, LABEL)", "label_values(LABEL)", "label_names()", "metrics(REGEX)": what a variable may ask. */
err variable_query_check(struct str text, const struct variable_samples *all, struct arena *a);
