/* What records cost: commits, readings and jobs, one after another, on the disk of a folder, or in an empty database of
 * PostgreSQL. db_bench [FOLDER | postgresql://…] */
#include <stdio.h>

#include "db/jobs.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/process.h"

enum { ROUNDS = 2000, READINGS = 50000 };

static const char *const tables[] = {"CREATE TABLE bench (id BIGINT PRIMARY KEY, body TEXT NOT NULL)"};
static char body[1000];

struct bench {
    struct db *db;
    struct jobs *q;
    struct arena a;
    int64_t id;
};

static void must(err e) {
    if (!e) return;
    fprintf(stderr, "%s\n", err_text(e));
    process_end_by_signal(6);
}

static err put(struct db_transaction *t, void *context) {
    return db_run(t, "INSERT INTO bench (id, body) VALUES (?, ?)", NULL, DB_I64(*(int64_t *)context),
                  DB_TEXT(str_span(body, sizeof body)));
}
static err get(struct db_transaction *t, void *context) {
    struct bench *b = context;
    struct db_value v;
    bool found;
    return db_one(t, "SELECT body FROM bench WHERE id = ?", "t", &b->a, &v, &found, DB_I64(b->id % ROUNDS));
}

static void put_row(struct bench *b) { must(db_write(b->db, put, &b->id)); }
static void get_row(struct bench *b) {
    arena_clear(&b->a);
    must(db_read(b->db, get, b));
}
static void push_job(struct bench *b) { must(jobs_push(b->q, str_span(body, 300), 0)); }
static void take_job(struct bench *b) {
    struct job job;
    bool found;
    arena_clear(&b->a);
    must(jobs_take(b->q, &b->a, &job, &found));
    if (found) must(jobs_done(b->q, &job));
}

static void measure(struct bench *b, const char *what, int n, void (*fn)(struct bench *b)) {
    int64_t cpu = clock_process_cpu_ns(), wall = clock_monotonic_ns();
    for (b->id = 0; b->id < n; b->id++) fn(b);
    cpu = clock_process_cpu_ns() - cpu;
    wall = clock_monotonic_ns() - wall;
    printf("%-22s %9.0f a second  %7.1f µs  CPU %6.1f µs\n", what, n / (double)wall * 1e9, (double)wall / n / 1e3,
           (double)cpu / n / 1e3);
}

int main(int argc, char **argv) {
    struct bench b = {0};
    char path[300];
    bool url = argc > 1 && db_is_url(argv[1]);
    snprintf(path, sizeof path, url ? "%s" : "%s/clew-db-bench.db", argc > 1 ? argv[1] : "/tmp");
    err_free(path_remove(path));
    memset(body, 'x', sizeof body);
    arena_init(&b.a, MIB);
    uint64_t before = process_resident_bytes(), anonymous = process_anonymous_bytes();
    int64_t opening = clock_monotonic_ns();
    must(db_open(&(struct db_options){.path = path}, &b.db));
    must(db_migrate(b.db, "bench", tables, 1));
    must(jobs_open(b.db, &(struct jobs_options){.name = "bench"}, &b.q));
    printf("open, new: %.1f ms; resident +%.2f MiB, anonymous +%.2f MiB\n",
           (double)(clock_monotonic_ns() - opening) / 1e6, (double)(process_resident_bytes() - before) / MIB,
           (double)(process_anonymous_bytes() - anonymous) / MIB);
    measure(&b, "put of 1 KB, committed", ROUNDS, put_row);
    measure(&b, "get of 1 KB", READINGS, get_row);
    measure(&b, "push", ROUNDS, push_job);
    measure(&b, "take and done", ROUNDS, take_job);
    printf("afterwards: resident +%.2f MiB, anonymous +%.2f MiB\n", (double)(process_resident_bytes() - before) / MIB,
           (double)(process_anonymous_bytes() - anonymous) / MIB);
    jobs_close(b.q);
    db_close(b.db);
    err_free(path_remove(path));
    arena_done(&b.a);
    return 0;
}
