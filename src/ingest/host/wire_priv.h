/* One short conversation over TCP that ends by its time and by its bytes. Errors: ERR_UNAVAILABLE (nobody there, too slow), ERR_LIMIT (says too
 * much), ERR_CORRUPT (not what the protocol allows). Owner: the caller. Threads: one. */
#pragma once

#include "base/base.h"

struct wire {
    int fd; /* -1: closed */
    int64_t until_ns;
    struct buf in;
    size_t at; /* what was taken of it */
};
/* All of the conversation within `limit_ns`, all that is read at most `bytes_max`. */
err wire_open_wait(struct wire *w, const char *address, int64_t limit_ns, size_t bytes_max);
void wire_close(struct wire *w); /* also of one that could not be opened */
err wire_send_wait(struct wire *w, struct str bytes);
err wire_take_wait(struct wire *w, size_t n, struct str *out); /* borrowed until the next call */
err wire_line_wait(struct wire *w, struct str *out);           /* up to CR LF, without it */

/* A password: of the file that `options` ("password_file=PATH") names, else of the environment; "" if there is none. */
err watch_password(struct str options, const char *environment, struct buf *out);

struct expo;
struct watch_target {
    char *address, *user, *database, *options;
};
err redis_collect_wait(const struct watch_target *t, struct expo *out);
err postgres_collect_wait(const struct watch_target *t, struct expo *out);

/* The same over a connection that stands, for tests: what a page or a conversation comes to. nginx: ERR_CORRUPT if it is no page of stub_status. */
err nginx_put(struct str text, struct expo *out);
err redis_talk_wait(struct wire *w, struct str password, struct expo *out);
err postgres_talk_wait(struct wire *w, const struct watch_target *target, struct str password, struct expo *out);
