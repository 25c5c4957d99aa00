#include "app/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "os/clock.h"
#include "os/process.h"

enum { ANSWER_BYTES_MAX = 1 << 30 };
#define ASK_TIMEOUT_NS ((int64_t)120 * 1000000000)

/* ---- asking ----------------------------------------------------------------------------------------------------- */

/* The message of {"error":{"kind":…,"message":…,"hint":…}}, or "" if the body is something else. */
static void read_error(struct str body, struct buf *out) {
    struct json_reader r;
    json_reader_init(&r, body, 16);
    bool want = false;
    const char *before = "";
    for (enum json_token t; (t = json_next(&r)) != JSON_END && t != JSON_ERROR;) {
        if (want && t == JSON_STRING) {
            buf_add_text(out, before);
            put_terminal(out, r.value);
            before = "\n  ";
        }
        want = t == JSON_KEY && (str_equal(r.value, STR("message")) || str_equal(r.value, STR("hint")));
    }
    json_reader_done(&r);
}

static enum err_kind kind_of_status(int status) {
    for (int k = 0; k < ERR_KINDS; k++)
        if (err_kind_rows[k].http == status) return (enum err_kind)k;
    return status < 500 ? ERR_INVALID : ERR_INTERNAL;
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

err command_ask_wait(const struct arguments *a, const char *method, const char *path, struct str body,
                     struct buf *out) {
    struct http_client *client = NULL;
    const struct http_client_tls tls = command_tls(a);
    TRY(http_client_new(&client));
    http_client_trust(client, &tls);
    AUTO_BUF struct buf url;
    buf_init(&url, 64 * KIB);
    struct str server = argument_text(a, OPTION_SERVER);
    while (str_ends_with(server, STR("/"))) server.n--;
    buf_add_str(&url, server);
    buf_add_text(&url, path);
    struct http_answer answer = {0};
    err e = url.full ? err_new(ERR_LIMIT, "the question is longer than 64 KiB")
                     : http_call_wait(client, method, url.p, NULL, body, ASK_TIMEOUT_NS, ANSWER_BYTES_MAX, &answer);
    http_client_free(client);
    if (e && err_kind(e) == ERR_UNAVAILABLE)
        return err_wrap(e, "no answer from " STR_FMT " (start one with `clew serve`, or say where with --server)",
                        STR_ARG(server));
    if (e) return err_wrap(e, "asking " STR_FMT, STR_ARG(server));
    if (answer.status < 300) {
        *out = answer.body;
        return NULL;
    }
    AUTO_BUF struct buf message;
    buf_init(&message, 4096);
    read_error(buf_str(&answer.body), &message);
    if (!message.n) buf_add_fmt(&message, "the server answered %d", answer.status);
    buf_done(&answer.body);
    return err_new(kind_of_status(answer.status), "%s", message.p);
}

void command_add_param(struct buf *path, const char *name, struct str value) {
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    buf_add_byte(path, str_find(buf_str(path), '?') < 0 ? '?' : '&');
    buf_add_text(path, name);
    buf_add_byte(path, '=');
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] && strchr(safe, value.p[i]))
            buf_add_byte(path, value.p[i]);
        else
            buf_add_fmt(path, "%%%02X", (unsigned char)value.p[i]);
    }
}

void command_add_option(struct buf *path, const char *name, const struct arguments *a, enum option o) {
    for (int i = 0; i < a->given[o]; i++) command_add_param(path, name, a->values[o][i]);
}

/* ---- printing --------------------------------------------------------------------------------------------------- */

void command_print(const struct buf *text) {
    if (text->n && fwrite(text->p, 1, text->n, stdout) != text->n) exit(0); /* `clew … | head` is no failure */
    fflush(stdout);
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
