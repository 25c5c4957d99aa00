/* What is scraped, in Prometheus's words. */
#include "api/prometheus/prometheus_priv.h"
#include "base/text.h"
#include "ingest/scrape/scrape.h"

/* Who scrapes for the caller's tenant: all that is scraped is of `default`. */
static struct scraper *scraper_of(struct prometheus *p) {
    return str_equal(call_tenant(p->c), STR("default")) ? p->c->api->options.scraper : NULL;
}

static bool is_any(struct str state, const char *which) {
    return !state.n || str_equal_nocase(state, STR("any")) || str_equal_nocase(state, str_of(which));
}

static err fill_targets(struct prometheus *p) {
    struct scraper *s = scraper_of(p);
    struct str state = call_text(p->c, "state"), pool = call_text(p->c, "scrapePool");
    if (s)
        scraper_write_targets(s, &p->a.w, is_any(state, "active"), is_any(state, "dropped"), pool);
    else
        json_raw(&p->a.w, STR("{\"activeTargets\":[],\"droppedTargets\":[],\"droppedTargetCounts\":{}}"));
    return NULL;
}
void handle_prometheus_targets(struct api_call *c) { prometheus_answer(c, fill_targets); }

static err fill_pools(struct prometheus *p) {
    if (scraper_of(p))
        scraper_write_pools(scraper_of(p), &p->a.w);
    else
        json_raw(&p->a.w, STR("{\"scrapePools\":[]}"));
    return NULL;
}
void handle_prometheus_pools(struct api_call *c) { prometheus_answer(c, fill_pools); }

struct wanted {
    struct label_matcher *v;
    uint32_t n;
};

static bool is_wanted(void *context, struct labels labels) {
    const struct wanted *w = context;
    return label_matchers_match(w->v, w->n, labels);
}

static err fill_metadata(struct prometheus *p) {
    struct scraper *s = scraper_of(p);
    struct str match = call_text(p->c, "match_target");
    struct wanted wanted = {0};
    int64_t limit = -1;
    if (call_given(p->c, "limit")) {
        err e = parse_i64(call_text(p->c, "limit"), &limit);
        if (e) {
            err_free(e);
            return prometheus_bad(p, err_new(ERR_INVALID, "limit must be a number"));
        }
    }
    if (match.n) TRY(prometheus_bad(p, prometheus_match(p, match, &wanted.v, &wanted.n)));
    if (s)
        scraper_write_metadata(s, &p->a.w, call_text(p->c, "metric"), limit, is_wanted, &wanted);
    else
        json_raw(&p->a.w, STR("[]"));
    for (uint32_t i = 0; i < wanted.n; i++) label_matcher_done(&wanted.v[i]);
    return NULL;
}
void handle_prometheus_targets_metadata(struct api_call *c) { prometheus_answer(c, fill_metadata); }

/* ---- notifications ---------------------------------------------------------------------------------------------- */

/* Prometheus has the first alone: it takes a file whole or not at all. */
static const char *notification_of(bool taken) {
    return taken ? "Configuration is taken without what is wrong in it: " : "Configuration reload has failed: ";
}

static void put_notification(void *context, struct str text) {
    struct prometheus *p = context;
    struct json_writer *w = &p->a.w;
    json_object(w);
    json_member(w, "text", str, text);
    json_member(w, "date", time, p->c->now_ns);
    json_member(w, "active", bool, true);
    json_object_end(w);
}

static err fill_notifications(struct prometheus *p) {
    struct json_writer *w = &p->a.w;
    struct scraper *s = scraper_of(p);
    struct scraper_stats stats = {.reload_ok = true};
    AUTO_BUF struct buf text;
    size_t begun = 0;
    buf_init(&text, 64 * KIB);
    if (s) {
        scraper_get_stats(s, &stats);
        buf_add_text(&text, notification_of(stats.reload_ok));
        begun = text.n;
        scraper_put_problem(s, &text);
    }
    json_array(w);
    if (s && (!stats.reload_ok || text.n > begun)) put_notification(p, buf_str(&text));
    if (s) scraper_tell_none(s, put_notification, p);
    json_array_end(w);
    return NULL;
}
void handle_prometheus_notifications(struct api_call *c) { prometheus_answer(c, fill_notifications); }
