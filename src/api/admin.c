/* What changes the store by hand: flush, delete, backup. */
#include "api/api_priv.h"
#include "catalog/catalog.h"

void handle_flush(struct api_call *c) {
    struct store *store = c->api->options.store;
    err e = caller_is_for_all(&c->caller) ? store_flush(store) : store_flush_tenant(store, call_tenant(c));
    AUTO_BUF struct buf body;
    buf_init(&body, KIB);
    if (e) {
        call_fail(c, e);
        return;
    }
    buf_add_text(&body, "{\"flushed\":true}");
    call_answer_json(c, 200, &body);
}

/* Records in PostgreSQL are not in a copy of all tenants: pg_dump does that better, and in one state with what else is there. */
static void answer_backup(struct api_call *c, struct str to) {
    const struct catalog *catalog = c->api->options.catalog;
    const char *elsewhere = catalog && caller_is_for_all(&c->caller) ? catalog_elsewhere(catalog) : NULL;
    AUTO_BUF struct buf body, records;
    struct json_writer w;
    buf_init(&body, 64 * KIB);
    buf_init(&records, 4 * KIB);
    if (elsewhere)
        buf_add_fmt(&records, "not contained: they are in %s, which pg_dump copies", elsewhere);
    else
        buf_add_text(&records, "contained");
    json_writer_init(&w, &body);
    json_object(&w);
    json_member(&w, "backup", str, to);
    json_member(&w, "records", str, buf_str(&records));
    json_object_end(&w);
    call_answer_json(c, 200, &body);
}

static err back_up(struct api_call *c, const char *to) {
    struct store *store = c->api->options.store;
    return caller_is_for_all(&c->caller) ? store_backup(store, to) : store_backup_tenant(store, call_tenant(c), to);
}

void handle_backup(struct api_call *c) {
    struct str to = call_text(c, "to");
    err e = NULL;
    if (to.p[0] != '/')
        e = err_new(ERR_INVALID, "to: the folder must be an absolute path, since it is on the server");
    else if (memchr(to.p, 0, to.n))
        e = err_new(ERR_INVALID, "to: a path has no zero bytes");
    char *path = str_dup(to);
    if (!e) e = back_up(c, path);
    if (!e && caller_is_for_all(&c->caller)) atomic_store(&c->api->backup_ns, c->now_ns);
    mem_free(path);
    if (e)
        call_fail(c, e);
    else
        answer_backup(c, to);
}

static err read_request(struct api_call *c, struct query *q, struct query_filter *f, struct delete_request *out) {
    int64_t signal = call_number(c, "signal", 2);
    *out = (struct delete_request){.time_min = call_number(c, "start", INT64_MIN),
                                   .time_max = call_number(c, "end", INT64_MAX)};
    out->signals[SIGNAL_SPANS] = signal != 1;
    out->signals[SIGNAL_LOGS] = signal != 0;
    out->by_trace = call_given(c, "trace_id");
    if (out->by_trace) memcpy(out->trace_id, call_value(c, "trace_id")->bytes, 16);
    if (!out->by_trace && !(call_given(c, "start") && call_given(c, "end")))
        return err_new(ERR_INVALID, "say what to delete: trace_id, or both start and end");
    if (out->time_min > out->time_max)
        return err_new(ERR_INVALID, "the range ends before it starts: end is before start");
    query_filter_init(f);
    for (size_t i = 0; i < c->where_count; i++)
        TRY_WRAP(query_filter_where(q, f, c->wheres[i]), "where=" STR_FMT, STR_ARG(c->wheres[i]));
    out->predicates = f->where;
    out->predicate_count = f->where_count;
    return NULL;
}

static err delete_rows(struct api_call *c, struct query *q, uint64_t *out_id, bool *out_done) {
    struct store *store = c->api->options.store;
    struct query_filter f;
    struct delete_request r;
    TRY(read_request(c, q, &f, &r));
    TRY(store_delete(store, call_tenant(c), &r, out_id));
    if (call_number(c, "verify", 0)) TRY(store_rewrite_now(store));
    *out_done = store_delete_is_done(store, *out_id);
    return NULL;
}

void handle_delete(struct api_call *c) {
    struct query q;
    uint64_t id;
    bool done;
    call_query_begin(c, &q);
    err e = delete_rows(c, &q, &id, &done);
    query_end(&q);
    if (e) {
        call_fail(c, e);
        return;
    }
    struct buf body;
    struct json_writer w;
    buf_init(&body, 4 * KIB);
    json_writer_init(&w, &body);
    json_object(&w);
    json_member(&w, "id", u64, id);
    json_member(&w, "gone_from_disk", bool, done);
    json_object_end(&w);
    call_answer_json(c, 200, &body);
    buf_done(&body);
}
