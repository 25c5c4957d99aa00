/* Clock, chance, threads, locks, queues and the figures of this process. Files: file_test.c; loop and sockets: loop_test.c. */
#include "os/os.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void ok(err e) {
    if (e) fail_msg("%s", err_text(e));
}

static struct thread *start(const char *name, int nice, void (*fn)(void *), void *context) {
    struct thread *t = NULL;
    ok(thread_start(&t, name, nice, fn, context));
    return t;
}

/* ---- time and chance -------------------------------------------------------------------------------------------- */

static void clocks_go_forward(void **state) {
    (void)state;
    int64_t (*clocks[])(void) = {clock_monotonic_ns, clock_process_cpu_ns, clock_thread_cpu_ns};
    for (size_t i = 0; i < LENGTH(clocks); i++) {
        int64_t before = clocks[i]();
        while (clocks[i]() == before) {}
        assert_true(clocks[i]() > before);
    }
    assert_true(clock_wall_ns() > INT64_C(1700000000) * 1000000000);
    assert_true(clock_process_cpu_ns() >= clock_thread_cpu_ns() - 1000000000);
}

static void random_numbers_differ_and_fill_all_bits(void **state) {
    (void)state;
    uint64_t any = 0, all = ~UINT64_C(0);
    for (int i = 0; i < 200; i++) {
        uint64_t v = random_u64();
        any |= v;
        all &= v;
    }
    assert_true(any == ~UINT64_C(0) && all == 0);
    char a[300] = {0}, b[300] = {0};
    random_bytes(a, sizeof a);
    random_bytes(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

static void take_number(void *context) { *(uint64_t *)context = random_u64(); }

static void each_thread_has_its_own_random_numbers(void **state) {
    (void)state;
    uint64_t a, b;
    struct thread *first = start("first", 0, take_number, &a), *second = start("second", 0, take_number, &b);
    thread_join(first);
    thread_join(second);
    assert_true(a != b);
}

/* ---- threads, locks, queues ------------------------------------------------------------------------------------- */

struct counter {
    struct lock lock;
    struct signal_flag changed;
    uint64_t n;
    char name[16];
};

static void count_up(void *context) {
    struct counter *c = context;
    for (int i = 0; i < 10000; i++) {
        lock_take(&c->lock);
        c->n++;
        lock_give(&c->lock);
    }
    lock_take(&c->lock);
    pthread_getname_np(pthread_self(), c->name, sizeof c->name);
    flag_wake_all(&c->changed);
    lock_give(&c->lock);
}

static void a_lock_lets_one_in_at_a_time(void **state) {
    (void)state;
    static struct counter c; /* zero-initialised locks are ready */
    struct thread *threads[4];
    for (int i = 0; i < 4; i++) threads[i] = start("fifteen-letters", i, count_up, &c);
    lock_take(&c.lock);
    while (c.n < 40000) flag_wait(&c.changed, &c.lock);
    lock_give(&c.lock);
    for (int i = 0; i < 4; i++) thread_join(threads[i]);
    assert_int_equal(c.n, 40000);
    assert_string_equal(c.name, "fifteen-letters");
    thread_join(NULL);
}

static void waiting_until_a_time_that_passed_returns_false(void **state) {
    (void)state;
    struct counter c = {0};
    lock_init(&c.lock);
    flag_init(&c.changed);
    lock_take(&c.lock);
    assert_false(flag_wait_until(&c.changed, &c.lock, clock_monotonic_ns() - 1));
    assert_false(flag_wait_until(&c.changed, &c.lock, -5));
    int64_t due = clock_monotonic_ns() + 2000000;
    while (flag_wait_until(&c.changed, &c.lock, due)) {}
    assert_true(clock_monotonic_ns() >= due);
    lock_give(&c.lock);
    flag_done(&c.changed);
    lock_done(&c.lock);
}

static void wake_first(void *context) {
    struct counter *c = context;
    lock_take(&c->lock);
    c->n = 1;
    flag_wake_one(&c->changed);
    lock_give(&c->lock);
}

static void a_wake_comes_before_the_time(void **state) {
    (void)state;
    static struct counter c;
    int64_t due = clock_monotonic_ns() + INT64_C(100) * 1000000000;
    struct thread *t = start("waker", 0, wake_first, &c);
    lock_take(&c.lock);
    while (c.n == 0) assert_true(flag_wait_until(&c.changed, &c.lock, due));
    lock_give(&c.lock);
    thread_join(t);
}

static void a_full_queue_refuses_and_keeps_the_order(void **state) {
    (void)state;
    int items[5];
    struct queue *q = queue_new(3);
    assert_null(queue_pop(q));
    for (int round = 0; round < 4; round++) { /* the ring turns */
        for (int i = 0; i < 5; i++) assert_int_equal(queue_push(q, &items[i]), i < 3);
        assert_int_equal(queue_count(q), 3);
        assert_ptr_equal(queue_pop(q), &items[0]);
        assert_true(queue_push(q, &items[3]));
        for (int i = 1; i < 4; i++) assert_ptr_equal(queue_pop_wait(q), &items[i]);
    }
    queue_free(q);
    queue_free(NULL);
}

static void a_closed_queue_gives_what_it_has_and_then_nothing(void **state) {
    (void)state;
    int item;
    struct queue *q = queue_new(3);
    assert_true(queue_push(q, &item));
    queue_close(q);
    assert_false(queue_push(q, &item));
    assert_ptr_equal(queue_pop_wait(q), &item);
    assert_null(queue_pop_wait(q));
    assert_null(queue_pop(q));
    queue_free(q);
}

enum { PUSHERS = 3, POPPERS = 3, ITEMS = 3000 };

struct traffic {
    struct queue *q;
    atomic_uint seen[PUSHERS * ITEMS], pushers;
};

struct pushed {
    struct traffic *traffic;
    unsigned index;
};

static void push_all(void *context) {
    struct traffic *t = context;
    unsigned who = atomic_fetch_add(&t->pushers, 1);
    for (unsigned i = 0; i < ITEMS; i++) {
        struct pushed *p = mem_new_of(struct pushed);
        *p = (struct pushed){t, who * ITEMS + i};
        while (!queue_push(t->q, p)) sched_yield();
    }
}

static void pop_all(void *context) {
    struct traffic *t = context;
    for (struct pushed *p; (p = queue_pop_wait(t->q));) {
        atomic_fetch_add(&t->seen[p->index], 1);
        mem_free(p);
    }
}

static void a_queue_between_threads_loses_and_doubles_nothing(void **state) {
    (void)state;
    struct traffic *t = mem_new_of(struct traffic);
    struct thread *pushers[PUSHERS], *poppers[POPPERS];
    t->q = queue_new(16);
    for (int i = 0; i < POPPERS; i++) poppers[i] = start("popper", 0, pop_all, t);
    for (int i = 0; i < PUSHERS; i++) pushers[i] = start("pusher", 0, push_all, t);
    for (int i = 0; i < PUSHERS; i++) thread_join(pushers[i]);
    queue_close(t->q);
    for (int i = 0; i < POPPERS; i++) thread_join(poppers[i]);
    for (size_t i = 0; i < LENGTH(t->seen); i++) assert_int_equal(t->seen[i], 1);
    queue_free(t->q);
    mem_free(t);
}

/* ---- this process ----------------------------------------------------------------------------------------------- */

static void figures_about_this_process_are_plausible(void **state) {
    (void)state;
    assert_true(process_id() > 0);
    assert_in_range(process_cores(), 1, 4096);
    assert_true(process_memory_limit_bytes() > 16 * MIB);
    assert_true(process_anonymous_bytes() > 100 * KIB);
    assert_true(process_resident_bytes() >= process_anonymous_bytes() / 2);
    process_open_files_raise();
    int64_t user, system, later_user, later_system;
    process_cpu_ns(&user, &system);
    do process_cpu_ns(&later_user, &later_system);
    while (later_user + later_system == user + system);
    assert_true(later_user >= user && later_system >= system && user >= 0 && system >= 0);
    uint64_t files = process_open_files();
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(process_open_files(), files + 2);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(process_open_files(), files);
}

static void a_descriptor_that_is_no_terminal_has_80_columns(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_false(process_is_terminal(ends[0]));
    assert_int_equal(process_terminal_columns(ends[0]), 80);
    close(ends[0]);
    close(ends[1]);
}

static void the_environment_is_read_by_name(void **state) {
    (void)state;
    setenv("CLEW_OS_TEST", "value", 1);
    assert_string_equal(process_env("CLEW_OS_TEST"), "value");
    unsetenv("CLEW_OS_TEST");
    assert_null(process_env("CLEW_OS_TEST"));
}

static void an_ending_signal_is_waited_for(void **state) {
    (void)state;
    process_signals_block();
    const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < LENGTH(numbers); i++) {
        kill(getpid(), numbers[i]);
        assert_int_equal(process_signal_wait(), numbers[i]);
    }
    process_signal_raise();
    assert_int_equal(process_signal_wait(), SIGTERM);
}

/* ---- work in a process of its own ------------------------------------------------------------------------------- */

static err do_work(void *context) {
    const char *what = context;
    char text[3000];
    if (strcmp(what, "fail") == 0) return err_new(ERR_CONFLICT, "it is %s", "taken");
    memset(text, 'x', sizeof text);
    if (strcmp(what, "fail long") == 0) return err_new(ERR_IO, "%.*s", (int)sizeof text, text);
    if (strcmp(what, "die") == 0) kill(getpid(), SIGKILL);
    if (strcmp(what, "call parent") == 0) kill(getppid(), SIGINT);
    while (strcmp(what, "hang") == 0 || strcmp(what, "call parent") == 0) pause();
    return NULL;
}

static void work_in_a_child_gives_its_error(void **state) {
    (void)state;
    static const struct {
        const char *what;
        enum err_kind kind;
        const char *text; /* NULL: none */
    } cases[] = {{"succeed", ERR_INTERNAL, NULL},
                 {"fail", ERR_CONFLICT, "it is taken"},
                 {"fail long", ERR_IO, "xxxxx"},
                 {"die", ERR_INTERNAL, "the process that did the work died"}};
    process_signals_block();
    signal(SIGCHLD, SIG_IGN); /* as a careless parent leaves it */
    for (size_t i = 0; i < LENGTH(cases); i++) {
        int number = -1;
        err e = process_run_wait(do_work, (void *)(uintptr_t)cases[i].what, &number);
        assert_int_equal(number, 0);
        assert_int_equal(e == NULL, cases[i].text == NULL);
        if (e) {
            assert_int_equal(err_kind(e), cases[i].kind);
            assert_true(str_starts_with(str_of(err_text(e)), str_of(cases[i].text)));
        }
        err_free(e);
    }
}

static void a_signal_kills_the_child_and_is_told(void **state) {
    (void)state;
    int number = 0;
    process_signals_block();
    err e = process_run_wait(do_work, (void *)(uintptr_t) "call parent", &number);
    assert_int_equal(number, SIGINT);
    assert_int_equal(err_kind(e), ERR_CANCELLED);
    err_free(e);
    kill(getpid(), SIGTERM); /* one that came before counts, too */
    e = process_run_wait(do_work, (void *)(uintptr_t) "hang", &number);
    assert_int_equal(number, SIGTERM);
    err_free(e);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
}

static void a_process_may_end_as_the_signal_ends_it(void **state) {
    (void)state;
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < LENGTH(numbers); i++) {
        pid_t pid = fork();
        if (pid == 0) {
            process_signals_block();
            process_end_by_signal(numbers[i]);
        }
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), numbers[i]);
    }
    pid_t pid = fork();
    if (pid == 0) process_end_by_signal(SIGCHLD); /* which ends nothing by itself */
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGCHLD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_go_forward),
        cmocka_unit_test(random_numbers_differ_and_fill_all_bits),
        cmocka_unit_test(each_thread_has_its_own_random_numbers),
        cmocka_unit_test(a_lock_lets_one_in_at_a_time),
        cmocka_unit_test(waiting_until_a_time_that_passed_returns_false),
        cmocka_unit_test(a_wake_comes_before_the_time),
        cmocka_unit_test(a_full_queue_refuses_and_keeps_the_order),
        cmocka_unit_test(a_closed_queue_gives_what_it_has_and_then_nothing),
        cmocka_unit_test(a_queue_between_threads_loses_and_doubles_nothing),
        cmocka_unit_test(figures_about_this_process_are_plausible),
        cmocka_unit_test(a_descriptor_that_is_no_terminal_has_80_columns),
        cmocka_unit_test(the_environment_is_read_by_name),
        cmocka_unit_test(an_ending_signal_is_waited_for),
        cmocka_unit_test(work_in_a_child_gives_its_error),
        cmocka_unit_test(a_signal_kills_the_child_and_is_told),
        cmocka_unit_test(a_process_may_end_as_the_signal_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
