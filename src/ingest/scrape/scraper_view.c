/* What Prometheus's API says about targets (web/api/v1 targets.go of 3.5). */
#include "base/json.h"
#include "base/text.h"
#include "ingest/scrape/scrape_priv.h"
#include "signal/metrics/points.h"

static void write_labels(struct json_writer *w, const struct label *v, size_t n) {
    json_object(w);
    for (size_t i = 0; i < n; i++) {
        json_key(w, v[i].name);
        json_str(w, v[i].value);
    }
    json_object_end(w);
}

static struct str label_of(const struct scrape_target *t, struct str name) {
    for (uint32_t i = 0; i < t->labels.n; i++)
        if (str_equal(t->labels.v[i].name, name)) return t->labels.v[i].value;
    return STR("");
}

static void write_active(struct json_writer *w, const struct scrape_target *t) {
    static const char *const healths[] = {[HEALTH_UNKNOWN] = "unknown", [HEALTH_UP] = "up", [HEALTH_DOWN] = "down"};
    json_object(w);
    json_key(w, STR("discoveredLabels"));
    write_labels(w, t->discovered.v, t->discovered.n);
    json_key(w, STR("labels"));
    write_labels(w, t->own, t->own_n);
    json_member(w, "scrapePool", str, t->pool->job->name);
    json_member(w, "scrapeUrl", text, t->url);
    json_member(w, "globalUrl", text, t->url);
    json_member(w, "lastError", text, t->error);
    json_key(w, STR("lastScrape"));
    if (t->last_wall_ns)
        json_time(w, t->last_wall_ns);
    else
        json_text(w, "0001-01-01T00:00:00Z");
    json_member(w, "lastScrapeDuration", f64, (double)t->last_duration_ns / 1e9);
    json_member(w, "health", text, healths[t->health]);
    json_member(w, "scrapeInterval", str, label_of(t, STR("__scrape_interval__")));
    json_member(w, "scrapeTimeout", str, label_of(t, STR("__scrape_timeout__")));
    json_object_end(w);
}

static bool is_asked(const struct pool *p, struct str pool) { return !pool.n || str_equal(pool, p->job->name); }

void scraper_write_targets(struct scraper *s, struct json_writer *w, bool active, bool dropped, struct str pool) {
    lock_take(&s->lock);
    json_object(w);
    json_key(w, STR("activeTargets"));
    json_array(w);
    for (size_t p = 0; active && p < s->pools.n; p++)
        for (size_t i = 0; is_asked(s->pools.v[p], pool) && i < s->pools.v[p]->targets.n; i++)
            write_active(w, s->pools.v[p]->targets.v[i]);
    json_array_end(w);
    json_key(w, STR("droppedTargets"));
    json_array(w);
    for (size_t p = 0; dropped && p < s->pools.n; p++)
        for (size_t i = 0; is_asked(s->pools.v[p], pool) && i < s->pools.v[p]->dropped.n; i++) {
            const struct labels_pack *l = &s->pools.v[p]->dropped.v[i].discovered;
            json_object(w);
            json_key(w, STR("discoveredLabels"));
            write_labels(w, l->v, l->n);
            json_member(w, "scrapePool", str, s->pools.v[p]->job->name);
            json_object_end(w);
        }
    json_array_end(w);
    json_key(w, STR("droppedTargetCounts"));
    json_object(w);
    for (size_t p = 0; dropped && p < s->pools.n; p++) {
        if (!is_asked(s->pools.v[p], pool)) continue;
        json_key(w, s->pools.v[p]->job->name);
        json_u64(w, s->pools.v[p]->dropped_n);
    }
    json_object_end(w);
    json_object_end(w);
    lock_give(&s->lock);
}

void scraper_write_pools(struct scraper *s, struct json_writer *w) {
    lock_take(&s->lock);
    json_object(w);
    json_key(w, STR("scrapePools"));
    json_array(w);
    for (size_t p = 0; p < s->pools.n; p++) json_str(w, s->pools.v[p]->job->name);
    json_array_end(w);
    json_object_end(w);
    lock_give(&s->lock);
}

/* ---- metadata ------------------------------------------------------------------------------------------------------------ */

static const char *const type_names[METRIC_TYPES] = {"unknown",        "counter", "gauge", "histogram",
                                                     "gaugehistogram", "summary", "info",  "stateset"};

static struct str take_sized(const char **at) {
    uint32_t n;
    memcpy(&n, *at, sizeof n);
    struct str text = {*at + sizeof n, n};
    *at += sizeof n + n;
    return text;
}

static void write_metric(struct json_writer *w, const struct scrape_target *t, bool named, struct str name,
                         const char *type, struct str help, struct str unit) {
    json_object(w);
    json_key(w, STR("target"));
    write_labels(w, t->own, t->own_n);
    if (!named) json_member(w, "metric", str, name);
    json_member(w, "type", text, type);
    json_member(w, "help", str, help);
    json_member(w, "unit", str, unit);
    json_object_end(w);
}

static void write_of_target(struct json_writer *w, const struct scrape_target *t, struct str metric, int64_t *left) {
    const char *at = t->metadata ? t->metadata->bytes : NULL, *end = at ? at + t->metadata->n : NULL;
    while (at < end && *left != 0) {
        unsigned char type = (unsigned char)*at++;
        struct str name = take_sized(&at), help = take_sized(&at), unit = take_sized(&at);
        if (metric.n && !str_equal(metric, name)) continue;
        write_metric(w, t, metric.n > 0, name, type_names[type < METRIC_TYPES ? type : 0], help, unit);
        *left -= *left > 0;
    }
}

void scraper_write_metadata(struct scraper *s, struct json_writer *w, struct str metric, int64_t limit,
                            bool (*matches)(void *context, struct labels labels), void *context) {
    lock_take(&s->lock);
    json_array(w);
    for (size_t p = 0; p < s->pools.n; p++)
        for (size_t i = 0; i < s->pools.v[p]->targets.n && limit != 0; i++) {
            const struct scrape_target *t = s->pools.v[p]->targets.v[i];
            if (matches(context, (struct labels){t->own, t->own_n})) write_of_target(w, t, metric, &limit);
        }
    json_array_end(w);
    lock_give(&s->lock);
}

/* ---- figures --------------------------------------------------------------------------------------------------------------- */

void scraper_get_stats(struct scraper *s, struct scraper_stats *out) {
    lock_take(&s->lock);
    *out = s->stats;
    out->memory_bytes = 0;
    for (size_t p = 0; p < s->pools.n; p++)
        for (size_t i = 0; i < s->pools.v[p]->targets.n; i++)
            out->memory_bytes += s->pools.v[p]->targets.v[i]->kept_bytes;
    lock_give(&s->lock);
}

void scraper_put_problem(struct scraper *s, struct buf *out) {
    lock_take(&s->lock);
    buf_add_str(out, s->problem.n ? buf_str(&s->problem) : STR(""));
    lock_give(&s->lock);
}

void scraper_tell_none(struct scraper *s, void (*tell)(void *context, struct str text), void *context) {
    AUTO_BUF struct buf text;
    buf_init(&text, 64 * KIB);
    lock_take(&s->lock);
    for (size_t i = 0, told = 0; i < s->pools.n && told < SCRAPE_TOLD_JOBS_MAX; i++) {
        const struct pool *p = s->pools.v[i];
        if (!p->none_n) continue;
        buf_clear(&text);
        buf_add_fmt(&text, "Job " STR_FMT " names %llu %s cannot be scraped, first ", STR_ARG(p->job->name),
                    (unsigned long long)p->none_n, p->none_n == 1 ? "target that" : "targets that");
        buf_add_text(&text, p->none);
        tell(context, buf_str(&text));
        told++;
    }
    lock_give(&s->lock);
}
