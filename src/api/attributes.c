/* Names of attributes and values of one as JSON: what completes a condition. */
#include "api/api_priv.h"
#include "query/complete.h"

static const char *place_name(enum signal signal, enum target target) {
    switch ((int)target) {
    case TARGET_RESOURCE: return "resource";
    case TARGET_SCOPE: return "scope";
    case TARGET_EVENT: return "event";
    default: return signal == SIGNAL_SPANS ? "span" : "log";
    }
}

static void write_types(struct json_writer *w, uint8_t types) {
    static const char *const names[VALUE_TYPES] = {"empty", "string", "bool", "int", "double", "bytes", "any"};
    json_key(w, STR("types"));
    json_array(w);
    for (int i = 0; i < VALUE_TYPES; i++)
        if (types >> i & 1) json_text(w, names[i]);
    json_array_end(w);
}

static err write_names(struct api_call *c, struct query *q, struct answer *a) {
    struct query_attributes r = {.signal = (enum signal)call_number(c, "signal", SIGNAL_SPANS),
                                 .prefix = call_text(c, "prefix"),
                                 .limit = (size_t)call_number(c, "limit", 100)};
    struct query_attributes_answer found;
    TRY(call_range(c, true, &r.time_min, &r.time_max));
    TRY(query_attributes(q, &r, &found));
    json_key(&a->w, STR("attributes"));
    json_array(&a->w);
    for (size_t i = 0; i < found.n; i++) {
        const struct query_attribute *one = &found.attributes[i];
        json_object(&a->w);
        json_member(&a->w, "place", text, place_name(r.signal, one->target));
        json_member(&a->w, "key", str, one->key);
        write_types(&a->w, one->types);
        json_member(&a->w, "count", u64, one->values);
        json_object_end(&a->w);
    }
    json_array_end(&a->w);
    json_member(&a->w, "found", u64, found.found);
    json_member(&a->w, "truncated", bool, found.cut);
    return answer_settle(a);
}

void handle_attributes(struct api_call *c) {
    struct query q;
    struct answer a;
    call_query_begin(c, &q);
    answer_begin(&a, &q);
    answer_end(c, &a, write_names(c, &q, &a));
}

/* A field by the name that it has in dumps: `name`, `status_message`, `severity_text`. */
static err read_field(struct str name, enum signal signal, struct column_ref *out) {
    const char *names[FIELDS];
    size_t n = 0;
    for (int f = 0; f < FIELDS; f++) {
        if (field_rows[f].type != FIELD_STRING || !field_in((enum field)f, signal, SET_ROWS) || f == FIELD_BODY)
            continue;
        *out = (struct column_ref){.target = TARGET_FIELD, .field = (enum field)f};
        if (str_equal(name, str_of(field_rows[f].name))) return NULL;
        names[n++] = field_rows[f].name;
    }
    const char *near = nearest_name(name, names, n);
    return err_new(ERR_INVALID, "there is no text field '" STR_FMT "' of %s%s%s%s", STR_ARG(name), signal_names[signal],
                   near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static err read_values_question(struct api_call *c, struct query *q, struct query_values *out) {
    struct str key = c->path_values[0];
    *out = (struct query_values){.signal = (enum signal)call_number(c, "signal", SIGNAL_SPANS),
                                 .prefix = call_text(c, "prefix"),
                                 .limit = (size_t)call_number(c, "limit", 50)};
    query_filter_init(&out->filter);
    TRY(call_range(c, true, &out->filter.time_min, &out->filter.time_max));
    out->filter.service = call_text(c, "service");
    out->filter.environment = call_text(c, "environment");
    if (str_starts_with(key, STR("field."))) {
        struct str name = {key.p + strlen("field."), key.n - strlen("field.")};
        return err_wrap(read_field(name, out->signal, &out->column), "key");
    }
    return err_wrap(where_parse_key(&q->arena, key, &out->column), "key");
}

static err write_values(struct api_call *c, struct query *q, struct answer *a) {
    struct query_values r;
    struct query_values_answer found;
    TRY(read_values_question(c, q, &r));
    TRY(query_values(q, &r, &found));
    json_member(&a->w, "key", str, c->path_values[0]);
    json_key(&a->w, STR("values"));
    json_array(&a->w);
    for (size_t i = 0; i < found.n; i++) {
        json_object(&a->w);
        json_member(&a->w, "value", str, found.values[i].text);
        json_member(&a->w, "count", u64, found.values[i].rows);
        json_object_end(&a->w);
    }
    json_array_end(&a->w);
    json_member(&a->w, "row_count", u64, found.rows);
    json_member(&a->w, "sampled", bool, found.sampled);
    json_member(&a->w, "truncated", bool, found.cut);
    return answer_settle(a);
}

void handle_attribute_values(struct api_call *c) {
    struct query q;
    struct answer a;
    call_query_begin(c, &q);
    answer_begin(&a, &q);
    answer_end(c, &a, write_values(c, &q, &a));
}
