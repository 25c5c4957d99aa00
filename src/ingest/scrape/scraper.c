#include "ingest/scrape/scrape_priv.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "ingest/ingest.h"
#include "ingest/scrape/http_priv.h"
#include "os/clock.h"

#define MS ((int64_t)1000000)
#define SECOND_NS (1000 * MS)
#define ALIGN_NS (2 * MS)   /* how far from its time a scrape may be and still bear it */
#define RETRY_NS (100 * MS) /* of a batch for which the store was busy */
#define PLACE_NS (10 * MS)  /* when to look again for a place among the fetches */

int64_t scraper_wall(const struct scraper *s) { return s->options.wall_ns ? s->options.wall_ns() : clock_wall_ns(); }

/* ---- batches on their way ------------------------------------------------------------------------------------------------ */

static void on_stored(void *context, err e, const struct ingest_outcome *outcome) {
    struct scraper *s = context;
    if (e) log_warn("a scrape could not be stored", F_ERR(e));
    lock_take(&s->lock);
    s->stats.dropped_batches += e != NULL;
    if (outcome) s->stats.refused_samples += outcome->rejected;
    if (--s->under_way == 0) flag_wake_all(&s->landed);
    lock_give(&s->lock);
    err_free(e);
}

/* Takes the blob; *out_busy: try it again later, and it is still the caller's. */
static err append(struct scraper *s, struct batch_blob *blob, bool *out_busy) {
    lock_take(&s->lock);
    s->under_way++;
    lock_give(&s->lock);
    err e = ingest_points(s->options.ingest, STR("default"), INGEST_COLLECTED, batch_ref(blob), on_stored, s);
    *out_busy = e && err_kind(e) == ERR_BUSY;
    if (!e || !*out_busy) batch_unref(blob);
    if (!e) return NULL;
    lock_take(&s->lock);
    if (--s->under_way == 0) flag_wake_all(&s->landed);
    s->stats.dropped_batches += !*out_busy;
    lock_give(&s->lock);
    return e;
}

static void give_up(struct scraper *s, struct scrape_target *t) {
    batch_unref(t->pending);
    t->pending = NULL;
    lock_take(&s->lock);
    s->stats.dropped_batches++;
    lock_give(&s->lock);
}

static void set_error(struct scraper *s, struct scrape_target *t, const char *text) {
    lock_take(&s->lock);
    t->health = HEALTH_DOWN;
    snprintf(t->error, sizeof t->error, "%s", text);
    lock_give(&s->lock);
}

/* The store may be busy for a moment: one batch of a target waits, until the scrape's timeout. */
static void deliver(struct scraper *s, struct scrape_target *t, struct batch_blob *blob, int64_t until_ns) {
    bool busy;
    if (t->pending) give_up(s, t);
    if (!blob) return;
    err e = append(s, blob, &busy);
    if (busy && clock_monotonic_ns() < until_ns) {
        t->pending = blob;
        t->pending_until_ns = until_ns;
        t->retry_ns = clock_monotonic_ns() + RETRY_NS;
        s->next_ns = MIN(s->next_ns, t->retry_ns);
    } else if (e) {
        log_warn("a scrape is not stored", F_TEXT("target", t->url), F_ERR(e));
        set_error(s, t, err_text(e));
        if (busy) {
            t->pending = blob;
            give_up(s, t);
        }
    }
    err_free(e);
}

/* ---- the end of a scrape ---------------------------------------------------------------------------------------------------- */

static err format_of(const struct scrape_job *job, const char *content_type, int *out) {
    struct str type, rest;
    str_cut(str_of(content_type), ';', &type, &rest);
    type = str_trim(type);
    *out = job->fallback;
    if (str_equal_nocase(type, STR("application/openmetrics-text")))
        *out = SCRAPE_OPENMETRICS;
    else if (str_equal_nocase(type, STR("text/plain")))
        *out = SCRAPE_TEXT;
    if (*out >= 0) return NULL;
    if (!type.n)
        return err_new(ERR_INVALID, "non-compliant scrape target sending blank Content-Type and no "
                                    "fallback_scrape_protocol specified for target");
    return err_new(ERR_INVALID,
                   "received unsupported Content-Type \"%s\" and no fallback_scrape_protocol specified for target",
                   content_type);
}

static err take_answer(struct scraper *s, struct scrape_target *t, const struct http_answer *answer,
                       struct digest_result *out) {
    int format;
    if (answer->status != 200) return err_new(ERR_UNAVAILABLE, "server returned HTTP status %d", answer->status);
    TRY(format_of(t->pool->job, answer->content_type, &format));
    return digest_body(&s->digest, t, format, answer->body.n ? buf_str(&answer->body) : STR(""), t->scrape_wall_ns / MS,
                       s->options.store, s->options.budget, out);
}

static void drop_metadata(struct scraper *s, struct scrape_metadata *m) {
    if (!m || --m->count) return;
    for (size_t i = 0; i < s->metadata.n; i++)
        if (s->metadata.v[i] == m) s->metadata.v[i] = s->metadata.v[--s->metadata.n];
    mem_free(m);
}

/* What many targets say alike is kept once. Under the lock. */
static void keep_metadata(struct scraper *s, struct scrape_target *t, struct str bytes) {
    struct hash128 id = hash_wide(bytes.p ? bytes.p : "", bytes.n);
    struct scrape_metadata *m = NULL;
    if (t->metadata && hash128_equal(t->metadata->id, id)) return;
    drop_metadata(s, take(&t->metadata));
    for (size_t i = 0; i < s->metadata.n && !m; i++)
        if (hash128_equal(s->metadata.v[i]->id, id)) m = s->metadata.v[i];
    if (!m) {
        m = mem_new(sizeof *m + bytes.n);
        *m = (struct scrape_metadata){.id = id, .n = (uint32_t)bytes.n};
        if (bytes.n) memcpy(m->bytes, bytes.p, bytes.n);
        *vec_push(&s->metadata) = m;
    }
    m->count++;
    t->metadata = m;
}

static void note_outcome(struct scraper *s, struct scrape_target *t, err e, const struct scrape_report *r) {
    lock_take(&s->lock);
    t->health = e ? HEALTH_DOWN : HEALTH_UP;
    snprintf(t->error, sizeof t->error, "%s", err_text(e));
    t->last_wall_ns = t->scrape_wall_ns;
    t->last_duration_ns = clock_monotonic_ns() - t->began_ns;
    if (!e) keep_metadata(s, t, s->digest.labels.n ? buf_str(&s->digest.labels) : STR(""));
    s->stats.scrapes++;
    s->stats.failed += e != NULL;
    s->stats.samples += r->result.samples;
    s->stats.relabelled = s->digest.relabelled;
    lock_give(&s->lock);
}

static void tell(struct scraper *s, struct scrape_target *t, err e, const struct scrape_report *r) {
    const struct log_field fields[] = {F_STR("job", t->pool->job->name), F_TEXT("url.full", t->url),
                                       F_U64("samples", r->result.samples)};
    work_tell(&s->options.watch, "scrape", clock_monotonic_ns() - t->began_ns, e ? err_text(e) : NULL, fields,
              LENGTH(fields));
}

/* e is the callee's. */
static void finish(struct scraper *s, struct scrape_target *t, err e, const struct http_answer *answer) {
    struct scrape_report r = {0};
    int64_t time_ms = t->scrape_wall_ns / MS;
    digest_begin(&s->digest, t);
    if (!e) e = take_answer(s, t, answer, &r.result);
    r.up = e == NULL;
    note_outcome(s, t, e, &r); /* before labels of the digest are used again */
    if (e) log_debug("scrape failed", F_TEXT("target", t->url), F_ERR(e));
    digest_ends(&s->digest, t, time_ms);
    r.duration_s = (double)(clock_monotonic_ns() - t->began_ns) / 1e9;
    digest_report(&s->digest, t, &r, time_ms);
    t->reported = true;
    t->last_time_ms = time_ms;
    deliver(s, t, digest_finish(&s->digest), t->began_ns + t->timeout_ns);
    if (!series_cache_settle(&t->series, s->options.budget, e != NULL))
        set_error(s, t, "over memory.limit: what is known of its series was let go");
    lock_take(&s->lock);
    t->kept_bytes = series_cache_bytes(&t->series);
    lock_give(&s->lock);
    tell(s, t, e, &r);
    err_free(e);
}

/* ---- its beginning ---------------------------------------------------------------------------------------------------------- */

struct scrape_call {
    struct scraper *s;
    struct scrape_target *t;
    struct http_texts texts;
    char timeout[64];
};

static void call_end(struct scrape_call *c) {
    http_texts_done(&c->texts);
    mem_free(c);
}

static void free_target(struct scraper *s, struct scrape_target *t) {
    if (t->call) call_end(t->call); /* the fetcher is gone */
    drop_metadata(s, take(&t->metadata));
    target_free(t, s->options.budget);
}

static void forget_leaving(struct scraper *s, struct scrape_target *t) {
    for (size_t i = 0; i < s->leaving.n; i++)
        if (s->leaving.v[i] == t) s->leaving.v[i] = s->leaving.v[--s->leaving.n];
    lock_take(&s->lock);
    free_target(s, t);
    lock_give(&s->lock);
}

static void on_fetched(void *context, err e, const struct http_answer *answer) {
    struct scrape_call *c = context;
    c->t->call = NULL;
    if (c->t->gone) {
        forget_leaving(c->s, c->t);
        err_free(e);
    } else {
        finish(c->s, c->t, e, answer);
    }
    call_end(c);
}

static err fetch(struct scraper *s, struct scrape_target *t) {
    const struct scrape_job *job = t->pool->job;
    if (*t->pool->error) return err_new(ERR_LIMIT, "%s", t->pool->error);
    if (http_fetcher_busy(s->fetcher) >= http_fetcher_max(s->fetcher))
        return err_new(ERR_BUSY, "more than %zu scrapes at once: others did not end in time",
                       http_fetcher_max(s->fetcher));
    struct scrape_call *c = mem_new_of(struct scrape_call);
    struct http_fetch f = {.body_max = job->body_bytes_max ? job->body_bytes_max : SCRAPE_BODY_BYTES_MAX,
                           .budget = s->options.budget,
                           .gzip = job->gzip,
                           .once = s->stats.targets > http_fetcher_max(s->fetcher),
                           .done = on_fetched,
                           .context = c};
    c->s = s;
    c->t = t;
    snprintf(c->timeout, sizeof c->timeout, "X-Prometheus-Scrape-Timeout-Seconds: %.10g", (double)t->timeout_ns / 1e9);
    const char *fields[] = {job->accept, "User-Agent: clew/" CLEW_VERSION, c->timeout, NULL};
    err e = http_texts_fill(&c->texts, &job->http, t->url, t->timeout_ns, fields, &f);
    if (!e) e = http_fetch_start(s->fetcher, &f);
    if (e)
        call_end(c);
    else
        t->call = c;
    return e;
}

/* The time that a scrape bears: the one it was due at, if it is near. */
static int64_t align(struct scrape_target *t, int64_t wall_ns) {
    int64_t interval = t->interval_ns, tolerance = MIN(interval / 100, ALIGN_NS), late = wall_ns - t->aligned_wall_ns;
    if (late < -interval || late > 100 * interval) t->aligned_wall_ns = wall_ns; /* the clock was set */
    while (wall_ns - t->aligned_wall_ns >= interval) t->aligned_wall_ns += interval;
    late = wall_ns - t->aligned_wall_ns;
    return late <= tolerance && late >= -tolerance ? t->aligned_wall_ns : wall_ns;
}

/* False: no place is free, and its timeout leaves it time to wait for one. */
static bool begin(struct scraper *s, struct scrape_target *t, int64_t now_ns) {
    if (!t->call && now_ns - t->due_ns < t->timeout_ns && http_fetcher_busy(s->fetcher) >= http_fetcher_max(s->fetcher))
        return false;
    t->due_ns += t->interval_ns;
    if (t->due_ns <= now_ns) t->due_ns += (now_ns - t->due_ns) / t->interval_ns * t->interval_ns + t->interval_ns;
    if (t->call) return true; /* cannot be for long: the timeout is at most the interval */
    t->began_ns = now_ns;
    t->scrape_wall_ns = align(t, scraper_wall(s));
    err e = fetch(s, t);
    if (e) finish(s, t, e, NULL);
    return true;
}

/* Its own moment in each interval, the same after a restart: spread by what it is, not by when clew saw it. */
static void schedule(struct scraper *s, struct scrape_target *t) {
    int64_t wall = scraper_wall(s), now = clock_monotonic_ns(), interval = t->interval_ns;
    uint64_t seed = hash_bytes(t->url, strlen(t->url));
    for (uint32_t i = 0; i < t->own_n; i++) seed = hash_bytes_seed(t->own[i].value.p, t->own[i].value.n, seed);
    int64_t next = interval - wall % interval + (int64_t)(seed % (uint64_t)interval);
    if (next > interval) next -= interval;
    t->due_ns = now + next;
    t->aligned_wall_ns = wall + next;
}

static void turn_target(struct scraper *s, struct scrape_target *t, int64_t now_ns) {
    if (t->pending && t->retry_ns <= now_ns) deliver(s, t, take(&t->pending), t->pending_until_ns);
    if (t->due_ns <= now_ns)
        *vec_push(&s->due) = t;
    else
        s->next_ns = MIN(s->next_ns, t->due_ns);
    if (t->pending) s->next_ns = MIN(s->next_ns, t->retry_ns);
}

static int by_due(const void *x, const void *y) {
    const struct scrape_target *a = *(struct scrape_target *const *)x, *b = *(struct scrape_target *const *)y;
    return a->due_ns < b->due_ns ? -1 : a->due_ns > b->due_ns;
}

/* Who has waited longest comes first: targets that hang take places, and nobody is left out for ever. */
static void turn_targets(struct scraper *s) {
    int64_t now = clock_monotonic_ns();
    if (now < s->next_ns) return;
    s->next_ns = INT64_MAX;
    vec_clear(&s->due);
    for (size_t p = 0; p < s->pools.n; p++)
        for (size_t i = 0; i < s->pools.v[p]->targets.n; i++) turn_target(s, s->pools.v[p]->targets.v[i], now);
    if (s->due.n > 1) qsort(s->due.v, s->due.n, sizeof *s->due.v, by_due);
    for (size_t i = 0; i < s->due.n; i++) {
        bool begun = begin(s, s->due.v[i], now);
        s->next_ns = MIN(s->next_ns, begun ? s->due.v[i]->due_ns : now + PLACE_NS);
        if (!begun) break; /* those behind it have waited less */
    }
}

/* ---- pools that come and go ---------------------------------------------------------------------------------------------------- */

/* It is scraped no more: its series end. */
static void retire(struct scraper *s, struct scrape_target *t) {
    int64_t time_ms = MAX(scraper_wall(s) / MS, t->last_time_ms + 1);
    bool busy;
    digest_begin(&s->digest, t);
    digest_ends(&s->digest, t, time_ms);
    if (t->reported) digest_report(&s->digest, t, NULL, time_ms);
    struct batch_blob *blob = digest_finish(&s->digest);
    err e = blob ? append(s, blob, &busy) : NULL;
    if (e) {
        log_warn("the end of a target's series is not stored", F_TEXT("target", t->url), F_ERR(e));
        if (busy) batch_unref(blob);
    }
    err_free(e);
    t->gone = true;
    if (t->call)
        *vec_push(&s->leaving) = t;
    else
        forget_leaving(s, t);
}

/* The old object goes on in the place of the new one, with what it knows. */
static void carry_over(struct scraper *s, struct scrape_target **to, struct scrape_target *old) {
    struct scrape_target *made = *to;
    if (old->pool->job->metrics_hash != made->pool->job->metrics_hash) series_cache_forget(&old->series);
    old->pool = made->pool;
    struct labels_pack discovered = old->discovered;
    old->discovered = made->discovered;
    made->discovered = discovered;
    *to = old;
    target_free(made, s->options.budget);
}

static int compare_ids(struct hash128 a, struct hash128 b) {
    return a.low != b.low ? (a.low < b.low ? -1 : 1) : a.high < b.high ? -1 : a.high > b.high;
}

/* Both are sorted by id. What is in `old` alone stays there. */
static void match_targets(struct scraper *s, struct pool *made, struct pool *old) {
    size_t left = 0, k = 0;
    for (size_t i = 0; i < old->targets.n; i++) {
        struct scrape_target *t = old->targets.v[i];
        while (k < made->targets.n && compare_ids(made->targets.v[k]->id, t->id) < 0) k++;
        if (k < made->targets.n && hash128_equal(made->targets.v[k]->id, t->id))
            carry_over(s, &made->targets.v[k], t);
        else
            old->targets.v[left++] = t;
    }
    old->targets.n = left;
}

static void retire_pool(struct scraper *s, struct pool *p) {
    for (size_t i = 0; i < p->targets.n; i++) retire(s, p->targets.v[i]);
    p->targets.n = 0;
    pool_free(p, s->options.budget);
}

static void count_targets(struct scraper *s) {
    s->stats.targets = 0;
    for (size_t i = 0; i < s->pools.n; i++) s->stats.targets += s->pools.v[i]->targets.n;
}

static void take_pool(struct scraper *s, struct pool *made) {
    struct pool *old = NULL;
    lock_take(&s->lock);
    for (size_t i = 0; i < s->pools.n && !old; i++) {
        if (!str_equal(s->pools.v[i]->job->name, made->job->name)) continue;
        old = s->pools.v[i];
        s->pools.v[i] = made;
    }
    if (old)
        match_targets(s, made, old);
    else
        *vec_push(&s->pools) = made;
    count_targets(s);
    lock_give(&s->lock);
    for (size_t i = 0; i < made->targets.n; i++)
        if (!made->targets.v[i]->due_ns) schedule(s, made->targets.v[i]);
    if (old) retire_pool(s, old);
    s->next_ns = 0;
}

static bool has_job(const struct scrape_config *c, struct str name) {
    for (uint32_t i = 0; i < c->job_n; i++)
        if (str_equal(c->jobs[i].name, name)) return true;
    return false;
}

static void take_config(struct scraper *s, struct scrape_config *config) {
    for (size_t i = 0; i < s->pools.n;) {
        struct pool *p = s->pools.v[i];
        if (has_job(config, p->job->name)) {
            i++;
            continue;
        }
        lock_take(&s->lock);
        memmove(&s->pools.v[i], &s->pools.v[i + 1], (s->pools.n - i - 1) * sizeof *s->pools.v);
        s->pools.n--;
        count_targets(s);
        lock_give(&s->lock);
        retire_pool(s, p);
    }
    scrape_config_unref(config);
}

static void take_posted(struct scraper *s) {
    lock_take(&s->lock);
    __typeof__(s->posted) posted = s->posted;
    struct scrape_config *config = take(&s->posted_config);
    memset(&s->posted, 0, sizeof s->posted);
    lock_give(&s->lock);
    if (config) take_config(s, config);
    for (size_t i = 0; i < posted.n; i++) take_pool(s, posted.v[i]);
    vec_done(&posted);
}

/* ---- threads ---------------------------------------------------------------------------------------------------------------------- */

static void scrape_once_wait(struct scraper *s, int64_t until_ns) {
    take_posted(s);
    turn_targets(s);
    http_fetcher_run_wait(s->fetcher, MIN(s->next_ns, until_ns));
}

static void scrape_loop(void *context) {
    struct scraper *s = context;
    while (!atomic_load(&s->ending)) scrape_once_wait(s, clock_monotonic_ns() + SECOND_NS);
}

static void discover_loop(void *context) {
    struct scraper *s = context;
    while (!atomic_load(&s->ending)) {
        scraper_follow_file_wait(s);
        lock_take(&s->lock);
        int64_t next = s->reload ? 0 : MIN(s->look_ns, s->discover_ns);
        if (!atomic_load(&s->ending) && next > clock_monotonic_ns()) flag_wait_until(&s->wake, &s->lock, next);
        lock_give(&s->lock);
    }
}

void scraper_turn_wait(struct scraper *s, int64_t until_ns) {
    do {
        scraper_follow_file_wait(s);
        scrape_once_wait(s, MIN(until_ns, clock_monotonic_ns() + 20 * MS));
    } while (clock_monotonic_ns() < until_ns);
}

err scraper_new(const struct scraper_options *options, struct scraper **out) {
    struct scraper *s = mem_new_of(struct scraper);
    s->options = *options;
    s->path = str_dup(str_of(options->path));
    lock_init(&s->lock);
    flag_init(&s->wake);
    flag_init(&s->landed);
    buf_init(&s->problem, 4 * KIB);
    digest_init(&s->digest);
    s->next_ns = INT64_MAX;
    err e = http_fetcher_new(&s->fetcher);
    if (!e) e = scraper_open_file(s);
    if (!e && !options->paused) e = thread_start(&s->discover, "discover", 0, discover_loop, s);
    if (!e && !options->paused) e = thread_start(&s->scrape, "scrape", 0, scrape_loop, s);
    if (e)
        scraper_free(s);
    else
        *out = s;
    return e;
}

static void free_pools(struct scraper *s) {
    for (size_t i = 0; i < s->pools.n; i++) {
        struct pool *p = s->pools.v[i];
        for (size_t k = 0; k < p->targets.n; k++) free_target(s, p->targets.v[k]);
        p->targets.n = 0;
        pool_free(p, s->options.budget);
    }
    for (size_t i = 0; i < s->posted.n; i++) pool_free(s->posted.v[i], s->options.budget);
    for (size_t i = 0; i < s->leaving.n; i++) free_target(s, s->leaving.v[i]);
    vec_done(&s->pools);
    vec_done(&s->posted);
    vec_done(&s->leaving);
    vec_done(&s->due);
    vec_done(&s->metadata);
}

/* As Prometheus does: series do not end because it is stopped. What is being fetched is let go. */
void scraper_stop(struct scraper *s) {
    if (!s) return;
    atomic_store(&s->ending, true);
    if (s->fetcher) http_fetcher_wake(s->fetcher);
    lock_take(&s->lock);
    flag_wake_all(&s->wake);
    lock_give(&s->lock);
    thread_join(take(&s->scrape));
    thread_join(take(&s->discover));
}

void scraper_free(struct scraper *s) {
    if (!s) return;
    scraper_stop(s);
    lock_take(&s->lock);
    while (s->under_way && !s->options.paused) flag_wait(&s->landed, &s->lock);
    lock_give(&s->lock);
    http_fetcher_free(s->fetcher);
    free_pools(s);
    discovery_free(s->discovery);
    scrape_config_unref(s->posted_config);
    digest_done(&s->digest);
    buf_done(&s->problem);
    mem_free(s->path);
    lock_done(&s->lock);
    flag_done(&s->wake);
    flag_done(&s->landed);
    mem_free(s);
}

void scraper_reload(struct scraper *s) {
    lock_take(&s->lock);
    s->reload = true;
    flag_wake_all(&s->wake);
    lock_give(&s->lock);
}
