/* What is watched, and nginx. */
#include "ingest/host/watch_priv.h"

#include "base/log.h"
#include "ingest/host/wire_priv.h"
#include "net/client.h"
#include "os/clock.h"
#include "os/socket.h"

enum kind { WATCH_NGINX, WATCH_REDIS, WATCH_POSTGRES, WATCH_KINDS };

struct watch {
    enum kind kind;
    char *url; /* of nginx */
    struct watch_target target;
    struct http_client *client;
    char *why; /* it was down a round ago; NULL: it was not */
};

/* ---- nginx ------------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *name, *type, *help, *before; /* before: what stands before it; NULL: the three of the line of numbers */
    int place;
} nginx_rows[] = {
    {"nginx_connections_active", "gauge", "Active client connections", "Active connections:", 0},
    {"nginx_connections_accepted", "counter", "Accepted client connections", NULL, 0},
    {"nginx_connections_handled", "counter", "Handled client connections", NULL, 1},
    {"nginx_http_requests_total", "counter", "Total http requests", NULL, 2},
    {"nginx_connections_reading", "gauge", "Connections where NGINX is reading the request header", "Reading:", 0},
    {"nginx_connections_writing", "gauge", "Connections where NGINX is writing the response back to the client",
     "Writing:", 0},
    {"nginx_connections_waiting", "gauge", "Idle client connections", "Waiting:", 0},
};

static bool nginx_number(struct str text, const char *before, int place, double *out) {
    const char *key = before ? before : "requests\n";
    const char *at = memmem(text.p, text.n, key, strlen(key));
    if (!at) return false;
    struct str rest = str_span(at + strlen(key), (size_t)(text.p + text.n - at) - strlen(key)), line;
    if (!take_line(&rest, &line)) return false;
    for (int i = 0; i <= place; i++)
        if (!take_number(&line, out)) return false;
    return true;
}

/* All of it, or nothing: another page says other things. */
err nginx_put(struct str text, struct expo *out) {
    double values[LENGTH(nginx_rows)];
    for (size_t i = 0; i < LENGTH(nginx_rows); i++)
        if (!nginx_number(text, nginx_rows[i].before, nginx_rows[i].place, &values[i]))
            return err_new(ERR_CORRUPT, "that is no page of stub_status");
    for (size_t i = 0; i < LENGTH(nginx_rows); i++) {
        expo_family(out, nginx_rows[i].type, nginx_rows[i].help, "%s", nginx_rows[i].name);
        expo_value(out, values[i]);
    }
    return NULL;
}

static err nginx_collect_wait(struct watch *w, struct expo *out) {
    struct http_answer answer = {0};
    if (!w->client) TRY(http_client_new(&w->client));
    TRY(http_call_wait(w->client, "GET", w->url, NULL, STR(""), WATCH_NS, WATCH_ANSWER_BYTES_MAX, &answer));
    err e = answer.status == 200 ? nginx_put(buf_str(&answer.body), out)
                                 : err_new(ERR_UNAVAILABLE, "answers with status %d", answer.status);
    buf_done(&answer.body);
    return e;
}

/* ---- all ------------------------------------------------------------------------------------------------------------------ */

static err redis_wait(struct watch *w, struct expo *out) { return redis_collect_wait(&w->target, out); }
static err postgres_wait(struct watch *w, struct expo *out) { return postgres_collect_wait(&w->target, out); }

static const struct {
    const char *name, *scheme, *up, *help;
    err (*collect_wait)(struct watch *w, struct expo *out);
} kinds[WATCH_KINDS] = {
    [WATCH_NGINX] = {"nginx", "http", "nginx_up", "Status of the last metric scrape", nginx_collect_wait},
    [WATCH_REDIS] = {"redis", "redis", "redis_up", "Information about the Redis instance", redis_wait},
    [WATCH_POSTGRES] = {"postgres", "postgres", "pg_up",
                        "Whether the last scrape of metrics from PostgreSQL was able to connect to the server (1 for "
                        "yes, 0 for no).",
                        postgres_wait},
};

/* WHERE of a service of its own protocol: [scheme://][user@]host:port[/database][?options]. */
static err read_target(struct watch *w, struct str where) {
    struct watch_target *t = &w->target;
    struct str scheme, user = STR(""), database = STR(""), options = STR(""), head;
    ptrdiff_t slashes = str_find(where, '/');
    if (slashes > 0 && str_contains(where, STR("://"))) {
        scheme = str_span(where.p, (size_t)slashes - 1);
        if (!str_equal(scheme, str_of(kinds[w->kind].scheme)))
            return err_new(ERR_INVALID, "expected %s://…, not " STR_FMT "://", kinds[w->kind].scheme, STR_ARG(scheme));
        where = str_span(where.p + slashes + 2, where.n - (size_t)slashes - 2);
    }
    if (str_cut(where, '?', &head, &options)) where = head;
    if (str_cut(where, '@', &user, &head))
        where = head;
    else
        user = STR("");
    if (str_cut(where, '/', &head, &database)) where = head;
    if (str_find(user, ':') >= 0)
        return err_new(ERR_INVALID, "a password does not belong here: use ?password_file=FILE or the environment");
    if (options.n && !str_starts_with(options, STR("password_file=")))
        return err_new(ERR_INVALID, "expected ?password_file=FILE, not ?" STR_FMT, STR_ARG(options));
    t->address = str_dup(where);
    t->user = str_dup(user.n ? user : STR("postgres"));
    t->database = str_dup(database.n ? database : STR("postgres"));
    t->options = str_dup(options);
    return socket_address_check(t->address);
}

/* http://127.0.0.1:8088/status is of 127.0.0.1:8088. */
static err read_url(struct watch *w, struct str where) {
    struct str rest, scheme, host;
    bool cut = str_cut(where, ':', &scheme, &rest) && str_starts_with(rest, STR("//"));
    if (!cut || (!str_equal(scheme, STR("http")) && !str_equal(scheme, STR("https"))))
        return err_new(ERR_INVALID, "expected the http(s)://… of its stub_status");
    str_cut(str_span(rest.p + 2, rest.n - 2), '/', &host, &rest);
    if (!host.n || str_find(host, '@') >= 0) return err_new(ERR_INVALID, "expected a host without a user");
    w->url = str_dup(where);
    w->target.address = str_dup(host);
    return NULL;
}

err watch_new(struct str text, struct watch **out) {
    struct str kind, where;
    if (!str_cut(text, '=', &kind, &where)) where = STR("");
    struct watch *w = mem_new_of(struct watch);
    while (w->kind < WATCH_KINDS && !str_equal(kind, str_of(kinds[w->kind].name))) w->kind++;
    err e = w->kind == WATCH_KINDS || !where.n
                ? err_new(ERR_INVALID, "expected nginx=URL, redis=HOST:PORT or postgres=USER@HOST:PORT/DATABASE")
                : (w->kind == WATCH_NGINX ? read_url : read_target)(w, where);
    if (e)
        watch_free(w);
    else
        *out = w;
    return err_wrap(e, "watching " STR_FMT, STR_ARG(kind));
}

void watch_free(struct watch *w) {
    if (!w) return;
    http_client_free(w->client);
    mem_free(w->why);
    mem_free(w->url);
    mem_free(w->target.address);
    mem_free(w->target.user);
    mem_free(w->target.database);
    mem_free(w->target.options);
    mem_free(w);
}

struct str watch_job(const struct watch *w) {
    return str_of(kinds[w->kind].name);
}
struct str watch_instance(const struct watch *w) {
    return str_of(w->target.address);
}

void watch_collect_wait(struct watch *w, struct expo *out) {
    err e = kinds[w->kind].collect_wait(w, out);
    bool down = e != NULL;
    if (down && !(w->why && strcmp(w->why, err_text(e)) == 0))
        log_warn("a watched service is down", F_STR("kind", watch_job(w)), F_STR("instance", watch_instance(w)),
                 F_ERR(e));
    if (!down && w->why)
        log_info("a watched service is up again", F_STR("kind", watch_job(w)), F_STR("instance", watch_instance(w)));
    mem_free(w->why);
    w->why = down ? str_dup(str_of(err_text(e))) : NULL;
    if (down) expo_clear(out); /* half an answer is none */
    err_free(e);
    expo_family(out, "gauge", kinds[w->kind].help, "%s", kinds[w->kind].up);
    expo_value(out, !down);
}
