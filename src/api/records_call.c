/* The calls about dashboards and groups of rules: one set of handlers, the path says of which. Seeing them needs the role read, changing
 * them operate, as with saved searches. A change of what is there says of which revision (If-Match), so that nobody writes over what he
 * has not seen without saying so. */
#include "api/api_priv.h"

#include <stdio.h>

#include "api/dashboard/dashboard_priv.h"
#include "api/page/page_priv.h"
#include "api/records_call_priv.h"
#include "api/records_priv.h"
#include "base/hash.h"

enum { ANSWER_BYTES = 16 << 20 };

static enum catalog_kind kind_of(const struct api_call *c) {
    return str_starts_with(str_of(c->route->path), STR("/api/v1/rules")) ? CATALOG_RULES : CATALOG_DASHBOARD;
}

err records_open_to_change(struct api_call *c, struct catalog **out) {
    TRY(store_health(c->api->options.store));
    *out = c->api->options.catalog;
    return *out ? NULL : err_new(ERR_UNAVAILABLE, "there is no data directory: no records are kept");
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

void records_write(struct json_writer *w, const struct catalog_document *d) {
    char tag[17];
    catalog_tag(d, tag);
    json_member(w, "id", str, d->id);
    json_member(w, "name", str, d->name);
    json_member(w, "version", i64, d->version);
    json_member(w, "tag", text, tag);
    if (dashboard_is_shipped(d->id)) {
        json_member(w, "shipped", bool, true);
    } else {
        json_member(w, "created", time, d->created);
        json_member(w, "created_by", str, d->created_by);
        json_member(w, "updated", time, d->updated);
        json_member(w, "updated_by", str, d->updated_by);
    }
    json_member(w, "bytes", u64, d->bytes);
    if (d->body.p) json_member(w, "body", raw, d->body);
}

static void write_document(struct json_writer *w, const struct catalog_document *d) {
    json_object(w);
    records_write(w, d);
    json_object_end(w);
}

/* With its ETag. 304 if the caller has this revision already. */
static void answer_document(struct api_call *c, const struct catalog_document *d) {
    char tag[17], etag[24];
    struct buf body;
    struct json_writer w;
    catalog_tag(d, tag);
    snprintf(etag, sizeof etag, "\"%s\"", tag);
    struct http_field field = {STR("ETag"), str_of(etag)};
    bool asks = c->route->method == HTTP_GET, has = asks && page_etag_matches(c->request.if_none_match, field.value);
    buf_init(&body, ANSWER_BYTES);
    json_writer_init(&w, &body);
    if (!has) write_document(&w, d);
    call_reply(c, &(struct api_reply){.status = has ? 304 : 200,
                                      .content_type = has ? (struct str){0} : STR("application/json"),
                                      .body = buf_str(&body),
                                      .fields = &field,
                                      .field_count = 1});
    buf_done(&body);
}

static void answer_deleted(struct api_call *c) {
    struct buf body;
    buf_init(&body, KIB);
    buf_add_text(&body, "{\"deleted\":true}");
    call_answer_json(c, 200, &body);
    buf_done(&body);
}

void records_fail_change(struct api_call *c, err e, bool stale) {
    bool asked = c->request.if_match.p || c->request.if_none_match.p;
    if (!stale) {
        call_fail(c, e);
        return;
    }
    call_fail_as(c, asked ? 412 : 409, err_kind_rows[ERR_CONFLICT].grpc, ERR_CONFLICT, str_of(err_text(e)),
                 asked ? STR("read it again, and send If-Match with the ETag of what you have seen")
                       : STR("to write over it send If-Match with its ETag, or If-Match: * for whatever is there"),
                 NULL);
    err_free(e);
}

/* ---- seeing ----------------------------------------------------------------------------------------------------- */

static bool contains_nocase(struct str s, struct str part) {
    for (size_t i = 0; i + part.n <= s.n; i++)
        if (str_equal_nocase((struct str){s.p + i, part.n}, part)) return true;
    return false;
}

/* One that ships, as if it had been kept: its revision is its text. */
static err shipped_document(size_t i, struct arena *a, struct catalog_document *out) {
    struct dashboard_shipped s = dashboard_shipped_at(i);
    const struct parsed *root;
    TRY(parsed_read(a, s.body, &root));
    *out = (struct catalog_document){.id = s.id,
                                     .name = parsed_text(root, "title"),
                                     .version = 1,
                                     .revision = (int64_t)hash_bytes(s.body.p, s.body.n),
                                     .bytes = s.body.n,
                                     .body = s.body};
    return NULL;
}

err records_get(struct api_call *c, struct arena *a, struct catalog_document *out) {
    struct catalog *catalog = c->api->options.catalog;
    enum catalog_kind kind = kind_of(c);
    for (size_t i = 0; kind == CATALOG_DASHBOARD && i < dashboard_shipped_count(); i++)
        if (str_equal(c->path_values[0], dashboard_shipped_at(i).id)) return shipped_document(i, a, out);
    return catalog ? catalog_get(catalog, call_tenant(c), kind, c->path_values[0], a, out)
                   : err_new(ERR_NOT_FOUND, "there is no data directory: no records are kept");
}

static err write_shipped(struct json_writer *w, struct str search, struct arena *a) {
    for (size_t i = 0; i < dashboard_shipped_count(); i++) {
        struct catalog_document d;
        TRY(shipped_document(i, a, &d));
        d.body = (struct str){0};
        if (contains_nocase(d.name, search)) write_document(w, &d);
    }
    return NULL;
}

void handle_records(struct api_call *c) {
    AUTO_ARENA struct arena a;
    struct catalog *catalog = c->api->options.catalog;
    struct catalog_list list = {0};
    enum catalog_kind kind = kind_of(c);
    struct str search = call_text(c, "search");
    arena_init(&a, ANSWER_BYTES);
    err e = catalog ? catalog_find(catalog, call_tenant(c), kind, search.p ? search : STR(""), &a, &list) : NULL;
    if (e) {
        call_fail(c, e);
        return;
    }
    struct buf body;
    struct json_writer w;
    buf_init(&body, ANSWER_BYTES);
    json_writer_init(&w, &body);
    json_object(&w);
    json_key(&w, kind == CATALOG_RULES ? STR("rules") : STR("dashboards"));
    json_array(&w);
    for (size_t i = 0; i < list.n; i++) write_document(&w, &list.v[i]);
    if (kind == CATALOG_DASHBOARD) e = write_shipped(&w, search.p ? search : STR(""), &a);
    json_array_end(&w);
    json_object_end(&w);
    if (e)
        call_fail(c, e);
    else
        call_answer_json(c, 200, &body);
    buf_done(&body);
}

void handle_record(struct api_call *c) {
    AUTO_ARENA struct arena a;
    struct catalog_document d;
    arena_init(&a, ANSWER_BYTES);
    err e = records_get(c, &a, &d);
    if (e)
        call_fail(c, e);
    else
        answer_document(c, &d);
}

/* ---- changing --------------------------------------------------------------------------------------------------- */

static err check_body(void *context, struct str body, struct arena *a, struct str *out_name) {
    const struct api_call *c = context;
    const struct api_options *o = &c->api->options;
    if (kind_of(c) == CATALOG_DASHBOARD) return dashboard_check(body, o->budget, a, out_name);
    TRY(record_check(kind_of(c), body, a, out_name));
    if (!o->check_rules) return NULL;
    return o->check_rules(o->rules_context, call_tenant(c), c->path_values[0], body);
}

static void tell_change(const struct api_call *c) {
    const struct api_options *o = &c->api->options;
    if (kind_of(c) == CATALOG_RULES && o->rules_changed) o->rules_changed(o->rules_context);
}

static err refuse_shipped(const struct api_call *c, struct str id) {
    if (kind_of(c) != CATALOG_DASHBOARD || !dashboard_is_shipped(id)) return NULL;
    return err_new(ERR_DENIED,
                   "ids that begin with " DASHBOARD_SHIPPED " are of dashboards that ship with clew: keep a copy under "
                   "another id");
}

static void put(struct api_call *c, struct str id, struct catalog_expect expect) {
    AUTO_ARENA struct arena a;
    struct catalog *catalog;
    struct catalog_document d;
    bool stale = false;
    struct catalog_order o = {.tenant = call_tenant(c),
                              .id = id,
                              .kind = kind_of(c),
                              .body = c->request.body,
                              .by = str_of(c->caller.name),
                              .expect = expect,
                              .check = check_body,
                              .check_context = c};
    arena_init(&a, MIB);
    err e = call_body_is_json(c);
    if (!e) e = refuse_shipped(c, id);
    if (!e) e = record_expect(c->request.if_match, c->request.if_none_match, &o.expect);
    if (!e) e = records_open_to_change(c, &catalog);
    if (!e) e = catalog_put(catalog, &o, &a, &d, &stale);
    if (!e) tell_change(c);
    d.body = (struct str){0}; /* whoever sent it has it */
    if (e)
        records_fail_change(c, e, stale);
    else
        answer_document(c, &d);
}

void handle_record_make(struct api_call *c) {
    char id[17];
    catalog_make_id(id);
    put(c, str_of(id), (struct catalog_expect){.what = CATALOG_NONE});
}

void handle_record_put(struct api_call *c) { put(c, c->path_values[0], (struct catalog_expect){.what = CATALOG_NONE}); }

void handle_record_delete(struct api_call *c) {
    struct catalog *catalog;
    struct catalog_expect expect = {.what = CATALOG_ANY};
    bool stale = false;
    err e = refuse_shipped(c, c->path_values[0]);
    if (!e) e = record_expect(c->request.if_match, (struct str){0}, &expect);
    if (!e) e = records_open_to_change(c, &catalog);
    if (!e) e = catalog_delete(catalog, call_tenant(c), kind_of(c), c->path_values[0], &expect, &stale);
    if (!e) tell_change(c);
    if (e)
        records_fail_change(c, e, stale);
    else
        answer_deleted(c);
}
