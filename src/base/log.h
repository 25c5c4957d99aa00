/* clew's own log: a fixed message with typed fields, one line a record, logfmt or JSON, to standard error.
 *
 *   log_warn("segment kept", F_STR("path", path), F_U64("bytes", n), F_ERR(e));
 *
 * error = someone must act; warn = degraded; info = state changes; debug = off by default. Each call site may write 10
 * lines a second; what is over is counted and told with the next line (suppressed=N). Values are cleaned of control
 * characters, so a value cannot forge a line. Limits: a value 1 KiB (longer is cut, with …), a line 4 KiB (fields that do
 * not fit are left out). Durations read 1.25ms in logfmt and are whole nanoseconds under key_ns in JSON.
 *
 * Threads: any, without a lock. base makes no system calls: a line leaves by one dprintf, which the C library turns into
 * one write(2) for lines of this size, so that lines of several threads do not mix. A failed write is forgotten.
 */
#pragma once

#include "base/base.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log_field {
    const char *key;
    enum { LOG_FIELD_STR, LOG_FIELD_I64, LOG_FIELD_U64, LOG_FIELD_F64, LOG_FIELD_DURATION } type;
    union {
        struct str s;
        int64_t i;
        uint64_t u;
        double f;
    };
};
#define F_STR(k, v)                                                                                                    \
    (struct log_field) { .key = (k), .type = LOG_FIELD_STR, .s = (v) }
#define F_TEXT(k, v)                                                                                                   \
    (struct log_field) { .key = (k), .type = LOG_FIELD_STR, .s = str_of(v) }
#define F_I64(k, v)                                                                                                    \
    (struct log_field) { .key = (k), .type = LOG_FIELD_I64, .i = (v) }
#define F_U64(k, v)                                                                                                    \
    (struct log_field) { .key = (k), .type = LOG_FIELD_U64, .u = (v) }
#define F_F64(k, v)                                                                                                    \
    (struct log_field) { .key = (k), .type = LOG_FIELD_F64, .f = (v) }
#define F_DURATION(k, v)                                                                                               \
    (struct log_field) { .key = (k), .type = LOG_FIELD_DURATION, .i = (v) }
#define F_ERR(e)                                                                                                       \
    (struct log_field) { .key = "error", .type = LOG_FIELD_STR, .s = str_of(err_text(e)) }

struct log_site {
    int64_t window_ns;
    uint32_t written, suppressed;
};
void log_write_(struct log_site *site, enum log_level level, const char *message, const struct log_field *fields,
                size_t n);
#define log_at_(level, message, ...)                                                                                   \
    do {                                                                                                               \
        static struct log_site site_;                                                                                  \
        const struct log_field fields_[] = {{0}, ##__VA_ARGS__};                                                       \
        log_write_(&site_, level, message, fields_ + 1, LENGTH(fields_) - 1);                                          \
    } while (0)
#define log_debug(message, ...) log_at_(LOG_DEBUG, message, ##__VA_ARGS__)
#define log_info(message, ...) log_at_(LOG_INFO, message, ##__VA_ARGS__)
#define log_warn(message, ...) log_at_(LOG_WARN, message, ##__VA_ARGS__)
#define log_error(message, ...) log_at_(LOG_ERROR, message, ##__VA_ARGS__)
/* Before threads start. Defaults: info, logfmt, 2. */
void log_setup(enum log_level least, enum log_format format, int fd);
/* What was written, for who makes records of it; after the limits above. Borrowed until the listener returns; it runs on any thread and must not log. */
struct log_line {
    enum log_level level;
    const char *message;
    const struct log_field *fields;
    size_t field_count;
    uint32_t suppressed;
};
void log_set_listener(
    void (*listener)(const struct log_line *line)); /* NULL: none; a call that is under way may still end later */
/* base has no clock: app gives the wall clock; until then lines carry no time and are not limited. */
void log_set_clock(int64_t (*wall_ns)(void));
