/* The server over real sockets on loopback, all on one thread: the loop is driven until something happened, no test sleeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/budget.h"
#include "net/connection_priv.h"
#include "os/clock.h"
#include "os/loop.h"
#include "os/process.h"
#include "os/socket.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
static const int64_t ms = 1000000;

static struct {
    struct loop *loop;
    struct http_server *server;
    char address[64];
    int requests;
    bool hold;
    struct http_request *held[64];
    size_t held_count, answer_size;
    bool drained;
} t;

static void answer(struct http_request *r) {
    char *body = mem_new(t.answer_size + 3);
    memcpy(body, "ok", 2);
    http_reply(r, &(struct http_reply){.status = 200, .body = {body, t.answer_size + 2}, .body_owned = body});
}

static void handler(struct http_request *r) {
    t.requests++;
    if (t.hold)
        t.held[t.held_count++] = r;
    else
        answer(r);
}

static void begin(const struct http_server_options *o) {
    memset(&t, 0, sizeof t);
    struct http_server_options options = *o;
    options.handler = handler;
    assert_null(loop_new(&t.loop));
    assert_null(http_server_new(t.loop, &options, &t.server));
    assert_null(http_server_listen(t.server, "127.0.0.1:0", NULL, t.address));
}

static void end(void) {
    http_server_free(t.server);
    loop_free(t.loop);
}

static int dial(void) {
    int fd = -1;
    assert_null(socket_connect_wait(t.address, 5000 * ms, &fd));
    return fd;
}

static void send_text(int fd, const char *text) {
    size_t n = 0;
    assert_null(socket_write(fd, &(struct socket_piece){text, strlen(text)}, 1, &n));
    assert_int_equal(n, strlen(text));
}

/* ---- driving the loop ------------------------------------------------------------------------------------------- */

struct driving {
    bool (*until)(void *context);
    void *context;
    struct loop_timer tick;
    int64_t deadline_ns;
    bool met;
};

static void on_tick(void *context) {
    struct driving *d = context;
    int64_t now = clock_monotonic_ns();
    d->met = d->until(d->context);
    if (d->met || now > d->deadline_ns)
        loop_stop(t.loop);
    else
        loop_timer_set(t.loop, &d->tick, now + ms / 5);
}

static void drive(bool (*until)(void *context), void *context) {
    struct driving d = {.until = until, .context = context, .deadline_ns = clock_monotonic_ns() + 10000 * ms};
    d.tick = (struct loop_timer){.fn = on_tick, .context = &d};
    loop_timer_set(t.loop, &d.tick, 0);
    loop_run(t.loop);
    assert_true(d.met);
}

static bool answers_now(void *request) {
    answer(request);
    return true;
}
/* As another part of the program would, while the loop runs. */
static void answer_from_elsewhere(struct http_request *r) { drive(answers_now, r); }

/* What a client received so far. */
struct inbox {
    int fd;
    struct buf got;
    const char *want;
    bool ended, reset;
};

static void receive(struct inbox *in) {
    char bytes[65536];
    size_t n = 1;
    while (n && !in->ended && !in->reset) {
        err e = socket_read(in->fd, bytes, sizeof bytes, &n, &in->ended);
        in->reset = e != NULL;
        err_free(e);
        if (!e) buf_add(&in->got, bytes, n);
    }
}

static bool has_want(void *context) {
    struct inbox *in = context;
    receive(in);
    return in->got.n && memmem(in->got.p, in->got.n, in->want, strlen(in->want));
}
static bool has_end(void *context) {
    struct inbox *in = context;
    receive(in);
    return in->ended || in->reset;
}

static struct inbox inbox_of(int fd) {
    struct inbox in = {.fd = fd};
    buf_init(&in.got, 64 * MIB);
    return in;
}
static void hang_up(struct inbox *in) {
    socket_close(in->fd);
    buf_done(&in->got);
}

static void expect_text(struct inbox *in, const char *want) {
    in->want = want;
    drive(has_want, in);
    buf_clear(&in->got);
}

static void expect_end(struct inbox *in) {
    drive(has_end, in);
    assert_false(in->reset);
}

static struct http_server_stats stats(void) {
    struct http_server_stats s;
    http_server_get_stats(t.server, &s);
    return s;
}
static bool connections_are(void *context) { return stats().connections == *(size_t *)context; }
static void expect_connections(size_t n) { drive(connections_are, &n); }
static bool held_are(void *context) { return t.held_count == *(size_t *)context; }
static void expect_held(size_t n) { drive(held_are, &n); }
static bool is_drained(void *context) {
    (void)context;
    return t.drained;
}

/* ---- the tests -------------------------------------------------------------------------------------------------- */

static void a_connection_is_used_again(void **state) {
    (void)state;
    begin(&(struct http_server_options){0});
    struct inbox in = inbox_of(dial());
    for (int i = 0; i < 3; i++) {
        send_text(in.fd, GET);
        expect_text(&in, "\r\n\r\nok");
    }
    send_text(in.fd, GET GET "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect_end(&in);
    assert_int_equal(t.requests, 6);
    assert_int_equal(stats().accepted, 1);
    assert_int_equal(stats().requests, 6);
    assert_true(stats().bytes_in > 150 && stats().bytes_out > 400);
    hang_up(&in);
    end();
}

static void replies_carry_the_date(void **state) {
    (void)state;
    begin(&(struct http_server_options){0});
    struct inbox in = inbox_of(dial());
    send_text(in.fd, GET);
    in.want = "ok";
    drive(has_want, &in);
    char day[4], month[4];
    int d, y, h, m, s;
    assert_int_equal(sscanf(strstr(in.got.p, "Date: "), "Date: %3s, %2d %3s %4d %2d:%2d:%2d GMT\r\n", day, &d, month,
                            &y, &h, &m, &s),
                     7);
    assert_true(y > 2000 && d >= 1 && d <= 31 && h < 24);
    hang_up(&in);
    end();
}

static void a_client_that_shut_its_side_gets_its_answer(void **state) {
    (void)state;
    begin(&(struct http_server_options){0});
    t.hold = true;
    struct inbox in = inbox_of(dial());
    send_text(in.fd, GET GET);
    socket_shutdown_write(in.fd);
    expect_held(1);
    answer_from_elsewhere(t.held[0]);
    expect_text(&in, "ok");
    expect_held(2);
    answer_from_elsewhere(t.held[1]);
    expect_end(&in);
    assert_true(strstr(in.got.p, "\r\n\r\nok"));
    expect_connections(0);
    hang_up(&in);
    end();
}

static void a_large_answer_goes_out_as_the_client_reads(void **state) {
    (void)state;
    begin(&(struct http_server_options){0});
    t.answer_size = 20000000;
    struct inbox in = inbox_of(dial());
    send_text(in.fd, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect_end(&in);
    assert_true(in.got.n > 20000002);
    hang_up(&in);
    end();
}

static void a_client_that_goes_away_is_no_trouble(void **state) {
    (void)state;
    begin(&(struct http_server_options){0});
    t.hold = true;
    int fd = dial();
    send_text(fd, GET GET);
    expect_held(1);
    socket_close(fd);
    t.hold = false;
    answer_from_elsewhere(t.held[0]); /* written, or refused by the socket, or of a connection that is gone */
    size_t none = 0;
    drive(connections_are, &none);
    end();
}

static bool is_abandoned(void *request) { return http_is_abandoned(request); }

/* What of a client's going is seen, and when; pipelined input before the end hides nothing. */
static void a_handler_learns_that_its_client_has_gone(void **state) {
    (void)state;
    static const struct {
        const char *sent;
        bool reset; /* else an end of input */
    } cases[] = {{GET, false}, {GET GET, false}, {GET, true}, {GET GET, true}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        begin(&(struct http_server_options){.end_ns = 30 * ms});
        t.hold = true;
        int fd = dial();
        send_text(fd, cases[i].sent);
        expect_held(1);
        assert_false(http_is_abandoned(t.held[0]));
        struct linger hard = {.l_onoff = 1};
        if (cases[i].reset) assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
        int64_t gone = clock_monotonic_ns();
        socket_close(fd);
        drive(is_abandoned, t.held[0]);
        if (!cases[i].reset) assert_true(clock_monotonic_ns() - gone >= 30 * ms);
        size_t rest = cases[i].reset ? 0 : 1; /* a connection that broke is gone; one that ended may want its answer */
        assert_int_equal(stats().connections, rest);
        t.hold = false;
        answer_from_elsewhere(t.held[0]);
        expect_connections(0);
        end();
    }
}

static void a_half_closed_client_gets_what_it_asked_for(void **state) {
    (void)state;
    for (int late = 0; late < 2; late++) { /* the second time the grace is over when the answer comes */
        begin(&(struct http_server_options){.end_ns = late ? 10 * ms : 10000 * ms});
        t.hold = true;
        struct inbox in = inbox_of(dial());
        send_text(in.fd, GET GET);
        socket_shutdown_write(in.fd);
        expect_held(1);
        if (late) drive(is_abandoned, t.held[0]);
        assert_true(http_is_abandoned(t.held[0]) == late);
        answer_from_elsewhere(t.held[0]);
        expect_text(&in, "ok");
        expect_held(2); /* what was sent before the end is read and answered, its grace its own */
        assert_false(http_is_abandoned(t.held[1]));
        if (late) drive(is_abandoned, t.held[1]);
        answer_from_elsewhere(t.held[1]);
        expect_text(&in, "ok");
        expect_end(&in);
        hang_up(&in);
        expect_connections(0);
        end();
    }
}

static void slow_heads_bodies_and_idlers_are_timed_out(void **state) {
    (void)state;
    begin(&(struct http_server_options){
        .head_ns = 20 * ms, .idle_ns = 60 * ms, .body_ns = 20 * ms, .write_ns = 20 * ms, .linger_ns = 20 * ms});
    struct inbox idle = inbox_of(dial()), head = inbox_of(dial()), body = inbox_of(dial());
    send_text(head.fd, "GET / HT");
    send_text(body.fd, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    expect_text(&head, "HTTP/1.1 408 ");
    expect_text(&body, "HTTP/1.1 408 ");
    expect_end(&head); /* though the client still holds its side open */
    expect_end(&body);
    expect_end(&idle);
    assert_int_equal(idle.got.n, 0);
    assert_int_equal(stats().refused[4], 2);
    expect_connections(0);
    hang_up(&head);
    hang_up(&body);
    hang_up(&idle);
    t.answer_size = 50000000; /* more than the sockets hold: a client that reads nothing */
    int fd = dial();
    send_text(fd, GET);
    expect_connections(1);
    expect_connections(0);
    socket_close(fd);
    end();
}

static void a_refused_body_still_in_flight_does_not_hide_the_answer(void **state) {
    (void)state;
    begin(&(struct http_server_options){.body_max = 1000});
    struct inbox in = inbox_of(dial());
    AUTO_BUF struct buf b;
    buf_init(&b, 4 * MIB);
    buf_add_fmt(&b, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n%02000000d", 0);
    for (size_t at = 0, n; at < b.n; at += n) { /* the client sends all of it before it looks */
        assert_null(socket_write(in.fd, &(struct socket_piece){b.p + at, b.n - at}, 1, &n));
        size_t one = 1;
        drive(connections_are, &one);
    }
    expect_text(&in, "HTTP/1.1 413 ");
    expect_end(&in);
    hang_up(&in);
    end();
}

/* ---- many connections ------------------------------------------------------------------------------------------- */

static void the_idlest_makes_room_and_else_503(void **state) {
    (void)state;
    begin(&(struct http_server_options){.connections_max = 3});
    struct inbox a = inbox_of(dial()), b = inbox_of(dial()), c = inbox_of(dial());
    expect_connections(3);
    send_text(a.fd, GET); /* now b is the idlest */
    expect_text(&a, "ok");
    struct inbox d = inbox_of(dial());
    expect_end(&b);
    t.hold = true;
    send_text(a.fd, GET);
    send_text(c.fd, GET);
    send_text(d.fd, GET);
    expect_held(3);
    struct inbox e = inbox_of(dial());
    expect_text(&e, "HTTP/1.1 503 ");
    socket_shutdown_write(e.fd);
    expect_end(&e);
    for (int i = 0; i < 3; i++) answer_from_elsewhere(t.held[i]);
    expect_text(&a, "ok");
    expect_text(&c, "ok");
    expect_text(&d, "ok");
    struct inbox *all[] = {&a, &b, &c, &d, &e};
    for (size_t i = 0; i < LENGTH(all); i++) hang_up(all[i]);
    end();
}

static void idle_connections_of_http_2_hold_a_share_of_the_budget_at_most(void **state) {
    (void)state;
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    static const char settings[9] = {0, 0, 0, 4}, goaway[] = {0, 0, 8, 7, 0};
    struct budget budget;
    struct inbox all[6];
    budget_init(&budget, MIB); /* two of 48 KiB are within an eighth */
    begin(&(struct http_server_options){.budget = &budget});
    for (size_t i = 0; i < LENGTH(all); i++) {
        size_t n;
        all[i] = inbox_of(dial());
        send_text(all[i].fd, preface);
        assert_null(socket_write(all[i].fd, &(struct socket_piece){settings, sizeof settings}, 1, &n));
        if (i >= 2) expect_end(&all[i - 2]); /* the idlest */
        if (i >= 2) assert_non_null(memmem(all[i - 2].got.p, all[i - 2].got.n, goaway, sizeof goaway));
        if (i >= 2) hang_up(&all[i - 2]);
    }
    assert_in_range(budget_used(&budget), 1, 128 * KIB);
    hang_up(&all[4]);
    hang_up(&all[5]);
    end();
    assert_int_equal(budget_used(&budget), 0);
}

static void five_thousand_idle_connections_keep_no_buffers(void **state) {
    (void)state;
    process_open_files_raise();
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    size_t n = limit.rlim_cur > 10100 ? 5000 : limit.rlim_cur / 2 - 50; /* both ends are ours */
    if (n < 5000) print_message("only %zu connections: the limit of open files is %zu\n", n, (size_t)limit.rlim_cur);
    begin(&(struct http_server_options){0});
    int *fds = mem_new_array(int, n);
    uint64_t before = process_anonymous_bytes();
    for (size_t i = 0; i < n; i++) {
        fds[i] = dial();
        send_text(fds[i], GET);
        if (i % 500 == 499) {
            size_t so_far = i + 1;
            drive(connections_are, &so_far);
        }
    }
    expect_connections(n);
    struct http_engine *e = (struct http_engine *)t.server;
    bool all_answered = t.requests == (int)n;
    for (size_t i = 0; i < n; i++) {
        struct inbox in = inbox_of(fds[i]);
        if (!all_answered) expect_text(&in, "ok");
        buf_done(&in.got);
    }
    assert_int_equal(e->live_requests, 0); /* no request block, so no buffer, at any of them */
    assert_true(e->spare_count <= REQUESTS_SPARE_MAX);
    print_message("%zu idle connections: %.0f bytes each (sanitizers included, if any)\n", n,
                  (double)(process_anonymous_bytes() - before) / (double)n);
    struct inbox again = inbox_of(fds[n / 2]);
    send_text(again.fd, GET);
    expect_text(&again, "ok");
    buf_done(&again.got);
    for (size_t i = 0; i < n; i++) socket_close(fds[i]);
    expect_connections(0);
    mem_free(fds);
    end();
}

/* ---- drain ------------------------------------------------------------------------------------------------------ */

static void on_drained(void *context) { *(bool *)context = true; }

static void drain_closes_idlers_and_waits_for_answers(void **state) {
    (void)state;
    begin(&(struct http_server_options){0});
    t.hold = true;
    struct inbox idle = inbox_of(dial()), busy = inbox_of(dial());
    send_text(busy.fd, GET);
    expect_held(1);
    expect_connections(2);
    http_server_drain(t.server, clock_monotonic_ns() + 100000 * ms, on_drained, &t.drained);
    expect_end(&idle);
    err refused = socket_connect_wait(t.address, 1000 * ms, &(int){0});
    assert_non_null(refused);
    err_free(refused);
    assert_false(t.drained);
    answer_from_elsewhere(t.held[0]);
    expect_end(&busy);
    assert_true(strstr(busy.got.p, "Connection: close\r\n") && strstr(busy.got.p, "\r\n\r\nok"));
    drive(is_drained, NULL);
    hang_up(&idle);
    hang_up(&busy);
    end();
}

static void drain_ends_at_its_deadline(void **state) {
    (void)state;
    begin(&(struct http_server_options){0});
    t.hold = true;
    struct inbox busy = inbox_of(dial());
    send_text(busy.fd, GET);
    expect_held(1);
    http_server_drain(t.server, clock_monotonic_ns() + 10 * ms, on_drained, &t.drained);
    drive(is_drained, NULL);
    assert_int_equal(stats().connections, 0);
    http_server_free(t.server);
    answer(t.held[0]); /* after the server: a no-op that frees the request */
    loop_free(t.loop);
    hang_up(&busy);
}

static void drain_of_an_idle_server_is_at_once(void **state) {
    (void)state;
    begin(&(struct http_server_options){0});
    http_server_drain(t.server, clock_monotonic_ns() + 100000 * ms, on_drained, &t.drained);
    assert_false(t.drained); /* but never inside the call */
    drive(is_drained, NULL);
    end();
}

static void a_server_may_be_freed_with_everything_open(void **state) {
    (void)state;
    begin(&(struct http_server_options){0});
    t.hold = true;
    struct inbox idle = inbox_of(dial()), busy = inbox_of(dial()), half = inbox_of(dial());
    send_text(busy.fd, GET);
    send_text(half.fd, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\nabc");
    expect_held(1);
    expect_connections(3);
    answer(t.held[0]); /* handed over, and never run: the loop has stopped */
    end();
    hang_up(&idle);
    hang_up(&busy);
    hang_up(&half);
}

static void listeners_tell_their_context_and_their_address(void **state) {
    (void)state;
    begin(&(struct http_server_options){0});
    char second[64];
    assert_null(http_server_listen(t.server, "127.0.0.1:0", &t, second));
    t.hold = true;
    int fd = -1;
    assert_null(socket_connect_wait(second, 1000 * ms, &fd));
    struct inbox in = inbox_of(fd);
    send_text(in.fd, GET);
    expect_held(1);
    assert_ptr_equal(http_listener_context(t.held[0]), &t);
    assert_true(str_starts_with(http_peer(t.held[0]), STR("127.0.0.1:")));
    assert_true(str_equal(http_target(t.held[0]), STR("/")));
    assert_int_equal(http_method(t.held[0]), HTTP_GET);
    answer_from_elsewhere(t.held[0]);
    expect_text(&in, "ok");
    err e = http_server_listen(t.server, second, NULL, second);
    assert_int_equal(err_kind(e), ERR_CONFLICT);
    err_free(e);
    hang_up(&in);
    end();
}

int main(void) {
    process_signals_block();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            five_thousand_idle_connections_keep_no_buffers), /* first: no freed memory hides what it takes */
        cmocka_unit_test(a_connection_is_used_again),
        cmocka_unit_test(replies_carry_the_date),
        cmocka_unit_test(a_client_that_shut_its_side_gets_its_answer),
        cmocka_unit_test(a_large_answer_goes_out_as_the_client_reads),
        cmocka_unit_test(a_client_that_goes_away_is_no_trouble),
        cmocka_unit_test(a_handler_learns_that_its_client_has_gone),
        cmocka_unit_test(a_half_closed_client_gets_what_it_asked_for),
        cmocka_unit_test(slow_heads_bodies_and_idlers_are_timed_out),
        cmocka_unit_test(a_refused_body_still_in_flight_does_not_hide_the_answer),
        cmocka_unit_test(the_idlest_makes_room_and_else_503),
        cmocka_unit_test(idle_connections_of_http_2_hold_a_share_of_the_budget_at_most),
        cmocka_unit_test(drain_closes_idlers_and_waits_for_answers),
        cmocka_unit_test(drain_ends_at_its_deadline),
        cmocka_unit_test(drain_of_an_idle_server_is_at_once),
        cmocka_unit_test(a_server_may_be_freed_with_everything_open),
        cmocka_unit_test(listeners_tell_their_context_and_their_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
