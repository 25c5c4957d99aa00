/* The discover thread: the file, and the targets that it names. */
#include <stdatomic.h>

#include "base/log.h"
#include "ingest/scrape/scrape_priv.h"
#include "os/clock.h"

#define LOOK_NS ((int64_t)5 * 1000000000)

static void tell_findings(const struct scrape_config *c) {
    for (size_t i = 0; i < c->findings.n; i++) {
        if (c->findings.v[i].is_fault)
            log_error("a scrape config is not run", F_STR("why", c->findings.v[i].text));
        else
            log_warn("a setting of scraping is not acted on", F_STR("what", c->findings.v[i].text));
    }
}

static void adopt(struct scraper *s, struct scrape_config *c) {
    tell_findings(c);
    discovery_free(s->discovery);
    s->discovery = discovery_new(c, s->options.budget, &s->ending);
    s->discover_ns = 0;
    lock_take(&s->lock);
    for (size_t i = 0; i < s->posted.n; i++) pool_free(s->posted.v[i], s->options.budget);
    vec_clear(&s->posted);
    scrape_config_unref(s->posted_config);
    s->posted_config = c;
    buf_clear(&s->problem);
    for (size_t i = 0; i < c->findings.n; i++)
        if (c->findings.v[i].is_fault) {
            buf_add_fmt(&s->problem, "%s", s->problem.n ? "; " : "");
            buf_add_str(&s->problem, c->findings.v[i].text);
        }
    s->problem.full = false;
    s->stats.reload_ok = true;
    s->stats.reloaded_ns = scraper_wall(s);
    lock_give(&s->lock);
    http_fetcher_wake(s->fetcher);
}

static void refuse(struct scraper *s, err e) {
    log_error("the scrape configuration is not taken; the one before stays", F_ERR(e));
    lock_take(&s->lock);
    buf_clear(&s->problem);
    buf_add_text(&s->problem, err_text(e));
    s->stats.reload_ok = false;
    s->stats.reloads_failed++;
    lock_give(&s->lock);
    err_free(e);
}

err scraper_open_file(struct scraper *s) {
    struct scrape_config *c;
    TRY(path_stamp_read(s->path, &s->stamp));
    TRY(scrape_config_read(s->path, &c));
    adopt(s, c);
    s->look_ns = clock_monotonic_ns() + LOOK_NS;
    return NULL;
}

static void look_at_file(struct scraper *s, bool asked) {
    struct path_stamp stamp = {0};
    struct scrape_config *c;
    err e = path_stamp_read(s->path, &stamp);
    if (!asked && path_stamp_equal(&stamp, &s->stamp)) {
        err_free(e);
        return; /* also one that is still missing */
    }
    s->stamp = stamp;
    if (!e) e = scrape_config_read(s->path, &c);
    if (e)
        refuse(s, e);
    else
        adopt(s, c);
}

static void post(void *context, struct pool *p) {
    struct scraper *s = context;
    lock_take(&s->lock);
    *vec_push(&s->posted) = p;
    lock_give(&s->lock);
    http_fetcher_wake(s->fetcher);
}

void scraper_follow_file_wait(struct scraper *s) {
    int64_t now = clock_monotonic_ns();
    lock_take(&s->lock);
    bool asked = s->reload;
    s->reload = false;
    lock_give(&s->lock);
    if (asked || now >= s->look_ns) {
        look_at_file(s, asked);
        s->look_ns = now + LOOK_NS;
    }
    if (now >= s->discover_ns) s->discover_ns = discovery_turn_wait(s->discovery, now, post, s);
}
