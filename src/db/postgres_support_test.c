#include "db/postgres_testing_priv.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "db/libpq_priv.h"
#include "os/clock.h"

static struct {
    char bin[64], dir[64];
    int port;
    pid_t pid;
} pg;

static bool find_package(void) {
    for (int version = 20; version >= 13; version--) {
        snprintf(pg.bin, sizeof pg.bin, "/usr/lib/postgresql/%d/bin", version);
        if (!access(pg.bin, X_OK)) return true;
    }
    return false;
}

/* argv after the program's path; as user postgres if we are root. The child ends with us. */
static pid_t start(const char *program, const char *const argv[], int argc) {
    char path[128];
    const char *full[40] = {"setpriv",       "--reuid=postgres", "--regid=postgres",
                            "--init-groups", "--pdeathsig=QUIT", path};
    int from = geteuid() == 0 ? 0 : 5;
    snprintf(path, sizeof path, "%s/%s", pg.bin, program);
    for (int i = 0; i < argc; i++) full[6 + i] = argv[i];
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid) return pid;
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)) _exit(126);
    execvp(full[from], (char *const *)(uintptr_t)(full + from));
    _exit(127);
}

static int free_port(void) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static void make_cluster(void) {
    char data[100], secret[100];
    int status;
    snprintf(pg.dir, sizeof pg.dir, "/tmp/clew-pg-XXXXXX");
    assert_non_null(mkdtemp(pg.dir));
    snprintf(data, sizeof data, "%s/data", pg.dir);
    snprintf(secret, sizeof secret, "--pwfile=%s/secret", pg.dir);
    FILE *f = fopen(secret + 9, "w");
    assert_true(f && fputs("s3cr3t", f) >= 0 && fclose(f) == 0);
    assert_int_equal(chmod(pg.dir, 0777), 0);
    const char *const argv[] = {
        "-D", data, "-U", "clew", "-A", "scram-sha-256", secret, "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"};
    pid_t pid = start("initdb", argv, LENGTH(argv));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status) fail_msg("initdb ended with %d", status);
    pg.port = free_port();
}

static bool answers(void) {
    char url[300];
    const char *const keywords[] = {"dbname", NULL}, *const values[] = {url, NULL};
    test_postgres_url("postgres", "", url);
    return libpq.ping(keywords, values, 1) == PQPING_OK;
}

static void start_server(void) {
    char data[100], port[16];
    snprintf(data, sizeof data, "%s/data", pg.dir);
    snprintf(port, sizeof port, "%d", pg.port);
    const char *const argv[] = {"-D", data,   "-h", "127.0.0.1",          "-p", port,
                                "-k", pg.dir, "-c", "max_connections=40", "-c", "shared_buffers=4MB",
                                "-F"};
    pg.pid = start("postgres", argv, LENGTH(argv));
}

/* One that was killed leaves children that hold its memory for a moment: then it is started again. */
static void wait_until_it_answers(void) {
    int64_t until = clock_monotonic_ns() + (int64_t)60 * 1000000000;
    while (!answers()) {
        if (clock_monotonic_ns() > until) fail_msg("PostgreSQL does not start");
        if (waitpid(pg.pid, NULL, WNOHANG) == pg.pid) start_server();
        poll(NULL, 0, 20);
    }
}

bool test_postgres_start(void) {
    err e = libpq_open();
    if (e || !find_package()) {
        fprintf(stderr, "skipped: no PostgreSQL here (Debian: postgresql, libpq5)\n");
        err_free(e);
        return false;
    }
    if (pg.pid) return true;
    if (!*pg.dir) make_cluster();
    start_server();
    wait_until_it_answers();
    return true;
}

void test_postgres_start_only(void) { start_server(); }

static void end_with(int number) {
    if (!pg.pid) return;
    kill(pg.pid, number);
    waitpid(pg.pid, NULL, 0);
    pg.pid = 0;
}

/* Gone, or a zombie whom nobody has asked after. */
static bool has_ended(int pid) {
    char path[40], line[300] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f) return true;
    if (!fgets(line, sizeof line, f)) line[0] = 0;
    fclose(f);
    const char *state = strrchr(line, ')');
    return !state || state[2] == 'Z';
}

/* A session's process outlives the server for a moment, in which it would still commit. */
void test_postgres_kill(void) {
    char path[64];
    int children[64], n = 0;
    if (!pg.pid) return;
    kill(pg.pid, SIGSTOP); /* no more children */
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pg.pid, (int)pg.pid);
    FILE *f = fopen(path, "r");
    while (f && n < (int)LENGTH(children) && fscanf(f, "%d", &children[n]) == 1) n++;
    if (f) fclose(f);
    for (int i = 0; i < n; i++) kill(children[i], SIGKILL);
    end_with(SIGKILL);
    for (int i = 0; i < n; i++)
        while (!has_ended(children[i])) poll(NULL, 0, 1);
}

void test_postgres_stop(void) {
    char command[100];
    end_with(SIGQUIT);
    if (!*pg.dir) return;
    snprintf(command, sizeof command, "%s", pg.dir);
    pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", "--", command, (char *)NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
    *pg.dir = 0;
}

int test_postgres_port(void) { return pg.port; }

void test_postgres_url(const char *database, const char *more, char out[300]) {
    snprintf(out, 300, "postgresql://clew:s3cr3t@127.0.0.1:%d/%s%s", pg.port, database, more);
}

void test_postgres_ask(const char *url, const char *sql, char out[64]) {
    const char *const keywords[] = {"dbname", NULL}, *const values[] = {url, NULL};
    PGconn *c = libpq.connect(keywords, values, 1);
    if (libpq.status(c) != CONNECTION_OK || !libpq.send_query(c, sql)) fail_msg("%s: %s", url, libpq.error_message(c));
    if (out) *out = 0;
    for (PGresult *r; (r = libpq.get_result(c)); libpq.clear(r)) {
        ExecStatusType s = libpq.result_status(r);
        if (s != PGRES_COMMAND_OK && s != PGRES_TUPLES_OK) fail_msg("%s: %s", sql, libpq.error_message(c));
        if (out && libpq.tuples(r) > 0) snprintf(out, 64, "%s", libpq.value(r, 0, 0));
    }
    libpq.finish(c);
}

/* Each test has a folder of its own: its end names its databases. */
void test_postgres_database(const char *name, char out_url[300]) {
    char database[64], admin[300], sql[200], there[64];
    snprintf(database, sizeof database, "%s_%s", test_dir + strlen("/tmp/clew-db-"), name);
    for (char *p = database; *p; p++)
        if (*p == '.') *p = '_';
    test_postgres_url("postgres", "", admin);
    test_postgres_url(database, "", out_url);
    snprintf(sql, sizeof sql, "SELECT 1 FROM pg_database WHERE datname = '%s'", database);
    test_postgres_ask(admin, sql, there);
    snprintf(sql, sizeof sql, "CREATE DATABASE \"%s\"", database);
    if (!*there) test_postgres_ask(admin, sql, NULL);
}

struct db *open_postgres_db(const char *name) {
    struct db *db = NULL;
    char url[300];
    test_postgres_database(name, url);
    err e = db_open(&(struct db_options){.path = url, .wall_ns = test_clock}, &db);
    if (e) fail_msg("%s", err_text(e));
    return db;
}
