/* Options of the series table of `clew serve`: --series-max, --series-labels-max, --series-new-max, --late-window, --metric-names and
 * --promote-attribute, each for every tenant. Errors: ERR_INVALID naming the option. Threads: main. */
#pragma once

#include "app/options.h"
#include "signal/metrics/translate.h"
#include "store/series.h"

/* Outlives the store, which borrows it. Texts are those of the arguments. */
struct serve_series {
    struct translation translation;
    struct str promoted[OPTION_REPEATS_MAX];
};
err serve_series_read(const struct arguments *a, struct serve_series *s, struct series_options *out);
