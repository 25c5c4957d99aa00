/* Rules of `clew serve`: read from files (of --rules, and rule_files of --scrape-config) and from the rows of /api/v1/rules, again when they change;
 * what alerts remember is in the records. Alertmanagers, external labels and times of the file of --scrape-config are those of the start.
 * Files are of the tenant `default`, a row is of its own. Owner: the server; serve_rules_stop before anything it borrows goes, serve_rules_close
 * after the api. Threads: the main one, but where said. */
#pragma once

#include "alert/records.h"
#include "app/options.h"
#include "base/vec.h"
#include "ingest/scrape/scrape.h"
#include "os/thread.h"

enum { ROW_RULES_MAX = 20000 }; /* in all rows of a tenant */

struct catalog;
struct ingest;
struct serve_rules {
    struct work_watch watch; /* of the engine; set before it is opened */
    struct alert_engine *engine;
    struct notifier *notifier; /* NULL: nobody is told */
    struct alert_records *records;
    struct catalog *catalog;
    const char *scrape_config;      /* path; NULL: none */
    struct scrape_config *at_start; /* what it said then */
    struct label external_labels[OPTION_REPEATS_MAX + SCRAPE_EXTERNAL_LABELS_MAX];
    char *external_url;
    struct lock reading;          /* of files: one at a time, and the next four */
    struct scrape_config *config; /* the last that could be read; its paths are among the patterns */
    const char *patterns[OPTION_REPEATS_MAX + SCRAPE_RULE_FILES_MAX];
    size_t pattern_n, own_n; /* own: of --rules, before the others */
    uint64_t seen;           /* of the files, as they were read */
    struct thread *reader;   /* looks at the files each 5 s, at the rows when it is told; waits for groups that run */
    struct lock lock;        /* of the next two */
    struct signal_flag flag;
    bool ending, rows_changed;
    VEC(struct serve_rules_row {
        char *source; /* TENANT/ID */
        int64_t revision;
        bool found;
    })
    rows; /* the reader's; before it starts, the main thread's */
};

struct serve_rules_world {
    const char *scrape_config; /* path; "": none */
    struct store *store;
    struct ingest *ingest;
    struct budget *budget;
    struct db *db;
    struct catalog *catalog;
};
/* Reads rules and states; bad files are ERR_INVALID, bad rows are named and left out. Nothing runs yet. */
err serve_rules_open(const struct arguments *a, const struct serve_rules_world *w, struct serve_rules *out);
err serve_rules_start(struct serve_rules *s);
bool serve_rules_has_files(const struct serve_rules *s);
/* Reads the files again, now; an error says what is wrong, and then those before stay. From any thread. */
err serve_rules_reload(struct serve_rules *s);
/* What a group of rules that somebody keeps has wrong, as a file of rules would: ERR_INVALID; too many: ERR_LIMIT. Of api_options.check_rules, with
 * the serve_rules as context; from any thread. */
err serve_rules_check(void *context, struct str tenant, struct str id, struct str body);
/* Rows have changed: they are read again at once. Of api_options.rules_changed; from any thread. */
void serve_rules_changed(void *context);
void serve_rules_stop(struct serve_rules *s);
void serve_rules_close(struct serve_rules *s);

/* ---- rows (serve_rule_rows.c) ------------------------------------------------------------------------------------- */

/* Takes in what has changed among them. An error: of the records; what was taken in stays. */
err serve_rules_read_rows(struct serve_rules *s);
