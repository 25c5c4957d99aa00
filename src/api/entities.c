#include "api/entities_priv.h"

#include "base/text.h"

enum { MEMBERS_MAX = 12 };

enum how { HOW_TEXT, HOW_CHOICE, HOW_LINK, HOW_TIME, HOW_LABELS, HOW_EVIDENCE };

#define TEXT(name, field, ...)                                                                                         \
    { name, HOW_TEXT, offsetof(struct entity, field), __VA_ARGS__ }
static const struct member {
    const char *name;
    enum how how;
    size_t field;
    bool required;
    const char *choices; /* the first is what it is without the member, unless that is required */
} members[ENTITY_KINDS][MEMBERS_MAX] = {
    [ENTITY_ENVIRONMENT] = {TEXT("title", title),
                            {"url", HOW_LINK, offsetof(struct entity, url)},
                            TEXT("owner", author),
                            {"labels", HOW_LABELS, offsetof(struct entity, extra)}},
    [ENTITY_SERVICE] = {TEXT("namespace", class),
                        TEXT("service", service),
                        TEXT("title", title),
                        {"url", HOW_LINK, offsetof(struct entity, url)},
                        TEXT("owner", author),
                        {"labels", HOW_LABELS, offsetof(struct entity, extra)}},
    [ENTITY_CHANGE] = {{"kind", HOW_CHOICE, offsetof(struct entity, class), true,
                        "commit pull_request deployment config flag"},
                       {"time", HOW_TIME, offsetof(struct entity, start)},
                       TEXT("service", service),
                       TEXT("environment", environment),
                       TEXT("title", title),
                       {"url", HOW_LINK, offsetof(struct entity, url)},
                       TEXT("author", author),
                       {"labels", HOW_LABELS, offsetof(struct entity, extra)}},
    [ENTITY_FINDING] = {TEXT("kind", class, true),
                        {"severity", HOW_CHOICE, offsetof(struct entity, severity), false, "info warning critical"},
                        {"state", HOW_CHOICE, offsetof(struct entity, state), false, "open acknowledged resolved"},
                        {"start", HOW_TIME, offsetof(struct entity, start)},
                        {"end", HOW_TIME, offsetof(struct entity, end)},
                        TEXT("service", service),
                        TEXT("environment", environment),
                        TEXT("title", title, true),
                        {"evidence", HOW_EVIDENCE, offsetof(struct entity, extra)}},
};

static struct str *text_at(struct entity *e, const struct member *m) { return (struct str *)((char *)e + m->field); }
static int64_t *time_at(struct entity *e, const struct member *m) { return (int64_t *)((char *)e + m->field); }

/* ---- reading ---------------------------------------------------------------------------------------------------- */

struct reading {
    struct json_reader r;
    int64_t now;
    struct arena *a;
    struct entity *out;
};

/* What the reader itself says comes first: it was there. */
static err refuse(struct reading *x, const char *member, const char *what) {
    err e = json_reader_err(&x->r);
    return e ? e : err_new(ERR_INVALID, "%s: %s, at byte %zu", member, what, x->r.token);
}

static err read_text(struct reading *x, const struct member *m, struct str *out) {
    if (json_next(&x->r) != JSON_STRING) return refuse(x, m->name, "must be a text");
    *out = arena_copy(x->a, x->r.value);
    return arena_err(x->a);
}

static err read_choice(struct reading *x, const struct member *m) {
    struct str text, one, rest = str_of(m->choices);
    TRY(read_text(x, m, &text));
    for (bool more = true; more;) {
        more = str_cut(rest, ' ', &one, &rest);
        if (!str_equal(one, text)) continue;
        *text_at(x->out, m) = text;
        return NULL;
    }
    return err_new(ERR_INVALID, "%s: one of %s", m->name, m->choices);
}

/* Only what a browser may be sent to. */
static err read_link(struct reading *x, const struct member *m) {
    struct str text;
    TRY(read_text(x, m, &text));
    bool good = !text.n || str_starts_with(text, STR("https://")) || str_starts_with(text, STR("http://"));
    if (!good) return err_new(ERR_INVALID, "%s: begins with https:// or http://", m->name);
    *text_at(x->out, m) = text;
    return NULL;
}

static err read_time(struct reading *x, const struct member *m) {
    enum json_token t = json_next(&x->r);
    if (t == JSON_NULL) return NULL;
    if (t != JSON_STRING) return refuse(x, m->name, "must be a time as text");
    return err_wrap(parse_time(x->r.value, x->now, time_at(x->out, m)), "%s", m->name);
}

static err read_labels(struct reading *x, const struct member *m) {
    enum json_token t;
    size_t n = 0;
    if (json_next(&x->r) != JSON_OBJECT) return refuse(x, m->name, "must be an object of texts");
    size_t from = x->r.token;
    while ((t = json_next(&x->r)) == JSON_KEY) {
        if (++n > ENTITY_LABELS_MAX) return err_new(ERR_LIMIT, "%s: more than %d", m->name, ENTITY_LABELS_MAX);
        if (!x->r.value.n || x->r.value.n > ENTITY_KEY_BYTES) return refuse(x, m->name, "a name of 1 to 200 bytes");
        if (json_next(&x->r) != JSON_STRING) return refuse(x, m->name, "must be an object of texts");
        if (x->r.value.n > ENTITY_LABEL_BYTES) return err_new(ERR_LIMIT, "%s: a text of more than 1 KiB", m->name);
    }
    if (t != JSON_OBJECT_END) return refuse(x, m->name, "must be an object of texts");
    *text_at(x->out, m) = str_span(x->r.text.p + from, x->r.at - from);
    return NULL;
}

/* One {"language", "query", "title"}. */
static err read_query(struct reading *x, const struct member *m) {
    static const char *const names[] = {"language", "query", "title"};
    unsigned given = 0;
    enum json_token t;
    while ((t = json_next(&x->r)) == JSON_KEY) {
        size_t i = 0;
        while (i < LENGTH(names) && !str_equal(x->r.value, str_of(names[i]))) i++;
        if (i == LENGTH(names) || given >> i & 1) return refuse(x, m->name, "language, query and title, each once");
        given |= 1u << i;
        if (json_next(&x->r) != JSON_STRING) return refuse(x, m->name, "language, query and title are texts");
    }
    if (t != JSON_OBJECT_END) return refuse(x, m->name, "an array of queries");
    return (given & 3) == 3 ? NULL : refuse(x, m->name, "a query has a language and a query");
}

static err read_evidence(struct reading *x, const struct member *m) {
    enum json_token t;
    size_t n = 0;
    if (json_next(&x->r) != JSON_ARRAY) return refuse(x, m->name, "must be an array of queries");
    size_t from = x->r.token;
    while ((t = json_next(&x->r)) == JSON_OBJECT) {
        if (++n > ENTITY_EVIDENCE_MAX) return err_new(ERR_LIMIT, "%s: more than %d", m->name, ENTITY_EVIDENCE_MAX);
        TRY(read_query(x, m));
    }
    if (t != JSON_ARRAY_END) return refuse(x, m->name, "must be an array of queries");
    *text_at(x->out, m) = str_span(x->r.text.p + from, x->r.at - from);
    return NULL;
}

static err read_member(struct reading *x, const struct member *m) {
    switch (m->how) {
    case HOW_TEXT: return read_text(x, m, text_at(x->out, m));
    case HOW_CHOICE: return read_choice(x, m);
    case HOW_LINK: return read_link(x, m);
    case HOW_TIME: return read_time(x, m);
    case HOW_LABELS: return read_labels(x, m);
    case HOW_EVIDENCE: return read_evidence(x, m);
    }
    return NULL;
}

static const struct member *member_of(enum entity_kind kind, struct str name, unsigned *out_bit) {
    for (unsigned i = 0; i < MEMBERS_MAX && members[kind][i].name; i++) {
        *out_bit = 1u << i;
        if (str_equal(name, str_of(members[kind][i].name))) return &members[kind][i];
    }
    return NULL;
}

static err read_members(struct reading *x, enum entity_kind kind) {
    unsigned given = 0, bit;
    enum json_token t;
    if (json_next(&x->r) != JSON_OBJECT) return refuse(x, "the body", "must be an object");
    while ((t = json_next(&x->r)) == JSON_KEY) {
        const struct member *m = member_of(kind, x->r.value, &bit);
        if (!m)
            return err_new(ERR_INVALID, "%.*s: no member of a %s", (int)MIN(x->r.value.n, (size_t)64), x->r.value.p,
                           entity_kinds[kind].one);
        if (given & bit) return refuse(x, m->name, "stands twice");
        given |= bit;
        TRY(read_member(x, m));
    }
    if (t != JSON_OBJECT_END || json_next(&x->r) != JSON_END)
        return refuse(x, "the body", "something follows the object");
    for (unsigned i = 0; i < MEMBERS_MAX && members[kind][i].name; i++)
        if (members[kind][i].required && !(given >> i & 1))
            return err_new(ERR_INVALID, "%s: is missing", members[kind][i].name);
    return NULL;
}

err entity_read(enum entity_kind kind, struct str body, int64_t now_ns, struct arena *a, struct entity *out) {
    struct entity e = *out;
    struct reading x = {.now = now_ns, .a = a, .out = &e};
    e.start = now_ns;
    if (kind == ENTITY_FINDING) e.state = STR("open"), e.severity = STR("info");
    json_reader_init(&x.r, body, ENTITY_DEPTH);
    err bad = read_members(&x, kind);
    json_reader_done(&x.r);
    if (!bad) *out = e;
    return bad;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

void entity_write(struct json_writer *w, enum entity_kind kind, const struct entity *e) {
    struct entity copy = *e;
    json_object(w);
    json_member(w, "id", str, e->key);
    for (size_t i = 0; i < MEMBERS_MAX && members[kind][i].name; i++) {
        const struct member *m = &members[kind][i];
        json_key(w, str_of(m->name));
        if (m->how == HOW_TIME && *time_at(&copy, m))
            json_time(w, *time_at(&copy, m));
        else if (m->how == HOW_TIME)
            json_null(w);
        else if (m->how == HOW_LABELS || m->how == HOW_EVIDENCE)
            json_raw(w, text_at(&copy, m)->n ? *text_at(&copy, m) : m->how == HOW_LABELS ? STR("{}") : STR("[]"));
        else
            json_str(w, *text_at(&copy, m));
    }
    json_member(w, "first_seen", time, e->first_seen);
    json_member(w, "last_seen", time, e->last_seen);
    json_object_end(w);
}
