/* The service manager's socket, as a manager sees it: real datagram sockets by path and by abstract name. */
#include "os/os.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static int setup(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/clew-notify-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    return rmdir(folder);
}

/* A manager's socket at `name`, which is left in NOTIFY_SOCKET. */
static int manager(const char *name) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t n = strlen(name);
    memcpy(a.sun_path, name, n);
    if (*name == '@') a.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (*name != '@'));
    assert_int_equal(bind(fd, (struct sockaddr *)&a, size), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    return fd;
}

static void hears(int fd, const char *want) {
    char text[1024];
    ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    assert_true(n >= 0);
    text[n] = 0;
    assert_string_equal(text, want);
}

static void hears_nothing(int fd) {
    char byte;
    assert_true(recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
}

static void check_messages(const char *name) {
    struct notify n;
    int fd = manager(name);
    assert_null(notify_open(&n));
    assert_null(notify_send(&n, "READY=1"));
    hears(fd, "READY=1");
    assert_null(notify_status(&n, "the disk is full:\nREADY=1\tno"));
    hears(fd, "STATUS=the disk is full: READY=1 no");
    hears_nothing(fd);
    assert_null(process_env("NOTIFY_SOCKET"));
    notify_close(&n);
    assert_null(notify_send(&n, "READY=1"));
    hears_nothing(fd);
    close(fd);
}

static void a_manager_by_path_hears_every_message(void **state) {
    (void)state;
    char path[108];
    snprintf(path, sizeof path, "%s/notify", folder);
    check_messages(path);
    unlink(path);
}

static void a_manager_by_abstract_name_hears_every_message(void **state) {
    (void)state;
    char name[108];
    snprintf(name, sizeof name, "@%s", folder);
    check_messages(name);
    memset(name + strlen(name), 'n', sizeof name - strlen(name)); /* the longest */
    name[sizeof name - 1] = 0;
    check_messages(name);
}

static void without_a_manager_nothing_is_sent(void **state) {
    (void)state;
    struct notify n;
    setenv("WATCHDOG_USEC", "1000000", 1);
    assert_null(notify_open(&n));
    assert_false(n.on);
    assert_int_equal(n.watchdog_ns, 0);
    assert_null(notify_send(&n, "READY=1"));
    assert_null(process_env("WATCHDOG_USEC"));
    notify_close(&n);
}

static void other_addresses_are_refused(void **state) {
    (void)state;
    char longer[200];
    const char *const bad[] = {"", "/", "@", "run/notify", "vsock:2:1", longer};
    memset(longer, '/', sizeof longer);
    longer[sizeof(((struct sockaddr_un *)NULL)->sun_path)] = 0;
    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct notify n;
        setenv("NOTIFY_SOCKET", bad[i], 1);
        err e = notify_open(&n);
        assert_true(e && err_kind(e) == ERR_INVALID);
        err_free(e);
        assert_false(n.on);
        assert_null(process_env("NOTIFY_SOCKET"));
    }
}

static void a_manager_that_has_gone_is_an_error(void **state) {
    (void)state;
    struct notify n;
    char name[108];
    snprintf(name, sizeof name, "@%s", folder);
    int fd = manager(name);
    assert_null(notify_open(&n));
    close(fd);
    err e = notify_send(&n, "WATCHDOG=1");
    assert_true(e && err_kind(e) == ERR_IO);
    err_free(e);
    fd = manager(name); /* one that came anew is heard again */
    assert_null(notify_send(&n, "WATCHDOG=1"));
    hears(fd, "WATCHDOG=1");
    unsetenv("NOTIFY_SOCKET");
    notify_close(&n);
    close(fd);
}

static int64_t watchdog_ns(const char *usec, const char *pid) {
    struct notify n;
    setenv("NOTIFY_SOCKET", "@clew", 1);
    setenv("WATCHDOG_USEC", usec, 1);
    if (pid) setenv("WATCHDOG_PID", pid, 1);
    assert_null(notify_open(&n));
    assert_null(process_env("WATCHDOG_PID"));
    int64_t ns = n.watchdog_ns;
    notify_close(&n);
    return ns;
}

static void the_watchdog_is_this_process_s_own(void **state) {
    (void)state;
    char pid[32];
    snprintf(pid, sizeof pid, "%d", process_id());
    assert_int_equal(watchdog_ns("30000000", NULL), INT64_C(30000000000));
    assert_int_equal(watchdog_ns("30000000", pid), INT64_C(30000000000));
    assert_int_equal(watchdog_ns("30000000", "1"), 0);
    assert_int_equal(watchdog_ns("30000000", "x"), 0);
    assert_int_equal(watchdog_ns("0", NULL), 0);
    assert_int_equal(watchdog_ns("-1", NULL), 0);
    assert_int_equal(watchdog_ns("18446744073709551615", NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manager_by_path_hears_every_message),
        cmocka_unit_test(a_manager_by_abstract_name_hears_every_message),
        cmocka_unit_test(without_a_manager_nothing_is_sent),
        cmocka_unit_test(other_addresses_are_refused),
        cmocka_unit_test(a_manager_that_has_gone_is_an_error),
        cmocka_unit_test(the_watchdog_is_this_process_s_own),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
