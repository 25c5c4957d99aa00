#include "alert/notify.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/log.h"
#include "net/client.h"
#include "os/clock.h"
#include "os/thread.h"

#define FIRST_WAIT_NS ((int64_t)500000000)
#define LAST_WAIT_NS ((int64_t)60 * 1000000000)
#define CALL_NS ((int64_t)10 * 1000000000)
#define ENDING_NS ((int64_t)2 * 1000000000)
enum { ALERT_BYTES_MAX = 1 << 20, ANSWER_BYTES_MAX = 64 << 10 };

struct receiver {
    struct notifier *n;
    char *url;
    char **queue; /* JSON of an alert each, NOTIFY_QUEUE_MAX places in a ring */
    size_t first, count;
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

static void write_labels(struct json_writer *w, const char *key, struct labels l, struct labels under) {
    json_key(w, str_of(key));
    json_object(w);
    for (uint32_t i = 0; i < l.n; i++) {
        json_key(w, l.v[i].name);
        json_str(w, l.v[i].value);
    }
    for (uint32_t i = 0; i < under.n; i++) {
        if (label_set_get(l, under.v[i].name).n) continue;
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
    write_labels(&w, "labels", x->labels, n->options.external_labels);
    write_labels(&w, "annotations", x->annotations, (struct labels){0});
    json_member(&w, "startsAt", time, x->starts_ns);
    json_member(&w, "endsAt", time, x->ends_ns);
    json_member(&w, "generatorURL", str, buf_str(&link));
    json_object_end(&w);
    return text.full ? NULL : str_dup(buf_str(&text));
}

/* ---- queues ------------------------------------------------------------------------------------------------------ */

/* Lock held. */
static void push(struct receiver *t, const char *json) {
    if (t->count == NOTIFY_QUEUE_MAX) {
        mem_free(t->queue[t->first]);
        t->first = (t->first + 1) % NOTIFY_QUEUE_MAX;
        t->count--;
        t->stats.dropped++;
    }
    t->queue[(t->first + t->count++) % NOTIFY_QUEUE_MAX] = str_dup(str_of(json));
}

void notifier_send(void *notifier, const struct alert_notice *notices, size_t count) {
    struct notifier *n = notifier;
    for (size_t i = 0; i < count; i++) {
        AUTO_FREE char *json = alert_json(n, &notices[i]);
        lock_take(&n->lock);
        for (size_t k = 0; k < n->options.url_n; k++) {
            if (json)
                push(&n->targets[k], json);
            else
                n->targets[k].stats.dropped++; /* over a megabyte */
        }
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
    for (size_t i = 0; i < n; i++) buf_add_fmt(body, "%s%s", i ? "," : "", t->queue[(t->first + i) % NOTIFY_QUEUE_MAX]);
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
        log_warn("an Alertmanager is not reached", F_TEXT("url", t->url), F_ERR(e));
    else if (v != ARRIVED)
        log_warn("an Alertmanager refuses alerts", F_TEXT("url", t->url), F_I64("status", answer.status),
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
        t->first = (t->first + 1) % NOTIFY_QUEUE_MAX;
        t->count--;
    }
    *(v == ARRIVED ? &t->stats.sent : &t->stats.dropped) += sent - gone;
}

/* Sends once; false: to be tried again. Lock held, and given meanwhile. */
static bool send_wait(struct receiver *t, struct http_client *client) {
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

static void work(void *context) {
    struct receiver *t = context;
    struct notifier *n = t->n;
    struct http_client *client = NULL;
    int64_t wait = FIRST_WAIT_NS;
    err e = http_client_new(&client);
    if (e) log_error("no alert can be sent", F_ERR(e));
    lock_take(&n->lock);
    while (!e && !(n->ending && (t->count == 0 || clock_monotonic_ns() > n->until_ns))) {
        if (t->count == 0) {
            flag_wait(&n->changed, &n->lock);
        } else if (send_wait(t, client)) {
            wait = FIRST_WAIT_NS;
        } else if (n->ending) {
            break;
        } else {
            int64_t until = clock_monotonic_ns() + wait;
            while (!n->ending && flag_wait_until(&n->changed, &n->lock, until)) continue;
            wait = MIN(wait * 3 / 2, LAST_WAIT_NS);
        }
    }
    lock_give(&n->lock);
    err_free(e);
    http_client_free(client);
}

err notifier_new(const struct notifier_options *options, struct notifier **out) {
    struct notifier *n = mem_new_of(struct notifier);
    err e = NULL;
    n->options = *options;
    lock_init(&n->lock);
    flag_init(&n->changed);
    for (size_t i = 0; i < options->url_n; i++) {
        struct receiver *t = &n->targets[i];
        struct str url = options->urls[i];
        struct buf whole;
        buf_init(&whole, 4096);
        while (url.n && url.p[url.n - 1] == '/') url.n--;
        buf_add_fmt(&whole, STR_FMT "/api/v2/alerts", STR_ARG(url));
        *t = (struct receiver){
            .n = n, .url = str_dup(buf_str(&whole)), .queue = mem_new_array(char *, NOTIFY_QUEUE_MAX)};
        buf_done(&whole);
        if (!e) e = thread_start(&t->thread, "notify", 0, work, t);
    }
    if (e)
        notifier_free(n);
    else
        *out = n;
    return e;
}

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
        for (size_t k = 0; k < t->count; k++) mem_free(t->queue[(t->first + k) % NOTIFY_QUEUE_MAX]);
        mem_free(t->queue);
        mem_free(t->url);
    }
    flag_done(&n->changed);
    lock_done(&n->lock);
    mem_free(n);
}

void notifier_get_stats(struct notifier *n, size_t target, struct notifier_stats *out) {
    lock_take(&n->lock);
    *out = n->targets[target].stats;
    out->queued = n->targets[target].count;
    lock_give(&n->lock);
}

size_t notifier_count(const struct notifier *n) { return n->options.url_n; }
struct str notifier_url(const struct notifier *n, size_t target) {
    return str_of(n->targets[target].url);
}
