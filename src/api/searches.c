#include "api/searches_priv.h"

#include "api/document_priv.h"
#include "base/log.h"
#include "base/text.h"
#include "os/file.h"
#include "store/store.h"

/* ---- what may be saved ------------------------------------------------------------------------------------------ */

static bool is_visible(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~') return false;
    return true;
}

static err check_name(struct str name) {
    if (name.n == 0 || name.n > SEARCH_NAME_BYTES)
        return err_new(ERR_INVALID, "a search's name has 1 to %d bytes", SEARCH_NAME_BYTES);
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] < ' ' || name.p[i] == 127)
            return err_new(ERR_INVALID, "a search's name has no control characters");
    if (!utf8_is_valid(name)) return err_new(ERR_INVALID, "a search's name is UTF-8");
    if (str_trim(name).n != name.n) return err_new(ERR_INVALID, "a search's name neither begins nor ends with a blank");
    return NULL;
}

static err check_parameter(struct str pair) {
    struct str name, value;
    if (!str_cut(pair, '=', &name, &value)) return err_new(ERR_INVALID, "query: a parameter has no =");
    bool good = name.n > 0 && name.n <= 32;
    for (size_t i = 0; i < name.n; i++) good &= (name.p[i] >= 'a' && name.p[i] <= 'z') || name.p[i] == '_';
    return good ? NULL : err_new(ERR_INVALID, "query: a parameter's name is 1 to 32 of [a-z_]");
}

static err check_query(struct str query) {
    struct str rest = query, pair;
    if (query.n > SEARCH_QUERY_BYTES) return err_new(ERR_LIMIT, "query: more than %d KiB", SEARCH_QUERY_BYTES >> 10);
    if (!is_visible(query) || memchr(query.n ? query.p : "", '#', query.n))
        return err_new(ERR_INVALID, "query: what is not visible ASCII, and #, must be percent-encoded");
    size_t n = 0;
    for (bool more = query.n > 0; more;) {
        more = str_cut(rest, '&', &pair, &rest);
        TRY(check_parameter(pair));
        if (++n > SEARCH_PARAMETERS_MAX)
            return err_new(ERR_LIMIT, "query: more than %d parameters", SEARCH_PARAMETERS_MAX);
    }
    return NULL;
}

err search_check(const struct search *s) {
    TRY(check_name(s->name));
    if (!str_equal(s->screen, STR("traces")) && !str_equal(s->screen, STR("logs")) &&
        !str_equal(s->screen, STR("metrics")))
        return err_new(ERR_INVALID, "screen: traces, logs or metrics");
    if (s->by.n >= 64) return err_new(ERR_INVALID, "by: no token's name");
    return check_query(s->query);
}

/* ---- a set ------------------------------------------------------------------------------------------------------ */

/* Where the name stands, or would. */
static size_t place_of(const struct searches *s, struct str name, bool *out_found) {
    size_t low = 0, high = s->v.n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (str_compare(s->v.v[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *out_found = low < s->v.n && str_equal(s->v.v[low].name, name);
    return low;
}

const struct search *searches_find(const struct searches *s, struct str name) {
    bool found;
    size_t at = place_of(s, name, &found);
    return found ? &s->v.v[at] : NULL;
}

err searches_put(struct searches *s, const struct search *one, bool replace) {
    bool found;
    TRY(search_check(one));
    size_t at = place_of(s, one->name, &found);
    if (found && !replace)
        return err_new(ERR_CONFLICT, "there is a search of that name already; take another, or replace=true");
    if (!found) {
        if (s->v.n == SEARCHES_MAX)
            return err_new(ERR_LIMIT, "there are %d searches already; delete some first", SEARCHES_MAX);
        vec_push(&s->v);
        memmove(&s->v.v[at + 1], &s->v.v[at], (s->v.n - 1 - at) * sizeof *s->v.v);
    }
    s->v.v[at] = *one;
    return NULL;
}

err searches_delete(struct searches *s, struct str name) {
    bool found;
    size_t at = place_of(s, name, &found);
    if (!found) return err_new(ERR_NOT_FOUND, "there is no search of that name");
    memmove(&s->v.v[at], &s->v.v[at + 1], (s->v.n - at - 1) * sizeof *s->v.v);
    s->v.n--;
    return NULL;
}

/* ---- the document ----------------------------------------------------------------------------------------------- */

enum { MEMBER_NAME, MEMBER_SCREEN, MEMBER_QUERY, MEMBER_BY, MEMBER_SAVED, MEMBERS };
static const char *const members[MEMBERS] = {"name", "screen", "query", "by", "saved"};
enum { OF_BODY = 1 << MEMBER_SCREEN | 1 << MEMBER_QUERY, OF_FILE = (1 << MEMBERS) - 1 };

static err refuse(const char *what) { return err_new(ERR_INVALID, "%s", what); }

static err take_member(struct search *s, int member, struct str text, struct arena *a) {
    struct str *const texts[] = {&s->name, &s->screen, &s->query, &s->by};
    if (member == MEMBER_SAVED) return parse_time(text, 0, &s->saved);
    *texts[member] = arena_copy(a, text);
    return arena_err(a);
}

/* The reader is behind the {; all members of `wanted`, once each, and no other. */
static err read_search(struct json_reader *r, unsigned wanted, struct arena *a, struct search *out) {
    unsigned given = 0;
    for (enum json_token kind; (kind = json_next(r)) != JSON_OBJECT_END;) {
        int m = 0;
        if (kind != JSON_KEY) return json_reader_err(r);
        while (m < MEMBERS && !str_equal(r->value, str_of(members[m]))) m++;
        if (m == MEMBERS || !(wanted >> m & 1)) return refuse("a member that is not known");
        if (given >> m & 1) return refuse("a member stands twice");
        given |= 1u << m;
        if (json_next(r) != JSON_STRING) return refuse("a member is no text");
        TRY(take_member(out, m, r->value, a));
    }
    return given == wanted ? NULL : refuse("a member is missing");
}

static err read_list(struct json_reader *r, struct searches *out) {
    if (json_next(r) != JSON_ARRAY) return refuse("\"searches\" is no array");
    for (enum json_token kind; (kind = json_next(r)) != JSON_ARRAY_END;) {
        struct search one = {0};
        if (kind != JSON_OBJECT) return refuse("a search is no object");
        TRY(read_search(r, OF_FILE, out->a, &one));
        TRY(searches_put(out, &one, false));
    }
    return NULL;
}

static err read_document(struct json_reader *r, struct searches *out) {
    if (json_next(r) != JSON_OBJECT || json_next(r) != JSON_KEY || !str_equal(r->value, STR("version")))
        return refuse("the document does not begin with its version");
    if (json_next(r) != JSON_NUMBER || !str_equal(r->value, STR("1")))
        return refuse("a newer clew wrote this; only version 1 is known");
    if (json_next(r) != JSON_KEY || !str_equal(r->value, STR("searches"))) return refuse("\"searches\" is missing");
    TRY(read_list(r, out));
    if (json_next(r) != JSON_OBJECT_END || json_next(r) != JSON_END) return refuse("something follows the list");
    return NULL;
}

/* What the reader itself says has the position. */
static err end_reading(struct json_reader *r, err e) {
    err position = json_reader_err(r);
    if (e && r->error) {
        err_free(e);
        e = take(&position);
    }
    err_free(position);
    json_reader_done(r);
    return e;
}

err searches_read(struct str json, struct searches *out) {
    struct json_reader r;
    if (json.n > SEARCHES_FILE_BYTES) return err_new(ERR_LIMIT, "searches: larger than 2 MiB");
    json_reader_init(&r, json, 8);
    return err_wrap(end_reading(&r, read_document(&r, out)), "searches");
}

err search_read_body(struct str json, struct arena *a, struct search *out) {
    struct json_reader r;
    json_reader_init(&r, json, 4);
    err e = json_next(&r) == JSON_OBJECT ? read_search(&r, OF_BODY, a, out)
                                         : refuse("send {\"screen\": \"traces\" or \"logs\", \"query\": \"…\"}");
    if (!e && json_next(&r) != JSON_END) e = refuse("something follows the object");
    return end_reading(&r, e);
}

void search_write(struct json_writer *w, const struct search *s) {
    json_object(w);
    json_member(w, "name", str, s->name);
    json_member(w, "screen", str, s->screen);
    json_member(w, "query", str, s->query);
    json_member(w, "by", str, s->by);
    json_member(w, "saved", time, s->saved);
    json_object_end(w);
}

void searches_write(const struct searches *s, struct buf *out) {
    struct json_writer w;
    json_writer_init(&w, out);
    json_object(&w);
    json_member(&w, "version", u64, 1);
    json_key(&w, STR("searches"));
    json_array(&w);
    for (size_t i = 0; i < s->v.n; i++) search_write(&w, &s->v.v[i]);
    json_array_end(&w);
    json_object_end(&w);
    buf_add_byte(out, '\n');
}

/* ---- the file --------------------------------------------------------------------------------------------------- */

static void name_of(struct str tenant, char out[80]) {
    assert(store_tenant_is_valid(tenant));
    memcpy(out, tenant.p, tenant.n);
    memcpy(out + tenant.n, ".json", sizeof ".json");
}

err searches_load(const char *dir, struct str tenant, struct searches *out) {
    char name[80];
    AUTO_BUF struct buf text = {0};
    AUTO_FREE char *folder = document_path(dir, "searches");
    name_of(tenant, name);
    AUTO_FREE char *path = document_path(folder, name);
    err e = file_read_all(path, SEARCHES_FILE_BYTES, &text);
    if (!e) e = searches_read(buf_str(&text), out);
    if (!e) return NULL;
    bool none = err_kind(e) == ERR_NOT_FOUND, asked_wrong = err_kind(e) == ERR_INVALID || err_kind(e) == ERR_LIMIT;
    if (!none && !asked_wrong) return e;
    if (!none) log_error("saved searches cannot be read", F_ERR(e), F_TEXT("file", path));
    err told = none ? NULL : err_new(ERR_CORRUPT, "the file of saved searches cannot be read: %s", err_text(e));
    err_free(e);
    return told;
}

err searches_save(const char *dir, struct str tenant, const struct searches *s) {
    char name[80];
    AUTO_BUF struct buf text;
    AUTO_FREE char *folder = document_path(dir, "searches");
    name_of(tenant, name);
    buf_init(&text, SEARCHES_FILE_BYTES);
    searches_write(s, &text);
    if (text.full) return err_new(ERR_LIMIT, "the searches take more than 2 MiB; delete some first");
    TRY(document_make_dir(folder));
    return document_replace(folder, name, buf_str(&text));
}
