#include "base/text.h"

#include "base/text_priv.h"

static const int64_t second_ns = 1000000000;
static const int64_t day_s = 86400;

/* Days since 1970-01-01 of a date in the Gregorian calendar, and back. Years start in March here, so that the leap day
 * is the last of its year; 400 years are 146,097 days, and 1970-01-01 is day 719,468 of that count. */
static int64_t days_of_date(int64_t year, int month, int day) {
    if (month < 3) year--;
    int64_t cycle = (year >= 0 ? year : year - 399) / 400, y = year - cycle * 400;
    int64_t day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    return cycle * 146097 + y * 365 + y / 4 - y / 100 + day_of_year - 719468;
}

struct date {
    int64_t year;
    int month, day;
};

static struct date date_of_days(int64_t days) {
    days += 719468;
    int64_t cycle = (days >= 0 ? days : days - 146096) / 146097, d = days - cycle * 146097;
    int64_t y = (d - d / 1460 + d / 36524 - d / 146096) / 365;
    int64_t day_of_year = d - (365 * y + y / 4 - y / 100), m = (5 * day_of_year + 2) / 153;
    int month = (int)(m < 10 ? m + 3 : m - 9);
    return (struct date){y + cycle * 400 + (month < 3), month, (int)(day_of_year - (153 * m + 2) / 5) + 1};
}

static int days_of_month(int64_t year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

/* Takes `n` digits and, if `after` is given, that one byte from the start of *s. */
static bool take_digits(struct str *s, size_t n, const char *after, int *out) {
    int v = 0;
    if (s->n < n + (after != NULL)) return false;
    for (size_t i = 0; i < n; i++) {
        if (s->p[i] < '0' || s->p[i] > '9') return false;
        v = v * 10 + (s->p[i] - '0');
    }
    if (after) {
        if (!s->p[n] || !strchr(after, s->p[n])) return false;
        n++;
    }
    *s = (struct str){s->p + n, s->n - n};
    *out = v;
    return true;
}

/* Takes ".digits" (1 to 9), as nanoseconds; nothing there is 0. */
static bool take_fraction(struct str *s, int64_t *out_ns) {
    *out_ns = 0;
    if (!s->n || s->p[0] != '.') return true;
    int64_t unit = second_ns;
    size_t i = 1;
    for (; i < s->n && s->p[i] >= '0' && s->p[i] <= '9' && i <= 9; i++) *out_ns += (s->p[i] - '0') * (unit /= 10);
    *s = (struct str){s->p + i, s->n - i};
    return i > 1;
}

/* Takes Z or ±hh:mm, as seconds east of Greenwich. */
static bool take_offset(struct str *s, int64_t *out_s) {
    *out_s = 0;
    if (!s->n) return false;
    char sign = s->p[0];
    *s = (struct str){s->p + 1, s->n - 1};
    if (sign == 'Z' || sign == 'z') return true;
    int hours, minutes;
    if ((sign != '+' && sign != '-') || !take_digits(s, 2, ":", &hours) || !take_digits(s, 2, NULL, &minutes))
        return false;
    if (hours > 23 || minutes > 59) return false;
    *out_s = (sign == '+' ? 1 : -1) * (hours * 3600 + minutes * 60);
    return true;
}

/* Nothing is kept from outside 1677-09-21 to 2262-04-11, so what lies there is as good as the nearest end. */
static int64_t clamp_ns(__int128 ns) { return ns > INT64_MAX ? INT64_MAX : ns < INT64_MIN ? INT64_MIN : (int64_t)ns; }

static bool parse_rfc3339(struct str s, int64_t *out_ns) {
    int year, month, day, hour, minute, second;
    int64_t fraction_ns, offset_s;
    if (!take_digits(&s, 4, "-", &year) || !take_digits(&s, 2, "-", &month) || !take_digits(&s, 2, "Tt ", &day) ||
        !take_digits(&s, 2, ":", &hour) || !take_digits(&s, 2, ":", &minute) || !take_digits(&s, 2, NULL, &second) ||
        !take_fraction(&s, &fraction_ns) || !take_offset(&s, &offset_s) || s.n)
        return false;
    if (month < 1 || month > 12 || day < 1 || day > days_of_month(year, month)) return false;
    if (hour > 23 || minute > 59 || second > 60) return false; /* 60: a leap second counts as the next minute's first */
    int64_t seconds = days_of_date(year, month, day) * day_s + hour * 3600 + minute * 60 + second - offset_s;
    *out_ns = clamp_ns((__int128)seconds * second_ns + fraction_ns);
    return true;
}

static bool parse_epoch(struct str s, int64_t *out_ns) {
    bool negative = s.n && s.p[0] == '-';
    if (negative) s = (struct str){s.p + 1, s.n - 1};
    uint64_t v;
    size_t n = text_digits(s, &v);
    if (n == 0 || n == TEXT_DIGITS_OVER) return false;
    int64_t unit_ns = n <= 11 ? second_ns : n <= 14 ? 1000000 : n <= 17 ? 1000 : 1, fraction_ns;
    s = (struct str){s.p + n, s.n - n};
    if (s.n && unit_ns != second_ns) return false;
    if (!take_fraction(&s, &fraction_ns) || s.n) return false;
    __int128 ns = (__int128)v * unit_ns + fraction_ns;
    *out_ns = clamp_ns(negative ? -ns : ns);
    return true;
}

static bool parse_relative(struct str s, int64_t now_ns, int64_t *out_ns) {
    if (!str_starts_with(s, STR("now"))) return false;
    s = (struct str){s.p + 3, s.n - 3};
    int64_t by_ns = 0;
    if (s.n) {
        if (s.p[0] != '-' && s.p[0] != '+') return false;
        err e = parse_duration((struct str){s.p + 1, s.n - 1}, &by_ns);
        err_free(e);
        if (e) return false;
        if (s.p[0] == '-') by_ns = -by_ns;
    }
    *out_ns = clamp_ns((__int128)now_ns + by_ns);
    return true;
}

err parse_time(struct str s, int64_t now_ns, int64_t *out_ns) {
    int64_t v;
    if (!parse_rfc3339(s, &v) && !parse_epoch(s, &v) && !parse_relative(s, now_ns, &v))
        return text_invalid(s, "a time such as 2026-11-25T01:02:03Z, 1764032523 or now-15m");
    *out_ns = v;
    return NULL;
}

static const struct {
    struct str name;
    int64_t ns;
} duration_units[] = {{STR("y"), 365 * 86400000000000},
                      {STR("w"), 7 * 86400000000000},
                      {STR("d"), 86400000000000},
                      {STR("h"), 3600000000000},
                      {STR("ms"), 1000000}, /* before m and s: the longer name wins */
                      {STR("m"), 60000000000},
                      {STR("s"), 1000000000},
                      {STR("us"), 1000},
                      {STR("µs"), 1000},
                      {STR("μs"), 1000},
                      {STR("ns"), 1}};

static int64_t take_unit(struct str *s) {
    for (size_t i = 0; i < LENGTH(duration_units); i++)
        if (str_starts_with(*s, duration_units[i].name)) {
            size_t n = duration_units[i].name.n;
            *s = (struct str){s->p + n, s->n - n};
            return duration_units[i].ns;
        }
    return 0;
}

/* One "1.5h". A fraction finer than the nanosecond is cut. */
static bool take_duration(struct str *s, int64_t *total_ns) {
    uint64_t v;
    int64_t fraction_ns, part_ns;
    size_t n = text_digits(*s, &v);
    if (n == 0 || n == TEXT_DIGITS_OVER || v > INT64_MAX) return false;
    *s = (struct str){s->p + n, s->n - n};
    if (!take_fraction(s, &fraction_ns)) return false;
    int64_t unit_ns = take_unit(s);
    if (!unit_ns || __builtin_mul_overflow((int64_t)v, unit_ns, &part_ns)) return false;
    int64_t small_ns = (int64_t)((__int128)fraction_ns * unit_ns / second_ns);
    return !__builtin_add_overflow(*total_ns, part_ns, total_ns) &&
           !__builtin_add_overflow(*total_ns, small_ns, total_ns);
}

err parse_duration(struct str s, int64_t *out_ns) {
    struct str rest = s;
    int64_t total_ns = 0;
    bool good = s.n > 0;
    if (str_equal(s, STR("0"))) rest.n = 0;
    while (good && rest.n) good = take_duration(&rest, &total_ns);
    if (!good) return text_invalid(s, "a duration such as 250ms, 1h30m or 2d");
    *out_ns = total_ns;
    return NULL;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static char *put_digits(char *to, int64_t v, int n) {
    for (int i = n - 1; i >= 0; i--, v /= 10) to[i] = (char)('0' + v % 10);
    return to + n;
}

static char *put_two(char *to, int64_t v, char after) {
    to = put_digits(to, v, 2);
    *to = after;
    return to + 1;
}

void put_time(struct buf *b, int64_t ns) {
    int64_t seconds = ns / second_ns, fraction = ns % second_ns;
    if (fraction < 0) fraction += second_ns, seconds--;
    int64_t days = seconds / day_s, left = seconds % day_s;
    if (left < 0) left += day_s, days--;
    struct date date = date_of_days(days);
    char text[32], *to = put_digits(text, date.year, 4);
    *to++ = '-';
    to = put_two(put_two(to, date.month, '-'), date.day, 'T');
    to = put_two(put_two(to, left / 3600, ':'), left / 60 % 60, ':');
    to = put_digits(to, left % 60, 2);
    if (fraction) {
        *to++ = '.';
        if (fraction % 1000000 == 0)
            to = put_digits(to, fraction / 1000000, 3);
        else if (fraction % 1000 == 0)
            to = put_digits(to, fraction / 1000, 6);
        else
            to = put_digits(to, fraction, 9);
    }
    *to++ = 'Z';
    buf_add(b, text, (size_t)(to - text));
}

static uint64_t put_sign(struct buf *b, int64_t ns) {
    if (ns < 0) buf_add_byte(b, '-');
    return ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
}

/* v / unit with at most three significant digits, without zeros at the end: 1.25, 12.5, 830. */
static void put_three_digits(struct buf *b, uint64_t v, uint64_t unit) {
    uint64_t whole = v / unit, places = whole < 10 ? 100 : whole < 100 ? 10 : 1;
    uint64_t cut = (uint64_t)((unsigned __int128)v * places / unit), rest = cut % places;
    put_u64(b, cut / places);
    if (!rest) return;
    buf_add_byte(b, '.');
    if (places == 100 && rest % 10 == 0) rest /= 10, places = 10;
    buf_add_fmt(b, "%0*llu", places == 100 ? 2 : 1, (unsigned long long)rest);
}

void put_duration_short(struct buf *b, int64_t ns) {
    static const struct {
        uint64_t below_ns, unit_ns;
        const char *name;
    } rows[] = {{1000, 1, "ns"}, {1000000, 1000, "µs"}, {1000000000, 1000000, "ms"}, {60000000000, 1000000000, "s"}};
    uint64_t v = put_sign(b, ns);
    if (!v) return buf_add_text(b, "0s");
    for (size_t i = 0; i < LENGTH(rows); i++)
        if (v < rows[i].below_ns) {
            put_three_digits(b, v, rows[i].unit_ns);
            return buf_add_text(b, rows[i].name);
        }
    unsigned long long s = v / 1000000000;
    if (s < 3600)
        buf_add_fmt(b, "%llum%llus", s / 60, s % 60);
    else if (s < 2 * 86400)
        buf_add_fmt(b, "%lluh%llum", s / 3600, s / 60 % 60);
    else
        buf_add_fmt(b, "%llud%lluh", s / 86400, s / 3600 % 24);
}

void put_duration_exact(struct buf *b, int64_t ns) {
    static const struct {
        uint64_t ns;
        const char *name;
    } units[] = {{86400000000000, "d"}, {3600000000000, "h"}, {60000000000, "m"}, {1000000000, "s"},
                 {1000000, "ms"},       {1000, "us"},         {1, "ns"}};
    uint64_t v = put_sign(b, ns);
    if (!v) return buf_add_text(b, "0s");
    for (size_t i = 0; i < LENGTH(units); i++) {
        if (v < units[i].ns) continue;
        put_u64(b, v / units[i].ns);
        buf_add_text(b, units[i].name);
        v %= units[i].ns;
    }
}
