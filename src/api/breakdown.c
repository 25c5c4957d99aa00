/* Rows by one value as JSON: a member of the answers that count. */
#include "api/api_priv.h"

static void write_figures(struct json_writer *w, enum signal signal, const struct query_group *g, size_t buckets) {
    if (signal == SIGNAL_SPANS) {
        write_span_stats(w, &g->stats);
    } else {
        json_member(w, "count", u64, g->stats.spans);
        json_member(w, "error_count", u64, g->stats.errors);
        json_member(w, "error_ratio", f64, g->stats.spans ? (double)g->stats.errors / (double)g->stats.spans : 0);
    }
    if (g->bucket_rows) {
        write_counts(w, "bucket_counts", g->bucket_rows, buckets);
        write_counts(w, "bucket_error_counts", g->bucket_errors, buckets);
    }
    json_object_end(w);
}

void write_group_value(struct json_writer *w, const struct query_by *by, const struct query_group_value *v) {
    if (!by->is_number)
        json_str(w, v->text);
    else if (by->columns[0].field == FIELD_KIND)
        write_kind(w, (uint32_t)v->number);
    else if (by->columns[0].field == FIELD_STATUS)
        write_status(w, (uint32_t)v->number);
    else
        json_text(w, severity_class_names[v->number]);
}

/* The rows that are in no listed group, as a member: null where there are none. */
static void write_rest(struct json_writer *w, const char *name, enum signal signal, const struct query_group *g,
                       size_t buckets) {
    json_key(w, str_of(name));
    if (g->stats.spans == 0) {
        json_null(w);
        return;
    }
    json_object(w);
    write_figures(w, signal, g, buckets);
}

err write_breakdown(struct api_call *c, struct answer *a, enum signal signal, const struct query_filter *f,
                    int64_t step) {
    struct query_breakdown r = {.signal = signal,
                                .filter = *f,
                                .by_count = 1,
                                .top = (size_t)call_number(c, "groups", 10),
                                .trend = step > 0,
                                .step = step};
    struct query_breakdown_answer found;
    struct str by = call_text(c, "by");
    if (!by.p) return NULL;
    TRY_WRAP(query_by_parse(a->q, signal, by, &r.by[0]), "by=" STR_FMT, STR_ARG(by));
    TRY(query_breakdown(a->q, &r, &found));
    json_member(&a->w, "by", str, by);
    json_member(&a->w, "value_count", u64, found.values);
    if (found.values_cut) json_member(&a->w, "value_count_is_least", bool, true);
    json_key(&a->w, STR("groups"));
    json_array(&a->w);
    for (size_t i = 0; i < found.n; i++) {
        json_object(&a->w);
        json_key(&a->w, STR("value"));
        write_group_value(&a->w, &r.by[0], &found.groups[i].values[0]);
        write_figures(&a->w, signal, &found.groups[i], found.bucket_count);
    }
    json_array_end(&a->w);
    write_rest(&a->w, "other", signal, &found.other, found.bucket_count);
    write_rest(&a->w, "without", signal, &found.without, found.bucket_count);
    return answer_settle(a);
}
