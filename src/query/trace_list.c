#include "query/trace_list.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/map.h"
#include "query/query_priv.h"

enum { COLUMN_TRACE, COLUMN_TIME, COLUMN_DURATION, COLUMN_STATUS, COLUMN_PARENT, COLUMN_NAME, COLUMN_SERVICE, COLUMNS };
static const struct column_ref columns[COLUMNS] = {
    [COLUMN_TRACE] = FIELD_COLUMN(FIELD_TRACE_ID),      [COLUMN_TIME] = FIELD_COLUMN(FIELD_TIME),
    [COLUMN_DURATION] = FIELD_COLUMN(FIELD_DURATION),   [COLUMN_STATUS] = FIELD_COLUMN(FIELD_STATUS),
    [COLUMN_PARENT] = FIELD_COLUMN(FIELD_PARENT_ID),    [COLUMN_NAME] = FIELD_COLUMN(FIELD_NAME),
    [COLUMN_SERVICE] = RESOURCE_COLUMN("service.name"),
};

struct listed {
    struct query_trace_row row;
    int64_t root_start;
    uint32_t service, name; /* of the root, numbers of texts */
    bool has_root;          /* it has no parent */
};
struct list {
    struct query *q;
    struct listed *v;
    uint32_t *slots; /* trace id → index + 1 */
    size_t slot_mask, n, most;
    struct strings texts;
    int64_t oldest; /* start of any span so far */
    bool full;      /* no more traces are taken */
};

/* The place of a trace; NULL: it is not taken any more. */
static struct listed *find(struct list *l, const unsigned char id[16]) {
    size_t at = hash_fast(id, 16) & l->slot_mask;
    while (l->slots[at] && memcmp(l->v[l->slots[at] - 1].row.trace_id, id, 16) != 0) at = (at + 1) & l->slot_mask;
    if (l->slots[at]) return &l->v[l->slots[at] - 1];
    if (l->n == l->most) {
        l->full = true;
        return NULL;
    }
    struct listed *made = &l->v[l->n++];
    l->slots[at] = (uint32_t)l->n;
    *made = (struct listed){.row = {.start = INT64_MAX}, .root_start = INT64_MAX};
    memcpy(made->row.trace_id, id, 16);
    return made;
}

static void add_span(struct list *l, struct listed *t, const struct vector *c, uint32_t i) {
    int64_t start = time_of(c[COLUMN_TIME].u64[i]), duration = (int64_t)c[COLUMN_DURATION].u64[i];
    bool root = c[COLUMN_PARENT].u64[i] == 0;
    t->row.spans++;
    t->row.errors += c[COLUMN_STATUS].u64[i] == 2;
    t->row.longest = MAX(t->row.longest, duration);
    t->row.start = MIN(t->row.start, start);
    l->oldest = MIN(l->oldest, start);
    if (root == t->has_root ? start >= t->root_start : !root) return;
    t->has_root = root;
    t->root_start = start;
    t->service = strings_intern(&l->texts, service_or_unknown(vector_text(&c[COLUMN_SERVICE], i)));
    t->name = strings_intern(&l->texts, vector_text(&c[COLUMN_NAME], i));
}

static enum scan_next on_rows(void *context, const struct picked *rows, err *out_error) {
    struct list *l = context;
    const struct vector *c = rows->chunk->columns;
    size_t heap = l->texts.heap_capacity;
    for (uint32_t k = 0; k < rows->n; k++) {
        uint32_t i = picked_at(rows, k);
        struct listed *t = find(l, c[COLUMN_TRACE].id16 + 16 * (size_t)i);
        if (t) add_span(l, t, c, i);
    }
    if (l->texts.heap_capacity > heap && (*out_error = query_charge(l->q, l->texts.heap_capacity - heap)))
        return SCAN_STOP;
    int64_t rest = rows->chunk->rest_time_max;
    int64_t from = MAX(l->oldest, INT64_MIN + QUERY_LIST_MARGIN_NS) - QUERY_LIST_MARGIN_NS;
    return l->full && rest < from ? SCAN_STOP : SCAN_GO_ON;
}

static int newest_first(const void *x, const void *y) {
    const struct listed *a = x, *b = y;
    if (a->row.start != b->row.start) return a->row.start > b->row.start ? -1 : 1;
    return memcmp(a->row.trace_id, b->row.trace_id, 16);
}

static err give(struct list *l, size_t limit, struct query_trace_list *out) {
    size_t n = MIN(l->n, limit);
    struct query_trace_row *rows = arena_array(&l->q->arena, struct query_trace_row, n + 1);
    struct str *texts = arena_array(&l->q->arena, struct str, l->texts.n + 1);
    if (!rows || !texts) return arena_err(&l->q->arena);
    if (l->n) qsort(l->v, l->n, sizeof *l->v, newest_first);
    for (size_t i = 0; i < n; i++) {
        const struct listed *t = &l->v[i];
        rows[i] = t->row;
        if (!texts[t->service].p) texts[t->service] = query_keep(l->q, strings_get(&l->texts, t->service));
        if (!texts[t->name].p) texts[t->name] = query_keep(l->q, strings_get(&l->texts, t->name));
        rows[i].root_service = texts[t->service];
        rows[i].root_name = texts[t->name];
    }
    *out = (struct query_trace_list){.rows = rows, .n = n, .cut = l->full || l->n > limit};
    return query_settle(l->q);
}

err query_trace_list(struct query *q, const struct query_filter *f, size_t limit, struct query_trace_list *out) {
    struct matcher m;
    struct list l = {.q = q, .slot_mask = 1024, .oldest = INT64_MAX};
    if (limit < 1 || limit > QUERY_LIST_MAX) return err_new(ERR_INVALID, "a list has 1 to %d traces", QUERY_LIST_MAX);
    l.most = 2 * limit;
    while (l.slot_mask < 2 * l.most) l.slot_mask *= 2;
    TRY(matcher_make(q, SIGNAL_SPANS, f, &m));
    l.v = arena_array(&q->arena, struct listed, l.most);
    l.slots = arena_array(&q->arena, uint32_t, l.slot_mask);
    l.slot_mask--;
    if (!l.v || !l.slots) return arena_err(&q->arena);
    strings_init(&l.texts);
    err e = query_scan(q, &m, columns, COLUMNS, on_rows, &l);
    if (!e) e = give(&l, limit, out);
    strings_done(&l.texts);
    return e;
}
