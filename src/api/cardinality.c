/* Where a tenant's series are: by metric, by label, by pair; and what would be saved if a label were not sent. */
#include <stdio.h>

#include "api/prometheus/prometheus_priv.h"

/* A question: one selector, a range. */
struct cardinality {
    struct series_source source;
    struct series_request request;
    struct label_matcher *matchers; /* of the request */
};

/* ---- the selector ----------------------------------------------------------------------------------------------- */

static err read_selector(struct query *q, struct str text, struct cardinality *k) {
    const struct promql_node *node;
    const struct promql_matcher *matchers;
    size_t n = 0;
    TRY(promql_parse(&q->arena, text, (struct promql_syntax){0}, &node, NULL));
    if (!promql_is_selector(node))
        return err_new(ERR_INVALID, "1:1: \"" STR_FMT "\" is no selector of series; write name{label=\"value\"}",
                       STR_ARG(text));
    promql_selector_at(node, 0, &matchers, &n);
    if (n > MATCHERS_MAX) return err_new(ERR_LIMIT, "%zu matchers, at most %d", n, MATCHERS_MAX);
    TRY(promql_matchers_make(&q->arena, matchers, n, &k->matchers));
    k->request.matchers = k->matchers;
    k->request.matcher_count = (uint32_t)n;
    label_matchers_set_deadline(k->matchers, k->request.matcher_count, q->deadline_ns);
    return NULL;
}

static err read_question(struct api_call *c, struct query *q, struct cardinality *k) {
    k->request.time_min = call_number(c, "start", INT64_MIN);
    k->request.time_max = call_number(c, "end", INT64_MAX);
    if (k->request.time_min > k->request.time_max) return err_new(ERR_INVALID, "start is after end");
    return call_given(c, "match[]") ? err_wrap(read_selector(q, call_text(c, "match[]"), k), "match[]") : NULL;
}

static void question_done(struct cardinality *k) {
    for (uint32_t i = 0; i < k->request.matcher_count; i++) label_matcher_done(&k->matchers[i]);
    series_source_close(&k->source);
}

static err count_series(struct query *q, struct cardinality *k, const struct series_request *r, uint32_t limit,
                        struct series_cardinality *out) {
    TRY(series_cardinality(&k->source, r, limit, &q->arena, out));
    TRY(series_source_check(&k->source));
    return label_matchers_err(r->matchers, r->matcher_count);
}

/* ---- what a label makes of series ------------------------------------------------------------------------------- */

/* Hashes that were seen; open addressing, all zero: free. Made for at most half as many as it has room for. */
struct seen {
    struct label_set_hash *slots;
    size_t mask, n;
};

static err seen_init(struct seen *s, struct query *q, size_t most) {
    size_t room = 16;
    while (room < 2 * most) room *= 2;
    *s = (struct seen){.slots = arena_array(&q->arena, struct label_set_hash, room), .mask = room - 1};
    return arena_err(&q->arena);
}

static void seen_add(struct seen *s, struct label_set_hash h) {
    h.b |= 1; /* never all zero */
    for (size_t at = h.a & s->mask;; at = (at + 1) & s->mask) {
        struct label_set_hash *slot = &s->slots[at];
        if (slot->a == h.a && slot->b == h.b) return;
        if (slot->a || slot->b) continue;
        *slot = h;
        s->n++;
        return;
    }
}

static struct labels without(struct labels l, struct str name, struct label *room) {
    struct labels out = {.v = room};
    for (uint32_t i = 0; i < l.n; i++)
        if (!str_equal(l.v[i].name, name)) room[out.n++] = l.v[i];
    return out;
}

/* How many series are left of those of the selection if a label were not there. */
static err count_left(struct query *q, struct cardinality *k, const struct selection *found, struct str label,
                      uint64_t *out) {
    enum { CHECK_EVERY = 4096 };
    struct label room[LABELS_MAX];
    struct seen seen;
    uint32_t n = selection_count(found);
    if (n > SERIES_SELECTED_MAX)
        return err_new(ERR_LIMIT, "drop: %u series have this label, at most %d can be compared: narrow by match[]", n,
                       SERIES_SELECTED_MAX);
    TRY(seen_init(&seen, q, n));
    for (uint32_t i = 0; i < n; i++) {
        if (i % CHECK_EVERY == 0) TRY(series_source_check(&k->source));
        seen_add(&seen, label_set_hash(without(selection_labels(found, i), label, room)));
    }
    *out = seen.n;
    return NULL;
}

struct drop {
    struct str label;
    struct series_cardinality of; /* the series that have it */
    uint64_t left;
};

/* The series of the question that have the label: its matchers, and one that asks for it. */
static err request_with(struct query *q, struct cardinality *k, struct str label, struct series_request *out) {
    uint32_t n = k->request.matcher_count;
    struct label_matcher *all = arena_array(&q->arena, struct label_matcher, n + 1);
    if (!all) return arena_err(&q->arena);
    if (n == MATCHERS_MAX) return err_new(ERR_LIMIT, "drop: %d matchers leave no room for one more", MATCHERS_MAX);
    if (n) memcpy(all, k->matchers, n * sizeof *all);
    TRY(label_matcher_make(&q->arena, label, MATCHER_NOT_EQUAL, STR(""), &all[n]));
    *out = k->request;
    out->matchers = all;
    out->matcher_count = n + 1;
    return NULL;
}

static err count_drop(struct query *q, struct cardinality *k, struct str label, struct drop *out) {
    struct series_request r;
    struct selection *found;
    *out = (struct drop){.label = label};
    if (str_equal(label, METRIC_NAME)) return err_new(ERR_INVALID, "drop: __name__ is the metric's name, no label");
    TRY(request_with(q, k, label, &r));
    TRY(count_series(q, k, &r, 1, &out->of));
    TRY(series_snapshot_select(k->source.snapshot, &r, &q->arena, &k->source.stats, &found));
    err e = series_source_check(&k->source);
    if (!e) e = label_matchers_err(r.matchers, r.matcher_count);
    if (!e) e = count_left(q, k, found, label, &out->left);
    selection_free(found);
    return e;
}

/* ---- the answer ------------------------------------------------------------------------------------------------- */

static void write_moment(struct json_writer *w, const char *key, bool has, int64_t time) {
    json_key(w, str_of(key));
    if (has)
        json_time(w, time);
    else
        json_null(w);
}

static void write_totals(struct json_writer *w, const struct series_request *r, const struct series_cardinality *k) {
    bool has = k->time_min <= k->time_max;
    uint64_t metrics = k->metric_count;
    for (uint32_t i = 0; i < k->label_count; i++)
        if (str_equal(k->by_label[i].name, METRIC_NAME)) metrics = k->by_label[i].values;
    json_key(w, STR("range"));
    json_object(w);
    write_moment(w, "start", r->time_min != INT64_MIN, r->time_min);
    write_moment(w, "end", r->time_max != INT64_MAX, r->time_max);
    json_object_end(w);
    json_member(w, "series", u64, k->series);
    json_member(w, "samples", u64, k->samples);
    json_member(w, "bytes", u64, k->file_bytes);
    json_member(w, "memory_bytes", u64, k->memory_bytes);
    write_moment(w, "oldest", has, k->time_min);
    write_moment(w, "newest", has, k->time_max);
    json_member(w, "metrics_found", u64, metrics);
    json_member(w, "labels_found", u64, k->labels);
    json_member(w, "pairs_found", u64, k->pairs);
}

static void write_amount(struct json_writer *w, const struct series_count *n) {
    json_member(w, "series", u64, n->series);
    json_member(w, "samples", u64, n->samples);
    json_member(w, "bytes", u64, n->bytes);
}

static const struct series_metadata *find_about(const struct series_metadata *v, uint32_t n, struct str name) {
    uint32_t low = 0, high = n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (str_compare(v[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && str_equal(v[low].name, name) ? &v[low] : NULL;
}

/* What is said of the name, or of the histogram or summary whose series it is. */
static const struct series_metadata *about(const struct series_metadata *v, uint32_t n, struct str name) {
    static const char *const ends[] = {"_bucket", "_sum", "_count", "_total"};
    const struct series_metadata *found = find_about(v, n, name);
    for (size_t i = 0; !found && i < LENGTH(ends); i++) {
        struct str end = str_of(ends[i]);
        if (name.n > end.n && str_ends_with(name, end)) found = find_about(v, n, (struct str){name.p, name.n - end.n});
    }
    return found;
}

static err write_metrics(struct json_writer *w, struct query *q, struct cardinality *k,
                         const struct series_cardinality *counts) {
    struct series_metadata *v;
    uint32_t n;
    TRY(series_metadata(&k->source, (struct str){0}, &q->arena, &v, &n));
    json_key(w, STR("metrics"));
    json_array(w);
    for (uint32_t i = 0; i < counts->metric_count; i++) {
        const struct series_count *one = &counts->by_metric[i];
        const struct series_metadata *said = about(v, n, one->name);
        json_object(w);
        json_member(w, "name", str, one->name);
        if (said) {
            json_member(w, "type", text, prometheus_type_name(said->type));
            json_member(w, "unit", str, said->unit);
            json_member(w, "help", str, said->help);
        }
        write_amount(w, one);
        json_object_end(w);
    }
    json_array_end(w);
    return NULL;
}

/* Labels have a number of values, pairs one. */
static void write_label_counts(struct json_writer *w, const char *key, const struct series_count *v, uint32_t n,
                               bool pairs) {
    json_key(w, str_of(key));
    json_array(w);
    for (uint32_t i = 0; i < n; i++) {
        json_object(w);
        json_member(w, "name", str, v[i].name);
        if (pairs)
            json_member(w, "value", str, v[i].value);
        else
            json_member(w, "values", u64, v[i].values);
        write_amount(w, &v[i]);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_drop(struct json_writer *w, const struct drop *d) {
    json_key(w, STR("drop"));
    json_object(w);
    json_member(w, "label", str, d->label);
    json_member(w, "series", u64, d->of.series);
    json_member(w, "series_left", u64, d->left);
    json_member(w, "bytes", u64, d->of.file_bytes);
    json_object_end(w);
}

static err write_cardinality(struct api_call *c, struct query *q, struct answer *a, struct cardinality *k) {
    struct series_cardinality counts;
    struct drop drop = {0};
    TRY(read_question(c, q, k));
    TRY(series_source_open(q, &k->source));
    k->source.now_ns = c->now_ns;
    TRY(count_series(q, k, &k->request, (uint32_t)call_number(c, "limit", 100), &counts));
    if (call_given(c, "drop")) TRY(count_drop(q, k, call_text(c, "drop"), &drop));
    write_totals(&a->w, &k->request, &counts);
    TRY(write_metrics(&a->w, q, k, &counts));
    write_label_counts(&a->w, "labels", counts.by_label, counts.label_count, false);
    write_label_counts(&a->w, "pairs", counts.by_pair, counts.pair_count, true);
    if (drop.label.n) write_drop(&a->w, &drop);
    q->stats.bad_blocks += k->source.stats.bad_pages;
    if (k->source.stats.bad_pages && !q->stats.bad_text[0])
        snprintf(q->stats.bad_text, sizeof q->stats.bad_text, "%.150s", k->source.stats.bad_text);
    return answer_settle(a);
}

void handle_cardinality(struct api_call *c) {
    struct query q;
    struct answer a;
    struct cardinality k = {0};
    call_query_begin(c, &q);
    answer_begin(&a, &q);
    err e = write_cardinality(c, &q, &a, &k);
    question_done(&k);
    answer_end(c, &a, e);
}
