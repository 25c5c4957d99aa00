/* Rules and alerts, in Prometheus' shapes: /api/v1/rules, /alerts, /alertmanagers. */
#include "api/prometheus/prometheus_priv.h"

#include <math.h>

#include "alert/alert.h"
#include "alert/notify.h"
#include "base/hash.h"
#include "base/text.h"

enum rule_type { RULES_ALL, RULES_ALERTS, RULES_RECORDS };

struct rules_answer {
    struct prometheus *p;
    struct json_writer *w;
    enum rule_type type;
    bool exclude_alerts;
    uint64_t group_limit;
    struct str token;
    struct prometheus_matches *matches;
    err e;
};

/* ---- values ------------------------------------------------------------------------------------------------------ */

static void write_set(struct json_writer *w, const char *key, struct labels l) {
    json_key(w, str_of(key));
    json_object(w);
    for (uint32_t i = 0; i < l.n; i++) {
        json_key(w, l.v[i].name);
        json_str(w, l.v[i].value);
    }
    json_object_end(w);
}

static void write_time(struct json_writer *w, const char *key, int64_t ns) {
    json_key(w, str_of(key));
    if (ns)
        json_time(w, ns);
    else
        json_text(w, "0001-01-01T00:00:00Z");
}

static void write_seconds(struct json_writer *w, const char *key, int64_t ns) {
    json_key(w, str_of(key));
    json_f64(w, (double)ns / 1e9);
}

/* 1e+00, as Go's FormatFloat(v, 'e', -1). */
static void write_exponent(struct json_writer *w, double v) {
    char digits[F64_DIGITS_MAX] = "0";
    int point = 1, n = 1;
    AUTO_BUF struct buf text;
    buf_init(&text, 64);
    if (isfinite(v)) {
        if (v != 0) n = f64_digits(fabs(v), digits, &point);
        buf_add_fmt(&text, "%s%c%s", signbit(v) ? "-" : "", digits[0], n > 1 ? "." : "");
        buf_add(&text, digits + 1, (size_t)n - 1);
        buf_add_fmt(&text, "e%c%02d", point < 1 ? '-' : '+', point < 1 ? 1 - point : point - 1);
    } else {
        buf_add_text(&text, isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf");
    }
    json_str(w, buf_str(&text));
}

static void write_alert(struct json_writer *w, const struct alert *x) {
    json_object(w);
    write_set(w, "labels", x->labels);
    write_set(w, "annotations", x->annotations);
    json_member(w, "state", text, alert_state_names[x->state]);
    write_time(w, "activeAt", x->active_ns);
    if (x->keep_since_ns) write_time(w, "keepFiringSince", x->keep_since_ns);
    json_key(w, STR("value"));
    write_exponent(w, x->value);
    json_object_end(w);
}

static void write_alerts_of(struct json_writer *w, const struct alert_rule *r) {
    for (size_t i = 0; i < r->alerts.n; i++)
        if (r->alerts.v[i]->state != ALERT_INACTIVE) write_alert(w, r->alerts.v[i]);
}

static void write_rule(struct rules_answer *x, const struct alert_rule *r) {
    struct json_writer *w = x->w;
    AUTO_BUF struct buf query;
    buf_init(&query, MIB);
    promql_print(r->def->expr, &query);
    json_object(w);
    if (r->def->is_alert) json_member(w, "state", text, alert_state_names[alert_rule_state(r)]);
    json_member(w, "name", str, r->def->name);
    json_member(w, "query", str, buf_str(&query));
    if (r->def->is_alert) {
        write_seconds(w, "duration", r->def->for_ns);
        write_seconds(w, "keepFiringFor", r->def->keep_firing_ns);
    }
    write_set(w, "labels", r->def->labels);
    if (r->def->is_alert) {
        write_set(w, "annotations", r->def->annotations);
        json_key(w, STR("alerts"));
        json_array(w);
        if (!x->exclude_alerts) write_alerts_of(w, r);
        json_array_end(w);
    }
    json_member(w, "health", text, rule_health_names[r->health]);
    if (r->error) json_member(w, "lastError", text, r->error);
    write_seconds(w, "evaluationTime", r->took_ns);
    write_time(w, "lastEvaluation", r->evaluated_ns);
    json_member(w, "type", text, r->def->is_alert ? "alerting" : "recording");
    json_object_end(w);
}

/* ---- which ------------------------------------------------------------------------------------------------------- */

/* Whether a repeated parameter names it, or is not given. */
static bool is_named(const struct api_call *c, const char *param, struct str name) {
    bool given = false;
    for (size_t i = 0; i < c->where_count; i++) {
        if (strcmp(c->route->params[c->where_of[i]].name, param) != 0) continue;
        given = true;
        if (str_equal(c->wheres[i], name)) return true;
    }
    return !given;
}

static bool is_wanted(const struct rules_answer *x, const struct alert_rule *r) {
    if (x->type == RULES_ALERTS && !r->def->is_alert) return false;
    if (x->type == RULES_RECORDS && r->def->is_alert) return false;
    if (!is_named(x->p->c, "rule_name[]", r->def->name)) return false;
    bool matches = x->matches->n == 0;
    for (size_t i = 0; i < x->matches->n && !matches; i++)
        matches = label_matchers_match(x->matches->sets[i].v, x->matches->sets[i].n, r->def->labels);
    return matches;
}

static void put_token(struct buf *out, const struct alert_group *g) {
    uint64_t hash = hash_bytes(g->key, strlen(g->key));
    put_hex(out, &hash, sizeof hash);
}

static bool token_is(const struct alert_group *g, struct str token) {
    AUTO_BUF struct buf own;
    buf_init(&own, 64);
    put_token(&own, g);
    return str_equal(buf_str(&own), token);
}

/* A tenant sees its own. */
static bool is_own(const struct api_call *c, const struct alert_group *g) {
    return str_equal(call_tenant(c), str_of(g->tenant));
}

/* Of a group without rules, or with none that is asked for, Prometheus says nothing (since 2.46). */
static bool group_is_wanted(const struct rules_answer *x, const struct alert_group *g) {
    if (!is_named(x->p->c, "rule_group[]", g->def->name) || !is_named(x->p->c, "file[]", g->def->file)) return false;
    for (size_t i = 0; i < g->n; i++)
        if (is_wanted(x, &g->rules[i])) return true;
    return g->problem && x->type == RULES_ALL && x->matches->n == 0 && is_named(x->p->c, "rule_name[]", STR(""));
}

static void write_group(struct rules_answer *x, const struct alert_group *g) {
    struct json_writer *w = x->w;
    json_object(w);
    json_member(w, "name", str, g->def->name);
    json_member(w, "file", str, g->def->file);
    if (g->problem) json_member(w, "error", text, g->problem); /* of our own: a row that cannot be evaluated */
    json_key(w, STR("rules"));
    json_array(w);
    for (size_t i = 0; i < g->n; i++)
        if (is_wanted(x, &g->rules[i])) write_rule(x, &g->rules[i]);
    json_array_end(w);
    write_seconds(w, "interval", g->interval_ns);
    json_member(w, "limit", u64, g->def->limit);
    write_seconds(w, "evaluationTime", g->took_ns);
    write_time(w, "lastEvaluation", g->evaluated_ns);
    json_object_end(w);
}

static void write_groups(void *context, const struct alert_group *const *groups, size_t n) {
    struct rules_answer *x = context;
    struct json_writer *w = x->w;
    const struct alert_group *next = NULL;
    size_t i = 0;
    uint64_t written = 0;
    while (x->token.n && i < n && !(is_own(x->p->c, groups[i]) && token_is(groups[i], x->token))) i++;
    if (x->token.n && i == n) {
        x->e = prometheus_bad(x->p, err_new(ERR_INVALID, "invalid group_next_token"));
        return;
    }
    json_object(w);
    json_key(w, STR("groups"));
    json_array(w);
    for (; i < n && !next; i++) {
        if (!is_own(x->p->c, groups[i]) || !group_is_wanted(x, groups[i])) continue;
        if (x->group_limit && written++ == x->group_limit)
            next = groups[i];
        else
            write_group(x, groups[i]);
    }
    json_array_end(w);
    if (next) {
        AUTO_BUF struct buf token;
        buf_init(&token, 64);
        put_token(&token, next);
        json_member(w, "groupNextToken", str, buf_str(&token));
    }
    json_object_end(w);
}

static err read_filters(struct rules_answer *x) {
    struct api_call *c = x->p->c;
    struct str type = call_text(c, "type"), exclude = call_text(c, "exclude_alerts");
    if (str_equal(type, STR("alert")))
        x->type = RULES_ALERTS;
    else if (str_equal(type, STR("record")))
        x->type = RULES_RECORDS;
    else if (type.n)
        return prometheus_bad_param(x->p, "type",
                                    err_new(ERR_INVALID, "not supported value \"" STR_FMT "\"", STR_ARG(type)));
    if (exclude.n) TRY(prometheus_bad_param(x->p, "exclude_alerts", parse_bool(exclude, &x->exclude_alerts)));
    if (call_given(c, "group_limit")) {
        err e = parse_u64(call_text(c, "group_limit"), &x->group_limit);
        if (!e && x->group_limit == 0) e = err_new(ERR_INVALID, "group_limit needs to be greater than 0");
        TRY(prometheus_bad_param(x->p, "group_limit", e));
    }
    x->token = call_text(c, "group_next_token");
    if (x->token.n && !x->group_limit)
        return prometheus_bad_param(x->p, "group_limit",
                                    err_new(ERR_INVALID, "group_limit needs to be set to page through the groups"));
    return prometheus_matches(x->p, x->matches);
}

static err fill_rules(struct prometheus *p) {
    struct rules_answer x = {.p = p, .w = &p->a.w, .matches = arena_new(&p->q.arena, struct prometheus_matches)};
    struct alert_engine *engine = p->c->api->options.alert;
    if (!x.matches) return arena_err(&p->q.arena);
    TRY(read_filters(&x));
    if (engine)
        alert_engine_look(engine, write_groups, &x);
    else
        write_groups(&x, NULL, 0);
    prometheus_matches_done(x.matches);
    return x.e;
}
void handle_prometheus_rules(struct api_call *c) { prometheus_answer(c, fill_rules); }

/* ---- alerts ------------------------------------------------------------------------------------------------------ */

static void write_all_alerts(void *context, const struct alert_group *const *groups, size_t n) {
    struct prometheus *p = context;
    for (size_t g = 0; g < n; g++)
        for (size_t i = 0; i < groups[g]->n && is_own(p->c, groups[g]); i++)
            write_alerts_of(&p->a.w, &groups[g]->rules[i]);
}

static err fill_alerts(struct prometheus *p) {
    struct json_writer *w = &p->a.w;
    struct alert_engine *engine = p->c->api->options.alert;
    json_object(w);
    json_key(w, STR("alerts"));
    json_array(w);
    if (engine) alert_engine_look(engine, write_all_alerts, p);
    json_array_end(w);
    json_object_end(w);
    return NULL;
}
void handle_prometheus_alerts(struct api_call *c) { prometheus_answer(c, fill_alerts); }

static err fill_alertmanagers(struct prometheus *p) {
    struct json_writer *w = &p->a.w;
    struct notifier *n = str_equal(call_tenant(p->c), STR("default")) ? p->c->api->options.notifier : NULL;
    json_object(w);
    json_key(w, STR("activeAlertmanagers"));
    json_array(w);
    for (size_t i = 0; n && i < notifier_count(n); i++) {
        json_object(w);
        json_member(w, "url", str, notifier_url(n, i));
        json_object_end(w);
    }
    json_array_end(w);
    json_key(w, STR("droppedAlertmanagers"));
    json_array(w);
    json_array_end(w);
    json_object_end(w);
    return NULL;
}
void handle_prometheus_alertmanagers(struct api_call *c) { prometheus_answer(c, fill_alertmanagers); }
