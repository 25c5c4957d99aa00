#include "app/command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/process.h"

enum { ANSWER_BYTES_MAX = 1 << 30 };
#define ASK_TIMEOUT_NS ((int64_t)120 * 1000000000)

/* ---- asking ----------------------------------------------------------------------------------------------------- */

/* What {"error":{"kind":…,"message":…,"hint":…}} says; a body that is something else leaves both as they are. */
static void read_error(struct str body, enum err_kind *kind, struct buf *out) {
    struct json_reader r;
    struct str key = {0};
    json_reader_init(&r, body, 16);
    for (enum json_token t; (t = json_next(&r)) != JSON_END && t != JSON_ERROR;) {
        if (t == JSON_STRING &&
            (str_equal(key, STR("message")) || str_equal(key, STR("hint")) || str_equal(key, STR("error")))) {
            buf_add_text(out, out->n ? "\n  " : "");
            put_terminal(out, r.value);
        }
        for (int k = 0; t == JSON_STRING && str_equal(key, STR("kind")) && k < ERR_KINDS; k++)
            if (str_equal(r.value, str_of(err_kind_rows[k].name))) *kind = (enum err_kind)k;
        key = t == JSON_KEY ? r.value : (struct str){0};
    }
    json_reader_done(&r);
}

/* Of an answer that does not say its kind; several are 500, of which it is the last, ERR_INTERNAL. */
static enum err_kind kind_of_status(int status) {
    if (status == 401) return ERR_DENIED;
    for (int k = ERR_KINDS; k-- > 0;)
        if (err_kind_rows[k].http == status) return (enum err_kind)k;
    return status < 500 ? ERR_INVALID : ERR_INTERNAL;
}

err command_check_url(const struct arguments *a, enum option o) {
    struct str url = argument_text(a, o), scheme, rest;
    bool has_scheme = str_cut(url, ':', &scheme, &rest) && str_starts_with(rest, STR("//"));
    if (url.n && (!has_scheme || str_equal(scheme, STR("http")) || str_equal(scheme, STR("https")))) return NULL;
    return argument_blame(a, o, err_new(ERR_INVALID, "\"" STR_FMT "\" is no http://HOST:PORT", STR_ARG(url)));
}

err command_read_file(struct str name, size_t bytes_max, struct buf *out) {
    AUTO_FREE char *path = str_dup(name);
    return file_read_all(path, bytes_max, out);
}

/* What stands in a header field: no control character may end it. */
static err check_field(struct str value, size_t max, const char *option) {
    for (size_t i = 0; i < value.n; i++)
        if ((unsigned char)value.p[i] <= ' ' || value.p[i] == 0x7f)
            return err_new(ERR_INVALID, "%s has a blank or a control character in it", option);
    return value.n <= max ? NULL : err_new(ERR_INVALID, "%s is longer than %zu bytes", option, max);
}

err command_credentials(const struct arguments *a, struct command_credentials *out) {
    AUTO_BUF struct buf file = {0};
    struct str token = argument_text(a, OPTION_TOKEN), tenant = argument_text(a, OPTION_TENANT);
    size_t n = 0;
    if (!token.n && a->given[OPTION_TOKEN_FILE]) {
        TRY_WRAP(command_read_file(argument_text(a, OPTION_TOKEN_FILE), 4 * KIB, &file), "--token-file");
        token = str_trim(buf_str(&file));
        if (!token.n) return err_new(ERR_INVALID, "--token-file: there is no token in it"); /* half written, perhaps */
    }
    TRY(check_field(token, 400, "the token"));
    TRY(check_field(tenant, 63, "--tenant"));
    snprintf(out->authorization, sizeof out->authorization, "Authorization: Bearer " STR_FMT, STR_ARG(token));
    snprintf(out->tenant, sizeof out->tenant, "X-Scope-OrgID: " STR_FMT, STR_ARG(tenant));
    if (token.n) out->fields[n++] = out->authorization;
    if (tenant.n) out->fields[n++] = out->tenant;
    out->fields[n] = NULL;
    return NULL;
}

static const char *file_of(const struct arguments *a, enum option o) {
    struct str file = argument_text(a, o); /* of argv or the environment: terminated */
    return file.n ? file.p : NULL;
}

struct http_client_tls command_tls(const struct arguments *a) {
    return (struct http_client_tls){.ca_file = file_of(a, OPTION_TLS_CA),
                                    .certificate_file = file_of(a, OPTION_TLS_CERT),
                                    .key_file = file_of(a, OPTION_TLS_KEY),
                                    .insecure = argument_flag(a, OPTION_INSECURE)};
}

err command_connect(const struct arguments *a, const char *path, struct command_connection *out) {
    *out = (struct command_connection){0};
    TRY(command_check_url(a, OPTION_SERVER));
    TRY(command_credentials(a, &out->who));
    const struct http_client_tls tls = command_tls(a);
    TRY(http_client_new(&out->client));
    http_client_trust(out->client, &tls);
    out->server = argument_text(a, OPTION_SERVER);
    while (str_ends_with(out->server, STR("/"))) out->server.n--;
    buf_init(&out->url, 64 * KIB);
    buf_add_str(&out->url, out->server);
    buf_add_text(&out->url, path);
    return out->url.full ? err_new(ERR_LIMIT, "the question is longer than 64 KiB") : NULL;
}

void command_connection_done(struct command_connection *c) {
    http_client_free(c->client);
    buf_done(&c->url);
}

err command_outcome(const struct command_connection *c, err e, const struct http_answer *answer) {
    if (e && err_kind(e) == ERR_UNAVAILABLE)
        return err_wrap(e, "no answer from " STR_FMT " (start one with `clew serve`, or say where with --server)",
                        STR_ARG(c->server));
    if (e) return err_wrap(e, "asking " STR_FMT, STR_ARG(c->server));
    if (answer->status < 300) return NULL;
    AUTO_BUF struct buf message;
    buf_init(&message, 4096);
    enum err_kind kind = kind_of_status(answer->status);
    read_error(buf_str(&answer->body), &kind, &message);
    if (!message.n) buf_add_fmt(&message, "the server answered %d", answer->status);
    return err_new(kind, "%s", message.p);
}

err command_ask_wait(const struct arguments *a, const char *method, const char *path, struct str body,
                     struct buf *out) {
    struct command_connection c;
    struct http_answer answer = {0};
    const char *fields[LENGTH(c.who.fields) + 1] = {NULL};
    size_t n = 0;
    err e = command_connect(a, path, &c);
    for (size_t i = 0; !e && c.who.fields[i]; i++) fields[n++] = c.who.fields[i];
    if (body.n) fields[n] = "Content-Type: application/json";
    if (!e)
        e = command_outcome(
            &c, http_call_wait(c.client, method, c.url.p, fields, body, ASK_TIMEOUT_NS, ANSWER_BYTES_MAX, &answer),
            &answer);
    command_connection_done(&c);
    if (e)
        buf_done(&answer.body);
    else
        *out = answer.body;
    return e;
}

void command_add_encoded(struct buf *path, struct str value) {
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] && strchr(safe, value.p[i]))
            buf_add_byte(path, value.p[i]);
        else
            buf_add_fmt(path, "%%%02X", (unsigned char)value.p[i]);
    }
}

void command_add_param(struct buf *path, const char *name, struct str value) {
    buf_add_byte(path, str_find(buf_str(path), '?') < 0 ? '?' : '&');
    buf_add_text(path, name);
    buf_add_byte(path, '=');
    command_add_encoded(path, value);
}

void command_add_option(struct buf *path, const char *name, const struct arguments *a, enum option o) {
    for (int i = 0; i < a->given[o]; i++) command_add_param(path, name, a->values[o][i]);
}

/* ---- printing --------------------------------------------------------------------------------------------------- */

static void end_output(bool written) {
    if (written && fflush(stdout) == 0) return;
    if (errno == EPIPE) exit(0); /* `clew … | head` is no failure */
    perror("clew: writing to standard output");
    exit(err_kind_rows[ERR_IO].exit_code);
}

void command_print(const struct buf *text) { end_output(!text->n || fwrite(text->p, 1, text->n, stdout) == text->n); }

void command_say(const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    bool written = vprintf(format, ap) >= 0 && putchar('\n') != EOF;
    va_end(ap);
    end_output(written);
}

err command_colors(const struct arguments *a, struct colors *out) {
    struct str when = argument_text(a, OPTION_COLOR);
    bool on = str_equal(when, STR("always"));
    if (str_equal(when, STR("auto")))
        on = process_is_terminal(1) && !process_env("NO_COLOR");
    else if (!on && !str_equal(when, STR("never")))
        return err_new(ERR_INVALID, "--color: auto, always or never, not \"" STR_FMT "\"", STR_ARG(when));
    *out = on ? (struct colors){"\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[33m", "\x1b[32m", "\x1b[36m"}
              : (struct colors){"", "", "", "", "", "", ""};
    return NULL;
}

static int64_t progress_next_ns;
static bool progress_shown;

void command_progress(const char *format, ...) {
    int64_t now = clock_monotonic_ns();
    if (now < progress_next_ns || !process_is_terminal(2)) return;
    progress_next_ns = now + 100000000;
    progress_shown = true;
    va_list ap;
    va_start(ap, format);
    fputs("\r\x1b[K", stderr);
    vfprintf(stderr, format, ap);
    va_end(ap);
}

void command_progress_end(void) {
    if (progress_shown) fputs("\r\x1b[K", stderr);
    progress_shown = false;
    progress_next_ns = 0;
}

err command_setup_log(const struct arguments *a) {
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    struct str level = argument_text(a, OPTION_LOG_LEVEL), format = argument_text(a, OPTION_LOG_FORMAT);
    bool json = str_equal(format, STR("json"));
    if (!json && !str_equal(format, STR("logfmt"))) return err_new(ERR_INVALID, "--log-format: logfmt or json");
    for (size_t i = 0; i < LENGTH(levels); i++) {
        if (!str_equal(level, str_of(levels[i]))) continue;
        log_setup((enum log_level)i, json ? LOG_JSON : LOG_LOGFMT, 2);
        return NULL;
    }
    return err_new(ERR_INVALID, "--log-level: debug, info, warn or error");
}
