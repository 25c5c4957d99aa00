#include "base/log.h"

#include <stdio.h>

#include "base/json.h"
#include "base/text.h"

enum { LINE_MAX_BYTES = 4096, VALUE_MAX_BYTES = 1024, LINES_A_WINDOW = 10 };
static const int64_t window_ns = 1000000000;

static struct {
    enum log_level least;
    enum log_format format;
    int fd;
    int64_t (*wall_ns)(void);
} setup = {LOG_INFO, LOG_LOGFMT, 2, NULL};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_setup(enum log_level least, enum log_format format, int fd) {
    setup.least = least;
    setup.format = format;
    setup.fd = fd;
}

static void (*listener)(const struct log_line *line);
void log_set_listener(void (*new)(const struct log_line *line)) { __atomic_store_n(&listener, new, __ATOMIC_SEQ_CST); }

void log_set_clock(int64_t (*wall_ns)(void)) { setup.wall_ns = wall_ns; }

/* Whether this site may write now; *out_suppressed gets how many lines it swallowed since the last one. Two threads that
 * meet at a window's edge may let a line too many through, which is fine. */
static bool may_write(struct log_site *site, int64_t now_ns, uint32_t *out_suppressed) {
    int64_t since_ns = __atomic_load_n(&site->window_ns, __ATOMIC_RELAXED);
    if (now_ns < since_ns || now_ns - since_ns >= window_ns) {
        __atomic_store_n(&site->window_ns, now_ns, __ATOMIC_RELAXED);
        __atomic_store_n(&site->written, 0, __ATOMIC_RELAXED);
    }
    if (__atomic_fetch_add(&site->written, 1, __ATOMIC_RELAXED) >= LINES_A_WINDOW) {
        __atomic_fetch_add(&site->suppressed, 1, __ATOMIC_RELAXED);
        return false;
    }
    *out_suppressed = __atomic_exchange_n(&site->suppressed, 0, __ATOMIC_RELAXED);
    return true;
}

/* The value as UTF-8 of at most VALUE_MAX_BYTES, with … where it was cut. */
static struct str cut_value(struct buf *b, struct str s) {
    buf_clear(b);
    put_utf8_clean(b, (struct str){s.p, MIN(s.n, (size_t)VALUE_MAX_BYTES)});
    if (s.n > VALUE_MAX_BYTES) buf_add_text(b, "…");
    return buf_str(b);
}

/* ---- logfmt ----------------------------------------------------------------------------------------------------- */

static bool stands_bare(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == '"' || s.p[i] == '=' || s.p[i] == '\\' || s.p[i] & 0x80)
            return false;
    return s.n > 0;
}

static void put_logfmt_text(struct buf *line, struct str s) {
    if (stands_bare(s)) return put_terminal(line, s);
    buf_add_byte(line, '"');
    while (s.n) {
        size_t run = 0;
        while (run < s.n && s.p[run] != '"' && s.p[run] != '\\' && s.p[run] != '\n') run++;
        put_terminal(line, (struct str){s.p, run});
        if (run == s.n) break;
        buf_add_byte(line, '\\');
        buf_add_byte(line, s.p[run] == '\n' ? 'n' : s.p[run]);
        s = (struct str){s.p + run + 1, s.n - run - 1};
    }
    buf_add_byte(line, '"');
}

static void put_logfmt_field(struct buf *line, struct buf *scratch, const struct log_field *f) {
    buf_add_fmt(line, " %s=", f->key);
    switch (f->type) {
    case LOG_FIELD_STR: put_logfmt_text(line, cut_value(scratch, f->s)); break;
    case LOG_FIELD_I64: put_i64(line, f->i); break;
    case LOG_FIELD_U64: put_u64(line, f->u); break;
    case LOG_FIELD_F64: put_f64(line, f->f); break;
    case LOG_FIELD_DURATION: put_duration_short(line, f->i); break;
    }
}

static void start_logfmt(struct buf *line, int64_t now_ns, enum log_level level, const char *message) {
    if (setup.wall_ns) {
        buf_add_text(line, "time=");
        put_time(line, now_ns);
        buf_add_byte(line, ' ');
    }
    buf_add_fmt(line, "level=%s msg=", level_names[level]);
    put_logfmt_text(line, str_of(message));
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

static void put_json_field(struct buf *line, struct buf *scratch, const struct log_field *f) {
    struct json_writer w; /* each value on its own: a field that does not fit is taken back whole */
    json_writer_init(&w, line);
    buf_add_byte(line, ',');
    json_str(&w, f->type == LOG_FIELD_DURATION
                     ? (buf_clear(scratch), buf_add_fmt(scratch, "%s_ns", f->key), buf_str(scratch))
                     : str_of(f->key));
    buf_add_byte(line, ':');
    switch (f->type) {
    case LOG_FIELD_STR: json_str(&w, cut_value(scratch, f->s)); break;
    case LOG_FIELD_I64:
    case LOG_FIELD_DURATION: json_i64(&w, f->i); break;
    case LOG_FIELD_U64: json_u64(&w, f->u); break;
    case LOG_FIELD_F64: json_f64(&w, f->f); break;
    }
}

static void start_json(struct buf *line, int64_t now_ns, enum log_level level, const char *message) {
    struct json_writer w;
    json_writer_init(&w, line);
    buf_add_text(line, "{");
    if (setup.wall_ns) {
        buf_add_text(line, "\"time\":");
        json_time(&w, now_ns);
        buf_add_byte(line, ',');
    }
    buf_add_fmt(line, "\"level\":\"%s\",\"msg\":", level_names[level]);
    json_text(&w, message);
}

/* ---- a line ----------------------------------------------------------------------------------------------------- */

static void put_field(struct buf *line, struct buf *scratch, const struct log_field *f) {
    size_t before = line->n;
    if (setup.format == LOG_JSON)
        put_json_field(line, scratch, f);
    else
        put_logfmt_field(line, scratch, f);
    if (!line->full) return;
    line->n = before;
    line->full = false;
}

void log_write_(struct log_site *site, enum log_level level, const char *message, const struct log_field *fields,
                size_t n) {
    if (level < setup.least) return;
    int64_t now_ns = setup.wall_ns ? setup.wall_ns() : 0;
    uint32_t suppressed = 0;
    if (setup.wall_ns && !may_write(site, now_ns, &suppressed)) return;
    AUTO_BUF struct buf line = {.max = LINE_MAX_BYTES - 8}, scratch = {.max = LINE_MAX_BYTES};
    if (setup.format == LOG_JSON)
        start_json(&line, now_ns, level, message);
    else
        start_logfmt(&line, now_ns, level, message);
    if (suppressed) put_field(&line, &scratch, &F_U64("suppressed", suppressed));
    for (size_t i = 0; i < n; i++) put_field(&line, &scratch, &fields[i]);
    line.max = LINE_MAX_BYTES;
    buf_add_text(&line, setup.format == LOG_JSON ? "}\n" : "\n");
    dprintf(setup.fd, "%.*s", (int)line.n, line.p);
    void (*hear)(const struct log_line *) = __atomic_load_n(&listener, __ATOMIC_SEQ_CST);
    if (hear) hear(&(struct log_line){level, message, fields, n, suppressed});
}
