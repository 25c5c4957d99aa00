/* clew query logs --follow: GET /api/v1/logs/tail, and again when the connection breaks.
 *
 * After a break the stream is asked for the newest records since a minute before the newest one seen (but not before the first); those printed already are left
 * out. So nothing is missing or printed twice, unless more than 10,000 came meanwhile, a record came over a minute after its time
 * while nobody listened, or two records are equal to the last byte. */
#include <stdio.h>
#include <stdlib.h>

#include "app/view.h"
#include "base/hash.h"
#include "base/text.h"
#include "base/vec.h"
#include "net/sse.h"
#include "os/clock.h"
#include "os/thread.h"

enum { EVENT_BYTES_MAX = 4 << 20, SEEN_MAX = 20000, PAUSE_SECONDS_MAX = 30 };
static const int64_t second = 1000000000, quiet_seconds = 45, gap_seconds = 60, again_seconds = 5;

struct following {
    const struct arguments *arguments;
    struct colors colors;
    struct sse_reader reader;
    struct buf out;          /* of the bytes at hand */
    err e;                   /* why no more is wanted */
    bool connected;          /* this time */
    int times;               /* connected so far */
    int64_t oldest, newest;  /* times of records printed; before there was one, of the begin */
    uint64_t seen[SEEN_MAX]; /* hashes of what was printed, a ring */
    size_t seen_count;
    VEC(uint64_t) again;  /* those, sorted: what may come again after a break … */
    int64_t again_end_ns; /* … until then */
};

/* ---- what comes ------------------------------------------------------------------------------------------------- */

static int compare_u64(const void *a, const void *b) {
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

/* What was printed before the break may come once more. */
static void expect_again(struct following *f) {
    vec_clear(&f->again);
    for (size_t i = 0; i < MIN(f->seen_count, (size_t)SEEN_MAX); i++) *vec_push(&f->again) = f->seen[i];
    qsort(f->again.v, f->again.n, sizeof(uint64_t), compare_u64);
    f->again_end_ns = clock_monotonic_ns() + again_seconds * second;
}

static bool comes_again(struct following *f, uint64_t hash) {
    if (f->again.n == 0 || clock_monotonic_ns() > f->again_end_ns) return false;
    uint64_t *found = bsearch(&hash, f->again.v, f->again.n, sizeof hash, compare_u64);
    if (!found) return false;
    memmove(found, found + 1, (f->again.n - 1 - (size_t)(found - f->again.v)) * sizeof hash);
    f->again.n--;
    return true;
}

static void take_record(struct following *f, const struct sse_event *event) {
    uint64_t hash = hash_bytes(event->data.p, event->data.n);
    int64_t time;
    if (comes_again(f, hash)) return;
    f->seen[f->seen_count++ % SEEN_MAX] = hash;
    err e = parse_time(event->id, 0, &time);
    if (!e) f->newest = f->seen_count == 1 ? time : MAX(f->newest, time);
    if (!e) f->oldest = MIN(f->oldest, time);
    err_free(e);
    if (argument_flag(f->arguments, OPTION_JSON)) {
        buf_add_str(&f->out, event->data);
        buf_add_byte(&f->out, '\n');
    } else if (!f->e) {
        f->e = err_wrap(view_log(event->data, &f->colors, &f->out), "reading the stream");
    }
}

static void tell(const struct sse_event *event, const char *before, const char *after) {
    AUTO_BUF struct buf text;
    buf_init(&text, 4 * KIB);
    put_terminal(&text, event->data);
    fprintf(stderr, "clew: %s" STR_FMT "%s\n", before, STR_ARG(buf_str(&text)), after);
}

static void on_event(void *context, const struct sse_event *event) {
    struct following *f = context;
    if (str_equal(event->type, STR("log"))) take_record(f, event);
    if (str_equal(event->type, STR("lost"))) tell(event, "left out, since they came too fast to be read: ", "");
    if (str_equal(event->type, STR("end"))) tell(event, "the server ends the stream: ", "");
}

static bool on_bytes(void *context, struct str bytes) {
    struct following *f = context;
    if (!f->connected && f->times++ > 0) fputs("clew: connected again\n", stderr);
    f->connected = true;
    err e = sse_read(&f->reader, bytes);
    if (f->e)
        err_free(e);
    else
        f->e = err_wrap(e, "reading the stream");
    command_print(&f->out);
    buf_clear(&f->out);
    return f->e == NULL;
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

static void put_question(const struct following *f, struct buf *path) {
    static const struct {
        const char *name;
        enum option option;
    } params[] = {{"service", OPTION_SERVICE}, {"environment", OPTION_ENVIRONMENT},
                  {"where", OPTION_WHERE},     {"severity", OPTION_SEVERITY},
                  {"text", OPTION_TEXT},       {"trace_id", OPTION_TRACE}};
    const struct arguments *a = f->arguments;
    buf_add_text(path, "/api/v1/logs/tail");
    for (size_t i = 0; i < LENGTH(params); i++) command_add_option(path, params[i].name, a, params[i].option);
    if (f->times == 0) {
        command_add_param(path, "limit", a->given[OPTION_LIMIT] ? argument_text(a, OPTION_LIMIT) : STR("100"));
        command_add_option(path, "start", a, OPTION_START);
        return;
    }
    AUTO_BUF struct buf start;
    buf_init(&start, 64);
    put_time(&start, MAX(f->newest - gap_seconds * second, f->oldest)); /* not what --limit left out */
    command_add_param(path, "limit", STR("10000"));                     /* the most that the server gives */
    command_add_param(path, "start", buf_str(&start));
}

/* One connection, to its end. *out_retry_s: what the server said of coming again; -1: nothing. */
static err listen_wait(struct following *f, int64_t *out_retry_s) {
    struct command_connection c;
    struct http_answer answer = {.retry_after_s = -1};
    AUTO_BUF struct buf path;
    buf_init(&path, 64 * KIB);
    put_question(f, &path);
    f->connected = false;
    sse_init(&f->reader, EVENT_BYTES_MAX, on_event, f);
    const struct http_stream_sink sink = {on_bytes, f, quiet_seconds * second};
    err e = command_connect(f->arguments, path.p, &c);
    if (!e) e = command_outcome(&c, http_follow_wait(c.client, c.url.p, c.who.fields, &sink, &answer), &answer);
    *out_retry_s = answer.retry_after_s;
    buf_done(&answer.body);
    command_connection_done(&c);
    sse_done(&f->reader);
    return e;
}

static void pause_wait(int64_t seconds) {
    struct lock lock;
    struct signal_flag never;
    lock_init(&lock);
    flag_init(&never);
    int64_t due_ns = clock_monotonic_ns() + seconds * second;
    lock_take(&lock);
    while (flag_wait_until(&never, &lock, due_ns))
        ;
    lock_give(&lock);
    flag_done(&never);
    lock_done(&lock);
}

/* Whether coming again may help. */
static bool is_passing(err e) {
    return !e || err_kind(e) == ERR_UNAVAILABLE || err_kind(e) == ERR_BUSY || err_kind(e) == ERR_INTERNAL;
}

static err follow_wait(struct following *f) {
    for (int64_t pause = 1;; pause = MIN(2 * pause, (int64_t)PAUSE_SECONDS_MAX)) {
        int64_t retry_s;
        err e = listen_wait(f, &retry_s);
        if (f->e || f->times == 0 || !is_passing(e)) {
            if (!f->e) return e;
            err_free(e);
            return take(&f->e);
        }
        if (f->connected) pause = 1;
        pause = MIN(MAX(pause, retry_s), (int64_t)PAUSE_SECONDS_MAX);
        fprintf(stderr, "clew: %s; again in %lld s\n", e ? err_text(e) : "the stream has ended", (long long)pause);
        err_free(e);
        pause_wait(pause);
        expect_again(f);
    }
}

err command_follow_logs(const struct arguments *a) {
    static const enum option others[] = {OPTION_END, OPTION_ORDER, OPTION_CURSOR};
    for (size_t i = 0; i < LENGTH(others); i++)
        if (a->given[others[i]])
            return err_new(ERR_INVALID, "--follow does not go with --%s", option_row(others[i])->name);
    struct following *f = mem_new_of(struct following);
    f->arguments = a;
    f->newest = f->oldest = clock_wall_ns();
    buf_init(&f->out, VIEW_BYTES_MAX);
    err e = command_colors(a, &f->colors);
    if (!e) e = follow_wait(f);
    vec_done(&f->again);
    buf_done(&f->out);
    mem_free(f);
    return e;
}
