/* The engine on the simulated clock: states, series, what is sent; and killed at every state, compared with the run that was not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "alert/alert_priv.h"
#include "alert/records.h"
#include "base/text.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/sim/sim.h"

#define SECOND_NS ((int64_t)1000000000)
enum { KEPT_MAX = 8 };

static struct {
    struct store *store;
    struct alert_engine *engine;
    struct {
        char *key, *text;
    } kept[KEPT_MAX];
    struct buf sent;
    size_t appends, saves;
    bool refuse, keeper_is_full, late_is_refused;
    char records[64]; /* the folder of a database that keeps what else is kept in memory; empty: none */
    struct db *db;
    struct alert_records *keeper;
} world;

static void check_ok(err e, const char *what) {
    if (e) fail_msg("%s: %s", what, err_text(e));
}

/* ---- around the engine ------------------------------------------------------------------------------------------- */

static void on_stored(void *context, err e, const struct points_outcome *o) {
    (void)context;
    check_ok(e, "append");
    if (o->rejected && !world.late_is_refused)
        fail_msg("%llu refused at %lld: %s: conflicts %u, late %u", (unsigned long long)o->rejected,
                 (long long)clock_wall_ns(), o->message, (unsigned)o->rejected_by[REFUSED_CONFLICT],
                 (unsigned)o->rejected_by[REFUSED_TOO_LATE]);
}

static err append(void *context, struct str tenant, struct batch_blob *blob) {
    (void)context;
    world.appends++;
    if (world.refuse) {
        batch_unref(blob);
        return err_new(ERR_UNAVAILABLE, "the disk is full");
    }
    return store_append_points(world.store, tenant, blob, on_stored, NULL);
}

static void hear(void *context, const struct alert_notice *v, size_t n);

static void keep(struct str key, struct str state) {
    size_t i = 0;
    while (i < KEPT_MAX && world.kept[i].key && !str_equal(key, str_of(world.kept[i].key))) i++;
    assert_in_range(i, 0, KEPT_MAX - 1);
    if (!world.kept[i].key) world.kept[i].key = str_dup(key);
    mem_free(world.kept[i].text);
    world.kept[i].text = str_dup(state);
}

static err save(void *context, const struct alert_kept *kept, size_t n, const struct alert_notice *notices,
                size_t notice_n) {
    if (world.keeper_is_full) return err_new(ERR_UNAVAILABLE, "the disk is full");
    world.saves++;
    for (size_t i = 0; i < n; i++) keep(kept[i].name, kept[i].text);
    hear(context, notices, notice_n);
    return NULL;
}

static err load(void *context, struct str key, struct buf *out) {
    (void)context;
    for (size_t i = 0; i < KEPT_MAX; i++)
        if (world.kept[i].key && str_equal(key, str_of(world.kept[i].key))) buf_add_text(out, world.kept[i].text);
    return NULL;
}

static err list(void *context, void (*found)(void *x, struct str name), void *x) {
    (void)context;
    for (size_t i = 0; i < KEPT_MAX; i++)
        if (world.kept[i].key && *world.kept[i].text) found(x, str_of(world.kept[i].key));
    return NULL;
}

static void put_set(struct buf *out, struct labels l) { promql_labels_print(l, out); }

static void hear(void *context, const struct alert_notice *v, size_t n) {
    (void)context;
    for (size_t i = 0; i < n; i++) {
        buf_add_fmt(&world.sent, "%lld sent ", (long long)(clock_wall_ns() / SECOND_NS));
        put_set(&world.sent, v[i].labels);
        put_set(&world.sent, v[i].annotations);
        buf_add_fmt(&world.sent, " from %lld to %lld\n", (long long)v[i].starts_ns, (long long)v[i].ends_ns);
    }
}

static struct alert_rules *read_text(const char *text, const char *path) {
    struct alert_rules *rules = alert_rules_new();
    AUTO_BUF struct buf problems;
    buf_init(&problems, MIB);
    check_ok(rules_read(str_of(text), path, &rules->a, vec_push(&rules->files), &problems), "rules");
    if (problems.n) fail_msg("%s", problems.p);
    return rules;
}

static void load_rules(const char *text) { alert_engine_load_wait(world.engine, STR(""), read_text(text, "r.yml")); }

static void load_row(const char *tenant, const char *id, const char *text) {
    AUTO_BUF struct buf source;
    struct alert_rules *rules = text ? read_text(text, id) : NULL;
    buf_init(&source, KIB);
    buf_add_fmt(&source, "%s/%s", tenant, id);
    if (rules) rules->files.v[0].tenant = arena_copy(&rules->a, str_of(tenant));
    if (rules) rules->files.v[0].is_row = true;
    alert_engine_load_wait(world.engine, buf_str(&source), rules);
}

/* In place of notify.c: what is put into queues is heard. */
err notifier_push_in(struct notifier *n, struct db_transaction *t, const struct alert_notice *notices, size_t count) {
    (void)t;
    hear(n, notices, count);
    return NULL;
}
void notifier_wake(struct notifier *n) { (void)n; }

static struct alert_keeper open_keeper(void) {
    AUTO_BUF struct buf path = {0};
    if (!*world.records) return (struct alert_keeper){NULL, save, load, list};
    buf_init(&path, KIB);
    buf_add_fmt(&path, "%s/records.db", world.records);
    err_free(path_make_dir(
        "/tmp")); /* db makes its file on the simulated disk, SQLite opens it on the real one: so both have it */
    err_free(path_make_dir(world.records));
    fclose(fopen(path.p, "a"));
    check_ok(db_open(&(struct db_options){.path = path.p, .wall_ns = clock_wall_ns}, &world.db), "db");
    check_ok(alert_records_open(world.db, (struct notifier *)&world, &world.keeper), "records");
    return alert_records_keeper(world.keeper);
}

static void open_engine(const char *rules) {
    world.engine = alert_engine_new(
        &(struct alert_options){.store = world.store, .append_wait = append, .keeper = open_keeper(), .send = hear});
    load_rules(rules);
}

static void kill_engine(void) {
    alert_engine_free(take(&world.engine));
    alert_records_close(take(&world.keeper));
    db_close(take(&world.db));
}

static int begin(void **state) {
    struct store_options o;
    (void)state;
    sim_reset(1);
    memset(&world, 0, sizeof world);
    store_options_default(&o);
    o.retention_ns = 0;
    world.store = store_model_open(&o);
    buf_init(&world.sent, 16 * MIB);
    return 0;
}

static int end(void **state) {
    (void)state;
    kill_engine();
    check_ok(store_close(world.store), "close");
    buf_done(&world.sent);
    for (size_t i = 0; i < KEPT_MAX; i++) mem_free(world.kept[i].key), mem_free(world.kept[i].text);
    return 0;
}

static void say_to(const char *tenant, const char *name, const char *label, double value) {
    struct samples_out out;
    struct label l[2] = {{METRIC_NAME, str_of(name)}, {STR("i"), str_of(label)}};
    samples_out_init(&out);
    samples_out_add(&out, (struct labels){l, 2}, clock_wall_ns() / 1000000, value);
    check_ok(append(NULL, str_of(tenant), points_builder_finish(&out.b)), "say");
    samples_out_done(&out);
}
static void say(const char *name, const char *label, double value) { say_to("default", name, label, value); }

/* All samples of now that a selector takes, one a line. */
static void ask_of(const char *tenant, const char *text, struct buf *out) {
    struct query q;
    struct series_source source = {0};
    const struct promql_node *expr;
    struct promql_answer a;
    int64_t now = clock_wall_ns() / 1000000;
    struct promql_options o = {.start_ms = now, .end_ms = now, .check = series_source_step, .context = &source};
    query_begin(&q, &(struct query_options){.store = world.store, .tenant = str_of(tenant)});
    check_ok(series_source_open(&q, &source), "open");
    check_ok(promql_parse(&q.arena, str_of(text), (struct promql_syntax){.experimental_functions = true}, &expr, NULL),
             "parse");
    check_ok(promql_run(&q.arena, &source.source, expr, str_of(text), &o, &a), "run");
    for (size_t i = 0; i < a.row_n; i++) {
        put_set(out, a.rows[i].labels);
        buf_add_fmt(out, " %g\n", a.rows[i].values[0]);
    }
    series_source_close(&source);
    query_end(&q);
}

static void ask(const char *text, struct buf *out) { ask_of("default", text, out); }

static void expect_of(const char *tenant, const char *text, const char *answer) {
    AUTO_BUF struct buf got;
    buf_init(&got, MIB);
    buf_add_text(&got, "");
    ask_of(tenant, text, &got);
    assert_string_equal(got.p ? got.p : "", answer);
}
static void expect(const char *text, const char *answer) { expect_of("default", text, answer); }

/* To the next time at which a group is due; what was due before is evaluated. */
static void pass(int64_t *due) {
    if (!*due) *due = alert_engine_step_wait(world.engine);
    sim_clock_advance(MAX(*due - clock_wall_ns(), 0));
}
static void step(int64_t *due) { *due = alert_engine_step_wait(world.engine); }

static void put_states(void *context, const struct alert_group *const *groups, size_t n) {
    struct buf *out = context;
    for (size_t g = 0; g < n; g++)
        for (size_t i = 0; i < groups[g]->n; i++)
            for (size_t k = 0; k < groups[g]->rules[i].alerts.n; k++) {
                const struct alert *x = groups[g]->rules[i].alerts.v[k];
                put_set(out, x->labels);
                put_set(out, x->annotations);
                buf_add_fmt(out, " %s %g active %lld fired %lld resolved %lld kept %lld sent %lld until %lld\n",
                            alert_state_names[x->state], x->value, (long long)x->active_ns, (long long)x->fired_ns,
                            (long long)x->resolved_ns, (long long)x->keep_since_ns, (long long)x->sent_ns,
                            (long long)x->until_ns);
            }
}

/* ---- the matrix -------------------------------------------------------------------------------------------------- */

#define RULES                                                                                                          \
    "groups:\n- name: g\n  interval: 1m\n  rules:\n"                                                                   \
    "  - {record: twice, expr: 2 * x}\n"                                                                               \
    "  - {alert: At, expr: twice > 0, labels: {severity: '{{ if gt $value 5.0 }}high{{ else }}low{{ end }}'}, "        \
    "annotations: {v: '{{ $value }}'}}\n"                                                                              \
    "  - {alert: For, expr: x > 0, for: 2m, annotations: {v: '{{ $labels.i }} {{ $value }}'}}\n"                       \
    "  - {alert: Keep, expr: x > 0, for: 1m, keep_firing_for: 3m}\n"                                                   \
    "  - {record: count, expr: 'count(ALERTS) by (alertname, alertstate)'}\n"

/* Of each step (1 min): the values of two series; - is none. Pending and gone, fired, kept, fired again while kept, resolved, fired again
 * within and after the 15 minutes for which a resolved one stays. */
static const char *const plays[2] = {"-1--1111--1-----1--11111------------------111---",
                                     "11111111112222-----2222233333333-1-1-1-11-11-11-"};
enum { STEPS = 48 };

static void remove_records(void) {
    static const char *const names[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < LENGTH(names) && *world.records; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/records.db%s", world.records, names[i]);
        unlink(path); /* SQLite's own files: not of the simulated disk */
    }
}

/* Runs it all; a kill before step `killed` (none: STEPS). What was seen at every step is appended. records: the folder, or "". */
static void play(size_t killed, const char *records, struct buf *seen) {
    int64_t due = 0;
    begin(NULL);
    snprintf(world.records, sizeof world.records, "%s", records);
    remove_records();
    open_engine(RULES);
    for (size_t i = 0; i < STEPS; i++) {
        pass(&due);
        for (int k = 0; k < 2; k++)
            if (plays[k][i] != '-')
                say("x", k ? "b" : "a", plays[k][i] - '0');
            else if (i && plays[k][i - 1] != '-') {
                uint64_t bits = PROMQL_STALE;
                double stale;
                memcpy(&stale, &bits, sizeof stale);
                say("x", k ? "b" : "a", stale);
            }
        if (i == killed) {
            kill_engine();
            open_engine(RULES);
        }
        step(&due);
        buf_add_fmt(seen, "step %zu\n", i);
        alert_engine_look(world.engine, put_states, seen);
        ask("sort_by_label(ALERTS, 'alertname', 'i', 'alertstate', 'severity')", seen);
        ask("sort_by_label(ALERTS_FOR_STATE, 'alertname', 'i', 'severity')", seen);
        ask("sort_by_label(count, 'alertname', 'alertstate')", seen);
    }
    buf_add_str(seen, buf_str(&world.sent));
    end(NULL);
}

static void kill_at_every_state(const char *records, size_t stride) {
    AUTO_BUF struct buf whole, seen;
    size_t firing = 0;
    buf_init(&whole, 64 * MIB);
    buf_init(&seen, 64 * MIB);
    play(STEPS, "", &whole);
    static const char *const parts[] = {" pending ",         " firing ", " inactive ", "ALERTS{",
                                        "ALERTS_FOR_STATE{", " sent ",   "count{"};
    for (size_t i = 0; i < LENGTH(parts); i++)
        if (!strstr(whole.p, parts[i])) fail_msg("nothing that is%s", parts[i]);
    for (const char *p = whole.p; (p = strstr(p, " firing ")); p++) firing++;
    assert_in_range(firing, 50, 10000);
    for (size_t k = 0; k < STEPS; k += stride) {
        buf_clear(&seen);
        play(k, records, &seen);
        if (str_equal(buf_str(&whole), buf_str(&seen))) continue;
        size_t at = 0, line = 0;
        while (at < whole.n && at < seen.n && whole.p[at] == seen.p[at]) line = whole.p[at++] == '\n' ? at : line;
        fail_msg("killed at step %zu:\n  was %.300s\n  is  %.300s", k, whole.p + line, seen.p + line);
    }
}

static void killed_at_every_state(void **state) {
    (void)state;
    kill_at_every_state("", 1);
}

static void killed_over_a_database(void **state) {
    char folder[] = "/tmp/clew-rules-XXXXXX";
    (void)state;
    assert_non_null(mkdtemp(folder));
    kill_at_every_state(folder, 5);
    snprintf(world.records, sizeof world.records, "%s", folder);
    remove_records();
    rmdir(folder);
}

static void time_unseen_does_not_count(void **state) {
    int64_t due = 0;
    (void)state;
    open_engine("groups:\n- name: g\n  interval: 30s\n  rules:\n  - {alert: A, expr: vector(1), for: 5m}\n");
    for (int i = 0; i < 3; i++) pass(&due), step(&due);
    kill_engine();
    sim_clock_advance(3600 * SECOND_NS);
    open_engine("groups:\n- name: g\n  interval: 30s\n  rules:\n  - {alert: A, expr: vector(1), for: 5m}\n");
    due = 0;
    for (int i = 0; i < 3; i++) pass(&due), step(&due);
    expect("ALERTS", "ALERTS{alertname=\"A\", alertstate=\"pending\"} 1\n");
    for (int i = 0; i < 6; i++) pass(&due), step(&due);
    expect("ALERTS", "ALERTS{alertname=\"A\", alertstate=\"firing\"} 1\n");
}

/* ---- what rules write --------------------------------------------------------------------------------------------- */

static struct alert_rule *rule(size_t i) { return &world.engine->groups.v[0]->rules[i]; }

static void vanished_series_end(void **state) {
    int64_t due = 0;
    (void)state;
    open_engine("groups:\n- name: g\n  interval: 1m\n  labels: {team: t}\n  rules:\n  - {record: y, expr: x > 1, "
                "labels: {i: '', k: v}}\n");
    pass(&due);
    say("x", "a", 5);
    step(&due);
    expect("y", "y{k=\"v\", team=\"t\"} 5\n");
    pass(&due);
    say("x", "a", 0);
    step(&due);
    expect("y", "");
}

static void rules_see_what_was_written_before(void **state) {
    int64_t due = 0;
    (void)state;
    open_engine(
        "groups:\n- name: g\n  interval: 1m\n  rules:\n  - {record: a, expr: vector(1)}\n  - {record: b, expr: a + 1}\n"
        "  - {record: c, expr: '{__name__=~\"a|b\"}', labels: {k: v}}\n  - {record: d, expr: vector(7)}\n");
    pass(&due);
    world.appends = 0;
    step(&due);
    expect("b", "b 2\n");
    assert_int_equal(rule(2)->health, RULE_ERR); /* a and b become one series */
    assert_non_null(
        strstr(rule(2)->error, "vector contains metrics with the same labelset after applying rule labels"));
    expect("d", "d 7\n");
    assert_int_equal(world.appends, 3);
}

static void limits_and_failures(void **state) {
    int64_t due = 0;
    (void)state;
    open_engine(
        "groups:\n- name: g\n  interval: 1m\n  limit: 1\n  rules:\n  - {record: r, expr: x}\n  - {alert: A, expr: x}\n"
        "  - {alert: B, expr: 'x / on() x'}\n  - {alert: C, expr: x, labels: {i: one}}\n  - {record: s, expr: "
        "'\"text\"'}\n");
    pass(&due);
    say("x", "a", 1);
    say("x", "b", 1);
    step(&due);
    static const char *const errors[] = {
        "exceeded limit of 1 with 2 series", "exceeded limit of 1 with 2 alerts", "many-to-many matching not allowed",
        "same labelset after applying alert labels", "rule result is not a vector or scalar"};
    for (size_t i = 0; i < LENGTH(errors); i++) {
        assert_int_equal(rule(i)->health, RULE_ERR);
        if (!strstr(rule(i)->error, errors[i])) fail_msg("%s\nnot: %s", rule(i)->error, errors[i]);
    }
    expect("{__name__=~\"r|ALERTS.*\"}", "");
    world.refuse = true;
    load_rules("groups:\n- name: g\n  interval: 1m\n  rules:\n  - {record: r, expr: vector(1)}\n");
    due = 0;
    sim_clock_advance(60 * SECOND_NS);
    step(&due);
    assert_string_equal(rule(0)->error, "writing samples: the disk is full");
}

static void offsets_and_missed_times(void **state) {
    int64_t due = 0;
    (void)state;
    open_engine("groups:\n- name: g\n  interval: 1m\n  query_offset: 30s\n  rules:\n  - {record: r, expr: "
                "timestamp(vector(1))}\n");
    pass(&due);
    step(&due);
    int64_t at = world.engine->groups.v[0]->at_ns;
    assert_int_equal(at, clock_wall_ns());
    AUTO_BUF struct buf want;
    buf_init(&want, 256);
    buf_add_fmt(&want, "r %g\n", (double)(at / SECOND_NS - 30));
    expect("r", want.p);
    sim_clock_advance(10 * 60 * SECOND_NS);
    step(&due);
    assert_int_equal(world.engine->groups.v[0]->missed, 9);
    assert_int_equal(world.engine->groups.v[0]->iterations, 2);
}

static void reload_keeps_states(void **state) {
    int64_t due = 0;
    (void)state;
    open_engine("groups:\n- name: g\n  interval: 1m\n  rules:\n  - {alert: A, expr: vector(1), for: 2m}\n  - {alert: "
                "B, expr: vector(1)}\n");
    for (int i = 0; i < 3; i++) pass(&due), step(&due);
    int64_t active = rule(0)->alerts.v[0]->active_ns;
    assert_int_equal(rule(0)->alerts.v[0]->state, ALERT_FIRING);
    load_rules("groups:\n- name: g\n  interval: 1m\n  rules:\n  - {record: new, expr: vector(1)}\n  - {alert: A, expr: "
               "vector(2), for: 10m}\n");
    sim_clock_advance(1000000);
    expect("ALERTS{alertname=\"B\"}", "");
    assert_int_equal(rule(1)->alerts.v[0]->active_ns, active);
    pass(&due), step(&due);
    assert_int_equal(rule(1)->alerts.v[0]->state, ALERT_PENDING); /* `for` is longer now */
    expect("ALERTS{alertname=\"A\"}", "ALERTS{alertname=\"A\", alertstate=\"pending\"} 1\n");
}

static void damaged_states_are_left(void **state) {
    int64_t due = 0;
    (void)state;
    static const char good[] = "{\"at\":1767225600000000000,\"rules\":[{\"name\":\"A\",\"labels\":{},\"alerts\":[{"
                               "\"labels\":{\"alertname\":\"A\"},"
                               "\"annotations\":{},\"state\":2,\"value\":\"0\",\"active\":5,\"fired\":5,\"resolved\":0,"
                               "\"keep_since\":0,\"sent\":5,\"until\":5}]}]}";
    for (size_t n = 0; n <= sizeof good - 1; n++) {
        keep(STR("default\x1fr.yml\x1fg"), (struct str){good, n});
        sim_clock_advance(SECOND_NS);
        open_engine("groups:\n- name: g\n  interval: 1m\n  rules:\n  - {alert: A, expr: vector(1)}\n");
        due = 0;
        pass(&due), step(&due);
        assert_int_equal(rule(0)->alerts.n, 1);
        kill_engine();
    }
}

static void many_rules_and_cycles(void **state) {
    AUTO_BUF struct buf text;
    int64_t due = 0;
    (void)state;
    buf_init(&text, 16 * MIB);
    buf_add_text(
        &text,
        "groups:\n- name: g\n  interval: 1m\n  rules:\n  - {record: a, expr: b + 1}\n  - {record: b, expr: a + 1}\n");
    for (int i = 0; i < 10000; i++) buf_add_fmt(&text, "  - {record: 'r%d', expr: vector(%d)}\n", i, i);
    open_engine(text.p);
    say("b", "x", 1);
    pass(&due);
    step(&due);
    expect("b", "b{i=\"x\"} 3\n");
    expect("r9999", "r9999 9999\n");
    assert_int_equal(world.engine->groups.v[0]->n, 10002);
}

/* ---- rows, and what is gone --------------------------------------------------------------------------------------- */

#define ONE(name, expr) "groups:\n- name: " name "\n  interval: 1m\n  rules:\n  - {alert: " name ", expr: '" expr "'}\n"

static void a_row_is_of_its_tenant(void **state) {
    int64_t due = 0;
    (void)state;
    open_engine(ONE("File", "x > 0"));
    load_row("b", "one",
             "groups:\n- name: g\n  interval: 1m\n  rules:\n  - {record: y, expr: 2 * x}\n  - {alert: Row, expr: 'y > "
             "0'}\n");
    load_row("c", "one", ONE("Other", "x > 0"));
    pass(&due);
    say("x", "a", 1);
    say_to("b", "x", "b", 2);
    sim_clock_advance(60 * SECOND_NS);
    step(&due);
    expect("y", "");
    expect("ALERTS", "ALERTS{alertname=\"File\", alertstate=\"firing\", i=\"a\"} 1\n");
    expect_of("b", "y", "y{i=\"b\"} 4\n");
    expect_of("b", "ALERTS", "ALERTS{alertname=\"Row\", alertstate=\"firing\", i=\"b\"} 1\n");
    expect_of("c", "ALERTS", "");
}

static size_t times_sent(const char *what, bool resolved) {
    size_t n = 0;
    struct str rest = world.sent.n ? buf_str(&world.sent) : STR(""), line;
    while (rest.n) {
        str_cut(rest, '\n', &line, &rest);
        AUTO_FREE char *text = str_dup(line);
        const char *end = strstr(text, " to ");
        if (!strstr(text, what) || !end) continue;
        n += resolved == (strtoll(end + 4, NULL, 10) / SECOND_NS <= strtoll(text, NULL, 10));
    }
    return n;
}

static size_t kept_count(void) {
    size_t n = 0;
    for (size_t i = 0; i < KEPT_MAX; i++) n += world.kept[i].key && *world.kept[i].text;
    return n;
}

static void what_is_deleted_is_resolved(void **state) {
    int64_t due = 0;
    (void)state;
    open_engine(ONE("File", "vector(1)"));
    load_row("default", "one", ONE("Row", "vector(1)"));
    pass(&due);
    sim_clock_advance(60 * SECOND_NS);
    step(&due);
    assert_int_equal(kept_count(), 2);
    assert_int_equal(times_sent("Row", false), 1);
    load_row("default", "one", NULL);
    assert_int_equal(times_sent("Row", true), 1);
    assert_int_equal(times_sent("File", true), 0);
    assert_int_equal(kept_count(), 1);
    sim_clock_advance(1000000);
    expect("ALERTS", "ALERTS{alertname=\"File\", alertstate=\"firing\"} 1\n");
    load_rules("groups: []\n"); /* one rule of a file, as well */
    assert_int_equal(times_sent("File", true), 1);
    assert_int_equal(kept_count(), 0);
    assert_int_equal(alert_engine_step_wait(world.engine), INT64_MAX);
}

static void what_went_while_away_is_resolved(void **state) {
    int64_t due = 0;
    (void)state;
    open_engine(ONE("File", "vector(1)"));
    load_row("b", "one",
             "groups:\n- name: g\n  interval: 1m\n  rules:\n  - {record: r, expr: vector(5)}\n  - {alert: Row, expr: "
             "vector(1)}\n");
    pass(&due);
    sim_clock_advance(60 * SECOND_NS);
    step(&due);
    kill_engine();
    sim_clock_advance(60 * SECOND_NS);
    open_engine(ONE("File", "vector(1)"));
    alert_engine_forget_wait(world.engine);
    assert_int_equal(times_sent("Row", true), 1);
    assert_int_equal(times_sent("File", true), 0);
    assert_int_equal(kept_count(), 1);
    sim_clock_advance(1000000);
    expect_of("b", "{__name__=~\"ALERTS|r\"}", "");
    alert_engine_forget_wait(world.engine);
    assert_int_equal(times_sent("Row", true), 1);
}

static void a_lost_rule_is_resolved_and_a_renamed_row_goes_on(void **state) {
    int64_t due = 0;
    (void)state;
    open_engine("groups: []\n");
    load_row("b", "one",
             "groups:\n- name: g\n  interval: 1m\n  rules:\n  - {alert: A, expr: vector(1)}\n  - {alert: B, expr: "
             "vector(1), for: 1m}\n");
    pass(&due), step(&due);
    int64_t active = rule(1)->alerts.v[0]->active_ns;
    load_row("b", "one",
             "groups:\n- name: other\n  interval: 1m\n  rules:\n  - {alert: B, expr: vector(1), for: 1m}\n");
    assert_int_equal(times_sent("\"A\"", true), 1);
    kill_engine(); /* before anything was evaluated */
    open_engine("groups: []\n");
    load_row("b", "one",
             "groups:\n- name: third\n  interval: 1m\n  rules:\n  - {alert: B, expr: vector(1), for: 1m}\n");
    assert_int_equal(rule(0)->alerts.v[0]->active_ns, active);
    alert_engine_forget_wait(world.engine);
    assert_int_equal(times_sent("\"A\"", true), 1);
}

static void a_bad_row_says_why_and_the_others_run(void **state) {
    int64_t due = 0;
    (void)state;
    open_engine(ONE("File", "vector(1)"));
    struct alert_rules *rules = read_text("groups: [{name: bad}]\n", "bad");
    rules->files.v[0].is_row = true;
    rules->files.v[0].problem = STR("no such function");
    alert_engine_load_wait(world.engine, STR("default/bad"), rules);
    pass(&due), step(&due);
    expect("ALERTS", "ALERTS{alertname=\"File\", alertstate=\"firing\"} 1\n");
    assert_string_equal(world.engine->groups.v[1]->problem, "no such function");
    assert_int_equal(world.engine->groups.v[1]->iterations, 0);
}

static void a_full_disk_silences_nobody(void **state) {
    int64_t due = 0;
    (void)state;
    open_engine(ONE("File", "vector(1)"));
    world.keeper_is_full = true;
    pass(&due), step(&due);
    assert_int_equal(times_sent("File", false), 1);
    assert_int_equal(kept_count(), 0);
    world.keeper_is_full = false;
    pass(&due), step(&due);
    assert_int_equal(kept_count(), 1);
}

static void a_clock_set_back_stops_nothing(void **state) {
    int64_t due = 0;
    (void)state;
    open_engine("groups:\n- name: g\n  interval: 1m\n  rules:\n  - {alert: A, expr: vector(1)}\n  - {alert: B, expr: "
                "vector(1), for: 2m}\n");
    pass(&due), step(&due);
    int64_t was = world.engine->groups.v[0]->at_ns, hour = 3600 * SECOND_NS;
    sim_clock_set_wall(clock_wall_ns() - hour);
    world.late_is_refused = true; /* the store has newer samples of these series */
    due = 0;
    for (int i = 0; i < 4; i++) pass(&due), step(&due);
    assert_in_range(world.engine->groups.v[0]->at_ns, was - hour, was - hour + 5 * 60 * SECOND_NS);
    assert_int_equal(rule(1)->alerts.v[0]->state, ALERT_FIRING);
    assert_in_range(times_sent("\"A\"", false), 2, 5);
}

static void a_group_that_is_quiet_costs_no_commit(void **state) {
    int64_t due = 0;
    (void)state;
    open_engine(
        "groups:\n- name: g\n  interval: 1m\n  rules:\n  - {record: r, expr: vector(1)}\n  - {alert: A, expr: x}\n");
    for (int i = 0; i < 5; i++) pass(&due), step(&due);
    assert_int_equal(world.saves, 1); /* the series that is written */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_every_state),
        cmocka_unit_test(killed_over_a_database),
        TEST(time_unseen_does_not_count),
        TEST(vanished_series_end),
        TEST(rules_see_what_was_written_before),
        TEST(limits_and_failures),
        TEST(offsets_and_missed_times),
        TEST(reload_keeps_states),
        TEST(damaged_states_are_left),
        TEST(many_rules_and_cycles),
        TEST(a_row_is_of_its_tenant),
        TEST(what_is_deleted_is_resolved),
        TEST(what_went_while_away_is_resolved),
        TEST(a_lost_rule_is_resolved_and_a_renamed_row_goes_on),
        TEST(a_bad_row_says_why_and_the_others_run),
        TEST(a_full_disk_silences_nobody),
        TEST(a_clock_set_back_stops_nothing),
        TEST(a_group_that_is_quiet_costs_no_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
