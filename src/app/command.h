/* What sub-commands share: asking a running clew, printing, colours, progress.
 * Threads: the main one, but where said. Errors: those of net/client.h, and what the server answered. */
#pragma once

#include "app/options.h"
#include "base/json.h"
#include "net/client.h"

err command_serve(const struct arguments *a);
err command_collect(const struct arguments *a);
err command_load(const struct arguments *a);
err command_trace(const struct arguments *a);
err command_query_attributes(const struct arguments *a);
err command_query_values(const struct arguments *a);
err command_query_traces(const struct arguments *a);
err command_query_logs(const struct arguments *a);
err command_query_correlations(const struct arguments *a);
err command_query_correlation(const struct arguments *a);
err command_query_propagation(const struct arguments *a);
err command_query_promql(const struct arguments *a);
err command_follow_logs(const struct arguments *a); /* query logs --follow */
err command_import_metrics(const struct arguments *a);
err command_delete(const struct arguments *a);
err command_token_new(const struct arguments *a);
err command_token_list(const struct arguments *a);
err command_token_revoke(const struct arguments *a);
err command_storage(const struct arguments *a);
err command_cardinality(const struct arguments *a);
err command_health(const struct arguments *a);
err command_backup(const struct arguments *a);
err command_restore(const struct arguments *a);
err command_check(const struct arguments *a);
err command_check_redact(const struct arguments *a);
err command_scrape_check(const struct arguments *a);
err command_dump(const struct arguments *a);
err command_dashboard_list(const struct arguments *a);
err command_dashboard_import(const struct arguments *a);
err command_dashboard_export(const struct arguments *a);
err command_rules_backtest(const struct arguments *a);
err command_rules_check(const struct arguments *a);
err command_rules_test(const struct arguments *a);
err command_version(const struct arguments *a);
err command_completion(const struct arguments *a);
err command_man(const struct arguments *a);

struct http_client_tls command_tls(const struct arguments *a); /* whom https trusts, and as whom it speaks */
/* Asks `path` (which starts with '/') of --server; a status over 299 becomes the error that the answer's text says. The caller ends
 * *out with buf_done. A body is JSON. */
err command_ask_wait(const struct arguments *a, const char *method, const char *path, struct str body, struct buf *out);
/* Who asks, as header fields for net/client.h: Authorization from --token or --token-file, X-Scope-OrgID from --tenant. */
struct command_credentials {
    char authorization[512], tenant[128];
    const char *fields[3]; /* ended by NULL; point into this object */
};
err command_credentials(const struct arguments *a, struct command_credentials *out);
/* What a question to --server needs: `path` starts with '/'. Ended by command_connection_done, also after an error. */
struct command_connection {
    struct http_client *client;
    struct command_credentials who;
    struct str server;
    struct buf url;
};
err command_connect(const struct arguments *a, const char *path, struct command_connection *out);
void command_connection_done(struct command_connection *c);
/* What a call's error (consumed) or its answer's status means to the user; NULL: a status below 300. */
err command_outcome(const struct command_connection *c, err e, const struct http_answer *answer);
/* A whole file; the caller ends *out, also after an error. */
err command_read_file(struct str path, size_t bytes_max, struct buf *out);
void command_add_encoded(struct buf *path, struct str value); /* percent-encoded */
/* Appends ?name=value or &name=value, percent-encoded, when the option was given. */
void command_add_param(struct buf *path, const char *name, struct str value);
void command_add_option(struct buf *path, const char *name, const struct arguments *a, enum option o);
/* ERR_INVALID unless the option is an address that can be asked. */
err command_check_url(const struct arguments *a, enum option o);
/* To standard output, whole: exits with 0 when nobody reads it any more, with the status of ERR_IO when it cannot be written. */
void command_print(const struct buf *text);
void command_say(const char *format, ...) __attribute__((format(printf, 1, 2))); /* a line */

/* What --log-level and --log-format say; before threads start. */
err command_setup_log(const struct arguments *a);

/* Opens a data directory that no clew runs on, to be read: it has no threads, and rows in the log are read into memory of `budget`. */
struct budget;
struct store;
err command_open_data(const char *dir, struct budget *budget, struct store **out);

/* Colours: empty strings where they are off (--color, NO_COLOR, not a terminal). */
struct colors {
    const char *reset, *bold, *dim, *red, *yellow, *green, *cyan;
};
err command_colors(const struct arguments *a, struct colors *out);
/* A progress line on standard error, rewritten in place, at most ten a second; nothing when that is no terminal. */
void command_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
void command_progress_end(void);
