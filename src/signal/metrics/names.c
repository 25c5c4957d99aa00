#include "signal/metrics/names.h"

#include "base/text.h"

static bool is_digit(unsigned char c) { return c >= '0' && c <= '9'; }
static bool is_word(unsigned char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c); }
/* A character is its first byte and those that follow: 10xxxxxx. */
static bool is_inside(unsigned char c) { return (c & 0xc0) == 0x80; }

/* ---- units -------------------------------------------------------------------------------------------------------- */

struct unit_row {
    struct str unit, word;
};

/* UCUM, as OpenTelemetry uses it. */
static const struct unit_row units[] = {{STR("d"), STR("days")},          {STR("h"), STR("hours")},
                                        {STR("min"), STR("minutes")},     {STR("s"), STR("seconds")},
                                        {STR("ms"), STR("milliseconds")}, {STR("us"), STR("microseconds")},
                                        {STR("ns"), STR("nanoseconds")},  {STR("By"), STR("bytes")},
                                        {STR("KiBy"), STR("kibibytes")},  {STR("MiBy"), STR("mebibytes")},
                                        {STR("GiBy"), STR("gibibytes")},  {STR("TiBy"), STR("tibibytes")},
                                        {STR("KBy"), STR("kilobytes")},   {STR("kBy"), STR("kilobytes")},
                                        {STR("MBy"), STR("megabytes")},   {STR("GBy"), STR("gigabytes")},
                                        {STR("TBy"), STR("terabytes")},   {STR("m"), STR("meters")},
                                        {STR("V"), STR("volts")},         {STR("A"), STR("amperes")},
                                        {STR("J"), STR("joules")},        {STR("W"), STR("watts")},
                                        {STR("g"), STR("grams")},         {STR("Cel"), STR("celsius")},
                                        {STR("Hz"), STR("hertz")},        {STR("1"), STR("")},
                                        {STR("%"), STR("percent")}};
static const struct unit_row per_units[] = {
    {STR("s"), STR("second")}, {STR("m"), STR("minute")}, {STR("h"), STR("hour")}, {STR("d"), STR("day")},
    {STR("w"), STR("week")},   {STR("mo"), STR("month")}, {STR("y"), STR("year")}};

/* The word of one side of a unit; "" of {…}. */
static struct str unit_word(const struct unit_row *rows, size_t n, struct str unit) {
    unit = str_trim(unit);
    if (str_find(unit, '{') >= 0 || str_find(unit, '}') >= 0) return STR("");
    for (size_t i = 0; i < n; i++)
        if (str_equal(rows[i].unit, unit)) return rows[i].word;
    return unit;
}

/* Without characters that a name may not have, in runs of one `_`, none in front. */
static void put_clean(struct str text, struct buf *out) {
    size_t start = out->n;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (is_word(c) || c == ':')
            buf_add_byte(out, (char)c);
        else if (out->n > start && out->p[out->n - 1] != '_')
            buf_add_byte(out, '_');
    }
}

/* Both sides: "By/s" → "bytes" and "per_second". */
static void split_unit(struct str unit, bool clean, struct buf *out_main, struct buf *out_per) {
    struct str head, tail = {0};
    if (!str_cut(unit, '/', &head, &tail)) tail = (struct str){0};
    struct str main_word = unit_word(units, LENGTH(units), head);
    struct str per_word = unit_word(per_units, LENGTH(per_units), tail);
    if (clean)
        put_clean(main_word, out_main);
    else
        buf_add_str(out_main, main_word);
    if (!per_word.n) return;
    buf_add_text(out_per, "per_");
    if (clean)
        put_clean(per_word, out_per);
    else
        buf_add_str(out_per, per_word);
}

static struct str without_tail(struct str s) { return s.n && s.p[s.n - 1] == '_' ? (struct str){s.p, s.n - 1} : s; }

static bool keeps_utf8(enum name_strategy s) { return s == NAMES_UTF8_SUFFIXES || s == NAMES_UNCHANGED; }

/* The two words of a unit as long as one name is made. */
struct unit_words {
    struct buf main, per;
};
static void unit_words_init(struct unit_words *u, struct str unit, bool clean) {
    buf_init(&u->main, MIB);
    buf_init(&u->per, MIB);
    split_unit(unit, clean, &u->main, &u->per);
}
static void unit_words_done(struct unit_words *u) {
    buf_done(&u->main);
    buf_done(&u->per);
}

void prom_unit_name(enum name_strategy strategy, struct str unit, struct buf *out) {
    struct unit_words u;
    unit_words_init(&u, unit, !keeps_utf8(strategy));
    struct str main_word = without_tail(buf_str(&u.main)), per = without_tail(buf_str(&u.per));
    buf_add_str(out, main_word);
    if (per.n > 3 && main_word.n) buf_add_byte(out, '_');
    if (per.n > 3) buf_add_str(out, per);
    unit_words_done(&u);
}

/* ---- names of metrics ----------------------------------------------------------------------------------------------- */

/* The next word of a name: letters, digits and colons. */
static bool next_word(struct str *rest, struct str *out) {
    while (rest->n && !is_word((unsigned char)*rest->p) && *rest->p != ':') rest->p++, rest->n--;
    size_t n = 0;
    while (n < rest->n && (is_word((unsigned char)rest->p[n]) || rest->p[n] == ':')) n++;
    *out = (struct str){rest->p, n};
    *rest = (struct str){rest->p + n, rest->n - n};
    return n > 0;
}

static bool has_word(struct str name, struct str word) {
    struct str w;
    while (next_word(&name, &w))
        if (str_equal(w, word)) return true;
    return false;
}

static void add_word(struct buf *out, size_t start, struct str word) {
    if (!word.n) return;
    if (out->n > start) buf_add_byte(out, '_');
    buf_add_str(out, word);
}

/* Words joined by `_`, without those that are put at the end. */
static void put_words(struct str name, struct str unit, struct str suffix, struct buf *out) {
    struct unit_words u;
    struct str word;
    size_t start = out->n;
    unit_words_init(&u, unit, true);
    struct str main_word = buf_str(&u.main), per = without_tail(buf_str(&u.per));
    if (has_word(name, main_word)) main_word = STR("");
    if (per.n <= 3 || has_word(name, per)) per = STR("");
    if (per.n) main_word = without_tail(main_word);
    while (next_word(&name, &word))
        if (!str_equal(word, suffix)) add_word(out, start, word);
    if (!str_equal(main_word, suffix)) add_word(out, start, main_word);
    add_word(out, start, per);
    add_word(out, start, suffix);
    unit_words_done(&u);
}

/* What is not allowed in a name becomes one `_` where it stands between what is. */
static void put_fields(struct str name, struct buf *out) {
    size_t start = out->n;
    bool gap = false;
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        bool allowed = is_word(c) || c == '_' || c == ':';
        if (allowed && gap && out->n > start) buf_add_byte(out, '_');
        gap = !allowed;
        if (allowed) buf_add_byte(out, (char)c);
    }
}

/* Without the suffix and the character before it. */
static struct str trim_suffix(struct str name, struct str suffix) {
    if (!suffix.n || !str_ends_with(name, suffix) || name.n <= suffix.n + 1) return name;
    return (struct str){name.p, name.n - suffix.n - 1};
}

static void put_utf8(struct str name, struct str unit, struct str suffix, struct buf *out) {
    struct unit_words u;
    unit_words_init(&u, unit, false);
    struct str main_word = buf_str(&u.main), per = buf_str(&u.per);
    name = trim_suffix(trim_suffix(name, suffix), per);
    buf_add_str(out, name);
    if (main_word.n && !str_ends_with(name, main_word)) {
        buf_add_byte(out, '_');
        buf_add_str(out, main_word);
    }
    if (per.n) {
        buf_add_byte(out, '_');
        buf_add_str(out, per);
    }
    if (suffix.n) {
        buf_add_byte(out, '_');
        buf_add_str(out, suffix);
    }
    unit_words_done(&u);
}

bool prom_metric_name(enum name_strategy strategy, struct str name, struct str unit, uint32_t kind, bool monotonic,
                      struct buf *out) {
    struct str suffix = kind == METRIC_SUM && monotonic                     ? STR("total")
                        : kind == METRIC_GAUGE && str_equal(unit, STR("1")) ? STR("ratio")
                                                                            : STR("");
    AUTO_BUF struct buf made;
    buf_init(&made, out->max);
    if (strategy == NAMES_UNCHANGED)
        buf_add_str(&made, name);
    else if (strategy == NAMES_UTF8_SUFFIXES)
        put_utf8(name, unit, suffix, &made);
    else if (strategy == NAMES_UNDERSCORE_SUFFIXES)
        put_words(name, unit, suffix, &made);
    else
        put_fields(name, &made);
    if (!made.n || made.full) return false;
    bool escaped = !keeps_utf8(strategy), only_underscores = true;
    for (size_t i = 0; i < made.n; i++) only_underscores &= made.p[i] == '_';
    if (escaped && only_underscores && !str_equal(buf_str(&made), name)) return false;
    if (escaped && is_digit((unsigned char)made.p[0])) buf_add_byte(out, '_');
    buf_add_str(out, buf_str(&made));
    return true;
}

/* ---- names of labels ------------------------------------------------------------------------------------------------ */

void prom_label_name(enum name_strategy strategy, struct str name, struct buf *out) {
    bool any = false;
    if (keeps_utf8(strategy) || !name.n) {
        buf_add_str(out, name);
        return;
    }
    for (size_t i = 0; i < name.n; i++) any |= is_word((unsigned char)name.p[i]);
    bool escaped_first = !is_word((unsigned char)name.p[0]);
    bool reserved = escaped_first && name.n > 1 && !is_word((unsigned char)name.p[1]);
    if (is_digit((unsigned char)name.p[0]))
        buf_add_text(out, "key_");
    else if (!any || (escaped_first && !reserved))
        buf_add_text(out, "key");
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (is_word(c))
            buf_add_byte(out, (char)c);
        else if (i == 0 || !is_inside(c))
            buf_add_byte(out, '_');
    }
}

bool prom_name_is_legacy(struct str name, bool label) {
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (!is_word(c) && c != '_' && (c != ':' || label)) return false;
    }
    return name.n > 0 && !is_digit((unsigned char)name.p[0]);
}

/* ---- escaping ------------------------------------------------------------------------------------------------------- */

const char *const name_escapings[NAME_ESCAPINGS] = {"allow-utf-8", "underscores", "dots", "values"};

/* The code point that begins at p[i] and its size; size 1 and U+FFFD where it is not UTF-8. */
static uint32_t code_point(struct str s, size_t i, size_t *out_size) {
    unsigned char c = (unsigned char)s.p[i];
    size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    *out_size = 1;
    if (n == 1) return c;
    if (i + n > s.n || !utf8_is_valid((struct str){s.p + i, n})) return 0xfffd;
    uint32_t v = c & (0x7fu >> n);
    for (size_t k = 1; k < n; k++) v = v << 6 | ((unsigned char)s.p[i + k] & 0x3fu);
    *out_size = n;
    return v;
}

static bool may_stand(uint32_t c, size_t i) {
    return c < 0x80 && (c == '_' || c == ':' || (is_word((unsigned char)c) && (i > 0 || !is_digit((unsigned char)c))));
}

static void put_escaped(enum name_escaping scheme, uint32_t c, bool stands, struct buf *out) {
    switch (scheme) {
    case ESCAPE_UNDERSCORES: buf_add_byte(out, stands ? (char)c : '_'); return;
    case ESCAPE_DOTS:
        if (c == '_' || (!stands && c != '.'))
            buf_add_text(out, "__");
        else if (c == '.')
            buf_add_text(out, "_dot_");
        else
            buf_add_byte(out, (char)c);
        return;
    case ESCAPE_VALUES:
        if (c == '_')
            buf_add_text(out, "__");
        else if (stands)
            buf_add_byte(out, (char)c);
        else if (c == 0xfffd)
            buf_add_text(out, "_FFFD_");
        else
            buf_add_fmt(out, "_%x_", c);
        return;
    case ESCAPE_NONE:
    case NAME_ESCAPINGS: return;
    }
}

void prom_escape_name(enum name_escaping scheme, struct str name, struct buf *out) {
    if (scheme == ESCAPE_NONE || (scheme != ESCAPE_DOTS && prom_name_is_legacy(name, false))) {
        buf_add_str(out, name);
        return;
    }
    if (scheme == ESCAPE_VALUES && name.n) buf_add_text(out, "U__");
    for (size_t i = 0, size; i < name.n; i += size) {
        uint32_t c = code_point(name, i, &size);
        put_escaped(scheme, c, may_stand(c, i), out);
    }
}

static void put_code_point(uint32_t c, struct buf *out) {
    if (c < 0x80) {
        buf_add_byte(out, (char)c);
    } else if (c < 0x800) {
        buf_add_byte(out, (char)(0xc0 | c >> 6));
        buf_add_byte(out, (char)(0x80 | (c & 0x3f)));
    } else {
        buf_add_byte(out, (char)(c < 0x10000 ? 0xe0 | c >> 12 : 0xf0 | c >> 18));
        if (c >= 0x10000) buf_add_byte(out, (char)(0x80 | (c >> 12 & 0x3f)));
        buf_add_byte(out, (char)(0x80 | (c >> 6 & 0x3f)));
        buf_add_byte(out, (char)(0x80 | (c & 0x3f)));
    }
}

static unsigned hex_digit(char c) {
    return c >= '0' && c <= '9'   ? (unsigned)(c - '0')
           : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
           : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                  : 16;
}

/* What follows an `_`: another one, or hex digits and one. False: neither. */
static bool unescape_one(struct str *rest, struct buf *out) {
    uint32_t c = 0;
    size_t n = 0;
    if (rest->n && *rest->p == '_') {
        buf_add_byte(out, '_');
        *rest = (struct str){rest->p + 1, rest->n - 1};
        return true;
    }
    for (; n < rest->n && n < 6 && hex_digit(rest->p[n]) < 16; n++) c = c << 4 | hex_digit(rest->p[n]);
    if (n == 0 || n == rest->n || rest->p[n] != '_' || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return false;
    put_code_point(c, out);
    *rest = (struct str){rest->p + n + 1, rest->n - n - 1};
    return true;
}

void prom_unescape_name(struct str text, struct buf *out) {
    size_t start = out->n;
    bool escaped = str_starts_with(text, STR("U__"));
    struct str rest = escaped ? (struct str){text.p + 3, text.n - 3} : STR("");
    while (escaped && rest.n) {
        char c = *rest.p;
        rest = (struct str){rest.p + 1, rest.n - 1};
        if (c != '_')
            buf_add_byte(out, c);
        else
            escaped = unescape_one(&rest, out);
    }
    if (escaped) return;
    out->n = start;
    buf_add_str(out, text);
}
