/* A line over time as a terminal shows it: dots of braille where the locale is UTF-8, else stars.
 *
 *       42 ┤      ⣀⠤⠒⠉⠑⠢⡀        The rows' ends say the largest and the least value; below stand the times of both ends, UTC.
 *          │  ⡠⠔⠊        ⠈⠢⣀
 *       17 ┤⠊
 *
 * Values that are no numbers (NaN, infinities) are gaps. Points of one column become one stroke from the least to the largest, and
 * strokes are joined. Threads: pure. */
#pragma once

#include "base/base.h"

enum { CHART_GUTTER = 12, CHART_ROWS_MAX = 32, CHART_COLUMNS_MAX = 200 };

struct chart_point {
    double seconds, value;
};
/* What all charts of an answer share. */
struct chart_frame {
    double start, end; /* seconds since 1970 */
    int columns, rows; /* of the whole, gutter included; rows without the times */
    bool braille;
};
/* Points ascend in time. False: nothing to draw. */
bool chart_put(struct buf *out, const struct chart_frame *f, const struct chart_point *points, size_t n);
void chart_put_times(struct buf *out, const struct chart_frame *f);                    /* the line below */
bool chart_locale_is_utf8(const char *lc_all, const char *lc_ctype, const char *lang); /* NULL: not set */
