#include "query/series/parallel_priv.h"

#include "os/thread.h"
#include "query/query_priv.h"

/* A slice selects its series anew and decodes whole chunks, which are of two hours: over an hour two slices take 1.7 times the CPU of one
 * run for a seventh less time, over a day no more than it. */
static const int64_t slice_ms_min = 4 * 3600 * 1000;
enum { SLICES = 4, SAMPLES_MIN = 1000000, PROBED_SERIES = 64 };

/* A run in memory of its own, which lives as long as the source that it belongs to if its answer is taken. */
struct series_slice {
    struct series_slice *next;
    struct query q;
    struct series_source source; /* over the snapshot of the other */
    struct promql_options options;
    const struct promql_node *e;
    struct str text;
    struct promql_answer answer;
    err failed;
    atomic_bool *stop; /* of all slices: one has failed */
    struct thread *thread;
    struct promql_source probe; /* stands before the source while it is not known how much there is to read */
    bool is_probing, is_large;
};

static size_t step_count(const struct promql_options *o) {
    return (size_t)((uint64_t)(o->end_ms - o->start_ms) / (uint64_t)o->step_ms) + 1;
}

/* ---- one slice --------------------------------------------------------------------------------------------------- */

static err check_slice(void *context) {
    struct series_slice *x = context;
    if (atomic_load_explicit(x->stop, memory_order_relaxed))
        return err_new(ERR_CANCELLED, "another slice of the range has failed");
    return series_source_step(&x->source);
}

static err check_slice_work(void *context) {
    struct series_slice *x = context;
    TRY(check_slice(x));
    return series_source_check(&x->source);
}

static struct series_slice *slice_new(struct series_source *s, const struct promql_node *e, struct str text,
                                      const struct promql_options *o, atomic_bool *stop) {
    struct series_slice *x = mem_new_of(struct series_slice);
    query_begin(&x->q, &s->q->options);
    x->q.deadline_ns = s->q->deadline_ns;
    x->source = (struct series_source){.source = s->source, .q = &x->q, .snapshot = s->snapshot, .now_ns = s->now_ns};
    x->options = *o;
    x->options.check = check_slice;
    if (o->check_work) x->options.check_work = check_slice_work;
    x->options.context = x;
    x->e = e;
    x->text = text;
    x->stop = stop;
    return x;
}

/* Takes NULL. */
static void slice_free(struct series_slice *x) {
    if (!x) return;
    x->source.snapshot = NULL; /* not its own */
    series_source_close(&x->source);
    query_end(&x->q);
    err_free(x->failed);
    mem_free(x);
}

void series_slices_free(struct series_slice *first) {
    while (first) {
        struct series_slice *x = first;
        first = x->next;
        slice_free(x);
    }
}

static void run_slice(void *context) {
    struct series_slice *x = context;
    struct promql_source *source = x->is_probing ? &x->probe : &x->source.source;
    x->failed = promql_run(&x->q.arena, source, x->e, x->text, &x->options, &x->answer);
    if (!x->failed) x->failed = query_settle(&x->q);
    if (x->failed) atomic_store(x->stop, true);
}

/* The answer is taken: its memory, what it took of the budget and what it found damaged are the query's now. */
static void keep(struct series_source *s, struct series_slice *x) {
    struct series_stats *to = &s->stats, *from = &x->source.stats;
    s->q->other_bytes += x->q.other_bytes + x->q.arena.used_bytes;
    s->q->charged_bytes += x->q.charged_bytes + x->q.arena.used_bytes; /* it is given back with what the asker took */
    x->q.charged_bytes = 0;
    x->q.arena.budget = NULL;
    if (!to->bad_pages) memcpy(to->bad_text, from->bad_text, sizeof to->bad_text);
    to->chunks += from->chunks;
    to->samples += from->samples;
    to->bad_pages += from->bad_pages;
    x->next = s->slices;
    s->slices = x;
}

/* ---- how much there is ------------------------------------------------------------------------------------------- */

struct probed_set {
    struct series_slice *x;
    struct promql_set inner;
    uint64_t reads, samples;
};

/* Slices and what joins them hold an answer twice. */
static bool fits_twice(const struct series_slice *x, uint64_t rows) {
    uint64_t cell_bytes = 2 * (sizeof(uint8_t) + sizeof(double));
    return promql_is_folded(x->e) || rows * step_count(&x->options) * cell_bytes < x->q.options.memory_max_bytes;
}

/* Some series say how many samples all of them have; too many for one thread end the run. */
static err read_probed(struct promql_set *set, size_t i, struct promql_samples *out) {
    struct probed_set *p = set->state;
    TRY(p->inner.read(&p->inner, i, out));
    p->samples += out->n + out->histogram_n;
    if (++p->reads != PROBED_SERIES || p->samples * p->inner.n / PROBED_SERIES < SAMPLES_MIN ||
        !fits_twice(p->x, p->inner.n))
        return NULL;
    p->x->is_large = true;
    return err_new(ERR_CANCELLED, "the range is large enough for slices");
}

static void end_probed(struct promql_set *set) {
    struct probed_set *p = set->state;
    p->inner.done(&p->inner);
}

static err select_probed(struct promql_source *source, const struct promql_selection *selection, struct arena *a,
                         struct promql_set *out) {
    struct series_slice *x = (struct series_slice *)(void *)((char *)source - offsetof(struct series_slice, probe));
    struct probed_set *p = arena_new(a, struct probed_set);
    if (!p) return arena_err(a);
    p->x = x;
    TRY(x->source.source.select(&x->source.source, selection, a, &p->inner));
    *out = p->inner;
    out->read = read_probed;
    out->done = end_probed;
    out->state = p;
    return NULL;
}

/* All of the range by one thread. `out_large` NULL: whatever its size; else it may be set, and there is no answer. */
static err run_whole(struct series_source *s, const struct promql_node *e, struct str text,
                     const struct promql_options *o, bool *out_large, struct promql_answer *out) {
    atomic_bool stop = false;
    struct series_slice *x = slice_new(s, e, text, o, &stop);
    x->probe = (struct promql_source){select_probed};
    x->is_probing = out_large != NULL;
    run_slice(x);
    if (!x->failed) {
        *out = x->answer;
        return keep(s, x), NULL;
    }
    err failed = x->failed;
    if (x->is_large) {
        *out_large = true;
        err_free(failed);
        failed = NULL;
    }
    x->failed = NULL;
    slice_free(x);
    return failed;
}

/* ---- all slices -------------------------------------------------------------------------------------------------- */

/* Its steps, its share of the memory and of the samples. The first is run by the thread that asks, which alone knows whether somebody waits. */
static void share_out(struct series_source *s, struct series_slice *x, size_t k, size_t n) {
    const struct query *q = s->q;
    size_t steps = step_count(&x->options), first = steps * k / n, max = q->options.memory_max_bytes;
    uint64_t used = q->other_bytes + q->arena.used_bytes;
    uint64_t samples = x->options.samples_max ? x->options.samples_max : PROMQL_SAMPLES_MAX;
    x->options.slice_first = first;
    x->options.slice_n = steps * (k + 1) / n - first;
    x->options.samples_max = MAX(samples / n, 1);
    x->q.options.memory_max_bytes = used < max ? MAX((max - used) / n, 1) : 1;
    x->q.arena.limit_bytes = x->q.options.memory_max_bytes;
    if (k > 0) x->q.options.is_abandoned = NULL;
}

/* By threads of their own but for the first; where no thread can be started, one after the other. False: one failed. */
static bool run_all(struct series_slice **slices, size_t n) {
    bool failed = false;
    for (size_t k = 1; k < n; k++) err_free(thread_start(&slices[k]->thread, "promql", 0, run_slice, slices[k]));
    run_slice(slices[0]);
    for (size_t k = 1; k < n; k++) {
        if (slices[k]->thread)
            thread_join(slices[k]->thread);
        else
            run_slice(slices[k]);
    }
    for (size_t k = 0; k < n; k++) failed |= slices[k]->failed != NULL;
    return !failed;
}

/* The last of them holds what joins the others. */
static err join_all(struct series_source *s, struct series_slice **slices, size_t n, struct promql_answer *out) {
    struct promql_answer answers[PROMQL_SLICES_MAX];
    uint64_t bytes = s->q->other_bytes + s->q->arena.used_bytes;
    for (size_t k = 0; k < n; k++) answers[k] = slices[k]->answer;
    TRY(promql_join(&slices[n]->q.arena, answers, n, out));
    TRY(query_settle(&slices[n]->q));
    for (size_t k = 0; k <= n; k++) bytes += slices[k]->q.other_bytes + slices[k]->q.arena.used_bytes;
    if (bytes > s->q->options.memory_max_bytes)
        return err_new(ERR_LIMIT, "the slices need more memory than a query may use");
    for (size_t k = 0; k <= n; k++) keep(s, slices[k]);
    return NULL;
}

err series_run_in_slices(struct series_source *s, const struct promql_node *e, struct str text,
                         const struct promql_options *o, size_t n, struct promql_answer *out) {
    struct series_slice *slices[PROMQL_SLICES_MAX + 1];
    atomic_bool stop = false;
    for (size_t k = 0; k <= n; k++) slices[k] = slice_new(s, e, text, o, &stop);
    for (size_t k = 0; k < n; k++) share_out(s, slices[k], k, n);
    err failed = run_all(slices, n) ? join_all(s, slices, n, out) : err_new(ERR_CANCELLED, "a slice has failed");
    if (!failed) return NULL;
    err_free(failed);
    for (size_t k = 0; k <= n; k++) slice_free(slices[k]);
    TRY(query_check(s->q));
    return run_whole(s, e, text, o, NULL, out);
}

/* Less than 2: one run. */
static size_t slices_of(const struct series_source *s, const struct promql_node *e, const struct promql_options *o) {
    if (!s->cores || o->step_ms <= 0 || o->end_ms < o->start_ms || o->delayed_name_removal || !promql_is_sliceable(e))
        return 0;
    uint64_t span = (uint64_t)o->end_ms - (uint64_t)o->start_ms, n = span / (uint64_t)slice_ms_min;
    n = MIN(n, step_count(o) / 2); /* one step alone is evaluated as an instant */
    return n < 2 ? 0 : (size_t)MIN(n, (uint64_t)MIN(MAX(s->cores(), 1), SLICES));
}

err series_run(struct series_source *s, const struct promql_node *e, struct str text,
               const struct promql_options *options, struct promql_answer *out) {
    size_t n = slices_of(s, e, options);
    bool is_large = false;
    if (n < 2) return promql_run(&s->q->arena, &s->source, e, text, options, out);
    TRY(run_whole(s, e, text, options, &is_large, out));
    return is_large ? series_run_in_slices(s, e, text, options, n, out) : NULL;
}
