#include "os/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/clock.h"
#include "os/socket.h"
#include "os/thread.h"

static void ok(err e) {
    if (e) fail_msg("%s", err_text(e));
}

static void fails(err e, enum err_kind kind) {
    assert_non_null(e);
    if (err_kind(e) != kind) fail_msg("kind %s: %s", err_row(e)->name, err_text(e));
    err_free(e);
}

static struct loop *new_loop(void) {
    struct loop *l = NULL;
    ok(loop_new(&l));
    return l;
}

static void stop(void *context) { loop_stop(context); }

/* ---- timers ----------------------------------------------------------------------------------------------------- */

enum { TIMERS = 500 };

struct clockwork {
    struct loop *loop;
    struct loop_timer timers[TIMERS];
    int64_t last_due;
    unsigned fired;
};

static struct clockwork *current; /* a timer's context is itself, so that its callback sees its due time */

static void fire(void *context) {
    struct loop_timer *t = context;
    assert_true(t->heap_index == 0);
    assert_true(t->due_ns >= current->last_due);
    assert_true(clock_monotonic_ns() >= t->due_ns);
    current->last_due = t->due_ns;
    current->fired++;
}

/* Sets, moves and clears timers at random: those left fire once each, in the order of their times. */
static void shuffle_timers(uint64_t seed) {
    struct clockwork c = {.loop = new_loop()};
    current = &c;
    int64_t now = clock_monotonic_ns();
    unsigned set = 0;
    for (int i = 0; i < TIMERS; i++) c.timers[i].fn = fire, c.timers[i].context = &c.timers[i];
    for (int step = 0; step < 3 * TIMERS; step++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        struct loop_timer *t = &c.timers[(seed >> 33) % TIMERS];
        set -= t->heap_index != 0;
        if (seed >> 62 == 0)
            loop_timer_clear(c.loop, t);
        else
            loop_timer_set(c.loop, t, now + (int64_t)((seed >> 40) % 3000000));
        set += t->heap_index != 0;
    }
    struct loop_timer end = {.fn = stop, .context = c.loop};
    loop_timer_set(c.loop, &end, now + 4000000);
    loop_run(c.loop);
    assert_int_equal(c.fired, set);
    loop_free(c.loop);
}

static void timers_fire_in_order(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) shuffle_timers(seed);
}

struct again {
    struct loop *loop;
    struct loop_timer timer;
    int left;
};

static void fire_again(void *context) {
    struct again *a = context;
    if (--a->left == 0)
        loop_stop(a->loop);
    else
        loop_timer_set(a->loop, &a->timer, 0);
}

static void a_timer_may_set_itself_again(void **state) {
    (void)state;
    struct again a = {.loop = new_loop(), .left = 10};
    a.timer = (struct loop_timer){.fn = fire_again, .context = &a};
    loop_timer_set(a.loop, &a.timer, clock_monotonic_ns());
    loop_run(a.loop);
    assert_int_equal(a.left, 0);
    loop_free(a.loop);
}

static void freeing_a_loop_unsets_its_timers(void **state) {
    (void)state;
    struct loop *l = new_loop();
    struct loop_timer t = {.fn = stop, .context = l};
    loop_timer_set(l, &t, 0);
    loop_free(l);
    assert_int_equal(t.heap_index, 0);
    loop_free(NULL);
}

/* ---- posted calls ----------------------------------------------------------------------------------------------- */

enum { POSTERS = 3, POSTS = 5000 };

struct posting {
    struct loop *loop;
    unsigned ran; /* the loop thread's alone: TSan would tell */
    struct loop_timer deadline;
};

static void posted(void *context) {
    struct posting *p = context;
    if (++p->ran == POSTERS * POSTS) loop_stop(p->loop);
}

static void post_all(void *context) {
    struct posting *p = context;
    for (int i = 0; i < POSTS; i++)
        if (!loop_post(p->loop, posted, p)) abort();
}

static void posts_from_other_threads_all_run(void **state) {
    (void)state;
    struct posting p = {.loop = new_loop()};
    struct thread *threads[POSTERS];
    for (int i = 0; i < POSTERS; i++) ok(thread_start(&threads[i], "poster", 0, post_all, &p));
    loop_run(p.loop);
    for (int i = 0; i < POSTERS; i++) thread_join(threads[i]);
    assert_int_equal(p.ran, POSTERS * POSTS);
    assert_false(loop_post(p.loop, posted, &p));
    loop_free(p.loop);
}

static void count_one(void *context) { ++*(int *)context; }

static void what_was_posted_before_the_end_runs(void **state) {
    (void)state;
    struct loop *l = new_loop();
    int ran = 0;
    assert_true(loop_post(l, count_one, &ran));
    assert_true(loop_post(l, stop, l));
    assert_true(loop_post(l, count_one, &ran));
    loop_run(l);
    assert_int_equal(ran, 2);
    loop_free(l);
}

/* ---- watches ---------------------------------------------------------------------------------------------------- */

struct ends {
    struct loop *loop;
    int fd[2];
    struct loop_watch *watch;
    int seen, calls;
    struct ends *kills; /* whose watch this callback ends */
    struct loop_timer deadline;
};

static void on_ready(void *context, int events) {
    struct ends *e = context;
    e->calls++;
    e->seen |= events;
    if (e->kills) {
        loop_watch_end(e->kills->watch);
        e->kills->watch = NULL;
    }
    loop_stop(e->loop);
}

static void open_ends(struct ends *e, struct loop *l, int events) {
    *e = (struct ends){.loop = l};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, e->fd), 0);
    ok(loop_watch(l, e->fd[0], events, on_ready, e, &e->watch));
}

static void close_ends(struct ends *e) {
    loop_watch_end(e->watch);
    socket_close(e->fd[0]);
    socket_close(e->fd[1]);
}

/* One round of the loop with what is ready now, at most. */
static void run_briefly(struct loop *l) {
    struct loop_timer end = {.fn = stop, .context = l};
    loop_timer_set(l, &end, clock_monotonic_ns());
    loop_run(l);
    loop_timer_clear(l, &end);
}

static void readiness_is_reported_as_asked(void **state) {
    (void)state;
    struct loop *l = new_loop();
    struct ends e;
    open_ends(&e, l, LOOP_READ);
    run_briefly(l);
    assert_int_equal(e.calls, 0);
    assert_int_equal(send(e.fd[1], "x", 1, 0), 1);
    run_briefly(l);
    assert_int_equal(e.seen, LOOP_READ);
    loop_watch_set(e.watch, LOOP_READ | LOOP_WRITE);
    run_briefly(l);
    assert_int_equal(e.seen, LOOP_READ | LOOP_WRITE);
    loop_watch_set(e.watch, 0);
    e.calls = 0;
    run_briefly(l);
    assert_int_equal(e.calls, 0);
    close_ends(&e);
    loop_free(l);
}

static void a_hang_up_is_reported_unasked_but_not_to_a_paused_watch(void **state) {
    (void)state;
    struct loop *l = new_loop();
    struct ends e;
    open_ends(&e, l, 0);
    socket_close(e.fd[1]);
    e.fd[1] = -1;
    run_briefly(l);
    assert_int_equal(e.calls, 0);
    loop_watch_set(e.watch, LOOP_HANGUP);
    run_briefly(l);
    assert_int_equal(e.seen, LOOP_HANGUP);
    close_ends(&e);
    loop_free(l);
}

static void a_callback_may_end_its_own_watch(void **state) {
    (void)state;
    struct loop *l = new_loop();
    struct ends e;
    open_ends(&e, l, LOOP_WRITE);
    e.kills = &e;
    run_briefly(l);
    run_briefly(l);
    assert_int_equal(e.calls, 1);
    close_ends(&e);
    loop_free(l);
}

/* Both are ready in one round: whichever is called first ends the other, which must not be called. */
static void a_callback_may_end_another_watch_of_the_same_round(void **state) {
    (void)state;
    struct loop *l = new_loop();
    struct ends a, b;
    open_ends(&a, l, LOOP_WRITE);
    open_ends(&b, l, LOOP_WRITE);
    a.kills = &b;
    b.kills = &a;
    run_briefly(l);
    assert_int_equal(a.calls + b.calls, 1);
    close_ends(&a);
    close_ends(&b);
    loop_free(l);
}

enum { CROWD = 40, CROWD_CALLS = 2000 };

struct crowd {
    struct loop *loop;
    struct ends *members[CROWD];
    uint64_t dice;
    int calls;
};

static struct crowd
    *crowd; /* a member's context is itself: calling one that ended is a use after free, which ASan sees */

static void crowd_replace(size_t i);

static void crowd_ready(void *context, int events) {
    struct ends *e = context;
    assert_int_equal(events, LOOP_WRITE);
    e->calls++;
    for (int i = 0; i < 3; i++) {
        crowd->dice = crowd->dice * 6364136223846793005u + 1442695040888963407u;
        crowd_replace((crowd->dice >> 33) % CROWD); /* perhaps this one */
    }
    if (++crowd->calls == CROWD_CALLS) loop_stop(crowd->loop);
}

static void crowd_replace(size_t i) {
    if (crowd->members[i]) close_ends(crowd->members[i]);
    mem_free(crowd->members[i]);
    struct ends *e = crowd->members[i] = mem_new_of(struct ends);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, e->fd), 0);
    ok(loop_watch(crowd->loop, e->fd[0], LOOP_WRITE, crowd_ready, e, &e->watch));
}

static void callbacks_may_end_and_begin_any_watches(void **state) {
    (void)state;
    struct crowd c = {.loop = new_loop(), .dice = 1};
    crowd = &c;
    for (size_t i = 0; i < CROWD; i++) crowd_replace(i);
    loop_run(c.loop);
    for (size_t i = 0; i < CROWD; i++) {
        close_ends(c.members[i]);
        mem_free(c.members[i]);
    }
    loop_free(c.loop);
}

static void a_loop_frees_watches_left_open(void **state) {
    (void)state;
    struct loop *l = new_loop();
    struct ends a, b;
    open_ends(&a, l, LOOP_READ);
    open_ends(&b, l, LOOP_READ);
    loop_watch_end(a.watch);
    a.watch = NULL;
    loop_free(l);
    for (int i = 0; i < 2; i++) {
        socket_close(a.fd[i]);
        socket_close(b.fd[i]);
    }
}

static void watching_a_bad_descriptor_fails(void **state) {
    (void)state;
    struct loop *l = new_loop();
    struct loop_watch *w = NULL;
    fails(loop_watch(l, -1, LOOP_READ, on_ready, NULL, &w), ERR_IO);
    assert_null(w);
    loop_free(l);
}

/* ---- sockets ---------------------------------------------------------------------------------------------------- */

static void refuses_address(const char *address) {
    int fd = -1;
    char bound[64];
    fails(socket_listen(address, &fd, bound), ERR_INVALID);
    assert_int_equal(fd, -1);
}

static void bad_addresses_are_refused(void **state) {
    (void)state;
    refuses_address("");
    refuses_address("8080");
    refuses_address("127.0.0.1");
    refuses_address("127.0.0.1:");
    refuses_address("127.0.0.1:65536");
    refuses_address("127.0.0.1:-1");
    refuses_address("127.0.0.1:80x");
    refuses_address("127.0.0.1:000080");
    refuses_address("example.org:80");
    refuses_address("::1:80");
    refuses_address("[::1:80");
    refuses_address("[127.0.0.1]:80");
    refuses_address("[]:80");
    refuses_address("256.0.0.1:80");
    refuses_address("1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:80");
}

static void loopback(const char *address, bool want) { assert_int_equal(socket_address_is_loopback(address), want); }

static void loopback_addresses_are_known(void **state) {
    (void)state;
    loopback("127.0.0.1:80", true);
    loopback("127.200.3.4:80", true);
    loopback("localhost:80", true);
    loopback("[::1]:80", true);
    loopback("[::ffff:127.0.0.1]:80", true);
    loopback("[::ffff:10.0.0.1]:80", false);
    loopback("0.0.0.0:80", false);
    loopback("[::]:80", false);
    loopback(":80", false);
    loopback("128.0.0.1:80", false);
    loopback("nonsense", false);
}

struct pair {
    int listener, client, server;
};

static int accept_one(int listener, char peer[64]) {
    int fd = -1;
    for (int tries = 0; fd < 0 && tries < 100000; tries++) ok(socket_accept(listener, &fd, peer));
    assert_true(fd >= 0);
    return fd;
}

static void open_pair(struct pair *p, const char *address) {
    char bound[64], peer[64];
    ok(socket_listen(address, &p->listener, bound));
    assert_null(strstr(bound, ":0\0"));
    assert_true(socket_address_is_loopback(bound));
    int none = 5;
    ok(socket_accept(p->listener, &none, peer));
    assert_int_equal(none, -1);
    ok(socket_connect_wait(bound, INT64_C(5000000000), &p->client));
    p->server = accept_one(p->listener, peer);
    assert_true(socket_address_is_loopback(peer));
}

static void close_pair(struct pair *p) {
    socket_close(p->client);
    socket_close(p->server);
    socket_close(p->listener);
}

static size_t read_some(int fd, char *out, size_t size, bool *end) {
    size_t n = 0;
    *end = false;
    for (int tries = 0; n == 0 && !*end && tries < 1000000; tries++) ok(socket_read(fd, out, size, &n, end));
    return n;
}

static void bytes_go_both_ways_and_end(void **state) {
    (void)state;
    struct pair p;
    open_pair(&p, "127.0.0.1:0");
    const struct socket_piece pieces[] = {{"one ", 4}, {NULL, 0}, {"two", 3}};
    char got[32] = "";
    size_t n = 0;
    bool end = true;
    ok(socket_read(p.server, got, sizeof got, &n, &end));
    assert_true(n == 0 && !end); /* nothing yet, and not the end */
    ok(socket_write(p.client, pieces, LENGTH(pieces), &n));
    assert_int_equal(n, 7);
    assert_int_equal(read_some(p.server, got, sizeof got, &end), 7);
    assert_string_equal(got, "one two");
    socket_shutdown_write(p.client);
    assert_int_equal(read_some(p.server, got, sizeof got, &end), 0);
    assert_true(end);
    ok(socket_write(p.server, pieces, 1, &n)); /* half closed: the answer still goes */
    assert_int_equal(read_some(p.client, got, sizeof got, &end), 4);
    close_pair(&p);
}

static void a_full_socket_takes_less(void **state) {
    (void)state;
    struct pair p;
    static char bytes[1 << 20];
    struct socket_piece many[100];
    size_t n = 0, total = 0;
    int rounds = 0;
    open_pair(&p, "localhost:0");
    for (size_t i = 0; i < LENGTH(many); i++) many[i] = (struct socket_piece){bytes, sizeof bytes};
    do {
        ok(socket_write(p.client, many, LENGTH(many), &n));
        total += n;
    } while (n > 0 && ++rounds < 1000);
    assert_int_equal(n, 0);
    assert_true(total > 0);
    close_pair(&p);
}

static void writing_to_a_closed_connection_fails_without_a_signal(void **state) {
    (void)state;
    struct pair p;
    err e = NULL;
    size_t n = 0;
    open_pair(&p, "127.0.0.1:0");
    socket_close(p.server);
    p.server = -1;
    for (int tries = 0; !e && tries < 1000000; tries++)
        e = socket_write(p.client, &(struct socket_piece){"x", 1}, 1, &n);
    fails(e, ERR_IO);
    close_pair(&p);
}

static void a_taken_address_is_a_conflict(void **state) {
    (void)state;
    int first = -1, second = -1;
    char bound[64], other[64];
    ok(socket_listen("127.0.0.1:0", &first, bound));
    fails(socket_listen(bound, &second, other), ERR_CONFLICT);
    assert_int_equal(second, -1);
    socket_close(first);
    fails(socket_connect_wait(bound, INT64_C(1000000000), &second), ERR_UNAVAILABLE);
}

static void no_host_listens_on_every_address(void **state) {
    (void)state;
    int listener = -1, client = -1;
    char bound[64], address[64], peer[64];
    ok(socket_listen(":0", &listener, bound));
    assert_false(socket_address_is_loopback(bound));
    snprintf(address, sizeof address, "127.0.0.1%s", strrchr(bound, ':'));
    ok(socket_connect_wait(address, INT64_C(5000000000), &client));
    int server = accept_one(listener, peer);
    assert_memory_equal(peer, "127.0.0.1:", 10); /* not written as a mapped IPv6 address */
    socket_close(server);
    socket_close(client);
    socket_close(listener);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_order),
        cmocka_unit_test(a_timer_may_set_itself_again),
        cmocka_unit_test(freeing_a_loop_unsets_its_timers),
        cmocka_unit_test(posts_from_other_threads_all_run),
        cmocka_unit_test(what_was_posted_before_the_end_runs),
        cmocka_unit_test(readiness_is_reported_as_asked),
        cmocka_unit_test(a_hang_up_is_reported_unasked_but_not_to_a_paused_watch),
        cmocka_unit_test(a_callback_may_end_its_own_watch),
        cmocka_unit_test(a_callback_may_end_another_watch_of_the_same_round),
        cmocka_unit_test(callbacks_may_end_and_begin_any_watches),
        cmocka_unit_test(a_loop_frees_watches_left_open),
        cmocka_unit_test(watching_a_bad_descriptor_fails),
        cmocka_unit_test(bad_addresses_are_refused),
        cmocka_unit_test(loopback_addresses_are_known),
        cmocka_unit_test(bytes_go_both_ways_and_end),
        cmocka_unit_test(a_full_socket_takes_less),
        cmocka_unit_test(writing_to_a_closed_connection_fails_without_a_signal),
        cmocka_unit_test(a_taken_address_is_a_conflict),
        cmocka_unit_test(no_host_listens_on_every_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
