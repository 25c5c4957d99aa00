/* The OpenAPI 3.1 document, out of the route table and schemas.json. */
#include "api/api_priv.h"

struct str schema_find(const char *name) {
    struct json_reader r;
    struct str text = {schemas_json, schemas_json_n}, found = {NULL, 0};
    json_reader_init(&r, text, JSON_DEPTH_MAX);
    json_next(&r); /* the object */
    while (!found.p && json_next(&r) == JSON_KEY) {
        bool same = str_equal(r.value, str_of(name));
        size_t from = r.at;
        if (!json_skip(&r)) break;
        if (same) found = str_trim((struct str){text.p + from, r.at - from});
    }
    json_reader_done(&r);
    if (found.n && found.p[0] == ':') found = str_trim((struct str){found.p + 1, found.n - 1});
    return found;
}

static void put_reference(struct json_writer *w, const char *schema) {
    struct buf path;
    buf_init(&path, KIB);
    buf_add_fmt(&path, "#/components/schemas/%s", schema);
    json_object(w);
    json_member(w, "$ref", str, buf_str(&path));
    json_object_end(w);
    buf_done(&path);
}

/* ---- parameters ------------------------------------------------------------------------------------------------- */

static void put_choices(struct json_writer *w, const char *choices) {
    struct str rest = str_of(choices), head;
    json_key(w, STR("enum"));
    json_array(w);
    for (bool more = true; more;) {
        more = str_cut(rest, ' ', &head, &rest);
        json_str(w, head);
    }
    json_array_end(w);
}

static void put_default(struct json_writer *w, const struct api_param *p) {
    if (!p->initial) return;
    json_key(w, STR("default"));
    if (p->type == PARAM_INTEGER || p->type == PARAM_BOOLEAN)
        json_raw(w, str_of(p->initial));
    else
        json_text(w, p->initial);
}

static const char *const patterns[] = {
    [PARAM_TRACE_ID] = "^[0-9a-fA-F]{32}$",
    [PARAM_SPAN_ID] = "^[0-9a-fA-F]{16}$",
    [PARAM_WHERE] = NULL,
};

static void put_type(struct json_writer *w, const struct api_param *p) {
    bool integer = p->type == PARAM_INTEGER, boolean = p->type == PARAM_BOOLEAN;
    json_object(w);
    json_member(w, "type", text, integer ? "integer" : boolean ? "boolean" : "string");
    if (integer) json_member(w, "minimum", i64, p->min);
    if (integer) json_member(w, "maximum", i64, p->max);
    if (p->type == PARAM_CHOICE) put_choices(w, p->choices);
    if (patterns[p->type]) json_member(w, "pattern", text, patterns[p->type]);
    put_default(w, p);
    json_object_end(w);
}

static void put_query_param(struct json_writer *w, const struct api_param *p) {
    json_object(w);
    json_member(w, "name", text, p->name);
    json_member(w, "in", text, "query");
    json_member(w, "description", text, p->help);
    if (p->required) json_member(w, "required", bool, true);
    json_key(w, STR("schema"));
    if (p->repeated) {
        json_object(w);
        json_member(w, "type", text, "array");
        json_key(w, STR("items"));
    }
    put_type(w, p);
    if (p->repeated) json_object_end(w);
    json_object_end(w);
}

/* {name} of a path, one after another. */
static bool next_path_param(struct str *rest, struct str *out) {
    struct str ignored;
    return str_cut(*rest, '{', &ignored, rest) && str_cut(*rest, '}', out, rest);
}

static void put_params(struct json_writer *w, const struct api_route *r) {
    struct str rest = str_of(r->path), name;
    json_key(w, STR("parameters"));
    json_array(w);
    while (next_path_param(&rest, &name)) {
        json_object(w);
        json_member(w, "name", str, name);
        json_member(w, "in", text, "path");
        json_member(w, "required", bool, true);
        json_key(w, STR("schema"));
        json_raw(w, STR("{\"type\":\"string\"}"));
        json_object_end(w);
    }
    for (const struct api_param *p = r->params; p && p->name; p++) put_query_param(w, p);
    json_array_end(w);
}

/* ---- bodies and answers ----------------------------------------------------------------------------------------- */

static bool is_otlp(const char *schema) { return schema && str_starts_with(str_of(schema), STR("Otlp")); }

static void put_media(struct json_writer *w, struct str type, const char *schema) {
    json_key(w, type);
    json_object(w);
    json_key(w, STR("schema"));
    if (schema)
        put_reference(w, schema);
    else
        json_raw(w, STR("{\"type\":\"string\"}"));
    json_object_end(w);
}

/* Schemas of what is no JSON. */
static const struct {
    const char *schema;
    struct str types[2];
} media[] = {{"RemoteWrite", {STR("application/x-protobuf")}},
             {"RemoteRead", {STR("application/x-protobuf")}},
             {"Exposition", {STR("text/plain"), STR("application/openmetrics-text")}},
             {"RulesFile", {STR("application/yaml")}}};

static bool put_foreign(struct json_writer *w, const char *schema) {
    for (size_t i = 0; schema && i < LENGTH(media); i++) {
        if (strcmp(schema, media[i].schema) != 0) continue;
        for (size_t t = 0; t < LENGTH(media[i].types) && media[i].types[t].n; t++)
            put_media(w, media[i].types[t], schema);
        return true;
    }
    return false;
}

/* What OTLP takes or gives comes as protobuf too; a route without schema gives text. */
static void put_types(struct json_writer *w, const struct api_route *r, const char *schema) {
    if (put_foreign(w, schema)) return;
    if (is_otlp(schema)) put_media(w, STR("application/x-protobuf"), NULL);
    if (schema)
        put_media(w, r->is_stream && schema == r->answer ? STR("text/event-stream") : STR("application/json"), schema);
    else
        put_media(w, str_equal(str_of(r->path), STR("/docs")) ? STR("text/html") : STR("text/plain"), NULL);
}

static void put_content(struct json_writer *w, const struct api_route *r, const char *schema) {
    json_key(w, STR("content"));
    json_object(w);
    put_types(w, r, schema);
    json_object_end(w);
}

static void put_response(struct json_writer *w, const struct api_route *r, const char *status, const char *what,
                         const char *schema) {
    json_key(w, str_of(status));
    json_object(w);
    json_member(w, "description", text, what);
    if (strcmp(status, "204") != 0) put_content(w, r, schema);
    json_object_end(w);
}

static void put_responses(struct json_writer *w, const struct api_route *r) {
    json_key(w, STR("responses"));
    json_object(w);
    bool nothing = r->answer && strcmp(r->answer, "Nothing") == 0;
    put_response(w, r, nothing ? "204" : "200", r->help, r->answer);
    if (r->answer && strcmp(r->answer, "Ready") == 0) put_response(w, r, "503", "Not ready.", r->answer);
    bool prometheus = str_starts_with(str_of(r->path), STR("/prometheus/"));
    bool olly = str_starts_with(str_of(r->path), STR("/ollystack/"));
    put_response(w, r, "default", "Refused; the status and the body say why.",
                 is_otlp(r->answer) ? "OtlpStatus"
                 : prometheus       ? "PrometheusError"
                 : olly             ? "OllyError"
                                    : "Error");
    json_object_end(w);
}

/* ---- the document ----------------------------------------------------------------------------------------------- */

static void put_method(struct buf *out, const struct api_route *r) {
    for (const char *p = route_method(r); *p; p++) buf_add_byte(out, (char)(*p | 0x20));
}

/* "GET /api/v1/services/{service}/operations" → get_services_service_operations */
static void put_operation_id(struct json_writer *w, const struct api_route *r) {
    struct buf id;
    buf_init(&id, KIB);
    put_method(&id, r);
    struct str path = str_of(r->path), prefix = STR("/api/v1");
    if (str_starts_with(path, prefix)) path = (struct str){path.p + prefix.n, path.n - prefix.n};
    for (size_t i = 0; i < path.n; i++) {
        bool part = path.p[i] == '/' || path.p[i] == '.';
        if (part || (path.p[i] != '{' && path.p[i] != '}')) buf_add_byte(&id, part ? '_' : path.p[i]);
    }
    json_member(w, "operationId", str, buf_str(&id));
    buf_done(&id);
}

static void put_security(struct json_writer *w, const struct api_route *r) {
    json_member(w, "x-role", text, route_role(r));
    json_key(w, STR("security"));
    json_raw(w, r->role == ROLE_ANY ? STR("[]") : STR("[{\"bearer\":[]},{\"basic\":[]},{\"session\":[]}]"));
}

static void put_operation(struct json_writer *w, const struct api_route *r) {
    AUTO_BUF struct buf method;
    buf_init(&method, 16);
    put_method(&method, r);
    json_key(w, buf_str(&method));
    json_object(w);
    put_operation_id(w, r);
    json_member(w, "summary", text, r->help);
    json_key(w, STR("tags"));
    json_array(w);
    json_str(w, route_topic(r));
    json_array_end(w);
    put_security(w, r);
    if (!(r->ports >> API_PORT_MAIN & 1)) {
        json_key(w, STR("servers"));
        json_raw(w, STR("[{\"url\":\"http://127.0.0.1:4318\",\"description\":\"the OTLP port, by default\"}]"));
    }
    put_params(w, r);
    if (r->takes_form) {
        json_key(w, STR("requestBody"));
        json_raw(w, STR("{\"description\":\"the same parameters as a form\",\"content\":{\"application/"
                        "x-www-form-urlencoded\":{\"schema\":{\"type\":\"object\"}}}}"));
    }
    if (r->body) {
        json_key(w, STR("requestBody"));
        json_object(w);
        json_member(w, "required", bool, true);
        put_content(w, r, r->body);
        json_object_end(w);
    }
    put_responses(w, r);
    json_object_end(w);
}

static bool is_first_of_path(const struct api_route *r) {
    for (const struct api_route *before = api_routes; before < r; before++)
        if (strcmp(before->path, r->path) == 0) return false;
    return true;
}

static void put_paths(struct json_writer *w) {
    const struct api_route *end = api_routes + api_route_count;
    json_key(w, STR("paths"));
    json_object(w);
    for (const struct api_route *r = api_routes; r < end; r++) {
        if (!is_first_of_path(r)) continue;
        json_key(w, str_of(r->path));
        json_object(w);
        for (const struct api_route *same = r; same < end; same++)
            if (strcmp(same->path, r->path) == 0) put_operation(w, same);
        json_object_end(w);
    }
    json_object_end(w);
}

static const char security_schemes[] =
    "{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\"},"
    "\"basic\":{\"type\":\"http\",\"scheme\":\"basic\",\"description\":\"the token as password\"},"
    "\"session\":{\"type\":\"apiKey\",\"in\":\"cookie\",\"name\":\"clew_session\"}}";

void api_put_openapi(struct buf *out) {
    struct json_writer w;
    json_writer_init(&w, out);
    json_object(&w);
    json_member(&w, "openapi", text, "3.1.0");
    json_key(&w, STR("info"));
    json_object(&w);
    json_member(&w, "title", text, "clew");
    json_member(&w, "version", text, CLEW_VERSION);
    json_member(
        &w, "description", text,
        "Times are RFC 3339 in UTC; durations are integers of nanoseconds in names that end in _ns; rates are ratios.");
    json_key(&w, STR("license"));
    json_raw(&w, STR("{\"name\":\"Apache-2.0\",\"identifier\":\"Apache-2.0\"}"));
    json_object_end(&w);
    json_key(&w, STR("servers"));
    json_raw(&w, STR("[{\"url\":\"/\"}]"));
    put_paths(&w);
    json_key(&w, STR("components"));
    json_object(&w);
    json_key(&w, STR("securitySchemes"));
    json_raw(&w, str_of(security_schemes));
    json_key(&w, STR("schemas"));
    json_raw(&w, (struct str){schemas_json, schemas_json_n});
    json_object_end(&w);
    json_object_end(&w);
}

void handle_openapi(struct api_call *c) {
    call_reply(c, &(struct api_reply){.status = 200,
                                      .content_type = STR("application/json"),
                                      .body = text_once(&c->api->openapi, api_put_openapi)});
}
