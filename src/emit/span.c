#include <stdio.h>

#include "base/text.h"
#include "emit/emit_priv.h"
#include "os/clock.h"

static _Thread_local int quiet;
static _Thread_local struct emit_scope *inside;

void emit_quiet(bool begin) {
    quiet += begin ? 1 : -1;
    assert(quiet >= 0);
}
bool emit_is_quiet(void) { return quiet > 0; }
const struct emit_scope *emit_thread_scope(void) { return inside; }

/* ---- attributes -------------------------------------------------------------------------------------------------- */

static struct attribute *place_for(struct attributes *a, const char *key, bool look) {
    for (uint32_t i = 0; look && i < a->n; i++)
        if (strcmp(a->v[i].key, key) == 0) return &a->v[i];
    if (a->n == EMIT_ATTRIBUTES_MAX) return NULL;
    if (a->n == a->capacity) {
        uint32_t more = a->capacity ? 2 * a->capacity : 8;
        struct attribute *v = mem_new_array(struct attribute, more);
        if (a->n) memcpy(v, a->v, a->n * sizeof *v);
        mem_free(a->v);
        a->v = v;
        a->capacity = more;
    }
    return &a->v[a->n++];
}

void attributes_put(struct attributes *a, struct buf *texts, const struct log_field *f, bool look) {
    struct attribute new = {.key = f->key};
    if (f->type == LOG_FIELD_STR) {
        new.type = VALUE_STRING;
        new.text = (uint32_t)texts->n;
        put_utf8_clean(texts, (struct str){f->s.p, MIN(f->s.n, (size_t)EMIT_TEXT_MAX)});
        new.text_n = (uint32_t)texts->n - new.text;
    } else if (f->type == LOG_FIELD_F64) {
        new.type = VALUE_DOUBLE;
        memcpy(&new.value, &f->f, sizeof f->f);
    } else {
        new.type = VALUE_INT;
        new.is_duration = f->type == LOG_FIELD_DURATION;
        new.value = f->type == LOG_FIELD_U64 ? MIN(f->u, (uint64_t)INT64_MAX) : (uint64_t)f->i;
    }
    struct attribute *at = texts->full ? NULL : place_for(a, f->key, look);
    if (at)
        *at = new;
    else
        a->dropped++;
    if (texts->full) texts->n = new.text;
    texts->full = false;
}

void attributes_write(struct batch_builder *b, enum set set, uint32_t row, const struct attribute *v, uint32_t n,
                      const struct buf *texts) {
    uint32_t keys[EMIT_ATTRIBUTES_MAX * EMIT_EVENTS_MAX], first = (uint32_t)b->slots.n;
    assert(n <= LENGTH(keys));
    for (uint32_t i = 0; i < n; i++) {
        char name[EMIT_NAME_MAX];
        snprintf(name, sizeof name, "%s%s", v[i].key, v[i].is_duration ? "_ns" : "");
        keys[i] = batch_builder_key(b, str_of(name), (enum value_type)v[i].type);
        struct str text = v[i].text_n ? str_span(texts->p + v[i].text, v[i].text_n) : STR("");
        *vec_push(&b->slots) = v[i].type == VALUE_STRING ? strings_intern(&b->strings, text) : v[i].value;
    }
    batch_builder_attributes(b, set, row, keys, n, first);
}

/* ---- a span ------------------------------------------------------------------------------------------------------ */

/* The low 7 bytes are random in all ids of W3C's level 2, and what other programs look at. */
static bool is_sampled(const struct emit *e, const unsigned char id[16]) {
    uint64_t low = 0;
    for (int i = 9; i < 16; i++) low = low << 8 | id[i];
    return low < e->threshold;
}

static void make_id(unsigned char *out, size_t n) {
    uint64_t zero = 0, v = 0;
    for (size_t i = 0; i < n; i += 8) {
        do v = random_u64();
        while (v == zero);
        memcpy(out + i, &v, 8);
    }
}

struct emit_span *emit_span_begin(struct emit *e, struct str name, enum emit_span_kind kind,
                                  const struct trace_context *parent) {
    if (!e || quiet) return NULL;
    struct emit_span *s = mem_new_of(struct emit_span);
    s->e = e;
    if (!parent && inside && inside->e == e) parent = &inside->context;
    if (parent)
        s->context = *parent;
    else
        make_id(s->context.trace_id, 16);
    make_id(s->context.span_id, 8);
    if (!parent) s->context.flags = is_sampled(e, s->context.trace_id) ? TRACE_SAMPLED : 0;
    if (!(s->context.flags & TRACE_SAMPLED)) return s;
    struct span_body *b = s->body = mem_new_of(struct span_body);
    if (parent) memcpy(b->parent_id, parent->span_id, 8);
    b->kind = kind;
    b->start_ns = e->options.wall_ns();
    b->began_ns = clock_monotonic_ns();
    buf_init(&b->texts, TEXTS_BYTES_MAX);
    emit_span_name(s, name);
    return s;
}

void span_free(struct emit_span *s) {
    if (s->body) {
        mem_free(s->body->own.v);
        mem_free(s->body->of_events.v);
        buf_done(&s->body->texts);
        mem_free(s->body);
    }
    mem_free(s);
}

static void end(struct emit_span *s, int64_t took_ns, bool known) {
    struct span_body *b = s->body;
    struct emit *e = s->e;
    bool pushed = false;
    assert(inside != &s->scope);
    if (b) {
        b->took_ns = known ? MAX(took_ns, (int64_t)0) : clock_monotonic_ns() - b->began_ns;
        if (known) b->start_ns -= b->took_ns;
        pushed = emit_push(e, EMIT_SPANS, s);
    } else {
        __atomic_fetch_add(&e->stats.unsampled, 1, __ATOMIC_RELAXED);
    }
    if (!pushed) span_free(s);
}

void emit_span_end(struct emit_span *s) {
    if (s) end(s, 0, false);
}
void emit_span_end_after(struct emit_span *s, int64_t took_ns) {
    if (s) end(s, took_ns, true);
}

bool emit_span_is_recorded(const struct emit_span *s) { return s && s->body; }

static void keep_text(char *out, size_t size, struct str text) {
    AUTO_BUF struct buf clean;
    buf_init(&clean, 4 * KIB);
    put_utf8_clean(&clean, (struct str){text.p, MIN(text.n, size - 1)});
    size_t n = MIN(clean.n, size - 1);
    while (n && n < clean.n && (clean.p[n] & 0xc0) == 0x80) n--; /* not within a character */
    if (n) memcpy(out, clean.p, n);
    out[n] = 0;
}

void emit_span_name(struct emit_span *s, struct str name) {
    if (s && s->body) keep_text(s->body->name, sizeof s->body->name, name);
}

void emit_span_set(struct emit_span *s, struct log_field attribute) {
    if (s && s->body) attributes_put(&s->body->own, &s->body->texts, &attribute, true);
}

void emit_span_event(struct emit_span *s, const char *name, const struct log_field *attributes, size_t n) {
    struct span_body *b = s ? s->body : NULL;
    if (!b) return;
    if (b->event_n == EMIT_EVENTS_MAX) {
        b->events_dropped++;
        return;
    }
    struct span_event *event = &b->events[b->event_n++];
    *event = (struct span_event){
        .name = name, .time_ns = b->start_ns + clock_monotonic_ns() - b->began_ns, .first = b->of_events.n};
    for (size_t i = 0; i < n; i++) attributes_put(&b->of_events, &b->texts, &attributes[i], false);
    event->n = b->of_events.n - event->first;
}

void emit_span_fail(struct emit_span *s, const char *why) {
    if (!s || !s->body) return;
    s->body->status = 2;
    keep_text(s->body->message, sizeof s->body->message, str_of(why));
}

void emit_span_state(struct emit_span *s, struct str tracestate) {
    struct tracestate t;
    if (s && s->body && tracestate.n && tracestate_read(tracestate, &t) && t.n)
        keep_text(s->body->state, sizeof s->body->state, tracestate);
}

const struct trace_context *emit_span_context(const struct emit_span *s) { return s ? &s->context : NULL; }

void emit_scope_enter(struct emit_scope *scope, struct emit *e, const struct trace_context *context) {
    *scope = (struct emit_scope){.e = context ? e : NULL, .before = inside};
    if (!scope->e) return;
    scope->context = *context;
    inside = scope;
}

void emit_scope_leave(struct emit_scope *scope) {
    if (!scope->e) return;
    assert(inside == scope);
    inside = scope->before;
}

void emit_span_enter(struct emit_span *s) {
    if (s) emit_scope_enter(&s->scope, s->e, &s->context);
}

void emit_span_leave(struct emit_span *s) {
    if (s) emit_scope_leave(&s->scope);
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static void write_events(struct batch_builder *b, const struct span_body *s) {
    for (uint32_t i = 0; i < s->event_n; i++) {
        uint32_t row = batch_builder_row(b, SET_EVENTS);
        batch_builder_set_u64(b, SET_EVENTS, FIELD_TIME, row, (uint64_t)s->events[i].time_ns);
        batch_builder_set_u32(b, SET_EVENTS, FIELD_NAME, row, strings_intern(&b->strings, str_of(s->events[i].name)));
        if (s->events[i].n)
            attributes_write(b, SET_EVENTS, row, s->of_events.v + s->events[i].first, s->events[i].n, &s->texts);
    }
}

static void write_text(struct batch_builder *b, enum field f, uint32_t row, const char *text) {
    if (*text) batch_builder_set_u32(b, SET_ROWS, f, row, strings_intern(&b->strings, str_of(text)));
}

void spans_write(struct batch_builder *b, struct emit_span *const *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const struct span_body *s = v[i]->body;
        uint32_t row = batch_builder_row(b, SET_ROWS);
        uint64_t id;
        batch_builder_set_id16(b, SET_ROWS, FIELD_TRACE_ID, row, v[i]->context.trace_id);
        memcpy(&id, v[i]->context.span_id, 8);
        batch_builder_set_u64(b, SET_ROWS, FIELD_SPAN_ID, row, id);
        memcpy(&id, s->parent_id, 8);
        batch_builder_set_u64(b, SET_ROWS, FIELD_PARENT_ID, row, id);
        batch_builder_set_u64(b, SET_ROWS, FIELD_TIME, row, (uint64_t)s->start_ns);
        batch_builder_set_u64(b, SET_ROWS, FIELD_DURATION, row, (uint64_t)s->took_ns);
        batch_builder_set_u32(b, SET_ROWS, FIELD_KIND, row, s->kind);
        batch_builder_set_u32(b, SET_ROWS, FIELD_STATUS, row, s->status);
        batch_builder_set_u32(b, SET_ROWS, FIELD_FLAGS, row, v[i]->context.flags);
        batch_builder_set_u32(b, SET_ROWS, FIELD_DROPPED_ATTRIBUTES, row, s->own.dropped);
        batch_builder_set_u32(b, SET_ROWS, FIELD_DROPPED_EVENTS, row, s->events_dropped);
        write_text(b, FIELD_NAME, row, s->name);
        write_text(b, FIELD_STATUS_MESSAGE, row, s->message);
        write_text(b, FIELD_TRACE_STATE, row, s->state);
        attributes_write(b, SET_ROWS, row, s->own.v, s->own.n, &s->texts);
        write_events(b, s);
        batch_builder_set_u32(b, SET_ROWS, FIELD_EVENT_END, row, b->sets[SET_EVENTS].n);
    }
}
