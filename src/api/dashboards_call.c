/* Dashboards from elsewhere and to elsewhere: import of Grafana's JSON, export of both. */
#include "api/dashboard/dashboard_priv.h"
#include "api/records_call_priv.h"

enum { ANSWER_BYTES = 16 << 20 };

static void write_notes(struct json_writer *w, const struct dashboard_notes *notes) {
    json_key(w, STR("notes"));
    json_array(w);
    for (size_t i = 0; i < notes->n; i++) {
        json_object(w);
        json_member(w, "path", str, notes->v[i].path);
        json_member(w, "title", str, notes->v[i].title);
        json_member(w, "what", str, notes->v[i].what);
        json_object_end(w);
    }
    json_array_end(w);
    json_member(w, "notes_left_out", u64, notes->left_out);
}

/* What it would be, without keeping it: also the body. */
static void answer_import(struct api_call *c, const struct catalog_document *d, struct str document,
                          const struct dashboard_notes *notes) {
    struct buf body;
    struct json_writer w;
    buf_init(&body, ANSWER_BYTES);
    json_writer_init(&w, &body);
    json_object(&w);
    if (d) records_write(&w, d);
    write_notes(&w, notes);
    if (!d) json_member(&w, "body", raw, document);
    json_object_end(&w);
    call_answer_json(c, 200, &body);
    buf_done(&body);
}

static err check_body(void *context, struct str body, struct arena *a, struct str *out_name) {
    const struct api_call *c = context;
    return dashboard_check(body, c->api->options.budget, a, out_name);
}

static err keep(struct api_call *c, struct str document, struct arena *a, struct catalog_document *out) {
    struct catalog *catalog;
    char id[17];
    bool stale;
    catalog_make_id(id);
    struct catalog_order o = {.tenant = call_tenant(c),
                              .id = str_of(id),
                              .kind = CATALOG_DASHBOARD,
                              .body = document,
                              .by = str_of(c->caller.name),
                              .expect = {.what = CATALOG_NONE},
                              .check = check_body,
                              .check_context = c};
    TRY(records_open_to_change(c, &catalog));
    TRY(catalog_put(catalog, &o, a, out, &stale));
    out->id = arena_copy(a, str_of(id));
    out->body = (struct str){0};
    return arena_err(a);
}

void handle_dashboard_import(struct api_call *c) {
    AUTO_ARENA struct arena a;
    AUTO_BUF struct buf document = {0};
    struct dashboard_notes notes;
    struct catalog_document d;
    struct str title = call_text(c, "title");
    bool dry = call_number(c, "dry_run", 0) != 0;
    arena_init(&a, DASHBOARD_MEMORY);
    a.budget = c->api->options.budget;
    err e = call_body_is_json(c);
    if (!e) e = dashboard_import(c->request.body, title.p ? title : STR(""), &a, &document, &notes);
    if (!e && !dry) e = keep(c, buf_str(&document), &a, &d);
    if (e && err_kind(e) == ERR_CONFLICT)
        call_fail_as(c, 409, err_kind_rows[ERR_CONFLICT].grpc, ERR_CONFLICT, str_of(err_text(e)),
                     STR("say title=… to keep it under another name"), NULL),
            err_free(e);
    else if (e)
        call_fail(c, e);
    else
        answer_import(c, dry ? NULL : &d, buf_str(&document), &notes);
}

void handle_dashboard_export(struct api_call *c) {
    AUTO_ARENA struct arena a;
    AUTO_BUF struct buf out;
    struct catalog_document d;
    arena_init(&a, DASHBOARD_MEMORY);
    a.budget = c->api->options.budget;
    buf_init(&out, 2 * ANSWER_BYTES);
    err e = records_get(c, &a, &d);
    if (!e && call_number(c, "format", 0) == 1)
        e = dashboard_export(d.body, d.id, &a, &out);
    else if (!e)
        buf_add_str(&out, d.body);
    if (e)
        call_fail(c, e);
    else
        call_answer_json(c, 200, &out);
}
