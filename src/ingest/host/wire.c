#include "ingest/host/wire_priv.h"

#include "os/clock.h"
#include "os/file.h"
#include "os/process.h"
#include "os/socket.h"

err wire_open_wait(struct wire *w, const char *address, int64_t limit_ns, size_t bytes_max) {
    *w = (struct wire){.fd = -1, .until_ns = clock_monotonic_ns() + limit_ns};
    buf_init(&w->in, bytes_max);
    return socket_connect_wait(address, limit_ns, &w->fd);
}

void wire_close(struct wire *w) {
    if (w->fd >= 0) socket_close(w->fd);
    w->fd = -1;
    buf_done(&w->in);
}

err wire_send_wait(struct wire *w, struct str bytes) {
    while (bytes.n) {
        size_t n = 0;
        struct socket_piece piece = {bytes.p, bytes.n};
        TRY(socket_write(w->fd, &piece, 1, &n));
        bytes = str_span(bytes.p + n, bytes.n - n);
        if (bytes.n && !socket_ready_wait(w->fd, true, w->until_ns))
            return err_new(ERR_UNAVAILABLE, "does not take in time what it is sent");
    }
    return NULL;
}

/* At least one byte more. */
static err more_wait(struct wire *w) {
    char piece[16384];
    size_t n = 0;
    bool end = false;
    while (n == 0) {
        TRY(socket_read(w->fd, piece, sizeof piece, &n, &end));
        if (end) return err_new(ERR_UNAVAILABLE, "ended in the middle");
        if (n == 0 && !socket_ready_wait(w->fd, false, w->until_ns))
            return err_new(ERR_UNAVAILABLE, "does not answer in time");
    }
    if (clock_monotonic_ns() > w->until_ns) return err_new(ERR_UNAVAILABLE, "does not end in time");
    buf_add(&w->in, piece, n);
    return w->in.full ? err_new(ERR_LIMIT, "says more than %zu bytes", w->in.max) : NULL;
}

err wire_take_wait(struct wire *w, size_t n, struct str *out) {
    if (n > w->in.max) return err_new(ERR_LIMIT, "says more than %zu bytes", w->in.max);
    while (w->in.n - w->at < n) TRY(more_wait(w));
    *out = str_span(w->in.p + w->at, n);
    w->at += n;
    return NULL;
}

err wire_line_wait(struct wire *w, struct str *out) {
    for (size_t looked = w->at;;) {
        for (; looked + 1 < w->in.n; looked++) {
            if (w->in.p[looked] != '\r' || w->in.p[looked + 1] != '\n') continue;
            *out = str_span(w->in.p + w->at, looked - w->at);
            w->at = looked + 2;
            return NULL;
        }
        TRY(more_wait(w));
    }
}

err watch_password(struct str options, const char *environment, struct buf *out) {
    struct str key, path;
    if (str_cut(options, '=', &key, &path) && str_equal(key, STR("password_file"))) {
        AUTO_FREE char *name = str_dup(path);
        AUTO_BUF struct buf text = {0};
        TRY(file_read_all(name, 4096, &text));
        buf_add_str(out, str_trim(buf_str(&text)));
        return NULL;
    }
    const char *value = process_env(environment);
    if (value) buf_add_text(out, value);
    return NULL;
}
