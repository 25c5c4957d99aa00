/* Rules of `clew serve`: read from files, read again when they change, their states kept in the data directory.
 * Owner: the server; serve_rules_stop before anything it borrows goes, serve_rules_close after the api. Threads: the main one. */
#pragma once

#include "alert/notify.h"
#include "app/options.h"
#include "os/thread.h"

struct ingest;
struct serve_rules {
    struct work_watch watch;     /* of the engine; set before it is opened */
    struct alert_engine *engine; /* NULL: there are no rules */
    struct notifier *notifier;   /* NULL: nobody is told */
    const char *patterns[OPTION_REPEATS_MAX];
    size_t pattern_n;
    char *folder; /* of states */
    char *external_url;
    uint64_t seen;         /* of the files, as they were read */
    struct thread *reader; /* looks at the files each 5 s; a reload waits for groups that run */
    struct lock lock;      /* of `ending` */
    struct signal_flag flag;
    bool ending;
};

/* Reads rules and states; bad rules are ERR_INVALID. Nothing runs yet. */
err serve_rules_open(const struct arguments *a, const char *dir, struct store *store, struct ingest *ingest,
                     struct budget *budget, struct serve_rules *out);
err serve_rules_start(struct serve_rules *s);
/* What a group of rules that somebody keeps has wrong, as a file of rules would: ERR_INVALID. Of api_options.check_rules; from any thread. */
err serve_rules_check(void *context, struct str tenant, struct str body);
void serve_rules_stop(struct serve_rules *s);
void serve_rules_close(struct serve_rules *s);
