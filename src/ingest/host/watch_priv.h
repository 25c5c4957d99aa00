/* Services beside the host: nginx, Redis, PostgreSQL. What one does not answer in time, or not as it should, is one figure: its …_up is 0.
 *
 * A watch is KIND=WHERE. Where: nginx http(s)://HOST[:PORT]/PATH of its stub_status; redis [redis://]HOST:PORT; postgres
 * [postgres://][USER@]HOST:PORT[/DATABASE]. Passwords are in no watch: CLEW_REDIS_PASSWORD and CLEW_POSTGRES_PASSWORD.
 * Limits: WATCH_NS for all of one round, WATCH_ANSWER_BYTES_MAX of answers, WATCH_ROWS_MAX databases. Owner: the caller. Threads: one. */
#pragma once

#include "ingest/host/tree_priv.h"

#define WATCH_NS ((int64_t)3 * 1000000000)
enum { WATCH_ANSWER_BYTES_MAX = 1 << 20, WATCH_ROWS_MAX = 256 };

struct watch;
err watch_new(struct str text, struct watch **out); /* ERR_INVALID says what a watch looks like */
void watch_free(struct watch *w);                   /* takes NULL */
struct str watch_job(const struct watch *w);        /* "nginx" */
struct str watch_instance(const struct watch *w);   /* "127.0.0.1:6379" */
void watch_collect_wait(struct watch *w, struct expo *out);
