#include "app/load_stories.h"

#include "base/json.h"
#include "base/text.h"

enum { UPGRADE = 8000, AROUND = 50000 };
#define SECOND ((int64_t)1000000000)

/* A story: when, what happened, and what to ask the page for (without times, percent-encoded). */
static const struct story_row {
    const char *name, *what;
    uint32_t from, until;
    const char *traces, *logs;
} rows[STORIES] = {
    [STORY_SLOW_QUERY] = {"slow query", "the statement that lists products takes seconds, for one category", 300000,
                          450000,
                          "service=catalog&min_duration=1s&where=product.category%3D" SLOW_CATEGORY "&order=longest",
                          "service=catalog&severity=warn&text=%22slow+query%22"},
    [STORY_PAYMENT] = {"error burst", "payment fails while the acquirer answers 503", 570000, 670000,
                       "service=payment&status=error&where=error.type%3DAcquirerUnavailable",
                       "service=payment&severity=error&text=503"},
    [STORY_VERSION] = {"new version",
                       "recommendation " VERSION_BAD " is ten times as slow as " VERSION_BEFORE "; " VERSION_MENDED
                       " mends it",
                       750000, 900000, "service=recommendation&where=service.version%3D" VERSION_BAD "&order=longest",
                       "service=recommendation&severity=warn&where=service.version%3D" VERSION_BAD},
};

bool story_is_on(enum story s, uint32_t moment) { return moment && moment >= rows[s].from && moment < rows[s].until; }

const char *story_version(const char *service, unsigned instance, uint32_t moment) {
    if (!str_equal(str_of(service), STR("recommendation"))) return "1.4.2";
    uint32_t later = instance ? UPGRADE : 0;
    if (moment < rows[STORY_VERSION].from + later) return VERSION_BEFORE;
    return moment < rows[STORY_VERSION].until - UPGRADE + later ? VERSION_BAD : VERSION_MENDED;
}

/* ---- links ------------------------------------------------------------------------------------------------------- */

struct told {
    struct str server;
    int64_t first_ns, over_ns;
};

static int64_t time_of(const struct told *t, int64_t moment) {
    int64_t ns = t->first_ns + (int64_t)((__int128)t->over_ns * moment / STORY_END);
    return ns / SECOND * SECOND;
}

/* ?start=…&end=…: the story's time and a little before and after it. */
static void put_range(struct buf *out, const struct told *t, const struct story_row *r) {
    buf_add_text(out, "?start=");
    put_time(out, time_of(t, (int64_t)r->from - AROUND));
    buf_add_text(out, "&end=");
    put_time(out, time_of(t, (int64_t)r->until + AROUND));
}

/* One of the page's addresses of a story. */
enum link { LINK_HOME, LINK_TRACE, LINK_TRACES, LINK_LOGS, LINKS };
static const char *const link_names[LINKS] = {"services", "trace", "traces", "logs"};

static void put_link(struct buf *out, const struct told *t, const struct story_row *r, const struct story_evidence *e,
                     enum link link) {
    buf_add_str(out, t->server);
    buf_add_text(out, link == LINK_TRACES  ? "/traces"
                      : link == LINK_LOGS  ? "/logs"
                      : link == LINK_TRACE ? "/trace/"
                                           : "/");
    if (link == LINK_TRACE) {
        put_hex(out, e->trace, sizeof e->trace);
        buf_add_text(out, "?span=");
        put_hex(out, &e->span, sizeof e->span);
        return;
    }
    put_range(out, t, r);
    if (link != LINK_HOME) buf_add_fmt(out, "&%s", link == LINK_TRACES ? r->traces : r->logs);
}

void stories_put_text(struct buf *out, struct str server, int64_t first_ns, int64_t over_ns,
                      const struct story_evidence found[STORIES]) {
    struct told t = {server, first_ns, over_ns};
    for (int s = 0; s < STORIES; s++) {
        if (!found[s].traces) continue;
        buf_add_fmt(out, "\n%s: %s\n", rows[s].name, rows[s].what);
        for (int link = 0; link < LINKS; link++) {
            buf_add_fmt(out, "  %-9s ", link_names[link]);
            put_link(out, &t, &rows[s], &found[s], (enum link)link);
            buf_add_byte(out, '\n');
        }
    }
}

void stories_put_json(struct json_writer *w, struct str server, int64_t first_ns, int64_t over_ns,
                      const struct story_evidence found[STORIES]) {
    struct told t = {server, first_ns, over_ns};
    AUTO_BUF struct buf url;
    buf_init(&url, 64 * KIB);
    json_array(w);
    for (int s = 0; s < STORIES; s++) {
        if (!found[s].traces) continue;
        json_object(w);
        json_member(w, "name", text, rows[s].name);
        json_member(w, "what", text, rows[s].what);
        json_member(w, "traces", u64, found[s].traces);
        json_key(w, STR("links"));
        json_object(w);
        for (int link = 0; link < LINKS; link++) {
            buf_clear(&url);
            put_link(&url, &t, &rows[s], &found[s], (enum link)link);
            json_key(w, str_of(link_names[link]));
            json_str(w, buf_str(&url));
        }
        json_object_end(w);
        json_object_end(w);
    }
    json_array_end(w);
}
