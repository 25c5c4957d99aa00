/* clew under a service manager, which is this test with a real NOTIFY_SOCKET: what it hears, and when it hears nothing. A thread that
 * hangs is one that ptrace stopped, in the real program. */
#include "app/program_test_priv.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/clock.h"

enum { HEAR_MS_MAX = 20000, WATCHDOG_MS = 400 };

struct manager {
    int fd;
    char path[108];
};

static void manager_start(struct manager *m, const char *watchdog_usec) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(m->path, sizeof m->path, "%s", in_folder("notify"));
    snprintf(a.sun_path, sizeof a.sun_path, "%s", m->path);
    m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(m->fd, (struct sockaddr *)&a, sizeof a), 0);
    setenv("NOTIFY_SOCKET", m->path, 1);
    if (watchdog_usec) setenv("WATCHDOG_USEC", watchdog_usec, 1);
}

static void manager_stop(struct manager *m) {
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    close(m->fd);
}

/* The next message; false: none within that time. */
static bool hear(struct manager *m, int within_ms, char out[1024]) {
    struct pollfd p = {m->fd, POLLIN, 0};
    if (poll(&p, 1, within_ms) != 1) return false;
    ssize_t n = recv(m->fd, out, 1023, 0);
    assert_true(n > 0);
    out[n] = 0;
    return true;
}

/* Messages until that one; those passed over are in `before` (may be NULL). */
static void hear_until(struct manager *m, const char *want, char *before, size_t size) {
    char text[1024];
    if (before) *before = 0;
    do {
        if (!hear(m, HEAR_MS_MAX, text)) fail_msg("the manager does not hear %s", want);
        if (before) snprintf(before + strlen(before), size - strlen(before), "%s;", text);
    } while (strncmp(text, want, strlen(want)) != 0);
}

static void the_manager_hears_the_whole_life(void **state) {
    (void)state;
    struct manager m;
    struct served s;
    char before[4096];
    manager_start(&m, NULL);
    served_start(&s, "data");
    hear_until(&m, "READY=1", before, sizeof before);
    assert_true(strncmp(before, "STATUS=opening", 14) == 0); /* nothing claims to be ready before that */
    hear_until(&m, "STATUS=taking in telemetry", NULL, 0);
    CHECK(0, "ready", "", "health", "--server", s.api);
    kill(s.program.pid, SIGTERM);
    hear_until(&m, "STOPPING=1", before, sizeof before);
    assert_null(strstr(before, "WATCHDOG")); /* it was not asked for */
    program_wait(&s.program);
    program_check(&s.program, 0, NULL, "");
    program_done(&s.program);
    manager_stop(&m);
}

static void a_start_that_fails_is_never_ready(void **state) {
    (void)state;
    struct manager m;
    struct program p;
    manager_start(&m, "400000");
    START(&p, OUTPUT_PIPES, "serve", "--data", in_folder("data"), "--listen", "192.0.2.1:1");
    program_wait(&p); /* no tokens: refused, and nothing says ready */
    assert_int_equal(p.status, 2);
    char text[1024];
    while (hear(&m, 0, text)) assert_null(strstr(text, "READY"));
    program_done(&p);
    manager_stop(&m);
}

/* ---- the watchdog ------------------------------------------------------------------------------------------------ */

static pid_t thread_of(pid_t pid, const char *name) {
    char path[64], comm[32];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *d = opendir(path);
    pid_t found = 0;
    assert_non_null(d);
    for (struct dirent *e; !found && (e = readdir(d));) {
        char file[400];
        snprintf(file, sizeof file, "%s/%s/comm", path, e->d_name);
        FILE *f = fopen(file, "r");
        if (f && fgets(comm, sizeof comm, f) && strncmp(comm, name, strlen(name)) == 0 && comm[strlen(name)] == '\n')
            found = (pid_t)strtol(e->d_name, NULL, 10);
        if (f) fclose(f);
    }
    closedir(d);
    if (!found) fail_msg("no thread is called %s", name);
    return found;
}

static void stop_thread(pid_t id) {
    int status;
    if (ptrace(PTRACE_SEIZE, id, 0, 0) != 0) {
        print_message("this machine lets nobody stop a thread: %s\n", strerror(errno));
        skip();
    }
    assert_int_equal(ptrace(PTRACE_INTERRUPT, id, 0, 0), 0);
    assert_int_equal(waitpid(id, &status, __WALL), id);
}

/* Told at least every half of the time; nothing while the thread hangs; told again when it goes on. */
static void check_hang(const char *name) {
    struct manager m;
    struct served s;
    char text[1024];
    manager_start(&m, "400000");
    served_start(&s, name);
    hear_until(&m, "READY=1", NULL, 0);
    for (int i = 0; i < 4; i++) hear_until(&m, "WATCHDOG=1", NULL, 0);
    pid_t id = thread_of(s.program.pid, name);
    stop_thread(id);
    while (hear(&m, 0, text)) {}                                  /* what was sent before */
    for (int heard = 0; hear(&m, 2 * WATCHDOG_MS, text); heard++) /* the last sign of life allows one */
        if (heard) fail_msg("%s hangs and the manager hears %s", name, text);
    assert_int_equal(ptrace(PTRACE_DETACH, id, 0, 0), 0);
    hear_until(&m, "WATCHDOG=1", NULL, 0);
    kill(s.program.pid, SIGTERM);
    program_wait(&s.program);
    program_check(&s.program, 0, NULL, strcmp(name, "io") == 0 ? "hangs=\"io loop\"" : "hangs=store");
    program_done(&s.program);
    manager_stop(&m);
}

static void the_watchdog_is_not_told_while_the_io_loop_hangs(void **state) {
    (void)state;
    check_hang("io");
}

static void the_watchdog_is_not_told_while_the_log_thread_hangs(void **state) {
    (void)state;
    check_hang("log");
}

/* Half of the time, as the manual of systemd wants it; the machine may be slow, so the median is what counts. */
static void the_watchdog_is_told_at_half_of_its_time(void **state) {
    (void)state;
    enum { TIMES = 9 };
    struct manager m;
    struct served s;
    int late = 0;
    manager_start(&m, "400000");
    served_start(&s, "data");
    hear_until(&m, "WATCHDOG=1", NULL, 0);
    for (int i = 0; i < TIMES; i++) {
        int64_t before_ns = clock_monotonic_ns();
        hear_until(&m, "WATCHDOG=1", NULL, 0);
        int64_t ms = (clock_monotonic_ns() - before_ns) / 1000000;
        late += ms > WATCHDOG_MS / 2 + 50;
        assert_true(ms < WATCHDOG_MS * 10);
    }
    assert_true(late <= TIMES / 2);
    served_stop(&s);
    manager_stop(&m);
}

/* ---- clew health ------------------------------------------------------------------------------------------------- */

static void health_is_0_or_1(void **state) {
    (void)state;
    struct fake f = {.act = FAKE_STATUS, .text = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}"};
    struct served s;
    struct program p;
    served_start(&s, "data");
    RUN(&p, "health", "--server", s.api, "--json");
    program_check(&p, 0, NULL, "");
    check_json(buf_str(&p.out), "status ready checks.store");
    program_done(&p);
    served_stop(&s);
    CHECK(1, "", "not ready: no answer from", "health", "--server", s.api); /* nobody is there any more */
    fake_start(&f);
    CHECK(1, "", "not ready: the server answered 503", "health", "--server", f.url);
    fake_stop(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_manager_hears_the_whole_life, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_start_that_fails_is_never_ready, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(the_watchdog_is_not_told_while_the_io_loop_hangs, folder_setup,
                                        folder_teardown),
        cmocka_unit_test_setup_teardown(the_watchdog_is_not_told_while_the_log_thread_hangs, folder_setup,
                                        folder_teardown),
        cmocka_unit_test_setup_teardown(the_watchdog_is_told_at_half_of_its_time, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(health_is_0_or_1, folder_setup, folder_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
