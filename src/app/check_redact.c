/* clew check redact: what the rules would change in stored telemetry or in a file of OTLP/JSON. Nothing is written. */
#include <stdio.h>

#include "app/command.h"
#include "base/budget.h"
#include "base/text.h"
#include "ingest/redact.h"
#include "os/clock.h"
#include "os/file.h"
#include "signal/batch_build.h"
#include "signal/metrics/points_decode.h"
#include "store/store.h"

enum { INPUT_BYTES_MAX = 64 << 20, TEXT_BYTES_SHOWN = 120 };

struct dry_run {
    const struct redact_rules *rules;
    struct redactor *redactor;
    struct redact_counts counts;
    uint64_t rows, changes, limit;
    bool show, json;
    struct buf out;
    struct json_writer w;
    struct snapshot *snapshot; /* while a data directory is read */
    enum signal signal;
    err e;
};

/* ---- changes ------------------------------------------------------------------------------------------------------ */

static size_t same_start(struct str a, struct str b) {
    size_t n = 0;
    while (n < a.n && n < b.n && a.p[n] == b.p[n]) n++;
    return n;
}

static size_t same_end(struct str a, struct str b, size_t start) {
    size_t n = 0;
    while (n + start < a.n && n + start < b.n && a.p[a.n - 1 - n] == b.p[b.n - 1 - n]) n++;
    return n;
}

/* The text before, with stars from the first to the last byte that changes (all of it where the whole value is replaced). */
static void put_before(const struct dry_run *d, const struct redact_change *c, struct buf *out) {
    bool part = !c->whole && !c->dropped;
    size_t start = part ? same_start(c->before, c->after) : 0, end = part ? same_end(c->before, c->after, start) : 0;
    if (d->show) start = c->before.n, end = 0;
    buf_add(out, c->before.p, start);
    for (size_t i = start; i + end < c->before.n && i - start < 16; i++) buf_add_byte(out, '*');
    buf_add(out, c->before.p + c->before.n - end, end);
}

static void put_quoted(struct buf *out, struct str text) {
    buf_add_byte(out, '"');
    put_terminal(out, (struct str){text.p, MIN(text.n, (size_t)TEXT_BYTES_SHOWN)});
    buf_add_text(out, text.n > TEXT_BYTES_SHOWN ? "\"…" : "\"");
}

static void tell_text(struct dry_run *d, const struct redact_change *c, struct str before) {
    for (size_t i = 0, n = 0; i < redact_rules_count(d->rules); i++)
        if (c->rules >> i & 1) buf_add_fmt(&d->out, "%s%s", n++ ? ", " : "", redact_rule_name(d->rules, i));
    buf_add_fmt(&d->out, ": %s ", rewrite_place_names[c->place]);
    if (c->key.n) {
        put_terminal(&d->out, c->key);
        buf_add_text(&d->out, " ");
    }
    put_quoted(&d->out, before);
    buf_add_text(&d->out, c->dropped ? " → dropped" : " → ");
    if (!c->dropped) put_quoted(&d->out, c->after);
    buf_add_text(&d->out, "\n");
}

static void tell_json(struct dry_run *d, const struct redact_change *c, struct str before) {
    json_object(&d->w);
    json_key(&d->w, STR("rules"));
    json_array(&d->w);
    for (size_t i = 0; i < redact_rules_count(d->rules); i++)
        if (c->rules >> i & 1) json_text(&d->w, redact_rule_name(d->rules, i));
    json_array_end(&d->w);
    json_member(&d->w, "in", text, rewrite_place_names[c->place]);
    if (c->key.n) json_member(&d->w, "key", str, c->key);
    json_member(&d->w, "before", str, before);
    json_key(&d->w, STR("after"));
    if (c->dropped)
        json_null(&d->w);
    else
        json_str(&d->w, c->after);
    json_object_end(&d->w);
}

static void on_change(void *context, const struct redact_change *c) {
    struct dry_run *d = context;
    if (d->changes++ >= d->limit) return;
    AUTO_BUF struct buf before;
    buf_init(&before, INPUT_BYTES_MAX);
    put_before(d, c, &before);
    (d->json ? tell_json : tell_text)(d, c, buf_str(&before));
}

static void look_at(struct dry_run *d, struct batch_blob *blob) {
    struct batch b;
    if (!blob) return;
    batch_view(blob, &b);
    d->rows += b.rows;
    batch_unref(redactor_apply(d->redactor, &b, &d->counts));
}

static void look_at_points(struct dry_run *d, struct batch_blob *blob) {
    struct points p;
    if (!blob) return;
    points_view(blob, &p);
    d->rows += p.n;
    batch_unref(redactor_apply_points(d->redactor, &p, &d->counts));
}

/* ---- where telemetry comes from ----------------------------------------------------------------------------------- */

static err run_on_rows(struct dry_run *d, struct str text, const struct otlp_limits *limits) {
    struct otlp_decoder *decoder = otlp_decoder_new();
    err e = NULL;
    for (int s = 0; s < SIGNALS && !e; s++) {
        struct otlp_result r = {0};
        e = otlp_decode_json(decoder, (enum signal)s, text, limits, &r);
        look_at(d, r.blob);
        batch_unref(r.blob);
    }
    otlp_decoder_free(decoder);
    return e;
}

static err run_on_points(struct dry_run *d, struct str text, const struct otlp_limits *limits) {
    struct points_decoder *decoder = points_decoder_new();
    struct points_result r = {0};
    err e = points_decode_otlp_json(decoder, text, limits, &r);
    look_at_points(d, r.blob);
    batch_unref(r.blob);
    points_decoder_free(decoder);
    return e;
}

/* A file may hold resourceSpans, resourceLogs, resourceMetrics or all of them: each decoder passes over what is not its own. */
static err run_on_file(struct dry_run *d, const char *path) {
    static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 0};
    AUTO_BUF struct buf text = {0};
    TRY(file_read_all(path, INPUT_BYTES_MAX, &text));
    err e = run_on_rows(d, buf_str(&text), &all_times);
    if (!e) e = run_on_points(d, buf_str(&text), &all_times);
    return err_wrap(e, "%s", path);
}

static enum scan_next on_chunk(void *context, const struct chunk *c) {
    struct dry_run *d = context;
    struct batch_builder rows;
    struct scan_stats stats = {0};
    struct row_place *places = mem_new_array(struct row_place, MAX(c->n, 1u));
    for (uint32_t i = 0; i < c->n; i++) places[i] = (struct row_place){c->source, c->group, c->rows[i]};
    batch_builder_init(&rows, d->signal);
    d->e = snapshot_fetch(d->snapshot, places, c->n, &rows, &stats);
    if (!d->e && c->n) {
        struct batch_blob *blob = batch_builder_finish(&rows);
        look_at(d, blob);
        batch_unref(blob);
    }
    batch_builder_done(&rows);
    mem_free(places);
    command_progress("looked at %llu rows", (unsigned long long)d->rows);
    return d->e ? SCAN_STOP : SCAN_GO_ON;
}

static err run_on_signal(struct dry_run *d, struct store *store, enum signal signal) {
    AUTO_ARENA struct arena a;
    struct scan_request all = {.time_min = INT64_MIN, .time_max = INT64_MAX};
    struct scan_stats stats = {0};
    arena_init(&a, 256 * MIB);
    d->signal = signal;
    TRY(store_snapshot(store, STR("default"), signal, &d->snapshot));
    err e = snapshot_scan(d->snapshot, &all, &a, on_chunk, d, &stats);
    snapshot_free(d->snapshot);
    if (!e) return take(&d->e);
    err_free(d->e);
    return e;
}

static err run_on_data(struct dry_run *d, const char *dir) {
    struct store *store;
    struct budget budget;
    err e = NULL;
    TRY(command_open_data(dir, &budget, &store));
    for (int s = 0; s < SIGNALS && !e; s++) e = run_on_signal(d, store, (enum signal)s);
    command_progress_end();
    err closing = store_close(store);
    if (!e) return closing;
    err_free(closing);
    return e;
}

/* ---- summary ------------------------------------------------------------------------------------------------------ */

static void sum_text(struct dry_run *d) {
    struct buf *out = &d->out;
    if (d->changes > d->limit)
        buf_add_fmt(out, "… and %llu more; --limit shows more of them\n", (unsigned long long)(d->changes - d->limit));
    put_count(out, d->rows);
    buf_add_fmt(out, " row%s looked at; values that each rule would change:\n", d->rows == 1 ? "" : "s");
    for (size_t i = 0; i < redact_rules_count(d->rules); i++) {
        buf_add_fmt(out, "  %-30s ", redact_rule_name(d->rules, i));
        put_count(out, d->counts.changed[i]);
        buf_add_text(out, "\n");
    }
    if (d->counts.gave_up)
        buf_add_fmt(out, "  masked whole because a pattern took too long: %llu\n",
                    (unsigned long long)d->counts.gave_up);
}

static void sum_json(struct dry_run *d) {
    struct json_writer *w = &d->w;
    json_array_end(w);
    json_member(w, "changed", u64, d->changes);
    json_member(w, "rows", u64, d->rows);
    json_member(w, "gave_up", u64, d->counts.gave_up);
    json_key(w, STR("rules"));
    json_array(w);
    for (size_t i = 0; i < redact_rules_count(d->rules); i++) {
        json_object(w);
        json_member(w, "name", text, redact_rule_name(d->rules, i));
        json_member(w, "changed", u64, d->counts.changed[i]);
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
    buf_add_byte(&d->out, '\n');
}

static err run(struct dry_run *d, const struct arguments *a, const struct redact_rules *rules) {
    unsigned char secret[REDACT_SECRET_BYTES];
    AUTO_FREE char *input = str_dup(argument_text(a, OPTION_INPUT)), *dir = str_dup(argument_text(a, OPTION_DATA));
    random_bytes(secret, sizeof secret); /* hashes of a dry run say nothing about real ones */
    TRY(redactor_new(rules, secret, &d->redactor));
    redactor_watch(d->redactor, on_change, d);
    if (d->json) {
        json_object(&d->w);
        json_key(&d->w, STR("changes"));
        json_array(&d->w);
    }
    TRY(*input ? run_on_file(d, input) : run_on_data(d, dir));
    (d->json ? sum_json : sum_text)(d);
    command_print(&d->out);
    return NULL;
}

err command_check_redact(const struct arguments *a) {
    struct dry_run d = {.limit = 100, .show = argument_flag(a, OPTION_SHOW), .json = argument_flag(a, OPTION_JSON)};
    struct redact_rules *rules = NULL;
    AUTO_FREE char *path = str_dup(argument_text(a, OPTION_RULES));
    if (!*path) return err_new(ERR_INVALID, "--rules is missing: the file of rules, as `clew serve --redact` takes it");
    if (argument_text(a, OPTION_LIMIT).n) TRY(argument_u64(a, OPTION_LIMIT, &d.limit));
    TRY(redact_rules_read(path, &rules));
    d.rules = rules;
    buf_init(&d.out, (size_t)1 << 30);
    json_writer_init(&d.w, &d.out);
    err e = run(&d, a, rules);
    redactor_free(d.redactor);
    redact_rules_free(rules);
    buf_done(&d.out);
    return e;
}
