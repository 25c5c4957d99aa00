#include "ingest/host/mounts_priv.h"

#include "os/clock.h"
#include "os/thread.h"

/* One thread that asks. What it shares with the asker is under the lock. */
struct helper {
    struct lock lock;
    struct signal_flag changed;
    file_system_fn ask;
    char *path; /* what to ask next or now; NULL: nothing */
    bool answered, good, ending, ended;
    struct file_system answer;
    struct thread *thread;
};

struct mounts {
    file_system_fn ask;
    int64_t wait_ns;
    struct helper *helper; /* NULL: none yet */
    struct helper *stuck[MOUNTS_STUCK_MAX];
    size_t stuck_count;
};

static void help(void *context) {
    struct helper *h = context;
    lock_take(&h->lock);
    while (!h->ending) {
        if (!h->path || h->answered) {
            flag_wait(&h->changed, &h->lock);
            continue;
        }
        struct file_system answer = {0};
        const char *path = h->path;
        lock_give(&h->lock);
        err e = h->ask(path, &answer);
        lock_take(&h->lock);
        h->answered = true;
        h->good = e == NULL;
        h->answer = answer;
        err_free(e);
        flag_wake_all(&h->changed);
    }
    h->ended = true;
    lock_give(&h->lock);
}

static struct helper *helper_new(file_system_fn ask) {
    struct helper *h = mem_new_of(struct helper);
    lock_init(&h->lock);
    flag_init(&h->changed);
    h->ask = ask;
    err e = thread_start(&h->thread, "mounts", 0, help, h);
    if (!e) return h;
    err_free(e);
    mem_free(h);
    return NULL;
}

/* It is, or is about to be, at its end. */
static void helper_free(struct helper *h) {
    thread_join(h->thread);
    lock_done(&h->lock);
    flag_done(&h->changed);
    mem_free(h->path);
    mem_free(h);
}

static void helper_end(struct helper *h) {
    lock_take(&h->lock);
    h->ending = true;
    flag_wake_all(&h->changed);
    lock_give(&h->lock);
}

static bool helper_has_ended(struct helper *h) {
    lock_take(&h->lock);
    bool ended = h->ended;
    lock_give(&h->lock);
    return ended;
}

/* Ends those who have come back meanwhile. */
static void reap(struct mounts *m) {
    for (size_t i = 0; i < m->stuck_count;) {
        if (!helper_has_ended(m->stuck[i])) {
            i++;
            continue;
        }
        helper_free(m->stuck[i]);
        m->stuck[i] = m->stuck[--m->stuck_count];
    }
}

struct mounts *mounts_new(file_system_fn ask, int64_t wait_ns) {
    struct mounts *m = mem_new_of(struct mounts);
    m->ask = ask;
    m->wait_ns = wait_ns;
    return m;
}

void mounts_free(struct mounts *m) {
    if (!m) return;
    reap(m);
    if (m->helper) {
        helper_end(m->helper);
        helper_free(m->helper);
    }
    mem_free(m);
}

/* Only of a helper with nothing to do: true with its answer, or false with the helper still asking. */
static bool answer_wait(struct helper *h, const char *path, int64_t until, bool *out_good, struct file_system *out) {
    lock_take(&h->lock);
    mem_free(h->path);
    h->path = str_dup(str_of(path));
    h->answered = false;
    flag_wake_all(&h->changed);
    while (!h->answered && flag_wait_until(&h->changed, &h->lock, until)) continue;
    bool answered = h->answered;
    *out_good = h->good;
    *out = h->answer;
    if (!answered) h->ending = true; /* once it comes back */
    lock_give(&h->lock);
    return answered;
}

bool mounts_ask_wait(struct mounts *m, const char *path, struct file_system *out) {
    bool good = false;
    reap(m);
    for (size_t i = 0; i < m->stuck_count; i++)
        if (strcmp(m->stuck[i]->path, path) == 0) return false;
    if (m->stuck_count == MOUNTS_STUCK_MAX) return false;
    if (!m->helper) m->helper = helper_new(m->ask);
    if (!m->helper) return false;
    if (answer_wait(m->helper, path, clock_monotonic_ns() + m->wait_ns, &good, out)) return good;
    m->stuck[m->stuck_count++] = m->helper;
    m->helper = NULL;
    return false;
}
