/* SIGINT and SIGTERM at work: how each command ends, and what it leaves behind. */
#include "app/program_test_priv.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/text.h"
#include "os/clock.h"
#include "os/file.h"

static const int ending[] = {SIGINT, SIGTERM};

/* Until the server has been asked. */
static void wait_for_request(struct fake *f) {
    int64_t deadline_ns = clock_monotonic_ns() + 20 * INT64_C(1000000000);
    while (!atomic_load(&f->requests))
        if (clock_monotonic_ns() > deadline_ns) fail_msg("nobody asked");
}

/* Asked and not answered, they end at once, by the signal, without a result. */
static void asking_commands_end_by_the_signal(void **state) {
    (void)state;
    static const char *const asking[][5] = {
        {"query", "traces"},           {"query", "logs", "--json"},
        {"query", "logs", "--follow"}, {"trace", "0af7651916cd43dd8448eb211c80319c"},
        {"backup", "/tmp/never-made"}, {"delete", "--trace", "0af7651916cd43dd8448eb211c80319c", "--yes", "--verify"},
    };
    for (size_t i = 0; i < LENGTH(asking) * LENGTH(ending); i++) {
        struct fake f = {.act = FAKE_SILENT};
        struct program p;
        const char *words[8] = {NULL};
        int n = 0, number = ending[i % LENGTH(ending)];
        fake_start(&f);
        for (; n < 5 && asking[i / LENGTH(ending)][n]; n++) words[n] = asking[i / LENGTH(ending)][n];
        words[n++] = "--server";
        words[n] = f.url;
        program_start(&p, OUTPUT_PIPES, words);
        wait_for_request(&f);
        kill(p.pid, number);
        program_wait(&p);
        program_check(&p, 128 + number, "", "");
        program_done(&p);
        fake_stop(&f);
    }
}

/* The first signal ends the sending and gives the summary with status 0; rows sent before are there. */
static void load_ends_with_its_summary(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(ending); i++) {
        struct served s;
        struct program p;
        served_start(&s, i ? "data1" : "data0");
        START(&p, OUTPUT_PIPES, "load", "--otlp", s.otlp, "--server", s.api, "--items", "10", "--rate", "200",
              "--verify", "--json");
        for (bool there = false; !there;) { /* until something was taken */
            struct program asked;
            RUN(&asked, "query", "traces", "--limit", "1", "--server", s.api);
            there = asked.out.n > 0;
            program_done(&asked);
        }
        kill(p.pid, ending[i]);
        program_wait(&p);
        program_check(&p, 0, "\"missing\":0,\"different\":0,\"invented\":0", "");
        check_json(buf_str(&p.out), "items latency_ms.p99 verified.rows");
        program_done(&p);
        served_stop(&s);
    }
}

/* A second one before the first could be heeded ends it: a server that never answers holds nobody for a minute. */
static void a_stuck_load_ends_by_the_second_signal(void **state) {
    (void)state;
    struct fake f = {.act = FAKE_SILENT};
    struct program p;
    fake_start(&f);
    START(&p, OUTPUT_PIPES, "load", "--otlp", f.url, "--count", "10", "--connections", "1");
    wait_for_request(&f);
    int64_t begun_ns = clock_monotonic_ns();
    kill(p.pid, SIGINT);
    kill(p.pid, SIGTERM); /* two of one kind may come as one */
    program_wait(&p);
    program_check(&p, 128 + SIGTERM, "", NULL);
    assert_true(clock_monotonic_ns() - begun_ns < 20 * INT64_C(1000000000));
    program_done(&p);
    fake_stop(&f);
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

/* All of it or nothing, whenever the signal comes: here right after the folder was made. */
static void a_restore_is_whole_or_leaves_nothing(void **state) {
    (void)state;
    make_data("data", "backup");
    int whole = 0, interrupted = 0;
    for (int i = 0; i < 16; i++) {
        struct program p;
        char name[16];
        snprintf(name, sizeof name, "to%d", i);
        const char *to = in_folder(name);
        bool existed = i % 4 >= 2;
        if (existed) assert_null(path_make_dir(to));
        START(&p, OUTPUT_PIPES, "restore", in_folder("backup"), "--data", to);
        int64_t begun_ns = clock_monotonic_ns(), wait_ns = i < 8 ? INT64_C(20000000000) : i * INT64_C(1000000);
        while (clock_monotonic_ns() - begun_ns < wait_ns && entries_of(to) == 0) {}
        kill(p.pid, ending[i % 2]);
        program_wait(&p);
        if (p.status == 0) {
            whole++;
            CHECK(0, "everything reads as it was written", "", "check", "--data", to);
        } else {
            interrupted++;
            program_check(&p, 128 + ending[i % 2], "", NULL);
            assert_int_equal(entries_of(to), 0);
            assert_int_equal(path_exists(to), existed);
        }
        program_done(&p);
    }
    print_message("%d whole, %d interrupted\n", whole, interrupted);
    CHECK(0, "is now a data directory", "", "restore", in_folder("backup"), "--data", in_folder("last"));
    CHECK(0, "everything reads as it was written", "", "check", "--data", in_folder("backup"));
}

/* A file that may not grow (as on a full disk) fails it in the middle. */
static void a_restore_that_fails_leaves_nothing(void **state) {
    (void)state;
    make_data("data", "backup");
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    for (int i = 0; i < 2; i++) {
        struct program p;
        const char *to = in_folder(i ? "there" : "absent");
        if (i) assert_null(path_make_dir(to));
        small = (struct rlimit){4096, before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        START(&p, OUTPUT_PIPES, "restore", in_folder("backup"), "--data", to);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        program_wait(&p);
        assert_int_not_equal(p.status, 0);
        program_check(&p, p.status, "", "clew: restoring ");
        assert_int_equal(entries_of(to), 0);
        assert_int_equal(path_exists(to), i);
        program_done(&p);
    }
}

/* They only read: however they end, the data is as it was. */
static void reading_commands_leave_data_alone(void **state) {
    (void)state;
    make_data("data", "backup");
    AUTO_BUF struct buf before, after;
    buf_init(&before, MIB);
    buf_init(&after, MIB);
    read_bytes(in_folder("data/manifest"), &before);
    for (int i = 0; i < 8; i++) {
        struct program p;
        const char *what = i < 4 ? "check" : "dump", *option = i < 4 ? "--data" : "--json",
                   *path = in_folder(i < 4 ? "data" : "data/manifest");
        START(&p, OUTPUT_PIPES, what, option, path);
        int64_t begun_ns = clock_monotonic_ns();
        while (clock_monotonic_ns() - begun_ns < i % 4 * INT64_C(3000000)) {}
        kill(p.pid, ending[i % 2]);
        program_wait(&p);
        assert_true(p.status == 0 || p.status == 128 + ending[i % 2]);
        program_done(&p);
    }
    read_bytes(in_folder("data/manifest"), &after);
    assert_true(str_equal(buf_str(&before), buf_str(&after)));
    CHECK(0, "everything reads as it was written", "", "check", "--data", in_folder("data"));
}

/* A server that is told to end finishes what it was asked, or says that it did not; a backup that was confirmed is whole. */
static void a_server_ends_well_amid_administration(void **state) {
    (void)state;
    for (int i = 0; i < 6; i++) {
        struct served s;
        struct program p;
        char data[16], backup[16];
        snprintf(data, sizeof data, "data%d", i);
        snprintf(backup, sizeof backup, "backup%d", i);
        served_start(&s, data);
        CHECK(0, "sent      4,000 ", "", "load", "--otlp", s.otlp, "--count", "2000", "--signal", "both", "--over",
              "10m");
        if (i % 2)
            START(&p, OUTPUT_PIPES, "backup", in_folder(backup), "--server", s.api);
        else
            START(&p, OUTPUT_PIPES, "delete", "--start", "now-1h", "--end", "now", "--yes", "--verify", "--server",
                  s.api);
        int64_t begun_ns = clock_monotonic_ns();
        while (clock_monotonic_ns() - begun_ns < i * INT64_C(4000000)) {}
        kill(s.program.pid, ending[i / 2 % 2]);
        program_wait(&s.program);
        program_check(&s.program, 0, NULL, "");
        program_done(&s.program);
        program_wait(&p);
        if (p.status != 0) program_check(&p, p.status, "", "clew: ");
        if (p.status == 0 && i % 2) CHECK(0, "everything reads", "", "check", "--data", in_folder(backup));
        program_done(&p);
        CHECK(0, "everything reads as it was written", "", "check", "--data", in_folder(data));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(asking_commands_end_by_the_signal),      TEST(load_ends_with_its_summary),
        TEST(a_stuck_load_ends_by_the_second_signal), TEST(a_restore_is_whole_or_leaves_nothing),
        TEST(a_restore_that_fails_leaves_nothing),    TEST(reading_commands_leave_data_alone),
        TEST(a_server_ends_well_amid_administration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
