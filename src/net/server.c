/* Sockets, timers and threads around connection.c.
 *
 * Invariants:
 * 1. Everything but `lock` and what it covers belongs to the loop's thread.
 * 2. `idle` and `idle_h2` list the connections in state IDLE, the idlest first; `handshakes` those that TLS is not done with, the
 *    oldest first. Idle ones of HTTP/2 hold memory from the budget, at most an eighth of it: then the idlest goes.
 * 3. A connection's timer is never later than its due time; when it fires early it is set again. So a request moves no timer.
 * 4. A server lives until it was freed, no reply is posted and no handler holds a request: `holds` counts these.
 * 5. Reading stays armed while a handler works, so that a request in the usual case costs no epoll_ctl. The first event in that
 *    state (a pipelined request, the client's end) disarms it to the end of input, and that to hang-ups alone: nothing is read.
 * 6. TLS stands between socket and machine: bytes it took count as written, and the connection is neither idle nor ended before
 *    the socket has them, within tls_due_ns. What it holds decrypted is read without an event.
 */
#include "base/budget.h"
#include "base/log.h"
#include "net/connection_priv.h"
#include "net/stream_priv.h"
#include "net/tls_priv.h"
#include "os/clock.h"
#include "os/loop.h"
#include "os/thread.h"

enum {
    ACCEPT_AT_ONCE = 64,
    READ_AT_ONCE = 1024 * 1024, /* of one connection, before others get their turn */
    TURNED_AWAY_MAX = 64,       /* connections too many that are being told so */
    IDLE_H2_BYTES = 48 * 1024,  /* what one draws from the budget */
    HANDSHAKES_MAX = 1024,      /* at once, each of up to 48 KiB: then the oldest goes */
};
static const int64_t ACCEPT_PAUSE_NS = 100000000; /* after a failed accept (no descriptors left) */
static const int64_t TLS_REFRESH_NS = 5000000000;
static const int64_t POOL_KEPT_NS = 2000000000; /* spare body buffers go after so much quiet */

struct listener {
    struct http_server *server;
    int fd;
    struct tls *tls; /* NULL: plain text */
    void *context;
    struct loop_watch *watch;
    struct listener *next;
};

struct connection_list {
    struct connection *first, *last;
    size_t count;
};

struct connection {
    struct http_connection wire; /* first: a request knows its http_connection */
    struct http_server *server;
    int fd, watched;
    bool turned_away, heard; /* heard: its first bytes came */
    struct tls_session *tls; /* NULL: plain text */
    int64_t tls_due_ns;      /* of the handshake, or of the last bytes; INT64_MAX: neither waits */
    struct loop_watch *watch;
    struct loop_timer timer;
    struct connection *next, *before; /* all */
    struct connection_list *list;     /* (2); NULL: in none */
    struct connection *list_next, *list_before;
    int64_t idle_since_ns;
};
static_assert(sizeof(struct connection) <= 512, "an idle connection is at most 1 KiB with its watch");

struct http_server {
    struct http_engine engine; /* first: deliver gets it */
    struct loop *loop;
    struct listener *listeners;
    struct connection *connections;
    struct connection_list idle, idle_h2, handshakes;
    size_t connection_count, turned_away_count;
    struct loop_timer accept_timer, drain_timer, pool_timer, tls_timer;
    _Atomic uint64_t tls_handshakes, tls_failures;
    _Atomic int64_t tls_expires_s;
    uint64_t pool_seen; /* requests when pool_timer was set */
    int64_t drain_deadline_ns;
    bool draining;
    void (*drained)(void *context);
    void *drained_context;

    struct lock lock;
    struct http_request *replies, **replies_end; /* made on other threads */
    size_t reply_count;
    bool posted, freed;
    size_t holds;
};

/* ---- connections: lists and ends -------------------------------------------------------------------------------- */

static void list_leave(struct connection *c) {
    struct connection_list *l = c->list;
    if (!l) return;
    *(c->list_before ? &c->list_before->list_next : &l->first) = c->list_next;
    *(c->list_next ? &c->list_next->list_before : &l->last) = c->list_before;
    c->list_next = c->list_before = NULL;
    c->list = NULL;
    l->count--;
}

/* At its end; it must be in none. */
static void list_join(struct connection *c, struct connection_list *l) {
    c->list_before = l->last;
    *(l->last ? &l->last->list_next : &l->first) = c;
    l->last = c;
    c->list = l;
    l->count++;
}

static void idle_join(struct connection *c) {
    struct connection_list *idle = c->wire.h2 ? &c->server->idle_h2 : &c->server->idle;
    if (c->list == idle && c->idle_since_ns == c->wire.mark_ns) return;
    list_leave(c); /* it was used and is idle again */
    c->idle_since_ns = c->wire.mark_ns;
    list_join(c, idle);
}

static struct connection *idlest(const struct http_server *s) {
    struct connection *a = s->idle.first, *b = s->idle_h2.first;
    return a && (!b || a->idle_since_ns <= b->idle_since_ns) ? a : b;
}

static void drain_check(struct http_server *s) {
    if (s->draining && !s->connections && s->engine.live_requests == 0) loop_timer_set(s->loop, &s->drain_timer, 0);
}

static void connection_end(struct connection *c) {
    struct http_server *s = c->server;
    connection_close(&c->wire);
    list_leave(c);
    *(c->before ? &c->before->next : &s->connections) = c->next;
    if (c->next) c->next->before = c->before;
    s->connection_count--;
    s->turned_away_count -= c->turned_away;
    atomic_store_explicit(&s->engine.connections, s->connection_count, memory_order_relaxed);
    loop_timer_clear(s->loop, &c->timer);
    loop_watch_end(c->watch);
    tls_session_free(c->tls);
    socket_close(c->fd);
    mem_free(c);
    drain_check(s);
}

/* ---- one connection's turn -------------------------------------------------------------------------------------- */

static bool has_unsent(const struct connection *c) { return c->tls && tls_has_unsent(c->tls); }

/* Writes what there is. False: the connection broke. *out_blocked: the socket takes no more now. */
static bool write_out(struct connection *c, int64_t now_ns, bool *out_blocked) {
    struct socket_piece pieces[OUT_PIECES];
    size_t n, written, wanted;
    err e = c->tls ? tls_flush(c->tls) : NULL;
    *out_blocked = false;
    while (!e && !*out_blocked && (n = connection_out(&c->wire, pieces)) > 0) {
        wanted = 0;
        for (size_t i = 0; i < n; i++) wanted += pieces[i].n;
        e = c->tls ? tls_write(c->tls, pieces, n, &written) : socket_write(c->fd, pieces, n, &written);
        if (e) break;
        connection_wrote(&c->wire, written, now_ns);
        *out_blocked = written < wanted;
    }
    *out_blocked |= has_unsent(c);
    bool alive = e == NULL;
    err_free(e); /* the client went away: nobody to tell */
    return alive;
}

/* No connection of HTTP begins with the first byte of a TLS handshake. */
static bool is_tls_on_plain_text(struct connection *c, const char *bytes, size_t n) {
    bool first = !c->heard && n > 0;
    c->heard |= first;
    if (c->tls || !first || bytes[0] != 0x16) return false;
    log_warn("a client speaks TLS to a plain-text port: closed", F_TEXT("peer", c->wire.peer));
    return true;
}

/* Reads once. False: the connection broke. *out_more: there may be more to read now. */
static bool read_in(struct connection *c, int64_t now_ns, size_t *out_n, bool *out_more) {
    *out_more = false;
    *out_n = 0;
    struct room room = connection_room(&c->wire, now_ns);
    if (room.n == 0) return true;
    bool end = false;
    err e = c->tls ? tls_read(c->tls, room.p, room.n, out_n, &end) : socket_read(c->fd, room.p, room.n, out_n, &end);
    if (e || is_tls_on_plain_text(c, room.p, *out_n)) {
        err_free(e);
        return false;
    }
    *out_more = c->tls ? *out_n && tls_has_input(c->tls)
                       : *out_n == room.n; /* less: the socket is empty, which the loop would tell for free */
    connection_fed(&c->wire, *out_n, now_ns);
    if (end) connection_ended(&c->wire, now_ns);
    return true;
}

static void watch_for(struct connection *c, int events) {
    if (c->watched == events) return;
    c->watched = events;
    loop_watch_set(c->watch, events);
}

static void timer_settle(struct connection *c) {
    int64_t due = MIN(connection_due_ns(&c->wire), c->tls_due_ns);
    if (due == INT64_MAX || (c->timer.heap_index && c->timer.due_ns <= due)) return; /* (3) */
    loop_timer_set(c->server->loop, &c->timer, due);
}

static void handshake_failed(struct connection *c, struct str why) {
    atomic_fetch_add_explicit(&c->server->tls_failures, 1, memory_order_relaxed);
    log_info("no TLS with a client", F_TEXT("peer", c->wire.peer), F_STR("error", why));
    connection_end(c);
}

/* Goes on with the handshake. False: it waits for the client, or the connection was ended. */
static bool handshake(struct connection *c, int64_t now_ns) {
    enum tls_state state;
    err e = tls_handshake(c->tls, &state);
    if (e) {
        handshake_failed(c, str_of(err_text(e)));
        err_free(e);
        return false;
    }
    if (state == TLS_HANDSHAKE) {
        watch_for(c, LOOP_READ | (has_unsent(c) ? LOOP_WRITE : 0));
        timer_settle(c);
        return false;
    }
    c->tls_due_ns = INT64_MAX;
    list_leave(c);
    if (state == TLS_PLAIN_TEXT) {
        atomic_fetch_add_explicit(&c->server->tls_failures, 1, memory_order_relaxed);
        tls_session_free(take(&c->tls));
        connection_refuse_plain(&c->wire, now_ns);
        return true;
    }
    atomic_fetch_add_explicit(&c->server->tls_handshakes, 1, memory_order_relaxed);
    c->wire.is_tls = true;
    c->wire.identity = tls_session_identity(c->tls);
    if (str_equal(tls_session_protocol(c->tls), STR("h2"))) connection_use_h2(&c->wire, now_ns);
    return true;
}

/* Writes and reads until the socket or the machine has enough. False: the connection broke. */
static bool exchange(struct connection *c, int64_t now_ns, bool may_read, bool *out_blocked) {
    bool alive = true, more = may_read || (c->tls && tls_has_input(c->tls));
    for (size_t n, sum = 0; alive; sum += n) {
        n = 0;
        alive = write_out(c, now_ns, out_blocked);
        bool enough = !c->tls && sum >= READ_AT_ONCE; /* TLS counts for itself */
        if (!alive || !more || enough || !connection_wants_input(&c->wire)) break;
        alive = read_in(c, now_ns, &n, &more);
    }
    if (alive && c->wire.shut && !has_unsent(c)) {
        c->wire.shut = false;
        if (c->tls) tls_finish(c->tls);
        if (!has_unsent(c)) socket_shutdown_write(c->fd);
    }
    return alive;
}

static void settle(struct connection *c, int64_t now_ns, bool may_read);

static void idle_h2_trim(struct http_server *s, int64_t now_ns) {
    const struct budget *budget = s->engine.options.budget;
    struct connection *c = s->idle_h2.first;
    if (!budget || s->draining || s->idle_h2.count * IDLE_H2_BYTES <= budget->limit_bytes / 8) return;
    connection_drain(&c->wire, now_ns);
    settle(c, now_ns, false);
}

/* After anything happened: writes, puts the connection where it belongs, or ends it. May read on when may_read. */
static void settle(struct connection *c, int64_t now_ns, bool may_read) {
    struct http_server *s = c->server;
    bool blocked = false;
    if (c->tls) tls_turn(c->tls, may_read, READ_AT_ONCE);
    if (c->tls && !tls_is_open(c->tls) && !handshake(c, now_ns)) return;
    bool alive = exchange(c, now_ns, may_read, &blocked), unsent = has_unsent(c); /* (6) */
    bool idle = c->wire.state == CONNECTION_IDLE && !unsent, dead = c->wire.state == CONNECTION_DEAD;
    if (!alive || (dead && !unsent) || (idle && s->draining)) {
        connection_end(c);
        return;
    }
    if (dead && c->tls_due_ns == INT64_MAX) c->tls_due_ns = now_ns + s->engine.options.write_ns;
    if (idle)
        idle_join(c);
    else
        list_leave(c);
    int events = blocked ? LOOP_WRITE : 0;
    if (connection_wants_input(&c->wire)) events |= LOOP_READ;
    if (c->wire.state == CONNECTION_WAITING && !events)
        events = c->watched & LOOP_READ ? LOOP_READ : c->wire.end_seen ? LOOP_HANGUP : LOOP_HANGUP | LOOP_END; /* (5) */
    if ((c->wire.state == CONNECTION_STREAMS || c->wire.state == CONNECTION_PUSHING) && !events)
        events = LOOP_HANGUP; /* handlers at work */
    watch_for(c, events);
    timer_settle(c);
    if (s->engine.bodies_count && !s->pool_timer.heap_index)
        loop_timer_set(s->loop, &s->pool_timer, now_ns + POOL_KEPT_NS);
    idle_h2_trim(s, now_ns); /* last: it may be c that goes */
}

static void on_ready(void *context, int events) {
    struct connection *c = context;
    bool wants = connection_wants_input(&c->wire) || (c->tls && !tls_is_open(c->tls));
    if (c->wire.state == CONNECTION_WAITING) { /* (5) */
        if (events & LOOP_HANGUP) {
            connection_end(c);
            return;
        }
        if (events & LOOP_END) {
            connection_end_seen(&c->wire, clock_monotonic_ns());
            timer_settle(c);
            watch_for(c, LOOP_HANGUP);
        } else if (events & LOOP_READ) {
            watch_for(c, LOOP_HANGUP | LOOP_END);
        }
        if (!(events & LOOP_WRITE)) return;
    }
    if ((c->wire.state == CONNECTION_STREAMS || c->wire.state == CONNECTION_PUSHING) && !wants &&
        events & LOOP_HANGUP) {
        connection_end(c);
        return;
    }
    settle(c, clock_monotonic_ns(), wants && events & (LOOP_READ | LOOP_HANGUP));
}

static void on_time(void *context) {
    struct connection *c = context;
    int64_t now = clock_monotonic_ns();
    if (now >= c->tls_due_ns) {
        if (tls_is_open(c->tls))
            connection_end(c);
        else
            handshake_failed(c, STR("the handshake was not done in time"));
        return;
    }
    connection_time_out(&c->wire, now);
    settle(c, now, false);
}

/* ---- accepting -------------------------------------------------------------------------------------------------- */

/* At the maximum: the idlest goes, or the new one is turned away. False: not even that. */
static bool make_room(struct http_server *s, bool *out_turn_away) {
    *out_turn_away = false;
    if (s->connection_count - s->turned_away_count < s->engine.options.connections_max) return true;
    if (idlest(s)) {
        connection_end(idlest(s));
        return true;
    }
    *out_turn_away = true;
    return s->turned_away_count < TURNED_AWAY_MAX;
}

static void connection_add(struct listener *from, int fd, const char *peer) {
    struct http_server *s = from->server;
    bool turn_away;
    struct connection *c = NULL;
    struct tls_session *tls = NULL;
    bool room = make_room(s, &turn_away);
    if (room && from->tls) room = (tls = tls_session_new(from->tls, fd)) != NULL;
    if (room) c = mem_new_of(struct connection);
    err e = c ? loop_watch(s->loop, fd, LOOP_READ, on_ready, c, &c->watch) : NULL;
    if (!c || e) {
        err_free(e);
        mem_free(c);
        tls_session_free(tls);
        socket_close(fd);
        return;
    }
    int64_t now = clock_monotonic_ns();
    connection_open(&c->wire, &s->engine, from->context, now);
    memcpy(c->wire.peer, peer, sizeof c->wire.peer);
    c->server = s;
    c->fd = fd;
    c->tls = tls;
    c->tls_due_ns = tls ? now + s->engine.options.handshake_ns : INT64_MAX;
    c->watched = LOOP_READ;
    c->timer = (struct loop_timer){.fn = on_time, .context = c};
    c->turned_away = turn_away;
    c->next = s->connections;
    if (c->next) c->next->before = c;
    s->connections = c;
    s->connection_count++;
    s->turned_away_count += turn_away;
    atomic_store_explicit(&s->engine.connections, s->connection_count, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->engine.accepted, 1, memory_order_relaxed);
    if (turn_away) connection_refuse_busy(&c->wire, now);
    if (tls) list_join(c, &s->handshakes);
    if (s->handshakes.count > HANDSHAKES_MAX)
        handshake_failed(s->handshakes.first, STR("too many handshakes at once: the oldest goes"));
    settle(c, now, false);
}

static void listeners_watch(struct http_server *s, int events) {
    for (struct listener *l = s->listeners; l; l = l->next) loop_watch_set(l->watch, events);
}

static void on_accept_again(void *context) { listeners_watch(context, LOOP_READ); }

static void on_accept(void *context, int events) {
    struct listener *l = context;
    struct http_server *s = l->server;
    (void)events;
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        int fd = -1;
        char peer[64];
        err e = socket_accept(l->fd, &fd, peer);
        if (e) { /* out of descriptors or memory: the idlest goes, and accepting pauses */
            log_warn("accepting a connection failed", F_ERR(e));
            err_free(e);
            if (idlest(s)) connection_end(idlest(s));
            listeners_watch(s, 0);
            loop_timer_set(s->loop, &s->accept_timer, clock_monotonic_ns() + ACCEPT_PAUSE_NS);
            return;
        }
        if (fd < 0) return;
        connection_add(l, fd, peer);
    }
}

/* ---- listening -------------------------------------------------------------------------------------------------- */

/* The earliest end of what is in use, for the figures. */
static void tls_expiry_note(struct http_server *s) {
    int64_t first = 0;
    for (struct listener *l = s->listeners; l; l = l->next)
        if (l->tls && (first == 0 || tls_expires_s(l->tls) < first)) first = tls_expires_s(l->tls);
    atomic_store_explicit(&s->tls_expires_s, first, memory_order_relaxed);
}

static void on_tls_refresh(void *context) {
    struct http_server *s = context;
    for (struct listener *l = s->listeners; l; l = l->next)
        if (l->tls) tls_refresh(l->tls);
    tls_expiry_note(s);
    loop_timer_set(s->loop, &s->tls_timer, clock_monotonic_ns() + TLS_REFRESH_NS);
}

err http_server_listen(struct http_server *s, const char *address, void *context, char out_bound[64]) {
    return http_server_listen_tls(s, address, NULL, context, out_bound);
}

err http_server_listen_tls(struct http_server *s, const char *address, struct tls *tls, void *context,
                           char out_bound[64]) {
    int fd = -1;
    TRY(socket_listen(address, &fd, out_bound));
    struct listener *l = mem_new_of(struct listener);
    *l = (struct listener){.server = s, .fd = fd, .tls = tls, .context = context, .next = s->listeners};
    err e = loop_watch(s->loop, fd, LOOP_READ, on_accept, l, &l->watch);
    if (e) {
        socket_close(fd);
        mem_free(l);
        return e;
    }
    s->listeners = l;
    if (!tls) return NULL;
    tls_expiry_note(s);
    loop_timer_set(s->loop, &s->tls_timer, clock_monotonic_ns() + TLS_REFRESH_NS);
    return NULL;
}

static void listeners_end(struct http_server *s) {
    for (struct listener *l = s->listeners, *next; l; l = next) {
        next = l->next;
        loop_watch_end(l->watch);
        socket_close(l->fd);
        mem_free(l);
    }
    s->listeners = NULL;
    loop_timer_clear(s->loop, &s->accept_timer);
    loop_timer_clear(s->loop, &s->tls_timer);
}

/* ---- replies from elsewhere ------------------------------------------------------------------------------------- */

static void server_release(struct http_server *s) { /* lock held; gives it */
    bool last = --s->holds == 0;
    lock_give(&s->lock);
    if (!last) return;
    lock_done(&s->lock);
    mem_free(s);
}

/* The next one that was there when the loop's turn began. NULL: none; the lock is kept. */
static struct http_request *reply_next(struct http_server *s, size_t *left) {
    lock_take(&s->lock);
    struct http_request *r = *left ? s->replies : NULL;
    if (!r) return NULL;
    s->replies = r->next;
    if (!s->replies) s->replies_end = &s->replies;
    s->reply_count--;
    (*left)--;
    r->is_listed = false;
    r->is_final = r->is_last;
    lock_give(&s->lock);
    return r;
}

/* Posted to the loop. The post itself is a hold. */
static void replies_take(void *context) {
    struct http_server *s = context;
    int64_t now = clock_monotonic_ns();
    lock_take(&s->lock);
    size_t left = s->reply_count;
    lock_give(&s->lock);
    for (struct http_request *r; (r = reply_next(s, &left));) {
        struct connection *c = (struct connection *)r->connection;
        connection_replied(r, now);
        if (c) settle(c, now, false);
    }
    s->posted =
        s->replies && loop_post(s->loop, replies_take, s); /* others get their turn before what came meanwhile */
    s->holds += s->posted;
    lock_give(&s->lock);
    drain_check(s);
    lock_take(&s->lock);
    server_release(s);
}

static void deliver(struct http_engine *e, struct http_request *r, bool is_last) {
    struct http_server *s = (struct http_server *)e;
    lock_take(&s->lock);
    if (s->freed) {
        if (!is_last) { /* an answer in pieces that begins only now, or goes on */
            stream_gone(r->push);
            lock_give(&s->lock);
            return;
        }
        request_forget(r);
        server_release(s);
        return;
    }
    r->is_last |= is_last;
    if (!r->is_listed) {
        r->next = NULL;
        r->is_listed = true;
        *s->replies_end = r;
        s->replies_end = &r->next;
        s->reply_count++;
    }
    struct loop *loop = s->loop;
    bool needs_wake = false;
    if (!s->posted) { /* under the lock: after http_server_free the loop may be gone */
        s->posted = loop_post_quietly(loop, replies_take, s, &needs_wake);
        s->holds += s->posted;
    }
    lock_give(&s->lock);
    if (needs_wake) loop_wake(loop); /* not under it: its thread wants the lock first of all */
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static void on_drain(void *context) {
    struct http_server *s = context;
    while (s->connections) connection_end(s->connections); /* the deadline */
    loop_timer_clear(s->loop, &s->drain_timer);
    void (*done)(void *context) = take(&s->drained);
    if (done) done(s->drained_context); /* may free the server */
}

void http_server_drain(struct http_server *s, int64_t deadline_monotonic_ns, void (*done)(void *context),
                       void *context) {
    s->draining = true;
    atomic_store(&s->engine.draining, true);
    s->drained = done;
    s->drained_context = context;
    listeners_end(s);
    int64_t now = clock_monotonic_ns();
    for (struct connection *c = s->connections, *next; c; c = next) {
        next = c->next;
        connection_drain(&c->wire, now);
        if (c->wire.h2) settle(c, now, false);
    }
    while (idlest(s)) connection_end(idlest(s));
    while (s->handshakes.first) connection_end(s->handshakes.first); /* nobody there was promised anything yet */
    loop_timer_set(s->loop, &s->drain_timer, deadline_monotonic_ns);
    drain_check(s);
}

static void on_pool_quiet(void *context) {
    struct http_server *s = context;
    uint64_t requests = atomic_load_explicit(&s->engine.requests, memory_order_relaxed);
    bool quiet = requests == s->pool_seen;
    s->pool_seen = requests;
    if (quiet)
        body_pool_clear(&s->engine);
    else
        loop_timer_set(s->loop, &s->pool_timer, clock_monotonic_ns() + POOL_KEPT_NS);
}

err http_server_new(struct loop *l, const struct http_server_options *o, struct http_server **out) {
    if (!o->handler) return err_new(ERR_INTERNAL, "an HTTP server without a handler");
    struct http_server *s = mem_new_of(struct http_server);
    engine_init(&s->engine, o);
    s->engine.deliver = deliver;
    s->loop = l;
    s->accept_timer = (struct loop_timer){.fn = on_accept_again, .context = s};
    s->drain_timer = (struct loop_timer){.fn = on_drain, .context = s};
    s->pool_timer = (struct loop_timer){.fn = on_pool_quiet, .context = s};
    s->tls_timer = (struct loop_timer){.fn = on_tls_refresh, .context = s};
    s->replies_end = &s->replies;
    s->holds = 1;
    lock_init(&s->lock);
    *out = s;
    return NULL;
}

void http_server_free(struct http_server *s) {
    if (!s) return;
    s->draining = false;
    listeners_end(s);
    while (s->connections) connection_end(s->connections);
    loop_timer_clear(s->loop, &s->drain_timer);
    loop_timer_clear(s->loop, &s->pool_timer);
    lock_take(&s->lock);
    for (struct http_request *r = s->replies, *next; r; r = next) {
        next = r->next;
        r->is_final = r->is_last;
        connection_replied(r, 0); /* without a connection by now */
    }
    s->replies = NULL;
    s->replies_end = &s->replies;
    s->reply_count = 0;
    engine_done(&s->engine);
    s->freed = true;
    s->holds += s->engine.live_requests; /* (4): handlers still have these */
    server_release(s);
}

void http_server_get_stats(const struct http_server *s, struct http_server_stats *out) {
    const struct http_engine *e = &s->engine;
    *out = (struct http_server_stats){
        .connections = atomic_load_explicit(&e->connections, memory_order_relaxed),
        .accepted = atomic_load_explicit(&e->accepted, memory_order_relaxed),
        .requests = atomic_load_explicit(&e->requests, memory_order_relaxed),
        .bytes_in = atomic_load_explicit(&e->bytes_in, memory_order_relaxed),
        .bytes_out = atomic_load_explicit(&e->bytes_out, memory_order_relaxed),
        .tls_handshakes = atomic_load_explicit(&s->tls_handshakes, memory_order_relaxed),
        .tls_failures = atomic_load_explicit(&s->tls_failures, memory_order_relaxed),
        .tls_expires_s = atomic_load_explicit(&s->tls_expires_s, memory_order_relaxed),
    };
    for (size_t i = 0; i < LENGTH(out->refused); i++)
        out->refused[i] = atomic_load_explicit(&e->refused[i], memory_order_relaxed);
}
