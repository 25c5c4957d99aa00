/* JSON that several answers share. */
#include "api/api_priv.h"

#include "algo/layout.h"
#include "base/text.h"
#include "signal/batch_build.h"
#include "signal/otlp.h"

void answer_begin(struct answer *a, struct query *q) {
    a->q = q;
    a->charged = 0;
    a->partial_reason = NULL;
    buf_init(&a->body, q->options.memory_max_bytes);
    json_writer_init(&a->w, &a->body);
    json_object(&a->w);
}

err answer_settle(struct answer *a) {
    if (a->body.full) return err_new(ERR_LIMIT, "the answer is larger than %zu MiB; ask for less", a->body.max / MIB);
    if (a->body.capacity <= a->charged) return NULL;
    uint64_t more = a->body.capacity - a->charged;
    a->charged = a->body.capacity;
    return query_charge(a->q, more);
}

void answer_end(struct api_call *c, struct answer *a, err e) {
    if (!e) {
        bool gave_up = query_gave_up(a->q);
        json_member(&a->w, "partial", bool, a->q->stats.bad_blocks > 0 || gave_up || a->partial_reason);
        if (a->q->stats.bad_blocks > 0) {
            json_member(&a->w, "bad_blocks", u64, a->q->stats.bad_blocks);
            json_member(&a->w, "partial_reason", text, a->q->stats.bad_text);
        } else if (gave_up) {
            json_member(&a->w, "partial_reason", text,
                        "a text took a regular expression too many steps and counts as no match, or a trace was too "
                        "large to look at");
        } else if (a->partial_reason) {
            json_member(&a->w, "partial_reason", text, a->partial_reason);
        }
        json_object_end(&a->w);
        e = answer_settle(a);
    }
    query_end(a->q);
    if (e)
        call_fail(c, e);
    else
        call_answer_json(c, 200, &a->body);
    buf_done(&a->body);
}

void write_range(struct json_writer *w, int64_t time_min, int64_t time_max) {
    json_key(w, STR("range"));
    json_object(w);
    json_member(w, "start", time, MAX(time_min, 0));
    json_key(w, STR("end"));
    if (time_max == INT64_MAX)
        json_null(w);
    else
        json_time(w, time_max);
    json_object_end(w);
}

void write_id(struct json_writer *w, const void *id, size_t n) {
    static const unsigned char zero[16];
    if (memcmp(id, zero, n) == 0)
        json_null(w);
    else
        json_hex(w, id, n);
}

/* True if an earlier attribute of the row has the same name. O(n²), but attributes are few; past 64 it is not asked. */
static bool stands_before(const struct batch *b, const struct batch_attributes *v, uint32_t i) {
    struct str name = batch_string(b, b->keys[v->keys[i]].name);
    for (uint32_t k = 0; k < i && k < 64; k++)
        if (str_equal(batch_string(b, b->keys[v->keys[k]].name), name)) return true;
    return false;
}

void put_percent_encoded(struct buf *out, struct str text) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] && strchr(plain, text.p[i]))
            buf_add_byte(out, text.p[i]);
        else
            buf_add_fmt(out, "%%%02X", (unsigned char)text.p[i]);
    }
}

void write_id_text(struct json_writer *w, const char *name, const char *escaped_name, struct str id) {
    AUTO_BUF struct buf escaped;
    buf_init(&escaped, 4 * KIB + 4 * id.n);
    json_key(w, str_of(name));
    json_str(w, id);
    if (utf8_is_valid(id)) return;
    put_percent_encoded(&escaped, id);
    json_key(w, str_of(escaped_name));
    json_str(w, buf_str(&escaped));
}

void write_correlation(struct json_writer *w, const struct batch *b, uint32_t row) {
    struct str id = batch_text(b, SET_ROWS, FIELD_CORRELATION, row);
    if (id.n) write_correlation_id(w, id);
}

void write_attributes(struct json_writer *w, const struct batch *b, enum set s, uint32_t row) {
    struct batch_attributes v = batch_attributes(b, s, row);
    uint64_t duplicates = 0;
    json_key(w, STR("attributes"));
    json_object(w);
    for (uint32_t i = 0; i < v.n; i++) {
        const struct batch_key *key = &b->keys[v.keys[i]];
        if (stands_before(b, &v, i)) {
            duplicates++;
            continue;
        }
        json_key(w, batch_string(b, key->name));
        value_write_json(b, key->type, v.values[i], w);
    }
    json_object_end(w);
    if (duplicates) json_member(w, "duplicate_attributes", u64, duplicates);
    uint32_t dropped = batch_u32(b, s, FIELD_DROPPED_ATTRIBUTES, row);
    if (dropped) json_member(w, "dropped_attributes", u64, dropped);
}

static void write_choice(struct json_writer *w, const char *choices, uint32_t number) {
    struct str rest = str_of(choices), head;
    for (uint32_t i = 0;; i++) {
        bool more = str_cut(rest, ' ', &head, &rest);
        if (i == number) {
            json_str(w, head);
            return;
        }
        if (!more) break;
    }
    json_u64(w, number); /* one that this release does not know */
}

void write_kind(struct json_writer *w, uint32_t kind) { write_choice(w, kind_choices, kind); }
void write_status(struct json_writer *w, uint32_t status) { write_choice(w, status_choices, status); }

void write_span_stats(struct json_writer *w, const struct query_span_stats *s) {
    json_member(w, "span_count", u64, s->spans);
    json_member(w, "error_count", u64, s->errors);
    json_member(w, "error_ratio", f64, s->spans ? (double)s->errors / (double)s->spans : 0);
    json_key(w, STR("duration"));
    write_duration(w, s);
}

void write_bends(struct json_writer *w, const struct layout_point *v, uint32_t n) {
    json_key(w, STR("bends"));
    json_array(w);
    for (uint32_t i = 0; i < n; i++) {
        json_array(w);
        json_f64(w, (double)v[i].x);
        json_f64(w, (double)v[i].y);
        json_array_end(w);
    }
    json_array_end(w);
}

void write_duration(struct json_writer *w, const struct query_span_stats *s) {
    if (s->spans == 0) {
        json_null(w);
        return;
    }
    json_object(w);
    json_member(w, "min_ns", i64, s->duration_min);
    json_member(w, "mean_ns", i64, s->duration_sum / (int64_t)s->spans);
    json_member(w, "max_ns", i64, s->duration_max);
    json_member(w, "p50_ns", i64, s->quantiles[QUERY_P50]);
    json_member(w, "p90_ns", i64, s->quantiles[QUERY_P90]);
    json_member(w, "p95_ns", i64, s->quantiles[QUERY_P95]);
    json_member(w, "p99_ns", i64, s->quantiles[QUERY_P99]);
    json_object_end(w);
}

void write_counts(struct json_writer *w, const char *name, const uint64_t *v, size_t n) {
    json_key(w, str_of(name));
    json_array(w);
    for (size_t i = 0; i < n; i++) json_u64(w, v[i]);
    json_array_end(w);
}

void write_services(struct json_writer *w, const struct query_service_count *v, size_t n) {
    json_key(w, STR("services"));
    json_array(w);
    for (size_t i = 0; i < n; i++) {
        json_object(w);
        json_member(w, "name", str, v[i].service);
        json_member(w, "span_count", u64, v[i].spans);
        json_member(w, "error_count", u64, v[i].errors);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_schema(struct json_writer *w, const struct batch *b, enum set s, uint32_t row) {
    struct str url = batch_text(b, s, FIELD_SCHEMA_URL, row);
    if (url.n) json_member(w, "schema_url", str, url);
}

void write_resource(struct json_writer *w, const struct batch *b, uint32_t resource, struct arena *a) {
    json_object(w);
    json_member(w, "service", str, query_resource_service(b, resource, a));
    json_member(w, "environment", str, query_resource_environment(b, resource, a));
    write_attributes(w, b, SET_RESOURCES, resource);
    write_schema(w, b, SET_RESOURCES, resource);
    json_object_end(w);
}

void write_scope(struct json_writer *w, const struct batch *b, uint32_t scope) {
    json_object(w);
    json_member(w, "name", str, batch_text(b, SET_SCOPES, FIELD_NAME, scope));
    json_member(w, "version", str, batch_text(b, SET_SCOPES, FIELD_VERSION, scope));
    write_attributes(w, b, SET_SCOPES, scope);
    write_schema(w, b, SET_SCOPES, scope);
    json_object_end(w);
}

void write_resources(struct json_writer *w, const struct batch *b, struct arena *a) {
    json_key(w, STR("resources"));
    json_array(w);
    for (uint32_t i = 0; i < b->set_rows[SET_RESOURCES]; i++) write_resource(w, b, i, a);
    json_array_end(w);
}

void write_scopes(struct json_writer *w, const struct batch *b) {
    json_key(w, STR("scopes"));
    json_array(w);
    for (uint32_t i = 0; i < b->set_rows[SET_SCOPES]; i++) write_scope(w, b, i);
    json_array_end(w);
}

err call_answer_otlp(struct api_call *c, struct query *q, enum answer_format format, const struct batch *b,
                     const uint32_t *rows, size_t n) {
    struct batch_builder builder;
    struct batch_copy_cache cache = {0};
    struct batch picked;
    batch_builder_init(&builder, b->signal);
    for (size_t i = 0; i < n; i++) batch_builder_copy(&builder, b, rows[i], &cache);
    batch_copy_cache_done(&cache);
    struct batch_blob *blob = batch_builder_finish(&builder);
    batch_builder_done(&builder);
    struct answer a = {.q = q};
    buf_init(&a.body, q->options.memory_max_bytes);
    json_writer_init(&a.w, &a.body);
    err e = query_charge(q, batch_bytes(blob).n);
    if (!e) {
        batch_view(blob, &picked);
        if (format == FORMAT_PROTOBUF)
            otlp_encode(&picked, &a.body);
        else
            otlp_write_json(&picked, &a.w);
        e = answer_settle(&a);
    }
    batch_unref(blob);
    if (!e) {
        struct http_field partial = {STR("X-Clew-Partial"), STR("true")};
        struct api_reply reply = {.status = 200,
                                  .content_type = format == FORMAT_PROTOBUF ? STR("application/x-protobuf")
                                                                            : STR("application/json"),
                                  .body = buf_str(&a.body),
                                  .fields = &partial,
                                  .field_count = q->stats.bad_blocks > 0 || query_gave_up(q)};
        query_end(q);
        call_reply(c, &reply);
    }
    buf_done(&a.body);
    return e;
}
