#include "alert/notify.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "net/client.h"
#include "os/clock.h"
#include "os/thread.h"

#define FIRST_WAIT_NS ((int64_t)500000000)
#define LAST_WAIT_NS ((int64_t)60 * 1000000000)
#define CALL_NS ((int64_t)10 * 1000000000)
#define ENDING_NS ((int64_t)2 * 1000000000)
#define LEASE_NS ((int64_t)300 * 1000000000) /* longer than a wait and a call */
#define LOOK_NS                                                                                                        \
    ((int64_t)10 *                                                                                                     \
     1000000000) /* at rows that nobody woke it for: another's lease has ended, the disk takes writes again */
#define QUEUE_PREFIX "alertmanager-"
enum { ALERT_BYTES_MAX = JOBS_BODY_BYTES - 16, ANSWER_BYTES_MAX = 64 << 10, TRIES_MAX = 1000 };

struct receiver {
    struct notifier *n;
    char *url, *shown; /* shown: without who asks there */
    struct jobs *jobs;
    char **queue; /* JSON of an alert each, NOTIFY_HELD_MAX places in a ring; NULL: nothing was held yet */
    size_t first, count;
    bool woken;    /* there may be rows */
    uint64_t rows; /* that wait, as they were counted last */
    struct notifier_stats stats;
    struct thread *thread;
};

struct notifier {
    struct notifier_options options;
    struct lock lock;
    struct signal_flag changed;
    bool ending;
    int64_t until_ns; /* monotonic; of the ending */
    struct receiver targets[NOTIFY_TARGETS_MAX];
};

/* ---- an alert as JSON -------------------------------------------------------------------------------------------- */

/* `over` wins over l, which wins over `under`. */
static void write_labels(struct json_writer *w, const char *key, struct labels l, struct labels over,
                         struct labels under) {
    json_key(w, str_of(key));
    json_object(w);
    for (uint32_t i = 0; i < l.n; i++) {
        if (label_set_get(over, l.v[i].name).n) continue;
        json_key(w, l.v[i].name);
        json_str(w, l.v[i].value);
    }
    for (uint32_t i = 0; i < over.n; i++) {
        json_key(w, over.v[i].name);
        json_str(w, over.v[i].value);
    }
    for (uint32_t i = 0; i < under.n; i++) {
        if (label_set_get(l, under.v[i].name).n || label_set_get(over, under.v[i].name).n) continue;
        json_key(w, under.v[i].name);
        json_str(w, under.v[i].value);
    }
    json_object_end(w);
}

static void put_link(struct buf *out, const struct notifier *n, struct str expr) {
    buf_add_fmt(out, STR_FMT "/graph?g0.expr=", STR_ARG(n->options.external_url));
    for (size_t i = 0; i < expr.n; i++) {
        unsigned char c = (unsigned char)expr.p[i];
        bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || (c && strchr("-_.~", c));
        if (plain)
            buf_add_byte(out, (char)c);
        else
            buf_add_fmt(out, "%%%02X", c);
    }
    buf_add_text(out, "&g0.tab=1");
}

static char *alert_json(const struct notifier *n, const struct alert_notice *x) {
    AUTO_BUF struct buf text, link;
    struct json_writer w;
    buf_init(&text, ALERT_BYTES_MAX);
    buf_init(&link, ALERT_BYTES_MAX);
    put_link(&link, n, x->expr);
    json_writer_init(&w, &text);
    json_object(&w);
    struct label tenant = {STR("tenant"), x->tenant};
    bool is_default = !x->tenant.n || str_equal(x->tenant, STR("default"));
    write_labels(&w, "labels", x->labels, (struct labels){&tenant, !is_default}, n->options.external_labels);
    write_labels(&w, "annotations", x->annotations, (struct labels){0}, (struct labels){0});
    json_member(&w, "startsAt", time, x->starts_ns);
    json_member(&w, "endsAt", time, x->ends_ns);
    json_member(&w, "generatorURL", str, buf_str(&link));
    json_object_end(&w);
    return text.full ? NULL : str_dup(buf_str(&text));
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* A row is how many alerts it has, a line's end, and what is sent. */
static err push_rows(struct notifier *n, struct db_transaction *t, struct buf *alerts, size_t count) {
    AUTO_BUF struct buf row = {0};
    if (!count) return NULL;
    buf_init(&row, JOBS_BODY_BYTES);
    buf_add_fmt(&row, "%zu\n[", count);
    buf_add_str(&row, buf_str(alerts));
    buf_add_byte(&row, ']');
    for (size_t i = 0; i < n->options.url_n; i++) TRY(jobs_push_in(n->targets[i].jobs, t, buf_str(&row), 0));
    buf_clear(alerts);
    return NULL;
}

static void count_dropped(struct notifier *n) {
    lock_take(&n->lock);
    for (size_t i = 0; i < n->options.url_n; i++) n->targets[i].stats.dropped++;
    lock_give(&n->lock);
}

err notifier_push_in(struct notifier *n, struct db_transaction *t, const struct alert_notice *notices, size_t count) {
    AUTO_BUF struct buf body;
    size_t in = 0;
    buf_init(&body, JOBS_BODY_BYTES);
    for (size_t i = 0; i < count; i++) {
        AUTO_FREE char *json = alert_json(n, &notices[i]);
        size_t size = json ? strlen(json) : 0;
        if (!json) {
            count_dropped(n); /* over a megabyte */
            continue;
        }
        if (in == NOTIFY_BATCH_MAX || body.n + size + 16 > JOBS_BODY_BYTES) {
            TRY(push_rows(n, t, &body, in));
            in = 0;
        }
        buf_add_fmt(&body, "%s%s", in++ ? "," : "", json);
    }
    return push_rows(n, t, &body, in);
}

void notifier_wake(struct notifier *n) {
    lock_take(&n->lock);
    for (size_t i = 0; i < n->options.url_n; i++) n->targets[i].woken = true;
    flag_wake_all(&n->changed);
    lock_give(&n->lock);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* Lock held. */
static void hold(struct receiver *t, const char *json) {
    if (!t->queue) t->queue = mem_new_array(char *, NOTIFY_HELD_MAX);
    if (t->count == NOTIFY_HELD_MAX) {
        mem_free(t->queue[t->first]);
        t->first = (t->first + 1) % NOTIFY_HELD_MAX;
        t->count--;
        t->stats.dropped++;
    }
    t->queue[(t->first + t->count++) % NOTIFY_HELD_MAX] = str_dup(str_of(json));
}

void notifier_send(void *notifier, const struct alert_notice *notices, size_t count) {
    struct notifier *n = notifier;
    for (size_t i = 0; i < count; i++) {
        AUTO_FREE char *json = alert_json(n, &notices[i]);
        if (!json) count_dropped(n);
        lock_take(&n->lock);
        for (size_t k = 0; k < n->options.url_n && json; k++) hold(&n->targets[k], json);
        lock_give(&n->lock);
    }
    lock_take(&n->lock);
    flag_wake_all(&n->changed);
    lock_give(&n->lock);
}

/* ---- sending ----------------------------------------------------------------------------------------------------- */

/* What goes next, from the head of the queue, which it stays in. Lock held. */
static size_t gather(const struct receiver *t, struct buf *body) {
    size_t n = MIN(t->count, (size_t)NOTIFY_BATCH_MAX);
    buf_add_byte(body, '[');
    for (size_t i = 0; i < n; i++) buf_add_fmt(body, "%s%s", i ? "," : "", t->queue[(t->first + i) % NOTIFY_HELD_MAX]);
    buf_add_byte(body, ']');
    return n;
}

enum verdict { ARRIVED, AGAIN, REFUSED };

static enum verdict post_wait(struct receiver *t, struct http_client *client, struct str body) {
    static const char *const fields[] = {"Content-Type: application/json", NULL};
    struct http_answer answer = {0};
    err e = http_call_wait(client, "POST", t->url, fields, body, CALL_NS, ANSWER_BYTES_MAX, &answer);
    enum verdict v = e || answer.status >= 500 || answer.status == 429 ? AGAIN
                     : answer.status < 300                             ? ARRIVED
                                                                       : REFUSED;
    if (e)
        log_warn("an Alertmanager is not reached", F_TEXT("url", t->shown), F_ERR(e));
    else if (v != ARRIVED)
        log_warn("an Alertmanager refuses alerts", F_TEXT("url", t->shown), F_I64("status", answer.status),
                 F_STR("says", answer.body.p ? buf_str(&answer.body) : STR("")));
    err_free(e);
    buf_done(&answer.body);
    return v;
}

/* `sent` of the head are done with, but for those that a full queue has dropped meanwhile. Lock held. */
static void settle(struct receiver *t, size_t sent, uint64_t dropped_before, enum verdict v) {
    size_t gone = MIN((size_t)(t->stats.dropped - dropped_before), sent);
    for (size_t i = gone; i < sent; i++) {
        mem_free(t->queue[t->first]);
        t->first = (t->first + 1) % NOTIFY_HELD_MAX;
        t->count--;
    }
    *(v == ARRIVED ? &t->stats.sent : &t->stats.dropped) += sent - gone;
}

/* Of memory: sends once; false: to be tried again. Lock held, and given meanwhile. */
static bool send_held_wait(struct receiver *t, struct http_client *client) {
    AUTO_BUF struct buf body;
    buf_init(&body, (size_t)NOTIFY_BATCH_MAX * ALERT_BYTES_MAX + KIB);
    uint64_t dropped = t->stats.dropped;
    size_t n = gather(t, &body);
    lock_give(&t->n->lock);
    enum verdict v = post_wait(t, client, buf_str(&body));
    lock_take(&t->n->lock);
    if (v == AGAIN)
        t->stats.failures++;
    else
        settle(t, n, dropped, v);
    return v != AGAIN;
}

/* False: it is time to end. */
static bool pause_wait(struct receiver *t, int64_t ns) {
    struct notifier *n = t->n;
    int64_t until = clock_monotonic_ns() + ns;
    lock_take(&n->lock);
    while (!n->ending && flag_wait_until(&n->changed, &n->lock, until)) continue;
    bool goes_on = !n->ending;
    lock_give(&n->lock);
    return goes_on;
}

static void settle_row(struct receiver *t, const struct job *job, uint64_t alerts, bool arrived) {
    lock_take(&t->n->lock);
    *(arrived ? &t->stats.sent : &t->stats.dropped) += alerts;
    lock_give(&t->n->lock);
    err e = jobs_done(t->jobs, job);
    if (e && err_kind(e) != ERR_CONFLICT) /* a conflict: a full queue has dropped it meanwhile */
        log_warn("a row of an Alertmanager could not be ended, and comes again", F_TEXT("url", t->shown), F_ERR(e));
    err_free(e);
}

/* For who looks at figures. */
static void count_rows(struct receiver *t) {
    struct jobs_counts rows;
    err e = jobs_count(t->jobs, &rows);
    if (!e) {
        lock_take(&t->n->lock);
        t->rows = rows.due + rows.later;
        lock_give(&t->n->lock);
    }
    err_free(e); /* told where rows are taken */
}

/* Sends a row until it is done with: under its lease, so that none overtakes it (2). False: it is time to end. */
static bool send_row_wait(struct receiver *t, struct http_client *client, const struct job *job) {
    struct str count, body;
    uint64_t alerts = 0;
    str_cut(job->body, '\n', &count, &body);
    err_free(parse_u64(count, &alerts));
    for (int64_t wait = FIRST_WAIT_NS;; wait = MIN(wait * 3 / 2, LAST_WAIT_NS)) {
        enum verdict v = post_wait(t, client, body);
        bool old = t->n->options.wall_ns() - job->pushed > NOTIFY_OLD_NS;
        if (v != AGAIN || old) {
            settle_row(t, job, alerts, v == ARRIVED);
            return true;
        }
        lock_take(&t->n->lock);
        t->stats.failures++;
        lock_give(&t->n->lock);
        count_rows(t);
        if (!pause_wait(t, wait)) return false;
        err e = jobs_extend(t->jobs, job);
        bool lost = e && err_kind(e) == ERR_CONFLICT;
        err_free(e);
        if (lost) return true;
    }
}

static bool is_over(void *context) {
    struct notifier *n = context;
    lock_take(&n->lock);
    bool over = n->ending && clock_monotonic_ns() > n->until_ns;
    lock_give(&n->lock);
    return over;
}

/* All rows, in their order. False: it is time to end. */
static bool send_rows_wait(struct receiver *t, struct http_client *client) {
    for (;;) {
        AUTO_ARENA struct arena a;
        struct job job;
        bool found = false;
        arena_init(&a, 4 * (size_t)JOBS_BODY_BYTES);
        err e = jobs_take(t->jobs, &a, &job, &found);
        if (e) log_warn("rows of an Alertmanager cannot be taken", F_TEXT("url", t->shown), F_ERR(e));
        bool failed = e != NULL;
        err_free(e);
        if (failed || !found) return true;
        if (!send_row_wait(t, client, &job) || is_over(t->n)) return false;
    }
}

static void send_until_end_wait(struct receiver *t, struct http_client *client) {
    struct notifier *n = t->n;
    int64_t wait = FIRST_WAIT_NS;
    lock_take(&n->lock);
    for (bool last = false, goes_on = true; !last && goes_on;) {
        if (!n->ending && !t->woken && t->count == 0)
            flag_wait_until(&n->changed, &n->lock, clock_monotonic_ns() + LOOK_NS);
        last = n->ending;
        t->woken = false;
        lock_give(&n->lock);
        goes_on = send_rows_wait(t, client);
        count_rows(t);
        lock_take(&n->lock);
        while (goes_on && t->count) {
            if (send_held_wait(t, client)) {
                wait = FIRST_WAIT_NS;
                continue;
            }
            lock_give(&n->lock);
            goes_on = pause_wait(t, wait);
            wait = MIN(wait * 3 / 2, LAST_WAIT_NS);
            lock_take(&n->lock);
        }
    }
    lock_give(&n->lock);
}

static void work(void *context) {
    struct receiver *t = context;
    struct http_client *client = NULL;
    err e = http_client_new(&client);
    if (e) log_error("no alert can be sent", F_ERR(e));
    if (client) {
        http_client_end_if(client, is_over, t->n);
        send_until_end_wait(t, client);
    }
    err_free(e);
    http_client_free(client);
}

/* ---- as a whole -------------------------------------------------------------------------------------------------- */

static err open_receiver(struct notifier *n, struct receiver *t, struct str url, struct buf *name) {
    struct buf whole;
    buf_init(&whole, 4096);
    while (url.n && url.p[url.n - 1] == '/') url.n--;
    buf_add_fmt(&whole, STR_FMT "/api/v2/alerts", STR_ARG(url));
    *t = (struct receiver){.n = n, .url = str_dup(buf_str(&whole)), .woken = true};
    t->shown = str_dup(str_of(url_shown(t->url, &whole)));
    buf_done(&whole);
    buf_add_fmt(name, QUEUE_PREFIX "%016llx", (unsigned long long)hash_bytes(t->url, strlen(t->url)));
    TRY(jobs_open(n->options.db,
                  &(struct jobs_options){.name = name->p,
                                         .lease_ns = LEASE_NS,
                                         .tries_max = TRIES_MAX,
                                         .items_max = NOTIFY_QUEUE_MAX,
                                         .drop_oldest = true,
                                         .wall_ns = n->options.wall_ns},
                  &t->jobs));
    return jobs_reclaim(t->jobs); /* of this data directory no other clew is running */
}

static err open_receivers(struct notifier *n) {
    struct buf names[NOTIFY_TARGETS_MAX];
    struct str kept[NOTIFY_TARGETS_MAX] = {{0}};
    err e = NULL;
    size_t made = 0;
    for (; made < n->options.url_n && !e; made++) {
        buf_init(&names[made], 64);
        e = open_receiver(n, &n->targets[made], n->options.urls[made], &names[made]);
        kept[made] = buf_str(&names[made]);
    }
    if (!e) e = jobs_end_others(n->options.db, STR(QUEUE_PREFIX), kept, made);
    for (size_t i = 0; i < made; i++) buf_done(&names[i]);
    for (size_t i = 0; i < n->options.url_n && !e; i++)
        e = thread_start(&n->targets[i].thread, "notify", 0, work, &n->targets[i]);
    return e;
}

err notifier_new(const struct notifier_options *options, struct notifier **out) {
    struct notifier *n = mem_new_of(struct notifier);
    n->options = *options;
    if (!n->options.wall_ns) n->options.wall_ns = clock_wall_ns;
    lock_init(&n->lock);
    flag_init(&n->changed);
    err e = open_receivers(n);
    if (e)
        notifier_free(n);
    else
        *out = n;
    return e;
}

err notifier_end_rows(struct db *db) { return jobs_end_others(db, STR(QUEUE_PREFIX), NULL, 0); }

void notifier_free(struct notifier *n) {
    if (!n) return;
    lock_take(&n->lock);
    n->ending = true;
    n->until_ns = clock_monotonic_ns() + ENDING_NS;
    flag_wake_all(&n->changed);
    lock_give(&n->lock);
    for (size_t i = 0; i < n->options.url_n; i++) {
        struct receiver *t = &n->targets[i];
        thread_join(t->thread);
        for (size_t k = 0; k < t->count; k++) mem_free(t->queue[(t->first + k) % NOTIFY_HELD_MAX]);
        jobs_close(t->jobs);
        mem_free(t->queue);
        mem_free(t->url);
        mem_free(t->shown);
    }
    flag_done(&n->changed);
    lock_done(&n->lock);
    mem_free(n);
}

err notifier_get_stats(struct notifier *n, size_t target, struct notifier_stats *out) {
    struct jobs_counts rows;
    TRY(jobs_count(n->targets[target].jobs, &rows));
    lock_take(&n->lock);
    *out = n->targets[target].stats;
    out->queued = rows.due + rows.later + n->targets[target].count;
    lock_give(&n->lock);
    out->displaced = jobs_displaced(n->targets[target].jobs);
    return NULL;
}

void notifier_look(struct notifier *n, size_t target, struct notifier_stats *out) {
    const struct receiver *t = &n->targets[target];
    lock_take(&n->lock);
    *out = t->stats;
    out->queued = t->rows + t->count;
    lock_give(&n->lock);
    out->displaced = jobs_displaced(t->jobs);
}

size_t notifier_count(const struct notifier *n) { return n->options.url_n; }
struct str notifier_url(const struct notifier *n, size_t target) {
    return str_of(n->targets[target].shown);
}
