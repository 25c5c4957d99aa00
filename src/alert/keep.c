/* States of a group as JSON, for the keeper: all of every alert, so that a restart goes on as if it had not been. */
#include "alert/alert_priv.h"

#include "base/json.h"
#include "base/map.h"
#include "base/log.h"
#include "base/text.h"

enum { STATE_BYTES_MAX = 256 << 20, LABELS_READ_MAX = 1024 };
#define SERIES "\x1fseries" /* what the name of what recording rules wrote ends with */

/* The times of an alert, as they are kept. */
static const struct {
    const char *name;
    size_t at;
} times[] = {{"active", offsetof(struct alert, active_ns)},     {"fired", offsetof(struct alert, fired_ns)},
             {"resolved", offsetof(struct alert, resolved_ns)}, {"keep_since", offsetof(struct alert, keep_since_ns)},
             {"sent", offsetof(struct alert, sent_ns)},         {"until", offsetof(struct alert, until_ns)}};
static int64_t *time_of(const struct alert *x, size_t i) { return (int64_t *)((char *)(uintptr_t)x + times[i].at); }

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static void write_labels(struct json_writer *w, const char *key, struct labels l) {
    if (key) json_key(w, str_of(key));
    json_object(w);
    for (uint32_t i = 0; i < l.n; i++) {
        json_key(w, l.v[i].name);
        json_str(w, l.v[i].value);
    }
    json_object_end(w);
}

static void write_alert(struct json_writer *w, const struct alert *x) {
    uint64_t bits;
    memcpy(&bits, &x->value, sizeof bits);
    json_object(w);
    write_labels(w, "labels", x->labels);
    write_labels(w, "annotations", x->annotations);
    json_member(w, "state", u64, x->state);
    json_member(w, "value", u64_text, bits);
    for (size_t i = 0; i < LENGTH(times); i++) {
        json_key(w, str_of(times[i].name));
        json_i64(w, *time_of(x, i));
    }
    json_object_end(w);
}

static void write_group(struct json_writer *w, const struct alert_group *g) {
    json_object(w);
    json_member(w, "at", i64, g->at_ns);
    json_key(w, STR("rules"));
    json_array(w);
    for (size_t i = 0; i < g->n; i++) {
        const struct alert_rule *r = &g->rules[i];
        if (!r->alerts.n) continue;
        json_object(w);
        json_member(w, "name", str, r->def->name);
        write_labels(w, "labels", r->def->labels);
        json_key(w, STR("alerts"));
        json_array(w);
        for (size_t k = 0; k < r->alerts.n; k++) write_alert(w, r->alerts.v[k]);
        json_array_end(w);
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
}

static void write_series(struct json_writer *w, const struct alert_group *g) {
    json_array(w);
    for (size_t i = 0; i < g->n; i++) {
        const struct alert_rule *r = &g->rules[i];
        if (r->def->is_alert || !r->written) continue;
        json_object(w);
        json_member(w, "name", str, r->def->name);
        write_labels(w, "labels", r->def->labels);
        json_key(w, STR("series"));
        json_array(w);
        for (uint32_t k = 0; k < r->written->n; k++) write_labels(w, NULL, r->written->labels[k]);
        json_array_end(w);
        json_object_end(w);
    }
    json_array_end(w);
}

static struct str name_of(struct buf *out, const char *key, const char *ending) {
    buf_init(out, 32 * KIB);
    buf_add_fmt(out, "%s%s", key, ending);
    return buf_str(out);
}

static err put_text(struct buf *text, const struct alert_group *g,
                    void (*put)(struct json_writer *w, const struct alert_group *g)) {
    struct json_writer w;
    json_writer_init(&w, text);
    put(&w, g);
    return text->full ? err_new(ERR_LIMIT, "the states of a group are over %d MiB", STATE_BYTES_MAX >> 20) : NULL;
}

static err hand_over(struct alert_engine *e, const struct alert_group *g, bool alerts, bool series, bool any_series,
                     const struct alert_notice *notices, size_t notice_n) {
    const struct alert_keeper *k = &e->options.keeper;
    AUTO_BUF struct buf states, written, name = {0}, written_name = {0};
    struct alert_kept kept[2];
    size_t n = 0;
    buf_init(&states, STATE_BYTES_MAX);
    buf_init(&written, STATE_BYTES_MAX);
    if (alerts || g->kept) {
        if (alerts) TRY(put_text(&states, g, write_group));
        kept[n++] = (struct alert_kept){name_of(&name, g->key, ""), alerts ? buf_str(&states) : STR("")};
    }
    if (series) {
        if (any_series) TRY(put_text(&written, g, write_series));
        kept[n++] =
            (struct alert_kept){name_of(&written_name, g->key, SERIES), any_series ? buf_str(&written) : STR("")};
    }
    return n || notice_n ? k->save(k->context, kept, n, notices, notice_n) : NULL;
}

void group_save(struct alert_engine *e, struct alert_group *g, const struct alert_notice *notices, size_t notice_n) {
    const struct alert_options *o = &e->options;
    bool alerts = false;
    size_t series = 0;
    err failed = NULL;
    for (size_t i = 0; i < g->n; i++) {
        alerts |= g->rules[i].alerts.n > 0;
        series += !g->rules[i].def->is_alert && g->rules[i].written ? g->rules[i].written->n : 0;
    }
    if (o->keeper.save) {
        bool changed = g->series_changed && series <= ALERT_SERIES_KEPT_MAX;
        failed = hand_over(e, g, alerts, changed, series > 0, notices, notice_n);
        if (!failed) g->kept = alerts;
        if (!failed && changed) g->series_changed = false;
    }
    if (failed) log_error("the states of alerts could not be kept", F_TEXT("group", g->key), F_ERR(failed));
    if (notice_n && o->send && (failed || !o->keeper.save)) o->send(o->send_context, notices, notice_n);
    err_free(failed);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

struct state_reader {
    struct json_reader r;
    struct arena a; /* of the texts of one alert */
    struct label own[2][LABELS_READ_MAX];
    bool bad;
};

static bool expect(struct state_reader *s, enum json_token wanted) {
    if (!s->bad && json_next(&s->r) != wanted) s->bad = true;
    return !s->bad;
}

/* Behind their {. */
static struct labels read_members(struct state_reader *s, int which) {
    struct label *v = s->own[which];
    uint32_t n = 0;
    for (enum json_token t; !s->bad && (t = json_next(&s->r)) != JSON_OBJECT_END;) {
        if (t != JSON_KEY || n == LABELS_READ_MAX) return s->bad = true, (struct labels){0};
        v[n].name = arena_copy(&s->a, s->r.value);
        if (expect(s, JSON_STRING)) v[n].value = arena_copy(&s->a, s->r.value);
        s->bad |= s->a.full;
        n++;
    }
    return (struct labels){v, n};
}

static struct labels read_labels(struct state_reader *s, int which) {
    expect(s, JSON_OBJECT);
    return read_members(s, which);
}

static int64_t read_number(struct state_reader *s) {
    int64_t v = 0;
    if (!expect(s, JSON_NUMBER)) return 0;
    err e = parse_i64(s->r.value, &v);
    s->bad |= e != NULL;
    err_free(e);
    return v;
}

static void read_value(struct state_reader *s, struct alert *x) {
    uint64_t bits = 0;
    if (!expect(s, JSON_STRING)) return;
    err e = parse_u64(s->r.value, &bits);
    s->bad |= e != NULL;
    err_free(e);
    memcpy(&x->value, &bits, sizeof bits);
}

/* Behind its {. */
static struct alert *read_alert(struct state_reader *s) {
    struct alert *x = mem_new_of(struct alert);
    struct labels labels = {0}, annotations = {0};
    while (!s->bad && json_next(&s->r) == JSON_KEY) {
        struct str key = s->r.value;
        size_t i = 0;
        while (i < LENGTH(times) && !str_equal(key, str_of(times[i].name))) i++;
        if (i < LENGTH(times)) {
            *time_of(x, i) = read_number(s);
        } else if (str_equal(key, STR("labels"))) {
            labels = read_labels(s, 0);
        } else if (str_equal(key, STR("annotations"))) {
            annotations = read_labels(s, 1);
        } else if (str_equal(key, STR("state"))) {
            int64_t state = read_number(s);
            s->bad |= state < 0 || state > ALERT_FIRING;
            x->state = s->bad ? ALERT_INACTIVE : (enum alert_state)state;
        } else if (str_equal(key, STR("value"))) {
            read_value(s, x);
        } else {
            s->bad |= !json_skip(&s->r);
        }
    }
    x->labels = labels_keep(labels);
    x->annotations = labels_keep(annotations);
    x->hash = label_set_hash(x->labels);
    arena_clear(&s->a);
    return x;
}

/* What is kept of groups that are no more is read into rules without a name, as many as there are. */
static const struct rule_group forgotten_group;
static const struct rule forgotten_rules[2] = {{.is_alert = false}, {.is_alert = true}};

static struct alert_rule *push_forgotten(struct alert_group *g, bool is_alert) {
    if (g->n == 0 || (g->n & (g->n - 1)) == 0) { /* 1, 2, 4, …: twice as many places */
        struct alert_rule *more = mem_new_array(struct alert_rule, 2 * g->n + 1);
        if (g->n) memcpy(more, g->rules, g->n * sizeof *more);
        mem_free(g->rules);
        g->rules = more;
    }
    g->rules[g->n] = (struct alert_rule){.def = &forgotten_rules[is_alert]};
    return &g->rules[g->n++];
}

/* The rule of that name and labels that has taken nothing yet. */
static struct alert_rule *rule_of(struct alert_group *g, bool is_alert, struct str name, struct labels labels) {
    if (g->def == &forgotten_group) return push_forgotten(g, is_alert);
    for (size_t i = 0; i < g->n; i++) {
        struct alert_rule *r = &g->rules[i];
        if (r->def->is_alert == is_alert && !r->alerts.n && !r->written && str_equal(r->def->name, name) &&
            promql_labels_compare(r->def->labels, labels) == 0)
            return r;
    }
    return NULL;
}

/* Behind the { of a rule, up to the [ of its alerts or series. Members stand in the order that they are written in. */
static struct alert_rule *read_head(struct state_reader *s, struct alert_group *g, bool is_alert) {
    struct str name = {0};
    if (expect(s, JSON_KEY) && expect(s, JSON_STRING)) name = arena_copy(&s->a, s->r.value);
    if (!expect(s, JSON_KEY)) return NULL;
    struct labels labels = read_labels(s, 0);
    if (!expect(s, JSON_KEY) || !expect(s, JSON_ARRAY)) return NULL;
    return rule_of(g, is_alert, name, labels);
}

static void read_rule(struct state_reader *s, struct alert_group *g) {
    struct alert_rule *r = read_head(s, g, true);
    while (!s->bad && json_next(&s->r) == JSON_OBJECT) {
        struct alert *x = read_alert(s);
        if (r && !s->bad && r->alerts.n < ALERTS_MAX)
            *vec_push(&r->alerts) = x;
        else
            alert_free(x);
    }
    expect(s, JSON_OBJECT_END);
    err e = r && !s->bad ? rule_restore_series(r) : NULL;
    s->bad |= e != NULL;
    err_free(e);
}

static void read_series(struct state_reader *s, struct alert_group *g) {
    VEC(struct labels) all = {0};
    AUTO_ARENA struct arena a;
    arena_init(&a, STATE_BYTES_MAX);
    struct alert_rule *r = read_head(s, g, false);
    while (!s->bad && json_next(&s->r) == JSON_OBJECT) {
        *vec_push(&all) = labels_keep(read_members(s, 0));
        arena_clear(&s->a);
    }
    expect(s, JSON_OBJECT_END);
    err e = r && !s->bad ? rule_take_series(r, all.v, all.n, &a) : NULL;
    s->bad |= e != NULL;
    err_free(e);
    for (size_t i = 0; i < all.n; i++) labels_drop(all.v[i]);
    vec_done(&all);
}

static void read_all_series(struct state_reader *s, struct alert_group *g) {
    expect(s, JSON_ARRAY);
    while (!s->bad && json_next(&s->r) == JSON_OBJECT) read_series(s, g);
}

static void read_group(struct state_reader *s, struct alert_group *g) {
    expect(s, JSON_OBJECT);
    expect(s, JSON_KEY);
    g->at_ns = g->restored_ns = read_number(s);
    expect(s, JSON_KEY);
    expect(s, JSON_ARRAY);
    while (!s->bad && json_next(&s->r) == JSON_OBJECT) read_rule(s, g);
}

static void forget(struct alert_group *g) {
    for (size_t i = 0; i < g->n; i++) {
        for (size_t k = 0; k < g->rules[i].alerts.n; k++) alert_free(g->rules[i].alerts.v[k]);
        vec_clear(&g->rules[i].alerts);
    }
    g->at_ns = g->restored_ns = 0;
}

static bool take_up(struct alert_engine *e, struct alert_group *g, const char *ending,
                    void (*take_in)(struct state_reader *s, struct alert_group *g)) {
    const struct alert_keeper *k = &e->options.keeper;
    AUTO_BUF struct buf text, name = {0};
    buf_init(&text, STATE_BYTES_MAX);
    err failed = k->load(k->context, name_of(&name, g->key, ending), &text);
    bool any = !failed && text.n;
    if (any) {
        struct state_reader *s = mem_new_of(struct state_reader);
        json_reader_init(&s->r, buf_str(&text), 16);
        arena_init(&s->a, 64 * MIB);
        take_in(s, g);
        if (s->bad) failed = err_new(ERR_CORRUPT, "not what was written");
        if (s->bad) forget(g);
        json_reader_done(&s->r);
        arena_done(&s->a);
        mem_free(s);
    }
    if (failed) log_error("the states of alerts could not be taken up", F_TEXT("group", g->key), F_ERR(failed));
    err_free(failed);
    return any;
}

void group_restore(struct alert_engine *e, struct alert_group *g) {
    if (!e->options.keeper.load) return;
    g->kept = take_up(e, g, "", read_group);
    take_up(e, g, SERIES, read_all_series);
    if (g->next_ns <= g->at_ns && g->at_ns - g->next_ns < g->interval_ns) g->next_ns += g->interval_ns;
}

/* ---- what nobody has any more -------------------------------------------------------------------------------------- */

struct forgetting {
    const struct strings *there;
    struct strings keys;
};

static void note_key(void *context, struct str name) {
    struct forgetting *f = context;
    struct str ending = STR(SERIES), key = name;
    uint32_t id;
    if (str_ends_with(name, ending)) key.n -= ending.n;
    if (!strings_find(f->there, key, &id)) strings_intern(&f->keys, key);
}

void groups_forget(struct alert_engine *e, const struct strings *names,
                   void (*fn)(struct alert_engine *e, struct alert_group *g)) {
    const struct alert_keeper *k = &e->options.keeper;
    struct forgetting f = {.there = names};
    if (!k->list) return;
    strings_init(&f.keys);
    err failed = k->list(k->context, note_key, &f);
    for (uint32_t i = 0; i < f.keys.n && !failed; i++) {
        struct alert_group *g = mem_new_of(struct alert_group);
        g->def = &forgotten_group;
        g->key = str_dup(strings_get(&f.keys, i));
        AUTO_FREE char *tenant = str_dup(str_of(g->key));
        tenant[strcspn(tenant, (const char[]){ALERT_KEY_SEPARATOR, 0})] = 0;
        g->tenant = tenant;
        group_restore(e, g);
        fn(e, g);
        alert_group_free(g);
    }
    if (failed) log_error("states of alerts could not be looked at", F_ERR(failed));
    err_free(failed);
    strings_done(&f.keys);
}
