#include "query/series/rolled_priv.h"

#include <math.h>
#include <stdlib.h>

#include "base/text.h"
#include "os/clock.h"
#include "query/query_priv.h"

static const int64_t day_ns = 86400 * (int64_t)1000000000, hour_ns = 3600 * (int64_t)1000000000, ms_ns = 1000000;
enum { STEPS_A_WINDOW = 10, EXEMPLARS_MAX = 50, TEXTS_DAYS = 31, UNMATCHED_MINUTES = 1 };

/* ---- names ------------------------------------------------------------------------------------------------------ */

enum value { VALUE_CALLS, VALUE_FAILED, VALUE_SECONDS, VALUE_UP_TO };
enum side { SIDE_FIRST, SIDE_SECOND, SIDES, SIDE_MORE = SIDES }; /* of an edge: server, client, whoever saw more */
static const struct rolled_name {
    const char *text;
    bool is_edge;
    uint8_t side, value;
} names[] = {
    {"traces_spanmetrics_calls_total", false, SIDE_FIRST, VALUE_CALLS},
    {"traces_spanmetrics_latency_bucket", false, SIDE_FIRST, VALUE_UP_TO},
    {"traces_spanmetrics_latency_count", false, SIDE_FIRST, VALUE_CALLS},
    {"traces_spanmetrics_latency_sum", false, SIDE_FIRST, VALUE_SECONDS},
    {"traces_service_graph_request_client_seconds_bucket", true, SIDE_SECOND, VALUE_UP_TO},
    {"traces_service_graph_request_client_seconds_count", true, SIDE_SECOND, VALUE_CALLS},
    {"traces_service_graph_request_client_seconds_sum", true, SIDE_SECOND, VALUE_SECONDS},
    {"traces_service_graph_request_failed_total", true, SIDE_MORE, VALUE_FAILED},
    {"traces_service_graph_request_server_seconds_bucket", true, SIDE_FIRST, VALUE_UP_TO},
    {"traces_service_graph_request_server_seconds_count", true, SIDE_FIRST, VALUE_CALLS},
    {"traces_service_graph_request_server_seconds_sum", true, SIDE_FIRST, VALUE_SECONDS},
    {"traces_service_graph_request_total", true, SIDE_MORE, VALUE_CALLS},
};
#define NAMES ((uint32_t)LENGTH(names))

static const char *const le_texts[] = {"0.002", "0.004", "0.008", "0.016", "0.032", "0.064",  "0.128", "0.256",
                                       "0.512", "1.024", "2.048", "4.096", "8.192", "16.384", "+Inf"};
#define LES ((uint32_t)LENGTH(le_texts))

static const char *const kind_texts[] = {"SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER",
                                         "SPAN_KIND_CLIENT",      "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER"};
static const char *const status_texts[] = {"STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"};
static const char *const connection_texts[] = {"", "virtual_node", "database", "messaging_system"};

static struct str text_of(const char *const *texts, size_t n, uint8_t i) { return str_of(texts[i < n ? i : 0]); }

/* ---- what is asked for ------------------------------------------------------------------------------------------ */

struct rolled_rows {
    const struct rollup_row *before; /* what the day had before the first step; NULL: nothing */
    const struct rollup_row *v;      /* a step each */
    uint32_t n;
};
struct rolled_key {
    const struct rollup_key *key; /* of any of its sides */
    struct rolled_rows sides[SIDES];
};
struct rolled_series {
    uint32_t key;
    uint8_t name, le; /* le: of buckets */
    struct labels labels;
};

struct rolled {
    struct series_source *s;
    const struct series_request *r;
    struct series_wish wish;
    struct arena *a;
    uint32_t names, les; /* bits: may match; bit LES of les: a series without the label */
    int64_t min_ns, max_ns;
    int64_t first_ns, last_ns, step_ns; /* beginnings of the first step and of the last minute */
    uint32_t up_to[LES];                /* the last bucket that counts into each le */
    struct rolled_key *keys;
    size_t key_count;
    struct rolled_series *series;
    uint32_t n;
};

static int64_t floor_to(int64_t t, int64_t step) { return t - (t % step + step) % step; }

static bool name_matches(const struct series_request *r, const char *label, struct str value) {
    for (uint32_t i = 0; i < r->matcher_count; i++)
        if (str_equal(r->matchers[i].name, str_of(label)) && !label_matcher_matches(&r->matchers[i], value))
            return false;
    return true;
}

static bool is_label(struct str name) {
    static const char *const all[] = {"__name__",       "le",
                                      "service",        "service_namespace",
                                      "environment",    "span_name",
                                      "span_kind",      "status_code",
                                      "client",         "client_service_namespace",
                                      "server",         "server_service_namespace",
                                      "connection_type"};
    for (size_t i = 0; i < LENGTH(all); i++)
        if (str_equal(name, str_of(all[i]))) return true;
    return false;
}

/* Which names and bounds may match at all: a look at twelve texts, so that selectors of other series are not slowed. */
static void choose_names(struct rolled *v) {
    for (uint32_t i = 0; i < v->r->matcher_count; i++)
        if (!v->r->matchers[i].matches_empty && !is_label(v->r->matchers[i].name)) return;
    for (uint32_t i = 0; i < LES; i++) v->les |= (uint32_t)name_matches(v->r, "le", str_of(le_texts[i])) << i;
    v->les |= (uint32_t)name_matches(v->r, "le", STR("")) << LES;
    for (uint32_t i = 0; i < NAMES; i++) {
        uint32_t useful = names[i].value == VALUE_UP_TO ? (1u << LES) - 1 : 1u << LES;
        if ((v->les & useful) && name_matches(v->r, "__name__", str_of(names[i].text))) v->names |= 1u << i;
    }
}

/* Names that the store has series of in the range are the store's. */
static err leave_stored(struct rolled *v) {
    for (uint32_t i = 0; i < NAMES; i++) {
        struct label_matcher m;
        struct selection *found;
        if (!(v->names >> i & 1)) continue;
        TRY(label_matcher_make(v->a, METRIC_NAME, MATCHER_EQUAL, str_of(names[i].text), &m));
        struct series_request r = *v->r;
        r.matchers = &m;
        r.matcher_count = 1;
        r.limit = 1;
        err e = series_snapshot_select(v->s->snapshot, &r, v->a, &v->s->stats, &found);
        label_matcher_done(&m);
        TRY(e);
        if (selection_count(found)) v->names &= ~(1u << i);
        selection_free(found);
    }
    return NULL;
}

/* False: no minute that has ended can have a sample in the range. */
static bool choose_times(struct rolled *v) {
    int64_t now = v->s->now_ns ? v->s->now_ns : clock_wall_ns(), window = v->wish.range_ms * ms_ns;
    v->min_ns = MAX(v->r->time_min, day_ns);
    v->max_ns = MIN(v->r->time_max, now);
    if (v->min_ns > v->max_ns || now < 2 * day_ns) return false;
    v->last_ns = floor_to(MIN(v->max_ns, now - rollup_minute_ns), rollup_minute_ns);
    v->first_ns = floor_to(v->min_ns - 1, rollup_minute_ns);
    if (v->wish.what == SERIES_LABELS) v->first_ns = MAX(v->first_ns, v->last_ns - TEXTS_DAYS * day_ns);
    v->step_ns = rollup_minute_ns;
    for (int64_t n = 60; v->wish.what == SERIES_SAMPLES && n > 1; n--) {
        if (60 % n || n * rollup_minute_ns > window / STEPS_A_WINDOW) continue;
        v->step_ns = n * rollup_minute_ns;
        break;
    }
    if (v->wish.what == SERIES_EXEMPLARS)
        v->step_ns *= MAX((v->max_ns - v->min_ns) / EXEMPLARS_MAX / rollup_minute_ns, 1);
    return v->first_ns <= v->last_ns;
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

/* The value that an `=` asks for. */
static struct str equal_to(const struct series_request *r, const char *label) {
    for (uint32_t i = 0; i < r->matcher_count; i++) {
        const struct label_matcher *m = &r->matchers[i];
        if (m->op == MATCHER_EQUAL && m->text.n && str_equal(m->name, str_of(label))) return m->text;
    }
    return (struct str){0};
}

static bool wants(const struct rolled *v, bool is_edge, enum value value) {
    for (uint32_t i = 0; i < NAMES; i++)
        if ((v->names >> i & 1) && names[i].is_edge == is_edge && names[i].value == value) return true;
    return false;
}

static bool wants_any(const struct rolled *v, bool is_edge) {
    bool any = false;
    for (enum value i = 0; i <= VALUE_UP_TO; i++) any |= wants(v, is_edge, i);
    return any;
}

static err read_rows(struct rolled *v, bool is_edge, int64_t time_min, int64_t time_max, int64_t step,
                     struct rollup_rows *out) {
    int64_t now = v->s->now_ns ? v->s->now_ns : clock_wall_ns();
    struct rollup_request r = {.time_min = time_min,
                               .time_max = time_max,
                               .step_ns = step,
                               .environment = equal_to(v->r, "environment"),
                               .service = equal_to(v->r, is_edge ? "server" : "service"),
                               .buckets = v->wish.what == SERIES_SAMPLES && wants(v, is_edge, VALUE_UP_TO),
                               .exemplars = v->wish.what == SERIES_EXEMPLARS,
                               .unmatched_before_ns =
                                   floor_to(now, rollup_minute_ns) - UNMATCHED_MINUTES * rollup_minute_ns,
                               .deadline_ns = v->s->q->deadline_ns,
                               .is_cancelled = query_is_cancelled,
                               .cancel_context = v->s->q};
    struct scan_stats stats = {0};
    struct series_stats *told = &v->s->stats;
    if (is_edge && !r.service.p) r.service = equal_to(v->r, "client");
    r.views[ROLLUP_SPANS] = !is_edge;
    r.views[ROLLUP_EDGE_SERVER] = r.views[ROLLUP_EDGE_CLIENT] = is_edge;
    err e = store_rollups(v->s->q->options.store, v->s->q->options.tenant, &r, v->a, out, &stats);
    if (stats.bad_blocks && !told->bad_pages) memcpy(told->bad_text, stats.bad_text, sizeof stats.bad_text);
    told->bad_pages += stats.bad_blocks;
    if (!e) e = series_source_check(v->s);
    return e;
}

/* Both sides of an edge are one key. */
static int compare_keys(const struct rollup_key *x, const struct rollup_key *y) {
    struct rollup_key a = *x, b = *y;
    a.view = a.view != ROLLUP_SPANS;
    b.view = b.view != ROLLUP_SPANS;
    return rollup_key_compare(&a, &b);
}

static int by_key(const void *x, const void *y) {
    return compare_keys(((const struct rolled_key *)x)->key, ((const struct rolled_key *)y)->key);
}

static enum side side_of(const struct rollup_key *key) {
    return key->view == ROLLUP_EDGE_CLIENT ? SIDE_SECOND : SIDE_FIRST;
}

static bool is_same_key(const struct rollup_row *a, const struct rollup_row *b) {
    return a->key == b->key || rollup_key_compare(a->key, b->key) == 0;
}

/* One entry for each run of rows with one key. */
static void list_rows(struct rolled *v, const struct rollup_rows *rows, bool before) {
    for (size_t i = 0, end; i < rows->n; i = end) {
        struct rolled_key *k = &v->keys[v->key_count++];
        for (end = i + 1; end < rows->n && is_same_key(&rows->v[i], &rows->v[end]);) end++;
        struct rolled_rows *side = &k->sides[side_of(rows->v[i].key)];
        k->key = rows->v[i].key;
        *side = before ? (struct rolled_rows){.before = &rows->v[i]}
                       : (struct rolled_rows){.v = &rows->v[i], .n = (uint32_t)(end - i)};
    }
}

static size_t count_keys(const struct rollup_rows *rows) {
    size_t n = 0;
    for (size_t i = 0; i < rows->n; i++) n += i == 0 || !is_same_key(&rows->v[i - 1], &rows->v[i]);
    return n;
}

static void join(struct rolled_key *into, const struct rolled_key *from) {
    for (int s = 0; s < SIDES; s++) {
        if (from->sides[s].before) into->sides[s].before = from->sides[s].before;
        if (!from->sides[s].n) continue;
        into->sides[s].v = from->sides[s].v;
        into->sides[s].n = from->sides[s].n;
    }
}

enum { PARTS = 4 }; /* spans and edges, before the first step and from there on */

static err read_keys(struct rolled *v) {
    struct rollup_rows rows[PARTS] = {{0}};
    int64_t day = floor_to(v->first_ns, day_ns), hour = floor_to(v->first_ns, hour_ns);
    bool labels = v->wish.what == SERIES_LABELS;
    size_t most = 0, kept = 0;
    for (int i = 0; i < 2; i++) {
        if (!wants_any(v, i == 1)) continue;
        if (labels) {
            TRY(read_rows(v, i == 1, day, v->last_ns, 0, &rows[2 * i]));
            continue;
        }
        if (day < hour && v->wish.what == SERIES_SAMPLES) TRY(read_rows(v, i == 1, day, hour - 1, 0, &rows[2 * i]));
        TRY(read_rows(v, i == 1, hour, v->last_ns, v->step_ns, &rows[2 * i + 1]));
    }
    v->first_ns = hour;
    for (int i = 0; i < PARTS; i++) most += count_keys(&rows[i]);
    v->keys = arena_array(v->a, struct rolled_key, most + 1);
    if (!v->keys) return arena_err(v->a);
    for (int i = 0; i < PARTS; i++) list_rows(v, &rows[i], i % 2 == 0);
    qsort(v->keys, v->key_count, sizeof *v->keys, by_key);
    for (size_t i = 0; i < v->key_count; i++) {
        if (kept && compare_keys(v->keys[kept - 1].key, v->keys[i].key) == 0)
            join(&v->keys[kept - 1], &v->keys[i]);
        else
            v->keys[kept++] = v->keys[i];
    }
    v->key_count = kept;
    return NULL;
}

/* ---- labels ----------------------------------------------------------------------------------------------------- */

enum { LABELS_ROOM = 10 };

static void put(struct label *room, uint32_t *n, const char *name, struct str value) {
    if (value.n) room[(*n)++] = (struct label){str_of(name), value};
}

/* In the order of their names. */
static struct labels make_labels(const struct rollup_key *k, struct str name, struct str le,
                                 struct label room[LABELS_ROOM]) {
    uint32_t n = 0;
    put(room, &n, "__name__", name);
    if (k->view == ROLLUP_SPANS) {
        put(room, &n, "environment", k->texts[ROLLUP_ENVIRONMENT]);
        put(room, &n, "le", le);
        put(room, &n, "service", k->texts[ROLLUP_SERVICE]);
        put(room, &n, "service_namespace", k->texts[ROLLUP_NAMESPACE]);
        put(room, &n, "span_kind", text_of(kind_texts, LENGTH(kind_texts), k->kind));
        put(room, &n, "span_name", k->texts[ROLLUP_OPERATION]);
        put(room, &n, "status_code", text_of(status_texts, LENGTH(status_texts), k->status));
    } else {
        put(room, &n, "client", k->texts[ROLLUP_CLIENT]);
        put(room, &n, "client_service_namespace", k->texts[ROLLUP_CLIENT_NAMESPACE]);
        put(room, &n, "connection_type", text_of(connection_texts, LENGTH(connection_texts), k->kind));
        put(room, &n, "environment", k->texts[ROLLUP_ENVIRONMENT]);
        put(room, &n, "le", le);
        put(room, &n, "server", k->texts[ROLLUP_SERVER]);
        put(room, &n, "server_service_namespace", k->texts[ROLLUP_SERVER_NAMESPACE]);
    }
    return (struct labels){room, n};
}

static bool key_matches(const struct rolled *v, const struct rollup_key *k) {
    struct label room[LABELS_ROOM];
    struct labels l = make_labels(k, STR(""), STR(""), room);
    for (uint32_t i = 0; i < v->r->matcher_count; i++) {
        const struct label_matcher *m = &v->r->matchers[i];
        if (str_equal(m->name, METRIC_NAME) || str_equal(m->name, STR("le"))) continue;
        if (!label_matcher_matches(m, label_set_get(l, m->name))) return false;
    }
    return true;
}

static bool has_name(const struct rolled *v, const struct rolled_key *k, uint32_t name) {
    const struct rolled_name *n = &names[name];
    if (!(v->names >> name & 1) || n->is_edge != (k->key->view != ROLLUP_SPANS)) return false;
    if (n->side == SIDE_MORE) return true;
    return k->sides[n->side].before || k->sides[n->side].n;
}

static err add_series(struct rolled *v, uint32_t key, uint32_t name, uint32_t le) {
    struct label room[LABELS_ROOM];
    struct labels l =
        make_labels(v->keys[key].key, str_of(names[name].text), le < LES ? str_of(le_texts[le]) : STR(""), room);
    struct label *copy = arena_array(v->a, struct label, l.n);
    if (!copy) return arena_err(v->a);
    memcpy(copy, l.v, l.n * sizeof *copy);
    v->series[v->n++] = (struct rolled_series){key, (uint8_t)name, (uint8_t)le, {copy, l.n}};
    return NULL;
}

/* Calls fn for each series that matches. */
static err each_series(struct rolled *v, err (*fn)(struct rolled *v, uint32_t key, uint32_t name, uint32_t le)) {
    for (uint32_t key = 0; key < v->key_count; key++) {
        if (key % 1024 == 1023) TRY(series_source_check(v->s));
        if (!key_matches(v, v->keys[key].key)) continue;
        for (uint32_t name = 0; name < NAMES; name++) {
            if (!has_name(v, &v->keys[key], name)) continue;
            bool buckets = names[name].value == VALUE_UP_TO;
            for (uint32_t le = buckets ? 0 : LES; le < (buckets ? LES : LES + 1); le++)
                if (v->les >> le & 1) TRY(fn(v, key, name, le));
        }
    }
    return NULL;
}

static err count_series(struct rolled *v, uint32_t key, uint32_t name, uint32_t le) {
    (void)key, (void)name, (void)le;
    return ++v->n > SERIES_SELECTED_MAX
               ? err_new(ERR_LIMIT, "a selector takes more than %d series: add matchers", SERIES_SELECTED_MAX)
               : NULL;
}

/* ---- finding ---------------------------------------------------------------------------------------------------- */

static void choose_buckets(struct rolled *v) {
    uint32_t b = 0;
    for (uint32_t i = 0; i + 1 < LES; i++) {
        double le = 2e6 * (double)(1u << i);
        while (b + 1 < ROLLUP_BUCKETS && rollup_bucket_upper_ns(b + 1) * exp2(-1.0 / 16) <= le) b++;
        v->up_to[i] = b;
    }
    v->up_to[LES - 1] = ROLLUP_BUCKETS - 1;
}

/* Keys of what may match; *out NULL: nothing does. */
static err open_rolled(struct series_source *s, const struct series_request *r, struct series_wish wish,
                       struct arena *a, struct rolled **out) {
    struct rolled v = {.s = s, .r = r, .wish = wish, .a = a};
    *out = NULL;
    choose_names(&v);
    if (!v.names || !choose_times(&v)) return NULL;
    TRY(leave_stored(&v));
    if (!v.names) return NULL;
    choose_buckets(&v);
    TRY(read_keys(&v));
    if (!v.key_count) return NULL;
    *out = arena_new(a, struct rolled);
    if (!*out) return arena_err(a);
    **out = v;
    return NULL;
}

err rolled_find(struct series_source *s, const struct series_request *r, struct series_wish wish, struct arena *a,
                struct rolled **out) {
    struct rolled *v;
    *out = NULL;
    TRY(open_rolled(s, r, wish, a, &v));
    if (!v) return NULL;
    TRY(each_series(v, count_series));
    v->series = arena_array(a, struct rolled_series, v->n + 1);
    if (!v->series) return arena_err(a);
    v->n = 0;
    TRY(each_series(v, add_series));
    v->r = NULL; /* ends before this does */
    *out = v->n ? v : NULL;
    return NULL;
}

uint32_t rolled_count(const struct rolled *v) { return v ? v->n : 0; }
struct labels rolled_labels(const struct rolled *v, uint32_t i) {
    return v->series[i].labels;
}

/* ---- samples ---------------------------------------------------------------------------------------------------- */

static double value_of(const struct rolled *v, const struct rolled_series *s, const struct rollup_row *row) {
    uint64_t n = 0;
    if (!row) return 0;
    switch ((enum value)names[s->name].value) {
    case VALUE_CALLS: return (double)row->calls;
    case VALUE_FAILED: return (double)row->errors;
    case VALUE_SECONDS: return (double)row->sum_ns;
    case VALUE_UP_TO:
        if (s->le == LES - 1) return (double)row->calls;
        for (uint32_t i = 0; i < row->bucket_count && row->bucket_first + i <= v->up_to[s->le]; i++)
            n += row->buckets[i];
        return (double)n;
    }
    return 0;
}

/* A way through the rows of a series, both sides of an edge at once where more of them counts. */
struct walk {
    const struct rolled *v;
    const struct rolled_series *s;
    const struct rolled_rows *sides[SIDES]; /* NULL: not looked at */
    uint32_t at[SIDES];
};

static struct walk walk_begin(const struct rolled *v, uint32_t i) {
    struct walk w = {.v = v, .s = &v->series[i]};
    const struct rolled_key *k = &v->keys[w.s->key];
    uint8_t side = names[w.s->name].side;
    for (int x = 0; x < SIDES; x++)
        if (side == SIDE_MORE || side == x) w.sides[x] = &k->sides[x];
    return w;
}

static double walk_before(const struct walk *w) {
    double most = 0;
    for (int x = 0; x < SIDES; x++)
        if (w->sides[x]) most = fmax(most, value_of(w->v, w->s, w->sides[x]->before));
    return most;
}

static bool walk_has_before(const struct walk *w) {
    return (w->sides[0] && w->sides[0]->before) || (w->sides[1] && w->sides[1]->before);
}

/* When the next row begins; INT64_MAX: there is none. */
static int64_t walk_next(const struct walk *w) {
    int64_t next = INT64_MAX;
    for (int x = 0; x < SIDES; x++)
        if (w->sides[x] && w->at[x] < w->sides[x]->n) next = MIN(next, w->sides[x]->v[w->at[x]].time_ns);
    return next;
}

/* What the step that begins then adds. */
static double walk_take(struct walk *w, int64_t time) {
    double most = 0;
    for (int x = 0; x < SIDES; x++) {
        const struct rolled_rows *rows = w->sides[x];
        if (!rows || w->at[x] == rows->n || rows->v[w->at[x]].time_ns != time) continue;
        most = fmax(most, value_of(w->v, w->s, &rows->v[w->at[x]++]));
    }
    return most;
}

err rolled_read(const struct rolled *v, uint32_t i, struct samples *out) {
    struct walk w = walk_begin(v, i);
    double sum = walk_before(&w), unit = names[w.s->name].value == VALUE_SECONDS ? 1e9 : 1;
    bool started = walk_has_before(&w);
    int64_t end = v->last_ns + rollup_minute_ns;
    samples_clear(out);
    for (int64_t t = v->first_ns; t <= v->last_ns; t += v->step_ns) {
        if (t % day_ns == 0) {
            sum = 0;
            started = false;
        }
        if (!started) {
            t = walk_next(&w);
            if (t > v->last_ns) break;
            int64_t zero = t % day_ns == 0 ? t + ms_ns : t;
            if (zero >= v->min_ns && zero <= v->max_ns) samples_add(out, zero, 0, 0);
            sum = 0;
            started = true;
        }
        sum += walk_take(&w, t);
        int64_t time = MIN(t + v->step_ns, end);
        if (time >= v->min_ns && time <= v->max_ns) samples_add(out, time, sum / unit, 0);
    }
    return NULL;
}

static err add_exemplar(struct arena *a, uint32_t series, const struct rollup_exemplar *from, struct exemplar *out) {
    struct label *label = arena_new(a, struct label);
    AUTO_BUF struct buf id;
    buf_init(&id, KIB);
    put_hex(&id, from->trace_id, sizeof from->trace_id);
    if (!label) return arena_err(a);
    *label = (struct label){STR("trace_id"), arena_copy(a, buf_str(&id))};
    *out = (struct exemplar){series, from->start_ns, (double)from->duration_ns / 1e9, {label, 1}};
    return arena_err(a);
}

/* The slowest call of each step belongs to the bucket that it falls into. */
err rolled_exemplars(const struct rolled *v, uint32_t i, struct arena *a, struct exemplar **out, uint32_t *out_n) {
    struct walk w = walk_begin(v, i);
    *out = NULL;
    *out_n = 0;
    if (names[w.s->name].value != VALUE_UP_TO) return NULL;
    const struct rolled_rows *rows = w.sides[names[w.s->name].side];
    *out = arena_array(a, struct exemplar, rows->n + 1);
    if (!*out) return arena_err(a);
    for (uint32_t k = 0; k < rows->n; k++) {
        const struct rollup_exemplar *x = rows->v[k].exemplar;
        if (!x || x->start_ns < v->min_ns || x->start_ns > v->max_ns) continue;
        uint32_t bucket = rollup_bucket_of(x->duration_ns), le = 0;
        while (bucket > v->up_to[le]) le++;
        if (le == w.s->le) TRY(add_exemplar(a, i, x, &(*out)[(*out_n)++]));
    }
    return NULL;
}

/* ---- texts and metadata ----------------------------------------------------------------------------------------- */

static int by_text(const void *x, const void *y) { return str_compare(*(const struct str *)x, *(const struct str *)y); }

static uint32_t distinct(struct str *v, size_t n) {
    uint32_t kept = 0;
    if (n) qsort(v, n, sizeof *v, by_text);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || !str_equal(v[i], v[kept - 1])) v[kept++] = v[i];
    return kept;
}

struct texts {
    struct strings found;
    struct str name;
};

/* Labels of a key are the same for all of its series, but for the name and `le`. */
static void add_texts(struct texts *t, const struct rolled *v, const struct rolled_key *k, uint32_t name) {
    struct label room[LABELS_ROOM];
    bool buckets = names[name].value == VALUE_UP_TO;
    for (uint32_t le = buckets ? 0 : LES; le < (buckets ? LES : LES + 1); le++) {
        if (!(v->les >> le & 1)) continue;
        struct labels l =
            make_labels(k->key, str_of(names[name].text), le < LES ? str_of(le_texts[le]) : STR(""), room);
        for (uint32_t i = 0; i < l.n; i++)
            if (!t->name.p || str_equal(l.v[i].name, t->name))
                strings_intern(&t->found, t->name.p ? l.v[i].value : l.v[i].name);
        if (!str_equal(t->name, STR("le"))) return; /* all bounds say the same */
    }
}

err rolled_texts(struct series_source *s, struct str name, const struct series_request *r, struct arena *a,
                 struct str **out, uint32_t *out_n) {
    struct rolled *v;
    struct texts t = {.name = name};
    *out = NULL;
    *out_n = 0;
    if (name.p && !is_label(name)) return NULL;
    TRY(open_rolled(s, r, (struct series_wish){SERIES_LABELS, 0}, a, &v));
    if (!v) return NULL;
    strings_init(&t.found);
    for (size_t i = 0; i < v->key_count; i++) {
        if (!key_matches(v, v->keys[i].key)) continue;
        for (uint32_t k = 0; k < NAMES; k++)
            if (has_name(v, &v->keys[i], k)) add_texts(&t, v, &v->keys[i], k);
    }
    *out = arena_array(a, struct str, t.found.n + 1);
    for (uint32_t i = 0; *out && i < t.found.n; i++) (*out)[i] = arena_copy(a, strings_get(&t.found, i));
    *out_n = a->full ? 0 : distinct(*out, t.found.n);
    strings_done(&t.found);
    return arena_err(a);
}

err rolled_metadata(struct series_source *s, struct str name, struct arena *a, struct series_metadata **out,
                    uint32_t *out_n) {
    static const struct {
        bool is_edge;
        struct series_metadata said;
    } all[] = {
        {true,
         {STR("traces_service_graph_request_client_seconds"),
          STR("Duration of calls between two services, as the client measured it; counted from spans"), STR("seconds"),
          METRIC_TYPE_HISTOGRAM}},
        {true,
         {STR("traces_service_graph_request_failed_total"),
          STR("Calls between two services of which one side failed; counted from spans"), STR(""),
          METRIC_TYPE_COUNTER}},
        {true,
         {STR("traces_service_graph_request_server_seconds"),
          STR("Duration of calls between two services, as the server measured it; counted from spans"), STR("seconds"),
          METRIC_TYPE_HISTOGRAM}},
        {true,
         {STR("traces_service_graph_request_total"), STR("Calls between two services; counted from spans"), STR(""),
          METRIC_TYPE_COUNTER}},
        {false,
         {STR("traces_spanmetrics_calls_total"), STR("Calls of a service's operation; counted from spans"), STR(""),
          METRIC_TYPE_COUNTER}},
        {false,
         {STR("traces_spanmetrics_latency"), STR("Duration of a service's operation; counted from spans"),
          STR("seconds"), METRIC_TYPE_HISTOGRAM}},
    };
    struct series_request r = {.time_min = INT64_MIN, .time_max = INT64_MAX};
    struct rolled *v;
    bool has[2] = {false, false};
    *out = arena_array(a, struct series_metadata, LENGTH(all));
    *out_n = 0;
    if (!*out) return arena_err(a);
    TRY(open_rolled(s, &r, (struct series_wish){SERIES_LABELS, 0}, a, &v));
    for (size_t i = 0; v && i < v->key_count; i++) has[v->keys[i].key->view != ROLLUP_SPANS] = true;
    for (size_t i = 0; i < LENGTH(all); i++)
        if (has[all[i].is_edge] && (!name.p || str_equal(name, all[i].said.name))) (*out)[(*out_n)++] = all[i].said;
    return NULL;
}
