#include "api/records_priv.h"

#include "api/dashboard/dashboard_priv.h"
#include "base/json.h"
#include "base/text.h"

/* ---- shapes ----------------------------------------------------------------------------------------------------- */

enum { MEMBERS_MAX = 4 };

static const struct shape {
    struct shape_member {
        const char *name;
        enum json_token kind; /* JSON_ARRAY: of objects */
        size_t items_max;
        bool required, is_name, is_duration;
    } members[MEMBERS_MAX];
} shapes[CATALOG_KINDS] = {
    [CATALOG_RULES] = {{{"name", JSON_STRING, .required = true, .is_name = true},
                        {"interval", JSON_STRING, .is_duration = true},
                        {"rules", JSON_ARRAY, 5000, .required = true}}},
};

/* What the reader itself says comes first: it was there. */
static err refuse(struct json_reader *r, const char *member, const char *what) {
    err e = json_reader_err(r);
    return e ? e : err_new(ERR_INVALID, "%s: %s, at byte %zu", member, what, r->token);
}

/* The rest of an object or array whose beginning was read at `depth`. */
static err skip_rest(struct json_reader *r, int depth) {
    while (r->depth >= depth) {
        enum json_token t = json_next(r);
        if (t == JSON_ERROR || t == JSON_END) return json_reader_err(r);
    }
    return NULL;
}

static err read_array(struct json_reader *r, const struct shape_member *m) {
    enum json_token t;
    for (size_t n = 0; (t = json_next(r)) != JSON_ARRAY_END; n++) {
        if (t != JSON_OBJECT) return refuse(r, m->name, "an array of objects");
        if (n == m->items_max) return err_new(ERR_LIMIT, "%s: more than %zu", m->name, m->items_max);
        TRY(skip_rest(r, r->depth));
    }
    return NULL;
}

static err read_member(struct json_reader *r, const struct shape_member *m, struct arena *a, struct str *out_name) {
    int64_t ns;
    if (json_next(r) != m->kind)
        return refuse(r, m->name,
                      m->kind == JSON_STRING  ? "must be a text"
                      : m->kind == JSON_ARRAY ? "must be an array"
                                              : "must be an object");
    if (m->kind == JSON_ARRAY) return read_array(r, m);
    if (m->kind == JSON_OBJECT) return skip_rest(r, r->depth);
    if (m->is_duration) return err_wrap(parse_duration(r->value, &ns), "%s", m->name);
    *out_name = arena_copy(a, r->value);
    return arena_err(a);
}

static const struct shape_member *member_of(const struct shape *s, struct str name, unsigned *out_bit) {
    for (unsigned i = 0; i < MEMBERS_MAX && s->members[i].name; i++) {
        *out_bit = 1u << i;
        if (str_equal(name, str_of(s->members[i].name))) return &s->members[i];
    }
    return NULL;
}

static err read_members(struct json_reader *r, const struct shape *s, struct arena *a, struct str *out_name) {
    unsigned given = 0, bit;
    enum json_token t;
    if (json_next(r) != JSON_OBJECT) return refuse(r, "the body", "must be an object");
    while ((t = json_next(r)) == JSON_KEY) {
        const struct shape_member *m = member_of(s, r->value, &bit);
        if (!m && !json_skip(r)) return json_reader_err(r);
        if (!m) continue;
        if (given & bit) return refuse(r, m->name, "stands twice");
        given |= bit;
        TRY(read_member(r, m, a, out_name));
    }
    if (t != JSON_OBJECT_END || json_next(r) != JSON_END) return refuse(r, "the body", "something follows the object");
    for (unsigned i = 0; i < MEMBERS_MAX && s->members[i].name; i++)
        if (s->members[i].required && !(given >> i & 1))
            return err_new(ERR_INVALID, "%s: is missing", s->members[i].name);
    return NULL;
}

err record_check(enum catalog_kind kind, struct str body, struct arena *a, struct str *out_name) {
    struct json_reader r;
    struct str name = {0};
    if (kind == CATALOG_DASHBOARD) return dashboard_check(body, NULL, a, out_name);
    json_reader_init(&r, body, RECORD_DEPTH);
    err e = read_members(&r, &shapes[kind], a, &name);
    json_reader_done(&r);
    if (!e) *out_name = name;
    return e;
}

/* ---- what a change expects -------------------------------------------------------------------------------------- */

err record_expect(struct str if_match, struct str if_none_match, struct catalog_expect *out) {
    if (if_match.p && if_none_match.p) return err_new(ERR_INVALID, "If-Match and If-None-Match together");
    if (if_none_match.p) {
        if (!str_equal(str_trim(if_none_match), STR("*"))) return err_new(ERR_INVALID, "If-None-Match: only * here");
        out->what = CATALOG_NONE;
    }
    if (!if_match.p) return NULL;
    struct str tag = str_trim(if_match);
    if (str_equal(tag, STR("*"))) {
        out->what = CATALOG_SOME;
        return NULL;
    }
    bool quoted = tag.n >= 2 && tag.p[0] == '"' && tag.p[tag.n - 1] == '"';
    if (!quoted || memchr(tag.p + 1, '"', tag.n - 2))
        return err_new(ERR_INVALID, "If-Match: one ETag in quotes, as it came, or *");
    *out = (struct catalog_expect){.what = CATALOG_TAG, .tag = {tag.p + 1, tag.n - 2}};
    return NULL;
}
