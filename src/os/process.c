#include "os/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- signals ---------------------------------------------------------------------------------------------------- */

static sigset_t ending_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    return set;
}

void process_signals_block(void) {
    sigset_t set = ending_signals();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int process_signal_wait(void) {
    sigset_t set = ending_signals();
    int number = 0;
    while (sigwait(&set, &number) != 0) {}
    return number;
}

void process_signal_raise(void) { kill(getpid(), SIGTERM); }

void process_end_by_signal(int number) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    signal(number, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(number);
    _exit(128 + number); /* it was one that ends nothing */
}

/* ---- work that a signal may end ---------------------------------------------------------------------------------- */

/* How the work ended, as it goes through the pipe: fits in what one write gives whole. */
struct work_end {
    bool failed;
    enum err_kind kind;
    char text[1024];
};
static_assert(sizeof(struct work_end) <= PIPE_BUF, "written at once");

static void run_in_child(err (*work)(void *context), void *context, int to) {
    struct work_end end = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    err e = work(context);
    if (e) {
        end.failed = true;
        end.kind = err_kind(e);
        snprintf(end.text, sizeof end.text, "%s", err_text(e));
    }
    _exit(write(to, &end, sizeof end) == (ssize_t)sizeof end ? 0 : 1);
}

/* Waits for the child or for an ending signal, which kills it; the signal, or 0. */
static int wait_for_child(pid_t child) {
    sigset_t set = ending_signals();
    sigaddset(&set, SIGCHLD);
    int number = 0;
    while (sigwait(&set, &number) != 0 || (number == SIGCHLD && waitpid(child, NULL, WNOHANG) == 0)) {}
    if (number == SIGCHLD) return 0;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return number;
}

static err end_of_child(pid_t child, int from, int *out_signal) {
    struct work_end end;
    *out_signal = wait_for_child(child);
    if (*out_signal) return err_new(ERR_CANCELLED, "interrupted by signal %d", *out_signal);
    if (read(from, &end, sizeof end) != sizeof end) return err_new(ERR_INTERNAL, "the process that did the work died");
    return end.failed ? err_new(end.kind, "%s", end.text) : NULL;
}

err process_run_wait(err (*work)(void *context), void *context, int *out_signal) {
    int ends[2];
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGCHLD, SIG_DFL); /* ignored, as a parent may have left it, it would not come */
    if (pipe2(ends, O_CLOEXEC) != 0) return err_errno(errno, "making a pipe");
    pid_t child = fork();
    if (child == 0) run_in_child(work, context, ends[1]);
    err e = child < 0 ? err_errno(errno, "starting a process") : NULL;
    close(ends[1]);
    *out_signal = 0;
    if (!e) e = end_of_child(child, ends[0], out_signal);
    close(ends[0]);
    return e;
}

/* ---- environment and terminal ----------------------------------------------------------------------------------- */

const char *process_env(const char *name) { return getenv(name); }
bool process_is_terminal(int fd) { return isatty(fd) == 1; }
int process_id(void) { return (int)getpid(); }

int process_terminal_columns(int fd) {
    struct winsize size = {0};
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* ---- figures from /proc and the control group -------------------------------------------------------------------- */

/* The first bytes of a small file, terminated; "" if it cannot be read. */
static void read_small(const char *path, char *out, size_t size) {
    size_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && n + 1 < size) {
        ssize_t got = read(fd, out + n, size - 1 - n);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        n += (size_t)got;
    }
    if (fd >= 0) close(fd);
    out[n] = 0;
}

/* The number at the start of text after blanks; false if there is none ("max") or it does not fit. */
static bool leading_number(const char *text, uint64_t *out) {
    uint64_t v = 0;
    while (*text == ' ' || *text == '\t') text++;
    if (*text < '0' || *text > '9') return false;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*text - '0'), &v)) return false;
    }
    *out = v;
    return true;
}

static uint64_t status_bytes(const char *field) {
    char text[8192];
    uint64_t kib = 0;
    read_small("/proc/self/status", text, sizeof text);
    const char *at = strstr(text, field);
    return at && leading_number(at + strlen(field), &kib) ? kib * 1024 : 0;
}

static int64_t ns_of(struct timeval t) { return (int64_t)t.tv_sec * 1000000000 + (int64_t)t.tv_usec * 1000; }

void process_cpu_ns(int64_t *out_user, int64_t *out_system) {
    struct rusage used = {0};
    getrusage(RUSAGE_SELF, &used);
    *out_user = ns_of(used.ru_utime);
    *out_system = ns_of(used.ru_stime);
}

uint64_t process_open_files(void) {
    uint64_t n = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir) return 0;
    for (const struct dirent *e; (e = readdir(dir));) n += e->d_name[0] != '.';
    closedir(dir);
    return n - 1; /* the folder's own */
}

uint64_t process_resident_bytes(void) { return status_bytes("VmRSS:"); }
uint64_t process_anonymous_bytes(void) { return status_bytes("RssAnon:"); }

/* Our path in a control group hierarchy: the rest of the line of /proc/self/cgroup that holds `controller`. */
static void group_path(const char *controller, struct buf *out) {
    char text[8192];
    read_small("/proc/self/cgroup", text, sizeof text);
    struct str rest = str_of(text), line;
    while (!str_is_empty(rest)) {
        struct str number, controllers, path;
        str_cut(rest, '\n', &line, &rest);
        if (str_cut(line, ':', &number, &line) && str_cut(line, ':', &controllers, &path) &&
            str_equal(controllers, str_of(controller)))
            buf_add_str(out, path);
    }
}

/* Calls fn with the text of `leaf` in our group and in each group above it, up to the hierarchy's root. */
static void group_walk(const char *root, const char *controller, const char *leaf,
                       void (*fn)(const char *text, void *context), void *context) {
    AUTO_BUF struct buf path = {0}, full = {0};
    buf_init(&path, 4096);
    buf_init(&full, 8192);
    buf_add_text(&path, "");
    group_path(controller, &path);
    for (;;) {
        char text[128];
        while (path.n > 0 && path.p[path.n - 1] == '/') path.n--;
        buf_clear(&full);
        buf_add_text(&full, root);
        buf_add_str(&full, buf_str(&path));
        buf_add_text(&full, leaf);
        read_small(full.p, text, sizeof text);
        fn(text, context);
        if (path.n == 0) return;
        while (path.n > 0 && path.p[path.n - 1] != '/') path.n--;
    }
}

static void lower_limit(const char *text, void *context) {
    uint64_t limit, *least = context;
    if (leading_number(text, &limit) && limit < *least) *least = limit;
}

uint64_t process_memory_limit_bytes(void) {
    uint64_t least = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    group_walk("/sys/fs/cgroup", "", "/memory.max", lower_limit, &least);
    group_walk("/sys/fs/cgroup/memory", "memory", "/memory.limit_in_bytes", lower_limit, &least);
    return least;
}

/* cpu.max is "quota period", both in µs; "max" sets none. */
static void lower_cores(const char *text, void *context) {
    uint64_t quota, period, *least = context;
    const char *second = strchr(text, ' ');
    if (!second || !leading_number(text, &quota) || !leading_number(second, &period) || period == 0) return;
    *least = MIN(*least, (quota + period - 1) / period);
}

int process_cores(void) {
    cpu_set_t set;
    uint64_t cores = sched_getaffinity(0, sizeof set, &set) == 0 ? (uint64_t)CPU_COUNT(&set) : 1;
    group_walk("/sys/fs/cgroup", "", "/cpu.max", lower_cores, &cores);
    return (int)MAX(cores, 1);
}

void process_open_files_raise(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

uint64_t process_open_files_max(void) {
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ? 1024 : (uint64_t)limit.rlim_cur;
}
