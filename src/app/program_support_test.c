#include "app/program_test_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/json_tree.h"
#include "net/client.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/thread.h"

enum { WORDS_MAX = 96 };
#define DEADLINE_NS (60 * INT64_C(1000000000))

/* ---- the program ------------------------------------------------------------------------------------------------ */

/* The two ends of a terminal. */
static void open_terminal(int ends[2]) {
    struct winsize size = {.ws_row = 40, .ws_col = 100};
    ends[0] = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(ends[0] >= 0 && grantpt(ends[0]) == 0 && unlockpt(ends[0]) == 0);
    ends[1] = open(ptsname(ends[0]), O_RDWR | O_NOCTTY);
    assert_true(ends[1] >= 0);
    assert_int_equal(ioctl(ends[0], TIOCSWINSZ, &size), 0);
}

static _Noreturn void become_program(int in, int out, int error, const char *const *words) {
    char *argv[WORDS_MAX + 2] = {(char[]){"clew"}};
    for (int i = 0; words[i] && i < WORDS_MAX; i++) argv[i + 1] = (char *)(uintptr_t)words[i];
    dup2(in, 0);
    dup2(out, 1);
    dup2(error, 2);
    for (int fd = 3; fd < 64; fd++) close(fd);
    execv(CLEW_PROGRAM, argv);
    _exit(127);
}

void program_start(struct program *p, enum program_output output, const char *const *words) {
    int out[2] = {-1, -1}, error[2] = {-1, -1}, in = open("/dev/null", O_RDONLY);
    *p = (struct program){.fds = {-1, -1}};
    buf_init(&p->out, 64 * MIB);
    buf_init(&p->err, MIB);
    if (output == OUTPUT_TERMINAL) {
        open_terminal(out);
        error[1] = dup(out[1]);
    } else {
        assert_int_equal(pipe2(out, O_CLOEXEC), 0);
        assert_int_equal(pipe2(error, O_CLOEXEC), 0);
    }
    if (output == OUTPUT_UNREAD) close(out[0]), out[0] = -1;
    if (output == OUTPUT_FULL) close(out[1]), out[1] = open("/dev/full", O_WRONLY);
    p->pid = fork();
    assert_true(p->pid >= 0);
    if (p->pid == 0) become_program(output == OUTPUT_TERMINAL ? out[1] : in, out[1], error[1], words);
    close(in);
    close(out[1]);
    close(error[1]);
    p->fds[0] = out[0];
    p->fds[1] = error[0];
}

/* Reads once from what is ready; false at the end of both. */
static bool read_some(struct program *p, int64_t deadline_ns) {
    struct pollfd polled[2] = {{p->fds[0], POLLIN, 0}, {p->fds[1], POLLIN, 0}};
    if (p->fds[0] < 0 && p->fds[1] < 0) return false;
    int64_t left_ms = (deadline_ns - clock_monotonic_ns()) / 1000000;
    if (left_ms <= 0 || poll(polled, 2, (int)left_ms) == 0) {
        kill(p->pid, SIGKILL);
        fail_msg("clew is not done after 60 s; so far:\n%s%s", p->out.p ? p->out.p : "", p->err.p ? p->err.p : "");
    }
    for (int i = 0; i < 2; i++) {
        char bytes[65536];
        if (!polled[i].revents) continue;
        ssize_t n = read(p->fds[i], bytes, sizeof bytes);
        if (n > 0) {
            buf_add(i ? &p->err : &p->out, bytes, (size_t)n);
        } else {
            close(p->fds[i]);
            p->fds[i] = -1;
        }
    }
    return true;
}

void program_read_until(struct program *p, const char *text) {
    int64_t deadline_ns = clock_monotonic_ns() + DEADLINE_NS;
    while (!p->out.p || !strstr(p->out.p, text))
        if (!read_some(p, deadline_ns)) fail_msg("clew ended without \"%s\": %s", text, p->err.p ? p->err.p : "");
}

void program_wait(struct program *p) {
    int status = 0;
    int64_t deadline_ns = clock_monotonic_ns() + DEADLINE_NS;
    while (read_some(p, deadline_ns)) {}
    assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
    p->pid = 0;
    p->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    buf_add_text(&p->out, "");
    buf_add_text(&p->err, "");
}

void program_done(struct program *p) {
    for (int i = 0; i < 2; i++)
        if (p->fds[i] >= 0) close(p->fds[i]);
    if (p->pid > 0) {
        kill(p->pid, SIGKILL);
        waitpid(p->pid, NULL, 0);
    }
    buf_done(&p->out);
    buf_done(&p->err);
}

static bool has_text(const struct buf *b, const char *want) {
    return !want || (*want ? b->n && strstr(b->p, want) != NULL : b->n == 0);
}

void program_check(const struct program *p, int status, const char *out, const char *error) {
    if (p->status == status && has_text(&p->out, out) && has_text(&p->err, error)) return;
    fail_msg("status %d, not %d; want output \"%s\", error \"%s\"; output:\n%s\nerror:\n%s", p->status, status,
             out ? out : "*", error ? error : "*", p->out.n ? p->out.p : "", p->err.n ? p->err.p : "");
}

void check_run(int status, const char *out, const char *error, const char *const *words) {
    struct program p;
    program_start(&p, OUTPUT_PIPES, words);
    program_wait(&p);
    if (p.status != status || !has_text(&p.out, out) || !has_text(&p.err, error)) {
        for (int i = 0; words[i]; i++) print_error("%s ", words[i]);
        print_error("\n");
    }
    program_check(&p, status, out, error);
    program_done(&p);
}

/* ---- folders ---------------------------------------------------------------------------------------------------- */

static char folder[64];

int folder_setup(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/clew-program-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

void folder_remove(const char *path) {
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/rm", "rm", "-rf", path, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int folder_teardown(void **state) {
    (void)state;
    folder_remove(folder);
    return 0;
}

const char *in_folder(const char *name) {
    static char names[32][256];
    static int next;
    char *text = names[next++ % 32];
    snprintf(text, sizeof names[0], "%s/%s", folder, name);
    return text;
}

static err count_entry(void *context, const char *name, bool is_dir) {
    (void)name, (void)is_dir;
    ++*(size_t *)context;
    return NULL;
}

size_t entries_of(const char *path) {
    size_t n = 0;
    err_free(path_list(path, count_entry, &n));
    return n;
}

void write_text(const char *path, const void *text, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

void read_bytes(const char *path, struct buf *out) {
    char bytes[65536];
    size_t n;
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    while ((n = fread(bytes, 1, sizeof bytes, f)) > 0) buf_add(out, bytes, n);
    fclose(f);
}

/* ---- a server ---------------------------------------------------------------------------------------------------- */

static void copy_field(const char *text, const char *name, char out[64]) {
    const char *at = strstr(text, name);
    assert_non_null(at);
    snprintf(out, 64, "%.*s", (int)strcspn(at + strlen(name), "\""), at + strlen(name));
}

void served_start(struct served *s, const char *name) {
    START(&s->program, OUTPUT_PIPES, "serve", "--data", in_folder(name), "--listen", "127.0.0.1:0", "--otlp-http",
          "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--json", "--log-level", "error", "--host-metrics", "off");
    program_read_until(&s->program, "\n");
    copy_field(s->program.out.p, "\"api\":\"", s->api);
    copy_field(s->program.out.p, "\"otlp_http\":\"", s->otlp);
}

void served_stop(struct served *s) {
    kill(s->program.pid, SIGTERM);
    program_wait(&s->program);
    program_check(&s->program, 0, NULL, "");
    program_done(&s->program);
}

void post(const char *server, const char *path, struct str body) {
    static const char *const fields[] = {"Content-Type: application/x-protobuf", NULL};
    char url[256];
    struct http_client *client = NULL;
    struct http_answer answer = {0};
    snprintf(url, sizeof url, "%s%s", server, path);
    assert_null(http_client_new(&client));
    assert_null(http_call_wait(client, "POST", url, fields, body, DEADLINE_NS, MIB, &answer));
    assert_int_equal(answer.status, 200);
    buf_done(&answer.body);
    http_client_free(client);
}

void make_data(const char *data, const char *backup) {
    struct served s;
    served_start(&s, data);
    for (int i = 0; i < 2; i++) {
        CHECK(0, "sent      4,000 ", "", "load", "--otlp", s.otlp, "--count", "2000", "--signal", "both", "--over",
              "10m");
        if (i == 0) post(s.api, "/api/v1/admin/flush", (struct str){0});
    }
    CHECK(0, "bring it back with", "", "backup", in_folder(backup), "--server", s.api);
    kill(s.program.pid, SIGKILL);
    program_wait(&s.program);
    program_done(&s.program);
}

static const struct json_node *find_path(const struct json_node *node, struct str path) {
    struct str name, rest = path;
    while (rest.n && node->type != JSON_NULL) {
        str_cut(rest, '.', &name, &rest);
        AUTO_FREE char *key = str_dup(name);
        node = node->type == JSON_ARRAY && *key == '0' ? node->first : json_tree_get(node, key);
        if (!node) return NULL;
    }
    return node->type == JSON_NULL ? NULL : node;
}

void check_json(struct str text, const char *fields) {
    AUTO_ARENA struct arena arena;
    const struct json_node *tree = NULL;
    struct str rest = str_of(fields), field;
    arena_init(&arena, 64 * MIB);
    err e = json_tree_read(&arena, text, &tree);
    if (e) fail_msg("%s: " STR_FMT, err_text(e), STR_ARG(text));
    while (rest.n) {
        str_cut(rest, ' ', &field, &rest);
        if (!find_path(tree, field)) fail_msg("no " STR_FMT " in " STR_FMT, STR_ARG(field), STR_ARG(text));
    }
}

/* ---- a server that misbehaves ------------------------------------------------------------------------------------ */

static int connect_to(const char *url) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)strtoul(strrchr(url, ':') + 1, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void send_all(int fd, struct str text) {
    while (text.n) {
        ssize_t n = send(fd, text.p, text.n, MSG_NOSIGNAL);
        if (n <= 0) return;
        text = (struct str){text.p + n, text.n - (size_t)n};
    }
}

/* One message with its body by Content-Length into out; false when the peer went away. */
static bool receive(int fd, struct buf *out) {
    size_t want = SIZE_MAX;
    buf_clear(out);
    while (out->n < want) {
        char bytes[65536];
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n <= 0) return false;
        buf_add(out, bytes, (size_t)n);
        const char *end = want == SIZE_MAX ? memmem(out->p, out->n, "\r\n\r\n", 4) : NULL;
        if (!end) continue;
        AUTO_FREE char *head = str_dup((struct str){out->p, (size_t)(end - out->p) + 2});
        const char *length = strcasestr(head, "\r\nContent-Length:");
        want = (size_t)(end - out->p) + 4 + (length ? strtoul(length + 17, NULL, 10) : 0);
        if (strcasestr(head, "\r\nExpect: 100-continue")) send_all(fd, STR("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    return true;
}

static void pass_on(const struct fake *f, struct buf *message, bool change, struct buf *answer) {
    char *at = change ? memmem(message->p, message->n, f->from_text, strlen(f->from_text)) : NULL;
    if (at) memcpy(at, f->to_text, strlen(f->to_text));
    int fd = connect_to(f->to);
    send_all(fd, buf_str(message));
    receive(fd, answer);
    close(fd);
}

static void serve_connection(struct fake *f, int fd) {
    AUTO_BUF struct buf message, answer;
    buf_init(&message, 64 * MIB);
    buf_init(&answer, 64 * MIB);
    while (receive(fd, &message)) {
        snprintf(f->line, sizeof f->line, "%.*s", (int)strcspn(message.p, "\r"), message.p);
        atomic_fetch_add(&f->requests, 1);
        buf_clear(&answer);
        if (f->act == FAKE_SILENT) continue;
        if (f->act == FAKE_OK)
            buf_add_fmt(&answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(f->text), f->text);
        else if (f->act == FAKE_STATUS)
            buf_add_text(&answer, f->text);
        if (f->act == FAKE_TWICE) pass_on(f, &message, false, &answer);
        if (f->act == FAKE_CHANGE || f->act == FAKE_TWICE) pass_on(f, &message, true, &answer);
        send_all(fd, buf_str(&answer));
    }
    close(fd);
}

static void accept_all(void *context) {
    struct fake *f = context;
    for (int fd; (fd = accept4(f->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0;) serve_connection(f, fd);
}

void fake_start(struct fake *f) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->fd, (struct sockaddr *)&address, n), 0);
    assert_int_equal(listen(f->fd, 16), 0);
    assert_int_equal(getsockname(f->fd, (struct sockaddr *)&address, &n), 0);
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    assert_null(thread_start(&f->thread, "fake", 0, accept_all, f));
}

void fake_stop(struct fake *f) {
    shutdown(f->fd, SHUT_RDWR);
    thread_join(f->thread);
    close(f->fd);
}
