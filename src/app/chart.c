#include "app/chart.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>

#include "base/text.h"

enum { DOT_ROWS = 4, DOT_COLUMNS = 2, DOTS_MAX = CHART_COLUMNS_MAX * DOT_COLUMNS };

/* One chart under way: of each column of dots the stroke in it. */
struct chart {
    const struct chart_frame *f;
    int columns, dot_columns, dot_rows; /* of the field */
    double low, high;
    int from[DOTS_MAX], to[DOTS_MAX]; /* in dots from below; from > to: none */
};

bool chart_locale_is_utf8(const char *lc_all, const char *lc_ctype, const char *lang) {
    const char *name = lc_all && *lc_all ? lc_all : lc_ctype && *lc_ctype ? lc_ctype : lang;
    for (; name && *name; name++)
        if (tolower((unsigned char)name[0]) == 'u' && tolower((unsigned char)name[1]) == 't' &&
            tolower((unsigned char)name[2]) == 'f')
            return name[3] == '8' || (name[3] == '-' && name[4] == '8');
    return false;
}

static int field_columns(const struct chart_frame *f) {
    return MAX(MIN(f->columns, (int)CHART_COLUMNS_MAX) - CHART_GUTTER, 8);
}

static bool find_range(struct chart *c, const struct chart_point *p, size_t n) {
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(p[i].value)) continue;
        c->low = any ? MIN(c->low, p[i].value) : p[i].value;
        c->high = any ? MAX(c->high, p[i].value) : p[i].value;
        any = true;
    }
    return any;
}

static int row_of(const struct chart *c, double value) {
    double range = c->high - c->low;
    if (!(range > 0) || !isfinite(range)) return c->dot_rows / 2;
    return MIN((int)((value - c->low) / range * (c->dot_rows - 1) + 0.5), c->dot_rows - 1);
}

static int column_of(const struct chart *c, double seconds) {
    double range = c->f->end - c->f->start;
    if (!(range > 0)) return 0;
    double at = (seconds - c->f->start) / range * (c->dot_columns - 1) + 0.5;
    return at < 0 ? 0 : at >= c->dot_columns ? c->dot_columns - 1 : (int)at;
}

static void put_stroke(struct chart *c, int column, int row) {
    bool none = c->from[column] > c->to[column];
    c->from[column] = none ? row : MIN(c->from[column], row);
    c->to[column] = none ? row : MAX(c->to[column], row);
}

/* Joins two points that stand in different columns; those between go straight. */
static void join(struct chart *c, int column, int row, int to_column, int to_row) {
    int width = to_column - column;
    for (int i = 1; i <= width; i++) {
        int at = row + (to_row - row) * i / width, before = row + (to_row - row) * (i - 1) / width;
        put_stroke(c, column + i, at);
        if (at > before + 1) put_stroke(c, column + i, before + 1);
        if (at < before - 1) put_stroke(c, column + i, before - 1);
    }
}

static void draw(struct chart *c, const struct chart_point *p, size_t n) {
    int column = -1, row = 0;
    for (int i = 0; i < c->dot_columns; i++) c->from[i] = 1, c->to[i] = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(p[i].value)) {
            column = -1;
            continue;
        }
        int to_column = column_of(c, p[i].seconds), to_row = row_of(c, p[i].value);
        if (column >= 0 && to_column > column)
            join(c, column, row, to_column, to_row);
        else
            put_stroke(c, to_column, to_row);
        column = to_column;
        row = to_row;
    }
}

static bool is_dot(const struct chart *c, int column, int row) {
    return column < c->dot_columns && c->from[column] <= row && row <= c->to[column];
}

/* Braille's bits: three rows of two, then a fourth. Source: Unicode 15, U+2800. */
static void put_cell(struct buf *out, const struct chart *c, int column, int row_from_top) {
    static const uint8_t bits[DOT_ROWS][DOT_COLUMNS] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    uint8_t dots = 0;
    if (!c->f->braille) {
        buf_add_byte(out, is_dot(c, column, c->dot_rows - 1 - row_from_top) ? '*' : ' ');
        return;
    }
    for (int y = 0; y < DOT_ROWS; y++)
        for (int x = 0; x < DOT_COLUMNS; x++)
            if (is_dot(c, column * DOT_COLUMNS + x, c->dot_rows - 1 - (row_from_top * DOT_ROWS + y)))
                dots |= bits[y][x];
    const char cell[] = {(char)0xe2, (char)(0xa0 | dots >> 6), (char)(0x80 | (dots & 0x3f))};
    if (dots)
        buf_add(out, cell, sizeof cell);
    else
        buf_add_byte(out, ' ');
}

static void put_row(struct buf *out, const struct chart *c, int row) {
    char label[32] = "";
    bool top = row == 0, bottom = row == c->f->rows - 1;
    if (c->low == c->high) /* the line stands in the middle, and so does its one figure */
        top = row == c->f->rows - 1 - row_of(c, c->high) / (c->f->braille ? DOT_ROWS : 1), bottom = false;
    if (top || bottom) snprintf(label, sizeof label, "%.4g", top ? c->high : c->low);
    buf_add_fmt(out, "%*s %s", CHART_GUTTER - 2, label, c->f->braille ? *label ? "┤" : "│" : *label ? "+" : "|");
    size_t end = out->n;
    for (int i = 0; i < c->columns; i++) {
        size_t before = out->n;
        put_cell(out, c, i, row);
        if (out->n > before && out->p[before] != ' ') end = out->n;
    }
    out->n = end; /* no blanks at the end of a line */
    buf_add_byte(out, '\n');
}

bool chart_put(struct buf *out, const struct chart_frame *f, const struct chart_point *points, size_t n) {
    struct chart c = {.f = f, .columns = field_columns(f)};
    c.dot_columns = c.columns * (f->braille ? DOT_COLUMNS : 1);
    c.dot_rows = MIN(f->rows, (int)CHART_ROWS_MAX) * (f->braille ? DOT_ROWS : 1);
    if (!find_range(&c, points, n)) return false;
    draw(&c, points, n);
    for (int row = 0; row < f->rows; row++) put_row(out, &c, row);
    return true;
}

/* As far as int64 ns go. */
static void put_moment(struct buf *out, double seconds) {
    struct buf text;
    buf_init(&text, 64);
    double ns = seconds * 1e9;
    put_time(&text, ns < -9e18 ? INT64_MIN : ns > 9e18 ? INT64_MAX : (int64_t)ns / 1000000000 * 1000000000);
    buf_add_str(out, buf_str(&text));
    buf_done(&text);
}

void chart_put_times(struct buf *out, const struct chart_frame *f) {
    size_t from = out->n;
    buf_add_fmt(out, "%*s", CHART_GUTTER, "");
    put_moment(out, f->start);
    struct buf end;
    buf_init(&end, 64);
    put_moment(&end, f->end);
    int rest = CHART_GUTTER + field_columns(f) - (int)(out->n - from) - (int)end.n;
    buf_add_fmt(out, "%*s", MAX(rest, 1), "");
    buf_add_str(out, buf_str(&end));
    buf_add_byte(out, '\n');
    buf_done(&end);
}
