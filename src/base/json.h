/* JSON (RFC 8259): one pull reader, one writer.
 *
 *   reader: struct json_reader r; json_reader_init(&r, text, 64);
 *           while ((t = json_next(&r)) != JSON_END) …      JSON_ERROR: json_reader_err(&r) has the position
 *   writer: json_object(w); json_key(w, STR("a")); json_u64(w, 1); json_object_end(w);
 *
 * Reader: checks UTF-8, escapes, surrogates and depth; strings come unescaped in a buffer of the reader, valid until the
 * next call (without escapes they are slices of the text); numbers come as text. The first error stays. Limits: depth as
 * given (≤ 320); a string at most 16 MiB. Keys may repeat: the caller decides which one counts.
 * Writer: into a struct buf; puts commas itself; bytes that are not UTF-8 are written as U+FFFD; </ is escaped as <\/ so that
 * text can stand in HTML. Misuse (a value without key in an object, more than 320 deep) asserts. The caller checks buf.full.
 */
#pragma once

#include "base/base.h"

enum json_token {
    JSON_END,
    JSON_ERROR,
    JSON_OBJECT,
    JSON_OBJECT_END,
    JSON_ARRAY,
    JSON_ARRAY_END,
    JSON_KEY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL
};

enum { JSON_DEPTH_MAX = 320 }; /* a nested OTLP value takes four levels each of its 64 */

struct json_reader {
    struct str text;
    size_t at;        /* byte offset behind the last token */
    size_t token;     /* byte offset of the last token */
    struct str value; /* of KEY, STRING (unescaped) and NUMBER (as written) */
    struct buf scratch;
    const char *error; /* what is wrong at `at` */
    uint8_t stack[JSON_DEPTH_MAX];
    int depth, depth_max;
    int state;
};

void json_reader_init(struct json_reader *r, struct str text, int depth_max);
void json_reader_done(struct json_reader *r);
enum json_token json_next(struct json_reader *r);
bool json_skip(struct json_reader *r); /* skips the value that starts at the next token; false on an error */
/* For who reads values of one known form by itself: how many bytes from `at` on are ASCII that stands for itself in a string; and
 * that one whole value (with the comma before it) has been read up to `at`. */
size_t json_plain_bytes(const struct json_reader *r, size_t at);
void json_jump(struct json_reader *r, size_t at);
err json_reader_err(struct json_reader *r); /* ERR_INVALID "…, at byte N" */

struct json_writer {
    struct buf *out;
    uint8_t stack[JSON_DEPTH_MAX]; /* what is open: object or array, and whether it has a member */
    int depth;
    bool after_key;
};

void json_writer_init(struct json_writer *w, struct buf *out);
void json_object(struct json_writer *w);
void json_object_end(struct json_writer *w);
void json_array(struct json_writer *w);
void json_array_end(struct json_writer *w);
void json_key(struct json_writer *w, struct str key);
void json_str(struct json_writer *w, struct str text);
void json_text(struct json_writer *w, const char *text);
void json_u64(struct json_writer *w, uint64_t v);
void json_i64(struct json_writer *w, int64_t v);
void json_f64(struct json_writer *w,
              double v); /* shortest text that reads back the same; "NaN", "Infinity" and "-Infinity" as strings */
void json_bool(struct json_writer *w, bool v);
void json_null(struct json_writer *w);
void json_hex(struct json_writer *w, const void *bytes, size_t n);    /* as a string of lower-case hex digits */
void json_base64(struct json_writer *w, const void *bytes, size_t n); /* as a string */
void json_time(struct json_writer *w, int64_t ns);                    /* RFC 3339, UTC, nanoseconds where not zero */
void json_raw(struct json_writer *w, struct str json);                 /* a value that is JSON already; not checked */
void json_u64_text(struct json_writer *w, uint64_t v);                /* as a string, for 64-bit numbers of OTLP/JSON */
/* An object member in one call. */
#define json_member(w, key, kind, ...) (json_key((w), STR(key)), json_##kind((w), __VA_ARGS__))
