/* A log record as the page reads one: a severity out of four, and what a JSON line of the body says. */
#include "api/ollystack/ollystack_priv.h"

#include "signal/otlp.h"

enum { LEVEL_MAX = 64, LINE_DEPTH = 16 };

/* ---- the body --------------------------------------------------------------------------------------------------- */

static struct str body_of(struct arena *a, const struct batch *b, uint32_t row) {
    enum value_type type = (enum value_type)batch_u32(b, SET_ROWS, FIELD_BODY_TYPE, row);
    struct str text = batch_text(b, SET_ROWS, FIELD_BODY, row);
    if (type == VALUE_EMPTY) return STR("");
    if (type == VALUE_STRING) return text;
    AUTO_BUF struct buf out;
    buf_init(&out, 16 * MIB);
    value_write_text(b, type, batch_u32(b, SET_ROWS, FIELD_BODY, row), &out);
    return arena_copy(a, buf_str(&out));
}

struct line {
    struct str level, service, message;
};

/* Members of a JSON object that are texts; a body that is no such object has none. */
static void read_line(struct arena *a, struct str body, struct line *out) {
    struct json_reader r;
    struct line found = {{"", 0}, {"", 0}, {"", 0}};
    enum json_token t;
    if (!body.n || body.p[0] != '{') return;
    json_reader_init(&r, body, LINE_DEPTH);
    t = json_next(&r);
    while (t == JSON_OBJECT && json_next(&r) == JSON_KEY) {
        struct str *into = str_equal(r.value, STR("level"))     ? &found.level
                           : str_equal(r.value, STR("service")) ? &found.service
                           : str_equal(r.value, STR("message")) ? &found.message
                                                                : NULL;
        if (!into) {
            if (!json_skip(&r)) break;
            continue;
        }
        enum json_token value = json_next(&r);
        if (value == JSON_STRING)
            *into = arena_copy(a, r.value);
        else if (value == JSON_OBJECT || value == JSON_ARRAY)
            break; /* no line that the page could read */
    }
    if (!r.error) *out = found;
    json_reader_done(&r);
}

/* ---- the severity ----------------------------------------------------------------------------------------------- */

static struct str upper(struct arena *a, struct str text) {
    struct str copy = arena_copy(a, (struct str){text.p, MIN(text.n, (size_t)LEVEL_MAX)});
    for (size_t i = 0; copy.p && i < copy.n; i++)
        if (copy.p[i] >= 'a' && copy.p[i] <= 'z') ((char *)(uintptr_t)copy.p)[i] -= 'a' - 'A';
    return copy.p ? copy : STR("");
}

/* The page shows four levels and hides all others. */
static struct str page_level(struct str raw) {
    static const struct {
        const char *from, *to;
    } levels[] = {{"FATAL", "ERROR"},  {"CRITICAL", "ERROR"}, {"CRIT", "ERROR"},       {"ALERT", "ERROR"},
                  {"PANIC", "ERROR"},  {"ERR", "ERROR"},      {"EMERGENCY", "ERROR"},  {"EMERG", "ERROR"},
                  {"WARNING", "WARN"}, {"NOTICE", "INFO"},    {"INFORMATION", "INFO"}, {"TRACE", "DEBUG"},
                  {"VERBOSE", "DEBUG"}};
    struct str bare = raw;
    if (bare.n > 1 && bare.p[bare.n - 1] >= '1' && bare.p[bare.n - 1] <= '4') bare.n--; /* WARN2 */
    for (size_t i = 0; i < LENGTH(levels); i++)
        if (str_equal(bare, str_of(levels[i].from))) return str_of(levels[i].to);
    static const struct str own[] = {STR("ERROR"), STR("WARN"), STR("INFO"), STR("DEBUG")};
    for (size_t i = 0; i < LENGTH(own); i++)
        if (str_equal(bare, own[i])) return own[i];
    return raw;
}

err olly_log_read(struct arena *a, const struct batch *b, uint32_t row, struct olly_log *out) {
    struct olly_log l = {.body = body_of(a, b, row), .number = batch_u32(b, SET_ROWS, FIELD_SEVERITY, row)};
    struct line line = {{"", 0}, {"", 0}, {"", 0}};
    struct str text = batch_text(b, SET_ROWS, FIELD_SEVERITY_TEXT, row);
    int class = severity_class(l.number);
    read_line(a, l.body, &line);
    if (!text.n && class != SEVERITY_UNSET) text = str_of(severity_class_names[class]);
    if (!text.n) text = line.level;
    if (!text.n) text = STR("INFO"); /* a record without one would never be shown */
    l.raw_severity = upper(a, text);
    l.severity = page_level(l.raw_severity);
    l.service = query_row_service(b, row, a);
    if (str_equal(l.service, STR("unknown_service")) && line.service.n) l.service = line.service;
    l.message = line.message.n ? line.message : l.body;
    *out = l;
    return arena_err(a);
}
