/* For tests of the whole program: runs the built clew in a process of its own, and stands in for a server that misbehaves.
 *
 * Every run is in its own process with a deadline of 60 s; a test that would wait for ever fails. Threads: a fake has one. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#include "base/base.h"

enum program_output {
    OUTPUT_PIPES,    /* read into out and err */
    OUTPUT_TERMINAL, /* standard input, output and error are one terminal of 100 columns, read into out */
    OUTPUT_UNREAD,   /* standard output is a pipe that nobody reads any more */
    OUTPUT_FULL,     /* standard output is /dev/full */
};

struct program {
    pid_t pid;
    int fds[2]; /* output, error; -1: closed */
    struct buf out, err;
    int status; /* exit status; 128 + the signal that ended it */
};

void program_start(struct program *p, enum program_output output, const char *const *words);
void program_read_until(struct program *p,
                        const char *text); /* until the output has it; fails when the program ends before */
void program_wait(struct program *p);      /* reads to the end */
void program_done(struct program *p);      /* kills it if it still runs */
#define START(p, output, ...) program_start(p, output, (const char *const[]){__VA_ARGS__, NULL})
#define RUN(p, ...) (START(p, OUTPUT_PIPES, __VA_ARGS__), program_wait(p))

/* Fails with both outputs unless the status is that, and the outputs hold these texts ("": nothing at all, NULL: anything). */
void program_check(const struct program *p, int status, const char *out, const char *error);
#define CHECK(status, out, error, ...) check_run(status, out, error, (const char *const[]){__VA_ARGS__, NULL})
void check_run(int status, const char *out, const char *error, const char *const *words);

/* A folder of its own for each test, removed after it; %s in names below stands for it. */
int folder_setup(void **state);
int folder_teardown(void **state);
const char *in_folder(const char *name); /* the last 32 stay */
void folder_remove(const char *path);
size_t entries_of(const char *path); /* 0 if it is not there */
void write_text(const char *path, const void *text, size_t n);
void read_bytes(const char *path, struct buf *out);

/* clew serve on free ports in in_folder(name). */
struct served {
    struct program program;
    char api[64], otlp[64];
};
void served_start(struct served *s, const char *name);
void post(const char *server, const char *path, struct str body); /* must be answered with 200 */
void served_stop(struct served *s);                               /* by SIGTERM; it must end well */

/* Data with a part and a log (the server is killed), and a backup of it. */
void make_data(const char *data, const char *backup);

/* Fails unless text is one JSON value that has these fields: "items latency_ms.p99". */
void check_json(struct str text, const char *fields);

/* A server on a free port that does to each request what `act` says. */
enum fake_act {
    FAKE_SILENT, /* takes the request and never answers */
    FAKE_OK,     /* 200 with the text */
    FAKE_STATUS, /* the text is all of the answer, status line included */
    FAKE_CHANGE, /* passes it on to `to`, with the first `from_text` in it made `to_text` of the same length */
    FAKE_TWICE,  /* passes it on, and once more with the change */
};
struct fake {
    enum fake_act act;
    const char *text, *to, *from_text, *to_text;
    char url[64];
    _Atomic int requests;
    char line[4096]; /* of the last request; to be read after fake_stop */
    int fd;
    struct thread *thread;
};
void fake_start(struct fake *f);
void fake_stop(struct fake *f);
