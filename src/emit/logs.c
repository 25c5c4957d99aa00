/* Lines of base/log as log records. */
#include <stdatomic.h>

#include "emit/emit_priv.h"

static _Atomic(struct emit *) listening;

static const struct {
    uint32_t number;
    const char *text;
} severities[] = {
    [LOG_DEBUG] = {5, "DEBUG"}, [LOG_INFO] = {9, "INFO"}, [LOG_WARN] = {13, "WARN"}, [LOG_ERROR] = {17, "ERROR"}};

void record_free(struct record *r) {
    mem_free(r->body);
    mem_free(r->own.v);
    buf_done(&r->texts);
    mem_free(r);
}

static void on_line(const struct log_line *line) {
    struct emit *e = atomic_load(&listening);
    if (!e || emit_is_quiet()) return;
    struct record *r = mem_new_of(struct record);
    const struct emit_scope *scope = emit_thread_scope();
    *r = (struct record){.time_ns = e->options.wall_ns(), .level = line->level, .body = str_dup(str_of(line->message))};
    buf_init(&r->texts, TEXTS_BYTES_MAX);
    for (size_t i = 0; i < line->field_count; i++) attributes_put(&r->own, &r->texts, &line->fields[i], false);
    if (line->suppressed) attributes_put(&r->own, &r->texts, &F_U64("suppressed", line->suppressed), false);
    if (scope) {
        memcpy(r->trace_id, scope->context.trace_id, 16);
        memcpy(r->span_id, scope->context.span_id, 8);
        r->flags = scope->context.flags;
    }
    if (!emit_push(e, EMIT_LOGS, r)) record_free(r);
}

void emit_listen_to_log(struct emit *e) {
    if (!e) return;
    atomic_store(&listening, e);
    log_set_listener(on_line);
}

void logs_forget(struct emit *e) {
    struct emit *mine = e;
    if (atomic_compare_exchange_strong(&listening, &mine, NULL)) log_set_listener(NULL);
}

void log_records_write(struct batch_builder *b, struct record *const *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const struct record *r = v[i];
        uint32_t row = batch_builder_row(b, SET_ROWS);
        uint64_t id;
        memcpy(&id, r->span_id, 8);
        batch_builder_set_u64(b, SET_ROWS, FIELD_TIME, row, (uint64_t)r->time_ns);
        batch_builder_set_u64(b, SET_ROWS, FIELD_OBSERVED, row, (uint64_t)r->time_ns);
        batch_builder_set_u32(b, SET_ROWS, FIELD_SEVERITY, row, severities[r->level].number);
        batch_builder_set_u32(b, SET_ROWS, FIELD_SEVERITY_TEXT, row,
                              strings_intern(&b->strings, str_of(severities[r->level].text)));
        batch_builder_set_u32(b, SET_ROWS, FIELD_BODY, row, strings_intern(&b->strings, str_of(r->body)));
        batch_builder_set_u32(b, SET_ROWS, FIELD_BODY_TYPE, row, VALUE_STRING);
        batch_builder_set_id16(b, SET_ROWS, FIELD_TRACE_ID, row, r->trace_id);
        batch_builder_set_u64(b, SET_ROWS, FIELD_SPAN_ID, row, id);
        batch_builder_set_u32(b, SET_ROWS, FIELD_FLAGS, row, r->flags);
        batch_builder_set_u32(b, SET_ROWS, FIELD_DROPPED_ATTRIBUTES, row, r->own.dropped);
        attributes_write(b, SET_ROWS, row, r->own.v, r->own.n, &r->texts);
    }
}
