#include "api/audit_priv.h"

#include "api/token.h"
#include "base/json.h"
#include "base/log.h"
#include "os/file.h"
#include "os/thread.h"

enum { LINE_BYTES = 64 << 10 };
static const int64_t minute_ns = 60 * (int64_t)1000000000;

struct audit {
    struct lock lock;
    char *dir;
    struct file *file;
    uint64_t size, file_bytes;
    int64_t window_start;
    uint64_t refusals, suppressed; /* of the window; since the last line */
    uint64_t written, failed, suppressed_ever;
};

/* ---- files ------------------------------------------------------------------------------------------------------ */

static char *path_of(const struct audit *a, int number) {
    struct buf path;
    buf_init(&path, 8 * KIB);
    buf_add_fmt(&path, number ? "%s/audit.%d.jsonl" : "%s/audit.jsonl", a->dir, number);
    return path.p;
}

/* A line that a crash cut off gets its end, so that the next one stands alone. */
static err end_torn_line(struct audit *a) {
    char last = '\n';
    size_t n;
    if (a->size) TRY(file_read(a->file, &last, 1, a->size - 1, &n));
    if (last == '\n') return NULL;
    TRY(file_write(a->file, "\n", 1, a->size));
    a->size++;
    return NULL;
}

static err open_file(struct audit *a) {
    AUTO_FREE char *path = path_of(a, 0);
    TRY(file_open(path, path_exists(path) ? FILE_WRITE : FILE_CREATE, &a->file));
    TRY(path_sync_dir(a->dir)); /* also of a file that is there: whoever made it may have failed here */
    TRY(file_size(a->file, &a->size));
    return end_torn_line(a);
}

static err rotate(struct audit *a) {
    file_close(take(&a->file));
    for (int i = AUDIT_FILES - 1; i > 0; i--) {
        AUTO_FREE char *from = path_of(a, i - 1), *to = path_of(a, i);
        err e = path_rename(from, to);
        if (e && err_kind(e) != ERR_NOT_FOUND) return e; /* else the next rename would write over this file */
        err_free(e);
    }
    TRY(path_sync_dir(a->dir));
    return open_file(a);
}

err audit_open(const char *dir, uint64_t file_bytes, struct audit **out) {
    struct audit *a = mem_new_of(struct audit);
    a->dir = str_dup(str_of(dir));
    a->file_bytes = file_bytes ? file_bytes : AUDIT_FILE_BYTES;
    lock_init(&a->lock);
    err e = open_file(a);
    if (e) {
        audit_close(a);
        return err_wrap(e, "opening the audit log");
    }
    *out = a;
    return NULL;
}

void audit_close(struct audit *a) {
    if (!a) return;
    file_close(a->file);
    lock_done(&a->lock);
    mem_free(a->dir);
    mem_free(a);
}

/* ---- lines ------------------------------------------------------------------------------------------------------ */

/* Cut to AUDIT_TEXT_BYTES; a token in it is masked from its secret on. */
static void put_text(struct json_writer *w, struct str text) {
    AUTO_BUF struct buf safe;
    buf_init(&safe, 4 * AUDIT_TEXT_BYTES);
    for (size_t i = 0; i < MIN(text.n, (size_t)AUDIT_TEXT_BYTES); i++) {
        uint64_t id;
        unsigned char hash[TOKEN_HASH_BYTES];
        struct str rest = {text.p + i, MIN(text.n - i, (size_t)TOKEN_TEXT_BYTES)};
        if (text.p[i] == 'c' && token_parse(rest, &id, hash)) {
            buf_add(&safe, rest.p, 22);
            buf_add_text(&safe, "…");
            i += TOKEN_TEXT_BYTES - 1;
        } else {
            buf_add_byte(&safe, text.p[i]);
        }
    }
    json_str(w, buf_str(&safe));
}

static void put_member(struct json_writer *w, const char *key, struct str value) {
    if (!value.n) return;
    json_key(w, str_of(key));
    put_text(w, value);
}

static void put_line(const struct audit *a, const struct audit_record *r, bool parameters, struct buf *out) {
    struct json_writer w;
    buf_clear(out);
    out->full = false;
    json_writer_init(&w, out);
    json_object(&w);
    json_member(&w, "time", time, r->time);
    json_member(&w, "action", text, r->action);
    put_member(&w, "token", r->token);
    put_member(&w, "tenant", r->tenant);
    put_member(&w, "peer", r->peer);
    put_member(&w, "method", r->method);
    put_member(&w, "path", r->path);
    if (parameters && r->parameter_count) {
        json_key(&w, STR("parameters"));
        json_object(&w);
        for (size_t i = 0; i < r->parameter_count; i++) {
            json_key(&w, r->parameters[i].name);
            put_text(&w, r->parameters[i].value);
        }
        json_object_end(&w);
    }
    if (r->status) json_member(&w, "status", i64, r->status);
    if (a->suppressed) json_member(&w, "suppressed", u64, a->suppressed);
    json_object_end(&w);
    buf_add_byte(out, '\n');
}

/* Whether this refusal is one too many. lock held */
static bool suppress(struct audit *a, const struct audit_record *r) {
    bool refused = r->status == 401 || r->status == 403 || r->status == 429;
    if (!refused && !(r->stranger && r->status >= 400)) return false;
    if (r->time < a->window_start || r->time - a->window_start >= minute_ns) {
        a->window_start = r->time;
        a->refusals = 0;
    }
    if (a->refusals++ < AUDIT_REFUSALS_A_MINUTE) return false;
    a->suppressed++;
    a->suppressed_ever++;
    return true;
}

static err write_line(struct audit *a, struct str line) {
    if (a->size + line.n > a->file_bytes && a->size) TRY(rotate(a));
    if (!a->file) TRY(open_file(a)); /* after a rotation that failed half-way */
    TRY(file_write(a->file, line.p, line.n, a->size));
    a->size += line.n;
    return file_sync(a->file);
}

void audit_write(struct audit *a, const struct audit_record *r) {
    AUTO_BUF struct buf line;
    buf_init(&line, LINE_BYTES);
    if (!a) return;
    lock_take(&a->lock);
    if (!suppress(a, r)) {
        put_line(a, r, true, &line);
        if (line.full) put_line(a, r, false, &line);
        err e = write_line(a, buf_str(&line));
        if (e) {
            a->failed++;
            log_error("the audit log takes no line", F_ERR(e));
            err_free(e);
            file_close(take(&a->file)); /* a failed sync is never retried on the same file */
        } else {
            a->written++;
            a->suppressed = 0;
        }
    }
    lock_give(&a->lock);
}

void audit_get_counts(struct audit *a, uint64_t *out_written, uint64_t *out_failed, uint64_t *out_suppressed) {
    *out_written = *out_failed = *out_suppressed = 0;
    if (!a) return;
    lock_take(&a->lock);
    *out_written = a->written;
    *out_failed = a->failed;
    *out_suppressed = a->suppressed_ever;
    lock_give(&a->lock);
}
