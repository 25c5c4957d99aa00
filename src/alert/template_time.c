/* Times of templates: what toTime gives, its methods, and layouts of Format. All times are UTC, ns since 1970. */
#include "alert/template_priv.h"

#include <stdio.h>

#include "base/text.h"

static const char *const month_names[] = {"January", "February", "March",     "April",   "May",      "June",
                                          "July",    "August",   "September", "October", "November", "December"};
static const char *const day_names[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

enum { NS_PER_S = 1000000000, S_PER_DAY = 86400 };

struct civil {
    int64_t year;
    int month, day, weekday, year_day; /* month and day from 1; Sunday is 0 */
    int hour, minute, second, ns;
};

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

/* Days since 1970 of a date; month and day may be out of their ranges. Source: Hinnant, chrono-compatible low-level date algorithms. */
static int64_t days_of(int64_t year, int64_t month, int64_t day) {
    year += floor_div(month - 1, 12);
    month -= 12 * floor_div(month - 1, 12);
    year -= month <= 2;
    int64_t era = floor_div(year, 400), of_era = year - era * 400;
    int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468 + day - 1;
}

static struct civil civil_of(int64_t ns) {
    int64_t seconds = floor_div(ns, NS_PER_S), days = floor_div(seconds, S_PER_DAY),
            of_day = seconds - days * S_PER_DAY;
    int64_t z = days + 719468, era = floor_div(z, 146097), of_era = z - era * 146097;
    int64_t years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * years + years / 4 - years / 100), m = (5 * of_year + 2) / 153;
    struct civil c = {.year = years + era * 400 + (m >= 10), .month = (int)(m < 10 ? m + 3 : m - 9)};
    c.day = (int)(of_year - (153 * m + 2) / 5 + 1);
    c.weekday = (int)(((days + 4) % 7 + 7) % 7);
    c.year_day = (int)(days - days_of(c.year, 1, 1) + 1);
    c.hour = (int)(of_day / 3600);
    c.minute = (int)(of_day / 60 % 60);
    c.second = (int)(of_day % 60);
    c.ns = (int)(ns - seconds * NS_PER_S);
    return c;
}

const char *template_name_of(const struct value *v) {
    if (v->kind == VALUE_WEEKDAY) return day_names[v->integer];
    return month_names[v->integer - 1];
}

/* ---- layouts ----------------------------------------------------------------------------------------------------- */

enum chunk {
    CHUNK_NONE,
    CHUNK_MONTH_NAME,
    CHUNK_MONTH_SHORT,
    CHUNK_DAY_NAME,
    CHUNK_DAY_SHORT,
    CHUNK_TEXT, /* of the row: what a zone is in UTC */
    CHUNK_YEAR,
    CHUNK_YEAR_SHORT,
    CHUNK_MONTH,
    CHUNK_DAY,
    CHUNK_YEAR_DAY,
    CHUNK_HOUR,
    CHUNK_HOUR_12,
    CHUNK_MINUTE,
    CHUNK_SECOND,
    CHUNK_AM,
    CHUNK_AM_SMALL
};

/* The first row that a text starts with is the one, so longer ones stand in front. */
static const struct chunk_row {
    const char *text;
    enum chunk chunk;
    const char *format;
} chunks[] = {
    {"January", CHUNK_MONTH_NAME, NULL},
    {"Jan", CHUNK_MONTH_SHORT, NULL},
    {"Monday", CHUNK_DAY_NAME, NULL},
    {"Mon", CHUNK_DAY_SHORT, NULL},
    {"MST", CHUNK_TEXT, "UTC"},
    {"002", CHUNK_YEAR_DAY, "%03d"},
    {"01", CHUNK_MONTH, "%02d"},
    {"02", CHUNK_DAY, "%02d"},
    {"03", CHUNK_HOUR_12, "%02d"},
    {"04", CHUNK_MINUTE, "%02d"},
    {"05", CHUNK_SECOND, "%02d"},
    {"06", CHUNK_YEAR_SHORT, "%02d"},
    {"15", CHUNK_HOUR, "%02d"},
    {"1", CHUNK_MONTH, "%d"},
    {"2006", CHUNK_YEAR, "%04d"},
    {"2", CHUNK_DAY, "%d"},
    {"_2006", CHUNK_YEAR, "_%04d"},
    {"_2", CHUNK_DAY, "%2d"},
    {"__2", CHUNK_YEAR_DAY, "%3d"},
    {"3", CHUNK_HOUR_12, "%d"},
    {"4", CHUNK_MINUTE, "%d"},
    {"5", CHUNK_SECOND, "%d"},
    {"PM", CHUNK_AM, NULL},
    {"pm", CHUNK_AM_SMALL, NULL},
    {"Z070000", CHUNK_TEXT, "Z"},
    {"Z07:00:00", CHUNK_TEXT, "Z"},
    {"Z0700", CHUNK_TEXT, "Z"},
    {"Z07:00", CHUNK_TEXT, "Z"},
    {"Z07", CHUNK_TEXT, "Z"},
    {"-070000", CHUNK_TEXT, "+000000"},
    {"-07:00:00", CHUNK_TEXT, "+00:00:00"},
    {"-0700", CHUNK_TEXT, "+0000"},
    {"-07:00", CHUNK_TEXT, "+00:00"},
    {"-07", CHUNK_TEXT, "+00"},
};

static const struct chunk_row *chunk_at(struct str layout, size_t i) {
    struct str rest = {layout.p + i, layout.n - i};
    for (size_t k = 0; k < LENGTH(chunks); k++) {
        const struct chunk_row *row = &chunks[k];
        size_t n = strlen(row->text);
        if (!str_starts_with(rest, str_of(row->text))) continue;
        bool is_short = row->chunk == CHUNK_MONTH_SHORT || row->chunk == CHUNK_DAY_SHORT;
        if (is_short && n < rest.n && rest.p[n] >= 'a' && rest.p[n] <= 'z') continue; /* Janet */
        return row;
    }
    return NULL;
}

static int64_t chunk_number(enum chunk chunk, const struct civil *c) {
    switch (chunk) {
    case CHUNK_YEAR: return c->year;
    case CHUNK_YEAR_SHORT: return c->year % 100;
    case CHUNK_MONTH: return c->month;
    case CHUNK_DAY: return c->day;
    case CHUNK_YEAR_DAY: return c->year_day;
    case CHUNK_HOUR: return c->hour;
    case CHUNK_HOUR_12: return c->hour % 12 ? c->hour % 12 : 12;
    case CHUNK_MINUTE: return c->minute;
    case CHUNK_SECOND: return c->second;
    case CHUNK_NONE:
    case CHUNK_MONTH_NAME:
    case CHUNK_MONTH_SHORT:
    case CHUNK_DAY_NAME:
    case CHUNK_DAY_SHORT:
    case CHUNK_TEXT:
    case CHUNK_AM:
    case CHUNK_AM_SMALL: break;
    }
    return 0;
}

static void put_chunk(struct buf *b, const struct chunk_row *row, const struct civil *c) {
    const char *month = month_names[c->month - 1], *day = day_names[c->weekday];
    switch (row->chunk) {
    case CHUNK_MONTH_NAME: return buf_add_text(b, month);
    case CHUNK_MONTH_SHORT: return buf_add(b, month, 3);
    case CHUNK_DAY_NAME: return buf_add_text(b, day);
    case CHUNK_DAY_SHORT: return buf_add(b, day, 3);
    case CHUNK_TEXT: return buf_add_text(b, row->format);
    case CHUNK_AM: return buf_add_text(b, c->hour >= 12 ? "PM" : "AM");
    case CHUNK_AM_SMALL: return buf_add_text(b, c->hour >= 12 ? "pm" : "am");
    case CHUNK_NONE:
    case CHUNK_YEAR:
    case CHUNK_YEAR_SHORT:
    case CHUNK_MONTH:
    case CHUNK_DAY:
    case CHUNK_YEAR_DAY:
    case CHUNK_HOUR:
    case CHUNK_HOUR_12:
    case CHUNK_MINUTE:
    case CHUNK_SECOND: break;
    }
    const char *format = row->format;
    if (format[0] == '_') buf_add_byte(b, '_'), format++;
    int width = format[1] == 'd' ? 0 : format[1] == '0' ? format[2] - '0' : format[1] - '0';
    buf_add_fmt(b, format[1] == '0' ? "%0*d" : "%*d", width, (int)chunk_number(row->chunk, c));
}

/* .000 or ,999 at i: how many bytes, 0: none. */
static size_t fraction_at(struct str layout, size_t i) {
    size_t end = i + 1;
    if ((layout.p[i] != '.' && layout.p[i] != ',') || end >= layout.n) return 0;
    char c = layout.p[end];
    if (c != '0' && c != '9') return 0;
    while (end < layout.n && layout.p[end] == c) end++;
    return end < layout.n && layout.p[end] >= '0' && layout.p[end] <= '9' ? 0 : end - i;
}

static void put_fraction(struct buf *b, struct str chunk, int ns) {
    char digits[16];
    int n = snprintf(digits, sizeof digits, "%09d", ns);
    size_t shown = MIN(chunk.n - 1, (size_t)n);
    if (chunk.p[1] == '9') {
        while (shown && digits[shown - 1] == '0') shown--;
        if (!shown) return;
    }
    buf_add_byte(b, chunk.p[0]);
    buf_add(b, digits, shown);
    for (size_t i = shown; chunk.p[1] == '0' && i < chunk.n - 1; i++) buf_add_byte(b, '0');
}

static void put_layout(struct buf *b, struct str layout, int64_t ns) {
    struct civil c = civil_of(ns);
    for (size_t i = 0; i < layout.n;) {
        const struct chunk_row *row = chunk_at(layout, i);
        size_t fraction = row ? 0 : fraction_at(layout, i);
        if (row) {
            put_chunk(b, row, &c);
            i += strlen(row->text);
        } else if (fraction) {
            put_fraction(b, (struct str){layout.p + i, fraction}, c.ns);
            i += fraction;
        } else {
            buf_add_byte(b, layout.p[i++]);
        }
    }
}

void put_template_time(struct buf *b, int64_t ns) { put_layout(b, STR("2006-01-02 15:04:05.999999999 -0700 MST"), ns); }

/* ---- methods ----------------------------------------------------------------------------------------------------- */

enum method {
    METHOD_YEAR,
    METHOD_MONTH,
    METHOD_DAY,
    METHOD_WEEKDAY,
    METHOD_YEAR_DAY,
    METHOD_HOUR,
    METHOD_MINUTE,
    METHOD_SECOND,
    METHOD_NANOSECOND,
    METHOD_UNIX,
    METHOD_UNIX_MILLI,
    METHOD_UNIX_MICRO,
    METHOD_UNIX_NANO,
    METHOD_SAME,
    METHOD_IS_ZERO,
    METHOD_STRING,
    METHOD_FORMAT,
    METHOD_ADD,
    METHOD_ADD_DATE,
    METHOD_TRUNCATE,
    METHOD_BEFORE,
    METHOD_AFTER,
    METHOD_EQUAL
};

static const struct method_row {
    const char *name, *takes; /* i: int, s: string, t: time */
    enum method method;
} methods[] = {
    {"Year", "", METHOD_YEAR},
    {"Month", "", METHOD_MONTH},
    {"Day", "", METHOD_DAY},
    {"Weekday", "", METHOD_WEEKDAY},
    {"YearDay", "", METHOD_YEAR_DAY},
    {"Hour", "", METHOD_HOUR},
    {"Minute", "", METHOD_MINUTE},
    {"Second", "", METHOD_SECOND},
    {"Nanosecond", "", METHOD_NANOSECOND},
    {"Unix", "", METHOD_UNIX},
    {"UnixMilli", "", METHOD_UNIX_MILLI},
    {"UnixMicro", "", METHOD_UNIX_MICRO},
    {"UnixNano", "", METHOD_UNIX_NANO},
    {"UTC", "", METHOD_SAME},
    {"Local", "", METHOD_SAME},
    {"IsZero", "", METHOD_IS_ZERO},
    {"String", "", METHOD_STRING},
    {"Format", "s", METHOD_FORMAT},
    {"Add", "i", METHOD_ADD},
    {"AddDate", "iii", METHOD_ADD_DATE},
    {"Truncate", "i", METHOD_TRUNCATE},
    {"Before", "t", METHOD_BEFORE},
    {"After", "t", METHOD_AFTER},
    {"Equal", "t", METHOD_EQUAL},
};

static err check_arguments(const struct method_row *m, const struct value *args, size_t n) {
    if (n != strlen(m->takes))
        return err_new(ERR_INVALID, "wrong number of args for %s: want %zu got %zu", m->name, strlen(m->takes), n);
    for (size_t i = 0; i < n; i++) {
        enum value_kind wanted = m->takes[i] == 'i' ? VALUE_INT : m->takes[i] == 's' ? VALUE_STRING : VALUE_TIME;
        if (args[i].kind == wanted) continue;
        return err_new(ERR_INVALID, "wrong type for value; expected %s; got %s",
                       value_type(&(struct value){.kind = wanted}), value_type(&args[i]));
    }
    return NULL;
}

static err kept_text(struct run *r, struct buf *b, struct value *out) {
    struct str kept = arena_copy(r->a, b->n ? buf_str(b) : STR(""));
    if (b->full) return err_new(ERR_LIMIT, "over %d bytes of text", TEMPLATE_OUT_MAX);
    if (!kept.p) return arena_err(r->a);
    *out = value_string(kept);
    return NULL;
}

static err formatted(struct run *r, int64_t ns, struct str layout, struct value *out) {
    AUTO_BUF struct buf b;
    buf_init(&b, TEMPLATE_OUT_MAX);
    put_layout(&b, layout, ns);
    return kept_text(r, &b, out);
}

static err moved(int64_t ns, int64_t by, struct value *out) {
    int64_t sum;
    if (__builtin_add_overflow(ns, by, &sum)) return err_new(ERR_INVALID, "a time before 1678 or after 2261");
    *out = (struct value){.kind = VALUE_TIME, .integer = sum};
    return NULL;
}

static err moved_by_date(int64_t ns, const struct value *args, struct value *out) {
    enum { DATE_MAX = 100000 };
    struct civil c = civil_of(ns);
    for (int i = 0; i < 3; i++)
        if (args[i].integer > DATE_MAX || args[i].integer < -DATE_MAX)
            return err_new(ERR_INVALID, "a time before 1678 or after 2261");
    int64_t days = days_of(c.year + args[0].integer, c.month + args[1].integer, c.day + args[2].integer);
    int64_t before = days_of(c.year, c.month, c.day), by;
    if (__builtin_mul_overflow(days - before, (int64_t)S_PER_DAY * NS_PER_S, &by))
        return err_new(ERR_INVALID, "a time before 1678 or after 2261");
    return moved(ns, by, out);
}

/* To a multiple of `step` since the year 1, as Go counts. */
static err truncated(int64_t ns, int64_t step, struct value *out) {
    __int128 since = (__int128)ns - (__int128)days_of(1, 1, 1) * S_PER_DAY * NS_PER_S;
    return moved(ns, step > 0 ? -(int64_t)(since % step) : 0, out);
}

static err call_method(struct run *r, enum method m, int64_t ns, const struct value *args, struct value *out) {
    struct civil c = civil_of(ns);
    switch (m) {
    case METHOD_YEAR: *out = value_int(c.year); break;
    case METHOD_MONTH: *out = (struct value){.kind = VALUE_MONTH, .integer = c.month}; break;
    case METHOD_DAY: *out = value_int(c.day); break;
    case METHOD_WEEKDAY: *out = (struct value){.kind = VALUE_WEEKDAY, .integer = c.weekday}; break;
    case METHOD_YEAR_DAY: *out = value_int(c.year_day); break;
    case METHOD_HOUR: *out = value_int(c.hour); break;
    case METHOD_MINUTE: *out = value_int(c.minute); break;
    case METHOD_SECOND: *out = value_int(c.second); break;
    case METHOD_NANOSECOND: *out = value_int(c.ns); break;
    case METHOD_UNIX: *out = value_int(floor_div(ns, NS_PER_S)); break;
    case METHOD_UNIX_MILLI: *out = value_int(floor_div(ns, 1000000)); break;
    case METHOD_UNIX_MICRO: *out = value_int(floor_div(ns, 1000)); break;
    case METHOD_UNIX_NANO: *out = value_int(ns); break;
    case METHOD_SAME: *out = (struct value){.kind = VALUE_TIME, .integer = ns}; break;
    case METHOD_IS_ZERO: *out = value_bool(false); break; /* the year 1 */
    case METHOD_STRING: return formatted(r, ns, STR("2006-01-02 15:04:05.999999999 -0700 MST"), out);
    case METHOD_FORMAT: return formatted(r, ns, args[0].text, out);
    case METHOD_ADD: return moved(ns, args[0].integer, out);
    case METHOD_ADD_DATE: return moved_by_date(ns, args, out);
    case METHOD_TRUNCATE: return truncated(ns, args[0].integer, out);
    case METHOD_BEFORE: *out = value_bool(ns < args[0].integer); break;
    case METHOD_AFTER: *out = value_bool(ns > args[0].integer); break;
    case METHOD_EQUAL: *out = value_bool(ns == args[0].integer); break;
    }
    return NULL;
}

err template_method(struct run *r, const struct value *v, struct str name, const struct value *args, size_t n,
                    bool *out_found, struct value *out) {
    const struct method_row *m = NULL;
    *out_found = false;
    for (size_t i = 0; i < LENGTH(methods); i++)
        if (str_equal(name, str_of(methods[i].name))) m = &methods[i];
    bool is_name = v->kind == VALUE_MONTH || v->kind == VALUE_WEEKDAY;
    if (!m || (is_name && m->method != METHOD_STRING)) return NULL;
    if (!is_name && v->kind != VALUE_TIME) return NULL;
    *out_found = true;
    struct value subject = *v;
    TRY(check_arguments(m, args, n));
    if (is_name) return *out = value_string(str_of(template_name_of(&subject))), NULL;
    return call_method(r, m->method, subject.integer, args, out);
}
