/* What telemetry takes at rest, and what retention will take away: answers of GET /api/v1/admin/storage and …/retention. */
#include "api/api_priv.h"

#include <stdio.h>

#include "base/text.h"
#include "query/storage.h"

static const int64_t day_ns = 86400 * (int64_t)1000000000;

/* ---- storage ---------------------------------------------------------------------------------------------------- */

static const char *const kind_names[SIZE_KINDS] = {[SIZE_FIELD] = "field",
                                                   [SIZE_ATTRIBUTE] = "attribute",
                                                   [SIZE_RARE] = "rare_attributes",
                                                   [SIZE_DICTIONARY] = "dictionary",
                                                   [SIZE_FRAME] = "frame"};

static const char *const methods[][2] = {
    {"columns",
     "Exact: compressed bytes of the column's blocks in all parts. Texts that repeat stand in a dictionary of "
     "the part, which is an entry of its own. All entries together are the parts' bytes"},
    {"services",
     "Rows are exact. Bytes: of each row group evenly by its rows, of the rest of a part evenly by the part's rows"},
    {"distinct", "HyperLogLog, right to 5 %, over the values of the newest row groups with at least 65536 rows"},
};

static void write_amount(struct json_writer *w, const struct query_amount *a) {
    json_member(w, "parts", u64, a->parts);
    json_member(w, "rows", u64, a->rows);
    json_member(w, "bytes", u64, a->bytes);
}

static void write_time_or_null(struct json_writer *w, const char *key, bool has, int64_t time) {
    json_key(w, str_of(key));
    if (has)
        json_time(w, time);
    else
        json_null(w);
}

static void write_totals(struct json_writer *w, enum signal signal, const struct query_storage_signal *s) {
    bool has_rows = s->time_min <= s->time_max;
    json_member(w, "signal", text, signal_names[signal]);
    write_amount(w, &s->parts);
    json_member(w, "row_groups", u64, s->groups);
    write_time_or_null(w, "oldest", has_rows, s->time_min);
    write_time_or_null(w, "newest", has_rows, s->time_max);
    json_key(w, STR("memory"));
    json_object(w);
    json_member(w, "rows", u64, s->memory_rows);
    json_member(w, "bytes", u64, s->memory_bytes);
    json_object_end(w);
}

static void write_days(struct json_writer *w, const struct query_storage_signal *s) {
    json_key(w, STR("days"));
    json_array(w);
    for (size_t i = 0; i < s->day_count; i++) {
        AUTO_BUF struct buf day;
        buf_init(&day, 64);
        put_time(&day, s->days[i].start);
        json_object(w);
        json_member(w, "day", str, (struct str){day.p, MIN(day.n, (size_t)10)});
        write_amount(w, &s->days[i].parts);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_left_out(struct json_writer *w, const char *key, size_t count, uint64_t bytes) {
    json_key(w, str_of(key));
    json_object(w);
    json_member(w, "count", u64, count);
    json_member(w, "bytes", u64, bytes);
    json_object_end(w);
}

static void write_column(struct json_writer *w, const struct query_storage_column *c) {
    static const char *const types[VALUE_TYPES] = {"empty", "string", "bool", "int", "double", "bytes", "any"};
    json_object(w);
    json_member(w, "name", str, c->name);
    json_member(w, "kind", text, kind_names[c->kind]);
    if (c->kind <= SIZE_RARE) json_member(w, "set", text, set_names[c->set]);
    if (c->kind == SIZE_ATTRIBUTE) json_member(w, "type", text, types[c->type]);
    json_member(w, "bytes", u64, c->bytes);
    if (c->kind <= SIZE_RARE) json_member(w, "values", u64, c->values);
    if (c->sampled) {
        json_member(w, "sampled_values", u64, c->sampled);
        json_member(w, "distinct_values", u64, c->distinct);
    }
    json_object_end(w);
}

static void write_columns(struct json_writer *w, const struct query_storage_signal *s) {
    uint64_t rest = s->parts.bytes;
    json_key(w, STR("columns"));
    json_array(w);
    for (size_t i = 0; i < s->column_count; i++) {
        write_column(w, &s->columns[i]);
        rest -= MIN(rest, s->columns[i].bytes);
    }
    json_array_end(w);
    write_left_out(w, "columns_left_out", s->columns_all - s->column_count, rest);
}

static void write_service_rows(struct json_writer *w, const struct query_storage_signal *s) {
    uint64_t rest = s->parts.bytes;
    json_key(w, STR("services"));
    json_array(w);
    for (size_t i = 0; i < s->service_count; i++) {
        const struct query_storage_service *v = &s->services[i];
        json_object(w);
        json_member(w, "service", str, v->service);
        json_member(w, "rows", u64, v->rows);
        json_member(w, "bytes", u64, v->bytes);
        json_member(w, "memory_rows", u64, v->memory_rows);
        json_object_end(w);
        rest -= MIN(rest, v->bytes);
    }
    json_array_end(w);
    write_left_out(w, "services_left_out", s->services_all - s->service_count, rest);
}

static void write_kinds(struct json_writer *w, const struct query_storage_signal *s) {
    json_key(w, STR("bytes_by_kind"));
    json_object(w);
    for (int k = 0; k < SIZE_KINDS; k++) {
        json_key(w, str_of(kind_names[k]));
        json_u64(w, s->bytes_by_kind[k]);
    }
    json_object_end(w);
}

void api_write_storage(struct json_writer *w, struct str tenant, const struct query_storage *r,
                       const struct query_storage_signal *signals) {
    json_member(w, "tenant", str, tenant);
    json_key(w, STR("range"));
    json_object(w);
    write_time_or_null(w, "start", r->time_min != INT64_MIN, r->time_min);
    write_time_or_null(w, "end", r->time_max != INT64_MAX, r->time_max);
    json_object_end(w);
    json_key(w, STR("signals"));
    json_array(w);
    for (int s = 0; s < SIGNALS; s++) {
        if (!r->signals[s]) continue;
        json_object(w);
        write_totals(w, (enum signal)s, &signals[s]);
        write_kinds(w, &signals[s]);
        write_days(w, &signals[s]);
        write_columns(w, &signals[s]);
        write_service_rows(w, &signals[s]);
        json_object_end(w);
    }
    json_array_end(w);
    json_key(w, STR("method"));
    json_object(w);
    for (size_t i = 0; i < LENGTH(methods); i++) {
        json_key(w, str_of(methods[i][0]));
        json_text(w, methods[i][1]);
    }
    json_object_end(w);
}

void handle_storage(struct api_call *c) {
    struct query q;
    struct query_storage_signal signals[SIGNALS];
    int64_t signal = call_number(c, "signal", SIGNALS), limit = call_number(c, "limit", 50);
    struct query_storage r = {.time_min = call_number(c, "start", INT64_MIN),
                              .time_max = call_number(c, "end", INT64_MAX),
                              .columns_max = (size_t)limit,
                              .services_max = (size_t)limit,
                              .distinct = call_number(c, "distinct", 0)};
    for (int s = 0; s < SIGNALS; s++) r.signals[s] = signal == SIGNALS || signal == s;
    call_query_begin(c, &q);
    err e = query_storage(&q, &r, signals);
    struct answer a;
    answer_begin(&a, &q);
    if (!e) api_write_storage(&a.w, call_tenant(c), &r, signals);
    answer_end(c, &a, e);
}

/* ---- retention -------------------------------------------------------------------------------------------------- */

static const int64_t preview_days[] = {7, 14, 30};

/* The mean of the closed days among the last seven, of those that have rows. */
static void write_per_day(struct json_writer *w, const struct query_storage_signal *s, int64_t now) {
    int64_t today = now - now % day_ns;
    struct query_amount sum = {0};
    uint64_t n = 0;
    for (size_t i = 0; i < s->day_count; i++) {
        const struct query_storage_day *d = &s->days[i];
        if (d->start >= today || d->start < today - 7 * day_ns) continue;
        sum.rows += d->parts.rows;
        sum.bytes += d->parts.bytes;
        n++;
    }
    json_key(w, STR("mean_per_day"));
    if (!n) {
        json_null(w);
        return;
    }
    json_object(w);
    json_member(w, "days", u64, n);
    json_member(w, "rows", u64, sum.rows / n);
    json_member(w, "bytes", u64, sum.bytes / n);
    json_object_end(w);
}

static void write_preview(struct json_writer *w, const struct query_storage_signal *s) {
    json_key(w, STR("would_go"));
    json_array(w);
    for (size_t i = 0; i < LENGTH(preview_days); i++) {
        json_object(w);
        json_member(w, "retention_days", i64, preview_days[i]);
        write_amount(w, &s->older[i]);
        json_object_end(w);
    }
    json_array_end(w);
}

static void write_setting(struct json_writer *w, const char *key, uint64_t value, const char *from, const char *flag,
                          const char *variable) {
    json_key(w, str_of(key));
    json_object(w);
    json_member(w, "value", u64, value);
    json_member(w, "from", text, from);
    json_member(w, "flag", text, flag);
    json_member(w, "variable", text, variable);
    json_object_end(w);
}

static void write_retention(struct json_writer *w, struct api_call *c, const struct query_storage_signal *signals) {
    const struct api_retention *r = &c->api->options.retention;
    json_key(w, STR("settings"));
    json_object(w);
    write_setting(w, "retention_ns", (uint64_t)r->retention_ns, r->retention_from, "--retention", "CLEW_RETENTION");
    write_setting(w, "disk_use_max_percent", r->disk_use_max_percent, r->disk_use_max_from, "--disk-use-max",
                  "CLEW_DISK_USE_MAX");
    write_setting(w, "disk_free_min_percent", r->disk_free_min_percent, r->disk_free_min_from, "--disk-free-min",
                  "CLEW_DISK_FREE_MIN");
    json_object_end(w);
    json_key(w, STR("signals"));
    json_array(w);
    for (int s = 0; s < SIGNALS; s++) {
        json_object(w);
        write_totals(w, (enum signal)s, &signals[s]);
        write_per_day(w, &signals[s], c->now_ns);
        write_days(w, &signals[s]);
        write_preview(w, &signals[s]);
        json_object_end(w);
    }
    json_array_end(w);
}

void handle_retention(struct api_call *c) {
    struct query q;
    struct query_storage_signal signals[SIGNALS];
    int64_t older[LENGTH(preview_days)];
    struct query_storage r = {.time_min = INT64_MIN,
                              .time_max = INT64_MAX,
                              .signals = {true, true},
                              .older = older,
                              .older_count = LENGTH(older)};
    for (size_t i = 0; i < LENGTH(older); i++) older[i] = c->now_ns - preview_days[i] * day_ns;
    call_query_begin(c, &q);
    err e = query_storage(&q, &r, signals);
    struct answer a;
    answer_begin(&a, &q);
    if (!e) write_retention(&a.w, c, signals);
    answer_end(c, &a, e);
}
