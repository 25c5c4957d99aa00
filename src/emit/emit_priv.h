/* What the parts of emit share: attributes as they wait, the queues, the making of batches. */
#pragma once

#include "base/map.h"
#include "base/vec.h"
#include "emit/emit.h"
#include "os/thread.h"
#include "signal/batch_build.h"

/* ---- attributes as they wait ---------------------------------------------------------------------------------------- */

enum { TEXTS_BYTES_MAX = 8 << 10 };
struct attribute {
    const char *key;
    uint8_t type;     /* enum value_type */
    bool is_duration; /* its key ends in _ns */
    uint32_t text, text_n;
    uint64_t value;
};
struct attributes {
    struct attribute *v;
    uint32_t n, capacity, dropped;
};
/* Copies text to `texts`; the last one of a key counts. */
void attributes_put(struct attributes *a, struct buf *texts, const struct log_field *f, bool look);
void attributes_write(struct batch_builder *b, enum set set, uint32_t row, const struct attribute *v, uint32_t n,
                      const struct buf *texts);

/* ---- spans and records that wait ------------------------------------------------------------------------------------- */

struct span_event {
    const char *name;
    int64_t time_ns;
    uint32_t first, n; /* of the span's event attributes */
};
/* Of a span that is sampled. */
struct span_body {
    char name[EMIT_NAME_MAX], state[TRACESTATE_BYTES_MAX + 1], message[256];
    unsigned char parent_id[8];
    uint32_t kind, status;
    int64_t start_ns, began_ns, took_ns; /* start: wall, began: monotonic */
    struct attributes own, of_events;
    struct span_event events[EMIT_EVENTS_MAX];
    uint32_t event_n, events_dropped;
    struct buf texts;
};
struct emit_span {
    struct emit *e;
    struct trace_context context;
    struct span_body *body; /* NULL: not sampled */
    struct emit_scope scope;
};
void span_free(struct emit_span *s);
void spans_write(struct batch_builder *b, struct emit_span *const *v, size_t n);

struct record {
    int64_t time_ns;
    enum log_level level;
    char *body; /* mem_free */
    unsigned char trace_id[16], span_id[8];
    uint8_t flags;
    struct attributes own;
    struct buf texts;
};
void record_free(struct record *r);
void log_records_write(struct batch_builder *b, struct record *const *v, size_t n);

/* ---- meters ---------------------------------------------------------------------------------------------------------- */

struct points_builder;
/* All series; how many points. */
size_t meters_write(struct emit *e, struct points_builder *b, uint64_t now_ns);
void meters_done(struct emit *e);
void put_key_values(struct buf *out, const struct log_field *f,
                    size_t n); /* KeyValue messages, each in field 7, sorted by key */

/* ---- the hub ----------------------------------------------------------------------------------------------------------- */

struct emit {
    struct emit_options options;
    struct attributes resource;
    struct buf resource_texts, resource_labels; /* labels: as points have them */
    uint64_t threshold;                         /* of the low 56 bits of a trace id: below it is sampled */
    struct lock lock;
    struct signal_flag wake;
    VEC(void *) waiting[2]; /* spans, records */
    bool ending;
    struct thread *thread;
    struct emit_stats stats;
    struct lock meters_lock;
    VEC(struct emit_instrument *) instruments;
    uint64_t started_ns; /* wall: start of all series */
};
bool emit_push(struct emit *e, enum emit_kind kind, void *item); /* false: dropped, and still the caller's */
const struct emit_scope *emit_thread_scope(void);                /* NULL: in no span */
void logs_forget(struct emit *e);
