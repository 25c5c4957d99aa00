/* The calls about environments, services, changes and findings: one set of handlers, the path says of which. Seeing them needs the role
 * read, changing them operate. A put is an upsert: CI may send one deployment twice. */
#include "api/entities_priv.h"
#include "api/records_call_priv.h"

enum { ANSWER_BYTES = 16 << 20 };

static enum entity_kind kind_of(const struct api_call *c) {
    static const struct {
        const char *path;
        enum entity_kind kind;
    } paths[] = {{"/api/v1/environments", ENTITY_ENVIRONMENT},
                 {"/api/v1/catalog/services", ENTITY_SERVICE},
                 {"/api/v1/changes", ENTITY_CHANGE}};
    for (size_t i = 0; i < LENGTH(paths); i++)
        if (str_starts_with(str_of(c->route->path), str_of(paths[i].path))) return paths[i].kind;
    return ENTITY_FINDING;
}

static void answer_entity(struct api_call *c, const struct entity *e) {
    AUTO_BUF struct buf body;
    struct json_writer w;
    buf_init(&body, MIB);
    json_writer_init(&w, &body);
    entity_write(&w, kind_of(c), e);
    call_answer_json(c, 200, &body);
}

/* ---- seeing ----------------------------------------------------------------------------------------------------- */

static struct str text_of(const struct api_call *c, const char *name) {
    struct str s = call_text(c, name);
    return s.p ? s : STR("");
}

static void answer_list(struct api_call *c, const struct entity_list *list) {
    AUTO_BUF struct buf body;
    struct json_writer w;
    buf_init(&body, ANSWER_BYTES);
    json_writer_init(&w, &body);
    json_object(&w);
    json_key(&w, str_of(entity_kinds[kind_of(c)].many));
    json_array(&w);
    for (size_t i = 0; i < list->n; i++) entity_write(&w, kind_of(c), &list->v[i]);
    json_array_end(&w);
    json_key(&w, STR("next_cursor"));
    if (list->next.n)
        json_str(&w, list->next);
    else
        json_null(&w);
    json_object_end(&w);
    if (body.full)
        call_fail(c, err_new(ERR_LIMIT, "an answer of more than %d MiB: ask for fewer by limit", ANSWER_BYTES >> 20));
    else
        call_answer_json(c, 200, &body);
}

void handle_entities(struct api_call *c) {
    AUTO_ARENA struct arena a;
    struct catalog *catalog = c->api->options.catalog;
    enum entity_kind kind = kind_of(c);
    bool dated = kind == ENTITY_CHANGE || kind == ENTITY_FINDING;
    struct entity_list list = {0};
    struct entity_filter f = {.start_min = INT64_MIN, .start_max = INT64_MAX, .after = text_of(c, "cursor")};
    arena_init(&a, ANSWER_BYTES);
    f.limit = (uint32_t)call_number(c, "limit", 100);
    if (dated) {
        f.class = text_of(c, "kind");
        f.service = text_of(c, "service");
        f.environment = text_of(c, "environment");
        f.start_min = call_number(c, "start", INT64_MIN);
        f.start_max = call_number(c, "end", INT64_MAX);
    }
    if (kind == ENTITY_FINDING) f.state = text_of(c, "state");
    err e = catalog ? entity_find(catalog, call_tenant(c), kind, &f, &a, &list) : NULL;
    if (e)
        call_fail(c, e);
    else
        answer_list(c, &list);
}

void handle_entity(struct api_call *c) {
    AUTO_ARENA struct arena a;
    struct catalog *catalog = c->api->options.catalog;
    struct entity entity;
    arena_init(&a, MIB);
    err e = catalog ? entity_get(catalog, call_tenant(c), kind_of(c), c->path_values[0], &a, &entity)
                    : err_new(ERR_NOT_FOUND, "there is no data directory: no records are kept");
    if (e)
        call_fail(c, e);
    else
        answer_entity(c, &entity);
}

/* ---- changing --------------------------------------------------------------------------------------------------- */

static void put(struct api_call *c, struct str key) {
    AUTO_ARENA struct arena a;
    struct catalog *catalog;
    struct entity entity = {.key = key}, out;
    arena_init(&a, MIB);
    err e = call_body_is_json(c);
    if (!e) e = entity_read(kind_of(c), c->request.body, c->now_ns, &a, &entity);
    if (!e) e = records_open_to_change(c, &catalog);
    if (!e) e = entity_put(catalog, call_tenant(c), kind_of(c), &entity, &a, &out, NULL);
    if (e)
        call_fail(c, e);
    else
        answer_entity(c, &out);
}

void handle_entity_make(struct api_call *c) {
    char id[17];
    catalog_make_id(id);
    put(c, str_of(id));
}

void handle_entity_put(struct api_call *c) { put(c, c->path_values[0]); }

void handle_entity_delete(struct api_call *c) {
    struct catalog *catalog;
    AUTO_BUF struct buf body;
    buf_init(&body, KIB);
    err e = records_open_to_change(c, &catalog);
    if (!e) e = entity_delete(catalog, call_tenant(c), kind_of(c), c->path_values[0]);
    buf_add_text(&body, "{\"deleted\":true}");
    if (e)
        call_fail(c, e);
    else
        call_answer_json(c, 200, &body);
}
